#include "train/safetensors.h"

#include "base/file.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *dtype_code(hone_dtype dtype) {
    switch (dtype) {
    case HONE_FLOAT32: return "F32";
    case HONE_FLOAT64: return "F64";
    case HONE_FLOAT16: return "F16";
    case HONE_BFLOAT16: return "BF16";
    case HONE_FLOAT8E4M3FN: return "F8_E4M3";
    case HONE_FLOAT8E5M2: return "F8_E5M2";
    case HONE_INT64: return "I64";
    case HONE_INT32: return "I32";
    case HONE_INT16: return "I16";
    case HONE_INT8: return "I8";
    case HONE_UINT64: return "U64";
    case HONE_UINT32: return "U32";
    case HONE_UINT16: return "U16";
    case HONE_UINT8: return "U8";
    case HONE_BOOL: return "BOOL";
    default: return NULL;
    }
}

static json_t *describe(const hone_tensor *t, size_t offset) {
    json_t *shape = json_array();
    for (int i = 0; i < t->rank; i++) json_array_append_new(shape, json_integer(t->dims[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_code(t->dtype), "shape", shape, "data_offsets",
                     (json_int_t)offset, (json_int_t)(offset + t->bytes));
}

/* The header's text, padded with spaces to a multiple of 8; free() it. */
static hone_status make_header(const hone_variables *variables, char **out, hone_error *err) {
    json_t *root = json_object();
    size_t offset = 0;
    hone_status status = root ? HONE_OK : hone_fail_memory(err);
    for (size_t i = 0; i < hone_variables_count(variables) && status == HONE_OK; i++) {
        hone_tensor *t;
        const char *name = hone_variables_at(variables, i, &t);
        json_t *entry = dtype_code(t->dtype) ? describe(t, offset) : NULL;
        if (json_object_set_new(root, name, entry) != 0) /* a name that is not UTF-8, for one */
            status = hone_fail_node(err, HONE_UNSUPPORTED, name, NULL, "cannot be written as safetensors");
        offset += t->bytes;
    }
    char *text = status == HONE_OK ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    HONE_TRY(status);
    size_t length = text ? strlen(text) : 0, padded = (length + 7) / 8 * 8;
    *out = text ? realloc(text, padded + 1) : NULL;
    if (!*out) {
        free(text);
        return hone_fail_memory(err);
    }
    memset(*out + length, ' ', padded - length);
    (*out)[padded] = 0;
    return HONE_OK;
}

hone_status hone_safetensors_save(const char *path, const hone_variables *variables, hone_error *err) {
    char *header = NULL;
    HONE_TRY(make_header(variables, &header, err));
    hone_writer *w = NULL;
    uint64_t length = strlen(header);
    hone_status status = hone_writer_open(path, &w, err);
    if (status == HONE_OK) status = hone_writer_write(w, &length, sizeof length, err);
    if (status == HONE_OK) status = hone_writer_write(w, header, length, err);
    for (size_t i = 0; i < hone_variables_count(variables) && status == HONE_OK; i++) {
        hone_tensor *t;
        hone_variables_at(variables, i, &t);
        status = hone_writer_write(w, t->data, t->bytes, err);
    }
    free(header);
    if (status == HONE_OK) return hone_writer_commit(w, err);
    hone_writer_abort(w);
    return status;
}

static bool matches(const json_t *entry, const hone_tensor *t, size_t data_size, size_t *begin) {
    const char *dtype = NULL;
    json_t *shape = NULL;
    json_int_t from = 0, to = 0;
    if (json_unpack((json_t *)entry, "{s:s, s:o, s:[I, I]}", "dtype", &dtype, "shape", &shape, "data_offsets",
                    &from, &to))
        return false;
    if (!dtype_code(t->dtype) || strcmp(dtype, dtype_code(t->dtype)) != 0 || !json_is_array(shape))
        return false;
    if (json_array_size(shape) != (size_t)t->rank) return false;
    for (int i = 0; i < t->rank; i++)
        if (json_integer_value(json_array_get(shape, (size_t)i)) != t->dims[i]) return false;
    if (from < 0 || to < from || (size_t)to > data_size || (size_t)(to - from) != t->bytes) return false;
    *begin = (size_t)from;
    return true;
}

static hone_status read_all(const char *path, const hone_blob *blob, hone_variables *variables,
                            hone_error *err) {
    uint64_t length = 0;
    if (blob->size >= 8) memcpy(&length, blob->data, 8);
    if (blob->size < 8 || length > blob->size - 8)
        return hone_fail_file(err, HONE_CORRUPT, path, "is not a safetensors file, or is cut short");
    json_t *root = json_loadb((const char *)blob->data + 8, length, 0, NULL);
    const uint8_t *data = blob->data + 8 + length;
    hone_status status = HONE_OK;
    if (!json_is_object(root)) status = hone_fail_file(err, HONE_CORRUPT, path, "its header is not JSON");
    for (size_t i = 0; i < hone_variables_count(variables) && status == HONE_OK; i++) {
        hone_tensor *t;
        size_t begin;
        const char *name = hone_variables_at(variables, i, &t);
        const json_t *entry = json_object_get(root, name);
        if (!entry)
            status = hone_fail_file(err, HONE_CORRUPT, path, "lacks the tensor %s", name);
        else if (!matches(entry, t, blob->size - 8 - length, &begin))
            status = hone_fail_file(err, HONE_CORRUPT, path, "the tensor %s has another type or is cut short",
                                    name);
        else
            memcpy(t->data, data + begin, t->bytes);
    }
    json_decref(root);
    return status;
}

hone_status hone_safetensors_load(const char *path, hone_variables *variables, hone_error *err) {
    hone_blob blob;
    HONE_TRY(hone_file_read(path, 0, &blob, err));
    hone_status status = read_all(path, &blob, variables, err);
    hone_blob_free(&blob);
    return status;
}
