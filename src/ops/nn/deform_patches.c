/* DeformPatches: what the taps of a deformable convolution read (deform_conv.c), and its gradients. Samples
 * are done some at a time: what each is a sum of is found once, and then used for all channels that share
 * offsets. */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/portable.h"
#include "kernels/positions.h"
#include "kernels/sampling.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"
#include "ops/nn/deform.h"

#include <string.h>

enum { X, OFFSET, MASK, DY };
enum { BLOCK = 32 }; /* samples at a time */

/* --- shapes --- X [N, C, …], offset [N, groups taps rank, …], mask [N, groups taps, …],
 * Y [N, group, C / group taps, positions] */

/* `t` (may be NULL), offsets or factors, has `each` rows for each tap of each group, and a column for each
 * position. */
static hone_status check_rows(const hone_infer *ctx, const char *name, const hone_type *t, int64_t each,
                              const hone_type *x, const hone_window *w, int64_t *positions, hone_error *err) {
    int64_t same, taps = hone_known_product(w->kernel, w->axes),
                  groups = hone_node_int(ctx->node, "offset_group");
    int64_t rows = hone_known_product((int64_t[]){taps, groups, each}, 3);
    if (!t || t->rank < 0) return HONE_OK;
    if (t->rank != x->rank)
        return hone_infer_fail(ctx, err, "%s of rank %d for an input of rank %d", name, t->rank, x->rank);
    HONE_TRY(hone_infer_same_dim(ctx, x->dims[0], t->dims[0], &same, err));
    if (rows >= 0 && t->dims[1] >= 0 && t->dims[1] != rows)
        return hone_infer_fail(ctx, err, "%s with %lld rows for %lld groups of %lld taps", name,
                               (long long)t->dims[1], (long long)groups, (long long)taps);
    for (int i = 0; i < w->axes; i++)
        HONE_TRY(hone_infer_same_dim(ctx, positions[i], t->dims[2 + i], &positions[i], err));
    return HONE_OK;
}

static hone_status check_groups(const hone_infer *ctx, int64_t channels, const char *name, hone_error *err) {
    int64_t groups = hone_node_int(ctx->node, name);
    if (groups < 1) return hone_infer_fail(ctx, err, "%s %lld", name, (long long)groups);
    if (channels >= 0 && channels % groups != 0)
        return hone_infer_fail(ctx, err, "%lld channels in %lld groups", (long long)channels,
                               (long long)groups);
    return HONE_OK;
}

hone_status hone_deform_check(const hone_infer *ctx, const hone_window *w, const hone_type *x,
                              const hone_type *offset, const hone_type *mask, int64_t *positions,
                              hone_error *err) {
    hone_type y;
    HONE_TRY(check_groups(ctx, x->dims[1], "group", err));
    HONE_TRY(check_groups(ctx, x->dims[1], "offset_group", err));
    HONE_TRY(hone_window_infer(ctx, w, x, &y, err));
    for (int i = 0; i < w->axes; i++) positions[i] = y.dims[2 + i];
    HONE_TRY(check_rows(ctx, "offset", offset, w->axes, x, w, positions, err));
    return check_rows(ctx, "mask", mask, 1, x, w, positions, err);
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[X], *mask = ctx->input_count > MASK ? ctx->in[MASK] : NULL;
    hone_type *y = &ctx->out[0];
    int64_t group = hone_node_int(ctx->node, "group"), rows = HONE_DIM_ANY, positions[HONE_WINDOW_AXES];
    hone_window w;
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(hone_window_read(ctx->node, x->rank, NULL, &w, err));
    HONE_TRY(hone_deform_check(ctx, &w, x, ctx->in[OFFSET], mask, positions, err));
    int64_t taps = hone_known_product(w.kernel, w.axes);
    if (x->dims[1] >= 0 && __builtin_mul_overflow(x->dims[1] / group, taps, &rows))
        return hone_infer_fail(ctx, err, "too many taps");
    y->rank = 4;
    y->dims[0] = x->dims[0];
    y->dims[1] = group;
    y->dims[2] = rows;
    y->dims[3] = hone_known_product(positions, w.axes);
    return HONE_OK;
}

typedef struct params {
    hone_sampling sampling;
    hone_dtype dtype;
    size_t size; /* of an element */
    hone_window window;
    int64_t out[HONE_WINDOW_AXES];
    int64_t n, channels, space, groups, taps, positions; /* groups: of offsets */
    int corners;                                         /* elements of a sample */
    hone_cut cut;
} params;

/* Of one worker: a block of samples. */
typedef struct block {
    int64_t n, start[BLOCK + 1], *from;
    double coordinates[BLOCK * HONE_WINDOW_AXES], factor[BLOCK], *weight;
    float *narrow; /* the weights as float */
} block;

static size_t block_bytes(const params *p) {
    return sizeof(block) + (size_t)(p->corners * BLOCK) * (sizeof(int64_t) + sizeof(double) + sizeof(float));
}

static block *block_at(void *scratch, const params *p) {
    block *b = scratch;
    b->from = (int64_t *)(b + 1);
    b->weight = (double *)(b->from + p->corners * BLOCK);
    b->narrow = (float *)(b->weight + p->corners * BLOCK);
    return b;
}

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const char *x, *offset, *mask, *dy;
    char *y;
} job;

static const void *element(const params *p, const char *x, int64_t i) {
    return x + (size_t)i * p->size;
}

/* Where tap `tap` of positions [first, …) reads; `row`: (image, group of offsets). */
static void read_block(const job *j, int64_t row, int64_t tap, int64_t first, block *b) {
    const params *p = j->p;
    const int axes = p->window.axes;
    double offsets[BLOCK];
    b->n = hone_min_i64(BLOCK, p->positions - first);
    for (int d = axes - 1, to = 0; d >= 0; d--, to++) {
        int64_t at = ((row * p->taps + tap) * axes + d) * p->positions + first, inner = 1, within = 1;
        for (int k = d + 1; k < axes; k++) {
            inner *= p->out[k];
            within *= p->window.kernel[k];
        }
        int64_t begin = tap / within % p->window.kernel[d] * p->window.dilation[d] - p->window.pad[d];
        hone_cast(p->dtype, HONE_FLOAT64, element(p, j->offset, at), offsets, b->n);
        for (int64_t i = 0; i < b->n; i++) {
            int64_t o = (first + i) / inner % p->out[d];
            b->coordinates[i * axes + to] = (double)(o * p->window.stride[d] + begin) + offsets[i];
        }
    }
    for (int64_t i = 0; i < b->n; i++) b->factor[i] = 1;
    if (j->mask)
        hone_cast(p->dtype, HONE_FLOAT64, element(p, j->mask, (row * p->taps + tap) * p->positions + first),
                  b->factor, b->n);
}

/* The elements of each sample and their weights, which `scale` (may be NULL) multiplies; `along` as of
 * hone_sampling_find. */
static void find_taps(const params *p, block *b, int along, const double *scale) {
    hone_sampling_find(&p->sampling, b->coordinates, b->n, along, b->start, b->from, b->weight);
    for (int64_t i = 0; i < b->n && scale; i++)
        for (int64_t t = b->start[i]; t < b->start[i + 1]; t++) b->weight[t] *= scale[i];
    for (int64_t t = 0; t < b->start[b->n]; t++) b->narrow[t] = (float)b->weight[t];
}

static void weigh(const params *p, const block *b, const char *x, int64_t channel, void *out) {
    const void *from = element(p, x, channel * p->space);
    if (p->dtype == HONE_FLOAT64)
        hone_weigh_f64(from, b->start, b->from, b->weight, b->n, 0, out);
    else
        hone_weigh_f32(from, b->start, b->from, b->narrow, b->n, 0, out);
}

/* --- forward --- */

/* Items are blocks of (image, group of offsets, tap, positions). */
static void sample(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const int64_t blocks = hone_tasks(p->positions, BLOCK), each = p->channels / p->groups;
    block *b = block_at(hone_step_worker_scratch(j->step, j->frame, worker), p);
    for (int64_t i = begin; i < end; i++) {
        int64_t first = i % blocks * BLOCK, tap = i / blocks % p->taps, row = i / blocks / p->taps;
        read_block(j, row, tap, first, b);
        find_taps(p, b, -1, j->mask ? b->factor : NULL);
        for (int64_t c = row * each; c < (row + 1) * each; c++) /* of all images */
            weigh(p, b, j->x, c, j->y + (size_t)((c * p->taps + tap) * p->positions + first) * p->size);
    }
}

static hone_status run_with(const hone_step *step, hone_frame *frame, hone_range_fn *fn) {
    const params *p = step->params;
    job j = {p,
             step,
             frame,
             .x = hone_step_in(step, frame, X),
             .offset = hone_step_in(step, frame, OFFSET),
             .mask = hone_step_in(step, frame, MASK),
             .dy = hone_step_in(step, frame, DY),
             .y = hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, fn, &j);
    return HONE_OK;
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    return run_with(step, frame, sample);
}

static hone_status make(hone_prepare *p, params **out, hone_error *err) {
    const hone_type *x = p->in[X], *offset = p->in[OFFSET];
    params *q = *out = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    HONE_TRY(hone_window_read(p->node, x->rank, NULL, &q->window, err));
    const int axes = q->window.axes;
    *q = (params){
        .sampling = {.mode = HONE_SAMPLE_LINEAR, .padding = HONE_SAMPLE_ZEROS, .plain = true, .rank = axes},
        .dtype = x->dtype,
        .size = hone_dtype_size(x->dtype),
        .window = q->window,
        .n = x->dims[0],
        .channels = x->dims[1],
        .space = hone_type_count(x) ? hone_dims_product(x, 2, x->rank) : 0,
        .groups = hone_node_int(p->node, "offset_group"),
        .taps = 1,
        .positions = hone_type_count(offset) ? hone_dims_product(offset, 2, offset->rank) : 0};
    int64_t stride = 1;
    for (int d = axes - 1; d >= 0; d--) {
        q->sampling.dims[d] = q->space ? x->dims[2 + d] : 0;
        q->sampling.strides[d] = stride;
        stride *= q->sampling.dims[d];
        q->out[d] = offset->dims[2 + d];
        q->taps *= q->window.kernel[d];
    }
    q->corners = hone_sampling_taps(&q->sampling);
    p->worker_scratch = block_bytes(q);
    p->params = q;
    return HONE_OK;
}

/* By blocks, each element of whose samples takes so many nanoseconds a channel. */
static void cut_blocks(params *q, double nanoseconds) {
    int64_t rows = q->positions ? q->n * q->groups * q->taps : 0, each = q->channels / q->groups;
    double sample = 20 + q->corners * (3 + nanoseconds * (double)each);
    q->cut = hone_cut_make(rows * hone_tasks(q->positions, BLOCK), BLOCK * sample, 1);
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(make(p, &q, err));
    cut_blocks(q, 0.5);
    p->run = run;
    p->kernel = "deformed patches";
    return HONE_OK;
}

static hone_value *emit(hone_gradient *ctx, const char *op) {
    const hone_node *n = ctx->node;
    hone_value *mask = n->input_count > MASK ? n->inputs[MASK] : NULL;
    hone_value *d =
        HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, op, n->inputs[X], n->inputs[OFFSET], mask, ctx->dout[0]);
    if (d) hone_node_copy_attrs(ctx->graph, d->producer, n);
    return d;
}

static void gradient(hone_gradient *ctx) {
    static const char *const ops[] = {"DeformPatchesGradX", "DeformPatchesGradOffset",
                                      "DeformPatchesGradMask"};
    for (int i = 0; i <= MASK && i < ctx->node->input_count; i++)
        if (ctx->wanted[i]) ctx->din[i] = emit(ctx, ops[i]);
}

const hone_op hone_op_deform_patches = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "DeformPatches",
    .since = 1,
    .oldest = 1,
    .widened = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FLOAT | HONE_TYPES_HALF, 0},
                         {"offset", 'T', HONE_TYPES_FLOAT | HONE_TYPES_HALF, 0},
                         {"mask", 'T', HONE_TYPES_FLOAT | HONE_TYPES_HALF, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPES_FLOAT | HONE_TYPES_HALF, 0}),
    .attrs = HONE_ATTRS(HONE_DEFORM_ATTRS),
    .infer = infer,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "what the taps of a deformable convolution read: rows (channel, tap), columns positions"};

/* --- gradients --- of X, offset, mask, dY */

static double number(const params *p, const void *x, int64_t i) {
    return p->dtype == HONE_FLOAT64 ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

static void put_number(const params *p, double x, void *y, int64_t i) {
    if (p->dtype == HONE_FLOAT64)
        ((double *)y)[i] = x;
    else
        ((float *)y)[i] = (float)x;
}

/* dx[from] += weight dy */
static void spread(const params *p, const block *b, const void *dy, void *dx) {
    for (int64_t i = 0; i < b->n; i++)
        for (int64_t t = b->start[i]; t < b->start[i + 1]; t++) {
            if (p->dtype == HONE_FLOAT64)
                ((double *)dx)[b->from[t]] += b->weight[t] * ((const double *)dy)[i];
            else
                ((float *)dx)[b->from[t]] += b->narrow[t] * ((const float *)dy)[i];
        }
}

/* Items are channels of all images. */
static void spread_channels(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const int64_t each = p->channels / p->groups;
    block *b = block_at(hone_step_worker_scratch(j->step, j->frame, worker), p);
    memset(j->y + (size_t)(begin * p->space) * p->size, 0, (size_t)((end - begin) * p->space) * p->size);
    for (int64_t first = begin, last; first < end; first = last) {
        int64_t row = first / each;
        last = hone_min_i64((row + 1) * each, end);
        for (int64_t tap = 0; tap < p->taps; tap++)
            for (int64_t at = 0; at < p->positions; at += BLOCK) {
                read_block(j, row, tap, at, b);
                find_taps(p, b, -1, j->mask ? b->factor : NULL);
                for (int64_t c = first; c < last; c++)
                    spread(p, b, element(p, j->dy, (c * p->taps + tap) * p->positions + at),
                           j->y + (size_t)(c * p->space) * p->size);
            }
    }
}

/* sum[i] = of the group's channels: what the taps weigh, times the cotangent. */
static void sum_channels(const job *j, const block *b, int64_t row, int64_t tap, int64_t first, double *sum) {
    const params *p = j->p;
    const int64_t each = p->channels / p->groups;
    double sampled[BLOCK];
    memset(sum, 0, BLOCK * sizeof *sum);
    for (int64_t c = row * each; c < (row + 1) * each; c++) {
        const void *dy = element(p, j->dy, (c * p->taps + tap) * p->positions + first);
        weigh(p, b, j->x, c, sampled);
        for (int64_t i = 0; i < b->n; i++) sum[i] += number(p, sampled, i) * number(p, dy, i);
    }
}

/* Items are as in `sample`. */
static void change_offsets(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const int64_t blocks = hone_tasks(p->positions, BLOCK), axes = p->window.axes;
    block *b = block_at(hone_step_worker_scratch(j->step, j->frame, worker), p);
    for (int64_t i = begin; i < end; i++) {
        int64_t first = i % blocks * BLOCK, tap = i / blocks % p->taps, row = i / blocks / p->taps;
        read_block(j, row, tap, first, b);
        for (int d = 0; d < axes; d++) {
            double sum[BLOCK];
            find_taps(p, b, d, j->mask ? b->factor : NULL);
            sum_channels(j, b, row, tap, first, sum);
            for (int64_t k = 0; k < b->n; k++)
                put_number(p, sum[k], j->y, ((row * p->taps + tap) * axes + d) * p->positions + first + k);
        }
    }
}

static void change_mask(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const int64_t blocks = hone_tasks(p->positions, BLOCK);
    block *b = block_at(hone_step_worker_scratch(j->step, j->frame, worker), p);
    for (int64_t i = begin; i < end; i++) {
        int64_t first = i % blocks * BLOCK, tap = i / blocks % p->taps, row = i / blocks / p->taps;
        double sum[BLOCK];
        read_block(j, row, tap, first, b);
        find_taps(p, b, -1, NULL);
        sum_channels(j, b, row, tap, first, sum);
        for (int64_t k = 0; k < b->n; k++)
            put_number(p, sum[k], j->y, (row * p->taps + tap) * p->positions + first + k);
    }
}

static hone_status run_x(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    return run_with(step, frame, spread_channels);
}
static hone_status run_offset(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    return run_with(step, frame, change_offsets);
}
static hone_status run_mask(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    return run_with(step, frame, change_mask);
}

static hone_status prepare_x(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(make(p, &q, err));
    q->cut =
        hone_cut_make(q->space ? q->n * q->channels : 0,
                      1 + 0.1 * (double)q->space + 10.0 * q->corners * (double)(q->taps * q->positions), 1);
    p->run = run_x;
    p->kernel = "deformed patches' gradient";
    return HONE_OK;
}
static hone_status prepare_offset(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(make(p, &q, err));
    cut_blocks(q, 0.6 * q->window.axes);
    p->run = run_offset;
    p->kernel = "deformed patches' gradient";
    return HONE_OK;
}
static hone_status prepare_mask(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(make(p, &q, err));
    cut_blocks(q, 0.6);
    p->run = run_mask;
    p->kernel = "deformed patches' gradient";
    return HONE_OK;
}

static hone_status infer_x(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, X);
}
static hone_status infer_offset(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, OFFSET);
}
static hone_status infer_mask(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, MASK);
}

#define GRADIENT(of, mask_flags)                                                                             \
    .domain = HONE_PRIVATE_DOMAIN, .since = 1, .oldest = 1,                                                  \
    .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FLOAT, 0}, {"offset", 'T', HONE_TYPES_FLOAT, 0},              \
                         {"mask", 'T', HONE_TYPES_FLOAT, mask_flags}, {"dY", 'T', HONE_TYPES_FLOAT, 0}),     \
    .outputs = HONE_SLOTS({of, 'T', HONE_TYPES_FLOAT, 0}), .attrs = HONE_ATTRS(HONE_DEFORM_ATTRS)

const hone_op hone_op_deform_patches_grad_x = {.name = "DeformPatchesGradX",
                                               GRADIENT("dX", HONE_SLOT_OPTIONAL),
                                               .infer = infer_x,
                                               .prepare = prepare_x,
                                               .doc = "the gradient of DeformPatches to what is read"};

const hone_op hone_op_deform_patches_grad_offset = {.name = "DeformPatchesGradOffset",
                                                    GRADIENT("doffset", HONE_SLOT_OPTIONAL),
                                                    .infer = infer_offset,
                                                    .prepare = prepare_offset,
                                                    .doc = "the gradient of DeformPatches to the offsets"};

const hone_op hone_op_deform_patches_grad_mask = {.name = "DeformPatchesGradMask",
                                                  GRADIENT("dmask", 0),
                                                  .infer = infer_mask,
                                                  .prepare = prepare_mask,
                                                  .doc = "the gradient of DeformPatches to the factors"};
