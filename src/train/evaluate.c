#include "train/evaluate.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "graph/graph.h"
#include "graph/tensor.h"
#include "train/details.h"
#include "train/objective_ctc.h"

#include <math.h>
#include <string.h>

#define BATCH 250 /* samples at a time, where the model leaves it open */

/* What runs over the samples. */
typedef struct pass {
    const hone_dataset *data;
    const hone_feed *inputs;
    size_t input_count;
    int64_t samples, batch;
    hone_tensor **whole; /* [batch, sample shape], one for each input */
    hone_tensor **part;  /* the smaller last batch, in the same memory; NULL where there is none */
    bool fixed;          /* the model takes batches of one size only */
    hone_context *context;
    const hone_tensor **outputs;
    hone_outputs_fn *fn;
    void *user;
} pass;

/* The size of the batch, where the model has one. */
static int64_t fixed_batch(const hone_graph *g) {
    for (size_t i = 0; i < g->input_count; i++)
        if (g->inputs[i]->type.rank > 0 && g->inputs[i]->type.dims[0] > 0) return g->inputs[i]->type.dims[0];
    return 0;
}

/* Fewer where answers are large, as those of language models are. */
static int64_t batch_for(const hone_graph *g, int64_t samples) {
    enum { VALUES = 1 << 22 };
    int64_t size = 1, batch = BATCH;
    const hone_type *t = g->output_count ? &g->outputs[0]->type : NULL;
    for (int i = 1; t && i < t->rank; i++) size *= t->dims[i] > 0 ? t->dims[i] : 1;
    if (batch > VALUES / size) batch = VALUES / size > 0 ? VALUES / size : 1;
    return samples < batch ? samples : batch;
}

static hone_status make_inputs(pass *p, const hone_graph *g, hone_error *err) {
    int64_t fixed = fixed_batch(g);
    p->fixed = fixed > 0;
    p->batch = p->fixed ? fixed : batch_for(g, p->samples);
    int64_t rest = p->fixed ? 0 : p->samples % p->batch;
    p->whole = hone_calloc(p->input_count + 1, sizeof(hone_tensor *));
    p->part = hone_calloc(p->input_count + 1, sizeof(hone_tensor *));
    if (!p->whole || !p->part) return hone_fail_memory(err);
    for (size_t i = 0; i < p->input_count; i++) {
        HONE_TRY(hone_feed_tensor(&p->inputs[i], p->batch, NULL, &p->whole[i], err));
        if (rest) HONE_TRY(hone_feed_tensor(&p->inputs[i], rest, p->whole[i]->data, &p->part[i], err));
    }
    return HONE_OK;
}

/* The samples from `first` on. A batch of fixed size is filled up with samples from the start. */
static hone_status read_input(const pass *p, size_t input, int64_t first, int64_t n, hone_error *err) {
    const hone_reading *r = &p->inputs[input].reading;
    char *to = p->whole[input]->data;
    size_t size = p->whole[input]->bytes / (size_t)p->batch;
    HONE_TRY(hone_dataset_read(p->data, r, NULL, first, n, to, err));
    for (int64_t at = n, more; p->fixed && at < p->batch; at += more) {
        more = p->batch - at < p->samples ? p->batch - at : p->samples;
        HONE_TRY(hone_dataset_read(p->data, r, NULL, 0, more, to + (size_t)at * size, err));
    }
    return HONE_OK;
}

static hone_status run_batch(const pass *p, int64_t first, int64_t n, hone_error *err) {
    for (size_t i = 0; i < p->input_count; i++) HONE_TRY(read_input(p, i, first, n, err));
    hone_tensor *const *inputs = n < p->batch && !p->fixed ? p->part : p->whole;
    HONE_TRY(hone_context_run(p->context, (const hone_tensor *const *)inputs, p->outputs, err));
    return p->fn(p->user, first, n, p->outputs, err);
}

static void free_inputs(pass *p) {
    for (size_t i = 0; p->part && i < p->input_count; i++) hone_tensor_free(p->part[i]);
    for (size_t i = 0; p->whole && i < p->input_count; i++) hone_tensor_free(p->whole[i]);
    hone_free(p->part);
    hone_free(p->whole);
}

static hone_status run_all(pass *p, hone_session *s, const hone_graph *g, double *seconds, hone_error *err) {
    HONE_TRY(make_inputs(p, g, err));
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

hone_status hone_run_samples(hone_model *m, const hone_dataset *data, const hone_feed *inputs,
                             int64_t samples, int threads, hone_outputs_fn *fn, void *user, double *seconds,
                             hone_error *err) {
    const hone_graph *g = hone_model_signature(m);
    int64_t count = hone_dataset_count(data);
    pass p = {.data = data,
              .inputs = inputs,
              .input_count = g->input_count,
              .samples = samples > 0 && samples < count ? samples : count,
              .fn = fn,
              .user = user};
    hone_session *session = NULL;
    hone_session_options options = HONE_SESSION_OPTIONS_INIT;
    options.threads = threads;
    hone_status status = hone_session_create(m, &options, &session, err);
    if (status == HONE_OK) status = run_all(&p, session, g, seconds, err);
    hone_context_free(p.context);
    hone_free(p.outputs);
    free_inputs(&p);
    hone_session_free(session);
    return status;
}

/* --- the first output --- */

typedef struct prediction {
    int64_t batch; /* of the model; 0: any */
    hone_predict_fn *fn;
    void *user;
} prediction;

static hone_status take_first(void *user, int64_t first, int64_t n, const hone_tensor *const *outputs,
                              hone_error *err) {
    const prediction *p = user;
    const hone_tensor *y = outputs[0];
    if (y->dtype != HONE_FLOAT32 || y->rank < 1 || y->dims[0] != (p->batch > 0 ? p->batch : n) ||
        y->count == 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the first output must be float32 [batch, …]");
    return p->fn(p->user, first, n, y->data, y->count / y->dims[0], err);
}

hone_status hone_predict_all(hone_model *m, const hone_dataset *data, const hone_feed *inputs, int threads,
                             hone_predict_fn *fn, void *user, double *seconds, hone_error *err) {
    prediction p = {fixed_batch(hone_model_signature(m)), fn, user};
    return hone_run_samples(m, data, inputs, 0, threads, take_first, &p, seconds, err);
}

/* --- scores --- */

typedef struct judge {
    const hone_dataset *data;
    const hone_objective *objective;
    hone_feed target;
    hone_tensor *targets; /* of a batch */
    hone_link link;       /* of the model */
    float *logits;        /* room for them, where the model gives something else */
    int64_t logit_count;
    int64_t size; /* values of the output in a sample; 0: not known yet */
    int64_t last; /* of its last axis; 0: not known */
    hone_tally tally;
    const hone_feed *inputs;
    size_t input_count;
    const hone_eval_options *options; /* NULL: nothing more than a report is wanted */
    hone_collector *collector;        /* NULL: likewise */
    bool unlabeled;                   /* there are no targets */
} judge;

/* What comes to light with the first output. */
static hone_status begin(judge *j, int64_t size, hone_error *err) {
    enum { MOST = 2048 }; /* classes of a confusion matrix */
    j->size = size;
    if (j->options && !j->unlabeled) {
        const hone_objective *o = j->objective;
        bool labels = hone_dtype_is_int(j->target.reading.dtype) && !o->sequences && !o->embeds,
             binary = size == 1 && !hone_dtype_is_int(j->target.reading.dtype) && o->metric.share;
        j->collector = hone_collector_new(labels && size <= MOST ? (int)size
                                          : binary               ? 2
                                                                 : 0,
                                          j->options->top);
        if (!j->collector) return hone_fail_memory(err);
    }
    j->tally.shift = hone_calloc(3 * (size_t)size, sizeof(double));
    if (!j->tally.shift) return hone_fail_memory(err);
    j->tally.sum = j->tally.shift + size;
    j->tally.sum_of_squares = j->tally.sum + size;
    return HONE_OK;
}

static hone_status make_targets(judge *j, int64_t n, hone_error *err) {
    if (j->targets && j->targets->dims[0] >= n) return HONE_OK;
    hone_tensor_free(j->targets);
    j->targets = NULL;
    return hone_feed_tensor(&j->target, n, NULL, &j->targets, err);
}

/* The first input that has a value which is no number in a sample; NULL: none. */
static const char *column_at_fault(const judge *j, int64_t sample) {
    for (size_t i = 0; i < j->input_count; i++) {
        const hone_feed *f = &j->inputs[i];
        hone_column c;
        float *x;
        int64_t count = 1;
        if (!hone_dataset_column(j->data, f->reading.column, &c) || !hone_dtype_is_float(c.dtype)) continue;
        for (int k = 0; k < c.rank; k++) count *= c.dims[k];
        if (!(x = hone_alloc((size_t)count * sizeof *x))) continue;
        hone_reading r = {.column = f->reading.column, .dtype = HONE_FLOAT32};
        bool found = false;
        if (hone_dataset_read(j->data, &r, NULL, sample, 1, x, NULL) == HONE_OK)
            for (int64_t k = 0; k < count && !found; k++) found = !isfinite(x[k]);
        hone_free(x);
        if (found) return c.name;
    }
    return NULL;
}

static hone_status check_output(const judge *j, int64_t first, int64_t n, const float *output, int64_t size,
                                hone_error *err) {
    for (int64_t i = 0; i < n * size; i++) {
        if (!isnan(output[i])) continue;
        const char *column = column_at_fault(j, first + i / size);
        return column ? hone_fail(
                            err, HONE_INVALID_ARGUMENT,
                            "column '%s' has a value in sample %lld that is no number, and so is the model's "
                            "answer",
                            column, (long long)(first + i / size))
                      : hone_fail(err, HONE_INVALID_ARGUMENT,
                                  "the model's answer to sample %lld is no number (NaN)",
                                  (long long)(first + i / size));
    }
    return HONE_OK;
}

/* What the output says, behind it what is wanted. */
static hone_status hand_out_symbols(const judge *j, hone_prediction *p, const hone_answers *a,
                                    hone_error *err) {
    const hone_eval_options *o = j->options;
    int64_t places = a->last > 0 ? a->size / a->last : 0,
            *said = hone_alloc((size_t)(a->n * places + 1) * sizeof *said);
    if (!said) return hone_fail_memory(err);
    for (int64_t i = 0; i < a->n; i++) {
        int64_t n = hone_ctc_read(a->output + i * a->size, places, a->last, said + i * places);
        for (; n < places; n++) said[i * places + n] = -1;
    }
    p->said = said;
    p->places = places;
    p->symbols = a->target;
    p->symbol_count = a->targets;
    bool goes_on = o->prediction(o->user, p);
    hone_free(said);
    return goes_on ? HONE_OK : hone_fail(err, HONE_CANCELLED, "stopped by its caller");
}

static hone_status hand_out(const judge *j, int64_t first, const hone_answers *a, hone_error *err) {
    const hone_eval_options *o = j->options;
    if (!o || !o->prediction) return HONE_OK;
    bool labels = !j->unlabeled && hone_dtype_is_int(j->target.reading.dtype) && !j->objective->embeds;
    hone_prediction p = {.first = first, .n = a->n, .output = a->output, .size = a->size};
    if (j->objective == &hone_objective_ctc) return hand_out_symbols(j, &p, a, err);
    if (labels && a->targets != 1)
        return hone_fail(err, HONE_UNSUPPORTED, "predictions of %lld labels in a sample",
                         (long long)a->targets);
    if (labels) p.labels = a->target;
    if (!labels && !j->unlabeled && !hone_dtype_is_int(j->target.reading.dtype)) p.numbers = a->target;
    return o->prediction(o->user, &p) ? HONE_OK : hone_fail(err, HONE_CANCELLED, "stopped by its caller");
}

static hone_status read_targets(judge *j, int64_t first, int64_t n, int64_t size, hone_answers *a,
                                hone_error *err) {
    const hone_objective *o = j->objective;
    HONE_TRY(make_targets(j, n, err));
    HONE_TRY(hone_dataset_read(j->data, &j->target.reading, NULL, first, n, j->targets->data, err));
    int64_t values = j->targets->count / j->targets->dims[0];
    a->target = j->targets->data;
    a->targets = values;
    if (size != j->size || (j->target.reading.dtype == HONE_FLOAT32 && values != size))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%lld outputs for %lld targets in a sample",
                         (long long)size, (long long)values);
    return o->check(a, values, err);
}

/* What the objective takes for logits. */
static hone_status find_logits(judge *j, int64_t n, const float **output, hone_error *err) {
    if (j->link == HONE_LINK_NONE || j->link != j->objective->link) return HONE_OK;
    if (n > j->logit_count) {
        hone_free(j->logits);
        j->logits = hone_alloc((size_t)n * sizeof *j->logits);
        j->logit_count = j->logits ? n : 0;
        if (!j->logits) return hone_fail_memory(err);
    }
    hone_task_logits(j->objective, j->link, *output, n, j->logits);
    *output = j->logits;
    return HONE_OK;
}

static hone_status add_answers(void *user, int64_t first, int64_t n, const float *output, int64_t size,
                               hone_error *err) {
    judge *j = user;
    const hone_objective *o = j->objective;
    if (j->size == 0) HONE_TRY(begin(j, size, err));
    HONE_TRY(check_output(j, first, n, output, size, err));
    HONE_TRY(find_logits(j, n * size, &output, err));
    hone_answers a = {output, NULL, n, size, .last = j->last};
    if (!j->unlabeled) {
        HONE_TRY(read_targets(j, first, n, size, &a, err));
        o->add(&j->tally, &a);
        j->tally.score += o->score(&a);
        if (j->collector && !o->sequences && !o->embeds) HONE_TRY(hone_collector_add(j->collector, &a, err));
    }
    j->tally.samples += n;
    return hand_out(j, first, &a, err);
}

static void fill_report(const judge *j, double seconds, hone_eval_report *out) {
    const hone_tally *t = &j->tally;
    const hone_objective *o = j->objective;
    double n = (double)t->samples;
    *out = (hone_eval_report){.samples = t->samples,
                              .objective = o->name,
                              .loss = t->loss / (t->places ? (double)t->places : n),
                              .metrics = {o->metric},
                              .metric_count = 1,
                              .seconds = seconds};
    out->metrics[0].value = t->weight > 0 ? t->reached / t->weight : t->score / n;
    if (o->more) out->metric_count += o->more(t, j->size, out->metrics + 1);
}

/* The bytes of text that the samples stand for, where the data says so: a column of data/text.h's windows. */
static hone_status count_bytes(judge *j, hone_error *err) {
    hone_reading r = {hone_dataset_find(j->data, "text_bytes"), HONE_INT64, false};
    for (int64_t i = 0; r.column >= 0 && i < hone_dataset_count(j->data); i++) {
        int64_t bytes;
        HONE_TRY(hone_dataset_read(j->data, &r, NULL, i, 1, &bytes, err));
        j->tally.bytes += (double)bytes;
    }
    return HONE_OK;
}

/* Which class of the model is the blank between words; 0: none, as class 0 is that between symbols. */
static int64_t find_separator(const hone_graph *g) {
    const char *at = hone_graph_metadata(g, "hone.classes");
    for (int64_t i = 0; at && *at; i++) {
        if (i > 0 && at[0] == ' ' && (at[1] == '\n' || !at[1])) return i;
        at = strchr(at, '\n');
        if (at) at++;
    }
    return 0;
}

/* Does the task lack a target, and does nothing ask for one? */
static bool lacks_target(const judge *j, const hone_task *task, int target) {
    return target < 0 && j->options && j->options->prediction && !(task && task->target);
}

static hone_status evaluate(judge *j, hone_model *m, const hone_task *task, hone_feed *inputs, int threads,
                            hone_eval_report *out, hone_error *err) {
    const hone_graph *g = hone_model_signature(m);
    int target;
    double seconds = 0;
    HONE_TRY(hone_task_objective(g, task, &j->objective, err));
    HONE_TRY(hone_task_wire(g, j->data, task, inputs, &target, err));
    j->unlabeled = lacks_target(j, task, target);
    if (!j->unlabeled) HONE_TRY(hone_task_target(g, j->data, j->objective, target, &j->target, err));
    if (!j->unlabeled) HONE_TRY(count_bytes(j, err));
    j->link = hone_graph_link(g, NULL);
    j->tally.scale = hone_objective_scale(g);
    j->tally.separator = find_separator(g);
    j->last = hone_task_last(&g->outputs[0]->type);
    j->inputs = inputs;
    j->input_count = g->input_count;
    HONE_TRY(hone_predict_all(m, j->data, inputs, threads, add_answers, j, &seconds, err));
    fill_report(j, seconds, out);
    if (j->unlabeled) out->metric_count = 0;
    return HONE_OK;
}

static hone_status check_ends(const hone_graph *g, hone_error *err) {
    if (g->input_count > 0 && g->output_count > 0) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT, "a model to evaluate has inputs and an output");
}

static hone_status judge_model(judge *j, hone_model *m, const hone_task *task, int threads,
                               hone_eval_report *out, hone_eval_details **details, hone_error *err) {
    const hone_graph *g = hone_model_signature(m);
    HONE_TRY(check_ends(g, err));
    hone_feed *inputs = hone_calloc(g->input_count, sizeof *inputs);
    hone_status status = inputs ? evaluate(j, m, task, inputs, threads, out, err) : hone_fail_memory(err);
    if (details) *details = NULL;
    if (status == HONE_OK && details && j->collector)
        status = hone_collector_finish(j->collector, details, err);
    hone_collector_free(j->collector);
    hone_tensor_free(j->targets);
    hone_free(j->logits);
    hone_free(j->tally.shift);
    hone_free(inputs);
    return status;
}

hone_status hone_evaluate_model(hone_model *m, const hone_dataset *data, const hone_task *task, int threads,
                                hone_eval_report *out, hone_error *err) {
    judge j = {.data = data};
    return judge_model(&j, m, task, threads, out, NULL, err);
}

hone_status hone_evaluate_details(hone_model *m, const hone_dataset *data, const hone_task *task,
                                  const hone_eval_options *options, hone_eval_report *out,
                                  hone_eval_details **details, hone_error *err) {
    static const hone_eval_options defaults = HONE_EVAL_OPTIONS_INIT;
    if (!options) options = &defaults;
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    if (options->threads < 0 || options->top < 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "threads %d or top %d is too small", options->threads,
                         options->top);
    judge j = {.data = data, .options = options};
    return judge_model(&j, m, task, options->threads, out, details, err);
}

hone_status hone_evaluate(const hone_graph *g, const hone_dataset *data, const hone_task *task, int threads,
                          hone_eval_report *out, hone_error *err) {
    hone_model *m = NULL;
    HONE_TRY(check_ends(g, err));
    HONE_TRY(hone_model_compile(g, NULL, &m, err));
    hone_status status = hone_evaluate_model(m, data, task, threads, out, err);
    hone_model_free(m);
    return status;
}
