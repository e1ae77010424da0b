/* The body of convolutions of bytes, each channel by itself, for one ISA level. Sums are exact, so all forms give equal bits.
 * Before including, define
 *
 *   DEPTHWISE_DOT(sum, a, b)    adds the dot products of four bytes each, u8 of a and s8 of b
 *
 * Four taps of BLOCK channels are interleaved, so that the four bytes of a channel are neighbours:
 *
 *   tap 0   a b c d …                       a a a a  b b b b …
 *   tap 1   a b c d …      interleaved      e e e e  f f f f …
 *   tap 2   a b c d …     ───────────►      i i i i …
 *   tap 3   a b c d …                       m m m m …
 *
 * within 16 bytes of vectors each, so lane L of part v has channel 16 (L / 4) + 4 v + L % 4. Packing to bytes undoes that. */
#include "kernels/levels.h"
#include "kernels/vec_bytes.h"

#define BLOCK (4 * VEC_F32)
#define PARTS 4
_Static_assert(PARTS * sizeof(vec_i32) <= HONE_DEPTHWISE_GROUP, "the room of four taps");

VEC_FN void interleave(const vec_i32 *x, vec_i32 *out) {
#if defined(HONE_ISA_v4) || defined(HONE_ISA_v3) || defined(HONE_ISA_v2)
#if defined(HONE_ISA_v4)
#define UNPACK(what, a, b) ((vec_i32)_mm512_unpack##what((__m512i)(a), (__m512i)(b)))
#elif defined(HONE_ISA_v3)
#define UNPACK(what, a, b) ((vec_i32)_mm256_unpack##what((__m256i)(a), (__m256i)(b)))
#else
#define UNPACK(what, a, b) ((vec_i32)_mm_unpack##what((__m128i)(a), (__m128i)(b)))
#endif
    const vec_i32 low_01 = UNPACK(lo_epi8, x[0], x[1]), low_23 = UNPACK(lo_epi8, x[2], x[3]);
    const vec_i32 high_01 = UNPACK(hi_epi8, x[0], x[1]), high_23 = UNPACK(hi_epi8, x[2], x[3]);
    out[0] = UNPACK(lo_epi16, low_01, low_23);
    out[1] = UNPACK(hi_epi16, low_01, low_23);
    out[2] = UNPACK(lo_epi16, high_01, high_23);
    out[3] = UNPACK(hi_epi16, high_01, high_23);
#undef UNPACK
#elif defined(HONE_ISA_neon)
    const int8x16_t a = (int8x16_t)x[0], b = (int8x16_t)x[1], c = (int8x16_t)x[2], d = (int8x16_t)x[3];
    const int16x8_t low_01 = (int16x8_t)vzip1q_s8(a, b), low_23 = (int16x8_t)vzip1q_s8(c, d);
    const int16x8_t high_01 = (int16x8_t)vzip2q_s8(a, b), high_23 = (int16x8_t)vzip2q_s8(c, d);
    out[0] = (vec_i32)vzip1q_s16(low_01, low_23);
    out[1] = (vec_i32)vzip2q_s16(low_01, low_23);
    out[2] = (vec_i32)vzip1q_s16(high_01, high_23);
    out[3] = (vec_i32)vzip2q_s16(high_01, high_23);
#else
    const uint8_t *from = (const uint8_t *)x;
    uint8_t *to = (uint8_t *)out;
    for (int i = 0; i < BLOCK; i++)
        for (int tap = 0; tap < 4; tap++) to[4 * i + tap] = from[tap * BLOCK + i];
#endif
}

/* All parts as bytes, saturated, in the order of the channels. */
VEC_FN vec_i32 pack_bytes(const vec_i32 *s, const bool is_signed) {
#if defined(HONE_ISA_v4)
    const __m512i a = _mm512_packs_epi32((__m512i)s[0], (__m512i)s[1]),
                  b = _mm512_packs_epi32((__m512i)s[2], (__m512i)s[3]);
    return (vec_i32)(is_signed ? _mm512_packs_epi16(a, b) : _mm512_packus_epi16(a, b));
#elif defined(HONE_ISA_v3)
    const __m256i a = _mm256_packs_epi32((__m256i)s[0], (__m256i)s[1]),
                  b = _mm256_packs_epi32((__m256i)s[2], (__m256i)s[3]);
    return (vec_i32)(is_signed ? _mm256_packs_epi16(a, b) : _mm256_packus_epi16(a, b));
#elif defined(HONE_ISA_v2)
    const __m128i a = _mm_packs_epi32((__m128i)s[0], (__m128i)s[1]),
                  b = _mm_packs_epi32((__m128i)s[2], (__m128i)s[3]);
    return (vec_i32)(is_signed ? _mm_packs_epi16(a, b) : _mm_packus_epi16(a, b));
#elif defined(HONE_ISA_neon)
    const int16x8_t a = vqmovn_high_s32(vqmovn_s32((int32x4_t)s[0]), (int32x4_t)s[1]),
                    b = vqmovn_high_s32(vqmovn_s32((int32x4_t)s[2]), (int32x4_t)s[3]);
    return is_signed ? (vec_i32)vqmovn_high_s16(vqmovn_s16(a), b)
                     : (vec_i32)vqmovun_high_s16(vqmovun_s16(a), b);
#else
    uint8_t bytes[BLOCK];
    vec_i32 out;
    for (int i = 0; i < BLOCK; i++) {
        const int32_t x = s[i / 4][i % 4], least = is_signed ? -128 : 0;
        bytes[i] = (uint8_t)(x < least ? least : x > least + 255 ? least + 255 : x);
    }
    memcpy(&out, bytes, sizeof out);
    return out;
#endif
}

/* --- BLOCK channels, of which `count` are there --- */

typedef struct block {
    const hone_depthwise *d;
    void *y;
    int64_t groups;        /* of four taps */
    const int64_t *offset; /* [4 groups], of x */
    const vec_i32 *weight; /* [groups][PARTS] */
    vec_i32 sum_bias[PARTS];
    vec_f32 scale[PARTS], bias[PARTS], lo, hi;
    int64_t channel;
    int count;
} block;

/* Elements of 4 bytes, [channels], in the order of the parts; zero where p is NULL. */
static void stage(const block *b, const void *p, void *parts) {
    uint32_t all[BLOCK] = {0};
    if (p) memcpy(all, (const uint32_t *)p + b->channel, (size_t)b->count * sizeof *all);
    for (int i = 0; i < BLOCK; i++)
        memcpy((uint32_t *)parts + i / 4 % PARTS * VEC_F32 + i / 16 * 4 + i % 4, &all[i], sizeof *all);
}

/* The weights of the block, interleaved, zero where there is no tap or no channel. Sliding: a column of taps is a group. */
static void stage_weights(const block *b, vec_i32 *to) {
    const hone_depthwise *d = b->d;
    const int64_t of_group = d->slides ? 1 : 4, of_tap = d->slides ? 3 : 1;
    for (int64_t g = 0; g < b->groups; g++) {
        int8_t taps[4][BLOCK] = {{0}};
        vec_i32 x[4];
        for (int64_t i = 0; i < 4; i++) {
            const int64_t tap = g * of_group + i * of_tap;
            if (tap < d->taps)
                memcpy(taps[i], (const int8_t *)d->weight + tap * d->channels + b->channel, (size_t)b->count);
        }
        memcpy(x, taps, sizeof x);
        interleave(x, to + g * PARTS);
    }
}

/* What is no bytes is stored by way of memory. */
static void store_wide(const block *b, const vec_i32 *s, int64_t at) {
    const hone_epilogue *e = &b->d->epilogue;
    vec_i32 parts[PARTS];
    uint32_t all[BLOCK];
    for (int v = 0; v < PARTS; v++) {
        parts[v] = s[v];
        if (e->store == HONE_STORE_I32) continue;
        vec_f32 f = vec_from_i32(s[v]) * b->scale[v];
        if (e->bias) f = f + b->bias[v];
        parts[v] = vec_bits(f);
    }
    for (int i = 0; i < BLOCK; i++)
        memcpy(&all[i], (uint32_t *)parts + i / 4 % PARTS * VEC_F32 + i / 16 * 4 + i % 4, sizeof *all);
    if (e->store == HONE_STORE_I32) {
        memcpy((int32_t *)b->y + at, all, (size_t)b->count * sizeof *all);
        return;
    }
    for (int i = 0, n; i < b->count; i += n) {
        n = b->count - i < VEC_F32 ? b->count - i : VEC_F32;
        vec_f32 f = vec_load_n((const float *)(const void *)all + i, n);
        if (e->residual) f = f + vec_load_n((const float *)e->residual + at + i, n);
        vec_store_n((float *)b->y + at + i, vec_min(b->hi, vec_max(b->lo, f)), n);
    }
}

VEC_FN void store_sums(const block *b, const bool whole, const vec_i32 *sum, int64_t at) {
    const hone_epilogue *e = &b->d->epilogue;
    if (e->store != HONE_STORE_U8 && e->store != HONE_STORE_S8) {
        store_wide(b, sum, at);
        return;
    }
    vec_i32 s[PARTS];
    VEC_UNROLL
    for (int v = 0; v < PARTS; v++) {
        vec_f32 f = vec_from_i32(sum[v]) * b->scale[v];
        if (e->bias) f = f + b->bias[v];
        f = vec_min(vec_max(f, b->lo), b->hi);
        s[v] = vec_add_i32(vec_to_i32(f), vec_set1_i32(e->zero));
    }
    const vec_i32 bytes = e->store == HONE_STORE_U8 ? pack_bytes(s, false) : pack_bytes(s, true);
    vec_store_bytes((uint8_t *)b->y + at, bytes, whole ? BLOCK : b->count);
}

/* One position, whose first element is at x. `groups`: b->groups, where that is a constant. */
VEC_FN void position(const block *b, const bool whole, const int64_t groups, const uint8_t *x, int64_t at) {
    vec_i32 sum[PARTS];
    VEC_UNROLL
    for (int v = 0; v < PARTS; v++) sum[v] = b->sum_bias[v];
    for (int64_t g = 0; g < groups; g++) {
        vec_i32 tap[4], word[PARTS];
        VEC_UNROLL
        for (int i = 0; i < 4; i++) memcpy(&tap[i], x + b->offset[4 * g + i], sizeof tap[i]);
        interleave(tap, word);
        VEC_UNROLL
        for (int v = 0; v < PARTS; v++) sum[v] = DEPTHWISE_DOT(sum[v], word[v], b->weight[g * PARTS + v]);
    }
    store_sums(b, whole, sum, at);
}

VEC_FN void run_lines(const block *b, const bool whole, const int64_t groups, const uint8_t *x,
                      int64_t lines) {
    const hone_depthwise *d = b->d;
    int64_t at = b->channel;
    x += b->channel;
    for (int64_t line = 0; line < lines; line++)
        for (int64_t i = 0; i < d->width; i++, at += d->channels)
            position(b, whole, groups, x + line * d->line + i * d->step, at);
}

/* A column of three taps, from x on. */
VEC_FN void look(const block *b, const uint8_t *x, vec_i32 *word) {
    vec_i32 tap[4] = {vec_set1_i32(0), vec_set1_i32(0), vec_set1_i32(0), vec_set1_i32(0)};
    VEC_UNROLL
    for (int i = 0; i < 3; i++) memcpy(&tap[i], x + b->offset[3 * i], sizeof tap[i]);
    interleave(tap, word);
}

/* 3 x 3 taps that move on by one column: each column is interleaved once. */
VEC_FN void slide_lines(const block *b, const bool whole, const uint8_t *x, int64_t lines) {
    const hone_depthwise *d = b->d;
    int64_t at = b->channel;
    for (int64_t line = 0; line < lines; line++) {
        const uint8_t *from = x + line * d->line + b->channel;
        vec_i32 first[PARTS], second[PARTS], third[PARTS], sum[PARTS];
        look(b, from, first);
        look(b, from + d->step, second);
        for (int64_t i = 0; i < d->width; i++, at += d->channels) {
            look(b, from + (i + 2) * d->step, third);
            VEC_UNROLL
            for (int v = 0; v < PARTS; v++) {
                sum[v] = DEPTHWISE_DOT(b->sum_bias[v], first[v], b->weight[v]);
                sum[v] = DEPTHWISE_DOT(sum[v], second[v], b->weight[PARTS + v]);
                sum[v] = DEPTHWISE_DOT(sum[v], third[v], b->weight[2 * PARTS + v]);
                first[v] = second[v];
                second[v] = third[v];
            }
            store_sums(b, whole, sum, at);
        }
    }
}

static void run_block(const block *b, const uint8_t *x, int64_t lines) {
    const bool whole = b->count == BLOCK;
    if (whole && b->d->slides)
        slide_lines(b, true, x, lines);
    else if (b->d->slides)
        slide_lines(b, false, x, lines);
    else if (whole && b->groups == 3) /* 3 x 3 taps */
        run_lines(b, true, 3, x, lines);
    else if (whole)
        run_lines(b, true, b->groups, x, lines);
    else
        run_lines(b, false, b->groups, x, lines);
}

static float clamp(double x, float lo, float hi) {
    return x < lo ? lo : x > hi ? hi : (float)x;
}

void HONE_ISA_NAME(depthwise_8)(const hone_depthwise *d, const uint8_t *x, int64_t lines, void *y,
                                void *room) {
    const hone_epilogue *e = &d->epilogue;
    block b = {.d = d, .y = y, .groups = (d->taps + 3) / 4, .offset = d->offset, .weight = room};
    float lo = (float)e->lo, hi = (float)e->hi;
    if (e->store == HONE_STORE_U8 || e->store == HONE_STORE_S8) {
        /* Saturation is one more clamp, and clamping to whole numbers may come before rounding. */
        const float least = (e->store == HONE_STORE_U8 ? 0.0f : -128.0f) - (float)e->zero;
        lo = clamp(lo, least, least + 255);
        hi = clamp(hi, least, least + 255);
    }
    b.lo = vec_set1(lo);
    b.hi = vec_set1(hi);
    for (; b.channel < d->channels; b.channel += BLOCK) {
        b.count = (int)(d->channels - b.channel < BLOCK ? d->channels - b.channel : BLOCK);
        stage_weights(&b, room);
        stage(&b, e->sum_bias, b.sum_bias);
        stage(&b, e->scale, b.scale);
        stage(&b, e->bias, b.bias);
        run_block(&b, x, lines);
    }
}
