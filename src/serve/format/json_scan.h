/* Reading JSON as tensors: a cursor over the text and functions that take the next value from it. No tree is
 * built; numbers go straight into the destination.
 *
 * The text must be followed by HONE_JSON_PAD readable bytes of zero, because digits are looked at eight at a
 * time. It is consumed: strings with escapes are decoded in place. Numbers follow RFC 8259; NaN, Infinity,
 * Inf and their negatives are taken as well, where a float is asked for. Errors are HONE_INVALID_ARGUMENT,
 * name the offset, and leave the cursor where it was stuck. */
#ifndef HONE_SERVE_FORMAT_JSON_SCAN_H
#define HONE_SERVE_FORMAT_JSON_SCAN_H

#include "serve/format/room.h"
#include "serve/format/slice.h"

#include <hone/tensor.h>

#define HONE_JSON_PAD 16
#define HONE_JSON_MAX_DEPTH 64

typedef struct hone_json {
    char *start, *cursor, *end;
} hone_json;

static inline void hone_json_init(hone_json *j, char *text, size_t size) {
    *j = (hone_json){text, text, text + size};
}

/* Skips white space and tells the next byte; 0 at the end of the text. */
char hone_json_peek(hone_json *j);
/* Skips white space, and `c` if it comes next. */
bool hone_json_take(hone_json *j, char c);
/* As hone_json_take, but another byte is an error that says what was expected. */
hone_status hone_json_expect(hone_json *j, char c, hone_error *err);
/* HONE_INVALID_ARGUMENT: "JSON Parse error: REASON at offset: N". */
hone_status hone_json_fail(const hone_json *j, hone_error *err, const char *reason);

/* A string, decoded: valid until the text goes away. */
hone_status hone_json_string(hone_json *j, hone_slice *out, hone_error *err);
/* Checks and skips any value, and leaves its text as it is. */
hone_status hone_json_skip(hone_json *j, hone_error *err);
/* A number, correctly rounded. Finite numbers too large for the type are errors. */
hone_status hone_json_float(hone_json *j, float *out, hone_error *err);
/* An integer without fraction and exponent. */
hone_status hone_json_integer(hone_json *j, int64_t *out, hone_error *err);

/* Where tensors go. Set dtype (a number, bool or string) and leave the rest zero; reuse it for any number of
 * values after hone_json_tensor_reset(). */
typedef struct hone_json_tensor {
    hone_dtype dtype;
    void *data; /* of hone_alloc; strings: hone_string each, in the scanned text */
    size_t count, capacity;
    hone_room *room; /* is asked before it grows */
    int rank;        /* shape of the value that was scanned last, without those before it */
    int64_t dims[HONE_MAX_RANK];
} hone_json_tensor;

/* Does {"b64": "…"} come next, and nothing else in that object? It stands for a string of any bytes. */
bool hone_json_is_base64(const hone_json *j);
/* Makes room for `count` elements in all. HONE_RESOURCE_EXHAUSTED: it may not. */
hone_status hone_json_tensor_reserve(hone_json_tensor *t, size_t count, hone_error *err);
/* Scans one value (a scalar or nested arrays of equal lengths) and appends its elements. HONE_RESOURCE_EXHAUSTED: there
 * is no room for them. */
hone_status hone_json_scan_tensor(hone_json *j, hone_json_tensor *t, hone_error *err);
/* Of its buffer. */
static inline size_t hone_json_tensor_bytes(const hone_json_tensor *t) {
    return t->capacity ? t->capacity * hone_dtype_size(t->dtype) : 0;
}
/* Forgets the elements; keeps the buffer unless it is larger than `keep` bytes. */
void hone_json_tensor_reset(hone_json_tensor *t, hone_dtype dtype, size_t keep);
void hone_json_tensor_free(hone_json_tensor *t);

#endif
