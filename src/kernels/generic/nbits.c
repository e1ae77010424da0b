#include "base/bits.h"
#include "kernels/portable.h"

#include <string.h>

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
        else if (bits == 4 && at % 2 == 0 && run % 2 == 0)
            for (int64_t i = at; i < at + run; i += 2) {
                const uint8_t both = b[i / 2];
                y[i - begin] = ((float)(both & 15) - z) * s + o;
                y[i - begin + 1] = ((float)(both >> 4) - z) * s + o;
            }
        else
            for (int64_t i = at; i < at + run; i++)
                y[i - begin] = ((float)hone_bits_get(b, i, bits) - z) * s + o;
    }
}

void hone_nbits_split(const hone_nbits *p, const float *x, int64_t n, float *y) {
    for (int64_t block = 0; block < p->blocks; block++, y += p->block) {
        const int64_t from = block * p->block;
        for (int i = 0; i < p->block; i++)
            y[i / 2 + (i & 1) * (p->block / 2)] = from + i < n ? x[from + i] : 0;
    }
}
