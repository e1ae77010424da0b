/* Matrix products: MatMul (NumPy's semantics) and Gemm. */
#include "graph/autodiff.h"
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/reshape.h"
#include "ops/linear/matmul_shape.h"

#include <string.h>

#define WHOLE (HONE_TYPES_INT | HONE_TYPE(HONE_UINT32) | HONE_TYPE(HONE_UINT64))
#define NUMBERS (HONE_TYPES_FLOAT | HONE_TYPES_HALF | WHOLE)

static bool is_whole(hone_dtype dtype) {
    return (WHOLE & HONE_TYPE(dtype)) != 0;
}
static bool gives_whole(const hone_node *n) {
    return is_whole(n->outputs[0]->type.dtype);
}

/* --- MatMul --- Y[..., M, N] = A[..., M, K] B[..., K, N] */

static hone_status infer_matmul(hone_infer *ctx, hone_error *err) {
    return hone_matmul_infer(ctx, ctx->in[0], ctx->in[1], &ctx->out[0], err);
}

static void axes_matmul(const hone_node *node, hone_axes *out) {
    const hone_type *a = &node->inputs[0]->type, *b = &node->inputs[1]->type, *y = &node->outputs[0]->type;
    if (a->rank < 2 || b->rank < 2) return;
    for (int i = 0; i + 2 < a->rank; i++)
        if (a->dims[i] != 1) hone_axes_same(out, 0, i, y->rank - a->rank + i);
    for (int i = 0; i + 2 < b->rank; i++)
        if (b->dims[i] != 1) hone_axes_same(out, 1, i, y->rank - b->rank + i);
    hone_axes_same(out, 0, a->rank - 2, y->rank - 2);
    hone_axes_same(out, 1, b->rank - 1, y->rank - 1);
    hone_axes_contract(out, 0, a->rank - 1, 1, b->rank - 2);
}

static int64_t multiply_adds_matmul(const hone_node *node, const hone_type *const *in, const hone_type *out) {
    (void)node;
    return hone_type_count(out) * in[0]->dims[in[0]->rank - 1];
}

static hone_status pack_matmul(hone_packer *p, const hone_node *node, hone_error *err) {
    if (gives_whole(node)) return HONE_OK;
    return hone_product_pack(p, node, 1, false, err);
}

static hone_gemm_kind kind_of(const hone_prepare *p) {
    return p->out[0].dtype == HONE_FLOAT64 ? HONE_GEMM_F64 : HONE_GEMM_F32;
}

static hone_status prepare_matmul(hone_prepare *p, hone_error *err) {
    if (is_whole(p->out[0].dtype)) return hone_matmul_whole_prepare(p, err);
    hone_product s = HONE_PRODUCT_INIT;
    s.kind = kind_of(p);
    HONE_TRY(hone_matmul_shape(p, &s, err));
    return hone_product_prepare(p, &s, err);
}

static hone_value *reshape(hone_gradient *ctx, hone_value *x, int count, int64_t d0, int64_t d1) {
    int64_t dims[] = {d0, d1};
    return HONE_EMIT(ctx->graph, "", "Reshape", x, hone_graph_ints(ctx->graph, dims, count));
}

static hone_value *swap_last(hone_gradient *ctx, hone_value *x, int rank) {
    int64_t perm[HONE_MAX_RANK];
    for (int i = 0; i < rank; i++) perm[i] = i;
    perm[rank - 2] = rank - 1;
    perm[rank - 1] = rank - 2;
    hone_value *y = HONE_EMIT(ctx->graph, "", "Transpose", x);
    if (y) hone_node_set_ints(ctx->graph, y->producer, "perm", perm, (size_t)rank);
    return y;
}

static hone_value *gemm(hone_gradient *ctx, hone_value *a, hone_value *b, bool trans_a, bool trans_b,
                        float alpha) {
    hone_value *y = HONE_EMIT(ctx->graph, "", "Gemm", a, b);
    if (!y) return NULL;
    if (trans_a) hone_node_set_int(ctx->graph, y->producer, "transA", 1);
    if (trans_b) hone_node_set_int(ctx->graph, y->producer, "transB", 1);
    if (alpha != 1) hone_node_set_float(ctx->graph, y->producer, "alpha", alpha);
    return y;
}

/* dA = dY B^T, dB = A^T dY. One B for all: everything flattens to plain matrices. Else matrix by matrix,
 * summed over what was broadcast. Vectors are matrices of one row or column meanwhile. */
static void gradient_matmul(hone_gradient *ctx) {
    hone_value *a = ctx->node->inputs[0], *b = ctx->node->inputs[1], *dy = ctx->dout[0];
    int ra = a->type.rank, rb = b->type.rank;
    if (rb <= 2) {
        hone_value *b2 = rb == 2 ? b : reshape(ctx, b, 2, -1, 1);
        int64_t k = ra > 2 && a->type.dims[ra - 1] < 0 && rb ? b->type.dims[0] : a->type.dims[ra - 1];
        int64_t n = rb == 2 ? b->type.dims[1] : 1;
        hone_value *a2 = ra == 2 ? a : ra == 1 ? reshape(ctx, a, 2, 1, -1) : reshape(ctx, a, 2, -1, k);
        hone_value *dy2 = ra == 2 && rb == 2 ? dy
                          : ra == 1          ? reshape(ctx, dy, 2, 1, -1)
                                             : reshape(ctx, dy, 2, -1, n);
        if (ctx->wanted[0]) {
            hone_value *d = gemm(ctx, dy2, b2, false, true, 1);
            ctx->din[0] = ra == 2   ? d
                          : ra == 1 ? reshape(ctx, d, 1, -1, 0)
                                    : HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "ReshapeLike", d, a);
        }
        if (ctx->wanted[1]) {
            hone_value *d = gemm(ctx, a2, dy2, true, false, 1);
            ctx->din[1] = rb == 2 ? d : reshape(ctx, d, 1, -1, 0);
        }
        return;
    }
    hone_value *a2 = ra > 1 ? a : reshape(ctx, a, 2, 1, -1);
    int ra2 = ra > 1 ? ra : 2;
    hone_value *dy2 = dy;
    int rdy = ctx->node->outputs[0]->type.rank;
    if (ra == 1) { /* dY [..., N] becomes [..., 1, N] */
        dy2 = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "InsertAxis", dy);
        if (dy2) hone_node_set_int(ctx->graph, dy2->producer, "axis", rdy - 1);
        rdy++;
    }
    if (ctx->wanted[0]) {
        hone_value *d = HONE_EMIT(ctx->graph, "", "MatMul", dy2, swap_last(ctx, b, rb));
        d = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "SumTo", d, a2);
        ctx->din[0] = ra > 1 ? d : reshape(ctx, d, 1, -1, 0);
    }
    if (ctx->wanted[1]) {
        hone_value *d = HONE_EMIT(ctx->graph, "", "MatMul", swap_last(ctx, a2, ra2), dy2);
        ctx->din[1] = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "SumTo", d, b);
    }
}

/* w [K, N], or [N, K] turned over, as an int8 constant. */
static hone_value *integer_weight(hone_graph *g, const hone_integer_operands *q, bool transposed) {
    if (!transposed) return hone_graph_add_constant(g, q->w_name, q->w);
    int64_t rows = q->w->dims[0], columns = q->w->dims[1], dims[] = {columns, rows};
    hone_tensor *t = NULL;
    if (hone_tensor_new(HONE_INT8, 2, dims, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            ((int8_t *)t->data)[j * rows + i] = ((const int8_t *)q->w->data)[i * columns + j];
    hone_value *v = hone_graph_add_constant(g, q->w_name, t);
    hone_tensor_free(t);
    return v;
}

static hone_value *emit_integer_matmul(hone_graph *g, const hone_node *node, const hone_integer_operands *q,
                                       int *bias) {
    (void)node;
    *bias = -1;
    return HONE_EMIT(g, "", "MatMulInteger", q->x, integer_weight(g, q, false), q->x_zero);
}

const hone_op hone_op_matmul = {.name = "MatMul",
                                .since = 13,
                                .oldest = 1,
                                .inputs =
                                    HONE_SLOTS({"A", 'T', NUMBERS, 0}, {"B", 'T', NUMBERS, HONE_SLOT_WEIGHT}),
                                .outputs = HONE_SLOTS({"Y", 'T', NUMBERS, 0}),
                                .infer = infer_matmul,
                                .axes = axes_matmul,
                                .multiply_adds = multiply_adds_matmul,
                                .widened = HONE_TYPES_HALF,
                                .pack = pack_matmul,
                                .prepare = prepare_matmul,
                                .epilogue = true,
                                .without_epilogue = gives_whole,
                                .gradient_kind = HONE_GRADIENT_EXACT,
                                .gradient = gradient_matmul,
                                .quantize = HONE_QUANTIZE_INTEGER,
                                .emit_integer = emit_integer_matmul,
                                .doc = "matrix product, batched by leading axes"};

/* --- Gemm --- Y[M, N] = alpha A' B' + beta C, A' = A or A^T */

static hone_status infer_gemm(hone_infer *ctx, hone_error *err) {
    const hone_type *a = ctx->in[0], *b = ctx->in[1];
    bool ta = hone_node_int(ctx->node, "transA") != 0, tb = hone_node_int(ctx->node, "transB") != 0;
    if (a->rank < 0 || b->rank < 0) return HONE_OK;
    if (a->rank != 2 || b->rank != 2) return hone_infer_fail(ctx, err, "A and B must be matrices");
    int64_t k;
    HONE_TRY(hone_infer_same_dim(ctx, a->dims[ta ? 0 : 1], b->dims[tb ? 1 : 0], &k, err));
    hone_type *y = &ctx->out[0];
    y->rank = 2;
    y->dims[0] = a->dims[ta ? 1 : 0];
    y->dims[1] = b->dims[tb ? 0 : 1];
    if (ctx->input_count < 3 || !ctx->in[2] || ctx->in[2]->rank < 0) return HONE_OK;
    hone_type sum = *y;
    HONE_TRY(hone_infer_broadcast(ctx, y, ctx->in[2], &sum, err));
    bool grows = sum.rank != 2;
    for (int i = 0; i < 2 && !grows; i++)
        grows = y->dims[i] >= 0 && sum.dims[i] >= 0 && sum.dims[i] != y->dims[i];
    if (grows) return hone_infer_fail(ctx, err, "C does not broadcast to the product's shape");
    return HONE_OK;
}

static void axes_gemm(const hone_node *node, hone_axes *out) {
    int ta = hone_node_int(node, "transA") != 0, tb = hone_node_int(node, "transB") != 0;
    hone_axes_same(out, 0, ta, 0);
    hone_axes_same(out, 1, !tb, 1);
    hone_axes_contract(out, 0, !ta, 1, tb);
    if (node->input_count < 3 || !node->inputs[2]) return;
    const hone_type *c = &node->inputs[2]->type, *y = &node->outputs[0]->type;
    for (int i = 0; i < c->rank; i++) {
        int to = i + 2 - c->rank;
        if (c->dims[i] != 1 || y->dims[to] == 1) hone_axes_same(out, 2, i, to);
    }
}

static int64_t multiply_adds_gemm(const hone_node *node, const hone_type *const *in, const hone_type *out) {
    return hone_type_count(out) * in[0]->dims[hone_node_int(node, "transA") ? 0 : 1];
}

static hone_status pack_gemm(hone_packer *p, const hone_node *node, hone_error *err) {
    return hone_product_pack(p, node, 1, hone_node_int(node, "transB") != 0, err);
}

static hone_status prepare_gemm(hone_prepare *p, hone_error *err) {
    bool ta = hone_node_int(p->node, "transA") != 0, tb = hone_node_int(p->node, "transB") != 0;
    const hone_type *a = p->in[0], *b = p->in[1];
    hone_product s = HONE_PRODUCT_INIT;
    s.kind = kind_of(p);
    s.alpha = hone_node_float(p->node, "alpha");
    s.beta = hone_node_float(p->node, "beta");
    s.m = a->dims[ta ? 1 : 0];
    s.k = a->dims[ta ? 0 : 1];
    s.n = b->dims[tb ? 0 : 1];
    s.a_row = ta ? 1 : a->dims[1];
    s.a_col = ta ? a->dims[1] : 1;
    s.b_columns = tb;
    const hone_type *c = p->in_count > 2 && (!p->node->map || p->node->map_input > 2) ? p->in[2] : NULL;
    if (c && s.beta != 0) {
        bool row = c->rank > 0 && c->dims[c->rank - 1] == s.n && hone_type_count(c) == s.n;
        if (row && s.beta == 1)
            s.bias = 2;
        else
            s.addend = 2;
    }
    return hone_product_prepare(p, &s, err);
}

static void gradient_gemm(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    bool ta = hone_node_int(n, "transA") != 0, tb = hone_node_int(n, "transB") != 0;
    float alpha = hone_node_float(n, "alpha"), beta = hone_node_float(n, "beta");
    hone_value *a = n->inputs[0], *b = n->inputs[1], *dy = ctx->dout[0];
    if (ctx->wanted[0])
        ctx->din[0] = ta ? gemm(ctx, b, dy, tb, true, alpha) : gemm(ctx, dy, b, false, !tb, alpha);
    if (ctx->wanted[1])
        ctx->din[1] = tb ? gemm(ctx, dy, a, true, ta, alpha) : gemm(ctx, a, dy, !ta, false, alpha);
    if (n->input_count < 3 || !ctx->wanted[2]) return;
    hone_value *dc = hone_gradient_sum_to(ctx, dy, n->outputs[0], n->inputs[2]);
    if (beta != 1)
        dc = HONE_EMIT(ctx->graph, "", "Mul", dc,
                       hone_graph_scalar(ctx->graph, n->outputs[0]->type.dtype, beta));
    ctx->din[2] = dc;
}

static hone_value *emit_integer_gemm(hone_graph *g, const hone_node *n, const hone_integer_operands *q,
                                     int *bias) {
    if (hone_node_int(n, "transA") || hone_node_float(n, "alpha") != 1) return NULL;
    *bias = n->input_count > 2 ? 2 : -1;
    if (*bias == 2 && hone_node_float(n, "beta") != 1) return NULL;
    return HONE_EMIT(g, "", "MatMulInteger", q->x, integer_weight(g, q, hone_node_int(n, "transB") != 0),
                     q->x_zero);
}

/* --- of integers: as MatMul and what follows it */

static hone_value *times(hone_graph *g, hone_value *x, hone_dtype dtype, float factor) {
    return factor == 1 ? x : HONE_EMIT(g, "", "Mul", x, hone_graph_scalar(g, dtype, (double)factor));
}

static hone_status expand_gemm(hone_graph *g, hone_node *n, hone_error *err) {
    hone_dtype dtype = n->outputs[0]->type.dtype;
    hone_value *a = n->inputs[0], *b = n->inputs[1], *c = n->input_count > 2 ? n->inputs[2] : NULL;
    if (hone_node_int(n, "transA")) a = HONE_EMIT(g, "", "Transpose", a);
    if (hone_node_int(n, "transB")) b = HONE_EMIT(g, "", "Transpose", b);
    hone_value *y = times(g, HONE_EMIT(g, "", "MatMul", a, b), dtype, hone_node_float(n, "alpha"));
    if (c) y = HONE_EMIT(g, "", "Add", y, times(g, c, dtype, hone_node_float(n, "beta")));
    hone_graph_replace(g, n->outputs[0], y);
    return hone_graph_check(g, err);
}

/* Until opset 7 `broadcast` allowed C to have another shape than the product. */
static const hone_attr_def gemm_1[] = {
    {"alpha", HONE_ATTR_FLOAT, .f = 1},   {"beta", HONE_ATTR_FLOAT, .f = 1},
    {"broadcast", HONE_ATTR_INT, .i = 0}, {"transA", HONE_ATTR_INT, .i = 0},
    {"transB", HONE_ATTR_INT, .i = 0},    {NULL}};

static hone_status lift_gemm(hone_graph *g, hone_node *n, hone_error *err) {
    g->insert_before = n;
    hone_value *y = hone_graph_emit(g, "", "Gemm", n->inputs, n->input_count);
    g->insert_before = NULL;
    hone_node *made = y ? y->producer : NULL;
    if (made) {
        hone_node_set_float(g, made, "alpha", hone_node_float(n, "alpha"));
        hone_node_set_float(g, made, "beta", hone_node_float(n, "beta"));
        hone_node_set_int(g, made, "transA", hone_node_int(n, "transA"));
        hone_node_set_int(g, made, "transB", hone_node_int(n, "transB"));
    }
    hone_lift_replace(g, n, y);
    return hone_graph_check(g, err);
}

static const hone_op_version older_gemm[] = {{7, NULL, NULL}, {1, gemm_1, lift_gemm}, {0}};

const hone_op hone_op_gemm = {
    .name = "Gemm",
    .since = 13,
    .oldest = 1,
    .older = older_gemm,
    .expands = gives_whole,
    .expand = expand_gemm,
    .inputs = HONE_SLOTS({"A", 'T', NUMBERS, 0}, {"B", 'T', NUMBERS, HONE_SLOT_WEIGHT},
                         {"C", 'T', NUMBERS, HONE_SLOT_WEIGHT | HONE_SLOT_ZEROS | HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', NUMBERS, 0}),
    .attrs = HONE_ATTRS({"alpha", HONE_ATTR_FLOAT, .f = 1}, {"beta", HONE_ATTR_FLOAT, .f = 1},
                        {"transA", HONE_ATTR_INT, .i = 0}, {"transB", HONE_ATTR_INT, .i = 0}),
    .infer = infer_gemm,
    .axes = axes_gemm,
    .multiply_adds = multiply_adds_gemm,
    .widened = HONE_TYPES_HALF,
    .pack = pack_gemm,
    .prepare = prepare_gemm,
    .epilogue = true,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient_gemm,
    .quantize = HONE_QUANTIZE_INTEGER,
    .emit_integer = emit_integer_gemm,
    .doc = "alpha A' B' + beta C of matrices, A' = A or its transpose"};
