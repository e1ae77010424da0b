/* Quantized values are moved as such: the rows "quantize-first", "requantize-same" and "split-quantized" of rewrites.c. What
 * only moves elements, or fills in others, gives the same bits whether it comes before a QuantizeLinear or behind it. */
#include "graph/infer.h"
#include "ops/ops.h"
#include "ops/rewrites/rewrites.h"

#include <float.h>
#include <string.h>

static hone_value *input(const hone_node *n, int i) {
    return i < n->input_count ? n->inputs[i] : NULL;
}

static bool is_one(const hone_value *v) {
    return v && v->storage == HONE_STORAGE_CONSTANT && v->data && v->data->count == 1;
}

/* One constant scale, and no blocks. */
static bool has_one_scale(const hone_node *n) {
    return is_one(input(n, 1)) && (!input(n, 2) || is_one(input(n, 2))) &&
           hone_node_int(n, "block_size") == 0;
}

/* --- quantize-first --- */

bool hone_check_quantize_first(const hone_match *m) {
    const hone_node *move = m->root->inputs[0]->producer;
    if (!has_one_scale(m->root)) return false;
    if (move->op != &hone_op_resize) return true;
    return strcmp(hone_node_string(move, "mode"), "nearest") == 0 &&
           strcmp(hone_node_string(move, "coordinate_transformation_mode"), "tf_crop_and_resize") != 0;
}

/* `v` as the match's root quantizes it. A scale of one number needs no axis. */
static hone_value *quantized(hone_match *m, hone_value *v) {
    hone_graph *g = m->graph;
    const hone_node *root = m->root;
    hone_value *scale =
                   hone_graph_scalar(g, root->inputs[1]->type.dtype, hone_constant_number(root->inputs[1])),
               *zero = input(root, 2);
    if (zero) zero = hone_graph_scalar(g, zero->type.dtype, hone_constant_number(zero));
    hone_value *y = HONE_EMIT(g, "", "QuantizeLinear", v, scale, zero);
    if (!y) return NULL;
    hone_node_copy_attrs(g, y->producer, root);
    y->type = v->type;
    y->type.dtype = root->outputs[0]->type.dtype;
    return y;
}

hone_value *hone_build_quantize_first(hone_match *m) {
    hone_graph *g = m->graph;
    const hone_node *move = m->root->inputs[0]->producer;
    const int moved = move->op == &hone_op_concat ? move->input_count : 1;
    hone_node *n = hone_graph_add_node(g, move->op, move->name, 0, NULL, 1);
    if (!n) return NULL;
    g->insert_before = n;
    for (int i = 0; i < move->input_count; i++)
        hone_node_set_input(g, n, i, i < moved ? quantized(m, move->inputs[i]) : move->inputs[i]);
    if (move->op == &hone_op_pad && strcmp(hone_node_string(move, "mode"), "constant") == 0)
        hone_node_set_input(g, n, 2,
                            quantized(m, input(move, 2)
                                             ? input(move, 2)
                                             : hone_graph_scalar(g, move->inputs[0]->type.dtype, 0)));
    g->insert_before = m->root;
    hone_node_copy_attrs(g, n, move);
    n->outputs[0]->type = m->root->outputs[0]->type;
    return n->outputs[0];
}

/* --- requantize-same --- */

/* Are the steps so that each number comes back? */
bool hone_check_same_steps(const hone_match *m) {
    const uint32_t small = HONE_TYPES_BYTE | HONE_TYPE(HONE_INT16) | HONE_TYPE(HONE_UINT16) |
                           HONE_TYPE(HONE_INT4) | HONE_TYPE(HONE_UINT4) | HONE_TYPE(HONE_INT2) |
                           HONE_TYPE(HONE_UINT2);
    const hone_value *a = hone_match_value(m, "a"), *scale = hone_match_value(m, "scale");
    double step = hone_constant_number(scale);
    return has_one_scale(m->root) && has_one_scale(m->root->inputs[0]->producer) &&
           a->type.dtype != HONE_UNDEFINED && small & HONE_TYPE(a->type.dtype) &&
           a->type.dtype == m->root->outputs[0]->type.dtype && scale->type.dtype == HONE_FLOAT32 &&
           step >= FLT_MIN && step < FLT_MAX / 65536;
}

/* --- split-quantized --- */

static hone_value *dequantized(hone_graph *g, hone_value *v, const hone_node *like, const hone_type *type) {
    hone_value *zero = input(like, 2);
    hone_value *y =
        HONE_EMIT(g, "", "DequantizeLinear", v,
                  hone_graph_scalar(g, like->inputs[1]->type.dtype, hone_constant_number(like->inputs[1])),
                  zero ? hone_graph_scalar(g, zero->type.dtype, hone_constant_number(zero)) : NULL);
    if (!y) return NULL;
    hone_node_copy_attrs(g, y->producer, like);
    y->type = *type;
    return y;
}

static void split_quantized(hone_graph *g, hone_node *n, const hone_node *dq) {
    hone_value *in[] = {dq->inputs[0], input(n, 1)};
    g->insert_before = n;
    hone_node *split = hone_graph_add_node(g, n->op, n->name, 2, in, n->output_count);
    hone_node_copy_attrs(g, split, n);
    for (int o = 0; split && o < n->output_count; o++) {
        hone_value *old = n->outputs[o];
        if (!old) continue;
        split->outputs[o]->type = old->type;
        split->outputs[o]->type.dtype = dq->inputs[0]->type.dtype;
        hone_graph_replace(g, old, dequantized(g, split->outputs[o], dq, &old->type));
    }
    g->insert_before = NULL;
    if (!g->failed) hone_graph_remove_node(g, n);
}

hone_status hone_rewrite_split_quantized(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        const hone_node *dq = n->op == &hone_op_split ? n->inputs[0]->producer : NULL;
        if (!dq || dq->op != &hone_op_dequantize_linear || !has_one_scale(dq)) continue;
        if (dq->inputs[0]->storage == HONE_STORAGE_CONSTANT) continue;
        split_quantized(g, n, dq);
        ++*changes;
    }
    return hone_graph_check(g, err);
}
