#include "ops/common/legacy.h"

#include "ops/common/reshape.h"

void hone_drop_attributes(hone_node *n) {
    for (int i = 0; n && i < n->attr_count; i++)
        if (!hone_attr_find(n->op->attrs, n->attrs[i].name)) n->attrs[i--] = n->attrs[--n->attr_count];
}

hone_status hone_lift_attributes(hone_graph *g, hone_node *n, hone_error *err) {
    (void)g;
    (void)err;
    hone_drop_attributes(n);
    return HONE_OK;
}

/* The node once more with those of its attributes that today's form has. */
static hone_node *newest(hone_graph *g, const hone_node *n) {
    hone_node *copy = hone_graph_add_node(g, n->op, n->name, n->input_count, n->inputs, n->output_count);
    hone_node_copy_attrs(g, copy, n);
    hone_drop_attributes(copy);
    return copy;
}

hone_status hone_lift_consuming(hone_graph *g, hone_node *n, hone_error *err) {
    return hone_lift_attributes(g, n, err);
}

/* B with an axis of size 1 for each of A's axes behind those that it has; itself if there are none. */
static hone_status align(hone_graph *g, const hone_node *n, int64_t axis, hone_value **b, hone_error *err) {
    hone_type a, type;
    if (!hone_lift_type(g, n->inputs[0], &a) || !hone_lift_type(g, *b, &type)) return hone_fail_memory(err);
    if (a.rank < 0 || type.rank < 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "before opset 7, of a tensor whose rank is not known");
    if (axis < 0) axis += a.rank;
    if (axis < 0 || axis + type.rank > a.rank)
        return hone_fail_node(err, HONE_CORRUPT, n->name, hone_node_op_name(n),
                              "axis %lld is outside of a tensor of rank %d", (long long)axis, a.rank);
    if (axis + type.rank == a.rank) return HONE_OK;
    while (axis + type.rank < a.rank) type.dims[type.rank++] = 1;
    *b = hone_emit_reshape(g, *b, &type, NULL);
    HONE_TRY(hone_graph_check(g, err));
    if (*b) return HONE_OK;
    return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                          "before opset 7, of a tensor with several unknown dimensions");
}

static hone_status lift_broadcasting(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_attr *axis = hone_node_attr(n, "axis"), *broadcast = hone_node_attr(n, "broadcast");
    hone_value *b = n->inputs[1];
    g->insert_before = n;
    hone_status status = HONE_OK;
    if (axis && broadcast && broadcast->i) status = align(g, n, axis->i, &b, err);
    hone_node *copy = status == HONE_OK ? newest(g, n) : NULL;
    g->insert_before = NULL;
    HONE_TRY(status);
    if (copy) {
        hone_node_set_input(g, copy, 1, b);
        hone_lift_replace(g, n, copy->outputs[0]);
    }
    return hone_graph_check(g, err);
}

hone_status hone_lift_nothing(hone_graph *g, hone_node *n, hone_error *err) {
    (void)g, (void)n, (void)err;
    return HONE_OK;
}

static const hone_attr_def none[] = {{NULL}};
static const hone_attr_def consuming[] = {HONE_CONSUMED_INPUTS, {NULL}};
static const hone_attr_def broadcasting[] = {
    {"axis", HONE_ATTR_INT}, {"broadcast", HONE_ATTR_INT}, HONE_CONSUMED_INPUTS, {NULL}};

const hone_op_version hone_older_consuming[] = {{6, none, NULL}, {1, consuming, hone_lift_consuming}, {0}};
const hone_op_version hone_older_broadcasting[] = {
    {7, none, NULL}, {1, broadcasting, lift_broadcasting}, {0}};
