#include "import/import.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { MOST_TOKENS = 1 << 24 };

typedef struct reader {
    const hone_gguf *file;
    hone_arena *arena;
    hone_vocabulary_source source;
    hone_error *err;
} reader;

static hone_status bad(const reader *r, const char *key, const char *why) {
    return hone_fail_file(r->err, HONE_CORRUPT, hone_gguf_path(r->file), "the key %s %s", key, why);
}

static hone_status read_strings(const reader *r, const char *key, const hone_text_slice **out,
                                size_t *count) {
    hone_gguf_array a;
    if (!hone_gguf_array_of(r->file, key, &a)) return HONE_OK;
    if (a.type != HONE_GGUF_STRING || a.count > MOST_TOKENS) return bad(r, key, "is no list of texts");
    hone_text_slice *s = hone_arena_array(r->arena, (size_t)a.count + 1, sizeof *s);
    if (!s) return hone_fail_memory(r->err);
    for (*count = 0; hone_gguf_next_string(&a, &s[*count].data, &s[*count].size);) ++*count;
    *out = s;
    return HONE_OK;
}

/* As many numbers as there are tokens. */
static hone_status read_numbers(reader *r) {
    const char *const scores = "tokenizer.ggml.scores", *const types = "tokenizer.ggml.token_type";
    const size_t n = r->source.token_count;
    hone_gguf_array a;
    if (hone_gguf_array_of(r->file, scores, &a)) {
        float *x = hone_arena_array(r->arena, n + 1, sizeof *x);
        double y;
        if (!x) return hone_fail_memory(r->err);
        if (a.count != n) return bad(r, scores, "has another length than the tokens");
        for (size_t i = 0; i < n; i++) {
            if (!hone_gguf_next_float(&a, &y)) return bad(r, scores, "is no list of numbers");
            x[i] = (float)y;
        }
        r->source.scores = x;
    }
    if (hone_gguf_array_of(r->file, types, &a)) {
        int32_t *x = hone_arena_array(r->arena, n + 1, sizeof *x);
        int64_t y;
        if (!x) return hone_fail_memory(r->err);
        if (a.count != n) return bad(r, types, "has another length than the tokens");
        for (size_t i = 0; i < n; i++) {
            if (!hone_gguf_next_int(&a, &y) || y < 0 || y > INT32_MAX)
                return bad(r, types, "is no list of types");
            x[i] = (int32_t)y;
        }
        r->source.types = x;
    }
    return HONE_OK;
}

static hone_status read_text(const reader *r, const char *key, const char **out) {
    const char *text;
    size_t size;
    if (!hone_gguf_string(r->file, key, &text, &size)) return HONE_OK;
    if (memchr(text, 0, size)) return bad(r, key, "has a zero in it");
    *out = hone_arena_strndup(r->arena, text, size);
    return *out ? HONE_OK : hone_fail_memory(r->err);
}

static hone_status read_ids(reader *r) {
    hone_vocabulary_source *s = &r->source;
    const struct {
        const char *key;
        int32_t *to;
    } ids[] = {{"bos", &s->bos},
               {"eos", &s->eos},
               {"unknown", &s->unknown},
               {"seperator", &s->separator},
               {"padding", &s->padding}};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        char key[64];
        int64_t id;
        snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", ids[i].key);
        if (!hone_gguf_int(r->file, key, &id)) continue;
        if (id < 0 || (uint64_t)id >= s->token_count) return bad(r, key, "is no token");
        *ids[i].to = (int32_t)id;
    }
    return HONE_OK;
}

static void read_flags(reader *r) {
    hone_vocabulary_source *s = &r->source;
    const struct {
        const char *key;
        int *to;
    } flags[] = {{"tokenizer.ggml.add_bos_token", &s->add_bos},
                 {"tokenizer.ggml.add_eos_token", &s->add_eos},
                 {"tokenizer.ggml.add_space_prefix", &s->add_space_prefix},
                 {"tokenizer.ggml.remove_extra_whitespaces", &s->remove_extra_spaces}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        bool x;
        if (hone_gguf_bool(r->file, flags[i].key, &x)) *flags[i].to = x;
    }
}

/* Bytes, however the file's array calls their type. */
static hone_status read_charsmap(reader *r) {
    const char *const key = "tokenizer.ggml.precompiled_charsmap";
    hone_gguf_array a;
    if (!hone_gguf_array_of(r->file, key, &a)) return HONE_OK;
    if (a.type != HONE_GGUF_U8 && a.type != HONE_GGUF_I8) return bad(r, key, "is no list of bytes");
    r->source.charsmap = a.at;
    r->source.charsmap_size = (size_t)a.count;
    return HONE_OK;
}

static hone_status read_all(reader *r, hone_tokenizer **out) {
    hone_vocabulary_source *s = &r->source;
    HONE_TRY(read_text(r, "tokenizer.ggml.model", &s->model));
    if (!s->model) return HONE_OK; /* the file has no tokenizer */
    HONE_TRY(read_text(r, "tokenizer.ggml.pre", &s->pre));
    HONE_TRY(read_strings(r, "tokenizer.ggml.tokens", &s->tokens, &s->token_count));
    HONE_TRY(read_strings(r, "tokenizer.ggml.merges", &s->merges, &s->merge_count));
    HONE_TRY(read_numbers(r));
    HONE_TRY(read_ids(r));
    HONE_TRY(read_charsmap(r));
    read_flags(r);
    return hone_tokenizer_from_vocabulary(s, out, r->err);
}

hone_status hone_gguf_tokenizer(const hone_gguf *g, hone_tokenizer **out, hone_error *err) {
    const char *text;
    size_t size;
    if (hone_gguf_string(g, "tokenizer.huggingface.json", &text, &size))
        return hone_tokenizer_parse(text, size, out, err);
    reader r = {.file = g, .source = HONE_VOCABULARY_SOURCE_INIT, .arena = hone_arena_new(), .err = err};
    hone_status status = r.arena ? read_all(&r, out) : hone_fail_memory(err);
    hone_arena_free(r.arena);
    return status;
}
