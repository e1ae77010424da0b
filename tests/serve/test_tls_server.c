/* A server that speaks TLS, and clients of all sorts. Its Unix domain socket, which does not, tells what it
 * counts. */
#include "serve/http2_frames.h"
#include "serve/servers.h"
#include "serve/tls_client.h"

static char socket_path[512]; /* test_path's are valid for a while only */

static hone_server_options tls_server_options(void) {
    snprintf(socket_path, sizeof socket_path, "%s/socket", test_dir);
    hone_server_options o = small_options();
    o.max_body_bytes = 16 << 20;
    o.header_timeout_ms = 60000;
    o.file_poll_ms = 0;
    o.unix_socket = socket_path;
    o.tls_cert_file = test_path("server.crt");
    o.tls_key_file = test_path("server.key");
    return o;
}

static void predicts(client *c) {
    check_has(client_ask(c, "POST", MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
}

static double handshakes(const char *result) {
    char name[100];
    snprintf(name, sizeof name, "hone_tls_handshakes_total{result=\"%s\"}", result);
    return metric_by(client_open_file(socket_path), name);
}

static void wait_for_handshakes(const char *result, int count) {
    for (int i = 0; i < CLIENT_WAIT_MS / 5 && handshakes(result) < count; i++) usleep(5000);
    assert_int_equal((int)handshakes(result), count);
}

/* --- tests --- */

static void serves_all_ports(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = tls_server_options();
    o.rest_port = o.admin_port = 0;
    start(&f, &o);
    int ports[] = {f.port, hone_server_rest_port(f.server), hone_server_admin_port(f.server)};
    for (int i = 0; i < 3; i++) {
        client c = tls_open(ports[i], NULL);
        assert_true(c.fd >= 0);
        predicts(&c);
        predicts(&c);
        check_has(client_ask(&c, "GET", "/v2/models/stats", NULL), i == 2 ? 200 : 403, "");
        client_close(&c);
    }
    client c = client_open_file(socket_path);
    predicts(&c);
    client_close(&c);
    stop(&f);
}

/* Rows of numbers that are all different, and what the model makes of them in cleartext. */
static void carries_large_bodies(void **state) {
    (void)state;
    enum { ROWS = 400000 }; /* more than sockets take at once */
    fixture f;
    hone_server_options o = tls_server_options();
    start(&f, &o);
    hone_buffer body = {0};
    for (int i = 0; i < ROWS; i++)
        hone_buffer_printf(&body, "%s[%d, %d.5, -%d]", i ? ", " : "{\"instances\": [", i, i, i);
    hone_buffer_text(&body, "]}");
    hone_buffer_byte(&body, 0);
    assert_false(body.failed);
    assert_true(body.size > 2 << 20);
    client plain = client_open_file(socket_path), c = tls_open(f.port, &(tls_options){.alpn = "\10http/1.1"});
    reply wanted = client_ask(&plain, "POST", MATRIX, body.data);
    assert_int_equal(wanted.status, 200);
    assert_true(wanted.size > 1 << 20);
    for (int i = 0; i < 2; i++) {
        reply r = client_ask(&c, "POST", MATRIX, body.data);
        assert_int_equal(r.status, 200);
        assert_string_equal(r.body, wanted.body);
        free(r.body);
    }
    free(wanted.body);
    hone_buffer_free(&body);
    client_close(&c);
    client_close(&plain);
    stop(&f);
}

static bool has_frame(client *c, int type, uint32_t stream) {
    frame f;
    while (!find_frame(c->data, c->size, type, stream, &f))
        if (client_more(c, CLIENT_WAIT_MS) <= 0) return false;
    return true;
}

static void speaks_what_was_agreed_on(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = tls_server_options();
    start(&f, &o);
    hone_buffer b = {0};
    put_preface(&b);
    put_request(&b, 1, "GET", "/healthz", END_STREAM);
    static const char *const offers[] = {"\2h2", NULL};
    for (int i = 0; i < 2; i++) { /* agreed on, or told by the first bytes */
        client c = tls_open(f.port, &(tls_options){.alpn = offers[i]});
        assert_true(client_send(&c, b.data, b.size));
        assert_true(has_frame(&c, HEADERS, 1));
        client_close(&c);
    }
    client c = tls_open(f.port, &(tls_options){.alpn = "\10http/1.1"});
    assert_true(client_send(&c, b.data, b.size));
    check_has(client_reply(&c, false), 505, "Only HTTP/1.1");
    client_close(&c);
    c = tls_open(f.port, &(tls_options){.alpn = "\2h2"});
    assert_true(client_text(&c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
    while (client_more(&c, CLIENT_WAIT_MS) > 0) {
    }
    assert_int_equal(client_more(&c, CLIENT_WAIT_MS), 0);
    assert_null(c.size ? memmem(c.data, c.size, "HTTP/1", 6) : NULL);
    client_close(&c);
    hone_buffer_free(&b);
    stop(&f);
}

static void tells_cleartext_clients(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = tls_server_options();
    start(&f, &o);
    static const char *const texts[] = {"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", HONE_HTTP2_PREFACE, "P"};
    for (int i = 0; i < 3; i++) {
        client c = client_open(f.port);
        assert_true(client_text(&c, texts[i]));
        check_has(client_reply(&c, false), 400, "{\"error\": \"This port speaks TLS: use https:// here\"}");
        assert_true(client_sees_close(&c, CLIENT_WAIT_MS));
        client_close(&c);
    }
    wait_for_handshakes("cleartext", 3);
    client c = tls_open(f.port, NULL);
    predicts(&c);
    client_close(&c);
    stop(&f);
}

/* A client of TLS 1.3 is done before the server has looked at its certificate: then the first answer does not
 * come. */
static int status_of(int port, const tls_options *o) {
    client c = tls_open(port, o);
    if (c.fd < 0) return 0;
    reply r = client_ask(&c, "GET", "/healthz", NULL);
    free(r.body);
    client_close(&c);
    return r.status;
}

static void wants_clients_certificates(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = tls_server_options();
    o.tls_client_ca_file = test_path("ca.crt");
    start(&f, &o);
    identity other = make_identity("Another CA", NULL, -1, 30);
    make_files("stranger", &other, -1, 30);
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (int v = 0; v < 2; v++) {
        tls_options t = {.version = versions[v]};
        assert_int_equal(status_of(f.port, &t), 0);
        t.identity = "stranger";
        assert_int_equal(status_of(f.port, &t), 0);
        t.identity = "client";
        assert_int_equal(status_of(f.port, &t), 200);
        wait_for_handshakes("no_client_certificate", v + 1);
        wait_for_handshakes("bad_client_certificate", v + 1);
        wait_for_handshakes("ok", v + 1);
    }
    free_identity(&other);
    stop(&f);
}

static void ends_garbage(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = tls_server_options();
    start(&f, &o);
    static const char *const inputs[] = {"\x16\x03\x01\x7f\xff garbage", "\x16\x03\x01\x00\x05hello and more",
                                         "\x80\x2e\x01\x03\x01 as in SSL 2", "\xff\xff\xff\xff\xff\xff"};
    for (int i = 0; i < 4; i++) {
        client c = client_open(f.port);
        char more[3000];
        memset(more, 'x', sizeof more);
        client_send(&c, inputs[i], i == 1 ? 20 : strlen(inputs[i]));
        client_send(&c, more, sizeof more); /* fails perhaps: the server is fed up by now */
        while (client_more(&c, CLIENT_WAIT_MS) > 0) {
        }
        client_close(&c);
    }
    wait_for_handshakes("malformed", 4);
    assert_int_equal(status_of(f.port, NULL), 200);
    stop(&f);
}

/* Whether nothing came, or some of the handshake. */
static void ends_slow_handshakes(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = tls_server_options();
    o.header_timeout_ms = 50;
    start(&f, &o);
    client a = client_open(f.port), b = client_open(f.port);
    assert_true(client_send(&b, "\x16\x03\x01\x02\x00\x01", 6));
    assert_true(client_sees_close(&a, CLIENT_WAIT_MS));
    assert_true(client_sees_close(&b, CLIENT_WAIT_MS));
    client_close(&a);
    client_close(&b);
    wait_for_handshakes("timeout", 2);
    stop(&f);
}

/* Idle connections are told that it is over; a request that is being read is answered before. */
static void drains(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = tls_server_options();
    start(&f, &o);
    client idle = tls_open(f.port, NULL), fresh = tls_open(f.port, NULL), busy = tls_open(f.port, NULL);
    predicts(&idle);
    char head[200];
    snprintf(head, sizeof head,
             "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %zu\r\n\r\n",
             strlen(ONE_ROW));
    assert_true(client_text(&busy, head));
    assert_int_equal(client_reply(&busy, false).status, 100); /* it reads */
    hone_server_stop(f.server);
    client *all[] = {&idle, &fresh, &busy};
    assert_true(client_sees_close(&idle, CLIENT_WAIT_MS)); /* by now it drains */
    assert_true(client_text(&busy, ONE_ROW));
    reply r = client_reply(&busy, false);
    assert_non_null(strstr(r.head, "Connection: close"));
    check_has(r, 200, ONE_ROW_ANSWER);
    for (int i = 0; i < 3; i++) {
        assert_true(client_sees_close(all[i], CLIENT_WAIT_MS));
        assert_true(tls_was_told_end(all[i]));
        client_close(all[i]);
    }
    stop(&f);
}

static void name_of(int port, char out[64]) {
    client c = tls_open(port, NULL);
    assert_true(c.fd >= 0);
    X509 *x = SSL_get0_peer_certificate(c.user);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, out, 64);
    client_close(&c);
}

/* The files change: when the server is told, and when it looks by itself. */
static void takes_new_certificates(void **state) {
    (void)state;
    for (int polling = 0; polling < 2; polling++) {
        fixture f;
        char name[64] = "";
        hone_server_options o = tls_server_options();
        make_files("first", &test_ca, -1, 30);
        make_files("second", &test_ca, -1, 30);
        o.tls_cert_file = test_path("first.crt");
        o.tls_key_file = test_path("first.key");
        if (polling) o.file_poll_ms = 10;
        start(&f, &o);
        client old = tls_open(f.port, NULL);
        name_of(f.port, name);
        assert_string_equal(name, "first");
        rename(test_path("second.key"), test_path("first.key"));
        rename(test_path("second.crt"), test_path("first.crt"));
        if (!polling) hone_server_reload(f.server);
        for (int i = 0; i < CLIENT_WAIT_MS / 5 && strcmp(name, "second") != 0; i++) {
            usleep(5000);
            name_of(f.port, name);
        }
        assert_string_equal(name, "second");
        predicts(&old);
        client_close(&old);
        stop(&f);
    }
}

static void refuses_half_of_the_options(void **state) {
    (void)state;
    hone_server *s = NULL;
    hone_error err = {0};
    hone_server_options o = tls_server_options();
    o.tls_key_file = NULL;
    assert_int_equal(hone_server_create(&o, &s, &err), HONE_INVALID_ARGUMENT);
    o = tls_server_options();
    o.tls_cert_file = NULL;
    assert_int_equal(hone_server_create(&o, &s, &err), HONE_INVALID_ARGUMENT);
    o.tls_key_file = NULL;
    o.tls_client_ca_file = test_path("ca.crt");
    assert_int_equal(hone_server_create(&o, &s, &err), HONE_INVALID_ARGUMENT);
    o = tls_server_options();
    o.tls_key_file = test_path("client.key");
    assert_int_equal(hone_server_create(&o, &s, &err), HONE_INVALID_ARGUMENT);
    assert_string_equal(err.file, o.tls_key_file);
    assert_int_not_equal(access(o.unix_socket, F_OK), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_all_ports),           cmocka_unit_test(carries_large_bodies),
        cmocka_unit_test(speaks_what_was_agreed_on),  cmocka_unit_test(tells_cleartext_clients),
        cmocka_unit_test(wants_clients_certificates), cmocka_unit_test(ends_garbage),
        cmocka_unit_test(ends_slow_handshakes),       cmocka_unit_test(drains),
        cmocka_unit_test(takes_new_certificates),     cmocka_unit_test(refuses_half_of_the_options),
    };
    return cmocka_run_group_tests(tests, make_test_certificates, remove_test_certificates);
}
