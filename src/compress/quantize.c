/* Quantization of weights and activations to 8 bits.
 *
 *   static   x → Q → DQ ─┐                       ranges of x from calibration data, uint8 with a zero point
 *            W(int8) → DQ ┼→ node → …             W symmetric, a scale per output channel
 *            b(int32) → DQ┘                       b at the products' scale
 *
 *   dynamic  x → DynamicQuantizeLinear → integer node → Cast → Mul(scales) → Add(b) */
#include "compress/calibrate.h"
#include "graph/infer.h"
#include "graph/op.h"

#include <hone/compress.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct job {
    hone_graph *g;
    const hone_quantize_options *options;
    hone_quantize_report *report;
    hone_error *err;
} job;

/* --- which nodes --- */

/* The input that carries the weight: the first weight slot. */
static int weight_index(const hone_node *n) {
    for (int i = 0; i < n->input_count; i++) {
        const hone_slot *slot = hone_op_input(n->op, i);
        if (slot && (slot->flags & HONE_SLOT_WEIGHT)) return i;
    }
    return -1;
}

static const char *why_not(const hone_node *n) {
    int w = weight_index(n);
    if (w != 1) return "has no weight";
    const hone_value *x = n->inputs[0], *v = n->inputs[1];
    if (x->type.dtype != HONE_FLOAT32) return "is not float32";
    if (!v || v->storage != HONE_STORAGE_CONSTANT || v->type.rank < 2) return "its weight is not a constant";
    return NULL;
}

static bool in_integers(const hone_node *n) {
    return n->op->quantize == HONE_QUANTIZE_INTEGER;
}

static void note_float(job *j, const hone_node *n, const char *reason) {
    hone_quantize_report *r = j->report;
    size_t used = strlen(r->float_names);
    r->float_nodes++;
    snprintf(r->float_names + used, sizeof r->float_names - used, "%s%s (%s)", used ? "; " : "", n->name,
             reason);
}

/* The weight's axis that runs along the output's last axis; -1: none. */
static int channel_axis(const hone_node *n, int weight) {
    hone_axes axes = {.count = 0};
    if (!n->op->axes) return -1;
    n->op->axes(n, &axes);
    for (int i = 0; i < axes.count; i++) {
        const hone_axis_link *l = &axes.links[i];
        if (l->kind == HONE_AXIS_SAME && l->input == weight && l->output == 0 &&
            l->output_axis == n->outputs[0]->type.rank - 1)
            return l->axis;
    }
    return -1;
}

/* --- weights --- */

typedef struct quantized {
    hone_tensor *q, *scale; /* int8 as the weight; float [channels] */
    int axis;
} quantized;

static void free_quantized(quantized *w) {
    hone_tensor_free(w->q);
    hone_tensor_free(w->scale);
}

/* Symmetric, a scale for each position of `axis`: |w| max maps to 127. */
static hone_status quantize_weight(const hone_tensor *w, int axis, quantized *out, hone_error *err) {
    int64_t channels = w->dims[axis], inner = 1;
    *out = (quantized){.axis = axis};
    HONE_TRY(hone_tensor_new(HONE_INT8, w->rank, w->dims, &out->q, err));
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 1, &channels, &out->scale, err));
    for (int i = axis + 1; i < w->rank; i++) inner *= w->dims[i];
    const float *x = w->data;
    float *scale = out->scale->data;
    for (int64_t i = 0; i < w->count; i++) {
        float a = fabsf(x[i]), *s = &scale[i / inner % channels];
        if (!isfinite(a)) return hone_fail(err, HONE_OUT_OF_RANGE, "a weight is not finite");
        if (a > *s) *s = a;
    }
    for (int64_t c = 0; c < channels; c++) scale[c] = scale[c] > 0 ? scale[c] / 127 : 1;
    for (int64_t i = 0; i < w->count; i++) {
        float q = rintf(x[i] / scale[i / inner % channels]);
        ((int8_t *)out->q->data)[i] = (int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
    }
    return HONE_OK;
}

static hone_value *constant(job *j, const char *base, const char *suffix, hone_tensor *t) {
    const char *name = hone_arena_printf(j->g->arena, "%s%s", base, suffix);
    return hone_graph_add_constant(j->g, name, t);
}

static hone_value *zeros(job *j, const char *base, hone_dtype dtype, int64_t n) {
    hone_tensor *t = NULL;
    if (hone_tensor_new(dtype, 1, &n, &t, NULL) != HONE_OK) {
        j->g->failed = true;
        return NULL;
    }
    hone_value *v = constant(j, base, ".zero_point", t);
    hone_tensor_free(t);
    return v;
}

/* --- static --- */

static hone_value *dequantize(job *j, hone_value *q, hone_value *scale, hone_value *zero, int axis) {
    hone_value *y = HONE_EMIT(j->g, "", "DequantizeLinear", q, scale, zero);
    if (y && axis >= 0) hone_node_set_int(j->g, y->producer, "axis", axis);
    return y;
}

/* Asymmetric uint8: the range is made to hold 0, so that zero (padding, ReLU) is exact. */
static void activation_grid(hone_range r, float *scale, int *zero) {
    float min = r.min < 0 ? r.min : 0, max = r.max > 0 ? r.max : 0;
    *scale = max > min ? (max - min) / 255 : 1;
    float z = rintf(-min / *scale);
    *zero = (int)(z < 0 ? 0 : z > 255 ? 255 : z);
}

/* Q and DQ behind x, for all its integer users; returns what they read. */
static hone_value *quantize_activation(job *j, hone_value *x, hone_range range, float *scale_out) {
    int zero;
    activation_grid(range, scale_out, &zero);
    hone_value *scale = hone_graph_scalar(j->g, HONE_FLOAT32, *scale_out),
               *z = hone_graph_scalar(j->g, HONE_UINT8, zero);
    hone_value *q = HONE_EMIT(j->g, "", "QuantizeLinear", x, scale, z);
    return dequantize(j, q, scale, z, -1);
}

/* b[c] / (scale_x scale_w[c]), in int32; NULL where it does not fit (it then stays float). */
static hone_tensor *quantize_bias(const hone_tensor *b, float x_scale, const hone_tensor *w_scale,
                                  hone_tensor **scale) {
    hone_tensor *q = NULL;
    *scale = NULL;
    if (b->rank != 1 || b->count != w_scale->count ||
        hone_tensor_new(HONE_INT32, 1, b->dims, &q, NULL) != HONE_OK)
        return NULL;
    if (hone_tensor_new(HONE_FLOAT32, 1, b->dims, scale, NULL) != HONE_OK) {
        hone_tensor_free(q);
        return NULL;
    }
    bool fits = true;
    for (int64_t i = 0; i < b->count && fits; i++) {
        float s = x_scale * ((const float *)w_scale->data)[i];
        double v = s > 0 ? rint((double)((const float *)b->data)[i] / s) : NAN;
        fits = fabs(v) <= 1 << 30;
        ((float *)(*scale)->data)[i] = s;
        if (fits) ((int32_t *)q->data)[i] = (int32_t)v;
    }
    if (fits) return q;
    hone_tensor_free(q);
    hone_tensor_free(*scale);
    return *scale = NULL;
}

static void wire_bias(job *j, hone_node *n, float x_scale, const quantized *w) {
    if (n->input_count < 3 || !n->inputs[2] || n->inputs[2]->storage != HONE_STORAGE_CONSTANT) return;
    hone_value *b = n->inputs[2];
    hone_tensor *scale, *q = quantize_bias(b->data, x_scale, w->scale, &scale);
    if (!q) return;
    hone_value *qv = constant(j, b->name, ".quantized", q), *sv = constant(j, b->name, ".scale", scale);
    hone_node_set_input(j->g, n, 2, dequantize(j, qv, sv, NULL, 0));
    hone_tensor_free(q);
    hone_tensor_free(scale);
}

static hone_status quantize_static_node(job *j, hone_node *n, hone_value *x, float x_scale) {
    int axis = channel_axis(n, 1);
    hone_value *weight = n->inputs[1];
    quantized w = {.axis = -1};
    if (axis < 0) {
        note_float(j, n, "its output channels are not an axis of the weight");
        return HONE_OK;
    }
    hone_status status = quantize_weight(weight->data, axis, &w, j->err);
    if (status == HONE_OK) {
        j->g->insert_before = n;
        hone_value *z = zeros(j, weight->name, HONE_INT8, w.scale->count);
        hone_value *q = constant(j, weight->name, ".quantized", w.q),
                   *s = constant(j, weight->name, ".scale", w.scale);
        hone_node_set_input(j->g, n, 0, x);
        hone_node_set_input(j->g, n, 1, dequantize(j, q, s, z, axis));
        wire_bias(j, n, x_scale, &w);
        j->g->insert_before = NULL;
        j->report->quantized_nodes++;
        status = hone_graph_check(j->g, j->err);
    } else {
        hone_fail_node(j->err, status, n->name, n->op->name, "weight %s is not finite", weight->name);
    }
    free_quantized(&w);
    return status;
}

/* The values that feed the nodes to quantize, each once. */
static int collect(job *j, hone_value **values) {
    int count = 0;
    for (hone_node *n = j->g->first; n; n = n->next) {
        if (!in_integers(n)) continue;
        const char *reason = why_not(n);
        if (reason) {
            note_float(j, n, reason);
            continue;
        }
        int i = 0;
        while (i < count && values[i] != n->inputs[0]) i++;
        if (i == count) values[count++] = n->inputs[0];
    }
    return count;
}

static hone_status quantize_users(job *j, hone_value *x, hone_range range) {
    float scale;
    hone_node *users[64];
    int count = 0;
    for (size_t u = 0; u < x->use_count && count < 64; u++)
        if (x->uses[u].index == 0 && in_integers(x->uses[u].node) && !why_not(x->uses[u].node))
            users[count++] = x->uses[u].node;
    if (!count) return HONE_OK;
    j->g->insert_before = x->producer ? x->producer->next : j->g->first;
    hone_value *grid = quantize_activation(j, x, range, &scale);
    j->g->insert_before = NULL;
    HONE_TRY(hone_graph_check(j->g, j->err));
    for (int i = 0; i < count; i++) HONE_TRY(quantize_static_node(j, users[i], grid, scale));
    return HONE_OK;
}

static hone_status quantize_static(job *j, const hone_graph *source, const hone_dataset *data) {
    if (!data)
        return hone_fail(j->err, HONE_INVALID_ARGUMENT, "static quantization needs data to calibrate on");
    size_t room = j->g->value_count + 1;
    hone_value **values = hone_calloc(room, sizeof *values);
    const char **names = hone_calloc(room, sizeof *names);
    hone_range *ranges = hone_calloc(room, sizeof *ranges);
    hone_status status = values && names && ranges ? HONE_OK : hone_fail_memory(j->err);
    int count = status == HONE_OK ? collect(j, values) : 0;
    for (int i = 0; i < count; i++) names[i] = values[i]->name;
    if (count)
        status = hone_calibrate(source, data, j->options->calibration_samples, j->options->threads, names,
                                count, ranges, j->err);
    for (int i = 0; i < count && status == HONE_OK; i++) status = quantize_users(j, values[i], ranges[i]);
    hone_free(values);
    hone_free(names);
    hone_free(ranges);
    return status;
}

/* --- dynamic --- */

static hone_status quantize_dynamic_node(job *j, hone_node *n) {
    int axis = channel_axis(n, 1), bias = -1;
    hone_value *weight = n->inputs[1];
    quantized w = {.axis = -1};
    if (axis < 0 || !n->op->emit_integer) {
        note_float(j, n, "has no integer form");
        return HONE_OK;
    }
    hone_status status = quantize_weight(weight->data, axis, &w, j->err);
    if (status != HONE_OK) {
        free_quantized(&w);
        return hone_fail_node(j->err, status, n->name, n->op->name, "weight %s is not finite", weight->name);
    }
    hone_graph *g = j->g;
    g->insert_before = n;
    hone_value *in[] = {n->inputs[0]};
    hone_node *d = hone_graph_add_node(g, hone_op_find("", "DynamicQuantizeLinear"), NULL, 1, in, 3);
    const char *name = hone_arena_printf(g->arena, "%s.quantized", weight->name);
    hone_integer_operands q = {d ? d->outputs[0] : NULL, d ? d->outputs[2] : NULL, w.q, name};
    hone_value *sum = d ? n->op->emit_integer(g, n, &q, &bias) : NULL;
    if (sum) {
        hone_value *y = HONE_EMIT(g, "", "Cast", sum);
        if (y) hone_node_set_int(g, y->producer, "to", HONE_FLOAT32);
        hone_value *scale =
            HONE_EMIT(g, "", "Mul", d->outputs[1], constant(j, weight->name, ".scale", w.scale));
        y = HONE_EMIT(g, "", "Mul", y, scale);
        if (bias >= 0) y = HONE_EMIT(g, "", "Add", y, n->inputs[bias]);
        hone_graph_replace(g, n->outputs[0], y);
        j->report->quantized_nodes++;
    } else {
        note_float(j, n, "has no integer form");
    }
    g->insert_before = NULL;
    free_quantized(&w);
    return hone_graph_check(g, j->err);
}

static hone_status quantize_dynamic(job *j) {
    for (hone_node *n = j->g->first; n; n = n->next) {
        if (!in_integers(n)) continue;
        const char *reason = why_not(n);
        if (reason)
            note_float(j, n, reason);
        else
            HONE_TRY(quantize_dynamic_node(j, n));
    }
    return HONE_OK;
}

/* --- */

static int64_t data_bytes(const hone_graph *g) {
    int64_t bytes = 0;
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i] && g->values[i]->data) bytes += (int64_t)g->values[i]->data->bytes;
    return bytes;
}

static hone_status quantize(job *j, const hone_graph *source, const hone_dataset *data) {
    HONE_TRY(hone_graph_sort(j->g, j->err));
    HONE_TRY(hone_graph_infer(j->g, j->err));
    HONE_TRY(j->options->mode == HONE_QUANTIZE_STATIC ? quantize_static(j, source, data)
                                                      : quantize_dynamic(j));
    if (!j->report->quantized_nodes)
        return hone_fail(j->err, HONE_UNSUPPORTED, "nothing in the model can be quantized: %s",
                         j->report->float_names[0] ? j->report->float_names
                                                   : "no operator multiplies by a weight");
    hone_graph_prune(j->g);
    HONE_TRY(hone_graph_sort(j->g, j->err));
    return hone_graph_infer(j->g, j->err);
}

hone_status hone_quantize(const hone_graph *g, const hone_dataset *data, const hone_quantize_options *options,
                          hone_graph **out, hone_quantize_report *report, hone_error *err) {
    hone_quantize_options defaults = HONE_QUANTIZE_OPTIONS_INIT;
    hone_quantize_report scratch;
    if (!report) report = &scratch;
    *report = (hone_quantize_report){.bytes_before = data_bytes(g)};
    hone_graph *copy = NULL;
    hone_error own = {0};
    HONE_TRY(hone_graph_copy(g, &copy, err));
    job j = {copy, options ? options : &defaults, report, err ? err : &own};
    hone_status status = quantize(&j, g, data);
    report->bytes_after = data_bytes(copy);
    if (status == HONE_OK)
        *out = copy;
    else
        hone_graph_free(copy);
    return status;
}
