#include "base/memory.h"
#include "serve/format/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

static void texts_survive(void **state) {
    (void)state;
    hone_gzip *z = NULL;
    for (size_t size = 0; size < 300000; size = size * 3 + 1) {
        hone_buffer text = {0}, packed = {0}, back = {0};
        for (size_t i = 0; i < size; i++) hone_buffer_byte(&text, (char)("0123456789,"[i * i % 11]));
        assert_true(hone_gzip_pack(&z, text.data, text.size, &packed));
        assert_int_equal(hone_gzip_unpack(&z, packed.data, packed.size, 0, &back, NULL), HONE_OK);
        assert_int_equal(back.size, size);
        if (size) assert_memory_equal(back.data, text.data, size);
        hone_buffer_free(&text);
        hone_buffer_free(&packed);
        hone_buffer_free(&back);
    }
    hone_gzip_free(z);
    hone_gzip_free(NULL);
}

/* A megabyte of zeros in a thousand bytes is refused as soon as it passes the limit. */
static void bombs_are_refused(void **state) {
    (void)state;
    hone_gzip *z = NULL;
    hone_buffer packed = {0}, back = {0};
    size_t size = (size_t)8 << 20;
    char *zeros = calloc(1, size);
    assert_non_null(zeros);
    assert_true(hone_gzip_pack(&z, zeros, size, &packed));
    assert_true(packed.size < size / 100);
    hone_error err = {0};
    assert_int_equal(hone_gzip_unpack(&z, packed.data, packed.size, 100000, &back, &err),
                     HONE_RESOURCE_EXHAUSTED);
    assert_true(back.capacity < 1 << 20);
    hone_buffer_free(&back);
    assert_int_equal(hone_gzip_unpack(&z, packed.data, packed.size, size, &back, &err), HONE_OK);
    assert_int_equal(hone_gzip_unpack(&z, packed.data, packed.size, size - 1, &back, &err),
                     HONE_RESOURCE_EXHAUSTED);
    free(zeros);
    hone_buffer_free(&packed);
    hone_buffer_free(&back);
    hone_gzip_free(z);
}

static void bad_data_is_refused(void **state) {
    (void)state;
    hone_gzip *z = NULL;
    hone_buffer packed = {0}, back = {0};
    assert_true(hone_gzip_pack(&z, "hello, hello, hello", 19, &packed));
    for (size_t n = 0; n < packed.size; n++)
        assert_int_equal(hone_gzip_unpack(&z, packed.data, n, 0, &back, NULL), HONE_INVALID_ARGUMENT);
    for (size_t i = 0; i < packed.size; i++) {
        if (i >= 4 && i < 10) continue; /* time and system: anything */
        packed.data[i] ^= 0x40;
        hone_buffer_clear(&back, 1 << 20);
        hone_status status = hone_gzip_unpack(&z, packed.data, packed.size, 0, &back, NULL);
        if (status == HONE_OK) fail_msg("a wrong byte %zu was taken", i);
        packed.data[i] ^= 0x40;
    }
    hone_buffer_byte(&packed, 0);
    assert_int_equal(hone_gzip_unpack(&z, packed.data, packed.size, 0, &back, NULL), HONE_INVALID_ARGUMENT);
    hone_buffer_free(&packed);
    hone_buffer_free(&back);
    hone_gzip_free(z);
}

static void tables_are_kept(void **state) {
    (void)state;
    hone_gzip *z = NULL;
    hone_buffer packed = {0}, back = {0};
    uint64_t before = 0;
    for (int i = 0; i < 10; i++) {
        if (i == 2) before = hone_alloc_count();
        packed.size = back.size = 0;
        assert_true(hone_gzip_pack(&z, "1,2,3,4,5,6,7,8", 15, &packed));
        assert_int_equal(hone_gzip_unpack(&z, packed.data, packed.size, 100, &back, NULL), HONE_OK);
        assert_int_equal(back.size, 15);
    }
    assert_int_equal(hone_alloc_count(), before);
    hone_buffer_free(&packed);
    hone_buffer_free(&back);
    hone_gzip_free(z);
}

static void survives_lack_of_memory(void **state) {
    (void)state;
    int good = 0;
    for (uint64_t n = 1; n < 20; n++) {
        hone_gzip *z = NULL;
        hone_buffer packed = {0}, back = {0};
        hone_alloc_fail_at(n, true);
        bool done = hone_gzip_pack(&z, "hello", 5, &packed) &&
                    hone_gzip_unpack(&z, packed.data, packed.size, 0, &back, NULL) == HONE_OK;
        hone_alloc_fail_at(0, false);
        good += done;
        if (done) assert_int_equal(back.size, 5);
        hone_buffer_free(&packed);
        hone_buffer_free(&back);
        hone_gzip_free(z);
    }
    assert_true(good > 0 && good < 19);
}

static void reads_what_is_accepted(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool accepted;
    } cases[] = {{"", false},
                 {"gzip", true},
                 {"GZip", true},
                 {"deflate, gzip;q=1.0, *;q=0.5", true},
                 {"gzip;q=0", false},
                 {"gzip ; q=0.000", false},
                 {"gzip;q=0.001", true},
                 {"identity", false},
                 {"*", true},
                 {"*;q=0", false},
                 {"gzip;q=0, *", false},
                 {"br,gzip", true},
                 {"gzipped", false},
                 {",, ,gzip", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (hone_gzip_accepted((hone_slice){cases[i].text, strlen(cases[i].text)}) != cases[i].accepted)
            fail_msg("\"%s\"", cases[i].text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_survive),           cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(bad_data_is_refused),     cmocka_unit_test(tables_are_kept),
        cmocka_unit_test(survives_lack_of_memory), cmocka_unit_test(reads_what_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
