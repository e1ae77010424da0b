/* Slice: a box of a tensor, with steps. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/channels_last.h"
#include "ops/common/reshape.h"
#include "ops/engine/copy.h"

#include <string.h>

#define MOVED HONE_TYPES_ALL
#define INTS HONE_TYPES_INT
#define BOX                                                                                                  \
    {"starts", 'I', INTS, HONE_SLOT_SHAPE}, {"ends", 'I', INTS, HONE_SLOT_SHAPE},                            \
        {"axes", 'I', INTS, HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE}, {                                         \
        "steps", 'I', INTS, HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE                                             \
    }

enum { DATA, STARTS, ENDS, AXES, STEPS, GRADIENT_X };

/* Of each axis of the data. */
typedef struct box {
    bool cut[HONE_MAX_RANK]; /* not taken whole */
    int64_t start[HONE_MAX_RANK], step[HONE_MAX_RANK],
        length[HONE_MAX_RANK]; /* length: a dimension, HONE_DIM_ANY */
} box;

static bool given(const hone_infer *ctx, int input) {
    return input < ctx->input_count && ctx->in[input];
}

/* Where a position that counts from the end, or is out of range, lies on an axis of n; going down, the end may be -1. */
static int64_t clamped(int64_t at, int64_t n, bool down) {
    if (at < 0) at = at < -n ? (down ? -1 : 0) : at + n;
    int64_t last = down ? n - 1 : n;
    return at > last ? last : at;
}

/* One axis: numbers where all is known. An end beyond everything of an axis whose size is a symbol keeps it. */
static void cut_axis(box *b, int axis, int64_t n, hone_item start, hone_item end, hone_item step) {
    b->cut[axis] = true;
    b->length[axis] = HONE_DIM_ANY;
    b->step[axis] = step.value;
    if (start.kind != HONE_ITEM_NUMBER || end.kind != HONE_ITEM_NUMBER || step.kind != HONE_ITEM_NUMBER) {
        bool whole = start.kind == HONE_ITEM_NUMBER && start.value == 0 && step.kind == HONE_ITEM_NUMBER &&
                     step.value == 1 && end.kind == HONE_ITEM_SYMBOL && end.value == n;
        if (whole) b->length[axis] = n;
        return;
    }
    if (n < 0) {
        if (start.value == 0 && step.value == 1 && end.value >= INT32_MAX) b->length[axis] = n;
        return;
    }
    bool down = step.value < 0;
    int64_t from = clamped(start.value, n, down), to = clamped(end.value, n, down);
    if (down && from < 0) from = n ? 0 : -1; /* a start before the first element */
    if (down && start.value < -n) from = -1;
    uint64_t size = down ? -(uint64_t)step.value : (uint64_t)step.value;
    int64_t span = down ? from - to : to - from;
    b->start[axis] = from;
    b->length[axis] = span <= 0 ? 0 : (int64_t)(((uint64_t)span - 1) / size) + 1;
}

/* The box of a tensor of x's shape. False, and all cut lengths unknown, where the axes are not known. */
static hone_status find_box(const hone_infer *ctx, const hone_type *x, box *b, bool *known, hone_error *err) {
    hone_content starts, ends, axes, steps;
    *b = (box){.start = {0}};
    *known = false;
    for (int i = 0; i < x->rank; i++) {
        b->length[i] = x->dims[i];
        b->step[i] = 1;
    }
    bool has_starts = hone_infer_items(ctx, STARTS, &starts), has_ends = hone_infer_items(ctx, ENDS, &ends);
    bool has_axes = hone_infer_items(ctx, AXES, &axes), has_steps = hone_infer_items(ctx, STEPS, &steps);
    int count = has_axes ? axes.count : has_starts ? starts.count : has_ends ? ends.count : -1;
    if (count < 0 || (given(ctx, AXES) && !(has_axes && hone_content_is_known(&axes)))) {
        for (int i = 0; i < x->rank; i++) b->length[i] = HONE_DIM_ANY;
        return HONE_OK;
    }
    if ((has_starts && starts.count != count) || (has_ends && ends.count != count) ||
        (has_steps && steps.count != count) || count > x->rank)
        return hone_infer_fail(ctx, err, "starts, ends, axes and steps are not of the same length");
    *known = true;
    for (int i = 0; i < count; i++) {
        const hone_item unknown = {HONE_ITEM_UNKNOWN, 0}, one = {HONE_ITEM_NUMBER, 1};
        hone_item step = given(ctx, STEPS) ? (has_steps ? steps.item[i] : unknown) : one;
        int axis;
        HONE_TRY(hone_infer_axis(ctx, has_axes ? axes.item[i].value : i, x->rank, false, &axis, err));
        if (b->cut[axis]) return hone_infer_fail(ctx, err, "axis %d is there twice", axis);
        if (step.kind == HONE_ITEM_NUMBER && step.value == 0) return hone_infer_fail(ctx, err, "a step is 0");
        cut_axis(b, axis, x->dims[axis], has_starts ? starts.item[i] : unknown,
                 has_ends ? ends.item[i] : unknown, step);
    }
    return HONE_OK;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[DATA];
    box b;
    bool known;
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(find_box(ctx, x, &b, &known, err));
    ctx->out[0].rank = x->rank;
    memcpy(ctx->out[0].dims, b.length, (size_t)x->rank * sizeof *b.length);
    return HONE_OK;
}

/* Axes that keep their size and are not reversed. */
static void axes(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[0]->type, *y = &n->outputs[0]->type;
    for (int i = 0; i < x->rank && y->rank == x->rank; i++) {
        bool same = x->dims[i] == y->dims[i] && x->dims[i] != HONE_DIM_ANY && n->input_count < 5;
        hone_axes_add(
            out, (hone_axis_link){same ? HONE_AXIS_SAME : HONE_AXIS_BLOCKED, .axis = i, .output_axis = i});
    }
}

/* A part of the leading axis that is not of size 1: one run of bytes. */
static bool view(const hone_infer *ctx, int output, hone_view *v) {
    (void)output;
    const hone_type *x = ctx->in[DATA];
    box b;
    bool known;
    if (!hone_dtype_size(x->dtype)) return false; /* it may begin within a byte */
    if (find_box(ctx, x, &b, &known, NULL) != HONE_OK || !known) return false;
    size_t offset = 0;
    bool lead = true;
    for (int i = 0; i < x->rank; i++) {
        bool whole = !b.cut[i] || (b.length[i] == x->dims[i] && b.step[i] == 1);
        if (!whole && !(lead && b.step[i] == 1)) return false;
        if (!whole)
            offset = (size_t)(b.start[i] * hone_dims_product(x, i + 1, x->rank)) * hone_dtype_size(x->dtype);
        if (!whole || x->dims[i] != 1) lead = false;
    }
    *v = (hone_view){0, offset};
    return true;
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    hone_copy_run(step->params, frame, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0));
    return HONE_OK;
}

/* A copy between the box and a tensor of x's shape: out of it, or into it. */
static hone_status make_copy(hone_prepare *p, const hone_type *x, bool into, hone_copy *c, hone_error *err) {
    const hone_infer ctx = {
        .node = p->node, .input_count = p->in_count, .in = p->in, .constant = p->constant};
    box b;
    bool known;
    HONE_TRY(find_box(&ctx, x, &b, &known, err));
    int64_t strides[HONE_MAX_RANK], steps[HONE_MAX_RANK], own[HONE_MAX_RANK], start = 0;
    hone_strides_of(x->rank, x->dims, strides);
    hone_strides_of(x->rank, b.length, own);
    bool empty = false;
    for (int i = 0; i < x->rank; i++) {
        start += b.start[i] * strides[i];
        steps[i] = strides[i] * b.step[i];
        empty |= b.length[i] == 0;
    }
    hone_copy_make(c, x->dtype, x->rank, b.length, into ? own : steps, into ? steps : own);
    *(into ? &c->y_start : &c->x_start) = empty ? 0 : start;
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    hone_copy *c = hone_prepare_alloc(p, sizeof *c);
    if (!c) return hone_fail_memory(err);
    p->params = c;
    p->run = run;
    p->kernel = "slice";
    return make_copy(p, p->in[DATA], false, c, err);
}

static void gradient(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    hone_value *in[GRADIENT_X + 1] = {ctx->dout[0], [GRADIENT_X] = n->inputs[DATA]};
    for (int i = STARTS; i < n->input_count; i++) in[i] = n->inputs[i];
    if (ctx->wanted[DATA])
        ctx->din[DATA] = hone_graph_emit(ctx->graph, HONE_PRIVATE_DOMAIN, "SliceGrad", in, GRADIENT_X + 1);
}

/* Before opset 10 the box was in attributes. */
static hone_status lift_attributes(hone_graph *g, hone_node *n, hone_error *err) {
    static const char *const names[] = {"starts", "ends", "axes"};
    g->insert_before = n;
    for (int i = 0; i < 3; i++) {
        size_t count;
        const int64_t *x = hone_node_ints(n, names[i], &count);
        if (count) hone_node_set_input(g, n, STARTS + i, hone_graph_ints(g, x, (int64_t)count));
    }
    g->insert_before = NULL;
    return hone_graph_check(g, err);
}

static const hone_attr_def slice_1[] = {{"axes", HONE_ATTR_INTS},
                                        {"starts", HONE_ATTR_INTS, .required = true},
                                        {"ends", HONE_ATTR_INTS, .required = true},
                                        {NULL}};

/* The list of axes has the type of the others. */
static hone_value *channels_last(hone_channels_last *ctx) {
    const hone_type *starts = &ctx->node->inputs[STARTS]->type;
    if (starts->rank != 1 || starts->dtype != HONE_INT64) return NULL;
    return hone_last_by_axes(ctx, AXES, starts->dims[0]);
}

const hone_op hone_op_slice = {
    .name = "Slice",
    .since = 13,
    .oldest = 1,
    .older = (const hone_op_version[]){{10, NULL, NULL}, {1, slice_1, lift_attributes}, {0}},
    .inputs = HONE_SLOTS({"data", 'T', MOVED, 0}, BOX),
    .outputs = HONE_SLOTS({"output", 'T', MOVED, 0}),
    .infer = infer,
    .axes = axes,
    .view = view,
    .channels_last = channels_last,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .quantize = HONE_QUANTIZE_BITS,
    .doc = "a box of a tensor, with steps that may be negative"};

/* --- SliceGrad --- dY in its place, zeros around it */

typedef struct params {
    hone_copy copy;
    size_t bytes; /* of the output */
} params;

static hone_status run_gradient(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    void *dx = hone_step_out(step, frame, 0);
    if (p->bytes) memset(dx, 0, p->bytes);
    hone_copy_run(&p->copy, frame, hone_step_in(step, frame, 0), dx);
    return HONE_OK;
}

static hone_status prepare_gradient(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    q->bytes = hone_type_bytes(&p->out[0]);
    p->params = q;
    p->run = run_gradient;
    p->kernel = "slice's gradient";
    return make_copy(p, p->in[GRADIENT_X], true, &q->copy, err);
}

static hone_status infer_gradient(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, GRADIENT_X);
}

const hone_op hone_op_slice_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "SliceGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dY", 'T', HONE_TYPES_FLOAT, 0}, BOX, {"X", 'T', HONE_TYPES_FLOAT, 0}),
    .outputs = HONE_SLOTS({"dX", 'T', HONE_TYPES_FLOAT, 0}),
    .infer = infer_gradient,
    .prepare = prepare_gradient,
    .doc = "dY where Slice took it from, and zeros"};
