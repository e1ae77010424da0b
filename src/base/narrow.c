#include "base/narrow.h"
#include "base/half.h"

/* A format of sign, exponent and `fraction` bits: (1 + f) 2^(e - bias), f 2^(1 - bias) where e is 0. */
typedef struct format {
    int fraction, bias;
    unsigned sign, largest; /* the sign's bit; the largest finite number */
    unsigned infinity, nan; /* what stands for them; 0: the format has none */
    bool one_zero;          /* no -0: its bits are NaN */
} format;

static const format formats[HONE_DTYPE_COUNT] = {
    [HONE_FLOAT8E4M3FN] = {3, 7, 0x80, 0x7e, 0x7f, 0x7f, false},
    [HONE_FLOAT8E4M3FNUZ] = {3, 8, 0x80, 0x7f, 0x80, 0x80, true},
    [HONE_FLOAT8E5M2] = {2, 15, 0x80, 0x7b, 0x7c, 0x7e, false},
    [HONE_FLOAT8E5M2FNUZ] = {2, 16, 0x80, 0x7f, 0x80, 0x80, true},
    [HONE_FLOAT4E2M1] = {1, 1, 0x8, 0x7, 0, 0, false},
};

bool hone_dtype_is_small_float(hone_dtype dtype) {
    return dtype == HONE_FLOAT8E8M0 || ((unsigned)dtype < HONE_DTYPE_COUNT && formats[dtype].largest);
}

static float of_e8m0(unsigned bits) {
    if (bits == 0xff) return hone_float_of_bits(0x7fc00000);
    return hone_float_of_bits(bits ? bits << 23 : 0x00400000); /* 2^-127 is below the smallest normal float */
}

/* `bits` of 2^power, as a factor. */
static float power_of_two(int power) {
    return hone_float_of_bits((uint32_t)(power + 127) << 23);
}

float hone_float_of_small(hone_dtype dtype, unsigned bits) {
    if (dtype == HONE_FLOAT8E8M0) return of_e8m0(bits);
    const format *f = &formats[dtype];
    unsigned size = bits & ~f->sign;
    uint32_t sign = bits & f->sign ? 0x80000000 : 0;
    if (f->one_zero ? bits == f->nan : size > f->largest)
        return hone_float_of_bits(sign |
                                  (size == f->infinity && f->infinity != f->nan ? 0x7f800000 : 0x7fc00000));
    unsigned exponent = size >> f->fraction, part = size & ((1u << f->fraction) - 1);
    if (exponent == 0) {
        float x = (float)part * power_of_two(1 - f->bias - f->fraction);
        return sign ? -x : x;
    }
    return hone_float_of_bits(sign | (exponent + 127 - (unsigned)f->bias) << 23 | part << (23 - f->fraction));
}

/* The number x in [0, 2^fraction) rounded to an integer. */
static unsigned round_small(float x) {
    unsigned whole = (unsigned)x;
    float rest = x - (float)whole;
    return whole + (rest > 0.5f || (rest == 0.5f && (whole & 1)));
}

static unsigned to_e8m0(float x, hone_small_rounding r) {
    uint32_t bits = hone_bits_of_float(x), exponent = bits >> 23, part = bits & 0x7fffff;
    if (x != x) return 0xff;
    if (exponent > 0xff || bits < 0x400000) return r.saturate ? 0 : 0xff; /* negative, or below 2^-127 */
    if (exponent == 0) part = (part - 0x400000) << 1; /* 2^-127 and more, as 1.part times that */
    exponent += r.e8m0 == HONE_E8M0_UP ? part > 0 : r.e8m0 == HONE_E8M0_NEAREST ? part >= 0x400000 : 0;
    if (exponent < 0xff) return exponent;
    return r.saturate ? 0xfe : 0xff;
}

unsigned hone_small_of_float(hone_dtype dtype, float x, hone_small_rounding r) {
    if (dtype == HONE_FLOAT8E8M0) return to_e8m0(x, r);
    const format *f = &formats[dtype];
    const uint32_t bits = hone_bits_of_float(x), size = bits & 0x7fffffff,
                   normal = (uint32_t)(128 - f->bias) << 23;
    const unsigned sign = bits >> 31 ? f->sign : 0;
    const int cut = 23 - f->fraction;
    unsigned code;
    if (size > 0x7f800000) return f->nan ? f->nan | (f->one_zero ? 0 : sign) : f->sign;
    if (size < normal)
        code = round_small(hone_float_of_bits(size) * power_of_two(f->bias - 1 + f->fraction));
    else
        code =
            (size - normal + (1u << f->fraction << cut) + (1u << (cut - 1)) - 1 + (size >> cut & 1)) >> cut;
    if (code > f->largest) {
        if (!r.saturate && f->infinity) return f->one_zero ? f->infinity : f->infinity | sign;
        code = f->largest;
    }
    return code == 0 && f->one_zero ? 0 : code | sign;
}
