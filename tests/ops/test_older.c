/* Forms of older operator sets, lifted to the newest. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "graph/infer.h"
#include "ops/op_cases.h"

/* Lifts `n` as a file of operator set `opset` would have it. */
static hone_status lift(hone_graph *g, hone_node *n, int opset, hone_error *err) {
    for (const hone_op_version *v = n->op->older; v && v->since; v++)
        if (v->since <= opset) return v->lift ? v->lift(g, n, err) : HONE_OK;
    fail_msg("%s has no form of opset %d", n->op->name, opset);
    return HONE_INTERNAL;
}

static hone_graph *open_graph(hone_value **x, int rank, const int64_t *dims, int symbols) {
    hone_graph *g = hone_graph_new("older");
    hone_type type = {.kind = HONE_KIND_TENSOR, .dtype = HONE_FLOAT32, .rank = rank};
    memcpy(type.dims, dims, (size_t)rank * sizeof *dims);
    if (symbols < 0) type.rank = HONE_RANK_ANY;
    if (symbols > 0) type.dims[0] = hone_graph_symbol(g, "batch");
    if (symbols > 1) type.dims[1] = hone_graph_symbol(g, "length");
    *x = HONE_EMIT(g, "", "Relu", hone_graph_add_input(g, "x", &type)); /* so that a rank must be inferred */
    return g;
}

/* Runs g over 0, 1, 2, … divided by 10. */
static void run_all(hone_graph *g, int rank, const int64_t *dims, hone_tensor **outputs) {
    hone_error err;
    runner r;
    const hone_tensor *out[8];
    hone_tensor *x = NULL;
    if (hone_graph_infer(g, &err) != HONE_OK) fail_msg("%s", err.message);
    if (runner_open(g, NULL, 1, &r, &err) != HONE_OK) fail_msg("%s", err.message);
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, rank, dims, &x, &err), HONE_OK);
    for (int64_t i = 0; i < x->count; i++) ((float *)x->data)[i] = (float)i / 10;
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)&x, out, &err), HONE_OK);
    for (size_t o = 0; o < g->output_count; o++)
        assert_int_equal(
            hone_tensor_copy_of(out[o]->dtype, out[o]->rank, out[o]->dims, out[o]->data, &outputs[o], &err),
            HONE_OK);
    hone_tensor_free(x);
    runner_close(&r);
}

static hone_tensor *run(hone_graph *g, int rank, const int64_t *dims) {
    hone_tensor *y = NULL;
    run_all(g, rank, dims, &y);
    return y;
}

static void check_softmax(const char *op, int64_t axis, int symbols, int64_t row) {
    static const int64_t dims[] = {2, 3, 4};
    hone_error err;
    hone_value *x;
    hone_graph *g = open_graph(&x, 3, dims, symbols);
    hone_value *y = HONE_EMIT(g, "", op, x);
    if (axis != 1) hone_node_set_int(g, y->producer, "axis", axis); /* 1 is the default then */
    hone_graph_add_output(g, y);
    if (lift(g, y->producer, 11, &err) != HONE_OK) fail_msg("%s", err.message);
    hone_tensor *t = run(g, 3, dims);
    assert_int_equal(t->rank, 3);
    assert_memory_equal(t->dims, dims, sizeof dims);
    for (int64_t first = 0; first < 24; first += row) {
        double sum = 0;
        for (int64_t i = 0; i < row; i++) sum += exp((double)(first + i) / 10);
        for (int64_t i = 0; i < row; i++) {
            double p = exp((double)(first + i) / 10) / sum;
            assert_true(fabs(tensor_at(t, first + i) - (strcmp(op, "Softmax") == 0 ? p : log(p))) < 1e-5);
        }
    }
    hone_tensor_free(t);
    hone_graph_free(g);
}

static void test_softmax(void **state) {
    (void)state;
    for (int symbols = 0; symbols < 2; symbols++) {
        check_softmax("Softmax", 1, symbols, 12);
        check_softmax("Softmax", 0, symbols, 24);
        check_softmax("LogSoftmax", 1, symbols, 12);
        check_softmax("LogSoftmax", -1, symbols, 4);
    }
    check_softmax("Softmax", 2, 2, 4);
    check_softmax("Softmax", 1, 2, 12);
    check_softmax("Softmax", 0, -1, 24);
}

/* A row of no elements: dimensions of 0 are not copied from the flattened tensor. */
static void test_empty_softmax(void **state) {
    (void)state;
    hone_error err;
    hone_value *x;
    hone_graph *g = open_graph(&x, 3, (int64_t[]){3, 2, 0}, 0);
    hone_value *y = HONE_EMIT(g, "", "Softmax", x);
    hone_node_set_int(g, y->producer, "axis", 0);
    hone_graph_add_output(g, y);
    if (lift(g, y->producer, 11, &err) != HONE_OK) fail_msg("%s", err.message);
    hone_tensor *t = run(g, 3, (int64_t[]){3, 2, 0});
    assert_int_equal(t->rank, 3);
    assert_memory_equal(t->dims, ((int64_t[]){3, 2, 0}), 3 * sizeof(int64_t));
    hone_tensor_free(t);
    hone_graph_free(g);
}

static void test_axes_attribute(void **state) {
    (void)state;
    static const char *const ops[] = {"ReduceSum", "ReduceMean"};
    for (int k = 0; k < 2; k++) {
        hone_error err;
        hone_value *x;
        hone_graph *g = open_graph(&x, 2, (int64_t[]){2, 3}, 1);
        hone_value *y = HONE_EMIT(g, "", ops[k], x);
        hone_node_set_ints(g, y->producer, "axes", (int64_t[]){-1}, 1);
        hone_node_set_int(g, y->producer, "keepdims", 0);
        hone_graph_add_output(g, y);
        assert_int_equal(lift(g, y->producer, 11, &err), HONE_OK);
        size_t left;
        assert_null(hone_node_ints(g->outputs[0]->producer, "axes", &left)); /* the newest form has none */
        hone_tensor *t = run(g, 2, (int64_t[]){2, 3});
        assert_int_equal(t->rank, 1);
        assert_true(fabs(tensor_at(t, 0) - (k ? 0.1 : 0.3)) < 1e-6 &&
                    fabs(tensor_at(t, 1) - (k ? 0.4 : 1.2)) < 1e-6);
        hone_tensor_free(t);
        hone_graph_free(g);
    }
}

static void test_reshape_attribute(void **state) {
    (void)state;
    hone_error err;
    hone_value *x;
    hone_graph *g = open_graph(&x, 2, (int64_t[]){2, 6}, 1);
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Reshape"), "r", 1, &x, 1);
    hone_node_set_ints(g, n, "shape", (int64_t[]){0, 2, -1}, 3);
    hone_graph_add_output(g, n->outputs[0]);
    assert_int_equal(lift(g, n, 1, &err), HONE_OK);
    hone_tensor *t = run(g, 2, (int64_t[]){2, 6});
    assert_memory_equal(t->dims, ((int64_t[]){2, 2, 3}), 3 * sizeof(int64_t));
    hone_tensor_free(t);
    hone_graph_free(g);
}

/* --- BatchNormalization --- */

/* mean 0.5, variance 3.99 and epsilon 0.01: (x - 0.5) / 2 * 3 - 1 */
static hone_node *batch_norm(hone_graph *g, hone_value *x, bool each, int outputs) {
    static const float given[4] = {3, -1, 0.5f, 3.99f};
    hone_value *in[5] = {x};
    for (int i = 0; i < 4; i++) {
        hone_tensor *t = NULL;
        assert_int_equal(hone_tensor_new(HONE_FLOAT32, 1 + each, (int64_t[]){3, 4}, &t, NULL), HONE_OK);
        for (int k = 0; k < t->count; k++) ((float *)t->data)[k] = given[i];
        in[i + 1] = hone_graph_add_constant(g, "c", t);
        hone_tensor_free(t);
    }
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "BatchNormalization"), "node", 5, in, outputs);
    hone_node_set_float(g, n, "epsilon", 0.01f);
    return n;
}

/* As the file's form: is it the one for training, and does each element of a channel have numbers of its own? */
static void test_batch_normalization(void **state) {
    (void)state;
    static const int64_t dims[] = {2, 3, 4};
    static const struct {
        int opset, test, spatial, outputs; /* -1: left out */
        bool training;
    } cases[] = {{14, -1, -1, 1, false}, {9, -1, -1, 1, false}, {8, -1, -1, 1, false}, {7, -1, 1, 1, false},
                 {6, 1, -1, 1, false},   {1, 1, 1, 1, false},   {6, -1, 1, 1, true},   {6, 0, -1, 5, true},
                 {9, -1, -1, 5, true},   {7, -1, 1, 3, true},   {7, -1, 0, 1, false},  {7, -1, 0, 5, true},
                 {1, 1, 0, 1, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error err;
        hone_value *x;
        hone_graph *g = open_graph(&x, 3, dims, 1);
        bool each = cases[i].spatial == 0;
        hone_node *n = batch_norm(g, x, each, cases[i].outputs);
        if (cases[i].test >= 0) hone_node_set_int(g, n, "is_test", cases[i].test);
        if (cases[i].spatial >= 0) hone_node_set_int(g, n, "spatial", cases[i].spatial);
        for (int o = 0; o < cases[i].outputs; o++) hone_graph_add_output(g, n->outputs[o]);
        if (lift(g, n, cases[i].opset, &err) != HONE_OK) fail_msg("%s", err.message);
        hone_tensor *out[5];
        run_all(g, 3, dims, out);
        for (int64_t k = 0; k < out[0]->count; k++) {
            int64_t channel = k / 4 % 3, at = each ? k % 12 : channel;
            double mean = 0, var = 0, terms = 0;
            for (int64_t l = 0; l < 24; l++) mean += (each ? l % 12 : l / 4 % 3) == at ? (double)l / 10 : 0;
            for (int64_t l = 0; l < 24; l++) terms += (each ? l % 12 : l / 4 % 3) == at;
            mean /= terms;
            for (int64_t l = 0; l < 24; l++)
                if ((each ? l % 12 : l / 4 % 3) == at) var += pow((double)l / 10 - mean, 2) / terms;
            double used = cases[i].training ? mean : 0.5,
                   deviation = cases[i].training ? sqrt(var + 0.01) : 2;
            double want = ((double)k / 10 - used) / deviation * 3 - 1;
            if (!(fabs(tensor_at(out[0], k) - want) < 1e-5))
                fail_msg("case %d [%d]: %g, not %g", (int)i, (int)k, tensor_at(out[0], k), want);
            const double of[] = {0, 0.9 * 0.5 + 0.1 * mean, 0.9 * 3.99 + 0.1 * var, mean, var};
            for (int o = 1; o < cases[i].outputs; o++)
                if (!(fabs(tensor_at(out[o], at) - of[o]) < 1e-5))
                    fail_msg("case %d, output %d: %g, not %g", (int)i, o, tensor_at(out[o], at), of[o]);
        }
        for (int o = 0; o < cases[i].outputs; o++) hone_tensor_free(out[o]);
        hone_graph_free(g);
    }
}

/* --- Pad, Tile --- */

static void test_pad(void **state) {
    (void)state;
    for (int opset = 1; opset <= 2; opset++) {
        hone_error err;
        hone_value *x;
        hone_graph *g = open_graph(&x, 2, (int64_t[]){2, 2}, 1);
        hone_node *n = hone_graph_add_node(g, hone_op_find("", "Pad"), "pad", 1, &x, 1);
        hone_node_set_ints(g, n, opset == 1 ? "paddings" : "pads", (int64_t[]){0, 1, 0, 0}, 4);
        hone_node_set_float(g, n, "value", 9);
        hone_graph_add_output(g, n->outputs[0]);
        assert_int_equal(lift(g, n, opset, &err), HONE_OK);
        hone_tensor *t = run(g, 2, (int64_t[]){2, 2});
        static const double want[] = {9, 0, 0.1, 9, 0.2, 0.3};
        assert_memory_equal(t->dims, ((int64_t[]){2, 3}), 2 * sizeof(int64_t));
        for (int i = 0; i < 6; i++) assert_true(fabs(tensor_at(t, i) - want[i]) < 1e-6);
        hone_tensor_free(t);
        hone_graph_free(g);
    }
}

static void test_tile(void **state) {
    (void)state;
    hone_error err;
    hone_value *x;
    hone_graph *g = open_graph(&x, 2, (int64_t[]){2, 2}, 1);
    hone_value *y = HONE_EMIT(g, "", "Tile", x, hone_graph_scalar(g, HONE_FLOAT32, 2),
                              hone_graph_scalar(g, HONE_FLOAT32, 1));
    hone_graph_add_output(g, y);
    assert_int_equal(lift(g, y->producer, 1, &err), HONE_OK);
    hone_tensor *t = run(g, 2, (int64_t[]){2, 2});
    static const double want[] = {0, 0.1, 0, 0.1, 0.2, 0.3, 0.2, 0.3};
    assert_memory_equal(t->dims, ((int64_t[]){2, 4}), 2 * sizeof(int64_t));
    for (int i = 0; i < 8; i++) assert_true(fabs(tensor_at(t, i) - want[i]) < 1e-6);
    hone_tensor_free(t);
    hone_graph_free(g);
}

/* --- Resize, Upsample --- */

/* Lengths as an attribute, or as an input of the data's type. */
static void test_split(void **state) {
    (void)state;
    for (int input = 0; input < 2; input++) {
        hone_error err;
        hone_value *x;
        hone_graph *g = open_graph(&x, 2, (int64_t[]){2, 3}, 1);
        hone_value *in[] = {x, hone_graph_floats(g, (float[]){1, 2}, 2)};
        hone_node *n = hone_graph_add_node(g, hone_op_find("", "Split"), "split", 1 + input, in, 2);
        hone_node_set_int(g, n, "axis", 1);
        if (!input) hone_node_set_ints(g, n, "split", (int64_t[]){1, 2}, 2);
        hone_graph_add_output(g, n->outputs[1]);
        assert_int_equal(lift(g, n, 1, &err), HONE_OK);
        hone_tensor *t = run(g, 2, (int64_t[]){2, 3});
        static const double want[] = {0.1, 0.2, 0.4, 0.5};
        assert_int_equal(t->count, 4);
        for (int i = 0; i < 4; i++) assert_true(fabs(tensor_at(t, i) - want[i]) < 1e-6);
        hone_tensor_free(t);
        hone_graph_free(g);
    }
}

static void test_top_k(void **state) {
    (void)state;
    hone_error err;
    hone_value *x;
    hone_graph *g = open_graph(&x, 2, (int64_t[]){2, 4}, 1);
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "TopK"), "top", 1, &x, 2);
    hone_node_set_int(g, n, "k", 2);
    hone_graph_add_output(g, n->outputs[0]);
    assert_int_equal(lift(g, n, 1, &err), HONE_OK);
    hone_tensor *t = run(g, 2, (int64_t[]){2, 4});
    static const double want[] = {0.3, 0.2, 0.7, 0.6};
    assert_int_equal(t->count, 4);
    for (int i = 0; i < 4; i++) assert_true(fabs(tensor_at(t, i) - want[i]) < 1e-6);
    hone_tensor_free(t);
    hone_graph_free(g);
}

/* A row of `n` elements 0, 0.1, … resized by the node of an older opset. */
static void check_resized(hone_graph *g, hone_node *n, int opset, int columns, int count,
                          const double *want) {
    hone_error err;
    hone_graph_add_output(g, n->outputs[0]);
    if (lift(g, n, opset, &err) != HONE_OK) fail_msg("%s", err.message);
    hone_tensor *t = run(g, 2, (int64_t[]){2, columns});
    assert_int_equal(t->count, count);
    for (int i = 0; i < count; i++)
        if (fabs(tensor_at(t, i) - want[i]) > 1e-6)
            fail_msg("[%d] is %g, not %g", i, tensor_at(t, i), want[i]);
    hone_tensor_free(t);
    hone_graph_free(g);
}

/* Growing takes the element before, shrinking the one behind, of [[0, .1, .2, .3], [.4, .5, .6, .7]]. */
static void test_resize(void **state) {
    (void)state;
    static const struct {
        float scales[2];
        int count;
        double want[8];
    } cases[] = {{{1, 1.5f}, 12, {0, 0, 0.1, 0.2, 0.2, 0.3}},
                 {{0.5f, 0.6f}, 2, {0, 0.2}},
                 {{1.5f, 0.6f}, 6, {0, 0.2, 0, 0.2, 0.4, 0.6}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_value *x;
        hone_graph *g = open_graph(&x, 2, (int64_t[]){2, 4}, 1);
        hone_value *in[] = {x, hone_graph_floats(g, cases[i].scales, 2)};
        hone_node *n = hone_graph_add_node(g, hone_op_find("", "Resize"), "resize", 2, in, 1);
        double want[12];
        memcpy(want, cases[i].want, sizeof cases[i].want);
        for (int k = 6; k < 12; k++) want[k] = want[k - 6] + 0.4;
        check_resized(g, n, 10, 4, cases[i].count, want);
    }
}

static void test_upsample(void **state) {
    (void)state;
    static const double want[] = {0, 0.05, 0.1, 0.1, 0.2, 0.25, 0.3, 0.3};
    hone_value *x;
    hone_graph *g = open_graph(&x, 2, (int64_t[]){2, 2}, 1);
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Upsample"), "up", 1, &x, 1);
    hone_node_set_floats(g, n, "scales", (float[]){1, 2}, 2);
    hone_node_set_string(g, n, "mode", "linear");
    check_resized(g, n, 7, 2, 8, want);
    g = open_graph(&x, 2, (int64_t[]){2, 2}, 0);
    hone_value *y = HONE_EMIT(g, "", "Unsqueeze", x, hone_graph_ints(g, (int64_t[]){0, 1}, 2));
    n = hone_graph_add_node(g, hone_op_find("", "Upsample"), "up", 1, &y, 1);
    hone_node_set_float(g, n, "height_scale", 1);
    hone_node_set_float(g, n, "width_scale", 2);
    hone_node_set_string(g, n, "mode", "bilinear");
    check_resized(g, n, 1, 2, 8, want);
}

/* A running sum of 10 x over sequences [3, 4, 2] of 0, .1, .2, …: the factor is captured, a state given for each of the batch. */
static hone_node *add_scan(hone_graph *g, hone_value *x, const int64_t *lengths) {
    const hone_type any = {.kind = HONE_KIND_TENSOR, .dtype = HONE_FLOAT32, .rank = HONE_RANK_ANY};
    hone_value *zeros = HONE_EMIT(g, "", "Expand", hone_graph_scalar(g, HONE_FLOAT32, 0),
                                  hone_graph_ints(g, (int64_t[]){3, 2}, 2)),
               *ten = HONE_EMIT(g, "", "Neg", hone_graph_scalar(g, HONE_FLOAT32, -10)),
               *in[] = {lengths ? hone_graph_ints(g, lengths, 3) : NULL, zeros, x};
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Scan"), "scan", 3, in, 2);
    hone_node_set_int(g, n, "num_scan_inputs", 1);
    hone_graph *body = hone_node_add_graph(g, n, "body");
    hone_value *sum = hone_graph_add_input(body, "sum", &any),
               *element = hone_graph_add_input(body, "x", &any);
    sum = HONE_EMIT(body, "", "Add", sum, HONE_EMIT(body, "", "Mul", element, hone_graph_capture(body, ten)));
    hone_graph_add_output(body, sum);
    hone_graph_add_output(body, HONE_EMIT(body, "", "Neg", sum));
    return n;
}

static void check_scan(int symbols, const int64_t *lengths, bool reverse) {
    static const int64_t dims[] = {3, 4, 2};
    hone_error err;
    hone_value *x;
    hone_tensor *out[2];
    hone_graph *g = open_graph(&x, 3, dims, symbols);
    hone_node *n = add_scan(g, x, lengths);
    hone_node_set_ints(g, n, "directions", (int64_t[]){reverse}, 1);
    for (int o = 0; o < 2; o++) hone_graph_add_output(g, n->outputs[o]);
    if (lift(g, n, 8, &err) != HONE_OK) fail_msg("%s", err.message);
    run_all(g, 3, dims, out);
    assert_true(out[1]->rank == 3 && memcmp(out[1]->dims, dims, sizeof dims) == 0);
    for (int64_t b = 0; b < 3; b++)
        for (int64_t c = 0; c < 2; c++) {
            const int64_t all = !lengths || lengths[b] > 4 ? 4 : lengths[b] < 0 ? 0 : lengths[b];
            double sum = 0;
            for (int64_t t = 0; t < 4; t++) {
                const int64_t from = reverse ? all - 1 - t : t;
                if (t < all) sum += (double)((b * 4 + from) * 2 + c);
                assert_true(fabs(tensor_at(out[1], (b * 4 + t) * 2 + c) + (t < all ? sum : 0)) < 1e-4);
            }
            assert_true(fabs(tensor_at(out[0], b * 2 + c) - sum) < 1e-4);
        }
    for (int o = 0; o < 2; o++) hone_tensor_free(out[o]);
    hone_graph_free(g);
}

static void test_scan(void **state) {
    (void)state;
    static const int64_t lengths[] = {4, 2, 1}, odd[] = {9, 0, -3};
    for (int symbols = 0; symbols < 3; symbols++)
        for (int reverse = 0; reverse < 2; reverse++) {
            check_scan(symbols, NULL, reverse);
            check_scan(symbols, lengths, reverse);
        }
    check_scan(0, odd, false);
}

static void test_scan_refused(void **state) {
    (void)state;
    static const int64_t scans[] = {0, -1, 3, INT64_MAX, INT64_MIN};
    for (int i = 0; i < 7; i++) {
        hone_error err;
        hone_value *x;
        hone_graph *g = open_graph(&x, 3, (int64_t[]){3, 4, 2}, 0);
        hone_node *n = add_scan(g, x, NULL);
        hone_graph_add_output(g, n->outputs[0]);
        if (i < 5) hone_node_set_int(g, n, "num_scan_inputs", scans[i]);
        if (i == 5) hone_node_set_input(g, n, 1, NULL);
        if (i == 6) hone_node_set_int(g, n, "body", 1);
        assert_int_equal(lift(g, n, 8, &err), HONE_CORRUPT);
        assert_string_equal(err.node, "scan");
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_softmax),
                                       cmocka_unit_test(test_empty_softmax),
                                       cmocka_unit_test(test_axes_attribute),
                                       cmocka_unit_test(test_reshape_attribute),
                                       cmocka_unit_test(test_batch_normalization),
                                       cmocka_unit_test(test_pad),
                                       cmocka_unit_test(test_tile),
                                       cmocka_unit_test(test_top_k),
                                       cmocka_unit_test(test_split),
                                       cmocka_unit_test(test_resize),
                                       cmocka_unit_test(test_upsample),
                                       cmocka_unit_test(test_scan),
                                       cmocka_unit_test(test_scan_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
