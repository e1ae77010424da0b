#include "serve/format/json_write.h"
#include "serve/fronts.h"
#include "serve/tfs/tfs_json.h"
#include "serve/tfs/tfs_rest.h"

static const struct {
    hone_dtype dtype;
    const char *given, *back, *bad, *name; /* two elements; one that does not fit */
} types[] = {
    {HONE_FLOAT32, "1.5,1e-7", "1.5,1e-07", "1e39", "DT_FLOAT"},
    {HONE_FLOAT64, "0.1,-1e300", "0.1,-1e+300", "1e999", "DT_DOUBLE"},
    {HONE_FLOAT16, "0.5,-Infinity", "0.5,-Infinity", "true", "DT_HALF"},
    {HONE_BFLOAT16, "-2,NaN", "-2.0,NaN", "\"1\"", "DT_BFLOAT16"},
    {HONE_INT8, "-128,127", "-128,127", "128", "DT_INT8"},
    {HONE_UINT8, "0,255", "0,255", "-1", "DT_UINT8"},
    {HONE_INT16, "-32768,32767", "-32768,32767", "32768", "DT_INT16"},
    {HONE_UINT16, "0,65535", "0,65535", "65536", "DT_UINT16"},
    {HONE_INT32, "-2147483648,2147483647", "-2147483648,2147483647", "2147483648", "DT_INT32"},
    {HONE_UINT32, "0,4294967295", "0,4294967295", "4294967296", "DT_UINT32"},
    {HONE_INT64, "-9223372036854775808,9223372036854775807", "-9223372036854775808,9223372036854775807",
     "9223372036854775808", "DT_INT64"},
    {HONE_UINT64, "0,18446744073709551615", "0,18446744073709551615", "18446744073709551616", "DT_UINT64"},
    {HONE_BOOL, "true,false", "true,false", "1", "DT_BOOL"},
};
enum { TYPES = sizeof types / sizeof *types };

static int setup(void **state) {
    static fixture f;
    fixture_open(&f);
    for (int i = 0; i < TYPES; i++)
        fixture_add(&f, hone_dtype_name(types[i].dtype), 1, echo_model(types[i].dtype, 2, "y"));
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

static void squeeze(char *text) {
    char *out = text;
    for (; *text; text++)
        if (*text != ' ' && *text != '\n') *out++ = *text;
    *out = 0;
}

static void takes_all_types(void **state) {
    for (int i = 0; i < TYPES; i++) {
        char path[80], body[200], want[200];
        snprintf(path, sizeof path, "/v1/models/%s:predict", hone_dtype_name(types[i].dtype));
        static const char *const forms[][2] = {
            {"{\"instances\":[[%s],[%s]]}", "{\"predictions\":[[%s],[%s]]}"},
            {"{\"instances\":[{\"x\":[%s]},{\"x\":[%s]}]}", "{\"predictions\":[[%s],[%s]]}"},
            {"{\"inputs\":[[%s],[%s]]}", "{\"outputs\":[[%s],[%s]]}"},
            {"{\"inputs\":{\"x\":[[%s],[%s]]}}", "{\"outputs\":[[%s],[%s]]}"},
        };
        for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(body, sizeof body, forms[k][0], types[i].given, types[i].given);
            snprintf(want, sizeof want, forms[k][1], types[i].back, types[i].back);
#pragma GCC diagnostic pop
            answer a = fixture_send(*state, handle, "POST", path, NULL, body, strlen(body));
            squeeze(a.body.data);
            if (a.status != 200 || strcmp(a.body.data, want) != 0) fail_msg("%s: %s", body, a.body.data);
            answer_free(&a);
        }
        snprintf(body, sizeof body, "{\"instances\":[[%s]]}", types[i].bad);
        answer a = fixture_send(*state, handle, "POST", path, NULL, body, strlen(body));
        if (a.status != 400 || !strstr(a.body.data, "\"error\"")) fail_msg("%s: %s", body, a.body.data);
        answer_free(&a);
        snprintf(path, sizeof path, "/v1/models/%s/metadata", hone_dtype_name(types[i].dtype));
        snprintf(want, sizeof want, "\"dtype\": \"%s\"", types[i].name);
        a = fixture_send(*state, handle, "GET", path, NULL, "", 0);
        assert_non_null(strstr(a.body.data, want));
        answer_free(&a);
    }
}

static void packs(void **state) {
    hone_buffer body = {0}, packed = {0}, back = {0};
    hone_gzip *z = NULL;
    hone_buffer_text(&body, "{\"instances\": [[0");
    for (int i = 1; i < 2000; i++) hone_buffer_printf(&body, ", %d", i);
    hone_buffer_text(&body, "]]}");
    assert_true(hone_gzip_pack(&z, body.data, body.size, &packed));
    answer a = fixture_send(*state, handle, "POST", "/v1/models/float32:predict",
                            "Content-Encoding: gzip\nAccept-Encoding: gzip\n", packed.data, packed.size);
    assert_int_equal(a.status, 200);
    assert_string_equal(answer_field(&a.fields, "content-encoding"), "gzip");
    assert_string_equal(answer_field(&a.fields, "vary"), "accept-encoding");
    assert_int_equal(hone_gzip_unpack(&z, a.body.data, a.body.size, 0, &back, NULL), HONE_OK);
    hone_buffer_byte(&back, 0);
    assert_non_null(strstr(back.data, ", 1998.0, 1999.0]\n    ]\n}"));
    answer_free(&a);
    /* Small answers and errors are sent as they are. */
    a = fixture_send(*state, handle, "POST", "/v1/models/float32:predict", "Accept-Encoding: gzip\n",
                     "{\"instances\":[[1]]}", 19);
    assert_int_equal(a.status, 200);
    assert_string_equal(answer_field(&a.fields, "content-encoding"), "");
    answer_free(&a);
    /* Half of it. */
    a = fixture_send(*state, handle, "POST", "/v1/models/float32:predict", "Content-Encoding: gzip\n",
                     packed.data, packed.size / 2);
    assert_int_equal(a.status, 400);
    answer_free(&a);
    hone_buffer_free(&body);
    hone_buffer_free(&packed);
    hone_buffer_free(&back);
    hone_gzip_free(z);
}

/* --- strings --- */

/* A model gives back any bytes that it gets, at once and from a compute thread. Outputs called …_bytes are base64. */
static void passes_strings(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"/v1/models/text:predict", "{\"instances\":[{\"b64\":\"AGEA\"},\"b\\u0000\",\"\"]}",
         "{\"predictions\":[\"\\u0000a\\u0000\",\"b\\u0000\",\"\"]}"},
        {"/v1/models/bytes:predict", "{\"instances\":[{\"b64\":\"AP8A\"},\"b\\u0000\",{\"b64\":\"\"}]}",
         "{\"predictions\":[{\"b64\":\"AP8A\"},{\"b64\":\"YgA=\"},{\"b64\":\"\"}]}"},
        {"/v1/models/bytes:predict", "{\"inputs\":{\"x\":[{\"b64\":\"iVBORw0KGgoA\"}]}}",
         "{\"outputs\":[{\"b64\":\"iVBORw0KGgoA\"}]}"},
    };
    for (int later = 0; later < 2; later++) {
        fixture f;
        fixture_open(&f);
        fixture_add(&f, "text", 1, echo_model(HONE_STRING, 1, "y"));
        fixture_add(&f, "bytes", 1, echo_model(HONE_STRING, 1, "y_bytes"));
        if (later) fixture_start(&f);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            answer a = fixture_send(&f, handle, "POST", cases[i][0], NULL, cases[i][1], strlen(cases[i][1]));
            squeeze(a.body.data);
            if (a.status != 200 || strcmp(a.body.data, cases[i][2]) != 0)
                fail_msg("%s: %s", cases[i][1], a.body.data);
            answer_free(&a);
        }
        fixture_close(&f);
    }
}

typedef struct texts {
    hone_feed feed;
    char *body;
    bool rows;
    hone_status status;
    hone_error err;
} texts;

static texts decode(const char *text) {
    size_t n = strlen(text);
    texts t = {.feed = {.name = "x", .values = {.dtype = HONE_STRING}, .tensor = {.dtype = HONE_STRING}}};
    hone_tensors tensors = {.feeds = &t.feed, .count = 1};
    t.body = calloc(1, n + HONE_JSON_PAD);
    assert_non_null(t.body);
    memcpy(t.body, text, n);
    t.status = hone_tfs_decode(&tensors, t.body, n, &t.rows, &t.err);
    return t;
}

static void texts_free(texts *t) {
    hone_json_tensor_free(&t->feed.values);
    free(t->body);
}

static void takes_strings(void **state) {
    (void)state;
    static const struct {
        const char *body;
        int rank;
        int64_t count;
        const char *elements[3];
        size_t size; /* of the first; 0: up to its zero */
    } cases[] = {
        {"{\"instances\":[\"a\",\"\\u00e9\\n\",\"\"]}", 1, 3, {"a", "\xc3\xa9\n", ""}},
        {"{\"instances\":[{\"b64\":\"aGVsbG8=\"},{\"b64\":\"aGVsbG8\"},\"aGVsbG8=\"]}",
         1,
         3,
         {"hello", "hello", "aGVsbG8="}},
        {"{\"instances\":[[{\"b64\":\"\"}],[{ \"b64\" : \"YQ==\" }]]}", 2, 2, {"", "a"}},
        {"{\"instances\":[{\"x\":{\"b64\":\"YWI=\"}},{\"x\":\"c\"}]}", 1, 2, {"ab", "c"}},
        {"{\"inputs\":{\"b64\":\"YWJj\"}}", 0, 1, {"abc"}},
        {"{\"inputs\":[\"q\",{\"b64\":\"\\u0059WJj\"}]}", 1, 2, {"q", "abc"}},
        {"{\"inputs\":{\"x\":\"z\"}}", 0, 1, {"z"}},
        {"{\"instances\":[{\"b64\":\"AGEA/w==\"},\"b\"]}", 1, 2, {"\0a\0\xff", "b"}, 4},
        {"{\"instances\":[\"a\\u0000b\",\"c\"]}", 1, 2, {"a\0b", "c"}, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        texts t = decode(cases[i].body);
        if (t.status != HONE_OK) fail_msg("%s: %s", cases[i].body, t.err.message);
        assert_int_equal(t.feed.tensor.rank, cases[i].rank);
        assert_int_equal(t.feed.tensor.count, cases[i].count);
        for (int64_t k = 0; k < cases[i].count; k++) {
            size_t size, want = k == 0 && cases[i].size ? cases[i].size : strlen(cases[i].elements[k]);
            assert_memory_equal(hone_tensor_string(&t.feed.tensor, k, &size), cases[i].elements[k], want + 1);
            assert_int_equal(size, want);
        }
        texts_free(&t);
    }
}

static void refuses_bad_base64(void **state) {
    (void)state;
    static const struct {
        const char *value, *message;
    } cases[] = {
        {"{\"b64\":\"a\"}", "can't be decoded as base64"},
        {"{\"b64\":\"a*==\"}", "can't be decoded as base64"},
        {"{\"b64\":\"YQ===\"}", "can't be decoded as base64"},
        {"{\"b64\":\"YWI=YWI=\"}", "can't be decoded as base64"},
        {"{\"b64\":5}", "is not of expected type: string"},
        {"{\"b64\":\"YQ==\",\"c\":1}", "expected type: string"},
        {"{\"b65\":\"YQ==\"}", "expected type: string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[100];
        snprintf(body, sizeof body, "{\"instances\":[[%s]]}", cases[i].value);
        texts t = decode(body);
        if (t.status == HONE_OK || !strstr(t.err.message, cases[i].message))
            fail_msg("%s: %d %s", body, t.status, t.err.message);
        texts_free(&t);
    }
}

static void writes_base64(void **state) {
    (void)state;
    static const hone_string strings[] = {
        {NULL, 0}, {"a", 1}, {"ab", 2}, {"abc", 3}, {"hello, world", 12}, {"\xff\0\xfd", 3}};
    hone_tensor *t;
    hone_buffer b = {0};
    assert_int_equal(hone_tensor_copy_of(HONE_STRING, 2, (int64_t[]){2, 3}, strings, &t, NULL), HONE_OK);
    assert_true(hone_json_write_base64(&b, t, 0, 0));
    hone_buffer_byte(&b, 0);
    assert_string_equal(b.data,
                        "[[{\"b64\": \"\"}, {\"b64\": \"YQ==\"}, {\"b64\": \"YWI=\"}], [{\"b64\": \"YWJj\"}, "
                        "{\"b64\": \"aGVsbG8sIHdvcmxk\"}, {\"b64\": \"/wD9\"}]]");
    b.size = 0;
    assert_true(hone_json_write_base64(&b, t, 1, 3));
    hone_buffer_byte(&b, 0);
    assert_string_equal(b.data,
                        "[{\"b64\": \"YWJj\"}, {\"b64\": \"aGVsbG8sIHdvcmxk\"}, {\"b64\": \"/wD9\"}]");
    hone_tensor_free(t);
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 0, NULL, &t, NULL), HONE_OK);
    assert_false(hone_json_write_base64(&b, t, 0, 0));
    hone_tensor_free(t);
    hone_buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_all_types),    cmocka_unit_test(packs),
        cmocka_unit_test(passes_strings),     cmocka_unit_test(takes_strings),
        cmocka_unit_test(refuses_bad_base64), cmocka_unit_test(writes_base64),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
