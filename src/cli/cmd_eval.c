#include "answers.h"
#include "data.h"
#include "files.h"
#include "language.h"
#include "task.h"

#include <stdlib.h>
#include <string.h>

static struct {
    const char *model, *predictions, *output, *adapter;
    cli_data data;
    int split, top;
    bool json, mapped;
    cli_task task;
    int precision, threads;
    int64_t context, windows;
} args = {.split = HONE_SPLIT_TEST, .top = 5, .context = 512};

static const cli_option options[] = {
    OPT_MODEL(args.model),
    OPT_DATA(args.data, .required = true),
    OPT_TASK(args.task),
    OPT_TEXT("output", "NAME", args.output, "the output that is looked at (default: the first one)"),
    OPT_CHOICE("split", "train|test|val|all", args.split, "which part of the data, where it has such parts"),
    OPT_TEXT(
        "predictions", "FILE", args.predictions,
        "write a table of text: for each sample what the model says and how sure it is, and the target; data "
        "without a target will do, too"),
    OPT_INT("top", "K", args.top, 1, 1000,
            "also tell how often the label is among the K most likely classes"),
    OPT_INT64("context", "N", args.context, 2, 1 << 24,
              "language models with a past: tokens of the windows that a text is cut into; the second half "
              "of each is "
              "scored"),
    OPT_ADAPTER(args.adapter),
    OPT_INT64("windows", "N", args.windows, 0, 1 << 24, "of the so many first windows", .zero = "all"),
    OPT_THREADS(args.threads),
    OPT_MMAP(args.mapped),
    OPT_PRECISION(args.precision),
    OPT_JSON(args.json),
    OPT_END,
};

_Static_assert(HONE_PRECISION_FLOAT32 == 0 && HONE_PRECISION_BFLOAT16 == 1, "as the words of --precision");
_Static_assert(HONE_SPLIT_TRAIN == 0 && HONE_SPLIT_TEST == 1 && HONE_SPLIT_VALIDATION == 2 && CLI_ALL == 3,
               "the words of --split are in this order");

typedef struct job {
    hone_model *model;
    hone_dataset *data;
    hone_eval_details *details;
    cli_predictions predictions;
    cli_classes classes;
    char *noted; /* the model's classes */
} job;

static void report(const job *j, const hone_eval_report *r) {
    if (args.json) {
        json_t *o = json_pack("{s:I, s:o}", "samples", (json_int_t)r->samples, "seconds",
                              cli_json_number(r->seconds));
        if (j->details) cli_json_metrics(o, "", r);
        if (j->details) cli_json_details(o, j->details, &j->classes);
        cli_print_json(o);
        return;
    }
    const char *rate = cli_count(r->seconds > 0 ? (int64_t)((double)r->samples / r->seconds) : 0);
    if (!j->details) {
        printf("%s: no target to compare with, %.3f s, %s samples/s\n", hone_dataset_describe(j->data),
               r->seconds, rate);
    } else {
        printf("%s: %s, loss %.4f, %.3f s, %s samples/s\n", hone_dataset_describe(j->data), cli_metrics(r),
               r->loss, r->seconds, rate);
        cli_print_details(j->details, &j->classes);
    }
    if (args.predictions)
        printf("wrote %s, %s bytes\n", args.predictions, cli_count(cli_file_bytes(args.predictions)));
}

/* What is asked of the model's texts before the model takes the graph. */
static void remember(job *j, const hone_graph *g) {
    const char *classes = hone_graph_metadata(g, "hone.classes"),
               *objective =
                   args.task.objective ? args.task.objective : hone_graph_metadata(g, "hone.objective");
    if (classes) {
        j->noted = cli_alloc(strlen(classes) + 1);
        strcpy(j->noted, classes);
    }
    j->predictions.regression = objective && strcmp(objective, "cross-entropy") != 0 &&
                                strcmp(objective, "binary-cross-entropy") != 0;
    j->predictions.classes = &j->classes;
}

/* A text and a model that continues texts: how likely it is. `*g` may get the graph, of any other model. */
static int try_language(bool *done, hone_graph **g) {
    hone_import *m = NULL;
    const bool text = strncmp(args.data.spec, "text:", 5) == 0;
    if (!text && !hone_import_takes(args.model)) return CLI_OK;
    int status = cli_open_language(args.model, &m, g);
    if (status != CLI_OK || !m) return status;
    *done = true;
    if (!text) {
        hone_import_free(m);
        return cli_usage_error("a language model is measured on --data text:FILE, not '%s'", args.data.spec);
    }
    const cli_perplexity p = {.model = args.model,
                              .text = args.data.spec + 5,
                              .adapter = args.adapter,
                              .window = args.context,
                              .windows = args.windows,
                              .threads = args.threads,
                              .precision = (hone_precision)args.precision,
                              .json = args.json};
    return cli_tell_perplexity(m, &p);
}

static int work(job *j) {
    hone_error err = {0};
    hone_eval_report r;
    hone_eval_options e = HONE_EVAL_OPTIONS_INIT;
    hone_model_options m = HONE_MODEL_OPTIONS_INIT;
    m.precision = (hone_precision)args.precision;
    hone_task task;
    if (cli_read_task(&args.task, &task) != CLI_OK) return CLI_USAGE;
    hone_graph *g = NULL;
    bool done = false;
    if (args.predictions) CLI_TRY(cli_check_output(args.predictions, &err));
    args.data.model_path = args.model;
    args.data.unlabeled = args.predictions != NULL;
    int status = try_language(&done, &g);
    if (status == CLI_OK && args.adapter && !done)
        status = cli_usage_error("--lora is for language models and --data text:FILE");
    if (status != CLI_OK || done) return status;
    if (!g) status = cli_load(args.model, args.mapped, args.json, &g);
    if (status != CLI_OK) return status;
    if (args.output && hone_graph_put_first(g, args.output, &err) != HONE_OK) {
        hone_graph_free(g);
        snprintf(err.file, sizeof err.file, "%s", args.model);
        return cli_fail(&err);
    }
    remember(j, g);
    hone_status opened = cli_open_split(&args.data, &task, g, args.split, &j->data, &err);
    if (opened != HONE_OK) hone_graph_free(g);
    CLI_TRY(opened);
    CLI_TRY_MODEL(args.model, hone_model_take(g, &m, &j->model, &err));
    j->classes = (cli_classes){j->data, j->noted};
    e.threads = args.threads;
    e.top = args.top;
    if (args.predictions) {
        if (!cli_predictions_begin(&j->predictions)) return cli_error("out of memory");
        e.prediction = cli_predictions_add;
        e.user = &j->predictions;
    }
    CLI_TRY_MODEL(args.model, hone_evaluate_details(j->model, j->data, &task, &e, &r, &j->details, &err));
    CLI_TRY(cli_predictions_end(&j->predictions, args.predictions, &err));
    report(j, &r);
    return CLI_OK;
}

static int run(void) {
    job j = {NULL};
    int status = work(&j);
    hone_error none;
    cli_predictions_end(&j.predictions, NULL, &none);
    hone_eval_details_free(j.details);
    hone_dataset_free(j.data);
    hone_model_free(j.model);
    free(j.noted);
    return status;
}

const cli_command cli_cmd_eval = {
    "eval", "measure how well a model does on a data set",
    "Of classes: accuracy, precision, recall and F1 of each, which are taken for which; of two, the area "
    "under\n"
    "the ROC curve. Of numbers: the mean absolute error, and r2, the share of the variance that is "
    "explained.\n"
    "Of a text, a language model tells its perplexity.\n\n"
    "  hone eval m.onnx --data fashion-mnist --json\n"
    "  hone eval m.onnx --data csv:houses.csv --predictions prices.csv\n"
    "  hone eval m.onnx --data npz:houses.npz --target price --objective mean-squared-error",
    options, run};
