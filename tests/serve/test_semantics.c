/* What HTTP (RFC 9110) says of methods, whatever the resource: HEAD, OPTIONS, methods that are not allowed or not known,
 * Date, and how many fields a request may have. */
#include "serve/caller.h"
#include "serve/servers.h"

enum { MOST_FIELDS = 64 };

typedef struct resource {
    const char *path;
    bool posts; /* else it is read */
} resource;

static const resource resources[] = {
    {"/healthz", false},
    {"/readyz", false},
    {"/metrics", false},
    {"/monitoring/prometheus/metrics", false},
    {"/v1/models/matrix", false},
    {"/v1/models/matrix/versions/1", false},
    {"/v1/models/matrix/metadata", false},
    {MATRIX, true},
    {"/v1/models/none:predict", true},
    {"/v1/models/matrix:classify", true},
    {"/v2", false},
    {"/v2/health/live", false},
    {"/v2/health/ready", false},
    {"/v2/models/matrix", false},
    {"/v2/models/matrix/versions/1", false},
    {"/v2/models/matrix/ready", false},
    {"/v2/models/none/ready", false},
    {"/v2/models/matrix/config", false},
    {"/v2/models/matrix/stats", false},
    {"/v2/models/stats", false},
    {"/v2/models/matrix/infer", true},
    {"/v2/repository/index", true},
    {"/v2/repository/models/none/load", true},
    {"/v2/repository/models/none/unload", true},
};
enum { RESOURCES = sizeof resources / sizeof *resources };

static fixture f;

static int open_server(void **state) {
    hone_server_options o = small_options();
    o.max_header_bytes = 16384;
    start(&f, &o);
    (void)state;
    return 0;
}

static int close_server(void **state) {
    (void)state;
    stop(&f);
    return 0;
}

static bool says(const reply *r, const char *field) {
    char line[200];
    snprintf(line, sizeof line, "\r\n%s\r\n", field);
    return strstr(r->head, line) != NULL;
}

static long length_of(const reply *r) {
    const char *at = strstr(r->head, "Content-Length: ");
    return at ? atol(at + 16) : -1;
}

static void check_date(const reply *r, const char *what) {
    const char *at = strstr(r->head, "\r\nDate: ");
    struct tm t;
    const char *end = at ? strptime(at + 8, "%a, %d %b %Y %H:%M:%S GMT", &t) : NULL;
    if (!end || end - at != 8 + 29 || end[0] != '\r') fail_msg("%s: no date: %s", what, r->head);
    if (strstr(at + 2, "\r\nDate: ")) fail_msg("%s: two dates", what);
}

static reply ask(const char *method, const char *path) {
    char text[300];
    client c = client_open(f.port);
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
             method, path);
    assert_true(client_text(&c, text));
    reply r = client_reply(&c, strcmp(method, "HEAD") == 0);
    if (r.status > 0) check_date(&r, path);
    assert_true(client_sees_close(&c, CLIENT_WAIT_MS));
    client_close(&c);
    return r;
}

/* The head of what GET would give, whose length may differ where numbers change. */
static void answers_head(void **state) {
    (void)state;
    for (int i = 0; i < RESOURCES; i++) {
        if (resources[i].posts) continue;
        bool counts = strstr(resources[i].path, "metrics") || strstr(resources[i].path, "stats");
        reply get = ask("GET", resources[i].path), head = ask("HEAD", resources[i].path);
        if (head.status != get.status || head.size > 0 || length_of(&head) < 0 ||
            (!counts && length_of(&head) != length_of(&get)))
            fail_msg("%s: %d, %ld bytes; HEAD: %d, %ld", resources[i].path, get.status, length_of(&get),
                     head.status, length_of(&head));
        free(get.body);
        free(head.body);
    }
}

static void tells_what_is_allowed(void **state) {
    static const char *const methods[] = {"GET",    "HEAD",  "POST",  "PUT",
                                          "DELETE", "PATCH", "TRACE", "OPTIONS"};
    (void)state;
    for (int i = 0; i < RESOURCES; i++) {
        const char *allow = resources[i].posts ? "Allow: POST, OPTIONS" : "Allow: GET, HEAD, OPTIONS";
        for (int k = 0; k < 8; k++) {
            bool reads = k < 2, posts = k == 2, options = k == 7;
            if (resources[i].posts ? posts : reads) continue;
            reply r = ask(methods[k], resources[i].path);
            char *at = strcasestr(r.head, "\r\nallow: ");
            if (at) at[2] = 'A';
            if (r.status != (options ? 200 : 405) || !says(&r, allow) || (options && length_of(&r) != 0))
                fail_msg("%s %s: %d %s", methods[k], resources[i].path, r.status, r.head);
            free(r.body);
        }
    }
    reply r = ask("OPTIONS", "*");
    assert_int_equal(r.status, 200);
    assert_non_null(strcasestr(r.head, "allow: GET, HEAD, POST, OPTIONS\r\n"));
    free(r.body);
}

static void knows_its_methods(void **state) {
    /* the last ones are HTTP's of somewhere else */
    static const char *const unknown[] = {"BREW",  "get",  "Post",      "GETS",    "X-Y",
                                          "PURGE", "LOCK", "SUBSCRIBE", "M-SEARCH"};
    (void)state;
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        reply r = ask(unknown[i], "/healthz");
        if (r.status != 501 || !strstr(r.body, "not known here"))
            fail_msg("%s: %d %s", unknown[i], r.status, r.head);
        free(r.body);
    }
    reply r = ask("CONNECT", "x:80");
    assert_int_equal(r.status, 501);
    free(r.body);
    static const char *const paths[] = {"/none", "/v1/none", "/v2/none"};
    for (size_t i = 0; i < 3; i++) { /* what is not there has no methods */
        r = ask("DELETE", paths[i]);
        assert_int_equal(r.status, i == 1 ? 400 : 404);
        free(r.body);
    }
}

static void does_the_same_over_http2(void **state) {
    static const struct {
        const char *method, *path;
        int status;
        const char *allow;
    } cases[] = {{"HEAD", "/v1/models/matrix", 200, NULL},
                 {"HEAD", MATRIX, 405, "allow: POST, OPTIONS\n"},
                 {"DELETE", "/v2", 405, "allow: GET, HEAD, OPTIONS\n"},
                 {"OPTIONS", "/v2", 200, "allow: GET, HEAD, OPTIONS\n"},
                 {"OPTIONS", "*", 200, "allow: GET, HEAD, POST, OPTIONS\n"},
                 {"BREW", "/healthz", 501, NULL},
                 {"get", "/healthz", 501, NULL}};
    caller c;
    (void)state;
    caller_open(&c, f.port);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        answer *a = peer_ask(&c.p, cases[i].method, cases[i].path, NULL, 0, NULL);
        assert_true(caller_wait(&c, a, true));
        if (a->status != cases[i].status || (cases[i].allow && !strstr(a->fields, cases[i].allow)))
            fail_msg("%s %s: %d %s", cases[i].method, cases[i].path, a->status, a->fields);
        assert_int_equal(strlen(a->date), 29);
        if (cases[i].method[0] == 'H') assert_int_equal(a->size, 0);
    }
    const char *const fields[] = {"content-type", "application/grpc", NULL};
    answer *a = peer_ask(&c.p, "GET", "/grpc.health.v1.Health/Check", NULL, 0, fields);
    assert_true(caller_wait(&c, a, true));
    assert_int_equal(a->status, 405);
    assert_non_null(strstr(a->fields, "allow: POST, OPTIONS\n"));
    caller_close(&c);
}

/* The limit on the number of fields, over both protocols. */
static void limits_fields(void **state) {
    (void)state;
    caller h2;
    caller_open(&h2, f.port);
    for (int count = MOST_FIELDS; count <= MOST_FIELDS + 1; count++) {
        char text[4000] = "GET /healthz HTTP/1.1\r\nHost: x\r\n";
        const char *fields[2 * MOST_FIELDS + 4] = {NULL};
        static char names[MOST_FIELDS + 1][8];
        for (int i = 1; i < count; i++) { /* Host, or :authority, is one */
            snprintf(names[i], sizeof names[i], "x-%d", i);
            sprintf(text + strlen(text), "%s: y\r\n", names[i]);
            fields[2 * i - 2] = names[i];
            fields[2 * i - 1] = "y";
        }
        strcat(text, "\r\n");
        client c = client_open(f.port);
        assert_true(client_text(&c, text));
        int wanted = count <= MOST_FIELDS ? 200 : 431;
        check_has(client_reply(&c, false), wanted, wanted == 200 ? "ok" : "too many header fields");
        client_close(&c);
        answer *a = peer_ask(&h2.p, "GET", "/healthz", NULL, 0, fields);
        assert_true(caller_wait(&h2, a, true));
        assert_int_equal(a->status, wanted);
    }
    caller_close(&h2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_head),      cmocka_unit_test(tells_what_is_allowed),
        cmocka_unit_test(knows_its_methods), cmocka_unit_test(does_the_same_over_http2),
        cmocka_unit_test(limits_fields),
    };
    return cmocka_run_group_tests(tests, open_server, close_server);
}
