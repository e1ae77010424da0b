/* Copies of boxes: a space of positions, at each of which a run of elements goes from x to y. For operators that move
 * elements of whole bytes without looking at them. */
#ifndef HONE_OPS_ENGINE_COPY_H
#define HONE_OPS_ENGINE_COPY_H

#include "ops/common/cut.h"
#include "ops/common/walk.h"

typedef struct hone_copy {
    hone_walk from, to; /* positions of runs; strides in elements, of `from` any, also 0 and negative */
    int64_t x_start;    /* elements from x's first one to where the box starts */
    int64_t run;        /* elements in a run, next to each other in y */
    int64_t x_step;     /* elements from one to the next in x; 0: one for all */
    size_t size;        /* of an element */
    hone_cut cut;       /* of the runs */
} hone_copy;

/* A copy of a box of `dims`, with the strides in x and in y of each axis. */
void hone_copy_make(hone_copy *c, size_t size, int rank, const int64_t *dims, const int64_t *x_strides,
                    const int64_t *y_strides);
void hone_copy_run(const hone_copy *c, const hone_frame *frame, const void *x, void *y);
/* Row-major strides. */
void hone_strides_of(int rank, const int64_t *dims, int64_t *strides);

#endif
