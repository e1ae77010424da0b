/* Weights in few bits, with a scale for each channel or each block of it, that meet numbers: the rows "bits-product" and
 * "bits-rows" of rewrites.c, and two walks around them.
 *
 *   MatMul(x, DequantizeLinear(codes, scales, zeros))   ⇒  BitsProduct(x, packed codes, scales, zeros, bias)
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
#define MOST_BLOCK ((int64_t)1 << 20)
/* Elements from which weights stay packed: smaller ones are read from a cache as real numbers faster than they are unpacked.
 * Those of 4 bits have a kernel that multiplies few rows by them as they lie. */
#define LEAST_NIBBLES 4096
#define LEAST_OTHERS ((int64_t)1 << 18)

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

/* --- bits-product --- */

/* Codes [N, K], or [K, N] where `turned`, and how their scales lie. */
typedef struct weights {
    const hone_tensor *codes, *scales, *zeros; /* zeros NULL: 0 */
    bool turned;
    int64_t n, k, block, blocks; /* as the product takes them */
    int bits;
} weights;

static hone_node *product_of(const hone_match *m) {
    hone_node *n = hone_match_maker(m, "product");
    return n ? n : m->root;
}

static bool is_plain(const hone_node *product) {
    return product->op != &hone_op_gemm ||
           (!hone_node_int(product, "transA") && hone_node_float(product, "alpha") == 1 &&
            (!hone_quantized_input(product, 2) || hone_node_float(product, "beta") == 1));
}

/* The scale (zero point) of block b of channel c. */
static int64_t scale_at(const weights *w, const hone_tensor *t, int64_t c, int64_t b) {
    if (t->count == 1) return 0;
    return t->rank == 1 ? c : w->turned ? b * w->n + c : c * w->blocks + b;
}

static bool read_weights(const hone_match *m, weights *w) {
    const hone_node *d = hone_match_maker(m, "d"), *product = product_of(m);
    *w = (weights){.codes = constant(d, 0), .scales = constant(d, 1), .zeros = constant(d, 2)};
    const hone_tensor *c = w->codes;
    if (!c || c->rank != 2 || !is_of(c, HONE_TYPES_BYTE | NIBBLES | PAIRS) || !is_plain(product))
        return false;
    if (!w->scales || w->scales->dtype != HONE_FLOAT32 || (hone_quantized_input(d, 2) && !w->zeros) ||
        d->outputs[0]->type.dtype != HONE_FLOAT32)
        return false;
    const bool transposed = hone_match_value(m, "w") != hone_match_value(m, "d");
    w->turned = transposed == (hone_node_int(product, "transB") != 0);
    w->n = c->dims[w->turned ? 1 : 0];
    w->k = c->dims[w->turned ? 0 : 1];
    w->bits = (int)hone_dtype_bits(c->dtype);
    w->block = hone_node_int(d, "block_size");
    const int64_t sum_axis = w->turned ? 0 : 1;
    if (w->block) {
        w->blocks = hone_tasks(w->k, w->block);
        return w->block >= 16 && w->block % 16 == 0 && w->block <= MOST_BLOCK && axis_of(d) == sum_axis &&
               w->scales->rank == 2;
    }
    w->block = (w->k + 15) / 16 * 16;
    w->blocks = 1;
    return w->k > 0 && w->block <= MOST_BLOCK && (w->scales->count == 1 || axis_of(d) == 1 - sum_axis);
}

bool hone_check_bits_product(const hone_match *m) {
    weights w;
    const hone_value *x = hone_match_value(m, "x"), *bias = hone_match_value(m, "bias");
    const hone_node *product = product_of(m);
    if (!read_weights(m, &w) || x->type.dtype != HONE_FLOAT32 || x->type.rank < 1) return false;
    if (product->op == &hone_op_matmul && x->type.rank == 1) return false;
    if (w.codes->count < (w.bits == 4 ? LEAST_NIBBLES : LEAST_OTHERS)) return false;
    return !bias || (hone_is_constant(bias) && bias->data->dtype == HONE_FLOAT32 && bias->data->rank == 1 &&
                     bias->data->count == w.n);
}

static hone_tensor *pack_codes(const weights *w) {
    const int64_t row = w->blocks * w->block, bytes = row * w->bits / 8;
    const int64_t middle = is_of(w->codes, SIGNED) ? (int64_t)1 << (w->bits - 1) : 0;
    hone_tensor *t = NULL;
    if (hone_tensor_new(HONE_UINT8, 2, (int64_t[]){w->n, bytes}, &t, NULL) != HONE_OK) return NULL;
    for (int64_t c = 0; c < w->n; c++)
        for (int64_t i = 0; i < w->k; i++) {
            const int64_t code = hone_tensor_int(w->codes, w->turned ? i * w->n + c : c * w->k + i) + middle;
            hone_bits_set((uint8_t *)t->data + c * bytes, i, w->bits, (unsigned)code);
        }
    return t;
}

/* Scales, or zero points as they are among codes without signs, as float32 [N, blocks]. */
static hone_tensor *spread(const weights *w, bool zeros) {
    const int64_t middle = is_of(w->codes, SIGNED) ? (int64_t)1 << (w->bits - 1) : 0;
    hone_tensor *t = NULL;
    if (hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){w->n, w->blocks}, &t, NULL) != HONE_OK) return NULL;
    for (int64_t c = 0; c < w->n; c++)
        for (int64_t b = 0; b < w->blocks; b++)
            ((float *)t->data)[c * w->blocks + b] =
                !zeros     ? ((const float *)w->scales->data)[scale_at(w, w->scales, c, b)]
                : w->zeros ? (float)(hone_tensor_int(w->zeros, scale_at(w, w->zeros, c, b)) + middle)
                           : (float)middle;
    return t;
}

hone_value *hone_build_bits_product(hone_match *m) {
    weights w;
    hone_graph *g = m->graph;
    read_weights(m, &w);
    const bool zeros = w.zeros || !is_of(w.codes, SIGNED);
    hone_tensor *made[] = {pack_codes(&w), spread(&w, false), zeros ? spread(&w, true) : NULL};
    const char *const suffixes[] = {"packed", "scales", "zeros"};
    hone_value *in[5] = {hone_match_value(m, "x")};
    for (int i = 0; i < 3; i++) {
        if (!made[i] && (i < 2 || zeros)) hone_graph_out_of_memory(g);
        if (made[i]) in[i + 1] = hone_graph_add_constant(g, suffixes[i], made[i]);
        hone_tensor_free(made[i]);
    }
    in[4] = hone_match_value(m, "bias");
    hone_node *n =
        g->failed ? NULL : hone_graph_add_node(g, &hone_op_bits_product, product_of(m)->name, 5, in, 1);
    if (!n) return NULL;
    hone_node_set_int(g, n, "bits", w.bits);
    hone_node_set_int(g, n, "block_size", w.block);
    hone_node_set_int(g, n, "K", w.k);
    hone_node_set_int(g, n, "N", w.n);
    return n->outputs[0];
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
