/* Graphs inside of graphs: what they capture, read and written. */
#include "support/control.h"

#include "base/file.h"
#include "onnx/model.h"
#include "onnx/onnx.h"
#include "onnx/tell.h"

#include <unistd.h>

static bytes graph, attrs, model, yes, no;
static hone_error err;

static hone_graph *load(void) {
    hone_graph *g = NULL;
    check_ok(hone_graph_load_memory(model.data, model.size, "m", &g, &err));
    assert_sound_inside(g);
    return g;
}

static void refuses(hone_status status, const char *message) {
    hone_graph *g = NULL;
    hone_status got = hone_graph_load_memory(model.data, model.size, "m", &g, &err);
    if (got != status || !strstr(err.message, message))
        fail_msg("wanted \"%s\", got %s: %s", message, hone_status_name(got), err.message);
}

static hone_graph *written_again(const hone_graph *g) {
    hone_graph *again = NULL;
    hone_blob blob, second;
    check_ok(hone_onnx_write(g, &blob, &err));
    check_ok(hone_graph_load_memory(blob.data, blob.size, "again", &again, &err));
    assert_sound_inside(again);
    check_ok(hone_onnx_write(again, &second, &err));
    assert_int_equal(blob.size, second.size);
    assert_memory_equal(blob.data, second.data, blob.size);
    hone_blob_free(&second);
    hone_blob_free(&blob);
    return again;
}

static int begin(void **state) {
    (void)state;
    graph.size = attrs.size = model.size = yes.size = no.size = 0;
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "batch,3");
    put_value(&graph, PART_INPUT, "on", HONE_BOOL, "");
    return 0;
}

/* If(on) yes else no gives y; the graphs give what they call r. */
static void end(int64_t opset) {
    put_value(&yes, PART_OUTPUT, "r", HONE_FLOAT32, NULL);
    put_value(&no, PART_OUTPUT, "r", HONE_FLOAT32, NULL);
    attr_graph(&attrs, "then_branch", &yes);
    attr_graph(&attrs, "else_branch", &no);
    put_node(&graph, "If", "if", "on", "y", &attrs);
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, NULL);
    model_of(&model, &graph, opset);
}

static void test_captures(void **state) {
    (void)state;
    put_node(&yes, "Add", "sum", "x,late", "r", NULL);
    put_node(&no, "Neg", "neg", "x", "r", NULL);
    end(17);
    put_node(&graph, "Tanh", "maker", "x", "late", NULL); /* given behind the node that captures it */
    model_of(&model, &graph, 17);
    hone_graph *g = load();
    assert_string_equal(tell(g), "maker: Tanh x -> late\n"
                                 "if: If on | x, late -> y\n"
                                 "  then_branch:\n"
                                 "    sum: Add x, late -> r\n"
                                 "    gives r\n"
                                 "  else_branch:\n"
                                 "    neg: Neg x -> r\n"
                                 "    gives r\n");
    char text[96];
    assert_string_equal(hone_type_format(g, &g->outputs[0]->type, text, sizeof text), "float32[batch, 3]");
    hone_graph_free(g);
}

/* A name that is defined inside hides the one outside. */
static void test_shadows(void **state) {
    (void)state;
    put_node(&yes, "Neg", "neg", "x", "h", NULL);
    put_node(&yes, "Tanh", "tanh", "h", "r", NULL);
    put_node(&no, "Neg", "neg", "h", "r", NULL);
    put_node(&graph, "Relu", "relu", "x", "h", NULL);
    end(17);
    hone_graph *g = load();
    const char *told = tell(g);
    assert_non_null(strstr(told, "tanh: Tanh h -> r")); /* that of neg */
    assert_non_null(strstr(told, "if: If on | x, h -> y"));
    const hone_graph *branch = hone_node_graph(g->last, "then_branch");
    assert_int_equal(hone_graph_find(branch, "h")->storage, HONE_STORAGE_INTERMEDIATE);
    hone_graph *again = written_again(g); /* a file of ours hides nothing */
    assert_non_null(strstr(tell(again), "tanh: Tanh h_1 -> r"));
    hone_graph_free(again);
    hone_graph_free(g);
}

/* A branch that gives what it captures, and one that gives a value twice: in a file these are nodes. */
static void test_outputs_without_nodes(void **state) {
    (void)state;
    put_value(&yes, PART_OUTPUT, "x", HONE_FLOAT32, NULL);
    put_node(&no, "Neg", "neg", "x", "r", NULL);
    put_value(&no, PART_OUTPUT, "r", HONE_FLOAT32, NULL);
    attr_graph(&attrs, "then_branch", &yes);
    attr_graph(&attrs, "else_branch", &no);
    put_node(&graph, "If", "if", "on", "y", &attrs);
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, NULL);
    model_of(&model, &graph, 17);
    hone_graph *g = load();
    const hone_graph *branch = hone_node_graph(g->first, "then_branch");
    assert_int_equal(branch->outputs[0]->storage, HONE_STORAGE_CAPTURED);
    hone_graph *again = written_again(g);
    assert_string_equal(hone_node_graph(again->first, "then_branch")->first->op->name, "Identity");
    hone_graph_free(again);
    hone_graph_free(g);
}

static void test_wrong_graphs(void **state) {
    (void)state;
    put_node(&yes, "Neg", "neg", "nobody", "r", NULL);
    put_node(&no, "Neg", "neg", "x", "r", NULL);
    end(17);
    refuses(HONE_CORRUPT, "reads nobody, which nothing gives");
    begin(NULL);
    put_node(&yes, "Neg", "neg", "x", "s", NULL);
    put_node(&no, "Neg", "neg", "x", "r", NULL);
    end(17);
    refuses(HONE_CORRUPT, "nothing gives it");
    begin(NULL);
    put_node(&yes, "Neg", "neg", "y", "r", NULL); /* what the node itself gives */
    put_node(&no, "Neg", "neg", "x", "r", NULL);
    end(17);
    refuses(HONE_CORRUPT, "cycle");
    begin(NULL);
    put_node(&yes, "Neg", "neg", "x", "r", NULL);
    put_value(&yes, PART_OUTPUT, "x", HONE_FLOAT32, NULL);
    put_node(&no, "Neg", "neg", "x", "r", NULL);
    end(17);
    refuses(HONE_CORRUPT, "the branches give");
}

/* Graphs one in the other, as deep as asked. */
static void nest(int depth) {
    static bytes inner, outer;
    begin(NULL);
    inner.size = 0;
    put_node(&inner, "Neg", "neg", "x", "r", NULL);
    put_value(&inner, PART_OUTPUT, "r", HONE_FLOAT32, NULL);
    for (int i = 0; i < depth; i++) {
        attrs.size = outer.size = 0;
        attr_graph(&attrs, "then_branch", &inner);
        attr_graph(&attrs, "else_branch", i ? &no : &inner);
        put_node(&outer, "If", "if", "on", i + 1 < depth ? "r" : "y", &attrs);
        if (!i) {
            put_node(&no, "Tanh", "t", "x", "r", NULL);
            put_value(&no, PART_OUTPUT, "r", HONE_FLOAT32, NULL);
        }
        if (i + 1 < depth) put_value(&outer, PART_OUTPUT, "r", HONE_FLOAT32, NULL);
        inner = outer;
    }
    put_raw(&graph, inner.data, inner.size);
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, NULL);
    model_of(&model, &graph, 17);
}

static void test_depth(void **state) {
    (void)state;
    nest(16);
    hone_graph *g = load(), *again = written_again(g);
    hone_graph_free(again);
    hone_graph_free(g);
    nest(17);
    refuses(HONE_UNSUPPORTED, "nested more than 16 deep");
}

/* --- older forms inside --- */

/* Softmax of operator set 11 over axes from 1 on: to lift it, the rank of what it captures must be known. */
static void test_lifts(void **state) {
    (void)state;
    put_node(&yes, "Softmax", "old", "h", "r", NULL);
    put_node(&no, "Neg", "neg", "h", "r", NULL);
    put_node(&graph, "Relu", "relu", "x", "h", NULL);
    end(11);
    hone_graph *g = load();
    const hone_graph *branch = hone_node_graph(g->last, "then_branch");
    assert_string_equal(branch->first->op->name, "Softmax"); /* of rank 2: nothing to flatten */
    assert_int_equal(hone_node_int(branch->first, "axis"), -1);
    hone_graph_free(g);
}

/* --- writing --- */

static void test_nested(void **state) {
    (void)state;
    hone_graph *g = control_nested();
    check_ok(hone_graph_infer(g, &err));
    hone_graph *again = written_again(g);
    assert_string_equal(tell(again), "loop: Loop trips, –, x | flag, w -> y, all\n"
                                     "  body takes i, go, a:\n"
                                     "    if: If flag | a, w -> if\n"
                                     "      then_branch:\n"
                                     "        scan: Scan a | w -> scan\n"
                                     "          body takes row:\n"
                                     "            Add_1: Add row, w -> Add_1\n"
                                     "            gives Add_1\n"
                                     "        gives scan\n"
                                     "      else_branch:\n"
                                     "        Relu_1: Relu a -> Relu_1\n"
                                     "        Mul_2: Mul Relu_1, w -> Mul_2\n"
                                     "        gives Mul_2\n"
                                     "    if_1: Identity if -> if_1\n" /* was an output twice */
                                     "    gives go, if, if_1\n");
    char text[96];
    assert_string_equal(hone_type_format(again, &again->outputs[1]->type, text, sizeof text),
                        "float32[?, rows, 3]");
    hone_graph_free(again);
    hone_graph_free(g);
}

static void test_uninferred(void **state) {
    (void)state;
    hone_graph *g = control_nested(), *again = written_again(g);
    assert_int_equal(g->outputs[0]->type.dtype, HONE_UNDEFINED); /* is left as it is */
    hone_graph_free(again);
    hone_graph_free(g);
}

/* The operator set is the one that an operator inside needs. */
static void test_operator_set(void **state) {
    (void)state;
    hone_graph *g = control_nested();
    hone_graph *no_branch = hone_node_graph(hone_node_graph(g->first, "body")->first, "else_branch");
    no_branch->outputs[0] = graph_op(no_branch, "Gelu", no_branch->outputs[0]);
    hone_graph *again = written_again(g);
    assert_int_equal(hone_graph_opset(again, ""), 20);
    hone_graph_free(again);
    hone_graph_free(g);
}

static void test_private_inside(void **state) {
    (void)state;
    hone_graph *g = control_nested();
    hone_graph *body = hone_node_graph(g->first, "body");
    hone_value *v = body->outputs[1];
    body->outputs[1] = HONE_EMIT(body, HONE_PRIVATE_DOMAIN, "ReluGrad", v, v);
    hone_blob blob;
    assert_int_equal(hone_onnx_write(g, &blob, &err), HONE_FAILED_PRECONDITION);
    assert_string_equal(err.op, "ReluGrad");
    hone_graph_free(g);
}

/* Weights inside of a subgraph go to the other file, too. */
static void test_external_data(void **state) {
    (void)state;
    char dir[] = "/tmp/hone-subgraphs-XXXXXX", path[64], data[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/m.onnx", dir);
    snprintf(data, sizeof data, "%s/m.onnx.data", dir);
    hone_graph *g = control_nested(), *again = NULL;
    hone_graph *body = hone_node_graph(g->first, "body");
    hone_tensor *t = tensor_random(HONE_FLOAT32, SHAPE(400, 3), 5);
    hone_value *c = graph_constant(body, "c", hone_tensor_retain(t));
    body->outputs[2] = graph_op(body, "Add", c, c);
    check_ok(hone_onnx_save(g, path, 100, &err));
    check_ok(hone_graph_load(path, &again, &err));
    assert_same_bits(hone_graph_find(hone_node_graph(again->first, "body"), "c")->data, t);
    assert_int_equal(unlink(data), 0);
    hone_graph_free(again);
    assert_int_equal(hone_graph_load(path, &again, &err), HONE_NOT_FOUND);
    unlink(path);
    rmdir(dir);
    hone_tensor_free(t);
    hone_graph_free(g);
}

static void test_every_allocation_fails(void **state) {
    (void)state;
    hone_graph *g = control_nested(), *again = NULL;
    hone_blob blob = {0};
    hone_status status = HONE_OUT_OF_MEMORY;
    for (uint64_t n = 1; status != HONE_OK; n++) {
        hone_alloc_fail_at(n, false);
        status = hone_onnx_write(g, &blob, &err);
        hone_alloc_fail_at(0, false);
        if (status != HONE_OK && status != HONE_OUT_OF_MEMORY) fail_msg("%d: %s", (int)n, err.message);
    }
    status = HONE_OUT_OF_MEMORY;
    for (uint64_t n = 1; status != HONE_OK; n++) {
        hone_alloc_fail_at(n, false);
        status = hone_graph_load_memory(blob.data, blob.size, "m", &again, &err);
        hone_alloc_fail_at(0, false);
        if (status != HONE_OK && status != HONE_OUT_OF_MEMORY) fail_msg("%d: %s", (int)n, err.message);
    }
    hone_blob_free(&blob);
    hone_graph_free(again);
    hone_graph_free(g);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, begin)
    const struct CMUnitTest tests[] = {
        TEST(test_captures),       TEST(test_shadows),       TEST(test_outputs_without_nodes),
        TEST(test_wrong_graphs),   TEST(test_depth),         TEST(test_lifts),
        TEST(test_nested),         TEST(test_uninferred),    TEST(test_operator_set),
        TEST(test_private_inside), TEST(test_external_data), TEST(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
