#include "graph/infer.h"
#include "graph/inside.h"

#include <string.h>

static bool append_capture(hone_graph *sub) {
    size_t count = sub->capture_count + 1;
    if (!hone_graph_reserve(sub, &sub->captures, &sub->capture_capacity, count, sizeof(hone_value *)))
        return false;
    sub->captures[sub->capture_count++] = NULL;
    return true;
}

int hone_node_capture(hone_graph *g, hone_node *n, hone_value *v) {
    if (!n || !v) return -1;
    for (int i = n->capture_first; i < n->input_count; i++)
        if (n->inputs[i] == v) return i - n->capture_first;
    if (!hone_node_reserve_inputs(g, n, n->input_count + 1)) return -1;
    hone_graph *sub;
    for (int i = 0; (sub = hone_node_subgraph(n, i)); i++)
        if (!append_capture(sub)) return -1;
    int index = n->input_count++;
    n->inputs[index] = v;
    hone_value_add_use(g, v, n, index);
    return index - n->capture_first;
}

hone_value *hone_graph_add_capture(hone_graph *sub, int k, const char *name) {
    hone_value *v = hone_graph_make_value(sub, name, HONE_STORAGE_CAPTURED);
    if (!v) return NULL;
    if (sub->owner) v->type = sub->owner->inputs[sub->owner->capture_first + k]->type;
    return sub->captures[k] = v;
}

static bool is_in(const hone_graph *g, const hone_value *v) {
    return (size_t)v->id < g->value_count && g->values[v->id] == v;
}

hone_value *hone_graph_capture(hone_graph *sub, hone_value *v) {
    if (!sub || !v) return NULL;
    if (is_in(sub, v)) return v;
    if (!sub->outer) {
        hone_graph_fault(sub, "a value of no graph around is captured");
        return NULL;
    }
    hone_value *outer = hone_graph_capture(sub->outer, v);
    int k = hone_node_capture(sub->outer, sub->owner, outer);
    if (k < 0) return NULL;
    return sub->captures[k] ? sub->captures[k] : hone_graph_add_capture(sub, k, outer->name);
}

static bool is_used(const hone_node *n, int k) {
    const hone_graph *sub;
    for (int i = 0; (sub = hone_node_subgraph(n, i)); i++)
        if (sub->captures[k]) return true;
    return false;
}

void hone_node_drop_captures(hone_graph *g, hone_node *n) {
    int count = n->input_count - n->capture_first, kept = 0;
    hone_graph *sub;
    for (int k = 0; k < count; k++) {
        int from = n->capture_first + k, to = n->capture_first + kept;
        hone_value *v = n->inputs[from];
        bool used = is_used(n, k);
        if (used && from == to) kept++;
        if (used && from == to) continue;
        hone_value_remove_use(v, n, from);
        if (!used) continue;
        n->inputs[to] = v;
        hone_value_add_use(g, v, n, to);
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++) sub->captures[kept] = sub->captures[k];
        kept++;
    }
    for (int i = 0; (sub = hone_node_subgraph(n, i)); i++) sub->capture_count = (size_t)kept;
    n->input_count = n->capture_first + kept;
    while (n->input_count > 0 && !n->inputs[n->input_count - 1]) n->input_count--;
    if (kept == 0) n->capture_first = n->input_count;
}

/* --- inference --- */

/* What goes into a subgraph: its declared types only complete the given ones, as shapes may change from one run of it
 * to the next. */
static hone_status enter_subgraph(const hone_infer *ctx, const hone_graph *sub, const hone_type *in,
                                  hone_type *types, const hone_tensor **known, const hone_content **content,
                                  hone_error *err) {
    for (size_t i = 0; i < sub->input_count; i++) {
        const hone_value *v = sub->inputs[i];
        HONE_TRY(hone_value_check_declared(v, &in[i], err));
        types[v->id] = in[i].dtype == HONE_UNDEFINED ? v->type : in[i];
    }
    for (size_t k = 0; k < sub->capture_count; k++) {
        const hone_value *v = sub->captures[k];
        int outer = ctx->node->capture_first + (int)k;
        if (!v) continue;
        types[v->id] = *ctx->in[outer];
        known[v->id] = ctx->constant[outer];
        content[v->id] = ctx->content ? ctx->content[outer] : NULL;
    }
    return HONE_OK;
}

static hone_status leave_subgraph(const hone_infer *ctx, hone_graph *sub, hone_type *types, hone_type *out,
                                  hone_error *err) {
    for (size_t i = 0; i < sub->value_count; i++) {
        hone_value *v = sub->values[i];
        if (!v) continue;
        HONE_TRY(hone_value_check_declared(v, &types[i], err));
        if (types[i].dtype == HONE_UNDEFINED) types[i].dtype = v->type.dtype;
        if (ctx->record) v->type = types[i];
    }
    for (size_t i = 0; i < sub->output_count; i++) {
        const hone_type *t = &types[sub->outputs[i]->id];
        out[i] = ctx->record && sub->outer ? hone_type_import(sub->outer, sub, t) : *t;
    }
    return hone_graph_check(sub, err);
}

hone_status hone_infer_subgraph(const hone_infer *ctx, hone_graph *sub, const hone_type *in, hone_type *out,
                                hone_error *err) {
    hone_type *types = hone_calloc(sub->value_count + 1, sizeof *types);
    const hone_tensor **known = hone_calloc(sub->value_count + 1, sizeof *known);
    const hone_content **content = hone_calloc(sub->value_count + 1, sizeof *content);
    hone_status status = types && known && content ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK) status = enter_subgraph(ctx, sub, in, types, known, content, err);
    if (status == HONE_OK)
        status = hone_graph_infer_inside(
            sub, types,
            &(hone_infer_walk){
                .known = known, .content = content, .depth = ctx->depth + 1, .record = ctx->record},
            err);
    if (status == HONE_OK) status = leave_subgraph(ctx, sub, types, out, err);
    hone_free(content);
    hone_free(known);
    hone_free(types);
    return status;
}
