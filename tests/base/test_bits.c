#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/bits.h"

#include <stdbool.h>
#include <string.h>

enum { COUNT = 40 };

static void first_element_is_lowest(void **state) {
    (void)state;
    static const uint8_t x[] = {0xe4, 0x1b};
    for (int i = 0; i < 4; i++) assert_int_equal(hone_bits_get(x, i, 2), i);
    assert_int_equal(hone_bits_get(x, 0, 4), 0x4);
    assert_int_equal(hone_bits_get(x, 1, 4), 0xe);
    assert_int_equal(hone_bits_get(x, 2, 4), 0xb);
    uint8_t y[] = {0xff, 0xff};
    hone_bits_set(y, 1, 4, 0xf3); /* what is above the element's bits is left out */
    hone_bits_set(y, 5, 2, 1);
    assert_int_equal(y[0], 0x3f);
    assert_int_equal(y[1], 0xf7);
}

/* Every start, every length: what is copied is right, all else as before. */
static void ranges_are_copied(void **state) {
    (void)state;
    uint8_t x[COUNT], y[COUNT], before[COUNT];
    for (int i = 0; i < COUNT; i++) {
        x[i] = (uint8_t)(i * 37 + 11);
        before[i] = (uint8_t)(i * 91 + 5);
    }
    for (int bits = 2; bits <= 4; bits += 2)
        for (int from = 0; from < 10; from++)
            for (int to = 0; to < 10; to++)
                for (int n = 0; n < 40; n++) {
                    memcpy(y, before, sizeof y);
                    hone_bits_copy(x, from, y, to, n, bits);
                    for (int i = 0; i < COUNT * 8 / bits; i++) {
                        bool in = i >= to && i < to + n;
                        unsigned want =
                            in ? hone_bits_get(x, i - to + from, bits) : hone_bits_get(before, i, bits);
                        if (hone_bits_get(y, i, bits) != want)
                            fail_msg("%d bits, %d elements from %d to %d: [%d]", bits, n, from, to, i);
                    }
                }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(first_element_is_lowest),
                                       cmocka_unit_test(ranges_are_copied)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
