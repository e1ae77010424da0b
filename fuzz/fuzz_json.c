/* The tensor scanner: any text gives a tensor or an error. A tensor is also JSON to the skipper, its shape
 * counts its elements, and written and scanned again it is the same. The first byte chooses the dtype. */
#include "base/memory.h"
#include "graph/tensor.h"
#include "serve/format/json_scan.h"
#include "serve/format/json_write.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *padded(const void *data, size_t size) {
    char *text = calloc(size + HONE_JSON_PAD, 1);
    if (!text) abort();
    if (size) memcpy(text, data, size);
    return text;
}

static hone_status scan(hone_json_tensor *t, char *text, size_t size, hone_error *err) {
    hone_json j;
    hone_json_init(&j, text, size);
    hone_status status = hone_json_scan_tensor(&j, t, err);
    if (j.cursor > j.end + 1) abort();
    return status;
}

static bool same(const hone_json_tensor *a, const hone_json_tensor *b) {
    if (a->count != b->count || a->rank != b->rank) return false;
    if (memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) != 0) return false;
    for (size_t i = 0; i < a->count; i++) {
        if (a->dtype == HONE_STRING) {
            const hone_string *x = (const hone_string *)a->data + i, *y = (const hone_string *)b->data + i;
            if (x->size != y->size || memcmp(x->data, y->data, x->size) != 0) return false;
        } else {
            size_t n = hone_dtype_size(a->dtype);
            const char *x = (const char *)a->data + i * n, *y = (const char *)b->data + i * n;
            float f;
            double d;
            memcpy(&f, x, n < sizeof f ? n : sizeof f);
            memcpy(&d, x, n < sizeof d ? n : sizeof d);
            bool nan = a->dtype == HONE_FLOAT32 ? f != f : a->dtype == HONE_FLOAT64 && d != d;
            if (!nan && memcmp(x, y, n) != 0) return false;
        }
    }
    return true;
}

/* Bytes that are no UTF-8 are replaced when written, so such strings come back changed. */
static bool is_ascii(const hone_json_tensor *t) {
    for (size_t i = 0; t->dtype == HONE_STRING && i < t->count; i++) {
        const hone_string *s = (const hone_string *)t->data + i;
        if (s->data[s->size] != 0) abort();
        for (size_t k = 0; k < s->size; k++)
            if (s->data[k] & 0x80) return false;
    }
    return true;
}

static void check(const hone_json_tensor *t) {
    hone_tensor view = {.dtype = t->dtype, .rank = t->rank, .count = (int64_t)t->count, .data = t->data};
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) {
        if (t->dims[i] < 0) abort();
        count *= t->dims[i];
        view.dims[i] = t->dims[i];
    }
    if (count != (int64_t)t->count) abort();
    hone_buffer out = {0};
    if (!hone_json_write_tensor(&out, &view, 0, 0) || out.failed) abort();
    char *text = padded(out.data, out.size);
    hone_json_tensor again = {.dtype = t->dtype};
    hone_error err;
    if (scan(&again, text, out.size, &err) != HONE_OK || (is_ascii(t) && !same(t, &again))) abort();
    hone_json_tensor_free(&again);
    hone_buffer_free(&out);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const hone_dtype dtypes[] = {HONE_FLOAT32, HONE_FLOAT64, HONE_INT32, HONE_UINT8,
                                        HONE_INT64,   HONE_UINT64,  HONE_BOOL,  HONE_STRING};
    if (size < 1 || size > 1 << 16) return 0;
    hone_json_tensor t = {.dtype = dtypes[data[0] % 8]};
    char *text = padded(data + 1, size - 1), *copy = padded(data + 1, size - 1);
    hone_json j;
    hone_error err = {0};
    hone_json_init(&j, copy, size - 1);
    hone_status skipped = hone_json_skip(&j, &err);
    if (skipped != HONE_OK && (skipped != HONE_INVALID_ARGUMENT || !err.message[0])) abort();
    err.message[0] = 0;
    hone_status status = scan(&t, text, size - 1, &err);
    if (status != HONE_OK && !err.message[0]) abort();
    if (status == HONE_OK && skipped != HONE_OK) abort();
    if (status == HONE_OK) check(&t);
    hone_json_tensor_free(&t);
    free(text);
    free(copy);
    return 0;
}
