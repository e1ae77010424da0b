#include "files.h"
#include "signals.h"
#include "training.h"

#include <hone/compress.h>

static struct {
    const char *model, *out;
    cli_data data;
    int mode, calibration, rounding, dialect;
    bool json;
    cli_log log;
    cli_task task;
    hone_quantize_options quantize;
    hone_train_options finetune;
} args = {.mode = HONE_QUANTIZE_STATIC,
          .log = CLI_LOG_INIT,
          .quantize = HONE_QUANTIZE_OPTIONS_INIT,
          .finetune = HONE_FINETUNE_OPTIONS_INIT(0)};

static const cli_option options[] = {
    OPT_MODEL(args.model),
    OPT_CHOICE("mode", "static|dynamic|weights|fp16|bf16", args.mode,
               "integers, with ranges of activations from training samples, or at every run; or weights "
               "alone in few "
               "bits, or in half precision"),
    OPT_INT("bits", "N", args.quantize.bits, 2, 8,
            "static, weights: bits of a weight, 8, 4, 3 (kept in 4) or 2"),
    OPT_INT("edge-bits", "N", args.quantize.edge_bits, 2, 8,
            "the least bits of the first and the last weight, which bear rounding least"),
    OPT_INT64("block", "N", args.quantize.block, 0, 1 << 20,
              "weights: of matrices so many along what is summed share a scale", .zero = "all of a channel"),
    OPT_FLAG("asymmetric", args.quantize.asymmetric, "weights: blocks have zero points, too"),
    OPT_CHOICE("rounding", "auto|nearest|search|gptq", args.rounding,
               "scales by the largest weight, by the least error, or with what rounding does made up for by "
               "weights that "
               "are not rounded yet (needs --data); auto: nearest of 8 bits, search of fewer"),
    OPT_FLAG("correct-bias", args.quantize.correct_bias,
             "biases make up for what rounding weights does to means (needs --data)"),
    OPT_FLAG("per-tensor", args.quantize.per_tensor,
             "static: one scale for all channels of a weight, for hardware that takes no other"),
    OPT_FLAG("equalize", args.quantize.equalize,
             "rescale channels first, so that what gives one and what reads it have weights of one range"),
    OPT_NUMBER(
        "smooth", "ALPHA", args.quantize.smooth, 0, 1,
        "rescale channels first, so that large activations become smaller and the weights that read them "
        "larger: 0.5 evens both out (needs --data)",
        .zero = "not"),
    OPT_CHOICE("dialect", "onnx|ort", args.dialect,
               "weights: blocks as DequantizeLinear, or as ONNX Runtime's MatMulNBits"),
    OPT_DATA(args.data),
    OPT_PARTS(args.data),
    OPT_TASK(args.task),
    OPT_OUT(args.out),
    OPT_INT64("calibration-samples", "N", args.quantize.calibration_samples, 1, 1e15,
              "look at N training samples, drawn"),
    OPT_CHOICE(
        "calibration", "minmax|percentile|mse|entropy", args.calibration,
        "static: ranges by all that was seen, all but outliers, least squared error, least divergence"),
    OPT_NUMBER("percentile", "P", args.quantize.calibration.percentile, 50, 100,
               "of --calibration percentile: per cent that are in the range"),
    OPT_INT("finetune-epochs", "N", args.finetune.epochs, 0, 1000000,
            "static, weights: epochs of training with rounded weights", .zero = "none"),
    OPT_FINETUNING(args.finetune),
    OPT_TRAINING(args.finetune),
    OPT_LOG(args.log),
    OPT_JSON(args.json),
    OPT_END,
};

_Static_assert(HONE_QUANTIZE_STATIC == 0 && HONE_QUANTIZE_DYNAMIC == 1 && HONE_QUANTIZE_WEIGHTS == 2 &&
                   HONE_QUANTIZE_FLOAT16 == 3 && HONE_QUANTIZE_BFLOAT16 == 4,
               "the words of --mode are in this order");
_Static_assert(HONE_ROUND_AUTO == 0 && HONE_ROUND_NEAREST == 1 && HONE_ROUND_SEARCH == 2 &&
                   HONE_ROUND_GPTQ == 3,
               "the words of --rounding are in this order");
_Static_assert(HONE_DIALECT_ONNX == 0 && HONE_DIALECT_ORT == 1, "the words of --dialect are in this order");
_Static_assert(HONE_CALIBRATE_MINMAX == 0 && HONE_CALIBRATE_PERCENTILE == 1 && HONE_CALIBRATE_MSE == 2 &&
                   HONE_CALIBRATE_ENTROPY == 3,
               "the words of --calibration are in this order");

typedef struct job {
    hone_graph *graph, *quantized;
    cli_parts data;
    hone_quantize_report report;
    cli_score before, after;
    cli_watch watch;
} job;

static const char *const modes[] = {"static", "dynamic", "weights", "fp16", "bf16"};

static void print(const job *j) {
    const hone_quantize_report *r = &j->report;
    if (args.json) {
        cli_print_json(json_pack("{s:o, s:s, s:I, s:I, s:o, s:I, s:o, s:o}", "model", cli_json_text(args.out),
                                 "mode", modes[args.mode], "quantized_nodes", (json_int_t)r->quantized_nodes,
                                 "float_nodes", (json_int_t)r->float_nodes, "float_names",
                                 cli_json_text(r->float_names), "rescaled", (json_int_t)r->rescaled, "before",
                                 cli_json_score(&j->before), "after", cli_json_score(&j->after)));
        return;
    }
    cli_print_change(&j->before, &j->after);
    const bool integers = args.mode <= HONE_QUANTIZE_DYNAMIC;
    printf(integers ? "%lld nodes multiply in integers, %lld in float%s%s\n"
                    : "%lld weights are kept in fewer bits, %lld as they are%s%s\n",
           (long long)r->quantized_nodes, (long long)r->float_nodes, r->float_names[0] ? ": " : "",
           r->float_names);
    if (args.quantize.equalize || args.quantize.smooth > 0)
        printf("%lld sets of channels were rescaled first\n", (long long)r->rescaled);
    printf("wrote %s\n", args.out);
}

/* Which data the options need, beyond a test split to measure on. */
static bool needs_data(void) {
    const hone_quantize_options *o = &args.quantize;
    return o->mode == HONE_QUANTIZE_STATIC || o->rounding == HONE_ROUND_GPTQ || o->correct_bias ||
           o->smooth > 0 || args.finetune.epochs > 0;
}

/* Training samples also say which weights must be right. */
static bool reads_training(void) {
    const hone_quantize_options *o = &args.quantize;
    return needs_data() ||
           (o->mode == HONE_QUANTIZE_WEIGHTS && o->rounding != HONE_ROUND_NEAREST && o->bits < 8);
}

static int check_options(void) {
    const hone_quantize_options *o = &args.quantize;
    if ((o->bits > 4 && o->bits < 8) || (o->edge_bits > 4 && o->edge_bits < 8))
        return cli_usage_error("--bits and --edge-bits are 8, 4, 3 or 2");
    if (o->mode == HONE_QUANTIZE_STATIC && !args.data.spec)
        return cli_usage_error("--mode static needs --data, to find the ranges of activations");
    if (needs_data() && !args.data.spec)
        return cli_usage_error("--rounding gptq, --correct-bias, --smooth and --finetune-epochs need --data");
    if (o->mode == HONE_QUANTIZE_DYNAMIC && o->bits < 8)
        return cli_usage_error("--mode dynamic has weights of 8 bits");
    return CLI_OK;
}

static int work(job *j) {
    hone_error err = {0};
    args.quantize.mode = (hone_quantize_mode)args.mode;
    args.quantize.calibration.method = (hone_calibration_method)args.calibration;
    args.quantize.rounding = (hone_rounding)args.rounding;
    args.quantize.dialect = (hone_dialect)args.dialect;
    if (check_options() != CLI_OK) return CLI_USAGE;
    if (cli_read_task(&args.task, &args.quantize.task) != CLI_OK) return CLI_USAGE;
    const hone_task *task = &args.quantize.task;
    const uint64_t seed = args.finetune.seed;
    args.finetune.task = *task;
    args.finetune.progress = cli_watch_step;
    args.finetune.user = &j->watch;
    args.quantize.threads = args.finetune.threads;
    if (args.finetune.epochs > 0) args.quantize.finetune = &args.finetune;
    args.quantize.distill = args.finetune.alpha > 0;
    CLI_TRY(cli_check_output(args.out, &err));
    CLI_TRY(hone_graph_load(args.model, &j->graph, &err));
    args.data.model_path = args.model;
    if (args.data.spec && reads_training())
        CLI_TRY(cli_open_parts(&args.data, task, j->graph, seed, &args.finetune.max_samples, &j->data, &err));
    else if (args.data.spec)
        CLI_TRY(cli_open_test(&args.data, task, j->graph, seed, &j->data.test, &err));
    cli_check_test(j->graph, task, &j->data.test);
    int threads = args.quantize.threads; /* the model may be replaced by the result: measured before */
    CLI_TRY_MODEL(args.model,
                  cli_score_graph(j->graph, args.model, j->data.test, task, threads, &j->before, &err));
    if (args.finetune.epochs > 0) CLI_TRY(cli_watch_open(&j->watch, &args.log, "", j->graph, &err));
    cli_signals_catch();
    hone_status status =
        hone_quantize(j->graph, j->data.train, &args.quantize, &j->quantized, &j->report, &err);
    if (cli_signal()) return cli_interrupted(&j->watch, NULL);
    cli_signals_default();
    CLI_TRY_MODEL(args.model, status);
    CLI_TRY(cli_save(j->quantized, args.out, &err));
    CLI_TRY_MODEL(args.out,
                  cli_score_graph(j->quantized, args.out, j->data.test, task, threads, &j->after, &err));
    print(j);
    return CLI_OK;
}

static int run(void) {
    job j = {.watch = {.progress.label = "fine-tuning "}};
    int status = cli_watch_close(&j.watch, work(&j));
    hone_graph_free(j.quantized);
    hone_graph_free(j.graph);
    cli_free_parts(&j.data);
    return status;
}

const cli_command cli_cmd_quantize = {
    "quantize", "make a model compute in integers, or keep its weights in few bits",
    "static writes QuantizeLinear and DequantizeLinear around products and convolutions, weights per "
    "channel, with\n"
    "ranges found on training samples; what lies between them computes on bytes, too. dynamic quantizes "
    "activations\n"
    "at every run and needs --data only to measure. weights keeps weights in few bits, those of matrices in\n"
    "blocks, and computes in float; fp16 and bf16 keep them in half precision. Normalizations go into "
    "weights.\n\n"
    "  hone quantize m.onnx --mode static --data fashion-mnist --out q.onnx\n"
    "  hone quantize m.onnx --mode weights --bits 4 --rounding gptq --data fashion-mnist --out w4.onnx",
    options, run};
