#include "serve/fronts.h"
#include "serve/models/core_inside.h"
#include "serve/oip/oip_rest.h"

static int setup(void **state) {
    static fixture f;
    fixture_open(&f);
    static const hone_dtype dtypes[] = {HONE_FLOAT32, HONE_FLOAT64, HONE_INT8,    HONE_UINT8, HONE_INT16,
                                        HONE_UINT16,  HONE_INT32,   HONE_UINT32,  HONE_INT64, HONE_UINT64,
                                        HONE_BOOL,    HONE_FLOAT16, HONE_BFLOAT16};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        fixture_add(&f, hone_dtype_name(dtypes[i]), 1, echo_model(dtypes[i], 2, "y"));
    fixture_add(&f, "a b/c", 1, integer_model());
    fixture_add(&f, "maps", 1, maps_model(true));
    fixture_add(&f, "loose", 1, loose_maps_model());
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture_close(*state);
    return 0;
}

static void handle(fixture *f, hone_request *r) {
    if (!hone_oip_takes(r->head.path)) fail_msg("the path is not taken");
    hone_oip_handle(f->front, r);
}

static answer ask(void *f, const char *method, const char *path, const char *fields, const char *body) {
    return fixture_send(f, handle, method, path, fields, body, strlen(body));
}

static void expect(void *f, const char *method, const char *path, const char *body, int status,
                   const char *want) {
    answer a = ask(f, method, path, NULL, body);
    if (a.status != status || strcmp(a.body.data, want) != 0)
        fail_msg("%s %s %s: %d %s, expected %d %s", method, path, body, a.status, a.body.data, status, want);
    assert_string_equal(a.type, "application/json");
    answer_free(&a);
}

static void expect_error(void *f, const char *path, const char *body, int status, const char *message) {
    char want[600];
    snprintf(want, sizeof want, "{\n    \"error\": \"%s\"\n}", message);
    expect(f, "POST", path, body, status, want);
}

#define MATRIX "/v2/models/matrix/infer"
#define PAIR "/v2/models/pair/infer"
#define ANSWER                                                                                               \
    "{\"model_name\":\"matrix\",\"model_version\":\"3\",\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP32\","

/* As objects, or as the matrix of their values where bytes are asked for. */
static void infers_maps(void **state) {
    static const char *const head = "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[2,2],"
                                    "\"data\":[1,0.5,-1,2]}],\"outputs\":[{\"name\":\"scores\"";
    char body[400], want[400];
    snprintf(body, sizeof body, "%s}]}", head);
    expect(*state, "POST", "/v2/models/maps/infer", body, 200,
           "{\"model_name\":\"maps\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"scores\",\"datatype\":"
           "\"FP32\","
           "\"shape\":[2,2],\"data\":[{\"no\": 2.0, \"a \\\"b\\\"\": 1.0}, {\"no\": -2.0, \"a \\\"b\\\"\": "
           "4.0}]}]}");
    snprintf(body, sizeof body, "%s,\"parameters\":{\"binary_data\":true}}]}", head);
    answer a = ask(*state, "POST", "/v2/models/maps/infer", NULL, body);
    int size = snprintf(want, sizeof want,
                        "{\"model_name\":\"maps\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"scores\","
                        "\"datatype\":\"FP32\",\"shape\":[2,2],\"parameters\":{\"binary_data_size\":16}}]}");
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body.size, size + 16);
    assert_memory_equal(a.body.data, want, size);
    assert_memory_equal(a.body.data + size, ((float[]){2, 1, -2, 4}), 16);
    answer_free(&a);
    expect_error(*state, "/v2/models/loose/infer",
                 "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3],\"data\":[1,2,3]}]}",
                 400, "the output \\\"scores\\\" has other rows than keys");
}

static void infers_from_json(void **state) {
    static const char *const bodies[] = {
        /* flat, nested, keys in any order, unknown ones, white space */
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[2,3],\"data\":[1,0,0,0,1,0.5]}]}",
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[2,3],\"data\":[[1,0,0],[0,1,0.5]]}]}",
        "{\"inputs\":[{\"data\":[1,0,0,0,1,0.5],\"shape\":[2,3],\"datatype\":\"FP32\",\"name\":\"x\"}]}",
        " { \"parameters\" : {\"sequence_id\":3} , \"inputs\" : [ { \"more\" : [ { } ] , \"name\" : \"x\" , "
        "\"shape\" :"
        " [ 2 , 3 ] , \"datatype\" : \"FP32\" , \"parameters\" : { \"priority\" : 1 } , \"data\" : [ 1 , 0 , "
        "0 , 0 , 1 "
        ", 0.5 ] } ] , \"outputs\" : [ { \"name\" : \"y\" } ] } \n"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        expect(*state, "POST", MATRIX, bodies[i], 200,
               ANSWER "\"shape\":[2,2],\"data\":[1.0, 2.0, 5.5, 7.0]}]}");
    expect(*state, "POST", "/v2/models/matrix/versions/1/infer",
           "{\"id\":\"a\\\"\\u00e9\",\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[0,3],"
           "\"data\":[]}]}",
           200,
           "{\"id\":\"a\\\"\xc3\xa9\",\"model_name\":\"matrix\",\"model_version\":\"1\",\"outputs\":[{"
           "\"name\":\"y\","
           "\"datatype\":\"FP32\",\"shape\":[0,2],\"data\":[]}]}");
    expect(*state, "POST", "/v2/models/a%20b%2Fc/infer",
           "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT32\",\"shape\":[3],\"data\":[1,-2,3]}]}", 200,
           "{\"model_name\":\"a "
           "b/c\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"y\",\"datatype\":\"INT32\","
           "\"shape\":[3],\"data\":[2, -4, 6]}]}");
}

#define A "{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":[1,2]}"
#define B "{\"name\":\"b\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":[3,5]}"
#define SUM "{\"name\":\"sum\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":[4.0, 7.0]}"
#define DIFFERENCE "{\"name\":\"difference\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":[-2.0, -3.0]}"
#define PAIR_ANSWER "{\"model_name\":\"pair\",\"model_version\":\"7\",\"outputs\":["

static void chooses_outputs(void **state) {
    expect(*state, "POST", PAIR, "{\"inputs\":[" A "," B "]}", 200, PAIR_ANSWER SUM "," DIFFERENCE "]}");
    expect(*state, "POST", PAIR, "{\"inputs\":[" B "," A "],\"outputs\":[]}", 200,
           PAIR_ANSWER SUM "," DIFFERENCE "]}");
    expect(*state, "POST", PAIR,
           "{\"outputs\":[{\"name\":\"difference\"},{\"name\":\"sum\"}],\"inputs\":[" A "," B "]}", 200,
           PAIR_ANSWER DIFFERENCE "," SUM "]}");
    expect(*state, "POST", PAIR,
           "{\"inputs\":[" A "," B "],\"outputs\":[{\"parameters\":{},\"name\":\"sum\"}]}", 200,
           PAIR_ANSWER SUM "]}");
}

/* Sends JSON with bytes behind it. */
static answer ask_raw(void *f, const char *path, const char *json, const void *raw, size_t size) {
    char field[80];
    hone_buffer body = {0};
    snprintf(field, sizeof field, "Inference-Header-Content-Length: %zu\n", strlen(json));
    hone_buffer_text(&body, json);
    hone_buffer_put(&body, raw, size);
    answer a = fixture_send(f, handle, "POST", path, field, body.data, body.size);
    hone_buffer_free(&body);
    return a;
}

/* The bytes behind the JSON of an answer. */
static void expect_raw(answer a, const char *json, const void *raw, size_t size) {
    size_t length = strtoul(answer_field(&a.fields, "inference-header-content-length"), NULL, 10);
    if (a.status != 200) fail_msg("%d %s", a.status, a.body.data);
    assert_string_equal(a.type, "application/octet-stream");
    if (length != strlen(json) || memcmp(a.body.data, json, length) != 0) fail_msg("%s", a.body.data);
    assert_int_equal(a.body.size, length + size);
    assert_memory_equal(a.body.data + length, raw, size);
    answer_free(&a);
}

static void infers_from_bytes(void **state) {
    static const float a[] = {1, 2}, both[] = {3, 5, 1, 2}, sum[] = {4, 7}, out[] = {4, 7, -2, -3};
    /* Both inputs as bytes, in the order of the inputs in the request; wherever that puts them. */
    static const char *const spaces[] = {"", " ", "  ", "   "};
    for (size_t i = 0; i < 4; i++) {
        char json[400];
        snprintf(
            json, sizeof json,
            "{%s\"inputs\":[{\"name\":\"b\",\"datatype\":\"FP32\",\"shape\":[2],\"parameters\":"
            "{\"binary_data_size\":8}},{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[2],\"parameters\":"
            "{\"binary_data_size\":8}}],\"parameters\":{\"binary_data_output\":true}}",
            spaces[i]);
        expect_raw(ask_raw(*state, PAIR, json, both, sizeof both),
                   PAIR_ANSWER
                   "{\"name\":\"sum\",\"datatype\":\"FP32\",\"shape\":[2],\"parameters\":"
                   "{\"binary_data_size\":8}},{\"name\":\"difference\",\"datatype\":\"FP32\",\"shape\":"
                   "[2],\"parameters\":{\"binary_data_size\":8}}]}",
                   out, sizeof out);
    }
    /* One as bytes, one as JSON; one output of each kind; the output's own wish wins. */
    expect_raw(
        ask_raw(*state, PAIR,
                "{\"inputs\":[{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[2],\"parameters\":"
                "{\"binary_data_size\":8}}," B "],\"outputs\":[{\"name\":\"difference\",\"parameters\":"
                "{\"binary_data\":false}},{\"name\":\"sum\"}],\"parameters\":{\"binary_data_output\":true}}",
                a, sizeof a),
        PAIR_ANSWER DIFFERENCE ",{\"name\":\"sum\",\"datatype\":\"FP32\",\"shape\":[2],\"parameters\":"
                               "{\"binary_data_size\":8}}]}",
        sum, sizeof sum);
    answer bytes = ask_raw(*state, PAIR,
                           "{\"inputs\":[{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[2],\"parameters\":"
                           "{\"binary_data_size\":8}}," B "],\"outputs\":[{\"name\":\"sum\"}]}",
                           a, sizeof a);
    assert_string_equal(bytes.body.data, PAIR_ANSWER SUM "]}");
    assert_string_equal(bytes.type, "application/json");
    assert_string_equal(answer_field(&bytes.fields, "inference-header-content-length"), "");
    answer_free(&bytes);
    /* Bytes alone. */
    expect_raw(fixture_send(*state, handle, "POST", MATRIX, "inference-header-content-length: 0\n",
                            (float[]){1, 0, 0, 0, 1, 0.5f}, 24),
               ANSWER "\"shape\":[2,2],\"parameters\":{\"binary_data_size\":16}}]}", (float[]){1, 2, 5.5f, 7},
               16);
}

static void takes_all_types(void **state) {
    static const struct {
        const char *model, *datatype, *data, *back, *raw;
        size_t size;
    } cases[] = {
        {"bool", "BOOL", "[true,false]", "[true, false]", "\1\0", 2},
        {"int8", "INT8", "[-128,127]", "[-128, 127]", "\x80\x7f", 2},
        {"uint8", "UINT8", "[0,255]", "[0, 255]", "\0\xff", 2},
        {"int16", "INT16", "[-2,300]", "[-2, 300]", "\xfe\xff\x2c\x01", 4},
        {"uint16", "UINT16", "[1,65535]", "[1, 65535]", "\1\0\xff\xff", 4},
        {"int32", "INT32", "[-2,7]", "[-2, 7]", "\xfe\xff\xff\xff\7\0\0\0", 8},
        {"uint32", "UINT32", "[1,4294967295]", "[1, 4294967295]", "\1\0\0\0\xff\xff\xff\xff", 8},
        {"int64", "INT64", "[-1,1]", "[-1, 1]", "\xff\xff\xff\xff\xff\xff\xff\xff\1\0\0\0\0\0\0\0", 16},
        {"uint64", "UINT64", "[1,18446744073709551615]", "[1, 18446744073709551615]",
         "\1\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 16},
        {"float16", "FP16", "[1.5,-2]", "[1.5, -2.0]", "\0\x3e\0\xc0", 4},
        {"bfloat16", "BF16", "[1.5,-2]", "[1.5, -2.0]", "\xc0\x3f\0\xc0", 4},
        {"float32", "FP32", "[1.5,1e-7]", "[1.5, 1e-07]", "\0\0\xc0\x3f\x95\xbf\xd6\x33", 8},
        {"float64", "FP64", "[1.5,0.1]", "[1.5, 0.1]", "\0\0\0\0\0\0\xf8\x3f\x9a\x99\x99\x99\x99\x99\xb9\x3f",
         16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[80], body[400], want[400];
        snprintf(path, sizeof path, "/v2/models/%s/infer", cases[i].model);
        snprintf(body, sizeof body,
                 "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"%s\",\"shape\":[1,2],\"data\":%s}]}",
                 cases[i].datatype, cases[i].data);
        snprintf(
            want, sizeof want,
            "{\"model_name\":\"%s\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"y\",\"datatype\":\"%s\","
            "\"shape\":[1,2],\"data\":%s}]}",
            cases[i].model, cases[i].datatype, cases[i].back);
        expect(*state, "POST", path, body, 200, want);
        for (int shift = 0; shift < 8; shift++) {
            snprintf(body, sizeof body,
                     "{%*s\"inputs\":[{\"name\":\"x\",\"datatype\":\"%s\",\"shape\":[1,2],\"parameters\":"
                     "{\"binary_data_size\":%zu}}],\"outputs\":[{\"name\":\"y\",\"parameters\":{\"binary_"
                     "data\":true}}]}",
                     shift, "", cases[i].datatype, cases[i].size);
            snprintf(want, sizeof want,
                     "{\"model_name\":\"%s\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"y\","
                     "\"datatype\":\"%s\","
                     "\"shape\":[1,2],\"parameters\":{\"binary_data_size\":%zu}}]}",
                     cases[i].model, cases[i].datatype, cases[i].size);
            expect_raw(ask_raw(*state, path, body, cases[i].raw, cases[i].size), want, cases[i].raw,
                       cases[i].size);
        }
    }
}

/* A model gives back any bytes that it gets, as text and as bytes, at once and from a compute thread. */
static void passes_strings(void **state) {
    (void)state;
    static const char raw[] = "\3\0\0\0\0\xff\0\0\0\0\0\1\0\0\0a";
    static const char path[] = "/v2/models/text/infer";
    for (int later = 0; later < 2; later++) {
        fixture f;
        fixture_open(&f);
        fixture_add(&f, "text", 1, echo_model(HONE_STRING, 1, "y"));
        if (later) fixture_start(&f);
        expect(&f, "POST", path,
               "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"BYTES\",\"shape\":[2],\"data\":["
               "\"\\u0000a\\u0000\",\"\"]}]}",
               200,
               "{\"model_name\":\"text\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"y\",\"datatype\":"
               "\"BYTES\","
               "\"shape\":[2],\"data\":[\"\\u0000a\\u0000\", \"\"]}]}");
        expect_raw(
            ask_raw(&f, path,
                    "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"BYTES\",\"shape\":[3],\"parameters\":{"
                    "\"binary_data_size\":16}}],\"parameters\":{\"binary_data_output\":true}}",
                    raw, sizeof raw - 1),
            "{\"model_name\":\"text\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"y\",\"datatype\":"
            "\"BYTES\","
            "\"shape\":[3],\"parameters\":{\"binary_data_size\":16}}]}",
            raw, sizeof raw - 1);
        fixture_close(&f);
    }
}

/* Models may have types that no protocol carries: asking them is refused, whatever way it is tried. */
static void refuses_types_without_a_form(void **state) {
    (void)state;
    static const hone_dtype dtypes[] = {HONE_INT4, HONE_UINT2, HONE_FLOAT8E5M2};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        fixture f;
        char message[100];
        fixture_open(&f);
        fixture_add(&f, "small", 1, echo_model(dtypes[i], 1, "y"));
        snprintf(message, sizeof message, "the input \\\"x\\\" is %s, which requests can't carry",
                 hone_dtype_name(dtypes[i]));
        for (int k = 0; k < 3; k++) {
            answer a =
                k == 0 ? ask_raw(&f, "/v2/models/small/infer", "", "ab", 2)
                : k == 1
                    ? ask_raw(&f, "/v2/models/small/infer",
                              "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"\",\"shape\":[2],\"parameters\":{"
                              "\"binary_data_size\":1}}]}",
                              "a", 1)
                    : ask(&f, "POST", "/v2/models/small/infer", NULL,
                          "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"\",\"shape\":[2],\"data\":[1,2]}]}");
            if (a.status != 501 || !strstr(a.body.data, message))
                fail_msg("%d: %d %s", k, a.status, a.body.data);
            answer_free(&a);
        }
        fixture_close(&f);
    }
}

/* Strings: each behind its length. */
static void takes_strings(void **state) {
    (void)state;
    static const char raw[] = "\5\0\0\0h\0llo\0\0\0\0\2\0\0\0\xc3\xa9";
    hone_error err = {0};
    for (size_t n = 0; n <= sizeof raw - 1; n++) {
        char *copy = malloc(n + 1); /* of the exact size */
        assert_non_null(copy);
        memcpy(copy, raw, n);
        hone_feed feed = {.name = "x", .values = {.dtype = HONE_STRING}, .tensor = {.dtype = HONE_STRING}};
        assert_int_equal(hone_feed_shape(&feed, 1, (int64_t[]){3}, NULL), HONE_OK);
        hone_status status = hone_feed_raw_texts(&feed, copy, n, &err);
        if (n < sizeof raw - 1) {
            assert_int_equal(status, HONE_INVALID_ARGUMENT);
        } else {
            hone_buffer back = {0};
            const hone_string *texts = feed.tensor.data;
            assert_int_equal(status, HONE_OK);
            assert_int_equal(texts[0].size, 5);
            assert_memory_equal(texts[0].data, "h\0llo", 6);
            assert_string_equal(texts[1].data, "");
            assert_string_equal(texts[2].data, "\xc3\xa9");
            assert_int_equal(texts[2].size, 2);
            hone_tensor_put_raw(&back, &feed.tensor);
            assert_int_equal(back.size, hone_tensor_raw_size(&feed.tensor));
            assert_int_equal(back.size, sizeof raw - 1);
            assert_memory_equal(back.data, raw, sizeof raw - 1);
            hone_buffer_free(&back);
        }
        hone_json_tensor_free(&feed.values);
        free(copy);
    }
}

static void explains_bad_requests(void **state) {
    static const struct {
        const char *body, *message;
    } cases[] = {
        {"", "JSON Parse error: Expected '{' at offset: 0 (the end)"},
        {"{}", "the request has no inputs"},
        {"{\"inputs\":[]}", "the input \\\"x\\\" is missing"},
        {"{\"inputs\":[{}]}", "an input has no name"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3]}]}", "the input \\\"x\\\" has no datatype"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\"}]}", "the input \\\"x\\\" has no shape"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3]}]}",
         "the input \\\"x\\\" must have either data or binary_data_size"},
        {"{\"inputs\":[{\"name\":\"z\",\"datatype\":\"FP32\",\"shape\":[1,3],\"data\":[1,2,3]}]}",
         "the model has no input \\\"z\\\""},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP64\",\"shape\":[1,3],\"data\":[1,2,3]}]}",
         "the input \\\"x\\\" is of the datatype \\\"FP64\\\", but the model takes FP32"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3],\"data\":[1,2]}]}",
         "the input \\\"x\\\" has 2 elements, but its shape takes 3"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,4],\"data\":[1,2,3,4]}]}",
         "input \\\"x\\\" has the shape [1, 4], but the model takes [batch, 3]"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3],\"parameters\":{\"binary_data_"
         "size\":12}}]}",
         "the inputs take 12 bytes behind the JSON header, but there are 0"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3],\"parameters\":{\"binary_data_"
         "size\":-1}}]}",
         "the input \\\"x\\\" has a bad binary_data_size"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3],\"data\":[1,2,3]}],\"outputs\":["
         "{\"name\":"
         "\"z\"}]}",
         "the model has no output \\\"z\\\""},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3],\"data\":[1,2,3]}],\"outputs\":["
         "{\"name\":"
         "\"y\"},{\"name\":\"y\"}]}",
         "the output \\\"y\\\" is asked for twice"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3],\"data\":[1,2,3]}]} x",
         "JSON Parse error: The document root must not be followed by other values. at offset: 73"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_error(*state, MATRIX, cases[i].body, 400, cases[i].message);
    }
    expect_error(
        *state, MATRIX,
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3],\"data\":[1,2,\"a\"]}]}", 400,
        "the data of the input \\\"x\\\": JSON Value: \\\"a\\\" Type: String is not of expected type: float");
    expect_error(*state, MATRIX, "{\"outputs\":[{\"name\":\"y\",\"parameters\":{\"classification\":3}}]}",
                 501, "the parameter \\\"classification\\\" is of an extension that is not there");
    expect_error(*state, "/v2/models/none/infer", "{}", 404, "the model \\\"none\\\" is not there");
    expect_error(*state, "/v2/models/matrix/versions/2/infer", "{}", 404,
                 "the model \\\"matrix\\\" is not there in version 2");
    expect_error(*state, "/v2/models/matrix/versions/x/infer", "{}", 400,
                 "\\\"x\\\" is no version of a model");
    answer a = ask(*state, "POST", MATRIX, "inference-header-content-length: 3\n", "{}");
    assert_int_equal(a.status, 400);
    answer_free(&a);
    a = ask(*state, "POST", MATRIX, "inference-header-content-length: -1\n", "{}");
    assert_int_equal(a.status, 400);
    answer_free(&a);
    a = ask(*state, "POST", MATRIX, "inference-header-content-length: 0\n", "12345");
    assert_int_equal(a.status, 400);
    answer_free(&a);
    a = ask(*state, "POST", PAIR, "inference-header-content-length: 0\n", "12345678");
    assert_int_equal(a.status, 400);
    answer_free(&a);
}

/* Shapes of more than the server takes, or of nothing that is much work. */
static void refuses_large_shapes(void **state) {
    static const char *const shapes[][2] = {{"99999999,3", "1199999988"},
                                            {"0,1000000000000000", "4000000000000000"},
                                            {"1000000000000000,0", "4000000000000000"}};
    for (int i = 0; i < 3; i++) {
        char body[200], message[200];
        snprintf(body, sizeof body,
                 "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[%s],\"data\":[]}]}",
                 shapes[i][0]);
        snprintf(message, sizeof message,
                 "the input \\\"x\\\" would take %s bytes, and the server allows 1048576 (--max-body)",
                 shapes[i][1]);
        expect_error(*state, "/v2/models/matrix/infer", body, 413, message);
    }
}

/* A tensor of digits right behind the JSON must not become part of it. */
static void keeps_json_and_bytes_apart(void **state) {
    char json[200];
    snprintf(json, sizeof json,
             "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"UINT8\",\"shape\":[1,40],\"parameters\":"
             "{\"binary_data_size\":40}}]}");
    answer a =
        ask_raw(*state, "/v2/models/uint8/infer", json, "}}}}]]]]]11111111111111111111111111111111", 40);
    if (a.status != 200) fail_msg("%s", a.body.data);
    assert_non_null(strstr(a.body.data, "\"data\":[125, 125, 125, 125, 93, 93, 93, 93, 93, 49,"));
    answer_free(&a);
}

static void tells_about_itself(void **state) {
    fixture *f = *state;
    expect(f, "GET", "/v2", "", 200,
           "{\"name\":\"hone\",\"version\":\"" HONE_VERSION "\",\"extensions\":[\"model_repository\","
           "\"model_configuration\",\"binary_tensor_data\",\"statistics\"]}");
    expect(f, "GET", "/v2/health/live", "", 200, "{\"live\":true}");
    expect(f, "GET", "/v2/health/ready", "", 200, "{\"ready\":true}");
    atomic_store(&f->ready, false);
    expect(f, "GET", "/v2/health/live", "", 200, "{\"live\":true}");
    expect(f, "GET", "/v2/health/ready", "", 400, "{\"ready\":false}");
    atomic_store(&f->ready, true);
    expect(f, "GET", "/v2/models/matrix/ready", "", 200, "{\"name\":\"matrix\",\"ready\":true}");
    expect(f, "GET", "/v2/models/matrix/versions/1/ready", "", 200, "{\"name\":\"matrix\",\"ready\":true}");
    expect(f, "GET", "/v2/models/matrix/versions/2/ready", "", 400, "{\"name\":\"matrix\",\"ready\":false}");
    expect(f, "GET", "/v2/models/none/ready", "", 400, "{\"name\":\"none\",\"ready\":false}");
    expect(f, "GET", "/v2/models/pair", "", 200,
           "{\"name\":\"pair\",\"versions\":[\"7\"],\"platform\":\"onnx\",\"inputs\":[{\"name\":\"a\","
           "\"datatype\":"
           "\"FP32\",\"shape\":[-1]},{\"name\":\"b\",\"datatype\":\"FP32\",\"shape\":[-1]}],\"outputs\":[{"
           "\"name\":"
           "\"sum\",\"datatype\":\"FP32\",\"shape\":[-1]},{\"name\":\"difference\",\"datatype\":\"FP32\","
           "\"shape\":[-1]}]}");
    expect(f, "GET", "/v2/models/matrix/config", "", 200,
           "{\"name\":\"matrix\",\"platform\":\"onnx\",\"backend\":\"hone\",\"max_batch_size\":0,\"input\":[{"
           "\"name\":"
           "\"x\",\"data_type\":\"TYPE_FP32\",\"dims\":[-1,3]}],\"output\":[{\"name\":\"y\",\"data_type\":"
           "\"TYPE_FP32\",\"dims\":[-1,2]}]}");
    answer a = ask(f, "GET", "/v2/models/matrix", NULL, "");
    assert_non_null(strstr(a.body.data, "\"versions\":[\"3\",\"1\"]"));
    answer_free(&a);
}

static void counts_predictions(void **state) {
    fixture *f = *state;
    fixture_add(f, "counted", 1, matrix_model());
    const char *good =
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[2,3],\"data\":[1,0,0,0,1,0.5]}]}";
    for (int i = 0; i < 3; i++) {
        answer a = ask(f, "POST", "/v2/models/counted/infer", NULL, i < 2 ? good : "{}");
        assert_int_equal(a.status, i < 2 ? 200 : 400);
        answer_free(&a);
    }
    answer a = ask(f, "GET", "/v2/models/counted/versions/1/stats", NULL, "");
    assert_int_equal(a.status, 200);
    if (!strstr(a.body.data, "\"inference_count\":4,\"execution_count\":2,") ||
        !strstr(a.body.data, "\"success\":{\"count\":2,\"ns\":") ||
        !strstr(a.body.data, "\"fail\":{\"count\":1,\"ns\":"))
        fail_msg("%s", a.body.data);
    answer_free(&a);
    a = ask(f, "GET", "/v2/models/stats", NULL, "");
    assert_non_null(strstr(a.body.data, "{\"name\":\"counted\",\"version\":\"1\","));
    assert_non_null(strstr(a.body.data, "{\"name\":\"matrix\",\"version\":\"3\","));
    answer_free(&a);
}

static void tells_the_repository(void **state) {
    fixture *f = *state;
    hone_remarks_add(&f->core->registry.remarks, "a\"b", "is a link");
    hone_remarks_add(&hone_registry_find(&f->core->registry, "pair", 4)->remarks, "pair", "v2 is no version");
    answer a = ask(*state, "POST", "/v2/repository/index", NULL, "");
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.body.data,
                           "{\"name\":\"pair\",\"state\":\"UNAVAILABLE\",\"reason\":\"v2 is no version\"},"
                           "{\"name\":\"a\\\"b\",\"state\":\"UNAVAILABLE\",\"reason\":\"is a link\"}]"));
    assert_non_null(strstr(a.body.data,
                           "{\"name\":\"matrix\",\"version\":\"3\",\"state\":\"READY\",\"reason\":\"\"},"
                           "{\"name\":\"matrix\",\"version\":\"1\",\"state\":\"READY\",\"reason\":\"\"}"));
    answer_free(&a);
    a = ask(*state, "POST", "/v2/repository/index", NULL, "{\"ready\":true}");
    assert_int_equal(a.status, 200);
    assert_non_null(
        strstr(a.body.data, "{\"name\":\"pair\",\"version\":\"7\",\"state\":\"READY\",\"reason\":\"\"}"));
    assert_null(strstr(a.body.data, "UNAVAILABLE"));
    answer_free(&a);
    a = ask(*state, "POST", "/v2/repository/models/none/load", NULL, "{\"parameters\":{\"config\":");
    assert_int_equal(a.status, 400);
    answer_free(&a);
    a = ask(*state, "POST", "/v2/repository/models/none/load", NULL,
            "{\"parameters\":{\"file:1/m.onnx\":\"\"}}");
    assert_int_equal(a.status, 501);
    answer_free(&a);
}

/* However deep a client nests "parameters", the stack stays as it is. */
static void is_not_led_deep_by_parameters(void **state) {
    enum { LEVELS = 1000000 };
    static const char level[] = "{\"parameters\":";
    hone_buffer body = {0};
    for (int i = 0; i < LEVELS; i++) hone_buffer_put(&body, level, sizeof level - 1);
    hone_buffer_byte(&body, 0);
    assert_false(body.failed);
    answer a = ask(*state, "POST", "/v2/repository/index", NULL, body.data);
    assert_int_equal(a.status, 400);
    assert_non_null(strstr(a.body.data, "Nested too deeply"));
    answer_free(&a);
    hone_buffer_free(&body);
}

static void refuses_other_paths(void **state) {
    static const char *const none[] = {"/v2/other",
                                       "/v2/models",
                                       "/v2/models/",
                                       "/v2/models/m/other",
                                       "/v2/health",
                                       "/v2/models/m/versions/",
                                       "/v2/models/m/versions/1/2",
                                       "/v2/repository",
                                       "/v2/repository/models/m/other",
                                       "/v2/repository/models//load",
                                       "/v2//"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        answer a = ask(*state, "GET", none[i], NULL, "");
        if (a.status != 404) fail_msg("%s: %d", none[i], a.status);
        answer_free(&a);
    }
    static const char *const other[] = {"/v2/repository/index", MATRIX, "/v2/repository/models/m/load"};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        answer a = ask(*state, "GET", other[i], NULL, "");
        assert_int_equal(a.status, 405);
        answer_free(&a);
    }
    answer a = ask(*state, "POST", "/v2", NULL, "");
    assert_int_equal(a.status, 405);
    answer_free(&a);
    assert_false(hone_oip_takes(slice("/v2x")) || hone_oip_takes(slice("/v1/models")) ||
                 hone_oip_takes(slice("")));
}

/* Packed bodies and answers. */
static void packs(void **state) {
    fixture *f = *state;
    hone_buffer body = {0}, packed = {0}, back = {0};
    hone_gzip *z = NULL;
    hone_buffer_text(&body,
                     "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT64\",\"shape\":[1,1000],\"data\":[0");
    for (int i = 1; i < 1000; i++) hone_buffer_printf(&body, ",%d", i);
    hone_buffer_text(&body, "]}]}");
    assert_true(hone_gzip_pack(&z, body.data, body.size, &packed));
    answer a =
        fixture_send(f, handle, "POST", "/v2/models/int64/infer",
                     "Content-Encoding: gzip\nAccept-Encoding: deflate, gzip\n", packed.data, packed.size);
    assert_int_equal(a.status, 200);
    assert_string_equal(answer_field(&a.fields, "content-encoding"), "gzip");
    assert_int_equal(a.length, a.body.size);
    assert_int_equal(hone_gzip_unpack(&z, a.body.data, a.body.size, 0, &back, NULL), HONE_OK);
    assert_true(back.size > 2 * a.body.size);
    hone_buffer_byte(&back, 0);
    assert_non_null(strstr(back.data, ", 998, 999]}]}"));
    answer_free(&a);
    a = fixture_send(f, handle, "POST", "/v2/models/int64/infer", "Accept-Encoding: identity\n", body.data,
                     body.size);
    assert_string_equal(answer_field(&a.fields, "content-encoding"), "");
    assert_int_equal(a.body.size, back.size - 1);
    answer_free(&a);
    /* More than the limit on bodies when unpacked. */
    hone_buffer large = {0};
    for (int i = 0; i < 1200000; i++) hone_buffer_byte(&large, ' ');
    packed.size = 0;
    assert_true(hone_gzip_pack(&z, large.data, large.size, &packed));
    a = fixture_send(f, handle, "POST", "/v2/models/int64/infer", "Content-Encoding: gzip\n", packed.data,
                     packed.size);
    assert_int_equal(a.status, 413);
    answer_free(&a);
    hone_buffer_free(&large);
    hone_buffer_free(&body);
    hone_buffer_free(&packed);
    hone_buffer_free(&back);
    hone_gzip_free(z);
}

/* What bodies are unpacked to is kept within the budget, too: a small one may grow a thousandfold. */
static void keeps_unpacked_bodies_within_the_budget(void **state) {
    fixture *f = *state;
    hone_budget budget = {.limit = 100 << 10};
    hone_budget_share other = {0};
    hone_buffer body = {0}, packed = {0};
    hone_gzip *z = NULL;
    f->front->packer.budget = &budget;
    hone_buffer_text(&body,
                     "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[0,3],\"data\":[]}]}");
    while (body.size < (300 << 10)) hone_buffer_byte(&body, ' ');
    assert_true(hone_gzip_pack(&z, body.data, body.size, &packed));
    assert_true(packed.size < (4 << 10));
    for (int i = 0; i < 3; i++) {
        /* beside another one there is no room; alone it goes on, whatever its size */
        assert_true(hone_budget_charge(&budget, &other, 100 << 20));
        answer a =
            fixture_send(f, handle, "POST", MATRIX, "Content-Encoding: gzip\n", packed.data, packed.size);
        assert_int_equal(a.status, 503);
        answer_free(&a);
        hone_budget_release(&other);
        a = fixture_send(f, handle, "POST", MATRIX, "Content-Encoding: gzip\n", packed.data, packed.size);
        assert_int_equal(a.status, 200);
        answer_free(&a);
        assert_int_equal(atomic_load(&budget.used), 0);
    }
    f->front->packer.budget = NULL;
    hone_gzip_free(z);
    hone_buffer_free(&body);
    hone_buffer_free(&packed);
}

static void allocates_nothing_when_warm(void **state) {
    fixture *f = *state;
    uint64_t before = 0;
    answer a = {0};
    static const char json[] =
        "{\"inputs\":[{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[2],\"parameters\":"
        "{\"binary_data_size\":8}}," B "],\"parameters\":{\"binary_data_output\":true}}";
    char length[24];
    snprintf(length, sizeof length, "%zu", sizeof json - 1);
    for (int i = 0; i < 300; i++) {
        if (i == 100) before = hone_alloc_count();
        bool raw = i % 2;
        hone_request *r = hone_request_new(&f->pool);
        hone_head head = {
            .method = slice("POST"), .path = slice(PAIR), .query = slice(""), .content_length = -1};
        if (raw)
            head.fields[head.field_count++] =
                (hone_field){slice("inference-header-content-length"), slice(length)};
        assert_int_equal(hone_request_set_head(r, &head), HONE_OK);
        hone_buffer_text(&r->body, raw ? json : "{\"id\":\"1\",\"inputs\":[" A "," B "]}");
        if (raw) hone_buffer_put(&r->body, (float[]){1, 2}, 8);
        assert_int_equal(hone_request_end_body(r), HONE_OK);
        r->sink = &answer_sink;
        r->stream = &a;
        a.body.size = a.fields.size = 0;
        a.ends = 0;
        hone_oip_handle(f->front, r);
        assert_int_equal(a.ends, 1);
        assert_int_equal(a.status, 200);
        hone_request_release(r);
    }
    assert_int_equal(hone_alloc_count(), before);
    answer_free(&a);
}

/* Every allocation of a request fails in turn: an error or an answer, never anything else. */
static void survives_lack_of_memory(void **state) {
    fixture *f = *state;
    int answered = 0;
    for (uint64_t n = 1; n < 200 && !answered; n++) {
        hone_front *front;
        hone_front_options o = f->front->o;
        assert_int_equal(hone_front_new(&o, &front, NULL), HONE_OK);
        hone_request *r = hone_request_new(NULL);
        hone_head head = {
            .method = slice("POST"), .path = slice(PAIR), .query = slice(""), .content_length = -1};
        assert_int_equal(hone_request_set_head(r, &head), HONE_OK);
        hone_buffer_text(&r->body, "{\"inputs\":[" A "," B "],\"parameters\":{\"binary_data_output\":true}}");
        assert_int_equal(hone_request_end_body(r), HONE_OK);
        answer a = {0};
        hone_buffer_reserve(&a.body, 4096);
        hone_buffer_reserve(&a.fields, 4096);
        r->sink = &answer_sink;
        r->stream = &a;
        hone_alloc_fail_at(n, true);
        hone_oip_handle(front, r);
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

/* In microseconds from the request's first byte, which was long ago. */
static void keeps_deadlines(void **state) {
    static const struct {
        const char *timeout;
        int status;
    } cases[] = {{"1", 504},  {"0", 200},        {"9000000000000000000", 200},
                 {"-1", 400}, {"\"soon\"", 400}, {"1.5", 400}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[300];
        snprintf(body, sizeof body,
                 "{\"parameters\": {\"timeout\": %s}, \"inputs\": [{\"name\": \"x\", \"datatype\": \"FP32\", "
                 "\"shape\": [1, 3], \"data\": [1, 0, 0]}]}",
                 cases[i].timeout);
        answer a = ask(*state, "POST", "/v2/models/matrix/infer", NULL, body);
        if (a.status != cases[i].status)
            fail_msg("timeout %s: %d %s", cases[i].timeout, a.status, a.body.data);
        answer_free(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(infers_from_json),
        cmocka_unit_test(infers_maps),
        cmocka_unit_test(keeps_deadlines),
        cmocka_unit_test(chooses_outputs),
        cmocka_unit_test(infers_from_bytes),
        cmocka_unit_test(takes_all_types),
        cmocka_unit_test(takes_strings),
        cmocka_unit_test(passes_strings),
        cmocka_unit_test(refuses_types_without_a_form),
        cmocka_unit_test(explains_bad_requests),
        cmocka_unit_test(refuses_large_shapes),
        cmocka_unit_test(keeps_json_and_bytes_apart),
        cmocka_unit_test(tells_about_itself),
        cmocka_unit_test(counts_predictions),
        cmocka_unit_test(tells_the_repository),
        cmocka_unit_test(is_not_led_deep_by_parameters),
        cmocka_unit_test(refuses_other_paths),
        cmocka_unit_test(packs),
        cmocka_unit_test(keeps_unpacked_bodies_within_the_budget),
        cmocka_unit_test(allocates_nothing_when_warm),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
