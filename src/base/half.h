/* Narrow floats to float and back, rounded to nearest even. */
#ifndef HONE_BASE_HALF_H
#define HONE_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float hone_float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t hone_bits_of_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* double to float so that rounding the result again, to fewer bits, gives what rounding once would: the last
 * bit is set where something was lost ("round to odd"). */
static inline float hone_odd_float_of_double(double x) {
    float f = (float)x;
    if (f != f || (double)f == x) return f;
    uint32_t bits = hone_bits_of_float(f);
    if ((bits & 0x7fffffff) == 0x7f800000)
        return hone_float_of_bits(bits - 1); /* beyond FLT_MAX: any number that large will do */
    double size = x < 0 ? -x : x, near = f < 0 ? -(double)f : (double)f;
    if (near > size) bits--; /* toward zero */
    return hone_float_of_bits(bits | 1);
}

static inline float hone_float_of_bfloat(uint16_t x) {
    return hone_float_of_bits((uint32_t)x << 16);
}

static inline uint16_t hone_bfloat_of_float(float x) {
    uint32_t bits = hone_bits_of_float(x);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40); /* NaN stays one */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Halves below the normal ones are multiples of 2^-24; the others get another bias. */
static inline float hone_float_of_half(uint16_t x) {
    const uint32_t sign = (uint32_t)(x & 0x8000) << 16, size = x & 0x7fff;
    const uint32_t small = hone_bits_of_float((float)(int32_t)size * 0x1p-24f), wide = size << 13;
    const uint32_t bits = size < 0x400 ? small : size < 0x7c00 ? wide + (112U << 23) : wide | 0x7f800000;
    return hone_float_of_bits(sign | bits);
}

static inline uint16_t hone_half_of_float(float x) {
    uint32_t bits = hone_bits_of_float(x), sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (bits >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and more */
    if (bits < 0x38800000) {                                  /* below 2^-14: a multiple of 2^-24 */
        float shifted = hone_float_of_bits(bits) + 0x1p-1f;
        return (uint16_t)(sign | (hone_bits_of_float(shifted) - 0x3f000000));
    }
    return (uint16_t)(sign | ((bits - 0x38000000 + 0xfff + (bits >> 13 & 1)) >> 13));
}

#endif
