/* The driver of elementwise work: runs a map over flat ranges of its output, whatever the operands'
 * broadcasting.
 *
 *   operand of the output's shape, contiguous   the register points straight into it
 *   one element                                 a tile filled once
 *   anything else (a bias row, a column, …)     a tile gathered for each tile of output */
#ifndef HONE_OPS_ENGINE_ELEMENTWISE_H
#define HONE_OPS_ENGINE_ELEMENTWISE_H

#include "graph/map.h"
#include "graph/run.h"

typedef struct hone_elementwise hone_elementwise;

/* Prepares `m` over operands of types in[0 … m->inputs-1] (concrete, float32/float64/int32/int64, all alike)
 * into outputs of shape `out`. An operand NULL stands for the output's own memory (an epilogue's strip).
 * Memory is the plan's. */
hone_status hone_elementwise_prepare(hone_prepare *p, const hone_map *m, const hone_type *const *in,
                                     const hone_type *out, hone_elementwise **result, hone_error *err);
/* Bytes of scratch that each worker needs. */
size_t hone_elementwise_scratch(const hone_elementwise *e);
/* Runs elements [begin, end) of the output; `in` and `out` are base addresses, `scratch` the worker's. */
void hone_elementwise_run(const hone_elementwise *e, void *const *in, void *const *out, int64_t begin,
                          int64_t end, void *scratch);

/* `prepare` of operators that have a map, fused ones included: all of the above as a step. */
hone_status hone_prepare_elementwise(hone_prepare *p, hone_error *err);

#endif
