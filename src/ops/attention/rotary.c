/* Rotary position embeddings: Rotation (rotary.h), ONNX's RotaryEmbedding and that of com.microsoft, which are functions of
 * it. */
#include "ops/attention/rotary.h"
#include "graph/infer.h"
#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/common/emit.h"
#include "ops/common/walk.h"

#include <string.h>

#define FLOATS HONE_TYPES_FLOAT
#define REAL (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define INT64 HONE_TYPE(HONE_INT64)
#define OPTIONAL HONE_SLOT_OPTIONAL

enum { X, COS, SIN, POSITION };

hone_value *hone_rotation_emit(hone_graph *g, const hone_rotation *r) {
    hone_value *in[] = {r->x, r->cos, r->sin, r->position};
    hone_value *y = hone_graph_emit(g, HONE_PRIVATE_DOMAIN, "Rotation", in, 4);
    if (!y) return NULL;
    hone_node_set_int(g, y->producer, "heads", r->heads);
    hone_node_set_int(g, y->producer, "dim", r->dim);
    hone_node_set_int(g, y->producer, "interleaved", r->interleaved);
    return y;
}

/* --- shapes --- */

/* B, N, T, D of X; false: not of the rank that `heads` asks for. */
static bool dims_of(const hone_type *x, int64_t heads, int64_t *d) {
    if (x->rank != (heads ? 3 : 4)) return false;
    d[0] = x->dims[0];
    d[1] = heads ? heads : x->dims[1];
    d[2] = x->dims[heads ? 1 : 2];
    d[3] = !heads ? x->dims[3] : x->dims[2] >= 0 ? x->dims[2] / heads : HONE_DIM_ANY;
    return true;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[X], *cos = ctx->in[COS], *sin = ctx->in[SIN],
                    *position = ctx->input_count > POSITION ? ctx->in[POSITION] : NULL;
    const int64_t heads = hone_node_int(ctx->node, "heads"), dim = hone_node_int(ctx->node, "dim");
    int64_t d[4], e;
    HONE_TRY(hone_infer_same(ctx, err));
    if (x->rank < 0) return HONE_OK;
    if (!dims_of(x, heads, d))
        return hone_infer_fail(ctx, err, "X must have rank 4, or 3 where the heads are counted");
    if (heads && x->dims[2] >= 0 && x->dims[2] % heads)
        return hone_infer_fail(ctx, err, "%lld elements make no %lld heads", (long long)x->dims[2],
                               (long long)heads);
    const int64_t all = dim ? dim : d[3];
    if (dim < 0 || (all >= 0 && all % 2) || (d[3] >= 0 && all > d[3]))
        return hone_infer_fail(ctx, err, "%lld elements of %lld can't be turned", (long long)all,
                               (long long)d[3]);
    for (int k = COS; k <= SIN; k++) {
        const hone_type *t = ctx->in[k];
        if (t->rank < 0) continue;
        if (t->rank != (position ? 2 : 3))
            return hone_infer_fail(ctx, err, "cosines and sines must have rank %d", position ? 2 : 3);
        HONE_TRY(hone_infer_same_dim(ctx, t->dims[t->rank - 1], all >= 0 ? all / 2 : HONE_DIM_ANY, &e, err));
        for (int i = 0; i < 2 && !position; i++)
            HONE_TRY(hone_infer_same_dim(ctx, t->dims[i], d[2 * i], &e, err));
    }
    if (cos->rank > 0 && sin->rank > 0)
        HONE_TRY(hone_infer_same_dim(ctx, cos->dims[0], sin->dims[0], &e, err));
    if (!position || position->rank < 0) return HONE_OK;
    if (position->rank < 1 || position->rank > 2)
        return hone_infer_fail(ctx, err, "positions must have rank 1 or 2");
    if (position->rank == 2) HONE_TRY(hone_infer_same_dim(ctx, position->dims[1], d[2], &e, err));
    if (position->rank == 2 || position->dims[0] != 1)
        HONE_TRY(hone_infer_same_dim(ctx, position->dims[0], d[0], &e, err));
    return HONE_OK;
}

/* --- running --- */

typedef struct params {
    bool is_double, interleaved, each; /* each: a position for every element of T */
    size_t size;
    int64_t batch, heads, length, width, half; /* half: pairs that turn */
    int64_t batch_step, head_step, row_step;   /* elements */
    int64_t table, position_step;              /* rows of cos; of positions from batch to batch */
    hone_cut cut;                              /* of batch and length */
} params;

typedef struct job {
    const params *p;
    const char *x, *cos, *sin;
    const int64_t *position;
    char *y;
} job;

/* The row of cos and sin for element t of batch b. */
static int64_t row_of(const job *j, int64_t b, int64_t t) {
    const params *p = j->p;
    if (!j->position) return b * p->length + t;
    return p->each ? j->position[b * p->length + t] : j->position[b * p->position_step] + t;
}

static void turn(const params *p, const char *x, const char *cos, const char *sin, char *y) {
    if (p->is_double)
        hone_rotate_f64((const double *)(const void *)x, (const double *)(const void *)cos,
                        (const double *)(const void *)sin, (double *)(void *)y, p->half, p->interleaved);
    else
        hone_rotate_f32((const float *)(const void *)x, (const float *)(const void *)cos,
                        (const float *)(const void *)sin, (float *)(void *)y, p->half, p->interleaved);
    size_t turned = (size_t)p->half * 2 * p->size, whole = (size_t)p->width * p->size;
    if (y != x && turned < whole) memcpy(y + turned, x + turned, whole - turned);
}

static void run_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    for (int64_t i = begin; i < end; i++) {
        int64_t b = i / p->length, t = i % p->length, angle = row_of(j, b, t) * p->half;
        for (int64_t h = 0; h < p->heads; h++) {
            int64_t at = b * p->batch_step + h * p->head_step + t * p->row_step;
            turn(p, j->x + at * (int64_t)p->size, j->cos + angle * (int64_t)p->size,
                 j->sin + angle * (int64_t)p->size, j->y + at * (int64_t)p->size);
        }
    }
}

static hone_status check_positions(const job *j, const hone_step *step, hone_error *err) {
    const params *p = j->p;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t t = 0; t < p->length; t++) {
            int64_t row = row_of(j, b, t);
            if (row < 0 || row >= p->table)
                return hone_step_fail(step, err, "position %lld is outside of %lld", (long long)row,
                                      (long long)p->table);
        }
    return HONE_OK;
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    job j = {p,
             hone_step_in(step, frame, X),
             hone_step_in(step, frame, COS),
             hone_step_in(step, frame, SIN),
             hone_step_in(step, frame, POSITION),
             hone_step_out(step, frame, 0)};
    if (j.position) HONE_TRY(check_positions(&j, step, err));
    hone_cut_run(&p->cut, frame, run_range, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const int64_t heads = hone_node_int(p->node, "heads"), dim = hone_node_int(p->node, "dim");
    const hone_type *position = p->in_count > POSITION ? p->in[POSITION] : NULL;
    int64_t d[4];
    dims_of(p->in[X], heads, d);
    *q = (params){.is_double = p->out[0].dtype == HONE_FLOAT64,
                  .interleaved = hone_node_int(p->node, "interleaved") != 0,
                  .each = position && position->rank == 2,
                  .size = hone_dtype_size(p->out[0].dtype),
                  .batch = d[0],
                  .heads = d[1],
                  .length = d[2],
                  .width = d[3],
                  .half = (dim ? dim : d[3]) / 2,
                  .batch_step = d[1] * d[2] * d[3],
                  .head_step = heads ? d[3] : d[2] * d[3],
                  .row_step = heads ? d[1] * d[3] : d[3],
                  .table = p->in[COS]->dims[0],
                  .position_step = position && position->dims[0] > 1 ? 1 : 0};
    q->cut = hone_cut_make(q->batch * q->length, 0.5 * (double)(q->heads * q->width), 1);
    p->params = q;
    p->run = run;
    p->kernel = "rotation";
    return HONE_OK;
}

/* --- for training: as other operators --- */

static hone_value *op2(hone_graph *g, const char *op, hone_value *a, hone_value *b) {
    return a && b ? HONE_EMIT(g, "", op, a, b) : NULL;
}

/* Every second element of the last axis, from `first` on, of the first `n`. */
static hone_value *every_second(hone_graph *g, hone_value *x, int64_t first, int64_t n, int64_t axis) {
    const int64_t two = 2;
    return HONE_EMIT(g, "", "Slice", x, hone_graph_ints(g, &first, 1), hone_graph_ints(g, &n, 1),
                     hone_graph_ints(g, &axis, 1), hone_graph_ints(g, &two, 1));
}

/* One row of cos or sin for each of T, with an axis for the heads: [B or 1, T, R / 2] and 1 at `axis`. */
static hone_value *angles(hone_graph *g, const hone_node *n, int i, int64_t axis) {
    static const int64_t down[] = {-1, 1};
    hone_value *v = n->inputs[i], *position = hone_input(n, POSITION), *x = n->inputs[X];
    if (position && position->type.rank == 1) {
        hone_value *t = hone_emit_shaped(g, hone_emit_dim(g, x, hone_node_int(n, "heads") ? 1 : 2), NULL, 0);
        hone_value *along = HONE_EMIT(g, "", "Range", hone_graph_scalar(g, HONE_INT64, 0), t,
                                      hone_graph_scalar(g, HONE_INT64, 1));
        position = op2(g, "Add", hone_emit_shaped(g, position, down, 2), along);
    }
    if (position) v = op2(g, "Gather", v, position);
    return op2(g, "Unsqueeze", v, hone_graph_ints(g, &axis, 1));
}

static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    const int64_t heads = hone_node_int(n, "heads"), dim = hone_node_int(n, "dim"),
                  split[] = {0, 0, heads, -1}, back[] = {0, 0, -1}, pairs[] = {0, 0, 0, -1}, last = 4;
    const bool interleaved = hone_node_int(n, "interleaved") != 0;
    int64_t d[4];
    dims_of(&n->inputs[X]->type, heads, d);
    if (d[3] < 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "heads of unknown size in training");
    const int64_t all = dim ? dim : d[3];
    hone_value *x = heads ? hone_emit_shaped(g, n->inputs[X], split, 4) : n->inputs[X];
    hone_value *cos = angles(g, n, COS, heads ? 2 : 1), *sin = angles(g, n, SIN, heads ? 2 : 1);
    hone_value *a = interleaved ? every_second(g, x, 0, all, 3) : hone_emit_part(g, x, 3, 0, all / 2);
    hone_value *b = interleaved ? every_second(g, x, 1, all, 3) : hone_emit_part(g, x, 3, all / 2, all);
    hone_value *u = op2(g, "Sub", op2(g, "Mul", a, cos), op2(g, "Mul", b, sin));
    hone_value *v = op2(g, "Add", op2(g, "Mul", b, cos), op2(g, "Mul", a, sin)), *y;
    if (interleaved) {
        hone_value *axis = hone_graph_ints(g, &last, 1);
        y = hone_emit_joined(g, op2(g, "Unsqueeze", u, axis), op2(g, "Unsqueeze", v, axis), 4);
        y = hone_emit_shaped(g, y, pairs, 4);
    } else {
        y = hone_emit_joined(g, u, v, 3);
    }
    if (all < d[3]) y = hone_emit_joined(g, y, hone_emit_part(g, x, 3, all, d[3]), 3);
    hone_graph_replace(g, n->outputs[0], heads ? hone_emit_shaped(g, y, back, 3) : y);
    return hone_graph_check(g, err);
}

const hone_op hone_op_rotation = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "Rotation",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"cos", 'T', FLOATS, 0}, {"sin", 'T', FLOATS, 0},
                         {"position", 0, INT64, OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS({"heads", HONE_ATTR_INT}, {"dim", HONE_ATTR_INT}, {"interleaved", HONE_ATTR_INT}),
    .infer = infer,
    .overwrite = 1,
    .prepare = prepare,
    .expand = expand,
    .doc = "pairs of elements turned by angles of their positions"};

/* --- as functions of it --- */

static hone_status expand_rotary(hone_graph *g, hone_node *n, int cos, int sin, int position,
                                 hone_error *err) {
    const hone_type *x = &n->inputs[X]->type;
    const hone_dtype computes = hone_wide_dtype(x->dtype);
    hone_rotation r = {.x = hone_emit_wide(g, n->inputs[X], computes),
                       .cos = hone_emit_wide(g, n->inputs[cos], computes),
                       .sin = hone_emit_wide(g, n->inputs[sin], computes),
                       .position = hone_input(n, position),
                       .dim = hone_node_int(n, "rotary_embedding_dim"),
                       .interleaved = hone_node_int(n, "interleaved") != 0};
    if (x->rank < 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n), "X of unknown rank");
    if (x->rank == 3) r.heads = hone_node_int(n, "num_heads");
    const hone_type *table = &n->inputs[cos]->type;
    if (x->rank == 3 && r.heads == 0) { /* as many as rows of cosines make */
        int64_t half = table->rank > 0 ? table->dims[table->rank - 1] : HONE_DIM_ANY;
        if (half <= 0 || x->dims[2] < 0 || x->dims[2] % (2 * half))
            return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                                  "the number of heads is not known");
        r.heads = x->dims[2] / (2 * half);
    }
    hone_give_output(g, n, 0, hone_rotation_emit(g, &r), computes);
    return hone_graph_check(g, err);
}

static hone_status expand_onnx(hone_graph *g, hone_node *n, hone_error *err) {
    return expand_rotary(g, n, 1, 2, 3, err);
}

const hone_op hone_op_rotary_embedding = {
    .name = "RotaryEmbedding",
    .since = 23,
    .oldest = 23,
    .inputs = HONE_SLOTS({"X", 'T', REAL, 0}, {"cos_cache", 'T', REAL, 0}, {"sin_cache", 'T', REAL, 0},
                         {"position_ids", 0, INT64, OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', REAL, 0}),
    .attrs = HONE_ATTRS({"interleaved", HONE_ATTR_INT}, {"num_heads", HONE_ATTR_INT},
                        {"rotary_embedding_dim", HONE_ATTR_INT}),
    .infer = hone_infer_same,
    .expand = expand_onnx,
    .doc = "pairs of elements of each head turned by angles of their positions"};

static hone_status expand_microsoft(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_attr *scale = hone_node_attr(n, "scale");
    if (hone_node_int(n, "is_packed_batching") || (scale && scale->f != 1))
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "packed batches, and scales");
    return expand_rotary(g, n, 2, 3, 1, err);
}

const hone_op hone_op_microsoft_rotary_embedding = {
    .domain = "com.microsoft",
    .name = "RotaryEmbedding",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"input", 'T', REAL, 0}, {"position_ids", 0, INT64, 0}, {"cos_cache", 'T', REAL, 0},
                         {"sin_cache", 'T', REAL, 0}),
    .outputs = HONE_SLOTS({"output", 'T', REAL, 0}),
    .attrs = HONE_ATTRS({"interleaved", HONE_ATTR_INT}, {"num_heads", HONE_ATTR_INT},
                        {"rotary_embedding_dim", HONE_ATTR_INT}, {"scale", HONE_ATTR_FLOAT, .f = 1},
                        {"is_packed_batching", HONE_ATTR_INT}),
    .infer = hone_infer_same,
    .expand = expand_microsoft,
    .doc = "pairs of elements of each head turned by angles of their positions"};
