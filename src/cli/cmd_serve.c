#include "cli.h"

#include <hone/serve.h>

#include <signal.h>
#include <string.h>

static struct {
    cli_list models;
    bool json;
    hone_server_options server;
} args = {.server = HONE_SERVER_OPTIONS_INIT};

static const cli_option options[] = {
    OPT_LIST("model", "NAME=PATH", args.models, "ONNX file to serve, and the name to serve it under",
             .required = true),
    OPT_INT("port", "N", args.server.port, 0, 65535, "port to listen at, 0 for a free one",
            .zero = "a free one"),
    OPT_TEXT("host", "HOST", args.server.host, "address to listen at"),
    OPT_INT("max-connections", "N", args.server.max_connections, 0, 1000000, "more get 503",
            .zero = "no limit"),
    OPT_INT("request-timeout", "MS", args.server.request_timeout_ms, 0, 1 << 30,
            "to answer a request; then 504", .zero = "no limit"),
    OPT_INT("drain-delay", "MS", args.server.drain_delay_ms, 0, 1 << 30,
            "after SIGTERM: still accept, but tell /readyz no", .zero = "none"),
    OPT_INT("drain-timeout", "MS", args.server.drain_timeout_ms, 0, 1 << 30,
            "after that: to finish running requests", .zero = "none"),
    OPT_THREADS(args.server.threads),
    OPT_JSON(args.json),
    OPT_END,
};

static hone_server *running;

static void stop(int number) {
    (void)number;
    hone_server_stop(running);
}

/* SA_RESETHAND: the second signal finds the default, which kills. */
static void handle_signals(void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void announce(const hone_server *s) {
    const char *host = args.server.host;
    const char *base =
        cli_text(strchr(host, ':') ? "http://[%s]:%d" : "http://%s:%d", host, hone_server_port(s));
    json_t *models = json_object();
    if (!args.json) printf("listening at %s\n", base);
    for (int i = 0; i < args.models.count; i++) {
        const char *item = args.models.items[i], *sign = strchr(item, '=');
        const char *name = cli_text("%.*s", (int)(sign - item), item);
        json_object_set_new(models, name, json_string(sign + 1));
        if (!args.json) printf("  %s: %s/v1/models/%s:predict\n", sign + 1, base, name);
    }
    if (args.json)
        cli_print_json(
            json_pack("{s:s, s:i, s:O}", "address", base, "port", hone_server_port(s), "models", models));
    json_decref(models);
    fflush(stdout);
}

static int run(void) {
    hone_error err = {0};
    for (int i = 0; i < args.models.count; i++) {
        const char *sign = strchr(args.models.items[i], '=');
        if (!sign || sign == args.models.items[i] || !sign[1])
            return cli_usage_error("--model needs NAME=PATH, not '%s'", args.models.items[i]);
    }
    args.server.models = args.models.items;
    args.server.model_count = (size_t)args.models.count;
    CLI_TRY(hone_server_create(&args.server, &running, &err));
    handle_signals(stop);
    announce(running);
    hone_status status = hone_server_run(running, &err);
    handle_signals(SIG_DFL);
    hone_server_free(running);
    return status == HONE_OK ? CLI_OK : cli_fail(&err);
}

const cli_command cli_cmd_serve = {
    "serve", "serve models over HTTP",
    "Speaks TensorFlow Serving's REST API: POST /v1/models/NAME:predict, GET /v1/models/NAME and\n"
    "GET /v1/models/NAME/metadata; also GET /metrics (Prometheus), /healthz and /readyz.\n"
    "SIGTERM or SIGINT (Ctrl-C): running requests finish, then it ends; a second one kills.\n\n"
    "  hone serve --model fashion=m.onnx --port 8501\n"
    "  curl -d '{\"instances\": [...]}' http://127.0.0.1:8501/v1/models/fashion:predict",
    options, run};
