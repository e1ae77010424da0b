/* Circular and hyperbolic functions of the vector vocabulary, and their inverses. As in kernels/vec_math.h, the
 * polynomials are minimax fits made for this file and errors are against exact values. */
#ifndef HONE_KERNELS_VEC_TRIGONOMETRY_H
#define HONE_KERNELS_VEC_TRIGONOMETRY_H

#include "kernels/vec_math.h"

#include <math.h>

/* Up to here an angle is reduced with three parts of pi/2; beyond it libm takes over, lane by lane. */
#define VEC_ANGLE_MAX_ 8192.0f

/* Lanes whose |x| is beyond VEC_ANGLE_MAX_ become f(x), the others stay y. */
VEC_FN vec_f32 vec_far_(vec_f32 x, vec_f32 y, float (*f)(float)) {
    if (!vec_mask_any(vec_gt(vec_abs(x), vec_set1(VEC_ANGLE_MAX_)))) return y;
    float in[VEC_F32], out[VEC_F32];
    vec_store(in, x);
    vec_store(out, y);
    for (int i = 0; i < VEC_F32; i++)
        if (!(in[i] <= VEC_ANGLE_MAX_ && in[i] >= -VEC_ANGLE_MAX_)) out[i] = f(in[i]);
    return vec_load(out);
}

/* x = n pi/2 + r, |r| <= pi/4: gives sin r and cos r, and returns n. */
VEC_FN vec_i32 vec_sin_cos_(vec_f32 x, vec_f32 *sine, vec_f32 *cosine) {
    vec_f32 n = vec_round(x * 0.636619772f) + vec_zero(); /* -0 becomes 0, so that r keeps x's sign */
    /* pi/2 in three parts; the first two have so few bits that n times them is exact. */
    vec_f32 r = vec_fma(n, vec_set1(-1.5703125f), x);
    r = vec_fma(n, vec_set1(-4.837512969970703125e-4f), r);
    r = vec_fma(n, vec_set1(-7.549789948768648e-8f), r);
    vec_f32 z = r * r, p = vec_set1(-1.9518791e-4f), q = vec_set1(2.4430661e-05f);
    p = vec_fma(p, z, vec_set1(8.332192e-03f));
    q = vec_fma(q, z, vec_set1(-1.3887301e-03f));
    p = vec_fma(p, z, vec_set1(-1.6666655e-01f));
    q = vec_fma(q, z, vec_set1(4.1666646e-02f));
    *sine = vec_fma(p * z, r, r);
    *cosine = vec_fma(q, z * z, vec_fma(z, vec_set1(-0.5f), vec_set1(1.0f)));
    return vec_to_i32(n);
}

/* -x where bit 1 of n is set. */
VEC_FN vec_f32 vec_flip_half_turn_(vec_f32 x, vec_i32 n) {
    return vec_from_bits(vec_bits(x) ^ vec_shl_i32(n & 2, 30));
}
VEC_FN vec_mask vec_is_odd_(vec_i32 n) {
    return vec_eq_i32(n & 1, vec_set1_i32(1));
}

/* sin x, absolute error <= 2e-7. */
VEC_FN vec_f32 vec_sin(vec_f32 x) {
    vec_f32 s, c;
    vec_i32 n = vec_sin_cos_(x, &s, &c);
    return vec_far_(x, vec_flip_half_turn_(vec_select(vec_is_odd_(n), c, s), n), sinf);
}

/* cos x, absolute error <= 2e-7. */
VEC_FN vec_f32 vec_cos(vec_f32 x) {
    vec_f32 s, c;
    vec_i32 n = vec_sin_cos_(x, &s, &c), next = vec_add_i32(n, vec_set1_i32(1));
    return vec_far_(x, vec_flip_half_turn_(vec_select(vec_is_odd_(n), s, c), next), cosf);
}

/* tan x, relative error <= 4e-7 but near zeros and poles. */
VEC_FN vec_f32 vec_tan(vec_f32 x) {
    vec_f32 s, c;
    vec_mask odd = vec_is_odd_(vec_sin_cos_(x, &s, &c));
    return vec_far_(x, vec_select(odd, vec_neg(c), s) / vec_select(odd, s, c), tanf);
}

/* asin a for a in [0, 1/2]: a + a z P(z), z = a^2. */
VEC_FN vec_f32 vec_asin_small_(vec_f32 a, vec_f32 z) {
    vec_f32 p = vec_set1(4.2211797e-02f);
    p = vec_fma(p, z, vec_set1(2.4152093e-02f));
    p = vec_fma(p, z, vec_set1(4.547604e-02f));
    p = vec_fma(p, z, vec_set1(7.495252e-02f));
    p = vec_fma(p, z, vec_set1(1.6666754e-01f));
    return vec_fma(p * z, a, a);
}

/* asin x, relative error <= 4e-7: beyond 1/2, pi/2 - 2 asin(sqrt((1 - x) / 2)). */
VEC_FN vec_f32 vec_asin(vec_f32 x) {
    vec_f32 a = vec_abs(x), half = 0.5f - 0.5f * a;
    vec_mask large = vec_gt(a, vec_set1(0.5f));
    vec_f32 z = vec_select(large, half, x * x), y = vec_asin_small_(vec_select(large, vec_sqrt(half), a), z);
    return vec_copysign(vec_select(large, vec_fma(y, vec_set1(-2.0f), vec_set1(1.57079633f)), y), x);
}

/* acos x, relative error <= 4e-7: beyond 1/2, 2 asin(sqrt((1 - x) / 2)), or pi minus it. */
VEC_FN vec_f32 vec_acos(vec_f32 x) {
    vec_f32 a = vec_abs(x), half = 0.5f - 0.5f * a;
    vec_mask large = vec_gt(a, vec_set1(0.5f)), negative = vec_gt(vec_zero(), x);
    vec_f32 z = vec_select(large, half, x * x), y = vec_asin_small_(vec_select(large, vec_sqrt(half), a), z);
    vec_f32 far = vec_select(negative, 3.14159265f - 2.0f * y, 2.0f * y);
    return vec_select(large, far, (1.57079637f - vec_copysign(y, x)) - 4.37113883e-8f);
}

/* atan x, relative error <= 3e-7: a + a z P(z) up to 1, then pi/2 - atan(1 / a). */
VEC_FN vec_f32 vec_atan(vec_f32 x) {
    vec_f32 a = vec_abs(x);
    vec_mask large = vec_gt(a, vec_set1(1.0f));
    vec_f32 b = vec_select(large, 1.0f / a, a), z = b * b, p = vec_set1(2.9203598e-03f);
    p = vec_fma(p, z, vec_set1(-1.636652e-02f));
    p = vec_fma(p, z, vec_set1(4.3209426e-02f));
    p = vec_fma(p, z, vec_set1(-7.5519934e-02f));
    p = vec_fma(p, z, vec_set1(1.0665893e-01f));
    p = vec_fma(p, z, vec_set1(-1.4211024e-01f));
    p = vec_fma(p, z, vec_set1(1.9993769e-01f));
    p = vec_fma(p, z, vec_set1(-3.3333153e-01f));
    vec_f32 y = vec_fma(p * z, b, b);
    return vec_copysign(vec_select(large, 1.57079633f - y, y), x);
}

/* e^a / 2 for a >= 0, overflow to inf. */
VEC_FN vec_f32 vec_half_exp_(vec_f32 a) {
    vec_f32 n, p = vec_exp_parts_(vec_min(vec_set1(90.0f), a), &n);
    return vec_ldexp(p, n - 1.0f);
}

/* sinh x, relative error <= 4e-7: x + x z P(z), z = x^2, up to 1. */
VEC_FN vec_f32 vec_sinh(vec_f32 x) {
    vec_f32 a = vec_abs(x), z = x * x, e = vec_half_exp_(a), p = vec_set1(2.0376634e-04f);
    p = vec_fma(p, z, vec_set1(8.330223e-03f));
    p = vec_fma(p, z, vec_set1(1.6666718e-01f));
    vec_f32 large = vec_copysign(e - 0.25f / e, x);
    return vec_select(vec_gt(a, vec_set1(1.0f)), large, vec_fma(p * z, x, x));
}

/* cosh x, relative error <= 4e-7. */
VEC_FN vec_f32 vec_cosh(vec_f32 x) {
    vec_f32 e = vec_half_exp_(vec_abs(x));
    return e + 0.25f / e;
}

/* ln(1 + x), relative error <= 4e-7: what 1 + x has lost is made good by a factor. */
VEC_FN vec_f32 vec_log1p_(vec_f32 x) {
    vec_f32 w = x + 1.0f, d = w - 1.0f, y = vec_log(w);
    vec_mask tiny = vec_eq(d, vec_zero()), whole = vec_eq(d, x); /* infinity, too */
    return vec_select(tiny, x, vec_select(whole, y, y * (x / d)));
}

/* asinh x, relative error <= 5e-7: ln(1 + a + a^2 / (1 + sqrt(1 + a^2))); of large ones ln 2a. */
VEC_FN vec_f32 vec_asinh(vec_f32 x) {
    vec_f32 a = vec_abs(x), z = x * x;
    vec_f32 y = vec_log1p_(a + z / (1.0f + vec_sqrt(1.0f + z)));
    vec_f32 far = vec_log(a) + 0.693147181f;
    return vec_copysign(vec_select(vec_gt(a, vec_set1(1e9f)), far, y), x);
}

/* acosh x, relative error <= 5e-7: ln(1 + t + sqrt(2 t + t^2)), t = x - 1; of large ones ln 2x. */
VEC_FN vec_f32 vec_acosh(vec_f32 x) {
    vec_f32 t = x - 1.0f, y = vec_log1p_(t + vec_sqrt(t * (t + 2.0f)));
    vec_f32 far = vec_log(x) + 0.693147181f;
    return vec_select(vec_gt(x, vec_set1(1e9f)), far,
                      vec_select(vec_ge(x, vec_set1(1.0f)), y, t * __builtin_nanf("")));
}

/* atanh x, relative error <= 5e-7: ln(1 + 2a / (1 - a)) / 2. */
VEC_FN vec_f32 vec_atanh(vec_f32 x) {
    vec_f32 a = vec_abs(x);
    return vec_copysign(0.5f * vec_log1p_(2.0f * a / (1.0f - a)), x);
}

#endif
