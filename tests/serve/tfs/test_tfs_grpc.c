#include "base/half.h"
#include "serve/tfs/tensor_proto.h"
#include "serve/tfs/tfs_grpc.h"
#include "serve/tfs/tfs_names.h"
#include "serve/tfs/tfs_rest.h"
#include "serve/tfs_calls.h"

static int setup(void **state) {
    static fixture f;
    fixture_open(&f);
    static const hone_dtype dtypes[] = {HONE_FLOAT32, HONE_FLOAT64, HONE_INT8,    HONE_UINT8, HONE_INT16,
                                        HONE_UINT16,  HONE_INT32,   HONE_UINT32,  HONE_INT64, HONE_UINT64,
                                        HONE_BOOL,    HONE_FLOAT16, HONE_BFLOAT16};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        fixture_add(&f, hone_dtype_name(dtypes[i]), 1, echo_model(dtypes[i], 2, "y"));
    fixture_add(&f, "maps", 1, maps_model(false));
    assert_int_equal(hone_tfs_grpc_register(&f.grpc, &f.front, NULL), HONE_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture_close(*state);
    return 0;
}

/* --- making requests --- */

static void put_spec(hone_buffer *b, const char *name, int64_t version, const char *label,
                     const char *signature) {
    size_t spec = hone_wire_begin(b, 1);
    hone_wire_put_text(b, 1, name);
    if (version >= 0) {
        size_t number = hone_wire_begin(b, 2);
        hone_wire_put_number(b, 1, (uint64_t)version);
        hone_wire_end(b, number);
    }
    if (label) hone_wire_put_text(b, 4, label);
    if (signature) hone_wire_put_text(b, 3, signature);
    hone_wire_end(b, spec);
}

/* Opens a map entry and the tensor in it: dtype and shape. */
typedef struct open_tensor {
    size_t entry, value;
} open_tensor;

static open_tensor open_input(hone_buffer *b, const char *name, uint64_t type, int rank,
                              const int64_t *dims) {
    open_tensor o;
    o.entry = hone_wire_begin(b, 2);
    hone_wire_put_text(b, 1, name);
    o.value = hone_wire_begin(b, 2);
    hone_wire_put_number(b, 1, type);
    hone_shape_proto_put(b, 2, rank, dims, NULL);
    return o;
}

static void close_input(hone_buffer *b, open_tensor o) {
    hone_wire_end(b, o.value);
    hone_wire_end(b, o.entry);
}

static void put_floats(hone_buffer *b, const char *name, int rank, const int64_t *dims, const float *x,
                       size_t n) {
    open_tensor o = open_input(b, name, 1, rank, dims);
    hone_wire_put_bytes(b, 4, x, n * sizeof *x);
    close_input(b, o);
}

/* The TensorProto of an output; size 0 if it is not there. */
static hone_wire_field find_output(const answer *a, const char *name) {
    hone_wire w = hone_wire_of(a->body.data, a->body.size);
    hone_wire_field f, g, value = {0};
    while (hone_wire_next(&w, &f)) {
        if (!hone_wire_is(&f, 1, HONE_WIRE_BYTES)) continue;
        hone_wire entry = hone_wire_into(&f);
        bool match = false;
        while (hone_wire_next(&entry, &g)) {
            if (hone_wire_is(&g, 1, HONE_WIRE_BYTES)) match = hone_slice_equal(hone_wire_text(&g), name);
            if (match && hone_wire_is(&g, 2, HONE_WIRE_BYTES)) value = g;
        }
    }
    assert_null(w.why);
    return value;
}

static void expect_floats(const answer *a, const char *name, const float *want, size_t n) {
    if (answer_code(a) != 0) fail_msg("%d %s", answer_code(a), answer_message(a));
    hone_wire_field t = find_output(a, name), values = field(hone_wire_into(&t), 5);
    assert_int_equal(field(hone_wire_into(&t), 1).value, 1);
    assert_int_equal(values.size, n * sizeof *want);
    assert_memory_equal(values.data, want, n * sizeof *want);
}

static void expect_failure(answer a, int code, const char *message) {
    if (answer_code(&a) != code || strcmp(answer_message(&a), message) != 0)
        fail_msg("%d %s, expected %d %s", answer_code(&a), answer_message(&a), code, message);
    assert_int_equal(a.body.size, 0);
    answer_free(&a);
}

/* --- Predict --- */

static void predicts(void **state) {
    hone_buffer b = {0};
    put_spec(&b, "matrix", -1, NULL, NULL);
    put_floats(&b, "x", 2, (int64_t[]){2, 3}, (float[]){1, 0, 0, 0, 1, 0.5f}, 6);
    answer a = call(*state, SERVICE "Predict", &b);
    expect_floats(&a, "y", (float[]){1, 2, 5.5f, 7}, 4);
    assert_string_equal(a.type, "application/grpc");
    /* Its shape, and which model it was. */
    hone_wire_field t = find_output(&a, "y"), shape = field(hone_wire_into(&t), 2);
    assert_int_equal(shape.size, 8);
    assert_memory_equal(shape.data, "\x12\x02\x08\x02\x12\x02\x08\x02", 8);
    hone_wire_field spec = field(hone_wire_of(a.body.data, a.body.size), 2);
    assert_int_equal(spec.size, 29);
    assert_memory_equal(spec.data, "\x0a\x06matrix\x12\x02\x08\x03\x1a\x0fserving_default", 29);
    answer_free(&a);
}

/* Messages have no maps: the matrix of their values. */
static void predicts_maps(void **state) {
    hone_buffer b = {0};
    put_spec(&b, "maps", -1, NULL, NULL);
    put_floats(&b, "x", 2, (int64_t[]){2, 2}, (float[]){1, 0.5f, -1, 2}, 4);
    answer a = call(*state, SERVICE "Predict", &b);
    expect_floats(&a, "scores", (float[]){2, 1, -2, 4}, 4);
    answer_free(&a);
}

/* --- packed messages --- */

enum { ROWS = 300 };

static void put_rows(hone_buffer *b) {
    static float x[ROWS * 3];
    put_spec(b, "matrix", -1, NULL, NULL);
    for (int i = 0; i < ROWS * 3; i++) x[i] = (float)(i % 7);
    put_floats(b, "x", 2, (int64_t[]){ROWS, 3}, x, ROWS * 3);
}

static hone_buffer packed_copy(const hone_buffer *b) {
    hone_gzip *z = NULL;
    hone_buffer packed = {0};
    assert_true(hone_gzip_pack(&z, b->data, b->size, &packed));
    hone_gzip_free(z);
    return packed;
}

#define GZIP "grpc-encoding: gzip\n"
#define ACCEPTS "grpc-accept-encoding: identity,deflate,gzip\n"

/* The answer is the same whatever was packed on the way; it is packed for who packs and accepts it. */
static void packs_messages(void **state) {
    static const struct {
        const char *fields;
        bool packed, answer_packed;
    } cases[] = {{"", false, false},
                 {ACCEPTS, false, false},
                 {GZIP, true, false},
                 {GZIP ACCEPTS, true, true},
                 /* not worth packing, but willing: */ {GZIP ACCEPTS, false, true},
                 {"grpc-encoding: identity\n" ACCEPTS, false, false}};
    hone_buffer b = {0};
    put_rows(&b);
    hone_buffer packed = packed_copy(&b);
    assert_true(packed.size < b.size);
    answer plain = fixture_call(*state, SERVICE "Predict", b.data, b.size);
    assert_int_equal(answer_code(&plain), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const hone_buffer *message = cases[i].packed ? &packed : &b;
        bool was_packed;
        answer a = fixture_call_packed(*state, SERVICE "Predict", cases[i].fields, cases[i].packed,
                                       message->data, message->size, &was_packed);
        assert_int_equal(answer_code(&a), 0);
        assert_int_equal(was_packed, cases[i].answer_packed);
        assert_string_equal(answer_field(&a.fields, "grpc-accept-encoding"), "identity,gzip");
        assert_string_equal(answer_field(&a.fields, "grpc-encoding"), was_packed ? "gzip" : "");
        if (was_packed) {
            hone_gzip *z = NULL;
            hone_buffer back = {0};
            assert_true(a.body.size < plain.body.size);
            assert_int_equal(hone_gzip_unpack(&z, a.body.data, a.body.size, 0, &back, NULL), HONE_OK);
            hone_buffer_free(&a.body);
            a.body = back;
            hone_gzip_free(z);
        }
        assert_int_equal(a.body.size, plain.body.size);
        assert_memory_equal(a.body.data, plain.body.data, plain.body.size);
        answer_free(&a);
    }
    /* small answers are not */
    hone_buffer_clear(&b, SIZE_MAX);
    put_spec(&b, "matrix", -1, NULL, NULL);
    put_floats(&b, "x", 2, (int64_t[]){1, 3}, (float[]){1, 0, 0}, 3);
    bool was_packed;
    answer a =
        fixture_call_packed(*state, SERVICE "Predict", GZIP ACCEPTS, false, b.data, b.size, &was_packed);
    assert_false(was_packed);
    expect_floats(&a, "y", (float[]){1, 2}, 2);
    answer_free(&a);
    answer_free(&plain);
    hone_buffer_free(&b);
    hone_buffer_free(&packed);
}

static void keeps_unpacked_messages_within_the_budget(void **state) {
    enum { MANY = 30000 };
    static const float x[MANY * 3];
    fixture *f = *state;
    hone_budget budget = {.limit = 1 << 20};
    hone_budget_share other = {0};
    hone_buffer b = {0};
    f->front->packer.budget = &budget;
    put_spec(&b, "matrix", -1, NULL, NULL);
    put_floats(&b, "x", 2, (int64_t[]){MANY, 3}, x, MANY * 3);
    hone_buffer packed = packed_copy(&b);
    assert_true(packed.size < HONE_BUDGET_FREE && b.size > 300000);
    for (int i = 0; i < 4; i++) {
        bool was_packed, room = i % 2;
        if (!room) assert_true(hone_budget_charge(&budget, &other, 100 << 20));
        answer a =
            fixture_call_packed(f, SERVICE "Predict", GZIP, true, packed.data, packed.size, &was_packed);
        assert_int_equal(answer_code(&a), room ? HONE_GRPC_OK : HONE_GRPC_UNAVAILABLE);
        answer_free(&a);
        hone_budget_release(&other);
        assert_int_equal(atomic_load(&budget.used), 0);
    }
    f->front->packer.budget = NULL;
    hone_buffer_free(&b);
    hone_buffer_free(&packed);
}

static void refuses_badly_packed_messages(void **state) {
    hone_buffer b = {0}, bomb = {0};
    put_rows(&b);
    hone_buffer packed = packed_copy(&b);
    char *zeros = calloc(1, 2 << 20); /* twice of what is allowed */
    assert_non_null(zeros);
    hone_buffer_put(&bomb, zeros, 2 << 20);
    free(zeros);
    hone_buffer packed_bomb = packed_copy(&bomb);
    const struct {
        const char *fields;
        const hone_buffer *message;
        size_t size;
        int code;
    } cases[] = {{"", &packed, packed.size, 3},
                 {"grpc-encoding: identity\n", &packed, packed.size, 3},
                 {"grpc-encoding: deflate\n", &packed, packed.size, 12},
                 {"grpc-encoding: snappy\n", &packed, packed.size, 12},
                 {GZIP, &b, b.size, 3},
                 {GZIP, &packed, packed.size - 1, 3},
                 {GZIP, &packed, 0, 3},
                 {GZIP, &packed_bomb, packed_bomb.size, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool was_packed;
        answer a = fixture_call_packed(*state, SERVICE "Predict", cases[i].fields, true,
                                       cases[i].message->data, cases[i].size, &was_packed);
        if (answer_code(&a) != cases[i].code) fail_msg("%zu: %d %s", i, answer_code(&a), answer_message(&a));
        if (cases[i].code == 12)
            assert_string_equal(answer_field(&a.fields, "grpc-accept-encoding"), "identity,gzip");
        answer_free(&a);
    }
    hone_buffer_free(&b);
    hone_buffer_free(&packed);
    hone_buffer_free(&bomb);
    hone_buffer_free(&packed_bomb);
}

/* --- versions --- */

static void chooses_versions(void **state) {
    static const struct {
        int64_t version;
        const char *label, *signature, *message;
        int code;
    } cases[] = {
        {1, NULL, "serving_default", "", 0},
        {3, NULL, "", "", 0},
        {2, NULL, NULL, "Servable not found for request: Specific(matrix, 2)", 5},
        {-1, "stable", NULL, "Unrecognized servable version label: stable", 3},
        {-1, NULL, "other", "Serving signature key \"other\" not found.", 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_buffer b = {0};
        put_spec(&b, "matrix", cases[i].version, cases[i].label, cases[i].signature);
        put_floats(&b, "x", 2, (int64_t[]){1, 3}, (float[]){1, 1, 1}, 3);
        answer a = call(*state, SERVICE "Predict", &b);
        if (answer_code(&a) != cases[i].code || strcmp(answer_message(&a), cases[i].message) != 0)
            fail_msg("case %zu: %d %s", i, answer_code(&a), answer_message(&a));
        answer_free(&a);
    }
    hone_buffer b = {0};
    put_spec(&b, "none", -1, NULL, NULL);
    expect_failure(call(*state, SERVICE "Predict", &b), 5, "Servable not found for request: Latest(none)");
    expect_failure(call(*state, SERVICE "Predict", &b), 3, "Missing model name in request.");
}

static void filters_outputs(void **state) {
    for (int i = 0; i < 4; i++) {
        hone_buffer b = {0};
        put_spec(&b, "pair", -1, NULL, NULL);
        if (i & 1) hone_wire_put_text(&b, 3, "difference");
        put_floats(&b, "a", 1, (int64_t[]){2}, (float[]){1, 2}, 2);
        put_floats(&b, "b", 1, (int64_t[]){2}, (float[]){3, 5}, 2);
        if (i & 2) hone_wire_put_text(&b, 3, "sum");
        answer a = call(*state, SERVICE "Predict", &b);
        if (i != 1) expect_floats(&a, "sum", (float[]){4, 7}, 2);
        if (i != 2) expect_floats(&a, "difference", (float[]){-2, -3}, 2);
        assert_true((find_output(&a, "sum").size == 0) == (i == 1));
        assert_true((find_output(&a, "difference").size == 0) == (i == 2));
        answer_free(&a);
    }
    hone_buffer b = {0};
    put_spec(&b, "pair", -1, NULL, NULL);
    hone_wire_put_text(&b, 3, "nothing");
    expect_failure(call(*state, SERVICE "Predict", &b), 3, "the model has no output \"nothing\"");
}

static uint64_t type_of(hone_dtype dtype) {
    return (uint64_t)hone_tfs_type(dtype);
}

/* 1, 2, 3, 0 as `dtype`, in memory. */
static void fill(hone_dtype dtype, void *out) {
    for (int i = 0; i < 4; i++) {
        int x = dtype == HONE_BOOL ? (i + 1) & 1 : (i + 1) & 3;
        float real = (float)x;
        switch (dtype) {
        case HONE_FLOAT32: ((float *)out)[i] = real; break;
        case HONE_FLOAT64: ((double *)out)[i] = real; break;
        case HONE_FLOAT16: ((uint16_t *)out)[i] = hone_half_of_float(real); break;
        case HONE_BFLOAT16: ((uint16_t *)out)[i] = hone_bfloat_of_float(real); break;
        case HONE_INT64:
        case HONE_UINT64: ((int64_t *)out)[i] = x; break;
        case HONE_INT32:
        case HONE_UINT32: ((int32_t *)out)[i] = x; break;
        case HONE_INT16:
        case HONE_UINT16: ((int16_t *)out)[i] = (int16_t)x; break;
        default: ((int8_t *)out)[i] = (int8_t)x;
        }
    }
}

static uint32_t list_of(hone_dtype dtype) {
    switch (dtype) {
    case HONE_FLOAT32: return 5;
    case HONE_FLOAT64: return 6;
    case HONE_INT64: return 10;
    case HONE_BOOL: return 11;
    case HONE_FLOAT16:
    case HONE_BFLOAT16: return 13;
    case HONE_UINT32: return 16;
    case HONE_UINT64: return 17;
    default: return 7;
    }
}

static uint64_t bits_of(hone_dtype dtype, const void *data, int i) {
    uint64_t x = 0;
    size_t size = hone_dtype_size(dtype);
    memcpy(&x, (const char *)data + (size_t)i * size, size);
    return x;
}

/* Element i as an element of its list, without its tag. */
static void put_element(hone_buffer *b, hone_dtype dtype, const void *data, int i) {
    size_t size = hone_dtype_size(dtype);
    if (dtype == HONE_FLOAT32 || dtype == HONE_FLOAT64)
        hone_buffer_put(b, (const char *)data + (size_t)i * size, size);
    else
        hone_wire_put_varint(b, bits_of(dtype, data, i));
}

enum form { CONTENT, PACKED, SINGLE, SPLIT, REPEATED, NOTHING, FORMS };

static void put_form(hone_buffer *b, hone_dtype dtype, const void *data, enum form form) {
    uint32_t number = list_of(dtype);
    size_t size = hone_dtype_size(dtype);
    hone_wire_type type = dtype == HONE_FLOAT32   ? HONE_WIRE_FIXED32
                          : dtype == HONE_FLOAT64 ? HONE_WIRE_FIXED64
                                                  : HONE_WIRE_VARINT;
    if (form == CONTENT) hone_wire_put_bytes(b, 4, data, 4 * size);
    for (int i = 0; form == SINGLE && i < 4; i++) {
        hone_wire_put_tag(b, number, type);
        put_element(b, dtype, data, i);
    }
    if (form != PACKED && form != SPLIT && form != REPEATED) return;
    size_t run = hone_wire_begin(b, number);
    for (int i = 0; i < (form == REPEATED ? 1 : 4); i++) {
        put_element(b, dtype, data, i);
        if (form != SPLIT || i != 1) continue; /* two runs */
        hone_wire_end(b, run);
        run = hone_wire_begin(b, number);
    }
    hone_wire_end(b, run);
}

/* Every type in every form it may come in, wherever it lies in the message. */
static void takes_all_types(void **state) {
    static const hone_dtype dtypes[] = {HONE_FLOAT32, HONE_FLOAT64, HONE_INT8,    HONE_UINT8, HONE_INT16,
                                        HONE_UINT16,  HONE_INT32,   HONE_UINT32,  HONE_INT64, HONE_UINT64,
                                        HONE_BOOL,    HONE_FLOAT16, HONE_BFLOAT16};
    for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++)
        for (int form = 0; form < FORMS; form++)
            for (int shift = 0; shift < 8; shift++) {
                hone_dtype dtype = dtypes[d];
                uint64_t data[4], want[4] = {0};
                hone_buffer b = {0};
                fill(dtype, data);
                put_spec(&b, hone_dtype_name(dtype), -1, NULL, NULL);
                hone_wire_put_bytes(&b, 99, "12345678", (size_t)shift); /* unknown; moves what follows */
                open_tensor o = open_input(&b, "x", type_of(dtype), 2, (int64_t[]){2, 2});
                put_form(&b, dtype, data, (enum form)form);
                close_input(&b, o);
                answer a = call(*state, SERVICE "Predict", &b);
                if (answer_code(&a) != 0)
                    fail_msg("%s, form %d: %s", hone_dtype_name(dtype), form, answer_message(&a));
                hone_wire_field t = find_output(&a, "y"), list = field(hone_wire_into(&t), list_of(dtype));
                assert_int_equal(field(hone_wire_into(&t), 1).value, type_of(dtype));
                if (form != NOTHING) memcpy(want, data, sizeof want);
                hone_buffer expected = {0};
                for (int i = 0; i < 4; i++) put_element(&expected, dtype, want, form == REPEATED ? 0 : i);
                assert_int_equal(list.size, expected.size);
                assert_memory_equal(list.data, expected.data, expected.size);
                hone_buffer_free(&expected);
                answer_free(&a);
            }
}

/* Negative numbers are ten bytes long, and are taken cut to their type's bits, too. */
static void takes_negative_numbers(void **state) {
    for (int wide = 0; wide < 2; wide++) {
        hone_buffer b = {0};
        put_spec(&b, "int16", -1, NULL, NULL);
        open_tensor o = open_input(&b, "x", 5, 2, (int64_t[]){1, 1});
        hone_wire_put_number(&b, 7, wide ? (uint64_t)-2 : 0xfffe);
        close_input(&b, o);
        answer a = call(*state, SERVICE "Predict", &b);
        assert_int_equal(answer_code(&a), 0);
        hone_wire_field t = find_output(&a, "y"), list = field(hone_wire_into(&t), 7);
        assert_int_equal(list.size, 10);
        assert_memory_equal(list.data, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
        answer_free(&a);
    }
}

/* An input of strings, as the server would make it for a model that takes them. */
static hone_feed text_feed(void) {
    hone_feed feed = {.name = "x", .values = {.dtype = HONE_STRING}, .tensor = {.dtype = HONE_STRING}};
    return feed;
}

static void takes_strings(void **state) {
    (void)state;
    static const hone_string texts[] = {{"", 0}, {"h\0llo", 5}, {"\xc3\xa9\0", 3}, {"last", 4}};
    for (int given = 0; given <= 4; given++) {
        hone_buffer b = {0}, back = {0};
        hone_feed feed = text_feed();
        hone_error err = {0};
        hone_wire_put_number(&b, 1, 7);
        hone_shape_proto_put(&b, 2, 2, (int64_t[]){2, 2}, NULL);
        for (int i = 0; i < given; i++) hone_wire_put_bytes(&b, 8, texts[i].data, texts[i].size);
        hone_wire_field message = {.data = (const uint8_t *)b.data, .size = b.size};
        hone_tensors t = {.feeds = &feed, .count = 1};
        if (hone_tensor_proto_decode(&t, &feed, &message, &err) != HONE_OK) fail_msg("%s", err.message);
        assert_int_equal(hone_tensors_missing(&t), (size_t)(4 - given) * sizeof *texts);
        hone_tensors_fill(&t);
        hone_tensor_proto_put(&back, &feed.tensor);
        assert_int_equal(back.size, hone_tensor_proto_size(&feed.tensor));
        hone_wire w = hone_wire_of(back.data, back.size);
        hone_wire_field f;
        int n = 0;
        while (hone_wire_next(&w, &f)) {
            if (!hone_wire_is(&f, 8, HONE_WIRE_BYTES)) continue;
            const hone_string *want = &texts[given == 0 ? 0 : n < given ? n : given - 1];
            hone_slice text = hone_wire_text(&f);
            assert_int_equal(text.size, want->size);
            assert_memory_equal(text.data, want->data, want->size);
            n++;
        }
        assert_int_equal(n, 4);
        hone_json_tensor_free(&feed.values);
        hone_buffer_free(&b);
        hone_buffer_free(&back);
    }
}

/* A model gives back any bytes that it gets, at once and from a compute thread. */
static void passes_strings(void **state) {
    (void)state;
    static const hone_string texts[] = {{"\0\xff\0", 3}, {"", 0}, {"a", 1}};
    for (int later = 0; later < 2; later++) {
        fixture f;
        fixture_open(&f);
        fixture_add(&f, "text", 1, echo_model(HONE_STRING, 1, "y"));
        assert_int_equal(hone_tfs_grpc_register(&f.grpc, &f.front, NULL), HONE_OK);
        if (later) fixture_start(&f);
        hone_buffer b = {0};
        put_spec(&b, "text", -1, NULL, NULL);
        open_tensor o = open_input(&b, "x", 7, 1, (int64_t[]){3});
        for (int i = 0; i < 3; i++) hone_wire_put_bytes(&b, 8, texts[i].data, texts[i].size);
        close_input(&b, o);
        answer a = call(&f, SERVICE "Predict", &b);
        if (answer_code(&a) != 0) fail_msg("%s", answer_message(&a));
        hone_wire_field t = find_output(&a, "y"), s;
        hone_wire w = hone_wire_into(&t);
        int n = 0;
        while (hone_wire_next(&w, &s)) {
            if (!hone_wire_is(&s, 8, HONE_WIRE_BYTES)) continue;
            assert_int_equal(s.size, texts[n].size);
            assert_memory_equal(s.data, texts[n].data, texts[n].size);
            n++;
        }
        assert_int_equal(n, 3);
        answer_free(&a);
        fixture_close(&f);
    }
}

static void refuses_strings_as_content(void **state) {
    (void)state;
    hone_buffer b = {0};
    hone_feed feed = text_feed();
    hone_wire_put_number(&b, 1, 7);
    hone_shape_proto_put(&b, 2, 1, (int64_t[]){1}, NULL);
    hone_wire_put_bytes(&b, 4, "\1a", 2);
    hone_wire_field message = {.data = (const uint8_t *)b.data, .size = b.size};
    hone_tensors t = {.feeds = &feed, .count = 1};
    assert_int_equal(hone_tensor_proto_decode(&t, &feed, &message, NULL), HONE_UNSUPPORTED);
    hone_json_tensor_free(&feed.values);
    hone_buffer_free(&b);
}

/* --- what is wrong --- */

static void explains_bad_requests(void **state) {
    static const float x[6] = {0};
    const int64_t big[] = {1000000, 1000000}, negative[] = {-1, 3}, many[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const struct {
        const char *name;
        uint64_t type;
        size_t bytes;
        const char *message;
    } cases[] = {
        {"z", 1, 24, "the model has no input \"z\""},
        {"x", 2, 24, "the input \"x\" is of the type DT_DOUBLE (2), but the model takes DT_FLOAT"},
        {"x", 77, 24, "the input \"x\" is of the type DT_INVALID (77), but the model takes DT_FLOAT"},
        {"x", 1, 20, "the input \"x\" has 20 bytes, but its shape and type take 24"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_buffer b = {0};
        put_spec(&b, "matrix", -1, NULL, NULL);
        open_tensor o = open_input(&b, cases[i].name, cases[i].type, 2, (int64_t[]){2, 3});
        hone_wire_put_bytes(&b, 4, x, cases[i].bytes);
        close_input(&b, o);
        expect_failure(call(*state, SERVICE "Predict", &b), 3, cases[i].message);
    }
    hone_buffer b = {0};
    put_spec(&b, "matrix", -1, NULL, NULL);
    expect_failure(call(*state, SERVICE "Predict", &b), 3, "the input \"x\" is missing");
    put_spec(&b, "matrix", -1, NULL, NULL);
    put_floats(&b, "x", 1, (int64_t[]){3}, x, 3);
    expect_failure(call(*state, SERVICE "Predict", &b), 3,
                   "input \"x\" has the shape [3], but the model takes [batch, 3]");
    put_spec(&b, "matrix", -1, NULL, NULL);
    put_floats(&b, "x", 2, (int64_t[]){2, 3}, x, 6);
    put_floats(&b, "x", 2, (int64_t[]){2, 3}, x, 6);
    expect_failure(call(*state, SERVICE "Predict", &b), 3, "the input \"x\" is there twice");
    /* One number may not stand for a terabyte. */
    put_spec(&b, "matrix", -1, NULL, NULL);
    open_tensor o = open_input(&b, "x", 1, 2, big);
    hone_wire_put_bytes(&b, 5, x, 4);
    close_input(&b, o);
    expect_failure(
        call(*state, SERVICE "Predict", &b), 8,
        "the input \"x\" would take 4000000000000 bytes, and the server allows 1048576 (--max-body)");
    /* Nor may it be nothing, for which there is as much to do. */
    put_spec(&b, "matrix", -1, NULL, NULL);
    close_input(&b, open_input(&b, "x", 1, 2, (int64_t[]){0, (int64_t)1 << 60}));
    expect_failure(call(*state, SERVICE "Predict", &b), 8,
                   "the input \"x\" would take 4611686018427387904 bytes, and the server allows 1048576 "
                   "(--max-body)");
    put_spec(&b, "matrix", -1, NULL, NULL);
    close_input(&b, open_input(&b, "x", 1, 2, negative));
    answer a = call(*state, SERVICE "Predict", &b);
    assert_int_equal(answer_code(&a), 3);
    answer_free(&a);
    put_spec(&b, "matrix", -1, NULL, NULL);
    close_input(&b, open_input(&b, "x", 1, 9, many));
    expect_failure(call(*state, SERVICE "Predict", &b), 3, "the input \"x\" has more than 8 dimensions");
    put_spec(&b, "matrix", -1, NULL, NULL);
    o = open_input(&b, "x", 1, 2, (int64_t[]){1, 3});
    hone_wire_put_bytes(&b, 5, x, 16);
    close_input(&b, o);
    expect_failure(call(*state, SERVICE "Predict", &b), 3,
                   "the input \"x\" has more elements than its shape");
    hone_buffer_text(&b, "\x12\x7f nonsense");
    expect_failure(call(*state, SERVICE "Predict", &b), 3,
                   "the request is no PredictRequest: a length passes the end");
}

/* Every prefix and every changed byte of a good request gets an answer. */
static void survives_any_damage(void **state) {
    hone_buffer b = {0};
    put_spec(&b, "pair", 7, NULL, "serving_default");
    put_floats(&b, "a", 1, (int64_t[]){2}, (float[]){1, 2}, 2);
    open_tensor o = open_input(&b, "b", 1, 1, (int64_t[]){2});
    hone_wire_put_bytes(&b, 5, "\0\0\x80\x3f", 4);
    close_input(&b, o);
    hone_wire_put_text(&b, 3, "sum");
    int good = 0;
    for (size_t n = 0; n < b.size; n++) {
        answer a = fixture_call(*state, SERVICE "Predict", b.data, n);
        answer_free(&a);
        for (int bit = 0; bit < 8; bit++) {
            b.data[n] ^= (char)(1 << bit);
            a = fixture_call(*state, SERVICE "Predict", b.data, b.size);
            good += answer_code(&a) == 0;
            answer_free(&a);
            b.data[n] ^= (char)(1 << bit);
        }
    }
    assert_true(good > 0);
    answer a = call(*state, SERVICE "Predict", &b);
    expect_floats(&a, "sum", (float[]){2, 3}, 2);
    answer_free(&a);
}

/* --- the other methods --- */

static void tells_metadata(void **state) {
    hone_buffer b = {0};
    put_spec(&b, "pair", -1, NULL, NULL);
    expect_failure(call(*state, SERVICE "GetModelMetadata", &b), 3,
                   "GetModelMetadataRequest must specify at least one metadata_field");
    put_spec(&b, "pair", -1, NULL, NULL);
    hone_wire_put_text(&b, 2, "other");
    expect_failure(call(*state, SERVICE "GetModelMetadata", &b), 3, "Metadata field other is not supported");
    put_spec(&b, "pair", -1, NULL, NULL);
    hone_wire_put_text(&b, 2, "signature_def");
    answer a = call(*state, SERVICE "GetModelMetadata", &b);
    assert_int_equal(answer_code(&a), 0);
    hone_wire_field entry = field(hone_wire_of(a.body.data, a.body.size), 2);
    assert_true(hone_slice_equal((hone_slice){(const char *)field(hone_wire_into(&entry), 1).data, 13},
                                 "signature_def"));
    hone_wire_field any = field(hone_wire_into(&entry), 2), url = field(hone_wire_into(&any), 1);
    assert_true(
        hone_slice_equal(hone_wire_text(&url), "type.googleapis.com/tensorflow.serving.SignatureDefMap"));
    hone_wire_field map = field(hone_wire_into(&any), 2), named = field(hone_wire_into(&map), 1);
    hone_wire_field signature = field(hone_wire_into(&named), 2),
                    method = field(hone_wire_into(&signature), 3);
    assert_true(hone_slice_equal(hone_wire_text(&method), "tensorflow/serving/predict"));
    hone_wire w = hone_wire_into(&signature);
    hone_wire_field f;
    int inputs = 0, outputs = 0;
    while (hone_wire_next(&w, &f)) {
        inputs += f.number == 1;
        outputs += f.number == 2;
        if (f.number == 3) continue;
        hone_wire_field info = field(hone_wire_into(&f), 2), shape = field(hone_wire_into(&info), 3);
        assert_int_equal(field(hone_wire_into(&info), 2).value, 1);
        assert_int_equal(shape.size, 20); /* one dimension: -1, "batch" */
        assert_memory_equal(shape.data,
                            "\x12\x12\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\x05"
                            "batch",
                            20);
    }
    assert_true(inputs == 2 && outputs == 2);
    answer_free(&a);
}

static void tells_status(void **state) {
    hone_buffer b = {0};
    put_spec(&b, "matrix", -1, NULL, NULL);
    answer a = call(*state, MODELS "GetModelStatus", &b);
    assert_int_equal(answer_code(&a), 0);
    assert_int_equal(a.body.size, 16);
    assert_memory_equal(a.body.data, "\x0a\x06\x08\x03\x10\x1e\x1a\x00\x0a\x06\x08\x01\x10\x1e\x1a\x00", 16);
    answer_free(&a);
    put_spec(&b, "matrix", 1, NULL, NULL);
    a = call(*state, MODELS "GetModelStatus", &b);
    assert_int_equal(a.body.size, 8);
    assert_memory_equal(a.body.data, "\x0a\x06\x08\x01\x10\x1e\x1a\x00", 8);
    answer_free(&a);
    put_spec(&b, "matrix", 2, NULL, NULL);
    expect_failure(call(*state, MODELS "GetModelStatus", &b), 5, "Could not find version 2 of model matrix");
    put_spec(&b, "none", -1, NULL, NULL);
    expect_failure(call(*state, MODELS "GetModelStatus", &b), 5, "Could not find any versions of model none");
}

static void refuses_other_methods(void **state) {
    static const char *const methods[] = {SERVICE "Classify",
                                          SERVICE "Regress",
                                          SERVICE "MultiInference",
                                          "/tensorflow.serving.SessionService/SessionRun",
                                          SERVICE "Nothing",
                                          MODELS "Nothing",
                                          "/tensorflow.serving.Nothing/Nothing"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        answer a = fixture_call(*state, methods[i], "", 0);
        if (answer_code(&a) != 12 || strlen(answer_message(&a)) < 20)
            fail_msg("%s: %d %s", methods[i], answer_code(&a), answer_message(&a));
        answer_free(&a);
    }
}

/* --- memory --- */

static void allocates_nothing_when_warm(void **state) {
    fixture *f = *state;
    hone_buffer b = {0};
    put_spec(&b, "pair", -1, NULL, NULL);
    put_floats(&b, "a", 1, (int64_t[]){2}, (float[]){1, 2}, 2);
    put_floats(&b, "b", 1, (int64_t[]){2}, (float[]){3, 5}, 2);
    check_allocates_nothing(f, SERVICE "Predict", &b);
    hone_buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predicts),
        cmocka_unit_test(predicts_maps),
        cmocka_unit_test(packs_messages),
        cmocka_unit_test(keeps_unpacked_messages_within_the_budget),
        cmocka_unit_test(refuses_badly_packed_messages),
        cmocka_unit_test(chooses_versions),
        cmocka_unit_test(filters_outputs),
        cmocka_unit_test(takes_all_types),
        cmocka_unit_test(takes_negative_numbers),
        cmocka_unit_test(takes_strings),
        cmocka_unit_test(passes_strings),
        cmocka_unit_test(refuses_strings_as_content),
        cmocka_unit_test(explains_bad_requests),
        cmocka_unit_test(survives_any_damage),
        cmocka_unit_test(tells_metadata),
        cmocka_unit_test(tells_status),
        cmocka_unit_test(refuses_other_methods),
        cmocka_unit_test(allocates_nothing_when_warm),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
