/* From text to ids and back, with scratch. */
#include "text/tokenizer.h"

#include "base/random.h"

/* Words come again and again: what became of one is kept, one in each slot. When there is too much, all is forgotten. */
enum { SLOTS = 1 << 15, MAX_WORD = 64, MAX_KEPT = 4 << 20 };
typedef struct kept_word {
    uint64_t hash;
    uint32_t text, ids; /* where they begin */
    uint16_t size, count;
} kept_word;

struct hone_encoder {
    const hone_tokenizer *t;
    hone_matcher matcher;
    hone_model_scratch scratch;
    hone_bytes a, b;
    hone_spans one, two;
    hone_spans joined; /* pieces in one text, and those from outside */
    hone_ids ids;
    kept_word *words; /* NULL: nothing was encoded yet */
    hone_bytes word_text;
    hone_ids word_ids;
};

hone_status hone_encoder_new(const hone_tokenizer *t, hone_encoder **out, hone_error *err) {
    hone_encoder *e = hone_calloc(1, sizeof *e);
    if (!e) return hone_fail_memory(err);
    e->t = t;
    *out = e;
    return HONE_OK;
}

void hone_encoder_free(hone_encoder *e) {
    if (!e) return;
    hone_matcher_free(&e->matcher);
    hone_model_scratch_free(&e->scratch);
    hone_bytes_free(&e->a);
    hone_bytes_free(&e->b);
    hone_spans_free(&e->one);
    hone_spans_free(&e->two);
    hone_spans_free(&e->joined);
    hone_free(e->ids.items);
    hone_free(e->words);
    hone_bytes_free(&e->word_text);
    hone_free(e->word_ids.items);
    hone_free(e);
}

hone_status hone_normalize_all(const hone_normalizer *n, hone_matcher *m, const char *text, size_t size,
                               hone_bytes *a, hone_bytes *b, hone_bytes **out, hone_error *err) {
    a->size = 0;
    if (!hone_bytes_add(a, text, size)) return hone_fail_memory(err);
    for (; n; n = n->next) {
        b->size = 0;
        HONE_TRY(hone_normalize(n, m, a->data, a->size, b, err));
        hone_bytes *done = b;
        b = a;
        a = done;
    }
    *out = a;
    return HONE_OK;
}

/* --- words --- */

static bool keep(hone_encoder *e, kept_word *k, uint64_t hash, const char *text, size_t size,
                 const int32_t *ids, size_t count) {
    if (e->word_text.size + size > MAX_KEPT || e->word_ids.count + count > MAX_KEPT) {
        memset(e->words, 0, SLOTS * sizeof *e->words);
        e->word_text.size = e->word_ids.count = 0;
    }
    kept_word now = {hash, (uint32_t)e->word_text.size, (uint32_t)e->word_ids.count, (uint16_t)size,
                     (uint16_t)count};
    if (!hone_bytes_add(&e->word_text, text, size)) return false;
    for (size_t i = 0; i < count; i++)
        if (!hone_ids_add(&e->word_ids, ids[i])) return false;
    *k = now;
    return true;
}

static hone_status encode_word(hone_encoder *e, const char *text, size_t size, hone_error *err) {
    const hone_token_model *m = &e->t->model;
    if (size > MAX_WORD || size == 0)
        return hone_token_model_encode(m, &e->scratch, text, size, &e->ids, err);
    if (!e->words && !(e->words = hone_calloc(SLOTS, sizeof *e->words))) return hone_fail_memory(err);
    uint64_t hash = hone_hash(text, size);
    kept_word *k = &e->words[hash & (SLOTS - 1)];
    if (k->size == size && k->hash == hash && memcmp(e->word_text.data + k->text, text, size) == 0) {
        for (size_t i = 0; i < k->count; i++)
            if (!hone_ids_add(&e->ids, e->word_ids.items[k->ids + i])) return hone_fail_memory(err);
        return HONE_OK;
    }
    size_t before = e->ids.count;
    HONE_TRY(hone_token_model_encode(m, &e->scratch, text, size, &e->ids, err));
    bool kept = keep(e, k, hash, text, size, e->ids.items + before, e->ids.count - before);
    return kept ? HONE_OK : hone_fail_memory(err);
}

static hone_status split(hone_encoder *e, const char *text, size_t size, bool begins,
                         const hone_spans **words, hone_error *err) {
    hone_spans *in = &e->one, *out = &e->two;
    in->text.size = in->count = 0;
    if (!hone_bytes_add(&in->text, text, size) || !hone_spans_add(in, (hone_span){0, size, begins}))
        return hone_fail_memory(err);
    for (const hone_splitter *s = e->t->splitters; s; s = s->next) {
        HONE_TRY(hone_split(s, &e->matcher, in, out, err));
        hone_spans *done = out;
        out = in;
        in = done;
    }
    *words = in;
    return HONE_OK;
}

static hone_status split_and_encode(hone_encoder *e, const char *text, size_t size, bool begins,
                                    hone_error *err) {
    const hone_spans *in;
    HONE_TRY(split(e, text, size, begins, &in, err));
    for (size_t i = 0; i < in->count; i++)
        HONE_TRY(
            encode_word(e, in->text.data + in->items[i].start, in->items[i].end - in->items[i].start, err));
    return HONE_OK;
}

hone_status hone_encoder_words(hone_encoder *e, const char *text, size_t size, const hone_spans **words,
                               hone_error *err) {
    hone_bytes *n;
    HONE_TRY(hone_normalize_all(e->t->normalizers, &e->matcher, text, size, &e->a, &e->b, &n, err));
    return split(e, n->data, n->size, true, words, err);
}

/* --- texts --- */

/* Text between tokens that are looked for before it is normalized; it begins at byte `base` of the whole. */
static hone_status encode_part(hone_encoder *e, const char *text, size_t size, size_t base,
                               const hone_hidden *hidden, hone_error *err) {
    hone_bytes *n;
    const hone_tokenizer *t = e->t;
    if (size == 0) return HONE_OK;
    HONE_TRY(hone_normalize_all(t->normalizers, &e->matcher, text, size, &e->a, &e->b, &n, err));
    /* normalizing moves bytes, so that a part which is hidden in part is hidden as a whole */
    const hone_hidden all = {t->normalizers && hone_is_hidden(hidden, base, base + size), NULL, 0};
    const hone_hidden *here = t->normalizers ? &all : hidden;
    const bool begins = base == 0;
    size_t at = 0, start, end;
    const hone_added *a;
    while ((a = hone_added_find(t, &t->normalized, here, base, n->data, n->size, at, &start, &end))) {
        if (start > at) HONE_TRY(split_and_encode(e, n->data + at, start - at, begins && at == 0, err));
        if (!hone_ids_add(&e->ids, a->id)) return hone_fail_memory(err);
        at = end;
    }
    return n->size > at ? split_and_encode(e, n->data + at, n->size - at, begins && at == 0, err) : HONE_OK;
}

static bool add_all(hone_ids *to, const hone_ids *from) {
    for (size_t i = 0; i < from->count; i++)
        if (!hone_ids_add(to, from->items[i])) return false;
    return true;
}

static hone_status encode(hone_encoder *e, const char *text, size_t size, bool around,
                          const hone_hidden *hidden, const int32_t **ids, size_t *count, hone_error *err) {
    const hone_tokenizer *t = e->t;
    size_t at = 0, start, end;
    const hone_added *a;
    e->ids.count = 0;
    if (around && !add_all(&e->ids, &t->before)) return hone_fail_memory(err);
    while ((a = hone_added_find(t, &t->raw, hidden, 0, text, size, at, &start, &end))) {
        HONE_TRY(encode_part(e, text + at, start - at, at, hidden, err));
        if (!hone_ids_add(&e->ids, a->id)) return hone_fail_memory(err);
        at = end;
    }
    HONE_TRY(encode_part(e, text + at, size - at, at, hidden, err));
    if (around && !add_all(&e->ids, &t->after)) return hone_fail_memory(err);
    *ids = e->ids.items;
    *count = e->ids.count;
    return HONE_OK;
}

hone_status hone_encoder_encode(hone_encoder *e, const char *text, size_t size, unsigned flags,
                                const int32_t **ids, size_t *count, hone_error *err) {
    const hone_hidden hidden = {flags & HONE_ENCODE_PLAIN, NULL, 0};
    return encode(e, text, size, flags & HONE_ENCODE_TEMPLATE, &hidden, ids, count, err);
}

/* One text of all of them: what is a token does not end where a piece does. */
hone_status hone_encoder_encode_pieces(hone_encoder *e, const hone_text_piece *pieces, size_t piece_count,
                                       unsigned flags, const int32_t **ids, size_t *count, hone_error *err) {
    e->joined.text.size = e->joined.count = 0;
    for (size_t i = 0; i < piece_count; i++) {
        size_t from = e->joined.text.size, end = from + pieces[i].size;
        if (!hone_bytes_add(&e->joined.text, pieces[i].data, pieces[i].size) ||
            (pieces[i].user && !hone_spans_add(&e->joined, (hone_span){from, end, false})))
            return hone_fail_memory(err);
    }
    const hone_hidden hidden = {flags & HONE_ENCODE_PLAIN, e->joined.items, e->joined.count};
    return encode(e, e->joined.text.data, e->joined.text.size, flags & HONE_ENCODE_TEMPLATE, &hidden, ids,
                  count, err);
}

static bool is_special(const hone_tokenizer *t, int32_t id) {
    return id >= 0 && (size_t)id < t->added.count && t->added.pieces[id].text && t->special[id];
}

hone_status hone_encoder_decode(hone_encoder *e, const int32_t *ids, size_t count, bool special,
                                const char **text, size_t *size, hone_error *err) {
    hone_spans *tokens = &e->one, *other = &e->two;
    tokens->text.size = tokens->count = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n, from = tokens->text.size;
        const char *piece = hone_tokenizer_piece(e->t, ids[i], &n);
        if (!piece || (!special && is_special(e->t, ids[i]))) continue;
        if (!hone_bytes_add(&tokens->text, piece, n) ||
            !hone_spans_add(tokens, (hone_span){from, from + n, false}))
            return hone_fail_memory(err);
    }
    HONE_TRY(hone_decode_all(e->t->decoders, &e->matcher, &tokens, &other, err));
    e->a.size = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        const hone_span s = tokens->items[i];
        bool space = i > 0 && !e->t->decoders;
        if ((space && !hone_bytes_add(&e->a, " ", 1)) ||
            !hone_bytes_add(&e->a, tokens->text.data + s.start, s.end - s.start))
            return hone_fail_memory(err);
    }
    if (!hone_bytes_add(&e->a, "", 1)) return hone_fail_memory(err);
    *text = e->a.data;
    *size = e->a.size - 1;
    return HONE_OK;
}
