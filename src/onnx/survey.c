#include "onnx/message.h"
#include "onnx/onnx.h"

#include "base/log.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One thing that is lacking, and where: nodes of one operator are one thing. */
typedef struct lack {
    char text[256], first[72];
    const char *where; /* what `first` is: "node" */
    const char *domain, *op;
    int64_t opset, count;
} lack;

/* Everything that is lacking. Of very many things the last ones are only counted. */
enum { LACKS = 1024 };
typedef struct findings {
    const hone_model_message *model;
    hone_imports imports; /* of the model, or of the function that is looked at */
    bool *seen;           /* functions that have been looked at */
    hone_status status;   /* not HONE_OK: the file is broken, as `err` says */
    hone_error *err;
    lack *list;
    size_t count, capacity;
    int64_t more;
} findings;

static void note(findings *f, const lack *l) {
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->list[i].text, l->text) == 0 && (l->op || strcmp(f->list[i].first, l->first) == 0)) {
            f->list[i].count++;
            return;
        }
    if (f->count == LACKS)
        f->more++;
    else if (!hone_reserve(&f->list, &f->capacity, f->count + 1, sizeof *f->list))
        f->status = hone_fail_memory(f->err);
    else
        f->list[f->count++] = *l;
}

/* `where`, "node", and its name say the place; NULL: the file. */
HONE_PRINTF(4, 5)
static void lacks(findings *f, const char *where, const char *name, const char *format, ...) {
    lack l = {.where = where, .count = 1};
    va_list args;
    va_start(args, format);
    vsnprintf(l.text, sizeof l.text, format, args);
    va_end(args);
    snprintf(l.first, sizeof l.first, "%.*s", HONE_UTF8_SHOWN(name, 64));
    note(f, &l);
}

/* `why` may be empty. */
static void lacks_operator(findings *f, const hone_node_message *m, const hone_meaning *x, const char *why) {
    lack l = {.where = "node", .domain = x->domain, .op = m->op_type, .opset = x->opset, .count = 1};
    snprintf(l.text, sizeof l.text, "operator %.*s of %.*s %lld%s", HONE_UTF8_SHOWN(m->op_type, 64),
             HONE_UTF8_SHOWN(*x->domain ? x->domain : "ai.onnx", 64), (long long)x->opset, why);
    snprintf(l.first, sizeof l.first, "%.*s", HONE_UTF8_SHOWN(hone_message_node_name(m), 64));
    note(f, &l);
}

/* "operator Foo of ai.onnx 17 (3 nodes, first n1)" */
static size_t format_lack(const lack *l, char *text, size_t size) {
    if (!l->where) return (size_t)snprintf(text, size, "%s", l->text);
    if (l->count == 1) return (size_t)snprintf(text, size, "%s (%s %s)", l->text, l->where, l->first);
    return (size_t)snprintf(text, size, "%s (%lld %ss, first %s)", l->text, (long long)l->count, l->where,
                            l->first);
}

static const char *shown_domain(const char *domain) {
    return *domain ? domain : "ai.onnx";
}

static void survey_dtype(findings *f, int dtype, const char *what, const char *name) {
    if (dtype == HONE_UNDEFINED || hone_dtype_bits((hone_dtype)dtype) > 0) return;
    lacks(f, what, name, "dtype %d, %s", dtype, hone_message_dtype_name(dtype));
}

static void survey_rank(findings *f, size_t rank, const char *what, const char *name) {
    if (rank > HONE_MAX_RANK)
        lacks(f, what, name, "%zu dimensions where %d are possible", rank, HONE_MAX_RANK);
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
            lacks(f, NULL, "", "operator set %lld of %s, Hone knows those up to %lld", (long long)opset,
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
        lacks(f, what, name, "values that are sparse tensors");
        return;
    default: lacks(f, what, name, "opaque types");
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
        lacks(f, "node", node, "attribute %.*s of %.*s, of a kind that Hone lacks", HONE_UTF8_SHOWN(name, 64),
              HONE_UTF8_SHOWN(type, 64));
    else if (!hone_attr_find(table, name))
        lacks(f, "node", node, "attribute %.*s of %.*s", HONE_UTF8_SHOWN(name, 64),
              HONE_UTF8_SHOWN(type, 64));
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
    char since[32];
    snprintf(since, sizeof since, ", only from %d on", x->op ? x->op->oldest : 0);
    if (strcmp(x->domain, HONE_PRIVATE_DOMAIN) == 0)
        lacks_operator(f, m, x, ", a domain that no file may use");
    else if (!x->op)
        lacks_operator(f, m, x, "");
    else if (x->opset < x->op->oldest)
        lacks_operator(f, m, x, since);
    else if (x->op->left_out)
        lacks_operator(f, m, x, ", which this build of Hone leaves out");
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

/* The whole list in the message, or else line by line in the log. */
static hone_status refuse(const findings *f, hone_error *err) {
    char text[400] = "", line[400];
    size_t used = 0;
    bool whole = f->more == 0;
    for (size_t i = 0; i < f->count && whole; i++) {
        size_t length = format_lack(&f->list[i], line, sizeof line);
        whole = used + length + 2 < sizeof text;
        if (whole) used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? "; " : "", line);
    }
    if (whole) return hone_fail(err, HONE_UNSUPPORTED, "not supported: %s", text);
    for (size_t i = 0; i < f->count; i++) {
        format_lack(&f->list[i], line, sizeof line);
        hone_log(HONE_LOG_ERROR, "not supported: %s", line);
    }
    format_lack(&f->list[0], line, sizeof line);
    return hone_fail(err, HONE_UNSUPPORTED, "%lld things are not supported, first %s",
                     (long long)f->count + (long long)f->more, line);
}

static void tell(const findings *f, hone_lack_fn *fn, void *user) {
    for (size_t i = 0; i < f->count; i++) {
        const lack *l = &f->list[i];
        fn(user,
           &(hone_lack){l->text, l->domain, l->op, l->opset, l->count, l->where ? l->where : "", l->first});
    }
}

hone_status hone_message_survey(const hone_model_message *m, const hone_nodes *nodes, hone_lack_fn *fn,
                                void *user, hone_error *err) {
    findings f = {.model = m, .imports = hone_message_imports(m), .err = err};
    f.seen = hone_calloc(m->n_functions + 1, sizeof *f.seen);
    if (!f.seen) return hone_fail_memory(err);
    survey_imports(&f);
    survey_values(&f, m->graph);
    for (size_t i = 0; i < nodes->count; i++) survey_node(&f, nodes->list[i]);
    if (f.status == HONE_OK && fn)
        tell(&f, fn, user);
    else if (f.status == HONE_OK && f.count)
        f.status = refuse(&f, err);
    hone_free(f.seen);
    hone_free(f.list);
    return f.status;
}
