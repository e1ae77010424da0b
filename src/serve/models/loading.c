#include "serve/models/loading.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/text.h"
#include "base/thread.h"
#include "base/utf8.h"
#include "graph/graph.h"
#include "serve/models/repository.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SETTLE (50 * HONE_MILLISECOND)
#define SETTLE_COARSE (2000 * HONE_MILLISECOND) /* where the time of a change is told in seconds */
#define SETTLE_HOLES                                                                                         \
    (10000 * HONE_MILLISECOND)            /* while a part of a file is missing, or is meant to be zeros */
#define SKEW (1000 * HONE_MILLISECOND)    /* between our clock and that of a file system */
#define RATIO_DEFAULT 1.5                 /* memory to file size: weights, workspaces */
#define MAPPED_LEAST ((uint64_t)64 << 10) /* of smaller files nothing is mapped */

enum { NICENESS = 10 };
enum { EARLY_MOST = 5 }; /* tries that come too early double the time to rest; after these it is told, too */

void hone_reconcile_look_again(hone_reconcile *c, uint64_t at) {
    if (!c->due || at < c->due) c->due = at;
}

/* --- are files at rest? --- */

/* Nanoseconds since the last change by the file system's clock; 0: now, or to come. */
static uint64_t age_of(const hone_print *is) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t age = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec - is->newest;
    return age > 0 ? (uint64_t)age : 0;
}

static uint64_t time_to_rest(const hone_print *is, int early) {
    if (is->newest % 1000000000 == 0) return SETTLE_COARSE;
    return SETTLE << (early < EARLY_MOST ? early : EARLY_MOST);
}

static void follow(hone_rest *rest, const hone_print *is, uint64_t now) {
    if (!hone_print_equal(&rest->print, is)) *rest = (hone_rest){*is, now};
}

bool hone_reconcile_rests(hone_reconcile *c, hone_rest *rest, const hone_print *is, int early, uint64_t now) {
    uint64_t needs = time_to_rest(is, early);
    follow(rest, is, now);
    if (c->urgency != HONE_WHEN_AT_REST || now - rest->since >= needs || age_of(is) > needs + SKEW)
        return true;
    hone_reconcile_look_again(c, rest->since + needs);
    return false;
}

/* For how long the files of a version have rested, by either clock. */
static uint64_t time_at_rest(const hone_version *v, uint64_t now) {
    uint64_t age = age_of(&v->there), seen = now - v->rest.since;
    return age > seen ? age : seen;
}

/* What could not be loaded yet is no failure. */
static void put_off(hone_reconcile *c, hone_version *v, const char *why, uint64_t until) {
    hone_reconcile_look_again(c, until);
    if (v->servable || strcmp(v->message, why) == 0) return;
    hone_registry_set_state(c->registry, v, HONE_VERSION_START, HONE_UNAVAILABLE, why);
}

/* Downloads that come in several streams make a file of its full size, which reads as zeros where nothing has come. */
static bool waits_for_holes(hone_reconcile *c, const hone_record *r, hone_version *v, uint64_t now) {
    const char *path;
    char why[160];
    hone_place place = hone_record_place(r);
    uint64_t rested = time_at_rest(v, now);
    if (c->urgency == HONE_AS_IT_IS || rested >= SETTLE_HOLES) return false;
    if (!hone_repository_has_holes(&place, v->name, &v->files, &path)) return false;
    snprintf(why, sizeof why, "%.*s has holes and has just been written to: it is given time to be filled",
             HONE_UTF8_SHOWN(path, 80));
    put_off(c, v, why, now + SETTLE_HOLES - rested);
    return true;
}

static bool rests(hone_reconcile *c, const hone_record *r, hone_version *v, uint64_t now) {
    return hone_reconcile_rests(c, &v->rest, &v->there, v->early, now) && !waits_for_holes(c, r, v, now);
}

/* Failures that are not the file's fault. */
static bool may_pass(hone_status code) {
    return code == HONE_RESOURCE_EXHAUSTED || code == HONE_OUT_OF_MEMORY || code == HONE_UNAVAILABLE ||
           code == HONE_IO;
}

/* What was read, if anything was, is from now on what is looked at. What could not be opened is taken as it is now. */
static void take_files(const hone_record *r, hone_version *v, hone_file_list *files) {
    hone_place place = hone_record_place(r);
    char path[PATH_MAX];
    hone_file_list_unite(files);
    for (size_t i = 0; i < files->count; i++) {
        hone_listed_file *f = &files->items[i];
        if (f->is.inode == 0 && hone_place_part(&place, v->name, f->path, path, sizeof path))
            hone_place_look(&place, path, &f->is, NULL);
    }
    if (files->count) {
        hone_file_list_free(&v->files);
        v->files = *files;
        *files = (hone_file_list){0};
    }
    v->there = hone_file_list_print(&v->files);
}

/* Where the old one goes first, it must not go for one that is still being written: its files are asked for, by a
 * reading that leaves them where they are. */
static bool learn_files(const hone_reconcile *c, const hone_record *r, hone_version *v) {
    hone_place place = hone_record_place(r);
    hone_loaded loaded = {0};
    hone_file_list files = {0};
    if (c->registry->options.reload != HONE_RELOAD_REPLACE || !hone_record_serves(r)) return false;
    if (hone_print_equal(&v->learned, &v->there)) return false;
    hone_repository_load(&place, v->name, true, 0, &loaded, &files, NULL);
    hone_loaded_free(&loaded);
    take_files(r, v, &files);
    v->learned = v->there;
    return true;
}

bool hone_version_should_load(hone_reconcile *c, const hone_record *r, hone_version *v, uint64_t now) {
    if (!(v->wanted || v->fallback) || !v->present) return false;
    if (hone_registry_go_on(c->registry, NULL) != HONE_OK) return false;
    if (v->servable && hone_print_equal(&v->there, &v->loaded)) return false;
    if (!rests(c, r, v, now) || (learn_files(c, r, v) && !rests(c, r, v, now))) return false;
    if (v->failures == 0 || !hone_print_equal(&v->there, &v->tried)) return true;
    if (v->final) return false;
    if (c->urgency != HONE_WHEN_AT_REST) return true;
    /* where the old one would have to go first, it does not go for a file that was found bad */
    if (c->registry->options.reload == HONE_RELOAD_REPLACE && hone_record_serves(r) && !may_pass(v->code))
        return false;
    if (now >= v->retry_at) return true;
    hone_reconcile_look_again(c, v->retry_at);
    return false;
}

/* --- making --- */

typedef struct making {
    hone_reconcile *c;
    hone_record *r;
    hone_version *v;
    /* Results. */
    hone_servable *servable;
    hone_file_list files, mapped;
    bool early; /* the files were not at rest; told already */
    hone_status status;
    hone_error err;
} making;

static hone_status check_memory(const hone_registry *g, const hone_record *r, const hone_version *v,
                                hone_error *err) {
    size_t limit = g->options.memory_limit, now = atomic_load(&g->bytes);
    double more = (double)v->weight * (r->ratio > 0 ? r->ratio : RATIO_DEFAULT);
    if (limit == 0 || (double)now + more <= (double)limit) return HONE_OK;
    return hone_fail(err, HONE_RESOURCE_EXHAUSTED,
                     "it would take about %.0f MB of memory; %zu MB of the %zu MB that are allowed are taken",
                     more / 1048576, now >> 20, limit >> 20);
}

/* Now that it is known which files there are: did they rest? */
static bool came_early(making *m) {
    hone_version *v = m->v;
    uint64_t now = hone_now();
    take_files(m->r, v, &m->files);
    follow(&v->rest, &v->there, now);
    uint64_t needs = time_to_rest(&v->there, v->early);
    m->early = m->c->urgency == HONE_WHEN_AT_REST && time_at_rest(v, now) < needs;
    if (m->early)
        put_off(m->c, v, "its files have just been written to", now + needs);
    else
        m->early = waits_for_holes(m->c, m->r, v, now);
    return m->early;
}

static bool list_mapped(const hone_file_list *files, hone_file_list *out) {
    for (size_t i = 0; i < files->count; i++)
        if (files->items[i].is.size >= MAPPED_LEAST &&
            !hone_file_list_add(out, files->items[i].path, &files->items[i].is))
            return false;
    return true;
}

static hone_status prove(making *m, hone_servable *s, hone_error *err) {
    hone_place place = hone_record_place(m->r);
    hone_recorded recorded = {0};
    int inputs = s->input_count;
    hone_file_list files;
    if (!hone_file_list_copy(&files, &m->v->files)) return hone_fail_memory(err);
    hone_status status = hone_repository_recorded(&place, m->v->name, inputs, &recorded, &files, err);
    take_files(m->r, m->v, &files);
    if (status == HONE_OK) status = hone_registry_prepare(m->c->registry, s, &recorded, err);
    hone_recorded_free(&recorded, inputs);
    return status;
}

/* Of a graph that was read, which is taken. */
static hone_status make_plain(making *m, hone_graph *graph, const hone_tokenizer *tokenizer,
                              hone_error *err) {
    hone_servable_options o =
        hone_registry_servable_options(m->c->registry, m->r->name, m->v->number, &m->r->settings);
    hone_model_options options = HONE_MODEL_OPTIONS_INIT;
    hone_model *model = NULL;
    options.precision = m->r->settings.run.precision;
    HONE_TRY(hone_model_take(graph, &options, &model, err));
    hone_status status = hone_servable_remake(&o, model, &m->servable, err);
    hone_model_free(model);
    if (status == HONE_OK) hone_servable_read_texts(m->servable, tokenizer);
    return status == HONE_OK ? prove(m, m->servable, err) : status;
}

/* Of a language model that was read. */
static hone_status make_language(making *m, hone_import *import, hone_error *err) {
    hone_registry *g = m->c->registry;
    hone_servable_options o = hone_registry_servable_options(g, m->r->name, m->v->number, &m->r->settings);
    const hone_servable_settings *s = &m->r->settings.run;
    hone_language_settings settings = hone_registry_language(g, &s->language);
    hone_language_options l = {&settings, hone_servable_threads(&o), s->precision};
    hone_language *language = NULL;
    HONE_TRY(hone_language_new(import, &l, &language, err));
    size_t bytes = (size_t)m->v->weight + (size_t)settings.kv_bytes;
    hone_status status = hone_servable_speak(&o, language, bytes, &m->servable, err);
    if (status != HONE_OK) hone_language_free(language);
    return status == HONE_OK ? hone_registry_prepare(g, m->servable, NULL, err) : status;
}

static hone_status make_servable(making *m, hone_error *err) {
    hone_place place = hone_record_place(m->r);
    hone_loaded loaded = {0};
    bool map = m->c->registry->options.map_weights;
    int64_t context = hone_registry_language(m->c->registry, &m->r->settings.run.language).context;
    m->v->weight = hone_repository_weigh(&place, m->v->name);
    HONE_TRY(check_memory(m->c->registry, m->r, m->v, err));
    hone_status status = hone_repository_load(&place, m->v->name, map, context, &loaded, &m->files, err);
    if (status == HONE_OK) status = hone_registry_go_on(m->c->registry, err);
    if (status == HONE_OK && loaded.graph) status = hone_graph_open_maps(loaded.graph, err);
    bool early = came_early(m);
    if (status == HONE_OK && early) status = HONE_UNAVAILABLE;
    if (status == HONE_OK && map && !list_mapped(&m->v->files, &m->mapped)) status = hone_fail_memory(err);
    if (status == HONE_OK && loaded.language) {
        status = make_language(m, loaded.language, err);
    } else if (status == HONE_OK) {
        hone_graph *graph = loaded.graph;
        loaded.graph = NULL;
        status = make_plain(m, graph, loaded.tokenizer, err);
    }
    hone_loaded_free(&loaded);
    return status;
}

/* A file that was written to meanwhile was read as it never was. */
static hone_status check_unchanged(making *m, hone_status status, hone_error *err) {
    hone_place place = hone_record_place(m->r);
    hone_version *v = m->v;
    hone_print now = hone_place_print(&place, v->name, &v->files);
    if (m->early || (status != HONE_UNAVAILABLE && now.content == v->there.content)) return status;
    m->early = true;
    put_off(m->c, v, "its files were written to while they were read",
            hone_now() + time_to_rest(&now, v->early));
    return hone_fail(err, HONE_UNAVAILABLE, "its files were written to while they were read");
}

static void make(making *m) {
    m->status = check_unchanged(m, make_servable(m, &m->err), &m->err);
    if (m->status == HONE_OK) return;
    if (m->servable) hone_servable_release(m->servable);
    m->servable = NULL;
}

/* Compiling and warming up keeps a CPU for whole slices of the scheduler, in which requests would wait. A
 * thread can lower its priority, but not raise it again: it is one for this model. */
static void *make_gently(void *arg) {
    if (nice(NICENESS) < 0) errno = 0; /* then it runs as the others */
    make(arg);
    return NULL;
}

static void make_somewhere(making *m) {
    hone_servable_options o =
        hone_registry_servable_options(m->c->registry, m->r->name, m->v->number, &m->r->settings);
    hone_pool *pool = NULL; /* the servable's, made here: its threads keep the priority of who makes them */
    pthread_t thread;
    if (!m->c->gently) {
        make(m);
        return;
    }
    m->status = hone_pool_shared(hone_servable_threads(&o), &pool, &m->err);
    if (m->status != HONE_OK) return;
    int code = hone_thread_start(&thread, make_gently, m, "hone-model");
    if (code == 0)
        pthread_join(thread, NULL);
    else
        make(m);
    hone_pool_free(pool);
}

/* --- what comes of it --- */

static uint64_t backoff(const hone_registry *g, int failures) {
    uint64_t least = g->options.retry_least, most = g->options.retry_most;
    int doublings = failures > 1 ? failures - 1 : 0;
    uint64_t wait = doublings < 32 && least < most >> doublings ? least << doublings : most;
    return hone_now() + wait;
}

/* A file of those that are mapped whose content is another one, in its old place in the file system: what is served
 * has it. NULL: none. */
static const char *changed_in_place(const hone_record *r, const hone_version *v) {
    hone_place place = hone_record_place(r);
    char path[PATH_MAX];
    for (size_t i = 0; v->servable && i < v->mapped.count; i++) {
        const hone_listed_file *f = &v->mapped.items[i];
        if (!hone_place_part(&place, v->name, f->path, path, sizeof path)) continue;
        hone_fingerprint is = hone_place_glance(&place, path);
        bool here = is.device == f->is.device && is.inode == f->is.inode;
        if (here && !hone_fingerprint_same_content(&is, &f->is)) return f->path;
    }
    return NULL;
}

/* Numbers apart: a file that grows is too short by a different number each time. */
static bool says_the_same(const char *a, const char *b) {
    for (;; a++, b++) {
        a += strspn(a, "0123456789");
        b += strspn(b, "0123456789");
        if (*a != *b) return false;
        if (!*a) return true;
    }
}

static void note_failure(making *m) {
    hone_version *v = m->v;
    hone_registry *g = m->c->registry;
    char text[sizeof v->message], what[700];
    const char *changed = changed_in_place(m->r, v);
    hone_error_format(&m->err, what, sizeof what);
    if (changed)
        snprintf(text, sizeof text,
                 "%.*s, which was mapped, was changed in place, so that what was loaded can't go on: %.*s",
                 HONE_UTF8_SHOWN(changed, 60), HONE_UTF8_SHOWN(what, 220));
    else if (v->servable)
        snprintf(text, sizeof text,
                 "its files were changed and are not taken over; what was loaded goes on: %.*s",
                 HONE_UTF8_SHOWN(what, 280));
    else
        hone_text_line(text, sizeof text, what);
    if (!m->c->quiet && !says_the_same(v->told, text))
        hone_log(HONE_LOG_ERROR, "model %s version %lld: %s", m->r->name, (long long)v->number, text);
    snprintf(v->told, sizeof v->told, "%s", text);
    if (changed) hone_version_unload(g, m->r, v);
    if (m->status == HONE_UNSUPPORTED) v->final = true; /* the file would have to be another one */
    v->tried = v->there;
    v->early = 0;
    v->failures++;
    v->retry_at = backoff(g, v->failures);
    if (!v->final) hone_reconcile_look_again(m->c, v->retry_at);
    hone_registry_set_state(g, v,
                            v->servable ? HONE_VERSION_AVAILABLE
                            : changed   ? HONE_VERSION_UNLOADING
                                        : HONE_VERSION_END,
                            m->status, text);
}

/* May what is served be replaced by what its file holds now? */
static hone_status may_replace(hone_version *v, const hone_servable *s, hone_error *err) {
    char why[160];
    if (!v->servable || hone_servable_same_signature(v->servable, s, why, sizeof why)) return HONE_OK;
    v->final = true;
    return hone_fail(err, HONE_FAILED_PRECONDITION,
                     "the model in it is another one: %s; give it a new version", why);
}

static void note_early(const making *m) {
    if (++m->v->early == EARLY_MOST)
        hone_log(HONE_LOG_WARNING, "model %s version %lld: its files are written to whenever they are read",
                 m->r->name, (long long)m->v->number);
}

static void take_over(making *m, double seconds) {
    hone_version *v = m->v;
    bool replaces = v->servable != NULL;
    v->failures = v->early = 0;
    v->written = false;
    v->told[0] = 0;
    v->loaded = v->there;
    hone_file_list_free(&v->mapped);
    v->mapped = m->mapped;
    m->mapped = (hone_file_list){0};
    if (v->weight) m->r->ratio = (double)m->servable->bytes / (double)v->weight;
    hone_registry_publish(m->c->registry, v, m->servable);
    hone_log(HONE_LOG_INFO, "model %s version %lld %s in %.0f ms", m->r->name, (long long)v->number,
             replaces ? "was taken over anew" : "is served, loaded", seconds * 1e3);
}

void hone_version_load(hone_reconcile *c, hone_record *r, hone_version *v) {
    making m = {.c = c, .r = r, .v = v};
    uint64_t start = hone_now();
    const char *changed = v->early == 0 ? changed_in_place(r, v) : NULL;
    v->final = false;
    if (!hone_print_equal(&v->there, &v->tried)) v->failures = 0;
    if (changed)
        hone_log(HONE_LOG_WARNING,
                 "model %s version %lld: %s, which is mapped, was changed in place; until it is loaded anew, "
                 "answers are of neither content",
                 r->name, (long long)v->number, changed);
    if (!v->servable) hone_registry_set_state(c->registry, v, HONE_VERSION_LOADING, HONE_OK, "");
    make_somewhere(&m);
    if (m.status != HONE_OK && hone_registry_go_on(c->registry, NULL) != HONE_OK) {
        /* it is given up, which says nothing of its files */
    } else if (m.early) {
        note_early(&m);
    } else {
        if (m.status == HONE_OK && (m.status = may_replace(v, m.servable, &m.err)) != HONE_OK)
            hone_servable_release(m.servable);
        double seconds = (double)(hone_now() - start) * 1e-9;
        hone_version_stats_loaded(v->stats, m.status == HONE_OK, seconds);
        if (m.status == HONE_OK)
            take_over(&m, seconds);
        else
            note_failure(&m);
    }
    hone_file_list_free(&m.files);
    hone_file_list_free(&m.mapped);
    r->dirty = true; /* more of its files are known */
}

void hone_version_unload(hone_registry *g, hone_record *r, hone_version *v) {
    hone_log(HONE_LOG_INFO, "model %s version %lld is unloaded", r->name, (long long)v->number);
    v->failures = 0;
    v->loaded = v->tried = (hone_print){0};
    hone_registry_publish(g, v, NULL);
}
