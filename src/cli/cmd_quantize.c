#include "files.h"
#include "training.h"

#include <hone/compress.h>

static struct {
    const char *model, *out;
    cli_data data;
    int mode, calibration;
    uint64_t seed;
    bool json;
    cli_task task;
    hone_quantize_options quantize;
} args = {.mode = HONE_QUANTIZE_STATIC, .seed = 1, .quantize = HONE_QUANTIZE_OPTIONS_INIT};

static const cli_option options[] = {
    OPT_MODEL(args.model),
    OPT_CHOICE("mode", "static|dynamic", args.mode,
               "ranges of activations from training samples, or at every run"),
    OPT_DATA(args.data),
    OPT_PARTS(args.data),
    OPT_SEED(args.seed),
    OPT_TASK(args.task),
    OPT_OUT(args.out),
    OPT_INT64("calibration-samples", "N", args.quantize.calibration_samples, 1, 1e15,
              "static: find ranges on N training samples, drawn"),
    OPT_CHOICE(
        "calibration", "minmax|percentile|mse|entropy", args.calibration,
        "static: ranges by all that was seen, all but outliers, least squared error, least divergence"),
    OPT_NUMBER("percentile", "P", args.quantize.calibration.percentile, 50, 100,
               "of --calibration percentile: per cent that are in the range"),
    OPT_THREADS(args.quantize.threads),
    OPT_JSON(args.json),
    OPT_END,
};

_Static_assert(HONE_QUANTIZE_STATIC == 0 && HONE_QUANTIZE_DYNAMIC == 1,
               "the words of --mode are in this order");
_Static_assert(HONE_CALIBRATE_MINMAX == 0 && HONE_CALIBRATE_PERCENTILE == 1 && HONE_CALIBRATE_MSE == 2 &&
                   HONE_CALIBRATE_ENTROPY == 3,
               "the words of --calibration are in this order");

typedef struct job {
    hone_graph *graph, *quantized;
    cli_parts data;
    hone_quantize_report report;
    cli_score before, after;
} job;

static void print(const job *j) {
    const hone_quantize_report *r = &j->report;
    if (args.json) {
        cli_print_json(json_pack("{s:o, s:s, s:I, s:I, s:o, s:o, s:o}", "model", cli_json_text(args.out),
                                 "mode", args.mode == HONE_QUANTIZE_STATIC ? "static" : "dynamic",
                                 "quantized_nodes", (json_int_t)r->quantized_nodes, "float_nodes",
                                 (json_int_t)r->float_nodes, "float_names", cli_json_text(r->float_names),
                                 "before", cli_json_score(&j->before), "after", cli_json_score(&j->after)));
        return;
    }
    cli_print_change(&j->before, &j->after);
    printf("%lld nodes multiply in integers, %lld in float%s%s\nwrote %s\n", (long long)r->quantized_nodes,
           (long long)r->float_nodes, r->float_names[0] ? ": " : "", r->float_names, args.out);
}

static int work(job *j) {
    hone_error err = {0};
    args.quantize.mode = (hone_quantize_mode)args.mode;
    args.quantize.calibration.method = (hone_calibration_method)args.calibration;
    if (args.mode == HONE_QUANTIZE_STATIC && !args.data.spec)
        return cli_usage_error("--mode static needs --data, to find the ranges of activations");
    if (cli_read_task(&args.task, &args.quantize.task) != CLI_OK) return CLI_USAGE;
    const hone_task *task = &args.quantize.task;
    CLI_TRY(cli_check_output(args.out, &err));
    CLI_TRY(hone_graph_load(args.model, &j->graph, &err));
    args.data.model_path = args.model;
    if (args.mode == HONE_QUANTIZE_STATIC)
        CLI_TRY(cli_open_parts(&args.data, task, j->graph, args.seed, NULL, &j->data, &err));
    else if (args.data.spec)
        CLI_TRY(cli_open_test(&args.data, task, j->graph, args.seed, &j->data.test, &err));
    cli_check_test(j->graph, task, &j->data.test);
    int threads = args.quantize.threads; /* the model may be replaced by the result: measured before */
    CLI_TRY_MODEL(args.model,
                  cli_score_graph(j->graph, args.model, j->data.test, task, threads, &j->before, &err));
    CLI_TRY_MODEL(args.model,
                  hone_quantize(j->graph, j->data.train, &args.quantize, &j->quantized, &j->report, &err));
    CLI_TRY(cli_save(j->quantized, args.out, &err));
    CLI_TRY_MODEL(args.out,
                  cli_score_graph(j->quantized, args.out, j->data.test, task, threads, &j->after, &err));
    print(j);
    return CLI_OK;
}

static int run(void) {
    job j = {0};
    int status = work(&j);
    hone_graph_free(j.quantized);
    hone_graph_free(j.graph);
    cli_free_parts(&j.data);
    return status;
}

const cli_command cli_cmd_quantize = {
    "quantize", "make a model compute in 8-bit integers",
    "static writes QuantizeLinear and DequantizeLinear around products and convolutions, weights per "
    "channel, with\n"
    "ranges found on training samples; what lies between them computes on bytes, too. dynamic quantizes "
    "activations\n"
    "at every run and needs --data only to measure. Normalizations go into weights.\n\n"
    "  hone quantize m.onnx --mode static --data fashion-mnist --out q.onnx",
    options, run};
