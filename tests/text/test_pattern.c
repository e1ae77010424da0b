#include "text/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static hone_matcher matcher;

/* The first match of a pattern in a text, "…|start|end" where it is. */
static void finds(const char *pattern, const char *text, size_t start, size_t end) {
    hone_arena *arena = hone_arena_new();
    const hone_pattern *p;
    hone_error err = {0};
    size_t s, e;
    if (hone_pattern_compile(arena, pattern, strlen(pattern), false, &p, &err) != HONE_OK)
        fail_msg("%s: %s", pattern, err.message);
    hone_matcher_begin(&matcher, strlen(text));
    assert_int_equal(hone_pattern_find(p, &matcher, text, strlen(text), 0, &s, &e, &err), HONE_OK);
    if (s != start || (s != HONE_PATTERN_NONE && e != end))
        fail_msg("%s in '%s': %zu to %zu", pattern, text, s, e);
    hone_arena_free(arena);
}

static void finds_none(const char *pattern, const char *text) {
    finds(pattern, text, HONE_PATTERN_NONE, 0);
}

static void refuses(const char *pattern, hone_status status, const char *what) {
    hone_arena *arena = hone_arena_new();
    const hone_pattern *p;
    hone_error err = {0};
    assert_int_equal(hone_pattern_compile(arena, pattern, strlen(pattern), false, &p, &err), status);
    if (!strstr(err.message, what)) fail_msg("%s: %s", pattern, err.message);
    hone_arena_free(arena);
}

static void test_syntax(void **state) {
    (void)state;
    finds("b|bc", "abc", 1, 2); /* the first alternative, not the longest */
    finds("a(?:bc|b)c", "abcc", 0, 4);
    finds("a(?:bc|b)cd", "abcd", 0, 4);
    finds("x*", "aax", 0, 0);
    finds("a+?b", "aab", 0, 3);
    finds("a{2,3}", "aaaa", 0, 3);
    finds("a{2,3}?", "aaaa", 0, 2);
    finds("(?:ab){2}", "ababab", 0, 4);
    finds("(?:ab){1,}c", "xababc", 1, 6);
    finds("(?:ab)*?c", "ababc", 0, 5);
    finds("(?:a|b){2,3}d", "ababd", 1, 5);
    finds_none("a++a", "aaa");
    finds_none("(?:a|b)++b", "abab");
    finds_none("(?>a|ab)c", "abc");
    finds("\\s+(?!\\S)", "a   b", 1, 3);
    finds("(?<=a)b", "bab", 2, 3);
    finds("(?<!a)b", "abb", 2, 3);
    finds("(?i:'s|'T)", "it'S", 2, 4);
    finds("(?i)straße", "STRAßE", 0, 7);
    finds("[^\\s\\p{L}]+", "ab12 ", 2, 4);
    finds("[a-z&&[^aeiou]]+", "aebcd", 2, 5);
    finds("[[:digit:]x-]+", "a1-x", 1, 4);
    finds("\\x{4E2D}\\u6587", "\xe4\xb8\xad\xe6\x96\x87", 0, 6);
    finds("\\p{Lu}\\p{^Lu}\\P{N}", "xAbc", 1, 4);
    finds("^b$", "a\nb\nc", 2, 3);
    finds("\\bcat\\b", "concat cat", 7, 10);
    finds("a{,2}b{", "aab{", 0, 4);
    finds(".", "\n\xc3\xa4", 1, 3);
    finds("[^a]", "\xff", 0, 1); /* a byte that is no UTF-8 */
    finds_none("\\p{L}", "\xff");
}

static void test_refusals(void **state) {
    (void)state;
    refuses("a)", HONE_INVALID_ARGUMENT, "at 1: a ) has no (");
    refuses("(a", HONE_INVALID_ARGUMENT, ") is missing");
    refuses("[a", HONE_INVALID_ARGUMENT, "] is missing");
    refuses("[b-a]", HONE_INVALID_ARGUMENT, "a range goes backwards");
    refuses("*a", HONE_INVALID_ARGUMENT, "nothing to repeat");
    refuses("a{3,2}", HONE_INVALID_ARGUMENT, "no such number of times");
    refuses("\\p{Klingon}", HONE_UNSUPPORTED, "no class \\p{Klingon}");
    refuses("(?<=ab)c", HONE_UNSUPPORTED, "one character only");
    refuses("(?<n>a)", HONE_UNSUPPORTED, "this kind of group");
    refuses("\\1", HONE_UNSUPPORTED, "behind a \\");
    refuses("(?:(?:(?:a{1000}){1000}){1000})b", HONE_UNSUPPORTED, "too large");
    refuses("a\\", HONE_INVALID_ARGUMENT, "\\ stands at the end");
}

/* What takes for ever elsewhere ends here. */
static void test_slow(void **state) {
    (void)state;
    static const char pattern[] = "(?:(?:a|aa)+)+b";
    char text[64];
    hone_arena *arena = hone_arena_new();
    const hone_pattern *p;
    hone_error err = {0};
    size_t start, end;
    memset(text, 'a', sizeof text);
    assert_int_equal(hone_pattern_compile(arena, pattern, strlen(pattern), false, &p, &err), HONE_OK);
    hone_matcher_begin(&matcher, sizeof text);
    assert_int_equal(hone_pattern_find(p, &matcher, text, sizeof text, 0, &start, &end, &err),
                     HONE_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(err.message, "too many steps"));
    hone_arena_free(arena);
    hone_matcher_free(&matcher);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_syntax), cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_slow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
