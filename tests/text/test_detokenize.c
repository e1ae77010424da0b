/* Ids in pieces of texts, and texts of ids that come one by one. */
#include <hone/text.h>

#include "base/memory.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S(text)                                                                                              \
    { text, sizeof text - 1 }
#define COUNT(a) (sizeof(a) / sizeof *(a))

static hone_tokenizer *bytes_by_name(void) {
    static char names[256][8];
    static hone_text_slice tokens[260];
    static int32_t types[260];
    hone_vocabulary_source s = HONE_VOCABULARY_SOURCE_INIT;
    hone_tokenizer *t = NULL;
    hone_error err = {0};
    for (int b = 0; b < 256; b++) {
        snprintf(names[b], sizeof names[b], "<0x%02X>", b);
        tokens[b] = (hone_text_slice){names[b], 6};
        types[b] = HONE_TOKEN_BYTE;
    }
    tokens[256] = (hone_text_slice)S("a");
    tokens[257] = (hone_text_slice)S("\xe2\x96\x81");
    tokens[258] = (hone_text_slice)S("\xe2\x96\x81"
                                     "a");
    tokens[259] = (hone_text_slice)S("</s>");
    types[256] = types[257] = types[258] = HONE_TOKEN_NORMAL;
    types[259] = HONE_TOKEN_CONTROL;
    s.model = "llama";
    s.tokens = tokens;
    s.types = types;
    s.token_count = 260;
    if (hone_tokenizer_from_vocabulary(&s, &t, &err) != HONE_OK) fail_msg("%s", err.message);
    return t;
}

static hone_tokenizer *trained(void) {
    static const char text[] = "the cat sat on the mat, the cat ate the rat that sat on the mat";
    hone_tokenizer_trainer *trainer = NULL;
    hone_tokenizer *t = NULL;
    assert_int_equal(hone_tokenizer_trainer_new("bpe:280", &trainer, NULL), HONE_OK);
    assert_int_equal(hone_tokenizer_trainer_add(trainer, text, strlen(text), NULL), HONE_OK);
    assert_int_equal(hone_tokenizer_trainer_finish(trainer, &t, NULL), HONE_OK);
    hone_tokenizer_trainer_free(trainer);
    return t;
}

/* Everything that is said is UTF-8, and together it is `wanted`. */
static hone_status stream(const hone_tokenizer *t, const int32_t *ids, size_t count, char *said,
                          hone_error *err) {
    hone_detokenizer *d = NULL;
    const char *text;
    size_t size, at = 0;
    hone_status status = hone_detokenizer_new(t, true, &d, err);
    for (size_t i = 0; i <= count && status == HONE_OK; i++) {
        status = i < count ? hone_detokenizer_feed(d, ids[i], &text, &size, err)
                           : hone_detokenizer_finish(d, &text, &size, err);
        if (status != HONE_OK) break;
        assert_true(hone_utf8_is_valid(text, size));
        memcpy(said + at, text, size + 1);
        at += size;
    }
    hone_detokenizer_free(d);
    return status;
}

static void streams(const hone_tokenizer *t, const int32_t *ids, size_t count, const char *wanted) {
    char said[4000] = "";
    hone_error err = {0};
    if (stream(t, ids, count, said, &err) != HONE_OK) fail_msg("%s", err.message);
    assert_string_equal(said, wanted);
}

static void test_bytes_by_name(void **state) {
    (void)state;
    hone_tokenizer *t = bytes_by_name();
    static const int32_t ids[] = {258, 257, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98, 0x80, 0xC3, 0xA4, 258, 259};
    streams(t, ids, COUNT(ids), "a \xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa4 a</s>");
    static const int32_t cut[] = {256, 0xE2, 0x82};
    streams(t, cut, COUNT(cut), "a\xef\xbf\xbd\xef\xbf\xbd");
    static const int32_t wrong[] = {0xFF, 256};
    streams(t, wrong, COUNT(wrong),
            "\xef\xbf\xbd"
            "a");
    int32_t many[300];
    char text[1000] = "";
    for (size_t i = 0; i < 300; i++) {
        many[i] = i % 3 ? 258 : 0xFF;
        strcat(text, i % 3 ? " a" : "\xef\xbf\xbd");
    }
    streams(t, many, COUNT(many), text);
    hone_tokenizer_free(t);
}

static void test_bytes(void **state) {
    (void)state;
    static const char text[] =
        "the cat \xe2\x82\xac\xf0\x9f\x98\x80 sat on the mat, the cat ate the rat that sat";
    hone_tokenizer *t = trained();
    hone_encoder *e = NULL;
    const int32_t *ids;
    size_t count;
    assert_int_equal(hone_encoder_new(t, &e, NULL), HONE_OK);
    assert_int_equal(hone_encoder_encode(e, text, strlen(text), 0, &ids, &count, NULL), HONE_OK);
    streams(t, ids, count, text);
    /* as in Hugging Face's: one for what begins a character */
    assert_int_equal(hone_encoder_encode(e, "a\xe2\x82", 3, 0, &ids, &count, NULL), HONE_OK);
    streams(t, ids, count, "a\xef\xbf\xbd");
    assert_int_equal(hone_encoder_encode(e,
                                         "\xf0\x9f\x98\xf0\x9f"
                                         "a\x80",
                                         7, 0, &ids, &count, NULL),
                     HONE_OK);
    streams(t, ids, count,
            "\xef\xbf\xbd\xef\xbf\xbd"
            "a\xef\xbf\xbd");
    hone_encoder_free(e);
    hone_tokenizer_free(t);
}

static void gives(hone_encoder *e, const hone_text_piece *pieces, size_t count, size_t ends) {
    const int32_t *ids;
    size_t n, found = 0;
    assert_int_equal(hone_encoder_encode_pieces(e, pieces, count, 0, &ids, &n, NULL), HONE_OK);
    for (size_t i = 0; i < n; i++) found += ids[i] == 1; /* </s> */
    assert_int_equal(found, ends);
}

static void test_pieces(void **state) {
    (void)state;
    hone_tokenizer *t = trained();
    hone_encoder *e = NULL;
    const int32_t *ids;
    size_t whole, parts;
    int32_t kept[64];
    assert_int_equal(hone_encoder_new(t, &e, NULL), HONE_OK);
    static const hone_text_piece one[] = {{"</s>the ", 8, false}, {"</s>", 4, true}, {"cat</s>", 7, false}};
    gives(e, one, 3, 2);
    static const hone_text_piece half[] = {{"</", 2, false}, {"s>", 2, true}},
                                 other[] = {{"</", 2, true}, {"s>", 2, false}};
    gives(e, half, 2, 0);
    gives(e, other, 2, 0);
    gives(e, one + 1, 1, 0);
    gives(e, NULL, 0, 0);
    /* where pieces meet, tokens are those of the whole text */
    static const hone_text_piece cut[] = {{"the c", 5, false}, {"at sa", 5, true}, {"t", 1, false}};
    assert_int_equal(hone_encoder_encode(e, "the cat sat", 11, 0, &ids, &whole, NULL), HONE_OK);
    memcpy(kept, ids, whole * sizeof *ids);
    assert_int_equal(hone_encoder_encode_pieces(e, cut, 3, 0, &ids, &parts, NULL), HONE_OK);
    assert_int_equal(whole, parts);
    assert_memory_equal(kept, ids, whole * sizeof *ids);
    hone_encoder_free(e);
    hone_tokenizer_free(t);
}

/* A word that is a special token comes out of no text, even where words are looked up whole. */
static void test_hidden_words(void **state) {
    (void)state;
    static const char json[] = "{\"added_tokens\": [{\"id\": 0, \"content\": \"[END]\", \"special\": true}],"
                               "\"pre_tokenizer\": {\"type\": \"WhitespaceSplit\"},"
                               "\"model\": {\"type\": \"WordLevel\", \"unk_token\": \"?\", \"vocab\": "
                               "{\"[END]\": 0, \"a\": 1, \"?\": 2}}}";
    hone_tokenizer *t = NULL;
    hone_encoder *e = NULL;
    const int32_t *ids;
    size_t count;
    assert_int_equal(hone_tokenizer_parse(json, strlen(json), &t, NULL), HONE_OK);
    assert_int_equal(hone_encoder_new(t, &e, NULL), HONE_OK);
    assert_int_equal(hone_encoder_encode(e, "a [END]", 7, 0, &ids, &count, NULL), HONE_OK);
    assert_int_equal(ids[1], 0);
    assert_int_equal(hone_encoder_encode(e, "a [END]", 7, HONE_ENCODE_PLAIN, &ids, &count, NULL), HONE_OK);
    assert_int_equal(ids[1], 2);
    hone_encoder_free(e);
    hone_tokenizer_free(t);
}

static void test_memory(void **state) {
    (void)state;
    hone_tokenizer *t = bytes_by_name();
    static const int32_t ids[] = {258, 257, 0xE2, 0x82, 0xAC, 256};
    for (uint64_t n = 1;; n++) {
        char said[200];
        hone_error err = {0};
        hone_alloc_fail_at(n, false);
        hone_status status = stream(t, ids, COUNT(ids), said, &err);
        hone_alloc_fail_at(0, false);
        if (status == HONE_OK) break;
        assert_int_equal(status, HONE_OUT_OF_MEMORY);
    }
    hone_tokenizer_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes_by_name), cmocka_unit_test(test_bytes),
                                       cmocka_unit_test(test_pieces), cmocka_unit_test(test_hidden_words),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
