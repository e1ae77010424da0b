#include "graph/infer.h"

#include "graph/evaluate.h"
#include "graph/inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

hone_status hone_infer_fail(const hone_infer *ctx, hone_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    hone_vfail_node(err, HONE_INVALID_ARGUMENT, ctx->node->name, ctx->node->op->name, format, args);
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

hone_status hone_infer_same(hone_infer *ctx, hone_error *err) {
    (void)err;
    ctx->out[0].rank = ctx->in[0]->rank;
    memcpy(ctx->out[0].dims, ctx->in[0]->dims, sizeof ctx->out[0].dims);
    return HONE_OK;
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
            return hone_fail_node(err, HONE_UNSUPPORTED, ctx->node->name, op->name,
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
    for (int i = 0; i < n->output_count; i++) out[i].layout = n->layout;
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

/* --- all nodes --- */

typedef struct inference {
    const hone_graph *g;
    hone_type *types;                /* by value id */
    const hone_tensor *const *known; /* by value id, or NULL */
    const hone_content **content;    /* by value id; NULL: nothing is known */
    hone_arena *arena;               /* of the contents */
    hone_infer_room room;
} inference;

static const hone_tensor *tensor_of(const inference *w, const hone_value *v) {
    if (!v) return NULL;
    if (v->storage == HONE_STORAGE_CONSTANT) return hone_value_constant(v);
    return w->known ? w->known[v->id] : NULL;
}

static hone_status keep(inference *w, const hone_value *v, const hone_content *c, hone_error *err) {
    hone_content *copy = hone_arena_alloc(w->arena, hone_content_bytes(c->count));
    if (!copy) return hone_fail_memory(err);
    memcpy(copy, c, hone_content_bytes(c->count));
    w->content[v->id] = copy;
    return HONE_OK;
}

/* Looks at a node's inputs: their contents as far as they are known. True if something is that no constant says. */
static bool gather_contents(inference *w, const hone_node *n) {
    bool any = false;
    for (int i = 0; i < n->input_count; i++) {
        const hone_value *v = n->inputs[i];
        w->room.content[i] = v ? w->content[v->id] : NULL;
        any |= w->room.content[i] != NULL;
    }
    return any;
}

/* What is known of output 0, which has been inferred. */
static hone_status carry(inference *w, const hone_node *n, bool any, hone_error *err) {
    const hone_type *y = &w->room.out[0];
    const hone_op *op = n->op;
    if (n->output_count < 1 || !n->outputs[0] || (y->dtype != HONE_INT64 && y->dtype != HONE_INT32))
        return HONE_OK;
    hone_content c;
    hone_infer ctx = hone_infer_context(n, &w->room);
    if (op->content) return op->content(&ctx, &c) ? keep(w, n->outputs[0], &c, err) : HONE_OK;
    if (!any || !(op->moves || op->quantize == HONE_QUANTIZE_BITS)) return HONE_OK;
    bool moved = false;
    HONE_TRY(hone_content_move(&ctx, &c, &moved, err));
    return moved ? keep(w, n->outputs[0], &c, err) : HONE_OK;
}

static hone_status infer_all(inference *w, hone_error *err) {
    for (const hone_node *n = w->g->first; n; n = n->next) {
        for (int i = 0; i < n->input_count; i++) {
            const hone_value *v = n->inputs[i];
            w->room.in[i] = v ? &w->types[v->id] : NULL;
            w->room.constant[i] = tensor_of(w, v);
        }
        bool any = gather_contents(w, n);
        HONE_TRY(hone_node_infer(n, &w->room, err));
        HONE_TRY(carry(w, n, any, err));
        for (int i = 0; i < n->output_count; i++)
            if (n->outputs[i]) w->types[n->outputs[i]->id] = w->room.out[i];
    }
    return HONE_OK;
}

hone_status hone_graph_infer_inside(const hone_graph *g, hone_type *types, const hone_infer_walk *w,
                                    hone_error *err) {
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i] && g->values[i]->data) types[i] = hone_type_of(g->values[i]->data);
    inference all = {.g = g, .types = types, .known = w->known};
    all.content = hone_calloc(g->value_count + 1, sizeof *all.content);
    all.arena = hone_arena_new();
    hone_status status = all.content && all.arena ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_infer_room_make(g, &all.room, err);
    all.room.depth = w->depth;
    all.room.record = w->record;
    if (status == HONE_OK && w->content)
        memcpy(all.content, w->content, g->value_count * sizeof *all.content);
    if (status == HONE_OK) status = infer_all(&all, err);
    hone_free(all.room.in);
    hone_free(all.content);
    hone_arena_free(all.arena);
    return status;
}

hone_status hone_graph_infer_types(const hone_graph *g, hone_type *types, const hone_tensor *const *known,
                                   hone_error *err) {
    return hone_graph_infer_inside(g, types, &(hone_infer_walk){.known = known}, err);
}

hone_status hone_value_check_declared(const hone_value *v, const hone_type *found, hone_error *err) {
    const hone_type *declared = &v->type;
    bool known = declared->dtype != HONE_UNDEFINED && found->dtype != HONE_UNDEFINED;
    if (!known || (declared->kind == found->kind && declared->dtype == found->dtype)) return HONE_OK;
    char ta[96], tb[96];
    return hone_fail_node(err, HONE_INVALID_ARGUMENT, v->name, NULL, "is declared %s but computed as %s",
                          hone_type_format(NULL, declared, ta, sizeof ta),
                          hone_type_format(NULL, found, tb, sizeof tb));
}

/* A declared type may say more than what was found (a symbol's name), never something else. */
static hone_status merge(const hone_value *v, hone_type *found, hone_error *err) {
    const hone_type *declared = &v->type;
    HONE_TRY(hone_value_check_declared(v, found, err));
    if (found->dtype == HONE_UNDEFINED) found->dtype = declared->dtype;
    if (declared->kind != HONE_KIND_TENSOR || found->kind != HONE_KIND_TENSOR) {
        if (found->kind == declared->kind && !found->element) found->element = declared->element;
        return HONE_OK;
    }
    if (declared->rank < 0) return HONE_OK;
    if (found->rank < 0) {
        hone_dtype dtype = found->dtype;
        *found = *declared;
        found->dtype = dtype;
        return HONE_OK;
    }
    bool fits = found->rank == declared->rank;
    for (int i = 0; fits && i < found->rank; i++) {
        int64_t d = declared->dims[i];
        if (d >= 0 && found->dims[i] >= 0 && d != found->dims[i]) fits = false;
        if (found->dims[i] == HONE_DIM_ANY) found->dims[i] = d;
    }
    if (fits) return HONE_OK;
    char ta[96], tb[96];
    return hone_fail_node(err, HONE_INVALID_ARGUMENT, v->name, NULL, "is declared %s but computed as %s",
                          hone_type_format(NULL, declared, ta, sizeof ta),
                          hone_type_format(NULL, found, tb, sizeof tb));
}

hone_status hone_graph_infer(hone_graph *g, hone_error *err) {
    hone_type *types = hone_calloc(g->value_count + 1, sizeof *types);
    if (!types) return hone_fail_memory(err);
    for (size_t i = 0; i < g->input_count; i++) types[g->inputs[i]->id] = g->inputs[i]->type;
    for (size_t k = 0; k < g->capture_count; k++)
        if (g->captures[k]) types[g->captures[k]->id] = g->captures[k]->type;
    hone_status status = hone_graph_infer_inside(g, types, &(hone_infer_walk){.record = true}, err);
    for (size_t i = 0; i < g->value_count && status == HONE_OK; i++) {
        hone_value *v = g->values[i];
        if (!v) continue;
        if (v->storage == HONE_STORAGE_INTERMEDIATE) status = merge(v, &types[i], err);
        if (status == HONE_OK) v->type = types[i];
    }
    hone_free(types);
    return status;
}

hone_status hone_graph_infer_node(hone_graph *g, hone_node *n, hone_error *err) {
    hone_infer_room room;
    HONE_TRY(hone_infer_room_make(g, &room, err));
    for (int i = 0; i < n->input_count; i++) {
        const hone_value *v = n->inputs[i];
        room.in[i] = v ? &v->type : NULL;
        room.constant[i] = v && v->storage == HONE_STORAGE_CONSTANT ? hone_value_constant(v) : NULL;
    }
    hone_status status = hone_node_infer(n, &room, err);
    for (int i = 0; i < n->output_count && status == HONE_OK; i++) {
        hone_value *v = n->outputs[i];
        if (v) status = merge(v, &room.out[i], err);
        if (v && status == HONE_OK) v->type = room.out[i];
    }
    hone_free(room.in);
    return status;
}
