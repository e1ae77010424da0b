#include "serve/oip/oip_infer.h"

#include "base/error.h"
#include "serve/api/wire_list.h"
#include "serve/format/json_write.h"
#include "serve/grpc/grpc.h"

enum { REQUEST_ID = 3, REQUEST_PARAMETERS = 4, REQUEST_INPUTS = 5, REQUEST_OUTPUTS = 6, REQUEST_RAW = 7 };
enum { TENSOR_NAME = 1, TENSOR_DATATYPE = 2, TENSOR_SHAPE = 3, TENSOR_PARAMETERS = 4, TENSOR_CONTENTS = 5 };
enum { WANTED_NAME = 1, WANTED_PARAMETERS = 2, ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { PARAMETER_INT64 = 2, PARAMETER_UINT64 = 5 };
enum { RESPONSE_MODEL = 1, RESPONSE_VERSION = 2, RESPONSE_ID = 3, RESPONSE_OUTPUTS = 5, RESPONSE_RAW = 6 };

/* Which list of InferTensorContents holds the elements of a dtype; 0: none. */
static uint32_t list_of(hone_dtype dtype) {
    switch (dtype) {
    case HONE_BOOL: return 1;
    case HONE_INT8:
    case HONE_INT16:
    case HONE_INT32: return 2;
    case HONE_INT64: return 3;
    case HONE_UINT8:
    case HONE_UINT16:
    case HONE_UINT32: return 4;
    case HONE_UINT64: return 5;
    case HONE_FLOAT32: return 6;
    case HONE_FLOAT64: return 7;
    case HONE_STRING: return 8;
    default: return 0;
    }
}

/* --- requests --- */

typedef struct input {
    hone_slice name, datatype;
    int rank;
    int64_t dims[HONE_MAX_RANK];
    bool has_contents;
    hone_wire_field contents;
} input;

static hone_status add_dim(input *in, uint64_t dim, hone_error *err) {
    if (in->rank == HONE_MAX_RANK)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a shape has more than %d dimensions", HONE_MAX_RANK);
    in->dims[in->rank++] = (int64_t)dim;
    return HONE_OK;
}

/* Parameters that would change what is to be done. */
static hone_status check_parameter(const hone_wire_field *entry, hone_error *err) {
    hone_wire w = hone_wire_into(entry);
    hone_wire_field f;
    while (hone_wire_next(&w, &f)) {
        if (!hone_wire_is(&f, ENTRY_KEY, HONE_WIRE_BYTES)) continue;
        hone_slice key = hone_wire_text(&f);
        if (hone_slice_equal(key, "classification") || hone_slice_equal(key, "shared_memory_region"))
            return hone_fail(err, HONE_UNSUPPORTED,
                             "the parameter \"%.*s\" is of an extension that is not there", (int)key.size,
                             key.data);
    }
    return hone_wire_check(&w, "ModelInferRequest", err);
}

/* One of the whole request: "timeout", which is a whole number. */
static hone_status read_parameter(hone_call *c, const hone_wire_field *entry, hone_error *err) {
    hone_wire w = hone_wire_into(entry);
    hone_wire_field f, number;
    bool timeout = false, whole = false;
    int64_t value = 0;
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, ENTRY_KEY, HONE_WIRE_BYTES))
            timeout = hone_slice_equal(hone_wire_text(&f), "timeout");
        if (!hone_wire_is(&f, ENTRY_VALUE, HONE_WIRE_BYTES)) continue;
        hone_wire in = hone_wire_into(&f);
        while (hone_wire_next(&in, &number)) {
            whole = hone_wire_is(&number, PARAMETER_INT64, HONE_WIRE_VARINT) ||
                    hone_wire_is(&number, PARAMETER_UINT64, HONE_WIRE_VARINT);
            value = number.number == PARAMETER_UINT64 && number.value > INT64_MAX ? INT64_MAX
                                                                                  : (int64_t)number.value;
        }
        HONE_TRY(hone_wire_check(&in, "ModelInferRequest", err));
    }
    HONE_TRY(hone_wire_check(&w, "ModelInferRequest", err));
    if (!timeout) return HONE_OK;
    if (!whole) return hone_fail(err, HONE_INVALID_ARGUMENT, "the parameter \"timeout\" is no whole number");
    return hone_oip_timeout(c, value, err);
}

static hone_status read_tensor(const hone_wire_field *message, input *in, hone_error *err) {
    hone_wire w = hone_wire_into(message);
    hone_wire_field f;
    *in = (input){.name = {"", 0}, .datatype = {"", 0}};
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, TENSOR_NAME, HONE_WIRE_BYTES)) in->name = hone_wire_text(&f);
        if (hone_wire_is(&f, TENSOR_DATATYPE, HONE_WIRE_BYTES)) in->datatype = hone_wire_text(&f);
        if (hone_wire_is(&f, TENSOR_SHAPE, HONE_WIRE_VARINT)) HONE_TRY(add_dim(in, f.value, err));
        if (hone_wire_is(&f, TENSOR_PARAMETERS, HONE_WIRE_BYTES)) HONE_TRY(check_parameter(&f, err));
        if (hone_wire_is(&f, TENSOR_CONTENTS, HONE_WIRE_BYTES)) {
            in->has_contents = true;
            in->contents = f;
        }
        if (!hone_wire_is(&f, TENSOR_SHAPE, HONE_WIRE_BYTES)) continue;
        hone_wire packed = hone_wire_into(&f);
        uint64_t dim;
        while (hone_wire_varint(&packed, &dim)) HONE_TRY(add_dim(in, dim, err));
        HONE_TRY(hone_wire_check(&packed, "ModelInferRequest", err));
    }
    return hone_wire_check(&w, "ModelInferRequest", err);
}

/* The next raw contents, which go with the inputs in their order. */
static bool next_raw(hone_wire *w, hone_wire_field *f) {
    while (hone_wire_next(w, f))
        if (hone_wire_is(f, REQUEST_RAW, HONE_WIRE_BYTES)) return true;
    return false;
}

static hone_status read_input(hone_call *c, const hone_wire_field *message, hone_wire *raw, hone_error *err) {
    input in;
    hone_feed *feed;
    hone_wire_field f;
    size_t count;
    HONE_TRY(read_tensor(message, &in, err));
    HONE_TRY(hone_oip_input(c, in.name, in.datatype, in.rank, in.dims, &feed, err));
    if (!in.has_contents && next_raw(raw, &f)) {
        c->form = HONE_FORM_RAW;
        return hone_oip_raw(feed, (char *)(uintptr_t)f.data, f.size, err);
    }
    if (!in.has_contents && feed->tensor.count > 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%s\" has no contents, raw or other",
                         feed->name);
    uint32_t list = list_of(feed->values.dtype);
    if (list == 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "the input \"%s\" is of a type that has raw contents only", feed->name);
    if (!in.has_contents) in.contents = (hone_wire_field){.data = message->data};
    HONE_TRY(hone_feed_list(feed, &in.contents, list, &count, err));
    if (count == (size_t)feed->tensor.count) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT,
                     "the input \"%s\" has %zu elements, but its shape takes %lld", feed->name, count,
                     (long long)feed->tensor.count);
}

static hone_status read_wanted(hone_call *c, const hone_wire_field *message, hone_error *err) {
    hone_wire w = hone_wire_into(message);
    hone_wire_field f;
    hone_slice name = {"", 0};
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, WANTED_NAME, HONE_WIRE_BYTES)) name = hone_wire_text(&f);
        if (hone_wire_is(&f, WANTED_PARAMETERS, HONE_WIRE_BYTES)) HONE_TRY(check_parameter(&f, err));
    }
    HONE_TRY(hone_wire_check(&w, "ModelInferRequest", err));
    return hone_call_want(c, name, HONE_FORM_DEFAULT, err);
}

hone_status hone_oip_infer_decode(hone_call *c, hone_error *err) {
    const uint8_t *data;
    size_t size;
    HONE_TRY(hone_grpc_message(c->request, &data, &size, err));
    hone_wire w = hone_wire_of(data, size), raw = w;
    hone_wire_field f;
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, REQUEST_ID, HONE_WIRE_BYTES)) c->id = hone_wire_text(&f);
        if (hone_wire_is(&f, REQUEST_PARAMETERS, HONE_WIRE_BYTES)) HONE_TRY(read_parameter(c, &f, err));
        if (hone_wire_is(&f, REQUEST_INPUTS, HONE_WIRE_BYTES)) HONE_TRY(read_input(c, &f, &raw, err));
        if (hone_wire_is(&f, REQUEST_OUTPUTS, HONE_WIRE_BYTES)) HONE_TRY(read_wanted(c, &f, err));
    }
    HONE_TRY(hone_wire_check(&w, "ModelInferRequest", err));
    if (next_raw(&raw, &f))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "there are more raw contents than inputs that need them");
    return hone_call_want_all(c, err);
}

/* --- answers --- */

static const hone_tensor *output(const hone_call *c, size_t i) {
    return c->outputs[c->wanted[i].output];
}

static void put_output(const hone_call *c, size_t i, bool raw, hone_buffer *out) {
    const hone_tensor *t = output(c, i);
    size_t tensor = hone_wire_begin(out, RESPONSE_OUTPUTS);
    hone_wire_put_text(out, TENSOR_NAME, hone_servable_output(c->servable, c->wanted[i].output)->name);
    hone_wire_put_text(out, TENSOR_DATATYPE, hone_oip_datatype(t->dtype));
    size_t shape = hone_wire_begin(out, TENSOR_SHAPE);
    for (int d = 0; d < t->rank; d++) hone_wire_put_varint(out, (uint64_t)t->dims[d]);
    hone_wire_end(out, shape);
    if (!raw) {
        size_t contents = hone_wire_begin(out, TENSOR_CONTENTS);
        hone_list_put(out, list_of(t->dtype), t);
        hone_wire_end(out, contents);
    }
    hone_wire_end(out, tensor);
}

hone_status hone_oip_infer_encode(hone_call *c, hone_buffer *out, hone_error *err) {
    bool raw = c->form == HONE_FORM_RAW;
    for (size_t i = 0; i < c->wanted_count; i++) {
        hone_dtype dtype = output(c, i)->dtype;
        if (!*hone_oip_datatype(dtype))
            return hone_fail(
                err, HONE_UNSUPPORTED, "the output \"%s\" is of the type %s, which the protocol lacks",
                hone_servable_output(c->servable, c->wanted[i].output)->name, hone_dtype_name(dtype));
        raw |= list_of(dtype) == 0;
    }
    char version[24];
    hone_buffer number = {.data = version, .capacity = sizeof version};
    hone_json_write_integer(&number, hone_servable_version(c->servable));
    hone_grpc_begin_message(out);
    hone_wire_put_text(out, RESPONSE_MODEL, hone_servable_name(c->servable));
    hone_wire_put_bytes(out, RESPONSE_VERSION, number.data, number.size);
    if (c->id.size > 0) hone_wire_put_bytes(out, RESPONSE_ID, c->id.data, c->id.size);
    for (size_t i = 0; i < c->wanted_count; i++) put_output(c, i, raw, out);
    for (size_t i = 0; raw && i < c->wanted_count; i++) {
        hone_wire_put_tag(out, RESPONSE_RAW, HONE_WIRE_BYTES);
        hone_wire_put_varint(out, hone_tensor_raw_size(output(c, i)));
        hone_tensor_put_raw(out, output(c, i));
    }
    return HONE_OK;
}
