/* Vocabularies that come as arrays: they are said as tokenizer.json, and this is read. */
#include "text/presets.h"
#include "text/tokenizer.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MARK "\xe2\x96\x81" /* U+2581, which stands for a space */
enum { MAX_TOKENS = 1 << 22, MAX_MERGES = 1 << 24 };

typedef struct writer {
    const hone_vocabulary_source *s;
    hone_arena *arena;
    hone_vocabulary pieces; /* of tokens as the file will have them */
    hone_bytes json;
    bool failed; /* out of memory */
    hone_error *err;
} writer;

/* --- JSON --- */

static void put(writer *w, const char *text) {
    if (!hone_bytes_text(&w->json, text)) w->failed = true;
}

static void put_int(writer *w, int64_t n) {
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)n);
    put(w, text);
}

static void put_text(writer *w, const char *text, size_t size) {
    size_t from = 0;
    put(w, "\"");
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 32 && c != '"' && c != '\\') continue;
        char escaped[8];
        if (!hone_bytes_add(&w->json, text + from, i - from)) w->failed = true;
        snprintf(escaped, sizeof escaped, c < 32 ? "\\u%04x" : "\\%c", c);
        put(w, escaped);
        from = i + 1;
    }
    if (!hone_bytes_add(&w->json, text + from, size - from)) w->failed = true;
    put(w, "\"");
}

static void put_piece(writer *w, int32_t id) {
    put_text(w, w->pieces.pieces[id].text, w->pieces.pieces[id].size);
}

static bool chosen(int said, bool usual) {
    return said < 0 ? usual : said != 0;
}

/* --- tokens --- */

static int32_t type_of(const hone_vocabulary_source *s, size_t id) {
    return s->types ? s->types[id] : HONE_TOKEN_NORMAL;
}

static bool is(const char *a, const char *b) {
    return strcmp(a, b) == 0;
}

/* BERT's tokens begin words with U+2581 in such files, where tokenizer.json has what goes on a word begin with ##. */
static hone_status add_token(writer *w, size_t id) {
    hone_text_slice t = w->s->tokens[id];
    char made[32];
    if (!hone_utf8_is_valid(t.data, t.size))
        return hone_fail(w->err, HONE_CORRUPT, "token %zu is no UTF-8", id);
    if (t.size == 0) {
        t.size = (size_t)snprintf(made, sizeof made, "[EMPTY_%zu]", id);
        t.data = made;
    }
    bool bracketed = t.size > 1 && t.data[0] == '[' && t.data[t.size - 1] == ']';
    if (is(w->s->model, "bert") && !bracketed && type_of(w->s, id) == HONE_TOKEN_NORMAL) {
        size_t n = strlen(MARK);
        bool begins = t.size > n && memcmp(t.data, MARK, n) == 0;
        char *text = hone_arena_alloc(w->arena, t.size + 2);
        if (!text) return hone_fail_memory(w->err);
        memcpy(text, begins ? t.data + n : "##", begins ? t.size - n : 2);
        if (!begins) memcpy(text + 2, t.data, t.size);
        t = (hone_text_slice){text, begins ? t.size - n : t.size + 2};
    }
    if (hone_vocabulary_find(&w->pieces, t.data, t.size) != HONE_NO_ID)
        return hone_fail(w->err, HONE_CORRUPT, "token %zu, '%.*s', is there twice", id,
                         (int)hone_utf8_fit(t.data, t.size, 60), t.data);
    return hone_vocabulary_add(&w->pieces, (int64_t)id, t.data, t.size, w->err);
}

static hone_status check(const hone_vocabulary_source *s, hone_error *err) {
    const struct {
        const char *name;
        int32_t id;
    } ids[] = {{"bos", s->bos},
               {"eos", s->eos},
               {"unknown", s->unknown},
               {"separator", s->separator},
               {"padding", s->padding}};
    if (!s->model) return hone_fail(err, HONE_INVALID_ARGUMENT, "the vocabulary's model is not said");
    if (s->token_count == 0 || s->token_count > MAX_TOKENS)
        return hone_fail(err, HONE_UNSUPPORTED, "a vocabulary of %zu tokens", s->token_count);
    if (s->merge_count > MAX_MERGES)
        return hone_fail(err, HONE_UNSUPPORTED, "a vocabulary with %zu merges", s->merge_count);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (ids[i].id < -1 || (ids[i].id >= 0 && (size_t)ids[i].id >= s->token_count))
            return hone_fail(err, HONE_CORRUPT, "the %s token's id %d is out of range", ids[i].name,
                             ids[i].id);
    for (size_t i = 0; i < s->token_count && s->scores; i++)
        if (!isfinite(s->scores[i]))
            return hone_fail(err, HONE_CORRUPT, "the score of token %zu is no number", i);
    return HONE_OK;
}

/* {"piece": id, …} */
static void put_pieces(writer *w) {
    put(w, "\"vocab\":{");
    for (size_t i = 0; i < w->s->token_count; i++) {
        if (i) put(w, ",");
        put_piece(w, (int32_t)i);
        put(w, ":");
        put_int(w, (int64_t)i);
    }
    put(w, "}");
}

/* Control tokens come out of no text that must not have them; what a user of the vocabulary added is looked for. */
static void put_added(writer *w) {
    bool any = false;
    put(w, "\"added_tokens\":[");
    for (size_t i = 0; i < w->s->token_count; i++) {
        int32_t type = type_of(w->s, i);
        bool control = type == HONE_TOKEN_CONTROL || type == HONE_TOKEN_UNKNOWN;
        if (!control && type != HONE_TOKEN_USER) continue;
        put(w, any ? ",\n{\"id\":" : "\n{\"id\":");
        put_int(w, (int64_t)i);
        put(w, ",\"content\":");
        put_piece(w, (int32_t)i);
        put(w, ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":");
        put(w, control ? "true}" : "false}");
        any = true;
    }
    put(w, "],\n");
}

static void put_padding(writer *w) {
    if (w->s->padding < 0) {
        put(w, "\"padding\":null,\n");
        return;
    }
    put(w, "\"padding\":{\"strategy\":\"BatchLongest\",\"direction\":\"Right\",\"pad_to_multiple_of\":null,"
           "\"pad_id\":");
    put_int(w, w->s->padding);
    put(w, ",\"pad_type_id\":0,\"pad_token\":");
    put_piece(w, w->s->padding);
    put(w, "},\n");
}

/* {"id": "<s>", …} for what stands around a text. */
static void put_template(writer *w, bool before, int32_t first, bool after, int32_t last) {
    before = before && first >= 0;
    after = after && last >= 0;
    if (!before && !after) {
        put(w, "\"post_processor\":null,\n");
        return;
    }
    put(w, "\"post_processor\":{\"type\":\"TemplateProcessing\"");
    for (int pair = 0; pair < 2; pair++) {
        put(w, pair ? ",\"pair\":[" : ",\"single\":[");
        for (int k = 0; k <= pair; k++) {
            const char *id = k ? ",\"type_id\":1}}" : ",\"type_id\":0}}";
            for (int side = 0; side < 3; side++) {
                if ((side == 0 && !before) || (side == 2 && !after)) continue;
                if (w->json.data[w->json.size - 1] != '[') put(w, ",");
                put(w, side == 1 ? "{\"Sequence\":{\"id\":" : "{\"SpecialToken\":{\"id\":");
                if (side == 1)
                    put(w, k ? "\"B\"" : "\"A\"");
                else
                    put_piece(w, side == 0 ? first : last);
                put(w, id);
                if (w->failed) return;
            }
        }
        put(w, "]");
    }
    put(w, ",\"special_tokens\":{");
    for (int side = 0; side < 2; side++) {
        int32_t id = side == 0 ? first : last;
        if ((side == 0 && !before) || (side == 1 && (!after || (before && first == last)))) continue;
        if (side == 1 && before) put(w, ",");
        put_piece(w, id);
        put(w, ":{\"id\":");
        put_piece(w, id);
        put(w, ",\"ids\":[");
        put_int(w, id);
        put(w, "],\"tokens\":[");
        put_piece(w, id);
        put(w, "]}");
    }
    put(w, "}},\n");
}

static void put_unknown(writer *w, const char *key, bool by_id) {
    put(w, key);
    if (w->s->unknown < 0)
        put(w, "null");
    else if (by_id)
        put_int(w, w->s->unknown);
    else
        put_piece(w, w->s->unknown);
}

/* --- merges --- */

typedef struct scored_merge {
    float score;
    int32_t left, right; /* tokens */
    uint32_t left_size, right_size;
} scored_merge;

/* The highest score first; of equal ones the longer left part, as in Hugging Face's conversions. */
static int by_score(const void *a, const void *b) {
    const scored_merge *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    if (x->left_size != y->left_size) return x->left_size < y->left_size ? 1 : -1;
    if (x->right_size != y->right_size) return x->right_size < y->right_size ? 1 : -1;
    if (x->left != y->left) return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

static bool is_text(const hone_vocabulary_source *s, int32_t id) {
    int32_t type = type_of(s, (size_t)id);
    return type != HONE_TOKEN_CONTROL && type != HONE_TOKEN_UNKNOWN && type != HONE_TOKEN_UNUSED &&
           type != HONE_TOKEN_BYTE;
}

typedef struct merge_list {
    scored_merge *items;
    size_t count, capacity;
} merge_list;

/* Any two neighbours that are a token together may become it. */
static hone_status add_splits(writer *w, int32_t id, merge_list *to) {
    const hone_piece p = w->pieces.pieces[id];
    for (size_t at = 1; at < p.size; at++) {
        if ((p.text[at] & 0xC0) == 0x80) continue;
        int32_t left = hone_vocabulary_find(&w->pieces, p.text, at),
                right = hone_vocabulary_find(&w->pieces, p.text + at, p.size - at);
        if (left == HONE_NO_ID || right == HONE_NO_ID || !is_text(w->s, left) || !is_text(w->s, right))
            continue;
        if (to->count == MAX_MERGES) return hone_fail(w->err, HONE_UNSUPPORTED, "too many merges");
        if (to->count == to->capacity &&
            !hone_reserve(&to->items, &to->capacity, to->count + 1, sizeof *to->items))
            return hone_fail_memory(w->err);
        to->items[to->count++] = (scored_merge){w->s->scores ? w->s->scores[id] : 0, left, right,
                                                (uint32_t)at, (uint32_t)(p.size - at)};
    }
    return HONE_OK;
}

/* A pair says what is in it even where there are spaces. */
static void put_merge(writer *w, size_t rank, const char *left, size_t left_size, const char *right,
                      size_t right_size) {
    put(w, rank ? ",[" : "[");
    put_text(w, left, left_size);
    put(w, ",");
    put_text(w, right, right_size);
    put(w, "]");
}

static hone_status put_scored_merges(writer *w) {
    merge_list merges = {NULL, 0, 0};
    hone_status status = HONE_OK;
    for (size_t i = 0; i < w->s->token_count && status == HONE_OK; i++)
        if (is_text(w->s, (int32_t)i)) status = add_splits(w, (int32_t)i, &merges);
    if (status == HONE_OK && merges.count) qsort(merges.items, merges.count, sizeof *merges.items, by_score);
    put(w, "\"merges\":[");
    for (size_t i = 0; i < merges.count && status == HONE_OK; i++) {
        const hone_piece left = w->pieces.pieces[merges.items[i].left],
                         right = w->pieces.pieces[merges.items[i].right];
        put_merge(w, i, left.text, left.size, right.text, right.size);
    }
    put(w, "]");
    hone_free(merges.items);
    return status;
}

static hone_status put_listed_merges(writer *w) {
    put(w, "\"merges\":[");
    for (size_t i = 0; i < w->s->merge_count; i++) {
        const hone_text_slice m = w->s->merges[i];
        /* of pieces with spaces in them the first one may begin with one */
        const char *space = m.size > 1 ? memchr(m.data + 1, ' ', m.size - 1) : NULL;
        if (!space || !hone_utf8_is_valid(m.data, m.size))
            return hone_fail(w->err, HONE_CORRUPT, "merge %zu is no pair of pieces", i);
        put_merge(w, i, m.data, (size_t)(space - m.data), space + 1, (size_t)(m.data + m.size - space - 1));
    }
    put(w, "]");
    return HONE_OK;
}

/* --- models --- */

/* SentencePiece's BPE: spaces are marks, what is unknown is bytes. */
static void put_marks(writer *w, bool prefix) {
    put(w, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    if (prefix) put(w, "{\"type\":\"Prepend\",\"prepend\":\"" MARK "\"},");
    put(w, "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" MARK "\"}]},\n"
           "\"pre_tokenizer\":null,\n"
           "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":"
           "\"" MARK "\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}");
    if (prefix) put(w, ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}");
    put(w, "]},\n");
}

static void put_bpe(writer *w, bool fallback, bool ignore_merges) {
    put(w, "\"model\":{\"type\":\"BPE\",\"dropout\":null,");
    put_unknown(w, "\"unk_token\":", false);
    put(w, ",\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":");
    put(w, fallback ? "true,\"byte_fallback\":true" : "false,\"byte_fallback\":false");
    put(w, ignore_merges ? ",\"ignore_merges\":true," : ",\"ignore_merges\":false,");
    put_pieces(w);
    put(w, ",");
}

static hone_status put_llama(writer *w) {
    put_marks(w, chosen(w->s->add_space_prefix, true));
    put_template(w, chosen(w->s->add_bos, true), w->s->bos, chosen(w->s->add_eos, false), w->s->eos);
    put_bpe(w, true, false);
    return put_scored_merges(w);
}

static void put_split(writer *w, const char *pattern) {
    put(w, "{\"type\":\"Split\",\"pattern\":{\"Regex\":");
    put_text(w, pattern, strlen(pattern));
    put(w, "},\"behavior\":\"Isolated\",\"invert\":false},");
}

#define BYTES(regex)                                                                                         \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":" regex "}"

static void put_parts(writer *w, const hone_split_preset *p) {
    const bool prefix = chosen(w->s->add_space_prefix, false);
    put(w, p->nfc ? "\"normalizer\":{\"type\":\"NFC\"},\n" : "\"normalizer\":null,\n");
    put(w, "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[");
    if (p->punctuation) put(w, "{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"},");
    if (p->digits) put(w, "{\"type\":\"Digits\",\"individual_digits\":true},");
    /* GPT-2's pattern comes first where there are both: what is behind it parts its parts */
    if (p->gpt2 && p->patterns[0]) put(w, BYTES("true") ",");
    for (size_t i = 0; i < HONE_PRESET_PATTERNS && p->patterns[i]; i++) put_split(w, p->patterns[i]);
    if (p->gpt2 && p->patterns[0]) w->json.size--; /* the comma */
    if (!p->gpt2)
        put(w, prefix ? "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_"
                        "regex\":false}"
                      : BYTES("false"));
    else if (!p->patterns[0])
        put(w, prefix ? "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_"
                        "regex\":true}"
                      : BYTES("true"));
    put(w, "]},\n\"decoder\":" BYTES("true") ",\n");
}

static hone_status put_gpt2(writer *w) {
    const char *pre = is(w->s->model, "gemma4") ? "gemma4" : w->s->pre;
    if (!pre)
        return hone_fail(w->err, HONE_UNSUPPORTED,
                         "the vocabulary does not name the patterns that part its texts");
    const hone_split_preset *p = hone_split_preset_find(pre);
    if (!p)
        return hone_fail(w->err, HONE_UNSUPPORTED, "the patterns '%.60s', which part texts, are not known",
                         pre);
    if (p->marks)
        put_marks(w, chosen(w->s->add_space_prefix, false));
    else
        put_parts(w, p);
    put_template(w, chosen(w->s->add_bos, p->add_bos), w->s->bos, chosen(w->s->add_eos, false), w->s->eos);
    put_bpe(w, p->marks, p->ignore_merges);
    return put_listed_merges(w);
}

static hone_status put_bert(writer *w) {
    bool lower = chosen(w->s->lowercase, true);
    put(w, "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
           "\"strip_accents\":null,\"lowercase\":");
    put(w, lower ? "true},\n" : "false},\n");
    put(w, "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\n"
           "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},\n");
    int32_t last = w->s->separator >= 0 ? w->s->separator : w->s->eos;
    put_template(w, chosen(w->s->add_bos, true), w->s->bos, chosen(w->s->add_eos, true), last);
    put(w, "\"model\":{\"type\":\"WordPiece\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_"
           "word\":100,");
    put_unknown(w, "\"unk_token\":", false);
    put(w, ",");
    put_pieces(w);
    return HONE_OK;
}

static hone_status put_t5(writer *w) {
    bool prefix = chosen(w->s->add_space_prefix, true);
    const char *scheme = prefix ? "always" : "never";
    if (!w->s->scores) return hone_fail(w->err, HONE_CORRUPT, "the tokens have no scores");
    put(w, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    if (w->s->charsmap_size) {
        put(w, "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"");
        if (!hone_charsmap_encode(w->s->charsmap, w->s->charsmap_size, &w->json)) w->failed = true;
        put(w, chosen(w->s->remove_extra_spaces, true) ? "\"}," : "\"}");
    }
    if (chosen(w->s->remove_extra_spaces, true))
        put(w, "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true},"
               "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}");
    put(w, "]},\n");
    for (int k = 0; k < 2; k++) {
        put(w, k ? "\"decoder\"" : "\"pre_tokenizer\"");
        put(w, ":{\"type\":\"Metaspace\",\"replacement\":\"" MARK "\",\"split\":true,\"prepend_scheme\":\"");
        put(w, scheme);
        put(w, "\"},\n");
    }
    put_template(w, chosen(w->s->add_bos, false), w->s->bos, chosen(w->s->add_eos, true), w->s->eos);
    put(w, "\"model\":{\"type\":\"Unigram\",\"byte_fallback\":false,");
    put_unknown(w, "\"unk_id\":", true);
    put(w, ",\"vocab\":[");
    for (size_t i = 0; i < w->s->token_count; i++) {
        char score[40];
        put(w, i ? ",[" : "[");
        put_piece(w, (int32_t)i);
        snprintf(score, sizeof score, ",%.9g]", (double)w->s->scores[i]);
        put(w, score);
    }
    put(w, "]");
    return HONE_OK;
}

static hone_status put_all(writer *w) {
    static const struct {
        const char *model;
        hone_status (*put)(writer *w);
    } rows[] = {
        {"llama", put_llama}, {"gpt2", put_gpt2}, {"gemma4", put_gpt2}, {"bert", put_bert}, {"t5", put_t5}};
    for (size_t i = 0; i < w->s->token_count; i++) HONE_TRY(add_token(w, i));
    put(w, "{\"version\":\"1.0\",\"truncation\":null,\n");
    put_padding(w);
    put_added(w);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!is(rows[i].model, w->s->model)) continue;
        HONE_TRY(rows[i].put(w));
        put(w, "}}\n");
        return w->failed ? hone_fail_memory(w->err) : HONE_OK;
    }
    return hone_fail(w->err, HONE_UNSUPPORTED, "a vocabulary of the model '%.60s' is not supported",
                     w->s->model);
}

hone_status hone_tokenizer_from_vocabulary(const hone_vocabulary_source *source, hone_tokenizer **out,
                                           hone_error *err) {
    HONE_TRY(check(source, err));
    writer w = {.s = source, .arena = hone_arena_new(), .err = err};
    if (!w.arena) return hone_fail_memory(err);
    w.pieces.arena = w.arena;
    hone_status status = put_all(&w);
    hone_vocabulary_free(&w.pieces);
    hone_arena_free(w.arena);
    if (status == HONE_OK) status = hone_tokenizer_parse(w.json.data, w.json.size, out, err);
    hone_bytes_free(&w.json);
    return status;
}
