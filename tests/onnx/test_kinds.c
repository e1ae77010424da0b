/* Values that are no tensors, and sparse tensors, which become dense ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "graph/infer.h"
#include "onnx/model.h"
#include "onnx/onnx.h"

#include <stdio.h>
#include <string.h>

static bytes graph, model;
static hone_error err;

static int begin(void **state) {
    (void)state;
    graph.size = model.size = 0;
    err = (hone_error){0};
    return 0;
}

static hone_graph *load(void) {
    hone_graph *g = NULL;
    if (hone_graph_load_memory(model.data, model.size, "m", &g, &err) == HONE_OK) return g;
    char text[1024];
    fail_msg("%s", hone_error_format(&err, text, sizeof text));
    return NULL;
}

static void refuses(hone_status status, const char *message) {
    hone_graph *g = NULL;
    hone_status got = hone_graph_load_memory(model.data, model.size, "m", &g, &err);
    if (got != status || !strstr(err.message, message))
        fail_msg("wanted \"%s\", got %s: %s", message, hone_status_name(got), err.message);
}

/* --- types --- */

/* TypeProto of a tensor: float32[N, 2], or without a shape. */
static void tensor_type(bytes *type, int dtype, bool shaped) {
    static bytes dim, shape, t;
    dim.size = shape.size = t.size = type->size = 0;
    put_text(&dim, 2, "N");
    put_message(&shape, 1, &dim);
    dim.size = 0;
    put_int(&dim, 1, 2);
    put_message(&shape, 1, &dim);
    put_int(&t, 1, dtype);
    if (shaped) put_message(&t, 2, &shape);
    put_message(type, 1, &t);
}

/* `field`: 4 a sequence, 9 an optional value; 5 a map with keys of `key`. */
static void hold(bytes *type, int field, int key) {
    static bytes t, element;
    element = *type;
    t.size = type->size = 0;
    if (field == 5) put_int(&t, 1, key);
    put_message(&t, field == 5 ? 2 : 1, &element);
    put_message(type, field, &t);
}

static void put_typed(int part, const char *name, const bytes *type) {
    static bytes value;
    value.size = 0;
    put_text(&value, 1, name);
    if (type->size) put_message(&value, 2, type);
    put_message(&graph, part, &value);
}

static const char *const wanted[] = {"seq(float32[N, 2])", "optional(int64[…])", "map(string, float32[…])",
                                     "seq(map(int64, float32[N, 2]))", "optional(seq(float32[N, 2]))"};

static void make_types(void) {
    static bytes type;
    char name[] = "v0";
    for (int i = 0; i < 5; i++, name[1]++) {
        tensor_type(&type, i == 1 ? HONE_INT64 : HONE_FLOAT32, i != 1 && i != 2);
        if (i == 0) hold(&type, 4, 0);
        if (i == 1) hold(&type, 9, 0);
        if (i == 2) hold(&type, 5, HONE_STRING);
        if (i == 3) hold(&type, 5, HONE_INT64);
        if (i >= 3) hold(&type, 4, 0);
        if (i == 4) hold(&type, 9, 0);
        put_typed(PART_INPUT, name, &type);
        put_typed(PART_OUTPUT, name, &type);
    }
    model_of(&model, &graph, 17);
}

static void check_types(const hone_graph *g) {
    assert_int_equal(g->input_count, 5);
    for (int i = 0; i < 5; i++) {
        char text[96];
        hone_value_info info;
        assert_string_equal(hone_type_format(g, &g->inputs[i]->type, text, sizeof text), wanted[i]);
        assert_ptr_equal(g->outputs[i], g->inputs[i]);
        assert_true(hone_graph_input(g, i, &info));
        assert_int_equal(info.kind, g->inputs[i]->type.kind);
    }
    assert_int_equal(g->inputs[2]->type.dtype, HONE_STRING); /* the keys' */
}

static void test_types(void **state) {
    (void)state;
    make_types();
    hone_graph *g = load(), *again = NULL, *copy = NULL;
    check_types(g);
    assert_int_equal(hone_graph_copy(g, &copy, &err), HONE_OK);
    hone_blob blob;
    assert_int_equal(hone_onnx_write(g, &blob, &err), HONE_OK);
    hone_graph_free(g); /* the copy's types stand alone */
    check_types(copy);
    assert_int_equal(hone_graph_load_memory(blob.data, blob.size, "again", &again, &err), HONE_OK);
    check_types(again);
    hone_blob_free(&blob);
    hone_graph_free(copy);
    hone_graph_free(again);
}

static void test_operators_say_what_they_take(void **state) {
    (void)state;
    static bytes type;
    tensor_type(&type, HONE_FLOAT32, true);
    hold(&type, 4, 0);
    put_typed(PART_INPUT, "x", &type);
    put_node(&graph, "Relu", "n", "x", "y", NULL);
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, NULL);
    model_of(&model, &graph, 17);
    refuses(HONE_CORRUPT, "input X can't be a sequence");
}

static void test_declared_otherwise(void **state) {
    (void)state;
    static bytes type;
    tensor_type(&type, HONE_FLOAT32, true);
    hold(&type, 4, 0);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "2");
    put_node(&graph, "Relu", "n", "x", "y", NULL);
    put_typed(PART_OUTPUT, "y", &type);
    model_of(&model, &graph, 17);
    refuses(HONE_CORRUPT, "is declared seq(float32[?, 2]) but computed as float32[2]");
}

/* --- sparse tensors --- */

/* `values` floats 1, 2, …; indices as they lie. */
static void sparse(bytes *s, const char *name, int rank, const int64_t *dims, int values, int index_rank,
                   const int64_t *index_dims, const int64_t *indices) {
    static bytes t;
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int64_t count = 1;
    s->size = 0;
    tensor_begin(&t, name, HONE_FLOAT32, 1, (int64_t[]){values});
    put_block(&t, 9, x, (size_t)values * sizeof *x);
    put_message(s, 1, &t);
    for (int i = 0; i < index_rank; i++) count *= index_dims[i];
    tensor_begin(&t, "", HONE_INT64, index_rank, index_dims);
    put_block(&t, 9, indices, (size_t)count * sizeof *indices);
    put_message(s, 2, &t);
    for (int i = 0; i < rank; i++) put_int(s, 3, dims[i]);
}

static void put_sparse(const bytes *s, const char *name) {
    put_message(&graph, 15, s);
    put_value(&graph, PART_OUTPUT, name, HONE_FLOAT32, NULL);
    model_of(&model, &graph, 17);
}

static void test_sparse(void **state) {
    (void)state;
    static bytes s, a, attrs;
    sparse(&s, "linear", 2, (int64_t[]){2, 3}, 2, 1, (int64_t[]){2}, (int64_t[]){1, 5});
    put_sparse(&s, "linear");
    sparse(&s, "places", 2, (int64_t[]){2, 3}, 2, 2, (int64_t[]){2, 2}, (int64_t[]){0, 2, 1, 0});
    attr_begin(&a, "sparse_value", 11);
    put_message(&a, 22, &s);
    attrs.size = 0;
    put_message(&attrs, 5, &a);
    put_node(&graph, "Constant", "k", "", "places", &attrs);
    put_value(&graph, PART_OUTPUT, "places", HONE_FLOAT32, NULL);
    model_of(&model, &graph, 17);
    hone_graph *g = load();
    const float *linear = hone_graph_find(g, "linear")->data->data;
    const float *places = hone_graph_find(g, "places")->data->data;
    assert_memory_equal(linear, ((float[]){0, 1, 0, 0, 0, 2}), 24);
    assert_memory_equal(places, ((float[]){0, 0, 1, 2, 0, 0}), 24);
    hone_graph_free(g);
}

static void test_wrong_sparse(void **state) {
    (void)state;
    static bytes s;
    static const struct {
        int64_t dims[2], index_dims[2], indices[4];
        int index_rank;
        const char *why;
    } cases[] = {{{2, 3}, {2}, {1, 6}, 1, "outside"},          {{2, 3}, {2}, {-1, 0}, 1, "outside"},
                 {{2, 3}, {2, 2}, {0, 3, 1, 0}, 2, "outside"}, {{2, 3}, {1}, {1}, 1, "do not fit"},
                 {{2, 3}, {2, 1}, {1, 2}, 2, "do not fit"},    {{2, -3}, {2}, {1, 2}, 1, "negative"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(NULL);
        sparse(&s, "w", 2, cases[i].dims, 2, cases[i].index_rank, cases[i].index_dims, cases[i].indices);
        put_sparse(&s, "w");
        refuses(HONE_CORRUPT, cases[i].why);
        assert_string_equal(err.node, "w");
    }
    begin(NULL);
    sparse(&s, "w", 2, (int64_t[]){1 << 20, 1 << 20}, 2, 1, (int64_t[]){2}, (int64_t[]){1, 2});
    put_sparse(&s, "w"); /* 4 TB in 100 bytes */
    refuses(HONE_UNSUPPORTED, "stands for");
    begin(NULL);
    for (int i = 0; i < 40; i++) { /* or in pieces */
        char name[] = "w00";
        name[1] = (char)('0' + i / 10);
        name[2] = (char)('0' + i % 10);
        sparse(&s, name, 2, (int64_t[]){1 << 10, 1 << 10}, 2, 1, (int64_t[]){2}, (int64_t[]){1, 2});
        put_sparse(&s, name);
    }
    refuses(HONE_UNSUPPORTED, "stands for");
    begin(NULL);
    s.size = 0;
    put_int(&s, 3, 2);
    put_message(&graph, 15, &s);
    model_of(&model, &graph, 17);
    refuses(HONE_CORRUPT, "has no name");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, begin)
    const struct CMUnitTest tests[] = {
        TEST(test_types),
        TEST(test_operators_say_what_they_take),
        TEST(test_declared_otherwise),
        TEST(test_sparse),
        TEST(test_wrong_sparse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
