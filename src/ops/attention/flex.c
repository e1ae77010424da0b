/* FlexAttention of ai.onnx.preview: attention whose scores and probabilities subgraphs change. Without
 * subgraphs it is a ScaledDotProduct (core.h); with them they are put between its parts, which are then
 * nodes of their own. */
#include "graph/infer.h"
#include "ops/attention/core.h"
#include "ops/common/emit.h"

#include <math.h>

#define REAL (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

enum { Q, K, V };

/* What scores and probabilities are. */
static hone_dtype precision_of(const hone_node *n, hone_dtype dtype) {
    const hone_attr *given = hone_node_attr(n, "softmax_precision");
    if (!given) return hone_wide_dtype(dtype);
    return given->i == (int)given->i ? (hone_dtype)given->i : HONE_UNDEFINED;
}

/* A subgraph gives a tensor of the type that it gets. */
static hone_status infer_change(const hone_infer *ctx, const char *name, const hone_type *scores,
                                hone_error *err) {
    hone_graph *sub = hone_node_graph(ctx->node, name);
    hone_type out;
    if (!sub) return HONE_OK;
    if (sub->input_count != 1 || sub->output_count != 1)
        return hone_infer_fail(ctx, err, "%s has %zu inputs and %zu outputs, not one", name, sub->input_count,
                               sub->output_count);
    HONE_TRY(hone_infer_subgraph(ctx, sub, scores, &out, err));
    bool same = out.kind == HONE_KIND_TENSOR && (out.dtype == scores->dtype || out.dtype == HONE_UNDEFINED) &&
                (out.rank < 0 || out.rank == scores->rank);
    for (int i = 0; same && i < out.rank; i++)
        same = out.dims[i] < 0 || scores->dims[i] < 0 || out.dims[i] == scores->dims[i];
    char a[96], b[96];
    return same ? HONE_OK
                : hone_infer_fail(ctx, err, "%s makes %s of %s", name,
                                  hone_type_format(sub, &out, a, sizeof a),
                                  hone_type_format(sub, scores, b, sizeof b));
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *in[] = {ctx->in[Q], ctx->in[K], ctx->in[V]};
    int64_t dims[3][4];
    for (int i = 0; i < 3; i++) {
        if (in[i]->rank >= 0 && in[i]->rank != 4)
            return hone_infer_fail(ctx, err, "Q, K and V must have rank 4");
        for (int k = 0; k < 4; k++) dims[i][k] = in[i]->rank == 4 ? in[i]->dims[k] : HONE_DIM_ANY;
    }
    int64_t *q = dims[Q], *k = dims[K], *v = dims[V], depth;
    HONE_TRY(hone_infer_same_dim(ctx, q[0], k[0], &q[0], err));
    HONE_TRY(hone_infer_same_dim(ctx, q[0], v[0], &q[0], err));
    HONE_TRY(hone_infer_same_dim(ctx, k[1], v[1], &k[1], err));
    HONE_TRY(hone_infer_same_dim(ctx, k[2], v[2], &k[2], err));
    HONE_TRY(hone_infer_same_dim(ctx, q[3], k[3], &depth, err));
    if (q[1] >= 0 && k[1] >= 0 && (k[1] == 0 ? q[1] > 0 : q[1] % k[1] > 0))
        return hone_infer_fail(ctx, err, "%lld heads of Q can't share %lld of K", (long long)q[1],
                               (long long)k[1]);
    const hone_dtype dtype = in[Q]->dtype, precision = precision_of(ctx->node, dtype);
    if (precision != HONE_FLOAT32 && precision != HONE_FLOAT64 && precision != HONE_FLOAT16 &&
        precision != HONE_BFLOAT16)
        return hone_infer_fail(ctx, err, "softmax_precision %lld",
                               (long long)hone_node_int(ctx->node, "softmax_precision"));
    const int64_t s[] = {q[0], q[1], q[2], k[2]}, y[] = {q[0], q[1], q[2], v[3]};
    const hone_type scores = hone_type_make(precision, 4, s);
    HONE_TRY(infer_change(ctx, "score_mod", &scores, err));
    HONE_TRY(infer_change(ctx, "prob_mod", &scores, err));
    ctx->out[0] = hone_type_make(dtype, 4, y);
    return HONE_OK;
}

/* --- as a function --- */

/* The nodes of a subgraph of n, of v, in n's graph; without one v itself. */
static hone_status changed(hone_graph *g, const hone_node *n, const char *name, hone_value **v,
                           hone_error *err) {
    const hone_graph *sub = hone_node_graph(n, name);
    if (!sub || !*v) return HONE_OK;
    hone_value **map = hone_calloc(sub->value_count + 1, sizeof *map);
    const char *prefix = hone_arena_printf(g->arena, "%s/%s/", n->name, name);
    hone_status status = map && prefix ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK) {
        map[sub->inputs[0]->id] = *v;
        for (size_t k = 0; k < sub->capture_count; k++)
            if (sub->captures[k]) map[sub->captures[k]->id] = n->inputs[n->capture_first + (int)k];
        status = hone_graph_append(g, sub, prefix, map, err);
    }
    if (status == HONE_OK) *v = map[sub->outputs[0]->id];
    hone_free(map);
    return status;
}

/* A shape of four: dimension axis[i] of from[i], or, the axis being -1, from[i] itself. */
static hone_value *shape_of(hone_graph *g, hone_value *const *from, const int64_t *axis) {
    hone_value *shape = NULL;
    for (int i = 0; i < 4; i++) {
        hone_value *dim = axis[i] < 0 ? from[i] : hone_emit_dim(g, from[i], axis[i]);
        shape = shape ? hone_emit_joined(g, shape, dim, 0) : dim;
    }
    return shape;
}

static hone_value *reshaped(hone_graph *g, hone_value *v, hone_value *shape) {
    hone_value *y = HONE_EMIT(g, "", "Reshape", v, shape);
    if (y) hone_node_set_int(g, y->producer, "allowzero", 1);
    return y;
}

static hone_value *scale_of(hone_graph *g, const hone_node *n, hone_value *q, hone_dtype dtype) {
    const hone_attr *given = hone_node_attr(n, "scale");
    const int64_t depth = q->type.rank == 4 ? q->type.dims[3] : HONE_DIM_ANY;
    if (given) return hone_graph_scalar(g, dtype, given->f);
    if (depth >= 0) return hone_graph_scalar(g, dtype, depth ? 1 / sqrt((double)depth) : 1);
    hone_value *size = hone_emit_cast(g, hone_emit_dim(g, q, 3), dtype);
    return HONE_EMIT(g, "", "Div", hone_graph_scalar(g, dtype, 1), HONE_EMIT(g, "", "Sqrt", size));
}

/* Heads of Q that share one of K are rows of one matrix: [B, N, T, D] as [B, M, N/M T, D], which moves
 * nothing. */
static hone_status expand_parts(hone_graph *g, hone_node *n, hone_dtype computes, hone_dtype precision,
                                hone_error *err) {
    static const int64_t turned[] = {0, 1, 3, 2};
    const hone_type *tq = &n->inputs[Q]->type, *tk = &n->inputs[K]->type;
    const bool alike =
        tq->rank == 4 && tk->rank == 4 && tq->dims[1] == tk->dims[1] && tq->dims[1] != HONE_DIM_ANY;
    hone_value *q = hone_emit_wide(g, n->inputs[Q], computes), *k = hone_emit_wide(g, n->inputs[K], computes),
               *v = hone_emit_wide(g, n->inputs[V], computes), *rows = NULL;
    hone_value *scaled = HONE_EMIT(g, "", "Mul", q, scale_of(g, n, n->inputs[Q], computes));
    if (!alike) {
        hone_value *one = hone_graph_ints(g, (int64_t[]){1}, 1);
        hone_value *some = HONE_EMIT(g, "", "Max", hone_emit_dim(g, k, 1), one);
        hone_value *group = HONE_EMIT(g, "", "Div", hone_emit_dim(g, q, 1), some);
        rows = HONE_EMIT(g, "", "Mul", group, hone_emit_dim(g, q, 2));
        scaled = reshaped(g, scaled, shape_of(g, (hone_value *[]){q, k, rows, q}, (int64_t[]){0, 1, -1, 3}));
    }
    hone_value *s = HONE_EMIT(g, "", "MatMul", scaled, hone_emit_turned(g, k, turned, 4));
    if (!alike) s = reshaped(g, s, shape_of(g, (hone_value *[]){q, q, q, k}, (int64_t[]){0, 1, 2, 2}));
    if (precision != computes) s = hone_emit_cast(g, s, precision);
    HONE_TRY(changed(g, n, "score_mod", &s, err));
    hone_value *p = HONE_EMIT(g, "", "Softmax", s);
    HONE_TRY(changed(g, n, "prob_mod", &p, err));
    if (precision != computes) p = hone_emit_cast(g, p, computes);
    if (!alike) p = reshaped(g, p, shape_of(g, (hone_value *[]){q, k, rows, k}, (int64_t[]){0, 1, -1, 2}));
    hone_value *y = HONE_EMIT(g, "", "MatMul", p, v);
    if (!alike) y = reshaped(g, y, shape_of(g, (hone_value *[]){q, q, q, v}, (int64_t[]){0, 1, 2, 3}));
    hone_give_output(g, n, 0, y, computes);
    return hone_graph_check(g, err);
}

static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_dtype dtype = n->inputs[Q]->type.dtype, precision = precision_of(n, dtype),
                     computes = dtype == HONE_FLOAT64 ? dtype : hone_wide_dtype(precision);
    const hone_attr *scale = hone_node_attr(n, "scale");
    if (hone_node_subgraph(n, 0) || (scale && scale->f == 0))
        return expand_parts(g, n, computes, precision, err);
    hone_core c = {.scale = scale ? scale->f : 0, .qk_mode = -1};
    for (int i = 0; i < 3; i++) c.in[i] = hone_emit_wide(g, n->inputs[i], computes);
    hone_node *core = hone_core_emit(g, &c);
    if (core) hone_give_output(g, n, 0, core->outputs[0], computes);
    return hone_graph_check(g, err);
}

const hone_op hone_op_flex_attention = {
    .domain = "ai.onnx.preview",
    .name = "FlexAttention",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"Q", 'T', REAL, 0}, {"K", 'T', REAL, 0}, {"V", 'T', REAL, 0}),
    .outputs = HONE_SLOTS({"Y", 'T', REAL, 0}),
    .attrs = HONE_ATTRS({"score_mod", HONE_ATTR_GRAPH}, {"prob_mod", HONE_ATTR_GRAPH},
                        {"softmax_precision", HONE_ATTR_INT}, {"scale", HONE_ATTR_FLOAT}),
    .infer = infer,
    .expand = expand,
    .doc = "attention whose scores and probabilities subgraphs change"};
