#include "serve/openai/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    hone_ask ask;
    hone_language language;
    hone_fault fault;
    json_t *variables;
} fixture;

static void make(fixture *f, const char *body, bool shows_tools) {
    *f = (fixture){.language = {.begins = "<s>", .ends_as = "</s>", .shows_tools = shows_tools}};
    json_t *root = json_loads(body, 0, NULL);
    assert_non_null(root);
    if (!hone_ask_read(&f->ask, true, root, &f->fault)) fail_msg("%s", f->fault.message);
    f->variables = hone_messages_variables(&f->language, &f->ask, &f->fault);
}

static void end(fixture *f) {
    json_decref(f->variables);
    hone_ask_free(&f->ask);
}

/* Messages as templates get them. */
static void check(const char *messages, const char *wanted) {
    char body[2048];
    fixture f;
    snprintf(body, sizeof body, "{\"model\": \"m\", \"messages\": %s}", messages);
    make(&f, body, true);
    if (!f.variables) fail_msg("%s", f.fault.message);
    char *text = json_dumps(json_object_get(f.variables, "messages"), JSON_COMPACT);
    assert_string_equal(text, wanted);
    free(text);
    end(&f);
}

static void refuse(const char *messages, const char *param) {
    char body[2048];
    fixture f;
    snprintf(body, sizeof body, "{\"model\": \"m\", \"messages\": %s}", messages);
    make(&f, body, true);
    assert_null(f.variables);
    assert_int_equal(f.fault.status, 400);
    assert_string_equal(f.fault.param, param);
    end(&f);
}

static void test_messages(void **state) {
    (void)state;
    check("[{\"role\": \"developer\", \"content\": \"be\"}, {\"role\": \"user\", \"content\": \"hi\", "
          "\"name\": \"x\"}]",
          "[{\"role\":\"system\",\"content\":\"be\"},{\"role\":\"user\",\"content\":\"hi\",\"name\":\"x\"}]");
    check(
        "[{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"a\"}, {\"type\": \"refusal\", "
        "\"refusal\": \"b\"}]}]",
        "[{\"role\":\"user\",\"content\":\"ab\"}]");
    /* calls that were made: templates write their arguments themselves */
    check("[{\"role\": \"assistant\", \"tool_calls\": [{\"id\": \"1\", \"type\": \"function\", \"function\": "
          "{\"name\": "
          "\"f\", \"arguments\": \"{\\\"a\\\": 1}\"}}]}]",
          "[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{"
          "\"name\":\"f\","
          "\"arguments\":{\"a\":1}}}],\"content\":null}]");
    check("[{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"function\": {\"arguments\": "
          "\"no JSON\"}}]}]",
          "[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"function\":{\"arguments\":\"no "
          "JSON\"}}]}]");
}

static void test_refused(void **state) {
    (void)state;
    refuse("[{\"role\": \"user\", \"content\": \"a\"}, {\"content\": \"b\"}]", "messages[1]");
    refuse("[{\"role\": \"user\", \"content\": 1}]", "messages[0]");
    refuse("[{\"role\": \"user\"}]", "messages[0]");
    refuse("[{\"role\": \"tool\", \"content\": null}]", "messages[0]");
    refuse("[{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"a\"}, {\"type\": "
           "\"image_url\"}]}]",
           "messages[0].content[1]");
}

#define TOOLS                                                                                                \
    "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"type\": "       \
    "\"object\"}}}]"

/* A template that speaks of tools gets them; for another they are said in the first message. */
static void test_tools(void **state) {
    (void)state;
    fixture f;
    make(&f, "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"a\"}], " TOOLS "}", true);
    assert_int_equal(json_array_size(json_object_get(f.variables, "tools")), 1);
    assert_int_equal(json_array_size(json_object_get(f.variables, "messages")), 1);
    assert_string_equal(json_string_value(json_object_get(f.variables, "eos_token")), "</s>");
    end(&f);
    make(&f, "{\"model\": \"m\", \"messages\": [{\"role\": \"system\", \"content\": \"be\"}], " TOOLS "}",
         false);
    assert_null(json_object_get(f.variables, "tools"));
    const json_t *first = json_array_get(json_object_get(f.variables, "messages"), 0);
    const char *text = json_string_value(json_object_get(first, "content"));
    assert_memory_equal(text, "be\n\n", 4);
    assert_non_null(strstr(text, "{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}\n"));
    assert_non_null(strstr(text, "<tool_call>"));
    end(&f);
    make(&f,
         "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"a\"}], " TOOLS
         ", \"tool_choice\": \"none\"}",
         false);
    assert_int_equal(json_array_size(json_object_get(f.variables, "messages")), 1);
    end(&f);
}

/* Calls that were made are said as the model was told to make them, where the template leaves them out. */
static void test_calls_made(void **state) {
    (void)state;
    fixture f;
    static const char *const contents[] = {"null", "\"\"", "\"so\""}, *const said[] = {"", "", "so\n"};
    for (int i = 0; i < 3; i++) {
        char body[1024], wanted[200];
        snprintf(
            body, sizeof body,
            "{\"model\": \"m\", \"messages\": [{\"role\": \"assistant\", \"content\": %s, \"tool_calls\": "
            "[{\"id\": \"1\", \"type\": \"function\", \"function\": {\"name\": \"f\", \"arguments\": "
            "\"{\\\"a\\\": 1}\"}}]}]}",
            contents[i]);
        make(&f, body, false);
        if (!f.variables) fail_msg("%s", f.fault.message);
        snprintf(wanted, sizeof wanted,
                 "%s<tool_call>\n{\"name\":\"f\",\"arguments\":{\"a\":1}}\n</tool_call>", said[i]);
        const json_t *first = json_array_get(json_object_get(f.variables, "messages"), 0);
        assert_string_equal(json_string_value(json_object_get(first, "content")), wanted);
        end(&f);
    }
    make(&f, "{\"model\": \"m\", \"messages\": [{\"role\": \"assistant\"}]}", false);
    const json_t *first = json_array_get(json_object_get(f.variables, "messages"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "content")), "");
    end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_messages), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_tools), cmocka_unit_test(test_calls_made)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
