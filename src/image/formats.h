/* One reader for each format. Private to this room. */
#ifndef HONE_IMAGE_FORMATS_H
#define HONE_IMAGE_FORMATS_H

#include "base/memory.h"
#include "image/image.h"

/* Memory for the pixels of `out`, whose size is set; checked against the limits. */
hone_status hone_image_make(int64_t height, int64_t width, hone_image *out, hone_error *err);

/* As hone_image_read, of a file that begins as one of theirs. On failure `*out` may hold pixels; the caller frees it. */
hone_status hone_png_read(const uint8_t *data, size_t size, hone_image *out, hone_error *err);
hone_status hone_jpeg_read(const uint8_t *data, size_t size, hone_image *out, hone_error *err);
hone_status hone_webp_read(const uint8_t *data, size_t size, hone_image *out, hone_error *err);
hone_status hone_tiff_read(const uint8_t *data, size_t size, hone_image *out, hone_error *err);
hone_status hone_jpeg2000_read(const uint8_t *data, size_t size, hone_image *out, hone_error *err);
hone_status hone_bmp_read(const uint8_t *data, size_t size, hone_image *out, hone_error *err);
hone_status hone_pnm_read(const uint8_t *data, size_t size, hone_image *out, hone_error *err);

#endif
