#include "energy.h"
#include "files.h"
#include "inputs.h"
#include "json.h"
#include "options.h"
#include "table.h"

#include <hone/session.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *model;
    int batch;
    double seconds, warmup;
    uint64_t seed;
    bool json, profile, mapped, energy;
    cli_energy cost;
    int precision;
    cli_list inputs;
    hone_session_options session;
} args = {.batch = 1,
          .seconds = 2,
          .warmup = 0.2,
          .seed = 1,
          .cost = CLI_ENERGY_INIT,
          .session = HONE_SESSION_OPTIONS_INIT};

static const cli_option options[] = {
    OPT_MODEL(args.model),
    OPT_INPUTS(args.inputs, "a file for an input; the others are random numbers"),
    OPT_INT("batch", "N", args.batch, 1, 1 << 20,
            "what the first dimension of inputs is, where neither the model nor a file tells"),
    OPT_NUMBER("seconds", "S", args.seconds, CLI_ABOVE_ZERO, 3600, "how long to measure"),
    OPT_NUMBER("warmup", "S", args.warmup, 0, 3600, "how long to run before", .zero = "not"),
    OPT_FLAG("profile", args.profile, "also measure each step of the plan, and add them up by operator"),
    OPT_FLAG("energy", args.energy, "also tell the energy that a sample takes"),
    OPT_ENERGY(args.cost),
    OPT_SEED(args.seed),
    OPT_THREADS(args.session.threads),
    OPT_MMAP(args.mapped),
    OPT_PRECISION(args.precision),
    OPT_JSON(args.json),
    OPT_END,
};

enum { MAX_RUNS = 1 << 22, MIN_RUNS = 10, PROFILE_RUNS = 100 };

typedef struct job {
    hone_graph *graph;
    hone_model *model, *reference;
    hone_session *session;
    hone_context *context;
    hone_tensor **inputs;
    const hone_tensor **outputs;
    int input_count;
    int64_t batch; /* samples of a run */
    double *times; /* microseconds, of each run */
    int64_t runs;
    double seconds;
    double *steps; /* microseconds, the median of each step */
    int step_count;
    double
        change; /* of outputs, against float32's: the largest, relative to the largest of the output; -1: not known */
} job;

/* SplitMix64. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Floats in [0, 1), integers 0 or 1: small enough to be indices. */
static hone_status fill(hone_tensor *t, uint64_t *state) {
    void *data = hone_tensor_data(t);
    int64_t count = hone_tensor_count(t);
    size_t size = hone_dtype_size(hone_tensor_dtype(t));
    for (size_t i = 0; size == 0 && i + 1 < hone_tensor_bytes(t);
         i++) /* elements that share bytes: 0 or 1 each */
        ((uint8_t *)data)[i] =
            (uint8_t)(next_random(state) & (hone_dtype_bits(hone_tensor_dtype(t)) == 4 ? 0x11 : 0x55));
    for (int64_t i = 0; size > 0 && i < count; i++) {
        uint64_t r = next_random(state);
        if (hone_tensor_dtype(t) == HONE_FLOAT32)
            ((float *)data)[i] = (float)(r >> 40) * 0x1p-24f;
        else if (hone_tensor_dtype(t) == HONE_FLOAT64)
            ((double *)data)[i] = (double)(r >> 11) * 0x1p-53;
        else if (hone_tensor_dtype(t) == HONE_FLOAT16 || hone_tensor_dtype(t) == HONE_BFLOAT16 ||
                 hone_tensor_dtype(t) == HONE_STRING)
            return HONE_UNSUPPORTED;
        else
            memset((char *)data + (size_t)i * size, 0, size),
                ((char *)data)[(size_t)i * size] = (char)(r & 1);
    }
    return HONE_OK;
}

/* What a symbolic dimension is in the inputs that are there; -1: none of them has it. */
static int64_t bound(const job *j, int64_t symbol) {
    hone_value_info v;
    for (int i = 0; symbol != HONE_DIM_ANY && hone_graph_input(j->graph, i, &v); i++)
        for (int d = 0; j->inputs[i] && d < v.rank && d < hone_tensor_rank(j->inputs[i]); d++)
            if (v.dims[d] == symbol) return hone_tensor_dims(j->inputs[i])[d];
    return -1;
}

static int make_input(job *j, int i, hone_value_info *v, uint64_t *state) {
    hone_error err = {0};
    const char *advice = "--input gives it";
    if (v->kind != HONE_KIND_TENSOR)
        return cli_error("%s: input '%s' is no tensor; %s", args.model, v->name, advice);
    if (v->rank < 0) return cli_error("%s: input '%s' has no known rank; %s", args.model, v->name, advice);
    for (int d = 0; d < v->rank; d++) {
        if (v->dims[d] >= 0) continue;
        int64_t size = bound(j, v->dims[d]);
        if (size < 0 && d > 0)
            return cli_error("%s: dimension %d of input '%s' is not fixed: %s; %s", args.model, d, v->name,
                             cli_type_text(j->graph, v), advice);
        v->dims[d] = size < 0 ? args.batch : size;
    }
    CLI_TRY(hone_tensor_new(v->dtype, v->rank, v->dims, &j->inputs[i], &err));
    if (fill(j->inputs[i], state) != HONE_OK)
        return cli_error("%s: input '%s' is %s, which bench cannot make up; %s", args.model, v->name,
                         hone_dtype_name(v->dtype), advice);
    return CLI_OK;
}

/* From files, and the others made up. */
static int make_inputs(job *j) {
    hone_value_info v;
    uint64_t state = args.seed;
    int status = cli_inputs_load(&args.inputs, args.model, j->graph, j->inputs);
    j->batch = args.batch;
    for (int i = 0; i < j->input_count && status == CLI_OK; i++)
        if (j->inputs[i] && hone_tensor_rank(j->inputs[i]) > 0) {
            j->batch = hone_tensor_dims(j->inputs[i])[0];
            break;
        }
    for (int i = 0; hone_graph_input(j->graph, i, &v) && status == CLI_OK; i++)
        if (!j->inputs[i]) status = make_input(j, i, &v, &state);
    return status;
}

static hone_status run_once(job *j, hone_error *err) {
    return hone_context_run(j->context, (const hone_tensor *const *)j->inputs, j->outputs, err);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static hone_status measure(job *j, hone_error *err) {
    hone_status status = run_once(j, err); /* makes the plan */
    for (double end = cli_seconds_now() + args.warmup; status == HONE_OK && cli_seconds_now() < end;)
        status = run_once(j, err);
    if (args.energy) cli_energy_start(&args.cost);
    double start = cli_seconds_now(), before = start;
    while (status == HONE_OK && j->runs < MAX_RUNS && (before - start < args.seconds || j->runs < MIN_RUNS)) {
        status = run_once(j, err);
        double after = cli_seconds_now();
        j->times[j->runs++] = 1e6 * (after - before);
        before = after;
    }
    j->seconds = before - start;
    if (args.energy) cli_energy_stop(&args.cost);
    qsort(j->times, (size_t)j->runs, sizeof *j->times, compare);
    return status;
}

/* Medians: on a busy machine the mean of a few runs tells of its other work. */
static hone_status profile(job *j, hone_error *err) {
    hone_step_info step;
    int count = j->step_count = hone_context_step_count(j->context);
    double *all = cli_alloc((size_t)count * PROFILE_RUNS * sizeof *all); /* [step, run] */
    j->steps = cli_alloc((size_t)count * sizeof *j->steps);
    hone_context_set_profiling(j->context, true);
    hone_status status = HONE_OK;
    for (int r = 0; r < PROFILE_RUNS && status == HONE_OK; r++) {
        status = run_once(j, err);
        for (int i = 0; i < count && hone_context_step(j->context, i, &step); i++)
            all[i * PROFILE_RUNS + r] = step.microseconds;
    }
    hone_context_set_profiling(j->context, false);
    for (int i = 0; i < count; i++) {
        qsort(all + i * PROFILE_RUNS, PROFILE_RUNS, sizeof *all, compare);
        j->steps[i] = all[i * PROFILE_RUNS + PROFILE_RUNS / 2];
    }
    free(all);
    return status;
}

/* The largest difference between floats of two outputs, relative to the largest number of the first. */
static double change_of(const hone_tensor *want, const hone_tensor *got) {
    double most = 0, difference = 0;
    const hone_dtype dtype = hone_tensor_dtype(want);
    if (hone_tensor_kind(want) != HONE_KIND_TENSOR || dtype != HONE_FLOAT32 ||
        hone_tensor_count(want) != hone_tensor_count(got))
        return 0;
    for (int64_t i = 0; i < hone_tensor_count(want); i++) {
        const double x = hone_tensor_number(want, i), y = hone_tensor_number(got, i);
        most = fmax(most, fabs(x));
        difference = fmax(difference, fabs(x - y));
    }
    return most > 0 ? difference / most : difference;
}

/* What --precision changes, with the inputs at hand: `reference` computes in float32. */
static hone_status measure_change(job *j, hone_model *reference, hone_error *err) {
    hone_session *session = NULL;
    hone_context *context = NULL;
    const int count = hone_graph_output_count(hone_model_signature(reference));
    const hone_tensor **want = cli_alloc((size_t)count * sizeof *want);
    hone_status status = hone_session_create(reference, &args.session, &session, err);
    if (status == HONE_OK) status = hone_context_create(session, &context, err);
    if (status == HONE_OK)
        status = hone_context_run(context, (const hone_tensor *const *)j->inputs, want, err);
    if (status == HONE_OK) status = run_once(j, err);
    for (int i = 0; status == HONE_OK && i < count; i++)
        j->change = fmax(j->change, change_of(want[i], j->outputs[i]));
    hone_context_free(context);
    hone_session_free(session);
    free(want);
    return status;
}

/* The least time that the given share of the runs stayed within. */
static double quantile(const job *j, double share) {
    int64_t i = (int64_t)ceil(share * (double)j->runs) - 1;
    return j->times[i < 0 ? 0 : i];
}

static double throughput(const job *j) {
    return (double)j->batch * (double)j->runs / j->seconds;
}

/* The steps of an operator. */
typedef struct total {
    const char *op;
    int steps;
    double us;
} total;

static int costlier(const void *a, const void *b) {
    double x = ((const total *)a)->us, y = ((const total *)b)->us;
    return (x < y) - (x > y);
}

/* Of all operators, the costliest first; the caller frees them. */
static total *add_up(const job *j, int *count) {
    total *totals = cli_alloc((size_t)j->step_count * sizeof *totals);
    hone_step_info s;
    *count = 0;
    for (int i = 0; i < j->step_count && hone_context_step(j->context, i, &s); i++) {
        int k = 0;
        const char *op = s.op ? s.op : "";
        while (k < *count && strcmp(totals[k].op, op) != 0) k++;
        if (k == *count) totals[(*count)++].op = op;
        totals[k].steps++;
        totals[k].us += j->steps[i];
    }
    qsort(totals, (size_t)*count, sizeof *totals, costlier);
    return totals;
}

static double all_steps(const job *j) {
    double sum = 0;
    for (int i = 0; i < j->step_count; i++) sum += j->steps[i];
    return sum;
}

static json_t *json_operators(const job *j) {
    int count;
    total *totals = add_up(j, &count);
    double sum = all_steps(j);
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:f, s:f}", "op", totals[i].op, "steps", totals[i].steps,
                                        "us", totals[i].us, "share", sum > 0 ? totals[i].us / sum : 0.0));
    free(totals);
    return list;
}

static void print_json(const job *j) {
    json_t *o =
        json_pack("{s:I, s:o, s:o, s:o, s:I, s:i, s:I}", "runs", (json_int_t)j->runs, "median_us",
                  cli_json_number(quantile(j, 0.5)), "p99_us", cli_json_number(quantile(j, 0.99)),
                  "throughput", cli_json_number(throughput(j)), "batch", (json_int_t)j->batch, "threads",
                  args.session.threads, "workspace_bytes", (json_int_t)hone_context_workspace(j->context));
    if (args.energy) cli_energy_json(&args.cost, 1 / (double)(j->runs * j->batch), o);
    json_t *steps = json_array();
    hone_step_info s;
    for (int i = 0; i < j->step_count && hone_context_step(j->context, i, &s); i++)
        json_array_append_new(steps, json_pack("{s:s, s:s, s:s, s:f}", "node", s.node ? s.node : "", "op",
                                               s.op ? s.op : "", "kernel", s.kernel ? s.kernel : "", "us",
                                               j->steps[i]));
    if (j->steps) {
        json_object_set_new(o, "steps", steps);
        json_object_set_new(o, "operators", json_operators(j));
    } else {
        json_decref(steps);
    }
    cli_print_json(o);
}

static const char *share_text(const job *j, double us) {
    double sum = all_steps(j);
    return cli_text("%.1f %%", sum > 0 ? 100 * us / sum : 0);
}

static void print_operators(const job *j) {
    int count;
    total *totals = add_up(j, &count);
    cli_table *t = cli_table_new("lrrr");
    cli_table_row(t, "operator", "steps", "µs", "share", NULL);
    for (int i = 0; i < count; i++)
        cli_table_row(t, totals[i].op, cli_count(totals[i].steps), cli_text("%.2f", totals[i].us),
                      share_text(j, totals[i].us), NULL);
    putchar('\n');
    cli_table_print(t, stdout);
    cli_table_free(t);
    free(totals);
}

static void print_steps(const job *j) {
    hone_step_info s;
    cli_table *t = cli_table_new("lllrr");
    cli_table_row(t, "node", "operator", "kernel", "µs", "share", NULL);
    for (int i = 0; i < j->step_count && hone_context_step(j->context, i, &s); i++)
        cli_table_row(t, s.node ? s.node : "", s.op ? s.op : "", s.kernel ? s.kernel : "",
                      cli_text("%.2f", j->steps[i]), share_text(j, j->steps[i]), NULL);
    putchar('\n');
    cli_table_print(t, stdout);
    cli_table_free(t);
    print_operators(j);
}

static int work(job *j) {
    hone_error err = {0};
    int status = cli_load(args.model, args.mapped, args.json, &j->graph);
    if (status != CLI_OK) return status;
    j->input_count = hone_graph_input_count(j->graph);
    j->inputs = cli_alloc((size_t)j->input_count * sizeof *j->inputs);
    j->outputs = cli_alloc((size_t)hone_graph_output_count(j->graph) * sizeof *j->outputs);
    status = make_inputs(j);
    if (status != CLI_OK) return status;
    j->times = cli_alloc(MAX_RUNS * sizeof *j->times);
    hone_model_options m = HONE_MODEL_OPTIONS_INIT;
    m.precision = (hone_precision)args.precision;
    hone_graph *g = j->graph;
    j->change = -1;
    if (args.precision) CLI_TRY_MODEL(args.model, hone_model_compile(g, NULL, &j->reference, &err));
    j->graph = NULL;
    CLI_TRY_MODEL(args.model, hone_model_take(g, &m, &j->model, &err));
    CLI_TRY_MODEL(args.model, hone_session_create(j->model, &args.session, &j->session, &err));
    CLI_TRY_MODEL(args.model, hone_context_create(j->session, &j->context, &err));
    if (j->reference) CLI_TRY_MODEL(args.model, measure_change(j, j->reference, &err));
    hone_model_free(j->reference);
    j->reference = NULL;
    CLI_TRY_MODEL(args.model, measure(j, &err));
    if (args.profile) CLI_TRY_MODEL(args.model, profile(j, &err));
    if (args.json) {
        print_json(j);
        return CLI_OK;
    }
    printf("%s runs at batch %lld: median %.2f µs, 99 %% within %.2f µs, %s samples/s\n", cli_count(j->runs),
           (long long)j->batch, quantile(j, 0.5), quantile(j, 0.99), cli_count((int64_t)throughput(j)));
    if (args.energy)
        printf("energy of a sample: %s\n", cli_energy_text(&args.cost, 1 / (double)(j->runs * j->batch)));
    if (j->change >= 0)
        printf("outputs differ from float32's by %.2g of their largest number, at most\n", j->change);
    if (args.profile) print_steps(j);
    return CLI_OK;
}

static int run(void) {
    job j = {0};
    int status = work(&j);
    hone_context_free(j.context);
    hone_session_free(j.session);
    hone_model_free(j.model);
    hone_model_free(j.reference);
    for (int i = 0; i < j.input_count; i++) hone_tensor_free(j.inputs[i]);
    free(j.inputs);
    free(j.outputs);
    hone_graph_free(j.graph);
    free(j.times);
    free(j.steps);
    return status;
}

const cli_command cli_cmd_bench = {"bench", "measure how fast a model runs, on random or given inputs",
                                   "  hone bench m.onnx --batch 1 --threads 1 --json\n"
                                   "  hone bench m.onnx --batch 64 --profile\n"
                                   "  hone bench m.onnx --input ids=@ids.npy",
                                   options, run};
