/* Concat and Split: parts of a tensor along an axis. Along the leading axis both copy nothing: operands of Concat are
 * computed in their places, and what Split gives are views. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/channels_last.h"
#include "ops/common/gradient.h"
#include "ops/engine/copy.h"

#define MOVED HONE_TYPES_ALL

/* The axis, in [0, rank). */
static int axis_of(const hone_node *n, int rank) {
    int64_t axis = hone_node_int(n, "axis");
    return (int)(axis < 0 ? axis + rank : axis);
}

/* Are all axes before `axis` of size 1? Then a part is one run of bytes, if elements are. */
static bool leads(const hone_type *t, int axis) {
    return hone_dims_product(t, 0, axis) == 1;
}

static size_t row_bytes(const hone_type *t, int axis) {
    return (size_t)hone_dims_product(t, axis + 1, t->rank) * hone_dtype_size(t->dtype);
}

/* --- Concat --- */

/* Is it known to have nothing along the axis? */
static bool is_empty(const hone_infer *ctx, int i) {
    int64_t axis = hone_node_int(ctx->node, "axis");
    const hone_type *x = ctx->in[i];
    if (axis < 0) axis += x->rank;
    return axis >= 0 && axis < x->rank && x->dims[axis] == 0;
}

static hone_status infer_concat(hone_infer *ctx, hone_error *err) {
    hone_type *y = &ctx->out[0];
    int axis = 0;
    int64_t length = 0;
    bool all_empty = true;
    for (int i = 0; i < ctx->input_count; i++) all_empty &= is_empty(ctx, i);
    for (int i = 0; i < ctx->input_count; i++) {
        const hone_type *x = ctx->in[i];
        if (!all_empty && is_empty(ctx, i))
            continue;      /* whatever its other dimensions are, as ONNX Runtime has it */
        if (x->rank < 0) { /* another one tells the rank */
            length = HONE_DIM_ANY;
            continue;
        }
        HONE_TRY(hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), x->rank, false, &axis, err));
        if (y->rank >= 0 && y->rank != x->rank)
            return hone_infer_fail(ctx, err, "input %d has %d dimensions where %d are needed", i, x->rank,
                                   y->rank);
        for (int d = 0; d < x->rank; d++) {
            if (d == axis) continue;
            int64_t known = y->rank < 0 ? x->dims[d] : y->dims[d];
            HONE_TRY(hone_infer_same_dim(ctx, known, x->dims[d], &y->dims[d], err));
        }
        y->rank = x->rank;
        length = length < 0 || x->dims[axis] < 0 ? HONE_DIM_ANY : length + x->dims[axis];
        if (ctx->input_count == 1) length = x->dims[axis];
    }
    if (y->rank >= 0) y->dims[axis] = length;
    return HONE_OK;
}

static void axes_concat(const hone_node *n, hone_axes *out) {
    int rank = n->outputs[0]->type.rank, axis = axis_of(n, rank);
    for (int i = 0; i < n->input_count; i++)
        for (int a = 0; a < rank; a++)
            hone_axes_add(
                out, (hone_axis_link){a == axis && n->input_count > 1 ? HONE_AXIS_BLOCKED : HONE_AXIS_SAME,
                                      .input = i, .axis = a, .output_axis = a});
}

static bool join_concat(const hone_infer *ctx, int input, size_t *offset) {
    const hone_type *y = &ctx->out[0];
    int axis = axis_of(ctx->node, y->rank);
    if (!leads(y, axis) || !hone_dtype_size(y->dtype)) return false;
    *offset = 0;
    for (int i = 0; i < input; i++) *offset += (size_t)ctx->in[i]->dims[axis] * row_bytes(y, axis);
    return true;
}

/* What each part of `whole` along `axis` is to be copied like: into the whole, or out of it. */
typedef struct parts {
    int64_t elements; /* of the whole */
    int bits;         /* of one */
    int count;
    hone_copy copy[];
} parts;

static parts *make_parts(hone_prepare *p, const hone_type *whole, int axis, int count, const int64_t *lengths,
                         bool into) {
    parts *q = hone_prepare_alloc(p, sizeof *q + (size_t)count * sizeof(hone_copy));
    int64_t strides[HONE_MAX_RANK], dims[HONE_MAX_RANK], own[HONE_MAX_RANK], start = 0;
    if (!q) return NULL;
    q->count = count;
    q->elements = hone_type_count(whole);
    q->bits = hone_dtype_bits(whole->dtype);
    hone_strides_of(whole->rank, whole->dims, strides);
    for (int i = 0; i < count; i++) {
        for (int d = 0; d < whole->rank; d++) dims[d] = d == axis ? lengths[i] : whole->dims[d];
        hone_strides_of(whole->rank, dims, own);
        hone_copy *c = &q->copy[i];
        hone_copy_make(c, whole->dtype, whole->rank, dims, into ? own : strides, into ? strides : own);
        *(into ? &c->y_start : &c->x_start) = start * strides[axis];
        start += lengths[i];
    }
    return q;
}

static hone_status run_concat(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const parts *p = step->params;
    char *y = hone_step_out(step, frame, 0);
    hone_clear_end(y, p->elements, p->bits);
    for (int i = 0; i < p->count; i++) {
        const hone_copy *c = &p->copy[i];
        const char *x = hone_step_in(step, frame, i);
        bool there = c->size && x == y + c->y_start * (int64_t)c->size; /* it was computed there */
        if (!there) hone_copy_run(c, frame, x, y);
    }
    return HONE_OK;
}

static hone_status prepare_parts(hone_prepare *p, const hone_type *whole, const hone_type *const *part,
                                 int count, bool into, hone_run_fn *run, hone_error *err) {
    int64_t *lengths = hone_prepare_alloc(p, ((size_t)count + 1) * sizeof *lengths);
    int axis = axis_of(p->node, whole->rank);
    if (!lengths) return hone_fail_memory(err);
    for (int i = 0; i < count; i++) lengths[i] = part[i]->dims[axis];
    p->params = make_parts(p, whole, axis, count, lengths, into);
    if (!p->params) return hone_fail_memory(err);
    p->run = run;
    p->kernel = into ? "concat" : "split";
    return HONE_OK;
}

static hone_status prepare_concat(hone_prepare *p, hone_error *err) {
    return prepare_parts(p, &p->out[0], p->in, p->in_count, true, run_concat, err);
}

/* How long v is along the node's axis, as int64[1]. */
static hone_value *length_of(hone_gradient *ctx, hone_value *v) {
    const int64_t axis = hone_node_int(ctx->node, "axis");
    const hone_type *t = &v->type;
    if (t->rank > 0 && t->dims[axis_of(ctx->node, t->rank)] >= 0)
        return hone_graph_ints(ctx->graph, &t->dims[axis_of(ctx->node, t->rank)], 1);
    hone_value *y = hone_gradient_emit1(ctx, "Shape", v);
    if (!y) return NULL;
    hone_node_set_int(ctx->graph, y->producer, "start", axis);
    if (axis != -1) hone_node_set_int(ctx->graph, y->producer, "end", axis + 1);
    return y;
}

/* The node's operator's counterpart, with as many inputs or outputs. */
static hone_node *emit_along(hone_gradient *ctx, const char *op, int in, hone_value *const *inputs, int out) {
    hone_node *n = hone_graph_add_node(ctx->graph, hone_op_find("", op), NULL, in, inputs, out);
    if (n) hone_node_set_int(ctx->graph, n, "axis", hone_node_int(ctx->node, "axis"));
    return n;
}

static void gradient_concat(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    hone_value **lengths = hone_calloc((size_t)n->input_count + 1, sizeof(hone_value *));
    if (!lengths) {
        hone_graph_out_of_memory(ctx->graph);
        return;
    }
    for (int i = 0; i < n->input_count; i++) lengths[i] = length_of(ctx, n->inputs[i]);
    hone_node *join =
        hone_graph_add_node(ctx->graph, hone_op_find("", "Concat"), NULL, n->input_count, lengths, 1);
    if (join) hone_node_set_int(ctx->graph, join, "axis", 0);
    hone_node *split =
        join ? emit_along(ctx, "Split", 2, (hone_value *[]){ctx->dout[0], join->outputs[0]}, n->input_count)
             : NULL;
    for (int i = 0; split && i < n->input_count; i++)
        if (ctx->wanted[i]) ctx->din[i] = split->outputs[i];
    hone_free(lengths);
}

static const hone_attr_def concat_1[] = {{"axis", HONE_ATTR_INT, .i = 1}, {NULL}};

static hone_status lift_concat_1(hone_graph *g, hone_node *n, hone_error *err) {
    if (!hone_node_attr(n, "axis")) hone_node_set_int(g, n, "axis", 1);
    return hone_graph_check(g, err);
}

const hone_op hone_op_concat = {
    .name = "Concat",
    .since = 13,
    .oldest = 1,
    .older = (const hone_op_version[]){{4, NULL, NULL}, {1, concat_1, lift_concat_1}, {0}},
    .inputs = HONE_SLOTS({"inputs", 'T', MOVED, HONE_SLOT_VARIADIC}),
    .outputs = HONE_SLOTS({"concat_result", 'T', MOVED, 0}),
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT, .required = true}),
    .infer = infer_concat,
    .axes = axes_concat,
    .join = join_concat,
    .channels_last = hone_last_by_axis,
    .moves = true,
    .prepare = prepare_concat,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient_concat,
    .doc = "the inputs one after the other along an axis"};

/* --- Split --- */

static hone_value *split_channels_last(hone_channels_last *ctx) {
    const hone_node *n = ctx->node;
    const int rank = n->inputs[0]->type.rank;
    hone_value *in[2] = {NULL, n->input_count > 1 ? n->inputs[1] : NULL};
    in[0] = hone_value_channels_last(ctx->graph, n->inputs[0]);
    hone_value *y = hone_last_copy(ctx, n->input_count, in);
    if (y)
        hone_node_set_int(ctx->graph, y->producer, "axis",
                          hone_last_axis((int)hone_node_int(n, "axis"), rank));
    return y;
}

/* Lengths that `split` says, HONE_DIM_ANY each where it is not known. */
static hone_status read_lengths(const hone_infer *ctx, int64_t *lengths, hone_error *err) {
    const hone_type *t = ctx->in[1];
    const hone_tensor *list = ctx->constant[1]; /* which may be longer than what is carried */
    hone_content c;
    const bool known = !list && hone_infer_items(ctx, 1, &c);
    const int64_t said = list ? list->count : known ? c.count : t->rank == 1 ? t->dims[0] : HONE_DIM_ANY;
    if (said >= 0 && said != ctx->output_count)
        return hone_infer_fail(ctx, err, "%lld lengths for %d parts", (long long)said, ctx->output_count);
    for (int i = 0; i < ctx->output_count; i++) {
        const hone_item item = list    ? (hone_item){HONE_ITEM_NUMBER, hone_tensor_int(list, i)}
                               : known ? c.item[i]
                                       : (hone_item){HONE_ITEM_UNKNOWN, 0};
        lengths[i] = hone_dim_of_item(item);
        if (item.kind == HONE_ITEM_NUMBER && item.value < 0)
            return hone_infer_fail(ctx, err, "a part of length %lld", (long long)item.value);
    }
    return HONE_OK;
}

/* Lengths of the parts: what `split` says, or as equal as can be. */
static hone_status lengths_of(const hone_infer *ctx, int64_t total, int64_t *lengths, hone_error *err) {
    int count = ctx->output_count;
    if (ctx->input_count > 1 && ctx->in[1]) return read_lengths(ctx, lengths, err);
    int64_t asked = hone_node_int(ctx->node, "num_outputs"), shares = asked > 0 ? asked : count;
    int64_t each = total < 0 ? 0 : total / shares + (total % shares > 0);
    for (int i = 0; i < count; i++) {
        int64_t left = each == 0 || i > total / each ? 0 : total - i * each;
        lengths[i] = total < 0 ? HONE_DIM_ANY : left < each ? left : each;
    }
    return HONE_OK;
}

static hone_status infer_split(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    int axis;
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), x->rank, false, &axis, err));
    int64_t *lengths = hone_calloc((size_t)ctx->output_count + 1, sizeof *lengths);
    if (!lengths) return hone_fail_memory(err);
    hone_status status = lengths_of(ctx, x->dims[axis], lengths, err);
    bool all = true;
    int64_t sum = 0;
    for (int i = 0; i < ctx->output_count && status == HONE_OK; i++) {
        hone_dtype dtype = ctx->out[i].dtype;
        ctx->out[i] = *x;
        ctx->out[i].dtype = dtype;
        ctx->out[i].dims[axis] = lengths[i];
        all &= lengths[i] >= 0;
        if (all && __builtin_add_overflow(sum, lengths[i], &sum)) sum = INT64_MAX;
    }
    hone_free(lengths);
    HONE_TRY(status);
    if (all && x->dims[axis] >= 0 && sum != x->dims[axis])
        return hone_infer_fail(ctx, err, "the parts have %lld in all where the axis has %lld", (long long)sum,
                               (long long)x->dims[axis]);
    return HONE_OK;
}

static void axes_split(const hone_node *n, hone_axes *out) {
    int rank = n->inputs[0]->type.rank, axis = axis_of(n, rank);
    for (int a = 0; a < rank; a++)
        for (int o = 0; o < n->output_count; o++)
            hone_axes_add(
                out, (hone_axis_link){a == axis && n->output_count > 1 ? HONE_AXIS_BLOCKED : HONE_AXIS_SAME,
                                      .axis = a, .output = o, .output_axis = a});
}

static bool view_split(const hone_infer *ctx, int output, hone_view *v) {
    const hone_type *x = ctx->in[0];
    int axis = axis_of(ctx->node, x->rank);
    if (!leads(x, axis) || !hone_dtype_size(x->dtype)) return false;
    *v = (hone_view){0, 0};
    for (int o = 0; o < output; o++) {
        if (ctx->out[o].rank < 0) return false; /* nobody wants it: its length is not at hand */
        v->offset += (size_t)ctx->out[o].dims[axis] * row_bytes(x, axis);
    }
    return true;
}

static hone_status run_split(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const parts *p = step->params;
    for (int o = 0; o < p->count; o++) {
        void *y = hone_step_out(step, frame, o);
        if (y) hone_copy_run(&p->copy[o], frame, hone_step_in(step, frame, 0), y);
    }
    return HONE_OK;
}

/* Outputs that nobody wants have no type here: inference says their lengths once more. */
static hone_status prepare_split(hone_prepare *p, hone_error *err) {
    hone_type *types = hone_prepare_alloc(p, ((size_t)p->out_count + 1) * sizeof *types);
    const hone_type **part = hone_prepare_alloc(p, ((size_t)p->out_count + 1) * sizeof *part);
    if (!types || !part) return hone_fail_memory(err);
    hone_infer ctx = {.node = p->node,
                      .input_count = p->in_count,
                      .output_count = p->out_count,
                      .in = p->in,
                      .constant = p->constant,
                      .out = types};
    HONE_TRY(infer_split(&ctx, err));
    for (int o = 0; o < p->out_count; o++) {
        part[o] = &types[o];
        if (!hone_type_is_concrete(&types[o]))
            return hone_prepare_fail(p, err, "the lengths of its parts are not known");
    }
    return prepare_parts(p, p->in[0], part, p->out_count, false, run_split, err);
}

/* Parts that no cotangent reaches have zeros. */
static void gradient_split(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    if (!ctx->wanted[0]) return;
    hone_value **given = hone_calloc((size_t)n->output_count + 1, sizeof(hone_value *));
    for (int o = 0; given && o < n->output_count; o++)
        given[o] = ctx->dout[o] ? ctx->dout[o]
                                : HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "BroadcastTo",
                                            hone_graph_scalar(ctx->graph, n->inputs[0]->type.dtype, 0),
                                            hone_gradient_saved(ctx, o));
    hone_node *join = given ? emit_along(ctx, "Concat", n->output_count, given, 1) : NULL;
    if (join) ctx->din[0] = join->outputs[0];
    if (!given) hone_graph_out_of_memory(ctx->graph);
    hone_free(given);
}

/* Before opset 13 the lengths were an attribute. */
static hone_status lift_lengths(hone_graph *g, hone_node *n, hone_error *err) {
    size_t count;
    const int64_t *lengths = hone_node_ints(n, "split", &count);
    g->insert_before = n;
    if (count) hone_node_set_input(g, n, 1, hone_graph_ints(g, lengths, (int64_t)count));
    g->insert_before = NULL;
    return hone_graph_check(g, err);
}

/* Opset 1 also had them as an input of the data's type. */
static hone_status lift_split_1(hone_graph *g, hone_node *n, hone_error *err) {
    if (n->input_count < 2 || !n->inputs[1]) return lift_lengths(g, n, err);
    g->insert_before = n;
    hone_value *lengths = HONE_EMIT(g, "", "Cast", n->inputs[1]);
    if (lengths) hone_node_set_int(g, lengths->producer, "to", HONE_INT64);
    hone_node_set_input(g, n, 1, lengths);
    g->insert_before = NULL;
    return hone_graph_check(g, err);
}

static const hone_attr_def split_13[] = {{"axis", HONE_ATTR_INT}, {NULL}};
static const hone_attr_def split_2[] = {{"axis", HONE_ATTR_INT}, {"split", HONE_ATTR_INTS}, {NULL}};

const hone_op hone_op_split = {
    .name = "Split",
    .since = 18,
    .oldest = 1,
    .older =
        (const hone_op_version[]){
            {13, split_13, NULL}, {2, split_2, lift_lengths}, {1, split_2, lift_split_1}, {0}},
    .inputs = HONE_SLOTS({"input", 'T', MOVED, 0},
                         {"split", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE}),
    .outputs = HONE_SLOTS({"outputs", 'T', MOVED, HONE_SLOT_VARIADIC}),
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT}, {"num_outputs", HONE_ATTR_INT}),
    .infer = infer_split,
    .axes = axes_split,
    .view = view_split,
    .channels_last = split_channels_last,
    .moves = true,
    .prepare = prepare_split,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient_split,
    .doc = "parts along an axis"};
