#include "data/npy_strings.h"

#include "base/memory.h"
#include "graph/tensor.h"

#include <string.h>

size_t hone_npy_string_bytes(const hone_npy_header *h) {
    return h->characters ? 4 * h->width : h->width;
}

/* Appends a character as UTF-8; NULL: it is none. */
static char *put_character(char *to, uint32_t c) {
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return NULL;
    const int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(lead[more] | c >> 6 * more);
    for (int i = more - 1; i >= 0; i--) *to++ = (char)(0x80 | (c >> 6 * i & 0x3f));
    return to;
}

/* One element as UTF-8 in `text`, which has room for 4 bytes a character; -1: it is no text. */
static int64_t text_of(const uint8_t *element, size_t characters, char *text) {
    char *to = text;
    for (size_t i = 0; i < characters && to; i++) {
        uint32_t c;
        memcpy(&c, element + 4 * i, sizeof c);
        to = put_character(to, c);
    }
    return to ? to - text : -1;
}

static hone_status set(hone_tensor *t, int64_t i, const hone_npy_header *h, const uint8_t *element,
                       char *text, hone_error *err) {
    size_t n = hone_npy_string_bytes(h), unit = h->characters ? 4 : 1;
    static const uint8_t zeros[4];
    while (n > 0 && memcmp(element + n - unit, zeros, unit) == 0) n -= unit;
    if (n == 0) return HONE_OK;
    if (!h->characters) return hone_tensor_set_string(t, i, element, n, err);
    int64_t size = text_of(element, n / 4, text);
    if (size < 0) return hone_fail(err, HONE_CORRUPT, "element %lld is no text", (long long)i);
    return hone_tensor_set_string(t, i, text, (size_t)size, err);
}

hone_status hone_npy_strings(const hone_npy_header *h, const uint8_t *data, int64_t count, hone_tensor **out,
                             hone_error *err) {
    const size_t bytes = hone_npy_string_bytes(h);
    hone_tensor *t = NULL;
    HONE_TRY(hone_tensor_new(HONE_STRING, h->rank, h->dims, &t, err));
    char *text = hone_alloc(bytes + 1);
    hone_status status = text ? HONE_OK : hone_fail_memory(err);
    for (int64_t i = 0; i < count && status == HONE_OK; i++)
        status = set(t, i, h, data + (size_t)i * bytes, text, err);
    hone_free(text);
    if (status == HONE_OK)
        *out = t;
    else
        hone_tensor_free(t);
    return status;
}

hone_status hone_npy_string_width(const hone_tensor *t, size_t *width, hone_error *err) {
    *width = 1;
    for (int64_t i = 0; i < t->count; i++) {
        size_t size;
        const char *s = hone_tensor_string(t, i, &size);
        if (size && s[size - 1] == 0)
            return hone_fail(err, HONE_UNSUPPORTED, "element %lld ends in a zero, which NumPy would lose",
                             (long long)i);
        if (size > *width) *width = size;
    }
    return HONE_OK;
}
