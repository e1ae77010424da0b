/* For tests: graphs inside of graphs. */
#ifndef HONE_TESTS_CONTROL_H
#define HONE_TESTS_CONTROL_H

#include "support/graphs.h"

/* Adds a control node of `outputs` outputs. */
static inline hone_node *control_node(hone_graph *g, const char *op, const char *name, int outputs,
                                      int input_count, hone_value *const *inputs) {
    return hone_graph_add_node(g, hone_op_find("", op), name, input_count, inputs, outputs);
}

static inline hone_value *control_input(hone_graph *g, const char *name, hone_dtype dtype) {
    hone_type type = hone_type_make(dtype, HONE_RANK_ANY, NULL);
    return hone_graph_add_input(g, name, &type);
}

/* Loops, conditions and scans three deep, each with values from all around:
 *
 *      x float32[rows, 3], flag bool, trips int64; constants w float32[3], unused float32[3]
 *      y, all = Loop(trips, , x), body (i, go, a):
 *          b = If(flag), then: Scan(a), body (row): Add(row, w)         else: Mul(Relu(a), w)
 *          gives go, b, b
 *
 * y is what comes out after all runs, all[i] what comes out of run i. */
static inline hone_graph *control_nested(void) {
    hone_graph *g = hone_graph_new("nested");
    int64_t rows = hone_graph_symbol(g, "rows");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, 2, (int64_t[]){rows, 3});
    hone_value *flag = graph_input(g, "flag", HONE_BOOL, 0, NULL);
    hone_value *trips = graph_input(g, "trips", HONE_INT64, 0, NULL);
    hone_value *w = graph_constant(g, "w", tensor_of(SHAPE(3), (const float[]){1, -2, 0.5f}));
    hone_node *loop = control_node(g, "Loop", "loop", 2, 3, (hone_value *[]){trips, NULL, x});

    hone_graph *body = hone_node_add_graph(g, loop, "body");
    control_input(body, "i", HONE_INT64);
    hone_value *go = control_input(body, "go", HONE_BOOL), *a = control_input(body, "a", HONE_FLOAT32);
    hone_node *cond = control_node(body, "If", "if", 1, 1, (hone_value *[]){hone_graph_capture(body, flag)});

    hone_graph *yes = hone_node_add_graph(body, cond, "then_branch");
    hone_node *scan = control_node(yes, "Scan", "scan", 1, 1, (hone_value *[]){hone_graph_capture(yes, a)});
    hone_node_set_int(yes, scan, "num_scan_inputs", 1);
    hone_graph *step = hone_node_add_graph(yes, scan, "body");
    hone_value *row = control_input(step, "row", HONE_FLOAT32);
    hone_graph_add_output(step, graph_op(step, "Add", row, hone_graph_capture(step, w)));
    hone_graph_add_output(yes, scan->outputs[0]);

    hone_graph *no = hone_node_add_graph(body, cond, "else_branch");
    hone_value *relu = graph_op(no, "Relu", hone_graph_capture(no, a));
    hone_graph_add_output(no, graph_op(no, "Mul", relu, hone_graph_capture(no, w)));

    hone_graph_add_output(body, go);
    hone_graph_add_output(body, cond->outputs[0]);
    hone_graph_add_output(body, cond->outputs[0]);
    hone_graph_rename(g, loop->outputs[0], "y");
    hone_graph_rename(g, loop->outputs[1], "all");
    hone_graph_add_output(g, loop->outputs[0]);
    hone_graph_add_output(g, loop->outputs[1]);
    hone_error err;
    check_ok(hone_graph_check(g, &err));
    return g;
}

/* Every use is known to the value, every captured input is one that a subgraph uses, at all depths. */
static inline void assert_sound_inside(const hone_graph *g) {
    size_t uses = 0, known = 0;
    for (const hone_node *n = g->first; n; n = n->next) {
        for (int i = 0; i < n->input_count; i++) {
            const hone_value *v = n->inputs[i];
            uses += v != NULL;
            if (v) assert_ptr_equal(g->values[v->id], v);
            if (i >= n->capture_first) assert_non_null(v);
        }
        assert_true(n->capture_first <= n->input_count);
        const hone_graph *sub;
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++) {
            assert_ptr_equal(sub->outer, g);
            assert_ptr_equal(sub->owner, n);
            assert_ptr_equal(sub->symbols, g->symbols);
            assert_int_equal(sub->capture_count, n->input_count - n->capture_first);
            for (size_t k = 0; k < sub->capture_count; k++)
                if (sub->captures[k]) assert_int_equal(sub->captures[k]->storage, HONE_STORAGE_CAPTURED);
            assert_sound_inside(sub);
        }
        if (!hone_node_subgraph(n, 0)) assert_int_equal(n->capture_first, n->input_count);
    }
    for (size_t i = 0; i < g->value_count; i++) {
        const hone_value *v = g->values[i];
        if (!v) continue;
        known += v->use_count;
        for (size_t u = 0; u < v->use_count; u++)
            assert_ptr_equal(v->uses[u].node->inputs[v->uses[u].index], v);
    }
    assert_int_equal(uses, known);
}

#endif
