/* Quantization of weights and activations.
 *
 *   static   x → Q → DQ ─┐                       ranges of x from calibration data, uint8 with a zero point
 *            W(int8) → DQ ┼→ node → …             W symmetric, also of fewer bits, a scale per output channel
 *            b(int32) → DQ┘                       b at the products' scale
 *
 *   dynamic  x → DynamicQuantizeLinear → integer node → Cast → Mul(scales) → Add(b)
 *   weights  W(int8, int4, int2) → DQ → node, x stays as it is */
#include "compress/quantize.h"

#include "compress/equalize.h"
#include "graph/infer.h"
#include "graph/rewrite.h"
#include "runtime/fold.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- the report --- */

void hone_quantize_note(hone_quantize_job *j, const hone_node *n, const char *reason) {
    hone_quantize_report *r = j->report;
    size_t used = strlen(r->float_names);
    r->float_nodes++;
    snprintf(r->float_names + used, sizeof r->float_names - used, "%s%s (%s)", used ? "; " : "",
             n->name[0] || !n->outputs[0] ? n->name : n->outputs[0]->name, reason);
}

static int64_t data_bytes(const hone_graph *g) {
    int64_t bytes = 0;
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i] && g->values[i]->data) bytes += (int64_t)g->values[i]->data->bytes;
    return bytes;
}

/* --- constants --- */

hone_value *hone_quantize_constant(hone_quantize_job *j, const char *base, const char *suffix,
                                   hone_tensor *t) {
    const char *name = hone_arena_printf(j->g->arena, "%s%s", base, suffix);
    return hone_graph_add_constant(j->g, name, t);
}

hone_value *hone_quantize_scalar(hone_quantize_job *j, hone_dtype dtype, double x) {
    for (size_t i = 0; i < j->scalar_count; i++)
        if (j->scalars[i]->type.dtype == dtype && hone_constant_number(j->scalars[i]) == x)
            return j->scalars[i];
    hone_value *v = hone_graph_scalar(j->g, dtype, x);
    if (v && hone_reserve(&j->scalars, &j->scalar_capacity, j->scalar_count + 1, sizeof(hone_value *)))
        j->scalars[j->scalar_count++] = v;
    return v;
}

/* --- which nodes --- */

/* The first weight slot that is used; -1: none. */
static int weight_index(const hone_node *n) {
    for (int i = 0; i < n->input_count; i++) {
        const hone_slot *slot = hone_op_input(n->op, i);
        if (slot && (slot->flags & HONE_SLOT_WEIGHT)) return i;
    }
    return -1;
}

static bool is_constant(const hone_value *v) {
    return v->storage == HONE_STORAGE_CONSTANT && v->data;
}

static const char *why_not(const hone_node *n) {
    int w = weight_index(n);
    if (w != 1) return "has no weight";
    const hone_value *x = n->inputs[0], *v = n->inputs[1];
    if (!v || v->type.dtype != HONE_FLOAT32 || x->type.dtype != HONE_FLOAT32) return "is not float32";
    if (v->producer && v->producer->op->role == HONE_ROLE_DEQUANTIZE) return "is quantized already";
    if (!is_constant(v) || v->type.rank < 2) return "its weight is not a constant";
    for (int i = 2; i < n->input_count; i++)
        if (n->inputs[i] && !is_constant(n->inputs[i])) return "its bias is not a constant";
    return n->outputs[0] ? NULL : "gives nothing";
}

/* Multiplies by a weight that is no vector, and has no form in integers at all. */
static bool has_only_floats(const hone_node *n) {
    int w = weight_index(n);
    return w >= 0 && n->op->multiply_adds && n->inputs[w] && is_constant(n->inputs[w]) &&
           n->inputs[w]->type.rank >= 2 && n->inputs[w]->type.dtype == HONE_FLOAT32;
}

/* The result's channels are its last axis if the operator says no other. */
hone_status hone_quantize_channels(hone_quantized_node *q, hone_error *err) {
    const hone_node *n = q->node;
    HONE_AXES(axes);
    q->axis = -1;
    if (n->op->weight_channels) {
        q->axis = n->op->weight_channels(n, &q->output_axis);
        return HONE_OK;
    }
    if (!n->op->axes) return HONE_OK;
    n->op->axes(n, &axes);
    if (axes.failed) return hone_fail_memory(err);
    q->output_axis = n->outputs[0]->type.rank - 1;
    for (int i = 0; i < axes.count && q->axis < 0; i++) {
        const hone_axis_link *l = &axes.links[i];
        if (l->kind == HONE_AXIS_SAME && l->input == 1 && l->output == 0 && l->output_axis == q->output_axis)
            q->axis = l->axis;
    }
    return HONE_OK;
}

hone_status hone_quantize_check_finite(const hone_node *n, hone_error *err) {
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

/* It is made, and taken away. */
bool hone_quantize_has_form(hone_graph *g, const hone_quantized_node *q) {
    int bias = -1;
    hone_node *n = q->node, *before = n->prev;
    if (!n->op->emit_integer) return false;
    g->insert_before = n;
    bool has =
        n->op->emit_integer(g, n, &(hone_integer_operands){n->inputs[0], NULL, q->weight.q, "trial"}, &bias);
    g->insert_before = NULL;
    while (n->prev != before) {
        hone_value *w = n->prev->input_count > 1 ? n->prev->inputs[1] : NULL;
        hone_graph_remove_node(g, n->prev);
        hone_graph_drop_unused(g, w);
    }
    return has;
}

/* --- which weights --- */

bool hone_quantize_keeps(const hone_quantize_job *j, const hone_value *w) {
    for (int i = 0; i < j->options->keep_count; i++)
        if (strcmp(w->name, j->options->keep[i]) == 0) return true;
    return false;
}

static hone_status add_layer(hone_layers *l, const hone_value *w, hone_error *err) {
    for (int i = 0; i < l->count; i++)
        if (strcmp(l->items[i].weight, w->name) == 0) return HONE_OK;
    char *name = hone_strdup(w->name);
    if (!name || !hone_reserve(&l->items, &l->capacity, (size_t)l->count + 1, sizeof *l->items)) {
        hone_free(name);
        return hone_fail_memory(err);
    }
    l->items[l->count++] = (hone_sensitivity){name, w->data->count, 0};
    return HONE_OK;
}

hone_status hone_quantize_wants(hone_quantize_job *j, const hone_value *w, bool *wants) {
    *wants = !j->only || strcmp(w->name, j->only) == 0;
    if (j->layers) HONE_TRY(add_layer(j->layers, w, j->err));
    if (j->options->bits < 8 || !hone_quantize_keeps(j, w)) return HONE_OK;
    *wants = false;
    hone_quantize_note(j, w->uses[0].node, "is kept so");
    return HONE_OK;
}

static hone_status collect_node(hone_quantize_job *j, hone_node *n) {
    hone_quantized_node *q = &j->nodes[j->count];
    bool wants = true;
    const char *reason = why_not(n);
    if (reason) {
        hone_quantize_note(j, n, reason);
        return HONE_OK;
    }
    *q = (hone_quantized_node){.node = n};
    if (!n->op->emit_integer) {
        hone_quantize_note(j, n, "has no integer form");
        return HONE_OK;
    }
    HONE_TRY(hone_quantize_channels(q, j->err));
    if (q->axis < 0) {
        hone_quantize_note(j, n, "its output channels are not an axis of the weight");
        return HONE_OK;
    }
    HONE_TRY(hone_quantize_check_finite(n, j->err));
    const hone_code_format plain = {.bits = 8};
    HONE_TRY(hone_codes_of_weight(n->inputs[1]->data, q->axis, &plain, NULL, &q->weight, j->err));
    const bool has = hone_quantize_has_form(j->g, q);
    hone_status status = has ? hone_quantize_wants(j, n->inputs[1], &wants) : HONE_OK;
    if (!has) hone_quantize_note(j, n, "has no integer form");
    if (has && wants && status == HONE_OK)
        j->count++;
    else
        hone_codes_free(&q->weight);
    return status == HONE_OK ? hone_graph_check(j->g, j->err) : status;
}

/* What is nested is not looked at, but told of. */
static void note_nested(hone_quantize_job *j, const hone_node *n) {
    const hone_graph *sub;
    for (int i = 0; (sub = hone_node_subgraph(n, i)); i++)
        for (const hone_node *m = sub->first; m; m = m->next) {
            if (m->op->quantize == HONE_QUANTIZE_INTEGER || has_only_floats(m))
                hone_quantize_note(j, m, "is in a subgraph");
            note_nested(j, m);
        }
}

hone_status hone_quantize_collect(hone_quantize_job *j) {
    j->nodes = hone_calloc(j->g->node_count + 1, sizeof *j->nodes);
    if (!j->nodes) return hone_fail_memory(j->err);
    for (hone_node *n = j->g->first; n; n = n->next) {
        note_nested(j, n);
        if (n->op->quantize == HONE_QUANTIZE_INTEGER)
            HONE_TRY(collect_node(j, n));
        else if (has_only_floats(n))
            hone_quantize_note(j, n, "has no integer form");
    }
    return HONE_OK;
}

/* --- */

static bool is_width(int bits) {
    return bits == 8 || (bits >= 2 && bits <= 4);
}

static hone_status check_options(const hone_quantize_options *o, hone_error *err) {
    const hone_calibration *c = &o->calibration;
    if ((unsigned)o->mode > HONE_QUANTIZE_CLUSTERS)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "there is no quantization mode %d", (int)o->mode);
    if (o->calibration_samples < 0 || o->threads < 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "calibration_samples %lld or threads %d is negative",
                         (long long)o->calibration_samples, o->threads);
    if (c->method < HONE_CALIBRATE_MINMAX || c->method > HONE_CALIBRATE_ENTROPY)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "there is no calibration method %d", (int)c->method);
    if (!is_width(o->bits) || !is_width(o->edge_bits))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "weights of %d bits, at the edges %d: there are 8, 4, 3 and 2", o->bits,
                         o->edge_bits);
    if (o->mode == HONE_QUANTIZE_DYNAMIC && o->bits != 8)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "dynamic quantization has weights of 8 bits only");
    if (o->block < 0 || o->block % 16 || o->block > 1 << 20)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "blocks of %lld weights: there are multiples of 16, and 0", (long long)o->block);
    if ((unsigned)o->rounding > HONE_ROUND_GPTQ || (unsigned)o->dialect > HONE_DIALECT_ORT)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "there is no rounding %d or no dialect %d",
                         (int)o->rounding, (int)o->dialect);
    if (hone_quantize_trains(o) &&
        (o->asymmetric || (o->mode != HONE_QUANTIZE_STATIC && o->mode != HONE_QUANTIZE_WEIGHTS &&
                           o->mode != HONE_QUANTIZE_CLUSTERS)))
        return hone_fail(
            err, HONE_INVALID_ARGUMENT,
            "training with rounded weights is for static quantization, weights and clusters, without "
            "zero points");
    if (o->clusters < 2 || o->clusters > 256)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%d clusters: there are 2 to 256", o->clusters);
    if (o->per_tensor && (o->mode != HONE_QUANTIZE_STATIC || hone_quantize_trains(o)))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "one scale for all channels is for static quantization without training");
    if ((o->equalize || o->smooth > 0) && o->mode > HONE_QUANTIZE_WEIGHTS)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "half precision and clusters have no use for equalized channels");
    if (!(o->smooth >= 0 && o->smooth <= 1))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "smooth %g is not in [0, 1]", o->smooth);
    if (o->asymmetric && o->mode != HONE_QUANTIZE_WEIGHTS)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "only weights alone can have zero points");
    if (c->method == HONE_CALIBRATE_PERCENTILE && !(c->percentile > 0 && c->percentile <= 100))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "percentile %g is not in (0, 100]", c->percentile);
    return HONE_OK;
}

/* Constants made from value `first` on that are the same become one: weights and scales of unrolled loops. */
static void share_constants(hone_graph *g, size_t first) {
    for (size_t i = first; i < g->value_count; i++) {
        hone_value *v = g->values[i];
        for (size_t k = first; k < i && v && v->storage == HONE_STORAGE_CONSTANT; k++) {
            hone_value *e = g->values[k];
            if (!e || e->storage != HONE_STORAGE_CONSTANT || !hone_type_equal(&e->type, &v->type) ||
                memcmp(e->data->data, v->data->data, v->data->bytes) != 0)
                continue;
            hone_graph_replace(g, v, e);
            hone_graph_drop_unused(g, v);
            break;
        }
    }
}

/* Nodes that give their input as it is go. */
static void drop_views(hone_graph *g) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (n->op->view != hone_view_whole || n->op->quantize != HONE_QUANTIZE_BITS || n->output_count != 1 ||
            hone_graph_is_output(g, n->outputs[0]) ||
            !hone_type_equal(&n->inputs[0]->type, &n->outputs[0]->type))
            continue;
        hone_graph_replace(g, n->outputs[0], n->inputs[0]);
        hone_graph_remove_node(g, n);
    }
}

/* Folded first: a weight stored as its transpose becomes a constant again, and normalizations go into weights. What is done
 * to inputs stays: it is what their grid is about. Where weights alone are stored, those stored once stay so: tables whose
 * transposes are weights, too. */
static hone_status prepare(hone_graph *g, const hone_quantize_options *o, hone_error *err) {
    HONE_TRY(hone_graph_sort(g, err));
    HONE_TRY(hone_graph_infer(g, err));
    if (o->requantize)
        HONE_TRY(hone_graph_fold(g, HONE_FOLD_ALL, err));
    else if (o->mode <= HONE_QUANTIZE_DYNAMIC)
        HONE_TRY(hone_graph_fold(g, HONE_FOLD_FIRST, err));
    HONE_TRY(hone_graph_rewrite_stage(g, HONE_STAGE_WEIGHTS, "fold-affine", err));
    drop_views(g);
    hone_graph_prune(g);
    HONE_TRY(hone_graph_sort(g, err));
    return hone_graph_infer(g, err);
}

/* What nothing of the data is needed for must not fail for want of them. */
static hone_status check_data(const hone_quantize_options *o, const hone_dataset *data, hone_error *err) {
    if (data) return HONE_OK;
    if (o->mode == HONE_QUANTIZE_STATIC)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "static quantization needs data to calibrate on");
    if (o->rounding == HONE_ROUND_GPTQ || o->correct_bias || o->smooth > 0 || hone_quantize_trains(o))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "GPTQ, corrected biases, smoothing and training need data");
    return HONE_OK;
}

/* The same numbers, in a form that bears rounding better. */
static hone_status rescale(hone_quantize_job *j, const hone_dataset *data) {
    const hone_quantize_options *o = j->options;
    int64_t equalized = 0, smoothed = 0;
    if (o->equalize) HONE_TRY(hone_equalize(j->g, &equalized, j->err));
    if (o->smooth > 0) HONE_TRY(hone_smooth(j->g, data, o, &smoothed, j->err));
    j->report->rescaled = equalized + smoothed;
    return hone_graph_infer(j->g, j->err);
}

static hone_status go_over(hone_quantize_job *j, const hone_dataset *data) {
    switch (j->options->mode) {
    case HONE_QUANTIZE_STATIC: HONE_TRY(hone_quantize_collect(j)); return hone_quantize_static(j, data);
    case HONE_QUANTIZE_DYNAMIC: HONE_TRY(hone_quantize_collect(j)); return hone_quantize_dynamic(j);
    case HONE_QUANTIZE_WEIGHTS: return hone_quantize_weights(j, data);
    case HONE_QUANTIZE_FLOAT16: return hone_quantize_half(j, HONE_FLOAT16);
    case HONE_QUANTIZE_CLUSTERS: return hone_quantize_clusters(j, data);
    case HONE_QUANTIZE_BFLOAT16: break;
    }
    return hone_quantize_half(j, HONE_BFLOAT16);
}

static bool has_few_bits(const hone_graph *g) {
    for (const hone_node *n = g->first; n; n = n->next)
        if (n->op->role == HONE_ROLE_DEQUANTIZE && hone_value_constant(n->inputs[0])) return true;
    return false;
}

static hone_status quantize(hone_quantize_job *j, const hone_dataset *data) {
    HONE_TRY(check_options(j->options, j->err));
    HONE_TRY(check_data(j->options, data, j->err));
    HONE_TRY(prepare(j->g, j->options, j->err));
    HONE_TRY(rescale(j, data));
    size_t first = j->g->value_count;
    HONE_TRY(go_over(j, data));
    if (j->layers) return HONE_OK;
    const char *why = j->report->float_names[0] ? j->report->float_names
                      : has_few_bits(j->g)      ? "its weights are in few bits already; they can be "
                                                  "requantized, at a cost"
                                                : "no operator multiplies by a weight";
    if (!j->report->quantized_nodes)
        return hone_fail(j->err, HONE_UNSUPPORTED, "nothing in the model can be quantized: %s", why);
    share_constants(j->g, first);
    hone_graph_prune(j->g);
    HONE_TRY(hone_graph_sort(j->g, j->err));
    return hone_graph_infer(j->g, j->err);
}

/* j's options, report, and what it is asked for are set. */
static hone_status work(hone_quantize_job *j, const hone_graph *g, const hone_dataset *data,
                        hone_graph **out) {
    hone_error own = {0};
    if (!j->err) j->err = &own;
    *j->report = (hone_quantize_report){.bytes_before = data_bytes(g)};
    HONE_TRY(hone_graph_copy(g, &j->g, j->err));
    j->original = g;
    hone_status status = quantize(j, data);
    j->report->bytes_after = data_bytes(j->g);
    for (int i = 0; i < j->count; i++) {
        hone_codes_free(&j->nodes[i].weight);
        hone_moments_free(&j->nodes[i].moments);
    }
    hone_free(j->nodes);
    hone_free(j->scalars);
    if (status == HONE_OK && out)
        *out = j->g;
    else
        hone_graph_free(j->g);
    return status;
}

hone_status hone_quantize_some(const hone_graph *g, const hone_dataset *data, const hone_quantize_options *o,
                               const char *only, hone_layers *layers, hone_graph **out, hone_error *err) {
    hone_quantize_report report;
    hone_quantize_job j = {.options = o, .report = &report, .err = err, .only = only, .layers = layers};
    return work(&j, g, data, out);
}

hone_status hone_quantize(const hone_graph *g, const hone_dataset *data, const hone_quantize_options *options,
                          hone_graph **out, hone_quantize_report *report, hone_error *err) {
    hone_quantize_options defaults = HONE_QUANTIZE_OPTIONS_INIT;
    hone_quantize_report scratch;
    if (!options) options = &defaults;
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    hone_quantize_job j = {.options = options, .report = report ? report : &scratch, .err = err};
    return work(&j, g, data, out);
}
