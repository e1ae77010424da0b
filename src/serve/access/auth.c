#include "serve/access/auth.h"

#include "base/error.h"
#include "base/file.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/access/tokens.h"

#include <openssl/crypto.h>
#include <pthread.h>

struct hone_auth {
    char *file;
    hone_fingerprint read, looked; /* when it was read, and looked at */
    pthread_rwlock_t lock;         /* guards `tokens` */
    hone_tokens *tokens;
};

static hone_fingerprint look(const char *file, mode_t *mode) {
    struct stat is = {0};
    if (stat(file, &is) != 0) is = (struct stat){0};
    *mode = is.st_mode;
    return hone_fingerprint_of(&is);
}

static hone_status read_tokens(const char *file, mode_t mode, hone_tokens **out, hone_error *err) {
    hone_blob blob;
    HONE_TRY(hone_file_read(file, HONE_TOKENS_BYTES, &blob, err));
    hone_status status = hone_tokens_parse(file, (const char *)blob.data, blob.size, out, err);
    if (blob.size > 0) OPENSSL_cleanse(blob.data, blob.size);
    hone_blob_free(&blob);
    if (status == HONE_OK && mode & S_IRWXO)
        hone_log(HONE_LOG_WARNING, "%s: others than its owner and group have access to it", file);
    return status;
}

hone_status hone_auth_open(const char *file, hone_auth **out, hone_error *err) {
    hone_tokens *tokens;
    mode_t mode;
    hone_fingerprint now = look(file, &mode);
    HONE_TRY(read_tokens(file, mode, &tokens, err));
    hone_auth *a = hone_calloc(1, sizeof *a);
    char *copy = hone_strdup(file);
    if (!a || !copy) {
        hone_tokens_free(tokens);
        hone_free(copy);
        hone_free(a);
        return hone_fail_memory(err);
    }
    *a = (hone_auth){.file = copy, .read = now, .looked = now, .tokens = tokens};
    /* Requests that follow each other closely must not keep a new set out. */
    pthread_rwlockattr_t writers_first;
    pthread_rwlockattr_init(&writers_first);
    pthread_rwlockattr_setkind_np(&writers_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&a->lock, &writers_first);
    pthread_rwlockattr_destroy(&writers_first);
    *out = a;
    return HONE_OK;
}

void hone_auth_close(hone_auth *a) {
    if (!a) return;
    pthread_rwlock_destroy(&a->lock);
    hone_tokens_free(a->tokens);
    hone_free(a->file);
    hone_free(a);
}

void hone_auth_refresh(hone_auth *a, bool asked) {
    hone_tokens *tokens;
    hone_error err = {0};
    mode_t mode;
    hone_fingerprint now = look(a->file, &mode);
    bool rests = hone_fingerprint_equal(&now, &a->looked);
    a->looked = now;
    if (hone_fingerprint_equal(&now, &a->read) || !(rests || asked)) return;
    a->read = now;
    if (read_tokens(a->file, mode, &tokens, &err) != HONE_OK) {
        char text[600];
        hone_error_format(&err, text, sizeof text);
        hone_log(HONE_LOG_ERROR, "the secrets stay as they were: %s", text);
        return;
    }
    pthread_rwlock_wrlock(&a->lock);
    hone_tokens *old = a->tokens;
    a->tokens = tokens;
    pthread_rwlock_unlock(&a->lock);
    hone_tokens_free(old);
    hone_log(HONE_LOG_INFO, "%s: read again, %zu secrets", a->file, hone_tokens_count(tokens));
}

/* --- checking --- */

static hone_slice behind_scheme(hone_slice field) {
    static const char scheme[] = "bearer";
    size_t n = sizeof scheme - 1;
    if (field.size <= n || !hone_slice_equal_nocase((hone_slice){field.data, n}, scheme) ||
        field.data[n] != ' ')
        return (hone_slice){NULL, 0};
    while (n < field.size && field.data[n] == ' ') n++;
    return (hone_slice){field.data + n, field.size - n};
}

static hone_slice secret_of(const hone_head *head) {
    hone_slice bearer = behind_scheme(hone_head_field(head, "authorization"));
    return bearer.size > 0 ? bearer : hone_head_field(head, "x-api-key");
}

hone_auth_verdict hone_auth_check(hone_auth *a, const hone_head *head, hone_scope scope) {
    if (scope == HONE_SCOPE_OPEN) return HONE_AUTH_FINE;
    hone_slice secret = secret_of(head);
    if (secret.size == 0) return HONE_AUTH_NO_SECRET;
    pthread_rwlock_rdlock(&a->lock);
    unsigned scopes = hone_tokens_scopes(a->tokens, secret);
    pthread_rwlock_unlock(&a->lock);
    if (!scopes) return HONE_AUTH_UNKNOWN;
    return scopes >> scope & 1 ? HONE_AUTH_FINE : HONE_AUTH_NO_SCOPE;
}
