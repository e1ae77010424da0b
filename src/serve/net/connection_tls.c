/* Between a socket and a protocol: TLS. What waits for the socket is sealed; what waits for the protocol is
 * not. */
#include "serve/net/connection.h"

#include <stdio.h>

enum { PIECE = 256 << 10 /* of plaintext, sealed and sent at a time */ };

/* --- in --- */

static void answer_cleartext(hone_connection *c) {
    char answer[300];
    int n = snprintf(
        answer, sizeof answer,
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 52\r\n"
        "Connection: close\r\nDate: %s\r\n\r\n{\"error\": \"This port speaks TLS: use https:// here\"}",
        hone_date_now(&c->loop->date));
    hone_tls_session_free(c->tls);
    c->tls = NULL;
    c->close_after = true;
    hone_stats_failed(c->loop->config->stats, HONE_REASON_MALFORMED);
    hone_connection_send_pieces(c, answer, (size_t)n, NULL, 0);
}

/* What a handshake failed of is told and the client given time to read it; later the connection just ends. */
static void end_input(hone_connection *c, bool shaking) {
    switch (hone_tls_session_state(c->tls)) {
    case HONE_TLS_CLEARTEXT: answer_cleartext(c); break;
    case HONE_TLS_FAILED: *(shaking ? &c->close_after : &c->broken) = true; break;
    case HONE_TLS_ENDED:
        if (!c->protocol->is_running(c)) hone_connection_end_tls(c);
        hone_connection_end_input(c);
        break;
    default: break;
    }
}

void hone_connection_unseal(hone_connection *c, const char *data, size_t size) {
    bool shaking = hone_connection_is_shaking(c);
    size_t n;
    do {
        n = hone_tls_read(c->tls, &data, &size, c->loop->plain, HONE_LOOP_PLAIN, &c->out);
        if (c->out.failed) c->broken = true;
        hone_connection_send(c);
        if (shaking && !hone_connection_is_shaking(c)) hone_connection_set_phase(c, HONE_PHASE_IDLE);
        if (n > 0) hone_connection_feed(c, c->loop->plain, n);
    } while (n == HONE_LOOP_PLAIN && !c->broken && !c->close_after);
    end_input(c, shaking);
}

/* --- out --- */

static void flush(hone_connection *c) {
    hone_buffer *sealed = &c->loop->sealed;
    if (sealed->failed) c->broken = true;
    hone_connection_send_pieces(c, sealed->data, sealed->size, NULL, 0);
    hone_buffer_clear(sealed, 2 * PIECE);
}

/* What the socket does not take goes, like all that follows it, behind c->out. */
static void seal(hone_connection *c, const char *data, size_t size) {
    hone_buffer *sealed = &c->loop->sealed;
    while (size > 0 && !c->broken) {
        bool waits = hone_connection_unsent(c) > 0;
        size_t n = size < PIECE ? size : PIECE;
        if (!hone_tls_write(c->tls, data, n, waits ? &c->out : sealed)) c->broken = true;
        data += n;
        size -= n;
        if (sealed->size >= PIECE) flush(c);
    }
}

void hone_connection_send_sealed(hone_connection *c, const char *data, size_t size) {
    seal(c, c->loop->cork.data, c->loop->cork.size);
    seal(c, data, size);
    flush(c);
}

bool hone_connection_end_tls(hone_connection *c) {
    hone_tls_end(c->tls, &c->out);
    hone_connection_send(c);
    return hone_connection_unsent(c) == 0;
}
