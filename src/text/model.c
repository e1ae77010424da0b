#include "text/model.h"

#include "base/unicode.h"

#include <string.h>

bool hone_ids_add(hone_ids *ids, int32_t id) {
    if (ids->count == ids->capacity && !hone_reserve(&ids->items, &ids->capacity, ids->count + 1, sizeof id))
        return false;
    ids->items[ids->count++] = id;
    return true;
}

void hone_model_scratch_free(hone_model_scratch *s) {
    hone_free(s->symbols);
    hone_free(s->heap);
    hone_free(s->best);
    hone_free(s->path.items);
    *s = (hone_model_scratch){.symbols = NULL};
}

void hone_token_model_free(hone_token_model *m) {
    hone_vocabulary_free(&m->pieces);
    hone_free(m->merges);
    hone_free(m->scores);
}

/* --- WordPiece --- the longest piece that begins a word, then the longest that goes on (Schuster and Nakajima, 2012) */

enum {
    LONGEST_PIECE = 256
}; /* bytes of one that is looked for; longer ones are found by no piece of a word */

/* Of the piece that begins at text[at]; 0: there is none. */
static size_t longest_piece(const hone_token_model *m, const char *text, size_t size, size_t at,
                            int32_t *id) {
    char piece[LONGEST_PIECE + 64];
    size_t prefix = at > 0 ? strlen(m->prefix) : 0, length = size - at;
    memcpy(piece, m->prefix, prefix);
    if (length + prefix > m->pieces.longest)
        length = m->pieces.longest > prefix ? m->pieces.longest - prefix : 0;
    if (length > LONGEST_PIECE) length = LONGEST_PIECE;
    memcpy(piece + prefix, text + at, length);
    for (; length > 0; length--) {
        if (at + length < size && (text[at + length] & 0xC0) == 0x80) continue; /* inside of a character */
        *id = hone_vocabulary_find(&m->pieces, piece, prefix + length);
        if (*id != HONE_NO_ID) break;
    }
    return length;
}

static bool wordpiece(const hone_token_model *m, const char *text, size_t size, hone_ids *out) {
    size_t base = out->count;
    int64_t characters = 0;
    for (size_t i = 0; i < size; i++) characters += (text[i] & 0xC0) != 0x80;
    bool known = characters <= m->longest_word;
    for (size_t at = 0; at < size && known;) {
        int32_t id;
        size_t length = longest_piece(m, text, size, at, &id);
        known = length > 0;
        if (known && !hone_ids_add(out, id)) return false;
        at += length;
    }
    if (known) return true;
    out->count = base;
    return m->unknown == HONE_NO_ID || hone_ids_add(out, m->unknown);
}

static bool whole(const hone_token_model *m, const char *text, size_t size, hone_ids *out) {
    int32_t id = hone_vocabulary_find(&m->pieces, text, size);
    if (id == HONE_NO_ID) id = m->unknown;
    return id == HONE_NO_ID || hone_ids_add(out, id);
}

hone_status hone_token_model_encode(const hone_token_model *m, hone_model_scratch *s, const char *text,
                                    size_t size, hone_ids *out, hone_error *err) {
    bool good = true;
    if (size == 0) return HONE_OK;
    switch (m->kind) {
    case HONE_TOKENS_BPE: return hone_bpe_encode(m, s, text, size, out, err);
    case HONE_TOKENS_UNIGRAM: return hone_unigram_encode(m, s, text, size, out, err);
    case HONE_TOKENS_WORDPIECE: good = wordpiece(m, text, size, out); break;
    case HONE_TOKENS_WORDS: good = whole(m, text, size, out); break;
    }
    return good ? HONE_OK : hone_fail_memory(err);
}
