#include "data.h"

#include "json.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static hone_status wrong(hone_error *err, const char *text) {
    *err = (hone_error){.code = HONE_INVALID_ARGUMENT};
    snprintf(err->message, sizeof err->message, "%s", text);
    return err->code;
}

/* --- what is known before the data are read --- */

/* Of a model's inputs: columns of texts, and of numbers. */
typedef struct wishes {
    const char *texts[256], *numbers[1024];
    hone_data_options options;
    hone_tokenizer *tokenizer; /* the model's */
    char *classes;             /* of the training part */
} wishes;

static const char *column_of(const hone_task *task, const char *input) {
    for (int i = 0; i < task->pairing_count; i++)
        if (strcmp(task->pairings[i].input, input) == 0) return task->pairings[i].column;
    return input;
}

static void read_inputs(const hone_graph *model, const hone_task *task, wishes *w) {
    hone_data_options *o = &w->options;
    hone_value_info info;
    for (int i = 0; hone_graph_input(model, i, &info); i++) {
        if (info.dtype == HONE_STRING && o->text_count < 256)
            w->texts[o->text_count++] = column_of(task, info.name);
        else if (info.dtype != HONE_STRING && o->number_count < 1024)
            w->numbers[o->number_count++] = column_of(task, info.name);
    }
}

/* Of an input of pictures, [batch, channels, height, width] or [batch, height, width, channels]. */
static void read_size(const hone_graph *model, hone_data_options *o) {
    hone_value_info v;
    for (int i = 0; hone_graph_input(model, i, &v); i++) {
        if (v.rank != 4) continue;
        bool first = v.dims[1] == 1 || v.dims[1] == 3, last = !first && (v.dims[3] == 1 || v.dims[3] == 3);
        if (!first && !last) continue;
        const int64_t *sides = v.dims + (last ? 1 : 2);
        o->channels_last = last;
        o->channels = (int)v.dims[last ? 3 : 1];
        if (sides[0] > 0 && sides[0] < 65536) o->height = (int)sides[0];
        if (sides[1] > 0 && sides[1] < 65536) o->width = (int)sides[1];
    }
}

/* "224x224" */
static hone_status parse_size(const char *text, hone_data_options *o, hone_error *err) {
    char *end;
    long width = strtol(text, &end, 10), height = *end == 'x' ? strtol(end + 1, &end, 10) : 0;
    if (*end || width < 1 || width > 65535 || height < 1 || height > 65535)
        return wrong(err, cli_text("--resize needs WIDTHxHEIGHT, not '%s'", text));
    o->width = (int)width;
    o->height = (int)height;
    return HONE_OK;
}

static hone_target_kind kind_of(const char *objective) {
    if (!objective || strcmp(objective, "binary-cross-entropy") == 0 || strcmp(objective, "ctc") == 0)
        return HONE_TARGET_ANY;
    return strcmp(objective, "cross-entropy") == 0 ? HONE_TARGET_CLASSES : HONE_TARGET_NUMBERS;
}

static bool begins(const char *text, const char *with) {
    return text && strncmp(text, with, strlen(with)) == 0;
}

static bool is_texts(const cli_data *d) {
    return begins(d->spec, "text:") || begins(d->spec, "lm:") || begins(d->test_spec, "text:") ||
           begins(d->test_spec, "lm:");
}

/* The model's tokenizer, unless another one is asked for, and as many tokens as its input takes. */
static hone_status read_tokenizer(const cli_data *d, const hone_graph *model, wishes *w, hone_error *err) {
    hone_value_info info;
    hone_data_options *o = &w->options;
    for (int i = 0; hone_graph_input(model, i, &info); i++)
        if (info.dtype == HONE_INT64 && info.rank == 2 && info.dims[1] > 0 && o->tokens == 0)
            o->tokens = info.dims[1];
    if (!d->tokenizer) o->reads = d->reads;
    if (d->tokenizer || d->reads || !d->model_path) return HONE_OK;
    hone_status status = hone_tokenizer_load(cli_tokenizer_path(model, d->model_path), &w->tokenizer, err);
    o->reads = w->tokenizer;
    return status;
}

/* A model's rate and length, unless others are asked for. */
static void want_sound(const cli_data *d, const hone_graph *model, hone_data_options *o) {
    const char *rate = model ? hone_graph_metadata(model, "hone.rate") : NULL;
    hone_value_info info;
    o->rate = d->rate ? (int)d->rate : rate ? atoi(rate) : 0;
    o->clip = (int64_t)(d->seconds * (o->rate ? o->rate : 16000) + 0.5);
    if (o->clip == 0 && rate && hone_graph_input(model, 0, &info) && info.rank == 2 && info.dims[1] > 0)
        o->clip = info.dims[1];
}

static hone_status wish(const cli_data *d, const hone_task *task, const hone_graph *model, wishes *w,
                        hone_error *err) {
    const char *target = model ? hone_graph_metadata(model, "hone.target") : NULL,
               *objective = model ? hone_graph_metadata(model, "hone.objective") : NULL;
    *w = (wishes){.options = HONE_DATA_OPTIONS_INIT};
    hone_data_options *o = &w->options;
    o->target = task->target ? task->target : target;
    o->kind = kind_of(task->objective ? task->objective
                      : objective     ? objective
                      : model         ? "cross-entropy"
                                      : NULL);
    o->classes = model ? hone_graph_metadata(model, "hone.classes") : NULL;
    o->group = d->group;
    o->unlabeled = d->unlabeled;
    o->ignored = d->ignored.items;
    o->ignored_count = d->ignored.count;
    o->header = d->header == 2 ? -1 : d->header;
    o->texts = w->texts;
    o->numbers = w->numbers;
    if (model) read_inputs(model, task, w);
    o->tokenizer = d->tokenizer;
    o->tokens = d->tokens;
    want_sound(d, model, o);
    if (model) read_size(model, o);
    hone_status status = d->resize ? parse_size(d->resize, o, err) : HONE_OK;
    if (status == HONE_OK && model && is_texts(d)) status = read_tokenizer(d, model, w, err);
    return status;
}

static void free_wishes(wishes *w) {
    hone_tokenizer_free(w->tokenizer);
    free(w->classes);
}

/* Other parts are read as the training part was: by its tokenizer, in its size, with its classes. */
static void follow(const hone_dataset *train, wishes *w) {
    hone_data_options *o = &w->options;
    hone_column c;
    if (hone_dataset_tokenizer(train)) {
        o->reads = hone_dataset_tokenizer(train);
        if (hone_dataset_column(train, hone_dataset_find(train, "input_ids"), &c)) o->tokens = c.dims[0];
    }
    if (hone_dataset_rate(train) && hone_dataset_column(train, hone_dataset_find(train, "audio"), &c)) {
        o->rate = hone_dataset_rate(train);
        o->clip = c.dims[0];
    }
    if (hone_dataset_column(train, hone_dataset_find(train, "x"), &c) && c.rank == 3 && c.dims[0] < 65536 &&
        c.dims[1] < 65536 && c.dims[2] < 65536) {
        const int64_t *sides = c.dims + !o->channels_last;
        o->channels = (int)c.dims[o->channels_last ? 2 : 0];
        o->height = (int)sides[0];
        o->width = (int)sides[1];
    }
    size_t size = 1;
    const char *name;
    for (int i = 0; (name = hone_dataset_class_name(train, i)); i++) size += strlen(name) + 1;
    if (size == 1) return;
    free(w->classes);
    w->classes = cli_alloc(size);
    *w->classes = 0;
    for (int i = 0; (name = hone_dataset_class_name(train, i)); i++) {
        strcat(w->classes, name);
        strcat(w->classes, "\n");
    }
    w->classes[size - 2] = 0; /* none behind the last */
    o->classes = w->classes;
}

static void tell_notes(const hone_dataset *d) {
    const char *note;
    for (int i = 0; (note = hone_dataset_note(d, i)); i++) cli_note("%s", note);
}

static hone_status open_split(const char *spec, const wishes *w, hone_split split, hone_dataset **out,
                              hone_error *err) {
    return hone_dataset_open_with(spec, split, &w->options, out, err);
}

/* --- parting --- */

#define TEST_PART "hone.test_part" /* a model's note */
enum { RULE = sizeof((cli_parts *)NULL)->rule };

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

static void tell_no_test(const char *spec) {
    const char *path = strchr(spec, ':');
    size_t length = strlen(spec);
    bool arrays = length > 4 && strcmp(spec + length - 4, ".npz") == 0;
    cli_note("no test split in %s, so no test accuracy: it would be %s", path ? path + 1 : spec,
             arrays ? "x_test and y_test, or --test 0.2" : "--test 0.2, or --test-data");
}

/* The test split of a data set; NULL and a note if it has none. */
static hone_status open_test_split(const char *spec, const wishes *w, hone_dataset **out, hone_error *err) {
    hone_error why = {0};
    char text[1024];
    hone_status status = open_split(spec, w, HONE_SPLIT_TEST, out, &why);
    if (status == HONE_OK && hone_dataset_is_split(*out)) return HONE_OK;
    if (status == HONE_OK) {
        tell_no_test(spec);
        hone_dataset_free(*out);
    } else if (status == HONE_NOT_FOUND) {
        cli_note("no test split, so no test accuracy: %s", hone_error_format(&why, text, sizeof text));
    } else {
        *err = why;
        return status;
    }
    *out = NULL;
    return HONE_OK;
}

static void write_rule(const cli_data *d, const hone_task *task, uint64_t seed, int64_t count, char *out,
                       size_t size);

/* The test part, from where it is to come; `*train` has what is left. */
static hone_status take_test(const cli_data *d, const wishes *w, const hone_task *task, uint64_t seed,
                             hone_dataset **train, hone_dataset **out, char *rule, hone_error *err) {
    bool whole = !hone_dataset_is_split(*train);
    if (d->test_spec) return open_split(d->test_spec, w, HONE_SPLIT_TEST, out, err);
    if (d->test > 0 && !whole)
        cli_note("--test %s: %s has a test split of its own", amount(d->test), d->spec);
    if (d->test > 0 && whole) {
        if (rule) write_rule(d, task, seed, hone_dataset_count(*train), rule, RULE);
        return part(d, task, seed, d->test, train, out, err);
    }
    if (!whole) return open_test_split(d->spec, w, out, err);
    tell_no_test(d->spec);
    return HONE_OK;
}

static hone_status take_validation(const cli_data *d, const wishes *w, const hone_task *task, uint64_t seed,
                                   cli_parts *out, hone_error *err) {
    if (d->validation > 0) return part(d, task, seed, d->validation, &out->train, &out->validation, err);
    if (!hone_dataset_is_split(out->train)) return HONE_OK;
    hone_error none;
    hone_status status = open_split(d->spec, w, HONE_SPLIT_VALIDATION, &out->validation, &none);
    if (status == HONE_OK || status == HONE_NOT_FOUND) return HONE_OK;
    *err = none;
    return status;
}

static hone_status open_parts(const cli_data *d, wishes *w, const hone_task *task, uint64_t seed,
                              int64_t *train_samples, cli_parts *out, hone_error *err) {
    hone_status status = open_split(d->spec, w, HONE_SPLIT_TRAIN, &out->train, err);
    if (status != HONE_OK) return status;
    tell_notes(out->train);
    follow(out->train, w);
    status = take_test(d, w, task, seed, &out->train, &out->test, out->rule, err);
    if (status != HONE_OK) return status;
    int64_t count = hone_dataset_count(out->train);
    status = check_amounts(d, count, *train_samples, err);
    if (status == HONE_OK) status = take_validation(d, w, task, seed, out, err);
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
    wishes w;
    hone_status status = wish(d, task, model, &w, err);
    if (status == HONE_OK)
        status = open_parts(d, &w, task, seed, train_samples ? train_samples : &all, out, err);
    free_wishes(&w);
    return status;
}

static hone_status open_test(const cli_data *d, wishes *w, const hone_task *task, uint64_t seed,
                             hone_dataset **out, hone_error *err) {
    hone_dataset *train = NULL;
    if (d->test_spec) return open_split(d->test_spec, w, HONE_SPLIT_TEST, out, err);
    if (d->test == 0) return open_test_split(d->spec, w, out, err);
    hone_status status = open_split(d->spec, w, HONE_SPLIT_TRAIN, &train, err);
    if (status == HONE_OK) follow(train, w);
    if (status == HONE_OK) status = take_test(d, w, task, seed, &train, out, NULL, err);
    hone_dataset_free(train);
    return status;
}

hone_status cli_open_test(const cli_data *d, const hone_task *task, const hone_graph *model, uint64_t seed,
                          hone_dataset **out, hone_error *err) {
    wishes w;
    *out = NULL;
    hone_status status = wish(d, task, model, &w, err);
    if (status == HONE_OK) status = open_test(d, &w, task, seed, out, err);
    free_wishes(&w);
    return status;
}

/* --- which samples a model was trained on --- */

static void write_rule(const cli_data *d, const hone_task *task, uint64_t seed, int64_t count, char *out,
                       size_t size) {
    json_t *rule = json_pack("{s:f, s:I, s:b, s:I}", "share", d->test, "seed", (json_int_t)seed, "in_order",
                             d->by == 1, "samples", (json_int_t)count);
    if (rule && d->group) json_object_set_new(rule, "group", json_string(d->group));
    /* whose classes were drawn alike; "": that of a usual name */
    if (rule) json_object_set_new(rule, "target", json_string(task->target ? task->target : ""));
    char *text = rule ? json_dumps(rule, JSON_COMPACT) : NULL;
    snprintf(out, size, "%s", text && strlen(text) < size ? text : "");
    free(text);
    json_decref(rule);
}

hone_status cli_note_parts(hone_graph *g, const cli_parts *p, hone_error *err) {
    return *p->rule ? hone_graph_set_metadata(g, TEST_PART, p->rule, err) : HONE_OK;
}

/* What of `*data` the model's rule draws, or leaves; all of it where there is no rule for so many samples. */
static hone_status follow_rule(const char *text, const hone_task *task, int split, bool whole,
                               hone_dataset **data, hone_error *err) {
    json_t *rule = text ? json_loads(text, 0, NULL) : NULL;
    double share = 0;
    json_int_t seed = 0, samples = 0;
    int in_order = 0;
    const char *group = NULL, *target = task->target;
    hone_status status = HONE_OK;
    bool known = rule && json_unpack(rule, "{s:F, s:I, s:b, s?s, s?s, s:I}", "share", &share, "seed", &seed,
                                     "in_order", &in_order, "group", &group, "target", &target, "samples",
                                     &samples) == 0;
    if (known && samples == hone_dataset_count(*data) && whole) {
        cli_note("the model was trained on a part of these samples, it seems: what is measured on them is "
                 "too good");
    } else if (known && samples == hone_dataset_count(*data)) {
        cli_data d = {.by = in_order, .group = group};
        hone_draw_options o = drawing(&d, task, (uint64_t)seed, share);
        o.target = target && *target ? target : NULL; /* whatever is looked at now */
        hone_dataset *drawn = NULL, *rest = NULL;
        status = hone_dataset_draw(*data, &o, &drawn, &rest, err);
        if (status == HONE_OK) {
            bool train = split == HONE_SPLIT_TRAIN;
            cli_note(train
                         ? "these are the %s samples that were not kept for the test; --split all would be "
                           "all of them"
                         : "these are the %s samples that were kept for the test when the model was trained; "
                           "--split all would be all of them",
                     cli_count(hone_dataset_count(train ? rest : drawn)));
            hone_dataset_free(*data);
            *data = train ? rest : drawn;
            hone_dataset_free(train ? drawn : rest);
        }
    }
    json_decref(rule);
    return status;
}

hone_status cli_open_split(const cli_data *d, const hone_task *task, const hone_graph *model, int split,
                           hone_dataset **out, hone_error *err) {
    wishes w;
    hone_status status = wish(d, task, model, &w, err);
    if (status == HONE_OK)
        status = open_split(d->spec, &w, split == CLI_ALL ? HONE_SPLIT_TRAIN : (hone_split)split, out, err);
    if (status == HONE_OK) tell_notes(*out);
    free_wishes(&w);
    if (status != HONE_OK || split == CLI_ALL || hone_dataset_is_split(*out)) return status;
    status = follow_rule(model ? hone_graph_metadata(model, TEST_PART) : NULL, task, split, d->unlabeled, out,
                         err);
    if (status != HONE_OK) {
        hone_dataset_free(*out);
        *out = NULL;
    }
    return status;
}

void cli_free_parts(cli_parts *p) {
    hone_dataset_free(p->test);
    hone_dataset_free(p->validation);
    hone_dataset_free(p->train);
    *p = (cli_parts){NULL};
}
