#include "onnx/message.h"

#include <string.h>

const char *hone_message_text(const char *text) {
    return text ? text : "";
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

bool hone_message_is_constant(const hone_node_message *m) {
    return *hone_message_domain(m->domain) == 0 && strcmp(hone_message_text(m->op_type), "Constant") == 0;
}
