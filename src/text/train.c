/* Tokenizers made from texts: words are counted as the tokenizer will see them, and its tokenizer.json is written and read. */
#include "base/utf8.h"
#include "text/pairs.h"
#include "text/tokenizer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_ALPHABET = 1000, LEAST_BPE = 258, LEAST_WORDS = 3, MAX_SIZE = 1 << 20 };

/* One kind of tokenizer: what stands around its model in the file. */
typedef struct kind {
    const char *name;
    int least; /* ids */
    const char *specials[8];
    const char *file; /* without added_tokens and model */
    hone_status (*learn)(hone_tokenizer_trainer *t, json_t *model, hone_error *err);
} kind;

struct hone_tokenizer_trainer {
    const kind *kind;
    size_t size;
    hone_tokenizer *frame; /* with an empty model */
    hone_encoder *encoder;
    hone_arena *arena;
    hone_vocabulary words;
    int64_t *counts;
    size_t count_capacity;
};

/* --- counting --- */

static hone_status count_word(hone_tokenizer_trainer *t, const char *text, size_t size, hone_error *err) {
    int32_t id = hone_vocabulary_find(&t->words, text, size);
    if (id == HONE_NO_ID) {
        id = (int32_t)t->words.count;
        if (t->words.count + 1 > t->count_capacity &&
            !hone_reserve(&t->counts, &t->count_capacity, t->words.count + 1, sizeof *t->counts))
            return hone_fail_memory(err);
        if (id + 1 == HONE_MAX_ID)
            return hone_fail(err, HONE_UNSUPPORTED, "the texts have more than %d different words",
                             HONE_MAX_ID - 1);
        HONE_TRY(hone_vocabulary_add(&t->words, id, text, size, err));
        t->counts[id] = 0;
    }
    t->counts[id]++;
    return HONE_OK;
}

hone_status hone_tokenizer_trainer_add(hone_tokenizer_trainer *t, const char *text, size_t size,
                                       hone_error *err) {
    const hone_spans *words;
    if (size == 0) return HONE_OK;
    HONE_TRY(hone_encoder_words(t->encoder, text, size, &words, err));
    for (size_t i = 0; i < words->count; i++) {
        hone_span s = words->items[i];
        if (s.end > s.start) HONE_TRY(count_word(t, words->text.data + s.start, s.end - s.start, err));
    }
    return HONE_OK;
}

/* Words by how often they come, then by their bytes. */
typedef struct ranked {
    hone_piece piece;
    int64_t count;
} ranked;

static int by_count(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    size_t n = x->piece.size < y->piece.size ? x->piece.size : y->piece.size;
    int order = memcmp(x->piece.text, y->piece.text, n);
    return order ? order : (x->piece.size > y->piece.size) - (x->piece.size < y->piece.size);
}

static ranked *rank_words(const hone_vocabulary *words, const int64_t *counts) {
    ranked *r = hone_alloc((words->count + 1) * sizeof *r);
    if (!r) return NULL;
    for (size_t i = 0; i < words->count; i++) r[i] = (ranked){words->pieces[i], counts[i]};
    qsort(r, words->count, sizeof *r, by_count);
    return r;
}

/* --- models --- */

static hone_status add_specials(const hone_tokenizer_trainer *t, hone_vocabulary *v, hone_error *err) {
    for (int i = 0; t->kind->specials[i]; i++)
        HONE_TRY(hone_vocabulary_add(v, i, t->kind->specials[i], strlen(t->kind->specials[i]), err));
    return HONE_OK;
}

static hone_status set_vocabulary(json_t *model, const hone_vocabulary *v, hone_error *err) {
    json_t *vocab = json_object();
    bool good = vocab != NULL;
    for (size_t i = 0; i < v->count && good; i++)
        good = json_object_setn_new(vocab, v->pieces[i].text, v->pieces[i].size,
                                    json_integer((json_int_t)i)) == 0;
    if (json_object_set_new(model, "vocab", vocab) != 0 || !good) return hone_fail_memory(err);
    return HONE_OK;
}

static hone_status learn_words(hone_tokenizer_trainer *t, json_t *model, hone_error *err) {
    hone_vocabulary v = {.arena = t->arena};
    ranked *r = rank_words(&t->words, t->counts);
    hone_status status = r ? add_specials(t, &v, err) : hone_fail_memory(err);
    for (size_t i = 0; i < t->words.count && status == HONE_OK && v.count < t->size && r[i].count >= 2; i++)
        if (hone_vocabulary_find(&v, r[i].piece.text, r[i].piece.size) == HONE_NO_ID &&
            hone_utf8_is_valid(r[i].piece.text, r[i].piece.size))
            status = hone_vocabulary_add(&v, (int64_t)v.count, r[i].piece.text, r[i].piece.size, err);
    if (status == HONE_OK) status = set_vocabulary(model, &v, err);
    hone_vocabulary_free(&v);
    hone_free(r);
    return status;
}

/* Words as characters of the vocabulary; those that it has not are left out. */
typedef struct symbols {
    hone_pair_words words;
    hone_ids all;
} symbols;

static bool add_characters(symbols *s, const hone_vocabulary *v, const char *prefix, hone_piece word,
                           size_t index) {
    char text[80];
    size_t mark = strlen(prefix), start = s->all.count;
    memcpy(text, prefix, mark);
    for (const char *at = word.text, *end = word.text + word.size; at < end;) {
        const char *c = at;
        hone_utf8_decode(&at, end);
        size_t n = (size_t)(at - c);
        memcpy(text + mark, c, n);
        int32_t id = c == word.text ? hone_vocabulary_find(v, c, n) : hone_vocabulary_find(v, text, mark + n);
        if (id != HONE_NO_ID && !hone_ids_add(&s->all, id)) return false;
    }
    s->words.starts[index] = start;
    s->words.sizes[index] = (int32_t)(s->all.count - start);
    return true;
}

static hone_status learn_merges(hone_tokenizer_trainer *t, hone_vocabulary *v, const char *prefix,
                                hone_pair **merges, size_t *merge_count, hone_error *err) {
    size_t n = t->words.count;
    symbols s = {.words = {.starts = hone_calloc(n + 1, sizeof(size_t)),
                           .sizes = hone_calloc(n + 1, sizeof(int32_t)),
                           .counts = t->counts,
                           .count = n}};
    bool good = s.words.starts && s.words.sizes;
    for (size_t i = 0; i < n && good; i++) good = add_characters(&s, v, prefix, t->words.pieces[i], i);
    s.words.symbols = s.all.items;
    hone_status status = good ? hone_learn_pairs(v, t->size, prefix, &s.words, merges, merge_count, err)
                              : hone_fail_memory(err);
    hone_free(s.words.starts);
    hone_free(s.words.sizes);
    hone_free(s.all.items);
    return status;
}

/* "left right", where no piece has a space in it. */
static hone_status set_merges(json_t *model, const hone_vocabulary *v, const hone_pair *merges, size_t count,
                              hone_error *err) {
    json_t *list = json_array();
    hone_bytes text = {NULL, 0, 0};
    bool good = list != NULL;
    for (size_t i = 0; i < count && good; i++) {
        const hone_piece a = v->pieces[merges[i].left], b = v->pieces[merges[i].right];
        text.size = 0;
        good = hone_bytes_add(&text, a.text, a.size) && hone_bytes_add(&text, " ", 1) &&
               hone_bytes_add(&text, b.text, b.size) &&
               json_array_append_new(list, json_stringn(text.data, text.size)) == 0;
    }
    hone_bytes_free(&text);
    if (json_object_set_new(model, "merges", list) != 0 || !good) return hone_fail_memory(err);
    return HONE_OK;
}

static int by_code(const void *a, const void *b) {
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static hone_status learn_bpe(hone_tokenizer_trainer *t, json_t *model, hone_error *err) {
    hone_vocabulary v = {.arena = t->arena};
    hone_pair *merges = NULL;
    size_t merge_count = 0;
    uint32_t alphabet[256];
    hone_status status = add_specials(t, &v, err);
    for (int b = 0; b < 256; b++) alphabet[b] = hone_byte_character((unsigned char)b);
    qsort(alphabet, 256, sizeof *alphabet, by_code);
    for (int i = 0; i < 256 && status == HONE_OK; i++) {
        char c[4];
        status = hone_vocabulary_add(&v, (int64_t)v.count, c, hone_utf8_encode(alphabet[i], c), err);
    }
    if (status == HONE_OK) status = learn_merges(t, &v, "", &merges, &merge_count, err);
    if (status == HONE_OK) status = set_vocabulary(model, &v, err);
    if (status == HONE_OK) status = set_merges(model, &v, merges, merge_count, err);
    hone_free(merges);
    hone_vocabulary_free(&v);
    return status;
}

typedef struct character {
    uint32_t c;
    int64_t count;
} character;

static int by_use(const void *a, const void *b) {
    const character *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return (x->c > y->c) - (x->c < y->c);
}

/* The most frequent characters of all words, in the order of their code points; how many. They take no more than half
 * of the ids, as each is there twice. */
static size_t choose_alphabet(const hone_tokenizer_trainer *t, character *all, uint32_t *chosen) {
    size_t count = 0;
    for (uint32_t c = 0; c < HONE_UNICODE_END + 256; c++) all[c].c = c;
    for (size_t i = 0; i < t->words.count; i++)
        for (const char *at = t->words.pieces[i].text, *end = at + t->words.pieces[i].size; at < end;)
            all[hone_utf8_decode(&at, end)].count += t->counts[i];
    qsort(all, HONE_UNICODE_END, sizeof *all, by_use); /* without bytes that are no UTF-8 */
    while (count < MAX_ALPHABET && count < t->size / 4 && all[count].count > 0) count++;
    for (size_t i = 0; i < count; i++) chosen[i] = all[i].c;
    qsort(chosen, count, sizeof *chosen, by_code);
    return count;
}

static hone_status add_alphabet(const hone_tokenizer_trainer *t, hone_vocabulary *v, hone_error *err) {
    character *all = hone_calloc(HONE_UNICODE_END + 256, sizeof *all);
    uint32_t *chosen = hone_calloc(MAX_ALPHABET, sizeof *chosen);
    hone_status status = all && chosen ? HONE_OK : hone_fail_memory(err);
    size_t count = status == HONE_OK ? choose_alphabet(t, all, chosen) : 0;
    hone_free(all);
    for (int inner = 0; inner < 2; inner++)
        for (size_t i = 0; i < count && status == HONE_OK; i++) {
            char text[8] = "##";
            size_t n = hone_utf8_encode(chosen[i], text + 2);
            status =
                hone_vocabulary_add(v, (int64_t)v->count, inner ? text : text + 2, inner ? n + 2 : n, err);
        }
    hone_free(chosen);
    return status;
}

static hone_status learn_wordpiece(hone_tokenizer_trainer *t, json_t *model, hone_error *err) {
    hone_vocabulary v = {.arena = t->arena};
    hone_pair *merges = NULL;
    size_t merge_count;
    hone_status status = add_specials(t, &v, err);
    if (status == HONE_OK) status = add_alphabet(t, &v, err);
    if (status == HONE_OK) status = learn_merges(t, &v, "##", &merges, &merge_count, err);
    if (status == HONE_OK) status = set_vocabulary(model, &v, err);
    hone_free(merges);
    hone_vocabulary_free(&v);
    return status;
}

/* --- kinds --- */

#define BERT_PARTS                                                                                           \
    "\"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": true,"   \
    " \"strip_accents\": null, \"lowercase\": true}, \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}"

static const kind kinds[] = {
    {"bpe",
     LEAST_BPE,
     {"<pad>", "</s>"},
     "{\"normalizer\": null,"
     " \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, "
     "\"use_regex\": true},"
     " \"post_processor\": null,"
     " \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, "
     "\"use_regex\": true},"
     " \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"continuing_subword_prefix\": "
     "null,"
     " \"end_of_word_suffix\": null, \"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": false,"
     " \"vocab\": {}, \"merges\": []}}",
     learn_bpe},
    {"wordpiece",
     100,
     {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"},
     "{" BERT_PARTS
     ", \"post_processor\": {\"type\": \"BertProcessing\", \"sep\": [\"[SEP]\", 3], \"cls\": [\"[CLS]\", 2]},"
     " \"decoder\": {\"type\": \"WordPiece\", \"prefix\": \"##\", \"cleanup\": true},"
     " \"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", \"continuing_subword_prefix\": \"##\","
     " \"max_input_chars_per_word\": 100, \"vocab\": {}}}",
     learn_wordpiece},
    {"words",
     LEAST_WORDS,
     {"[PAD]", "[UNK]"},
     "{" BERT_PARTS ", \"post_processor\": null, \"decoder\": null,"
     " \"model\": {\"type\": \"WordLevel\", \"unk_token\": \"[UNK]\", \"vocab\": {}}}",
     learn_words},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* The file without a vocabulary; the caller's. */
static json_t *make_file(const kind *k) {
    json_t *file = json_object(), *added = json_array(), *parts = json_loads(k->file, 0, NULL);
    bool good = file && added && parts;
    for (int i = 0; k->specials[i] && good; i++)
        good = json_array_append_new(added, json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", i,
                                                      "content", k->specials[i], "single_word", 0, "lstrip",
                                                      0, "rstrip", 0, "normalized", 0, "special", 1)) == 0;
    good = good && json_object_set_new(file, "version", json_string("1.0")) == 0 &&
           json_object_set_new(file, "truncation", json_null()) == 0 &&
           json_object_set_new(file, "padding", json_null()) == 0 &&
           json_object_set(file, "added_tokens", added) == 0 && json_object_update(file, parts) == 0;
    json_decref(added);
    json_decref(parts);
    if (good) return file;
    json_decref(file);
    return NULL;
}

static hone_status parse_file(const json_t *file, hone_tokenizer **out, hone_error *err) {
    char *text = json_dumps(file, JSON_INDENT(1));
    if (!text) return hone_fail_memory(err);
    hone_status status = hone_tokenizer_parse(text, strlen(text), out, err);
    free(text);
    return status;
}

/* An empty vocabulary has no [UNK]: the frame's model is words without one. */
static hone_status make_frame(hone_tokenizer_trainer *t, hone_error *err) {
    json_t *file = make_file(t->kind);
    json_t *model = json_pack("{s:s, s:{}}", "type", "WordLevel", "vocab");
    if (!file || json_object_set_new(file, "model", model) != 0) {
        json_decref(file);
        return hone_fail_memory(err);
    }
    hone_status status = parse_file(file, &t->frame, err);
    json_decref(file);
    return status;
}

static hone_status read_description(const char *text, hone_tokenizer_trainer *t, hone_error *err) {
    const char *colon = strchr(text, ':');
    for (int i = 0; i < KINDS && colon; i++) {
        const kind *k = &kinds[i];
        if (strlen(k->name) != (size_t)(colon - text) || memcmp(k->name, text, strlen(k->name)) != 0)
            continue;
        char *end;
        long size = strtol(colon + 1, &end, 10);
        if (colon[1] < '0' || colon[1] > '9' || *end || size < k->least || size > MAX_SIZE)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "tokenizer \"%.80s\": %s:N takes N from %d to %d",
                             text, k->name, k->least, MAX_SIZE);
        t->kind = k;
        t->size = (size_t)size;
        return HONE_OK;
    }
    return hone_fail(err, HONE_INVALID_ARGUMENT,
                     "tokenizer \"%.80s\" is not known; there are bpe:N, wordpiece:N, words:N and FILE.json",
                     text);
}

hone_status hone_tokenizer_trainer_new(const char *description, hone_tokenizer_trainer **out,
                                       hone_error *err) {
    hone_tokenizer_trainer *t = hone_calloc(1, sizeof *t);
    if (!t) return hone_fail_memory(err);
    hone_status status = read_description(description, t, err);
    if (status == HONE_OK && !(t->arena = hone_arena_new())) status = hone_fail_memory(err);
    t->words.arena = t->arena;
    if (status == HONE_OK) status = make_frame(t, err);
    if (status == HONE_OK) status = hone_encoder_new(t->frame, &t->encoder, err);
    if (status == HONE_OK)
        *out = t;
    else
        hone_tokenizer_trainer_free(t);
    return status;
}

hone_status hone_tokenizer_trainer_finish(hone_tokenizer_trainer *t, hone_tokenizer **out, hone_error *err) {
    json_t *file = make_file(t->kind);
    if (!file) return hone_fail_memory(err);
    hone_status status = t->words.count
                             ? t->kind->learn(t, json_object_get(file, "model"), err)
                             : hone_fail(err, HONE_INVALID_ARGUMENT, "no text to make a tokenizer from");
    if (status == HONE_OK) status = parse_file(file, out, err);
    json_decref(file);
    return status;
}

void hone_tokenizer_trainer_free(hone_tokenizer_trainer *t) {
    if (!t) return;
    hone_encoder_free(t->encoder);
    hone_tokenizer_free(t->frame);
    hone_vocabulary_free(&t->words);
    hone_free(t->counts);
    hone_arena_free(t->arena);
    hone_free(t);
}
