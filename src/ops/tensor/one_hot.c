/* OneHot: for each index a row of one value with another one at its place. */
#include "graph/infer.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/emit.h"
#include "ops/common/gradient.h"
#include "ops/common/walk.h"
#include "ops/engine/copy.h"
#include "ops/tensor/indexing.h"

#include <string.h>

enum { INDICES, DEPTH, VALUES };

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[INDICES], *depth = ctx->in[DEPTH], *values = ctx->in[VALUES];
    hone_type *y = &ctx->out[0];
    hone_content c;
    int axis;
    if (hone_type_is_concrete(depth) && hone_type_count(depth) != 1)
        return hone_infer_fail(ctx, err, "the depth must be one number");
    if (hone_type_is_concrete(values) && hone_type_count(values) != 2)
        return hone_infer_fail(ctx, err, "there must be two values");
    if (x->rank < 0) return HONE_OK;
    if (x->rank == HONE_MAX_RANK)
        return hone_infer_fail(ctx, err, "a tensor cannot have more than %d axes", HONE_MAX_RANK);
    HONE_TRY(hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), x->rank + 1, false, &axis, err));
    int64_t length = HONE_DIM_ANY;
    if (hone_infer_items(ctx, DEPTH, &c) && c.count == 1) length = hone_dim_of_item(c.item[0]);
    if (ctx->constant[DEPTH]) {
        double n = hone_tensor_number(ctx->constant[DEPTH], 0);
        if (!(n >= 0 && n < 1e15)) return hone_infer_fail(ctx, err, "depth %g is out of range", n);
        length = (int64_t)n;
    }
    y->rank = x->rank + 1;
    for (int i = 0; i < y->rank; i++) y->dims[i] = i == axis ? length : x->dims[i < axis ? i : i - 1];
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    int rank = n->inputs[INDICES]->type.rank, axis = (int)hone_node_int(n, "axis");
    if (axis < 0) axis += rank + 1;
    for (int i = 0; i < rank; i++) hone_axes_same(out, INDICES, i, i < axis ? i : i + 1);
}

/* Indices [outer, inner], y [outer, depth, inner]. */
typedef struct params {
    hone_element element;
    hone_dtype index;
    int64_t depth, inner, elements;
    hone_cut cut; /* of the outer ones */
} params;

typedef struct job {
    const params *p;
    const void *index, *values;
    void *y;
} job;

/* n indices as int64. */
static void widen(const params *p, const void *index, int64_t first, int64_t n, int64_t *out) {
    hone_cast(p->index, HONE_INT64, (const char *)index + (size_t)first * hone_dtype_size(p->index), out, n);
}

static void put_ones(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const int64_t each = p->depth * p->inner;
    uint64_t on[2] = {0};
    int64_t at[HONE_POSITIONS];
    hone_move(p->element, j->values, 1, on, 0, 1);
    hone_repeat(p->element, j->values, j->y, begin * each, (end - begin) * each);
    for (int64_t i = begin * p->inner, n; i < end * p->inner; i += n) {
        n = hone_min_i64(HONE_POSITIONS, end * p->inner - i);
        widen(p, j->index, i, n, at);
        for (int64_t k = 0; k < n; k++) {
            int64_t place = at[k] < 0 ? at[k] + p->depth : at[k], row = i + k;
            if (place >= 0 && place < p->depth)
                hone_repeat(p->element, on, j->y, row / p->inner * each + place * p->inner + row % p->inner,
                            1);
        }
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_step_in(step, frame, INDICES), hone_step_in(step, frame, VALUES),
             hone_step_out(step, frame, 0)};
    if (p->element.size) {
        hone_cut_run(&p->cut, frame, put_ones, &j);
    } else if (p->cut.count) {
        hone_clear_end(j.y, p->elements, p->element.bits);
        put_ones(&j, 0, p->cut.count, 0);
    }
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[INDICES], *y = &p->out[0];
    params *q = hone_prepare_alloc(p, sizeof *q);
    int axis = (int)hone_node_int(p->node, "axis");
    if (axis < 0) axis += y->rank;
    if (!q) return hone_fail_memory(err);
    *q = (params){.element = hone_element_of(y->dtype),
                  .index = x->dtype,
                  .depth = y->dims[axis],
                  .inner = hone_dims_product(x, axis, x->rank),
                  .elements = hone_type_count(y)};
    double each = (double)q->inner * (4 + 0.05 * (double)(q->depth * (int64_t)q->element.size));
    q->cut = hone_cut_make(q->elements ? hone_dims_product(x, 0, axis) : 0, each + 1, 1);
    p->params = q;
    p->run = run;
    p->kernel = "one hot";
    return HONE_OK;
}

#define NUMBERS (HONE_TYPES_NUMBER | HONE_TYPES_HALF)

static hone_value *sum(hone_gradient *ctx, hone_value *v) {
    return hone_emit_shaped(ctx->graph, hone_gradient_emit1(ctx, "ReduceSum", v), (int64_t[]){1}, 1);
}

/* To the value at the indices' places what is there, to the other one the rest. */
static void gradient(hone_gradient *ctx) {
    hone_graph *g = ctx->graph;
    hone_value *zero = hone_gradient_scalar(ctx, 0), *one = hone_gradient_scalar(ctx, 1), *dy = ctx->dout[0];
    if (!ctx->wanted[VALUES]) return;
    hone_value *both = hone_emit_joined(g, hone_emit_shaped(g, zero, (int64_t[]){1}, 1),
                                        hone_emit_shaped(g, one, (int64_t[]){1}, 1), 0);
    hone_value *hot = HONE_EMIT(g, "", "OneHot", ctx->node->inputs[INDICES], ctx->node->inputs[DEPTH], both);
    if (!hot) return;
    hone_node_copy_attrs(g, hot->producer, ctx->node);
    hone_value *on = sum(ctx, hone_gradient_emit(ctx, "Mul", dy, hot));
    ctx->din[VALUES] = hone_emit_joined(g, hone_gradient_emit(ctx, "Sub", sum(ctx, dy), on), on, 0);
}

const hone_op hone_op_one_hot = {.name = "OneHot",
                                 .since = 11,
                                 .oldest = 9,
                                 .inputs = HONE_SLOTS({"indices", 0, NUMBERS, 0},
                                                      {"depth", 0, NUMBERS, HONE_SLOT_SHAPE},
                                                      {"values", 'T', HONE_TYPES_ALL, 0}),
                                 .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_ALL, 0}),
                                 .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT, .i = -1}),
                                 .infer = infer,
                                 .axes = axes,
                                 .prepare = prepare,
                                 .gradient_kind = HONE_GRADIENT_EXACT,
                                 .gradient = gradient,
                                 .doc = "for each index a row of one value, with another one at its place"};
