#include "base/subnormal.h"
#include "graph/infer.h"
#include "runtime/activation.h"

#include <string.h>

hone_status hone_context_create(hone_session *s, hone_context **out, hone_error *err) {
    hone_context *c = hone_calloc(1, sizeof *c);
    if (!c) return hone_fail_memory(err);
    const hone_model *m = s->model;
    const hone_graph *g = m->bodies[0].graph;
    c->session = s;
    c->draws.seed = hone_random_seed();
    c->outputs = hone_calloc(g->output_count + 1, sizeof *c->outputs);
    c->bound = hone_calloc(g->output_count + 1, sizeof *c->bound);
    c->inputs = hone_calloc(g->input_count + 1, sizeof *c->inputs);
    c->handles = hone_calloc(g->input_count + 1, sizeof *c->handles);
    c->activations = hone_calloc(m->body_count, sizeof *c->activations);
    hone_status status =
        c->outputs && c->bound && c->inputs && c->handles && c->activations ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_workspace_create(&c->workspace, err);
    for (size_t i = 0; c->activations && i < m->body_count; i++) c->activations[i].body = &m->bodies[i];
    if (status != HONE_OK)
        hone_context_free(c);
    else
        *out = c;
    return status;
}

void hone_context_free(hone_context *c) {
    if (!c) return;
    for (size_t i = 0; c->activations && i < c->session->model->body_count; i++)
        hone_activation_clear(&c->activations[i]);
    hone_kept_clear(&c->kept);
    hone_free(c->kept.tensors);
    hone_workspace_free(c->workspace);
    hone_variables_free(c->variables);
    hone_free(c->activations);
    hone_free(c->inputs);
    hone_free(c->handles);
    hone_free(c->outputs);
    hone_free(c->bound);
    hone_free(c);
}

/* --- settings --- */

void hone_context_set_cancel(hone_context *c, hone_cancel_fn *fn, void *user) {
    c->cancel = fn;
    c->cancel_user = user;
}

void hone_context_set_profiling(hone_context *c, bool on) {
    c->profiling = on;
}

void hone_context_set_random(hone_context *c, uint64_t seed, uint64_t run) {
    c->draws = (hone_draws){seed, run, 0};
}

void hone_context_set_workspace(hone_context *c, hone_workspace *w) {
    hone_workspace *old = c->workspace;
    c->workspace = hone_workspace_retain(w);
    hone_workspace_free(old);
}

static hone_status check_variable(const hone_variables *v, const hone_value *wanted, hone_error *err) {
    const hone_tensor *t = hone_variables_get(v, wanted->name);
    if (!t) return hone_fail_node(err, HONE_INVALID_ARGUMENT, wanted->name, NULL, "the variable is missing");
    if (t->dtype == wanted->data->dtype && t->rank == wanted->data->rank &&
        memcmp(t->dims, wanted->data->dims, (size_t)t->rank * sizeof *t->dims) == 0)
        return HONE_OK;
    return hone_variable_mismatch(wanted->name, t, wanted->data, err);
}

hone_status hone_context_set_variables(hone_context *c, hone_variables *v, hone_error *err) {
    const hone_graph *g = c->session->model->bodies[0].graph;
    for (size_t i = 0; v && i < g->value_count; i++)
        if (g->values[i] && g->values[i]->storage == HONE_STORAGE_VARIABLE)
            HONE_TRY(check_variable(v, g->values[i], err));
    hone_variables_retain(v);
    hone_variables_free(c->variables);
    c->variables = v;
    return HONE_OK;
}

hone_status hone_context_bind_output(hone_context *c, int index, hone_tensor *t, hone_error *err) {
    const hone_graph *g = c->session->model->bodies[0].graph;
    if (index < 0 || (size_t)index >= g->output_count)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "there is no output %d", index);
    const hone_value *v = g->outputs[index];
    if (t && v->type.kind != HONE_KIND_TENSOR)
        return hone_fail_node(err, HONE_INVALID_ARGUMENT, v->name, NULL,
                              "only tensors are computed in place");
    if (t && v->type.dtype != HONE_UNDEFINED && t->dtype != v->type.dtype)
        return hone_fail_node(err, HONE_INVALID_ARGUMENT, v->name, NULL, "the output is %s, not %s",
                              hone_dtype_name(v->type.dtype), hone_dtype_name(t->dtype));
    c->bound_count += (t != NULL) - (size_t)(c->bound[index] != NULL);
    c->bound[index] = t;
    return HONE_OK;
}

/* --- memory --- */

void hone_context_set_growth(hone_context *c, const hone_growth *g) {
    c->growth = *g;
}

size_t hone_context_memory(const hone_context *c) {
    size_t bytes = hone_workspace_bytes(c->workspace);
    for (size_t i = 0; i < c->session->model->body_count; i++)
        bytes += hone_activation_bytes(&c->activations[i]);
    return bytes;
}

void hone_context_trim(hone_context *c) {
    for (size_t i = 0; i < c->session->model->body_count; i++) hone_activation_clear(&c->activations[i]);
    hone_workspace_clear(c->workspace);
}

/* --- what was run last --- */

/* The entries of the last run follow one another: each one's plan says where the next starts. */
static const hone_entry *entry_at(const hone_activation *a, int start) {
    for (size_t i = 0; i < a->entry_count; i++)
        if (a->entries[i].region->start == start && a->entries[i].plan) return &a->entries[i];
    return NULL;
}

int hone_context_step_count(const hone_context *c) {
    const hone_activation *a = &c->activations[0];
    int count = 0;
    for (const hone_entry *e = entry_at(a, 0); e;
         e = e->plan->end < a->body->node_count ? entry_at(a, e->plan->end) : NULL)
        count += e->plan->step_count;
    return count;
}

bool hone_context_step(const hone_context *c, int index, hone_step_info *out) {
    const hone_activation *a = &c->activations[0];
    const hone_entry *e = entry_at(a, 0);
    while (e && index >= e->plan->step_count) {
        index -= e->plan->step_count;
        e = e->plan->end < a->body->node_count ? entry_at(a, e->plan->end) : NULL;
    }
    if (!e || index < 0) return false;
    const hone_step *s = &e->plan->steps[index];
    *out = (hone_step_info){s->node->name, s->node->op->name, s->kernel,
                            c->profiling ? e->microseconds[index] : 0};
    return true;
}

size_t hone_context_workspace(const hone_context *c) {
    return hone_workspace_bytes(c->workspace);
}

/* --- running --- */

static hone_status check_input(const hone_context *c, size_t index, const hone_tensor *t, hone_error *err) {
    const hone_graph *g = c->session->model->signature;
    const hone_value *v = g->inputs[index];
    if (!t) return hone_fail_node(err, HONE_INVALID_ARGUMENT, v->name, NULL, "the input is missing");
    if (hone_type_takes(&v->type, t)) return HONE_OK;
    char want[128], got[128];
    hone_type type = hone_type_of(t);
    return hone_fail_node(
        err, HONE_INVALID_ARGUMENT, v->name, NULL, "the input is %s where the model takes %s",
        hone_type_format(NULL, &type, got, sizeof got), hone_type_format(g, &v->type, want, sizeof want));
}

/* All inputs are checked only where the last plan was made for others. */
static hone_status take_inputs(hone_context *c, const hone_tensor *const *inputs, bool *fits,
                               hone_error *err) {
    const hone_activation *a = &c->activations[0];
    const hone_graph *g = a->body->graph;
    for (size_t i = 0; i < g->input_count; i++) {
        const hone_tensor *t = inputs[i];
        if (!t) return check_input(c, i, t, err);
        c->inputs[i] = (hone_operand){t->data, t->dims, t->rank, t->dtype, false};
        if (g->inputs[i]->type.kind == HONE_KIND_TENSOR && !t->kind) continue;
        HONE_TRY(check_input(c, i, t, err)); /* what is in it is part of no plan */
        c->handles[i] = t;
        c->inputs[i] = (hone_operand){(void *)&c->handles[i], NULL, HONE_RANK_ANY, t->dtype, true};
    }
    *fits = a->entry_count && a->entries[0].plan && hone_plan_fits(a->entries[0].plan, c->inputs);
    if (*fits) return HONE_OK;
    for (size_t i = 0; i < g->input_count; i++) HONE_TRY(check_input(c, i, inputs[i], err));
    return HONE_OK;
}

hone_status hone_context_reserve(hone_context *c, const hone_tensor *const *inputs, hone_error *err) {
    hone_entry *e;
    bool fits;
    HONE_TRY(take_inputs(c, inputs, &fits, err));
    return hone_activation_enter(c, &c->activations[0], 0, c->inputs, fits, &e, err);
}

static hone_status copy_result(const hone_tensor *t, hone_tensor *to, hone_error *err) {
    const hone_string *strings = t->data;
    for (int64_t i = 0; t->dtype == HONE_STRING && i < t->count; i++)
        HONE_TRY(hone_tensor_set_string(to, i, strings[i].data, strings[i].size, err));
    if (t->dtype != HONE_STRING && to->data != t->data && t->bytes) memcpy(to->data, t->data, t->bytes);
    return HONE_OK;
}

/* Views of the results; a bound output that could not be computed in its place is copied there. */
static hone_status bind_outputs(hone_context *c, hone_error *err) {
    const hone_activation *a = &c->activations[0];
    const hone_graph *g = a->body->graph;
    for (size_t i = 0; i < g->output_count; i++) {
        hone_operand o = hone_activation_output(a, i);
        hone_tensor *t = &c->outputs[i];
        if (o.handle) continue; /* is a tensor already */
        atomic_init(&t->references, 1);
        t->dtype = o.dtype;
        t->rank = o.rank;
        if (o.rank > 0) memcpy(t->dims, o.dims, (size_t)o.rank * sizeof *t->dims);
        const hone_plan_output *planned = &a->last->plan->outputs[i];
        t->count = planned->count;
        t->bytes = planned->bytes;
        if (planned->open) HONE_TRY(hone_shape_size(t->dtype, t->rank, t->dims, &t->count, &t->bytes, err));
        t->data = o.data;
        hone_tensor *to = c->bound[i];
        if (!to) continue;
        if (to->dtype != t->dtype || to->rank != t->rank ||
            memcmp(to->dims, t->dims, (size_t)t->rank * sizeof *t->dims) != 0)
            return hone_fail_node(err, HONE_INVALID_ARGUMENT, g->outputs[i]->name, NULL,
                                  "the output has another type than the tensor that it is bound to");
        HONE_TRY(copy_result(t, to, err));
        t->data = to->data;
    }
    return HONE_OK;
}

hone_status hone_context_run(hone_context *c, const hone_tensor *const *inputs, const hone_tensor **outputs,
                             hone_error *err) {
    bool fits;
    hone_kept_clear(&c->kept);
    HONE_TRY(take_inputs(c, inputs, &fits, err));
    const uint64_t mode = hone_flush_subnormals();
    hone_status status = hone_activation_run(c, &c->activations[0], c->inputs, fits, err);
    hone_float_mode_set(mode);
    c->draws.run++;
    c->draws.draw = 0;
    HONE_TRY(status);
    HONE_TRY(bind_outputs(c, err));
    for (size_t i = 0; outputs && i < c->activations[0].body->graph->output_count; i++) {
        hone_operand o = hone_activation_output(&c->activations[0], i);
        outputs[i] = o.handle ? *(const hone_tensor *const *)o.data : &c->outputs[i];
    }
    return HONE_OK;
}
