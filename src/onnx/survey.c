#include "onnx/message.h"
#include "onnx/onnx.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Everything that is lacking, as much of it as one error message holds. */
typedef struct findings {
    const hone_model_message *model;
    size_t count, listed;
    size_t used;
    char text[400];
} findings;

HONE_PRINTF(2, 3) static void lacks(findings *f, const char *format, ...) {
    char line[320];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    hone_log(HONE_LOG_ERROR, "not supported: %s", line);
    size_t length = strlen(line);
    /* entries stay whole, but the first is always there */
    bool fits = f->used + length + 2 < sizeof f->text;
    if (f->listed == f->count && (fits || f->count == 0)) {
        f->used +=
            (size_t)snprintf(f->text + f->used, sizeof f->text - f->used, "%s%s", f->used ? "; " : "", line);
        f->listed++;
    }
    f->count++;
}

static const char *shown_domain(const char *domain) {
    return *domain ? domain : "ai.onnx";
}

static void survey_dtype(findings *f, int dtype, const char *what, const char *name) {
    if (dtype == HONE_UNDEFINED || hone_dtype_bits((hone_dtype)dtype) > 0) return;
    lacks(f, "dtype %d, %s (%s %.64s)", dtype, hone_message_dtype_name(dtype), what, name);
}

static void survey_rank(findings *f, size_t rank, const char *what, const char *name) {
    if (rank > HONE_MAX_RANK)
        lacks(f, "%zu dimensions where %d are possible (%s %.64s)", rank, HONE_MAX_RANK, what, name);
}

static void survey_value(findings *f, const hone_value_message *m, const char *what) {
    const char *name = hone_message_text(m->name);
    if (!m->type) return;
    switch (m->type->value_case) {
    case HONE__ONNX__TYPE_PROTO__VALUE__NOT_SET: return;
    case HONE__ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE: {
        const Hone__Onnx__TypeProto__Tensor *t = m->type->tensor_type;
        survey_dtype(f, t->elem_type, what, name);
        if (t->shape) survey_rank(f, t->shape->n_dim, what, name);
        return;
    }
    case HONE__ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE: lacks(f, "sequences (%s %.64s)", what, name); return;
    case HONE__ONNX__TYPE_PROTO__VALUE_MAP_TYPE: lacks(f, "maps (%s %.64s)", what, name); return;
    case HONE__ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        lacks(f, "optional values (%s %.64s)", what, name);
        return;
    case HONE__ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        lacks(f, "sparse tensors (%s %.64s)", what, name);
        return;
    default: lacks(f, "opaque types (%s %.64s)", what, name);
    }
}

static void survey_tensor(findings *f, const hone_tensor_message *m, const char *what, const char *name) {
    survey_dtype(f, m->data_type, what, name);
    survey_rank(f, m->n_dims, what, name);
}

static void survey_graph(findings *f, const hone_graph_message *g);

/* `op` is NULL if Hone lacks the operator: then only what is inside its subgraphs is still of interest. */
static void survey_attr(findings *f, const hone_node_message *m, const hone_attr_message *a,
                        const hone_op *op, const hone_attr_def *table) {
    const char *node = hone_message_node_name(m), *name = hone_message_text(a->name);
    const char *type = hone_message_text(m->op_type);
    int kind = hone_message_attr_type(a);
    if (op && kind > HONE_ATTR_STRINGS)
        lacks(f, "attribute %.64s of %.64s, of a kind that Hone lacks (node %.64s)", name, type, node);
    else if (op && kind == HONE_ATTR_GRAPH)
        lacks(f, "the subgraph %.64s of %.64s (node %.64s)", name, type, node);
    else if (table && !hone_attr_find(table, name))
        lacks(f, "attribute %.64s of %.64s (node %.64s)", name, type, node);
    if (op && a->t) survey_tensor(f, a->t, "node", node);
    if (a->g) survey_graph(f, a->g);
    for (size_t i = 0; i < a->n_graphs; i++) survey_graph(f, a->graphs[i]);
}

static void survey_node(findings *f, const hone_node_message *m) {
    const char *domain = hone_message_domain(m->domain), *type = hone_message_text(m->op_type);
    const char *node = hone_message_node_name(m);
    int64_t opset = hone_message_opset(f->model, domain);
    const hone_op *op = hone_op_find(domain, type);
    const hone_attr_def *table = NULL;
    static const hone_op constant = {.name = "Constant"};
    if (hone_message_is_constant(m))
        op = &constant;
    else if (strcmp(domain, HONE_PRIVATE_DOMAIN) == 0) {
        lacks(f, "operator %.64s of %s, a domain that no file may use (node %.64s)", type, domain, node);
        op = NULL;
    } else if (!op)
        lacks(f, "operator %.64s of %.64s %lld (node %.64s)", type, shown_domain(domain), (long long)opset,
              node);
    else if (opset < op->oldest) {
        lacks(f, "operator %.64s of %.64s %lld, only from %d on (node %.64s)", type, shown_domain(domain),
              (long long)opset, op->oldest, node);
        op = NULL;
    } else
        table = hone_op_form_attrs(op, hone_op_form(op, opset));
    for (size_t i = 0; i < m->n_attribute; i++) survey_attr(f, m, m->attribute[i], op, table);
}

static void survey_graph(findings *f, const hone_graph_message *g) {
    for (size_t i = 0; i < g->n_initializer; i++)
        survey_tensor(f, g->initializer[i], "initializer", hone_message_text(g->initializer[i]->name));
    for (size_t i = 0; i < g->n_sparse_initializer; i++) {
        const hone_tensor_message *values = g->sparse_initializer[i]->values;
        lacks(f, "sparse tensors (initializer %.64s)", values ? hone_message_text(values->name) : "");
    }
    for (size_t i = 0; i < g->n_input; i++) survey_value(f, g->input[i], "input");
    for (size_t i = 0; i < g->n_output; i++) survey_value(f, g->output[i], "output");
    for (size_t i = 0; i < g->n_node; i++) survey_node(f, g->node[i]);
}

hone_status hone_message_survey(const hone_model_message *m, hone_error *err) {
    findings f = {.model = m};
    int64_t opset = hone_message_opset(m, "");
    if (opset > HONE_ONNX_NEWEST_OPSET)
        lacks(&f, "operator set %lld of ai.onnx, Hone knows those up to %d", (long long)opset,
              HONE_ONNX_NEWEST_OPSET);
    for (size_t i = 0; i < m->n_functions; i++)
        lacks(&f, "functions inside a model (%.64s)", hone_message_text(m->functions[i]->name));
    survey_graph(&f, m->graph);
    if (f.count == 0) return HONE_OK;
    if (f.listed == f.count)
        return hone_fail(err, HONE_UNSUPPORTED, "the model needs what Hone lacks: %s", f.text);
    return hone_fail(err, HONE_UNSUPPORTED, "the model needs what Hone lacks: %s … and %zu more", f.text,
                     f.count - f.listed);
}
