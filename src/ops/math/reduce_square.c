/* Reductions of squares: functions of ReduceSum. */
#include "ops/math/reduce.h"

#define SUMMED (HONE_TYPES_FLOAT | HONE_TYPES_INT)

/* `op` over the axes of node n, with its attributes. */
static hone_value *emit_reduce(hone_graph *g, const char *op, hone_value *data, const hone_node *n) {
    hone_value *in[] = {data, n->input_count > 1 ? n->inputs[1] : NULL};
    hone_value *y = hone_graph_emit(g, "", op, in, 2);
    if (y) hone_node_copy_attrs(g, y->producer, n);
    return y;
}

/* --- ReduceSumSquare --- */

static hone_status expand_sum_square(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *x = n->inputs[0];
    hone_graph_replace(g, n->outputs[0], emit_reduce(g, "ReduceSum", HONE_EMIT(g, "", "Mul", x, x), n));
    return HONE_OK;
}

const hone_op hone_op_reduce_sum_square = {.name = "ReduceSumSquare",
                                           .since = 18,
                                           HONE_REDUCE(SUMMED),
                                           .expand = expand_sum_square,
                                           .doc = "the sum of squares over axes"};

/* --- ReduceL2 --- */

static hone_value *cast_to(hone_graph *g, hone_value *v, hone_dtype dtype) {
    hone_value *y = HONE_EMIT(g, "", "Cast", v);
    if (y) hone_node_set_int(g, y->producer, "to", dtype);
    return y;
}

/* Integers are summed as such. */
static hone_status expand_l2(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_dtype dtype = n->inputs[0]->type.dtype;
    bool whole = HONE_TYPES_INT & HONE_TYPE(dtype);
    hone_value *sum = emit_reduce(g, "ReduceSumSquare", n->inputs[0], n);
    hone_value *root = HONE_EMIT(g, "", "Sqrt", whole ? cast_to(g, sum, HONE_FLOAT64) : sum);
    hone_graph_replace(g, n->outputs[0], whole ? cast_to(g, root, dtype) : root);
    return HONE_OK;
}

const hone_op hone_op_reduce_l2 = {.name = "ReduceL2",
                                   .since = 18,
                                   HONE_REDUCE(SUMMED),
                                   .expand = expand_l2,
                                   .doc = "the square root of the sum of squares over axes"};
