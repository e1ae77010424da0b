#include "train/evaluate.h"

#include "base/error.h"
#include "base/memory.h"
#include "graph/tensor.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define BATCH 250

int hone_argmax(const float *x, int64_t n) {
    int best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = (int)i;
    return best;
}

double hone_seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A tensor [n, sample shape] over `data`. */
static hone_status batch_tensor(const hone_dataset *d, int64_t n, float *data, hone_tensor **out,
                                hone_error *err) {
    int rank;
    const int64_t *sample = hone_dataset_sample_shape(d, &rank);
    int64_t dims[HONE_MAX_RANK] = {n};
    if (rank + 1 > HONE_MAX_RANK) return hone_fail(err, HONE_UNSUPPORTED, "samples of rank %d", rank);
    memcpy(dims + 1, sample, (size_t)rank * sizeof *dims);
    return hone_tensor_wrap(HONE_FLOAT32, rank + 1, dims, data, out, err);
}

static hone_status run_batch(hone_context *c, const hone_dataset *d, int64_t first, int64_t n, float *x,
                             hone_predict_fn *fn, void *user, hone_error *err) {
    hone_tensor *input = NULL;
    const hone_tensor *output = NULL;
    HONE_TRY(hone_dataset_read(d, NULL, first, n, x, NULL, err));
    HONE_TRY(batch_tensor(d, n, x, &input, err));
    const hone_tensor *inputs[] = {input};
    hone_status status = hone_context_run(c, inputs, &output, err);
    hone_tensor_free(input);
    HONE_TRY(status);
    if (output->dtype != HONE_FLOAT32 || output->rank != 2 || output->dims[0] != n)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the first output must be float32 [batch, classes]");
    return fn(user, first, n, output->data, output->dims[1], err);
}

static hone_status run_all(hone_session *s, const hone_dataset *d, hone_predict_fn *fn, void *user,
                           double *seconds, hone_error *err) {
    int rank;
    const int64_t *sample = hone_dataset_sample_shape(d, &rank);
    size_t features = 1;
    for (int i = 0; i < rank; i++) features *= (size_t)sample[i];
    float *x = hone_alloc(BATCH * features * sizeof *x);
    hone_context *c = NULL;
    hone_status status = x ? hone_context_create(s, &c, err) : hone_fail_memory(err);
    double start = hone_seconds_now();
    int64_t count = hone_dataset_count(d);
    for (int64_t first = 0; first < count && status == HONE_OK; first += BATCH)
        status = run_batch(c, d, first, count - first < BATCH ? count - first : BATCH, x, fn, user, err);
    if (seconds) *seconds = hone_seconds_now() - start;
    hone_context_free(c);
    hone_free(x);
    return status;
}

hone_status hone_predict_all(const hone_graph *g, const hone_dataset *data, int threads, hone_predict_fn *fn,
                             void *user, double *seconds, hone_error *err) {
    if (hone_graph_input_count(g) != 1 || hone_graph_output_count(g) < 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "a classifier has one input and an output; this model has %d and %d",
                         hone_graph_input_count(g), hone_graph_output_count(g));
    hone_model *model = NULL;
    hone_session *session = NULL;
    hone_session_options options = HONE_SESSION_OPTIONS_INIT;
    options.threads = threads;
    HONE_TRY(hone_model_compile(g, NULL, &model, err));
    hone_status status = hone_session_create(model, &options, &session, err);
    if (status == HONE_OK) status = run_all(session, data, fn, user, seconds, err);
    hone_session_free(session);
    hone_model_free(model);
    return status;
}

typedef struct score {
    const hone_dataset *data;
    int64_t correct;
    double loss;
} score;

static double cross_entropy(const float *logits, int64_t classes, int64_t label) {
    double max = logits[hone_argmax(logits, classes)], sum = 0;
    for (int64_t i = 0; i < classes; i++) sum += exp(logits[i] - max);
    return log(sum) + max - logits[label];
}

static hone_status add_score(void *user, int64_t first, int64_t n, const float *logits, int64_t classes,
                             hone_error *err) {
    score *s = user;
    int64_t labels[BATCH];
    HONE_TRY(hone_dataset_read(s->data, NULL, first, n, NULL, labels, err));
    for (int64_t i = 0; i < n; i++) {
        if (labels[i] >= classes)
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "the data has label %lld, but the model has %lld outputs", (long long)labels[i],
                             (long long)classes);
        s->correct += hone_argmax(logits + i * classes, classes) == labels[i];
        s->loss += cross_entropy(logits + i * classes, classes, labels[i]);
    }
    return HONE_OK;
}

hone_status hone_evaluate(const hone_graph *g, const hone_dataset *data, int threads, hone_eval_report *out,
                          hone_error *err) {
    score s = {.data = data};
    double seconds = 0;
    HONE_TRY(hone_predict_all(g, data, threads, add_score, &s, &seconds, err));
    double n = (double)hone_dataset_count(data);
    *out = (hone_eval_report){hone_dataset_count(data), (double)s.correct / n, s.loss / n, seconds};
    return HONE_OK;
}
