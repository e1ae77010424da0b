/* ScatterElements, ScatterND, Scatter: a tensor with elements, or slices, put in or combined by index. Where several meet
 * in one place they come in the order of the indices. */
#include "graph/evaluate.h"
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/gradient.h"
#include "ops/common/legacy.h"
#include "ops/engine/copy.h"
#include "ops/tensor/indexing.h"

#include <stdatomic.h>
#include <string.h>

enum { DATA, INDICES, UPDATES, ZEROS = -1 };
enum { REPLACE = -1 }; /* what becomes of an element: this, or a hone_combining */

static const char *const reductions[] = {"add", "mul", "max", "min"};

static int reduction_of(const hone_node *n) {
    for (int i = HONE_COMBINE_ADD; i <= HONE_COMBINE_MIN; i++)
        if (strcmp(hone_node_string(n, "reduction"), reductions[i]) == 0) return i;
    return REPLACE;
}

static hone_status check_reduction(const hone_infer *ctx, hone_error *err) {
    const char *name = hone_node_string(ctx->node, "reduction");
    int op = reduction_of(ctx->node);
    hone_dtype dtype = ctx->in[DATA]->dtype;
    if (op == REPLACE && strcmp(name, "none") != 0)
        return hone_infer_fail(ctx, err, "reduction \"%s\" is unknown", name);
    if (op != REPLACE && dtype != HONE_UNDEFINED && !(HONE_TYPES_FIXED & HONE_TYPE(dtype)))
        return hone_infer_fail(ctx, err, "%s has no reductions", hone_dtype_name(dtype));
    return HONE_OK;
}

/* What is known of elements stays known where they are put, too. */
static bool content(const hone_infer *ctx, hone_content *out) {
    bool moved = false;
    return reduction_of(ctx->node) == REPLACE && hone_content_move(ctx, out, &moved, NULL) == HONE_OK &&
           moved;
}

/* --- running --- */

typedef struct params {
    hone_element element;
    hone_dtype dtype;
    int op;
    int data, updates; /* inputs */
    size_t bytes;      /* of the output */
    hone_index_rows rows;
    hone_tuples tuples;
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    const void *index;
    const char *u;
    char *y;
    _Atomic int64_t bad; /* a position whose index is out of range; -1: none */
} job;

/* n updates from number `first` on meet elements of y. */
static void meet(const job *j, int64_t first, const int64_t *at, int64_t n) {
    const params *p = j->p;
    const char *u = j->u + (size_t)first * p->element.size;
    if (p->element.size == 0) /* one by one: they begin within a byte */
        for (int64_t i = 0; i < n; i++) hone_move(p->element, u, first + i, j->y, at[i], 1);
    else if (p->op == REPLACE)
        hone_put(p->element, u, at, n, j->y);
    else
        hone_combine(p->dtype, (hone_combining)p->op, u, at, n, j->y);
}

/* Columns [column, column + n) of a slice of updates meet those of y. */
static void meet_slice(const job *j, int64_t from, int64_t to, int64_t n) {
    const params *p = j->p;
    if (p->op == REPLACE)
        hone_move(p->element, j->u, from, j->y, to, n);
    else
        hone_combine(p->dtype, (hone_combining)p->op, j->u + (size_t)from * p->element.size, NULL, n,
                     j->y + (size_t)to * p->element.size);
}

/* Items are groups of rows that never meet. */
static void scatter_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    job *j = arg;
    const hone_index_rows *r = &j->p->rows;
    int64_t at[HONE_POSITIONS], each = r->walk.count / r->independent;
    for (int64_t row = begin * each; row < end * each; row++)
        for (int64_t k = 0, n; k < r->columns; k += n) {
            n = hone_min_i64(HONE_POSITIONS, r->columns - k);
            int64_t bad = hone_index_row(r, j->index, row, k, n, at);
            if (bad >= 0) {
                j->bad = bad;
                return;
            }
            meet(j, row * r->columns + k, at, n);
        }
}

/* Items are columns of the slices: no two tasks meet in one. */
static void scatter_slices(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    job *j = arg;
    const hone_tuples *t = &j->p->tuples;
    int64_t at[HONE_POSITIONS], tuples = t->batch * t->count;
    for (int64_t i = 0, n; i < tuples; i += n) {
        n = hone_tuples_next(t, i, tuples);
        int64_t bad = hone_tuples_at(t, j->index, i, n, at);
        if (bad >= 0) {
            j->bad = bad;
            return;
        }
        if (t->inner == 1)
            meet(j, i, at, n);
        else
            for (int64_t k = 0; k < n; k++)
                meet_slice(j, (i + k) * t->inner + begin, at[k] + begin, end - begin);
    }
}

static void run_all(const hone_step *step, hone_frame *frame, hone_range_fn *fn, job *j) {
    const params *p = step->params;
    const void *data = p->data == ZEROS ? NULL : hone_step_in(step, frame, p->data);
    *j = (job){.p = p,
               .index = hone_step_in(step, frame, INDICES),
               .u = hone_step_in(step, frame, p->updates),
               .y = hone_step_out(step, frame, 0),
               .bad = -1};
    if (p->bytes && !data)
        memset(j->y, 0, p->bytes);
    else if (p->bytes && data != j->y)
        memcpy(j->y, data, p->bytes);
    if (p->element.size)
        hone_cut_run(&p->cut, frame, fn, j);
    else if (p->cut.count)
        fn(j, 0, p->cut.count, 0);
}

static params *make_params(hone_prepare *p, int data, int updates, int op) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    const hone_type *y = &p->out[0];
    if (q)
        *q = (params){.element = hone_element_of(y->dtype),
                      .dtype = y->dtype,
                      .op = op,
                      .data = data,
                      .updates = updates,
                      .bytes = hone_type_bytes(y)};
    return q;
}

/* --- ScatterElements --- y = x, but y[i, index[i, j, k], k] = u[i, j, k] for axis 1 */

static hone_status infer_elements(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[DATA], *index = ctx->in[INDICES], *u = ctx->in[UPDATES];
    int axis;
    HONE_TRY(hone_infer_same(ctx, err));
    HONE_TRY(check_reduction(ctx, err));
    if (x->rank < 0 || index->rank < 0) return HONE_OK;
    HONE_TRY(hone_infer_indices(ctx, x, index, hone_node_int(ctx->node, "axis"), &axis, err));
    if (u->rank >= 0 && u->rank != index->rank)
        return hone_infer_fail(ctx, err, "the updates have %d dimensions where %d are needed", u->rank,
                               index->rank);
    for (int d = 0; d < u->rank; d++) {
        int64_t same;
        HONE_TRY(hone_infer_same_dim(ctx, index->dims[d], u->dims[d], &same, err));
    }
    return HONE_OK;
}

static hone_status run_elements(const hone_step *step, hone_frame *frame, hone_error *err) {
    job j;
    run_all(step, frame, scatter_rows, &j);
    return j.bad < 0 ? HONE_OK : hone_index_fail(&j.p->rows, step, j.index, j.bad, err);
}

static hone_status prepare_elements(hone_prepare *p, hone_error *err) {
    params *q = make_params(p, DATA, UPDATES, reduction_of(p->node));
    if (!q) return hone_fail_memory(err);
    q->rows = hone_index_rows_of(p->in[DATA], p->in[INDICES], hone_node_int(p->node, "axis"));
    bool empty = q->rows.walk.count == 0 || q->rows.columns == 0;
    q->cut = hone_cut_make(
        empty ? 0 : q->rows.independent,
        empty ? 1 : 3 * (double)(q->rows.walk.count / q->rows.independent * q->rows.columns), 1);
    p->params = q;
    p->run = run_elements;
    p->kernel = "scatter elements";
    return HONE_OK;
}

/* Axes that all three have alike, but for the one that is looked up. */
static void axes_elements(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[DATA]->type, *index = &n->inputs[INDICES]->type;
    if (x->rank < 0 || x->rank != index->rank) return;
    int axis = (int)hone_node_int(n, "axis");
    if (axis < 0) axis += x->rank;
    for (int i = 0; i < x->rank; i++) {
        if (i == axis || x->dims[i] != index->dims[i] || x->dims[i] == HONE_DIM_ANY) continue;
        for (int input = DATA; input <= UPDATES; input++) hone_axes_same(out, input, i, i);
    }
}

/* 1 where a and b are the same, else 0, of dtype float. */
static hone_value *same(hone_gradient *ctx, hone_value *a, hone_value *b) {
    hone_value *y = hone_gradient_emit1(ctx, "Cast", hone_gradient_emit(ctx, "Equal", a, b));
    if (y) hone_node_set_int(ctx->graph, y->producer, "to", ctx->node->outputs[0]->type.dtype);
    return y;
}

/* The node's own operator over other data and updates; and what reads elements in the same places. */
static hone_value *scatter(hone_gradient *ctx, hone_value *data, hone_value *updates, const char *reduction) {
    const hone_node *n = ctx->node;
    hone_value *y = HONE_EMIT(ctx->graph, "", n->op->name, data, n->inputs[INDICES], updates);
    if (!y) return NULL;
    hone_node_copy_attrs(ctx->graph, y->producer, n);
    hone_node_set_string(ctx->graph, y->producer, "reduction", reduction);
    return y;
}

static hone_value *gather(hone_gradient *ctx, hone_value *v) {
    const hone_node *n = ctx->node;
    bool tuples = n->op == hone_op_find("", "ScatterND");
    hone_value *y = HONE_EMIT(ctx->graph, "", tuples ? "GatherND" : "GatherElements", v, n->inputs[INDICES]);
    if (y && !tuples) hone_node_set_int(ctx->graph, y->producer, "axis", hone_node_int(n, "axis"));
    return y;
}

static hone_value *filled(hone_gradient *ctx, double x, hone_value *like) {
    return HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "BroadcastTo", hone_gradient_scalar(ctx, x), like);
}

/* The largest (smallest) of all that meet: those that are the result share the cotangent. */
static void gradient_extreme(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    hone_value *y = n->outputs[0], *x = n->inputs[DATA], *u = n->inputs[UPDATES];
    hone_value *mine = same(ctx, x, y), *theirs = same(ctx, u, gather(ctx, y));
    hone_value *share = hone_gradient_emit(ctx, "Div", ctx->dout[0], scatter(ctx, mine, theirs, "add"));
    if (ctx->wanted[DATA]) ctx->din[DATA] = hone_gradient_emit(ctx, "Mul", share, mine);
    if (ctx->wanted[UPDATES]) ctx->din[UPDATES] = hone_gradient_emit(ctx, "Mul", gather(ctx, share), theirs);
}

/* The product of all that meet: of each place the product of what is not zero, p, and how many are, k. What is not zero
 * has p / itself for a factor if none is; the only zero has p. */
static void gradient_product(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    hone_value *in[] = {n->inputs[DATA], n->inputs[UPDATES]}, *is_zero[2], *rest[2];
    hone_value *zero = hone_gradient_scalar(ctx, 0), *one = hone_gradient_scalar(ctx, 1);
    for (int i = 0; i < 2; i++) {
        is_zero[i] = hone_gradient_emit(ctx, "Equal", in[i], zero);
        rest[i] = HONE_EMIT(ctx->graph, "", "Where", is_zero[i], one, in[i]);
    }
    hone_value *p = scatter(ctx, rest[0], rest[1], "mul");
    hone_value *k = scatter(ctx, same(ctx, in[0], zero), same(ctx, in[1], zero), "add");
    hone_value *none =
        hone_gradient_emit(ctx, "Mul", ctx->dout[0], hone_gradient_emit(ctx, "Mul", p, same(ctx, k, zero)));
    hone_value *only =
        hone_gradient_emit(ctx, "Mul", ctx->dout[0], hone_gradient_emit(ctx, "Mul", p, same(ctx, k, one)));
    for (int i = 0; i < 2; i++) {
        int input = i ? UPDATES : DATA;
        if (!ctx->wanted[input]) continue;
        hone_value *a = i ? gather(ctx, only) : only, *b = i ? gather(ctx, none) : none;
        ctx->din[input] =
            HONE_EMIT(ctx->graph, "", "Where", is_zero[i], a, hone_gradient_emit(ctx, "Div", b, rest[i]));
    }
}

static void gradient_of(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    hone_value *dy = ctx->dout[0];
    int op = reduction_of(n);
    if (op == HONE_COMBINE_MUL) {
        gradient_product(ctx);
    } else if (op == HONE_COMBINE_MAX || op == HONE_COMBINE_MIN) {
        gradient_extreme(ctx);
    } else {
        if (ctx->wanted[DATA])
            ctx->din[DATA] =
                op == REPLACE ? scatter(ctx, dy, filled(ctx, 0, n->inputs[UPDATES]), "none") : dy;
        if (ctx->wanted[UPDATES]) ctx->din[UPDATES] = gather(ctx, dy);
    }
}

#define REDUCTION                                                                                            \
    { "reduction", HONE_ATTR_STRING, .s = "none" }
#define SCATTERS                                                                                             \
    .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_ALL, 0}), .overwrite = 1, .content = content,           \
    .gradient_kind = HONE_GRADIENT_EXACT, .gradient = gradient_of

static const hone_attr_def elements_11[] = {{"axis", HONE_ATTR_INT}, {NULL}};

const hone_op hone_op_scatter_elements = {
    .name = "ScatterElements",
    .since = 18,
    .oldest = 11,
    .older = (const hone_op_version[]){{16, NULL, hone_lift_nothing}, {11, elements_11, NULL}, {0}},
    .inputs = HONE_SLOTS({"data", 'T', HONE_TYPES_ALL, 0}, {"indices", 0, HONE_TYPES_INT, 0},
                         {"updates", 'T', HONE_TYPES_ALL, 0}),
    SCATTERS,
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT}, REDUCTION),
    .infer = infer_elements,
    .axes = axes_elements,
    .prepare = prepare_elements,
    .doc = "a tensor with elements put in, added or otherwise combined along an axis, each by an index of "
           "its own"};

/* --- Scatter --- its name until opset 11 */

static hone_status expand_scatter(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *y = hone_graph_emit(g, "", "ScatterElements", n->inputs, 3);
    if (y) hone_node_copy_attrs(g, y->producer, n);
    hone_graph_replace(g, n->outputs[0], y);
    return HONE_OK;
}

static hone_status infer_scatter(hone_infer *ctx, hone_error *err) {
    int axis;
    const hone_type *x = ctx->in[DATA], *index = ctx->in[INDICES];
    HONE_TRY(hone_infer_same(ctx, err));
    if (x->rank < 0 || index->rank < 0) return HONE_OK;
    return hone_infer_indices(ctx, x, index, hone_node_int(ctx->node, "axis"), &axis, err);
}

const hone_op hone_op_scatter = {.name = "Scatter",
                                 .since = 9,
                                 .oldest = 9,
                                 .inputs = HONE_SLOTS({"data", 'T', HONE_TYPES_ALL, 0},
                                                      {"indices", 0, HONE_TYPES_INT, 0},
                                                      {"updates", 'T', HONE_TYPES_ALL, 0}),
                                 .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_ALL, 0}),
                                 .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT}),
                                 .infer = infer_scatter,
                                 .expand = expand_scatter,
                                 .doc = "ScatterElements by an older name"};

/* --- ScatterND --- y = x, but y[index[i], …] = u[i, …], an index being a tuple */

static hone_status infer_nd(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[DATA], *index = ctx->in[INDICES], *u = ctx->in[UPDATES];
    HONE_TRY(hone_infer_same(ctx, err));
    HONE_TRY(check_reduction(ctx, err));
    if (x->rank < 0 || index->rank < 0) return HONE_OK;
    HONE_TRY(hone_infer_tuples(ctx, x, index, 0, err));
    int64_t width = index->dims[index->rank - 1];
    if (u->rank < 0 || width < 0) return HONE_OK;
    int rank = index->rank - 1 + x->rank - (int)width;
    if (u->rank != rank)
        return hone_infer_fail(ctx, err, "the updates have %d dimensions where %d are needed", u->rank, rank);
    for (int d = 0; d < rank; d++) {
        int64_t wanted = d < index->rank - 1 ? index->dims[d] : x->dims[d - (index->rank - 1) + (int)width],
                same_dim;
        HONE_TRY(hone_infer_same_dim(ctx, wanted, u->dims[d], &same_dim, err));
    }
    return HONE_OK;
}

static hone_status run_nd(const hone_step *step, hone_frame *frame, hone_error *err) {
    job j;
    run_all(step, frame, scatter_slices, &j);
    return j.bad < 0 ? HONE_OK : hone_tuples_fail(&j.p->tuples, step, j.index, j.bad, err);
}

static hone_status prepare_tuples(hone_prepare *p, params *q, const hone_type *x, int64_t batch_dims,
                                  hone_error *err) {
    if (!q) return hone_fail_memory(err);
    q->tuples = hone_tuples_of(x, p->in[INDICES], batch_dims);
    int64_t tuples = q->tuples.batch * q->tuples.count, inner = q->tuples.inner;
    q->cut = hone_cut_make(tuples ? inner : 0, 0.3 * (double)tuples + 1, inner < 64 ? inner + !inner : 64);
    p->params = q;
    p->run = run_nd;
    p->kernel = "scatter slices";
    return HONE_OK;
}

static hone_status prepare_nd(hone_prepare *p, hone_error *err) {
    return prepare_tuples(p, make_params(p, DATA, UPDATES, reduction_of(p->node)), p->in[DATA], 0, err);
}

static void axes_nd(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[DATA]->type, *index = &n->inputs[INDICES]->type;
    const hone_type *u = &n->inputs[UPDATES]->type;
    if (x->rank < 0 || index->rank < 0 || u->rank < 0 || index->dims[index->rank - 1] < 0) return;
    for (int i = (int)index->dims[index->rank - 1]; i < x->rank; i++) {
        hone_axes_same(out, DATA, i, i);
        hone_axes_same(out, UPDATES, i - x->rank + u->rank, i);
    }
}

static const hone_attr_def none[] = {{NULL}};

const hone_op hone_op_scatter_nd = {
    .name = "ScatterND",
    .since = 18,
    .oldest = 11,
    .older = (const hone_op_version[]){{16, NULL, hone_lift_nothing}, {11, none, NULL}, {0}},
    .inputs = HONE_SLOTS({"data", 'T', HONE_TYPES_ALL, 0}, {"indices", 0, HONE_TYPE(HONE_INT64), 0},
                         {"updates", 'T', HONE_TYPES_ALL, 0}),
    SCATTERS,
    .attrs = HONE_ATTRS(REDUCTION),
    .infer = infer_nd,
    .axes = axes_nd,
    .prepare = prepare_nd,
    .doc = "a tensor with elements or slices put in, added or otherwise combined, by tuples of indices"};

/* --- GatherNDGrad --- what was gathered from a place is added up there */

static hone_status infer_nd_grad(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, 2);
}

static hone_status prepare_nd_grad(hone_prepare *p, hone_error *err) {
    return prepare_tuples(p, make_params(p, ZEROS, 0, HONE_COMBINE_ADD), p->in[2],
                          hone_node_int(p->node, "batch_dims"), err);
}

const hone_op hone_op_gather_nd_grad = {.domain = HONE_PRIVATE_DOMAIN,
                                        .name = "GatherNDGrad",
                                        .since = 1,
                                        .oldest = 1,
                                        .inputs = HONE_SLOTS({"dY", 'T', HONE_TYPES_FLOAT, 0},
                                                             {"indices", 0, HONE_TYPE(HONE_INT64), 0},
                                                             {"X", 'T', HONE_TYPES_FLOAT, 0}),
                                        .outputs = HONE_SLOTS({"dX", 'T', HONE_TYPES_FLOAT, 0}),
                                        .attrs = HONE_ATTRS({"batch_dims", HONE_ATTR_INT}),
                                        .infer = infer_nd_grad,
                                        .prepare = prepare_nd_grad,
                                        .doc = "the sum of all that GatherND took from a place"};
