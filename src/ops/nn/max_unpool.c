/* MaxUnpool: maxima put back where MaxPool has found them, among zeros. Indices count the elements of what
 * the windows make; an output that is larger has that in its first corner. */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/positions.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"
#include "ops/engine/window.h"

#include <stdatomic.h>
#include <string.h>

enum { X, INDEX, SHAPE };
enum { BLOCK = 256 };

/* --- shapes --- */

/* Spatial dimensions of what windows make of x. */
static hone_status find_made(const hone_node *n, const hone_type *x, int64_t *made, hone_error *err) {
    hone_window w;
    HONE_TRY(hone_window_read(n, x->rank, NULL, &w, err));
    for (int i = 0; i < w.axes; i++) {
        int64_t size = x->dims[2 + i], rest = w.kernel[i] - w.stride[i] - w.pad[i] - w.end[i];
        made[i] = rest == 0 && w.stride[i] == 1 ? size : HONE_DIM_ANY;
        if (size == 0) made[i] = 0;
        if (size <= 0) continue;
        if (__builtin_mul_overflow(size, w.stride[i], &made[i]) ||
            __builtin_add_overflow(made[i], rest, &made[i]) || made[i] < 0)
            return hone_fail_node(err, HONE_INVALID_ARGUMENT, n->name, hone_node_op_name(n),
                                  "%lld windows make no axis", (long long)size);
    }
    return HONE_OK;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[X], *index = ctx->in[INDEX],
                    *shape = SHAPE < ctx->input_count ? ctx->in[SHAPE] : NULL;
    hone_type *y = &ctx->out[0];
    int64_t made[HONE_MAX_RANK];
    hone_content c;
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(find_made(ctx->node, x, made + 2, err));
    if (index->rank >= 0 && index->rank != x->rank)
        return hone_infer_fail(ctx, err, "input and indices have %d and %d dimensions", x->rank, index->rank);
    y->rank = x->rank;
    for (int i = 0; i < x->rank; i++) {
        if (i < 2) made[i] = x->dims[i];
        y->dims[i] = shape ? HONE_DIM_ANY : made[i];
        int64_t same;
        if (index->rank >= 0) HONE_TRY(hone_infer_same_dim(ctx, x->dims[i], index->dims[i], &same, err));
    }
    if (!shape || !hone_infer_items(ctx, SHAPE, &c)) return HONE_OK;
    if (c.count != x->rank)
        return hone_infer_fail(ctx, err, "output_shape has %d numbers for %d dimensions", c.count, x->rank);
    for (int i = 0; i < x->rank; i++) {
        y->dims[i] = hone_dim_of_item(c.item[i]);
        bool wrong = i < 2 ? y->dims[i] != made[i] : y->dims[i] < made[i];
        if (c.item[i].kind == HONE_ITEM_NUMBER && (c.item[i].value < 0 || (made[i] >= 0 && wrong)))
            return hone_infer_fail(ctx, err, "output_shape has %lld where the windows make %lld",
                                   (long long)c.item[i].value, (long long)made[i]);
    }
    return HONE_OK;
}

/* --- running --- */

typedef struct params {
    hone_element element;
    int64_t count, plane;           /* of x: elements, and those of a channel */
    int64_t made_plane, made_count; /* of what the windows make */
    int64_t out_plane;              /* of the output */
    bool same;                      /* made and output */
    int64_t made[3], out[3];        /* spatial dimensions; the first ones may be 1 */
    hone_cut cut;                   /* of the channels */
} params;

typedef struct job {
    const params *p;
    const int64_t *index;
    const char *x;
    char *y;
    _Atomic int64_t bad; /* an element whose index is out of range; -1: none */
    atomic_bool strays;  /* some lie in another channel */
} job;

/* Element `i` of what is made, as one of the output. */
static int64_t place(const params *p, int64_t i) {
    if (p->same) return i;
    int64_t width = i % p->made[2], rest = i / p->made[2], height = rest % p->made[1];
    rest /= p->made[1];
    int64_t depth = rest % p->made[0], channel = rest / p->made[0];
    return channel * p->out_plane + (depth * p->out[1] + height) * p->out[2] + width;
}

/* Where elements [first, first + n) of x lie; false: one of them nowhere. *strays: one is outside of
 * `channel`. */
static bool find_places(job *j, int64_t first, int64_t n, int64_t channel, int64_t *at, bool *strays) {
    const params *p = j->p;
    for (int64_t i = 0; i < n; i++) {
        int64_t index = j->index[first + i];
        if (index < 0 || index >= p->made_count) {
            j->bad = first + i;
            return false;
        }
        *strays |= index / p->made_plane != channel;
        at[i] = place(p, index);
    }
    return true;
}

/* Items are channels. */
static void put_channels(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    job *j = arg;
    const params *p = j->p;
    size_t size = p->element.size;
    int64_t at[BLOCK];
    memset(j->y + (size_t)(begin * p->out_plane) * size, 0, (size_t)((end - begin) * p->out_plane) * size);
    for (int64_t c = begin; c < end; c++)
        for (int64_t k = 0, n; k < p->plane; k += n) {
            int64_t first = c * p->plane + k;
            bool strays = false;
            n = hone_min_i64(BLOCK, p->plane - k);
            if (!find_places(j, first, n, c, at, &strays)) return;
            if (strays)
                j->strays = true;
            else
                hone_put(p->element, j->x + (size_t)first * size, at, n, j->y);
        }
}

/* All in their order: what lies in other channels can't be put by several threads. */
static void put_all(job *j) {
    const params *p = j->p;
    int64_t at[BLOCK];
    bool strays = false;
    for (int64_t first = 0, n; first < p->count; first += n) {
        n = hone_min_i64(BLOCK, p->count - first);
        if (!find_places(j, first, n, 0, at, &strays)) return;
        hone_put(p->element, j->x + (size_t)first * p->element.size, at, n, j->y);
    }
}

/* Items are channels: the elements of x, which y is here, as they lie in the output. */
static void take_channels(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    job *j = arg;
    const params *p = j->p;
    int64_t at[BLOCK];
    bool strays = false;
    for (int64_t first = begin * p->plane, n; first < end * p->plane; first += n) {
        n = hone_min_i64(BLOCK, end * p->plane - first);
        if (!find_places(j, first, n, 0, at, &strays)) return;
        hone_take(p->element, j->x, at, n, NULL, j->y, first);
    }
}

static hone_status run_parts(const hone_step *step, hone_frame *frame, bool put, hone_error *err) {
    const params *p = step->params;
    job j = {p,
             hone_step_in(step, frame, INDEX),
             hone_step_in(step, frame, X),
             hone_step_out(step, frame, 0),
             -1,
             false};
    hone_cut_run(&p->cut, frame, put ? put_channels : take_channels, &j);
    if (j.bad >= 0)
        return hone_step_fail(step, err, "index %lld is outside [0, %lld)", (long long)j.index[j.bad],
                              (long long)p->made_count);
    if (j.strays) put_all(&j);
    return HONE_OK;
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    return run_parts(step, frame, true, err);
}
static hone_status run_gradient(const hone_step *step, hone_frame *frame, hone_error *err) {
    return run_parts(step, frame, false, err);
}

/* `x` and `y` are the types of the pooled tensor and of the other one. */
static hone_status make(hone_prepare *p, const hone_type *x, const hone_type *y, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    int64_t made[HONE_MAX_RANK];
    if (!q) return hone_fail_memory(err);
    HONE_TRY(find_made(p->node, x, made, err));
    bool empty = hone_type_count(y) == 0;
    *q = (params){.element = {hone_dtype_size(x->dtype), 0},
                  .count = hone_type_count(x),
                  .plane = hone_type_count(x) ? hone_dims_product(x, 2, x->rank) : 0,
                  .out_plane = empty ? 0 : hone_dims_product(y, 2, y->rank),
                  .same = true,
                  .made_plane = !empty,
                  .made = {1, 1, 1},
                  .out = {1, 1, 1}};
    for (int i = 0, axes = x->rank - 2; i < axes && !empty; i++) {
        q->made[3 - axes + i] = made[i];
        q->out[3 - axes + i] = y->dims[2 + i];
        q->same &= made[i] == y->dims[2 + i];
        q->made_plane *= made[i]; /* no more than the output has */
    }
    int64_t channels = q->count > 0 || !empty ? x->dims[0] * x->dims[1] : 0;
    q->made_count = channels * q->made_plane;
    q->cut = hone_cut_make(channels, 1 + 0.1 * (double)q->out_plane + 3 * (double)q->plane, 1);
    p->params = q;
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    p->run = run;
    p->kernel = "maxima put back";
    return make(p, p->in[X], &p->out[0], err);
}

static void gradient(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    if (!ctx->wanted[X]) return;
    ctx->din[X] = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "MaxUnpoolGrad", ctx->dout[0], n->inputs[INDEX]);
    if (ctx->din[X]) hone_node_copy_attrs(ctx->graph, ctx->din[X]->producer, n);
}

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define ATTRIBUTES                                                                                           \
    .attrs = HONE_ATTRS({"kernel_shape", HONE_ATTR_INTS, .required = true}, {"pads", HONE_ATTR_INTS},        \
                        {"strides", HONE_ATTR_INTS})

const hone_op hone_op_max_unpool = {
    .name = "MaxUnpool",
    .since = 22,
    .oldest = 9,
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"I", 0, HONE_TYPE(HONE_INT64), 0},
                         {"output_shape", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE}),
    .outputs = HONE_SLOTS({"output", 'T', FLOATS, 0}),
    ATTRIBUTES,
    .infer = infer,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "maxima put back where MaxPool has found them, among zeros"};

/* --- MaxUnpoolGrad --- of dY and the indices */

static hone_status infer_gradient(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, INDEX);
}

static hone_status prepare_gradient(hone_prepare *p, hone_error *err) {
    p->run = run_gradient;
    p->kernel = "maxima taken";
    return make(p, &p->out[0], p->in[X], err);
}

const hone_op hone_op_max_unpool_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "MaxUnpoolGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dY", 'T', HONE_TYPES_FLOAT, 0}, {"I", 0, HONE_TYPE(HONE_INT64), 0}),
    .outputs = HONE_SLOTS({"dX", 'T', HONE_TYPES_FLOAT, 0}),
    ATTRIBUTES,
    .infer = infer_gradient,
    .prepare = prepare_gradient,
    .doc = "the gradient of MaxUnpool: the cotangents at the indices"};
