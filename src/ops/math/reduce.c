/* Sums and means over axes, and their gradients. One plan serves them all:
 *
 *   kept axes | reduced axes | …      neighbours of a kind merged, so kinds alternate
 *   last group reduced                each output sums contiguous runs
 *   last group kept                   strips of columns are summed row by row
 *
 * The order of additions depends on the shape alone. */
#include "ops/math/reduce.h"

#include "graph/autodiff.h"
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/reshape.h"
#include "ops/common/walk.h"

#include <string.h>

#define NUMBERS (HONE_TYPES_FLOAT | HONE_TYPES_INT)

/* --- the plan --- */

typedef struct params {
    hone_dtype dtype;
    const hone_kernels *kernels;
    hone_walk kept, reduced; /* all groups but the innermost: positions in the input */
    int64_t run;             /* elements of a contiguous run; or rows of `width` */
    int64_t width;           /* 0: the last group is reduced */
    hone_cut cut;            /* of the outputs */
    bool mean;
    int64_t divisor;
} params;

#define STRIP 1024 /* columns whose sums stay in the cache */

typedef struct job {
    const params *p;
    const char *x;
    char *y;
} job;

static void sum_run(const params *p, const void *x, void *y, bool accumulate) {
    switch (p->dtype) {
    case HONE_FLOAT32: {
        float s = p->kernels->sum_f32(x, p->run), *out = y;
        *out = accumulate ? *out + s : s;
        return;
    }
    case HONE_FLOAT64: {
        double s = p->kernels->sum_f64(x, p->run), *out = y;
        *out = accumulate ? *out + s : s;
        return;
    }
    case HONE_INT32: {
        int32_t s = hone_sum_i32(x, p->run), *out = y;
        *out = accumulate ? (int32_t)((uint32_t)*out + (uint32_t)s) : s;
        return;
    }
    default: {
        int64_t s = hone_sum_i64(x, p->run), *out = y;
        *out = accumulate ? (int64_t)((uint64_t)*out + (uint64_t)s) : s;
    }
    }
}

static void sum_rows(const params *p, const void *x, int64_t columns, void *y, bool accumulate) {
    switch (p->dtype) {
    case HONE_FLOAT32: p->kernels->sum_rows_f32(x, p->run, columns, p->width, y, accumulate); return;
    case HONE_FLOAT64: p->kernels->sum_rows_f64(x, p->run, columns, p->width, y, accumulate); return;
    case HONE_INT32: hone_sum_rows_i32(x, p->run, columns, p->width, y, accumulate); return;
    default: hone_sum_rows_i64(x, p->run, columns, p->width, y, accumulate);
    }
}

static void divide(const params *p, void *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) switch (p->dtype) {
        case HONE_FLOAT32: ((float *)y)[i] /= (float)p->divisor; break;
        case HONE_FLOAT64: ((double *)y)[i] /= (double)p->divisor; break;
        case HONE_INT32: ((int32_t *)y)[i] = (int32_t)(((int32_t *)y)[i] / p->divisor); break;
        default: ((int64_t *)y)[i] /= p->divisor;
        }
}

static void reduce_runs(void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    size_t size = hone_dtype_size(p->dtype);
    for (int64_t i = first; i < end; i++) {
        const char *x = j->x + (size_t)hone_walk_offset(&p->kept, i) * size;
        char *y = j->y + (size_t)i * size;
        if (p->reduced.count == 0) memset(y, 0, size);
        for (int64_t r = 0; r < p->reduced.count; r++)
            sum_run(p, x + (size_t)hone_walk_offset(&p->reduced, r) * size, y, r > 0);
    }
    if (p->mean) divide(p, j->y + (size_t)first * size, end - first);
}

static void reduce_strip(const job *j, int64_t outer, int64_t first, int64_t columns) {
    const params *p = j->p;
    size_t size = hone_dtype_size(p->dtype);
    const char *x = j->x + (size_t)(hone_walk_offset(&p->kept, outer) + first) * size;
    char *y = j->y + (size_t)(outer * p->width + first) * size;
    if (p->reduced.count == 0) memset(y, 0, (size_t)columns * size);
    for (int64_t r = 0; r < p->reduced.count; r++)
        sum_rows(p, x + (size_t)hone_walk_offset(&p->reduced, r) * size, columns, y, r > 0);
    if (p->mean) divide(p, y, columns);
}

static void reduce_strips(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    int64_t width = j->p->width;
    for (int64_t i = begin, columns; i < end; i += columns) {
        columns = hone_min_i64(hone_min_i64(STRIP, width - i % width), end - i);
        reduce_strip(j, i / width, i % width, columns);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, p->width ? reduce_strips : reduce_runs, &j);
    return HONE_OK;
}

/* Sums `x` over the axes in `mask`. */
static hone_status prepare(hone_prepare *p, const hone_type *x, const bool *mask, bool mean,
                           hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    int64_t dims[HONE_MAX_RANK], strides[HONE_MAX_RANK], stride = 1, outputs = 1;
    bool reduced[HONE_MAX_RANK];
    int groups = 0;
    q->dtype = x->dtype;
    q->kernels = hone_kernels_get();
    q->mean = mean;
    q->divisor = 1;
    hone_walk_init(&q->kept);
    hone_walk_init(&q->reduced);
    for (int i = x->rank - 1; i >= 0; stride *= x->dims[i--]) { /* innermost first */
        if (mask[i])
            q->divisor *= x->dims[i];
        else
            outputs *= x->dims[i];
        if (x->dims[i] == 1) continue;
        if (groups && reduced[groups - 1] == mask[i])
            dims[groups - 1] *= x->dims[i];
        else {
            dims[groups] = x->dims[i];
            strides[groups] = stride;
            reduced[groups++] = mask[i];
        }
    }
    int taken = 0;
    q->run = 1;
    if (groups && reduced[0]) {
        q->run = dims[taken++];
    } else if (groups) {
        q->width = dims[taken++];
        if (groups > 1) q->run = dims[taken++];
    }
    for (int i = groups - 1; i >= taken; i--)
        hone_walk_add(reduced[i] ? &q->reduced : &q->kept, dims[i], strides[i]);
    if (outputs == 0) { /* nothing to do */
        q->kept.count = 0;
        q->width = 0;
    }
    double sum = 0.1 * (double)q->reduced.count * (double)q->run;
    q->cut = q->width ? hone_cut_make(q->kept.count * q->width, sum, 64)
                      : hone_cut_make(q->kept.count, sum + 5, 1);
    if (mean && q->divisor == 0 && (HONE_TYPES_INT & HONE_TYPE(q->dtype)))
        return hone_prepare_fail(p, err, "the integer mean of no elements");
    p->params = q;
    p->run = run;
    p->kernel = q->width ? "sum rows" : "sum";
    return HONE_OK;
}

/* --- ReduceSum, ReduceMean --- */

/* Which axes of a tensor of that rank are reduced; false if they are not known (and *mask is all false). */
static bool axes_mask(const hone_node *n, int rank, const hone_tensor *axes, bool *mask, bool *bad) {
    bool noop = hone_node_int(n, "noop_with_empty_axes") != 0;
    bool given = n->input_count > 1 && n->inputs[1];
    memset(mask, 0, (size_t)HONE_MAX_RANK);
    *bad = false;
    if (given && !axes) return false;
    int64_t count = given ? axes->count : 0;
    for (int i = 0; i < rank && count == 0; i++) mask[i] = !noop;
    for (int64_t i = 0; i < count; i++) {
        int64_t a = hone_tensor_int(axes, i);
        if (a < -rank || a >= rank) {
            *bad = true;
            return false;
        }
        mask[a < 0 ? a + rank : a] = true;
    }
    return true;
}

hone_status hone_reduce_infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_type *y = &ctx->out[0];
    bool keep = hone_node_int(ctx->node, "keepdims") != 0, mask[HONE_MAX_RANK], bad;
    if (x->rank < 0) return HONE_OK;
    bool known = axes_mask(ctx->node, x->rank, ctx->input_count > 1 ? ctx->constant[1] : NULL, mask, &bad);
    if (bad) return hone_infer_fail(ctx, err, "an axis is outside of a tensor of rank %d", x->rank);
    if (!known) { /* shapes come with the content of `axes` */
        y->rank = keep ? x->rank : HONE_RANK_ANY;
        for (int i = 0; i < x->rank; i++) y->dims[i] = HONE_DIM_ANY;
        return HONE_OK;
    }
    y->rank = 0;
    for (int i = 0; i < x->rank; i++)
        if (!mask[i] || keep) y->dims[y->rank++] = mask[i] ? 1 : x->dims[i];
    return HONE_OK;
}

static const hone_tensor *constant_axes(const hone_node *n) {
    const hone_value *v = n->input_count > 1 ? n->inputs[1] : NULL;
    return v && v->storage == HONE_STORAGE_CONSTANT ? v->data : NULL;
}

void hone_reduce_axes(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[0]->type;
    bool keep = hone_node_int(n, "keepdims") != 0, mask[HONE_MAX_RANK], bad;
    if (x->rank < 0 || !axes_mask(n, x->rank, constant_axes(n), mask, &bad)) return;
    for (int i = 0, to = 0; i < x->rank; i++) {
        if (mask[i])
            hone_axes_add(out, (hone_axis_link){HONE_AXIS_CONTRACTED, .axis = i, .output = -1, .input2 = -1});
        else
            hone_axes_add(out, (hone_axis_link){HONE_AXIS_SAME, .axis = i, .output_axis = to});
        to += !mask[i] || keep;
    }
}

static hone_status prepare_reduce(hone_prepare *p, bool mean, hone_error *err) {
    bool mask[HONE_MAX_RANK], bad;
    if (!axes_mask(p->node, p->in[0]->rank, p->in_count > 1 ? p->constant[1] : NULL, mask, &bad))
        return hone_prepare_fail(p, err, "axes are not known");
    return prepare(p, p->in[0], mask, mean, err);
}

static hone_status prepare_reduce_sum(hone_prepare *p, hone_error *err) {
    return prepare_reduce(p, false, err);
}
static hone_status prepare_reduce_mean(hone_prepare *p, hone_error *err) {
    return prepare_reduce(p, true, err);
}

/* dX = dY, with axes of 1 where X was reduced, along all of X (divided by the number of terms). */
static void gradient_reduce(hone_gradient *ctx, bool mean) {
    const hone_node *n = ctx->node;
    hone_value *x = n->inputs[0], *d = ctx->dout[0];
    bool mask[HONE_MAX_RANK], bad;
    if (x->type.rank < 0 || !axes_mask(n, x->type.rank, constant_axes(n), mask, &bad)) return;
    for (int i = 0; i < x->type.rank && !hone_node_int(n, "keepdims"); i++) {
        if (!mask[i]) continue;
        d = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "InsertAxis", d);
        if (d) hone_node_set_int(ctx->graph, d->producer, "axis", i);
    }
    ctx->din[0] = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "BroadcastTo", d, x);
    if (mean && ctx->din[0]) hone_node_set_int(ctx->graph, ctx->din[0]->producer, "mean", 1);
}

static void gradient_reduce_sum(hone_gradient *ctx) {
    gradient_reduce(ctx, false);
}
static void gradient_reduce_mean(hone_gradient *ctx) {
    gradient_reduce(ctx, true);
}

/* Older forms have the axes as an attribute. */
static hone_status lift_axes(hone_graph *g, hone_node *n, hone_error *err) {
    size_t count;
    const int64_t *axes = hone_node_ints(n, "axes", &count);
    g->insert_before = n;
    hone_value *inputs[] = {n->inputs[0], count ? hone_graph_ints(g, axes, (int64_t)count) : NULL};
    hone_node *newest = hone_graph_add_node(g, n->op, n->name, 2, inputs, 1);
    if (newest) hone_node_set_int(g, newest, "keepdims", hone_node_int(n, "keepdims"));
    g->insert_before = NULL;
    if (newest) hone_lift_replace(g, n, newest->outputs[0]);
    return hone_graph_check(g, err);
}

static const hone_attr_def reduce_1[] = {
    {"axes", HONE_ATTR_INTS}, {"keepdims", HONE_ATTR_INT, .i = 1}, {NULL}};
const hone_op_version hone_reduce_older[] = {{1, reduce_1, lift_axes}, {0}};

#define REDUCE HONE_REDUCE(NUMBERS), .gradient_kind = HONE_GRADIENT_EXACT

const hone_op hone_op_reduce_sum = {.name = "ReduceSum",
                                    .since = 13,
                                    REDUCE,
                                    .prepare = prepare_reduce_sum,
                                    .gradient = gradient_reduce_sum,
                                    .doc = "the sum over axes"};

const hone_op hone_op_reduce_mean = {.name = "ReduceMean",
                                     .since = 18,
                                     REDUCE,
                                     .prepare = prepare_reduce_mean,
                                     .gradient = gradient_reduce_mean,
                                     .doc = "the mean over axes"};

/* --- SumTo, BroadcastTo --- each the other's gradient: between a shape and one that broadcasts to it */

static hone_status infer_like(hone_infer *ctx, hone_error *err) {
    (void)err;
    ctx->out[0].rank = ctx->in[1]->rank;
    memcpy(ctx->out[0].dims, ctx->in[1]->dims, sizeof ctx->out[0].dims);
    return HONE_OK;
}

/* Does `small` broadcast to `large`? mask[i]: axis i of `large` is one that it gains. */
static bool broadcasts(const hone_type *small, const hone_type *large, bool *mask) {
    int missing = large->rank - small->rank;
    for (int i = 0; i < large->rank; i++) {
        int64_t d = i < missing ? 1 : small->dims[i - missing];
        if (d != 1 && d != large->dims[i]) return false;
        mask[i] = d == 1;
    }
    return missing >= 0;
}

static void links(hone_axes *out, const hone_type *small, const hone_type *large, bool sums) {
    int missing = large->rank - small->rank;
    if (small->rank < 0 || missing < 0) return;
    for (int i = 0; i < large->rank; i++) {
        int to = i - missing;
        bool gains = to < 0 || (small->dims[to] == 1 && large->dims[i] != 1);
        if (!gains)
            hone_axes_add(
                out, (hone_axis_link){HONE_AXIS_SAME, .axis = sums ? i : to, .output_axis = sums ? to : i});
        else if (sums)
            hone_axes_add(out, (hone_axis_link){HONE_AXIS_CONTRACTED, .axis = i, .output = -1, .input2 = -1});
    }
}

static void axes_sum_to(const hone_node *n, hone_axes *out) {
    links(out, &n->outputs[0]->type, &n->inputs[0]->type, true);
}

static hone_status prepare_sum_to(hone_prepare *p, hone_error *err) {
    bool mask[HONE_MAX_RANK];
    if (!broadcasts(&p->out[0], p->in[0], mask))
        return hone_prepare_fail(p, err, "the shape to sum to does not broadcast to the input's");
    return prepare(p, p->in[0], mask, hone_node_int(p->node, "mean") != 0, err);
}

static void gradient_like(hone_gradient *ctx, const char *op) {
    hone_value *d = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, op, ctx->dout[0], ctx->node->inputs[0]);
    if (d && hone_node_int(ctx->node, "mean")) hone_node_set_int(ctx->graph, d->producer, "mean", 1);
    ctx->din[0] = d;
}

static void gradient_sum_to(hone_gradient *ctx) {
    gradient_like(ctx, "BroadcastTo");
}

#define LIKE                                                                                                 \
    .domain = HONE_PRIVATE_DOMAIN, .since = 1, .oldest = 1,                                                  \
    .inputs = HONE_SLOTS({"X", 'T', NUMBERS, 0}, {"like", 0, HONE_TYPES_FIXED, 0}),                          \
    .outputs = HONE_SLOTS({"Y", 'T', NUMBERS, 0}), .attrs = HONE_ATTRS({"mean", HONE_ATTR_INT}),             \
    .infer = infer_like, .gradient_kind = HONE_GRADIENT_EXACT

const hone_op hone_op_sum_to = {
    .name = "SumTo",
    LIKE,
    .axes = axes_sum_to,
    .prepare = prepare_sum_to,
    .gradient = gradient_sum_to,
    .doc = "the sum (or mean) over the axes that broadcasting another shape would give"};

/* BroadcastTo: rows of the output, each copied or filled. */
typedef struct broadcast_params {
    size_t size;
    hone_dtype dtype;
    hone_walk rows; /* positions in the input */
    int64_t width;
    hone_cut cut;
    bool fills;
    int64_t divisor; /* 0: none */
} broadcast_params;

typedef struct broadcast_job {
    const broadcast_params *p;
    const char *x;
    char *y;
} broadcast_job;

static void divide_broadcast(const broadcast_params *p, void *y, int64_t n) {
    if (p->dtype == HONE_FLOAT32)
        for (int64_t i = 0; i < n; i++) ((float *)y)[i] /= (float)p->divisor;
    else
        for (int64_t i = 0; i < n; i++) ((double *)y)[i] /= (double)p->divisor;
}

static void broadcast_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const broadcast_job *j = arg;
    const broadcast_params *p = j->p;
    size_t bytes = (size_t)p->width * p->size;
    for (int64_t i = begin; i < end; i++) {
        const char *x = j->x + (size_t)hone_walk_offset(&p->rows, i) * p->size;
        char *y = j->y + (size_t)i * bytes;
        if (p->fills && p->divisor) { /* divided once */
            memcpy(y, x, p->size);
            divide_broadcast(p, y, 1);
            hone_fill(y, p->size, y, p->width);
        } else if (p->fills) {
            hone_fill(x, p->size, y, p->width);
        } else {
            memcpy(y, x, bytes);
            if (p->divisor) divide_broadcast(p, y, p->width);
        }
    }
}

static hone_status run_broadcast(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const broadcast_params *p = step->params;
    broadcast_job j = {p, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, broadcast_rows, &j);
    return HONE_OK;
}

static hone_status prepare_broadcast_to(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[0], *y = &p->out[0];
    bool mask[HONE_MAX_RANK];
    if (!broadcasts(x, y, mask))
        return hone_prepare_fail(p, err, "the input does not broadcast to the shape asked for");
    broadcast_params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    int64_t dims[HONE_MAX_RANK], strides[HONE_MAX_RANK], stride = 1;
    int groups = 0;
    bool gained[HONE_MAX_RANK];
    q->divisor = hone_node_int(p->node, "mean") != 0;
    if (q->divisor && !(HONE_TYPES_FLOAT & HONE_TYPE(y->dtype)))
        return hone_prepare_fail(p, err, "the gradient of an integer mean");
    for (int i = y->rank - 1; i >= 0; i--) { /* innermost first */
        int64_t d = y->dims[i];
        if (mask[i]) q->divisor *= d;
        if (d == 1) continue;
        if (groups && gained[groups - 1] == mask[i])
            dims[groups - 1] *= d;
        else {
            dims[groups] = d;
            strides[groups] = mask[i] ? 0 : stride;
            gained[groups++] = mask[i];
        }
        if (!mask[i]) stride *= d;
    }
    hone_walk_init(&q->rows);
    for (int i = groups - 1; i > 0; i--) hone_walk_add(&q->rows, dims[i], strides[i]);
    q->width = groups ? dims[0] : 1;
    q->fills = groups && gained[0];
    if (q->width == 0) q->rows.count = 0;
    q->size = hone_dtype_size(y->dtype);
    q->dtype = y->dtype;
    q->cut = hone_cut_make(q->rows.count, 0.05 * (double)q->width * (double)q->size, 1);
    p->params = q;
    p->run = run_broadcast;
    p->kernel = "broadcast";
    return HONE_OK;
}

static void axes_broadcast_to(const hone_node *n, hone_axes *out) {
    links(out, &n->inputs[0]->type, &n->outputs[0]->type, false);
}

static void gradient_broadcast_to(hone_gradient *ctx) {
    gradient_like(ctx, "SumTo");
}

const hone_op hone_op_broadcast_to = {
    .name = "BroadcastTo",
    LIKE,
    .axes = axes_broadcast_to,
    .prepare = prepare_broadcast_to,
    .gradient = gradient_broadcast_to,
    .doc = "X repeated to another shape (or divided by the number of repeats)"};
