#include "onnx/writer.h"

static hone_status write_shape(hone_onnx_writer *w, const hone_graph *g, const hone_type *type,
                               Hone__Onnx__TensorShapeProto **out, hone_error *err) {
    Hone__Onnx__TensorShapeProto *m = hone_onnx_make(w, &hone__onnx__tensor_shape_proto__descriptor);
    if (!m) return hone_fail_memory(err);
    m->n_dim = (size_t)type->rank;
    m->dim = hone_arena_array(w->arena, m->n_dim + 1, sizeof *m->dim);
    if (!m->dim) return hone_fail_memory(err);
    for (size_t i = 0; i < m->n_dim; i++) {
        Hone__Onnx__TensorShapeProto__Dimension *d =
            hone_onnx_make(w, &hone__onnx__tensor_shape_proto__dimension__descriptor);
        const char *name = hone_graph_dim_name(g, type->dims[i]);
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

static hone_status write_tensor_type(hone_onnx_writer *w, const hone_graph *g, const hone_type *type,
                                     hone_type_message *m, hone_error *err) {
    Hone__Onnx__TypeProto__Tensor *t = hone_onnx_make(w, &hone__onnx__type_proto__tensor__descriptor);
    if (!t) return hone_fail_memory(err);
    m->value_case = HONE__ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    m->tensor_type = t;
    t->has_elem_type = true;
    t->elem_type = (int32_t)type->dtype;
    return type->rank < 0 ? HONE_OK : write_shape(w, g, type, &t->shape, err);
}

/* The three that hold something. */
static hone_status write_holder(hone_onnx_writer *w, const hone_type *type, hone_type_message *element,
                                hone_type_message *m, hone_error *err) {
    if (type->kind == HONE_KIND_SEQUENCE) {
        m->value_case = HONE__ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE;
        m->sequence_type = hone_onnx_make(w, &hone__onnx__type_proto__sequence__descriptor);
        if (m->sequence_type) m->sequence_type->elem_type = element;
        return m->sequence_type ? HONE_OK : hone_fail_memory(err);
    }
    if (type->kind == HONE_KIND_OPTIONAL) {
        m->value_case = HONE__ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE;
        m->optional_type = hone_onnx_make(w, &hone__onnx__type_proto__optional__descriptor);
        if (m->optional_type) m->optional_type->elem_type = element;
        return m->optional_type ? HONE_OK : hone_fail_memory(err);
    }
    m->value_case = HONE__ONNX__TYPE_PROTO__VALUE_MAP_TYPE;
    m->map_type = hone_onnx_make(w, &hone__onnx__type_proto__map__descriptor);
    if (!m->map_type) return hone_fail_memory(err);
    m->map_type->has_key_type = true;
    m->map_type->key_type = (int32_t)type->dtype;
    m->map_type->value_type = element;
    return HONE_OK;
}

hone_status hone_onnx_write_type(hone_onnx_writer *w, const hone_graph *g, const hone_type *type,
                                 hone_type_message **out, hone_error *err) {
    *out = NULL;
    if (type->dtype == HONE_UNDEFINED) return HONE_OK;
    hone_type_message *m = hone_onnx_make(w, &hone__onnx__type_proto__descriptor), *element = NULL;
    if (!m) return hone_fail_memory(err);
    *out = m;
    if (type->kind == HONE_KIND_TENSOR) return write_tensor_type(w, g, type, m, err);
    if (type->element) HONE_TRY(hone_onnx_write_type(w, g, type->element, &element, err));
    return write_holder(w, type, element, m, err);
}
