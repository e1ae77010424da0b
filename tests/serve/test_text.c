/* Texts that come from outside of the server, as names of files do: whatever bytes they have, what is told of them is
 * UTF-8, and no character is cut. */
#include "base/utf8.h"
#include "serve/format/wire.h"
#include "serve/http2_client.h"
#include "serve/process.h"
#include "serve/repo.h"
#include "serve/servers.h"

#include <hone/log.h>

#include <stdatomic.h>

#define LATIN "caf\xe9" /* ISO 8859-1 */
#define SHOWN "caf\xef\xbf\xbd"
#define INDEX "/inference.GRPCInferenceService/RepositoryIndex"

static atomic_int lines, bad_lines, shown_lines;

static void look_at_line(void *user, hone_log_level level, const char *line) {
    (void)user, (void)level;
    atomic_fetch_add(&lines, 1);
    if (!hone_utf8_is_valid(line, strlen(line))) atomic_fetch_add(&bad_lines, 1);
    if (strstr(line, SHOWN)) atomic_fetch_add(&shown_lines, 1);
}

static void check_text(reply r, int status, const char *part) {
    if (!hone_utf8_is_valid(r.body, r.size)) fail_msg("no UTF-8: %s", r.body);
    check_has(r, status, part);
}

/* Every text of the index is UTF-8: clients would not take the message otherwise. */
static void check_index(const http2_client *h) {
    int models = 0;
    hone_wire w = hone_wire_of((const uint8_t *)h->body + 5, h->size - 5);
    hone_wire_field entry, f;
    while (hone_wire_next(&w, &entry)) {
        hone_wire inner = hone_wire_into(&entry);
        while (hone_wire_next(&inner, &f)) {
            hone_slice text = hone_wire_text(&f);
            assert_true(hone_utf8_is_valid(text.data, text.size));
            if (f.number == 1 && hone_slice_equal(text, SHOWN)) models++;
        }
    }
    assert_int_equal(models, 1);
}

static void tells_names_in_utf8(void **state) {
    fixture f;
    http2_client h;
    char log[PATH_MAX];
    hone_blob written;
    (void)state;
    repo_make();
    snprintf(log, sizeof log, "%s.log", repo_root);
    repo_put_plus(LATIN, 1);
    repo_put_garbage("bad" LATIN, 1);
    hone_server_options o = small_options();
    o.repository = repo_root;
    o.access_log = log;
    hone_log_set(look_at_line, NULL, HONE_LOG_INFO);
    start(&f, &o);
    client c = client_open(f.port);
    check_text(client_ask(&c, "POST", "/v2/repository/index", "{}"), 200, "\"name\":\"" SHOWN "\"");
    check_text(client_ask(&c, "GET", "/v1/models/caf%E9", NULL), 200, "AVAILABLE");
    check_text(client_ask(&c, "GET", "/v1/models/caf%E9/metadata", NULL), 200, SHOWN);
    check_text(client_ask(&c, "GET", "/v1/models/badcaf%E9", NULL), 200, "END");
    check_text(client_ask(&c, "POST", "/v1/models/caf%E9:predict", "{\"instances\": [[0, 0, 0]]}"), 200,
               "1.0");
    check_text(client_ask(&c, "POST", "/v2/models/caf%E9/infer", "{"), 400, "error");
    check_text(client_ask(&c, "POST", "/v1/models/x%E9:predict", "{}"), 404, "x\xef\xbf\xbd");
    check_text(client_ask(&c, "GET", "/v2/models/caf%E9/config", NULL), 200, SHOWN);
    check_text(client_ask(&c, "GET", "/v2/models/stats", NULL), 200, SHOWN);
    check_text(client_ask(&c, "GET", "/metrics", NULL), 200, "model=\"" SHOWN "\"");
    check_text(client_ask(&c, "GET", "/monitoring/prometheus/metrics", NULL), 200,
               "model_name=\"" SHOWN "\"");
    http2_open(&h, f.port);
    assert_true(http2_call(&h, INDEX, "", 0) && h.code == 0);
    check_index(&h);
    http2_close(&h);
    client_close(&c);
    stop(&f);
    hone_log_set(NULL, NULL, HONE_LOG_INFO);
    assert_true(atomic_load(&shown_lines) >= 2);
    assert_int_equal(atomic_load(&bad_lines), 0);
    assert_int_equal(hone_file_read(log, 0, &written, NULL), HONE_OK);
    assert_true(hone_utf8_is_valid((const char *)written.data, written.size));
    assert_non_null(
        memmem(written.data, written.size, "\"model\":\"" SHOWN "\"", strlen("\"model\":\"" SHOWN "\"")));
    hone_blob_free(&written);
    unlink(log);
    repo_remove();
}

/* Names of every length, so that each kind of message is cut in each place of a character. */
static void cuts_no_characters(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = small_options();
    start(&f, &o);
    client c = client_open(f.port);
    for (int length = 0; length < 300; length++) {
        char name[1200] = "", body[1500], path[1300];
        for (int i = 0; i < length % 4; i++) strcat(name, "x");
        for (int i = 0; i < length; i++) strcat(name, "\xe2\x82\xac");
        snprintf(body, sizeof body, "{\"inputs\": {\"%s\": [1]}}", name);
        check_text(client_ask(&c, "POST", MATRIX, body), 400, "error");
        snprintf(body, sizeof body, "{\"instances\": [\"%s\"]}", name);
        check_text(client_ask(&c, "POST", MATRIX, body), 400, "error");
        snprintf(body, sizeof body,
                 "{\"inputs\": [{\"name\": \"%s\", \"datatype\": \"%s\", \"shape\": [1], \"data\": [1]}]}",
                 name, name);
        if (strlen(body) < sizeof body - 1)
            check_text(client_ask(&c, "POST", "/v2/models/matrix/infer", body), 400, "error");
        hone_error err = {0};
        hone_server *s = NULL;
        snprintf(path, sizeof path, "m=/nowhere/%s/model.onnx", name);
        const char *const models[] = {path};
        o.models = models;
        o.model_count = 1;
        char text[700];
        assert_int_equal(hone_server_create(&o, &s, &err), HONE_OK);
        assert_int_not_equal(hone_server_run(s, &err), HONE_OK);
        hone_error_format(&err, text, sizeof text);
        assert_true(hone_utf8_is_valid(text, strlen(text)));
        assert_null(strstr(text, HONE_UTF8_REPLACEMENT));
        hone_server_free(s);
    }
    client_close(&c);
    stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_names_in_utf8),
        cmocka_unit_test(cuts_no_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
