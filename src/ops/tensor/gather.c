/* Gather: slices along an axis, by index. */
#include "graph/infer.h"
#include "kernels/positions.h"
#include "ops/common/axes.h"
#include "ops/common/channels_last.h"
#include "ops/common/cut.h"
#include "ops/common/gradient.h"
#include "ops/common/walk.h"
#include "ops/engine/copy.h"
#include "ops/tensor/indexing.h"

#include <stdatomic.h>
#include <string.h>

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0], *index = ctx->in[1];
    hone_type *y = &ctx->out[0];
    int axis;
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), x->rank, false, &axis, err));
    if (index->rank < 0) return HONE_OK;
    if (x->rank + index->rank - 1 > HONE_MAX_RANK)
        return hone_infer_fail(ctx, err, "a tensor cannot have more than %d axes", HONE_MAX_RANK);
    y->rank = 0;
    for (int i = 0; i < axis; i++) y->dims[y->rank++] = x->dims[i];
    for (int i = 0; i < index->rank; i++) y->dims[y->rank++] = index->dims[i];
    for (int i = axis + 1; i < x->rank; i++) y->dims[y->rank++] = x->dims[i];
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[0]->type, *index = &n->inputs[1]->type;
    if (x->rank < 0 || index->rank < 0) return;
    int axis = (int)hone_node_int(n, "axis");
    if (axis < 0) axis += x->rank;
    for (int i = 0; i < x->rank; i++)
        if (i != axis) hone_axes_same(out, 0, i, i < axis ? i : i + index->rank - 1);
    for (int i = 0; i < index->rank; i++) hone_axes_same(out, 1, i, axis + i);
}

/* x [outer, size, inner], y [outer, count, inner]; of the gradient the other way round. */
typedef struct params {
    hone_element element;
    hone_dtype dtype;
    int64_t outer, size, count, inner;
    bool wide; /* int64 indices */
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    const void *x, *index;
    char *y;
    _Atomic int64_t bad; /* a position whose index is out of range; -1: none */
} job;

static const void *index_from(const params *p, const void *index, int64_t i) {
    return (const char *)index + (size_t)i * (p->wide ? sizeof(int64_t) : sizeof(int32_t));
}

/* Items are slices of y. */
static void gather(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    job *j = arg;
    const params *p = j->p;
    int64_t at[HONE_POSITIONS];
    for (int64_t i = begin, n; i < end; i += n) {
        int64_t outer = i / p->count, first = i % p->count;
        n = hone_min_i64(hone_min_i64(HONE_POSITIONS, p->count - first), end - i);
        int64_t bad = hone_positions(index_from(p, j->index, first), p->wide, n, p->size,
                                     outer * p->size * p->inner, p->inner, 0, at);
        if (bad >= 0) {
            j->bad = first + bad;
            return;
        }
        if (p->inner == 1)
            hone_take(p->element, j->x, at, n, NULL, j->y, i);
        else
            for (int64_t k = 0; k < n; k++)
                hone_move(p->element, j->x, at[k], j->y, (i + k) * p->inner, p->inner);
    }
}

static hone_status check(const hone_step *step, const job *j, hone_error *err) {
    int64_t bad = j->bad, index;
    if (bad < 0) return HONE_OK;
    const void *at = index_from(j->p, j->index, bad);
    index = j->p->wide ? *(const int64_t *)at : *(const int32_t *)at;
    return hone_step_fail(step, err, "index %lld at position %lld is outside of an axis of %lld",
                          (long long)index, (long long)bad, (long long)j->p->size);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    job j = {.p = p,
             .x = hone_step_in(step, frame, 0),
             .y = hone_step_out(step, frame, 0),
             .index = hone_step_in(step, frame, 1),
             .bad = -1};
    if (p->element.size) {
        hone_cut_run(&p->cut, frame, gather, &j);
    } else {
        hone_clear_end(j.y, p->outer * p->count * p->inner, p->element.bits);
        gather(&j, 0, p->cut.count, 0);
    }
    return check(step, &j, err);
}

static params *make_params(hone_prepare *p, const hone_type *x, const hone_type *index) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    int axis = (int)hone_node_int(p->node, "axis");
    if (axis < 0) axis += x->rank;
    if (q)
        *q = (params){.element = hone_element_of(x->dtype),
                      .dtype = x->dtype,
                      .outer = hone_dims_product(x, 0, axis),
                      .size = x->dims[axis],
                      .count = hone_type_count(index),
                      .inner = hone_dims_product(x, axis + 1, x->rank),
                      .wide = index->dtype == HONE_INT64};
    return q;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = make_params(p, p->in[0], p->in[1]);
    if (!q) return hone_fail_memory(err);
    q->cut = hone_cut_make(q->outer * q->count, 4 + 0.05 * (double)q->inner * (double)q->element.size, 1);
    p->params = q;
    p->run = run;
    p->kernel = "gather";
    return HONE_OK;
}

static void gradient(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    if (!ctx->wanted[0]) return;
    ctx->din[0] =
        HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "GatherGrad", ctx->dout[0], n->inputs[1], n->inputs[0]);
    if (ctx->din[0]) hone_node_copy_attrs(ctx->graph, ctx->din[0]->producer, n);
}

/* Indices in a list: the result has as many axes. */
static hone_value *channels_last(hone_channels_last *ctx) {
    const hone_node *n = ctx->node;
    if (n->inputs[1]->type.rank != 1) return NULL;
    hone_value *in[] = {hone_value_channels_last(ctx->graph, n->inputs[0]), n->inputs[1]};
    hone_value *y = hone_last_copy(ctx, 2, in);
    const int axis = hone_last_axis((int)hone_node_int(n, "axis"), n->inputs[0]->type.rank);
    if (y) hone_node_set_int(ctx->graph, y->producer, "axis", axis);
    return y;
}

const hone_op hone_op_gather = {
    .name = "Gather",
    .since = 13,
    .oldest = 1,
    .inputs = HONE_SLOTS({"data", 'T', HONE_TYPES_ALL, HONE_SLOT_WEIGHT | HONE_SLOT_ROWS}, {"indices", 0, HONE_TYPES_INT, 0}),
    .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_ALL, 0}),
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT}),
    .infer = infer,
    .axes = axes,
    .channels_last = channels_last,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .quantize = HONE_QUANTIZE_BITS,
    .doc = "slices along an axis, by index; a negative index counts from the end"};

/* --- GatherGrad --- what was gathered from a slice is added up there */

/* Items are columns of all outer slices: no two tasks meet in one. */
static void scatter(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    job *j = arg;
    const params *p = j->p;
    const size_t size = p->element.size;
    int64_t at[HONE_POSITIONS];
    for (int64_t i = begin, columns; i < end; i += columns) {
        int64_t outer = i / p->inner, column = i % p->inner;
        columns = hone_min_i64(p->inner - column, end - i);
        char *y = j->y + (size_t)(outer * p->size * p->inner + column) * size;
        const char *dy = (const char *)j->x + (size_t)(outer * p->count * p->inner + column) * size;
        for (int64_t k = 0; k < p->size; k++)
            memset(y + (size_t)(k * p->inner) * size, 0, (size_t)columns * size);
        for (int64_t k = 0, n; k < p->count; k += n) {
            n = hone_min_i64(HONE_POSITIONS, p->count - k);
            int64_t bad = hone_positions(index_from(p, j->index, k), p->wide, n, p->size, 0, p->inner, 0, at);
            if (bad >= 0) {
                j->bad = k + bad;
                return;
            }
            if (p->inner == 1)
                hone_combine(p->dtype, HONE_COMBINE_ADD, dy + (size_t)k * size, at, n, y);
            else
                for (int64_t m = 0; m < n; m++)
                    hone_combine(p->dtype, HONE_COMBINE_ADD, dy + (size_t)((k + m) * p->inner) * size, NULL,
                                 columns, y + (size_t)at[m] * size);
        }
    }
}

static hone_status run_gradient(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    job j = {.p = p,
             .x = hone_step_in(step, frame, 0),
             .y = hone_step_out(step, frame, 0),
             .index = hone_step_in(step, frame, 1),
             .bad = -1};
    hone_cut_run(&p->cut, frame, scatter, &j);
    return check(step, &j, err);
}

static hone_status prepare_gradient(hone_prepare *p, hone_error *err) {
    params *q = make_params(p, p->in[2], p->in[1]);
    if (!q) return hone_fail_memory(err);
    double each = 0.2 * (double)q->size + 0.5 * (double)q->count;
    q->cut = hone_cut_make(q->outer * q->inner, each + 1, q->inner < 64 ? (q->inner ? q->inner : 1) : 64);
    p->params = q;
    p->run = run_gradient;
    p->kernel = "add slices";
    return HONE_OK;
}

static hone_status infer_gradient(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, 2);
}

const hone_op hone_op_gather_grad = {.domain = HONE_PRIVATE_DOMAIN,
                                     .name = "GatherGrad",
                                     .since = 1,
                                     .oldest = 1,
                                     .inputs = HONE_SLOTS({"dY", 'T', HONE_TYPES_FLOAT, 0},
                                                          {"indices", 0, HONE_TYPES_INT, 0},
                                                          {"X", 'T', HONE_TYPES_FLOAT, 0}),
                                     .outputs = HONE_SLOTS({"dX", 'T', HONE_TYPES_FLOAT, 0}),
                                     .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT}),
                                     .infer = infer_gradient,
                                     .prepare = prepare_gradient,
                                     .doc = "the sum of all that Gather took from a slice"};
