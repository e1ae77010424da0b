/* Pooling of images whose channels are last, [N, spatial axes ..., C]: what MaxPool and AveragePool become
 * there. */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "ops/common/channels_last.h"
#include "ops/common/cut.h"
#include "ops/common/legacy.h"
#include "ops/engine/window.h"
#include "ops/nn/pool.h"

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define TYPES (FLOAT | HONE_TYPES_BYTE) /* bytes: maxima only */

/* --- the operator --- */

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_window w;
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(hone_window_read(ctx->node, x->rank, NULL, &w, err));
    hone_type first = hone_type_channels_first(x), y = first;
    HONE_TRY(hone_window_infer(ctx, &w, &first, &y, err));
    ctx->out[0] = hone_type_channels_last(&y);
    return HONE_OK;
}

typedef struct params {
    hone_pool pool;
    hone_dtype dtype;
    hone_cut cut; /* of the lines */
} params;

typedef struct job {
    const params *p;
    const void *x;
    void *y;
} job;

static void run_lines(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    if (j->p->dtype != HONE_FLOAT32)
        hone_kernels_get()->pool_last_8(&j->p->pool, j->p->dtype == HONE_INT8, j->x, j->y, begin, end);
    else
        hone_kernels_get()->pool_last_f32(&j->p->pool, j->x, j->y, begin, end);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, run_lines, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type x = hone_type_channels_first(p->in[0]), y = hone_type_channels_first(&p->out[0]);
    hone_window window;
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    HONE_TRY(hone_window_read(p->node, x.rank, NULL, &window, err));
    q->dtype = x.dtype;
    q->pool = (hone_pool){.w = hone_windows_of(&window, x.dims[1], &x, &y),
                          .kind = hone_node_int(p->node, "mean") ? HONE_POOL_MEAN : HONE_POOL_MAX,
                          .count_pads = hone_node_int(p->node, "count_include_pad") != 0};
    if (q->dtype != HONE_FLOAT32 && q->pool.kind != HONE_POOL_MAX)
        return hone_prepare_fail(p, err, "bytes have no mean");
    const hone_windows *w = &q->pool.w;
    const int64_t lines = w->channels && w->out[2] ? x.dims[0] * w->out[0] * w->out[1] : 0;
    const double taps = (double)hone_windows_taps(w), line = (double)(w->out[2] * w->channels);
    q->cut = hone_cut_make(lines, 5 + (q->dtype == HONE_FLOAT32 ? 0.1 : 0.05) * line * taps, 1);
    p->params = q;
    p->run = run;
    p->kernel = q->pool.kind == HONE_POOL_MAX ? "max_pool" : "mean_pool";
    return HONE_OK;
}

const hone_op hone_op_pool_last = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "PoolLast",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 'T', TYPES, 0}),
    .outputs = HONE_SLOTS({"Y", 'T', TYPES, 0}),
    .attrs = HONE_ATTRS(HONE_WINDOW_ATTRS, {"dilations", HONE_ATTR_INTS}, {"ceil_mode", HONE_ATTR_INT},
                        {"count_include_pad", HONE_ATTR_INT}, {"mean", HONE_ATTR_INT}),
    .infer = infer,
    .prepare = prepare,
    .doc = "the largest element, or the mean, of each window of images whose channels are last"};

/* --- the gradient of maxima --- */

static hone_status infer_grad(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, 1);
}

typedef struct grad_job {
    const params *p;
    const float *dy, *x;
    float *dx;
} grad_job;

static void run_images(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const grad_job *j = arg;
    hone_kernels_get()->max_spread_last_f32(&j->p->pool, j->x, j->dy, j->dx, begin, end);
}

static hone_status run_grad(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    grad_job j = {step->params, hone_step_in(step, frame, 0), hone_step_in(step, frame, 1),
                  hone_step_out(step, frame, 0)};
    hone_cut_run(&j.p->cut, frame, run_images, &j);
    return HONE_OK;
}

static hone_status prepare_grad(hone_prepare *p, hone_error *err) {
    const hone_type y = hone_type_channels_first(p->in[0]), x = hone_type_channels_first(p->in[1]);
    hone_window window;
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    HONE_TRY(hone_window_read(p->node, x.rank, NULL, &window, err));
    q->pool = (hone_pool){.w = hone_windows_of(&window, x.dims[1], &x, &y), .kind = HONE_POOL_MAX};
    const double taps = (double)hone_windows_taps(&q->pool.w), each = (double)hone_type_count(&y) * taps;
    const int64_t images = hone_type_count(&x) ? x.dims[0] : 0;
    q->cut = hone_cut_make(images, 5 + 0.2 * each / (double)(images ? images : 1), 1);
    p->params = q;
    p->run = run_grad;
    p->kernel = "max_pool's gradient";
    return HONE_OK;
}

const hone_op hone_op_max_pool_last_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "MaxPoolLastGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dY", 'T', FLOAT, 0}, {"X", 'T', FLOAT, 0}),
    .outputs = HONE_SLOTS({"dX", 'T', FLOAT, 0}),
    .attrs = HONE_ATTRS(HONE_WINDOW_ATTRS, {"dilations", HONE_ATTR_INTS}, {"ceil_mode", HONE_ATTR_INT}),
    .infer = infer_grad,
    .prepare = prepare_grad,
    .doc = "MaxPoolGrad of images whose channels are last"};

hone_value *hone_max_pool_grad_channels_last(hone_channels_last *ctx) {
    const hone_node *n = ctx->node;
    hone_graph *g = ctx->graph;
    if (n->outputs[0]->type.dtype != HONE_FLOAT32) return NULL;
    hone_value *in[] = {hone_value_channels_last(g, n->inputs[0]), hone_value_channels_last(g, n->inputs[1])};
    hone_node *y =
        in[0] && in[1] ? hone_graph_add_node(g, &hone_op_max_pool_last_grad, n->name, 2, in, 1) : NULL;
    if (!y) return NULL;
    hone_node_copy_attrs(g, y, n);
    hone_drop_attributes(y);
    return y->outputs[0];
}

/* --- MaxPool and AveragePool in this form --- */

static hone_value *pool(hone_channels_last *ctx, bool mean) {
    const hone_node *n = ctx->node;
    hone_graph *g = ctx->graph;
    if (!((mean ? FLOAT : TYPES) & HONE_TYPE(n->outputs[0]->type.dtype)) || n->output_count > 1) return NULL;
    hone_value *x = hone_value_channels_last(g, n->inputs[0]);
    hone_node *y = x ? hone_graph_add_node(g, &hone_op_pool_last, n->name, 1, &x, 1) : NULL;
    if (!y) return NULL;
    hone_node_copy_attrs(g, y, n);
    hone_drop_attributes(y);
    if (mean) hone_node_set_int(g, y, "mean", 1);
    return y->outputs[0];
}

hone_value *hone_max_pool_channels_last(hone_channels_last *ctx) {
    return pool(ctx, false);
}

hone_value *hone_average_pool_channels_last(hone_channels_last *ctx) {
    return pool(ctx, true);
}
