#include "serve/core.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/clock.h"
#include "serve/request.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct hone_servable {
    atomic_int references;
    char *name;
    int64_t version;
    hone_model *model;
    hone_session *session;
    hone_context **contexts; /* one for each worker */
    int workers;
    int input_count, output_count;
    hone_value_info *inputs, *outputs; /* names live in the model's signature */
    hone_model_stats *stats;
};

struct hone_core {
    int workers, model_threads;
    hone_stats *stats;
    pthread_rwlock_t lock; /* guards what follows */
    hone_servable **servables;
    size_t count, capacity;
};

hone_status hone_core_new(int workers, int model_threads, hone_stats *stats, hone_core **out,
                          hone_error *err) {
    hone_core *core = hone_calloc(1, sizeof *core);
    if (!core) return hone_fail_memory(err);
    core->workers = workers;
    core->model_threads = model_threads;
    core->stats = stats;
    pthread_rwlock_init(&core->lock, NULL);
    *out = core;
    return HONE_OK;
}

void hone_core_free(hone_core *core) {
    if (!core) return;
    for (size_t i = 0; i < core->count; i++) hone_servable_release(core->servables[i]);
    hone_free(core->servables);
    pthread_rwlock_destroy(&core->lock);
    hone_free(core);
}

void hone_servable_release(hone_servable *s) {
    if (!s || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1) return;
    for (int i = 0; i < s->workers; i++) hone_context_free(s->contexts[i]);
    if (s->session) hone_session_free(s->session);
    if (s->model) hone_model_free(s->model);
    hone_model_stats_free(s->stats);
    hone_free(s->contexts);
    hone_free(s->inputs);
    hone_free(s->outputs);
    hone_free(s->name);
    hone_free(s);
}

/* --- loading --- */

static hone_status describe(hone_servable *s, hone_error *err) {
    const hone_graph *g = hone_model_signature(s->model);
    s->input_count = hone_graph_input_count(g);
    s->output_count = hone_graph_output_count(g);
    s->inputs = hone_calloc((size_t)s->input_count + 1, sizeof *s->inputs);
    s->outputs = hone_calloc((size_t)s->output_count + 1, sizeof *s->outputs);
    if (!s->inputs || !s->outputs) return hone_fail_memory(err);
    for (int i = 0; i < s->input_count; i++) hone_graph_input(g, i, &s->inputs[i]);
    for (int i = 0; i < s->output_count; i++) hone_graph_output(g, i, &s->outputs[i]);
    for (int i = 0; i < s->input_count + s->output_count; i++) {
        const hone_value_info *v = i < s->input_count ? &s->inputs[i] : &s->outputs[i - s->input_count];
        if (v->kind != HONE_KIND_TENSOR)
            return hone_fail(err, HONE_UNSUPPORTED, "\"%s\" is no tensor; only tensors are served", v->name);
    }
    return HONE_OK;
}

/* Runs every worker's context with one sample of zeros, so that plans and workspaces are there before traffic
 * is. What a model says to that is its own affair: dimensions that are free may not all be 1. */
static void warm_up(hone_servable *s) {
    hone_tensor **inputs = hone_calloc((size_t)s->input_count + 1, sizeof *inputs);
    const hone_tensor **outputs = hone_calloc((size_t)s->output_count + 1, sizeof *outputs);
    hone_status status = inputs && outputs ? HONE_OK : HONE_OUT_OF_MEMORY;
    hone_error err = {0};
    for (int i = 0; i < s->input_count && status == HONE_OK; i++) {
        const hone_value_info *v = &s->inputs[i];
        int64_t dims[HONE_MAX_RANK] = {0};
        for (int d = 0; d < v->rank; d++) dims[d] = v->dims[d] >= 0 ? v->dims[d] : 1;
        status = v->rank < 0 || v->dtype == HONE_STRING
                     ? HONE_UNSUPPORTED
                     : hone_tensor_new(v->dtype, v->rank, dims, &inputs[i], &err);
    }
    for (int w = 0; w < s->workers && status == HONE_OK; w++)
        status = hone_context_run(s->contexts[w], (const hone_tensor *const *)inputs, outputs, &err);
    if (status != HONE_OK)
        hone_log(HONE_LOG_WARNING, "model %s version %lld was not warmed up: %s", s->name,
                 (long long)s->version, err.message[0] ? err.message : hone_status_name(status));
    for (int i = 0; inputs && i < s->input_count; i++) hone_tensor_free(inputs[i]);
    hone_free(inputs);
    hone_free(outputs);
}

static hone_status prepare(hone_core *core, hone_servable *s, const hone_graph *graph, hone_error *err) {
    HONE_TRY(hone_model_compile(graph, NULL, &s->model, err));
    HONE_TRY(describe(s, err));
    hone_session_options options = HONE_SESSION_OPTIONS_INIT;
    options.threads = core->model_threads;
    HONE_TRY(hone_session_create(s->model, &options, &s->session, err));
    s->contexts = hone_calloc((size_t)core->workers, sizeof(hone_context *));
    if (!s->contexts) return hone_fail_memory(err);
    for (; s->workers < core->workers; s->workers++)
        HONE_TRY(hone_context_create(s->session, &s->contexts[s->workers], err));
    return hone_model_stats_new(core->stats, s->name, s->version, (double)hone_model_bytes(s->model),
                                &s->stats, err);
}

static hone_servable *find_locked(hone_core *core, hone_slice name, int64_t version) {
    hone_servable *best = NULL;
    for (size_t i = 0; i < core->count; i++) {
        hone_servable *s = core->servables[i];
        if (strlen(s->name) != name.size || memcmp(s->name, name.data, name.size) != 0) continue;
        if (version == HONE_LATEST ? !best || s->version > best->version : s->version == version) best = s;
    }
    return best;
}

static hone_status publish(hone_core *core, hone_servable *s, hone_error *err) {
    hone_status status = HONE_OK;
    pthread_rwlock_wrlock(&core->lock);
    if (find_locked(core, (hone_slice){s->name, strlen(s->name)}, s->version))
        status = hone_fail(err, HONE_ALREADY_EXISTS, "the model %s is there already in version %lld", s->name,
                           (long long)s->version);
    else if (!hone_reserve(&core->servables, &core->capacity, core->count + 1, sizeof *core->servables))
        status = hone_fail_memory(err);
    else
        core->servables[core->count++] = s;
    pthread_rwlock_unlock(&core->lock);
    return status;
}

hone_status hone_core_add(hone_core *core, const char *name, int64_t version, const hone_graph *graph,
                          hone_error *err) {
    hone_servable *s = hone_calloc(1, sizeof *s);
    if (!s) return hone_fail_memory(err);
    atomic_init(&s->references, 1);
    s->version = version;
    s->name = hone_strdup(name);
    hone_status status = s->name ? prepare(core, s, graph, err) : hone_fail_memory(err);
    if (status == HONE_OK) {
        warm_up(s);
        status = publish(core, s, err);
    }
    if (status != HONE_OK) hone_servable_release(s);
    return status;
}

hone_status hone_core_load(hone_core *core, const char *name, int64_t version, const char *path,
                           hone_error *err) {
    hone_graph *graph;
    HONE_TRY(hone_graph_load(path, &graph, err));
    hone_status status = hone_core_add(core, name, version, graph, err);
    hone_graph_free(graph);
    return status == HONE_OK ? HONE_OK : hone_error_in_file(err, status, path);
}

/* --- serving --- */

hone_servable *hone_core_find(hone_core *core, hone_slice name, int64_t version) {
    pthread_rwlock_rdlock(&core->lock);
    hone_servable *s = find_locked(core, name, version);
    if (s) atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    pthread_rwlock_unlock(&core->lock);
    return s;
}

int hone_core_versions(hone_core *core, hone_slice name, hone_version_fn *fn, void *user) {
    int count = 0;
    pthread_rwlock_rdlock(&core->lock);
    for (int64_t below = INT64_MAX;; count++) {
        const hone_servable *next = NULL;
        for (size_t i = 0; i < core->count; i++) {
            const hone_servable *s = core->servables[i];
            if (strlen(s->name) != name.size || memcmp(s->name, name.data, name.size) != 0) continue;
            if (s->version < below && (!next || s->version > next->version)) next = s;
        }
        if (!next) break;
        below = next->version;
        fn(user, below);
    }
    pthread_rwlock_unlock(&core->lock);
    return count;
}

hone_servable *hone_servable_retain(hone_servable *s) {
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

const char *hone_servable_name(const hone_servable *s) {
    return s->name;
}
int64_t hone_servable_version(const hone_servable *s) {
    return s->version;
}
hone_model_stats *hone_servable_stats(hone_servable *s) {
    return s->stats;
}
const hone_graph *hone_servable_signature(const hone_servable *s) {
    return hone_model_signature(s->model);
}
int hone_servable_input_count(const hone_servable *s) {
    return s->input_count;
}
int hone_servable_output_count(const hone_servable *s) {
    return s->output_count;
}
const hone_value_info *hone_servable_input(const hone_servable *s, int index) {
    return &s->inputs[index];
}
const hone_value_info *hone_servable_output(const hone_servable *s, int index) {
    return &s->outputs[index];
}

int hone_servable_find_input(const hone_servable *s, hone_slice name) {
    for (int i = 0; i < s->input_count; i++)
        if (hone_json_text_is(name, s->inputs[i].name)) return i;
    return -1;
}

int hone_servable_find_output(const hone_servable *s, hone_slice name) {
    for (int i = 0; i < s->output_count; i++)
        if (hone_json_text_is(name, s->outputs[i].name)) return i;
    return -1;
}

/* "[batch, 1, 28, 28]" */
static void format_wanted(const hone_servable *s, const hone_value_info *v, char *text, size_t size) {
    const hone_graph *g = hone_model_signature(s->model);
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < v->rank && used < size; i++) {
        const char *name = v->dims[i] < 0 ? hone_graph_dim_name(g, v->dims[i]) : NULL, *comma = i ? ", " : "";
        if (v->dims[i] >= 0)
            used += (size_t)snprintf(text + used, size - used, "%s%lld", comma, (long long)v->dims[i]);
        else
            used += (size_t)snprintf(text + used, size - used, "%s%s", comma, name ? name : "?");
    }
    if (used < size) snprintf(text + used, size - used, "]");
}

static hone_status check_input(const hone_servable *s, int index, const hone_tensor *t, hone_error *err) {
    const hone_value_info *v = &s->inputs[index];
    int rank = hone_tensor_rank(t);
    const int64_t *dims = hone_tensor_dims(t);
    if (v->rank < 0) return HONE_OK;
    bool fits = rank == v->rank;
    for (int i = 0; i < rank && fits; i++) fits = v->dims[i] < 0 || v->dims[i] == dims[i];
    if (fits) return HONE_OK;
    char wanted[160], given[160];
    size_t used = (size_t)snprintf(given, sizeof given, "[");
    for (int i = 0; i < rank && used < sizeof given; i++)
        used +=
            (size_t)snprintf(given + used, sizeof given - used, "%s%lld", i ? ", " : "", (long long)dims[i]);
    format_wanted(s, v, wanted, sizeof wanted);
    return hone_fail(err, HONE_INVALID_ARGUMENT, "input \"%s\" has the shape %s], but the model takes %s",
                     v->name, given, wanted);
}

hone_status hone_servable_run(hone_servable *s, int worker, const hone_tensor *const *inputs,
                              const hone_tensor **outputs, hone_cancel_fn *cancel, void *user,
                              hone_error *err) {
    hone_context *c = s->contexts[worker];
    for (int i = 0; i < s->input_count; i++) HONE_TRY(check_input(s, i, inputs[i], err));
    hone_context_set_cancel(c, cancel, user);
    hone_status status = hone_context_run(c, inputs, outputs, err);
    hone_context_set_cancel(c, NULL, NULL);
    return status;
}

/* --- predictions --- */

void hone_core_attach(hone_core *core, int worker, const hone_core_port *port) {
    (void)core, (void)worker, (void)port;
}

void hone_core_turn(hone_core *core, int worker) {
    (void)core, (void)worker;
}

void hone_core_submit(hone_core *core, hone_prediction *p) {
    hone_servable *s = hone_servable_retain(p->servable);
    hone_request *r = p->request ? hone_request_retain(p->request) : NULL;
    const hone_tensor **outputs = hone_calloc((size_t)s->output_count + 1, sizeof *outputs);
    hone_error err = {0};
    uint64_t start = hone_now();
    hone_status status = outputs ? hone_servable_run(s, p->worker, p->inputs, outputs,
                                                     r ? hone_request_should_stop : NULL, r, &err)
                                 : hone_fail_memory(&err);
    p->queue_time = 0;
    p->compute_time = hone_now() - start;
    p->batch_rows = 0;
    hone_stats_stage(core->stats, HONE_STAGE_COMPUTE, (double)p->compute_time * 1e-9);
    p->done(p, status, status == HONE_OK ? outputs : NULL, &err);
    hone_free(outputs);
    hone_request_release(r);
    hone_servable_release(s);
}

void hone_core_offload(hone_core *core, hone_core_work *w) {
    (void)core;
    w->run(w);
    w->done(w);
}
