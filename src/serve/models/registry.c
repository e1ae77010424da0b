#include "serve/models/registry.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* --- records --- */

static int compare(const hone_record *r, const char *name, size_t size) {
    size_t own = strlen(r->name), least = own < size ? own : size;
    int order = memcmp(r->name, name, least);
    return order ? order : (own > size) - (own < size);
}

/* Where it is, or where it would go. */
static size_t place_of(const hone_registry *g, const char *name, size_t size) {
    size_t from = 0, to = g->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (compare(g->records[middle], name, size) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

hone_record *hone_registry_find(const hone_registry *g, const char *name, size_t size) {
    size_t i = place_of(g, name, size);
    return i < g->count && compare(g->records[i], name, size) == 0 ? g->records[i] : NULL;
}

hone_version *hone_record_version(const hone_record *r, int64_t number) {
    for (size_t i = 0; i < r->count; i++)
        if (r->versions[i]->number == number) return r->versions[i];
    return NULL;
}

bool hone_record_serves(const hone_record *r) {
    for (size_t i = 0; i < r->count; i++)
        if (r->versions[i]->servable) return true;
    return false;
}

const hone_policy *hone_record_policy(const hone_record *r) {
    return r->settings.has_policy ? &r->settings.policy : &r->policy;
}

hone_record *hone_registry_add(hone_registry *g, const char *name) {
    hone_record *r = hone_calloc(1, sizeof *r);
    if (!r) return NULL;
    r->settings = g->defaults;
    r->name = hone_strdup(name);
    pthread_rwlock_wrlock(&g->lock);
    bool fine = r->name && hone_reserve(&g->records, &g->capacity, g->count + 1, sizeof *g->records);
    if (fine) {
        size_t at = place_of(g, name, strlen(name));
        memmove(g->records + at + 1, g->records + at, (g->count - at) * sizeof *g->records);
        g->records[at] = r;
        g->count++;
    }
    pthread_rwlock_unlock(&g->lock);
    if (fine) return r;
    hone_free(r->name);
    hone_free(r);
    return NULL;
}

hone_version *hone_registry_add_version(hone_registry *g, hone_record *r, int64_t number) {
    hone_version *v = hone_calloc(1, sizeof *v);
    if (!v) return NULL;
    v->number = number;
    v->state = HONE_VERSION_START;
    bool fine = hone_version_stats_new(g->stats, r->name, number, &v->stats, NULL) == HONE_OK;
    if (fine) hone_version_stats_state(v->stats, hone_version_state_name(v->state));
    pthread_rwlock_wrlock(&g->lock);
    fine = fine && hone_reserve(&r->versions, &r->capacity, r->count + 1, sizeof(hone_version *));
    if (fine) {
        size_t at = 0;
        while (at < r->count && r->versions[at]->number < number) at++;
        memmove(r->versions + at + 1, r->versions + at, (r->count - at) * sizeof(hone_version *));
        r->versions[at] = v;
        r->count++;
    }
    pthread_rwlock_unlock(&g->lock);
    if (fine) return v;
    hone_version_stats_free(v->stats);
    hone_free(v);
    return NULL;
}

void hone_registry_drop_version(hone_registry *g, hone_record *r, size_t index) {
    hone_version *v = r->versions[index];
    pthread_rwlock_wrlock(&g->lock);
    r->count--;
    memmove(r->versions + index, r->versions + index + 1, (r->count - index) * sizeof(hone_version *));
    pthread_rwlock_unlock(&g->lock);
    hone_version_stats_free(v->stats);
    hone_file_list_free(&v->files);
    hone_file_list_free(&v->mapped);
    hone_free(v);
}

void hone_registry_drop(hone_registry *g, hone_record *r) {
    while (r->count) hone_registry_drop_version(g, r, r->count - 1);
    pthread_rwlock_wrlock(&g->lock);
    size_t at = place_of(g, r->name, strlen(r->name));
    g->count--;
    memmove(g->records + at, g->records + at + 1, (g->count - at) * sizeof *g->records);
    pthread_rwlock_unlock(&g->lock);
    for (size_t i = 0; i < r->label_count; i++) hone_free(r->labels[i].name);
    for (size_t i = 0; i < r->asked_count; i++) hone_free(r->asked[i].name);
    hone_free(r->labels);
    hone_free(r->asked);
    hone_free(r->versions);
    hone_remarks_free(&r->remarks);
    hone_policy_free(&r->policy);
    hone_model_settings_free(&r->settings);
    hone_free(r->root);
    hone_free(r->inside);
    hone_free(r->name);
    hone_free(r);
}

hone_status hone_registry_go_on(const hone_registry *g, hone_error *err) {
    return atomic_load(&g->halted) ? hone_fail(err, HONE_UNAVAILABLE, "The server is stopping") : HONE_OK;
}

/* --- states --- */

static void tell_changed(const hone_registry *g) {
    if (g->changed) g->changed(g->changed_user);
}

void hone_registry_set_state(hone_registry *g, hone_version *v, hone_version_state state, hone_status code,
                             const char *message) {
    bool changed = v->state != state;
    pthread_rwlock_wrlock(&g->lock);
    v->state = state;
    v->code = code;
    hone_text_line(v->message, sizeof v->message, message);
    pthread_rwlock_unlock(&g->lock);
    if (!changed) return;
    hone_version_stats_state(v->stats, hone_version_state_name(state));
    tell_changed(g);
}

void hone_registry_set_trouble(hone_registry *g, hone_record *r, hone_status code, const char *message) {
    pthread_rwlock_wrlock(&g->lock);
    r->code = code;
    hone_text_line(r->message, sizeof r->message, message);
    pthread_rwlock_unlock(&g->lock);
}

void hone_registry_set_remarks(hone_registry *g, hone_remarks *l, hone_remarks *now) {
    pthread_rwlock_wrlock(&g->lock);
    hone_remarks before = *l;
    *l = *now;
    pthread_rwlock_unlock(&g->lock);
    *now = before;
}

void hone_registry_publish(hone_registry *g, hone_version *v, hone_servable *s) {
    pthread_rwlock_wrlock(&g->lock);
    hone_servable *old = v->servable;
    v->servable = s;
    v->bytes = s ? s->bytes : 0;
    v->state = s ? HONE_VERSION_AVAILABLE : HONE_VERSION_UNLOADING;
    v->code = HONE_OK;
    snprintf(v->message, sizeof v->message, "%s", s ? s->unpadded : "");
    if (!s) v->draining = old;
    pthread_rwlock_unlock(&g->lock);
    hone_version_stats_state(v->stats, hone_version_state_name(v->state));
    tell_changed(g);
    hone_servable_release(old);
}

/* --- servables --- */

hone_servable_options hone_registry_servable_options(hone_registry *g, const char *name, int64_t version,
                                                     const hone_model_settings *settings) {
    return (hone_servable_options){.name = name,
                                   .version = version,
                                   .settings = settings ? &settings->run : &g->defaults.run,
                                   .workers = g->workers,
                                   .compute_threads = g->compute_threads,
                                   .model_threads = g->model_threads,
                                   .max_queue = g->options.max_queue,
                                   .inline_cost = g->options.inline_cost,
                                   .stats = g->stats};
}

hone_language_settings hone_registry_language(const hone_registry *g, const hone_language_settings *own) {
    const hone_language_settings *usual = &g->options.language;
    return (hone_language_settings){.context = own->context ? own->context : usual->context,
                                    .kv_bytes = own->kv_bytes ? own->kv_bytes : usual->kv_bytes,
                                    .queue = own->queue ? own->queue : usual->queue,
                                    .running = own->running ? own->running : usual->running,
                                    .step_ms = own->step_ms ? own->step_ms : usual->step_ms};
}

hone_status hone_registry_prepare(hone_registry *g, hone_servable *s, const hone_recorded *recorded,
                                  hone_error *err) {
    HONE_TRY(hone_warm_up(s, recorded, g->options.inline_cost, &g->halted, err));
    s->retire = g->retire;
    s->retire_user = g->retire_user;
    size_t limit = g->options.memory_limit;
    size_t total = atomic_fetch_add(&g->bytes, s->bytes) + s->bytes;
    hone_model_stats_bytes(s->stats, (double)s->bytes);
    if (limit == 0 || total <= limit) return HONE_OK;
    return hone_fail(err, HONE_RESOURCE_EXHAUSTED,
                     "it takes %zu MB of memory, with which all models would have %zu MB of the %zu MB that "
                     "are allowed",
                     s->bytes >> 20, total >> 20, limit >> 20);
}

/* --- the registry --- */

void hone_registry_init(hone_registry *g, int workers, int model_threads, hone_stats *stats) {
    *g = (hone_registry){.workers = workers,
                         .compute_threads = workers,
                         .model_threads = model_threads,
                         .options = HONE_CORE_OPTIONS_INIT,
                         .defaults = HONE_MODEL_SETTINGS_INIT,
                         .stats = stats};
    pthread_rwlock_init(&g->lock, NULL);
}

void hone_registry_free(hone_registry *g) {
    while (g->count) {
        hone_record *r = g->records[g->count - 1];
        for (size_t i = 0; i < r->count; i++) {
            hone_servable_release(r->versions[i]->servable);
            r->versions[i]->servable = NULL;
        }
        hone_registry_drop(g, r);
    }
    hone_remarks_free(&g->remarks);
    hone_free(g->records);
    hone_free(g->repository);
    hone_free(g->config_file);
    pthread_rwlock_destroy(&g->lock);
}

static hone_status copy_text(char **to, const char *text, hone_error *err) {
    hone_free(*to);
    *to = text ? hone_strdup(text) : NULL;
    return *to || !text ? HONE_OK : hone_fail_memory(err);
}

hone_status hone_registry_configure(hone_registry *g, const hone_core_options *options, hone_error *err) {
    hone_core_options defaults = HONE_CORE_OPTIONS_INIT;
    if (!options) options = &defaults;
    if (g->count)
        return hone_fail(err, HONE_FAILED_PRECONDITION, "the core is configured before it has models");
    g->options = *options;
    g->compute_threads = options->compute_threads > 0 ? options->compute_threads : g->workers;
    HONE_TRY(copy_text(&g->repository, options->repository, err));
    HONE_TRY(copy_text(&g->config_file, options->config_file, err));
    if (options->defaults) g->defaults = *options->defaults;
    g->options.defaults = &g->defaults;
    g->options.repository = g->repository;
    g->options.config_file = g->config_file;
    return HONE_OK;
}
