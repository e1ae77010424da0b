/* Attention that a file spells as products around a Softmax becomes one operator, which never has all scores
 * in memory:
 *
 *   x ─► Reshape [B, T, N, D] ─► Transpose ─► [Mul] ─┐
 *   x ─► Reshape [B, S, N, D] ─► Transpose ─► [Mul] ─┴► MatMul ─► [Mul, Div] ─► [Add bias] ─► Softmax ─┐
 *   x ─► Reshape [B, S, N, D] ─► Transpose ────────────────────────────────────────────────────────────┴► MatMul ─► y
 *
 * Heads that are parts of rows are read where they lie: such Reshapes and Transposes are not needed, nor
 * those behind y. */
#include "ops/ops.h"
#include "ops/rewrites/rewrites.h"

#include <math.h>
#include <string.h>

enum { Q, K, V, BIAS, INPUTS };

typedef struct found {
    hone_value *in[INPUTS];
    int64_t q_heads, kv_heads; /* 0: of rank 4 */
    double scale;
} found;

static bool same_dim(int64_t a, int64_t b) {
    return a == b && a != HONE_DIM_ANY;
}

/* Is v read once, by a node, and no result? */
static bool is_private(const hone_graph *g, const hone_value *v) {
    return v->producer && v->use_count == 1 && v->producer->output_count == 1 && !hone_graph_is_output(g, v);
}

/* The operand of a Mul or Div by one number, which *scale is multiplied by; NULL: v is none. */
static hone_value *unscaled(const hone_value *v, double *scale) {
    const hone_node *n = v->producer;
    if (!n || (n->op != &hone_op_mul && n->op != &hone_op_div)) return NULL;
    for (int i = 0; i < 2; i++) {
        const double x = hone_constant_number(n->inputs[1 - i]);
        if (isnan(x) || n->inputs[1 - i]->type.rank > n->inputs[i]->type.rank) continue;
        if (n->op == &hone_op_div && (i != 0 || x == 0)) continue;
        *scale *= n->op == &hone_op_mul ? x : 1 / x;
        return n->inputs[i];
    }
    return NULL;
}

/* Can `bias` be added to scores of that type without making more heads of them? The operator takes whatever batch, rows
 * and keys broadcast. */
static bool fits(const hone_type *bias, const hone_type *scores) {
    if (bias->dtype != HONE_FLOAT32 || scores->rank != 4 || bias->rank < 1 || bias->rank > 4) return false;
    const int64_t heads = bias->rank > 2 ? bias->dims[bias->rank - 3] : 1;
    return heads == 1 || heads == scores->dims[1];
}

/* Is v a product, times numbers? */
static bool is_product(const hone_graph *g, const hone_value *v) {
    double scale = 1;
    while (v && is_private(g, v)) {
        if (v->producer->op == &hone_op_matmul) return v->type.rank == 4;
        v = unscaled(v, &scale);
    }
    return false;
}

/* From the Softmax's input back to the product of Q and K^T: what is added and multiplied on the way. */
static hone_node *scores(const hone_graph *g, hone_value *v, found *f) {
    for (;;) {
        if (!is_private(g, v)) return NULL;
        hone_node *n = v->producer;
        if (n->op == &hone_op_matmul) return n;
        hone_value *inner = unscaled(v, &f->scale);
        if (!inner) {
            if (n->op != &hone_op_add || f->in[BIAS] || f->scale != 1) return NULL;
            const int i = is_product(g, n->inputs[0]) ? 0 : 1;
            inner = n->inputs[i];
            f->in[BIAS] = n->inputs[1 - i];
            if (!fits(&f->in[BIAS]->type, &inner->type)) return NULL;
        }
        v = inner;
    }
}

/* v as a permutation of another value's axes, out axis i its axis perm[i]; numbers that it is multiplied by
 * on the way go into *scale, which may be NULL: there are none then. */
static hone_value *unpermuted(hone_value *v, int64_t *perm, double *scale) {
    for (int i = 0; i < 4; i++) perm[i] = i;
    for (;;) {
        const hone_node *n = v->producer;
        hone_value *inner = scale ? unscaled(v, scale) : NULL;
        if (inner && inner->type.rank == 4) {
            v = inner;
            continue;
        }
        size_t count;
        if (!n || n->op != &hone_op_transpose || v->type.rank != 4) return v;
        const int64_t *own = hone_node_ints(n, "perm", &count);
        if (!own || count != 4) return v;
        int64_t all[4];
        for (int i = 0; i < 4; i++) all[i] = own[perm[i]];
        memcpy(perm, all, sizeof all);
        v = n->inputs[0];
    }
}

/* Is `v`, [B, N, T, D] by perm of what it stands for, made of rows [B, T, N D]? These, else NULL. */
static hone_value *rows_of(const hone_value *v, const int64_t *perm) {
    static const int64_t wanted[4] = {0, 2, 1, 3};
    const hone_node *n = v->producer;
    if (memcmp(perm, wanted, sizeof wanted) != 0 || !n || n->op != &hone_op_reshape) return NULL;
    hone_value *x = n->inputs[0];
    const hone_type *t = &x->type, *r = &v->type;
    if (t->rank != 3 || r->rank != 4 || r->dims[2] < 0 || r->dims[3] < 0) return NULL;
    if (!same_dim(t->dims[0], r->dims[0]) || !same_dim(t->dims[1], r->dims[1])) return NULL;
    return t->dims[2] == r->dims[2] * r->dims[3] ? x : NULL;
}

/* The value of rank 4 by that permutation. */
static hone_value *permuted(hone_graph *g, hone_value *v, const int64_t *perm) {
    const int64_t none[4] = {0, 1, 2, 3};
    if (memcmp(perm, none, sizeof none) == 0) return v;
    hone_value *y = HONE_EMIT(g, "", "Transpose", v);
    if (!y) return NULL;
    hone_node_set_ints(g, y->producer, "perm", perm, 4);
    y->type = v->type;
    for (int i = 0; i < 4; i++) y->type.dims[i] = v->type.dims[perm[i]];
    return y;
}

/* Where Q, K and V come from: rows, or values of rank 4. */
static bool sources(hone_graph *g, hone_value *q, hone_value *k, hone_value *v, found *f) {
    int64_t perm[3][4];
    double *const scale[3] = {&f->scale, &f->scale, NULL};
    hone_value *from[3] = {q, k, v}, *rows[3];
    const int64_t heads = q->type.dims[1];
    for (int i = 0; i < 3; i++) from[i] = unpermuted(from[i], perm[i], scale[i]);
    const int64_t last = perm[K][2]; /* K^T becomes K */
    perm[K][2] = perm[K][3];
    perm[K][3] = last;
    for (int i = 0; i < 3; i++) rows[i] = rows_of(from[i], perm[i]);
    if (rows[Q]) f->q_heads = heads;
    if (rows[K] && rows[V]) f->kv_heads = heads;
    for (int i = 0; i < 3; i++) {
        const bool as_rows = i == Q ? f->q_heads > 0 : f->kv_heads > 0;
        f->in[i] = as_rows ? rows[i] : permuted(g, from[i], perm[i]);
        if (!f->in[i]) return false;
    }
    return true;
}

static bool is_attention(const hone_value *q, const hone_value *k, const hone_value *v) {
    const hone_value *all[3] = {q, k, v};
    for (int i = 0; i < 3; i++) {
        const hone_type *t = &all[i]->type;
        if (t->rank != 4 || t->dtype != HONE_FLOAT32) return false;
        if (t->dims[1] < 1 || t->dims[1] != q->type.dims[1]) return false;
    }
    return q->type.dims[3] > 0 && v->type.dims[3] > 0;
}

/* [B, T, N D] as [B, N, T, D]. */
static hone_value *as_heads(hone_graph *g, hone_value *y, const hone_type *type) {
    const int64_t shape[4] = {0, 0, type->dims[1], type->dims[3]}, perm[4] = {0, 2, 1, 3};
    hone_value *r = HONE_EMIT(g, "", "Reshape", y, hone_graph_ints(g, shape, 4));
    if (!r) return NULL;
    r->type = *type;
    r->type.dims[1] = type->dims[2];
    r->type.dims[2] = type->dims[1];
    return permuted(g, r, perm);
}

/* The operator in the place of `old`, of that type; NULL: memory is out. */
static hone_value *emit(hone_graph *g, const found *f, const hone_type *old) {
    hone_value *y =
        HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "ScaledDotProduct", f->in[Q], f->in[K], f->in[V], f->in[BIAS]);
    if (!y) return NULL;
    hone_node_set_int(g, y->producer, "q_heads", f->q_heads);
    hone_node_set_int(g, y->producer, "kv_heads", f->kv_heads);
    hone_node_set_float(g, y->producer, "scale", (float)f->scale);
    hone_node_set_int(g, y->producer, "plain", 1);
    y->type = *old;
    if (!f->q_heads) return y;
    y->type.rank = 3;
    y->type.dims[1] = old->dims[2];
    y->type.dims[2] = old->dims[1] * old->dims[3];
    return as_heads(g, y, old);
}

static bool convert(hone_graph *g, hone_node *softmax) {
    hone_value *p = softmax->outputs[0];
    found f = {.scale = 1};
    if (p->type.rank != 4 || !is_private(g, p)) return false;
    const int64_t axis = hone_node_int(softmax, "axis");
    hone_node *y = p->uses[0].node;
    if ((axis != -1 && axis != 3) || y->op != &hone_op_matmul || p->uses[0].index != 0) return false;
    const hone_node *s = scores(g, softmax->inputs[0], &f);
    if (!s || !is_attention(s->inputs[0], s->inputs[1], y->inputs[1])) return false;
    g->insert_before = y;
    const bool there = sources(g, s->inputs[0], s->inputs[1], y->inputs[1], &f);
    const bool scales = (float)f.scale != 0; /* 0 would stand for the usual scale */
    hone_value *out = there && scales ? emit(g, &f, &y->outputs[0]->type) : NULL;
    g->insert_before = NULL;
    if (!out) return false;
    hone_graph_replace(g, y->outputs[0], out);
    return true;
}

hone_status hone_rewrite_attention(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first; n; n = n->next)
        if (n->op == &hone_op_softmax) *changes += convert(g, n);
    hone_graph_prune(g);
    return hone_graph_check(g, err);
}
