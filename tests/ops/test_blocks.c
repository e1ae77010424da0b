/* Col2Im, MaxUnpool and DeformConv against plain sums in double; sizes of 0; indices that lie nowhere. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "graph/infer.h"
#include "graph/tensor.h"
#include "ops/op_cases.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A case that is built, with room for its result. */
typedef struct running {
    built_case b;
    runner r;
    const hone_tensor *out[CASE_MAX_OUTPUTS];
} running;

static void build(const char *op, const char *inputs, const char *attrs, hone_dtype real, running *x) {
    op_case c = {op, inputs, attrs, 1};
    if (!case_build(&c, real, &x->b)) fail_msg("%s %s cannot be built", op, inputs);
}

static hone_status start(running *x, int threads, hone_error *err) {
    HONE_TRY(runner_open(x->b.g, NULL, threads, &x->r, err));
    return hone_context_run(x->r.context, (const hone_tensor *const *)x->b.data, x->out, err);
}

static void finish(running *x) {
    runner_close(&x->r);
    case_free(&x->b);
}

static void must_start(running *x, int threads) {
    hone_error err = {0};
    if (start(x, threads, &err) != HONE_OK) fail_msg("%s: %s", x->b.node->op->name, err.message);
}

static void must_fail(running *x, const char *message) {
    hone_error err = {0};
    assert_int_equal(start(x, 2, &err), HONE_INVALID_ARGUMENT);
    if (!strstr(err.message, message)) fail_msg("\"%s\", not \"%s\"", err.message, message);
    assert_string_equal(err.node, "node");
}

/* Index `i` of a row-major space as coordinates. */
static void locate(int64_t i, const int64_t *dims, int rank, int64_t *at) {
    for (int d = rank - 1; d >= 0; d--) {
        at[d] = i % dims[d];
        i /= dims[d];
    }
}

static int64_t number_of(const hone_node *n, const char *name, size_t i, int64_t standard) {
    size_t count;
    const int64_t *x = hone_node_ints(n, name, &count);
    return i < count ? x[i] : standard;
}

/* --- Col2Im --- */

static const struct {
    const char *inputs, *attrs;
    int axes;
    int64_t block[6];
} folds[] = {
    {"R2,6,9 S=4,5 S=2,3", "", 2, {2, 3}},
    {"R2,12,9 S=6,7 S=2,2", "strides=2,3 pads=1,0,0,3 dilations=1,2", 2, {2, 2}},
    {"R3,3,4 S=9 S=3", "strides=2", 1, {3}},
    {"R1,6,40 S=40 S=3", "pads=1,1", 1, {3}},
    {"R1,8,8 S=3,3,3 S=2,2,2", "", 3, {2, 2, 2}},
    {"R1,16,24 S=2,3,3,2 S=2,1,2,2", "strides=1,1,2,1 pads=1,0,1,1,0,0,0,0", 4, {2, 1, 2, 2}},
    {"R1,4,1 S=1,2,1,2,1,1 S=1,2,1,2,1,1", "", 6, {1, 2, 1, 2, 1, 1}},
    {"R40,4,1024 S=33,33 S=2,2", "", 2, {2, 2}},
};

static void check_fold(size_t k, hone_dtype dtype) {
    running x = {0};
    build("Col2Im", folds[k].inputs, folds[k].attrs, dtype, &x);
    const hone_tensor *in = x.b.data[0];
    must_start(&x, 2);
    const hone_tensor *y = x.out[0];
    int axes = folds[k].axes;
    double *want = calloc((size_t)y->count, sizeof *want);
    int64_t taps = 1, count[6], plane = 1;
    for (int d = 0; d < axes; d++) {
        size_t at = (size_t)d;
        int64_t span = (folds[k].block[d] - 1) * number_of(x.b.node, "dilations", at, 1) + 1;
        int64_t pads = number_of(x.b.node, "pads", at, 0) + number_of(x.b.node, "pads", at + (size_t)axes, 0);
        count[d] = (y->dims[2 + d] + pads - span) / number_of(x.b.node, "strides", at, 1) + 1;
        taps *= folds[k].block[d];
        plane *= y->dims[2 + d];
    }
    for (int64_t i = 0; i < in->count; i++) {
        int64_t position = i % in->dims[2], row = i / in->dims[2], tap[6], at[6], to = 0;
        bool inside = true;
        locate(row % taps, folds[k].block, axes, tap);
        locate(position, count, axes, at);
        for (int d = 0; d < axes; d++) {
            size_t a = (size_t)d;
            int64_t e = at[d] * number_of(x.b.node, "strides", a, 1) +
                        tap[d] * number_of(x.b.node, "dilations", a, 1) - number_of(x.b.node, "pads", a, 0);
            inside &= e >= 0 && e < y->dims[2 + d];
            to = to * y->dims[2 + d] + e;
        }
        if (inside) want[row / taps * plane + to] += tensor_at(in, i);
    }
    double bound = dtype == HONE_FLOAT64 ? 1e-14 : 1e-6;
    for (int64_t i = 0; i < y->count; i++)
        if (!(fabs(tensor_at(y, i) - want[i]) <= bound * (1 + fabs(want[i]))))
            fail_msg("Col2Im %s: [%lld] is %g, not %g", folds[k].inputs, (long long)i, tensor_at(y, i),
                     want[i]);
    free(want);
    finish(&x);
}

static void test_fold(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT(folds); k++) {
        check_fold(k, HONE_FLOAT32);
        check_fold(k, HONE_FLOAT64);
    }
}

/* Sums of halves are rounded once, those of bytes wrap. */
static void test_fold_dtypes(void **state) {
    (void)state;
    running x = {0};
    build("Col2Im", "R1,3,1 S=1 S=3", "pads=1,1", HONE_FLOAT16, &x);
    const uint16_t parts[] = {0x7000, 0x3c00, 0x3c00}; /* 8192, 1, 1 */
    memcpy(x.b.data[0]->data, parts, sizeof parts);
    must_start(&x, 1);
    assert_int_equal(((const uint16_t *)x.out[0]->data)[0], 0x3c00);
    finish(&x);
    build("Col2Im", "R1,3,3 S=3 S=3", "pads=1,1", HONE_FLOAT16, &x);
    const uint16_t columns[] = {0, 0, 0x3c00, 0, 0x7000, 0, 0x3c00, 0, 0};
    memcpy(x.b.data[0]->data, columns, sizeof columns);
    must_start(&x, 1);
    assert_int_equal(((const uint16_t *)x.out[0]->data)[1], 0x7000); /* 8194 lies between 8192 and 8200 */
    finish(&x);
    build("Col2Im", "U1,2,2 S=3 S=2", "", HONE_FLOAT32, &x);
    memcpy(x.b.data[0]->data, (uint8_t[]){1, 200, 100, 7}, 4);
    must_start(&x, 1);
    assert_memory_equal(x.out[0]->data, ((uint8_t[]){1, 44, 7}), 3);
    finish(&x);
}

/* --- MaxUnpool --- */

/* What MaxPool has found is put back there, and all else is 0. */
static void test_unpool_of_pool(void **state) {
    (void)state;
    hone_error err;
    runner r;
    hone_graph *g = hone_graph_new("unpool");
    int64_t dims[] = {2, 3, 6, 8}, kernel[] = {2, 2};
    hone_type type = hone_type_make(HONE_FLOAT32, 4, dims);
    hone_value *x = hone_graph_add_input(g, "x", &type);
    hone_node *pool = hone_graph_add_node(g, hone_op_find("", "MaxPool"), "pool", 1, &x, 2);
    hone_node_set_ints(g, pool, "kernel_shape", kernel, 2);
    hone_node_set_ints(g, pool, "strides", kernel, 2);
    hone_node *back = hone_graph_add_node(g, hone_op_find("", "MaxUnpool"), "back", 2, pool->outputs, 1);
    hone_node_set_ints(g, back, "kernel_shape", kernel, 2);
    hone_node_set_ints(g, back, "strides", kernel, 2);
    hone_graph_add_output(g, back->outputs[0]);
    hone_graph_add_output(g, pool->outputs[1]);
    hone_tensor *data;
    const hone_tensor *out[2];
    hone_rng rng = hone_rng_make(3, 1);
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 4, dims, &data, &err), HONE_OK);
    for (int64_t i = 0; i < data->count; i++) ((float *)data->data)[i] = hone_rng_uniform(&rng) + 1;
    assert_int_equal(runner_open(g, NULL, 2, &r, &err), HONE_OK);
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)&data, out, &err), HONE_OK);
    assert_int_equal(out[0]->count, data->count);
    int64_t found = 0;
    for (int64_t i = 0; i < data->count; i++) {
        bool is_best = false;
        for (int64_t k = 0; k < out[1]->count; k++) is_best |= ((const int64_t *)out[1]->data)[k] == i;
        assert_true(tensor_at(out[0], i) == (is_best ? tensor_at(data, i) : 0));
        found += is_best;
    }
    assert_int_equal(found, data->count / 4);
    hone_tensor_free(data);
    runner_close(&r);
    hone_graph_free(g);
}

/* Indices count over all channels, whichever they come from; the last of several stays. */
static void test_unpool_elsewhere(void **state) {
    (void)state;
    running x = {0};
    build("MaxUnpool", "R1,2,2 I1,2,2<1", "kernel_shape=2 strides=2", HONE_FLOAT32, &x);
    memcpy(x.b.data[0]->data, (float[]){1, 2, 3, 4}, 16);
    memcpy(x.b.data[1]->data, (int64_t[]){5, 1, 5, 0}, 32);
    must_start(&x, 2);
    assert_memory_equal(x.out[0]->data, ((float[]){4, 2, 0, 0, 0, 3, 0, 0}), 32);
    finish(&x);
    build("MaxUnpool", "R1,1,2 I1,1,2<1 S=1,1,6", "kernel_shape=2 strides=2", HONE_FLOAT16, &x);
    memcpy(x.b.data[0]->data, (uint16_t[]){7, 8}, 4);
    memcpy(x.b.data[1]->data, (int64_t[]){1, 3}, 16);
    must_start(&x, 2);
    assert_memory_equal(x.out[0]->data, ((uint16_t[]){0, 7, 0, 8, 0, 0}), 12);
    finish(&x);
    for (int bad = 0; bad < 2; bad++) {
        build("MaxUnpool", "R2,3,2 I2,3,2<1", "kernel_shape=2 strides=2", HONE_FLOAT32, &x);
        ((int64_t *)x.b.data[1]->data)[9] = bad ? 24 : -1;
        must_fail(&x, bad ? "index 24 is outside [0, 24)" : "index -1 is outside");
        finish(&x);
    }
}

/* --- DeformConv --- */

static const struct {
    const char *inputs, *attrs;
    int bias, mask; /* which input of the graph; 0: none */
} deformed[] = {
    {"R1,2,5,4 R3,2,2,3 R1,12,4,2", "", 0, 0},
    {"R2,4,5,4 R6,2,2,2 R2,16,4,4 R6 R2,8,4,4", "group=2 offset_group=2 pads=1,0,0,1 dilations=2,1", 3, 4},
    {"R1,2,7 R4,1,2 R1,4,3 _ R1,4,3", "group=2 offset_group=2 strides=2", 0, 3},
    {"R1,1,3,2,3 R2,1,2,1,2 R1,12,2,2,2 R2", "", 3, 0},
    {"R3,8,20,20 R16,8,3,3 R3,18,20,20 R16 R3,9,20,20", "pads=1,1,1,1", 3, 4},
    {"R1,4,1,1 R4,4,1,1 R1,2,1,1", "kernel_shape=1,1", 0, 0},
};

/* What lies at a place between elements, zeros being outside. */
static double between(const hone_tensor *x, int64_t plane, const double *place, int axes) {
    double sum = 0;
    for (int corner = 0; corner < 1 << axes; corner++) {
        double weight = 1;
        int64_t at = plane;
        bool inside = true;
        for (int d = 0; d < axes; d++) {
            double low = floor(place[d]), f = place[d] - low, e = low + (corner >> d & 1);
            weight *= corner >> d & 1 ? f : 1 - f;
            inside &= e >= 0 && e < (double)x->dims[2 + d];
            at = at * x->dims[2 + d] + (int64_t)e;
        }
        if (inside) sum += weight * tensor_at(x, at);
    }
    return sum;
}

static double deformed_at(const running *r, size_t k, const hone_tensor *y, int64_t i) {
    const hone_tensor *x = r->b.data[0], *w = r->b.data[1], *offset = r->b.data[2];
    const hone_tensor *mask = deformed[k].mask ? r->b.data[deformed[k].mask] : NULL;
    const hone_node *n = r->b.node;
    int axes = x->rank - 2;
    int64_t at[HONE_MAX_RANK], position = 0, positions = 1, taps = 1;
    int64_t group = hone_node_int(n, "group"), groups = hone_node_int(n, "offset_group");
    locate(i, y->dims, y->rank, at);
    for (int d = 0; d < axes; d++) {
        position = position * y->dims[2 + d] + at[2 + d];
        positions *= y->dims[2 + d];
        taps *= w->dims[2 + d];
    }
    double sum = deformed[k].bias ? tensor_at(r->b.data[deformed[k].bias], at[1]) : 0;
    for (int64_t c = 0; c < w->dims[1]; c++)
        for (int64_t t = 0; t < taps; t++) {
            int64_t channel = at[1] / (w->dims[0] / group) * w->dims[1] + c, tap[HONE_MAX_RANK];
            int64_t row = (at[0] * groups + channel / (x->dims[1] / groups)) * taps + t;
            double place[HONE_MAX_RANK];
            locate(t, w->dims + 2, axes, tap);
            for (int d = 0; d < axes; d++) {
                size_t a = (size_t)d;
                place[d] = (double)(at[2 + d] * number_of(n, "strides", a, 1) +
                                    tap[d] * number_of(n, "dilations", a, 1) - number_of(n, "pads", a, 0)) +
                           tensor_at(offset, (row * axes + d) * positions + position);
            }
            sum += tensor_at(w, (at[1] * w->dims[1] + c) * taps + t) *
                   between(x, at[0] * x->dims[1] + channel, place, axes) *
                   (mask ? tensor_at(mask, row * positions + position) : 1);
        }
    return sum;
}

static void check_deformed(size_t k, hone_dtype dtype) {
    running x = {0};
    build("DeformConv", deformed[k].inputs, deformed[k].attrs, dtype, &x);
    hone_rng rng = hone_rng_make(5, k);
    hone_tensor *offset = x.b.data[2];
    for (int64_t i = 0; i < offset->count; i++) {
        double e = 4.0 * hone_rng_uniform(&rng) - 2;
        if (dtype == HONE_FLOAT64)
            ((double *)offset->data)[i] = e;
        else
            ((float *)offset->data)[i] = (float)e;
    }
    must_start(&x, 2);
    for (int64_t i = 0; i < x.out[0]->count; i++) {
        double want = deformed_at(&x, k, x.out[0], i), got = tensor_at(x.out[0], i);
        if (!(fabs(got - want) <= (dtype == HONE_FLOAT64 ? 1e-13 : 1e-5) * (1 + fabs(want))))
            fail_msg("DeformConv %s: [%lld] is %g, not %g", deformed[k].inputs, (long long)i, got, want);
    }
    finish(&x);
}

static void test_deformed(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT(deformed); k++) {
        check_deformed(k, HONE_FLOAT32);
        check_deformed(k, HONE_FLOAT64);
    }
}

/* Sizes that only a run tells, and offsets that lead nowhere. */
static void test_deformed_of_any_size(void **state) {
    (void)state;
    hone_error err = {0};
    runner r;
    hone_graph *g = hone_graph_new("deformed");
    int64_t n = hone_graph_symbol(g, "n"), h = hone_graph_symbol(g, "h"), w = hone_graph_symbol(g, "w");
    int64_t oh = hone_graph_symbol(g, "oh"), ow = hone_graph_symbol(g, "ow");
    hone_type x = hone_type_make(HONE_FLOAT32, 4, (int64_t[]){n, 1, h, w}),
              o = hone_type_make(HONE_FLOAT32, 4, (int64_t[]){n, 8, oh, ow});
    hone_tensor *ones = NULL, *data[2];
    assert_int_equal(
        hone_tensor_copy_of(HONE_FLOAT32, 4, (int64_t[]){1, 1, 2, 2}, (float[]){1, 1, 1, 1}, &ones, &err),
        HONE_OK);
    hone_value *in[] = {hone_graph_add_input(g, "x", &x), hone_graph_add_constant(g, "w", ones),
                        hone_graph_add_input(g, "o", &o)};
    hone_tensor_free(ones);
    hone_graph_add_output(
        g, hone_graph_add_node(g, hone_op_find("", "DeformConv"), "node", 3, in, 1)->outputs[0]);
    if (runner_open(g, NULL, 2, &r, &err) != HONE_OK) fail_msg("%s", err.message);
    for (int64_t size = 2; size < 5; size++) {
        const hone_tensor *y;
        assert_int_equal(hone_tensor_new(HONE_FLOAT32, 4, (int64_t[]){1, 1, size, 3}, &data[0], &err),
                         HONE_OK);
        assert_int_equal(hone_tensor_new(HONE_FLOAT32, 4, (int64_t[]){1, 8, size - 1, 2}, &data[1], &err),
                         HONE_OK);
        for (int64_t i = 0; i < data[0]->count; i++) ((float *)data[0]->data)[i] = 1;
        for (int64_t i = 0; i < data[1]->count; i++)
            ((float *)data[1]->data)[i] = i % 2 == 0 ? 0 : i % 6 == 1 ? NAN : i % 6 == 3 ? 1e30f : -INFINITY;
        if (hone_context_run(r.context, (const hone_tensor *const *)data, &y, &err) != HONE_OK)
            fail_msg("%s", err.message);
        assert_int_equal(y->count, (size - 1) * 2);
        for (int64_t i = 0; i < y->count; i++) /* offsets of odd positions lie far outside */
            assert_true(tensor_at(y, i) == (i % 2 == 0 ? 4 : 0));
        hone_tensor_free(data[0]);
        hone_tensor_free(data[1]);
    }
    /* offsets for other positions than there are */
    const hone_tensor *y;
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 4, (int64_t[]){1, 1, 9, 3}, &data[0], &err), HONE_OK);
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 4, (int64_t[]){1, 8, 3, 2}, &data[1], &err), HONE_OK);
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)data, &y, &err),
                     HONE_INVALID_ARGUMENT);
    if (!strstr(err.message, "dimensions 8 and 3")) fail_msg("%s", err.message);
    assert_string_equal(err.node, "node");
    hone_tensor_free(data[0]);
    hone_tensor_free(data[1]);
    runner_close(&r);
    hone_graph_free(g);
}

/* --- nothing --- */

#define MANY "72057594037927936" /* 2^56 */

static const struct {
    op_case c;
    int64_t count;
} empty[] = {{{"Col2Im", "R0,6,9 S=4,5 S=2,3", "", 1}, 0},
             {{"Col2Im", "R2,0,9 S=4,5 S=2,3", "", 1}, 0},
             {{"Col2Im", "R2,6,0 S=1,5 S=2,3", "", 1}, 10},
             {{"Col2Im", "R2,6,0 S=0,5 S=2,3", "", 1}, 0},
             {{"Col2Im", "R2,1,4 S=0 S=1", "pads=2,2", 1}, 0},
             {{"Col2ImGrad", "R2,1,0 S=1 R2,1,4", "pads=2,2", 1}, 8},
             {{"MaxUnpool", "R0,2,3 I0,2,3", "kernel_shape=2 strides=2", 1}, 0},
             {{"MaxUnpool", "R1,2,0 I1,2,0", "kernel_shape=2 strides=2", 1}, 0},
             {{"MaxUnpool", "R1,2,0 I1,2,0 S=1,2,5", "kernel_shape=2 strides=2", 1}, 10},
             {{"DeformConv", "R0,2,5,4 R3,2,2,3 R0,12,4,2", "", 1}, 0},
             {{"DeformConv", "R1,0,5,4 R3,0,2,3 R1,12,4,2", "", 1}, 24},
             {{"DeformConv", "R1,2,5,4 R0,2,2,3 R1,12,4,2", "", 1}, 0},
             {{"DeformConv", "R1,2,0,4 R3,2,2,3 R1,12,0,2", "", 1}, 0},
             {{"RoiAlign", "R1,2,3,3 K0,4 I0", "output_width=2", 1}, 0},
             {{"RoiAlign", "R1,2,0,3 K1,4 I1<1", "output_width=2", 1}, 4},
             {{"RoiAlign", "R1,2,0,3 K1,4 I1<1", "output_width=2 mode=max", 1}, 4},
             {{"RoiAlignGrad", "R1,2,0,3 K1,4 I1<1 R1,2,1,2", "output_width=2", 1}, 0},
             {{"MaxRoiPoolGrad", "R1,2,0,3 K1,5 R1,2,1,2", "pooled_shape=1,2", 1}, 0},
             {{"MaxRoiPool", "R2,2,3,0 K1,5", "pooled_shape=1,2", 1}, 4},
             {{"MaxRoiPool", "R2,2,3,3 K0,5", "pooled_shape=1,2", 1}, 0}};

/* As much of nothing as there can be takes no time. */
static const op_case much[] = {
    {"Col2Im", "R" MANY ",1,0 S=0,5 S=1,1", "", 1},
    {"Col2ImGrad", "R" MANY ",1,0 S=1 R" MANY ",1,0", "", 1},
    {"MaxUnpool", "R1," MANY ",0 I1," MANY ",0", "kernel_shape=2 strides=2", 1},
    {"MaxUnpoolGrad", "R1," MANY ",0 I1," MANY ",0", "kernel_shape=2 strides=2", 1},
    {"DeformPatchesGradX", "R" MANY ",1,0,1 R" MANY ",2,0,1 _ R" MANY ",1,1,0", "kernel_shape=1,1", 1},
    {"MaxPoolGrad", "R" MANY ",1,0 R" MANY ",1,0", "kernel_shape=1", 1},
    {"RoiAlignGrad", "R1," MANY ",0,1 K0,4 I0 R0," MANY ",1,1", "", 1},
    {"MaxRoiPoolGrad", "R1," MANY ",0,1 K0,5 R0," MANY ",1,1", "pooled_shape=1,1", 1},
};

static void test_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(empty) + COUNT(much); i++) {
        const op_case *c = i < COUNT(empty) ? &empty[i].c : &much[i - COUNT(empty)];
        running x = {0};
        build(c->op, c->inputs, c->attrs, HONE_FLOAT32, &x);
        must_start(&x, 2);
        if (x.out[0]->count != (i < COUNT(empty) ? empty[i].count : 0))
            fail_msg("%s %s: %lld elements", c->op, c->inputs, (long long)x.out[0]->count);
        for (int64_t k = 0; k < x.out[0]->count; k++) assert_true(tensor_at(x.out[0], k) == 0);
        finish(&x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold),           cmocka_unit_test(test_fold_dtypes),
        cmocka_unit_test(test_unpool_of_pool), cmocka_unit_test(test_unpool_elsewhere),
        cmocka_unit_test(test_deformed),       cmocka_unit_test(test_deformed_of_any_size),
        cmocka_unit_test(test_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
