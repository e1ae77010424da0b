/* Functions that a model brings along become nodes of the graph that calls them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "onnx/model.h"
#include "onnx/onnx.h"
#include "onnx/tell.h"

static bytes graph, attrs, model, function;
static hone_error err;

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

static void gives(const char *wanted) {
    hone_graph *g = load();
    assert_string_equal(tell(g), wanted);
    hone_graph_free(g);
}

/* --- the model around --- */

static int begin(void **state) {
    (void)state;
    graph.size = attrs.size = model.size = function.size = 0;
    err = (hone_error){0};
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "batch,3");
    return 0;
}

static void call(const char *name, const char *of, const char *inputs, const char *outputs) {
    put_node_of(&graph, "my", of, name, inputs, outputs, attrs.size ? &attrs : NULL);
    attrs.size = 0;
}

static void end(const char *output) {
    put_value(&graph, PART_OUTPUT, output, HONE_FLOAT32, NULL);
    model_of(&model, &graph, 17);
    put_opset(&model, "my", 1);
}

static void add_function(int64_t opset) {
    function_imports(&function, "", opset);
    put_message(&model, PART_FUNCTION, &function);
}

/* act(a) = tanh(relu(a)) */
static void add_act(void) {
    function_begin(&function, "my", "Act", "a", "b");
    function_node(&function, "Relu", "first", "a", "c", NULL);
    function_node(&function, "Tanh", "", "c", "b", NULL);
    add_function(17);
}

/* --- names --- */

static void test_names(void **state) {
    (void)state;
    call("f", "Act", "x", "h");
    call("", "Act", "h", "y"); /* is named after what it gives */
    end("y");
    add_act();
    gives("f/first: Relu x -> f/c\n"
          "f/b: Tanh f/c -> h\n"
          "y/first: Relu h -> y/c\n"
          "y/b: Tanh y/c -> y\n");
}

/* The caller has names that the call would make up; they stay the caller's. */
static void test_names_of_the_caller_stay(void **state) {
    (void)state;
    call("f", "Act", "x", "h");
    put_node(&graph, "Neg", "n", "h", "f/c", NULL);
    put_node(&graph, "Neg", "m", "f/c", "f/b", NULL);
    call("f", "Act", "f/b", "y");
    end("y");
    add_act();
    hone_graph *g = load();
    const hone_value *v = hone_graph_find(g, "f/c");
    assert_string_equal(v->producer->name, "n");
    assert_string_equal(hone_graph_find(g, "f/c_1")->producer->op->name, "Relu");
    assert_int_equal(g->node_count, 6);
    hone_graph_free(g);
}

static void test_nodes_in_any_order(void **state) {
    (void)state;
    put_node(&graph, "Neg", "n", "h", "y", NULL);
    call("f", "Act", "x", "h");
    end("y");
    function_begin(&function, "my", "Act", "a", "b");
    function_node(&function, "Tanh", "second", "c", "b", NULL);
    function_node(&function, "Relu", "first", "a", "c", NULL);
    add_function(17);
    gives("f/first: Relu x -> f/c\n"
          "f/second: Tanh f/c -> h\n"
          "n: Neg h -> y\n");
}

/* --- calls in calls --- */

static void test_nested(void **state) {
    (void)state;
    call("f", "Twice", "x", "y");
    end("y");
    function_begin(&function, "my", "Twice", "p", "q");
    put_node_as(&function, 7, "my", "Act", "one", "p", "m", NULL);
    put_node_as(&function, 7, "my", "Act", "two", "m", "q", NULL);
    function_imports(&function, "my", 1);
    add_function(17);
    add_act();
    gives("f/one/first: Relu x -> f/one/c\n"
          "f/one/b: Tanh f/one/c -> f/m\n"
          "f/two/first: Relu f/m -> f/two/c\n"
          "f/two/b: Tanh f/two/c -> y\n");
}

static void test_recursion(void **state) {
    (void)state;
    call("f", "A", "x", "y");
    end("y");
    for (int i = 0; i < 2; i++) {
        function_begin(&function, "my", i ? "B" : "A", "p", "q");
        put_node_as(&function, 7, "my", i ? "A" : "B", "again", "p", "q", NULL);
        function_imports(&function, "my", 1);
        add_function(17);
    }
    refuses(HONE_CORRUPT, "calls itself");
}

/* Forty functions of two calls each stand for 2^40 nodes; a hundred, one in the other, for one. */
static void test_too_much(void **state) {
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        int count = wide ? 40 : 100;
        char name[16], next[16];
        begin(NULL);
        call("f", "F0", "x", "y");
        end("y");
        for (int i = 0; i < count; i++) {
            snprintf(name, sizeof name, "F%d", i);
            snprintf(next, sizeof next, "F%d", i + 1);
            const char *domain = i + 1 < count ? "my" : "", *op = i + 1 < count ? next : "Neg";
            function_begin(&function, "my", name, "p", "q");
            put_node_as(&function, 7, domain, op, "one", "p", wide ? "m" : "q", NULL);
            if (wide) put_node_as(&function, 7, domain, op, "two", "m", "q", NULL);
            function_imports(&function, "my", 1);
            add_function(17);
        }
        refuses(HONE_UNSUPPORTED, wide ? "stand for more than" : "nested more than");
    }
}

/* --- attributes --- */

/* leaky(a; slope = 0.25) = LeakyRelu(a; alpha = slope), then times a constant `factor` that has no default */
static void add_leaky(bool factor) {
    static bytes inner;
    function_begin(&function, "my", "Leaky", "a", "b");
    inner.size = 0;
    attr_ref(&inner, "alpha", 1, "slope");
    function_node(&function, "LeakyRelu", "l", "a", factor ? "c" : "b", &inner);
    if (factor) {
        inner.size = 0;
        attr_ref(&inner, "value_float", 1, "factor");
        function_node(&function, "Constant", "k", "", "k", &inner);
        function_node(&function, "Mul", "m", "c,k", "b", NULL);
        put_text(&function, 6, "factor");
    }
    function_default(&function, "slope", 0.25f);
    add_function(17);
}

static void test_attributes(void **state) {
    (void)state;
    call("f", "Leaky", "x", "h");
    attr_float(&attrs, "slope", 0.5f);
    call("g", "Leaky", "h", "y");
    end("y");
    add_leaky(false);
    hone_graph *g = load();
    assert_true(hone_node_float(g->first, "alpha") == 0.25f);
    assert_true(hone_node_float(g->last, "alpha") == 0.5f);
    hone_graph_free(g);
}

static void test_attributes_without_default(void **state) {
    (void)state;
    attr_float(&attrs, "factor", 3);
    call("f", "Leaky", "x", "y");
    end("y");
    add_leaky(true);
    hone_graph *g = load();
    const hone_value *k = hone_graph_find(g, "f/k");
    assert_int_equal(k->storage, HONE_STORAGE_CONSTANT);
    assert_true(*(const float *)k->data->data == 3);
    hone_graph_free(g);

    begin(NULL);
    call("f", "Leaky", "x", "y");
    end("y");
    add_leaky(true);
    refuses(HONE_CORRUPT, "a constant needs one value");
    begin(NULL);
    attr_float(&attrs, "strength", 3);
    call("f", "Leaky", "x", "y");
    end("y");
    add_leaky(true);
    refuses(HONE_CORRUPT, "attribute strength: is not an attribute of the function");
}

/* What a call leaves out is left out inside: there the operator's own default holds. */
static void test_attributes_left_out(void **state) {
    (void)state;
    static bytes inner;
    call("f", "Plain", "x", "y");
    end("y");
    function_begin(&function, "my", "Plain", "a", "b");
    inner.size = 0;
    attr_ref(&inner, "alpha", 1, "slope");
    function_node(&function, "LeakyRelu", "l", "a", "b", &inner);
    put_text(&function, 6, "slope");
    add_function(17);
    hone_graph *g = load();
    assert_int_equal(g->first->attr_count, 0);
    hone_graph_free(g);
}

/* outer(p; s) = leaky(p; slope = s): a reference to a reference. */
static void test_attributes_through_calls(void **state) {
    (void)state;
    static bytes inner;
    attr_float(&attrs, "s", 0.125f);
    call("f", "Outer", "x", "y");
    end("y");
    function_begin(&function, "my", "Outer", "p", "q");
    inner.size = 0;
    attr_ref(&inner, "slope", 1, "s");
    put_node_as(&function, 7, "my", "Leaky", "n", "p", "q", &inner);
    put_text(&function, 6, "s");
    function_imports(&function, "my", 1);
    add_function(17);
    add_leaky(false);
    hone_graph *g = load();
    assert_true(hone_node_float(g->first, "alpha") == 0.125f);
    hone_graph_free(g);
}

static void test_references_outside(void **state) {
    (void)state;
    attr_ref(&attrs, "alpha", 1, "slope");
    put_node(&graph, "LeakyRelu", "n", "x", "y", &attrs);
    end("y");
    refuses(HONE_CORRUPT, "refers to an attribute of a function, outside of one");
}

/* --- inputs and outputs --- */

/* fn(a, b) gives c = Gemm(a, a', b) and d = Neg(c); called without b and without d, then without c. */
static void test_left_out(void **state) {
    (void)state;
    static bytes inner;
    call("f", "Fn", "x", "h");
    call("g", "Fn", "h", ",y");
    end("y");
    function_begin(&function, "my", "Fn", "a,b", "c,d");
    inner.size = 0;
    attr_int(&inner, "transB", 1);
    function_node(&function, "Gemm", "m", "a,a,b", "c", &inner);
    function_node(&function, "Neg", "n", "c", "d", NULL);
    add_function(17);
    gives("f/m: Gemm x, x -> h\n"
          "f/n: Neg h -> f/d\n"
          "g/m: Gemm h, h -> g/c\n"
          "g/n: Neg g/c -> y\n");
}

/* same(a) gives a, twice(a) gives Neg(a) as both of its outputs: each of the caller's outputs is a value of its own. */
static void test_outputs_that_are_inputs(void **state) {
    (void)state;
    call("f", "Same", "x", "y");
    call("g", "Twice", "y", "u,v");
    put_value(&graph, PART_OUTPUT, "u", HONE_FLOAT32, NULL);
    put_value(&graph, PART_OUTPUT, "v", HONE_FLOAT32, NULL);
    end("y");
    function_begin(&function, "my", "Same", "a", "a");
    add_function(17);
    function_begin(&function, "my", "Twice", "a", "b,b");
    function_node(&function, "Neg", "n", "a", "b", NULL);
    add_function(17);
    gives("f/y: Identity x -> y\n"
          "g/n: Neg y -> u\n"
          "g/v: Identity u -> v\n");
    begin(NULL);
    call("f", "Same", "", "y");
    end("y");
    function_begin(&function, "my", "Same", "a", "a");
    add_function(17);
    refuses(HONE_CORRUPT, "which is left out");
}

static void test_wrong_calls(void **state) {
    (void)state;
    call("f", "Act", "x,x", "y");
    end("y");
    add_act();
    refuses(HONE_CORRUPT, "2 inputs and 1 outputs, the function 1 and 1");
    begin(NULL);
    call("f", "Fn", "x", "y");
    end("y");
    function_begin(&function, "my", "Fn", "a", "nobody");
    function_node(&function, "Neg", "n", "a", "b", NULL);
    add_function(17);
    refuses(HONE_CORRUPT, "the output nobody, which nothing gives");
    begin(NULL);
    call("f", "Fn", "x", "y");
    end("y");
    function_begin(&function, "my", "Fn", "a", "b");
    function_node(&function, "Add", "n", "a,x", "b", NULL); /* the caller's names are not the function's */
    add_function(17);
    refuses(HONE_CORRUPT, "reads x, which nothing gives");
    begin(NULL);
    call("f", "Fn", "x", "y");
    end("y");
    function_begin(&function, "my", "Fn", "a", "b");
    function_node(&function, "Neg", "n", "a", "b", NULL);
    put_message(&model, PART_FUNCTION, &function); /* imports nothing */
    refuses(HONE_CORRUPT, "imports no operator set of ai.onnx");
}

/* --- which operators --- */

/* Softmax of operator set 11 inside, of 17 outside: what is lifted is lifted by the function's. */
static void test_operator_sets_of_its_own(void **state) {
    (void)state;
    call("f", "Old", "x", "h");
    put_node(&graph, "Softmax", "new", "h", "y", NULL);
    end("y");
    function_begin(&function, "my", "Old", "a", "b");
    function_node(&function, "Softmax", "s", "a", "b", NULL);
    add_function(11);
    hone_graph *g = load();
    assert_non_null(strstr(tell(g), "f/s: Softmax"));
    assert_int_equal(hone_graph_opset(g, ""), 17);
    assert_int_equal(hone_graph_opset(g, "my"), 1);
    hone_graph_free(g);
    begin(NULL);
    call("f", "Young", "x", "y");
    end("y");
    function_begin(&function, "my", "Young", "a", "b");
    function_node(&function, "Gelu", "s", "a", "b", NULL); /* 17 outside has no Gelu yet */
    add_function(20);
    gives("f/s: Gelu x -> y\n");
}

/* An operator that Hone has is not replaced by a function of its name, unless that is for an older operator set. */
static void test_operators_go_first(void **state) {
    (void)state;
    for (int opset = 17; opset <= 20; opset += 3) {
        begin(NULL);
        put_node(&graph, "Gelu", "n", "x", "y", NULL);
        put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, NULL);
        model_of(&model, &graph, opset);
        function_begin(&function, "ai.onnx", "Gelu", "a", "b");
        function_node(&function, "Neg", "inner", "a", "b", NULL);
        add_function(17);
        gives(opset == 20 ? "n: Gelu x -> y\n" : "n/inner: Neg x -> y\n");
    }
}

/* --- what is told of them --- */

static void test_overloads(void **state) {
    (void)state;
    static bytes node;
    for (int i = 0; i < 2; i++) {
        node.size = 0;
        put_text(&node, 1, i ? "h" : "x");
        put_text(&node, 2, i ? "y" : "h");
        put_text(&node, 3, i ? "second" : "first");
        put_text(&node, 4, "Fn");
        put_text(&node, 7, "my");
        if (i) put_text(&node, 8, "other");
        put_message(&graph, 1, &node);
    }
    end("y");
    for (int i = 0; i < 2; i++) {
        function_begin(&function, "my", "Fn", "a", "b");
        function_node(&function, i ? "Neg" : "Tanh", "n", "a", "b", NULL);
        if (i) put_text(&function, 13, "other");
        add_function(17);
    }
    gives("first/n: Tanh x -> h\n"
          "second/n: Neg h -> y\n");
}

/* What functions lack is listed once, that of functions which nobody calls not at all. */
static void test_survey(void **state) {
    (void)state;
    call("f", "Fn", "x", "h");
    call("g", "Fn", "h", "y");
    end("y");
    function_begin(&function, "my", "Fn", "a", "b");
    function_node(&function, "Whirl", "w", "a", "b", NULL);
    add_function(17);
    function_begin(&function, "my", "Unused", "a", "b");
    function_node(&function, "Twist", "t", "a", "b", NULL);
    add_function(17);
    refuses(HONE_UNSUPPORTED, "not supported: operator Whirl of ai.onnx 17 (node w)");
    assert_null(strstr(err.message, ";"));
}

/* --- graphs inside --- */

/* pick(a, flag): If(flag) Neg(a) else the function's own c; called from the graph inside of a node, too. */
static void add_pick(void) {
    static bytes yes, no, inner;
    yes.size = no.size = inner.size = 0;
    put_node_of(&yes, "my", "Act", "act", "a", "r", NULL);
    put_value(&yes, PART_OUTPUT, "r", HONE_FLOAT32, NULL);
    put_node(&no, "Add", "sum", "c,a", "r", NULL);
    put_value(&no, PART_OUTPUT, "r", HONE_FLOAT32, NULL);
    function_begin(&function, "my", "Pick", "a,flag", "b");
    function_node(&function, "Neg", "neg", "a", "c", NULL);
    attr_graph(&inner, "then_branch", &yes);
    attr_graph(&inner, "else_branch", &no);
    function_node(&function, "If", "if", "flag", "b", &inner);
    function_imports(&function, "my", 1);
    add_function(17);
}

static void test_graphs_inside(void **state) {
    (void)state;
    put_value(&graph, PART_INPUT, "on", HONE_BOOL, "");
    call("f", "Pick", "x,on", "y");
    end("y");
    add_pick();
    add_act();
    gives("f/neg: Neg x -> f/c\n"
          "f/if: If on | x, f/c -> y\n"
          "  then_branch:\n"
          "    act/first: Relu x -> act/c\n"
          "    act/b: Tanh act/c -> r\n"
          "    gives r\n"
          "  else_branch:\n"
          "    sum: Add f/c, x -> r\n"
          "    gives r\n");
}

/* branch(flag; graph) = If(flag) graph else 1: the graph is written where the call is, and names mean what they mean
 * there. */
static void test_graphs_given_to_calls(void **state) {
    (void)state;
    static bytes given, no, inner;
    given.size = no.size = inner.size = 0;
    put_value(&graph, PART_INPUT, "on", HONE_BOOL, "");
    put_node(&given, "Neg", "neg", "x", "r", NULL);
    put_value(&given, PART_OUTPUT, "r", HONE_FLOAT32, NULL);
    attr_graph(&attrs, "body", &given);
    call("f", "Branch", "on", "y");
    end("y");
    inner.size = 0;
    attr_float(&inner, "value_float", 1);
    put_node(&no, "Constant", "one", "", "x", &inner); /* not the caller's x */
    put_value(&no, PART_OUTPUT, "x", HONE_FLOAT32, NULL);
    function_begin(&function, "my", "Branch", "flag", "b");
    inner.size = 0;
    attr_ref(&inner, "then_branch", 5, "body");
    attr_graph(&inner, "else_branch", &no);
    function_node(&function, "If", "if", "flag", "b", &inner);
    put_text(&function, 6, "body");
    add_function(17);
    gives("f/if: If on | x -> y\n"
          "  then_branch:\n"
          "    neg: Neg x -> r\n"
          "    gives r\n"
          "  else_branch:\n"
          "    gives x\n");
}

/* --- and back --- */

static void test_written_again(void **state) {
    (void)state;
    put_value(&graph, PART_INPUT, "on", HONE_BOOL, "");
    call("f", "Pick", "x,on", "y");
    end("y");
    add_pick();
    add_act();
    hone_graph *g = load(), *again = NULL;
    hone_blob blob;
    assert_int_equal(hone_onnx_write(g, &blob, &err), HONE_OK);
    assert_int_equal(hone_graph_load_memory(blob.data, blob.size, "again", &again, &err), HONE_OK);
    char *first = strdup(tell(g));
    assert_string_equal(tell(again), first);
    free(first);
    hone_blob_free(&blob);
    hone_graph_free(again);
    hone_graph_free(g);
}

/* ai.onnx.ml, com.microsoft and a domain of the file's own, beside ONNX's: read, written and read again. */
static void test_four_domains(void **state) {
    (void)state;
    static bytes a;
    attr_begin(&a, "scale", 6);
    put_float(&a, 7, 0.5f);
    put_message(&attrs, 5, &a);
    put_node_of(&graph, "ai.onnx.ml", "Scaler", "scaler", "x", "s", &attrs);
    attrs.size = 0;
    call("f", "Act", "s", "h");
    put_node_of(&graph, "com.microsoft", "FastGelu", "fast", "h", "k", NULL);
    put_node(&graph, "Neg", "neg", "k", "y", NULL);
    end("y");
    put_opset(&model, "ai.onnx.ml", 3);
    put_opset(&model, "com.microsoft", 1);
    add_act();
    const char *wanted = "scaler: Scaler x -> s\n"
                         "f/first: Relu s -> f/c\n"
                         "f/b: Tanh f/c -> h\n"
                         "fast: FastGelu h -> k\n"
                         "neg: Neg k -> y\n";
    hone_graph *g = load(), *again = NULL;
    assert_string_equal(tell(g), wanted);
    assert_int_equal(hone_graph_opset(g, "ai.onnx.ml"), 3);
    assert_int_equal(hone_graph_opset(g, "my"), 1);
    hone_blob blob;
    assert_int_equal(hone_onnx_write(g, &blob, &err), HONE_OK);
    assert_int_equal(hone_graph_load_memory(blob.data, blob.size, "again", &again, &err), HONE_OK);
    assert_string_equal(tell(again), wanted);
    assert_int_equal(hone_graph_opset(again, ""), 13);
    assert_int_equal(hone_graph_opset(again, "ai.onnx.ml"), 1);
    assert_int_equal(hone_graph_opset(again, "com.microsoft"), 1);
    assert_int_equal(hone_graph_opset(again, "my"), 0); /* nothing of it is left */
    assert_true(hone_node_attr(again->first, "scale")->floats[0] == 0.5f);
    hone_blob_free(&blob);
    hone_graph_free(again);
    hone_graph_free(g);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, begin)
    const struct CMUnitTest tests[] = {
        TEST(test_names),
        TEST(test_names_of_the_caller_stay),
        TEST(test_nodes_in_any_order),
        TEST(test_nested),
        TEST(test_recursion),
        TEST(test_too_much),
        TEST(test_attributes),
        TEST(test_attributes_without_default),
        TEST(test_attributes_left_out),
        TEST(test_attributes_through_calls),
        TEST(test_references_outside),
        TEST(test_left_out),
        TEST(test_outputs_that_are_inputs),
        TEST(test_wrong_calls),
        TEST(test_operator_sets_of_its_own),
        TEST(test_operators_go_first),
        TEST(test_overloads),
        TEST(test_survey),
        TEST(test_graphs_inside),
        TEST(test_graphs_given_to_calls),
        TEST(test_written_again),
        TEST(test_four_domains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
