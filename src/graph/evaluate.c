#include "graph/evaluate.h"

#include "graph/infer.h"
#include "graph/run.h"

#include <string.h>

/* A node on its own: addresses are its inputs, its outputs, and scratch. */
typedef struct evaluation {
    const hone_graph *last; /* the graph of a node that goes; else NULL */
    const hone_node *node;
    const hone_tensor *const *in;
    hone_tensor **results;
    hone_arena *arena;
    hone_infer_room room;
    void **address;
    int *index;
    hone_kept kept;
} evaluation;

bool hone_node_is_evaluable(const hone_node *n) {
    return (n->op->prepare || n->op->view) && !n->op->draws;
}

static hone_status make_room(evaluation *e, hone_error *err) {
    const hone_node *n = e->node;
    size_t in = (size_t)n->input_count + 1, out = (size_t)n->output_count + 1;
    e->arena = hone_arena_new();
    if (!e->arena) return hone_fail_memory(err);
    hone_type *types = hone_arena_array(e->arena, in, sizeof *types);
    e->room.in = hone_arena_array(e->arena, in, sizeof(hone_type *));
    e->room.constant = hone_arena_array(e->arena, in, sizeof(hone_tensor *));
    e->room.out = hone_arena_array(e->arena, out, sizeof(hone_type));
    e->address = hone_arena_array(e->arena, in + out + 2, sizeof(void *));
    e->index = hone_arena_array(e->arena, in + out + 2, sizeof *e->index);
    if (!types || !e->room.in || !e->room.constant || !e->room.out || !e->address || !e->index)
        return hone_fail_memory(err);
    for (int i = 0; i < n->input_count; i++) {
        if (!e->in[i]) continue;
        types[i] = hone_type_of(e->in[i]);
        e->room.in[i] = &types[i];
        e->room.constant[i] = e->in[i];
    }
    return HONE_OK;
}

/* Scratch and results at addresses behind the inputs'. */
static hone_status place(evaluation *e, const hone_prepare *p, hone_step *s, hone_error *err) {
    const hone_node *n = e->node;
    int inputs = n->input_count, outputs = n->output_count, at = inputs + outputs;
    for (int i = 0; i < inputs; i++) {
        e->index[i] = e->in[i] ? i : -1;
        e->address[i] = e->in[i] ? e->in[i]->data : NULL;
    }
    for (int o = 0; o < outputs; o++) {
        const hone_type *t = &e->room.out[o];
        e->index[inputs + o] = inputs + o;
        if (!hone_type_is_concrete(t)) continue; /* the step makes it */
        HONE_TRY(hone_tensor_new(t->dtype, t->rank, t->dims, &e->results[o], err));
        e->address[inputs + o] = e->results[o]->data;
    }
    *s = (hone_step){.run = p->run,
                     .params = p->params,
                     .in = e->index,
                     .out = e->index + inputs,
                     .in_count = inputs,
                     .out_count = outputs,
                     .scratch = p->scratch ? at : -1,
                     .worker_scratch = p->worker_scratch ? at + 1 : -1,
                     .worker_scratch_size = p->worker_scratch,
                     .node = n,
                     .kernel = p->kernel};
    e->address[at] = hone_alloc(p->scratch + 1);
    e->address[at + 1] = hone_alloc(p->worker_scratch + 1);
    return e->address[at] && e->address[at + 1] ? HONE_OK : hone_fail_memory(err);
}

static hone_status give_output(hone_frame *f, const hone_step *s, int o, int rank, const int64_t *dims,
                               void **data, hone_error *err) {
    evaluation *e = f->owner;
    HONE_TRY(hone_tensor_new(e->room.out[o].dtype, rank, dims, &e->results[o], err));
    f->address[s->out[o]] = *data = e->results[o]->data;
    return HONE_OK;
}

static hone_status run(evaluation *e, hone_error *err) {
    const hone_node *n = e->node;
    hone_prepare p = {.node = n,
                      .in = e->room.in,
                      .out = e->room.out,
                      .in_count = n->input_count,
                      .out_count = n->output_count,
                      .constant = e->room.constant,
                      .arena = e->arena,
                      .kernel = "generic"};
    hone_step step;
    HONE_TRY(n->op->prepare(&p, err));
    HONE_TRY(place(e, &p, &step, err));
    hone_frame frame = {.address = e->address, .output = give_output, .owner = e, .kept = &e->kept};
    return step.run(&step, &frame, err);
}

/* Is the result all of input i, which the node alone reads? */
static bool takes(const evaluation *e, int i, const hone_type *result) {
    const hone_value *v = e->node->inputs[i];
    return e->last && e->node->output_count == 1 && v->use_count == 1 && !hone_graph_is_output(e->last, v) &&
           hone_tensor_is_own(v->data) && v->data->dtype == result->dtype && result->dtype != HONE_STRING &&
           v->data->count == hone_type_count(result);
}

/* Views are copied, or take over what they show; false if an output is none. */
static hone_status copy_views(evaluation *e, bool *all, hone_error *err) {
    hone_infer ctx = hone_infer_context(e->node, &e->room);
    *all = true;
    for (int o = 0; o < e->node->output_count && *all; o++) {
        const hone_type *t = &e->room.out[o];
        hone_view v;
        *all = e->node->op->view(&ctx, o, &v);
        if (!*all) break;
        if (takes(e, v.input, t))
            return hone_tensor_take(e->node->inputs[v.input]->data, t->rank, t->dims, &e->results[o], err);
        HONE_TRY(hone_tensor_copy_of(t->dtype, t->rank, t->dims,
                                     (const char *)e->in[v.input]->data + v.offset, &e->results[o], err));
    }
    return HONE_OK;
}

/* Strings that a run has written are borrowed: the results get copies, or forget them where the run failed. */
static hone_status own_strings(evaluation *e, hone_status status, hone_error *err) {
    for (int o = 0; o < e->node->output_count; o++) {
        hone_tensor *borrowed = e->results[o];
        if (!borrowed || borrowed->dtype != HONE_STRING) continue;
        e->results[o] = NULL;
        if (status == HONE_OK)
            status = hone_tensor_copy_of(HONE_STRING, borrowed->rank, borrowed->dims, borrowed->data,
                                         &e->results[o], err);
        if (borrowed->bytes) memset(borrowed->data, 0, borrowed->bytes);
        hone_tensor_free(borrowed);
    }
    return status;
}

static hone_status evaluate(evaluation *e, hone_error *err) {
    bool views = false;
    HONE_TRY(make_room(e, err));
    HONE_TRY(hone_node_infer(e->node, &e->room, err));
    HONE_TRY(hone_node_check_shapes(e->node, e->room.out, err));
    if (e->node->op->view) HONE_TRY(copy_views(e, &views, err));
    if (views) return HONE_OK;
    return own_strings(e, run(e, err), err);
}

static hone_status evaluate_all(evaluation *e, hone_error *err) {
    const int values = e->node->input_count + e->node->output_count;
    for (int o = 0; o < e->node->output_count; o++) e->results[o] = NULL;
    hone_status status = evaluate(e, err);
    for (int i = values; e->address && i < values + 2; i++) hone_free(e->address[i]);
    hone_kept_clear(&e->kept);
    hone_free(e->kept.tensors);
    hone_arena_free(e->arena);
    return status;
}

hone_status hone_node_evaluate(const hone_node *n, const hone_tensor *const *in, hone_tensor **results,
                               hone_error *err) {
    evaluation e = {.node = n, .in = in, .results = results};
    return evaluate_all(&e, err);
}

hone_status hone_node_evaluate_last(const hone_graph *g, const hone_node *n, hone_tensor **results,
                                    hone_error *err) {
    const hone_tensor **in = hone_calloc((size_t)n->input_count + 1, sizeof *in);
    if (!in) return hone_fail_memory(err);
    for (int i = 0; i < n->input_count; i++) in[i] = n->inputs[i] ? n->inputs[i]->data : NULL;
    evaluation e = {.last = g, .node = n, .in = in, .results = results};
    hone_status status = evaluate_all(&e, err);
    hone_free(in);
    return status;
}

/* --- contents that move --- */

typedef struct tokens {
    hone_item item[4 * HONE_CONTENT_MAX]; /* what token i stands for */
    int count;
} tokens;

/* Input i as a tensor of tokens; *out stays NULL where too little is known. */
static hone_status tokens_of(const hone_infer *ctx, int i, tokens *t, hone_tensor **out, hone_error *err) {
    hone_content c, numbers;
    const hone_type *type = ctx->in[i];
    if (!hone_infer_items(ctx, i, &c) || !hone_type_is_concrete(type) || hone_type_count(type) != c.count)
        return HONE_OK;
    if (t->count + c.count > (int)(sizeof t->item / sizeof *t->item)) return HONE_OK;
    numbers.count = c.count;
    for (int k = 0; k < c.count; k++) {
        numbers.item[k] = (hone_item){HONE_ITEM_NUMBER, t->count};
        t->item[t->count++] = c.item[k];
    }
    return hone_content_tensor(&numbers, type, out, err);
}

static hone_status move_tokens(const hone_infer *ctx, const hone_tensor *const *in, const tokens *t,
                               hone_content *out, bool *moved, hone_error *err) {
    const hone_node *n = ctx->node;
    hone_tensor **results = hone_calloc((size_t)n->output_count + 1, sizeof(hone_tensor *));
    if (!results) return hone_fail_memory(err);
    hone_status status = hone_node_evaluate(n, in, results, err);
    const hone_tensor *y = results[0];
    *moved = status == HONE_OK && y && y->count <= HONE_CONTENT_MAX;
    for (int k = 0; *moved && k < y->count; k++) {
        int64_t token = hone_tensor_int(y, k);
        out->item[k] = token >= 0 && token < t->count ? t->item[token] : (hone_item){HONE_ITEM_UNKNOWN, 0};
    }
    if (*moved) out->count = (int)y->count;
    for (int o = 0; o < n->output_count; o++) hone_tensor_free(results[o]);
    hone_free(results);
    return status;
}

hone_status hone_content_move(const hone_infer *ctx, hone_content *out, bool *moved, hone_error *err) {
    const hone_node *n = ctx->node;
    const hone_slot *y = hone_op_output(n->op, 0);
    *moved = false;
    if (!hone_node_is_evaluable(n) || !y || !y->var) return HONE_OK;
    const hone_tensor **in = hone_calloc((size_t)n->input_count + 1, sizeof *in);
    hone_tensor **own = hone_calloc((size_t)n->input_count + 1, sizeof(hone_tensor *));
    tokens t = {.count = 0};
    hone_status status = in && own ? HONE_OK : hone_fail_memory(err);
    bool enough = true;
    for (int i = 0; i < n->input_count && status == HONE_OK && enough; i++) {
        if (!n->inputs[i]) continue;
        const hone_slot *slot = hone_op_input(n->op, i);
        if (slot && slot->var == y->var) { /* what is moved */
            status = tokens_of(ctx, i, &t, &own[i], err);
            in[i] = own[i];
        } else {
            in[i] = ctx->constant[i];
        }
        enough = in[i] != NULL;
    }
    if (status == HONE_OK && enough) status = move_tokens(ctx, in, &t, out, moved, err);
    for (int i = 0; own && i < n->input_count; i++) hone_tensor_free(own[i]);
    hone_free(in);
    hone_free(own);
    return status;
}
