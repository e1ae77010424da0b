/* Compress: slices along an axis, or elements, where a condition is true: how many is known only when it has run. */
#include "graph/infer.h"
#include "graph/run.h"
#include "ops/common/axes.h"
#include "ops/common/gradient.h"
#include "ops/common/walk.h"
#include "ops/engine/copy.h"

/* The axis in [0, rank), or -1: x is flattened. */
static int axis_of(const hone_node *n, int rank) {
    const hone_attr *axis = hone_node_attr(n, "axis");
    return !axis ? -1 : (int)(axis->i < 0 ? axis->i + rank : axis->i);
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0], *condition = ctx->in[1];
    const hone_attr *attr = hone_node_attr(ctx->node, "axis");
    hone_type *y = &ctx->out[0];
    int axis = 0;
    if (condition->rank >= 0 && condition->rank != 1)
        return hone_infer_fail(ctx, err, "the condition has %d dimensions where 1 is needed",
                               condition->rank);
    if (!attr) {
        y->rank = 1;
        y->dims[0] = HONE_DIM_ANY;
        return HONE_OK;
    }
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(hone_infer_axis(ctx, attr->i, x->rank, false, &axis, err));
    HONE_TRY(hone_infer_same(ctx, err));
    y->dims[axis] = HONE_DIM_ANY;
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    int rank = n->inputs[0]->type.rank, axis = axis_of(n, rank);
    for (int i = 0; i < rank && axis >= 0; i++)
        if (i != axis) hone_axes_same(out, 0, i, i);
}

typedef struct params {
    hone_element element;
    int rank, axis; /* of y */
    int64_t dims[HONE_MAX_RANK];
    int64_t outer, size, inner, conditions;
} params;

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    const bool *condition = hone_step_in(step, frame, 1);
    const void *x = hone_step_in(step, frame, 0);
    int64_t dims[HONE_MAX_RANK], found = 0, to = 0;
    void *y;
    for (int64_t i = 0; i < p->conditions; i++) {
        if (condition[i] && i >= p->size)
            return hone_step_fail(step, err, "position %lld is taken of an axis of %lld", (long long)i,
                                  (long long)p->size);
        found += condition[i];
    }
    for (int d = 0; d < p->rank; d++) dims[d] = d == p->axis ? found : p->dims[d];
    HONE_TRY(frame->output(frame, step, 0, p->rank, dims, &y, err));
    hone_clear_end(y, p->outer * found * p->inner, p->element.bits);
    for (int64_t o = 0; o < p->outer && p->inner; o++)
        for (int64_t i = 0; i < p->conditions; i++) {
            if (!condition[i]) continue;
            hone_move(p->element, x, (o * p->size + i) * p->inner, y, to, p->inner);
            to += p->inner;
        }
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[0];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    int axis = axis_of(p->node, x->rank);
    *q = (params){.element = hone_element_of(x->dtype),
                  .rank = axis < 0 ? 1 : x->rank,
                  .axis = axis < 0 ? 0 : axis,
                  .outer = axis < 0 ? 1 : hone_dims_product(x, 0, axis),
                  .size = axis < 0 ? hone_type_count(x) : x->dims[axis],
                  .inner = axis < 0 ? 1 : hone_dims_product(x, axis + 1, x->rank),
                  .conditions = hone_type_count(p->in[1])};
    for (int d = 0; d < x->rank; d++) q->dims[d] = x->dims[d];
    p->params = q;
    p->run = run;
    p->kernel = "compress";
    return HONE_OK;
}

/* dY goes back to where the condition is true, along the axis or among all elements. */
static void gradient(hone_gradient *ctx) {
    const hone_attr *axis = hone_node_attr(ctx->node, "axis");
    hone_graph *g = ctx->graph;
    hone_value *x = ctx->node->inputs[0];
    hone_value *at =
        hone_gradient_emit(ctx, "Squeeze", hone_gradient_emit1(ctx, "NonZero", ctx->node->inputs[1]),
                           hone_graph_ints(g, (int64_t[]){0}, 1));
    hone_value *like =
        axis ? x : hone_gradient_emit(ctx, "Reshape", x, hone_graph_ints(g, (int64_t[]){-1}, 1));
    hone_value *dx = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "GatherGrad", ctx->dout[0], at, like);
    if (!dx) return;
    hone_node_copy_attrs(g, dx->producer, ctx->node);
    ctx->din[0] = axis ? dx : HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "ReshapeLike", dx, x);
}

const hone_op hone_op_compress = {
    .name = "Compress",
    .since = 11,
    .oldest = 9,
    .inputs = HONE_SLOTS({"input", 'T', HONE_TYPES_ALL, 0}, {"condition", 0, HONE_TYPE(HONE_BOOL), 0}),
    .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_ALL, 0}),
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT}),
    .infer = infer,
    .run_shapes = 1,
    .axes = axes,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "slices along an axis, or elements, where a condition is true"};
