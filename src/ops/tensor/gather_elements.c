/* GatherElements and GatherND: elements, or slices, each by an index of its own. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/gradient.h"
#include "ops/common/walk.h"
#include "ops/engine/copy.h"
#include "ops/tensor/indexing.h"

#include <stdatomic.h>

/* --- GatherElements --- y[i, j, k] = x[i, index[i, j, k], k] for axis 1 */

static hone_status infer_elements(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0], *index = ctx->in[1];
    int axis;
    HONE_TRY(hone_infer_as_input(ctx, 1));
    if (x->rank < 0 || index->rank < 0) return HONE_OK;
    return hone_infer_indices(ctx, x, index, hone_node_int(ctx->node, "axis"), &axis, err);
}

typedef struct elements {
    hone_element element;
    hone_index_rows rows;
    hone_cut cut; /* of the rows */
} elements;

typedef struct job {
    const void *params, *x, *index;
    char *y;
    _Atomic int64_t bad; /* a position whose index is out of range; -1: none */
} job;

static void gather_elements(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    job *j = arg;
    const elements *p = j->params;
    const hone_index_rows *r = &p->rows;
    int64_t at[HONE_POSITIONS];
    for (int64_t row = begin; row < end; row++)
        for (int64_t k = 0, n; k < r->columns; k += n) {
            n = hone_min_i64(HONE_POSITIONS, r->columns - k);
            int64_t bad = hone_index_row(r, j->index, row, k, n, at);
            if (bad >= 0) {
                j->bad = bad;
                return;
            }
            hone_take(p->element, j->x, at, n, NULL, j->y, row * r->columns + k);
        }
}

static hone_status run_elements(const hone_step *step, hone_frame *frame, hone_error *err) {
    const elements *p = step->params;
    job j = {.params = p,
             .x = hone_step_in(step, frame, 0),
             .index = hone_step_in(step, frame, 1),
             .y = hone_step_out(step, frame, 0),
             .bad = -1};
    if (p->element.size) {
        hone_cut_run(&p->cut, frame, gather_elements, &j);
    } else {
        hone_clear_end(j.y, p->rows.walk.count * p->rows.columns, p->element.bits);
        gather_elements(&j, 0, p->cut.count, 0);
    }
    return j.bad < 0 ? HONE_OK : hone_index_fail(&p->rows, step, j.index, j.bad, err);
}

static hone_status prepare_elements(hone_prepare *p, hone_error *err) {
    elements *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    q->element = hone_element_of(p->in[0]->dtype);
    q->rows = hone_index_rows_of(p->in[0], p->in[1], hone_node_int(p->node, "axis"));
    q->cut = hone_cut_make(q->rows.columns ? q->rows.walk.count : 0, 8 + 2 * (double)q->rows.columns, 1);
    p->params = q;
    p->run = run_elements;
    p->kernel = "gather elements";
    return HONE_OK;
}

/* Axes that data and indices have alike, but for the one that is looked up. */
static void axes_elements(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[0]->type, *index = &n->inputs[1]->type;
    if (x->rank < 0 || x->rank != index->rank) return;
    int axis = (int)hone_node_int(n, "axis");
    if (axis < 0) axis += x->rank;
    for (int i = 0; i < x->rank; i++) {
        if (i == axis) hone_axes_same(out, 1, i, i);
        if (i == axis || x->dims[i] != index->dims[i] || x->dims[i] == HONE_DIM_ANY) continue;
        hone_axes_same(out, 0, i, i);
        hone_axes_same(out, 1, i, i);
    }
}

static void gradient_elements(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    if (!ctx->wanted[0]) return;
    hone_value *zeros =
        HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "BroadcastTo", hone_gradient_scalar(ctx, 0), n->inputs[0]);
    ctx->din[0] = HONE_EMIT(ctx->graph, "", "ScatterElements", zeros, n->inputs[1], ctx->dout[0]);
    if (!ctx->din[0]) return;
    hone_node_copy_attrs(ctx->graph, ctx->din[0]->producer, n);
    hone_node_set_string(ctx->graph, ctx->din[0]->producer, "reduction", "add");
}

const hone_op hone_op_gather_elements = {
    .name = "GatherElements",
    .since = 13,
    .oldest = 11,
    .inputs = HONE_SLOTS({"data", 'T', HONE_TYPES_ALL, HONE_SLOT_WEIGHT}, {"indices", 0, HONE_TYPES_INT, 0}),
    .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_ALL, 0}),
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT}),
    .infer = infer_elements,
    .axes = axes_elements,
    .moves = true,
    .prepare = prepare_elements,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient_elements,
    .quantize = HONE_QUANTIZE_BITS,
    .doc = "elements along an axis, each by an index of its own"};

/* --- GatherND --- y[b, i, …] = x[b, index[b, i], …], an index being a tuple of `width` numbers */

static hone_status infer_nd(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0], *index = ctx->in[1];
    hone_type *y = &ctx->out[0];
    int64_t batch = hone_node_int(ctx->node, "batch_dims");
    if (x->rank < 0 || index->rank < 0) return HONE_OK;
    HONE_TRY(hone_infer_tuples(ctx, x, index, batch, err));
    int64_t width = index->dims[index->rank - 1];
    if (width < 0) return HONE_OK;
    if (index->rank - 1 + x->rank - batch - width > HONE_MAX_RANK)
        return hone_infer_fail(ctx, err, "a tensor cannot have more than %d axes", HONE_MAX_RANK);
    y->rank = 0;
    for (int i = 0; i < index->rank - 1; i++) {
        int64_t d = index->dims[i];
        if (i < batch) HONE_TRY(hone_infer_same_dim(ctx, x->dims[i], d, &d, err));
        y->dims[y->rank++] = d;
    }
    for (int i = (int)(batch + width); i < x->rank; i++) y->dims[y->rank++] = x->dims[i];
    return HONE_OK;
}

typedef struct slices {
    hone_element element;
    hone_tuples tuples;
    hone_cut cut; /* of the tuples */
} slices;

static void gather_slices(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    job *j = arg;
    const slices *p = j->params;
    const hone_tuples *t = &p->tuples;
    int64_t at[HONE_POSITIONS];
    for (int64_t i = begin, n; i < end; i += n) {
        n = hone_tuples_next(t, i, end);
        int64_t bad = hone_tuples_at(t, j->index, i, n, at);
        if (bad >= 0) {
            j->bad = bad;
            return;
        }
        if (t->inner == 1)
            hone_take(p->element, j->x, at, n, NULL, j->y, i);
        else
            for (int64_t k = 0; k < n; k++)
                hone_move(p->element, j->x, at[k], j->y, (i + k) * t->inner, t->inner);
    }
}

static hone_status run_nd(const hone_step *step, hone_frame *frame, hone_error *err) {
    const slices *p = step->params;
    job j = {.params = p,
             .x = hone_step_in(step, frame, 0),
             .index = hone_step_in(step, frame, 1),
             .y = hone_step_out(step, frame, 0),
             .bad = -1};
    if (p->element.size) {
        hone_cut_run(&p->cut, frame, gather_slices, &j);
    } else {
        hone_clear_end(j.y, p->cut.count * p->tuples.inner, p->element.bits);
        gather_slices(&j, 0, p->cut.count, 0);
    }
    return j.bad < 0 ? HONE_OK : hone_tuples_fail(&p->tuples, step, j.index, j.bad, err);
}

static hone_status prepare_nd(hone_prepare *p, hone_error *err) {
    slices *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    q->element = hone_element_of(p->in[0]->dtype);
    q->tuples = hone_tuples_of(p->in[0], p->in[1], hone_node_int(p->node, "batch_dims"));
    q->cut = hone_cut_make(q->tuples.inner ? q->tuples.batch * q->tuples.count : 0,
                           5 + 0.05 * (double)q->tuples.inner * (double)q->element.size, 1);
    p->params = q;
    p->run = run_nd;
    p->kernel = "gather slices";
    return HONE_OK;
}

static void axes_nd(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[0]->type, *index = &n->inputs[1]->type, *y = &n->outputs[0]->type;
    if (y->rank < 0) return;
    int batch = (int)hone_node_int(n, "batch_dims");
    for (int i = 0; i < index->rank - 1; i++) {
        hone_axes_same(out, 1, i, i);
        if (i < batch) hone_axes_same(out, 0, i, i);
    }
    for (int i = batch + (int)index->dims[index->rank - 1]; i < x->rank; i++)
        hone_axes_same(out, 0, i, i - x->rank + y->rank);
}

static void gradient_nd(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    if (!ctx->wanted[0]) return;
    ctx->din[0] =
        HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "GatherNDGrad", ctx->dout[0], n->inputs[1], n->inputs[0]);
    if (ctx->din[0]) hone_node_copy_attrs(ctx->graph, ctx->din[0]->producer, n);
}

static const hone_attr_def nd_11[] = {{NULL}};

const hone_op hone_op_gather_nd = {
    .name = "GatherND",
    .since = 13,
    .oldest = 11,
    .older = (const hone_op_version[]){{12, NULL, NULL}, {11, nd_11, NULL}, {0}},
    .inputs =
        HONE_SLOTS({"data", 'T', HONE_TYPES_ALL, HONE_SLOT_WEIGHT}, {"indices", 0, HONE_TYPE(HONE_INT64), 0}),
    .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_ALL, 0}),
    .attrs = HONE_ATTRS({"batch_dims", HONE_ATTR_INT}),
    .infer = infer_nd,
    .axes = axes_nd,
    .moves = true,
    .prepare = prepare_nd,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient_nd,
    .quantize = HONE_QUANTIZE_BITS,
    .doc = "elements or slices, by tuples of indices"};
