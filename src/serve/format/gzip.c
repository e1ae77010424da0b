#include "serve/format/gzip.h"

#include "base/error.h"
#include "base/memory.h"

#include <limits.h>
#include <strings.h>
#include <zlib.h>

enum {
    GZIP_WINDOW = 15 + 16,
    MEMORY_LEVEL = 8,
    STEP = 64 << 10,
    TRAILER = 4,
    SPARE = 64,       /* so that the end of the data is seen without growing */
    RATIO_MOST = 1032 /* of deflate */
};

struct hone_gzip {
    z_stream in, out;
    bool in_ready, out_ready;
};

static hone_status too_large(size_t limit, hone_error *err) {
    return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "the body unpacks to more than %zu bytes (--max-body)",
                     limit);
}

static void *take(void *opaque, uInt count, uInt size) {
    (void)opaque;
    return hone_calloc(count, size);
}
static void give(void *opaque, void *block) {
    (void)opaque;
    hone_free(block);
}

void hone_gzip_free(hone_gzip *z) {
    if (!z) return;
    if (z->in_ready) inflateEnd(&z->in);
    if (z->out_ready) deflateEnd(&z->out);
    hone_free(z);
}

static bool prepare(hone_gzip **z, bool packing) {
    if (!*z) *z = hone_calloc(1, sizeof **z);
    if (!*z) return false;
    z_stream *s = packing ? &(*z)->out : &(*z)->in;
    bool *ready = packing ? &(*z)->out_ready : &(*z)->in_ready;
    if (*ready) return (packing ? deflateReset(s) : inflateReset(s)) == Z_OK;
    s->zalloc = take;
    s->zfree = give;
    *ready =
        (packing ? deflateInit2(s, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY)
                 : inflateInit2(s, GZIP_WINDOW)) == Z_OK;
    return *ready;
}

size_t hone_gzip_says(const void *data, size_t size) {
    if (size < TRAILER) return 0;
    const uint8_t *p = (const uint8_t *)data + size - TRAILER;
    size_t says = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    return says / RATIO_MOST < size ? says : RATIO_MOST * size;
}

hone_status hone_gzip_unpack(hone_gzip **z, const void *data, size_t size, size_t limit, hone_buffer *out,
                             hone_error *err) {
    if (size > UINT_MAX) return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "the packed body is too large");
    if (!prepare(z, false)) return hone_fail_memory(err);
    z_stream *s = &(*z)->in;
    size_t start = out->size, says = hone_gzip_says(data, size);
    if (limit && says > limit) says = limit; /* it may lie */
    if (!hone_buffer_reserve(out, says + SPARE)) return hone_fail_memory(err);
    s->next_in = (Bytef *)(uintptr_t)data;
    s->avail_in = (uInt)size;
    for (int code = Z_OK; code != Z_STREAM_END;) {
        if (out->size == out->capacity && !hone_buffer_reserve(out, STEP)) return hone_fail_memory(err);
        size_t room = out->capacity - out->size;
        if (room > STEP) room = STEP;
        s->next_out = (Bytef *)out->data + out->size;
        s->avail_out = (uInt)room;
        code = inflate(s, Z_NO_FLUSH);
        out->size += room - s->avail_out;
        if (limit && out->size - start > limit) return too_large(limit, err);
        if (code == Z_MEM_ERROR) return hone_fail_memory(err);
        if (code != Z_OK && code != Z_STREAM_END)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the body is not gzip, or cut off");
    }
    if (s->avail_in > 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the body goes on behind its gzip data");
    return HONE_OK;
}

bool hone_gzip_pack(hone_gzip **z, const void *data, size_t size, hone_buffer *out) {
    size_t start = out->size;
    if (size > UINT_MAX / 2 || !prepare(z, true)) return false;
    z_stream *s = &(*z)->out;
    size_t most = deflateBound(s, (uLong)size);
    if (!hone_buffer_reserve(out, most)) return false;
    s->next_in = (Bytef *)(uintptr_t)data;
    s->avail_in = (uInt)size;
    s->next_out = (Bytef *)out->data + start;
    s->avail_out = (uInt)most;
    if (deflate(s, Z_FINISH) != Z_STREAM_END) return false;
    out->size = start + most - s->avail_out;
    return true;
}

static hone_slice trim(hone_slice s) {
    while (s.size > 0 && (*s.data == ' ' || *s.data == '\t')) s.data++, s.size--;
    while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t')) s.size--;
    return s;
}

/* What comes before `c`; *rest is what comes behind it. */
static hone_slice before(hone_slice s, char c, hone_slice *rest) {
    const char *at = s.size ? memchr(s.data, c, s.size) : NULL;
    size_t n = at ? (size_t)(at - s.data) : s.size, skip = at ? n + 1 : n;
    *rest = (hone_slice){s.data + skip, s.size - skip};
    return trim((hone_slice){s.data, n});
}

/* ";q=0", ";q=0.000": not wanted. */
static bool is_refused(hone_slice parameters) {
    parameters = trim(parameters);
    if (parameters.size < 3 || strncasecmp(parameters.data, "q=0", 3) != 0) return false;
    for (size_t i = 3; i < parameters.size; i++)
        if (parameters.data[i] != '.' && parameters.data[i] != '0') return false;
    return true;
}

bool hone_gzip_accepted(hone_slice list) {
    bool any = false;
    while (list.size > 0) {
        hone_slice item = before(list, ',', &list), parameters;
        hone_slice coding = before(item, ';', &parameters);
        if (hone_slice_equal_nocase(coding, "gzip") || hone_slice_equal_nocase(coding, "x-gzip"))
            return !is_refused(parameters);
        if (hone_slice_equal_nocase(coding, "*")) any = !is_refused(parameters);
    }
    return any;
}
