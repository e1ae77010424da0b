/* Transcendental functions of the vector vocabulary, shared by programs, softmax and whatever else needs
 * them. The polynomials are minimax fits made for this file; errors are against exact values. */
#ifndef HONE_KERNELS_VEC_MATH_H
#define HONE_KERNELS_VEC_MATH_H

#include "kernels/vec.h"

/* e^x in two factors, x = n ln 2 + r, |r| <= ln 2 / 2: returns e^r and gives n. Relative error <= 1e-7. */
VEC_FN vec_f32 vec_exp_parts_(vec_f32 x, vec_f32 *whole) {
    vec_f32 n = *whole = vec_round(x * 1.44269504f);
    /* ln 2 in two parts; the first has so few bits that n times it is exact. */
    vec_f32 r = vec_fma(n, vec_set1(-0.693359375f), x);
    r = vec_fma(n, vec_set1(2.12194440e-4f), r);
    vec_f32 p = vec_set1(0.0013814281f);
    p = vec_fma(p, r, vec_set1(0.00836885088f));
    p = vec_fma(p, r, vec_set1(0.0416684016f));
    p = vec_fma(p, r, vec_set1(0.166665195f));
    p = vec_fma(p, r, vec_set1(0.499999934f));
    return vec_fma(p, r * r, r) + 1.0f;
}

/* x / s, rounded as the division rounds it, with r = 1 / s: for s in [2^-60, 2^60] and quotients below 2^60; an x near the
 * least of floats gives some number below 2^-50. Two corrections by what is left make any rounding of x r right. */
VEC_FN vec_f32 vec_divide_by(vec_f32 x, vec_f32 s, vec_f32 r) {
#if defined(HONE_ISA_v3) || defined(HONE_ISA_v4) || defined(HONE_ISA_neon)
    const vec_f32 q = x * r, less = vec_neg(s), better = vec_fma(vec_fma(q, less, x), r, q);
    return vec_fma(vec_fma(better, less, x), r, better);
#else
    (void)r;
    return x / s;
#endif
}

/* e^x, relative error <= 1e-7; gradual underflow to 0, overflow to inf. */
VEC_FN vec_f32 vec_exp(vec_f32 x) {
    /* Beyond these bounds the result is 0 or inf anyway; in this order of operands NaN passes. */
    x = vec_min(vec_set1(89.0f), vec_max(vec_set1(-104.0f), x));
    vec_f32 n, p = vec_exp_parts_(x, &n);
    return vec_ldexp(p, n);
}

/* e^x for x in [-80, 80], where one exponent holds 2^n. */
VEC_FN vec_f32 vec_exp_small_(vec_f32 x) {
    vec_f32 n, p = vec_exp_parts_(x, &n);
    return vec_from_bits(vec_add_i32(vec_bits(p), vec_shl_i32(vec_to_i32(n), 23)));
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

/* tanh x, relative error <= 2e-7: x + x z P(z), z = x^2, up to 0.6, then 1 - 2 / (1 + e^2x). */
VEC_FN vec_f32 vec_tanh(vec_f32 x) {
    vec_f32 a = vec_abs(x), z = x * x;
    vec_f32 p = vec_set1(-0.0058951567f);
    p = vec_fma(p, z, vec_set1(0.0207959706f));
    p = vec_fma(p, z, vec_set1(-0.05378383f));
    p = vec_fma(p, z, vec_set1(0.133319241f));
    p = vec_fma(p, z, vec_set1(-0.33333298f));
    vec_f32 e = vec_exp_small_(2.0f * vec_min(a, vec_set1(9.1f)));
    vec_f32 large = vec_copysign(1.0f - 2.0f / (1.0f + e), x);
    return vec_select(vec_gt(a, vec_set1(0.6f)), large, vec_fma(p * z, x, x));
}

/* 1 / (1 + e^-x), relative error <= 3e-7. */
VEC_FN vec_f32 vec_sigmoid(vec_f32 x) {
    return 1.0f / (1.0f + vec_exp(vec_neg(x)));
}

#if defined(HONE_ISA_v4)
/* erf x / x near i * 33 / 128, for each i the coefficients of a polynomial, the highest power first. */
static const float vec_erf_table_[6][16] __attribute__((aligned(64))) = {
    {1.34636633e-11f, -0.0365069881f, -0.0496691726f, -0.0355149992f, -0.00934037752f, 0.0107152183f,
     0.017223483f, 0.013758868f, 0.00733321719f, 0.00239593117f, -7.05171478e-05f, -0.000832796213f,
     -0.000835000537f, -0.000632349227f, -0.000437536743f, -0.000296655722f},
    {0.11217057f, 0.0871710777f, 0.0284773335f, -0.0288015455f, -0.057989113f, -0.0558612272f, -0.0364779271f,
     -0.0158225987f, -0.00220436556f, 0.0038159804f, 0.00508436467f, 0.00437851297f, 0.00326053053f,
     0.00230870862f, 0.00162384065f, 0.00115614792f},
    {-1.80211735e-13f, 0.107479587f, 0.168797165f, 0.166803196f, 0.118683845f, 0.0574084297f, 0.00897175074f,
     -0.0175430365f, -0.0260115284f, -0.0245494936f, -0.0196471475f, -0.014672244f, -0.0107339639f,
     -0.00788847264f, -0.00588564062f, -0.00447014719f},
    {-0.376122236f, -0.332861602f, -0.222045094f, -0.0883997157f, 0.0239490103f, 0.091875881f, 0.116225459f,
     0.111521974f, 0.093773149f, 0.0738261268f, 0.0566556156f, 0.0434334874f, 0.0336837396f, 0.0265454948f,
     0.0212641936f, 0.0172903743f},
    {9.42007443e-17f, -0.186386243f, -0.331496447f, -0.411455214f, -0.426451117f, -0.394537568f,
     -0.339271665f, -0.279677242f, -0.226473317f, -0.183316648f, -0.149841666f, -0.124203362f, -0.104452446f,
     -0.0890189931f, -0.076759465f, -0.0668665543f},
    {1.12837911f, 1.1038698f, 1.03587496f, 0.938614726f, 0.829354465f, 0.722771823f, 0.627912462f,
     0.548181295f, 0.483133942f, 0.430531293f, 0.387775481f, 0.352595717f, 0.323228389f, 0.298367649f,
     0.277056187f, 0.25858587f},
};

/* erf x, relative error <= 2e-7. */
VEC_FN vec_f32 vec_erf(vec_f32 x) {
    const vec_f32 magic = vec_set1(12582912.0f); /* 3 * 2^22: its last bits count ones */
    vec_f32 a = vec_min(vec_set1(3.96f), vec_abs(x)), k = vec_fma(a, vec_set1(128.0f / 33), magic);
    vec_f32 t = vec_fma(k - magic, vec_set1(-33.0f / 128), a),
            p = vec_of_16(vec_load(vec_erf_table_[0]), vec_bits(k));
    VEC_UNROLL
    for (int i = 1; i < 6; i++) p = vec_fma(p, t, vec_of_16(vec_load(vec_erf_table_[i]), vec_bits(k)));
    return vec_copysign(vec_min(vec_set1(1.0f), p * a), x);
}
#else
/* erf x, relative error <= 2e-7: x P(x^2) up to 0.8, then 1 - e^Q(x) with Q near ln erfc x. */
VEC_FN vec_f32 vec_erf(vec_f32 x) {
    vec_f32 a = vec_abs(x), b = vec_min(a, vec_set1(3.93f)), z = x * x;
    vec_f32 p = vec_set1(-0.000653523621f), q = vec_set1(0.000208380105f);
    p = vec_fma(p, z, vec_set1(0.0050851305f));
    q = vec_fma(q, b, vec_set1(-0.00316221464f));
    p = vec_fma(p, z, vec_set1(-0.0268208068f));
    q = vec_fma(q, b, vec_set1(0.0226885037f));
    p = vec_fma(p, z, vec_set1(0.112831128f));
    q = vec_fma(q, b, vec_set1(-0.104861578f));
    p = vec_fma(p, z, vec_set1(-0.376126014f));
    q = vec_fma(q, b, vec_set1(-0.636155129f));
    p = vec_fma(p, z, vec_set1(1.12837916f));
    q = vec_fma(q, b, vec_set1(-1.12826574f));
    q = vec_fma(q, b, vec_set1(-5.77517085e-5f));
    vec_f32 large = vec_copysign(1.0f - vec_exp_small_(q), x);
    return vec_select(vec_gt(a, vec_set1(0.8f)), large, x * p);
}

#endif

#endif
