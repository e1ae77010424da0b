/* Reading: what a right file gives, and how each kind of wrong file is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "graph/op.h"
#include "onnx/model.h"
#include "onnx/onnx.h"

#include <hone/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bytes graph, attrs, model, tensor;
static hone_error err;

static hone_graph *load(void) {
    hone_graph *g = NULL;
    hone_status status = hone_graph_load_memory(model.data, model.size, "m.onnx", &g, &err);
    if (status != HONE_OK) {
        char text[1024];
        fail_msg("%s", hone_error_format(&err, text, sizeof text));
    }
    return g;
}

static void refuses(hone_status status, const char *message) {
    hone_graph *g = NULL;
    err = (hone_error){0};
    hone_status got = hone_graph_load_memory(model.data, model.size, "m.onnx", &g, &err);
    if (got != status || !strstr(err.message, message)) {
        char text[1024];
        fail_msg("wanted %s \"%s\", got %s: %s", hone_status_name(status), message, hone_status_name(got),
                 hone_error_format(&err, text, sizeof text));
    }
    assert_int_equal(err.code, status);
    assert_string_equal(err.file, "m.onnx");
    assert_null(g);
}

/* x → op → y */
static void one_node(const char *op, const char *inputs, const bytes *a, int64_t opset) {
    graph.size = 0;
    put_node(&graph, op, "n", inputs, "y", a);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "batch,3");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, NULL);
    model_of(&model, &graph, opset);
}

static int setup(void **state) {
    (void)state;
    graph.size = attrs.size = model.size = tensor.size = 0;
    err = (hone_error){0};
    return 0;
}

/* --- right files --- */

static void test_whole_model(void **state) {
    (void)state;
    float w[6] = {1, 2, 3, 4, 5, 6};
    attr_int(&attrs, "transB", 1);
    attr_float(&attrs, "alpha", 0.5f);
    put_text(&graph, 2, "net");
    put_text(&graph, 10, "what it does");
    put_node(&graph, "Relu", "act", "h", "y", NULL); /* before what it reads: order is Hone's to find */
    put_node(&graph, "Gemm", "fc", "x,w", "h", &attrs);
    put_initializer(&graph, "w", HONE_FLOAT32, 2, (int64_t[]){2, 3}, w, sizeof w);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "batch,3");
    put_value(&graph, PART_INPUT, "w", HONE_FLOAT32, "2,3"); /* as before IR 4 */
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "batch,2");
    model_of(&model, &graph, 17);
    put_entry(&model, 14, "hone.classes", "a\nb");
    put_int(&model, 5, 7);     /* model_version */
    put_text(&model, 99, "?"); /* a field of the future */
    hone_graph *g = load();
    assert_string_equal(hone_graph_name(g), "net");
    assert_string_equal(g->doc, "what it does");
    assert_string_equal(hone_graph_metadata(g, "hone.classes"), "a\nb");
    assert_int_equal(hone_graph_opset(g, ""), 17);
    assert_int_equal(hone_graph_input_count(g), 1);
    hone_value_info info;
    assert_true(hone_graph_input(g, 0, &info));
    assert_string_equal(info.name, "x");
    assert_int_equal(info.rank, 2);
    assert_string_equal(hone_graph_dim_name(g, info.dims[0]), "batch");
    assert_int_equal(info.dims[1], 3);
    assert_int_equal(g->node_count, 2);
    assert_string_equal(g->first->name, "fc");
    assert_string_equal(g->first->op->name, "Gemm");
    assert_int_equal(hone_node_int(g->first, "transB"), 1);
    assert_int_equal(hone_node_int(g->first, "transA"), 0);
    assert_true(hone_node_float(g->first, "alpha") == 0.5f);
    assert_ptr_equal(g->last->inputs[0], g->first->outputs[0]);
    const hone_tensor *t = hone_graph_initializer(g, "w");
    assert_non_null(t);
    assert_memory_equal(hone_tensor_data(t), w, sizeof w);
    const hone_value *h = hone_graph_find(g, "h");
    assert_int_equal(h->type.dtype, HONE_FLOAT32);
    assert_int_equal(h->type.dims[1], 2);
    hone_graph_free(g);
}

static void test_dims(void **state) {
    (void)state;
    graph.size = 0;
    put_node(&graph, "Relu", "n", "x", "y", NULL);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "?,-1,n,0,5");
    put_value(&graph, PART_INPUT, "free", HONE_INT64, NULL);
    put_value(&graph, PART_INPUT, "scalar", HONE_BOOL, "");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, NULL);
    model_of(&model, &graph, 13);
    hone_graph *g = load();
    const int64_t *dims = g->inputs[0]->type.dims;
    assert_int_equal(dims[0], HONE_DIM_ANY);
    assert_int_equal(dims[1], HONE_DIM_ANY);
    assert_string_equal(hone_graph_dim_name(g, dims[2]), "n");
    assert_int_equal(dims[3], 0);
    assert_int_equal(dims[4], 5);
    assert_int_equal(g->inputs[1]->type.rank, HONE_RANK_ANY);
    assert_int_equal(g->inputs[2]->type.rank, 0);
    assert_int_equal(g->inputs[2]->type.dtype, HONE_BOOL);
    hone_graph_free(g);
}

static void test_domain_names(void **state) {
    (void)state;
    put_node_of(&graph, "ai.onnx", "Relu", "n", "x", "y", NULL);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "2");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "2");
    model_of(&model, &graph, 0);
    put_opset(&model, "ai.onnx", 14);
    hone_graph *g = load();
    assert_int_equal(hone_graph_opset(g, ""), 14);
    hone_graph_free(g);
}

static void constant(const char *name, const char *attr, int type, int field, const void *data, size_t size) {
    static bytes a;
    attr_begin(&a, attr, type);
    if (data && (type == 1 || type == 6)) {
        for (size_t i = 0; i < size / 4; i++) put_float(&a, field, ((const float *)data)[i]);
    } else if (data && (type == 2 || type == 7)) {
        for (size_t i = 0; i < size / 8; i++) put_int(&a, field, ((const int64_t *)data)[i]);
    } else
        put_list(&a, field, data);
    attrs.size = 0;
    put_message(&attrs, 5, &a);
    put_node(&graph, "Constant", "", "", name, &attrs);
}

static const hone_tensor *constant_of(const hone_graph *g, const char *name, hone_dtype dtype, int rank,
                                      int64_t count) {
    const hone_tensor *t = hone_graph_initializer(g, name);
    assert_non_null(t);
    assert_int_equal(t->dtype, dtype);
    assert_int_equal(t->rank, rank);
    assert_int_equal(t->count, count);
    return t;
}

static void test_constants(void **state) {
    (void)state;
    float floats[2] = {1.5f, -2};
    int64_t ints[3] = {1, -2, 3};
    tensor_begin(&tensor, "", HONE_INT8, 1, (int64_t[]){2});
    put_block(&tensor, 9, "\x01\xff", 2);
    attr_tensor(&attrs, "value", &tensor);
    put_node(&graph, "Constant", "", "", "t", &attrs);
    constant("f", "value_float", 1, 2, floats, 4);
    constant("fs", "value_floats", 6, 7, floats, 8);
    constant("i", "value_int", 2, 3, ints, 8);
    constant("is", "value_ints", 7, 8, ints, 24);
    constant("s", "value_string", 3, 4, "word", 0);
    constant("ss", "value_strings", 8, 9, "one,two", 0);
    put_node(&graph, "Relu", "n", "fs", "y", NULL);
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "2");
    model_of(&model, &graph, 13);
    hone_graph *g = load();
    assert_int_equal(g->node_count, 1);
    assert_int_equal(((const int8_t *)constant_of(g, "t", HONE_INT8, 1, 2)->data)[1], -1);
    assert_true(*(const float *)constant_of(g, "f", HONE_FLOAT32, 0, 1)->data == 1.5f);
    assert_memory_equal(constant_of(g, "fs", HONE_FLOAT32, 1, 2)->data, floats, 8);
    assert_int_equal(*(const int64_t *)constant_of(g, "i", HONE_INT64, 0, 1)->data, 1);
    assert_memory_equal(constant_of(g, "is", HONE_INT64, 1, 3)->data, ints, 24);
    assert_string_equal(hone_tensor_string(constant_of(g, "s", HONE_STRING, 0, 1), 0, NULL), "word");
    assert_string_equal(hone_tensor_string(constant_of(g, "ss", HONE_STRING, 1, 2), 1, NULL), "two");
    hone_graph_free(g);
}

/* --- broken bytes --- */

static void test_every_cut(void **state) {
    (void)state;
    float w[6] = {0};
    put_node(&graph, "Gemm", "fc", "x,w", "y", NULL);
    put_initializer(&graph, "w", HONE_FLOAT32, 2, (int64_t[]){3, 2}, w, sizeof w);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "batch,3");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "batch,2");
    model_of(&model, &graph, 17);
    size_t whole = model.size;
    for (model.size = 0; model.size < whole; model.size++) {
        /* in memory of its own, so that a read past the end shows */
        uint8_t *copy = malloc(model.size + 1);
        memcpy(copy, model.data, model.size);
        hone_graph *g = NULL;
        err = (hone_error){0};
        assert_int_equal(hone_graph_load_memory(copy, model.size, "cut.onnx", &g, &err), HONE_CORRUPT);
        assert_string_equal(err.file, "cut.onnx");
        free(copy);
    }
    hone_graph_free(load());
}

static void test_every_byte_changed(void **state) {
    (void)state;
    float w[6] = {0};
    attr_int(&attrs, "transB", 0);
    put_node(&graph, "Gemm", "fc", "x,w", "h", &attrs);
    put_node(&graph, "Relu", "act", "h", "y", NULL);
    put_initializer(&graph, "w", HONE_FLOAT32, 2, (int64_t[]){3, 2}, w, sizeof w);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "batch,3");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "batch,2");
    model_of(&model, &graph, 17);
    size_t refused = 0;
    for (size_t i = 0; i < model.size; i++) {
        uint8_t old = model.data[i];
        for (int x = 0; x < 256; x += 5) {
            hone_graph *g = NULL;
            model.data[i] = (uint8_t)x;
            refused += hone_graph_load_memory(model.data, model.size, "m.onnx", &g, NULL) != HONE_OK;
            hone_graph_free(g);
        }
        model.data[i] = old;
    }
    assert_true(refused > model.size * 20);
    hone_graph_free(load());
}

/* An input that is a sequence of sequences of …, `depth` messages deep. */
static void nested_model(int depth) {
    static bytes inner, outer, value;
    inner.size = value.size = 0;
    for (int i = 0; i < depth; i++) {
        outer.size = 0;
        put_message(&outer, i % 2 ? 4 : 1, &inner); /* TypeProto.sequence_type, Sequence.elem_type */
        inner = outer;
    }
    graph.size = 0;
    put_text(&value, 1, "deep");
    put_message(&value, 2, &inner);
    put_message(&graph, PART_INPUT, &value);
    model_of(&model, &graph, 13);
}

static void test_nesting(void **state) {
    (void)state;
    nested_model(40);
    refuses(HONE_CORRUPT, "the input has no type"); /* sequences of nothing */
    nested_model(10000);                            /* would be the end of the stack */
    refuses(HONE_CORRUPT, "nested too deeply");
}

static void test_not_a_model(void **state) {
    (void)state;
    model.size = 0;
    refuses(HONE_CORRUPT, "not an ONNX model");
    put_raw(&model, "PK\x03\x04 a zip file", 15);
    refuses(HONE_CORRUPT, "is not a ModelProto");
    model.size = 0;
    put_int(&model, 1, 8);
    refuses(HONE_CORRUPT, "not an ONNX model");
    model_of(&model, &graph, 13);
    put_message(&model, 7, &graph);
    refuses(HONE_CORRUPT, "twice");
    put_block(&graph, 2, "\xff\xfe", 2);
    model_of(&model, &graph, 13);
    refuses(HONE_CORRUPT, "not UTF-8");
    graph.size = 0;
    put_int(&graph, 2, 5);
    model_of(&model, &graph, 13);
    refuses(HONE_CORRUPT, "wrong wire type");
    hone_graph *g = NULL;
    assert_int_equal(hone_graph_load("/nonexistent/m.onnx", &g, &err), HONE_NOT_FOUND);
    assert_string_equal(err.file, "/nonexistent/m.onnx");
}

/* --- wrong graphs --- */

static void test_names(void **state) {
    (void)state;
    one_node("Relu", "z", NULL, 13);
    refuses(HONE_CORRUPT, "reads z, which nothing gives");
    assert_string_equal(err.node, "n");
    assert_string_equal(err.op, "Relu");
    one_node("Relu", "x", NULL, 13);
    put_node(&graph, "Relu", "m", "x", "y", NULL);
    model_of(&model, &graph, 13);
    refuses(HONE_CORRUPT, "gives y, which node n gives already");
    assert_string_equal(err.node, "m");
    graph.size = 0;
    put_node(&graph, "Relu", "m", "x", "x", NULL);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "2");
    model_of(&model, &graph, 13);
    refuses(HONE_CORRUPT, "input or initializer gives already");
    one_node("Relu", "x", NULL, 13);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "2");
    model_of(&model, &graph, 13);
    refuses(HONE_CORRUPT, "an input twice");
    one_node("Relu", "x", NULL, 13);
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, NULL);
    model_of(&model, &graph, 13);
    hone_graph *g = load(); /* an output twice is so */
    assert_int_equal(g->output_count, 2);
    assert_ptr_equal(g->outputs[0], g->outputs[1]);
    hone_graph_free(g);
    one_node("Relu", "x", NULL, 13);
    put_value(&graph, PART_OUTPUT, "q", HONE_FLOAT32, NULL);
    model_of(&model, &graph, 13);
    refuses(HONE_CORRUPT, "nothing gives it");
    assert_string_equal(err.node, "q");
    one_node("Relu", "x", NULL, 13);
    put_initializer(&graph, "", HONE_INT8, 0, NULL, "a", 1);
    model_of(&model, &graph, 13);
    refuses(HONE_CORRUPT, "no name");
    one_node("Relu", "x", NULL, 13);
    put_initializer(&graph, "x", HONE_FLOAT32, 0, NULL, "abcd", 4);
    model_of(&model, &graph, 13);
    refuses(HONE_CORRUPT, "is declared");
}

/* A name that Hone would make up may be in the file as well. */
static void test_fresh_names(void **state) {
    (void)state;
    put_node(&graph, "Relu", "a", "x", "b", NULL);
    put_node(&graph, "Relu", "b", "b", "a", NULL);
    put_node(&graph, "Relu", "", "a", "Relu_1", NULL);
    put_node(&graph, "Relu", "c", "Relu_1", "c_1", NULL);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "2");
    put_value(&graph, PART_OUTPUT, "c_1", HONE_FLOAT32, "2");
    model_of(&model, &graph, 14);
    hone_graph *g = load();
    const char *names[] = {"x", "b", "a", "Relu_1", "c_1"};
    const hone_value *v = g->outputs[0];
    for (int i = 4; i >= 0; i--) {
        assert_string_equal(v->name, names[i]);
        if (v->producer) v = v->producer->inputs[0];
    }
    hone_graph_free(g);
}

static void test_cycle(void **state) {
    (void)state;
    put_node(&graph, "Add", "one", "x,b", "a", NULL);
    put_node(&graph, "Relu", "two", "a", "b", NULL);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "2");
    put_value(&graph, PART_OUTPUT, "b", HONE_FLOAT32, "2");
    model_of(&model, &graph, 13);
    refuses(HONE_CORRUPT, "");
    assert_true(strcmp(err.node, "one") == 0 || strcmp(err.node, "two") == 0);
}

static void test_arity(void **state) {
    (void)state;
    one_node("Relu", "x,x", NULL, 13);
    refuses(HONE_CORRUPT, "more than the operator takes");
    one_node("Relu", "", NULL, 13);
    refuses(HONE_CORRUPT, "input X is missing");
    assert_string_equal(err.node, "n");
    one_node("Add", "x", NULL, 13);
    refuses(HONE_CORRUPT, "is missing");
    graph.size = 0;
    put_node(&graph, "Relu", "n", "x", "y,z", NULL);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "2");
    model_of(&model, &graph, 13);
    refuses(HONE_CORRUPT, "more than the operator gives");
    graph.size = 0;
    put_node(&graph, "Relu", "n", "x", "", NULL);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "2");
    model_of(&model, &graph, 13);
    refuses(HONE_CORRUPT, "no outputs");
}

static void test_attributes(void **state) {
    (void)state;
    static const struct {
        bool is_float;
        const char *name;
    } wrong[] = {{true, "transB"}, {false, "alpha"}};
    for (int i = 0; i < 2; i++) {
        attrs.size = 0;
        if (wrong[i].is_float)
            attr_float(&attrs, wrong[i].name, 1);
        else
            attr_int(&attrs, wrong[i].name, 1);
        one_node("Gemm", "x,x", &attrs, 13);
        refuses(HONE_CORRUPT, wrong[i].name);
        assert_string_equal(err.node, "n");
        assert_string_equal(err.op, "Gemm");
    }
    attrs.size = 0;
    attr_int(&attrs, "transB", 1);
    attr_int(&attrs, "transB", 1);
    one_node("Gemm", "x,x", &attrs, 13);
    refuses(HONE_CORRUPT, "twice");
    attrs.size = 0;
    attr_int(&attrs, "sideways", 1);
    one_node("Gemm", "x,x", &attrs, 13);
    refuses(HONE_UNSUPPORTED, "attribute sideways of Gemm (node n)");
    static bytes a;
    a.size = attrs.size = 0;
    put_text(&a, 1, "approximate"); /* the oldest files state no type */
    put_text(&a, 4, "tanh");
    put_message(&attrs, 5, &a);
    one_node("Gelu", "x", &attrs, 20);
    hone_graph *g = load();
    assert_string_equal(hone_node_string(g->first, "approximate"), "tanh");
    hone_graph_free(g);
}

static int logged;
static void count_lines(void *user, hone_log_level level, const char *message) {
    (void)user;
    if ((level == HONE_LOG_ERROR && strncmp(message, "not supported: ", 15) == 0) ||
        strncmp(message, "output ", 7) == 0)
        logged++;
}

static void test_types(void **state) {
    (void)state;
    graph.size = 0;
    put_node(&graph, "Relu", "n", "x", "y", NULL);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "2,3");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "2,4");
    model_of(&model, &graph, 13);
    logged = 0;
    hone_log_set(count_lines, NULL, HONE_LOG_WARNING);
    hone_graph *g = load(); /* what is computed counts */
    hone_log_set(NULL, NULL, HONE_LOG_ERROR);
    assert_int_equal(logged, 1);
    assert_int_equal(g->outputs[0]->type.dims[1], 3);
    hone_graph_free(g);
    graph.size = 0;
    put_node(&graph, "Add", "n", "x,z", "y", NULL);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "2,3");
    put_value(&graph, PART_INPUT, "z", HONE_FLOAT32, "2,4");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, NULL);
    model_of(&model, &graph, 14);
    refuses(HONE_CORRUPT, "broadcast");
    assert_string_equal(err.node, "n");
    graph.size = 0;
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "-2");
    model_of(&model, &graph, 13);
    refuses(HONE_CORRUPT, "a dimension is -2");
    graph.size = 0;
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "4294967296,4294967296");
    model_of(&model, &graph, 13);
    refuses(HONE_CORRUPT, "impossible");
    graph.size = 0;
    put_value(&graph, PART_INPUT, "x", HONE_UNDEFINED, "2");
    model_of(&model, &graph, 13);
    refuses(HONE_CORRUPT, "no type");
}

/* --- what Hone lacks --- */

/* What tools leave in files: nodes of unknown operators that nothing needs (also by way of a subgraph), a domain that is
 * not imported, an initializer twice. */
static void test_what_is_borne(void **state) {
    (void)state;
    one_node("Relu", "x", NULL, 13);
    put_node_of(&graph, "com.example", "Twist", "", "x", "t", NULL);
    put_node(&graph, "Frobnicate", "f", "t", "a", NULL);
    model_of(&model, &graph, 13);
    hone_graph *g = load();
    assert_int_equal(g->node_count, 1);
    hone_graph_free(g);

    one_node("Relu", "x", NULL, 13);
    put_node_of(&graph, "com.microsoft", "Gelu", "g", "x", "z", NULL);
    put_value(&graph, PART_OUTPUT, "z", HONE_FLOAT32, NULL);
    model_of(&model, &graph, 13);
    g = load();
    assert_int_equal(g->node_count, 2);
    hone_graph_free(g);

    static bytes then, if_attr;
    then.size = attrs.size = 0; /* f reads t inside of a branch: both are needed */
    put_node(&then, "Identity", "i", "t", "inner", NULL);
    put_value(&then, PART_OUTPUT, "inner", HONE_FLOAT32, NULL);
    graph.size = 0;
    put_node(&graph, "Frobnicate", "f", "x", "t", NULL);
    for (int i = 0; i < 2; i++) {
        attr_begin(&if_attr, i ? "else_branch" : "then_branch", 5);
        put_message(&if_attr, 6, &then);
        put_message(&attrs, 5, &if_attr);
    }
    put_node(&graph, "If", "n", "c", "y", &attrs);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "2");
    put_value(&graph, PART_INPUT, "c", HONE_BOOL, "1");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, NULL);
    model_of(&model, &graph, 13);
    refuses(HONE_UNSUPPORTED, "operator Frobnicate of ai.onnx 13 (node f)");

    one_node("Relu", "w", NULL, 13);
    for (int i = 0; i < 2; i++) {
        tensor_begin(&tensor, "w", HONE_FLOAT32, 1, (int64_t[]){i + 1});
        put_block(&tensor, 9, (float[]){1, 2}, 4 * (size_t)(i + 1));
        put_message(&graph, 5, &tensor);
    }
    model_of(&model, &graph, 13);
    g = load();
    assert_int_equal(g->first->inputs[0]->data->count, 2);
    hone_graph_free(g);
}

static void test_missing_operators(void **state) {
    (void)state;
    one_node("Relu", "x", NULL, 13);
    put_node(&graph, "Frobnicate", "f1", "x", "a", NULL);
    put_node(&graph, "Gelu", "g1", "x", "b", NULL); /* since 20 */
    put_node_of(&graph, "com.example", "Twist", "", "x", "t", NULL);
    put_node_of(&graph, "hone", "SGD", "s1", "x", "u", NULL);
    for (const char *name = "a\0b\0t\0u\0"; *name; name += 2)
        put_value(&graph, PART_OUTPUT, name, HONE_FLOAT32, NULL);
    model_of(&model, &graph, 13);
    put_opset(&model, "com.example", 3);
    put_opset(&model, "hone", 1);
    refuses(HONE_UNSUPPORTED, "operator Frobnicate of ai.onnx 13 (node f1); "
                              "operator Gelu of ai.onnx 13, only from 20 on (node g1); "
                              "operator Twist of com.example 3 (node t); "
                              "operator SGD of hone 1, a domain that no file may use (node s1)");
    for (int i = 0; i < 96; i++) { /* nodes of one operator are one thing, told once */
        char name[8];
        snprintf(name, sizeof name, "o%d", i);
        put_node(&graph, "Frobnicate", "again", "x", name, NULL);
        put_value(&graph, PART_OUTPUT, name, HONE_FLOAT32, NULL);
    }
    model_of(&model, &graph, 13);
    put_opset(&model, "com.example", 3);
    put_opset(&model, "hone", 1);
    logged = 0;
    hone_log_set(count_lines, NULL, HONE_LOG_ERROR);
    refuses(HONE_UNSUPPORTED,
            "not supported: operator Frobnicate of ai.onnx 13 (97 nodes, first f1); operator Gelu");
    assert_int_equal(logged, 0);
    for (int i = 0; i < 96; i++) { /* what is too much for a message is in the log */
        char name[8], op[12];
        snprintf(name, sizeof name, "p%d", i);
        snprintf(op, sizeof op, "Frob%d", i);
        put_node(&graph, op, "other", "x", name, NULL);
        put_value(&graph, PART_OUTPUT, name, HONE_FLOAT32, NULL);
    }
    model_of(&model, &graph, 13);
    put_opset(&model, "com.example", 3);
    put_opset(&model, "hone", 1);
    refuses(HONE_UNSUPPORTED,
            "100 things are not supported, first operator Frobnicate of ai.onnx 13 (97 nodes, first f1)");
    hone_log_set(NULL, NULL, HONE_LOG_ERROR);
    assert_int_equal(logged, 100);
}

static void test_opsets(void **state) {
    (void)state;
    one_node("Relu", "x", NULL, 0);
    refuses(HONE_CORRUPT, "imports no operator set of ai.onnx");
    one_node("Round", "x", NULL, 5);
    refuses(HONE_UNSUPPORTED, "operator Round of ai.onnx 5, only from 11 on");
    one_node("Relu", "x", NULL, HONE_ONNX_NEWEST_OPSET + 1);
    refuses(HONE_UNSUPPORTED, "knows those up to");
    one_node("Relu", "x", NULL, HONE_ONNX_NEWEST_OPSET);
    hone_graph_free(load());
}

static void test_other_kinds(void **state) {
    (void)state;
    static bytes value, type, of;
    one_node("Relu", "x", NULL, 13);
    value.size = type.size = of.size = 0;
    put_message(&type, 7, &of); /* a type of somebody's own */
    put_text(&value, 1, "own");
    put_message(&value, 2, &type);
    put_message(&graph, PART_INPUT, &value);
    put_value(&graph, PART_INPUT, "c", 14, "2");
    put_value(&graph, PART_INPUT, "r", 1, "1,1,1,1,1,1,1,1,1");
    type.size = 0;
    put_message(&type, 8, &of); /* a sparse tensor */
    value.size = 0;
    put_text(&value, 1, "sparse");
    put_message(&value, 2, &type);
    put_message(&graph, PART_INPUT, &value);
    tensor_begin(&tensor, "q", 27, 1, (int64_t[]){2});
    put_message(&graph, 5, &tensor);
    model_of(&model, &graph, 13);
    refuses(HONE_UNSUPPORTED,
            "dtype 27, float6e2m3 (initializer q); opaque types (input own); dtype 14, complex64 (input c); "
            "9 dimensions where 8 are possible (input r); values that are sparse tensors (input sparse)");
}

static void test_subgraphs(void **state) {
    (void)state;
    static bytes body, a;
    body.size = a.size = 0;
    put_node(&body, "Whirl", "deep", "x", "z", NULL);
    put_text(&a, 1, "then_branch");
    put_message(&a, 6, &body);
    put_int(&a, 20, 5);
    put_message(&attrs, 5, &a);
    one_node("Perhaps", "x", &attrs, 13);
    refuses(HONE_UNSUPPORTED,
            "operator Perhaps of ai.onnx 13 (node n); operator Whirl of ai.onnx 13 (node deep)");
    one_node("Relu", "x", &attrs, 13);
    refuses(HONE_UNSUPPORTED,
            "attribute then_branch of Relu (node n); operator Whirl of ai.onnx 13 (node deep)");
}

/* --- out of memory --- */

static void test_every_allocation_fails(void **state) {
    (void)state;
    float w[6] = {0};
    attr_int(&attrs, "transB", 1);
    put_node(&graph, "Gemm", "fc", "x,w,b", "h", &attrs);
    attrs.size = 0;
    attr_string(&attrs, "approximate", "tanh");
    put_node(&graph, "Gelu", "act", "h", "y", &attrs);
    constant("b", "value_floats", 6, 7, (float[2]){1, 2}, 8);
    constant("s", "value_strings", 8, 9, "one,two", 0);
    put_initializer(&graph, "w", HONE_FLOAT32, 2, (int64_t[]){2, 3}, w, sizeof w);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "batch,3");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "batch,2");
    model_of(&model, &graph, 20);
    put_entry(&model, 14, "key", "value");
    hone_graph_free(load()); /* what is made once in a process */
    hone_status status = HONE_OUT_OF_MEMORY;
    uint64_t n = 0;
    for (int once = 0; once < 2; once++)
        for (n = 1, status = HONE_OUT_OF_MEMORY; status != HONE_OK && n < 100000; n++) {
            hone_graph *g = NULL;
            hone_alloc_fail_at(n, !once);
            status = hone_graph_load_memory(model.data, model.size, "m.onnx", &g, &err);
            hone_alloc_fail_at(0, false);
            if (status != HONE_OK) assert_int_equal(status, HONE_OUT_OF_MEMORY);
            hone_graph_free(g);
        }
    assert_true(n > 25);
    assert_int_equal(status, HONE_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_whole_model, setup),
        cmocka_unit_test_setup(test_dims, setup),
        cmocka_unit_test_setup(test_domain_names, setup),
        cmocka_unit_test_setup(test_constants, setup),
        cmocka_unit_test_setup(test_every_cut, setup),
        cmocka_unit_test_setup(test_every_byte_changed, setup),
        cmocka_unit_test_setup(test_nesting, setup),
        cmocka_unit_test_setup(test_not_a_model, setup),
        cmocka_unit_test_setup(test_names, setup),
        cmocka_unit_test_setup(test_fresh_names, setup),
        cmocka_unit_test_setup(test_cycle, setup),
        cmocka_unit_test_setup(test_arity, setup),
        cmocka_unit_test_setup(test_attributes, setup),
        cmocka_unit_test_setup(test_types, setup),
        cmocka_unit_test_setup(test_what_is_borne, setup),
        cmocka_unit_test_setup(test_missing_operators, setup),
        cmocka_unit_test_setup(test_opsets, setup),
        cmocka_unit_test_setup(test_other_kinds, setup),
        cmocka_unit_test_setup(test_subgraphs, setup),
        cmocka_unit_test_setup(test_every_allocation_fails, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
