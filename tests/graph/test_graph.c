#include "support/graphs.h"

/* Every use is known to the value, and every use that a value knows is one. */
static void assert_sound(const hone_graph *g) {
    size_t nodes = 0, uses = 0, known = 0;
    for (const hone_node *n = g->first; n; n = n->next, nodes++) {
        assert_ptr_equal(n->next ? n->next->prev : g->last, n);
        assert_true(n->input_count == 0 || n->inputs[n->input_count - 1]);
        for (int i = 0; i < n->input_count; i++) uses += n->inputs[i] != NULL;
        for (int i = 0; i < n->output_count; i++)
            if (n->outputs[i]) assert_ptr_equal(n->outputs[i]->producer, n);
    }
    assert_int_equal(nodes, g->node_count);
    for (size_t i = 0; i < g->value_count; i++) {
        const hone_value *v = g->values[i];
        if (!v) continue;
        assert_int_equal(v->id, i);
        assert_ptr_equal(hone_graph_find(g, v->name), v);
        known += v->use_count;
        for (size_t u = 0; u < v->use_count; u++)
            assert_ptr_equal(v->uses[u].node->inputs[v->uses[u].index], v);
    }
    assert_int_equal(uses, known);
}

static hone_value *input(hone_graph *g, const char *name) {
    return graph_input(g, name, HONE_FLOAT32, SHAPE(2, 3));
}

static void test_uses(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("uses");
    hone_value *x = input(g, "x"), *z = input(g, "z");
    hone_value *y = graph_op(g, "Mul", x, x);
    assert_int_equal(x->use_count, 2);
    hone_node_set_input(g, y->producer, 1, z);
    assert_int_equal(x->use_count, 1);
    assert_int_equal(z->use_count, 1);
    hone_node_set_input(g, y->producer, 4, z); /* grows; the gap is left out */
    assert_int_equal(y->producer->input_count, 5);
    assert_null(y->producer->inputs[3]);
    assert_sound(g);
    hone_node_set_input(g, y->producer, 4, NULL); /* shrinks to the last that is there */
    assert_int_equal(y->producer->input_count, 2);
    hone_node_set_input(g, y->producer, 0, NULL);
    assert_int_equal(y->producer->input_count, 2);
    assert_int_equal(x->use_count, 0);
    assert_sound(g);
    hone_graph_free(g);
}

static void test_names(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new(NULL);
    hone_value *a = input(g, "a"), *b = input(g, "a"), *c = input(g, NULL);
    assert_string_equal(a->name, "a");
    assert_true(strncmp(b->name, "a_", 2) == 0);
    assert_true(c->name[0] != 0);
    hone_graph_rename(g, b, "a"); /* the holder gives way */
    assert_string_equal(b->name, "a");
    assert_string_not_equal(a->name, "a");
    assert_sound(g);
    hone_graph_rename(g, b, "a");
    assert_string_equal(b->name, "a");
    assert_null(hone_graph_find(g, "nobody"));
    assert_int_equal(hone_graph_symbol(g, "batch"), hone_graph_symbol(g, "batch"));
    assert_string_equal(hone_graph_dim_name(g, hone_graph_symbol(g, "batch")), "batch");
    assert_null(hone_graph_dim_name(g, HONE_DIM_ANY));
    assert_null(hone_graph_dim_name(g, -77));
    hone_graph_free(g);
}

static void test_replace(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("replace");
    hone_value *x = input(g, "x"), *w = graph_variable(g, "w", tensor_make(HONE_FLOAT32, SHAPE(2, 3)));
    hone_value *old = graph_op(g, "Relu", x), *v = graph_op(g, "Tanh", x);
    hone_value *user = graph_op(g, "Add", old, old);
    hone_graph_rename(g, old, "y");
    hone_graph_add_output(g, old);
    hone_graph_add_output(g, user);
    hone_graph_bind(g, old, w);
    hone_graph_replace(g, old, v);
    assert_int_equal(old->use_count, 0);
    assert_int_equal(v->use_count, 2);
    assert_ptr_equal(g->outputs[0], v);
    assert_ptr_equal(g->bindings[0].source, v);
    assert_string_equal(v->name, "y"); /* an output keeps its name */
    assert_true(hone_graph_is_output(g, v));
    assert_false(hone_graph_is_output(g, old));
    assert_sound(g);
    hone_graph_replace(g, v, v);
    assert_int_equal(v->use_count, 2);
    hone_graph_free(g);
}

static void test_prune(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("prune");
    hone_value *x = input(g, "x"), *c = graph_constant(g, "c", tensor_make(HONE_FLOAT32, 0, NULL));
    hone_value *w = graph_variable(g, "w", tensor_make(HONE_FLOAT32, SHAPE(2, 3)));
    hone_value *lonely = graph_variable(g, "lonely", tensor_make(HONE_FLOAT32, SHAPE(2, 3)));
    hone_value *y = graph_op(g, "Relu", x), *dead = graph_op(g, "Add", y, c);
    graph_op(g, "Tanh", dead);
    hone_value *bound = graph_op(g, "Neg", y);
    hone_graph_add_output(g, y);
    hone_graph_bind(g, bound, w);
    (void)lonely;
    hone_graph_prune(g);
    assert_int_equal(g->node_count, 2);
    assert_null(hone_graph_find(g, "c"));
    assert_null(hone_graph_find(g, "lonely"));
    assert_non_null(hone_graph_find(g, "w")); /* a binding's target stays */
    assert_non_null(hone_graph_find(g, "x")); /* inputs are the signature */
    assert_sound(g);
    hone_graph_free(g);
}

/* y = Relu(Tanh(Neg(x))) beside a dead chain of three, nodes in the worst order; and a dead cycle. */
static void test_prune_in_any_order(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("prune");
    hone_value *x = input(g, "x");
    hone_value *last = graph_op(g, "Relu", x), *mid = graph_op(g, "Tanh", x), *first = graph_op(g, "Neg", x);
    hone_node_set_input(g, last->producer, 0, mid);
    hone_node_set_input(g, mid->producer, 0, first);
    hone_value *dead3 = graph_op(g, "Relu", x), *dead2 = graph_op(g, "Tanh", x),
               *dead1 = graph_op(g, "Neg", x);
    hone_node_set_input(g, dead3->producer, 0, dead2);
    hone_node_set_input(g, dead2->producer, 0, dead1);
    hone_value *a = graph_op(g, "Relu", x), *b = graph_op(g, "Tanh", a);
    hone_node_set_input(g, a->producer, 0, b);
    hone_graph_add_output(g, last);
    hone_graph_prune(g);
    assert_int_equal(g->node_count, 3);
    assert_sound(g);
    hone_graph_free(g);
}

static void test_remove_node(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("remove");
    hone_value *x = input(g, "x"), *y = graph_op(g, "Add", x, x), *z = graph_op(g, "Relu", y);
    hone_tensor *t = tensor_make(HONE_FLOAT32, SHAPE(3));
    hone_node_set_tensor(g, z->producer, "t", t);
    int id = z->id;
    g->insert_before = z->producer;
    hone_graph_remove_node(g, z->producer);
    assert_null(g->insert_before);
    assert_null(g->values[id]);
    assert_int_equal(y->use_count, 0);
    assert_int_equal(t->references, 1);
    hone_graph_remove_node(g, y->producer);
    assert_null(g->first);
    assert_null(g->last);
    assert_sound(g);
    hone_tensor_free(t);
    hone_graph_free(g);
}

static int position(const hone_graph *g, const hone_value *v) {
    int at = 0;
    for (const hone_node *n = g->first; n != v->producer; n = n->next) at++;
    return at;
}

/* A sorted graph stays as it is; else each node moves no further forward than those who need it ask. */
static void test_sort_is_stable(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("sort");
    hone_value *x = input(g, "x");
    hone_value *a1 = graph_op(g, "Relu", x), *a2 = graph_op(g, "Tanh", a1), *a3 = graph_op(g, "Neg", a2);
    hone_value *b1 = graph_op(g, "Relu", x), *b2 = graph_op(g, "Tanh", b1), *b3 = graph_op(g, "Neg", b2);
    check_ok(hone_graph_sort(g, &err));
    hone_value *order[] = {a1, a2, a3, b1, b2, b3};
    for (int i = 0; i < COUNT(order); i++) assert_int_equal(position(g, order[i]), i);
    hone_value *late = graph_op(g, "Exp", x); /* at the end, needed by a2 */
    hone_node_set_input(g, a2->producer, 1, late);
    check_ok(hone_graph_sort(g, &err));
    hone_value *expected[] = {a1, late, a2, a3, b1, b2, b3};
    for (int i = 0; i < COUNT(expected); i++) assert_int_equal(position(g, expected[i]), i);
    assert_sound(g);
    hone_graph_free(g);
}

static void test_sort_random_graphs(void **state) {
    (void)state;
    hone_error err;
    for (uint64_t seed = 0; seed < 50; seed++) {
        enum { NODES = 40 };
        hone_graph *g = hone_graph_new("sort");
        hone_rng r = hone_rng_make(seed, 5);
        hone_value *x = input(g, "x"), *v[NODES];
        uint32_t rank[NODES]; /* edges go from lower to higher */
        hone_rng_permutation(seed, 9, rank, NODES);
        for (int i = 0; i < NODES; i++) v[i] = graph_op(g, "Add", x, x);
        for (int e = 0; e < 80; e++) {
            uint32_t i = hone_rng_below(&r, NODES), k = hone_rng_below(&r, NODES);
            if (rank[i] < rank[k]) hone_node_set_input(g, v[k]->producer, e % 2, v[i]);
        }
        check_ok(hone_graph_sort(g, &err));
        for (int i = 0; i < NODES; i++)
            for (size_t u = 0; u < v[i]->use_count; u++)
                assert_true(position(g, v[i]) < position(g, v[i]->uses[u].node->outputs[0]));
        assert_sound(g);
        hone_graph_free(g);
    }
}

static void test_cycle_is_named(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("cycle");
    hone_value *x = input(g, "x");
    hone_node *behind = hone_graph_add_node(g, hone_op_find("", "Relu"), "behind", 1, &x, 1);
    hone_node *a = hone_graph_add_node(g, hone_op_find("", "Add"), "a", 1, &x, 1);
    hone_node *b = hone_graph_add_node(g, hone_op_find("", "Tanh"), "b", 1, a->outputs, 1);
    hone_node_set_input(g, a, 1, b->outputs[0]);
    hone_node_set_input(g, behind, 0, b->outputs[0]); /* needs the cycle, but is not on it */
    size_t count = g->node_count;
    assert_int_equal(hone_graph_sort(g, &err), HONE_CORRUPT);
    assert_true(strcmp(err.node, "a") == 0 || strcmp(err.node, "b") == 0);
    assert_int_equal(g->node_count, count);
    assert_sound(g);
    hone_node_set_input(g, a, 1, a->outputs[0]); /* of one node */
    assert_int_equal(hone_graph_sort(g, &err), HONE_CORRUPT);
    assert_string_equal(err.node, "a");
    hone_graph_free(g);
}

/* A chain long enough that recursion would show. */
static void test_sort_a_long_chain(void **state) {
    (void)state;
    enum { LONG = 100000 };
    hone_error err;
    hone_graph *g = hone_graph_new("chain");
    hone_value *x = input(g, "x"), *next = NULL;
    for (int i = 0; i < LONG; i++) { /* the last of the chain first */
        hone_value *v = graph_op(g, "Relu", x);
        if (next) hone_node_set_input(g, next->producer, 0, v);
        next = v;
    }
    check_ok(hone_graph_sort(g, &err));
    assert_ptr_equal(g->first->outputs[0], next);
    hone_graph_free(g);
}

static void test_unknown_operator_is_remembered(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("unknown");
    hone_value *x = input(g, "x"), *y = HONE_EMIT(g, "", "NoSuchOperator", x);
    assert_null(y);
    graph_op(g, "Relu", y); /* NULL goes on through */
    assert_int_equal(hone_graph_check(g, &err), HONE_INTERNAL);
    assert_string_equal(err.message, "no operator NoSuchOperator");
    hone_graph *copy = NULL;
    assert_int_equal(hone_graph_copy(g, &copy, &err), HONE_INTERNAL); /* nor can it be compiled */
    hone_graph_free(g);
    assert_int_not_equal(hone_graph_check(NULL, &err), HONE_OK);
}

static void test_builder_constants(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("constants");
    static const hone_dtype dtypes[] = {HONE_FLOAT32, HONE_FLOAT64, HONE_INT32, HONE_INT64};
    for (int i = 0; i < COUNT(dtypes); i++) {
        hone_value *v = hone_graph_scalar(g, dtypes[i], -3);
        assert_int_equal(v->type.rank, 0);
        assert_true(tensor_at(v->data, 0) == -3);
    }
    hone_value *list = hone_graph_ints(g, (const int64_t[]){4, -5}, 2), *none = hone_graph_ints(g, NULL, 0);
    assert_int_equal(hone_tensor_int(list->data, 1), -5);
    assert_int_equal(none->data->count, 0);
    check_ok(hone_graph_check(g, &err));
    hone_graph_scalar(g, HONE_STRING, 1);
    assert_int_not_equal(hone_graph_check(g, &err), HONE_OK);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uses),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_prune),
        cmocka_unit_test(test_prune_in_any_order),
        cmocka_unit_test(test_remove_node),
        cmocka_unit_test(test_sort_is_stable),
        cmocka_unit_test(test_sort_random_graphs),
        cmocka_unit_test(test_cycle_is_named),
        cmocka_unit_test(test_sort_a_long_chain),
        cmocka_unit_test(test_unknown_operator_is_remembered),
        cmocka_unit_test(test_builder_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
