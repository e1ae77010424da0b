/* What a region leaves behind, and the table of locations. */
#include "runtime/memory.h"
#include "runtime/plan_inside.h"

typedef hone_plan_builder builder;
typedef hone_root root;

static bool is_last(const builder *b) {
    return b->end == b->body->node_count;
}

/* --- copies after the last step --- */

static void add_copy(hone_plan *plan, int source, int target, size_t bytes) {
    plan->copies[plan->copy_count++] = (hone_plan_copy){source, target, bytes};
}

/* Copies what value `from` is after the last step to bytes of its own; returns their address. */
static int save(builder *b, int from, size_t bytes) {
    int own = hone_plan_add_scratch(b, bytes ? bytes : 1, b->plan->step_count);
    add_copy(b->plan, from, own, bytes);
    return own;
}

/* Is the value the old content of a variable that a binding overwrites when the steps are done? */
static bool is_overwritten(builder *b, const hone_value *v) {
    int top = hone_plan_root(b, v->id, NULL);
    for (size_t i = 0; i < b->graph->binding_count; i++)
        if (b->graph->bindings[i].variable->id == top) return true;
    return false;
}

static size_t bytes_of(const builder *b, const hone_value *v) {
    const hone_type *t = &b->types[v->id];
    return hone_type_is_concrete(t) ? hone_type_bytes(t) : 0;
}

/* --- outputs --- */

/* Does the output fill a buffer of the workspace that no other output lies in? */
static bool is_movable(builder *b, const hone_value *v, const int *outputs_in) {
    size_t offset;
    int top = hone_plan_root(b, v->id, &offset);
    return b->roots[top].buffer && offset == 0 && b->roots[top].bytes == bytes_of(b, v) &&
           outputs_in[top] == 1;
}

/* The rows that let outputs be computed elsewhere: all addresses in the buffers of those that can. */
static hone_status list_movables(builder *b) {
    const hone_graph *g = b->graph;
    hone_plan *plan = b->plan;
    int *outputs_in = hone_calloc((size_t)b->value_count + 1, sizeof *outputs_in); /* by root */
    int *output_at = hone_calloc((size_t)b->value_count + 1, sizeof *output_at); /* by root: the output + 1 */
    plan->movables = hone_arena_array(plan->arena, (size_t)b->value_count + 1, sizeof *plan->movables);
    bool ok = outputs_in && output_at && plan->movables;
    for (size_t i = 0; i < g->output_count && ok; i++)
        outputs_in[hone_plan_root(b, g->outputs[i]->id, NULL)]++;
    for (size_t i = 0; i < g->output_count && ok; i++)
        if (is_movable(b, g->outputs[i], outputs_in))
            output_at[hone_plan_root(b, g->outputs[i]->id, NULL)] = (int)i + 1;
    for (int i = 0; i < b->value_count && ok; i++) {
        size_t offset;
        int top = g->values[i] ? hone_plan_root(b, i, &offset) : -1;
        if (top >= 0 && output_at[top])
            plan->movables[plan->movable_count++] = (hone_plan_movable){output_at[top] - 1, i, offset};
    }
    hone_free(outputs_in);
    hone_free(output_at);
    return ok ? HONE_OK : hone_fail_memory(b->err);
}

/* An output that is an input's bytes gets bytes of its own, since the caller's are there during the run only; so does
 * one that is the old content of a bound variable. */
static hone_status place_outputs(builder *b) {
    const hone_graph *g = b->graph;
    hone_plan *plan = b->plan;
    plan->outputs = hone_arena_array(plan->arena, g->output_count + 1, sizeof *plan->outputs);
    if (!plan->outputs) return hone_fail_memory(b->err);
    for (size_t i = 0; i < g->output_count; i++) {
        const hone_value *v = g->outputs[i];
        const root *r = hone_plan_root_of(b, v);
        const hone_type *type = &b->types[v->id];
        bool open = !hone_type_is_concrete(type);
        plan->outputs[i] =
            (hone_plan_output){v->id, open, *type, open ? 0 : hone_type_count(type), bytes_of(b, v)};
        bool borrowed = r->location.place == HONE_PLACE_INPUT && b->body->borrowed[v->id];
        if (!r->buffer && (borrowed || is_overwritten(b, v)))
            plan->outputs[i].address = save(b, v->id, bytes_of(b, v));
    }
    return list_movables(b);
}

/* --- bindings --- */

static bool same_type(const hone_type *s, const hone_tensor *t) {
    if (s->dtype != t->dtype || s->rank != t->rank) return false;
    for (int i = 0; i < s->rank; i++)
        if (s->dims[i] != t->dims[i]) return false;
    return true;
}

/* Bound values that could not be written in place are copied into their variables; first those away that are the old
 * content of other bound variables. */
static hone_status place_bindings(builder *b) {
    const hone_graph *g = b->graph;
    int *sources = hone_arena_array(b->plan->arena, g->binding_count + 1, sizeof *sources);
    if (!sources) return hone_fail_memory(b->err);
    for (size_t i = 0; i < g->binding_count; i++) {
        const hone_value *source = g->bindings[i].source, *variable = g->bindings[i].variable;
        const hone_tensor *target = b->body->variable[variable->id];
        if (!same_type(&b->types[source->id], target)) {
            hone_type t = hone_type_of(target);
            char ts[96], tt[96];
            return hone_fail_node(b->err, HONE_INVALID_ARGUMENT, variable->name, NULL,
                                  "the variable is %s, but the value bound to it is %s",
                                  hone_type_format(NULL, &t, tt, sizeof tt),
                                  hone_type_format(NULL, &b->types[source->id], ts, sizeof ts));
        }
        if (target->dtype == HONE_STRING)
            return hone_fail_node(b->err, HONE_UNSUPPORTED, variable->name, NULL,
                                  "a variable of strings can't be updated");
        size_t offset;
        const root *r = &b->roots[hone_plan_root(b, source->id, &offset)];
        sources[i] = source->id;
        if (r->location.place == HONE_PLACE_VARIABLE && r->location.index == variable->id && !r->buffer &&
            offset == 0)
            sources[i] = -1;
        else if (!r->buffer && is_overwritten(b, source))
            sources[i] = save(b, source->id, target->bytes);
    }
    for (size_t i = 0; i < g->binding_count; i++) {
        int variable = g->bindings[i].variable->id;
        if (sources[i] >= 0) add_copy(b->plan, sources[i], variable, b->body->variable[variable]->bytes);
    }
    return HONE_OK;
}

/* --- what lives on --- */

/* The buffer of a value outlives the region. */
static void carry(builder *b, const hone_value *v) {
    hone_plan *plan = b->plan;
    int top = hone_plan_root(b, v->id, NULL);
    root *r = &b->roots[top];
    if (!r->buffer) return;
    r->buffer = false;
    r->location = (hone_location){.place = HONE_PLACE_CARRIED, .index = top};
    bool open = !hone_type_is_concrete(&b->types[top]);
    plan->carries[plan->carry_count++] = (hone_plan_carry){top, open ? 0 : r->bytes ? r->bytes : 1};
}

/* Outputs whose shape their step finds out. */
static void carry_open(builder *b) {
    const hone_node *n = b->end > b->region->start ? b->body->node[b->end - 1] : NULL;
    for (int o = 0; n && o < n->output_count; o++)
        if (n->outputs[o] && !hone_type_is_concrete(&b->types[n->outputs[o]->id])) carry(b, n->outputs[o]);
}

static size_t count_outputs(const builder *b) {
    size_t count = 0;
    for (int k = b->region->start; k < b->end; k++) count += (size_t)b->body->node[k]->output_count;
    return count;
}

/* The old content of a variable that a later region may overwrite: what is read behind the region is a copy. */
static int carry_copy(builder *b, const hone_value *v) {
    hone_plan *plan = b->plan;
    size_t bytes = bytes_of(b, v);
    int own = save(b, v->id, bytes);
    b->roots[own].buffer = false;
    b->roots[own].location = (hone_location){.place = HONE_PLACE_CARRIED, .index = v->id};
    plan->carries[plan->carry_count++] = (hone_plan_carry){v->id, bytes ? bytes : 1};
    return own;
}

/* Values of a region that others read. */
static hone_status place_exports(builder *b) {
    hone_plan *plan = b->plan;
    plan->exports = hone_arena_array(plan->arena, count_outputs(b) + 1, sizeof *plan->exports);
    if (!plan->exports) return hone_fail_memory(b->err);
    for (int k = b->region->start; k < b->end; k++) {
        const hone_node *n = b->body->node[k];
        for (int o = 0; o < n->output_count; o++) {
            const hone_value *v = n->outputs[o];
            if (!v || b->body->last_reader[v->id] < b->end) continue;
            bool saved = !hone_plan_root_of(b, v)->buffer && is_overwritten(b, v);
            int address = saved ? carry_copy(b, v) : v->id;
            plan->exports[plan->export_count++] = (hone_plan_export){v->id, address, b->types[v->id]};
            if (!saved) carry(b, v);
        }
    }
    return HONE_OK;
}

/* --- locations --- */

static hone_status place_buffers(builder *b) {
    hone_buffer *buffers = hone_alloc((size_t)(b->root_count + 1) * sizeof *buffers);
    int count = 0;
    if (!buffers) return hone_fail_memory(b->err);
    for (int i = 0; i < b->root_count; i++)
        if (b->roots[i].buffer && b->roots[i].last >= 0)
            buffers[count++] = (hone_buffer){b->roots[i].bytes, b->roots[i].first, b->roots[i].last, 0};
    bool ok = hone_memory_plan(buffers, count, &b->plan->workspace);
    count = 0;
    for (int i = 0; i < b->root_count; i++)
        if (b->roots[i].buffer && b->roots[i].last >= 0)
            b->roots[i].location =
                (hone_location){.place = HONE_PLACE_WORKSPACE, .offset = buffers[count++].offset};
    hone_free(buffers);
    return ok ? HONE_OK : hone_fail_memory(b->err);
}

static void add_location(builder *b, bool *listed, int address) {
    hone_plan *plan = b->plan;
    size_t offset = 0;
    if (address < 0 || listed[address]) return;
    listed[address] = true;
    hone_location l =
        b->roots[address < b->value_count ? hone_plan_root(b, address, &offset) : address].location;
    l.address = address;
    l.offset += offset;
    if (l.place == HONE_PLACE_INPUT)
        plan->patches[plan->patch_count++] = l;
    else
        plan->locations[plan->location_count++] = l;
}

/* All addresses that steps, copies, exports and outputs ask for. */
static hone_status list_locations(builder *b) {
    hone_plan *plan = b->plan;
    size_t most = (size_t)b->root_count + 1;
    bool *listed = hone_calloc(most, 1);
    plan->locations = hone_arena_array(plan->arena, most, sizeof *plan->locations);
    plan->patches = hone_arena_array(plan->arena, most, sizeof *plan->patches);
    plan->address_count = b->root_count;
    if (!listed || !plan->locations || !plan->patches) {
        hone_free(listed);
        return hone_fail_memory(b->err);
    }
    for (int i = 0; i < plan->step_count; i++) {
        const hone_step *s = &plan->steps[i];
        for (int k = 0; k < s->in_count; k++) add_location(b, listed, s->in[k]);
        for (int k = 0; k < s->out_count; k++) add_location(b, listed, s->out[k]);
        add_location(b, listed, s->scratch);
        add_location(b, listed, s->worker_scratch);
    }
    for (size_t i = 0; i < plan->copy_count; i++) {
        add_location(b, listed, plan->copies[i].source);
        add_location(b, listed, plan->copies[i].target);
    }
    for (size_t i = 0; i < plan->export_count; i++) add_location(b, listed, plan->exports[i].address);
    for (size_t i = 0; i < b->graph->output_count && plan->outputs; i++)
        add_location(b, listed, plan->outputs[i].address);
    hone_free(listed);
    return HONE_OK;
}

hone_status hone_plan_place_results(builder *b) {
    hone_plan *plan = b->plan;
    size_t copies = 2 * b->graph->binding_count + b->graph->output_count + count_outputs(b);
    plan->copies = hone_arena_array(plan->arena, copies + 1, sizeof *plan->copies);
    plan->carries = hone_arena_array(plan->arena, count_outputs(b) + 1, sizeof *plan->carries);
    if (!plan->copies || !plan->carries) return hone_fail_memory(b->err);
    carry_open(b);
    if (is_last(b)) {
        HONE_TRY(place_outputs(b));
        HONE_TRY(place_bindings(b));
    } else {
        HONE_TRY(place_exports(b));
    }
    HONE_TRY(place_buffers(b));
    return list_locations(b);
}
