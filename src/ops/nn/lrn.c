/* LRN, local response normalization: Y = X / (bias + alpha / size * the sum of squares of `size` neighbouring channels)^beta.
 * A function of WindowSum, which adds up neighbours along axis 1; a window in mirror image is its gradient. */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

#define FLOATS HONE_TYPES_FLOAT
#define STRIP 1024 /* elements whose sums stay in the cache */

/* --- WindowSum --- y[c] = x[c - before] + … + x[c + after], as far as there are such channels */

static hone_status infer_sum(hone_infer *ctx, hone_error *err) {
    HONE_TRY(hone_infer_same(ctx, err));
    if (ctx->in[0]->rank >= 0 && ctx->in[0]->rank < 2)
        return hone_infer_fail(ctx, err, "X must have a channel axis");
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    for (int i = 0; i < n->inputs[0]->type.rank; i++)
        if (i != 1) hone_axes_same(out, 0, i, i);
}

typedef struct params {
    const hone_folding *sum;
    size_t size;
    int64_t channels, inner, before, after;
    hone_cut cut; /* of all elements */
} params;

typedef struct job {
    const params *p;
    const char *x;
    char *y;
} job;

static void run_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    for (int64_t i = begin, columns; i < end; i += columns) {
        int64_t c = i / p->inner % p->channels;
        columns = hone_min_i64(hone_min_i64(STRIP, p->inner - i % p->inner), end - i);
        int64_t below = hone_min_i64(c, p->before), above = hone_min_i64(p->channels - 1 - c, p->after);
        p->sum->rows(j->x + (size_t)(i - below * p->inner) * p->size, below + 1 + above, columns, p->inner,
                     j->y + (size_t)i * p->size, false);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, run_range, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[0];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){.sum = x->dtype == HONE_FLOAT32 ? &hone_kernels_get()->fold_f32[HONE_FOLD_SUM]
                                                  : hone_folding_of(x->dtype, HONE_FOLD_SUM),
                  .size = hone_dtype_size(x->dtype),
                  .channels = x->dims[1],
                  .inner = hone_dims_product(x, 2, x->rank),
                  .before = hone_node_int(p->node, "before"),
                  .after = hone_node_int(p->node, "after")};
    q->cut = hone_cut_make(hone_type_count(x), 0.1 * (double)(q->before + q->after + 2), 64);
    p->params = q;
    p->run = run;
    p->kernel = "window_sum";
    return HONE_OK;
}

static hone_value *window_sum(hone_graph *g, hone_value *v, int64_t before, int64_t after) {
    hone_value *y = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "WindowSum", v);
    if (!y) return NULL;
    hone_node_set_int(g, y->producer, "before", before);
    hone_node_set_int(g, y->producer, "after", after);
    return y;
}

static void gradient(hone_gradient *ctx) {
    ctx->din[0] = window_sum(ctx->graph, ctx->dout[0], hone_node_int(ctx->node, "after"),
                             hone_node_int(ctx->node, "before"));
}

const hone_op hone_op_window_sum = {.domain = HONE_PRIVATE_DOMAIN,
                                    .name = "WindowSum",
                                    .since = 1,
                                    .oldest = 1,
                                    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}),
                                    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
                                    .attrs = HONE_ATTRS({"before", HONE_ATTR_INT}, {"after", HONE_ATTR_INT}),
                                    .infer = infer_sum,
                                    .axes = axes,
                                    .prepare = prepare,
                                    .gradient_kind = HONE_GRADIENT_EXACT,
                                    .gradient = gradient,
                                    .doc = "the sum of neighbouring channels, so many before and after each"};

/* --- LRN --- */

static hone_status infer(hone_infer *ctx, hone_error *err) {
    int64_t size = hone_node_int(ctx->node, "size");
    if (size < 1 || size > INT32_MAX) return hone_infer_fail(ctx, err, "a window of %lld", (long long)size);
    return infer_sum(ctx, err);
}

/* X e^(-beta ln(bias + alpha / size sum)) */
static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *x = n->inputs[0];
    hone_dtype dtype = x->type.dtype;
    int64_t size = hone_node_int(n, "size");
    double alpha = hone_node_float(n, "alpha"), beta = hone_node_float(n, "beta"),
           bias = hone_node_float(n, "bias");
    hone_value *sum = window_sum(g, HONE_EMIT(g, "", "Mul", x, x), (size - 1) / 2, size / 2);
    hone_value *base = HONE_EMIT(g, "", "Mul", sum, hone_graph_scalar(g, dtype, alpha / (double)size));
    base = HONE_EMIT(g, "", "Log", HONE_EMIT(g, "", "Add", base, hone_graph_scalar(g, dtype, bias)));
    base = HONE_EMIT(g, "", "Exp", HONE_EMIT(g, "", "Mul", base, hone_graph_scalar(g, dtype, -beta)));
    hone_graph_replace(g, n->outputs[0], HONE_EMIT(g, "", "Mul", x, base));
    return HONE_OK;
}

const hone_op hone_op_lrn = {
    .name = "LRN",
    .since = 13,
    .oldest = 1,
    .widened = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"X", 'T', FLOATS | HONE_TYPES_HALF, 0}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS | HONE_TYPES_HALF, 0}),
    .attrs = HONE_ATTRS({"alpha", HONE_ATTR_FLOAT, .f = 0.0001f}, {"beta", HONE_ATTR_FLOAT, .f = 0.75f},
                        {"bias", HONE_ATTR_FLOAT, .f = 1}, {"size", HONE_ATTR_INT, .required = true}),
    .infer = infer,
    .axes = axes,
    .expand = expand,
    .doc = "X divided by a power of the sum of squares of neighbouring channels"};
