#include "serve/api/wire_list.h"

#include "base/error.h"

static bool is_fixed(hone_dtype dtype) {
    return dtype == HONE_FLOAT32 || dtype == HONE_FLOAT64;
}

static hone_status too_many(const hone_feed *feed, hone_error *err) {
    return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%s\" has more elements than its shape",
                     feed->name);
}

/* Elements of a packed list, from element *n on. */
static hone_status take_packed(hone_feed *feed, const hone_wire_field *f, size_t *n, hone_error *err) {
    size_t count = feed->values.count;
    if (is_fixed(feed->values.dtype)) {
        size_t element = hone_dtype_size(feed->values.dtype);
        if (f->size % element)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%s\" has part of an element",
                             feed->name);
        if (f->size / element > count - *n) return too_many(feed, err);
        hone_copy_elements((char *)feed->values.data + *n * element, f->data, f->size, element);
        *n += f->size / element;
        return HONE_OK;
    }
    hone_wire w = hone_wire_into(f);
    uint64_t x;
    while (hone_wire_varint(&w, &x)) {
        if (*n == count) return too_many(feed, err);
        hone_feed_bits(feed, (*n)++, x);
    }
    return hone_wire_check(&w, "list of numbers", err);
}

static hone_status take_one(hone_feed *feed, const hone_wire_field *f, size_t *n, hone_error *err) {
    if (*n == feed->values.count) return too_many(feed, err);
    if (feed->values.dtype != HONE_STRING) {
        hone_feed_bits(feed, (*n)++, f->value);
        return HONE_OK;
    }
    hone_feed_text(feed, (*n)++, (char *)(uintptr_t)f->data, f->size);
    return HONE_OK;
}

hone_status hone_feed_list(hone_feed *feed, const hone_wire_field *message, uint32_t number, size_t *count,
                           hone_error *err) {
    hone_wire w = hone_wire_into(message);
    hone_wire_field f;
    hone_dtype dtype = feed->values.dtype;
    hone_wire_type type = dtype == HONE_STRING    ? HONE_WIRE_BYTES
                          : dtype == HONE_FLOAT32 ? HONE_WIRE_FIXED32
                          : dtype == HONE_FLOAT64 ? HONE_WIRE_FIXED64
                                                  : HONE_WIRE_VARINT;
    bool ready = false;
    *count = 0;
    while (hone_wire_next(&w, &f)) {
        bool one = hone_wire_is(&f, number, type), packed = !one && hone_wire_is(&f, number, HONE_WIRE_BYTES);
        if (!one && !packed) continue;
        /* The usual case: all elements in one run, which can stay where it is. */
        if (!ready && packed && is_fixed(dtype) && f.size == feed->tensor.bytes && f.size > 0) {
            *count = (size_t)feed->tensor.count;
            return hone_feed_raw(feed, f.data, f.size, err);
        }
        if (!ready) HONE_TRY(hone_feed_room(feed, err));
        ready = true;
        HONE_TRY(one ? take_one(feed, &f, count, err) : take_packed(feed, &f, count, err));
    }
    HONE_TRY(hone_wire_check(&w, "list of numbers", err));
    return ready ? HONE_OK : hone_feed_room(feed, err);
}

/* --- writing --- */

/* Element i as the varint that stands for it: int32 and smaller signed numbers are extended to 64 bits. */
static uint64_t element_bits(const hone_tensor *t, int64_t i) {
    switch (t->dtype) {
    case HONE_INT8: return (uint64_t)((const int8_t *)t->data)[i];
    case HONE_INT16: return (uint64_t)((const int16_t *)t->data)[i];
    case HONE_INT32: return (uint64_t)((const int32_t *)t->data)[i];
    case HONE_BOOL:
    case HONE_UINT8: return ((const uint8_t *)t->data)[i];
    case HONE_FLOAT16:
    case HONE_BFLOAT16:
    case HONE_UINT16: return ((const uint16_t *)t->data)[i];
    case HONE_UINT32: return ((const uint32_t *)t->data)[i];
    default: return ((const uint64_t *)t->data)[i];
    }
}

static size_t packed_size(const hone_tensor *t) {
    if (is_fixed(t->dtype)) return t->bytes;
    size_t size = 0;
    for (int64_t i = 0; i < t->count; i++) size += hone_wire_varint_size(element_bits(t, i));
    return size;
}

size_t hone_list_size(uint32_t number, const hone_tensor *t) {
    if (t->count == 0) return 0;
    if (t->dtype != HONE_STRING) return hone_wire_bytes_size(number, packed_size(t));
    size_t size = 0;
    for (int64_t i = 0; i < t->count; i++)
        size += hone_wire_bytes_size(number, ((const hone_string *)t->data)[i].size);
    return size;
}

void hone_list_put(hone_buffer *out, uint32_t number, const hone_tensor *t) {
    if (t->count == 0) return;
    if (t->dtype == HONE_STRING) {
        for (int64_t i = 0; i < t->count; i++) {
            size_t size;
            const char *text = hone_tensor_string(t, i, &size);
            hone_wire_put_bytes(out, number, text, size);
        }
        return;
    }
    hone_wire_put_tag(out, number, HONE_WIRE_BYTES);
    hone_wire_put_varint(out, packed_size(t));
    if (is_fixed(t->dtype)) {
        hone_tensor_put_raw(out, t);
        return;
    }
    for (int64_t i = 0; i < t->count; i++) hone_wire_put_varint(out, element_bits(t, i));
}
