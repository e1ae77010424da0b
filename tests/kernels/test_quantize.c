#include "kernel_test.h"

#define N 1000

static int32_t reference(float x, float scale, int32_t zero, int32_t low, int32_t high) {
    const float q = nearbyintf(x / scale);
    if (q != q || q < (float)(low - zero)) return low;
    return q > (float)(high - zero) ? high : (int32_t)q + zero;
}

static void check_quantize(const hone_kernels *k, const char *level) {
    static float x[N];
    static uint8_t u[N + 1];
    static int8_t s[N + 1];
    const float scale[] = {1, 0.1f, 0.5f, 3.7e-3f, 1e-30f, 2e20f};
    const int32_t zeros[] = {0, 3, 128, 255, -128, 127};
    for (int c = 0; c < COUNT(scale); c++)
        for (int z = 0; z < COUNT(zeros); z++) {
            const int32_t zero = zeros[z];
            test_fill_f32(x, N, -300 * scale[c], 300 * scale[c], (uint64_t)(c * 10 + z));
            /* ties, ends and what is no number */
            for (int i = 0; i < 600; i++) x[i] = ((float)i - 300 + 0.5f) * scale[c];
            x[600] = INFINITY;
            x[601] = -INFINITY;
            x[602] = NAN;
            x[603] = 3e38f;
            x[604] = -0.0f;
            const int n = N - (c * COUNT(zeros) + z);
            u[n] = 99;
            s[n] = 99;
            k->quantize_u8(x, u, n, scale[c], zero);
            k->quantize_s8(x, s, n, scale[c], zero);
            for (int i = 0; i < n; i++) {
                int32_t want_u = reference(x[i], scale[c], zero, 0, 255),
                        want_s = reference(x[i], scale[c], zero, -128, 127);
                if (u[i] != want_u || s[i] != want_s)
                    fail_msg("%s quantize(%.9g, scale %g, zero %d) = %d and %d, not %d and %d", level, x[i],
                             scale[c], zero, u[i], s[i], want_u, want_s);
            }
            assert_int_equal(u[n], 99);
            assert_int_equal(s[n], 99);
        }
}

static void test_quantize(void **state) {
    (void)state;
    each_level(check_quantize);
}

/* The reference itself, by hand. */
static void test_reference(void **state) {
    (void)state;
    assert_int_equal(reference(2.5f, 1, 0, 0, 255), 2);
    assert_int_equal(reference(3.5f, 1, 0, 0, 255), 4);
    assert_int_equal(reference(-1, 0.5f, 10, 0, 255), 8);
    assert_int_equal(reference(1e9f, 1, 10, -128, 127), 127);
    assert_int_equal(reference(NAN, 1, 10, -128, 127), -128);
}

static void check_bytes(const hone_kernels *k, const char *level) {
    uint8_t x[301], y[301];
    float u[301], s[301];
    test_fill_bytes(x, 301, 3);
    for (int n = 0; n <= 300; n++) {
        int32_t sum = 0;
        u[n] = s[n] = -9;
        y[n] = 1;
        k->dequantize_u8(x, u, n, 0.3f, 130);
        k->dequantize_s8((const int8_t *)x, s, n, 0.3f, -5);
        k->flip_sign(x, y, n);
        for (int i = 0; i < n; i++) {
            sum += x[i];
            if (u[i] != (float)(x[i] - 130) * 0.3f || s[i] != (float)((int8_t)x[i] + 5) * 0.3f ||
                y[i] != (x[i] ^ 0x80))
                fail_msg("%s byte %d at %d of %d", level, x[i], i, n);
        }
        if (k->sum_u8(x, n) != sum) fail_msg("%s sum of %d bytes", level, n);
        assert_true(u[n] == -9 && s[n] == -9 && y[n] == 1);
    }
}

static void test_bytes(void **state) {
    (void)state;
    each_level(check_bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_quantize),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
