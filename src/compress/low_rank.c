/* With G = y^T y = W^T (x^T x) W and V its eigenvectors, the best y of rank r is y V_r V_r^T = x (W V_r) V_r^T. */
#include "compress/low_rank.h"

#include "compress/channels.h"
#include "compress/moments.h"
#include "compress/quantize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_CHANNELS 2048
#define SAMPLES 1024
#define MOST_SWEEPS 30
#define STRAIGHT 1e-9 /* cosine of what is at right angles */

typedef struct layer {
    hone_node *node;
    int axis, output_axis; /* of the weight, of the result: the channels */
    hone_weight_view view;
    double multiply_adds;
    double *directions; /* [channels, channels], a row each, the first the largest */
    double *lost;       /* [channels + 1]: of y^2, as a share, if so many directions are kept */
    int64_t rank;       /* 0: it stays whole */
} layer;

typedef struct layers {
    layer *items;
    int count;
} layers;

static void free_layers(layers *l) {
    for (int i = 0; i < l->count; i++) {
        hone_free(l->items[i].directions);
        hone_free(l->items[i].lost);
    }
    hone_free(l->items);
}

/* --- which --- */

/* Is the weight [terms, channels] or the like of a product, or [channels, channels before, window ...] of windows, and
 * the second layer's bias the first's? */
static bool has_form(const hone_node *n, const hone_quantized_node *q) {
    const hone_type *w = &n->inputs[1]->type, *y = &n->outputs[0]->type;
    const bool product = w->rank == 2 && q->output_axis == y->rank - 1,
               windows = w->rank > 2 && q->axis == 0 && q->output_axis == 1 && y->rank == w->rank;
    if (hone_attr_find(n->op->attrs, "beta") && hone_node_float(n, "beta") != 1) return false;
    if (n->input_count > 2 && n->inputs[2] && n->inputs[2]->type.rank != 1) return false;
    return (product || windows) && n->inputs[1]->use_count == 1 && n->input_count <= 3;
}

/* All channels sum over the same: one group. */
static hone_status sums_alike(const hone_node *n, const hone_quantized_node *q, bool *out, hone_error *err) {
    *out = false;
    for (int axis = 1; axis < n->inputs[0]->type.rank && !*out; axis++) {
        int summed;
        HONE_TRY(hone_summed_axis(n, axis, &summed, err));
        *out = summed >= 0 && summed != q->axis;
    }
    return HONE_OK;
}

static double multiply_adds_of(const hone_node *n) {
    hone_type in[3] = {n->inputs[0]->type, n->inputs[1]->type}, out = n->outputs[0]->type;
    const hone_type *ins[3] = {&in[0], &in[1], NULL};
    for (int i = 0; i < in[0].rank; i++)
        if (in[0].dims[i] < 0) in[0].dims[i] = 1;
    for (int i = 0; i < out.rank; i++)
        if (out.dims[i] < 0) out.dims[i] = 1;
    return n->op->multiply_adds ? (double)n->op->multiply_adds(n, ins, &out) : 0;
}

static hone_status find_layers(hone_graph *g, layers *out, hone_error *err) {
    out->items = hone_calloc(g->node_count + 1, sizeof *out->items);
    if (!out->items) return hone_fail_memory(err);
    for (hone_node *n = g->first; n; n = n->next) {
        hone_quantized_node q = {.node = n};
        bool alike = false;
        if (!hone_multiplies(n)) continue;
        HONE_TRY(hone_quantize_channels(&q, err));
        if (q.axis < 0 || !has_form(n, &q)) continue;
        HONE_TRY(sums_alike(n, &q, &alike, err));
        const hone_weight_view v = hone_weight_view_of(n->inputs[1]->data, q.axis);
        if (alike && v.channels > 1 && v.channels <= MOST_CHANNELS)
            out->items[out->count++] = (layer){.node = n,
                                               .axis = q.axis,
                                               .output_axis = q.output_axis,
                                               .view = v,
                                               .multiply_adds = multiply_adds_of(n)};
    }
    return HONE_OK;
}

/* --- directions --- */

static double dot(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Turns rows p and q so that they are at right angles (Jacobi's method, one-sided). Were they not? */
static bool turn(double *p, double *q, int64_t n) {
    const double a = dot(p, p, n), b = dot(q, q, n), c = dot(p, q, n);
    if (fabs(c) <= STRAIGHT * sqrt(a * b)) return false;
    const double z = (b - a) / (2 * c), t = (z >= 0 ? 1 : -1) / (fabs(z) + sqrt(1 + z * z)),
                 cosine = 1 / sqrt(1 + t * t), sine = cosine * t;
    for (int64_t i = 0; i < n; i++) {
        const double x = p[i], y = q[i];
        p[i] = cosine * x - sine * y;
        q[i] = sine * x + cosine * y;
    }
    return true;
}

/* Rows of a symmetric matrix without negative eigenvalues become its eigenvectors, times their values. */
static void straighten(double *g, int64_t n) {
    bool turned = true;
    for (int sweep = 0; sweep < MOST_SWEEPS && turned; sweep++) {
        turned = false;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++) turned |= turn(g + p * n, g + q * n, n);
    }
}

/* G of a layer: [channels, channels]. */
static hone_status outputs_of(const layer *l, const hone_moments *m, double *g, hone_error *err) {
    const int64_t terms = l->view.terms, channels = l->view.channels;
    const float *w = l->node->inputs[1]->data->data;
    double *x = hone_calloc((size_t)terms, sizeof *x);
    if (!x) return hone_fail_memory(err);
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t i = 0; i < terms; i++) { /* x = (x^T x) w_c */
            x[i] = m->second ? 0 : w[hone_weight_at(&l->view, c, i)];
            for (int64_t k = 0; k < terms && m->second; k++)
                x[i] += m->second[i * terms + k] * w[hone_weight_at(&l->view, c, k)];
        }
        for (int64_t d = 0; d <= c; d++) {
            double sum = 0;
            for (int64_t i = 0; i < terms; i++) sum += x[i] * w[hone_weight_at(&l->view, d, i)];
            g[c * channels + d] = g[d * channels + c] = sum;
        }
    }
    hone_free(x);
    return HONE_OK;
}

typedef struct direction {
    double size;
    int64_t row;
} direction;

static int by_size(const void *a, const void *b) {
    const direction *x = a, *y = b;
    return x->size != y->size ? (x->size < y->size) - (x->size > y->size)
                              : (x->row > y->row) - (x->row < y->row);
}

static hone_status find_directions(layer *l, const hone_moments *m, hone_error *err) {
    const int64_t n = l->view.channels;
    double *g = hone_alloc((size_t)(n * n) * sizeof *g), all = 0;
    direction *order = hone_alloc((size_t)n * sizeof *order);
    l->directions = hone_calloc((size_t)(n * n), sizeof *l->directions);
    l->lost = hone_calloc((size_t)n + 1, sizeof *l->lost);
    hone_status status =
        g && order && l->directions && l->lost ? outputs_of(l, m, g, err) : hone_fail_memory(err);
    if (status == HONE_OK) {
        straighten(g, n);
        for (int64_t i = 0; i < n; i++) {
            order[i] = (direction){sqrt(dot(g + i * n, g + i * n, n)), i};
            all += order[i].size;
        }
        qsort(order, (size_t)n, sizeof *order, by_size);
        for (int64_t i = 0; i < n; i++) { /* what is not there has no direction */
            const double size = order[i].size;
            for (int64_t k = 0; k < n && size > 1e-12 * all; k++)
                l->directions[i * n + k] = g[order[i].row * n + k] / size;
        }
        for (int64_t i = n - 1; i >= 0; i--)
            l->lost[i] = l->lost[i + 1] + (all > 0 ? order[i].size / all : 0);
    }
    hone_free(g);
    hone_free(order);
    return status;
}

static hone_status find_all_directions(const hone_graph *g, const hone_dataset *data, const hone_task *task,
                                       int threads, layers *l, hone_error *err) {
    hone_moments_ask *asks = hone_calloc((size_t)l->count + 1, sizeof *asks);
    hone_moments *moments = hone_calloc((size_t)l->count + 1, sizeof *moments);
    hone_status status = asks && moments ? HONE_OK : hone_fail_memory(err);
    for (int i = 0; i < l->count && status == HONE_OK; i++)
        asks[i] = (hone_moments_ask){l->items[i].node, l->items[i].axis, l->items[i].output_axis};
    if (status == HONE_OK && data)
        status = hone_moments_find(g, data, task, SAMPLES, threads, asks, l->count, moments, err);
    for (int i = 0; i < l->count && status == HONE_OK; i++)
        status = find_directions(&l->items[i], &moments[i], err);
    for (int i = 0; i < l->count && moments; i++) hone_moments_free(&moments[i]);
    hone_free(asks);
    hone_free(moments);
    return status;
}

/* --- ranks --- */

static double cost(const layer *l, int64_t rank) {
    const double t = (double)l->view.terms, c = (double)l->view.channels;
    return rank ? l->multiply_adds * (double)rank * (t + c) / (t * c) : l->multiply_adds;
}

static double lost(const layer *l, int64_t rank) {
    return rank ? l->lost[rank] : 0;
}

/* The step that costs least of a layer's output for a multiply-add. A layer's ranks fall; whole is none. */
static bool choose_step(const layers *l, int *which, int64_t *rank) {
    double least = INFINITY;
    for (int i = 0; i < l->count; i++) {
        const layer *e = &l->items[i];
        for (int64_t r = e->rank ? e->rank - 1 : e->view.channels - 1; r > 0; r--) {
            const double saved = cost(e, e->rank) - cost(e, r),
                         price = (lost(e, r) - lost(e, e->rank)) / saved;
            if (saved <= 0 || price >= least) continue;
            least = price;
            *which = i;
            *rank = r;
        }
    }
    return least < INFINITY;
}

static hone_status choose_ranks(const hone_graph *g, layers *l, double share, hone_error *err) {
    hone_graph_stats stats;
    HONE_TRY(hone_graph_get_stats(g, &stats, err));
    const double all = (double)stats.multiply_adds;
    double left = all;
    while (left > (1 - share) * all) {
        int which = 0;
        int64_t rank = 0;
        if (!choose_step(l, &which, &rank))
            return hone_fail(err, HONE_UNSUPPORTED,
                             "more than %g of the multiply-adds are left if all layers are of rank 1",
                             1 - share);
        left += cost(&l->items[which], rank) - cost(&l->items[which], l->items[which].rank);
        l->items[which].rank = rank;
    }
    return HONE_OK;
}

/* --- splitting --- */

static hone_value *add_factor(hone_graph *g, const hone_value *w, const char *end, hone_tensor *t) {
    hone_value *v = hone_graph_add_constant(g, hone_arena_printf(g->arena, "%s.%s", w->name, end), t);
    hone_tensor_free(t);
    return v;
}

/* W V_r, in the weight's form. */
static hone_status first_factor(const layer *l, hone_tensor **out, hone_error *err) {
    const hone_tensor *w = l->node->inputs[1]->data;
    int64_t dims[HONE_MAX_RANK];
    memcpy(dims, w->dims, sizeof dims);
    dims[l->axis] = l->rank;
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, w->rank, dims, out, err));
    const hone_weight_view to = hone_weight_view_of(*out, l->axis);
    for (int64_t r = 0; r < l->rank; r++)
        for (int64_t i = 0; i < l->view.terms; i++) {
            double sum = 0;
            for (int64_t c = 0; c < l->view.channels; c++)
                sum += ((const float *)w->data)[hone_weight_at(&l->view, c, i)] *
                       l->directions[r * l->view.channels + c];
            ((float *)(*out)->data)[hone_weight_at(&to, r, i)] = (float)sum;
        }
    return HONE_OK;
}

/* V_r^T: [rank, channels] of a product, [channels, rank, 1 ...] of windows. */
static hone_status second_factor(const layer *l, bool windows, hone_tensor **out, hone_error *err) {
    int64_t dims[HONE_MAX_RANK] = {l->rank, l->view.channels};
    const int rank = windows ? l->node->inputs[1]->type.rank : 2;
    for (int i = 2; i < rank; i++) dims[i] = 1;
    if (windows) dims[0] = l->view.channels, dims[1] = l->rank;
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, rank, dims, out, err));
    for (int64_t r = 0; r < l->rank; r++)
        for (int64_t c = 0; c < l->view.channels; c++)
            ((float *)(*out)->data)[windows ? c * l->rank + r : r * l->view.channels + c] =
                (float)l->directions[r * l->view.channels + c];
    return HONE_OK;
}

static hone_status split_layer(hone_graph *g, const layer *l, hone_error *err) {
    hone_node *n = l->node;
    const hone_value *w = n->inputs[1];
    hone_value *bias = n->input_count > 2 ? n->inputs[2] : NULL;
    const bool windows = w->type.rank > 2;
    hone_tensor *a = NULL, *b = NULL;
    HONE_TRY(first_factor(l, &a, err));
    hone_status status = second_factor(l, windows, &b, err);
    if (status != HONE_OK) {
        hone_tensor_free(a);
        return status;
    }
    hone_value *first = add_factor(g, w, "in", a), *second = add_factor(g, w, "out", b);
    g->insert_before = n;
    hone_node *thin = hone_graph_add_node(g, n->op, n->name, 2, (hone_value *[]){n->inputs[0], first}, 1);
    if (thin) {
        hone_node_copy_attrs(g, thin, n);
        hone_value *y =
            windows ? HONE_EMIT(g, "", "Conv", thin->outputs[0], second, bias)
            : bias  ? HONE_EMIT(g, "", "Add", HONE_EMIT(g, "", "MatMul", thin->outputs[0], second), bias)
                    : HONE_EMIT(g, "", "MatMul", thin->outputs[0], second);
        hone_graph_replace(g, n->outputs[0], y);
        if (!g->failed) hone_graph_remove_node(g, n);
    }
    g->insert_before = NULL;
    return hone_graph_check(g, err);
}

hone_status hone_low_rank(hone_graph *g, const hone_dataset *data, const hone_task *task, int threads,
                          double share, int64_t *split, hone_error *err) {
    layers l = {NULL, 0};
    *split = 0;
    hone_status status = find_layers(g, &l, err);
    if (status == HONE_OK && !l.count)
        status = hone_fail(err, HONE_UNSUPPORTED, "no layer can be split into two of lower rank");
    if (status == HONE_OK) status = find_all_directions(g, data, task, threads, &l, err);
    if (status == HONE_OK) status = choose_ranks(g, &l, share, err);
    for (int i = 0; i < l.count && status == HONE_OK; i++) {
        if (!l.items[i].rank) continue;
        status = split_layer(g, &l.items[i], err);
        ++*split;
    }
    free_layers(&l);
    return status;
}
