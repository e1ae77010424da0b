#include "base/clock.h"
#include "graph/infer.h"
#include "runtime/plan.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct hone_session {
    hone_model *model;
    hone_pool *pool;
    int threads;
    pthread_mutex_t lock; /* guards what follows */
    hone_plan **plans;
    size_t plan_count, max_plans;
    uint64_t clock, compiled;
};

struct hone_context {
    hone_session *session;
    hone_plan *plan; /* of the last run */
    void **address;
    size_t address_capacity;
    void *workspace;
    size_t workspace_size;
    hone_tensor *outputs; /* views of the last run's results */
    hone_cancel_fn *cancel;
    void *cancel_user;
    bool profiling;
    double *microseconds;
    size_t microseconds_capacity;
};

/* --- sessions --- */

hone_status hone_session_create(hone_model *m, const hone_session_options *options, hone_session **out,
                                hone_error *err) {
    hone_session_options defaults = HONE_SESSION_OPTIONS_INIT;
    if (!options) options = &defaults;
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    if (options->threads < 0 || options->max_plans < 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a session needs threads >= 0 and at least one plan");
    hone_session *s = hone_calloc(1, sizeof *s);
    if (!s) return hone_fail_memory(err);
    pthread_mutex_init(&s->lock, NULL);
    s->model = hone_model_retain(m);
    s->max_plans = (size_t)options->max_plans;
    s->plans = hone_calloc(s->max_plans, sizeof(hone_plan *));
    hone_status status = s->plans ? hone_pool_new(options->threads, &s->pool, err) : hone_fail_memory(err);
    s->threads = hone_pool_threads(s->pool);
    if (status != HONE_OK)
        hone_session_free(s);
    else
        *out = s;
    return status;
}

void hone_session_free(hone_session *s) {
    if (!s) return;
    for (size_t i = 0; i < s->plan_count; i++) hone_plan_free(s->plans[i]);
    hone_free(s->plans);
    hone_pool_free(s->pool);
    hone_model_free(s->model);
    pthread_mutex_destroy(&s->lock);
    hone_free(s);
}

const hone_model *hone_session_model(const hone_session *s) {
    return s->model;
}

uint64_t hone_session_plans_compiled(const hone_session *s) {
    pthread_mutex_lock((pthread_mutex_t *)&s->lock);
    uint64_t n = s->compiled;
    pthread_mutex_unlock((pthread_mutex_t *)&s->lock);
    return n;
}

static hone_plan *find_plan(hone_session *s, const hone_tensor *const *inputs) {
    for (size_t i = 0; i < s->plan_count; i++) {
        if (!hone_plan_fits(s->plans[i], inputs)) continue;
        s->plans[i]->used = ++s->clock;
        return hone_plan_retain(s->plans[i]);
    }
    return NULL;
}

/* Keeps the plan in the place of the one unused for longest. */
static void keep_plan(hone_session *s, hone_plan *plan) {
    size_t at = s->plan_count;
    if (at == s->max_plans) {
        at = 0;
        for (size_t i = 1; i < s->plan_count; i++)
            if (s->plans[i]->used < s->plans[at]->used) at = i;
        hone_plan_free(s->plans[at]);
    } else {
        s->plan_count++;
    }
    s->plans[at] = hone_plan_retain(plan);
    plan->used = ++s->clock;
    s->compiled++;
}

static hone_status get_plan(hone_session *s, const hone_tensor *const *inputs, hone_plan **out,
                            hone_error *err) {
    pthread_mutex_lock(&s->lock);
    hone_status status = HONE_OK;
    *out = find_plan(s, inputs);
    if (!*out) {
        status = hone_plan_make(s->model, inputs, s->threads, out, err);
        if (status == HONE_OK) keep_plan(s, *out);
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

/* --- contexts --- */

hone_status hone_context_create(hone_session *s, hone_context **out, hone_error *err) {
    hone_context *c = hone_calloc(1, sizeof *c);
    if (!c) return hone_fail_memory(err);
    c->session = s;
    c->outputs = hone_calloc(s->model->graph->output_count + 1, sizeof *c->outputs);
    if (!c->outputs) {
        hone_free(c);
        return hone_fail_memory(err);
    }
    *out = c;
    return HONE_OK;
}

void hone_context_free(hone_context *c) {
    if (!c) return;
    hone_plan_free(c->plan);
    hone_free(c->address);
    hone_free(c->workspace);
    hone_free(c->outputs);
    hone_free(c->microseconds);
    hone_free(c);
}

void hone_context_set_cancel(hone_context *c, hone_cancel_fn *fn, void *user) {
    c->cancel = fn;
    c->cancel_user = user;
}

void hone_context_set_profiling(hone_context *c, bool on) {
    c->profiling = on;
}

int hone_context_step_count(const hone_context *c) {
    return c->plan ? c->plan->step_count : 0;
}

bool hone_context_step(const hone_context *c, int index, hone_step_info *out) {
    if (index < 0 || index >= hone_context_step_count(c)) return false;
    const hone_step *s = &c->plan->steps[index];
    *out = (hone_step_info){s->node->name, s->node->op->name, s->kernel, 0};
    if (c->profiling && (size_t)index < c->microseconds_capacity) out->microseconds = c->microseconds[index];
    return true;
}

size_t hone_context_workspace(const hone_context *c) {
    return c->workspace_size;
}

/* Views of the results, at the places that the plan gave them. Those that are a caller's input move at every
 * run. */
static void bind_outputs(hone_context *c) {
    for (size_t i = 0; i < c->plan->output_count; i++) {
        const hone_plan_output *o = &c->plan->outputs[i];
        hone_tensor *t = &c->outputs[i];
        atomic_init(&t->references, 1);
        t->dtype = o->type.dtype;
        t->rank = o->type.rank;
        memcpy(t->dims, o->type.dims, sizeof t->dims);
        t->count = hone_type_count(&o->type);
        t->bytes = hone_type_bytes(&o->type);
        t->data = c->address[o->address];
    }
}

/* The context goes on with its old plan unless all of it succeeds. */
static hone_status adopt_plan(hone_context *c, hone_plan *plan, hone_error *err) {
    size_t bytes = plan->workspace ? plan->workspace : 1; /* empty results, too, lie somewhere */
    if (!hone_reserve(&c->address, &c->address_capacity, (size_t)plan->address_count + 1, sizeof(void *)) ||
        !hone_reserve(&c->microseconds, &c->microseconds_capacity, (size_t)plan->step_count + 1,
                      sizeof(double)))
        return hone_fail_memory(err);
    if (bytes > c->workspace_size) {
        void *workspace = hone_calloc(bytes, 1);
        if (!workspace) return hone_fail_memory(err);
        hone_free(c->workspace);
        c->workspace = workspace;
        c->workspace_size = bytes;
    }
    for (int i = 0; i < plan->address_count; i++) {
        const hone_location *l = &plan->locations[i];
        c->address[i] = l->place == HONE_PLACE_WORKSPACE ? (char *)c->workspace + l->offset : l->fixed;
    }
    hone_plan_free(c->plan);
    c->plan = plan;
    return HONE_OK;
}

static hone_status check_input(const hone_context *c, size_t index, const hone_tensor *t, hone_error *err) {
    const hone_graph *g = c->session->model->signature;
    const hone_value *v = g->inputs[index];
    if (!t) return hone_fail_node(err, HONE_INVALID_ARGUMENT, v->name, NULL, "the input is missing");
    bool fits = t->dtype == v->type.dtype && (v->type.rank < 0 || t->rank == v->type.rank);
    for (int d = 0; fits && d < v->type.rank; d++)
        fits = v->type.dims[d] < 0 || v->type.dims[d] == t->dims[d];
    if (fits) return HONE_OK;
    char want[128], got[128];
    hone_type type = hone_type_of(t);
    return hone_fail_node(
        err, HONE_INVALID_ARGUMENT, v->name, NULL, "the input is %s where the model takes %s",
        hone_type_format(NULL, &type, got, sizeof got), hone_type_format(g, &v->type, want, sizeof want));
}

/* The plan for these inputs: the last one if it fits. Only a new plan's inputs are checked, the dtype apart. */
static hone_status choose_plan(hone_context *c, const hone_tensor *const *inputs, hone_error *err) {
    const hone_graph *g = c->session->model->graph;
    bool fits = c->plan != NULL;
    for (size_t i = 0; i < g->input_count; i++)
        if (!inputs[i] || inputs[i]->dtype != g->inputs[i]->type.dtype)
            HONE_TRY(check_input(c, i, inputs[i], err));
    if (fits && hone_plan_fits(c->plan, inputs)) return HONE_OK;
    for (size_t i = 0; i < g->input_count; i++) HONE_TRY(check_input(c, i, inputs[i], err));
    hone_plan *plan = NULL;
    HONE_TRY(get_plan(c->session, inputs, &plan, err));
    hone_status status = adopt_plan(c, plan, err);
    if (status != HONE_OK) hone_plan_free(plan);
    return status;
}

static hone_status run_steps(hone_context *c, hone_error *err) {
    const hone_plan *plan = c->plan;
    hone_frame frame = {c->address, c->session->pool};
    for (int i = 0; i < plan->step_count; i++) {
        if (c->cancel && c->cancel(c->cancel_user))
            return hone_fail(err, HONE_CANCELLED, "the run was cancelled");
        uint64_t start = c->profiling ? hone_now() : 0;
        HONE_TRY(plan->steps[i].run(&plan->steps[i], &frame, err));
        if (c->profiling) c->microseconds[i] = 1e-3 * (double)(hone_now() - start);
    }
    return HONE_OK;
}

hone_status hone_context_run(hone_context *c, const hone_tensor *const *inputs, const hone_tensor **outputs,
                             hone_error *err) {
    HONE_TRY(choose_plan(c, inputs, err));
    const hone_plan *plan = c->plan;
    const hone_graph *g = c->session->model->graph;
    for (size_t i = 0; i < g->input_count; i++) c->address[g->inputs[i]->id] = inputs[i]->data;
    HONE_TRY(run_steps(c, err));
    for (size_t i = 0; i < plan->copy_count; i++)
        memcpy(c->address[plan->copies[i].target], c->address[plan->copies[i].source], plan->copies[i].bytes);
    bind_outputs(c);
    for (size_t i = 0; outputs && i < plan->output_count; i++) outputs[i] = &c->outputs[i];
    return HONE_OK;
}
