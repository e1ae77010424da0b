#include "support/graphs.h"

/* A model with something of everything: batch symbol, constant, variable, bindings, an output in the middle,
 * attributes, a node with a map, metadata. */
static hone_graph *sample(void) {
    hone_graph *g = hone_graph_new("sample");
    if (!g) return NULL;
    hone_tensor *w = NULL, *v = NULL;
    hone_tensor_new(HONE_FLOAT32, SHAPE(3, 4), &w, NULL);
    hone_tensor_new(HONE_FLOAT32, SHAPE(3, 4), &v, NULL);
    hone_type type = hone_type_make(HONE_FLOAT32, SHAPE(hone_graph_symbol(g, "batch"), 3));
    hone_value *x = hone_graph_add_input(g, "x", &type), *c = hone_graph_add_constant(g, "c", w);
    hone_value *s = hone_graph_add_variable(g, "s", v);
    hone_tensor_free(w);
    hone_tensor_free(v);
    hone_value *y = graph_op(g, "Gemm", x, c), *z = graph_op(g, "Relu", y);
    if (y) {
        hone_node_set_float(g, y->producer, "alpha", 0.5f);
        hone_graph_rename(g, y, "middle");
    }
    hone_value *next = graph_op(g, "Add", s, hone_graph_scalar(g, HONE_FLOAT32, 1));
    hone_graph_rename(g, z, "y");
    hone_graph_add_output(g, z);
    hone_graph_add_output(g, y);
    hone_graph_bind(g, next, s);
    hone_error err;
    if (hone_graph_set_metadata(g, "hone.classes", "a\nb", &err) != HONE_OK) g->failed = true;
    return g;
}

static void test_copy_stands_alone(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = sample(), *copy = NULL;
    hone_graph_set_opset(g, "", 17);
    g->doc = "what it is for";
    check_ok(hone_graph_check(g, &err));
    const hone_tensor *c = hone_graph_find(g, "c")->data;
    hone_graph_find(g, "s")->trainable = true;
    check_ok(hone_graph_copy(g, &copy, &err));
    assert_ptr_equal(hone_graph_find(copy, "c")->data, c); /* shared */
    assert_int_equal(c->references, 2);
    g->doc = NULL;
    hone_graph_free(g);
    assert_int_equal(c->references, 1);
    assert_int_equal(copy->node_count, 3);
    assert_int_equal(hone_graph_opset(copy, ""), 17);
    assert_string_equal(copy->name, "sample");
    assert_string_equal(copy->doc, "what it is for");
    assert_string_equal(copy->outputs[0]->name, "y");
    assert_string_equal(copy->outputs[1]->name, "middle");
    assert_string_equal(hone_graph_dim_name(copy, copy->inputs[0]->type.dims[0]), "batch");
    assert_int_equal(copy->binding_count, 1);
    assert_ptr_equal(copy->bindings[0].variable, hone_graph_find(copy, "s"));
    assert_ptr_equal(copy->bindings[0].source->producer->inputs[0], hone_graph_find(copy, "s"));
    assert_true(hone_graph_find(copy, "s")->trainable);
    assert_true(hone_node_float(hone_graph_find(copy, "middle")->producer, "alpha") == 0.5f);
    assert_string_equal(hone_graph_metadata(copy, "hone.classes"), "a\nb");
    hone_graph_free(copy);
}

/* Node and value names may be anything: a node called as another's output must not take that name away. */
static void test_names_are_kept(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("names"), *copy = NULL;
    hone_value *w = graph_input(g, "w", HONE_FLOAT32, SHAPE(2)),
               *in[] = {w, w, w, hone_graph_scalar(g, HONE_FLOAT32, 1)};
    hone_node *a = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "Sgd"), "n", 4, in, 2);
    hone_node *b = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "Sgd"), "late", 4, in, 2);
    hone_graph_rename(g, a->outputs[0], "n_1");
    hone_graph_rename(g, a->outputs[1], "x");
    hone_graph_rename(g, b->outputs[0], "n_2");
    hone_graph_rename(g, b->outputs[1], "n");
    a->outputs[1] = NULL; /* an output nobody wants */
    hone_graph_add_output(g, a->outputs[0]);
    hone_graph_add_output(g, b->outputs[0]);
    hone_graph_add_output(g, b->outputs[1]);
    check_ok(hone_graph_copy(g, &copy, &err));
    for (int i = 0; i < 3; i++) assert_string_equal(copy->outputs[i]->name, g->outputs[i]->name);
    assert_null(copy->first->outputs[1]);
    assert_string_equal(copy->first->name, "n");
    hone_graph_free(copy);
    hone_graph_free(g);
}

/* Nodes need not be sorted. */
static void test_unsorted(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("unsorted"), *copy = NULL;
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2));
    hone_value *last = graph_op(g, "Relu", x), *first = graph_op(g, "Tanh", x);
    hone_node_set_input(g, last->producer, 0, first);
    hone_graph_add_output(g, last);
    check_ok(hone_graph_copy(g, &copy, &err));
    assert_int_equal(copy->outputs[0]->producer->input_count, 1);
    assert_ptr_equal(copy->outputs[0]->producer->inputs[0], copy->last->outputs[0]);
    hone_model *model = NULL;
    check_ok(hone_model_compile(g, NULL, &model, &err));
    hone_model_free(model);
    hone_graph_free(copy);
    hone_graph_free(g);
}

static void test_output_that_nothing_makes(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("dangling"), *copy = NULL;
    hone_graph_add_output(g, hone_graph_add_value(g, "from nowhere"));
    assert_int_equal(hone_graph_copy(g, &copy, &err), HONE_CORRUPT);
    assert_string_equal(err.node, "from nowhere");
    assert_null(copy);
    hone_graph_free(g);
}

/* Into a graph that has such names already, with one input wired to a value of it. */
static void test_append(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = sample(), *dst = sample();
    hone_value **map = hone_calloc(g->value_count, sizeof(hone_value *));
    hone_value *wired = hone_graph_find(dst, "x");
    map[hone_graph_find(g, "x")->id] = wired;
    size_t uses = wired->use_count;
    check_ok(hone_graph_append(dst, g, "twin/", map, &err));
    assert_int_equal(dst->node_count, 6);
    assert_int_equal(dst->input_count, 1);
    assert_int_equal(wired->use_count, uses + 1);
    assert_ptr_equal(hone_graph_find(dst, "twin/y"), map[hone_graph_find(g, "y")->id]);
    assert_int_equal(map[hone_graph_find(g, "y")->id]->producer->inputs[0]->producer->inputs[0], wired);
    assert_int_equal(dst->output_count, 2);
    hone_free(map);

    map = hone_calloc(g->value_count, sizeof(hone_value *)); /* without a prefix names give way */
    hone_value *kept = hone_graph_find(dst, "twin/middle");  /* stands for what a node would make */
    map[hone_graph_find(g, "middle")->id] = kept;
    check_ok(hone_graph_append(dst, g, NULL, map, &err));
    assert_ptr_equal(map[hone_graph_find(g, "middle")->id], kept);
    assert_ptr_equal(map[hone_graph_find(g, "y")->id]->producer->inputs[0], kept);
    assert_ptr_equal(hone_graph_find(dst, "y"), dst->outputs[0]);
    hone_free(map);
    hone_graph_free(dst);
    hone_graph_free(g);
}

static void test_every_allocation_fails(void **state) {
    (void)state;
    hone_error err;
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        for (int and_after = 0; and_after < 2; and_after++) {
            hone_graph *copy = NULL;
            hone_alloc_fail_at(n, and_after != 0);
            hone_graph *g = sample();
            hone_status status = hone_graph_check(g, &err);
            if (status == HONE_OK) status = hone_graph_copy(g, &copy, &err);
            if (status == HONE_OK) status = hone_graph_sort(copy, &err);
            if (status == HONE_OK) status = hone_graph_infer(copy, &err);
            if (status == HONE_OK) hone_graph_prune(copy);
            hone_alloc_fail_at(0, false);
            assert_true(status == HONE_OK || status == HONE_OUT_OF_MEMORY);
            assert_true(status != HONE_OK || copy);
            done = status == HONE_OK;
            hone_graph_free(copy);
            hone_graph_free(g);
        }
    }
}

/* What gives a value, and nothing else: the outputs are what was asked for, in that order. */
static void test_extract(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = sample(), *part = NULL;
    hone_value *next = g->bindings[0].source,
               *wanted[] = {hone_graph_find(g, "middle"), next, hone_graph_find(g, "c")};
    hone_graph_find(g, "s")->trainable = true;
    check_ok(hone_graph_extract(g, wanted, 3, &part, &err));
    assert_int_equal(part->node_count, 2);
    assert_int_equal(part->output_count, 3);
    assert_int_equal(part->input_count, 1);
    assert_int_equal(part->binding_count, 0);
    assert_string_equal(part->outputs[0]->name, "middle");
    assert_string_equal(part->outputs[2]->name, "c");
    assert_true(hone_node_float(part->outputs[0]->producer, "alpha") == 0.5f);
    assert_string_equal(hone_graph_dim_name(part, part->inputs[0]->type.dims[0]), "batch");
    assert_null(hone_graph_find(part, "y"));
    check_ok(hone_graph_infer(part, &err));
    hone_graph_free(part);
    part = NULL;
    check_ok(hone_graph_extract(g, &next, 1, &part, &err)); /* needs no input */
    assert_int_equal(part->input_count, 0);
    assert_int_equal(part->outputs[0]->producer->inputs[0]->storage, HONE_STORAGE_VARIABLE);
    assert_true(part->outputs[0]->producer->inputs[0]->trainable);
    hone_graph_free(part);
    part = NULL;
    hone_status status = HONE_OUT_OF_MEMORY;
    for (uint64_t n = 1; status != HONE_OK; n++) {
        hone_alloc_fail_at(n, false);
        status = hone_graph_extract(g, wanted, 3, &part, &err);
        hone_alloc_fail_at(0, false);
        assert_true(status == HONE_OK || (status == HONE_OUT_OF_MEMORY && !part));
    }
    hone_graph_free(part);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_stands_alone),
        cmocka_unit_test(test_names_are_kept),
        cmocka_unit_test(test_unsorted),
        cmocka_unit_test(test_output_that_nothing_makes),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_extract),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
