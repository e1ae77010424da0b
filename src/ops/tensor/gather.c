/* Gather: slices along an axis, by index. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

#include <stdatomic.h>
#include <string.h>

#define MOVED (HONE_TYPES_FIXED | HONE_TYPES_FLOAT8 | HONE_TYPE(HONE_STRING))

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

typedef struct params {
    int64_t outer, size, count, inner; /* x [outer, size, inner], y [outer, count, inner] */
    size_t bytes;                      /* of an inner run */
    bool wide;                         /* int64 indices */
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    const char *x;
    char *y;
    const void *index;
    _Atomic int64_t bad; /* a position whose index is out of range; -1: none */
} job;

static int64_t index_at(const params *p, const void *index, int64_t i) {
    return p->wide ? ((const int64_t *)index)[i] : ((const int32_t *)index)[i];
}

static void gather(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    job *j = arg;
    const params *p = j->p;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = index_at(p, j->index, i % p->count);
        if (at < 0) at += p->size;
        if (at < 0 || at >= p->size) {
            j->bad = i % p->count;
            return;
        }
        memcpy(j->y + (size_t)i * p->bytes, j->x + (size_t)(i / p->count * p->size + at) * p->bytes,
               p->bytes);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    job j = {.p = p,
             .x = hone_step_in(step, frame, 0),
             .y = hone_step_out(step, frame, 0),
             .index = hone_step_in(step, frame, 1),
             .bad = -1};
    hone_cut_run(&p->cut, frame, gather, &j);
    int64_t bad = j.bad;
    if (bad < 0) return HONE_OK;
    return hone_step_fail(step, err, "index %lld at position %lld is outside of an axis of %lld",
                          (long long)index_at(p, j.index, bad), (long long)bad, (long long)p->size);
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[0];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    int axis = (int)hone_node_int(p->node, "axis");
    if (axis < 0) axis += x->rank;
    *q = (params){.outer = hone_dims_product(x, 0, axis),
                  .size = x->dims[axis],
                  .count = hone_type_count(p->in[1]),
                  .inner = hone_dims_product(x, axis + 1, x->rank),
                  .wide = p->in[1]->dtype == HONE_INT64};
    q->bytes = (size_t)q->inner * hone_dtype_size(x->dtype);
    q->cut = hone_cut_make(q->outer * q->count, 4 + 0.05 * (double)q->bytes, 1);
    p->params = q;
    p->run = run;
    p->kernel = "gather";
    return HONE_OK;
}

const hone_op hone_op_gather = {
    .name = "Gather",
    .since = 13,
    .oldest = 1,
    .inputs = HONE_SLOTS({"data", 'T', MOVED, HONE_SLOT_WEIGHT}, {"indices", 0, HONE_TYPES_INT, 0}),
    .outputs = HONE_SLOTS({"output", 'T', MOVED, 0}),
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT}),
    .infer = infer,
    .axes = axes,
    .prepare = prepare,
    .quantize = HONE_QUANTIZE_BITS,
    .doc = "slices along an axis, by index; a negative index counts from the end"};
