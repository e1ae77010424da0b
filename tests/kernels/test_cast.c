/* Conversions between all dtypes, element by element against what a double says, and their edges: packed elements,
 * chunks, what lies behind the last element. */
#include "base/bits.h"
#include "base/half.h"
#include "kernel_test.h"
#include "kernels/portable.h"

#include <hone/tensor.h>

enum { MOST = 700 };

static bool is_packed(int dtype) {
    return hone_dtype_bits((hone_dtype)dtype) < 8;
}

static bool has_values(int dtype) {
    return hone_dtype_bits((hone_dtype)dtype) > 0 && dtype != HONE_STRING;
}

static bool is_whole(int dtype) {
    return dtype != HONE_FLOAT32 && dtype != HONE_FLOAT64 && dtype != HONE_FLOAT16 &&
           dtype != HONE_BFLOAT16 && !hone_dtype_is_small_float((hone_dtype)dtype);
}

/* The least and the largest number of an integer dtype. */
static void range_of(int dtype, double *low, double *high) {
    int bits = hone_dtype_bits((hone_dtype)dtype);
    bool is_signed = dtype == HONE_INT2 || dtype == HONE_INT4 || dtype == HONE_INT8 || dtype == HONE_INT16 ||
                     dtype == HONE_INT32 || dtype == HONE_INT64;
    *low = is_signed ? -ldexp(1, bits - 1) : 0;
    *high = dtype == HONE_BOOL ? 1 : ldexp(1, is_signed ? bits - 1 : bits) - 1;
}

/* Element i of a tensor's content; small integers, which all have. */
static double value_at(int dtype, int64_t i) {
    static const double positive[] = {0, 1}, powers[] = {1, 2, 4, 0.5};
    if (dtype == HONE_FLOAT8E8M0) return powers[i % 4];
    double low, high;
    if (dtype == HONE_BOOL || dtype == HONE_UINT2 || dtype == HONE_INT2) return positive[i * 7 % 3 % 2];
    range_of(dtype, &low, &high);
    double x = (double)(i * 5 % 7);
    return !is_whole(dtype) || low < 0 ? x - 3 : x;
}

static void put(int dtype, void *x, int64_t i, double value) {
    switch (dtype) {
    case HONE_FLOAT32: ((float *)x)[i] = (float)value; break;
    case HONE_FLOAT64: ((double *)x)[i] = value; break;
    case HONE_FLOAT16: ((uint16_t *)x)[i] = hone_half_of_float((float)value); break;
    case HONE_BFLOAT16: ((uint16_t *)x)[i] = hone_bfloat_of_float((float)value); break;
    default:
        if (is_whole(dtype)) {
            int64_t whole = (int64_t)value;
            int bits = hone_dtype_bits((hone_dtype)dtype);
            if (bits < 8)
                hone_bits_set(x, i, bits, (unsigned)whole);
            else
                memcpy((char *)x + i * bits / 8, &whole, (size_t)bits / 8); /* little-endian */
        } else {
            unsigned code = hone_small_of_float((hone_dtype)dtype, (float)value, HONE_SMALL_ROUNDING);
            hone_bits_set(x, i, hone_dtype_bits((hone_dtype)dtype), code);
        }
    }
}

/* What value_at becomes in `to`: numbers of both are exact but for those below. */
static double converted(double x, int to) {
    double low, high;
    if (to == HONE_BOOL) return x != 0;
    if (to == HONE_FLOAT8E8M0) return x < 0x1p-126 ? 0x1p-127 : ldexp(1, (int)ceil(log2(x)));
    if (!is_whole(to)) {
        if (to == HONE_FLOAT4E2M1 && x == 5) return 4; /* a tie */
        return x;
    }
    range_of(to, &low, &high);
    double whole = trunc(x), size = high - low + 1;
    if (is_packed(to)) { /* low bits */
        whole = fmod(whole, size);
        return whole < low ? whole + size : whole > high ? whole - size : whole;
    }
    return whole;
}

static void check_pair(int from, int to, int64_t n) {
    uint8_t x[8 * MOST], y[8 * MOST + 8], back[8 * MOST];
    memset(x, 0xa5, sizeof x);
    memset(y, 0xa5, sizeof y);
    for (int64_t i = 0; i < n; i++) put(from, x, i, value_at(from, i));
    assert_true(hone_cast(from, to, x, y, n));
    memset(back, 0, sizeof back);
    for (int64_t i = 0; i < n; i++) {
        double value = value_at(from, i), low = 0, high = INFINITY;
        if (is_whole(to) && to != HONE_BOOL) range_of(to, &low, &high);
        bool wraps = !is_packed(to) && is_whole(to) && to != HONE_BOOL && value < low;
        if (wraps && is_whole(from)) { /* two's complement */
            int64_t whole = (int64_t)value;
            memcpy(back + i * hone_dtype_bits((hone_dtype)to) / 8, &whole, hone_dtype_size((hone_dtype)to));
        } else {
            put(to, back, i, converted(wraps ? low : value, to));
        }
    }
    size_t bytes = ((size_t)n * (size_t)hone_dtype_bits((hone_dtype)to) + 7) / 8;
    for (size_t b = 0; b < bytes; b++)
        if (y[b] != back[b])
            fail_msg("%s to %s, %d elements: byte %zu is %#x, not %#x", hone_dtype_name((hone_dtype)from),
                     hone_dtype_name((hone_dtype)to), (int)n, b, y[b], back[b]);
    for (int b = 0; b < 8; b++) assert_int_equal(y[bytes + (size_t)b], 0xa5);
}

static void every_pair(void **state) {
    (void)state;
    static const int64_t counts[] = {0, 1, 3, 255, 256, 257, MOST};
    for (int from = 0; from < HONE_DTYPE_COUNT; from++)
        for (int to = 0; to < HONE_DTYPE_COUNT; to++) {
            if (has_values(from) && has_values(to))
                for (int k = 0; k < COUNT(counts); k++) check_pair(from, to, counts[k]);
            else
                assert_false(hone_cast(from, to, NULL, NULL, 0));
        }
    assert_false(hone_cast(-1, HONE_FLOAT32, NULL, NULL, 0));
    assert_false(hone_cast(HONE_INT4, HONE_DTYPE_COUNT, NULL, NULL, 0));
}

/* Elements of less than a byte: toward zero, and of what does not fit the low bits. */
static void low_bits(void **state) {
    (void)state;
    const float x[] = {-9, -8.5f, -1.9f, 7.9f, 8, 15, 16, NAN};
    const int16_t whole[] = {200, -3, 17, 1000};
    uint8_t y[4];
    assert_true(hone_cast(HONE_FLOAT32, HONE_INT4, x, y, 8));
    assert_memory_equal(y, ((uint8_t[]){0x87, 0x7f, 0xf8, 0x00}), 4);
    assert_true(hone_cast(HONE_FLOAT32, HONE_UINT2, x, y, 8));
    assert_memory_equal(y, ((uint8_t[]){0xf3, 0x0c}), 2);
    assert_true(hone_cast(HONE_INT16, HONE_INT4, whole, y, 4));
    assert_memory_equal(y, ((uint8_t[]){0xd8, 0x81}), 2);
    int8_t wide[8];
    assert_true(hone_cast(HONE_INT4, HONE_INT8, y, wide, 4));
    assert_memory_equal(wide, ((int8_t[]){-8, -3, 1, -8}), 4);
    assert_true(hone_cast(HONE_INT2, HONE_INT8, y, wide, 8));
    assert_memory_equal(wide, ((int8_t[]){0, -2, 1, -1, 1, 0, 0, -2}), 8);
}

/* What Cast's attributes choose. */
static void rounding_is_chosen(void **state) {
    (void)state;
    const double x[] = {1e300, -INFINITY, 1.25, 1.5};
    uint8_t y[4];
    assert_true(hone_cast(HONE_FLOAT64, HONE_FLOAT8E5M2, x, y, 4));
    assert_memory_equal(y, ((uint8_t[]){0x7b, 0xfb, 0x3d, 0x3e}), 4);
    assert_true(
        hone_cast_small(HONE_FLOAT64, HONE_FLOAT8E5M2, x, y, 4, (hone_small_rounding){false, HONE_E8M0_UP}));
    assert_memory_equal(y, ((uint8_t[]){0x7c, 0xfc, 0x3d, 0x3e}), 4);
    assert_true(hone_cast_small(HONE_FLOAT64, HONE_FLOAT8E8M0, x, y, 4,
                                (hone_small_rounding){true, HONE_E8M0_NEAREST}));
    assert_memory_equal(y, ((uint8_t[]){254, 0, 127, 128}), 4);
}

/* Those of a level are the plain ones, for every length; NaNs of halves may differ in their bits. */
static void check_level(const hone_kernels *k, const char *level) {
    static const hone_dtype all[] = {HONE_BOOL,    HONE_UINT8,   HONE_INT8,    HONE_UINT16, HONE_INT16,
                                     HONE_INT32,   HONE_UINT32,  HONE_INT64,   HONE_UINT64, HONE_FLOAT16,
                                     HONE_FLOAT32, HONE_FLOAT64, HONE_BFLOAT16};
    static const double special[] = {0,     -0.0,  1,     -1,           0.5,          1.5,           2.5,
                                     -2.5,  127.5, 128,   -128.9,       255.9,        256,           1e-8,
                                     -1e-8, 65519, 65520, 2147483520.0, 2147483648.0, -2147483648.0, 4e9,
                                     1e19,  -1e19, 3e38,  1e300,        INFINITY,     -INFINITY,     NAN};
    enum { N = 200 };
    static double x[N];
    for (int i = 0; i < N; i++) x[i] = i < COUNT(special) ? special[i] : (i - 110) * (i % 3 ? 3.25 : 1e5);
    for (int f = 0; f < COUNT(all); f++)
        for (int t = 0; t < COUNT(all); t++) {
            uint8_t from[8 * N], want[8 * N], got[8 * N + 1];
            const size_t size = (size_t)hone_dtype_bits(all[t]) / 8;
            const bool half = all[t] == HONE_FLOAT16 || all[t] == HONE_BFLOAT16;
            hone_cast(HONE_FLOAT64, all[f], x, from, N);
            hone_cast(all[f], all[t], from, want, N);
            for (int64_t n = 1; n <= N; n += n < 40 ? 1 : 53) {
                memset(got, 0x5a, sizeof got);
                k->cast(all[f], all[t], from, got, n);
                if (got[(size_t)n * size] != 0x5a)
                    fail_msg("%s: %d to %d writes beyond", level, all[f], all[t]);
                for (int64_t i = 0; i < n; i++) {
                    if (memcmp(got + (size_t)i * size, want + (size_t)i * size, size) == 0) continue;
                    double a = 0, b = 0;
                    hone_cast(all[t], HONE_FLOAT64, got + (size_t)i * size, &a, 1);
                    hone_cast(all[t], HONE_FLOAT64, want + (size_t)i * size, &b, 1);
                    if (!(half || all[t] == HONE_FLOAT32) || !(a != a && b != b))
                        fail_msg("%s: %g of %d is %g as %d, not %g", level, x[i], all[f], a, all[t], b);
                }
            }
        }
}

static void levels_convert_alike(void **state) {
    (void)state;
    each_level(check_level);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_pair), cmocka_unit_test(low_bits),
                                       cmocka_unit_test(rounding_is_chosen),
                                       cmocka_unit_test(levels_convert_alike)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
