#include "serve/tfs/tfs_json.h"

#include "base/error.h"
#include "serve/format/json_write.h"

#include <stdio.h>

/* What a body is decoded into. */
typedef struct body {
    hone_tensors *tensors;
    bool rows; /* "instances" were given */
} body;

/* Makes the tensor over an input's values, whose shape is that of one value, with a batch axis before it if
 * there are rows. */
static hone_status finish_input(body *b, hone_feed *in, hone_error *err) {
    int64_t dims[HONE_MAX_RANK + 1] = {in->rows};
    int lead = b->rows ? 1 : 0;
    memcpy(dims + lead, in->values.dims, (size_t)in->values.rank * sizeof *dims);
    HONE_TRY(hone_feed_shape(in, lead + in->values.rank, dims, err));
    in->tensor.data = in->values.data;
    in->given = true;
    return HONE_OK;
}

/* --- instances --- */

static const char *shape_text(int rank, const int64_t *dims, char *text, size_t size) {
    return hone_shape_format(rank, dims, text, size);
}

/* Appends a value, for which there may be no room. */
static hone_status scan_value(hone_json *j, hone_feed *in, hone_error *err) {
    hone_status status = hone_json_scan_tensor(j, &in->values, err);
    if (status != HONE_RESOURCE_EXHAUSTED) return status;
    return hone_feed_no_room(in, (in->values.count + 1) * hone_dtype_size(in->values.dtype), err);
}

/* One row's value; every row must have the shape of the first. */
static hone_status scan_row(hone_json *j, hone_feed *in, hone_error *err) {
    int rank = in->values.rank;
    int64_t dims[HONE_MAX_RANK];
    memcpy(dims, in->values.dims, sizeof dims);
    HONE_TRY(scan_value(j, in, err));
    bool same = in->rows == 0 || rank == in->values.rank;
    for (int i = 0; i < rank && in->rows > 0 && same; i++) same = dims[i] == in->values.dims[i];
    in->rows++;
    if (same) return HONE_OK;
    char before[160], now[160];
    return hone_fail(err, HONE_INVALID_ARGUMENT, "Expecting shape %s but got: %s",
                     shape_text(rank, dims, before, sizeof before),
                     shape_text(in->values.rank, in->values.dims, now, sizeof now));
}

/* Puts the place before an error's message. */
static hone_status in_element(hone_error *err, hone_status status, int64_t row, hone_slice key) {
    if (status == HONE_OK || status == HONE_RESOURCE_EXHAUSTED || !err) return status;
    hone_error inner = *err;
    return hone_fail(
        err, status,
        "Failed to process element: %lld key: %.*s of 'instances' list. Error: INVALID_ARGUMENT: %s",
        (long long)row, hone_slice_shown(key, 100), key.data, inner.message);
}

static hone_status keys_error(const body *b, int64_t row, hone_error *err) {
    char names[300];
    size_t used = 0;
    names[0] = 0;
    for (int i = 0; i < b->tensors->count && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? "," : "",
                                 b->tensors->feeds[i].name);
    return hone_fail(
        err, HONE_INVALID_ARGUMENT,
        "Failed to process element: %lld of 'instances' list. JSON object: keys must be equal to: %s",
        (long long)row, names);
}

static hone_status scan_member(hone_json *j, body *b, hone_slice key, int64_t row, hone_error *err) {
    hone_feed *in = hone_tensors_find(b->tensors, key);
    if (!in)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "JSON object: does not have named input: %.*s",
                         hone_slice_shown(key, 100), key.data);
    if (in->rows != row) return hone_fail(err, HONE_INVALID_ARGUMENT, "the key is there twice");
    return scan_row(j, in, err);
}

static hone_status scan_row_object(hone_json *j, body *b, int64_t row, hone_error *err) {
    HONE_TRY(hone_json_expect(j, '{', err));
    if (!hone_json_take(j, '}')) {
        do {
            hone_slice key;
            HONE_TRY(hone_json_string(j, &key, err));
            HONE_TRY(hone_json_expect(j, ':', err));
            HONE_TRY(in_element(err, scan_member(j, b, key, row, err), row, key));
        } while (hone_json_take(j, ','));
        HONE_TRY(hone_json_expect(j, '}', err));
    }
    for (int i = 0; i < b->tensors->count; i++)
        if (b->tensors->feeds[i].rows != row + 1) return keys_error(b, row, err);
    return HONE_OK;
}

/* Rows of objects. */
static hone_status scan_objects(hone_json *j, body *b, hone_error *err) {
    int64_t row = 0;
    HONE_TRY(hone_json_expect(j, '[', err));
    do {
        if (hone_json_peek(j) != '{')
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "Expecting object but got list at item %lld of input list", (long long)row);
        HONE_TRY(scan_row_object(j, b, row, err));
        row++;
    } while (hone_json_take(j, ','));
    return hone_json_expect(j, ']', err);
}

/* Rows that are values of the only input: together they are one tensor, the first axis of which is the
 * batch. */
static hone_status scan_values(hone_json *j, hone_feed *in, hone_error *err) {
    HONE_TRY(scan_value(j, in, err));
    in->rows = in->values.dims[0];
    in->values.rank--;
    memmove(in->values.dims, in->values.dims + 1, (size_t)in->values.rank * sizeof *in->values.dims);
    return HONE_OK;
}

/* Is the object at the cursor a string of the only input, written as base64? */
static bool is_value(const body *b, const hone_json *j) {
    return b->tensors->count == 1 && b->tensors->feeds[0].values.dtype == HONE_STRING &&
           hone_json_is_base64(j) && strcmp(b->tensors->feeds[0].name, "b64") != 0;
}

static hone_status scan_instances(hone_json *j, body *b, hone_error *err) {
    if (hone_json_peek(j) != '[')
        return hone_fail(err, HONE_INVALID_ARGUMENT, "Expecting 'instances' to be a list/array");
    hone_json ahead = *j;
    ahead.cursor++;
    char first = hone_json_peek(&ahead);
    if (first == ']') return hone_fail(err, HONE_INVALID_ARGUMENT, "No values in 'instances' array");
    b->rows = true;
    if (first == '{' && !is_value(b, &ahead)) return scan_objects(j, b, err);
    if (b->tensors->count != 1)
        return hone_fail(
            err, HONE_INVALID_ARGUMENT,
            "instances is a plain list, but expecting list of objects as multiple input tensors required as "
            "per tensorinfo_map");
    return scan_values(j, &b->tensors->feeds[0], err);
}

/* --- inputs --- */

static hone_status scan_columns(hone_json *j, body *b, hone_error *err) {
    b->rows = false;
    if (hone_json_peek(j) != '{' || is_value(b, j)) {
        if (b->tensors->count != 1)
            return hone_fail(
                err, HONE_INVALID_ARGUMENT,
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as "
                "per tensorinfo_map");
        return scan_row(j, &b->tensors->feeds[0], err);
    }
    hone_json_take(j, '{');
    if (!hone_json_take(j, '}')) {
        do {
            hone_slice key;
            HONE_TRY(hone_json_string(j, &key, err));
            HONE_TRY(hone_json_expect(j, ':', err));
            hone_feed *in = hone_tensors_find(b->tensors, key);
            if (!in)
                HONE_TRY(hone_json_skip(j, err));
            else
                HONE_TRY(scan_member(j, b, key, 0, err));
        } while (hone_json_take(j, ','));
        HONE_TRY(hone_json_expect(j, '}', err));
    }
    for (int i = 0; i < b->tensors->count; i++)
        if (b->tensors->feeds[i].rows == 0)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "Missing named input: %s in 'inputs' object.",
                             b->tensors->feeds[i].name);
    return HONE_OK;
}

/* --- the whole body --- */

static hone_status check_signature(hone_json *j, hone_error *err) {
    hone_slice name;
    if (hone_json_peek(j) != '"')
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "JSON Value not formatted correctly. 'signature_name' key must be a string value.");
    HONE_TRY(hone_json_string(j, &name, err));
    if (name.size == 0 || hone_slice_equal(name, "serving_default")) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT,
                     "Serving signature name: \"%.*s\" not found in signature def",
                     hone_slice_shown(name, 200), name.data);
}

static hone_status scan_body(hone_json *j, body *b, bool *found, hone_error *err) {
    if (hone_json_take(j, '}')) return HONE_OK;
    do {
        hone_slice key;
        HONE_TRY(hone_json_string(j, &key, err));
        HONE_TRY(hone_json_expect(j, ':', err));
        bool rows = hone_slice_equal(key, "instances"), columns = hone_slice_equal(key, "inputs");
        if ((rows || columns) && *found)
            return hone_fail(
                err, HONE_INVALID_ARGUMENT,
                "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist");
        *found |= rows || columns;
        if (rows)
            HONE_TRY(scan_instances(j, b, err));
        else if (columns)
            HONE_TRY(scan_columns(j, b, err));
        else if (hone_slice_equal(key, "signature_name"))
            HONE_TRY(check_signature(j, err));
        else
            HONE_TRY(hone_json_skip(j, err));
    } while (hone_json_take(j, ','));
    return hone_json_expect(j, '}', err);
}

hone_status hone_tfs_decode(hone_tensors *t, char *text, size_t size, bool *rows, hone_error *err) {
    hone_json j;
    body b = {.tensors = t};
    bool found = false;
    hone_json_init(&j, text, size);
    char first = hone_json_peek(&j);
    if (j.cursor == j.end) return hone_json_fail(&j, err, "The document is empty");
    if (first != '{') {
        HONE_TRY(hone_json_skip(&j, err));
        return hone_fail(err, HONE_INVALID_ARGUMENT, "JSON Value: Is not object");
    }
    hone_json_take(&j, '{');
    HONE_TRY(scan_body(&j, &b, &found, err));
    hone_json_peek(&j);
    if (j.cursor != j.end)
        return hone_json_fail(&j, err, "The document root must not be followed by other values.");
    if (!found) return hone_fail(err, HONE_INVALID_ARGUMENT, "Missing 'inputs' or 'instances' key");
    for (int i = 0; i < t->count; i++) HONE_TRY(finish_input(&b, &t->feeds[i], err));
    *rows = b.rows;
    return HONE_OK;
}

/* --- answers --- */

static void put_name(hone_buffer *out, const char *name) {
    hone_json_write_string(out, name, strlen(name));
    hone_buffer_text(out, ": ");
}

static hone_status cannot_write(const hone_servable *s, int index, hone_dtype dtype, hone_error *err) {
    const hone_value_info *v = hone_servable_output(s, index);
    return hone_fail(err, HONE_UNSUPPORTED, "output \"%s\" is of type %s, which JSON can't carry", v->name,
                     hone_dtype_name(dtype));
}

/* As hone_json_write_tensor; strings of an output whose name ends in "_bytes" are written as base64, maps as objects. */
static hone_status put_tensor(hone_buffer *out, const hone_servable *s, int index, const hone_tensor *t,
                              int axis, int64_t first, hone_error *err) {
    const char *name = hone_servable_output(s, index)->name;
    const hone_tensor *keys = hone_servable_output_keys(s, index);
    size_t n = strlen(name);
    if (keys)
        return hone_json_write_maps(out, t, keys, axis, first)
                   ? HONE_OK
                   : hone_fail(err, HONE_INVALID_ARGUMENT, "output \"%s\" has other rows than keys", name);
    bool bytes = t->dtype == HONE_STRING && n >= 6 && strcmp(name + n - 6, "_bytes") == 0;
    if (bytes ? hone_json_write_base64(out, t, axis, first) : hone_json_write_tensor(out, t, axis, first))
        return HONE_OK;
    return cannot_write(s, index, t->dtype, err);
}

static hone_status encode_rows(const hone_servable *s, const hone_tensor *const *outputs, hone_buffer *out,
                               hone_error *err) {
    int count = hone_servable_output_count(s);
    int64_t rows = -1;
    for (int i = 0; i < count; i++) {
        const hone_tensor *t = outputs[i];
        const char *name = hone_servable_output(s, i)->name;
        if (t->rank == 0)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "Tensor name: %s has no shape information", name);
        if (rows >= 0 && t->dims[0] != rows)
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "Tensor name: %s has inconsistent batch size: %lld expecting: %lld", name,
                             (long long)t->dims[0], (long long)rows);
        rows = t->dims[0];
    }
    hone_buffer_text(out, "{\n    \"predictions\": [");
    for (int64_t row = 0; row < rows; row++) {
        if (count > 1)
            hone_buffer_text(out, row ? ",\n        {" : "\n        {");
        else if (row)
            hone_buffer_text(out, ", ");
        for (int i = 0; i < count; i++) {
            const hone_tensor *t = outputs[i];
            if (count > 1) {
                hone_buffer_text(out, i ? ",\n            " : "\n            ");
                put_name(out, hone_servable_output(s, i)->name);
            }
            HONE_TRY(put_tensor(out, s, i, t, 1, t->count / rows * row, err));
        }
        if (count > 1) hone_buffer_text(out, "\n        }");
    }
    hone_buffer_text(out, "\n    ]\n}");
    return HONE_OK;
}

static hone_status encode_columns(const hone_servable *s, const hone_tensor *const *outputs, hone_buffer *out,
                                  hone_error *err) {
    int count = hone_servable_output_count(s);
    hone_buffer_text(out, count > 1 ? "{\n    \"outputs\": {" : "{\n    \"outputs\": ");
    for (int i = 0; i < count; i++) {
        if (count > 1) {
            hone_buffer_text(out, i ? ",\n        " : "\n        ");
            put_name(out, hone_servable_output(s, i)->name);
        }
        HONE_TRY(put_tensor(out, s, i, outputs[i], 0, 0, err));
    }
    hone_buffer_text(out, count > 1 ? "\n    }\n}" : "\n}");
    return HONE_OK;
}

hone_status hone_tfs_encode(const hone_servable *s, const hone_tensor *const *outputs, bool rows,
                            hone_buffer *out, hone_error *err) {
    HONE_TRY(rows ? encode_rows(s, outputs, out, err) : encode_columns(s, outputs, out, err));
    return out->failed ? hone_fail_memory(err) : HONE_OK;
}
