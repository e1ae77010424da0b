/* Reductions that are functions of others. Integers are summed as such, and their roots and logarithms taken in double. */
#include "ops/common/gradient.h"
#include "ops/math/reduce.h"

/* `op` over the axes of node n, with its attributes. */
static hone_value *emit_reduce(hone_graph *g, const char *op, hone_value *data, const hone_node *n) {
    hone_value *in[] = {data, n->input_count > 1 ? n->inputs[1] : NULL};
    hone_value *y = hone_graph_emit(g, "", op, in, 2);
    if (y) hone_node_copy_attrs(g, y->producer, n);
    return y;
}

static hone_value *cast_to(hone_graph *g, hone_value *v, hone_dtype dtype) {
    hone_value *y = HONE_EMIT(g, "", "Cast", v);
    if (y) hone_node_set_int(g, y->producer, "to", dtype);
    return y;
}

static bool is_real(const hone_node *n) {
    return HONE_TYPES_FLOAT & HONE_TYPE(n->inputs[0]->type.dtype);
}

/* fn(v), v being of the node's dtype. */
static hone_value *in_reals(hone_graph *g, const char *fn, hone_value *v, const hone_node *n) {
    if (is_real(n)) return HONE_EMIT(g, "", fn, v);
    return cast_to(g, HONE_EMIT(g, "", fn, cast_to(g, v, HONE_FLOAT64)), n->inputs[0]->type.dtype);
}

#define FUNCTION(label, fn, meaning, ...)                                                                    \
    {                                                                                                        \
        .name = label, .since = 18, .older = hone_reduce_older, HONE_REDUCE(HONE_REDUCE_NUMBERS),            \
        .expand = fn, .doc = meaning, __VA_ARGS__                                                            \
    }

/* --- ReduceSumSquare, ReduceL2 --- */

static hone_status expand_sum_square(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *x = n->inputs[0];
    hone_graph_replace(g, n->outputs[0], emit_reduce(g, "ReduceSum", HONE_EMIT(g, "", "Mul", x, x), n));
    return HONE_OK;
}

const hone_op hone_op_reduce_sum_square =
    FUNCTION("ReduceSumSquare", expand_sum_square, "the sum of squares over axes");

static hone_status expand_l2(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *sum = emit_reduce(g, "ReduceSumSquare", n->inputs[0], n);
    hone_graph_replace(g, n->outputs[0], in_reals(g, "Sqrt", sum, n));
    return HONE_OK;
}

const hone_op hone_op_reduce_l2 =
    FUNCTION("ReduceL2", expand_l2, "the square root of the sum of squares over axes");

/* --- ReduceL1 --- */

static hone_status expand_l1(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *sum = emit_reduce(g, "ReduceSum", HONE_EMIT(g, "", "Abs", n->inputs[0]), n);
    hone_graph_replace(g, n->outputs[0], sum);
    return HONE_OK;
}

const hone_op hone_op_reduce_l1 = FUNCTION("ReduceL1", expand_l1, "the sum of absolute values over axes",
                                           .domain_hint = {.kink_at_zero = true});

/* --- ReduceLogSum, ReduceLogSumExp --- */

static hone_status expand_log_sum(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *sum = emit_reduce(g, "ReduceSum", n->inputs[0], n);
    hone_graph_replace(g, n->outputs[0], in_reals(g, "Log", sum, n));
    return HONE_OK;
}

const hone_op hone_op_reduce_log_sum =
    FUNCTION("ReduceLogSum", expand_log_sum, "the logarithm of the sum over axes",
             .domain_hint = {.lo = 0.5f, .hi = 2});

/* y = m + ln of the sum of e^(x - m), m being the largest x, or 0 if that is infinite. */
static hone_status expand_log_sum_exp(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_dtype dtype = n->inputs[0]->type.dtype, real = is_real(n) ? dtype : HONE_FLOAT64;
    hone_value *x = is_real(n) ? n->inputs[0] : cast_to(g, n->inputs[0], real);
    hone_value *m = emit_reduce(g, "ReduceMax", x, n);
    if (m) hone_node_set_int(g, m->producer, "keepdims", 1);
    m = HONE_EMIT(g, "", "Where", HONE_EMIT(g, "", "IsInf", m), hone_graph_scalar(g, real, 0), m);
    hone_value *e = HONE_EMIT(g, "", "Exp", HONE_EMIT(g, "", "Sub", x, m));
    hone_value *y = HONE_EMIT(g, "", "Log", emit_reduce(g, "ReduceSum", e, n));
    if (!hone_node_int(n, "keepdims")) m = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "ReshapeLike", m, y);
    y = HONE_EMIT(g, "", "Add", y, m);
    hone_graph_replace(g, n->outputs[0], is_real(n) ? y : cast_to(g, y, dtype));
    return HONE_OK;
}

/* dX = dY e^(X - Y) */
static void gradient_log_sum_exp(hone_gradient *ctx) {
    hone_value *y = hone_reduce_spread(ctx, ctx->node->outputs[0]),
               *dy = hone_reduce_spread(ctx, ctx->dout[0]);
    hone_value *e = hone_gradient_emit1(ctx, "Exp", hone_gradient_emit(ctx, "Sub", ctx->node->inputs[0], y));
    ctx->din[0] = hone_gradient_emit(ctx, "Mul", dy, e);
}

const hone_op hone_op_reduce_log_sum_exp =
    FUNCTION("ReduceLogSumExp", expand_log_sum_exp, "the logarithm of the sum of exponentials over axes",
             .gradient_kind = HONE_GRADIENT_EXACT, .gradient = gradient_log_sum_exp);
