/* What blocks of TIFF files are packed with. TIFF 6.0, sections 9 (PackBits) and 13 (LZW); Adobe's
 * technical note 2 of 2002 (Deflate). */
#include "image/tiff.h"

#include <string.h>
#include <zlib.h>

/* How many bytes a byte can become, at most. */
enum { RATIO_PACK_BITS = 64, RATIO_LZW = 2800, RATIO_DEFLATE = 1032 };

static hone_status cut_short(hone_error *err) {
    return hone_fail(err, HONE_CORRUPT, "TIFF: the file ends too early");
}

/* A byte n: n + 1 bytes as they are, or, n being negative, the next byte 1 - n times. */
static hone_status unpack_bits(const uint8_t *x, size_t n, uint8_t *y, size_t room, hone_error *err) {
    size_t at = 0, done = 0;
    while (done < room) {
        if (at >= n) return cut_short(err);
        int code = (int8_t)x[at++];
        if (code == -128) continue;
        size_t run = (size_t)(code < 0 ? 1 - code : code + 1), from = code < 0 ? 1 : run;
        if (from > n - at) return cut_short(err);
        if (run > room - done) run = room - done;
        if (code < 0)
            memset(y + done, x[at], run);
        else
            memcpy(y + done, x + at, run);
        at += from;
        done += run;
    }
    return HONE_OK;
}

enum { LZW_CLEAR = 256, LZW_END, LZW_FIRST, LZW_CODES = 4096 };

/* Strings of the table are where they have been written before. */
typedef struct lzw {
    size_t start[LZW_CODES], length[LZW_CODES];
} lzw;

/* Codes of 9 to 12 bits, the highest bit first; they become wider one code before they must. */
static hone_status unpack_codes(lzw *t, const uint8_t *x, size_t n, uint8_t *y, size_t room,
                                hone_error *err) {
    size_t at = 0, done = 0, last_start = 0, last_length = 0;
    uint32_t bits = 0, have = 0, width = 9, next = LZW_FIRST;
    while (done < room) {
        for (; have < width; have += 8) {
            if (at >= n) return cut_short(err);
            bits = bits << 8 | x[at++];
        }
        uint32_t code = bits >> (have - width) & ((1u << width) - 1);
        have -= width;
        if (code == LZW_END) return cut_short(err);
        if (code == LZW_CLEAR) {
            width = 9;
            next = LZW_FIRST;
            last_length = 0;
            continue;
        }
        /* the string, and its first byte behind the last one: the table's next entry */
        bool known = code < LZW_CLEAR || (code >= LZW_FIRST && code < next);
        if (!known && (code != next || last_length == 0 || next >= LZW_CODES))
            return hone_fail(err, HONE_CORRUPT, "TIFF: a code that stands for nothing");
        size_t from = code < LZW_CLEAR ? done : known ? t->start[code] : last_start;
        size_t length = code < LZW_CLEAR ? 1 : known ? t->length[code] : last_length + 1;
        if (length > room - done) length = room - done;
        if (code < LZW_CLEAR) y[done] = (uint8_t)code;
        for (size_t i = 0; i < length && code > LZW_CLEAR; i++) y[done + i] = y[from + i];
        if (last_length && next < LZW_CODES) {
            t->start[next] = last_start;
            t->length[next++] = last_length + 1;
            if (next == (1u << width) - 1 && width < 12) width++;
        }
        last_start = done;
        last_length = length;
        done += length;
    }
    return HONE_OK;
}

static hone_status unpack_lzw(const uint8_t *x, size_t n, uint8_t *y, size_t room, hone_error *err) {
    if (n > 1 && x[0] == 0 && (x[1] & 1)) /* before TIFF 6.0: the lowest bit first */
        return hone_fail(err, HONE_UNSUPPORTED, "TIFF: LZW of an old form");
    lzw *t = hone_alloc(sizeof *t);
    if (!t) return hone_fail_memory(err);
    hone_status status = unpack_codes(t, x, n, y, room, err);
    hone_free(t);
    return status;
}

static void *take(void *opaque, uInt count, uInt size) {
    (void)opaque;
    return hone_calloc(count, size);
}

static void give_back(void *opaque, void *block) {
    (void)opaque;
    hone_free(block);
}

static hone_status inflate_block(const uint8_t *x, size_t n, uint8_t *y, size_t room, hone_error *err) {
    z_stream z = {.zalloc = take,
                  .zfree = give_back,
                  .next_in = (Bytef *)(uintptr_t)x,
                  .avail_in = (uInt)n,
                  .next_out = y,
                  .avail_out = (uInt)room};
    if (n > UINT32_MAX || room > UINT32_MAX)
        return hone_fail(err, HONE_UNSUPPORTED, "TIFF: a block of %zu bytes", n);
    if (inflateInit(&z) != Z_OK) return hone_fail_memory(err);
    int code = inflate(&z, Z_SYNC_FLUSH);
    inflateEnd(&z);
    if (code == Z_MEM_ERROR) return hone_fail_memory(err);
    if (z.avail_out == 0) return HONE_OK;
    if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR) return cut_short(err);
    return hone_fail(err, HONE_CORRUPT, "TIFF: a block is no Deflate data");
}

size_t hone_tiff_ratio(int compression) {
    switch (compression) {
    case HONE_TIFF_PLAIN: return 1;
    case HONE_TIFF_LZW: return RATIO_LZW;
    case HONE_TIFF_DEFLATE:
    case HONE_TIFF_OLD_DEFLATE: return RATIO_DEFLATE;
    case HONE_TIFF_PACK_BITS: return RATIO_PACK_BITS;
    default: return 0;
    }
}

hone_status hone_tiff_unpack(int compression, const uint8_t *x, size_t n, uint8_t *y, size_t room,
                             hone_error *err) {
    switch (compression) {
    case HONE_TIFF_LZW: return unpack_lzw(x, n, y, room, err);
    case HONE_TIFF_PACK_BITS: return unpack_bits(x, n, y, room, err);
    case HONE_TIFF_PLAIN:
        if (n < room) return cut_short(err);
        memcpy(y, x, room);
        return HONE_OK;
    default: return inflate_block(x, n, y, room, err);
    }
}
