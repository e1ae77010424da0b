/* Emitting vector programs. A descriptor's `map` reads its inputs with hone_map_in, computes, and writes its outputs
 * with hone_map_out; values are virtual registers, as many as needed. The fusion pass joins the maps of a chain by
 * handing one operator's outputs to the next one's inputs; hone_map_finish then allots the program's registers. */
#ifndef HONE_GRAPH_MAP_H
#define HONE_GRAPH_MAP_H

#include "graph/op.h"

typedef int hone_reg; /* a virtual register; < 0 after an overflow, which hone_map_finish reports */

hone_reg hone_map_in(hone_map *m, int input);
hone_reg hone_map_const(hone_map *m, double x);
void hone_map_out(hone_map *m, int output, hone_reg r);

#define HONE_MAP1(name)                                                                                      \
    hone_reg hone_map_##name(hone_map *m, hone_reg a);
#define HONE_MAP2(name)                                                                                      \
    hone_reg hone_map_##name(hone_map *m, hone_reg a, hone_reg b);
#define HONE_MAP3(name)                                                                                      \
    hone_reg hone_map_##name(hone_map *m, hone_reg a, hone_reg b, hone_reg c);
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
