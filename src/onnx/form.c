#include "onnx/message.h"

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

const char *hone_message_domain(const char *domain) {
    return !domain || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

int64_t hone_message_opset(const hone_model_message *m, const char *domain) {
    for (size_t i = 0; i < m->n_opset_import; i++)
        if (strcmp(hone_message_domain(m->opset_import[i]->domain), domain) == 0)
            return m->opset_import[i]->version;
    return 0;
}

const char *hone_message_node_name(const hone_node_message *m) {
    if (m->name && *m->name) return m->name;
    for (size_t i = 0; i < m->n_output; i++)
        if (*m->output[i]) return m->output[i];
    return "";
}
