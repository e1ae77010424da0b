/* LayerNormalization and RMSNormalization: rows of all axes from `axis` on, each brought to mean 0 and variance 1 (or to a
 * mean square of 1), then scaled and shifted. What a row was normalized by, mean and inv, is saved for the gradients. With
 * N = (X - mean) inv, the row before it is scaled:
 *
 *   dX = NormalizeGrad(dY, X, scale, inv, mean) + dmean / n - dinv inv^2 N / n
 *   dscale = the sum of dY N over rows, dB = that of dY */
#include "graph/autodiff.h"
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

#define FLOATS HONE_TYPES_FLOAT
#define STASHED (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

/* The first normalized axis, in [0, rank). */
static int axis_of(const hone_node *n, int rank) {
    int64_t axis = hone_node_int(n, "axis");
    return (int)(axis < 0 ? axis + rank : axis);
}

/* --- shapes --- */

/* Is `t`, scale or shift, as the normalized axes are? NULL and an unknown rank are. */
static bool is_row(const hone_type *t, const hone_type *x, int axis) {
    if (!t || t->rank < 0) return true;
    if (t->rank != x->rank - axis) return false;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] == 1 && x->dims[axis + i] != 1) return false;
    return true;
}

/* It broadcasts to X, or is as the normalized axes are. */
static hone_status check_row(hone_infer *ctx, const hone_type *t, int axis, hone_error *err) {
    const hone_type *x = ctx->in[0];
    int64_t d;
    hone_type y = {0};
    if (!t || t->rank < 0) return HONE_OK;
    if (!is_row(t, x, axis)) {
        HONE_TRY(hone_infer_broadcast(ctx, x, t, &y, err));
        if (y.rank != x->rank) return hone_infer_fail(ctx, err, "scale and shift do not broadcast to X");
        return HONE_OK;
    }
    for (int i = 0; i < t->rank; i++)
        HONE_TRY(hone_infer_same_dim(ctx, t->dims[i], x->dims[axis + i], &d, err));
    return HONE_OK;
}

/* Output 0 as X is; the others, statistics, with axes of 1 where X is normalized. They are double where X is. */
static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    int64_t stash = hone_node_int(ctx->node, "stash_type");
    int axis;
    HONE_TRY(hone_infer_same(ctx, err));
    if (stash < 0 || stash >= HONE_DTYPE_COUNT || !(STASHED & HONE_TYPE(stash)))
        return hone_infer_fail(ctx, err, "statistics of dtype %lld", (long long)stash);
    for (int o = 1; o < ctx->output_count; o++)
        ctx->out[o].dtype = x->dtype == HONE_FLOAT64 ? HONE_FLOAT64 : (hone_dtype)stash;
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), x->rank, false, &axis, err));
    for (int i = 1; i < ctx->input_count; i++) HONE_TRY(check_row(ctx, ctx->in[i], axis, err));
    for (int o = 1; o < ctx->output_count; o++) {
        hone_type *y = &ctx->out[o];
        y->rank = x->rank;
        for (int i = 0; i < x->rank; i++) y->dims[i] = i < axis ? x->dims[i] : 1;
    }
    return HONE_OK;
}

enum { DY, X, SCALE, INV, MEAN }; /* inputs of NormalizeGrad */

static hone_status infer_grad(hone_infer *ctx, hone_error *err) {
    int64_t d;
    int axis;
    const hone_type *dy = ctx->in[DY], *x = ctx->in[X];
    HONE_TRY(hone_infer_same(ctx, err));
    if (dy->rank < 0 || x->rank < 0) return HONE_OK;
    if (dy->rank != x->rank) return hone_infer_fail(ctx, err, "dY and X must have one shape");
    for (int i = 0; i < x->rank; i++) HONE_TRY(hone_infer_same_dim(ctx, dy->dims[i], x->dims[i], &d, err));
    HONE_TRY(hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), x->rank, false, &axis, err));
    return check_row(ctx, ctx->in[SCALE], axis, err);
}

/* Forms that no kernel has. */
static bool expands(const hone_node *n) {
    const hone_type *x = &n->inputs[0]->type;
    int64_t axis = axis_of(n, x->rank);
    if (x->dtype != HONE_FLOAT64 && hone_node_int(n, "stash_type") != HONE_FLOAT32) return true;
    for (int i = 1; i < n->input_count; i++) {
        if (!n->inputs[i]) continue;
        if (n->inputs[i]->type.dtype != x->dtype) return true;
        if (x->rank >= 0 && !is_row(&n->inputs[i]->type, x, (int)axis)) return true;
    }
    return false;
}

/* Links of an input that is X's axes [from, to), those of which that are normalized as such. */
static void link_axes(hone_axes *out, int input, int from, int to, int axis, bool normalized) {
    for (int a = from; a < to; a++)
        hone_axes_add(out, (hone_axis_link){a >= axis && normalized ? HONE_AXIS_NORMALIZED : HONE_AXIS_SAME,
                                            .input = input, .axis = a - from, .output_axis = a});
}

static void axes(const hone_node *n, hone_axes *out) {
    if (expands(n)) return;
    int rank = n->inputs[0]->type.rank, axis = axis_of(n, rank);
    link_axes(out, 0, 0, rank, axis, true);
    for (int i = 1; i < n->input_count; i++)
        if (n->inputs[i]) link_axes(out, i, axis, rank, axis, false);
    for (int o = 1; o < n->output_count; o++)
        for (int a = 0; a < axis && n->outputs[o]; a++)
            hone_axes_add(out, (hone_axis_link){HONE_AXIS_SAME, .axis = a, .output = o, .output_axis = a});
}

static void axes_grad(const hone_node *n, hone_axes *out) {
    int rank = n->inputs[X]->type.rank, axis = axis_of(n, rank);
    link_axes(out, DY, 0, rank, axis, true);
    link_axes(out, X, 0, rank, axis, true);
    if (n->inputs[SCALE]) link_axes(out, SCALE, axis, rank, axis, false);
    for (int i = INV; i < n->input_count; i++)
        if (n->inputs[i]) link_axes(out, i, 0, axis, axis, false);
}

/* --- running --- */

typedef struct params {
    hone_normalize row; /* scale and shift come with the run */
    int mean, inv;      /* outputs, forward */
    bool is_double;
    hone_cut rows;
} params;

typedef struct job {
    const params *p;
    hone_normalize row;
    const char *x, *dy;   /* dy NULL: forward */
    char *y, *mean, *inv; /* mean and inv may be NULL, but for inv of a gradient */
} job;

static void *at(const char *data, int64_t i, size_t size) {
    return data ? (char *)data + (size_t)i * size : NULL;
}

static void run_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const hone_kernels *k = hone_kernels_get();
    size_t size = j->p->is_double ? sizeof(double) : sizeof(float), row = (size_t)j->row.n * size;
    for (int64_t i = begin; i < end; i++) {
        void *y = at(j->y, i, row), *mean = at(j->mean, i, size), *inv = at(j->inv, i, size);
        if (j->p->is_double)
            k->normalize_f64(&j->row, at(j->x, i, row), y, mean, inv);
        else
            k->normalize_f32(&j->row, at(j->x, i, row), y, mean, inv);
    }
}

static void run_grad_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const hone_kernels *k = hone_kernels_get();
    size_t size = j->p->is_double ? sizeof(double) : sizeof(float), row = (size_t)j->row.n * size;
    for (int64_t i = begin; i < end; i++) {
        const void *dy = at(j->dy, i, row), *x = at(j->x, i, row), *mean = at(j->mean, i, size),
                   *inv = at(j->inv, i, size);
        if (j->p->is_double)
            k->normalize_grad_f64(&j->row, dy, x, mean ? *(const double *)mean : 0, *(const double *)inv,
                                  at(j->y, i, row), NULL, NULL);
        else
            k->normalize_grad_f32(&j->row, dy, x, mean ? *(const float *)mean : 0, *(const float *)inv,
                                  at(j->y, i, row), NULL, NULL);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.p = p,
             .row = p->row,
             .x = hone_step_in(step, frame, 0),
             .y = hone_step_out(step, frame, 0),
             .mean = hone_step_out(step, frame, p->mean),
             .inv = hone_step_out(step, frame, p->inv)};
    j.row.scale = hone_step_in(step, frame, 1);
    j.row.bias = hone_step_in(step, frame, 2);
    hone_cut_run(&p->rows, frame, run_rows, &j);
    return HONE_OK;
}

static hone_status run_grad(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.p = p,
             .row = p->row,
             .dy = hone_step_in(step, frame, DY),
             .x = hone_step_in(step, frame, X),
             .inv = hone_step_in(step, frame, INV),
             .mean = hone_step_in(step, frame, MEAN),
             .y = hone_step_out(step, frame, 0)};
    j.row.scale = hone_step_in(step, frame, SCALE);
    hone_cut_run(&p->rows, frame, run_grad_rows, &j);
    return HONE_OK;
}

/* `x` has the rows; `mean` < 0: they are not centered. */
static hone_status prepare(hone_prepare *p, const hone_type *x, int mean, int inv, hone_run_fn *fn,
                           const char *kernel, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    int axis = axis_of(p->node, x->rank);
    for (int i = 1; fn == run && i < p->in_count; i++)
        if (!is_row(p->in[i], x, axis))
            return hone_prepare_fail(
                p, err, "a scale or shift whose shape comes with the data, and is another than X's");
    *q = (params){.row = {.n = hone_dims_product(x, axis, x->rank),
                          .epsilon = hone_node_float(p->node, "epsilon"),
                          .centered = mean >= 0},
                  .mean = mean >= 0 ? mean : p->out_count, /* there is none */
                  .inv = inv,
                  .is_double = x->dtype == HONE_FLOAT64};
    double element = q->is_double ? 1 : 0.2;
    q->rows = hone_cut_make(hone_dims_product(x, 0, axis), 5 + element * (double)q->row.n, 1);
    p->params = q;
    p->run = fn;
    p->kernel = kernel;
    return HONE_OK;
}

static hone_status prepare_layer(hone_prepare *p, hone_error *err) {
    return prepare(p, p->in[0], 1, 2, run, "layer_norm", err);
}
static hone_status prepare_rms(hone_prepare *p, hone_error *err) {
    return prepare(p, p->in[0], -1, 1, run, "rms_norm", err);
}
static hone_status prepare_grad(hone_prepare *p, hone_error *err) {
    bool centered = p->in_count > MEAN && p->in[MEAN];
    return prepare(p, p->in[X], centered ? 0 : -1, 0, run_grad, "normalize_grad", err);
}

/* --- forms that no kernel has --- a scale or shift that broadcasts to X, statistics in a dtype of their own */

static hone_value *cast_to(hone_graph *g, hone_value *v, hone_dtype dtype) {
    hone_value *y = v && v->type.dtype != dtype ? HONE_EMIT(g, "", "Cast", v) : v;
    if (y && y != v) hone_node_set_int(g, y->producer, "to", dtype);
    return y;
}

static hone_value *mean_of_rows(hone_graph *g, hone_value *v, const hone_node *n) {
    int rank = n->inputs[0]->type.rank, axis = axis_of(n, rank);
    int64_t axes[HONE_MAX_RANK];
    for (int i = axis; i < rank; i++) axes[i - axis] = i;
    return HONE_EMIT(g, "", "ReduceMean", v, hone_graph_ints(g, axes, rank - axis));
}

static void give(hone_graph *g, const hone_node *n, int output, hone_value *v) {
    hone_value *old = output < n->output_count ? n->outputs[output] : NULL;
    if (!old) return;
    hone_value *y = HONE_EMIT(g, "", "Cast", v);
    if (!y) return;
    hone_node_set_int(g, y->producer, "to", old->type.dtype);
    hone_graph_replace(g, old, y);
}

static hone_status expand(hone_graph *g, hone_node *n, bool centered, hone_error *err) {
    hone_value *in[3] = {NULL}, *mean = NULL;
    hone_dtype dtype = hone_node_int(n, "stash_type") == HONE_FLOAT64 ? HONE_FLOAT64 : HONE_FLOAT32;
    if (n->inputs[0]->type.rank < 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "of a tensor whose rank is not known");
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] && n->inputs[i]->type.dtype == HONE_FLOAT64) dtype = HONE_FLOAT64;
    for (int i = 0; i < n->input_count; i++) in[i] = cast_to(g, n->inputs[i], dtype);
    hone_value *d = in[0];
    if (centered) {
        mean = mean_of_rows(g, d, n);
        d = HONE_EMIT(g, "", "Sub", d, mean);
    }
    hone_value *variance = mean_of_rows(g, HONE_EMIT(g, "", "Mul", d, d), n);
    variance = HONE_EMIT(g, "", "Add", variance, hone_graph_scalar(g, dtype, hone_node_float(n, "epsilon")));
    hone_value *inv = HONE_EMIT(g, "", "Reciprocal", HONE_EMIT(g, "", "Sqrt", variance));
    hone_value *y = HONE_EMIT(g, "", "Mul", HONE_EMIT(g, "", "Mul", d, inv), in[1]);
    if (in[2]) y = HONE_EMIT(g, "", "Add", y, in[2]);
    give(g, n, 0, y);
    if (centered) give(g, n, 1, mean);
    give(g, n, 1 + centered, inv);
    return HONE_OK;
}

static hone_status expand_layer(hone_graph *g, hone_node *n, hone_error *err) {
    return expand(g, n, true, err);
}
static hone_status expand_rms(hone_graph *g, hone_node *n, hone_error *err) {
    return expand(g, n, false, err);
}

/* --- gradients --- */

static hone_value *emit(hone_gradient *ctx, const char *op, hone_value *a, hone_value *b) {
    return HONE_EMIT(ctx->graph, "", op, a, b);
}

/* `d`, a number for each row, over X and divided by the length of rows. */
static hone_value *share(hone_gradient *ctx, hone_value *d) {
    hone_value *y = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "BroadcastTo", d, ctx->node->inputs[0]);
    if (y) hone_node_set_int(ctx->graph, y->producer, "mean", 1);
    return y;
}

static hone_value *sum(hone_gradient *ctx, hone_value *a, hone_value *b) {
    return a ? emit(ctx, "Add", a, b) : b;
}

/* (X - mean) inv */
static hone_value *normalized(hone_gradient *ctx, hone_value *mean, hone_value *inv) {
    hone_value *x = ctx->node->inputs[0];
    return emit(ctx, "Mul", mean ? emit(ctx, "Sub", x, mean) : x, inv);
}

static hone_value *rows_gradient(hone_gradient *ctx, hone_value *dy, hone_value *mean, hone_value *inv) {
    hone_value *in[] = {dy, ctx->node->inputs[0], ctx->node->inputs[1], inv, mean};
    hone_node *n =
        hone_graph_add_node(ctx->graph, hone_op_find(HONE_PRIVATE_DOMAIN, "NormalizeGrad"), NULL, 5, in, 1);
    if (!n) return NULL;
    hone_node_set_int(ctx->graph, n, "axis", hone_node_int(ctx->node, "axis"));
    return n->outputs[0];
}

/* Cotangents dmean and dinv of the statistics may be NULL; mean is, where rows are not centered. */
static void gradient(hone_gradient *ctx, hone_value *mean, hone_value *inv, hone_value *dmean,
                     hone_value *dinv) {
    const hone_node *n = ctx->node;
    hone_value *dy = ctx->dout[0], *rows = NULL;
    if ((ctx->wanted[1] && dy) || (ctx->wanted[0] && dinv)) rows = normalized(ctx, mean, inv);
    if (ctx->wanted[0] && dy) ctx->din[0] = rows_gradient(ctx, dy, mean, inv);
    if (ctx->wanted[0] && dmean) ctx->din[0] = sum(ctx, ctx->din[0], share(ctx, dmean));
    if (ctx->wanted[0] && dinv) {
        hone_value *d = share(ctx, emit(ctx, "Mul", dinv, emit(ctx, "Mul", inv, inv)));
        ctx->din[0] = sum(ctx, ctx->din[0], HONE_EMIT(ctx->graph, "", "Neg", emit(ctx, "Mul", d, rows)));
    }
    if (ctx->wanted[1] && dy)
        ctx->din[1] = hone_gradient_sum_to(ctx, emit(ctx, "Mul", dy, rows), n->outputs[0], n->inputs[1]);
    if (n->input_count > 2 && ctx->wanted[2] && dy)
        ctx->din[2] = hone_gradient_sum_to(ctx, dy, n->outputs[0], n->inputs[2]);
}

static void gradient_layer(hone_gradient *ctx) {
    int given = ctx->node->output_count; /* before more is asked for */
    hone_value *dmean = given > 1 ? ctx->dout[1] : NULL, *dinv = given > 2 ? ctx->dout[2] : NULL;
    hone_value *mean = hone_gradient_saved(ctx, 1), *inv = hone_gradient_saved(ctx, 2);
    gradient(ctx, mean, inv, dmean, dinv);
}

static void gradient_rms(hone_gradient *ctx) {
    hone_value *dinv = ctx->node->output_count > 1 ? ctx->dout[1] : NULL;
    gradient(ctx, NULL, hone_gradient_saved(ctx, 1), NULL, dinv);
}

/* --- descriptors --- */

#define ROW_ATTRS                                                                                            \
    {"axis", HONE_ATTR_INT, .i = -1}, {                                                                      \
        "epsilon", HONE_ATTR_FLOAT, .f = 1e-5f                                                               \
    }
#define STASH                                                                                                \
    { "stash_type", HONE_ATTR_INT, .i = HONE_FLOAT32 }
#define NORMALIZED(newest, first)                                                                            \
    .since = (newest), .oldest = (first), .widened = HONE_TYPES_HALF, .infer = infer, .axes = axes,          \
    .overwrite = 1, .gradient_kind = HONE_GRADIENT_EXACT, .expands = expands

const hone_op hone_op_layer_normalization = {
    .name = "LayerNormalization",
    NORMALIZED(17, 1), /* some tools write it below 17, as ONNX Runtime had it before ONNX */
    .inputs = HONE_SLOTS({"X", 'T', STASHED, 0}, {"Scale", 'T', STASHED, HONE_SLOT_WEIGHT | HONE_SLOT_ONES},
                         {"B", 'T', STASHED, HONE_SLOT_WEIGHT | HONE_SLOT_ZEROS | HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', STASHED, 0}, {"Mean", 0, STASHED, HONE_SLOT_OPTIONAL},
                          {"InvStdDev", 0, STASHED, HONE_SLOT_OPTIONAL}),
    .attrs = HONE_ATTRS(ROW_ATTRS, STASH),
    .prepare = prepare_layer,
    .scaling = HONE_SCALING_WEIGHTS,
    .gradient = gradient_layer,
    .expand = expand_layer,
    .doc = "rows of mean 0 and variance 1, scaled and shifted"};

const hone_op hone_op_rms_normalization = {
    .name = "RMSNormalization",
    NORMALIZED(23, 23),
    .inputs = HONE_SLOTS({"X", 'T', STASHED, 0}, {"scale", 'V', STASHED, HONE_SLOT_WEIGHT | HONE_SLOT_ONES}),
    .outputs = HONE_SLOTS({"Y", 'V', STASHED, 0}, {"InvStdDev", 0, STASHED, HONE_SLOT_SAVED}),
    .attrs = HONE_ATTRS(ROW_ATTRS, STASH),
    .prepare = prepare_rms,
    .scaling = HONE_SCALING_WEIGHTS,
    .gradient = gradient_rms,
    .expand = expand_rms,
    .doc = "rows of mean square 1, scaled"};

const hone_op hone_op_normalize_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "NormalizeGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dY", 'T', FLOATS, 0}, {"X", 'T', FLOATS, 0}, {"scale", 'T', FLOATS, 0},
                         {"inv", 'T', FLOATS, 0}, {"mean", 'T', FLOATS, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"dX", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT, .i = -1}),
    .infer = infer_grad,
    .axes = axes_grad,
    .overwrite = 3,
    .prepare = prepare_grad,
    .doc = "the gradient of a normalized and scaled row to X"};
