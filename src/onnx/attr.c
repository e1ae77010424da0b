#include "onnx/message.h"

#include <string.h>

static const char *const type_names[] = {
    [HONE_ATTR_NONE] = "nothing",    [HONE_ATTR_FLOAT] = "a float",   [HONE_ATTR_INT] = "an integer",
    [HONE_ATTR_STRING] = "a string", [HONE_ATTR_TENSOR] = "a tensor", [HONE_ATTR_GRAPH] = "a graph",
    [HONE_ATTR_FLOATS] = "floats",   [HONE_ATTR_INTS] = "integers",   [HONE_ATTR_STRINGS] = "strings"};

int hone_message_attr_type(const hone_attr_message *m) {
    if (m->type != HONE__ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED) return (int)m->type;
    if (m->has_f) return HONE_ATTR_FLOAT;
    if (m->has_i) return HONE_ATTR_INT;
    if (m->has_s) return HONE_ATTR_STRING;
    if (m->t) return HONE_ATTR_TENSOR;
    if (m->g) return HONE_ATTR_GRAPH;
    if (m->n_floats) return HONE_ATTR_FLOATS;
    if (m->n_ints) return HONE_ATTR_INTS;
    if (m->n_strings) return HONE_ATTR_STRINGS;
    return HONE_ATTR_NONE;
}

static hone_status set_strings(hone_graph *g, hone_node *n, const hone_attr_message *m, hone_error *err) {
    hone_string *strings = hone_arena_array(g->arena, m->n_strings + 1, sizeof *strings);
    if (!strings) return hone_fail_memory(err);
    for (size_t i = 0; i < m->n_strings; i++)
        strings[i] = (hone_string){(char *)m->strings[i].data, m->strings[i].len};
    hone_node_set_strings(g, n, m->name, strings, m->n_strings);
    return HONE_OK;
}

static hone_status set_attr(hone_graph *g, hone_node *n, hone_attr_message *m, const hone_onnx_source *source,
                            hone_error *err) {
    switch ((hone_attr_type)hone_message_attr_type(m)) {
    case HONE_ATTR_FLOAT: hone_node_set_float(g, n, m->name, m->f); break;
    case HONE_ATTR_INT: hone_node_set_int(g, n, m->name, m->i); break;
    case HONE_ATTR_FLOATS: hone_node_set_floats(g, n, m->name, m->floats, m->n_floats); break;
    case HONE_ATTR_INTS: hone_node_set_ints(g, n, m->name, m->ints, m->n_ints); break;
    case HONE_ATTR_STRINGS: return set_strings(g, n, m, err);
    case HONE_ATTR_STRING: hone_node_set_bytes(g, n, m->name, m->s.data, m->s.len); break;
    case HONE_ATTR_TENSOR: {
        hone_tensor *t = NULL;
        if (!m->t) return hone_fail(err, HONE_CORRUPT, "the tensor is missing");
        HONE_TRY(hone_message_tensor(m->t, source, &t, err));
        hone_node_set_tensor(g, n, m->name, t);
        hone_tensor_free(t);
        break;
    }
    default: return hone_fail(err, HONE_UNSUPPORTED, "is of a kind that Hone lacks");
    }
    return HONE_OK;
}

static hone_status check_attr(const hone_node_message *node, size_t index, const hone_attr_def *table,
                              hone_error *err) {
    const hone_attr_message *m = node->attribute[index];
    const hone_attr_def *def = hone_attr_find(table, hone_message_text(m->name));
    int type = hone_message_attr_type(m);
    if (!def) return hone_fail(err, HONE_UNSUPPORTED, "is not an attribute of the operator");
    if (m->ref_attr_name && *m->ref_attr_name)
        return hone_fail(err, HONE_CORRUPT, "refers to an attribute of a function, outside of one");
    for (size_t i = 0; i < index; i++)
        if (strcmp(node->attribute[i]->name, m->name) == 0)
            return hone_fail(err, HONE_CORRUPT, "is there twice");
    if (type != (int)def->type)
        return hone_fail(err, HONE_CORRUPT, "is %s, the operator takes %s",
                         type >= 0 && type <= HONE_ATTR_STRINGS ? type_names[type] : "of an unknown type",
                         type_names[def->type]);
    return HONE_OK;
}

hone_status hone_message_attrs(hone_graph *g, hone_node *n, hone_node_message *m, const hone_attr_def *table,
                               const hone_onnx_source *source, hone_error *err) {
    for (size_t i = 0; i < m->n_attribute; i++) {
        hone_error why = {0};
        hone_status status = check_attr(m, i, table, &why);
        if (status == HONE_OK) status = set_attr(g, n, m->attribute[i], source, &why);
        if (status == HONE_OUT_OF_MEMORY) return hone_fail_memory(err);
        if (status == HONE_OK) continue;
        hone_fail_node(err, status, hone_message_node_name(m), m->op_type, "attribute %s: %s",
                       hone_message_text(m->attribute[i]->name), why.message);
        return *why.file ? hone_error_in_file(err, status, why.file) : status;
    }
    for (int i = 0; table && table[i].name; i++)
        if (table[i].required && !hone_node_attr(n, table[i].name))
            return hone_graph_check(g, err) != HONE_OK
                       ? HONE_OUT_OF_MEMORY
                       : hone_fail_node(err, HONE_CORRUPT, hone_message_node_name(m), m->op_type,
                                        "attribute %s is missing", table[i].name);
    return HONE_OK;
}

/* --- Constant --- */

/* Each form as the tensor it stands for. */
static hone_status constant_list(hone_dtype dtype, int rank, size_t count, const void *data,
                                 hone_tensor **out, hone_error *err) {
    int64_t dims[1] = {(int64_t)count};
    return hone_tensor_copy_of(dtype, rank, dims, data, out, err);
}

static hone_status constant_strings(int rank, size_t count, const ProtobufCBinaryData *data,
                                    hone_tensor **out, hone_error *err) {
    int64_t dims[1] = {(int64_t)count};
    hone_tensor_message m = HONE__ONNX__TENSOR_PROTO__INIT;
    m.n_dims = (size_t)rank;
    m.dims = dims;
    m.data_type = HONE_STRING;
    m.n_string_data = count;
    m.string_data = (ProtobufCBinaryData *)data;
    return hone_message_tensor(&m, NULL, out, err);
}

static hone_status read_constant(const hone_attr_message *m, const hone_onnx_source *source,
                                 hone_tensor **out, hone_error *err) {
    static const struct {
        const char *name;
        hone_attr_type type;
    } forms[] = {{"value", HONE_ATTR_TENSOR},         {"value_float", HONE_ATTR_FLOAT},
                 {"value_floats", HONE_ATTR_FLOATS},  {"value_int", HONE_ATTR_INT},
                 {"value_ints", HONE_ATTR_INTS},      {"value_string", HONE_ATTR_STRING},
                 {"value_strings", HONE_ATTR_STRINGS}};
    int type = hone_message_attr_type(m);
    size_t i = 0;
    while (i < sizeof forms / sizeof *forms && strcmp(forms[i].name, hone_message_text(m->name)) != 0) i++;
    if (i == sizeof forms / sizeof *forms)
        return hone_fail(err, HONE_UNSUPPORTED, "a constant given by %s", hone_message_text(m->name));
    if (type != (int)forms[i].type || (type == HONE_ATTR_TENSOR && !m->t))
        return hone_fail(err, HONE_CORRUPT, "%s is not %s", forms[i].name, type_names[forms[i].type]);
    switch (forms[i].type) {
    case HONE_ATTR_TENSOR: return hone_message_tensor(m->t, source, out, err);
    case HONE_ATTR_FLOAT: return constant_list(HONE_FLOAT32, 0, 1, &m->f, out, err);
    case HONE_ATTR_FLOATS: return constant_list(HONE_FLOAT32, 1, m->n_floats, m->floats, out, err);
    case HONE_ATTR_INT: return constant_list(HONE_INT64, 0, 1, &m->i, out, err);
    case HONE_ATTR_INTS: return constant_list(HONE_INT64, 1, m->n_ints, m->ints, out, err);
    case HONE_ATTR_STRING: return constant_strings(0, 1, &m->s, out, err);
    default: return constant_strings(1, m->n_strings, m->strings, out, err);
    }
}

hone_status hone_message_constant(const hone_node_message *m, const hone_onnx_source *source,
                                  hone_tensor **out, hone_error *err) {
    hone_error why = {0};
    hone_status status = HONE_CORRUPT;
    if (m->n_attribute != 1)
        hone_fail(&why, status, "a constant needs one value");
    else if (m->n_output != 1 || !*m->output[0] || m->n_input != 0)
        hone_fail(&why, status, "a constant has no inputs and one output");
    else
        status = read_constant(m->attribute[0], source, out, &why);
    if (status == HONE_OK) return status;
    hone_fail_node(err, status, hone_message_node_name(m), m->op_type, "%s", why.message);
    return *why.file ? hone_error_in_file(err, status, why.file) : status;
}
