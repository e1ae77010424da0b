#include "compress/calibrate.h"

#include "compress/histogram.h"
#include "train/evaluate.h"

#include <math.h>

typedef struct job {
    const char *const *values;
    int count;
    hone_range *ranges;
    hone_histogram *histograms; /* NULL: the ends only */
} job;

static hone_status widen(hone_range *r, const hone_tensor *t, const char *name, hone_error *err) {
    const float *x = t->data;
    for (int64_t i = 0; i < t->count; i++) {
        if (!isfinite(x[i]))
            return hone_fail_node(err, HONE_OUT_OF_RANGE, name, NULL,
                                  "is %g on calibration data and cannot be quantized",
                                  isnan(x[i]) ? fabs(x[i]) : x[i]);
        if (x[i] < r->min) r->min = x[i];
        if (x[i] > r->max) r->max = x[i];
    }
    return HONE_OK;
}

static hone_status widen_all(void *user, int64_t first, int64_t n, const hone_tensor *const *outputs,
                             hone_error *err) {
    const job *j = user;
    (void)first;
    (void)n; /* rows beyond n are of samples, too */
    for (int i = 0; i < j->count; i++) HONE_TRY(widen(&j->ranges[i], outputs[i], j->values[i], err));
    return HONE_OK;
}

static hone_status count_all(void *user, int64_t first, int64_t n, const hone_tensor *const *outputs,
                             hone_error *err) {
    const job *j = user;
    (void)first;
    (void)n;
    (void)err;
    for (int i = 0; i < j->count; i++)
        hone_histogram_add(&j->histograms[i], outputs[i]->data, outputs[i]->count);
    return HONE_OK;
}

/* Only `values` are the graph's outputs from now on. */
static hone_status observe(hone_graph *g, const char *const *values, int count, hone_error *err) {
    g->output_count = 0;
    for (int i = 0; i < count; i++) {
        hone_value *v = hone_graph_find(g, values[i]);
        if (!v) return hone_fail_node(err, HONE_NOT_FOUND, values[i], NULL, "is not in the graph");
        hone_graph_add_output(g, v);
    }
    return hone_graph_check(g, err);
}

hone_status hone_calibration_draw(const hone_dataset *data, const hone_task *task, int64_t samples,
                                  hone_dataset **out, hone_error *err) {
    hone_draw_options o = HONE_DRAW_OPTIONS_INIT;
    if (samples <= 0 || samples >= hone_dataset_count(data)) return HONE_OK;
    o.share = (double)samples;
    o.target = task ? task->target : NULL;
    o.group = "";
    return hone_dataset_draw(data, &o, out, NULL, err);
}

static hone_status find_ends(job *j, hone_model *m, const hone_dataset *data, const hone_feed *inputs,
                             int threads, hone_error *err) {
    for (int i = 0; i < j->count; i++) j->ranges[i] = (hone_range){INFINITY, -INFINITY};
    return hone_run_samples(m, data, inputs, 0, threads, widen_all, j, NULL, err);
}

/* The ranges within the ends that `how` likes best. */
static hone_status narrow(job *j, hone_model *m, const hone_dataset *data, const hone_feed *inputs,
                          int threads, const hone_calibration *how, hone_error *err) {
    j->histograms = hone_calloc((size_t)j->count + 1, sizeof *j->histograms);
    if (!j->histograms) return hone_fail_memory(err);
    for (int i = 0; i < j->count; i++) j->histograms[i].range = j->ranges[i];
    hone_status status = hone_run_samples(m, data, inputs, 0, threads, count_all, j, NULL, err);
    for (int i = 0; i < j->count && status == HONE_OK; i++)
        j->ranges[i] = hone_histogram_range(&j->histograms[i], how);
    hone_free(j->histograms);
    return status;
}

hone_status hone_calibrate(const hone_graph *g, const hone_dataset *data, const hone_task *task,
                           int64_t samples, int threads, const char *const *values, int count,
                           const hone_calibration *how, hone_range *ranges, hone_error *err) {
    hone_graph *copy = NULL;
    hone_model *m = NULL;
    hone_dataset *drawn = NULL;
    int target;
    job j = {values, count, ranges, NULL};
    hone_feed *inputs = hone_calloc(g->input_count + 1, sizeof *inputs);
    if (!inputs) return hone_fail_memory(err);
    hone_status status = hone_calibration_draw(data, task, samples, &drawn, err);
    if (drawn) data = drawn;
    if (status == HONE_OK) status = hone_task_wire(g, data, task, inputs, &target, err);
    if (status == HONE_OK) status = hone_graph_copy(g, &copy, err);
    if (status == HONE_OK) status = observe(copy, values, count, err);
    if (status == HONE_OK) status = hone_model_compile(copy, NULL, &m, err);
    hone_graph_free(copy);
    if (status == HONE_OK) status = find_ends(&j, m, data, inputs, threads, err);
    if (status == HONE_OK && how->method != HONE_CALIBRATE_MINMAX)
        status = narrow(&j, m, data, inputs, threads, how, err);
    hone_dataset_free(drawn);
    hone_model_free(m);
    hone_free(inputs);
    return status;
}
