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

#endif
