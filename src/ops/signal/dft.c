/* DFT: Fourier transforms along an axis, X [.., L, .., c] to Y [.., K, .., d], c and d being 1 (real) or 2. One engine runs
 * all forms and their gradients, which are transforms of the other sign:
 *
 *               sign  scale  reads                       gives
 *   forward      -    1      L, zeros up to N            K = N, or N/2 + 1 of a real X
 *   inverse      +    1/N    L, zeros up to N            K = N
 *   one-sided    +    1/N    N/2 + 1 and their mirror    K = N, real
 *
 * N is dft_length, or L; one-sided inverse 2 (L - 1). The gradient of the one-sided inverse counts what has a mirror twice. */
#include "graph/autodiff.h"
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/fft.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/reshape.h"
#include "ops/common/walk.h"

#include <string.h>

#define FLOATS HONE_TYPES_FLOAT

enum { INPUT, LENGTH, AXIS }; /* inputs; of the gradient dY stands before them */

static bool is_inverse(const hone_node *n) {
    return hone_node_int(n, "inverse") != 0;
}
static bool is_onesided(const hone_node *n) {
    return hone_node_int(n, "onesided") != 0;
}

/* --- shapes --- */

/* The number that input i, which is given, holds; false: it is not known. */
static bool number_of(const hone_tensor *t, int64_t *out) {
    if (!t || t->count != 1) return false;
    *out = hone_tensor_int(t, 0);
    return true;
}

/* The axis in [0, rank - 1); -1: not known. */
static hone_status axis_of(const hone_infer *ctx, int input, int rank, int *axis, hone_error *err) {
    int64_t a = -2;
    *axis = -1;
    if (input < ctx->input_count && ctx->in[input] && !number_of(ctx->constant[input], &a)) return HONE_OK;
    if (a < -rank || a >= rank || a == -1 || a == rank - 1)
        return hone_infer_fail(ctx, err, "axis %lld is no signal's of a tensor of rank %d", (long long)a,
                               rank);
    *axis = (int)(a < 0 ? a + rank : a);
    return HONE_OK;
}

/* N; a symbol or unknown where it depends on one. */
static hone_status length_of(const hone_infer *ctx, int input, int64_t signal, int64_t *length,
                             hone_error *err) {
    bool mirrored = is_inverse(ctx->node) && is_onesided(ctx->node);
    *length = !mirrored ? signal : signal >= 0 ? 2 * (signal - 1) : HONE_DIM_ANY;
    if (input < ctx->input_count && ctx->in[input] && !number_of(ctx->constant[input], length))
        *length = HONE_DIM_ANY;
    if (*length == 0 || (*length < 0 && signal >= 0 && *length != HONE_DIM_ANY) || *length > INT32_MAX)
        return hone_infer_fail(ctx, err, "a transform of length %lld", (long long)*length);
    return HONE_OK;
}

static hone_status check_input(const hone_infer *ctx, const hone_type *x, hone_error *err) {
    if (x->rank < 0) return HONE_OK;
    if (x->rank < 2) return hone_infer_fail(ctx, err, "a signal has two axes or more");
    int64_t parts = x->dims[x->rank - 1];
    if (parts >= 0 && parts != 1 && parts != 2)
        return hone_infer_fail(ctx, err, "elements of %lld parts", (long long)parts);
    if (is_onesided(ctx->node) && parts >= 0 && parts != 1 + is_inverse(ctx->node))
        return hone_infer_fail(ctx, err, "a one-sided transform takes %s numbers",
                               is_inverse(ctx->node) ? "complex" : "real");
    return HONE_OK;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[INPUT];
    hone_type *y = &ctx->out[0];
    int axis;
    for (int i = LENGTH; i < ctx->input_count; i++) HONE_TRY(hone_infer_one_element(ctx, i, err));
    HONE_TRY(check_input(ctx, x, err));
    HONE_TRY(hone_infer_same(ctx, err));
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(axis_of(ctx, AXIS, x->rank, &axis, err));
    y->dims[x->rank - 1] = is_onesided(ctx->node) && is_inverse(ctx->node) ? 1 : 2;
    if (axis < 0) {
        for (int i = 0; i < x->rank - 1; i++) y->dims[i] = HONE_DIM_ANY;
        return HONE_OK;
    }
    int64_t n;
    HONE_TRY(length_of(ctx, LENGTH, x->dims[axis], &n, err));
    bool half = is_onesided(ctx->node) && !is_inverse(ctx->node);
    y->dims[axis] = !half ? n : n >= 0 ? n / 2 + 1 : HONE_DIM_ANY;
    return HONE_OK;
}

/* As X. */
static hone_status infer_grad(hone_infer *ctx, hone_error *err) {
    (void)err;
    ctx->out[0].rank = ctx->in[1 + INPUT]->rank;
    memcpy(ctx->out[0].dims, ctx->in[1 + INPUT]->dims, sizeof ctx->out[0].dims);
    return HONE_OK;
}

/* --- running --- */

#define LANES 8
#define MOST 65536 /* points of all lanes together */

typedef struct params {
    hone_fft fft;
    bool is_double, positive; /* the sign of the exponent */
    bool mirrors;             /* the input stands for its mirror, too */
    bool doubles;             /* a result counts for its mirror, too */
    double scale;
    int64_t given, given_parts, wanted, wanted_parts; /* along the axis */
    int64_t inner;
    int64_t lanes; /* at once */
    size_t scratch;
    hone_cut cut; /* of all transforms */
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const void *x;
    void *y;
} job;

#define REAL float
#define NAME(x) x##_f32
#include "ops/signal/dft.inc.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(x) x##_f64
#include "ops/signal/dft.inc.h"

static void run_range(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    for (int64_t i = begin; i < end; i += j->p->lanes) {
        int64_t lanes = hone_min_i64(j->p->lanes, end - i);
        if (j->p->is_double)
            run_lanes_f64(j, i, lanes, worker);
        else
            run_lanes_f32(j, i, lanes, worker);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, step, frame, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, run_range, &j);
    return HONE_OK;
}

/* Tables for a transform of length n. */
static hone_status make_fft(hone_prepare *p, params *q, int64_t n, hone_error *err) {
    size_t size = q->is_double ? sizeof(double) : sizeof(float);
    void *table = hone_prepare_alloc(p, (size_t)hone_fft_table(n) * size),
         *scratch = hone_alloc((size_t)hone_fft_scratch(n, 1) * size);
    if (table && scratch && q->is_double) hone_fft_make_f64(&q->fft, n, table, scratch);
    if (table && scratch && !q->is_double) hone_fft_make_f32(&q->fft, n, table, scratch);
    hone_free(scratch);
    return table && scratch ? HONE_OK : hone_fail_memory(err);
}

/* `x` is the operator's input, also of a gradient; the step reads input 0. */
static hone_status prepare_common(hone_prepare *p, const hone_type *x, bool gradient, hone_error *err) {
    const hone_node *node = p->node;
    const hone_type *in = p->in[0], *out = &p->out[0];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const bool inverse = is_inverse(node), onesided = is_onesided(node);
    int64_t axis = -2, n;
    const int length = gradient + LENGTH, at = gradient + AXIS;
    if (at < p->in_count && p->in[at] && !number_of(p->constant[at], &axis))
        return hone_prepare_fail(p, err, "the axis is not known");
    if (axis < 0) axis += x->rank;
    n = inverse && onesided ? 2 * (x->dims[axis] - 1) : x->dims[axis];
    if (length < p->in_count && p->in[length] && !number_of(p->constant[length], &n))
        return hone_prepare_fail(p, err, "the length is not known");
    if (n < 1 || n > INT32_MAX) return hone_prepare_fail(p, err, "a transform of length %lld", (long long)n);
    int64_t count = hone_dims_product(x, 0, (int)axis),
            inner = hone_dims_product(x, (int)axis + 1, x->rank - 1);
    q->is_double = x->dtype == HONE_FLOAT64;
    q->positive = inverse != gradient;
    q->mirrors = inverse && onesided && !gradient;
    q->doubles = inverse && onesided && gradient;
    q->scale = inverse ? 1 / (double)n : 1;
    q->given = in->dims[axis];
    q->given_parts = in->dims[in->rank - 1];
    q->wanted = out->dims[axis];
    q->wanted_parts = out->dims[out->rank - 1];
    q->inner = inner;
    q->lanes = LANES;
    while (q->lanes > 1 && q->lanes * n > MOST) q->lanes /= 2;
    HONE_TRY(make_fft(p, q, n, err));
    size_t points = (size_t)(2 * n * q->lanes + hone_fft_scratch(n, q->lanes));
    double cost = 2 * (double)n;
    for (int64_t k = n; k > 1; k /= 2) cost += (q->fft.chirp ? 6 : 1.5) * (double)n;
    q->cut = hone_cut_make(count * inner, cost, q->lanes);
    p->worker_scratch = points * (q->is_double ? sizeof(double) : sizeof(float));
    p->params = q;
    p->run = run;
    p->kernel = gradient ? "dft_grad" : "dft";
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    return prepare_common(p, p->in[INPUT], false, err);
}
static hone_status prepare_grad(hone_prepare *p, hone_error *err) {
    return prepare_common(p, p->in[1 + INPUT], true, err);
}

/* --- gradient, older forms, descriptors --- */

static void gradient(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    hone_value *in[4] = {ctx->dout[0]};
    for (int i = 0; i < n->input_count; i++) in[1 + i] = n->inputs[i];
    if (!ctx->wanted[INPUT]) return;
    hone_value *d = hone_graph_emit(ctx->graph, HONE_PRIVATE_DOMAIN, "DftGrad", in, 4);
    if (d) hone_node_copy_attrs(ctx->graph, d->producer, n);
    ctx->din[INPUT] = d;
}

/* Until opset 20 the axis was an attribute. */
static hone_status lift_axis(hone_graph *g, hone_node *n, hone_error *err) {
    g->insert_before = n;
    hone_value *in[] = {n->inputs[INPUT], n->input_count > LENGTH ? n->inputs[LENGTH] : NULL,
                        hone_graph_scalar(g, HONE_INT64, (double)hone_node_int(n, "axis"))};
    hone_node *newest = hone_graph_add_node(g, n->op, n->name, 3, in, 1);
    if (newest) {
        hone_node_set_int(g, newest, "inverse", is_inverse(n));
        hone_node_set_int(g, newest, "onesided", is_onesided(n));
    }
    g->insert_before = NULL;
    if (newest) hone_lift_replace(g, n, newest->outputs[0]);
    return hone_graph_check(g, err);
}

#define FORM                                                                                                 \
    {"inverse", HONE_ATTR_INT}, {                                                                            \
        "onesided", HONE_ATTR_INT                                                                            \
    }
static const hone_attr_def dft_17[] = {FORM, {"axis", HONE_ATTR_INT, .i = 1}, {NULL}};
static const hone_op_version older[] = {{17, dft_17, lift_axis}, {0}};

#define LENGTH_AND_AXIS                                                                                      \
    {"dft_length", 0, HONE_TYPES_INT, HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE}, {                               \
        "axis", 0, HONE_TYPES_INT, HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE                                      \
    }

const hone_op hone_op_dft = {.name = "DFT",
                             .since = 20,
                             .oldest = 17,
                             .older = older,
                             .widened = HONE_TYPES_HALF,
                             .inputs =
                                 HONE_SLOTS({"input", 'T', FLOATS | HONE_TYPES_HALF, 0}, LENGTH_AND_AXIS),
                             .outputs = HONE_SLOTS({"output", 'T', FLOATS | HONE_TYPES_HALF, 0}),
                             .attrs = HONE_ATTRS(FORM),
                             .infer = infer,
                             .prepare = prepare,
                             .gradient_kind = HONE_GRADIENT_EXACT,
                             .gradient = gradient,
                             .doc = "discrete Fourier transforms along an axis, and back"};

const hone_op hone_op_dft_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "DftGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dY", 'T', FLOATS, 0}, {"X", 'T', FLOATS, 0}, LENGTH_AND_AXIS),
    .outputs = HONE_SLOTS({"dX", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS(FORM),
    .infer = infer_grad,
    .prepare = prepare_grad,
    .doc = "the gradient of a Fourier transform"};
