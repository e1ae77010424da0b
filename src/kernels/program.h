/* Vector programs: short straight-line code over registers that are tiles of one flat array.
 *
 * One program is an epilogue, a fused chain of elementwise operators, an activation's gradient or a whole optimizer
 * step. Operators emit it with their descriptor's `map`; the kernels here run it over one tile at a time.
 *
 *   registers   0 … inputs-1 | inputs … inputs+constants-1 | temporaries and outputs
 *               caller's     | filled by the caller once   | dst of instructions
 *
 * Every register is a pointer to `n` elements, chosen by the caller: straight into a tensor where an operand is
 * contiguous, else a scratch tile. An instruction may read and write the same register; registers never overlap in
 * part. */
#ifndef HONE_KERNELS_PROGRAM_H
#define HONE_KERNELS_PROGRAM_H

#include "base/vop.h"

#include <stdint.h>

#define HONE_PROGRAM_TILE 512 /* elements a tile: 2 KB of float, some eight registers stay in L1 */
#define HONE_PROGRAM_MAX_CODE 96
#define HONE_PROGRAM_MAX_REGISTERS 48
#define HONE_PROGRAM_MAX_CONSTANTS 16
#define HONE_PROGRAM_MAX_OUTPUTS 8

typedef struct hone_instr {
    uint8_t op;           /* hone_vop */
    uint8_t dst, a, b, c; /* operands that `op` lacks: any; programs of the operators' room repeat `a` */
} hone_instr;

typedef struct hone_program {
    int inputs, constants, registers; /* registers: all of them, constants and inputs included */
    int outputs, count;
    double constant[HONE_PROGRAM_MAX_CONSTANTS];
    uint8_t output[HONE_PROGRAM_MAX_OUTPUTS]; /* the register that holds output i at the end */
    hone_instr code[HONE_PROGRAM_MAX_CODE];
} hone_program;

/* Runs `p` over `n` elements (at most HONE_PROGRAM_TILE) of each register. */
typedef void hone_program_f32_fn(const hone_program *p, float *const *registers, int64_t n);
typedef void hone_program_f64_fn(const hone_program *p, double *const *registers, int64_t n);
typedef void hone_program_i32_fn(const hone_program *p, int32_t *const *registers, int64_t n);
typedef void hone_program_i64_fn(const hone_program *p, int64_t *const *registers, int64_t n);

#endif
