#include "train/depth.h"

#include "base/error.h"
#include "base/memory.h"
#include "graph/infer.h"
#include "graph/op.h"

#include <string.h>

/* A walk from a branch back to where it forks off. */
typedef struct walk {
    bool *seen;       /* nodes, by marks */
    int first;        /* the mark of the node that makes the fork; -1: none */
    bool met, weighs; /* the fork; a node that reads a weight */
} walk;

static void go_back(walk *w, const hone_value *v, const hone_value *fork) {
    hone_node *n = v->producer;
    if (v == fork) w->met = true;
    if (v == fork || !n || n->mark <= w->first || w->seen[n->mark]) return;
    w->seen[n->mark] = true;
    for (int i = 0; i < n->input_count; i++) {
        const hone_slot *slot = n->inputs[i] ? hone_op_input(n->op, i) : NULL;
        if (slot && (slot->flags & HONE_SLOT_WEIGHT)) w->weighs = true;
        if (n->inputs[i]) go_back(w, n->inputs[i], fork);
    }
}

static bool is_branch(const hone_value *v, const hone_value *fork, bool *seen, int count) {
    memset(seen, 0, (size_t)count * sizeof *seen);
    walk w = {.seen = seen, .first = fork->producer ? fork->producer->mark : -1};
    go_back(&w, v, fork);
    return w.met && w.weighs && v != fork;
}

/* Which of an addition's inputs is a branch of the other one; -1: it is no residual addition. */
static int branch_of(const hone_graph *g, const hone_node *n, bool *seen, int count) {
    if (n->op != hone_op_find("", "Add") || n->input_count != 2) return -1;
    const hone_type *x = &n->inputs[0]->type, *y = &n->inputs[1]->type, *batch = &g->inputs[0]->type;
    if (x->rank < 2 || x->rank != y->rank || batch->rank < 1 || x->dims[0] != batch->dims[0]) return -1;
    for (int a = 0; a < x->rank; a++)
        if (x->dims[a] != y->dims[a]) return -1;
    for (int i = 0; i < 2; i++)
        if (is_branch(n->inputs[i], n->inputs[1 - i], seen, count)) return i;
    return -1;
}

/* [batch, 1, …]: 0, or 1 / (1 - ratio) */
static hone_value *draw(hone_graph *g, int rank, double ratio) {
    int64_t ones[HONE_MAX_RANK];
    for (int a = 0; a < rank; a++) ones[a] = 1;
    hone_value *batch = HONE_EMIT(g, "", "Shape", g->inputs[0]);
    if (batch) hone_node_set_int(g, batch->producer, "end", 1);
    hone_value *shape = HONE_EMIT(g, "", "Concat", batch, hone_graph_ints(g, ones, rank - 1));
    if (shape) hone_node_set_int(g, shape->producer, "axis", 0);
    hone_value *all = HONE_EMIT(g, "", "Expand", hone_graph_scalar(g, HONE_FLOAT32, 1), shape);
    return HONE_EMIT(g, "", "Dropout", all, hone_graph_scalar(g, HONE_FLOAT32, ratio),
                     hone_graph_scalar(g, HONE_BOOL, 1));
}

hone_status hone_drop_branches(hone_graph *g, double most, hone_error *err) {
    int count = 0, found = 0, at = 0;
    if (most <= 0) return HONE_OK;
    for (hone_node *n = g->first; n; n = n->next) n->mark = count++;
    bool *seen = hone_alloc((size_t)count + 1);
    int *branches = hone_alloc(((size_t)count + 1) * sizeof *branches);
    hone_status status = seen && branches ? HONE_OK : hone_fail_memory(err);
    for (const hone_node *n = g->first; n && status == HONE_OK; n = n->next)
        found += (branches[n->mark] = branch_of(g, n, seen, count)) >= 0;
    for (hone_node *n = g->first; n && status == HONE_OK; n = n->next) {
        int i = branches[n->mark];
        if (i < 0) continue;
        g->insert_before = n; /* the loop does not come by what stands before it */
        hone_value *drawn = draw(g, n->inputs[i]->type.rank, most * ++at / found);
        hone_node_set_input(g, n, i, HONE_EMIT(g, "", "Mul", n->inputs[i], drawn));
        g->insert_before = NULL;
    }
    hone_free(seen);
    hone_free(branches);
    HONE_TRY(status);
    if (found == 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "the model has no residual branches that could be left out");
    HONE_TRY(hone_graph_check(g, err));
    return hone_graph_infer(g, err);
}
