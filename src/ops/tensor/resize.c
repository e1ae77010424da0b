/* Resize and Upsample: positions of each axis come from others along it, or are weighed sums of some.
 *
 *   coordinates   where position i of y lies on the axis of x, by coordinate_transformation_mode
 *   nearest       one position: a move
 *   linear        two, cubic four, more where antialiasing widens the filter: weighed sums, axis by axis */
#include "ops/tensor/resize.h"
#include "graph/infer.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/channels_last.h"
#include "ops/common/gradient.h"
#include "ops/common/legacy.h"
#include "ops/common/reshape.h"
#include "ops/engine/pick.h"
#include "ops/engine/resample.h"

#include <string.h>

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[HONE_RESIZE_X];
    hone_type *y = &ctx->out[0];
    hone_resize_settings s;
    hone_resize_axis a[HONE_MAX_RANK];
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(hone_resize_find_axes(ctx, x, &s, a, err));
    if (s.mode != HONE_RESIZE_NEAREST && x->dtype != HONE_UNDEFINED &&
        !(HONE_TYPES_FIXED & HONE_TYPE(x->dtype)))
        return hone_infer_fail(ctx, err, "there is nothing between elements of type %s",
                               hone_dtype_name(x->dtype));
    y->rank = x->rank;
    for (int d = 0; d < x->rank; d++) y->dims[d] = a[d].out;
    return HONE_OK;
}

/* --- Resize --- */

typedef struct params {
    hone_pick *pick;
    uint64_t fill[2]; /* one element */
    hone_resample *resample;
} params;

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    const void *x = hone_step_in(step, frame, 0);
    void *y = hone_step_out(step, frame, 0);
    if (p->pick)
        hone_pick_run(p->pick, frame, x, p->fill, y);
    else
        hone_resample_run(p->resample, frame, x, y, hone_step_scratch(step, frame));
    return HONE_OK;
}

/* The axes as the node's inputs say, from x to y. */
static hone_status prepared_axes(const hone_prepare *p, const hone_type *x, hone_resize_settings *s,
                                 hone_resize_axis *a, hone_error *err) {
    const hone_infer ctx = {
        .node = p->node, .input_count = p->in_count, .in = p->in, .constant = p->constant};
    HONE_TRY(hone_resize_find_axes(&ctx, x, s, a, err));
    for (int d = 0; d < x->rank; d++)
        if (a[d].in == 0 && a[d].out > 0)
            return hone_prepare_fail(p, err, "axis %d has no elements to resize", d);
    return HONE_OK;
}

static hone_status prepare_nearest(hone_prepare *p, params *q, const hone_resize_settings *s,
                                   const hone_resize_axis *a, hone_error *err) {
    const hone_type *x = p->in[HONE_RESIZE_X];
    int64_t *from[HONE_MAX_RANK];
    const float value = hone_node_float(p->node, "extrapolation_value");
    for (int d = 0; d < x->rank; d++) {
        from[d] = hone_resize_stays(s, &a[d]) ? NULL : hone_resize_nearest(p, s, &a[d]);
        if (!from[d] && !hone_resize_stays(s, &a[d])) return hone_fail_memory(err);
    }
    if (hone_cast_is_small(x->dtype))
        hone_cast_small(HONE_FLOAT32, x->dtype, &value, q->fill, 1, HONE_SMALL_ROUNDING);
    else
        hone_cast(HONE_FLOAT32, x->dtype, &value, q->fill, 1);
    p->kernel = "pick nearest";
    return hone_pick_make(p, x, &p->out[0], from, &q->pick, err);
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    hone_resize_settings s;
    hone_resize_axis a[HONE_MAX_RANK];
    const hone_taps *taps[HONE_MAX_RANK];
    if (!q) return hone_fail_memory(err);
    p->params = q;
    p->run = run;
    HONE_TRY(prepared_axes(p, p->in[HONE_RESIZE_X], &s, a, err));
    if (s.mode == HONE_RESIZE_NEAREST) return prepare_nearest(p, q, &s, a, err);
    for (int d = 0; d < p->in[HONE_RESIZE_X]->rank; d++) {
        taps[d] = hone_resize_stays(&s, &a[d]) ? NULL : hone_resize_taps(p, &s, &a[d]);
        if (!taps[d] && !hone_resize_stays(&s, &a[d])) return hone_fail_memory(err);
    }
    p->kernel = "interpolate";
    return hone_resample_make(p, p->in[HONE_RESIZE_X], &p->out[0], taps,
                              hone_node_float(p->node, "extrapolation_value"), &q->resample, err);
}

/* Axes that nobody resizes. */
static void axes(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[HONE_RESIZE_X]->type;
    size_t count;
    const int64_t *list = hone_node_ints(n, "axes", &count);
    const hone_tensor *scales =
        n->input_count > HONE_RESIZE_SCALES ? hone_value_constant(n->inputs[HONE_RESIZE_SCALES]) : NULL;
    bool same[HONE_MAX_RANK];
    for (int d = 0; d < x->rank; d++) same[d] = list && count;
    for (int i = 0; i < x->rank; i++) {
        int d = i;
        if (list && count) {
            if (i >= (int)count) break;
            d = (int)(list[i] < 0 ? list[i] + x->rank : list[i]);
        }
        bool kept = scales && scales->count > i && hone_tensor_number(scales, i) == 1;
        same[d] =
            kept && strcmp(hone_node_string(n, "coordinate_transformation_mode"), "tf_crop_and_resize") != 0;
    }
    for (int d = 0; d < x->rank; d++)
        hone_axes_add(
            out, (hone_axis_link){same[d] ? HONE_AXIS_SAME : HONE_AXIS_BLOCKED, .axis = d, .output_axis = d});
}

static void gradient(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    hone_value *in[HONE_RESIZE_GRADIENT_X + 1] = {ctx->dout[0], [HONE_RESIZE_GRADIENT_X] =
                                                                    n->inputs[HONE_RESIZE_X]};
    for (int i = HONE_RESIZE_ROI; i < n->input_count; i++) in[i] = n->inputs[i];
    ctx->din[HONE_RESIZE_X] =
        hone_graph_emit(ctx->graph, HONE_PRIVATE_DOMAIN, "ResizeGrad", in, HONE_RESIZE_GRADIENT_X + 1);
    if (ctx->din[HONE_RESIZE_X]) hone_node_copy_attrs(ctx->graph, ctx->din[HONE_RESIZE_X]->producer, n);
}

/* Before opset 11 positions were multiples of what a scale makes of one; the nearest was the one before, or, of an axis
 * that shrinks, the one behind. Where axes of both kinds are resized, those that grow come first. */
static hone_value *emit_resize(hone_graph *g, hone_value *x, hone_value *scales, const hone_node *n,
                               const char *nearest) {
    hone_value *y = HONE_EMIT(g, "", "Resize", x, NULL, scales);
    if (!y) return NULL;
    hone_node_set_string(g, y->producer, "mode", hone_node_string(n, "mode"));
    hone_node_set_string(g, y->producer, "coordinate_transformation_mode", "asymmetric");
    hone_node_set_string(g, y->producer, "nearest_mode", nearest);
    return y;
}

static hone_status lift_resize_10(hone_graph *g, hone_node *n, hone_error *err) {
    hone_value *scales = n->input_count > 1 ? n->inputs[1] : NULL, *y = n->inputs[0];
    const hone_tensor *known = hone_value_constant(scales);
    bool grows = !known, shrinks = false;
    float part[2][HONE_MAX_RANK];
    int count = known && known->count <= HONE_MAX_RANK ? (int)known->count : 0;
    for (int i = 0; i < count; i++) {
        float scale = (float)hone_tensor_number(known, i);
        grows |= scale > 1;
        shrinks |= scale < 1;
        part[0][i] = scale > 1 ? scale : 1;
        part[1][i] = scale < 1 ? scale : 1;
    }
    g->insert_before = n;
    if (grows && shrinks) {
        y = emit_resize(g, y, hone_graph_floats(g, part[0], count), n, "floor");
        y = emit_resize(g, y, hone_graph_floats(g, part[1], count), n, "ceil");
    } else
        y = emit_resize(g, y, scales, n, shrinks ? "ceil" : "floor");
    g->insert_before = NULL;
    hone_lift_replace(g, n, y);
    return hone_graph_check(g, err);
}

#define FLOAT_INPUT (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define PLACE                                                                                                \
    {"roi", 0, FLOAT_INPUT, HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE},                                           \
        {"scales", 0, HONE_TYPE(HONE_FLOAT32), HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE}, {                      \
        "sizes", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE                              \
    }
#define SINCE_11                                                                                             \
    {"mode", HONE_ATTR_STRING, .s = "nearest"},                                                              \
        {"coordinate_transformation_mode", HONE_ATTR_STRING, .s = "half_pixel"},                             \
        {"nearest_mode", HONE_ATTR_STRING, .s = "round_prefer_floor"},                                       \
        {"cubic_coeff_a", HONE_ATTR_FLOAT, .f = -0.75f}, {"exclude_outside", HONE_ATTR_INT}, {               \
        "extrapolation_value", HONE_ATTR_FLOAT                                                               \
    }
#define SINCE_18                                                                                             \
    {"antialias", HONE_ATTR_INT}, {"axes", HONE_ATTR_INTS}, {                                                \
        "keep_aspect_ratio_policy", HONE_ATTR_STRING, .s = "stretch"                                         \
    }

static const hone_attr_def resize_11[] = {SINCE_11, {NULL}};
static const hone_attr_def resize_10[] = {{"mode", HONE_ATTR_STRING, .s = "nearest"}, {NULL}};
/* Opset 19 brought another transformation of coordinates. */
static const hone_op_version older_resize[] = {
    {18, NULL, hone_lift_nothing}, {11, resize_11, hone_lift_nothing}, {10, resize_10, lift_resize_10}, {0}};

/* Lists of scales and sizes keep their order: `axes` says what they are for. */
static hone_value *channels_last(hone_channels_last *ctx) {
    const hone_node *n = ctx->node;
    const int rank = n->inputs[0]->type.rank;
    const char *mode = hone_node_string(n, "coordinate_transformation_mode");
    size_t count;
    const int64_t *given = hone_node_ints(n, "axes", &count);
    int64_t axes[HONE_MAX_RANK];
    hone_value *in[4] = {NULL};
    if (n->input_count > 4 || (mode && strcmp(mode, "tf_crop_and_resize") == 0)) return NULL;
    if (!given || !count) count = (size_t)rank, given = NULL;
    for (size_t i = 0; i < count; i++) axes[i] = hone_last_axis(given ? (int)given[i] : (int)i, rank);
    for (int i = 1; i < n->input_count; i++) in[i] = n->inputs[i];
    in[0] = hone_value_channels_last(ctx->graph, n->inputs[0]);
    hone_value *y = hone_last_copy(ctx, n->input_count, in);
    if (y) hone_node_set_ints(ctx->graph, y->producer, "axes", axes, count);
    return y;
}

const hone_op hone_op_resize = {
    .name = "Resize",
    .since = 19,
    .oldest = 10,
    .older = older_resize,
    .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_ALL, 0}, PLACE),
    .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPES_ALL, 0}),
    .attrs = HONE_ATTRS(SINCE_11, SINCE_18),
    .infer = infer,
    .axes = axes,
    .channels_last = channels_last,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "other lengths of axes, by the nearest elements or by linear or cubic interpolation"};

/* --- ResizeGrad --- */

static hone_status infer_gradient(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, HONE_RESIZE_GRADIENT_X);
}

static hone_status prepare_gradient(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    hone_resize_settings s;
    hone_resize_axis a[HONE_MAX_RANK];
    const hone_taps *taps[HONE_MAX_RANK];
    const hone_type *x = p->in[HONE_RESIZE_GRADIENT_X];
    if (!q) return hone_fail_memory(err);
    HONE_TRY(prepared_axes(p, x, &s, a, err));
    for (int d = 0; d < x->rank; d++) {
        taps[d] = NULL;
        if (hone_resize_stays(&s, &a[d])) continue;
        const hone_taps *forward = hone_resize_taps(p, &s, &a[d]);
        taps[d] = forward ? hone_taps_transposed(p, forward, a[d].in) : NULL;
        if (!taps[d]) return hone_fail_memory(err);
    }
    p->params = q;
    p->run = run;
    p->kernel = "interpolation's gradient";
    return hone_resample_make(p, p->in[0], &p->out[0], taps, 0, &q->resample, err);
}

const hone_op hone_op_resize_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "ResizeGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dY", 'T', HONE_TYPES_FLOAT, 0}, PLACE, {"X", 'T', HONE_TYPES_FLOAT, 0}),
    .outputs = HONE_SLOTS({"dX", 'T', HONE_TYPES_FLOAT, 0}),
    .attrs = HONE_ATTRS(SINCE_11, SINCE_18),
    .infer = infer_gradient,
    .prepare = prepare_gradient,
    .doc = "the sums of all that Resize made of an element"};

/* --- Upsample --- what Resize was until opset 10 */

static hone_status infer_upsample(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_resize_axis a[HONE_MAX_RANK];
    int all[HONE_MAX_RANK];
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(hone_infer_same(ctx, err));
    for (int d = 0; d < x->rank; d++) {
        a[d] = (hone_resize_axis){.in = x->dims[d], .out = HONE_DIM_ANY};
        all[d] = d;
    }
    const hone_infer as_resize = {.node = ctx->node,
                                  .input_count = HONE_RESIZE_SCALES + 1,
                                  .constant = (const hone_tensor *const[]){NULL, NULL, ctx->constant[1]}};
    HONE_TRY(hone_resize_use_scales(&as_resize, x->rank, all, a, err));
    for (int d = 0; d < x->rank; d++) ctx->out[0].dims[d] = a[d].out;
    return HONE_OK;
}

static hone_status expand_upsample(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_graph_replace(g, n->outputs[0], emit_resize(g, n->inputs[0], n->inputs[1], n, "floor"));
    return HONE_OK;
}

static hone_status lift_to_scales(hone_graph *g, hone_node *n, const float *scales, int64_t count,
                                  hone_error *err) {
    const char *given = hone_node_string(n, "mode");
    g->insert_before = n;
    hone_value *y = HONE_EMIT(g, "", "Upsample", n->inputs[0], hone_graph_floats(g, scales, count));
    g->insert_before = NULL;
    if (y) hone_node_set_string(g, y->producer, "mode", strcmp(given, "bilinear") == 0 ? "linear" : given);
    hone_lift_replace(g, n, y);
    return hone_graph_check(g, err);
}

/* Opset 7 had the scales as an attribute, opset 1 those of height and width. */
static hone_status lift_upsample_7(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_attr *scales = hone_node_attr(n, "scales");
    return lift_to_scales(g, n, scales ? scales->floats : NULL, scales ? (int64_t)scales->count : 0, err);
}

static hone_status lift_upsample_1(hone_graph *g, hone_node *n, hone_error *err) {
    const float scales[] = {1, 1, hone_node_float(n, "height_scale"), hone_node_float(n, "width_scale")};
    return lift_to_scales(g, n, scales, 4, err);
}

#define UPSAMPLE_MODE                                                                                        \
    { "mode", HONE_ATTR_STRING, .s = "nearest" }
static const hone_attr_def upsample_7[] = {
    UPSAMPLE_MODE, {"scales", HONE_ATTR_FLOATS, .required = true}, {NULL}};
static const hone_attr_def upsample_1[] = {UPSAMPLE_MODE,
                                           {"height_scale", HONE_ATTR_FLOAT, .required = true},
                                           {"width_scale", HONE_ATTR_FLOAT, .required = true},
                                           {NULL}};

const hone_op hone_op_upsample = {
    .name = "Upsample",
    .since = 9,
    .oldest = 1,
    .older =
        (const hone_op_version[]){{7, upsample_7, lift_upsample_7}, {1, upsample_1, lift_upsample_1}, {0}},
    .inputs =
        HONE_SLOTS({"X", 'T', HONE_TYPES_ALL, 0}, {"scales", 0, HONE_TYPE(HONE_FLOAT32), HONE_SLOT_SHAPE}),
    .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPES_ALL, 0}),
    .attrs = HONE_ATTRS(UPSAMPLE_MODE),
    .infer = infer_upsample,
    .expand = expand_upsample,
    .doc = "Resize as it was until opset 10"};
