#include "train/bake.h"

#include "runtime/model.h"

#include <math.h>
#include <string.h>

struct hone_baker {
    hone_variables *variables;
    const hone_parametrization *parametrizations;
    int count;
    hone_model *model; /* their values; NULL if there are none */
    hone_session *session;
    hone_context *context;
    const hone_tensor **values;
    hone_tensor *(*averaged)[2]; /* the variables' own, and their averages' */
    int averaged_count;
};

static hone_status find_averages(hone_baker *b, const hone_training *t, hone_error *err) {
    b->averaged = hone_calloc((size_t)t->averaged_count + 1, sizeof *b->averaged);
    if (!b->averaged) return hone_fail_memory(err);
    for (; b->averaged_count < t->averaged_count; b->averaged_count++)
        for (int k = 0; k < 2; k++)
            b->averaged[b->averaged_count][k] =
                hone_variables_get(b->variables, t->averaged[b->averaged_count][k]->name);
    return HONE_OK;
}

static hone_status compile(hone_baker *b, const hone_graph *g, int threads, hone_error *err) {
    hone_session_options options = HONE_SESSION_OPTIONS_INIT;
    options.threads = threads;
    b->values = hone_calloc((size_t)b->count + 1, sizeof *b->values);
    if (!b->values) return hone_fail_memory(err);
    if (!g) return HONE_OK;
    HONE_TRY(hone_model_compile_shared(g, NULL, b->variables, &b->model, err));
    HONE_TRY(hone_session_create(b->model, &options, &b->session, err));
    return hone_context_create(b->session, &b->context, err);
}

hone_status hone_baker_new(const hone_training *training, const hone_parametrization *parametrizations,
                           int count, hone_variables *variables, int threads, hone_baker **out,
                           hone_error *err) {
    hone_baker *b = hone_calloc(1, sizeof *b);
    if (!b) return hone_fail_memory(err);
    b->variables = hone_variables_retain(variables);
    b->parametrizations = parametrizations;
    b->count = count;
    hone_status status = find_averages(b, training, err);
    if (status == HONE_OK) status = compile(b, training->values, threads, err);
    if (status == HONE_OK)
        *out = b;
    else
        hone_baker_free(b);
    return status;
}

void hone_baker_free(hone_baker *b) {
    if (!b) return;
    hone_context_free(b->context);
    hone_session_free(b->session);
    hone_model_free(b->model);
    hone_variables_free(b->variables);
    hone_free(b->values);
    hone_free(b->averaged);
    hone_free(b);
}

/* A loss may have been fine before the update that went wrong. */
static hone_status check_finite(const char *name, const hone_tensor *w, hone_error *err) {
    for (int64_t i = 0; w->dtype == HONE_FLOAT32 && i < w->count; i++)
        if (!isfinite(((const float *)w->data)[i]))
            return hone_fail_node(err, HONE_OUT_OF_RANGE, name, NULL,
                                  "a weight became %g: a smaller learning rate may help",
                                  fabs(((const float *)w->data)[i]));
    return HONE_OK;
}

/* What has become of the constant of that name; NULL: nothing. */
static const hone_tensor *content(const hone_baker *b, const char *name) {
    for (int i = 0; i < b->count; i++)
        if (strcmp(b->parametrizations[i].weight, name) == 0) return b->values[i];
    return hone_variables_get(b->variables, name);
}

bool hone_baker_changes(const hone_baker *b, const char *name) {
    for (int i = 0; i < b->count; i++)
        if (strcmp(b->parametrizations[i].weight, name) == 0) return true;
    return hone_variables_get(b->variables, name) != NULL;
}

/* Exchanges the content of all variables that have an average with it. */
static void swap_averages(const hone_baker *b) {
    for (int i = 0; i < b->averaged_count; i++) {
        float *x = b->averaged[i][0]->data, *y = b->averaged[i][1]->data;
        for (int64_t k = 0; k < b->averaged[i][0]->count; k++) {
            float kept = x[k];
            x[k] = y[k];
            y[k] = kept;
        }
    }
}

static hone_status bake(hone_baker *b, const hone_graph *g, hone_tensor **tensors, hone_error *err) {
    if (b->context) HONE_TRY(hone_context_run(b->context, NULL, b->values, err));
    for (size_t i = 0; i < g->value_count; i++) {
        const hone_value *v = g->values[i];
        const hone_tensor *w = v && v->storage == HONE_STORAGE_CONSTANT ? content(b, v->name) : NULL;
        if (!w) continue;
        HONE_TRY(check_finite(v->name, w, err));
        HONE_TRY(hone_tensor_copy_of(w->dtype, w->rank, w->dims, w->data, &tensors[i], err));
    }
    return HONE_OK;
}

hone_status hone_bake(hone_baker *b, const hone_graph *g, hone_tensor **tensors, hone_error *err) {
    swap_averages(b);
    hone_status status = bake(b, g, tensors, err);
    swap_averages(b);
    return status;
}
