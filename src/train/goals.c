#include "train/goals.h"

#include "base/error.h"
#include "base/memory.h"
#include "graph/infer.h"
#include "graph/op.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define OBJECTIVE "hone.objective"
#define TARGET "hone.target"

/* --- finding --- */

static int output_named(const hone_graph *g, const char *name) {
    for (size_t i = 0; i < g->output_count; i++)
        if (strcmp(g->outputs[i]->name, name) == 0) return (int)i;
    return -1;
}

static hone_status no_output(const hone_graph *g, const char *name, hone_error *err) {
    char list[256] = "";
    for (size_t i = 0, used = 0; i < g->output_count && used < sizeof list; i++)
        used +=
            (size_t)snprintf(list + used, sizeof list - used, "%s'%s'", i ? ", " : "", g->outputs[i]->name);
    return hone_fail(err, HONE_NOT_FOUND, "the model has no output '%s'; there are %s", name, list);
}

/* What an output ends in, and what is before that. */
static hone_link link_of(hone_graph *g, int output, hone_value **logits) {
    hone_value *first = g->outputs[0];
    g->outputs[0] = g->outputs[output];
    hone_link link = hone_graph_link(g, logits);
    g->outputs[0] = first;
    return link;
}

static hone_status find(const hone_graph *g, const hone_goal *goal, hone_aim *out, hone_error *err) {
    *out = (hone_aim){.goal = goal};
    if (!goal->output || (out->output = output_named(g, goal->output)) < 0)
        return no_output(g, goal->output ? goal->output : "", err);
    if (out->output == 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "output '%s' is the first one, which the task is for",
                         goal->output);
    if (!(goal->weight >= 0) || !isfinite((float)goal->weight))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the loss of output '%s' has the weight %g",
                         goal->output, goal->weight);
    return hone_objective_find(goal->objective ? goal->objective : "cross-entropy", &out->objective, err);
}

hone_status hone_aims_find(const hone_graph *g, const hone_train_options *o, hone_aims *out,
                           hone_error *err) {
    *out = (hone_aims){NULL};
    if (!(o->weight >= 0) || !isfinite((float)o->weight))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the loss of the first output has the weight %g",
                         o->weight);
    if (o->goal_count <= 0) return HONE_OK;
    if (!(out->items = hone_calloc((size_t)o->goal_count, sizeof *out->items))) return hone_fail_memory(err);
    for (; out->count < o->goal_count; out->count++) {
        HONE_TRY(find(g, &o->goals[out->count], &out->items[out->count], err));
        for (int i = 0; i < out->count; i++)
            if (out->items[i].output == out->items[out->count].output)
                return hone_fail(err, HONE_INVALID_ARGUMENT, "output '%s' has two losses",
                                 o->goals[i].output);
    }
    return HONE_OK;
}

void hone_aims_free(hone_aims *a) {
    hone_free(a->items);
    *a = (hone_aims){NULL};
}

hone_status hone_aims_wire(const hone_aims *a, const hone_graph *g, const hone_dataset *d, hone_feed *feeds,
                           hone_error *err) {
    for (int i = 0; i < a->count; i++) {
        const hone_goal *goal = a->items[i].goal;
        const char *name = goal->target ? goal->target : goal->output;
        int column = hone_dataset_find(d, name);
        if (column < 0)
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "%s has no column '%s' that output '%s' is compared with",
                             hone_dataset_describe(d), name, goal->output);
        HONE_TRY(hone_task_target_of(g, g->outputs[a->items[i].output], d, a->items[i].objective, column,
                                     &feeds[i], err));
    }
    return HONE_OK;
}

/* --- the training graph --- */

void hone_aims_take_outputs(hone_graph *g, const hone_objective *objective, const hone_aims *a) {
    hone_value **taken = hone_arena_array(g->arena, (size_t)a->count + 1, sizeof *taken);
    if (!taken) {
        hone_graph_out_of_memory(g);
        return;
    }
    bool behind = false;
    for (int i = 0; i <= a->count; i++) {
        const hone_objective *o = i ? a->items[i - 1].objective : objective;
        int output = i ? a->items[i - 1].output : 0;
        hone_value *logits = NULL;
        hone_link link = link_of(g, output, &logits);
        taken[i] = g->outputs[output];
        if (link == HONE_LINK_NONE || link != o->link || !logits) continue;
        taken[i] = logits;
        behind = true;
    }
    if (!behind && a->count == 0) return;
    g->output_count = 0;
    for (int i = 0; i <= a->count; i++) hone_graph_add_output(g, taken[i]);
}

static hone_value *weighed(hone_graph *g, hone_value *loss, double weight) {
    return weight == 1 ? loss : HONE_EMIT(g, "", "Mul", loss, hone_graph_scalar(g, HONE_FLOAT32, weight));
}

hone_status hone_aims_add(hone_graph *g, const hone_train_options *o, const hone_aims *a, hone_value **loss,
                          hone_error *err) {
    /* smoothing and weights of classes are for the first output */
    hone_train_options plain = HONE_TRAIN_OPTIONS_INIT;
    *loss = weighed(g, *loss, o->weight);
    for (int i = 0; i < a->count; i++) {
        const hone_aim *aim = &a->items[i];
        hone_value *output = g->outputs[i + 1];
        hone_type type;
        char text[128];
        if (!aim->objective->target(&output->type, &type))
            return hone_fail_node(err, HONE_INVALID_ARGUMENT, aim->goal->output, NULL,
                                  "the output is %s; %s needs %s",
                                  hone_type_format(g, &output->type, text, sizeof text), aim->objective->name,
                                  aim->objective->wants);
        const char *name = hone_arena_printf(g->arena, "target.%s", aim->goal->output);
        hone_value *more = aim->objective->emit(g, &plain, output, hone_graph_add_input(g, name, &type));
        *loss = HONE_EMIT(g, "", "Add", *loss, weighed(g, more, aim->goal->weight));
    }
    return HONE_OK;
}

/* --- what is noted --- */

static hone_status note(hone_graph *g, const char *key, const char *output, const char *value,
                        hone_error *err) {
    const char *full = hone_arena_printf(g->arena, "%s.%s", key, output);
    return full ? hone_graph_set_metadata(g, full, value, err) : hone_fail_memory(err);
}

static const char *noted(const hone_graph *g, const char *key, const char *output) {
    char full[512];
    return snprintf(full, sizeof full, "%s.%s", key, output) < (int)sizeof full ? hone_graph_metadata(g, full)
                                                                                : NULL;
}

hone_status hone_aims_remember(hone_graph *g, const hone_aims *a, hone_error *err) {
    for (int i = 0; i < a->count; i++) {
        const hone_aim *aim = &a->items[i];
        HONE_TRY(note(g, OBJECTIVE, aim->goal->output, aim->objective->name, err));
        HONE_TRY(note(g, TARGET, aim->goal->output, aim->goal->target ? aim->goal->target : aim->goal->output,
                      err));
    }
    return HONE_OK;
}

/* What is noted of a model is noted of its first output. */
hone_status hone_graph_put_first(hone_graph *g, const char *output, hone_error *err) {
    int at = output_named(g, output);
    if (at < 0) return no_output(g, output, err);
    if (at == 0) return HONE_OK;
    const char *objective = hone_graph_metadata(g, OBJECTIVE), *target = hone_graph_metadata(g, TARGET),
               *first = g->outputs[0]->name;
    HONE_TRY(note(g, OBJECTIVE, first, objective ? objective : "cross-entropy", err));
    if (target) HONE_TRY(note(g, TARGET, first, target, err));
    hone_value *kept = g->outputs[0];
    g->outputs[0] = g->outputs[at];
    g->outputs[at] = kept;
    const char *its = noted(g, OBJECTIVE, output), *column = noted(g, TARGET, output);
    if (!its) its = hone_graph_link(g, NULL) == HONE_LINK_SIGMOID ? "binary-cross-entropy" : "cross-entropy";
    HONE_TRY(hone_graph_set_metadata(g, OBJECTIVE, its, err));
    return column || target ? hone_graph_set_metadata(g, TARGET, column ? column : "", err) : HONE_OK;
}
