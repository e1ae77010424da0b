/* GlobalMaxPool, GlobalAveragePool, GlobalLpPool: one number of each channel of an image. */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "ops/common/axes.h"
#include "ops/common/channels_last.h"
#include "ops/common/cut.h"
#include "ops/common/gradient.h"
#include "ops/common/walk.h"
#include "ops/engine/window.h"
#include "ops/nn/pool.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

static hone_status infer(hone_infer *ctx, hone_error *err) {
    HONE_TRY(hone_infer_same(ctx, err));
    if (ctx->in[0]->rank >= 0 && ctx->in[0]->rank < 2)
        return hone_infer_fail(ctx, err, "X must have channels");
    for (int i = 2; i < ctx->out[0].rank; i++) ctx->out[0].dims[i] = 1;
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    int rank = n->inputs[0]->type.rank;
    for (int i = 0; i < rank; i++)
        if (i < 2)
            hone_axes_same(out, 0, i, i);
        else
            hone_axes_add(out, (hone_axis_link){HONE_AXIS_CONTRACTED, 0, i, -1, 0, -1, 0, 0});
}

typedef struct params {
    hone_pool_kind kind;
    double power;
    int64_t plane;
    bool wide;    /* double */
    hone_cut cut; /* of the channels */
} params;

typedef struct job {
    const params *p;
    const void *x;
    void *y;
} job;

static void run_channels(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const hone_kernels *k = hone_kernels_get();
    for (int64_t i = begin; i < end; i++)
        if (p->wide)
            ((double *)j->y)[i] =
                hone_pool_all_f64(p->kind, p->power, (const double *)j->x + i * p->plane, p->plane);
        else
            ((float *)j->y)[i] =
                k->pool_all_f32(p->kind, p->power, (const float *)j->x + i * p->plane, p->plane);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    job j = {step->params, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0)};
    hone_cut_run(&j.p->cut, frame, run_channels, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_pool_kind kind, const char *kernel, hone_error *err) {
    const hone_type *x = p->in[0];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    q->kind = kind;
    q->power = (double)hone_node_int(p->node, "p");
    q->plane = hone_dims_product(x, 2, x->rank);
    q->wide = x->dtype == HONE_FLOAT64;
    q->cut = hone_cut_make(x->dims[0] * x->dims[1], 5 + 0.1 * (double)q->plane, 1);
    p->params = q;
    p->run = run;
    p->kernel = kernel;
    return HONE_OK;
}

static hone_status prepare_max(hone_prepare *p, hone_error *err) {
    return prepare(p, HONE_POOL_MAX, "max_all", err);
}

static hone_status prepare_mean(hone_prepare *p, hone_error *err) {
    return prepare(p, HONE_POOL_MEAN, "mean_all", err);
}

static hone_status prepare_norm(hone_prepare *p, hone_error *err) {
    int64_t power = hone_node_int(p->node, "p");
    return prepare(p,
                   power == 1   ? HONE_POOL_NORM_1
                   : power == 2 ? HONE_POOL_NORM_2
                                : HONE_POOL_NORM,
                   "norm_all", err);
}

/* --- gradients --- */

static void gradient_max(hone_gradient *ctx) {
    ctx->din[0] = hone_gradient_to_extremes(ctx, ctx->node->outputs[0], ctx->dout[0]);
}

static void gradient_mean(hone_gradient *ctx) {
    hone_value *x = ctx->node->inputs[0];
    ctx->din[0] = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "BroadcastTo", ctx->dout[0], x);
    if (ctx->din[0]) hone_node_set_int(ctx->graph, ctx->din[0]->producer, "mean", 1);
}

static void gradient_norm(hone_gradient *ctx) {
    ctx->din[0] = hone_norm_slope(ctx, hone_norm_share(ctx));
}

/* --- images with their channels last --- */

/* The mean over the positions. */
static hone_value *channels_last_mean(hone_channels_last *ctx) {
    hone_graph *g = ctx->graph;
    hone_value *x = ctx->node->inputs[0];
    int64_t axes[HONE_MAX_RANK];
    const int count = x->type.rank - 2;
    for (int i = 0; i < count; i++) axes[i] = 1 + i;
    return HONE_EMIT(g, "", "ReduceMean", hone_value_channels_last(g, x), hone_graph_ints(g, axes, count));
}

/* One window over all of the image, where its extent is known. */
static hone_value *channels_last_max(hone_channels_last *ctx) {
    const hone_node *n = ctx->node;
    const hone_type *x = &n->inputs[0]->type;
    if (x->dtype != HONE_FLOAT32 || x->rank > 2 + HONE_WINDOW_AXES) return NULL;
    for (int i = 2; i < x->rank; i++)
        if (x->dims[i] < 1) return NULL;
    hone_value *y = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "PoolLast",
                              hone_value_channels_last(ctx->graph, n->inputs[0]));
    if (y) hone_node_set_ints(ctx->graph, y->producer, "kernel_shape", x->dims + 2, (size_t)x->rank - 2);
    return y;
}

/* --- descriptors --- */

#define GLOBAL                                                                                               \
    .since = 22, .oldest = 1, .widened = HONE_TYPES_HALF, .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}),       \
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}), .infer = infer, .axes = axes,                              \
    .scaling = HONE_SCALING_INPUTS, .gradient_kind = HONE_GRADIENT_EXACT

const hone_op hone_op_global_max_pool = {.name = "GlobalMaxPool",
                                         GLOBAL,
                                         .channels_last = channels_last_max,
                                         .prepare = prepare_max,
                                         .gradient = gradient_max,
                                         .doc = "the largest element of each channel"};

const hone_op hone_op_global_average_pool = {.name = "GlobalAveragePool",
                                             GLOBAL,
                                             .channels_last = channels_last_mean,
                                             .prepare = prepare_mean,
                                             .gradient = gradient_mean,
                                             .doc = "the mean of each channel"};

const hone_op hone_op_global_lp_pool = {.name = "GlobalLpPool",
                                        GLOBAL,
                                        .attrs = HONE_ATTRS({"p", HONE_ATTR_INT, .i = 2}),
                                        .prepare = prepare_norm,
                                        .gradient = gradient_norm,
                                        .doc = "the p-norm of each channel"};
