/* Caches of keys and values: ONNX's TensorScatter, and CacheWrite (cache.h). One kernel: a past, rows of which are then
 * written over. Where nobody needs the past any more it is written in place. */
#include "ops/attention/cache.h"

#include "base/bits.h"
#include "graph/infer.h"
#include "graph/run.h"
#include "ops/common/cut.h"
#include "ops/common/emit.h"
#include "ops/common/walk.h"

#include <string.h>

#define INTS HONE_TYPES_INT

/* --- running --- */

/* A past [batch, heads, past, run], an update of `rows`, a result of `length` rows; run: elements. */
typedef struct params {
    int64_t batch, heads, past, rows, length, run;
    int bits;            /* of an element */
    bool circular, many; /* many: a position for each of the batch */
    int position, size;  /* inputs; size < 0: the length is known */
    bool wide_size;
    int rank;
    int64_t dims[HONE_MAX_RANK];
    int axis;
} params;

typedef struct job {
    const params *p;
    const char *past, *update;
    const int64_t *position;
    char *y;
    int64_t length;
} job;

static void copy_rows(const params *p, const char *x, int64_t from, char *y, int64_t to, int64_t rows) {
    if (p->bits >= 8)
        memcpy(y + to * p->run * p->bits / 8, x + from * p->run * p->bits / 8,
               (size_t)(rows * p->run * p->bits / 8));
    else
        hone_bits_copy(x, from * p->run, y, to * p->run, rows * p->run, p->bits);
}

static void write_heads(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = j->position ? j->position[p->many ? i / p->heads : 0] : 0;
        if (j->past && j->past != j->y) copy_rows(p, j->past, i * p->past, j->y, i * j->length, p->past);
        for (int64_t t = 0, n; t < p->rows; t += n) {
            int64_t to = p->circular ? (at + t) % j->length : at + t;
            n = p->circular ? hone_min_i64(p->rows - t, j->length - to) : p->rows;
            copy_rows(p, j->update, i * p->rows + t, j->y, i * j->length + to, n);
        }
    }
}

static hone_status check_positions(const job *j, const hone_step *step, hone_error *err) {
    const params *p = j->p;
    for (int64_t b = 0; b < (j->position ? p->many ? p->batch : 1 : 0); b++) {
        int64_t at = j->position[b];
        if (at < 0 || (!p->circular && at > j->length - p->rows))
            return hone_step_fail(step, err, "%lld rows at %lld do not fit into a cache of %lld",
                                  (long long)p->rows, (long long)at, (long long)j->length);
    }
    return HONE_OK;
}

/* How long the result is, where only the data tell. */
static int64_t asked_length(const params *p, const void *size) {
    int64_t n = p->wide_size ? *(const int64_t *)size : *(const int32_t *)size, least = p->length;
    return n > least ? n : least;
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    job j = {.p = p,
             .past = hone_step_in(step, frame, 0),
             .update = hone_step_in(step, frame, 1),
             .position = hone_step_in(step, frame, p->position),
             .y = hone_step_out(step, frame, 0),
             .length = p->length};
    if (p->size >= 0) {
        int64_t dims[HONE_MAX_RANK];
        void *y;
        memcpy(dims, p->dims, sizeof dims);
        dims[p->axis] = j.length = asked_length(p, hone_step_in(step, frame, p->size));
        HONE_TRY(frame->output(frame, step, 0, p->rank, dims, &y, err));
        j.y = y;
    }
    HONE_TRY(check_positions(&j, step, err));
    const int64_t heads = p->batch * p->heads, elements = heads * j.length * p->run;
    const bool grows = !j.past || j.length > p->past;
    if (grows && j.y) memset(j.y, 0, (size_t)((elements * p->bits + 7) / 8));
    hone_cut cut = hone_cut_make(p->bits >= 8 ? heads : heads > 0, 0.05 * (double)(j.length * p->run), 1);
    if (p->bits >= 8)
        hone_cut_run(&cut, frame, write_heads, &j);
    else
        write_heads(&j, 0, heads, 0); /* bytes may be shared */
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, int axis, int position, int size, bool circular,
                           hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const hone_type *past = p->in[0], *update = p->in[1],
                    *at = position < p->in_count ? p->in[position] : NULL;
    *q = (params){.batch = update->dims[0],
                  .heads = hone_dims_product(update, 1, axis),
                  .past = past ? past->dims[axis] : 0,
                  .rows = update->dims[axis],
                  .length = p->out[0].dims[axis],
                  .run = hone_dims_product(update, axis + 1, update->rank),
                  .bits = hone_dtype_bits(update->dtype),
                  .circular = circular,
                  .many = at && at->rank > 0 && at->dims[0] > 1,
                  .position = position,
                  .size = -1,
                  .rank = update->rank,
                  .axis = axis};
    memcpy(q->dims, update->dims, sizeof q->dims);
    if (q->length < 0) {
        q->size = size;
        q->wide_size = p->in[size]->dtype == HONE_INT64;
        q->length = past ? q->past : q->rows;
    }
    p->params = q;
    p->run = run;
    p->kernel = "cache write";
    return HONE_OK;
}

/* --- CacheRead --- the rows of a cache that an update (`like`) was written over: a gradient's */

enum { READ_CACHE, READ_LIKE, READ_POSITION };

static hone_status infer_read(hone_infer *ctx, hone_error *err) {
    (void)err;
    ctx->out[0].rank = ctx->in[READ_LIKE]->rank;
    memcpy(ctx->out[0].dims, ctx->in[READ_LIKE]->dims, sizeof ctx->out[0].dims);
    return HONE_OK;
}

static void read_heads(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = j->position ? j->position[p->many ? i / p->heads : 0] : 0;
        for (int64_t t = 0; t < p->rows; t++)
            copy_rows(p, j->past, i * p->length + (p->circular ? (at + t) % p->length : at + t), j->y,
                      i * p->rows + t, 1);
    }
}

static hone_status run_read(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    job j = {.p = p,
             .past = hone_step_in(step, frame, READ_CACHE),
             .position = hone_step_in(step, frame, READ_POSITION),
             .y = hone_step_out(step, frame, 0),
             .length = p->length};
    HONE_TRY(check_positions(&j, step, err));
    hone_cut cut = hone_cut_make(p->batch * p->heads, 0.1 * (double)(p->rows * p->run), 1);
    hone_cut_run(&cut, frame, read_heads, &j);
    return HONE_OK;
}

static bool is_circular(const hone_node *n) {
    return strcmp(hone_node_string(n, "mode"), "circular") == 0;
}

static int axis_of(const hone_node *n, int rank) {
    int64_t axis = hone_node_int(n, "axis");
    return (int)(axis < 0 ? axis + rank : axis);
}

static hone_status prepare_read(hone_prepare *p, hone_error *err) {
    HONE_TRY(prepare(p, axis_of(p->node, p->in[0]->rank), READ_POSITION, -1, is_circular(p->node), err));
    params *q = (params *)p->params;
    q->length = p->in[READ_CACHE]->dims[q->axis];
    p->run = run_read;
    p->kernel = "cache read";
    return HONE_OK;
}

#define FLOATS HONE_TYPES_FLOAT
#define PLACE                                                                                                \
    {"mode", HONE_ATTR_STRING, .s = "linear"}, {                                                             \
        "axis", HONE_ATTR_INT, .i = -2                                                                       \
    }

const hone_op hone_op_cache_read = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "CacheRead",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"cache", 'T', FLOATS, 0}, {"like", 'T', FLOATS, 0},
                         {"position", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"rows", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS(PLACE),
    .infer = infer_read,
    .prepare = prepare_read,
    .doc = "the rows of a cache where an update was written"};

static void place_as(hone_graph *g, hone_value *y, const hone_node *n) {
    if (!y || !hone_attr_find(n->op->attrs, "mode")) return;
    hone_node_set_string(g, y->producer, "mode", hone_node_string(n, "mode"));
    hone_node_set_int(g, y->producer, "axis", hone_node_int(n, "axis"));
}

/* The update gets dY where it was written; the past all else. */
static void gradient(hone_gradient *ctx) {
    hone_graph *g = ctx->graph;
    const hone_node *n = ctx->node;
    hone_value *past = n->inputs[0], *update = n->inputs[1],
               *position = n->input_count > 2 ? n->inputs[2] : NULL;
    const int axis = hone_attr_find(n->op->attrs, "axis") ? axis_of(n, update->type.rank) : 2;
    if (ctx->wanted[1]) {
        ctx->din[1] = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "CacheRead", ctx->dout[0], update, position);
        place_as(g, ctx->din[1], n);
    }
    if (!past || !ctx->wanted[0]) return;
    hone_value *zeros =
        HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "BroadcastTo", hone_graph_scalar(g, update->type.dtype, 0), update);
    hone_value *d = HONE_EMIT(g, "", "TensorScatter", ctx->dout[0], zeros, position);
    place_as(g, d, n);
    hone_value *along = hone_graph_ints(g, (int64_t[]){axis}, 1);
    ctx->din[0] = HONE_EMIT(g, "", "Slice", d, hone_graph_ints(g, (int64_t[]){0}, 1),
                            hone_emit_dim(g, past, axis), along);
}

/* Dimensions of update and past agree but for the axis. */
static hone_status check_dims(const hone_infer *ctx, int axis, int64_t *dims, hone_error *err) {
    const hone_type *past = ctx->in[0], *update = ctx->in[1];
    for (int i = 0; i < update->rank; i++) {
        dims[i] = update->dims[i];
        if (past && past->rank >= 0 && i != axis)
            HONE_TRY(hone_infer_same_dim(ctx, past->dims[i], update->dims[i], &dims[i], err));
    }
    return HONE_OK;
}

/* --- TensorScatter --- */

static hone_status infer_scatter(hone_infer *ctx, hone_error *err) {
    const hone_type *past = ctx->in[0], *update = ctx->in[1], *at = ctx->input_count > 2 ? ctx->in[2] : NULL;
    const char *mode = hone_node_string(ctx->node, "mode");
    int axis;
    int64_t dims[HONE_MAX_RANK], d;
    HONE_TRY(hone_infer_same(ctx, err));
    if (strcmp(mode, "linear") != 0 && strcmp(mode, "circular") != 0)
        return hone_infer_fail(ctx, err, "mode '%s'", mode);
    if (past->rank < 0 || update->rank < 0) return HONE_OK;
    if (past->rank != update->rank || past->rank < 2)
        return hone_infer_fail(ctx, err, "cache and update must have one rank, of at least 2");
    HONE_TRY(hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), past->rank, false, &axis, err));
    if (axis == 0) return hone_infer_fail(ctx, err, "the first axis is that of sequences");
    HONE_TRY(check_dims(ctx, axis, dims, err));
    if (past->dims[axis] >= 0 && update->dims[axis] > past->dims[axis])
        return hone_infer_fail(ctx, err, "an update of %lld is longer than the cache",
                               (long long)update->dims[axis]);
    if (!at || at->rank < 0) return HONE_OK;
    if (at->rank != 1) return hone_infer_fail(ctx, err, "write_indices must be a vector");
    return hone_infer_same_dim(ctx, at->dims[0], past->dims[0], &d, err);
}

static hone_status prepare_scatter(hone_prepare *p, hone_error *err) {
    return prepare(p, axis_of(p->node, p->in[0]->rank), 2, -1, is_circular(p->node), err);
}

const hone_op hone_op_tensor_scatter = {
    .name = "TensorScatter",
    .since = 24,
    .oldest = 24,
    .inputs = HONE_SLOTS({"past_cache", 'T', HONE_TYPES_ALL, 0}, {"update", 'T', HONE_TYPES_ALL, 0},
                         {"write_indices", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"present_cache", 'T', HONE_TYPES_ALL, 0}),
    .attrs = HONE_ATTRS(PLACE),
    .infer = infer_scatter,
    .moves = true,
    .overwrite = 1,
    .prepare = prepare_scatter,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "a cache, with an update written into it at a place of each sequence"};

/* --- CacheWrite --- */

enum { PAST, UPDATE, POSITION, LENGTH };

hone_value *hone_cache_emit(hone_graph *g, hone_value *past, hone_value *update, hone_value *position,
                            hone_value *length) {
    return HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "CacheWrite", past, update, position, length);
}

static hone_status infer_write(hone_infer *ctx, hone_error *err) {
    const hone_type *past = ctx->in[PAST], *update = ctx->in[UPDATE];
    hone_content length;
    hone_type *y = &ctx->out[0];
    if (update->rank < 0) return HONE_OK;
    if (update->rank != 4 || (past && past->rank >= 0 && past->rank != 4))
        return hone_infer_fail(ctx, err, "caches must have rank 4");
    y->rank = 4;
    HONE_TRY(check_dims(ctx, 2, y->dims, err));
    int64_t least = past ? past->rank == 4 ? past->dims[2] : HONE_DIM_ANY : update->dims[2];
    y->dims[2] = least;
    if (ctx->input_count <= LENGTH || !ctx->in[LENGTH]) return HONE_OK;
    HONE_TRY(hone_infer_one_element(ctx, LENGTH, err));
    y->dims[2] = HONE_DIM_ANY;
    if (!hone_infer_items(ctx, LENGTH, &length) || length.count != 1) return HONE_OK;
    int64_t asked = hone_dim_of_item(length.item[0]);
    if (asked >= 0 && least >= 0) y->dims[2] = asked > least ? asked : least;
    if (asked == least || least == 0) y->dims[2] = asked;
    return HONE_OK;
}

static hone_status prepare_write(hone_prepare *p, hone_error *err) {
    return prepare(p, 2, POSITION, LENGTH, false, err);
}

const hone_op hone_op_cache_write = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "CacheWrite",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"past", 'T', HONE_TYPES_ALL, HONE_SLOT_OPTIONAL},
                         {"update", 'T', HONE_TYPES_ALL, 0}, {"position", 0, HONE_TYPE(HONE_INT64), 0},
                         {"length", 0, INTS, HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE}),
    .outputs = HONE_SLOTS({"present", 'T', HONE_TYPES_ALL, 0}),
    .infer = infer_write,
    .run_shapes = 1,
    .overwrite = 1,
    .prepare = prepare_write,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "what is new behind what a cache has"};
