/* Equal of strings, which no map computes. */
#ifndef HONE_OPS_MATH_COMPARE_STRINGS_H
#define HONE_OPS_MATH_COMPARE_STRINGS_H

#include "graph/run.h"

/* `prepare` of Equal(A, B) with operands of strings, which broadcast. */
hone_status hone_prepare_equal_strings(hone_prepare *p, hone_error *err);

#endif
