/* The steps of tokenizer.json: normalizer, pre_tokenizer, decoder. Each type is a row that says which steps it becomes. */
#include "text/tokenizer.h"

#include <jansson.h>
#include <stdio.h>

enum { MAX_DEPTH = 8 };

/* What reads one object. Steps are added where `tail` points. */
typedef struct reader {
    hone_tokenizer *t;
    const char *part; /* "normalizer", for messages */
    void **tail;
    int depth;
    hone_error *err;
} reader;

typedef hone_status read_fn(reader *r, const json_t *json);
typedef struct row {
    const char *type;
    read_fn *read;
} row;

static hone_status read_object(reader *r, const row *rows, size_t count, const json_t *json) {
    const char *type = json_string_value(json_object_get(json, "type"));
    if (!json || json_is_null(json)) return HONE_OK;
    if (!type) return hone_fail(r->err, HONE_CORRUPT, "%s: an object with a \"type\" is needed", r->part);
    if (strcmp(type, "Sequence") == 0) {
        static const char *const lists[] = {"normalizers", "pretokenizers", "decoders"};
        const json_t *list = NULL, *item;
        size_t i;
        for (size_t k = 0; k < 3 && !list; k++) list = json_object_get(json, lists[k]);
        if (!json_is_array(list))
            return hone_fail(r->err, HONE_CORRUPT, "%s: a Sequence without a list", r->part);
        if (++r->depth > MAX_DEPTH)
            return hone_fail(r->err, HONE_UNSUPPORTED, "%s: Sequences are too deep", r->part);
        json_array_foreach(list, i, item) HONE_TRY(read_object(r, rows, count, item));
        r->depth--;
        return HONE_OK;
    }
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].type, type) == 0) return rows[i].read(r, json);
    return hone_fail(r->err, HONE_UNSUPPORTED, "%s: the type '%.60s' is not supported", r->part, type);
}

/* A new step of `size` bytes at the end of the chain, whose last field is `next`; NULL when out of memory. */
static void *add_step(reader *r, size_t size, size_t next) {
    char *step = hone_arena_alloc(r->t->arena, size);
    if (!step) return NULL;
    *r->tail = step;
    r->tail = (void **)(void *)(step + next);
    return step;
}

/* --- fields --- */

static bool get_bool(const json_t *json, const char *key, bool usual) {
    const json_t *v = json_object_get(json, key);
    return json_is_boolean(v) ? json_is_true(v) : usual;
}

/* A text without zeros, in the arena. */
static hone_status get_text(reader *r, const json_t *json, const char *key, const char *usual,
                            const char **out) {
    const json_t *v = json_object_get(json, key);
    const char *text = json_is_string(v) ? json_string_value(v) : usual;
    if (!text) return hone_fail(r->err, HONE_CORRUPT, "%s: the text \"%s\" is missing", r->part, key);
    *out = hone_arena_strdup(r->t->arena, text);
    return *out ? HONE_OK : hone_fail_memory(r->err);
}

/* {"Regex": "…"} or {"String": "…"}, or a text. */
static hone_status get_pattern(reader *r, const json_t *json, const char *key, const hone_pattern **out) {
    const json_t *v = json_object_get(json, key), *regex = json_object_get(v, "Regex");
    const json_t *text = json_is_string(v) ? v : regex ? regex : json_object_get(v, "String");
    if (!json_is_string(text)) return hone_fail(r->err, HONE_CORRUPT, "%s: a \"%s\" is needed", r->part, key);
    return hone_pattern_compile(r->t->arena, json_string_value(text), json_string_length(text), !regex, out,
                                r->err);
}

static hone_status done(reader *r, hone_charset *s) {
    return hone_charset_done(s) ? HONE_OK : hone_fail_memory(r->err);
}

/* --- normalizers --- */

static hone_status add_normalizer(reader *r, enum hone_normalizer_kind kind, hone_normalizer **out) {
    if (!(*out = add_step(r, sizeof **out, offsetof(hone_normalizer, next)))) return hone_fail_memory(r->err);
    (*out)->kind = kind;
    (*out)->set.arena = (*out)->space.arena = r->t->arena;
    hone_charset_add_space(&(*out)->space);
    return done(r, &(*out)->space);
}

static hone_status add_form(reader *r, bool compose, bool compatible) {
    hone_normalizer *n;
    HONE_TRY(add_normalizer(r, HONE_NORMALIZE_FORM, &n));
    n->compose = compose;
    n->compatible = compatible;
    return HONE_OK;
}

static hone_status read_form(reader *r, const json_t *json) {
    const char *type = json_string_value(json_object_get(json, "type")), *form = type + 2; /* behind "NF" */
    return add_form(r, strchr(form, 'C') != NULL, *form == 'K');
}

static hone_status add_strip_accents(reader *r, const char *category) {
    hone_normalizer *n;
    HONE_TRY(add_normalizer(r, HONE_NORMALIZE_STRIP_ACCENTS, &n));
    hone_charset_add_category(&n->set, category, strlen(category));
    return done(r, &n->set);
}

static hone_status read_lowercase(reader *r, const json_t *json) {
    hone_normalizer *n;
    (void)json;
    return add_normalizer(r, HONE_NORMALIZE_LOWERCASE, &n);
}

static hone_status read_strip_accents(reader *r, const json_t *json) {
    (void)json;
    return add_strip_accents(r, "M");
}

static hone_status read_bytes(reader *r, const json_t *json) {
    hone_normalizer *n;
    (void)json;
    return add_normalizer(r, HONE_NORMALIZE_BYTES, &n);
}

static hone_status add_clean(reader *r) {
    static const char names[][3] = {"Cc", "Cf", "Co"};
    hone_normalizer *n;
    HONE_TRY(add_normalizer(r, HONE_NORMALIZE_CLEAN, &n));
    hone_charset kept = {.arena = r->t->arena};
    for (size_t i = 0; i < 3; i++) hone_charset_add_category(&n->set, names[i], 2);
    hone_charset_add(&kept, '\t', '\n');
    hone_charset_add(&kept, '\r', '\r');
    hone_charset_invert(&kept);
    hone_charset_intersect(&n->set, &kept);
    return done(r, &n->set);
}

static hone_status read_bert(reader *r, const json_t *json) {
    bool lower = get_bool(json, "lowercase", true);
    hone_normalizer *n;
    if (get_bool(json, "clean_text", true)) HONE_TRY(add_clean(r));
    if (get_bool(json, "handle_chinese_chars", true)) HONE_TRY(add_normalizer(r, HONE_NORMALIZE_CHINESE, &n));
    if (get_bool(json, "strip_accents", lower)) {
        HONE_TRY(add_form(r, false, false));
        HONE_TRY(add_strip_accents(r, "Mn"));
    }
    return lower ? read_lowercase(r, json) : HONE_OK;
}

static hone_status read_strip(reader *r, const json_t *json) {
    hone_normalizer *n;
    HONE_TRY(add_normalizer(r, HONE_NORMALIZE_STRIP, &n));
    n->left = get_bool(json, "strip_left", true);
    n->right = get_bool(json, "strip_right", true);
    return HONE_OK;
}

static hone_status read_replace(reader *r, const json_t *json) {
    hone_normalizer *n;
    HONE_TRY(add_normalizer(r, HONE_NORMALIZE_REPLACE, &n));
    HONE_TRY(get_text(r, json, "content", NULL, &n->text));
    n->text_size = strlen(n->text);
    return get_pattern(r, json, "pattern", &n->pattern);
}

static hone_status read_prepend(reader *r, const json_t *json) {
    hone_normalizer *n;
    HONE_TRY(add_normalizer(r, HONE_NORMALIZE_PREPEND, &n));
    HONE_TRY(get_text(r, json, "prepend", NULL, &n->text));
    n->text_size = strlen(n->text);
    return HONE_OK;
}

static hone_status read_precompiled(reader *r, const json_t *json) {
    const json_t *table = json_object_get(json, "precompiled_charsmap");
    hone_normalizer *n;
    if (!json_is_string(table))
        return hone_fail(r->err, HONE_CORRUPT, "%s: the text \"precompiled_charsmap\" is missing", r->part);
    if (json_string_length(table) == 0) return HONE_OK;
    HONE_TRY(add_normalizer(r, HONE_NORMALIZE_CHARSMAP, &n));
    return hone_charsmap_decode(r->t->arena, json_string_value(table), json_string_length(table),
                                &n->charsmap, r->err);
}

hone_status hone_read_normalizer(hone_tokenizer *t, const json_t *json, hone_normalizer **chain,
                                 hone_error *err) {
    static const row rows[] = {{"NFC", read_form},
                               {"NFD", read_form},
                               {"NFKC", read_form},
                               {"NFKD", read_form},
                               {"Lowercase", read_lowercase},
                               {"Strip", read_strip},
                               {"StripAccents", read_strip_accents},
                               {"BertNormalizer", read_bert},
                               {"Replace", read_replace},
                               {"Prepend", read_prepend},
                               {"Precompiled", read_precompiled},
                               {"ByteLevel", read_bytes}};
    void *head = NULL;
    reader r = {t, "normalizer", &head, 0, err};
    HONE_TRY(read_object(&r, rows, sizeof rows / sizeof *rows, json));
    *chain = head;
    return HONE_OK;
}

/* --- pre-tokenizers --- */

/* GPT-2's own. */
#define BYTE_LEVEL "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

static hone_status add_splitter(reader *r, enum hone_split_kind kind, enum hone_split_behavior behavior,
                                hone_splitter **out) {
    if (!(*out = add_step(r, sizeof **out, offsetof(hone_splitter, next)))) return hone_fail_memory(r->err);
    (*out)->kind = kind;
    (*out)->behavior = behavior;
    (*out)->set.arena = r->t->arena;
    return HONE_OK;
}

static hone_status get_behavior(reader *r, const json_t *json, enum hone_split_behavior *out) {
    static const struct {
        const char *name;
        enum hone_split_behavior behavior;
    } names[] = {{"Removed", HONE_REMOVED},
                 {"Isolated", HONE_ISOLATED},
                 {"MergedWithPrevious", HONE_MERGED_WITH_PREVIOUS},
                 {"MergedWithNext", HONE_MERGED_WITH_NEXT},
                 {"Contiguous", HONE_CONTIGUOUS}};
    const char *name = json_string_value(json_object_get(json, "behavior"));
    *out = HONE_ISOLATED;
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i].name, name) != 0) continue;
        *out = names[i].behavior;
        return HONE_OK;
    }
    return name ? hone_fail(r->err, HONE_UNSUPPORTED, "%s: no behavior '%.60s'", r->part, name) : HONE_OK;
}

static hone_status read_split(reader *r, const json_t *json) {
    hone_splitter *s;
    HONE_TRY(add_splitter(r, HONE_SPLIT_PATTERN, HONE_ISOLATED, &s));
    HONE_TRY(get_behavior(r, json, &s->behavior));
    s->invert = get_bool(json, "invert", false);
    return get_pattern(r, json, "pattern", &s->pattern);
}

static hone_status read_byte_level(reader *r, const json_t *json) {
    hone_splitter *s;
    if (get_bool(json, "add_prefix_space", true))
        HONE_TRY(add_splitter(r, HONE_SPLIT_SPACE, HONE_ISOLATED, &s));
    if (get_bool(json, "use_regex", true)) {
        HONE_TRY(add_splitter(r, HONE_SPLIT_PATTERN, HONE_ISOLATED, &s));
        HONE_TRY(
            hone_pattern_compile(r->t->arena, BYTE_LEVEL, strlen(BYTE_LEVEL), false, &s->pattern, r->err));
    }
    return add_splitter(r, HONE_SPLIT_BYTES, HONE_ISOLATED, &s);
}

static hone_status add_space_split(reader *r) {
    hone_splitter *s;
    HONE_TRY(add_splitter(r, HONE_SPLIT_CHARACTERS, HONE_REMOVED, &s));
    hone_charset_add_space(&s->set);
    return done(r, &s->set);
}

static hone_status read_whitespace_split(reader *r, const json_t *json) {
    (void)json;
    return add_space_split(r);
}

static hone_status read_whitespace(reader *r, const json_t *json) {
    /* what joins emoji counts as a part of words here (Unicode, UTS 18) */
    static const char words[] = "[\\w\\x{200C}\\x{200D}]+|[^\\w\\s\\x{200C}\\x{200D}]+";
    hone_splitter *s;
    (void)json;
    HONE_TRY(add_splitter(r, HONE_SPLIT_PATTERN, HONE_REMOVED, &s));
    s->invert = true;
    return hone_pattern_compile(r->t->arena, words, strlen(words), false, &s->pattern, r->err);
}

static hone_status add_punctuation(reader *r, enum hone_split_behavior behavior) {
    static const char ascii[] = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    hone_splitter *s;
    HONE_TRY(add_splitter(r, HONE_SPLIT_CHARACTERS, behavior, &s));
    hone_charset_add_category(&s->set, "P", 1);
    for (const char *c = ascii; *c; c++) hone_charset_add(&s->set, (unsigned char)*c, (unsigned char)*c);
    return done(r, &s->set);
}

static hone_status read_punctuation(reader *r, const json_t *json) {
    enum hone_split_behavior behavior;
    HONE_TRY(get_behavior(r, json, &behavior));
    return add_punctuation(r, behavior);
}

static hone_status read_bert_split(reader *r, const json_t *json) {
    (void)json;
    HONE_TRY(add_space_split(r));
    return add_punctuation(r, HONE_ISOLATED);
}

static hone_status read_digits(reader *r, const json_t *json) {
    bool each = get_bool(json, "individual_digits", false);
    hone_splitter *s;
    HONE_TRY(add_splitter(r, HONE_SPLIT_CHARACTERS, each ? HONE_ISOLATED : HONE_CONTIGUOUS, &s));
    hone_charset_add_category(&s->set, "N", 1);
    return done(r, &s->set);
}

static hone_status read_delimiter(reader *r, const json_t *json) {
    hone_splitter *s;
    const char *c;
    HONE_TRY(get_text(r, json, "delimiter", NULL, &c));
    HONE_TRY(add_splitter(r, HONE_SPLIT_PATTERN, HONE_REMOVED, &s));
    return hone_pattern_compile(r->t->arena, c, strlen(c), true, &s->pattern, r->err);
}

/* "always", "first", "never"; older files say add_prefix_space. */
static const char *prepend_scheme(const json_t *json) {
    const char *scheme = json_string_value(json_object_get(json, "prepend_scheme"));
    return scheme ? scheme : get_bool(json, "add_prefix_space", true) ? "always" : "never";
}

static hone_status read_metaspace(reader *r, const json_t *json) {
    hone_splitter *s;
    const char *mark, *scheme = prepend_scheme(json);
    HONE_TRY(get_text(r, json, "replacement", "\xe2\x96\x81", &mark));
    HONE_TRY(add_splitter(r, HONE_SPLIT_METASPACE, HONE_ISOLATED, &s));
    s->text = mark;
    s->prepend = strcmp(scheme, "never") != 0;
    s->first_only = strcmp(scheme, "first") == 0;
    if (!get_bool(json, "split", true)) return HONE_OK;
    HONE_TRY(add_splitter(r, HONE_SPLIT_PATTERN, HONE_MERGED_WITH_NEXT, &s));
    return hone_pattern_compile(r->t->arena, mark, strlen(mark), true, &s->pattern, r->err);
}

hone_status hone_read_splitter(hone_tokenizer *t, const json_t *json, hone_splitter **chain,
                               hone_error *err) {
    static const row rows[] = {{"Split", read_split},
                               {"ByteLevel", read_byte_level},
                               {"Whitespace", read_whitespace},
                               {"WhitespaceSplit", read_whitespace_split},
                               {"Punctuation", read_punctuation},
                               {"BertPreTokenizer", read_bert_split},
                               {"Digits", read_digits},
                               {"CharDelimiterSplit", read_delimiter},
                               {"Metaspace", read_metaspace}};
    void *head = NULL;
    reader r = {t, "pre_tokenizer", &head, 0, err};
    HONE_TRY(read_object(&r, rows, sizeof rows / sizeof *rows, json));
    *chain = head;
    return HONE_OK;
}

/* --- decoders --- */

static hone_status add_decoder(reader *r, enum hone_decoder_kind kind, hone_decoder **out) {
    if (!(*out = add_step(r, sizeof **out, offsetof(hone_decoder, next)))) return hone_fail_memory(r->err);
    (*out)->kind = kind;
    return HONE_OK;
}

static hone_status decode_bytes(reader *r, const json_t *json) {
    hone_decoder *d;
    (void)json;
    HONE_TRY(add_decoder(r, HONE_DECODE_BYTES, &d)); /* each piece for itself, and then all are one */
    return add_decoder(r, HONE_DECODE_FUSE, &d);
}

static hone_status decode_wordpiece(reader *r, const json_t *json) {
    hone_decoder *d;
    HONE_TRY(add_decoder(r, HONE_DECODE_WORDPIECE, &d));
    d->cleanup = get_bool(json, "cleanup", true);
    return get_text(r, json, "prefix", "##", &d->text);
}

static hone_status decode_suffix(reader *r, const json_t *json) {
    hone_decoder *d;
    HONE_TRY(add_decoder(r, HONE_DECODE_SUFFIX, &d));
    return get_text(r, json, "suffix", "</w>", &d->text);
}

static hone_status decode_replace(reader *r, const json_t *json) {
    hone_decoder *d;
    HONE_TRY(add_decoder(r, HONE_DECODE_REPLACE, &d));
    d->replace.kind = HONE_NORMALIZE_REPLACE;
    HONE_TRY(get_text(r, json, "content", NULL, &d->replace.text));
    d->replace.text_size = strlen(d->replace.text);
    return get_pattern(r, json, "pattern", &d->replace.pattern);
}

static hone_status decode_fallback(reader *r, const json_t *json) {
    hone_decoder *d;
    (void)json;
    return add_decoder(r, HONE_DECODE_FALLBACK, &d);
}

static hone_status decode_fuse(reader *r, const json_t *json) {
    hone_decoder *d;
    (void)json;
    return add_decoder(r, HONE_DECODE_FUSE, &d);
}

static hone_status decode_strip(reader *r, const json_t *json) {
    hone_decoder *d;
    HONE_TRY(add_decoder(r, HONE_DECODE_STRIP, &d));
    d->start = (int)json_integer_value(json_object_get(json, "start"));
    d->stop = (int)json_integer_value(json_object_get(json, "stop"));
    return get_text(r, json, "content", " ", &d->text);
}

static hone_status decode_metaspace(reader *r, const json_t *json) {
    hone_decoder *d;
    HONE_TRY(add_decoder(r, HONE_DECODE_METASPACE, &d));
    d->prepend = strcmp(prepend_scheme(json), "never") != 0;
    return get_text(r, json, "replacement", "\xe2\x96\x81", &d->text);
}

hone_status hone_read_decoder(hone_tokenizer *t, const json_t *json, hone_decoder **chain, hone_error *err) {
    static const row rows[] = {{"ByteLevel", decode_bytes},       {"WordPiece", decode_wordpiece},
                               {"BPEDecoder", decode_suffix},     {"Replace", decode_replace},
                               {"ByteFallback", decode_fallback}, {"Fuse", decode_fuse},
                               {"Strip", decode_strip},           {"Metaspace", decode_metaspace}};
    void *head = NULL;
    reader r = {t, "decoder", &head, 0, err};
    HONE_TRY(read_object(&r, rows, sizeof rows / sizeof *rows, json));
    *chain = head;
    return HONE_OK;
}
