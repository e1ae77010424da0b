/* Pictures as they were meant to be seen: cameras store what their sensor reads, and note in the file (EXIF 2.32, tag 274)
 * which way up that is. */
#include "image/formats.h"

#include <string.h>

enum { ORIENTATION = 0x0112, SHORT = 3 };

typedef struct bytes {
    const uint8_t *at;
    size_t size;
    bool little;
} bytes;

/* 0 beyond the end. */
static uint32_t number(const bytes *b, size_t at, int size) {
    uint32_t x = 0;
    if (at > b->size || b->size - at < (size_t)size) return 0;
    for (int i = 0; i < size; i++) x |= (uint32_t)b->at[at + (size_t)i] << 8 * (b->little ? i : size - 1 - i);
    return x;
}

/* Of a TIFF structure: its first directory. 1 where that says nothing. */
static int read_directory(const uint8_t *data, size_t size) {
    bytes b = {data, size, false};
    if (size < 8) return 1;
    if (memcmp(data, "II*\0", 4) == 0)
        b.little = true;
    else if (memcmp(data, "MM\0*", 4) != 0)
        return 1;
    size_t at = number(&b, 4, 4), count = number(&b, at, 2);
    for (size_t i = 0; i < count && at + 2 + 12 * (i + 1) <= size; i++) {
        size_t entry = at + 2 + 12 * i;
        if (number(&b, entry, 2) != ORIENTATION || number(&b, entry + 2, 2) != SHORT) continue;
        uint32_t found = number(&b, entry + 8, 2);
        return found >= 1 && found <= 8 ? (int)found : 1;
    }
    return 1;
}

/* Goes through the segments before the picture. */
static int read_orientation(const uint8_t *data, size_t size) {
    const bytes b = {data, size, false};
    if (size < 4 || data[0] != 0xff || data[1] != 0xd8) return 1;
    for (size_t at = 2; at + 4 <= size && data[at] == 0xff;) {
        uint8_t marker = data[at + 1];
        size_t length = number(&b, at + 2, 2);
        if (marker == 0xff) { /* filling */
            at++;
            continue;
        }
        if (marker == 0xda || marker == 0xd9 || length < 2 || length > size - at - 2) return 1;
        const uint8_t *segment = data + at + 4;
        if (marker == 0xe1 && length >= 8 && memcmp(segment, "Exif\0\0", 6) == 0)
            return read_directory(segment + 6, length - 8);
        at += 2 + length;
    }
    return 1;
}

/* Which stored pixel is seen at (y, x). */
static const uint8_t *pixel_seen_at(const hone_image *in, int orientation, int y, int x) {
    int h = in->height, w = in->width, row = orientation < 5 ? y : x, column = orientation < 5 ? x : y;
    if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) row = h - 1 - row;
    if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) column = w - 1 - column;
    return in->pixels + ((size_t)row * (size_t)w + (size_t)column) * 3;
}

static hone_status turn(hone_image *image, int orientation, hone_error *err) {
    hone_image made = {0};
    bool lies = orientation >= 5;
    HONE_TRY(hone_image_make(lies ? image->width : image->height, lies ? image->height : image->width, &made,
                             err));
    uint8_t *to = made.pixels;
    for (int y = 0; y < made.height; y++)
        for (int x = 0; x < made.width; x++, to += 3) memcpy(to, pixel_seen_at(image, orientation, y, x), 3);
    hone_image_free(image);
    *image = made;
    return HONE_OK;
}

hone_status hone_image_read_upright(const void *data, size_t size, hone_image *out, hone_error *err) {
    hone_image image = {0};
    HONE_TRY(hone_image_read(data, size, &image, err));
    int orientation = read_orientation(data, size);
    hone_status status = orientation > 1 ? turn(&image, orientation, err) : HONE_OK;
    if (status == HONE_OK)
        *out = image;
    else
        hone_image_free(&image);
    return status;
}
