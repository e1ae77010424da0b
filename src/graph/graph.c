#include "graph/graph.h"

#include "graph/inside.h"
#include "graph/names.h"
#include "graph/op.h"

#include <stdio.h>
#include <string.h>

hone_graph *hone_graph_new(const char *name) {
    return hone_graph_new_inside(name, NULL, NULL);
}

hone_graph *hone_graph_new_inside(const char *name, hone_graph *outer, hone_node *owner) {
    hone_graph *g = hone_calloc(1, sizeof *g);
    hone_arena *arena = g ? hone_arena_new() : NULL;
    hone_names *names = arena ? hone_names_new() : NULL;
    hone_symbols *symbols = !names ? NULL : outer ? hone_symbols_retain(outer->symbols) : hone_symbols_new();
    if (!symbols) {
        hone_names_free(names);
        hone_arena_free(arena);
        hone_free(g);
        return NULL;
    }
    g->arena = arena;
    g->names = names;
    g->symbols = symbols;
    g->outer = outer;
    g->owner = owner;
    g->name = hone_arena_strdup(arena, name ? name : "graph");
    if (!g->name) hone_graph_out_of_memory(g);
    return g;
}

static void free_attrs(hone_node *n) {
    for (int i = 0; i < n->attr_count; i++) hone_attr_clear(&n->attrs[i]);
    n->attr_count = 0;
}

void hone_graph_free(hone_graph *g) {
    if (!g) return;
    for (hone_node *n = g->first; n; n = n->next) free_attrs(n);
    for (size_t i = 0; i < g->value_count; i++) {
        if (!g->values[i]) continue;
        hone_tensor_free(g->values[i]->data);
        hone_tensor_free(g->values[i]->keys);
        hone_free(g->values[i]->uses);
    }
    hone_free(g->values);
    hone_free(g->inputs);
    hone_free(g->outputs);
    hone_free(g->captures);
    hone_free(g->bindings);
    hone_free(g->opsets);
    hone_symbols_release(g->symbols);
    hone_free(g->metadata);
    hone_names_free(g->names);
    hone_arena_free(g->arena);
    hone_free(g);
}

hone_status hone_graph_check(const hone_graph *g, hone_error *err) {
    if (!g || g->failed) return hone_fail_memory(err);
    if (g->fault) return hone_fail(err, HONE_INTERNAL, "%s", g->fault);
    return HONE_OK;
}

void hone_graph_out_of_memory(hone_graph *g) {
    for (; g; g = g->outer) g->failed = true;
}

void hone_graph_fault(hone_graph *g, const char *text) {
    if (!text) hone_graph_out_of_memory(g);
    for (; g; g = g->outer)
        if (!g->fault) g->fault = text; /* the first one */
}

int64_t hone_graph_opset(const hone_graph *g, const char *domain) {
    for (size_t i = 0; i < g->opset_count; i++)
        if (strcmp(g->opsets[i].domain, domain) == 0) return g->opsets[i].version;
    return 0;
}

bool hone_graph_reserve(hone_graph *g, void *items, size_t *capacity, size_t need, size_t size) {
    if (hone_reserve(items, capacity, need, size)) return true;
    hone_graph_out_of_memory(g);
    return false;
}

static char *copy_text(hone_graph *g, const char *text) {
    char *copy = hone_arena_strdup(g->arena, text);
    if (!copy) hone_graph_out_of_memory(g);
    return copy;
}

void hone_graph_set_opset(hone_graph *g, const char *domain, int64_t version) {
    for (size_t i = 0; i < g->opset_count; i++) {
        if (strcmp(g->opsets[i].domain, domain) != 0) continue;
        g->opsets[i].version = version;
        return;
    }
    const char *copy = copy_text(g, domain);
    if (copy && hone_graph_reserve(g, &g->opsets, &g->opset_capacity, g->opset_count + 1, sizeof *g->opsets))
        g->opsets[g->opset_count++] = (hone_opset){copy, version};
}

/* --- values --- */

/* `name` if it is free, else name_1, name_2, …; in the arena. */
static const char *fresh_name(hone_graph *g, const char *name) {
    if (name && *name && !hone_names_get(g->names, name)) return copy_text(g, name);
    if (!name || !*name) name = "value";
    for (;;) {
        char *text = hone_arena_printf(g->arena, "%s_%d", name, ++g->next_name);
        if (!text) {
            hone_graph_out_of_memory(g);
            return NULL;
        }
        if (!hone_names_get(g->names, text)) return text;
    }
}

hone_value *hone_graph_make_value(hone_graph *g, const char *name, hone_storage storage) {
    const char *text = fresh_name(g, name);
    hone_value *v = text ? hone_arena_alloc(g->arena, sizeof *v) : NULL;
    if (!v ||
        !hone_graph_reserve(g, &g->values, &g->value_capacity, g->value_count + 1, sizeof(hone_value *)) ||
        !hone_names_put(g->names, text, v)) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    v->name = text;
    v->storage = storage;
    v->id = (int)g->value_count;
    v->type = (hone_type){.kind = HONE_KIND_TENSOR, .rank = HONE_RANK_ANY};
    g->values[g->value_count++] = v;
    return v;
}

static bool append(hone_graph *g, hone_value ***list, size_t *count, size_t *capacity, hone_value *v) {
    if (!v || !hone_graph_reserve(g, list, capacity, *count + 1, sizeof(hone_value *))) return false;
    (*list)[(*count)++] = v;
    return true;
}

hone_value *hone_graph_add_input(hone_graph *g, const char *name, const hone_type *type) {
    hone_value *v = hone_graph_make_value(g, name, HONE_STORAGE_INPUT);
    if (!append(g, &g->inputs, &g->input_count, &g->input_capacity, v)) return NULL;
    v->type = *type;
    return v;
}

static hone_value *add_data(hone_graph *g, const char *name, hone_tensor *data, hone_storage storage) {
    if (!data) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    hone_value *v = hone_graph_make_value(g, name, storage);
    if (!v) return NULL;
    v->data = hone_tensor_retain(data);
    v->type = (hone_type){.kind = HONE_KIND_TENSOR, .dtype = data->dtype, .rank = data->rank};
    memcpy(v->type.dims, data->dims, sizeof data->dims);
    return v;
}

hone_value *hone_graph_add_constant(hone_graph *g, const char *name, hone_tensor *data) {
    return add_data(g, name, data, HONE_STORAGE_CONSTANT);
}

hone_value *hone_graph_add_variable(hone_graph *g, const char *name, hone_tensor *data) {
    if (g->outer) hone_graph_fault(g, "a variable inside of a subgraph");
    return add_data(g, name, data, HONE_STORAGE_VARIABLE);
}

hone_value *hone_graph_add_value(hone_graph *g, const char *name) {
    return hone_graph_make_value(g, name, HONE_STORAGE_INTERMEDIATE);
}

void hone_graph_add_output(hone_graph *g, hone_value *v) {
    append(g, &g->outputs, &g->output_count, &g->output_capacity, v);
}

void hone_graph_bind(hone_graph *g, hone_value *source, hone_value *variable) {
    if (g->outer) hone_graph_fault(g, "a binding inside of a subgraph");
    if (!source || !variable ||
        !hone_graph_reserve(g, &g->bindings, &g->binding_capacity, g->binding_count + 1, sizeof *g->bindings))
        return;
    g->bindings[g->binding_count++] = (hone_binding){source, variable};
}

hone_value *hone_graph_find(const hone_graph *g, const char *name) {
    return hone_names_get(g->names, name);
}

bool hone_graph_is_output(const hone_graph *g, const hone_value *v) {
    for (size_t i = 0; i < g->output_count; i++)
        if (g->outputs[i] == v) return true;
    for (size_t i = 0; i < g->binding_count; i++)
        if (g->bindings[i].source == v) return true;
    return false;
}

void hone_graph_rename(hone_graph *g, hone_value *v, const char *name) {
    hone_value *holder = hone_graph_find(g, name);
    if (!v || holder == v) return;
    const char *text = copy_text(g, name), *other = holder && text ? fresh_name(g, name) : text;
    if (!text || !other) return;
    bool ok = hone_names_put(g->names, v->name, NULL);
    if (holder) {
        holder->name = other;
        ok = ok && hone_names_put(g->names, other, holder);
    }
    v->name = text;
    if (!ok || !hone_names_put(g->names, text, v)) hone_graph_out_of_memory(g);
}

/* --- uses --- */

void hone_value_add_use(hone_graph *g, hone_value *v, hone_node *n, int index) {
    if (!v || !hone_graph_reserve(g, &v->uses, &v->use_capacity, v->use_count + 1, sizeof *v->uses)) return;
    v->uses[v->use_count++] = (hone_use){n, index};
}

void hone_value_remove_use(hone_value *v, const hone_node *n, int index) {
    if (!v) return;
    for (size_t i = 0; i < v->use_count; i++) {
        if (v->uses[i].node != n || v->uses[i].index != index) continue;
        memmove(&v->uses[i], &v->uses[i + 1], (v->use_count - i - 1) * sizeof *v->uses);
        v->use_count--;
        return;
    }
}

/* --- nodes --- */

static void link_node(hone_graph *g, hone_node *n, hone_node *before) {
    n->next = before;
    n->prev = before ? before->prev : g->last;
    if (n->prev)
        n->prev->next = n;
    else
        g->first = n;
    if (before)
        before->prev = n;
    else
        g->last = n;
    g->node_count++;
}

static void unlink_node(hone_graph *g, hone_node *n) {
    if (n->prev)
        n->prev->next = n->next;
    else
        g->first = n->next;
    if (n->next)
        n->next->prev = n->prev;
    else
        g->last = n->prev;
    if (g->insert_before == n) g->insert_before = n->next;
    g->node_count--;
}

/* What nodes that are made now stand for, also inside of it. */
static const hone_node *stood_for(const hone_graph *g) {
    while (g && !g->stands_for) g = g->outer;
    return g ? g->stands_for : NULL;
}

static const hone_op *original(const hone_node *n) {
    return n->source ? n->source : n->op;
}

const char *hone_node_op_name(const hone_node *n) {
    return hone_op_is_private(n->op) ? original(n)->name : n->op->name;
}

hone_node *hone_graph_add_node(hone_graph *g, const hone_op *op, const char *name, int input_count,
                               hone_value *const *inputs, int output_count) {
    while (input_count > 0 && !inputs[input_count - 1]) input_count--;
    if (!op) {
        hone_graph_fault(g, "no operator is given for a node");
        return NULL;
    }
    hone_node *n = hone_arena_alloc(g->arena, sizeof *n);
    if (!n) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    n->op = op;
    const hone_node *old = stood_for(g);
    n->source = old ? original(old) : NULL;
    if (name && *name)
        n->name = copy_text(g, name);
    else if (old)
        n->name = copy_text(g, old->name);
    else
        n->name = hone_arena_printf(g->arena, "%s_%d", op->name, ++g->next_name);
    n->inputs = hone_arena_array(g->arena, (size_t)input_count + 1, sizeof *n->inputs);
    n->outputs = hone_arena_array(g->arena, (size_t)output_count + 1, sizeof *n->outputs);
    if (!n->name || !n->inputs || !n->outputs) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    n->input_count = n->input_capacity = n->capture_first = input_count;
    n->output_count = output_count;
    for (int i = 0; i < input_count; i++) {
        n->inputs[i] = inputs[i];
        hone_value_add_use(g, inputs[i], n, i);
    }
    for (int i = 0; i < output_count; i++) {
        n->outputs[i] = hone_graph_add_value(g, n->name);
        if (!n->outputs[i]) return NULL;
        n->outputs[i]->producer = n;
        n->outputs[i]->output_index = i;
    }
    link_node(g, n, g->insert_before);
    return n;
}

hone_value *hone_graph_emit(hone_graph *g, const char *domain, const char *op, hone_value *const *inputs,
                            int input_count) {
    const hone_op *found = hone_op_find(domain, op);
    if (!found) {
        hone_graph *root = g; /* whose arena lives as long as those who remember */
        while (root->outer) root = root->outer;
        hone_graph_fault(
            g, hone_arena_printf(root->arena, "no operator %s%s%s", domain, *domain ? "." : "", op));
    }
    hone_node *n = found ? hone_graph_add_node(g, found, NULL, input_count, inputs, 1) : NULL;
    return n ? n->outputs[0] : NULL;
}

hone_value *hone_node_ask_output(hone_graph *g, hone_node *n, int index) {
    if (index < n->output_count && n->outputs[index]) return n->outputs[index];
    int count = index < n->output_count ? n->output_count : index + 1;
    hone_value **outputs = hone_arena_array(g->arena, (size_t)count, sizeof *outputs);
    hone_value *v = outputs ? hone_graph_add_value(g, n->name) : NULL;
    if (!v) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    if (n->output_count) memcpy(outputs, n->outputs, (size_t)n->output_count * sizeof *outputs);
    v->producer = n;
    v->output_index = index;
    outputs[index] = v;
    n->outputs = outputs;
    n->output_count = count;
    return v;
}

bool hone_node_reserve_inputs(hone_graph *g, hone_node *n, int count) {
    if (count <= n->input_capacity) return true;
    int capacity = count > 2 * n->input_capacity ? count : 2 * n->input_capacity;
    hone_value **inputs = hone_arena_array(g->arena, (size_t)capacity, sizeof *inputs);
    if (!inputs) {
        hone_graph_out_of_memory(g);
        return false;
    }
    if (n->input_count) memcpy(inputs, n->inputs, (size_t)n->input_count * sizeof *inputs);
    n->inputs = inputs;
    n->input_capacity = capacity;
    return true;
}

void hone_node_set_input(hone_graph *g, hone_node *n, int index, hone_value *v) {
    if (!n || !hone_node_reserve_inputs(g, n, index + 1)) return;
    bool captures = n->capture_first < n->input_count;
    if (captures && index >= n->input_count) {
        hone_graph_fault(g, "an input behind the captured ones");
        return;
    }
    while (n->input_count <= index) n->inputs[n->input_count++] = NULL;
    hone_value_remove_use(n->inputs[index], n, index);
    n->inputs[index] = v;
    hone_value_add_use(g, v, n, index);
    while (n->input_count > 0 && !n->inputs[n->input_count - 1]) n->input_count--;
    if (!captures || n->capture_first > n->input_count) n->capture_first = n->input_count;
}

void hone_graph_replace(hone_graph *g, hone_value *old, hone_value *v) {
    if (!old || !v || old == v) return;
    if (v->type.dtype == HONE_UNDEFINED) v->type = old->type;
    while (old->use_count) {
        hone_use use = old->uses[old->use_count - 1];
        size_t before = old->use_count;
        hone_node_set_input(g, use.node, use.index, v);
        if (old->use_count == before) return; /* out of memory: remembered */
    }
    bool named = false;
    for (size_t i = 0; i < g->output_count; i++) {
        if (g->outputs[i] != old) continue;
        g->outputs[i] = v;
        named = true;
    }
    for (size_t i = 0; i < g->binding_count; i++)
        if (g->bindings[i].source == old) g->bindings[i].source = v;
    if (named && v->storage == HONE_STORAGE_INTERMEDIATE) {
        const char *name = old->name;
        hone_graph_rename(g, v, name);
    }
}

void hone_graph_drop_value(hone_graph *g, hone_value *v) {
    if (!hone_names_put(g->names, v->name, NULL)) hone_graph_out_of_memory(g);
    hone_tensor_free(v->data);
    hone_tensor_free(v->keys);
    hone_free(v->uses);
    v->data = v->keys = NULL;
    v->uses = NULL;
    v->use_count = v->use_capacity = 0;
    g->values[v->id] = NULL;
}

void hone_graph_drop_unused(hone_graph *g, hone_value *v) {
    if (v && v->storage == HONE_STORAGE_CONSTANT && v->use_count == 0 && !hone_graph_is_output(g, v))
        hone_graph_drop_value(g, v);
}

void hone_graph_remove_input(hone_graph *g, hone_value *v) {
    size_t kept = 0;
    for (size_t i = 0; i < g->input_count; i++)
        if (g->inputs[i] != v) g->inputs[kept++] = g->inputs[i];
    g->input_count = kept;
    hone_graph_drop_value(g, v);
}

void hone_graph_remove_node(hone_graph *g, hone_node *n) {
    for (int i = 0; i < n->input_count; i++) hone_value_remove_use(n->inputs[i], n, i);
    for (int i = 0; i < n->output_count; i++)
        if (n->outputs[i]) hone_graph_drop_value(g, n->outputs[i]);
    free_attrs(n);
    unlink_node(g, n);
}

void hone_graph_widest(const hone_graph *g, int *inputs, int *outputs) {
    *inputs = *outputs = 0;
    for (const hone_node *n = g->first; n; n = n->next) {
        if (n->input_count > *inputs) *inputs = n->input_count;
        if (n->output_count > *outputs) *outputs = n->output_count;
    }
}

static bool gives_output(const hone_graph *g, const hone_node *n) {
    for (int i = 0; i < n->output_count; i++)
        if (n->outputs[i] && hone_graph_is_output(g, n->outputs[i])) return true;
    return false;
}

enum { DEAD, NEEDED, DONE };

/* Passes on that a node is needed; true if that is news to one of its makers. */
static bool need_makers(hone_node *n) {
    bool news = false;
    if (n->mark != NEEDED) return false;
    n->mark = DONE;
    for (int i = 0; i < n->input_count; i++) {
        hone_node *maker = n->inputs[i] ? n->inputs[i]->producer : NULL;
        if (!maker || maker->mark != DEAD) continue;
        maker->mark = NEEDED;
        news = true;
    }
    return news;
}

/* Backwards and forwards, so that a graph in whatever order takes few sweeps, and a sorted one a single one. */
static void mark_needed(hone_graph *g) {
    bool news = true;
    for (hone_node *n = g->first; n; n = n->next) n->mark = gives_output(g, n) ? NEEDED : DEAD;
    while (news) {
        news = false;
        for (hone_node *n = g->last; n; n = n->prev) need_makers(n);
        for (hone_node *n = g->first; n; n = n->next) news |= need_makers(n);
    }
}

static bool is_bound(const hone_graph *g, const hone_value *v) {
    for (size_t i = 0; i < g->binding_count; i++)
        if (g->bindings[i].variable == v) return true;
    return false;
}

/* Captured values that the subgraph does not use. */
static void drop_unused_captures(hone_graph *g) {
    for (size_t k = 0; k < g->capture_count; k++) {
        hone_value *v = g->captures[k];
        if (!v || v->use_count || hone_graph_is_output(g, v)) continue;
        g->captures[k] = NULL;
        hone_graph_drop_value(g, v);
    }
}

void hone_graph_prune(hone_graph *g) {
    for (hone_node *n = g->first; n; n = n->next) {
        hone_graph *sub;
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++) hone_graph_prune(sub);
        hone_node_drop_captures(g, n);
    }
    mark_needed(g);
    for (hone_node *n = g->first; n; n = n->next)
        for (int i = 0; n->mark == DEAD && i < n->input_count; i++) {
            hone_value_remove_use(n->inputs[i], n, i);
            n->inputs[i] = NULL;
        }
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (n->mark == DEAD) hone_graph_remove_node(g, n);
    }
    for (size_t i = 0; i < g->value_count; i++) {
        hone_value *v = g->values[i];
        if (!v || v->use_count || hone_graph_is_output(g, v)) continue;
        if (v->storage == HONE_STORAGE_CONSTANT || (v->storage == HONE_STORAGE_VARIABLE && !is_bound(g, v)))
            hone_graph_drop_value(g, v);
    }
    drop_unused_captures(g);
}

/* The next maker of n that is not in place yet; n->mark counts the inputs looked at. */
static hone_node *next_maker(hone_node *n) {
    while (n->mark <= n->input_count) {
        const hone_value *v = n->inputs[n->mark++ - 1];
        if (v && v->producer && v->producer->mark >= 0) return v->producer;
    }
    return NULL;
}

static hone_status sort_subgraphs(hone_graph *g, hone_error *err) {
    for (hone_node *n = g->first; n; n = n->next) {
        hone_graph *sub;
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++) HONE_TRY(hone_graph_sort(sub, err));
    }
    return HONE_OK;
}

/* Depth first along the list: makers that are missing come right before the first node that needs them, all
 * else stays where it is. mark: 0 not seen, > 0 on the stack, -1 in place. */
hone_status hone_graph_sort(hone_graph *g, hone_error *err) {
    HONE_TRY(sort_subgraphs(g, err));
    hone_node **stack = hone_alloc((2 * g->node_count + 1) * sizeof(hone_node *));
    if (!stack) return hone_fail_memory(err);
    hone_node **order = stack + g->node_count;
    size_t depth = 0, count = 0;
    for (hone_node *n = g->first; n; n = n->next) n->mark = 0;
    for (hone_node *root = g->first; root; root = root->next) {
        if (root->mark == 0) stack[depth++] = root;
        root->mark = root->mark == 0 ? 1 : root->mark;
        while (depth) {
            hone_node *n = stack[depth - 1], *maker = next_maker(n);
            if (!maker) {
                n->mark = -1;
                order[count++] = n;
                depth--;
            } else if (maker->mark == 0) {
                maker->mark = 1;
                stack[depth++] = maker;
            } else {
                hone_free(stack);
                return hone_fail_node(err, HONE_CORRUPT, maker->name, maker->op->name,
                                      "the graph has a cycle through this node");
            }
        }
    }
    g->first = g->last = NULL;
    g->node_count = 0;
    for (size_t i = 0; i < count; i++) link_node(g, order[i], NULL);
    hone_free(stack);
    return HONE_OK;
}
