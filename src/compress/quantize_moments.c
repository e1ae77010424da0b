/* What calibration data say of weights: which ones must be right, and what rounding them does to means. */
#include "compress/quantize.h"

hone_code_format hone_quantize_format(const hone_quantize_job *j, const hone_value *w, int index, int count) {
    const hone_quantize_options *o = j->options;
    const bool edge = index == 0 || index == count - 1;
    return (hone_code_format){.bits = hone_quantize_keeps(j, w)        ? 8
                                      : edge && o->edge_bits > o->bits ? o->edge_bits
                                                                       : o->bits,
                              .block = o->block,
                              .asymmetric = o->asymmetric,
                              .rounding = o->rounding};
}

static bool wants_moments(const hone_quantize_options *o) {
    if (o->rounding == HONE_ROUND_GPTQ || o->correct_bias) return true;
    return o->rounding == HONE_ROUND_SEARCH || (o->rounding == HONE_ROUND_AUTO && o->bits < 8);
}

hone_status hone_quantize_moments(hone_quantize_job *j, const hone_dataset *data) {
    const hone_quantize_options *o = j->options;
    if (!data || !wants_moments(o)) return HONE_OK;
    hone_moments_ask *asks = hone_calloc((size_t)j->count + 1, sizeof *asks);
    hone_moments *moments = hone_calloc((size_t)j->count + 1, sizeof *moments);
    int *from = hone_calloc((size_t)j->count + 1, sizeof *from), count = 0;
    hone_status status = asks && moments && from ? HONE_OK : hone_fail_memory(j->err);
    for (int i = 0; i < j->count && status == HONE_OK; i++) {
        const hone_quantized_node *q = &j->nodes[i];
        if (!q->node) continue; /* a table: rows are looked up */
        from[count] = i;
        asks[count++] = (hone_moments_ask){q->node, q->axis, q->output_axis};
    }
    if (status == HONE_OK)
        status = hone_moments_find(j->g, data, &o->task, o->calibration_samples, o->threads, asks, count,
                                   moments, j->err);
    for (int i = 0; i < count && moments; i++) j->nodes[from[i]].moments = moments[i];
    for (int i = 0; i < count && status == HONE_OK && o->rounding == HONE_ROUND_GPTQ; i++)
        status = hone_moments_factor(&j->nodes[from[i]].moments, j->err);
    hone_free(from);
    hone_free(asks);
    hone_free(moments);
    return status;
}

/* What the sums of channel c lose on average: (w - codes) times the mean of what is multiplied. */
static double loss_of(const hone_tensor *w, const hone_tensor *real, const hone_weight_view *v,
                      const hone_moments *m, int64_t c) {
    double sum = 0;
    for (int64_t i = 0; i < v->terms; i++) {
        const int64_t at = hone_weight_at(v, c, i);
        sum += ((double)((const float *)w->data)[at] - ((const float *)real->data)[at]) * m->first[i];
    }
    return sum / (double)m->rows;
}

hone_status hone_quantize_correct(hone_quantize_job *j, const hone_quantized_node *q, int64_t block) {
    hone_node *n = q->node;
    hone_value *b = n && n->input_count > 2 ? n->inputs[2] : NULL;
    const hone_weight_view v = hone_weight_view_of(q->weight.q, q->axis);
    hone_tensor *real = NULL, *t = NULL;
    if (!j->options->correct_bias || hone_quantize_trains(j->options) || !q->moments.rows || !b || !b->data ||
        b->data->dtype != HONE_FLOAT32 || b->data->count != v.channels)
        return HONE_OK;
    HONE_TRY(hone_codes_real(&q->weight, q->axis, block, &real, j->err));
    hone_status status =
        hone_tensor_copy_of(HONE_FLOAT32, b->data->rank, b->data->dims, b->data->data, &t, j->err);
    for (int64_t c = 0; c < v.channels && status == HONE_OK; c++)
        ((float *)t->data)[c] += (float)loss_of(n->inputs[1]->data, real, &v, &q->moments, c);
    if (status == HONE_OK) {
        hone_value *corrected = hone_quantize_constant(j, b->name, ".corrected", t);
        if (corrected) hone_node_set_input(j->g, n, 2, corrected);
        status = hone_graph_check(j->g, j->err);
    }
    hone_tensor_free(t);
    hone_tensor_free(real);
    return status;
}
