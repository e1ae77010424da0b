#include "explained.h"
#include "files.h"
#include "inputs.h"
#include "signals.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static struct {
    const char *model, *out, *target;
    cli_list inputs;
    bool json;
    int method;
    hone_explain_options o;
} args = {.method = HONE_EXPLAIN_INTEGRATED, .o = HONE_EXPLAIN_OPTIONS_INIT};

static const cli_option options[] = {
    OPT_MODEL(args.model),
    OPT_INPUTS(args.inputs, "a file for an input; each input needs one, of a single sample"),
    OPT_CHOICE("method", "saliency|input-gradient|smoothgrad|integrated-gradients|grad-cam|occlusion|shapley",
               args.method, "how, see below"),
    OPT_TEXT("output", "NAME", args.o.output,
             "the output that is asked about (default: the first of floats)"),
    OPT_TEXT("target", "N", args.target,
             "which of its numbers, or the name of a class (default: the largest)"),
    OPT_NUMBER("baseline", "X", args.o.baseline, -1e30, 1e30,
               "what a number without information is; of tokens that are left out, the id"),
    OPT_INT("steps", "N", args.o.steps, 0, 1000000,
            "points of the path from the baseline, noisy inputs, or orders of the parts",
            .zero = "50, 25, 30"),
    OPT_NUMBER("noise", "X", args.o.noise, 0, 1e6, "smoothgrad: deviation, as a share of the input's range"),
    OPT_INT("patch", "N", args.o.patch, 0, 1 << 20,
            "pictures: the side of the parts that are covered, in pixels",
            .zero = "a seventh of the picture's"),
    OPT_TEXT("layer", "NAME", args.o.layer,
             "grad-cam: a value of the model (default: the last one with channels and places)"),
    OPT_TEXT(
        "out", "FILE", args.out,
        "write a page (.html), a picture (.png), or all numbers (.json, .npz); without: show the largest"),
    OPT_SEED(args.o.seed),
    OPT_THREADS(args.o.threads),
    OPT_JSON(args.json),
    OPT_END,
};

typedef struct job {
    hone_graph *graph;
    hone_tensor **inputs;
    int input_count;
    hone_tokenizer *tokenizer;
    hone_explanation *e;
} job;

static bool go_on(void *user, int64_t done, int64_t all) {
    (void)user, (void)done, (void)all;
    return cli_signal() == 0;
}

static int load_inputs(job *j) {
    hone_value_info v;
    int status = cli_inputs_load(&args.inputs, args.model, j->graph, j->inputs);
    for (int i = 0; status == CLI_OK && hone_graph_input(j->graph, i, &v); i++)
        if (!j->inputs[i]) status = cli_usage_error("--input is missing for: %s", v.name);
    return status;
}

/* Of a model that reads tokens; without it they are numbers. */
static void load_tokenizer(job *j) {
    hone_error ignored = {0};
    const char *path = cli_tokenizer_path(j->graph, args.model);
    if (cli_file_bytes(path) >= 0) (void)hone_tokenizer_load(path, &j->tokenizer, &ignored);
}

static int show(const job *j, const char *classes) {
    cli_explained x = {args.model, j->e, (const hone_tensor *const *)j->inputs, classes, j->tokenizer};
    int status = args.out ? cli_explained_write(&x, args.out) : CLI_OK;
    if (status != CLI_OK) return status;
    if (j->e->note[0]) cli_note("%s", j->e->note);
    if (args.json)
        cli_print_json(cli_explained_json(&x));
    else if (!args.out)
        cli_explained_print(&x);
    else
        printf("wrote %s: why number %s of output '%s' is %.5g\n", args.out, cli_explained_target(&x),
               j->e->output, j->e->score);
    return CLI_OK;
}

static int work(job *j) {
    hone_error err = {0};
    if (args.out) CLI_TRY(cli_check_output(args.out, &err));
    int status = cli_load(args.model, false, args.json, &j->graph);
    if (status != CLI_OK) return status;
    const char *classes = hone_graph_metadata(j->graph, "hone.classes");
    if (args.target && (args.o.target = cli_explained_find(classes, args.target)) < 0)
        return cli_usage_error("--target %s: the model has no class of that name", args.target);
    j->input_count = hone_graph_input_count(j->graph);
    j->inputs = cli_alloc((size_t)(j->input_count + 1) * sizeof *j->inputs);
    status = load_inputs(j);
    if (status != CLI_OK) return status;
    load_tokenizer(j);
    args.o.method = (hone_explain_method)args.method;
    args.o.progress = go_on;
    cli_signals_catch();
    CLI_TRY_MODEL(args.model,
                  hone_explain(j->graph, (const hone_tensor *const *)j->inputs, &args.o, &j->e, &err));
    return show(j, classes);
}

static int run(void) {
    job j = {0};
    int status = work(&j);
    hone_explanation_free(j.e);
    for (int i = 0; i < j.input_count; i++) hone_tensor_free(j.inputs[i]);
    free(j.inputs);
    hone_tokenizer_free(j.tokenizer);
    hone_graph_free(j.graph);
    return status;
}

const cli_command cli_cmd_explain = {
    "explain", "show what in an input a model's answer hangs on",
    "Methods:\n"
    "  integrated-gradients  from a baseline to the input; the values sum to what the output gained "
    "(default)\n"
    "  saliency              how strongly the output changes with each number\n"
    "  input-gradient        that change times the number\n"
    "  smoothgrad            the change, as the mean over noisy inputs\n"
    "  grad-cam              where in a picture, by the last convolution; coarse and robust\n"
    "  occlusion             what the output loses when a part is covered; any model, any input\n"
    "  shapley               each part's mean share over random orders; any model, slow, sums as the first\n"
    "A model without gradients on the way is explained by occlusion. Tokens count through their vectors.\n\n"
    "  hone explain m.onnx --input input=@shoe.png --method grad-cam --out shoe.html\n"
    "  hone explain mails.onnx --input input_ids=@mail.txt\n"
    "  hone explain m.onnx --input @x.npy --method shapley --target 3 --json",
    options, run};
