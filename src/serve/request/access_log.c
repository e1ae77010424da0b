#include "serve/request/access_log.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "base/wake.h"
#include "serve/format/json_write.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
    RING_BYTES = 1 << 20,
    GATHER_MS = 20,    /* that lines wait for others */
    PATIENCE_MS = 100, /* for a pipe that is full */
    LAST_TRIES = 10,   /* that long, at the end */
    MAX_PATH = 1024,
    MAX_ERROR = 1024,
    MAX_ID = 256,
    KEEP_LINE = 8 << 10
};

typedef struct ring {
    _Alignas(64) _Atomic size_t head; /* bytes ever put in; the loop's */
    _Alignas(64) _Atomic size_t tail; /* bytes ever taken out; the writer's */
    char *data;
    hone_buffer line; /* the loop's, as are the next two */
    time_t second;
    char second_text[32]; /* of `second`: "2006-01-02T15:04:05" */
} ring;

struct hone_access_log {
    char *path; /* NULL: standard output */
    uint64_t every;
    hone_stats *stats;
    size_t capacity; /* of a ring */
    int ring_count;
    ring *rings;
    atomic_uint_least64_t seen;
    int wake_fd;
    atomic_bool asleep, reopen, stop;
    pthread_t thread;
    bool started;
    /* The writer's. */
    int fd;
    bool regular, failing;
    bool inside; /* the file ends inside a line */
    bool torn;   /* … whose rest is lost */
};

/* --- the file --- */

static hone_status open_file(hone_access_log *l, hone_error *err) {
    struct stat s;
    int fd = STDOUT_FILENO;
    if (l->path) {
        /* Not blocking: a pipe that nobody reads is an error, and one that is full can be waited for. */
        fd = open(l->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
        if (fd < 0) return hone_fail_errno(err, errno, l->path, "can't be opened for the access log");
    }
    if (l->path && l->fd >= 0) close(l->fd);
    l->fd = fd;
    l->regular = fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
    l->inside = l->torn = false;
    return HONE_OK;
}

static void open_again(hone_access_log *l) {
    hone_error err = {0};
    if (l->path && open_file(l, &err) != HONE_OK)
        hone_log(HONE_LOG_ERROR, "%s; the old file is written on", err.message);
}

static void lose(hone_access_log *l, ring *r, size_t size, int code) {
    size_t tail = atomic_load(&r->tail), lines = 0;
    char text[128];
    for (size_t i = 0; i < size; i++) lines += r->data[(tail + i) & (l->capacity - 1)] == '\n';
    hone_stats_logged(l->stats, 0, lines);
    if (!l->failing)
        hone_log(HONE_LOG_ERROR, "the access log can't be written: %s", hone_errno_text(code, text, sizeof text));
    l->failing = true;
}

/* Bytes that the file took; 0: it is a full pipe; -1: it takes none, errno says why. */
static ssize_t write_out(hone_access_log *l, const char *data, size_t size) {
    if (!l->regular) {
        struct pollfd p = {.fd = l->fd, .events = POLLOUT};
        if (poll(&p, 1, PATIENCE_MS) <= 0) return 0;
        if (size > PIPE_BUF) size = PIPE_BUF; /* so much never blocks when there is room */
    }
    ssize_t n = write(l->fd, data, size);
    return n < 0 && (errno == EINTR || errno == EAGAIN) ? 0 : n;
}

static void empty_ring(hone_access_log *l, ring *r) {
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed), head;
    int tries = 0;
    while (tail != (head = atomic_load_explicit(&r->head, memory_order_acquire))) {
        size_t at = tail & (l->capacity - 1), size = head - tail;
        if (size > l->capacity - at) size = l->capacity - at;
        ssize_t n = l->torn ? write_out(l, "\n", 1) : write_out(l, r->data + at, size);
        if (n > 0 && l->torn) {
            l->torn = false;
            continue;
        }
        bool given_up = n == 0 && atomic_load(&l->stop) && ++tries == LAST_TRIES;
        if (n < 0 || given_up) {
            lose(l, r, head - tail, given_up ? EAGAIN : errno);
            l->torn = l->inside;
            n = (ssize_t)(head - tail);
        } else if (n > 0) {
            l->inside = r->data[at + (size_t)n - 1] != '\n';
            l->failing = false;
            tries = 0;
        }
        tail += (size_t)n;
        atomic_store_explicit(&r->tail, tail, memory_order_release);
    }
}

/* --- the writer --- */

static void sleep_until_woken(hone_access_log *l, int ms) {
    struct pollfd p = {.fd = l->wake_fd, .events = POLLIN};
    if (poll(&p, 1, ms) > 0) hone_wake_take(l->wake_fd);
}

static bool has_work(hone_access_log *l) {
    for (int i = 0; i < l->ring_count; i++)
        if (atomic_load(&l->rings[i].head) != atomic_load(&l->rings[i].tail)) return true;
    return atomic_load(&l->reopen) || atomic_load(&l->stop);
}

/* Whoever puts a line into a ring and then finds the writer asleep wakes it; the writer looks once more after
 * it has said that it sleeps. */
static void *write_lines(void *arg) {
    hone_access_log *l = arg;
    for (;;) {
        atomic_store(&l->asleep, true);
        if (!has_work(l)) sleep_until_woken(l, -1);
        atomic_store(&l->asleep, false);
        bool stop = atomic_load(&l->stop), reopen = atomic_exchange(&l->reopen, false);
        if (!stop && !reopen) sleep_until_woken(l, GATHER_MS);
        for (int i = 0; i < l->ring_count; i++) empty_ring(l, &l->rings[i]);
        if (reopen) open_again(l);
        if (stop) return NULL;
    }
}

static void put_line(hone_access_log *l, ring *r) {
    size_t size = r->line.size, head = atomic_load_explicit(&r->head, memory_order_relaxed);
    size_t used = head - atomic_load_explicit(&r->tail, memory_order_acquire);
    bool room = !r->line.failed && size <= l->capacity - used;
    hone_stats_logged(l->stats, room ? 1 : 0, room ? 0 : 1);
    if (!room) return;
    size_t at = head & (l->capacity - 1), first = l->capacity - at < size ? l->capacity - at : size;
    memcpy(r->data + at, r->line.data, first);
    memcpy(r->data, r->line.data + first, size - first);
    atomic_store(&r->head, head + size);
    bool half = used <= l->capacity / 2 && used + size > l->capacity / 2;
    if (half || (atomic_load(&l->asleep) && atomic_exchange(&l->asleep, false))) hone_wake(l->wake_fd);
}

/* --- making --- */

static hone_status make_rings(hone_access_log *l, int count, hone_error *err) {
    l->rings = hone_calloc((size_t)count, sizeof *l->rings);
    if (!l->rings) return hone_fail_memory(err);
    for (; l->ring_count < count; l->ring_count++) {
        ring *r = &l->rings[l->ring_count];
        r->second = -1;
        r->data = hone_alloc(l->capacity);
        if (!r->data) return hone_fail_memory(err);
    }
    return HONE_OK;
}

static hone_status start(hone_access_log *l, hone_error *err) {
    l->wake_fd = hone_wake_new();
    if (l->wake_fd < 0) return hone_fail_errno(err, errno, "eventfd", "can't be made");
    /* without signals, a closed pipe is an error of write */
    int code = hone_thread_start(&l->thread, write_lines, l, "hone-log");
    l->started = code == 0;
    return code ? hone_fail_errno(err, code, "the access log", "no thread can be started") : HONE_OK;
}

hone_status hone_access_log_open(const hone_access_log_options *o, hone_access_log **out, hone_error *err) {
    hone_access_log *l = hone_calloc(1, sizeof *l);
    if (!l) return hone_fail_memory(err);
    l->fd = l->wake_fd = -1;
    l->every = o->every ? o->every : 1;
    l->stats = o->stats;
    l->capacity = o->ring_bytes ? o->ring_bytes : RING_BYTES;
    hone_status status = HONE_OK;
    if (strcmp(o->path, "-") != 0 && !(l->path = hone_strdup(o->path))) status = hone_fail_memory(err);
    if (status == HONE_OK) status = make_rings(l, o->loops, err);
    if (status == HONE_OK) status = open_file(l, err);
    if (status == HONE_OK) status = start(l, err);
    if (status != HONE_OK)
        hone_access_log_close(l);
    else
        *out = l;
    return status;
}

void hone_access_log_finish(hone_access_log *l) {
    if (!l || !l->started) return;
    atomic_store(&l->stop, true);
    hone_wake(l->wake_fd);
    pthread_join(l->thread, NULL);
    l->started = false;
}

void hone_access_log_close(hone_access_log *l) {
    if (!l) return;
    hone_access_log_finish(l);
    for (int i = 0; i < l->ring_count; i++) {
        hone_free(l->rings[i].data);
        hone_buffer_free(&l->rings[i].line);
    }
    if (l->path && l->fd >= 0) close(l->fd);
    if (l->wake_fd >= 0) close(l->wake_fd);
    hone_free(l->rings);
    hone_free(l->path);
    hone_free(l);
}

void hone_access_log_reopen(hone_access_log *l) {
    if (!l) return;
    atomic_store(&l->reopen, true);
    hone_wake(l->wake_fd);
}

/* --- lines --- */

void hone_remote_of(int fd, hone_remote *out) {
    struct sockaddr_storage a;
    socklen_t size = sizeof a;
    char host[INET6_ADDRSTRLEN];
    out->text[0] = 0;
    if (getpeername(fd, (struct sockaddr *)&a, &size) != 0) return;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a;
    if (a.ss_family == AF_INET && inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host))
        snprintf(out->text, sizeof out->text, "%s:%d", host, ntohs(v4->sin_port));
    else if (a.ss_family == AF_INET6 && inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host))
        snprintf(out->text, sizeof out->text, "[%s]:%d", host, ntohs(v6->sin6_port));
    else if (a.ss_family == AF_UNIX)
        memcpy(out->text, "unix", sizeof "unix");
}

static void put_key(hone_buffer *b, const char *key) {
    hone_buffer_text(b, ",\"");
    hone_buffer_text(b, key);
    hone_buffer_text(b, "\":");
}

static void put_text(hone_buffer *b, const char *key, const char *text, size_t size, size_t most) {
    put_key(b, key);
    hone_json_write_string(b, text, hone_utf8_fit(text, size, most));
}

static void put_number(hone_buffer *b, const char *key, uint64_t x) {
    put_key(b, key);
    hone_json_write_integer(b, (int64_t)x);
}

static void put_ms(hone_buffer *b, const char *name, uint64_t ns) {
    uint64_t us = ns / 1000;
    if (b->data[b->size - 1] != '{') hone_buffer_byte(b, ',');
    hone_buffer_byte(b, '"');
    hone_buffer_text(b, name);
    hone_buffer_text(b, "\":");
    hone_json_write_integer(b, (int64_t)(us / 1000));
    hone_buffer_byte(b, '.');
    for (uint64_t unit = 100; unit > 0; unit /= 10) hone_buffer_byte(b, (char)('0' + us / unit % 10));
}

static void put_time(ring *r, hone_buffer *b) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != r->second) {
        struct tm t;
        gmtime_r(&now.tv_sec, &t);
        strftime(r->second_text, sizeof r->second_text, "%Y-%m-%dT%H:%M:%S", &t);
        r->second = now.tv_sec;
    }
    hone_buffer_text(b, "{\"time\":\"");
    hone_buffer_text(b, r->second_text);
    hone_buffer_printf(b, ".%03dZ\"", (int)(now.tv_nsec / 1000000));
}

static void put_stages(hone_buffer *b, const hone_request *r) {
    put_key(b, "ms");
    hone_buffer_byte(b, '{');
    put_ms(b, "total", hone_now() - r->started);
    for (int i = 0; i < HONE_STAGE_COUNT; i++)
        if (r->stages[i]) put_ms(b, hone_stage_name((hone_stage)i), r->stages[i]);
    hone_buffer_byte(b, '}');
}

static void put_trace(hone_buffer *b, const hone_trace *t) {
    if (!t->id[0]) return;
    put_text(b, "trace_id", t->id, 32, 32);
    put_text(b, "parent_id", t->parent, 16, 16);
    put_text(b, "span_id", t->span, 16, 16);
}

static void put_error(hone_buffer *b, const hone_request *r, int status) {
    if (status < 400) return;
    const char *reason = hone_reason_name(hone_reason_of(status));
    put_text(b, "reason", reason, strlen(reason), MAX_ERROR);
    if (r->error.size) put_text(b, "error", r->error.data, r->error.size, MAX_ERROR);
}

void hone_access_log_request(hone_access_log *l, int loop, const hone_request *r, const hone_remote *remote,
                             const char *protocol, bool dropped) {
    ring *to = &l->rings[loop];
    hone_buffer *b = &to->line;
    int status = dropped ? 499 : r->status;
    if (status < 400 && atomic_fetch_add_explicit(&l->seen, 1, memory_order_relaxed) % l->every != 0) return;
    hone_buffer_clear(b, KEEP_LINE);
    b->failed = false;
    put_time(to, b);
    put_text(b, "remote", remote->text, strlen(remote->text), sizeof remote->text);
    hone_slice forwarded = hone_head_field(&r->head, "x-forwarded-for");
    if (forwarded.size) put_text(b, "forwarded_for", forwarded.data, forwarded.size, MAX_ID);
    put_text(b, "protocol", protocol, strlen(protocol), MAX_PATH);
    put_text(b, "method", r->head.method.data, r->head.method.size, MAX_ID);
    put_text(b, "path", r->head.path.data, r->head.path.size, MAX_PATH);
    if (r->model) {
        const char *name = hone_model_stats_name(r->model);
        put_text(b, "model", name, strlen(name), MAX_PATH);
        put_number(b, "version", (uint64_t)hone_model_stats_version(r->model));
    }
    put_number(b, "status", (uint64_t)status);
    if (r->grpc_status >= 0) put_number(b, "grpc_status", (uint64_t)r->grpc_status);
    put_number(b, "bytes_in", r->bytes_in);
    put_number(b, "bytes_out", r->bytes_out);
    put_stages(b, r);
    if (r->rows > 0) put_number(b, "batch_rows", (uint64_t)r->rows);
    if (r->id.size) put_text(b, "id", r->id.data, r->id.size, MAX_ID);
    put_trace(b, &r->trace);
    put_error(b, r, status);
    hone_buffer_text(b, "}\n");
    put_line(l, to);
}
