#include "graph/infer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

hone_status hone_infer_fail(const hone_infer *ctx, hone_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    hone_vfail_node(err, HONE_INVALID_ARGUMENT, ctx->node->name, hone_node_op_name(ctx->node), format, args);
    va_end(args);
    return HONE_INVALID_ARGUMENT;
}

hone_status hone_infer_same_dim(const hone_infer *ctx, int64_t a, int64_t b, int64_t *out, hone_error *err) {
    if (a >= 0 && b >= 0 && a != b)
        return hone_infer_fail(ctx, err, "dimensions %lld and %lld should be equal", (long long)a,
                               (long long)b);
    *out = a >= 0 ? a : b >= 0 ? b : a != HONE_DIM_ANY ? a : b;
    return HONE_OK;
}

hone_status hone_infer_one_element(const hone_infer *ctx, int index, hone_error *err) {
    const hone_type *t = index < ctx->input_count ? ctx->in[index] : NULL;
    for (int i = 0; t && i < t->rank; i++)
        if (t->dims[i] >= 0 && t->dims[i] != 1)
            return hone_infer_fail(ctx, err, "input %d must have one element", index);
    return HONE_OK;
}

hone_status hone_infer_broadcast(const hone_infer *ctx, const hone_type *a, const hone_type *b,
                                 hone_type *out, hone_error *err) {
    if (a->rank < 0 || b->rank < 0) {
        out->rank = HONE_RANK_ANY;
        return HONE_OK;
    }
    int rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t dims[HONE_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        int ia = i - (rank - a->rank), ib = i - (rank - b->rank);
        int64_t da = ia < 0 ? 1 : a->dims[ia], db = ib < 0 ? 1 : b->dims[ib];
        if (da == 1)
            dims[i] = db;
        else if (db == 1)
            dims[i] = da;
        else if (da >= 0 && db >= 0 && da != db) {
            char ta[96], tb[96];
            return hone_infer_fail(ctx, err, "shapes %s and %s do not broadcast",
                                   hone_type_format(NULL, a, ta, sizeof ta),
                                   hone_type_format(NULL, b, tb, sizeof tb));
        } else
            dims[i] = da == db ? da : da > 1 ? da : db > 1 ? db : HONE_DIM_ANY;
    }
    out->rank = rank;
    memcpy(out->dims, dims, sizeof dims);
    return HONE_OK;
}

hone_status hone_infer_axis(const hone_infer *ctx, int64_t axis, int rank, bool inclusive, int *out,
                            hone_error *err) {
    if (axis < -rank || axis > rank - (inclusive ? 0 : 1))
        return hone_infer_fail(ctx, err, "axis %lld is outside of a tensor of rank %d", (long long)axis,
                               rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return HONE_OK;
}

hone_status hone_infer_as_input(hone_infer *ctx, int i) {
    ctx->out[0].rank = ctx->in[i]->rank;
    memcpy(ctx->out[0].dims, ctx->in[i]->dims, sizeof ctx->out[0].dims);
    return HONE_OK;
}

hone_status hone_infer_same(hone_infer *ctx, hone_error *err) {
    (void)err;
    if (ctx->in[0]->kind != HONE_KIND_TENSOR) ctx->out[0] = *ctx->in[0];
    return hone_infer_as_input(ctx, 0);
}

hone_status hone_infer_elementwise(hone_infer *ctx, hone_error *err) {
    HONE_TRY(hone_infer_same(ctx, err));
    for (int i = 1; i < ctx->input_count; i++)
        if (ctx->in[i]) HONE_TRY(hone_infer_broadcast(ctx, &ctx->out[0], ctx->in[i], &ctx->out[0], err));
    return HONE_OK;
}

static const char *kind_name(hone_value_kind kind) {
    switch (kind) {
    case HONE_KIND_SEQUENCE: return "a sequence";
    case HONE_KIND_MAP: return "a map";
    case HONE_KIND_OPTIONAL: return "an optional value";
    case HONE_KIND_TENSOR: break;
    }
    return "a tensor";
}

/* Could memory hold a tensor of the known dimensions? What passes can be multiplied without looking. */
static bool is_possible(const hone_type *t) {
    int64_t known[HONE_MAX_RANK];
    int count = 0;
    if (t->kind != HONE_KIND_TENSOR) return true;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] >= 0) known[count++] = t->dims[i];
    hone_dtype dtype = hone_dtype_size(t->dtype) ? t->dtype : HONE_UINT8;
    return hone_shape_size(dtype, count, known, NULL, NULL, NULL) == HONE_OK;
}

/* Checks the inputs against the slots and notes the dtype that each letter stands for. */
static hone_status check_inputs(const hone_infer *ctx, hone_dtype *letters, hone_error *err) {
    const hone_op *op = ctx->node->op;
    for (int i = 0; i < ctx->input_count; i++) {
        const hone_slot *slot = hone_op_input(op, i);
        if (!slot)
            return hone_infer_fail(ctx, err, "has %d inputs, more than the operator takes", ctx->input_count);
        if (!ctx->in[i]) {
            if (!(slot->flags & HONE_SLOT_OPTIONAL))
                return hone_infer_fail(ctx, err, "input %s is missing", slot->name);
            continue;
        }
        hone_dtype dtype = ctx->in[i]->dtype;
        if (!((slot->kinds ? slot->kinds : HONE_KIND(HONE_KIND_TENSOR)) & HONE_KIND(ctx->in[i]->kind)))
            return hone_infer_fail(ctx, err, "input %s can't be %s", slot->name, kind_name(ctx->in[i]->kind));
        if (!is_possible(ctx->in[i]))
            return hone_infer_fail(ctx, err, "input %s is too large for any memory", slot->name);
        if (dtype == HONE_UNDEFINED) continue;
        if (!(slot->types & HONE_TYPE(dtype)))
            return hone_fail_node(err, HONE_UNSUPPORTED, ctx->node->name, hone_node_op_name(ctx->node),
                                  "input %s: %s is not supported", slot->name, hone_dtype_name(dtype));
        hone_dtype *letter = slot->var ? &letters[(unsigned char)slot->var & 31] : NULL;
        if (letter && *letter != HONE_UNDEFINED && *letter != dtype)
            return hone_infer_fail(ctx, err, "input %s is %s where %s is needed", slot->name,
                                   hone_dtype_name(dtype), hone_dtype_name(*letter));
        if (letter) *letter = dtype;
    }
    const hone_slot *next = hone_op_input(op, ctx->input_count);
    bool repeated = ctx->input_count > 0 && next == hone_op_input(op, ctx->input_count - 1);
    if (next && !repeated && !(next->flags & HONE_SLOT_OPTIONAL))
        return hone_infer_fail(ctx, err, "input %s is missing", next->name);
    return HONE_OK;
}

bool hone_infer_items(const hone_infer *ctx, int i, hone_content *out) {
    if (i >= ctx->input_count) return false;
    if (ctx->constant[i] && hone_content_of(ctx->constant[i], out)) return true;
    if (!ctx->content || !ctx->content[i]) return false;
    memcpy(out, ctx->content[i], hone_content_bytes(ctx->content[i]->count));
    return true;
}

/* Operands of a fused program and captured values, behind the operator's own, are not its business. */
hone_infer hone_infer_context(const hone_node *n, const hone_infer_room *room) {
    int inputs = n->map && n->map_input < n->input_count ? n->map_input : n->capture_first;
    const hone_slot *first = hone_op_input(n->op, 0);
    if (!first) inputs = 0;
    if (first && first->flags & HONE_SLOT_VARIADIC) inputs = n->capture_first;
    return (hone_infer){.node = n,
                        .input_count = inputs,
                        .output_count = n->output_count,
                        .in = room->in,
                        .constant = room->constant,
                        .content = room->content,
                        .out = room->out,
                        .depth = room->depth,
                        .record = room->record};
}

hone_status hone_node_infer(const hone_node *n, const hone_infer_room *room, hone_error *err) {
    hone_infer ctx = hone_infer_context(n, room);
    hone_type *out = room->out;
    hone_dtype letters[32] = {HONE_UNDEFINED};
    HONE_TRY(check_inputs(&ctx, letters, err));
    for (int i = 0; i < n->output_count; i++) {
        const hone_slot *slot = hone_op_output(n->op, i);
        if (!slot)
            return hone_infer_fail(&ctx, err, "has %d outputs, more than the operator gives",
                                   n->output_count);
        out[i] = (hone_type){.kind = HONE_KIND_TENSOR, .rank = HONE_RANK_ANY};
        if (slot->var) out[i].dtype = letters[(unsigned char)slot->var & 31];
        for (int d = HONE_FLOAT32; !slot->var && d < HONE_DTYPE_COUNT; d++)
            if (slot->types == HONE_TYPE(d)) out[i].dtype = (hone_dtype)d;
    }
    HONE_TRY(n->op->infer(&ctx, err));
    for (int i = 0; i < n->output_count; i++) {
        if (!is_possible(&out[i]))
            return hone_infer_fail(&ctx, err, "output %s is too large for any memory",
                                   hone_op_output(n->op, i)->name);
    }
    return HONE_OK;
}

static bool run_tells(const hone_op *op, int output) {
    return hone_op_is_control(op) || (op->run_shapes >> (output < 31 ? output : 31) & 1);
}

hone_status hone_node_check_shapes(const hone_node *n, const hone_type *out, hone_error *err) {
    for (int o = 0; o < n->output_count; o++)
        if (n->outputs[o] && !hone_type_is_concrete(&out[o]) && !run_tells(n->op, o))
            return hone_fail_node(err, HONE_INVALID_ARGUMENT, n->name, hone_node_op_name(n),
                                  "the shape of output %s does not follow from the inputs",
                                  hone_op_output(n->op, o)->name);
    return HONE_OK;
}

hone_status hone_infer_room_make(const hone_graph *g, hone_infer_room *room, hone_error *err) {
    int inputs, outputs;
    hone_graph_widest(g, &inputs, &outputs);
    size_t pointers = (size_t)inputs + 1;
    void **block = hone_calloc(1, 3 * pointers * sizeof(void *) + ((size_t)outputs + 1) * sizeof(hone_type));
    if (!block) return hone_fail_memory(err);
    room->in = (const hone_type **)block;
    room->constant = (const hone_tensor **)(block + pointers);
    room->content = (const hone_content **)(block + 2 * pointers);
    room->out = (hone_type *)(void *)(block + 3 * pointers);
    room->depth = 0;
    room->record = false;
    return HONE_OK;
}
