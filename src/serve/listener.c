#include "serve/listener.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/clock.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, ACCEPTS_A_TURN = 64, STARVED_MS = 50 };

struct hone_listener {
    hone_listener_options options;
    int fd, port;
    bool starved; /* accepting waits for descriptors */
};

static const char refusal[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
                              "Content-Length: 48\r\nConnection: close\r\n\r\n"
                              "{\"error\": \"The server has too many connections\"}";

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

static void take(hone_listener *l, int fd) {
    int total;
    hone_loop *loop = least_loaded(l, &total);
    if (l->options.max_connections > 0 && total >= l->options.max_connections) {
        (void)!send(fd, refusal, sizeof refusal - 1, MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
        char unread[4096]; /* closing over it would take the answer with it */
        while (recv(fd, unread, sizeof unread, MSG_DONTWAIT) > 0) {
        }
        close(fd);
        hone_stats_failed(l->options.stats, HONE_REASON_OVERLOADED);
        return;
    }
    hone_loop_hand(loop, fd);
}

static void starve(hone_listener *l, int code) {
    char text[128];
    if (!l->starved)
        hone_log(HONE_LOG_WARNING, "accepting connections is paused: %s",
                 strerror_r(code, text, sizeof text));
    l->starved = true;
    hone_stats_failed(l->options.stats, HONE_REASON_ACCEPT);
}

/* Returns false when there is nothing (more) to accept. */
static bool accept_one(hone_listener *l) {
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        if (l->starved) hone_log(HONE_LOG_INFO, "accepting connections again");
        l->starved = false;
        take(l, fd);
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

void hone_listener_run(hone_listener *l, int until, int ms) {
    uint64_t end = hone_now() + (uint64_t)(ms < 0 ? 0 : ms) * HONE_MILLISECOND;
    for (;;) {
        uint64_t now = hone_now();
        int wait = ms < 0 ? -1 : now >= end ? 0 : (int)((end - now) / HONE_MILLISECOND) + 1;
        if (wait == 0) return;
        /* Lack of descriptors leaves the connection in the backlog, and the socket readable: waiting for it
         * would spin. */
        if (l->starved && (wait < 0 || wait > STARVED_MS)) wait = STARVED_MS;
        struct pollfd p[2] = {{.fd = until, .events = POLLIN},
                              {.fd = l->starved ? -1 : l->fd, .events = POLLIN}};
        int n = poll(p, 2, wait);
        if (n > 0 && p[0].revents) return;
        if (p[1].revents || l->starved)
            for (int i = 0; i < ACCEPTS_A_TURN && accept_one(l); i++) {
            }
    }
}

static int open_socket(const struct addrinfo *a) {
    int one = 1, zero = 0;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0) return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (a->ai_family == AF_INET6) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

static int port_of(int fd) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) return 0;
    if (address.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static hone_status bind_socket(hone_listener *l, hone_error *err) {
    char port[16], place[300];
    const char *host = l->options.host;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *list = NULL;
    if (l->options.port < 0 || l->options.port > 65535)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%d is no port", l->options.port);
    snprintf(port, sizeof port, "%d", l->options.port);
    snprintf(place, sizeof place, "%s:%s", host ? host : "*", port);
    int code = getaddrinfo(host, port, &hints, &list);
    if (code != 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the address %s can't be listened at: %s", place,
                         gai_strerror(code));
    for (const struct addrinfo *a = list; a && l->fd < 0; a = a->ai_next) l->fd = open_socket(a);
    code = errno;
    freeaddrinfo(list);
    if (l->fd < 0) {
        char text[128];
        return hone_fail(err, HONE_IO, "the address %s can't be listened at: %s", place,
                         strerror_r(code, text, sizeof text));
    }
    l->port = port_of(l->fd);
    return HONE_OK;
}

hone_status hone_listener_new(const hone_listener_options *options, hone_listener **out, hone_error *err) {
    hone_listener *l = hone_calloc(1, sizeof *l);
    if (!l) return hone_fail_memory(err);
    l->options = *options;
    l->fd = -1;
    hone_status status = bind_socket(l, err);
    if (status != HONE_OK) {
        hone_listener_free(l);
        return status;
    }
    *out = l;
    return HONE_OK;
}

int hone_listener_port(const hone_listener *l) {
    return l->port;
}

void hone_listener_close(hone_listener *l) {
    if (l->fd < 0) return;
    while (accept_one(l)) {
    }
    close(l->fd);
    l->fd = -1;
}

void hone_listener_free(hone_listener *l) {
    if (!l) return;
    if (l->fd >= 0) close(l->fd);
    hone_free(l);
}
