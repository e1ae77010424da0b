/* Random choices: Bernoulli between 0 and 1, Multinomial between classes, Dropout of elements. */
#include "graph/infer.h"
#include "graph/run.h"
#include "graph/tensor.h"
#include "graph/train_form.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/reshape.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define SEED                                                                                                 \
    { "seed", HONE_ATTR_FLOAT }

/* --- Bernoulli --- is a uniform number below x? */

static hone_status infer_bernoulli(hone_infer *ctx, hone_error *err) {
    int64_t dtype = hone_node_int(ctx->node, "dtype");
    const uint32_t types = FLOATS | HONE_TYPES_NUMBER | HONE_TYPE(HONE_BOOL);
    if (dtype == 0) dtype = ctx->in[0]->dtype;
    if (dtype < 0 || dtype >= HONE_DTYPE_COUNT || (dtype && !(types & HONE_TYPE(dtype))))
        return hone_infer_fail(ctx, err, "choices of dtype %lld", (long long)dtype);
    ctx->out[0].dtype = (hone_dtype)dtype;
    return hone_infer_same(ctx, err);
}

/* Uniform numbers in x's shape, with the seed of n. */
static hone_value *uniform_like(hone_graph *g, hone_value *x, hone_dtype dtype, const hone_node *n) {
    const hone_attr *seed = hone_node_attr(n, "seed");
    hone_value *u = HONE_EMIT(g, "", "RandomUniformLike", x);
    if (!u) return NULL;
    hone_node_set_int(g, u->producer, "dtype", dtype);
    if (seed) hone_node_set_float(g, u->producer, "seed", seed->f);
    return u;
}

static hone_value *cast_to(hone_graph *g, hone_value *v, hone_dtype dtype) {
    hone_value *y = HONE_EMIT(g, "", "Cast", v);
    if (y) hone_node_set_int(g, y->producer, "to", dtype);
    return y;
}

static hone_status expand_bernoulli(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *x = n->inputs[0];
    hone_dtype dtype = x->type.dtype == HONE_FLOAT64 ? HONE_FLOAT64 : HONE_FLOAT32;
    hone_value *y = HONE_EMIT(g, "", "Greater", cast_to(g, x, dtype), uniform_like(g, x, dtype, n));
    hone_graph_replace(g, n->outputs[0], cast_to(g, y, n->outputs[0]->type.dtype));
    return HONE_OK;
}

const hone_op hone_op_bernoulli = {
    .name = "Bernoulli",
    .since = 22,
    .oldest = 15,
    .inputs = HONE_SLOTS({"input", 0, FLOATS, 0}),
    .outputs = HONE_SLOTS({"output", 0, FLOATS | HONE_TYPES_NUMBER | HONE_TYPE(HONE_BOOL), 0}),
    .attrs = HONE_ATTRS({"dtype", HONE_ATTR_INT}, SEED),
    .infer = infer_bernoulli,
    .expand = expand_bernoulli,
    .gradient_kind = HONE_GRADIENT_ZERO,
    .doc = "1 with the probability X, else 0"};

/* --- Multinomial --- */

static hone_status infer_multinomial(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    int64_t dtype = hone_node_int(ctx->node, "dtype"), samples = hone_node_int(ctx->node, "sample_size");
    if (dtype != HONE_INT32 && dtype != HONE_INT64)
        return hone_infer_fail(ctx, err, "classes of dtype %lld", (long long)dtype);
    if (samples < 0) return hone_infer_fail(ctx, err, "%lld samples", (long long)samples);
    if (x->rank >= 0 && x->rank != 2) return hone_infer_fail(ctx, err, "scores must have two axes");
    ctx->out[0].dtype = (hone_dtype)dtype;
    ctx->out[0].rank = 2;
    ctx->out[0].dims[0] = x->rank == 2 ? x->dims[0] : HONE_DIM_ANY;
    ctx->out[0].dims[1] = samples;
    return HONE_OK;
}

typedef struct multinomial {
    hone_dtype scores, classes;
    int64_t n, samples;
    const float *seed;
    hone_cut cut;
} multinomial;

typedef struct job {
    const multinomial *p;
    const hone_step *step;
    const hone_frame *frame;
    hone_random random;
    const char *x;
    char *y;
} job;

static void draw_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const multinomial *p = j->p;
    double *scores = hone_step_worker_scratch(j->step, j->frame, worker), *sums = scores + p->n;
    int64_t *drawn = (int64_t *)(sums + p->n);
    size_t row = (size_t)p->n * hone_dtype_size(p->scores),
           result = (size_t)p->samples * hone_dtype_size(p->classes);
    for (int64_t i = begin; i < end; i++) {
        hone_cast(p->scores, HONE_FLOAT64, j->x + (size_t)i * row, scores, p->n);
        hone_random_classes(j->random, i * p->samples, p->samples, scores, p->n, sums, drawn);
        hone_cast(HONE_INT64, p->classes, drawn, j->y + (size_t)i * result, p->samples);
    }
}

static hone_status run_multinomial(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const multinomial *p = step->params;
    job j = {p,
             step,
             frame,
             hone_frame_random(frame, p->seed),
             hone_step_in(step, frame, 0),
             hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, draw_rows, &j);
    return HONE_OK;
}

static hone_status prepare_multinomial(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[0], *y = &p->out[0];
    multinomial *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const hone_attr *seed = hone_node_attr(p->node, "seed");
    if (x->dims[1] == 0 && hone_type_count(y) > 0)
        return hone_prepare_fail(p, err, "a choice between no classes");
    *q =
        (multinomial){.scores = x->dtype,
                      .classes = y->dtype,
                      .n = x->dims[1],
                      .samples = y->dims[1],
                      .seed = seed ? &seed->f : NULL,
                      .cut = hone_cut_make(x->dims[0], 10 * (double)x->dims[1] + 60 * (double)y->dims[1], 1)};
    p->worker_scratch = (size_t)(2 * q->n) * sizeof(double) + (size_t)q->samples * sizeof(int64_t);
    p->params = q;
    p->run = run_multinomial;
    p->kernel = "multinomial";
    return HONE_OK;
}

const hone_op hone_op_multinomial = {.name = "Multinomial",
                                     .since = 22,
                                     .oldest = 7,
                                     .inputs = HONE_SLOTS({"input", 0, FLOATS, 0}),
                                     .outputs = HONE_SLOTS({"output", 0, HONE_TYPES_INT, 0}),
                                     .attrs = HONE_ATTRS({"dtype", HONE_ATTR_INT, .i = HONE_INT32},
                                                         {"sample_size", HONE_ATTR_INT, .i = 1}, SEED),
                                     .infer = infer_multinomial,
                                     .draws = true,
                                     .prepare = prepare_multinomial,
                                     .gradient_kind = HONE_GRADIENT_ZERO,
                                     .doc = "classes drawn from unnormalized logarithms of probabilities"};

/* --- Dropout --- */

enum { DATA, RATIO, TRAINING };

static hone_status infer_dropout(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[DATA];
    HONE_TRY(hone_infer_same(ctx, err));
    for (int i = RATIO; i < ctx->input_count; i++) HONE_TRY(hone_infer_one_element(ctx, i, err));
    if (ctx->output_count < 2) return HONE_OK;
    ctx->out[1].dtype = HONE_BOOL;
    ctx->out[1].rank = x->rank;
    for (int i = 0; i < x->rank; i++) ctx->out[1].dims[i] = x->dims[i];
    return HONE_OK;
}

static void axes_dropout(const hone_node *n, hone_axes *out) {
    int rank = n->inputs[DATA]->type.rank;
    for (int o = 0; o < n->output_count; o++)
        for (int a = 0; a < rank && n->outputs[o]; a++)
            hone_axes_add(out, (hone_axis_link){HONE_AXIS_SAME, .axis = a, .output = o, .output_axis = a});
}

static hone_value *input_of(const hone_node *n, int i) {
    return i < n->input_count ? n->inputs[i] : NULL;
}

/* Is it known not to drop anything? */
static bool is_identity(const hone_node *n) {
    const hone_value *training = input_of(n, TRAINING);
    const hone_tensor *t = hone_value_constant(training);
    return !training || (t && t->count == 1 && !*(const bool *)t->data);
}

static hone_value *all_true(hone_graph *g, hone_value *x) {
    hone_tensor *one = NULL;
    hone_value *y = HONE_EMIT(g, "", "ConstantOfShape", HONE_EMIT(g, "", "Shape", x));
    if (!y) return NULL;
    if (hone_tensor_copy_of(HONE_BOOL, 1, (int64_t[]){1}, &(bool){true}, &one, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    hone_node_set_tensor(g, y->producer, "value", one);
    hone_tensor_free(one);
    return y;
}

static hone_value *as_scalar(hone_graph *g, hone_value *v) {
    return HONE_EMIT(g, "", "Reshape", v, hone_graph_ints(g, NULL, 0));
}

/* u >= ratio; with a seed u is what NumPy draws for it, in double. */
static hone_value *keeps(hone_graph *g, const hone_node *n, hone_value *x, hone_dtype dtype,
                         hone_value *ratio) {
    const hone_attr *seed = hone_node_attr(n, "seed");
    if (!seed) return HONE_EMIT(g, "", "GreaterOrEqual", uniform_like(g, x, dtype, n), ratio);
    hone_value *u = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "SeededUniformLike", x);
    if (u) hone_node_set_int(g, u->producer, "seed", seed->i);
    return HONE_EMIT(g, "", "GreaterOrEqual", u, cast_to(g, ratio, HONE_FLOAT64));
}

/* kept = u >= ratio or not training;  Y = kept ? X / (1 - ratio) : 0, or X */
static hone_status expand_dropout(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *x = n->inputs[DATA], *ratio = input_of(n, RATIO), *training = input_of(n, TRAINING),
               *mask = n->output_count > 1 ? n->outputs[1] : NULL;
    hone_dtype dtype = x->type.dtype == HONE_FLOAT64 ? HONE_FLOAT64 : HONE_FLOAT32;
    if (is_identity(n)) {
        if (n->outputs[0]) hone_graph_replace(g, n->outputs[0], HONE_EMIT(g, "", "Identity", x));
        if (mask) hone_graph_replace(g, mask, all_true(g, x));
        return HONE_OK;
    }
    ratio = ratio ? cast_to(g, as_scalar(g, ratio), dtype) : hone_graph_scalar(g, dtype, 0.5);
    hone_value *kept = keeps(g, n, x, dtype, ratio), *one = hone_graph_scalar(g, dtype, 1);
    hone_value *scale = HONE_EMIT(g, "", "Div", one, HONE_EMIT(g, "", "Sub", one, ratio));
    if (!hone_value_constant(training)) {
        training = as_scalar(g, training);
        kept = HONE_EMIT(g, "", "Or", kept, HONE_EMIT(g, "", "Not", training));
        scale = HONE_EMIT(g, "", "Where", training, scale, one);
    }
    hone_value *y = HONE_EMIT(g, "", "Mul", cast_to(g, x, dtype), scale);
    y = HONE_EMIT(g, "", "Where", kept, y, hone_graph_scalar(g, dtype, 0));
    if (n->outputs[0]) hone_graph_replace(g, n->outputs[0], cast_to(g, y, x->type.dtype));
    if (mask) hone_graph_replace(g, mask, kept);
    return HONE_OK;
}

static hone_value *truth(hone_graph *g, bool x) {
    return hone_graph_scalar(g, HONE_BOOL, x);
}

/* While training elements drop, whatever a constant says of it. */
static void train_dropout(hone_train_form *ctx) {
    if (is_identity(ctx->node)) hone_node_set_input(ctx->graph, ctx->node, TRAINING, truth(ctx->graph, true));
}

/* --- older forms --- the ratio was an attribute; until opset 10 the mask was of X's dtype; until 7 `is_test` said whether
 * nothing drops */

static hone_status lift(hone_graph *g, hone_node *n, bool drops, bool mask_like_data, hone_error *err) {
    hone_value *x = n->inputs[DATA], *mask = n->output_count > 1 ? n->outputs[1] : NULL;
    g->insert_before = n;
    hone_value *in[] = {x, hone_graph_scalar(g, HONE_FLOAT32, hone_node_float(n, "ratio")),
                        drops ? truth(g, true) : NULL};
    hone_node *newest = hone_graph_add_node(g, n->op, n->name, 3, in, mask ? 2 : 1);
    if (newest && mask) {
        hone_value *kept = newest->outputs[1];
        hone_graph_replace(g, mask, mask_like_data ? HONE_EMIT(g, "", "CastLike", kept, x) : kept);
    }
    g->insert_before = NULL;
    if (newest) hone_lift_replace(g, n, newest->outputs[0]);
    return hone_graph_check(g, err);
}

static hone_status lift_10(hone_graph *g, hone_node *n, hone_error *err) {
    return lift(g, n, false, false, err);
}
static hone_status lift_7(hone_graph *g, hone_node *n, hone_error *err) {
    return lift(g, n, false, true, err);
}
static hone_status lift_1(hone_graph *g, hone_node *n, hone_error *err) {
    return lift(g, n, hone_node_int(n, "is_test") == 0, true, err);
}

#define RATIO_ATTR                                                                                           \
    { "ratio", HONE_ATTR_FLOAT, .f = 0.5f }
static const hone_attr_def dropout_7[] = {RATIO_ATTR, {NULL}},
                           dropout_1[] = {RATIO_ATTR,
                                          {"is_test", HONE_ATTR_INT},
                                          {"consumed_inputs", HONE_ATTR_INTS},
                                          {NULL}};
static const hone_op_version older_dropout[] = {
    {12, NULL, NULL}, {10, dropout_7, lift_10}, {7, dropout_7, lift_7}, {1, dropout_1, lift_1}, {0}};

const hone_op hone_op_dropout = {
    .name = "Dropout",
    .since = 22,
    .oldest = 1,
    .older = older_dropout,
    .inputs = HONE_SLOTS({"data", 'T', FLOATS, 0}, {"ratio", 0, FLOATS, HONE_SLOT_OPTIONAL},
                         {"training_mode", 0, HONE_TYPE(HONE_BOOL), HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"output", 'T', FLOATS, 0}, {"mask", 0, HONE_TYPE(HONE_BOOL), HONE_SLOT_OPTIONAL}),
    .attrs = HONE_ATTRS({"seed", HONE_ATTR_INT}),
    .infer = infer_dropout,
    .axes = axes_dropout,
    .expand = expand_dropout,
    .train_form = train_dropout,
    .doc = "while training, random elements become 0 and the others grow"};
