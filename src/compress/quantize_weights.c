/* Weights in few bits, in blocks that share a scale; what they multiply stays in float.
 *
 *   W ─► node       becomes   codes, scales (, zeros) ─► DequantizeLinear ─► node      and for tables of rows the same
 *                   or        MatMulNBits(x, codes, scales, zeros)                     where the dialect is ONNX Runtime's */
#include "base/bits.h"
#include "compress/quantize.h"
#include "train/derive.h"

#include <stdlib.h>
#include <string.h>

#define MAX_MOVES 4

/* Where and how a value is read. */
typedef struct reading {
    hone_quantized_node q; /* node NULL: rows are looked up */
    bool found, direct;    /* direct: the node's input is the value itself */
} reading;

/* The channels of `v`, as `n` reads it; *axis -1: n is no such reader. */
static hone_status channels_of(const hone_quantize_job *j, hone_node *n, int index, int *axis, int *output) {
    const hone_slot *slot = hone_op_input(n->op, index);
    hone_quantized_node q = {.node = n};
    *axis = -1;
    *output = -1;
    if (!slot || index >= n->capture_first) return HONE_OK;
    if (slot->flags & HONE_SLOT_ROWS) {
        *axis = 0;
    } else if (slot->flags & HONE_SLOT_WEIGHT && index == 1 && n->op->quantize == HONE_QUANTIZE_INTEGER &&
               n->outputs[0]) {
        HONE_TRY(hone_quantize_channels(&q, j->err));
        *axis = q.axis;
        *output = q.output_axis;
    }
    return HONE_OK;
}

/* Which of v's axes becomes axis `axis` of the node that only moves its elements; -1: none that is known. */
static int before_move(const hone_node *n, int axis) {
    HONE_AXES(axes);
    int from = -1;
    if (n->op->axes) n->op->axes(n, &axes);
    for (int i = 0; i < axes.count && from < 0; i++) {
        const hone_axis_link *l = &axes.links[i];
        if (l->kind == HONE_AXIS_SAME && l->input == 0 && l->output == 0 && l->output_axis == axis)
            from = l->axis;
    }
    return from;
}

static hone_status read_by(const hone_quantize_job *j, hone_value *v, int depth, reading *r) {
    for (size_t u = 0; u < v->use_count && !r->found; u++) {
        hone_node *n = v->uses[u].node;
        int axis, output;
        HONE_TRY(channels_of(j, n, v->uses[u].index, &axis, &output));
        if (axis >= 0) {
            *r = (reading){.q = {.node = output >= 0 ? n : NULL, .axis = axis, .output_axis = output},
                           .found = true,
                           .direct = depth == 0};
        } else if (n->op->quantize == HONE_QUANTIZE_BITS && v->uses[u].index == 0 && depth < MAX_MOVES &&
                   n->outputs[0] && n->outputs[0]->type.rank == v->type.rank) {
            HONE_TRY(read_by(j, n->outputs[0], depth + 1, r));
            if (r->found) r->q.axis = before_move(n, r->q.axis);
            if (r->q.axis < 0) r->found = false;
        }
    }
    return HONE_OK;
}

static bool is_candidate(const hone_graph *g, const hone_value *v) {
    return hone_is_trainable(g, v) && v->type.rank >= 2 && v->data && v->data->count > 0;
}

static hone_status check_value(const hone_quantize_job *j, const hone_value *v) {
    for (int64_t i = 0; i < v->data->count; i++)
        if (!(((const float *)v->data->data)[i] - ((const float *)v->data->data)[i] == 0))
            return hone_fail_node(j->err, HONE_OUT_OF_RANGE, v->name, NULL, "weight %lld is not finite",
                                  (long long)i);
    return HONE_OK;
}

/* --- writing --- */

static hone_value *emit_dequantize(hone_quantize_job *j, const hone_quantized_node *q, const char *name,
                                   const hone_code_format *f) {
    hone_tensor *codes = NULL, *zeros = NULL;
    hone_graph *g = j->g;
    hone_value *y = NULL;
    const int bits = hone_codes_stored_bits(&q->weight, false);
    if (hone_codes_pack(q->weight.q, bits, &codes, NULL) != HONE_OK ||
        (q->weight.zero && hone_codes_pack(q->weight.zero, bits, &zeros, NULL) != HONE_OK)) {
        hone_graph_out_of_memory(g);
    } else {
        hone_value *in[] = {hone_quantize_constant(j, name, ".quantized", codes),
                            hone_quantize_constant(j, name, ".scale", q->weight.scale),
                            zeros ? hone_quantize_constant(j, name, ".zero", zeros) : NULL};
        y = HONE_EMIT(g, "", "DequantizeLinear", in[0], in[1], in[2]);
        if (y) hone_node_set_int(g, y->producer, "axis", f->block ? 1 - q->axis : q->axis);
        if (y && f->block) hone_node_set_int(g, y->producer, "block_size", f->block);
    }
    hone_tensor_free(codes);
    hone_tensor_free(zeros);
    return y;
}

/* Codes [channels, terms] as MatMulNBits packs them: without signs, each row filled up to whole blocks. */
static hone_tensor *packed_rows(const hone_tensor *codes, int axis, int bits, int64_t block,
                                hone_error *err) {
    const hone_weight_view v = hone_weight_view_of(codes, axis);
    const int64_t blocks = (v.terms + block - 1) / block, bytes = block * bits / 8;
    hone_tensor *t = NULL;
    if (hone_tensor_new(HONE_UINT8, 3, (int64_t[]){v.channels, blocks, bytes}, &t, err) != HONE_OK)
        return NULL;
    for (int64_t c = 0; c < v.channels; c++)
        for (int64_t i = 0; i < blocks * block; i++) {
            const int code = i < v.terms ? ((const int8_t *)codes->data)[hone_weight_at(&v, c, i)] : 0;
            hone_bits_set((uint8_t *)t->data + c * blocks * bytes, i, bits,
                          (unsigned)(code + (1 << (bits - 1))));
        }
    return t;
}

/* Zero points [channels, blocks] likewise, each row from a byte of its own. */
static hone_tensor *packed_zeros(const hone_tensor *zeros, int axis, int bits, hone_error *err) {
    const hone_weight_view v = hone_weight_view_of(zeros, axis);
    const int64_t bytes = (v.terms * bits + 7) / 8;
    hone_tensor *t = NULL;
    if (hone_tensor_new(HONE_UINT8, 2, (int64_t[]){v.channels, bytes}, &t, err) != HONE_OK) return NULL;
    for (int64_t c = 0; c < v.channels; c++)
        for (int64_t i = 0; i < v.terms; i++)
            hone_bits_set(
                (uint8_t *)t->data + c * bytes, i, bits,
                (unsigned)(((const int8_t *)zeros->data)[hone_weight_at(&v, c, i)] + (1 << (bits - 1))));
    return t;
}

/* Scales with a row for each channel. */
static hone_tensor *scale_rows(const hone_tensor *scale, int axis, hone_error *err) {
    const hone_weight_view v = hone_weight_view_of(scale, axis);
    hone_tensor *t = NULL;
    if (hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){v.channels, v.terms}, &t, err) != HONE_OK) return NULL;
    for (int64_t c = 0; c < v.channels; c++)
        for (int64_t i = 0; i < v.terms; i++)
            ((float *)t->data)[c * v.terms + i] = ((const float *)scale->data)[hone_weight_at(&v, c, i)];
    return t;
}

/* Can MatMulNBits say this node? It is a plain product, and nobody else reads its weight. */
static bool is_product(const hone_quantize_job *j, const hone_quantized_node *q, const hone_value *v,
                       const hone_code_format *f) {
    const bool blocks = f->block >= 16 && (f->block & (f->block - 1)) == 0;
    return j->options->dialect == HONE_DIALECT_ORT && blocks && v->use_count == 1 && v->type.rank == 2 &&
           q->node && v->uses[0].node == q->node && q->node->op->emit_integer &&
           hone_quantize_has_form(j->g, q);
}

static void emit_product(hone_quantize_job *j, const hone_quantized_node *q, const char *name,
                         const hone_code_format *f) {
    hone_graph *g = j->g;
    hone_node *n = q->node;
    const int bits = f->bits == 3 ? 4 : f->bits;
    const hone_weight_view v = hone_weight_view_of(q->weight.q, q->axis);
    hone_tensor *codes = packed_rows(q->weight.q, q->axis, bits, f->block, NULL),
                *scales = scale_rows(q->weight.scale, q->axis, NULL),
                *zeros = q->weight.zero ? packed_zeros(q->weight.zero, q->axis, bits, NULL) : NULL;
    if (!codes || !scales || (q->weight.zero && !zeros)) {
        hone_graph_out_of_memory(g);
    } else {
        g->insert_before = n;
        hone_value *in[] = {n->inputs[0], hone_quantize_constant(j, name, ".quantized", codes),
                            hone_quantize_constant(j, name, ".scale", scales),
                            zeros ? hone_quantize_constant(j, name, ".zero", zeros) : NULL};
        hone_value *y = HONE_EMIT(g, "com.microsoft", "MatMulNBits", in[0], in[1], in[2], in[3]);
        const char *const names[] = {"K", "N", "bits", "block_size"};
        const int64_t numbers[] = {v.terms, v.channels, bits, f->block};
        for (int i = 0; y && i < 4; i++) hone_node_set_int(g, y->producer, names[i], numbers[i]);
        if (n->input_count > 2 && n->inputs[2]) y = HONE_EMIT(g, "", "Add", y, n->inputs[2]);
        g->insert_before = NULL;
        hone_graph_replace(g, n->outputs[0], y);
        if (!g->failed) hone_graph_remove_node(g, n);
    }
    hone_tensor_free(codes);
    hone_tensor_free(scales);
    hone_tensor_free(zeros);
}

static hone_code_format format_of(const hone_quantize_job *j, int index, const hone_value *v) {
    hone_code_format f = hone_quantize_format(j, v, index, j->count);
    if (v->type.rank != 2) f.block = 0;
    return f;
}

static hone_status go_over(hone_quantize_job *j, hone_quantized_node *q, hone_value *v,
                           const hone_code_format *f) {
    hone_graph *g = j->g;
    if (q->node) HONE_TRY(hone_quantize_correct(j, q, f->block));
    j->report->quantized_nodes++;
    if (is_product(j, q, v, f)) {
        emit_product(j, q, v->name, f);
        return hone_graph_check(g, j->err);
    }
    g->insert_before = g->first;
    hone_value *y = emit_dequantize(j, q, v->name, f);
    g->insert_before = NULL;
    if (y) hone_graph_replace(g, v, y);
    return hone_graph_check(g, j->err);
}

/* Codes first, then, trained or not, what is written. */
static hone_status go_over_all(hone_quantize_job *j, const hone_dataset *data, hone_value *const *values) {
    hone_code_format *formats = hone_calloc((size_t)j->count + 1, sizeof *formats);
    hone_status status = formats ? hone_quantize_moments(j, data) : hone_fail_memory(j->err);
    for (int i = 0; i < j->count && status == HONE_OK; i++) {
        hone_quantized_node *q = &j->nodes[i];
        formats[i] = format_of(j, i, values[i]);
        status = hone_codes_of_weight(values[i]->data, q->axis, &formats[i], &q->moments, &q->weight, j->err);
    }
    if (status == HONE_OK && hone_quantize_trains(j->options))
        status = hone_quantize_train(j, data, values, formats);
    for (int i = 0; i < j->count && status == HONE_OK; i++)
        status = go_over(j, &j->nodes[i], values[i], &formats[i]);
    hone_free(formats);
    return status;
}

/* --- */

/* Those that stay: no reader says which way its channels go. */
static void note(hone_quantize_job *j, const hone_value *v) {
    for (size_t u = 0; u < v->use_count; u++)
        if (v->uses[u].node->op->multiply_adds || u + 1 == v->use_count) {
            hone_quantize_note(j, v->uses[u].node, "has no form for weights of few bits");
            return;
        }
}

static int by_use(const void *a, const void *b) {
    const int x = (*(hone_value *const *)a)->uses[0].node->mark,
              y = (*(hone_value *const *)b)->uses[0].node->mark;
    return (x > y) - (x < y);
}

hone_status hone_quantize_weights(hone_quantize_job *j, const hone_dataset *data) {
    hone_graph *g = j->g;
    const size_t room = g->value_count + 1;
    hone_value **values = hone_calloc(room, sizeof *values);
    j->nodes = hone_calloc(room, sizeof *j->nodes);
    hone_status status = values && j->nodes ? HONE_OK : hone_fail_memory(j->err);
    int at = 0, count = 0;
    for (hone_node *n = g->first; n; n = n->next) n->mark = at++;
    for (size_t i = 0; i < g->value_count && status == HONE_OK; i++)
        if (is_candidate(g, g->values[i])) values[count++] = g->values[i];
    if (status == HONE_OK) qsort(values, (size_t)count, sizeof *values, by_use);
    for (int i = 0; i < count && status == HONE_OK; i++) {
        reading r = {.found = false};
        status = read_by(j, values[i], 0, &r);
        if (status == HONE_OK) status = check_value(j, values[i]);
        bool wants = true;
        if (status == HONE_OK && r.found) status = hone_quantize_wants(j, values[i], &wants);
        if (!wants) continue;
        if (r.found) {
            if (!r.direct) r.q.node = NULL; /* its input 1 is made of the weight */
            values[j->count] = values[i];
            j->nodes[j->count++] = r.q;
        } else {
            note(j, values[i]);
        }
    }
    if (status == HONE_OK) status = go_over_all(j, data, values);
    hone_free(values);
    return status;
}
