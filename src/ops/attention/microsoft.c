#include "ops/attention/microsoft.h"

#include "graph/infer.h"
#include "ops/attention/core.h"
#include "ops/common/emit.h"

static hone_value *op2(hone_graph *g, const char *op, hone_value *a, hone_value *b) {
    return a && b ? HONE_EMIT(g, "", op, a, b) : NULL;
}

int64_t hone_microsoft_sum(int64_t a, int64_t b) {
    return a >= 0 && b >= 0 ? a + b : HONE_DIM_ANY;
}

/* 0, 1, … up to the number of keys. */
static hone_value *keys_of(hone_graph *g, hone_value *k, bool counted) {
    hone_value *n = hone_emit_shaped(g, hone_emit_dim(g, k, counted ? 1 : 2), NULL, 0);
    return HONE_EMIT(g, "", "Range", hone_graph_scalar(g, HONE_INT64, 0), n,
                     hone_graph_scalar(g, HONE_INT64, 1));
}

/* What is added to scores of a mask, int32: mask_filter_value where keys are masked.
 *
 *   [B]              the number of keys that are none, which come first
 *   [2 B]            that, then how many of the first ones are masked, too
 *   [B, S]           0: masked
 *   [B, T, S]        likewise, of each row
 *   [B, 1, M, M]     likewise: rows from the past on, the first keys */
static hone_status mask_bias(hone_graph *g, const hone_microsoft *a, hone_value *k, bool counted,
                             hone_value **out, hone_error *err) {
    static const int64_t each[] = {-1, 1, 1, 1}, keys[] = {0, 1, 1, -1};
    const hone_type *t = &a->mask->type;
    const int64_t batch = a->n->inputs[0]->type.dims[0];
    hone_value *zero = hone_graph_scalar(g, a->computes, 0), *seen = NULL,
               *filter = hone_graph_scalar(g, a->computes, hone_node_float(a->n, "mask_filter_value"));
    if (t->rank == 1) {
        hone_value *wide = hone_emit_cast(g, a->mask, HONE_INT64), *at = keys_of(g, k, counted);
        bool two = t->dims[0] >= 0 && batch >= 0 && t->dims[0] == 2 * batch && batch > 0;
        if (t->dims[0] >= 0 && batch >= 0 && t->dims[0] != batch && !two)
            return hone_fail_node(err, HONE_UNSUPPORTED, a->n->name, a->n->op->name, "a mask of %lld numbers",
                                  (long long)t->dims[0]);
        hone_value *end = two ? hone_emit_part(g, wide, 0, 0, batch) : wide;
        seen = op2(g, "Less", at, hone_emit_shaped(g, end, each, 4));
        if (two) {
            hone_value *first = hone_emit_shaped(g, hone_emit_part(g, wide, 0, batch, 2 * batch), each, 4);
            seen = op2(g, "And", seen, op2(g, "GreaterOrEqual", at, first));
        }
    } else {
        seen = op2(g, "Greater", a->mask, hone_graph_scalar(g, HONE_INT32, 0));
        if (t->rank == 2) seen = hone_emit_shaped(g, seen, keys, 4);
        if (t->rank == 3) seen = op2(g, "Unsqueeze", seen, hone_graph_ints(g, (int64_t[]){1}, 1));
        if (t->rank == 4) {
            hone_value *begin =
                a->past_key ? hone_emit_dim(g, a->past_key, 2) : hone_graph_ints(g, (int64_t[]){0}, 1);
            hone_value *end = op2(g, "Add", begin, hone_emit_dim(g, a->q, 1));
            hone_value *starts = hone_emit_joined(g, begin, hone_graph_ints(g, (int64_t[]){0}, 1), 0);
            hone_value *ends = hone_emit_joined(g, end, hone_emit_dim(g, k, counted ? 1 : 2), 0);
            seen = HONE_EMIT(g, "", "Slice", seen, starts, ends, hone_graph_ints(g, (int64_t[]){2, 3}, 2));
        }
        if (t->rank < 2 || t->rank > 4)
            return hone_fail_node(err, HONE_UNSUPPORTED, a->n->name, a->n->op->name, "a mask of rank %d",
                                  t->rank);
    }
    *out = HONE_EMIT(g, "", "Where", seen, zero, filter);
    return HONE_OK;
}

static hone_value *grown(hone_graph *g, hone_value *v, hone_value *past, bool counted, int64_t heads) {
    if (counted) v = hone_emit_heads(g, v, heads);
    return past ? hone_emit_joined(g, past, v, 2) : v;
}

hone_status hone_microsoft_attend(hone_graph *g, hone_microsoft *a, bool present, hone_error *err) {
    const bool turns = present || a->past_key;
    hone_value *masked = NULL;
    if (turns) {
        a->k = grown(g, a->k, a->past_key, a->counted, a->heads);
        a->v = grown(g, a->v, a->past_value, a->counted, a->heads);
        a->counted = false;
    }
    a->key = a->k;
    a->value = a->v;
    if (a->mask) HONE_TRY(mask_bias(g, a, a->k, a->counted, &masked, err));
    hone_core c = {.in = {a->q, a->k, a->v,
                          a->bias && masked ? op2(g, "Add", a->bias, masked)
                          : masked          ? masked
                                            : a->bias},
                   .q_heads = a->heads,
                   .kv_heads = a->counted ? a->heads : 0,
                   .scale = hone_node_float(a->n, "scale"),
                   .causal = a->causal,
                   .qk_mode = a->keep_scores ? 2 : -1};
    if (a->causal && a->past_key) c.in[HONE_CORE_POSITION] = hone_emit_dim(g, a->past_key, 2);
    hone_node *core = hone_core_emit(g, &c);
    if (core) a->y = core->outputs[0];
    if (core && a->keep_scores) a->scores = core->outputs[1];
    return hone_graph_check(g, err);
}
