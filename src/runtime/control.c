#include "runtime/control.h"

#include "graph/infer.h"

#include <string.h>

/* Lengths and places of what a Scan takes apart: [outer, length, inner]. */
typedef struct slices {
    int64_t outer, inner;
    int64_t dims[HONE_MAX_RANK]; /* of one slice */
    bool reversed;
} slices;

typedef struct params {
    const hone_body *body[2];
    hone_type *in, *out; /* of the step; out: not concrete where only the run knows */
    int own_inputs;      /* without captures */
    int carried;
    int64_t length; /* of a Scan */
    slices *inputs; /* of each scan input */
    int64_t *axes;  /* of each scan output; negative: as the attribute has it */
    bool *reversed; /* likewise */
    int scan_outputs;
} params;

/* --- operands --- */

static size_t bytes_of(const hone_operand *x) {
    size_t bytes = sizeof(hone_tensor *);
    if (!x->handle) hone_shape_size(x->dtype, x->rank, x->dims, NULL, &bytes, NULL);
    return bytes;
}

static hone_operand input_of(const hone_step *s, const hone_frame *f, int i) {
    const params *p = s->params;
    const hone_type *t = &p->in[i];
    return hone_operand_of(hone_step_in(s, f, i), t);
}

/* What the body captures, behind its inputs. */
static void add_captures(const hone_step *s, const hone_frame *f, const hone_body *b, hone_operand *at) {
    const params *p = s->params;
    for (size_t k = 0; k < b->graph->capture_count; k++)
        if (b->graph->captures[k]) *at++ = input_of(s, f, p->own_inputs + (int)k);
}

/* What an optional value holds, where x is one. */
static hone_status take_out(const hone_step *s, int o, hone_operand *x, hone_error *err) {
    const hone_tensor *t = *(const hone_tensor *const *)x->data;
    if (hone_tensor_kind(t) != HONE_KIND_OPTIONAL) return HONE_OK;
    if (t->count == 0) return hone_step_fail(s, err, "output %d is an optional value that holds nothing", o);
    const hone_tensor *item = hone_tensor_item(t, 0);
    if (hone_tensor_kind(item) == HONE_KIND_TENSOR)
        *x = (hone_operand){item->data, item->dims, item->rank, item->dtype, false};
    else
        x->data = t->data;
    return HONE_OK;
}

/* Output o of the step becomes x. */
static hone_status give(const hone_step *s, hone_frame *f, int o, hone_operand x, hone_error *err) {
    const params *p = s->params;
    void *to = NULL;
    if (o >= s->out_count || s->out[o] < 0) return HONE_OK;
    if (x.handle && p->out[o].kind != HONE_KIND_OPTIONAL) HONE_TRY(take_out(s, o, &x, err));
    size_t bytes = bytes_of(&x);
    if (hone_type_is_concrete(&p->out[o])) {
        to = hone_step_out(s, f, o);
        if (hone_type_bytes(&p->out[o]) != bytes)
            return hone_step_fail(s, err, "output %d has another shape than was inferred", o);
    } else {
        HONE_TRY(f->output(f, s, o, x.rank, x.dims, &to, err));
    }
    if (bytes) memcpy(to, x.data, bytes);
    return HONE_OK;
}

static const hone_growth *growth_of(const hone_frame *f) {
    return &((const hone_running *)f->owner)->context->growth;
}

static hone_activation *activation_of(const hone_frame *f, const hone_body *b) {
    const hone_running *r = f->owner;
    return &r->context->activations[b->index];
}

static hone_status run_body(hone_frame *f, const hone_body *b, const hone_operand *inputs, hone_error *err) {
    const hone_running *r = f->owner;
    hone_context *c = r->context;
    if (c->cancel && c->cancel(c->cancel_user))
        return hone_fail(err, HONE_CANCELLED, "the run was cancelled");
    return hone_activation_run(c, activation_of(f, b), inputs, false, err);
}

/* --- If --- */

static hone_status run_branch(const hone_step *s, hone_frame *f, hone_error *err) {
    const params *p = s->params;
    const hone_body *b = p->body[*(const uint8_t *)hone_step_in(s, f, 0) ? 0 : 1];
    hone_operand *operands = hone_step_scratch(s, f);
    add_captures(s, f, b, operands);
    HONE_TRY(run_body(f, b, operands, err));
    for (int o = 0; o < s->out_count; o++) {
        hone_operand x = hone_activation_output(activation_of(f, b), (size_t)o);
        HONE_TRY(give(s, f, o, x, err));
    }
    return HONE_OK;
}

/* --- carried values --- */

/* An optional value that holds x. */
static hone_status put_in(hone_frame *f, const hone_operand *x, hone_tensor **out, hone_error *err) {
    hone_tensor *item = NULL, *t = NULL;
    if (x->handle)
        item = hone_tensor_retain(*(hone_tensor *const *)x->data);
    else
        HONE_TRY(hone_tensor_copy_of(x->dtype, x->rank, x->dims, x->data, &item, err));
    hone_status status = hone_tensor_of_items(HONE_KIND_OPTIONAL, item->dtype, &item, 1, &t, err);
    hone_tensor_free(item);
    *out = t;
    return status == HONE_OK ? hone_kept_add(f->kept, t, err) : status;
}

/* The body's outputs from `first` on become what its next run is given, for its inputs from `to` on. */
static hone_status keep_carried(hone_frame *f, const hone_body *b, int first, int to, int count,
                                hone_loop_state *l, hone_operand *operands, hone_error *err) {
    for (int i = 0; i < count; i++) {
        hone_operand x = hone_activation_output(activation_of(f, b), (size_t)(first + i));
        hone_carried *c = &l->carried[i];
        hone_tensor *held;
        if (b->graph->inputs[to + i]->type.kind == HONE_KIND_OPTIONAL &&
            b->graph->outputs[first + i]->type.kind != HONE_KIND_OPTIONAL) {
            HONE_TRY(put_in(f, &x, &held, err));
            x = (hone_operand){&held, NULL, HONE_RANK_ANY, x.dtype, true};
        }
        size_t bytes = bytes_of(&x);
        HONE_TRY(hone_block_grow(&c->block, bytes ? bytes : 1, false, growth_of(f), err));
        if (bytes) memcpy(c->block.data, x.data, bytes);
        c->rank = x.rank;
        if (x.rank > 0) memcpy(c->dims, x.dims, (size_t)x.rank * sizeof *c->dims);
        operands[to + i] = (hone_operand){c->block.data, c->dims, c->rank, x.dtype, x.handle};
    }
    return HONE_OK;
}

/* --- Loop --- */

static hone_status push(const hone_step *s, hone_stack *t, const hone_operand *x, int output,
                        const hone_growth *g, hone_error *err) {
    size_t bytes = bytes_of(x), size = t->block.size ? t->block.size : 4096;
    if (t->rows && (t->rank != x->rank || memcmp(t->dims, x->dims, (size_t)x->rank * sizeof *t->dims) != 0))
        return hone_step_fail(s, err, "scan output %d changes its shape from run to run", output);
    if (x->rank == HONE_MAX_RANK)
        return hone_step_fail(s, err, "scan output %d has too many dimensions", output);
    while (size < t->used + bytes) size *= 2;
    HONE_TRY(hone_block_grow(&t->block, size, true, g, err));
    if (bytes) memcpy((char *)t->block.data + t->used, x->data, bytes);
    t->used += bytes;
    t->rows++;
    t->rank = x->rank;
    if (x->rank > 0) memcpy(t->dims, x->dims, (size_t)x->rank * sizeof *t->dims);
    return HONE_OK;
}

/* All rows as one tensor; of none, the shape that the body declares, with 0 for what it leaves open. */
static hone_status give_stack(const hone_step *s, hone_frame *f, int o, const hone_stack *t,
                              const hone_type *row, hone_error *err) {
    int64_t dims[HONE_MAX_RANK] = {t->rows};
    int rank = t->rows ? t->rank : row->rank < 0 ? 0 : row->rank;
    for (int i = 0; i < rank; i++) dims[i + 1] = t->rows ? t->dims[i] : row->dims[i] < 0 ? 0 : row->dims[i];
    hone_operand x = {t->block.data, dims, rank + 1, row->dtype};
    return give(s, f, o, x, err);
}

static hone_status run_loop(const hone_step *s, hone_frame *f, hone_error *err) {
    const params *p = s->params;
    const hone_body *b = p->body[0];
    const hone_graph *g = b->graph;
    hone_activation *a = activation_of(f, b);
    hone_loop_state *l;
    HONE_TRY(hone_loop_state_get(&a->loop, p->carried, p->scan_outputs, &l, err));
    const int64_t *limit = hone_step_in(s, f, 0), one[] = {1};
    const uint8_t *first = hone_step_in(s, f, 1);
    int64_t trip = 0, end = limit ? *limit : INT64_MAX;
    uint8_t go = first ? *first != 0 : 1;
    hone_operand *operands = hone_step_scratch(s, f);
    operands[0] = (hone_operand){&trip, one, g->inputs[0]->type.rank == 1, HONE_INT64};
    operands[1] = (hone_operand){&go, one, g->inputs[1]->type.rank == 1, HONE_BOOL};
    for (int i = 0; i < p->carried; i++) operands[2 + i] = input_of(s, f, 2 + i);
    add_captures(s, f, b, operands + 2 + p->carried);
    for (int i = 0; i < p->scan_outputs; i++) l->stacks[i].used = (size_t)(l->stacks[i].rows = 0);
    for (; trip < end && go; trip++) {
        HONE_TRY(run_body(f, b, operands, err));
        hone_operand cond = hone_activation_output(a, 0);
        if (bytes_of(&cond) != 1) return hone_step_fail(s, err, "the body's condition is not one bool");
        uint8_t next = *(const uint8_t *)cond.data != 0;
        HONE_TRY(keep_carried(f, b, 1, 2, p->carried, l, operands, err));
        for (int i = 0; i < p->scan_outputs; i++) {
            hone_operand x = hone_activation_output(a, (size_t)(1 + p->carried + i));
            HONE_TRY(push(s, &l->stacks[i], &x, i, growth_of(f), err));
        }
        go = next;
    }
    for (int i = 0; i < p->carried; i++) HONE_TRY(give(s, f, i, operands[2 + i], err));
    for (int i = 0; i < p->scan_outputs; i++)
        HONE_TRY(give_stack(s, f, p->carried + i, &l->stacks[i], &g->outputs[1 + p->carried + i]->type, err));
    return HONE_OK;
}

/* --- Scan --- */

/* Slice `at` of scan input i, together: where it lies, or copied. */
static hone_status take_slice(const hone_step *s, const hone_frame *f, int i, int64_t at, hone_stack *room,
                              hone_operand *out, hone_error *err) {
    const params *p = s->params;
    const slices *d = &p->inputs[i];
    hone_operand x = input_of(s, f, p->carried + i);
    size_t run = (size_t)d->inner * hone_dtype_size(x.dtype);
    if (d->reversed) at = p->length - 1 - at;
    *out = (hone_operand){(char *)x.data + (size_t)at * run, d->dims, x.rank - 1, x.dtype};
    if (d->outer == 1) return HONE_OK;
    HONE_TRY(hone_block_grow(&room->block, (size_t)d->outer * run + 1, false, growth_of(f), err));
    for (int64_t k = 0; k < d->outer; k++)
        memcpy((char *)room->block.data + (size_t)k * run,
               (const char *)x.data + (size_t)(k * p->length + at) * run, run);
    out->data = room->block.data;
    return HONE_OK;
}

/* Where the rows of scan output j, which are like `row`, go along. */
static hone_status output_axis(const hone_step *s, int j, const hone_operand *row, int *axis,
                               hone_error *err) {
    const params *p = s->params;
    int64_t at = p->axes[j] < 0 ? p->axes[j] + row->rank + 1 : p->axes[j];
    if (row->rank == HONE_MAX_RANK)
        return hone_step_fail(s, err, "scan output %d has too many dimensions", j);
    if (at < 0 || at > row->rank)
        return hone_step_fail(s, err,
                              "scan_output_axes: axis %lld is outside of the %d dimensions of scan output %d",
                              (long long)p->axes[j], row->rank + 1, j);
    *axis = (int)at;
    return HONE_OK;
}

/* Memory for scan output j, whose rows are like `row`; *axis is where they go along. NULL: nobody wants it. */
static hone_status place_output(const hone_step *s, hone_frame *f, int j, const hone_operand *row, int *axis,
                                void **to, hone_error *err) {
    const params *p = s->params;
    int o = p->carried + j;
    int64_t dims[HONE_MAX_RANK];
    *to = NULL;
    if (o >= s->out_count || s->out[o] < 0) return HONE_OK;
    HONE_TRY(output_axis(s, j, row, axis, err));
    for (int i = 0; i <= row->rank; i++) dims[i] = i == *axis ? p->length : row->dims[i < *axis ? i : i - 1];
    if (!hone_type_is_concrete(&p->out[o])) return f->output(f, s, o, row->rank + 1, dims, to, err);
    *to = hone_step_out(s, f, o);
    if (memcmp(p->out[o].dims, dims, (size_t)(row->rank + 1) * sizeof *dims) != 0)
        return hone_step_fail(s, err, "output %d has another shape than was inferred", o);
    return HONE_OK;
}

static hone_status put_slice(const hone_step *s, hone_frame *f, int j, int64_t at, const hone_operand *row,
                             hone_stack *first, hone_error *err) {
    const params *p = s->params;
    int o = p->carried + j, axis = 0;
    void *to = o < s->out_count && s->out[o] >= 0 ? f->address[s->out[o]] : NULL;
    if (at == 0) {
        HONE_TRY(place_output(s, f, j, row, &axis, &to, err));
        first->rank = row->rank;
        if (row->rank > 0) memcpy(first->dims, row->dims, (size_t)row->rank * sizeof *first->dims);
    } else if (first->rank != row->rank ||
               memcmp(first->dims, row->dims, (size_t)row->rank * sizeof *first->dims) != 0) {
        return hone_step_fail(s, err, "scan output %d changes its shape from run to run", j);
    }
    if (!to) return HONE_OK;
    HONE_TRY(output_axis(s, j, row, &axis, err));
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < row->rank; i++) *(i < axis ? &outer : &inner) *= row->dims[i];
    size_t run = (size_t)inner * hone_dtype_size(row->dtype);
    if (p->reversed[j]) at = p->length - 1 - at;
    for (int64_t k = 0; k < outer && run; k++)
        memcpy((char *)to + (size_t)(k * p->length + at) * run, (const char *)row->data + (size_t)k * run,
               run);
    return HONE_OK;
}

/* Of no slices: the shapes that the body declares. */
static hone_status put_nothing(const hone_step *s, hone_frame *f, const hone_graph *g, hone_error *err) {
    const params *p = s->params;
    for (int j = 0; j < p->scan_outputs; j++) {
        const hone_type *t = &g->outputs[p->carried + j]->type;
        int64_t dims[HONE_MAX_RANK];
        int rank = t->rank < 0 ? 0 : t->rank, axis;
        void *to;
        for (int i = 0; i < rank; i++) dims[i] = t->dims[i] < 0 ? 0 : t->dims[i];
        hone_operand row = {NULL, dims, rank, t->dtype};
        HONE_TRY(place_output(s, f, j, &row, &axis, &to, err));
    }
    return HONE_OK;
}

static hone_status run_scan(const hone_step *s, hone_frame *f, hone_error *err) {
    const params *p = s->params;
    const hone_body *b = p->body[0];
    hone_activation *a = activation_of(f, b);
    int scans = p->own_inputs - p->carried;
    hone_loop_state *l;
    HONE_TRY(hone_loop_state_get(&a->loop, p->carried, scans + p->scan_outputs, &l, err));
    hone_operand *operands = hone_step_scratch(s, f);
    for (int i = 0; i < p->carried; i++) operands[i] = input_of(s, f, i);
    add_captures(s, f, b, operands + p->own_inputs);
    for (int64_t at = 0; at < p->length; at++) {
        for (int i = 0; i < scans; i++)
            HONE_TRY(take_slice(s, f, i, at, &l->stacks[i], &operands[p->carried + i], err));
        HONE_TRY(run_body(f, b, operands, err));
        HONE_TRY(keep_carried(f, b, 0, 0, p->carried, l, operands, err));
        for (int j = 0; j < p->scan_outputs; j++) {
            hone_operand row = hone_activation_output(a, (size_t)(p->carried + j));
            HONE_TRY(put_slice(s, f, j, at, &row, &l->stacks[scans + j], err));
        }
    }
    for (int i = 0; i < p->carried; i++) HONE_TRY(give(s, f, i, operands[i], err));
    return p->length ? HONE_OK : put_nothing(s, f, b->graph, err);
}

/* --- SequenceMap --- */

static const hone_tensor *items_of(const hone_step *s, const hone_frame *f, int i) {
    return *(const hone_tensor *const *)hone_step_in(s, f, i);
}

/* How many items the sequences have. */
static hone_status count_items(const hone_step *s, const hone_frame *f, int64_t *out, hone_error *err) {
    const params *p = s->params;
    *out = items_of(s, f, 0)->count;
    for (int i = 1; i < p->own_inputs; i++)
        if (p->in[i].kind == HONE_KIND_SEQUENCE && items_of(s, f, i)->count != *out)
            return hone_step_fail(s, err, "sequences of %lld and %lld items", (long long)*out,
                                  (long long)items_of(s, f, i)->count);
    return HONE_OK;
}

/* items[o * count + k]: what output o gets of run k. */
static hone_status map_items(const hone_step *s, hone_frame *f, int64_t count, hone_tensor **items,
                             hone_error *err) {
    const params *p = s->params;
    const hone_body *b = p->body[0];
    hone_operand *operands = hone_step_scratch(s, f);
    add_captures(s, f, b, operands + p->own_inputs);
    for (int64_t k = 0; k < count; k++) {
        for (int i = 0; i < p->own_inputs; i++) {
            operands[i] = input_of(s, f, i);
            if (!operands[i].handle) continue;
            const hone_tensor *t = hone_tensor_item(items_of(s, f, i), k);
            operands[i] = (hone_operand){t->data, t->dims, t->rank, t->dtype, false};
        }
        HONE_TRY(run_body(f, b, operands, err));
        for (int o = 0; o < s->out_count; o++) {
            hone_operand x = hone_activation_output(activation_of(f, b), (size_t)o);
            HONE_TRY(hone_tensor_copy_of(x.dtype, x.rank, x.dims, x.data, &items[o * count + k], err));
        }
    }
    return HONE_OK;
}

static hone_status give_items(const hone_step *s, hone_frame *f, int o, hone_tensor *const *items,
                              int64_t count, hone_error *err) {
    const params *p = s->params;
    hone_tensor *t = NULL;
    HONE_TRY(hone_tensor_of_items(HONE_KIND_SEQUENCE, p->out[o].dtype, items, count, &t, err));
    HONE_TRY(hone_kept_add(f->kept, t, err));
    hone_tensor **out = hone_step_out(s, f, o);
    if (out) *out = t;
    return HONE_OK;
}

static hone_status run_map(const hone_step *s, hone_frame *f, hone_error *err) {
    int64_t count;
    HONE_TRY(count_items(s, f, &count, err));
    hone_tensor **items = hone_calloc((size_t)(count * s->out_count) + 1, sizeof *items);
    if (!items) return hone_fail_memory(err);
    hone_status status = map_items(s, f, count, items, err);
    for (int o = 0; o < s->out_count && status == HONE_OK; o++)
        status = give_items(s, f, o, items + o * count, count, err);
    for (int64_t i = 0; i < count * s->out_count; i++) hone_tensor_free(items[i]);
    hone_free(items);
    return status;
}

/* --- preparing --- */

static hone_status find_bodies(const hone_prepare *p, const hone_model *m, params *q, hone_error *err) {
    for (int i = 0; i < 2; i++) {
        const hone_graph *sub = hone_node_subgraph(p->node, i);
        for (size_t k = 0; k < m->body_count && sub; k++)
            if (m->bodies[k].graph == sub) q->body[i] = &m->bodies[k];
        if (sub && !q->body[i]) return hone_fail(err, HONE_INTERNAL, "a subgraph was not compiled");
    }
    if (p->node->op->role != HONE_ROLE_BRANCH) return HONE_OK;
    /* attributes come in any order */
    const hone_graph *then = hone_node_graph(p->node, p->node->op->attrs[0].name);
    if (q->body[0]->graph == then) return HONE_OK;
    const hone_body *other = q->body[0];
    q->body[0] = q->body[1];
    q->body[1] = other;
    return HONE_OK;
}

static hone_status check_kinds(const hone_prepare *p, hone_error *err) {
    for (int i = 0; i < p->in_count; i++)
        if (p->in[i] && p->in[i]->kind == HONE_KIND_TENSOR && hone_dtype_size(p->in[i]->dtype) == 0)
            return hone_prepare_fail(p, err, "%s inside of control flow is not supported",
                                     hone_dtype_name(p->in[i]->dtype));
    for (int o = 0; o < p->out_count; o++)
        if (p->node->outputs[o] && p->out[o].kind == HONE_KIND_TENSOR &&
            hone_dtype_size(p->out[o].dtype) == 0)
            return hone_prepare_fail(p, err, "%s inside of control flow is not supported",
                                     hone_dtype_name(p->out[o].dtype));
    return HONE_OK;
}

static int64_t listed(const hone_node *n, const char *name, int i) {
    size_t count;
    const int64_t *x = hone_node_ints(n, name, &count);
    return x && (size_t)i < count ? x[i] : 0;
}

static hone_status prepare_scan(hone_prepare *p, params *q, hone_error *err) {
    int scans = (int)hone_node_int(p->node, "num_scan_inputs");
    q->carried = q->own_inputs - scans;
    q->scan_outputs = (int)q->body[0]->graph->output_count - q->carried;
    q->inputs = hone_prepare_alloc(p, ((size_t)scans + 1) * sizeof *q->inputs);
    q->axes = hone_prepare_alloc(p, ((size_t)q->scan_outputs + 1) * sizeof *q->axes);
    q->reversed = hone_prepare_alloc(p, ((size_t)q->scan_outputs + 1) * sizeof *q->reversed);
    if (!q->inputs || !q->axes || !q->reversed) return hone_fail_memory(err);
    for (int i = 0; i < scans; i++) {
        const hone_type *t = p->in[q->carried + i];
        int64_t axis = listed(p->node, "scan_input_axes", i);
        if (axis < 0) axis += t->rank;
        slices *d = &q->inputs[i];
        *d = (slices){.outer = 1, .inner = 1, .reversed = listed(p->node, "scan_input_directions", i) != 0};
        for (int k = 0, to = 0; k < t->rank; k++) {
            if (k == axis) continue;
            d->dims[to++] = t->dims[k];
            *(k < axis ? &d->outer : &d->inner) *= t->dims[k];
        }
        q->length = t->dims[axis];
    }
    for (int j = 0; j < q->scan_outputs; j++) {
        q->axes[j] = listed(p->node, "scan_output_axes", j);
        q->reversed[j] = listed(p->node, "scan_output_directions", j) != 0;
    }
    return HONE_OK;
}

static hone_status copy_types(hone_prepare *p, params *q, hone_error *err) {
    q->in = hone_prepare_alloc(p, ((size_t)p->in_count + 1) * sizeof *q->in);
    q->out = hone_prepare_alloc(p, ((size_t)p->out_count + 1) * sizeof *q->out);
    if (!q->in || !q->out) return hone_fail_memory(err);
    for (int i = 0; i < p->in_count; i++)
        if (p->in[i]) q->in[i] = *p->in[i];
    for (int o = 0; o < p->out_count; o++) q->out[o] = p->out[o];
    return HONE_OK;
}

hone_status hone_control_prepare(hone_prepare *p, const hone_model *m, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    HONE_TRY(check_kinds(p, err));
    HONE_TRY(find_bodies(p, m, q, err));
    HONE_TRY(copy_types(p, q, err));
    q->own_inputs = p->node->capture_first;
    size_t widest = q->body[0]->graph->input_count + (size_t)p->in_count + 2;
    p->scratch = widest * sizeof(hone_operand);
    p->params = q;
    switch (p->node->op->role) {
    case HONE_ROLE_BRANCH:
        p->run = run_branch;
        p->kernel = "branch";
        return HONE_OK;
    case HONE_ROLE_ITEMS:
        p->run = run_map;
        p->kernel = "map";
        return HONE_OK;
    case HONE_ROLE_SCAN:
        p->run = run_scan;
        p->kernel = "scan";
        return prepare_scan(p, q, err);
    default:
        q->carried = q->own_inputs > 2 ? q->own_inputs - 2 : 0;
        q->scan_outputs = (int)q->body[0]->graph->output_count - 1 - q->carried;
        p->run = run_loop;
        p->kernel = "loop";
        return HONE_OK;
    }
}
