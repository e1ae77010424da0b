/* TreeScores: what an ensemble of trees (kernels/trees.h), which lie in constants, gives to rows of features. */
#include "ops/ml/trees.h"

#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/ml/ml.h"

#include <string.h>

#define FLOATS HONE_TYPES_FLOAT

enum { X, NODES, VOTES, ROOTS, MEMBERS };

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[X];
    if (x->rank >= 0 && x->rank != 2) return hone_infer_fail(ctx, err, "X must be a list of rows");
    if (x->rank == 2 && x->dims[1] >= 0 && x->dims[1] < hone_node_int(ctx->node, "features"))
        return hone_infer_fail(ctx, err, "trees ask for %lld features, X has %lld",
                               (long long)hone_node_int(ctx->node, "features"), (long long)x->dims[1]);
    ctx->out[0].rank = 2;
    ctx->out[0].dims[0] = x->rank == 2 ? x->dims[0] : HONE_DIM_ANY;
    ctx->out[0].dims[1] = hone_node_int(ctx->node, "targets");
    return HONE_OK;
}

typedef struct params {
    hone_trees trees; /* pointers come with the run */
    hone_dtype dtype;
    int64_t features;
    hone_cut rows;
} params;

typedef struct job {
    const params *p;
    hone_trees trees;
    const hone_step *step;
    const hone_frame *frame;
    const char *x;
    char *y;
} job;

static void run_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    double *scores = hone_step_worker_scratch(j->step, j->frame, worker);
    bool *voted = (bool *)(scores + p->trees.targets);
    size_t size = hone_dtype_size(p->dtype), row = (size_t)p->features * size,
           result = (size_t)p->trees.targets * size;
    for (int64_t i = begin; i < end; i++) {
        const void *x = j->x + (size_t)i * row;
        if (p->dtype == HONE_FLOAT64)
            hone_trees_run_f64(&j->trees, x, scores, voted);
        else
            hone_trees_run_f32(&j->trees, x, scores, voted);
        hone_cast(HONE_FLOAT64, p->dtype, scores, j->y + (size_t)i * result, p->trees.targets);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, p->trees, step, frame, hone_step_in(step, frame, X), hone_step_out(step, frame, 0)};
    j.trees.nodes = hone_step_in(step, frame, NODES);
    j.trees.votes = hone_step_in(step, frame, VOTES);
    j.trees.roots = hone_step_in(step, frame, ROOTS);
    j.trees.members = hone_step_in(step, frame, MEMBERS);
    hone_cut_run(&p->rows, frame, run_rows, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[X];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    int64_t trees = p->in[ROOTS]->dims[0], targets = hone_node_int(p->node, "targets");
    *q = (params){
        .trees = {.count = trees, .targets = targets, .sum = (hone_tree_sum)hone_node_int(p->node, "sum")},
        .dtype = x->dtype,
        .features = x->dims[1],
        .rows = hone_cut_make(x->dims[0], 30 * (double)trees + 3 * (double)targets, 1)};
    p->worker_scratch = (size_t)targets * (sizeof(double) + sizeof(bool));
    p->params = q;
    p->run = run;
    p->kernel = "trees";
    return HONE_OK;
}

const hone_op hone_op_tree_scores = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "TreeScores",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"nodes", 0, HONE_TYPE(HONE_UINT8), 0},
                         {"votes", 0, HONE_TYPE(HONE_UINT8), 0}, {"roots", 0, HONE_TYPE(HONE_INT64), 0},
                         {"members", 0, HONE_TYPE(HONE_FLOAT64), 0}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS({"features", HONE_ATTR_INT}, {"sum", HONE_ATTR_INT}, {"targets", HONE_ATTR_INT}),
    .infer = infer,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_ZERO,
    .doc = "the votes of the leaves that rows of features lead to"};

/* --- building --- */

static hone_status refuse(const hone_node *n, hone_error *err, const char *what) {
    return hone_fail_node(err, HONE_INVALID_ARGUMENT, n->name, n->op->name, "%s", what);
}

enum { NEW, OPEN, DONE };

/* Each node that a root leads to, once; a child that is still open closes a cycle. The stack has nodes, each with how many of
 * its children have been looked at. */
static hone_status check_tree(const hone_tree_builder *b, int64_t root, uint8_t *state, int64_t *stack,
                              hone_error *err) {
    int64_t top = 0;
    if (state[root] == NEW) stack[top++] = root << 2;
    while (top > 0) {
        int64_t at = stack[top - 1] >> 2, child = stack[top - 1] & 3;
        const hone_tree_node *node = &b->nodes[at];
        state[at] = OPEN;
        if (node->mode == HONE_TREE_LEAF || child == 2) {
            state[at] = DONE;
            top--;
            continue;
        }
        stack[top - 1]++;
        int64_t next = child ? node->no : node->yes;
        if (state[next] == OPEN) return refuse(b->node, err, "the nodes of a tree form a cycle");
        if (state[next] == NEW) stack[top++] = next << 2;
    }
    return HONE_OK;
}

static hone_status check(const hone_tree_builder *b, int64_t *features, hone_error *err) {
    *features = 0;
    for (int64_t i = 0; i < b->node_count; i++) {
        const hone_tree_node *n = &b->nodes[i];
        if (n->mode == HONE_TREE_LEAF) continue;
        if (n->feature < 0 || n->yes < 0 || n->yes >= b->node_count || n->no < 0 || n->no >= b->node_count)
            return refuse(b->node, err, "a node of a tree has no such child or feature");
        if (n->feature >= *features) *features = n->feature + 1;
    }
    for (int64_t i = 0; i < b->vote_count; i++)
        if (b->votes[i].target < 0 || b->votes[i].target >= b->targets)
            return refuse(b->node, err, "a leaf of a tree votes for no such target");
    for (int64_t i = 0; i < b->root_count; i++)
        if (b->roots[i] < 0 || b->roots[i] >= b->node_count)
            return refuse(b->node, err, "a tree has no such root");
    uint8_t *state = hone_calloc((size_t)b->node_count + 1, sizeof *state);
    int64_t *stack = hone_calloc((size_t)b->node_count + 1, sizeof *stack);
    hone_status status = state && stack ? HONE_OK : hone_fail_memory(err);
    for (int64_t i = 0; i < b->root_count && status == HONE_OK; i++)
        status = check_tree(b, b->roots[i], state, stack, err);
    hone_free(state);
    hone_free(stack);
    return status;
}

hone_status hone_trees_emit(const hone_tree_builder *b, hone_graph *g, hone_value *x, hone_value **out,
                            hone_error *err) {
    int64_t features, nodes = b->node_count * (int64_t)sizeof *b->nodes,
                      votes = b->vote_count * (int64_t)sizeof *b->votes;
    HONE_TRY(check(b, &features, err));
    hone_value *in[] = {x, hone_ml_constant(g, HONE_UINT8, 1, &nodes, b->nodes),
                        hone_ml_constant(g, HONE_UINT8, 1, &votes, b->votes),
                        hone_graph_ints(g, b->roots, b->root_count),
                        hone_ml_constant(g, HONE_FLOAT64, 1, &b->member_count, b->members)};
    hone_value *y = hone_graph_emit(g, HONE_PRIVATE_DOMAIN, "TreeScores", in, 5);
    *out = y;
    if (!y) return hone_graph_check(g, err);
    hone_node_set_int(g, y->producer, "features", features);
    hone_node_set_int(g, y->producer, "sum", b->sum);
    hone_node_set_int(g, y->producer, "targets", b->targets);
    return HONE_OK;
}
