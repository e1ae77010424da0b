#include "base/bits.h"

#include <string.h>

void hone_bits_copy(const void *x, int64_t from, void *y, int64_t to, int64_t n, int bits) {
    const int each = 8 / bits;
    if (from % each == to % each) {
        for (; n > 0 && to % each; n--) hone_bits_set(y, to++, bits, hone_bits_get(x, from++, bits));
        const int64_t whole = n / each;
        if (whole) memcpy((uint8_t *)y + to / each, (const uint8_t *)x + from / each, (size_t)whole);
        from += whole * each;
        to += whole * each;
        n -= whole * each;
    }
    for (; n > 0; n--) hone_bits_set(y, to++, bits, hone_bits_get(x, from++, bits));
}

void hone_bits_fill(void *y, int64_t n, int bits, unsigned value) {
    const unsigned one = value & ((1u << bits) - 1), whole = 255 / ((1u << bits) - 1) * one;
    const int64_t bytes = n * bits / 8;
    if (bytes > 0) memset(y, (int)whole, (size_t)bytes);
    if (n * bits % 8) ((uint8_t *)y)[bytes] = (uint8_t)(whole & ((1u << n * bits % 8) - 1));
}
