#include "base/memory.h"
#include "data/source.h"

#include <zlib.h>

typedef struct gzip_source {
    hone_source base;
    hone_source *inner;
    z_stream stream;
    bool member_done; /* between two members */
    uint8_t in[64 << 10];
} gzip_source;

static void *zlib_alloc(void *user, unsigned count, unsigned size) {
    (void)user;
    return hone_calloc(count, size);
}

static void zlib_free(void *user, void *block) {
    (void)user;
    hone_free(block);
}

static hone_status read_gzip(hone_source *s, void *to, size_t size, size_t *got, hone_error *err) {
    gzip_source *g = (gzip_source *)s;
    z_stream *z = &g->stream;
    uInt want = size < (1u << 30) ? (uInt)size : 1u << 30;
    z->next_out = to;
    z->avail_out = want;
    while (z->avail_out == want) {
        if (z->avail_in == 0) {
            size_t n = 0;
            HONE_TRY(g->inner->read(g->inner, g->in, sizeof g->in, &n, err));
            if (n == 0 && g->member_done) break;
            if (n == 0) return hone_fail(err, HONE_CORRUPT, "the gzip data ends too early");
            z->next_in = g->in;
            z->avail_in = (uInt)n;
        }
        if (g->member_done) {
            inflateReset(z);
            g->member_done = false;
        }
        int code = inflate(z, Z_NO_FLUSH);
        if (code == Z_MEM_ERROR) return hone_fail_memory(err);
        if (code == Z_STREAM_END)
            g->member_done = true;
        else if (code != Z_OK)
            return hone_fail(err, HONE_CORRUPT, "bad gzip data%s%s", z->msg ? ": " : "",
                             z->msg ? z->msg : "");
    }
    *got = want - z->avail_out;
    return HONE_OK;
}

static void close_gzip(hone_source *s) {
    gzip_source *g = (gzip_source *)s;
    inflateEnd(&g->stream);
    hone_source_close(g->inner);
    hone_free(g);
}

hone_status hone_source_gunzip(hone_source *inner, hone_source **out, hone_error *err) {
    gzip_source *g = hone_calloc(1, sizeof *g);
    if (!g) {
        hone_source_close(inner);
        return hone_fail_memory(err);
    }
    g->base = (hone_source){.read = read_gzip, .close = close_gzip, .limit = UINT64_MAX};
    if (inner->limit < UINT64_MAX / HONE_DEFLATE_RATIO) g->base.limit = inner->limit * HONE_DEFLATE_RATIO;
    g->inner = inner;
    g->stream.zalloc = zlib_alloc;
    g->stream.zfree = zlib_free;
    if (inflateInit2(&g->stream, 16 + MAX_WBITS) != Z_OK) {
        hone_source_close(inner);
        hone_free(g);
        return hone_fail_memory(err);
    }
    *out = &g->base;
    return HONE_OK;
}
