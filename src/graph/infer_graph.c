/* Inference of whole graphs: node by node, with what is known of the contents of small integer tensors. */
#include "graph/evaluate.h"
#include "graph/infer.h"
#include "graph/inside.h"

#include <string.h>

typedef struct inference {
    const hone_graph *g;
    hone_type *types;                /* by value id */
    const hone_tensor *const *known; /* by value id, or NULL */
    const hone_content **content;    /* by value id; NULL: nothing is known */
    hone_arena *arena;               /* of the contents */
    hone_infer_room room;
    hone_graph *naming; /* g, where unknown dimensions are named; else NULL */
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

/* Dimensions of a node's outputs that nobody knows get symbols: those that they had before, or fresh ones. */
static void name_dims(hone_graph *g, const hone_node *n, hone_type *out) {
    for (int i = 0; i < n->output_count; i++) {
        const hone_value *v = n->outputs[i];
        if (!v || out[i].kind != HONE_KIND_TENSOR) continue;
        for (int d = 0; d < out[i].rank; d++) {
            if (out[i].dims[d] != HONE_DIM_ANY) continue;
            bool had = v->type.rank == out[i].rank && hone_graph_is_fresh(g, v->type.dims[d]);
            out[i].dims[d] = had ? v->type.dims[d] : hone_graph_fresh_symbol(g);
        }
    }
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
        if (w->naming) name_dims(w->naming, n, w->room.out);
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
    all.naming = w->naming;
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
    hone_status status = hone_graph_infer_inside(
        g, types, &(hone_infer_walk){.record = true, .naming = g->names_dims ? g : NULL}, err);
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
