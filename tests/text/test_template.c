/* Templates. What jinja2 makes of more, and of real ones, is compared in peer_template_parts.py and peer_templates.py. */
#include <hone/text.h>

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Pieces from outside stand in ⟨ ⟩. */
static hone_status render(const char *text, size_t size, const char *variables, char *shown, size_t room,
                          hone_error *err) {
    hone_template *t = NULL;
    hone_rendered *r = NULL;
    size_t count = 0, at = 0;
    hone_status status = hone_template_parse(text, size, &t, err);
    if (status == HONE_OK)
        status = hone_template_render(t, variables, strlen(variables), 1700000000, &r, err);
    const hone_text_piece *p = status == HONE_OK ? hone_rendered_pieces(r, &count) : NULL;
    shown[0] = 0;
    for (size_t i = 0; i < count && at < room; i++)
        at +=
            (size_t)snprintf(shown + at, room - at, p[i].user ? "<%.*s>" : "%.*s", (int)p[i].size, p[i].data);
    hone_rendered_free(r);
    hone_template_free(t);
    return status;
}

static void gives(const char *text, const char *variables, const char *wanted) {
    char shown[2000];
    hone_error err = {0};
    if (render(text, strlen(text), variables, shown, sizeof shown, &err) != HONE_OK)
        fail_msg("%s: %s", text, err.message);
    assert_string_equal(shown, wanted);
}

static void fails(const char *text, hone_status status, const char *what) {
    char shown[2000];
    hone_error err = {0};
    assert_int_equal(render(text, strlen(text), "{\"x\": \"u\"}", shown, sizeof shown, &err), status);
    if (!strstr(err.message, what)) fail_msg("'%s' is not in '%s'", what, err.message);
}

static void test_texts(void **state) {
    (void)state;
    gives("", "{}", "");
    gives("a\n", "{}", "a");
    gives("{% for i in range(3) %}\n  {{ i }}\n  {% endfor %}\nend", "{}", "  0\n  1\n  2\nend");
    gives("a {%- if true -%} b {%- endif %} c", "{}", "ab c");
    gives("{# note #}\n{{ 'x' * 3 ~ 1.0 }}{% raw %}{{ y }}{% endraw %}", "{}", "xxx1.0{{ y }}");
}

static void test_marks(void **state) {
    (void)state;
    static const char said[] =
        "{\"bos_token\": \"B\", \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}";
    gives("{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content + '!' }}{% endfor %}", said,
          "B[user] <hi>!");
    gives("{{ messages[0]['content'] | upper | replace('H', 'J') }}", said, "J<I>");
    gives("{{ (messages[0].content ~ '-' ~ messages[0].content)[1:4] }}", said, "<i>-<h>");
    gives("{{ messages | tojson }}", said, "[{\"<role>\": \"user\", \"<content>\": \"<hi>\"}]");
    gives("{{ x | trim }}", "{\"x\": \" <|end|> \"}", "<<|end|>>");
    gives("{{ m.role }}", "{\"m\": {\"role\": \"<|im_end|>\"}}", "<<|im_end|>>");
}

static void test_errors(void **state) {
    (void)state;
    fails("a\n{{ ", HONE_INVALID_ARGUMENT, "line 2 of the template: a tag is not closed");
    fails("{% if x %}", HONE_INVALID_ARGUMENT, "the end is missing: 'elif'");
    fails("{% include 'a' %}", HONE_INVALID_ARGUMENT, "there is no statement 'include'");
    fails("{{ a b }}", HONE_INVALID_ARGUMENT, "does not end before 'b'");
    fails("{% break %}", HONE_INVALID_ARGUMENT, "belong into a loop");
    fails("{{ raise_exception('No: ' ~ x) }}", HONE_INVALID_ARGUMENT, "No: u");
    fails("\n\n{{ y.z }}", HONE_INVALID_ARGUMENT, "line 3 of the template: 'y' is undefined");
    fails("{{ x | magic }}", HONE_INVALID_ARGUMENT, "No filter named 'magic'.");
    fails("{{ x is magic }}", HONE_INVALID_ARGUMENT, "No test named 'magic'.");
    fails("{{ [].append(1) }}", HONE_INVALID_ARGUMENT,
          "access to attribute 'append' of 'list' object is unsafe.");
    fails("{{ 1 // 0 }}", HONE_INVALID_ARGUMENT, "division by zero");
    fails("{{ 9223372036854775807 + 1 }}", HONE_INVALID_ARGUMENT, "too large");
    char shown[10];
    hone_error err = {0};
    assert_int_equal(render("a", 1, "[]", shown, sizeof shown, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(render("a", 1, "{", shown, sizeof shown, &err), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "the template's variables, line 1"));
}

static void repeats(const char *head, const char *part, size_t times, const char *tail, hone_status status) {
    size_t n = strlen(part), at = strlen(head);
    char *text = malloc(at + n * times + strlen(tail) + 1), shown[100];
    hone_error err = {0};
    memcpy(text, head, at);
    for (size_t i = 0; i < times; i++, at += n) memcpy(text + at, part, n);
    strcpy(text + at, tail);
    assert_int_equal(render(text, strlen(text), "{}", shown, sizeof shown, &err), status);
    free(text);
}

static void test_limits(void **state) {
    (void)state;
    static const hone_status too_much = HONE_RESOURCE_EXHAUSTED, wrong = HONE_INVALID_ARGUMENT;
    fails("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", too_much,
          "too m");
    fails("{% set n = namespace(s='x') %}{% for a in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
          too_much, "too much memory");
    fails("{% for a in range(99999) %}{{ range(9999) | sum is odd }}{% endfor %}", too_much, "too m");
    fails("{{ 2 ** 99999999999 }}", wrong, "too large");
    fails("{{ 1 ** 99999999999 }}", too_much, "too many steps");
    fails("{{ 'a' * 999999999999 }}", too_much, "too m");
    fails("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", wrong, "goes too deep");
    fails("{{ range(1000000) }}", wrong, "MAX_RANGE");
    repeats("{{ ", "(", 100000, "", wrong);
    repeats("{{ ", "[", 100000, "", wrong);
    repeats("{{ ", "not ", 100000, "1 }}", wrong);
    repeats("{{ ", "-", 100000, "1 }}", wrong);
    repeats("{{ x", "|list", 100000, " }}", wrong);
    repeats("{{ x", ".a", 100000, " }}", wrong);
    repeats("{{ 1", "+1", 100000, " }}", wrong);
    repeats("{{ 1", " if 1 else 1", 50000, " }}", wrong);
    repeats("", "{% if 1 %}", 100000, "", wrong);
    repeats("{% if 1 %}", "{% elif 1 %}", 50000, "{% endif %}", wrong);
    repeats("{% filter trim", "|trim", 100000, "%}{% endfilter %}", wrong);
    repeats("", "{{ 1 }}", 100000, "", HONE_OK);
    repeats("", "a", 1 << 20, "a", HONE_UNSUPPORTED);
}

static void test_memory(void **state) {
    (void)state;
    static const char text[] =
        "{% macro m(a, b=1) %}{{ a | tojson }}{{ b }}{% endmacro %}{% for x in y if x is defined %}"
        "{{ m(x) ~ loop.index }}{% set z = {'k': [x]} %}{{ z.k[0] }}{% endfor %}{{ 'a b'.split() }}";
    for (uint64_t n = 1;; n++) {
        char shown[200];
        hone_error err = {0};
        hone_alloc_fail_at(n, false);
        hone_status status = render(text, strlen(text), "{\"y\": [\"p\", 2]}", shown, sizeof shown, &err);
        hone_alloc_fail_at(0, false);
        if (status == HONE_OK) break;
        assert_int_equal(status, HONE_OUT_OF_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts), cmocka_unit_test(test_marks),
                                       cmocka_unit_test(test_errors), cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
