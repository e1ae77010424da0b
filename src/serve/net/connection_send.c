/* What goes out: through the cork, to the socket, and what has to wait for it. */
#include "serve/net/connection.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* How much the socket takes of the two pieces; marks the connection broken if it never will. */
static size_t send_some(hone_connection *c, const void *a, size_t a_size, const void *b, size_t b_size) {
    struct iovec pieces[2] = {{(void *)(uintptr_t)a, a_size}, {(void *)(uintptr_t)b, b_size}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = b_size ? 2 : 1};
    if (c->broken || a_size + b_size == 0) return 0;
    ssize_t n;
    do n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0) return (size_t)n;
    if (errno != EAGAIN && errno != EWOULDBLOCK) c->broken = true;
    return 0;
}

static void keep_rest(hone_connection *c, const void *data, size_t size, size_t sent) {
    if (sent < size) hone_buffer_put(&c->out, (const char *)data + sent, size - sent);
    if (c->out.failed) c->broken = true;
}

void hone_connection_send_pieces(hone_connection *c, const void *a, size_t a_size, const void *b,
                                 size_t b_size) {
    size_t n = send_some(c, a, a_size, b, b_size);
    keep_rest(c, a, a_size, n);
    keep_rest(c, b, b_size, n > a_size ? n - a_size : 0);
}

/* To be sent when the socket takes more. */
static void put_behind(hone_connection *c, const void *data, size_t size) {
    if (c->answer.size > 0)
        hone_buffer_put(&c->answer, data, size);
    else if (!c->tls)
        hone_buffer_put(&c->out, data, size);
    else if (!hone_tls_write(c->tls, data, size, &c->out))
        c->broken = true;
    if (c->out.failed || c->answer.failed) c->broken = true;
}

void hone_connection_send_corked(hone_connection *c, const void *data, size_t size) {
    hone_buffer *cork = &c->loop->cork;
    if (cork->failed) c->broken = true;
    if (c->tls)
        hone_connection_send_sealed(c, data, size);
    else
        hone_connection_send_pieces(c, cork->data, cork->size, data, size);
    hone_buffer_clear(cork, 2 * HONE_CORK_MOST);
}

void hone_connection_cork(hone_connection *c) {
    c->loop->corking = c;
}

void hone_connection_uncork(hone_connection *c) {
    hone_connection_send_corked(c, NULL, 0);
    c->loop->corking = NULL;
}

void hone_connection_push(hone_connection *c) {
    if (hone_connection_is_corked(c))
        hone_connection_send_corked(c, NULL, 0);
    else
        hone_connection_send(c);
}

/* Sends some of the answer that waits: true if the socket took all that it was given. */
static bool send_answer(hone_connection *c) {
    const char *data = c->answer.data + c->answered;
    size_t size = c->answer.size - c->answered;
    if (c->tls) {
        if (size > HONE_CORK_MOST) size = HONE_CORK_MOST;
        if (!hone_tls_write(c->tls, data, size, &c->out) || c->out.failed) c->broken = true;
        c->answered += size;
        return !c->broken;
    }
    size_t n = send_some(c, data, size, NULL, 0);
    c->answered += n;
    return n == size;
}

void hone_connection_send(hone_connection *c) {
    for (;;) {
        c->sent += send_some(c, c->out.data + c->sent, c->out.size - c->sent, NULL, 0);
        if (c->sent < c->out.size) return;
        hone_buffer_clear(&c->out, c->answer.size > 0 ? 2 * HONE_CORK_MOST : 0);
        c->sent = 0;
        if (c->answered == c->answer.size || !send_answer(c)) break;
    }
    if (c->answered < c->answer.size) return;
    hone_buffer_free(&c->answer);
    c->answered = 0;
}

void hone_connection_take(hone_connection *c, hone_buffer *data) {
    hone_buffer *cork = &c->loop->cork;
    size_t n = 0;
    if (c->answer.size > 0) {
        put_behind(c, data->data, data->size);
        return;
    }
    if (hone_connection_unsent(c) == 0 && !c->tls) {
        size_t first = hone_connection_is_corked(c) ? cork->size : 0;
        n = send_some(c, cork->data, first, data->data, data->size);
        if (cork->failed) c->broken = true;
        keep_rest(c, cork->data, first, n);
        if (first) hone_buffer_clear(cork, 2 * HONE_CORK_MOST);
        n = n > first ? n - first : 0;
        if (n == data->size) return;
    } else if (hone_connection_unsent(c) == 0 && hone_connection_is_corked(c)) {
        hone_connection_send_corked(c, NULL, 0);
    }
    c->answer = *data;
    c->answered = n;
    *data = (hone_buffer){0};
    if (n == 0) hone_connection_send(c);
}

void hone_connection_put(hone_connection *c, const void *data, size_t size) {
    if (!hone_connection_is_corked(c) || hone_connection_unsent(c) > 0) {
        put_behind(c, data, size);
        return;
    }
    if (size >= HONE_DIRECT_FROM) {
        hone_connection_send_corked(c, data, size);
        return;
    }
    hone_buffer_put(&c->loop->cork, data, size);
    if (c->loop->cork.size > HONE_CORK_MOST) hone_connection_send_corked(c, NULL, 0);
}
