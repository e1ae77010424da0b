/* DepthToSpace and SpaceToDepth: blocks of [size, size] between channels and positions. Each is one copy of a box:
 *
 *   deep [N, (b, b, C) or (C, b, b), H, W]   wide [N, C, H b, W b] */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/channels_last.h"
#include "ops/common/gradient.h"
#include "ops/engine/copy.h"

#include <string.h>

static int64_t times(int64_t dim, int64_t factor) {
    return dim < 0 ? (factor == 1 ? dim : HONE_DIM_ANY) : dim * factor;
}

/* *out = dim / factor, if it divides. */
static hone_status divided(const hone_infer *ctx, int64_t dim, int64_t factor, const char *what, int64_t *out,
                           hone_error *err) {
    *out = dim < 0 ? (factor == 1 ? dim : HONE_DIM_ANY) : dim / factor;
    if (dim < 0 || dim % factor == 0) return HONE_OK;
    return hone_infer_fail(ctx, err, "%s of %lld does not divide by %lld", what, (long long)dim,
                           (long long)factor);
}

static hone_status check(const hone_infer *ctx, int64_t *block, hone_error *err) {
    const hone_type *x = ctx->in[0];
    *block = hone_node_int(ctx->node, "blocksize");
    if (*block < 1 || *block > INT32_MAX)
        return hone_infer_fail(ctx, err, "blocksize %lld is out of range", (long long)*block);
    if (x->rank >= 0 && x->rank != 4)
        return hone_infer_fail(ctx, err, "the input has %d dimensions where 4 are needed", x->rank);
    return HONE_OK;
}

static hone_status infer_to_space(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_type *y = &ctx->out[0];
    const char *mode = hone_node_string(ctx->node, "mode");
    int64_t b;
    HONE_TRY(check(ctx, &b, err));
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return hone_infer_fail(ctx, err, "mode \"%s\" is unknown", mode);
    y->rank = 4;
    for (int d = 0; d < 4; d++) y->dims[d] = x->rank < 0 ? HONE_DIM_ANY : x->dims[d];
    HONE_TRY(divided(ctx, y->dims[1], b * b, "a depth", &y->dims[1], err));
    y->dims[2] = times(y->dims[2], b);
    y->dims[3] = times(y->dims[3], b);
    return HONE_OK;
}

static hone_status infer_to_depth(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_type *y = &ctx->out[0];
    int64_t b;
    HONE_TRY(check(ctx, &b, err));
    y->rank = 4;
    for (int d = 0; d < 4; d++) y->dims[d] = x->rank < 0 ? HONE_DIM_ANY : x->dims[d];
    y->dims[1] = times(y->dims[1], b * b);
    HONE_TRY(divided(ctx, y->dims[2], b, "a height", &y->dims[2], err));
    return divided(ctx, y->dims[3], b, "a width", &y->dims[3], err);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    hone_copy_run(step->params, frame, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0));
    return HONE_OK;
}

/* The box has the axes of y: [N, C, H, row, W, column] or [N, row, column, C, H, W]. `deep`: the shape with all in
 * channels. */
static hone_status prepare(hone_prepare *p, const hone_type *deep, bool to_space, bool channels_first,
                           hone_error *err) {
    hone_copy *c = hone_prepare_alloc(p, sizeof *c);
    const int64_t b = hone_node_int(p->node, "blocksize");
    const int64_t n = deep->dims[0], h = deep->dims[2], w = deep->dims[3], channels = deep->dims[1] / (b * b);
    const int64_t plane = h * w, all = channels * b * b * plane;
    const int64_t row = channels_first ? b * plane : b * channels * plane,
                  column = channels_first ? plane : channels * plane,
                  channel = channels_first ? b * b * plane : plane;
    if (!c) return hone_fail_memory(err);
    if (to_space || channels_first) {
        const int64_t dims[] = {n, channels, h, b, w, b};
        const int64_t in_deep[] = {all, channel, w, row, 1, column},
                      in_wide[] = {all, b * b * plane, b * b * w, b * w, b, 1};
        hone_copy_make(c, deep->dtype, 6, dims, to_space ? in_deep : in_wide, to_space ? in_wide : in_deep);
    } else {
        const int64_t dims[] = {n, b, b, channels, h, w};
        const int64_t in_deep[] = {all, row, column, channel, w, 1},
                      in_wide[] = {all, b * w, 1, b * b * plane, b * b * w, b};
        hone_copy_make(c, deep->dtype, 6, dims, in_wide, in_deep);
    }
    c->whole = n * all;
    p->params = c;
    p->run = run;
    p->kernel = to_space ? "depth to space" : "space to depth";
    return HONE_OK;
}

static bool is_channels_first(const hone_node *n) {
    return strcmp(hone_node_string(n, "mode"), "CRD") == 0;
}

static hone_status prepare_to_space(hone_prepare *p, hone_error *err) {
    return prepare(p, p->in[0], true, is_channels_first(p->node), err);
}
static hone_status prepare_to_depth(hone_prepare *p, hone_error *err) {
    return prepare(p, &p->out[0], false, is_channels_first(p->node), err);
}
static hone_status prepare_gradient(hone_prepare *p, hone_error *err) {
    return prepare(p, &p->out[0], false, is_channels_first(p->node), err);
}

/* Samples stay. */
static void axes(const hone_node *n, hone_axes *out) {
    (void)n;
    hone_axes_same(out, 0, 0, 0);
}

static void emit_gradient(hone_gradient *ctx, const char *domain, const char *op) {
    ctx->din[0] = HONE_EMIT(ctx->graph, domain, op, ctx->dout[0]);
    if (ctx->din[0]) hone_node_copy_attrs(ctx->graph, ctx->din[0]->producer, ctx->node);
}
static void gradient_to_space(hone_gradient *ctx) {
    emit_gradient(ctx, HONE_PRIVATE_DOMAIN, "DepthToSpaceGrad");
}
static void gradient_to_depth(hone_gradient *ctx) {
    emit_gradient(ctx, "", "DepthToSpace");
}

/* [N, H, W, (row, column, C)] to [N, H, row, W, (column, C)]. */
static hone_value *last_to_space(hone_channels_last *ctx) {
    hone_graph *g = ctx->graph;
    const hone_node *n = ctx->node;
    const hone_type *x = &n->inputs[0]->type;
    const int64_t b = hone_node_int(n, "blocksize");
    if (is_channels_first(n) || x->rank != 4 || x->dims[1] < 0 || x->dims[2] < 0 || x->dims[3] < 0)
        return NULL;
    const int64_t apart[] = {0, x->dims[2], x->dims[3], b, x->dims[1] / b}, perm[] = {0, 1, 3, 2, 4},
                  joined[] = {0, x->dims[2] * b, x->dims[3] * b, x->dims[1] / (b * b)};
    hone_value *y =
        HONE_EMIT(g, "", "Reshape", hone_value_channels_last(g, n->inputs[0]), hone_graph_ints(g, apart, 5));
    if (!y) return NULL;
    y->type = *x;
    y->type.rank = 5;
    for (int i = 1; i < 5; i++) y->type.dims[i] = apart[i];
    hone_value *turned = HONE_EMIT(g, "", "Transpose", y);
    if (!turned) return NULL;
    hone_node_set_ints(g, turned->producer, "perm", perm, 5);
    turned->type = y->type;
    for (int i = 0; i < 5; i++) turned->type.dims[i] = y->type.dims[perm[i]];
    return HONE_EMIT(g, "", "Reshape", turned, hone_graph_ints(g, joined, 4));
}

#define BLOCKS                                                                                               \
    .inputs = HONE_SLOTS({"input", 'T', HONE_TYPES_ALL, 0}),                                                 \
    .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_ALL, 0}), .axes = axes
#define BLOCK_SIZE                                                                                           \
    { "blocksize", HONE_ATTR_INT, .required = true }
#define MODE                                                                                                 \
    { "mode", HONE_ATTR_STRING, .s = "DCR" }

static const hone_attr_def to_space_1[] = {BLOCK_SIZE, {NULL}};

const hone_op hone_op_depth_to_space = {
    .name = "DepthToSpace",
    .since = 13,
    .oldest = 1,
    .older = (const hone_op_version[]){{11, NULL, NULL}, {1, to_space_1, NULL}, {0}},
    BLOCKS,
    .attrs = HONE_ATTRS(BLOCK_SIZE, MODE),
    .infer = infer_to_space,
    .moves = true,
    .channels_last = last_to_space,
    .prepare = prepare_to_space,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient_to_space,
    .quantize = HONE_QUANTIZE_BITS,
    .doc = "channels become blocks of positions"};

const hone_op hone_op_space_to_depth = {.name = "SpaceToDepth",
                                        .since = 28,
                                        .oldest = 1,
                                        .older = (const hone_op_version[]){{1, to_space_1, NULL}, {0}},
                                        BLOCKS,
                                        .attrs = HONE_ATTRS(BLOCK_SIZE, MODE),
                                        .infer = infer_to_depth,
                                        .moves = true,
                                        .prepare = prepare_to_depth,
                                        .gradient_kind = HONE_GRADIENT_EXACT,
                                        .gradient = gradient_to_depth,
                                        .quantize = HONE_QUANTIZE_BITS,
                                        .doc = "blocks of positions become channels"};

const hone_op hone_op_depth_to_space_grad = {.domain = HONE_PRIVATE_DOMAIN,
                                             .name = "DepthToSpaceGrad",
                                             .since = 1,
                                             .oldest = 1,
                                             BLOCKS,
                                             .attrs = HONE_ATTRS(BLOCK_SIZE, MODE),
                                             .infer = infer_to_depth,
                                             .prepare = prepare_gradient,
                                             .doc = "DepthToSpace undone, of any mode"};
