#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct record {
    int calls;
    hone_log_level level;
    char message[2048];
} record;

static void take(void *user, hone_log_level level, const char *message) {
    record *r = user;
    r->calls++;
    r->level = level;
    snprintf(r->message, sizeof r->message, "%s", message);
}

static void test_silent_without_a_function(void **state) {
    (void)state;
    record r = {0};
    hone_log(HONE_LOG_ERROR, "nobody hears %d", 1);
    hone_log_set(take, &r, HONE_LOG_DEBUG);
    hone_log_set(NULL, NULL, HONE_LOG_DEBUG);
    hone_log(HONE_LOG_ERROR, "nobody hears");
    assert_int_equal(r.calls, 0);
}

static void test_levels_below_the_lowest_are_dropped(void **state) {
    (void)state;
    record r = {0};
    hone_log_set(take, &r, HONE_LOG_WARNING);
    hone_log(HONE_LOG_DEBUG, "a");
    hone_log(HONE_LOG_INFO, "b");
    assert_int_equal(r.calls, 0);
    hone_log(HONE_LOG_WARNING, "c%d", 1);
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.level, HONE_LOG_WARNING);
    assert_string_equal(r.message, "c1");
    hone_log(HONE_LOG_ERROR, "d");
    assert_int_equal(r.calls, 2);
    hone_log_set(NULL, NULL, HONE_LOG_DEBUG);
}

static void test_message_is_one_line_of_bounded_length(void **state) {
    (void)state;
    record r = {0};
    char text[3000];
    hone_log_set(take, &r, HONE_LOG_DEBUG);
    hone_log(HONE_LOG_INFO, "a\nb\n");
    assert_string_equal(r.message, "a b ");
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    hone_log(HONE_LOG_INFO, "%s", text);
    assert_int_equal(strlen(r.message), 1023);
    hone_log_set(NULL, NULL, HONE_LOG_DEBUG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silent_without_a_function),
        cmocka_unit_test(test_levels_below_the_lowest_are_dropped),
        cmocka_unit_test(test_message_is_one_line_of_bounded_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
