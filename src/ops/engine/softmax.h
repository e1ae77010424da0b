/* Softmax and log-softmax along any axis, for the operators of that name and for cross entropy. */
#ifndef HONE_OPS_ENGINE_SOFTMAX_H
#define HONE_OPS_ENGINE_SOFTMAX_H

#include "graph/run.h"

typedef enum hone_softmax_kind {
    HONE_SOFTMAX,
    HONE_LOG_SOFTMAX,
    HONE_SOFTMAX_GRAD,    /* of (dY, Y) */
    HONE_LOG_SOFTMAX_GRAD /* likewise */
} hone_softmax_kind;

/* [outer, n, inner], along n. */
typedef struct hone_softmax {
    hone_softmax_kind kind;
    bool is_double;
    int64_t outer, n, inner;
} hone_softmax;

void hone_softmax_make(hone_softmax *s, hone_softmax_kind kind, const hone_type *x, int axis);
/* Bytes of worker scratch. */
size_t hone_softmax_scratch(const hone_softmax *s);
/* Runs it from a step that has that worker scratch. `b` is the second operand of a gradient. */
void hone_softmax_run(const hone_softmax *s, const hone_step *step, hone_frame *frame, const void *a,
                      const void *b, void *y);
/* y[i] = exp(x[i]), in tiles. */
void hone_exp_tiles(bool is_double, const void *x, void *y, int64_t n);

#endif
