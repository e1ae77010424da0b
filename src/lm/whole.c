/* Language models without a past, for whole texts, as they are trained; and with it again. */
#include "base/error.h"
#include "graph/infer.h"

#include <hone/generate.h>

#include <stdio.h>
#include <string.h>

enum { KEY = 1, VALUE = 2, PAST_KEY = 4, PAST_VALUE = 5 };

#define POSITIONS "position_ids"

static bool is_past(const hone_value *v) {
    return v && v->storage == HONE_STORAGE_INPUT && strncmp(v->name, "past_key_values.", 16) == 0;
}

/* What begins with no past attends to what is there. */
static hone_status drop_pasts(hone_graph *g, hone_error *err) {
    const hone_op *attention = hone_op_find("", "Attention");
    for (hone_node *n = g->first; n; n = n->next) {
        if (n->op != attention || n->input_count <= PAST_VALUE || !is_past(n->inputs[PAST_KEY])) continue;
        hone_node_set_input(g, n, PAST_KEY, NULL);
        hone_node_set_input(g, n, PAST_VALUE, NULL);
        for (int i = 1; i < n->output_count && i < 3; i++)
            if (n->outputs[i] && n->outputs[i]->use_count)
                return hone_fail_node(err, HONE_UNSUPPORTED, n->name, NULL, "what it keeps is read");
    }
    g->output_count = 1;
    hone_graph_prune(g);
    for (size_t i = g->input_count; i-- > 0;)
        if (is_past(g->inputs[i]) && !g->inputs[i]->use_count) hone_graph_remove_input(g, g->inputs[i]);
    return hone_graph_check(g, err);
}

/* 0, 1, … for each text: [batch, sequence] as the ids are. */
static hone_value *count_positions(hone_graph *g, hone_value *ids) {
    hone_value *shape = HONE_EMIT(g, "", "Shape", ids);
    hone_value *length = HONE_EMIT(g, "", "Gather", shape, hone_graph_scalar(g, HONE_INT64, 1));
    hone_value *row = HONE_EMIT(g, "", "Range", hone_graph_scalar(g, HONE_INT64, 0), length,
                                hone_graph_scalar(g, HONE_INT64, 1));
    return HONE_EMIT(g, "", "Expand", row, shape);
}

hone_status hone_lm_forget_past(hone_graph *g, hone_error *err) {
    hone_value *ids = hone_graph_find(g, "input_ids"), *positions = hone_graph_find(g, POSITIONS);
    if (!hone_lm_takes(g)) return hone_fail(err, HONE_UNSUPPORTED, "this is no causal language model");
    HONE_TRY(drop_pasts(g, err));
    if (positions && positions->storage == HONE_STORAGE_INPUT) {
        g->insert_before = g->first;
        hone_value *counted = count_positions(g, ids);
        g->insert_before = NULL;
        hone_graph_replace(g, positions, counted);
        hone_graph_remove_input(g, positions);
        if (counted) hone_graph_rename(g, counted, POSITIONS);
    }
    HONE_TRY(hone_graph_check(g, err));
    if (g->input_count != 1)
        return hone_fail(err, HONE_UNSUPPORTED, "it has inputs whose meaning is not known: %s",
                         g->inputs[g->inputs[0] == ids]->name);
    HONE_TRY(hone_graph_set_metadata(g, "hone.objective", "next-token", err));
    return hone_graph_infer(g, err);
}

/* --- and back --- */

/* An input in the place of the keys or values before those of the node; what is there then is an output. */
static hone_status add_past(hone_graph *g, hone_node *n, int layer, int which, const char *name,
                            hone_error *err) {
    const hone_type *t = &n->inputs[which]->type;
    const int64_t heads = hone_node_int(n, "kv_num_heads");
    char text[64];
    if (t->rank != 3 || t->dims[2] < 1 || heads < 1 || t->dims[2] % heads)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, NULL, "the size of its heads is not known");
    const int64_t dims[] = {hone_graph_symbol(g, "batch_size"), heads,
                            hone_graph_symbol(g, "past_sequence_length"), t->dims[2] / heads};
    const hone_type past = hone_type_make(t->dtype, 4, dims);
    snprintf(text, sizeof text, "past_key_values.%d.%s", layer, name);
    hone_node_set_input(g, n, PAST_KEY - KEY + which, hone_graph_add_input(g, text, &past));
    hone_value *present = hone_node_ask_output(g, n, which);
    snprintf(text, sizeof text, "present.%d.%s", layer, name);
    if (present) hone_graph_rename(g, present, text);
    hone_graph_add_output(g, present);
    return hone_graph_check(g, err);
}

hone_status hone_lm_recall_past(hone_graph *g, hone_error *err) {
    const hone_op *attention = hone_op_find("", "Attention");
    hone_value *ids = hone_graph_find(g, "input_ids"), *counted = hone_graph_find(g, POSITIONS);
    int layer = 0;
    HONE_TRY(hone_graph_infer(g, err));
    if (!ids || ids->storage != HONE_STORAGE_INPUT || g->output_count != 1 ||
        strcmp(g->outputs[0]->name, "logits") != 0)
        return hone_fail(err, HONE_UNSUPPORTED, "this is no language model for whole texts");
    if (counted && counted->producer) {
        hone_value *positions = hone_graph_add_input(g, NULL, &ids->type);
        hone_graph_replace(g, counted, positions);
        hone_graph_prune(g);
        hone_graph_rename(g, positions, POSITIONS);
    }
    for (hone_node *n = g->first; n; n = n->next) {
        if (n->op != attention) continue;
        HONE_TRY(add_past(g, n, layer, KEY, "key", err));
        HONE_TRY(add_past(g, n, layer++, VALUE, "value", err));
    }
    if (!layer) return hone_fail(err, HONE_UNSUPPORTED, "it has no attention");
    return hone_graph_infer(g, err);
}
