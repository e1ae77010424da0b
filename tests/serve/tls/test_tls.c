/* TLS as a filter, without sockets: a session against OpenSSL's client, both in memory. */
#include "serve/tls/tls.h"
#include "serve/tls_client.h"

#include <hone/log.h>

#include <sys/stat.h>

enum { ROOM = 80 << 10 };

/* --- OpenSSL's memory --- */

enum { BEFORE = 64 /* each block stands its size */ };
static size_t live; /* bytes that OpenSSL has */

static void *crypto_realloc(void *block, size_t size, const char *file, int line) {
    char *at = block ? (char *)block - BEFORE : NULL;
    size_t before = 0;
    (void)file, (void)line;
    if (at) memcpy(&before, at, sizeof before);
    at = hone_realloc(at, size + BEFORE);
    if (!at) return NULL;
    live += size - before;
    memcpy(at, &size, sizeof size);
    return at + BEFORE;
}

static void *crypto_alloc(size_t size, const char *file, int line) {
    return crypto_realloc(NULL, size, file, line);
}

static void crypto_free(void *block, const char *file, int line) {
    size_t size;
    (void)file, (void)line;
    if (!block) return;
    memcpy(&size, (char *)block - BEFORE, sizeof size);
    live -= size;
    hone_free((char *)block - BEFORE);
}

/* --- a server's side and a client --- */

static hone_stats *stats;
static char last_log[600];

static void keep_log(void *user, hone_log_level level, const char *message) {
    (void)user, (void)level;
    snprintf(last_log, sizeof last_log, "%s", message);
}

static int set_up(void **state) {
    (void)state;
    last_log[0] = 0;
    return hone_stats_new(&stats, NULL) == HONE_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    hone_stats_free(stats);
    return 0;
}

static hone_tls *make_tls_with(const char *name, const char *client_ca) {
    hone_tls *tls = NULL;
    hone_error err = {0};
    char certificate[64], key[64];
    snprintf(certificate, sizeof certificate, "%s.crt", name);
    snprintf(key, sizeof key, "%s.key", name);
    hone_tls_files files = {test_path(certificate), test_path(key), client_ca ? test_path(client_ca) : NULL};
    if (hone_tls_new(&files, stats, &tls, &err) != HONE_OK) fail_msg("%s: %s", err.file, err.message);
    return tls;
}

/* The value of a series without labels, or with one. */
static double metric(const char *name, const char *label) {
    char *text, line[200];
    assert_int_equal(hone_metrics_write(hone_stats_metrics(stats), &text, NULL, NULL), HONE_OK);
    snprintf(line, sizeof line, label ? "\n%s{%s} " : "\n%s ", name, label);
    const char *at = strstr(text, line);
    if (!at) fail_msg("there is no %s", line + 1);
    double value = strtod(at + strlen(line), NULL);
    hone_metrics_free_text(text);
    return value;
}

static int count_of(const char *result) {
    char label[80];
    snprintf(label, sizeof label, "result=\"%s\"", result);
    return (int)metric("hone_tls_handshakes_total", label);
}

typedef struct pair {
    hone_tls_session *server;
    SSL *client;
    hone_buffer said, got; /* by the server: for the client; from it */
    size_t piece;          /* bytes that the server gets at a time; 0: all */
} pair;

static pair open_pair_in(hone_tls *tls, SSL_CTX *context) {
    pair p = {.server = hone_tls_session_new(tls), .client = SSL_new(context)};
    assert_non_null(p.client);
    SSL_set_bio(p.client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(p.client);
    SSL_set1_host(p.client, "localhost");
    return p;
}

static pair open_pair(hone_tls *tls, const tls_options *o) {
    SSL_CTX *context = tls_client_context(o ? o : &(tls_options){0});
    pair p = open_pair_in(tls, context);
    SSL_CTX_free(context);
    if (o && o->session) SSL_set_session(p.client, o->session);
    return p;
}

static void close_pair(pair *p) {
    hone_tls_session_free(p->server);
    SSL_free(p->client);
    hone_buffer_free(&p->said);
    hone_buffer_free(&p->got);
}

/* The server gets bytes. */
static void feed(pair *p, const char *data, size_t size) {
    static char plain[ROOM];
    while (size > 0) {
        size_t n = p->piece && p->piece < size ? p->piece : size, left = n, got;
        const char *at = data;
        do {
            got = hone_tls_read(p->server, &at, &left, plain, sizeof plain, &p->said);
            hone_buffer_put(&p->got, plain, got);
        } while (got == sizeof plain);
        data += n;
        size -= n;
    }
}

/* What the client has to say goes to the server, and back; false if nobody said anything. */
static bool exchange(pair *p) {
    char *data;
    long size = BIO_get_mem_data(SSL_get_wbio(p->client), &data);
    bool moved = size > 0 || p->said.size > 0;
    if (size > 0) feed(p, data, (size_t)size);
    (void)!BIO_reset(SSL_get_wbio(p->client));
    if (p->said.size) BIO_write(SSL_get_rbio(p->client), p->said.data, (int)p->said.size);
    hone_buffer_clear(&p->said, SIZE_MAX);
    return moved;
}

static bool shake(pair *p) {
    int done;
    do {
        ERR_clear_error();
        done = SSL_do_handshake(p->client);
    } while (exchange(p));
    return done == 1 && hone_tls_session_state(p->server) == HONE_TLS_OPEN;
}

/* What the client reads now. */
static hone_buffer client_reads(pair *p) {
    hone_buffer b = {0};
    char piece[20000];
    size_t n;
    exchange(p);
    ERR_clear_error();
    while (SSL_read_ex(p->client, piece, sizeof piece, &n) == 1) hone_buffer_put(&b, piece, n);
    exchange(p); /* what it has answered by itself */
    return b;
}

static void client_writes(pair *p, const void *data, size_t size) {
    size_t n;
    ERR_clear_error();
    assert_int_equal(SSL_write_ex(p->client, data, size, &n), 1);
    exchange(p);
}

static void check_both_ways(pair *p) {
    hone_buffer_clear(&p->got, SIZE_MAX);
    client_writes(p, "question", 8);
    assert_int_equal(p->got.size, 8);
    assert_memory_equal(p->got.data, "question", 8);
    assert_true(hone_tls_write(p->server, "answer", 6, &p->said));
    hone_buffer b = client_reads(p);
    assert_int_equal(b.size, 6);
    assert_memory_equal(b.data, "answer", 6);
    hone_buffer_free(&b);
}

/* --- handshakes --- */

static void agrees_on_versions_and_protocols(void **state) {
    (void)state;
    hone_tls *tls = make_test_tls(stats);
    static const struct {
        const char *offer;
        hone_tls_protocol agreed;
    } cases[] = {{NULL, HONE_TLS_ANY_PROTOCOL},       {"\2h2", HONE_TLS_HTTP2},
                 {"\10http/1.1", HONE_TLS_HTTP1},     {"\10http/1.1\2h2", HONE_TLS_HTTP2},
                 {"\10grpc-exp\2h2", HONE_TLS_HTTP2}, {"\10http/1.0\10http/1.1", HONE_TLS_HTTP1}};
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    int count = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int v = 0; v < 2; v++)
            for (size_t piece = 0; piece < 2; piece++) { /* all at once, and byte by byte */
                pair p = open_pair(tls, &(tls_options){.alpn = cases[i].offer, .version = versions[v]});
                p.piece = piece;
                assert_int_equal(hone_tls_session_state(p.server), HONE_TLS_SHAKING);
                assert_true(shake(&p));
                assert_int_equal(SSL_version(p.client), versions[v]);
                assert_int_equal(SSL_get_verify_result(p.client), X509_V_OK);
                assert_int_equal(hone_tls_session_protocol(p.server), cases[i].agreed);
                check_both_ways(&p);
                close_pair(&p);
                assert_int_equal(count_of("ok"), ++count);
            }
    hone_tls_free(tls);
}

/* The handshake fails, is counted as `result`, and the client is told why, if it asks for a reason. */
static void refuses(hone_tls *tls, const tls_options *o, const char *result, int reason) {
    pair p = open_pair(tls, o);
    int before = count_of(result);
    assert_false(shake(&p));
    if (hone_tls_session_state(p.server) != HONE_TLS_FAILED) fail_msg("%s: not failed", result);
    size_t n;
    char byte;
    ERR_clear_error();
    if (SSL_read_ex(p.client, &byte, 1, &n) == 1) fail_msg("%s: there is something to read", result);
    unsigned long code = ERR_peek_error();
    if (reason && ERR_GET_REASON(code) != reason && SSL_is_init_finished(p.client))
        fail_msg("%s: %s", result, ERR_reason_error_string(code));
    assert_int_equal(count_of(result), before + 1);
    assert_false(hone_tls_write(p.server, "x", 1, &p.said));
    hone_tls_end(p.server, &p.said);
    assert_int_equal(p.said.size, 0);
    close_pair(&p);
    assert_int_equal(count_of(result), before + 1);
    assert_int_equal(count_of("closed"), 0);
}

static void refuses_what_is_unsupported(void **state) {
    (void)state;
    hone_tls *tls = make_test_tls(stats);
    refuses(tls, &(tls_options){.version = TLS1_1_VERSION}, "unsupported", 0);
    refuses(tls, &(tls_options){.version = TLS1_VERSION}, "unsupported", 0);
    refuses(tls, &(tls_options){.alpn = "\3foo\4spdy"}, "unsupported", 0);
    hone_tls_free(tls);
}

static void wants_clients_certificates(void **state) {
    (void)state;
    identity other = make_identity("Another CA", NULL, -1, 30);
    make_files("stranger", &other, -1, 30);
    make_files("former", &test_ca, -20, -10);
    make_files("future", &test_ca, 10, 20);
    hone_tls *tls = make_tls_with("server", "ca.crt");
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (int v = 0; v < 2; v++) {
        tls_options o = {.version = versions[v]};
        refuses(tls, &o, "no_client_certificate", SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED);
        static const char *const bad[] = {"stranger", "former", "future"};
        for (int i = 0; i < 3; i++) {
            o.identity = bad[i];
            refuses(tls, &o, "bad_client_certificate", 0);
        }
        o.identity = "client";
        pair p = open_pair(tls, &o);
        assert_true(shake(&p));
        check_both_ways(&p);
        close_pair(&p);
    }
    hone_tls_free(tls);
    free_identity(&other);
}

/* A client that does not trust the server's certificate. */
static void counts_clients_that_refuse(void **state) {
    (void)state;
    identity other = make_identity("Another CA", NULL, -1, 30);
    make_files("untrusted", &other, -1, 30);
    hone_tls *tls = make_tls_with("untrusted", NULL);
    pair p = open_pair(tls, NULL);
    assert_false(shake(&p));
    close_pair(&p);
    assert_int_equal(count_of("refused"), 1);
    p = open_pair(tls, NULL);
    SSL_do_handshake(p.client);
    exchange(&p);
    close_pair(&p);
    assert_int_equal(count_of("closed"), 1);
    p = open_pair(tls, NULL);
    hone_tls_count(p.server, HONE_TLS_TIMEOUT);
    close_pair(&p);
    assert_int_equal(count_of("timeout"), 1);
    assert_int_equal(count_of("closed"), 1);
    hone_tls_free(tls);
    free_identity(&other);
}

static void knows_cleartext(void **state) {
    (void)state;
    hone_tls *tls = make_test_tls(stats);
    static const char *const inputs[] = {"GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "P",
                                         "X"};
    for (size_t i = 0; i < 4; i++) {
        pair p = open_pair(tls, NULL);
        feed(&p, inputs[i], strlen(inputs[i]));
        assert_int_equal(hone_tls_session_state(p.server), HONE_TLS_CLEARTEXT);
        assert_int_equal(p.said.size + p.got.size, 0);
        feed(&p, "more", 4);
        assert_int_equal(p.said.size + p.got.size, 0);
        close_pair(&p);
        assert_int_equal(count_of("cleartext"), i + 1);
    }
    hone_tls_free(tls);
}

static void survives_garbage(void **state) {
    (void)state;
    hone_tls *tls = make_test_tls(stats);
    char junk[3000];
    unsigned seed = 1;
    for (int round = 0; round < 300; round++) {
        pair p = open_pair(tls, NULL);
        for (size_t i = 0; i < sizeof junk; i++) junk[i] = (char)((seed = seed * 1103515245u + 12345u) >> 16);
        if (round % 3) memcpy(junk, "\x16\x03\x01\x02", 4); /* a record of a handshake */
        if (round % 3 == 2) junk[5] = 1;                    /* a ClientHello */
        p.piece = (size_t)round % 7;
        feed(&p, junk, sizeof junk);
        assert_int_not_equal(hone_tls_session_state(p.server), HONE_TLS_OPEN);
        assert_int_equal(p.got.size, 0);
        close_pair(&p);
    }
    assert_true(count_of("malformed") > 200);
    assert_int_equal(count_of("ok"), 0);
    hone_tls_free(tls);
}

/* One byte of the client's flights is another one: the session fails, or (an extension that nobody knows) it
 * works. */
static void survives_bent_handshakes(void **state) {
    (void)state;
    hone_tls *tls = make_test_tls(stats);
    for (size_t at = 0; at < 800; at += 3) {
        pair p = open_pair(tls, NULL);
        size_t seen = 0;
        for (int turn = 0; turn < 4; turn++) {
            char *data;
            SSL_do_handshake(p.client);
            long size = BIO_get_mem_data(SSL_get_wbio(p.client), &data);
            if (size > 0 && at >= seen && at < seen + (size_t)size) data[at - seen] ^= 0x41;
            seen += size > 0 ? (size_t)size : 0;
            exchange(&p);
        }
        if (hone_tls_session_state(p.server) == HONE_TLS_OPEN && SSL_is_init_finished(p.client))
            check_both_ways(&p);
        close_pair(&p);
    }
    ERR_clear_error();
    hone_tls_free(tls);
}

static SSL_SESSION *resumable(hone_tls *tls, tls_options *o) {
    pair p = open_pair(tls, o);
    assert_true(shake(&p));
    check_both_ways(&p); /* tickets come behind the handshake */
    SSL_shutdown(p.client);
    SSL_SESSION *s = SSL_get1_session(p.client);
    close_pair(&p);
    return s;
}

/* Tickets spare the second handshake, until the certificate or the client CA is read anew. */
static void resumes_sessions(void **state) {
    (void)state;
    hone_tls *tls = make_tls_with("server", "ca.crt");
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (int v = 0; v < 2; v++) {
        tls_options o = {.version = versions[v], .identity = "client"};
        SSL_SESSION *s = o.session = resumable(tls, &o);
        for (int reloaded = 0; reloaded < 2; reloaded++) {
            pair p = open_pair(tls, &o);
            assert_true(shake(&p));
            assert_int_equal(SSL_session_reused(p.client), !reloaded);
            check_both_ways(&p);
            close_pair(&p);
            hone_tls_refresh(tls, true);
        }
        SSL_SESSION_free(s);
    }
    hone_tls_free(tls);
}

/* --- data --- */

static void carries_much(void **state) {
    (void)state;
    enum { SIZE = 3 << 20 };
    char *data = malloc(SIZE);
    assert_non_null(data);
    for (size_t i = 0; i < SIZE; i++) data[i] = (char)(i * i >> 7);
    hone_tls *tls = make_test_tls(stats);
    static const size_t pieces[] = {0, 100, 16384, 65536, 65537};
    for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++) {
        pair p = open_pair(tls, &(tls_options){.version = k % 2 ? TLS1_2_VERSION : 0});
        assert_true(shake(&p));
        p.piece = pieces[k];
        client_writes(&p, data, SIZE);
        assert_int_equal(p.got.size, SIZE);
        assert_memory_equal(p.got.data, data, SIZE);
        assert_true(hone_tls_write(p.server, data, SIZE, &p.said));
        hone_buffer b = client_reads(&p);
        assert_int_equal(b.size, SIZE);
        assert_memory_equal(b.data, data, SIZE);
        hone_buffer_free(&b);
        check_both_ways(&p);
        close_pair(&p);
    }
    hone_tls_free(tls);
    free(data);
}

static void ends_well(void **state) {
    (void)state;
    hone_tls *tls = make_test_tls(stats);
    for (int first = 0; first < 2; first++) {
        pair p = open_pair(tls, NULL);
        assert_true(shake(&p));
        if (first == 0) {
            size_t n;
            assert_int_equal(SSL_write_ex(p.client, "last", 4, &n), 1);
            SSL_shutdown(p.client);
            exchange(&p);
            assert_int_equal(hone_tls_session_state(p.server), HONE_TLS_ENDED);
            assert_int_equal(p.got.size, 4);
            feed(&p, "more", 4); /* is not looked at */
            assert_true(hone_tls_write(p.server, "answer", 6, &p.said));
        }
        hone_tls_end(p.server, &p.said);
        size_t said = p.said.size;
        assert_true(said > 0);
        hone_tls_end(p.server, &p.said);
        assert_int_equal(p.said.size, said);
        assert_false(hone_tls_write(p.server, "x", 1, &p.said));
        hone_buffer b = client_reads(&p);
        assert_int_equal(b.size, first == 0 ? 6 : 0);
        assert_true(SSL_get_shutdown(p.client) & SSL_RECEIVED_SHUTDOWN);
        hone_buffer_free(&b);
        close_pair(&p);
    }
    hone_tls_free(tls);
}

static void updates_keys(void **state) {
    (void)state;
    hone_tls *tls = make_test_tls(stats);
    pair p = open_pair(tls, &(tls_options){.version = TLS1_3_VERSION});
    assert_true(shake(&p));
    for (int i = 0; i < 50; i++) {
        assert_int_equal(
            SSL_key_update(p.client, i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        check_both_ways(&p);
    }
    close_pair(&p);
    hone_tls_free(tls);
}

static void refuses_renegotiation(void **state) {
    (void)state;
    hone_tls *tls = make_test_tls(stats);
    pair p = open_pair(tls, &(tls_options){.version = TLS1_2_VERSION});
    assert_true(shake(&p));
    SSL_renegotiate(p.client);
    SSL_do_handshake(p.client);
    exchange(&p);
    assert_int_equal(hone_tls_session_state(p.server), HONE_TLS_OPEN);
    ERR_clear_error();
    assert_int_not_equal(SSL_do_handshake(p.client), 1); /* it is told so, and gives up */
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    ERR_clear_error();
    close_pair(&p);
    hone_tls_free(tls);
}

static void fails_on_bent_data(void **state) {
    (void)state;
    hone_tls *tls = make_test_tls(stats);
    for (int v = 0; v < 2; v++) {
        pair p = open_pair(tls, &(tls_options){.version = v ? TLS1_2_VERSION : TLS1_3_VERSION});
        char *data;
        size_t n;
        assert_true(shake(&p));
        assert_int_equal(SSL_write_ex(p.client, "question", 8, &n), 1);
        long size = BIO_get_mem_data(SSL_get_wbio(p.client), &data);
        data[size - 1] ^= 1;
        exchange(&p);
        assert_int_equal(hone_tls_session_state(p.server), HONE_TLS_FAILED);
        assert_int_equal(p.got.size, 0);
        close_pair(&p);
    }
    assert_int_equal(count_of("ok"), 2);
    assert_int_equal(count_of("malformed"), 0);
    hone_tls_free(tls);
}

/* --- files --- */

static void names_what_is_wrong(void **state) {
    (void)state;
    write_file(test_path("junk"), "junk\n", 5);
    write_file(test_path("large"), "", 0);
    assert_int_equal(truncate(test_path("large"), (off_t)64 << 30), 0); /* takes no space */
    assert_int_equal(mkfifo(test_path("pipe"), 0600), 0);
    identity i = make_identity("locked", &test_ca, -1, 30);
    FILE *f = fopen(test_path("locked.key"), "w");
    assert_non_null(f);
    assert_int_equal(
        PEM_write_PrivateKey(f, i.key, EVP_aes_256_cbc(), (unsigned char *)(uintptr_t) "pw", 2, NULL, NULL),
        1);
    fclose(f);
    free_identity(&i);
    static const struct {
        const char *files[3], *at, *message;
        hone_status status;
    } cases[] = {
        {{"none", "server.key"}, "none", "cannot open: No such file or directory", HONE_NOT_FOUND},
        {{"junk", "server.key"}, "junk", "no certificate can be read from it: no start line", HONE_CORRUPT},
        {{"server.key", "server.key"}, "server.key", "no certificate can be read from it", HONE_CORRUPT},
        {{"server.crt", "none"}, "none", "cannot open: No such file or directory", HONE_NOT_FOUND},
        {{"server.crt", "junk"}, "junk", "no private key can be read from it", HONE_CORRUPT},
        {{"server.crt", "client.key"},
         "client.key",
         "the key is not that of the certificate in ",
         HONE_INVALID_ARGUMENT},
        {{"server.crt", "locked.key"}, "locked.key", "the key is encrypted", HONE_UNSUPPORTED},
        {{"server.crt", "server.key", "none"},
         "none",
         "cannot open: No such file or directory",
         HONE_NOT_FOUND},
        {{"server.crt", "server.key", "junk"}, "junk", "no certificate can be read from it", HONE_CORRUPT},
        /* nobody writes into the pipe, and the large one would take long to read */
        {{"pipe", "server.key"}, "pipe", "is not a regular file", HONE_INVALID_ARGUMENT},
        {{"server.crt", "pipe"}, "pipe", "is not a regular file", HONE_INVALID_ARGUMENT},
        {{"server.crt", "server.key", "pipe"}, "pipe", "is not a regular file", HONE_INVALID_ARGUMENT},
        {{"large", "server.key"}, "large", "the limit is 4194304", HONE_RESOURCE_EXHAUSTED},
        {{"server.crt", "large"}, "large", "the limit is 4194304", HONE_RESOURCE_EXHAUSTED},
        {{"server.crt", "server.key", "large"}, "large", "the limit is 4194304", HONE_RESOURCE_EXHAUSTED},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const char *const *names = cases[k].files;
        hone_tls_files files = {test_path(names[0]), test_path(names[1]),
                                names[2] ? test_path(names[2]) : NULL};
        hone_tls *tls = NULL;
        hone_error err = {0};
        hone_status status = hone_tls_new(&files, stats, &tls, &err);
        if (status != cases[k].status || !strstr(err.message, cases[k].message) ||
            strcmp(err.file, test_path(cases[k].at)) != 0)
            fail_msg("case %zu: %d %s: %s", k, (int)status, err.file, err.message);
        assert_null(tls);
    }
}

static void warns_of_dates(void **state) {
    (void)state;
    make_files("expired", &test_ca, -20, -10);
    hone_tls *tls = make_tls_with("expired", NULL);
    assert_non_null(strstr(last_log, "expired.crt: the certificate has expired, at 20"));
    double end = metric("hone_tls_certificate_not_after_seconds", NULL), now = (double)time(NULL);
    assert_true(end < now - 9 * 86400 && end > now - 11 * 86400);
    make_files("expired", &test_ca, 10, 20);
    hone_tls_refresh(tls, false);
    assert_non_null(strstr(last_log, "expired.crt: the certificate is valid only from 20"));
    hone_tls_free(tls);
}

static const char *shown_name(hone_tls *tls, char out[64]) {
    pair p = open_pair(tls, NULL);
    assert_true(shake(&p));
    X509 *x = SSL_get0_peer_certificate(p.client);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, out, 64);
    close_pair(&p);
    return out;
}

static double reload_worked(void) {
    return metric("hone_tls_certificate_last_reload_successful", NULL);
}

static void reads_changed_files(void **state) {
    (void)state;
    char name[64];
    make_files("changing", &test_ca, -1, 30);
    hone_tls *tls = make_tls_with("changing", NULL);
    pair old = open_pair(tls, NULL), shaking = open_pair(tls, NULL);
    assert_true(shake(&old));
    assert_string_equal(shown_name(tls, name), "changing");
    hone_tls_refresh(tls, false);
    assert_string_equal(last_log, ""); /* nothing has changed */

    identity second = make_identity("second", &test_ca, -1, 60);
    write_identity(&second, "changing", &test_ca);
    assert_string_equal(shown_name(tls, name), "changing");
    hone_tls_refresh(tls, false);
    assert_non_null(strstr(last_log, "changing.crt: read again"));
    assert_string_equal(shown_name(tls, name), "second");
    assert_true(metric("hone_tls_certificate_not_after_seconds", NULL) > (double)time(NULL) + 59 * 86400);
    check_both_ways(&old); /* goes on, as does a handshake that had begun */
    assert_true(shake(&shaking));

    write_file(test_path("changing.crt"), "-----BEGIN CERTIFICATE-----\nAAAA\n", 33);
    hone_tls_refresh(tls, false);
    assert_non_null(strstr(last_log, "the TLS certificate stays as it was: "));
    assert_non_null(strstr(last_log, "changing.crt: no certificate can be read from it"));
    assert_true(reload_worked() == 0);
    assert_string_equal(shown_name(tls, name), "second");
    last_log[0] = 0;
    hone_tls_refresh(tls, false); /* is said once, unless somebody asks */
    assert_string_equal(last_log, "");
    hone_tls_refresh(tls, true);
    assert_non_null(strstr(last_log, "stays as it was"));

    make_files("changing", &test_ca, -1, 30);
    hone_tls_refresh(tls, false);
    assert_string_equal(shown_name(tls, name), "changing");
    assert_true(reload_worked() == 1);
    make_files("other", &test_ca, -1, 30); /* the key of another certificate, as between two renames */
    assert_int_equal(rename(test_path("other.key"), test_path("changing.key")), 0);
    hone_tls_refresh(tls, false);
    assert_non_null(strstr(last_log, "the key is not that of the certificate in "));
    assert_int_equal(rename(test_path("other.crt"), test_path("changing.crt")), 0);
    hone_tls_refresh(tls, false);
    assert_string_equal(shown_name(tls, name), "other");
    close_pair(&old);
    close_pair(&shaking);
    free_identity(&second);
    hone_tls_free(tls);
}

/* --- memory --- */

/* Each allocation of one step fails in turn. Steps: the session is made, the client's flights come, something
 * is read, something is written, the end is said. */
enum { STEPS = 8 };

static bool take_step(pair *p, hone_tls *tls, int step) {
    char *data;
    switch (step) {
    case 0: return (p->server = hone_tls_session_new(tls));
    case 6: return hone_tls_write(p->server, "answer", 6, &p->said);
    case 7: hone_tls_end(p->server, &p->said); return p->said.size > 0;
    default: {
        long size = BIO_get_mem_data(SSL_get_wbio(p->client), &data);
        if (size > 0) feed(p, data, (size_t)size);
        return hone_tls_session_state(p->server) != HONE_TLS_FAILED && !p->said.failed;
    }
    }
}

/* What the client does before a step. */
static void client_step(pair *p, int step) {
    size_t n;
    if (step == 0) return;
    (void)!BIO_reset(SSL_get_wbio(p->client));
    if (p->said.size) BIO_write(SSL_get_rbio(p->client), p->said.data, (int)p->said.size);
    hone_buffer_clear(&p->said, SIZE_MAX);
    ERR_clear_error();
    if (step < 5)
        SSL_do_handshake(p->client);
    else if (step == 5)
        SSL_write_ex(p->client, "question", 8, &n);
}

/* Goes through all steps; in one of them the n-th allocation fails (0: none). Returns the allocations of that
 * step. */
static uint64_t fail_in(hone_tls *tls, SSL_CTX *context, int failing, uint64_t n, int *failures) {
    pair p = open_pair_in(tls, context);
    hone_tls_session_free(p.server);
    p.server = NULL;
    bool good = true;
    uint64_t count = 0;
    for (int step = 0; step < STEPS && good; step++) {
        client_step(&p, step);
        uint64_t before = hone_alloc_count();
        if (step == failing) hone_alloc_fail_at(n, false);
        good = take_step(&p, tls, step);
        hone_alloc_fail_at(0, false);
        if (step == failing) count = hone_alloc_count() - before;
    }
    *failures += !good;
    close_pair(&p);
    ERR_clear_error();
    return count;
}

/* Of some failures OpenSSL makes nothing, and goes on. */
static void survives_lack_of_memory(void **state) {
    (void)state;
    hone_tls_files files = {test_path("server.crt"), test_path("server.key"), test_path("ca.crt")};
    int failures = 0;
    uint64_t count = 0;
    for (uint64_t n = 0; n <= count; n += 1 + n / 20) { /* there are thousands */
        hone_tls *tls = NULL;
        hone_stats_free(stats);
        assert_int_equal(hone_stats_new(&stats, NULL), HONE_OK);
        uint64_t before = hone_alloc_count();
        hone_alloc_fail_at(n, false);
        hone_status status = hone_tls_new(&files, stats, &tls, NULL);
        hone_alloc_fail_at(0, false);
        if (n == 0) count = hone_alloc_count() - before;
        assert_int_equal(status == HONE_OK, tls != NULL);
        failures += !tls;
        hone_tls_free(tls);
    }
    hone_stats_free(stats);
    assert_int_equal(hone_stats_new(&stats, NULL), HONE_OK);
    hone_tls *tls = make_tls_with("server", "ca.crt");
    SSL_CTX *context = tls_client_context(&(tls_options){.identity = "client"});
    int failed = 0;
    for (int step = 0; step < STEPS; step++) {
        uint64_t of_step = fail_in(tls, context, step, 0, &failed);
        assert_int_equal(failed, 0);
        for (uint64_t n = 1; n <= of_step; n += 1 + n / 40) fail_in(tls, context, step, n, &failures);
        count += of_step;
    }
    print_message("%d failures; %d allocations in all\n", failures, (int)count);
    assert_true(failures > 100);
    pair p = open_pair_in(tls, context);
    assert_true(shake(&p));
    check_both_ways(&p);
    close_pair(&p);
    SSL_CTX_free(context);
    hone_tls_free(tls);
}

/* What a session keeps once it has been used. */
static void idle_sessions_are_small(void **state) {
    (void)state;
    enum { COUNT = 50 };
    hone_tls *tls = make_test_tls(stats);
    SSL_CTX *context = tls_client_context(&(tls_options){.alpn = "\2h2"});
    for (int v = 0; v < 2; v++) {
        hone_tls_session *sessions[COUNT];
        SSL_CTX_set_max_proto_version(context, v ? TLS1_3_VERSION : TLS1_2_VERSION);
        size_t before = 0;
        for (int i = -1; i < COUNT; i++) { /* the first one brings what all share */
            if (i == 0) before = live;
            pair p = open_pair_in(tls, context);
            assert_true(shake(&p));
            check_both_ways(&p);
            hone_tls_session **kept = i < 0 ? &p.server : &sessions[i], *none = NULL;
            if (i >= 0) *kept = p.server, p.server = none;
            close_pair(&p);
        }
        size_t each = (live - before) / COUNT;
        print_message("%zu bytes of OpenSSL's for each session\n", each);
        assert_true(each < 30000);
        for (int i = 0; i < COUNT; i++) hone_tls_session_free(sessions[i]);
        assert_true(live <= before + 1000);
    }
    SSL_CTX_free(context);
    hone_tls_free(tls);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(agrees_on_versions_and_protocols),
        TEST(refuses_what_is_unsupported),
        TEST(wants_clients_certificates),
        TEST(counts_clients_that_refuse),
        TEST(knows_cleartext),
        TEST(survives_garbage),
        TEST(survives_bent_handshakes),
        TEST(resumes_sessions),
        TEST(carries_much),
        TEST(ends_well),
        TEST(updates_keys),
        TEST(refuses_renegotiation),
        TEST(fails_on_bent_data),
        TEST(names_what_is_wrong),
        TEST(warns_of_dates),
        TEST(reads_changed_files),
        TEST(survives_lack_of_memory),
        TEST(idle_sessions_are_small),
    };
    if (CRYPTO_set_mem_functions(crypto_alloc, crypto_realloc, crypto_free) != 1) return 1;
    hone_log_set(keep_log, NULL, HONE_LOG_INFO);
    return cmocka_run_group_tests(tests, make_test_certificates, remove_test_certificates);
}
