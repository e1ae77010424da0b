#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/reshape.h"
#include "ops/engine/elementwise.h"
#include "ops/tensor/cast_small.h"
#include "ops/tensor/cast_string.h"

#include <string.h>

static hone_status infer(hone_infer *ctx, hone_error *err) {
    int64_t to = hone_node_int(ctx->node, "to");
    if (to <= 0 || to >= HONE_DTYPE_COUNT || !(HONE_TYPES_ALL & HONE_TYPE(to)))
        return hone_fail_node(err, HONE_UNSUPPORTED, ctx->node->name, "Cast",
                              "to dtype %lld is not supported", (long long)to);
    HONE_TRY(hone_infer_cast_small(ctx, err));
    HONE_TRY(hone_infer_same(ctx, err));
    ctx->out[0].dtype = (hone_dtype)to;
    return HONE_OK;
}

/* Between the two integer types shapes are made of. */
static bool content(const hone_infer *ctx, hone_content *out) {
    if (!hone_infer_items(ctx, 0, out)) return false;
    for (int i = 0; i < out->count && ctx->out[0].dtype == HONE_INT32; i++)
        if (out->item[i].kind == HONE_ITEM_NUMBER && out->item[i].value != (int32_t)out->item[i].value)
            return false;
    return true;
}

static bool is_real(hone_dtype dtype) {
    return dtype == HONE_FLOAT32 || dtype == HONE_FLOAT64;
}

/* Back to the input's dtype. To an integer nothing flows. */
static void gradient(hone_gradient *ctx) {
    hone_dtype from = ctx->node->inputs[0]->type.dtype, to = ctx->node->outputs[0]->type.dtype;
    if (!is_real(from) || !is_real(to)) return;
    if (from == to) { /* of half precision: its cotangent is float32 already */
        ctx->din[0] = ctx->dout[0];
        return;
    }
    hone_value *d = HONE_EMIT(ctx->graph, "", "Cast", ctx->dout[0]);
    if (d) hone_node_set_int(ctx->graph, d->producer, "to", from);
    ctx->din[0] = d;
}

static void map(hone_map *m, const hone_node *n) {
    hone_map_out(m, 0, hone_map_cast(m, hone_map_in(m, 0), (hone_dtype)hone_node_int(n, "to")));
}

static bool has_map(const hone_node *n) {
    return (HONE_TYPES_FIXED & HONE_TYPE(n->inputs[0]->type.dtype)) &&
           (HONE_TYPES_FIXED & HONE_TYPE(hone_node_int(n, "to")));
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    if (hone_is_cast_string(p)) return hone_prepare_cast_string(p, err);
    return hone_is_cast_small(p) ? hone_prepare_cast_small(p, err) : hone_prepare_elementwise(p, err);
}

/* `saturate` and `round_mode` are about float8: cast_small.c. */
static const hone_attr_def cast_19[] = {
    {"to", HONE_ATTR_INT, .required = true}, {"saturate", HONE_ATTR_INT, .i = 1}, {NULL}};
static const hone_attr_def cast_6[] = {{"to", HONE_ATTR_INT, .required = true}, {NULL}};
static const hone_attr_def cast_1[] = {{"to", HONE_ATTR_STRING, .required = true}, {NULL}};

/* Until opset 6 the type had a name. */
static hone_status lift(hone_graph *g, hone_node *n, hone_error *err) {
    static const char *const names[] = {
        [HONE_FLOAT32] = "FLOAT",  [HONE_UINT8] = "UINT8",   [HONE_INT8] = "INT8",
        [HONE_UINT16] = "UINT16",  [HONE_INT16] = "INT16",   [HONE_INT32] = "INT32",
        [HONE_INT64] = "INT64",    [HONE_BOOL] = "BOOL",     [HONE_FLOAT16] = "FLOAT16",
        [HONE_FLOAT64] = "DOUBLE", [HONE_STRING] = "STRING", [HONE_UINT32] = "UINT32",
        [HONE_UINT64] = "UINT64"};
    const char *name = hone_node_string(n, "to");
    int to = (int)(sizeof names / sizeof *names) - 1;
    while (to > 0 && (!names[to] || strcmp(names[to], name) != 0)) to--;
    if (to == 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, "Cast", "to %.32s is not supported", name);
    g->insert_before = n;
    hone_value *y = HONE_EMIT(g, "", "Cast", n->inputs[0]);
    g->insert_before = NULL;
    if (y) hone_node_set_int(g, y->producer, "to", to);
    hone_lift_replace(g, n, y);
    return hone_graph_check(g, err);
}

static const hone_op_version older[] = {{19, cast_19, NULL}, {6, cast_6, NULL}, {1, cast_1, lift}, {0}};

const hone_op hone_op_cast = {.name = "Cast",
                              .since = 24,
                              .oldest = 1,
                              .older = older,
                              .inputs = HONE_SLOTS({"input", 0, HONE_TYPES_ALL, 0}),
                              .outputs = HONE_SLOTS({"output", 0, HONE_TYPES_ALL, 0}),
                              .attrs = HONE_ATTRS({"to", HONE_ATTR_INT, .required = true},
                                                  {"saturate", HONE_ATTR_INT, .i = 1},
                                                  {"round_mode", HONE_ATTR_STRING, .s = "up"}),
                              .infer = infer,
                              .content = content,
                              .axes = hone_axes_broadcast,
                              .prepare = prepare,
                              .overwrite = 1,
                              .map = map,
                              .has_map = has_map,
                              .gradient_kind = HONE_GRADIENT_EXACT,
                              .gradient = gradient,
                              .doc = "another element type: toward zero and held at the ends of the range; "
                                     "strings are read and written as decimal numbers"};

/* --- CastLike --- a Cast to what another tensor is made of */

static hone_status expand_like(hone_graph *g, hone_node *n, hone_error *err) {
    hone_value *y = HONE_EMIT(g, "", "Cast", n->inputs[0]);
    if (y) {
        hone_node_copy_attrs(g, y->producer, n);
        hone_node_set_int(g, y->producer, "to", n->inputs[1]->type.dtype);
        hone_graph_replace(g, n->outputs[0], y);
    }
    return hone_graph_check(g, err);
}

static void axes_like(const hone_node *n, hone_axes *out) {
    for (int i = 0; i < n->inputs[0]->type.rank; i++) hone_axes_same(out, 0, i, i);
}

static const hone_attr_def like_15[] = {{NULL}}, like_19[] = {{"saturate", HONE_ATTR_INT, .i = 1}, {NULL}};
static const hone_op_version older_like[] = {{19, like_19, NULL}, {15, like_15, NULL}, {0}};

const hone_op hone_op_cast_like = {
    .name = "CastLike",
    .since = 24,
    .oldest = 15,
    .older = older_like,
    .inputs = HONE_SLOTS({"input", 0, HONE_TYPES_ALL, 0}, {"target_type", 'T', HONE_TYPES_ALL, 0}),
    .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_ALL, 0}),
    .attrs = HONE_ATTRS({"saturate", HONE_ATTR_INT, .i = 1}, {"round_mode", HONE_ATTR_STRING, .s = "up"}),
    .infer = hone_infer_same,
    .axes = axes_like,
    .expand = expand_like,
    .doc = "the element type of another tensor"};
