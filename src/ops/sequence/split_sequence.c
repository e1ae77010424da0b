/* Between a tensor and the sequence of its parts along an axis. */
#include "ops/common/items.h"

#include <string.h>

#define SEQUENCE HONE_KIND(HONE_KIND_SEQUENCE)

/* --- SplitToSequence --- */

typedef struct params {
    hone_type x, split;
    int axis;
    bool given, keep; /* `split` is given; the axis stays where parts are of one position */
} params;

static hone_status infer_split(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    int axis;
    if (x->rank == 0) return hone_infer_fail(ctx, err, "a scalar has no axis");
    if (x->rank > 0)
        HONE_TRY(hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), x->rank, false, &axis, err));
    if (ctx->input_count > 1 && ctx->in[1] && ctx->in[1]->rank > 1)
        return hone_infer_fail(ctx, err, "split must be a number or a list");
    ctx->out[0] = hone_items_type(HONE_KIND_SEQUENCE, ctx->out[0].dtype);
    return HONE_OK;
}

static int64_t number_at(const params *p, const void *split, int64_t i) {
    return p->split.dtype == HONE_INT32 ? ((const int32_t *)split)[i] : ((const int64_t *)split)[i];
}

/* How many parts there are; a failure names the step. */
static hone_status count_parts(const hone_step *s, const void *split, int64_t *out, hone_error *err) {
    const params *p = s->params;
    int64_t length = p->x.dims[p->axis], sum = 0;
    *out = length;
    if (!p->given) return HONE_OK;
    if (p->split.rank == 0) {
        int64_t each = number_at(p, split, 0);
        if (each <= 0) return hone_step_fail(s, err, "parts of %lld can't be", (long long)each);
        *out = length / each + (length % each != 0);
        return HONE_OK;
    }
    *out = p->split.dims[0];
    for (int64_t i = 0; i < *out; i++) {
        int64_t n = number_at(p, split, i);
        if (n < 0 || n > length - sum)
            return hone_step_fail(s, err, "the parts don't add up to the %lld of axis %d", (long long)length,
                                  p->axis);
        sum += n;
    }
    if (sum == length) return HONE_OK;
    return hone_step_fail(s, err, "the parts don't add up to the %lld of axis %d", (long long)length,
                          p->axis);
}

static hone_status make_part(const params *p, const hone_tensor *x, int64_t from, int64_t n,
                             hone_tensor **out, hone_error *err) {
    int64_t dims[HONE_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[p->axis] = n;
    HONE_TRY(hone_tensor_new(x->dtype, x->rank, dims, out, err));
    HONE_TRY(hone_tensor_copy_range(x, p->axis, from, n, *out, 0, err));
    if (p->given || p->keep) return HONE_OK;
    (*out)->rank--;
    for (int d = p->axis; d < (*out)->rank; d++) (*out)->dims[d] = (*out)->dims[d + 1];
    return HONE_OK;
}

static hone_status make_parts(const hone_step *s, const hone_tensor *x, const void *split,
                              hone_tensor **items, int64_t count, hone_error *err) {
    const params *p = s->params;
    int64_t length = p->x.dims[p->axis], at = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t n = !p->given ? 1 : number_at(p, split, p->split.rank ? i : 0);
        if (n > length - at) n = length - at;
        HONE_TRY(make_part(p, x, at, n, &items[i], err));
        at += n;
    }
    return HONE_OK;
}

static hone_status run_split(const hone_step *s, hone_frame *f, hone_error *err) {
    const params *p = s->params;
    const void *split = hone_step_in(s, f, 1);
    hone_tensor x = hone_items_view(&p->x, hone_step_in(s, f, 0)), *t = NULL;
    int64_t count;
    HONE_TRY(count_parts(s, split, &count, err));
    hone_tensor **items = hone_calloc((size_t)count + 1, sizeof *items);
    if (!items) return hone_fail_memory(err);
    hone_status status = make_parts(s, &x, split, items, count, err);
    if (status == HONE_OK) status = hone_tensor_of_items(HONE_KIND_SEQUENCE, x.dtype, items, count, &t, err);
    for (int64_t i = 0; i < count; i++) hone_tensor_free(items[i]);
    hone_free(items);
    return status == HONE_OK ? hone_items_give(s, f, 0, t, err) : status;
}

static hone_status prepare_split(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    int64_t axis = hone_node_int(p->node, "axis");
    q->x = *p->in[0];
    q->axis = (int)(axis < 0 ? axis + q->x.rank : axis);
    q->given = p->in_count > 1 && p->in[1];
    q->keep = hone_node_int(p->node, "keepdims") != 0;
    if (q->given) q->split = *p->in[1];
    p->params = q;
    p->run = run_split;
    p->kernel = "split";
    return HONE_OK;
}

const hone_op hone_op_split_to_sequence = {
    .name = "SplitToSequence",
    .since = 24,
    .oldest = 11,
    .inputs = HONE_SLOTS({"input", 'T', HONE_TYPES_ALL, 0},
                         {"split", 0, HONE_TYPE(HONE_INT32) | HONE_TYPE(HONE_INT64), HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"output_sequence", 'T', HONE_TYPES_ALL, 0, SEQUENCE}),
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT, .i = 0}, {"keepdims", HONE_ATTR_INT, .i = 1}),
    .infer = infer_split,
    .prepare = prepare_split,
    .doc = "the parts of a tensor along an axis"};

/* --- ConcatFromSequence --- */

static hone_status infer_concat(hone_infer *ctx, hone_error *err) {
    int64_t new_axis = hone_node_int(ctx->node, "new_axis");
    if (new_axis == 0 || new_axis == 1) return HONE_OK; /* its shape, the run tells */
    return hone_infer_fail(ctx, err, "new_axis must be 0 or 1");
}

/* Checks all items against the first one, and gives the shape of the whole. */
static hone_status join_shapes(const hone_step *s, const hone_tensor *from, bool stack, int *rank, int *axis,
                               int64_t *dims, hone_error *err) {
    int64_t wanted = hone_node_int(s->node, "axis");
    if (from->count == 0) return hone_step_fail(s, err, "the sequence is empty");
    const hone_tensor *first = hone_tensor_item(from, 0);
    *rank = first->rank + stack;
    if (*rank > HONE_MAX_RANK) return hone_step_fail(s, err, "the result would have too many dimensions");
    if (wanted < -*rank || wanted >= *rank)
        return hone_step_fail(s, err, "axis %lld is outside of rank %d", (long long)wanted, *rank);
    *axis = (int)(wanted < 0 ? wanted + *rank : wanted);
    for (int d = 0; d < *rank; d++)
        dims[d] = !stack ? first->dims[d] : d == *axis ? 0 : first->dims[d > *axis ? d - 1 : d];
    dims[*axis] = 0;
    for (int64_t i = 0; i < from->count; i++) {
        const hone_tensor *t = hone_tensor_item(from, i);
        bool fits = t->rank == first->rank;
        for (int d = 0; fits && d < t->rank; d++)
            fits = t->dims[d] == first->dims[d] || (!stack && d == *axis);
        if (!fits) return hone_step_fail(s, err, "item %lld has another shape than the first", (long long)i);
        dims[*axis] += stack ? 1 : t->dims[*axis];
    }
    return HONE_OK;
}

static hone_status run_concat(const hone_step *s, hone_frame *f, hone_error *err) {
    const hone_tensor *from = hone_items_in(s, f, 0);
    bool stack = hone_node_int(s->node, "new_axis") != 0;
    hone_type y = hone_type_make(from->dtype, 0, NULL);
    int axis = 0;
    void *to;
    HONE_TRY(join_shapes(s, from, stack, &y.rank, &axis, y.dims, err));
    HONE_TRY(f->output(f, s, 0, y.rank, y.dims, &to, err));
    hone_tensor whole = hone_items_view(&y, to);
    int64_t at = 0;
    for (int64_t i = 0; i < from->count && to; i++) {
        const hone_tensor *t = hone_tensor_item(from, i);
        hone_type part = y;
        part.dims[axis] = stack ? 1 : t->dims[axis];
        hone_tensor view = hone_items_view(&part, t->data);
        hone_tensor_move_range(&view, axis, 0, part.dims[axis], &whole, at);
        at += part.dims[axis];
    }
    return HONE_OK;
}

static hone_status prepare_concat(hone_prepare *p, hone_error *err) {
    return hone_items_prepare(p, run_concat, "concat", err);
}

const hone_op hone_op_concat_from_sequence = {
    .name = "ConcatFromSequence",
    .since = 11,
    .oldest = 11,
    .inputs = HONE_SLOTS({"input_sequence", 'T', HONE_TYPES_ALL, 0, SEQUENCE}),
    .outputs = HONE_SLOTS({"concat_result", 'T', HONE_TYPES_ALL, 0}),
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT, .required = true}, {"new_axis", HONE_ATTR_INT, .i = 0}),
    .infer = infer_concat,
    .run_shapes = 1,
    .prepare = prepare_concat,
    .doc = "the tensors of a sequence joined along an axis, or along one of their own"};
