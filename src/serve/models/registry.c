#include "serve/models/registry.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* --- records --- */

static int compare(const hone_record *r, const char *name, size_t size) {
    size_t own = strlen(r->name), least = own < size ? own : size;
    int order = memcmp(r->name, name, least);
    return order ? order : (own > size) - (own < size);
}

/* Where it is, or where it would go. */
static size_t place_of(const hone_core *core, const char *name, size_t size) {
    size_t from = 0, to = core->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (compare(core->records[middle], name, size) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

hone_record *hone_core_record(const hone_core *core, const char *name, size_t size) {
    size_t i = place_of(core, name, size);
    return i < core->count && compare(core->records[i], name, size) == 0 ? core->records[i] : NULL;
}

hone_version *hone_record_version(const hone_record *r, int64_t number) {
    for (size_t i = 0; i < r->count; i++)
        if (r->versions[i]->number == number) return r->versions[i];
    return NULL;
}

hone_record *hone_core_new_record(hone_core *core, const char *name) {
    hone_record *r = hone_calloc(1, sizeof *r);
    if (!r) return NULL;
    r->settings = core->defaults;
    r->name = hone_strdup(name);
    pthread_rwlock_wrlock(&core->lock);
    bool fine =
        r->name && hone_reserve(&core->records, &core->capacity, core->count + 1, sizeof *core->records);
    if (fine) {
        size_t at = place_of(core, name, strlen(name));
        memmove(core->records + at + 1, core->records + at, (core->count - at) * sizeof *core->records);
        core->records[at] = r;
        core->count++;
    }
    pthread_rwlock_unlock(&core->lock);
    if (fine) return r;
    hone_free(r->name);
    hone_free(r);
    return NULL;
}

hone_version *hone_core_new_version(hone_core *core, hone_record *r, int64_t number) {
    hone_version *v = hone_calloc(1, sizeof *v);
    if (!v) return NULL;
    v->number = number;
    v->state = HONE_VERSION_START;
    bool fine = hone_version_stats_new(core->stats, r->name, number, &v->stats, NULL) == HONE_OK;
    if (fine) hone_version_stats_state(v->stats, hone_version_state_name(v->state));
    pthread_rwlock_wrlock(&core->lock);
    fine = fine && hone_reserve(&r->versions, &r->capacity, r->count + 1, sizeof(hone_version *));
    if (fine) {
        size_t at = 0;
        while (at < r->count && r->versions[at]->number < number) at++;
        memmove(r->versions + at + 1, r->versions + at, (r->count - at) * sizeof(hone_version *));
        r->versions[at] = v;
        r->count++;
    }
    pthread_rwlock_unlock(&core->lock);
    if (fine) return v;
    hone_version_stats_free(v->stats);
    hone_free(v);
    return NULL;
}

void hone_core_drop_version(hone_core *core, hone_record *r, size_t index) {
    hone_version *v = r->versions[index];
    pthread_rwlock_wrlock(&core->lock);
    r->count--;
    memmove(r->versions + index, r->versions + index + 1, (r->count - index) * sizeof(hone_version *));
    pthread_rwlock_unlock(&core->lock);
    hone_version_stats_free(v->stats);
    hone_free(v);
}

void hone_core_drop_record(hone_core *core, hone_record *r) {
    while (r->count) hone_core_drop_version(core, r, r->count - 1);
    pthread_rwlock_wrlock(&core->lock);
    size_t at = place_of(core, r->name, strlen(r->name));
    core->count--;
    memmove(core->records + at, core->records + at + 1, (core->count - at) * sizeof *core->records);
    pthread_rwlock_unlock(&core->lock);
    for (size_t i = 0; i < r->label_count; i++) hone_free(r->labels[i].name);
    for (size_t i = 0; i < r->asked_count; i++) hone_free(r->asked[i].name);
    hone_free(r->labels);
    hone_free(r->asked);
    hone_free(r->versions);
    hone_policy_free(&r->policy);
    hone_model_settings_free(&r->settings);
    hone_free(r->root);
    hone_free(r->inside);
    hone_free(r->name);
    hone_free(r);
}

/* --- states --- */

void hone_core_set_state(hone_core *core, hone_version *v, hone_version_state state, hone_status code,
                         const char *message) {
    bool changed = v->state != state;
    pthread_rwlock_wrlock(&core->lock);
    v->state = state;
    v->code = code;
    snprintf(v->message, sizeof v->message, "%s", message);
    pthread_rwlock_unlock(&core->lock);
    if (changed) hone_version_stats_state(v->stats, hone_version_state_name(state));
}

void hone_core_publish(hone_core *core, hone_version *v, hone_servable *s) {
    pthread_rwlock_wrlock(&core->lock);
    hone_servable *old = v->servable;
    v->servable = s;
    v->bytes = s ? s->bytes : 0;
    v->state = s ? HONE_VERSION_AVAILABLE : HONE_VERSION_UNLOADING;
    v->code = HONE_OK;
    v->message[0] = 0;
    if (!s) v->draining = old;
    pthread_rwlock_unlock(&core->lock);
    hone_version_stats_state(v->stats, hone_version_state_name(v->state));
    hone_servable_release(old);
}

/* --- servables --- */

hone_servable_options hone_core_servable_options(hone_core *core, const char *name, int64_t version,
                                                 const hone_model_settings *settings) {
    return (hone_servable_options){.name = name,
                                   .version = version,
                                   .settings = settings ? settings : &core->defaults,
                                   .workers = core->workers,
                                   .compute_threads = core->compute_threads,
                                   .model_threads = core->model_threads,
                                   .max_queue = core->options.max_queue,
                                   .inline_cost = core->options.inline_cost,
                                   .stats = core->stats};
}

static void retire(void *user, hone_servable *s) {
    hone_core *core = user;
    hone_model_loader_retire(core->loader, s);
}

hone_status hone_core_prepare(hone_core *core, hone_servable *s, const hone_recorded *recorded,
                              hone_error *err) {
    HONE_TRY(hone_warm_up(s, recorded, core->options.inline_cost, err));
    s->retire = retire;
    s->retire_user = core;
    size_t limit = core->options.memory_limit;
    size_t total = atomic_fetch_add(&core->bytes, s->bytes) + s->bytes;
    hone_model_stats_bytes(s->stats, (double)s->bytes);
    if (limit == 0 || total <= limit) return HONE_OK;
    return hone_fail(err, HONE_RESOURCE_EXHAUSTED,
                     "it takes %zu MB of memory, with which all models would have %zu MB of the %zu MB that "
                     "are allowed",
                     s->bytes >> 20, total >> 20, limit >> 20);
}
