/* What the fuzz targets of the front ends over REST share besides. */
#include "front_target.h"

/* The first `size` bytes of the answer are one JSON value and nothing else. */
static void check_json(const answer *a, size_t size) {
    char *text = calloc(1, size + HONE_JSON_PAD);
    hone_json j;
    if (!text || size > a->body.size) abort();
    if (size) memcpy(text, a->body.data, size);
    hone_json_init(&j, text, size);
    if (hone_json_skip(&j, NULL) != HONE_OK) abort();
    hone_json_peek(&j);
    if (j.cursor != j.end) abort();
    free(text);
}

static void check_head(const answer *a) {
    if (a->length != (int64_t)a->body.size || a->status < 200 || a->status >= 505) abort();
}

/* `data` as a body: borrowed, and never changed. */
static hone_buffer body_of(const uint8_t *data, size_t size) {
    return (hone_buffer){.data = (char *)(uintptr_t)data, .size = size};
}
