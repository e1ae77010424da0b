/* The descriptors of all operators, declared from the one list of them. */
#ifndef HONE_OPS_OPS_H
#define HONE_OPS_OPS_H

#include "graph/op.h"

#define X(id) extern const hone_op hone_op_##id;
#include "ops/ops.def"
#undef X

#endif
