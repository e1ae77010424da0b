#include "serve/models/loader.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "base/wake.h"
#include "serve/models/discovery.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUIET (10 * HONE_MILLISECOND) /* events come in groups */
#define DRAIN_MOST (10000 * HONE_MILLISECOND)
#define POKE ((uint64_t)1 << 32) /* how a signal handler says more than "wake up" */

struct hone_model_loader {
    hone_registry *registry;
    hone_batcher *batcher;
    hone_discovery discovery; /* its own thread's */
    pthread_t thread;
    bool running;
    int wake_fd;
    pthread_mutex_t lock;  /* guards what follows */
    pthread_cond_t change; /* of the next three */
    bool begun, ready, stop;
    hone_model_task *tasks, *last_task;
    hone_servable *retired;
    hone_status first_status;
    hone_error first_error;
    void (*loaded)(void *user); /* for who began */
    void *user;
};

/* --- from other threads --- */

static void destroy(hone_registry *g, hone_servable *s) {
    atomic_fetch_sub(&g->bytes, s->bytes);
    hone_servable_destroy(s);
}

void hone_model_loader_retire(hone_model_loader *l, hone_servable *s) {
    pthread_mutex_lock(&l->lock);
    bool later = l->running && !l->stop;
    if (later) {
        s->next = l->retired;
        l->retired = s;
    }
    pthread_mutex_unlock(&l->lock);
    if (later)
        hone_wake(l->wake_fd);
    else
        destroy(l->registry, s);
}

void hone_model_loader_poke(hone_model_loader *l) {
    hone_wake_add(l->wake_fd, POKE);
}

static void post_done(hone_post *post) {
    hone_model_task *t = (hone_model_task *)((char *)post - offsetof(hone_model_task, post));
    t->done(t, t->status, &t->err);
}

static void finish_task(hone_model_loader *l, hone_model_task *t, hone_status status, const hone_error *err) {
    t->status = status;
    t->err = *err;
    hone_model_set_free(&t->set);
    hone_free(t->name);
    hone_free(t->text);
    t->name = t->text = NULL;
    t->post.call = post_done;
    if (t->worker < 0)
        t->done(t, t->status, &t->err);
    else
        hone_batcher_post(l->batcher, t->worker, &t->post);
}

static void ask(hone_model_loader *l, hone_model_task *t) {
    hone_error err = {0};
    t->next = NULL;
    pthread_mutex_lock(&l->lock);
    bool takes = l->running && !l->stop;
    if (takes) {
        *(l->tasks ? &l->last_task->next : &l->tasks) = t;
        l->last_task = t;
    }
    pthread_mutex_unlock(&l->lock);
    if (takes)
        hone_wake(l->wake_fd);
    else
        finish_task(l, t, hone_fail(&err, HONE_UNAVAILABLE, "The server does not run"), &err);
}

void hone_model_loader_ask(hone_model_loader *l, hone_model_task *t, hone_slice name, hone_slice text) {
    t->name = name.data ? hone_alloc(name.size + 1) : NULL;
    t->text = text.data ? hone_alloc(text.size + 1) : NULL;
    t->text_size = text.data ? text.size : 0;
    if (t->name) {
        memcpy(t->name, name.data, name.size);
        t->name[name.size] = 0;
    }
    if (t->text) memcpy(t->text, text.data, text.size);
    if (t->kind != HONE_TASK_RELOAD) t->set = (hone_model_set){0};
    ask(l, t);
}

/* --- what was unloaded --- */

/* Frees it, and gives its memory back to the system. */
static void bury(hone_model_loader *l) {
    pthread_mutex_lock(&l->lock);
    hone_servable *s = l->retired;
    l->retired = NULL;
    pthread_mutex_unlock(&l->lock);
    if (!s) return;
    while (s) {
        hone_servable *next = s->next;
        hone_record *r = hone_registry_find(l->registry, s->name, strlen(s->name));
        int64_t version = s->version;
        destroy(l->registry, s);
        if (r) hone_record_ended(l->registry, r, version, s);
        s = next;
    }
    hone_trim();
}

static bool anything_drains(const hone_registry *g) {
    for (size_t i = 0; i < g->count; i++)
        for (size_t k = 0; k < g->records[i]->count; k++)
            if (g->records[i]->versions[k]->draining) return true;
    return false;
}

static void drain(void *loader) {
    hone_model_loader *l = loader;
    uint64_t end = hone_now() + DRAIN_MOST;
    for (bury(l); anything_drains(l->registry) && hone_now() < end; bury(l)) {
        struct timespec moment = {.tv_nsec = 1000000};
        pthread_mutex_lock(&l->lock);
        bool stop = l->stop;
        pthread_mutex_unlock(&l->lock);
        if (stop) return;
        nanosleep(&moment, NULL);
    }
}

/* --- tasks --- */

static hone_record *known(hone_model_loader *l, const char *name, hone_error *err) {
    hone_record *r = hone_registry_find(l->registry, name, strlen(name));
    if (!r && hone_discovery_look_at_root(&l->discovery, NULL) == HONE_OK)
        r = hone_registry_find(l->registry, name, strlen(name));
    if (!r || r->removed) hone_fail(err, HONE_NOT_FOUND, "there is no model %s", name);
    return r && !r->removed ? r : NULL;
}

static hone_status set_settings(hone_model_loader *l, hone_record *r, const hone_model_task *t,
                                hone_error *err) {
    hone_model_settings settings;
    HONE_TRY(hone_model_settings_parse(t->text, t->text_size, &l->registry->defaults, &settings, err));
    hone_status status = hone_record_set_settings(l->registry, r, &settings, err);
    hone_model_settings_free(&settings);
    if (status != HONE_OK) return status;
    r->settings_set = true;
    r->settings_code = HONE_OK;
    return HONE_OK;
}

static hone_status unload_model(hone_model_loader *l, hone_record *r) {
    r->unloaded = true;
    if (!r->root) r->removed = true; /* in memory: it can't come back */
    hone_discovery_reconcile(&l->discovery, r, HONE_AS_IT_IS);
    return HONE_OK;
}

/* The names are as in memory: neither config nor repository may have them. */
static hone_status add_servable(hone_registry *g, hone_servable *s, hone_error *err) {
    hone_record *r = hone_registry_find(g, s->name, strlen(s->name));
    hone_version *v = r ? hone_record_version(r, s->version) : NULL;
    if (v && v->servable)
        return hone_fail(err, HONE_ALREADY_EXISTS, "the model %s already exists in version %lld", s->name,
                         (long long)s->version);
    if (r && r->root)
        return hone_fail(err, HONE_ALREADY_EXISTS, "the model %s is served from %s", s->name, r->root);
    if (!r) r = hone_registry_add(g, s->name);
    if (r && !v) v = hone_registry_add_version(g, r, s->version);
    if (!v) return hone_fail_memory(err);
    r->removed = false;
    hone_registry_publish(g, v, s);
    return HONE_OK;
}

static hone_status do_task(hone_model_loader *l, hone_model_task *t, hone_error *err) {
    hone_record *r = NULL;
    if (t->kind == HONE_TASK_ADD) return add_servable(l->registry, t->servable, err);
    if (t->kind == HONE_TASK_RELOAD) return hone_discovery_apply(&l->discovery, &t->set, true, err);
    if (t->kind == HONE_TASK_REFRESH) {
        hone_discovery_mark_all(&l->discovery);
        return hone_discovery_read_config(&l->discovery, true, err);
    }
    if (!t->name || (t->text_size && !t->text)) return hone_fail_memory(err);
    if (!(r = known(l, t->name, err))) return HONE_NOT_FOUND;
    if (t->kind == HONE_TASK_UNLOAD) return unload_model(l, r);
    if (t->text)
        HONE_TRY(set_settings(l, r, t, err));
    else
        r->settings_set = false; /* back to the file's */
    r->unloaded = false;
    hone_discovery_reconcile(&l->discovery, r, HONE_AS_IT_IS);
    return r->root ? hone_record_check(r, err) : HONE_OK;
}

static void do_tasks(hone_model_loader *l) {
    for (;;) {
        pthread_mutex_lock(&l->lock);
        hone_model_task *t = l->tasks;
        if (t) l->tasks = t->next;
        pthread_mutex_unlock(&l->lock);
        if (!t) return;
        hone_error err = {0};
        hone_status status = do_task(l, t, &err);
        if (t->kind == HONE_TASK_REFRESH) {
            hone_discovery_look_at_root(&l->discovery, NULL);
            hone_discovery_reconcile_dirty(&l->discovery, HONE_AT_ONCE);
        }
        bury(l);
        finish_task(l, t, status, &err);
    }
}

typedef struct waiter {
    hone_model_task task;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
} waiter;

static void stop_waiting(hone_model_task *t, hone_status status, const hone_error *err) {
    waiter *w = t->user;
    (void)status, (void)err;
    pthread_mutex_lock(&w->lock);
    w->is_done = true;
    pthread_cond_signal(&w->done);
    pthread_mutex_unlock(&w->lock);
}

hone_status hone_model_loader_add(hone_model_loader *l, hone_servable *s, hone_error *err) {
    waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
    pthread_mutex_lock(&l->lock);
    bool idle = !l->running || (!l->begun && !l->stop);
    hone_status status = idle ? add_servable(l->registry, s, err) : HONE_OK;
    pthread_mutex_unlock(&l->lock);
    if (idle) return status;
    w.task = (hone_model_task){
        .worker = -1, .done = stop_waiting, .user = &w, .kind = HONE_TASK_ADD, .servable = s};
    ask(l, &w.task);
    pthread_mutex_lock(&w.lock);
    while (!w.is_done) pthread_cond_wait(&w.done, &w.lock);
    pthread_mutex_unlock(&w.lock);
    if (w.task.status != HONE_OK && err) *err = w.task.err;
    return w.task.status;
}

/* --- the thread --- */

/* What is wrong is said once, not at every look. */
static void reread_config(hone_model_loader *l, bool force) {
    hone_error err = {0};
    char text[sizeof l->discovery.config_error] = "";
    if (hone_discovery_read_config(&l->discovery, force, &err) != HONE_OK)
        hone_error_format(&err, text, sizeof text);
    if (text[0] && (force || strcmp(text, l->discovery.config_error) != 0))
        hone_log(HONE_LOG_ERROR, "the configuration: %s", text);
    memcpy(l->discovery.config_error, text, sizeof text);
}

/* Returns what is wrong with the first model that was named. */
static hone_status do_first(hone_model_loader *l, hone_error *err) {
    HONE_TRY(hone_discovery_look_at_root(&l->discovery, err));
    HONE_TRY(hone_discovery_read_config(&l->discovery, true, err));
    hone_discovery_reconcile_dirty(&l->discovery, HONE_AS_IT_IS);
    HONE_TRY(hone_registry_go_on(l->registry, err));
    for (size_t i = 0; i < l->registry->count; i++) {
        const hone_record *r = l->registry->records[i];
        if (r->named && hone_record_is_gone(r)) return hone_record_check(r, err);
    }
    return HONE_OK;
}

static uint64_t sooner(uint64_t a, uint64_t b) {
    return !a || (b && b < a) ? b : a;
}

static uint64_t next_due(const hone_model_loader *l) {
    uint64_t due = sooner(sooner(l->discovery.config_due, l->discovery.poll_due), l->discovery.root_due);
    for (size_t i = 0; i < l->registry->count; i++) due = sooner(due, l->registry->records[i]->due);
    return due;
}

static void schedule(hone_model_loader *l) {
    const hone_core_options *o = &l->registry->options;
    uint64_t now = hone_now(), poll = (uint64_t)o->file_poll_ms * HONE_MILLISECOND;
    if (o->config_poll_ms > 0 && l->registry->config_file && now >= l->discovery.config_due)
        l->discovery.config_due = now + (uint64_t)o->config_poll_ms * HONE_MILLISECOND;
    if (o->file_poll_ms <= 0) return;
    if (now >= l->discovery.poll_due) l->discovery.poll_due = now + poll;
}

/* Waits for something to do; true if it was poked. */
static bool wait_for_work(hone_model_loader *l) {
    uint64_t now = hone_now(), due = next_due(l);
    int ms = !due ? -1 : due <= now ? 0 : (int)((due - now) / HONE_MILLISECOND + 1);
    struct pollfd fds[] = {
        {.fd = l->wake_fd, .events = POLLIN},
        {.fd = l->registry->options.file_poll_ms > 0 ? hone_watch_fd(l->discovery.watch) : -1,
         .events = POLLIN}};
    poll(fds, 2, ms);
    if (fds[1].revents) {
        struct timespec quiet = {.tv_nsec = (long)QUIET};
        nanosleep(&quiet, NULL);
        hone_discovery_read_events(&l->discovery);
    }
    return hone_wake_take(l->wake_fd) >= POKE;
}

static void look_around(hone_model_loader *l, bool poked) {
    uint64_t now = hone_now();
    if (l->discovery.poll_due && now >= l->discovery.poll_due) hone_discovery_glance(&l->discovery);
    if (l->discovery.root_due && now >= l->discovery.root_due) l->discovery.root_dirty = true;
    if (poked) hone_discovery_mark_all(&l->discovery);
    if (poked || (l->discovery.config_due && now >= l->discovery.config_due)) reread_config(l, poked);
    if (l->discovery.root_dirty) hone_discovery_look_at_root(&l->discovery, NULL);
    hone_discovery_reconcile_dirty(&l->discovery, poked ? HONE_AT_ONCE : HONE_WHEN_AT_REST);
    schedule(l);
}

/* With the lock, which it gives away meanwhile. */
static void begin(hone_model_loader *l) {
    hone_error err = {0};
    pthread_mutex_unlock(&l->lock);
    l->discovery.starting = true;
    hone_status status = do_first(l, &err);
    l->discovery.starting = false;
    schedule(l);
    pthread_mutex_lock(&l->lock);
    l->first_status = status;
    l->first_error = err;
    l->ready = true;
    pthread_cond_broadcast(&l->change);
    if (l->loaded) l->loaded(l->user);
}

static void *work(void *arg) {
    hone_model_loader *l = arg;
    pthread_mutex_lock(&l->lock);
    while (!l->begun && !l->stop) pthread_cond_wait(&l->change, &l->lock);
    if (!l->stop) begin(l);
    while (!l->stop) {
        pthread_mutex_unlock(&l->lock);
        bool poked = wait_for_work(l);
        bury(l);
        do_tasks(l);
        look_around(l, poked);
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

hone_status hone_model_loader_new(hone_registry *g, hone_batcher *batcher, hone_model_loader **out,
                                  hone_error *err) {
    hone_model_loader *l = hone_calloc(1, sizeof *l);
    if (!l) return hone_fail_memory(err);
    l->registry = g;
    l->batcher = batcher;
    l->discovery = (hone_discovery){.registry = g, .drain = drain, .user = l};
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->change, NULL);
    l->wake_fd = hone_wake_new();
    if (l->wake_fd < 0) {
        int code = errno;
        hone_model_loader_free(l);
        return hone_fail_errno(err, code, "eventfd", "can't be made");
    }
    *out = l;
    return HONE_OK;
}

hone_status hone_model_loader_start(hone_model_loader *l, hone_error *err) {
    HONE_TRY(hone_watch_new(l->registry->options.polling, &l->discovery.watch, err));
    pthread_mutex_lock(&l->lock);
    int code = hone_thread_start(&l->thread, work, l, "hone-loader");
    l->running = code == 0;
    pthread_mutex_unlock(&l->lock);
    return code ? hone_fail_errno(err, code, "the loader of models", "no thread can be started") : HONE_OK;
}

void hone_model_loader_begin(hone_model_loader *l, void (*loaded)(void *user), void *user) {
    pthread_mutex_lock(&l->lock);
    l->loaded = loaded;
    l->user = user;
    l->begun = true;
    pthread_cond_broadcast(&l->change);
    pthread_mutex_unlock(&l->lock);
}

bool hone_model_loader_is_beginning(hone_model_loader *l) {
    pthread_mutex_lock(&l->lock);
    bool beginning = l->begun && !l->ready;
    pthread_mutex_unlock(&l->lock);
    return beginning;
}

hone_status hone_model_loader_wait(hone_model_loader *l, hone_error *err) {
    pthread_mutex_lock(&l->lock);
    while (!l->ready && !l->stop) pthread_cond_wait(&l->change, &l->lock);
    hone_status status = l->ready ? l->first_status : hone_registry_go_on(l->registry, err);
    if (l->ready && status != HONE_OK && err) *err = l->first_error;
    pthread_mutex_unlock(&l->lock);
    return status;
}

/* When it is halted: there will be no more. */
static void refuse_tasks(hone_model_loader *l) {
    hone_error err = {0};
    hone_registry_go_on(l->registry, &err);
    pthread_mutex_lock(&l->lock);
    hone_model_task *tasks = l->tasks;
    l->tasks = NULL;
    pthread_mutex_unlock(&l->lock);
    for (hone_model_task *t = tasks, *next; t; t = next) {
        next = t->next;
        finish_task(l, t, err.code, &err);
    }
}

void hone_model_loader_halt(hone_model_loader *l) {
    atomic_store(&l->registry->halted, true);
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->change);
    pthread_mutex_unlock(&l->lock);
    hone_wake(l->wake_fd);
    refuse_tasks(l);
}

void hone_model_loader_stop(hone_model_loader *l) {
    hone_model_loader_halt(l);
    pthread_mutex_lock(&l->lock);
    bool running = l->running;
    l->running = false;
    pthread_mutex_unlock(&l->lock);
    if (!running) return;
    pthread_join(l->thread, NULL);
    bury(l);
}

void hone_model_loader_free(hone_model_loader *l) {
    if (!l) return;
    hone_discovery_free(&l->discovery);
    if (l->wake_fd >= 0) close(l->wake_fd);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->change);
    hone_free(l);
}
