/* Shapes that fix the size of a batch where the batch is free: Reshape to [1, 8, 64] of what is [batch, 512]. It only runs
 * with a batch of 1 so, and with any where the shape takes that axis over. */
#include "graph/infer.h"
#include "ops/ops.h"
#include "ops/rewrites/rewrites.h"

/* Elements of a sample; -1: not known. */
static int64_t sample_size(const hone_type *t) {
    int64_t size = 1;
    for (int i = 1; i < t->rank; i++) {
        if (t->dims[i] <= 0) return -1;
        size *= t->dims[i];
    }
    return size;
}

/* Does the shape cut a sample into axes of its own, the batch before them? */
static bool fixes_batch(const hone_node *n) {
    const hone_tensor *shape = n->input_count > 1 ? hone_value_constant(n->inputs[1]) : NULL;
    const hone_type *x = n->inputs[0] ? &n->inputs[0]->type : NULL;
    if (n->op != &hone_op_reshape || !x || !shape || shape->rank != 1 || shape->count < 1 || x->rank < 1 ||
        x->dims[0] > HONE_DIM_ANY - 1 || hone_node_int(n, "allowzero") != 0)
        return false;
    const int64_t *to = shape->data;
    int64_t size = sample_size(x), product = 1, open = 0;
    for (int64_t i = 1; i < shape->count; i++) {
        if (to[i] == 0) return false;
        if (to[i] < 0)
            open++;
        else
            product *= to[i];
    }
    return to[0] > 0 && size > 0 && (open ? size % product == 0 : size == product);
}

static hone_status follow_batch(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_tensor *shape = n->inputs[1]->data;
    int64_t *to = hone_arena_array(g->arena, (size_t)shape->count, sizeof *to);
    if (!to) return hone_fail_memory(err);
    for (int64_t i = 0; i < shape->count; i++) to[i] = i ? ((const int64_t *)shape->data)[i] : 0;
    hone_node_set_input(g, n, 1, hone_graph_ints(g, to, shape->count));
    HONE_TRY(hone_graph_check(g, err));
    return hone_graph_infer(g, err);
}

hone_status hone_rewrite_free_batch(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first; n; n = n->next) {
        if (!fixes_batch(n)) continue;
        HONE_TRY(follow_batch(g, n, err));
        ++*changes;
    }
    return HONE_OK;
}
