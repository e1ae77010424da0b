/* Tables of which few rows are gathered: means of these without a copy, and steps of their optimizer for them alone. */
#include "graph/map.h"
#include "ops/common/rows.h"
#include "ops/ops.h"
#include "ops/rewrites/rewrites.h"

#define TABLES 3

static bool is_private(const hone_graph *g, const hone_value *v) {
    return v && v->use_count == 1 && !hone_graph_is_output(g, v);
}

/* --- gather-mean --- */

/* Is it the mean over the second of three axes? */
static bool is_mean_of_bags(const hone_node *n) {
    const hone_tensor *axes = n->input_count > 1 ? hone_value_constant(n->inputs[1]) : NULL;
    if (n->op != &hone_op_reduce_mean || !axes || axes->count != 1 || n->inputs[0]->type.rank != 3)
        return false;
    const int64_t axis = hone_tensor_int(axes, 0);
    return axis == 1 || axis == -2;
}

static bool is_bag(const hone_graph *g, const hone_node *n) {
    if (n->op != &hone_op_gather || !is_private(g, n->outputs[0]) || n->inputs[0]->type.dtype != HONE_FLOAT32)
        return false;
    const hone_type *index = &n->inputs[1]->type;
    return n->inputs[0]->type.rank == 2 && index->rank == 2 && index->dims[1] > 0 &&
           (hone_node_int(n, "axis") == 0 || hone_node_int(n, "axis") == -2);
}

hone_status hone_rewrite_gather_mean(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        hone_node *gather = n->input_count && n->inputs[0] ? n->inputs[0]->producer : NULL;
        if (!is_mean_of_bags(n) || !gather || !is_bag(g, gather)) continue;
        g->insert_before = n;
        hone_value *y = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "GatherMean", gather->inputs[0], gather->inputs[1]);
        g->insert_before = NULL;
        if (!y) break;
        hone_node_set_int(g, y->producer, "keepdims", hone_node_int(n, "keepdims"));
        y->type = n->outputs[0]->type;
        hone_graph_replace(g, n->outputs[0], y);
        hone_graph_remove_node(g, n);
        hone_graph_remove_node(g, gather);
        ++*changes;
    }
    return hone_graph_check(g, err);
}

/* --- lazy-rows --- */

/* An optimizer that may leave rows without a gradient as they are: its inputs are W, the states, G, numbers. */
static bool is_lazy(const hone_node *n) {
    return n->op->map && hone_attr_find(n->op->attrs, "lazy") && hone_node_int(n, "lazy") &&
           n->output_count <= TABLES && n->inputs[0]->type.dtype == HONE_FLOAT32 &&
           n->inputs[0]->type.rank == 2 &&
           n->input_count - n->output_count - 1 <= HONE_ROWS_INPUTS - HONE_ROWS_NUMBERS;
}

/* What flows to all of a bag alike: [N, 1, D] of which dY [N, T, D] are shares. */
static hone_value *shared(const hone_graph *g, hone_value *dy) {
    const hone_node *n = dy->producer;
    if (!n || n->op != &hone_op_broadcast_to || !hone_node_int(n, "mean") || !is_private(g, dy)) return dy;
    const hone_type *from = &n->inputs[0]->type;
    return from->rank == 3 && dy->type.rank == 3 && from->dims[1] == 1 && from->dims[0] == dy->type.dims[0] &&
                   from->dims[2] == dy->type.dims[2] && dy->type.dims[1] > 1
               ? n->inputs[0]
               : dy;
}

static bool convert(hone_graph *g, hone_node *n) {
    const int tables = n->output_count, numbers = n->input_count - tables - 1;
    hone_node *gather = n->inputs[tables]->producer;
    if (!gather || gather->op != &hone_op_gather_grad || !is_private(g, n->inputs[tables]) ||
        hone_node_int(gather, "axis") != 0)
        return false;
    hone_value *in[HONE_ROWS_INPUTS] = {NULL};
    hone_reg operands[HONE_ROWS_INPUTS], results[TABLES];
    hone_map *m = hone_map_new(g->arena);
    if (!m) return false;
    for (int i = 0; i < n->input_count; i++) {
        const int to = i < tables ? i : i == tables ? HONE_ROWS_DY : HONE_ROWS_NUMBERS + i - tables - 1;
        if (i != tables) in[to] = n->inputs[i];
        operands[i] = hone_map_input(m, to, n->inputs[i]->type.dtype);
    }
    in[HONE_ROWS_DY] = shared(g, gather->inputs[0]);
    in[HONE_ROWS_INDICES] = gather->inputs[1];
    hone_map_emit(m, n, operands, results);
    for (int o = 0; o < tables; o++) hone_map_add_output(m, results[o]);
    g->insert_before = n;
    hone_node *step =
        hone_graph_add_node(g, &hone_op_rows_step, n->name, HONE_ROWS_NUMBERS + numbers, in, tables);
    g->insert_before = NULL;
    if (!step || !hone_map_ok(m)) return false;
    step->map = m;
    step->map_input = step->input_count; /* all are the operator's own */
    for (int o = 0; o < tables; o++) {
        step->outputs[o]->type = n->outputs[o]->type;
        hone_graph_replace(g, n->outputs[o], step->outputs[o]);
    }
    hone_graph_remove_node(g, n);
    hone_graph_remove_node(g, gather);
    return true;
}

hone_status hone_rewrite_lazy_rows(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (is_lazy(n)) *changes += convert(g, n);
    }
    hone_graph_prune(g);
    return hone_graph_check(g, err);
}
