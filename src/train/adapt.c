#include "train/adapt.h"

#include "base/error.h"
#include "graph/adapter.h"
#include "train/derive.h"

static bool wants(const void *arg, const char *weight) {
    const hone_train_options *o = arg;
    return !hone_is_frozen(o, weight) && !hone_matches(o->train, weight);
}

static hone_status adapt(hone_graph *g, hone_train_options *o, hone_error *err) {
    int count;
    HONE_TRY(hone_graph_add_adapter(g, o->lora_rank, (float)o->lora_alpha, o->seed, wants, o, &count, err));
    if (!count) return hone_fail(err, HONE_INVALID_ARGUMENT, "the model has no trainable matrix to adapt");
    const char *train = HONE_ADAPTER_PATTERNS;
    if (o->train) train = hone_arena_printf(g->arena, HONE_ADAPTER_PATTERNS ",%s", o->train);
    if (!train) return hone_fail_memory(err);
    o->freeze = "*";
    o->train = train;
    return HONE_OK;
}

hone_status hone_adapt(const hone_graph *g, hone_train_options *o, hone_graph **out, hone_error *err) {
    HONE_TRY(hone_graph_copy(g, out, err));
    hone_status status = adapt(*out, o, err);
    if (status == HONE_OK) return HONE_OK;
    hone_graph_free(*out);
    *out = NULL;
    return status;
}

hone_status hone_adapted(hone_graph *g, hone_graph *trained, const hone_train_options *o, hone_error *err) {
    if (!o->lora_apart) HONE_TRY(hone_graph_merge_adapter(trained, NULL, err));
    hone_graph_swap(g, trained);
    return HONE_OK;
}
