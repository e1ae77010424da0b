/* ArgMax, ArgMin: where along an axis the largest or the least element is. Hardmax: 1 there, else 0. */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/channels_last.h"
#include "ops/common/cut.h"
#include "ops/common/reshape.h"
#include "ops/common/walk.h"

#define NUMBERS (HONE_TYPES_NUMBER | HONE_TYPES_HALF)
#define NARROW (HONE_TYPES_HALF | HONE_TYPES_BYTE | HONE_TYPE(HONE_INT16) | HONE_TYPE(HONE_UINT16))

#define FEW 8 /* channels that don't fill the lanes of a vector */

static int axis_of(const hone_node *n, int rank) {
    int64_t axis = hone_node_int(n, "axis");
    return (int)(axis < 0 ? axis + rank : axis);
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_type *y = &ctx->out[0];
    bool keep = hone_node_int(ctx->node, "keepdims") != 0;
    int axis;
    y->dtype = HONE_INT64;
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), x->rank, false, &axis, err));
    y->rank = 0;
    for (int i = 0; i < x->rank; i++)
        if (i != axis || keep) y->dims[y->rank++] = i == axis ? 1 : x->dims[i];
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    int rank = n->inputs[0]->type.rank, axis = axis_of(n, rank), to = 0;
    bool keep = hone_node_int(n, "keepdims") != 0;
    for (int i = 0; i < rank; to += i != axis || keep, i++)
        if (i != axis) hone_axes_same(out, 0, i, to);
}

/* Where the axis is not kept, only if it is that of the channels: the others have their order then. Few
 * channels are compared faster as planes. */
static hone_value *channels_last(hone_channels_last *ctx) {
    const hone_node *n = ctx->node;
    const hone_type *x = &n->inputs[0]->type;
    const bool channels = axis_of(n, x->rank) == 1;
    if (channels && x->dims[1] >= 0 && x->dims[1] < FEW) return NULL;
    if (!hone_node_int(n, "keepdims")) {
        if (!channels) return NULL;
        ctx->first = true;
    }
    return hone_last_by_axis(ctx);
}

typedef struct params {
    hone_dtype dtype;
    int64_t n, inner; /* x [outer, n, inner] */
    bool least, last;
    hone_cut cut; /* of [outer, inner] */
} params;

typedef struct job {
    const params *p;
    const char *x;
    int64_t *y;
} job;

static void run_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const hone_kernels *k = hone_kernels_get();
    size_t size = hone_dtype_size(p->dtype);
    for (int64_t i = begin, columns; i < end; i += columns) {
        int64_t first = i % p->inner;
        columns = hone_min_i64(p->inner - first, end - i);
        const char *x = j->x + (size_t)(i / p->inner * p->n * p->inner + first) * size;
        if (p->inner == 1 && p->dtype == HONE_FLOAT32 && !p->least && !p->last)
            j->y[i] = k->argmax_f32((const float *)x, p->n);
        else
            hone_arg_rows(p->dtype, x, p->n, columns, p->inner, p->least, p->last, j->y + i);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, run_range, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, bool least, hone_error *err) {
    const hone_type *x = p->in[0];
    int axis = axis_of(p->node, x->rank);
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){.dtype = x->dtype,
                  .n = x->dims[axis],
                  .inner = hone_dims_product(x, axis + 1, x->rank),
                  .least = least,
                  .last = hone_node_int(p->node, "select_last_index") != 0};
    int64_t count = hone_dims_product(x, 0, axis) * q->inner;
    if (count > 0 && q->n == 0) return hone_prepare_fail(p, err, "an index along an axis without elements");
    q->cut = hone_cut_make(count, 0.5 * (double)q->n + 2, 1);
    p->params = q;
    p->run = run;
    p->kernel = least ? "argmin" : "argmax";
    return HONE_OK;
}

static hone_status prepare_max(hone_prepare *p, hone_error *err) {
    return prepare(p, false, err);
}
static hone_status prepare_min(hone_prepare *p, hone_error *err) {
    return prepare(p, true, err);
}

#define AXIS                                                                                                 \
    { "axis", HONE_ATTR_INT }
#define KEEP                                                                                                 \
    { "keepdims", HONE_ATTR_INT, .i = 1 }
static const hone_attr_def arg_1[] = {AXIS, KEEP, {NULL}};
static const hone_op_version older_arg[] = {{12, NULL, NULL}, {1, arg_1, NULL}, {0}};

#define ARG                                                                                                  \
    .since = 13, .oldest = 1, .older = older_arg, .widened = NARROW,                                         \
    .inputs = HONE_SLOTS({"data", 'T', NUMBERS, 0}),                                                         \
    .outputs = HONE_SLOTS({"reduced", 0, HONE_TYPE(HONE_INT64), 0}),                                         \
    .attrs = HONE_ATTRS(AXIS, KEEP, {"select_last_index", HONE_ATTR_INT}), .infer = infer, .axes = axes,     \
    .channels_last = channels_last, .gradient_kind = HONE_GRADIENT_ZERO

const hone_op hone_op_argmax = {
    .name = "ArgMax", ARG, .prepare = prepare_max, .doc = "the index of the largest element along an axis"};

const hone_op hone_op_argmin = {
    .name = "ArgMin", ARG, .prepare = prepare_min, .doc = "the index of the least element along an axis"};

/* --- Hardmax --- */

static hone_status infer_hardmax(hone_infer *ctx, hone_error *err) {
    int axis;
    HONE_TRY(hone_infer_same(ctx, err));
    if (ctx->in[0]->rank < 0) return HONE_OK;
    return hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), ctx->in[0]->rank, false, &axis, err);
}

static void axes_hardmax(const hone_node *n, hone_axes *out) {
    int rank = n->inputs[0]->type.rank, axis = axis_of(n, rank);
    for (int i = 0; i < rank; i++)
        if (i != axis) hone_axes_same(out, 0, i, i);
}

/* Y = (ArgMax(X) == 0, 1, 2, … along the axis) */
static hone_status expand_hardmax(hone_graph *g, hone_node *n, hone_error *err) {
    hone_value *x = n->inputs[0];
    int64_t axis = hone_node_int(n, "axis"), behind[HONE_MAX_RANK];
    if (axis >= 0 && x->type.rank < 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "of a tensor whose rank is not known");
    if (axis >= 0) axis -= x->type.rank; /* from the end */
    hone_value *index = HONE_EMIT(g, "", "ArgMax", x), *size = HONE_EMIT(g, "", "Shape", x);
    if (!index || !size) return HONE_OK;
    hone_node_set_int(g, index->producer, "axis", axis);
    hone_node_set_int(g, size->producer, "start", axis);
    if (axis < -1) hone_node_set_int(g, size->producer, "end", axis + 1);
    hone_value *zero = hone_graph_scalar(g, HONE_INT64, 0), *one = hone_graph_scalar(g, HONE_INT64, 1);
    hone_value *range = HONE_EMIT(g, "", "Range", zero, HONE_EMIT(g, "", "Squeeze", size), one);
    for (int i = 0; i < -1 - axis; i++) behind[i] = i + 1;
    if (axis < -1) range = HONE_EMIT(g, "", "Unsqueeze", range, hone_graph_ints(g, behind, -1 - axis));
    hone_value *y = HONE_EMIT(g, "", "Cast", HONE_EMIT(g, "", "Equal", index, range));
    if (!y) return HONE_OK;
    hone_node_set_int(g, y->producer, "to", x->type.dtype);
    hone_graph_replace(g, n->outputs[0], y);
    return HONE_OK;
}

static const hone_attr_def hardmax_1[] = {{"axis", HONE_ATTR_INT, .i = 1}, {NULL}};
static const hone_op_version older_hardmax[] = {{1, hardmax_1, hone_lift_flat}, {0}};

const hone_op hone_op_hardmax = {.name = "Hardmax",
                                 .since = 13,
                                 .oldest = 1,
                                 .older = older_hardmax,
                                 .inputs = HONE_SLOTS({"input", 'T', HONE_TYPES_FLOAT | HONE_TYPES_HALF, 0}),
                                 .outputs =
                                     HONE_SLOTS({"output", 'T', HONE_TYPES_FLOAT | HONE_TYPES_HALF, 0}),
                                 .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT, .i = -1}),
                                 .infer = infer_hardmax,
                                 .axes = axes_hardmax,
                                 .expand = expand_hardmax,
                                 .gradient_kind = HONE_GRADIENT_ZERO,
                                 .doc = "1 for the first of the largest elements along an axis, else 0"};
