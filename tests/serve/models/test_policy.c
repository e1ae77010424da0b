#include "base/memory.h"
#include "serve/models/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef struct row {
    hone_version_policy kind;
    int64_t latest;
    const char *listed, *there, *wanted; /* digits: a version each */
} row;

static const row rows[] = {
    {HONE_POLICY_LATEST, 0, "", "", ""},
    {HONE_POLICY_LATEST, 0, "", "1", "1"},
    {HONE_POLICY_LATEST, 1, "", "123", "3"},
    {HONE_POLICY_LATEST, 2, "", "1379", "79"},
    {HONE_POLICY_LATEST, 9, "", "1379", "1379"},
    {HONE_POLICY_LATEST, INT32_MAX, "", "02", "02"},
    {HONE_POLICY_ALL, 0, "", "", ""},
    {HONE_POLICY_ALL, 1, "2", "1234", "1234"},
    {HONE_POLICY_SPECIFIC, 0, "", "123", ""},
    {HONE_POLICY_SPECIFIC, 1, "2", "123", "2"},
    {HONE_POLICY_SPECIFIC, 0, "319", "123", "13"},
    {HONE_POLICY_SPECIFIC, 0, "8", "123", ""},
};

static void chooses(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const row *r = &rows[i];
        hone_policy p = {.kind = r->kind, .latest = r->latest};
        int64_t there[16];
        bool wanted[16];
        size_t n = strlen(r->there);
        for (const char *c = r->listed; *c; c++) assert_true(hone_policy_add(&p, *c - '0'));
        for (size_t k = 0; k < n; k++) there[k] = r->there[k] - '0';
        hone_policy_choose(&p, there, n, wanted);
        for (size_t k = 0; k < n; k++)
            if (wanted[k] != (strchr(r->wanted, r->there[k]) != NULL))
                fail_msg("row %zu: version %c is%s wanted", i, r->there[k], wanted[k] ? "" : " not");
        hone_policy_free(&p);
    }
}

static void copies(void **state) {
    (void)state;
    hone_policy a = {.kind = HONE_POLICY_SPECIFIC, .latest = 3}, c;
    for (int i = 0; i < 20; i++) {
        assert_true(hone_policy_add(&a, i));
        assert_true(hone_policy_add(&a, i));
    }
    assert_int_equal(a.version_count, 20);
    assert_true(hone_policy_copy(&c, &a));
    assert_int_equal(c.kind, HONE_POLICY_SPECIFIC);
    assert_int_equal(c.latest, 3);
    assert_int_equal(c.version_count, 20);
    for (int i = 0; i < 20; i++) assert_int_equal(c.versions[i], i);
    assert_true(hone_policy_add(&c, 77));
    assert_int_equal(a.version_count, 20);
    hone_policy_free(&c);
    hone_alloc_fail_at(1, true);
    assert_false(hone_policy_copy(&c, &a));
    hone_alloc_fail_at(0, false);
    assert_int_equal(c.version_count, 0);
    hone_policy_free(&a);
}

static void parses_versions(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t version; /* -1: none */
    } cases[] = {{"0", 0},   {"1", 1},    {"007", 7},  {"9223372036854775807", INT64_MAX},
                 {"", -1},   {"-1", -1},  {"+1", -1},  {"9223372036854775808", -1},
                 {" 1", -1}, {"1 ", -1},  {"1.0", -1}, {"99999999999999999999", -1},
                 {"x", -1},  {"0x1", -1}, {"1\n", -1}, {"..", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t version = -1;
        bool fine = hone_version_parse(cases[i].text, strlen(cases[i].text), &version);
        if (fine != (cases[i].version >= 0) || version != cases[i].version)
            fail_msg("\"%s\" is version %lld", cases[i].text, (long long)version);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(chooses), cmocka_unit_test(copies),
                                       cmocka_unit_test(parses_versions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
