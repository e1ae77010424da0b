/* Dynamic quantization: activations get their grid at every run. */
#include "compress/quantize.h"

#include <string.h>

/* x behind DynamicQuantizeLinear, once for all users. */
static hone_node *quantize_at_run(hone_quantize_job *j, hone_value *x) {
    const hone_op *op = hone_op_find("", "DynamicQuantizeLinear");
    for (size_t u = 0; u < x->use_count; u++)
        if (x->uses[u].node->op == op) return x->uses[u].node;
    return hone_graph_add_node(j->g, op, NULL, 1, &x, 3);
}

/* A number for each channel, as it is broadcast along axis `axis` of `rank`. */
static hone_value *by_channel(hone_quantize_job *j, const char *base, const char *suffix, hone_tensor *t,
                              int axis, int rank) {
    hone_tensor *wide = NULL;
    int64_t dims[HONE_MAX_RANK] = {t->count};
    if (axis == rank - 1 || t->count == 1) return hone_quantize_constant(j, base, suffix, t);
    for (int i = 1; i < rank - axis; i++) dims[i] = 1;
    if (hone_tensor_copy_of(t->dtype, rank - axis, dims, t->data, &wide, NULL) != HONE_OK) {
        hone_graph_out_of_memory(j->g);
        return NULL;
    }
    hone_value *v = hone_quantize_constant(j, base, suffix, wide);
    hone_tensor_free(wide);
    return v;
}

/* y = sum (x_scale w_scale) + bias */
static void scale_sums(hone_quantize_job *j, const hone_quantized_node *q, const hone_node *d,
                       hone_value *sum, int bias) {
    hone_graph *g = j->g;
    const hone_node *n = q->node;
    const int rank = n->outputs[0]->type.rank;
    hone_value *y = HONE_EMIT(g, "", "Cast", sum), *b = bias >= 0 ? n->inputs[bias] : NULL;
    if (y) hone_node_set_int(g, y->producer, "to", HONE_FLOAT32);
    hone_value *scale = by_channel(j, n->inputs[1]->name, ".scale", q->weight.scale, q->output_axis, rank);
    y = HONE_EMIT(g, "", "Mul", y, HONE_EMIT(g, "", "Mul", d->outputs[1], scale));
    if (b && q->output_axis != rank - 1) b = by_channel(j, b->name, "", b->data, q->output_axis, rank);
    if (b) y = HONE_EMIT(g, "", "Add", y, b);
    if (y) y->type = n->outputs[0]->type; /* asked for by the next product */
    hone_graph_replace(g, n->outputs[0], y);
    j->report->quantized_nodes++;
}

static hone_status quantize_node(hone_quantize_job *j, hone_quantized_node *q) {
    int bias = -1;
    hone_node *n = q->node;
    j->g->insert_before = n;
    hone_node *d = quantize_at_run(j, n->inputs[0]);
    const char *name = hone_arena_printf(j->g->arena, "%s.quantized", n->inputs[1]->name);
    hone_value *sum =
        d ? n->op->emit_integer(
                j->g, n, &(hone_integer_operands){d->outputs[0], d->outputs[2], q->weight.q, name}, &bias)
          : NULL;
    if (sum) scale_sums(j, q, d, sum, bias);
    j->g->insert_before = NULL;
    return hone_graph_check(j->g, j->err);
}

hone_status hone_quantize_dynamic(hone_quantize_job *j) {
    for (int i = 0; i < j->count; i++) HONE_TRY(quantize_node(j, &j->nodes[i]));
    return HONE_OK;
}
