/* Integers where A's rows are the channels of a convolution and B is made of patches:
 *
 *   sum (a - az)(b - bz) = sum a b - az[i] sum b[j] - bz (sum a[i] - k az[i])
 *
 * of which the last term belongs to a row, as scales and the bias do. Kernels take u8 A and s8 B. */
#include "ops/common/walk.h"
#include "ops/engine/operands.h"
#include "ops/engine/product_inside.h"

#include <string.h>

#define FORMAT "u8 rows, summed"

static int64_t rows_of(const hone_product_params *q) {
    return q->s.m * q->s.groups;
}

/* --- A --- rows of uint8, and behind them their sums, [rows] */

static size_t bytes_of(int64_t rows, int64_t k) {
    return hone_align_64((size_t)(rows * k)) + (size_t)rows * sizeof(int32_t);
}

typedef struct packing {
    int64_t rows, k, step;
    bool flips;
} packing;

static void pack_rows(const packing *a, const uint8_t *w, int64_t begin, int64_t end, uint8_t *out) {
    int32_t *sums = (int32_t *)(void *)(out + hone_align_64((size_t)(a->rows * a->k)));
    const hone_kernels *kernels = hone_kernels_get();
    if (begin == end) return;
    if (a->flips)
        kernels->flip_sign(w + begin * a->k, out + begin * a->k, (end - begin) * a->k);
    else
        memcpy(out + begin * a->k, w + begin * a->k, (size_t)((end - begin) * a->k));
    for (int64_t i = begin; i < end; i++) sums[i] = kernels->sum_u8(out + i * a->k, a->k);
}

static void pack_part(const void *source, const void *arg, int64_t part, void *out) {
    const packing *a = arg;
    int64_t first = part * a->step;
    pack_rows(a, source, first, hone_min_i64(first + a->step, a->rows), out);
}

hone_status hone_product_pack_channels(hone_packer *p, const hone_node *node, int input, int64_t groups,
                                       hone_error *err) {
    const hone_type *t = &node->inputs[input]->type;
    if (t->rank < 1 || !hone_type_is_concrete(t)) return HONE_OK;
    hone_product s = {
        .kind = HONE_GEMM_U8S8, .m = t->dims[0] / groups, .k = hone_dims_product(t, 1, t->rank)};
    if (hone_product_direct_pays(&s)) return HONE_OK; /* real numbers are made of few */
    packing a = {.rows = t->dims[0], .k = hone_dims_product(t, 1, t->rank), .flips = t->dtype == HONE_INT8};
    a.step = hone_pack_rows((size_t)a.k, 1);
    hone_packing form = {.format = FORMAT,
                         .bytes = bytes_of(a.rows, a.k),
                         .part_bytes = (size_t)(a.step * a.k),
                         .pack = pack_part,
                         .arg = &a,
                         .arg_size = sizeof a};
    return a.rows * a.k > 0 ? hone_pack_constant(p, input, &form, err) : HONE_OK;
}

/* --- rows --- */

static size_t step_of(int64_t rows) {
    return hone_align_64((size_t)rows * 4);
}

static hone_product_rows rows_at(int64_t rows, void *memory) {
    char *base = memory;
    size_t step = step_of(rows);
    return (hone_product_rows){(float *)base, (float *)(base + step), (int32_t *)(base + 2 * step),
                               (int32_t *)(base + 3 * step)};
}

static int64_t at(int64_t count, int64_t i) {
    return count == 1 ? 0 : i;
}

/* `sums`: of A's rows as the kernels have them; NULL: sums are of (a - az)(b - bz) already. */
static void make_rows(const hone_product_params *p, const hone_product_operands *o, const int32_t *sums,
                      hone_product_rows *r) {
    const hone_product_integer *q = &p->integer;
    float y_scale = o->y_scale ? *(const float *)o->y_scale : p->s.y_scale_value;
    if (y_scale == 0) y_scale = 1; /* none */
    int32_t b_zero = hone_int_at(o->b_zero, q->b_dtype, 0) - (q->b_dtype == HONE_UINT8 ? 128 : 0);
    for (int64_t i = 0; i < rows_of(p); i++) {
        r->zero[i] =
            hone_int_at(o->a_zero, q->a_dtype, at(q->a_zeros, i)) + (q->a_dtype == HONE_INT8 ? 128 : 0);
        r->bias[i] = o->bias && q->bias_dtype == HONE_INT32 ? ((const int32_t *)o->bias)[i] : 0;
        if (sums) {
            int32_t own = hone_wrap_sub(sums[i], hone_wrap_mul((int32_t)p->s.k, r->zero[i]));
            r->bias[i] = hone_wrap_sub(r->bias[i], hone_wrap_mul(b_zero, own));
        }
        if (!o->a_scale) continue;
        r->scale[i] = *(const float *)o->b_scale * ((const float *)o->a_scale)[at(q->a_scales, i)] / y_scale;
        r->offset[i] = o->bias && q->bias_dtype == HONE_FLOAT32 ? ((const float *)o->bias)[i] / y_scale : 0;
    }
}

/* Weights less their zero points. */
static void make_real(const hone_product_params *p, const void *a, const void *a_zero, int64_t begin,
                      int64_t end, float *out) {
    const hone_product_integer *q = &p->integer;
    for (int64_t i = begin; i < end; i++) {
        int32_t zero = hone_int_at(a_zero, q->a_dtype, at(q->a_zeros, i));
        for (int64_t l = i * p->s.k; l < (i + 1) * p->s.k; l++)
            out[l] = (float)(hone_int_at(a, q->a_dtype, l) - zero);
    }
}

/* --- running --- */

static void prepare_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const hone_product_job *j = arg;
    const hone_product_params *p = j->p;
    char *scratch = (char *)hone_step_scratch(j->step, j->frame) + p->integer.at_a;
    const void *a = hone_step_in(j->step, j->frame, p->s.a);
    packing all = {.rows = rows_of(p), .k = p->s.k, .flips = p->integer.flips};
    if (p->form == HONE_B_WINDOWS)
        make_real(p, a, j->o.a_zero, begin, end, (float *)(void *)scratch);
    else
        pack_rows(&all, a, begin, end, (uint8_t *)scratch);
}

void hone_product_rows_begin(hone_product_job *j) {
    const hone_product_params *p = j->p;
    const hone_product *s = &p->s;
    const hone_product_integer *q = &p->integer;
    const void *y_zero = hone_product_input(j, s->y_zero);
    j->y_zero = y_zero ? hone_int_at(y_zero, q->y_dtype, 0) : s->y_zero_value;
    j->x_zero = hone_int_at(hone_product_input(j, s->b_zero), q->b_dtype, 0);
    j->a = p->packed;
    if (q->rows_fixed) {
        j->channels = *q->rows_fixed;
        return;
    }
    char *scratch = hone_step_scratch(j->step, j->frame);
    j->o = (hone_product_operands){hone_product_input(j, s->a_scale), hone_product_input(j, s->a_zero),
                                   hone_product_input(j, s->b_scale), hone_product_input(j, s->b_zero),
                                   hone_product_input(j, s->y_scale), hone_product_input(j, s->bias)};
    if (!j->a) {
        hone_cut_run(&q->rows, j->frame, prepare_rows, j);
        j->a = scratch + q->at_a;
    }
    j->channels = rows_at(rows_of(p), scratch + q->at_rows);
    const void *sums = p->form == HONE_B_WINDOWS ? NULL : j->a + hone_align_64((size_t)(rows_of(p) * s->k));
    make_rows(p, &j->o, sums, &j->channels);
}

void hone_product_rows_epilogue(const hone_product_job *j, int64_t row, const int32_t *column_sums,
                                hone_epilogue *e) {
    const hone_product_integer *q = &j->p->integer;
    const hone_product_rows *r = &j->channels;
    e->row_sum_bias = r->bias + row;
    e->row_scale = r->scale + row;
    e->row_bias = q->bias_dtype == HONE_FLOAT32 ? r->offset + row : NULL;
    e->zero = j->y_zero;
    e->b_zero = column_sums;
    e->a_sum = column_sums ? r->zero + row : NULL;
}

/* --- preparing --- */

static hone_status check_count(const hone_prepare *p, int i, int64_t n, hone_error *err) {
    int64_t count = hone_prepare_count(p, i);
    if (count == 1 || count == n) return HONE_OK;
    return hone_prepare_fail(p, err, "input %d has %lld elements, neither one nor %lld", i, (long long)count,
                             (long long)n);
}

static hone_status prepare_fixed(hone_prepare *p, hone_product_params *params, hone_error *err) {
    const hone_product *s = &params->s;
    const bool windows = params->form == HONE_B_WINDOWS;
    const void *a = hone_prepare_content(p, s->a), *zero = hone_prepare_content(p, s->a_zero);
    int64_t rows = rows_of(params);
    if (windows && a && hone_prepare_knows(p, s->a_zero)) {
        float *real = hone_prepare_alloc(p, (size_t)(rows * s->k) * sizeof *real);
        if (!real) return hone_fail_memory(err);
        make_real(params, a, zero, 0, rows, real);
        params->packed = real;
    }
    if (!params->packed || !hone_prepare_knows(p, s->a_scale) || !hone_prepare_knows(p, s->a_zero) ||
        !hone_prepare_knows(p, s->b_scale) || !hone_prepare_knows(p, s->b_zero) ||
        !hone_prepare_knows(p, s->y_scale) || !hone_prepare_knows(p, s->bias))
        return HONE_OK;
    hone_product_rows *fixed = hone_prepare_alloc(p, sizeof *fixed);
    void *memory = hone_prepare_alloc(p, 4 * step_of(rows));
    if (!fixed || !memory) return hone_fail_memory(err);
    *fixed = rows_at(rows, memory);
    hone_product_operands o = {hone_prepare_content(p, s->a_scale), zero,
                               hone_prepare_content(p, s->b_scale), hone_prepare_content(p, s->b_zero),
                               hone_prepare_content(p, s->y_scale), hone_prepare_content(p, s->bias)};
    const char *packed = params->packed;
    make_rows(params, &o, windows ? NULL : (const void *)(packed + hone_align_64((size_t)(rows * s->k))),
              fixed);
    params->integer.rows_fixed = fixed;
    return HONE_OK;
}

static size_t take(hone_prepare *p, size_t bytes) {
    size_t before = p->scratch;
    p->scratch += hone_align_64(bytes);
    return before;
}

hone_status hone_product_rows_prepare(hone_prepare *p, hone_product_params *params, hone_error *err) {
    const hone_product *s = &params->s;
    hone_product_integer *q = &params->integer;
    int64_t rows = rows_of(params);
    q->a_dtype = p->in[s->a]->dtype;
    q->b_dtype = p->in[s->b]->dtype;
    q->y_dtype = p->out[0].dtype;
    q->bias_dtype = hone_prepare_type(p, s->bias) ? p->in[s->bias]->dtype : HONE_UNDEFINED;
    HONE_TRY(check_count(p, s->a_scale, rows, err));
    HONE_TRY(check_count(p, s->a_zero, rows, err));
    HONE_TRY(check_count(p, s->b_scale, 1, err));
    HONE_TRY(check_count(p, s->b_zero, 1, err));
    HONE_TRY(check_count(p, s->y_scale, 1, err));
    HONE_TRY(check_count(p, s->y_zero, 1, err));
    q->a_scales = hone_prepare_count(p, s->a_scale);
    q->a_zeros = hone_prepare_count(p, s->a_zero);
    q->flips = q->a_dtype == HONE_INT8;
    if (params->form != HONE_B_WINDOWS) params->packed = hone_prepare_packed(p, s->a, FORMAT);
    HONE_TRY(prepare_fixed(p, params, err));
    if (q->rows_fixed) return HONE_OK;
    q->rows = hone_cut_make(rows, 5 + 0.2 * (double)s->k, 1);
    size_t size =
        params->form == HONE_B_WINDOWS ? (size_t)(rows * s->k) * sizeof(float) : bytes_of(rows, s->k);
    if (!params->packed) q->at_a = take(p, size);
    q->at_rows = take(p, 4 * step_of(rows) + 1);
    return HONE_OK;
}
