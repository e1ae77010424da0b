/* One prediction in process: Hone, and beside it ONNX Runtime if its library is given, in turn in one run,
 * both through their C API with everything prepared that can be (input and output tensors are made once).
 *
 *   bench_infer MODEL [--batch N] [--threads N] [--rounds N] [--ort libonnxruntime.so.1] [--json]
 *
 * The model has one float input, whose first dimension is the batch, and one float output. The outputs are
 * compared. */
#include "base/clock.h"

#include <dlfcn.h>
#include <hone/session.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROUNDS = 1000 };
#define ROUND_SECONDS 0.02

typedef struct options {
    const char *model, *ort;
    int64_t batch;
    int threads, rounds;
    bool json;
} options;

/* --- Hone --- */

typedef struct hone_side {
    hone_graph *graph;
    hone_model *model;
    hone_session *session;
    hone_context *context;
    hone_tensor *x;
    const hone_tensor *y;
} hone_side;

static hone_status make_input(hone_side *h, int64_t batch, hone_error *err) {
    hone_value_info in;
    if (!hone_graph_input(h->graph, 0, &in) || in.dtype != HONE_FLOAT32 || in.rank < 1) {
        *err = (hone_error){.code = HONE_INVALID_ARGUMENT, .message = "the model must have one float input"};
        return err->code;
    }
    in.dims[0] = batch;
    hone_status status = hone_tensor_new(HONE_FLOAT32, in.rank, in.dims, &h->x, err);
    uint32_t state = 1;
    for (int64_t i = 0; status == HONE_OK && i < hone_tensor_count(h->x); i++) {
        state = state * 1664525 + 1013904223;
        ((float *)hone_tensor_data(h->x))[i] = (float)(state >> 8) * 0x1p-24f;
    }
    return status;
}

static hone_status open_hone(hone_side *h, const options *o, hone_error *err) {
    hone_session_options session = HONE_SESSION_OPTIONS_INIT;
    session.threads = o->threads;
    hone_status status = hone_graph_load(o->model, &h->graph, err);
    if (status == HONE_OK) status = hone_model_compile(h->graph, NULL, &h->model, err);
    if (status == HONE_OK) status = hone_session_create(h->model, &session, &h->session, err);
    if (status == HONE_OK) status = hone_context_create(h->session, &h->context, err);
    if (status == HONE_OK) status = make_input(h, o->batch, err);
    const hone_tensor *inputs[] = {h->x};
    if (status == HONE_OK) status = hone_context_run(h->context, inputs, &h->y, err);
    return status;
}

static void run_hone(void *side) {
    hone_side *h = side;
    const hone_tensor *inputs[] = {h->x};
    hone_context_run(h->context, inputs, &h->y, NULL);
}

static void close_hone(hone_side *h) {
    hone_tensor_free(h->x);
    hone_context_free(h->context);
    hone_session_free(h->session);
    hone_model_free(h->model);
    hone_graph_free(h->graph);
}

/* --- ONNX Runtime --- its C API is a table of functions whose order never changes; these are used */

enum {
    ORT_GET_ERROR_MESSAGE = 2,
    ORT_CREATE_ENV = 3,
    ORT_CREATE_SESSION = 7,
    ORT_RUN = 9,
    ORT_CREATE_SESSION_OPTIONS = 10,
    ORT_SET_INTRA_OP_THREADS = 24,
    ORT_SET_INTER_OP_THREADS = 25,
    ORT_CREATE_TENSOR_WITH_DATA = 49,
    ORT_CREATE_CPU_MEMORY_INFO = 69
};
#define ORT_API_VERSION 11 /* any version that has the functions above */

typedef void *ort_status; /* NULL: success */
typedef ort_status ort_run_fn(void *session, const void *run_options, const char *const *input_names,
                              void *const *inputs, size_t input_count, const char *const *output_names,
                              size_t output_count, void **outputs);
typedef struct ort_base {
    const void *const *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
} ort_base;

typedef struct ort_side {
    const void *const *api;
    const char *version;
    void *env, *options, *session, *memory, *input, *output;
    const char *input_name, *output_name;
    float *y;
} ort_side;

static bool ort_ok(const ort_side *s, ort_status status, const char *what) {
    if (!status) return true;
    const char *(*message)(const void *) = (const char *(*)(const void *))s->api[ORT_GET_ERROR_MESSAGE];
    fprintf(stderr, "bench_infer: ONNX Runtime, %s: %s\n", what, message(status));
    return false;
}

#define ORT(side, index, ...) ((ort_status(*)(__VA_ARGS__))(side)->api[index])

static bool ort_tensor(ort_side *s, const hone_tensor *shape, float *data, void **out) {
    ort_status status =
        ORT(s, ORT_CREATE_TENSOR_WITH_DATA, const void *, void *, size_t, const int64_t *, size_t, int,
            void **)(s->memory, data, hone_tensor_bytes(shape), hone_tensor_dims(shape),
                     (size_t)hone_tensor_rank(shape), 1, out);
    return ort_ok(s, status, "making a tensor");
}

static bool open_ort(ort_side *s, const options *o, const hone_side *h) {
    void *library = dlopen(o->ort, RTLD_NOW | RTLD_LOCAL);
    const ort_base *(*get_base)(void) =
        library ? (const ort_base *(*)(void))(uintptr_t)dlsym(library, "OrtGetApiBase") : NULL;
    if (!get_base) {
        fprintf(stderr, "bench_infer: %s\n", dlerror());
        return false;
    }
    s->version = get_base()->get_version();
    s->api = get_base()->get_api(ORT_API_VERSION);
    hone_value_info in, out;
    hone_graph_input(h->graph, 0, &in);
    hone_graph_output(h->graph, 0, &out);
    s->input_name = in.name;
    s->output_name = out.name;
    s->y = calloc((size_t)hone_tensor_count(h->y), sizeof *s->y);
    return s->y &&
           ort_ok(s, ORT(s, ORT_CREATE_ENV, int, const char *, void **)(3, "bench", &s->env), "starting") &&
           ort_ok(s, ORT(s, ORT_CREATE_SESSION_OPTIONS, void **)(&s->options), "options") &&
           ort_ok(s, ORT(s, ORT_SET_INTRA_OP_THREADS, void *, int)(s->options, o->threads), "threads") &&
           ort_ok(s, ORT(s, ORT_SET_INTER_OP_THREADS, void *, int)(s->options, 1), "threads") &&
           ort_ok(s,
                  ORT(s, ORT_CREATE_SESSION, const void *, const char *, const void *,
                      void **)(s->env, o->model, s->options, &s->session),
                  "loading") &&
           ort_ok(s, ORT(s, ORT_CREATE_CPU_MEMORY_INFO, int, int, void **)(0, 0, &s->memory), "memory") &&
           ort_tensor(s, h->x, hone_tensor_data(h->x), &s->input) && ort_tensor(s, h->y, s->y, &s->output);
}

static ort_status run_ort_once(ort_side *s) {
    return ((ort_run_fn *)s->api[ORT_RUN])(s->session, NULL, &s->input_name, &s->input, 1, &s->output_name, 1,
                                           &s->output);
}

static void run_ort(void *side) {
    run_ort_once(side);
}

/* --- measuring --- */

/* Calls that take about a round. */
static int calls_for(void (*run)(void *), void *side) {
    int calls = 1;
    for (;; calls *= 2) {
        double start = hone_seconds_now();
        for (int i = 0; i < calls; i++) run(side);
        double took = hone_seconds_now() - start;
        if (took > ROUND_SECONDS / 4) return 1 + (int)(calls * ROUND_SECONDS / took);
    }
}

static double round_of(void (*run)(void *), void *side, int calls) {
    double start = hone_seconds_now();
    for (int i = 0; i < calls; i++) run(side);
    return (hone_seconds_now() - start) / calls;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *x, int n) {
    static double sorted[MAX_ROUNDS];
    memcpy(sorted, x, (size_t)n * sizeof *x);
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    return sorted[n / 2];
}

typedef struct result {
    double hone, ort, ratio, difference;
    bool same_classes;
} result;

static void compare_outputs(result *r, const hone_tensor *y, const float *other) {
    const float *mine = hone_tensor_data(y);
    int64_t rows = hone_tensor_dims(y)[0], columns = hone_tensor_count(y) / rows;
    r->same_classes = true;
    for (int64_t i = 0; i < rows; i++) {
        int64_t a = 0, b = 0;
        for (int64_t j = 0; j < columns; j++) {
            int64_t at = i * columns + j;
            r->difference = fmax(r->difference, fabs((double)mine[at] - other[at]));
            if (mine[at] > mine[i * columns + a]) a = j;
            if (other[at] > other[i * columns + b]) b = j;
        }
        r->same_classes = r->same_classes && a == b;
    }
}

static void measure(const options *o, hone_side *h, ort_side *s, result *r) {
    static double mine[MAX_ROUNDS], other[MAX_ROUNDS], ratios[MAX_ROUNDS];
    int hone_calls = calls_for(run_hone, h), ort_calls = s ? calls_for(run_ort, s) : 0;
    for (int i = 0; i < o->rounds; i++) {
        mine[i] = round_of(run_hone, h, hone_calls);
        if (s) other[i] = round_of(run_ort, s, ort_calls);
        ratios[i] = other[i] / mine[i];
    }
    *r = (result){
        .hone = median(mine, o->rounds), .ort = median(other, o->rounds), .ratio = median(ratios, o->rounds)};
    if (s) compare_outputs(r, h->y, s->y);
}

static void print(const options *o, const ort_side *s, const result *r) {
    if (o->json) {
        printf("{\"model\": \"%s\", \"batch\": %lld, \"threads\": %d, \"hone_us\": %.3f", o->model,
               (long long)o->batch, o->threads, r->hone * 1e6);
        if (s)
            printf(", \"ort_us\": %.3f, \"ort_over_hone\": %.3f, \"ort_version\": \"%s\", "
                   "\"max_difference\": %g, "
                   "\"same_classes\": %s",
                   r->ort * 1e6, r->ratio, s->version, r->difference, r->same_classes ? "true" : "false");
        printf("}\n");
        return;
    }
    printf("%s, batch %lld: Hone %.2f µs", o->model, (long long)o->batch, r->hone * 1e6);
    if (s)
        printf(", ONNX Runtime %s %.2f µs, %.2f × as fast; outputs differ by at most %g", s->version,
               r->ort * 1e6, r->ratio, r->difference);
    printf("\n");
}

static int usage(void) {
    fprintf(stderr,
            "usage: bench_infer MODEL [--batch N] [--threads N] [--rounds N] [--ort LIBRARY] [--json]\n");
    return 2;
}

int main(int argc, char **argv) {
    options o = {.batch = 1, .threads = 1, .rounds = 31};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--json") == 0)
            o.json = true;
        else if (argv[i][0] != '-' && !o.model)
            o.model = argv[i];
        else if (!value)
            return usage();
        else if (strcmp(argv[i], "--batch") == 0)
            o.batch = atoll(argv[++i]);
        else if (strcmp(argv[i], "--threads") == 0)
            o.threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--rounds") == 0)
            o.rounds = atoi(argv[++i]);
        else if (strcmp(argv[i], "--ort") == 0)
            o.ort = argv[++i];
        else
            return usage();
    }
    if (!o.model || o.batch < 1 || o.rounds < 1 || o.rounds > MAX_ROUNDS) return usage();
    hone_side h = {0};
    ort_side s = {0};
    hone_error err;
    int status = 0;
    if (open_hone(&h, &o, &err) != HONE_OK) {
        char text[1024];
        fprintf(stderr, "bench_infer: %s\n", hone_error_format(&err, text, sizeof text));
        status = 1;
    } else if (o.ort && (!open_ort(&s, &o, &h) || !ort_ok(&s, run_ort_once(&s), "running"))) {
        status = 1;
    } else {
        result r;
        measure(&o, &h, o.ort ? &s : NULL, &r);
        print(&o, o.ort ? &s : NULL, &r);
    }
    free(s.y); /* ONNX Runtime's objects go with the process */
    close_hone(&h);
    return status;
}
