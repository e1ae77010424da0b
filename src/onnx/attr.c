#include "onnx/scope.h"

#include "graph/op.h"
#include "graph/tensor.h"

#include <string.h>

static const char *const type_names[] = {[HONE_ATTR_NONE] = "nothing",
                                         [HONE_ATTR_FLOAT] = "a float",
                                         [HONE_ATTR_INT] = "an integer",
                                         [HONE_ATTR_STRING] = "a string",
                                         [HONE_ATTR_TENSOR] = "a tensor",
                                         [HONE_ATTR_GRAPH] = "a graph",
                                         [HONE_ATTR_FLOATS] = "floats",
                                         [HONE_ATTR_INTS] = "integers",
                                         [HONE_ATTR_STRINGS] = "strings",
                                         [HONE_ATTR_TENSORS] = "tensors",
                                         [HONE_ATTR_GRAPHS] = "graphs",
                                         [HONE_MESSAGE_SPARSE] = "a sparse tensor",
                                         [HONE_MESSAGE_SPARSES] = "sparse tensors",
                                         [HONE_ATTR_TYPE] = "a type",
                                         [HONE_ATTR_TYPES] = "types"};

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
    if (m->n_tensors) return HONE_ATTR_TENSORS;
    if (m->n_graphs) return HONE_ATTR_GRAPHS;
    if (m->sparse_tensor) return HONE_MESSAGE_SPARSE;
    if (m->n_sparse_tensors) return HONE_MESSAGE_SPARSES;
    if (m->tp) return HONE_ATTR_TYPE;
    if (m->n_type_protos) return HONE_ATTR_TYPES;
    return HONE_ATTR_NONE;
}

/* --- setting, by kind --- */

typedef struct target {
    hone_reader *r;
    hone_graph *g;
    hone_node *n;
    const char *name;
} target;

static hone_status set_strings(const target *to, const hone_attr_message *m, hone_error *err) {
    hone_string *strings = hone_arena_array(to->g->arena, m->n_strings + 1, sizeof *strings);
    if (!strings) return hone_fail_memory(err);
    for (size_t i = 0; i < m->n_strings; i++)
        strings[i] = (hone_string){(char *)m->strings[i].data, m->strings[i].len};
    hone_node_set_strings(to->g, to->n, to->name, strings, m->n_strings);
    return HONE_OK;
}

/* A dense or a sparse one. */
static hone_status read_one(hone_reader *r, const hone_tensor_message *dense,
                            const hone_sparse_message *sparse, hone_tensor **out, hone_error *err) {
    if (dense) return hone_message_tensor(dense, r->source, out, err);
    if (sparse) return hone_onnx_scope_sparse(r, sparse, out, err);
    return hone_fail(err, HONE_CORRUPT, "the tensor is missing");
}

static hone_status set_tensor(const target *to, const hone_attr_message *m, hone_error *err) {
    hone_tensor *t = NULL;
    bool sparse = hone_message_attr_type(m) == HONE_MESSAGE_SPARSE;
    HONE_TRY(read_one(to->r, sparse ? NULL : m->t, sparse ? m->sparse_tensor : NULL, &t, err));
    hone_node_set_tensor(to->g, to->n, to->name, t);
    hone_tensor_free(t);
    return HONE_OK;
}

static hone_status set_tensors(const target *to, const hone_attr_message *m, hone_error *err) {
    bool sparse = hone_message_attr_type(m) == HONE_MESSAGE_SPARSES;
    size_t count = sparse ? m->n_sparse_tensors : m->n_tensors, made = 0;
    hone_tensor **list = hone_arena_array(to->g->arena, count + 1, sizeof(hone_tensor *));
    hone_status status = list ? HONE_OK : hone_fail_memory(err);
    for (; made < count && status == HONE_OK; made += status == HONE_OK)
        status = read_one(to->r, sparse ? NULL : m->tensors[made], sparse ? m->sparse_tensors[made] : NULL,
                          &list[made], err);
    if (status == HONE_OK) hone_node_set_tensors(to->g, to->n, to->name, list, count);
    for (size_t i = 0; i < made; i++) hone_tensor_free(list[i]);
    return status;
}

static hone_status set_types(const target *to, const hone_attr_message *m, hone_error *err) {
    hone_type *types = hone_arena_array(to->g->arena, m->n_type_protos + 1, sizeof *types);
    if (!types) return hone_fail_memory(err);
    for (size_t i = 0; i < m->n_type_protos; i++)
        HONE_TRY(hone_message_type_alone(to->g, m->type_protos[i], &types[i], err));
    hone_node_set_types(to->g, to->n, to->name, types, m->n_type_protos);
    return HONE_OK;
}

static hone_status set_attr(const target *to, const hone_attr_message *m, hone_error *err) {
    switch (hone_message_attr_type(m)) {
    case HONE_ATTR_FLOAT: hone_node_set_float(to->g, to->n, to->name, m->f); break;
    case HONE_ATTR_INT: hone_node_set_int(to->g, to->n, to->name, m->i); break;
    case HONE_ATTR_FLOATS: hone_node_set_floats(to->g, to->n, to->name, m->floats, m->n_floats); break;
    case HONE_ATTR_INTS: hone_node_set_ints(to->g, to->n, to->name, m->ints, m->n_ints); break;
    case HONE_ATTR_STRINGS: return set_strings(to, m, err);
    case HONE_ATTR_STRING: hone_node_set_bytes(to->g, to->n, to->name, m->s.data, m->s.len); break;
    case HONE_ATTR_TENSOR:
    case HONE_MESSAGE_SPARSE: return set_tensor(to, m, err);
    case HONE_ATTR_TENSORS:
    case HONE_MESSAGE_SPARSES: return set_tensors(to, m, err);
    case HONE_ATTR_GRAPH:
        if (!m->g) return hone_fail(err, HONE_CORRUPT, "the graph is missing");
        hone_node_add_graph(to->g, to->n, to->name);
        break;
    case HONE_ATTR_GRAPHS: hone_node_add_graphs(to->g, to->n, to->name, m->n_graphs); break;
    case HONE_ATTR_TYPE: {
        hone_type type;
        HONE_TRY(hone_message_type_alone(to->g, m->tp, &type, err));
        hone_node_set_type(to->g, to->n, to->name, &type);
        break;
    }
    case HONE_ATTR_TYPES: return set_types(to, m, err);
    default: return hone_fail(err, HONE_CORRUPT, "is of an unknown kind");
    }
    return HONE_OK;
}

/* --- a node's attributes --- */

/* The kind that the graph has for a message's. */
static int dense_type(int type) {
    return type == HONE_MESSAGE_SPARSE    ? HONE_ATTR_TENSOR
           : type == HONE_MESSAGE_SPARSES ? HONE_ATTR_TENSORS
                                          : type;
}

static const char *type_name(int type) {
    return type >= 0 && type < (int)(sizeof type_names / sizeof *type_names) ? type_names[type]
                                                                             : "of an unknown type";
}

static hone_status check_attr(const hone_onnx_scope *s, const hone_node_message *node, size_t index,
                              const hone_attr_def *def, hone_error *err) {
    const hone_attr_message *m = node->attribute[index];
    if (!def) return hone_fail(err, HONE_UNSUPPORTED, "is not an attribute of the operator");
    if (*hone_message_text(m->ref_attr_name) && !hone_onnx_scope_is_in_function(s))
        return hone_fail(err, HONE_CORRUPT, "refers to an attribute of a function, outside of one");
    for (size_t i = 0; i < index; i++)
        if (strcmp(node->attribute[i]->name, m->name) == 0)
            return hone_fail(err, HONE_CORRUPT, "is there twice");
    return HONE_OK;
}

static hone_status read_attr(const hone_onnx_scope *s, hone_node *n, const hone_node_message *node,
                             size_t index, const hone_attr_def *table, hone_error *err) {
    const char *name = hone_message_text(node->attribute[index]->name);
    const hone_attr_def *def = hone_attr_find(table, name);
    HONE_TRY(check_attr(s, node, index, def, err));
    const hone_onnx_scope *at = s;
    const hone_attr_message *m = hone_onnx_scope_attr(&at, node->attribute[index]);
    if (!m) return HONE_OK;
    int type = hone_message_attr_type(m);
    if (dense_type(type) != (int)def->type)
        return hone_fail(err, HONE_CORRUPT, "is %s, the operator takes %s", type_name(type),
                         type_names[def->type]);
    return set_attr(&(target){s->r, s->g, n, name}, m, err);
}

hone_status hone_onnx_scope_attrs(const hone_onnx_scope *s, hone_node *n, hone_node_message *m,
                                  const hone_attr_def *table, hone_error *err) {
    for (size_t i = 0; i < m->n_attribute; i++) {
        hone_error why = {0};
        hone_status status = read_attr(s, n, m, i, table, &why);
        if (status == HONE_OUT_OF_MEMORY) return hone_fail_memory(err);
        if (status == HONE_OK) continue;
        hone_fail_node(err, status, hone_message_node_name(m), m->op_type, "attribute %s: %s",
                       hone_message_text(m->attribute[i]->name), why.message);
        return *why.file ? hone_error_in_file(err, status, why.file) : status;
    }
    for (int i = 0; table && table[i].name; i++)
        if (table[i].required && !hone_node_attr(n, table[i].name))
            return hone_graph_check(s->g, err) != HONE_OK
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

static hone_status read_constant(const hone_onnx_scope *s, const char *name, const hone_attr_message *m,
                                 hone_tensor **out, hone_error *err) {
    static const struct {
        const char *name;
        int type;
    } forms[] = {{"value", HONE_ATTR_TENSOR},          {"value_float", HONE_ATTR_FLOAT},
                 {"value_floats", HONE_ATTR_FLOATS},   {"value_int", HONE_ATTR_INT},
                 {"value_ints", HONE_ATTR_INTS},       {"value_string", HONE_ATTR_STRING},
                 {"value_strings", HONE_ATTR_STRINGS}, {"sparse_value", HONE_MESSAGE_SPARSE}};
    int type = hone_message_attr_type(m);
    size_t i = 0;
    while (i < sizeof forms / sizeof *forms && strcmp(forms[i].name, name) != 0) i++;
    if (i == sizeof forms / sizeof *forms)
        return hone_fail(err, HONE_UNSUPPORTED, "a constant given by %s", name);
    if (type != forms[i].type)
        return hone_fail(err, HONE_CORRUPT, "%s is not %s", forms[i].name, type_names[forms[i].type]);
    switch (forms[i].type) {
    case HONE_ATTR_TENSOR: return read_one(s->r, m->t, NULL, out, err);
    case HONE_MESSAGE_SPARSE: return read_one(s->r, NULL, m->sparse_tensor, out, err);
    case HONE_ATTR_FLOAT: return constant_list(HONE_FLOAT32, 0, 1, &m->f, out, err);
    case HONE_ATTR_FLOATS: return constant_list(HONE_FLOAT32, 1, m->n_floats, m->floats, out, err);
    case HONE_ATTR_INT: return constant_list(HONE_INT64, 0, 1, &m->i, out, err);
    case HONE_ATTR_INTS: return constant_list(HONE_INT64, 1, m->n_ints, m->ints, out, err);
    case HONE_ATTR_STRING: return constant_strings(0, 1, &m->s, out, err);
    default: return constant_strings(1, m->n_strings, m->strings, out, err);
    }
}

hone_status hone_onnx_scope_constant(hone_onnx_scope *s, const hone_node_message *m, hone_tensor **out,
                                     hone_error *err) {
    hone_error why = {0};
    hone_status status = HONE_CORRUPT;
    const hone_onnx_scope *at = s;
    const hone_attr_message *given = m->n_attribute == 1 ? hone_onnx_scope_attr(&at, m->attribute[0]) : NULL;
    if (!given)
        hone_fail(&why, status, "a constant needs one value");
    else if (m->n_output != 1 || !*m->output[0] || m->n_input != 0)
        hone_fail(&why, status, "a constant has no inputs and one output");
    else
        status = read_constant(s, hone_message_text(m->attribute[0]->name), given, out, &why);
    if (status == HONE_OK) return status;
    hone_fail_node(err, status, hone_message_node_name(m), m->op_type, "%s", why.message);
    return *why.file ? hone_error_in_file(err, status, why.file) : status;
}
