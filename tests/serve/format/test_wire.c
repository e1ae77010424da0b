#include "base/half.h"
#include "base/memory.h"
#include "serve/format/wire.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static hone_wire over(const char *bytes, size_t size) {
    return hone_wire_of(bytes, size);
}

/* Numbers of every length, written and read back; known encodings. */
static void numbers_survive(void **state) {
    (void)state;
    for (int bit = 0; bit < 64; bit++)
        for (int less = 0; less < 2; less++) {
            uint64_t x = ((uint64_t)1 << bit) - (uint64_t)less, y = 0;
            hone_buffer b = {0};
            hone_wire_put_varint(&b, x);
            assert_int_equal(b.size, hone_wire_varint_size(x));
            hone_wire w = over(b.data, b.size);
            assert_true(hone_wire_varint(&w, &y));
            assert_true(x == y);
            assert_false(hone_wire_varint(&w, &y));
            assert_null(w.why);
            hone_buffer_free(&b);
        }
    hone_buffer b = {0};
    hone_wire_put_number(&b, 1, 150);
    assert_int_equal(b.size, 3);
    assert_memory_equal(b.data, "\x08\x96\x01", 3);
    hone_buffer_clear(&b, 1000);
    hone_wire_put_number(&b, 16, (uint64_t)-1);
    assert_int_equal(b.size, 12);
    assert_memory_equal(b.data, "\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12);
    hone_buffer_free(&b);
}

static void fields_come_in_order(void **state) {
    (void)state;
    static const char input[] = "\x08\x05" /* 1: 5 */
                                "\x12\x03" /* 2: "abc" */
                                "abc"
                                "\x1d\x01\x02\x03\x04"     /* 3: fixed32 */
                                "\x21\x01\0\0\0\0\0\0\x80" /* 4: fixed64 */
                                "\x2b\x08\x01\x33\x34\x2c" /* group 5 with field 1 and group 6: skipped */
                                "\x12\0";                  /* 2: "" */
    hone_wire w = over(input, sizeof input - 1);
    hone_wire_field f;
    assert_true(hone_wire_next(&w, &f));
    assert_true(hone_wire_is(&f, 1, HONE_WIRE_VARINT) && f.value == 5);
    assert_false(hone_wire_is(&f, 1, HONE_WIRE_BYTES));
    assert_true(hone_wire_next(&w, &f));
    assert_true(hone_wire_is(&f, 2, HONE_WIRE_BYTES) && f.size == 3);
    assert_memory_equal(f.data, "abc", 3);
    assert_true(hone_wire_next(&w, &f));
    assert_true(hone_wire_is(&f, 3, HONE_WIRE_FIXED32) && f.value == 0x04030201);
    assert_true(hone_wire_next(&w, &f));
    assert_true(hone_wire_is(&f, 4, HONE_WIRE_FIXED64) && f.value == 0x8000000000000001);
    assert_true(hone_wire_next(&w, &f));
    assert_true(hone_wire_is(&f, 2, HONE_WIRE_BYTES) && f.size == 0);
    assert_non_null(f.data);
    assert_false(hone_wire_next(&w, &f));
    assert_null(w.why);
    assert_int_equal(hone_wire_check(&w, "Thing", NULL), HONE_OK);
}

/* Every prefix of a message that cuts a field is broken, and is never read beyond. */
static void cut_input_is_refused(void **state) {
    (void)state;
    static const char input[] =
        "\x08\x96\x01\x12\x05hello\x1d\x01\x02\x03\x04\x21\x01\x02\x03\x04\x05\x06\x07\x08"
        "\x2b\x08\x01\x2c";
    static const size_t whole[] = {0, 3, 10, 15, 24, 28};
    for (size_t n = 0; n < sizeof input; n++) {
        char *copy = malloc(n ? n : 1); /* of the exact size */
        assert_non_null(copy);
        memcpy(copy, input, n);
        hone_wire w = over(copy, n);
        hone_wire_field f;
        while (hone_wire_next(&w, &f)) {
        }
        bool good = false;
        for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) good |= whole[i] == n;
        if (good != !w.why) fail_msg("%zu bytes: %s", n, w.why ? w.why : "taken");
        free(copy);
    }
}

static void bad_input_is_refused(void **state) {
    (void)state;
    char deep[2 * HONE_WIRE_MAX_GROUPS + 4];
    memset(deep, 0x0b, sizeof deep);
    const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {"\x00\x01", 2},                                          /* field number 0 */
        {"\x0e", 1},                                              /* wire type 6 */
        {"\x0f", 1},                                              /* wire type 7 */
        {"\x0c", 1},                                              /* a group ends */
        {"\x0b\x14", 2},                                          /* … as another one */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11},     /* more than 64 bits */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, /* eleven bytes */
        {"\xf8\xff\xff\xff\xff\x01\x01", 7},                      /* a field number of more than 32 bits */
        {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},     /* a huge length */
        {"\x12\x80\x80\x80\x80\x10", 6},                          /* 4 GB */
        {deep, sizeof deep},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hone_wire w = over(bad[i].bytes, bad[i].size);
        hone_wire_field f;
        hone_error err = {0};
        while (hone_wire_next(&w, &f)) {
        }
        if (!w.why) fail_msg("case %zu was taken", i);
        assert_false(hone_wire_next(&w, &f)); /* it stays so */
        assert_int_equal(hone_wire_check(&w, "Thing", &err), HONE_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "no Thing: "));
    }
}

static void messages_nest(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 126, 127, 128, 129, 16382, 16383, 16384, 70000};
    static char filler[70000];
    memset(filler, 'x', sizeof filler);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        hone_buffer b = {0};
        hone_wire_put_text(&b, 9, "before");
        size_t outer = hone_wire_begin(&b, 1), inner = hone_wire_begin(&b, 2);
        hone_wire_put_bytes(&b, 3, filler, sizes[i]);
        hone_wire_end(&b, inner);
        hone_wire_end(&b, outer);
        hone_wire_put_number(&b, 4, 7);
        size_t field = hone_wire_bytes_size(3, sizes[i]);
        size_t want = 8 + hone_wire_bytes_size(1, hone_wire_bytes_size(2, field)) + 2;
        assert_int_equal(b.size, want);
        hone_wire w = over(b.data, b.size);
        hone_wire_field f, g, h;
        assert_true(hone_wire_next(&w, &f) && hone_wire_next(&w, &f) && hone_wire_is(&f, 1, HONE_WIRE_BYTES));
        hone_wire in = hone_wire_into(&f);
        assert_true(hone_wire_next(&in, &g) && hone_wire_is(&g, 2, HONE_WIRE_BYTES));
        hone_wire innermost = hone_wire_into(&g);
        assert_true(hone_wire_next(&innermost, &h) && h.size == sizes[i]);
        assert_memory_equal(h.data, filler, sizes[i]);
        assert_false(hone_wire_next(&in, &g));
        assert_true(hone_wire_next(&w, &f) && f.value == 7);
        assert_false(hone_wire_next(&w, &f));
        hone_buffer_free(&b);
    }
}

/* A writer whose memory is out says so once, and does nothing else. */
static void lack_of_memory_is_remembered(void **state) {
    (void)state;
    static char filler[1000];
    int good = 0;
    for (uint64_t n = 1; n < 10; n++) {
        hone_buffer b = {0};
        hone_alloc_fail_at(n, true);
        size_t outer = hone_wire_begin(&b, 1);
        hone_wire_put_bytes(&b, 3, filler, sizeof filler);
        hone_wire_end(&b, outer);
        hone_alloc_fail_at(0, false);
        good += !b.failed;
        if (!b.failed) assert_int_equal(b.size, 1006);
        hone_buffer_free(&b);
    }
    assert_true(good > 0 && good < 9);
}

/* Halves by their definition, in both directions. */
static void narrow_floats_are_rounded(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t h = (uint16_t)i;
        uint32_t exponent = i >> 10 & 31, mantissa = i & 1023;
        double want = exponent ? ldexp(1024.0 + mantissa, (int)exponent - 25) : ldexp(mantissa, -24);
        float x = hone_float_of_half(h), b = hone_float_of_bfloat(h);
        if (exponent < 31) {
            assert_true((double)x == (i >> 15 ? -want : want));
            assert_int_equal(hone_half_of_float(x), h);
        } else {
            assert_true(mantissa ? isnan(x) : isinf(x));
            assert_int_equal(hone_half_of_float(x) & 0x7c00, 0x7c00);
        }
        assert_true(isnan(b) || hone_bfloat_of_float(b) == h);
        if (isnan(b)) assert_true(isnan(hone_float_of_bfloat(hone_bfloat_of_float(b))));
    }
    /* Halfway goes to even, beyond it up. */
    assert_int_equal(hone_half_of_float(1.0f + 0x1p-11f), 0x3c00);
    assert_int_equal(hone_half_of_float(1.0f + 3 * 0x1p-11f), 0x3c02);
    assert_int_equal(hone_half_of_float(1.0f + 0x1p-11f + 0x1p-20f), 0x3c01);
    assert_int_equal(hone_half_of_float(65519.996f), 0x7bff);
    assert_int_equal(hone_half_of_float(65520.0f), 0x7c00);
    assert_int_equal(hone_half_of_float(0x1p-25f), 0);
    assert_int_equal(hone_half_of_float(0x1.8p-25f), 1);
    assert_int_equal(hone_half_of_float(-0.0f), 0x8000);
    assert_int_equal(hone_bfloat_of_float(1.0f + 0x1p-8f), 0x3f80);
    assert_int_equal(hone_bfloat_of_float(1.0f + 3 * 0x1p-8f), 0x3f82);
    assert_int_equal(hone_bfloat_of_float(3.4e38f), 0x7f80);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_survive),
        cmocka_unit_test(fields_come_in_order),
        cmocka_unit_test(cut_input_is_refused),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(messages_nest),
        cmocka_unit_test(lack_of_memory_is_remembered),
        cmocka_unit_test(narrow_floats_are_rounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
