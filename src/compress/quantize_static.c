/* Static quantization: grids from calibration data, and QuantizeLinear and DequantizeLinear wherever they stand. */
#include "compress/grids.h"
#include "compress/quantize.h"

#include <string.h>

static hone_value *dequantize(hone_quantize_job *j, hone_value *q, hone_value *scale, hone_value *zero,
                              int axis) {
    hone_value *y = HONE_EMIT(j->g, "", "DequantizeLinear", q, scale, zero);
    if (y && axis >= 0) hone_node_set_int(j->g, y->producer, "axis", axis);
    return y;
}

/* --- activations --- */

/* Where x is only what its maker holds within limits, the grid may do that: what goes beyond gets the first and the last
 * code anyway. */
static hone_value *without_limits(hone_graph *g, hone_value *x, hone_grid grid) {
    const hone_node *n = x->producer;
    double low, high;
    if (!n || !n->op->limits || !n->op->limits(n, &low, &high)) return x;
    if (x->use_count != 1 || hone_graph_is_output(g, x)) return x;
    return hone_grid_code(grid, low) == 0 && hone_grid_code(grid, high) == 255 ? n->inputs[0] : x;
}

/* Q and DQ behind x, and its readers go over to them. */
static hone_status set_grid(hone_quantize_job *j, const hone_grids *grids, hone_value *x, hone_grid grid) {
    hone_graph *g = j->g;
    size_t count = x->use_count, moved = 0;
    hone_use *uses = hone_alloc((count + 1) * sizeof *uses);
    if (!uses) return hone_fail_memory(j->err);
    for (size_t i = 0; i < count; i++)
        if (hone_grids_are_read(grids, x, &x->uses[i])) uses[moved++] = x->uses[i];
    g->insert_before = x->producer ? x->producer->next : g->first;
    hone_value *scale = hone_quantize_scalar(j, HONE_FLOAT32, grid.scale),
               *zero = hone_quantize_scalar(j, HONE_UINT8, grid.zero);
    hone_value *q = HONE_EMIT(g, "", "QuantizeLinear", x, scale, zero),
               *y = dequantize(j, q, scale, zero, -1);
    g->insert_before = NULL;
    for (size_t i = 0; i < moved && y; i++) hone_node_set_input(g, uses[i].node, uses[i].index, y);
    hone_free(uses);
    if (y) hone_node_set_input(g, q->producer, 0, without_limits(g, x, grid));
    return hone_graph_check(g, j->err);
}

/* --- weights --- */

/* Codes and their scales as reals: along `axis`, or by the one scale that all channels share. */
static hone_value *real_of(hone_quantize_job *j, const char *name, hone_tensor *codes, hone_tensor *scale,
                           bool shared, int axis) {
    hone_value *q = hone_quantize_constant(j, name, ".quantized", codes);
    if (shared)
        return dequantize(j, q, hone_quantize_scalar(j, HONE_FLOAT32, *(const float *)scale->data), NULL, -1);
    return dequantize(j, q, hone_quantize_constant(j, name, ".scale", scale), NULL, axis);
}

/* The third input's bias, a vector; another one stays float. */
static hone_status wire_bias(hone_quantize_job *j, hone_quantized_node *q, float x_scale) {
    hone_node *n = q->node;
    hone_value *b = n->input_count > 2 ? n->inputs[2] : NULL;
    hone_codes bias = {.q = NULL};
    bool fits;
    if (!b) return HONE_OK;
    HONE_TRY(
        hone_codes_of_bias(b->data, n->inputs[1]->data, q->axis, x_scale, &q->weight, &bias, &fits, j->err));
    if (fits) hone_node_set_input(j->g, n, 2, real_of(j, b->name, bias.q, bias.scale, q->weight.shared, 0));
    hone_codes_free(&bias);
    return HONE_OK;
}

/* The scale of the grid that v is on, behind moves. */
static float scale_of(const hone_value *v) {
    while (v->producer->op->role != HONE_ROLE_DEQUANTIZE) v = v->producer->inputs[0];
    return *(const float *)v->producer->inputs[1]->data->data;
}

static bool same_bytes(const hone_tensor *a, const hone_tensor *b) {
    return a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
}

/* What an earlier node made of the same weight; NULL: there is none, or its scales are others. */
static hone_value *same_weight(const hone_quantize_job *j, const hone_quantized_node *q,
                               const hone_value *w) {
    for (const hone_quantized_node *e = j->nodes; e < q; e++)
        if (e->float_weight == w && e->axis == q->axis && e->weight.bits == q->weight.bits &&
            same_bytes(e->weight.scale, q->weight.scale) && same_bytes(e->weight.q, q->weight.q))
            return e->node->inputs[1];
    return NULL;
}

static hone_status wire_node(hone_quantize_job *j, hone_quantized_node *q) {
    hone_node *n = q->node;
    hone_value *w = n->inputs[1];
    q->float_weight = w;
    j->g->insert_before = n;
    HONE_TRY(wire_bias(j, q, scale_of(n->inputs[0])));
    hone_value *y = same_weight(j, q, w);
    if (!y) { /* without a zero point: it is 0 */
        hone_tensor *codes = NULL;
        HONE_TRY(hone_codes_pack(q->weight.q, hone_codes_stored_bits(&q->weight, true), &codes, j->err));
        y = real_of(j, w->name, codes, q->weight.scale, q->weight.shared, q->axis);
        hone_tensor_free(codes);
    }
    hone_node_set_input(j->g, n, 1, y);
    j->g->insert_before = NULL;
    j->report->quantized_nodes++;
    return hone_graph_check(j->g, j->err);
}

/* --- */

static hone_status calibrate(hone_quantize_job *j, const hone_dataset *data, const hone_grids *grids,
                             hone_range *ranges) {
    const hone_quantize_options *o = j->options;
    const char **names = hone_calloc((size_t)grids->count + 1, sizeof *names);
    if (!names) return hone_fail_memory(j->err);
    for (int i = 0; i < grids->count; i++) names[i] = grids->values[i]->name;
    hone_status status = hone_calibrate(j->g, data, &o->task, o->calibration_samples, o->threads, names,
                                        grids->count, &o->calibration, ranges, j->err);
    hone_free(names);
    return status;
}

static hone_code_format format_of(const hone_quantize_job *j, int i) {
    hone_code_format f = hone_quantize_format(j, j->nodes[i].node->inputs[1], i, j->count);
    f.block = 0;
    f.shared = j->options->per_tensor;
    return f;
}

/* Weights as the options want them; those that there are have 8 bits. */
static hone_status make_codes(hone_quantize_job *j, const hone_dataset *data) {
    const hone_quantize_options *o = j->options;
    HONE_TRY(hone_quantize_moments(j, data));
    for (int i = 0; i < j->count; i++) {
        hone_quantized_node *q = &j->nodes[i];
        const hone_code_format f = format_of(j, i);
        if (f.bits != 8 || f.shared || o->rounding != HONE_ROUND_AUTO) {
            hone_codes_free(&q->weight);
            HONE_TRY(
                hone_codes_of_weight(q->node->inputs[1]->data, q->axis, &f, &q->moments, &q->weight, j->err));
        }
        HONE_TRY(hone_quantize_correct(j, q, 0));
    }
    return HONE_OK;
}

static hone_status train(hone_quantize_job *j, const hone_dataset *data) {
    hone_value **weights = hone_calloc((size_t)j->count + 1, sizeof *weights);
    hone_code_format *formats = hone_calloc((size_t)j->count + 1, sizeof *formats);
    hone_status status = weights && formats ? HONE_OK : hone_fail_memory(j->err);
    for (int i = 0; i < j->count && status == HONE_OK; i++) {
        weights[i] = j->nodes[i].node->inputs[1];
        formats[i] = format_of(j, i);
    }
    if (status == HONE_OK) status = hone_quantize_train(j, data, weights, formats);
    hone_free(weights);
    hone_free(formats);
    return status;
}

hone_status hone_quantize_static(hone_quantize_job *j, const hone_dataset *data) {
    hone_grids grids;
    if (j->count == 0) return HONE_OK;
    HONE_TRY(make_codes(j, data));
    HONE_TRY(hone_grids_find(j, &grids, j->err));
    hone_range *ranges = hone_calloc((size_t)grids.count + 1, sizeof *ranges);
    hone_status status = ranges ? calibrate(j, data, &grids, ranges) : hone_fail_memory(j->err);
    for (int i = 0; i < grids.count && status == HONE_OK; i++)
        status = set_grid(j, &grids, grids.values[i], hone_grid_of(ranges[i]));
    if (status == HONE_OK && hone_quantize_trains(j->options)) status = train(j, data);
    for (int i = 0; i < j->count && status == HONE_OK; i++) status = wire_node(j, &j->nodes[i]);
    j->g->insert_before = NULL;
    hone_free(ranges);
    hone_grids_free(&grids);
    return status;
}
