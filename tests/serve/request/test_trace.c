#include "serve/request/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ID "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static hone_slice text(const char *s) {
    return (hone_slice){s, strlen(s)};
}

static void keeps_what_is_valid(void **state) {
    (void)state;
    static const char *const good[] = {
        "00-" ID "-" SPAN "-01", "00-" ID "-" SPAN "-ff",      "00-" ID "-" SPAN "-03",
        "01-" ID "-" SPAN "-01", "fe-" ID "-" SPAN "-01-more", "cc-" ID "-" SPAN "-01-",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        hone_trace t = {0};
        if (!hone_trace_parse(text(good[i]), &t)) fail_msg("refused: %s", good[i]);
        assert_string_equal(t.id, ID);
        assert_string_equal(t.parent, SPAN);
        assert_true(t.sampled);
    }
    hone_trace t;
    assert_true(hone_trace_parse(text("00-" ID "-" SPAN "-02"), &t));
    assert_false(t.sampled);
}

static void ignores_what_is_malformed(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "00",
        "00-" ID "-" SPAN "-0",
        "00-" ID "-" SPAN "-011",
        "00-" ID "-" SPAN "-01-more",
        "01-" ID "-" SPAN "-01more",
        "ff-" ID "-" SPAN "-01",
        "0g-" ID "-" SPAN "-01",
        "00-" ID "-" SPAN "-0g",
        "00-" ID "-" SPAN "-0A",
        "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01",
        "00-" ID "-B7AD6B7169203331-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" ID "-0000000000000000-01",
        "00_" ID "-" SPAN "-01",
        "00-" ID "_" SPAN "-01",
        "00-" ID "-" SPAN "_01",
        " 0-" ID "-" SPAN "-01",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hone_trace t;
        if (hone_trace_parse(text(bad[i]), &t)) fail_msg("taken: %s", bad[i]);
    }
}

static hone_head head_of(const char *const fields[][2], size_t count) {
    hone_head h = {.field_count = count};
    for (size_t i = 0; i < count; i++) h.fields[i] = (hone_field){text(fields[i][0]), text(fields[i][1])};
    return h;
}

static void answers_with_its_own_span(void **state) {
    (void)state;
    const char *const fields[][2] = {
        {"host", "x"}, {"TraceParent", "00-" ID "-" SPAN "-03"}, {"tracestate", "a=1"}};
    hone_head h = head_of(fields, 3);
    hone_trace a, b;
    char out[HONE_TRACEPARENT_SIZE], expected[HONE_TRACEPARENT_SIZE] = "00-" ID "-";
    assert_true(hone_trace_of(&h, &a));
    assert_true(hone_trace_of(&h, &b));
    assert_string_not_equal(a.span, b.span);
    assert_int_equal(strspn(a.span, "0123456789abcdef"), 16);
    assert_string_not_equal(a.span, SPAN);
    hone_trace_write(&a, out);
    strcat(strcat(expected, a.span), "-01"); /* flags that level 1 does not know are cleared */
    assert_string_equal(out, expected);
    assert_true(hone_trace_parse(text(out), &b));
}

static void takes_one_parent_only(void **state) {
    (void)state;
    const char *const twice[][2] = {{"traceparent", "00-" ID "-" SPAN "-01"},
                                    {"traceparent", "00-" ID "-" SPAN "-01"}};
    hone_trace t;
    hone_head h = head_of(twice, 2), none = {0};
    assert_false(hone_trace_of(&h, &t));
    assert_string_equal(t.id, "");
    assert_false(hone_trace_of(&none, &t));
    h = head_of(twice, 1);
    assert_true(hone_trace_of(&h, &t));
}

static void keeps_state_as_it_is(void **state) {
    (void)state;
    static char most[HONE_TRACESTATE_MOST + 1], more[HONE_TRACESTATE_MOST + 2];
    char out[HONE_TRACESTATE_MOST + 1];
    memset(most, 'x', sizeof most - 1);
    memset(more, 'x', sizeof more - 1);
    const char *const two[][2] = {
        {"tracestate", "a=1, b=2"}, {"host", "x"}, {"tracestate", ""}, {"Tracestate", "c=3"}};
    const char *const full[][2] = {{"tracestate", most}, {"tracestate", "y"}}, *const long_one[][2] = {
                                                                                   {"tracestate", more}};
    hone_head h = head_of(two, 4), none = {0};
    assert_true(hone_trace_state(&h, out));
    assert_string_equal(out, "a=1, b=2,c=3");
    assert_false(hone_trace_state(&none, out));
    h = head_of(full, 1);
    assert_true(hone_trace_state(&h, out));
    assert_string_equal(out, most);
    h = head_of(full, 2);
    assert_false(hone_trace_state(&h, out));
    h = head_of(long_one, 1);
    assert_false(hone_trace_state(&h, out));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_is_valid),       cmocka_unit_test(ignores_what_is_malformed),
        cmocka_unit_test(answers_with_its_own_span), cmocka_unit_test(takes_one_parent_only),
        cmocka_unit_test(keeps_state_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
