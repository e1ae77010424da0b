/* Vocabularies that come as arrays. What real ones give is compared in peer_vocabularies.py. */
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
#define COUNT(a) (sizeof(a) / sizeof *(a))
#define MARK "\xe2\x96\x81"

static const hone_text_slice llama_tokens[] = {S("<unk>"),  S("<s>"),    S("</s>"), S("<0x41>"),
                                               S("<0xC3>"), S("<0xA4>"), S("a"),    S("b"),
                                               S(MARK),     S("ab"),     S("ba"),   S(MARK "a")};
static const float llama_scores[] = {0, 0, 0, 0, 0, 0, -9, -9, -9, -1, -2, -3};
static const int32_t llama_types[] = {2, 3, 3, 6, 6, 6, 1, 1, 1, 1, 1, 1};

static hone_vocabulary_source llama(void) {
    hone_vocabulary_source s = HONE_VOCABULARY_SOURCE_INIT;
    s.model = "llama";
    s.tokens = llama_tokens;
    s.scores = llama_scores;
    s.types = llama_types;
    s.token_count = COUNT(llama_tokens);
    s.unknown = 0;
    s.bos = 1;
    s.eos = 2;
    return s;
}

static const hone_text_slice gpt2_tokens[] = {S("a"),
                                              S("b"),
                                              S("\xc4\xa0"),
                                              S("ab"),
                                              S("\xc4\xa0"
                                                "ab"),
                                              S("<|end|>")};
static const int32_t gpt2_types[] = {1, 1, 1, 1, 1, 3};
static const hone_text_slice gpt2_merges[] = {S("a b"), S("\xc4\xa0 ab")};

static hone_vocabulary_source gpt2(void) {
    hone_vocabulary_source s = HONE_VOCABULARY_SOURCE_INIT;
    s.model = "gpt2";
    s.pre = "gpt-2";
    s.tokens = gpt2_tokens;
    s.types = gpt2_types;
    s.token_count = COUNT(gpt2_tokens);
    s.merges = gpt2_merges;
    s.merge_count = COUNT(gpt2_merges);
    s.bos = s.eos = 5;
    return s;
}

static const hone_text_slice bert_tokens[] = {S("[PAD]"), S("[UNK]"),    S("[CLS]"),
                                              S("[SEP]"), S(MARK "win"), S("ter")};
static const int32_t bert_types[] = {3, 3, 3, 3, 1, 1};

static hone_vocabulary_source bert(void) {
    hone_vocabulary_source s = HONE_VOCABULARY_SOURCE_INIT;
    s.model = "bert";
    s.tokens = bert_tokens;
    s.types = bert_types;
    s.token_count = COUNT(bert_tokens);
    s.padding = 0;
    s.unknown = 1;
    s.bos = 2;
    s.separator = 3;
    return s;
}

static const hone_text_slice t5_tokens[] = {S("<pad>"),  S("</s>"), S("<unk>"),  S(MARK),
                                            S(MARK "a"), S("b"),    S(MARK "ab")};
static const float t5_scores[] = {0, 0, 0, -2, -3, -3, -4};
static const int32_t t5_types[] = {3, 3, 2, 1, 1, 1, 1};

static hone_vocabulary_source t5(void) {
    hone_vocabulary_source s = HONE_VOCABULARY_SOURCE_INIT;
    s.model = "t5";
    s.tokens = t5_tokens;
    s.scores = t5_scores;
    s.types = t5_types;
    s.token_count = COUNT(t5_tokens);
    s.padding = 0;
    s.eos = 1;
    s.unknown = 2;
    return s;
}

/* --- */

static hone_status ids_of(const hone_vocabulary_source *s, const char *text, unsigned flags, char *shown,
                          size_t room, hone_error *err) {
    hone_tokenizer *t = NULL;
    hone_encoder *e = NULL;
    const int32_t *ids;
    size_t count = 0, at = 0;
    hone_status status = hone_tokenizer_from_vocabulary(s, &t, err);
    if (status == HONE_OK) status = hone_encoder_new(t, &e, err);
    if (status == HONE_OK) status = hone_encoder_encode(e, text, strlen(text), flags, &ids, &count, err);
    shown[0] = 0;
    for (size_t i = 0; i < count && status == HONE_OK; i++)
        at += (size_t)snprintf(shown + at, room - at, i ? " %d" : "%d", ids[i]);
    hone_encoder_free(e);
    hone_tokenizer_free(t);
    return status;
}

static void gives(hone_vocabulary_source s, const char *text, unsigned flags, const char *ids) {
    char shown[200];
    hone_error err = {0};
    if (ids_of(&s, text, flags, shown, sizeof shown, &err) != HONE_OK) fail_msg("%s", err.message);
    assert_string_equal(shown, ids);
}

static void test_ids(void **state) {
    (void)state;
    /* the highest score first: ab, not a mark and an a; bytes for what is no piece */
    gives(llama(), "ab", HONE_ENCODE_TEMPLATE, "1 8 9");
    gives(llama(), "aba", 0, "8 9 6");
    gives(llama(), "a b", 0, "11 8 7");
    gives(llama(), "A\xc3\xa4", 0, "8 3 4 5");
    hone_vocabulary_source bare = llama();
    bare.add_space_prefix = bare.add_bos = 0;
    bare.add_eos = 1;
    gives(bare, "ab", HONE_ENCODE_TEMPLATE, "9 2");
    gives(llama(), "</s>", 0, "2");
    gives(llama(), "</s>", HONE_ENCODE_PLAIN, "8 0"); /* what no byte is there for is unknown once */
    gives(gpt2(), "ab ab", HONE_ENCODE_TEMPLATE, "3 4");
    gives(gpt2(), "ab<|end|>", 0, "3 5");
    gives(bert(), "Winter win", HONE_ENCODE_TEMPLATE, "2 4 5 4 3");
    gives(bert(), "lose", 0, "1");
    gives(t5(), "ab  a", HONE_ENCODE_TEMPLATE, "6 4 1");
}

static void refuses(hone_vocabulary_source s, hone_status status, const char *what) {
    hone_tokenizer *t = NULL;
    hone_error err = {0};
    assert_int_equal(hone_tokenizer_from_vocabulary(&s, &t, &err), status);
    assert_null(t);
    if (!strstr(err.message, what)) fail_msg("'%s' is not in '%s'", what, err.message);
}

static void test_bad_sources(void **state) {
    (void)state;
    hone_vocabulary_source s = gpt2();
    s.pre = "gpt-9";
    refuses(s, HONE_UNSUPPORTED, "the patterns 'gpt-9'");
    s.pre = NULL;
    refuses(s, HONE_UNSUPPORTED, "does not name the patterns");
    s = gpt2();
    s.model = "magic";
    refuses(s, HONE_UNSUPPORTED, "the model 'magic'");
    s.model = NULL;
    refuses(s, HONE_INVALID_ARGUMENT, "model is not said");
    s = gpt2();
    s.bos = 6;
    refuses(s, HONE_CORRUPT, "the bos token's id 6");
    s = gpt2();
    s.token_count = 0;
    refuses(s, HONE_UNSUPPORTED, "0 tokens");
    static const hone_text_slice odd[] = {S("ab"), S("a c")};
    s = gpt2();
    s.merges = odd;
    s.merge_count = 1;
    refuses(s, HONE_CORRUPT, "merge 0 is no pair");
    s.merges = odd + 1;
    refuses(s, HONE_CORRUPT, "merge 0, 'a' and 'c'");
    static const hone_text_slice twice[] = {S("a"), S("b"), S("a")}, bytes[] = {S("a"), S("\xff")};
    s = llama();
    s.tokens = twice;
    s.token_count = 3;
    refuses(s, HONE_CORRUPT, "token 2, 'a', is there twice");
    s.tokens = bytes;
    s.token_count = 2;
    s.unknown = s.bos = s.eos = -1;
    refuses(s, HONE_CORRUPT, "token 1 is no UTF-8");
    static const float infinite[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1e30f * 1e30f};
    s = llama();
    s.scores = infinite;
    refuses(s, HONE_CORRUPT, "the score of token 11");
    s = t5();
    s.scores = NULL;
    refuses(s, HONE_CORRUPT, "no scores");
}

static void test_memory(void **state) {
    (void)state;
    hone_vocabulary_source kinds[] = {llama(), gpt2(), bert(), t5()};
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (uint64_t n = 1;; n++) {
            char shown[200];
            hone_error err = {0};
            hone_alloc_fail_at(n, false);
            hone_status status = ids_of(&kinds[k], "ab", 0, shown, sizeof shown, &err);
            hone_alloc_fail_at(0, false);
            if (status == HONE_OK) break;
            assert_int_equal(status, HONE_OUT_OF_MEMORY);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ids), cmocka_unit_test(test_bad_sources),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
