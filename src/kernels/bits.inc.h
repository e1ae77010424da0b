/* Products of weights in blocks of few bits with rows of integers, for one ISA level. Before including, define
 *
 *   BITS_BYTES   1: words of A are 4 bytes of one part, which BITS_DOT(sum, codes, a) multiplies by 4 codes of 8 bits
 *                0: words of A are 2 numbers of 16 bits, which it multiplies by 2 codes of as many
 *   BITS_SIGNED  1: codes of 8 bits are taken 128 smaller, as int8
 *   BITS_TILE    rows of A at a time: 8, 4 or 2
 *
 *         16 columns        Codes of a run of 32 (or 16) elements of K stay in registers while all rows of a tile pass:
 *   K  ┌──────────────┐      their words are spread over the lanes. High parts first: their sum times 256 is where that of
 *   4  │ a word each  │      low parts begins. A run's sum is an exact integer,
 *   4  │              │
 *                              y += float(sum) * (scale of the block) * (scale of the run of A) + more * (sum of the run)
 *
 * where the run's scale is a power of two if A has 16 bits: that product is exact, so that a fused sum and one that is not are
 * the same bits. Rows of a tile:  run | word | row, then the run's scales | its sums as numbers | as integers, times `middle`. */
#include "kernels/levels.h"
#include "kernels/vec_bytes.h"
#include "kernels/vec_half.h"

#define VECTORS (HONE_BITS_PANEL / VEC_F32)
#define MOST_GROUPS 8 /* of 4 elements in a run */

VEC_FN int tile_of(int64_t left) {
    return left >= BITS_TILE ? BITS_TILE : left >= 4 && BITS_TILE > 4 ? 4 : 1;
}
VEC_FN int words_of(const hone_bits *p, int run) {
    return (BITS_BYTES ? p->parts : 2) * (run / 4);
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
VEC_FN void unpack(const int32_t *codes, int v, const int bits, const int run, vec_i32 out[MOST_GROUPS]) {
    const int each = 8 / bits;
    VEC_UNROLL
    for (int w = 0; w < run * bits / 32; w++) {
        const vec_i32 word = vec_load_i32(codes + w * HONE_BITS_PANEL + v * VEC_F32);
        VEC_UNROLL
        for (int i = 0; i < each; i++)
            out[w * each + i] =
                bits == 8 ? word
                          : vec_shr_u32(word, bits * i) & vec_set1_i32(bits == 4 ? 0x0f0f0f0f : 0x03030303);
    }
    if (BITS_SIGNED && bits == 8) {
        VEC_UNROLL
        for (int g = 0; g < run / 4; g++) out[g] = out[g] ^ vec_set1_i32((int32_t)0x80808080);
    }
}

VEC_FN void sum_run(const vec_i32 code[MOST_GROUPS], const int32_t *a, int parts, const int rows,
                    const int run, vec_i32 sum[BITS_TILE]) {
    const int groups = run / 4;
    VEC_UNROLL
    for (int i = 0; i < rows; i++) sum[i] = vec_set1_i32(0);
#if BITS_BYTES
    for (int part = 0; part < parts; part++, a += groups * rows) {
        VEC_UNROLL
        for (int i = 0; i < rows; i++) sum[i] = vec_shl_i32(sum[i], 8);
        VEC_UNROLL
        for (int g = 0; g < groups; g++) {
            VEC_UNROLL
            for (int i = 0; i < rows; i++) sum[i] = BITS_DOT(sum[i], code[g], spread(a + g * rows + i));
        }
    }
#else
    (void)parts;
    const vec_i32 low = vec_set1_i32(0x00ff00ff);
    VEC_UNROLL
    for (int g = 0; g < groups; g++) {
        const vec_i32 even = code[g] & low, odd = vec_shr_u32(code[g], 8) & low;
        VEC_UNROLL
        for (int i = 0; i < rows; i++) {
            const int32_t *words = a + 2 * g * rows + i;
            sum[i] = BITS_DOT(BITS_DOT(sum[i], even, spread(words)), odd, spread(words + rows));
        }
    }
#endif
}

VEC_FN void multiply(const hone_bits *p, const hone_bits_panel *b, const int32_t *a, const float *bias,
                     int64_t columns, float *y, int64_t y_row, const int rows, const int bits,
                     const int run) {
    const int runs = p->block / run, numbers = words_of(p, run) * rows;
    const int32_t *codes = (const int32_t *)(const void *)b->codes;
    vec_f32 total[BITS_TILE][VECTORS] = {0};
    for (int64_t block = 0; block < p->blocks; block++) {
        vec_f32 scale[VECTORS], more[VECTORS] = {0};
        VEC_UNROLL
        for (int v = 0; v < VECTORS; v++) {
            const int64_t at = block * HONE_BITS_PANEL + v * VEC_F32;
            scale[v] = numbers_at(b->scales, p->half_scales, at);
            if (p->more) more[v] = numbers_at(b->more, p->half_more, at);
            if (p->more == HONE_BITS_ZEROS) more[v] = vec_neg(scale[v] * more[v]);
        }
        for (int r = 0; r < runs; r++, codes += run * bits / 32 * HONE_BITS_PANEL, a += numbers + 3 * rows) {
            VEC_UNROLL
            for (int v = 0; v < VECTORS; v++) {
                vec_i32 code[MOST_GROUPS], sum[BITS_TILE];
                unpack(codes, v, bits, run, code);
                sum_run(code, a, p->parts, rows, run, sum);
                const int32_t *at = a + numbers;
                VEC_UNROLL
                for (int i = 0; i < rows; i++) {
                    const vec_f32 exact = vec_from_i32(vec_sub_i32(sum[i], spread(at + 2 * rows + i)));
                    total[i][v] = vec_fma(exact * scale[v], spread_f32(at + i), total[i][v]);
                }
                if (p->more) {
                    VEC_UNROLL
                    for (int i = 0; i < rows; i++) {
                        const vec_f32 product = more[v] * spread_f32(at + rows + i);
                        total[i][v] = total[i][v] + product;
                    }
                }
            }
        }
    }
    VEC_UNROLL
    for (int v = 0; v < VECTORS; v++) {
        const int64_t left = columns - v * VEC_F32;
        const int n = left >= VEC_F32 ? VEC_F32 : left > 0 ? (int)left : 0;
        const vec_f32 add = bias ? vec_load_n(bias + v * VEC_F32, n) : vec_zero();
        VEC_UNROLL
        for (int i = 0; i < rows; i++) vec_store_n(y + i * y_row + v * VEC_F32, total[i][v] + add, n);
    }
}

typedef void tile_fn(const hone_bits *p, const hone_bits_panel *b, const int32_t *a, const float *bias,
                     int64_t columns, float *y, int64_t y_row);
#define TILE(rows, bits, run)                                                                                \
    static void tile_##rows##_##bits##_##run(const hone_bits *p, const hone_bits_panel *b, const int32_t *a, \
                                             const float *bias, int64_t columns, float *y, int64_t y_row) {  \
        multiply(p, b, a, bias, columns, y, y_row, rows, bits, run);                                         \
    }
#define TILES(bits, run) TILE(1, bits, run) TILE_4(bits, run) TILE_MOST(bits, run)
#if BITS_TILE == 8
#define TILE_4(bits, run) TILE(4, bits, run)
#define TILE_MOST(bits, run) TILE(8, bits, run)
#define ROW(bits, run)                                                                                       \
    { tile_1_##bits##_##run, tile_4_##bits##_##run, tile_8_##bits##_##run }
#elif BITS_TILE == 4
#define TILE_4(bits, run)
#define TILE_MOST(bits, run) TILE(4, bits, run)
#define ROW(bits, run)                                                                                       \
    { tile_1_##bits##_##run, NULL, tile_4_##bits##_##run }
#else
#define TILE_4(bits, run)
#define TILE_MOST(bits, run) TILE(2, bits, run)
#define ROW(bits, run)                                                                                       \
    { tile_1_##bits##_##run, NULL, tile_2_##bits##_##run }
#endif
TILES(2, 16)
TILES(2, 32)
TILES(4, 16) TILES(4, 32) TILES(8, 16) TILES(8, 32)
    /* By bits, run, and rows: 1, 4, all of a tile. */
    static tile_fn *const tiles[3][2][3] = {
        {ROW(2, 16), ROW(2, 32)}, {ROW(4, 16), ROW(4, 32)}, {ROW(8, 16), ROW(8, 32)}};

void HONE_ISA_NAME(bits_multiply)(const hone_bits *p, const hone_bits_panel *b, const void *a, int64_t rows,
                                  const float *bias, int64_t columns, float *y, int64_t y_row) {
    const size_t size = hone_bits_row_size(p);
    tile_fn *const *of_rows = tiles[p->bits / 4][hone_bits_run(p) / 32];
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
 * at most 127 * 257, whose high and low bytes, signed, are parts. */
VEC_FN float scale_of(float top, int parts, float *inverse) {
    if (parts == 1) {
        *inverse = top > LEAST ? 127 / top : 0;
        return top > LEAST ? top / 127 : 0;
    }
    int32_t exponent = (int32_t)(hone_bits_of_float(top * 1.004f) >> 23);
    if (exponent < 64) exponent = 64;
    *inverse = hone_float_of_bits((uint32_t)(268 - exponent) << 23);
    return hone_float_of_bits((uint32_t)(exponent - 14) << 23);
}

/* Integers of a run as words, each `rows` from the next. */
VEC_FN void put_words(const int32_t *x, int parts, const int run, int rows, int32_t *out) {
#if BITS_BYTES
    int8_t bytes[2][32];
    for (int i = 0; i < run; i += VEC_F32) {
        const vec_i32 v = vec_load_i32(x + i), low = vec_shr_i32(vec_shl_i32(v, 24), 24);
        vec_store_s8(bytes[parts - 1] + i, low);
        if (parts == 2) vec_store_s8(bytes[0] + i, vec_shr_i32(vec_sub_i32(v, low), 8));
    }
    for (int part = 0; part < parts; part++)
        for (int g = 0; g < run / 4; g++, out += rows) memcpy(out, bytes[part] + 4 * g, 4);
#else
    (void)parts;
    for (int g = 0; g < run / 4; g++, x += 4, out += 2 * rows) {
        out[0] = (int32_t)((uint32_t)(uint16_t)x[0] | (uint32_t)x[2] << 16);
        out[rows] = (int32_t)((uint32_t)(uint16_t)x[1] | (uint32_t)x[3] << 16);
    }
#endif
}

VEC_FN void round_run(const hone_bits *p, const float *x, int64_t left, const int run, int rows,
                      int32_t *out) {
    vec_f32 most = vec_zero(), none = vec_zero(); /* NaN where x is NaN or infinite */
    for (int i = 0; i < run; i += VEC_F32) {
        const vec_f32 v = load(x + i, left - i);
        most = vec_max(vec_abs(v), most);
        none = none + v * 0.0f;
    }
    float inverse, scale = scale_of(vec_reduce_max(most), p->parts, &inverse), sum;
    int32_t integers[32];
    vec_f32 all = vec_zero(); /* exact: below 2^24 */
    for (int i = 0; i < run; i += VEC_F32) {
        const vec_i32 v = vec_to_i32(load(x + i, left - i) * inverse);
        vec_store_i32(integers + i, v);
        all = all + vec_from_i32(v);
    }
    put_words(integers, p->parts, run, rows, out);
    out += words_of(p, run) * rows;
    scale += vec_reduce_add(none);
    sum = vec_reduce_add(all);
    const int signs =
        BITS_SIGNED && p->bits == 8 ? 128 : 0; /* what codes are smaller by than `middle` says */
    out[2 * rows] = scale == scale ? (int32_t)sum * (p->middle - signs) : 0;
    sum *= scale;
    memcpy(out, &scale, sizeof scale);
    memcpy(out + rows, &sum, sizeof sum);
}

void HONE_ISA_NAME(bits_round)(const hone_bits *p, const float *x, int64_t n, int64_t rows, void *y) {
    const size_t size = hone_bits_row_size(p);
    const int run = hone_bits_run(p);
    for (int64_t i = 0, tile; i < rows; i += tile) {
        tile = tile_of(rows - i);
        for (int64_t t = 0; t < tile; t++) {
            int32_t *out = (int32_t *)(void *)((char *)y + (size_t)i * size) + t;
            for (int64_t at = 0; at < p->blocks * p->block; at += run) {
                if (run == 32)
                    round_run(p, x + (i + t) * n + at, n - at, 32, (int)tile, out);
                else
                    round_run(p, x + (i + t) * n + at, n - at, 16, (int)tile, out);
                out += (words_of(p, run) + 3) * tile;
            }
        }
    }
}
