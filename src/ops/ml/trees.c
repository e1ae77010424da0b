/* TreeScores: what an ensemble of trees (kernels/trees.h), which lie in constants, gives to rows of features. */
#include "ops/ml/trees.h"

#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/ml/ml.h"

#define FLOATS HONE_TYPES_FLOAT

enum { X, NODES, TREES, NAN_FIRST, VOTES, STARTS };

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

enum {
    LANES = HONE_TREE_LANES,
    TILE_ROWS = 64,
    TILE_BYTES = 32768
}; /* rows that go through the trees together */

typedef struct params {
    hone_trees trees; /* pointers come with the run */
    hone_dtype dtype;
    bool narrow, votes;    /* keys have 32 bits; MIN or MAX */
    int64_t columns, tile; /* of a row of X; rows */
    size_t keys, scores;   /* bytes of a tile */
    hone_cut rows;
} params;

typedef struct job {
    const params *p;
    hone_trees trees;
    const hone_step *step;
    const hone_frame *frame;
    const void *x;
    char *y;
} job;

/* Rows as keys, LANES side by side, a 0 behind each; tells whether there are NaNs in them. */
#define KEYS_OF(name, type, key, key_of)                                                                     \
    static bool name(const params *p, const type *x, int64_t rows, key *out) {                               \
        const int64_t n = p->trees.features;                                                                 \
        bool nan = false;                                                                                    \
        for (int64_t i = 0; i < rows; i++, x += p->columns) {                                                \
            key *y = out + i / LANES * LANES * (n + 1) + i % LANES;                                          \
            for (int64_t k = 0; k < n; k++) {                                                                \
                y[k * LANES] = key_of(x[k]);                                                                 \
                nan |= x[k] != x[k];                                                                         \
            }                                                                                                \
            y[n * LANES] = 0;                                                                                \
        }                                                                                                    \
        return nan;                                                                                          \
    }
KEYS_OF(keys_narrow, float, uint32_t, hone_tree_key32)
KEYS_OF(keys_wide, float, uint64_t, hone_tree_key64)
KEYS_OF(keys_f64, double, uint64_t, hone_tree_key64)

static void run_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    void *keys = hone_step_worker_scratch(j->step, j->frame, worker);
    double *scores = (double *)((char *)keys + p->keys);
    bool *voted = p->votes ? (bool *)((char *)scores + p->scores) : NULL, nan;
    const size_t size = hone_dtype_size(p->dtype);
    for (int64_t i = begin; i < end; i += p->tile) {
        const int64_t rows = end - i < p->tile ? end - i : p->tile;
        const void *x = (const char *)j->x + (size_t)(i * p->columns) * size;
        if (p->narrow)
            nan = keys_narrow(p, x, rows, keys);
        else
            nan = p->dtype == HONE_FLOAT64 ? keys_f64(p, x, rows, keys) : keys_wide(p, x, rows, keys);
        nan &= j->trees.nan_first != NULL;
        if (p->narrow)
            hone_trees_run_32(&j->trees, keys, rows, nan, scores, voted);
        else
            hone_trees_run_64(&j->trees, keys, rows, nan, scores, voted);
        hone_cast(HONE_FLOAT64, p->dtype, scores, j->y + (size_t)(i * p->trees.targets) * size,
                  rows * p->trees.targets);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, p->trees, step, frame, hone_step_in(step, frame, X), hone_step_out(step, frame, 0)};
    j.trees.nodes = hone_step_in(step, frame, NODES);
    j.trees.trees = hone_step_in(step, frame, TREES);
    j.trees.nan_first = hone_step_in(step, frame, NAN_FIRST);
    j.trees.votes = hone_step_in(step, frame, VOTES);
    j.trees.starts = hone_step_in(step, frame, STARTS);
    hone_cut_run(&p->rows, frame, run_rows, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[X];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const int64_t trees = p->in[TREES]->dims[0] / (int64_t)sizeof(hone_tree),
                  targets = hone_node_int(p->node, "targets"), features = hone_node_int(p->node, "features"),
                  whole = (x->dims[0] + LANES - 1) / LANES * LANES;
    *q = (params){.trees = {.count = trees,
                            .targets = targets,
                            .features = features,
                            .sum = (hone_tree_sum)hone_node_int(p->node, "sum")},
                  .dtype = x->dtype,
                  .narrow = hone_node_int(p->node, "narrow"),
                  .columns = x->dims[1],
                  .rows = hone_cut_make(x->dims[0], 5 * (double)trees + 3 * (double)targets, LANES)};
    const size_t row = ((size_t)features + 1) * (q->narrow ? sizeof(uint32_t) : sizeof(uint64_t));
    q->votes = q->trees.sum == HONE_TREE_MIN || q->trees.sum == HONE_TREE_MAX;
    q->tile = TILE_BYTES / (int64_t)row / LANES * LANES;
    q->tile = q->tile > TILE_ROWS ? TILE_ROWS : q->tile > LANES ? q->tile : LANES;
    if (q->tile > whole) q->tile = whole;
    q->keys = ((size_t)q->tile * row + 7) / 8 * 8;
    q->scores = (size_t)(q->tile * targets) * sizeof(double);
    p->worker_scratch = q->keys + q->scores + (q->votes ? (size_t)(q->tile * targets) : 0);
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
                         {"trees", 0, HONE_TYPE(HONE_UINT8), 0},
                         {"nan_first", 0, HONE_TYPE(HONE_BOOL), HONE_SLOT_OPTIONAL},
                         {"votes", 0, HONE_TYPE(HONE_UINT8), HONE_SLOT_OPTIONAL},
                         {"starts", 0, HONE_TYPE(HONE_INT32), HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS({"features", HONE_ATTR_INT}, {"narrow", HONE_ATTR_INT}, {"sum", HONE_ATTR_INT},
                        {"targets", HONE_ATTR_INT}),
    .infer = infer,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_ZERO,
    .doc = "the votes of the leaves that rows of features lead to"};
