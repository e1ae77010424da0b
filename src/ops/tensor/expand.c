/* Expand, ConstantOfShape, Range: tensors whose shapes come from content. */
#include "base/bits.h"
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/gradient.h"
#include "ops/engine/copy.h"

#include <math.h>
#include <string.h>

#define MOVED HONE_TYPES_ALL

/* Rank and dimensions from a shape: its length at least. */
static hone_status shape_from(const hone_infer *ctx, int input, hone_type *y, hone_error *err) {
    const hone_type *t = ctx->in[input];
    hone_content c;
    y->rank = HONE_RANK_ANY;
    if (t->rank >= 0 && t->rank != 1)
        return hone_infer_fail(ctx, err, "the shape has %d dimensions where 1 is needed", t->rank);
    bool known = hone_infer_items(ctx, input, &c);
    int64_t rank = known ? c.count : t->rank == 1 ? t->dims[0] : -1;
    if (rank > HONE_MAX_RANK)
        return hone_infer_fail(ctx, err, "the shape asks for more than %d dimensions", HONE_MAX_RANK);
    if (rank < 0) return HONE_OK;
    y->rank = (int)rank;
    for (int i = 0; i < y->rank; i++) {
        y->dims[i] = known ? hone_dim_of_item(c.item[i]) : HONE_DIM_ANY;
        if (known && c.item[i].kind == HONE_ITEM_NUMBER && c.item[i].value < 0)
            return hone_infer_fail(ctx, err, "the shape has a negative dimension");
    }
    return HONE_OK;
}

/* --- Expand --- */

static hone_status infer_expand(hone_infer *ctx, hone_error *err) {
    hone_type shape = {.kind = HONE_KIND_TENSOR};
    HONE_TRY(shape_from(ctx, 1, &shape, err));
    return hone_infer_broadcast(ctx, ctx->in[0], &shape, &ctx->out[0], err);
}

static void axes_expand(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[0]->type, *y = &n->outputs[0]->type;
    for (int i = 0; i < x->rank && y->rank >= x->rank; i++)
        if (x->dims[i] != 1) hone_axes_same(out, 0, i, i + y->rank - x->rank);
}

static hone_status run_expand(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    hone_copy_run(step->params, frame, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0));
    return HONE_OK;
}

static hone_status prepare_expand(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[0], *y = &p->out[0];
    hone_copy *c = hone_prepare_alloc(p, sizeof *c);
    if (!c) return hone_fail_memory(err);
    int64_t own[HONE_MAX_RANK], from[HONE_MAX_RANK] = {0}, strides[HONE_MAX_RANK];
    hone_strides_of(y->rank, y->dims, strides);
    hone_strides_of(x->rank, x->dims, own);
    for (int i = 0; i < x->rank; i++)
        if (x->dims[i] != 1) from[i + y->rank - x->rank] = own[i];
    hone_copy_make(c, y->dtype, y->rank, y->dims, from, strides);
    p->params = c;
    p->run = run_expand;
    p->kernel = "expand";
    return HONE_OK;
}

static void gradient_expand(hone_gradient *ctx) {
    if (ctx->wanted[0])
        ctx->din[0] = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "SumTo", ctx->dout[0], ctx->node->inputs[0]);
}

const hone_op hone_op_expand = {
    .name = "Expand",
    .since = 13,
    .oldest = 8,
    .inputs = HONE_SLOTS({"input", 'T', MOVED, 0}, {"shape", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_SHAPE}),
    .outputs = HONE_SLOTS({"output", 'T', MOVED, 0}),
    .infer = infer_expand,
    .axes = axes_expand,
    .prepare = prepare_expand,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient_expand,
    .quantize = HONE_QUANTIZE_BITS,
    .doc = "repeated along axes of size 1, to a shape that it broadcasts to"};

/* --- ConstantOfShape --- */

static hone_status infer_constant(hone_infer *ctx, hone_error *err) {
    const hone_tensor *value = hone_node_tensor(ctx->node, "value");
    if (value && value->count != 1) return hone_infer_fail(ctx, err, "the value must have one element");
    ctx->out[0].dtype = value ? value->dtype : HONE_FLOAT32;
    return shape_from(ctx, 0, &ctx->out[0], err);
}

static bool content_constant(const hone_infer *ctx, hone_content *out) {
    const hone_type *y = &ctx->out[0];
    const hone_tensor *value = hone_node_tensor(ctx->node, "value");
    if (!value || y->rank < 0 || !hone_type_is_concrete(y) || hone_type_count(y) > HONE_CONTENT_MAX)
        return false;
    out->count = (int)hone_type_count(y);
    for (int i = 0; i < out->count; i++)
        out->item[i] = (hone_item){HONE_ITEM_NUMBER, hone_tensor_int(value, 0)};
    return true;
}

typedef struct fill_params {
    uint8_t value[8];
    size_t size; /* 0: elements of `bits` */
    int bits;
    int64_t count;
} fill_params;

static hone_status run_constant(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const fill_params *p = step->params;
    void *y = hone_step_out(step, frame, 0);
    if (p->size)
        hone_fill(p->value, p->size, y, p->count);
    else
        hone_bits_fill(y, p->count, p->bits, p->value[0]);
    return HONE_OK;
}

static hone_status prepare_constant(hone_prepare *p, hone_error *err) {
    fill_params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const hone_tensor *value = hone_node_tensor(p->node, "value");
    *q = (fill_params){.size = hone_dtype_size(p->out[0].dtype),
                       .bits = hone_dtype_bits(p->out[0].dtype),
                       .count = hone_type_count(&p->out[0])};
    if (value) memcpy(q->value, value->data, value->bytes);
    p->params = q;
    p->run = run_constant;
    p->kernel = "fill";
    return HONE_OK;
}

const hone_op hone_op_constant_of_shape = {
    .name = "ConstantOfShape",
    .since = 25,
    .oldest = 9,
    .inputs = HONE_SLOTS({"input", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_SHAPE}),
    .outputs = HONE_SLOTS({"output", 0, HONE_TYPES_STORED, 0}),
    .attrs = HONE_ATTRS({"value", HONE_ATTR_TENSOR}),
    .infer = infer_constant,
    .content = content_constant,
    .prepare = prepare_constant,
    .gradient_kind = HONE_GRADIENT_ZERO,
    .doc = "one value everywhere, in a shape that is given"};

/* --- Range --- */

#define RANGED (HONE_TYPES_FLOAT | HONE_TYPES_INT | HONE_TYPE(HONE_INT16) | HONE_TYPES_HALF)

static double number(const hone_tensor *t) {
    double x = 0;
    hone_cast(t->dtype, HONE_FLOAT64, t->data, &x, 1);
    return x;
}

/* max(ceil((limit - start) / delta), 0); -1: delta is 0 or the length has no bounds. */
static int64_t range_length(const hone_tensor *start, const hone_tensor *limit, const hone_tensor *delta) {
    if (hone_dtype_is_int(start->dtype)) {
        int64_t a = hone_tensor_int(start, 0), b = hone_tensor_int(limit, 0), d = hone_tensor_int(delta, 0);
        if (d == 0) return -1;
        if (d > 0 ? b <= a : a <= b) return 0;
        const uint64_t span = d > 0 ? (uint64_t)b - (uint64_t)a : (uint64_t)a - (uint64_t)b;
        const uint64_t step = d > 0 ? (uint64_t)d : -(uint64_t)d, n = span / step + (span % step != 0);
        return n > INT64_MAX / 16 ? -1 : (int64_t)n;
    }
    double n = ceil((number(limit) - number(start)) / number(delta));
    return !(n < 1e15) ? -1 : n < 0 ? 0 : (int64_t)n;
}

static hone_status infer_range(hone_infer *ctx, hone_error *err) {
    ctx->out[0].rank = 1;
    ctx->out[0].dims[0] = HONE_DIM_ANY;
    for (int i = 0; i < 3; i++)
        if (hone_type_is_concrete(ctx->in[i]) && hone_type_count(ctx->in[i]) != 1)
            return hone_infer_fail(ctx, err, "start, limit and delta must be one number each");
    if (!ctx->constant[0] || !ctx->constant[1] || !ctx->constant[2]) return HONE_OK;
    int64_t n = range_length(ctx->constant[0], ctx->constant[1], ctx->constant[2]);
    if (n < 0) return hone_infer_fail(ctx, err, "the range has no end");
    ctx->out[0].dims[0] = n;
    return HONE_OK;
}

typedef struct range_params {
    hone_dtype dtype;
    double start, delta;
    int64_t first, step, count;
} range_params;

#define RANGE_INTO(type, wide, first, step)                                                                  \
    for (int64_t i = 0; i < p->count; i++) ((type *)y)[i] = (type)((first) + (step) * (wide)i)

static hone_status run_range(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const range_params *p = step->params;
    void *y = hone_step_out(step, frame, 0);
    const int64_t first = p->first, by = p->step;
    switch (p->dtype) {
    case HONE_FLOAT32: RANGE_INTO(float, float, (float)p->start, (float)p->delta); break;
    case HONE_FLOAT64: RANGE_INTO(double, double, p->start, p->delta); break;
    case HONE_INT16: RANGE_INTO(int16_t, int64_t, first, by); break;
    case HONE_INT32: RANGE_INTO(int32_t, int64_t, first, by); break;
    case HONE_INT64: RANGE_INTO(int64_t, int64_t, first, by); break;
    default:
        for (int64_t i = 0; i < p->count; i++) {
            double x = p->start + p->delta * (double)i;
            hone_cast(HONE_FLOAT64, p->dtype, &x, (uint16_t *)y + i, 1);
        }
    }
    return HONE_OK;
}

static hone_status prepare_range(hone_prepare *p, hone_error *err) {
    range_params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    if (!p->constant[0] || !p->constant[2]) return hone_prepare_fail(p, err, "start and delta are not known");
    bool integer = hone_dtype_is_int(p->out[0].dtype);
    *q = (range_params){.dtype = p->out[0].dtype,
                        .start = number(p->constant[0]),
                        .delta = number(p->constant[2]),
                        .first = integer ? hone_tensor_int(p->constant[0], 0) : 0,
                        .step = integer ? hone_tensor_int(p->constant[2], 0) : 0,
                        .count = hone_type_count(&p->out[0])};
    p->params = q;
    p->run = run_range;
    p->kernel = "range";
    return HONE_OK;
}

/* Y = start + i delta */
static void gradient_range(hone_gradient *ctx) {
    hone_value *start = ctx->node->inputs[0], *delta = ctx->node->inputs[2], *dy = ctx->dout[0];
    hone_graph *g = ctx->graph;
    if (ctx->wanted[0]) ctx->din[0] = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "SumTo", dy, start);
    if (!ctx->wanted[2]) return;
    hone_value *from = hone_gradient_emit(ctx, "Sub", ctx->node->outputs[0], start);
    hone_value *each = hone_gradient_emit(ctx, "Mul", dy, hone_gradient_emit(ctx, "Div", from, delta));
    ctx->din[2] = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "SumTo", each, delta);
}

static const hone_attr_def range_11[] = {{NULL}};

/* Always computed in float64, or exactly: `stash_type` can't make it better. */
const hone_op hone_op_range = {.name = "Range",
                               .since = 27,
                               .oldest = 11,
                               .older = (const hone_op_version[]){{11, range_11, NULL}, {0}},
                               .attrs = HONE_ATTRS({"stash_type", HONE_ATTR_INT, .i = HONE_FLOAT32}),
                               .inputs = HONE_SLOTS({"start", 'T', RANGED, HONE_SLOT_SHAPE},
                                                    {"limit", 'T', RANGED, HONE_SLOT_SHAPE},
                                                    {"delta", 'T', RANGED, HONE_SLOT_SHAPE}),
                               .outputs = HONE_SLOTS({"output", 'T', RANGED, 0}),
                               .infer = infer_range,
                               .prepare = prepare_range,
                               .gradient_kind = HONE_GRADIENT_EXACT,
                               .gradient = gradient_range,
                               .domain_hint = {.lo = 0.1f, .hi = 0.4f},
                               .doc = "numbers from `start` on, in steps, before `limit`"};
