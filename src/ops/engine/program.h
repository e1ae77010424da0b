/* From maps to kernel programs: dead code goes, registers are allotted. */
#ifndef HONE_OPS_ENGINE_PROGRAM_H
#define HONE_OPS_ENGINE_PROGRAM_H

#include "graph/map.h"
#include "kernels/program.h"

/* Register order as in kernels/program.h: inputs, constants, then temporaries and outputs. Program output k
 * has register output[k], distinct for each k and never an input's: the caller lets it point straight into
 * the result.
 *
 * An output's memory may be an input's memory (in place): with one output any input's, else input k's for
 * output k. So no instruction after the one that makes output k reads such an input; a copy at the end sees
 * to it where needed. Nothing is contracted: an fma stands only where a map says so, and integer answers
 * behind float arithmetic are the same at every ISA level.
 *
 * HONE_UNSUPPORTED when the map needs more registers or code than a program has. */
hone_status hone_program_make(const hone_map *m, hone_program *out, hone_error *err);

#endif
