#include "runtime/plan.h"

#include "graph/infer.h"
#include "runtime/memory.h"

#include <stdio.h>
#include <string.h>

/* What is known of a value's root while a plan is made. */
typedef struct root {
    hone_location location;
    int first, last; /* steps that touch it; last = steps: an output of the graph */
    size_t bytes;
    bool buffer; /* lies in the workspace */
} root;

struct hone_plan_builder {
    hone_model *model;
    hone_plan *plan;
    int threads;
    hone_type *types;          /* by value id */
    const hone_tensor **known; /* by value id: content that inference may read */
    int *root_of;              /* by value id: index of its root */
    root *roots;               /* one for each value, then scratch: of steps, and what copies need */
    int root_count;
    const hone_type **in; /* of one node: as wide as the widest */
    const hone_tensor **constant;
    hone_type *out;
    hone_error *err;
};
typedef struct hone_plan_builder builder;

/* Is the input one whose content plans depend on? */
static bool reads_content(const hone_model *m, size_t input) {
    const hone_value *v = m->graph->inputs[input];
    for (size_t u = 0; u < v->use_count; u++) {
        const hone_slot *slot = hone_op_input(v->uses[u].node->op, v->uses[u].index);
        if (slot && (slot->flags & HONE_SLOT_SHAPE)) return true;
    }
    return false;
}

hone_plan *hone_plan_retain(hone_plan *p) {
    if (p) atomic_fetch_add_explicit(&p->references, 1, memory_order_relaxed);
    return p;
}

void hone_plan_free(hone_plan *p) {
    if (!p || atomic_fetch_sub_explicit(&p->references, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; p->contents && i < p->input_count; i++) hone_tensor_free(p->contents[i]);
    hone_arena_free(p->arena);
    hone_free(p);
}

bool hone_plan_fits(const hone_plan *p, const hone_tensor *const *inputs) {
    for (size_t i = 0; i < p->input_count; i++) {
        const hone_tensor *t = inputs[i];
        if (t->rank != p->inputs[i].rank) return false;
        for (int d = 0; d < t->rank; d++)
            if (t->dims[d] != p->inputs[i].dims[d]) return false;
        if (p->contents[i] && memcmp(p->contents[i]->data, t->data, t->bytes) != 0) return false;
    }
    return true;
}

/* --- types --- */

static hone_status infer(builder *b, const hone_tensor *const *inputs) {
    const hone_graph *g = b->model->graph;
    hone_plan *plan = b->plan;
    plan->input_count = g->input_count;
    plan->inputs = hone_arena_array(plan->arena, g->input_count + 1, sizeof *plan->inputs);
    plan->contents = hone_arena_array(plan->arena, g->input_count + 1, sizeof(hone_tensor *));
    if (!plan->inputs || !plan->contents) return hone_fail_memory(b->err);
    for (size_t i = 0; i < g->input_count; i++) {
        const hone_tensor *t = inputs[i];
        plan->inputs[i] = b->types[g->inputs[i]->id] = hone_type_of(t);
        if (!reads_content(b->model, i)) continue;
        HONE_TRY(hone_tensor_copy_of(t->dtype, t->rank, t->dims, t->data, &plan->contents[i], b->err));
        b->known[g->inputs[i]->id] = plan->contents[i];
    }
    HONE_TRY(hone_graph_infer_types(g, b->types, b->known, b->err));
    for (const hone_node *n = g->first; n; n = n->next)
        for (int o = 0; o < n->output_count; o++)
            if (n->outputs[o] && !hone_type_is_concrete(&b->types[n->outputs[o]->id]))
                return hone_fail_node(b->err, HONE_UNSUPPORTED, n->name, n->op->name,
                                      "its output's shape depends on data, not on the inputs' shapes alone");
    return HONE_OK;
}

/* --- places and lifetimes --- */

static root *root_at(builder *b, const hone_value *v) {
    return &b->roots[b->root_of[v->id]];
}

/* Every value starts as its own root; views share their source's. */
static hone_status make_roots(builder *b) {
    const hone_graph *g = b->model->graph;
    for (size_t i = 0; i < g->value_count; i++) {
        const hone_value *v = g->values[i];
        root *r = &b->roots[i];
        b->root_of[i] = (int)i;
        r->first = INT32_MAX;
        r->last = -1;
        if (!v) continue;
        if (v->storage == HONE_STORAGE_CONSTANT)
            r->location = (hone_location){HONE_PLACE_FIXED, .fixed = v->data->data};
        else if (v->storage == HONE_STORAGE_VARIABLE)
            r->location = (hone_location){HONE_PLACE_FIXED, .fixed = b->model->variable[i]->data};
        else if (v->storage == HONE_STORAGE_INTERMEDIATE) {
            int64_t count;
            r->buffer = true;
            HONE_TRY(hone_shape_size(b->types[i].dtype, b->types[i].rank, b->types[i].dims, &count, &r->bytes,
                                     b->err));
        }
    }
    for (size_t i = 0; i < g->input_count; i++)
        b->roots[g->inputs[i]->id].location = (hone_location){HONE_PLACE_INPUT, .input = (int)i};
    for (const hone_node *n = g->first; n; n = n->next) {
        if (!n->op->alias) continue;
        const hone_value *x = n->inputs[n->op->alias - 1], *y = n->outputs[0];
        if (hone_type_count(&b->types[x->id]) != hone_type_count(&b->types[y->id]))
            return hone_fail_node(b->err, HONE_INVALID_ARGUMENT, n->name, n->op->name,
                                  "its result has not as many elements as its input");
        b->roots[y->id].buffer = false;
        b->root_of[y->id] = b->root_of[x->id];
    }
    return HONE_OK;
}

static void touch(root *r, int step) {
    if (step < r->first) r->first = step;
    if (step > r->last) r->last = step;
}

static void find_lifetimes(builder *b) {
    const hone_graph *g = b->model->graph;
    int end = b->plan->step_count = b->model->step_count;
    for (const hone_node *n = g->first; n; n = n->next) {
        if (n->op->alias) continue;
        for (int i = 0; i < n->input_count; i++)
            if (n->inputs[i]) touch(root_at(b, n->inputs[i]), n->mark);
        for (int o = 0; o < n->output_count; o++)
            if (n->outputs[o]) touch(root_at(b, n->outputs[o]), n->mark);
    }
    for (size_t i = 0; i < g->output_count; i++) touch(root_at(b, g->outputs[i]), end);
    for (size_t i = 0; i < g->binding_count; i++) touch(root_at(b, g->bindings[i].source), end);
}

static bool may_overwrite(const hone_node *n, int output, int input) {
    return (n->op->overwrite >> (input < 31 ? input : 31) & 1) && (n->output_count == 1 || output == input);
}

/* A bound output is written straight into its variable when nobody reads the variable's old content after it. */
static void place_binding(builder *b, const hone_binding *binding) {
    const hone_value *v = binding->source;
    root *r = root_at(b, v);
    hone_node *n = v->producer;
    if (!n || n->op->alias || !r->buffer || b->root_of[v->id] != v->id) return;
    const root *old = &b->roots[binding->variable->id];
    if (old->last > n->mark) return;
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] && root_at(b, n->inputs[i]) == old && !may_overwrite(n, v->output_index, i)) return;
    r->buffer = false;
    r->location = (hone_location){HONE_PLACE_FIXED, .fixed = b->model->variable[binding->variable->id]->data};
}

static bool same_type(const hone_type *s, const hone_type *t) {
    if (s->dtype != t->dtype || s->rank != t->rank) return false;
    return memcmp(s->dims, t->dims, (size_t)s->rank * sizeof *s->dims) == 0;
}

/* An output takes over the buffer of an input that ends here. */
static void place_in_place(builder *b, const hone_node *n) {
    for (int o = 0; o < n->output_count; o++) {
        const hone_value *y = n->outputs[o];
        if (!y || !root_at(b, y)->buffer) continue;
        for (int i = 0; i < n->input_count; i++) {
            const hone_value *x = n->inputs[i];
            if (!x || !may_overwrite(n, o, i) || !same_type(&b->types[x->id], &b->types[y->id])) continue;
            root *from = root_at(b, x), *to = root_at(b, y);
            if (!from->buffer || from->last != n->mark || from == to) continue;
            if (to->last > from->last) from->last = to->last;
            to->buffer = false;
            int target = b->root_of[x->id], gone = b->root_of[y->id];
            for (size_t k = 0; k < b->model->graph->value_count; k++)
                if (b->root_of[k] == gone) b->root_of[k] = target;
            break;
        }
    }
}

/* --- steps --- */

static int add_scratch(builder *b, size_t bytes, int step) {
    if (!bytes) return -1;
    b->roots[b->root_count] = (root){.first = step, .last = step, .bytes = bytes, .buffer = true};
    return b->root_count++;
}

static int *address_list(builder *b, hone_value *const *values, int count) {
    int *list = hone_arena_array(b->plan->arena, (size_t)count + 1, sizeof *list);
    for (int i = 0; list && i < count; i++) list[i] = values[i] ? b->root_of[values[i]->id] : -1;
    return list;
}

static hone_status prepare_step(builder *b, const hone_node *n, hone_step *step) {
    const hone_type **in = b->in;
    const hone_tensor **constant = b->constant;
    hone_type *out = b->out;
    for (int i = 0; i < n->input_count; i++) {
        const hone_value *v = n->inputs[i];
        in[i] = v ? &b->types[v->id] : NULL;
        constant[i] = v && v->storage != HONE_STORAGE_CONSTANT ? b->known[v->id] : hone_value_constant(v);
    }
    for (int o = 0; o < n->output_count; o++)
        out[o] = n->outputs[o] ? b->types[n->outputs[o]->id] : (hone_type){.rank = HONE_RANK_ANY};
    hone_prepare p = {.node = n,
                      .in = in,
                      .out = out,
                      .in_count = n->input_count,
                      .out_count = n->output_count,
                      .constant = constant,
                      .arena = b->plan->arena,
                      .packs = b->model->packs,
                      .kernel = "generic"};
    if (!n->op->prepare)
        return hone_fail_node(b->err, HONE_UNSUPPORTED, n->name, n->op->name, "the operator has no kernel");
    HONE_TRY(n->op->prepare(&p, b->err));
    size_t worker = (p.worker_scratch + 63) / 64 * 64;
    *step = (hone_step){.run = p.run,
                        .params = p.params,
                        .in = address_list(b, n->inputs, n->input_count),
                        .out = address_list(b, n->outputs, n->output_count),
                        .in_count = n->input_count,
                        .out_count = n->output_count,
                        .node = n,
                        .kernel = p.kernel,
                        .worker_scratch_size = worker};
    step->scratch = add_scratch(b, p.scratch, n->mark);
    step->worker_scratch = add_scratch(b, worker * (size_t)b->threads, n->mark);
    return step->in && step->out ? HONE_OK : hone_fail_memory(b->err);
}

static hone_status make_steps(builder *b) {
    hone_plan *plan = b->plan;
    plan->steps = hone_arena_array(plan->arena, (size_t)plan->step_count + 1, sizeof *plan->steps);
    if (!plan->steps) return hone_fail_memory(b->err);
    hone_step *step = plan->steps;
    for (const hone_node *n = b->model->graph->first; n; n = n->next)
        if (!n->op->alias) HONE_TRY(prepare_step(b, n, step++));
    return HONE_OK;
}

/* --- the result --- */

static hone_status place_buffers(builder *b) {
    hone_plan *plan = b->plan;
    hone_buffer *buffers = hone_alloc((size_t)(b->root_count + 1) * sizeof *buffers);
    int count = 0;
    if (!buffers) return hone_fail_memory(b->err);
    for (int i = 0; i < b->root_count; i++)
        if (b->roots[i].buffer && b->roots[i].last >= 0)
            buffers[count++] = (hone_buffer){b->roots[i].bytes, b->roots[i].first, b->roots[i].last, 0};
    bool ok = hone_memory_plan(buffers, count, &plan->workspace);
    count = 0;
    for (int i = 0; i < b->root_count; i++)
        if (b->roots[i].buffer && b->roots[i].last >= 0)
            b->roots[i].location = (hone_location){HONE_PLACE_WORKSPACE, .offset = buffers[count++].offset};
    hone_free(buffers);
    plan->address_count = b->root_count;
    plan->locations = hone_arena_array(plan->arena, (size_t)b->root_count + 1, sizeof *plan->locations);
    if (!ok || !plan->locations) return hone_fail_memory(b->err);
    for (int i = 0; i < b->root_count; i++) plan->locations[i] = b->roots[i].location;
    return HONE_OK;
}

static void add_copy(hone_plan *plan, int source, int target, size_t bytes) {
    plan->copies[plan->copy_count++] = (hone_plan_copy){source, target, bytes};
}

/* Copies what lies at `from` after the last step to bytes of its own, which it returns. */
static int save(builder *b, int from, size_t bytes) {
    int own = add_scratch(b, bytes ? bytes : 1, b->plan->step_count);
    add_copy(b->plan, from, own, bytes);
    return own;
}

/* Is the root a variable that a binding overwrites when the steps are done? */
static bool is_bound(const builder *b, int id) {
    const hone_graph *g = b->model->graph;
    for (size_t i = 0; i < g->binding_count; i++)
        if (g->bindings[i].variable->id == id) return true;
    return false;
}

/* An output that is an input's bytes gets bytes of its own, since the caller's are there during the run only;
 * so does one that is the old content of a bound variable. */
static void place_outputs(builder *b) {
    const hone_graph *g = b->model->graph;
    hone_plan *plan = b->plan;
    plan->output_count = g->output_count;
    for (size_t i = 0; i < g->output_count; i++) {
        const hone_type *type = &b->types[g->outputs[i]->id];
        int at = b->root_of[g->outputs[i]->id];
        const root *r = &b->roots[at];
        if (!r->buffer && (r->location.place == HONE_PLACE_INPUT || is_bound(b, at)))
            at = save(b, at, hone_type_bytes(type));
        plan->outputs[i] = (hone_plan_output){at, *type};
    }
}

/* Bound values that could not be written in place are copied into their variables; first those away that are
 * the old content of other bound variables. */
static hone_status place_bindings(builder *b) {
    const hone_graph *g = b->model->graph;
    int *sources = hone_arena_array(b->plan->arena, g->binding_count + 1, sizeof *sources);
    if (!sources) return hone_fail_memory(b->err);
    for (size_t i = 0; i < g->binding_count; i++) {
        const hone_tensor *target = b->model->variable[g->bindings[i].variable->id];
        hone_type wanted = hone_type_of(target);
        if (!same_type(&b->types[g->bindings[i].source->id], &wanted))
            return hone_fail_node(b->err, HONE_INVALID_ARGUMENT, g->bindings[i].variable->name, NULL,
                                  "the variable is bound to a value of another type");
        sources[i] = b->root_of[g->bindings[i].source->id];
        const root *r = &b->roots[sources[i]];
        if (!r->buffer && r->location.place == HONE_PLACE_FIXED && r->location.fixed == target->data)
            sources[i] = -1;
        else if (is_bound(b, sources[i]))
            sources[i] = save(b, sources[i], target->bytes);
    }
    for (size_t i = 0; i < g->binding_count; i++) {
        int variable = g->bindings[i].variable->id;
        if (sources[i] >= 0) add_copy(b->plan, sources[i], variable, b->model->variable[variable]->bytes);
    }
    return HONE_OK;
}

static hone_status place_results(builder *b) {
    const hone_graph *g = b->model->graph;
    hone_plan *plan = b->plan;
    plan->outputs = hone_arena_array(plan->arena, g->output_count + 1, sizeof *plan->outputs);
    plan->copies =
        hone_arena_array(plan->arena, 2 * g->binding_count + g->output_count + 1, sizeof *plan->copies);
    if (!plan->outputs || !plan->copies) return hone_fail_memory(b->err);
    place_outputs(b);
    return place_bindings(b);
}

static hone_status build(builder *b, const hone_tensor *const *inputs) {
    const hone_graph *g = b->model->graph;
    HONE_TRY(infer(b, inputs));
    HONE_TRY(make_roots(b));
    find_lifetimes(b);
    for (size_t i = 0; i < g->binding_count; i++) place_binding(b, &g->bindings[i]);
    for (const hone_node *n = g->first; n; n = n->next)
        if (!n->op->alias && n->op->overwrite) place_in_place(b, n);
    HONE_TRY(make_steps(b));
    HONE_TRY(place_results(b));
    return place_buffers(b);
}

hone_status hone_plan_make(hone_model *m, const hone_tensor *const *inputs, int threads, hone_plan **out,
                           hone_error *err) {
    const hone_graph *g = m->graph;
    hone_plan *plan = hone_calloc(1, sizeof *plan);
    builder b = {.model = m, .plan = plan, .threads = threads, .err = err};
    size_t values = g->value_count;
    b.types = hone_calloc(values + 1, sizeof *b.types);
    b.known = hone_calloc(values + 1, sizeof *b.known);
    b.root_of = hone_calloc(values + 1, sizeof *b.root_of);
    b.roots =
        hone_calloc(values + 2 * g->node_count + g->output_count + g->binding_count + 1, sizeof *b.roots);
    b.root_count = (int)values;
    int node_inputs, node_outputs;
    hone_graph_widest(g, &node_inputs, &node_outputs);
    b.in = hone_calloc((size_t)node_inputs + 1, sizeof *b.in);
    b.constant = hone_calloc((size_t)node_inputs + 1, sizeof *b.constant);
    b.out = hone_calloc((size_t)node_outputs + 1, sizeof *b.out);
    if (plan) {
        atomic_init(&plan->references, 1);
        plan->arena = hone_arena_new();
    }
    bool ok =
        plan && plan->arena && b.types && b.known && b.root_of && b.roots && b.in && b.constant && b.out;
    hone_status status = ok ? build(&b, inputs) : hone_fail_memory(err);
    hone_free(b.types);
    hone_free(b.known);
    hone_free(b.root_of);
    hone_free(b.roots);
    hone_free(b.in);
    hone_free(b.constant);
    hone_free(b.out);
    if (status == HONE_OK)
        *out = plan;
    else
        hone_plan_free(plan);
    return status;
}
