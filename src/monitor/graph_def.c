/* A hone_graph as TensorFlow's GraphDef. Inputs become Placeholder, constants and variables Const (without
 * content), outputs _Retval; a node keeps its operator's name. Values have no names there: an input is "NODE"
 * or "NODE:k". */
#include "monitor/graph_def.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "graph/graph.h"
#include "graph/names.h"
#include "graph/op.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

typedef struct builder {
    const hone_graph *graph;
    hone_arena *arena;
    hone_names *taken;  /* node name → how many times it was asked for */
    const char **names; /* by value id: what an input that reads it says */
    Hone__Tb__NodeDef **nodes;
    size_t count;
} builder;

static Hone__Tb__DataType data_type(hone_dtype dtype) {
    switch (dtype) {
    case HONE_FLOAT32: return HONE__TB__DATA_TYPE__DT_FLOAT;
    case HONE_FLOAT64: return HONE__TB__DATA_TYPE__DT_DOUBLE;
    case HONE_FLOAT16: return HONE__TB__DATA_TYPE__DT_HALF;
    case HONE_BFLOAT16: return HONE__TB__DATA_TYPE__DT_BFLOAT16;
    case HONE_UINT8: return HONE__TB__DATA_TYPE__DT_UINT8;
    case HONE_INT8: return HONE__TB__DATA_TYPE__DT_INT8;
    case HONE_UINT16: return HONE__TB__DATA_TYPE__DT_UINT16;
    case HONE_INT16: return HONE__TB__DATA_TYPE__DT_INT16;
    case HONE_UINT32: return HONE__TB__DATA_TYPE__DT_UINT32;
    case HONE_INT32: return HONE__TB__DATA_TYPE__DT_INT32;
    case HONE_UINT64: return HONE__TB__DATA_TYPE__DT_UINT64;
    case HONE_INT64: return HONE__TB__DATA_TYPE__DT_INT64;
    case HONE_BOOL: return HONE__TB__DATA_TYPE__DT_BOOL;
    case HONE_STRING: return HONE__TB__DATA_TYPE__DT_STRING;
    default: return HONE__TB__DATA_TYPE__DT_INVALID;
    }
}

/* --- names --- */

/* A name that no node has yet, in the letters that TensorFlow allows. Slashes stay, they make the boxes; so
 * do the dots of a parameter's name ("encoder.0.weight") when `dots` says so. NULL when out of memory. */
static char *fresh_name(builder *b, const char *wish, bool dots) {
    while (*wish == '/') wish++;
    char *name = hone_arena_strdup(b->arena, *wish ? wish : "unnamed");
    if (!name) return NULL;
    for (char *p = name; *p; p++) {
        if (dots && *p == '.' && p > name && p[1])
            *p = '/';
        else if (!isascii((unsigned char)*p) || (!isalnum((unsigned char)*p) && !strchr("_./-", *p)))
            *p = '_';
    }
    const char *stem = name;
    uintptr_t asked = (uintptr_t)hone_names_get(b->taken, stem);
    if (!hone_names_put(b->taken, stem, (void *)(asked + 1))) return NULL;
    while (asked) { /* stem_1, stem_2, … may be taken, too */
        name = hone_arena_printf(b->arena, "%s_%lu", stem, (unsigned long)asked);
        if (!name) return NULL;
        uintptr_t other = (uintptr_t)hone_names_get(b->taken, name);
        if (!hone_names_put(b->taken, name, (void *)(other + 1))) return NULL;
        if (!other) break;
        asked++;
    }
    return name;
}

/* --- attributes --- */

static Hone__Tb__AttrValue *add_attr(builder *b, Hone__Tb__NodeDef *node, const char *key) {
    Hone__Tb__NodeDef__AttrEntry *entry = hone_arena_alloc(b->arena, sizeof *entry);
    Hone__Tb__AttrValue *value = hone_arena_alloc(b->arena, sizeof *value);
    if (!entry || !value) return NULL;
    hone__tb__node_def__attr_entry__init(entry);
    hone__tb__attr_value__init(value);
    entry->key = (char *)(uintptr_t)key;
    entry->value = value;
    node->attr[node->n_attr++] = entry;
    return value;
}

static bool add_type(builder *b, Hone__Tb__NodeDef *node, hone_dtype dtype) {
    Hone__Tb__AttrValue *a = add_attr(b, node, "dtype");
    if (!a) return false;
    a->value_case = HONE__TB__ATTR_VALUE__VALUE_TYPE;
    a->type = data_type(dtype);
    return true;
}

static Hone__Tb__TensorShapeProto *make_shape(builder *b, const hone_type *type) {
    Hone__Tb__TensorShapeProto *shape = hone_arena_alloc(b->arena, sizeof *shape);
    if (!shape) return NULL;
    hone__tb__tensor_shape_proto__init(shape);
    shape->unknown_rank = type->kind != HONE_KIND_TENSOR || type->rank < 0;
    if (shape->unknown_rank) return shape;
    shape->dim = hone_arena_array(b->arena, (size_t)type->rank, sizeof *shape->dim);
    if (!shape->dim) return NULL;
    for (int i = 0; i < type->rank; i++) {
        Hone__Tb__TensorShapeProto__Dim *dim = hone_arena_alloc(b->arena, sizeof *dim);
        if (!dim) return NULL;
        hone__tb__tensor_shape_proto__dim__init(dim);
        dim->size = type->dims[i] < 0 ? -1 : type->dims[i];
        shape->dim[shape->n_dim++] = dim;
    }
    return shape;
}

static Hone__Tb__AttrValue__ListValue *add_list(builder *b, Hone__Tb__NodeDef *node, const char *key) {
    Hone__Tb__AttrValue *a = add_attr(b, node, key);
    Hone__Tb__AttrValue__ListValue *list = hone_arena_alloc(b->arena, sizeof *list);
    if (!a || !list) return NULL;
    hone__tb__attr_value__list_value__init(list);
    a->value_case = HONE__TB__ATTR_VALUE__VALUE_LIST;
    a->list = list;
    return list;
}

/* TensorBoard writes these on the edges. */
static bool add_output_shapes(builder *b, Hone__Tb__NodeDef *node, hone_value *const *outputs, int count) {
    Hone__Tb__AttrValue__ListValue *list = add_list(b, node, "_output_shapes");
    if (!list) return false;
    list->shape = hone_arena_array(b->arena, (size_t)count, sizeof *list->shape);
    if (!list->shape) return false;
    static const hone_type unknown = {.kind = HONE_KIND_TENSOR, .rank = HONE_RANK_ANY};
    for (int i = 0; i < count; i++) {
        Hone__Tb__TensorShapeProto *shape = make_shape(b, outputs[i] ? &outputs[i]->type : &unknown);
        if (!shape) return false;
        list->shape[list->n_shape++] = shape;
    }
    return true;
}

static ProtobufCBinaryData bytes_of(const hone_string *s) {
    return (ProtobufCBinaryData){s->size, (uint8_t *)s->data};
}

static bool add_strings(builder *b, Hone__Tb__NodeDef *node, const hone_attr *attr) {
    Hone__Tb__AttrValue__ListValue *list = add_list(b, node, attr->name);
    if (!list || !(list->s = hone_arena_array(b->arena, attr->count, sizeof *list->s))) return false;
    for (list->n_s = 0; list->n_s < attr->count; list->n_s++)
        list->s[list->n_s] = bytes_of(&attr->strings[list->n_s]);
    return true;
}

/* Tensors and subgraphs have no form here that TensorBoard would show. */
static bool add_node_attr(builder *b, Hone__Tb__NodeDef *node, const hone_attr *attr) {
    Hone__Tb__AttrValue *a = NULL;
    Hone__Tb__AttrValue__ListValue *list = NULL;
    if (!hone_utf8_is_valid(attr->name, strlen(attr->name)))
        return true; /* readers would refuse the whole graph */
    switch (attr->type) {
    case HONE_ATTR_INT:
        if (!(a = add_attr(b, node, attr->name))) return false;
        a->value_case = HONE__TB__ATTR_VALUE__VALUE_I;
        a->i = attr->i;
        return true;
    case HONE_ATTR_FLOAT:
        if (!(a = add_attr(b, node, attr->name))) return false;
        a->value_case = HONE__TB__ATTR_VALUE__VALUE_F;
        a->f = attr->f;
        return true;
    case HONE_ATTR_STRING:
        if (!(a = add_attr(b, node, attr->name))) return false;
        a->value_case = HONE__TB__ATTR_VALUE__VALUE_S;
        a->s = bytes_of(&attr->s);
        return true;
    case HONE_ATTR_INTS:
        if (!(list = add_list(b, node, attr->name))) return false;
        list->n_i = attr->count;
        list->i = (int64_t *)(uintptr_t)attr->ints;
        return true;
    case HONE_ATTR_FLOATS:
        if (!(list = add_list(b, node, attr->name))) return false;
        list->n_f = attr->count;
        list->f = (float *)(uintptr_t)attr->floats;
        return true;
    case HONE_ATTR_STRINGS: return add_strings(b, node, attr);
    default: return true;
    }
}

/* --- nodes --- */

static Hone__Tb__NodeDef *add_node(builder *b, char *name, const char *op, size_t inputs, size_t attrs) {
    Hone__Tb__NodeDef *node = hone_arena_alloc(b->arena, sizeof *node);
    if (!node || !name || !op) return NULL;
    hone__tb__node_def__init(node);
    node->name = name;
    node->op = (char *)(uintptr_t)op;
    node->input = hone_arena_array(b->arena, inputs ? inputs : 1, sizeof *node->input);
    node->attr = hone_arena_array(b->arena, attrs, sizeof *node->attr);
    b->nodes[b->count++] = node;
    return node->input && node->attr ? node : NULL;
}

static bool add_leaf(builder *b, hone_value *v) {
    bool input = v->storage == HONE_STORAGE_INPUT;
    char *name = fresh_name(b, v->name, !input);
    Hone__Tb__NodeDef *node = add_node(b, name, input ? "Placeholder" : "Const", 0, 2);
    b->names[v->id] = name;
    return node && add_type(b, node, v->type.dtype) && add_output_shapes(b, node, &v, 1);
}

static const char *op_name(builder *b, const hone_node *n) {
    const char *domain = n->op->domain;
    return domain && *domain ? hone_arena_printf(b->arena, "%s.%s", domain, n->op->name) : n->op->name;
}

static const char *wished_name(const hone_node *n) {
    if (n->name && *n->name) return n->name;
    for (int i = 0; i < n->output_count; i++)
        if (n->outputs[i]) return n->outputs[i]->name;
    return n->op->name;
}

/* Names come first, for all nodes, so that inputs can be written whatever the order. */
static bool name_outputs(builder *b, const hone_node *n, char **name) {
    *name = fresh_name(b, wished_name(n), false);
    for (int i = 0; *name && i < n->output_count; i++) {
        if (!n->outputs[i]) continue;
        const char *read_as = i == 0 ? *name : hone_arena_printf(b->arena, "%s:%d", *name, i);
        if (!read_as) return false;
        b->names[n->outputs[i]->id] = read_as;
    }
    return *name != NULL;
}

static bool fill_node(builder *b, const hone_node *n, char *name) {
    Hone__Tb__NodeDef *node =
        add_node(b, name, op_name(b, n), (size_t)n->input_count, (size_t)n->attr_count + 1);
    if (!node) return false;
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] && b->names[n->inputs[i]->id])
            node->input[node->n_input++] = (char *)(uintptr_t)b->names[n->inputs[i]->id];
    for (int i = 0; i < n->attr_count; i++)
        if (!add_node_attr(b, node, &n->attrs[i])) return false;
    return n->output_count == 0 || add_output_shapes(b, node, n->outputs, n->output_count);
}

static bool add_output(builder *b, hone_value *v) {
    Hone__Tb__NodeDef *node = add_node(b, fresh_name(b, v->name, false), "_Retval", 1, 1);
    if (!node) return false;
    if (b->names[v->id]) node->input[node->n_input++] = (char *)(uintptr_t)b->names[v->id];
    return add_type(b, node, v->type.dtype);
}

static bool build(builder *b) {
    const hone_graph *g = b->graph;
    char **names = hone_arena_array(b->arena, g->node_count + 1, sizeof *names);
    b->names = hone_arena_array(b->arena, g->value_count + 1, sizeof *b->names);
    b->nodes =
        hone_arena_array(b->arena, g->value_count + g->node_count + g->output_count + 1, sizeof *b->nodes);
    if (!names || !b->names || !b->nodes) return false;
    size_t i = 0;
    for (const hone_node *n = g->first; n; n = n->next)
        if (!name_outputs(b, n, &names[i++])) return false;
    for (size_t k = 0; k < g->value_count; k++) {
        hone_value *v = g->values[k];
        if (v && v->storage != HONE_STORAGE_INTERMEDIATE && !add_leaf(b, v)) return false;
    }
    i = 0;
    for (const hone_node *n = g->first; n; n = n->next)
        if (!fill_node(b, n, names[i++])) return false;
    for (size_t k = 0; k < g->output_count; k++)
        if (!add_output(b, g->outputs[k])) return false;
    return true;
}

hone_status hone_graph_def(const hone_graph *g, uint8_t **data, size_t *size, hone_error *err) {
    builder b = {.graph = g, .arena = hone_arena_new(), .taken = hone_names_new()};
    uint8_t *bytes = NULL;
    if (b.arena && b.taken && build(&b)) {
        Hone__Tb__VersionDef version = HONE__TB__VERSION_DEF__INIT;
        Hone__Tb__GraphDef def = HONE__TB__GRAPH_DEF__INIT;
        version.producer = 22;
        def.versions = &version;
        def.node = b.nodes;
        def.n_node = b.count;
        *size = hone__tb__graph_def__get_packed_size(&def);
        bytes = hone_alloc(*size);
        if (bytes) hone__tb__graph_def__pack(&def, bytes);
    }
    hone_names_free(b.taken);
    hone_arena_free(b.arena);
    if (!bytes) return hone_fail_memory(err);
    *data = bytes;
    return HONE_OK;
}
