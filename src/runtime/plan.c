#include "runtime/plan.h"

#include "runtime/plan_inside.h"

#include <string.h>

typedef hone_plan_builder builder;

hone_plan *hone_plan_retain(hone_plan *p) {
    if (p) atomic_fetch_add_explicit(&p->references, 1, memory_order_relaxed);
    return p;
}

void hone_plan_free(hone_plan *p) {
    if (!p || atomic_fetch_sub_explicit(&p->references, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; p->contents && i < p->input_count; i++) hone_tensor_free(p->contents[i]);
    for (size_t i = 0; i < p->evaluated_count; i++) hone_tensor_free(p->evaluated[i]);
    hone_arena_free(p->arena);
    hone_free(p);
}

bool hone_plan_fits(const hone_plan *p, const hone_operand *inputs) {
    for (size_t i = 0; i < p->input_count; i++) {
        const hone_operand *t = &inputs[i];
        if (t->handle) continue; /* nothing is planned for what is in it */
        if (t->rank != p->inputs[i].rank || t->dtype != p->inputs[i].dtype) return false;
        for (int d = 0; d < t->rank; d++)
            if (t->dims[d] != p->inputs[i].dims[d]) return false;
        const hone_tensor *content = p->contents[i];
        if (content && (!t->data || memcmp(content->data, t->data, content->bytes) != 0)) return false;
    }
    return true;
}

uint64_t hone_plan_hash(const hone_region *r, const hone_operand *inputs) {
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < r->input_count; i++) {
        if (inputs[i].handle) continue;
        h = (h ^ (uint64_t)inputs[i].rank) * 1099511628211u;
        for (int d = 0; d < inputs[i].rank; d++) h = (h ^ (uint64_t)inputs[i].dims[d]) * 1099511628211u;
    }
    return h ^ h >> 32;
}

/* --- steps --- */

int hone_plan_add_scratch(builder *b, size_t bytes, int step) {
    if (!bytes) return -1;
    b->roots[b->root_count] = (hone_root){.first = step, .last = step, .bytes = bytes, .buffer = true};
    return b->root_count++;
}

static int *address_list(builder *b, hone_value *const *values, int count) {
    int *list = hone_arena_array(b->plan->arena, (size_t)count + 1, sizeof *list);
    for (int i = 0; list && i < count; i++) list[i] = values[i] ? values[i]->id : -1;
    return list;
}

static hone_status prepare_step(builder *b, const hone_node *n, int index, hone_step *step) {
    hone_plan_fill_room(b, n, true);
    hone_prepare p = {.node = n,
                      .in = b->room.in,
                      .out = b->room.out,
                      .in_count = n->input_count,
                      .out_count = n->output_count,
                      .constant = b->room.constant,
                      .arena = b->plan->arena,
                      .packs = b->body->packs,
                      .main = b->model->bodies[0].graph,
                      .precision = b->model->precision,
                      .kernel = "generic"};
    if (hone_op_is_control(n->op))
        HONE_TRY(b->control(&p, b->model, b->err));
    else if (n->op->prepare)
        HONE_TRY(n->op->prepare(&p, b->err));
    else
        return hone_fail_node(b->err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "the operator has no kernel");
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
    step->scratch = hone_plan_add_scratch(b, p.scratch, index);
    step->worker_scratch = hone_plan_add_scratch(b, worker * (size_t)b->threads, index);
    return step->in && step->out ? HONE_OK : hone_fail_memory(b->err);
}

hone_status hone_plan_make_steps(builder *b) {
    hone_plan *plan = b->plan;
    plan->steps = hone_arena_array(plan->arena, (size_t)plan->step_count + 1, sizeof *plan->steps);
    if (!plan->steps) return hone_fail_memory(b->err);
    for (int k = b->region->start; k < b->end; k++) {
        int step = b->step_of[k - b->region->start];
        if (step >= 0) HONE_TRY(prepare_step(b, b->body->node[k], step, &plan->steps[step]));
    }
    return HONE_OK;
}

/* --- all of it --- */

static hone_status make_room(builder *b) {
    const hone_graph *g = b->graph;
    size_t values = (size_t)b->value_count + 1,
           nodes = (size_t)b->body->node_count - (size_t)b->region->start + 1;
    size_t roots = values + 2 * nodes + g->output_count + g->binding_count;
    b->types = hone_calloc(values, sizeof *b->types);
    b->known = hone_calloc(values, sizeof *b->known);
    b->input_of = hone_calloc(values, sizeof *b->input_of);
    b->step_of = hone_calloc(nodes, sizeof *b->step_of);
    b->parent = hone_calloc(roots, sizeof *b->parent);
    b->offset = hone_calloc(roots, sizeof *b->offset);
    b->roots = hone_calloc(roots, sizeof *b->roots);
    b->plan->arena = hone_arena_new();
    bool ok = b->types && b->known && b->input_of && b->step_of && b->parent && b->offset && b->roots;
    if (!ok || !b->plan->arena) return hone_fail_memory(b->err);
    return hone_infer_room_make(g, &b->room, b->err);
}

static void free_room(builder *b) {
    hone_free(b->types);
    hone_free(b->known);
    hone_free(b->input_of);
    hone_free(b->step_of);
    hone_free(b->parent);
    hone_free(b->offset);
    hone_free(b->roots);
    hone_free(b->room.in);
}

hone_status hone_plan_make(hone_model *m, const hone_region *r, const hone_operand *inputs, int threads,
                           hone_control_fn *control, hone_plan **out, hone_error *err) {
    hone_plan *plan = hone_calloc(1, sizeof *plan);
    if (!plan) return hone_fail_memory(err);
    atomic_init(&plan->references, 1);
    plan->region = r;
    plan->hash = hone_plan_hash(r, inputs);
    builder b = {.model = m,
                 .region = r,
                 .body = r->body,
                 .graph = r->body->graph,
                 .plan = plan,
                 .threads = threads,
                 .control = control,
                 .value_count = (int)r->body->graph->value_count,
                 .root_count = (int)r->body->graph->value_count,
                 .err = err};
    hone_status status = make_room(&b);
    if (status == HONE_OK) status = hone_plan_find_types(&b, inputs);
    if (status == HONE_OK) status = hone_plan_place_values(&b);
    if (status == HONE_OK) status = hone_plan_make_steps(&b);
    if (status == HONE_OK) status = hone_plan_place_results(&b);
    free_room(&b);
    if (status == HONE_OK)
        *out = plan;
    else
        hone_plan_free(plan);
    return status;
}
