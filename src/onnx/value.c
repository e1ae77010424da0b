/* Values in files of their own: tensors, and what holds them (SequenceProto, MapProto, OptionalProto). */
#include "graph/infer.h"
#include "onnx/message.h"
#include "onnx/onnx.h"

typedef Hone__Onnx__SequenceProto sequence_message;
typedef Hone__Onnx__MapProto map_message;
typedef Hone__Onnx__OptionalProto optional_message;

static hone_status read_map(const map_message *m, const hone_onnx_source *s, hone_tensor **out,
                            hone_error *err);

/* --- sequences --- */

static hone_status read_items(const sequence_message *m, const hone_onnx_source *s, hone_tensor **items,
                              hone_error *err) {
    for (size_t i = 0; i < m->n_tensor_values; i++)
        HONE_TRY(hone_message_tensor(m->tensor_values[i], s, &items[i], err));
    for (size_t i = 0; i < m->n_map_values; i++)
        HONE_TRY(read_map(m->map_values[i], s, &items[m->n_tensor_values + i], err));
    return HONE_OK;
}

/* `dtype`: of the items, if there are none. */
static hone_status read_sequence(const sequence_message *m, const hone_onnx_source *s, hone_dtype dtype,
                                 hone_tensor **out, hone_error *err) {
    size_t count = m->n_tensor_values + m->n_map_values;
    if (m->n_sequence_values || m->n_optional_values || m->n_sparse_tensor_values)
        return hone_fail(err, HONE_UNSUPPORTED, "a sequence of something else than tensors or maps");
    hone_tensor **items = hone_calloc(count + 1, sizeof *items);
    if (!items) return hone_fail_memory(err);
    hone_status status = read_items(m, s, items, err);
    if (count && items[0]) dtype = items[0]->dtype;
    if (status == HONE_OK)
        status = hone_tensor_of_items(HONE_KIND_SEQUENCE, dtype, items, (int64_t)count, out, err);
    for (size_t i = 0; i < count; i++) hone_tensor_free(items[i]);
    hone_free(items);
    return status;
}

/* --- maps --- */

static hone_status read_keys(const map_message *m, hone_tensor **out, hone_error *err) {
    hone_dtype dtype = (hone_dtype)m->key_type;
    if (dtype == HONE_INT64)
        return hone_tensor_copy_of(dtype, 1, (int64_t[]){(int64_t)m->n_keys}, m->keys, out, err);
    if (dtype != HONE_STRING)
        return hone_fail(err, HONE_UNSUPPORTED, "a map with keys of %s",
                         hone_message_dtype_name(m->key_type));
    HONE_TRY(hone_tensor_new(dtype, 1, (int64_t[]){(int64_t)m->n_string_keys}, out, err));
    for (size_t i = 0; i < m->n_string_keys; i++)
        HONE_TRY(
            hone_tensor_set_string(*out, (int64_t)i, m->string_keys[i].data, m->string_keys[i].len, err));
    return HONE_OK;
}

/* The values as one tensor, where they are scalars. */
static hone_status join_scalars(hone_tensor **values, hone_error *err) {
    const hone_tensor *s = *values;
    hone_tensor *t = NULL;
    for (int64_t i = 0; i < s->count; i++)
        if (hone_tensor_kind(hone_tensor_item(s, i)) != HONE_KIND_TENSOR ||
            hone_tensor_item(s, i)->count != 1)
            return HONE_OK;
    HONE_TRY(hone_tensor_new(s->dtype, 1, &s->count, &t, err));
    for (int64_t i = 0; i < s->count; i++) {
        hone_tensor flat = *hone_tensor_item(s, i);
        flat.rank = 1;
        flat.dims[0] = 1;
        hone_status status = hone_tensor_copy_range(&flat, 0, 0, 1, t, i, err);
        if (status == HONE_OK) continue;
        hone_tensor_free(t);
        return status;
    }
    hone_tensor_free(*values);
    *values = t;
    return HONE_OK;
}

static hone_status read_map(const map_message *m, const hone_onnx_source *s, hone_tensor **out,
                            hone_error *err) {
    hone_tensor *items[2] = {NULL, NULL};
    if (!m->values) return hone_fail(err, HONE_CORRUPT, "a map without values");
    hone_status status = read_keys(m, &items[0], err);
    if (status == HONE_OK) status = read_sequence(m->values, s, HONE_FLOAT32, &items[1], err);
    if (status == HONE_OK) status = join_scalars(&items[1], err);
    if (status == HONE_OK)
        status = hone_tensor_of_items(HONE_KIND_MAP, (hone_dtype)m->key_type, items, 2, out, err);
    hone_tensor_free(items[0]);
    hone_tensor_free(items[1]);
    return status;
}

/* --- optional values --- */

static hone_status read_optional(const optional_message *m, const hone_onnx_source *s, hone_dtype dtype,
                                 hone_tensor **out, hone_error *err) {
    hone_tensor *item = NULL;
    if (m->tensor_value)
        HONE_TRY(hone_message_tensor(m->tensor_value, s, &item, err));
    else if (m->sequence_value)
        HONE_TRY(read_sequence(m->sequence_value, s, dtype, &item, err));
    else if (m->map_value || m->optional_value || m->sparse_tensor_value)
        return hone_fail(err, HONE_UNSUPPORTED,
                         "an optional value of something else than a tensor or a sequence");
    hone_status status =
        hone_tensor_of_items(HONE_KIND_OPTIONAL, item ? item->dtype : dtype, &item, item != NULL, out, err);
    hone_tensor_free(item);
    return status;
}

/* --- files --- */

static const ProtobufCMessageDescriptor *message_of(hone_value_kind kind) {
    switch (kind) {
    case HONE_KIND_SEQUENCE: return &hone__onnx__sequence_proto__descriptor;
    case HONE_KIND_MAP: return &hone__onnx__map_proto__descriptor;
    case HONE_KIND_OPTIONAL: return &hone__onnx__optional_proto__descriptor;
    case HONE_KIND_TENSOR: break;
    }
    return &hone__onnx__tensor_proto__descriptor;
}

static hone_status read_value(const void *m, const hone_onnx_source *s, const hone_type *type,
                              hone_tensor **out, hone_error *err) {
    switch (type->kind) {
    case HONE_KIND_SEQUENCE: return read_sequence(m, s, type->dtype, out, err);
    case HONE_KIND_MAP: return read_map(m, s, out, err);
    case HONE_KIND_OPTIONAL: return read_optional(m, s, type->dtype, out, err);
    case HONE_KIND_TENSOR: break;
    }
    return hone_message_tensor(m, s, out, err);
}

hone_status hone_onnx_value(const void *data, size_t size, const hone_type *type, const char *name,
                            hone_tensor **out, hone_error *err) {
    hone_onnx_source source = {.data = data, .fd = -1, .size = size, .name = name};
    hone_unpacked m = {0};
    hone_status status = hone_message_unpack(message_of(type->kind), &source, &m, err);
    if (status == HONE_OK) status = read_value(m.message, &source, type, out, err);
    hone_message_free(&m);
    hone_onnx_source_clear(&source);
    return status == HONE_OK ? status : hone_error_in_file(err, status, name);
}

hone_status hone_value_load(const char *path, const hone_value_info *type, hone_tensor **out,
                            hone_error *err) {
    hone_blob blob;
    HONE_TRY(hone_file_read(path, HONE_ONNX_INLINE_LIMIT, &blob, err));
    hone_type wanted = *hone_type_any(type->dtype);
    wanted.kind = type->kind;
    hone_status status = hone_onnx_value(blob.data, blob.size, &wanted, path, out, err);
    hone_blob_free(&blob);
    return status;
}

hone_status hone_onnx_tensor(const void *data, size_t size, const char *name, hone_tensor **out,
                             hone_error *err) {
    return hone_onnx_value(data, size, hone_type_any(HONE_UNDEFINED), name, out, err);
}
