#include "training.h"

#include "files.h"
#include "signals.h"
#include "table.h"

#include <hone/monitor.h>

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int cli_interrupted(const cli_watch *w, const char *checkpoint) {
    const char *where = w->progress.steps ? cli_text(" after step %lld of %lld", (long long)w->progress.step,
                                                     (long long)w->progress.steps)
                                          : "";
    if (checkpoint)
        cli_error("interrupted%s; go on with --resume %s", where, checkpoint);
    else
        cli_error("interrupted%s; nothing is written", where);
    return 128 + cli_signal();
}

/* --- event files --- */

/* Event files are not worth the training: the first failure is remembered, told at the end, and ends the
 * logging. */
void cli_watch_event(cli_watch *w, hone_status status, const hone_error *err) {
    if (status == HONE_OK || w->events_error.code != HONE_OK) return;
    w->events_error = *err;
    w->events = NULL;
}

static int count_runs(const char *dir) {
    int count = 0;
    DIR *d = opendir(dir);
    for (const struct dirent *e; d && (e = readdir(d));) count += strstr(e->d_name, ".tfevents.") != NULL;
    if (d) closedir(d);
    return count;
}

hone_status cli_watch_open(cli_watch *w, const cli_log *log, const char *name, const hone_graph *g,
                           hone_error *err) {
    if (!log->dir) return HONE_OK;
    char *path = cli_alloc(strlen(log->dir) + strlen(name) + 2);
    sprintf(path, "%s%s%s", log->dir, *name ? "/" : "", name);
    int runs = count_runs(path);
    if (runs > 0 && !w->resumes)
        cli_note("%s has event files of %d earlier run%s: TensorBoard shows all of them as one", path, runs,
                 runs == 1 ? "" : "s");
    hone_status status = hone_events_open(path, &w->open_events, err);
    if (status == HONE_OK)
        w->dir = path;
    else
        free(path);
    if (status == HONE_OK) status = hone_events_graph(w->open_events, g, err);
    w->events = w->open_events;
    w->log_steps = log->steps;
    return status;
}

int cli_watch_close(cli_watch *w, int status) {
    hone_error err = {0};
    hone_status closed = hone_events_close(w->open_events, &err);
    w->events = w->open_events = NULL;
    free(w->dir);
    w->dir = NULL;
    if (status != CLI_OK) return status;
    if (w->events_error.code != HONE_OK) return cli_fail(&w->events_error);
    return closed == HONE_OK ? CLI_OK : cli_fail(&err);
}

static void log_scalar(cli_watch *w, const char *tag, int64_t step, double value) {
    hone_error err = {0};
    if (w->events && isfinite(value))
        cli_watch_event(w, hone_events_scalar(w->events, tag, step, value, &err), &err);
}

static void log_weights(cli_watch *w, const hone_graph *g, int64_t step) {
    hone_error err = {0};
    const char *name;
    for (int i = 0; w->events && g && (name = hone_graph_initializer_name(g, i)); i++) {
        const hone_tensor *t = hone_graph_initializer(g, name);
        if (!t || hone_tensor_dtype(t) != HONE_FLOAT32 || hone_tensor_count(t) < 2) continue;
        cli_watch_event(w,
                        hone_events_histogram(w->events, cli_text("weights/%s", name), step,
                                              hone_tensor_data(t), hone_tensor_count(t), &err),
                        &err);
    }
}

static void log_step(cli_watch *w, const hone_train_progress *p) {
    hone_error err = {0};
    if (!w->begun && p->step > 1) cli_watch_event(w, hone_events_restart(w->events, p->step, &err), &err);
    w->begun = true;
    if (!w->events) return;
    if (p->epoch_done || p->step % w->log_steps == 0) {
        log_scalar(w, "loss", p->step, p->recent_loss);
        log_scalar(w, p->metric.name, p->step, p->metric.value);
        log_scalar(w, "learning_rate", p->step, p->learning_rate);
    }
    if (!p->epoch_done) return;
    log_scalar(w, "validation/loss", p->step, p->validation_loss);
    log_scalar(w, cli_text("validation/%s", p->metric.name), p->step, p->validation_metric);
    log_weights(w, p->graph, p->step);
    if (w->events) cli_watch_event(w, hone_events_flush(w->events, &err), &err);
}

bool cli_watch_step(void *user, const hone_train_progress *p) {
    cli_watch *w = user;
    cli_progress_show(&w->progress, p);
    if (w->events) log_step(w, p);
    return cli_signal() == 0;
}

/* --- data and results --- */

hone_status cli_build(const char *description, const hone_dataset *data, const hone_train_options *o,
                      hone_graph **out, hone_error *err) {
    hone_build_options build = HONE_BUILD_OPTIONS_INIT;
    build.task = o->task;
    build.seed = o->seed;
    return hone_build_model(description, data, &build, out, err);
}

void cli_check_test(const hone_graph *g, const hone_task *task, hone_dataset **test) {
    hone_error why = {0};
    char text[1024];
    if (!*test || hone_task_check(g, *test, task, &why) == HONE_OK) return;
    cli_note("no test accuracy: %s", hone_error_format(&why, text, sizeof text));
    hone_dataset_free(*test);
    *test = NULL;
}

hone_status cli_score_graph(const hone_graph *g, const char *path, const hone_dataset *test,
                            const hone_task *task, int threads, cli_score *out, hone_error *err) {
    *out = (cli_score){.file_bytes = path ? cli_model_bytes(path) : -1,
                       .eval = {.loss = NAN, .metrics = {{"accuracy", NAN, true}}, .metric_count = 1}};
    hone_status status = hone_graph_get_stats(g, &out->stats, err);
    if (status == HONE_OK && test) status = hone_evaluate(g, test, task, threads, &out->eval, err);
    return status;
}

json_t *cli_json_score(const cli_score *s) {
    json_t *o = json_object();
    cli_json_metrics(o, "", &s->eval);
    json_t *more =
        json_pack("{s:I, s:I, s:I, s:I, s:I}", "file_bytes", (json_int_t)s->file_bytes, "parameters",
                  (json_int_t)s->stats.parameters, "nonzero_parameters",
                  (json_int_t)s->stats.nonzero_parameters, "parameter_bytes",
                  (json_int_t)s->stats.parameter_bytes, "multiply_adds", (json_int_t)s->stats.multiply_adds);
    json_object_update(o, more);
    json_decref(more);
    return o;
}

/* "+0.12 points" of shares, else the difference. */
static const char *metric_change(const hone_metric *before, const hone_metric *after) {
    double change = after->value - before->value;
    return before->share ? cli_text("%+.2f points", 100 * change) : cli_text("%+.4f", change);
}

static void count_row(cli_table *t, const char *name, int64_t before, int64_t after) {
    cli_table_row(t, name, cli_count(before), cli_count(after),
                  before > 0 ? cli_text("× %.3f", (double)after / (double)before) : "", NULL);
}

void cli_print_change(const cli_score *before, const cli_score *after) {
    cli_table *t = cli_table_new("lrrr");
    cli_table_row(t, "", "before", "after", "change", NULL);
    for (int i = 0; i < before->eval.metric_count && isfinite(before->eval.loss); i++) {
        const hone_metric *m = &before->eval.metrics[i], *n = &after->eval.metrics[i];
        cli_table_row(t, cli_text("test %s", cli_metric_name(m)), cli_metric_value(m), cli_metric_value(n),
                      metric_change(m, n), NULL);
    }
    if (isfinite(before->eval.loss)) {
        cli_table_row(t, "test loss", cli_text("%.4f", before->eval.loss), cli_text("%.4f", after->eval.loss),
                      cli_text("%+.4f", after->eval.loss - before->eval.loss), NULL);
    }
    count_row(t, "file, bytes", before->file_bytes, after->file_bytes);
    count_row(t, "parameters", before->stats.parameters, after->stats.parameters);
    count_row(t, "of these not zero", before->stats.nonzero_parameters, after->stats.nonzero_parameters);
    count_row(t, "multiply-adds", before->stats.multiply_adds, after->stats.multiply_adds);
    cli_table_print(t, stdout);
    cli_table_free(t);
}
