#include "kernels/levels.h"
#include "kernels/vec_range.h"

#define DIRECT_TYPE float

VEC_FN vec_f32 load_row(const hone_direct *d, const float *p, int n) {
    (void)d;
    return n == VEC_F32 ? vec_load(p) : vec_load_n(p, n);
}
VEC_FN vec_f32 load_second(const hone_direct *d, const float *p) {
    (void)d;
    return vec_load_step_2(p);
}
VEC_FN float load_one(const hone_direct *d, const float *p) {
    (void)d;
    return *p;
}

VEC_FN void finish(const hone_direct *d, vec_f32 sum, int64_t channel, void *y, int64_t at, int n) {
    const hone_epilogue *e = &d->epilogue;
    float *to = (float *)y + at;
    if (e->row_bias) sum = sum + ((const float *)e->row_bias)[channel];
    if (e->residual) sum = sum + vec_load_n((const float *)e->residual + at, n);
    sum = vec_min(vec_set1((float)e->hi), vec_max(vec_set1((float)e->lo), sum));
    if (n == VEC_F32)
        vec_store(to, sum);
    else
        vec_store_n(to, sum, n);
}

#include "kernels/direct.inc.h"

void HONE_ISA_NAME(direct_f32)(const hone_direct *d, const float *x, float *y, int64_t line0, int64_t line1,
                               float *room) {
    run_direct(d, x, y, line0, line1, room);
}
