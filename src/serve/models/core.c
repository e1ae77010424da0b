#include "serve/models/core_inside.h"

#include "base/error.h"
#include "base/log.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "serve/models/discovery.h"

#include <stdio.h>
#include <string.h>

static void retire(void *user, hone_servable *s) {
    hone_core *core = user;
    hone_model_loader_retire(core->loader, s);
}

hone_status hone_core_new(int workers, int model_threads, hone_stats *stats, hone_core **out,
                          hone_error *err) {
    hone_core *core = hone_calloc(1, sizeof *core);
    if (!core) return hone_fail_memory(err);
    hone_registry_init(&core->registry, workers, model_threads, stats);
    core->registry.retire = retire;
    core->registry.retire_user = core;
    hone_status status = hone_batcher_new(workers, stats, &core->batcher, err);
    if (status == HONE_OK) status = hone_model_loader_new(&core->registry, core->batcher, &core->loader, err);
    if (status != HONE_OK)
        hone_core_free(core);
    else
        *out = core;
    return status;
}

hone_status hone_core_configure(hone_core *core, const hone_core_options *options, hone_error *err) {
    return hone_registry_configure(&core->registry, options, err);
}

hone_status hone_core_add_path(hone_core *core, const char *name, const char *path, hone_error *err) {
    return hone_discovery_add_path(&core->registry, name, path, err);
}

hone_status hone_core_start(hone_core *core, hone_error *err) {
    hone_registry *g = &core->registry;
    const hone_core_options *o = &g->options;
    if (o->map_weights) hone_mapping_guard();
    HONE_TRY(hone_model_loader_start(core->loader, err)); /* first, as it can't do without a thread */
    HONE_TRY(hone_batcher_start(core->batcher, g->compute_threads, o->inline_cost, o->budget, err));
    g->compute_threads = hone_batcher_threads(core->batcher);
    return HONE_OK;
}

void hone_core_load(hone_core *core, void (*loaded)(void *user), void *user) {
    hone_model_loader_begin(core->loader, loaded, user);
}

bool hone_core_is_loading(hone_core *core) {
    return hone_model_loader_is_beginning(core->loader);
}

hone_status hone_core_wait(hone_core *core, hone_error *err) {
    return hone_model_loader_wait(core->loader, err);
}

void hone_core_halt(hone_core *core) {
    hone_model_loader_halt(core->loader);
}

void hone_core_stop(hone_core *core) {
    if (core->loader) hone_model_loader_stop(core->loader);
    if (core->batcher) hone_batcher_stop(core->batcher);
}

void hone_core_free(hone_core *core) {
    if (!core) return;
    hone_core_stop(core);
    hone_registry_free(&core->registry);
    hone_model_loader_free(core->loader);
    hone_batcher_free(core->batcher);
    hone_free(core);
}

/* --- models in memory --- */

hone_status hone_core_add(hone_core *core, const char *name, int64_t version, const hone_graph *graph,
                          hone_error *err) {
    hone_servable_options o = hone_registry_servable_options(&core->registry, name, version, NULL);
    hone_servable *s = NULL;
    HONE_TRY(hone_servable_new(&o, graph, &s, err));
    hone_status status = hone_registry_prepare(&core->registry, s, NULL, err);
    if (status == HONE_OK) status = hone_model_loader_add(core->loader, s, err);
    if (status != HONE_OK) hone_servable_release(s);
    return status;
}

/* --- finding --- */

static hone_servable *newest(const hone_record *r) {
    for (size_t i = r->count; i-- > 0;)
        if (r->versions[i]->servable) return r->versions[i]->servable;
    return NULL;
}

hone_servable *hone_core_find(hone_core *core, hone_slice name, int64_t version) {
    hone_servable *s = NULL;
    pthread_rwlock_rdlock(&core->registry.lock);
    const hone_record *r = hone_registry_find(&core->registry, name.data, name.size);
    if (r && version == HONE_LATEST) {
        s = newest(r);
    } else if (r) {
        const hone_version *v = hone_record_version(r, version);
        s = v ? v->servable : NULL;
    }
    if (s) hone_servable_retain(s);
    pthread_rwlock_unlock(&core->registry.lock);
    return s;
}

static const hone_record_label *find_label(const hone_record *r, hone_slice label) {
    for (size_t i = 0; r && i < r->label_count; i++)
        if (hone_slice_equal(label, r->labels[i].name)) return &r->labels[i];
    return NULL;
}

/* Is something of it about to be loaded? */
static bool is_coming(const hone_record *r, int64_t version) {
    for (size_t i = 0; i < r->count; i++) {
        const hone_version *v = r->versions[i];
        if ((version == HONE_LATEST || v->number == version) &&
            (v->state == HONE_VERSION_START || v->state == HONE_VERSION_LOADING))
            return true;
    }
    return false;
}

bool hone_core_is_coming(hone_core *core, hone_slice name, int64_t version) {
    if (hone_core_is_loading(core)) return true;
    pthread_rwlock_rdlock(&core->registry.lock);
    const hone_record *r = hone_registry_find(&core->registry, name.data, name.size);
    bool coming = r && is_coming(r, version);
    pthread_rwlock_unlock(&core->registry.lock);
    return coming;
}

hone_status hone_core_find_label(hone_core *core, hone_slice name, hone_slice label, hone_servable **out,
                                 hone_error *err) {
    hone_status status = HONE_OK;
    *out = NULL;
    pthread_rwlock_rdlock(&core->registry.lock);
    const hone_record *r = hone_registry_find(&core->registry, name.data, name.size);
    const hone_record_label *l = find_label(r, label);
    const hone_version *v = l && l->version >= 0 ? hone_record_version(r, l->version) : NULL;
    if (!r)
        status = hone_fail(err, HONE_NOT_FOUND, "Servable not found for request: Latest(%.*s)",
                           hone_slice_shown(name, 255), name.data);
    else if (v && v->servable)
        *out = hone_servable_retain(v->servable);
    else
        status = hone_fail(err, HONE_INVALID_ARGUMENT, "Unrecognized servable version label: %.*s",
                           hone_slice_shown(label, 255), label.data);
    pthread_rwlock_unlock(&core->registry.lock);
    return status;
}

int hone_core_versions(hone_core *core, hone_slice name, hone_version_fn *fn, void *user) {
    int count = 0;
    pthread_rwlock_rdlock(&core->registry.lock);
    const hone_record *r = hone_registry_find(&core->registry, name.data, name.size);
    for (size_t i = r ? r->count : 0; i-- > 0;) {
        if (!r->versions[i]->servable) continue;
        fn(user, r->versions[i]->number);
        count++;
    }
    pthread_rwlock_unlock(&core->registry.lock);
    return count;
}

static int tell_states(const hone_record *r, hone_version_status_fn *fn, void *user) {
    for (size_t i = r->count; i-- > 0;) {
        const hone_version *v = r->versions[i];
        fn(user, &(hone_version_status){.model = r->name,
                                        .version = v->number,
                                        .state = v->state,
                                        .code = v->code,
                                        .message = v->message,
                                        .bytes = v->bytes});
    }
    return (int)r->count;
}

int hone_core_states(hone_core *core, hone_slice name, hone_version_status_fn *fn, void *user) {
    int count = 0;
    pthread_rwlock_rdlock(&core->registry.lock);
    if (name.data) {
        const hone_record *r = hone_registry_find(&core->registry, name.data, name.size);
        if (r) count = tell_states(r, fn, user);
    } else {
        for (size_t i = 0; i < core->registry.count; i++)
            count += tell_states(core->registry.records[i], fn, user);
    }
    pthread_rwlock_unlock(&core->registry.lock);
    return count;
}

bool hone_core_knows(hone_core *core, hone_slice name) {
    pthread_rwlock_rdlock(&core->registry.lock);
    bool known = hone_registry_find(&core->registry, name.data, name.size) != NULL;
    pthread_rwlock_unlock(&core->registry.lock);
    return known;
}

void hone_core_watch(hone_core *core, void (*changed)(void *user), void *user) {
    core->registry.changed = changed;
    core->registry.changed_user = user;
}

static void tell_remarks(const hone_remarks *l, hone_remark_fn *fn, void *user) {
    for (size_t i = 0; i < l->count; i++) fn(user, l->items[i].name, l->items[i].text);
}

void hone_core_remarks(hone_core *core, hone_remark_fn *fn, void *user) {
    const hone_registry *g = &core->registry;
    pthread_rwlock_rdlock(&core->registry.lock);
    for (size_t i = 0; i < g->count; i++) {
        const hone_record *r = g->records[i];
        if (r->code != HONE_OK && !hone_record_serves(r)) fn(user, r->name, r->message);
        tell_remarks(&r->remarks, fn, user);
    }
    tell_remarks(&g->remarks, fn, user);
    pthread_rwlock_unlock(&core->registry.lock);
}

int hone_core_models(hone_core *core, hone_model_fn *fn, void *user) {
    pthread_rwlock_rdlock(&core->registry.lock);
    int count = (int)core->registry.count;
    for (size_t i = 0; i < core->registry.count; i++)
        fn(user, core->registry.records[i]->name, newest(core->registry.records[i]));
    pthread_rwlock_unlock(&core->registry.lock);
    return count;
}

/* --- administration --- */

void hone_core_reload(hone_core *core, hone_model_task *t, hone_model_set *set) {
    t->set = *set;
    *set = (hone_model_set){0};
    t->kind = HONE_TASK_RELOAD;
    hone_model_loader_ask(core->loader, t, (hone_slice){0}, (hone_slice){0});
}
void hone_core_load_model(hone_core *core, hone_model_task *t, hone_slice name, hone_slice settings) {
    t->kind = HONE_TASK_LOAD;
    hone_model_loader_ask(core->loader, t, name, settings);
}
void hone_core_unload_model(hone_core *core, hone_model_task *t, hone_slice name) {
    t->kind = HONE_TASK_UNLOAD;
    hone_model_loader_ask(core->loader, t, name, (hone_slice){0});
}
void hone_core_refresh(hone_core *core, hone_model_task *t) {
    t->kind = HONE_TASK_REFRESH;
    hone_model_loader_ask(core->loader, t, (hone_slice){0}, (hone_slice){0});
}
void hone_core_poke(hone_core *core) {
    hone_model_loader_poke(core->loader);
}

/* --- predictions --- */

void hone_core_attach(hone_core *core, int worker, const hone_port *port) {
    hone_batcher_attach(core->batcher, worker, port);
}
void hone_core_turn(hone_core *core, int worker) {
    hone_batcher_turn(core->batcher, worker);
}
void hone_core_submit(hone_core *core, hone_prediction *p) {
    hone_batcher_submit(core->batcher, p);
}
void hone_core_start_beat(hone_core *core, int worker, hone_beat *beat) {
    hone_batcher_start_beat(core->batcher, worker, beat);
}
void hone_core_stop_beat(hone_core *core, int worker, hone_beat *beat) {
    hone_batcher_stop_beat(core->batcher, worker, beat);
}
void hone_core_beat(hone_core *core, int worker) {
    hone_batcher_beat(core->batcher, worker);
}
void hone_core_post(hone_core *core, int worker, hone_post *post) {
    hone_batcher_post(core->batcher, worker, post);
}
void hone_core_expect(hone_core *core, int change) {
    hone_batcher_expect(core->batcher, change);
}
void hone_core_offload(hone_core *core, hone_work *w) {
    hone_batcher_offload(core->batcher, w);
}
void hone_core_withdraw(hone_core *core, hone_prediction *p) {
    hone_batcher_withdraw(core->batcher, p);
}
bool hone_core_withdraw_work(hone_core *core, hone_work *w) {
    return hone_batcher_withdraw_work(core->batcher, w);
}
