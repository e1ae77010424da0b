/* A small blocking HTTP client for the serving tests, in cleartext or over TLS (tls_client.h). Every wait is
 * bounded. */
#ifndef HONE_TESTS_SERVE_CLIENT_H
#define HONE_TESTS_SERVE_CLIENT_H

#include "base/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENT_WAIT_MS = 240000 }; /* sanitized servers on busy machines are slow */

typedef struct client client;

/* What lies between the client and its socket; NULL: nothing. */
typedef struct client_transport {
    bool (*send)(client *c, const char *data, size_t size);
    /* So many bytes, 0: the end, -1: nothing within `ms`. */
    ssize_t (*receive)(client *c, char *to, size_t room, int ms);
    void (*close)(client *c);
} client_transport;

struct client {
    int fd;
    const client_transport *transport;
    void *user; /* of the transport */
    char *data; /* received and not yet taken */
    size_t size, capacity;
};

typedef struct reply {
    int status; /* 0: the connection ended instead; -1: nothing came in time */
    char head[2048];
    char *body; /* terminated; free() it */
    size_t size;
} reply;

static inline int client_socket(void) {
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static inline bool client_connect_socket(int fd, int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1; /* heads and bodies are sent apart: no waiting for acknowledgements between them */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
}

static inline client client_open(int port) {
    client c = {.fd = client_socket()};
    if (!client_connect_socket(c.fd, port)) {
        if (c.fd >= 0) close(c.fd);
        c.fd = -1;
    }
    return c;
}

/* Over a Unix domain socket. */
static inline client client_open_file(const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    client c = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    size_t n = strlen(path);
    if (n < sizeof a.sun_path) memcpy(a.sun_path, path, n);
    if (c.fd >= 0 && connect(c.fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(c.fd);
        c.fd = -1;
    }
    return c;
}

static inline void client_close(client *c) {
    if (c->transport) c->transport->close(c);
    if (c->fd >= 0) close(c->fd);
    free(c->data);
    *c = (client){.fd = -1};
}

static inline bool client_send(client *c, const void *data, size_t size) {
    const char *p = data;
    if (c->transport) return c->transport->send(c, data, size);
    while (size > 0) {
        ssize_t n = send(c->fd, p, size, MSG_NOSIGNAL);
        if (n <= 0) return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

static inline bool client_text(client *c, const char *text) {
    return client_send(c, text, strlen(text));
}

static inline ssize_t client_receive(client *c, char *to, size_t room, int ms) {
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    if (c->transport) return c->transport->receive(c, to, room, ms);
    if (poll(&p, 1, ms) <= 0) return -1;
    ssize_t n = recv(c->fd, to, room, 0);
    return n < 0 ? 0 : n;
}

/* More bytes: 1, the end: 0, nothing within `ms`: -1. */
static inline int client_more(client *c, int ms) {
    if (c->capacity - c->size < 65536) {
        c->capacity = c->capacity * 2 + 131072;
        c->data = realloc(c->data, c->capacity);
        if (!c->data) abort();
    }
    ssize_t n = client_receive(c, c->data + c->size, c->capacity - c->size - 1, ms);
    if (n <= 0) return (int)n;
    c->size += (size_t)n;
    c->data[c->size] = 0;
    return 1;
}

static inline void client_drop(client *c, size_t n) {
    memmove(c->data, c->data + n, c->size - n);
    c->size -= n;
    c->data[c->size] = 0;
}

static inline bool client_chunks(client *c, reply *r) {
    for (;;) {
        char *line = c->data ? strstr(c->data, "\r\n") : NULL;
        size_t n = line ? strtoul(c->data, NULL, 16) : 0, skip = line ? (size_t)(line + 2 - c->data) : 0;
        if (!line || c->size < skip + n + 2) {
            if (client_more(c, CLIENT_WAIT_MS) <= 0) return false;
            continue;
        }
        r->body = realloc(r->body, r->size + n + 1);
        if (!r->body) abort();
        memcpy(r->body + r->size, c->data + skip, n);
        r->size += n;
        r->body[r->size] = 0;
        client_drop(c, skip + n + 2);
        if (n == 0) return true;
    }
}

/* The next answer. `bare`: it has no body, as that to HEAD. */
static inline reply client_reply(client *c, bool bare) {
    reply r = {0};
    char *end;
    while (!(c->data && c->size && (end = strstr(c->data, "\r\n\r\n")))) {
        int more = client_more(c, CLIENT_WAIT_MS);
        if (more <= 0) {
            r.status = more;
            return r;
        }
    }
    size_t head = (size_t)(end + 4 - c->data);
    snprintf(r.head, sizeof r.head, "%.*s", (int)head, c->data);
    client_drop(c, head);
    r.status = atoi(r.head + 9);
    const char *length = strcasestr(r.head, "content-length:");
    if (strcasestr(r.head, "transfer-encoding: chunked")) {
        if (!client_chunks(c, &r)) r.status = 0;
    } else if (!bare && r.status != 100) {
        size_t want = length ? strtoul(length + 15, NULL, 10) : SIZE_MAX;
        int more = 1;
        while (c->size < want && (more = client_more(c, CLIENT_WAIT_MS)) > 0) {
        }
        if (c->size < want && length) r.status = 0;
        r.size = c->size < want ? c->size : want;
        r.body = malloc(r.size + 1);
        if (!r.body) abort();
        if (r.size) memcpy(r.body, c->data, r.size);
        r.body[r.size] = 0;
        client_drop(c, r.size);
    }
    return r;
}

/* Does the server close the connection within `ms`, sending nothing more? */
static inline bool client_sees_close(client *c, int ms) {
    return c->size == 0 && client_more(c, ms) == 0;
}

/* Sends a request with a body and reads its answer. */
static inline reply client_ask(client *c, const char *method, const char *path, const char *body) {
    char head[512];
    reply none = {0};
    int n = body ? snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
                            method, path, strlen(body))
                 : snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", method, path);
    if (!client_send(c, head, (size_t)n) || (body && !client_text(c, body))) return none;
    return client_reply(c, strcmp(method, "HEAD") == 0);
}

#endif
