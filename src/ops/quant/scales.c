#include "ops/quant/scales.h"
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/walk.h"

#include <string.h>

static int64_t block_of(const hone_node *n) {
    return hone_attr_find(n->op->attrs, "block_size") ? hone_node_int(n, "block_size") : 0;
}

static int64_t axis_of(const hone_node *n, const hone_type *x) {
    int64_t axis = hone_node_int(n, "axis");
    return axis < 0 ? axis + x->rank : axis;
}

int hone_scales_axis(const hone_node *n, const hone_type *x, const hone_type *scale) {
    if (scale->rank == 0) return -1;
    if (scale->rank != 1) return -2;
    int64_t axis = axis_of(n, x);
    if (scale->dims[0] == 1 && (axis < 0 || axis >= x->rank || x->dims[axis] != 1)) return -1;
    return axis >= 0 && axis < x->rank ? (int)axis : -2;
}

/* Scales have the shape of x, with an axis of one for each block. */
static hone_status infer_blocks(const hone_infer *ctx, const hone_type *x, const hone_type *scale,
                                int64_t block, hone_error *err) {
    int64_t axis = axis_of(ctx->node, x), d;
    if (block < 0 || axis < 0 || axis >= x->rank || scale->rank != x->rank)
        return hone_infer_fail(ctx, err, "blocks of scales must have the tensor's rank, and one of its axes");
    for (int i = 0; i < x->rank; i++) {
        int64_t wanted = i != axis        ? x->dims[i]
                         : x->dims[i] < 0 ? HONE_DIM_ANY
                                          : hone_tasks(x->dims[i], block);
        HONE_TRY(hone_infer_same_dim(ctx, scale->dims[i], wanted, &d, err));
    }
    return HONE_OK;
}

hone_status hone_scales_infer(const hone_infer *ctx, int at, hone_error *err) {
    const hone_type *x = ctx->in[at], *scale = ctx->in[at + 1],
                    *zero = at + 2 < ctx->input_count ? ctx->in[at + 2] : NULL;
    const int64_t block = block_of(ctx->node);
    if (x->rank < 0 || scale->rank < 0) return HONE_OK;
    int axis = block ? -1 : hone_scales_axis(ctx->node, x, scale);
    int64_t d;
    if (block) HONE_TRY(infer_blocks(ctx, x, scale, block, err));
    if (axis == -2)
        return hone_infer_fail(ctx, err, "the scale must be one number or a vector along an axis");
    if (axis >= 0) HONE_TRY(hone_infer_same_dim(ctx, x->dims[axis], scale->dims[0], &d, err));
    if (!zero || zero->rank < 0) return HONE_OK;
    bool one = !block && axis < 0 && zero->rank <= 1;
    if (!one && zero->rank != scale->rank)
        return hone_infer_fail(ctx, err, "the zero point must have the shape of the scale");
    for (int i = 0; i < zero->rank; i++)
        HONE_TRY(hone_infer_same_dim(ctx, zero->dims[i], one ? 1 : scale->dims[i], &d, err));
    return HONE_OK;
}

hone_scales hone_scales_make(const hone_node *n, const hone_type *x, const hone_type *scale) {
    const int64_t block = block_of(n);
    hone_scales s = {.outer = 1, .length = 1, .inner = hone_type_count(x), .block = 1, .count = 1};
    int axis = block ? (int)axis_of(n, x) : hone_scales_axis(n, x, scale);
    if (axis < 0) return s;
    s.outer = hone_dims_product(x, 0, axis);
    s.length = x->dims[axis];
    s.inner = hone_dims_product(x, axis + 1, x->rank);
    s.strides[1] = 1;
    s.count = hone_type_count(scale);
    if (!block) return s;
    s.blocked = true;
    s.block = block;
    s.strides[0] = scale->dims[axis] * s.inner;
    s.strides[1] = s.inner;
    s.strides[2] = 1;
    return s;
}

void hone_scales_link(const hone_node *n, int at, hone_axes *out) {
    const hone_type *x = &n->inputs[at]->type, *scale = &n->inputs[at + 1]->type;
    const int64_t block = block_of(n);
    if (x->rank < 0 || scale->rank < 0) return;
    int axis = block ? (int)axis_of(n, x) : hone_scales_axis(n, x, scale);
    for (int i = 0; i < x->rank; i++)
        if (!block || i != axis) hone_axes_same(out, at, i, i);
    for (int k = at + 1; k <= at + 2 && k < n->input_count; k++) {
        if (!n->inputs[k] || axis < 0) continue;
        for (int i = 0; block && i < x->rank; i++)
            if (i != axis) hone_axes_same(out, k, i, i);
        if (!block) hone_axes_same(out, k, 0, axis);
    }
}

static void repeat(float x, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i++) out[i] = x;
}

void hone_scales_spread(const hone_scales *s, const float *table, int64_t at, int64_t n, float *out) {
    for (int64_t run; n > 0; at += run, n -= run, out += run) {
        int64_t i = at % s->inner, row = at / s->inner, l = row % s->length, o = row / s->length;
        const float *from = table + o * s->strides[0] + l / s->block * s->strides[1] + i * s->strides[2];
        bool along = s->inner == 1 && s->block == 1; /* the next element has the next scale */
        run = hone_min_i64(n, s->inner > 1 ? s->inner - i
                              : along      ? s->length - l
                                           : hone_min_i64(s->block - l % s->block, s->length - l));
        if (along || (s->inner > 1 && s->strides[2]))
            memcpy(out, from, (size_t)run * sizeof *out);
        else
            repeat(*from, run, out);
    }
}
