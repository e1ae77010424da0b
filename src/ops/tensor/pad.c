/* Pad, CenterCropPad, Tile: where an element of the output comes from is said axis by axis. Their gradients are the sums of
 * all that came from an element. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/channels_last.h"
#include "ops/common/gradient.h"
#include "ops/common/legacy.h"
#include "ops/common/reshape.h"
#include "ops/engine/pick.h"
#include "ops/engine/resample.h"

#include <string.h>

/* How positions beyond the ends of an axis are filled. */
typedef enum mode { CONSTANT, REFLECT, EDGE, WRAP } mode;

/* What is known of the axes' lengths and where they begin: position 0 of y is position -begin of x. */
typedef struct frames {
    mode mode;
    int64_t begin[HONE_MAX_RANK];
    bool known[HONE_MAX_RANK];
} frames;

/* Position `at` of an axis of n, which may lie outside; -1: nowhere. */
static int64_t position(mode m, int64_t at, int64_t n) {
    if (at >= 0 && at < n) return at;
    if (m == EDGE) return at < 0 ? 0 : n - 1;
    if (m == WRAP) return (at % n + n) % n;
    if (m == CONSTANT) return -1;
    int64_t period = n > 1 ? 2 * (n - 1) : 1, k = (at % period + period) % period;
    return k < n ? k : period - k;
}

/* Tables of positions for hone_pick_make; an axis that stays has none. */
static hone_status make_tables(hone_prepare *p, const frames *f, const hone_type *x, const hone_type *y,
                               int64_t **from, hone_error *err) {
    for (int d = 0; d < y->rank; d++) {
        int64_t n = x->dims[d], m = y->dims[d];
        from[d] = NULL;
        if (f->begin[d] == 0 && n == m) continue;
        if (f->mode != CONSTANT && n == 0 && m > 0)
            return hone_prepare_fail(p, err, "axis %d has no elements to pad with", d);
        from[d] = hone_prepare_alloc(p, ((size_t)m + 1) * sizeof **from);
        if (!from[d]) return hone_fail_memory(err);
        for (int64_t i = 0; i < m; i++) from[d][i] = position(f->mode, i - f->begin[d], n);
    }
    return HONE_OK;
}

typedef struct params {
    hone_pick *pick;
    int value; /* the input that fills, or -1 */
} params;

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    hone_pick_run(p->pick, frame, hone_step_in(step, frame, 0),
                  p->value < 0 ? NULL : hone_step_in(step, frame, p->value), hone_step_out(step, frame, 0));
    return HONE_OK;
}

static hone_status prepare_pick(hone_prepare *p, const frames *f, int value, const char *kernel,
                                hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    int64_t *from[HONE_MAX_RANK];
    if (!q) return hone_fail_memory(err);
    HONE_TRY(make_tables(p, f, p->in[0], &p->out[0], from, err));
    q->value = value;
    p->params = q;
    p->run = run;
    p->kernel = kernel;
    return hone_pick_make(p, p->in[0], &p->out[0], from, &q->pick, err);
}

static hone_status run_gradient(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    hone_resample_run(step->params, frame, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0),
                      hone_step_scratch(step, frame));
    return HONE_OK;
}

/* From input 0, dY, to the shape of X. */
static hone_status prepare_gradient(hone_prepare *p, const frames *f, const hone_type *x, hone_error *err) {
    const hone_type *dy = p->in[0];
    int64_t *from[HONE_MAX_RANK];
    const hone_taps *taps[HONE_MAX_RANK];
    hone_resample *q;
    HONE_TRY(make_tables(p, f, x, dy, from, err));
    for (int d = 0; d < x->rank; d++) {
        taps[d] = NULL;
        if (!from[d]) continue;
        const hone_taps *t = hone_taps_of(p, from[d], dy->dims[d]);
        taps[d] = t ? hone_taps_transposed(p, t, x->dims[d]) : NULL;
        if (!taps[d]) return hone_fail_memory(err);
    }
    HONE_TRY(hone_resample_make(p, dy, &p->out[0], taps, 0, &q, err));
    p->params = q;
    p->run = run_gradient;
    p->kernel = "padding's gradient";
    return HONE_OK;
}

/* Axes of a node's inputs that stay as they are; `f` as its constants tell. */
static void link_axes(const hone_type *x, const hone_type *y, const frames *f, hone_axes *out) {
    for (int d = 0; d < x->rank && y->rank == x->rank; d++) {
        bool same = f->known[d] && f->begin[d] == 0 && x->dims[d] == y->dims[d] && x->dims[d] != HONE_DIM_ANY;
        hone_axes_add(
            out, (hone_axis_link){same ? HONE_AXIS_SAME : HONE_AXIS_BLOCKED, .axis = d, .output_axis = d});
    }
}

/* --- Pad --- */

enum { DATA, PADS, VALUE, AXES };

static bool mode_of(const hone_node *n, mode *m) {
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    for (int i = CONSTANT; i <= WRAP; i++)
        if (strcmp(hone_node_string(n, "mode"), names[i]) == 0) {
            *m = (mode)i;
            return true;
        }
    return false;
}

/* What pads and axes say of a tensor of x's shape, and its new dimensions. */
static hone_status find_pads(const hone_infer *ctx, const hone_type *x, frames *f, int64_t *dims,
                             hone_error *err) {
    hone_content pads, axes = {.count = 0};
    bool seen[HONE_MAX_RANK] = {false}, has_pads = hone_infer_items(ctx, PADS, &pads);
    bool given = AXES < ctx->input_count && ctx->in[AXES];
    *f = (frames){.mode = CONSTANT};
    if (!mode_of(ctx->node, &f->mode))
        return hone_infer_fail(ctx, err, "mode \"%s\" is unknown", hone_node_string(ctx->node, "mode"));
    bool has_axes = !given || (hone_infer_items(ctx, AXES, &axes) && hone_content_is_known(&axes));
    for (int d = 0; d < x->rank; d++) dims[d] = HONE_DIM_ANY;
    if (!has_axes) return HONE_OK;
    int count = given ? axes.count : x->rank;
    if (has_pads && pads.count != 2 * count)
        return hone_infer_fail(ctx, err, "%d pads where %d are needed", pads.count, 2 * count);
    for (int i = 0; i < count && count <= x->rank; i++) {
        int d;
        HONE_TRY(hone_infer_axis(ctx, given ? axes.item[i].value : i, x->rank, false, &d, err));
        if (seen[d]) return hone_infer_fail(ctx, err, "axis %d is there twice", d);
        seen[d] = true;
        if (!has_pads || pads.item[i].kind != HONE_ITEM_NUMBER) continue;
        f->begin[d] = pads.item[i].value;
        f->known[d] = pads.item[count + i].kind == HONE_ITEM_NUMBER;
        int64_t more = f->begin[d] + pads.item[count + i].value;
        if (!f->known[d] || (x->dims[d] < 0 && more)) continue;
        dims[d] = x->dims[d] + more;
        if (x->dims[d] >= 0 && dims[d] < 0)
            return hone_infer_fail(ctx, err, "pads take %lld from axis %d, which has %lld", (long long)-more,
                                   d, (long long)x->dims[d]);
    }
    for (int d = 0; d < x->rank; d++) {
        if (seen[d]) continue;
        dims[d] = x->dims[d];
        f->known[d] = true;
    }
    return HONE_OK;
}

static hone_status infer_pad(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[DATA];
    hone_type *y = &ctx->out[0];
    frames f;
    if (x->rank < 0) return HONE_OK;
    y->rank = x->rank;
    return find_pads(ctx, x, &f, y->dims, err);
}

/* As find_pads, of a node in a plan. */
static hone_status prepared_pads(const hone_prepare *p, const hone_type *x, frames *f, hone_error *err) {
    const hone_infer ctx = {
        .node = p->node, .input_count = p->in_count, .in = p->in, .constant = p->constant};
    int64_t dims[HONE_MAX_RANK];
    return find_pads(&ctx, x, f, dims, err);
}

static hone_status prepare_pad(hone_prepare *p, hone_error *err) {
    frames f;
    HONE_TRY(prepared_pads(p, p->in[DATA], &f, err));
    bool given = VALUE < p->in_count && p->in[VALUE];
    if (given && hone_type_count(p->in[VALUE]) != 1)
        return hone_prepare_fail(p, err, "the value must be one element");
    return prepare_pick(p, &f, given ? VALUE : -1, "pad", err);
}

static void axes_pad(const hone_node *n, hone_axes *out) {
    const hone_type *in[4] = {NULL};
    const hone_tensor *constant[4] = {NULL};
    for (int i = 0; i < n->input_count; i++) {
        in[i] = n->inputs[i] ? &n->inputs[i]->type : NULL;
        constant[i] = hone_value_constant(n->inputs[i]);
    }
    const hone_infer ctx = {.node = n, .input_count = n->input_count, .in = in, .constant = constant};
    int64_t dims[HONE_MAX_RANK];
    frames f;
    if (in[DATA]->rank >= 0 && find_pads(&ctx, in[DATA], &f, dims, NULL) == HONE_OK)
        link_axes(in[DATA], &n->outputs[0]->type, &f, out);
}

/* Padding with constants is undone by taking as much away; what a value has filled is all the rest. */
static void gradient_pad(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    hone_graph *g = ctx->graph;
    hone_value *dy = ctx->dout[0], *axes = n->input_count > AXES ? n->inputs[AXES] : NULL, *dx;
    mode m = CONSTANT;
    mode_of(n, &m);
    if (m == CONSTANT)
        dx = HONE_EMIT(g, "", "Pad", dy, HONE_EMIT(g, "", "Neg", n->inputs[PADS]), NULL, axes);
    else {
        dx = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "PadGrad", dy, n->inputs[PADS], n->inputs[DATA], axes);
        if (dx) hone_node_copy_attrs(g, dx->producer, n);
    }
    if (ctx->wanted[DATA]) ctx->din[DATA] = dx;
    if (m != CONSTANT || n->input_count <= VALUE || !ctx->wanted[VALUE]) return;
    hone_value *rest = hone_gradient_emit(ctx, "Sub", hone_gradient_emit1(ctx, "ReduceSum", dy),
                                          hone_gradient_emit1(ctx, "ReduceSum", dx));
    ctx->din[VALUE] = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "ReshapeLike", rest, n->inputs[VALUE]);
}

/* Before opset 11 pads and value were attributes, before opset 2 of another name. */
static hone_status lift_pads(hone_graph *g, hone_node *n, const char *name, hone_error *err) {
    size_t count;
    const int64_t *pads = hone_node_ints(n, name, &count);
    float value = hone_node_float(n, "value");
    hone_value *in[] = {n->inputs[0], hone_graph_ints(g, pads, (int64_t)count), NULL};
    g->insert_before = n;
    if (value != 0) in[2] = HONE_EMIT(g, "", "CastLike", hone_graph_scalar(g, HONE_FLOAT32, value), in[0]);
    hone_node *newest = hone_graph_add_node(g, n->op, n->name, 3, in, 1);
    if (newest) hone_node_set_string(g, newest, "mode", hone_node_string(n, "mode"));
    g->insert_before = NULL;
    if (newest) hone_lift_replace(g, n, newest->outputs[0]);
    return hone_graph_check(g, err);
}

static hone_status lift_pad_2(hone_graph *g, hone_node *n, hone_error *err) {
    return lift_pads(g, n, "pads", err);
}
static hone_status lift_pad_1(hone_graph *g, hone_node *n, hone_error *err) {
    return lift_pads(g, n, "paddings", err);
}

#define MODE                                                                                                 \
    { "mode", HONE_ATTR_STRING, .s = "constant" }

static const hone_attr_def pad_2[] = {
    MODE, {"pads", HONE_ATTR_INTS, .required = true}, {"value", HONE_ATTR_FLOAT}, {NULL}};
static const hone_attr_def pad_1[] = {
    MODE, {"paddings", HONE_ATTR_INTS, .required = true}, {"value", HONE_ATTR_FLOAT}, {NULL}};
/* Opset 18 brought axes, 19 another mode. */
static const hone_op_version older_pad[] = {
    {19, NULL, NULL}, {11, NULL, hone_lift_nothing}, {2, pad_2, lift_pad_2}, {1, pad_1, lift_pad_1}, {0}};

static hone_value *pad_channels_last(hone_channels_last *ctx) {
    return hone_last_by_axes(ctx, 3, ctx->node->inputs[0]->type.rank);
}

const hone_op hone_op_pad = {
    .name = "Pad",
    .since = 25,
    .oldest = 1,
    .older = older_pad,
    .inputs =
        HONE_SLOTS({"data", 'T', HONE_TYPES_ALL, 0}, {"pads", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_SHAPE},
                   {"constant_value", 'T', HONE_TYPES_ALL, HONE_SLOT_OPTIONAL},
                   {"axes", 0, HONE_TYPES_INT, HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE}),
    .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_ALL, 0}),
    .attrs = HONE_ATTRS(MODE),
    .infer = infer_pad,
    .axes = axes_pad,
    .channels_last = pad_channels_last,
    .prepare = prepare_pad,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient_pad,
    .doc = "with more elements at the ends of axes, or fewer: a value, mirrored ones, the last ones, or "
           "those of the other end"};

/* --- PadGrad --- of what is filled from the tensor itself */

enum { GRADIENT_X = 2 };

static hone_status infer_pad_grad(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, GRADIENT_X);
}

static hone_status prepare_pad_grad(hone_prepare *p, hone_error *err) {
    frames f;
    HONE_TRY(prepared_pads(p, p->in[GRADIENT_X], &f, err));
    return prepare_gradient(p, &f, p->in[GRADIENT_X], err);
}

const hone_op hone_op_pad_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "PadGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dY", 'T', HONE_TYPES_FLOAT, 0},
                         {"pads", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_SHAPE}, {"X", 'T', HONE_TYPES_FLOAT, 0},
                         {"axes", 0, HONE_TYPES_INT, HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE}),
    .outputs = HONE_SLOTS({"dX", 'T', HONE_TYPES_FLOAT, 0}),
    .attrs = HONE_ATTRS(MODE),
    .infer = infer_pad_grad,
    .prepare = prepare_pad_grad,
    .doc = "the sums of all that Pad made of an element"};

/* --- CenterCropPad --- */

/* The axes of its attribute, or all of them. */
static hone_status crop_axes(const hone_infer *ctx, int rank, int *count, int *axes, hone_error *err) {
    size_t given;
    const int64_t *list = hone_node_ints(ctx->node, "axes", &given);
    bool seen[HONE_MAX_RANK] = {false};
    *count = list ? (int)given : rank;
    if (*count > rank) return hone_infer_fail(ctx, err, "an axis is there twice");
    for (int i = 0; i < *count; i++) {
        HONE_TRY(hone_infer_axis(ctx, list ? list[i] : i, rank, false, &axes[i], err));
        if (seen[axes[i]]) return hone_infer_fail(ctx, err, "axis %d is there twice", axes[i]);
        seen[axes[i]] = true;
    }
    return HONE_OK;
}

static hone_status infer_crop(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_type *y = &ctx->out[0];
    hone_content shape;
    int count, axes[HONE_MAX_RANK];
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(crop_axes(ctx, x->rank, &count, axes, err));
    HONE_TRY(hone_infer_same(ctx, err));
    bool known = hone_infer_items(ctx, 1, &shape);
    if (known && shape.count != count)
        return hone_infer_fail(ctx, err, "the shape has %d numbers for %d axes", shape.count, count);
    for (int i = 0; i < count; i++) {
        y->dims[axes[i]] = known ? hone_dim_of_item(shape.item[i]) : HONE_DIM_ANY;
        if (known && shape.item[i].kind == HONE_ITEM_NUMBER && shape.item[i].value < 0)
            return hone_infer_fail(ctx, err, "the shape has a negative dimension");
    }
    return HONE_OK;
}

/* Where more is lacking or too much at one end than at the other, it is at the last. */
static int64_t crop_begin(int64_t from, int64_t to) {
    return to >= from ? (to - from) / 2 : -((from - to) / 2);
}

static hone_status prepare_crop(hone_prepare *p, hone_error *err) {
    frames f = {.mode = CONSTANT};
    const hone_type *x = p->in[0], *y = &p->out[0];
    for (int d = 0; d < x->rank; d++) f.begin[d] = crop_begin(x->dims[d], y->dims[d]);
    return prepare_pick(p, &f, -1, "center crop", err);
}

static void axes_crop(const hone_node *n, hone_axes *out) {
    frames f = {.mode = CONSTANT};
    for (int d = 0; d < HONE_MAX_RANK; d++) f.known[d] = true;
    link_axes(&n->inputs[0]->type, &n->outputs[0]->type, &f, out);
}

/* What was cut away comes back as zeros, at the same ends. */
static void gradient_crop(hone_gradient *ctx) {
    hone_graph *g = ctx->graph;
    const hone_node *n = ctx->node;
    size_t count;
    const int64_t *axes = hone_node_ints(n, "axes", &count);
    hone_value *shape = HONE_EMIT(g, "", "Shape", n->inputs[0]);
    if (axes) {
        int64_t list[HONE_MAX_RANK];
        for (size_t i = 0; i < count; i++) list[i] = axes[i];
        shape = HONE_EMIT(g, "", "Gather", shape, hone_graph_ints(g, list, (int64_t)count));
    }
    ctx->din[0] = HONE_EMIT(g, "", "CenterCropPad", ctx->dout[0], shape);
    if (ctx->din[0]) hone_node_copy_attrs(g, ctx->din[0]->producer, n);
}

const hone_op hone_op_center_crop_pad = {
    .name = "CenterCropPad",
    .since = 18,
    .oldest = 18,
    .inputs =
        HONE_SLOTS({"input_data", 'T', HONE_TYPES_ALL, 0}, {"shape", 0, HONE_TYPES_INT, HONE_SLOT_SHAPE}),
    .outputs = HONE_SLOTS({"output_data", 'T', HONE_TYPES_ALL, 0}),
    .attrs = HONE_ATTRS({"axes", HONE_ATTR_INTS}),
    .infer = infer_crop,
    .axes = axes_crop,
    .prepare = prepare_crop,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient_crop,
    .doc = "the middle of a tensor, or zeros around it, so that axes have a given length"};

/* --- Tile --- what lies beyond the end is the other end's again */

static hone_status infer_tile(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_type *y = &ctx->out[0];
    hone_content repeats;
    if (x->rank < 0) return HONE_OK;
    bool known = hone_infer_items(ctx, 1, &repeats);
    if (known && repeats.count != x->rank)
        return hone_infer_fail(ctx, err, "%d repeats for %d axes", repeats.count, x->rank);
    y->rank = x->rank;
    for (int d = 0; d < x->rank; d++) {
        hone_item r = known ? repeats.item[d] : (hone_item){HONE_ITEM_UNKNOWN, 0};
        y->dims[d] = HONE_DIM_ANY;
        if (r.kind == HONE_ITEM_NUMBER && r.value < 0)
            return hone_infer_fail(ctx, err, "a number of repeats is negative");
        if (r.kind == HONE_ITEM_NUMBER && (r.value == 1 || x->dims[d] == 0))
            y->dims[d] = x->dims[d];
        else if (x->dims[d] == 1)
            y->dims[d] = hone_dim_of_item(r);
        else if (r.kind == HONE_ITEM_NUMBER && x->dims[d] >= 0) {
            if (r.value > INT64_MAX / x->dims[d]) return hone_infer_fail(ctx, err, "too many repeats");
            y->dims[d] = r.value * x->dims[d];
        }
    }
    return HONE_OK;
}

static hone_status prepare_tile(hone_prepare *p, hone_error *err) {
    return prepare_pick(p, &(frames){.mode = WRAP}, -1, "tile", err);
}

static void axes_tile(const hone_node *n, hone_axes *out) {
    frames f = {.mode = WRAP};
    for (int d = 0; d < HONE_MAX_RANK; d++) f.known[d] = true;
    link_axes(&n->inputs[0]->type, &n->outputs[0]->type, &f, out);
}

static void gradient_tile(hone_gradient *ctx) {
    ctx->din[0] = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "TileGrad", ctx->dout[0], ctx->node->inputs[0]);
}

/* Opset 1 had one axis and how often. */
static hone_status lift_tile_1(hone_graph *g, hone_node *n, hone_error *err) {
    static const char *const wanted[] = {"tiles", "axis"};
    int64_t given[2];
    hone_type x;
    for (int i = 0; i < 2; i++) {
        const hone_tensor *t = n->input_count > i + 1 ? hone_value_constant(n->inputs[i + 1]) : NULL;
        if (!t || t->count != 1)
            return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                                  "before opset 6, with %s that are no constant", wanted[i]);
        given[i] = (int64_t)hone_tensor_number(t, 0);
    }
    if (!hone_lift_type(g, n->inputs[0], &x)) return hone_fail_memory(err);
    if (given[1] < 0) given[1] += x.rank;
    if (x.rank < 0 || given[1] < 0 || given[1] >= x.rank)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "before opset 6, along an axis that is not known to be there");
    int64_t repeats[HONE_MAX_RANK];
    for (int d = 0; d < x.rank; d++) repeats[d] = d == given[1] ? given[0] : 1;
    g->insert_before = n;
    hone_value *y = HONE_EMIT(g, "", "Tile", n->inputs[0], hone_graph_ints(g, repeats, x.rank));
    g->insert_before = NULL;
    hone_lift_replace(g, n, y);
    return hone_graph_check(g, err);
}

const hone_op hone_op_tile = {
    .name = "Tile",
    .since = 13,
    .oldest = 1,
    .older = (const hone_op_version[]){{6, NULL, NULL}, {1, NULL, lift_tile_1}, {0}},
    .inputs =
        HONE_SLOTS({"input", 'T', HONE_TYPES_ALL, 0}, {"repeats", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_SHAPE}),
    .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_ALL, 0}),
    .infer = infer_tile,
    .axes = axes_tile,
    .moves = true,
    .prepare = prepare_tile,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient_tile,
    .quantize = HONE_QUANTIZE_BITS,
    .doc = "one tensor several times along each axis"};

static hone_status infer_tile_grad(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, 1);
}

static hone_status prepare_tile_grad(hone_prepare *p, hone_error *err) {
    return prepare_gradient(p, &(frames){.mode = WRAP}, p->in[1], err);
}

const hone_op hone_op_tile_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "TileGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dY", 'T', HONE_TYPES_FLOAT, 0}, {"X", 'T', HONE_TYPES_FLOAT, 0}),
    .outputs = HONE_SLOTS({"dX", 'T', HONE_TYPES_FLOAT, 0}),
    .infer = infer_tile_grad,
    .prepare = prepare_tile_grad,
    .doc = "the sums of all that Tile made of an element"};
