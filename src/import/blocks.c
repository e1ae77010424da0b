/* Layouts: the GGUF specification and the formats' public descriptions; tests compare with Python's gguf, bit for bit. */
#include "import/blocks.h"

#include "base/half.h"

#include <string.h>

static uint16_t half_at(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}

/* Of a half or bfloat16. */
static uint16_t negative(uint16_t bits) {
    return bits ^ 0x8000;
}

/* 32 codes in 16 bytes: the low nibbles first. */
static void open_nibbles(const uint8_t *p, uint8_t *codes) {
    for (int i = 0; i < 16; i++) {
        codes[i] = p[i] & 15;
        codes[i + 16] = p[i] >> 4;
    }
}

/* The fifth bit of 32 codes. */
static void add_fifth(const uint8_t *p, uint8_t *codes) {
    for (int i = 0; i < 32; i++) codes[i] |= (uint8_t)((p[i / 8] >> i % 8 & 1) << 4);
}

static void shift_codes(uint8_t *codes, int count, int by) {
    for (int i = 0; i < count; i++) codes[i] = (uint8_t)(codes[i] - by);
}

/* --- blocks of 32 --- */

static void open_q4_0(const uint8_t *p, hone_block *b) {
    b->d = half_at(p);
    open_nibbles(p + 2, b->codes);
    shift_codes(b->codes, 32, 8);
}

static void open_q4_1(const uint8_t *p, hone_block *b) {
    b->d = half_at(p);
    b->m = half_at(p + 2);
    open_nibbles(p + 4, b->codes);
}

static void open_q5_0(const uint8_t *p, hone_block *b) {
    b->d = half_at(p);
    open_nibbles(p + 6, b->codes);
    add_fifth(p + 2, b->codes);
    shift_codes(b->codes, 32, 16);
}

static void open_q5_1(const uint8_t *p, hone_block *b) {
    b->d = half_at(p);
    b->m = half_at(p + 2);
    open_nibbles(p + 8, b->codes);
    add_fifth(p + 4, b->codes);
}

static void open_q8_0(const uint8_t *p, hone_block *b) {
    b->d = half_at(p);
    memcpy(b->codes, p + 2, 32);
}

static const int8_t nonlinear[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                     1,    13,   25,  38,  53,  69,  89,  113};

static void look_up(const int8_t *table, uint8_t *codes, int count) {
    for (int i = 0; i < count; i++) codes[i] = (uint8_t)table[codes[i]];
}

static void open_iq4_nl(const uint8_t *p, hone_block *b) {
    b->d = half_at(p);
    open_nibbles(p + 2, b->codes);
    look_up(nonlinear, b->codes, 32);
}

/* Twice the numbers of float4e2m1, so half of the scale: 2^(e - 128), the two smallest of which are subnormal. */
static void open_mxfp4(const uint8_t *p, hone_block *b) {
    static const int8_t table[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    b->d = p[0] > 1 ? (uint16_t)((p[0] - 1) << 7) : (uint16_t)(0x20 << p[0]);
    open_nibbles(p + 1, b->codes);
    look_up(table, b->codes, 32);
}

/* --- blocks of 256 --- */

static void open_q2_k(const uint8_t *p, hone_block *b) {
    for (int i = 0; i < 16; i++) {
        b->steps[i] = (int8_t)(p[i] & 15);
        b->lows[i] = p[i] >> 4;
    }
    for (int i = 0; i < 256; i++) b->codes[i] = p[16 + i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
    b->d = half_at(p + 80);
    b->m = negative(half_at(p + 82));
}

static void open_q3_k(const uint8_t *p, hone_block *b) {
    const uint8_t *high = p, *low = p + 32, *scales = p + 96;
    for (int i = 0; i < 256; i++) {
        const int bits = low[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
        b->codes[i] = (uint8_t)(bits - (high[i % 32] >> i / 32 & 1 ? 0 : 4));
    }
    for (int i = 0; i < 16; i++) {
        const int bits = (scales[i % 8] >> i / 8 * 4 & 15) | (scales[8 + i % 4] >> i / 4 * 2 & 3) << 4;
        b->steps[i] = (int8_t)(bits - 32);
    }
    b->d = half_at(p + 108);
}

/* Eight pairs of 6 bits in 12 bytes. */
static void open_pairs(const uint8_t *c, hone_block *b) {
    for (int j = 0; j < 8; j++) {
        const bool first = j < 4;
        b->steps[j] = (int8_t)(first ? c[j] & 63 : (c[j + 4] & 15) | c[j - 4] >> 6 << 4);
        b->lows[j] = (uint8_t)(first ? c[j + 4] & 63 : c[j + 4] >> 4 | c[j] >> 6 << 4);
    }
}

/* For each 64 weights 32 bytes: low nibbles, then high ones. */
static void open_halves(const uint8_t *p, uint8_t *codes) {
    for (int i = 0; i < 256; i++) codes[i] = p[i / 64 * 32 + i % 32] >> i % 64 / 32 * 4 & 15;
}

static void open_q4_k(const uint8_t *p, hone_block *b) {
    b->d = half_at(p);
    b->m = negative(half_at(p + 2));
    open_pairs(p + 4, b);
    open_halves(p + 16, b->codes);
}

static void open_q5_k(const uint8_t *p, hone_block *b) {
    b->d = half_at(p);
    b->m = negative(half_at(p + 2));
    open_pairs(p + 4, b);
    open_halves(p + 48, b->codes);
    for (int i = 0; i < 256; i++) b->codes[i] |= (uint8_t)((p[16 + i % 32] >> i / 32 & 1) << 4);
}

static void open_q6_k(const uint8_t *p, hone_block *b) {
    for (int i = 0; i < 256; i++) {
        const int half = i / 128, l = i % 32, quarter = i % 128 / 32;
        const int low = p[half * 64 + l + quarter % 2 * 32] >> quarter / 2 * 4 & 15;
        b->codes[i] = (uint8_t)((low | (p[128 + half * 32 + l] >> quarter * 2 & 3) << 4) - 32);
    }
    memcpy(b->steps, p + 192, 16);
    b->d = half_at(p + 208);
}

static void open_iq4_xs(const uint8_t *p, hone_block *b) {
    b->d = half_at(p);
    for (int i = 0; i < 8; i++) {
        const int bits = (p[4 + i / 2] >> i % 2 * 4 & 15) | (half_at(p + 2) >> 2 * i & 3) << 4;
        b->steps[i] = (int8_t)(bits - 32);
        open_nibbles(p + 8 + 16 * i, b->codes + 32 * i);
    }
    look_up(nonlinear, b->codes, 256);
}

/* --- formats --- */

#define HALF HONE_FLOAT16

static const hone_block_format formats[] = {
    {"F32", 0, 1, 4, .plain = HONE_FLOAT32},
    {"F16", 1, 1, 2, .plain = HONE_FLOAT16},
    {"BF16", 30, 1, 2, .plain = HONE_BFLOAT16},
    {"Q4_0", 2, 32, 18, .codes = HONE_INT4, .group = 32, .scale = HALF, .open = open_q4_0, .nibbles = 2},
    {"Q4_1", 3, 32, 20, .codes = HONE_UINT4, .group = 32, .scale = HALF, .offset = true, .open = open_q4_1,
     .nibbles = 4},
    {"Q5_0", 6, 32, 22, .codes = HONE_INT8, .group = 32, .scale = HALF, .open = open_q5_0},
    {"Q5_1", 7, 32, 24, .codes = HONE_UINT8, .group = 32, .scale = HALF, .offset = true, .open = open_q5_1},
    {"Q8_0", 8, 32, 34, .codes = HONE_INT8, .group = 32, .scale = HALF, .open = open_q8_0},
    {"Q2_K", 10, 256, 84, .codes = HONE_UINT2, .group = 16, .scale = HALF, .steps = HONE_UINT8,
     .offset = true, .open = open_q2_k},
    {"Q3_K", 11, 256, 110, .codes = HONE_INT4, .group = 16, .scale = HALF, .steps = HONE_INT8,
     .open = open_q3_k},
    {"Q4_K", 12, 256, 144, .codes = HONE_UINT4, .group = 32, .scale = HALF, .steps = HONE_UINT8,
     .offset = true, .open = open_q4_k},
    {"Q5_K", 13, 256, 176, .codes = HONE_UINT8, .group = 32, .scale = HALF, .steps = HONE_UINT8,
     .offset = true, .open = open_q5_k},
    {"Q6_K", 14, 256, 210, .codes = HONE_INT8, .group = 16, .scale = HALF, .steps = HONE_INT8,
     .open = open_q6_k},
    {"IQ4_NL", 20, 32, 18, .codes = HONE_INT8, .group = 32, .scale = HALF, .open = open_iq4_nl},
    {"IQ4_XS", 23, 256, 136, .codes = HONE_INT8, .group = 32, .scale = HALF, .steps = HONE_INT8,
     .open = open_iq4_xs},
    {"MXFP4", 39, 32, 17, .codes = HONE_INT8, .group = 32, .scale = HONE_BFLOAT16, .open = open_mxfp4},
};
enum { FORMATS = sizeof formats / sizeof *formats };

const hone_block_format *hone_block_format_at(size_t index) {
    return index < FORMATS ? &formats[index] : NULL;
}

const hone_block_format *hone_block_format_of(uint32_t number) {
    for (int i = 0; i < FORMATS; i++)
        if (formats[i].number == number) return &formats[i];
    return NULL;
}

float hone_block_number(const hone_block_format *f, uint16_t bits) {
    return f->scale == HONE_BFLOAT16 ? hone_float_of_bfloat(bits) : hone_float_of_half(bits);
}

static bool is_signed(hone_dtype codes) {
    return codes == HONE_INT8 || codes == HONE_INT4;
}

static void to_floats(const hone_block_format *f, const hone_block *b, float *out) {
    const float d = hone_block_number(f, b->d), m = f->offset ? hone_block_number(f, b->m) : 0;
    const bool with_sign = is_signed(f->codes);
    for (size_t i = 0; i < f->weights; i++) {
        const size_t g = i / f->group;
        const float scale = f->steps ? d * (float)b->steps[g] : d;
        const float code = with_sign ? (float)(int8_t)b->codes[i] : (float)b->codes[i];
        out[i] = code * scale;
        if (f->offset) out[i] += f->steps ? m * (float)b->lows[g] : m;
    }
}

static void plain_to_floats(hone_dtype dtype, const uint8_t *p, size_t count, float *out) {
    if (dtype == HONE_FLOAT32) memcpy(out, p, count * sizeof *out);
    for (size_t i = 0; i < count && dtype != HONE_FLOAT32; i++)
        out[i] = dtype == HONE_FLOAT16 ? hone_float_of_half(half_at(p + 2 * i))
                                       : hone_float_of_bfloat(half_at(p + 2 * i));
}

void hone_blocks_to_floats(const hone_block_format *f, const void *blocks, size_t count, float *out) {
    const uint8_t *p = blocks;
    if (f->plain) {
        plain_to_floats(f->plain, p, count, out);
        return;
    }
    hone_block b;
    for (size_t i = 0; i < count; i += f->weights, p += f->bytes) {
        f->open(p, &b);
        to_floats(f, &b, out + i);
    }
}
