#include "serve/api/tensors.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/narrow.h"

/* Inputs up to this size keep their buffer for the next request. */
#define KEEP_VALUES ((size_t)4 << 20)

hone_status hone_tensors_begin(hone_tensors *t, const hone_servable *s, hone_error *err) {
    size_t count = (size_t)hone_servable_input_count(s), before = t->feed_capacity;
    t->count = 0;
    t->too_large = false;
    if (!hone_reserve(&t->feeds, &t->feed_capacity, count, sizeof *t->feeds)) return hone_fail_memory(err);
    if (t->feed_capacity > before)
        memset(t->feeds + before, 0, (t->feed_capacity - before) * sizeof *t->feeds);
    if (!hone_reserve(&t->inputs, &t->input_capacity, count, sizeof *t->inputs)) return hone_fail_memory(err);
    t->count = (int)count;
    for (int i = 0; i < t->count; i++) {
        const hone_value_info *v = hone_servable_input(s, i);
        hone_feed *feed = &t->feeds[i];
        if (hone_dtype_size(v->dtype) == 0 || hone_dtype_is_small_float(v->dtype))
            return hone_fail(err, HONE_UNSUPPORTED, "the input \"%s\" is %s, which requests can't carry",
                             v->name, hone_dtype_name(v->dtype));
        hone_json_tensor_reset(&feed->values, v->dtype, KEEP_VALUES);
        feed->values.room = t->room;
        feed->tensor = (hone_tensor){.dtype = v->dtype};
        atomic_init(&feed->tensor.references, 1);
        feed->name = v->name;
        feed->rows = 0;
        feed->given = feed->raw = false;
        feed->missing = 0;
    }
    return HONE_OK;
}

hone_feed *hone_tensors_find(const hone_tensors *t, hone_slice name) {
    for (int i = 0; i < t->count; i++)
        if (hone_slice_equal(name, t->feeds[i].name)) return &t->feeds[i];
    return NULL;
}

hone_status hone_tensors_finish(hone_tensors *t, hone_error *err) {
    for (int i = 0; i < t->count; i++) {
        if (!t->feeds[i].given)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%s\" is missing", t->feeds[i].name);
        t->inputs[i] = &t->feeds[i].tensor;
    }
    return HONE_OK;
}

size_t hone_tensors_missing(const hone_tensors *t) {
    size_t bytes = 0;
    for (int i = 0; i < t->count; i++)
        if (t->feeds[i].missing) bytes += t->feeds[i].missing * hone_dtype_size(t->feeds[i].values.dtype);
    return bytes;
}

/* Copies the element at the start of a block again and again, up to its end. */
static void repeat(char *data, size_t element, size_t bytes) {
    enum { CACHED = 16 << 10 };
    for (size_t n = element, unit; n < bytes; n += unit) {
        unit = n < CACHED ? n : CACHED;
        if (unit > bytes - n) unit = bytes - n;
        memcpy(data + n, data, unit);
    }
}

static void fill(hone_feed *feed) {
    size_t element = hone_dtype_size(feed->values.dtype), given = feed->values.count - feed->missing;
    char *data = (char *)feed->values.data + given * element;
    if (given > 0)
        repeat(data - element, element, (feed->missing + 1) * element);
    else
        memset(data, 0, feed->missing * element);
    feed->missing = 0;
}

void hone_tensors_fill(hone_tensors *t) {
    for (int i = 0; i < t->count; i++)
        if (t->feeds[i].missing) fill(&t->feeds[i]);
}

void hone_tensors_trim(hone_tensors *t, size_t keep) {
    for (size_t i = 0; i < t->feed_capacity; i++) {
        hone_json_tensor *v = &t->feeds[i].values;
        hone_json_tensor_reset(v, v->dtype, keep);
        v->room = NULL;
        keep -= hone_json_tensor_bytes(v);
    }
}

void hone_tensors_free(hone_tensors *t) {
    for (size_t i = 0; i < t->feed_capacity; i++) hone_json_tensor_free(&t->feeds[i].values);
    hone_free(t->feeds);
    hone_free(t->inputs);
    *t = (hone_tensors){0};
}

hone_status hone_feed_shape(hone_feed *feed, int rank, const int64_t *dims, hone_error *err) {
    hone_tensor *t = &feed->tensor;
    if (rank > HONE_MAX_RANK)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%s\" has more than %d dimensions",
                         feed->name, HONE_MAX_RANK);
    hone_error inner;
    if (hone_shape_size(t->dtype, rank, dims, &t->count, &t->bytes, &inner) != HONE_OK)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%s\" has an invalid shape: %s", feed->name,
                         inner.message);
    t->rank = rank;
    if (rank > 0) memcpy(t->dims, dims, (size_t)rank * sizeof *dims);
    return HONE_OK;
}

hone_status hone_feed_said_shape(hone_tensors *t, hone_feed *feed, int rank, const int64_t *dims,
                                 hone_error *err) {
    HONE_TRY(hone_feed_shape(feed, rank, dims, err));
    size_t bytes = hone_dtype_size(feed->tensor.dtype); /* the product can't overflow any more */
    for (int i = 0; i < rank; i++) bytes *= dims[i] > 0 ? (size_t)dims[i] : 1;
    if (!t->limit || bytes <= t->limit) return HONE_OK;
    t->too_large = true;
    return hone_fail(err, HONE_RESOURCE_EXHAUSTED,
                     "the input \"%s\" would take %zu bytes, and the server allows %zu (--max-body)",
                     feed->name, bytes, t->limit);
}

hone_status hone_feed_no_room(const hone_feed *feed, size_t bytes, hone_error *err) {
    return hone_fail(err, HONE_RESOURCE_EXHAUSTED,
                     "There is no room for the input \"%s\" at this time: it takes %zu bytes (--body-budget)",
                     feed->name, bytes);
}

hone_status hone_feed_room(hone_feed *feed, hone_error *err) {
    hone_json_tensor *v = &feed->values;
    size_t count = (size_t)feed->tensor.count;
    hone_status status = hone_json_tensor_reserve(v, count ? count : 1, err);
    if (status == HONE_RESOURCE_EXHAUSTED) return hone_feed_no_room(feed, feed->tensor.bytes, err);
    if (status != HONE_OK) return status;
    v->count = count;
    feed->tensor.data = v->data;
    feed->given = true;
    return HONE_OK;
}

void hone_copy_elements(void *to, const void *from, size_t bytes, size_t element) {
    if (bytes == 0) return;
    memcpy(to, from, bytes);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    uint8_t *p = to;
    for (size_t i = 0; i < bytes; i += element)
        for (size_t k = 0; k < element / 2; k++) {
            uint8_t byte = p[i + k];
            p[i + k] = p[i + element - 1 - k];
            p[i + element - 1 - k] = byte;
        }
#else
    (void)element;
#endif
}

hone_status hone_feed_raw(hone_feed *feed, const void *data, size_t size, hone_error *err) {
    hone_tensor *t = &feed->tensor;
    size_t element = hone_dtype_size(t->dtype);
    bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    if (size != t->bytes)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "the input \"%s\" has %zu bytes, but its shape and type take %zu", feed->name, size,
                         t->bytes);
    if (t->dtype == HONE_BOOL)
        for (size_t i = 0; i < size; i++)
            if (((const uint8_t *)data)[i] > 1)
                return hone_fail(err, HONE_INVALID_ARGUMENT,
                                 "the input \"%s\" has a byte that is no bool at element %zu", feed->name, i);
    if (size > 0 && little && (uintptr_t)data % element == 0) {
        t->data = (void *)(uintptr_t)data;
        feed->given = true;
        return HONE_OK;
    }
    HONE_TRY(hone_feed_room(feed, err));
    hone_copy_elements(t->data, data, size, element);
    return HONE_OK;
}

void hone_feed_text(hone_feed *feed, size_t i, char *text, size_t size) {
    if (size > 0) memmove(text - 1, text, size);
    text[(ptrdiff_t)size - 1] = 0;
    ((hone_string *)feed->values.data)[i] = (hone_string){text - 1, size};
}

void hone_feed_bits(hone_feed *feed, size_t i, uint64_t x) {
    void *data = feed->values.data;
    switch (hone_dtype_size(feed->values.dtype)) {
    case 1: ((uint8_t *)data)[i] = feed->values.dtype == HONE_BOOL ? x != 0 : (uint8_t)x; break;
    case 2: ((uint16_t *)data)[i] = (uint16_t)x; break;
    case 4: ((uint32_t *)data)[i] = (uint32_t)x; break;
    default: ((uint64_t *)data)[i] = x;
    }
}

/* --- raw --- */

size_t hone_tensor_raw_size(const hone_tensor *t) {
    if (t->dtype != HONE_STRING) return t->bytes;
    size_t size = 0;
    for (int64_t i = 0; i < t->count; i++) size += 4 + ((const hone_string *)t->data)[i].size;
    return size;
}

void hone_tensor_put_raw(hone_buffer *out, const hone_tensor *t) {
    if (t->dtype != HONE_STRING) {
        if (!hone_buffer_reserve(out, t->bytes)) return;
        hone_copy_elements(out->data + out->size, t->data, t->bytes, hone_dtype_size(t->dtype));
        out->size += t->bytes;
        return;
    }
    for (int64_t i = 0; i < t->count; i++) {
        size_t n;
        const char *text = hone_tensor_string(t, i, &n);
        const uint8_t length[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
        hone_buffer_put(out, length, sizeof length);
        hone_buffer_put(out, text, n);
    }
}

hone_status hone_feed_raw_texts(hone_feed *feed, char *data, size_t size, hone_error *err) {
    size_t count = (size_t)feed->tensor.count, at = 0;
    if (size / 4 < count)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%s\" has too few bytes for %zu strings",
                         feed->name, count);
    HONE_TRY(hone_feed_room(feed, err));
    for (size_t i = 0; i < count; i++) {
        const uint8_t *p = (const uint8_t *)data + at;
        if (size - at < 4)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%s\" ends before its string %zu",
                             feed->name, i);
        size_t n = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
        at += 4;
        if (n > size - at)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%s\": its string %zu passes the end",
                             feed->name, i);
        hone_feed_text(feed, i, data + at, n);
        at += n;
    }
    if (at == size) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%s\" has %zu bytes behind its last string",
                     feed->name, size - at);
}
