#include "compress/calibrate.h"

#include <hone/session.h>
#include <math.h>
#include <string.h>

#define BATCH 100

static hone_status widen(hone_range *r, const hone_tensor *t, const char *name, hone_error *err) {
    const float *x = t->data;
    for (int64_t i = 0; i < t->count; i++) {
        if (!isfinite(x[i]))
            return hone_fail_node(err, HONE_OUT_OF_RANGE, name, NULL,
                                  "is %g on calibration data and cannot be quantized", x[i]);
        if (x[i] < r->min) r->min = x[i];
        if (x[i] > r->max) r->max = x[i];
    }
    return HONE_OK;
}

/* `g` with `values` as its outputs. */
static hone_status observed(const hone_graph *g, const char *const *values, int count, hone_graph **out,
                            hone_error *err) {
    HONE_TRY(hone_graph_copy(g, out, err));
    (*out)->output_count = 0;
    for (int i = 0; i < count; i++) hone_graph_add_output(*out, hone_graph_find(*out, values[i]));
    hone_status status = hone_graph_check(*out, err);
    if (status != HONE_OK) {
        hone_graph_free(*out);
        *out = NULL;
    }
    return status;
}

static hone_status run(hone_session *s, const hone_dataset *data, int64_t samples, const char *const *values,
                       int count, hone_range *ranges, hone_error *err) {
    int rank;
    const int64_t *sample = hone_dataset_sample_shape(data, &rank);
    int64_t dims[HONE_MAX_RANK] = {0};
    memcpy(dims + 1, sample, (size_t)rank * sizeof *dims);
    const hone_tensor **outputs = hone_calloc((size_t)count + 1, sizeof *outputs);
    hone_context *c = NULL;
    hone_status status = outputs ? hone_context_create(s, &c, err) : hone_fail_memory(err);
    for (int64_t first = 0; first < samples && status == HONE_OK; first += BATCH) {
        hone_tensor *x = NULL;
        dims[0] = samples - first < BATCH ? samples - first : BATCH;
        status = hone_tensor_new(HONE_FLOAT32, rank + 1, dims, &x, err);
        if (status == HONE_OK) status = hone_dataset_read(data, NULL, first, dims[0], x->data, NULL, err);
        const hone_tensor *inputs[] = {x};
        if (status == HONE_OK) status = hone_context_run(c, inputs, outputs, err);
        for (int i = 0; i < count && status == HONE_OK; i++)
            status = widen(&ranges[i], outputs[i], values[i], err);
        hone_tensor_free(x);
    }
    hone_context_free(c);
    hone_free(outputs);
    return status;
}

hone_status hone_calibrate(const hone_graph *g, const hone_dataset *data, int64_t samples, int threads,
                           const char *const *values, int count, hone_range *ranges, hone_error *err) {
    hone_graph *copy = NULL;
    hone_model *model = NULL;
    hone_session *session = NULL;
    hone_session_options options = HONE_SESSION_OPTIONS_INIT;
    options.threads = threads;
    if (g->input_count != 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "calibration needs a model with one input; this one has %zu", g->input_count);
    for (int i = 0; i < count; i++) ranges[i] = (hone_range){INFINITY, -INFINITY};
    if (samples < 1 || samples > hone_dataset_count(data)) samples = hone_dataset_count(data);
    HONE_TRY(observed(g, values, count, &copy, err));
    hone_status status = hone_model_compile(copy, NULL, &model, err);
    hone_graph_free(copy);
    if (status == HONE_OK) status = hone_session_create(model, &options, &session, err);
    if (status == HONE_OK) status = run(session, data, samples, values, count, ranges, err);
    hone_session_free(session);
    hone_model_free(model);
    return status;
}
