/* Certificates for tests, made on the spot, as files in the test's directory. */
#ifndef HONE_TESTS_SERVE_CERTIFICATES_H
#define HONE_TESTS_SERVE_CERTIFICATES_H

#include "support/files.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <signal.h>
#include <stdbool.h>

typedef struct identity {
    EVP_PKEY *key;
    X509 *certificate;
} identity;

static inline void add_extension(X509 *x, int kind, const char *value) {
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

/* Valid from `from` to `until` days from now. `issuer` NULL: it signs itself, and others. */
static inline identity make_identity(const char *name, const identity *issuer, int from, int until) {
    static long serial;
    identity i = {EVP_EC_gen("P-256"), X509_new()};
    X509 *x = i.certificate;
    assert_non_null(i.key);
    assert_non_null(x);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    X509_time_adj_ex(X509_getm_notBefore(x), from, 0, NULL);
    X509_time_adj_ex(X509_getm_notAfter(x), until, 0, NULL);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                               -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer->certificate : x));
    X509_set_pubkey(x, i.key);
    add_extension(x, NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE");
    add_extension(x, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    assert_true(X509_sign(x, issuer ? issuer->key : i.key, EVP_sha256()) > 0);
    return i;
}

static inline void free_identity(identity *i) {
    EVP_PKEY_free(i->key);
    X509_free(i->certificate);
    *i = (identity){0};
}

/* NAME.crt (followed by `chain`, if there is one) and NAME.key, each put into its place whole. */
static inline void write_identity(const identity *i, const char *name, const identity *chain) {
    char file[80], new[512];
    for (int key = 0; key < 2; key++) {
        snprintf(file, sizeof file, "%s.%s", name, key ? "key" : "crt");
        snprintf(new, sizeof new, "%s.new", test_path(file));
        FILE *f = fopen(new, "w");
        assert_non_null(f);
        if (key) {
            assert_int_equal(PEM_write_PrivateKey(f, i->key, NULL, NULL, 0, NULL, NULL), 1);
        } else {
            assert_int_equal(PEM_write_X509(f, i->certificate), 1);
            if (chain) assert_int_equal(PEM_write_X509(f, chain->certificate), 1);
        }
        assert_int_equal(fclose(f), 0);
        assert_int_equal(rename(new, test_path(file)), 0);
    }
}

/* Makes NAME.crt and NAME.key. */
static inline void make_files(const char *name, const identity *issuer, int from, int until) {
    identity i = make_identity(name, issuer, from, until);
    write_identity(&i, name, NULL);
    free_identity(&i);
}

static identity test_ca;

/* A cmocka setup: the test's directory with ca.crt, and server.crt and client.crt that it has signed. */
static inline int make_test_certificates(void **state) {
    signal(SIGPIPE, SIG_IGN); /* OpenSSL's sockets raise it */
    if (make_test_dir(state) != 0) return -1;
    test_ca = make_identity("Test CA", NULL, -1, 30);
    write_identity(&test_ca, "ca", NULL);
    make_files("server", &test_ca, -1, 30);
    make_files("client", &test_ca, -1, 30);
    return 0;
}

static inline int remove_test_certificates(void **state) {
    free_identity(&test_ca);
    return remove_test_dir(state);
}

#endif
