#include "ops/common/channels_last.h"
#include "ops/engine/softmax.h"
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/reshape.h"

#include <string.h>

#define FLOATS HONE_TYPES_FLOAT

static hone_status infer(hone_infer *ctx, hone_error *err) {
    int axis;
    HONE_TRY(hone_infer_same(ctx, err));
    if (ctx->in[0]->rank < 0) return HONE_OK;
    return hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), ctx->in[0]->rank, false, &axis, err);
}

/* The axis, in [0, rank). */
static int axis_of(const hone_node *n, int rank) {
    int64_t axis = hone_node_int(n, "axis");
    return (int)(axis < 0 ? axis + rank : axis);
}

static void axes(const hone_node *n, hone_axes *out) {
    int rank = n->outputs[0]->type.rank, axis = axis_of(n, rank);
    for (int i = 0; i < n->input_count; i++)
        for (int a = 0; a < rank; a++)
            hone_axes_add(out, (hone_axis_link){a == axis ? HONE_AXIS_NORMALIZED : HONE_AXIS_SAME, .input = i,
                                                .axis = a, .output_axis = a});
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const hone_softmax *s = step->params;
    hone_softmax_run(s, step, frame, hone_step_in(step, frame, 0), hone_step_in(step, frame, 1),
                     hone_step_out(step, frame, 0));
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_softmax_kind kind, const char *kernel, hone_error *err) {
    hone_softmax *s = hone_prepare_alloc(p, sizeof *s);
    if (!s) return hone_fail_memory(err);
    hone_softmax_make(s, kind, p->in[0], axis_of(p->node, p->in[0]->rank));
    p->params = s;
    p->worker_scratch = hone_softmax_scratch(s);
    p->run = run;
    p->kernel = kernel;
    return HONE_OK;
}

static hone_status prepare_softmax(hone_prepare *p, hone_error *err) {
    return prepare(p, HONE_SOFTMAX, "softmax", err);
}
static hone_status prepare_log_softmax(hone_prepare *p, hone_error *err) {
    return prepare(p, HONE_LOG_SOFTMAX, "log_softmax", err);
}
static hone_status prepare_softmax_grad(hone_prepare *p, hone_error *err) {
    return prepare(p, HONE_SOFTMAX_GRAD, "softmax_grad", err);
}
static hone_status prepare_log_softmax_grad(hone_prepare *p, hone_error *err) {
    return prepare(p, HONE_LOG_SOFTMAX_GRAD, "log_softmax_grad", err);
}

static void gradient(hone_gradient *ctx, const char *op) {
    hone_value *d = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, op, ctx->dout[0], ctx->node->outputs[0]);
    if (d) hone_node_set_int(ctx->graph, d->producer, "axis", hone_node_int(ctx->node, "axis"));
    ctx->din[0] = d;
}

static void gradient_softmax(hone_gradient *ctx) {
    gradient(ctx, "SoftmaxGrad");
}
static void gradient_log_softmax(hone_gradient *ctx) {
    gradient(ctx, "LogSoftmaxGrad");
}

static const hone_attr_def softmax_1[] = {{"axis", HONE_ATTR_INT, .i = 1}, {NULL}};
static const hone_op_version older[] = {{1, softmax_1, hone_lift_flat}, {0}};

#define SOFTMAX                                                                                              \
    .since = 13, .oldest = 1, .older = older, .widened = HONE_TYPES_HALF,                                    \
    .inputs = HONE_SLOTS({"input", 'T', FLOATS | HONE_TYPES_HALF, 0}),                                       \
    .outputs = HONE_SLOTS({"output", 'T', FLOATS | HONE_TYPES_HALF, 0}),                                     \
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT, .i = -1}), .infer = infer, .axes = axes, .overwrite = 1,     \
    .gradient_kind = HONE_GRADIENT_EXACT

static hone_link link_softmax(const hone_node *n) {
    int64_t axis = hone_node_int(n, "axis");
    int rank = n->outputs[0]->type.rank;
    return axis == -1 || (rank > 0 && axis == rank - 1) ? HONE_LINK_SOFTMAX : HONE_LINK_NONE;
}

const hone_op hone_op_softmax = {.name = "Softmax",
                                 SOFTMAX,
                                 .link = link_softmax,
                                 .channels_last = hone_last_by_axis,
                                 .prepare = prepare_softmax,
                                 .gradient = gradient_softmax,
                                 .doc = "exp(x) divided by its sum along an axis"};

const hone_op hone_op_log_softmax = {.name = "LogSoftmax",
                                     SOFTMAX,
                                     .channels_last = hone_last_by_axis,
                                     .prepare = prepare_log_softmax,
                                     .gradient = gradient_log_softmax,
                                     .doc = "the logarithm of softmax, without its rounding"};

#define SOFTMAX_GRAD                                                                                         \
    .domain = HONE_PRIVATE_DOMAIN, .since = 1, .oldest = 1,                                                  \
    .inputs = HONE_SLOTS({"dY", 'T', FLOATS, 0}, {"Y", 'T', FLOATS, 0}),                                     \
    .outputs = HONE_SLOTS({"dX", 'T', FLOATS, 0}), .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT, .i = -1}),    \
    .infer = infer, .axes = axes

const hone_op hone_op_softmax_grad = {.name = "SoftmaxGrad",
                                      SOFTMAX_GRAD,
                                      .overwrite = 1,
                                      .prepare = prepare_softmax_grad,
                                      .doc = "Y (dY - sum of dY Y)"};

const hone_op hone_op_log_softmax_grad = {.name = "LogSoftmaxGrad",
                                          SOFTMAX_GRAD,
                                          .prepare = prepare_log_softmax_grad,
                                          .doc = "dY - exp(Y) times the sum of dY"};
