#include "onnx/form.h"

const hone_op_version *hone_op_form(const hone_op *op, int64_t opset) {
    if (opset >= op->since || !op->older) return NULL;
    for (const hone_op_version *v = op->older; v->since; v++)
        if (v->since <= opset) return v;
    return NULL;
}

const hone_attr_def *hone_op_form_attrs(const hone_op *op, const hone_op_version *form) {
    return form && form->attrs ? form->attrs : op->attrs;
}
