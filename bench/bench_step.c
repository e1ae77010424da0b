/* Training steps of an ONNX model, on one batch that stays: what bench/train_vs_torch.py measures.
 *
 *   bench_step MODEL.onnx [--batch N] [--threads N] [--optimizer sgd|adamw] [--profile] [--losses N] [--disable REWRITES]
 *
 * Inputs are random numbers (integers: random ones below 4000, as words), so are the labels; the loss is the cross-entropy of
 * the first output, logits [rows, classes]. It says `ready`, the numbers that are trained and the seconds from the start of the
 * process to the first step; then it reads numbers of seconds and answers with the median step in microseconds, that of
 * the processor time of a step, and the peak memory in MB, line by line. --profile: prints instead what the
 * operators of a step take, the least of some runs each; with STEPS in the environment, also each step of the plan.
 * --losses N: prints instead the loss of each of N steps, to compare what rewrites give. */
#include "base/clock.h"
#include "base/random.h"
#include "graph/graph.h"
#include "runtime/model.h"
#include "train/derive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MOST_INPUTS = 8,
    MOST_TIMES = 100000,
    WORDS = 4000,
    PROFILED = 20,
    MOST_LINES = 2000,
    MOST_STEPS = 10000
};

typedef struct options {
    const char *model, *optimizer, *disable;
    int64_t batch;
    int threads, losses;
    bool profile;
} options;

typedef struct bench {
    hone_graph *graph;
    hone_training training;
    hone_model *model;
    hone_session *session;
    hone_context *context;
    hone_tensor *inputs[MOST_INPUTS];
    int input_count;
    int64_t trained;
} bench;

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Numbers of about a normal distribution, or integers in [0, below). */
static void fill(hone_tensor *t, hone_rng *rng, int64_t below) {
    for (int64_t i = 0; i < t->count; i++) {
        float sum = -6;
        for (int k = 0; k < 12; k++) sum += hone_rng_uniform(rng);
        if (t->dtype == HONE_INT64)
            ((int64_t *)t->data)[i] = (int64_t)(hone_rng_uniform(rng) * (float)below);
        else
            ((float *)t->data)[i] = sum;
    }
}

/* The step's inputs: the model's, the rate, the target. Rows of the logits are told by one run of the model. */
static hone_status make_inputs(bench *b, const options *o, hone_error *err) {
    const hone_graph *g = b->training.graph;
    hone_rng rng = hone_rng_make(1, 5);
    const int64_t classes = g->outputs[1]->type.dims[1];
    int64_t rows = o->batch;
    b->input_count = (int)g->input_count;
    if (b->input_count > MOST_INPUTS) return hone_fail(err, HONE_UNSUPPORTED, "too many inputs");
    if (g->outputs[1]->type.dims[0] != g->inputs[0]->type.dims[0]) /* a prediction for each word */
        for (int i = 1; i < g->inputs[0]->type.rank; i++) rows *= g->inputs[0]->type.dims[i];
    for (int i = 0; i < b->input_count; i++) {
        hone_type t = g->inputs[i]->type;
        const bool is_target = i == b->input_count - 1;
        if (t.rank > 0) t.dims[0] = is_target ? rows : o->batch;
        HONE_TRY(hone_tensor_new(t.dtype, t.rank, t.dims, &b->inputs[i], err));
        fill(b->inputs[i], &rng, is_target ? classes : WORDS);
        if (t.rank == 0) *(float *)b->inputs[i]->data = strcmp(g->inputs[i]->name, "rate") == 0 ? 1e-3f : 1;
    }
    return HONE_OK;
}

static hone_status start(bench *b, const options *o, hone_error *err) {
    hone_train_options training = HONE_TRAIN_OPTIONS_INIT;
    hone_session_options session = HONE_SESSION_OPTIONS_INIT;
    hone_model_options compiling = HONE_MODEL_OPTIONS_INIT;
    hone_derivation d = {.options = &training};
    compiling.disable_rewrites = o->disable;
    session.threads = o->threads;
    if (o->optimizer && strcmp(o->optimizer, "adamw") == 0)
        training.optimizer = HONE_OPTIMIZER_ADAMW;
    else if (!o->optimizer || strcmp(o->optimizer, "sgd") == 0)
        training.optimizer = HONE_OPTIMIZER_SGD;
    else
        return hone_fail(err, HONE_INVALID_ARGUMENT, "no optimizer '%s'", o->optimizer);
    HONE_TRY(hone_graph_load(o->model, &b->graph, err));
    HONE_TRY(hone_objective_find("cross-entropy", &d.objective, err));
    d.model = b->graph;
    HONE_TRY(hone_derive_training(&d, &b->training, err));
    for (size_t i = 0; i < b->training.graph->value_count; i++) {
        const hone_value *v = b->training.graph->values[i];
        if (v && v->trainable) b->trained += v->data->count;
    }
    HONE_TRY(make_inputs(b, o, err));
    hone_graph_free(b->graph);
    b->graph = NULL;
    hone_graph *g = b->training.graph;
    b->training.graph = NULL;
    HONE_TRY(hone_model_take(g, &compiling, &b->model, err));
    HONE_TRY(hone_session_create(b->model, &session, &b->session, err));
    return hone_context_create(b->session, &b->context, err);
}

static hone_status step(bench *b, float *loss, hone_error *err) {
    const hone_tensor *outputs[2];
    HONE_TRY(hone_context_run(b->context, (const hone_tensor *const *)b->inputs, outputs, err));
    if (loss) *loss = *(const float *)outputs[0]->data;
    return HONE_OK;
}

/* In MB, of this program alone: what getrusage tells is the parent's, where that had more. */
static double peak_memory(void) {
    char text[256];
    double kilobytes = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(text, sizeof text, f))
        if (strncmp(text, "VmHWM:", 6) == 0) kilobytes = atof(text + 6);
    if (f) fclose(f);
    return kilobytes / 1024;
}

/* Seconds of all threads. */
static double processor_time(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static hone_status answer(bench *b, double seconds, hone_error *err) {
    static double times[MOST_TIMES], spent[MOST_TIMES];
    int count = 0;
    double used = processor_time();
    for (double now = hone_seconds_now(), end = now + seconds; count < MOST_TIMES && (count < 3 || now < end);
         count++) {
        HONE_TRY(step(b, NULL, err));
        const double then = now;
        now = hone_seconds_now();
        times[count] = now - then;
        spent[count] = processor_time() - used;
        used += spent[count];
    }
    qsort(times, (size_t)count, sizeof *times, compare_doubles);
    qsort(spent, (size_t)count, sizeof *spent, compare_doubles);
    printf("%.3f %.3f %.1f\n", times[count / 2] * 1e6, spent[count / 2] * 1e6, peak_memory());
    fflush(stdout);
    return HONE_OK;
}

/* --- the profile --- */

typedef struct line {
    const char *op, *kernel;
    double microseconds;
    int count;
} line;

static int by_time(const void *a, const void *b) {
    return compare_doubles(&((const line *)b)->microseconds, &((const line *)a)->microseconds);
}

static hone_status profile(bench *b, hone_error *err) {
    static line lines[MOST_LINES];
    static double least[MOST_STEPS];
    int count = 0;
    double all = 0;
    hone_step_info info;
    hone_context_set_profiling(b->context, true);
    for (int i = 0; i < PROFILED; i++) {
        HONE_TRY(step(b, NULL, err));
        for (int s = 0; s < MOST_STEPS && hone_context_step(b->context, s, &info); s++)
            if (i == 0 || info.microseconds < least[s]) least[s] = info.microseconds;
    }
    for (int s = 0; s < MOST_STEPS && hone_context_step(b->context, s, &info); s++) {
        int at = 0;
        while (at < count &&
               (strcmp(lines[at].op, info.op) != 0 || strcmp(lines[at].kernel, info.kernel) != 0))
            at++;
        if (at == MOST_LINES) continue;
        if (at == count) lines[count++] = (line){info.op, info.kernel, 0, 0};
        lines[at].microseconds += least[s];
        lines[at].count++;
        all += least[s];
    }
    qsort(lines, (size_t)count, sizeof *lines, by_time);
    printf("%10.1f µs in all, workspace %.1f MB\n", all, (double)hone_context_workspace(b->context) / 1e6);
    for (int i = 0; i < count; i++)
        printf("%10.1f µs %5.1f %% %4d × %s (%s)\n", lines[i].microseconds, 100 * lines[i].microseconds / all,
               lines[i].count, lines[i].op, lines[i].kernel);
    if (getenv("STEPS"))
        for (int s = 0; hone_context_step(b->context, s, &info); s++)
            printf("%4d %9.1f %s (%s) %s\n", s, least[s], info.op, info.kernel, info.node);
    return HONE_OK;
}

static hone_status run(bench *b, const options *o, double begun, hone_error *err) {
    char text[64];
    HONE_TRY(start(b, o, err));
    for (int i = 0; i < o->losses; i++) {
        float loss;
        HONE_TRY(step(b, &loss, err));
        printf("%.9g\n", (double)loss);
    }
    if (o->losses) return HONE_OK;
    HONE_TRY(hone_context_reserve(b->context, (const hone_tensor *const *)b->inputs, err));
    const double first = hone_seconds_now() - begun;
    for (int i = 0; i < 3; i++) HONE_TRY(step(b, NULL, err));
    if (o->profile) return profile(b, err);
    printf("ready hone %lld %.4f\n", (long long)b->trained, first);
    fflush(stdout);
    while (fgets(text, sizeof text, stdin)) HONE_TRY(answer(b, atof(text), err));
    return HONE_OK;
}

static void finish(bench *b) {
    hone_context_free(b->context);
    hone_session_free(b->session);
    hone_model_free(b->model);
    hone_training_free(&b->training);
    hone_graph_free(b->graph);
    for (int i = 0; i < b->input_count; i++) hone_tensor_free(b->inputs[i]);
}

int main(int argc, char **argv) {
    const double begun = hone_seconds_now();
    options o = {.batch = 64, .threads = 1};
    bench b = {0};
    hone_error err;
    char text[1024];
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--profile") == 0)
            o.profile = true;
        else if (argv[i][0] != '-')
            o.model = argv[i];
        else if (i++, strcmp(argv[i - 1], "--batch") == 0)
            o.batch = atoll(value);
        else if (strcmp(argv[i - 1], "--threads") == 0)
            o.threads = atoi(value);
        else if (strcmp(argv[i - 1], "--optimizer") == 0)
            o.optimizer = value;
        else if (strcmp(argv[i - 1], "--losses") == 0)
            o.losses = atoi(value);
        else if (strcmp(argv[i - 1], "--disable") == 0)
            o.disable = value;
        else
            o.model = NULL;
    }
    if (!o.model) {
        fprintf(stderr, "usage: bench_step MODEL.onnx [--batch N] [--threads N] [--optimizer sgd|adamw] "
                        "[--profile] [--disable REWRITES]\n");
        return 2;
    }
    hone_status status = run(&b, &o, begun, &err);
    if (status != HONE_OK) fprintf(stderr, "bench_step: %s\n", hone_error_format(&err, text, sizeof text));
    finish(&b);
    return status != HONE_OK;
}
