#include "onnx/onnx.h"
#include "onnx/writer.h"

#include "graph/op.h"

#include <string.h>

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

/* dtypes that many operators of ONNX's learned late, and the operator set from which on optional values are known */
#define LATE_TYPES (HONE_TYPE(HONE_BFLOAT16) | HONE_TYPE(HONE_INT16) | HONE_TYPE(HONE_UINT16))
enum { OPTIONAL_SINCE = 16 };

static uint32_t types_of(hone_value *const *values, int count) {
    uint32_t types = 0;
    for (int i = 0; i < count; i++)
        if (values[i]) types |= HONE_TYPE(values[i]->type.dtype);
    return types;
}

static bool has_optional(hone_value *const *values, int count) {
    for (int i = 0; i < count; i++)
        if (values[i] && values[i]->type.kind == HONE_KIND_OPTIONAL) return true;
    return false;
}

/* Can the form of `opset` say what this node says? */
static bool can_say(const hone_node *n, int64_t opset) {
    const hone_op *op = n->op;
    if (opset >= op->since) return true;
    const hone_op_version *form = hone_op_form(op, opset);
    if (opset < op->oldest || (form && form->lift)) return false;
    uint32_t late = op->late_types | (*hone_op_domain(op) == 0 ? LATE_TYPES : 0);
    if ((types_of(n->inputs, n->input_count) | types_of(n->outputs, n->output_count)) & late) return false;
    if (opset < OPTIONAL_SINCE && *hone_op_domain(op) == 0 &&
        (has_optional(n->inputs, n->input_count) || has_optional(n->outputs, n->output_count)))
        return false;
    const hone_attr_def *table = hone_op_form_attrs(op, form);
    for (int i = 0; i < n->attr_count; i++)
        if (!hone_attr_find(table, n->attrs[i].name) &&
            !is_default(&n->attrs[i], hone_attr_find(op->attrs, n->attrs[i].name)))
            return false;
    return true;
}

static hone_opset *find(const hone_onnx_writer *w, const char *domain) {
    for (size_t i = 0; i < w->opset_count; i++)
        if (strcmp(w->opsets[i].domain, domain) == 0) return &w->opsets[i];
    return NULL;
}

static hone_status import(hone_onnx_writer *w, const char *domain, int64_t version, hone_opset **out,
                          hone_error *err) {
    *out = find(w, domain);
    if (*out) return HONE_OK;
    if (!hone_reserve(&w->opsets, &w->opset_capacity, w->opset_count + 1, sizeof *w->opsets))
        return hone_fail_memory(err);
    *out = &w->opsets[w->opset_count++];
    **out = (hone_opset){domain, version};
    return HONE_OK;
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

/* For the types of all values, those of subgraphs, too. */
static void raise_for_types(const hone_graph *g, int64_t *version) {
    const hone_graph *sub;
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i] && opset_of(g->values[i]->type.dtype) > *version)
            *version = opset_of(g->values[i]->type.dtype);
    for (const hone_node *n = g->first; n; n = n->next)
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++) raise_for_types(sub, version);
}

/* Raises the versions until each node can be said. Every operator can be said at its own `since`. */
static hone_status raise_for(hone_onnx_writer *w, const hone_graph *g, bool *raised, hone_error *err) {
    for (const hone_node *n = g->first; n; n = n->next) {
        hone_opset *set = NULL;
        HONE_TRY(import(w, hone_op_domain(n->op), 1, &set, err));
        for (; !can_say(n, set->version); set->version++) *raised = true;
        const hone_graph *sub;
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++) HONE_TRY(raise_for(w, sub, raised, err));
    }
    return HONE_OK;
}

hone_status hone_onnx_choose_opsets(hone_onnx_writer *w, const hone_graph *g, hone_error *err) {
    hone_opset *set = NULL;
    bool raised = true;
    HONE_TRY(import(w, "", HONE_ONNX_OLDEST_WRITTEN_OPSET, &set, err));
    raise_for_types(g, &set->version);
    while (raised) { /* a form may be gone again in a later version that another node needs */
        raised = false;
        HONE_TRY(raise_for(w, g, &raised, err));
    }
    return HONE_OK;
}

int64_t hone_onnx_opset(const hone_onnx_writer *w, const char *domain) {
    const hone_opset *set = find(w, domain);
    return set ? set->version : 0;
}
