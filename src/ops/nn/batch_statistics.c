/* What BatchNormalization needs while training, each by one look at memory: BatchStatistics, the mean and variance of each
 * channel over a batch, and BatchSums, of which the gradients are made. Channels run along axis 1, or the last one.
 *
 * Blocks of rows (of images) are summed while they are in the cache, and their moments joined in order (Chan, Golub, LeVeque,
 * "Updating formulae and a pairwise algorithm for computing sample variances", 1979). */
#include "ops/nn/batch_statistics.h"
#include "graph/autodiff.h"
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "kernels/portable.h"
#include "ops/common/channels_last.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

#include <string.h>

#define FLOATS HONE_TYPES_FLOAT
#define BLOCK 4096 /* elements, about */

static bool is_last(const hone_node *n, int rank) {
    return rank == 2 || hone_node_int(n, "last") != 0;
}

/* --- running --- partial results of each block, [blocks, 2, C], then one for all */

typedef struct params {
    bool sums, last, wide;                        /* wide: double */
    int64_t channels, plane, rows, block, blocks; /* rows: of C elements, or planes of C channels each */
    size_t size, at_total;
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    const char *dy, *x, *mean;
    char *parts;
} job;

static int64_t rows_in(const params *p, int64_t block) {
    return hone_min_i64(p->block, p->rows - block * p->block);
}

/* Rows of C elements. */
static void run_rows(const job *j, int64_t block, void *first, void *second) {
    const params *p = j->p;
    const int64_t rows = rows_in(p, block);
    const size_t at = (size_t)(block * p->block * p->channels) * p->size;
    const void *x = j->x + at, *dy = j->dy + at;
    if (p->wide && p->sums)
        hone_comoments_f64(dy, x, (const void *)j->mean, rows, p->channels, first, second);
    else if (p->wide)
        hone_moments_f64(x, rows, p->channels, first, second);
    else if (p->sums)
        hone_kernels_get()->comoments_f32(dy, x, (const void *)j->mean, rows, p->channels, first, second);
    else
        hone_kernels_get()->moments_f32(x, rows, p->channels, first, second);
}

/* An image, channel by channel. */
static void run_planes(const job *j, int64_t image, void *first, void *second) {
    const params *p = j->p;
    const int64_t n = p->plane;
    for (int64_t c = 0; c < p->channels; c++) {
        const int64_t at = (image * p->channels + c) * n;
        double *a = (double *)first + c, *b = (double *)second + c;
        float *u = (float *)first + c, *v = (float *)second + c;
        if (p->wide && p->sums)
            hone_comoments_run_f64((const double *)(const void *)j->dy + at,
                                   (const double *)(const void *)j->x + at,
                                   ((const double *)(const void *)j->mean)[c], n, a, b);
        else if (p->wide)
            hone_moments_run_f64((const double *)(const void *)j->x + at, n, a, b);
        else if (p->sums)
            hone_comoments_run_f32((const float *)(const void *)j->dy + at,
                                   (const float *)(const void *)j->x + at,
                                   ((const float *)(const void *)j->mean)[c], n, u, v);
        else
            hone_moments_run_f32((const float *)(const void *)j->x + at, n, u, v);
    }
}

static void run_blocks(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const size_t row = (size_t)p->channels * p->size;
    for (int64_t i = begin; i < end; i++) {
        char *first = j->parts + 2 * (size_t)i * row;
        (p->last ? run_rows : run_planes)(j, i, first, first + row);
    }
}

static double number(const params *p, const char *at, int64_t i) {
    return p->wide ? ((const double *)(const void *)at)[i] : (double)((const float *)(const void *)at)[i];
}

/* total[c], total[C + c]: what the blocks say together. */
static void join(const job *j, double *total) {
    const params *p = j->p;
    const int64_t channels = p->channels;
    double seen = 0;
    memset(total, 0, (size_t)(2 * channels) * sizeof *total);
    for (int64_t i = 0; i < p->blocks; i++) {
        const char *first = j->parts + 2 * (size_t)(i * channels) * p->size,
                   *second = first + (size_t)channels * p->size;
        const double n = (double)(p->last ? rows_in(p, i) : p->plane), all = seen + n;
        for (int64_t c = 0; c < channels; c++) {
            const double a = number(p, first, c), b = number(p, second, c), delta = a - total[c];
            total[channels + c] += p->sums ? b : b + delta * delta * (seen * n / all);
            total[c] += p->sums ? a : delta * (n / all);
        }
        seen = all;
    }
}

static void write(const params *p, void *out, int64_t i, double x) {
    if (!out) return;
    if (p->wide)
        ((double *)out)[i] = x;
    else
        ((float *)out)[i] = (float)x;
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.p = p, .parts = hone_step_scratch(step, frame)};
    j.dy = j.x = hone_step_in(step, frame, 0);
    if (p->sums) {
        j.x = hone_step_in(step, frame, 1);
        j.mean = hone_step_in(step, frame, 2);
    }
    hone_cut_run(&p->cut, frame, run_blocks, &j);
    double *total = (double *)(void *)(j.parts + p->at_total);
    join(&j, total);
    const double count = (double)(p->rows * (p->last ? 1 : p->plane)), share = count > 0 ? 1 / count : 0;
    for (int64_t c = 0; c < p->channels; c++) {
        write(p, hone_step_out(step, frame, 0), c, total[c]);
        write(p, hone_step_out(step, frame, 1), c, total[p->channels + c] * (p->sums ? 1 : share));
    }
    if (!p->sums) write(p, hone_step_out(step, frame, 2), 0, share);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, bool sums, hone_error *err) {
    const hone_type *x = p->in[0];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    q->sums = sums;
    q->last = is_last(p->node, x->rank);
    q->wide = x->dtype == HONE_FLOAT64;
    q->size = hone_dtype_size(x->dtype);
    q->channels = x->dims[q->last ? x->rank - 1 : 1];
    q->plane = q->last ? 1 : hone_dims_product(x, 2, x->rank);
    q->rows = q->last ? hone_dims_product(x, 0, x->rank - 1) : x->dims[0];
    if (q->plane == 0) q->rows = 0;
    q->block = q->last ? hone_max_i64(BLOCK / hone_max_i64(q->channels, 1), 16) : 1;
    q->blocks = hone_tasks(q->rows, q->block);
    q->cut =
        hone_cut_make(q->channels ? q->blocks : 0, 5 + 0.1 * (double)(q->block * q->channels * q->plane), 1);
    q->at_total = (2 * (size_t)(q->blocks * q->channels) * q->size + 63) / 64 * 64;
    p->scratch = q->at_total + 2 * (size_t)q->channels * sizeof(double) + 64;
    p->params = q;
    p->run = run;
    p->kernel = sums ? "sums of channels" : "moments";
    return HONE_OK;
}

/* --- BatchStatistics --- */

static void vector_of_channels(const hone_infer *ctx, int outputs) {
    const hone_type *x = ctx->in[0];
    for (int o = 0; o < outputs && o < ctx->output_count; o++) {
        ctx->out[o].rank = 1;
        ctx->out[o].dims[0] =
            x->rank < 0 ? HONE_DIM_ANY : x->dims[is_last(ctx->node, x->rank) ? x->rank - 1 : 1];
    }
}

static hone_status infer_statistics(hone_infer *ctx, hone_error *err) {
    if (ctx->in[0]->rank >= 0 && ctx->in[0]->rank < 2)
        return hone_infer_fail(ctx, err, "X must have channels");
    vector_of_channels(ctx, 2);
    if (ctx->output_count > 2) ctx->out[2].rank = 0;
    return HONE_OK;
}

static hone_status prepare_statistics(hone_prepare *p, hone_error *err) {
    return prepare(p, false, err);
}

hone_value *hone_batch_spread(hone_graph *g, hone_value *v, int rank) {
    int64_t shape[HONE_MAX_RANK];
    if (rank == 2 || !v) return v;
    for (int i = 0; i < rank - 1; i++) shape[i] = i ? 1 : -1;
    return HONE_EMIT(g, "", "Reshape", v, hone_graph_ints(g, shape, rank - 1));
}

/* dX = (dmean + 2 (X - mean) dvar) / count */
static void gradient(hone_gradient *ctx) {
    hone_graph *g = ctx->graph;
    hone_value *x = ctx->node->inputs[0], *share = hone_gradient_saved(ctx, 2), *slope = NULL, *shift = NULL;
    const int rank = x->type.rank;
    if (!ctx->wanted[0] || !share || rank < 2) return;
    if (ctx->dout[1]) {
        hone_value *twice = HONE_EMIT(g, "", "Mul", share, hone_graph_scalar(g, x->type.dtype, 2));
        hone_value *d = HONE_EMIT(g, "", "Sub", x, hone_batch_spread(g, ctx->node->outputs[0], rank));
        slope = HONE_EMIT(g, "", "Mul", d,
                          hone_batch_spread(g, HONE_EMIT(g, "", "Mul", ctx->dout[1], twice), rank));
    }
    if (ctx->dout[0]) shift = hone_batch_spread(g, HONE_EMIT(g, "", "Mul", ctx->dout[0], share), rank);
    if (slope && shift)
        ctx->din[0] = HONE_EMIT(g, "", "Add", slope, shift);
    else if (slope)
        ctx->din[0] = slope;
    else if (shift)
        ctx->din[0] = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "BroadcastTo", shift, x);
}

static hone_value *channels_last(hone_channels_last *ctx) {
    const hone_node *n = ctx->node;
    hone_value *in[3];
    const int images = n->input_count > 1 ? 2 : 1;
    if (hone_node_int(n, "last") || n->inputs[0]->type.dtype != HONE_FLOAT32) return NULL;
    for (int i = 0; i < n->input_count; i++)
        in[i] = i < images ? hone_value_channels_last(ctx->graph, n->inputs[i]) : n->inputs[i];
    hone_value *y = hone_last_copy(ctx, n->input_count, in);
    if (y) hone_node_set_int(ctx->graph, y->producer, "last", 1);
    ctx->first = true;
    return y;
}

const hone_op hone_op_batch_statistics = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "BatchStatistics",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}),
    .outputs = HONE_SLOTS({"mean", 'T', FLOATS, 0}, {"var", 'T', FLOATS, 0},
                          {"share", 'T', FLOATS, HONE_SLOT_OPTIONAL | HONE_SLOT_SAVED}),
    .attrs = HONE_ATTRS({"last", HONE_ATTR_INT}),
    .infer = infer_statistics,
    .channels_last = channels_last,
    .prepare = prepare_statistics,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "mean and variance of each channel, and one by the number of its elements"};

/* --- BatchSums --- of dY, X, mean */

static hone_status infer_sums(hone_infer *ctx, hone_error *err) {
    (void)err;
    vector_of_channels(ctx, 2);
    return HONE_OK;
}

static hone_status prepare_sums(hone_prepare *p, hone_error *err) {
    return prepare(p, true, err);
}

const hone_op hone_op_batch_sums = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "BatchSums",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dY", 'T', FLOATS, 0}, {"X", 'T', FLOATS, 0}, {"mean", 'T', FLOATS, 0}),
    .outputs = HONE_SLOTS({"sum", 'T', FLOATS, 0}, {"product", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS({"last", HONE_ATTR_INT}),
    .infer = infer_sums,
    .channels_last = channels_last,
    .prepare = prepare_sums,
    .doc = "the sums of dY, and of dY (X - mean), over each channel"};
