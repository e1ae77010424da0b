#include "ops/common/range.h"
#include "ops/recurrent/recurrence_inside.h"

/* In scratch, D directions of each:
 *
 *   codes [B, H], sums [B]            H quantized, and the sums of its rows
 *   scale, offset, zero, fixed [G H]  of columns: scale of the sums, integer bias, zero point of R, sum of R less k zero
 */
typedef struct room {
    uint8_t *codes;
    int32_t *sums, *offset, *zero, *fixed;
    float *scale;
} room;

static size_t place(const hone_recurrence_params *p, char *base, int direction, room *r) {
    const hone_steps *s = &p->steps;
    size_t column = hone_align_64((size_t)(p->cell.gates * s->hidden) * 4), at = 0;
    size_t codes = hone_align_64((size_t)(s->batch * s->hidden)), sums = hone_align_64((size_t)s->batch * 4);
    size_t each = codes + sums + 4 * column;
    if (!base) return each * (size_t)p->cell.directions;
    base += each * (size_t)direction;
    r->codes = (uint8_t *)base;
    r->sums = (int32_t *)(void *)(base + (at += codes));
    r->scale = (float *)(void *)(base + (at += sums));
    r->offset = (int32_t *)(void *)(base + (at += column));
    r->zero = (int32_t *)(void *)(base + (at += column));
    r->fixed = (int32_t *)(void *)(base + at + column);
    return each;
}

size_t hone_recurrence_quantized_room(const hone_recurrence_params *p) {
    room r;
    return place(p, NULL, 0, &r);
}

static room room_of(const hone_recurrence_job *j, int direction) {
    room r;
    place(j->p, (char *)hone_step_scratch(j->step, j->frame) + j->p->at_quantized, direction, &r);
    return r;
}

void hone_recurrence_quantized_begin(const hone_recurrence_job *j) {
    const hone_recurrence_params *p = j->p;
    const void *zeros = hone_step_in(j->step, j->frame, HONE_RECURRENCE_R_ZERO);
    const int64_t columns = p->cell.gates * p->steps.hidden, k = p->steps.hidden;
    const int32_t *sums = hone_product_b_sums(&p->weights.b, j->weights, p->weights.b.matrices);
    for (int d = 0; d < p->cell.directions; d++) {
        room r = room_of(j, d);
        for (int64_t i = 0; i < columns; i++) {
            int64_t at = d * columns + i;
            int32_t zero = 0;
            if (zeros) zero = p->weights.b.flip ? ((const uint8_t *)zeros)[at] : ((const int8_t *)zeros)[at];
            r.zero[i] = zero - (p->weights.b.flip ? 128 : 0);
            r.fixed[i] = sums[at] - (int32_t)k * r.zero[i];
        }
    }
}

void hone_recurrence_quantize(const hone_recurrence_job *j, int direction, const void *h, int64_t rows) {
    const hone_recurrence_params *p = j->p;
    const hone_kernels *kernels = hone_kernels_get();
    const float *weights = hone_step_in(j->step, j->frame, HONE_RECURRENCE_R_SCALE);
    const int64_t columns = p->cell.gates * p->steps.hidden, k = p->steps.hidden;
    room r = room_of(j, direction);
    float low, high, scale;
    uint8_t zero;
    kernels->min_max_f32(h, rows * k, &low, &high);
    hone_dynamic_range(low, high, &scale, &zero);
    kernels->quantize_u8(h, r.codes, rows * k, scale, zero);
    for (int64_t i = 0; i < rows; i++) r.sums[i] = kernels->sum_u8(r.codes + i * k, k);
    for (int64_t i = 0; i < columns; i++) {
        r.scale[i] = scale * weights[direction * columns + i];
        r.offset[i] = -(int32_t)zero * r.fixed[i];
    }
}

void hone_recurrence_quantized_gemm(const hone_recurrence_job *j, int direction, int64_t column,
                                    hone_gemm *gemm) {
    room r = room_of(j, direction);
    gemm->a = r.codes;
    gemm->epilogue.scale = r.scale + column;
    gemm->epilogue.sum_bias = r.offset + column;
    gemm->epilogue.b_zero = r.zero + column;
    gemm->epilogue.a_sum = r.sums;
}
