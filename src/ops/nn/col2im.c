/* Col2Im: blocks of an image put back into it, where they overlap their sum; and its gradient, which takes
 * them out.
 *
 *   X [N, C taps, positions], Y [N, C, axes …]: tap t of the block at position o is element o
 *   stride - pad + t dilation */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/positions.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

#include <string.h>

#define AXES (HONE_MAX_RANK - 2)
#define LARGEST ((int64_t)1 << 31) /* of what a model may ask for: products of two stay far from overflow */

enum { X, IMAGE, BLOCK };

/* --- shapes --- */

typedef struct blocks {
    int axes; /* HONE_RANK_ANY: not known; then nothing is */
    int64_t block[AXES], stride[AXES], dilation[AXES], pad[AXES],
        end[AXES]; /* block: HONE_DIM_ANY: not known */
} blocks;

static hone_status read_list(const hone_infer *ctx, const char *name, int axes, int64_t least, int64_t *out,
                             hone_error *err) {
    size_t count;
    const int64_t *given = hone_node_ints(ctx->node, name, &count);
    if (count && count != (size_t)axes)
        return hone_infer_fail(ctx, err, "%s has %zu numbers for %d axes", name, count, axes);
    for (int i = 0; i < axes; i++) {
        out[i] = count ? given[i] : least;
        if (out[i] < least || out[i] > LARGEST)
            return hone_infer_fail(ctx, err, "%s can't have %lld", name, (long long)out[i]);
    }
    return HONE_OK;
}

/* The dimensions that input `input` lists: out[i] is HONE_DIM_ANY where nothing is known. */
static hone_status read_dims(const hone_infer *ctx, int input, const char *name, int64_t least, int *axes,
                             int64_t *out, hone_error *err) {
    const hone_type *t = ctx->in[input];
    hone_content c;
    if (t->rank >= 0 && t->rank != 1)
        return hone_infer_fail(ctx, err, "%s has %d dimensions where 1 is needed", name, t->rank);
    bool known = hone_infer_items(ctx, input, &c);
    int64_t count = known ? c.count : t->rank == 1 ? t->dims[0] : HONE_DIM_ANY;
    if (count < 0) return HONE_OK;
    if (count < 1 || count > AXES)
        return hone_infer_fail(ctx, err, "%s has %lld numbers", name, (long long)count);
    if (*axes >= 0 && *axes != count)
        return hone_infer_fail(ctx, err, "%s has %lld numbers for %d axes", name, (long long)count, *axes);
    *axes = (int)count;
    for (int i = 0; i < *axes; i++) {
        out[i] = known ? hone_dim_of_item(c.item[i]) : HONE_DIM_ANY;
        if (known && c.item[i].kind == HONE_ITEM_NUMBER &&
            (c.item[i].value < least || c.item[i].value > LARGEST))
            return hone_infer_fail(ctx, err, "%s can't have %lld", name, (long long)c.item[i].value);
    }
    return HONE_OK;
}

static hone_status read_blocks(const hone_infer *ctx, int block, int axes, blocks *b, hone_error *err) {
    int64_t pads[2 * AXES];
    *b = (blocks){.axes = axes};
    for (int i = 0; i < AXES; i++) b->block[i] = HONE_DIM_ANY;
    HONE_TRY(read_dims(ctx, block, "block_shape", 1, &b->axes, b->block, err));
    if (b->axes < 0) return HONE_OK;
    HONE_TRY(read_list(ctx, "strides", b->axes, 1, b->stride, err));
    HONE_TRY(read_list(ctx, "dilations", b->axes, 1, b->dilation, err));
    HONE_TRY(read_list(ctx, "pads", 2 * b->axes, 0, pads, err));
    memcpy(b->pad, pads, (size_t)b->axes * sizeof *pads);
    memcpy(b->end, pads + b->axes, (size_t)b->axes * sizeof *pads);
    return HONE_OK;
}

/* Positions of blocks along an axis of `size`; HONE_DIM_ANY where they are not known, negative otherwise:
 * none fits. */
static int64_t positions(const blocks *b, int axis, int64_t size) {
    if (size < 0 || b->block[axis] < 0) return HONE_DIM_ANY;
    int64_t room = size + b->pad[axis] + b->end[axis] - (b->block[axis] - 1) * b->dilation[axis] - 1;
    return room < 0 ? 0 : room / b->stride[axis] + 1;
}

/* `image`: the spatial dimensions, as far as they are known. */
static hone_status check_input(const hone_infer *ctx, const blocks *b, const hone_type *x,
                               const int64_t *image, hone_error *err) {
    int64_t count[AXES], taps = hone_known_product(b->block, b->axes);
    for (int i = 0; i < b->axes; i++) count[i] = positions(b, i, image[i]);
    int64_t all = hone_known_product(count, b->axes);
    if (x->dims[1] >= 0 && taps >= 0 && x->dims[1] % taps != 0)
        return hone_infer_fail(ctx, err, "%lld channels do not divide by the %lld elements of a block",
                               (long long)x->dims[1], (long long)taps);
    if (x->dims[2] >= 0 && all >= 0 && x->dims[2] != all)
        return hone_infer_fail(ctx, err, "%lld blocks where the image has room for %lld",
                               (long long)x->dims[2], (long long)all);
    return HONE_OK;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[X];
    hone_type *y = &ctx->out[0];
    int axes = HONE_RANK_ANY;
    int64_t image[AXES];
    blocks b;
    if (x->rank >= 0 && x->rank != 3)
        return hone_infer_fail(ctx, err, "the input has %d dimensions where 3 are needed", x->rank);
    HONE_TRY(read_dims(ctx, IMAGE, "image_shape", 0, &axes, image, err));
    HONE_TRY(read_blocks(ctx, BLOCK, axes, &b, err));
    if (b.axes < 0) return HONE_OK;
    for (int i = 0; i < b.axes && axes < 0; i++) image[i] = HONE_DIM_ANY;
    y->rank = 2 + b.axes;
    y->dims[0] = y->dims[1] = HONE_DIM_ANY;
    memcpy(y->dims + 2, image, (size_t)b.axes * sizeof *image);
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(check_input(ctx, &b, x, image, err));
    int64_t taps = hone_known_product(b.block, b.axes);
    y->dims[0] = x->dims[0];
    if (x->dims[1] >= 0 && taps >= 0) y->dims[1] = x->dims[1] / taps;
    if (taps == 1) y->dims[1] = x->dims[1];
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    if (n->inputs[X]->type.rank == 3) hone_axes_same(out, X, 0, 0);
}

/* --- running --- */

typedef struct params {
    blocks b;
    hone_dtype dtype;
    size_t size; /* of an element */
    int64_t taps, positions, plane;
    int64_t dims[AXES], count[AXES]; /* of the image, and positions along each axis */
    const int64_t *at;               /* [count of the last axis]: i stride */
    hone_cut cut;                    /* of the planes */
} params;

typedef struct job {
    const params *p;
    const char *x;
    char *y;
} job;

/* Where tap `tap` of the blocks at line `line` of positions lies; false: outside. */
static bool find_line(const params *p, int64_t tap, int64_t line, int64_t *start) {
    int64_t step = 1;
    *start = 0;
    for (int d = p->b.axes - 1; d >= 0; d--) {
        int64_t t = tap % p->b.block[d] * p->b.dilation[d] - p->b.pad[d], i = t;
        tap /= p->b.block[d];
        if (d < p->b.axes - 1) {
            i += line % p->count[d] * p->b.stride[d];
            line /= p->count[d];
            if (i < 0 || i >= p->dims[d]) return false;
        }
        *start += i * step;
        step *= p->dims[d];
    }
    return true;
}

/* Positions [*j0, *j1) of a line see an element of the image by that tap. */
static void find_inside(const params *p, int64_t tap, int64_t *j0, int64_t *j1) {
    const int d = p->b.axes - 1;
    int64_t stride = p->b.stride[d], first = tap % p->b.block[d] * p->b.dilation[d] - p->b.pad[d];
    *j0 = first >= 0 ? 0 : (-first + stride - 1) / stride;
    int64_t room = p->dims[d] - 1 - first;
    *j1 = room < 0 ? 0 : hone_min_i64(p->count[d], room / stride + 1);
}

/* Items are planes of the image. */
static void add_blocks(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const int64_t width = p->count[p->b.axes - 1];
    memset(j->y + (size_t)(begin * p->plane) * p->size, 0, (size_t)((end - begin) * p->plane) * p->size);
    if (p->positions == 0 || p->plane == 0) return;
    for (int64_t row = begin * p->taps; row < end * p->taps; row++) {
        int64_t plane = row / p->taps, tap = row % p->taps, j0, j1, start;
        find_inside(p, tap, &j0, &j1);
        for (int64_t line = 0; line < p->positions / width && j0 < j1; line++) {
            if (!find_line(p, tap, line, &start)) continue;
            int64_t from = row * p->positions + line * width + j0,
                    to = plane * p->plane + start + j0 * p->b.stride[p->b.axes - 1];
            hone_combine(p->dtype, HONE_COMBINE_ADD, j->x + (size_t)from * p->size, p->at, j1 - j0,
                         j->y + (size_t)to * p->size);
        }
    }
}

/* Items are planes of the image, which x is here. */
static void take_blocks(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const int64_t width = p->count[p->b.axes - 1];
    size_t row_bytes = (size_t)p->positions * p->size;
    if (p->positions == 0) return;
    memset(j->y + (size_t)(begin * p->taps) * row_bytes, 0, (size_t)((end - begin) * p->taps) * row_bytes);
    if (p->plane == 0) return;
    for (int64_t row = begin * p->taps; row < end * p->taps; row++) {
        int64_t plane = row / p->taps, tap = row % p->taps, j0, j1, start;
        find_inside(p, tap, &j0, &j1);
        for (int64_t line = 0; line < p->positions / width && j0 < j1; line++) {
            if (!find_line(p, tap, line, &start)) continue;
            int64_t to = row * p->positions + line * width + j0, stride = p->b.stride[p->b.axes - 1],
                    from = plane * p->plane + start + j0 * stride;
            hone_move_rows(p->size, j->x + (size_t)from * p->size, 0, stride, j->y + (size_t)to * p->size, 0,
                           1, j1 - j0);
        }
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_step_in(step, frame, X), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, add_blocks, &j);
    return HONE_OK;
}

static hone_status run_gradient(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_step_in(step, frame, X), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, take_blocks, &j);
    return HONE_OK;
}

/* Of blocks `x` and an image `y`. */
static hone_status make(hone_prepare *p, const hone_type *x, const hone_type *y, int block, params **out,
                        hone_error *err) {
    const hone_infer ctx = {
        .node = p->node, .input_count = p->in_count, .in = p->in, .constant = p->constant};
    params *q = *out = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    HONE_TRY(read_blocks(&ctx, block, y->rank - 2, &q->b, err));
    q->dtype = y->dtype;
    q->size = hone_dtype_size(y->dtype);
    q->taps = hone_known_product(q->b.block, q->b.axes);
    if (q->taps < 0) return hone_prepare_fail(p, err, "block_shape is not known");
    q->positions = hone_type_count(x) ? x->dims[2] : 0;
    q->plane = hone_type_count(y) ? hone_dims_product(y, 2, y->rank) : 0;
    for (int i = 0; i < q->b.axes; i++) {
        q->dims[i] = y->dims[2 + i];
        q->count[i] = positions(&q->b, i, q->dims[i]);
    }
    int64_t width = q->count[q->b.axes - 1], stride = q->b.stride[q->b.axes - 1];
    if (q->positions && stride > 1) {
        int64_t *at = hone_prepare_alloc(p, (size_t)width * sizeof *at);
        if (!at) return hone_fail_memory(err);
        for (int64_t i = 0; i < width; i++) at[i] = i * stride;
        q->at = at;
    }
    bool any = hone_type_count(x) > 0 || hone_type_count(y) > 0;
    double lines = q->positions ? (double)(q->positions / width) * (double)q->taps : 0;
    q->cut = hone_cut_make(any ? y->dims[0] * y->dims[1] : 0,
                           1 + 0.1 * (double)q->plane + lines * (20 + 0.7 * (double)width), 1);
    p->params = q;
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q;
    p->run = run;
    p->kernel = "blocks added";
    return make(p, p->in[X], &p->out[0], BLOCK, &q, err);
}

static void gradient(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    if (!ctx->wanted[X]) return;
    hone_value *dx = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "Col2ImGrad", ctx->dout[0], n->inputs[BLOCK],
                               n->inputs[X]);
    if (dx) hone_node_copy_attrs(ctx->graph, dx->producer, n);
    ctx->din[X] = dx;
}

#define ATTRIBUTES                                                                                           \
    .attrs = HONE_ATTRS({"dilations", HONE_ATTR_INTS}, {"pads", HONE_ATTR_INTS}, {"strides", HONE_ATTR_INTS})

const hone_op hone_op_col2im = {.name = "Col2Im",
                                .since = 18,
                                .oldest = 18,
                                .widened = HONE_TYPES_HALF,
                                .inputs =
                                    HONE_SLOTS({"input", 'T', HONE_TYPES_FIXED, 0},
                                               {"image_shape", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_SHAPE},
                                               {"block_shape", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_SHAPE}),
                                .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_FIXED, 0}),
                                ATTRIBUTES,
                                .infer = infer,
                                .axes = axes,
                                .prepare = prepare,
                                .gradient_kind = HONE_GRADIENT_EXACT,
                                .gradient = gradient,
                                .doc = "blocks of an image put back into it, added where they overlap"};

/* --- Col2ImGrad --- of dY, the block's shape, as X */

enum { DY, GRAD_BLOCK, LIKE };

static hone_status infer_gradient(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, LIKE);
}

static hone_status prepare_gradient(hone_prepare *p, hone_error *err) {
    params *q;
    p->run = run_gradient;
    p->kernel = "blocks taken";
    return make(p, &p->out[0], p->in[DY], GRAD_BLOCK, &q, err);
}

const hone_op hone_op_col2im_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "Col2ImGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dY", 'T', HONE_TYPES_FLOAT, 0},
                         {"block_shape", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_SHAPE},
                         {"X", 'T', HONE_TYPES_FLOAT, 0}),
    .outputs = HONE_SLOTS({"dX", 'T', HONE_TYPES_FLOAT, 0}),
    ATTRIBUTES,
    .infer = infer_gradient,
    .prepare = prepare_gradient,
    .doc = "the gradient of Col2Im: the blocks of an image"};
