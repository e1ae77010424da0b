#include "explain/subject.h"

#include "base/error.h"
#include "base/memory.h"
#include "graph/infer.h"
#include "graph/tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct method {
    const char *name;
    hone_status (*run)(hone_subject *s, hone_error *err);
} method;

static const method methods[] = {
    [HONE_EXPLAIN_SALIENCY] = {"saliency", hone_explain_by_gradient},
    [HONE_EXPLAIN_INPUT_GRADIENT] = {"input-gradient", hone_explain_by_gradient},
    [HONE_EXPLAIN_SMOOTHGRAD] = {"smoothgrad", hone_explain_by_gradient},
    [HONE_EXPLAIN_INTEGRATED] = {"integrated-gradients", hone_explain_by_gradient},
    [HONE_EXPLAIN_GRAD_CAM] = {"grad-cam", hone_explain_by_layer},
    [HONE_EXPLAIN_OCCLUSION] = {"occlusion", hone_explain_by_parts},
    [HONE_EXPLAIN_SHAPLEY] = {"shapley", hone_explain_by_parts},
};
enum { METHODS = sizeof methods / sizeof *methods };

const char *hone_explain_method_name(int i) {
    return i >= 0 && i < METHODS ? methods[i].name : NULL;
}

/* --- running --- */

hone_status hone_engine_make(const hone_graph *g, int threads, hone_engine *out, hone_error *err) {
    hone_session_options options = HONE_SESSION_OPTIONS_INIT;
    options.threads = threads;
    HONE_TRY(hone_model_compile(g, NULL, &out->model, err));
    HONE_TRY(hone_session_create(out->model, &options, &out->session, err));
    return hone_context_create(out->session, &out->context, err);
}

void hone_engine_free(hone_engine *e) {
    hone_context_free(e->context);
    hone_session_free(e->session);
    hone_model_free(e->model);
    *e = (hone_engine){NULL};
}

hone_status hone_subject_score(const hone_subject *s, const hone_tensor *const *inputs, double *out,
                               hone_error *err) {
    HONE_TRY(hone_context_run(s->engine.context, inputs, s->outputs, err));
    const hone_tensor *y = s->outputs[s->output];
    if (s->target >= y->count)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "output '%s' has %lld numbers, so none of number %lld",
                         s->graph->outputs[s->output]->name, (long long)y->count, (long long)s->target);
    if (s->target >= 0) *out = hone_tensor_number(y, s->target);
    return HONE_OK;
}

hone_status hone_subject_values(hone_subject *s, int i, float **out, hone_error *err) {
    const hone_tensor *x = s->inputs[i];
    if (!s->values[i]) HONE_TRY(hone_tensor_new(HONE_FLOAT32, x->rank, x->dims, &s->values[i], err));
    *out = s->values[i]->data;
    return HONE_OK;
}

hone_status hone_subject_tell(const hone_subject *s, int64_t done, int64_t all, hone_error *err) {
    const hone_explain_options *o = s->options;
    if (!o->progress || o->progress(o->user, done, all)) return HONE_OK;
    return hone_fail(err, HONE_CANCELLED, "the explanation was stopped");
}

/* --- setting up --- */

static hone_status check_options(const hone_explain_options *o, hone_error *err) {
    HONE_TRY(hone_check_options_size(o->size, sizeof *o, err));
    if ((unsigned)o->method >= METHODS)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "there is no method %d", (int)o->method);
    if (o->steps < 0 || o->steps > 1000000 || o->patch < 0 || !(o->noise >= 0) || isinf(o->noise) ||
        isinf(o->baseline))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%d steps, patches of %d, noise %g or baseline %g",
                         o->steps, o->patch, o->noise, o->baseline);
    return HONE_OK;
}

static bool is_real(const hone_type *t) {
    return t->kind == HONE_KIND_TENSOR && (t->dtype == HONE_FLOAT32 || t->dtype == HONE_FLOAT64);
}

static hone_status choose_output(hone_subject *s, hone_error *err) {
    const hone_graph *g = s->graph;
    const char *name = s->options->output;
    for (s->output = 0; s->output < (int)g->output_count; s->output++) {
        const hone_value *v = g->outputs[s->output];
        if (name && strcmp(v->name, name) != 0) continue;
        if (is_real(&v->type)) return HONE_OK;
        if (name) return hone_fail(err, HONE_INVALID_ARGUMENT, "output '%s' is not of floats", name);
    }
    if (name) return hone_fail(err, HONE_INVALID_ARGUMENT, "the model has no output '%s'", name);
    return hone_fail(err, HONE_UNSUPPORTED, "the model has no output of floats");
}

/* The first dimension of what has one is the batch. */
static hone_status check_sample(const hone_subject *s, hone_error *err) {
    for (int i = 0; i < s->input_count; i++) {
        const hone_tensor *x = s->inputs[i];
        if (hone_tensor_kind(x) == HONE_KIND_TENSOR && x->rank > 1 && x->dims[0] != 1)
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "input '%s' has %lld samples; one is explained at a time",
                             s->graph->inputs[i]->name, (long long)x->dims[0]);
    }
    return HONE_OK;
}

/* Runs the model once: which number is it about? */
static hone_status look(hone_subject *s, hone_error *err) {
    HONE_TRY(check_sample(s, err));
    HONE_TRY(choose_output(s, err));
    HONE_TRY(hone_engine_make(s->graph, s->options->threads, &s->engine, err));
    HONE_TRY(hone_subject_score(s, s->inputs, &s->score, err));
    const hone_tensor *y = s->outputs[s->output];
    if (y->count == 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "output '%s' is empty",
                         s->graph->outputs[s->output]->name);
    for (int64_t i = 0; s->options->target < 0 && i < y->count; i++)
        if (i == 0 || hone_tensor_number(y, i) > hone_tensor_number(y, s->target)) s->target = i;
    s->score = hone_tensor_number(y, s->target);
    return HONE_OK;
}

/* --- the result --- one block, and the tensors */

typedef struct result {
    hone_explanation seen;
    char *text; /* the names */
} result;

static hone_status make_result(const hone_subject *s, hone_explain_method used, const char *note,
                               hone_explanation **out, hone_error *err) {
    const hone_graph *g = s->graph;
    size_t n = (size_t)s->input_count, room = strlen(g->outputs[s->output]->name) + 1;
    for (size_t i = 0; i < n; i++) room += strlen(g->inputs[i]->name) + 1;
    result *r = hone_calloc(1, sizeof *r);
    const char **names = hone_calloc(n + 1, sizeof *names);
    hone_tensor **values = hone_calloc(n + 1, sizeof *values);
    char *text = hone_alloc(room);
    if (!r || !names || !values || !text) {
        hone_free(r);
        hone_free(names);
        hone_free(values);
        hone_free(text);
        return hone_fail_memory(err);
    }
    r->text = text;
    r->seen = (hone_explanation){.method = used,
                                 .output = strcpy(text, g->outputs[s->output]->name),
                                 .target = s->target,
                                 .score = s->score,
                                 .base = s->base,
                                 .count = s->input_count,
                                 .names = names,
                                 .values = values};
    snprintf(r->seen.note, sizeof r->seen.note, "%s", note);
    text += strlen(text) + 1;
    for (size_t i = 0; i < n; i++) {
        names[i] = strcpy(text, g->inputs[i]->name);
        text += strlen(text) + 1;
        values[i] = s->values[i];
        s->values[i] = NULL;
    }
    *out = &r->seen;
    return HONE_OK;
}

void hone_explanation_free(hone_explanation *e) {
    if (!e) return;
    for (int i = 0; i < e->count; i++) hone_tensor_free(e->values[i]);
    hone_free((void *)(uintptr_t)e->names);
    hone_free((void *)(uintptr_t)e->values);
    hone_free(((result *)e)->text);
    hone_free(e);
}

static hone_status explain(hone_subject *s, hone_explanation **out, hone_error *err) {
    hone_explain_method used = s->options->method;
    char note[256] = "";
    HONE_TRY(look(s, err));
    hone_error why = {0};
    hone_status status = methods[used].run(s, &why);
    if (status == HONE_UNSUPPORTED && methods[used].run != hone_explain_by_parts) {
        snprintf(note, sizeof note, "by occlusion, since there is no %s: %.180s", methods[used].name,
                 why.message);
        used = HONE_EXPLAIN_OCCLUSION;
        status = hone_explain_by_parts(s, &why);
    }
    if (status != HONE_OK) {
        if (err) *err = why;
        return status;
    }
    return make_result(s, used, note, out, err);
}

hone_status hone_explain(const hone_graph *g, const hone_tensor *const *inputs,
                         const hone_explain_options *options, hone_explanation **out, hone_error *err) {
    hone_explain_options defaults = HONE_EXPLAIN_OPTIONS_INIT;
    if (!options) options = &defaults;
    HONE_TRY(check_options(options, err));
    hone_subject s = {.graph = g,
                      .options = options,
                      .inputs = inputs,
                      .input_count = (int)g->input_count,
                      .target = options->target < 0 ? 0 : options->target,
                      .base = NAN};
    s.values = hone_calloc(g->input_count + 1, sizeof *s.values);
    s.outputs = hone_calloc(g->output_count + 1, sizeof *s.outputs);
    hone_status status = s.values && s.outputs ? explain(&s, out, err) : hone_fail_memory(err);
    for (int i = 0; s.values && i < s.input_count; i++) hone_tensor_free(s.values[i]);
    hone_free(s.values);
    hone_free(s.outputs);
    hone_engine_free(&s.engine);
    return status;
}
