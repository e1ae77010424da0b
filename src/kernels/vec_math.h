/* Transcendental functions of the vector vocabulary, shared by programs, softmax and whatever else needs
 * them. The polynomials and rationals are minimax fits made for this file; errors are against exact values.
 */
#ifndef HONE_KERNELS_VEC_MATH_H
#define HONE_KERNELS_VEC_MATH_H

#include "kernels/vec.h"

/* e^x, relative error <= 1.2e-7; gradual underflow to 0, overflow to inf. x = n ln 2 + r, |r| <= ln 2 / 2. */
VEC_FN vec_f32 vec_exp(vec_f32 x) {
    /* Beyond these bounds the result is 0 or inf anyway; in this order of operands NaN passes. */
    x = vec_max(vec_set1(-104.0f), x);
    x = vec_min(vec_set1(89.0f), x);
    vec_f32 n = vec_round(x * 1.44269504f);
    /* ln 2 in two parts; the first has so few bits that n times it is exact. */
    vec_f32 r = vec_fma(n, vec_set1(-0.693359375f), x);
    r = vec_fma(n, vec_set1(2.12194440e-4f), r);
    vec_f32 p = vec_set1(0.0013814281f);
    p = vec_fma(p, r, vec_set1(0.00836885088f));
    p = vec_fma(p, r, vec_set1(0.0416684016f));
    p = vec_fma(p, r, vec_set1(0.166665195f));
    p = vec_fma(p, r, vec_set1(0.499999934f));
    return vec_ldexp(vec_fma(p, r * r, r) + 1.0f, n);
}

/* ln x, relative error <= 2e-7: x = 2^e m, m in [sqrt(1/2), sqrt(2)). */
VEC_FN vec_f32 vec_log(vec_f32 x) {
    const vec_i32 root = vec_set1_i32(0x3f3504f3); /* sqrt(1/2) */
    const vec_f32 infinity = vec_set1(__builtin_inff());
    vec_mask tiny = vec_gt(vec_set1(1.17549435e-38f), x);
    vec_i32 bits = vec_sub_i32(vec_bits(vec_select(tiny, x * 8388608.0f, x)), root);
    vec_i32 whole = vec_shr_i32(bits, 23);
    vec_f32 e = vec_from_i32(whole) - vec_select(tiny, vec_set1(23.0f), vec_zero());
    vec_f32 f = vec_from_bits(vec_add_i32(vec_sub_i32(bits, vec_shl_i32(whole, 23)), root)) - 1.0f;
    vec_f32 p = vec_set1(-0.076344952f), z = f * f;
    p = vec_fma(p, f, vec_set1(0.127615754f));
    p = vec_fma(p, f, vec_set1(-0.131601821f));
    p = vec_fma(p, f, vec_set1(0.142017582f));
    p = vec_fma(p, f, vec_set1(-0.166233574f));
    p = vec_fma(p, f, vec_set1(0.200012269f));
    p = vec_fma(p, f, vec_set1(-0.25000821f));
    p = vec_fma(p, f, vec_set1(0.333333317f));
    vec_f32 y = vec_fma(e, vec_set1(-2.12194440e-4f), p * (z * f));
    y = vec_fma(z, vec_set1(-0.5f), y);
    y = vec_fma(e, vec_set1(0.693359375f), f + y);
    vec_f32 special = vec_select(vec_eq(x, infinity), infinity, vec_set1(__builtin_nanf("")));
    special = vec_select(vec_eq(x, vec_zero()), vec_set1(-__builtin_inff()), special);
    return vec_select(vec_mask_and(vec_gt(x, vec_zero()), vec_gt(infinity, x)), y, special);
}

/* x clamped to [-bound, bound]; NaN passes. */
VEC_FN vec_f32 vec_clamp_(vec_f32 x, float bound) {
    return vec_min(vec_set1(bound), vec_max(vec_set1(-bound), x));
}

/* tanh x, absolute error <= 2e-7 and relative error <= 4e-7: x P(x^2) / Q(x^2), 1 from 9.02 on. */
VEC_FN vec_f32 vec_tanh(vec_f32 x) {
    x = vec_clamp_(x, 9.02f);
    vec_f32 z = x * x;
    vec_f32 p = vec_set1(1.33187032e-8f), q = vec_set1(7.76187030e-7f);
    p = vec_fma(p, z, vec_set1(2.05832217e-5f));
    q = vec_fma(q, z, vec_set1(3.28306738e-4f));
    p = vec_fma(p, z, vec_set1(3.49401917e-3f));
    q = vec_fma(q, z, vec_set1(0.0258710151f));
    p = vec_fma(p, z, vec_set1(0.133797051f));
    q = vec_fma(q, z, vec_set1(0.467130204f));
    p = vec_fma(p, z, vec_set1(0.999999979f));
    q = vec_fma(q, z, vec_set1(1.0f));
    return vec_clamp_(x * p / q, 1.0f);
}

/* 1 / (1 + e^-x), relative error <= 3e-7. */
VEC_FN vec_f32 vec_sigmoid(vec_f32 x) {
    return 1.0f / (1.0f + vec_exp(vec_neg(x)));
}

/* erf x, absolute error <= 2e-7 and relative error <= 4e-7: x P(x^2) / Q(x^2), 1 from 3.93 on. */
VEC_FN vec_f32 vec_erf(vec_f32 x) {
    x = vec_clamp_(x, 3.93f);
    vec_f32 z = x * x;
    vec_f32 p = vec_set1(2.04192540e-6f), q = vec_set1(3.80034592e-5f);
    p = vec_fma(p, z, vec_set1(2.84805785e-4f));
    q = vec_fma(q, z, vec_set1(1.16520967e-3f));
    p = vec_fma(p, z, vec_set1(3.77961952e-3f));
    q = vec_fma(q, z, vec_set1(0.0149974583f));
    p = vec_fma(p, z, vec_set1(0.0527903017f));
    q = vec_fma(q, z, vec_set1(0.11425773f));
    p = vec_fma(p, z, vec_set1(0.190784487f));
    q = vec_fma(q, z, vec_set1(0.502411069f));
    p = vec_fma(p, z, vec_set1(1.12837915f));
    q = vec_fma(q, z, vec_set1(1.0f));
    return vec_clamp_(x * p / q, 1.0f);
}

#endif
