#include "serve/openai/calls.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    json_t *tools;
    hone_ask ask;
    hone_language language;
    hone_calls calls;
    hone_buffer text;
} fixture;

static void begin(fixture *f, hone_tool_form form) {
    *f = (fixture){.language = {.tool_form = form}};
    f->tools =
        json_loads("[{\"type\": \"function\", \"function\": {\"name\": \"f\"}}, {\"type\": \"function\", "
                   "\"function\": {\"name\": \"g\"}}]",
                   0, NULL);
    f->ask = (hone_ask){.tools = f->tools, .tool_choice = HONE_TOOLS_AUTO, .several_calls = true};
    hone_calls_open(&f->calls, &f->language, &f->ask);
}

static void end(fixture *f) {
    hone_calls_close(&f->calls);
    hone_buffer_free(&f->text);
    json_decref(f->tools);
}

/* All of it in pieces of `step` bytes. */
static void say(fixture *f, const char *said, size_t step) {
    size_t size = strlen(said);
    for (size_t at = 0; at < size; at += step)
        hone_calls_feed(&f->calls, said + at, size - at < step ? size - at : step, &f->text);
    hone_calls_finish(&f->calls, &f->text);
    hone_buffer_byte(&f->text, 0);
}

/* What is said becomes `text` and calls: "f({})g({})". However it is cut into pieces. */
static void check(hone_tool_form form, const char *said, const char *text, const char *calls) {
    for (size_t step = 1; step <= strlen(said); step++) {
        fixture f;
        char found[512] = "";
        begin(&f, form);
        say(&f, said, step);
        for (size_t i = 0; i < f.calls.count; i++)
            snprintf(found + strlen(found), sizeof found - strlen(found), "%s(%.*s)", f.calls.items[i].name,
                     (int)f.calls.items[i].arguments.size, f.calls.items[i].arguments.data);
        assert_string_equal(f.text.data, text);
        assert_string_equal(found, calls);
        end(&f);
    }
}

static void test_tagged(void **state) {
    (void)state;
    check(HONE_TOOLS_TAGGED,
          "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, \"x\"]}}\n</tool_call>", "",
          "f({\"a\":[1,\"x\"]})");
    check(HONE_TOOLS_TAGGED,
          "I "
          "ask.\n<tool_call>{\"name\":\"f\"}</tool_call>\n<tool_call>{\"name\":\"g\",\"arguments\":{}}</"
          "tool_call>\n",
          "I ask.", "f({})g({})");
    check(HONE_TOOLS_TAGGED, "a <tool_cal b < c ", "a <tool_cal b < c ", "");
    check(HONE_TOOLS_TAGGED, "x <tool_call>no JSON</tool_call> y", "x<tool_call>no JSON</tool_call> y", "");
    /* a text that ended before the tag did */
    check(HONE_TOOLS_TAGGED, "<tool_call>{\"name\": \"f\", \"arguments\": {}}", "", "f({})");
    check(HONE_TOOLS_TAGGED, "<tool_call>{\"name\": \"f\", \"argu", "<tool_call>{\"name\": \"f\", \"argu",
          "");
}

static void test_mistral(void **state) {
    (void)state;
    check(HONE_TOOLS_MISTRAL,
          "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"g\", \"arguments\": {}}]",
          "", "f({\"a\":1})g({})");
    check(HONE_TOOLS_MISTRAL, "[TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]g{}", "", "f({\"a\":1})g({})");
    check(HONE_TOOLS_MISTRAL, "Well [TOOL", "Well [TOOL", "");
    check(HONE_TOOLS_MISTRAL, "[TOOL_CALLS]nothing", "[TOOL_CALLS]nothing", "");
}

static void test_plain(void **state) {
    (void)state;
    static const hone_tool_form forms[] = {HONE_TOOLS_JSON, HONE_TOOLS_LLAMA};
    for (int i = 0; i < 2; i++) {
        check(forms[i], "{\"name\": \"f\", \"parameters\": {\"a\": 1}}", "", "f({\"a\":1})");
        check(forms[i], "{\"name\": \"f\", \"arguments\": {}}; {\"name\": \"g\", \"arguments\": {}}", "",
              "f({})g({})");
        check(forms[i], "[{\"name\": \"f\"}]", "", "f({})");
        check(forms[i], "Rome is {\"name\": \"f\"}", "Rome is {\"name\": \"f\"}", "");
        check(forms[i], "{\"name\": \"Rome\", \"arguments\": {}}", "{\"name\": \"Rome\", \"arguments\": {}}",
              "");
        check(forms[i], "{\"a\": 1}", "{\"a\": 1}", "");
        check(forms[i], "", "", "");
    }
    check(HONE_TOOLS_LLAMA, "<|python_tag|>{\"name\": \"f\", \"parameters\": {}}", "", "f({})");
}

static void test_one_is_enough(void **state) {
    (void)state;
    fixture f;
    begin(&f, HONE_TOOLS_TAGGED);
    f.ask.several_calls = false;
    say(&f, "<tool_call>{\"name\":\"f\"}</tool_call><tool_call>{\"name\":\"g\"}</tool_call>", 100);
    assert_true(f.calls.enough);
    assert_int_equal(f.calls.count, 1);
    end(&f);
}

/* The arguments of a function that is named come as they are made. */
static void test_named(void **state) {
    (void)state;
    fixture f;
    begin(&f, HONE_TOOLS_TAGGED);
    f.ask.tool_choice = HONE_TOOLS_NAMED;
    f.ask.tool = "g";
    hone_calls_feed(&f.calls, "{\"a\"", 4, &f.text);
    assert_int_equal(f.calls.count, 1);
    assert_int_equal(f.calls.items[0].arguments.size, 4);
    hone_calls_feed(&f.calls, ": 1}", 4, &f.text);
    hone_calls_finish(&f.calls, &f.text);
    assert_memory_equal(f.calls.items[0].arguments.data, "{\"a\": 1}", 8);
    assert_int_equal(f.text.size, 0);
    end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tagged), cmocka_unit_test(test_mistral),
                                       cmocka_unit_test(test_plain), cmocka_unit_test(test_one_is_enough),
                                       cmocka_unit_test(test_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
