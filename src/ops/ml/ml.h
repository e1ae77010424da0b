/* What operators of ai.onnx.ml have in common: functions that end in constants of their attributes. */
#ifndef HONE_OPS_ML_ML_H
#define HONE_OPS_ML_ML_H

#include "graph/graph.h"
#include "graph/op.h"

#define HONE_ML "ai.onnx.ml"
#define HONE_ML_NUMBERS (HONE_TYPES_FLOAT | HONE_TYPES_INT) /* of features */

static inline hone_value *hone_ml_cast(hone_graph *g, hone_value *v, hone_dtype dtype) {
    hone_value *y = HONE_EMIT(g, "", "Cast", v);
    if (y) hone_node_set_int(g, y->producer, "to", dtype);
    return y;
}
/* The node's list of floats, integers or texts as a constant vector; NULL: it has none, or memory is out, which the
 * graph remembers. */
hone_value *hone_ml_list(hone_graph *g, const hone_node *n, const char *name);
size_t hone_ml_count(const hone_node *n, const char *name);
/* A constant of `count` elements; takes no reference. */
hone_value *hone_ml_constant(hone_graph *g, hone_dtype dtype, int rank, const int64_t *dims,
                             const void *data);
/* Where elements of x stand among `keys`; their number for those that do not. `last`: of equal keys the last counts. */
hone_value *hone_ml_find(hone_graph *g, hone_value *x, hone_value *keys, bool last);

/* --- scores --- */

/* Is the attribute post_transform one that is known? */
bool hone_ml_transform_known(const hone_node *n);
/* Rows of scores after post_transform. */
hone_value *hone_ml_transform(hone_graph *g, hone_value *scores, const char *transform);
/* Of a classifier with labels in the attributes `texts` or `integers`: dtypes and shapes of its two outputs, for X [N, C] or
 * [C] and `columns` scores a row. */
hone_status hone_ml_infer_classes(hone_infer *ctx, const char *texts, const char *integers, int64_t columns,
                                  hone_error *err);
/* Outputs of a classifier: labels[index], or without labels index; and scores. A single label is that of index 1; 0 and an
 * empty text stand for the other class. */
void hone_ml_give_classes(hone_graph *g, const hone_node *n, const char *texts, const char *integers,
                          hone_value *index, hone_value *scores);
/* X as rows of `dtype`: [1, C] of [C]. */
hone_value *hone_ml_rows(hone_graph *g, hone_value *x, hone_dtype dtype);

#endif
