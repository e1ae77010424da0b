#include "data.h"
#include "files.h"
#include "task.h"

static struct {
    const char *model;
    cli_data data;
    int split, threads;
    bool json, mapped;
    cli_task task;
    int precision;
} args = {.split = HONE_SPLIT_TEST};

static const cli_option options[] = {
    OPT_MODEL(args.model),
    OPT_DATA(args.data, .required = true),
    OPT_TASK(args.task),
    OPT_CHOICE("split", "train|test", args.split, "which part of the data"),
    OPT_THREADS(args.threads),
    OPT_MMAP(args.mapped),
    OPT_PRECISION(args.precision),
    OPT_JSON(args.json),
    OPT_END,
};

_Static_assert(HONE_PRECISION_FLOAT32 == 0 && HONE_PRECISION_BFLOAT16 == 1, "as the words of --precision");
_Static_assert(HONE_SPLIT_TRAIN == 0 && HONE_SPLIT_TEST == 1, "the words of --split are in this order");

static int work(hone_model **model, hone_dataset **data) {
    hone_error err = {0};
    hone_eval_report r;
    hone_model_options m = HONE_MODEL_OPTIONS_INIT;
    m.precision = (hone_precision)args.precision;
    hone_task task;
    if (cli_read_task(&args.task, &task) != CLI_OK) return CLI_USAGE;
    hone_graph *g = NULL;
    int status = cli_load(args.model, args.mapped, args.json, &g);
    if (status != CLI_OK) return status;
    args.data.model_path = args.model;
    hone_status opened = cli_open_split(&args.data, &task, g, (hone_split)args.split, data, &err);
    if (opened != HONE_OK) hone_graph_free(g);
    CLI_TRY(opened);
    CLI_TRY_MODEL(args.model, hone_model_take(g, &m, model, &err));
    CLI_TRY_MODEL(args.model, hone_evaluate_model(*model, *data, &task, args.threads, &r, &err));
    if (args.json) {
        json_t *o =
            json_pack("{s:I, s:o}", "samples", (json_int_t)r.samples, "seconds", cli_json_number(r.seconds));
        cli_json_metrics(o, "", &r);
        cli_print_json(o);
        return CLI_OK;
    }
    printf("%s: %s, loss %.4f, %.3f s, %s samples/s\n", hone_dataset_describe(*data), cli_metrics(&r), r.loss,
           r.seconds, cli_count(r.seconds > 0 ? (int64_t)((double)r.samples / r.seconds) : 0));
    return CLI_OK;
}

static int run(void) {
    hone_model *model = NULL;
    hone_dataset *data = NULL;
    int status = work(&model, &data);
    hone_dataset_free(data);
    hone_model_free(model);
    return status;
}

const cli_command cli_cmd_eval = {
    "eval", "measure how well a model does on a data set",
    "Of classes: accuracy. Of numbers: the mean absolute error, and r2, the share of the variance that is\n"
    "explained.\n\n"
    "  hone eval m.onnx --data fashion-mnist --json\n"
    "  hone eval m.onnx --data npz:houses.npz --target price --objective mean-squared-error",
    options, run};
