/* Runs a body: region by region, each with the plan for what it is given. */
#include "runtime/activation.h"
#include "base/clock.h"
#include "graph/infer.h"

#include <string.h>

typedef hone_activation activation;
typedef hone_entry entry;

typedef hone_running running;

void hone_activation_clear(activation *a) {
    for (size_t i = 0; i < a->entry_count; i++) {
        hone_plan_free(a->entries[i].plan);
        hone_free(a->entries[i].address);
        hone_free(a->entries[i].inputs);
        hone_free(a->entries[i].microseconds);
    }
    for (size_t i = 0; a->carried && i < a->body->graph->value_count; i++)
        hone_free(a->carried[i].block.data);
    hone_loop_state_free(a->loop);
    hone_free(a->entries);
    hone_free(a->values);
    hone_free(a->carried);
    *a = (activation){.body = a->body};
}

size_t hone_activation_bytes(const activation *a) {
    size_t bytes = a->loop ? hone_loop_state_bytes(a->loop) : 0;
    for (size_t i = 0; a->carried && i < a->body->graph->value_count; i++) bytes += a->carried[i].block.size;
    return bytes;
}

/* --- entries --- */

static hone_status find_entry(hone_context *c, activation *a, int start, entry **out, hone_error *err) {
    for (size_t i = 0; i < a->entry_count; i++) {
        if (a->entries[i].region->start != start) continue;
        *out = &a->entries[i];
        return HONE_OK;
    }
    entry e = {.region = NULL};
    HONE_TRY(hone_plan_cache_region(c->session->plans, a->body, start, &e.region, err));
    if (start > 0 && !(e.inputs = hone_calloc(e.region->input_count + 1, sizeof *e.inputs)))
        return hone_fail_memory(err);
    if (!hone_reserve(&a->entries, &a->entry_capacity, a->entry_count + 1, sizeof *a->entries)) {
        hone_free(e.inputs);
        return hone_fail_memory(err);
    }
    a->entries[a->entry_count] = e;
    *out = &a->entries[a->entry_count++];
    return HONE_OK;
}

/* Values that outlive their region need places of their own. */
static hone_status need_values(activation *a, hone_error *err) {
    size_t values = a->body->graph->value_count + 1;
    if (!a->values) a->values = hone_calloc(values, sizeof *a->values);
    if (!a->carried) a->carried = hone_calloc(values, sizeof *a->carried);
    return a->values && a->carried ? HONE_OK : hone_fail_memory(err);
}

static void *variable_data(const hone_context *c, const activation *a, int id) {
    if (!c->variables) return a->body->variable[id]->data;
    return hone_variables_get(c->variables, a->body->graph->values[id]->name)->data;
}

static void resolve(const hone_context *c, const activation *a, entry *e) {
    for (int i = 0; i < e->plan->location_count; i++) {
        const hone_location *l = &e->plan->locations[i];
        char *at = NULL;
        switch (l->place) {
        case HONE_PLACE_WORKSPACE: at = c->workspace->blocks[a->body->depth].data; break;
        case HONE_PLACE_FIXED: at = l->fixed; break;
        case HONE_PLACE_VARIABLE: at = variable_data(c, a, l->index); break;
        case HONE_PLACE_CARRIED: at = a->carried[l->index].block.data; break;
        case HONE_PLACE_INPUT: break;
        }
        e->address[l->address] = at ? at + l->offset : NULL;
    }
    e->base = c->workspace->blocks[a->body->depth].data;
    e->variables = c->variables;
    e->moved = false;
}

/* Room for what the plan leaves behind; true in *moved if some of it lies elsewhere now. */
static hone_status grow_carried(const hone_context *c, activation *a, const hone_plan *p, bool *moved,
                                hone_error *err) {
    for (size_t i = 0; i < p->carry_count; i++) {
        hone_block *b = &a->carried[p->carries[i].value].block;
        const void *before = b->data;
        HONE_TRY(hone_block_grow(b, p->carries[i].bytes, false, &c->growth, err));
        *moved |= b->data != before;
    }
    return HONE_OK;
}

/* The entry goes on with its old plan unless all of it succeeds. */
static hone_status adopt(hone_context *c, activation *a, entry *e, hone_plan *plan, hone_error *err) {
    hone_block *block;
    bool moved = false;
    if (plan->carry_count || plan->end < a->body->node_count) HONE_TRY(need_values(a, err));
    HONE_TRY(hone_workspace_reserve(c->workspace, a->body->depth, plan->workspace ? plan->workspace : 1,
                                    &c->growth, &block, err));
    HONE_TRY(grow_carried(c, a, plan, &moved, err));
    if (!hone_reserve(&e->address, &e->address_capacity, (size_t)plan->address_count + 1, sizeof(void *)) ||
        !hone_reserve(&e->microseconds, &e->microseconds_capacity, (size_t)plan->step_count + 1,
                      sizeof(double)))
        return hone_fail_memory(err);
    hone_plan_free(e->plan);
    e->plan = hone_plan_retain(plan);
    resolve(c, a, e);
    return HONE_OK;
}

/* Addresses are right as long as nothing has moved. */
static hone_status refresh(hone_context *c, activation *a, entry *e, hone_error *err) {
    hone_block *block;
    bool moved = e->moved || e->variables != c->variables;
    if (e->plan->carry_count) HONE_TRY(grow_carried(c, a, e->plan, &moved, err));
    if (c->workspace->count > (size_t)a->body->depth &&
        c->workspace->blocks[a->body->depth].data == e->base &&
        c->workspace->blocks[a->body->depth].size >= e->plan->workspace && !moved)
        return HONE_OK;
    HONE_TRY(hone_workspace_reserve(c->workspace, a->body->depth, e->plan->workspace ? e->plan->workspace : 1,
                                    &c->growth, &block, err));
    resolve(c, a, e);
    return HONE_OK;
}

hone_status hone_activation_enter(hone_context *c, activation *a, int start, const hone_operand *inputs,
                                  bool fits, entry **out, hone_error *err) {
    if (a->entry_count && start == 0)
        *out = &a->entries[0];
    else
        HONE_TRY(find_entry(c, a, start, out, err));
    entry *e = *out;
    if (e->plan && (fits || hone_plan_fits(e->plan, inputs))) return refresh(c, a, e, err);
    hone_plan *plan = NULL;
    HONE_TRY(hone_plan_cache_get(c->session->plans, e->region, inputs, &plan, err));
    hone_status status = adopt(c, a, e, plan, err);
    hone_plan_free(plan);
    return status;
}

/* --- running one region --- */

/* A step tells the shape of an output that inference left open. Its buffer is kept from run to run. */
static hone_status give_output(hone_frame *f, const hone_step *s, int o, int rank, const int64_t *dims,
                               void **data, hone_error *err) {
    const running *r = f->owner;
    int id = s->out[o];
    *data = NULL;
    if (id < 0) return HONE_OK; /* nobody wants it */
    hone_carried *to = &r->body->carried[id];
    size_t bytes;
    HONE_TRY(hone_shape_size(s->node->outputs[o]->type.dtype, rank, dims, NULL, &bytes, err));
    HONE_TRY(hone_block_grow(&to->block, bytes, false, &r->context->growth, err));
    to->rank = rank;
    for (int d = 0; d < rank; d++) to->dims[d] = dims[d];
    *data = f->address[id] = to->block.data;
    return HONE_OK;
}

static hone_status run_steps(running *r, hone_error *err) {
    hone_context *c = r->context;
    const hone_plan *plan = r->entry->plan;
    hone_frame frame = {r->entry->address, c->session->pool, give_output, r, &c->kept, &c->draws};
    for (int i = 0; i < plan->step_count; i++) {
        if (c->cancel && c->cancel(c->cancel_user))
            return hone_fail(err, HONE_CANCELLED, "the run was cancelled");
        uint64_t start = c->profiling ? hone_now() : 0;
        HONE_TRY(plan->steps[i].run(&plan->steps[i], &frame, err));
        if (c->profiling) r->entry->microseconds[i] = 1e-3 * (double)(hone_now() - start);
    }
    return HONE_OK;
}

/* Outputs that the caller wants elsewhere are computed there, if they have a buffer of their own. */
static void move_outputs(hone_context *c, entry *e) {
    for (size_t i = 0; i < e->plan->movable_count; i++) {
        const hone_plan_movable *m = &e->plan->movables[i];
        const hone_tensor *t = c->bound[m->output];
        const hone_type *type = &e->plan->outputs[m->output].type;
        if (!t || t->dtype == HONE_STRING || t->dtype != type->dtype || t->rank != type->rank ||
            memcmp(t->dims, type->dims, (size_t)t->rank * sizeof *t->dims) != 0)
            continue;
        e->address[m->address] = (char *)t->data + m->offset;
        e->moved = true;
    }
}

static hone_operand open_value(const activation *a, int id, hone_dtype dtype) {
    const hone_carried *c = &a->carried[id];
    return (hone_operand){c->block.data, c->dims, c->rank, dtype, false};
}

static void export_values(activation *a, const entry *e) {
    for (size_t i = 0; i < e->plan->export_count; i++) {
        const hone_plan_export *x = &e->plan->exports[i];
        a->values[x->value] = hone_type_is_concrete(&x->type)
                                  ? hone_operand_of(e->address[x->address], &x->type)
                                  : open_value(a, x->value, x->type.dtype);
    }
}

static hone_status run_entry(hone_context *c, activation *a, entry *e, const hone_operand *inputs,
                             hone_error *err) {
    const hone_plan *plan = e->plan;
    for (int i = 0; i < plan->patch_count; i++) {
        const hone_location *l = &plan->patches[i];
        e->address[l->address] = (char *)inputs[l->index].data + l->offset;
    }
    if (c->bound_count && a->body->depth == 0 && plan->movable_count) move_outputs(c, e);
    running r = {c, a, e};
    HONE_TRY(run_steps(&r, err));
    for (size_t i = 0; i < plan->copy_count; i++)
        if (plan->copies[i].bytes) /* what is empty may lie nowhere */
            memmove(e->address[plan->copies[i].target], e->address[plan->copies[i].source],
                    plan->copies[i].bytes);
    if (plan->export_count) export_values(a, e);
    return HONE_OK;
}

/* --- all regions --- */

static void keep_inputs(activation *a, const hone_operand *inputs) {
    const hone_region *first = a->entries[0].region;
    for (size_t i = 0; i < first->input_count; i++) a->values[first->inputs[i]->id] = inputs[i];
}

static hone_status find_next(hone_context *c, activation *a, int start, entry **out, hone_error *err) {
    entry *e;
    HONE_TRY(find_entry(c, a, start, &e, err));
    for (size_t i = 0; i < e->region->input_count; i++) e->inputs[i] = a->values[e->region->inputs[i]->id];
    return hone_activation_enter(c, a, start, e->inputs, false, out, err);
}

hone_status hone_activation_run(hone_context *c, activation *a, const hone_operand *inputs, bool fits,
                                hone_error *err) {
    entry *e;
    HONE_TRY(hone_activation_enter(c, a, 0, inputs, fits, &e, err));
    HONE_TRY(run_entry(c, a, e, inputs, err));
    if (e->plan->end < a->body->node_count) keep_inputs(a, inputs);
    while (e->plan->end < a->body->node_count) {
        HONE_TRY(find_next(c, a, e->plan->end, &e, err));
        HONE_TRY(run_entry(c, a, e, e->inputs, err));
    }
    a->last = e;
    return HONE_OK;
}

hone_operand hone_activation_output(const activation *a, size_t index) {
    const hone_plan_output *o = &a->last->plan->outputs[index];
    if (o->open) return open_value(a, a->body->graph->outputs[index]->id, o->type.dtype);
    return hone_operand_of(a->last->address[o->address], &o->type);
}
