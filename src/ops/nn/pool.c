/* Pooling: MaxPool, AveragePool, LpPool. */
#include "ops/nn/pool.h"
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/engine/window.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

/* --- shapes --- */

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_type *y = &ctx->out[0];
    hone_window w;
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(hone_window_read(ctx->node, x->rank, NULL, &w, err));
    y->rank = x->rank;
    y->dims[0] = x->dims[0];
    y->dims[1] = x->dims[1];
    return hone_window_infer(ctx, &w, x, y, err);
}

static void axes(const hone_node *n, hone_axes *out) {
    for (int i = 0; i < 2 && n->inputs[0]->type.rank > 2; i++) hone_axes_same(out, 0, i, i);
}

/* --- running --- */

typedef struct params {
    hone_pool pool;
    hone_dtype dtype;
    hone_cut cut; /* of the lines */
    bool by_columns;
    int64_t dims[HONE_WINDOW_AXES]; /* by columns: of a channel */
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const void *x;
    void *y;
    int64_t *index; /* NULL: maxima only */
} job;

static void run_lines(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const hone_pool *p = &j->p->pool;
    void *room = hone_step_worker_scratch(j->step, j->frame, worker);
    switch (j->p->dtype) {
    case HONE_FLOAT32: hone_kernels_get()->pool_f32(p, j->x, j->y, begin, end, room); break;
    case HONE_FLOAT64: hone_pool_f64(p, j->x, j->y, begin, end, room); break;
    case HONE_UINT8: hone_pool_u8(p, j->x, j->y, begin, end, room); break;
    default: hone_pool_s8(p, j->x, j->y, begin, end, room);
    }
}

/* Element i of a channel, whose last axis runs fastest, as one of which the first axis does. */
static int64_t by_columns(const int64_t *dims, int64_t i) {
    int64_t width = i % dims[2], height = i / dims[2] % dims[1], depth = i / dims[2] / dims[1];
    return depth + dims[0] * (height + dims[1] * width);
}

static void run_index(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const hone_pool *p = &j->p->pool;
    switch (j->p->dtype) {
    case HONE_FLOAT32: hone_max_index_f32(p, j->x, j->y, j->index, begin, end); break;
    case HONE_FLOAT64: hone_max_index_f64(p, j->x, j->y, j->index, begin, end); break;
    case HONE_UINT8: hone_max_index_u8(p, j->x, j->y, j->index, begin, end); break;
    default: hone_max_index_s8(p, j->x, j->y, j->index, begin, end);
    }
    for (int64_t i = begin * p->w.out[2]; i < end * p->w.out[2] && j->p->by_columns; i++) {
        int64_t channel = j->index[i] / p->w.plane * p->w.plane;
        j->index[i] = channel + by_columns(j->p->dims, j->index[i] - channel);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p,
             step,
             frame,
             hone_step_in(step, frame, 0),
             hone_step_out(step, frame, 0),
             hone_step_out(step, frame, 1)};
    if (j.y || j.index) hone_cut_run(&p->cut, frame, j.index ? run_index : run_lines, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_pool_kind kind, const char *kernel, hone_error *err) {
    const hone_type *x = p->in[0], *y = &p->out[0];
    hone_window window;
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    HONE_TRY(hone_window_read(p->node, x->rank, NULL, &window, err));
    q->pool = (hone_pool){.w = hone_windows_of(&window, x->dims[1], x, y),
                          .kind = kind,
                          .power = (double)hone_node_int(p->node, "p"),
                          .count_pads = hone_node_int(p->node, "count_include_pad") != 0};
    q->dtype = x->dtype;
    q->by_columns = hone_node_int(p->node, "storage_order") != 0;
    for (int i = 0; i < HONE_WINDOW_AXES; i++) {
        int axis = x->rank - HONE_WINDOW_AXES + i;
        q->dims[i] = axis < 2 ? 1 : x->dims[axis];
    }
    const hone_windows *w = &q->pool.w;
    int64_t lines = w->out[2] ? x->dims[0] * x->dims[1] * w->out[0] * w->out[1] : 0;
    double line = (double)(w->in[2] * w->kernel[0] * w->kernel[1] + w->out[2] * w->kernel[2]);
    q->cut = hone_cut_make(lines, 5 + 0.15 * line, 1);
    p->worker_scratch = (size_t)hone_pool_room(&q->pool) * hone_dtype_size(x->dtype);
    p->params = q;
    p->run = run;
    p->kernel = kernel;
    return HONE_OK;
}

static hone_status prepare_max(hone_prepare *p, hone_error *err) {
    return prepare(p, HONE_POOL_MAX, "max_pool", err);
}

static hone_status prepare_mean(hone_prepare *p, hone_error *err) {
    return prepare(p, HONE_POOL_MEAN, "mean_pool", err);
}

static hone_status prepare_norm(hone_prepare *p, hone_error *err) {
    int64_t power = hone_node_int(p->node, "p");
    return prepare(p,
                   power == 1   ? HONE_POOL_NORM_1
                   : power == 2 ? HONE_POOL_NORM_2
                                : HONE_POOL_NORM,
                   "norm_pool", err);
}

/* --- descriptors --- */

static hone_status infer_max(hone_infer *ctx, hone_error *err) {
    HONE_TRY(infer(ctx, err));
    if (ctx->output_count < 2) return HONE_OK;
    hone_dtype index = ctx->out[1].dtype;
    ctx->out[1] = ctx->out[0];
    ctx->out[1].dtype = index;
    return HONE_OK;
}

const hone_op hone_op_max_pool = {
    .name = "MaxPool",
    .since = 22,
    .oldest = 1,
    .widened = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"X", 'T', FLOATS | HONE_TYPES_BYTE, 0}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS | HONE_TYPES_BYTE, 0},
                          {"Indices", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_OPTIONAL}),
    .attrs = HONE_ATTRS(HONE_WINDOW_ATTRS, {"dilations", HONE_ATTR_INTS}, {"ceil_mode", HONE_ATTR_INT},
                        {"storage_order", HONE_ATTR_INT}),
    .infer = infer_max,
    .axes = axes,
    .channels_last = hone_max_pool_channels_last,
    .prepare = prepare_max,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = hone_max_pool_gradient,
    .quantize = HONE_QUANTIZE_BITS,
    .doc = "the largest element of each window, and where it is"};

const hone_op hone_op_average_pool = {.name = "AveragePool",
                                      .since = 22,
                                      .oldest = 1,
                                      .widened = HONE_TYPES_HALF,
                                      .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}),
                                      .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
                                      .attrs = HONE_ATTRS(HONE_WINDOW_ATTRS, {"dilations", HONE_ATTR_INTS},
                                                          {"ceil_mode", HONE_ATTR_INT},
                                                          {"count_include_pad", HONE_ATTR_INT}),
                                      .infer = infer,
                                      .axes = axes,
                                      .channels_last = hone_average_pool_channels_last,
                                      .prepare = prepare_mean,
                                      .scaling = HONE_SCALING_INPUTS,
                                      .gradient_kind = HONE_GRADIENT_EXACT,
                                      .gradient = hone_average_pool_gradient,
                                      .doc = "the mean of each window"};

const hone_op hone_op_lp_pool = {.name = "LpPool",
                                 .since = 22,
                                 .oldest = 1,
                                 .widened = HONE_TYPES_HALF,
                                 .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}),
                                 .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
                                 .attrs =
                                     HONE_ATTRS(HONE_WINDOW_ATTRS, {"dilations", HONE_ATTR_INTS},
                                                {"ceil_mode", HONE_ATTR_INT}, {"p", HONE_ATTR_INT, .i = 2}),
                                 .infer = infer,
                                 .axes = axes,
                                 .prepare = prepare_norm,
                                 .gradient_kind = HONE_GRADIENT_EXACT,
                                 .gradient = hone_lp_pool_gradient,
                                 .doc = "the p-norm of each window"};
