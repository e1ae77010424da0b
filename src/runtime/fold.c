#include "runtime/fold.h"

#include "graph/evaluate.h"
#include "graph/infer.h"

/* A folded constant may have twice the bytes of its inputs (weights of half precision as float32), and this many more. */
#define MAX_GROWTH 65536

enum { DEEPEST = 3 };

/* Is it codes made numbers, perhaps in another shape? */
static bool is_dequantized(const hone_value *v, int depth) {
    const hone_node *n = v->producer;
    if (!n || depth == DEEPEST) return false;
    return n->op->role == HONE_ROLE_DEQUANTIZE || (n->op->view && is_dequantized(n->inputs[0], depth + 1));
}

/* Do all read it as scales or offsets of codes? What those become takes them as narrow as they are. */
static bool goes_with_codes(const hone_value *v, int depth) {
    for (size_t i = 0; i < v->use_count; i++) {
        const hone_node *n = v->uses[i].node;
        const int at = v->uses[i].index;
        const bool scale = n->op->role == HONE_ROLE_DEQUANTIZE && at > 0;
        const bool offset =
            n->op->map && n->input_count == 2 && n->inputs[1 - at] && is_dequantized(n->inputs[1 - at], 0);
        const bool shaped =
            n->op->view && at == 0 && depth < DEEPEST && goes_with_codes(n->outputs[0], depth + 1);
        if (!scale && !offset && !shaped) return false;
    }
    return v->use_count > 0;
}

static bool foldable(const hone_graph *g, const hone_node *n, hone_fold how) {
    const bool dequantizes = n->op->role == HONE_ROLE_DEQUANTIZE,
               plain = n->op->role == HONE_ROLE_PLAIN || (how != HONE_FOLD_FIRST && dequantizes);
    if (!plain || n->input_count == 0 || !hone_node_is_evaluable(n)) return false;
    size_t before = 0, after = 0;
    for (int i = 0; i < n->input_count; i++) {
        const hone_value *v = n->inputs[i];
        if (v && v->storage != HONE_STORAGE_CONSTANT) return false;
        if (v && i == 0 && dequantizes && how == HONE_FOLD_ALL && v->use_count > 1) return false;
        if (v) before += v->data->bytes;
    }
    for (int o = 0; o < n->output_count; o++) {
        const hone_value *v = n->outputs[o];
        size_t bytes;
        if (!v) continue;
        if (hone_graph_is_output(g, v) || v->type.kind != HONE_KIND_TENSOR ||
            !hone_type_is_concrete(&v->type))
            return false;
        if (hone_shape_size(v->type.dtype, v->type.rank, v->type.dims, NULL, &bytes, NULL) != HONE_OK ||
            !hone_add_size(after, bytes, &after))
            return false;
    }
    if (how == HONE_FOLD_FIRST && after > before + MAX_GROWTH / 2 && n->output_count == 1 &&
        goes_with_codes(n->outputs[0], 0))
        return false;
    return how == HONE_FOLD_ALL || after / 2 <= before + MAX_GROWTH / 2;
}

/* The node's results as constants in the place of its outputs. */
static hone_status replace(hone_graph *g, hone_node *n, hone_error *err) {
    hone_tensor **results = hone_calloc((size_t)n->output_count + 1, sizeof(hone_tensor *));
    hone_status status = results ? hone_node_evaluate_last(g, n, results, err) : hone_fail_memory(err);
    for (int o = 0; o < n->output_count && results; o++) {
        if (status == HONE_OK && n->outputs[o] && n->outputs[o]->use_count)
            hone_graph_replace(g, n->outputs[o], hone_graph_add_constant(g, n->outputs[o]->name, results[o]));
        hone_tensor_free(results[o]);
    }
    hone_free(results);
    return status;
}

/* The node goes, and at once those constants that only it has read: all of them beside what was made of them would be
 * much. */
static void remove_folded(hone_graph *g, hone_node *n) {
    hone_value **inputs = n->inputs; /* in the arena: they outlive the node */
    int count = n->input_count;
    hone_graph_remove_node(g, n);
    for (int i = 0; i < count; i++) {
        bool again = false;
        for (int k = 0; k < i; k++) again |= inputs[k] == inputs[i];
        if (!again) hone_graph_drop_unused(g, inputs[i]);
    }
}

hone_status hone_graph_fold(hone_graph *g, hone_fold how, hone_error *err) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (!foldable(g, n, how)) continue;
        hone_error refused = {0};
        hone_status status = replace(g, n, &refused);
        if (status == HONE_INVALID_ARGUMENT) continue; /* it fails when it runs, if it ever does */
        if (status != HONE_OK) {
            if (err) *err = refused;
            return status;
        }
        remove_folded(g, n);
    }
    hone_graph_prune(g);
    return hone_graph_check(g, err);
}
