#include "graph/op.h"

#include <string.h>

const char *hone_op_domain(const hone_op *op) {
    return op->domain ? op->domain : "";
}

bool hone_op_is_private(const hone_op *op) {
    return strcmp(hone_op_domain(op), HONE_PRIVATE_DOMAIN) == 0;
}

bool hone_op_is_control(const hone_op *op) {
    return op->role == HONE_ROLE_BRANCH || op->role == HONE_ROLE_LOOP || op->role == HONE_ROLE_SCAN ||
           op->role == HONE_ROLE_ITEMS;
}

bool hone_view_whole(const hone_infer *ctx, int output, hone_view *v) {
    (void)ctx;
    (void)output;
    *v = (hone_view){0, 0};
    return true;
}

bool hone_node_is_elementwise(const hone_node *n) {
    return n->op->map && (!n->op->has_map || n->op->has_map(n));
}

void hone_axes_free(hone_axes *a) {
    hone_free(a->links);
    *a = (hone_axes){NULL};
}

static const hone_slot *slot(const hone_slot *slots, int i) {
    for (int k = 0; slots && slots[k].name; k++)
        if (k == i || (slots[k].flags & HONE_SLOT_VARIADIC)) return &slots[k];
    return NULL;
}

const hone_slot *hone_op_input(const hone_op *op, int i) {
    return slot(op->inputs, i);
}
const hone_slot *hone_op_output(const hone_op *op, int i) {
    return slot(op->outputs, i);
}

const hone_attr_def *hone_attr_find(const hone_attr_def *table, const char *name) {
    for (; table && table->name; table++)
        if (strcmp(table->name, name) == 0) return table;
    return NULL;
}
