#include "serve/models/core.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/models/registry.h"

#include <stdio.h>
#include <string.h>

hone_status hone_core_new(int workers, int model_threads, hone_stats *stats, hone_core **out,
                          hone_error *err) {
    hone_core *core = hone_calloc(1, sizeof *core);
    if (!core) return hone_fail_memory(err);
    core->workers = core->compute_threads = workers;
    core->model_threads = model_threads;
    core->stats = stats;
    core->options = (hone_core_options)HONE_CORE_OPTIONS_INIT;
    core->defaults = (hone_model_settings)HONE_MODEL_SETTINGS_INIT;
    pthread_rwlock_init(&core->lock, NULL);
    hone_status status = hone_batcher_new(workers, stats, &core->batcher, err);
    if (status == HONE_OK) status = hone_model_loader_new(core, &core->loader, err);
    if (status != HONE_OK)
        hone_core_free(core);
    else
        *out = core;
    return status;
}

static hone_status copy_text(char **to, const char *text, hone_error *err) {
    hone_free(*to);
    *to = text ? hone_strdup(text) : NULL;
    return *to || !text ? HONE_OK : hone_fail_memory(err);
}

hone_status hone_core_configure(hone_core *core, const hone_core_options *options, hone_error *err) {
    hone_core_options defaults = HONE_CORE_OPTIONS_INIT;
    if (!options) options = &defaults;
    if (core->count)
        return hone_fail(err, HONE_FAILED_PRECONDITION, "the core is configured before it has models");
    core->options = *options;
    core->compute_threads = options->compute_threads > 0 ? options->compute_threads : core->workers;
    HONE_TRY(copy_text(&core->repository, options->repository, err));
    HONE_TRY(copy_text(&core->config_file, options->config_file, err));
    if (options->defaults) core->defaults = *options->defaults;
    core->options.defaults = &core->defaults;
    core->options.repository = core->repository;
    core->options.config_file = core->config_file;
    return HONE_OK;
}

hone_status hone_core_start(hone_core *core, hone_error *err) {
    const hone_core_options *o = &core->options;
    HONE_TRY(hone_model_loader_start(core->loader, err)); /* first, as it can't do without a thread */
    HONE_TRY(hone_batcher_start(core->batcher, core->compute_threads, o->inline_cost, o->stall, err));
    core->compute_threads = hone_batcher_threads(core->batcher);
    return hone_model_loader_begin(core->loader, err);
}

void hone_core_stop(hone_core *core) {
    if (core->loader) hone_model_loader_stop(core->loader);
    if (core->batcher) hone_batcher_stop(core->batcher);
}

void hone_core_free(hone_core *core) {
    if (!core) return;
    hone_core_stop(core);
    while (core->count) {
        hone_record *r = core->records[core->count - 1];
        for (size_t i = 0; i < r->count; i++) {
            hone_servable_release(r->versions[i]->servable);
            r->versions[i]->servable = NULL;
        }
        hone_core_drop_record(core, r);
    }
    hone_model_loader_free(core->loader);
    hone_batcher_free(core->batcher);
    hone_free(core->records);
    hone_free(core->repository);
    hone_free(core->config_file);
    pthread_rwlock_destroy(&core->lock);
    hone_free(core);
}

/* --- models in memory --- */

hone_status hone_core_add(hone_core *core, const char *name, int64_t version, const hone_graph *graph,
                          hone_error *err) {
    hone_servable_options o = hone_core_servable_options(core, name, version, NULL);
    hone_servable *s = NULL;
    HONE_TRY(hone_servable_new(&o, graph, &s, err));
    hone_status status = hone_core_prepare(core, s, NULL, err);
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
    pthread_rwlock_rdlock(&core->lock);
    const hone_record *r = hone_core_record(core, name.data, name.size);
    if (r && version == HONE_LATEST) {
        s = newest(r);
    } else if (r) {
        const hone_version *v = hone_record_version(r, version);
        s = v ? v->servable : NULL;
    }
    if (s) hone_servable_retain(s);
    pthread_rwlock_unlock(&core->lock);
    return s;
}

static const hone_record_label *find_label(const hone_record *r, hone_slice label) {
    for (size_t i = 0; r && i < r->label_count; i++)
        if (hone_slice_equal(label, r->labels[i].name)) return &r->labels[i];
    return NULL;
}

hone_status hone_core_find_label(hone_core *core, hone_slice name, hone_slice label, hone_servable **out,
                                 hone_error *err) {
    hone_status status = HONE_OK;
    *out = NULL;
    pthread_rwlock_rdlock(&core->lock);
    const hone_record *r = hone_core_record(core, name.data, name.size);
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
    pthread_rwlock_unlock(&core->lock);
    return status;
}

int hone_core_versions(hone_core *core, hone_slice name, hone_version_fn *fn, void *user) {
    int count = 0;
    pthread_rwlock_rdlock(&core->lock);
    const hone_record *r = hone_core_record(core, name.data, name.size);
    for (size_t i = r ? r->count : 0; i-- > 0;) {
        if (!r->versions[i]->servable) continue;
        fn(user, r->versions[i]->number);
        count++;
    }
    pthread_rwlock_unlock(&core->lock);
    return count;
}

const char *hone_version_state_name(hone_version_state state) {
    switch (state) {
    case HONE_VERSION_START: return "START";
    case HONE_VERSION_LOADING: return "LOADING";
    case HONE_VERSION_AVAILABLE: return "AVAILABLE";
    case HONE_VERSION_UNLOADING: return "UNLOADING";
    case HONE_VERSION_END: return "END";
    }
    return "UNKNOWN";
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
    pthread_rwlock_rdlock(&core->lock);
    if (name.data) {
        const hone_record *r = hone_core_record(core, name.data, name.size);
        if (r) count = tell_states(r, fn, user);
    } else {
        for (size_t i = 0; i < core->count; i++) count += tell_states(core->records[i], fn, user);
    }
    pthread_rwlock_unlock(&core->lock);
    return count;
}

int hone_core_models(hone_core *core, hone_model_fn *fn, void *user) {
    pthread_rwlock_rdlock(&core->lock);
    int count = (int)core->count;
    for (size_t i = 0; i < core->count; i++) fn(user, core->records[i]->name, newest(core->records[i]));
    pthread_rwlock_unlock(&core->lock);
    return count;
}

/* --- predictions --- */

void hone_core_attach(hone_core *core, int worker, const hone_core_port *port) {
    hone_batcher_attach(core->batcher, worker, port);
}
void hone_core_turn(hone_core *core, int worker) {
    hone_batcher_turn(core->batcher, worker);
}
void hone_core_submit(hone_core *core, hone_prediction *p) {
    hone_batcher_submit(core->batcher, p);
}
void hone_core_offload(hone_core *core, hone_core_work *w) {
    hone_batcher_offload(core->batcher, w);
}
