#include "data/symbols.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "graph/tensor.h"

#include <stdlib.h>
#include <string.h>

/* A character, its bytes from the highest on, and the class that it is. */
typedef struct symbol {
    uint32_t key;
    int32_t class;
} symbol;

typedef struct alphabet {
    symbol *at;
    size_t count, capacity;
} alphabet;

/* The character at `text`, and its length; 0: none that can be a class begins there. */
static size_t read_character(const char *text, uint32_t *key) {
    size_t n = hone_utf8_length(text, strnlen(text, 4));
    *key = 0;
    for (size_t i = 0; i < n; i++) *key = *key << 8 | (uint8_t)text[i];
    return *text == '\n' || *text == '\r' ? 0 : n;
}

static int by_key(const void *a, const void *b) {
    uint32_t x = ((const symbol *)a)->key, y = ((const symbol *)b)->key;
    return (x > y) - (x < y);
}

/* Once each, in order. */
static void sort(alphabet *a) {
    size_t kept = 0;
    if (a->count) qsort(a->at, a->count, sizeof *a->at, by_key);
    for (size_t i = 0; i < a->count; i++)
        if (i == 0 || a->at[i].key != a->at[kept - 1].key) a->at[kept++] = a->at[i];
    a->count = kept;
}

static const symbol *find(const alphabet *a, uint32_t key) {
    symbol wanted = {key, 0};
    return a->count ? bsearch(&wanted, a->at, a->count, sizeof wanted, by_key) : NULL;
}

static hone_status add(alphabet *a, uint32_t key, int32_t class, hone_error *err) {
    if (a->count == a->capacity && !hone_reserve(&a->at, &a->capacity, a->count + 1, sizeof *a->at))
        return hone_fail_memory(err);
    a->at[a->count++] = (symbol){key, class};
    return HONE_OK;
}

/* Those of a model; names of more than a character stand for nothing that a text has. */
static hone_status read_classes(const char *text, alphabet *a, hone_error *err) {
    int32_t class = 0;
    for (const char *at = text; *at; class ++) {
        uint32_t key;
        size_t n = strcspn(at, "\n");
        if (class > 0 && n > 0 && read_character(at, &key) == n) HONE_TRY(add(a, key, class, err));
        at += n + (at[n] == '\n');
    }
    sort(a);
    return HONE_OK;
}

static hone_status gather(const char *const *texts, size_t count, alphabet *a, hone_error *err) {
    for (size_t i = 0; i < count; i++) {
        uint32_t key;
        for (const char *at = texts[i]; *at;) {
            size_t n = read_character(at, &key);
            if (n == 0)
                return hone_fail(err, HONE_INVALID_ARGUMENT, "a text has a line end, or is no UTF-8: '%.*s'",
                                 HONE_UTF8_SHOWN(texts[i], 60));
            if (!find(a, key)) { /* rarely */
                HONE_TRY(add(a, key, 0, err));
                sort(a);
            }
            at += n;
        }
    }
    for (size_t i = 0; i < a->count; i++) a->at[i].class = (int32_t)i + 1;
    return HONE_OK;
}

static char *name_classes(const alphabet *a) {
    char *names = hone_alloc(sizeof HONE_BLANK_NAME + 5 * a->count), *to = names;
    if (!names) return NULL;
    to = stpcpy(to, HONE_BLANK_NAME);
    for (size_t i = 0; i < a->count; i++) {
        *to++ = '\n';
        for (int shift = 24; shift >= 0; shift -= 8)
            if (a->at[i].key >> shift) *to++ = (char)(uint8_t)(a->at[i].key >> shift);
    }
    *to = 0;
    return names;
}

/* Gives the number of symbols, where `out` is NULL; else writes them. */
static hone_status spell(const alphabet *a, const char *text, int32_t *out, int64_t *count, hone_error *err) {
    *count = 0;
    for (const char *at = text; *at;) {
        uint32_t key;
        size_t n = read_character(at, &key);
        const symbol *s = n ? find(a, key) : NULL;
        if (!s)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "'%.*s' in '%.*s' is none of the model's characters",
                             (int)(n ? n : 1), at, HONE_UTF8_SHOWN(text, 60));
        if (out) out[*count] = s->class;
        ++*count;
        at += n;
    }
    return HONE_OK;
}

static hone_status spell_all(const alphabet *a, const char *const *texts, size_t count, hone_tensor **y,
                             hone_error *err) {
    int64_t longest = 1, n;
    for (size_t i = 0; i < count; i++) {
        HONE_TRY(spell(a, texts[i], NULL, &n, err));
        if (n > longest) longest = n;
    }
    HONE_TRY(hone_tensor_new(HONE_INT32, 2, (int64_t[]){(int64_t)count, longest}, y, err));
    int32_t *to = (*y)->data;
    memset(to, 0xff, (*y)->bytes); /* -1 */
    for (size_t i = 0; i < count; i++) HONE_TRY(spell(a, texts[i], to + (int64_t)i * longest, &n, err));
    return HONE_OK;
}

hone_status hone_symbols_make(const char *const *texts, size_t count, const char *classes, hone_tensor **y,
                              char **names, hone_error *err) {
    alphabet a = {NULL};
    *y = NULL;
    *names = NULL;
    hone_status status = classes ? read_classes(classes, &a, err) : gather(texts, count, &a, err);
    if (status == HONE_OK) status = spell_all(&a, texts, count, y, err);
    if (status == HONE_OK && !(*names = classes ? hone_strdup(classes) : name_classes(&a)))
        status = hone_fail_memory(err);
    if (status != HONE_OK) hone_tensor_free(*y);
    hone_free(a.at);
    return status;
}
