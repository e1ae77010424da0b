#include "ops/common/reshape.h"

#include "graph/infer.h"

hone_value *hone_emit_reshape(hone_graph *g, hone_value *v, const hone_type *type, hone_value *like) {
    int64_t shape[HONE_MAX_RANK] = {0};
    int unknown = 0;
    bool zero = false;
    for (int i = 0; i < type->rank; i++) {
        shape[i] = type->dims[i] < 0 ? -1 : type->dims[i];
        unknown += shape[i] < 0;
        zero |= shape[i] == 0;
    }
    if (type->rank < 0 || unknown > 1 || (zero && unknown))
        return like ? HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "ReshapeLike", v, like) : NULL;
    hone_value *y = HONE_EMIT(g, "", "Reshape", v, hone_graph_ints(g, shape, type->rank));
    if (y && zero) hone_node_set_int(g, y->producer, "allowzero", 1);
    return y;
}

/* What inference says of a graph that is not lifted yet, from the outermost on; NULL: out of memory. */
static hone_type *lift_types(const hone_graph *g) {
    hone_type *types = hone_calloc(g->value_count + 1, sizeof *types);
    hone_type *outer = types && g->outer ? lift_types(g->outer) : NULL;
    if (!types || (g->outer && !outer)) {
        hone_free(types);
        return NULL;
    }
    for (size_t i = 0; i < g->value_count; i++) types[i] = *hone_type_any(HONE_UNDEFINED);
    for (size_t i = 0; i < g->input_count; i++) types[g->inputs[i]->id] = g->inputs[i]->type;
    for (size_t k = 0; k < g->capture_count; k++)
        if (g->captures[k])
            types[g->captures[k]->id] = outer[g->owner->inputs[g->owner->capture_first + (int)k]->id];
    hone_free(outer);
    hone_graph_infer_types(g, types, NULL,
                           NULL); /* stops at a node that is not lifted yet, all of which come later */
    return types;
}

bool hone_lift_type(const hone_graph *g, const hone_value *v, hone_type *type) {
    hone_type *types = lift_types(g);
    if (types) *type = types[v->id];
    hone_free(types);
    return types != NULL;
}

void hone_lift_replace(hone_graph *g, hone_node *n, hone_value *v) {
    if (!v) return;
    hone_graph_replace(g, n->outputs[0], v);
    hone_graph_remove_node(g, n);
}

hone_status hone_lift_flat(hone_graph *g, hone_node *n, hone_error *err) {
    hone_type x;
    if (!hone_lift_type(g, n->inputs[0], &x)) return hone_fail_memory(err);
    const hone_attr *given = hone_node_attr(n, "axis");
    int64_t axis = given ? given->i : 1;
    bool is_last = axis == -1 || (x.rank > 0 && axis == x.rank - 1);
    if (x.rank >= 0 && (axis < -x.rank || axis > x.rank))
        return hone_fail_node(err, HONE_CORRUPT, n->name, hone_node_op_name(n),
                              "axis %lld is outside of a tensor of rank %d", (long long)axis, x.rank);
    g->insert_before = n;
    hone_value *v = n->inputs[0];
    if (!is_last) {
        v = HONE_EMIT(g, "", "Flatten", v);
        if (v) hone_node_set_int(g, v->producer, "axis", axis);
    }
    hone_node *newest = hone_graph_add_node(g, n->op, n->name, 1, &v, 1); /* axis is -1 by default */
    v = newest ? newest->outputs[0] : NULL;
    if (v && !is_last) {
        v = HONE_EMIT(g, "", "Reshape", v, HONE_EMIT(g, "", "Shape", n->inputs[0]));
        if (v) hone_node_set_int(g, v->producer, "allowzero", 1);
    }
    g->insert_before = NULL;
    if (v) hone_lift_replace(g, n, v);
    return hone_graph_check(g, err);
}
