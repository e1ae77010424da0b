/* What goes into a convolution: scales and shifts of its channels into weights and bias, zeros around its input into its
 * pads. Weights that others read, too, are left alone: they would be there twice. */
#include "ops/ops.h"
#include "ops/rewrites/rewrites.h"

#include <math.h>
#include <string.h>

static bool is_float(const hone_value *v) {
    return v->type.dtype == HONE_FLOAT32;
}

static bool is_own(const hone_match *m, const char *name) {
    const hone_value *v = hone_match_value(m, name);
    return is_float(v) && v->use_count == 1 && !hone_graph_is_output(m->graph, v);
}

static float number_at(const hone_value *v, int64_t i) {
    return v ? ((const float *)v->data->data)[v->data->count == 1 ? 0 : i] : 0;
}

/* It takes over the name of what it stands for. */
static hone_value *constant(hone_graph *g, const char *name, int rank, const int64_t *dims, float **data) {
    hone_tensor *t = NULL;
    if (hone_tensor_new(HONE_FLOAT32, rank, dims, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    hone_value *v = hone_graph_add_constant(g, name, t);
    if (v) hone_graph_rename(g, v, name);
    *data = t->data;
    hone_tensor_free(t);
    return v;
}

/* --- fold-channels --- */

/* Channels of the result. */
static int64_t channels_of(const hone_node *n, const hone_tensor *w) {
    return n->op == &hone_op_conv ? w->dims[0] : w->dims[1] * hone_node_int(n, "group");
}

/* One number, or one for each of y's channels, along axis 1. */
static bool is_by_channel(const hone_value *k, const hone_type *y, int64_t channels) {
    if (!is_float(k) || k->type.rank > y->rank) return false;
    if (k->data->count == 1) return true;
    int axis = 1 - (y->rank - k->type.rank);
    return axis >= 0 && k->type.dims[axis] == channels && k->data->count == channels;
}

/* What becomes of channel i: y factor + shift. */
static void change(const hone_match *m, int64_t i, double *factor, double *shift) {
    double k = number_at(hone_match_value(m, "k"), i);
    const hone_op *op = m->root->op;
    *factor = op == &hone_op_mul ? k : op == &hone_op_div ? 1 / k : 1;
    *shift = op == &hone_op_add ? k : op == &hone_op_sub ? -k : 0;
}

bool hone_check_conv_channels(const hone_match *m) {
    const hone_node *n = hone_match_maker(m, "conv");
    const hone_value *w = hone_match_value(m, "w"), *c = hone_match_value(m, "c");
    const hone_type *y = &n->outputs[0]->type;
    if (!is_own(m, "w") || w->type.rank < 3 || y->rank != w->type.rank || (c && !is_float(c))) return false;
    int64_t channels = channels_of(n, w->data);
    if (!is_by_channel(hone_match_value(m, "k"), y, channels)) return false;
    for (int64_t i = 0; i < channels; i++) {
        double factor, shift;
        change(m, i, &factor, &shift);
        if (!isfinite((float)factor) || !isfinite((float)shift)) return false;
    }
    return true;
}

/* The channel of the result that element i of w belongs to. */
static int64_t channel_of(const hone_node *n, const hone_tensor *w, int64_t group, int64_t i) {
    int64_t taps = 1;
    for (int d = 2; d < w->rank; d++) taps *= w->dims[d];
    int64_t inner = i / taps % w->dims[1], outer = i / taps / w->dims[1];
    return n->op == &hone_op_conv ? outer : outer / (w->dims[0] / group) * w->dims[1] + inner;
}

typedef float floats __attribute__((vector_size(16)));
typedef double doubles __attribute__((vector_size(32)));

static void scale_run(const float *x, double by, int64_t count, float *out) {
    int64_t i = 0;
    for (floats v; i + 4 <= count; i += 4) {
        memcpy(&v, x + i, sizeof v);
        v = __builtin_convertvector(__builtin_convertvector(v, doubles) * by, floats);
        memcpy(out + i, &v, sizeof v);
    }
    for (; i < count; i++) out[i] = (float)(x[i] * by);
}

/* Weights times the factors of their channels: a channel's lie in runs. `out` may be where they lie. */
static void scale(const hone_node *n, const hone_tensor *w, int64_t group, const double *factor, float *out) {
    int64_t run = 1;
    for (int d = n->op == &hone_op_conv ? 1 : 2; d < w->rank; d++) run *= w->dims[d];
    for (int64_t at = 0; at < w->count; at += run)
        scale_run((const float *)w->data + at, factor[channel_of(n, w, group, at)], run, out + at);
}

/* The weights for it: w itself, which nobody else reads, if they stay or may be changed. */
static hone_value *weights_for(const hone_match *m, int64_t group, const double *factor) {
    const hone_node *n = hone_match_maker(m, "conv");
    hone_value *w = hone_match_value(m, "w");
    if (m->root->op == &hone_op_add || m->root->op == &hone_op_sub) return w;
    float *scaled = w->data->data;
    if (!hone_tensor_is_own(w->data)) {
        const hone_value *old = w;
        w = constant(m->graph, old->name, old->type.rank, old->type.dims, &scaled);
        if (w) scale(n, old->data, group, factor, scaled);
        return w;
    }
    scale(n, w->data, group, factor, scaled);
    return w;
}

hone_value *hone_build_conv_channels(hone_match *m) {
    hone_graph *g = m->graph;
    const hone_node *n = hone_match_maker(m, "conv");
    const hone_value *c = hone_match_value(m, "c");
    int64_t group = hone_node_int(n, "group"), channels = channels_of(n, hone_match_value(m, "w")->data);
    float *shifted = NULL;
    hone_value *bias = constant(g, c ? c->name : "bias", 1, &channels, &shifted);
    if (!bias) return NULL;
    double *factor = hone_calloc((size_t)channels, sizeof *factor), shift;
    if (!factor) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    for (int64_t i = 0; i < channels; i++) {
        change(m, i, &factor[i], &shift);
        shifted[i] = (float)(number_at(c, i) * factor[i] + shift);
    }
    hone_value *w = weights_for(m, group, factor);
    hone_free(factor);
    if (!w) return NULL;
    hone_value *in[] = {hone_match_value(m, "x"), w, bias};
    hone_node *layer = hone_graph_add_node(g, n->op, n->name, 3, in, 1);
    if (!layer) return NULL;
    hone_node_copy_attrs(g, layer, n);
    return layer->outputs[0];
}

/* --- fold-pad --- */

static bool is_auto(const hone_node *n) {
    const char *how = hone_node_string(n, "auto_pad");
    return how && *how && strcmp(how, "NOTSET") != 0 && strcmp(how, "VALID") != 0;
}

/* Pads by axes of the image, before and behind. False: they aren't known, or not only around its spatial axes. */
static bool pads_of(const hone_match *m, int rank, int64_t *before, int64_t *behind) {
    const hone_tensor *pads = hone_match_value(m, "pads")->data;
    const hone_value *list = hone_match_value(m, "axes");
    int64_t axes = list ? list->data->count : rank;
    memset(before, 0, (size_t)rank * sizeof *before);
    memset(behind, 0, (size_t)rank * sizeof *behind);
    if (pads->count != 2 * axes) return false;
    for (int64_t i = 0; i < axes; i++) {
        int64_t axis = list ? hone_tensor_int(list->data, i) : i;
        if (axis < 0) axis += rank;
        if (axis < 0 || axis >= rank) return false;
        before[axis] = hone_tensor_int(pads, i);
        behind[axis] = hone_tensor_int(pads, axes + i);
        if (before[axis] < 0 || behind[axis] < 0) return false;
    }
    return before[0] == 0 && before[1] == 0 && behind[0] == 0 && behind[1] == 0;
}

bool hone_check_conv_pad(const hone_match *m) {
    const hone_value *zero = hone_match_value(m, "zero");
    int rank = m->root->outputs[0]->type.rank;
    int64_t before[HONE_MAX_RANK], behind[HONE_MAX_RANK];
    return rank >= 3 && !is_auto(m->root) && (!zero || hone_constant_number(zero) == 0) &&
           pads_of(m, rank, before, behind);
}

hone_value *hone_build_conv_pad(hone_match *m) {
    hone_graph *g = m->graph;
    const hone_node *n = m->root;
    int rank = n->outputs[0]->type.rank;
    int64_t before[HONE_MAX_RANK], behind[HONE_MAX_RANK], pads[2 * HONE_MAX_RANK] = {0};
    size_t count, axes = (size_t)rank - 2;
    const int64_t *given = hone_node_ints(n, "pads", &count);
    pads_of(m, rank, before, behind);
    for (size_t i = 0; i < axes; i++) {
        pads[i] = before[2 + i] + (count ? given[i] : 0);
        pads[axes + i] = behind[2 + i] + (count ? given[axes + i] : 0);
    }
    hone_value *in[] = {hone_match_value(m, "x"), hone_match_value(m, "w"), hone_match_value(m, "c")};
    hone_node *conv = hone_graph_add_node(g, n->op, n->name, 3, in, 1);
    if (!conv) return NULL;
    hone_node_copy_attrs(g, conv, n);
    hone_node_set_ints(g, conv, "pads", pads, 2 * axes);
    hone_node_set_string(g, conv, "auto_pad", "NOTSET");
    return conv->outputs[0];
}
