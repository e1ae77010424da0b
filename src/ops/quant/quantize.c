/* QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear. Scales are one number, or a vector along an axis.
 *
 * In training, the cotangent of a quantized value is that of the real number it stands for: QuantizeLinear
 * and DequantizeLinear hand it on as it is, save that nothing flows to what was cut off at the ends of the
 * range. Scales and zero points count as constants. */
#include "graph/infer.h"
#include "graph/map.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/range.h"
#include "ops/common/walk.h"

#include <math.h>

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define BYTES HONE_TYPES_BYTE
#define CODES (BYTES | HONE_TYPE(HONE_INT32))

/* --- shapes --- */

/* The axis that a vector of scales runs along, in [0, rank); -1: one scale for all, -2: none that fits. */
static int scale_axis(const hone_node *n, const hone_type *x, const hone_type *scale) {
    if (scale->rank == 0) return -1;
    if (scale->rank != 1) return -2;
    int64_t axis = hone_node_int(n, "axis");
    if (axis < 0) axis += x->rank;
    if (scale->dims[0] == 1 && (axis < 0 || axis >= x->rank || x->dims[axis] != 1)) return -1;
    return axis >= 0 && axis < x->rank ? (int)axis : -2;
}

static hone_status check_scales(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0], *scale = ctx->in[1], *zero = ctx->input_count > 2 ? ctx->in[2] : NULL;
    HONE_TRY(hone_infer_same(ctx, err));
    if (hone_node_int(ctx->node, "block_size") != 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, ctx->node->name, ctx->node->op->name,
                              "blocks of scales");
    if (x->rank < 0 || scale->rank < 0) return HONE_OK;
    int axis = scale_axis(ctx->node, x, scale);
    int64_t d;
    if (axis == -2)
        return hone_infer_fail(ctx, err, "the scale must be one number or a vector along an axis");
    if (axis >= 0) HONE_TRY(hone_infer_same_dim(ctx, x->dims[axis], scale->dims[0], &d, err));
    if (!zero || zero->rank < 0) return HONE_OK;
    if (zero->rank > 1 || (axis >= 0 && zero->rank != 1))
        return hone_infer_fail(ctx, err, "the zero point must have the shape of the scale");
    if (zero->rank == 1)
        HONE_TRY(hone_infer_same_dim(ctx, zero->dims[0], axis >= 0 ? scale->dims[0] : 1, &d, err));
    return HONE_OK;
}

static hone_status infer_quantize(hone_infer *ctx, hone_error *err) {
    int64_t asked = hone_node_int(ctx->node, "output_dtype");
    if (asked && ((asked != HONE_UINT8 && asked != HONE_INT8) ||
                  (ctx->out[0].dtype != HONE_UNDEFINED && ctx->out[0].dtype != (hone_dtype)asked)))
        return hone_fail_node(err, HONE_UNSUPPORTED, ctx->node->name, "QuantizeLinear", "output dtype %lld",
                              (long long)asked);
    bool has_zero = ctx->input_count > 2 && ctx->in[2];
    if (!has_zero) ctx->out[0].dtype = asked ? (hone_dtype)asked : HONE_UINT8;
    return check_scales(ctx, err);
}

static hone_status infer_dequantize(hone_infer *ctx, hone_error *err) {
    int64_t asked = hone_node_int(ctx->node, "output_dtype");
    if (asked && asked != HONE_FLOAT32)
        return hone_fail_node(err, HONE_UNSUPPORTED, ctx->node->name, "DequantizeLinear", "output dtype %lld",
                              (long long)asked);
    ctx->out[0].dtype = HONE_FLOAT32;
    return check_scales(ctx, err);
}

static void axes_linear(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[0]->type, *scale = &n->inputs[1]->type;
    int axis = x->rank >= 0 && scale->rank >= 0 ? scale_axis(n, x, scale) : -1;
    for (int i = 0; i < x->rank; i++) hone_axes_same(out, 0, i, i);
    if (axis < 0) return;
    hone_axes_same(out, 1, 0, axis);
    if (n->input_count > 2 && n->inputs[2]) hone_axes_same(out, 2, 0, axis);
}

/* --- running --- [outer, channels, inner]; each run of `inner` elements has one scale, or inner is 1 */

typedef struct params {
    hone_dtype from, to;
    const hone_kernels *kernels;
    int64_t outer, channels, inner;
    hone_cut cut; /* of rows of channels where inner is 1, else of elements */
} params;

#define NANOSECONDS 0.3 /* an element */

static hone_status prepare_channels(hone_prepare *p, const hone_type *x, const hone_type *scale, params **out,
                                    hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    int axis = scale_axis(p->node, x, scale);
    *q = (params){.from = p->in[0]->dtype,
                  .to = p->out[0].dtype,
                  .kernels = hone_kernels_get(),
                  .outer = 1,
                  .channels = 1,
                  .inner = hone_type_count(x)};
    if (axis >= 0) {
        q->outer = hone_dims_product(x, 0, axis);
        q->channels = x->dims[axis];
        q->inner = hone_dims_product(x, axis + 1, x->rank);
    }
    q->cut = q->inner == 1 ? hone_cut_make(q->outer, NANOSECONDS * (double)q->channels, 1)
                           : hone_cut_make(q->outer * q->channels * q->inner, NANOSECONDS, 64);
    p->params = q;
    *out = q;
    return HONE_OK;
}

typedef struct job {
    const params *p;
    const char *x, *zero;
    const float *scale, *dy;
    char *y;
} job;

static int32_t zero_at(const void *zero, hone_dtype dtype, int64_t i) {
    if (!zero) return 0;
    if (dtype == HONE_UINT8) return ((const uint8_t *)zero)[i];
    if (dtype == HONE_INT8) return ((const int8_t *)zero)[i];
    return ((const int32_t *)zero)[i];
}

static void quantize_part(const job *j, int64_t at, int64_t n, int64_t channel) {
    const float *x = (const float *)j->x + at;
    int32_t zero = zero_at(j->zero, j->p->to, channel);
    if (j->p->to == HONE_UINT8)
        j->p->kernels->quantize_u8(x, (uint8_t *)j->y + at, n, j->scale[channel], zero);
    else
        j->p->kernels->quantize_s8(x, (int8_t *)j->y + at, n, j->scale[channel], zero);
}

static void quantize_row(const job *j, int64_t at) {
    const float *x = (const float *)j->x + at;
    if (j->p->to == HONE_UINT8)
        hone_quantize_rows_u8(x, (uint8_t *)j->y + at, j->p->channels, j->scale, (const uint8_t *)j->zero);
    else
        hone_quantize_rows_s8(x, (int8_t *)j->y + at, j->p->channels, j->scale, (const int8_t *)j->zero);
}

static void dequantize_part(const job *j, int64_t at, int64_t n, int64_t channel) {
    float *y = (float *)j->y + at, scale = j->scale[channel];
    int32_t zero = zero_at(j->zero, j->p->from, channel);
    if (j->p->from == HONE_UINT8)
        j->p->kernels->dequantize_u8((const uint8_t *)j->x + at, y, n, scale, zero);
    else if (j->p->from == HONE_INT8)
        j->p->kernels->dequantize_s8((const int8_t *)j->x + at, y, n, scale, zero);
    else
        hone_dequantize_i32((const int32_t *)j->x + at, y, n, scale, zero);
}

static void dequantize_row(const job *j, int64_t at) {
    float *y = (float *)j->y + at;
    int64_t n = j->p->channels;
    if (j->p->from == HONE_UINT8)
        hone_dequantize_rows_u8((const uint8_t *)j->x + at, y, n, j->scale, (const uint8_t *)j->zero);
    else if (j->p->from == HONE_INT8)
        hone_dequantize_rows_s8((const int8_t *)j->x + at, y, n, j->scale, (const int8_t *)j->zero);
    else
        hone_dequantize_rows_i32((const int32_t *)j->x + at, y, n, j->scale, (const int32_t *)j->zero);
}

static void gradient_part(const job *j, int64_t at, int64_t n, int64_t channel) {
    int32_t zero = zero_at(j->zero, j->p->to, channel), low = j->p->to == HONE_UINT8 ? 0 : -128;
    hone_quantize_grad(j->dy + at, (const float *)j->x + at, (float *)j->y + at, n, j->scale[channel],
                       low - zero, low + 255 - zero);
}

static void gradient_row(const job *j, int64_t at) {
    const float *x = (const float *)j->x + at;
    float *dx = (float *)j->y + at;
    if (j->p->to == HONE_UINT8)
        hone_quantize_grad_rows_u8(j->dy + at, x, dx, j->p->channels, j->scale, (const uint8_t *)j->zero);
    else
        hone_quantize_grad_rows_s8(j->dy + at, x, dx, j->p->channels, j->scale, (const int8_t *)j->zero);
}

typedef void part_fn(const job *j, int64_t at, int64_t n, int64_t channel);
typedef void row_fn(const job *j, int64_t at);

static void run_range(const job *j, int64_t begin, int64_t end, part_fn *part, row_fn *row) {
    const params *p = j->p;
    for (int64_t i = begin; i < end && p->inner == 1; i++) row(j, i * p->channels);
    for (int64_t i = begin, n; i < end && p->inner != 1; i += n) {
        n = hone_min_i64(p->inner - i % p->inner, end - i);
        part(j, i, n, i / p->inner % p->channels);
    }
}

static void quantize_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    run_range(arg, begin, end, quantize_part, quantize_row);
}
static void dequantize_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    run_range(arg, begin, end, dequantize_part, dequantize_row);
}
static void gradient_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    run_range(arg, begin, end, gradient_part, gradient_row);
}

/* A step of (x, scale[, zero point]); a gradient's has dy before them. */
static void run_step(const hone_step *step, hone_frame *frame, bool gradient, hone_range_fn *fn) {
    int x = gradient ? 1 : 0;
    job j = {.p = step->params,
             .dy = gradient ? hone_step_in(step, frame, 0) : NULL,
             .x = hone_step_in(step, frame, x),
             .scale = hone_step_in(step, frame, x + 1),
             .zero = hone_step_in(step, frame, x + 2),
             .y = hone_step_out(step, frame, 0)};
    hone_cut_run(&j.p->cut, frame, fn, &j);
}

static hone_status run_quantize(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    run_step(step, frame, false, quantize_range);
    return HONE_OK;
}

static hone_status run_dequantize(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    run_step(step, frame, false, dequantize_range);
    return HONE_OK;
}

static hone_status prepare_quantize(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(prepare_channels(p, p->in[0], p->in[1], &q, err));
    p->run = run_quantize;
    p->kernel = "quantize";
    return HONE_OK;
}

static hone_status prepare_dequantize(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(prepare_channels(p, p->in[0], p->in[1], &q, err));
    p->run = run_dequantize;
    p->kernel = "dequantize";
    return HONE_OK;
}

/* --- as maps --- where one scale is for all, so that it broadcasts */

static bool has_map(const hone_node *n) {
    const hone_type *x = &n->inputs[0]->type, *scale = &n->inputs[1]->type;
    bool has_zero = n->input_count > 2 && n->inputs[2];
    bool one = scale->rank == 0 || (scale->rank == 1 && scale->dims[0] == 1 && x->rank > 0);
    if (has_zero && n->inputs[2]->type.rank != scale->rank) one = false;
    return one && hone_node_int(n, "block_size") == 0 && scale_axis(n, x, scale) == -1;
}

static hone_reg zero_point(hone_map *m, const hone_node *n) {
    return n->input_count > 2 && n->inputs[2] ? hone_map_in(m, 2) : -1;
}

static void map_quantize(hone_map *m, const hone_node *n) {
    hone_reg zero = zero_point(m, n), q = hone_map_div(m, hone_map_in(m, 0), hone_map_in(m, 1));
    zero = zero < 0 ? hone_map_const(m, 0) : hone_map_cast(m, zero, HONE_FLOAT32);
    hone_map_out(m, 0, hone_map_quantize(m, q, zero, n->outputs[0]->type.dtype));
}

/* Bytes and their differences are exact in float; int32 is subtracted first, and wraps. */
static void map_dequantize(hone_map *m, const hone_node *n) {
    hone_reg x = hone_map_in(m, 0), zero = zero_point(m, n);
    if (n->inputs[0]->type.dtype != HONE_INT32) {
        x = hone_map_cast(m, x, HONE_FLOAT32);
        if (zero >= 0) zero = hone_map_cast(m, zero, HONE_FLOAT32);
    }
    if (zero >= 0) x = hone_map_sub(m, x, zero);
    hone_map_out(m, 0, hone_map_mul(m, hone_map_cast(m, x, HONE_FLOAT32), hone_map_in(m, 1)));
}

/* --- QuantizeLinear --- */

static void gradient_quantize(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    if (!ctx->wanted[0]) return;
    hone_value *in[] = {ctx->dout[0], n->inputs[0], n->inputs[1], n->input_count > 2 ? n->inputs[2] : NULL};
    hone_value *d = hone_graph_emit(ctx->graph, HONE_PRIVATE_DOMAIN, "QuantizeGrad", in, 4);
    if (!d) return;
    hone_node_set_int(ctx->graph, d->producer, "axis", hone_node_int(n, "axis"));
    hone_node_set_int(ctx->graph, d->producer, "to", n->outputs[0]->type.dtype);
    ctx->din[0] = d;
}

#define AXIS                                                                                                 \
    { "axis", HONE_ATTR_INT, .i = 1 }
#define SATURATE                                                                                             \
    { "saturate", HONE_ATTR_INT, .i = 1 }
#define BLOCK                                                                                                \
    { "block_size", HONE_ATTR_INT }
#define OUTPUT                                                                                               \
    { "output_dtype", HONE_ATTR_INT }

static const hone_attr_def none[] = {{NULL}};
static const hone_attr_def quantize_13[] = {AXIS, {NULL}};
static const hone_attr_def quantize_19[] = {AXIS, SATURATE, {NULL}};
static const hone_attr_def quantize_21[] = {AXIS, SATURATE, BLOCK, OUTPUT, {NULL}};
static const hone_op_version older_quantize[] = {
    {21, quantize_21, NULL}, {19, quantize_19, NULL}, {13, quantize_13, NULL}, {10, none, NULL}, {0}};

/* `saturate` is about 8-bit floats, `precision` about the division: neither changes anything here. */
const hone_op hone_op_quantize_linear = {
    .name = "QuantizeLinear",
    .since = 23,
    .oldest = 10,
    .older = older_quantize,
    .role = HONE_ROLE_QUANTIZE,
    .inputs = HONE_SLOTS({"x", 0, FLOAT, 0}, {"y_scale", 0, FLOAT, 0},
                         {"y_zero_point", 'Z', BYTES, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"y", 'Z', BYTES, 0}),
    .attrs = HONE_ATTRS(AXIS, SATURATE, BLOCK, OUTPUT, {"precision", HONE_ATTR_INT}),
    .infer = infer_quantize,
    .axes = axes_linear,
    .prepare = prepare_quantize,
    .map = map_quantize,
    .has_map = has_map,
    .gradient_kind = HONE_GRADIENT_STRAIGHT_THROUGH,
    .gradient = gradient_quantize,
    .doc = "round(x / scale) + zero point, held in the range of int8 or uint8"};

/* --- DequantizeLinear --- */

static void gradient_dequantize(hone_gradient *ctx) {
    ctx->din[0] = ctx->dout[0];
}

static const hone_attr_def dequantize_21[] = {AXIS, BLOCK, {NULL}};
static const hone_op_version older_dequantize[] = {
    {21, dequantize_21, NULL}, {13, quantize_13, NULL}, {10, none, NULL}, {0}};

const hone_op hone_op_dequantize_linear = {
    .name = "DequantizeLinear",
    .since = 23,
    .oldest = 10,
    .older = older_dequantize,
    .role = HONE_ROLE_DEQUANTIZE,
    .inputs = HONE_SLOTS({"x", 'Z', CODES, HONE_SLOT_WEIGHT}, {"x_scale", 0, FLOAT, 0},
                         {"x_zero_point", 'Z', CODES, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"y", 0, FLOAT, 0}),
    .attrs = HONE_ATTRS(AXIS, BLOCK, OUTPUT),
    .infer = infer_dequantize,
    .axes = axes_linear,
    .prepare = prepare_dequantize,
    .map = map_dequantize,
    .has_map = has_map,
    .gradient_kind = HONE_GRADIENT_STRAIGHT_THROUGH,
    .gradient = gradient_dequantize,
    .doc = "(x - zero point) * scale"};

/* --- QuantizeGrad --- dx of (dy, x, scale[, zero point]); `to` is the dtype that x was quantized to */

static hone_status run_gradient(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    run_step(step, frame, true, gradient_range);
    return HONE_OK;
}

static hone_status prepare_gradient(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(prepare_channels(p, p->in[1], p->in[2], &q, err));
    q->to = (hone_dtype)hone_node_int(p->node, "to");
    p->run = run_gradient;
    p->kernel = "quantize_grad";
    return HONE_OK;
}

static void axes_gradient(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[1]->type, *scale = &n->inputs[2]->type;
    int axis = x->rank >= 0 && scale->rank >= 0 ? scale_axis(n, x, scale) : -1;
    for (int i = 0; i < x->rank; i++) {
        hone_axes_same(out, 0, i, i);
        hone_axes_same(out, 1, i, i);
    }
    if (axis < 0) return;
    hone_axes_same(out, 2, 0, axis);
    if (n->input_count > 3 && n->inputs[3]) hone_axes_same(out, 3, 0, axis);
}

const hone_op hone_op_quantize_grad = {.domain = HONE_PRIVATE_DOMAIN,
                                       .name = "QuantizeGrad",
                                       .since = 1,
                                       .oldest = 1,
                                       .inputs = HONE_SLOTS({"dy", 0, FLOAT, 0}, {"x", 0, FLOAT, 0},
                                                            {"scale", 0, FLOAT, 0},
                                                            {"zero_point", 0, BYTES, HONE_SLOT_OPTIONAL}),
                                       .outputs = HONE_SLOTS({"dx", 0, FLOAT, 0}),
                                       .attrs = HONE_ATTRS(AXIS, {"to", HONE_ATTR_INT, .required = true}),
                                       .infer = hone_infer_same,
                                       .axes = axes_gradient,
                                       .overwrite = 3,
                                       .prepare = prepare_gradient,
                                       .doc = "dy where x was inside of the range, else 0"};

/* --- DynamicQuantizeLinear --- x → y uint8, its scale and zero point */

static hone_status infer_dynamic(hone_infer *ctx, hone_error *err) {
    HONE_TRY(hone_infer_same(ctx, err));
    for (int i = 1; i < ctx->output_count; i++) ctx->out[i].rank = 0;
    return HONE_OK;
}

typedef struct dynamic_job {
    const params *p;
    const float *x;
    float *ends; /* [tasks][min, max] */
} dynamic_job;

static void min_max_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const dynamic_job *j = arg;
    int64_t each = j->p->cut.each;
    for (int64_t i = begin; i < end; i += each) {
        float *ends = &j->ends[2 * (i / each)];
        j->p->kernels->min_max_f32(j->x + i, hone_min_i64(each, end - i), ends, ends + 1);
    }
}

static hone_status run_dynamic(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    dynamic_job d = {p, hone_step_in(step, frame, 0), hone_step_scratch(step, frame)};
    hone_cut_run(&p->cut, frame, min_max_range, &d);
    float low = 0, high = 0, scale;
    uint8_t zero;
    for (int64_t i = 0; i < hone_cut_tasks(&p->cut); i++) {
        if (low == low && !(d.ends[2 * i] >= low)) low = d.ends[2 * i]; /* NaN stays */
        if (high == high && !(d.ends[2 * i + 1] <= high)) high = d.ends[2 * i + 1];
    }
    hone_dynamic_range(low, high, &scale, &zero);
    void *y = hone_step_out(step, frame, 0);
    job j = {.p = p, .x = (const char *)d.x, .scale = &scale, .zero = (const char *)&zero, .y = y};
    if (y) hone_cut_run(&p->cut, frame, quantize_range, &j);
    float *scale_out = hone_step_out(step, frame, 1);
    uint8_t *zero_out = hone_step_out(step, frame, 2);
    if (scale_out) *scale_out = scale;
    if (zero_out) *zero_out = zero;
    return HONE_OK;
}

static hone_status prepare_dynamic(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){.from = HONE_FLOAT32,
                  .to = HONE_UINT8,
                  .kernels = hone_kernels_get(),
                  .outer = 1,
                  .channels = 1,
                  .inner = hone_type_count(p->in[0])};
    q->cut = hone_cut_make(q->inner, NANOSECONDS, 64);
    p->scratch = (size_t)(hone_cut_tasks(&q->cut) + 1) * 2 * sizeof(float);
    p->params = q;
    p->run = run_dynamic;
    p->kernel = "dynamic quantize";
    return HONE_OK;
}

const hone_op hone_op_dynamic_quantize_linear = {
    .name = "DynamicQuantizeLinear",
    .since = 11,
    .oldest = 11,
    .role = HONE_ROLE_QUANTIZE,
    .inputs = HONE_SLOTS({"x", 0, FLOAT, 0}),
    .outputs = HONE_SLOTS({"y", 0, HONE_TYPE(HONE_UINT8), 0}, {"y_scale", 0, FLOAT, 0},
                          {"y_zero_point", 0, HONE_TYPE(HONE_UINT8), 0}),
    .infer = infer_dynamic,
    .prepare = prepare_dynamic,
    .doc = "uint8 with scale and zero point that fit x's range"};
