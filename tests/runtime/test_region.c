/* Shapes that follow from shapes, from content, and from data: how many plans there are, and what they give. */
#include "support/graphs.h"

#include <pthread.h>
#include <time.h>

static hone_value *int_constant(hone_graph *g, const char *name, int rank, const int64_t *x, int64_t n) {
    hone_tensor *t = tensor_make(HONE_INT64, rank, &n);
    memcpy(t->data, x, (size_t)n * sizeof *x);
    return graph_constant(g, name, t);
}

static hone_tensor *ints(int64_t n, const int64_t *x) {
    hone_tensor *t = tensor_make(HONE_INT64, 1, &n);
    memcpy(t->data, x, (size_t)n * sizeof *x);
    return t;
}

static uint64_t plans(const runner *r) {
    return hone_session_plans_compiled(r->session);
}

/* As exporters write x.view(x.shape[0], heads, -1): Shape → Gather → arithmetic → Unsqueeze → Concat → Reshape, then
 * Slice and Expand with shapes of the same kind. */
static hone_graph *dynamic_export(void) {
    hone_graph *g = hone_graph_new("dynamic");
    int64_t batch = hone_graph_symbol(g, "batch"), length = hone_graph_symbol(g, "length");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(batch, length, 12));
    hone_value *shape = graph_op(g, "Shape", x);
    hone_value *zero = int_constant(g, "zero", 0, (int64_t[]){0}, 1),
               *one = int_constant(g, "one", 0, (int64_t[]){1}, 1);
    hone_value *axes = int_constant(g, "axes", 1, (int64_t[]){0}, 1);
    hone_value *b = graph_op(g, "Unsqueeze", graph_op(g, "Gather", shape, zero), axes);
    hone_value *l = graph_op(g, "Unsqueeze", graph_op(g, "Gather", shape, one), axes);
    hone_value *heads = int_constant(g, "heads", 1, (int64_t[]){3}, 1),
               *rest = int_constant(g, "rest", 1, (int64_t[]){-1}, 1);
    hone_value *parts[] = {b, l, heads, rest};
    hone_node *concat = hone_graph_add_node(g, hone_op_find("", "Concat"), "concat", 4, parts, 1);
    hone_node_set_int(g, concat, "axis", 0);
    hone_value *y = graph_op(g, "Reshape", x, concat->outputs[0]); /* [batch, length, 3, 4] */
    hone_value *half = graph_op(g, "Div", l, int_constant(g, "two", 1, (int64_t[]){2}, 1));
    hone_value *cut = graph_op(g, "Slice", y, axes, half, one); /* the first half of axis 1 */
    hone_graph_add_output(g, graph_op(g, "Relu", cut));
    hone_value *four[] = {b, heads};
    hone_node *wide = hone_graph_add_node(g, hone_op_find("", "Concat"), "wide", 2, four, 1);
    hone_node_set_int(g, wide, "axis", 0);
    hone_value *row = graph_constant(g, "row", tensor_of(SHAPE(3), (const float[]){1, 2, 3}));
    hone_graph_add_output(g, graph_op(g, "Expand", row, wide->outputs[0]));
    return g;
}

static void test_shapes_from_shapes(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = dynamic_export();
    check_ok(hone_graph_check(g, &err));
    check_ok(hone_graph_infer(g, &err));
    /* symbols survive: [batch, ?, 3, 4] and [batch, 3] */
    assert_int_equal(g->outputs[0]->type.rank, 4);
    assert_int_equal(g->outputs[0]->type.dims[0], hone_graph_symbol(g, "batch"));
    assert_int_equal(g->outputs[0]->type.dims[3], 4);
    assert_int_equal(g->outputs[1]->type.dims[0], hone_graph_symbol(g, "batch"));
    assert_int_equal(g->outputs[1]->type.dims[1], 3);
    runner r = runner_make(g, NULL, 1);
    for (int round = 0; round < 2; round++)
        for (int64_t batch = 1; batch <= 3; batch++)
            for (int64_t length = 2; length <= 6; length += 2) {
                hone_tensor *x = tensor_random(HONE_FLOAT32, SHAPE(batch, length, 12), (uint64_t)length);
                const hone_tensor *out[2];
                runner_run(&r, &x, out);
                assert_int_equal(out[0]->dims[1], length / 2);
                for (int64_t i = 0; i < batch; i++)
                    for (int64_t k = 0; k < length / 2 * 12; k++)
                        assert_true(tensor_at(out[0], i * length / 2 * 12 + k) ==
                                    fmax(0, tensor_at(x, i * length * 12 + k)));
                assert_int_equal(out[1]->dims[0], batch);
                for (int64_t i = 0; i < batch * 3; i++)
                    assert_true(tensor_at(out[1], i) == (double)(i % 3 + 1));
                hone_tensor_free(x);
            }
    assert_int_equal(plans(&r), 9);                       /* one for each shape */
    assert_true(hone_context_step_count(r.context) <= 3); /* nothing is left of the arithmetic */
    runner_free(&r);
    hone_graph_free(g);
}

/* Reshape by an input's content, and by that plus 1: the plan for the addition is the same for all contents. */
static void test_shapes_from_content(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("content");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(24));
    hone_value *shape = graph_input(g, "shape", HONE_INT64, SHAPE(2));
    hone_value *more = graph_op(g, "Add", shape, hone_graph_scalar(g, HONE_INT64, 1));
    hone_graph_add_output(g, graph_op(g, "Relu", graph_op(g, "Reshape", x, more)));
    runner r = runner_make(g, NULL, 1);
    static const int64_t contents[][2] = {{3, 5}, {1, 11}, {7, 2}, {3, 5}};
    hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(24), 1), NULL};
    for (int i = 0; i < 4; i++) {
        const hone_tensor *out;
        in[1] = ints(2, contents[i]);
        runner_run(&r, in, &out);
        assert_int_equal(out->dims[0], contents[i][0] + 1);
        assert_int_equal(out->dims[1], contents[i][1] + 1);
        for (int64_t k = 0; k < 24; k++) assert_true(tensor_at(out, k) == fmax(0, tensor_at(in[0], k)));
        hone_tensor_free(in[1]);
    }
    assert_int_equal(plans(&r), 1 + 3);
    hone_error err;
    const hone_tensor *out;
    in[1] = ints(2, (int64_t[]){4, 4}); /* 25 elements */
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)in, &out, &err),
                     HONE_INVALID_ARGUMENT);
    assert_string_equal(err.op, "Reshape");
    hone_tensor_free(in[0]);
    hone_tensor_free(in[1]);
    runner_free(&r);
    hone_graph_free(g);
}

/* The elements of x that are not zero, doubled; and their positions. */
static hone_graph *found_elements(bool twice) {
    hone_graph *g = hone_graph_new("found");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(HONE_DIM_ANY));
    hone_value *at = graph_op(g, "NonZero", x);
    hone_value *flat = graph_op(g, "Reshape", at, hone_graph_ints(g, (int64_t[]){-1}, 1));
    hone_value *y = graph_op(g, "Gather", x, flat);
    hone_value *doubled = graph_op(g, "Add", y, y);
    if (twice) { /* of what is left, those above 1: a second cut */
        hone_value *big =
            graph_op(g, "Relu", graph_op(g, "Sub", doubled, hone_graph_scalar(g, HONE_FLOAT32, 1)));
        hone_value *again =
            graph_op(g, "Reshape", graph_op(g, "NonZero", big), hone_graph_ints(g, (int64_t[]){-1}, 1));
        hone_graph_add_output(g, graph_op(g, "Gather", doubled, again));
    }
    hone_graph_add_output(g, doubled);
    hone_graph_add_output(g, at);
    hone_graph_add_output(g, x);
    return g;
}

static void check_found(const runner *r, hone_tensor *x, bool twice) {
    hone_error err;
    const hone_tensor *out[4];
    const hone_tensor *in[] = {x};
    check_ok(hone_context_run(r->context, in, out, &err));
    const hone_tensor *const *o = out + twice;
    int64_t found = 0, big = 0;
    for (int64_t i = 0; i < x->count; i++) {
        double v = tensor_at(x, i);
        if (v == 0) continue;
        assert_true(tensor_at(o[0], found) == 2 * v);
        assert_int_equal(hone_tensor_int(o[1], found), i);
        found++;
        if (2 * v <= 1) continue;
        if (twice) assert_true(tensor_at(out[0], big) == 2 * v);
        big++;
    }
    assert_int_equal(o[0]->count, found);
    assert_int_equal(o[1]->dims[1], found);
    if (twice) assert_int_equal(out[0]->count, big);
    assert_same_bits(o[2], x);
}

static hone_tensor *sparse(int64_t n, uint64_t seed, int64_t every) {
    hone_tensor *x = tensor_random(HONE_FLOAT32, SHAPE(n), seed);
    for (int64_t i = 0; i < n; i++) tensor_set(x, i, every && i % every == 0 ? 2 * tensor_at(x, i) : 0);
    return x;
}

static void test_shapes_from_data(void **state) {
    (void)state;
    for (int twice = 0; twice < 2; twice++) {
        hone_graph *g = found_elements(twice);
        runner r = runner_make(g, NULL, 1);
        for (int round = 0; round < 3; round++)
            for (int64_t n = 0; n <= 40; n += 8)
                for (int64_t every = 0; every <= 4; every++) {
                    hone_tensor *x = sparse(n, (uint64_t)(n + every), every);
                    check_found(&r, x, twice);
                    hone_tensor_free(x);
                }
        runner_free(&r);
        hone_graph_free(g);
    }
}

/* One plan for each length of x, and behind the cut one for each length and number found. */
static void test_plans_behind_a_cut(void **state) {
    (void)state;
    hone_graph *g = found_elements(false);
    runner r = runner_make(g, NULL, 1);
    for (int round = 0; round < 2; round++) {
        static const int64_t cases[][2] = {{24, 1}, {24, 2}, {24, 3}, {12, 1}, {12, 2}};
        for (int i = 0; i < COUNT(cases); i++) {
            hone_tensor *x = sparse(cases[i][0], 1, cases[i][1]);
            check_found(&r, x, false);
            hone_tensor_free(x);
        }
    }
    assert_int_equal(plans(&r), 2 + 5);
    runner_free(&r);
    hone_graph_free(g);
}

/* In the steady state a run with cuts allocates nothing either. */
static void test_no_allocation(void **state) {
    (void)state;
    hone_graph *g = found_elements(true);
    runner r = runner_make(g, NULL, 1);
    hone_tensor *x[2] = {sparse(40, 1, 1), sparse(40, 2, 3)};
    for (int i = 0; i < 4; i++) check_found(&r, x[i % 2], true);
    uint64_t before = hone_alloc_count();
    for (int i = 0; i < 6; i++) check_found(&r, x[i % 2], true);
    assert_int_equal(hone_alloc_count(), before);
    hone_tensor_free(x[0]);
    hone_tensor_free(x[1]);
    runner_free(&r);
    hone_graph_free(g);
}

/* An index that only data can show to be wrong. */
static void test_an_index_out_of_range(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("index");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(3, 2)),
               *at = graph_input(g, "at", HONE_INT64, SHAPE(4));
    hone_value *y = graph_op(g, "Gather", x, at);
    hone_graph_add_output(g, y);
    runner r = runner_make(g, NULL, 1);
    hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(3, 2), 1), ints(4, (int64_t[]){0, -3, 3, 1})};
    const hone_tensor *out;
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)in, &out, &err),
                     HONE_INVALID_ARGUMENT);
    assert_string_equal(err.op, "Gather");
    assert_string_equal(err.node, y->producer->name);
    assert_string_equal(err.message, "index 3 at position 2 is outside of an axis of 3");
    ((int64_t *)in[1]->data)[2] = -1;
    runner_run(&r, in, &out);
    for (int i = 0; i < 2; i++) assert_true(tensor_at(out, 4 + i) == tensor_at(in[0], 4 + i));
    hone_tensor_free(in[0]);
    hone_tensor_free(in[1]);
    runner_free(&r);
    hone_graph_free(g);
}

/* --- planning --- */

/* Of this thread alone: other work on the machine does not count. */
static double own_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Alternating steps in place and not, and some that planning evaluates. */
static double seconds_to_plan(int nodes) {
    hone_error err;
    hone_graph *g = hone_graph_new("chain");
    hone_value *v = graph_input(g, "x", HONE_FLOAT32, SHAPE(HONE_DIM_ANY, 4));
    for (int i = 0; i < nodes; i++) v = graph_op(g, i % 2 ? "Softmax" : "Relu", v);
    hone_graph_add_output(g, v);
    runner r = runner_make(g, "all", 1);
    double best = 1e9;
    for (int64_t rows = 1; rows <= 5; rows++) {
        hone_tensor *x = tensor_make(HONE_FLOAT32, SHAPE(rows, 4));
        double start = own_seconds();
        check_ok(hone_context_reserve(r.context, (const hone_tensor *const *)&x, &err));
        double seconds = own_seconds() - start;
        if (seconds < best) best = seconds;
        hone_tensor_free(x);
    }
    runner_free(&r);
    hone_graph_free(g);
    return best;
}

/* Twice the nodes take twice the time, not four times; the bound is wide, for machines are busy. */
static void test_planning_is_linear(void **state) {
    (void)state;
    double few = seconds_to_plan(10000), many = seconds_to_plan(40000);
    print_message("10,000 nodes: %.1f ms, 40,000: %.1f ms\n", 1e3 * few, 1e3 * many);
    assert_true(many < 9 * few);
}

typedef struct worker {
    hone_session *session;
    const hone_graph *graph;
    int first;
    pthread_t thread;
} worker;

static void *run_shapes(void *arg) {
    worker *w = arg;
    hone_error err;
    hone_context *c = NULL;
    check_ok(hone_context_create(w->session, &c, &err));
    for (int i = 0; i < 200; i++) {
        int64_t n = w->first + i % 50;
        hone_tensor *x = sparse(n, (uint64_t)i, 1 + i % 3);
        runner r = {.session = w->session, .context = c};
        check_found(&r, x, true);
        hone_tensor_free(x);
    }
    hone_context_free(c);
    return NULL;
}

/* Threads with new shapes plan at once, and get the same plans. */
static void test_threads_with_new_shapes(void **state) {
    (void)state;
    hone_graph *g = found_elements(true);
    runner r = runner_make(g, NULL, 1);
    worker w[4];
    for (int i = 0; i < 4; i++) {
        w[i] = (worker){.session = r.session, .graph = g, .first = 10 + i / 2};
        pthread_create(&w[i].thread, NULL, run_shapes, &w[i]);
    }
    for (int i = 0; i < 4; i++) pthread_join(w[i].thread, NULL);
    runner_free(&r);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes_from_shapes), cmocka_unit_test(test_shapes_from_content),
        cmocka_unit_test(test_shapes_from_data),   cmocka_unit_test(test_plans_behind_a_cut),
        cmocka_unit_test(test_no_allocation),      cmocka_unit_test(test_an_index_out_of_range),
        cmocka_unit_test(test_planning_is_linear), cmocka_unit_test(test_threads_with_new_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
