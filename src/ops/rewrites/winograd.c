/* Convolutions by 3 x 3 windows, stride 1, become Winograd's (kernels/image.h): 2.25 or 4 times fewer
 * multiplications, for weights that take 1.8 or 4 times as much room, so where these are used by many
 * tiles. */
#include "ops/ops.h"
#include "ops/rewrites/rewrites.h"

#include <string.h>

enum { W = 1 };

#define LEAST_CHANNELS 16           /* of X and of Y: what tiles become and come from is much, else */
#define LEAST_LARGE 16              /* tiles that share the weights, of size 4 */
#define LEAST_SMALL 24              /* and of size 2 */
#define UNKNOWN_BYTES (1024 * 1024) /* of weights, where nobody knows how many do */

static bool all_are(const hone_node *n, const char *name, int64_t wanted) {
    size_t count;
    const int64_t *list = hone_node_ints(n, name, &count);
    for (size_t i = 0; i < count; i++)
        if (list[i] != wanted) return false;
    return true;
}

/* Weights that change, of a convolution that is trained: they become Winograd's once a batch. */
static bool is_laid(const hone_value *w) {
    return w->producer && w->producer->op == &hone_op_conv_weights_last;
}

/* Is it one, of [M, 9 C] weights that this node alone reads, or that change? */
static bool takes(const hone_graph *g, const hone_node *n, int64_t *c, int64_t *m) {
    size_t axes;
    hone_node_ints(n, "kernel_shape", &axes);
    const hone_value *w = n->inputs[W];
    const bool constant = hone_value_constant(w) && w->use_count == 1 && !hone_graph_is_output(g, w);
    if (axes != 2 || !(constant || is_laid(w))) return false;
    *m = w->type.dims[0];
    *c = w->type.dims[1] / 9;
    return all_are(n, "kernel_shape", 3) && all_are(n, "strides", 1) && all_are(n, "dilations", 1) &&
           *c >= LEAST_CHANNELS && *m >= LEAST_CHANNELS;
}

/* The size of tiles, or 0. */
static int size_of(const hone_type *y, int64_t c, int64_t m) {
    if (y->rank != 4) return 0;
    const int64_t h = y->dims[1], w = y->dims[2];
    if (h < 0 || w < 0) return 36 * c * m * (int64_t)sizeof(float) <= UNKNOWN_BYTES ? 4 : 0;
    if ((h + 3) / 4 * ((w + 3) / 4) >= LEAST_LARGE) return 4;
    return (h + 1) / 2 * ((w + 1) / 2) >= LEAST_SMALL ? 2 : 0;
}

/* Is a line worth tiles of 4, of which the last is not full? */
static bool is_large(int64_t extent) {
    return extent < 0 || extent % 4 == 0 || extent > 5;
}

/* Of the gradient to the input pads are 2 less those of the convolution. */
static bool pads_fit(const hone_node *n) {
    size_t count;
    const int64_t *pads = hone_node_ints(n, "pads", &count);
    for (size_t i = 0; i < count; i++)
        if (pads[i] > 2) return false;
    const char *automatic = hone_node_string(n, "auto_pad");
    return !automatic || strcmp(automatic, "NOTSET") == 0;
}

static bool convert(hone_graph *g, hone_node *n) {
    int64_t c, m;
    if (!takes(g, n, &c, &m)) return false;
    const hone_type *y = &n->outputs[0]->type;
    int size = size_of(y, c, m);
    if (is_laid(n->inputs[W])) size = y->rank == 4 && is_large(y->dims[1]) && is_large(y->dims[2]) ? 4 : 0;
    if (!size) return false;
    hone_node_set_int(g, n, "winograd", size);
    return true;
}

hone_status hone_rewrite_winograd(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first; n; n = n->next)
        if (n->op == &hone_op_conv_last || (n->op == &hone_op_conv_last_grad_x && pads_fit(n)))
            *changes += convert(g, n);
    return hone_graph_check(g, err);
}
