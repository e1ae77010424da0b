#include "onnx/writer.h"

#include "graph/names.h"
#include "graph/op.h"

#include <string.h>

/* A graph of the file, with the names that its values have there. In a subgraph they must not be those of values
 * around it; what it captures has the name of what it stands for. */
typedef struct level {
    hone_onnx_writer *w;
    const struct level *outer;
    const hone_graph *g;
    const char **names; /* of each value */
    hone_names *taken;  /* of a subgraph: all of these */
    hone_graph_message *m;
} level;

/* --- names --- */

static bool is_taken(const level *l, const char *name) {
    for (; l; l = l->outer)
        if (l->outer ? hone_names_get(l->taken, name) != NULL : hone_graph_find(l->g, name) != NULL)
            return true;
    return false;
}

static hone_status take_name(level *l, const char *wanted, const char **out, hone_error *err) {
    const char *text = wanted;
    while (text && is_taken(l, text))
        text = hone_arena_printf(l->w->arena, "%s_%d", wanted, ++l->w->last_suffix);
    if (!text || !hone_names_put(l->taken, text, l)) return hone_fail_memory(err);
    *out = text;
    return HONE_OK;
}

static hone_status choose_names(level *l, hone_error *err) {
    const hone_graph *g = l->g;
    for (size_t k = 0; k < g->capture_count; k++)
        if (g->captures[k])
            l->names[g->captures[k]->id] =
                l->outer->names[g->owner->inputs[g->owner->capture_first + (int)k]->id];
    for (size_t i = 0; i < g->value_count; i++) {
        const hone_value *v = g->values[i];
        if (!v || v->storage == HONE_STORAGE_CAPTURED) continue;
        if (l->outer)
            HONE_TRY(take_name(l, v->name, &l->names[i], err));
        else
            l->names[i] = v->name;
    }
    return HONE_OK;
}

/* --- tensors and values --- */

static hone_status write_tensor(hone_onnx_writer *w, const hone_tensor *t, const char *name,
                                hone_tensor_message **out, hone_error *err) {
    hone_tensor_message *m = hone_onnx_make(w, &hone__onnx__tensor_proto__descriptor);
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

static hone_status write_initializers(level *l, hone_error *err) {
    const hone_graph *g = l->g;
    l->m->initializer = hone_arena_array(l->w->arena, g->value_count + 1, sizeof *l->m->initializer);
    if (!l->m->initializer) return hone_fail_memory(err);
    for (size_t i = 0; i < g->value_count; i++) {
        const hone_value *v = g->values[i];
        if (!v || !v->data) continue;
        HONE_TRY(write_tensor(l->w, v->data, l->names[i], &l->m->initializer[l->m->n_initializer], err));
        l->m->n_initializer++;
    }
    return HONE_OK;
}

static hone_status write_value(level *l, const hone_value *v, const char *name, hone_value_message **out,
                               hone_error *err) {
    hone_value_message *m = hone_onnx_make(l->w, &hone__onnx__value_info_proto__descriptor);
    if (!m) return hone_fail_memory(err);
    *out = m;
    m->name = (char *)name;
    return hone_onnx_write_type(l->w, l->g, &v->type, &m->type, err);
}

static hone_status write_inputs(level *l, hone_error *err) {
    const hone_graph *g = l->g;
    l->m->input = hone_arena_array(l->w->arena, g->input_count + 1, sizeof *l->m->input);
    if (!l->m->input) return hone_fail_memory(err);
    for (size_t i = 0; i < g->input_count; i++)
        HONE_TRY(write_value(l, g->inputs[i], l->names[g->inputs[i]->id], &l->m->input[i], err));
    l->m->n_input = g->input_count;
    return HONE_OK;
}

/* --- attributes --- */

static hone_status write_level(hone_onnx_writer *w, const level *outer, const hone_graph *g,
                               hone_graph_message **out, hone_error *err);

static hone_status write_strings(level *l, const hone_attr *a, hone_attr_message *m, hone_error *err) {
    m->strings = hone_arena_array(l->w->arena, a->count + 1, sizeof *m->strings);
    if (!m->strings) return hone_fail_memory(err);
    m->n_strings = a->count;
    for (size_t i = 0; i < a->count; i++)
        m->strings[i] = (ProtobufCBinaryData){a->strings[i].size, (uint8_t *)a->strings[i].data};
    return HONE_OK;
}

static hone_status write_tensors(level *l, const hone_attr *a, hone_attr_message *m, hone_error *err) {
    m->tensors = hone_arena_array(l->w->arena, a->count + 1, sizeof *m->tensors);
    if (!m->tensors) return hone_fail_memory(err);
    for (; m->n_tensors < a->count; m->n_tensors++)
        HONE_TRY(write_tensor(l->w, a->tensors[m->n_tensors], NULL, &m->tensors[m->n_tensors], err));
    return HONE_OK;
}

static hone_status write_graphs(level *l, const hone_attr *a, hone_attr_message *m, hone_error *err) {
    m->graphs = hone_arena_array(l->w->arena, a->count + 1, sizeof *m->graphs);
    if (!m->graphs) return hone_fail_memory(err);
    for (; m->n_graphs < a->count; m->n_graphs++)
        HONE_TRY(write_level(l->w, l, a->graphs[m->n_graphs], &m->graphs[m->n_graphs], err));
    return HONE_OK;
}

static hone_status write_types(level *l, const hone_attr *a, hone_attr_message *m, hone_error *err) {
    m->type_protos = hone_arena_array(l->w->arena, a->count + 1, sizeof *m->type_protos);
    if (!m->type_protos) return hone_fail_memory(err);
    for (; m->n_type_protos < a->count; m->n_type_protos++) {
        hone_type_message **type = &m->type_protos[m->n_type_protos];
        HONE_TRY(hone_onnx_write_type(l->w, l->g, &a->types[m->n_type_protos], type, err));
        if (!*type && !(*type = hone_onnx_make(l->w, &hone__onnx__type_proto__descriptor)))
            return hone_fail_memory(err);
    }
    return HONE_OK;
}

static hone_status write_attr(level *l, const hone_attr *a, hone_attr_message **out, hone_error *err) {
    hone_attr_message *m = hone_onnx_make(l->w, &hone__onnx__attribute_proto__descriptor);
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
    case HONE_ATTR_FLOATS:
        m->n_floats = a->count;
        m->floats = (float *)a->floats;
        break;
    case HONE_ATTR_INTS:
        m->n_ints = a->count;
        m->ints = (int64_t *)a->ints;
        break;
    case HONE_ATTR_STRINGS: return write_strings(l, a, m, err);
    case HONE_ATTR_TENSOR: return write_tensor(l->w, a->tensors[0], NULL, &m->t, err);
    case HONE_ATTR_TENSORS: return write_tensors(l, a, m, err);
    case HONE_ATTR_GRAPH: return write_level(l->w, l, a->graphs[0], &m->g, err);
    case HONE_ATTR_GRAPHS: return write_graphs(l, a, m, err);
    case HONE_ATTR_TYPE: return hone_onnx_write_type(l->w, l->g, a->types, &m->tp, err);
    case HONE_ATTR_TYPES: return write_types(l, a, m, err);
    case HONE_ATTR_NONE: return hone_fail(err, HONE_INTERNAL, "attribute %s has no kind", a->name);
    }
    return HONE_OK;
}

static hone_status write_attrs(level *l, const hone_node *n, hone_node_message *m, hone_error *err) {
    int64_t opset = hone_onnx_opset(l->w, hone_op_domain(n->op));
    const hone_attr_def *table = hone_op_form_attrs(n->op, hone_op_form(n->op, opset));
    m->attribute = hone_arena_array(l->w->arena, (size_t)n->attr_count + 1, sizeof *m->attribute);
    if (!m->attribute) return hone_fail_memory(err);
    for (int i = 0; i < n->attr_count; i++) {
        /* the form of this operator set says the same without it */
        if (!hone_attr_find(table, n->attrs[i].name)) continue;
        HONE_TRY(write_attr(l, &n->attrs[i], &m->attribute[m->n_attribute], err));
        m->n_attribute++;
    }
    return HONE_OK;
}

/* --- nodes --- */

static bool is_written_output(const hone_graph *g, const hone_node *n, int i) {
    const hone_slot *slot = hone_op_output(n->op, i);
    if (!n->outputs[i] || !slot || (slot->flags & HONE_SLOT_SAVED)) return false;
    bool wanted = n->outputs[i]->use_count > 0 || hone_graph_is_output(g, n->outputs[i]);
    return i == 0 || wanted || !(slot->flags & HONE_SLOT_OPTIONAL);
}

/* Captured inputs are written where they are used, inside of the subgraphs. */
static hone_status write_edges(level *l, const hone_node *n, hone_node_message *m, hone_error *err) {
    m->input = hone_arena_array(l->w->arena, (size_t)n->capture_first + 1, sizeof *m->input);
    m->output = hone_arena_array(l->w->arena, (size_t)n->output_count + 1, sizeof *m->output);
    if (!m->input || !m->output) return hone_fail_memory(err);
    for (int i = 0; i < n->capture_first; i++) {
        m->input[i] = n->inputs[i] ? (char *)l->names[n->inputs[i]->id] : (char *)"";
        if (n->inputs[i]) m->n_input = (size_t)i + 1;
    }
    for (int i = 0; i < n->output_count; i++) {
        bool written = is_written_output(l->g, n, i);
        m->output[i] = written ? (char *)l->names[n->outputs[i]->id] : (char *)"";
        if (written) m->n_output = (size_t)i + 1;
    }
    return HONE_OK;
}

static hone_status write_node(level *l, const hone_node *n, hone_error *err) {
    hone_node_message *m = hone_onnx_make(l->w, &hone__onnx__node_proto__descriptor);
    if (!m) return hone_fail_memory(err);
    m->name =
        *n->name ? (char *)n->name : hone_arena_printf(l->w->arena, "%s_%zu", n->op->name, l->m->n_node);
    if (!m->name) return hone_fail_memory(err);
    m->op_type = (char *)n->op->name;
    if (*hone_op_domain(n->op)) m->domain = (char *)hone_op_domain(n->op);
    l->m->node[l->m->n_node++] = m;
    HONE_TRY(write_edges(l, n, m, err));
    return write_attrs(l, n, m, err);
}

/* The nodes, and what is known of the values between them. */
static hone_status write_nodes(level *l, hone_error *err) {
    const hone_graph *g = l->g;
    l->m->node = hone_arena_array(l->w->arena, g->node_count + g->output_count + 1, sizeof *l->m->node);
    l->m->value_info = hone_arena_array(l->w->arena, g->value_count + 1, sizeof *l->m->value_info);
    if (!l->m->node || !l->m->value_info) return hone_fail_memory(err);
    for (const hone_node *n = g->first; n; n = n->next) {
        HONE_TRY(write_node(l, n, err));
        for (int i = 0; i < n->output_count; i++) {
            const hone_value *v = n->outputs[i];
            /* onnx's checker takes no value info without a shape */
            bool shaped = v && v->type.dtype != HONE_UNDEFINED &&
                          (v->type.kind != HONE_KIND_TENSOR || v->type.rank >= 0);
            if (!shaped || !is_written_output(g, n, i) || hone_graph_is_output(g, v)) continue;
            HONE_TRY(write_value(l, v, l->names[v->id], &l->m->value_info[l->m->n_value_info], err));
            l->m->n_value_info++;
        }
    }
    return HONE_OK;
}

/* --- outputs --- */

static bool is_output_before(const hone_graph *g, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (g->outputs[i] == g->outputs[index]) return true;
    return false;
}

/* A subgraph may give what it captures, or one value twice; in a file each output is a value of its own. */
static hone_status write_identity(level *l, const hone_value *v, const char **name, hone_error *err) {
    hone_node_message *m = hone_onnx_make(l->w, &hone__onnx__node_proto__descriptor);
    char **edges = hone_arena_array(l->w->arena, 2, sizeof *edges);
    if (!m || !edges) return hone_fail_memory(err);
    HONE_TRY(take_name(l, v->name, name, err));
    edges[0] = (char *)l->names[v->id];
    edges[1] = (char *)*name;
    m->input = &edges[0];
    m->output = &edges[1];
    m->n_input = m->n_output = 1;
    m->name = (char *)*name;
    m->op_type = (char *)"Identity";
    l->m->node[l->m->n_node++] = m;
    return HONE_OK;
}

static hone_status write_outputs(level *l, hone_error *err) {
    const hone_graph *g = l->g;
    l->m->output = hone_arena_array(l->w->arena, g->output_count + 1, sizeof *l->m->output);
    if (!l->m->output) return hone_fail_memory(err);
    for (size_t i = 0; i < g->output_count; i++) {
        const hone_value *v = g->outputs[i];
        const char *name = l->names[v->id];
        if (l->outer && (v->storage == HONE_STORAGE_CAPTURED || is_output_before(g, i)))
            HONE_TRY(write_identity(l, v, &name, err));
        HONE_TRY(write_value(l, v, name, &l->m->output[i], err));
    }
    l->m->n_output = g->output_count;
    return HONE_OK;
}

/* --- the graph --- */

static hone_status write_parts(level *l, hone_error *err) {
    const hone_graph *g = l->g;
    l->m->name = g->name && *g->name ? (char *)g->name : (char *)"graph";
    if (g->doc && *g->doc) l->m->doc_string = (char *)g->doc;
    HONE_TRY(choose_names(l, err));
    HONE_TRY(write_initializers(l, err));
    HONE_TRY(write_inputs(l, err));
    HONE_TRY(write_nodes(l, err));
    return write_outputs(l, err);
}

static hone_status write_level(hone_onnx_writer *w, const level *outer, const hone_graph *g,
                               hone_graph_message **out, hone_error *err) {
    level l = {.w = w, .outer = outer, .g = g};
    l.names = hone_arena_array(w->arena, g->value_count + 1, sizeof *l.names);
    l.m = hone_onnx_make(w, &hone__onnx__graph_proto__descriptor);
    if (outer) l.taken = hone_names_new();
    bool ok = l.names && l.m && (!outer || l.taken);
    hone_status status = ok ? write_parts(&l, err) : hone_fail_memory(err);
    hone_names_free(l.taken);
    *out = l.m;
    return status;
}

hone_status hone_onnx_write_graph(hone_onnx_writer *w, const hone_graph *g, hone_graph_message **out,
                                  hone_error *err) {
    return write_level(w, NULL, g, out, err);
}
