#include "serve/access/tokens.h"

#include "base/error.h"
#include "base/memory.h"
#include "serve/access/scope.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

enum { DIGEST = 32, WORDS = 3 };
#define HASHED "sha256:"

typedef struct token {
    unsigned char digest[DIGEST];
    unsigned scopes;
    int line;
} token;

struct hone_tokens {
    EVP_MD *sha256;
    token *list;
    size_t count, capacity;
};

static bool hash(const hone_tokens *t, hone_slice secret, unsigned char digest[DIGEST]) {
    return EVP_Digest(secret.data, secret.size, digest, NULL, t->sha256, NULL) == 1;
}

/* --- parsing --- */

typedef struct place {
    const char *file;
    int line;
} place;

static hone_status wrong(const place *at, const char *what, hone_error *err) {
    return hone_fail_file(err, HONE_INVALID_ARGUMENT, at->file, "line %d: %s", at->line, what);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static hone_slice take_word(hone_slice *line) {
    while (line->size > 0 && is_blank(line->data[0])) *line = (hone_slice){line->data + 1, line->size - 1};
    hone_slice word = {line->data, 0};
    while (word.size < line->size && !is_blank(line->data[word.size])) word.size++;
    *line = (hone_slice){line->data + word.size, line->size - word.size};
    return word;
}

static bool is_printable(hone_slice word) {
    for (size_t i = 0; i < word.size; i++)
        if (word.data[i] <= ' ' || word.data[i] > '~') return false;
    return true;
}

static bool read_scopes(hone_slice text, unsigned *out) {
    static const hone_scope scopes[] = {HONE_SCOPE_PREDICT, HONE_SCOPE_ADMIN, HONE_SCOPE_METRICS};
    *out = 0;
    for (;;) {
        const char *comma = memchr(text.data, ',', text.size);
        hone_slice word = {text.data, comma ? (size_t)(comma - text.data) : text.size};
        unsigned found = 0;
        for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
            if (hone_slice_equal(word, hone_scope_name(scopes[i]))) found = 1u << scopes[i];
        if (!found) return false;
        *out |= found;
        if (!comma) return true;
        text = (hone_slice){comma + 1, text.size - word.size - 1};
    }
}

static bool read_digest(hone_slice text, unsigned char digest[DIGEST]) {
    if (text.size != 2 * DIGEST) return false;
    for (size_t i = 0; i < DIGEST; i++) {
        int high = hone_hex_digit(text.data[2 * i]), low = hone_hex_digit(text.data[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        digest[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static hone_status read_secret(const hone_tokens *t, const place *at, hone_slice text, token *out,
                               hone_error *err) {
    size_t n = sizeof HASHED - 1;
    if (text.size >= n && memcmp(text.data, HASHED, n) == 0)
        return read_digest((hone_slice){text.data + n, text.size - n}, out->digest)
                   ? HONE_OK
                   : wrong(at, "\"" HASHED "\" must be followed by 64 hexadecimal digits", err);
    if (text.size < HONE_TOKEN_LEAST) return wrong(at, "the secret has less than 8 characters", err);
    return hash(t, text, out->digest) ? HONE_OK : hone_fail_memory(err);
}

static hone_status add(hone_tokens *t, const token *new, const place *at, hone_error *err) {
    for (size_t i = 0; i < t->count; i++)
        if (CRYPTO_memcmp(t->list[i].digest, new->digest, DIGEST) == 0)
            return hone_fail_file(err, HONE_INVALID_ARGUMENT, at->file,
                                  "line %d: the secret is that of line %d", at->line, t->list[i].line);
    if (t->count == HONE_TOKENS_MOST) return wrong(at, "there are more than 1000 secrets", err);
    if (!hone_reserve(&t->list, &t->capacity, t->count + 1, sizeof *t->list)) return hone_fail_memory(err);
    t->list[t->count++] = *new;
    return HONE_OK;
}

static hone_status read_line(hone_tokens *t, const place *at, hone_slice line, hone_error *err) {
    hone_slice words[WORDS + 1];
    token new = {.line = at->line};
    for (size_t i = 0; i <= WORDS; i++) words[i] = take_word(&line);
    if (words[0].size == 0 || words[0].data[0] == '#') return HONE_OK;
    if (words[WORDS - 1].size == 0 || words[WORDS].size > 0)
        return wrong(at, "a line must have three words: a name, scopes, and a secret", err);
    for (size_t i = 0; i < WORDS; i++)
        if (!is_printable(words[i]))
            return wrong(at, "there is a character that is not printable ASCII", err);
    if (!read_scopes(words[1], &new.scopes))
        return wrong(at, "the second word must be of predict, admin and metrics, with commas between them",
                     err);
    HONE_TRY(read_secret(t, at, words[2], &new, err));
    return add(t, &new, at, err);
}

static hone_status parse(hone_tokens *t, const char *file, hone_slice text, hone_error *err) {
    place at = {.file = file};
    t->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!t->sha256) return hone_fail_memory(err);
    while (text.size > 0) {
        const char *end = memchr(text.data, '\n', text.size);
        hone_slice line = {text.data, end ? (size_t)(end - text.data) : text.size};
        size_t taken = line.size + (end ? 1 : 0);
        at.line++;
        HONE_TRY(read_line(t, &at, line, err));
        text = (hone_slice){text.data + taken, text.size - taken};
    }
    return t->count > 0 ? HONE_OK
                        : hone_fail_file(err, HONE_INVALID_ARGUMENT, file, "there are no secrets in it");
}

hone_status hone_tokens_parse(const char *file, const char *text, size_t size, hone_tokens **out,
                              hone_error *err) {
    hone_tokens *t = hone_calloc(1, sizeof *t);
    if (!t) return hone_fail_memory(err);
    hone_status status = parse(t, file, (hone_slice){text, size}, err);
    if (status == HONE_OK)
        *out = t;
    else
        hone_tokens_free(t);
    return status;
}

void hone_tokens_free(hone_tokens *t) {
    if (!t) return;
    EVP_MD_free(t->sha256);
    hone_free(t->list);
    hone_free(t);
}

/* --- looking up --- */

size_t hone_tokens_count(const hone_tokens *t) {
    return t->count;
}

unsigned hone_tokens_scopes(const hone_tokens *t, hone_slice secret) {
    unsigned char digest[DIGEST];
    unsigned found = 0;
    if (!hash(t, secret, digest)) return 0;
    for (size_t i = 0; i < t->count; i++) {
        unsigned same = CRYPTO_memcmp(t->list[i].digest, digest, DIGEST) == 0;
        found |= (0u - same) & t->list[i].scopes;
    }
    return found;
}
