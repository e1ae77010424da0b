#include "files.h"
#include "given.h"
#include "inputs.h"
#include "values.h"

#include <hone/session.h>

#include <stdlib.h>
#include <string.h>

static struct {
    const char *model;
    cli_list inputs, outputs;
    int threads;
    bool json, mapped;
    int precision;
} args;

static const cli_option options[] = {
    OPT_MODEL(args.model),
    OPT_INPUTS(args.inputs, "a file for an input; each input needs one"),
    OPT_LIST("output", "NAME=@FILE", args.outputs,
             "file to write an output to: .npy or .npz for a tensor, .npz for a sequence of them, .json for "
             "what has "
             "maps in it; without: show the first numbers of all outputs. Otherwise as --input"),
    OPT_THREADS(args.threads),
    OPT_MMAP(args.mapped),
    OPT_PRECISION(args.precision),
    OPT_JSON(args.json),
    OPT_END,
};

typedef struct job {
    hone_graph *loaded;      /* until it is compiled */
    const hone_graph *graph; /* then the model's signature */
    hone_model *model;
    hone_session *session;
    hone_context *context;
    hone_tensor **inputs;
    const hone_tensor **outputs;
    int input_count;
    cli_givens files; /* of outputs */
} job;

static int load_inputs(job *j) {
    char missing[512] = "";
    size_t used = 0;
    hone_value_info v;
    int status = cli_inputs_load(&args.inputs, args.model, j->loaded, j->inputs);
    if (status != CLI_OK) return status;
    for (int i = 0; hone_graph_input(j->graph, i, &v); i++)
        if (!j->inputs[i] && used < sizeof missing)
            used += (size_t)snprintf(missing + used, sizeof missing - used, "%s%s", used ? ", " : "", v.name);
    return used ? cli_usage_error("--input is missing for: %s", missing) : CLI_OK;
}

static int choose_outputs(job *j) {
    hone_error err = {0};
    int status = cli_givens_read(false, &args.outputs, args.model, j->graph, &j->files);
    for (int i = 0; i < j->files.count && status == CLI_OK; i++)
        if (cli_check_output(j->files.list[i].file, &err) != HONE_OK) status = cli_fail(&err);
    return status;
}

static int give_outputs(const job *j) {
    hone_value_info v;
    int status = CLI_OK;
    for (int i = 0; i < j->files.count && status == CLI_OK; i++) {
        const cli_given *given = &j->files.list[i];
        status = cli_save_value(given->file, given->name, j->outputs[given->index]);
    }
    if (status != CLI_OK || (!args.json && args.outputs.count)) return status;
    json_t *list = json_array();
    for (int i = 0; hone_graph_output(j->graph, i, &v); i++) {
        if (args.json)
            json_array_append_new(list, cli_json_output(v.name, j->outputs[i]));
        else
            cli_print_output(v.name, j->outputs[i]);
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
    hone_model_options m = HONE_MODEL_OPTIONS_INIT;
    m.precision = (hone_precision)args.precision;
    o.threads = args.threads;
    int status = cli_load(args.model, args.mapped, args.json, &j->loaded);
    if (status != CLI_OK) return status;
    j->graph = j->loaded;
    j->input_count = hone_graph_input_count(j->graph);
    j->inputs = cli_alloc((size_t)j->input_count * sizeof *j->inputs);
    j->outputs = cli_alloc((size_t)hone_graph_output_count(j->graph) * sizeof *j->outputs);
    status = choose_outputs(j);
    if (status == CLI_OK) status = load_inputs(j);
    if (status != CLI_OK) return status;
    hone_graph *g = j->loaded;
    j->loaded = NULL;
    CLI_TRY_MODEL(args.model, hone_model_take(g, &m, &j->model, &err));
    j->graph = hone_model_signature(j->model);
    CLI_TRY_MODEL(args.model, hone_session_create(j->model, &o, &j->session, &err));
    CLI_TRY_MODEL(args.model, hone_context_create(j->session, &j->context, &err));
    CLI_TRY_MODEL(args.model,
                  hone_context_run(j->context, (const hone_tensor *const *)j->inputs, j->outputs, &err));
    return give_outputs(j);
}

static int run(void) {
    job j = {0};
    int status = work(&j);
    for (int i = 0; i < j.input_count; i++) hone_tensor_free(j.inputs[i]);
    free(j.inputs);
    free(j.outputs);
    cli_givens_free(&j.files);
    hone_context_free(j.context);
    hone_session_free(j.session);
    hone_model_free(j.model);
    hone_graph_free(j.loaded);
    return status;
}

const cli_command cli_cmd_run = {"run", "run a model on files: arrays, pictures, sound, text",
                                 "  hone run m.onnx --input input=@x.npy --output logits=@y.npy", options,
                                 run};
