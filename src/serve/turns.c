#include "serve/turns.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/wake.h"

struct hone_turns {
    hone_core *core;
    int worker, wake_fd;
    struct event *wake, *deferred;
};

static void on_wake(evutil_socket_t fd, short what, void *arg) {
    hone_turns *t = arg;
    (void)what;
    hone_wake_take(fd);
    hone_core_turn(t->core, t->worker);
}

static void on_deferred(evutil_socket_t fd, short what, void *arg) {
    hone_turns *t = arg;
    (void)fd, (void)what;
    hone_core_turn(t->core, t->worker);
}

static void wake(void *user) {
    hone_wake(((const hone_turns *)user)->wake_fd);
}

/* It comes behind all that is active already: the sockets that were readable when the loop looked. */
static void defer(void *user) {
    hone_turns *t = user;
    event_active(t->deferred, EV_TIMEOUT, 0);
}

hone_status hone_turns_new(hone_core *core, hone_loop *loop, hone_turns **out, hone_error *err) {
    hone_turns *t = hone_calloc(1, sizeof *t);
    if (!t) return hone_fail_memory(err);
    t->core = core;
    t->worker = loop->index;
    t->wake_fd = hone_wake_new();
    if (t->wake_fd >= 0) {
        t->wake = event_new(loop->base, t->wake_fd, EV_READ | EV_PERSIST, on_wake, t);
        t->deferred = event_new(loop->base, -1, 0, on_deferred, t);
    }
    if (!t->wake || !t->deferred || event_add(t->wake, NULL) != 0) {
        int code = errno;
        hone_turns_free(t);
        return hone_fail_errno(err, code, "event loop", "can't be made");
    }
    hone_core_attach(core, t->worker, &(hone_port){.wake = wake, .defer = defer, .user = t});
    *out = t;
    return HONE_OK;
}

void hone_turns_free(hone_turns *t) {
    if (!t) return;
    if (t->wake) event_free(t->wake);
    if (t->deferred) event_free(t->deferred);
    if (t->wake_fd >= 0) close(t->wake_fd);
    hone_free(t);
}
