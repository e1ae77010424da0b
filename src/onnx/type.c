#include "onnx/message.h"

#include "graph/infer.h"

/* A hostile file could name a million symbols, and looking one up is a walk over all. */
#define MAX_SYMBOLS 1024

static hone_status read_dim(hone_graph *g, const Hone__Onnx__TensorShapeProto__Dimension *m, int64_t *out,
                            hone_error *err) {
    *out = HONE_DIM_ANY;
    if (m->value_case == HONE__ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && *m->dim_param) {
        *out = hone_graph_symbol(g, m->dim_param);
        if (g->symbols->count > MAX_SYMBOLS)
            return hone_fail(err, HONE_UNSUPPORTED, "more than %d symbolic dimensions", MAX_SYMBOLS);
    }
    /* some exporters write an unknown dimension as -1 */
    if (m->value_case == HONE__ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE) *out = m->dim_value;
    if (m->value_case == HONE__ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && *out < HONE_DIM_ANY)
        return hone_fail(err, HONE_CORRUPT, "a dimension is %lld", (long long)*out);
    return HONE_OK;
}

static hone_status read_shape(hone_graph *g, const Hone__Onnx__TensorShapeProto *m, hone_type *out,
                              hone_error *err) {
    int64_t known[HONE_MAX_RANK];
    int count = 0;
    hone_error why = {0};
    out->rank = (int)m->n_dim;
    for (int i = 0; i < out->rank; i++) {
        HONE_TRY(read_dim(g, m->dim[i], &out->dims[i], err));
        if (out->dims[i] > 0) known[count++] = out->dims[i];
    }
    if (hone_shape_size(out->dtype, count, known, NULL, NULL, &why) == HONE_OK) return HONE_OK;
    return hone_fail(err, HONE_CORRUPT, "the declared shape is impossible: %s", why.message);
}

static hone_status read_tensor_type(hone_graph *g, const Hone__Onnx__TypeProto__Tensor *m, hone_type *out,
                                    hone_error *err) {
    *out = hone_type_make((hone_dtype)m->elem_type, HONE_RANK_ANY, NULL);
    return m->shape && out->dtype != HONE_UNDEFINED ? read_shape(g, m->shape, out, err) : HONE_OK;
}

/* The type of what is inside. */
static hone_status read_element(hone_graph *g, const hone_type_message *m, hone_type *out, hone_error *err) {
    hone_type *element = hone_arena_alloc(g->arena, sizeof *element);
    if (!element) return hone_fail_memory(err);
    if (!m) return hone_fail(err, HONE_CORRUPT, "a type does not say what is inside");
    HONE_TRY(hone_message_type_alone(g, m, element, err));
    out->element = element;
    if (out->kind != HONE_KIND_MAP)
        out->dtype = element->dtype;
    else if (element->dtype == HONE_UNDEFINED)
        return hone_fail(err, HONE_CORRUPT, "a map's type does not say what is inside");
    return HONE_OK;
}

hone_status hone_message_type_alone(hone_graph *g, const hone_type_message *m, hone_type *out,
                                    hone_error *err) {
    *out = *hone_type_any(HONE_UNDEFINED);
    switch (m ? m->value_case : HONE__ONNX__TYPE_PROTO__VALUE__NOT_SET) {
    case HONE__ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE: return read_tensor_type(g, m->tensor_type, out, err);
    case HONE__ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        out->kind = HONE_KIND_SEQUENCE;
        return read_element(g, m->sequence_type->elem_type, out, err);
    case HONE__ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        out->kind = HONE_KIND_OPTIONAL;
        return read_element(g, m->optional_type->elem_type, out, err);
    case HONE__ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        out->kind = HONE_KIND_MAP;
        out->dtype = (hone_dtype)m->map_type->key_type;
        return read_element(g, m->map_type->value_type, out, err);
    default: return HONE_OK;
    }
}

hone_status hone_message_type(hone_graph *g, const hone_value_message *m, hone_type *out, hone_error *err) {
    hone_error why = {0};
    hone_status status = hone_message_type_alone(g, m->type, out, &why);
    return status == HONE_OK ? status : hone_fail_node(err, status, m->name, NULL, "%s", why.message);
}
