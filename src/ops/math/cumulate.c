/* CumSum and CumProd: running sums and products along an axis. */
#include "graph/infer.h"
#include "kernels/order.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/gradient.h"
#include "ops/common/walk.h"

enum { INPUT, AXIS, GRADIENT };

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *t = ctx->in[AXIS];
    hone_content c;
    int axis;
    if (hone_type_is_concrete(t) && hone_type_count(t) != 1)
        return hone_infer_fail(ctx, err, "the axis must be one number");
    HONE_TRY(hone_infer_same(ctx, err));
    if (ctx->in[INPUT]->rank < 0 || !hone_infer_items(ctx, AXIS, &c) || !hone_content_is_known(&c))
        return HONE_OK;
    return hone_infer_axis(ctx, c.item[0].value, ctx->in[INPUT]->rank, false, &axis, err);
}

static void axes(const hone_node *n, hone_axes *out) {
    const hone_tensor *axis = hone_value_constant(n->inputs[AXIS]);
    int rank = n->inputs[INPUT]->type.rank;
    if (!axis || rank < 0) return;
    int64_t along = hone_tensor_int(axis, 0);
    if (along < 0) along += rank;
    for (int i = 0; i < rank; i++)
        hone_axes_add(out, (hone_axis_link){i == along ? HONE_AXIS_BLOCKED : HONE_AXIS_SAME, .axis = i,
                                            .output_axis = i});
}

/* x [outer, n, inner] */
typedef struct params {
    hone_scan scan;
    size_t size;
    hone_cut cut; /* of outer x inner columns */
} params;

typedef struct job {
    const params *p;
    const char *x, *dy; /* dY of the gradient, else NULL */
    char *y;
} job;

static void scan_columns(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const hone_scan *s = &j->p->scan;
    for (int64_t i = begin, columns; i < end; i += columns) {
        int64_t outer = i / s->row, column = i % s->row;
        columns = hone_min_i64(s->row - column, end - i);
        size_t at = (size_t)(outer * s->n * s->row + column) * j->p->size;
        if (j->dy)
            hone_scan_product_gradient(s, j->dy + at, j->x + at, columns, j->y + at);
        else
            hone_scan_rows(s, j->x + at, columns, j->y + at);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_step_in(step, frame, INPUT), hone_step_in(step, frame, GRADIENT),
             hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, scan_columns, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, bool product, hone_error *err) {
    const hone_type *x = p->in[INPUT];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    int64_t axis = p->constant[AXIS] ? hone_tensor_int(p->constant[AXIS], 0) : x->rank;
    if (axis < 0) axis += x->rank;
    if (axis < 0 || axis >= x->rank) return hone_prepare_fail(p, err, "the axis is not known");
    q->scan = (hone_scan){.dtype = x->dtype,
                          .product = product,
                          .exclusive = hone_node_int(p->node, "exclusive") != 0,
                          .reverse = hone_node_int(p->node, "reverse") != 0,
                          .n = x->dims[axis],
                          .row = hone_dims_product(x, (int)axis + 1, x->rank)};
    q->size = hone_dtype_size(x->dtype);
    q->cut = hone_cut_make(hone_dims_product(x, 0, (int)axis) * q->scan.row, 5 + 1.5 * (double)q->scan.n, 1);
    p->params = q;
    p->run = run;
    p->kernel = product ? "running products" : "running sums";
    return HONE_OK;
}

static hone_status prepare_sum(hone_prepare *p, hone_error *err) {
    return prepare(p, false, err);
}
static hone_status prepare_product(hone_prepare *p, hone_error *err) {
    return prepare(p, true, err);
}

/* A running sum of `v` along the node's axis. */
static hone_value *running(hone_gradient *ctx, const char *op, hone_value *v, bool exclusive, bool reverse) {
    hone_value *y = HONE_EMIT(ctx->graph, "", op, v, ctx->node->inputs[AXIS]);
    if (!y) return NULL;
    hone_node_set_int(ctx->graph, y->producer, "exclusive", exclusive);
    hone_node_set_int(ctx->graph, y->producer, "reverse", reverse);
    return y;
}

static void gradient_sum(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    if (ctx->wanted[INPUT])
        ctx->din[INPUT] = running(ctx, "CumSum", ctx->dout[0], hone_node_int(n, "exclusive") != 0,
                                  hone_node_int(n, "reverse") == 0);
}

#define CUMULATES                                                                                            \
    .inputs = HONE_SLOTS({"x", 'T', SUMMED, 0}, {"axis", 0, HONE_TYPES_INT, HONE_SLOT_SHAPE}),               \
    .outputs = HONE_SLOTS({"y", 'T', SUMMED, 0}), .overwrite = 1, .axes = axes, SCANS
#define SCANS .infer = infer, .attrs = HONE_ATTRS({"exclusive", HONE_ATTR_INT}, {"reverse", HONE_ATTR_INT})
#define SUMMED (HONE_TYPES_NUMBER | HONE_TYPES_HALF)

const hone_op hone_op_cum_sum = {.name = "CumSum",
                                 .since = 14,
                                 .oldest = 11,
                                 CUMULATES,
                                 .prepare = prepare_sum,
                                 .gradient_kind = HONE_GRADIENT_EXACT,
                                 .gradient = gradient_sum,
                                 .doc = "running sums along an axis"};

static void gradient_product(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    if (!ctx->wanted[INPUT]) return;
    ctx->din[INPUT] = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "CumProdGrad", n->inputs[INPUT],
                                n->inputs[AXIS], ctx->dout[0]);
    if (ctx->din[INPUT]) hone_node_copy_attrs(ctx->graph, ctx->din[INPUT]->producer, n);
}

const hone_op hone_op_cum_prod = {.name = "CumProd",
                                  .since = 26,
                                  .oldest = 26,
                                  CUMULATES,
                                  .prepare = prepare_product,
                                  .gradient_kind = HONE_GRADIENT_EXACT,
                                  .gradient = gradient_product,
                                  .doc = "running products along an axis"};

const hone_op hone_op_cum_prod_grad = {.domain = HONE_PRIVATE_DOMAIN,
                                       .name = "CumProdGrad",
                                       .since = 1,
                                       .oldest = 1,
                                       .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FLOAT, 0},
                                                            {"axis", 0, HONE_TYPES_INT, HONE_SLOT_SHAPE},
                                                            {"dY", 'T', HONE_TYPES_FLOAT, 0}),
                                       .outputs = HONE_SLOTS({"dX", 'T', HONE_TYPES_FLOAT, 0}),
                                       SCANS,
                                       .prepare = prepare_product,
                                       .doc = "the gradient of running products"};
