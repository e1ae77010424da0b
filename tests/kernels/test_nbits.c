#include "kernel_test.h"

#include "base/bits.h"
#include "kernels/portable.h"

#define K 200
#define ROWS 13

static uint8_t codes[K];
static float scale[K / 16 + 1], zero[K / 16 + 1], x[ROWS * K];

static hone_nbits shape_of(int bits, int block) {
    test_fill_bytes(codes, sizeof codes, 5);
    test_fill_f32(scale, COUNT(scale), 0.1f, 1, 6);
    test_fill_f32(zero, COUNT(zero), 0, (float)(1 << bits), 7);
    test_fill_f32(x, COUNT(x), -1, 1, 8);
    return (hone_nbits){(K + block - 1) / block, block, bits};
}

static double weight(const hone_nbits *p, int64_t i) {
    return ((double)hone_bits_get(codes, i, p->bits) - (double)zero[i / p->block]) *
           (double)scale[i / p->block];
}

static void test_unpack(void **state) {
    (void)state;
    static const int bits[] = {2, 4, 8}, blocks[] = {16, 32, 64};
    for (int b = 0; b < 3; b++)
        for (int l = 0; l < 3; l++) {
            const hone_nbits p = shape_of(bits[b], blocks[l]);
            float y[K + 1];
            for (int64_t begin = 0; begin < K; begin += 37)
                for (int64_t end = begin; end <= K; end += 29) {
                    y[end - begin] = 77;
                    hone_nbits_unpack(&p, codes, scale, zero, begin, end, y);
                    assert_true(y[end - begin] == 77);
                    for (int64_t i = begin; i < end; i++)
                        assert_true(near(y[i - begin], weight(&p, i), 1e-6, 1e-6));
                }
        }
}

static void check(const hone_kernels *k, const char *level) {
    static const int blocks[] = {16, 32, 64, 128};
    for (int l = 0; l < COUNT(blocks); l++) {
        const hone_nbits p = shape_of(4, blocks[l]);
        const int64_t width = p.blocks * p.block;
        static uint8_t padded[512];
        static float split[ROWS * 512], offset[32], y[ROWS * 3], alone[1];
        memset(padded, 0xff, sizeof padded); /* behind the end of K */
        memcpy(padded, codes, K / 2);
        for (int i = 0; i < ROWS; i++) hone_nbits_split(&p, x + i * K, K, split + i * width);
        for (int64_t b = 0; b < p.blocks; b++) offset[b] = -scale[b] * zero[b];
        for (int rows = 0; rows <= ROWS; rows++) {
            for (int i = 0; i < ROWS * 3; i++) y[i] = 77;
            k->bits4_rows_f32(&p, padded, scale, offset, split, rows, y, 3);
            for (int i = 0; i < rows; i++) {
                double want = 0;
                for (int64_t j = 0; j < K; j++) want += weight(&p, j) * (double)x[i * K + j];
                if (!near((double)y[3 * i], want, 1e-5, 2e-4))
                    fail_msg("%s, blocks of %d: %g, not %g", level, p.block, (double)y[3 * i], want);
                k->bits4_rows_f32(&p, padded, scale, offset, split + i * width, 1, alone, 1);
                assert_true(alone[0] == y[3 * i]); /* whatever comes with it */
            }
            for (int i = 3 * rows; i < ROWS * 3; i++) assert_true(y[i] == 77);
        }
    }
}

/* Codes of 8 bits, with and without signs. */
static void check_8(const hone_kernels *k, const char *level) {
    static const int blocks[] = {16, 32, 48, 128};
    for (int l = 0; l < 2 * COUNT(blocks); l++) {
        hone_nbits p = shape_of(8, blocks[l / 2]);
        const int64_t width = p.blocks * p.block;
        static uint8_t padded[512];
        static float rows_of_a[ROWS * 512], offset[32], y[ROWS * 3], alone[1];
        p.is_signed = l % 2;
        p.offsets = true;
        memset(padded, 0xff, sizeof padded);
        memcpy(padded, codes, K);
        memset(rows_of_a, 0, sizeof rows_of_a);
        for (int i = 0; i < ROWS; i++) memcpy(rows_of_a + i * width, x + i * K, K * sizeof *x);
        for (int64_t b = 0; b < p.blocks; b++) offset[b] = zero[b] - 128;
        for (int rows = 0; rows <= ROWS; rows++) {
            for (int i = 0; i < ROWS * 3; i++) y[i] = 77;
            k->bits8_rows_f32(&p, padded, scale, offset, rows_of_a, rows, y, 3);
            for (int i = 0; i < rows; i++) {
                double want = 0;
                for (int64_t j = 0; j < K; j++) {
                    const double code = p.is_signed ? (double)(int8_t)codes[j] : (double)codes[j];
                    want += (code * (double)scale[j / p.block] + (double)offset[j / p.block]) *
                            (double)x[i * K + j];
                }
                if (!near((double)y[3 * i], want, 1e-5, 2e-3))
                    fail_msg("%s, blocks of %d: %g, not %g", level, p.block, (double)y[3 * i], want);
                k->bits8_rows_f32(&p, padded, scale, offset, rows_of_a + i * width, 1, alone, 1);
                assert_true(alone[0] == y[3 * i]);
            }
            for (int i = 3 * rows; i < ROWS * 3; i++) assert_true(y[i] == 77);
        }
    }
}

/* Integers to the nearest, in blocks; their scales and sums; what is no number shows in the scale. */
static void check_rounding(const hone_kernels *k, const char *level) {
    for (int block = 16; block <= 64; block *= 2) {
        const hone_nbits p = shape_of(4, block);
        static int8_t values[512];
        float scales[16], sums[16];
        k->bits_rows_s8(x, K, p.blocks, block, &(hone_bits_rows){values, scales, sums});
        for (int64_t b = 0; b < p.blocks; b++) {
            float most = 0;
            int sum = 0;
            for (int64_t i = b * block; i < (b + 1) * block; i++) {
                const float v = i < K ? x[i] : 0;
                most = fmaxf(most, fabsf(v));
                sum += values[i];
                if (fabs((double)values[i] * (double)scales[b] - (double)v) > (double)scales[b] * 0.50001)
                    fail_msg("%s: %d times %g, not %g", level, values[i], (double)scales[b], (double)v);
            }
            assert_true(scales[b] == most / 127 && sums[b] == (float)sum);
        }
    }
    const float bad[][3] = {{1, NAN, 2}, {1, INFINITY, -2}, {0, 0, 0}, {1e-38f, -1e-40f, 0}};
    for (int i = 0; i < COUNT(bad); i++) {
        int8_t values[16];
        float scale_of, sum;
        k->bits_rows_s8(bad[i], 3, 1, 16, &(hone_bits_rows){values, &scale_of, &sum});
        if (i < 2)
            assert_true(isnan(scale_of));
        else
            assert_true(scale_of == 0 && sum == 0);
    }
}

#define PANEL HONE_BITS_PANEL

/* Random panels by their definition; integers are summed exactly, so only the sum over blocks is rounded. */
static void check_integers(const hone_kernels *k, const char *level) {
    enum { ROW = 256 };
    static uint8_t panel[ROW * PANEL / 2];
    static int8_t a[ROWS * ROW];
    static float scales[16 * PANEL], zeros[16 * PANEL], a_scales[ROWS * 16], a_sums[ROWS * 16],
        y[ROWS * PANEL], alone[PANEL], bias[PANEL];
    test_fill_bytes(panel, sizeof panel, 1);
    test_fill_bytes((uint8_t *)a, sizeof a, 2);
    for (int i = 0; i < ROWS * ROW; i++) a[i] = a[i] == -128 ? 127 : a[i];
    test_fill_f32(scales, COUNT(scales), 0.1f, 1, 3);
    test_fill_f32(a_scales, COUNT(a_scales), 0.1f, 1, 4);
    test_fill_f32(bias, COUNT(bias), -1, 1, 5);
    for (int i = 0; i < COUNT(zeros); i++) zeros[i] = (float)(i * 7 % 16);
    for (int block = 16; block <= 256; block *= 2)
        for (int with = 0; with < 2; with++) {
            const hone_bits_panel b = {ROW / block, block, panel, scales, with ? zeros : NULL};
            for (int i = 0; i < ROWS; i++)
                for (int64_t l = 0; l < b.blocks; l++) {
                    int sum = 0;
                    for (int t = 0; t < block; t++) sum += a[i * ROW + l * block + t];
                    a_sums[i * b.blocks + l] = (float)sum;
                }
            const hone_bits_rows rows = {a, a_scales, a_sums};
            const int64_t columns = with ? PANEL : PANEL - 5;
            for (int i = 0; i < COUNT(y); i++) y[i] = 77;
            k->bits4_s8(&b, &rows, ROWS, with ? bias : NULL, columns, y, PANEL);
            for (int i = 0; i < ROWS; i++) {
                for (int64_t j = 0; j < columns; j++) {
                    double want = with ? (double)bias[j] : 0, size = 1;
                    for (int64_t at = 0; at < ROW; at++) {
                        const int64_t word = (at / 8 * PANEL + j) * 4 + at % 4, l = at / block;
                        const int code = at % 8 < 4 ? panel[word] & 15 : panel[word] >> 4;
                        const double less = with ? (double)zeros[l * PANEL + j] : 8,
                                     t = (code - less) * a[i * ROW + at] * (double)scales[l * PANEL + j] *
                                         (double)a_scales[i * b.blocks + l];
                        want += t, size += fabs(t);
                    }
                    if (fabs((double)y[i * PANEL + j] - want) > 1e-6 * size)
                        fail_msg("%s, blocks of %d: %g, not %g", level, block, (double)y[i * PANEL + j],
                                 want);
                }
                for (int64_t j = columns; j < PANEL; j++) assert_true(y[i * PANEL + j] == 77);
                const hone_bits_rows one = {a + i * ROW, a_scales + i * b.blocks, a_sums + i * b.blocks};
                k->bits4_s8(&b, &one, 1, with ? bias : NULL, columns, alone, PANEL);
                assert_memory_equal(alone, y + i * PANEL, (size_t)columns * sizeof(float));
            }
        }
}

static void test_levels_agree(void **state) {
    (void)state;
    each_level(check);
    each_level(check_8);
    each_level(check_rounding);
    each_level(check_integers);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_unpack), cmocka_unit_test(test_levels_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
