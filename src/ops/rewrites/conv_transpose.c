/* A transposed convolution whose windows of 2 x 2 do not overlap, since it moves on by 2, is a product for each position and a
 * move:  ConvTranspose(x, w)  ⇒  DepthToSpace(Conv(x, w')), w' being [4 M, C, 1, 1], a window's place before its channel. */
#include "graph/infer.h"
#include "ops/ops.h"
#include "ops/rewrites/quantized.h"
#include "ops/rewrites/rewrites.h"

#include <string.h>

enum { SIZE = 2, PLACES = SIZE * SIZE };

static bool is_float(const hone_value *v) {
    return v->type.dtype == HONE_FLOAT32;
}

/* The DequantizeLinear of constants that makes v; NULL: it is none. */
static const hone_node *dequantized(const hone_value *v) {
    const hone_node *n = v->producer;
    const hone_value *zero = n && n->op == &hone_op_dequantize_linear ? hone_quantized_input(n, 2) : NULL;
    bool constant = n && n->op == &hone_op_dequantize_linear && hone_is_constant(n->inputs[0]) &&
                    hone_is_constant(n->inputs[1]) && is_float(n->inputs[1]) &&
                    (!zero || hone_is_constant(zero)) && hone_node_int(n, "block_size") == 0;
    return constant ? n : NULL;
}

/* One, or one for each channel of the result. */
static bool is_wide(const hone_value *v, int64_t channels) {
    return !v || v->data->count == 1 || (v->type.rank == 1 && v->data->count == channels);
}

static bool check_weights(const hone_value *w) {
    const hone_node *d = dequantized(w);
    if (!is_float(w) || w->type.rank != 4 || w->type.dims[2] != SIZE || w->type.dims[3] != SIZE) return false;
    if (!d) return hone_is_constant(w);
    const int64_t axis = hone_node_int(d, "axis"), channels = w->type.dims[1];
    const hone_value *zero = hone_quantized_input(d, 2);
    return hone_dtype_size(d->inputs[0]->type.dtype) == 1 &&
           (axis == 1 || axis == -3 || hone_is_scalar(d->inputs[1])) && is_wide(d->inputs[1], channels) &&
           is_wide(zero, channels) && (!zero || zero->data->count == d->inputs[1]->data->count);
}

static bool check_bias(const hone_value *v, int64_t channels) {
    return !v || (hone_is_constant(v) && is_float(v) && v->data->count == channels) ||
           hone_is_quantized_bias(v, channels);
}

/* Is the list left out, or the same number throughout? */
static bool all_are(const hone_node *n, const char *name, int64_t number) {
    size_t count;
    const int64_t *list = hone_node_ints(n, name, &count);
    for (size_t i = 0; list && i < count; i++)
        if (list[i] != number) return false;
    return true;
}

bool hone_check_spread_blocks(const hone_match *m) {
    const hone_node *n = hone_match_maker(m, "spread");
    const hone_value *w = hone_match_value(m, "w"), *x = hone_match_value(m, "x");
    const char *pad = hone_node_string(n, "auto_pad");
    size_t shape;
    hone_node_ints(n, "output_shape", &shape);
    return is_float(x) && x->type.rank == 4 && check_weights(w) &&
           check_bias(hone_match_value(m, "bias"), w->type.dims[1]) && hone_node_int(n, "group") == 1 &&
           all_are(n, "pads", 0) && all_are(n, "output_padding", 0) && all_are(n, "dilations", 1) &&
           shape == 0 && (strcmp(pad, "NOTSET") == 0 || strcmp(pad, "VALID") == 0);
}

static hone_value *new_constant(hone_graph *g, const hone_value *like, int rank, const int64_t *dims,
                                char **data) {
    hone_tensor *t = NULL;
    if (hone_tensor_new(like->type.dtype, rank, dims, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    hone_value *v = hone_graph_add_constant(g, like->name, t);
    *data = t->data;
    hone_tensor_free(t);
    return v;
}

/* [C, M, 2, 2] as [4 M, C, 1, 1]. */
static hone_value *weights(hone_graph *g, const hone_value *w) {
    const int64_t channels = w->data->dims[0], m = w->data->dims[1], dims[] = {PLACES * m, channels, 1, 1};
    const size_t size = hone_dtype_size(w->type.dtype);
    const char *from = w->data->data;
    char *to = NULL;
    hone_value *v = new_constant(g, w, 4, dims, &to);
    for (int64_t c = 0; v && c < channels; c++)
        for (int64_t i = 0; i < m * PLACES; i++, from += size)
            memcpy(to + (size_t)((i % PLACES * m + i / PLACES) * channels + c) * size, from, size);
    return v;
}

/* A vector over the channels four times; one number, or none, as it is. */
static hone_value *repeated(hone_graph *g, hone_value *v) {
    if (!v || v->data->count == 1) return v;
    const int64_t count = PLACES * v->data->count;
    const size_t bytes = (size_t)v->data->count * hone_dtype_size(v->type.dtype);
    char *to = NULL;
    hone_value *y = new_constant(g, v, 1, &count, &to);
    for (int i = 0; y && i < PLACES; i++) memcpy(to + (size_t)i * bytes, v->data->data, bytes);
    return y;
}

/* DequantizeLinear(codes) as `n` has it, by scales along axis 0. */
static hone_value *dequantize(hone_graph *g, const hone_node *n, hone_value *codes) {
    return HONE_EMIT(g, "", "DequantizeLinear", codes, repeated(g, n->inputs[1]),
                     repeated(g, hone_quantized_input(n, 2)));
}

static void set_axis(hone_graph *g, hone_value *v) {
    if (v) hone_node_set_int(g, v->producer, "axis", 0);
}

static hone_value *new_bias(hone_graph *g, hone_value *bias) {
    const hone_node *d = bias ? dequantized(bias) : NULL;
    if (!d) return repeated(g, bias);
    hone_value *v = dequantize(g, d, repeated(g, d->inputs[0]));
    set_axis(g, v);
    return v;
}

hone_value *hone_build_spread_blocks(hone_match *m) {
    hone_graph *g = m->graph;
    const hone_value *w = hone_match_value(m, "w");
    const hone_node *d = dequantized(w);
    hone_value *flat = weights(g, d ? d->inputs[0] : w);
    if (d) set_axis(g, flat = dequantize(g, d, flat));
    hone_value *y =
        HONE_EMIT(g, "", "Conv", hone_match_value(m, "x"), flat, new_bias(g, hone_match_value(m, "bias")));
    if (y && m->root->op == &hone_op_quantize_linear) { /* before the move: products store codes */
        y = HONE_EMIT(g, "", "QuantizeLinear", y, m->root->inputs[1], hone_quantized_input(m->root, 2));
        if (y) hone_node_copy_attrs(g, y->producer, m->root);
    }
    y = y ? HONE_EMIT(g, "", "DepthToSpace", y) : NULL;
    if (y) hone_node_set_int(g, y->producer, "blocksize", SIZE);
    return y;
}
