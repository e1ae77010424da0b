/* A server inside of a program of your own, until SIGTERM or SIGINT: serve NAME MODEL.onnx [PORT] */
#include <hone/serve.h>
#include <hone/session.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static hone_server *server;

static void stop(int number) {
    (void)number;
    hone_server_stop(server); /* may be called in a signal handler */
}

int main(int argc, char **argv) {
    hone_error err = {0};
    hone_graph *graph = NULL;
    hone_server_options o = HONE_SERVER_OPTIONS_INIT;
    o.port = argc > 3 ? atoi(argv[3]) : o.port;
    int status = argc < 3 || hone_graph_load(argv[2], &graph, &err) ||
                 hone_server_create(&o, &server, &err) ||
                 hone_server_add_model(server, argv[1], 1, graph, &err);
    hone_graph_free(graph);
    if (status == 0) {
        signal(SIGTERM, stop);
        signal(SIGINT, stop);
        printf("listening at http://127.0.0.1:%d\n", hone_server_port(server));
        fflush(stdout);
        status = hone_server_run(server, &err) != HONE_OK; /* finishes what is under way before it returns */
    }
    if (status != 0) {
        char text[1024];
        fprintf(stderr, "%s\n",
                err.code ? hone_error_format(&err, text, sizeof text)
                         : "usage: serve NAME MODEL.onnx [PORT]");
    }
    hone_server_free(server);
    return status;
}
