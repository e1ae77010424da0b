#include "base/bits.h"
#include "base/half.h"
#include "kernels/portable.h"

#define CHUNK 256 /* a whole number of bytes in every format */

static bool is_small_int(int dtype) {
    return dtype == HONE_INT4 || dtype == HONE_UINT4 || dtype == HONE_INT2 || dtype == HONE_UINT2;
}

bool hone_cast_is_small(int dtype) {
    return is_small_int(dtype) || hone_dtype_is_small_float((hone_dtype)dtype);
}

static unsigned get(const void *x, int64_t i, int bits) {
    return bits == 8 ? ((const uint8_t *)x)[i] : hone_bits_get(x, i, bits);
}

static void widen_ints(int from, int bits, const void *x, int32_t *wide, int64_t n) {
    const int sign = from == HONE_INT4 || from == HONE_INT2 ? 1 << (bits - 1) : 0;
    for (int64_t i = 0; i < n; i++) wide[i] = ((int)hone_bits_get(x, i, bits) ^ sign) - sign;
}

/* Several elements share a byte: they are put together, so that nothing of what was there is left. */
static void pack(const uint8_t *codes, int bits, uint8_t *y, int64_t n) {
    const int each = 8 / bits;
    for (int64_t i = 0; i < n; i += each) {
        unsigned byte = 0;
        for (int k = 0; k < each && i + k < n; k++) byte |= (codes[i + k] & ((1u << bits) - 1)) << k * bits;
        y[i / each] = (uint8_t)byte;
    }
}

/* A chunk of any dtype to a small one. */
static void narrow(int from, int to, const void *x, uint8_t *y, int64_t n, hone_small_rounding rounding) {
    const int bits = hone_dtype_bits((hone_dtype)to);
    uint8_t codes[CHUNK], *out = bits == 8 ? y : codes;
    if (is_small_int(to)) {
        int64_t wide[CHUNK];
        hone_cast(from, HONE_INT64, x, wide, n);
        for (int64_t i = 0; i < n; i++) out[i] = (uint8_t)wide[i];
    } else {
        double wide[CHUNK];
        hone_cast(from, HONE_FLOAT64, x, wide, n);
        for (int64_t i = 0; i < n; i++)
            out[i] =
                (uint8_t)hone_small_of_float((hone_dtype)to, hone_odd_float_of_double(wide[i]), rounding);
    }
    if (bits < 8) pack(codes, bits, y, n);
}

/* A chunk of a small dtype as floats or int32, which hold all its numbers. Tells which. */
static int widen(int from, const float *numbers, const void *x, void *wide, int64_t n) {
    const int bits = hone_dtype_bits((hone_dtype)from);
    if (is_small_int(from)) {
        widen_ints(from, bits, x, wide, n);
        return HONE_INT32;
    }
    for (int64_t i = 0; i < n; i++) ((float *)wide)[i] = numbers[get(x, i, bits)];
    return HONE_FLOAT32;
}

static bool copy(int bits, const void *x, void *y, int64_t n) {
    const int each = 8 / bits;
    if (n > 0) ((uint8_t *)y)[(n - 1) / each] = 0;
    hone_bits_copy(x, 0, y, 0, n, bits);
    return true;
}

static bool is_known(int dtype) {
    return hone_cast_is_small(dtype) || hone_cast(dtype, HONE_FLOAT32, NULL, NULL, 0);
}

bool hone_cast_small(int from, int to, const void *x, void *y, int64_t n, hone_small_rounding rounding) {
    const int from_bits = hone_dtype_bits((hone_dtype)from), to_bits = hone_dtype_bits((hone_dtype)to);
    const bool is_small = hone_cast_is_small(from);
    float numbers[256];
    union {
        float floats[CHUNK];
        int32_t ints[CHUNK];
    } wide;
    if (!is_known(from) || !is_known(to)) return false;
    if (from == to) return copy(from_bits, x, y, n);
    for (unsigned i = 0; hone_dtype_is_small_float((hone_dtype)from) && i < 1u << from_bits; i++)
        numbers[i] = hone_float_of_small((hone_dtype)from, i);
    for (int64_t at = 0; at < n; at += CHUNK) {
        const int64_t part = n - at < CHUNK ? n - at : CHUNK;
        const void *source = (const char *)x + at * from_bits / 8;
        void *target = (char *)y + at * to_bits / 8;
        int type = is_small ? widen(from, numbers, source, &wide, part) : from;
        if (is_small) source = &wide;
        if (hone_cast_is_small(to))
            narrow(type, to, source, target, part, rounding);
        else
            hone_cast(type, to, source, target, part);
    }
    return true;
}
