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
        const float s = scale[block], z = zero[block];
        for (int64_t i = at; i < at + run; i++)
            y[i - begin] = ((float)(bits == 8 ? b[i] : hone_bits_get(b, i, bits)) - z) * s;
    }
}

void hone_nbits_split(const hone_nbits *p, const float *x, int64_t n, float *y) {
    for (int64_t block = 0; block < p->blocks; block++, y += p->block) {
        const int64_t from = block * p->block;
        for (int i = 0; i < p->block; i++)
            y[i / 2 + (i & 1) * (p->block / 2)] = from + i < n ? x[from + i] : 0;
    }
}
