/* Vector programs: short straight-line code over registers that are tiles of one flat array.
 *
 * One program is an epilogue, a fused chain of elementwise operators, an activation's gradient or a whole optimizer
 * step. Operators emit it with their descriptor's `map`; the kernels here run it over one tile at a time.
 *
 *   registers   0 … inputs-1 | inputs … inputs+constants-1 | temporaries and outputs
 *               caller's     | filled by the caller once   | dst of instructions
 *
 * Every register is a pointer to `n` elements, chosen by the caller: straight into a tensor where an operand is
 * contiguous, else a scratch tile. A register holds elements of any dtype of fixed size. Operations compute in float32,
 * float64, int32, int64, uint32 or uint64; a CAST stands where one dtype becomes another, so that tensors of all dtypes
 * are loaded and stored. An instruction may read and write the same register, except CAST and QUANTIZE; registers
 * never overlap in part. */
#ifndef HONE_KERNELS_PROGRAM_H
#define HONE_KERNELS_PROGRAM_H

#include "base/vop.h"

#include <stddef.h>
#include <stdint.h>

#define HONE_PROGRAM_TILE 512 /* elements a tile: 2 KB of float, some eight registers stay in L1 */
#define HONE_PROGRAM_MAX_CODE 96
#define HONE_PROGRAM_MAX_REGISTERS 48
#define HONE_PROGRAM_MAX_CONSTANTS 16
#define HONE_PROGRAM_MAX_OUTPUTS 8

typedef struct hone_instr {
    uint8_t op;           /* hone_vop */
    uint8_t dtype;        /* hone_dtype of dst, and of the operands of all but CAST and QUANTIZE */
    uint8_t dst, a, b, c; /* operands that `op` lacks: any register; CAST: b is the hone_dtype of a */
} hone_instr;

typedef struct hone_program {
    int inputs, constants, registers; /* registers: all of them, constants and inputs included */
    int outputs, count;
    size_t element; /* bytes of the widest element of a register */
    double constant[HONE_PROGRAM_MAX_CONSTANTS];
    uint8_t constant_dtype[HONE_PROGRAM_MAX_CONSTANTS]; /* one that operations compute in */
    uint8_t output[HONE_PROGRAM_MAX_OUTPUTS];           /* the register that holds output i at the end */
    hone_instr code[HONE_PROGRAM_MAX_CODE];
} hone_program;

/* Runs `p` over `n` elements (at most HONE_PROGRAM_TILE) of each register. */
typedef void hone_program_fn(const hone_program *p, void *const *registers, int64_t n);

#endif
