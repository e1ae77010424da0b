#include "files.h"
#include "signals.h"
#include "training.h"

#include <hone/compress.h>
#include <stdlib.h>

static struct {
    const char *model, *out, *sparsity;
    cli_data data;
    bool json, pack;
    cli_log log;
    cli_task task;
    hone_prune_options prune;
} args = {.log = CLI_LOG_INIT, .prune = HONE_PRUNE_OPTIONS_INIT};

static const cli_option options[] = {
    OPT_MODEL(args.model),
    OPT_TEXT("sparsity", "X|N:M", args.sparsity,
             "share of the weights to set to zero, by magnitude; or of each M that are summed side by side N "
             "stay (2:4)"),
    OPT_NUMBER("structured", "X", args.prune.structured, 0, CLI_BELOW_ONE,
               "least share of the hidden units to remove for good, by norm", .zero = ""),
    OPT_NUMBER("low-rank", "X", args.prune.low_rank, 0, CLI_BELOW_ONE,
               "least share of the multiply-adds to remove by splitting layers into two of a lower rank",
               .zero = ""),
    OPT_DATA(args.data),
    OPT_PARTS(args.data),
    OPT_TASK(args.task),
    OPT_OUT(args.out),
    OPT_PACK(args.pack),
    OPT_INT("finetune-epochs", "N", args.prune.finetune.epochs, 0, 1000000, "epochs of training afterwards",
            .zero = "none"),
    OPT_FINETUNING(args.prune.finetune),
    OPT_TRAINING(args.prune.finetune),
    OPT_LOG(args.log),
    OPT_JSON(args.json),
    OPT_END,
};

typedef struct job {
    hone_graph *graph, *pruned;
    cli_parts data;
    hone_prune_report report;
    cli_score before, after;
    cli_watch watch;
} job;

static void print(const job *j) {
    const hone_prune_report *r = &j->report;
    double zeros = r->weights > 0 ? (double)r->zeros / (double)r->weights : 0;
    if (args.json) {
        cli_print_json(json_pack("{s:o, s:f, s:f, s:f, s:I, s:I, s:f, s:o, s:o, s:o}", "model",
                                 cli_json_text(args.out), "sparsity", args.prune.sparsity, "structured",
                                 args.prune.structured, "low_rank", args.prune.low_rank, "split",
                                 (json_int_t)r->split, "zeros", (json_int_t)r->zeros, "zero_share", zeros,
                                 "blocked", cli_json_text(r->blocked), "before", cli_json_score(&j->before),
                                 "after", cli_json_score(&j->after)));
        return;
    }
    cli_print_change(&j->before, &j->after);
    if (r->zeros > 0) printf("%s of the weights are zero\n", cli_percent(zeros));
    if (r->split > 0) printf("%lld layers are two of a lower rank\n", (long long)r->split);
    if (r->blocked[0]) printf("not cut: %s\n", r->blocked);
    printf("wrote %s\n", args.out);
}

/* "0.9" or "2:4". */
static int read_sparsity(void) {
    char *end, *text = (char *)args.sparsity;
    if (!text) return CLI_OK;
    const double x = strtod(text, &end);
    if (*text && !*end && x >= 0 && x < 1) {
        args.prune.sparsity = x;
        return CLI_OK;
    }
    const long kept = strtol(text, &end, 10), group = *end == ':' ? strtol(end + 1, &end, 10) : 0;
    if (*end || kept < 1 || group <= kept || group > 64)
        return cli_usage_error("--sparsity needs a number of 0 or more and below 1, or N:M as 2:4, not '%s'",
                               text);
    args.prune.kept = (int)kept;
    args.prune.group = (int)group;
    return CLI_OK;
}

static int work(job *j) {
    hone_error err = {0};
    if (read_sparsity() != CLI_OK) return CLI_USAGE;
    args.prune.distill = args.prune.finetune.alpha > 0;
    if (args.prune.sparsity == 0 && args.prune.structured == 0 && args.prune.low_rank == 0 &&
        !args.prune.group)
        return cli_usage_error("give --sparsity, --structured, --low-rank, or some of them");
    if (args.prune.finetune.epochs > 0 && !args.data.spec)
        return cli_usage_error("fine-tuning needs --data; --finetune-epochs 0 goes without");
    if (cli_read_task(&args.task, &args.prune.finetune.task) != CLI_OK) return CLI_USAGE;
    const hone_task *task = &args.prune.finetune.task;
    args.prune.finetune.progress = cli_watch_step;
    args.prune.finetune.user = &j->watch;
    CLI_TRY(cli_check_output(args.out, &err));
    CLI_TRY(hone_graph_load(args.model, &j->graph, &err));
    args.data.model_path = args.model;
    if (args.prune.finetune.epochs > 0)
        CLI_TRY(cli_open_parts(&args.data, task, j->graph, args.prune.finetune.seed,
                               &args.prune.finetune.max_samples, &j->data, &err));
    else if (args.data.spec)
        CLI_TRY(cli_open_test(&args.data, task, j->graph, args.prune.finetune.seed, &j->data.test, &err));
    cli_check_test(j->graph, task, &j->data.test);
    int threads = args.prune.finetune.threads; /* the model may be replaced by the result: measured before */
    CLI_TRY_MODEL(args.model,
                  cli_score_graph(j->graph, args.model, j->data.test, task, threads, &j->before, &err));
    if (args.prune.finetune.epochs > 0) CLI_TRY(cli_watch_open(&j->watch, &args.log, "", j->graph, &err));
    cli_signals_catch();
    hone_status status = hone_prune(j->graph, j->data.train, &args.prune, &j->pruned, &j->report, &err);
    if (cli_signal()) return cli_interrupted(&j->watch, NULL);
    cli_signals_default();
    CLI_TRY_MODEL(args.model, status);
    CLI_TRY(cli_save_as(j->pruned, args.out, args.pack, &err));
    CLI_TRY_MODEL(args.out,
                  cli_score_graph(j->pruned, args.out, j->data.test, task, threads, &j->after, &err));
    print(j);
    return CLI_OK;
}

static int run(void) {
    job j = {.watch = {.progress.label = "fine-tuning "}};
    int status = cli_watch_close(&j.watch, work(&j));
    hone_graph_free(j.pruned);
    hone_graph_free(j.graph);
    cli_free_parts(&j.data);
    return status;
}

const cli_command cli_cmd_prune = {
    "prune", "remove weights or whole hidden units, and fine-tune",
    "--sparsity keeps the shape and makes small weights zero: more and more during the first epochs of\n"
    "fine-tuning, in which the model as it was is the teacher.\n"
    "--structured makes the model really smaller: coupled rows and columns go together. 0.5\n"
    "leaves at most half of the parameters and multiply-adds of the layers that lose units.\n\n"
    "  hone prune m.onnx --sparsity 0.9 --data fashion-mnist --finetune-epochs 3 --out p.onnx\n"
    "  hone prune m.onnx --structured 0.5 --data fashion-mnist --finetune-epochs 3 --out s.onnx",
    options, run};
