#include "train/recipe.h"

#include "base/random.h"
#include "graph/op.h"
#include "train/derive.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- fingerprints --- what a graph computes, apart from the content of its variables */

static void mix(uint64_t *h, const void *data, size_t size) {
    uint64_t both[] = {*h, hone_hash(data, size)};
    *h = hone_hash(both, sizeof both);
}

static void mix_int(uint64_t *h, int64_t x) {
    mix(h, &x, sizeof x);
}

static void mix_text(uint64_t *h, const char *text) {
    mix(h, text ? text : "", text ? strlen(text) : 0);
}

static void mix_string(uint64_t *h, const hone_string *s) {
    mix(h, s->data ? s->data : "", s->size);
}

static void mix_tensor(uint64_t *h, const hone_tensor *t, bool content) {
    mix_int(h, t->dtype);
    mix(h, t->dims, (size_t)t->rank * sizeof *t->dims);
    if (content && t->dtype != HONE_STRING) mix(h, t->data, t->bytes);
    for (int64_t i = 0; content && t->dtype == HONE_STRING && i < t->count; i++)
        mix_string(h, (const hone_string *)t->data + i);
}

static uint64_t fingerprint(const hone_graph *g);

static void mix_attr(uint64_t *h, const hone_attr *a) {
    mix_text(h, a->name);
    mix(h, &a->f, sizeof a->f);
    mix_int(h, a->i);
    mix_string(h, &a->s);
    for (size_t i = 0; a->tensors && i < a->count; i++) mix_tensor(h, a->tensors[i], true);
    for (size_t i = 0; a->graphs && i < a->count; i++) mix_int(h, (int64_t)fingerprint(a->graphs[i]));
    if (a->floats) mix(h, a->floats, a->count * sizeof *a->floats);
    if (a->ints) mix(h, a->ints, a->count * sizeof *a->ints);
    for (size_t i = 0; a->strings && i < a->count; i++) mix_string(h, &a->strings[i]);
}

static uint64_t fingerprint(const hone_graph *g) {
    uint64_t h = 0;
    for (size_t i = 0; i < g->value_count; i++) {
        const hone_value *v = g->values[i];
        if (!v || !v->data) continue;
        mix_int(&h, v->id);
        mix_tensor(&h, v->data, v->storage == HONE_STORAGE_CONSTANT);
    }
    for (const hone_node *n = g->first; n; n = n->next) {
        mix_text(&h, hone_op_domain(n->op));
        mix_text(&h, n->op->name);
        for (int i = 0; i < n->input_count; i++) mix_int(&h, n->inputs[i] ? n->inputs[i]->id : -1);
        for (int i = 0; i < n->output_count; i++) mix_int(&h, n->outputs[i] ? n->outputs[i]->id : -1);
        for (int i = 0; i < n->attr_count; i++) mix_attr(&h, &n->attrs[i]);
    }
    for (size_t i = 0; i < g->output_count; i++) mix_int(&h, g->outputs[i]->id);
    return h;
}

static json_t *fingerprint_text(const hone_graph *g) {
    char text[20];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)fingerprint(g));
    return json_string(text);
}

/* --- making --- */

static json_t *weight_shapes(const hone_graph *g) {
    json_t *weights = json_object();
    for (size_t i = 0; i < g->value_count; i++) {
        const hone_value *v = g->values[i];
        char shape[128];
        if (hone_is_trainable(g, v))
            json_object_set_new(
                weights, v->name,
                json_string(hone_shape_format(v->data->rank, v->data->dims, shape, sizeof shape)));
    }
    return weights;
}

static json_t *column_names(const hone_recipe_subject *s) {
    json_t *names = json_array();
    for (int i = 0; i < s->feed_count; i++) {
        hone_column c;
        if (hone_dataset_column(s->data, s->feeds[i].reading.column, &c))
            json_array_append_new(names, json_string(c.name));
    }
    return names;
}

static json_t *goals_of(const hone_train_options *o) {
    json_t *goals = json_object();
    for (int i = 0; i < o->goal_count; i++)
        json_object_set_new(goals, o->goals[i].output,
                            json_pack("{s:s, s:f}", "objective",
                                      o->goals[i].objective ? o->goals[i].objective : "", "weight",
                                      o->goals[i].weight));
    return goals;
}

static json_t *numbers(const hone_train_options *o) {
    static const char *const optimizers[] = {"sgd", "adamw", "adam", "lion", "rmsprop"},
                             *const schedules[] = {"constant", "cosine", "linear", "step", "plateau"};
    return json_pack(
        "{s:i, s:i, s:s, s:f, s:f, s:b, s:f, s:f, s:f, s:f, s:s, s:f, s:f, s:i, s:i, s:f, s:f, s:f, s:f, "
        "s:i, s:f, s:f, s:f, s:I, s:i, s:f}",
        "epochs", o->epochs, "batch", o->batch, "optimizer", optimizers[o->optimizer], "learning rate",
        o->learning_rate, "momentum", o->momentum, "nesterov", o->nesterov, "beta1", o->beta1, "beta2",
        o->beta2, "epsilon", o->epsilon, "weight decay", o->weight_decay, "schedule", schedules[o->schedule],
        "warmup", o->warmup, "floor", o->floor, "cycles", o->cycles, "plateau", o->plateau, "clip norm",
        o->clip_norm, "clip value", o->clip_value, "label smoothing", o->label_smoothing, "average",
        o->average, "batches a step", o->accumulate, "mixup", o->mixup, "cutmix", o->cutmix,
        "stochastic depth", o->stochastic_depth, "seed", (json_int_t)o->seed, "adapters of rank",
        o->lora_rank, "adapters with alpha", o->lora_rank ? o->lora_alpha : 0.0);
}

/* From what a user sets to what follows from it: the first difference is the one that is told. */
hone_status hone_recipe_make(const hone_train_options *o, const hone_recipe_subject *s, char **out,
                             hone_error *err) {
    const hone_graph *teacher = o->teacher;
    json_t *root = numbers(o);
    json_t *more = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:f, s:o, s:o, s:f, s:f, s:o, s:o}",
                             "augment", o->augment ? o->augment : "", "even", o->even ? o->even : "",
                             "freeze", o->freeze ? o->freeze : "", "train", o->train ? o->train : "", "data",
                             hone_dataset_describe(s->data), "objective", s->objective->name, "columns",
                             column_names(s), "weight", o->weight, "goals", goals_of(o), "teacher",
                             teacher ? fingerprint_text(teacher) : json_null(), "temperature",
                             teacher ? o->temperature : 0.0, "alpha", teacher ? o->alpha : 0.0, "weights",
                             weight_shapes(s->model), "network", fingerprint_text(s->training));
    *out = root && more && json_object_update(root, more) == 0 ? json_dumps(root, 0) : NULL;
    json_decref(more);
    json_decref(root);
    return *out ? HONE_OK : hone_fail_memory(err);
}

/* --- comparing --- */

static hone_status differ(const char *group, const char *key, const json_t *before, const json_t *after,
                          hone_error *err) {
    size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(15);
    char *was = before ? json_dumps(before, flags) : NULL, *is = after ? json_dumps(after, flags) : NULL;
    hone_status status =
        hone_fail(err, HONE_FAILED_PRECONDITION,
                  "the checkpoint was made with %s%s%s %s, not %s; resume with the same settings", group,
                  *group ? " " : "", key, was ? was : "unknown", is ? is : "without");
    free(was);
    free(is);
    return status;
}

static hone_status compare(const char *group, const json_t *saved, const json_t *now, hone_error *err) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)now, key, value) {
        const json_t *other = json_object_get(saved, key);
        if (other && json_equal(other, value)) continue;
        if (!*group && strcmp(key, "epochs") == 0 && json_integer_value(other) > 0 &&
            json_integer_value(other) < json_integer_value(value))
            continue; /* more of them may follow */
        if (json_is_object(other) && json_is_object(value)) HONE_TRY(compare(key, other, value, err));
        return differ(group, key, other, value, err);
    }
    if (!*group) return HONE_OK; /* settings of another version of Hone that this one does not know */
    json_object_foreach((json_t *)saved, key, value) {
        if (!json_object_get(now, key)) return differ(group, key, value, NULL, err);
    }
    return HONE_OK;
}

hone_status hone_recipe_compare(const json_t *saved, const json_t *now, hone_error *err) {
    return compare("", saved, now, err);
}
