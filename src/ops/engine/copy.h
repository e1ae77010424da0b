/* Copies of boxes: a space of positions, at each of which some rows, of a run of elements each, go from x to y. For
 * operators that move elements without looking at them. Those that share bytes are moved by one task alone. */
#ifndef HONE_OPS_ENGINE_COPY_H
#define HONE_OPS_ENGINE_COPY_H

#include "kernels/positions.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

typedef struct hone_copy {
    hone_walk from, to;       /* positions; strides in elements, of `from` any, also 0 and negative */
    int64_t rows;             /* at a position */
    int64_t x_row, y_row;     /* elements from one row to the next */
    int64_t x_start, y_start; /* elements from the first one of x and y to where the box starts */
    int64_t run;              /* elements in a run, next to each other in y */
    int64_t x_step;           /* elements from one to the next in x; 0: one for all */
    size_t size;              /* bytes of an element; 0: it has `bits` */
    int bits;
    int64_t whole; /* elements of y, where the box is all of it in order; else 0 */
    hone_cut cut;  /* of the rows of all positions */
} hone_copy;

/* A copy of a box of `dims`, with the strides in x and in y of each axis. */
void hone_copy_make(hone_copy *c, hone_dtype dtype, int rank, const int64_t *dims, const int64_t *x_strides,
                    const int64_t *y_strides);
void hone_copy_run(const hone_copy *c, const hone_frame *frame, const void *x, void *y);
/* Makes 0 of the bits behind the last of `count` elements, where several share a byte: to be called before they are
 * written. */
void hone_clear_end(void *y, int64_t count, int bits);
/* What an element of that dtype is to kernels that move it. */
hone_element hone_element_of(hone_dtype dtype);
/* Row-major strides. */
void hone_strides_of(int rank, const int64_t *dims, int64_t *strides);

#endif
