#include "serve/format/wire.h"
#include "serve/fronts.h"
#include "serve/models/core_inside.h"
#include "serve/oip/oip_grpc.h"

#define SERVICE "/inference.GRPCInferenceService/"

static const struct {
    hone_dtype dtype;
    const char *datatype;
    uint32_t list; /* of InferTensorContents; 0: none */
    size_t size;
    const char *raw;     /* two elements */
    const char *content; /* the same, as a packed list */
    size_t content_size;
} types[] = {
    {HONE_BOOL, "BOOL", 1, 2, "\1\0", "\1\0", 2},
    {HONE_INT8, "INT8", 2, 2, "\xfe\7", "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1\7", 11},
    {HONE_INT16, "INT16", 2, 4, "\xfe\xff\7\0", "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1\7", 11},
    {HONE_INT32, "INT32", 2, 8, "\xfe\xff\xff\xff\7\0\0\0", "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1\7", 11},
    {HONE_INT64, "INT64", 3, 16, "\xfe\xff\xff\xff\xff\xff\xff\xff\7\0\0\0\0\0\0\0",
     "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1\7", 11},
    {HONE_UINT8, "UINT8", 4, 2, "\xff\7", "\xff\1\7", 3},
    {HONE_UINT16, "UINT16", 4, 4, "\xff\0\7\0", "\xff\1\7", 3},
    {HONE_UINT32, "UINT32", 4, 8, "\xff\0\0\0\7\0\0\0", "\xff\1\7", 3},
    {HONE_UINT64, "UINT64", 5, 16, "\xff\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0", "\xff\1\7", 3},
    {HONE_FLOAT32, "FP32", 6, 8, "\0\0\xc0\x3f\0\0\0\xc0", "\0\0\xc0\x3f\0\0\0\xc0", 8},
    {HONE_FLOAT64, "FP64", 7, 16, "\0\0\0\0\0\0\xf8\x3f\0\0\0\0\0\0\0\xc0",
     "\0\0\0\0\0\0\xf8\x3f\0\0\0\0\0\0\0\xc0", 16},
    {HONE_FLOAT16, "FP16", 0, 4, "\0\x3e\0\xc0", NULL, 0},
    {HONE_BFLOAT16, "BF16", 0, 4, "\xc0\x3f\0\xc0", NULL, 0},
};
enum { TYPES = sizeof types / sizeof *types };

static int setup(void **state) {
    static fixture f;
    fixture_open(&f);
    for (int i = 0; i < TYPES; i++)
        fixture_add(&f, hone_dtype_name(types[i].dtype), 1, echo_model(types[i].dtype, 2, "y"));
    assert_int_equal(hone_oip_grpc_register(&f.grpc, &f.front, NULL), HONE_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture_close(*state);
    return 0;
}

static answer call(fixture *f, const char *method, hone_buffer *b) {
    char path[120];
    snprintf(path, sizeof path, SERVICE "%s", method);
    assert_false(b->failed);
    answer a = fixture_call(f, path, b->data, b->size);
    hone_buffer_free(b);
    return a;
}

static void put_model(hone_buffer *b, const char *name, const char *version) {
    hone_wire_put_text(b, 1, name);
    if (version) hone_wire_put_text(b, 2, version);
}

/* An input with its contents, a packed list, if `list` is not 0. */
static void put_input(hone_buffer *b, const char *name, const char *datatype, int rank, const int64_t *dims,
                      uint32_t list, const void *contents, size_t size) {
    size_t input = hone_wire_begin(b, 5);
    hone_wire_put_text(b, 1, name);
    hone_wire_put_text(b, 2, datatype);
    for (int i = 0; i < rank; i++) hone_wire_put_number(b, 3, (uint64_t)dims[i]);
    if (list) {
        size_t inner = hone_wire_begin(b, 5);
        hone_wire_put_bytes(b, list, contents, size);
        hone_wire_end(b, inner);
    }
    hone_wire_end(b, input);
}

/* The nth field of that number (from 0). */
static hone_wire_field field(hone_wire w, uint32_t number, int nth) {
    hone_wire_field f;
    while (hone_wire_next(&w, &f))
        if (f.number == number && nth-- == 0) return f;
    return (hone_wire_field){.data = (const uint8_t *)""};
}

static hone_wire all(const answer *a) {
    if (answer_code(a) != 0) fail_msg("%d %s", answer_code(a), answer_message(a));
    return hone_wire_of(a->body.data, a->body.size);
}

static void expect_text(hone_wire w, uint32_t number, int nth, const char *want) {
    hone_wire_field f = field(w, number, nth);
    if (!hone_slice_equal(hone_wire_text(&f), want))
        fail_msg("%.*s, not %s", (int)f.size, (const char *)f.data, want);
}

static void expect_bytes(hone_wire_field f, const void *want, size_t size) {
    assert_int_equal(f.size, size);
    assert_memory_equal(f.data, want, size);
}

static void expect_failure(answer a, int code, const char *message) {
    if (answer_code(&a) != code || strcmp(answer_message(&a), message) != 0)
        fail_msg("%d %s, expected %d %s", answer_code(&a), answer_message(&a), code, message);
    answer_free(&a);
}

static void infers(void **state) {
    hone_buffer b = {0};
    put_model(&b, "pair", "7");
    hone_wire_put_text(&b, 3, "the id");
    put_input(&b, "b", "FP32", 1, (int64_t[]){2}, 0, NULL, 0);
    put_input(&b, "a", "FP32", 1, (int64_t[]){2}, 0, NULL, 0);
    hone_wire_put_bytes(&b, 7, (float[]){3, 5}, 8);
    hone_wire_put_bytes(&b, 7, (float[]){1, 2}, 8);
    answer a = call(*state, "ModelInfer", &b);
    hone_wire w = all(&a);
    expect_text(w, 1, 0, "pair");
    expect_text(w, 2, 0, "7");
    expect_text(w, 3, 0, "the id");
    hone_wire_field sum = field(w, 5, 0), difference = field(w, 5, 1);
    expect_text(hone_wire_into(&sum), 1, 0, "sum");
    expect_text(hone_wire_into(&sum), 2, 0, "FP32");
    expect_bytes(field(hone_wire_into(&sum), 3, 0), "\2", 1);
    assert_int_equal(field(hone_wire_into(&sum), 5, 0).size, 0);
    expect_text(hone_wire_into(&difference), 1, 0, "difference");
    expect_bytes(field(w, 6, 0), (float[]){4, 7}, 8);
    expect_bytes(field(w, 6, 1), (float[]){-2, -3}, 8);
    answer_free(&a);
    /* The raw contents may stand before the inputs, and an output may be asked for. */
    hone_wire_put_bytes(&b, 7, (float[]){3, 5}, 8);
    hone_wire_put_bytes(&b, 7, (float[]){1, 2}, 8);
    put_input(&b, "b", "FP32", 1, (int64_t[]){2}, 0, NULL, 0);
    put_input(&b, "a", "FP32", 1, (int64_t[]){2}, 0, NULL, 0);
    size_t wanted = hone_wire_begin(&b, 6);
    hone_wire_put_text(&b, 1, "difference");
    hone_wire_end(&b, wanted);
    put_model(&b, "pair", NULL);
    a = call(*state, "ModelInfer", &b);
    w = all(&a);
    expect_bytes(field(w, 6, 0), (float[]){-2, -3}, 8);
    assert_int_equal(field(w, 6, 1).size, 0);
    assert_int_equal(field(w, 5, 1).size, 0);
    answer_free(&a);
}

/* Raw contents give raw ones back, others give others; types without a list are always raw. */
static void takes_all_types(void **state) {
    for (int i = 0; i < TYPES; i++)
        for (int raw = types[i].list == 0; raw < 2; raw++)
            for (int shift = 0; shift < 8; shift++) {
                hone_buffer b = {0};
                hone_wire_put_bytes(&b, 99, "12345678", (size_t)shift); /* unknown; moves what follows */
                put_model(&b, hone_dtype_name(types[i].dtype), "");
                put_input(&b, "x", types[i].datatype, 2, (int64_t[]){1, 2}, raw ? 0 : types[i].list,
                          types[i].content, types[i].content_size);
                if (raw) hone_wire_put_bytes(&b, 7, types[i].raw, types[i].size);
                answer a = call(*state, "ModelInfer", &b);
                hone_wire w = all(&a);
                hone_wire_field y = field(w, 5, 0), contents = field(hone_wire_into(&y), 5, 0);
                expect_text(hone_wire_into(&y), 2, 0, types[i].datatype);
                expect_bytes(field(hone_wire_into(&y), 3, 0), "\1\2", 2);
                if (raw) {
                    expect_bytes(field(w, 6, 0), types[i].raw, types[i].size);
                    assert_int_equal(contents.size, 0);
                } else {
                    expect_bytes(field(hone_wire_into(&contents), types[i].list, 0), types[i].content,
                                 types[i].content_size);
                    assert_int_equal(field(w, 6, 0).size, 0);
                }
                answer_free(&a);
            }
}

/* A model gives back any bytes that it gets, raw and as contents, at once and from a compute thread. */
static void passes_strings(void **state) {
    (void)state;
    static const hone_string texts[] = {{"\0\xff\0", 3}, {"", 0}, {"a", 1}};
    static const char raw[] = "\3\0\0\0\0\xff\0\0\0\0\0\1\0\0\0a";
    for (int later = 0; later < 2; later++) {
        fixture f;
        fixture_open(&f);
        fixture_add(&f, "text", 1, echo_model(HONE_STRING, 1, "y"));
        assert_int_equal(hone_oip_grpc_register(&f.grpc, &f.front, NULL), HONE_OK);
        if (later) fixture_start(&f);
        hone_buffer b = {0};
        put_model(&b, "text", NULL);
        put_input(&b, "x", "BYTES", 1, (int64_t[]){3}, 0, NULL, 0);
        hone_wire_put_bytes(&b, 7, raw, sizeof raw - 1);
        answer a = call(&f, "ModelInfer", &b);
        expect_bytes(field(all(&a), 6, 0), raw, sizeof raw - 1);
        answer_free(&a);
        hone_buffer contents = {0};
        for (int i = 0; i < 3; i++) hone_wire_put_bytes(&contents, 8, texts[i].data, texts[i].size);
        put_model(&b, "text", NULL);
        size_t input = hone_wire_begin(&b, 5);
        hone_wire_put_text(&b, 1, "x");
        hone_wire_put_text(&b, 2, "BYTES");
        hone_wire_put_number(&b, 3, 3);
        hone_wire_put_bytes(&b, 5, contents.data, contents.size);
        hone_wire_end(&b, input);
        a = call(&f, "ModelInfer", &b);
        hone_wire_field y = field(all(&a), 5, 0);
        expect_bytes(field(hone_wire_into(&y), 5, 0), contents.data, contents.size);
        answer_free(&a);
        hone_buffer_free(&contents);
        fixture_close(&f);
    }
}

static void wake(void *user) {
    atomic_fetch_add((atomic_int *)user, 1);
}

/* With a port the core answers later: large messages are decoded on a compute thread, and what is wrong about
 * them is told all the same. */
static void answers_later(void **state) {
    (void)state;
    static fixture f;
    static atomic_int woken;
    enum { ROWS = 20000 };
    float *x = malloc(ROWS * 3 * sizeof *x);
    assert_non_null(x);
    for (int i = 0; i < ROWS * 3; i++) x[i] = (float)(i % 100);
    fixture_open(&f);
    assert_int_equal(hone_oip_grpc_register(&f.grpc, &f.front, NULL), HONE_OK);
    assert_int_equal(start_core(f.core, NULL), HONE_OK);
    hone_core_attach(f.core, 0, &(hone_port){.wake = wake, .user = &woken});
    for (int64_t rows = 1; rows <= ROWS; rows = rows == 1 ? ROWS - 1 : rows + 1) {
        hone_buffer b = {0};
        put_model(&b, "matrix", NULL);
        put_input(&b, "x", "FP32", 2, (int64_t[]){rows, 3}, 0, NULL, 0);
        hone_wire_put_bytes(&b, 7, x, (size_t)(rows == ROWS ? rows - 1 : rows) * 12);
        answer a = call(&f, "ModelInfer", &b);
        if (rows == ROWS) {
            expect_failure(a, 3, "the input \"x\" has 239988 bytes, but its shape and type take 240000");
            continue;
        }
        hone_wire_field y = field(all(&a), 6, 0);
        const float *last = (const float *)(const void *)(y.data + (rows - 1) * 8);
        float got[2], *row = x + (rows - 1) * 3;
        assert_int_equal(y.size, rows * 8);
        memcpy(got, last, sizeof got);
        assert_true(got[0] == row[0] + 3 * row[1] + 5 * row[2] &&
                    got[1] == 2 * row[0] + 4 * row[1] + 6 * row[2]);
        answer_free(&a);
    }
    assert_true(atomic_load(&woken) > 0);
    fixture_close(&f);
    free(x);
}

static void explains_bad_requests(void **state) {
    static const float x[4] = {0};
    const int64_t one[] = {1, 3}, big[] = {1000000, 1000000}, many[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    hone_buffer b = {0};
    expect_failure(call(*state, "ModelInfer", &b), 3, "the request names no model");
    put_model(&b, "none", NULL);
    expect_failure(call(*state, "ModelInfer", &b), 5, "the model \"none\" is not there");
    put_model(&b, "matrix", "2");
    expect_failure(call(*state, "ModelInfer", &b), 5, "the model \"matrix\" is not there in version 2");
    put_model(&b, "matrix", "-1");
    expect_failure(call(*state, "ModelInfer", &b), 3, "\"-1\" is no version of a model");
    put_model(&b, "matrix", NULL);
    expect_failure(call(*state, "ModelInfer", &b), 3, "the input \"x\" is missing");
    put_model(&b, "matrix", NULL);
    put_input(&b, "z", "FP32", 2, one, 6, x, 12);
    expect_failure(call(*state, "ModelInfer", &b), 3, "the model has no input \"z\"");
    put_model(&b, "matrix", NULL);
    put_input(&b, "x", "INT32", 2, one, 6, x, 12);
    expect_failure(call(*state, "ModelInfer", &b), 3,
                   "the input \"x\" is of the datatype \"INT32\", but the model takes FP32");
    put_model(&b, "matrix", NULL);
    put_input(&b, "x", "FP32", 2, one, 6, x, 12);
    put_input(&b, "x", "FP32", 2, one, 6, x, 12);
    expect_failure(call(*state, "ModelInfer", &b), 3, "the input \"x\" is there twice");
    put_model(&b, "matrix", NULL);
    put_input(&b, "x", "FP32", 2, one, 6, x, 8);
    expect_failure(call(*state, "ModelInfer", &b), 3,
                   "the input \"x\" has 2 elements, but its shape takes 3");
    put_model(&b, "matrix", NULL);
    put_input(&b, "x", "FP32", 2, one, 6, x, 16);
    expect_failure(call(*state, "ModelInfer", &b), 3, "the input \"x\" has more elements than its shape");
    put_model(&b, "matrix", NULL);
    put_input(&b, "x", "FP32", 2, one, 0, NULL, 0);
    expect_failure(call(*state, "ModelInfer", &b), 3, "the input \"x\" has no contents, raw or other");
    put_model(&b, "matrix", NULL);
    put_input(&b, "x", "FP32", 2, one, 0, NULL, 0);
    hone_wire_put_bytes(&b, 7, x, 8);
    expect_failure(call(*state, "ModelInfer", &b), 3,
                   "the input \"x\" has 8 bytes, but its shape and type take 12");
    put_model(&b, "matrix", NULL);
    put_input(&b, "x", "FP32", 2, one, 6, x, 12);
    hone_wire_put_bytes(&b, 7, x, 12);
    expect_failure(call(*state, "ModelInfer", &b), 3,
                   "there are more raw contents than inputs that need them");
    put_model(&b, "matrix", NULL);
    put_input(&b, "x", "FP32", 2, big, 6, x, 12);
    expect_failure(
        call(*state, "ModelInfer", &b), 8,
        "the input \"x\" would take 4000000000000 bytes, and the server allows 1048576 (--max-body)");
    put_model(&b, "matrix", NULL);
    put_input(&b, "x", "FP32", 9, many, 6, x, 4);
    expect_failure(call(*state, "ModelInfer", &b), 3, "a shape has more than 8 dimensions");
    hone_buffer_text(&b, "\x12\x7f nonsense");
    expect_failure(call(*state, "ModelInfer", &b), 3,
                   "the request is no request of the inference service: a length passes the end");
}

static void survives_any_damage(void **state) {
    hone_buffer b = {0};
    int good = 0;
    put_model(&b, "pair", "7");
    put_input(&b, "a", "FP32", 1, (int64_t[]){2}, 6, (float[]){1, 2}, 8);
    put_input(&b, "b", "FP32", 1, (int64_t[]){2}, 0, NULL, 0);
    hone_wire_put_bytes(&b, 7, (float[]){3, 5}, 8);
    for (size_t n = 0; n < b.size; n++) {
        answer a = fixture_call(*state, SERVICE "ModelInfer", b.data, n);
        answer_free(&a);
        for (int bit = 0; bit < 8; bit++) {
            b.data[n] ^= (char)(1 << bit);
            a = fixture_call(*state, SERVICE "ModelInfer", b.data, b.size);
            good += answer_code(&a) == 0;
            answer_free(&a);
            b.data[n] ^= (char)(1 << bit);
        }
    }
    assert_true(good > 0);
    answer a = call(*state, "ModelInfer", &b);
    expect_bytes(field(all(&a), 6, 0), (float[]){4, 7}, 8);
    answer_free(&a);
}

static void tells_about_itself(void **state) {
    fixture *f = *state;
    hone_buffer b = {0};
    answer a = call(f, "ServerLive", &b);
    assert_int_equal(field(all(&a), 1, 0).value, 1);
    answer_free(&a);
    for (int ready = 0; ready < 2; ready++) {
        atomic_store(&f->ready, ready);
        a = call(f, "ServerReady", &b);
        assert_int_equal(field(all(&a), 1, 0).value, ready);
        answer_free(&a);
    }
    static const struct {
        const char *name, *version;
        bool ready;
    } cases[] = {{"matrix", "", true}, {"matrix", "1", true}, {"matrix", "2", false}, {"none", NULL, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_model(&b, cases[i].name, cases[i].version);
        a = call(f, "ModelReady", &b);
        assert_int_equal(field(all(&a), 1, 0).value, cases[i].ready);
        answer_free(&a);
    }
    a = call(f, "ServerMetadata", &b);
    expect_text(all(&a), 1, 0, "hone");
    expect_text(all(&a), 2, 0, HONE_VERSION);
    expect_text(all(&a), 3, 2, "binary_tensor_data");
    answer_free(&a);
    put_model(&b, "matrix", NULL);
    a = call(f, "ModelMetadata", &b);
    hone_wire_field x = field(all(&a), 4, 0), y = field(all(&a), 5, 0);
    expect_text(all(&a), 1, 0, "matrix");
    expect_text(all(&a), 2, 0, "3");
    expect_text(all(&a), 2, 1, "1");
    expect_text(hone_wire_into(&x), 1, 0, "x");
    expect_text(hone_wire_into(&x), 2, 0, "FP32");
    expect_bytes(field(hone_wire_into(&x), 3, 0), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\3", 11);
    expect_text(hone_wire_into(&y), 1, 0, "y");
    answer_free(&a);
    put_model(&b, "matrix", "1");
    a = call(f, "ModelConfig", &b);
    hone_wire_field config = field(all(&a), 1, 0), input = field(hone_wire_into(&config), 5, 0);
    expect_text(hone_wire_into(&config), 1, 0, "matrix");
    expect_text(hone_wire_into(&config), 17, 0, "hone");
    assert_int_equal(field(hone_wire_into(&input), 2, 0).value, 11);
    expect_bytes(field(hone_wire_into(&input), 4, 0), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\3", 11);
    answer_free(&a);
    put_model(&b, "none", NULL);
    expect_failure(call(f, "ModelMetadata", &b), 5, "the model \"none\" is not there");
}

static void counts_predictions(void **state) {
    fixture *f = *state;
    hone_buffer b = {0};
    fixture_add(f, "counted", 2, matrix_model());
    for (int i = 0; i < 3; i++) {
        put_model(&b, "counted", NULL);
        put_input(&b, "x", "FP32", 2, (int64_t[]){2, 3}, 6, (float[]){1, 2, 3, 4, 5, 6}, i < 2 ? 24 : 20);
        answer a = call(f, "ModelInfer", &b);
        assert_int_equal(answer_code(&a), i < 2 ? 0 : 3);
        answer_free(&a);
    }
    put_model(&b, "counted", NULL);
    answer a = call(f, "ModelStatistics", &b);
    hone_wire_field model = field(all(&a), 1, 0), items = field(hone_wire_into(&model), 6, 0);
    expect_text(hone_wire_into(&model), 1, 0, "counted");
    expect_text(hone_wire_into(&model), 2, 0, "2");
    assert_true(field(hone_wire_into(&model), 3, 0).value > 1600000000000);
    assert_int_equal(field(hone_wire_into(&model), 4, 0).value, 4);
    assert_int_equal(field(hone_wire_into(&model), 5, 0).value, 2);
    static const int counts[] = {2, 1, 2, 2, 2, 2};
    for (uint32_t i = 0; i < 6; i++) {
        hone_wire_field item = field(hone_wire_into(&items), i + 1, 0);
        assert_int_equal(field(hone_wire_into(&item), 1, 0).value, counts[i]);
    }
    answer_free(&a);
    a = call(f, "ModelStatistics", &b); /* of all models */
    assert_true(field(all(&a), 1, 3).size > 0);
    answer_free(&a);
}

static void tells_the_repository(void **state) {
    fixture *f = *state;
    hone_remarks_add(&f->core->registry.remarks, "stray", "is a link");
    for (int ready = 0; ready < 2; ready++) {
        hone_buffer b = {0};
        if (ready) hone_wire_put_number(&b, 2, 1);
        answer a = call(*state, "RepositoryIndex", &b);
        bool found = false, stray = false;
        for (int i = 0; field(all(&a), 1, i).size > 0; i++) {
            hone_wire_field entry = field(all(&a), 1, i), name = field(hone_wire_into(&entry), 1, 0);
            if (hone_slice_equal(hone_wire_text(&name), "stray")) {
                expect_text(hone_wire_into(&entry), 3, 0, "UNAVAILABLE");
                expect_text(hone_wire_into(&entry), 4, 0, "is a link");
                stray = true;
                continue;
            }
            expect_text(hone_wire_into(&entry), 3, 0, "READY");
            if (!hone_slice_equal(hone_wire_text(&name), "pair")) continue;
            found = true;
            expect_text(hone_wire_into(&entry), 2, 0, "7");
        }
        assert_true(found && stray == !ready);
        answer_free(&a);
    }
    hone_buffer b = {0};
    hone_wire_put_text(&b, 2, "m");
    size_t entry = hone_wire_begin(&b, 3);
    hone_wire_put_text(&b, 1, "file:1/model.onnx");
    hone_wire_end(&b, entry);
    expect_failure(call(*state, "RepositoryModelLoad", &b), 12,
                   "files of a model can't be sent: put them into the repository");
}

static void refuses_other_methods(void **state) {
    static const char *const methods[] = {"ModelStreamInfer", "SystemSharedMemoryStatus", "TraceSetting",
                                          "LogSettings", "Nothing"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        hone_buffer b = {0};
        answer a = call(*state, methods[i], &b);
        if (answer_code(&a) != 12 || !strstr(answer_message(&a), methods[i]))
            fail_msg("%d %s", answer_code(&a), answer_message(&a));
        answer_free(&a);
    }
}

static void allocates_nothing_when_warm(void **state) {
    fixture *f = *state;
    hone_buffer b = {0};
    put_model(&b, "pair", "7");
    put_input(&b, "b", "FP32", 1, (int64_t[]){2}, 0, NULL, 0);
    put_input(&b, "a", "FP32", 1, (int64_t[]){2}, 0, NULL, 0);
    hone_wire_put_bytes(&b, 7, (float[]){3, 5}, 8);
    hone_wire_put_bytes(&b, 7, (float[]){1, 2}, 8);
    check_allocates_nothing(f, SERVICE "ModelInfer", &b);
    hone_buffer_free(&b);
}

/* In microseconds from the request's first byte, which was long ago. */
static void keeps_deadlines(void **state) {
    static const struct {
        uint32_t kind;
        uint64_t value;
        int code;
    } cases[] = {{2, 1, 4},          {5, 1, 4},          {2, 0, 0}, {2, (uint64_t)1 << 60, 0},
                 {5, UINT64_MAX, 0}, {2, UINT64_MAX, 3}, {1, 1, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_buffer b = {0};
        put_model(&b, "matrix", NULL);
        size_t entry = hone_wire_begin(&b, 4);
        hone_wire_put_text(&b, 1, "timeout");
        size_t value = hone_wire_begin(&b, 2);
        hone_wire_put_number(&b, cases[i].kind, cases[i].value);
        hone_wire_end(&b, value);
        hone_wire_end(&b, entry);
        put_input(&b, "x", "FP32", 2, (int64_t[]){1, 3}, 6, (float[]){1, 0, 0}, 12);
        answer a = call(*state, "ModelInfer", &b);
        if (answer_code(&a) != cases[i].code)
            fail_msg("case %zu: %d %s", i, answer_code(&a), answer_message(&a));
        answer_free(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(infers),
        cmocka_unit_test(takes_all_types),
        cmocka_unit_test(passes_strings),
        cmocka_unit_test(answers_later),
        cmocka_unit_test(explains_bad_requests),
        cmocka_unit_test(keeps_deadlines),
        cmocka_unit_test(survives_any_damage),
        cmocka_unit_test(tells_about_itself),
        cmocka_unit_test(counts_predictions),
        cmocka_unit_test(tells_the_repository),
        cmocka_unit_test(refuses_other_methods),
        cmocka_unit_test(allocates_nothing_when_warm),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
