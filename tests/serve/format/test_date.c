/* The field Date. */
#include "serve/format/date.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void writes_dates(void **state) {
    static const struct {
        time_t second;
        const char *text;
    } cases[] = {{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
                 {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, /* RFC 9110's own */
                 {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
                 {4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"},
                 {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"}};
    char text[HONE_DATE_SIZE];
    (void)state;
    setlocale(LC_ALL, "de_DE.UTF-8");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_date_write(text, cases[i].second);
        assert_string_equal(text, cases[i].text);
    }
    setlocale(LC_ALL, "C");
}

static void tells_now(void **state) {
    hone_date d = {0};
    char same[HONE_DATE_SIZE];
    (void)state;
    time_t before = time(NULL);
    for (int i = 0; i < 2; i++) {
        const char *now = hone_date_now(&d);
        hone_date_write(same, d.second);
        assert_string_equal(now, same);
        assert_true(d.second >= before - 1 && d.second <= time(NULL)); /* that clock may be a tick behind */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(writes_dates), cmocka_unit_test(tells_now)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
