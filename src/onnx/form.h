/* Which form of an operator an operator set has. Private to this room. */
#ifndef HONE_ONNX_FORM_H
#define HONE_ONNX_FORM_H

#include "graph/op.h"

/* The row of op->older in force at `opset`; NULL: the newest form, or one that is the same. */
const hone_op_version *hone_op_form(const hone_op *op, int64_t opset);
/* The attribute table of that form (NULL: the newest's). */
const hone_attr_def *hone_op_form_attrs(const hone_op *op, const hone_op_version *form);

#endif
