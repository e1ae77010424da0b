#include "onnx/form.h"

#include <string.h>

const hone_op_version *hone_op_form(const hone_op *op, int64_t opset) {
    if (opset >= op->since || !op->older) return NULL;
    for (const hone_op_version *v = op->older; v->since; v++)
        if (v->since <= opset) return v;
    return NULL;
}

const hone_attr_def *hone_op_form_attrs(const hone_op *op, const hone_op_version *form) {
    return form && form->attrs ? form->attrs : op->attrs;
}

const hone_attr_def *hone_attr_def_find(const hone_attr_def *table, const char *name) {
    for (int i = 0; i < HONE_OP_MAX_ATTRS && table[i].name; i++)
        if (strcmp(table[i].name, name) == 0) return &table[i];
    return NULL;
}
