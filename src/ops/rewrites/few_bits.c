/* Weights in few bits that meet numbers: the row "bits-rows" of rewrites.c, and two walks around it and around bits_product.c.
 *
 *   Gather(DequantizeLinear(codes, scales, zeros), i)   ⇒  DequantizeLinear(Gather(codes, i), Gather(scales, i), …) */
#include "base/bits.h"
#include "graph/evaluate.h"
#include "graph/infer.h"
#include "ops/common/walk.h"
#include "ops/ops.h"
#include "ops/rewrites/quantized.h"
#include "ops/rewrites/rewrites.h"

#define NIBBLES (HONE_TYPE(HONE_INT4) | HONE_TYPE(HONE_UINT4))
#define PAIRS (HONE_TYPE(HONE_INT2) | HONE_TYPE(HONE_UINT2))
#define SIGNED (HONE_TYPE(HONE_INT8) | HONE_TYPE(HONE_INT4) | HONE_TYPE(HONE_INT2))

static bool is_of(const hone_tensor *t, uint32_t types) {
    return (types & HONE_TYPE(t->dtype)) != 0;
}

static int64_t axis_of(const hone_node *d) {
    const int64_t axis = hone_node_int(d, "axis");
    return axis < 0 ? axis + d->inputs[0]->type.rank : axis;
}

static const hone_tensor *constant(const hone_node *n, int i) {
    const hone_value *v = hone_quantized_input(n, i);
    return hone_is_constant(v) ? v->data : NULL;
}

/* --- bits-rows --- */

bool hone_check_bits_rows(const hone_match *m) {
    const hone_node *d = m->root->inputs[0]->producer;
    const hone_tensor *b = constant(d, 0), *scale = constant(d, 1);
    const int64_t axis = hone_node_int(m->root, "axis");
    if (!b || b->rank != 2 || !scale || (axis != 0 && axis != -2) || m->root->inputs[1]->type.rank < 0)
        return false;
    if (m->root->inputs[1]->type.rank + 1 > HONE_MAX_RANK) return false;
    if (hone_node_int(d, "block_size")) return axis_of(d) == 1;
    return scale->count == 1 || axis_of(d) == 0;
}

static hone_value *rows_of(hone_graph *g, hone_value *v, hone_value *indices) {
    return v ? HONE_EMIT(g, "", "Gather", v, indices) : NULL;
}

/* A number for each row is a block as long as the row. */
static hone_value *as_column(hone_graph *g, hone_value *v) {
    hone_tensor *t = NULL;
    if (!v) return NULL;
    const hone_tensor *from = v->data;
    if (hone_tensor_copy_of(from->dtype, 2, (int64_t[]){from->count, 1}, from->data, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    hone_value *column = hone_graph_add_constant(g, v->name, t);
    hone_tensor_free(t);
    return column;
}

hone_value *hone_build_bits_rows(hone_match *m) {
    hone_graph *g = m->graph;
    const hone_node *d = m->root->inputs[0]->producer;
    hone_value *indices = m->root->inputs[1], *scale = d->inputs[1], *zero = hone_quantized_input(d, 2);
    hone_value *codes = rows_of(g, d->inputs[0], indices);
    int64_t block = hone_node_int(d, "block_size");
    const bool one = scale->data->count == 1 && !block;
    if (!one && !block) {
        block = d->inputs[0]->type.dims[1];
        scale = as_column(g, scale);
        zero = as_column(g, zero);
    }
    if (!one) {
        scale = rows_of(g, scale, indices);
        zero = rows_of(g, zero, indices);
    }
    hone_value *y = HONE_EMIT(g, "", "DequantizeLinear", codes, scale, zero);
    if (!y) return NULL;
    hone_node_copy_attrs(g, y->producer, d);
    hone_node_set_int(g, y->producer, "axis", indices->type.rank);
    if (block) hone_node_set_int(g, y->producer, "block_size", block);
    return y;
}

/* --- wide-codes --- */

/* Are these numbers of a grid, perhaps moved? */
static bool is_on_grid(const hone_value *v) {
    while (v && v->producer && v->producer->op->quantize == HONE_QUANTIZE_BITS) v = v->producer->inputs[0];
    return v && v->producer && v->producer->op->role == HONE_ROLE_DEQUANTIZE &&
           !hone_is_constant(v->producer->inputs[0]);
}

static bool meets_grid(const hone_node *d) {
    const hone_value *v = d->outputs[0];
    for (size_t i = 0; v && i < v->use_count; i++) {
        const hone_node *n = v->uses[i].node;
        if (v->uses[i].index == 1 && n->op->quantize == HONE_QUANTIZE_INTEGER && is_on_grid(n->inputs[0]))
            return true;
    }
    return false;
}

static hone_value *widened(hone_graph *g, hone_value *v) {
    hone_tensor *t = NULL;
    if (!v) return NULL;
    const hone_dtype dtype = is_of(v->data, SIGNED) ? HONE_INT8 : HONE_UINT8;
    if (hone_tensor_new(dtype, v->data->rank, v->data->dims, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    for (int64_t i = 0; i < t->count; i++) ((uint8_t *)t->data)[i] = (uint8_t)hone_tensor_int(v->data, i);
    hone_value *wide = hone_graph_add_constant(g, v->name, t);
    hone_tensor_free(t);
    return wide;
}

hone_status hone_rewrite_wide_codes(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *d = g->first; d; d = d->next) {
        if (d->op != &hone_op_dequantize_linear || hone_node_int(d, "block_size")) continue;
        const hone_tensor *b = constant(d, 0);
        hone_value *zero = hone_quantized_input(d, 2);
        if (!b || !is_of(b, NIBBLES | PAIRS) || (zero && !hone_is_constant(zero)) || !meets_grid(d)) continue;
        hone_value *wide = widened(g, d->inputs[0]);
        if (wide) hone_node_set_input(g, d, 0, wide);
        if (zero && (wide = widened(g, zero))) hone_node_set_input(g, d, 2, wide);
        ++*changes;
    }
    return hone_graph_check(g, err);
}

/* --- real-weights --- */

static bool is_product(const hone_op *op) {
    return op == &hone_op_conv || op == &hone_op_conv_transpose || op == &hone_op_gemm ||
           op == &hone_op_matmul;
}

/* Do only products read it, perhaps turned over, as their weight? */
static bool is_weight(const hone_graph *g, const hone_value *v, int depth) {
    if (!v || v->use_count == 0 || hone_graph_is_output(g, v) || depth > 2) return false;
    for (size_t i = 0; i < v->use_count; i++) {
        const hone_node *n = v->uses[i].node;
        const bool weight = is_product(n->op) && v->uses[i].index == 1;
        if (!weight && !(n->op == &hone_op_transpose && is_weight(g, n->outputs[0], depth + 1))) return false;
    }
    return true;
}

hone_status hone_rewrite_real_weights(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *d = g->first, *next; d; d = next) {
        const hone_tensor *in[3] = {NULL};
        hone_tensor *real = NULL;
        bool constants = d->op == &hone_op_dequantize_linear;
        next = d->next;
        for (int i = 0; constants && i < d->input_count; i++) {
            in[i] = constant(d, i);
            constants = in[i] || !d->inputs[i];
        }
        if (!constants || !is_weight(g, d->outputs[0], 0)) continue;
        HONE_TRY(hone_node_evaluate(d, in, &real, err));
        hone_graph_replace(g, d->outputs[0], hone_graph_add_constant(g, d->outputs[0]->name, real));
        hone_tensor_free(real);
        if (!g->failed) hone_graph_remove_node(g, d);
        ++*changes;
    }
    return hone_graph_check(g, err);
}
