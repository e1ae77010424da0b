#include "train/evaluate.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "graph/graph.h"
#include "graph/infer.h"
#include "graph/tensor.h"

#include <math.h>
#include <string.h>

#define BATCH 250 /* samples at a time, where the model leaves it open */

int hone_argmax(const float *x, int64_t n) {
    int best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = (int)i;
    return best;
}

hone_status hone_check_label(int64_t label, int64_t classes, hone_error *err) {
    if (label >= 0 && label < classes) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT, "the data has label %lld, but the model has %lld outputs",
                     (long long)label, (long long)classes);
}

/* What runs over the samples. */
typedef struct pass {
    const hone_dataset *data;
    int64_t samples, batch;
    hone_tensor *x; /* [batch, sample shape] */
    bool fixed;     /* the model takes batches of that size only */
    hone_context *context;
    const hone_tensor **outputs;
    hone_outputs_fn *fn;
    void *user;
} pass;

hone_status hone_check_samples(const hone_graph *g, const hone_dataset *data, hone_error *err) {
    int rank;
    const int64_t *sample = hone_dataset_sample_shape(data, &rank);
    const hone_value *v = g->inputs[0];
    bool fits = v->type.rank < 0 || v->type.rank == rank + 1;
    for (int d = 0; fits && d + 1 < v->type.rank; d++)
        fits = v->type.dims[d + 1] < 0 || v->type.dims[d + 1] == sample[d];
    if (fits) return HONE_OK;
    char wanted[128], given[128];
    return hone_fail(err, HONE_INVALID_ARGUMENT, "the model's input '%s' is %s, but a sample of %s is %s",
                     v->name, hone_type_format(g, &v->type, wanted, sizeof wanted),
                     hone_dataset_describe(data), hone_shape_format(rank, sample, given, sizeof given));
}

static hone_status make_input(pass *p, const hone_graph *g, hone_error *err) {
    int rank;
    const int64_t *sample = hone_dataset_sample_shape(p->data, &rank);
    int64_t dims[HONE_MAX_RANK];
    hone_value_info input;
    HONE_TRY(hone_check_samples(g, p->data, err));
    p->fixed = hone_graph_input(g, 0, &input) && input.rank > 0 && input.dims[0] > 0;
    p->batch = p->fixed ? input.dims[0] : p->samples < BATCH ? p->samples : BATCH;
    if (rank + 1 > HONE_MAX_RANK) return hone_fail(err, HONE_UNSUPPORTED, "samples of rank %d", rank);
    dims[0] = p->batch;
    memcpy(dims + 1, sample, (size_t)rank * sizeof *dims);
    return hone_tensor_new(HONE_FLOAT32, rank + 1, dims, &p->x, err);
}

/* The samples from `first` on. A batch of fixed size is filled up with samples from the start. */
static hone_status read_batch(const pass *p, int64_t first, int64_t n, hone_error *err) {
    float *x = p->x->data;
    int64_t size = p->x->count / p->batch;
    HONE_TRY(hone_dataset_read(p->data, NULL, first, n, x, NULL, err));
    for (int64_t at = n, more; p->fixed && at < p->batch; at += more) {
        more = p->batch - at < p->samples ? p->batch - at : p->samples;
        HONE_TRY(hone_dataset_read(p->data, NULL, 0, more, x + at * size, NULL, err));
    }
    return HONE_OK;
}

static hone_status run_batch(const pass *p, int64_t first, int64_t n, hone_error *err) {
    HONE_TRY(read_batch(p, first, n, err));
    hone_tensor *part = NULL;
    if (n < p->batch && !p->fixed) {
        int64_t dims[HONE_MAX_RANK] = {0};
        memcpy(dims, p->x->dims, sizeof dims);
        dims[0] = n;
        HONE_TRY(hone_tensor_wrap(HONE_FLOAT32, p->x->rank, dims, p->x->data, &part, err));
    }
    const hone_tensor *inputs[] = {part ? part : p->x};
    hone_status status = hone_context_run(p->context, inputs, p->outputs, err);
    hone_tensor_free(part);
    return status == HONE_OK ? p->fn(p->user, first, n, p->outputs, err) : status;
}

static hone_status run_all(pass *p, hone_session *s, const hone_graph *g, double *seconds, hone_error *err) {
    HONE_TRY(make_input(p, g, err));
    p->outputs = hone_calloc((size_t)hone_graph_output_count(g) + 1, sizeof *p->outputs);
    if (!p->outputs) return hone_fail_memory(err);
    HONE_TRY(hone_context_create(s, &p->context, err));
    double start = hone_seconds_now();
    for (int64_t first = 0; first < p->samples; first += p->batch) {
        int64_t left = p->samples - first;
        HONE_TRY(run_batch(p, first, left < p->batch ? left : p->batch, err));
    }
    if (seconds) *seconds = hone_seconds_now() - start;
    return HONE_OK;
}

hone_status hone_run_samples(const hone_graph *g, const hone_dataset *data, int64_t samples, int threads,
                             hone_outputs_fn *fn, void *user, double *seconds, hone_error *err) {
    int64_t count = hone_dataset_count(data);
    pass p = {
        .data = data, .samples = samples > 0 && samples < count ? samples : count, .fn = fn, .user = user};
    hone_model *model = NULL;
    hone_session *session = NULL;
    hone_session_options options = HONE_SESSION_OPTIONS_INIT;
    options.threads = threads;
    HONE_TRY(hone_model_compile(g, NULL, &model, err));
    hone_status status = hone_session_create(model, &options, &session, err);
    if (status == HONE_OK) status = run_all(&p, session, g, seconds, err);
    hone_context_free(p.context);
    hone_free(p.outputs);
    hone_tensor_free(p.x);
    hone_session_free(session);
    hone_model_free(model);
    return status;
}

/* --- classifiers --- */

typedef struct classifier {
    int64_t batch; /* of the model; < 0: any */
    hone_predict_fn *fn;
    void *user;
} classifier;

static hone_status take_logits(void *user, int64_t first, int64_t n, const hone_tensor *const *outputs,
                               hone_error *err) {
    const classifier *c = user;
    const hone_tensor *y = outputs[0];
    if (y->dtype != HONE_FLOAT32 || y->rank != 2 || y->dims[0] != (c->batch > 0 ? c->batch : n) ||
        y->dims[1] < 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the first output must be float32 [batch, classes]");
    return c->fn(c->user, first, n, y->data, y->dims[1], err);
}

hone_status hone_predict_all(const hone_graph *g, const hone_dataset *data, int threads, hone_predict_fn *fn,
                             void *user, double *seconds, hone_error *err) {
    hone_value_info input = {.rank = 0};
    if (hone_graph_input_count(g) != 1 || hone_graph_output_count(g) < 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "a classifier has one input and an output; this model has %d and %d",
                         hone_graph_input_count(g), hone_graph_output_count(g));
    hone_graph_input(g, 0, &input);
    classifier c = {input.rank > 0 ? input.dims[0] : -1, fn, user};
    return hone_run_samples(g, data, 0, threads, take_logits, &c, seconds, err);
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
    for (int64_t i = 0; i < n; i++) {
        int64_t label;
        HONE_TRY(hone_dataset_read(s->data, NULL, first + i, 1, NULL, &label, err));
        HONE_TRY(hone_check_label(label, classes, err));
        s->correct += hone_argmax(logits + i * classes, classes) == label;
        s->loss += cross_entropy(logits + i * classes, classes, label);
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
