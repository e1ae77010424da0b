/* Where values lie: roots, views, results computed in the place of an operand or of what they become part of. */
#include "runtime/plan_inside.h"

#include <string.h>

typedef hone_plan_builder builder;
typedef hone_root root;

/* --- roots --- */

int hone_plan_root(builder *b, int r, size_t *offset) {
    size_t sum = 0;
    int top = r;
    while (b->parent[top] != top) {
        sum += b->offset[top];
        top = b->parent[top];
    }
    if (offset) *offset = sum;
    while (b->parent[r] != top && r != top) { /* shorten the path */
        int next = b->parent[r];
        size_t step = b->offset[r];
        b->parent[r] = top;
        b->offset[r] = sum;
        sum -= step;
        r = next;
    }
    return top;
}

root *hone_plan_root_of(builder *b, const hone_value *v) {
    return &b->roots[hone_plan_root(b, v->id, NULL)];
}

static bool is_own_buffer(const builder *b, const hone_value *v) {
    return b->parent[v->id] == v->id && b->roots[v->id].buffer;
}

/* Root `part`, a buffer of its own, becomes part of another one. */
static void merge(builder *b, int part, int whole, size_t offset) {
    root *p = &b->roots[part], *w = &b->roots[whole];
    b->parent[part] = whole;
    b->offset[part] = offset;
    p->buffer = false;
    if (p->first < w->first) w->first = p->first;
    if (p->last > w->last) w->last = p->last;
}

static hone_status make_root(builder *b, int i) {
    const hone_value *v = b->graph->values[i];
    root *r = &b->roots[i];
    b->parent[i] = i;
    r->first = INT32_MAX;
    r->last = -1;
    if (!v) return HONE_OK;
    if (b->input_of[i] >= 0)
        r->location = (hone_location){.place = HONE_PLACE_INPUT, .index = b->input_of[i]};
    else if (v->storage == HONE_STORAGE_VARIABLE)
        r->location = (hone_location){.place = HONE_PLACE_VARIABLE, .index = i};
    else if (v->storage == HONE_STORAGE_CONSTANT)
        r->location = (hone_location){.place = HONE_PLACE_FIXED, .fixed = v->data->data};
    else if (b->known[i])
        r->location = (hone_location){.place = HONE_PLACE_FIXED, .fixed = b->known[i]->data};
    else if (v->producer && v->producer->mark >= b->region->start && v->producer->mark < b->end) {
        r->buffer = true;
        if (!hone_type_is_concrete(&b->types[i])) return HONE_OK;
        r->bytes = hone_type_bytes(&b->types[i]);
        if (r->bytes == SIZE_MAX)
            return hone_fail_node(b->err, HONE_INVALID_ARGUMENT, v->name, NULL,
                                  "is too large for any memory");
    }
    return HONE_OK;
}

/* --- views --- */

static hone_status link_view(builder *b, const hone_node *n, const hone_value *y, const hone_view *v) {
    const hone_value *x = n->inputs[v->input];
    size_t bytes = hone_type_bytes(&b->types[x->id]);
    bool whole = n->op->view == hone_view_whole;
    if (v->offset > bytes || b->roots[y->id].bytes > bytes - v->offset ||
        (whole && b->roots[y->id].bytes != bytes))
        return hone_fail_node(b->err, HONE_INVALID_ARGUMENT, n->name, hone_node_op_name(n),
                              "its result has not as many elements as its input");
    size_t offset;
    int top = hone_plan_root(b, x->id, &offset);
    b->parent[y->id] = top;
    b->offset[y->id] = offset + v->offset;
    b->roots[y->id].buffer = false;
    return HONE_OK;
}

/* Are all outputs of the node views? Then they are linked. */
static hone_status try_views(builder *b, const hone_node *n, bool *linked) {
    *linked = false;
    if (!n->op->view) return HONE_OK;
    hone_plan_fill_room(b, n, true);
    hone_infer ctx = hone_infer_context(n, &b->room);
    hone_view v;
    for (int o = 0; o < n->output_count; o++) {
        if (!n->outputs[o]) continue;
        if (!hone_type_is_concrete(&b->types[n->outputs[o]->id]) || !n->op->view(&ctx, o, &v)) return HONE_OK;
    }
    for (int o = 0; o < n->output_count; o++)
        if (n->outputs[o] && n->op->view(&ctx, o, &v)) HONE_TRY(link_view(b, n, n->outputs[o], &v));
    *linked = true;
    return HONE_OK;
}

/* Has planning computed all that the node gives? */
static bool is_evaluated(const builder *b, const hone_node *n) {
    for (int o = 0; o < n->output_count; o++)
        if (n->outputs[o] && !b->known[n->outputs[o]->id]) return false;
    return true;
}

/* Numbers the nodes that are steps. */
static hone_status find_steps(builder *b) {
    int count = 0;
    for (int k = b->region->start; k < b->end; k++) {
        const hone_node *n = b->body->node[k];
        bool views = false, evaluated = is_evaluated(b, n);
        if (!evaluated) HONE_TRY(try_views(b, n, &views));
        b->step_of[k - b->region->start] = evaluated || views ? -1 : count++;
    }
    b->plan->step_count = count;
    return HONE_OK;
}

static int step_of(const builder *b, const hone_node *n) {
    return b->step_of[n->mark - b->region->start];
}

/* --- lifetimes --- */

static void touch(root *r, int step) {
    if (step < r->first) r->first = step;
    if (step > r->last) r->last = step;
}

static void find_lifetimes(builder *b) {
    int end = b->plan->step_count;
    for (int k = b->region->start; k < b->end; k++) {
        const hone_node *n = b->body->node[k];
        int step = step_of(b, n);
        for (int i = 0; i < n->input_count && step >= 0; i++)
            if (n->inputs[i]) touch(hone_plan_root_of(b, n->inputs[i]), step);
        for (int o = 0; o < n->output_count; o++) {
            if (!n->outputs[o]) continue;
            if (step >= 0) touch(hone_plan_root_of(b, n->outputs[o]), step);
            if (b->body->last_reader[n->outputs[o]->id] >= b->end)
                touch(hone_plan_root_of(b, n->outputs[o]), end);
        }
    }
    for (size_t i = 0; i < b->graph->output_count; i++)
        touch(hone_plan_root_of(b, b->graph->outputs[i]), end);
    for (size_t i = 0; i < b->graph->binding_count; i++)
        touch(hone_plan_root_of(b, b->graph->bindings[i].source), end);
}

/* --- operands that are computed in their place of the result --- */

static void join_operands(builder *b, const hone_node *n) {
    const hone_value *y = n->outputs[0];
    if (!y || !is_own_buffer(b, y)) return;
    hone_plan_fill_room(b, n, true);
    hone_infer ctx = hone_infer_context(n, &b->room);
    for (int i = 0; i < n->input_count; i++) {
        const hone_value *x = n->inputs[i];
        size_t offset;
        if (x && x != y && is_own_buffer(b, x) && b->roots[x->id].bytes && n->op->join(&ctx, i, &offset))
            merge(b, x->id, y->id, offset);
    }
}

/* --- results in the place of an operand --- */

static bool may_overwrite(const hone_node *n, int output, int input) {
    return (n->op->overwrite >> (input < 31 ? input : 31) & 1) && (n->output_count == 1 || output == input);
}

static bool same_type(const hone_type *s, const hone_type *t) {
    if (s->dtype != t->dtype || s->rank != t->rank || s->rank < 0) return false;
    return memcmp(s->dims, t->dims, (size_t)s->rank * sizeof *s->dims) == 0;
}

/* Does another operand of n read parts of what input i is, elsewhere than element by element along with it? */
static bool is_read_shifted(builder *b, const hone_node *n, int i) {
    size_t offset, other;
    int top = hone_plan_root(b, n->inputs[i]->id, &offset);
    for (int k = 0; k < n->input_count; k++) {
        if (k == i || !n->inputs[k] || hone_plan_root(b, n->inputs[k]->id, &other) != top) continue;
        if (other != offset || b->roots[n->inputs[k]->id].bytes != b->roots[n->inputs[i]->id].bytes)
            return true;
    }
    return false;
}

/* An output takes over the bytes of an input that ends here. */
static void place_in_place(builder *b, const hone_node *n) {
    for (int o = 0; o < n->output_count; o++) {
        const hone_value *y = n->outputs[o];
        if (!y || !is_own_buffer(b, y)) continue;
        for (int i = 0; i < n->input_count; i++) {
            const hone_value *x = n->inputs[i];
            if (!x || !may_overwrite(n, o, i) || !same_type(&b->types[x->id], &b->types[y->id])) continue;
            size_t offset;
            int from = hone_plan_root(b, x->id, &offset);
            if (!b->roots[from].buffer || b->roots[from].last != step_of(b, n) || from == y->id) continue;
            if (is_read_shifted(b, n, i)) continue;
            merge(b, y->id, from, offset);
            break;
        }
    }
}

/* A bound output is written straight into its variable when nobody reads the variable's old content after it. */
static void place_binding(builder *b, const hone_binding *binding) {
    const hone_value *v = binding->source, *variable = binding->variable;
    const hone_node *n = v->producer;
    if (!n || n->mark < b->region->start || n->mark >= b->end || step_of(b, n) < 0 || !is_own_buffer(b, v))
        return;
    int old = variable->id;
    if (b->roots[old].last > step_of(b, n)) return;
    for (int i = 0; i < n->input_count; i++) {
        if (!n->inputs[i] || hone_plan_root(b, n->inputs[i]->id, NULL) != old) continue;
        if (!may_overwrite(n, v->output_index, i) || n->inputs[i] != variable) return;
    }
    b->roots[v->id].buffer = false;
    b->roots[v->id].location = (hone_location){.place = HONE_PLACE_VARIABLE, .index = old};
}

hone_status hone_plan_place_values(builder *b) {
    const hone_graph *g = b->graph;
    for (int i = 0; i < b->value_count; i++) HONE_TRY(make_root(b, i));
    HONE_TRY(find_steps(b));
    find_lifetimes(b);
    for (int k = b->region->start; k < b->end; k++) {
        const hone_node *n = b->body->node[k];
        if (n->op->join && step_of(b, n) >= 0) join_operands(b, n);
    }
    for (size_t i = 0; i < g->binding_count && b->end == b->body->node_count; i++)
        place_binding(b, &g->bindings[i]);
    for (int k = b->region->start; k < b->end; k++) {
        const hone_node *n = b->body->node[k];
        if (n->op->overwrite && step_of(b, n) >= 0) place_in_place(b, n);
    }
    return HONE_OK;
}
