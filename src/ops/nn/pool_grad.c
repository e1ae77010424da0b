/* Gradients of pooling: private operators, which have the attributes of what they are gradients of. Items
 * are channels, so that no two tasks meet in an element. */
#include "ops/nn/pool.h"

#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "ops/common/cut.h"
#include "ops/common/gradient.h"
#include "ops/engine/window.h"

enum { DY, X };

/* The result is as X. */
static hone_status infer(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, X);
}

typedef struct params {
    hone_pool pool;
    bool wide; /* double */
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const void *dy, *x;
    void *dx;
} job;

static void run_channels(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const hone_pool *p = &j->p->pool;
    void *room = hone_step_worker_scratch(j->step, j->frame, worker);
    if (p->kind == HONE_POOL_MAX && j->p->wide)
        hone_max_spread_f64(&p->w, j->dy, j->x, j->dx, begin, end);
    else if (p->kind == HONE_POOL_MAX)
        hone_max_spread_f32(&p->w, j->dy, j->x, j->dx, begin, end);
    else if (j->p->wide)
        hone_pool_spread_f64(p, j->dy, j->dx, begin, end, room);
    else
        hone_pool_spread_f32(p, j->dy, j->dx, begin, end, room);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    job j = {step->params,
             step,
             frame,
             hone_step_in(step, frame, DY),
             hone_step_in(step, frame, X),
             hone_step_out(step, frame, 0)};
    hone_cut_run(&j.p->cut, frame, run_channels, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_pool_kind kind, const char *kernel, hone_error *err) {
    const hone_type *dy = p->in[DY], *x = p->in[X];
    hone_window window;
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    HONE_TRY(hone_window_read(p->node, x->rank, NULL, &window, err));
    q->pool = (hone_pool){.w = hone_windows_of(&window, x->dims[1], x, dy),
                          .kind = kind,
                          .count_pads = hone_node_int(p->node, "count_include_pad") != 0};
    q->wide = x->dtype == HONE_FLOAT64;
    const hone_windows *w = &q->pool.w;
    int64_t seen = kind == HONE_POOL_MAX ? w->out[2] * w->kernel[2] : w->in[2];
    double line = (double)(seen * w->kernel[0] * w->kernel[1] + w->out[2] * w->kernel[2]);
    q->cut = hone_cut_make(hone_type_count(x) ? x->dims[0] * x->dims[1] : 0,
                           5 + (kind == HONE_POOL_MAX ? 1 : 0.3) * line * (double)(w->out[0] * w->out[1]), 1);
    p->worker_scratch = (size_t)(hone_pool_room(&q->pool) + w->out[2]) * hone_dtype_size(x->dtype);
    p->params = q;
    p->run = run;
    p->kernel = kernel;
    return HONE_OK;
}

#define BACKWARD(name_)                                                                                      \
    .domain = HONE_PRIVATE_DOMAIN, .name = name_, .since = 1, .oldest = 1,                                   \
    .inputs = HONE_SLOTS({"dY", 'T', HONE_TYPES_FLOAT, 0}, {"X", 'T', HONE_TYPES_FLOAT, 0}),                 \
    .outputs = HONE_SLOTS({"dX", 'T', HONE_TYPES_FLOAT, 0}), .infer = infer

static hone_value *emit(hone_gradient *ctx, const char *op, hone_value *dy) {
    hone_value *dx = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, op, dy, ctx->node->inputs[0]);
    if (dx) hone_node_copy_attrs(ctx->graph, dx->producer, ctx->node);
    return dx;
}

/* --- MaxPoolGrad --- */

static hone_status prepare_max(hone_prepare *p, hone_error *err) {
    return prepare(p, HONE_POOL_MAX, "max_pool's gradient", err);
}

const hone_op hone_op_max_pool_grad = {
    BACKWARD("MaxPoolGrad"),
    .attrs = HONE_ATTRS(HONE_WINDOW_ATTRS, {"dilations", HONE_ATTR_INTS}, {"ceil_mode", HONE_ATTR_INT}),
    .channels_last = hone_max_pool_grad_channels_last, .prepare = prepare_max,
    .doc = "dY where the largest element of its window was"};

void hone_max_pool_gradient(hone_gradient *ctx) {
    ctx->din[0] = emit(ctx, "MaxPoolGrad", ctx->dout[0]);
}

/* --- AveragePoolGrad --- */

static hone_status prepare_mean(hone_prepare *p, hone_error *err) {
    bool mean = hone_node_int(p->node, "mean") != 0;
    return prepare(p, mean ? HONE_POOL_MEAN : HONE_POOL_NORM_1, "mean_pool's gradient", err);
}

const hone_op hone_op_average_pool_grad = {
    BACKWARD("AveragePoolGrad"),
    .attrs = HONE_ATTRS(HONE_WINDOW_ATTRS, {"dilations", HONE_ATTR_INTS}, {"ceil_mode", HONE_ATTR_INT},
                        {"count_include_pad", HONE_ATTR_INT}, {"mean", HONE_ATTR_INT, .i = 1}),
    .prepare = prepare_mean, .doc = "dY shared out among its window (or given to each element)"};

void hone_average_pool_gradient(hone_gradient *ctx) {
    ctx->din[0] = emit(ctx, "AveragePoolGrad", ctx->dout[0]);
}

/* --- norms --- */

static hone_value *power(hone_gradient *ctx, hone_value *x, int64_t exponent) {
    return exponent == 1 ? x : hone_gradient_emit(ctx, "Pow", x, hone_gradient_scalar(ctx, (double)exponent));
}

hone_value *hone_norm_share(hone_gradient *ctx) {
    int64_t p = hone_node_int(ctx->node, "p");
    hone_value *dy = ctx->dout[0], *y = ctx->node->outputs[0], *zero = hone_gradient_scalar(ctx, 0);
    if (p == 1) return dy;
    hone_value *share = hone_gradient_emit(ctx, "Div", dy, power(ctx, y, p - 1));
    return HONE_EMIT(ctx->graph, "", "Where", hone_gradient_emit(ctx, "Greater", y, zero), share, zero);
}

hone_value *hone_norm_slope(hone_gradient *ctx, hone_value *share) {
    int64_t p = hone_node_int(ctx->node, "p");
    hone_value *x = ctx->node->inputs[0], *slope = p == 2 ? x : hone_gradient_emit1(ctx, "Sign", x);
    if (p != 1 && p != 2)
        slope = hone_gradient_emit(ctx, "Mul", slope, power(ctx, hone_gradient_emit1(ctx, "Abs", x), p - 1));
    return hone_gradient_emit(ctx, "Mul", share, slope);
}

void hone_lp_pool_gradient(hone_gradient *ctx) {
    hone_value *spread = emit(ctx, "AveragePoolGrad", hone_norm_share(ctx));
    if (spread) hone_node_set_int(ctx->graph, spread->producer, "mean", 0);
    ctx->din[0] = hone_norm_slope(ctx, spread);
}
