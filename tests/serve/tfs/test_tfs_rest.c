#include "serve/fronts.h"
#include "serve/tfs/tfs_rest.h"

static int setup(void **state) {
    static fixture f;
    fixture_open(&f);
    fixture_add(&f, "a b/c", 1, integer_model());
    fixture_add(&f, "maps", 1, maps_model(false));
    fixture_add(&f, "text_maps", 1, maps_model(true));
    fixture_add(&f, "loose", 1, loose_maps_model());
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture_close(*state);
    return 0;
}

static void handle(fixture *f, hone_request *r) {
    hone_tfs_handle(f->front, r);
}

static answer ask_with(fixture *f, const char *method, const char *path, const char *body,
                       const char *fields) {
    answer a = fixture_send(f, handle, method, path, fields, body, strlen(body));
    assert_int_equal(a.length, a.body.size);
    assert_string_equal(a.type, "application/json");
    return a;
}

static answer ask(fixture *f, const char *method, const char *path, const char *body) {
    return ask_with(f, method, path, body, NULL);
}

/* The text without white space. */
static void squeeze(char *text) {
    char *out = text;
    for (; *text; text++)
        if (*text != ' ' && *text != '\n') *out++ = *text;
    *out = 0;
}

static void expect(fixture *f, const char *path, const char *body, int status, const char *squeezed) {
    answer a = ask(f, "POST", path, body);
    squeeze(a.body.data);
    if (a.status != status || strcmp(a.body.data, squeezed) != 0)
        fail_msg("%s: %d %s, expected %d %s", body, a.status, a.body.data, status, squeezed);
    answer_free(&a);
}

static void expect_error(fixture *f, const char *method, const char *path, const char *body, int status,
                         const char *message) {
    char want[1024];
    answer a = ask(f, method, path, body);
    snprintf(want, sizeof want, "{\n    \"error\": \"%s\"\n}", message);
    if (a.status != status || strcmp(a.body.data, want) != 0)
        fail_msg("%s %s %s: %d %s, expected %d %s", method, path, body, a.status, a.body.data, status, want);
    answer_free(&a);
}

#define MATRIX "/v1/models/matrix:predict"
#define PAIR "/v1/models/pair:predict"
#define INTEGER "/v1/models/integer:predict"

static void predicts_rows(void **state) {
    fixture *f = *state;
    expect(f, MATRIX, "{\"instances\": [[1, 0, 0], [0, 1.5, 0], [1e0, 1, 1]]}", 200,
           "{\"predictions\":[[1.0,2.0],[4.5,6.0],[9.0,12.0]]}");
    expect(f, MATRIX, "{\"instances\": [{\"x\": [1, 0, 0]}, {\"x\": [0, 0, 1]}]}", 200,
           "{\"predictions\":[[1.0,2.0],[5.0,6.0]]}");
    expect(f, MATRIX, " { \"signature_name\" : \"serving_default\" , \"instances\":[[1,0,0]] } ", 200,
           "{\"predictions\":[[1.0,2.0]]}");
    expect(f, MATRIX, "{\"instances\":[[1,0,0]], \"signature_name\":\"\", \"other\": {\"a\": [null]}}", 200,
           "{\"predictions\":[[1.0,2.0]]}");
    expect(f, INTEGER, "{\"instances\": [1, -2, 3]}", 200, "{\"predictions\":[2,-4,6]}");
    expect(f, PAIR, "{\"instances\": [{\"a\": 1, \"b\": 2}, {\"b\": 0.5, \"a\": 3}]}", 200,
           "{\"predictions\":[{\"sum\":3.0,\"difference\":-1.0},{\"sum\":3.5,\"difference\":2.5}]}");
}

static void predicts_columns(void **state) {
    fixture *f = *state;
    expect(f, MATRIX, "{\"inputs\": [[1, 0, 0], [0, 1, 0]]}", 200, "{\"outputs\":[[1.0,2.0],[3.0,4.0]]}");
    expect(f, MATRIX, "{\"inputs\": {\"x\": [[1, 0, 0]]}}", 200, "{\"outputs\":[[1.0,2.0]]}");
    expect(f, PAIR, "{\"inputs\": {\"a\": [1, 2], \"ignored\": {}, \"b\": [3, NaN]}}", 200,
           "{\"outputs\":{\"sum\":[4.0,NaN],\"difference\":[-2.0,NaN]}}");
    expect(f, PAIR, "{\"inputs\": {\"a\": [Infinity], \"b\": [1]}}", 200,
           "{\"outputs\":{\"sum\":[Infinity],\"difference\":[Infinity]}}");
}

static void predicts_maps(void **state) {
    fixture *f = *state;
    expect(f, "/v1/models/maps:predict", "{\"instances\": [[1, 0.5], [-1, 2]]}", 200,
           "{\"predictions\":[{\"label\":0,\"scores\":{\"-1\":2.0,\"7\":1.0}},"
           "{\"label\":1,\"scores\":{\"-1\":-2.0,\"7\":4.0}}]}");
    expect(f, "/v1/models/text_maps:predict", "{\"inputs\": [[1, 0.5], [-1, 2]]}", 200,
           "{\"outputs\":{\"label\":[0,1],\"scores\":[{\"no\":2.0,\"a\\\"b\\\"\":1.0},"
           "{\"no\":-2.0,\"a\\\"b\\\"\":4.0}]}}");
    expect(f, "/v1/models/loose:predict", "{\"inputs\": [[1, 2, 3]]}", 400,
           "{\"error\":\"output\\\"scores\\\"hasotherrowsthankeys\"}");
}

/* As TensorFlow Serving prints it, byte for byte. */
static void prints_like_tensorflow(void **state) {
    fixture *f = *state;
    answer a = ask(f, "POST", MATRIX, "{\"instances\": [[1, 0, 0], [0, 0.1, 0]]}");
    assert_string_equal(a.body.data, "{\n    \"predictions\": [[1.0, 2.0], [0.3, 0.4]\n    ]\n}");
    answer_free(&a);
    a = ask(f, "POST", PAIR, "{\"instances\": [{\"a\": 1, \"b\": 2}, {\"a\": 1, \"b\": 1}]}");
    assert_string_equal(a.body.data,
                        "{\n    \"predictions\": [\n        {\n            \"sum\": 3.0,\n"
                        "            \"difference\": -1.0\n        },\n        {\n            \"sum\": 2.0,\n"
                        "            \"difference\": 0.0\n        }\n    ]\n}");
    answer_free(&a);
}

static void explains_bad_bodies(void **state) {
    fixture *f = *state;
    static const struct {
        const char *path, *body, *message;
    } cases[] = {
        {MATRIX, "", "JSON Parse error: The document is empty at offset: 0 (the end)"},
        {MATRIX, "{", "JSON Parse error: Expected a string at offset: 1 (the end)"},
        {MATRIX, "[1]", "JSON Value: Is not object"},
        {MATRIX, "{}", "Missing 'inputs' or 'instances' key"},
        {MATRIX, "{} x",
         "JSON Parse error: The document root must not be followed by other values. at offset: 3"},
        {MATRIX, "{\"instances\": []}", "No values in 'instances' array"},
        {MATRIX, "{\"instances\": 1}", "Expecting 'instances' to be a list/array"},
        {MATRIX, "{\"instances\": [[1,2,3]], \"inputs\": 1}",
         "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist"},
        {MATRIX, "{\"instances\": [[1, 2, 3], [4, 5]]}",
         "Encountered list at unexpected size: 2 at level: 1 expected size: 3"},
        {MATRIX, "{\"instances\": [[1, 2]]}",
         "input \\\"x\\\" has the shape [1, 2], but the model takes [batch, 3]"},
        {MATRIX, "{\"instances\": [1, 2, 3]}",
         "input \\\"x\\\" has the shape [3], but the model takes [batch, 3]"},
        {MATRIX, "{\"inputs\": [[[1, 2, 3]]]}",
         "input \\\"x\\\" has the shape [1, 1, 3], but the model takes [batch, 3]"},
        {MATRIX, "{\"instances\": [[1, 2, \\\"3\\\"]]}", "JSON Parse error: Invalid value at offset: 22"},
        {MATRIX, "{\"instances\": [[1, 2, \"3\"]]}",
         "JSON Value: \\\"3\\\" Type: String is not of expected type: float"},
        {MATRIX, "{\"instances\": [[1, 2, 3]}", "JSON Parse error: Expected ',' at offset: 24"},
        {MATRIX, "{\"instances\": [[1, 2, 3]]", "JSON Parse error: Expected '}' at offset: 25 (the end)"},
        {MATRIX, "{\"instances\": [[1, 2, 3]], \"signature_name\": \"other\"}",
         "Serving signature name: \\\"other\\\" not found in signature def"},
        {MATRIX, "{\"instances\": [[1, 2, 3]], \"signature_name\": 1}",
         "JSON Value not formatted correctly. 'signature_name' key must be a string value."},
        {MATRIX, "{\"instances\": [{\"x\": [1, 2, 3]}, [1, 2, 3]]}",
         "Expecting object but got list at item 1 of input list"},
        {MATRIX, "{\"instances\": [{\"z\": [1, 2, 3]}]}",
         "Failed to process element: 0 key: z of 'instances' list. Error: INVALID_ARGUMENT: JSON object: "
         "does not have "
         "named input: z"},
        {MATRIX, "{\"instances\": [{\"x\": [1, 2, 3]}, {\"x\": [1, 2]}]}",
         "Failed to process element: 1 key: x of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape "
         "[3] but "
         "got: [2]"},
        {MATRIX, "{\"instances\": [{\"x\": [1, 2, 3], \"x\": [1, 2, 3]}]}",
         "Failed to process element: 0 key: x of 'instances' list. Error: INVALID_ARGUMENT: the key is there "
         "twice"},
        {PAIR, "{\"instances\": [{\"a\": 1}]}",
         "Failed to process element: 0 of 'instances' list. JSON object: keys must be equal to: a,b"},
        {PAIR, "{\"instances\": [1, 2]}",
         "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
         "tensorinfo_map"},
        {PAIR, "{\"inputs\": [1, 2]}",
         "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
         "tensorinfo_map"},
        {PAIR, "{\"inputs\": {\"a\": [1]}}", "Missing named input: b in 'inputs' object."},
        {INTEGER, "{\"instances\": [1.5]}", "JSON Value: 1.5 Type: Number is not of expected type: int32"},
        {INTEGER, "{\"instances\": [3000000000]}",
         "JSON Value: 3000000000 Type: Number is not of expected type: int32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_error(f, "POST", cases[i].path, cases[i].body, 400, cases[i].message);
}

/* Inputs whose shapes fit the model each, but not each other. */
static void refuses_batches_that_differ(void **state) {
    answer a = ask(*state, "POST", PAIR, "{\"inputs\": {\"a\": [1, 2], \"b\": [1, 2, 3]}}");
    assert_int_equal(a.status, 400);
    answer_free(&a);
}

static void routes_paths(void **state) {
    fixture *f = *state;
    const char *body = "{\"instances\": [[1, 0, 0]]}", *good = "{\"predictions\":[[1.0,2.0]]}";
    expect(f, "/V1/Models/matrix:PREDICT", body, 200, good);
    expect(f, "/v1/models/matrix/versions/1:predict", body, 200, good);
    expect(f, "/v1/models/matrix/versions/3:predict", body, 200, good);
    expect(f, "/v1/models/%6datrix:predict", body, 200, good);
    expect(f, "/v1/models/a%20b%2fc:predict", "{\"instances\":[1]}", 200, "{\"predictions\":[2]}");
    expect_error(f, "POST", "/v1/models/none:predict", body, 404,
                 "Servable not found for request: Latest(none)");
    expect_error(f, "POST", "/v1/models/matrix/versions/2:predict", body, 404,
                 "Servable not found for request: Specific(matrix, 2)");
    expect_error(f, "POST", "/v1/models/matrix/labels/stable:predict", body, 400,
                 "Unrecognized servable version label: stable");
    expect_error(f, "POST", "/v1/models/matrix/versions/99999999999999999999:predict", body, 400,
                 "Failed to convert version: 99999999999999999999 to numeric.");
    static const char *const bad[] = {"/v1/models/matrix:",
                                      "/v1/models/matrix:predicts",
                                      "/v1/models/:predict",
                                      "/v1/models:predict",
                                      "/v1/models/matrix/versions/:predict",
                                      "/v1/models/matrix/versions/x:predict",
                                      "/v1/models/matrix/1:predict",
                                      "/v1/models/matrix:predict/",
                                      "/v1/other"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char message[200];
        snprintf(message, sizeof message, "Malformed request: POST %s", bad[i]);
        expect_error(f, "POST", bad[i], body, 400, message);
    }
    expect_error(f, "GET", MATRIX, "", 405, "Method not allowed: GET " MATRIX);
    expect_error(f, "PUT", MATRIX, "", 405, "Method not allowed: PUT " MATRIX);
    expect_error(f, "POST", "/v1/models/matrix", "", 405, "Method not allowed: POST /v1/models/matrix");
    expect_error(f, "POST", "/v1/models/matrix/metadata", "", 405,
                 "Method not allowed: POST /v1/models/matrix/metadata");
    expect_error(f, "POST", "/v1/models/matrix/metadata:predict", "", 400,
                 "Malformed request: POST /v1/models/matrix/metadata:predict");
    expect_error(f, "GET", "/v1/models/matrix/", "", 400, "Malformed request: GET /v1/models/matrix/");
    answer a = ask(f, "POST", "/v1/models/matrix:classify", "{}");
    assert_int_equal(a.status, 501);
    answer_free(&a);
    a = ask_with(f, "POST", MATRIX, body, "Content-Encoding: br\n");
    assert_int_equal(a.status, 415);
    answer_free(&a);
    a = ask_with(f, "POST", MATRIX, body, "Content-Encoding: gzip\n"); /* which it is not */
    assert_int_equal(a.status, 400);
    answer_free(&a);
    a = ask_with(f, "POST", MATRIX, body, "Content-Encoding: identity\n");
    assert_int_equal(a.status, 200);
    answer_free(&a);
}

static void tells_status(void **state) {
    fixture *f = *state;
    answer a = ask(f, "GET", "/v1/models/matrix/versions/1", "");
    assert_int_equal(a.status, 200);
    assert_string_equal(
        a.body.data,
        "{\n \"model_version_status\": [\n  {\n   \"version\": \"1\",\n   \"state\": \"AVAILABLE\",\n"
        "   \"status\": {\n    \"error_code\": \"OK\",\n    \"error_message\": \"\"\n   }\n  }\n ]\n}\n");
    answer_free(&a);
    a = ask(f, "GET", "/v1/models/matrix", "");
    squeeze(a.body.data);
#define AVAILABLE "\"state\":\"AVAILABLE\",\"status\":{\"error_code\":\"OK\",\"error_message\":\"\"}}"
    assert_string_equal(a.body.data, "{\"model_version_status\":[{\"version\":\"3\"," AVAILABLE
                                     ",{\"version\":\"1\"," AVAILABLE "]}");
    answer_free(&a);
    expect_error(f, "GET", "/v1/models", "", 400, "Missing model name in request.");
    expect_error(f, "GET", "/v1/models/none", "", 404, "Could not find any versions of model none");
    expect_error(f, "GET", "/v1/models/matrix/versions/2", "", 404,
                 "Could not find version 2 of model matrix");
}

static void tells_metadata(void **state) {
    fixture *f = *state;
    answer a = ask(f, "GET", "/v1/models/matrix/metadata", "");
    assert_int_equal(a.status, 200);
    squeeze(a.body.data);
    assert_string_equal(a.body.data, "{\"model_spec\":{\"name\":\"matrix\",\"signature_name\":\"\","
                                     "\"version\":\"3\"},\"metadata\":{\"signature_def\":{"
                                     "\"signature_def\":{\"serving_default\":{\"inputs\":{\"x\":{\"dtype\":"
                                     "\"DT_FLOAT\",\"tensor_shape\":{\"dim\":[{"
                                     "\"size\":\"-1\",\"name\":\"batch\"},{\"size\":\"3\",\"name\":\"\"}],"
                                     "\"unknown_rank\":false},\"name\":\"x\"}},"
                                     "\"outputs\":{\"y\":{\"dtype\":\"DT_FLOAT\",\"tensor_shape\":{\"dim\":[{"
                                     "\"size\":\"-1\",\"name\":\"batch\"},{"
                                     "\"size\":\"2\",\"name\":\"\"}],\"unknown_rank\":false},\"name\":\"y\"}}"
                                     ",\"method_name\":\"tensorflow/serving/"
                                     "predict\"}}}}}");
    answer_free(&a);
    expect_error(f, "GET", "/v1/models/none/metadata", "", 404,
                 "Servable not found for request: Latest(none)");
}

static void handle_late(fixture *f, hone_request *r) {
    r->deadline = 1;
    hone_tfs_handle(f->front, r);
}

static void handle_cancelled(fixture *f, hone_request *r) {
    hone_request_cancel(r);
    hone_tfs_handle(f->front, r);
}

/* What comes too late, or for nobody, is not even decoded; and is told why. */
static void stops_what_is_late(void **state) {
    const char *body = "{\"instances\": [[1, 0, 0]]}";
    answer a = fixture_send(*state, handle_late, "POST", MATRIX, NULL, body, strlen(body));
    assert_int_equal(a.status, 504);
    assert_non_null(strstr(a.body.data, "longer than the server allows"));
    answer_free(&a);
    a = fixture_send(*state, handle_cancelled, "POST", MATRIX, NULL, body, strlen(body));
    assert_int_equal(a.status, 499);
    assert_non_null(strstr(a.body.data, "cancelled"));
    answer_free(&a);
}

/* Requests of different shapes, over and over: nothing is allocated once each was seen. */
static void allocates_nothing_when_warm(void **state) {
    fixture *f = *state;
    hone_request *pool = NULL;
    answer a = {0};
    uint64_t before = 0;
    for (int i = 0; i < 300; i++) {
        if (i == 100) before = hone_alloc_count();
        hone_request *r = hone_request_new(&pool);
        hone_head head = {.method = slice("POST"),
                          .path = slice(i % 2 ? MATRIX : PAIR),
                          .content_length = -1,
                          .query = slice("")};
        assert_int_equal(hone_request_set_head(r, &head), HONE_OK);
        hone_buffer_text(&r->body,
                         i % 2   ? i % 4 == 1 ? "{\"instances\":[[1,0,0]]}" : "{\"inputs\":[[1,0,0],[1,2,3]]}"
                         : i % 4 ? "{\"instances\":[{\"a\":1,\"b\":2}]}"
                                 : "{\"inputs\":{\"a\":[1,2],\"b\":[2,1]}}");
        assert_int_equal(hone_request_end_body(r), HONE_OK);
        r->sink = &answer_sink;
        r->stream = &a;
        a.body.size = 0;
        hone_tfs_handle(f->front, r);
        assert_int_equal(a.status, 200);
        hone_request_release(r);
    }
    assert_int_equal(hone_alloc_count(), before);
    answer_free(&a);
    hone_request_free_pool(&pool);
}

static void no_wake(void *user) {
    (void)user;
}

/* As many requests at once as HTTP/2's streams bring in one turn of a loop. */
static void many_at_once_allocate_nothing(void **state) {
    enum { MANY = 200, ROUNDS = 4 };
    static const char body[] = "{\"instances\":[[1,0,0]]}";
    static answer answers[MANY];
    static hone_request *requests[MANY];
    fixture f;
    uint64_t before = 0;
    (void)state;
    fixture_open(&f);
    hone_core_attach(f.core, 0, &(hone_port){.wake = no_wake, .defer = no_wake});
    for (int round = 0; round < ROUNDS; round++) {
        if (round == ROUNDS / 2) before = hone_alloc_count();
        for (int i = 0; i < MANY; i++) {
            hone_request *r = requests[i] = hone_request_new(&f.pool);
            hone_head head = {
                .method = slice("POST"), .path = slice(MATRIX), .content_length = -1, .query = slice("")};
            assert_int_equal(hone_request_set_head(r, &head), HONE_OK);
            hone_buffer_text(&r->body, body);
            assert_int_equal(hone_request_end_body(r), HONE_OK);
            r->sink = &answer_sink;
            r->stream = &answers[i];
            answers[i].body.size = 0;
            hone_tfs_handle(f.front, r);
        }
        hone_core_turn(f.core, 0);
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(answers[i].ends, round + 1);
            assert_int_equal(answers[i].status, 200);
            hone_request_release(requests[i]);
        }
    }
    assert_int_equal(hone_alloc_count(), before);
    for (int i = 0; i < MANY; i++) answer_free(&answers[i]);
    fixture_close(&f);
}

/* Every allocation of a request fails in turn: an error or an answer, never anything else. */
static void survives_lack_of_memory(void **state) {
    fixture *f = *state;
    int answered = 0;
    for (uint64_t n = 1; n < 200 && !answered; n++) {
        hone_front *front;
        assert_int_equal(
            hone_front_new(&(hone_front_options){.core = f->core, .stats = f->stats}, &front, NULL), HONE_OK);
        hone_request *r = hone_request_new(NULL);
        hone_head head = {
            .method = slice("POST"), .path = slice(PAIR), .query = slice(""), .content_length = -1};
        assert_int_equal(hone_request_set_head(r, &head), HONE_OK);
        hone_buffer_text(&r->body, "{\"instances\":[{\"a\":1,\"b\":2}]}");
        assert_int_equal(hone_request_end_body(r), HONE_OK);
        answer a = {0};
        a.body.data = hone_alloc(4096);
        a.body.capacity = 4096;
        r->sink = &answer_sink;
        r->stream = &a;
        hone_alloc_fail_at(n, true);
        hone_tfs_handle(front, r);
        hone_alloc_fail_at(0, false);
        assert_int_equal(a.ends, 1);
        assert_true(a.status == 200 || a.status == 503);
        answered = a.status == 200;
        hone_request_release(r);
        hone_front_free(front);
        answer_free(&a);
    }
    assert_true(answered);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predicts_rows),
        cmocka_unit_test(predicts_columns),
        cmocka_unit_test(predicts_maps),
        cmocka_unit_test(prints_like_tensorflow),
        cmocka_unit_test(explains_bad_bodies),
        cmocka_unit_test(refuses_batches_that_differ),
        cmocka_unit_test(routes_paths),
        cmocka_unit_test(tells_status),
        cmocka_unit_test(tells_metadata),
        cmocka_unit_test(stops_what_is_late),
        cmocka_unit_test(allocates_nothing_when_warm),
        cmocka_unit_test(many_at_once_allocate_nothing),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
