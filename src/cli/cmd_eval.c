#include "cli.h"

static struct {
    const char *model, *data;
    int split, threads;
    bool json;
} args = {.split = HONE_SPLIT_TEST};

static const cli_option options[] = {
    OPT_MODEL(args.model),
    OPT_DATA(args.data, .required = true),
    OPT_CHOICE("split", "train|test", args.split, "which part of the data"),
    OPT_THREADS(args.threads),
    OPT_JSON(args.json),
    OPT_END,
};

_Static_assert(HONE_SPLIT_TRAIN == 0 && HONE_SPLIT_TEST == 1, "the words of --split are in this order");

static int work(hone_graph **graph, hone_dataset **data) {
    hone_error err = {0};
    hone_eval_report r;
    CLI_TRY(hone_graph_load(args.model, graph, &err));
    CLI_TRY(hone_dataset_open(args.data, (hone_split)args.split, data, &err));
    CLI_TRY(hone_evaluate(*graph, *data, args.threads, &r, &err));
    if (args.json)
        cli_print_json(json_pack("{s:I, s:o, s:o, s:o}", "samples", (json_int_t)r.samples, "accuracy",
                                 cli_json_number(r.accuracy), "loss", cli_json_number(r.loss), "seconds",
                                 cli_json_number(r.seconds)));
    else
        printf("%s: accuracy %s, loss %.4f, %.3f s, %s samples/s\n", hone_dataset_describe(*data),
               cli_percent(r.accuracy), r.loss, r.seconds,
               cli_count(r.seconds > 0 ? (int64_t)((double)r.samples / r.seconds) : 0));
    return CLI_OK;
}

static int run(void) {
    hone_graph *graph = NULL;
    hone_dataset *data = NULL;
    int status = work(&graph, &data);
    hone_dataset_free(data);
    hone_graph_free(graph);
    return status;
}

const cli_command cli_cmd_eval = {"eval", "measure a classifier's accuracy and loss on a data set",
                                  "  hone eval m.onnx --data fashion-mnist --json", options, run};
