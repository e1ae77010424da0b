#include "graph/infer.h"
#include "kernels/portable.h"
#include "ops/common/walk.h"
#include "ops/engine/operands.h"
#include "ops/engine/product_inside.h"

#include <string.h>

/* --- small operands --- */

/* Element j of matrix `matrix` in an operand of `count` elements: one, `n`, or `n` for each matrix. */
static int64_t index_of(int64_t count, int64_t n, int64_t matrix, int64_t j) {
    return count == 1 ? 0 : count == n ? j : matrix * n + j;
}

/* Zero points as the kernels see them: of u8 A and of s8 B. */
static int32_t a_zero_at(const hone_product_params *p, const void *zero, int64_t matrix, int64_t row) {
    const hone_product_integer *q = &p->integer;
    return hone_int_at(zero, q->a_dtype, index_of(q->a_zeros, p->s.m, matrix, row)) +
           (q->a_dtype == HONE_INT8 ? 128 : 0);
}

static int32_t b_zero_at(const hone_product_params *p, const void *zero, int64_t matrix, int64_t column) {
    const hone_product_integer *q = &p->integer;
    return hone_int_at(zero, q->b_dtype, index_of(q->b_zeros, p->s.n, matrix, column)) -
           (q->b_dtype == HONE_UINT8 ? 128 : 0);
}

/* --- vectors --- */

size_t hone_product_vectors_size(int64_t n) {
    return 5 * hone_align_64((size_t)n * 4);
}

hone_product_vectors hone_product_vectors_at(int64_t n, void *memory) {
    char *base = memory;
    size_t step = hone_align_64((size_t)n * 4);
    return (hone_product_vectors){(float *)base, (float *)(base + step), (int32_t *)(base + 2 * step),
                                  (int32_t *)(base + 3 * step), (int32_t *)(base + 4 * step)};
}

/* sum (a-az)(b-bz) = sum a b - bz sum a - az (sum b - k bz): the last term is the integer bias. */
void hone_product_vectors_make(const hone_product_params *p, const hone_product_operands *o,
                               const int32_t *sums, int64_t matrix, hone_product_vectors *v) {
    const hone_product_integer *q = &p->integer;
    int64_t n = p->s.n;
    float y_scale = o->y_scale ? *(const float *)o->y_scale : p->s.y_scale_value;
    if (y_scale == 0) y_scale = 1; /* none */
    int32_t a_zero = q->row_wise ? 0 : a_zero_at(p, o->a_zero, 0, 0);
    for (int64_t j = 0; j < n; j++) {
        int32_t b_zero = q->has_b_zero ? b_zero_at(p, o->b_zero, matrix, j) : 0;
        v->b_zero[j] = b_zero;
        v->correction[j] = hone_wrap_sub(sums[j], hone_wrap_mul((int32_t)p->s.k, b_zero));
        v->bias[j] = hone_wrap_mul(-a_zero, v->correction[j]);
        if (o->bias && q->bias_dtype == HONE_INT32)
            v->bias[j] = hone_wrap_add(v->bias[j], ((const int32_t *)o->bias)[j]);
        if (!o->b_scale) continue;
        float b_scale = ((const float *)o->b_scale)[index_of(q->b_scales, n, matrix, j)];
        v->multiplier[j] = q->row_wise ? b_scale : *(const float *)o->a_scale * b_scale / y_scale;
        v->offset[j] = o->bias && q->bias_dtype == HONE_FLOAT32 ? ((const float *)o->bias)[j] / y_scale : 0;
    }
}

/* --- running --- */

static void prepare_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const hone_product_job *j = arg;
    const hone_product_params *p = j->p;
    const uint8_t *raw = hone_step_in(j->step, j->frame, p->s.a);
    int64_t k = p->integer.row;
    if (p->integer.flips)
        hone_kernels_get()->flip_sign(raw + begin * k, j->a_flipped + begin * k, (end - begin) * k);
    for (int64_t i = begin; i < end && j->a_sums; i++)
        j->a_sums[i] = hone_kernels_get()->sum_u8((const uint8_t *)j->a + i * k, k);
}

hone_store hone_product_integer_store(const hone_product_integer *q) {
    if (q->row_wise) return HONE_STORE_I32;
    switch (q->y_dtype) {
    case HONE_INT32: return HONE_STORE_I32;
    case HONE_FLOAT32: return HONE_STORE_F32;
    case HONE_UINT8: return HONE_STORE_U8;
    default: return HONE_STORE_S8;
    }
}

void hone_product_integer_begin(hone_product_job *j) {
    const hone_product_params *p = j->p;
    const hone_product *s = &p->s;
    const hone_product_integer *q = &p->integer;
    char *scratch = j->step->scratch >= 0 ? hone_step_scratch(j->step, j->frame) : NULL;
    const void *y_zero = hone_product_input(j, s->y_zero);
    j->y_zero = y_zero ? hone_int_at(y_zero, q->y_dtype, 0) : s->y_zero_value;
    if (!q->fixed || q->row_wise)
        j->o = (hone_product_operands){hone_product_input(j, s->a_scale), hone_product_input(j, s->a_zero),
                                       hone_product_input(j, s->b_scale), hone_product_input(j, s->b_zero),
                                       hone_product_input(j, s->y_scale), hone_product_input(j, s->bias)};
    if (q->flips) j->a = (const char *)(j->a_flipped = (uint8_t *)scratch + q->at_a);
    j->a_sums = q->sums_a && !s->a_windows ? (int32_t *)(scratch + q->at_sums) : NULL;
    if (q->row_wise) j->rows = (int32_t *)(scratch + q->at_rows);
    if (s->a_windows) j->x_zero = a_zero_at(p, hone_product_input(j, s->a_zero), 0, 0);
    if (q->flips || j->a_sums) hone_cut_run(&q->rows, j->frame, prepare_rows, j);
}

void hone_product_integer_gemm(const hone_product_job *j, int64_t batch, int64_t a_matrix,
                               const hone_product_vectors *v, hone_gemm *g) {
    const hone_product *s = &j->p->s;
    const hone_product_integer *q = &j->p->integer;
    hone_epilogue *e = &g->epilogue;
    e->sum_bias = v->bias;
    e->scale = v->multiplier;
    e->zero = j->y_zero;
    e->bias = q->bias_dtype == HONE_FLOAT32 ? v->offset : NULL;
    if (q->sums_a) {
        e->b_zero = v->b_zero;
        if (j->a_sums) e->a_sum = j->a_sums + a_matrix * s->m;
    }
    if (q->row_wise) g->c = j->rows + batch * s->m * s->n;
}

static void finish_row(const hone_product_job *j, const hone_product_vectors *v, int64_t a_matrix,
                       int64_t row, int64_t n0, int64_t n, const int32_t *sums, char *y) {
    const hone_product_integer *q = &j->p->integer;
    int32_t zero = a_zero_at(j->p, j->o.a_zero, a_matrix, row);
    if (q->y_dtype == HONE_INT32) {
        hone_correct_row_i32(sums, n, zero, v->correction + n0, (int32_t *)y);
        return;
    }
    float a_scale = ((const float *)j->o.a_scale)[index_of(q->a_scales, j->p->s.m, a_matrix, row)];
    float y_scale = *(const float *)j->o.y_scale;
    hone_requantize_row(sums, n, zero, v->correction + n0, a_scale, v->multiplier + n0, y_scale, j->y_zero,
                        q->y_dtype == HONE_INT8, y);
}

void hone_product_integer_finish(const hone_product_job *j, int64_t batch, int64_t a_matrix,
                                 const hone_product_vectors *v, int64_t m0, int64_t m1, int64_t n0,
                                 int64_t n1) {
    const hone_product *s = &j->p->s;
    for (int64_t i = m0; i < m1; i++) {
        int64_t at = (batch * s->m + i) * s->n + n0;
        finish_row(j, v, a_matrix, i, n0, n1 - n0, j->rows + at, j->y + (size_t)at * j->p->y_size);
    }
}

/* --- preparing --- */

static hone_status check_count(const hone_prepare *p, int i, int64_t n, int64_t matrices, hone_error *err) {
    int64_t count = hone_prepare_count(p, i);
    if (count == 1 || count == n || count == n * matrices) return HONE_OK;
    return hone_prepare_fail(p, err, "input %d has %lld elements, neither one nor %lld", i, (long long)count,
                             (long long)n);
}

/* A zero point of B that is 0 everywhere costs nothing. */
bool hone_product_needs_b_zero(const hone_prepare *p, const hone_product *s) {
    const hone_dtype dtype = p->in[s->b]->dtype;
    if (!hone_prepare_knows(p, s->b_zero)) return true;
    const void *zero = hone_prepare_content(p, s->b_zero);
    for (int64_t i = 0; i < hone_prepare_count(p, s->b_zero); i++)
        if (hone_int_at(zero, dtype, i) != (dtype == HONE_UINT8 ? 128 : 0)) return true;
    return false;
}

/* The vectors are fixed where this and all else that they are made of is known. */
static const void *known_b(const hone_prepare *p, const hone_product_params *params) {
    return params->s.depthwise ? hone_prepare_content(p, params->s.b) : params->packed;
}

static hone_status prepare_fixed(hone_prepare *p, hone_product_params *params, hone_error *err) {
    const hone_product *s = &params->s;
    const hone_product_b *b = &params->b;
    const void *known = known_b(p, params);
    if (!known || !hone_prepare_knows(p, s->a_scale) || !hone_prepare_knows(p, s->a_zero) ||
        !hone_prepare_knows(p, s->b_scale) || !hone_prepare_knows(p, s->b_zero) ||
        !hone_prepare_knows(p, s->y_scale) || !hone_prepare_knows(p, s->bias))
        return HONE_OK;
    hone_product_vectors *fixed = hone_prepare_alloc(p, (size_t)b->matrices * sizeof *fixed);
    char *memory = hone_prepare_alloc(p, (size_t)b->matrices * hone_product_vectors_size(s->n));
    if (!fixed || !memory) return hone_fail_memory(err);
    hone_product_operands o = {hone_prepare_content(p, s->a_scale), hone_prepare_content(p, s->a_zero),
                               hone_prepare_content(p, s->b_scale), hone_prepare_content(p, s->b_zero),
                               hone_prepare_content(p, s->y_scale), hone_prepare_content(p, s->bias)};
    const int32_t *sums = s->depthwise ? NULL : hone_product_b_sums(b, known, b->matrices);
    for (int64_t i = 0; i < b->matrices; i++) {
        fixed[i] = hone_product_vectors_at(s->n, memory + (size_t)i * hone_product_vectors_size(s->n));
        if (s->depthwise)
            hone_product_depthwise_vectors(params, &o, known, &fixed[i]);
        else
            hone_product_vectors_make(params, &o, sums + i * s->n, i, &fixed[i]);
    }
    params->integer.fixed = fixed;
    return HONE_OK;
}

static size_t take(hone_prepare *p, size_t bytes) {
    size_t at = p->scratch;
    p->scratch += hone_align_64(bytes);
    return at;
}

/* Matrices in an operand, which may be empty ones. */
static int64_t matrix_count(const hone_type *t) {
    int64_t n = 1;
    for (int i = 0; i + 2 < t->rank; i++) n *= t->dims[i];
    return n;
}

hone_status hone_product_integer_prepare(hone_prepare *p, hone_product_params *params, hone_error *err) {
    const hone_product *s = &params->s;
    hone_product_integer *q = &params->integer;
    q->a_dtype = p->in[s->a]->dtype;
    q->b_dtype = p->in[s->b]->dtype;
    q->y_dtype = p->out[0].dtype;
    q->bias_dtype = hone_prepare_type(p, s->bias) ? p->in[s->bias]->dtype : HONE_UNDEFINED;
    q->a_matrices = s->a_windows  ? s->batch
                    : s->a_matrix ? matrix_count(p->in[s->a])
                                  : 1; /* all are rows of one */
    HONE_TRY(check_count(p, s->a_scale, s->m, q->a_matrices, err));
    HONE_TRY(check_count(p, s->a_zero, s->m, q->a_matrices, err));
    HONE_TRY(check_count(p, s->b_scale, s->n, params->b.matrices, err));
    HONE_TRY(check_count(p, s->b_zero, s->n, params->b.matrices, err));
    q->a_scales = hone_prepare_count(p, s->a_scale);
    q->a_zeros = hone_prepare_count(p, s->a_zero);
    q->b_scales = hone_prepare_count(p, s->b_scale);
    q->b_zeros = hone_prepare_count(p, s->b_zero);
    q->row_wise = q->a_scales != 1 || q->a_zeros != 1;
    if (s->a_windows && q->row_wise) return hone_prepare_fail(p, err, "images have one scale and zero point");
    q->flips = q->a_dtype == HONE_INT8;
    q->has_b_zero = q->sums_a = hone_product_needs_b_zero(p, s);
    const hone_windows *w = s->a_windows;
    int64_t rows = q->a_matrices * (w ? w->plane : s->m);
    q->row = w ? w->channels : s->k;
    q->rows = hone_cut_make(rows, 0.1 * (double)q->row, 1);
    if (q->flips) q->at_a = take(p, (size_t)(rows * q->row) + HONE_DEPTHWISE_SLACK);
    if (q->sums_a && !w) q->at_sums = take(p, (size_t)rows * 4);
    if (q->row_wise) q->at_rows = take(p, (size_t)(s->batch * s->m * s->n) * 4);
    return prepare_fixed(p, params, err);
}
