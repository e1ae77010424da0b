/* Layouts, chosen for an operator of the test's own that has a kernel for rows and one for blocks of channels. */
#include "graph/run.h"
#include "support/graphs.h"

/* Channels: y[n, c, p] = x[n, c, p] * (c + 1). In blocks the lanes without a channel become zero. */

typedef struct params {
    int64_t n, channels, positions, block; /* block 0: rows */
} params;

static int blocked_runs, rows_runs;

static hone_status run_rows(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    const float *x = hone_step_in(step, frame, 0);
    float *y = hone_step_out(step, frame, 0);
    rows_runs++;
    for (int64_t i = 0; i < p->n * p->channels * p->positions; i++)
        y[i] = x[i] * (float)(i / p->positions % p->channels + 1);
    return HONE_OK;
}

static hone_status run_blocked(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    const float *x = hone_step_in(step, frame, 0);
    float *y = hone_step_out(step, frame, 0);
    int64_t blocks = (p->channels + p->block - 1) / p->block;
    blocked_runs++;
    for (int64_t i = 0; i < p->n * blocks * p->positions * p->block; i++) {
        int64_t c = i / p->block / p->positions % blocks * p->block + i % p->block;
        if (c >= p->channels) assert_true(x[i] == 0); /* what pads is zero, whoever made it */
        y[i] = c < p->channels ? x[i] * (float)(c + 1) : 0;
    }
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[0];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){x->dims[0], x->dims[1], x->dims[2] * x->dims[3], x->layout.kind ? x->layout.block : 0};
    p->params = q;
    p->run = q->block ? run_blocked : run_rows;
    return HONE_OK;
}

static int layouts(const hone_node *n, const hone_cpu *cpu, hone_layout_choice *choices) {
    (void)cpu;
    double work = (double)hone_node_int(n, "cost");
    hone_layout rows = {0}, blocked = {HONE_LAYOUT_BLOCKED, (uint16_t)hone_node_int(n, "block")};
    choices[0] = (hone_layout_choice){rows, rows, 2 * work};
    choices[1] = (hone_layout_choice){blocked, blocked, work};
    return 2;
}

static const hone_op toy = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "Toy",
    .since = 1,
    .inputs = HONE_SLOTS({"X", 'T', HONE_TYPE(HONE_FLOAT32), 0}),
    .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPE(HONE_FLOAT32), 0}),
    .attrs = HONE_ATTRS({"cost", HONE_ATTR_INT, .i = 1000000}, {"block", HONE_ATTR_INT, .i = 8}),
    .infer = hone_infer_same,
    .prepare = prepare,
    .layouts = layouts,
};

static hone_value *toy_of(hone_graph *g, hone_value *x) {
    return hone_graph_add_node(g, &toy, NULL, 1, &x, 1)->outputs[0];
}

static int count_of(const hone_model *m, const char *op) {
    int count = 0;
    for (const hone_node *n = m->bodies[0].graph->first; n; n = n->next)
        count += strcmp(n->op->name, op) == 0;
    return count;
}

/* Runs with layouts and without and compares; how many Reorder nodes there are. */
static int check(const hone_graph *g, int64_t channels, int blocked, int rows) {
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(2, channels, 3, 2), 1);
    runner r[2] = {runner_make(g, "all", 1), runner_make(g, NULL, 1)};
    const hone_tensor *want[4], *got[4];
    runner_run(&r[0], &in, want);
    blocked_runs = rows_runs = 0;
    runner_run(&r[1], &in, got);
    assert_int_equal(blocked_runs, blocked);
    assert_int_equal(rows_runs, rows);
    for (size_t i = 0; i < g->output_count; i++) assert_close(got[i], want[i], 1e-6);
    int reorders = count_of(r[1].model, "Reorder");
    runner_free(&r[0]);
    runner_free(&r[1]);
    hone_tensor_free(in);
    return reorders;
}

static hone_graph *start(int64_t channels, hone_value **x) {
    hone_graph *g = hone_graph_new("layout");
    *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(hone_graph_symbol(g, "batch"), channels, 3, 2));
    return g;
}

/* Pairs of Reorders cancel, also through elementwise operators between: one stands at each end. */
static void test_a_chain(void **state) {
    (void)state;
    for (int64_t channels = 5; channels <= 24; channels++) {
        hone_value *x;
        hone_graph *g = start(channels, &x);
        hone_value *a = toy_of(g, x), *b = toy_of(g, graph_op(g, "Relu", a));
        hone_value *c = graph_op(g, "Mul", graph_op(g, "Add", a, b), hone_graph_scalar(g, HONE_FLOAT32, 0.5));
        hone_graph_add_output(g, toy_of(g, c));
        assert_int_equal(check(g, channels, 3, 0), 2);
        hone_graph_free(g);
    }
}

/* Not where zeros do not stay zeros, nor for what needs rows. */
static void test_what_needs_rows(void **state) {
    (void)state;
    hone_value *x;
    hone_graph *g = start(6, &x);
    hone_value *a = toy_of(g, x), *b = toy_of(g, graph_op(g, "Exp", a));
    hone_graph_add_output(g, a);
    hone_graph_add_output(g, graph_op(g, "Softmax", b));
    assert_int_equal(check(g, 6, 2, 0), 4); /* in and out, twice */
    hone_graph_free(g);
    g = start(6, &x); /* a bias that is another shape */
    hone_value *bias = graph_constant(g, "bias", tensor_random(HONE_FLOAT32, SHAPE(6, 1, 1), 3));
    hone_graph_add_output(g, toy_of(g, graph_op(g, "Add", toy_of(g, x), bias)));
    assert_int_equal(check(g, 6, 2, 0), 4);
    hone_graph_free(g);
}

/* An operand that does not lie so yet is brought into the layout. */
static void test_an_operand_in_rows(void **state) {
    (void)state;
    hone_value *x;
    hone_graph *g = start(10, &x);
    hone_graph_add_output(g, toy_of(g, graph_op(g, "Add", toy_of(g, x), graph_op(g, "Tanh", x))));
    assert_int_equal(check(g, 10, 2, 0), 3);
    hone_graph_free(g);
}

/* Where the kernel gains less than reordering costs, it stays with rows. */
static void test_costs(void **state) {
    (void)state;
    hone_value *x;
    hone_graph *g = start(64, &x);
    hone_value *y = toy_of(g, x);
    hone_node_set_int(g, y->producer, "cost", 10);
    hone_graph_add_output(g, y);
    assert_int_equal(check(g, 64, 0, 1), 0);
    hone_graph_free(g);
    g = start(64, &x); /* behind another one that pays it has its operand already */
    y = toy_of(g, toy_of(g, x));
    hone_node_set_int(g, y->producer, "cost", 10);
    hone_graph_add_output(g, y);
    assert_int_equal(check(g, 64, 2, 0), 2);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_chain),
        cmocka_unit_test(test_what_needs_rows),
        cmocka_unit_test(test_an_operand_in_rows),
        cmocka_unit_test(test_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
