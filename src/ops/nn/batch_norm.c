/* BatchNormalization. With given statistics: y = (x - mean) a + b, a = scale / sqrt(var + epsilon), each a number for one
 * channel, which runs along axis 1. Constants are lowered to less (rewrites/fold_affine.c).
 * With training_mode the statistics are the batch's: a function of the above and of means. */
#include "graph/autodiff.h"
#include "graph/infer.h"
#include "graph/train_form.h"
#include "ops/common/axes.h"
#include "ops/common/channels_last.h"
#include "ops/common/cut.h"
#include "ops/common/reshape.h"
#include "ops/engine/elementwise.h"
#include "ops/nn/batch_statistics.h"

enum { X, SCALE, B, MEAN, VAR };

static bool is_training(const hone_node *n) {
    return hone_node_int(n, "training_mode") != 0;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[X];
    int64_t d, channels = HONE_DIM_ANY;
    HONE_TRY(hone_infer_same(ctx, err));
    if (ctx->output_count > 1 && !is_training(ctx->node))
        return hone_infer_fail(ctx, err, "has running statistics among its outputs, but no training_mode");
    if (x->rank >= 0 && x->rank < 2) return hone_infer_fail(ctx, err, "X must have a channel axis");
    if (x->rank >= 0) channels = x->dims[1];
    for (int i = SCALE; i <= VAR; i++) {
        if (ctx->in[i]->rank < 0) continue;
        if (ctx->in[i]->rank != 1) return hone_infer_fail(ctx, err, "input %d must be a vector", i);
        HONE_TRY(hone_infer_same_dim(ctx, channels, ctx->in[i]->dims[0], &d, err));
        channels = d;
    }
    if (x->rank >= 0) ctx->out[0].dims[1] = channels;
    for (int o = 1; o < ctx->output_count; o++) {
        ctx->out[o].rank = 1;
        ctx->out[o].dims[0] = channels;
    }
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    if (is_training(n)) return;
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

/* [C] as it stands against X. */
static hone_value *spread(const backward *b, hone_value *v) {
    return hone_batch_spread(b->ctx->graph, v, b->rank);
}

static void gradient(hone_gradient *ctx) {
    hone_value *const *in = ctx->node->inputs, *dy = ctx->dout[0];
    const backward b = {ctx, in[X]->type.rank};
    if (b.rank < 2 || !dy) return;
    hone_value *variance = emit(&b, "Add", in[VAR], scalar(&b, hone_node_float(ctx->node, "epsilon")));
    hone_value *inverse = emit(&b, "Div", scalar(&b, 1), HONE_EMIT(ctx->graph, "", "Sqrt", variance));
    hone_value *a = emit(&b, "Mul", in[SCALE], inverse);
    if (ctx->wanted[X]) ctx->din[X] = emit(&b, "Mul", dy, spread(&b, a));
    if (!ctx->wanted[SCALE] && !ctx->wanted[VAR] && !ctx->wanted[B] && !ctx->wanted[MEAN]) return;
    hone_node *sums = hone_graph_add_node(ctx->graph, hone_op_find(HONE_PRIVATE_DOMAIN, "BatchSums"), "", 3,
                                          (hone_value *[]){dy, in[X], in[MEAN]}, 2);
    if (!sums) return;
    hone_value *db = sums->outputs[0], *dscale = emit(&b, "Mul", sums->outputs[1], inverse);
    if (ctx->wanted[SCALE]) ctx->din[SCALE] = dscale;
    if (ctx->wanted[B]) ctx->din[B] = db;
    if (ctx->wanted[MEAN]) ctx->din[MEAN] = HONE_EMIT(ctx->graph, "", "Neg", emit(&b, "Mul", db, a));
    if (ctx->wanted[VAR])
        ctx->din[VAR] =
            emit(&b, "Mul", emit(&b, "Mul", dscale, a), emit(&b, "Mul", inverse, scalar(&b, -0.5)));
}

/* --- images with their channels last --- elementwise work, which is joined with what is around it */

static hone_value *channels_last(hone_channels_last *ctx) {
    const hone_node *n = ctx->node;
    hone_graph *g = ctx->graph;
    hone_value *const *in = n->inputs;
    const hone_dtype dtype = n->outputs[0]->type.dtype;
    if (is_training(n) || dtype != HONE_FLOAT32) return NULL;
    for (int i = SCALE; i <= VAR; i++)
        if (in[i]->type.dtype != dtype) return NULL;
    hone_value *variance =
        HONE_EMIT(g, "", "Add", in[VAR], hone_graph_scalar(g, dtype, hone_node_float(n, "epsilon")));
    hone_value *a = HONE_EMIT(g, "", "Div", in[SCALE], HONE_EMIT(g, "", "Sqrt", variance));
    hone_value *d = HONE_EMIT(g, "", "Sub", hone_value_channels_last(g, in[X]), in[MEAN]);
    return HONE_EMIT(g, "", "Add", HONE_EMIT(g, "", "Mul", d, a), in[B]);
}

/* --- functions --- statistics of the batch, and dtypes that differ */

static bool expands(const hone_node *n) {
    for (int i = SCALE; i <= VAR; i++)
        if (n->inputs[i]->type.dtype != n->inputs[X]->type.dtype) return true;
    return is_training(n);
}

static hone_value *cast_to(hone_graph *g, hone_value *v, hone_dtype dtype) {
    hone_value *y = HONE_EMIT(g, "", "Cast", v);
    if (y) hone_node_set_int(g, y->producer, "to", dtype);
    return y;
}

/* Over all axes but that of the channels: [1, C, 1, …], and as a vector. */
static hone_value *mean(hone_graph *g, hone_value *v, int rank, bool keep) {
    int64_t axes[HONE_MAX_RANK];
    for (int i = 0; i < rank - 1; i++) axes[i] = i ? i + 1 : 0;
    hone_value *y = HONE_EMIT(g, "", "ReduceMean", v, hone_graph_ints(g, axes, rank - 1));
    if (y) hone_node_set_int(g, y->producer, "keepdims", keep);
    return y;
}

/* given momentum + batch's (1 - momentum), as output `o` */
static void give_running(hone_graph *g, const hone_node *n, int o, hone_value *given, hone_value *batch,
                         hone_dtype dtype) {
    hone_value *old = o < n->output_count ? n->outputs[o] : NULL;
    double momentum = hone_node_float(n, "momentum");
    if (!old) return;
    hone_value *kept = HONE_EMIT(g, "", "Mul", given, hone_graph_scalar(g, dtype, momentum));
    hone_value *added = HONE_EMIT(g, "", "Mul", batch, hone_graph_scalar(g, dtype, 1 - momentum));
    hone_value *running = HONE_EMIT(g, "", "Add", kept, added);
    bool known = old->type.dtype != HONE_UNDEFINED;
    hone_graph_replace(g, old, known ? cast_to(g, running, old->type.dtype) : running);
}

static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    hone_dtype dtype = HONE_FLOAT32;
    hone_value *in[5];
    int rank = n->inputs[X]->type.rank;
    for (int i = X; i <= VAR; i++)
        if (n->inputs[i]->type.dtype == HONE_FLOAT64) dtype = HONE_FLOAT64;
    for (int i = X; i <= VAR; i++) in[i] = cast_to(g, n->inputs[i], dtype);
    if (is_training(n)) {
        if (rank < 0)
            return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                                  "for training, of a tensor whose rank is not known");
        hone_node *statistics = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "BatchStatistics"),
                                                    n->name, 1, &in[X], 2);
        if (!statistics) return hone_graph_check(g, err);
        hone_value *batch_mean = statistics->outputs[0], *batch_var = statistics->outputs[1];
        give_running(g, n, 1, in[MEAN], batch_mean, dtype);
        give_running(g, n, 2, in[VAR], batch_var, dtype);
        in[MEAN] = batch_mean;
        in[VAR] = batch_var;
    }
    hone_value *y = n->outputs[0] ? hone_graph_emit(g, "", n->op->name, in, 5) : NULL;
    if (!y) return HONE_OK;
    hone_node_set_float(g, y->producer, "epsilon", hone_node_float(n, "epsilon"));
    hone_graph_replace(g, n->outputs[0], cast_to(g, y, n->outputs[0]->type.dtype));
    return HONE_OK;
}

/* While training the statistics are the batch's, whatever the node says, if there are constants in which running ones can
 * be kept. */
static void train_form(hone_train_form *ctx) {
    hone_node *n = ctx->node;
    if (n->inputs[MEAN]->data && n->inputs[VAR]->data && n->inputs[X]->type.rank >= 0)
        hone_node_set_int(ctx->graph, n, "training_mode", 1);
    for (int o = 1; o < 3 && is_training(n); o++) {
        hone_value *variable = hone_train_statistic(ctx, MEAN + o - 1);
        if (variable) hone_graph_bind(ctx->graph, hone_node_ask_output(ctx->graph, n, o), variable);
    }
}

/* --- older forms --- */

/* Until opset 9 `spatial` said whether all elements of a channel share a number, and until 7 `is_test` which form it is.
 * Until 14 more than one output, or until 7 no `is_test`, meant training: of outputs Y, mean, var, saved_mean, saved_var the
 * last two are the batch's own. */

static void give(hone_graph *g, const hone_node *n, int output, hone_value *v) {
    if (v && output < n->output_count && n->outputs[output]) hone_graph_replace(g, n->outputs[output], v);
}

static hone_value *emit_op(hone_graph *g, const char *op, hone_value *a, hone_value *b) {
    return HONE_EMIT(g, "", op, a, b);
}

/* The mean over the batch alone, or over all axes but that of the channels. */
static hone_value *batch_mean(hone_graph *g, hone_value *v, int rank, bool spatial) {
    if (spatial) return mean(g, v, rank, false);
    hone_value *y = emit_op(g, "ReduceMean", v, hone_graph_ints(g, (int64_t[]){0}, 1));
    if (y) hone_node_set_int(g, y->producer, "keepdims", 0);
    return y;
}

static hone_value *batch_variance(hone_graph *g, hone_value *x, int rank, bool spatial) {
    hone_value *m = spatial ? mean(g, x, rank, true) : batch_mean(g, x, rank, false);
    hone_value *d = emit_op(g, "Sub", x, m);
    return batch_mean(g, emit_op(g, "Mul", d, d), rank, spatial);
}

/* A number for each element of a channel: (X - mean) / sqrt(var + epsilon) scale + B, all broadcast. */
static void emit_each(hone_graph *g, const hone_node *n, hone_value *const *in, hone_dtype dtype) {
    hone_value *variance =
        emit_op(g, "Add", in[VAR], hone_graph_scalar(g, dtype, hone_node_float(n, "epsilon")));
    hone_value *d = emit_op(g, "Div", emit_op(g, "Sub", in[X], in[MEAN]), HONE_EMIT(g, "", "Sqrt", variance));
    give(g, n, 0, emit_op(g, "Add", emit_op(g, "Mul", d, in[SCALE]), in[B]));
}

static void emit_newest(hone_graph *g, const hone_node *n, bool training) {
    hone_node *newest = hone_graph_add_node(g, n->op, n->name, n->input_count, n->inputs, training ? 3 : 1);
    if (!newest) return;
    hone_node_set_float(g, newest, "epsilon", hone_node_float(n, "epsilon"));
    hone_node_set_float(g, newest, "momentum", hone_node_float(n, "momentum"));
    if (training) hone_node_set_int(g, newest, "training_mode", 1);
    for (int o = 0; o < newest->output_count; o++) give(g, n, o, newest->outputs[o]);
}

static hone_status lift_form(hone_graph *g, hone_node *n, bool training, hone_error *err) {
    bool spatial = !hone_node_attr(n, "spatial") || hone_node_int(n, "spatial");
    hone_type x = *hone_type_any(HONE_UNDEFINED);
    /* asked for where it counts only: it is inferred from the beginning on, each time */
    if ((training || !spatial) && !hone_lift_type(g, n->inputs[X], &x)) return hone_fail_memory(err);
    if (training && spatial && x.rank < 2)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "for training, of a tensor whose rank is not known");
    g->insert_before = n;
    hone_value *in[] = {n->inputs[X], n->inputs[SCALE], n->inputs[B], n->inputs[MEAN], n->inputs[VAR]};
    hone_value *m = training ? batch_mean(g, in[X], x.rank, spatial) : NULL,
               *v = training ? batch_variance(g, in[X], x.rank, spatial) : NULL;
    hone_dtype dtype = x.dtype == HONE_UNDEFINED ? HONE_FLOAT32 : x.dtype;
    if (spatial) {
        emit_newest(g, n, training);
    } else {
        if (training) {
            give_running(g, n, 1, in[MEAN], m, dtype);
            give_running(g, n, 2, in[VAR], v, dtype);
            in[MEAN] = m;
            in[VAR] = v;
        }
        emit_each(g, n, in, dtype);
    }
    give(g, n, 3, m);
    give(g, n, 4, v);
    g->insert_before = NULL;
    HONE_TRY(hone_graph_check(g, err));
    hone_graph_remove_node(g, n);
    return HONE_OK;
}

static bool has_statistics(const hone_node *n) {
    for (int o = 1; o < n->output_count; o++)
        if (n->outputs[o]) return true;
    return false;
}

static hone_status lift(hone_graph *g, hone_node *n, hone_error *err) {
    return lift_form(g, n, has_statistics(n), err);
}

static hone_status lift_test(hone_graph *g, hone_node *n, hone_error *err) {
    return lift_form(g, n, hone_node_int(n, "is_test") == 0, err);
}

#define EPSILON                                                                                              \
    { "epsilon", HONE_ATTR_FLOAT, .f = 1e-5f }
#define MOMENTUM                                                                                             \
    { "momentum", HONE_ATTR_FLOAT, .f = 0.9f }
#define SPATIAL                                                                                              \
    { "spatial", HONE_ATTR_INT, .i = 1 }

static const hone_attr_def batch_norm_9[] = {EPSILON, MOMENTUM, {NULL}};
static const hone_attr_def batch_norm_7[] = {EPSILON, MOMENTUM, SPATIAL, {NULL}},
                           batch_norm_1[] = {EPSILON,
                                             MOMENTUM,
                                             SPATIAL,
                                             {"is_test", HONE_ATTR_INT},
                                             {"consumed_inputs", HONE_ATTR_INTS},
                                             {NULL}};
static const hone_op_version older[] = {
    {14, NULL, NULL}, {9, batch_norm_9, lift}, {7, batch_norm_7, lift}, {1, batch_norm_1, lift_test}, {0}};

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

const hone_op hone_op_batch_normalization = {
    .name = "BatchNormalization",
    .since = 15,
    .oldest = 1,
    .older = older,
    .inputs =
        HONE_SLOTS({"X", 'T', FLOATS, 0}, {"scale", 'S', FLOATS, HONE_SLOT_WEIGHT | HONE_SLOT_ONES},
                   {"B", 'S', FLOATS, HONE_SLOT_WEIGHT | HONE_SLOT_ZEROS},
                   {"input_mean", 'U', FLOATS, HONE_SLOT_ZEROS}, {"input_var", 'U', FLOATS, HONE_SLOT_ONES}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}, {"running_mean", 'U', FLOATS, HONE_SLOT_OPTIONAL},
                          {"running_var", 'U', FLOATS, HONE_SLOT_OPTIONAL}),
    .attrs = HONE_ATTRS(EPSILON, MOMENTUM, {"training_mode", HONE_ATTR_INT}),
    .infer = infer,
    .axes = axes,
    .overwrite = 1,
    .channels_last = channels_last,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .expand = expand,
    .expands = expands,
    .train_form = train_form,
    .domain_hint = {.lo = 0.5f, .hi = 2},
    .doc =
        "channels brought to mean 0 and variance 1 by given statistics, or the batch's, scaled and shifted"};
