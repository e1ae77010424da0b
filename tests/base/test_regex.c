/* Regular expressions: what matches, what is refused, and that nothing is slow. */
#include "base/memory.h"
#include "base/random.h"
#include "base/regex.h"
#include "base/unicode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static hone_error err;

/* -1: the pattern is refused. */
static int match(const char *pattern, const char *text, size_t size) {
    hone_arena *arena = hone_arena_new();
    const hone_regex *r = NULL;
    int result = -1;
    if (hone_regex_compile(arena, pattern, strlen(pattern), &r, &err) == HONE_OK) {
        void *scratch = malloc(hone_regex_scratch(r));
        result = hone_regex_full_match(r, text, size, scratch);
        free(scratch);
    }
    hone_arena_free(arena);
    return result;
}

/* A pattern, then texts that match, then, behind NULL, texts that do not. */
static const char *const cases[][14] = {
    {"", "", NULL, "a", NULL},
    {"abc", "abc", NULL, "ab", "abcd", "xabc", "", NULL},
    {"a|bc|", "a", "bc", "", NULL, "b", "abc", NULL},
    {"(a|b)*c", "c", "abac", NULL, "ab", NULL},
    {"a*b+c?", "b", "aabbc", NULL, "aac", "bcc", NULL},
    {"a{2}b{1,3}c{2,}", "aabcc", "aabbbccccc", NULL, "abcc", "aabbbbcc", "aabc", NULL},
    {"a{,3}b{", "a{,3}b{", NULL, "aab", NULL},
    {"(?:ab){2}", "abab", NULL, "ab", "ababab", NULL},
    {"a*?b??", "", "aab", NULL, "ba", NULL},
    {"a.c", "abc",
     "a\xc3\xa9"
     "c",
     NULL, "a\nc", "ac",
     "a\xff"
     "c",
     NULL},
    {"(?s)a.c", "a\nc", NULL, "ac", NULL},
    {"[a-c]+[^a-c]", "abcd", "a\n", NULL, "abc", "d", NULL},
    {"[]a-]+", "]-a", NULL, "b", NULL},
    {"[^]a]", "b", NULL, "]", NULL},
    {"[\\d_\\]x-z]+", "1_]xyz", NULL, "w", NULL},
    {"\\d\\D\\w\\W\\s\\S", "1ab- c", NULL, "aab- c", NULL},
    {"[[:alpha:][:digit:]]+[[:^space:]]", "ab1-", NULL, "a ", NULL},
    {"[[:alpha]+", "[:ahlp:", NULL, "z", NULL},
    {"\\x41\\x{1F600}\\101\\012\\t",
     "A\xf0\x9f\x98\x80"
     "A\n\t",
     NULL, "A", NULL},
    {"\\Q.*(\\E+", ".*(", ".*(((", NULL, "abc", NULL},
    {"\\.\\*\\_", ".*_", NULL, "a*_", NULL},
    {"(?i)abC", "ABC", "aBc", NULL, "abd", NULL},
    {"(?i)\xc3\x89[\xce\xb1-\xcf\x89]", "\xc3\xa9\xce\xa3", NULL, "e\xce\xa3", NULL},
    {"(?i)k", "K", "\xe2\x84\xaa", NULL, "l", NULL},
    {"(?i)[^k]\\W", "l-", NULL, "K-", "lk", NULL},
    {"a(?i:b)c(?i)d(?-i)e", "abcde", "aBcDe", NULL, "aBCde", "abcdE", NULL},
    {"((?i)a)a", "Aa", NULL, "AA", NULL},
    {"(?P<name>a)(?<other>b)", "ab", NULL, "a", NULL},
    {"\\p{Lu}\\pL\\PL\\p{^L}\\p{Nd}", "\xc3\x89z1-\xd9\xa3", NULL, "az1-1", NULL},
    {"^a$", "a", NULL, "a\n", NULL},
    {"(?m)a$\\n^b", "a\nb", NULL, "ab", NULL},
    {"\\Aa\\z", "a", NULL, "a\n", NULL},
    {"a\\b-\\B-\\bb", "a--b", NULL, "a-b", NULL},
    {"(a*)*", "", "aaa", NULL, "b", NULL},
    {"((a|b)*|c)+d", "abcabd", NULL, "abc", NULL},
    {"x*y{0}z", "xz", "z", NULL, "xyz", NULL},
    {"\xe6\x97\xa5\xe6\x9c\xac?", "\xe6\x97\xa5", "\xe6\x97\xa5\xe6\x9c\xac", NULL, "\xe6\x97", NULL},
};

static void test_matches(void **state) {
    (void)state;
    for (int c = 0; c < COUNT(cases); c++) {
        int wanted = 1;
        for (int i = 1; wanted >= 0; i++) {
            const char *text = cases[c][i];
            if (!text) {
                wanted--;
                continue;
            }
            int got = match(cases[c][0], text, strlen(text));
            if (got != wanted)
                fail_msg("\"%s\" and \"%s\": %d (%s)", cases[c][0], text, got, got < 0 ? err.message : "");
        }
    }
}

static void test_bytes(void **state) {
    (void)state;
    assert_int_equal(match("a.b", "a\0b", 3), 1);
    assert_int_equal(match("[^a]", "\xc3\xa9", 2), 1);
    assert_int_equal(match("[^a]", "\xc3", 1), 0);
    assert_int_equal(match(".", "\xed\xa0\x80", 3), 0); /* a surrogate */
    assert_int_equal(match(".", "\xc0\x80", 2), 0);     /* overlong */
}

static void test_refused(void **state) {
    (void)state;
    static const char *const patterns[] = {"(",
                                           ")",
                                           "(a",
                                           "a)",
                                           "[",
                                           "[a",
                                           "[]",
                                           "[b-a]",
                                           "*",
                                           "+a",
                                           "?",
                                           "a**",
                                           "a+?*",
                                           "a{2}{3}",
                                           "a{1001}",
                                           "a{3,2}",
                                           "\\",
                                           "\\1",
                                           "\\8",
                                           "\\Z",
                                           "\\C",
                                           "\\c",
                                           "[\\",
                                           "(?",
                                           "(?z)",
                                           "(?=a)",
                                           "(?!a)",
                                           "(?<=a)",
                                           "(?P=a)",
                                           "(?P<a",
                                           "(?<>a)",
                                           "[[:nothing:]]",
                                           "\\p{Greek}",
                                           "\\p{",
                                           "\\p",
                                           "\\x",
                                           "\\x4",
                                           "\\x{",
                                           "\\x{110000}",
                                           "\xff",
                                           "[\xff]",
                                           "\\\xc3\xa9",
                                           "((a{1000}){1000}){1000}"};
    for (int i = 0; i < COUNT(patterns); i++)
        if (match(patterns[i], "a", 1) != -1 || !err.message[0]) fail_msg("\"%s\" is taken", patterns[i]);
    char deep[1000];
    memset(deep, '(', 500);
    memset(deep + 500, ')', 499);
    deep[999] = 0;
    assert_int_equal(match(deep, "", 0), -1);
}

/* What takes others exponential time is done in a moment. */
static void test_time(void **state) {
    (void)state;
    static const char *const patterns[] = {"(a|a)*b",       "(a*)*b",           "(a+a+)+b",
                                           "((a+)+)+b",     "(a|aa)+b",         "(.*)(.*)(.*)(.*)b",
                                           "(a?){60}a{60}", "(a{1,30}){1,30}b", "(((((a*)*)*)*)*)*b"};
    enum { LONG = 20000 };
    char *text = malloc(LONG);
    memset(text, 'a', LONG);
    for (int i = 0; i < COUNT(patterns); i++) {
        assert_int_equal(match(patterns[i], text, LONG), 0);
        text[LONG - 1] = 'b';
        assert_int_equal(match(patterns[i], text, LONG),
                         patterns[i][strlen(patterns[i]) - 1] == 'b' && i != 7);
        text[LONG - 1] = 'a';
    }
    free(text);
}

/* --- Unicode --- */

static void test_utf8(void **state) {
    (void)state;
    for (uint32_t c = 0; c < HONE_UNICODE_END; c += c < 0x3000 ? 1 : 61) {
        char text[5] = {0};
        const char *at = text;
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        size_t size = hone_utf8_encode(c, text);
        assert_int_equal(hone_utf8_decode(&at, text + size), c);
        assert_ptr_equal(at, text + size);
        for (size_t cut = 1; cut < size; cut++) { /* cut off */
            at = text;
            assert_int_equal(hone_utf8_decode(&at, text + cut), HONE_UNICODE_END + (unsigned char)text[0]);
            assert_ptr_equal(at, text + 1);
        }
    }
    char byte;
    assert_int_equal(hone_utf8_encode(HONE_UNICODE_END + 0xC3, &byte), 1);
    assert_int_equal((unsigned char)byte, 0xC3);
}

typedef struct seen {
    uint64_t count;
    uint32_t last;
} seen;

static void see(void *arg, uint32_t first, uint32_t last) {
    seen *s = arg;
    assert_true(last >= first && last < HONE_UNICODE_END);
    s->count += last - first + 1;
    s->last = last;
}

static void test_categories(void **state) {
    (void)state;
    static const char *const all[] = {"C", "L", "M", "N", "P", "S", "Z"};
    seen s = {0, 0};
    for (int i = 0; i < COUNT(all); i++) assert_true(hone_unicode_category(all[i], 1, see, &s));
    assert_int_equal(s.count, HONE_UNICODE_END); /* each code point has one */
    s.count = 0;
    assert_true(hone_unicode_category("Zs", 2, see, &s));
    assert_int_equal(s.count, 17);
    assert_false(hone_unicode_category("Xx", 2, see, &s));
    assert_false(hone_unicode_category("", 0, see, &s));
    assert_false(hone_unicode_category("Lux", 3, see, &s));
}

static void test_case(void **state) {
    (void)state;
    assert_int_equal(hone_unicode_upper('q'), 'Q');
    assert_int_equal(hone_unicode_lower('Q'), 'q');
    assert_int_equal(hone_unicode_upper('['), '[');
    assert_int_equal(hone_unicode_upper(0xE9), 0xC9);
    assert_int_equal(hone_unicode_lower(0x416), 0x436);
    assert_int_equal(hone_unicode_fold(0x3C2), hone_unicode_fold(0x3A3)); /* both sigmas */
    assert_int_equal(hone_unicode_upper(0x65E5), 0x65E5);
    assert_int_equal(hone_unicode_upper(HONE_UNICODE_END + 0xE9), HONE_UNICODE_END + 0xE9);
}

/* --- ends --- */

typedef struct finder {
    hone_arena *arena;
    const hone_regex *r;
    void *scratch;
} finder;

static finder finder_make(const char *pattern) {
    finder f = {.arena = hone_arena_new()};
    assert_int_equal(hone_regex_compile(f.arena, pattern, strlen(pattern), &f.r, &err), HONE_OK);
    f.scratch = malloc(hone_regex_scratch(f.r));
    return f;
}

static void finder_free(finder *f) {
    free(f->scratch);
    hone_arena_free(f->arena);
}

/* Where the longest match from a byte on ends; -1: none begins there. */
static void test_ends(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text;
        int from, end;
    } found[] = {
        {"b+", "abbbcb", 0, -1},
        {"b+", "abbbcb", 1, 4},
        {"b+", "abbbcb", 2, 4},
        {"b+", "abbbcb", 6, -1},
        {"a|ab|bcd", "xabcd", 1, 3}, /* not the first alternative */
        {"bcd|abx", "abcd", 0, -1},
        {"bcd|abx", "abcd", 1, 4},
        {"(aab)*a", "aabaaaba", 0, 4},
        {"x*", "abc", 1, 1},
        {"x*", "abc", 3, 3},
        {"[\\w]+", "\xc3\xa9t\xc3\xa9 ab", 0, -1},
        {"[\\w]+", "\xc3\xa9t\xc3\xa9 ab", 2, 3},
        {".+", "\xc3\xa9t", 0, 3},
        {".*", "\xc3\xa9t", 1, -1}, /* inside of a character */
        {"\\bb", "ab b", 1, -1},    /* the a before is seen */
        {"\\bb", "ab b", 3, 4},
        {"^b", "ab", 1, -1},
        {"b$", "bab", 0, -1},
        {"b$", "bab", 2, 3},
        {"(?m)^b$", "a\nb\na", 2, 3},
        {"(^|\\b)*b", "ab b", 3, 4},
        {"", "", 0, 0},
        {"a",
         "\xff\xe2\x82"
         "a",
         3, 4},
        {".*", "\xe2\x82", 1, 1},
    };
    for (int i = 0; i < COUNT(found); i++) {
        finder f = finder_make(found[i].pattern);
        size_t ends[32], size = strlen(found[i].text);
        hone_regex_ends(f.r, found[i].text, size, f.scratch, ends);
        if (ends[found[i].from] != (found[i].end < 0 ? HONE_REGEX_NONE : (size_t)found[i].end))
            fail_msg("%s in %s: %zu", found[i].pattern, found[i].text, ends[found[i].from]);
        finder_free(&f);
    }
}

/* They are those of the longest parts that match as a whole. */
static void test_ends_of_all(void **state) {
    (void)state;
    static const char *const patterns[] = {
        "a*",          "(a|b)*c",       "(a*)*b",    "((a+)+b?)+",  "a|a.*b",    "(a|aa)+b",
        "((a*b?)*c)*", "(((a*)*b)*c)*", "(a?){3}bc", "(a+(b*)+)+c", "(|a|bc?)+", "[^a]{2,3}(a|\xc3\xa9)?"};
    static const char *const letters[] = {"a", "b", "c", "\xc3\xa9", "\xc3", "\xa9", "\n"};
    hone_rng rng = hone_rng_make(4, 0);
    for (int i = 0; i < COUNT(patterns); i++) {
        finder f = finder_make(patterns[i]);
        for (int round = 0; round < 40; round++) {
            char text[40] = "";
            size_t ends[40];
            for (int k = 0; k < 12; k++)
                strcat(text, letters[hone_rng_below(&rng, round % 2 ? 3 : COUNT(letters))]);
            const size_t size = strlen(text);
            hone_regex_ends(f.r, text, size, f.scratch, ends);
            for (const char *at = text; at < text + size; hone_utf8_decode(&at, text + size)) {
                size_t from = (size_t)(at - text), longest = HONE_REGEX_NONE;
                for (size_t to = from; to <= size; to++)
                    if (hone_regex_full_match(f.r, at, to - from, f.scratch)) longest = to;
                if (ends[from] != longest) fail_msg("%s in %s from %zu", patterns[i], text, from);
            }
        }
        finder_free(&f);
    }
}

/* Looking on for what may be longer costs no second look at the text from each match. */
static void test_time_of_ends(void **state) {
    (void)state;
    enum { LONG = 300000 };
    finder f = finder_make("a|a.*b");
    char *text = malloc(LONG);
    size_t *ends = malloc((LONG + 1) * sizeof *ends);
    memset(text, 'a', LONG);
    hone_regex_ends(f.r, text, LONG, f.scratch, ends);
    for (size_t i = 0; i < LONG; i++) assert_int_equal(ends[i], i + 1);
    text[LONG - 1] = 'b';
    hone_regex_ends(f.r, text, LONG, f.scratch, ends);
    for (size_t i = 0; i < LONG - 1; i++) assert_int_equal(ends[i], LONG);
    free(text);
    free(ends);
    finder_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),         cmocka_unit_test(test_ends_of_all),
        cmocka_unit_test(test_time_of_ends), cmocka_unit_test(test_matches),
        cmocka_unit_test(test_bytes),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_time),         cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_categories),   cmocka_unit_test(test_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
