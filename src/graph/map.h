/* Maps: elementwise work as straight-line code over virtual registers.
 *
 * A descriptor's `map` reads its operands with hone_map_in, computes, and writes its results with
 * hone_map_out. The fusion pass joins the maps of a chain by handing one operator's results to the next as
 * operands; before running, the operators' room turns a map into a kernel program with few registers.
 *
 *   code[r] defines register r:   input i  |  constant x  |  vop(a, b, c) of earlier registers */
#ifndef HONE_GRAPH_MAP_H
#define HONE_GRAPH_MAP_H

#include "base/vop.h"
#include "graph/op.h"

typedef int hone_reg; /* a virtual register; < 0: memory was out, which hone_map_ok tells */

#define HONE_MAP_INPUT (HONE_VOP_COUNT)
#define HONE_MAP_CONST (HONE_VOP_COUNT + 1)

typedef struct hone_map_code {
    int op; /* hone_vop, HONE_MAP_INPUT or HONE_MAP_CONST */
    hone_reg a, b, c;
    int input;       /* HONE_MAP_INPUT */
    double constant; /* HONE_MAP_CONST */
} hone_map_code;

#define HONE_MAP_MAX_OUTPUTS 8
struct hone_map {
    hone_arena *arena;
    hone_map_code *code;
    int count, capacity;
    int inputs, outputs;
    hone_reg output[HONE_MAP_MAX_OUTPUTS];
    bool failed;
    /* while an operator emits: its operands and results */
    const hone_reg *operand;
    hone_reg *result;
};

hone_map *hone_map_new(hone_arena *arena); /* NULL when out of memory */
hone_map *hone_map_copy(hone_arena *arena, const hone_map *m);
/* The register of the map's own input i. */
hone_reg hone_map_input(hone_map *m, int i);
/* Emits operator `node` with the given operand registers (one for each input); fills `results` (one for each
 * output). */
void hone_map_emit(hone_map *m, const hone_node *node, const hone_reg *operands, hone_reg *results);
/* Copies the code of `other` with operands[i] for its input i; returns the register of its output 0. */
hone_reg hone_map_inline(hone_map *m, const hone_map *other, const hone_reg *operands);
/* Adds an output. */
void hone_map_add_output(hone_map *m, hone_reg r);
/* False if memory ran out or an operator left an output unset. */
bool hone_map_ok(const hone_map *m);

/* --- for descriptors --- */
hone_reg hone_map_in(hone_map *m, int input);
hone_reg hone_map_const(hone_map *m, double x);
void hone_map_out(hone_map *m, int output, hone_reg r);

#define HONE_MAP1(name) hone_reg hone_map_##name(hone_map *m, hone_reg a);
#define HONE_MAP2(name) hone_reg hone_map_##name(hone_map *m, hone_reg a, hone_reg b);
#define HONE_MAP3(name) hone_reg hone_map_##name(hone_map *m, hone_reg a, hone_reg b, hone_reg c);
HONE_MAP1(neg)
HONE_MAP1(abs)
HONE_MAP1(sqrt)
HONE_MAP1(exp)
HONE_MAP1(log)
HONE_MAP1(tanh)
HONE_MAP1(sigmoid)
HONE_MAP1(erf)
HONE_MAP1(floor)
HONE_MAP1(ceil)
HONE_MAP1(round)
HONE_MAP2(add)
HONE_MAP2(sub)
HONE_MAP2(mul)
HONE_MAP2(div)
HONE_MAP2(max)
HONE_MAP2(min)
HONE_MAP2(gt)
HONE_MAP2(ge)
HONE_MAP2(eq)
HONE_MAP3(fma)    /* a * b + c */
HONE_MAP3(select) /* a != 0 ? b : c */
#undef HONE_MAP1
#undef HONE_MAP2
#undef HONE_MAP3

#endif
