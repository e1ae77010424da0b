/* Secrets: their file, what requests show, and what a server answers to those who show none or the wrong
 * one. */
#include "serve/access/auth.h"

#include "base/memory.h"
#include "serve/access/tokens.h"
#include "serve/caller.h"
#include "serve/repo.h"
#include "serve/servers.h"

#include <hone/log.h>

#define WEB "web-secret-0123456789"
#define OPS "ops-secret-9876543210"
#define EYE "eye/secret+with=every~.char_-"

enum { PREDICT = 1 << HONE_SCOPE_PREDICT, ADMIN = 1 << HONE_SCOPE_ADMIN, METRICS = 1 << HONE_SCOPE_METRICS };

/* --- what is logged --- */

static struct {
    pthread_mutex_t lock;
    size_t size;
    char text[1 << 16];
} logged = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void keep_log(void *user, hone_log_level level, const char *message) {
    (void)user;
    pthread_mutex_lock(&logged.lock);
    int n =
        snprintf(logged.text + logged.size, sizeof logged.text - logged.size, "%d %s\n", (int)level, message);
    if (n > 0 && logged.size + (size_t)n < sizeof logged.text) logged.size += (size_t)n;
    pthread_mutex_unlock(&logged.lock);
}

static bool log_has(const char *part) {
    pthread_mutex_lock(&logged.lock);
    bool has = strstr(logged.text, part) != NULL;
    pthread_mutex_unlock(&logged.lock);
    return has;
}

/* --- the file --- */

static unsigned scopes_of(const hone_tokens *t, const char *secret) {
    return hone_tokens_scopes(t, (hone_slice){secret, strlen(secret)});
}

static void reads_files(void **state) {
    static const char text[] = "# who may do what\n"
                               "\n"
                               "web  predict " WEB "\r\n"
                               "\tops predict,admin,metrics\tsha256:"
                               "9f86d081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08  \n"
                               "   # indented\n"
                               "eye metrics,metrics " EYE;
    hone_tokens *t;
    hone_error err;
    (void)state;
    if (hone_tokens_parse("f", text, sizeof text - 1, &t, &err) != HONE_OK) fail_msg("%s", err.message);
    assert_int_equal(hone_tokens_count(t), 3);
    assert_int_equal(scopes_of(t, WEB), PREDICT);
    assert_int_equal(scopes_of(t, "test"), PREDICT | ADMIN | METRICS); /* whose hash that is */
    assert_int_equal(scopes_of(t, EYE), METRICS);
    assert_int_equal(scopes_of(t, ""), 0);
    assert_int_equal(scopes_of(t, WEB " "), 0);
    assert_int_equal(scopes_of(t, "web"), 0);
    assert_int_equal(scopes_of(t, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"), 0);
    assert_int_equal(hone_tokens_scopes(t, (hone_slice){WEB "x", sizeof WEB - 1}), PREDICT);
    hone_tokens_free(t);
    hone_tokens_free(NULL);
}

static void refuses_files(void **state) {
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "no secrets"},
        {"# nothing\n\n", "no secrets"},
        {"web predict", "line 1: a line must have three words"},
        {"\n\nweb predict topsecret-1 more", "line 3: a line must have three words"},
        {"topsecret-1 web predict", "line 1: the second word must be of predict"},
        {"web predict, topsecret-1", "line 1: the second word"},
        {"web ,predict topsecret-1", "line 1: the second word"},
        {"web open topsecret-1", "line 1: the second word"},
        {"web Predict topsecret-1", "line 1: the second word"},
        {"web predict topsecret-1\nops admin topsec", "line 2: the secret has less than 8"},
        {"web predict sha256:topsecret", "line 1: \"sha256:\" must be followed by 64"},
        {"web predict sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a0",
         "line 1: \"sha256:\""},
        {"web predict sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a0g",
         "line 1: \"sha256:\""},
        {"web predict topsecret-\xc3\xa4", "line 1: there is a character that is not printable"},
        {"web predict topsecret-\1\n", "line 1: there is a character"},
        {"web predict topsecret-1\n\nops admin topsecret-1", "line 3: the secret is that of line 1"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_tokens *t;
        hone_error err = {0};
        assert_int_equal(hone_tokens_parse("secrets.txt", cases[i].text, strlen(cases[i].text), &t, &err),
                         HONE_INVALID_ARGUMENT);
        if (!strstr(err.message, cases[i].part) || strstr(err.message, "topsec"))
            fail_msg("case %zu: %s", i, err.message);
        char line[600];
        hone_error_format(&err, line, sizeof line);
        assert_non_null(strstr(line, "secrets.txt"));
    }
    /* a zero byte, and too many */
    hone_tokens *t;
    hone_error err = {0};
    assert_int_equal(hone_tokens_parse("f", "web predict secret\0word", 23, &t, &err), HONE_INVALID_ARGUMENT);
    hone_buffer many = {0};
    for (int i = 0; i <= HONE_TOKENS_MOST; i++) hone_buffer_printf(&many, "n predict secret-%d\n", i);
    assert_int_equal(hone_tokens_parse("f", many.data, many.size, &t, &err), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "line 1001"));
    hone_buffer_free(&many);
}

static void parses_without_memory(void **state) {
    static const char text[] = "web predict " WEB "\nops admin " OPS "\n";
    bool made = false;
    (void)state;
    for (uint64_t n = 1; n < 100 && !made; n++) {
        hone_tokens *t = NULL;
        hone_alloc_fail_at(n, false);
        made = hone_tokens_parse("f", text, sizeof text - 1, &t, NULL) == HONE_OK;
        hone_alloc_fail_at(0, false);
        hone_tokens_free(t);
    }
    assert_true(made);
}

static void opens_without_memory(void **state) {
    char *file = repo_path("secrets");
    bool made = false;
    (void)state;
    repo_text(file, "web predict " WEB "\n");
    assert_int_equal(chmod(file, 0600), 0);
    for (uint64_t n = 1; n < 100 && !made; n++) {
        hone_auth *a = NULL;
        hone_alloc_fail_at(n, false);
        made = hone_auth_open(file, &a, NULL) == HONE_OK;
        hone_alloc_fail_at(0, false);
        hone_auth_close(a);
    }
    assert_true(made);
}

/* --- what requests show --- */

static hone_auth_verdict verdict(hone_auth *a, hone_scope scope, const char *name, const char *value,
                                 const char *second_name, const char *second_value) {
    hone_head head = {.field_count = 0};
    const char *pairs[] = {name, value, second_name, second_value};
    for (int i = 0; i < 4 && pairs[i]; i += 2)
        head.fields[head.field_count++] =
            (hone_field){{pairs[i], strlen(pairs[i])}, {pairs[i + 1], strlen(pairs[i + 1])}};
    return hone_auth_check(a, &head, scope);
}

static hone_auth *open_auth(const char *text) {
    hone_auth *a;
    hone_error err;
    char *file = repo_path("secrets");
    repo_write(file, text, strlen(text));
    assert_int_equal(chmod(file, 0600), 0);
    if (hone_auth_open(file, &a, &err) != HONE_OK) fail_msg("%s", err.message);
    return a;
}

static void finds_the_secret(void **state) {
    const hone_scope p = HONE_SCOPE_PREDICT;
    hone_auth *a = open_auth("web predict " WEB "\neye metrics " EYE "\n");
    (void)state;
    assert_int_equal(verdict(a, p, "Authorization", "Bearer " WEB, NULL, NULL), HONE_AUTH_FINE);
    assert_int_equal(verdict(a, p, "authorization", "bEARER   " WEB, NULL, NULL), HONE_AUTH_FINE);
    assert_int_equal(verdict(a, p, "X-Api-Key", WEB, NULL, NULL), HONE_AUTH_FINE);
    assert_int_equal(verdict(a, p, "Authorization", "Basic " WEB, "x-api-key", WEB), HONE_AUTH_FINE);
    assert_int_equal(verdict(a, p, "Authorization", "Bearer nobodys", "x-api-key", WEB), HONE_AUTH_UNKNOWN);
    assert_int_equal(verdict(a, p, "Authorization", "Basic " WEB, NULL, NULL), HONE_AUTH_NO_SECRET);
    assert_int_equal(verdict(a, p, "Authorization", "Bearer", NULL, NULL), HONE_AUTH_NO_SECRET);
    assert_int_equal(verdict(a, p, "Authorization", "Bearer ", NULL, NULL), HONE_AUTH_NO_SECRET);
    assert_int_equal(verdict(a, p, "Authorization", "Bearer" WEB, NULL, NULL), HONE_AUTH_NO_SECRET);
    assert_int_equal(verdict(a, p, NULL, NULL, NULL, NULL), HONE_AUTH_NO_SECRET);
    assert_int_equal(verdict(a, p, "X-Api-Key", EYE, NULL, NULL), HONE_AUTH_NO_SCOPE);
    assert_int_equal(verdict(a, HONE_SCOPE_METRICS, "X-Api-Key", EYE, NULL, NULL), HONE_AUTH_FINE);
    assert_int_equal(verdict(a, HONE_SCOPE_ADMIN, "X-Api-Key", EYE, NULL, NULL), HONE_AUTH_NO_SCOPE);
    assert_int_equal(verdict(a, HONE_SCOPE_OPEN, NULL, NULL, NULL, NULL), HONE_AUTH_FINE);
    assert_int_equal(verdict(a, HONE_SCOPE_OPEN, "X-Api-Key", "whatever", NULL, NULL), HONE_AUTH_FINE);
    hone_auth_close(a);
}

static bool good(hone_auth *a, const char *secret) {
    return verdict(a, HONE_SCOPE_PREDICT, "x-api-key", secret, NULL, NULL) == HONE_AUTH_FINE;
}

static void follows_the_file(void **state) {
    hone_auth *a = open_auth("web predict " WEB "\n");
    char *file = repo_path("secrets");
    (void)state;
    hone_auth_refresh(a, true);
    assert_true(good(a, WEB));
    assert_false(log_has("read again"));
    /* in its own time: when two looks saw the same */
    repo_text(file, "web predict " OPS "\n");
    assert_int_equal(chmod(file, 0600), 0);
    hone_auth_refresh(a, false);
    assert_true(good(a, WEB) && !good(a, OPS));
    hone_auth_refresh(a, false);
    assert_true(!good(a, WEB) && good(a, OPS));
    assert_true(log_has("read again, 1 secrets"));
    /* a broken one, a missing one, a directory: the old ones stay */
    repo_text(file, "web predict\n");
    hone_auth_refresh(a, true);
    assert_true(good(a, OPS));
    assert_true(log_has("stay as they were: "));
    assert_true(log_has("line 1: a line must have three words"));
    assert_int_equal(unlink(file), 0);
    hone_auth_refresh(a, true);
    assert_true(good(a, OPS));
    assert_int_equal(mkdir(file, 0700), 0);
    hone_auth_refresh(a, true);
    assert_true(good(a, OPS));
    assert_int_equal(rmdir(file), 0);
    /* at once when asked; readable for others: a warning */
    assert_false(log_has("have access to it"));
    repo_text(file, "web predict " WEB "\n");
    assert_int_equal(chmod(file, 0644), 0);
    hone_auth_refresh(a, true);
    assert_true(good(a, WEB) && !good(a, OPS));
    assert_true(log_has("have access to it"));
    assert_false(log_has("secret-0")); /* no part of a secret */
    hone_auth_close(a);
    hone_error err;
    assert_int_equal(hone_auth_open("/nowhere/secrets", &a, &err), HONE_NOT_FOUND);
}

/* Loops ask while the file changes. */
typedef struct asker {
    hone_auth *auth;
    atomic_bool stop;
    atomic_int bad;
} asker;

static void *ask_all_the_time(void *arg) {
    asker *k = arg;
    while (!atomic_load(&k->stop))
        if (!good(k->auth, WEB) || good(k->auth, OPS)) atomic_fetch_add(&k->bad, 1);
    return NULL;
}

static void changes_under_requests(void **state) {
    asker k = {.auth = open_auth("web predict " WEB "\n")};
    pthread_t threads[2];
    (void)state;
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, ask_all_the_time, &k), 0);
    for (int i = 0; i < 50; i++) {
        char text[200];
        snprintf(text, sizeof text, "other admin other-secret-%d\nweb predict " WEB "\n", i);
        repo_text(repo_path("secrets"), text);
        hone_auth_refresh(k.auth, true);
    }
    atomic_store(&k.stop, true);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&k.bad), 0);
    hone_auth_close(k.auth);
}

/* --- a server --- */

static void start_guarded(fixture *s, const char *secrets) {
    hone_server_options o = small_options();
    o.auth_file = repo_path("secrets");
    repo_write(o.auth_file, secrets, strlen(secrets));
    assert_int_equal(chmod(o.auth_file, 0600), 0);
    o.file_poll_ms = 0; /* only when asked to */
    start(s, &o);
}

static reply ask(client *c, const char *method, const char *path, const char *secret, const char *body) {
    char head[1024];
    snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: x\r\n%s%s%sContent-Length: %zu\r\n\r\n%s", method,
             path, secret ? "Authorization: Bearer " : "", secret ? secret : "", secret ? "\r\n" : "",
             strlen(body), body);
    assert_true(client_text(c, head));
    return client_reply(c, false);
}

static void guards_rest(void **state) {
    fixture s;
    (void)state;
    start_guarded(&s, "web predict " WEB "\nops admin,metrics " OPS "\n");
    client c = client_open(s.port);
    static const char *const open[] = {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready",
                                       "/v2/models/matrix/ready"};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        check(ask(&c, "GET", open[i], NULL, ""), 200, NULL);
    check_has(ask(&c, "GET", "/v1/models/matrix", WEB, ""), 200, "AVAILABLE");
    /* without a body the connection goes on */
    reply r = ask(&c, "GET", "/v1/models/matrix", NULL, "");
    assert_non_null(strcasestr(r.head, "www-authenticate: Bearer"));
    assert_null(strcasestr(r.head, "connection: close"));
    check_has(r, 401, "{\n    \"error\": \"This needs a secret");
    check_has(ask(&c, "GET", "/v2/models/matrix", "not-known-here", ""), 401,
              "\"error\": \"The secret is not known");
    check_has(ask(&c, "GET", "/metrics", WEB, ""), 403, "\"error\": \"The secret is not good for this");
    check_has(ask(&c, "GET", "/metrics", OPS, ""), 200, "hone_requests_total");
    check_has(ask(&c, "GET", "/metrics", OPS, ""), 200, "hone_request_errors_total{reason=\"denied\"} 3");
    check_has(ask(&c, "POST", MATRIX, WEB, ONE_ROW), 200, ONE_ROW_ANSWER);
    check_has(ask(&c, "POST", "/v2/repository/index", OPS, ""), 200, "matrix");
    check_has(ask(&c, "POST", "/v2/repository/index", WEB, ""), 403, "error");
    check_has(ask(&c, "GET", "/nothing", OPS, ""), 403, "error");
    check_has(ask(&c, "GET", "/nothing", WEB, ""), 404, "error");
    client_close(&c);
    /* what comes with a body ends the connection */
    c = client_open(s.port);
    r = ask(&c, "POST", MATRIX, OPS, ONE_ROW);
    assert_non_null(strcasestr(r.head, "connection: close"));
    check_has(r, 403, "error");
    assert_true(client_sees_close(&c, CLIENT_WAIT_MS));
    client_close(&c);
    c = client_open(s.port);
    assert_true(client_text(&c, "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nX-API-Key: " WEB
                                "\r\nContent-Length: 26\r\n\r\n" ONE_ROW));
    check(client_reply(&c, false), 200, NULL);
    client_close(&c);
    stop(&s);
    assert_false(log_has("secret-"));
}

/* The answer comes before the body does, which never does. */
static void asks_before_it_reads(void **state) {
    static const char *const lengths[] = {"Content-Length: 1000000", "Transfer-Encoding: chunked",
                                          "Expect: 100-continue\r\nContent-Length: 1000000"};
    fixture s;
    (void)state;
    start_guarded(&s, "web predict " WEB "\n");
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char head[300];
        client c = client_open(s.port);
        snprintf(head, sizeof head, "POST " MATRIX " HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", lengths[i]);
        assert_true(client_text(&c, head));
        check_has(client_reply(&c, false), 401, "error");
        client_close(&c);
    }
    caller c;
    caller_open(&c, s.port);
    static char body[1 << 20];
    answer *a = peer_ask(&c.p, "POST", MATRIX, body, sizeof body,
                         (const char *const[]){"x-api-key", "wrong-one", NULL});
    a->hold = 1;
    assert_true(caller_wait(&c, a, true));
    assert_int_equal(a->status, 401);
    assert_non_null(strstr(a->fields, "www-authenticate: Bearer"));
    assert_non_null(strstr(a->body, "not known"));
    /* the connection serves others */
    a = peer_ask(&c.p, "POST", MATRIX, ONE_ROW, strlen(ONE_ROW),
                 (const char *const[]){"authorization", "Bearer " WEB, NULL});
    assert_true(caller_wait(&c, a, true));
    assert_int_equal(a->status, 200);
    caller_close(&c);
    stop(&s);
}

static void guards_grpc(void **state) {
    static const char *const web[] = {"x-api-key", WEB, NULL}, *const ops[] = {"authorization", "Bearer " OPS,
                                                                               NULL};
    fixture s;
    caller c;
    (void)state;
    start_guarded(&s, "web predict " WEB "\nops admin " OPS "\n");
    caller_open(&c, s.port);
    static const struct {
        const char *path;
        const char *const *fields;
        const char *status;
    } cases[] = {{"/grpc.health.v1.Health/Check", NULL, "grpc-status: 0\n"},
                 {"/inference.GRPCInferenceService/ServerLive", NULL, "grpc-status: 0\n"},
                 {"/inference.GRPCInferenceService/ServerMetadata", NULL, "grpc-status: 16\n"},
                 {"/inference.GRPCInferenceService/ServerMetadata", web, "grpc-status: 0\n"},
                 {"/inference.GRPCInferenceService/ServerMetadata", ops, "grpc-status: 7\n"},
                 {"/inference.GRPCInferenceService/RepositoryIndex", web, "grpc-status: 7\n"},
                 {"/inference.GRPCInferenceService/RepositoryIndex", ops, "grpc-status: 0\n"},
                 {REFLECTION, NULL, "grpc-status: 16\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        answer *a = caller_call(&c, cases[i].path, cases[i].fields, false);
        assert_true(caller_wait(&c, a, true));
        assert_int_equal(a->status, 200);
        if (!strstr(a->fields, cases[i].status) && !strstr(a->trailers, cases[i].status))
            fail_msg("%s: %s%s, expected %s", cases[i].path, a->fields, a->trailers, cases[i].status);
    }
    /* the head is enough */
    answer *a = caller_call(&c, "/tensorflow.serving.PredictionService/Predict", NULL, true);
    assert_true(caller_wait(&c, a, true));
    assert_non_null(strstr(a->fields, "grpc-status: 16\n"));
    caller_close(&c);
    stop(&s);
}

static void reloads(void **state) {
    fixture s;
    (void)state;
    start_guarded(&s, "web predict " WEB "\n");
    client c = client_open(s.port);
    check(ask(&c, "GET", "/v1/models/matrix", OPS, ""), 401, NULL);
    repo_text(repo_path("secrets"), "ops predict " OPS "\n");
    hone_server_reload(s.server);
    int status = 401;
    for (int i = 0; i < CLIENT_WAIT_MS && status == 401; i++) {
        reply r = ask(&c, "GET", "/v1/models/matrix", OPS, "");
        status = r.status;
        free(r.body);
        usleep(1000);
    }
    assert_int_equal(status, 200);
    check(ask(&c, "GET", "/v1/models/matrix", WEB, ""), 401, NULL);
    client_close(&c);
    stop(&s);
    hone_server *none;
    hone_error err;
    hone_server_options o = small_options();
    o.auth_file = repo_path("secrets");
    repo_text(o.auth_file, "ops predict\n");
    assert_int_equal(hone_server_create(&o, &none, &err), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "line 1"));
}

static int set_up(void **state) {
    (void)state;
    repo_make();
    hone_log_set(keep_log, NULL, HONE_LOG_INFO);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    repo_remove();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_files),
                                       cmocka_unit_test(refuses_files),
                                       cmocka_unit_test(parses_without_memory),
                                       cmocka_unit_test(opens_without_memory),
                                       cmocka_unit_test(finds_the_secret),
                                       cmocka_unit_test(follows_the_file),
                                       cmocka_unit_test(changes_under_requests),
                                       cmocka_unit_test(guards_rest),
                                       cmocka_unit_test(asks_before_it_reads),
                                       cmocka_unit_test(guards_grpc),
                                       cmocka_unit_test(reloads)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
