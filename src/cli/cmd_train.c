#include "board.h"
#include "energy.h"
#include "files.h"
#include "signals.h"
#include "text.h"
#include "training.h"
#include "tuning.h"

#include <hone/ranks.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    const char *model, *out, *recipe;
    double dropout;
    bool init, last, list, merge;
    int head; /* keep, replace, add */
    const char *head_on;
    cli_data data;
    bool json;
    cli_log log;
    cli_task task;
    cli_losses losses;
    hone_train_options train;
    cli_energy cost;
} args = {.cost = CLI_ENERGY_INIT, .log = CLI_LOG_INIT, .train = HONE_TRAIN_OPTIONS_INIT};

static const cli_option options[] = {
    OPT_TEXT("model", "MODEL", args.model,
             "network to build (mlp:128, cnn:16-32s2-48-p-64; --list-models lists them), an ONNX file to "
             "train further, or "
             "ONNX text that may lack weights",
             .required = true),
    OPT_DATA(args.data, .required = true),
    OPT_TASK(args.task),
    OPT_LOSSES(args.losses),
    OPT_OUT(args.out),
    OPT_INT("epochs", "N", args.train.epochs, 1, 1000000, "passes over the training samples"),
    OPT_TEXT("recipe", "NAME", args.recipe,
             "options that go together, listed below; those given beside it count more"),
    OPT_TRAINING(args.train),
    OPT_NUMBER("dropout", "X", args.dropout, 0, CLI_BELOW_ONE,
               "of a network to build: share of the values before the last layer that each step leaves out",
               .zero = "none"),
    CLI_ROW(CLI_FLAG, "list-models", NULL, args.list, "list the networks that can be built", .alone = true),
    OPT_TEXT("freeze", "PATTERNS", args.train.freeze,
             "weights that stay as they are: shell patterns for their names, with commas between them ('*' "
             "for all); "
             "`hone inspect` lists the names"),
    OPT_TEXT("train", "PATTERNS", args.train.train, "weights that are trained though --freeze matches them"),
    OPT_CHOICE("head", "keep|replace|add", args.head,
               "of an ONNX file: a new last layer for the classes of the data, in place of the one that is "
               "there, or behind "
               "the output (averaged over places or the image)"),
    OPT_TEXT("head-on", "NAME", args.head_on,
             "the value of the model that the new layer is for (default: the first output)"),
    OPT_FLAG("init", args.init, "of an ONNX file: its weights begin anew"),
    OPT_INT(
        "lora", "RANK", args.train.lora_rank, 0, 65536,
        "low-rank adaptation: keep the weights, and train for each a product of two matrices of that rank "
        "that is added to it",
        .zero = "none"),
    OPT_NUMBER("lora-alpha", "X", args.train.lora_alpha, -1e6, 1e6, "the product counts X/RANK"),
    OPT_FLAG("merge", args.merge,
             "of a language model with --lora: write the whole model, not the adapter alone"),
    OPT_NUMBER(
        "validation", "X", args.data.validation, 0, 1e15,
        "keep a share of the training samples (0.1), or so many (5000), for validation after each epoch",
        .zero = "none"),
    OPT_PARTS(args.data),
    OPT_INT("patience", "N", args.train.patience, 0, 1000000,
            "stop when validation has not got better for N epochs", .zero = "never"),
    OPT_FLAG("keep-last", args.last, "write the last epoch's model, not the one that did best in validation"),
    OPT_TEXT("checkpoint", "DIR", args.train.checkpoint_dir, "write checkpoints there"),
    OPT_INT64("checkpoint-steps", "N", args.train.checkpoint_steps, 0, 1e15, "steps between two checkpoints",
              .zero = "one an epoch"),
    OPT_TEXT("resume", "DIR", args.train.resume_dir, "continue from the newest checkpoint there"),
    OPT_ENERGY(args.cost),
    OPT_LOG(args.log),
    OPT_JSON(args.json),
    OPT_END,
};

/* Made on the data sets that they name, and good beyond them. */
static const cli_preset recipes[] = {
    {"small", "a small convolutional network on small images: Fashion-MNIST in two minutes on two cores",
     "--optimizer adamw --batch 128 --lr 2e-3 --weight-decay 0.05 --warmup 0.1 --label-smoothing 0.05 --ema "
     "0.998 "
     "--augment flip,crop:1 --dropout 0.3 --epochs 11"},
    {"strong", "a larger one, residual, for the last percent",
     "--optimizer adamw --batch 256 --lr 4e-3 --weight-decay 0.05 --warmup 0.1 --label-smoothing 0.1 --ema "
     "0.995 "
     "--augment flip,crop:1,erase:0.1 --epochs 12"},
    {"table", "tables of numbers and categories, with mlp:32-32",
     "--optimizer adamw --batch 32 --lr 5e-3 --weight-decay 0.05 --warmup 0.05 "
     "--label-smoothing 0.05 --dropout 0.2 --epochs 120"},
    {"bag", "texts of labels with bag:64, a minute",
     "--optimizer adamw --batch 256 --lr 1e-2 --warmup 0.1 --label-smoothing 0.05 --dropout 0.3 --epochs 5"},
    {"encoder", "texts of labels with encoder:2x128h4, minutes",
     "--optimizer adamw --batch 128 --lr 1e-3 --weight-decay 0.05 --warmup 0.1 --label-smoothing 0.05 "
     "--dropout 0.2 "
     "--epochs 6"},
    {"lm", "a language model on texts with lm:4x192h6, an epoch of ten megabytes in minutes",
     "--optimizer adamw --batch 32 --lr 3e-3 --beta2 0.95 --weight-decay 0.1 --warmup 0.05 --floor 0.05 "
     "--clip-norm 1 "
     "--epochs 1"},
    {"sound", "clips of sound, such as spoken words, with dscnn:48-48-64s2-64-96s2, minutes",
     "--optimizer adamw --batch 64 --lr 4e-3 --weight-decay 0.02 --warmup 0.1 --label-smoothing 0.1 "
     "--dropout 0.2 "
     "--ema 0.995 --augment speed:0.25,shift:0.2,noise:0.3,tilt:0.8,echo:0.5 --epochs 40"},
    {NULL, NULL, NULL}};

typedef struct job {
    cli_parts data;
    hone_graph *graph;
    cli_tuning tuning;
    cli_watch watch;
    hone_train_report report;
    hone_eval_report test_report;
    hone_eval_report others[64]; /* of the outputs of --loss, on the test samples */
} job;

/* A model that is there says how data are read. */
static int load_model(job *j) {
    hone_error err = {0};
    const size_t length = strlen(args.model);
    const bool onnx = length > 5 && strcmp(args.model + length - 5, ".onnx") == 0;
    if (!onnx && !hone_import_takes(args.model)) return CLI_OK;
    const int status = cli_tuning_begin(&j->tuning, args.model, &args.data, &j->graph);
    if (status != CLI_OK) return status;
    args.data.model_path = args.model;
    args.train.lora_apart = j->tuning.import != NULL;
    if (j->tuning.import && args.train.lora_rank && !args.train.freeze)
        args.train.freeze = "lm_head*"; /* as others do: large, and last */
    if (!j->graph) CLI_TRY(hone_graph_load(args.model, &j->graph, &err));
    return CLI_OK;
}

static hone_status set_head(job *j, hone_error *err) {
    hone_head_options head = HONE_HEAD_OPTIONS_INIT;
    if (args.head == 0) return HONE_OK;
    if (args.train.lora_rank > 0 && !args.train.train)
        args.train.train = "head.*"; /* there is nothing to adapt yet */
    head.kind = args.head == 1 ? HONE_HEAD_REPLACE : HONE_HEAD_ADD;
    head.output = args.head_on;
    head.task = args.train.task;
    head.seed = args.train.seed;
    return hone_graph_set_head(j->graph, j->data.train, &head, err);
}

static hone_status make_model(job *j, hone_error *err) {
    if (j->graph && !args.init) return set_head(j, err);
    hone_graph_free(j->graph);
    j->graph = NULL;
    hone_build_options build = HONE_BUILD_OPTIONS_INIT;
    build.task = args.train.task;
    build.seed = args.train.seed;
    build.samples = args.train.max_samples;
    build.dropout = args.dropout;
    build.initialize = args.init;
    return hone_build_model(args.model, j->data.train, &build, &j->graph, err);
}

/* A recipe is for numbers, too: those have no labels to be smoothed. */
static void fit_recipe(const hone_graph *g) {
    const char *noted = hone_graph_metadata(g, "hone.objective"),
               *objective = args.train.task.objective ? args.train.task.objective : noted;
    if (args.recipe && objective && strcmp(objective, "cross-entropy") != 0) args.train.label_smoothing = 0;
}

static hone_status train(job *j, hone_error *err) {
    hone_train_options options_now = args.train;
    options_now.progress = cli_watch_step;
    options_now.user = &j->watch;
    cli_signals_catch();
    cli_energy_start(&args.cost);
    hone_status status = hone_train(j->graph, j->data.train, &options_now, &j->report, err);
    cli_energy_stop(&args.cost);
    cli_progress_clear();
    if (!j->report.stopped) cli_signals_default();
    return status;
}

/* So that a full disk does not cost the training. */
static void save_elsewhere(const job *j) {
    const char *places[] = {getenv("TMPDIR"), "/tmp", "/dev/shm", getenv("HOME")};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        hone_error ignored = {0};
        if (!places[i] || !*places[i]) continue;
        const char *path = cli_text("%s/hone-%ld.onnx", places[i], (long)getpid());
        if (cli_save(j->graph, path, &ignored) != HONE_OK) continue;
        cli_note("%s cannot be written; the model is in %s", args.out, path);
        return;
    }
}

/* Each of the other outputs in turn is the first one of a copy. */
static hone_status test_others(job *j, hone_error *err) {
    for (int i = 0; i < args.losses.count; i++) {
        const hone_goal *goal = &args.losses.goals[i];
        hone_task task = args.train.task;
        hone_graph *g = NULL;
        task.objective = goal->objective;
        task.target = goal->target ? goal->target : goal->output;
        hone_status status = hone_graph_copy(j->graph, &g, err);
        if (status == HONE_OK) status = hone_graph_put_first(g, goal->output, err);
        if (status == HONE_OK)
            status = hone_evaluate(g, j->data.test, &task, args.train.threads, &j->others[i], err);
        hone_graph_free(g);
        if (status != HONE_OK) return status;
    }
    return HONE_OK;
}

/* The model first: no mishap after the training may cost it. */
static hone_status save(job *j, hone_error *err) {
    if (j->tuning.import)
        return cli_tuning_save(&j->tuning, j->graph, args.model, args.train.lora_rank && !args.merge,
                               args.out, err);
    hone_status status = cli_save_tokenizer(j->data.train, j->graph, args.out, err);
    if (status == HONE_OK) status = cli_note_parts(j->graph, &j->data, err);
    return status == HONE_OK ? cli_save(j->graph, args.out, err) : status;
}

static hone_status finish(job *j, hone_error *err) {
    hone_status status = save(j, err);
    if (status != HONE_OK) save_elsewhere(j);
    if (status == HONE_OK && j->data.test)
        status =
            hone_evaluate(j->graph, j->data.test, &args.train.task, args.train.threads, &j->test_report, err);
    if (status == HONE_OK && j->data.test) status = test_others(j, err);
    return status;
}

static void report(const job *j) {
    const hone_eval_report *test = j->data.test ? &j->test_report : NULL;
    const hone_metric *metric = &j->report.metric;
    if (args.json) {
        hone_eval_report none = {.loss = NAN, .metrics = {{metric->name, NAN, true}}, .metric_count = 1};
        json_t *o = json_pack("{s:o, s:i, s:I, s:o, s:o}", "model", cli_json_text(args.out), "epochs",
                              args.train.epochs, "steps", (json_int_t)j->report.steps, "train_loss",
                              cli_json_number(j->report.loss), "seconds", cli_json_number(j->report.seconds));
        json_object_set_new(o, cli_text("train_%s", metric->name), cli_json_number(metric->value));
        cli_energy_json(&args.cost, 1, o);
        cli_json_metrics(o, "test_", test ? test : &none);
        for (int i = 0; test && i < args.losses.count; i++)
            cli_json_metrics(o, cli_text("test_%s_", args.losses.goals[i].output), &j->others[i]);
        cli_print_json(o);
        return;
    }
    int64_t now = j->watch.progress.steps ? j->report.steps - j->watch.progress.first_step + 1 : 0;
    printf("trained %s steps%s in %.1f s: loss %.4f, %s %s on the training samples\n", cli_count(now),
           now < j->report.steps ? cli_text(" (%s with those before)", cli_count(j->report.steps)) : "",
           j->report.seconds, j->report.loss, cli_metric_name(metric), cli_metric_value(metric));
    if (test)
        printf("test %s, loss %.4f: %s test samples, looked at once, after the training\n", cli_metrics(test),
               test->loss, cli_count(test->samples));
    for (int i = 0; test && i < args.losses.count; i++)
        printf("output %s: test %s, loss %.4f\n", args.losses.goals[i].output, cli_metrics(&j->others[i]),
               j->others[i].loss);
    if (j->report.best_epoch && j->report.best_epoch < args.train.epochs)
        printf("%sepoch %d did best in validation: that is what is kept\n",
               j->report.early ? "stopped early: " : "", j->report.best_epoch);
    printf("energy of the training: %s\n", cli_energy_text(&args.cost, 1));
    if (j->tuning.import)
        printf("wrote %s\n", args.out);
    else
        printf("wrote %s, %s bytes\n", args.out, cli_count(cli_model_bytes(args.out)));
}

/* The same command line starts and, after a mishap, goes on: with one directory for both. */
static void choose_start(void) {
    const char *to = args.train.checkpoint_dir, *from = args.train.resume_dir;
    if (!to) return;
    bool there = cli_file_bytes(cli_text("%s/LATEST", to)) >= 0;
    if (from && strcmp(from, to) == 0 && !there) {
        cli_note("no checkpoint in %s yet: starting anew", to);
        args.train.resume_dir = NULL;
    } else if (!from && there) {
        cli_note("warning: the checkpoint in %s is replaced; --resume %s would go on with it", to, to);
    }
}

static void list_models(void) {
    const char *form, *about, *name;
    for (int i = 0; (name = hone_model_family(i, &form, &about)); i++)
        printf("%s:%s\n    %s\n", name, form, about);
    puts("FILE\n    a model as ONNX text that may lack weights: a float value that is declared with a shape, "
         "is no input "
         "and is made\n    by no node is a parameter");
}

/* One of several processes: what is said and written once is for the first. */
static void follow(void) {
    cli_silence();
    args.log.dir = args.train.checkpoint_dir = args.train.resume_dir = NULL;
}

static int work(job *j) {
    hone_error err = {0};
    if (args.list) {
        list_models();
        return CLI_OK;
    }
    CLI_TRY(hone_ranks_begin(&err));
    if (hone_rank() > 0) follow();
    if (args.recipe) cli_note("recipe %s: %s", args.recipe, cli_find_preset(recipes, args.recipe)->options);
    args.train.keep_best = !args.last;
    if (cli_read_task(&args.task, &args.train.task) != CLI_OK) return CLI_USAGE;
    if (cli_read_losses(&args.losses, &args.train) != CLI_OK) return CLI_USAGE;
    choose_start();
    if (hone_rank_count() > 1)
        cli_note("%d processes: each takes its part of every batch of %d", hone_rank_count(),
                 args.train.batch);
    const int loaded = load_model(j);
    if (loaded != CLI_OK) return loaded;
    if (args.merge && !(j->tuning.import && args.train.lora_rank))
        return cli_usage_error("--merge is for language models with --lora");
    CLI_TRY(cli_tuning_check_output(&j->tuning, args.out, &err));
    if (args.train.checkpoint_dir) CLI_TRY(cli_check_directory(args.train.checkpoint_dir, &err));
    CLI_TRY(cli_open_parts(&args.data, &args.train.task, j->graph, args.train.seed, &args.train.max_samples,
                           &j->data, &err));
    args.train.validation = j->data.validation;
    CLI_TRY(make_model(j, &err));
    cli_place_losses(&args.losses, j->graph, &args.train);
    fit_recipe(j->graph);
    cli_check_test(j->graph, &args.train.task, &j->data.test);
    j->watch.resumes = args.train.resume_dir != NULL;
    CLI_TRY(cli_watch_open(&j->watch, &args.log, "", j->graph, &err));
    cli_board_settings(&j->watch, args.model, &args.train);
    CLI_TRY_MODEL(args.model, train(j, &err));
    if (hone_rank() > 0) return CLI_OK;
    if (j->report.stopped) return cli_interrupted(&j->watch, args.train.checkpoint_dir);
    CLI_TRY(finish(j, &err));
    cli_board_answers(&j->watch, j->graph, j->data.test ? j->data.test : j->data.validation, &args.train.task,
                      args.train.threads, j->report.steps);
    report(j);
    return CLI_OK;
}

static int run(void) {
    job j = {.watch = {.progress.label = ""}};
    int status = cli_watch_close(&j.watch, work(&j));
    hone_ranks_end(status != CLI_OK && !j.report.stopped);
    hone_graph_free(j.graph);
    cli_free_parts(&j.data);
    cli_tuning_end(&j.tuning);
    return status;
}

const cli_command cli_cmd_train = {
    "train",
    "train a network and write it as an ONNX file",
    "The inputs are standardized inside the model, with the mean and deviation of the training samples.\n"
    "The test split is not looked at before the end; use --validation to see how it goes.\n"
    "SIGINT (Ctrl-C) stops after the step, with a checkpoint if --checkpoint is given; a second one "
    "kills.\n\n"
    "  hone train --model mlp:784-128-10 --data fashion-mnist --epochs 10 --out m.onnx --logdir runs/m\n"
    "  hone train --model mlp:784-128-10 --data fashion-mnist --checkpoint ck --resume ck --out m.onnx\n"
    "  hone train --model cnn:16-32s2-48-p-64-56 --recipe small --data fashion-mnist --validation 0.1 --out "
    "c.onnx\n"
    "  hone train --model m.onnx --data npz:houses.npz --target price --objective mean-squared-error --out "
    "n.onnx\n\n"
    "The second, given again after an interrupt, goes on: with no checkpoint in ck yet it starts anew.\n"
    "On several machines: mpirun -n 4 --host a,b,c,d hone train … as ever; docs/scale.md.",
    options,
    run,
    .presets = recipes};
