/* Short forms for gradient rules. */
#ifndef HONE_OPS_COMMON_GRADIENT_H
#define HONE_OPS_COMMON_GRADIENT_H

#include "graph/autodiff.h"

/* An ONNX operator of two operands, and of one. */
static inline hone_value *hone_gradient_emit(hone_gradient *ctx, const char *op, hone_value *a,
                                             hone_value *b) {
    return HONE_EMIT(ctx->graph, "", op, a, b);
}
static inline hone_value *hone_gradient_emit1(hone_gradient *ctx, const char *op, hone_value *a) {
    return HONE_EMIT(ctx->graph, "", op, a);
}
/* x as a constant of the output's dtype. */
static inline hone_value *hone_gradient_scalar(hone_gradient *ctx, double x) {
    return hone_graph_scalar(ctx->graph, ctx->node->outputs[0]->type.dtype, x);
}
/* `d`, of the output's shape, is the cotangent of that input before it was broadcast. */
static inline void hone_gradient_give(hone_gradient *ctx, int input, hone_value *d) {
    if (ctx->wanted[input])
        ctx->din[input] = hone_gradient_sum_to(ctx, d, ctx->node->outputs[0], ctx->node->inputs[input]);
}
/* 1 where true, in the output's dtype. */
static inline hone_value *hone_gradient_number(hone_gradient *ctx, hone_value *truth) {
    hone_value *y = hone_gradient_emit1(ctx, "Cast", truth);
    if (y) hone_node_set_int(ctx->graph, y->producer, "to", ctx->node->outputs[0]->type.dtype);
    return y;
}
/* `dy` where input 0 is its extreme `y`, in equal shares where several are; both broadcast to input 0. */
static inline hone_value *hone_gradient_to_extremes(hone_gradient *ctx, hone_value *y, hone_value *dy) {
    hone_value *mine = hone_gradient_number(ctx, hone_gradient_emit(ctx, "Equal", ctx->node->inputs[0], y));
    hone_value *count = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "SumTo", mine, dy);
    return hone_gradient_emit(ctx, "Mul", mine, hone_gradient_emit(ctx, "Div", dy, count));
}

#endif
