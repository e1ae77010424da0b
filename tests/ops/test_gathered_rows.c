/* Tables of which rows are gathered: an optimizer's step for those rows alone, and means of bags. */
#include "support/graphs.h"

enum { ROWS = 40, WIDTH = 19, BAGS = 6, EACH = 5, MOST = 9 };

static int nodes(const hone_model *m, const char *op) {
    int count = 0;
    for (const hone_node *n = m->bodies[0].graph->first; n; n = n->next)
        count += strcmp(n->op->name, op) == 0;
    return count;
}

typedef struct optimizer {
    const char *op;
    int states, numbers;
} optimizer;

static const optimizer optimizers[] = {
    {"Sgd", 1, 1}, {"AdamStep", 2, 3}, {"LionStep", 1, 1}, {"RmsPropStep", 2, 1}};

/* Step of a table whose rows `indices` were gathered, its gradient dY [BAGS, EACH, WIDTH], or (`shared`) [BAGS, 1, WIDTH]
 * that each of a bag has its share of. */
static hone_graph *step_of(const optimizer *o, bool shared, hone_tensor **x) {
    hone_graph *g = hone_graph_new("step");
    hone_value *in[MOST], *index, *dy, *like;
    int count = 0;
    for (; count <= o->states; count++) in[count] = graph_input(g, NULL, HONE_FLOAT32, SHAPE(ROWS, WIDTH));
    dy = graph_input(g, NULL, HONE_FLOAT32, SHAPE(BAGS, shared ? 1 : EACH, WIDTH));
    index = graph_input(g, NULL, HONE_INT64, SHAPE(BAGS, EACH));
    like = graph_input(g, NULL, HONE_FLOAT32, SHAPE(BAGS, EACH, WIDTH));
    if (shared) {
        dy = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "BroadcastTo", dy, like);
        hone_node_set_int(g, dy->producer, "mean", 1);
    }
    in[count++] = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "GatherGrad", dy, index, in[0]);
    for (int i = 0; i < o->numbers; i++) in[count++] = graph_input(g, NULL, HONE_FLOAT32, 0, NULL);
    hone_node *n =
        hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, o->op), "step", count, in, 1 + o->states);
    hone_node_set_int(g, n, "lazy", 1);
    hone_node_set_float(g, n, "weight_decay", 0.01f);
    for (int i = 0; i <= o->states; i++) hone_graph_add_output(g, n->outputs[i]);
    for (size_t i = 0; i < g->input_count; i++) {
        const hone_type *t = &g->inputs[i]->type;
        x[i] = tensor_make(t->dtype, t->rank, t->dims);
        hone_rng rng = hone_rng_make(7, i);
        for (int64_t k = 0; k < x[i]->count; k++)
            tensor_set(x[i], k,
                       t->dtype == HONE_INT64
                           ? (double)hone_rng_below(&rng, ROWS / 2) - (k % 3 ? 0 : ROWS / 2)
                           : (double)hone_rng_uniform(&rng) * 0.5 + 0.25);
    }
    return g;
}

static void check_step(const optimizer *o, bool shared, int threads) {
    hone_tensor *x[16];
    const hone_tensor *views[3];
    hone_graph *g = step_of(o, shared, x);
    const int index = o->states + 2;
    hone_tensor *want[3];
    bool there[ROWS] = {false};
    for (int64_t i = 0; i < x[index]->count; i++)
        there[((int64_t)tensor_at(x[index], i) + ROWS) % ROWS] = true;
    graph_run(g, "lazy-rows", x, want, 1 + o->states);
    runner r = runner_make(g, NULL, threads);
    assert_int_equal(nodes(r.model, "RowsStep"), 1);
    assert_int_equal(nodes(r.model, "GatherGrad"), 0);
    runner_run(&r, x, views);
    for (int t = 0; t <= o->states; t++)
        for (int64_t i = 0; i < ROWS * WIDTH; i++) {
            const double y = there[i / WIDTH] ? tensor_at(want[t], i) : tensor_at(x[t], i);
            if (!(fabs(tensor_at(views[t], i) - y) <= 1e-5 * (1 + fabs(y))))
                fail_msg("%s, output %d, row %d: %.9g, not %.9g", o->op, t, (int)(i / WIDTH),
                         tensor_at(views[t], i), y);
        }
    hone_error err;
    tensor_set(x[index], 3, ROWS);
    assert_int_not_equal(hone_context_run(r.context, (const hone_tensor *const *)x, views, &err), HONE_OK);
    assert_non_null(strstr(err.message, "position 3"));
    runner_free(&r);
    for (int t = 0; t <= o->states; t++) hone_tensor_free(want[t]);
    for (size_t i = 0; i < g->input_count; i++) hone_tensor_free(x[i]);
    hone_graph_free(g);
}

static void test_lazy_rows(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(optimizers); i++)
        for (int shared = 0; shared < 2; shared++) check_step(&optimizers[i], shared, 1 + 2 * shared);
}

/* A gradient that somebody else reads, too, is made whole. */
static void test_shared_gradient(void **state) {
    (void)state;
    hone_tensor *x[16];
    hone_graph *g = step_of(&optimizers[0], false, x);
    hone_graph_add_output(g, g->outputs[0]->producer->inputs[2]);
    runner r = runner_make(g, NULL, 1);
    assert_int_equal(nodes(r.model, "RowsStep"), 0);
    runner_free(&r);
    for (size_t i = 0; i < g->input_count; i++) hone_tensor_free(x[i]);
    hone_graph_free(g);
}

static void test_gather_mean(void **state) {
    (void)state;
    for (int keepdims = 0; keepdims < 2; keepdims++) {
        hone_graph *g = hone_graph_new("bag");
        static const int64_t axis = 1;
        hone_value *table = graph_input(g, NULL, HONE_FLOAT32, SHAPE(ROWS, WIDTH)),
                   *index = graph_input(g, NULL, HONE_INT64, SHAPE(BAGS, EACH));
        hone_value *y =
            graph_op(g, "ReduceMean", graph_op(g, "Gather", table, index), hone_graph_ints(g, &axis, 1));
        hone_node_set_int(g, y->producer, "keepdims", keepdims);
        hone_graph_add_output(g, y);
        hone_tensor *x[2] = {tensor_random(HONE_FLOAT32, SHAPE(ROWS, WIDTH), 3),
                             tensor_make(HONE_INT64, SHAPE(BAGS, EACH))},
                    *want, *got;
        for (int64_t i = 0; i < x[1]->count; i++)
            tensor_set(x[1], i, (double)(i * 7 % ROWS - (i % 2 ? ROWS : 0)));
        graph_run(g, "gather-mean", x, &want, 1);
        graph_run(g, NULL, x, &got, 1);
        assert_close(got, want, 1e-6);
        runner r = runner_make(g, NULL, 1);
        assert_int_equal(nodes(r.model, "GatherMean"), 1);
        const hone_tensor *views[1];
        hone_error err;
        tensor_set(x[1], 4, -ROWS - 1);
        assert_int_not_equal(hone_context_run(r.context, (const hone_tensor *const *)x, views, &err),
                             HONE_OK);
        assert_non_null(strstr(err.message, "position 4"));
        runner_free(&r);
        hone_tensor_free(want), hone_tensor_free(got), hone_tensor_free(x[0]), hone_tensor_free(x[1]);
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lazy_rows),
                                       cmocka_unit_test(test_shared_gradient),
                                       cmocka_unit_test(test_gather_mean)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
