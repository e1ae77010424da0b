/* Quantized graphs become integer products: the rows "quantized-moves" and "lower-quantized" of rewrites.c, whose patterns
 * say what is looked for, and what they need beyond. Weights that are no constants (quantization-aware training) are left
 * alone. */
#include "graph/infer.h"
#include "ops/ops.h"
#include "ops/rewrites/quantized.h"
#include "ops/rewrites/rewrites.h"

#include <math.h>

hone_value *hone_quantized_input(const hone_node *n, int i) {
    return i < n->input_count ? n->inputs[i] : NULL;
}

bool hone_is_constant(const hone_value *v) {
    return v && v->storage == HONE_STORAGE_CONSTANT && v->data;
}

bool hone_is_one(const hone_value *v) {
    const hone_type *t = &v->type;
    return hone_type_is_concrete(t) && hone_type_count(t) == 1;
}

/* A scale (or zero point) that is one constant. */
bool hone_is_scalar(const hone_value *v) {
    return hone_is_constant(v) && v->data->count == 1;
}

static bool is_float(const hone_value *v) {
    return v->type.dtype == HONE_FLOAT32;
}

static bool is_byte(const hone_value *v) {
    return (HONE_TYPES_BYTE & HONE_TYPE(v->type.dtype)) != 0;
}

/* A quantized value with one constant scale of float32, as is what it stands for, and no blocks. */
bool hone_has_one_scale(const hone_node *n) {
    const hone_value *zero = hone_quantized_input(n, 2);
    bool floats = is_float(n->inputs[1]) &&
                  is_float(n->op->role == HONE_ROLE_QUANTIZE ? n->inputs[0] : n->outputs[0]) &&
                  (n->op->role != HONE_ROLE_QUANTIZE || hone_node_int(n, "precision") <= HONE_FLOAT32);
    return floats && hone_is_scalar(hone_quantized_input(n, 1)) && (!zero || hone_is_scalar(zero)) &&
           hone_node_int(n, "block_size") == 0;
}

int64_t hone_zero_of(const hone_value *v) {
    return v ? hone_tensor_int(v->data, 0) : 0;
}

/* --- quantized-moves --- */

bool hone_check_quantized_move(const hone_match *m) {
    const hone_value *a = hone_match_value(m, "a");
    const uint32_t types = HONE_TYPES_FIXED & hone_op_input(m->root->op, 0)->types;
    return hone_has_one_scale(m->root->inputs[0]->producer) && !hone_is_constant(a) &&
           (types & HONE_TYPE(a->type.dtype)) && hone_match_number(m, "scale") > 0;
}

/* A scale of one number has no axis, which would be another one behind the move. */
static hone_value *without_axes(hone_graph *g, hone_value *v) {
    return !v || v->type.rank == 0 ? v : hone_graph_scalar(g, v->type.dtype, hone_constant_number(v));
}

hone_value *hone_build_quantized_move(hone_match *m) {
    hone_graph *g = m->graph;
    const hone_node *move = m->root;
    hone_value *a = hone_match_value(m, "a");
    hone_node *n = hone_graph_add_node(g, move->op, move->name, 1, &a, 1);
    if (!n) return NULL;
    for (int i = 1; i < move->input_count; i++) hone_node_set_input(g, n, i, move->inputs[i]);
    hone_node_copy_attrs(g, n, move);
    n->outputs[0]->type = move->outputs[0]->type;
    n->outputs[0]->type.dtype = a->type.dtype;
    hone_value *in[] = {n->outputs[0], without_axes(g, hone_match_value(m, "scale")),
                        without_axes(g, hone_match_value(m, "zero"))};
    hone_node *dq =
        hone_graph_add_node(g, &hone_op_dequantize_linear, move->inputs[0]->producer->name, 3, in, 1);
    return dq ? dq->outputs[0] : NULL;
}

/* --- lower-quantized --- names: a, a_scale, a_zero, b, b_scale, b_zero, bias, y_scale, y_zero; product (or p, where it
 * has a bias of its own), x and w what the product reads, d the DequantizeLinear of b */

static hone_node *product_of(const hone_match *m) {
    hone_node *n = hone_match_maker(m, "product");
    return n ? n : hone_match_maker(m, "p");
}

/* Is B [N, K]? */
static bool has_columns(const hone_match *m) {
    bool transposed = hone_match_value(m, "w") != hone_match_value(m, "d");
    return transposed != (hone_node_int(product_of(m), "transB") != 0);
}

static int64_t columns_of(const hone_match *m) {
    return hone_match_value(m, "b")->data->dims[has_columns(m) ? 0 : 1];
}

static bool is_wide(const hone_value *scale, int64_t n) {
    return scale->data->count == 1 || scale->data->count == n;
}

static bool check_weights(const hone_match *m) {
    const hone_tensor *b = hone_match_value(m, "b")->data;
    return b->rank == 2 && (b->dtype == HONE_INT8 || b->dtype == HONE_UINT8) &&
           is_float(hone_match_value(m, "b_scale")) && is_wide(hone_match_value(m, "b_scale"), columns_of(m));
}

/* An int32 bias that a DequantizeLinear makes a real one; NULL: it is none. */
static const hone_node *quantized_bias(const hone_value *v) {
    const hone_node *dq = v->producer;
    bool constant = dq && dq->op == &hone_op_dequantize_linear && hone_is_constant(dq->inputs[0]) &&
                    hone_is_constant(dq->inputs[1]) && is_float(dq->inputs[1]) && is_float(dq->outputs[0]);
    return constant && dq->inputs[0]->type.dtype == HONE_INT32 ? dq : NULL;
}

static bool is_zero(const hone_value *v) {
    bool zero = !v || hone_is_constant(v);
    for (int64_t i = 0; v && zero && i < v->data->count; i++) zero = hone_tensor_int(v->data, i) == 0;
    return zero;
}

bool hone_is_quantized_bias(const hone_value *v, int64_t n) {
    const hone_node *dq = quantized_bias(v);
    return dq && v->type.rank == 1 && v->type.dims[0] == n && is_wide(dq->inputs[1], n) &&
           is_zero(hone_quantized_input(dq, 2));
}

/* A constant row, in float or quantized. */
static bool check_bias(const hone_match *m) {
    const hone_value *v = hone_match_value(m, "bias");
    int64_t n = columns_of(m);
    if (!v) return true;
    if (v->type.rank > product_of(m)->outputs[0]->type.rank) return false;
    if (hone_is_constant(v)) {
        const hone_tensor *t = v->data;
        return t->dtype == HONE_FLOAT32 && t->count == n && t->rank > 0 && t->dims[t->rank - 1] == n;
    }
    return hone_is_quantized_bias(v, n);
}

bool hone_check_quantized_result(const hone_match *m) {
    return m->root->op != &hone_op_quantize_linear ||
           (is_byte(m->root->outputs[0]) && hone_has_one_scale(m->root));
}

bool hone_check_quantized_product(const hone_match *m) {
    const hone_node *product = product_of(m), *x = hone_match_maker(m, "x"), *d = hone_match_maker(m, "d");
    int64_t axis = hone_node_int(d, "axis");
    if (product->op == &hone_op_gemm &&
        (hone_node_int(product, "transA") || hone_node_float(product, "alpha") != 1 ||
         (hone_quantized_input(product, 2) && hone_node_float(product, "beta") != 1)))
        return false;
    if (!hone_has_one_scale(x) || !is_byte(x->inputs[0]) || !is_float(d->outputs[0]) ||
        x->outputs[0]->type.rank < 2)
        return false;
    if (!check_weights(m) || hone_node_int(d, "block_size") != 0) return false;
    if (!hone_is_scalar(hone_match_value(m, "b_scale")) &&
        (axis < 0 ? axis + 2 : axis) != (has_columns(m) ? 0 : 1))
        return false;
    return check_bias(m) && hone_check_quantized_result(m);
}

bool hone_check_dynamic_product(const hone_match *m) {
    const hone_value *zero = hone_match_value(m, "a_zero"), *scales = hone_match_value(m, "scales");
    const hone_value *product = hone_match_value(m, "product"), *scaled = hone_match_value(m, "scaled");
    if (!check_weights(m) || (zero && !hone_is_one(zero)) || !hone_is_one(hone_match_value(m, "a_scale")))
        return false;
    if (scales->type.rank > 1 || product->type.rank < 0 || product->type.rank != scaled->type.rank)
        return false;
    return check_bias(m) && hone_check_quantized_result(m);
}

/* A bias whose step is that of the products adds exactly. */
static bool steps_agree(const hone_match *m, const hone_tensor *scale, int64_t n) {
    const hone_value *a_scale = hone_match_value(m, "a_scale");
    const hone_tensor *b_scale = hone_match_value(m, "b_scale")->data;
    if (!hone_is_constant(a_scale)) return false;
    const float *a = a_scale->data->data, *b = b_scale->data, *s = scale->data;
    for (int64_t j = 0; j < n; j++) {
        float step = a[0] * b[b_scale->count == 1 ? 0 : j], given = s[scale->count == 1 ? 0 : j];
        if (!(fabsf(step - given) <= 1e-6f * fabsf(step))) return false;
    }
    return true;
}

static hone_value *real_bias(hone_graph *g, const hone_tensor *q, const hone_tensor *scale) {
    hone_tensor *t = NULL;
    if (hone_tensor_new(HONE_FLOAT32, 1, &q->count, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    for (int64_t j = 0; j < q->count; j++)
        ((float *)t->data)[j] =
            (float)((const int32_t *)q->data)[j] * ((const float *)scale->data)[scale->count == 1 ? 0 : j];
    hone_value *v = hone_graph_add_constant(g, "bias", t);
    hone_tensor_free(t);
    return v;
}

hone_value *hone_quantized_bias_of(const hone_match *m, int64_t n) {
    hone_value *v = hone_match_value(m, "bias");
    if (!v || hone_is_constant(v)) return v;
    const hone_node *dq = quantized_bias(v);
    const hone_tensor *scale = dq->inputs[1]->data;
    return steps_agree(m, scale, n) ? dq->inputs[0] : real_bias(m->graph, dq->inputs[0]->data, scale);
}

void hone_set_quantized_result(const hone_match *m, hone_node *n) {
    hone_graph *g = m->graph;
    if (hone_match_value(m, "r") != hone_match_value(m, "p")) hone_node_set_int(g, n, "relu", 1);
    if (m->root->op != &hone_op_quantize_linear) return;
    hone_node_set_int(g, n, "to", m->root->outputs[0]->type.dtype);
    hone_node_set_float(g, n, "y_scale", (float)hone_match_number(m, "y_scale"));
    hone_node_set_int(g, n, "y_zero_point", hone_zero_of(hone_match_value(m, "y_zero")));
}

hone_value *hone_build_quantized_product(hone_match *m) {
    hone_graph *g = m->graph;
    hone_value *in[] = {hone_match_value(m, "a"),
                        hone_match_value(m, "a_scale"),
                        hone_match_value(m, "a_zero"),
                        hone_match_value(m, "b"),
                        hone_match_value(m, "b_scale"),
                        hone_match_value(m, "b_zero"),
                        hone_quantized_bias_of(m, columns_of(m))};
    hone_node *n = hone_graph_add_node(g, &hone_op_integer_gemm, product_of(m)->name, 7, in, 1);
    if (!n) return NULL;
    if (has_columns(m)) hone_node_set_int(g, n, "transB", 1);
    hone_set_quantized_result(m, n);
    return n->outputs[0];
}

/* --- unsigned-activations --- kernels take u8: int8 between operators of ours becomes u8 with a zero point 128 higher */

enum { GEMM_A = 0, GEMM_A_ZERO = 2 };

#define MAX_MOVES 8

/* Do only products (as A) and moves to such read `v`? */
static bool feeds_products(const hone_graph *g, const hone_value *v, int depth) {
    if (hone_graph_is_output(g, v) || v->use_count == 0 || depth > MAX_MOVES) return false;
    for (size_t i = 0; i < v->use_count; i++) {
        const hone_node *n = v->uses[i].node;
        if (v->uses[i].index != GEMM_A) return false;
        if (n->op == &hone_op_integer_gemm) {
            const hone_value *zero = hone_quantized_input(n, GEMM_A_ZERO);
            if (zero && !hone_is_scalar(zero)) return false;
        } else if (n->op->quantize != HONE_QUANTIZE_BITS || !feeds_products(g, n->outputs[0], depth + 1)) {
            return false;
        }
    }
    return true;
}

static void make_unsigned(hone_graph *g, hone_value *v) {
    v->type.dtype = HONE_UINT8;
    for (size_t i = 0; i < v->use_count; i++) {
        hone_node *n = v->uses[i].node;
        if (n->op != &hone_op_integer_gemm) {
            make_unsigned(g, n->outputs[0]);
            continue;
        }
        double zero = (double)hone_zero_of(hone_quantized_input(n, GEMM_A_ZERO)) + 128;
        hone_node_set_input(g, n, GEMM_A_ZERO, hone_graph_scalar(g, HONE_UINT8, zero));
    }
}

static void prefer_unsigned(hone_graph *g, hone_node *n, int *changes) {
    hone_value *y = n->outputs[0];
    bool quantize = n->op == &hone_op_quantize_linear, gemm = n->op == &hone_op_integer_gemm;
    if ((!quantize && !gemm) || y->type.dtype != HONE_INT8 || !feeds_products(g, y, 0)) return;
    if (gemm) {
        hone_node_set_int(g, n, "to", HONE_UINT8);
        hone_node_set_int(g, n, "y_zero_point", hone_node_int(n, "y_zero_point") + 128);
    } else {
        if (!hone_has_one_scale(n) || n->inputs[1]->type.rank == 1)
            return; /* a zero point has the scale's shape */
        hone_node_set_input(
            g, n, 2,
            hone_graph_scalar(g, HONE_UINT8, (double)hone_zero_of(hone_quantized_input(n, 2)) + 128));
        hone_node_set_int(g, n, "output_dtype", 0);
    }
    make_unsigned(g, y);
    ++*changes;
}

hone_status hone_rewrite_unsigned_activations(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first; n; n = n->next) prefer_unsigned(g, n, changes);
    return hone_graph_check(g, err);
}
