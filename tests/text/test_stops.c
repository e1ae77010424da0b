#include "text/stops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const stops[] = {"", "abc", "cab"};

static size_t find(const char *text) {
    return hone_stops_find(stops, 3, text, strlen(text));
}

static size_t begun(const char *text) {
    return hone_stops_begun(stops, 3, text, strlen(text));
}

static void test_find(void **state) {
    (void)state;
    assert_int_equal(find("xxabcab"), 2);
    assert_int_equal(find("xcabc"), 1);
    assert_true(find("xab") == SIZE_MAX);
    assert_true(find("") == SIZE_MAX);
}

static void test_begun(void **state) {
    (void)state;
    assert_int_equal(begun("xab"), 2);
    assert_int_equal(begun("xca"), 2);
    assert_int_equal(begun("abx"), 0);
    assert_int_equal(begun("c"), 1);
    assert_int_equal(begun(""), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_find), cmocka_unit_test(test_begun)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
