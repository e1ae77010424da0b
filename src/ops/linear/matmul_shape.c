#include "ops/linear/matmul_shape.h"

#include <string.h>

hone_status hone_matmul_infer(const hone_infer *ctx, const hone_type *a, const hone_type *b, hone_type *y,
                              hone_error *err) {
    if (a->rank < 0 || b->rank < 0) return HONE_OK;
    if (a->rank == 0 || b->rank == 0)
        return hone_infer_fail(ctx, err, "a scalar cannot be multiplied as a matrix");
    int64_t k;
    HONE_TRY(hone_infer_same_dim(ctx, a->dims[a->rank - 1], b->dims[b->rank > 1 ? b->rank - 2 : 0], &k, err));
    hone_type left = *a, right = *b, batch = *y;
    left.rank = a->rank > 2 ? a->rank - 2 : 0;
    right.rank = b->rank > 2 ? b->rank - 2 : 0;
    HONE_TRY(hone_infer_broadcast(ctx, &left, &right, &batch, err));
    y->rank = batch.rank;
    memcpy(y->dims, batch.dims, sizeof y->dims);
    if (a->rank > 1) y->dims[y->rank++] = a->dims[a->rank - 2];
    if (b->rank > 1) y->dims[y->rank++] = b->dims[b->rank - 1];
    return HONE_OK;
}

/* Which of t's matrices belongs to each matrix of y; NULL where t has but one. */
static hone_status matrices(hone_prepare *p, const hone_type *t, const hone_type *y, int y_batch,
                            int64_t batch, const int64_t **out, hone_error *err) {
    *out = NULL;
    if (t->rank <= 2) return HONE_OK;
    int64_t *index = hone_prepare_alloc(p, (size_t)batch * sizeof *index);
    if (!index) return hone_fail_memory(err);
    for (int64_t i = 0; i < batch; i++) {
        int64_t rest = i, stride = 1;
        for (int d = y_batch - 1, e = t->rank - 3; d >= 0 && e >= 0; d--, e--) {
            if (t->dims[e] != 1) index[i] += rest % y->dims[d] * stride;
            stride *= t->dims[e];
            rest /= y->dims[d];
        }
    }
    *out = index;
    return HONE_OK;
}

static bool is_single(const hone_prepare *p, int input) {
    return input < 0 || input >= p->in_count || !p->in[input] || hone_type_count(p->in[input]) == 1;
}

hone_status hone_matmul_shape(hone_prepare *p, hone_product *s, hone_error *err) {
    const hone_type *a = p->in[s->a], *b = p->in[s->b], *y = &p->out[0];
    s->k = a->dims[a->rank - 1];
    s->m = a->rank > 1 ? a->dims[a->rank - 2] : 1;
    s->n = b->rank > 1 ? b->dims[b->rank - 1] : 1;
    s->batch = 1;
    s->a_row = s->k;
    s->a_col = 1;
    bool one_scale = is_single(p, s->a_scale) && is_single(p, s->a_zero);
    if (b->rank <= 2 && (one_scale || a->rank <= 2)) { /* one B for all: the batch is just more rows */
        for (int i = 0; i + 2 < a->rank; i++) s->m *= a->dims[i];
        return HONE_OK;
    }
    int batch_rank = y->rank - (a->rank > 1) - (b->rank > 1);
    for (int i = 0; i < batch_rank; i++) s->batch *= y->dims[i];
    HONE_TRY(matrices(p, a, y, batch_rank, s->batch, &s->a_matrix, err));
    return matrices(p, b, y, batch_rank, s->batch, &s->b_matrix, err);
}
