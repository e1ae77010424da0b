/* UTF-8: what is a character, where a text is cut, what a line of text becomes. */
#include "base/text.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void knows_characters(void **state) {
    (void)state;
    static const char *const valid[] = {
        "", "plain", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const invalid[] = {"\x80",
                                          "\xc3",
                                          "\xc0\x80",
                                          "\xe0\x80\x80",
                                          "\xed\xa0\x80",
                                          "\xe2\x82",
                                          "\xf0\x80\x80\x80",
                                          "\xf4\x90\x80\x80",
                                          "\xf5\x80\x80\x80",
                                          "\xff",
                                          "caf\xe9s"};
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++)
        assert_true(hone_utf8_is_valid(valid[i], strlen(valid[i])));
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        assert_false(hone_utf8_is_valid(invalid[i], strlen(invalid[i])));
    assert_false(hone_utf8_is_valid("\xe2\x82\xac", 2)); /* what lies behind the end is not looked at */
    assert_true(hone_utf8_is_valid("a\0b", 3));
}

/* Python's bytes.decode("utf-8", "replace") and Rust's from_utf8_lossy() give as many U+FFFD. */
static void counts_what_is_broken(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t bytes;
    } cases[] = {{"\x80", 1},         {"\xff", 1},     {"\xc3", 1},         {"\xc3z", 1},
                 {"\xc0\x80", 1},     {"\xe2\x82", 2}, {"\xe2\x82z", 2},    {"\xe0\x80\x80", 1},
                 {"\xed\xa0\x80", 1}, {"\xf0\x9f", 2}, {"\xf0\x9f\x98", 3}, {"\xf0\x80\x80", 1},
                 {"\xf4\x90\x80", 1}, {"\xf5\x80", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(hone_utf8_broken(cases[i].text, strlen(cases[i].text)), cases[i].bytes);
    assert_int_equal(hone_utf8_broken("\xf0\x9f\x98\x80", 2), 2);
}

static void cuts_between_characters(void **state) {
    (void)state;
    static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z"; /* of 1, 2, 3, 4 and 1 bytes */
    static const size_t fits[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t most = 0; most < sizeof fits / sizeof *fits; most++)
        assert_int_equal(hone_utf8_fit(text, strlen(text), most), fits[most]);
    /* what is no UTF-8 is cut anywhere */
    assert_int_equal(hone_utf8_fit("\x80\x80\x80\x80\x80\x80\x80\x80", 8, 5), 5);
}

static void makes_lines(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t room;
        const char *line;
    } cases[] = {
        {"a\tb\nc\x7f", 20, "a b c "},
        {"caf\xe9s", 20, "caf\xef\xbf\xbds"},
        {"\xe2\x82", 20, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"caf\xe9s", 6, "caf"}, /* there is no room for what stands for it */
        {"a\xc3\xa4\xe2\x82\xac", 6, "a\xc3\xa4"},
        {"a\xc3\xa4\xe2\x82\xac", 7, "a\xc3\xa4\xe2\x82\xac"},
        {NULL, 5, ""},
        {"abc", 1, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[32];
        memset(out, '#', sizeof out);
        hone_text_line(out, cases[i].room, cases[i].text);
        assert_string_equal(out, cases[i].line);
        assert_int_equal(out[cases[i].room], '#');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_characters),
        cmocka_unit_test(counts_what_is_broken),
        cmocka_unit_test(cuts_between_characters),
        cmocka_unit_test(makes_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
