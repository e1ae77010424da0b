/* Quantized graphs become convolutions of integers: the rows "lower-quantized-conv" and "lower-dynamic-conv". Names as in
 * lower_quantized.c; conv is the convolution. */
#include "ops/ops.h"
#include "ops/rewrites/quantized.h"
#include "ops/rewrites/rewrites.h"

static int64_t channels_of(const hone_match *m) {
    return hone_match_value(m, "b")->data->dims[0];
}

static bool check_weights(const hone_match *m) {
    const hone_tensor *b = hone_match_value(m, "b")->data, *scale = hone_match_value(m, "b_scale")->data;
    return b->rank >= 3 && (b->dtype == HONE_INT8 || b->dtype == HONE_UINT8) &&
           (scale->count == 1 || (scale->count == b->dims[0] && scale->rank == 1));
}

static bool is_byte(const hone_value *v) {
    return v->type.dtype == HONE_INT8 || v->type.dtype == HONE_UINT8;
}

/* A constant vector, in float or quantized. */
static bool check_vector(const hone_match *m) {
    const hone_value *v = hone_match_value(m, "bias");
    int64_t n = channels_of(m);
    if (!v) return true;
    if (!hone_is_constant(v)) return hone_is_quantized_bias(v, n);
    return v->data->dtype == HONE_FLOAT32 && v->data->rank == 1 && v->data->count == n;
}

bool hone_check_quantized_conv(const hone_match *m) {
    const hone_node *x = hone_match_maker(m, "x"), *d = hone_match_maker(m, "w");
    int64_t axis = hone_node_int(d, "axis");
    if (!hone_has_one_scale(x) || !is_byte(x->inputs[0]) || !check_weights(m)) return false;
    if (hone_node_int(d, "block_size") != 0) return false;
    if (!hone_is_scalar(hone_match_value(m, "b_scale")) && axis != 0 && axis != -d->inputs[0]->type.rank)
        return false;
    return check_vector(m) && hone_check_quantized_result(m);
}

/* [M, 1, …], which broadcasts along the channels of y. */
static bool is_by_channel(const hone_value *v, const hone_type *y, int64_t channels) {
    int axis = 1 - (y->rank - v->type.rank);
    return v->data->count == channels && axis >= 0 && v->type.rank <= y->rank &&
           v->type.dims[axis] == channels;
}

bool hone_check_dynamic_conv(const hone_match *m) {
    const hone_value *zero = hone_match_value(m, "a_zero"), *bias = hone_match_value(m, "bias"),
                     *scale = hone_match_value(m, "b_scale");
    const hone_node *conv = hone_match_maker(m, "conv");
    const hone_type *y = &conv->outputs[0]->type;
    const hone_tensor *b = hone_match_value(m, "b")->data;
    if (y->rank < 3 || b->rank != y->rank || !is_byte(hone_match_value(m, "a")) ||
        (zero && !hone_is_one(zero)) || !hone_is_one(hone_match_value(m, "a_scale")))
        return false;
    int64_t channels = b->dims[0];
    if (scale->data->dtype != HONE_FLOAT32 || (scale->data->count != 1 && !is_by_channel(scale, y, channels)))
        return false;
    if (hone_match_value(m, "scales")->type.rank > y->rank) return false;
    if (bias &&
        !(hone_is_constant(bias) && bias->data->dtype == HONE_FLOAT32 && is_by_channel(bias, y, channels)))
        return false;
    return hone_check_quantized_result(m);
}

static hone_value *emit(hone_match *m, hone_value *scale, hone_value *bias) {
    hone_graph *g = m->graph;
    const hone_node *conv = hone_match_maker(m, "conv");
    if (!conv) conv = hone_match_maker(m, "p");
    hone_value *in[] = {hone_match_value(m, "a"),
                        hone_match_value(m, "a_scale"),
                        hone_match_value(m, "a_zero"),
                        hone_match_value(m, "b"),
                        scale,
                        hone_match_value(m, "b_zero"),
                        bias};
    hone_node *n = hone_graph_add_node(g, &hone_op_integer_conv, conv->name, 7, in, 1);
    if (!n) return NULL;
    hone_node_copy_attrs(g, n, conv);
    hone_set_quantized_result(m, n);
    return n->outputs[0];
}

hone_value *hone_build_quantized_conv(hone_match *m) {
    return emit(m, hone_match_value(m, "b_scale"), hone_quantized_bias_of(m, channels_of(m)));
}

/* Numbers of channels as a plain vector. */
static hone_value *vector(hone_graph *g, hone_value *v) {
    if (!v || v->type.rank == 1) return v;
    return hone_graph_floats(g, v->data->data, v->data->count);
}

hone_value *hone_build_dynamic_conv(hone_match *m) {
    return emit(m, vector(m->graph, hone_match_value(m, "b_scale")),
                vector(m->graph, hone_match_value(m, "bias")));
}
