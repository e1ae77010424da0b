/* Operators over any number of operands: Max, Min, Sum, Mean. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/gradient.h"
#include "ops/common/legacy.h"
#include "ops/engine/elementwise.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define NUMBERS (HONE_TYPES_NUMBER | HONE_TYPES_HALF)
#define VARIADIC(types, result)                                                                              \
    .inputs = HONE_SLOTS({"data", 'T', types, HONE_SLOT_VARIADIC}),                                          \
    .outputs = HONE_SLOTS({result, 'T', types, 0}), .infer = hone_infer_elementwise,                         \
    .axes = hone_axes_broadcast, .prepare = hone_prepare_elementwise, .overwrite = 0xffffffffu,              \
    .scaling = HONE_SCALING_INPUTS, .gradient_kind = HONE_GRADIENT_EXACT

/* A program has so many registers: of more operands the first are combined, then the result with further ones, in the
 * same order. */
enum { MANY = 16 };

static bool has_many(const hone_node *n) {
    return n->input_count > MANY;
}

static hone_value *in_groups(hone_graph *g, const hone_node *n, const char *op) {
    hone_value *r = n->inputs[0], *group[MANY];
    for (int i = 1, k; i < n->input_count; i += k) {
        group[0] = r;
        for (k = 0; k < MANY - 1 && i + k < n->input_count; k++) group[k + 1] = n->inputs[i + k];
        r = hone_graph_emit(g, "", op, group, k + 1);
    }
    return r;
}

static hone_status expand_many(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_graph_replace(g, n->outputs[0], in_groups(g, n, n->op->name));
    return HONE_OK;
}

static hone_status expand_mean(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *count = hone_graph_scalar(g, n->inputs[0]->type.dtype, n->input_count);
    hone_graph_replace(g, n->outputs[0], HONE_EMIT(g, "", "Div", in_groups(g, n, "Sum"), count));
    return HONE_OK;
}

typedef hone_reg combine_fn(hone_map *m, hone_reg a, hone_reg b);

static hone_reg combined(hone_map *m, const hone_node *n, combine_fn *combine) {
    hone_reg r = hone_map_in(m, 0);
    for (int i = 1; i < n->input_count; i++) r = combine(m, r, hone_map_in(m, i));
    return r;
}

/* --- Max, Min --- the cotangent goes to the operands that are the result, in equal shares */

static void map_max(hone_map *m, const hone_node *n) {
    hone_map_out(m, 0, combined(m, n, hone_map_max));
}

static void map_min(hone_map *m, const hone_node *n) {
    hone_map_out(m, 0, combined(m, n, hone_map_min));
}

/* 1 where operand i is the result, else 0. */
static hone_value *is_result(hone_gradient *ctx, int i) {
    hone_value *y = ctx->node->outputs[0];
    hone_value *mask = hone_gradient_emit(ctx, "Equal", ctx->node->inputs[i], y);
    hone_value *number = hone_gradient_emit1(ctx, "Cast", mask);
    if (number) hone_node_set_int(ctx->graph, number->producer, "to", y->type.dtype);
    return number;
}

static void gradient_extreme(hone_gradient *ctx) {
    hone_value *shares = NULL;
    for (int i = 0; i < ctx->node->input_count; i++) {
        hone_value *mine = is_result(ctx, i);
        if (ctx->wanted[i]) ctx->din[i] = mine;
        shares = shares ? hone_gradient_emit(ctx, "Add", shares, mine) : mine;
    }
    hone_value *share = hone_gradient_emit(ctx, "Div", ctx->dout[0], shares);
    for (int i = 0; i < ctx->node->input_count; i++)
        if (ctx->wanted[i]) hone_gradient_give(ctx, i, hone_gradient_emit(ctx, "Mul", share, ctx->din[i]));
}

const hone_op hone_op_max = {.name = "Max",
                             .since = 13,
                             .oldest = 1,
                             .older = hone_older_consuming,
                             VARIADIC(NUMBERS, "max"),
                             .map = map_max,
                             .expand = expand_many,
                             .expands = has_many,
                             .gradient = gradient_extreme,
                             .doc = "the largest of the operands; NaN if one is"};

const hone_op hone_op_min = {.name = "Min",
                             .since = 13,
                             .oldest = 1,
                             .older = hone_older_consuming,
                             VARIADIC(NUMBERS, "min"),
                             .map = map_min,
                             .expand = expand_many,
                             .expands = has_many,
                             .gradient = gradient_extreme,
                             .doc = "the smallest of the operands; NaN if one is"};

/* --- Sum, Mean --- */

static void map_sum(hone_map *m, const hone_node *n) {
    hone_map_out(m, 0, combined(m, n, hone_map_add));
}

static void map_mean(hone_map *m, const hone_node *n) {
    hone_map_out(m, 0, hone_map_div(m, combined(m, n, hone_map_add), hone_map_const(m, n->input_count)));
}

static void give_all(hone_gradient *ctx, hone_value *d) {
    for (int i = 0; i < ctx->node->input_count; i++) hone_gradient_give(ctx, i, d);
}

static void gradient_sum(hone_gradient *ctx) {
    give_all(ctx, ctx->dout[0]);
}

static void gradient_mean(hone_gradient *ctx) {
    give_all(ctx,
             hone_gradient_emit(ctx, "Div", ctx->dout[0], hone_gradient_scalar(ctx, ctx->node->input_count)));
}

const hone_op hone_op_sum = {.name = "Sum",
                             .since = 13,
                             .oldest = 1,
                             .older = hone_older_consuming,
                             VARIADIC(FLOATS, "sum"),
                             .map = map_sum,
                             .expand = expand_many,
                             .expands = has_many,
                             .gradient = gradient_sum,
                             .doc = "the sum of the operands"};

const hone_op hone_op_mean = {.name = "Mean",
                              .since = 13,
                              .oldest = 1,
                              .older = hone_older_consuming,
                              VARIADIC(FLOATS, "mean"),
                              .map = map_mean,
                              .expand = expand_mean,
                              .expands = has_many,
                              .gradient = gradient_mean,
                              .doc = "the mean of the operands"};
