/* The commands of a build that only reads and runs models (HONE_PARTS=inference): those of the same names without what needs
 * more libraries: arrays are .npy files, there is no JSON. */
#include "../options.h"
#include "../table.h"

#include <hone/arrays.h>
#include <hone/session.h>
#include <hone/version.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *model;
    cli_list inputs, outputs;
    bool mapped, profile;
    int batch, precision;
    double seconds;
    hone_session_options session;
} args = {.batch = 1, .seconds = 2, .session = HONE_SESSION_OPTIONS_INIT};

#define OPT_FILES(name, field, help) OPT_LIST(name, "NAME=@FILE", field, help)
#define OPT_INPUT(others) OPT_FILES("input", args.inputs, "a file for an input, .npy or ONNX's .pb; " others)

/* A model, its inputs and outputs. */
typedef struct job {
    hone_graph *graph; /* until it is compiled */
    hone_model *model;
    hone_session *session;
    hone_context *context;
    int input_count, output_count;
    hone_tensor **inputs;
    const hone_tensor **outputs;
} job;

static int load(job *j) {
    hone_error err = {0};
    CLI_TRY((args.mapped ? hone_graph_load_mapped : hone_graph_load)(args.model, &j->graph, &err));
    j->input_count = hone_graph_input_count(j->graph);
    j->output_count = hone_graph_output_count(j->graph);
    j->inputs = cli_alloc((size_t)j->input_count * sizeof *j->inputs);
    j->outputs = cli_alloc((size_t)j->output_count * sizeof *j->outputs);
    return CLI_OK;
}

static int compile(job *j) {
    hone_error err = {0};
    hone_model_options m = HONE_MODEL_OPTIONS_INIT;
    hone_graph *g = j->graph;
    m.threads = args.session.threads;
    m.precision = (hone_precision)args.precision;
    j->graph = NULL;
    CLI_TRY_MODEL(args.model, hone_model_take(g, &m, &j->model, &err));
    CLI_TRY_MODEL(args.model, hone_session_create(j->model, &args.session, &j->session, &err));
    CLI_TRY_MODEL(args.model, hone_context_create(j->session, &j->context, &err));
    return CLI_OK;
}

static void end(job *j) {
    for (int i = 0; i < j->input_count; i++) hone_tensor_free(j->inputs[i]);
    free(j->inputs);
    free(j->outputs);
    hone_context_free(j->context);
    hone_session_free(j->session);
    hone_model_free(j->model);
    hone_graph_free(j->graph);
}

static hone_status run_once(job *j, hone_error *err) {
    return hone_context_run(j->context, (const hone_tensor *const *)j->inputs, j->outputs, err);
}

typedef bool value_fn(const hone_graph *g, int index, hone_value_info *out);

/* The input or output that NAME=@FILE names, and its file; NULL after saying what is wrong. */
static const char *file_of(const char *text, const hone_graph *g, value_fn *get, int *index,
                           hone_value_info *v) {
    const char *at = strstr(text, "=@");
    for (*index = 0; at && get(g, *index, v); ++*index)
        if (strlen(v->name) == (size_t)(at - text) && memcmp(v->name, text, (size_t)(at - text)) == 0)
            return at + 2;
    if (at)
        cli_usage_error("%s: the model has no '%.*s' of that kind", args.model, (int)(at - text), text);
    else
        cli_usage_error("'%s' is not NAME=@FILE", text);
    return NULL;
}

static bool ends(const char *file, const char *ending) {
    size_t n = strlen(file), m = strlen(ending);
    return n > m && strcmp(file + n - m, ending) == 0;
}

static int load_inputs(job *j) {
    hone_error err = {0};
    hone_value_info v;
    for (int k = 0, i; k < args.inputs.count; k++) {
        hone_tensor *t = NULL;
        const char *file = file_of(args.inputs.items[k], j->graph, hone_graph_input, &i, &v);
        if (!file) return CLI_USAGE;
        if (ends(file, ".pb"))
            CLI_TRY(hone_value_load(file, &v, &t, &err));
        else
            CLI_TRY(hone_npy_load(file, &t, &err));
        hone_tensor_free(j->inputs[i]);
        j->inputs[i] = t;
        if (v.kind != HONE_KIND_TENSOR || v.dtype == hone_tensor_dtype(t)) continue;
        hone_status status = hone_tensor_convert(t, v.dtype, &j->inputs[i], &err);
        if (status != HONE_OK) return cli_error("%s: for input '%s': %s", file, v.name, err.message);
        cli_note("%s: %s becomes %s for input '%s'", file, hone_dtype_name(hone_tensor_dtype(t)),
                 hone_dtype_name(v.dtype), v.name);
        hone_tensor_free(t);
    }
    return CLI_OK;
}

/* --- run --- */

static const cli_option run_options[] = {
    OPT_MODEL(args.model),
    OPT_INPUT("each input needs one"),
    OPT_FILES("output", args.outputs,
              ".npy file for an output; without: show the first numbers of all outputs"),
    OPT_THREADS(args.session.threads),
    OPT_MMAP(args.mapped),
    OPT_PRECISION(args.precision),
    OPT_END,
};

enum { SHOWN = 10 };

static void print_output(const char *name, const hone_tensor *t) {
    if (hone_tensor_kind(t) != HONE_KIND_TENSOR) {
        printf("%s: %s\n", name, cli_kind_text(hone_tensor_kind(t)));
        return;
    }
    printf("%s: %s", name, cli_tensor_text(t));
    for (int64_t i = 0; i < hone_tensor_count(t) && i < SHOWN; i++) {
        size_t size = 0;
        if (hone_tensor_dtype(t) == HONE_STRING) {
            const char *text = hone_tensor_string(t, i, &size);
            printf(" \"%.*s\"", (int)size, text);
        } else {
            printf(" %.7g", hone_tensor_number(t, i));
        }
    }
    puts(hone_tensor_count(t) > SHOWN ? " ..." : "");
}

static int give_outputs(const job *j) {
    hone_error err = {0};
    hone_value_info v;
    const hone_graph *g = hone_model_signature(j->model);
    for (int k = 0, i; k < args.outputs.count; k++) {
        const char *file = file_of(args.outputs.items[k], g, hone_graph_output, &i, &v);
        if (hone_tensor_kind(j->outputs[i]) != HONE_KIND_TENSOR)
            return cli_error("%s: output '%s' is a %s; this build writes tensors", file, v.name,
                             cli_kind_text(hone_tensor_kind(j->outputs[i])));
        CLI_TRY(hone_npy_save(file, j->outputs[i], &err));
    }
    for (int i = 0; args.outputs.count == 0 && hone_graph_output(g, i, &v); i++)
        print_output(v.name, j->outputs[i]);
    return CLI_OK;
}

static int run_model(job *j) {
    hone_error err = {0};
    hone_value_info v;
    int status = load(j), at;
    for (int k = 0; status == CLI_OK && k < args.outputs.count; k++)
        if (!file_of(args.outputs.items[k], j->graph, hone_graph_output, &at, &v)) status = CLI_USAGE;
    if (status == CLI_OK) status = load_inputs(j);
    for (int i = 0; status == CLI_OK && hone_graph_input(j->graph, i, &v); i++)
        if (!j->inputs[i]) status = cli_usage_error("--input is missing for: %s", v.name);
    if (status == CLI_OK) status = compile(j);
    if (status != CLI_OK) return status;
    CLI_TRY_MODEL(args.model, run_once(j, &err));
    return give_outputs(j);
}

static int run_command(void) {
    job j = {0};
    int status = run_model(&j);
    end(&j);
    return status;
}

const cli_command cli_cmd_run = {"run", "run a model on files of arrays",
                                 "  hone run m.onnx --input input=@x.npy --output logits=@y.npy", run_options,
                                 run_command};

/* --- inspect --- */

static const cli_option inspect_options[] = {OPT_MODEL(args.model), OPT_END};

static void print_values(const hone_graph *g, const char *what, value_fn *get) {
    hone_value_info v;
    for (int i = 0; get(g, i, &v); i++) printf("%-15s %s: %s\n", i ? "" : what, v.name, cli_type_text(g, &v));
}

static void add_op(void *table, const char *domain, const char *op, int64_t count) {
    cli_table_row(table, *domain ? cli_text("%s.%s", domain, op) : op, cli_count(count), NULL);
}

static int inspect(void) {
    hone_error err = {0};
    hone_graph_stats s;
    job j = {0};
    int loaded = load(&j);
    if (loaded != CLI_OK) return loaded;
    cli_table *table = cli_table_new("lr");
    cli_table_row(table, "operator", "nodes", NULL);
    hone_status status = hone_graph_get_stats(j.graph, &s, &err);
    if (status == HONE_OK) status = hone_graph_count_ops(j.graph, add_op, table, &err);
    if (status == HONE_OK) {
        printf("%-15s %s\n", "model", hone_graph_name(j.graph));
        print_values(j.graph, "inputs", hone_graph_input);
        print_values(j.graph, "outputs", hone_graph_output);
        printf("%-15s %s, of these %s not zero\n", "parameters", cli_count(s.parameters),
               cli_count(s.nonzero_parameters));
        printf("%-15s %s a sample\n\n", "multiply-adds", cli_count(s.multiply_adds));
        cli_table_print(table, stdout);
    }
    cli_table_free(table);
    end(&j);
    return status == HONE_OK ? CLI_OK : cli_fail(&err);
}

const cli_command cli_cmd_inspect = {"inspect", "show a model's inputs, outputs, operators and cost", NULL,
                                     inspect_options, inspect};

/* --- bench --- */

static const cli_option bench_options[] = {
    OPT_MODEL(args.model),
    OPT_INPUT("the others are zeros"),
    OPT_INT("batch", "N", args.batch, 1, 1 << 20,
            "what the dimensions of inputs are that neither the model nor a file tells"),
    OPT_NUMBER("seconds", "S", args.seconds, CLI_ABOVE_ZERO, 3600, "how long to measure"),
    OPT_FLAG("profile", args.profile, "also show what each step took in the last run"),
    OPT_THREADS(args.session.threads),
    OPT_MMAP(args.mapped),
    OPT_PRECISION(args.precision),
    OPT_END,
};

enum { MAX_RUNS = 1 << 20, MIN_RUNS = 10 };

static int make_inputs(job *j) {
    hone_error err = {0};
    hone_value_info v;
    for (int i = 0; hone_graph_input(j->graph, i, &v); i++) {
        if (j->inputs[i]) continue;
        if (v.kind != HONE_KIND_TENSOR || v.rank < 0)
            return cli_error("%s: input '%s' has no known shape; --input gives it", args.model, v.name);
        for (int d = 0; d < v.rank; d++)
            if (v.dims[d] < 0) v.dims[d] = args.batch;
        CLI_TRY(hone_tensor_new(v.dtype, v.rank, v.dims, &j->inputs[i], &err));
        memset(hone_tensor_data(j->inputs[i]), 0,
               v.dtype == HONE_STRING ? 0 : hone_tensor_bytes(j->inputs[i]));
    }
    return CLI_OK;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static hone_status measure(job *j, hone_error *err) {
    double *times = cli_alloc(MAX_RUNS * sizeof *times);
    int runs = 0;
    hone_status status = run_once(j, err); /* makes the plan */
    double start = cli_seconds_now(), before = start;
    while (status == HONE_OK && runs < MAX_RUNS && (before - start < args.seconds || runs < MIN_RUNS)) {
        status = run_once(j, err);
        double after = cli_seconds_now();
        times[runs++] = 1e6 * (after - before);
        before = after;
    }
    if (status == HONE_OK) {
        qsort(times, (size_t)runs, sizeof *times, compare);
        printf("%s runs: median %.2f µs, 99 %% within %.2f µs\n", cli_count(runs), times[(runs - 1) / 2],
               times[(int)ceil(0.99 * runs) - 1]);
    }
    free(times);
    return status;
}

static hone_status profile(job *j, hone_error *err) {
    hone_step_info s;
    hone_context_set_profiling(j->context, true);
    hone_status status = run_once(j, err);
    cli_table *t = cli_table_new("lllr");
    cli_table_row(t, "node", "operator", "kernel", "µs", NULL);
    for (int i = 0; status == HONE_OK && hone_context_step(j->context, i, &s); i++)
        cli_table_row(t, s.node ? s.node : "", s.op ? s.op : "", s.kernel ? s.kernel : "",
                      cli_text("%.2f", s.microseconds), NULL);
    putchar('\n');
    cli_table_print(t, stdout);
    cli_table_free(t);
    return status;
}

static int bench_model(job *j) {
    hone_error err = {0};
    int status = load(j);
    if (status == CLI_OK) status = load_inputs(j);
    if (status == CLI_OK) status = make_inputs(j);
    if (status == CLI_OK) status = compile(j);
    if (status != CLI_OK) return status;
    CLI_TRY_MODEL(args.model, measure(j, &err));
    if (args.profile) CLI_TRY_MODEL(args.model, profile(j, &err));
    return CLI_OK;
}

static int bench(void) {
    job j = {0};
    int status = bench_model(&j);
    end(&j);
    return status;
}

const cli_command cli_cmd_bench = {"bench", "measure how long a model takes to run", NULL, bench_options,
                                   bench};

/* --- version --- */

static const cli_option version_options[] = {OPT_END};

static int version(void) {
    printf("hone %s (inference)\ncpu %s\n", hone_version(), hone_cpu_description());
    return CLI_OK;
}

const cli_command cli_cmd_version = {"version", "show the version, and what Hone uses of this CPU",
                                     "The environment variable HONE_CPU keeps Hone from using CPU features",
                                     version_options, version};

const cli_command *const cli_commands[] = {&cli_cmd_run, &cli_cmd_inspect, &cli_cmd_bench, &cli_cmd_version,
                                           NULL};
