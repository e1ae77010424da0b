/* Unique: the different elements of a tensor, or its different slices along an axis. How many there are is known only when
 * it has run. */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/order.h"
#include "ops/common/walk.h"
#include "ops/engine/copy.h"

#include <string.h>

enum { Y, FIRST, INVERSE, COUNTS };

/* The axis in [0, rank), or -1: x is flattened. */
static int axis_of(const hone_node *n, int rank) {
    const hone_attr *axis = hone_node_attr(n, "axis");
    return !axis ? -1 : (int)(axis->i < 0 ? axis->i + rank : axis->i);
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    const hone_attr *attr = hone_node_attr(ctx->node, "axis");
    int axis = 0;
    for (int o = FIRST; o < ctx->output_count; o++) {
        ctx->out[o].rank = 1;
        ctx->out[o].dims[0] = HONE_DIM_ANY;
    }
    if (!attr) {
        ctx->out[Y].rank = 1;
        ctx->out[Y].dims[0] = HONE_DIM_ANY;
        if (ctx->output_count > INVERSE && hone_type_is_concrete(x))
            ctx->out[INVERSE].dims[0] = hone_type_count(x);
        return HONE_OK;
    }
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(hone_infer_axis(ctx, attr->i, x->rank, false, &axis, err));
    HONE_TRY(hone_infer_same(ctx, err));
    ctx->out[Y].dims[axis] = HONE_DIM_ANY;
    if (ctx->output_count > INVERSE) ctx->out[INVERSE].dims[0] = x->dims[axis];
    return HONE_OK;
}

/* x [outer, n, inner]: n slices. */
typedef struct params {
    hone_element element;
    hone_dtype dtype;
    bool sorted;
    int rank, axis; /* of Y */
    int64_t dims[HONE_MAX_RANK];
    int64_t outer, n, inner;
} params;

/* In scratch, besides a key for each element. */
typedef struct slices {
    const params *p;
    const void *x;
    uint64_t *keys;
    int64_t *order, *room;
    int64_t *group;         /* of the slice: which of the different ones it is */
    int64_t *first, *count; /* of the different ones */
} slices;

static size_t scratch_bytes(const params *p) {
    size_t elements = p->dtype == HONE_STRING ? 0 : (size_t)(p->outer * p->n * p->inner);
    return elements * sizeof(uint64_t) + 5 * (size_t)p->n * sizeof(int64_t) + 64;
}

static void lay_out(slices *s, void *scratch) {
    size_t elements = s->p->dtype == HONE_STRING ? 0 : (size_t)(s->p->outer * s->p->n * s->p->inner);
    s->keys = scratch;
    s->order = (int64_t *)(s->keys + elements);
    s->room = s->order + s->p->n;
    s->group = s->room + s->p->n;
    s->first = s->group + s->p->n;
    s->count = s->first + s->p->n;
}

static int compare_strings(const hone_string *a, const hone_string *b) {
    size_t n = a->size < b->size ? a->size : b->size;
    int order = n ? memcmp(a->data, b->data, n) : 0;
    return order ? order : a->size < b->size ? -1 : a->size > b->size;
}

static int compare(const void *arg, int64_t a, int64_t b) {
    const slices *s = arg;
    const params *p = s->p;
    for (int64_t o = 0; o < p->outer; o++)
        for (int64_t i = 0; i < p->inner; i++) {
            int64_t at = (o * p->n + a) * p->inner + i, with = (o * p->n + b) * p->inner + i;
            int order = p->dtype == HONE_STRING       ? compare_strings((const hone_string *)s->x + at,
                                                                        (const hone_string *)s->x + with)
                        : s->keys[at] < s->keys[with] ? -1
                                                      : s->keys[at] > s->keys[with];
            if (order) return order;
        }
    return 0;
}

/* Finds the different slices, in ascending order; returns how many. */
static int64_t find_groups(slices *s) {
    const int64_t n = s->p->n;
    int64_t groups = 0;
    for (int64_t i = 0; i < n; i++) s->order[i] = i;
    hone_sort_indices(s->order, n, s->room, compare, s);
    for (int64_t k = 0; k < n; k++) {
        if (k == 0 || compare(s, s->order[k - 1], s->order[k]) != 0) {
            s->first[groups] = s->order[k];
            s->count[groups++] = 0;
        }
        s->group[s->order[k]] = groups - 1;
        s->count[groups - 1]++;
    }
    return groups;
}

/* In the order in which they come instead. `order` and `room` are free now. */
static void order_by_occurrence(slices *s, int64_t groups) {
    int64_t *number = s->order, *count = s->room, found = 0;
    for (int64_t g = 0; g < groups; g++) number[g] = -1;
    for (int64_t i = 0; i < s->p->n; i++) {
        int64_t g = s->group[i];
        if (number[g] < 0) {
            count[found] = s->count[g];
            s->first[found] = i;
            number[g] = found++;
        }
        s->group[i] = number[g];
    }
    memcpy(s->count, count, (size_t)groups * sizeof *count);
}

/* Where output o lies: made now, unless its shape was known. *out stays NULL if nobody wants it. */
static hone_status give(const hone_step *step, hone_frame *frame, int o, int rank, const int64_t *dims,
                        void **out, hone_error *err) {
    *out = NULL;
    if (o >= step->out_count || step->out[o] < 0) return HONE_OK;
    return frame->output(frame, step, o, rank, dims, out, err);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    slices s = {.p = p, .x = hone_step_in(step, frame, 0)};
    int64_t dims[HONE_MAX_RANK];
    void *y, *first, *count;
    lay_out(&s, hone_step_scratch(step, frame));
    if (p->dtype != HONE_STRING) hone_order_keys(p->dtype, s.x, 1, p->outer * p->n * p->inner, s.keys);
    int64_t groups = find_groups(&s), *inverse = hone_step_out(step, frame, INVERSE);
    if (!p->sorted) order_by_occurrence(&s, groups);
    if (inverse && p->n) memcpy(inverse, s.group, (size_t)p->n * sizeof *inverse);
    for (int d = 0; d < p->rank; d++) dims[d] = d == p->axis ? groups : p->dims[d];
    HONE_TRY(give(step, frame, Y, p->rank, dims, &y, err));
    HONE_TRY(give(step, frame, FIRST, 1, &groups, &first, err));
    HONE_TRY(give(step, frame, COUNTS, 1, &groups, &count, err));
    if (first && groups) memcpy(first, s.first, (size_t)groups * sizeof *s.first);
    if (count && groups) memcpy(count, s.count, (size_t)groups * sizeof *s.count);
    for (int64_t o = 0; y && p->inner && o < p->outer; o++)
        for (int64_t g = 0; g < groups; g++)
            hone_move(p->element, s.x, (o * p->n + s.first[g]) * p->inner, y, (o * groups + g) * p->inner,
                      p->inner);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[0];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    int axis = axis_of(p->node, x->rank);
    *q = (params){.element = hone_element_of(x->dtype),
                  .dtype = x->dtype,
                  .sorted = hone_node_int(p->node, "sorted") != 0,
                  .rank = axis < 0 ? 1 : x->rank,
                  .axis = axis < 0 ? 0 : axis,
                  .outer = axis < 0 ? 1 : hone_dims_product(x, 0, axis),
                  .n = axis < 0 ? hone_type_count(x) : x->dims[axis],
                  .inner = axis < 0 ? 1 : hone_dims_product(x, axis + 1, x->rank)};
    for (int d = 0; d < x->rank; d++) q->dims[d] = x->dims[d];
    p->scratch = scratch_bytes(q);
    p->params = q;
    p->run = run;
    p->kernel = "unique";
    return HONE_OK;
}

#define COMPARED (HONE_TYPES_FIXED | HONE_TYPE(HONE_STRING))
#define INDEX(name)                                                                                          \
    { name, 0, HONE_TYPE(HONE_INT64), HONE_SLOT_OPTIONAL }

const hone_op hone_op_unique = {
    .name = "Unique",
    .since = 11,
    .oldest = 11,
    .inputs = HONE_SLOTS({"X", 'T', COMPARED, 0}),
    .outputs =
        HONE_SLOTS({"Y", 'T', COMPARED, 0}, INDEX("indices"), INDEX("inverse_indices"), INDEX("counts")),
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT}, {"sorted", HONE_ATTR_INT, .i = 1}),
    .infer = infer,
    .run_shapes = 1 << Y | 1 << FIRST | 1 << COUNTS,
    .prepare = prepare,
    .doc = "the different elements, or slices along an axis; where each is first, which one each element is, "
           "how often"};
