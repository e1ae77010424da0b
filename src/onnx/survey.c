#include "onnx/message.h"
#include "onnx/onnx.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Everything that is lacking, as much of it as one error message holds. */
typedef struct findings {
    const hone_model_message *model;
    hone_imports imports; /* of the model, or of the function that is looked at */
    bool *seen;           /* functions that have been looked at */
    hone_status status;   /* not HONE_OK: the file is broken, as `err` says */
    hone_error *err;
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

/* The newest operator sets that Hone's descriptors were checked against. */
static void survey_imports(findings *f) {
    static const struct {
        const char *domain;
        int64_t newest;
    } known[] = {{"", HONE_ONNX_NEWEST_OPSET}, {"ai.onnx.ml", HONE_ONNX_NEWEST_ML_OPSET}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        int64_t opset = hone_message_opset(f->imports, known[i].domain);
        if (opset > known[i].newest)
            lacks(f, "operator set %lld of %s, Hone knows those up to %lld", (long long)opset,
                  shown_domain(known[i].domain), (long long)known[i].newest);
    }
}

static void survey_node(findings *f, const hone_node_message *m);

static void survey_type(findings *f, const hone_type_message *m, const char *what, const char *name) {
    switch (m ? m->value_case : HONE__ONNX__TYPE_PROTO__VALUE__NOT_SET) {
    case HONE__ONNX__TYPE_PROTO__VALUE__NOT_SET: return;
    case HONE__ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE: {
        const Hone__Onnx__TypeProto__Tensor *t = m->tensor_type;
        survey_dtype(f, t->elem_type, what, name);
        if (t->shape) survey_rank(f, t->shape->n_dim, what, name);
        return;
    }
    case HONE__ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        survey_type(f, m->sequence_type->elem_type, what, name);
        return;
    case HONE__ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        survey_type(f, m->optional_type->elem_type, what, name);
        return;
    case HONE__ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        survey_dtype(f, m->map_type->key_type, what, name);
        survey_type(f, m->map_type->value_type, what, name);
        return;
    case HONE__ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        lacks(f, "values that are sparse tensors (%s %.64s)", what, name);
        return;
    default: lacks(f, "opaque types (%s %.64s)", what, name);
    }
}

static void survey_value(findings *f, const hone_value_message *m, const char *what) {
    survey_type(f, m->type, what, hone_message_text(m->name));
}

static void survey_tensor(findings *f, const hone_tensor_message *m, const char *what, const char *name) {
    survey_dtype(f, m->data_type, what, name);
    survey_rank(f, m->n_dims, what, name);
}

static void survey_sparse(findings *f, const hone_sparse_message *m, const char *what, const char *name) {
    if (m->values) survey_dtype(f, m->values->data_type, what, name);
    survey_rank(f, m->n_dims, what, name);
}

static void survey_graph(findings *f, const hone_graph_message *g);

/* The content of an attribute; of an operator that Hone lacks only what is inside its subgraphs is of interest. */
static void survey_content(findings *f, const hone_attr_message *a, bool known, const char *node) {
    if (known && a->t) survey_tensor(f, a->t, "node", node);
    for (size_t i = 0; known && i < a->n_tensors; i++) survey_tensor(f, a->tensors[i], "node", node);
    if (known && a->sparse_tensor) survey_sparse(f, a->sparse_tensor, "node", node);
    for (size_t i = 0; known && i < a->n_sparse_tensors; i++)
        survey_sparse(f, a->sparse_tensors[i], "node", node);
    if (known && a->tp) survey_type(f, a->tp, "node", node);
    for (size_t i = 0; known && i < a->n_type_protos; i++) survey_type(f, a->type_protos[i], "node", node);
    if (a->g) survey_graph(f, a->g);
    for (size_t i = 0; i < a->n_graphs; i++) survey_graph(f, a->graphs[i]);
}

static void survey_attr(findings *f, const hone_node_message *m, const hone_attr_message *a,
                        const hone_attr_def *table) {
    const char *node = hone_message_node_name(m), *name = hone_message_text(a->name);
    const char *type = hone_message_text(m->op_type);
    if (hone_message_attr_type(a) > HONE_ATTR_TYPES)
        lacks(f, "attribute %.64s of %.64s, of a kind that Hone lacks (node %.64s)", name, type, node);
    else if (!hone_attr_find(table, name))
        lacks(f, "attribute %.64s of %.64s (node %.64s)", name, type, node);
}

/* Once each, with the operator sets that it imports. */
static void survey_function(findings *f, const hone_function_message *m) {
    size_t index = 0;
    hone_imports imports = f->imports;
    while (f->model->functions[index] != m) index++;
    if (f->seen[index]) return;
    f->seen[index] = true;
    f->imports = (hone_imports){m->opset_import, m->n_opset_import};
    survey_imports(f);
    for (size_t i = 0; i < m->n_node; i++) survey_node(f, m->node[i]);
    f->imports = imports;
}

/* True if there is an operator to look at. */
static bool survey_operator(findings *f, const hone_node_message *m, const hone_meaning *x) {
    const char *type = hone_message_text(m->op_type), *node = hone_message_node_name(m);
    if (strcmp(x->domain, HONE_PRIVATE_DOMAIN) == 0)
        lacks(f, "operator %.64s of %s, a domain that no file may use (node %.64s)", type, x->domain, node);
    else if (!x->op)
        lacks(f, "operator %.64s of %.64s %lld (node %.64s)", type, shown_domain(x->domain),
              (long long)x->opset, node);
    else if (x->opset < x->op->oldest)
        lacks(f, "operator %.64s of %.64s %lld, only from %d on (node %.64s)", type, shown_domain(x->domain),
              (long long)x->opset, x->op->oldest, node);
    else
        return true;
    return false;
}

static void broken(findings *f, const hone_node_message *m, const char *format, const char *detail) {
    if (f->status == HONE_OK)
        f->status =
            hone_fail_node(f->err, HONE_CORRUPT, hone_message_node_name(m), m->op_type, format, detail);
}

static void survey_node(findings *f, const hone_node_message *m) {
    hone_meaning x = hone_message_meaning(f->model, f->imports, m);
    const hone_attr_def *table = NULL;
    bool known = hone_message_is_constant(m) || x.function;
    if (!*hone_message_text(m->op_type)) {
        broken(f, m, "the node has no operator%s", "");
        return;
    }
    if (x.opset <= 0) {
        broken(f, m, "the model imports no operator set of %s", shown_domain(x.domain));
        return;
    }
    if (x.function) survey_function(f, x.function);
    if (!known) known = survey_operator(f, m, &x);
    if (known && x.op) table = hone_op_form_attrs(x.op, x.form);
    for (size_t i = 0; i < m->n_attribute; i++) {
        if (known && x.op && !hone_message_is_constant(m)) survey_attr(f, m, m->attribute[i], table);
        survey_content(f, m->attribute[i], known, hone_message_node_name(m));
    }
}

static void survey_values(findings *f, const hone_graph_message *g) {
    for (size_t i = 0; i < g->n_initializer; i++)
        survey_tensor(f, g->initializer[i], "initializer", hone_message_text(g->initializer[i]->name));
    for (size_t i = 0; i < g->n_sparse_initializer; i++) {
        const hone_tensor_message *values = g->sparse_initializer[i]->values;
        survey_sparse(f, g->sparse_initializer[i], "initializer",
                      values ? hone_message_text(values->name) : "");
    }
    for (size_t i = 0; i < g->n_input; i++) survey_value(f, g->input[i], "input");
    for (size_t i = 0; i < g->n_output; i++) survey_value(f, g->output[i], "output");
}

static void survey_graph(findings *f, const hone_graph_message *g) {
    survey_values(f, g);
    for (size_t i = 0; i < g->n_node; i++) survey_node(f, g->node[i]);
}

hone_status hone_message_survey(const hone_model_message *m, const hone_nodes *nodes, hone_error *err) {
    findings f = {.model = m, .imports = hone_message_imports(m), .err = err};
    f.seen = hone_calloc(m->n_functions + 1, sizeof *f.seen);
    if (!f.seen) return hone_fail_memory(err);
    survey_imports(&f);
    survey_values(&f, m->graph);
    for (size_t i = 0; i < nodes->count; i++) survey_node(&f, nodes->list[i]);
    hone_free(f.seen);
    if (f.status != HONE_OK || f.count == 0) return f.status;
    if (f.listed == f.count) return hone_fail(err, HONE_UNSUPPORTED, "not supported: %s", f.text);
    return hone_fail(err, HONE_UNSUPPORTED, "not supported: %s; and %zu more", f.text, f.count - f.listed);
}
