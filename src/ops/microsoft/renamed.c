/* ONNX Runtime's names for what ONNX has, or had nothing for: Pad, Trilu, Range, SampleOp, Inverse. */
#include "graph/infer.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/emit.h"
#include "ops/common/walk.h"

#include <string.h>

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPE(HONE_FLOAT16))
#define MICROSOFT(name_) .domain = "com.microsoft", .name = name_, .since = 1, .oldest = 1
#define OPTIONAL HONE_SLOT_OPTIONAL

/* ONNX's operator of that name, with the node's inputs and attributes. */
static hone_status expand_as(hone_graph *g, hone_node *n, const char *op, hone_error *err) {
    hone_node *y = hone_graph_add_node(g, hone_op_find("", op), n->name, n->input_count, n->inputs, 1);
    if (!y) return hone_graph_check(g, err);
    hone_node_copy_attrs(g, y, n);
    hone_graph_replace(g, n->outputs[0], y->outputs[0]);
    return hone_graph_check(g, err);
}

static hone_status expand_identity(hone_graph *g, hone_node *n, hone_error *err) {
    return expand_as(g, n, "Identity", err);
}

const hone_op hone_op_microsoft_sample_op = {MICROSOFT("SampleOp"),
                                             .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FIXED, 0}),
                                             .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPES_FIXED, 0}),
                                             .infer = hone_infer_same,
                                             .axes = hone_axes_broadcast,
                                             .expand = expand_identity,
                                             .doc = "X"};

static hone_status expand_trilu(hone_graph *g, hone_node *n, hone_error *err) {
    return expand_as(g, n, "Trilu", err);
}

const hone_op hone_op_microsoft_trilu = {
    MICROSOFT("Trilu"),
    .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FIXED, 0}, {"k", 0, HONE_TYPE(HONE_INT64), OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPES_FIXED, 0}),
    .attrs = HONE_ATTRS({"upper", HONE_ATTR_INT, .i = 1}),
    .infer = hone_infer_same,
    .expand = expand_trilu,
    .doc = "the upper or the lower triangle of matrices"};

/* As ONNX's: its rule says the shape. */
static hone_status infer_pad(hone_infer *ctx, hone_error *err) {
    return hone_op_find("", "Pad")->infer(ctx, err);
}

static hone_status expand_pad(hone_graph *g, hone_node *n, hone_error *err) {
    return expand_as(g, n, "Pad", err);
}

const hone_op hone_op_microsoft_pad = {
    MICROSOFT("Pad"),
    .inputs = HONE_SLOTS({"data", 'T', FLOATS, 0}, {"pads", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_SHAPE},
                         {"value", 'T', FLOATS, OPTIONAL}),
    .outputs = HONE_SLOTS({"output", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS({"mode", HONE_ATTR_STRING, .s = "constant"}),
    .infer = infer_pad,
    .expand = expand_pad,
    .doc = "data with elements before and behind it along axes"};

#define RANGED (HONE_TYPES_FLOAT | HONE_TYPES_INT | HONE_TYPE(HONE_INT16))

/* ONNX's, where delta is not optional, says the length. */
static hone_status infer_range(hone_infer *ctx, hone_error *err) {
    (void)err;
    ctx->out[0].rank = 1;
    ctx->out[0].dims[0] = HONE_DIM_ANY;
    return HONE_OK;
}

static hone_status expand_range(hone_graph *g, hone_node *n, hone_error *err) {
    if (n->input_count < 3 || !n->inputs[2])
        hone_node_set_input(g, n, 2, hone_graph_scalar(g, n->inputs[0]->type.dtype, 1));
    return expand_as(g, n, "Range", err);
}

const hone_op hone_op_microsoft_range = {
    MICROSOFT("Range"),
    .inputs =
        HONE_SLOTS({"start", 'T', RANGED, 0}, {"limit", 'T', RANGED, 0}, {"delta", 'T', RANGED, OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', RANGED, 0}),
    .infer = infer_range,
    .expand = expand_range,
    .doc = "numbers from `start` on, in steps of `delta` or 1, before `limit`"};

/* --- Inverse --- of square matrices */

static hone_status infer_inverse(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    int64_t d;
    HONE_TRY(hone_infer_same(ctx, err));
    if (x->rank < 0) return HONE_OK;
    if (x->rank < 2) return hone_infer_fail(ctx, err, "X must have matrices");
    return hone_infer_same_dim(ctx, x->dims[x->rank - 1], x->dims[x->rank - 2], &d, err);
}

typedef struct params {
    bool is_double;
    int64_t n;
    hone_cut cut; /* of matrices */
} params;

static hone_status run_inverse(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    const int64_t each = p->n * p->n;
    const char *x = hone_step_in(step, frame, 0);
    char *y = hone_step_out(step, frame, 0);
    double *a = hone_step_scratch(step, frame), *b = a + each;
    const hone_dtype dtype = p->is_double ? HONE_FLOAT64 : HONE_FLOAT32;
    const size_t bytes = (size_t)each * hone_dtype_size(dtype);
    for (int64_t i = 0; i < p->cut.count; i++) {
        hone_cast(dtype, HONE_FLOAT64, x + (size_t)i * bytes, a, each);
        if (!hone_invert(a, p->n, b))
            return hone_step_fail(step, err, "matrix %lld has no inverse", (long long)i);
        hone_cast(HONE_FLOAT64, dtype, b, y + (size_t)i * bytes, each);
    }
    return HONE_OK;
}

static hone_status prepare_inverse(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const hone_type *x = p->in[0];
    q->is_double = x->dtype == HONE_FLOAT64;
    q->n = x->dims[x->rank - 1];
    q->cut = hone_cut_make(hone_dims_product(x, 0, x->rank - 2), (double)(q->n * q->n * q->n), 1);
    p->scratch = (size_t)(2 * q->n * q->n) * sizeof(double) + 64;
    p->params = q;
    p->run = run_inverse;
    p->kernel = "inverse";
    return HONE_OK;
}

/* d(X^-1) = -X^-1 dX X^-1 */
static void gradient_inverse(hone_gradient *ctx) {
    hone_value *y = ctx->node->outputs[0];
    const int rank = y->type.rank;
    int64_t perm[HONE_MAX_RANK];
    for (int i = 0; i < rank; i++) perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    hone_value *t = hone_emit_turned(ctx->graph, y, perm, rank);
    hone_value *d =
        HONE_EMIT(ctx->graph, "", "MatMul", t, HONE_EMIT(ctx->graph, "", "MatMul", ctx->dout[0], t));
    ctx->din[0] = HONE_EMIT(ctx->graph, "", "Neg", d);
}

const hone_op hone_op_microsoft_inverse = {MICROSOFT("Inverse"),
                                           .widened = HONE_TYPE(HONE_FLOAT16),
                                           .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}),
                                           .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
                                           .infer = infer_inverse,
                                           .prepare = prepare_inverse,
                                           .gradient_kind = HONE_GRADIENT_EXACT,
                                           .gradient = gradient_inverse,
                                           .doc = "the inverses of square matrices"};
