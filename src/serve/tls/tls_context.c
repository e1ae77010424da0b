/* Certificate, key and settings; reading them again when the files change. */
#include "serve/tls/tls_context.h"

#include "base/error.h"
#include "base/file.h"
#include "base/fingerprint.h"
#include "base/log.h"
#include "base/memory.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <pthread.h>
#include <time.h>

enum { CERTIFICATE, KEY, CLIENT_CA, FILES };
#define FILE_MOST ((size_t)4 << 20)

/* HTTP/2 forbids TLS 1.2 without forward secrecy and without AEAD. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

struct hone_tls {
    char *files[FILES]; /* the client CA may be NULL */
    hone_fingerprint seen[FILES];
    BIO_METHOD *method;
    hone_series *results[HONE_TLS_RESULT_COUNT], *not_after, *reloaded;
    pthread_mutex_t lock; /* guards `context` */
    SSL_CTX *context;
};

/* --- reading --- */

/* With what OpenSSL says, in short. */
static hone_status fail_reading(hone_error *err, const char *file, const char *what) {
    unsigned long code = ERR_peek_error();
    const char *text = ERR_reason_error_string(code);
    ERR_clear_error();
    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) return hone_fail_memory(err);
    return hone_fail_file(err, HONE_CORRUPT, file, "no %s can be read from it%s%s", what, text ? ": " : "",
                          text ? text : "");
}

/* OpenSSL opens files by name, waits for pipes, and reads without end: only what is plainly a small file is
 * for it. */
static hone_status check_readable(const char *file, hone_error *err) {
    hone_blob blob;
    HONE_TRY(hone_file_read(file, FILE_MOST, &blob, err));
    if (blob.size > 0) OPENSSL_cleanse(blob.data, blob.size);
    hone_blob_free(&blob);
    return HONE_OK;
}

/* There is nobody to ask; `asked` remembers that it was wanted. */
static int no_password(char *buffer, int size, int writing, void *asked) {
    (void)buffer, (void)size, (void)writing;
    if (asked) *(bool *)asked = true;
    return -1;
}

static bool is_mismatch(unsigned long code) {
    return ERR_GET_LIB(code) == ERR_LIB_X509 && (ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH ||
                                                 ERR_GET_REASON(code) == X509_R_KEY_TYPE_MISMATCH);
}

static hone_status use_key(SSL_CTX *c, char *const *files, hone_error *err) {
    HONE_TRY(check_readable(files[KEY], err));
    bool asked = false;
    SSL_CTX_set_default_passwd_cb_userdata(c, &asked);
    bool used = SSL_CTX_use_PrivateKey_file(c, files[KEY], SSL_FILETYPE_PEM) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(c, NULL);
    if (asked) {
        ERR_clear_error();
        return hone_fail_file(err, HONE_UNSUPPORTED, files[KEY],
                              "the key is encrypted: nobody gives its password here");
    }
    if (!used && !is_mismatch(ERR_peek_last_error())) return fail_reading(err, files[KEY], "private key");
    if (used && SSL_CTX_check_private_key(c) == 1) return HONE_OK;
    ERR_clear_error();
    return hone_fail_file(err, HONE_INVALID_ARGUMENT, files[KEY],
                          "the key is not that of the certificate in %s", files[CERTIFICATE]);
}

static hone_status use_client_ca(SSL_CTX *c, const char *file, hone_error *err) {
    if (!file) return HONE_OK;
    HONE_TRY(check_readable(file, err));
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);
    if (!names || SSL_CTX_load_verify_file(c, file) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return fail_reading(err, file, "certificate");
    }
    SSL_CTX_set_client_CA_list(c, names);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return HONE_OK;
}

static hone_status use_files(SSL_CTX *c, char *const *files, hone_error *err) {
    HONE_TRY(check_readable(files[CERTIFICATE], err));
    if (SSL_CTX_use_certificate_chain_file(c, files[CERTIFICATE]) != 1)
        return fail_reading(err, files[CERTIFICATE], "certificate");
    HONE_TRY(use_key(c, files, err));
    return use_client_ca(c, files[CLIENT_CA], err);
}

/* --- settings --- */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *in, unsigned in_size, void *user) {
    static const unsigned char ours[] = "\2h2\10http/1.1";
    unsigned char *chosen;
    (void)ssl, (void)user;
    if (SSL_select_next_proto(&chosen, out_size, ours, sizeof ours - 1, in, in_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool set_up(SSL_CTX *c) {
    SSL_CTX_set_default_passwd_cb(c, no_password);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                               SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
    /* Sessions resume by tickets, which the client keeps; those of another certificate or client CA are
     * void. */
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(c, 1);
    SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
    return SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(c, CIPHERS) == 1 &&
           SSL_CTX_set_session_id_context(c, (const unsigned char *)"hone", 4) == 1;
}

static hone_status load(const hone_tls *tls, SSL_CTX **out, hone_error *err) {
    ERR_clear_error();
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    hone_status status = c && set_up(c) ? use_files(c, tls->files, err) : hone_fail_memory(err);
    if (status == HONE_OK)
        *out = c;
    else
        SSL_CTX_free(c);
    return status;
}

/* --- taking it over --- */

static void judge_dates(const hone_tls *tls, SSL_CTX *c) {
    const X509 *x = SSL_CTX_get0_certificate(c);
    struct tm begins, ends;
    if (!x || ASN1_TIME_to_tm(X509_get0_notBefore(x), &begins) != 1 ||
        ASN1_TIME_to_tm(X509_get0_notAfter(x), &ends) != 1)
        return;
    char text[32];
    time_t now = time(NULL), until = timegm(&ends);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", now > until ? &ends : &begins);
    if (now > until)
        hone_log(HONE_LOG_WARNING, "%s: the certificate has expired, at %s", tls->files[CERTIFICATE], text);
    else if (now < timegm(&begins))
        hone_log(HONE_LOG_WARNING, "%s: the certificate is valid only from %s on", tls->files[CERTIFICATE],
                 text);
    hone_series_set(tls->not_after, (double)until);
}

static void look(const hone_tls *tls, hone_fingerprint out[FILES]) {
    for (int i = 0; i < FILES; i++) {
        struct stat is = {0};
        if (tls->files[i] && stat(tls->files[i], &is) != 0) is = (struct stat){0};
        out[i] = hone_fingerprint_of(&is);
    }
}

static bool are_as_seen(const hone_tls *tls, const hone_fingerprint now[FILES]) {
    for (int i = 0; i < FILES; i++)
        if (!hone_fingerprint_equal(&now[i], &tls->seen[i])) return false;
    return true;
}

void hone_tls_refresh(hone_tls *tls, bool anyway) {
    hone_fingerprint now[FILES];
    hone_error err = {0};
    SSL_CTX *c = NULL;
    look(tls, now);
    if (!anyway && are_as_seen(tls, now)) return;
    hone_status status = load(tls, &c, &err);
    if (status != HONE_OUT_OF_MEMORY) memcpy(tls->seen, now, sizeof now);
    hone_series_set(tls->reloaded, status == HONE_OK);
    if (status != HONE_OK) {
        char text[512];
        hone_log(HONE_LOG_WARNING, "the TLS certificate stays as it was: %s",
                 hone_error_format(&err, text, sizeof text));
        return;
    }
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = tls->context;
    tls->context = c;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old);
    hone_log(HONE_LOG_INFO, "%s: read again", tls->files[CERTIFICATE]);
    judge_dates(tls, c);
}

/* With a reference for the caller. */
static SSL_CTX *context_of_now(hone_tls *tls) {
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *c = tls->context;
    SSL_CTX_up_ref(c);
    pthread_mutex_unlock(&tls->lock);
    return c;
}

SSL *hone_tls_connect(hone_tls *tls, hone_tls_ends *ends) {
    SSL_CTX *context = context_of_now(tls);
    SSL *ssl = SSL_new(context);
    SSL_CTX_free(context);
    BIO *bio = ssl ? hone_tls_ends_bio(tls->method, ends) : NULL;
    if (!bio) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    return ssl;
}

void hone_tls_count_result(hone_tls *tls, hone_tls_result result) {
    hone_series_add(tls->results[result], 1);
}

/* --- making --- */

static hone_status add_metrics(hone_tls *tls, hone_metrics *m, hone_error *err) {
    static const char *const results[HONE_TLS_RESULT_COUNT] = {
        "ok",      "closed",      "timeout",  "cleartext", "no_client_certificate", "bad_client_certificate",
        "refused", "unsupported", "malformed"};
    const struct {
        hone_metric_type type;
        const char *name, *help, *label;
        const char *const *values;
        int count;
        hone_series **out;
    } rows[] = {{HONE_METRIC_COUNTER, "hone_tls_handshakes_total", "TLS handshakes, by how they ended.",
                 "result", results, HONE_TLS_RESULT_COUNT, tls->results},
                {HONE_METRIC_GAUGE, "hone_tls_certificate_not_after_seconds",
                 "When the TLS certificate expires, in seconds since 1970.", NULL, NULL, 1, &tls->not_after},
                {HONE_METRIC_GAUGE, "hone_tls_certificate_last_reload_successful",
                 "0 when the files of the TLS certificate were changed and can't be used.", NULL, NULL, 1,
                 &tls->reloaded}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hone_metric_options o = HONE_METRIC_OPTIONS_INIT;
        hone_metric *metric;
        o.type = rows[i].type;
        o.name = rows[i].name;
        o.help = rows[i].help;
        o.labels = rows[i].label ? (const char *const[]){rows[i].label, NULL} : NULL;
        HONE_TRY(hone_metrics_add(m, &o, &metric, err));
        for (int k = 0; k < rows[i].count; k++)
            HONE_TRY(
                hone_metric_series(metric, rows[i].values ? &rows[i].values[k] : NULL, &rows[i].out[k], err));
    }
    return HONE_OK;
}

static hone_status make(hone_tls *tls, const hone_tls_files *files, hone_stats *stats, hone_error *err) {
    const char *const names[FILES] = {files->certificate, files->key, files->client_ca};
    for (int i = 0; i < FILES; i++)
        if (names[i] && !(tls->files[i] = hone_strdup(names[i]))) return hone_fail_memory(err);
    tls->method = hone_tls_ends_method();
    if (!tls->method) return hone_fail_memory(err);
    look(tls, tls->seen);
    HONE_TRY(load(tls, &tls->context, err));
    HONE_TRY(add_metrics(tls, hone_stats_metrics(stats), err));
    hone_series_set(tls->reloaded, 1);
    judge_dates(tls, tls->context);
    return HONE_OK;
}

hone_status hone_tls_new(const hone_tls_files *files, hone_stats *stats, hone_tls **out, hone_error *err) {
    hone_tls *tls = hone_calloc(1, sizeof *tls);
    if (!tls) return hone_fail_memory(err);
    pthread_mutex_init(&tls->lock, NULL);
    hone_status status = make(tls, files, stats, err);
    if (status == HONE_OK)
        *out = tls;
    else
        hone_tls_free(tls);
    return status;
}

void hone_tls_free(hone_tls *tls) {
    if (!tls) return;
    SSL_CTX_free(tls->context);
    BIO_meth_free(tls->method);
    for (int i = 0; i < HONE_TLS_RESULT_COUNT; i++) hone_series_drop(tls->results[i]);
    hone_series_drop(tls->not_after);
    hone_series_drop(tls->reloaded);
    for (int i = 0; i < FILES; i++) hone_free(tls->files[i]);
    pthread_mutex_destroy(&tls->lock);
    hone_free(tls);
}
