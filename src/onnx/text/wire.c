#include "onnx/text/script.h"

#include <string.h>

enum { VARINT = 0, BYTES = 2, FIXED32 = 5 };

void hone_script_put_raw(hone_script_wire *w, const void *data, size_t size) {
    w->failed |= !hone_reserve(&w->data, &w->capacity, w->size + size, 1);
    if (w->failed || !size) return;
    memcpy(w->data + w->size, data, size);
    w->size += size;
}

static size_t encode(uint64_t x, uint8_t out[10]) {
    size_t n = 0;
    for (; x >= 128; x >>= 7) out[n++] = (uint8_t)(x | 128);
    out[n++] = (uint8_t)x;
    return n;
}

void hone_script_put_varint(hone_script_wire *w, uint64_t x) {
    uint8_t bytes[10];
    hone_script_put_raw(w, bytes, encode(x, bytes));
}

static void tag(hone_script_wire *w, unsigned id, unsigned type) {
    hone_script_put_varint(w, (uint64_t)id << 3 | type);
}

void hone_script_put_int(hone_script_wire *w, unsigned id, int64_t x) {
    tag(w, id, VARINT);
    hone_script_put_varint(w, (uint64_t)x);
}

void hone_script_put_float(hone_script_wire *w, unsigned id, float x) {
    tag(w, id, FIXED32);
    hone_script_put_raw(w, &x, sizeof x);
}

void hone_script_put_bytes(hone_script_wire *w, unsigned id, const void *data, size_t size) {
    tag(w, id, BYTES);
    hone_script_put_varint(w, size);
    hone_script_put_raw(w, data, size);
}

size_t hone_script_put_begin(hone_script_wire *w, unsigned id) {
    tag(w, id, BYTES);
    return w->size;
}

/* The size goes before what has been written. */
void hone_script_put_end(hone_script_wire *w, size_t start) {
    uint8_t bytes[10];
    size_t size = w->size - start, n = encode(size, bytes);
    hone_script_put_raw(w, bytes, n);
    if (w->failed) return;
    memmove(w->data + start + n, w->data + start, size);
    memcpy(w->data + start, bytes, n);
}
