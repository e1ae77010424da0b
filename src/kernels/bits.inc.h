/* Products of weights in blocks of few bits with rows of integers, for one ISA level. Before including, define
 *
 *   BITS_BYTES   1: words of A are 4 bytes of one part, which BITS_DOT(sum, codes, word) multiplies by 4 codes of 8 bits
 *                0: words of A are 2 numbers of 16 bits, which it multiplies by 2 codes of as many. `word` is its address
 *   BITS_SIGNED  1: codes of 8 bits are taken 128 smaller, as int8
 *   BITS_TILE    rows of A at a time: 8, 4 or 2
 *
 *         16 columns        Codes of a run of 32 (or 16) elements of K stay in registers while all rows of a tile pass:
 *   K  ┌──────────────┐      their words are spread over the lanes. Sums of high and of low parts are apart, so that there
 *   4  │ a word each  │      are enough of them to hide the latency. A run's sum is an exact integer,
 *   4  │              │
 *                              y += float(sum) * (scale of the block) * (scale of the run of A) + more * (sum of the run)
 *
 * where the run's scale is a power of two if A has 16 bits: that product is exact, so that a fused sum and one that is not are
 * the same bits. Of 24 bits the lowest 8 have a sum of their own, which comes behind that of the upper 16. Rows of a tile:
 * run | row | words, scale, sum of the run as a number, what the integer sums begin with. */
#include "kernels/levels.h"
#include "kernels/vec_bytes.h"
#include "kernels/vec_half.h"

#define VECTORS (HONE_BITS_PANEL / VEC_F32)
#define MOST_GROUPS 8 /* of 4 elements in a run */

VEC_FN int tile_of(int64_t left) {
    return left >= BITS_TILE ? BITS_TILE : left >= 4 && BITS_TILE > 4 ? 4 : 1;
}
VEC_FN int words_of(int parts, int run) {
    return (BITS_BYTES ? parts : parts == 3 ? 4 : 2) * (run / 4);
}
/* Behind the words: */
enum { SCALE, SUM, BEGIN, BEGIN_LOW };
VEC_FN int numbers_of(int parts) {
    return parts == 3 ? 4 : 3;
}

VEC_FN vec_i32 spread(const int32_t *p) {
    return vec_set1_i32(*p);
}
VEC_FN vec_f32 spread_f32(const int32_t *p) {
    float x;
    memcpy(&x, p, sizeof x);
    return vec_set1(x);
}
VEC_FN vec_f32 numbers_at(const void *p, bool half, int64_t i) {
    return half ? vec_load_f16((const uint16_t *)p + i) : vec_load((const float *)p + i);
}

/* --- products --- */

/* Column vector `v` of a run's codes, a vector for each 4 of K. */
VEC_FN void unpack_as(const int32_t *codes, int v, const int bits, const int run, vec_i32 out[MOST_GROUPS]) {
    const int each = 8 / bits;
    VEC_UNROLL
    for (int w = 0; w < run * bits / 32; w++) {
        const vec_i32 word = vec_load_i32(codes + w * HONE_BITS_PANEL + v * VEC_F32);
        VEC_UNROLL
        for (int i = 0; i < each; i++)
            out[w * each + i] =
                bits == 8 ? word ^ vec_set1_i32(BITS_SIGNED ? (int32_t)0x80808080 : 0)
                          : vec_shr_u32(word, bits * i) & vec_set1_i32(bits == 4 ? 0x0f0f0f0f : 0x03030303);
    }
}

VEC_FN void unpack(const int32_t *codes, int v, int bits, const int run, vec_i32 out[MOST_GROUPS]) {
    switch (bits) {
    case 4: unpack_as(codes, v, 4, run, out); break;
    case 8: unpack_as(codes, v, 8, run, out); break;
    default: unpack_as(codes, v, 2, run, out);
    }
}

/* Rows are `step` words apart. `sum`: of 8 or 16 bits, of 24 the upper 16; `low`: the lowest 8 of 24. */
VEC_FN void sum_run(const vec_i32 code[MOST_GROUPS], const int32_t *a, const int step, const int parts,
                    const int rows, const int run, vec_i32 sum[BITS_TILE], vec_i32 low[BITS_TILE]) {
    const int groups = run / 4;
    const int32_t *numbers = a + step - numbers_of(parts);
    VEC_UNROLL
    for (int i = 0; i < rows; i++) {
        sum[i] = spread(numbers + i * step + BEGIN);
        low[i] = parts == 3 ? spread(numbers + i * step + BEGIN_LOW) : vec_set1_i32(0);
    }
#if BITS_BYTES
    vec_i32 high[BITS_TILE] = {0};
    VEC_UNROLL
    for (int g = 0; g < groups; g++) {
        const int32_t *words = a + g;
        if (parts >= 2) {
            VEC_UNROLL
            for (int i = 0; i < rows; i++) high[i] = BITS_DOT(high[i], code[g], words + i * step);
            words += groups;
        }
        VEC_UNROLL
        for (int i = 0; i < rows; i++) sum[i] = BITS_DOT(sum[i], code[g], words + i * step);
        if (parts == 3) {
            VEC_UNROLL
            for (int i = 0; i < rows; i++) low[i] = BITS_DOT(low[i], code[g], words + groups + i * step);
        }
    }
    if (parts >= 2) {
        VEC_UNROLL
        for (int i = 0; i < rows; i++) sum[i] = vec_add_i32(sum[i], vec_shl_i32(high[i], 8));
    }
#else
    const vec_i32 bytes = vec_set1_i32(0x00ff00ff); /* two parts are together in a number of 16 bits */
    VEC_UNROLL
    for (int g = 0; g < groups; g++) {
        const vec_i32 even = code[g] & bytes, odd = vec_shr_u32(code[g], 8) & bytes;
        VEC_UNROLL
        for (int i = 0; i < rows; i++) {
            const int32_t *words = a + 2 * g + i * step;
            sum[i] = BITS_DOT(BITS_DOT(sum[i], even, words), odd, words + 1);
            words += 2 * groups;
            if (parts == 3) low[i] = BITS_DOT(BITS_DOT(low[i], even, words), odd, words + 1);
        }
    }
#endif
}

#define AHEAD 4096 /* bytes */

/* One row takes its weights from memory, which begins a page anew after 4 KB: asked for in time, that does not show. */
VEC_FN void fetch(const void *p, int64_t at, int bytes) {
    for (int i = 0; i < bytes; i += 64) vec_prefetch((const char *)p + at + AHEAD + i);
}

/* Column vector v of y. */
VEC_FN void multiply(const hone_bits *p, const hone_bits_panel *b, const int32_t *a, const float *bias,
                     int64_t columns, float *y, int64_t y_row, int v, const int rows, const int run,
                     const int parts) {
    const int bits = p->bits, runs = p->block / run, step = words_of(parts, run) + numbers_of(parts);
    const int32_t *codes = (const int32_t *)(const void *)b->codes;
    vec_f32 total[BITS_TILE] = {0};
    for (int64_t block = 0; block < p->blocks; block++) {
        const int64_t at = block * HONE_BITS_PANEL;
        const vec_f32 scale = numbers_at(b->scales, p->half_scales, at + v * VEC_F32);
        vec_f32 more = vec_zero();
        if (p->more) more = numbers_at(b->more, p->half_more, at + v * VEC_F32);
        if (p->more == HONE_BITS_ZEROS) more = vec_neg(scale * more);
        if (rows == 1 && v == 0) {
            fetch(b->scales, at * (p->half_scales ? 2 : 4), 4);
            if (p->more) fetch(b->more, at * (p->half_more ? 2 : 4), 4);
        }
        for (int r = 0; r < runs; r++, codes += run * bits / 32 * HONE_BITS_PANEL, a += rows * step) {
            vec_i32 code[MOST_GROUPS], sum[BITS_TILE], low[BITS_TILE];
            const int32_t *numbers = a + step - numbers_of(parts);
            if (rows == 1 && v == 0) fetch(codes, 0, run * bits / 8 * HONE_BITS_PANEL);
            unpack(codes, v, bits, run, code);
            sum_run(code, a, step, parts, rows, run, sum, low);
            VEC_UNROLL
            for (int i = 0; i < rows; i++) {
                const vec_f32 own = spread_f32(numbers + i * step + SCALE);
                const vec_f32 upper = parts == 3 ? own * vec_set1(256) : own;
                total[i] = vec_fma(vec_from_i32(sum[i]) * scale, upper, total[i]);
                if (parts == 3) total[i] = vec_fma(vec_from_i32(low[i]) * scale, own, total[i]);
            }
            if (p->more) {
                VEC_UNROLL
                for (int i = 0; i < rows; i++) {
                    const vec_f32 product = more * spread_f32(numbers + i * step + SUM);
                    total[i] = total[i] + product;
                }
            }
        }
    }
    const int64_t left = columns - v * VEC_F32;
    const int n = left >= VEC_F32 ? VEC_F32 : left > 0 ? (int)left : 0;
    const vec_f32 add = bias ? vec_load_n(bias + v * VEC_F32, n) : vec_zero();
    VEC_UNROLL
    for (int i = 0; i < rows; i++) vec_store_n(y + i * y_row + v * VEC_F32, total[i] + add, n);
}

typedef void tile_fn(const hone_bits *p, const hone_bits_panel *b, const int32_t *a, const float *bias,
                     int64_t columns, float *y, int64_t y_row);
#define TILE(rows, run, parts)                                                                               \
    static void tile_##rows##_##run##_##parts(const hone_bits *p, const hone_bits_panel *b,                  \
                                              const int32_t *a, const float *bias, int64_t columns,          \
                                              float *y, int64_t y_row) {                                     \
        for (int v = 0; v < VECTORS; v++) multiply(p, b, a, bias, columns, y, y_row, v, rows, run, parts);   \
    }
/* By parts, run, and rows: 1, 4, all of a tile. */
#if BITS_TILE == 8
#define TILES(run, parts) TILE(1, run, parts) TILE(4, run, parts) TILE(8, run, parts)
#define ROW(run, parts)                                                                                      \
    { tile_1_##run##_##parts, tile_4_##run##_##parts, tile_8_##run##_##parts }
#elif BITS_TILE == 4
#define TILES(run, parts) TILE(1, run, parts) TILE(4, run, parts)
#define ROW(run, parts)                                                                                      \
    { tile_1_##run##_##parts, NULL, tile_4_##run##_##parts }
#else
#define TILES(run, parts) TILE(1, run, parts) TILE(2, run, parts)
#define ROW(run, parts)                                                                                      \
    { tile_1_##run##_##parts, NULL, tile_2_##run##_##parts }
#endif
TILES(16, 2)
TILES(32, 2)
TILES(16, 3)
TILES(32, 3)
#if BITS_BYTES
TILES(16, 1)
TILES(32, 1)
#define FIRST                                                                                                \
    { ROW(16, 1), ROW(32, 1) }
#else
#define FIRST                                                                                                \
    { ROW(16, 2), ROW(32, 2) }
#endif
static tile_fn *const tiles[3][2][3] = {FIRST, {ROW(16, 2), ROW(32, 2)}, {ROW(16, 3), ROW(32, 3)}};

void HONE_ISA_NAME(bits_multiply)(const hone_bits *p, const hone_bits_panel *b, const void *a, int64_t rows,
                                  const float *bias, int64_t columns, float *y, int64_t y_row) {
    const size_t size = hone_bits_row_size(p);
    tile_fn *const *of_rows = tiles[p->parts - 1][hone_bits_run(p) / 32];
    for (int64_t i = 0, tile; i < rows; i += tile) {
        tile = tile_of(rows - i);
        tile_fn *fn = of_rows[tile == BITS_TILE ? 2 : tile / 4];
        fn(p, b, (const int32_t *)(const void *)((const char *)a + (size_t)i * size), bias, columns,
           y + i * y_row, y_row);
    }
}

/* --- rows of A --- */

#define LEAST 1e-30f /* what has no larger number in its run counts as 0: 127 / x is finite */

VEC_FN vec_f32 load(const float *p, int64_t left) {
    return left >= VEC_F32 ? vec_load(p) : vec_load_n(p, left > 0 ? (int)left : 0);
}

/* The scale for a run whose largest number is `top`, and one by it. With two parts: the power of two that leaves integers of
 * at most 127 * 257, whose high and low bytes, signed, are parts; with three at most 127 * 65793 likewise. */
VEC_FN float scale_of(float top, int parts, float *inverse) {
    if (parts == 1) {
        *inverse = top > LEAST ? 127 / top : 0;
        return top > LEAST ? top / 127 : 0;
    }
    int32_t exponent = (int32_t)(hone_bits_of_float(top * 1.004f) >> 23);
    if (exponent < 64) exponent = 64;
    if (parts == 3) exponent -= 8;
    *inverse = hone_float_of_bits((uint32_t)(268 - exponent) << 23);
    return hone_float_of_bits((uint32_t)(exponent - 14) << 23);
}

/* The signed byte at the lowest end. */
VEC_FN vec_i32 lowest(vec_i32 x) {
    return vec_shr_i32(vec_shl_i32(x, 24), 24);
}

/* Pairs of every other number of 16 bits, which meet every other byte of codes. */
VEC_FN void put_pairs(const vec_i32 *x, const int run, int32_t *out) {
    int32_t all[32];
    memcpy(all, x, (size_t)run * sizeof *all);
    for (int i = 0; i < run; i += 4, out += 2) {
        out[0] = (int32_t)((uint32_t)(uint16_t)all[i] | (uint32_t)all[i + 2] << 16);
        out[1] = (int32_t)((uint32_t)(uint16_t)all[i + 1] | (uint32_t)all[i + 3] << 16);
    }
}

/* Integers of 16 bits as words: bytes of each part, the higher one first, or pairs. */
VEC_FN void put_words(const vec_i32 *x, int parts, const int run, int32_t *out) {
#if BITS_BYTES
    int8_t *bytes = (int8_t *)out;
    VEC_UNROLL
    for (int i = 0; i < run / VEC_F32; i++) {
        const vec_i32 low = lowest(x[i]);
        vec_store_s8(bytes + (parts - 1) * run + i * VEC_F32, low);
        if (parts == 2) vec_store_s8(bytes + i * VEC_F32, vec_shr_i32(vec_sub_i32(x[i], low), 8));
    }
#else
    (void)parts;
    put_pairs(x, run, out);
#endif
}

/* Integers of 24 bits: the upper 16 as above, and the lowest 8. */
VEC_FN void put_three(const vec_i32 *upper, const vec_i32 *low, const int run, int32_t *out) {
    put_words(upper, 2, run, out);
    out += words_of(2, run);
#if BITS_BYTES
    VEC_UNROLL
    for (int i = 0; i < run / VEC_F32; i++) vec_store_s8((int8_t *)out + i * VEC_F32, low[i]);
#else
    put_pairs(low, run, out);
#endif
}

VEC_FN void round_run(const hone_bits *p, const float *x, int64_t left, const int run, int32_t *out) {
    vec_f32 v[32 / VEC_F32], most = vec_zero(), sum = vec_zero(), rest = vec_zero(); /* exact: below 2^24 */
    vec_i32 integers[32 / VEC_F32], low[32 / VEC_F32];
    const int parts = p->parts;
    VEC_UNROLL
    for (int i = 0; i < run / VEC_F32; i++) {
        v[i] = load(x + i * VEC_F32, left - i * VEC_F32);
        most = vec_max(vec_abs(v[i]), most);
    }
    float inverse, scale = scale_of(vec_reduce_max(most), parts, &inverse);
    VEC_UNROLL
    for (int i = 0; i < run / VEC_F32; i++) {
        integers[i] = vec_to_i32(v[i] * inverse);
        if (parts == 3) {
            low[i] = lowest(integers[i]);
            integers[i] = vec_shr_i32(vec_sub_i32(integers[i], low[i]), 8);
            rest = rest + vec_from_i32(low[i]);
        }
        sum = sum + vec_fma(v[i], vec_zero(), vec_from_i32(integers[i])); /* NaN where there is none */
    }
    if (parts == 3)
        put_three(integers, low, run, out);
    else
        put_words(integers, parts, run, out);
    out += words_of(parts, run);
    const float all = vec_reduce_add(sum), all_low = parts == 3 ? vec_reduce_add(rest) : 0;
    const float product = (parts == 3 ? all * 256 + all_low : all) * scale;
    if (all != all) scale = all;
    const int signs =
        BITS_SIGNED && p->bits == 8 ? 128 : 0; /* what codes are smaller by than `middle` says */
    memcpy(out + SCALE, &scale, sizeof scale);
    memcpy(out + SUM, &product, sizeof product);
    out[BEGIN] = all == all ? (signs - p->middle) * (int32_t)all : 0;
    if (parts == 3) out[BEGIN_LOW] = (signs - p->middle) * (int32_t)all_low;
}

void HONE_ISA_NAME(bits_round)(const hone_bits *p, const float *x, int64_t n, int64_t rows, void *y) {
    const size_t size = hone_bits_row_size(p);
    const int run = hone_bits_run(p), step = words_of(p->parts, run) + numbers_of(p->parts);
    for (int64_t i = 0, tile; i < rows; i += tile) {
        tile = tile_of(rows - i);
        int32_t *out = (int32_t *)(void *)((char *)y + (size_t)i * size);
        for (int64_t at = 0; at < p->blocks * p->block; at += run)
            for (int64_t t = 0; t < tile; t++, out += step) {
                if (run == 32)
                    round_run(p, x + (i + t) * n + at, n - at, 32, out);
                else
                    round_run(p, x + (i + t) * n + at, n - at, 16, out);
            }
    }
}
