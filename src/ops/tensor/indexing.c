#include "ops/tensor/indexing.h"

#include "graph/infer.h"
#include "ops/engine/copy.h"

#include <string.h>

/* --- rows --- */

hone_status hone_infer_indices(const hone_infer *ctx, const hone_type *x, const hone_type *index,
                               int64_t axis_attr, int *axis, hone_error *err) {
    HONE_TRY(hone_infer_axis(ctx, axis_attr, x->rank, false, axis, err));
    if (index->rank != x->rank)
        return hone_infer_fail(ctx, err, "the indices have %d dimensions where %d are needed", index->rank,
                               x->rank);
    for (int d = 0; d < x->rank; d++)
        if (d != *axis && x->dims[d] >= 0 && index->dims[d] > x->dims[d])
            return hone_infer_fail(ctx, err, "the indices have %lld along axis %d, where the tensor has %lld",
                                   (long long)index->dims[d], d, (long long)x->dims[d]);
    return HONE_OK;
}

hone_index_rows hone_index_rows_of(const hone_type *x, const hone_type *index, int64_t axis) {
    int64_t strides[HONE_MAX_RANK];
    int last = x->rank - 1, at = (int)(axis < 0 ? axis + x->rank : axis);
    hone_strides_of(x->rank, x->dims, strides);
    hone_index_rows r = {.columns = index->dims[last],
                         .size = x->dims[at],
                         .stride = strides[at],
                         .step = at == last ? 0 : 1,
                         .independent = 1,
                         .wide = index->dtype == HONE_INT64};
    hone_walk_init(&r.walk);
    for (int d = 0; d < last; d++) {
        hone_walk_add(&r.walk, index->dims[d], d == at ? 0 : strides[d]);
        if (d < at) r.independent *= index->dims[d];
    }
    if (at == last) r.independent = r.walk.count;
    return r;
}

static const void *index_from(bool wide, const void *index, int64_t i) {
    return (const char *)index + (size_t)i * (wide ? sizeof(int64_t) : sizeof(int32_t));
}

int64_t hone_index_row(const hone_index_rows *r, const void *index, int64_t row, int64_t k, int64_t n,
                       int64_t *at) {
    int64_t first = row * r->columns + k;
    int64_t bad = hone_positions(index_from(r->wide, index, first), r->wide, n, r->size,
                                 hone_walk_offset(&r->walk, row) + k * r->step, r->stride, r->step, at);
    return bad < 0 ? -1 : first + bad;
}

hone_status hone_index_fail(const hone_index_rows *r, const hone_step *step, const void *index, int64_t bad,
                            hone_error *err) {
    const void *at = index_from(r->wide, index, bad);
    int64_t found = r->wide ? *(const int64_t *)at : *(const int32_t *)at;
    return hone_step_fail(step, err, "index %lld at position %lld is outside of an axis of %lld",
                          (long long)found, (long long)bad, (long long)r->size);
}

/* --- tuples --- */

hone_status hone_infer_tuples(const hone_infer *ctx, const hone_type *x, const hone_type *index,
                              int64_t batch_dims, hone_error *err) {
    if (index->rank < 1) return hone_infer_fail(ctx, err, "the indices are no tuples: they have no axis");
    int64_t width = index->dims[index->rank - 1];
    if (batch_dims < 0 || batch_dims >= index->rank || batch_dims > x->rank)
        return hone_infer_fail(ctx, err, "batch_dims %lld is out of range", (long long)batch_dims);
    if (width > x->rank - batch_dims)
        return hone_infer_fail(ctx, err, "tuples of %lld indices for %lld axes", (long long)width,
                               (long long)(x->rank - batch_dims));
    return HONE_OK;
}

hone_tuples hone_tuples_of(const hone_type *x, const hone_type *index, int64_t batch_dims) {
    int64_t strides[HONE_MAX_RANK];
    int batch = (int)batch_dims, last = index->rank - 1;
    hone_tuples t = {.batch = hone_dims_product(index, 0, batch),
                     .count = hone_dims_product(index, batch, last),
                     .width = (int)index->dims[last],
                     .whole = hone_dims_product(x, batch, x->rank)};
    hone_strides_of(x->rank, x->dims, strides);
    for (int d = 0; d < t.width; d++) {
        t.dims[d] = x->dims[batch + d];
        t.strides[d] = strides[batch + d];
    }
    t.inner = hone_dims_product(x, batch + t.width, x->rank);
    return t;
}

int64_t hone_tuples_next(const hone_tuples *t, int64_t i, int64_t end) {
    return hone_min_i64(hone_min_i64(HONE_POSITIONS, t->count - i % t->count), end - i);
}

int64_t hone_tuples_at(const hone_tuples *t, const int64_t *index, int64_t i, int64_t n, int64_t *at) {
    int64_t bad = hone_tuple_positions(index + i * t->width, n, t->width, t->dims, t->strides,
                                       i / t->count * t->whole, at);
    return bad < 0 ? -1 : i * t->width + bad;
}

hone_status hone_tuples_fail(const hone_tuples *t, const hone_step *step, const int64_t *index, int64_t bad,
                             hone_error *err) {
    return hone_step_fail(step, err, "index %lld at position %lld is outside of an axis of %lld",
                          (long long)index[bad], (long long)bad, (long long)t->dims[bad % t->width]);
}
