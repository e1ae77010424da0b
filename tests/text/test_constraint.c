/* Texts held to JSON schemas. Texts of many schemas are drawn and checked in peer_json_schemas.py. */
#include <hone/text.h>

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S(text)                                                                                              \
    { text, sizeof text - 1 }

/* Bytes, and some pieces of JSON. */
static hone_tokenizer *pieces(void) {
    static char names[256][8];
    static const hone_text_slice more[] = {S("{\""), S("\":"),  S("\"}"), S("true"),
                                           S("abc"), S("a\","), S("</s>")};
    static hone_text_slice tokens[263];
    static int32_t types[263];
    hone_vocabulary_source s = HONE_VOCABULARY_SOURCE_INIT;
    hone_tokenizer *t = NULL;
    hone_error err = {0};
    for (int b = 0; b < 263; b++) {
        if (b < 256) snprintf(names[b], sizeof names[b], "<0x%02X>", b);
        tokens[b] = b < 256 ? (hone_text_slice){names[b], 6} : more[b - 256];
        types[b] = b < 256 ? HONE_TOKEN_BYTE : b == 262 ? HONE_TOKEN_CONTROL : HONE_TOKEN_NORMAL;
    }
    s.model = "llama";
    s.tokens = tokens;
    s.types = types;
    s.token_count = 263;
    if (hone_tokenizer_from_vocabulary(&s, &t, &err) != HONE_OK) fail_msg("%s", err.message);
    return t;
}

static bool is_in(const uint32_t *mask, int id) {
    return mask[id / 32] >> id % 32 & 1;
}

/* Says `text` byte by byte and gives what may come behind it. */
static hone_status behind(const hone_tokenizer *t, const char *schema, const char *text, const char *tried,
                          bool *may, bool *may_end, hone_error *err) {
    hone_grammar *g = NULL;
    hone_token_trie *trie = NULL;
    hone_constraint *c = NULL;
    const uint32_t *mask;
    hone_status status = hone_grammar_from_schema(schema, strlen(schema), &g, err);
    if (status == HONE_OK) status = hone_token_trie_new(t, &trie, err);
    if (status == HONE_OK) status = hone_constraint_new(g, trie, &c, err);
    for (; *text && status == HONE_OK; text++) status = hone_constraint_accept(c, (unsigned char)*text, err);
    if (status == HONE_OK) status = hone_constraint_mask(c, &mask, may_end, err);
    int id = tried && status == HONE_OK ? hone_tokenizer_find(t, tried, strlen(tried)) : -1;
    if (status == HONE_OK && tried) *may = is_in(mask, id);
    if (status == HONE_OK) assert_false(is_in(mask, 262)); /* never a control token */
    hone_constraint_free(c);
    hone_token_trie_free(trie);
    hone_grammar_free(g);
    return status;
}

#define SCHEMA                                                                                               \
    "{\"type\": \"object\", \"properties\": {\"abc\": {\"type\": \"boolean\"}, \"n\": {\"maxLength\": 3}},"  \
    "\"required\": [\"abc\"]}"

static void test_masks(void **state) {
    (void)state;
    static const struct {
        const char *said, *token;
        bool may, may_end;
    } rows[] = {{"", "{\"", true, false},
                {"", "\":", false, false},
                {"{", "\":", false, false},
                {"{\"", "abc", true, false},
                {"{\"", "true", false, false},
                {"{\"abc", "\":", true, false},
                {"{\"abc\":", "true", true, false},
                {"{\"abc\":", "abc", false, false},
                {"{\"abc\":true", "\"}", false, false},
                {"{\"abc\":true}", "abc", false, true},
                {"{\"abc\":true,\"n\":\"", "abc", true, false},
                {"{\"abc\":true,\"n\":\"a", "abc", false, false},
                {"{\"abc\":true,\"n\":\"ab", "\"}", true, false},
                {"{\"abc\":true,\"n\":\"ab", "a\",", false, false}};
    hone_tokenizer *t = pieces();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool may = false, may_end = false;
        hone_error err = {0};
        if (behind(t, SCHEMA, rows[i].said, rows[i].token, &may, &may_end, &err) != HONE_OK)
            fail_msg("%s", err.message);
        if (may != rows[i].may || may_end != rows[i].may_end) fail_msg("row %zu: %d %d", i, may, may_end);
    }
    hone_tokenizer_free(t);
}

static void test_refused(void **state) {
    (void)state;
    hone_tokenizer *t = pieces();
    hone_error err = {0};
    bool may_end;
    assert_int_equal(behind(t, SCHEMA, "{\"x", NULL, NULL, &may_end, &err), HONE_INVALID_ARGUMENT);
    assert_string_equal(err.message, "token 120 may not come here");
    assert_int_equal(behind(t, "{\"items\": {\"not\": {}}}", "", NULL, NULL, &may_end, &err),
                     HONE_UNSUPPORTED);
    assert_string_equal(err.message, "JSON schema, at '/items/not': \"not\" is not supported");
    assert_int_equal(behind(t, "{", "", NULL, NULL, &may_end, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(
        behind(t, "{\"minItems\": 1000, \"items\": {\"minItems\": 1000}}", "", NULL, NULL, &may_end, &err),
        HONE_RESOURCE_EXHAUSTED);
    /* texts that would never end: none is begun */
    static const char *const endless[] = {
        "{\"anyOf\": [{\"$ref\": \"#\"}]}", "{\"allOf\": [{\"$ref\": \"#\"}]}",
        "{\"properties\": {\"a\": {\"$ref\": \"#\"}}, \"required\": [\"a\"]}",
        "{\"type\": \"array\", \"items\": {\"$ref\": \"#\"}, \"minItems\": 1}"};
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        assert_int_equal(behind(t, endless[i], "", NULL, NULL, &may_end, &err), HONE_INVALID_ARGUMENT);
        assert_string_equal(err.message, "JSON schema, at '': its texts would never end");
    }
    hone_tokenizer_free(t);
    static const char words[] = "{\"pre_tokenizer\": {\"type\": \"WhitespaceSplit\"}, \"model\": {\"type\": "
                                "\"WordLevel\", \"vocab\": {\"a\": 0}}}";
    assert_int_equal(hone_tokenizer_parse(words, strlen(words), &t, &err), HONE_OK);
    assert_int_equal(behind(t, "{}", "", NULL, NULL, &may_end, &err), HONE_UNSUPPORTED);
    hone_tokenizer_free(t);
}

/* What leads to no end may not come. */
static void test_ways(void **state) {
    (void)state;
    hone_error err = {0};
    bool may = true, may_end = true;
    hone_tokenizer *t = pieces();
    static const char schema[] = "{\"properties\": {\"a\": {\"anyOf\": [{\"$ref\": \"#/properties/a\"}]}}}";
    assert_int_equal(behind(t, schema, "{", "<0x22>", &may, &may_end, &err), HONE_OK);
    assert_false(may || may_end);
    assert_int_equal(behind(t, schema, "{", "<0x7D>", &may, &may_end, &err), HONE_OK);
    assert_true(may);
    hone_tokenizer_free(t);
}

/* Wide limits of integers take no more room than narrow ones. */
static void test_wide(void **state) {
    (void)state;
    hone_error err = {0};
    bool may = false, may_end = false;
    hone_tokenizer *t = pieces();
    static const char schema[] =
        "{\"type\": \"integer\", \"minimum\": -1e15, \"maximum\": 9223372036854775807}";
    assert_int_equal(behind(t, schema, "-10", "<0x30>", &may, &may_end, &err), HONE_OK);
    assert_true(may && may_end);
    hone_tokenizer_free(t);
}

/* Deep values end, whatever is tried; the automaton forgets what it kept and goes on. */
static void test_deep(void **state) {
    (void)state;
    char text[400];
    hone_error err = {0};
    bool may = false, may_end = false;
    hone_tokenizer *t = pieces();
    memset(text, '[', sizeof text);
    text[100] = 0;
    assert_int_equal(behind(t, "{}", text, "true", &may, &may_end, &err), HONE_OK);
    assert_true(may && !may_end);
    memset(text, '[', sizeof text);
    text[399] = 0;
    assert_int_equal(behind(t, "{}", text, "true", &may, &may_end, &err), HONE_INVALID_ARGUMENT);
    hone_tokenizer_free(t);
}

static void test_memory(void **state) {
    (void)state;
    hone_tokenizer *t = pieces();
    for (uint64_t n = 1;; n++) {
        hone_error err = {0};
        bool may, may_end;
        hone_alloc_fail_at(n, false);
        hone_status status = behind(t, SCHEMA, "{\"abc\":true", "true", &may, &may_end, &err);
        hone_alloc_fail_at(0, false);
        if (status == HONE_OK) break;
        assert_int_equal(status, HONE_OUT_OF_MEMORY);
    }
    hone_tokenizer_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_masks), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_ways),  cmocka_unit_test(test_wide),
                                       cmocka_unit_test(test_deep),  cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
