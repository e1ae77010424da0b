/* A tokenizer.json is refused with a reason, or gives ids that are its own, and texts of them one by one. */
#include <hone/text.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const hone_tokenizer *t, const char *text, size_t size) {
    hone_encoder *e = NULL;
    hone_detokenizer *d = NULL;
    const int32_t *ids;
    size_t count = 0, n;
    const char *said;
    hone_error err = {0};
    if (hone_encoder_new(t, &e, &err) != HONE_OK || hone_detokenizer_new(t, true, &d, &err) != HONE_OK)
        abort();
    hone_status status = hone_encoder_encode(e, text, size, HONE_ENCODE_TEMPLATE, &ids, &count, &err);
    if (status != HONE_OK && status != HONE_RESOURCE_EXHAUSTED) abort();
    for (size_t i = 0; status == HONE_OK && i < count; i++) {
        if (ids[i] < 0) abort();
        status = hone_detokenizer_feed(d, ids[i], &said, &n, &err);
        if (status != HONE_OK && status != HONE_RESOURCE_EXHAUSTED) abort();
    }
    hone_detokenizer_free(d);
    hone_encoder_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char text[] = "Ab  1\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80\xff</s><pad>\n'll e\xcc\x81";
    hone_tokenizer *t = NULL;
    hone_token_trie *trie = NULL;
    hone_error err = {0};
    if (size > 1 << 16) return 0;
    hone_status status = hone_tokenizer_parse((const char *)data, size, &t, &err);
    if (status != HONE_OK) {
        if (err.code != status || !err.message[0] || t) abort();
        return 0;
    }
    use(t, text, sizeof text - 1);
    use(t, (const char *)data, size < 200 ? size : 200);
    if (hone_token_trie_new(t, &trie, &err) == HONE_OK) hone_token_trie_free(trie);
    hone_tokenizer_free(t);
    return 0;
}
