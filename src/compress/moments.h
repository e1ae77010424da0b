/* What weights are multiplied by: the mean and the second moments of the rows of x in y = x w, found on data. */
#ifndef HONE_COMPRESS_MOMENTS_H
#define HONE_COMPRESS_MOMENTS_H

#include "graph/graph.h"

#include <hone/compress.h>

/* A weight as a matrix: its channels by what they sum over, the other axes in their order. */
typedef struct hone_weight_view {
    int64_t channels, terms, inner; /* inner: elements behind a step of the channels' axis */
} hone_weight_view;
static inline int64_t hone_weight_at(const hone_weight_view *v, int64_t channel, int64_t term) {
    return (term / v->inner * v->channels + channel) * v->inner + term % v->inner;
}
hone_weight_view hone_weight_view_of(const hone_tensor *w, int axis);

typedef struct hone_moments {
    int64_t terms, rows; /* rows 0: nothing is known */
    double *second;      /* [terms, terms]: sums over rows of x_i x_j; NULL: nothing is known */
    double *first;       /* [terms]: sums over rows of x_i */
    double *factor; /* [terms, terms], upper triangular: hone_moments_factor(); NULL: not asked for yet */
} hone_moments;
void hone_moments_free(hone_moments *m);

/* A node that multiplies by its input 1, the channels of which lie along `axis`, those of the result along `output_axis`. */
typedef struct hone_moments_ask {
    const hone_node *node;
    int axis, output_axis;
} hone_moments_ask;

/* Runs `samples` samples through `g` and adds up moments[i] of asks[i], as far as the node is one whose channels all sum over
 * the same (no groups) and their number is not too large. The graph's types are inferred. */
hone_status hone_moments_find(const hone_graph *g, const hone_dataset *data, const hone_task *task,
                              int64_t samples, int threads, const hone_moments_ask *asks, int count,
                              hone_moments *moments, hone_error *err);

/* U, upper triangular, with U^T U the inverse of the second moments (damped by a hundredth of their mean diagonal). */
hone_status hone_moments_factor(hone_moments *m, hone_error *err);

#endif
