#include "base/error.h"
#include "image/image.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

typedef struct bytes {
    uint8_t *data;
    size_t size, capacity;
    bool failed;
} bytes;

static void take(png_structp png, png_bytep data, size_t size) {
    bytes *b = png_get_io_ptr(png);
    if (b->size + size > b->capacity) {
        size_t capacity = 2 * (b->size + size);
        uint8_t *more = b->failed ? NULL : realloc(b->data, capacity);
        if (!more) {
            b->failed = true;
            return;
        }
        b->data = more;
        b->capacity = capacity;
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void flush_nothing(png_structp png) {
    (void)png;
}

hone_status hone_png_write(const uint8_t *rgb, int height, int width, void **out, size_t *size,
                           hone_error *err) {
    bytes b = {NULL};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info || setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        free(b.data);
        return hone_fail_memory(err);
    }
    png_set_write_fn(png, &b, take, flush_nothing);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int y = 0; y < height; y++)
        png_write_row(png, (png_bytep)(uintptr_t)(rgb + (size_t)y * (size_t)width * 3));
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    if (b.failed) {
        free(b.data);
        return hone_fail_memory(err);
    }
    *out = b.data;
    *size = b.size;
    return HONE_OK;
}
