#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/half.h"
#include "base/narrow.h"

static const struct format {
    hone_dtype dtype;
    int exponent, fraction, bias;
    unsigned largest;       /* code of the largest number */
    int nan, negative_nan;  /* codes that NaN becomes */
    int infinity;           /* code; -1: none */
    int overflow, negative; /* codes of what is too large, where nothing saturates */
} formats[] = {
    {HONE_FLOAT8E4M3FN, 4, 3, 7, 0x7e, 0x7f, 0xff, -1, 0x7f, 0xff},
    {HONE_FLOAT8E4M3FNUZ, 4, 3, 8, 0x7f, 0x80, 0x80, -1, 0x80, 0x80},
    {HONE_FLOAT8E5M2, 5, 2, 15, 0x7b, 0x7e, 0xfe, 0x7c, 0x7c, 0xfc},
    {HONE_FLOAT8E5M2FNUZ, 5, 2, 16, 0x7f, 0x80, 0x80, -1, 0x80, 0x80},
    {HONE_FLOAT4E2M1, 2, 1, 1, 0x7, 0x8, 0x8, -1, 0x7, 0xf}, /* -0 is all that can be made of NaN */
};
enum { FORMATS = sizeof formats / sizeof *formats };
static const hone_small_rounding unsaturated = {false, HONE_E8M0_UP};

static bool has_one_zero(const struct format *f) {
    return f->nan == 0x80;
}

/* The number of a code that is no NaN and not infinite, by definition. */
static double number_of(const struct format *f, unsigned code) {
    unsigned sign = 1u << (f->exponent + f->fraction), size = code & (sign - 1);
    int e = (int)(size >> f->fraction), part = (int)(size & ((1u << f->fraction) - 1));
    double x = e ? ldexp((1 << f->fraction) + part, e - f->bias - f->fraction)
                 : ldexp(part, 1 - f->bias - f->fraction);
    return code & sign ? -x : x;
}

static void codes_stand_for_numbers(void **state) {
    (void)state;
    for (int i = 0; i < FORMATS; i++) {
        const struct format *f = &formats[i];
        unsigned sign = 1u << (f->exponent + f->fraction);
        assert_true(hone_dtype_is_small_float(f->dtype));
        for (unsigned code = 0; code < 2 * sign; code++) {
            float x = hone_float_of_small(f->dtype, code);
            bool nan = has_one_zero(f) ? code == sign : (code & (sign - 1)) > f->largest;
            if ((int)(code & (sign - 1)) == f->infinity)
                assert_true(isinf(x) && (x < 0) == (code >= sign));
            else if (nan)
                assert_true(isnan(x));
            else
                assert_true((double)x == number_of(f, code) && (signbit(x) != 0) == (code >= sign));
        }
    }
    for (unsigned code = 0; code < 255; code++)
        assert_true(hone_float_of_small(HONE_FLOAT8E8M0, code) == ldexpf(1, (int)code - 127));
    assert_true(isnan(hone_float_of_small(HONE_FLOAT8E8M0, 255)));
    assert_false(hone_dtype_is_small_float(HONE_FLOAT16) || hone_dtype_is_small_float(HONE_INT4));
}

/* The nearest code by trying all, of two the even one; what is nearer to the next code that there would be is too
 * large. */
static unsigned nearest(const struct format *f, float x, bool saturate) {
    unsigned sign = x < 0 ? 1u << (f->exponent + f->fraction) : 0, best = 0;
    double size = fabs((double)x), least = INFINITY;
    for (unsigned code = 0; code <= f->largest + 1; code++) {
        double gap = fabs(number_of(f, code) - size);
        if (code == f->largest + 1)
            gap = fabs(2 * number_of(f, f->largest) - number_of(f, f->largest - 1) - size);
        if (gap < least || (gap == least && (code & 1) == 0)) best = code;
        least = gap < least ? gap : least;
    }
    if (best > f->largest) {
        if (!saturate) return (unsigned)(sign ? f->negative : f->overflow);
        best = f->largest;
    }
    return best == 0 && has_one_zero(f) ? 0 : best | sign;
}

static void check_number(const struct format *f, float x) {
    for (int s = 0; s < 2; s++) {
        hone_small_rounding r = {s, HONE_E8M0_UP};
        unsigned want = nearest(f, x, s), code = hone_small_of_float(f->dtype, x, r);
        if (code != want)
            fail_msg("%s of %a is %#x, not %#x", hone_dtype_name(f->dtype), (double)x, code, want);
    }
}

/* Every number, every middle between two, and their neighbours; all halves. */
static void floats_become_the_nearest(void **state) {
    (void)state;
    for (int i = 0; i < FORMATS; i++) {
        const struct format *f = &formats[i];
        for (unsigned code = 0; code < f->largest; code++) {
            float low = (float)number_of(f, code), high = (float)number_of(f, code + 1);
            const float points[] = {low, high, (low + high) / 2, 2 * high - low, high + (high - low) / 2};
            for (int k = 0; k < 5; k++)
                for (int sign = -1; sign <= 1; sign += 2) {
                    float x = (float)sign * points[k];
                    if (x == 0) continue;
                    check_number(f, x);
                    check_number(f, nextafterf(x, INFINITY));
                    check_number(f, nextafterf(x, -INFINITY));
                }
        }
        for (unsigned h = 0; h < 0x10000; h++) {
            float x = hone_float_of_half((uint16_t)h);
            if (x != 0 && isfinite(x)) check_number(f, x);
        }
    }
}

/* ONNX's tables of Cast; float4: of "Float stored in 4 bits". */
static void special_numbers_follow_the_tables(void **state) {
    (void)state;
    for (int i = 0; i < FORMATS; i++) {
        const struct format *f = &formats[i];
        unsigned sign = 1u << (f->exponent + f->fraction), minus_zero = has_one_zero(f) ? 0 : sign;
        for (int s = 0; s < 2; s++) {
            hone_small_rounding r = {s, HONE_E8M0_UP};
            unsigned large = s ? f->largest : (unsigned)f->overflow;
            unsigned negative = s ? f->largest | sign : (unsigned)f->negative;
            assert_int_equal(hone_small_of_float(f->dtype, 0, r), 0);
            assert_int_equal(hone_small_of_float(f->dtype, -0.0f, r), minus_zero);
            assert_int_equal(hone_small_of_float(f->dtype, INFINITY, r), large);
            assert_int_equal(hone_small_of_float(f->dtype, -INFINITY, r), negative);
            assert_int_equal(hone_small_of_float(f->dtype, 1e30f, r), large);
            assert_int_equal(hone_small_of_float(f->dtype, -1e30f, r), negative);
            assert_int_equal(hone_small_of_float(f->dtype, NAN, r), f->nan);
            assert_int_equal(hone_small_of_float(f->dtype, -NAN, r), f->negative_nan);
        }
    }
}

static void powers_of_two(void **state) {
    (void)state;
    static const struct {
        float x;
        int up, down, nearest, unsaturated; /* up where nothing saturates */
    } cases[] = {
        {1, 127, 127, 127, 127},
        {1.25f, 128, 127, 127, 128},
        {1.5f, 128, 127, 128, 128}, /* a tie goes up */
        {1.499f, 128, 127, 127, 128},
        {2, 128, 128, 128, 128},
        {0x1p127f, 254, 254, 254, 254},
        {0x1.2p127f, 254, 254, 254, 255},
        {INFINITY, 254, 254, 254, 255},
        {0x1p-127f, 0, 0, 0, 0},
        {0x1.4p-127f, 1, 0, 0, 1},
        {0x1.8p-127f, 1, 0, 1, 1},
        {0x1p-126f, 1, 1, 1, 1},
        {0x1p-128f, 0, 0, 0, 255},
        {0, 0, 0, 0, 255},
        {-3, 0, 0, 0, 255},
        {NAN, 255, 255, 255, 255},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float x = cases[i].x;
        const int codes[] = {
            (int)hone_small_of_float(HONE_FLOAT8E8M0, x, HONE_SMALL_ROUNDING),
            (int)hone_small_of_float(HONE_FLOAT8E8M0, x, (hone_small_rounding){true, HONE_E8M0_DOWN}),
            (int)hone_small_of_float(HONE_FLOAT8E8M0, x, (hone_small_rounding){true, HONE_E8M0_NEAREST}),
            (int)hone_small_of_float(HONE_FLOAT8E8M0, x, unsaturated)};
        const int want[] = {cases[i].up, cases[i].down, cases[i].nearest, cases[i].unsaturated};
        for (int k = 0; k < 4; k++)
            if (codes[k] != want[k]) fail_msg("%a, column %d: %d, not %d", (double)x, k, codes[k], want[k]);
    }
}

/* Halves survive; doubles between two halves are rounded once. */
static void halves(void **state) {
    (void)state;
    for (unsigned h = 0; h < 0x10000; h++) {
        float x = hone_float_of_half((uint16_t)h), y = hone_float_of_bfloat((uint16_t)h);
        if (!isnan(x)) assert_int_equal(hone_half_of_float(x), h);
        if (!isnan(y)) assert_int_equal(hone_bfloat_of_float(y), h);
    }
    double tie = 1 + 0x1p-11; /* between 1 and the next half; as a float, what is added is lost */
    assert_int_equal(hone_half_of_float(hone_odd_float_of_double(tie)), 0x3c00);
    assert_int_equal(hone_half_of_float(hone_odd_float_of_double(tie + 0x1p-40)), 0x3c01);
    assert_int_equal(hone_half_of_float(hone_odd_float_of_double(-tie - 0x1p-40)), 0xbc01);
    assert_int_equal(hone_half_of_float(hone_odd_float_of_double(1e300)), 0x7c00);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_stand_for_numbers),
        cmocka_unit_test(floats_become_the_nearest),
        cmocka_unit_test(special_numbers_follow_the_tables),
        cmocka_unit_test(powers_of_two),
        cmocka_unit_test(halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
