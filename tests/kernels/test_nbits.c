#include "kernel_test.h"

#include "base/bits.h"
#include "kernels/portable.h"

#define K 200
#define ROWS 6

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
        static float split[ROWS * 512], sums[ROWS * 32], y[ROWS * 3], alone[1];
        memset(padded, 0xff, sizeof padded); /* behind the end of K */
        memcpy(padded, codes, K / 2);
        for (int i = 0; i < ROWS; i++)
            hone_nbits_split(&p, x + i * K, K, split + i * width, sums + i * p.blocks);
        for (int rows = 0; rows <= ROWS; rows++) {
            for (int i = 0; i < ROWS * 3; i++) y[i] = 77;
            k->bits4_rows_f32(&p, padded, scale, split, rows, y, 3);
            for (int i = 0; i < rows; i++) {
                double want = 0, less = 0;
                for (int64_t j = 0; j < K; j++) want += weight(&p, j) * (double)x[i * K + j];
                for (int64_t b = 0; b < p.blocks; b++)
                    less += (double)scale[b] * (double)zero[b] * (double)sums[i * p.blocks + b];
                if (!near((double)y[3 * i] - less, want, 1e-5, 2e-4))
                    fail_msg("%s, blocks of %d: %g, not %g", level, p.block, (double)y[3 * i] - less, want);
                k->bits4_rows_f32(&p, padded, scale, split + i * width, 1, alone, 1);
                assert_true(alone[0] == y[3 * i]); /* whatever comes with it */
            }
            for (int i = 3 * rows; i < ROWS * 3; i++) assert_true(y[i] == 77);
        }
    }
}

static void test_levels_agree(void **state) {
    (void)state;
    each_level(check);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_unpack), cmocka_unit_test(test_levels_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
