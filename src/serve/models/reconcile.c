#include "serve/models/reconcile.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/thread.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SETTLE (50 * HONE_MILLISECOND)
#define OLD 1000000000    /* nanoseconds since the last change: it is not being written to */
#define RATIO_DEFAULT 1.5 /* memory to file size: weights, workspaces */
enum { NICENESS = 10 };
enum { ENDED_MOST = 8 }; /* versions that are kept for the record */
enum { FALLBACKS = 8 };  /* older versions that may be tried in place of the wanted ones */

hone_place hone_record_place(const hone_record *r) {
    return (hone_place){r->root, r->inside, r->file};
}

static void look_again(hone_reconcile *c, uint64_t at) {
    if (!c->due || at < c->due) c->due = at;
}

/* --- what is there --- */

static bool is_none(const hone_fingerprint *f) {
    static const hone_fingerprint none;
    return hone_fingerprint_equal(f, &none);
}

static bool is_wanted(const hone_version *v, const int64_t *there, const bool *wanted, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (there[i] == v->number) return wanted[i];
    return false;
}

static hone_status note_found(hone_reconcile *c, hone_record *r, const hone_found *f, hone_error *err) {
    hone_version *v = hone_record_version(r, f->number);
    if (!v) v = hone_registry_add_version(c->registry, r, f->number);
    if (!v) return hone_fail_memory(err);
    snprintf(v->name, sizeof v->name, "%s", f->name);
    v->present = true;
    v->weight = f->bytes;
    v->there = f->file;
    return HONE_OK;
}

/* Only those that are wanted, or are known already, become versions. */
static hone_status note_listing(hone_reconcile *c, hone_record *r, const hone_listing *l, hone_error *err) {
    const hone_policy *policy = r->settings.has_policy ? &r->settings.policy : &r->policy;
    int64_t *there = hone_calloc(l->count + 1, sizeof *there);
    bool *wanted = hone_calloc(l->count + 1, sizeof *wanted);
    hone_status status = there && wanted ? HONE_OK : hone_fail_memory(err);
    for (size_t i = 0; there && i < l->count; i++) there[i] = l->versions[i].number;
    if (status == HONE_OK) hone_policy_choose(policy, there, l->count, wanted);
    for (size_t i = 0; i < r->count; i++) {
        hone_version *v = r->versions[i];
        v->present = v->wanted = v->fallback = false;
    }
    for (size_t i = 0; i < l->count && status == HONE_OK; i++)
        if (wanted[i] || hone_record_version(r, there[i])) status = note_found(c, r, &l->versions[i], err);
    for (size_t i = 0; i < r->count && status == HONE_OK; i++)
        r->versions[i]->wanted = is_wanted(r->versions[i], there, wanted, l->count) && !r->unloaded;
    hone_free(there);
    hone_free(wanted);
    return status;
}

/* --- settings --- */

hone_status hone_record_set_settings(hone_registry *g, hone_record *r, const hone_model_settings *settings,
                                     hone_error *err) {
    hone_model_settings copy;
    if (!hone_model_settings_copy(&copy, settings)) return hone_fail_memory(err);
    hone_status status = HONE_OK;
    for (size_t i = 0; i < r->count && status == HONE_OK; i++) {
        hone_version *v = r->versions[i];
        hone_servable *s = NULL;
        if (!v->servable || hone_servable_settings_equal(&v->servable->settings, &settings->run)) continue;
        hone_servable_options o = hone_registry_servable_options(g, r->name, v->number, settings);
        status = hone_servable_remake(&o, v->servable->model, &s, err);
        if (status == HONE_OK) status = hone_registry_prepare(g, s, NULL, err);
        if (status == HONE_OK)
            hone_registry_publish(g, v, s);
        else
            hone_servable_release(s);
    }
    if (status != HONE_OK) {
        hone_model_settings_free(&copy);
        return status;
    }
    hone_model_settings_free(&r->settings);
    r->settings = copy;
    return HONE_OK;
}

static hone_status read_settings(hone_reconcile *c, hone_record *r, hone_error *err) {
    hone_place place = hone_record_place(r);
    hone_model_settings settings = c->registry->defaults;
    hone_blob blob;
    hone_status status = hone_repository_settings(&place, &blob, err);
    if (status == HONE_OK && blob.data)
        status = hone_model_settings_parse((const char *)blob.data, blob.size, &c->registry->defaults,
                                           &settings, err);
    hone_blob_free(&blob);
    if (status == HONE_OK) status = hone_record_set_settings(c->registry, r, &settings, err);
    hone_model_settings_free(&settings);
    return status;
}

/* What is wrong with the settings stays with the record until they change. */
static void follow_settings(hone_reconcile *c, hone_record *r, const hone_listing *l) {
    hone_error err = {0};
    bool same = hone_fingerprint_equal(&l->settings, &r->settings_file);
    if (same && (r->settings_set || !c->now)) return;
    if (is_none(&l->settings) && r->settings_set) return;
    r->settings_file = l->settings;
    r->settings_set = false;
    r->settings_code = read_settings(c, r, &err);
    if (r->settings_code == HONE_OK) return;
    hone_error_in_file(&err, r->settings_code, "config.json");
    hone_error_format(&err, r->settings_message, sizeof r->settings_message);
}

/* --- loading --- */

static hone_status check_memory(const hone_registry *g, const hone_record *r, const hone_version *v,
                                hone_error *err) {
    size_t limit = g->options.memory_limit, now = atomic_load(&g->bytes);
    double more = (double)v->weight * (r->ratio > 0 ? r->ratio : RATIO_DEFAULT);
    if (limit == 0 || (double)now + more <= (double)limit) return HONE_OK;
    return hone_fail(err, HONE_RESOURCE_EXHAUSTED,
                     "it would take about %.0f MB of memory; %zu MB of the %zu MB that are allowed are taken",
                     more / 1048576, now >> 20, limit >> 20);
}

static hone_status make(hone_reconcile *c, hone_record *r, hone_version *v, hone_servable **out,
                        hone_error *err) {
    hone_place place = hone_record_place(r);
    hone_recorded recorded = {0};
    hone_graph *graph = NULL;
    hone_model *model = NULL;
    HONE_TRY(check_memory(c->registry, r, v, err));
    HONE_TRY(hone_repository_load(&place, v->name, c->registry->options.map_weights, &graph, &v->there, err));
    hone_status going = hone_registry_go_on(c->registry, err);
    if (going != HONE_OK) {
        hone_graph_free(graph);
        return going;
    }
    hone_servable_options o = hone_registry_servable_options(c->registry, r->name, v->number, &r->settings);
    HONE_TRY(hone_model_take(graph, NULL, &model, err));
    hone_status status = hone_servable_remake(&o, model, out, err);
    hone_model_free(model);
    HONE_TRY(status);
    int inputs = (*out)->input_count;
    status = hone_repository_recorded(&place, v->name, inputs, &recorded, err);
    if (status == HONE_OK) status = hone_registry_prepare(c->registry, *out, &recorded, err);
    hone_recorded_free(&recorded, inputs);
    if (status == HONE_OK) return HONE_OK;
    hone_servable_release(*out);
    *out = NULL;
    return status;
}

/* Compiling and warming up keeps a CPU for whole slices of the scheduler, in which requests would wait. A
 * thread can lower its priority, but not raise it again: it is one for this model. */
typedef struct making {
    hone_reconcile *c;
    hone_record *r;
    hone_version *v;
    hone_servable *servable;
    hone_status status;
    hone_error err;
} making;

static void *make_gently(void *arg) {
    making *m = arg;
    if (nice(NICENESS) < 0) errno = 0; /* then it runs as the others */
    m->status = make(m->c, m->r, m->v, &m->servable, &m->err);
    return NULL;
}

static hone_status make_somewhere(hone_reconcile *c, hone_record *r, hone_version *v, hone_servable **out,
                                  hone_error *err) {
    making m = {.c = c, .r = r, .v = v};
    hone_servable_options o = hone_registry_servable_options(c->registry, r->name, v->number, &r->settings);
    hone_pool *pool = NULL; /* the servable's, made here: its threads keep the priority of who makes them */
    pthread_t thread;
    if (!c->gently) return make(c, r, v, out, err);
    HONE_TRY(hone_pool_shared(hone_servable_threads(&o), &pool, err));
    int code = hone_thread_start(&thread, make_gently, &m, "hone-model");
    if (code == 0) pthread_join(thread, NULL);
    hone_pool_free(pool);
    if (code != 0) return make(c, r, v, out, err);
    *out = m.servable;
    *err = m.err;
    return m.status;
}

static uint64_t backoff(const hone_registry *g, int failures) {
    uint64_t least = g->options.retry_least, most = g->options.retry_most;
    int doublings = failures > 1 ? failures - 1 : 0;
    uint64_t wait = doublings < 32 && least < most >> doublings ? least << doublings : most;
    return hone_now() + wait;
}

/* `said`: what was told of it before. */
static void note_failure(hone_reconcile *c, hone_record *r, hone_version *v, const char *said,
                         hone_status status, const hone_error *err) {
    char text[sizeof v->message], what[700];
    hone_error_format(err, what, sizeof what);
    if (v->servable)
        snprintf(text, sizeof text,
                 "its file was changed and is not taken over; what was loaded goes on: %.280s", what);
    else
        snprintf(text, sizeof text, "%.380s", what);
    if (!c->quiet && (v->failures == 0 || strcmp(said, text) != 0))
        hone_log(HONE_LOG_ERROR, "model %s version %lld: %s", r->name, (long long)v->number, text);
    if (status == HONE_UNSUPPORTED) v->final = true; /* the file would have to be another one */
    v->failures++;
    v->retry_at = backoff(c->registry, v->failures);
    if (!v->final) look_again(c, v->retry_at);
    hone_registry_set_state(c->registry, v, v->servable ? HONE_VERSION_AVAILABLE : HONE_VERSION_END, status,
                            text);
}

/* May what is served be replaced by what its file holds now? */
static hone_status may_replace(hone_version *v, const hone_servable *s, hone_error *err) {
    char why[160];
    if (!v->servable || hone_servable_same_signature(v->servable, s, why, sizeof why)) return HONE_OK;
    v->final = true;
    return hone_fail(err, HONE_FAILED_PRECONDITION,
                     "the model in it is another one: %s; give it a new version", why);
}

static void load(hone_reconcile *c, hone_record *r, hone_version *v) {
    hone_error err = {0};
    hone_servable *s = NULL;
    char said[sizeof v->message];
    uint64_t start = hone_now();
    bool replaces = v->servable != NULL;
    memcpy(said, v->message, sizeof said);
    v->final = false;
    if (!hone_fingerprint_equal(&v->there, &v->tried)) v->failures = 0;
    if (!replaces) hone_registry_set_state(c->registry, v, HONE_VERSION_LOADING, HONE_OK, "");
    hone_status status = make_somewhere(c, r, v, &s, &err);
    if (status != HONE_OK && hone_registry_go_on(c->registry, NULL) != HONE_OK) return;
    v->tried = v->there;
    if (status == HONE_OK && (status = may_replace(v, s, &err)) != HONE_OK) hone_servable_release(s);
    double seconds = (double)(hone_now() - start) * 1e-9;
    hone_version_stats_loaded(v->stats, status == HONE_OK, seconds);
    if (status != HONE_OK) {
        note_failure(c, r, v, said, status, &err);
        return;
    }
    v->failures = 0;
    v->loaded = v->there;
    if (v->weight) r->ratio = (double)s->bytes / (double)v->weight;
    hone_registry_publish(c->registry, v, s);
    hone_log(HONE_LOG_INFO, "model %s version %lld %s in %.0f ms", r->name, (long long)v->number,
             replaces ? "was taken over anew" : "is served, loaded", seconds * 1e3);
}

/* A file that has just changed is given time to become whole. */
static bool has_settled(hone_reconcile *c, hone_version *v, uint64_t now) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t age = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec - v->there.modified;
    if (!hone_fingerprint_equal(&v->there, &v->seen)) {
        v->seen = v->there;
        v->seen_at = now;
    }
    if (c->first || age > OLD || age < -OLD || now - v->seen_at >= SETTLE) return true;
    look_again(c, v->seen_at + SETTLE);
    return false;
}

static bool serves_any(const hone_record *r) {
    for (size_t i = 0; i < r->count; i++)
        if (r->versions[i]->servable) return true;
    return false;
}

/* Failures that are not the file's fault. */
static bool may_pass(hone_status code) {
    return code == HONE_RESOURCE_EXHAUSTED || code == HONE_OUT_OF_MEMORY || code == HONE_UNAVAILABLE ||
           code == HONE_IO;
}

static bool should_load(hone_reconcile *c, const hone_record *r, hone_version *v, uint64_t now) {
    if (!(v->wanted || v->fallback) || !v->present) return false;
    if (hone_registry_go_on(c->registry, NULL) != HONE_OK) return false;
    if (v->servable && hone_fingerprint_equal(&v->there, &v->loaded)) return false;
    if (!has_settled(c, v, now)) return false;
    if (v->failures == 0 || !hone_fingerprint_equal(&v->there, &v->tried)) return true;
    if (v->final) return false;
    if (c->now) return true;
    /* where the old one would have to go first, it does not go for a file that was found bad */
    if (c->registry->options.reload == HONE_RELOAD_REPLACE && serves_any(r) && !may_pass(v->code))
        return false;
    if (now >= v->retry_at) return true;
    look_again(c, v->retry_at);
    return false;
}

/* --- unloading --- */

bool hone_record_is_gone(const hone_record *r) {
    for (size_t i = 0; i < r->count; i++)
        if (r->versions[i]->servable || r->versions[i]->draining) return false;
    return true;
}

static void unload(hone_registry *g, hone_record *r, hone_version *v) {
    hone_log(HONE_LOG_INFO, "model %s version %lld is unloaded", r->name, (long long)v->number);
    v->failures = 0;
    v->loaded = v->tried = (hone_fingerprint){0};
    hone_registry_publish(g, v, NULL);
}

void hone_record_unload(hone_registry *g, hone_record *r) {
    for (size_t i = 0; i < r->count; i++)
        if (r->versions[i]->servable) unload(g, r, r->versions[i]);
}

void hone_record_ended(hone_registry *g, hone_record *r, int64_t version, const hone_servable *s) {
    hone_version *v = hone_record_version(r, version);
    if (!v || v->draining != s) return;
    v->draining = NULL;
    if (v->state == HONE_VERSION_UNLOADING) hone_registry_set_state(g, v, HONE_VERSION_END, HONE_OK, "");
}

static bool serves_wanted(const hone_record *r) {
    for (size_t i = 0; i < r->count; i++)
        if (r->versions[i]->wanted && r->versions[i]->servable) return true;
    return false;
}

/* What is not wanted goes when something else is served instead, so that a model whose files vanish goes
 * on. */
static void unload_unwanted(hone_reconcile *c, hone_record *r, bool replace) {
    bool others = r->unloaded || replace || serves_wanted(r);
    for (size_t i = 0; i < r->count; i++) {
        hone_version *v = r->versions[i];
        if (v->servable && !v->wanted && others) unload(c->registry, r, v);
    }
}

/* --- falling back --- */

/* The newest of those that are wanted, if each was tried and none can be loaded; else NULL. */
static const hone_version *unloadable(const hone_record *r) {
    const hone_version *newest = NULL;
    for (size_t i = 0; i < r->count; i++) {
        const hone_version *v = r->versions[i];
        if (!v->wanted) continue;
        if (v->servable || v->failures == 0) return NULL;
        newest = v;
    }
    return newest;
}

/* When nothing at all is served, since what a policy of the latest versions wants can't be loaded: the newest
 * older version that can be. It goes as soon as one that is wanted is served. */
static hone_status fall_back(hone_reconcile *c, hone_record *r, const hone_listing *l, hone_error *err) {
    const hone_policy *policy = r->settings.has_policy ? &r->settings.policy : &r->policy;
    const hone_version *bad = unloadable(r);
    int tried = 0;
    if (!bad || policy->kind != HONE_POLICY_LATEST) return HONE_OK;
    for (size_t i = l->count; i-- > 0 && tried < FALLBACKS && !serves_any(r);) {
        const hone_found *f = &l->versions[i];
        hone_version *v = hone_record_version(r, f->number);
        if (f->number > bad->number || (v && v->wanted)) continue;
        tried++;
        HONE_TRY(note_found(c, r, f, err));
        v = hone_record_version(r, f->number);
        v->fallback = true;
        if (!should_load(c, r, v, hone_now())) continue;
        load(c, r, v);
        if (v->servable)
            hone_log(HONE_LOG_WARNING,
                     "model %s: version %lld can't be loaded (%.300s); version %lld is served instead",
                     r->name, (long long)bad->number, bad->message, (long long)v->number);
    }
    return HONE_OK;
}

/* --- what is told --- */

static void tell(hone_reconcile *c, hone_record *r) {
    for (size_t i = 0; i < r->count; i++) {
        hone_version *v = r->versions[i];
        bool same = v->present && hone_fingerprint_equal(&v->there, &v->loaded);
        hone_version_stats_fallback(v->stats, v->servable && !v->wanted && unloadable(r));
        if (!v->servable || (v->present && !same && v->failures)) continue;
        if (same) v->failures = 0;
        if (!v->present) {
            if (v->code != HONE_NOT_FOUND)
                hone_log(HONE_LOG_WARNING, "the files of model %s version %lld are gone; it is served on",
                         r->name, (long long)v->number);
            hone_registry_set_state(c->registry, v, v->state, HONE_NOT_FOUND,
                                    "its files are gone; what was loaded goes on");
        } else if (r->code != v->code || strcmp(r->message, v->message) != 0) {
            hone_registry_set_state(c->registry, v, v->state, r->code, r->message);
        }
    }
}

/* Those that are neither there nor served: only the last few are kept, for whoever asks what became of
 * them. */
static void forget_ended(hone_registry *g, hone_record *r) {
    size_t ended = 0;
    for (size_t i = r->count; i-- > 0;) {
        hone_version *v = r->versions[i];
        bool busy = v->servable || v->draining || v->wanted || v->fallback;
        if (!busy && (++ended > ENDED_MOST || v->state == HONE_VERSION_START))
            hone_registry_drop_version(g, r, i);
    }
}

/* --- labels --- */

static hone_record_label *label_slot(hone_registry *g, hone_record *r, const char *name) {
    for (size_t i = 0; i < r->label_count; i++)
        if (strcmp(r->labels[i].name, name) == 0) return &r->labels[i];
    char *copy = hone_strdup(name);
    pthread_rwlock_wrlock(&g->lock);
    bool fine = copy && hone_reserve(&r->labels, &r->label_capacity, r->label_count + 1, sizeof *r->labels);
    if (fine) r->labels[r->label_count++] = (hone_record_label){copy, -1, -1, false};
    pthread_rwlock_unlock(&g->lock);
    if (!fine) hone_free(copy);
    return fine ? &r->labels[r->label_count - 1] : NULL;
}

static void ask_labels(hone_registry *g, hone_record *r, const hone_label *labels, size_t count) {
    for (size_t i = 0; i < count; i++) {
        hone_record_label *l = label_slot(g, r, labels[i].name);
        if (!l) continue;
        l->wanted = labels[i].version;
        l->stale = false;
    }
}

/* A label moves when its new version is served, and is nobody's when its version goes. */
static void settle_labels(hone_registry *g, hone_record *r) {
    for (size_t i = 0; i < r->label_count; i++) r->labels[i].stale = true;
    ask_labels(g, r, r->asked, r->asked_count);
    if (r->settings.has_labels) ask_labels(g, r, r->settings.labels, r->settings.label_count);
    pthread_rwlock_wrlock(&g->lock);
    for (size_t i = r->label_count; i-- > 0;) {
        hone_record_label *l = &r->labels[i];
        const hone_version *to = hone_record_version(r, l->wanted), *at = hone_record_version(r, l->version);
        if (l->stale) {
            hone_free(l->name);
            *l = r->labels[--r->label_count];
        } else if (to && to->servable) {
            l->version = l->wanted;
        } else if (!at || !at->servable) {
            l->version = -1;
        }
    }
    pthread_rwlock_unlock(&g->lock);
}

hone_status hone_record_check(const hone_record *r, hone_error *err) {
    bool served = false;
    for (size_t i = 0; i < r->count; i++) {
        const hone_version *v = r->versions[i];
        served |= v->servable != NULL;
        if (v->wanted && v->code != HONE_OK)
            return hone_fail(err, v->code, "model %s version %lld: %.380s", r->name, (long long)v->number,
                             v->message);
    }
    if (!served && r->code != HONE_OK) return hone_fail(err, r->code, "model %s: %s", r->name, r->message);
    if (!served) return hone_fail(err, HONE_NOT_FOUND, "model %s has no version that is wanted", r->name);
    for (size_t i = 0; i < r->label_count; i++)
        if (r->labels[i].version != r->labels[i].wanted)
            return hone_fail(err, HONE_FAILED_PRECONDITION,
                             "model %s: the label %s can't be given to version %lld, which is not loaded",
                             r->name, r->labels[i].name, (long long)r->labels[i].wanted);
    return HONE_OK;
}

/* --- the whole --- */

static void bring_about(hone_reconcile *c, hone_record *r) {
    uint64_t now = hone_now();
    if (c->registry->options.reload == HONE_RELOAD_REPLACE) {
        bool loads = false;
        for (size_t i = 0; i < r->count; i++) {
            hone_version *v = r->versions[i];
            loads |= !v->servable && should_load(c, r, v, now);
        }
        unload_unwanted(c, r, loads);
        if (loads) c->drain(c->user);
    }
    for (size_t i = r->count; i-- > 0;)
        if (should_load(c, r, r->versions[i], now)) load(c, r, r->versions[i]);
    unload_unwanted(c, r, false);
}

static void note_trouble(hone_reconcile *c, hone_record *r, hone_status code, const char *text) {
    if (!c->quiet && code != HONE_OK && (r->code != code || strcmp(r->message, text) != 0))
        hone_log(HONE_LOG_WARNING, "model %s: %s", r->name, text);
    r->code = code;
    snprintf(r->message, sizeof r->message, "%s", text);
}

void hone_record_reconcile(hone_reconcile *c, hone_record *r) {
    hone_place place = hone_record_place(r);
    hone_listing listing = {0};
    hone_error err = {0};
    char text[sizeof r->message] = "";
    c->due = 0;
    if (!r->root) return;
    hone_status status = hone_repository_list(&place, &listing, &err);
    if (status == HONE_OK) follow_settings(c, r, &listing);
    if (status == HONE_OK || status == HONE_NOT_FOUND) {
        hone_status noted = note_listing(c, r, &listing, &err);
        if (status == HONE_OK) status = noted;
    }
    c->watch(c->user, r, &listing);
    if (status != HONE_OK)
        note_trouble(c, r, status, hone_error_format(&err, text, sizeof text));
    else
        note_trouble(c, r, r->settings_code, r->settings_code == HONE_OK ? "" : r->settings_message);
    bring_about(c, r);
    if (fall_back(c, r, &listing, &err) != HONE_OK)
        look_again(c, hone_now() + c->registry->options.retry_least);
    hone_listing_free(&listing);
    tell(c, r);
    settle_labels(c->registry, r);
    forget_ended(c->registry, r);
}
