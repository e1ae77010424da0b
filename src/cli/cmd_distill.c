#include "files.h"
#include "signals.h"
#include "table.h"
#include "training.h"

#include <stdlib.h>

static struct {
    const char *model, *teacher, *out;
    cli_data data;
    bool json, baseline;
    cli_log log;
    cli_task task;
    hone_train_options train;
} args = {.log = CLI_LOG_INIT, .train = HONE_TRAIN_OPTIONS_INIT};

static const cli_option options[] = {
    OPT_TEXT("teacher", "FILE", args.teacher, "ONNX file to learn from", .required = true),
    OPT_TEXT("model", "MODEL", args.model, "student to build: mlp:784-32-10", .required = true),
    OPT_DATA(args.data, .required = true),
    OPT_PARTS(args.data),
    OPT_TASK(args.task),
    OPT_OUT(args.out),
    OPT_NUMBER("temperature", "T", args.train.temperature, CLI_ABOVE_ZERO, 1000, "softens both outputs"),
    OPT_NUMBER("alpha", "X", args.train.alpha, 0, 1,
               "weight of the teacher's outputs; the labels have the rest"),
    OPT_INT("epochs", "N", args.train.epochs, 1, 1000000, "passes over the training samples"),
    OPT_TRAINING(args.train),
    OPT_FLAG("baseline", args.baseline, "also train the same student without the teacher, to compare"),
    OPT_LOG(args.log),
    OPT_JSON(args.json),
    OPT_END,
};

typedef struct job {
    hone_graph *teacher, *student, *alone;
    cli_parts data;
    hone_train_report report;
    cli_score teacher_score, student_score, alone_score;
    cli_watch watch, alone_watch;
} job;

static hone_status train(const job *j, hone_graph *student, const hone_graph *teacher, cli_watch *watch,
                         hone_train_report *report, hone_error *err) {
    hone_train_options o = args.train;
    o.teacher = teacher;
    o.progress = cli_watch_step;
    o.user = watch;
    hone_status status = hone_train(student, j->data.train, &o, report, err);
    cli_progress_clear();
    return status;
}

static void row(cli_table *t, const char *name, const cli_score *s) {
    cli_table_row(t, name, cli_metric_value(&s->eval.metrics[0]), cli_count(s->stats.parameters),
                  cli_count(s->stats.multiply_adds), NULL);
}

static void print(const job *j) {
    if (args.json) {
        json_t *o =
            json_pack("{s:o, s:I, s:o, s:o, s:o}", "model", cli_json_text(args.out), "steps",
                      (json_int_t)j->report.steps, "seconds", cli_json_number(j->report.seconds), "teacher",
                      cli_json_score(&j->teacher_score), "student", cli_json_score(&j->student_score));
        if (j->alone_score.stats.parameters > 0)
            json_object_set_new(o, "alone", cli_json_score(&j->alone_score));
        cli_print_json(o);
        return;
    }
    cli_table *t = cli_table_new("lrrr");
    cli_table_row(t, "", "test accuracy", "parameters", "multiply-adds", NULL);
    row(t, "teacher", &j->teacher_score);
    if (j->alone_score.stats.parameters > 0) row(t, "student alone", &j->alone_score);
    row(t, "student distilled", &j->student_score);
    cli_table_print(t, stdout);
    cli_table_free(t);
    printf("wrote %s, %s bytes\n", args.out, cli_count(j->student_score.file_bytes));
}

static int work(job *j) {
    hone_error err = {0};
    hone_train_report alone_report;
    int threads = args.train.threads;
    if (cli_read_task(&args.task, &args.train.task) != CLI_OK) return CLI_USAGE;
    const hone_task *task = &args.train.task;
    CLI_TRY(cli_check_output(args.out, &err));
    CLI_TRY(hone_graph_load(args.teacher, &j->teacher, &err));
    args.data.model_path = args.teacher;
    CLI_TRY(cli_open_parts(&args.data, task, j->teacher, args.train.seed, &args.train.max_samples, &j->data,
                           &err));
    cli_check_test(j->teacher, task, &j->data.test);
    CLI_TRY_MODEL(args.teacher, cli_score_graph(j->teacher, args.teacher, j->data.test, task, threads,
                                                &j->teacher_score, &err));
    CLI_TRY(cli_build(args.model, j->data.train, &args.train, &j->student, &err));
    CLI_TRY(hone_graph_copy(j->student, &j->alone, &err));
    CLI_TRY(cli_watch_open(&j->watch, &args.log, "", j->student, &err));
    if (args.baseline) CLI_TRY(cli_watch_open(&j->alone_watch, &args.log, "alone", j->alone, &err));
    cli_signals_catch();
    CLI_TRY(train(j, j->student, j->teacher, &j->watch, &j->report, &err));
    if (j->report.stopped) return cli_interrupted(&j->watch, NULL);
    CLI_TRY(cli_save(j->student, args.out, &err));
    if (args.baseline) CLI_TRY(train(j, j->alone, NULL, &j->alone_watch, &alone_report, &err));
    if (args.baseline && alone_report.stopped)
        cli_note("the baseline was interrupted after step %lld of %lld; the student is written",
                 (long long)j->alone_watch.progress.step, (long long)j->alone_watch.progress.steps);
    cli_signals_default();
    CLI_TRY_MODEL(args.out, cli_score_graph(j->student, args.out, j->data.test, task, threads,
                                            &j->student_score, &err));
    if (args.baseline && !alone_report.stopped)
        CLI_TRY(cli_score_graph(j->alone, NULL, j->data.test, task, threads, &j->alone_score, &err));
    print(j);
    return args.baseline && alone_report.stopped ? 128 + cli_signal() : CLI_OK;
}

static int run(void) {
    job j = {.watch = {.progress.label = ""}, .alone_watch = {.progress.label = "alone "}};
    int status = cli_watch_close(&j.watch, cli_watch_close(&j.alone_watch, work(&j)));
    hone_graph_free(j.alone);
    hone_graph_free(j.student);
    hone_graph_free(j.teacher);
    cli_free_parts(&j.data);
    return status;
}

const cli_command cli_cmd_distill = {"distill", "train a small network to answer as a large one does",
                                     "The loss is alpha T^2 KL(teacher || student), both softened by the "
                                     "temperature T, + (1 - alpha) cross-entropy.\n\n"
                                     "  hone distill --teacher t.onnx --model mlp:784-32-10 --data "
                                     "fashion-mnist --train-samples 6000 --out s.onnx",
                                     options, run};
