#include <hone/text.h>

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void refuses(const char *json, hone_status status, const char *what) {
    hone_tokenizer *t = NULL;
    hone_error err = {0};
    assert_int_equal(hone_tokenizer_parse(json, strlen(json), &t, &err), status);
    if (!strstr(err.message, what)) fail_msg("%s: %s", json, err.message);
    assert_null(t);
}

static void test_bad_files(void **state) {
    (void)state;
    refuses("", HONE_CORRUPT, "line 1");
    refuses("[]", HONE_CORRUPT, "a tokenizer is a JSON object");
    refuses("{}", HONE_CORRUPT, "\"model\" is missing");
    refuses("{\"model\": {\"type\": \"Magic\"}}", HONE_UNSUPPORTED, "the type 'Magic'");
    refuses("{\"model\": {\"type\": \"WordLevel\"}}", HONE_CORRUPT, "\"vocab\" is missing");
    refuses("{\"model\": {\"type\": \"WordLevel\", \"vocab\": {\"a\": \"b\"}}}", HONE_CORRUPT,
            "the id of 'a'");
    refuses("{\"model\": {\"type\": \"WordLevel\", \"vocab\": {\"a\": -1}}}", HONE_INVALID_ARGUMENT,
            "out of range");
    refuses("{\"model\": {\"type\": \"WordLevel\", \"vocab\": {\"a\": 4000000000}}}", HONE_INVALID_ARGUMENT,
            "out of range");
    refuses("{\"model\": {\"type\": \"WordLevel\", \"vocab\": {\"a\": 1, \"b\": 1}}}", HONE_INVALID_ARGUMENT,
            "id 1 is of two pieces");
    refuses("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"a b\"]}}", HONE_CORRUPT,
            "merge 0");
    refuses("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [7]}}", HONE_CORRUPT,
            "no pair of pieces");
    refuses("{\"model\": {\"type\": \"BPE\", \"vocab\": {}, \"dropout\": 0.1}}", HONE_UNSUPPORTED, "dropout");
    refuses("{\"model\": {\"type\": \"BPE\", \"vocab\": {}, \"unk_token\": \"?\"}}", HONE_CORRUPT,
            "unk_token '?'");
    refuses("{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 0]], \"unk_id\": 1}}", HONE_CORRUPT,
            "unk_id 1");
    refuses(
        "{\"normalizer\": {\"type\": \"Precompiled\"}, \"model\": {\"type\": \"WordLevel\", \"vocab\": {}}}",
        HONE_CORRUPT, "\"precompiled_charsmap\" is missing");
    refuses("{\"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"?\"}, \"model\": "
            "{\"type\": "
            "\"WordLevel\", \"vocab\": {}}}",
            HONE_CORRUPT, "is no base64");
    refuses("{\"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"/////wAAAAA=\"}, "
            "\"model\": "
            "{\"type\": \"WordLevel\", \"vocab\": {}}}",
            HONE_CORRUPT, "the table of characters is damaged");
    refuses("{\"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \"(\"}, \"behavior\": "
            "\"Isolated\"},"
            "\"model\": {\"type\": \"WordLevel\", \"vocab\": {}}}",
            HONE_INVALID_ARGUMENT, ") is missing");
    refuses("{\"added_tokens\": [{\"content\": \"a\"}], \"model\": {\"type\": \"WordLevel\", \"vocab\": {}}}",
            HONE_CORRUPT, "added_tokens");
    refuses("{\"post_processor\": {\"type\": \"BertProcessing\", \"cls\": [\"a\", -1]},"
            "\"model\": {\"type\": \"WordLevel\", \"vocab\": {}}}",
            HONE_CORRUPT, "post_processor");
}

static void test_bad_descriptions(void **state) {
    (void)state;
    static const char *const bad[] = {"bpe",       "bpe:",         "bpe:10",     "bpe:-5",
                                      "bpe:4096x", "bpe:99999999", "letters:30", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hone_tokenizer_trainer *t = NULL;
        hone_error err = {0};
        assert_int_equal(hone_tokenizer_trainer_new(bad[i], &t, &err), HONE_INVALID_ARGUMENT);
        assert_null(t);
        assert_non_null(strstr(err.message, "tokenizer \""));
    }
}

static hone_status make(const char *description, hone_tokenizer **out, hone_error *err) {
    static const char text[] = "the cat sat on the mat, the cat ate the rat that sat on the mat";
    hone_tokenizer_trainer *t = NULL;
    hone_status status = hone_tokenizer_trainer_new(description, &t, err);
    if (status == HONE_OK) status = hone_tokenizer_trainer_add(t, text, strlen(text), err);
    if (status == HONE_OK) status = hone_tokenizer_trainer_finish(t, out, err);
    hone_tokenizer_trainer_free(t);
    return status;
}

static hone_status use(const hone_tokenizer *t, hone_error *err) {
    static const char text[] = "the cat \xe2\x82\xac sat\xff";
    hone_encoder *e = NULL;
    const int32_t *ids;
    const char *back;
    size_t count, size;
    int32_t kept[64];
    hone_status status = hone_encoder_new(t, &e, err);
    if (status == HONE_OK) status = hone_encoder_encode(e, text, strlen(text), 0, &ids, &count, err);
    if (status == HONE_OK) {
        assert_true(count <= 64);
        memcpy(kept, ids, count * sizeof *ids);
        status = hone_encoder_decode(e, kept, count, true, &back, &size, err);
    }
    if (status == HONE_OK) assert_string_equal(back, text); /* bytes that are no UTF-8 too */
    hone_encoder_free(e);
    return status;
}

static void test_any_bytes(void **state) {
    (void)state;
    hone_tokenizer *t = NULL;
    hone_error err = {0};
    assert_int_equal(make("bpe:280", &t, &err), HONE_OK);
    assert_int_equal(hone_tokenizer_pad(t), 0);
    assert_int_equal(hone_tokenizer_end(t), 1);
    assert_true(hone_tokenizer_size(t) <= 280 && hone_tokenizer_size(t) > 258);
    assert_int_equal(use(t, &err), HONE_OK);
    hone_tokenizer_free(t);
}

static void test_no_text(void **state) {
    (void)state;
    hone_tokenizer_trainer *trainer = NULL;
    hone_tokenizer *t = NULL;
    hone_error err = {0};
    assert_int_equal(hone_tokenizer_trainer_new("words:100", &trainer, &err), HONE_OK);
    assert_int_equal(hone_tokenizer_trainer_finish(trainer, &t, &err), HONE_INVALID_ARGUMENT);
    hone_tokenizer_trainer_free(trainer);
}

/* Each allocation of Hone's fails in turn: an error each time, and no leak. */
static void test_memory(void **state) {
    (void)state;
    static const char *const kinds[] = {"bpe:280", "wordpiece:100", "words:20"};
    for (size_t k = 0; k < 3; k++) {
        for (uint64_t n = 1;; n++) {
            hone_tokenizer *t = NULL;
            hone_error err = {0};
            hone_alloc_fail_at(n, false);
            hone_status status = make(kinds[k], &t, &err);
            if (status == HONE_OK && k == 0) status = use(t, &err);
            hone_alloc_fail_at(0, false);
            hone_tokenizer_free(t);
            if (status == HONE_OK) break;
            assert_int_equal(status, HONE_OUT_OF_MEMORY);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files), cmocka_unit_test(test_bad_descriptions),
        cmocka_unit_test(test_any_bytes), cmocka_unit_test(test_no_text), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
