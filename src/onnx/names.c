#include "onnx/message.h"

#include <string.h>

const char *hone_message_text(const char *text) {
    return text ? text : "";
}

const char *hone_message_domain(const char *domain) {
    return !domain || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

hone_imports hone_message_imports(const hone_model_message *m) {
    return (hone_imports){m->opset_import, m->n_opset_import};
}

int64_t hone_message_opset(hone_imports imports, const char *domain) {
    for (size_t i = 0; i < imports.count; i++)
        if (strcmp(hone_message_domain(imports.list[i]->domain), domain) == 0)
            return imports.list[i]->version;
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

static const hone_function_message *find_function(const hone_model_message *model,
                                                  const hone_node_message *m) {
    const char *domain = hone_message_domain(m->domain), *name = hone_message_text(m->op_type);
    const char *overload = hone_message_text(m->overload);
    for (size_t i = 0; i < model->n_functions; i++) {
        const hone_function_message *f = model->functions[i];
        if (strcmp(hone_message_text(f->name), name) == 0 &&
            strcmp(hone_message_domain(f->domain), domain) == 0 &&
            strcmp(hone_message_text(f->overload), overload) == 0)
            return f;
    }
    return NULL;
}

/* The operator goes before a function of its name, which is for those who lack the operator. */
hone_meaning hone_message_meaning(const hone_model_message *model, hone_imports imports,
                                  const hone_node_message *m) {
    hone_meaning x = {.domain = hone_message_domain(m->domain)};
    x.opset = hone_message_opset(imports, x.domain);
    bool own = strcmp(x.domain, HONE_PRIVATE_DOMAIN) == 0, overloaded = *hone_message_text(m->overload);
    if (!own && !overloaded) x.op = hone_op_find(x.domain, hone_message_text(m->op_type));
    if (x.op && x.opset <= 0 && *x.domain) x.opset = 1; /* some tools forget to import it */
    if (!x.op || x.opset < x.op->oldest) x.function = find_function(model, m);
    if (x.function) x.op = NULL;
    if (x.op) x.form = hone_op_form(x.op, x.opset);
    return x;
}
