/* Elements of 2 or 4 bits (or 8), several a byte, the first in the lowest bits. Positions count elements. */
#ifndef HONE_BASE_BITS_H
#define HONE_BASE_BITS_H

#include <stdint.h>

static inline unsigned hone_bits_get(const void *x, int64_t i, int bits) {
    const int each = 8 / bits;
    return (unsigned)((const uint8_t *)x)[i / each] >> (int)(i % each) * bits & ((1u << bits) - 1);
}

/* Leaves the other elements of the byte alone: no two threads may write into one byte. */
static inline void hone_bits_set(void *x, int64_t i, int bits, unsigned value) {
    const int each = 8 / bits, shift = (int)(i % each) * bits;
    uint8_t *byte = (uint8_t *)x + i / each;
    const unsigned mask = ((1u << bits) - 1) << shift;
    *byte = (uint8_t)((*byte & ~mask) | (value << shift & mask));
}

/* Elements [from, from + n) of x to those from `to` on of y, which is other memory. */
void hone_bits_copy(const void *x, int64_t from, void *y, int64_t to, int64_t n, int bits);
/* Elements 0 … n-1 of y become `value`; the bits behind them in the last byte become 0. */
void hone_bits_fill(void *y, int64_t n, int bits, unsigned value);

#endif
