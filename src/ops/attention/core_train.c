/* ScaledDotProduct for training: as other operators, whose gradients are known. */
#include "ops/attention/core.h"

#include "ops/common/emit.h"

#include <math.h>

static hone_value *op1(hone_graph *g, const char *op, hone_value *a) {
    return a ? HONE_EMIT(g, "", op, a) : NULL;
}
static hone_value *op2(hone_graph *g, const char *op, hone_value *a, hone_value *b) {
    return a && b ? HONE_EMIT(g, "", op, a, b) : NULL;
}

/* 0, 1, … as many as axis `axis` of v has, as int64 [n, 1 …] of that rank. */
static hone_value *count_up(hone_graph *g, hone_value *v, int64_t axis, const int64_t *shape, int rank) {
    hone_value *n = hone_emit_shaped(g, hone_emit_dim(g, v, axis), NULL, 0);
    hone_value *r = HONE_EMIT(g, "", "Range", hone_graph_scalar(g, HONE_INT64, 0), n,
                              hone_graph_scalar(g, HONE_INT64, 1));
    return hone_emit_shaped(g, r, shape, rank);
}

static hone_value *both(hone_graph *g, hone_value *a, hone_value *b) {
    return a ? op2(g, "And", a, b) : b;
}

/* Has the bias fewer keys than K, those behind which are not seen? */
static bool is_short(const hone_value *bias, int64_t keys) {
    int last = bias ? bias->type.rank - 1 : -1;
    return last >= 0 && bias->type.dims[last] > 1 && bias->type.dims[last] != keys;
}

/* With zeros for them. */
static hone_value *padded(hone_graph *g, hone_value *bias, hone_value *k) {
    static const int64_t last = -1, none = 0;
    hone_value *more = op2(g, "Sub", hone_emit_dim(g, k, 2), hone_emit_dim(g, bias, bias->type.rank - 1));
    hone_value *pads = hone_emit_joined(g, hone_graph_ints(g, &none, 1), more, 0);
    return HONE_EMIT(g, "", "Pad", bias, pads, NULL, hone_graph_ints(g, &last, 1));
}

/* Which keys [B or 1, 1, T or 1, S] rows see; `few` (or NULL): a bias of fewer keys; NULL: all of them. */
static hone_value *visible(hone_graph *g, const hone_node *n, hone_value *q, hone_value *k, hone_value *few) {
    static const int64_t down[] = {-1, 1}, batch[] = {-1, 1, 1, 1}, along[] = {-1};
    const int64_t window = hone_core_near(hone_node_int(n, "window")),
                  ahead = hone_core_near(hone_node_int(n, "ahead"));
    const bool causal = hone_node_int(n, "causal") != 0;
    hone_value *first = hone_input(n, HONE_CORE_FIRST), *end = hone_input(n, HONE_CORE_END), *seen = NULL;
    if (!causal && window <= 0 && !first && !end && !few) return NULL;
    hone_value *keys = count_up(g, k, 2, along, 1);
    if (first) seen = both(g, seen, op2(g, "GreaterOrEqual", keys, hone_emit_shaped(g, first, batch, 4)));
    if (end) seen = both(g, seen, op2(g, "Less", keys, hone_emit_shaped(g, end, batch, 4)));
    if (few) seen = both(g, seen, op2(g, "Less", keys, hone_emit_dim(g, few, few->type.rank - 1)));
    if (!causal && window <= 0) return seen;
    hone_value *position = hone_input(n, HONE_CORE_POSITION), *row = count_up(g, q, 2, down, 2);
    if (position) row = op2(g, "Add", row, hone_emit_shaped(g, position, batch, 4));
    hone_value *most = ahead ? op2(g, "Add", row, hone_graph_scalar(g, HONE_INT64, (double)ahead)) : row;
    if (causal) seen = both(g, seen, op2(g, "LessOrEqual", keys, most));
    if (window > 0)
        seen = both(
            g, seen,
            op2(g, "Greater", keys, op2(g, "Sub", row, hone_graph_scalar(g, HONE_INT64, (double)window))));
    return seen;
}

/* Heads of K or V, each as often as heads of Q share it: [B, M, S, D] as [B, M, 1, S, D]. */
static hone_value *apart(hone_graph *g, hone_value *v) {
    static const int64_t axis = 2;
    return HONE_EMIT(g, "", "Unsqueeze", v, hone_graph_ints(g, &axis, 1));
}

/* P of scores S [B, N, T, S]; a sink [N] takes part in it as one more key. */
static hone_value *softmax(hone_graph *g, hone_value *s, hone_value *sink, hone_value *q, int64_t heads) {
    static const int64_t column[] = {1, -1, 1, 1}, one = 1;
    if (!sink) return op1(g, "Softmax", s);
    hone_value *shape =
        hone_emit_joined(g, hone_emit_joined(g, hone_emit_dim(g, q, 0), hone_graph_ints(g, &heads, 1), 0),
                         hone_emit_joined(g, hone_emit_dim(g, q, 2), hone_graph_ints(g, &one, 1), 0), 0);
    hone_value *scores = op2(g, "Expand", hone_emit_shaped(g, sink, column, 4), shape);
    return hone_emit_part(g, op1(g, "Softmax", hone_emit_joined(g, s, scores, 3)), 3, 0, -1);
}

/* Q is [B, M, G, T, D] beside them; what broadcasts to [B, N, T, S] is brought there by its shape. */
hone_status hone_core_expand(hone_graph *g, hone_node *n, hone_error *err) {
    const int64_t q_heads = hone_node_int(n, "q_heads"), kv_heads = hone_node_int(n, "kv_heads");
    const hone_dtype dtype = n->inputs[0]->type.dtype;
    int64_t dq[4], dk[4], dv[4];
    hone_core_heads(&n->inputs[0]->type, q_heads, dq);
    hone_core_heads(&n->inputs[1]->type, kv_heads, dk);
    hone_core_heads(&n->inputs[2]->type, kv_heads, dv);
    if (dq[1] < 0 || dk[1] < 0 || dk[3] < 0 || dv[3] < 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "heads of unknown size in training");
    hone_value *q = n->inputs[0], *k = n->inputs[1], *v = n->inputs[2], *bias = hone_input(n, HONE_CORE_BIAS);
    if (q_heads) q = hone_emit_heads(g, q, q_heads);
    if (kv_heads) k = hone_emit_heads(g, k, kv_heads);
    if (kv_heads) v = hone_emit_heads(g, v, kv_heads);
    const float given = hone_node_float(n, "scale"), cap = hone_node_float(n, "softcap");
    const double scale = given != 0 ? (double)given : 1 / sqrt((double)dk[3]);
    const int64_t turned[] = {0, 1, 3, 2}, grouped[] = {0, dk[1], dq[1] / dk[1], -1, dk[3]},
                  five[] = {0, 1, 2, 4, 3}, heads[] = {0, dq[1], -1, dv[3]}, wide[] = {0, 0, dq[1] * dv[3]},
                  back[] = {0, 2, 1, 3};
    const bool shared = dq[1] != dk[1];
    hone_value *s;
    if (shared)
        s = op2(g, "MatMul", hone_emit_shaped(g, q, grouped, 5), hone_emit_turned(g, apart(g, k), five, 5));
    else
        s = op2(g, "MatMul", q, hone_emit_turned(g, k, turned, 4));
    s = op2(g, "Mul", s, hone_graph_scalar(g, dtype, scale));
    if (shared) { /* back to [B, N, T, S] */
        hone_value *shape =
            hone_emit_joined(g, hone_graph_ints(g, (int64_t[]){0, dq[1]}, 2),
                             hone_emit_joined(g, hone_emit_dim(g, q, 2), hone_emit_dim(g, k, 2), 0), 0);
        s = op2(g, "Reshape", s, shape);
    }
    hone_value *stages[4] = {s};
    if (cap > 0)
        s = op2(g, "Mul", op1(g, "Tanh", op2(g, "Div", s, hone_graph_scalar(g, dtype, cap))),
                hone_graph_scalar(g, dtype, cap));
    stages[1] = s;
    hone_value *few = is_short(bias, dk[2]) ? bias : NULL;
    if (bias) s = op2(g, "Add", s, few ? padded(g, few, k) : bias);
    hone_value *seen = visible(g, n, q, k, few), *zero = hone_graph_scalar(g, dtype, 0);
    hone_value *qk = hone_output(g, n, 1);
    stages[2] = qk && seen ? HONE_EMIT(g, "", "Where", seen, s, hone_graph_scalar(g, dtype, -INFINITY)) : s;
    if (seen) s = HONE_EMIT(g, "", "Where", seen, s, hone_graph_scalar(g, dtype, -3e38));
    hone_value *p = softmax(g, s, hone_input(n, HONE_CORE_SINK), q, dq[1]);
    if (seen) p = HONE_EMIT(g, "", "Where", seen, p, zero); /* a row that sees nothing */
    stages[3] = p;
    hone_value *y;
    if (shared) {
        hone_value *rows = hone_emit_joined(g, hone_emit_dim(g, q, 2), hone_emit_dim(g, k, 2), 0);
        hone_value *shape =
            hone_emit_joined(g, hone_graph_ints(g, (int64_t[]){0, dk[1], dq[1] / dk[1]}, 3), rows, 0);
        y = hone_emit_shaped(g, op2(g, "MatMul", op2(g, "Reshape", p, shape), apart(g, v)), heads, 4);
    } else {
        y = op2(g, "MatMul", p, v);
    }
    if (q_heads) y = hone_emit_shaped(g, hone_emit_turned(g, y, back, 4), wide, 3);
    hone_graph_replace(g, n->outputs[0], y);
    if (qk) hone_graph_replace(g, qk, stages[hone_node_int(n, "qk_mode") & 3]);
    return hone_graph_check(g, err);
}
