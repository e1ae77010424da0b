/* Pictures: files of PNG, JPEG, WebP, TIFF, JPEG 2000, BMP and PNM (PBM, PGM, PPM) to pixels, told by their
 * content. Of TIFF the first picture, in strips or tiles, plain or packed by LZW, Deflate or PackBits.
 * Nothing in a file is trusted: a header that promises more than HONE_IMAGE_MAX_PIXELS, or more than its
 * bytes can hold, is refused before anything is allocated; so is what would take far more memory than its
 * pixels (TIFF) or than a file of that size is worth (JPEG 2000). */
#ifndef HONE_IMAGE_IMAGE_H
#define HONE_IMAGE_IMAGE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 8192 x 8192: 192 MB of pixels. */
#define HONE_IMAGE_MAX_PIXELS ((int64_t)1 << 26)

/* [height, width, 3], rows from the top, each pixel red, green, blue; of 8 bits, what is wider is rounded.
 * An alpha channel is dropped. */
typedef struct hone_image {
    int height, width;
    uint8_t *pixels;
} hone_image;

/* HONE_CORRUPT: the file breaks its format or ends too early; HONE_UNSUPPORTED: another format (GIF is
 * named), or a form of it that Hone lacks; HONE_RESOURCE_EXHAUSTED: too many pixels. On success
 * hone_image_free() when done. What EXIF data say of rotation is not done. */
hone_status hone_image_read(const void *data, size_t size, hone_image *out, hone_error *err);
/* The same as it was meant to be seen: JPEG files that say so (EXIF) are turned and mirrored. */
hone_status hone_image_read_upright(const void *data, size_t size, hone_image *out, hone_error *err);
void hone_image_free(hone_image *image); /* all zero is fine */

/* The brightness that ITU-R BT.601 gives a pixel, in fixed point: (19595 R + 38470 G + 7471 B) / 65536,
 * rounded. */
static inline uint8_t hone_image_gray(const uint8_t *pixel) {
    return (uint8_t)((19595u * pixel[0] + 38470u * pixel[1] + 7471u * pixel[2] + 0x8000u) >> 16);
}

/* The image in another size. Each pixel is the mean of those below it, weighted by a triangle that is as
 * wide as both pixels need (bilinear, without aliasing). HONE_INVALID_ARGUMENT: a size of none or of too
 * many pixels. */
hone_status hone_image_resize(const hone_image *in, int height, int width, hone_image *out, hone_error *err);

/* Pixels as above as a PNG file in memory, which belongs to the caller: free(). */
hone_status hone_png_write(const uint8_t *rgb, int height, int width, void **out, size_t *size,
                           hone_error *err);

#endif
