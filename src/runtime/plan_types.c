/* The walk that finds types: it infers node by node, evaluates what shapes are computed from, and ends where the next
 * shape is not to be known yet. */
#include "graph/evaluate.h"
#include "runtime/plan_inside.h"

#include <string.h>

typedef hone_plan_builder builder;

/* --- what a region is given --- */

static hone_status take_inputs(builder *b, const hone_operand *inputs) {
    hone_plan *plan = b->plan;
    const hone_region *r = b->region;
    plan->input_count = r->input_count;
    plan->inputs = hone_arena_array(plan->arena, r->input_count + 1, sizeof *plan->inputs);
    plan->contents = hone_arena_array(plan->arena, r->input_count + 1, sizeof(hone_tensor *));
    if (!plan->inputs || !plan->contents) return hone_fail_memory(b->err);
    for (size_t i = 0; i < r->input_count; i++) {
        int id = r->inputs[i]->id;
        plan->inputs[i] = b->types[id] = hone_type_make(inputs[i].dtype, inputs[i].rank, inputs[i].dims);
        if (inputs[i].handle) plan->inputs[i] = b->types[id] = r->inputs[i]->type;
        b->input_of[id] = (int)i;
    }
    return HONE_OK;
}

static void take_data(builder *b) {
    for (int i = 0; i < b->value_count; i++) {
        const hone_value *v = b->graph->values[i];
        b->input_of[i] = -1;
        if (!v || !v->data) continue;
        b->types[i] = hone_type_of(v->data);
        if (v->storage == HONE_STORAGE_CONSTANT) b->known[i] = hone_value_constant(v);
    }
}

/* The content of an input of the region becomes part of what the plan is made for. */
static hone_status take_content(builder *b, const hone_operand *inputs, int input) {
    const hone_operand *t = &inputs[input];
    hone_tensor **copy = &b->plan->contents[input];
    if (!t->data && t->rank >= 0)
        return hone_fail_node(b->err, HONE_INVALID_ARGUMENT, b->region->inputs[input]->name, NULL,
                              "its content is needed to know shapes");
    HONE_TRY(hone_tensor_copy_of(t->dtype, t->rank, t->dims, t->data, copy, b->err));
    b->known[b->region->inputs[input]->id] = *copy;
    return HONE_OK;
}

/* Content that inference of `n` reads. *missing: it has to be computed first. */
static hone_status take_contents(builder *b, const hone_operand *inputs, const hone_node *n, bool *missing) {
    *missing = false;
    for (int i = 0; i < n->input_count; i++) {
        const hone_value *v = n->inputs[i];
        const hone_slot *slot = hone_op_input(n->op, i);
        if (!v || !slot || !(slot->flags & HONE_SLOT_SHAPE) || b->known[v->id]) continue;
        if (b->input_of[v->id] >= 0)
            HONE_TRY(take_content(b, inputs, b->input_of[v->id]));
        else if (v->storage != HONE_STORAGE_VARIABLE)
            *missing = true;
    }
    return HONE_OK;
}

/* --- evaluation --- */

static bool all_known(const builder *b, const hone_node *n) {
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] && !b->known[n->inputs[i]->id]) return false;
    return n->input_count > 0;
}

static bool is_small(const builder *b, const hone_node *n) {
    for (int o = 0; o < n->output_count; o++) {
        const hone_type *t = &b->room.out[o];
        if (t->kind != HONE_KIND_TENSOR || !hone_type_is_concrete(t) ||
            hone_type_count(t) > HONE_PLAN_EVALUATE_MAX)
            return false;
    }
    return n->op->role == HONE_ROLE_PLAIN && hone_node_is_evaluable(n);
}

/* Keeps a tensor, whose reference it takes, as what value `v` is. */
static hone_status know(builder *b, const hone_value *v, hone_tensor *t) {
    hone_plan *p = b->plan;
    size_t capacity = p->evaluated_count;
    if ((capacity & (capacity + 1)) == 0) { /* full at 0, 1, 3, 7, … */
        hone_tensor **more = hone_arena_array(p->arena, 2 * capacity + 1, sizeof(hone_tensor *));
        if (!more) {
            hone_tensor_free(t);
            return hone_fail_memory(b->err);
        }
        if (capacity) memcpy(more, p->evaluated, capacity * sizeof(hone_tensor *));
        p->evaluated = more;
    }
    p->evaluated[p->evaluated_count++] = t;
    b->known[v->id] = t;
    return HONE_OK;
}

static hone_status evaluate(builder *b, const hone_node *n) {
    hone_tensor **results = hone_calloc((size_t)n->output_count + 1, sizeof(hone_tensor *));
    if (!results) return hone_fail_memory(b->err);
    hone_status status = hone_node_evaluate(n, b->room.constant, results, b->err);
    for (int o = 0; o < n->output_count; o++) {
        if (status == HONE_OK && n->outputs[o])
            status = know(b, n->outputs[o], results[o]);
        else
            hone_tensor_free(results[o]);
    }
    hone_free(results);
    return status;
}

/* What follows from shapes alone: Shape, and the like. */
static hone_status know_content(builder *b, const hone_node *n) {
    hone_content c;
    hone_tensor *t = NULL;
    hone_infer ctx = hone_infer_context(n, &b->room);
    const hone_type *y = &b->room.out[0];
    if (!n->op->content || n->output_count != 1 || !hone_type_is_concrete(y)) return HONE_OK;
    if (!n->op->content(&ctx, &c) || !hone_content_is_known(&c)) return HONE_OK;
    HONE_TRY(hone_content_tensor(&c, y, &t, b->err));
    return know(b, n->outputs[0], t);
}

/* --- the walk --- */

void hone_plan_fill_room(builder *b, const hone_node *n, bool outputs) {
    for (int i = 0; i < n->input_count; i++) {
        const hone_value *v = n->inputs[i];
        b->room.in[i] = v ? &b->types[v->id] : NULL;
        b->room.constant[i] = v ? b->known[v->id] : NULL;
        b->room.content[i] = NULL;
    }
    for (int o = 0; o < n->output_count && outputs; o++)
        b->room.out[o] = n->outputs[o] ? b->types[n->outputs[o]->id] : (hone_type){.rank = HONE_RANK_ANY};
}

/* *open: the shape of an output depends on data. */
static hone_status walk_node(builder *b, const hone_node *n, bool *open) {
    hone_plan_fill_room(b, n, false);
    HONE_TRY(hone_node_infer(n, &b->room, b->err));
    HONE_TRY(hone_node_check_shapes(n, b->room.out, b->err));
    *open = false;
    for (int o = 0; o < n->output_count; o++) {
        const hone_type *t = &b->room.out[o];
        if (!n->outputs[o]) continue;
        *open |= !hone_type_is_concrete(t);
        b->types[n->outputs[o]->id] = *t;
    }
    if (all_known(b, n) && is_small(b, n)) return evaluate(b, n);
    return know_content(b, n);
}

hone_status hone_plan_find_types(builder *b, const hone_operand *inputs) {
    const hone_body *body = b->body;
    take_data(b);
    HONE_TRY(take_inputs(b, inputs));
    for (b->end = b->region->start; b->end < body->node_count; b->end++) {
        const hone_node *n = body->node[b->end];
        bool missing, open;
        HONE_TRY(take_contents(b, inputs, n, &missing));
        if (missing && b->end > b->region->start) break;
        HONE_TRY(walk_node(b, n, &open));
        if (!open) continue;
        b->end++;
        break;
    }
    b->plan->end = b->end;
    return HONE_OK;
}
