#include "train/task.h"

#include "base/error.h"
#include "graph/infer.h"
#include "graph/tensor.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define OBJECTIVE_KEY "hone.objective"
#define TARGET_KEY "hone.target"
#define USUAL_OBJECTIVE "cross-entropy"

hone_status hone_task_objective(const hone_graph *g, const hone_task *task, const hone_objective **out,
                                hone_error *err) {
    const char *name = task && task->objective ? task->objective : hone_graph_metadata(g, OBJECTIVE_KEY);
    hone_link link = hone_graph_link(g, NULL);
    if (!name) name = link == HONE_LINK_SIGMOID ? "binary-cross-entropy" : USUAL_OBJECTIVE;
    HONE_TRY(hone_objective_find(name, out, err));
    if (!(*out)->link || !link || link == (*out)->link) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT,
                     "the model ends in a %s, but %s takes its first output for %s; another objective suits "
                     "it, or a model "
                     "that ends before that",
                     link == HONE_LINK_SIGMOID ? "sigmoid" : "softmax", (*out)->name, (*out)->wants);
}

void hone_task_logits(const hone_objective *objective, hone_link link, const float *output, int64_t n,
                      float *logits) {
    if (link != objective->link) link = HONE_LINK_NONE;
    for (int64_t i = 0; i < n; i++) {
        float p = output[i];
        logits[i] = link == HONE_LINK_NONE ? p
                    : link == HONE_LINK_SOFTMAX
                        ? logf(fmaxf(p, FLT_MIN))
                        : logf(fmaxf(p, FLT_MIN)) - logf(fmaxf(1 - p, FLT_EPSILON / 2));
    }
}

int64_t hone_task_size(const hone_type *output) {
    int64_t size = output->rank >= 2 ? 1 : -1;
    for (int a = 1; a < output->rank && size >= 0; a++)
        size = output->dims[a] >= 0 ? size * output->dims[a] : -1;
    return size;
}

int64_t hone_task_last(const hone_type *output) {
    int64_t last = output->rank > 0 ? output->dims[output->rank - 1] : 0;
    return last > 0 ? last : 0;
}

/* Models of the usual objective need no note. */
hone_status hone_task_remember(hone_graph *g, const hone_objective *objective, hone_error *err) {
    if (strcmp(objective->name, USUAL_OBJECTIVE) == 0 && !hone_graph_metadata(g, OBJECTIVE_KEY))
        return HONE_OK;
    return hone_graph_set_metadata(g, OBJECTIVE_KEY, objective->name, err);
}

/* --- what there is, for messages --- */

static void column_text(const hone_dataset *d, int column, char *text, size_t size) {
    char shape[96];
    hone_column c = {.rank = 0};
    hone_dataset_column(d, column, &c);
    snprintf(text, size, "'%s', %s%s", c.name, hone_dtype_name(c.dtype),
             hone_shape_format(c.rank, c.dims, shape, sizeof shape));
}

/* "'x', float32[8]; 'y', int64[]" */
static const char *columns_text(const hone_dataset *d, char *text, size_t size) {
    size_t used = 0;
    *text = 0;
    for (int i = 0; i < d->column_count && used < size; i++) {
        char one[192];
        column_text(d, i, one, sizeof one);
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? "; " : "", one);
    }
    if (*d->left_out && used < size) snprintf(text + used, size - used, "; not: %s", d->left_out);
    return text;
}

static hone_status no_column(const hone_dataset *d, const char *name, hone_error *err) {
    char text[400];
    return hone_fail(err, HONE_INVALID_ARGUMENT, "%s has no column '%s'; there are %s",
                     hone_dataset_describe(d), name, columns_text(d, text, sizeof text));
}

/* --- shapes --- */

/* A sample's shape for `type` [batch, …]: the column's values, where axes of 1 may be more or less. */
static bool fit_shape(const hone_stored_column *c, const hone_type *type, hone_feed *f) {
    if (type->rank <= 0) return type->rank < 0;
    int i = 0;
    f->rank = type->rank - 1;
    for (int j = 0; j < f->rank; j++) {
        int64_t wanted = type->dims[j + 1];
        while (i < c->rank && c->dims[i] == 1 && wanted >= 0 && wanted != 1) i++;
        bool takes = i < c->rank && (wanted < 0 || c->dims[i] == wanted);
        if (!takes && wanted != 1) return false;
        f->dims[j] = takes ? c->dims[i++] : 1;
    }
    while (i < c->rank && c->dims[i] == 1) i++;
    return i == c->rank;
}

static bool fit_dtype(hone_dtype from, hone_dtype to) {
    if (from == HONE_STRING || to == HONE_STRING) return from == to;
    if (hone_dtype_is_float(to)) return true;
    return hone_dtype_is_int(to) && hone_dtype_is_int(from);
}

/* --- wiring --- */

static bool is_used(const hone_feed *inputs, size_t count, int column) {
    for (size_t i = 0; i < count; i++)
        if (inputs[i].reading.column == column) return true;
    return false;
}

/* Does a sample of the column go into a value of that type? */
static bool fits(const hone_dataset *d, int column, const hone_type *type) {
    const hone_stored_column *c = &d->columns[column];
    hone_feed f;
    return fit_dtype(c->dtype, type->dtype) && fit_shape(c, type, &f);
}

/* The only column that feeds no input, isn't `target` and fits the type (NULL: any); -1 if there are none or several. */
static int only_left(const hone_dataset *d, const hone_feed *inputs, size_t count, int target,
                     const hone_type *type) {
    int found = -1;
    for (int i = 0; i < d->column_count; i++) {
        if (i == target || is_used(inputs, count, i) || (type && !fits(d, i, type))) continue;
        if (found >= 0) return -1;
        found = i;
    }
    return found;
}

static int unused(const hone_dataset *d, const char *name, const hone_feed *inputs, size_t count,
                  int target) {
    int column = hone_dataset_find(d, name);
    return column < 0 || column == target || is_used(inputs, count, column) ? -1 : column;
}

static hone_status check_pairings(const hone_graph *g, const hone_task *task, hone_error *err) {
    for (int p = 0; task && p < task->pairing_count; p++) {
        bool found = false;
        for (size_t i = 0; i < g->input_count && !found; i++)
            found = strcmp(task->pairings[p].input, g->inputs[i]->name) == 0;
        if (!found)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the model has no input '%s' for column '%s'",
                             task->pairings[p].input, task->pairings[p].column);
    }
    return HONE_OK;
}

static hone_status find_paired(const hone_graph *g, const hone_dataset *d, const hone_task *task,
                               hone_feed *inputs, hone_error *err) {
    for (size_t i = 0; i < g->input_count; i++) {
        inputs[i].reading.column = hone_dataset_find(d, g->inputs[i]->name);
        for (int p = 0; task && p < task->pairing_count; p++) {
            if (strcmp(task->pairings[p].input, g->inputs[i]->name) != 0) continue;
            inputs[i].reading.column = hone_dataset_find(d, task->pairings[p].column);
            if (inputs[i].reading.column < 0) return no_column(d, task->pairings[p].column, err);
        }
        if (task && task->target && inputs[i].reading.column == hone_dataset_find(d, task->target))
            inputs[i].reading.column = -1;
    }
    return HONE_OK;
}

hone_status hone_task_find_target(const hone_graph *g, const hone_dataset *d, const hone_task *task,
                                  int *target, hone_error *err) {
    *target = -1;
    if (task && task->target) {
        *target = hone_dataset_find(d, task->target);
        return *target < 0 ? no_column(d, task->target, err) : HONE_OK;
    }
    const char *noted = hone_graph_metadata(g, TARGET_KEY);
    if (noted) *target = hone_dataset_find(d, noted);
    if (*target < 0) *target = hone_dataset_usual_target(d, NULL);
    return HONE_OK;
}

static hone_status fit_input(const hone_graph *g, const hone_dataset *d, const hone_value *v, hone_feed *f,
                             hone_error *err) {
    char wanted[128], given[192], all[400];
    if (f->reading.column < 0)
        return hone_fail(
            err, HONE_INVALID_ARGUMENT, "which column of %s feeds the model's input '%s', %s? There are %s",
            hone_dataset_describe(d), v->name, hone_type_format(g, &v->type, wanted, sizeof wanted),
            columns_text(d, all, sizeof all));
    const hone_stored_column *c = &d->columns[f->reading.column];
    *f = hone_feed_of(d, f->reading.column, v->type.dtype, true);
    if (fit_dtype(c->dtype, v->type.dtype) && fit_shape(c, &v->type, f)) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT,
                     "the model's input '%s' is %s, but a sample of %s is %s (column '%s', %s)", v->name,
                     hone_type_format(g, &v->type, wanted, sizeof wanted), hone_dataset_describe(d),
                     hone_shape_format(c->rank, c->dims, given, sizeof given), c->name,
                     hone_dtype_name(c->dtype));
}

hone_status hone_task_wire(const hone_graph *g, const hone_dataset *d, const hone_task *task,
                           hone_feed *inputs, int *target, hone_error *err) {
    size_t count = g->input_count, missing = 0, last = 0;
    HONE_TRY(check_pairings(g, task, err));
    HONE_TRY(find_paired(g, d, task, inputs, err));
    HONE_TRY(hone_task_find_target(g, d, task, target, err));
    if (!(task && task->target) && is_used(inputs, count, *target)) *target = -1;
    for (size_t i = 0; i < count; i++) {
        if (inputs[i].reading.column >= 0) continue;
        missing++;
        last = i;
    }
    if (missing == 1) {
        static const char *const usual[] = {"x", "X", "data", "images", "inputs", "arr_0"};
        int column = -1;
        for (size_t i = 0; column < 0 && i < sizeof usual / sizeof *usual; i++)
            column = unused(d, usual[i], inputs, count, *target);
        if (column < 0) column = only_left(d, inputs, count, *target, NULL);
        if (column < 0) column = only_left(d, inputs, count, *target, &g->inputs[last]->type);
        inputs[last].reading.column = column;
    }
    for (size_t i = 0; i < count; i++) HONE_TRY(fit_input(g, d, g->inputs[i], &inputs[i], err));
    if (*target < 0 && !d->table) *target = only_left(d, inputs, count, -1, NULL);
    return HONE_OK;
}

/* --- the target --- */

hone_status hone_task_target(const hone_graph *g, const hone_dataset *d, const hone_objective *objective,
                             int column, hone_feed *out, hone_error *err) {
    if (g->output_count < 1) return hone_fail(err, HONE_INVALID_ARGUMENT, "the model has no output");
    return hone_task_target_of(g, g->outputs[0], d, objective, column, out, err);
}

hone_status hone_task_target_of(const hone_graph *g, const hone_value *output, const hone_dataset *d,
                                const hone_objective *objective, int column, hone_feed *out,
                                hone_error *err) {
    hone_type type;
    char text[400], given[192];
    if (!objective->target(&output->type, &type))
        return hone_fail_node(err, HONE_INVALID_ARGUMENT, output->name, NULL,
                              "the %soutput is %s; %s needs %s", output == g->outputs[0] ? "first " : "",
                              hone_type_format(g, &output->type, text, sizeof text), objective->name,
                              objective->wants);
    if (column < 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "which column of %s is the target? There are %s",
                         hone_dataset_describe(d), columns_text(d, text, sizeof text));
    const hone_stored_column *c = &d->columns[column];
    *out = hone_feed_of(d, column, type.dtype, false);
    bool labels = type.dtype == HONE_INT64 && type.rank == 1;
    if (labels && c->one_hot) {
        out->reading.labels = true;
        out->rank = 0;
        return HONE_OK;
    }
    bool whole = labels && hone_dtype_is_float(c->dtype) && hone_dataset_is_whole(d, column);
    if ((whole || fit_dtype(c->dtype, type.dtype)) && fit_shape(c, &type, out)) return HONE_OK;
    column_text(d, column, given, sizeof given);
    return hone_fail(err, HONE_INVALID_ARGUMENT,
                     "%s of the output '%s', %s, needs %s; column %s, is no such target", objective->name,
                     output->name, hone_type_format(g, &output->type, text, sizeof text), objective->wants,
                     given);
}

hone_status hone_task_check_target(const hone_dataset *d, const hone_feed *target,
                                   const hone_objective *objective, int64_t size, int64_t last,
                                   hone_error *err) {
    enum { SOME = 256 };
    int64_t count = hone_dataset_count(d), some = count < SOME ? count : SOME;
    hone_tensor *targets = NULL;
    HONE_TRY(hone_feed_tensor(target, some, NULL, &targets, err));
    hone_status status = HONE_OK;
    for (int64_t at = 0; at < count && status == HONE_OK; at += some) {
        int64_t n = count - at < some ? count - at : some;
        status = hone_dataset_read(d, &target->reading, NULL, at, n, targets->data, err);
        hone_answers a = {.target = targets->data, .n = n, .size = size, .last = last};
        if (status == HONE_OK) status = objective->check(&a, targets->count / some, err);
    }
    hone_tensor_free(targets);
    return status;
}

hone_status hone_task_check(const hone_graph *g, const hone_dataset *data, const hone_task *task,
                            hone_error *err) {
    const hone_objective *objective;
    hone_feed feed, *inputs = hone_calloc(g->input_count + 1, sizeof *inputs);
    int target = -1;
    if (!inputs) return hone_fail_memory(err);
    hone_status status = hone_task_objective(g, task, &objective, err);
    if (status == HONE_OK) status = hone_task_wire(g, data, task, inputs, &target, err);
    if (status == HONE_OK) status = hone_task_target(g, data, objective, target, &feed, err);
    hone_free(inputs);
    return status;
}
