/* Where the parts of a tensor lie: Concat, Split and Slice along the leading axis copy nothing. */
#include "support/graphs.h"

static hone_value *concat(hone_graph *g, int count, hone_value *const *parts, int64_t axis) {
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Concat"), NULL, count, parts, 1);
    hone_node_set_int(g, n, "axis", axis);
    return n->outputs[0];
}

static hone_value *slice(hone_graph *g, hone_value *x, int64_t from, int64_t to) {
    return graph_op(g, "Slice", x, hone_graph_ints(g, &from, 1), hone_graph_ints(g, &to, 1));
}

static const char *data_of(const hone_tensor *t) {
    return t->data;
}

/* What is split off lies in the whole; what is put together was computed in its place. */
static void test_addresses(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("addresses");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(6, 5));
    hone_value *y = graph_op(g, "Exp", x);
    hone_node *split = hone_graph_add_node(g, hone_op_find("", "Split"), NULL, 1, &y, 3);
    hone_value *parts[] = {graph_op(g, "Exp", x), graph_op(g, "Tanh", x)};
    hone_value *whole = concat(g, 2, parts, 0);
    hone_value *outputs[] = {
        y,     split->outputs[0], split->outputs[1], split->outputs[2], slice(g, y, 1, 4),
        whole, parts[0],          parts[1]};
    for (int i = 0; i < COUNT(outputs); i++) hone_graph_add_output(g, outputs[i]);
    runner r = runner_make(g, "all", 1);
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(6, 5), 1);
    const hone_tensor *out[8];
    runner_run(&r, &in, out);
    for (int i = 0; i < 3; i++) assert_ptr_equal(data_of(out[1 + i]), data_of(out[0]) + i * 2 * 5 * 4);
    assert_ptr_equal(data_of(out[4]), data_of(out[0]) + 5 * 4);
    assert_ptr_equal(data_of(out[6]), data_of(out[5]));
    assert_ptr_equal(data_of(out[7]), data_of(out[5]) + 30 * 4);
    for (int64_t i = 0; i < 30; i++) {
        assert_true(fabs(tensor_at(out[0], i) - exp(tensor_at(in, i))) < 1e-5);
        assert_true(fabs(tensor_at(out[5], i) - exp(tensor_at(in, i))) < 1e-5);
        assert_true(fabs(tensor_at(out[5], 30 + i) - tanh(tensor_at(in, i))) < 1e-5);
    }
    assert_int_equal(hone_context_step_count(r.context),
                     4); /* Exp, Exp, Tanh, and Concat, which finds all in place */
    hone_tensor_free(in);
    runner_free(&r);
    hone_graph_free(g);
}

/* Parts that can't be computed in their place: an input, a constant, a part that is there twice, a part of another
 * concatenation; and another axis. */
static void test_parts_that_are_copied(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("copied");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 3));
    hone_tensor *c = tensor_random(HONE_FLOAT32, SHAPE(2, 3), 7);
    hone_value *k = hone_graph_add_constant(g, "c", c), *e = graph_op(g, "Neg", x);
    hone_value *a = concat(g, 5, (hone_value *[]){x, k, e, e, graph_op(g, "Neg", e)}, 0);
    hone_value *b = concat(g, 3, (hone_value *[]){e, a, x}, 0);
    hone_value *d = concat(g, 3, (hone_value *[]){e, x, k}, 1);
    hone_graph_add_output(g, a);
    hone_graph_add_output(g, b);
    hone_graph_add_output(g, d);
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(2, 3), 1);
    for (int pass = 0; pass < 2; pass++) {
        const hone_tensor *out[3];
        runner r = runner_make(g, pass ? "all" : NULL, 1);
        runner_run(&r, &in, out);
        for (int64_t i = 0; i < 6; i++) {
            double v = tensor_at(in, i);
            const double want[] = {v, tensor_at(c, i), -v, -v, v};
            for (int p = 0; p < 5; p++) {
                assert_true(tensor_at(out[0], p * 6 + i) == want[p]);
                assert_true(tensor_at(out[1], 6 + p * 6 + i) == want[p]);
            }
            assert_true(tensor_at(out[1], i) == -v && tensor_at(out[1], 36 + i) == v);
            int64_t row = i / 3 * 9 + i % 3;
            assert_true(tensor_at(out[2], row) == -v && tensor_at(out[2], row + 3) == v);
            assert_true(tensor_at(out[2], row + 6) == tensor_at(c, i));
        }
        runner_free(&r);
    }
    hone_tensor_free(in);
    hone_tensor_free(c);
    hone_graph_free(g);
}

/* Overlapping parts of one buffer are operands of one step: it may not overwrite one of them. */
static void test_overlapping_views(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("overlap");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(9, 4)), *y = graph_op(g, "Neg", x);
    hone_graph_add_output(g, graph_op(g, "Sub", slice(g, y, 0, 8), slice(g, y, 1, 9)));
    runner r = runner_make(g, "all", 1);
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(9, 4), 3);
    const hone_tensor *out;
    runner_run(&r, &in, &out);
    for (int64_t i = 0; i < 32; i++)
        assert_true(tensor_at(out, i) == (float)-tensor_at(in, i) - (float)-tensor_at(in, i + 4));
    hone_tensor_free(in);
    runner_free(&r);
    hone_graph_free(g);
}

static hone_value *any_part(hone_graph *g, hone_rng *r, hone_value *v, int64_t rows) {
    int64_t from = hone_rng_below(r, 3), length = rows;
    return slice(g, v, from, from + length);
}

/* Random graphs of concatenations, slices and splits: when every value is an output nothing is shared that may not be;
 * that gives the truth for all others. */
static hone_graph *random_graph(uint64_t seed, bool all_outputs) {
    hone_graph *g = hone_graph_new("random");
    hone_rng r = hone_rng_make(seed, 5);
    hone_value *v[20];
    v[0] = graph_input(g, NULL, HONE_FLOAT32, SHAPE(4, 3));
    v[1] = graph_input(g, NULL, HONE_FLOAT32, SHAPE(4, 3));
    for (int i = 2; i < COUNT(v); i++) {
        hone_value *a = v[hone_rng_below(&r, (uint32_t)i)], *b = v[hone_rng_below(&r, (uint32_t)i)];
        switch (hone_rng_below(&r, 6)) {
        case 0: v[i] = graph_op(g, "Add", a, b); break;
        case 1: v[i] = graph_op(g, "Tanh", a); break;
        case 2: v[i] = any_part(g, &r, concat(g, 2, (hone_value *[]){a, b}, 0), 4); break;
        case 3:
            v[i] = any_part(g, &r, concat(g, 3, (hone_value *[]){graph_op(g, "Neg", a), b, a}, 0), 4);
            break;
        case 4: {
            hone_node *split = hone_graph_add_node(g, hone_op_find("", "Split"), NULL, 1, &a, 2);
            v[i] = concat(g, 2,
                          (hone_value *[]){graph_op(g, "Sigmoid", split->outputs[1]), split->outputs[0]}, 0);
            break;
        }
        default: v[i] = graph_op(g, "Mul", graph_op(g, "Sigmoid", a), b);
        }
    }
    for (int i = all_outputs ? 0 : COUNT(v) - 2; i < COUNT(v); i++) hone_graph_add_output(g, v[i]);
    return g;
}

static void test_random_graphs(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        hone_graph *all = random_graph(seed, true), *few = random_graph(seed, false);
        hone_tensor *in[2], *want[20], *got[2];
        for (int i = 0; i < 2; i++) in[i] = tensor_random(HONE_FLOAT32, SHAPE(4, 3), seed + (uint64_t)i);
        graph_run(all, "all", in, want, 20);
        graph_run(few, "all", in, got, 2);
        for (int i = 0; i < 2; i++) assert_same_bits(got[i], want[18 + i]);
        for (int i = 0; i < 20; i++) hone_tensor_free(want[i]);
        for (int i = 0; i < 2; i++) {
            hone_tensor_free(in[i]);
            hone_tensor_free(got[i]);
        }
        hone_graph_free(all);
        hone_graph_free(few);
    }
}

/* --- outputs that the caller places --- */

static void test_bound_outputs(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("bound");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(HONE_DIM_ANY, 3)), *y = graph_op(g, "Exp", x);
    hone_graph_add_output(g, graph_op(g, "Neg", y)); /* alone in its buffer */
    hone_graph_add_output(g, x);                     /* the caller's own: copied */
    hone_value *parts[] = {graph_op(g, "Tanh", x), graph_op(g, "Sqrt", graph_op(g, "Mul", x, x))};
    hone_graph_add_output(g, concat(g, 2, parts, 0));
    runner r = runner_make(g, "all", 1);
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(2, 3), 1), *to[3];
    hone_tensor *want[3];
    graph_run(g, "all", &in, want, 3);
    for (int i = 0; i < 3; i++) to[i] = tensor_make(HONE_FLOAT32, SHAPE(i == 2 ? 4 : 2, 3));
    for (int round = 0; round < 3; round++) { /* bound, not, bound */
        const hone_tensor *out[3];
        for (int i = 0; i < 3; i++)
            check_ok(hone_context_bind_output(r.context, i, round == 1 ? NULL : to[i], &err));
        runner_run(&r, &in, out);
        for (int i = 0; i < 3; i++) {
            assert_same_bits(out[i], want[i]);
            assert_int_equal(out[i]->data == to[i]->data, round != 1);
            memset(to[i]->data, 0, to[i]->bytes);
        }
    }
    const hone_tensor *out[3];
    hone_tensor *longer = tensor_random(HONE_FLOAT32, SHAPE(3, 3), 1);
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)&longer, out, &err),
                     HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_context_bind_output(r.context, 3, to[0], &err), HONE_INVALID_ARGUMENT);
    hone_tensor *ints = tensor_make(HONE_INT64, SHAPE(2, 3));
    assert_int_equal(hone_context_bind_output(r.context, 0, ints, &err), HONE_INVALID_ARGUMENT);
    hone_tensor_free(ints);
    hone_tensor_free(longer);
    hone_tensor_free(in);
    for (int i = 0; i < 3; i++) {
        hone_tensor_free(to[i]);
        hone_tensor_free(want[i]);
    }
    runner_free(&r);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),         cmocka_unit_test(test_parts_that_are_copied),
        cmocka_unit_test(test_overlapping_views), cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_bound_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
