#include "onnx/message.h"
#include "onnx/onnx.h"

#include "graph/infer.h"

#include <stddef.h>
#include <string.h>

/* The messages of one file. They live in the arena and point into the graph: names and weights are not
 * copied. */
typedef struct writer {
    const hone_graph *g;
    hone_arena *arena;
    hone_type *types; /* of each value, completed by inference */
    int64_t opset;
    hone_model_message *model;
    hone_graph_message *m;
} writer;

static void *make(writer *w, const ProtobufCMessageDescriptor *type) {
    void *m = hone_arena_alloc(w->arena, type->sizeof_message);
    if (m) protobuf_c_message_init(type, m);
    return m;
}

/* What a version of onnx that knows the operator set reads. */
static int64_t ir_version(int64_t opset) {
    static const struct {
        int64_t opset, ir;
    } table[] = {{28, 14}, {25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (opset >= table[i].opset) return table[i].ir;
    return 8;
}

/* --- types --- */

static hone_status write_shape(writer *w, const hone_type *type, Hone__Onnx__TensorShapeProto **out,
                               hone_error *err) {
    Hone__Onnx__TensorShapeProto *m = make(w, &hone__onnx__tensor_shape_proto__descriptor);
    if (!m) return hone_fail_memory(err);
    m->n_dim = (size_t)type->rank;
    m->dim = hone_arena_array(w->arena, m->n_dim + 1, sizeof *m->dim);
    if (!m->dim) return hone_fail_memory(err);
    for (size_t i = 0; i < m->n_dim; i++) {
        Hone__Onnx__TensorShapeProto__Dimension *d =
            make(w, &hone__onnx__tensor_shape_proto__dimension__descriptor);
        const char *name = hone_graph_dim_name(w->g, type->dims[i]);
        if (!d) return hone_fail_memory(err);
        if (type->dims[i] >= 0) {
            d->value_case = HONE__ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            d->dim_value = type->dims[i];
        } else if (name) {
            d->value_case = HONE__ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            d->dim_param = (char *)name;
        }
        m->dim[i] = d;
    }
    *out = m;
    return HONE_OK;
}

static hone_status write_value(writer *w, const hone_value *v, hone_value_message **out, hone_error *err) {
    const hone_type *type = &w->types[v->id];
    hone_value_message *m = make(w, &hone__onnx__value_info_proto__descriptor);
    hone_type_message *t = make(w, &hone__onnx__type_proto__descriptor);
    Hone__Onnx__TypeProto__Tensor *tensor = make(w, &hone__onnx__type_proto__tensor__descriptor);
    if (!m || !t || !tensor) return hone_fail_memory(err);
    *out = m;
    m->name = (char *)v->name;
    if (type->kind != HONE_KIND_TENSOR)
        return hone_fail_node(err, HONE_UNSUPPORTED, v->name, NULL, "only tensors can be written");
    if (type->dtype == HONE_UNDEFINED) return HONE_OK;
    m->type = t;
    t->value_case = HONE__ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    t->tensor_type = tensor;
    tensor->has_elem_type = true;
    tensor->elem_type = (int32_t)type->dtype;
    return type->rank < 0 ? HONE_OK : write_shape(w, type, &tensor->shape, err);
}

static hone_status write_values(writer *w, hone_value *const *values, size_t count, size_t *n,
                                hone_value_message ***out, hone_error *err) {
    *out = hone_arena_array(w->arena, count + 1, sizeof **out);
    if (!*out) return hone_fail_memory(err);
    for (size_t i = 0; i < count; i++) HONE_TRY(write_value(w, values[i], &(*out)[i], err));
    *n = count;
    return HONE_OK;
}

/* Types of values that nobody has inferred yet; what inference can't tell stays unknown. */
static hone_status complete_types(writer *w, hone_error *err) {
    const hone_graph *g = w->g;
    bool known = true;
    w->types = hone_arena_array(w->arena, g->value_count + 1, sizeof *w->types);
    if (!w->types) return hone_fail_memory(err);
    for (size_t i = 0; i < g->value_count; i++) {
        if (!g->values[i]) continue;
        w->types[i] = g->values[i]->type;
        if (w->types[i].dtype == HONE_UNDEFINED) known = false;
    }
    if (known) return HONE_OK;
    hone_status status = hone_graph_infer_types(g, w->types, NULL, err);
    if (status != HONE_OK) return status;
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i] && g->values[i]->type.dtype != HONE_UNDEFINED) w->types[i] = g->values[i]->type;
    return HONE_OK;
}

/* --- tensors --- */

static hone_status write_tensor(writer *w, const hone_tensor *t, const char *name, hone_tensor_message **out,
                                hone_error *err) {
    hone_tensor_message *m = make(w, &hone__onnx__tensor_proto__descriptor);
    if (!m) return hone_fail_memory(err);
    m->name = (char *)name;
    m->has_data_type = true;
    m->data_type = (int32_t)t->dtype;
    m->n_dims = (size_t)t->rank;
    m->dims = (int64_t *)t->dims;
    *out = m;
    if (t->dtype != HONE_STRING) {
        m->has_raw_data = true;
        m->raw_data = (ProtobufCBinaryData){t->bytes, t->data};
        return HONE_OK;
    }
    m->n_string_data = (size_t)t->count;
    m->string_data = hone_arena_array(w->arena, m->n_string_data + 1, sizeof *m->string_data);
    if (!m->string_data) return hone_fail_memory(err);
    const hone_string *strings = t->data;
    for (size_t i = 0; i < m->n_string_data; i++)
        m->string_data[i] = (ProtobufCBinaryData){strings[i].size, (uint8_t *)strings[i].data};
    return HONE_OK;
}

static hone_status write_initializers(writer *w, hone_error *err) {
    const hone_graph *g = w->g;
    w->m->initializer = hone_arena_array(w->arena, g->value_count + 1, sizeof *w->m->initializer);
    if (!w->m->initializer) return hone_fail_memory(err);
    for (size_t i = 0; i < g->value_count; i++) {
        const hone_value *v = g->values[i];
        if (!v || !v->data) continue;
        HONE_TRY(write_tensor(w, v->data, v->name, &w->m->initializer[w->m->n_initializer], err));
        w->m->n_initializer++;
    }
    return HONE_OK;
}

/* --- nodes --- */

static hone_status write_attr(writer *w, const hone_attr *a, hone_attr_message **out, hone_error *err) {
    hone_attr_message *m = make(w, &hone__onnx__attribute_proto__descriptor);
    if (!m) return hone_fail_memory(err);
    m->name = (char *)a->name;
    m->has_type = true;
    m->type = (Hone__Onnx__AttributeProto__AttributeType)a->type;
    *out = m;
    switch (a->type) {
    case HONE_ATTR_FLOAT:
        m->has_f = true;
        m->f = a->f;
        break;
    case HONE_ATTR_INT:
        m->has_i = true;
        m->i = a->i;
        break;
    case HONE_ATTR_STRING:
        m->has_s = true;
        m->s = (ProtobufCBinaryData){a->s.size, (uint8_t *)a->s.data};
        break;
    case HONE_ATTR_TENSOR: return write_tensor(w, a->tensors[0], NULL, &m->t, err);
    case HONE_ATTR_FLOATS:
        m->n_floats = a->count;
        m->floats = (float *)a->floats;
        break;
    case HONE_ATTR_INTS:
        m->n_ints = a->count;
        m->ints = (int64_t *)a->ints;
        break;
    case HONE_ATTR_STRINGS:
        m->n_strings = a->count;
        m->strings = hone_arena_array(w->arena, a->count + 1, sizeof *m->strings);
        if (!m->strings) return hone_fail_memory(err);
        for (size_t i = 0; i < a->count; i++)
            m->strings[i] = (ProtobufCBinaryData){a->strings[i].size, (uint8_t *)a->strings[i].data};
        break;
    default: return hone_fail(err, HONE_UNSUPPORTED, "attribute %s can't be written", a->name);
    }
    return HONE_OK;
}

static hone_status write_attrs(writer *w, const hone_node *n, hone_node_message *m, hone_error *err) {
    const hone_attr_def *table = hone_op_form_attrs(n->op, hone_op_form(n->op, w->opset));
    m->attribute = hone_arena_array(w->arena, (size_t)n->attr_count + 1, sizeof *m->attribute);
    if (!m->attribute) return hone_fail_memory(err);
    for (int i = 0; i < n->attr_count; i++) {
        /* the form of this operator set says the same without it */
        if (*hone_op_domain(n->op) == 0 && !hone_attr_find(table, n->attrs[i].name)) continue;
        HONE_TRY(write_attr(w, &n->attrs[i], &m->attribute[m->n_attribute], err));
        m->n_attribute++;
    }
    return HONE_OK;
}

static bool is_written_output(const writer *w, const hone_node *n, int i) {
    const hone_slot *slot = hone_op_output(n->op, i);
    if (!n->outputs[i] || !slot || (slot->flags & HONE_SLOT_SAVED)) return false;
    bool wanted = n->outputs[i]->use_count > 0 || hone_graph_is_output(w->g, n->outputs[i]);
    return i == 0 || wanted || !(slot->flags & HONE_SLOT_OPTIONAL);
}

static hone_status write_edges(writer *w, const hone_node *n, hone_node_message *m, hone_error *err) {
    m->input = hone_arena_array(w->arena, (size_t)n->input_count + 1, sizeof *m->input);
    m->output = hone_arena_array(w->arena, (size_t)n->output_count + 1, sizeof *m->output);
    if (!m->input || !m->output) return hone_fail_memory(err);
    for (int i = 0; i < n->input_count; i++) {
        m->input[i] = n->inputs[i] ? (char *)n->inputs[i]->name : (char *)"";
        m->n_input = (size_t)i + 1;
    }
    for (int i = 0; i < n->output_count; i++) {
        bool written = is_written_output(w, n, i);
        m->output[i] = written ? (char *)n->outputs[i]->name : (char *)"";
        if (written) m->n_output = (size_t)i + 1;
    }
    return HONE_OK;
}

static hone_status write_node(writer *w, const hone_node *n, size_t index, hone_node_message **out,
                              hone_error *err) {
    hone_node_message *m = make(w, &hone__onnx__node_proto__descriptor);
    if (!m) return hone_fail_memory(err);
    m->name = *n->name ? (char *)n->name : hone_arena_printf(w->arena, "%s_%zu", n->op->name, index);
    if (!m->name) return hone_fail_memory(err);
    m->op_type = (char *)n->op->name;
    if (*hone_op_domain(n->op)) m->domain = (char *)hone_op_domain(n->op);
    HONE_TRY(write_edges(w, n, m, err));
    HONE_TRY(write_attrs(w, n, m, err));
    *out = m;
    return HONE_OK;
}

/* The nodes, and what is known of the values between them. */
static hone_status write_nodes(writer *w, hone_error *err) {
    const hone_graph *g = w->g;
    w->m->node = hone_arena_array(w->arena, g->node_count + 1, sizeof *w->m->node);
    w->m->value_info = hone_arena_array(w->arena, g->value_count + 1, sizeof *w->m->value_info);
    if (!w->m->node || !w->m->value_info) return hone_fail_memory(err);
    for (const hone_node *n = g->first; n; n = n->next) {
        HONE_TRY(write_node(w, n, w->m->n_node, &w->m->node[w->m->n_node], err));
        w->m->n_node++;
        for (int i = 0; i < n->output_count; i++) {
            const hone_value *v = n->outputs[i];
            /* onnx's checker takes no value info without a shape */
            if (!is_written_output(w, n, i) || w->types[v->id].dtype == HONE_UNDEFINED ||
                w->types[v->id].rank < 0 || hone_graph_is_output(g, v))
                continue;
            HONE_TRY(write_value(w, v, &w->m->value_info[w->m->n_value_info], err));
            w->m->n_value_info++;
        }
    }
    return HONE_OK;
}

/* --- operator sets --- */

static bool is_default(const hone_attr *a, const hone_attr_def *def) {
    if (!def || a->type != def->type) return false;
    switch (a->type) {
    case HONE_ATTR_FLOAT: return a->f == def->f;
    case HONE_ATTR_INT: return a->i == def->i;
    case HONE_ATTR_STRING:
        return def->s && strlen(def->s) == a->s.size && memcmp(a->s.data, def->s, a->s.size) == 0;
    default: return false;
    }
}

/* dtypes that many operators learned late */
#define LATE_TYPES (HONE_TYPE(HONE_BFLOAT16) | HONE_TYPE(HONE_INT16) | HONE_TYPE(HONE_UINT16))

static uint32_t types_of(const writer *w, hone_value *const *values, int count) {
    uint32_t types = 0;
    for (int i = 0; i < count; i++)
        if (values[i]) types |= HONE_TYPE(w->types[values[i]->id].dtype);
    return types;
}

/* Can the form of `opset` say what this node says? */
static bool can_say(const writer *w, const hone_node *n, int64_t opset) {
    const hone_op *op = n->op;
    if (opset >= op->since) return true;
    const hone_op_version *form = hone_op_form(op, opset);
    if (opset < op->oldest || (form && form->lift)) return false;
    uint32_t types = types_of(w, n->inputs, n->input_count) | types_of(w, n->outputs, n->output_count);
    if (types & (LATE_TYPES | op->late_types)) return false;
    const hone_attr_def *table = hone_op_form_attrs(op, form);
    for (int i = 0; i < n->attr_count; i++)
        if (!hone_attr_find(table, n->attrs[i].name) &&
            !is_default(&n->attrs[i], hone_attr_find(op->attrs, n->attrs[i].name)))
            return false;
    return true;
}

/* The operator set from which on operators that only move elements take a dtype. */
static int64_t opset_of(hone_dtype dtype) {
    switch (dtype) {
    case HONE_FLOAT8E4M3FN:
    case HONE_FLOAT8E4M3FNUZ:
    case HONE_FLOAT8E5M2:
    case HONE_FLOAT8E5M2FNUZ:
    case HONE_UINT4:
    case HONE_INT4: return 21;
    case HONE_FLOAT4E2M1: return 23;
    case HONE_FLOAT8E8M0: return 24;
    case HONE_UINT2:
    case HONE_INT2: return 25;
    default: return HONE_ONNX_OLDEST_WRITTEN_OPSET;
    }
}

/* Every operator can be said at its own `since`, so this ends. */
static void choose_opset(writer *w) {
    bool settled = false;
    w->opset = HONE_ONNX_OLDEST_WRITTEN_OPSET;
    for (size_t i = 0; i < w->g->value_count; i++)
        if (w->g->values[i] && opset_of(w->types[i].dtype) > w->opset) w->opset = opset_of(w->types[i].dtype);
    while (!settled) {
        settled = true;
        for (const hone_node *n = w->g->first; n; n = n->next)
            while (*hone_op_domain(n->op) == 0 && !can_say(w, n, w->opset)) {
                w->opset++;
                settled = false;
            }
    }
}

static hone_status import(writer *w, const char *domain, int64_t version, hone_error *err) {
    hone_model_message *m = w->model;
    for (size_t i = 0; i < m->n_opset_import; i++) {
        if (strcmp(m->opset_import[i]->domain, domain) != 0) continue;
        if (version > m->opset_import[i]->version) m->opset_import[i]->version = version;
        return HONE_OK;
    }
    Hone__Onnx__OperatorSetIdProto *set = make(w, &hone__onnx__operator_set_id_proto__descriptor);
    if (!set) return hone_fail_memory(err);
    set->domain = (char *)domain;
    set->has_version = true;
    set->version = version;
    m->opset_import[m->n_opset_import++] = set;
    return HONE_OK;
}

static hone_status write_imports(writer *w, hone_error *err) {
    w->model->opset_import = hone_arena_array(w->arena, w->g->node_count + 1, sizeof *w->model->opset_import);
    if (!w->model->opset_import) return hone_fail_memory(err);
    HONE_TRY(import(w, "", w->opset, err));
    for (const hone_node *n = w->g->first; n; n = n->next)
        if (*hone_op_domain(n->op)) HONE_TRY(import(w, hone_op_domain(n->op), n->op->since, err));
    return HONE_OK;
}

/* --- the model --- */

/* What no file can say. */
static hone_status check_graph(const hone_graph *g, hone_error *err) {
    HONE_TRY(hone_graph_check(g, err));
    if (g->binding_count)
        return hone_fail_node(err, HONE_FAILED_PRECONDITION, g->bindings[0].variable->name, NULL,
                              "a training graph, which updates its variables, can't be written");
    for (const hone_node *n = g->first; n; n = n->next) {
        if (hone_op_is_private(n->op) || n->map)
            return hone_fail_node(err, HONE_FAILED_PRECONDITION, n->name, n->op->name,
                                  "only Hone itself has this operator; it can't be written to a file");
        for (int i = 0; i < n->attr_count; i++)
            if (!hone_attr_find(n->op->attrs, n->attrs[i].name))
                return hone_fail_node(err, HONE_FAILED_PRECONDITION, n->name, n->op->name,
                                      "ONNX has no attribute %s of this operator", n->attrs[i].name);
    }
    for (size_t i = 0; i < g->output_count; i++)
        for (size_t k = 0; k < i; k++)
            if (g->outputs[i] == g->outputs[k])
                return hone_fail_node(err, HONE_FAILED_PRECONDITION, g->outputs[i]->name, NULL,
                                      "is an output twice");
    return HONE_OK;
}

static hone_status write_metadata(writer *w, hone_error *err) {
    const hone_graph *g = w->g;
    w->model->metadata_props =
        hone_arena_array(w->arena, g->metadata_count + 1, sizeof *w->model->metadata_props);
    if (!w->model->metadata_props) return hone_fail_memory(err);
    for (size_t i = 0; i < g->metadata_count; i++) {
        hone_entry_message *m = make(w, &hone__onnx__string_string_entry_proto__descriptor);
        if (!m) return hone_fail_memory(err);
        m->key = (char *)g->metadata[i].key;
        m->value = (char *)g->metadata[i].value;
        w->model->metadata_props[w->model->n_metadata_props++] = m;
    }
    return HONE_OK;
}

static hone_status write_model(writer *w, hone_error *err) {
    const hone_graph *g = w->g;
    HONE_TRY(check_graph(g, err));
    HONE_TRY(complete_types(w, err));
    w->model = make(w, &hone__onnx__model_proto__descriptor);
    w->m = make(w, &hone__onnx__graph_proto__descriptor);
    if (!w->model || !w->m) return hone_fail_memory(err);
    choose_opset(w);
    w->model->has_ir_version = true;
    w->model->ir_version = ir_version(w->opset);
    w->model->producer_name = (char *)"hone";
    w->model->producer_version = (char *)HONE_VERSION;
    w->model->graph = w->m;
    w->m->name = g->name && *g->name ? (char *)g->name : (char *)"graph";
    if (g->doc && *g->doc) w->m->doc_string = (char *)g->doc;
    HONE_TRY(write_imports(w, err));
    HONE_TRY(write_metadata(w, err));
    HONE_TRY(write_initializers(w, err));
    HONE_TRY(write_values(w, g->inputs, g->input_count, &w->m->n_input, &w->m->input, err));
    HONE_TRY(write_values(w, g->outputs, g->output_count, &w->m->n_output, &w->m->output, err));
    return write_nodes(w, err);
}

static hone_status start(writer *w, const hone_graph *g, hone_error *err) {
    *w = (writer){.g = g, .arena = hone_arena_new()};
    return w->arena ? write_model(w, err) : hone_fail_memory(err);
}

static hone_status pack(const writer *w, size_t limit, hone_blob *out, hone_error *err) {
    size_t size = protobuf_c_message_get_packed_size(&w->model->base);
    if (size > limit)
        return hone_fail(err, HONE_OUT_OF_RANGE, "the model has %zu bytes, a file of this kind at most %zu",
                         size, limit);
    out->data = hone_alloc(size);
    if (!out->data) return hone_fail_memory(err);
    out->size = protobuf_c_message_pack(&w->model->base, out->data);
    return HONE_OK;
}

hone_status hone_onnx_write(const hone_graph *g, hone_blob *out, hone_error *err) {
    writer w;
    hone_status status = start(&w, g, err);
    if (status == HONE_OK) status = pack(&w, HONE_ONNX_INLINE_LIMIT, out, err);
    if (w.arena) hone_arena_free(w.arena);
    return status;
}

/* protobuf-c hands over piece after piece, so that a large model is not in memory a second time. */
typedef struct sink {
    ProtobufCBuffer base;
    hone_writer *writer;
    hone_status status;
    hone_error *err;
} sink;

static void append(ProtobufCBuffer *buffer, size_t size, const uint8_t *data) {
    sink *s = (sink *)buffer;
    if (s->status == HONE_OK) s->status = hone_writer_write(s->writer, data, size, s->err);
}

static hone_status store(writer *w, const char *path, size_t inline_limit, hone_error *err) {
    if (protobuf_c_message_get_packed_size(&w->model->base) > inline_limit) {
        char *data = hone_arena_printf(w->arena, "%s.data", path);
        if (!data) return hone_fail_memory(err);
        HONE_TRY(hone_external_write(w->m, data, w->arena, err));
    }
    size_t size = protobuf_c_message_get_packed_size(&w->model->base);
    if (size > HONE_ONNX_INLINE_LIMIT)
        return hone_fail(err, HONE_OUT_OF_RANGE,
                         "the model has %zu bytes without its weights; %zu are possible", size,
                         HONE_ONNX_INLINE_LIMIT);
    sink s = {{append}, NULL, HONE_OK, err};
    HONE_TRY(hone_writer_open(path, &s.writer, err));
    protobuf_c_message_pack_to_buffer(&w->model->base, &s.base);
    if (s.status == HONE_OK) return hone_writer_commit(s.writer, err);
    hone_writer_abort(s.writer);
    return s.status;
}

hone_status hone_onnx_save(const hone_graph *g, const char *path, size_t inline_limit, hone_error *err) {
    writer w;
    hone_status status = start(&w, g, err);
    if (status == HONE_OK) status = store(&w, path, inline_limit, err);
    if (w.arena) hone_arena_free(w.arena);
    return status == HONE_OK ? status : hone_error_in_file(err, status, path);
}

hone_status hone_graph_save(const hone_graph *g, const char *path, hone_error *err) {
    return hone_onnx_save(g, path, HONE_ONNX_INLINE_LIMIT, err);
}
