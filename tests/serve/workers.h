/* A worker's thread, as an event loop would be: it is woken by other threads, and turns. */
#ifndef HONE_TESTS_SERVE_WORKERS_H
#define HONE_TESTS_SERVE_WORKERS_H

#include "serve/models/core.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <time.h>

#include <cmocka.h>

typedef struct worker {
    hone_core *core;
    int index;
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool woken;
    int wakes, defers; /* how often it was woken, and asked for a turn */
    bool deferred;
} worker;

static inline void wake(void *user) {
    worker *w = user;
    pthread_mutex_lock(&w->lock);
    w->woken = true;
    w->wakes++;
    pthread_cond_signal(&w->news);
    pthread_mutex_unlock(&w->lock);
}

static inline void defer(void *user) {
    worker *w = user;
    w->deferred = true;
    w->defers++;
}

static inline void attach(worker *w, hone_core *core, int index) {
    *w = (worker){.core = core, .index = index};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->news, NULL);
    hone_core_attach(core, index, &(hone_port){.wake = wake, .defer = defer, .user = w});
}

static inline void detach(worker *w) {
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->news);
}

/* Turns until `*count` has come down to `least`. */
static inline void turn_until(worker *w, const int *count, int least) {
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 60;
    while (*count > least) {
        if (!w->deferred) {
            pthread_mutex_lock(&w->lock);
            while (!w->woken)
                if (pthread_cond_timedwait(&w->news, &w->lock, &end) != 0) fail_msg("%d are left", *count);
            w->woken = false;
            pthread_mutex_unlock(&w->lock);
        }
        w->deferred = false;
        hone_core_turn(w->core, w->index);
    }
}

#endif
