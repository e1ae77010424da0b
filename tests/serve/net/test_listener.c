/* Where a server listens: two ports, a Unix domain socket, a port for administration. */
#include "serve/net/sockets.h"
#include "serve/servers.h"
#include "support/files.h"

#include <sys/stat.h>

static void asks(client c, const char *method, const char *path, const char *body, int status,
                 const char *part) {
    check_has(client_ask(&c, method, path, body), status, part);
    client_close(&c);
}

static void predicts(client c) {
    asks(c, "POST", MATRIX, ONE_ROW, 200, ONE_ROW_ANSWER);
}

static void serves_two_ports(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = small_options();
    o.rest_port = 0;
    start(&f, &o);
    int rest = hone_server_rest_port(f.server);
    assert_true(rest > 0 && rest != f.port);
    assert_int_equal(hone_server_admin_port(f.server), -1);
    predicts(client_open(f.port));
    predicts(client_open(rest));
    asks(client_open(rest), "GET", "/metrics", NULL, 200, "hone_connections_total 3\n");
    stop(&f);
    client c = client_open(rest);
    assert_int_equal(c.fd, -1);
}

static void keeps_connections_alive(void **state) {
    int fd, on = 0;
    socklen_t size = sizeof on;
    (void)state;
    assert_int_equal(hone_socket_listen("127.0.0.1", 0, &fd, NULL), HONE_OK);
    client c = client_open(hone_socket_port(fd));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, CLIENT_WAIT_MS), 1);
    int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    assert_int_equal(getsockopt(accepted, SOL_SOCKET, SO_KEEPALIVE, &on, &size), 0);
    assert_int_equal(on, 1);
    close(accepted);
    close(fd);
    client_close(&c);
}

static void serves_a_file(void **state) {
    (void)state;
    fixture f;
    struct stat is;
    const char *path = test_path("socket");
    hone_server_options o = small_options();
    o.unix_socket = path;
    start(&f, &o);
    assert_int_equal(lstat(path, &is), 0);
    assert_true(S_ISSOCK(is.st_mode));
    assert_int_equal(is.st_mode & 0777, 0600);
    predicts(client_open_file(path));
    predicts(client_open(f.port));

    hone_server *second = NULL;
    hone_error err = {0};
    assert_int_equal(hone_server_create(&o, &second, &err), HONE_ALREADY_EXISTS);
    assert_string_equal(err.message, "a server listens there already");
    assert_string_equal(err.file, path);
    predicts(client_open_file(path));
    stop(&f);
    assert_int_not_equal(lstat(path, &is), 0);
}

/* What a killed server leaves: a file that nobody listens at. */
static void replaces_what_is_left(void **state) {
    (void)state;
    fixture f;
    struct stat is;
    const char *path = test_path("socket");
    int fd;
    hone_socket_file file;
    assert_int_equal(hone_socket_listen_file(path, 0600, &fd, &file, NULL), HONE_OK);
    close(fd);
    hone_server_options o = small_options();
    o.unix_socket = path;
    o.unix_socket_mode = 0666;
    start(&f, &o);
    assert_int_equal(lstat(path, &is), 0);
    assert_int_equal(is.st_mode & 0777, 0666);
    predicts(client_open_file(path));
    hone_socket_file_remove(&file); /* not its file any more */
    assert_int_equal(lstat(path, &is), 0);
    stop(&f);
}

static void leaves_other_files_alone(void **state) {
    (void)state;
    const char *path = test_path("file");
    char longer[151] = {0};
    write_file(path, "", 0);
    hone_server_options o = small_options();
    hone_server *s = NULL;
    hone_error err = {0};
    o.unix_socket = path;
    assert_int_equal(hone_server_create(&o, &s, &err), HONE_ALREADY_EXISTS);
    assert_string_equal(err.message, "is there, and is no socket");
    assert_int_equal(access(path, F_OK), 0);
    o.unix_socket = test_dir;
    assert_int_equal(hone_server_create(&o, &s, &err), HONE_ALREADY_EXISTS);
    o.unix_socket = test_path("none/socket");
    assert_int_equal(hone_server_create(&o, &s, &err), HONE_NOT_FOUND);
    memset(longer, 'x', sizeof longer - 1);
    o.unix_socket = longer;
    assert_int_equal(hone_server_create(&o, &s, &err), HONE_INVALID_ARGUMENT);
    o.unix_socket = "";
    assert_int_equal(hone_server_create(&o, &s, &err), HONE_INVALID_ARGUMENT);
}

/* A socket that another one has taken the place of stays. */
static void removes_only_its_own_file(void **state) {
    (void)state;
    fixture f;
    struct stat is;
    const char *path = test_path("socket");
    hone_server_options o = small_options();
    o.unix_socket = path;
    start(&f, &o);
    int fd;
    hone_socket_file other;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(hone_socket_listen_file(path, 0600, &fd, &other, NULL), HONE_OK);
    stop(&f);
    assert_int_equal(lstat(path, &is), 0);
    close(fd);
    hone_socket_file_remove(&other);
}

/* gRPC's status stands in the head of an answer without messages, else behind it: the client takes the first
 * bytes of that for the end of the last chunk. */
static void calls(int port, const char *path, const char *grpc_status) {
    client c = client_open(port);
    char text[400], field[40];
    snprintf(text, sizeof text,
             "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc\r\nContent-Length: 5\r\n\r\n",
             path);
    snprintf(field, sizeof field, "status: %s\r\n", grpc_status);
    assert_true(client_text(&c, text) && client_send(&c, "\0\0\0\0", 5));
    reply r = client_reply(&c, false);
    bool found = strstr(r.head, field);
    while (!found && !(found = strstr(c.data, field)) && client_more(&c, CLIENT_WAIT_MS) > 0) {
    }
    if (r.status != 200 || !found) fail_msg("%s: %d %s, not %s", path, r.status, r.head, field);
    free(r.body);
    client_close(&c);
}

#define RELOAD "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
#define STATISTICS "/inference.GRPCInferenceService/ModelStatistics"
#define UNLOAD "/inference.GRPCInferenceService/RepositoryModelUnload"

static void splits_administration(void **state) {
    (void)state;
    fixture f;
    const char *path = test_path("socket");
    hone_server_options o = small_options();
    o.rest_port = o.admin_port = 0;
    o.unix_socket = path;
    start(&f, &o);
    int admin = hone_server_admin_port(f.server), rest = hone_server_rest_port(f.server);
    static const struct {
        const char *method, *path;
    } hidden[] = {{"GET", "/metrics"},
                  {"GET", "/v2/models/stats"},
                  {"POST", "/v2/repository/index"},
                  {"POST", "/v2/repository/models/matrix/unload"}};
    static const char refusal[] = "This is answered at the port for administration only";
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        const char *body = hidden[i].method[0] == 'P' ? "" : NULL;
        asks(client_open(f.port), hidden[i].method, hidden[i].path, body, 403, refusal);
        asks(client_open(rest), hidden[i].method, hidden[i].path, body, 403, refusal);
        asks(client_open_file(path), hidden[i].method, hidden[i].path, body, 403, refusal);
    }
    calls(f.port, RELOAD, "7");
    calls(f.port, STATISTICS, "7");
    calls(f.port, UNLOAD, "7");
    calls(f.port, "/grpc.health.v1.Health/Check", "0");
    static const char *const open[] = {"/healthz", "/readyz", "/v2/health/ready", "/v2/models/matrix/ready"};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        asks(client_open(f.port), "GET", open[i], NULL, 200, "");
        asks(client_open(admin), "GET", open[i], NULL, 200, "");
    }
    predicts(client_open(f.port));
    predicts(client_open(admin));
    asks(client_open(admin), "GET", "/metrics", NULL, 200, "code=\"403\"");
    asks(client_open(admin), "GET", "/v2/models/stats", NULL, 200, "model_stats");
    asks(client_open(admin), "POST", "/v2/repository/index", "", 200, "matrix");
    calls(admin, STATISTICS, "0");
    stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_two_ports),         cmocka_unit_test(serves_a_file),
        cmocka_unit_test(keeps_connections_alive),  cmocka_unit_test(replaces_what_is_left),
        cmocka_unit_test(leaves_other_files_alone), cmocka_unit_test(removes_only_its_own_file),
        cmocka_unit_test(splits_administration),
    };
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
