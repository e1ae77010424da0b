#include "train/stepper.h"

#include "base/error.h"
#include "base/memory.h"
#include "runtime/model.h"

#include <string.h>

/* A compiled graph. */
typedef struct program {
    hone_model *model;
    hone_session *session;
    hone_context *context;
    bool needs[HONE_SETTINGS];
} program;

struct hone_stepper {
    program step, gather; /* the latter without a model: a step has one batch */
    int model_inputs;
    hone_tensor *settings[HONE_SETTINGS]; /* float32 scalars */
    const hone_tensor **inputs;
    hone_tensor **gathered; /* sums of gradients; borrowed from the variables */
    int gathered_count;
};

static hone_status compile(program *p, const hone_graph *g, hone_variables *variables, int threads,
                           hone_error *err) {
    hone_session_options options = HONE_SESSION_OPTIONS_INIT;
    hone_model_options model = HONE_MODEL_OPTIONS_INIT;
    options.threads = model.threads = threads;
    model.unpack_weights = true;
    HONE_TRY(hone_model_compile_shared(g, &model, variables, &p->model, err));
    HONE_TRY(hone_session_create(p->model, &options, &p->session, err));
    return hone_context_create(p->session, &p->context, err);
}

static hone_status compile_gather(hone_stepper *s, const hone_training *t, hone_variables *variables,
                                  int threads, hone_error *err) {
    HONE_TRY(compile(&s->gather, t->gather, variables, threads, err));
    s->gather.needs[HONE_SETTING_PART] = true;
    s->gather.needs[HONE_SETTING_MIX] = t->needs[HONE_SETTING_MIX];
    s->gathered = hone_calloc((size_t)t->gathered_count + 1, sizeof *s->gathered);
    if (!s->gathered) return hone_fail_memory(err);
    for (int i = 0; i < t->gathered_count; i++) {
        hone_tensor *sums = hone_variables_get(variables, t->gathered[i]);
        if (sums) s->gathered[s->gathered_count++] = sums;
    }
    return HONE_OK;
}

static hone_status fill(hone_stepper *s, const hone_training *t, hone_variables *variables, int threads,
                        hone_error *err) {
    s->inputs = hone_calloc(t->graph->input_count + 1, sizeof *s->inputs);
    if (!s->inputs) return hone_fail_memory(err);
    HONE_TRY(compile(&s->step, t->graph, variables, threads, err));
    memcpy(s->step.needs, t->needs, sizeof s->step.needs);
    if (t->gather) HONE_TRY(compile_gather(s, t, variables, threads, err));
    for (int i = 0; i < HONE_SETTINGS; i++)
        if (t->needs[i]) HONE_TRY(hone_tensor_new(HONE_FLOAT32, 0, NULL, &s->settings[i], err));
    return HONE_OK;
}

hone_status hone_stepper_new(const hone_training *training, hone_variables *variables, int threads,
                             int model_inputs, hone_stepper **out, hone_error *err) {
    hone_stepper *s = hone_calloc(1, sizeof *s);
    if (!s) return hone_fail_memory(err);
    s->model_inputs = model_inputs;
    hone_status status = fill(s, training, variables, threads, err);
    if (status == HONE_OK)
        *out = s;
    else
        hone_stepper_free(s);
    return status;
}

static void free_program(program *p) {
    hone_context_free(p->context);
    hone_session_free(p->session);
    hone_model_free(p->model);
}

void hone_stepper_free(hone_stepper *s) {
    if (!s) return;
    free_program(&s->step);
    free_program(&s->gather);
    for (int i = 0; i < HONE_SETTINGS; i++) hone_tensor_free(s->settings[i]);
    hone_free(s->inputs);
    hone_free(s->gathered);
    hone_free(s);
}

hone_status hone_stepper_run(hone_stepper *s, hone_tensor *const *feeds, int feed_count,
                             const double settings[HONE_SETTINGS], hone_random random, bool last,
                             const hone_tensor *outputs[2], hone_error *err) {
    const program *p = last ? &s->step : &s->gather;
    int at = 0;
    for (int i = 0; i < s->model_inputs; i++) s->inputs[at++] = feeds[i];
    for (int i = 0; i < HONE_SETTINGS; i++) {
        if (!p->needs[i]) continue;
        *(float *)s->settings[i]->data = (float)settings[i];
        s->inputs[at++] = s->settings[i];
    }
    for (int i = s->model_inputs; i < feed_count; i++) s->inputs[at++] = feeds[i];
    hone_context_set_random(p->context, random.key, random.stream);
    HONE_TRY(hone_context_run(p->context, s->inputs, outputs, err));
    for (int i = 0; i < s->gathered_count && last; i++)
        memset(s->gathered[i]->data, 0, s->gathered[i]->bytes);
    return HONE_OK;
}
