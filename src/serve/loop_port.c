#include "serve/loop_port.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/wake.h"

struct hone_loop_port {
    hone_core *core;
    int worker, wake_fd, beat_ms;
    struct event *wake, *deferred, *beat;
};

static void on_wake(evutil_socket_t fd, short what, void *arg) {
    hone_loop_port *p = arg;
    (void)what;
    hone_wake_take(fd);
    hone_core_turn(p->core, p->worker);
}

static void on_deferred(evutil_socket_t fd, short what, void *arg) {
    hone_loop_port *p = arg;
    (void)fd, (void)what;
    hone_core_turn(p->core, p->worker);
}

static void wake(void *user) {
    hone_wake(((const hone_loop_port *)user)->wake_fd);
}

/* It comes behind all that is active already: the sockets that were readable when the loop looked. */
static void defer(void *user) {
    hone_loop_port *p = user;
    event_active(p->deferred, EV_TIMEOUT, 0);
}

static void on_beat(evutil_socket_t fd, short what, void *arg) {
    hone_loop_port *p = arg;
    (void)fd, (void)what;
    hone_core_beat(p->core, p->worker);
}

static void beat(void *user, bool on) {
    hone_loop_port *p = user;
    struct timeval t = {.tv_sec = p->beat_ms / 1000, .tv_usec = p->beat_ms % 1000 * 1000};
    if (!on)
        event_del(p->beat);
    else if (p->beat_ms)
        event_add(p->beat, &t);
}

hone_status hone_loop_port_new(hone_core *core, hone_loop *loop, int beat_ms, hone_loop_port **out,
                               hone_error *err) {
    hone_loop_port *p = hone_calloc(1, sizeof *p);
    if (!p) return hone_fail_memory(err);
    p->core = core;
    p->worker = loop->index;
    p->beat_ms = beat_ms;
    p->wake_fd = hone_wake_new();
    if (p->wake_fd >= 0) {
        p->wake = event_new(loop->base, p->wake_fd, EV_READ | EV_PERSIST, on_wake, p);
        p->deferred = event_new(loop->base, -1, 0, on_deferred, p);
        p->beat = event_new(loop->base, -1, EV_PERSIST, on_beat, p);
    }
    if (!p->wake || !p->deferred || !p->beat || event_add(p->wake, NULL) != 0) {
        int code = errno;
        hone_loop_port_free(p);
        return hone_fail_errno(err, code, "event loop", "can't be made");
    }
    hone_core_attach(core, p->worker, &(hone_port){.wake = wake, .defer = defer, .beat = beat, .user = p});
    *out = p;
    return HONE_OK;
}

void hone_loop_port_free(hone_loop_port *p) {
    if (!p) return;
    if (p->wake) event_free(p->wake);
    if (p->deferred) event_free(p->deferred);
    if (p->beat) event_free(p->beat);
    if (p->wake_fd >= 0) close(p->wake_fd);
    hone_free(p);
}
