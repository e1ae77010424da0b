#include "train/intake.h"

#include "base/memory.h"
#include "base/random.h"
#include "data/picture_layout.h"
#include "graph/infer.h"

#include <hone/text.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ONE_HOT = 64, EMBEDDED = 100000 }; /* the most categories that are told apart, one-hot and at all */
enum { EMBEDDING = 64 };                  /* values of a vector that is to be compared with others */

typedef struct site {
    hone_graph *g;
    const hone_dataset *data;
    const hone_build_options *options;
    hone_intake *f;
    int64_t batch; /* the symbol */
} site;

/* --- constants --- */

static hone_value *constant(hone_graph *g, const char *name, hone_dtype dtype, int rank, const int64_t *dims,
                            const void *data) {
    hone_tensor *t = NULL;
    if (hone_tensor_copy_of(dtype, rank, dims, data, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    hone_value *v = hone_graph_add_constant(g, name, t);
    hone_tensor_free(t);
    return v;
}

static hone_value *with_axis(hone_value *v, hone_graph *g, int64_t axis) {
    if (v) hone_node_set_int(g, v->producer, "axis", axis);
    return v;
}

/* --- standardizing --- */

static hone_status cannot_standardize(const char *what, double mean, double deviation, hone_error *err) {
    return hone_fail(err, HONE_INVALID_ARGUMENT, "%s cannot be standardized: mean %g, deviation %g", what,
                     mean, deviation);
}

/* (x - mean) * scale. A feature of one value only becomes 0. (Dividing costs several times as much.) */
static hone_status standardize(const site *s, const char *what, const hone_feature_moments *m, int64_t n,
                               int rank, const int64_t *dims, hone_value **x, hone_error *err) {
    float *mean = hone_alloc(2 * (size_t)n * sizeof *mean), *scale = mean + n;
    if (!mean) return hone_fail_memory(err);
    bool any = false;
    hone_status status = HONE_OK;
    for (int64_t i = 0; i < n && status == HONE_OK; i++) {
        mean[i] = (float)m[i].mean;
        scale[i] = m[i].deviation > 0 ? (float)(1 / m[i].deviation) : 1;
        any = any || (float)m[i].deviation > 0;
        if (!isfinite(mean[i]) || !isfinite((float)m[i].deviation) || !isfinite(scale[i]))
            status = cannot_standardize(what, m[i].mean, m[i].deviation, err);
    }
    if (status == HONE_OK && !any) status = cannot_standardize(what, m[0].mean, m[0].deviation, err);
    if (status == HONE_OK) {
        *x = HONE_EMIT(s->g, "", "Sub", *x, constant(s->g, "mean", HONE_FLOAT32, rank, dims, mean));
        *x = HONE_EMIT(s->g, "", "Mul", *x, constant(s->g, "scale", HONE_FLOAT32, rank, dims, scale));
    }
    hone_free(mean);
    return status;
}

/* --- one column --- */

/* How the values of a sample share moments: value j is of feature j / inner % features. */
typedef struct features {
    int64_t count, inner;
    int rank;
    int64_t dims[3]; /* of constants that are broadcast over a batch of samples */
    bool channels_last;
} features;

static features features_of(const hone_feed *feed) {
    const int64_t *d = feed->dims;
    if (feed->rank == 1) return (features){.count = d[0], .inner = 1, .rank = 1, .dims = {d[0]}};
    if (feed->rank != 3) return (features){.count = 1, .inner = 1};
    if (hone_is_channels(d[2]) && !hone_is_channels(d[0]))
        return (features){.count = d[2], .inner = 1, .rank = d[2] > 1, .dims = {d[2]}, .channels_last = true};
    return (features){.count = d[0], .inner = d[1] * d[2], .rank = d[0] > 1 ? 3 : 0, .dims = {d[0], 1, 1}};
}

static hone_status standardize_column(const site *s, const hone_feed *feed, hone_value **x, hone_error *err) {
    features f = features_of(feed);
    const hone_build_options *o = s->options;
    if (o->deviation != 0) { /* given */
        hone_feature_moments all = {o->mean, o->deviation, 1};
        if (!((float)o->deviation > 0)) return cannot_standardize("the data", o->mean, o->deviation, err);
        return standardize(s, "the data", &all, 1, 0, NULL, x, err);
    }
    HONE_TRY(hone_dataset_check_numbers(s->data, feed->reading.column, err));
    hone_feature_moments *m = hone_alloc((size_t)f.count * sizeof *m);
    if (!m) return hone_fail_memory(err);
    hone_status status =
        hone_dataset_feature_moments(s->data, feed->reading.column, f.count, f.inner, o->samples, m, err);
    if (status == HONE_OK) status = standardize(s, "the data", m, f.count, f.rank, f.dims, x, err);
    hone_free(m);
    return status;
}

/* The input "input", of the column's shape. */
static hone_status one_column(const site *s, hone_error *err) {
    hone_graph *g = s->g;
    hone_intake *f = s->f;
    hone_type any = {.kind = HONE_KIND_TENSOR, .dtype = HONE_FLOAT32, .rank = HONE_RANK_ANY};
    hone_feed feed;
    hone_value *x = hone_graph_add_input(g, "input", &any);
    HONE_TRY(hone_graph_check(g, err));
    HONE_TRY(hone_task_wire(g, s->data, &s->options->task, &feed, &f->target, err));
    int64_t dims[HONE_MAX_RANK] = {s->batch};
    if (feed.rank + 1 > HONE_MAX_RANK)
        return hone_fail(err, HONE_UNSUPPORTED, "samples of rank %d", feed.rank);
    memcpy(dims + 1, feed.dims, (size_t)feed.rank * sizeof *dims);
    x->type = hone_type_make(HONE_FLOAT32, feed.rank + 1, dims);
    f->rank = feed.rank;
    memcpy(f->dims, feed.dims, sizeof f->dims);
    HONE_TRY(standardize_column(s, &feed, &x, err));
    if (features_of(&feed).channels_last) {
        x = HONE_EMIT(g, "", "Transpose", x);
        if (x) hone_node_set_ints(g, x->producer, "perm", (int64_t[]){0, 3, 1, 2}, 4);
        memcpy(f->dims, (int64_t[]){feed.dims[2], feed.dims[0], feed.dims[1]}, 3 * sizeof *f->dims);
    }
    f->x = x;
    return HONE_OK;
}

/* --- texts --- */

/* The input "input_ids", as the data set's column. */
static hone_status ids_of_texts(const site *s, int column, hone_error *err) {
    hone_intake *f = s->f;
    hone_column c;
    const hone_tokenizer *t = hone_dataset_tokenizer(s->data);
    hone_dataset_column(s->data, column, &c);
    if (c.rank != 1)
        return hone_fail(err, HONE_UNSUPPORTED, "column '%s' has samples of rank %d", c.name, c.rank);
    hone_type type = hone_type_make(HONE_INT64, 2, (int64_t[]){s->batch, c.dims[0]});
    f->x = hone_graph_add_input(s->g, c.name, &type);
    f->rank = 1;
    f->dims[0] = c.dims[0];
    f->vocabulary = hone_tokenizer_size(t);
    f->pad = hone_tokenizer_pad(t) >= 0 ? hone_tokenizer_pad(t) : 0;
    return hone_task_find_target(s->g, s->data, &s->options->task, &f->target, err);
}

/* --- sound --- */

static hone_status clips(const site *s, int column, hone_error *err) {
    char text[32];
    hone_column c;
    hone_dataset_column(s->data, column, &c);
    int64_t samples = c.rank == 1 ? c.dims[0] : 0;
    hone_type type = hone_type_make(HONE_FLOAT32, 2, (int64_t[]){s->batch, samples});
    snprintf(text, sizeof text, "%d", s->data->rate);
    HONE_TRY(hone_graph_set_metadata(s->g, "hone.rate", text, err));
    HONE_TRY(hone_intake_sound(s->g, hone_graph_add_input(s->g, c.name, &type), samples, s->data->rate, s->f,
                               err));
    return hone_task_find_target(s->g, s->data, &s->options->task, &s->f->target, err);
}

/* --- a table --- */

typedef struct table {
    int *columns; /* those of numbers */
    hone_value **numbers, **parts;
    int number_count, part_count;
    int64_t features;
} table;

static hone_value *raw_input(const site *s, const char *name, hone_dtype dtype) {
    hone_type type = hone_type_make(dtype, 2, (int64_t[]){s->batch, 1});
    return hone_graph_add_input(s->g, name, &type);
}

static hone_value *embed(const site *s, hone_value *text, const char *name, const hone_tensor *categories,
                         int64_t *width) {
    hone_graph *g = s->g;
    int64_t n = categories->count, *places = hone_arena_array(g->arena, (size_t)n, sizeof *places);
    hone_tensor *zeros = NULL;
    *width = (int64_t)ceil(1.6 * pow((double)n, 0.56)); /* fastai's rule for tables */
    if (*width > 64) *width = 64;
    if (!places || hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){n + 1, *width}, &zeros, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    for (int64_t i = 0; i < n; i++) places[i] = i;
    hone_value *at = HONE_EMIT(g, "ai.onnx.ml", "LabelEncoder", text);
    if (at) {
        hone_node_set_strings(g, at->producer, "keys_strings", categories->data, (size_t)n);
        hone_node_set_ints(g, at->producer, "values_int64s", places, (size_t)n);
        hone_node_set_int(g, at->producer, "default_int64", n); /* the last row: stays zeros */
    }
    hone_rng rng = hone_rng_make(s->options->seed, hone_hash(name, strlen(name)));
    float *x = zeros->data;
    for (int64_t i = 0; i < n * *width; i++) x[i] = 0.2f * hone_rng_uniform(&rng) - 0.1f;
    hone_value *rows = hone_graph_add_constant(g, hone_arena_printf(g->arena, "%s.embedding", name), zeros);
    hone_tensor_free(zeros);
    return with_axis(HONE_EMIT(g, "", "Flatten", HONE_EMIT(g, "", "Gather", rows, at)), g, 1);
}

static hone_status add_text(const site *s, table *t, int column, const char *name, hone_error *err) {
    hone_tensor *categories = NULL;
    hone_graph *g = s->g;
    int64_t all = 0, width;
    HONE_TRY(hone_dataset_categories(s->data, column, EMBEDDED, &all, &categories, err));
    hone_value *text = raw_input(s, name, HONE_STRING), *part;
    if (all > ONE_HOT) {
        part = embed(s, text, name, categories, &width);
    } else {
        hone_value *ones = HONE_EMIT(g, "ai.onnx.ml", "OneHotEncoder", text);
        if (ones) {
            hone_node_set_strings(g, ones->producer, "cats_strings", categories->data,
                                  (size_t)categories->count);
            hone_node_set_int(g, ones->producer, "zeros", 1);
        }
        part = with_axis(HONE_EMIT(g, "", "Flatten", ones), g, 1);
        width = categories->count;
    }
    hone_tensor_free(categories);
    t->parts[t->part_count++] = part;
    t->features += width;
    return HONE_OK;
}

/* Which of them lack values, as numbers 0 and 1. */
static hone_value *flags(hone_graph *g, hone_value *missing, const hone_feature_moments *m, int n,
                         int64_t all, int64_t *count) {
    int64_t *which = hone_arena_array(g->arena, (size_t)n, sizeof *which);
    *count = 0;
    if (!which) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    for (int i = 0; i < n; i++)
        if (m[i].count < all) which[(*count)++] = i;
    hone_value *of = missing;
    if (*count && *count < n)
        of = with_axis(HONE_EMIT(g, "", "Gather", missing, hone_graph_ints(g, which, *count)), g, 1);
    hone_value *ones = *count ? HONE_EMIT(g, "", "Cast", of) : NULL;
    if (ones) hone_node_set_int(g, ones->producer, "to", HONE_FLOAT32);
    return ones;
}

/* x / sqrt(1 + (x/3)^2): what lies far out comes as near as 3 (Holzmüller et al. 2024, arXiv 2407.04491). */
static hone_value *bend(hone_graph *g, hone_value *x) {
    hone_value *third = HONE_EMIT(g, "", "Mul", x, hone_graph_scalar(g, HONE_FLOAT32, 1 / 3.0));
    hone_value *square = HONE_EMIT(g, "", "Mul", third, third);
    hone_value *more = HONE_EMIT(g, "", "Add", square, hone_graph_scalar(g, HONE_FLOAT32, 1));
    return HONE_EMIT(g, "", "Div", x, HONE_EMIT(g, "", "Sqrt", more));
}

static hone_status standardize_numbers(const site *s, table *t, hone_feature_moments *m, hone_error *err) {
    hone_graph *g = s->g;
    int n = t->number_count;
    int64_t all = hone_dataset_count(s->data), width = n, lacking;
    for (int i = 0; i < n; i++) {
        HONE_TRY(hone_dataset_feature_moments(s->data, t->columns[i], 1, 1, s->options->samples, &m[i], err));
        if (!isfinite((float)m[i].mean) || !isfinite((float)m[i].deviation))
            return cannot_standardize(hone_arena_printf(g->arena, "column '%s'", t->numbers[i]->name),
                                      m[i].mean, m[i].deviation, err);
    }
    hone_value *x = n > 1 ? with_axis(hone_graph_emit(g, "", "Concat", t->numbers, n), g, 1) : t->numbers[0];
    float *mean = hone_alloc((size_t)n * sizeof *mean);
    if (!mean) return hone_fail_memory(err);
    for (int i = 0; i < n; i++) mean[i] = (float)m[i].mean;
    hone_value *missing = HONE_EMIT(g, "", "IsNaN", x);
    hone_value *fill = constant(g, "fill", HONE_FLOAT32, 1, &width, mean);
    hone_free(mean);
    x = HONE_EMIT(g, "", "Where", missing, fill, x);
    HONE_TRY(standardize(s, "the table", m, n, 1, &width, &x, err));
    x = bend(g, x);
    t->parts[t->part_count++] = x;
    t->features += n;
    hone_value *more = flags(g, missing, m, n, all, &lacking);
    if (more) t->parts[t->part_count++] = more;
    t->features += lacking;
    return HONE_OK;
}

static hone_status add_numbers(const site *s, table *t, hone_error *err) {
    if (t->number_count == 0) return HONE_OK;
    hone_feature_moments *m = hone_alloc((size_t)t->number_count * sizeof *m);
    hone_status status = m ? standardize_numbers(s, t, m, err) : hone_fail_memory(err);
    hone_free(m);
    return status;
}

static hone_status add_columns(const site *s, table *t, hone_error *err) {
    hone_column c;
    for (int i = 0; hone_dataset_column(s->data, i, &c); i++) {
        if (i == s->f->target || strcmp(c.name, s->data->group) == 0) continue;
        if (c.dtype == HONE_STRING) {
            HONE_TRY(add_text(s, t, i, c.name, err));
            continue;
        }
        t->columns[t->number_count] = i;
        t->numbers[t->number_count++] = raw_input(s, c.name, HONE_FLOAT32);
    }
    HONE_TRY(add_numbers(s, t, err));
    if (t->part_count == 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%s has no column but the target",
                         hone_dataset_describe(s->data));
    s->f->x = t->part_count > 1
                  ? with_axis(hone_graph_emit(s->g, "", "Concat", t->parts, t->part_count), s->g, 1)
                  : t->parts[0];
    s->f->rank = 1;
    s->f->dims[0] = t->features;
    return HONE_OK;
}

static hone_status whole_table(const site *s, hone_error *err) {
    size_t n = (size_t)hone_dataset_column_count(s->data) + 2;
    table t = {.columns = hone_alloc(n * sizeof *t.columns),
               .numbers = hone_alloc(n * sizeof(hone_value *)),
               .parts = hone_alloc(n * sizeof(hone_value *))};
    HONE_TRY(hone_task_find_target(s->g, s->data, &s->options->task, &s->f->target, err));
    hone_status status = t.columns && t.numbers && t.parts ? add_columns(s, &t, err) : hone_fail_memory(err);
    hone_free(t.columns);
    hone_free(t.numbers);
    hone_free(t.parts);
    return status;
}

/* --- the target --- */

static const char *usual_objective(const hone_dataset *d, int column) {
    hone_column c;
    if (!hone_dataset_column(d, column, &c) || hone_dataset_classes(d, column) > 0) return NULL;
    if (hone_dtype_is_int(c.dtype) && c.rank == 1 && hone_dataset_class_name(d, 1))
        return hone_objective_ctc.name;
    if (hone_dataset_tokenizer(d) && c.rank == 1) return hone_objective_next_token.name;
    return hone_dtype_is_float(c.dtype) ? "mean-squared-error" : NULL;
}

/* Classes of sequences of symbols: those that have names, else up to the largest. */
static hone_status fit_symbols(const site *s, hone_error *err) {
    hone_intake *f = s->f;
    hone_feed feed = hone_feed_of(s->data, f->target, HONE_INT64, false);
    hone_tensor *one = NULL;
    int64_t most = 0;
    f->places = true;
    while (hone_dataset_class_name(s->data, f->classes)) f->classes++;
    f->outputs = f->classes;
    if (f->classes) return HONE_OK;
    if (!hone_dtype_is_int(s->data->columns[f->target].dtype))
        return hone_fail(
            err, HONE_INVALID_ARGUMENT, "ctc needs sequences of integers, but column '%s' is of %s",
            s->data->columns[f->target].name, hone_dtype_name(s->data->columns[f->target].dtype));
    HONE_TRY(hone_feed_tensor(&feed, 1, NULL, &one, err));
    hone_status status = HONE_OK;
    for (int64_t i = 0; i < hone_dataset_count(s->data) && status == HONE_OK; i++) {
        status = hone_dataset_read(s->data, &feed.reading, NULL, i, 1, one->data, err);
        for (int64_t k = 0; k < one->count; k++)
            if (((int64_t *)one->data)[k] > most) most = ((int64_t *)one->data)[k];
    }
    hone_tensor_free(one);
    if (status == HONE_OK && most > 1000000)
        status =
            hone_fail(err, HONE_INVALID_ARGUMENT, "symbol %lld is too large for a class", (long long)most);
    f->outputs = most + 1;
    return status;
}

static hone_status fit_target(const site *s, hone_error *err) {
    hone_intake *f = s->f;
    hone_column c;
    if (!hone_dataset_column(s->data, f->target, &c)) return HONE_OK;
    if (f->objective == &hone_objective_next_token) {
        f->outputs = f->vocabulary;
        return HONE_OK;
    }
    if (f->objective == &hone_objective_ctc) return fit_symbols(s, err);
    hone_type out = hone_type_make(HONE_FLOAT32, 2, (int64_t[]){s->batch, HONE_DIM_ANY}), wanted;
    bool labels = f->objective->target(&out, &wanted) && hone_dtype_is_int(wanted.dtype);
    if (labels && f->objective->embeds) {
        f->outputs = EMBEDDING;
        return HONE_OK;
    }
    f->outputs = f->classes = labels ? hone_dataset_classes(s->data, f->target) : 0;
    if (labels || c.rank > 1) return HONE_OK;
    f->outputs = c.rank == 1 ? c.dims[0] : 1;
    if (!f->objective->scales || c.dtype == HONE_STRING) return HONE_OK;
    HONE_TRY(hone_dataset_check_numbers(s->data, f->target, err));
    size_t n = (size_t)f->outputs;
    hone_feature_moments *m = hone_alloc(n * sizeof *m);
    f->mean = hone_alloc(2 * n * sizeof *f->mean);
    f->deviation = f->mean ? f->mean + n : NULL;
    hone_status status = m && f->mean ? hone_dataset_feature_moments(s->data, f->target, f->outputs, 1,
                                                                     s->options->samples, m, err)
                                      : hone_fail_memory(err);
    for (size_t i = 0; i < n && status == HONE_OK; i++) {
        f->mean[i] = (float)m[i].mean;
        f->deviation[i] = m[i].deviation > 0 ? (float)m[i].deviation : 1;
        if (!isfinite(f->mean[i]) || !isfinite(f->deviation[i]))
            status = cannot_standardize("the target", m[i].mean, m[i].deviation, err);
    }
    hone_free(m);
    return status;
}

static hone_status choose_objective(const site *s, hone_error *err) {
    const hone_task *task = &s->options->task;
    hone_intake *f = s->f;
    const char *name = task->objective ? NULL : usual_objective(s->data, f->target);
    if (!name) return hone_task_objective(s->g, task, &f->objective, err);
    HONE_TRY(hone_objective_find(name, &f->objective, err));
    return hone_task_remember(s->g, f->objective, err);
}

hone_status hone_intake_make(hone_graph *g, const hone_dataset *data, const hone_build_options *options,
                             hone_intake *out, hone_error *err) {
    site s = {g, data, options, out, hone_graph_symbol(g, "batch")};
    *out = (hone_intake){.target = -1};
    int ids = hone_dataset_tokenizer(data) ? hone_dataset_find(data, "input_ids") : -1;
    int sound = data->rate > 0 ? hone_dataset_find(data, "audio") : -1;
    HONE_TRY(data->table  ? whole_table(&s, err)
             : ids >= 0   ? ids_of_texts(&s, ids, err)
             : sound >= 0 ? clips(&s, sound, err)
                          : one_column(&s, err));
    HONE_TRY(choose_objective(&s, err));
    HONE_TRY(fit_target(&s, err));
    return hone_graph_check(g, err);
}

hone_status hone_intake_note_classes(hone_graph *g, const hone_dataset *data, int classes, hone_error *err) {
    char text[65536] = "";
    size_t used = 0;
    for (int i = 0; i < classes; i++) {
        const char *name = hone_dataset_class_name(data, i);
        if (!name) return HONE_OK;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? "\n" : "", name);
        if (used >= sizeof text) return HONE_OK;
    }
    return hone_graph_set_metadata(g, "hone.classes", text, err);
}

/* So that training's steps do not depend on the target's units. */
static hone_status note_variance(hone_graph *g, const hone_intake *f, hone_error *err) {
    char text[32];
    double sum = 0;
    for (int64_t i = 0; i < f->outputs; i++) sum += (double)f->deviation[i] * f->deviation[i];
    snprintf(text, sizeof text, "%.9g", sum / (double)f->outputs);
    return hone_graph_set_metadata(g, "hone.target_variance", text, err);
}

hone_status hone_intake_finish(hone_graph *g, const hone_intake *f, const hone_dataset *data, hone_value *y,
                               hone_error *err) {
    hone_column c;
    if (f->mean) {
        HONE_TRY(note_variance(g, f, err));
        y = HONE_EMIT(g, "", "Mul", y,
                      constant(g, "target.deviation", HONE_FLOAT32, 1, &f->outputs, f->deviation));
        y = HONE_EMIT(g, "", "Add", y, constant(g, "target.mean", HONE_FLOAT32, 1, &f->outputs, f->mean));
    }
    HONE_TRY(hone_graph_check(g, err));
    hone_graph_rename(g, y, f->mean ? "prediction" : "logits");
    hone_graph_add_output(g, y);
    HONE_TRY(hone_intake_note_classes(g, data, f->classes, err));
    if (data->table && hone_dataset_column(data, f->target, &c))
        HONE_TRY(hone_graph_set_metadata(g, "hone.target", c.name, err));
    HONE_TRY(hone_graph_check(g, err));
    return hone_graph_infer(g, err);
}

void hone_intake_free(hone_intake *f) {
    hone_free(f->mean);
    f->mean = f->deviation = NULL;
}
