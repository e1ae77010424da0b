#include "files.h"
#include "gate.h"
#include "layers.h"
#include "signals.h"
#include "table.h"
#include "training.h"
#include "tuning.h"

#include <hone/compress.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *model, *out, *gate;
    cli_data data;
    int mode, calibration, rounding, dialect;
    bool json, pack, sensitivity;
    int keep_worst;
    cli_list keep;
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
    OPT_CHOICE("mode", "static|dynamic|weights|fp16|bf16|clusters", args.mode,
               "integers, with ranges of activations from training samples, or at every run; or weights "
               "alone in few "
               "bits, in half precision, or of few different numbers, for packing"),
    OPT_INT("bits", "N", args.quantize.bits, 2, 8,
            "static, weights: bits of a weight, 8, 4, 3 (kept in 4) or 2"),
    OPT_INT("edge-bits", "N", args.quantize.edge_bits, 2, 8,
            "the least bits of the first and the last weight, which bear rounding least"),
    OPT_INT64("block", "N", args.quantize.block, 0, 1 << 20,
              "weights: of matrices so many along what is summed share a scale", .zero = "all of a channel"),
    OPT_INT("clusters", "N", args.quantize.clusters, 2, 256,
            "clusters: different numbers of a weight; zeros stay zero"),
    OPT_FLAG("asymmetric", args.quantize.asymmetric, "weights: blocks have zero points, too"),
    OPT_CHOICE("rounding", "auto|nearest|search|gptq", args.rounding,
               "scales by the largest weight, by the least error, or with what rounding does made up for by "
               "weights that "
               "are not rounded yet (needs --data); auto: nearest of 8 bits, search of fewer"),
    OPT_FLAG("correct-bias", args.quantize.correct_bias,
             "biases make up for what rounding weights does to means (needs --data)"),
    OPT_FLAG("sensitivity", args.sensitivity,
             "show what each weight costs: what comes out is off by if it alone is quantized (needs --data)"),
    OPT_INT("keep-worst", "N", args.keep_worst, 0, 10000,
            "the N weights that cost most stay finer: at 8 bits where --bits is less, else in float (needs "
            "--data)",
            .zero = "none"),
    OPT_LIST("keep", "NAME", args.keep, "a weight that stays so"),
    OPT_FLAG("per-tensor", args.quantize.per_tensor,
             "static: one scale for all channels of a weight, for hardware that takes no other"),
    OPT_FLAG("equalize", args.quantize.equalize,
             "rescale channels first, so that what gives one and what reads it have weights of one range"),
    OPT_NUMBER(
        "smooth", "ALPHA", args.quantize.smooth, 0, 1,
        "rescale channels first, so that large activations become smaller and the weights that read them "
        "larger: 0.5 evens both out (needs --data)",
        .zero = "not"),
    OPT_FLAG("requantize", args.quantize.requantize,
             "weights that are in few bits already are rounded again, at a cost; without it they stay as "
             "they are"),
    OPT_CHOICE("dialect", "onnx|ort", args.dialect,
               "weights: blocks as DequantizeLinear, or as ONNX Runtime's MatMulNBits"),
    OPT_DATA(args.data),
    OPT_PARTS(args.data),
    OPT_TASK(args.task),
    OPT_OUT(args.out),
    OPT_PACK(args.pack),
    OPT_TEXT("gate", "METRIC:X", args.gate,
             "what may be lost on test samples: accuracy:0.5, in points, loss:0.02, or perplexity:1% of it; "
             "a model "
             "that loses more is not written"),
    OPT_INT64("calibration-samples", "N", args.quantize.calibration_samples, 1, 1e15,
              "look at N training samples, drawn"),
    OPT_CHOICE(
        "calibration", "minmax|percentile|mse|entropy", args.calibration,
        "static: ranges by all that was seen, all but outliers, least squared error, least divergence"),
    OPT_NUMBER("percentile", "P", args.quantize.calibration.percentile, 50, 100,
               "of --calibration percentile: per cent that are in the range"),
    OPT_INT("finetune-epochs", "N", args.finetune.epochs, 0, 1000000,
            "static, weights, clusters: epochs of training with rounded weights", .zero = "none"),
    OPT_FINETUNING(args.finetune),
    OPT_TRAINING(args.finetune),
    OPT_LOG(args.log),
    OPT_JSON(args.json),
    OPT_END,
};

_Static_assert(HONE_QUANTIZE_STATIC == 0 && HONE_QUANTIZE_DYNAMIC == 1 && HONE_QUANTIZE_WEIGHTS == 2 &&
                   HONE_QUANTIZE_FLOAT16 == 3 && HONE_QUANTIZE_BFLOAT16 == 4 && HONE_QUANTIZE_CLUSTERS == 5,
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
    cli_tuning tuning;
    cli_parts data;
    hone_quantize_report report;
    cli_score before, after;
    cli_layers layers;
    const char **kept;
    cli_watch watch;
} job;

static const char *const modes[] = {"static", "dynamic", "weights", "fp16", "bf16", "clusters"};

static bool is_kept(const char *weight) {
    for (int i = 0; i < args.quantize.keep_count; i++)
        if (strcmp(args.quantize.keep[i], weight) == 0) return true;
    return false;
}

static json_t *json_kept(void) {
    json_t *names = json_array();
    for (int i = 0; i < args.quantize.keep_count; i++)
        json_array_append_new(names, cli_json_text(args.quantize.keep[i]));
    return names;
}

static void print_layers(const job *j) {
    cli_table *t = cli_table_new("lrrl");
    cli_table_row(t, "quantized alone", "numbers", "output off by", "", NULL);
    for (int i = 0; i < j->layers.count; i++)
        cli_table_row(t, j->layers.items[i].weight, cli_count(j->layers.items[i].numbers),
                      cli_text("%.3g %%", 100 * j->layers.items[i].error),
                      is_kept(j->layers.items[i].weight) ? "kept" : "", NULL);
    cli_table_print(t, stdout);
    cli_table_free(t);
}

static void print(const job *j) {
    const hone_quantize_report *r = &j->report;
    if (args.json) {
        json_t *o = json_pack("{s:o, s:s, s:I, s:I, s:o, s:I, s:o, s:o}", "model", cli_json_text(args.out),
                              "mode", modes[args.mode], "quantized_nodes", (json_int_t)r->quantized_nodes,
                              "float_nodes", (json_int_t)r->float_nodes, "float_names",
                              cli_json_text(r->float_names), "rescaled", (json_int_t)r->rescaled, "before",
                              cli_json_score(&j->before), "after", cli_json_score(&j->after));
        json_object_set_new(o, "kept", json_kept());
        if (j->layers.count) json_object_set_new(o, "sensitivity", cli_layers_json(&j->layers));
        cli_print_json(o);
        return;
    }
    if (j->layers.count) print_layers(j);
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

static bool measures_layers(void) {
    return args.sensitivity || args.keep_worst > 0;
}

/* Which data the options need, beyond a test split to measure on. */
static bool needs_data(void) {
    const hone_quantize_options *o = &args.quantize;
    return o->mode == HONE_QUANTIZE_STATIC || o->rounding == HONE_ROUND_GPTQ || o->correct_bias ||
           o->smooth > 0 || measures_layers() || args.finetune.epochs > 0;
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
        return cli_usage_error("--rounding gptq, --correct-bias, --smooth, --sensitivity, --keep-worst and "
                               "--finetune-epochs need --data");
    if (o->mode == HONE_QUANTIZE_DYNAMIC && o->bits < 8)
        return cli_usage_error("--mode dynamic has weights of 8 bits");
    return CLI_OK;
}

/* Those that were named, and the worst. */
static hone_status choose_kept(job *j, hone_error *err) {
    hone_quantize_options *o = &args.quantize;
    hone_status status = HONE_OK;
    if (measures_layers()) status = cli_layers_find(j->graph, j->data.train, o, &j->layers, err);
    j->kept = cli_alloc((size_t)(args.keep.count + j->layers.count + 1) * sizeof *j->kept);
    o->keep = j->kept;
    for (int i = 0; i < args.keep.count; i++) j->kept[o->keep_count++] = args.keep.items[i];
    for (int i = 0; i < j->layers.count && i < args.keep_worst; i++)
        j->kept[o->keep_count++] = j->layers.items[i].weight;
    return status;
}

static int pass_gate(const job *j, const cli_gate *gate) {
    if (!args.gate) return CLI_OK;
    const double lost = cli_gate_lost(gate, &j->before.eval, &j->after.eval);
    if (isnan(lost))
        return cli_usage_error("--gate %s: what is measured of this model is %s", args.gate,
                               cli_metrics(&j->before.eval));
    if (lost <= gate->most) return CLI_OK;
    cli_print_change(&j->before, &j->after);
    cli_error("%.3g%s of %s would be lost, more than --gate %s allows: nothing is written", lost,
              gate->relative ? " %" : "", gate->metric, args.gate);
    return CLI_GATE;
}

static int work(job *j) {
    hone_error err = {0};
    cli_gate gate;
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
    if (cli_gate_read(args.gate, &gate) != CLI_OK) return CLI_USAGE;
    int status_now = cli_tuning_begin(&j->tuning, args.model, &args.data, &j->graph);
    if (status_now != CLI_OK) return status_now;
    if (!j->graph) CLI_TRY(hone_graph_load(args.model, &j->graph, &err));
    if (args.pack && j->tuning.import)
        return cli_usage_error("--pack is not for directories of language models");
    CLI_TRY(cli_tuning_check_output(&j->tuning, args.out, &err));
    args.data.model_path = args.model;
    if (args.data.spec && reads_training())
        CLI_TRY(cli_open_parts(&args.data, task, j->graph, seed, &args.finetune.max_samples, &j->data, &err));
    else if (args.data.spec)
        CLI_TRY(cli_open_test(&args.data, task, j->graph, seed, &j->data.test, &err));
    cli_check_test(j->graph, task, &j->data.test);
    if (args.gate && !j->data.test)
        return cli_usage_error("--gate needs test samples: --data with a test split, or --test-data");
    int threads = args.quantize.threads; /* the model may be replaced by the result: measured before */
    CLI_TRY_MODEL(args.model, cli_score_graph(j->graph, cli_tuning_file(&j->tuning, args.model), j->data.test,
                                              task, threads, &j->before, &err));
    CLI_TRY_MODEL(args.model, choose_kept(j, &err));
    if (args.finetune.epochs > 0) CLI_TRY(cli_watch_open(&j->watch, &args.log, "", j->graph, &err));
    cli_signals_catch();
    hone_status status =
        hone_quantize(j->graph, j->data.train, &args.quantize, &j->quantized, &j->report, &err);
    if (cli_signal()) return cli_interrupted(&j->watch, NULL);
    cli_signals_default();
    CLI_TRY_MODEL(args.model, status);
    CLI_TRY_MODEL(args.out,
                  cli_score_graph(j->quantized, NULL, j->data.test, task, threads, &j->after, &err));
    status_now = pass_gate(j, &gate);
    if (status_now != CLI_OK) return status_now;
    CLI_TRY(j->tuning.import ? cli_tuning_save(&j->tuning, j->quantized, NULL, false, args.out, &err)
                             : cli_save_as(j->quantized, args.out, args.pack, &err));
    j->after.file_bytes = cli_model_bytes(cli_tuning_file(&j->tuning, args.out));
    print(j);
    return CLI_OK;
}

static int run(void) {
    job j = {.watch = {.progress.label = "fine-tuning "}};
    int status = cli_watch_close(&j.watch, work(&j));
    cli_layers_free(&j.layers);
    free(j.kept);
    hone_graph_free(j.quantized);
    hone_graph_free(j.graph);
    cli_free_parts(&j.data);
    cli_tuning_end(&j.tuning);
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
