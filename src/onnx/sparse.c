#include "onnx/scope.h"

#include "graph/tensor.h"

#include <string.h>

/* A dense tensor may have so many times the bytes of its sparse form. */
enum { RATIO = 1024 };

static hone_status check_parts(const hone_sparse_message *m, const hone_tensor *values,
                               const hone_tensor *indices, hone_error *err) {
    if (values->rank != 1)
        return hone_fail(err, HONE_CORRUPT, "the values of a sparse tensor are not one list");
    bool linear = indices->rank == 1, places = indices->rank == 2 && indices->dims[1] == (int64_t)m->n_dims;
    if (indices->dtype != HONE_INT64 || !(linear || places) || indices->dims[0] != values->count)
        return hone_fail(err, HONE_CORRUPT,
                         "the indices of a sparse tensor do not fit its values and dimensions");
    if (values->dtype == HONE_STRING || hone_dtype_size(values->dtype) == 0)
        return hone_fail(err, HONE_UNSUPPORTED, "a sparse tensor of %s", hone_dtype_name(values->dtype));
    return HONE_OK;
}

/* Where value i goes; -1: nowhere. */
static int64_t place_of(const hone_tensor *indices, int64_t i, int rank, const int64_t *dims, int64_t count) {
    const int64_t *x = indices->data;
    if (indices->rank == 1) return x[i] >= 0 && x[i] < count ? x[i] : -1;
    int64_t at = 0;
    for (int d = 0; d < rank; d++) {
        int64_t k = x[i * rank + d];
        if (k < 0 || k >= dims[d]) return -1;
        at = at * dims[d] + k;
    }
    return at;
}

static hone_status spread(const hone_tensor *values, const hone_tensor *indices, hone_tensor *t,
                          hone_error *err) {
    size_t size = hone_dtype_size(values->dtype);
    for (int64_t i = 0; i < values->count; i++) {
        int64_t at = place_of(indices, i, t->rank, t->dims, t->count);
        if (at < 0) return hone_fail(err, HONE_CORRUPT, "an index of a sparse tensor is outside of it");
        memcpy((char *)t->data + (size_t)at * size, (const char *)values->data + (size_t)i * size, size);
    }
    return HONE_OK;
}

/* A few bytes must not stand for all of memory. */
static hone_status take_bytes(hone_reader *r, size_t dense, size_t sparse, hone_error *err) {
    size_t allowed;
    if (!hone_mul_size(sparse, RATIO, &allowed) || !hone_add_size(allowed, r->dense_left, &allowed))
        allowed = SIZE_MAX;
    if (dense > allowed)
        return hone_fail(err, HONE_UNSUPPORTED, "a sparse tensor of %zu bytes stands for %zu", sparse, dense);
    r->dense_left -= dense < r->dense_left ? dense : r->dense_left;
    return HONE_OK;
}

static hone_status make_dense(hone_reader *r, const hone_sparse_message *m, const hone_tensor *values,
                              const hone_tensor *indices, hone_tensor **out, hone_error *err) {
    size_t bytes = 0;
    hone_error why = {0};
    HONE_TRY(check_parts(m, values, indices, err));
    if (m->n_dims > HONE_MAX_RANK)
        return hone_fail(err, HONE_UNSUPPORTED, "a tensor of %zu dimensions; Hone has at most %d", m->n_dims,
                         HONE_MAX_RANK);
    if (hone_shape_size(values->dtype, (int)m->n_dims, m->dims, NULL, &bytes, &why) != HONE_OK)
        return hone_fail(err, HONE_CORRUPT, "the tensor's shape is impossible: %s", why.message);
    HONE_TRY(take_bytes(r, bytes, values->bytes + indices->bytes, err));
    hone_tensor *t = NULL;
    HONE_TRY(hone_tensor_new(values->dtype, (int)m->n_dims, m->dims, &t, err));
    hone_status status = spread(values, indices, t, err);
    if (status == HONE_OK)
        *out = t;
    else
        hone_tensor_free(t);
    return status;
}

hone_status hone_onnx_scope_sparse(hone_reader *r, const hone_sparse_message *m, hone_tensor **out,
                                   hone_error *err) {
    hone_tensor *values = NULL, *indices = NULL;
    hone_error why = {0};
    hone_status status = HONE_OK;
    if (!m->values || !m->indices)
        status = hone_fail(&why, HONE_CORRUPT, "a sparse tensor has no values or no indices");
    if (status == HONE_OK) status = hone_message_tensor(m->values, r->source, &values, &why);
    if (status == HONE_OK) status = hone_message_tensor(m->indices, r->source, &indices, &why);
    if (status == HONE_OK) status = make_dense(r, m, values, indices, out, &why);
    hone_tensor_free(values);
    hone_tensor_free(indices);
    if (status == HONE_OK || !err) return status;
    *err = why;
    if (!*why.node && m->values && m->values->name)
        hone_fail_node(err, status, m->values->name, NULL, "%s", why.message);
    return *why.file ? hone_error_in_file(err, status, why.file) : status;
}
