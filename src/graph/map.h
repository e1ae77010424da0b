/* Maps: elementwise work as straight-line code over virtual registers.
 *
 * A descriptor's `map` reads its operands with hone_map_in, computes, and writes its results with
 * hone_map_out. The fusion pass joins the maps of a chain by handing one operator's results to the next as
 * operands; before running, the operators' room turns a map into a kernel program with few registers.
 *
 *   code[r] defines register r:   input i  |  constant x  |  vop(a, b, c) of earlier registers
 *
 * Every register has a dtype, its elements'. What operators hand to each other has the dtypes of their graph's values.
 * Operations widen what nothing computes in, and an operator's result is made narrow again,
 *
 *   uint8, int8, uint16, int16   int32, and wraps        float16, bfloat16   float32, and rounds once
 *   bool                         0 or 1 in the type that was compared, or that meets it; else int32
 *
 * so that a result is what it would be through memory, fused or not. Conversions that change no element leave no code: a
 * mask that is selected by, the maximum of two halves that goes on. */
#ifndef HONE_GRAPH_MAP_H
#define HONE_GRAPH_MAP_H

#include "base/vop.h"
#include "graph/op.h"

typedef int hone_reg; /* a virtual register; < 0: memory was out, which hone_map_ok tells */

#define HONE_MAP_INPUT (HONE_VOP_COUNT)
#define HONE_MAP_CONST (HONE_VOP_COUNT + 1)

typedef struct hone_map_code {
    int op;           /* hone_vop, HONE_MAP_INPUT or HONE_MAP_CONST */
    hone_dtype dtype; /* of the elements; a constant that no operation has taken yet: HONE_UNDEFINED */
    hone_dtype holds; /* all elements are values of this dtype, too, which may be narrower */
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
/* The register of the map's own input i, of that dtype. */
hone_reg hone_map_input(hone_map *m, int i, hone_dtype dtype);
/* The number x, an element of that dtype: where an operand is a constant. */
hone_reg hone_map_number(hone_map *m, double x, hone_dtype dtype);
/* Emits operator `node` with the given operand registers (one for each input, with elements of its dtype; < 0: left out); fills
 * `results` (one for each output, of its dtype). The types of the node's outputs are known. */
void hone_map_emit(hone_map *m, const hone_node *node, const hone_reg *operands, hone_reg *results);
/* Copies the code of `other` with operands[i] for its input i; fills `results`, one for each of its outputs. */
void hone_map_inline(hone_map *m, const hone_map *other, const hone_reg *operands, hone_reg *results);
/* Adds an output: r has a dtype. */
void hone_map_add_output(hone_map *m, hone_reg r);
/* False if memory ran out, an operator left an output unset, or operands of different types met. */
bool hone_map_ok(const hone_map *m);
/* Of output o. */
hone_dtype hone_map_output_dtype(const hone_map *m, int o);
/* What operations on elements of `dtype` compute in; HONE_UNDEFINED if there are none. */
hone_dtype hone_map_computes(hone_dtype dtype);

/* --- for descriptors --- */

hone_reg hone_map_in(hone_map *m, int input);
/* It has the type of what it meets. */
hone_reg hone_map_const(hone_map *m, double x);
/* r has the dtype of output `output`, or what that computes in; 0 and 1 of any type where it is bool. */
void hone_map_out(hone_map *m, int output, hone_reg r);
/* What ONNX's Cast makes of r. */
hone_reg hone_map_cast(hone_map *m, hone_reg r, hone_dtype dtype);
/* float32 to uint8 or int8: saturate(round_half_even(r) + zero), zero being float32; NaN gives the lowest. */
hone_reg hone_map_quantize(hone_map *m, hone_reg r, hone_reg zero, hone_dtype dtype);

/* The operations of base/vop.h: hone_map_add(m, a, b) and so on. Operands compute in one type; constants, and bool ones,
 * become the others'. */
#define HONE_MAP_DECLARE_1(name) hone_reg hone_map_##name(hone_map *m, hone_reg a);
#define HONE_MAP_DECLARE_2(name) hone_reg hone_map_##name(hone_map *m, hone_reg a, hone_reg b);
#define HONE_MAP_DECLARE_3(name) hone_reg hone_map_##name(hone_map *m, hone_reg a, hone_reg b, hone_reg c);
#define X(NAME, name, operands) HONE_MAP_DECLARE_##operands(name)
HONE_VOPS(X)
#undef X
#undef HONE_MAP_DECLARE_1
#undef HONE_MAP_DECLARE_2
#undef HONE_MAP_DECLARE_3

#endif
