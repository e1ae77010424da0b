#include "kernel_test.h"

#include "base/bits.h"
#include "base/half.h"
#include "kernels/portable.h"

#define K 200
#define ROWS 13

static uint8_t codes[K];
static float scale[K / 16 + 1], zero[K / 16 + 1];

static hone_nbits shape_of(int bits, int block) {
    test_fill_bytes(codes, sizeof codes, 5);
    test_fill_f32(scale, COUNT(scale), 0.1f, 1, 6);
    test_fill_f32(zero, COUNT(zero), 0, (float)(1 << bits), 7);
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

/* --- products in integers --- */

#define PANEL HONE_BITS_PANEL
enum { ROW = 384, N_A = 371 /* A ends within a block */ };

static uint8_t panel[ROW * PANEL];
static float scales[24 * PANEL], more[24 * PANEL], a[ROWS * ROW], bias[PANEL];
static uint16_t half_scales[24 * PANEL], half_more[24 * PANEL];

/* The code of element `at` of column j by the definition of the layout. */
static int code_at(int bits, int64_t at, int64_t j) {
    const int each = 32 / bits;
    const int64_t word = (at / each * PANEL + j) * 4, in = at % each;
    return panel[word + in % 4] >> in / 4 * bits & ((1 << bits) - 1);
}

static double number_at(const hone_bits *p, int64_t block, int64_t j, double code, bool *adds) {
    const double s = (double)scales[block * PANEL + j], m = (double)more[block * PANEL + j];
    *adds = p->more == HONE_BITS_OFFSETS;
    return (code - p->middle - (p->more == HONE_BITS_ZEROS ? m : 0)) * s + (*adds ? m : 0);
}

/* `got` against the product by its definition: A is off by half a step of its run. */
static void check_row(const hone_bits *p, const float *x, const float *got, bool with_bias,
                      const char *level) {
    const int run = hone_bits_run(p);
    for (int64_t j = 0; j < PANEL; j++) {
        double want = with_bias ? (double)bias[j] : 0, size = 1, off = 0, most = 0;
        for (int64_t at = 0; at < N_A; at++) {
            bool adds;
            if (at % run == 0) most = 0;
            for (int64_t t = at; at % run == 0 && t < N_A && t < at + run; t++)
                most = fmax(most, fabs((double)x[t]));
            const double w = number_at(p, at / p->block, j, code_at(p->bits, at, j), &adds);
            want += w * (double)x[at];
            size += fabs(w * (double)x[at]);
            off += fabs(w) * most / (p->parts == 1 ? 253 : p->parts == 2 ? 32000 : 8e6);
        }
        if (fabs((double)got[j] - want) > 2e-6 * size + off)
            fail_msg("%s, %d bits in blocks of %d, %d parts: %g, not %g", level, p->bits, p->block, p->parts,
                     (double)got[j], want);
    }
}

static hone_bits_panel panel_of(hone_bits *p, int halves) {
    p->half_scales = halves & 1;
    p->half_more = halves & 2;
    return (hone_bits_panel){panel, p->half_scales ? (void *)half_scales : scales,
                             p->more ? p->half_more ? (void *)half_more : more : NULL};
}

static void make_numbers(void) {
    test_fill_bytes(panel, sizeof panel, 1);
    test_fill_f32(scales, COUNT(scales), 0.1f, 1, 3);
    test_fill_f32(more, COUNT(more), -3, 3, 4);
    test_fill_f32(a, COUNT(a), -1, 1, 5);
    test_fill_f32(bias, COUNT(bias), -1, 1, 6);
    for (int i = 0; i < COUNT(scales); i++) {
        half_scales[i] = hone_half_of_float(scales[i]);
        half_more[i] = hone_half_of_float(more[i]);
        scales[i] = hone_float_of_half(half_scales[i]);
        more[i] = hone_float_of_half(half_more[i]);
    }
}

typedef struct products {
    float y[ROWS * PANEL];
} products;

/* Every form on this level; all of a form's results are the same bits, alone or with others, and with more parts than one as
 * `first` has them. */
static void check_form(const hone_kernels *k, const char *level, hone_bits p, products *first) {
    static uint64_t rounded[ROWS * ROW], one[ROW];
    static float y[ROWS * (PANEL + 1)], alone[PANEL];
    const bool with_bias = p.more == HONE_BITS_ZEROS;
    for (int halves = 0; halves < 4; halves++)
        for (int rows = ROWS; rows > 0; rows -= 4) {
            const hone_bits_panel b = panel_of(&p, halves);
            for (int i = 0; i < COUNT(y); i++) y[i] = 77;
            k->bits_round(&p, a, N_A, rows, rounded);
            k->bits_multiply(&p, &b, rounded, rows, with_bias ? bias : NULL, PANEL, y, PANEL + 1);
            for (int i = 0; i < rows; i++) {
                float *got = y + i * (PANEL + 1);
                assert_true(got[PANEL] == 77);
                if (halves == 0 && rows == ROWS) check_row(&p, a + i * N_A, got, with_bias, level);
                k->bits_round(&p, a + i * N_A, N_A, 1, one);
                for (int j = 0; j < PANEL; j++) alone[j] = 77;
                k->bits_multiply(&p, &b, one, 1, with_bias ? bias : NULL, PANEL - 5, alone, PANEL);
                assert_memory_equal(alone, got, (PANEL - 5) * sizeof(float));
                assert_true(alone[PANEL - 5] == 77);
                if (first->y[i * PANEL] == 0) memcpy(first->y + i * PANEL, got, sizeof alone);
                if (p.parts > 1 && memcmp(first->y + i * PANEL, got, sizeof alone) != 0)
                    fail_msg("%s: other bits, %d bits in blocks of %d, %d parts", level, p.bits, p.block,
                             p.parts);
            }
        }
}

static void check_products(const hone_kernels *k, const char *level) {
    static const int bits[] = {2, 4, 8}, blocks[] = {16, 32, 48, 128};
    static products first[COUNT(bits) * COUNT(blocks) * 9];
    products *f = first;
    make_numbers();
    for (int i = 0; i < COUNT(bits); i++)
        for (int l = 0; l < COUNT(blocks); l++)
            for (int kind = 0; kind < 9; kind++, f++) {
                const int block = blocks[l];
                check_form(k, level,
                           (hone_bits){.blocks = (N_A + block - 1) / block,
                                       .block = block,
                                       .bits = bits[i],
                                       .parts = 1 + kind % 3,
                                       .middle = kind < 3 ? 1 << (bits[i] - 1) : 0,
                                       .more = (hone_bits_more)(kind / 3)},
                           f);
            }
}

/* A run of zeros, numbers that are none, and the ends of the range. */
static void check_ends(const hone_kernels *k, const char *level) {
    static const struct {
        float x[2], want;
    } cases[] = {{{0, 0}, 0},
                 {{1, NAN}, NAN},
                 {{INFINITY, -2}, NAN},
                 {{-1e-38f, 1e-40f}, 0},
                 {{3e38f, 3e38f}, INFINITY},
                 {{1e30f, 1e30f}, 2e30f},
                 {{1, -1}, 0},
                 {{32767, 1}, 32768}};
    hone_bits p = {.blocks = 1, .block = 32, .bits = 8};
    memset(panel, 0, sizeof panel);
    for (int i = 0; i < 2 * PANEL; i++) panel[i / 2 * 4 + i % 2] = 1;
    for (int i = 0; i < PANEL; i++) scales[i] = 1;
    const hone_bits_panel b = {panel, scales, NULL};
    for (int i = 0; i < COUNT(cases); i++)
        for (p.parts = 1; p.parts <= 3; p.parts++) {
            uint64_t rounded[32];
            float y[PANEL];
            k->bits_round(&p, cases[i].x, 2, 1, rounded);
            k->bits_multiply(&p, &b, rounded, 1, NULL, PANEL, y, PANEL);
            if (!near((double)y[3], (double)cases[i].want,
                      p.parts == 1   ? 0.005
                      : p.parts == 2 ? 4e-5
                                     : 3e-7,
                      1e-30))
                fail_msg("%s: case %d, %d parts: %g", level, i, p.parts, (double)y[3]);
        }
}

static void test_levels_agree(void **state) {
    (void)state;
    each_level(check_products);
    each_level(check_ends);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_unpack), cmocka_unit_test(test_levels_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
