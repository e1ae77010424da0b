#include "data.h"

#include <stdlib.h>
#include <string.h>

static hone_status wrong(hone_error *err, const char *text) {
    *err = (hone_error){.code = HONE_INVALID_ARGUMENT};
    snprintf(err->message, sizeof err->message, "%s", text);
    return err->code;
}

static hone_status open_split(const char *spec, hone_split split, hone_dataset **out, hone_error *err) {
    return hone_dataset_open(spec, split, out, err);
}

/* --- parting --- */

/* "0.1" or "500" */
static const char *amount(double x) {
    return cli_text("%.12g", x);
}

/* How many samples an amount is. */
static int64_t samples_of(double x, int64_t count) {
    int64_t n = (int64_t)(x < 1 ? x * (double)count + 0.5 : x);
    return x > 0 && n < 1 ? 1 : n;
}

static hone_draw_options drawing(const cli_data *d, const hone_task *task, uint64_t seed, double share) {
    hone_draw_options o = HONE_DRAW_OPTIONS_INIT;
    o.share = share;
    o.in_order = d->by == 1;
    o.seed = seed;
    o.target = task->target;
    o.group = d->group;
    return o;
}

/* `*from` becomes what is left of it; what it was is let go. */
static hone_status part(const cli_data *d, const hone_task *task, uint64_t seed, double share,
                        hone_dataset **from, hone_dataset **out, hone_error *err) {
    hone_dataset *rest = NULL;
    hone_draw_options o = drawing(d, task, seed, share);
    hone_status status = hone_dataset_draw(*from, &o, out, &rest, err);
    if (status != HONE_OK) return status;
    hone_dataset_free(*from);
    *from = rest;
    return HONE_OK;
}

static hone_status check_amounts(const cli_data *d, int64_t count, int64_t train_samples, hone_error *err) {
    int64_t left = count - samples_of(d->validation, count);
    if (d->validation >= 1 && d->validation != (double)(int64_t)d->validation)
        return wrong(err, cli_text("--validation %s is neither a share of the samples nor their number",
                                   amount(d->validation)));
    if (d->validation > 0 && train_samples > left)
        return wrong(
            err, cli_text("--validation %s and --train-samples %lld are more than the %lld training samples",
                          amount(d->validation), (long long)train_samples, (long long)count));
    if (d->validation > 0 && left < 1)
        return wrong(err, cli_text("--validation %s leaves nothing of the %lld training samples",
                                   amount(d->validation), (long long)count));
    return HONE_OK;
}

/* The first ones, or drawn. */
static hone_status draw_training(const cli_data *d, const hone_task *task, uint64_t seed, int64_t samples,
                                 cli_parts *p, hone_error *err) {
    int64_t count = hone_dataset_count(p->train);
    hone_draw_options o = drawing(d, task, seed, 0);
    hone_dataset *drawn = NULL, *rest = NULL;
    o.share = (double)(o.in_order ? count - samples : samples);
    o.group = "";
    hone_status status = hone_dataset_draw(p->train, &o, &drawn, &rest, err);
    if (status != HONE_OK) return status;
    hone_dataset_free(p->train);
    p->train = o.in_order ? rest : drawn;
    hone_dataset_free(o.in_order ? drawn : rest);
    return HONE_OK;
}

/* --- what is to be told --- */

static void tell_imbalance(const hone_dataset *d, const hone_task *task) {
    enum { UNEVEN = 10 };
    hone_error err = {0};
    int column = hone_dataset_usual_target(d, task->target), classes = hone_dataset_classes(d, column),
        least = 0, most = 0;
    if (classes < 2 || classes > 1 << 20) return;
    int64_t *counts = cli_alloc((size_t)classes * sizeof *counts);
    if (hone_dataset_class_counts(d, column, counts, &err) == HONE_OK) {
        for (int c = 1; c < classes; c++) {
            if (counts[c] < counts[least]) least = c;
            if (counts[c] > counts[most]) most = c;
        }
        const char *few = hone_dataset_class_name(d, least), *many = hone_dataset_class_name(d, most);
        if (counts[most] >= UNEVEN * counts[least])
            cli_note("the classes are uneven: %s of the %s training samples are of class %s, %s of class %s",
                     cli_count(counts[least]), cli_count(hone_dataset_count(d)),
                     few ? few : cli_text("%d", least), cli_count(counts[most]),
                     many ? many : cli_text("%d", most));
    }
    free(counts);
}

/* --- opening --- */

static void tell_no_test(const char *text) {
    cli_note("no test split, so no test accuracy: %s", text);
}

/* The test split of a data set; NULL and a note if it has none. */
static hone_status open_test_split(const char *spec, hone_dataset **out, hone_error *err) {
    hone_error why = {0};
    char text[1024];
    hone_status status = open_split(spec, HONE_SPLIT_TEST, out, &why);
    if (status == HONE_OK && hone_dataset_is_split(*out)) return HONE_OK;
    if (status == HONE_OK) {
        const char *path = strchr(spec, ':');
        cli_note("no test split in %s, so no test accuracy: it would be x_test and y_test",
                 path ? path + 1 : spec);
        hone_dataset_free(*out);
    } else if (status == HONE_NOT_FOUND) {
        tell_no_test(hone_error_format(&why, text, sizeof text));
    } else {
        *err = why;
        return status;
    }
    *out = NULL;
    return HONE_OK;
}

static hone_status open_parts(const cli_data *d, const hone_task *task, const hone_graph *model,
                              uint64_t seed, int64_t *train_samples, cli_parts *out, hone_error *err) {
    (void)model;
    hone_status status = open_split(d->spec, HONE_SPLIT_TRAIN, &out->train, err);
    if (status == HONE_OK && d->test_spec)
        status = open_split(d->test_spec, HONE_SPLIT_TEST, &out->test, err);
    if (status == HONE_OK && !d->test_spec && d->test > 0 && hone_dataset_is_split(out->train))
        cli_note("--test %s: %s has a test split of its own", amount(d->test), d->spec);
    if (status == HONE_OK && !d->test_spec) {
        if (d->test > 0 && !hone_dataset_is_split(out->train))
            status = part(d, task, seed, d->test, &out->train, &out->test, err);
        else
            status = open_test_split(d->spec, &out->test, err);
    }
    if (status != HONE_OK) return status;
    int64_t count = hone_dataset_count(out->train);
    status = check_amounts(d, count, *train_samples, err);
    if (status == HONE_OK && d->validation > 0)
        status = part(d, task, seed, d->validation, &out->train, &out->validation, err);
    if (status != HONE_OK) return status;
    if (*train_samples > count)
        cli_note("--train-samples %lld: there are only %s", (long long)*train_samples, cli_count(count));
    if (*train_samples > 0 && *train_samples < hone_dataset_count(out->train))
        status = draw_training(d, task, seed, *train_samples, out, err);
    *train_samples = 0;
    if (status == HONE_OK) tell_imbalance(out->train, task);
    return status;
}

hone_status cli_open_parts(const cli_data *d, const hone_task *task, const hone_graph *model, uint64_t seed,
                           int64_t *train_samples, cli_parts *out, hone_error *err) {
    int64_t all = 0;
    *out = (cli_parts){NULL};
    return open_parts(d, task, model, seed, train_samples ? train_samples : &all, out, err);
}

hone_status cli_open_test(const cli_data *d, const hone_task *task, const hone_graph *model, uint64_t seed,
                          hone_dataset **out, hone_error *err) {
    cli_parts p = {NULL};
    (void)model;
    hone_status status = HONE_OK;
    *out = NULL;
    if (d->test_spec) return open_split(d->test_spec, HONE_SPLIT_TEST, out, err);
    if (d->test > 0) status = open_split(d->spec, HONE_SPLIT_TRAIN, &p.train, err);
    if (status == HONE_OK && d->test > 0 && !hone_dataset_is_split(p.train))
        status = part(d, task, seed, d->test, &p.train, out, err);
    else if (status == HONE_OK)
        status = open_test_split(d->spec, out, err);
    cli_free_parts(&p);
    return status;
}

void cli_free_parts(cli_parts *p) {
    hone_dataset_free(p->test);
    hone_dataset_free(p->validation);
    hone_dataset_free(p->train);
    *p = (cli_parts){NULL};
}
