/* The least that a server over HTTP/1.1 can do, to measure others by: looks for the end of the head and for
 * Content-Length, and answers every request with the bytes of a file, which are head and body.
 *
 *      bench_responder PORT THREADS FILE */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM = 64 << 10, EVENTS = 64, THREADS = 64 };

typedef struct connection {
    int fd;
    size_t size;
    char in[ROOM + 1];
} connection;

static char answer[ROOM];
static size_t answer_size;

/* Called when there is something to read. Returns 0 when the connection is over. */
static int serve(connection *c) {
    ssize_t n = recv(c->fd, c->in + c->size, ROOM - c->size, 0);
    if (n <= 0) return 0;
    size_t at = 0;
    c->size += (size_t)n;
    c->in[c->size] = 0;
    for (char *head = c->in, *end; (end = memmem(head, c->size - at, "\r\n\r\n", 4)); head = c->in + at) {
        const char *field = strcasestr(head, "\r\ncontent-length:");
        size_t body = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
        size_t whole = (size_t)(end + 4 - head) + body;
        if (whole > ROOM) return 0;
        if (c->size - at < whole) break;
        at += whole;
        if (send(c->fd, answer, answer_size, MSG_NOSIGNAL) != (ssize_t)answer_size) return 0;
    }
    memmove(c->in, c->in + at, c->size - at);
    c->size -= at;
    return 1;
}

static void *loop(void *epoll) {
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(*(int *)epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;
            if (serve(c)) continue;
            close(c->fd);
            free(c);
        }
    }
    return NULL;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

int main(int argc, char **argv) {
    static int loops[THREADS];
    int one = 1, count = argc == 4 ? atoi(argv[2]) : 0, listener = socket(AF_INET, SOCK_STREAM, 0);
    if (count < 1 || count > THREADS) return fprintf(stderr, "usage: bench_responder PORT THREADS FILE\n"), 2;
    FILE *file = fopen(argv[3], "rb");
    if (!file) fail(argv[3]);
    answer_size = fread(answer, 1, sizeof answer, file);
    fclose(file);
    struct sockaddr_in place = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)atoi(argv[1])),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&place, sizeof place) || listen(listener, 4096)) fail(argv[1]);
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        loops[i] = epoll_create1(0);
        if (pthread_create(&thread, NULL, loop, &loops[i])) fail("thread");
    }
    for (int next = 0;; next = (next + 1) % count) {
        connection *c = calloc(1, sizeof *c);
        if (!c || (c->fd = accept(listener, NULL, NULL)) < 0) fail("accept");
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(loops[next], EPOLL_CTL_ADD, c->fd, &event)) fail("epoll");
    }
}
