#include "serve/oip/oip_json.h"

#include "base/error.h"
#include "serve/format/json_write.h"

#include <stdio.h>

/* --- parameters --- */

typedef struct parameters {
    bool has_size;
    int64_t size; /* binary_data_size */
    int64_t timeout;
    hone_form form;  /* binary_data */
    hone_form other; /* binary_data_output */
} parameters;

static hone_status read_bool(hone_json *j, hone_slice key, hone_form *out, hone_error *err) {
    char first = hone_json_peek(j);
    HONE_TRY(hone_json_skip(j, err));
    *out = first == 't' ? HONE_FORM_RAW : HONE_FORM_TYPED;
    if (first == 't' || first == 'f') return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT, "the parameter \"%.*s\" must be true or false",
                     (int)key.size, key.data);
}

static hone_status read_parameters(hone_json *j, parameters *p, hone_error *err) {
    HONE_TRY(hone_json_expect(j, '{', err));
    if (hone_json_take(j, '}')) return HONE_OK;
    do {
        hone_slice key;
        HONE_TRY(hone_json_string(j, &key, err));
        HONE_TRY(hone_json_expect(j, ':', err));
        if (hone_slice_equal(key, "binary_data_size")) {
            p->has_size = true;
            HONE_TRY(hone_json_integer(j, &p->size, err));
        } else if (hone_slice_equal(key, "timeout")) {
            HONE_TRY(hone_json_integer(j, &p->timeout, err));
        } else if (hone_slice_equal(key, "binary_data")) {
            HONE_TRY(read_bool(j, key, &p->form, err));
        } else if (hone_slice_equal(key, "binary_data_output")) {
            HONE_TRY(read_bool(j, key, &p->other, err));
        } else if (hone_slice_equal(key, "classification") || hone_slice_equal(key, "shared_memory_region")) {
            return hone_fail(err, HONE_UNSUPPORTED,
                             "the parameter \"%.*s\" is of an extension that is not there", (int)key.size,
                             key.data);
        } else {
            HONE_TRY(hone_json_skip(j, err));
        }
    } while (hone_json_take(j, ','));
    return hone_json_expect(j, '}', err);
}

/* --- inputs --- */

/* One input as far as it is read. */
typedef struct input {
    hone_slice name, datatype;
    bool has_name, has_datatype, has_shape, has_data;
    int rank;
    int64_t dims[HONE_MAX_RANK];
    hone_json data; /* where "data" is, if it came too early to be scanned */
    parameters parameters;
    hone_feed *feed;
} input;

static hone_status read_shape(hone_json *j, input *in, hone_error *err) {
    HONE_TRY(hone_json_expect(j, '[', err));
    in->has_shape = true;
    in->rank = 0;
    if (hone_json_take(j, ']')) return HONE_OK;
    do {
        if (in->rank == HONE_MAX_RANK)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "a shape has more than %d dimensions",
                             HONE_MAX_RANK);
        HONE_TRY(hone_json_integer(j, &in->dims[in->rank++], err));
    } while (hone_json_take(j, ','));
    return hone_json_expect(j, ']', err);
}

static hone_status find_input(hone_call *c, input *in, hone_error *err) {
    if (!in->has_name) return hone_fail(err, HONE_INVALID_ARGUMENT, "an input has no name");
    if (!in->has_datatype || !in->has_shape)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%.*s\" has no %s",
                         hone_slice_shown(in->name, 200), in->name.data,
                         in->has_datatype ? "shape" : "datatype");
    return hone_oip_input(c, in->name, in->datatype, in->rank, in->dims, &in->feed, err);
}

/* Elements, nested or not. */
static hone_status scan_data(hone_json *j, hone_feed *feed, hone_error *err) {
    hone_error inner = {0};
    hone_status status = hone_json_scan_tensor(j, &feed->values, &inner);
    if (status == HONE_RESOURCE_EXHAUSTED) return hone_feed_no_room(feed, feed->tensor.bytes, err);
    if (status != HONE_OK)
        return hone_fail(err, status, "the data of the input \"%s\": %s", feed->name, inner.message);
    if (feed->values.count != (size_t)feed->tensor.count)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "the input \"%s\" has %zu elements, but its shape takes %lld", feed->name,
                         feed->values.count, (long long)feed->tensor.count);
    feed->tensor.data = feed->values.data;
    feed->given = true;
    return HONE_OK;
}

static hone_status read_member(hone_call *c, hone_json *j, hone_slice key, input *in, hone_error *err) {
    if (hone_slice_equal(key, "name")) {
        in->has_name = true;
        return hone_json_string(j, &in->name, err);
    }
    if (hone_slice_equal(key, "datatype")) {
        in->has_datatype = true;
        return hone_json_string(j, &in->datatype, err);
    }
    if (hone_slice_equal(key, "shape")) return read_shape(j, in, err);
    if (hone_slice_equal(key, "parameters")) return read_parameters(j, &in->parameters, err);
    if (!hone_slice_equal(key, "data")) return hone_json_skip(j, err);
    if (in->has_data) return hone_fail(err, HONE_INVALID_ARGUMENT, "an input has its data twice");
    in->has_data = true;
    in->data = *j;
    if (!in->has_name || !in->has_datatype || !in->has_shape) return hone_json_skip(j, err);
    HONE_TRY(find_input(c, in, err));
    return scan_data(j, in->feed, err);
}

/* *raw: how many of the bytes behind the JSON are taken. */
static hone_status read_input(hone_call *c, hone_json *j, size_t *raw, hone_error *err) {
    input in = {.name = {"", 0}};
    HONE_TRY(hone_json_expect(j, '{', err));
    if (!hone_json_take(j, '}')) {
        do {
            hone_slice key;
            HONE_TRY(hone_json_string(j, &key, err));
            HONE_TRY(hone_json_expect(j, ':', err));
            HONE_TRY(read_member(c, j, key, &in, err));
        } while (hone_json_take(j, ','));
        HONE_TRY(hone_json_expect(j, '}', err));
    }
    if (!in.feed) HONE_TRY(find_input(c, &in, err));
    if (in.has_data == in.parameters.has_size)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "the input \"%s\" must have either data or binary_data_size", in.feed->name);
    if (in.has_data) return in.feed->given ? HONE_OK : scan_data(&in.data, in.feed, err);
    if (in.parameters.size < 0 ||
        __builtin_add_overflow(*raw, (size_t)in.parameters.size, &in.feed->raw_size))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%s\" has a bad binary_data_size",
                         in.feed->name);
    in.feed->raw = true;
    in.feed->raw_at = *raw;
    in.feed->raw_size = (size_t)in.parameters.size;
    *raw += in.feed->raw_size;
    return HONE_OK;
}

static hone_status read_output(hone_call *c, hone_json *j, hone_error *err) {
    hone_slice name = {NULL, 0};
    parameters p = {0};
    HONE_TRY(hone_json_expect(j, '{', err));
    if (!hone_json_take(j, '}')) {
        do {
            hone_slice key;
            HONE_TRY(hone_json_string(j, &key, err));
            HONE_TRY(hone_json_expect(j, ':', err));
            if (hone_slice_equal(key, "name"))
                HONE_TRY(hone_json_string(j, &name, err));
            else if (hone_slice_equal(key, "parameters"))
                HONE_TRY(read_parameters(j, &p, err));
            else
                HONE_TRY(hone_json_skip(j, err));
        } while (hone_json_take(j, ','));
        HONE_TRY(hone_json_expect(j, '}', err));
    }
    if (!name.data) return hone_fail(err, HONE_INVALID_ARGUMENT, "an output has no name");
    return hone_call_want(c, name, p.form, err);
}

static hone_status read_list(hone_call *c, hone_json *j, bool inputs, size_t *raw, hone_error *err) {
    HONE_TRY(hone_json_expect(j, '[', err));
    if (hone_json_take(j, ']')) return HONE_OK;
    do HONE_TRY(inputs ? read_input(c, j, raw, err) : read_output(c, j, err));
    while (hone_json_take(j, ','));
    return hone_json_expect(j, ']', err);
}

static hone_status read_request(hone_call *c, hone_json *j, size_t *raw, hone_error *err) {
    parameters p = {0};
    bool inputs = false;
    HONE_TRY(hone_json_expect(j, '{', err));
    if (!hone_json_take(j, '}')) {
        do {
            hone_slice key;
            HONE_TRY(hone_json_string(j, &key, err));
            HONE_TRY(hone_json_expect(j, ':', err));
            bool is_inputs = hone_slice_equal(key, "inputs");
            inputs |= is_inputs;
            if (is_inputs || hone_slice_equal(key, "outputs"))
                HONE_TRY(read_list(c, j, is_inputs, raw, err));
            else if (hone_slice_equal(key, "id"))
                HONE_TRY(hone_json_string(j, &c->id, err));
            else if (hone_slice_equal(key, "parameters"))
                HONE_TRY(read_parameters(j, &p, err));
            else
                HONE_TRY(hone_json_skip(j, err));
        } while (hone_json_take(j, ','));
        HONE_TRY(hone_json_expect(j, '}', err));
    }
    hone_json_peek(j);
    if (j->cursor != j->end)
        return hone_json_fail(j, err, "The document root must not be followed by other values.");
    if (!inputs) return hone_fail(err, HONE_INVALID_ARGUMENT, "the request has no inputs");
    if (p.other == HONE_FORM_RAW) c->form = HONE_FORM_RAW;
    return hone_oip_timeout(c, p.timeout, err);
}

/* --- the body --- */

/* Scans the JSON before the raw bytes, whose first ones are zeroed meanwhile: the scanner wants padding. */
static hone_status scan_head(hone_call *c, char *body, size_t size, size_t *raw, hone_error *err) {
    char kept[HONE_JSON_PAD];
    hone_json j;
    memcpy(kept, body + size, sizeof kept);
    memset(body + size, 0, sizeof kept);
    hone_json_init(&j, body, size);
    hone_status status = read_request(c, &j, raw, err);
    memcpy(body + size, kept, sizeof kept);
    return status;
}

static hone_status header_length(const hone_call *c, size_t size, size_t *out, bool *said, hone_error *err) {
    hone_slice field = hone_head_field(&c->request->head, HONE_OIP_LENGTH_FIELD);
    int64_t length;
    *out = size;
    *said = field.data != NULL;
    if (!*said) return HONE_OK;
    if (!hone_version_parse(field.data, field.size, &length) || (uint64_t)length > size)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "Inference-Header-Content-Length is not the length of a part "
                         "of the body");
    *out = (size_t)length;
    return HONE_OK;
}

/* A body without any JSON: the bytes of the only input, the shape of which has at most one free dimension. */
static hone_status take_bare(hone_call *c, char *body, size_t size, hone_error *err) {
    const hone_value_info *v = hone_servable_input(c->servable, 0);
    size_t element = c->tensors.count == 1 ? hone_dtype_size(v->dtype) : 0, left;
    int64_t dims[HONE_MAX_RANK], known = 1;
    int free_dim = -1, rank = v->rank;
    for (int i = 0; i < rank; i++) {
        dims[i] = v->dims[i];
        if (dims[i] >= 0 && __builtin_mul_overflow(known, dims[i], &known)) rank = -1;
        if (v->dims[i] < 0) rank = free_dim >= 0 ? -1 : rank, free_dim = i;
    }
    if (c->tensors.count != 1 || rank < 0 || v->dtype == HONE_STRING || known == 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "the body is not described: a model with one input of numbers, and at most one free "
                         "dimension, is needed for that");
    left = size / element / (size_t)known;
    if (free_dim >= 0) dims[free_dim] = (int64_t)left;
    hone_feed *feed = &c->tensors.feeds[0];
    HONE_TRY(hone_feed_shape(feed, rank, dims, err));
    return hone_oip_raw(feed, body, size, err);
}

hone_status hone_oip_decode(hone_call *c, hone_error *err) {
    size_t size, json, raw = 0;
    bool said;
    char *body = hone_call_body(c, &size);
    HONE_TRY(header_length(c, size, &json, &said, err));
    if (said && json == 0) {
        c->form = HONE_FORM_RAW;
        HONE_TRY(take_bare(c, body, size, err));
        return hone_call_want_all(c, err);
    }
    HONE_TRY(scan_head(c, body, json, &raw, err));
    if (raw != size - json)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "the inputs take %zu bytes behind the JSON header, but there are %zu", raw,
                         size - json);
    for (int i = 0; i < c->tensors.count; i++) {
        hone_feed *feed = &c->tensors.feeds[i];
        if (feed->raw) HONE_TRY(hone_oip_raw(feed, body + json + feed->raw_at, feed->raw_size, err));
    }
    return hone_call_want_all(c, err);
}

/* --- answers --- */

static bool is_raw(const hone_call *c, size_t i) {
    hone_form form = c->wanted[i].form;
    return (form == HONE_FORM_DEFAULT ? c->form : form) == HONE_FORM_RAW;
}

bool hone_oip_has_raw(const hone_call *c) {
    for (size_t i = 0; i < c->wanted_count; i++)
        if (is_raw(c, i)) return true;
    return false;
}

static hone_status put_output(hone_call *c, size_t i, hone_buffer *out, hone_error *err) {
    const hone_tensor *t = c->outputs[c->wanted[i].output];
    const char *name = hone_servable_output(c->servable, c->wanted[i].output)->name;
    const char *datatype = hone_oip_datatype(t->dtype);
    if (!*datatype)
        return hone_fail(err, HONE_UNSUPPORTED,
                         "the output \"%s\" is of the type %s, which the protocol lacks", name,
                         hone_dtype_name(t->dtype));
    hone_buffer_text(out, i ? ",{\"name\":" : "{\"name\":");
    hone_json_write_string(out, name, strlen(name));
    hone_buffer_text(out, ",\"datatype\":\"");
    hone_buffer_text(out, datatype);
    hone_buffer_text(out, "\",\"shape\":[");
    for (int d = 0; d < t->rank; d++) {
        if (d) hone_buffer_byte(out, ',');
        hone_json_write_integer(out, t->dims[d]);
    }
    if (is_raw(c, i)) {
        hone_buffer_text(out, "],\"parameters\":{\"binary_data_size\":");
        hone_json_write_integer(out, (int64_t)hone_tensor_raw_size(t));
        hone_buffer_text(out, "}}");
        return HONE_OK;
    }
    const hone_tensor *keys = hone_servable_output_keys(c->servable, c->wanted[i].output);
    hone_buffer_text(out, "],\"data\":");
    if (keys) {
        if (!hone_json_write_maps(out, t, keys, 0, 0))
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the output \"%s\" has other rows than keys", name);
    } else {
        hone_buffer_byte(out, '[');
        hone_json_write_elements(out, t, 0, t->count);
        hone_buffer_byte(out, ']');
    }
    hone_buffer_byte(out, '}');
    return HONE_OK;
}

hone_status hone_oip_encode(hone_call *c, hone_buffer *out, hone_error *err) {
    const char *name = hone_servable_name(c->servable);
    hone_buffer_byte(out, '{');
    if (c->id.size > 0) {
        hone_buffer_text(out, "\"id\":");
        hone_json_write_string(out, c->id.data, c->id.size);
        hone_buffer_byte(out, ',');
    }
    hone_buffer_text(out, "\"model_name\":");
    hone_json_write_string(out, name, strlen(name));
    hone_buffer_text(out, ",\"model_version\":\"");
    hone_json_write_integer(out, hone_servable_version(c->servable));
    hone_buffer_text(out, "\",\"outputs\":[");
    for (size_t i = 0; i < c->wanted_count; i++) HONE_TRY(put_output(c, i, out, err));
    hone_buffer_text(out, "]}");
    if (!hone_oip_has_raw(c)) return HONE_OK;
    c->json_size = out->size;
    for (size_t i = 0; i < c->wanted_count; i++)
        if (is_raw(c, i)) hone_tensor_put_raw(out, c->outputs[c->wanted[i].output]);
    return HONE_OK;
}
