/* Cast between numbers and the texts that stand for them. */
#ifndef HONE_OPS_TENSOR_CAST_STRING_H
#define HONE_OPS_TENSOR_CAST_STRING_H

#include "graph/run.h"

/* Is one of both sides string? */
bool hone_is_cast_string(const hone_prepare *p);
hone_status hone_prepare_cast_string(hone_prepare *p, hone_error *err);

#endif
