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
