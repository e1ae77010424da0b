/* Cores over a model repository in a temporary directory, and what tests ask them. */
#ifndef HONE_TESTS_SERVE_CORES_H
#define HONE_TESTS_SERVE_CORES_H

#include "base/clock.h"
#include "base/memory.h"
#include "serve/models/core_inside.h"
#include "serve/process.h"
#include "serve/repo.h"
#include "serve/starting.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    hone_stats *stats;
    hone_core *core;
} fixture;

static fixture f;

static inline hone_slice slice(const char *text) {
    return (hone_slice){text, strlen(text)};
}

static inline hone_core_options options(void) {
    hone_core_options o = HONE_CORE_OPTIONS_INIT;
    o.repository = repo_root;
    o.file_poll_ms = 20;
    o.compute_threads = 1;
    o.retry_least = 20 * HONE_MILLISECOND;
    o.retry_most = 100 * HONE_MILLISECOND;
    return o;
}

static inline void make_core(const hone_core_options *o) {
    hone_error err = {0};
    assert_int_equal(hone_stats_new(&f.stats, NULL), HONE_OK);
    assert_int_equal(hone_core_new(3, 1, f.stats, &f.core, NULL), HONE_OK);
    if (hone_core_configure(f.core, o, &err) != HONE_OK) fail_msg("%s", err.message);
}

static inline void start_with(const hone_core_options *o) {
    hone_error err = {0};
    make_core(o);
    if (start_core(f.core, &err) != HONE_OK) fail_msg("%s", err.message);
}

static inline void start(void) {
    hone_core_options o = options();
    start_with(&o);
}

static inline void stop(void) {
    hone_core_free(f.core);
    hone_stats_free(f.stats);
    f = (fixture){0};
}

static inline int setup(void **state) {
    (void)state;
    repo_make();
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    if (f.core) stop();
    repo_remove();
    return 0;
}

/* --- looking --- */

typedef struct look {
    int64_t version; /* to look at */
    hone_version_state state;
    hone_status code;
    char message[512];
    int count;
} look;

static inline void see(void *user, const hone_version_status *v) {
    look *l = user;
    l->count++;
    if (v->version != l->version) return;
    l->state = v->state;
    l->code = v->code;
    snprintf(l->message, sizeof l->message, "%s", v->message);
}

static inline look look_at(const char *name, int64_t version) {
    look l = {.version = version};
    hone_core_states(f.core, slice(name), see, &l);
    return l;
}

static inline void expect_state(const char *name, int64_t version, hone_version_state state,
                                const char *message) {
    look l = {0};
    for (int i = 0; i < WAIT_MS / 2; i++, usleep(2000)) {
        l = look_at(name, version);
        if (l.state == state && (*message ? strstr(l.message, message) != NULL : !l.message[0])) return;
    }
    fail_msg("%s version %lld is %s, \"%s\"; expected %s, \"%s\"", name, (long long)version,
             hone_version_state_name(l.state), l.message, hone_version_state_name(state), message);
}

/* What the version that is found adds to its input; -1: there is none. */
static inline float ask(const char *name, int64_t version) {
    hone_servable *s = hone_core_find(f.core, slice(name), version);
    if (!s) return -1;
    int64_t dims[] = {1, hone_servable_input(s, 0)->dims[1]};
    hone_tensor *x = NULL;
    const hone_tensor *out = NULL;
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 2, dims, &x, NULL), HONE_OK);
    const hone_tensor *inputs[] = {x};
    float y = -2;
    if (hone_servable_run(s, 2, inputs, &out, NULL, NULL, NULL) == HONE_OK)
        y = ((float *)out->data)[out->count - 1];
    hone_tensor_free(x);
    hone_servable_release(s);
    return y;
}

static inline void expect_answer(const char *name, int64_t version, float y) {
    float is = 0;
    for (int i = 0; i < WAIT_MS / 2; i++, usleep(2000))
        if ((is = ask(name, version)) == y) return;
    fail_msg("%s answers %g, not %g", name, (double)is, (double)y);
}

/* --- asking the loader --- */

typedef struct errand {
    hone_model_task task;
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool done;
} errand;

static inline void was_done(hone_model_task *t, hone_status status, const hone_error *err) {
    errand *e = t->user;
    (void)status, (void)err;
    pthread_mutex_lock(&e->lock);
    e->done = true;
    pthread_cond_signal(&e->news);
    pthread_mutex_unlock(&e->lock);
}

static inline void begin(errand *e) {
    *e = (errand){.task = {.worker = -1, .done = was_done, .user = e},
                  .lock = PTHREAD_MUTEX_INITIALIZER,
                  .news = PTHREAD_COND_INITIALIZER};
}

static inline hone_status finish(errand *e) {
    pthread_mutex_lock(&e->lock);
    while (!e->done) pthread_cond_wait(&e->news, &e->lock);
    pthread_mutex_unlock(&e->lock);
    return e->task.status;
}

static inline hone_status load(errand *e, const char *name, const char *settings) {
    begin(e);
    hone_core_load_model(f.core, &e->task, slice(name), settings ? slice(settings) : (hone_slice){0});
    return finish(e);
}

static inline hone_status unload(errand *e, const char *name) {
    begin(e);
    hone_core_unload_model(f.core, &e->task, slice(name));
    return finish(e);
}

static inline hone_status reload(errand *e, const char *config) {
    hone_model_set set;
    hone_error err = {0};
    if (hone_model_set_parse(config, strlen(config), &set, &err) != HONE_OK) fail_msg("%s", err.message);
    begin(e);
    hone_core_reload(f.core, &e->task, &set);
    return finish(e);
}

static inline hone_status refresh(errand *e) {
    begin(e);
    hone_core_refresh(f.core, &e->task);
    return finish(e);
}

static inline bool metrics_have(const char *part) {
    char *text;
    assert_int_equal(hone_metrics_write(hone_stats_metrics(f.stats), &text, NULL, NULL), HONE_OK);
    bool has = strstr(text, part) != NULL;
    hone_metrics_free_text(text);
    return has;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
