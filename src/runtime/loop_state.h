/* What a body keeps from run to run: buffers that outlive a region, and those of the node that runs it again and again. */
#ifndef HONE_RUNTIME_LOOP_STATE_H
#define HONE_RUNTIME_LOOP_STATE_H

#include "runtime/workspace.h"

/* A buffer that outlives a region or a run of a body, and the shape of what lies in it. */
typedef struct hone_carried {
    hone_block block;
    int rank;
    int64_t dims[HONE_MAX_RANK];
} hone_carried;

/* Rows of one shape, one after the other. */
typedef struct hone_stack {
    hone_block block;
    size_t used;
    int64_t rows;
    int rank;
    int64_t dims[HONE_MAX_RANK]; /* of one row */
} hone_stack;

typedef struct hone_loop_state {
    hone_carried *carried;
    int carried_count;
    hone_stack *stacks; /* scan outputs; of a Scan also slices of its inputs that do not lie together */
    int stack_count;
} hone_loop_state;

/* *state, made at the first call. */
hone_status hone_loop_state_get(hone_loop_state **state, int carried, int stacks, hone_loop_state **out,
                                hone_error *err);
size_t hone_loop_state_bytes(const hone_loop_state *s);
void hone_loop_state_free(hone_loop_state *s); /* NULL is fine */

#endif
