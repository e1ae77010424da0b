#include "train/lora.h"

#include "base/random.h"
#include "train/derive.h"

#include <math.h>
#include <string.h>

struct hone_adapter {
    int rank;
    float scale;
    uint64_t seed;
};

/* A constant NAME.SUFFIX [rows, columns] of numbers in ±bound. */
static hone_value *factor(hone_graph *g, const hone_value *w, const char *suffix, int64_t rows,
                          int64_t columns, float bound, uint64_t seed) {
    const char *name = hone_arena_printf(g->arena, "%s.%s", w->name, suffix);
    hone_tensor *t = NULL;
    if (!name || hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){rows, columns}, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    hone_rng rng = hone_rng_make(seed, hone_hash(name, strlen(name)));
    float *x = t->data;
    for (int64_t i = 0; bound > 0 && i < t->count; i++) x[i] = (2 * hone_rng_uniform(&rng) - 1) * bound;
    hone_value *v = hone_graph_add_constant(g, name, t);
    hone_tensor_free(t);
    return v;
}

static hone_parametrized apply(hone_graph *g, hone_value *w, const void *arg) {
    const struct hone_adapter *l = arg;
    int64_t in = w->data->dims[0], out = w->data->dims[1];
    hone_value *a = factor(g, w, "lora_a", in, l->rank, 1.0f / sqrtf((float)in), l->seed);
    hone_value *b = factor(g, w, "lora_b", l->rank, out, 0, l->seed);
    hone_value *change = HONE_EMIT(g, "", "Mul", HONE_EMIT(g, "", "MatMul", a, b),
                                   hone_graph_scalar(g, HONE_FLOAT32, l->scale));
    return (hone_parametrized){
        .value = HONE_EMIT(g, "", "Add", w, change), .variables = {a, b}, .variable_count = 2};
}

hone_status hone_lora_make(const hone_graph *model, const hone_train_options *o, hone_lora *out,
                           hone_error *err) {
    *out = (hone_lora){.items = hone_calloc(model->value_count + 1, sizeof *out->items),
                       .adapter = hone_calloc(1, sizeof *out->adapter)};
    if (!out->items || !out->adapter) return hone_fail_memory(err);
    *out->adapter = (struct hone_adapter){o->lora_rank, (float)(o->lora_alpha / o->lora_rank), o->seed};
    for (size_t i = 0; i < model->value_count; i++) {
        const hone_value *v = model->values[i];
        if (!hone_is_trainable(model, v) || v->type.rank != 2 || hone_is_table(v)) continue;
        if (!hone_is_frozen(o, v->name) && !hone_matches(o->train, v->name))
            out->items[out->count++] = (hone_parametrization){v->name, apply, out->adapter};
    }
    if (out->count) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT, "the model has no trainable matrix to adapt");
}

void hone_lora_free(hone_lora *l) {
    hone_free(l->items);
    hone_free(l->adapter);
}
