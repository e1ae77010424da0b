/* A schema becomes a grammar or is refused; what is made goes on to its masks. */
#include <hone/text.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static hone_token_trie *bytes(void) {
    hone_tokenizer_trainer *trainer = NULL;
    hone_tokenizer *t = NULL;
    hone_token_trie *trie = NULL;
    if (hone_tokenizer_trainer_new("bpe:258", &trainer, NULL) != HONE_OK ||
        hone_tokenizer_trainer_add(trainer, "a a a", 5, NULL) != HONE_OK ||
        hone_tokenizer_trainer_finish(trainer, &t, NULL) != HONE_OK ||
        hone_token_trie_new(t, &trie, NULL) != HONE_OK)
        abort();
    hone_tokenizer_trainer_free(trainer);
    hone_tokenizer_free(t);
    return trie;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static hone_token_trie *trie;
    hone_grammar *g = NULL;
    hone_constraint *c = NULL;
    hone_error err = {0};
    if (!trie) trie = bytes();
    if (size > 1 << 16) return 0;
    hone_status status = hone_grammar_from_schema((const char *)data, size, &g, &err);
    if (status != HONE_OK) {
        if (err.code != status || g) abort();
        return 0;
    }
    if (hone_constraint_new(g, trie, &c, &err) != HONE_OK) abort();
    for (unsigned i = 0, from = 0; i < 40; i++) {
        const uint32_t *mask;
        bool may_end;
        if (hone_constraint_mask(c, &mask, &may_end, &err) != HONE_OK) abort();
        int32_t id = -1;
        for (unsigned k = 0; k < 258 && id < 0; k++) {
            unsigned tried = (from + k) % 258;
            if (mask[tried / 32] >> tried % 32 & 1) id = (int32_t)tried;
        }
        if (id < 0) break;
        if (hone_constraint_accept(c, id, &err) != HONE_OK) abort();
        from += (unsigned)data[i % (size ? size : 1)] + 1;
    }
    hone_constraint_free(c);
    hone_grammar_free(g);
    return 0;
}
