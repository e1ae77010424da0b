#include "files.h"
#include "options.h"
#include "signals.h"
#include "values.h"

#include <hone/data.h>
#include <hone/session.h>

#include <stdlib.h>
#include <string.h>

static struct {
    const char *model;
    cli_list inputs, outputs;
    int threads;
    bool json, mapped;
} args;

static const cli_option options[] = {
    OPT_MODEL(args.model),
    OPT_LIST("input", "NAME=@FILE", args.inputs, "NPY file for an input, one for each", .required = true),
    OPT_LIST("output", "NAME=@FILE", args.outputs,
             "NPY file to write an output to; without: show all outputs"),
    OPT_THREADS(args.threads),
    OPT_MMAP(args.mapped),
    OPT_JSON(args.json),
    OPT_END,
};

enum { MAX_VALUES = 64 };
_Static_assert(sizeof args.inputs.items == MAX_VALUES * sizeof(char *), "one argument for each value");

typedef bool value_fn(const hone_graph *g, int index, hone_value_info *out);

typedef struct job {
    hone_graph *loaded;      /* until it is compiled */
    const hone_graph *graph; /* then the model's signature */
    hone_model *model;
    hone_session *session;
    hone_context *context;
    hone_tensor *inputs[MAX_VALUES];
    const hone_tensor *outputs[MAX_VALUES];
    int input_count, output_count;
    const char *out_file[MAX_VALUES]; /* of each output; NULL: not asked for */
} job;

static void append(char *text, size_t size, const char *more) {
    size_t length = strlen(text);
    snprintf(text + length, size - length, "%s%s", length ? ", " : "", more);
}

/* The value called NAME in the text NAME=@FILE; -1 after saying what is wrong. */
static int find(const char *option, const char *text, const hone_graph *g, value_fn *get, const char **file) {
    const char *sign = strstr(text, "=@");
    if (!sign || sign == text || !sign[2]) {
        cli_usage_error("--%s needs NAME=@FILE, not '%s'", option, text);
        return -1;
    }
    char known[512] = "";
    hone_value_info v;
    *file = sign + 2;
    for (int i = 0; get(g, i, &v); i++) {
        if (strlen(v.name) == (size_t)(sign - text) && memcmp(v.name, text, strlen(v.name)) == 0) return i;
        append(known, sizeof known, v.name);
    }
    cli_usage_error("--%s: %s has no %s '%.*s'; it has: %s", option, args.model, option, (int)(sign - text),
                    text, known);
    return -1;
}

static bool fits(const hone_value_info *v, const hone_tensor *t) {
    if (hone_tensor_dtype(t) != v->dtype) return false;
    if (v->rank < 0) return true;
    if (hone_tensor_rank(t) != v->rank) return false;
    for (int d = 0; d < v->rank; d++)
        if (v->dims[d] >= 0 && v->dims[d] != hone_tensor_dims(t)[d]) return false;
    return true;
}

static int load_inputs(job *j) {
    hone_error err = {0};
    hone_value_info v;
    char missing[512] = "";
    for (int i = 0; i < args.inputs.count; i++) {
        const char *file;
        int at = find("input", args.inputs.items[i], j->graph, hone_graph_input, &file);
        if (at < 0) return CLI_USAGE;
        hone_graph_input(j->graph, at, &v);
        if (j->inputs[at]) return cli_usage_error("--input %s is given twice", v.name);
        CLI_TRY(hone_npy_load(file, &j->inputs[at], &err));
        if (!fits(&v, j->inputs[at]))
            return cli_error("%s: is %s, but input '%s' is %s", file, cli_tensor_text(j->inputs[at]), v.name,
                             cli_type_text(j->graph, &v));
    }
    for (int i = 0; hone_graph_input(j->graph, i, &v); i++)
        if (!j->inputs[i]) append(missing, sizeof missing, v.name);
    return missing[0] ? cli_usage_error("--input is missing for: %s", missing) : CLI_OK;
}

static int choose_outputs(job *j) {
    hone_error err = {0};
    for (int i = 0; i < args.outputs.count; i++) {
        const char *file;
        int at = find("output", args.outputs.items[i], j->graph, hone_graph_output, &file);
        if (at < 0) return CLI_USAGE;
        if (j->out_file[at]) return cli_usage_error("--output %s is given twice", args.outputs.items[i]);
        j->out_file[at] = file;
        CLI_TRY(cli_check_output(file, &err));
    }
    return CLI_OK;
}

static json_t *json_output(const hone_value_info *v, const hone_tensor *t) {
    return json_pack("{s:s, s:s, s:o, s:o}", "name", v->name, "dtype", hone_dtype_name(hone_tensor_dtype(t)),
                     "shape", cli_json_shape(NULL, hone_tensor_dims(t), hone_tensor_rank(t)), "first",
                     cli_json_values(t));
}

static void print_output(const hone_value_info *v, const hone_tensor *t) {
    printf("%s: %s\n", v->name, cli_tensor_text(t));
    cli_print_values(t);
}

static int give_outputs(const job *j) {
    hone_error err = {0};
    hone_value_info v;
    json_t *list = json_array();
    for (int i = 0; hone_graph_output(j->graph, i, &v); i++) {
        if (args.json)
            json_array_append_new(list, json_output(&v, j->outputs[i]));
        else if (args.outputs.count == 0)
            print_output(&v, j->outputs[i]);
        if (!j->out_file[i]) continue;
        cli_signals_hold();
        hone_status status = hone_npy_save(j->out_file[i], j->outputs[i], &err);
        cli_signals_release();
        if (status == HONE_OK) continue;
        json_decref(list);
        return cli_fail(&err);
    }
    if (args.json)
        cli_print_json(json_pack("{s:o}", "outputs", list));
    else
        json_decref(list);
    return CLI_OK;
}

static int work(job *j) {
    hone_error err = {0};
    hone_session_options o = HONE_SESSION_OPTIONS_INIT;
    o.threads = args.threads;
    CLI_TRY(cli_load(args.model, args.mapped, &j->loaded, &err));
    j->graph = j->loaded;
    j->input_count = hone_graph_input_count(j->graph);
    j->output_count = hone_graph_output_count(j->graph);
    if (j->input_count > MAX_VALUES || j->output_count > MAX_VALUES)
        return cli_error("%s: more than %d inputs or outputs", args.model, MAX_VALUES);
    int status = choose_outputs(j);
    if (status == CLI_OK) status = load_inputs(j);
    if (status != CLI_OK) return status;
    hone_graph *g = j->loaded;
    j->loaded = NULL;
    CLI_TRY(hone_model_take(g, NULL, &j->model, &err));
    j->graph = hone_model_signature(j->model);
    CLI_TRY(hone_session_create(j->model, &o, &j->session, &err));
    CLI_TRY(hone_context_create(j->session, &j->context, &err));
    CLI_TRY(hone_context_run(j->context, (const hone_tensor *const *)j->inputs, j->outputs, &err));
    return give_outputs(j);
}

static int run(void) {
    job j = {0};
    int status = work(&j);
    hone_context_free(j.context);
    hone_session_free(j.session);
    hone_model_free(j.model);
    for (int i = 0; i < MAX_VALUES; i++) hone_tensor_free(j.inputs[i]);
    hone_graph_free(j.loaded);
    return status;
}

const cli_command cli_cmd_run = {"run", "run a model on arrays from NPY files",
                                 "  hone run m.onnx --input input=@x.npy --output logits=@y.npy", options,
                                 run};
