/* Quantized graphs become integer products:
 *
 *   DQ(x) ─ [moves] ─┐
 *                    ├─ MatMul | Gemm ─ [Add bias] ─ [Relu] ─ [Q]     ⇒  IntegerGemm
 *   DQ(w) constant ──┘
 *
 *   DynamicQuantizeLinear ─ MatMulInteger ─ Cast ─ Mul(scales) ─ [Add bias] ─ [Relu]   ⇒  the same
 *
 * Moves (operators that work on the stored bits) go in front of the DequantizeLinear. Without Q the result is
 * float. Weights that are no constants (quantization-aware training) are left alone. */
#include "graph/infer.h"
#include "ops/rewrites/rewrites.h"

#include <math.h>
#include <string.h>

extern const hone_op hone_op_add, hone_op_mul, hone_op_relu, hone_op_matmul, hone_op_gemm, hone_op_cast,
    hone_op_transpose, hone_op_quantize_linear, hone_op_dequantize_linear, hone_op_matmul_integer,
    hone_op_integer_gemm;

#define MAX_MOVES 8

/* What a product reads and what follows it, as far as it is known. */
typedef struct product {
    hone_node *node;
    hone_node *moves[MAX_MOVES]; /* between DequantizeLinear and the product, nearest to the product first */
    int move_count;
    hone_value *a, *a_scale, *a_zero, *b, *b_scale, *b_zero, *bias;
    bool b_columns, relu;
    int64_t n;
    hone_value *end; /* the last value that the product stands for */
    hone_node *quantize;
} product;

/* --- looking --- */

static hone_node *made_by(const hone_value *v, const hone_op *op) {
    return v && v->producer && v->producer->op == op ? v->producer : NULL;
}

static hone_value *input(const hone_node *n, int i) {
    return i < n->input_count ? n->inputs[i] : NULL;
}

static bool is_constant(const hone_value *v) {
    return v && v->storage == HONE_STORAGE_CONSTANT && v->data;
}

/* The node that alone reads `v`, or NULL. */
static hone_node *only_user(const hone_graph *g, const hone_value *v, const hone_op *op) {
    if (v->use_count != 1 || hone_graph_is_output(g, v)) return NULL;
    return v->uses[0].node->op == op ? v->uses[0].node : NULL;
}

/* A zero point that is left out, or 0 throughout. */
static bool is_zero(const hone_value *v) {
    if (!v) return true;
    bool zero = is_constant(v);
    for (int64_t i = 0; zero && i < v->data->count; i++) zero = hone_tensor_int(v->data, i) == 0;
    return zero;
}

static bool is_one(const hone_type *t) {
    return hone_type_is_concrete(t) && hone_type_count(t) == 1;
}

/* A scale (or zero point) that is one constant. */
static bool is_scalar(const hone_value *v) {
    return is_constant(v) && v->data->count == 1;
}

/* A quantized value with one constant scale, and no blocks. */
static bool has_one_scale(const hone_node *n) {
    hone_value *zero = input(n, 2);
    return is_scalar(input(n, 1)) && (!zero || is_scalar(zero)) && hone_node_int(n, "block_size") == 0;
}

static bool find_a(product *p) {
    hone_value *v = p->node->inputs[0];
    hone_node *dq;
    while (!(dq = made_by(v, &hone_op_dequantize_linear))) {
        hone_node *move = v->producer;
        if (!move || move->op->quantize != HONE_QUANTIZE_BITS || p->move_count == MAX_MOVES) return false;
        p->moves[p->move_count++] = move;
        v = move->inputs[0];
    }
    if (!has_one_scale(dq) || dq->inputs[0]->type.dtype == HONE_INT32) return false;
    p->a = dq->inputs[0];
    p->a_scale = dq->inputs[1];
    p->a_zero = input(dq, 2);
    return p->node->inputs[0]->type.rank >= 2;
}

static bool swaps(const hone_node *transpose) {
    size_t count;
    const int64_t *perm = hone_node_ints(transpose, "perm", &count);
    return transpose->inputs[0]->type.rank == 2 && (!perm || perm[0] == 1);
}

/* B [K, N], or [N, K] if b_columns: constant, its scales along N. */
static bool find_b(product *p) {
    hone_value *v = p->node->inputs[1];
    hone_node *transpose = made_by(v, &hone_op_transpose);
    if (transpose && swaps(transpose)) {
        p->b_columns = !p->b_columns;
        v = transpose->inputs[0];
    }
    hone_node *dq = made_by(v, &hone_op_dequantize_linear);
    if (!dq || !is_constant(dq->inputs[0]) || !is_constant(input(dq, 1))) return false;
    const hone_tensor *b = dq->inputs[0]->data, *scale = dq->inputs[1]->data;
    hone_value *zero = input(dq, 2);
    if (b->rank != 2 || (b->dtype != HONE_INT8 && b->dtype != HONE_UINT8) || (zero && !is_constant(zero)))
        return false;
    int64_t axis = hone_node_int(dq, "axis"), along = p->b_columns ? 0 : 1;
    if (scale->count != 1 && (axis < 0 ? axis + 2 : axis) != along) return false;
    if (hone_node_int(dq, "block_size") != 0) return false;
    p->b = dq->inputs[0];
    p->b_scale = dq->inputs[1];
    p->b_zero = zero;
    p->n = b->dims[along];
    return scale->count == 1 || scale->count == p->n;
}

/* --- bias --- */

static bool is_row(const hone_tensor *t, int64_t n) {
    return t->count == n && t->rank > 0 && t->dims[t->rank - 1] == n;
}

/* An int32 bias whose step is that of the products adds exactly. */
static bool steps_agree(const product *p, const hone_tensor *scale) {
    const float *a = p->a_scale->data->data, *b = p->b_scale->data->data, *s = scale->data;
    int64_t wide = p->b_scale->data->count;
    for (int64_t j = 0; j < p->n; j++) {
        float step = a[0] * b[wide == 1 ? 0 : j], given = s[scale->count == 1 ? 0 : j];
        if (!(fabsf(step - given) <= 1e-6f * fabsf(step))) return false;
    }
    return true;
}

static hone_value *real_bias(hone_graph *g, const hone_tensor *q, const hone_tensor *scale) {
    hone_tensor *t = NULL;
    if (hone_tensor_new(HONE_FLOAT32, 1, &q->count, &t, NULL) != HONE_OK) {
        g->failed = true;
        return NULL;
    }
    for (int64_t j = 0; j < q->count; j++)
        ((float *)t->data)[j] =
            (float)((const int32_t *)q->data)[j] * ((const float *)scale->data)[scale->count == 1 ? 0 : j];
    hone_value *v = hone_graph_add_constant(g, "bias", t);
    hone_tensor_free(t);
    return v;
}

/* Can `v` be the product's bias? A constant row, in float or behind a DequantizeLinear of int32. */
static bool take_bias(hone_graph *g, product *p, hone_value *v) {
    if (is_constant(v)) {
        if (v->data->dtype != HONE_FLOAT32 || !is_row(v->data, p->n)) return false;
        p->bias = v;
        return true;
    }
    hone_node *dq = made_by(v, &hone_op_dequantize_linear);
    if (!dq || !is_constant(dq->inputs[0]) || !is_constant(input(dq, 1)) || !is_zero(input(dq, 2)))
        return false;
    const hone_tensor *q = dq->inputs[0]->data, *scale = dq->inputs[1]->data;
    if (q->dtype != HONE_INT32 || q->rank != 1 || q->count != p->n ||
        (scale->count != 1 && scale->count != p->n))
        return false;
    p->bias = is_constant(p->a_scale) && is_constant(p->b_scale) && steps_agree(p, scale)
                  ? dq->inputs[0]
                  : real_bias(g, q, scale);
    return p->bias != NULL;
}

/* --- what follows --- */

static void follow(hone_graph *g, product *p) {
    hone_node *add = p->bias ? NULL : only_user(g, p->end, &hone_op_add);
    if (add) {
        hone_value *other = add->inputs[add->inputs[0] == p->end];
        if (other->type.rank <= p->end->type.rank && take_bias(g, p, other)) p->end = add->outputs[0];
    }
    hone_node *relu = only_user(g, p->end, &hone_op_relu);
    if (relu) {
        p->relu = true;
        p->end = relu->outputs[0];
    }
    hone_node *q = only_user(g, p->end, &hone_op_quantize_linear);
    if (q && has_one_scale(q)) {
        p->quantize = q;
        p->end = q->outputs[0];
    }
}

static int64_t zero_of(const hone_value *v) {
    return v ? hone_tensor_int(v->data, 0) : 0;
}

/* The moves once more, on the quantized value. */
static hone_value *move_quantized(hone_graph *g, const product *p) {
    hone_value *v = p->a;
    for (int i = p->move_count - 1; i >= 0 && v; i--) {
        const hone_node *move = p->moves[i];
        hone_dtype dtype = v->type.dtype;
        hone_node *n = hone_graph_add_node(g, move->op, move->name, 1, &v, 1);
        if (!n) return NULL;
        for (int k = 1; k < move->input_count; k++) hone_node_set_input(g, n, k, move->inputs[k]);
        hone_node_copy_attrs(g, n, move);
        v = n->outputs[0];
        v->type = move->outputs[0]->type;
        v->type.dtype = dtype;
    }
    return v;
}

static void emit(hone_graph *g, const product *p, int *changes) {
    hone_node *before = g->insert_before;
    g->insert_before = p->node;
    hone_value *a = move_quantized(g, p);
    hone_value *in[] = {a, p->a_scale, p->a_zero, p->b, p->b_scale, p->b_zero, p->bias};
    hone_node *n = a ? hone_graph_add_node(g, &hone_op_integer_gemm, p->node->name, 7, in, 1) : NULL;
    g->insert_before = before;
    if (!n) return;
    if (p->b_columns) hone_node_set_int(g, n, "transB", 1);
    if (p->relu) hone_node_set_int(g, n, "relu", 1);
    if (p->quantize) {
        hone_node_set_int(g, n, "to", p->end->type.dtype);
        hone_node_set_float(g, n, "y_scale", *(const float *)p->quantize->inputs[1]->data->data);
        hone_node_set_int(g, n, "y_zero_point", zero_of(input(p->quantize, 2)));
    }
    n->outputs[0]->type = p->end->type;
    hone_graph_replace(g, p->end, n->outputs[0]);
    (*changes)++;
}

static void lower_product(hone_graph *g, hone_node *n, int *changes) {
    product p = {.node = n, .end = n->outputs[0]};
    bool gemm = n->op == &hone_op_gemm;
    hone_value *c = gemm ? input(n, 2) : NULL;
    if (gemm && (hone_node_int(n, "transA") || hone_node_float(n, "alpha") != 1 ||
                 (c && hone_node_float(n, "beta") != 1)))
        return;
    p.b_columns = gemm && hone_node_int(n, "transB") != 0;
    if (!find_a(&p) || !find_b(&p)) return;
    if (c && !take_bias(g, &p, c)) return;
    follow(g, &p);
    emit(g, &p, changes);
}

/* --- the dynamic form --- */

static void lower_dynamic(hone_graph *g, hone_node *n, int *changes) {
    product p = {
        .node = n, .a = n->inputs[0], .b = n->inputs[1], .a_zero = input(n, 2), .b_zero = input(n, 3)};
    if (!is_constant(p.b) || p.b->data->rank != 2 || (p.b_zero && !is_constant(p.b_zero))) return;
    if (p.a_zero && !is_one(&p.a_zero->type)) return;
    p.n = p.b->data->dims[1];
    hone_node *cast = only_user(g, n->outputs[0], &hone_op_cast);
    if (!cast || cast->outputs[0]->type.dtype != HONE_FLOAT32) return;
    hone_node *mul = only_user(g, cast->outputs[0], &hone_op_mul);
    if (!mul) return;
    hone_value *scales = mul->inputs[mul->inputs[0] == cast->outputs[0]];
    hone_node *both = made_by(scales, &hone_op_mul);
    if (!both || scales->type.rank > 1) return;
    int fixed = is_constant(both->inputs[0]) ? 0 : 1;
    p.b_scale = both->inputs[fixed];
    p.a_scale = both->inputs[1 - fixed];
    if (!is_constant(p.b_scale) || !is_one(&p.a_scale->type)) return;
    if (p.b_scale->data->count != 1 && p.b_scale->data->count != p.n) return;
    p.end = mul->outputs[0];
    if (p.end->type.rank < 0 || p.end->type.rank != n->outputs[0]->type.rank) return;
    follow(g, &p);
    emit(g, &p, changes);
}

/* --- signs --- kernels take u8 activations: int8 ones between operators of ours become u8 with a zero point
 * 128 higher */

enum { GEMM_A = 0, GEMM_A_ZERO = 2 };

/* Do only products (as A) and moves to such read `v`? */
static bool feeds_products(const hone_graph *g, const hone_value *v, int depth) {
    if (hone_graph_is_output(g, v) || v->use_count == 0 || depth > MAX_MOVES) return false;
    for (size_t i = 0; i < v->use_count; i++) {
        const hone_node *n = v->uses[i].node;
        if (v->uses[i].index != GEMM_A) return false;
        if (n->op == &hone_op_integer_gemm) {
            const hone_value *zero = input(n, GEMM_A_ZERO);
            if (zero && !is_scalar(zero)) return false;
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
        double zero = (double)zero_of(input(n, GEMM_A_ZERO)) + 128;
        hone_node_set_input(g, n, GEMM_A_ZERO, hone_graph_scalar(g, HONE_UINT8, zero));
    }
}

static void prefer_unsigned(hone_graph *g, hone_node *n) {
    hone_value *y = n->outputs[0];
    bool quantize = n->op == &hone_op_quantize_linear, gemm = n->op == &hone_op_integer_gemm;
    if ((!quantize && !gemm) || y->type.dtype != HONE_INT8 || !feeds_products(g, y, 0)) return;
    if (gemm) {
        hone_node_set_int(g, n, "to", HONE_UINT8);
        hone_node_set_int(g, n, "y_zero_point", hone_node_int(n, "y_zero_point") + 128);
    } else {
        if (!has_one_scale(n)) return;
        hone_value *zero = hone_graph_scalar(g, HONE_UINT8, (double)zero_of(input(n, 2)) + 128);
        const hone_type *scale = &n->inputs[1]->type;
        if (scale->rank == 1) /* a zero point has the scale's shape */
            return;
        hone_node_set_input(g, n, 2, zero);
        hone_node_set_int(g, n, "output_dtype", 0);
    }
    make_unsigned(g, y);
}

hone_status hone_rewrite_lower_quantized(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (n->op == &hone_op_matmul || n->op == &hone_op_gemm) lower_product(g, n, changes);
        if (n->op == &hone_op_matmul_integer) lower_dynamic(g, n, changes);
    }
    if (!*changes) return hone_graph_check(g, err);
    hone_graph_prune(g);
    HONE_TRY(hone_graph_check(g, err));
    for (hone_node *n = g->first; n; n = n->next) prefer_unsigned(g, n);
    return hone_graph_check(g, err);
}
