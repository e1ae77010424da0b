#include "onnx/message.h"
#include "onnx/onnx.h"

#include "base/file.h"
#include "base/mapping.h"

#include <string.h>

const char *hone_message_dtype_name(int dtype) {
    return dtype == 27 ? "float6e2m3" : dtype == 28 ? "float6e3m2" : hone_dtype_name((hone_dtype)dtype);
}

/* --- the typed lists --- */

/* How many entries a list of so many elements has: those that share a byte share an entry. */
static size_t entries_of(hone_dtype dtype, int64_t count, size_t bytes) {
    return hone_dtype_bits(dtype) < 8 ? bytes : (size_t)count;
}

/* Narrow integers, and the bits of narrow floats, come as int32; each must fit. */
static bool narrow_int32(hone_dtype dtype, const int32_t *from, void *to, int64_t count) {
    bool fits = true;
    for (int64_t i = 0; i < count; i++) {
        int32_t x = from[i];
        switch (dtype) {
        case HONE_BOOL: ((uint8_t *)to)[i] = x != 0; break;
        default: /* uint8, float8, or bytes that elements share */
            fits &= x >= 0 && x <= UINT8_MAX;
            ((uint8_t *)to)[i] = (uint8_t)x;
            break;
        case HONE_INT8:
            fits &= x >= INT8_MIN && x <= INT8_MAX;
            ((int8_t *)to)[i] = (int8_t)x;
            break;
        case HONE_INT16:
            fits &= x >= INT16_MIN && x <= INT16_MAX;
            ((int16_t *)to)[i] = (int16_t)x;
            break;
        case HONE_UINT16:
        case HONE_FLOAT16:
        case HONE_BFLOAT16: fits &= x >= 0 && x <= UINT16_MAX; ((uint16_t *)to)[i] = (uint16_t)x;
        }
    }
    return fits;
}

static bool narrow_uint64(const uint64_t *from, uint32_t *to, int64_t count) {
    bool fits = true;
    for (int64_t i = 0; i < count; i++) {
        fits &= from[i] <= UINT32_MAX;
        to[i] = (uint32_t)from[i];
    }
    return fits;
}

/* The list that a dtype's elements are in. */
static size_t typed_count(const hone_tensor_message *m, hone_dtype dtype, const void **list) {
    switch (dtype) {
    case HONE_FLOAT32: *list = m->float_data; return m->n_float_data;
    case HONE_FLOAT64: *list = m->double_data; return m->n_double_data;
    case HONE_INT64: *list = m->int64_data; return m->n_int64_data;
    case HONE_UINT32:
    case HONE_UINT64: *list = m->uint64_data; return m->n_uint64_data;
    case HONE_STRING: *list = m->string_data; return m->n_string_data;
    default: *list = m->int32_data; return m->n_int32_data;
    }
}

static hone_status copy_strings(const ProtobufCBinaryData *from, hone_tensor *t, hone_error *err) {
    for (int64_t i = 0; i < t->count; i++)
        if (from[i].len) HONE_TRY(hone_tensor_set_string(t, i, from[i].data, from[i].len, err));
    return HONE_OK;
}

static hone_status fill_typed(hone_tensor *t, const void *list, hone_error *err) {
    bool fits = true;
    if (t->dtype == HONE_STRING) return copy_strings(list, t, err);
    switch (t->dtype) {
    case HONE_FLOAT32:
    case HONE_FLOAT64:
    case HONE_INT32:
    case HONE_INT64:
    case HONE_UINT64:
        if (t->bytes) memcpy(t->data, list, t->bytes);
        break;
    case HONE_UINT32: fits = narrow_uint64(list, t->data, t->count); break;
    default: fits = narrow_int32(t->dtype, list, t->data, (int64_t)entries_of(t->dtype, t->count, t->bytes));
    }
    if (fits) return HONE_OK;
    return hone_fail(err, HONE_CORRUPT, "an element of the tensor does not fit into %s",
                     hone_dtype_name(t->dtype));
}

/* --- the whole tensor --- */

static bool is_external(const hone_tensor_message *m) {
    return m->data_location == HONE__ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
}

/* The raw bytes, the list and the other file exclude each other; what is there must be of exactly the right
 * size. */
static hone_status check_origin(const hone_tensor_message *m, const hone_piece *piece, hone_dtype dtype,
                                int64_t count, size_t bytes, size_t typed, hone_error *err) {
    size_t listed = m->n_float_data + m->n_double_data + m->n_int32_data + m->n_int64_data +
                    m->n_uint64_data + m->n_string_data;
    size_t raw = piece ? piece->size : m->raw_data.len;
    bool external = is_external(m), twice = piece && m->raw_data.len > 0;
    if (listed != typed)
        return hone_fail(err, HONE_CORRUPT, "the tensor's elements are in a field that is not for %s",
                         hone_dtype_name(dtype));
    if ((raw > 0) + (listed > 0) + external + twice > 1)
        return hone_fail(err, HONE_CORRUPT, "the tensor's elements are there twice");
    if (external && dtype == HONE_STRING)
        return hone_fail(err, HONE_CORRUPT, "strings can't be external data");
    if (external) return HONE_OK;
    if (raw > 0) {
        if (dtype == HONE_STRING) return hone_fail(err, HONE_CORRUPT, "strings can't be raw data");
        if (raw == bytes) return HONE_OK;
        return hone_fail(err, HONE_CORRUPT, "the tensor needs %zu bytes and has %zu", bytes, raw);
    }
    size_t wanted = entries_of(dtype, count, bytes);
    if (listed == wanted) return HONE_OK;
    return hone_fail(err, HONE_CORRUPT, "the tensor needs %zu elements and has %zu", wanted, listed);
}

/* Where a tensor's elements are, beside the message itself. */
typedef struct origin {
    const hone_onnx_source *source;
    hone_piece *piece;
    hone_external external;
} origin;

/* Bits behind the last of elements that share bytes become 0, so that equal tensors are equal bytes. */
static void clear_rest(hone_tensor *t) {
    int bits = hone_dtype_bits(t->dtype), used = (int)(t->count * bits % 8);
    if (used) ((uint8_t *)t->data)[t->bytes - 1] &= (uint8_t)((1 << used) - 1);
}

static hone_status fill(const hone_tensor_message *m, const origin *o, const void *list, hone_tensor *t,
                        hone_error *err) {
    if (is_external(m))
        HONE_TRY(
            hone_file_read_at(o->external.fd, o->external.path, o->external.offset, t->data, t->bytes, err));
    else if (o->piece)
        HONE_TRY(t->in_bulk ? HONE_OK : hone_onnx_source_read(o->source, o->piece, t->data, err));
    else if (m->raw_data.len > 0)
        memcpy(t->data, m->raw_data.data, t->bytes);
    else
        HONE_TRY(fill_typed(t, list, err));
    if (t->dtype == HONE_BOOL)
        for (int64_t i = 0; i < t->count; i++) ((uint8_t *)t->data)[i] = ((uint8_t *)t->data)[i] != 0;
    clear_rest(t);
    return HONE_OK;
}

/* Smaller ones would cost more than they save: pages, and each mapping a call. */
#define MAP_FROM ((size_t)64 << 10)

/* Can the elements stay in their file? They must lie as they do in memory. */
static bool maps(const hone_tensor_message *m, const origin *o, hone_dtype dtype, size_t bytes) {
    if (!o->source || !o->source->map || bytes < MAP_FROM || dtype == HONE_BOOL) return false;
    uint64_t offset = is_external(m) ? o->external.offset : o->piece ? o->piece->offset : 1;
    size_t size = hone_dtype_size(dtype);
    return (is_external(m) || (o->piece && !o->source->data)) && (size < 2 || offset % size == 0);
}

static hone_status map(const hone_tensor_message *m, const origin *o, size_t bytes, hone_tensor **out,
                       hone_error *err) {
    hone_mapping *mapping = NULL;
    void *data = NULL;
    if (is_external(m))
        HONE_TRY(
            hone_file_map(o->external.fd, o->external.path, o->external.offset, bytes, &mapping, &data, err));
    else
        HONE_TRY(
            hone_file_map(o->source->fd, o->source->name, o->piece->offset, bytes, &mapping, &data, err));
    hone_status status = hone_tensor_borrow((hone_dtype)m->data_type, (int)m->n_dims, m->dims, data,
                                            hone_mapping_free, mapping, out, err);
    if (status == HONE_OK)
        (*out)->mapped = true;
    else
        hone_mapping_free(mapping);
    return status;
}

/* A tensor of what was read with all others, if no other one has that yet; else `*out` stays NULL. */
static hone_status take_over(const hone_tensor_message *m, const origin *o, hone_tensor **out,
                             hone_error *err) {
    if (!o->piece || !o->piece->data) return HONE_OK;
    HONE_TRY(hone_tensor_borrow((hone_dtype)m->data_type, (int)m->n_dims, m->dims, o->piece->data,
                                hone_bulk_part_free, o->piece->part, out, err));
    (*out)->in_bulk = true;
    o->piece->data = NULL;
    return HONE_OK;
}

static hone_status read_tensor(const hone_tensor_message *m, const hone_onnx_source *source,
                               hone_tensor **out, hone_error *err) {
    hone_dtype dtype = (hone_dtype)m->data_type;
    int64_t count = 0;
    size_t bytes = 0;
    const void *list = NULL;
    hone_error why = {0};
    if (m->segment) return hone_fail(err, HONE_UNSUPPORTED, "tensors in segments");
    if (m->n_dims > HONE_MAX_RANK)
        return hone_fail(err, HONE_UNSUPPORTED, "a tensor of %zu dimensions; Hone has at most %d", m->n_dims,
                         HONE_MAX_RANK);
    if (dtype == HONE_UNDEFINED) return hone_fail(err, HONE_CORRUPT, "the tensor has no element type");
    if (hone_dtype_bits(dtype) == 0)
        return hone_fail(err, HONE_UNSUPPORTED, "element type %d (%s)", m->data_type,
                         hone_message_dtype_name(m->data_type));
    if (hone_shape_size(dtype, (int)m->n_dims, m->dims, &count, &bytes, &why) != HONE_OK)
        return hone_fail(err, HONE_CORRUPT, "the tensor's shape is impossible: %s", why.message);
    size_t typed = typed_count(m, dtype, &list);
    origin o = {source, m->has_piece ? &source->pieces[m->piece] : NULL, {.fd = -1}};
    HONE_TRY(check_origin(m, o.piece, dtype, count, bytes, typed, err));
    /* opened before anything is allocated: a shape alone must not make Hone allocate */
    if (is_external(m)) HONE_TRY(hone_external_open(&o.external, m, source, bytes, err));
    hone_tensor *t = NULL;
    bool mapped = maps(m, &o, dtype, bytes);
    hone_status status = mapped ? map(m, &o, bytes, &t, err) : take_over(m, &o, &t, err);
    if (status == HONE_OK && !t) status = hone_tensor_new(dtype, (int)m->n_dims, m->dims, &t, err);
    if (status == HONE_OK && !mapped) status = fill(m, &o, list, t, err);
    if (is_external(m)) {
        hone_status looked = hone_external_check(&o.external, source, status == HONE_OK ? err : NULL);
        if (status == HONE_OK) status = looked;
    }
    hone_external_close(&o.external);
    if (status == HONE_OK)
        *out = t;
    else
        hone_tensor_free(t);
    return status;
}

hone_status hone_message_tensor(const hone_tensor_message *m, const hone_onnx_source *source,
                                hone_tensor **out, hone_error *err) {
    hone_error why = {0};
    hone_status status = read_tensor(m, source, out, &why);
    if (status == HONE_OK || !err) return status;
    *err = why;
    if (!*err->node && m->name) hone_fail_node(err, status, m->name, NULL, "%s", why.message);
    if (*why.file) hone_error_in_file(err, status, why.file);
    return status;
}
