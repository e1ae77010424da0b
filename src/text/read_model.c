/* The model of tokenizer.json. */
#include "text/tokenizer.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

enum { MAX_AFFIX = 64 };

/* --- vocabularies --- */

/* {"piece": id, …} */
static hone_status read_pieces(hone_tokenizer *t, const json_t *vocab, hone_error *err) {
    if (!json_is_object(vocab)) return hone_fail(err, HONE_CORRUPT, "model: the object \"vocab\" is missing");
    void *it = json_object_iter((json_t *)vocab);
    for (; it; it = json_object_iter_next((json_t *)vocab, it)) {
        const json_t *id = json_object_iter_value(it);
        if (!json_is_integer(id))
            return hone_fail(err, HONE_CORRUPT, "model: the id of '%.60s' is no integer",
                             json_object_iter_key(it));
        HONE_TRY(hone_vocabulary_add(&t->model.pieces, json_integer_value(id), json_object_iter_key(it),
                                     json_object_iter_key_len(it), err));
    }
    return HONE_OK;
}

/* [["piece", log probability], …] */
static hone_status read_scored(hone_tokenizer *t, const json_t *vocab, hone_error *err) {
    hone_token_model *m = &t->model;
    const json_t *row;
    size_t i;
    if (!json_is_array(vocab)) return hone_fail(err, HONE_CORRUPT, "model: the list \"vocab\" is missing");
    m->scores = hone_calloc(json_array_size(vocab) + 1, sizeof *m->scores);
    if (!m->scores) return hone_fail_memory(err);
    m->least = INFINITY;
    json_array_foreach(vocab, i, row) {
        const json_t *piece = json_array_get(row, 0), *score = json_array_get(row, 1);
        if (!json_is_string(piece) || !json_is_number(score) || !isfinite(json_number_value(score)))
            return hone_fail(err, HONE_CORRUPT, "model: entry %zu of \"vocab\" is no pair of text and number",
                             i);
        HONE_TRY(hone_vocabulary_add(&m->pieces, (int64_t)i, json_string_value(piece),
                                     json_string_length(piece), err));
        m->scores[i] = json_number_value(score);
        if (m->scores[i] < m->least) m->least = m->scores[i];
    }
    return HONE_OK;
}

static hone_status read_unknown(hone_tokenizer *t, const json_t *token, hone_error *err) {
    hone_token_model *m = &t->model;
    m->unknown = HONE_NO_ID;
    if (!json_is_string(token)) return HONE_OK;
    m->unknown = hone_vocabulary_find(&m->pieces, json_string_value(token), json_string_length(token));
    if (m->unknown == HONE_NO_ID)
        m->unknown = hone_vocabulary_find(&t->added, json_string_value(token), json_string_length(token));
    if (m->unknown != HONE_NO_ID) return HONE_OK;
    return hone_fail(err, HONE_CORRUPT, "model: unk_token '%.60s' is not in the vocabulary",
                     json_string_value(token));
}

static hone_status read_affix(hone_tokenizer *t, const json_t *json, const char *key, const char **out,
                              hone_error *err) {
    const json_t *v = json_object_get(json, key);
    if (!json_is_string(v) || !json_string_length(v)) return HONE_OK;
    if (json_string_length(v) > MAX_AFFIX || strlen(json_string_value(v)) != json_string_length(v))
        return hone_fail(err, HONE_UNSUPPORTED, "model: %s is no text of at most %d bytes", key, MAX_AFFIX);
    *out = hone_arena_strdup(t->arena, json_string_value(v));
    return *out ? HONE_OK : hone_fail_memory(err);
}

static void find_bytes(hone_token_model *m) {
    for (int b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", b);
        m->bytes[b] = hone_vocabulary_find(&m->pieces, name, 6);
    }
}

/* --- merges --- "left right", or ["left", "right"] */

static bool parts_of(const json_t *merge, hone_piece *left, hone_piece *right) {
    const json_t *a = json_array_get(merge, 0), *b = json_array_get(merge, 1);
    if (json_is_string(a) && json_is_string(b) && json_array_size(merge) == 2) {
        *left = (hone_piece){json_string_value(a), json_string_length(a)};
        *right = (hone_piece){json_string_value(b), json_string_length(b)};
        return true;
    }
    const char *text = json_string_value(merge),
               *space = text ? memchr(text, ' ', json_string_length(merge)) : NULL;
    if (!space) return false;
    size_t at = (size_t)(space - text);
    *left = (hone_piece){text, at};
    *right = (hone_piece){space + 1, json_string_length(merge) - at - 1};
    return true;
}

static hone_status read_merge(hone_token_model *m, const json_t *merge, size_t rank, hone_bytes *joined,
                              hone_error *err) {
    hone_piece left, right;
    size_t prefix = m->prefix ? strlen(m->prefix) : 0;
    if (!parts_of(merge, &left, &right))
        return hone_fail(err, HONE_CORRUPT, "model: merge %zu is no pair of pieces", rank);
    int32_t a = hone_vocabulary_find(&m->pieces, left.text, left.size),
            b = hone_vocabulary_find(&m->pieces, right.text, right.size);
    if (prefix > right.size) prefix = 0;
    joined->size = 0;
    if (!hone_bytes_add(joined, left.text, left.size) ||
        !hone_bytes_add(joined, right.text + prefix, right.size - prefix))
        return hone_fail_memory(err);
    int32_t id = hone_vocabulary_find(&m->pieces, joined->data, joined->size);
    if (a == HONE_NO_ID || b == HONE_NO_ID || id == HONE_NO_ID)
        return hone_fail(err, HONE_CORRUPT, "model: merge %zu, '%.60s' and '%.60s', is not in the vocabulary",
                         rank, left.text, right.text);
    hone_merges_add(m, (hone_merge){a, b, (int32_t)rank, id});
    return HONE_OK;
}

static hone_status read_merges(hone_token_model *m, const json_t *merges, hone_error *err) {
    hone_bytes joined = {NULL, 0, 0};
    const json_t *merge;
    size_t i;
    hone_status status = hone_merges_reserve(m, json_array_size(merges), err);
    if (json_array_size(merges) > INT32_MAX)
        return hone_fail(err, HONE_UNSUPPORTED, "model: too many merges");
    json_array_foreach(merges, i, merge) {
        if (status == HONE_OK) status = read_merge(m, merge, i, &joined, err);
    }
    hone_bytes_free(&joined);
    return status;
}

/* --- kinds --- */

static hone_status read_bpe(hone_tokenizer *t, const json_t *json, hone_error *err) {
    hone_token_model *m = &t->model;
    m->kind = HONE_TOKENS_BPE;
    HONE_TRY(read_pieces(t, json_object_get(json, "vocab"), err));
    HONE_TRY(read_affix(t, json, "continuing_subword_prefix", &m->prefix, err));
    HONE_TRY(read_affix(t, json, "end_of_word_suffix", &m->suffix, err));
    m->fuse_unknown = json_is_true(json_object_get(json, "fuse_unk"));
    m->byte_fallback = json_is_true(json_object_get(json, "byte_fallback"));
    m->ignore_merges = json_is_true(json_object_get(json, "ignore_merges"));
    if (json_is_number(json_object_get(json, "dropout")) &&
        json_number_value(json_object_get(json, "dropout")) > 0)
        return hone_fail(err, HONE_UNSUPPORTED, "model: a dropout makes ids random; set it to null");
    HONE_TRY(read_unknown(t, json_object_get(json, "unk_token"), err));
    find_bytes(m);
    return read_merges(m, json_object_get(json, "merges"), err);
}

static hone_status read_wordpiece(hone_tokenizer *t, const json_t *json, hone_error *err) {
    hone_token_model *m = &t->model;
    const json_t *most = json_object_get(json, "max_input_chars_per_word");
    m->kind = HONE_TOKENS_WORDPIECE;
    HONE_TRY(read_pieces(t, json_object_get(json, "vocab"), err));
    m->prefix = json_is_string(json_object_get(json, "continuing_subword_prefix")) ? "" : "##";
    HONE_TRY(read_affix(t, json, "continuing_subword_prefix", &m->prefix, err));
    m->longest_word = json_is_integer(most) ? json_integer_value(most) : 100;
    return read_unknown(t, json_object_get(json, "unk_token"), err);
}

static hone_status read_words(hone_tokenizer *t, const json_t *json, hone_error *err) {
    t->model.kind = HONE_TOKENS_WORDS;
    HONE_TRY(read_pieces(t, json_object_get(json, "vocab"), err));
    const json_t *unknown = json_object_get(json, "unk_token");
    bool there =
        json_is_string(unknown) &&
        (hone_vocabulary_find(&t->model.pieces, json_string_value(unknown), json_string_length(unknown)) >=
             0 ||
         hone_vocabulary_find(&t->added, json_string_value(unknown), json_string_length(unknown)) >= 0);
    t->model.unknown = HONE_NO_ID;
    return there ? read_unknown(t, unknown, err) : HONE_OK;
}

static hone_status read_unigram(hone_tokenizer *t, const json_t *json, hone_error *err) {
    hone_token_model *m = &t->model;
    const json_t *unknown = json_object_get(json, "unk_id");
    m->kind = HONE_TOKENS_UNIGRAM;
    HONE_TRY(read_scored(t, json_object_get(json, "vocab"), err));
    m->unknown = HONE_NO_ID;
    if (json_is_integer(unknown)) {
        json_int_t id = json_integer_value(unknown);
        if (id < 0 || (size_t)id >= m->pieces.count)
            return hone_fail(err, HONE_CORRUPT, "model: unk_id %lld is no piece", (long long)id);
        m->unknown = (int32_t)id;
    }
    m->byte_fallback = json_is_true(json_object_get(json, "byte_fallback"));
    find_bytes(m);
    return HONE_OK;
}

/* Older files leave the type out. */
static const char *type_of(const json_t *json) {
    const char *type = json_string_value(json_object_get(json, "type"));
    if (type) return type;
    if (json_object_get(json, "merges")) return "BPE";
    if (json_is_array(json_object_get(json, "vocab"))) return "Unigram";
    return json_object_get(json, "max_input_chars_per_word") ? "WordPiece" : "WordLevel";
}

hone_status hone_read_model(hone_tokenizer *t, const json_t *json, hone_error *err) {
    static const struct {
        const char *type;
        hone_status (*read)(hone_tokenizer *t, const json_t *json, hone_error *err);
    } rows[] = {{"BPE", read_bpe},
                {"WordPiece", read_wordpiece},
                {"WordLevel", read_words},
                {"Unigram", read_unigram}};
    if (!json_is_object(json)) return hone_fail(err, HONE_CORRUPT, "the object \"model\" is missing");
    const char *type = type_of(json);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].type, type) == 0) return rows[i].read(t, json, err);
    return hone_fail(err, HONE_UNSUPPORTED, "model: the type '%.60s' is not supported", type);
}
