#include "serve/net/listener.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/net/sockets.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_A_TURN = 64, STARVED_MS = 50 };

typedef struct place {
    int fd;
    const hone_endpoint *endpoint;
    hone_socket_file file; /* empty: it is a port */
} place;

struct hone_listener {
    hone_listener_options options;
    place places[HONE_LISTENER_SOCKETS];
    int count;
    bool starved; /* accepting waits for descriptors */
};

static void refuse(int fd) {
    hone_date date = {0};
    char text[300];
    int n = snprintf(
        text, sizeof text,
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 48\r\n"
        "Connection: close\r\nDate: %s\r\n\r\n{\"error\": \"The server has too many connections\"}",
        hone_date_now(&date));
    (void)!send(fd, text, (size_t)n, MSG_NOSIGNAL);
}

static hone_loop *least_loaded(const hone_listener *l, int *total) {
    hone_loop *best = NULL;
    int fewest = 0;
    *total = 0;
    for (int i = 0; i < l->options.loop_count; i++) {
        int n = atomic_load(&l->options.loops[i]->connections);
        *total += n;
        if (!best || n < fewest) {
            best = l->options.loops[i];
            fewest = n;
        }
    }
    return best;
}

static void take(hone_listener *l, const place *p, int fd) {
    int total;
    hone_loop *loop = least_loaded(l, &total);
    if (l->options.max_connections > 0 && total >= l->options.max_connections) {
        if (!p->endpoint || !p->endpoint->tls) refuse(fd);
        shutdown(fd, SHUT_WR);
        char unread[4096]; /* closing over it would take the answer with it */
        while (recv(fd, unread, sizeof unread, MSG_DONTWAIT) > 0) {
        }
        close(fd);
        hone_stats_failed(l->options.stats, HONE_REASON_OVERLOADED);
        return;
    }
    hone_loop_hand(loop, fd, p->endpoint);
}

static void starve(hone_listener *l, int code) {
    char text[128];
    if (!l->starved)
        hone_log(HONE_LOG_WARNING, "accepting connections is paused: %s",
                 hone_errno_text(code, text, sizeof text));
    l->starved = true;
    hone_stats_failed(l->options.stats, HONE_REASON_ACCEPT);
}

/* Returns false when there is nothing (more) to accept. */
static bool accept_one(hone_listener *l, const place *p) {
    int fd = accept4(p->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        if (l->starved) hone_log(HONE_LOG_INFO, "accepting connections again");
        l->starved = false;
        take(l, p, fd);
        return true;
    }
    switch (errno) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: starve(l, errno); return false;
    case EAGAIN: return false;
    default: return true; /* that connection has failed; the next one need not */
    }
}

/* Lack of descriptors leaves connections in the backlog, and the sockets readable: waiting for them would
 * spin. */
static void wait_and_accept(hone_listener *l, struct pollfd *until, int wait) {
    struct pollfd p[1 + HONE_LISTENER_SOCKETS] = {*until};
    if (l->starved && (wait < 0 || wait > STARVED_MS)) wait = STARVED_MS;
    for (int i = 0; i < l->count; i++)
        p[1 + i] = (struct pollfd){.fd = l->starved ? -1 : l->places[i].fd, .events = POLLIN};
    bool tries = l->starved, any = poll(p, (nfds_t)(1 + l->count), wait) > 0;
    until->revents = any ? p[0].revents : 0;
    if (until->revents) return;
    for (int i = 0; i < l->count; i++)
        if (tries || (any && p[1 + i].revents))
            for (int k = 0; k < ACCEPTS_A_TURN && accept_one(l, &l->places[i]); k++) {
            }
}

void hone_listener_run(hone_listener *l, int until, int ms) {
    uint64_t end = hone_now() + (uint64_t)(ms < 0 ? 0 : ms) * HONE_MILLISECOND;
    struct pollfd p = {.fd = until, .events = POLLIN};
    while (!p.revents) {
        uint64_t now = hone_now();
        int wait = ms < 0 ? -1 : now >= end ? 0 : (int)((end - now) / HONE_MILLISECOND) + 1;
        if (wait == 0) return;
        wait_and_accept(l, &p, wait);
    }
}

hone_status hone_listener_new(const hone_listener_options *options, hone_listener **out, hone_error *err) {
    hone_listener *l = hone_calloc(1, sizeof *l);
    if (!l) return hone_fail_memory(err);
    l->options = *options;
    *out = l;
    return HONE_OK;
}

static hone_status take_place(hone_listener *l, place *p, hone_error *err) {
    if (l->count < HONE_LISTENER_SOCKETS) {
        l->places[l->count++] = *p;
        return HONE_OK;
    }
    close(p->fd);
    hone_socket_file_remove(&p->file);
    return hone_fail(err, HONE_INTERNAL, "no room for another listening socket");
}

hone_status hone_listener_add_port(hone_listener *l, const hone_endpoint *endpoint, const char *host,
                                   int port, int *bound, hone_error *err) {
    place p = {.endpoint = endpoint};
    HONE_TRY(hone_socket_listen(host, port, &p.fd, err));
    if (bound) *bound = hone_socket_port(p.fd);
    return take_place(l, &p, err);
}

hone_status hone_listener_add_file(hone_listener *l, const hone_endpoint *endpoint, const char *path,
                                   mode_t mode, hone_error *err) {
    place p = {.endpoint = endpoint};
    HONE_TRY(hone_socket_listen_file(path, mode, &p.fd, &p.file, err));
    return take_place(l, &p, err);
}

static void close_places(hone_listener *l) {
    for (int i = 0; i < l->count; i++) {
        close(l->places[i].fd);
        hone_socket_file_remove(&l->places[i].file);
    }
    l->count = 0;
}

void hone_listener_close(hone_listener *l) {
    for (int i = 0; i < l->count; i++)
        while (accept_one(l, &l->places[i])) {
        }
    close_places(l);
}

void hone_listener_free(hone_listener *l) {
    if (!l) return;
    close_places(l);
    hone_free(l);
}
