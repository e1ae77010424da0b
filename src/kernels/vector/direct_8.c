/* Bytes are computed with as floats, which hold their sums exactly. */
#include "kernels/levels.h"
#include "kernels/vec_bytes.h"
#include "kernels/vec_range.h"

#define DIRECT_TYPE uint8_t

VEC_FN vec_f32 load_row(const hone_direct *d, const uint8_t *p, int n) {
    const int8_t *s = (const int8_t *)p;
    vec_i32 x;
    if (n == VEC_F32)
        x = d->x_signed ? vec_load_s8(s) : vec_load_u8(p);
    else
        x = d->x_signed ? vec_load_s8_n(s, n) : vec_load_u8_n(p, n);
    return vec_from_i32(vec_sub_i32(x, vec_set1_i32(d->x_zero)));
}
VEC_FN float load_one(const hone_direct *d, const uint8_t *p) {
    return (float)((d->x_signed ? *(const int8_t *)p : *p) - d->x_zero);
}
VEC_FN vec_f32 load_second(const hone_direct *d, const uint8_t *p) {
    return vec_every_second(load_row(d, p, VEC_F32), load_row(d, p + VEC_F32 - 1, VEC_F32));
}

VEC_FN void finish(const hone_direct *d, vec_f32 sum, int64_t channel, void *y, int64_t at, int n) {
    const hone_epilogue *e = &d->epilogue;
    vec_i32 s = vec_to_i32(sum);
    if (e->row_sum_bias) s = vec_add_i32(s, vec_set1_i32(e->row_sum_bias[channel]));
    if (e->store == HONE_STORE_I32) {
        vec_store_i32_n((int32_t *)y + at, s, n);
        return;
    }
    vec_f32 v = vec_from_i32(s) * e->row_scale[channel];
    if (e->row_bias) v = v + ((const float *)e->row_bias)[channel];
    if (e->residual) v = v + vec_load_n((const float *)e->residual + at, n);
    v = vec_min(vec_set1((float)e->hi), vec_max(vec_set1((float)e->lo), v));
    if (e->store == HONE_STORE_F32) {
        vec_store_n((float *)y + at, v, n);
        return;
    }
    const float least = (e->store == HONE_STORE_U8 ? 0.0f : -128.0f) - (float)e->zero;
    v = vec_min(vec_max(v, vec_set1(least)), vec_set1(least + 255));
    s = vec_add_i32(vec_to_i32(v), vec_set1_i32(e->zero));
    if (e->store == HONE_STORE_U8)
        vec_store_u8_n((uint8_t *)y + at, s, n);
    else
        vec_store_s8_n((int8_t *)y + at, s, n);
}

#include "kernels/direct.inc.h"

void HONE_ISA_NAME(direct_8)(const hone_direct *d, const uint8_t *x, void *y, int64_t line0, int64_t line1,
                             float *room) {
    run_direct(d, x, y, line0, line1, room);
}
