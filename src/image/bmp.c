/* Windows bitmaps: a header, a palette, rows that are padded to 4 bytes, the lowest one first. */
#include "image/formats.h"

#include <string.h>

enum { COMPRESSION_NONE = 0, COMPRESSION_MASKS = 3, COMPRESSION_ALPHA_MASKS = 6 };

typedef struct bitmap {
    const uint8_t *data;
    size_t size, pixels; /* where they begin */
    int64_t width, height;
    bool upright; /* the highest row first */
    int bits;     /* of a pixel */
    uint32_t mask[3];
    const uint8_t *palette; /* blue, green, red, and a byte that may not be there */
    size_t entry, entries;
} bitmap;

static uint32_t number(const uint8_t *p, int bytes) {
    uint32_t n = 0;
    while (bytes-- > 0) n = n << 8 | p[bytes];
    return n;
}

static hone_status cut_short(hone_error *err) {
    return hone_fail(err, HONE_CORRUPT, "BMP: the file ends too early");
}

/* OS/2's header has sizes of 16 bits and palette entries of 3 bytes. */
static hone_status read_header(bitmap *b, hone_error *err) {
    if (b->size < 26) return cut_short(err);
    const uint8_t *h = b->data + 14;
    size_t header = number(h, 4), masks = 0;
    bool old = header == 12;
    if ((!old && header < 40) || header > b->size - 14)
        return hone_fail(err, HONE_CORRUPT, "BMP: a header of %zu bytes", header);
    b->pixels = number(b->data + 10, 4);
    b->width = old ? (int64_t)number(h + 4, 2) : (int32_t)number(h + 4, 4);
    b->height = old ? (int64_t)number(h + 6, 2) : (int32_t)number(h + 8, 4);
    b->upright = b->height < 0;
    if (b->upright) b->height = -b->height;
    b->bits = (int)number(h + (old ? 10 : 14), 2);
    uint32_t compression = old ? COMPRESSION_NONE : number(h + 16, 4);
    if (compression == COMPRESSION_MASKS || compression == COMPRESSION_ALPHA_MASKS) {
        masks = header == 40 ? (compression == COMPRESSION_MASKS ? 12 : 16) : 0;
        if (b->size < 14 + 40 + 12) return cut_short(err);
        for (int c = 0; c < 3; c++) b->mask[c] = number(h + 40 + 4 * c, 4);
    } else if (compression != COMPRESSION_NONE) {
        return hone_fail(err, HONE_UNSUPPORTED, "BMP: compression %u", compression);
    } else if (b->bits == 16) {
        memcpy(b->mask, ((uint32_t[]){0x7c00, 0x3e0, 0x1f}), sizeof b->mask);
    } else if (b->bits == 32) {
        memcpy(b->mask, ((uint32_t[]){0xff0000, 0xff00, 0xff}), sizeof b->mask);
    }
    b->entry = old ? 3 : 4;
    size_t at = 14 + header + masks;
    b->palette = b->data + (at < b->size ? at : b->size);
    b->entries = at < b->size ? (b->size - at) / b->entry : 0;
    return HONE_OK;
}

static hone_status check(const bitmap *b, size_t row, hone_error *err) {
    bool known = b->bits == 1 || b->bits == 2 || b->bits == 4 || b->bits == 8 || b->bits == 16 ||
                 b->bits == 24 || b->bits == 32;
    if (!known) return hone_fail(err, HONE_UNSUPPORTED, "BMP: pixels of %d bits", b->bits);
    if (b->pixels > b->size || row > (b->size - b->pixels) / (size_t)b->height) return cut_short(err);
    return HONE_OK;
}

/* The bits of a mask as a number of 8 bits. */
static uint8_t masked(uint32_t pixel, uint32_t mask) {
    if (!mask) return 0;
    int shift = __builtin_ctz(mask);
    uint32_t most = mask >> shift, x = (pixel & mask) >> shift;
    return (uint8_t)(((uint64_t)x * 255 + most / 2) / most);
}

static hone_status read_row(const bitmap *b, const uint8_t *row, uint8_t *to, hone_error *err) {
    for (int64_t x = 0; x < b->width; x++, to += 3) {
        if (b->bits == 24) {
            for (int c = 0; c < 3; c++) to[c] = row[3 * x + 2 - c];
        } else if (b->bits > 8) {
            uint32_t pixel = number(row + x * b->bits / 8, b->bits / 8);
            for (int c = 0; c < 3; c++) to[c] = masked(pixel, b->mask[c]);
        } else {
            int each = 8 / b->bits, shift = 8 - b->bits - (int)(x % each) * b->bits;
            size_t index = (size_t)(row[x / each] >> shift) & (((size_t)1 << b->bits) - 1);
            if (index >= b->entries) return hone_fail(err, HONE_CORRUPT, "BMP: a color beyond the palette");
            for (size_t c = 0; c < 3; c++) to[c] = b->palette[index * b->entry + 2 - c];
        }
    }
    return HONE_OK;
}

hone_status hone_bmp_read(const uint8_t *data, size_t size, hone_image *out, hone_error *err) {
    bitmap b = {.data = data, .size = size};
    HONE_TRY(read_header(&b, err));
    if (b.width < 1 || b.height < 1) return hone_fail(err, HONE_CORRUPT, "BMP: no pixels");
    size_t row = ((size_t)b.width * (size_t)b.bits + 31) / 32 * 4;
    HONE_TRY(check(&b, row, err));
    HONE_TRY(hone_image_make(b.height, b.width, out, err));
    for (int64_t y = 0; y < b.height; y++)
        HONE_TRY(read_row(&b, data + b.pixels + (size_t)y * row,
                          out->pixels + (size_t)((b.upright ? y : b.height - 1 - y) * b.width) * 3, err));
    return HONE_OK;
}
