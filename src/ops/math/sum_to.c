/* SumTo, BroadcastTo, each the other's gradient: between a shape and one that broadcasts to it. */
#include "graph/autodiff.h"
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/channels_last.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"
#include "ops/engine/reduce.h"

#include <string.h>

#define NUMBERS (HONE_TYPES_FLOAT | HONE_TYPES_INT)

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
    return hone_reduce_prepare(p, p->in[0], mask, HONE_FOLD_SUM, hone_node_int(p->node, "mean") != 0, err);
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

/* Of images, both with as many axes. */
static hone_value *channels_last(hone_channels_last *ctx) {
    const hone_node *n = ctx->node;
    if (n->inputs[0]->type.rank != n->inputs[1]->type.rank) return NULL;
    hone_value *in[2];
    for (int i = 0; i < 2; i++) in[i] = hone_value_channels_last(ctx->graph, n->inputs[i]);
    return in[0] && in[1] ? hone_last_copy(ctx, 2, in) : NULL;
}

const hone_op hone_op_broadcast_to = {
    .name = "BroadcastTo",
    LIKE,
    .channels_last = channels_last,
    .axes = axes_broadcast_to,
    .prepare = prepare_broadcast_to,
    .gradient = gradient_broadcast_to,
    .doc = "X repeated to another shape (or divided by the number of repeats)"};
