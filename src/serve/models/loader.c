#include "serve/models/loader.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "base/wake.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUIET (10 * HONE_MILLISECOND) /* events come in groups */
#define DRAIN_MOST (10000 * HONE_MILLISECOND)
#define SAFETY_POLL (60000 * HONE_MILLISECOND) /* links that lead elsewhere are not watched */
#define ROOT_OWNER "/"                         /* no model's name */
#define POKE ((uint64_t)1 << 32)               /* how a signal handler says more than "wake up" */

enum { TASK_ADD, TASK_RELOAD, TASK_LOAD, TASK_UNLOAD, TASK_REFRESH };

/* --- from other threads --- */

static void destroy(hone_core *core, hone_servable *s) {
    atomic_fetch_sub(&core->bytes, s->bytes);
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
        destroy(l->core, s);
}

void hone_model_loader_poke(hone_model_loader *l) {
    hone_wake_add(l->wake_fd, POKE);
}

static void post_done(hone_core_post *post) {
    hone_core_task *t = (hone_core_task *)((char *)post - offsetof(hone_core_task, post));
    t->done(t, t->status, &t->err);
}

static void finish_task(hone_model_loader *l, hone_core_task *t, hone_status status, const hone_error *err) {
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
        hone_batcher_post(l->core->batcher, t->worker, &t->post);
}

void hone_model_loader_ask(hone_model_loader *l, hone_core_task *t) {
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
        hone_record *r = hone_core_record(l->core, s->name, strlen(s->name));
        int64_t version = s->version;
        destroy(l->core, s);
        if (r) hone_record_ended(l->core, r, version, s);
        s = next;
    }
    malloc_trim(0);
}

static bool anything_drains(const hone_core *core) {
    for (size_t i = 0; i < core->count; i++)
        for (size_t k = 0; k < core->records[i]->count; k++)
            if (core->records[i]->versions[k]->draining) return true;
    return false;
}

void hone_model_loader_drain(void *loader) {
    hone_model_loader *l = loader;
    uint64_t end = hone_now() + DRAIN_MOST;
    for (bury(l); anything_drains(l->core) && hone_now() < end; bury(l)) {
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
    hone_record *r = hone_core_record(l->core, name, strlen(name));
    if (!r && hone_model_loader_look_at_root(l, NULL) == HONE_OK)
        r = hone_core_record(l->core, name, strlen(name));
    if (!r || r->removed) hone_fail(err, HONE_NOT_FOUND, "there is no model %s", name);
    return r && !r->removed ? r : NULL;
}

static hone_status set_settings(hone_model_loader *l, hone_record *r, const hone_core_task *t,
                                hone_error *err) {
    hone_model_settings settings;
    HONE_TRY(hone_model_settings_parse(t->text, t->text_size, &l->core->defaults, &settings, err));
    hone_status status = hone_record_set_settings(l->core, r, &settings, err);
    hone_model_settings_free(&settings);
    if (status != HONE_OK) return status;
    r->settings_set = true;
    r->settings_code = HONE_OK;
    return HONE_OK;
}

static hone_status unload_model(hone_model_loader *l, hone_record *r) {
    r->unloaded = true;
    if (!r->root) r->removed = true; /* in memory: it can't come back */
    hone_model_loader_reconcile(l, r, true);
    return HONE_OK;
}

/* The names are as in memory: neither config nor repository may have them. */
static hone_status add_servable(hone_core *core, hone_servable *s, hone_error *err) {
    hone_record *r = hone_core_record(core, s->name, strlen(s->name));
    hone_version *v = r ? hone_record_version(r, s->version) : NULL;
    if (v && v->servable)
        return hone_fail(err, HONE_ALREADY_EXISTS, "the model %s is there already in version %lld", s->name,
                         (long long)s->version);
    if (r && r->root)
        return hone_fail(err, HONE_ALREADY_EXISTS, "the model %s is served from %s", s->name, r->root);
    if (!r) r = hone_core_new_record(core, s->name);
    if (r && !v) v = hone_core_new_version(core, r, s->version);
    if (!v) return hone_fail_memory(err);
    r->removed = false;
    hone_core_publish(core, v, s);
    return HONE_OK;
}

static hone_status do_task(hone_model_loader *l, hone_core_task *t, hone_error *err) {
    hone_record *r = NULL;
    if (t->kind == TASK_ADD) return add_servable(l->core, t->servable, err);
    if (t->kind == TASK_RELOAD) return hone_model_loader_apply(l, &t->set, true, err);
    if (t->kind == TASK_REFRESH) {
        hone_model_loader_mark_all(l);
        return hone_model_loader_read_config(l, true, err);
    }
    if (!t->name || (t->text_size && !t->text)) return hone_fail_memory(err);
    if (!(r = known(l, t->name, err))) return HONE_NOT_FOUND;
    if (t->kind == TASK_UNLOAD) return unload_model(l, r);
    if (t->text)
        HONE_TRY(set_settings(l, r, t, err));
    else
        r->settings_set = false; /* back to the file's */
    r->unloaded = false;
    hone_model_loader_reconcile(l, r, true);
    return r->root ? hone_record_check(r, err) : HONE_OK;
}

static void do_tasks(hone_model_loader *l) {
    for (;;) {
        pthread_mutex_lock(&l->lock);
        hone_core_task *t = l->tasks;
        if (t) l->tasks = t->next;
        pthread_mutex_unlock(&l->lock);
        if (!t) return;
        hone_error err = {0};
        hone_status status = do_task(l, t, &err);
        if (t->kind == TASK_REFRESH) {
            hone_model_loader_look_at_root(l, NULL);
            hone_model_loader_reconcile_dirty(l, true);
        }
        bury(l);
        finish_task(l, t, status, &err);
    }
}

static void ask(hone_core *core, hone_core_task *t, int kind, hone_slice name, hone_slice text) {
    t->kind = kind;
    t->name = name.data ? hone_alloc(name.size + 1) : NULL;
    t->text = text.data ? hone_alloc(text.size + 1) : NULL;
    t->text_size = text.data ? text.size : 0;
    if (t->name) {
        memcpy(t->name, name.data, name.size);
        t->name[name.size] = 0;
    }
    if (t->text) memcpy(t->text, text.data, text.size);
    if (kind != TASK_RELOAD) t->set = (hone_model_set){0};
    hone_model_loader_ask(core->loader, t);
}

typedef struct waiter {
    hone_core_task task;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
} waiter;

static void stop_waiting(hone_core_task *t, hone_status status, const hone_error *err) {
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
    bool running = l->running;
    pthread_mutex_unlock(&l->lock);
    if (!running) return add_servable(l->core, s, err);
    w.task =
        (hone_core_task){.worker = -1, .done = stop_waiting, .user = &w, .kind = TASK_ADD, .servable = s};
    hone_model_loader_ask(l, &w.task);
    pthread_mutex_lock(&w.lock);
    while (!w.is_done) pthread_cond_wait(&w.done, &w.lock);
    pthread_mutex_unlock(&w.lock);
    if (w.task.status != HONE_OK && err) *err = w.task.err;
    return w.task.status;
}

void hone_core_reload(hone_core *core, hone_core_task *t, hone_model_set *set) {
    t->set = *set;
    *set = (hone_model_set){0};
    ask(core, t, TASK_RELOAD, (hone_slice){0}, (hone_slice){0});
}
void hone_core_load_model(hone_core *core, hone_core_task *t, hone_slice name, hone_slice settings) {
    ask(core, t, TASK_LOAD, name, settings);
}
void hone_core_unload_model(hone_core *core, hone_core_task *t, hone_slice name) {
    ask(core, t, TASK_UNLOAD, name, (hone_slice){0});
}
void hone_core_refresh(hone_core *core, hone_core_task *t) {
    ask(core, t, TASK_REFRESH, (hone_slice){0}, (hone_slice){0});
}
void hone_core_poke(hone_core *core) {
    hone_model_loader_poke(core->loader);
}

/* --- the thread --- */

/* What is wrong is said once, not at every look. */
static void reread_config(hone_model_loader *l, bool force) {
    hone_error err = {0};
    char text[sizeof l->config_error] = "";
    if (hone_model_loader_read_config(l, force, &err) != HONE_OK) hone_error_format(&err, text, sizeof text);
    if (text[0] && (force || strcmp(text, l->config_error) != 0))
        hone_log(HONE_LOG_ERROR, "the configuration: %s", text);
    memcpy(l->config_error, text, sizeof text);
}

/* Returns what is wrong with the first model that was named. */
static hone_status do_first(hone_model_loader *l, hone_error *err) {
    HONE_TRY(hone_model_loader_look_at_root(l, err));
    HONE_TRY(hone_model_loader_read_config(l, true, err));
    hone_model_loader_reconcile_dirty(l, true);
    for (size_t i = 0; i < l->core->count; i++) {
        const hone_record *r = l->core->records[i];
        if (r->named && hone_record_is_gone(r)) return hone_record_check(r, err);
    }
    return HONE_OK;
}

static bool is_blind(const hone_model_loader *l) {
    bool blind = l->core->repository && l->root_blind;
    for (size_t i = 0; i < l->core->count && !blind; i++)
        blind = l->core->records[i]->root && l->core->records[i]->blind;
    return blind;
}

static uint64_t sooner(uint64_t a, uint64_t b) {
    return !a || (b && b < a) ? b : a;
}

static uint64_t next_due(const hone_model_loader *l) {
    uint64_t due = sooner(l->config_due, l->poll_due);
    for (size_t i = 0; i < l->core->count; i++) due = sooner(due, l->core->records[i]->due);
    return due;
}

static void schedule(hone_model_loader *l) {
    const hone_core_options *o = &l->core->options;
    uint64_t now = hone_now(), poll = (uint64_t)o->file_poll_ms * HONE_MILLISECOND;
    if (o->config_poll_ms > 0 && l->core->config_file && now >= l->config_due)
        l->config_due = now + (uint64_t)o->config_poll_ms * HONE_MILLISECOND;
    if (o->file_poll_ms <= 0) return;
    if (!is_blind(l) && poll < SAFETY_POLL) poll = SAFETY_POLL;
    if (!l->poll_due || now >= l->poll_due || l->poll_due > now + poll) l->poll_due = now + poll;
}

/* Waits for something to do; true if it was poked. */
static bool wait_for_work(hone_model_loader *l) {
    uint64_t now = hone_now(), due = next_due(l);
    int ms = !due ? -1 : due <= now ? 0 : (int)((due - now) / HONE_MILLISECOND + 1);
    struct pollfd fds[] = {
        {.fd = l->wake_fd, .events = POLLIN},
        {.fd = l->core->options.file_poll_ms > 0 ? hone_watch_fd(l->watch) : -1, .events = POLLIN}};
    poll(fds, 2, ms);
    if (fds[1].revents) {
        struct timespec quiet = {.tv_nsec = (long)QUIET};
        nanosleep(&quiet, NULL);
        hone_watch_read(l->watch, hone_model_loader_note_event, l);
    }
    return hone_wake_take(l->wake_fd) >= POKE;
}

static void look_around(hone_model_loader *l, bool poked) {
    uint64_t now = hone_now();
    if (l->poll_due && now >= l->poll_due) hone_model_loader_mark_all(l);
    if (poked) hone_model_loader_mark_all(l);
    if (poked || (l->config_due && now >= l->config_due)) reread_config(l, poked);
    if (l->root_dirty) hone_model_loader_look_at_root(l, NULL);
    hone_model_loader_reconcile_dirty(l, poked);
    schedule(l);
}

/* With the lock, which it gives away meanwhile. */
static void begin(hone_model_loader *l) {
    hone_error err = {0};
    pthread_mutex_unlock(&l->lock);
    l->starting = true;
    hone_status status = do_first(l, &err);
    l->starting = false;
    schedule(l);
    pthread_mutex_lock(&l->lock);
    l->first_status = status;
    l->first_error = err;
    l->ready = true;
    pthread_cond_broadcast(&l->change);
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

hone_status hone_model_loader_new(hone_core *core, hone_model_loader **out, hone_error *err) {
    hone_model_loader *l = hone_calloc(1, sizeof *l);
    if (!l) return hone_fail_memory(err);
    l->core = core;
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
    HONE_TRY(hone_watch_new(l->core->options.polling, &l->watch, err));
    pthread_mutex_lock(&l->lock);
    int code = hone_thread_start(&l->thread, work, l, "hone-loader");
    l->running = code == 0;
    pthread_mutex_unlock(&l->lock);
    return code ? hone_fail_errno(err, code, "the loader of models", "no thread can be started") : HONE_OK;
}

hone_status hone_model_loader_begin(hone_model_loader *l, hone_error *err) {
    pthread_mutex_lock(&l->lock);
    l->begun = true;
    pthread_cond_broadcast(&l->change);
    while (!l->ready) pthread_cond_wait(&l->change, &l->lock);
    hone_status status = l->first_status;
    if (status != HONE_OK && err) *err = l->first_error;
    pthread_mutex_unlock(&l->lock);
    return status;
}

void hone_model_loader_stop(hone_model_loader *l) {
    hone_error err = {0};
    pthread_mutex_lock(&l->lock);
    bool running = l->running && !l->stop;
    l->stop = true;
    pthread_cond_broadcast(&l->change);
    pthread_mutex_unlock(&l->lock);
    if (!running) return;
    hone_wake(l->wake_fd);
    pthread_join(l->thread, NULL);
    hone_fail(&err, HONE_UNAVAILABLE, "The server is stopping");
    while (l->tasks) {
        hone_core_task *t = l->tasks;
        l->tasks = t->next;
        finish_task(l, t, HONE_UNAVAILABLE, &err);
    }
    bury(l);
}

void hone_model_loader_free(hone_model_loader *l) {
    if (!l) return;
    hone_watch_free(l->watch);
    if (l->wake_fd >= 0) close(l->wake_fd);
    hone_blob_free(&l->config);
    hone_blob_free(&l->config_seen);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->change);
    hone_free(l);
}
