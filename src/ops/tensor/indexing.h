/* What operators share that look elements up by index.
 *
 *   rows     indices of a tensor's rank (GatherElements, ScatterElements): a row at a time, along the last axis
 *   tuples   indices in tuples along the last axis (GatherND, ScatterND): each is a slice of `inner` elements */
#ifndef HONE_OPS_TENSOR_INDEXING_H
#define HONE_OPS_TENSOR_INDEXING_H

#include "graph/run.h"
#include "kernels/positions.h"
#include "ops/common/walk.h"

/* Positions are found for so many elements at a time, on the stack. */
#define HONE_POSITIONS 256

/* --- rows --- */

typedef struct hone_index_rows {
    hone_walk walk;      /* of the rows, to where they begin in x */
    int64_t columns;     /* of a row */
    int64_t size;        /* of the axis looked up */
    int64_t stride;      /* of it in x */
    int64_t step;        /* from a column to the next in x; 0: the last axis is looked up */
    int64_t independent; /* leading rows in so many groups that never meet in x */
    bool wide;           /* int64 indices */
} hone_index_rows;

/* x and indices fit, the axis, which is put into [0, rank), is one of x's. */
hone_status hone_infer_indices(const hone_infer *ctx, const hone_type *x, const hone_type *index,
                               int64_t axis_attr, int *axis, hone_error *err);
hone_index_rows hone_index_rows_of(const hone_type *x, const hone_type *index, int64_t axis);
/* Positions in x of columns [k, k + n) of a row. Gives the position of an index that is out of range, or -1. */
int64_t hone_index_row(const hone_index_rows *r, const void *index, int64_t row, int64_t k, int64_t n,
                       int64_t *at);
/* Fails for the index at position `bad`. */
hone_status hone_index_fail(const hone_index_rows *r, const hone_step *step, const void *index, int64_t bad,
                            hone_error *err);

/* --- tuples --- */

typedef struct hone_tuples {
    int64_t batch, count; /* tuples: `count` in each of `batch` */
    int width;
    int64_t dims[HONE_MAX_RANK], strides[HONE_MAX_RANK]; /* of the axes looked up */
    int64_t whole;                                       /* elements of x for one of the batch */
    int64_t inner;                                       /* elements of a slice */
} hone_tuples;

/* The ranks of x and of the tuples fit. */
hone_status hone_infer_tuples(const hone_infer *ctx, const hone_type *x, const hone_type *index,
                              int64_t batch_dims, hone_error *err);
hone_tuples hone_tuples_of(const hone_type *x, const hone_type *index, int64_t batch_dims);
/* How many tuples from `i` on, of one of the batch, to do at a time. */
int64_t hone_tuples_next(const hone_tuples *t, int64_t i, int64_t end);
/* Positions in x of tuples [i, i + n). Gives the position of an index that is out of range, or -1. */
int64_t hone_tuples_at(const hone_tuples *t, const int64_t *index, int64_t i, int64_t n, int64_t *at);
hone_status hone_tuples_fail(const hone_tuples *t, const hone_step *step, const int64_t *index, int64_t bad,
                             hone_error *err);

#endif
