/* ai.onnx.preview.training: Adagrad, Adam and Momentum, functions of elementwise operators, which one program then runs.
 * Inputs are the rate R, the number of updates T, and for n tensors X1 … Xn, their gradients and their state likewise;
 * outputs X1' … Xn', then the new state. */
#include "graph/infer.h"

#define DOMAIN "ai.onnx.preview.training"
#define FLOATS HONE_TYPES_FLOAT

enum { X, G, FIRST, SECOND }; /* kinds of tensors */

typedef struct update {
    hone_graph *g;
    const hone_node *node;
    hone_dtype dtype;
    int kinds, count; /* kinds of inputs, tensors of each */
    int tensor;       /* which one it is about */
} update;

static int kinds_of(const hone_node *n);

static hone_value *emit(const update *u, const char *op, hone_value *a, hone_value *b) {
    return HONE_EMIT(u->g, "", op, a, b);
}
static hone_value *number(const update *u, double x) {
    return hone_graph_scalar(u->g, u->dtype, x);
}
static hone_value *scaled(const update *u, double factor, hone_value *v) {
    return emit(u, "Mul", number(u, factor), v);
}
static hone_value *in(const update *u, int kind) {
    return u->node->inputs[2 + kind * u->count + u->tensor];
}
static double attr(const update *u, const char *name) {
    return hone_node_float(u->node, name);
}

/* R (0) or T (1) in the tensor's dtype. */
static hone_value *setting(const update *u, int i) {
    hone_value *y = HONE_EMIT(u->g, "", "Cast", u->node->inputs[i]);
    if (y) hone_node_set_int(u->g, y->producer, "to", u->dtype);
    return y;
}

/* a where the tensor has been updated before, else b. */
static hone_value *if_updated(const update *u, hone_value *a, hone_value *b) {
    hone_value *before = emit(u, "Greater", setting(u, 1), number(u, 0));
    return HONE_EMIT(u->g, "", "Where", before, a, b);
}

/* Kind 0: X', 1: the first state … */
static void give(const update *u, int kind, hone_value *v) {
    int o = kind * u->count + u->tensor;
    hone_value *old = o < u->node->output_count ? u->node->outputs[o] : NULL;
    if (old) hone_graph_replace(u->g, old, v);
}

/* The gradient with that of norm_coefficient / 2 |X|^2. */
static hone_value *regularized(const update *u) {
    return emit(u, "Add", scaled(u, attr(u, "norm_coefficient"), in(u, X)), in(u, G));
}

/* x - rate step */
static hone_value *stepped(const update *u, hone_value *rate, hone_value *step) {
    return emit(u, "Sub", in(u, X), emit(u, "Mul", rate, step));
}

/* --- the three --- */

static void update_adagrad(const update *u) {
    hone_value *g = regularized(u);
    hone_value *decay = emit(u, "Add", number(u, 1), scaled(u, attr(u, "decay_factor"), setting(u, 1)));
    hone_value *h = emit(u, "Add", in(u, FIRST), emit(u, "Mul", g, g));
    hone_value *size = emit(u, "Add", HONE_EMIT(u->g, "", "Sqrt", h), number(u, attr(u, "epsilon")));
    give(u, 0, stepped(u, emit(u, "Div", setting(u, 0), decay), emit(u, "Div", g, size)));
    give(u, 1, h);
}

/* 1 - x^T; 1 - x where it is not used, T being 0, so that no gradient becomes 0/0. */
static hone_value *correction(const update *u, double x) {
    hone_value *t = emit(u, "Max", setting(u, 1), number(u, 1));
    return emit(u, "Sub", number(u, 1), emit(u, "Pow", number(u, x), t));
}

static void update_adam(const update *u) {
    double alpha = attr(u, "alpha"), beta = attr(u, "beta");
    hone_value *g = regularized(u), *rate = setting(u, 0);
    hone_value *v = emit(u, "Add", scaled(u, alpha, in(u, FIRST)), scaled(u, 1 - alpha, g));
    hone_value *h = emit(u, "Add", scaled(u, beta, in(u, SECOND)), scaled(u, 1 - beta, emit(u, "Mul", g, g)));
    hone_value *size = emit(u, "Add", HONE_EMIT(u->g, "", "Sqrt", h), number(u, attr(u, "epsilon")));
    hone_value *corrected =
        emit(u, "Div", emit(u, "Mul", rate, HONE_EMIT(u->g, "", "Sqrt", correction(u, beta))),
             correction(u, alpha));
    hone_value *x = stepped(u, if_updated(u, corrected, rate), emit(u, "Div", v, size));
    give(u, 0, scaled(u, 1 - attr(u, "norm_coefficient_post"), x));
    give(u, 1, v);
    give(u, 2, h);
}

static bool is_nesterov(const hone_node *n) {
    return hone_node_string(n, "mode")[0] == 'n';
}

static void update_momentum(const update *u) {
    double alpha = attr(u, "alpha");
    hone_value *g = regularized(u);
    hone_value *beta = if_updated(u, number(u, attr(u, "beta")), number(u, 1));
    hone_value *v = emit(u, "Add", scaled(u, alpha, in(u, FIRST)), emit(u, "Mul", beta, g));
    hone_value *step = is_nesterov(u->node) ? emit(u, "Add", g, scaled(u, alpha, v)) : v;
    give(u, 0, stepped(u, setting(u, 0), step));
    give(u, 1, v);
}

/* --- descriptors --- */

static hone_status infer(hone_infer *ctx, hone_error *err) {
    int kinds = kinds_of(ctx->node), tensors = ctx->input_count - 2;
    if (tensors < kinds || tensors % kinds)
        return hone_infer_fail(ctx, err, "has %d inputs, which are not R, T and %d for each tensor",
                               ctx->input_count, kinds);
    int count = tensors / kinds;
    for (int i = 0; i < 2; i++) HONE_TRY(hone_infer_one_element(ctx, i, err));
    if (ctx->output_count > (kinds - 1) * count)
        return hone_infer_fail(ctx, err, "has %d outputs for %d tensors", ctx->output_count, count);
    for (int k = 1; k < kinds; k++)
        for (int t = 0; t < count; t++) {
            const hone_type *x = ctx->in[2 + t], *other = ctx->in[2 + k * count + t];
            int64_t d;
            if (x->dtype != other->dtype) return hone_infer_fail(ctx, err, "tensor %d has several dtypes", t);
            if (x->rank < 0 || other->rank < 0) continue;
            if (x->rank != other->rank) return hone_infer_fail(ctx, err, "tensor %d has several shapes", t);
            for (int i = 0; i < x->rank; i++)
                HONE_TRY(hone_infer_same_dim(ctx, x->dims[i], other->dims[i], &d, err));
        }
    for (int o = 0; o < ctx->output_count; o++) ctx->out[o] = *ctx->in[2 + o % count];
    return HONE_OK;
}

static hone_status expand_each(hone_graph *g, hone_node *n, void (*one)(const update *u)) {
    update u = {.g = g, .node = n, .kinds = kinds_of(n)};
    u.count = (n->input_count - 2) / u.kinds;
    for (u.tensor = 0; u.tensor < u.count; u.tensor++) {
        u.dtype = n->inputs[2 + u.tensor]->type.dtype;
        one(&u);
    }
    return HONE_OK;
}

static hone_status expand_adagrad(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    return expand_each(g, n, update_adagrad);
}
static hone_status expand_adam(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    return expand_each(g, n, update_adam);
}
static hone_status expand_momentum(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    return expand_each(g, n, update_momentum);
}

#define UPDATE                                                                                               \
    .domain = DOMAIN, .since = 1, .oldest = 1,                                                               \
    .inputs = HONE_SLOTS({"R", 0, FLOATS, 0}, {"T", 0, HONE_TYPE(HONE_INT64), 0},                            \
                         {"inputs", 0, FLOATS, HONE_SLOT_VARIADIC}),                                         \
    .outputs = HONE_SLOTS({"outputs", 0, FLOATS, HONE_SLOT_VARIADIC}), .infer = infer
#define NUMBER(name, value)                                                                                  \
    { name, HONE_ATTR_FLOAT, .f = value }
#define NEEDED(name)                                                                                         \
    { name, HONE_ATTR_FLOAT, .required = true }

const hone_op hone_op_adagrad = {
    .name = "Adagrad",
    UPDATE,
    .attrs = HONE_ATTRS(NUMBER("decay_factor", 0), NUMBER("epsilon", 1e-6f), NUMBER("norm_coefficient", 0)),
    .expand = expand_adagrad,
    .doc = "a step by gradients divided by the root of the sum of their squares"};

const hone_op hone_op_adam = {.name = "Adam",
                              UPDATE,
                              .attrs = HONE_ATTRS(NUMBER("alpha", 0.9f), NUMBER("beta", 0.999f),
                                                  NUMBER("epsilon", 1e-6f), NUMBER("norm_coefficient", 0),
                                                  NUMBER("norm_coefficient_post", 0)),
                              .expand = expand_adam,
                              .doc = "a step by running means of gradients and of their squares"};

const hone_op hone_op_momentum = {.name = "Momentum",
                                  UPDATE,
                                  .attrs =
                                      HONE_ATTRS(NEEDED("alpha"), NEEDED("beta"), NEEDED("norm_coefficient"),
                                                 {"mode", HONE_ATTR_STRING, .required = true}),
                                  .expand = expand_momentum,
                                  .doc = "a step by a sum of gradients that fades"};

/* X, the gradient, and as much state as there are other outputs. */
static int kinds_of(const hone_node *n) {
    return n->op == &hone_op_adam ? 4 : 3;
}
