#include "train/derive.h"

#include "graph/autodiff.h"
#include "graph/expand.h"
#include "graph/infer.h"
#include "graph/rewrite.h"
#include "graph/train_form.h"
#include "train/depth.h"
#include "train/exchange.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define MAX_MOVES 8
#define TRAINABLE "hone.trainable"

/* Is `v` read as a weight, directly or behind operators that only move its elements? */
static bool is_weight(const hone_value *v, int moves) {
    for (size_t u = 0; u < v->use_count; u++) {
        const hone_node *n = v->uses[u].node;
        const hone_slot *slot = hone_op_input(n->op, v->uses[u].index);
        if (slot && (slot->flags & HONE_SLOT_WEIGHT)) return true;
        if (n->op->quantize == HONE_QUANTIZE_BITS && v->uses[u].index == 0 && moves < MAX_MOVES &&
            n->outputs[0] && is_weight(n->outputs[0], moves + 1))
            return true;
    }
    return false;
}

/* A line of the list. */
static bool is_listed(const char *list, const char *name) {
    size_t length = strlen(name);
    for (const char *at = list; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && (at[length] == '\n' || at[length] == 0)) return true;
    return false;
}

bool hone_is_trainable(const hone_graph *g, const hone_value *v) {
    if (!v || v->storage != HONE_STORAGE_CONSTANT || v->type.dtype != HONE_FLOAT32 || v->type.rank < 1)
        return false;
    return is_weight(v, 0) || is_listed(hone_graph_metadata(g, TRAINABLE), v->name);
}

hone_status hone_remember_trainable(hone_graph *g, hone_error *err) {
    size_t size = 1;
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i] && g->values[i]->trainable) size += strlen(g->values[i]->name) + 1;
    char *list = hone_arena_alloc(g->arena, size), *end = list;
    if (!list) return hone_fail_memory(err);
    for (size_t i = 0; i < g->value_count; i++) {
        const hone_value *v = g->values[i];
        if (!v || !v->trainable || hone_is_trainable(g, v)) continue;
        if (end > list) *end++ = '\n';
        end = stpcpy(end, v->name);
    }
    return end > list ? hone_graph_set_metadata(g, TRAINABLE, list, err) : HONE_OK;
}

static hone_status no_weights(hone_error *err) {
    return hone_fail(err, HONE_INVALID_ARGUMENT, "the model has no trainable weights");
}

static void make_variable(hone_value *v) {
    v->storage = HONE_STORAGE_VARIABLE;
    v->trainable = true;
}

/* The weight's users read the value from now on. */
static hone_status parametrize(hone_graph *g, hone_value *w, const hone_parametrization *p,
                               hone_value **value, hone_error *err) {
    hone_use *uses = hone_arena_array(g->arena, w->use_count + 1, sizeof *uses);
    size_t count = w->use_count;
    if (!uses) return hone_fail_memory(err);
    if (count) memcpy(uses, w->uses, count * sizeof *uses);
    g->insert_before = g->first;
    hone_parametrized made = p->apply(g, w, p->arg);
    g->insert_before = NULL;
    HONE_TRY(hone_graph_check(g, err));
    for (size_t i = 0; i < count; i++) hone_node_set_input(g, uses[i].node, uses[i].index, made.value);
    for (int i = 0; i < made.variable_count; i++) make_variable(made.variables[i]);
    *value = made.value;
    return hone_graph_check(g, err);
}

static bool is_parametrized(const hone_derivation *d, const char *name, int before) {
    for (int i = 0; i < before; i++)
        if (strcmp(d->parametrizations[i].weight, name) == 0) return true;
    return false;
}

bool hone_matches(const char *list, const char *name) {
    char pattern[256];
    for (const char *at = list; at && *at;) {
        size_t length = strcspn(at, ",");
        snprintf(pattern, sizeof pattern, "%.*s",
                 (int)(length < sizeof pattern ? length : sizeof pattern - 1), at);
        if (fnmatch(pattern, name, 0) == 0) return true;
        at += length + (at[length] == ',');
    }
    return false;
}

bool hone_is_frozen(const hone_train_options *o, const char *name) {
    return hone_matches(o->freeze, name) && !hone_matches(o->train, name);
}

/* Parametrizations first: they say themselves what of a weight is trained. values[i]: what parametrization i gives. */
static hone_status make_variables(hone_graph *g, const hone_derivation *d, hone_value **values,
                                  hone_error *err) {
    size_t count = g->value_count;
    for (int i = 0; i < d->parametrization_count; i++) {
        const hone_parametrization *p = &d->parametrizations[i];
        hone_value *w = hone_graph_find(g, p->weight);
        if (is_parametrized(d, p->weight, i))
            return hone_fail_node(err, HONE_INVALID_ARGUMENT, p->weight, NULL, "is parametrized twice");
        if (!hone_is_trainable(g, w))
            return hone_fail_node(err, HONE_INVALID_ARGUMENT, p->weight, NULL, "is not a trainable weight");
        HONE_TRY(parametrize(g, w, p, &values[i], err));
    }
    for (size_t i = 0; i < count; i++) {
        hone_value *v = g->values[i];
        if (!hone_is_trainable(g, v) || is_parametrized(d, v->name, d->parametrization_count)) continue;
        if (!hone_is_frozen(d->options, v->name)) make_variable(v);
    }
    return HONE_OK;
}

static hone_value *scalar(hone_graph *g, double x) {
    return hone_graph_scalar(g, HONE_FLOAT32, x);
}

/* T^2 times the mean of KL(softmax(teacher/T) || softmax(student/T)) (arXiv 1503.02531, section 2). */
static hone_value *softened_divergence(hone_graph *g, hone_value *student, hone_value *teacher,
                                       double temperature) {
    hone_value *t = scalar(g, temperature);
    hone_value *log_q = HONE_EMIT(g, "", "LogSoftmax", HONE_EMIT(g, "", "Div", student, t));
    hone_value *log_p = HONE_EMIT(g, "", "LogSoftmax", HONE_EMIT(g, "", "Div", teacher, t));
    hone_value *p = HONE_EMIT(g, "", "Exp", log_p);
    hone_value *terms = HONE_EMIT(g, "", "Mul", p, HONE_EMIT(g, "", "Sub", log_p, log_q));
    int64_t last = 1;
    hone_value *rows = HONE_EMIT(g, "", "ReduceSum", terms, hone_graph_ints(g, &last, 1));
    if (rows) hone_node_set_int(g, rows->producer, "keepdims", 0);
    hone_value *mean = HONE_EMIT(g, "", "ReduceMean", rows);
    if (mean) hone_node_set_int(g, mean->producer, "keepdims", 0);
    return HONE_EMIT(g, "", "Mul", mean, scalar(g, temperature * temperature));
}

/* Of samples that are mixed of two, the loss is, too. */
static hone_value *emit_mixed(hone_graph *g, const hone_train_options *o, const hone_objective *objective,
                              const hone_type *target, hone_value *first, hone_value *mix) {
    hone_value *second = objective->emit(g, o, g->outputs[0], hone_graph_add_input(g, "mixed", target));
    return HONE_EMIT(g, "", "Add", HONE_EMIT(g, "", "Mul", first, mix),
                     HONE_EMIT(g, "", "Mul", second, HONE_EMIT(g, "", "Sub", scalar(g, 1), mix)));
}

static hone_status add_loss(hone_graph *g, const hone_derivation *d, bool gathers, hone_value **loss,
                            hone_settings *settings, hone_error *err) {
    const hone_train_options *o = d->options;
    const hone_objective *objective = d->objective;
    hone_value *output = g->outputs[0];
    hone_type target_type;
    char text[128];
    if (!objective->target(&output->type, &target_type) || (o->teacher && output->type.rank != 2))
        return hone_fail_node(
            err, HONE_INVALID_ARGUMENT, output->name, NULL, "the first output is %s; %s needs %s",
            hone_type_format(g, &output->type, text, sizeof text), objective->name, objective->wants);
    bool mixes = (o->mixup > 0 || o->cutmix > 0) && hone_dtype_is_int(target_type.dtype);
    hone_settings_add(g, o, o->accumulate > 1 || d->exchanges, mixes, gathers, settings);
    *loss = objective->emit(g, o, output, hone_graph_add_input(g, "target", &target_type));
    if (mixes) *loss = emit_mixed(g, o, objective, &target_type, *loss, settings->at[HONE_SETTING_MIX]);
    if (d->aims) HONE_TRY(hone_aims_add(g, o, d->aims, loss, err));
    if (!o->teacher) return HONE_OK;
    hone_value *teacher = hone_graph_add_input(g, "teacher", &output->type);
    hone_value *soft = softened_divergence(g, output, teacher, o->temperature);
    *loss = HONE_EMIT(g, "", "Add", HONE_EMIT(g, "", "Mul", soft, scalar(g, o->alpha)),
                      HONE_EMIT(g, "", "Mul", *loss, scalar(g, 1 - o->alpha)));
    return HONE_OK;
}

/* The last node that reads `v`, or what may be a view of it, by marks. */
static hone_node *last_reader(const hone_value *v, hone_node *last) {
    for (size_t u = 0; u < v->use_count; u++) {
        hone_node *n = v->uses[u].node;
        if (!last || n->mark > last->mark) last = n;
        for (int o = 0; n->op->view && o < n->output_count; o++)
            if (n->outputs[o]) last = last_reader(n->outputs[o], last);
    }
    return last;
}

/* Right behind the last reader of its weight and the maker of its gradient: there the old weight may be overwritten, and
 * the gradient's memory is free again. */
static void stand_behind_readers(hone_graph *g, const hone_value *w, const hone_value *gradient) {
    hone_node *last = last_reader(w, gradient->producer);
    g->insert_before = last ? last->next : NULL;
}

/* Means and variances that training forms keep. */
static void average_statistics(hone_graph *g, hone_settings *settings) {
    for (size_t i = 0, count = g->binding_count; i < count; i++)
        hone_average_add(g, settings, g->bindings[i].variable, g->bindings[i].source);
}

/* What the loss counts: its gradient is divided by the scale, and is a part of that of a step of several batches. */
static hone_value *cotangent(hone_graph *g, const hone_settings *settings) {
    hone_value *one = scalar(g, 1 / hone_objective_scale(g)), *part = settings->at[HONE_SETTING_PART];
    return part ? HONE_EMIT(g, "", "Mul", part, one) : one;
}

/* Adds what the batches before came to; `out`: the sums are for the next batch. */
static void gather(hone_graph *g, hone_value **weights, hone_value **gradients, int count,
                   hone_training *out) {
    if (out) out->gathered = hone_arena_array(g->arena, (size_t)count + 1, sizeof *out->gathered);
    if (out && !out->gathered) hone_graph_out_of_memory(g);
    for (int i = 0; i < count && (!out || out->gathered); i++) {
        if (!gradients[i]) continue;
        hone_value *sums;
        g->insert_before = gradients[i]->producer ? gradients[i]->producer->next : NULL;
        gradients[i] = hone_gather_gradient(g, weights[i], gradients[i], &sums);
        g->insert_before = NULL;
        if (!gradients[i] || !out) continue;
        hone_graph_bind(g, gradients[i], sums);
        out->gathered[out->gathered_count++] = sums->name;
    }
}

/* Optimizer nodes, or, `out` not NULL, sums of gradients. */
static hone_status add_updates(hone_graph *g, const hone_derivation *d, hone_value *loss,
                               hone_settings *settings, hone_training *out, hone_error *err) {
    const hone_train_options *o = d->options;
    hone_value **weights = hone_calloc(2 * g->value_count + 1, sizeof *weights);
    if (!weights) return hone_fail_memory(err);
    hone_value **gradients = weights + g->value_count;
    int count = 0;
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i] && g->values[i]->trainable) weights[count++] = g->values[i];
    hone_value *one = cotangent(g, settings);
    hone_status status = hone_graph_differentiate(g, 1, &loss, &one, count, weights, gradients, err);
    bool any = false;
    int at = 0;
    if (status == HONE_OK && o->accumulate > 1) gather(g, weights, gradients, count, out);
    if (status == HONE_OK && !out && d->exchanges) hone_exchange_add(g, gradients, count);
    if (status == HONE_OK && !out) hone_clip_gradients(g, o, gradients, count);
    average_statistics(g, settings);
    for (hone_node *n = g->first; n; n = n->next) n->mark = at++;
    for (int i = 0; i < count && status == HONE_OK; i++) {
        if (out) any = any || gradients[i];
        if (out) continue;
        if (!gradients[i]) continue;
        stand_behind_readers(g, weights[i], gradients[i]);
        hone_optimizer_add(g, o, settings, weights[i], gradients[i]);
        g->insert_before = NULL;
        any = true;
    }
    hone_free(weights);
    return status == HONE_OK && !any ? no_weights(err) : status;
}

/* Batches of training have a size of their own, also where the model takes one only. */
static hone_status free_batch(hone_graph *g, hone_error *err) {
    int64_t fixed = 0;
    for (size_t i = 0; i < g->input_count; i++) {
        const hone_type *t = &g->inputs[i]->type;
        if (t->rank < 1 || t->dims[0] <= 0 || (fixed && t->dims[0] != fixed)) return HONE_OK;
        fixed = t->dims[0];
    }
    int64_t batch = fixed ? hone_graph_fresh_symbol(g) : 0;
    for (size_t i = 0; fixed && i < g->input_count; i++) g->inputs[i]->type.dims[0] = batch;
    return fixed ? hone_graph_infer(g, err) : HONE_OK;
}

static hone_status check_batch(const hone_graph *g, hone_error *err) {
    const hone_type *x = &g->inputs[0]->type, *y = &g->outputs[0]->type;
    if (x->rank < 1 || !hone_graph_is_fresh(g, x->dims[0]) || y->rank < 1 || y->dims[0] < 0) return HONE_OK;
    const hone_node *n = g->first; /* the first whose output does not follow the batch */
    for (; n && n->next; n = n->next) {
        const hone_type *t = n->output_count > 0 && n->outputs[0] ? &n->outputs[0]->type : NULL;
        const hone_type *from = n->input_count > 0 && n->inputs[0] ? &n->inputs[0]->type : NULL;
        if (t && from && from->rank > 0 && from->dims[0] == x->dims[0] && t->rank > 0 && t->dims[0] > 0)
            break;
    }
    return hone_fail_node(err, HONE_UNSUPPORTED, n ? n->name : g->outputs[0]->name,
                          n ? hone_node_op_name(n) : NULL,
                          "fixes the batch's size at %lld: to be trained a model takes batches of any size",
                          (long long)y->dims[0]);
}

/* `gathers`: the graph of all but the last batch of a step. */
static hone_status derive(hone_graph *g, const hone_derivation *d, bool gathers, hone_value **values,
                          hone_training *out, hone_error *err) {
    hone_value *loss = NULL, *output;
    hone_settings settings = {0};
    if (g->input_count < 1 || g->output_count < 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a model to train has inputs and an output");
    HONE_TRY(hone_graph_sort(g, err));
    HONE_TRY(hone_graph_infer(g, err));
    /* what is a part of the loss stays out of the network */
    hone_aims_take_outputs(g, d->objective, d->aims ? d->aims : &(hone_aims){NULL});
    HONE_TRY(free_batch(g, err));
    HONE_TRY(hone_graph_rewrite_stage(g, HONE_STAGE_CANONICAL, NULL, err));
    HONE_TRY(check_batch(g, err));
    HONE_TRY(make_variables(g, d, values, err));
    HONE_TRY(hone_graph_sort(g, err));
    HONE_TRY(hone_graph_infer(g, err));
    HONE_TRY(hone_drop_branches(g, d->options->stochastic_depth, err));
    HONE_TRY(hone_graph_train_form(g, d->only_trained, err));
    HONE_TRY(hone_graph_infer(g, err));
    HONE_TRY(hone_graph_expand(g, true, err));
    if (d->parametrization_count && !gathers)
        HONE_TRY(hone_graph_extract(g, values, (size_t)d->parametrization_count, &out->values, err));
    output = g->outputs[0];
    HONE_TRY(add_loss(g, d, gathers, &loss, &settings, err));
    HONE_TRY(hone_graph_check(g, err));
    HONE_TRY(hone_graph_infer(g, err));
    g->output_count = 0;
    hone_graph_add_output(g, loss);
    hone_graph_add_output(g, output);
    HONE_TRY(add_updates(g, d, loss, &settings, gathers ? out : NULL, err));
    if (gathers) return hone_graph_check(g, err);
    for (int i = 0; i < HONE_SETTINGS; i++) out->needs[i] = settings.at[i] != NULL;
    out->averaged = settings.averaged;
    out->averaged_count = settings.averaged_count;
    return hone_graph_check(g, err);
}

hone_status hone_derive_training(const hone_derivation *d, hone_training *out, hone_error *err) {
    hone_training t = {NULL};
    bool gathers = d->options->accumulate > 1;
    hone_value **values = hone_calloc((size_t)d->parametrization_count + 1, sizeof(hone_value *));
    hone_status status = values ? hone_graph_copy(d->model, &t.graph, err) : hone_fail_memory(err);
    if (status == HONE_OK) status = derive(t.graph, d, false, values, &t, err);
    if (status == HONE_OK && gathers) status = hone_graph_copy(d->model, &t.gather, err);
    if (status == HONE_OK && gathers) status = derive(t.gather, d, true, values, &t, err);
    hone_free(values);
    if (status == HONE_OK)
        *out = t;
    else
        hone_training_free(&t);
    return status;
}

void hone_training_free(hone_training *t) {
    hone_graph_free(t->graph);
    hone_graph_free(t->gather);
    hone_graph_free(t->values);
}
