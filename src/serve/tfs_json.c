#include "serve/tfs_json.h"

#include "base/error.h"
#include "base/memory.h"
#include "serve/json_write.h"

#include <stdio.h>

/* Decoded inputs up to this size keep their buffer for the next request. */
#define KEEP_VALUES ((size_t)4 << 20)

/* --- preparing --- */

static hone_status make_room(hone_tfs_body *b, const hone_servable *s, hone_error *err) {
    size_t inputs = (size_t)hone_servable_input_count(s), outputs = (size_t)hone_servable_output_count(s);
    size_t before = b->input_capacity;
    if (!hone_reserve(&b->inputs, &b->input_capacity, inputs, sizeof *b->inputs))
        return hone_fail_memory(err);
    if (b->input_capacity > before)
        memset(b->inputs + before, 0, (b->input_capacity - before) * sizeof *b->inputs);
    if (!hone_reserve(&b->tensors, &b->tensor_capacity, inputs, sizeof *b->tensors) ||
        !hone_reserve(&b->outputs, &b->output_capacity, outputs, sizeof *b->outputs))
        return hone_fail_memory(err);
    for (size_t i = 0; i < inputs; i++) {
        hone_json_tensor_reset(&b->inputs[i].values, hone_servable_input(s, (int)i)->dtype, KEEP_VALUES);
        b->inputs[i].rows = 0;
    }
    return HONE_OK;
}

void hone_tfs_body_free(hone_tfs_body *b) {
    for (size_t i = 0; i < b->input_capacity; i++) hone_json_tensor_free(&b->inputs[i].values);
    hone_free(b->inputs);
    hone_free(b->tensors);
    hone_free(b->outputs);
    *b = (hone_tfs_body){0};
}

/* Makes the tensor over an input's values, whose shape is that of one value, with a batch axis before it if
 * `rows`. */
static hone_status finish_input(hone_tfs_body *b, const hone_servable *s, int index, hone_error *err) {
    hone_tfs_input *in = &b->inputs[index];
    hone_tensor *t = &in->tensor;
    int lead = b->rows ? 1 : 0;
    *t = (hone_tensor){.dtype = in->values.dtype, .rank = lead + in->values.rank, .data = in->values.data};
    atomic_init(&t->references, 1);
    if (t->rank > HONE_MAX_RANK)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "input \"%s\" has more than %d dimensions",
                         hone_servable_input(s, index)->name, HONE_MAX_RANK);
    if (lead) t->dims[0] = in->rows;
    memcpy(t->dims + lead, in->values.dims, (size_t)in->values.rank * sizeof *t->dims);
    t->count = (int64_t)in->values.count;
    t->bytes = in->values.count * hone_dtype_size(t->dtype);
    b->tensors[index] = t;
    return HONE_OK;
}

/* --- instances --- */

static const char *shape_text(int rank, const int64_t *dims, char *text, size_t size) {
    return hone_shape_format(rank, dims, text, size);
}

/* One row's value; every row must have the shape of the first. */
static hone_status scan_row(hone_json *j, hone_tfs_input *in, hone_error *err) {
    int rank = in->values.rank;
    int64_t dims[HONE_MAX_RANK];
    memcpy(dims, in->values.dims, sizeof dims);
    HONE_TRY(hone_json_scan_tensor(j, &in->values, err));
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
    if (status == HONE_OK || !err) return status;
    hone_error inner = *err;
    return hone_fail(
        err, status,
        "Failed to process element: %lld key: %.*s of 'instances' list. Error: INVALID_ARGUMENT: %s",
        (long long)row, (int)(key.size < 100 ? key.size : 100), key.data, inner.message);
}

static hone_status keys_error(const hone_servable *s, int64_t row, hone_error *err) {
    char names[300];
    size_t used = 0;
    names[0] = 0;
    for (int i = 0; i < hone_servable_input_count(s) && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? "," : "",
                                 hone_servable_input(s, i)->name);
    return hone_fail(
        err, HONE_INVALID_ARGUMENT,
        "Failed to process element: %lld of 'instances' list. JSON object: keys must be equal to: %s",
        (long long)row, names);
}

static hone_status scan_member(hone_json *j, hone_tfs_body *b, const hone_servable *s, hone_slice key,
                               int64_t row, hone_error *err) {
    int index = hone_servable_find_input(s, key);
    if (index < 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "JSON object: does not have named input: %.*s",
                         (int)(key.size < 100 ? key.size : 100), key.data);
    if (b->inputs[index].rows != row) return hone_fail(err, HONE_INVALID_ARGUMENT, "the key is there twice");
    return scan_row(j, &b->inputs[index], err);
}

static hone_status scan_row_object(hone_json *j, hone_tfs_body *b, const hone_servable *s, int64_t row,
                                   hone_error *err) {
    HONE_TRY(hone_json_expect(j, '{', err));
    if (!hone_json_take(j, '}')) {
        do {
            hone_slice key;
            HONE_TRY(hone_json_string(j, &key, err));
            HONE_TRY(hone_json_expect(j, ':', err));
            HONE_TRY(in_element(err, scan_member(j, b, s, key, row, err), row, key));
        } while (hone_json_take(j, ','));
        HONE_TRY(hone_json_expect(j, '}', err));
    }
    for (int i = 0; i < hone_servable_input_count(s); i++)
        if (b->inputs[i].rows != row + 1) return keys_error(s, row, err);
    return HONE_OK;
}

/* Rows of objects. */
static hone_status scan_objects(hone_json *j, hone_tfs_body *b, const hone_servable *s, hone_error *err) {
    int64_t row = 0;
    HONE_TRY(hone_json_expect(j, '[', err));
    do {
        if (hone_json_peek(j) != '{')
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "Expecting object but got list at item %lld of input list", (long long)row);
        HONE_TRY(scan_row_object(j, b, s, row, err));
        row++;
    } while (hone_json_take(j, ','));
    return hone_json_expect(j, ']', err);
}

/* Rows that are values of the only input: together they are one tensor, the first axis of which is the batch.
 */
static hone_status scan_values(hone_json *j, hone_tfs_input *in, hone_error *err) {
    HONE_TRY(hone_json_scan_tensor(j, &in->values, err));
    in->rows = in->values.dims[0];
    in->values.rank--;
    memmove(in->values.dims, in->values.dims + 1, (size_t)in->values.rank * sizeof *in->values.dims);
    return HONE_OK;
}

static hone_status scan_instances(hone_json *j, hone_tfs_body *b, const hone_servable *s, hone_error *err) {
    if (hone_json_peek(j) != '[')
        return hone_fail(err, HONE_INVALID_ARGUMENT, "Expecting 'instances' to be a list/array");
    hone_json ahead = *j;
    ahead.cursor++;
    char first = hone_json_peek(&ahead);
    if (first == ']') return hone_fail(err, HONE_INVALID_ARGUMENT, "No values in 'instances' array");
    b->rows = true;
    if (first == '{') return scan_objects(j, b, s, err);
    if (hone_servable_input_count(s) != 1)
        return hone_fail(
            err, HONE_INVALID_ARGUMENT,
            "instances is a plain list, but expecting list of objects as multiple input tensors required as "
            "per tensorinfo_map");
    return scan_values(j, &b->inputs[0], err);
}

/* --- inputs --- */

static hone_status scan_columns(hone_json *j, hone_tfs_body *b, const hone_servable *s, hone_error *err) {
    b->rows = false;
    if (hone_json_peek(j) != '{') {
        if (hone_servable_input_count(s) != 1)
            return hone_fail(
                err, HONE_INVALID_ARGUMENT,
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as "
                "per tensorinfo_map");
        return scan_row(j, &b->inputs[0], err);
    }
    hone_json_take(j, '{');
    if (!hone_json_take(j, '}')) {
        do {
            hone_slice key;
            HONE_TRY(hone_json_string(j, &key, err));
            HONE_TRY(hone_json_expect(j, ':', err));
            int index = hone_servable_find_input(s, key);
            if (index < 0)
                HONE_TRY(hone_json_skip(j, err));
            else
                HONE_TRY(scan_member(j, b, s, key, 0, err));
        } while (hone_json_take(j, ','));
        HONE_TRY(hone_json_expect(j, '}', err));
    }
    for (int i = 0; i < hone_servable_input_count(s); i++)
        if (b->inputs[i].rows == 0)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "Missing named input: %s in 'inputs' object.",
                             hone_servable_input(s, i)->name);
    return HONE_OK;
}

/* --- the whole body --- */

static hone_status check_signature(hone_json *j, hone_error *err) {
    hone_slice name;
    if (hone_json_peek(j) != '"')
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "JSON Value not formatted correctly. 'signature_name' key must be a string value.");
    HONE_TRY(hone_json_string(j, &name, err));
    if (name.size == 0 || hone_json_text_is(name, "serving_default")) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT,
                     "Serving signature name: \"%.*s\" not found in signature def",
                     (int)(name.size < 200 ? name.size : 200), name.data);
}

static hone_status scan_body(hone_json *j, hone_tfs_body *b, const hone_servable *s, bool *found,
                             hone_error *err) {
    if (hone_json_take(j, '}')) return HONE_OK;
    do {
        hone_slice key;
        HONE_TRY(hone_json_string(j, &key, err));
        HONE_TRY(hone_json_expect(j, ':', err));
        bool rows = hone_json_text_is(key, "instances"), columns = hone_json_text_is(key, "inputs");
        if ((rows || columns) && *found)
            return hone_fail(
                err, HONE_INVALID_ARGUMENT,
                "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist");
        *found |= rows || columns;
        if (rows)
            HONE_TRY(scan_instances(j, b, s, err));
        else if (columns)
            HONE_TRY(scan_columns(j, b, s, err));
        else if (hone_json_text_is(key, "signature_name"))
            HONE_TRY(check_signature(j, err));
        else
            HONE_TRY(hone_json_skip(j, err));
    } while (hone_json_take(j, ','));
    return hone_json_expect(j, '}', err);
}

hone_status hone_tfs_decode(hone_tfs_body *b, const hone_servable *s, char *text, size_t size,
                            hone_error *err) {
    hone_json j;
    bool found = false;
    hone_json_init(&j, text, size);
    HONE_TRY(make_room(b, s, err));
    char first = hone_json_peek(&j);
    if (j.cursor == j.end) return hone_json_fail(&j, err, "The document is empty");
    if (first != '{') {
        HONE_TRY(hone_json_skip(&j, err));
        return hone_fail(err, HONE_INVALID_ARGUMENT, "JSON Value: Is not object");
    }
    hone_json_take(&j, '{');
    HONE_TRY(scan_body(&j, b, s, &found, err));
    hone_json_peek(&j);
    if (j.cursor != j.end)
        return hone_json_fail(&j, err, "The document root must not be followed by other values.");
    if (!found) return hone_fail(err, HONE_INVALID_ARGUMENT, "Missing 'inputs' or 'instances' key");
    for (int i = 0; i < hone_servable_input_count(s); i++) HONE_TRY(finish_input(b, s, i, err));
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

static hone_status encode_rows(const hone_tfs_body *b, const hone_servable *s, hone_buffer *out,
                               hone_error *err) {
    int count = hone_servable_output_count(s);
    int64_t rows = -1;
    for (int i = 0; i < count; i++) {
        const hone_tensor *t = b->outputs[i];
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
            const hone_tensor *t = b->outputs[i];
            if (count > 1) {
                hone_buffer_text(out, i ? ",\n            " : "\n            ");
                put_name(out, hone_servable_output(s, i)->name);
            }
            if (!hone_json_write_tensor(out, t, 1, t->count / rows * row))
                return cannot_write(s, i, b->outputs[i]->dtype, err);
        }
        if (count > 1) hone_buffer_text(out, "\n        }");
    }
    hone_buffer_text(out, "\n    ]\n}");
    return HONE_OK;
}

static hone_status encode_columns(const hone_tfs_body *b, const hone_servable *s, hone_buffer *out,
                                  hone_error *err) {
    int count = hone_servable_output_count(s);
    hone_buffer_text(out, count > 1 ? "{\n    \"outputs\": {" : "{\n    \"outputs\": ");
    for (int i = 0; i < count; i++) {
        if (count > 1) {
            hone_buffer_text(out, i ? ",\n        " : "\n        ");
            put_name(out, hone_servable_output(s, i)->name);
        }
        if (!hone_json_write_tensor(out, b->outputs[i], 0, 0))
            return cannot_write(s, i, b->outputs[i]->dtype, err);
    }
    hone_buffer_text(out, count > 1 ? "\n    }\n}" : "\n}");
    return HONE_OK;
}

hone_status hone_tfs_encode(const hone_tfs_body *b, const hone_servable *s, hone_buffer *out,
                            hone_error *err) {
    HONE_TRY(b->rows ? encode_rows(b, s, out, err) : encode_columns(b, s, out, err));
    return out->failed ? hone_fail_memory(err) : HONE_OK;
}
