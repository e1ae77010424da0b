#include "base/bits.h"
#include "base/half.h"
#include "kernels/portable.h"

#include <string.h>

/* Both elements of a byte, as numbers. */
#define ONE(n)                                                                                               \
    { (n) & 15, (n) >> 4 }
#define FOUR(n) ONE(n), ONE((n) + 1), ONE((n) + 2), ONE((n) + 3)
#define SIXTEEN(n) FOUR(n), FOUR((n) + 4), FOUR((n) + 8), FOUR((n) + 12)
#define SIXTY_FOUR(n) SIXTEEN(n), SIXTEEN((n) + 16), SIXTEEN((n) + 32), SIXTEEN((n) + 48)
static const float numbers_of_byte[256][2] = {SIXTY_FOUR(0), SIXTY_FOUR(64), SIXTY_FOUR(128),
                                              SIXTY_FOUR(192)};

/* n elements, a multiple of 4, of a block: four at a time. */
static void unpack_nibbles(const uint8_t *b, int64_t n, float s, float z, float o, float *y) {
    typedef float four __attribute__((vector_size(16)));
    const four scale = {s, s, s, s}, zero = {z, z, z, z}, offset = {o, o, o, o};
    for (int64_t i = 0; i < n; i += 4, b += 2) {
        const float *low = numbers_of_byte[b[0]], *high = numbers_of_byte[b[1]];
        const four codes = {low[0], low[1], high[0], high[1]}, x = (codes - zero) * scale + offset;
        memcpy(y + i, &x, sizeof x);
    }
}

void hone_nbits_unpack(const hone_nbits *p, const uint8_t *b, const float *scale, const float *zero,
                       int64_t begin, int64_t end, float *y) {
    const int bits = p->bits;
    for (int64_t at = begin, run; at < end; at += run) {
        int64_t block = at / p->block;
        run = (block + 1) * p->block - at;
        if (run > end - at) run = end - at;
        const float s = scale[block], z = p->offsets ? 0 : zero[block], o = p->offsets ? zero[block] : 0;
        if (bits == 8 && p->is_signed)
            for (int64_t i = at; i < at + run; i++) y[i - begin] = ((float)(int8_t)b[i] - z) * s + o;
        else if (bits == 8)
            for (int64_t i = at; i < at + run; i++) y[i - begin] = ((float)b[i] - z) * s + o;
        else if (bits == 4 && at % 4 == 0 && run % 4 == 0)
            unpack_nibbles(b + at / 2, run, s, z, o, y + (at - begin));
        else
            for (int64_t i = at; i < at + run; i++)
                y[i - begin] = ((float)hone_bits_get(b, i, bits) - z) * s + o;
    }
}

static float number_at(const void *x, bool half, int64_t i) {
    return half ? hone_float_of_half(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}

void hone_bits_unpack(const hone_bits *p, const hone_bits_panel *b, int column, int64_t n, float *y) {
    const int each = 32 / p->bits, mask = (1 << p->bits) - 1;
    for (int64_t i = 0; i < n; i++) {
        const int64_t block = i / p->block * HONE_BITS_PANEL + column, in = i % each;
        const uint8_t byte = b->codes[(i / each * HONE_BITS_PANEL + column) * 4 + in % 4];
        const float more = p->more ? number_at(b->more, p->half_more, block) : 0;
        const float code = (float)((byte >> in / 4 * p->bits & mask) - p->middle);
        y[i] = (code - (p->more == HONE_BITS_ZEROS ? more : 0)) * number_at(b->scales, p->half_scales, block);
        if (p->more == HONE_BITS_OFFSETS) y[i] += more;
    }
}
