/* The driver of elementwise work: runs a map over ranges of its output, whatever the operands' broadcasting.
 *
 *   operand of the output's shape, contiguous   the register points straight into it
 *   one element                                 a tile filled once
 *   a row that repeats within a tile            a tile gathered once: tiles then take whole rows
 *   a longer row                                as the first: tiles end where it does
 *   anything else (a column, …)                 a tile gathered for each tile of output */
#ifndef HONE_OPS_ENGINE_ELEMENTWISE_H
#define HONE_OPS_ENGINE_ELEMENTWISE_H

#include "graph/map.h"
#include "graph/run.h"

typedef struct hone_elementwise hone_elementwise;

/* Prepares `m` over operands of types in[0 … m->inputs-1] (concrete; NULL: left out, nobody reads it) into outputs of
 * `out`'s shape, whose dtypes are the map's. Memory is the plan's. */
hone_status hone_elementwise_prepare(hone_prepare *p, const hone_map *m, const hone_type *const *in,
                                     const hone_type *out, hone_elementwise **result, hone_error *err);
/* Bytes of scratch that each worker needs. */
size_t hone_elementwise_scratch(const hone_elementwise *e);
/* Runs elements [begin, end) of the output; `in` and `out` are base addresses (out[o] NULL: nobody wants it), `scratch`
 * the worker's. */
void hone_elementwise_run(const hone_elementwise *e, void *const *in, void *const *out, int64_t begin,
                          int64_t end, void *scratch);

/* Rows [m0, m1) of columns [n0, n1) of the output as a matrix, whose rows have `columns` elements: its last dimension, or
 * the product of some last ones. */
typedef struct hone_block {
    int64_t columns, m0, m1, n0, n1;
    void *strip; /* where operand 0 has this block alone, from its first element on; NULL: it lies at in[0] */
    int64_t strip_row; /* elements from one row of the strip to the next */
} hone_block;
/* Runs the block: constants, and operands that are the same in all rows, are made ready once. */
void hone_elementwise_run_block(const hone_elementwise *e, void *const *in, void *const *out,
                                const hone_block *block, void *scratch);

/* `prepare` of operators that have a map, fused ones included: all of the above as a step. */
hone_status hone_prepare_elementwise(hone_prepare *p, hone_error *err);

#endif
