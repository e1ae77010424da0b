/* BatchNormalization with given statistics: y = (x - mean) a + b, a = scale / sqrt(var + epsilon), each a number for one
 * channel, which runs along axis 1. Constants are lowered to less (rewrites/fold_affine.c). */
#include "graph/autodiff.h"
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/reshape.h"
#include "ops/engine/elementwise.h"

enum { X, SCALE, B, MEAN, VAR };

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[X];
    int64_t d;
    if (hone_node_int(ctx->node, "training_mode") || ctx->output_count > 1)
        return hone_fail_node(err, HONE_UNSUPPORTED, ctx->node->name, ctx->node->op->name,
                              "the form for training, whose statistics are the batch's");
    HONE_TRY(hone_infer_same(ctx, err));
    if (x->rank < 0) return HONE_OK;
    if (x->rank < 2) return hone_infer_fail(ctx, err, "X must have a channel axis");
    for (int i = SCALE; i <= VAR; i++) {
        if (ctx->in[i]->rank < 0) continue;
        if (ctx->in[i]->rank != 1) return hone_infer_fail(ctx, err, "input %d must be a vector", i);
        HONE_TRY(hone_infer_same_dim(ctx, ctx->out[0].dims[1], ctx->in[i]->dims[0], &d, err));
        ctx->out[0].dims[1] = d;
    }
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    for (int a = 0; a < n->inputs[X]->type.rank; a++) hone_axes_same(out, X, a, a);
    for (int i = SCALE; i <= VAR; i++) hone_axes_same(out, i, 0, 1);
}

/* --- running --- a for each channel, then all elements */

typedef struct params {
    const hone_elementwise *factors, *elements;
    int64_t channels;
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    void *in[4], *y; /* x, mean, a, b */
} job;

static void run_range(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    hone_elementwise_run(j->p->elements, j->in, (void *[]){j->y}, begin, end,
                         hone_step_worker_scratch(j->step, j->frame, worker));
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    void *factors = hone_step_scratch(step, frame);
    void *in[] = {hone_step_in(step, frame, SCALE), hone_step_in(step, frame, VAR)};
    hone_elementwise_run(p->factors, in, (void *[]){factors}, 0, p->channels,
                         hone_step_worker_scratch(step, frame, 0));
    job j = {.p = p,
             .step = step,
             .frame = frame,
             .in = {hone_step_in(step, frame, X), hone_step_in(step, frame, MEAN), factors,
                    hone_step_in(step, frame, B)},
             .y = hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, run_range, &j);
    return HONE_OK;
}

/* scale / sqrt(var + epsilon) */
static hone_map *factor_map(hone_arena *arena, hone_dtype dtype, double epsilon) {
    hone_map *m = hone_map_new(arena);
    if (!m) return NULL;
    hone_reg scale = hone_map_input(m, 0, dtype), var = hone_map_input(m, 1, dtype);
    hone_reg deviation = hone_map_sqrt(m, hone_map_add(m, var, hone_map_const(m, epsilon)));
    hone_map_add_output(m, hone_map_cast(m, hone_map_div(m, scale, deviation), hone_map_computes(dtype)));
    return m;
}

/* (x - mean) a + b */
static hone_map *element_map(hone_arena *arena, hone_dtype dtype) {
    hone_map *m = hone_map_new(arena);
    if (!m) return NULL;
    hone_reg x = hone_map_input(m, 0, dtype), mean = hone_map_input(m, 1, dtype),
             a = hone_map_input(m, 2, hone_map_computes(dtype)), b = hone_map_input(m, 3, dtype);
    hone_reg y = hone_map_add(m, hone_map_mul(m, hone_map_sub(m, x, mean), a), b);
    hone_map_add_output(m, hone_map_cast(m, y, dtype));
    return m;
}

/* A number for each channel: [C, 1, …] as x has axes behind it. */
static hone_type channels_of(const hone_type *x, hone_dtype dtype) {
    hone_type t = {.kind = HONE_KIND_TENSOR, .dtype = dtype, .rank = x->rank - 1, .dims = {x->dims[1]}};
    for (int i = 1; i < t.rank; i++) t.dims[i] = 1;
    return t;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[X];
    params *q = hone_prepare_alloc(p, sizeof *q);
    hone_arena *arena = q ? hone_arena_new() : NULL;
    if (!arena) return hone_fail_memory(err);
    hone_dtype computes = hone_map_computes(x->dtype);
    hone_type given = channels_of(x, x->dtype), factor = channels_of(x, computes), row = factor;
    row.rank = 1;
    hone_elementwise *factors = NULL, *elements = NULL;
    const hone_map *first = factor_map(arena, x->dtype, hone_node_float(p->node, "epsilon")),
                   *second = element_map(arena, x->dtype);
    hone_status status = first && second ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK)
        status = hone_elementwise_prepare(p, first, (const hone_type *[]){p->in[SCALE], p->in[VAR]}, &row,
                                          &factors, err);
    if (status == HONE_OK)
        status = hone_elementwise_prepare(p, second, (const hone_type *[]){x, &given, &factor, &given},
                                          &p->out[0], &elements, err);
    hone_arena_free(arena);
    HONE_TRY(status);
    *q = (params){factors, elements, x->dims[1], hone_cut_make(hone_type_count(x), 0.3, 64)};
    size_t one = hone_elementwise_scratch(factors), other = hone_elementwise_scratch(elements);
    p->scratch = (size_t)q->channels * hone_dtype_size(computes);
    p->worker_scratch = one > other ? one : other;
    p->params = q;
    p->run = run;
    p->kernel = "batch_norm";
    return HONE_OK;
}

/* --- the gradient --- with the statistics given: a' = 1 / sqrt(var + epsilon), N = (x - mean) a', sums over all axes but
 * that of the channels
 *
 *   dX = dY a     dscale = sum(dY N)     dB = sum(dY)     dmean = -sum(dY) a     dvar = -sum(dY N) scale a'^2 / 2 */

typedef struct backward {
    hone_gradient *ctx;
    int rank;
} backward;

static hone_value *emit(const backward *b, const char *op, hone_value *u, hone_value *v) {
    return HONE_EMIT(b->ctx->graph, "", op, u, v);
}

static hone_value *scalar(const backward *b, double x) {
    return hone_graph_scalar(b->ctx->graph, b->ctx->node->outputs[0]->type.dtype, x);
}

static hone_value *reshape(const backward *b, hone_value *v, int rank) {
    int64_t shape[HONE_MAX_RANK];
    for (int i = 0; i < rank; i++) shape[i] = i ? 1 : -1;
    return HONE_EMIT(b->ctx->graph, "", "Reshape", v, hone_graph_ints(b->ctx->graph, shape, rank));
}

/* [C] as it stands against X, [C, 1, …], and back. */
static hone_value *spread(const backward *b, hone_value *v) {
    return b->rank == 2 ? v : reshape(b, v, b->rank - 1);
}
static hone_value *sum(const backward *b, hone_value *v, hone_value *spread_like) {
    hone_value *s = HONE_EMIT(b->ctx->graph, HONE_PRIVATE_DOMAIN, "SumTo", v, spread_like);
    return b->rank == 2 ? s : reshape(b, s, 1);
}

static void gradient(hone_gradient *ctx) {
    hone_value *const *in = ctx->node->inputs, *dy = ctx->dout[0];
    const backward b = {ctx, in[X]->type.rank};
    if (b.rank < 2 || !dy) return;
    hone_value *variance = emit(&b, "Add", in[VAR], scalar(&b, hone_node_float(ctx->node, "epsilon")));
    hone_value *inverse = emit(&b, "Div", scalar(&b, 1), HONE_EMIT(ctx->graph, "", "Sqrt", variance));
    hone_value *a = emit(&b, "Mul", in[SCALE], inverse), *like = spread(&b, in[B]);
    if (ctx->wanted[X]) ctx->din[X] = emit(&b, "Mul", dy, spread(&b, a));
    hone_value *dscale = NULL, *db = NULL;
    if (ctx->wanted[SCALE] || ctx->wanted[VAR]) {
        hone_value *n = emit(&b, "Mul", emit(&b, "Sub", in[X], spread(&b, in[MEAN])), spread(&b, inverse));
        dscale = sum(&b, emit(&b, "Mul", dy, n), like);
    }
    if (ctx->wanted[B] || ctx->wanted[MEAN]) db = sum(&b, dy, like);
    if (ctx->wanted[SCALE]) ctx->din[SCALE] = dscale;
    if (ctx->wanted[B]) ctx->din[B] = db;
    if (ctx->wanted[MEAN]) ctx->din[MEAN] = HONE_EMIT(ctx->graph, "", "Neg", emit(&b, "Mul", db, a));
    if (ctx->wanted[VAR])
        ctx->din[VAR] =
            emit(&b, "Mul", emit(&b, "Mul", dscale, a), emit(&b, "Mul", inverse, scalar(&b, -0.5)));
}

/* --- older forms --- */

/* Until opset 9 `spatial` said whether all elements of a channel share a number, and until 7 `is_test` which form it is. */
static hone_status lift(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_attr *spatial = hone_node_attr(n, "spatial"), *epsilon = hone_node_attr(n, "epsilon");
    if (spatial && spatial->i == 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, n->op->name,
                              "a number for each element of a channel");
    g->insert_before = n;
    hone_node *newest = hone_graph_add_node(g, n->op, n->name, n->input_count, n->inputs, 1);
    if (newest && epsilon) hone_node_set_float(g, newest, "epsilon", epsilon->f);
    g->insert_before = NULL;
    if (newest) hone_lift_replace(g, n, newest->outputs[0]);
    return hone_graph_check(g, err);
}

static hone_status lift_test(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_attr *test = hone_node_attr(n, "is_test");
    if (!test || test->i == 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, n->op->name,
                              "the form for training, whose statistics are the batch's");
    return lift(g, n, err);
}

#define EPSILON                                                                                              \
    { "epsilon", HONE_ATTR_FLOAT, .f = 1e-5f }
#define MOMENTUM                                                                                             \
    { "momentum", HONE_ATTR_FLOAT, .f = 0.9f }
#define SPATIAL                                                                                              \
    { "spatial", HONE_ATTR_INT, .i = 1 }

static const hone_attr_def batch_norm_7[] = {EPSILON, MOMENTUM, SPATIAL, {NULL}},
                           batch_norm_1[] = {EPSILON,
                                             MOMENTUM,
                                             SPATIAL,
                                             {"is_test", HONE_ATTR_INT},
                                             {"consumed_inputs", HONE_ATTR_INTS},
                                             {NULL}};
static const hone_op_version older[] = {
    {9, NULL, NULL}, {7, batch_norm_7, lift}, {1, batch_norm_1, lift_test}, {0}};

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

const hone_op hone_op_batch_normalization = {
    .name = "BatchNormalization",
    .since = 15,
    .oldest = 1,
    .older = older,
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"scale", 'T', FLOATS, HONE_SLOT_WEIGHT},
                         {"B", 'T', FLOATS, HONE_SLOT_WEIGHT}, {"input_mean", 'T', FLOATS, 0},
                         {"input_var", 'T', FLOATS, 0}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}, {"running_mean", 'T', FLOATS, HONE_SLOT_OPTIONAL},
                          {"running_var", 'T', FLOATS, HONE_SLOT_OPTIONAL}),
    .attrs = HONE_ATTRS(EPSILON, MOMENTUM, {"training_mode", HONE_ATTR_INT}),
    .infer = infer,
    .axes = axes,
    .overwrite = 1,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .domain_hint = {.lo = 0.5f, .hi = 2},
    .doc = "channels brought to mean 0 and variance 1 by given statistics, scaled and shifted"};
