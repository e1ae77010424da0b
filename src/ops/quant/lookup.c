/* Elementwise work between quantized values becomes one table of 256 entries:
 *
 *   x ─ DQ ─ Sigmoid, or a fused chain ─ Q          ⇒  Lookup(x, chain(what DQ makes of each of the 256 codes))
 *
 * The chain over the codes is a constant that folding computes with the chain's own kernels, and is quantized by Q's, so
 * that every bit is as it would have been. */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/engine/elementwise.h"
#include "ops/rewrites/rewrites.h"

#include <string.h>

#define CODES 256

/* --- Lookup --- y[i] = quantized(values[the bits of x[i]]) */

typedef struct params {
    hone_cut cut;
    hone_dtype to;
    float scale;
    int32_t zero;
    const hone_kernels *kernels;
    const uint8_t *table; /* NULL: the values are not known before */
    uint8_t space[CODES];
} params;

static void make_table(const params *p, const float *values, uint8_t *table) {
    if (p->to == HONE_INT8)
        p->kernels->quantize_s8(values, (int8_t *)table, CODES, p->scale, p->zero);
    else
        p->kernels->quantize_u8(values, table, CODES, p->scale, p->zero);
}

typedef struct job {
    const uint8_t *table, *x;
    uint8_t *y;
} job;

static void run_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    hone_lookup(j->table, j->x + begin, j->y + begin, end - begin);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    uint8_t own[CODES];
    job j = {.table = p->table ? p->table : own,
             .x = hone_step_in(step, frame, 0),
             .y = hone_step_out(step, frame, 0)};
    if (!p->table) make_table(p, hone_step_in(step, frame, 1), own);
    hone_cut_run(&p->cut, frame, run_range, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){.cut = hone_cut_make(hone_type_count(p->in[0]), 0.5, 64),
                  .to = p->out[0].dtype,
                  .scale = hone_node_float(p->node, "y_scale"),
                  .zero = (int32_t)hone_node_int(p->node, "y_zero_point"),
                  .kernels = hone_kernels_get()};
    if (p->constant[1]) {
        make_table(q, p->constant[1]->data, q->space);
        q->table = q->space;
    }
    p->params = q;
    p->run = run;
    p->kernel = "lookup";
    return HONE_OK;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *values = ctx->in[1];
    HONE_TRY(hone_infer_same(ctx, err));
    ctx->out[0].dtype = (hone_dtype)hone_node_int(ctx->node, "to");
    if (hone_type_is_concrete(values) && hone_type_count(values) != CODES)
        return hone_infer_fail(ctx, err, "the table must have %d values", CODES);
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    for (int i = 0; i < n->inputs[0]->type.rank; i++) hone_axes_same(out, 0, i, i);
}

const hone_op hone_op_lookup = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "Lookup",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 0, HONE_TYPES_BYTE, 0}, {"values", 0, HONE_TYPE(HONE_FLOAT32), 0}),
    .outputs = HONE_SLOTS({"Y", 0, HONE_TYPES_BYTE, 0}),
    .attrs = HONE_ATTRS({"to", HONE_ATTR_INT, .required = true}, {"y_scale", HONE_ATTR_FLOAT, .f = 1},
                        {"y_zero_point", HONE_ATTR_INT}),
    .infer = infer,
    .axes = axes,
    .overwrite = 1,
    .prepare = prepare,
    .doc = "for each of the 256 values of X another one: elementwise work between quantized values"};

/* --- the rewrite --- */

extern const hone_op hone_op_quantize_linear, hone_op_dequantize_linear;

static bool is_scalar(const hone_value *v) {
    return v && v->storage == HONE_STORAGE_CONSTANT && v->data && v->data->count == 1;
}

static bool is_byte(hone_dtype dtype) {
    return (HONE_TYPE(dtype) & HONE_TYPES_BYTE) != 0;
}

static int32_t zero_of(const hone_node *n) {
    return n->input_count > 2 && n->inputs[2] ? (int32_t)hone_tensor_int(n->inputs[2]->data, 0) : 0;
}

/* QuantizeLinear or DequantizeLinear with one constant scale. */
static bool has_one_scale(const hone_node *n) {
    const hone_value *zero = n->input_count > 2 ? n->inputs[2] : NULL;
    return is_scalar(n->inputs[1]) && (!zero || is_scalar(zero)) && hone_node_int(n, "block_size") == 0;
}

static bool same_shape(const hone_type *a, const hone_type *b) {
    if (a->rank < 0 || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i] || a->dims[i] == HONE_DIM_ANY) return false;
    return true;
}

/* What `n`, an elementwise operator or a fused chain, reads apart from single constants; NULL: several values, or one of
 * another shape. */
static hone_value *only_operand(const hone_node *n) {
    hone_value *only = NULL;
    for (int i = 0; i < n->input_count; i++) {
        hone_value *v = n->inputs[i];
        if (!v || is_scalar(v) || v == only) continue;
        if (only) return NULL;
        only = v;
    }
    return only && same_shape(&only->type, &n->outputs[0]->type) ? only : NULL;
}

/* What DequantizeLinear makes of each code, in the order of their bits. */
static hone_value *dequantized_codes(hone_graph *g, const hone_node *dq) {
    uint8_t codes[CODES];
    hone_tensor *t = NULL;
    if (hone_tensor_new(HONE_FLOAT32, 1, (int64_t[]){CODES}, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    float scale = *(const float *)dq->inputs[1]->data->data;
    for (int i = 0; i < CODES; i++) codes[i] = (uint8_t)i;
    if (dq->inputs[0]->type.dtype == HONE_INT8)
        hone_kernels_get()->dequantize_s8((const int8_t *)codes, t->data, CODES, scale, zero_of(dq));
    else
        hone_kernels_get()->dequantize_u8(codes, t->data, CODES, scale, zero_of(dq));
    hone_value *v = hone_graph_add_constant(g, "codes", t);
    hone_tensor_free(t);
    return v;
}

/* `n` once more, over the codes. */
static hone_node *over_codes(hone_graph *g, const hone_node *n, const hone_value *operand,
                             hone_value *codes) {
    hone_node *copy = codes ? hone_graph_add_node(g, n->op, n->name, 0, NULL, 1) : NULL;
    for (int i = 0; copy && i < n->input_count; i++)
        hone_node_set_input(g, copy, i, n->inputs[i] == operand ? codes : n->inputs[i]);
    if (!copy) return NULL;
    hone_node_copy_attrs(g, copy, n);
    copy->map = n->map;
    return copy;
}

static void lower(hone_graph *g, hone_node *q, int *changes) {
    const hone_node *n = q->inputs[0]->producer;
    if (!n || !hone_op_is_elementwise(n->op) || n->output_count != 1 || !has_one_scale(q)) return;
    if (q->inputs[0]->use_count != 1 || hone_graph_is_output(g, q->inputs[0])) return;
    const hone_value *operand = only_operand(n);
    const hone_node *dq = operand ? operand->producer : NULL;
    if (!dq || dq->op != &hone_op_dequantize_linear || !has_one_scale(dq)) return;
    hone_value *x = dq->inputs[0];
    if (!is_byte(x->type.dtype) || x->storage == HONE_STORAGE_CONSTANT) return;
    g->insert_before = q;
    const hone_node *values = over_codes(g, n, operand, dequantized_codes(g, dq));
    hone_node *lookup = values ? hone_graph_add_node(g, &hone_op_lookup, q->name, 2,
                                                     (hone_value *[]){x, values->outputs[0]}, 1)
                               : NULL;
    g->insert_before = NULL;
    if (!lookup) return;
    hone_node_set_int(g, lookup, "to", q->outputs[0]->type.dtype);
    hone_node_set_float(g, lookup, "y_scale", *(const float *)q->inputs[1]->data->data);
    hone_node_set_int(g, lookup, "y_zero_point", zero_of(q));
    lookup->outputs[0]->type = q->outputs[0]->type;
    hone_graph_replace(g, q->outputs[0], lookup->outputs[0]);
    ++*changes;
}

hone_status hone_rewrite_lower_lookups(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first; n; n = n->next)
        if (n->op == &hone_op_quantize_linear &&
            n->outputs[0]->use_count + hone_graph_is_output(g, n->outputs[0]))
            lower(g, n, changes);
    return hone_graph_check(g, err);
}
