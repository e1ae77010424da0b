/* NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss, which is that of log-softmax, and their gradients. A label outside of
 * the classes that is not ignored fails the run. */
#include "graph/autodiff.h"
#include "graph/infer.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/walk.h"
#include "ops/engine/softmax.h"

#include <string.h>

#define FLOATS HONE_TYPES_FLOAT

static bool reduction_of(const hone_node *n, hone_reduction *out) {
    const char *r = hone_node_string(n, "reduction");
    *out = strcmp(r, "none") == 0  ? HONE_REDUCE_NONE
           : strcmp(r, "sum") == 0 ? HONE_REDUCE_SUM
                                   : HONE_REDUCE_MEAN;
    return *out != HONE_REDUCE_MEAN || strcmp(r, "mean") == 0;
}

/* scores [N, C, d…], labels [N, d…], weights [C] → loss [N, d…] or a scalar, log_prob like scores */
static hone_status check_shapes(const hone_infer *ctx, const hone_type *scores, const hone_type *labels,
                                const hone_type *weights, hone_type *loss, hone_error *err) {
    if (labels->rank < 0 && scores->rank < 0) return HONE_OK;
    if (scores->rank >= 0 && scores->rank < 2)
        return hone_infer_fail(ctx, err, "scores have %d dimensions where 2 or more are needed",
                               scores->rank);
    if (labels->rank >= 0 && scores->rank >= 0 && labels->rank != scores->rank - 1)
        return hone_infer_fail(ctx, err, "labels have %d dimensions where %d are needed", labels->rank,
                               scores->rank - 1);
    hone_type each = {.rank = scores->rank >= 0 ? scores->rank - 1 : labels->rank};
    for (int i = 0; i < each.rank; i++) {
        int64_t s = scores->rank >= 0 ? scores->dims[i ? i + 1 : 0] : HONE_DIM_ANY;
        int64_t l = labels->rank >= 0 ? labels->dims[i] : HONE_DIM_ANY;
        HONE_TRY(hone_infer_same_dim(ctx, s, l, &each.dims[i], err));
    }
    if (weights && weights->rank >= 0 && scores->rank >= 0) {
        int64_t classes;
        if (weights->rank != 1) return hone_infer_fail(ctx, err, "weights have %d dimensions", weights->rank);
        HONE_TRY(hone_infer_same_dim(ctx, scores->dims[1], weights->dims[0], &classes, err));
    }
    hone_reduction reduction;
    if (!reduction_of(ctx->node, &reduction))
        return hone_infer_fail(ctx, err, "reduction \"%s\" is unknown",
                               hone_node_string(ctx->node, "reduction"));
    if (!loss) return HONE_OK;
    loss->rank = reduction == HONE_REDUCE_NONE ? each.rank : 0;
    memcpy(loss->dims, each.dims, sizeof loss->dims);
    return HONE_OK;
}

static hone_status infer_loss(hone_infer *ctx, hone_error *err) {
    HONE_TRY(check_shapes(ctx, ctx->in[0], ctx->in[1], ctx->input_count > 2 ? ctx->in[2] : NULL, &ctx->out[0],
                          err));
    if (ctx->output_count < 2) return HONE_OK;
    ctx->out[1].rank = ctx->in[0]->rank;
    memcpy(ctx->out[1].dims, ctx->in[0]->dims, sizeof ctx->out[1].dims);
    return HONE_OK;
}

/* Sample and inner axes run along loss and log_prob, or are summed; classes are picked by content. */
static void axes_loss(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[0]->type;
    hone_reduction reduction;
    if (x->rank < 2 || !reduction_of(n, &reduction)) return;
    bool log_prob = n->output_count > 1 && n->outputs[1];
    for (int a = 0; a < x->rank; a++) {
        int each = a ? a - 1 : 0;
        if (a == 1) {
            hone_axes_add(out, (hone_axis_link){HONE_AXIS_BLOCKED, .axis = 1, .output_axis = 1});
            continue;
        }
        if (reduction == HONE_REDUCE_NONE) {
            hone_axes_add(out, (hone_axis_link){HONE_AXIS_SAME, .axis = a, .output_axis = each});
            hone_axes_add(out,
                          (hone_axis_link){HONE_AXIS_SAME, .input = 1, .axis = each, .output_axis = each});
        } else if (!log_prob) {
            hone_axes_contract(out, 0, a, 1, each);
        }
        if (log_prob && reduction == HONE_REDUCE_NONE)
            hone_axes_add(out, (hone_axis_link){HONE_AXIS_SAME, .axis = a, .output = 1, .output_axis = a});
    }
}

typedef struct params {
    hone_softmax softmax;
    hone_cross_entropy loss; /* labels and weights are set at each run */
    size_t elements;         /* of the scores */
} params;

static hone_status prepare_common(hone_prepare *p, const hone_type *scores, const hone_type *labels,
                                  params **out, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    hone_softmax_make(&q->softmax, HONE_LOG_SOFTMAX, scores, 1);
    const hone_attr *ignore = hone_node_attr(p->node, "ignore_index");
    q->loss = (hone_cross_entropy){.samples = q->softmax.outer,
                                   .classes = q->softmax.n,
                                   .inner = q->softmax.inner,
                                   .wide_labels = labels->dtype == HONE_INT64,
                                   .ignores = ignore != NULL,
                                   .ignore_index = ignore ? ignore->i : 0};
    reduction_of(p->node, &q->loss.reduction);
    q->elements = (size_t)hone_type_count(scores);
    p->params = q;
    *out = q;
    return HONE_OK;
}

static size_t real_size(const params *p) {
    return p->softmax.is_double ? sizeof(double) : sizeof(float);
}

static hone_status check_labels(const hone_step *step, const hone_cross_entropy *c, int64_t bad,
                                hone_error *err) {
    if (bad < 0) return HONE_OK;
    return hone_step_fail(step, err, "label %lld at position %lld is none of the %lld classes",
                          (long long)hone_cross_entropy_label(c, bad), (long long)bad, (long long)c->classes);
}

static hone_status run_loss(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    void *log_prob = hone_step_out(step, frame, 1), *loss = hone_step_out(step, frame, 0);
    if (!log_prob) log_prob = hone_step_scratch(step, frame);
    hone_softmax_run(&p->softmax, step, frame, hone_step_in(step, frame, 0), NULL, log_prob);
    if (!loss) return HONE_OK;
    hone_cross_entropy c = p->loss;
    c.labels = hone_step_in(step, frame, 1);
    c.weights = hone_step_in(step, frame, 2);
    int64_t bad = p->softmax.is_double ? hone_cross_entropy_f64(&c, log_prob, loss)
                                       : hone_cross_entropy_f32(&c, log_prob, loss);
    return check_labels(step, &c, bad, err);
}

static hone_status prepare_loss(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(prepare_common(p, p->in[0], p->in[1], &q, err));
    bool has_log_prob = p->out_count > 1 && p->node->outputs[1];
    p->scratch = has_log_prob ? 0 : q->elements * real_size(q);
    p->worker_scratch = hone_softmax_scratch(&q->softmax);
    p->run = run_loss;
    p->kernel = "cross_entropy";
    return HONE_OK;
}

static void copy_attrs(hone_graph *g, hone_node *to, const hone_node *from) {
    if (to) hone_node_copy_attrs(g, to, from);
}

static void gradient_loss(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    if (!ctx->wanted[0]) return;
    hone_graph *g = ctx->graph;
    hone_value *log_prob = hone_gradient_saved(ctx, 1), *d = NULL;
    if (ctx->dout[0]) {
        hone_value *in[] = {ctx->dout[0], log_prob, n->inputs[1], n->input_count > 2 ? n->inputs[2] : NULL};
        d = hone_graph_emit(g, HONE_PRIVATE_DOMAIN, "SoftmaxCrossEntropyGrad", in, 4);
        if (d) copy_attrs(g, d->producer, n);
    }
    if (ctx->dout[1]) {
        hone_value *more = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "LogSoftmaxGrad", ctx->dout[1], log_prob);
        if (more) hone_node_set_int(g, more->producer, "axis", 1);
        d = d ? HONE_EMIT(g, "", "Add", d, more) : more;
    }
    ctx->din[0] = d;
}

#define ATTRS                                                                                                \
    .attrs = HONE_ATTRS({"ignore_index", HONE_ATTR_INT}, {"reduction", HONE_ATTR_STRING, .s = "mean"})

const hone_op hone_op_softmax_cross_entropy_loss = {
    .name = "SoftmaxCrossEntropyLoss",
    .since = 13,
    .oldest = 12,
    .widened = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"scores", 'T', FLOATS | HONE_TYPES_HALF, 0}, {"labels", 'L', HONE_TYPES_INT, 0},
                         {"weights", 'T', FLOATS | HONE_TYPES_HALF, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"output", 'T', FLOATS | HONE_TYPES_HALF, 0},
                          {"log_prob", 'T', FLOATS | HONE_TYPES_HALF, HONE_SLOT_OPTIONAL}),
    ATTRS,
    .infer = infer_loss,
    .axes = axes_loss,
    .prepare = prepare_loss,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient_loss,
    .doc = "cross entropy of labels and softmax(scores)"};

/* --- SoftmaxCrossEntropyGrad --- dscores of (dloss, log_prob, labels[, weights]) */

static hone_status infer_grad(hone_infer *ctx, hone_error *err) {
    HONE_TRY(check_shapes(ctx, ctx->in[1], ctx->in[2], ctx->input_count > 3 ? ctx->in[3] : NULL, NULL, err));
    ctx->out[0].rank = ctx->in[1]->rank;
    memcpy(ctx->out[0].dims, ctx->in[1]->dims, sizeof ctx->out[0].dims);
    return HONE_OK;
}

static void axes_grad(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[1]->type;
    hone_reduction reduction;
    if (x->rank < 2 || !reduction_of(n, &reduction) || reduction == HONE_REDUCE_MEAN) return;
    for (int a = 0; a < x->rank; a++) {
        int each = a ? a - 1 : 0;
        if (a == 1) continue;
        hone_axes_same(out, 1, a, a);
        hone_axes_same(out, 2, each, a);
        if (reduction == HONE_REDUCE_NONE) hone_axes_same(out, 0, each, a);
    }
}

static hone_status run_grad(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    hone_cross_entropy c = p->loss;
    c.labels = hone_step_in(step, frame, 2);
    c.weights = hone_step_in(step, frame, 3);
    void *d = hone_step_out(step, frame, 0);
    hone_exp_tiles(p->softmax.is_double, hone_step_in(step, frame, 1), d, (int64_t)p->elements);
    const void *dloss = hone_step_in(step, frame, 0);
    int64_t bad = p->softmax.is_double ? hone_cross_entropy_grad_f64(&c, dloss, d)
                                       : hone_cross_entropy_grad_f32(&c, dloss, d);
    return check_labels(step, &c, bad, err);
}

static hone_status prepare_grad(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(prepare_common(p, p->in[1], p->in[2], &q, err));
    p->run = run_grad;
    p->kernel = "cross_entropy_grad";
    return HONE_OK;
}

const hone_op hone_op_softmax_cross_entropy_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "SoftmaxCrossEntropyGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dloss", 'T', FLOATS, 0}, {"log_prob", 'T', FLOATS, 0},
                         {"labels", 'L', HONE_TYPES_INT, 0}, {"weights", 'T', FLOATS, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"dscores", 'T', FLOATS, 0}),
    ATTRS,
    .infer = infer_grad,
    .axes = axes_grad,
    .overwrite = 2,
    .prepare = prepare_grad,
    .doc = "gradient of SoftmaxCrossEntropyLoss to its scores"};

/* --- NegativeLogLikelihoodLoss --- scores are logarithms of probabilities */

static hone_status run_likelihood(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    hone_cross_entropy c = p->loss;
    c.labels = hone_step_in(step, frame, 1);
    c.weights = hone_step_in(step, frame, 2);
    const void *scores = hone_step_in(step, frame, 0);
    void *loss = hone_step_out(step, frame, 0);
    int64_t bad = p->softmax.is_double ? hone_cross_entropy_f64(&c, scores, loss)
                                       : hone_cross_entropy_f32(&c, scores, loss);
    return check_labels(step, &c, bad, err);
}

static hone_status prepare_likelihood(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(prepare_common(p, p->in[0], p->in[1], &q, err));
    p->run = run_likelihood;
    p->kernel = "likelihood";
    return HONE_OK;
}

static void gradient_likelihood(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    if (!ctx->wanted[0] || !ctx->dout[0]) return;
    hone_value *in[] = {ctx->dout[0], n->inputs[0], n->inputs[1], n->input_count > 2 ? n->inputs[2] : NULL};
    hone_value *d = hone_graph_emit(ctx->graph, HONE_PRIVATE_DOMAIN, "NegativeLogLikelihoodGrad", in, 4);
    if (d) copy_attrs(ctx->graph, d->producer, n);
    ctx->din[0] = d;
}

const hone_op hone_op_negative_log_likelihood_loss = {
    .name = "NegativeLogLikelihoodLoss",
    .since = 22,
    .oldest = 12,
    .widened = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"input", 'T', FLOATS | HONE_TYPES_HALF, 0}, {"target", 'L', HONE_TYPES_INT, 0},
                         {"weight", 'T', FLOATS | HONE_TYPES_HALF, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"loss", 'T', FLOATS | HONE_TYPES_HALF, 0}),
    ATTRS,
    .infer = infer_loss,
    .axes = axes_loss,
    .prepare = prepare_likelihood,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient_likelihood,
    .doc = "the weighted mean of -input at the labels"};

/* The gradient of cross entropy with probabilities of 0. */
static hone_status run_likelihood_grad(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    hone_cross_entropy c = p->loss;
    c.labels = hone_step_in(step, frame, 2);
    c.weights = hone_step_in(step, frame, 3);
    const void *dloss = hone_step_in(step, frame, 0);
    void *d = hone_step_out(step, frame, 0);
    memset(d, 0, p->elements * real_size(p));
    int64_t bad = p->softmax.is_double ? hone_cross_entropy_grad_f64(&c, dloss, d)
                                       : hone_cross_entropy_grad_f32(&c, dloss, d);
    return check_labels(step, &c, bad, err);
}

static hone_status prepare_likelihood_grad(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(prepare_common(p, p->in[1], p->in[2], &q, err));
    p->run = run_likelihood_grad;
    p->kernel = "likelihood_grad";
    return HONE_OK;
}

const hone_op hone_op_negative_log_likelihood_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "NegativeLogLikelihoodGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dloss", 'T', FLOATS, 0}, {"input", 'T', FLOATS, 0},
                         {"target", 'L', HONE_TYPES_INT, 0}, {"weight", 'T', FLOATS, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"dinput", 'T', FLOATS, 0}),
    ATTRS,
    .infer = infer_grad,
    .axes = axes_grad,
    .prepare = prepare_likelihood_grad,
    .doc = "gradient of NegativeLogLikelihoodLoss to its input"};
