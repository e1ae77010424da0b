/* What is known of the elements of a small integer tensor before it is computed: numbers, symbols, or nothing.
 *
 *   x [batch, 12, 64] ─ Shape ─► {batch, 12, 64} ─ Gather 0 ─► {batch} ─ Concat with {-1} ─► {batch, -1} ─► Reshape
 *
 * Inference carries it along, so that shapes computed from shapes are known as far as they can be. Operators that
 * compute have a hook (`content` of the descriptor); those that only move elements need none: their own kernels
 * move tokens that stand for the elements. */
#ifndef HONE_GRAPH_CONTENT_H
#define HONE_GRAPH_CONTENT_H

#include "graph/graph.h"

#include <stddef.h>

#define HONE_CONTENT_MAX 64 /* elements; content of larger tensors is not carried */

typedef enum hone_item_kind {
    HONE_ITEM_UNKNOWN,
    HONE_ITEM_NUMBER, /* value */
    HONE_ITEM_SYMBOL  /* a dimension's symbol: value <= -2 */
} hone_item_kind;

typedef struct hone_item {
    hone_item_kind kind;
    int64_t value;
} hone_item;

typedef struct hone_content {
    int count;
    hone_item item[HONE_CONTENT_MAX];
} hone_content;
/* Bytes of a content of so many items: what lies behind them need not be there. */
static inline size_t hone_content_bytes(int count) {
    return offsetof(hone_content, item) + (size_t)count * sizeof(hone_item);
}

/* The content of a tensor that is there: false if it is no small tensor of int32 or int64. */
bool hone_content_of(const hone_tensor *t, hone_content *out);
/* A dimension as an item, and an item as a dimension: HONE_DIM_ANY where it is not known. */
hone_item hone_item_of_dim(int64_t dim);
int64_t hone_dim_of_item(hone_item item);
/* Are all items numbers? */
bool hone_content_is_known(const hone_content *c);
/* A tensor of a concrete type (int32 or int64) from content that is known. */
hone_status hone_content_tensor(const hone_content *c, const hone_type *type, hone_tensor **out,
                                hone_error *err);

#endif
