/* GridSample: X [N, C, space] read at coordinates [N, samples, rank], between its elements. Samples are done some at a
 * time: what each is a sum of is found once, and then used for all channels. */
#include "graph/infer.h"
#include "kernels/portable.h"
#include "kernels/positions.h"
#include "kernels/sampling.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/gradient.h"
#include "ops/common/legacy.h"
#include "ops/common/walk.h"
#include "ops/engine/copy.h"

#include <string.h>

enum { X, GRID, DY };
enum { BLOCK = 32 }; /* samples at a time */

static bool read_modes(const hone_node *n, hone_sampling *s) {
    static const char *const modes[] = {"linear", "nearest", "cubic", "bilinear", NULL, "bicubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    bool mode = false, padding = false;
    for (int i = 0; i < 6; i++)
        if (modes[i] && strcmp(hone_node_string(n, "mode"), modes[i]) == 0) {
            s->mode = (hone_sampling_mode)(i % 3);
            mode = true;
        }
    for (int i = 0; i < 3; i++)
        if (strcmp(hone_node_string(n, "padding_mode"), paddings[i]) == 0) {
            s->padding = (hone_sampling_padding)i;
            padding = true;
        }
    s->align_corners = hone_node_int(n, "align_corners") != 0;
    return mode && padding;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[X], *grid = ctx->in[GRID];
    hone_type *y = &ctx->out[0];
    hone_sampling s;
    int64_t same;
    if (!read_modes(ctx->node, &s))
        return hone_infer_fail(ctx, err, "mode \"%s\" or padding_mode \"%s\" is unknown",
                               hone_node_string(ctx->node, "mode"),
                               hone_node_string(ctx->node, "padding_mode"));
    if (s.mode != HONE_SAMPLE_NEAREST && x->dtype != HONE_UNDEFINED &&
        !(HONE_TYPES_FIXED & HONE_TYPE(x->dtype)))
        return hone_infer_fail(ctx, err, "there is nothing between elements of type %s",
                               hone_dtype_name(x->dtype));
    if (x->rank < 0 || grid->rank < 0) return HONE_OK;
    if (x->rank < 3 || x->rank > 2 + HONE_SAMPLE_AXES || grid->rank != x->rank)
        return hone_infer_fail(ctx, err, "input and grid have %d and %d dimensions", x->rank, grid->rank);
    HONE_TRY(hone_infer_same_dim(ctx, grid->dims[grid->rank - 1], x->rank - 2, &same, err));
    y->rank = x->rank;
    HONE_TRY(hone_infer_same_dim(ctx, x->dims[0], grid->dims[0], &y->dims[0], err));
    y->dims[1] = x->dims[1];
    for (int d = 2; d < x->rank; d++) y->dims[d] = grid->dims[d - 1];
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    (void)n;
    hone_axes_same(out, X, 0, 0);
    hone_axes_same(out, GRID, 0, 0);
    hone_axes_same(out, X, 1, 1);
}

typedef struct params {
    hone_sampling sampling;
    hone_element element;
    hone_dtype dtype, computes, grid; /* of X, of the sums, of the coordinates */
    int taps;
    int64_t n, channels, space, samples;
    size_t x_bytes; /* scratch that holds X as what is computed in; the result is behind it; 0: as it lies */
    hone_cut cut;
} params;

/* Of one worker: a block of samples. */
typedef struct block {
    int64_t n, start[BLOCK + 1], *from;
    double coordinates[BLOCK * HONE_SAMPLE_AXES], *weight;
    float *narrow; /* the weights as float */
} block;

static size_t block_bytes(const params *p) {
    return sizeof(block) + (size_t)(p->taps * BLOCK) * (sizeof(int64_t) + sizeof(double) + sizeof(float));
}

static block *block_at(void *scratch, const params *p) {
    block *b = scratch;
    b->from = (int64_t *)(b + 1);
    b->weight = (double *)(b->from + p->taps * BLOCK);
    b->narrow = (float *)(b->weight + p->taps * BLOCK);
    return b;
}

/* Coordinates of samples [first, …) of sample n of the batch. What comes as float, or narrower, is used as such. */
static void read_block(const params *p, const void *grid, int64_t n, int64_t first, block *b) {
    int64_t at = (n * p->samples + first) * p->sampling.rank;
    b->n = hone_min_i64(BLOCK, p->samples - first);
    hone_cast(p->grid, HONE_FLOAT64, (const char *)grid + (size_t)at * hone_dtype_size(p->grid),
              b->coordinates, b->n * p->sampling.rank);
}

static void find_taps(const params *p, block *b, int along) {
    hone_sampling_find(&p->sampling, b->coordinates, b->n, along, b->start, b->from, b->weight);
    for (int64_t t = 0; t < b->start[b->n]; t++) b->narrow[t] = (float)b->weight[t];
}

/* out[i] = the weighed sum of sample i in the channel at `from` of x. */
static void weigh(const params *p, const block *b, const char *x, int64_t from, void *out) {
    if (p->computes == HONE_FLOAT64)
        hone_weigh_f64((const double *)(const void *)x + from, b->start, b->from, b->weight, b->n, 0, out);
    else
        hone_weigh_f32((const float *)(const void *)x + from, b->start, b->from, b->narrow, b->n, 0, out);
}

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const char *x, *dy;
    const void *grid;
    char *y;
} job;

/* Items are blocks of samples. */
static void sample(void *arg, int64_t begin, int64_t end, int worker) {
    static const uint64_t zero[2];
    const job *j = arg;
    const params *p = j->p;
    const int64_t blocks = hone_tasks(p->samples, BLOCK);
    block *b = block_at(hone_step_worker_scratch(j->step, j->frame, worker), p);
    for (int64_t i = begin; i < end; i++) {
        int64_t n = i / blocks, first = i % blocks * BLOCK;
        read_block(p, j->grid, n, first, b);
        if (p->sampling.mode == HONE_SAMPLE_NEAREST)
            hone_sampling_nearest(&p->sampling, b->coordinates, b->n, b->from);
        else
            find_taps(p, b, -1);
        for (int64_t c = n * p->channels; c < (n + 1) * p->channels; c++) {
            int64_t from = c * p->space, to = c * p->samples + first;
            if (p->sampling.mode == HONE_SAMPLE_NEAREST)
                hone_take(p->element, j->x + (size_t)from * p->element.size, b->from, b->n, zero, j->y, to);
            else
                weigh(p, b, j->x, from, j->y + (size_t)to * hone_dtype_size(p->computes));
        }
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p,
             step,
             frame,
             .x = hone_step_in(step, frame, X),
             .grid = hone_step_in(step, frame, GRID),
             .y = hone_step_out(step, frame, 0)};
    char *y = j.y, *scratch = p->x_bytes ? hone_step_scratch(step, frame) : NULL;
    if (scratch) {
        hone_cast(p->dtype, p->computes, j.x, scratch, p->n * p->channels * p->space);
        j.x = scratch;
        j.y = scratch + p->x_bytes;
    }
    hone_cut_run(&p->cut, frame, sample, &j);
    if (scratch) hone_cast(p->computes, p->dtype, j.y, y, p->n * p->channels * p->samples);
    return HONE_OK;
}

static params *make_params(hone_prepare *p, const hone_type *x, const hone_type *grid) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return NULL;
    read_modes(p->node, &q->sampling);
    q->sampling.rank = x->rank - 2;
    hone_strides_of(x->rank - 2, x->dims + 2, q->sampling.strides);
    memcpy(q->sampling.dims, x->dims + 2, (size_t)(x->rank - 2) * sizeof *x->dims);
    q->element = hone_element_of(x->dtype);
    q->dtype = x->dtype;
    q->computes = x->dtype == HONE_FLOAT64 || hone_dtype_bits(x->dtype) == 64 || x->dtype == HONE_INT32 ||
                          x->dtype == HONE_UINT32
                      ? HONE_FLOAT64
                      : HONE_FLOAT32;
    q->grid = grid->dtype;
    q->taps = hone_sampling_taps(&q->sampling);
    q->n = x->dims[0];
    q->channels = x->dims[1];
    q->space = hone_dims_product(x, 2, x->rank);
    q->samples = hone_dims_product(grid, 1, grid->rank - 1);
    p->worker_scratch = block_bytes(q);
    return q;
}

static hone_status check_space(const hone_prepare *p, const params *q, hone_error *err) {
    if (q->space || !q->samples || !q->n || !q->channels) return HONE_OK;
    return hone_prepare_fail(p, err, "there are no elements to sample");
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = make_params(p, p->in[X], p->in[GRID]);
    if (!q) return hone_fail_memory(err);
    HONE_TRY(check_space(p, q, err));
    bool moves = q->sampling.mode == HONE_SAMPLE_NEAREST;
    if (moves && q->element.size == 0) return hone_prepare_fail(p, err, "of elements that share bytes");
    double each = BLOCK * (30 * (double)q->taps + 1.5 * (double)(q->channels * q->taps));
    q->cut = hone_cut_make(q->channels ? q->n * hone_tasks(q->samples, BLOCK) : 0, each, 1);
    if (!moves && q->computes != q->dtype) {
        size_t size = hone_dtype_size(q->computes);
        q->x_bytes = ((size_t)(q->n * q->channels * q->space) * size + 63) / 64 * 64 + 64;
        p->scratch = q->x_bytes + (size_t)(q->n * q->channels * q->samples) * size;
    }
    p->params = q;
    p->run = run;
    p->kernel = "sample";
    return HONE_OK;
}

static void gradient(hone_gradient *ctx) {
    static const char *const ops[] = {"GridSampleGradX", "GridSampleGradGrid"};
    const hone_node *n = ctx->node;
    for (int i = X; i <= GRID; i++) {
        if (!ctx->wanted[i]) continue;
        ctx->din[i] =
            HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, ops[i], n->inputs[X], n->inputs[GRID], ctx->dout[0]);
        if (ctx->din[i]) hone_node_copy_attrs(ctx->graph, ctx->din[i]->producer, n);
    }
}

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define ATTRIBUTES                                                                                           \
    .attrs = HONE_ATTRS({"mode", HONE_ATTR_STRING, .s = "linear"},                                           \
                        {"padding_mode", HONE_ATTR_STRING, .s = "zeros"}, {"align_corners", HONE_ATTR_INT})

/* Opset 16 had planes alone, and other names of the modes. */
static hone_status lift_names(hone_graph *g, hone_node *n, hone_error *err) {
    hone_sampling s;
    if (read_modes(n, &s))
        hone_node_set_string(g, n, "mode",
                             s.mode == HONE_SAMPLE_LINEAR  ? "linear"
                             : s.mode == HONE_SAMPLE_CUBIC ? "cubic"
                                                           : "nearest");
    return hone_graph_check(g, err);
}

const hone_op hone_op_grid_sample = {
    .name = "GridSample",
    .since = 22,
    .oldest = 16,
    .older = (const hone_op_version[]){{20, NULL, NULL}, {16, NULL, lift_names}, {0}},
    .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FIXED | HONE_TYPES_FLOAT8 | HONE_TYPE(HONE_STRING), 0},
                         {"grid", 0, FLOATS, 0}),
    .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPES_FIXED | HONE_TYPES_FLOAT8 | HONE_TYPE(HONE_STRING), 0}),
    ATTRIBUTES,
    .infer = infer,
    .axes = axes,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "elements at given coordinates, or what lies between them"};

/* --- GridSampleGradX --- each tap has its share of the cotangent */

static void spread(const params *p, const block *b, const char *dy, char *dx) {
    for (int64_t i = 0; i < b->n; i++)
        for (int64_t t = b->start[i]; t < b->start[i + 1]; t++) {
            if (p->computes == HONE_FLOAT64)
                ((double *)(void *)dx)[b->from[t]] += b->weight[t] * ((const double *)(const void *)dy)[i];
            else
                ((float *)(void *)dx)[b->from[t]] += b->narrow[t] * ((const float *)(const void *)dy)[i];
        }
}

/* Items are channels. */
static void spread_channels(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const size_t size = p->element.size;
    block *b = block_at(hone_step_worker_scratch(j->step, j->frame, worker), p);
    memset(j->y + (size_t)(begin * p->space) * size, 0, (size_t)((end - begin) * p->space) * size);
    for (int64_t first = begin, last; first < end; first = last) {
        int64_t n = first / p->channels;
        last = hone_min_i64((n + 1) * p->channels, end);
        for (int64_t at = 0; at < p->samples; at += BLOCK) {
            read_block(p, j->grid, n, at, b);
            find_taps(p, b, -1);
            for (int64_t c = first; c < last; c++)
                spread(p, b, j->dy + (size_t)(c * p->samples + at) * size,
                       j->y + (size_t)(c * p->space) * size);
        }
    }
}

/* --- GridSampleGradGrid --- what a channel's sum changes by with a coordinate, times the cotangent */

/* Items are blocks of samples. */
static void change_blocks(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const int64_t blocks = hone_tasks(p->samples, BLOCK);
    const int rank = p->sampling.rank;
    const bool wide = p->computes == HONE_FLOAT64;
    block *b = block_at(hone_step_worker_scratch(j->step, j->frame, worker), p);
    for (int64_t i = begin; i < end; i++)
        for (int d = 0; d < rank; d++) {
            int64_t n = i / blocks, first = i % blocks * BLOCK;
            double change[BLOCK], sum[BLOCK] = {0};
            read_block(p, j->grid, n, first, b);
            find_taps(p, b, d);
            for (int64_t c = n * p->channels; c < (n + 1) * p->channels; c++) {
                weigh(p, b, j->x, c * p->space, change);
                for (int64_t k = 0; k < b->n; k++) {
                    int64_t at = c * p->samples + first + k;
                    sum[k] += wide ? change[k] * ((const double *)(const void *)j->dy)[at]
                                   : (double)((float *)change)[k] * ((const float *)(const void *)j->dy)[at];
                }
            }
            for (int64_t k = 0; k < b->n; k++) {
                int64_t at = (n * p->samples + first + k) * rank + rank - 1 - d;
                if (p->grid == HONE_FLOAT64)
                    ((double *)(void *)j->y)[at] = sum[k];
                else
                    ((float *)(void *)j->y)[at] = (float)sum[k];
            }
        }
}

static hone_status run_gradient(const hone_step *step, hone_frame *frame, hone_range_fn *fn) {
    const params *p = step->params;
    job j = {p,
             step,
             frame,
             .x = hone_step_in(step, frame, X),
             .grid = hone_step_in(step, frame, GRID),
             .dy = hone_step_in(step, frame, DY),
             .y = hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, fn, &j);
    return HONE_OK;
}

static hone_status run_gradient_x(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    return run_gradient(step, frame, spread_channels);
}
static hone_status run_gradient_grid(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    return run_gradient(step, frame, change_blocks);
}

static hone_status prepare_gradient(hone_prepare *p, bool of_grid, hone_error *err) {
    params *q = make_params(p, p->in[X], p->in[GRID]);
    if (!q) return hone_fail_memory(err);
    double taps = (double)q->taps;
    q->cut = of_grid ? hone_cut_make(q->n * hone_tasks(q->samples, BLOCK),
                                     BLOCK * q->sampling.rank * taps * (30 + 2 * (double)q->channels), 1)
                     : hone_cut_make(q->n * q->channels, 10 * taps * (double)q->samples + 1,
                                     q->channels > 8 ? 8 : 1);
    p->params = q;
    p->run = of_grid ? run_gradient_grid : run_gradient_x;
    p->kernel = "sampling's gradient";
    return HONE_OK;
}

static hone_status prepare_gradient_x(hone_prepare *p, hone_error *err) {
    return prepare_gradient(p, false, err);
}
static hone_status prepare_gradient_grid(hone_prepare *p, hone_error *err) {
    return prepare_gradient(p, true, err);
}

static hone_status infer_gradient_x(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, X);
}
static hone_status infer_gradient_grid(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, GRID);
}

#define GRADIENT(of, var)                                                                                    \
    .domain = HONE_PRIVATE_DOMAIN, .since = 1, .oldest = 1,                                                  \
    .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FLOAT, 0}, {"grid", 'G', HONE_TYPES_FLOAT, 0},                \
                         {"dY", 'T', HONE_TYPES_FLOAT, 0}),                                                  \
    .outputs = HONE_SLOTS({of, var, HONE_TYPES_FLOAT, 0}), ATTRIBUTES

const hone_op hone_op_grid_sample_grad_x = {.name = "GridSampleGradX",
                                            GRADIENT("dX", 'T'),
                                            .infer = infer_gradient_x,
                                            .prepare = prepare_gradient_x,
                                            .doc = "the gradient of GridSample to what is sampled"};

const hone_op hone_op_grid_sample_grad_grid = {.name = "GridSampleGradGrid",
                                               GRADIENT("dgrid", 'G'),
                                               .infer = infer_gradient_grid,
                                               .prepare = prepare_gradient_grid,
                                               .doc = "the gradient of GridSample to the coordinates"};
