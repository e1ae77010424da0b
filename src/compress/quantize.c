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
#include "runtime/fold.h"

#include <float.h>
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
    if (v && v->producer && v->producer->op->role == HONE_ROLE_DEQUANTIZE) return "is quantized already";
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
static hone_status channel_axis(const hone_node *n, int weight, int *out, hone_error *err) {
    HONE_AXES(axes);
    *out = -1;
    if (!n->op->axes) return HONE_OK;
    n->op->axes(n, &axes);
    if (axes.failed) return hone_fail_memory(err);
    for (int i = 0; i < axes.count; i++) {
        const hone_axis_link *l = &axes.links[i];
        if (l->kind == HONE_AXIS_SAME && l->input == weight && l->output == 0 &&
            l->output_axis == n->outputs[0]->type.rank - 1) {
            *out = l->axis;
            break;
        }
    }
    return HONE_OK;
}

/* Does the operator have an integer form for this node? It is made for q, which runs behind x's Q, and pruned
 * with what else nobody reads. */
static bool has_integer_form(job *j, hone_node *n, hone_value *x, hone_value *zero, hone_tensor *w) {
    int bias = -1;
    return n->op->emit_integer &&
           n->op->emit_integer(j->g, n, &(hone_integer_operands){x, zero, w, "trial"}, &bias);
}

/* What is multiplied and added must be numbers. */
static hone_status check_finite(const hone_node *n, hone_error *err) {
    for (int i = 0; i < n->input_count; i++) {
        const hone_value *v = n->inputs[i];
        if (!v || v->storage != HONE_STORAGE_CONSTANT || v->data->dtype != HONE_FLOAT32) continue;
        for (int64_t k = 0; k < v->data->count; k++)
            if (!isfinite(((const float *)v->data->data)[k]))
                return hone_fail_node(err, HONE_OUT_OF_RANGE, n->name, n->op->name, "weight %s is not finite",
                                      v->name);
    }
    return HONE_OK;
}

/* --- weights --- */

typedef struct quantized {
    hone_tensor *q, *scale; /* int8 as the weight; float [channels] */
} quantized;

static void free_quantized(quantized *w) {
    hone_tensor_free(w->q);
    hone_tensor_free(w->scale);
}

/* Symmetric, a scale for each position of `axis`: |w| max maps to 127. No scale is so small that dividing by
 * it overflows. */
static hone_status quantize_weight(const hone_tensor *w, int axis, quantized *out, hone_error *err) {
    int64_t channels = w->dims[axis], inner = 1;
    HONE_TRY(hone_tensor_new(HONE_INT8, w->rank, w->dims, &out->q, err));
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 1, &channels, &out->scale, err));
    for (int i = axis + 1; i < w->rank; i++) inner *= w->dims[i];
    const float *x = w->data;
    float *scale = out->scale->data;
    for (int64_t i = 0; i < w->count; i++) {
        float *s = &scale[i / inner % channels];
        *s = fmaxf(*s, fabsf(x[i]));
    }
    for (int64_t c = 0; c < channels; c++) scale[c] = scale[c] > 0 ? fmaxf(scale[c] / 127, FLT_MIN) : 1;
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
        hone_graph_out_of_memory(j->g);
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
    double min = r.min < 0 ? r.min : 0, max = r.max > 0 ? r.max : 0;
    *scale = max > min ? fmaxf((float)((max - min) / 255), FLT_MIN) : 1;
    double z = rint(-min / *scale);
    *zero = (int)(z > 255 ? 255 : z);
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

/* b[c] / (scale_x scale_w[c]), in int32; *fits is false where that is too large. */
static hone_status quantize_bias(const hone_tensor *b, float x_scale, const hone_tensor *w_scale,
                                 quantized *out, bool *fits, hone_error *err) {
    *fits = b->rank == 1 && b->count == w_scale->count;
    if (!*fits) return HONE_OK;
    HONE_TRY(hone_tensor_new(HONE_INT32, 1, b->dims, &out->q, err));
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 1, b->dims, &out->scale, err));
    for (int64_t i = 0; i < b->count && *fits; i++) {
        float s = x_scale * ((const float *)w_scale->data)[i];
        double v = s > 0 ? rint((double)((const float *)b->data)[i] / s) : NAN;
        *fits = fabs(v) <= 1 << 30;
        ((float *)out->scale->data)[i] = s;
        if (*fits) ((int32_t *)out->q->data)[i] = (int32_t)v;
    }
    return HONE_OK;
}

/* The third input's bias; one that does not fit stays float. */
static hone_status wire_bias(job *j, hone_node *n, float x_scale, const quantized *w) {
    if (n->input_count < 3 || !n->inputs[2] || n->inputs[2]->storage != HONE_STORAGE_CONSTANT) return HONE_OK;
    hone_value *b = n->inputs[2];
    quantized bias = {NULL, NULL};
    bool fits;
    hone_status status = quantize_bias(b->data, x_scale, w->scale, &bias, &fits, j->err);
    if (status == HONE_OK && fits) {
        hone_value *q = constant(j, b->name, ".quantized", bias.q),
                   *s = constant(j, b->name, ".scale", bias.scale);
        hone_node_set_input(j->g, n, 2, dequantize(j, q, s, NULL, 0)); /* an int32 has no zero point */
    }
    free_quantized(&bias);
    return status;
}

static hone_status wire_node(job *j, hone_node *n, hone_value *x, float x_scale, int axis,
                             const quantized *w) {
    hone_value *weight = n->inputs[1], *z = zeros(j, weight->name, HONE_INT8, w->scale->count);
    hone_value *q = constant(j, weight->name, ".quantized", w->q),
               *s = constant(j, weight->name, ".scale", w->scale);
    hone_node_set_input(j->g, n, 0, x);
    hone_node_set_input(j->g, n, 1, dequantize(j, q, s, z, axis));
    j->report->quantized_nodes++;
    HONE_TRY(wire_bias(j, n, x_scale, w));
    return hone_graph_check(j->g, j->err);
}

/* `x`: what stands behind Q and DQ. */
static hone_status quantize_static_node(job *j, hone_node *n, hone_value *x, float x_scale) {
    int axis;
    HONE_TRY(channel_axis(n, 1, &axis, j->err));
    if (axis < 0) {
        note_float(j, n, "its output channels are not an axis of the weight");
        return HONE_OK;
    }
    quantized w = {NULL, NULL};
    const hone_node *dq = x->producer;
    hone_status status = check_finite(n, j->err);
    if (status == HONE_OK) status = quantize_weight(n->inputs[1]->data, axis, &w, j->err);
    if (status == HONE_OK) {
        j->g->insert_before = n;
        if (has_integer_form(j, n, dq->inputs[0], dq->inputs[2], w.q))
            status = wire_node(j, n, x, x_scale, axis, &w);
        else
            note_float(j, n, "has no integer form");
        j->g->insert_before = NULL;
    }
    if (status == HONE_OK) status = hone_graph_check(j->g, j->err);
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

/* The users go over to `grid` one by one; x keeps the others. */
static hone_status quantize_users(job *j, hone_value *x, hone_range range) {
    float scale;
    size_t count = 0;
    hone_node **users = hone_alloc((x->use_count + 1) * sizeof(hone_node *));
    if (!users) return hone_fail_memory(j->err);
    for (size_t u = 0; u < x->use_count; u++)
        if (x->uses[u].index == 0 && in_integers(x->uses[u].node) && !why_not(x->uses[u].node))
            users[count++] = x->uses[u].node;
    j->g->insert_before = x->producer ? x->producer->next : j->g->first;
    hone_value *grid = quantize_activation(j, x, range, &scale);
    j->g->insert_before = NULL;
    hone_status status = hone_graph_check(j->g, j->err);
    for (size_t i = 0; i < count && status == HONE_OK; i++)
        status = quantize_static_node(j, users[i], grid, scale);
    hone_free(users);
    return status;
}

static hone_status quantize_static(job *j, const hone_dataset *data) {
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
        status = hone_calibrate(j->g, data, &j->options->task, j->options->calibration_samples,
                                j->options->threads, names, count, ranges, j->err);
    for (int i = 0; i < count && status == HONE_OK; i++) status = quantize_users(j, values[i], ranges[i]);
    hone_free(values);
    hone_free(names);
    hone_free(ranges);
    return status;
}

/* --- dynamic --- */

/* x behind DynamicQuantizeLinear, once for all users. */
static hone_node *quantize_at_run(job *j, hone_value *x) {
    const hone_op *op = hone_op_find("", "DynamicQuantizeLinear");
    for (size_t u = 0; u < x->use_count; u++)
        if (x->uses[u].node->op == op) return x->uses[u].node;
    return hone_graph_add_node(j->g, op, NULL, 1, &x, 3);
}

/* y = sum (x_scale w_scale) + bias */
static void scale_sums(job *j, hone_node *n, const hone_node *d, hone_value *sum, const quantized *w,
                       int bias) {
    hone_graph *g = j->g;
    hone_value *y = HONE_EMIT(g, "", "Cast", sum);
    if (y) hone_node_set_int(g, y->producer, "to", HONE_FLOAT32);
    hone_value *scale =
        HONE_EMIT(g, "", "Mul", d->outputs[1], constant(j, n->inputs[1]->name, ".scale", w->scale));
    y = HONE_EMIT(g, "", "Mul", y, scale);
    if (bias >= 0) y = HONE_EMIT(g, "", "Add", y, n->inputs[bias]);
    if (y) y->type = n->outputs[0]->type; /* asked for by the next product */
    hone_graph_replace(g, n->outputs[0], y);
    j->report->quantized_nodes++;
}

static hone_status quantize_dynamic_node(job *j, hone_node *n) {
    int axis, bias = -1;
    hone_value *weight = n->inputs[1];
    quantized w = {NULL, NULL};
    HONE_TRY(channel_axis(n, 1, &axis, j->err));
    if (axis < 0 || !n->op->emit_integer) {
        note_float(j, n, "has no integer form");
        return HONE_OK;
    }
    hone_status status = check_finite(n, j->err);
    if (status == HONE_OK) status = quantize_weight(weight->data, axis, &w, j->err);
    if (status == HONE_OK) {
        j->g->insert_before = n;
        hone_node *d = quantize_at_run(j, n->inputs[0]);
        const char *name = hone_arena_printf(j->g->arena, "%s.quantized", weight->name);
        hone_integer_operands q = {d ? d->outputs[0] : NULL, d ? d->outputs[2] : NULL, w.q, name};
        hone_value *sum = d ? n->op->emit_integer(j->g, n, &q, &bias) : NULL;
        if (sum)
            scale_sums(j, n, d, sum, &w, bias);
        else
            note_float(j, n, "has no integer form");
        j->g->insert_before = NULL;
        status = hone_graph_check(j->g, j->err);
    }
    free_quantized(&w);
    return status;
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

static hone_status check_options(const hone_quantize_options *o, hone_error *err) {
    if (o->mode != HONE_QUANTIZE_STATIC && o->mode != HONE_QUANTIZE_DYNAMIC)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "there is no quantization mode %d", (int)o->mode);
    if (o->calibration_samples < 0 || o->threads < 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "calibration_samples %lld or threads %d is negative",
                         (long long)o->calibration_samples, o->threads);
    return HONE_OK;
}

/* Folded first: a weight stored as its transpose becomes a constant again. */
static hone_status quantize(job *j, const hone_dataset *data) {
    HONE_TRY(check_options(j->options, j->err));
    HONE_TRY(hone_graph_sort(j->g, j->err));
    HONE_TRY(hone_graph_infer(j->g, j->err));
    HONE_TRY(hone_graph_fold(j->g, false, j->err));
    HONE_TRY(j->options->mode == HONE_QUANTIZE_STATIC ? quantize_static(j, data) : quantize_dynamic(j));
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
    if (!options) options = &defaults;
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    if (!report) report = &scratch;
    *report = (hone_quantize_report){.bytes_before = data_bytes(g)};
    hone_graph *copy = NULL;
    hone_error own = {0};
    HONE_TRY(hone_graph_copy(g, &copy, err));
    job j = {copy, options, report, err ? err : &own};
    hone_status status = quantize(&j, data);
    report->bytes_after = data_bytes(copy);
    if (status == HONE_OK)
        *out = copy;
    else
        hone_graph_free(copy);
    return status;
}
