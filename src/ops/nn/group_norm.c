/* GroupNormalization and InstanceNormalization: the channels of a sample in groups, each group brought to mean 0 and variance
 * 1 with all that lies behind its channels; then a scale and a shift for each channel. X [N, C, …] is [N G] rows of C/G runs.
 * Of InstanceNormalization each channel is a group. mean and inv of the rows are saved for the gradients. */
#include "graph/autodiff.h"
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/legacy.h"
#include "ops/common/reshape.h"
#include "ops/common/walk.h"

#include <string.h>

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

/* 0: as many as there are channels. */
static int64_t groups_of(const hone_node *n) {
    return hone_node_int(n, "num_groups");
}

/* --- shapes --- */

static hone_status infer_common(const hone_infer *ctx, const hone_type *x, const hone_type *const *rows,
                                int row_count, hone_error *err) {
    int64_t groups = groups_of(ctx->node), d;
    const hone_attr_def *asked = hone_attr_find(ctx->node->op->attrs, "num_groups");
    if (groups < 0 || (groups == 0 && asked && asked->required))
        return hone_infer_fail(ctx, err, "%lld groups", (long long)groups);
    if (x->rank < 0) return HONE_OK;
    if (x->rank < 2) return hone_infer_fail(ctx, err, "X must have a channel axis");
    if (groups && x->dims[1] >= 0 && x->dims[1] % groups)
        return hone_infer_fail(ctx, err, "%lld channels are no %lld groups", (long long)x->dims[1],
                               (long long)groups);
    for (int i = 0; i < row_count; i++) {
        if (!rows[i] || rows[i]->rank < 0) continue;
        if (rows[i]->rank != 1) return hone_infer_fail(ctx, err, "scale and shift must be vectors");
        HONE_TRY(hone_infer_same_dim(ctx, x->dims[1], rows[i]->dims[0], &d, err));
    }
    return HONE_OK;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    HONE_TRY(hone_infer_same(ctx, err));
    HONE_TRY(infer_common(ctx, x, ctx->in + 1, 2, err));
    for (int o = 1; o < ctx->output_count && x->rank >= 0; o++) {
        int64_t groups = groups_of(ctx->node);
        ctx->out[o].rank = 2;
        ctx->out[o].dims[0] = x->dims[0];
        ctx->out[o].dims[1] = groups ? groups : x->dims[1];
    }
    return HONE_OK;
}

enum { DY, X, SCALE, INV, MEAN }; /* inputs of the gradient */

static hone_status infer_grad(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[X];
    HONE_TRY(infer_common(ctx, x, ctx->in + SCALE, 1, err));
    for (int o = 0; o < ctx->output_count && x->rank >= 0; o++) {
        ctx->out[o].rank = o ? 2 : x->rank;
        for (int i = 0; i < ctx->out[o].rank; i++) ctx->out[o].dims[i] = x->dims[i];
    }
    return HONE_OK;
}

/* Samples are alone, and so are channels that are groups. */
static void link_data(hone_axes *out, int input, int rank, bool alone) {
    for (int a = 0; a < rank; a++)
        if (a != 1 || alone)
            hone_axes_add(out, (hone_axis_link){a > 1 ? HONE_AXIS_NORMALIZED : HONE_AXIS_SAME, .input = input,
                                                .axis = a, .output_axis = a});
}

static void axes(const hone_node *n, hone_axes *out) {
    bool alone = groups_of(n) == 0;
    link_data(out, 0, n->inputs[0]->type.rank, alone);
    for (int i = 1; i < 3 && alone; i++) hone_axes_same(out, i, 0, 1);
    for (int o = 1; o < n->output_count; o++)
        for (int a = 0; a < 1 + alone && n->outputs[o]; a++)
            hone_axes_add(out, (hone_axis_link){HONE_AXIS_SAME, .axis = a, .output = o, .output_axis = a});
}

static void axes_grad(const hone_node *n, hone_axes *out) {
    bool alone = groups_of(n) == 0;
    for (int i = DY; i <= X; i++) link_data(out, i, n->inputs[X]->type.rank, alone);
    if (alone) hone_axes_same(out, SCALE, 0, 1);
    for (int i = INV; i <= MEAN; i++)
        for (int a = 0; a < 1 + alone; a++) hone_axes_same(out, i, a, a);
    for (int o = 1; o < n->output_count; o++)
        for (int a = 0; a < 1 + alone && n->outputs[o]; a++)
            hone_axes_add(
                out, (hone_axis_link){HONE_AXIS_SAME, .input = X, .axis = a, .output = o, .output_axis = a});
}

/* --- running --- */

typedef struct params {
    hone_normalize row;       /* scale and shift come with the run */
    int64_t groups, channels; /* channels of a group */
    bool is_double;
    hone_cut rows;
} params;

typedef struct job {
    const params *p;
    const char *x, *dy, *scale, *bias; /* dy NULL: forward */
    char *y, *mean, *inv;              /* mean and inv may be NULL forward */
    char *dscale, *dbias;              /* may be NULL */
} job;

static void *at(const char *data, int64_t i, size_t size) {
    return data ? (char *)data + (size_t)i * size : NULL;
}

static void run_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const hone_kernels *k = hone_kernels_get();
    const size_t size = p->is_double ? sizeof(double) : sizeof(float), row = (size_t)p->row.n * size,
                 runs = (size_t)p->channels * size;
    for (int64_t i = begin; i < end; i++) {
        hone_normalize one = p->row;
        one.scale = at(j->scale, i % p->groups, runs);
        one.bias = at(j->bias, i % p->groups, runs);
        void *x = at(j->x, i, row), *y = at(j->y, i, row), *dscale = at(j->dscale, i, runs),
             *dbias = at(j->dbias, i, runs), *mean = at(j->mean, i, size), *inv = at(j->inv, i, size);
        if (p->row.n == 0 && dscale) memset(dscale, 0, runs);
        if (p->row.n == 0 && dbias) memset(dbias, 0, runs);
        if (!j->dy && p->is_double)
            k->normalize_f64(&one, x, y, mean, inv);
        else if (!j->dy)
            k->normalize_f32(&one, x, y, mean, inv);
        else if (p->is_double)
            k->normalize_grad_f64(&one, at(j->dy, i, row), x, *(double *)mean, *(double *)inv, y, dscale,
                                  dbias);
        else
            k->normalize_grad_f32(&one, at(j->dy, i, row), x, *(float *)mean, *(float *)inv, y, dscale,
                                  dbias);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.p = p,
             .x = hone_step_in(step, frame, 0),
             .scale = hone_step_in(step, frame, 1),
             .bias = hone_step_in(step, frame, 2),
             .y = hone_step_out(step, frame, 0),
             .mean = hone_step_out(step, frame, 1),
             .inv = hone_step_out(step, frame, 2)};
    hone_cut_run(&p->rows, frame, run_rows, &j);
    return HONE_OK;
}

static hone_status run_grad(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.p = p,
             .dy = hone_step_in(step, frame, DY),
             .x = hone_step_in(step, frame, X),
             .scale = hone_step_in(step, frame, SCALE),
             .inv = hone_step_in(step, frame, INV),
             .mean = hone_step_in(step, frame, MEAN),
             .y = hone_step_out(step, frame, 0),
             .dscale = hone_step_out(step, frame, 1),
             .dbias = hone_step_out(step, frame, 2)};
    hone_cut_run(&p->rows, frame, run_rows, &j);
    return HONE_OK;
}

static hone_status prepare_common(hone_prepare *p, const hone_type *x, hone_run_fn *fn, const char *kernel,
                                  hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    int64_t groups = groups_of(p->node), run = hone_dims_product(x, 2, x->rank);
    if (groups == 0) groups = x->dims[1];
    int64_t channels = groups ? x->dims[1] / groups : 0;
    *q = (params){.row = {.n = channels * run,
                          .epsilon = hone_node_float(p->node, "epsilon"),
                          .centered = true,
                          .run = run},
                  .groups = groups,
                  .channels = channels,
                  .is_double = x->dtype == HONE_FLOAT64};
    double element = q->is_double ? 1 : 0.2;
    q->rows = hone_cut_make(x->dims[0] * groups, 5 + element * (double)q->row.n, 1);
    p->params = q;
    p->run = fn;
    p->kernel = kernel;
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    return prepare_common(p, p->in[0], run, "group_norm", err);
}
static hone_status prepare_grad(hone_prepare *p, hone_error *err) {
    return prepare_common(p, p->in[X], run_grad, "group_norm_grad", err);
}

/* --- gradients --- dscale and dB of each sample, which are then summed */

static void gradient(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    hone_graph *g = ctx->graph;
    hone_value *in[] = {ctx->dout[0], n->inputs[0], n->inputs[1], hone_gradient_saved(ctx, 2),
                        hone_gradient_saved(ctx, 1)};
    const hone_op *op = hone_op_find(HONE_PRIVATE_DOMAIN, "GroupNormalizationGrad");
    if (!ctx->dout[0]) return;
    hone_node *d = hone_graph_add_node(g, op, NULL, 5, in, 3);
    if (!d) return;
    hone_node_set_int(g, d, "num_groups", groups_of(n));
    if (ctx->wanted[0]) ctx->din[0] = d->outputs[0];
    for (int i = 1; i < 3; i++) {
        if (!ctx->wanted[i]) continue;
        hone_value *sum = HONE_EMIT(g, "", "ReduceSum", d->outputs[i], hone_graph_ints(g, (int64_t[]){0}, 1));
        if (sum) hone_node_set_int(g, sum->producer, "keepdims", 0);
        ctx->din[i] = sum;
    }
}

/* --- older forms --- */

/* Opset 18 has a scale and a shift for each group: they are repeated for its channels. */
static hone_value *repeat(hone_graph *g, hone_value *v, hone_value *shape) {
    hone_value *column = HONE_EMIT(g, "", "Unsqueeze", v, hone_graph_ints(g, (int64_t[]){1}, 1));
    hone_value *all = HONE_EMIT(g, "", "Expand", column, shape);
    return HONE_EMIT(g, "", "Reshape", all, hone_graph_ints(g, (int64_t[]){-1}, 1));
}

static hone_status lift_groups(hone_graph *g, hone_node *n, hone_error *err) {
    int64_t groups = groups_of(n);
    if (groups <= 0)
        return hone_fail_node(err, HONE_CORRUPT, n->name, hone_node_op_name(n), "%lld groups",
                              (long long)groups);
    g->insert_before = n;
    hone_value *channels = HONE_EMIT(g, "", "Shape", n->inputs[0]);
    if (channels) hone_node_set_int(g, channels->producer, "start", 1);
    if (channels) hone_node_set_int(g, channels->producer, "end", 2);
    hone_value *count = hone_graph_ints(g, &groups, 1);
    hone_value *shape = HONE_EMIT(g, "", "Concat", count, HONE_EMIT(g, "", "Div", channels, count));
    if (shape) hone_node_set_int(g, shape->producer, "axis", 0);
    hone_value *in[] = {n->inputs[0], repeat(g, n->inputs[1], shape), repeat(g, n->inputs[2], shape)};
    hone_node *newest = hone_graph_add_node(g, n->op, n->name, 3, in, 1);
    if (newest) hone_node_copy_attrs(g, newest, n);
    g->insert_before = NULL;
    if (newest) hone_lift_replace(g, n, newest->outputs[0]);
    return hone_graph_check(g, err);
}

/* --- descriptors --- */

#define EPSILON                                                                                              \
    { "epsilon", HONE_ATTR_FLOAT, .f = 1e-5f }
#define NORMALIZATION                                                                                        \
    .widened = HONE_TYPES_HALF, .infer = infer, .axes = axes, .overwrite = 1, .prepare = prepare,            \
    .gradient_kind = HONE_GRADIENT_EXACT, .gradient = gradient
#define OUTPUTS(y)                                                                                           \
    .outputs = HONE_SLOTS({y, 'T', FLOATS, 0}, {"mean", 'T', FLOATS, HONE_SLOT_SAVED},                       \
                          {"inv", 'T', FLOATS, HONE_SLOT_SAVED})

static const hone_attr_def group_18[] = {EPSILON, {"num_groups", HONE_ATTR_INT, .required = true}, {NULL}};
static const hone_op_version older_group[] = {{18, group_18, lift_groups}, {0}};

const hone_op hone_op_group_normalization = {
    .name = "GroupNormalization",
    .since = 21,
    .oldest = 18,
    .older = older_group,
    NORMALIZATION,
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"scale", 'T', FLOATS, HONE_SLOT_WEIGHT | HONE_SLOT_ONES},
                         {"bias", 'T', FLOATS, HONE_SLOT_WEIGHT | HONE_SLOT_ZEROS}),
    OUTPUTS("Y"),
    .attrs = HONE_ATTRS(EPSILON, {"num_groups", HONE_ATTR_INT, .required = true},
                        {"stash_type", HONE_ATTR_INT, .i = HONE_FLOAT32}),
    .doc = "groups of channels brought to mean 0 and variance 1, channels scaled and shifted"};

static const hone_attr_def instance_1[] = {EPSILON, HONE_CONSUMED_INPUTS, {NULL}};
static const hone_op_version older_instance[] = {{6, NULL, NULL}, {1, instance_1, hone_lift_consuming}, {0}};

const hone_op hone_op_instance_normalization = {
    .name = "InstanceNormalization",
    .since = 22,
    .oldest = 1,
    .older = older_instance,
    NORMALIZATION,
    .inputs = HONE_SLOTS({"input", 'T', FLOATS, 0}, {"scale", 'T', FLOATS, HONE_SLOT_WEIGHT | HONE_SLOT_ONES},
                         {"B", 'T', FLOATS, HONE_SLOT_WEIGHT | HONE_SLOT_ZEROS}),
    OUTPUTS("output"),
    .attrs = HONE_ATTRS(EPSILON),
    .doc = "each channel of a sample brought to mean 0 and variance 1, scaled and shifted"};

const hone_op hone_op_group_normalization_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "GroupNormalizationGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dY", 'T', HONE_TYPES_FLOAT, 0}, {"X", 'T', HONE_TYPES_FLOAT, 0},
                         {"scale", 'T', HONE_TYPES_FLOAT, 0}, {"inv", 'T', HONE_TYPES_FLOAT, 0},
                         {"mean", 'T', HONE_TYPES_FLOAT, 0}),
    .outputs =
        HONE_SLOTS({"dX", 'T', HONE_TYPES_FLOAT, 0}, {"dscale", 'T', HONE_TYPES_FLOAT, HONE_SLOT_OPTIONAL},
                   {"dB", 'T', HONE_TYPES_FLOAT, HONE_SLOT_OPTIONAL}),
    .attrs = HONE_ATTRS({"num_groups", HONE_ATTR_INT}),
    .infer = infer_grad,
    .axes = axes_grad,
    .overwrite = 1,
    .prepare = prepare_grad,
    .doc = "the gradients of groups that were normalized to X, and of each sample to scale and shift"};
