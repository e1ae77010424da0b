/* TopK: the largest or smallest elements along an axis, and where they were. */
#include "graph/infer.h"
#include "kernels/order.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/gradient.h"
#include "ops/common/legacy.h"
#include "ops/common/reshape.h"
#include "ops/common/walk.h"
#include "ops/engine/copy.h"
#include "ops/tensor/indexing.h"

enum { INPUT, K };

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[INPUT], *k = ctx->in[K];
    hone_content c;
    int axis;
    if (hone_type_is_concrete(k) && hone_type_count(k) != 1)
        return hone_infer_fail(ctx, err, "k must be one number");
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), x->rank, false, &axis, err));
    bool known = hone_infer_items(ctx, K, &c) && c.count == 1;
    int64_t length = known ? hone_dim_of_item(c.item[0]) : HONE_DIM_ANY;
    if (known && c.item[0].kind == HONE_ITEM_NUMBER &&
        (c.item[0].value < 0 || (x->dims[axis] >= 0 && length > x->dims[axis])))
        return hone_infer_fail(ctx, err, "%lld elements of an axis of %lld", (long long)c.item[0].value,
                               (long long)x->dims[axis]);
    for (int o = 0; o < ctx->output_count; o++) {
        hone_type *y = &ctx->out[o];
        y->rank = x->rank;
        for (int d = 0; d < x->rank; d++) y->dims[d] = d == axis ? length : x->dims[d];
    }
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    int rank = n->inputs[INPUT]->type.rank, axis = (int)hone_node_int(n, "axis");
    if (axis < 0) axis += rank;
    for (int o = 0; o < n->output_count; o++)
        for (int i = 0; i < rank; i++)
            hone_axes_add(out, (hone_axis_link){i == axis ? HONE_AXIS_BLOCKED : HONE_AXIS_SAME, .axis = i,
                                                .output = o, .output_axis = i});
}

/* x [outer, n, inner], results [outer, k, inner] */
typedef struct params {
    hone_element element;
    hone_dtype dtype;
    bool largest;
    int64_t n, k, inner;
    hone_cut cut; /* of outer x inner columns */
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const char *x;
    char *values;
    int64_t *indices;
} job;

static void find_best(const params *p, const char *x, hone_ranked *best) {
    uint64_t keys[HONE_POSITIONS];
    int64_t count = 0;
    for (int64_t i = 0, some; i < p->n; i += some) {
        some = hone_min_i64(HONE_POSITIONS, p->n - i);
        hone_order_keys(p->dtype, x + (size_t)(i * p->inner) * p->element.size, p->inner, some, keys);
        for (int64_t m = 0; m < some && !p->largest; m++) keys[m] = ~keys[m];
        count = hone_best_of(best, count, p->k, keys, i, some);
    }
    hone_best_sort(best, count);
}

static void find_columns(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    hone_ranked *best = hone_step_worker_scratch(j->step, j->frame, worker);
    for (int64_t i = begin; i < end; i++) {
        int64_t outer = i / p->inner, column = i % p->inner, to = outer * p->k * p->inner + column;
        const char *x = j->x + (size_t)(outer * p->n * p->inner + column) * p->element.size;
        find_best(p, x, best);
        for (int64_t m = 0; m < p->k; m++) {
            if (j->indices) j->indices[to + m * p->inner] = best[m].index;
            if (j->values)
                hone_move(p->element, x, best[m].index * p->inner, j->values, to + m * p->inner, 1);
        }
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p,
             step,
             frame,
             hone_step_in(step, frame, INPUT),
             hone_step_out(step, frame, 0),
             hone_step_out(step, frame, 1)};
    hone_cut_run(&p->cut, frame, find_columns, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[INPUT];
    params *q = hone_prepare_alloc(p, sizeof *q);
    int axis = (int)hone_node_int(p->node, "axis");
    if (axis < 0) axis += x->rank;
    if (!q) return hone_fail_memory(err);
    if (!p->constant[K]) return hone_prepare_fail(p, err, "k is not known");
    *q = (params){.element = hone_element_of(x->dtype),
                  .dtype = x->dtype,
                  .largest = hone_node_int(p->node, "largest") != 0,
                  .n = x->dims[axis],
                  .k = hone_tensor_int(p->constant[K], 0),
                  .inner = hone_dims_product(x, axis + 1, x->rank)};
    double each = 2 * (double)q->n + 20 * (double)q->k + 20;
    q->cut = hone_cut_make(q->k ? hone_dims_product(x, 0, axis) * q->inner : 0, each, 1);
    p->worker_scratch = ((size_t)q->k + 1) * sizeof(hone_ranked);
    p->params = q;
    p->run = run;
    p->kernel = "top k";
    return HONE_OK;
}

/* The cotangents go where the elements were. */
static void gradient(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    if (!ctx->wanted[INPUT] || !ctx->dout[0]) return;
    hone_value *zeros =
        HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "BroadcastTo",
                  hone_graph_scalar(ctx->graph, ctx->node->inputs[INPUT]->type.dtype, 0), n->inputs[INPUT]);
    ctx->din[INPUT] =
        HONE_EMIT(ctx->graph, "", "ScatterElements", zeros, hone_gradient_saved(ctx, 1), ctx->dout[0]);
    if (ctx->din[INPUT])
        hone_node_set_int(ctx->graph, ctx->din[INPUT]->producer, "axis", hone_node_int(n, "axis"));
}

/* Opset 1 had k as an attribute. */
static hone_status lift_k(hone_graph *g, hone_node *n, hone_error *err) {
    int64_t k = hone_node_int(n, "k");
    g->insert_before = n;
    hone_node_set_input(g, n, K, hone_graph_ints(g, &k, 1));
    g->insert_before = NULL;
    return hone_graph_check(g, err);
}

static const hone_attr_def top_k_10[] = {{"axis", HONE_ATTR_INT, .i = -1}, {NULL}};
static const hone_attr_def top_k_1[] = {
    {"axis", HONE_ATTR_INT, .i = -1}, {"k", HONE_ATTR_INT, .required = true}, {NULL}};
#define ORDERED (HONE_TYPES_NUMBER | HONE_TYPES_HALF)

const hone_op hone_op_top_k = {
    .name = "TopK",
    .since = 24,
    .oldest = 1,
    .older = (const hone_op_version[]){{11, NULL, NULL}, {10, top_k_10, NULL}, {1, top_k_1, lift_k}, {0}},
    .inputs = HONE_SLOTS({"X", 'T', ORDERED, 0}, {"K", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_SHAPE}),
    .outputs = HONE_SLOTS({"Values", 'T', ORDERED, 0}, {"Indices", 0, HONE_TYPE(HONE_INT64), 0}),
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT, .i = -1}, {"largest", HONE_ATTR_INT, .i = 1},
                        {"sorted", HONE_ATTR_INT, .i = 1}),
    .infer = infer,
    .axes = axes,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "the largest or smallest elements along an axis, and where they were"};
