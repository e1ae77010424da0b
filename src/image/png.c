#include "image/formats.h"

#include <png.h>
#include <stdio.h>
#include <string.h>

/* Deflate gives at most 258 bytes for two bits. */
enum { DEFLATE_RATIO = 1032 };

typedef struct reading {
    const uint8_t *data;
    size_t size, at;
    char message[128]; /* libpng's, on failure */
    png_structp png;
    png_infop info;
    png_bytep *rows;
} reading;

static void fail(png_structp png, png_const_charp message) {
    reading *r = png_get_error_ptr(png);
    snprintf(r->message, sizeof r->message, "%s", message);
    png_longjmp(png, 1);
}

static void warn(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void *take(png_structp png, png_alloc_size_t size) {
    (void)png;
    return hone_alloc(size);
}

static void give_back(png_structp png, void *block) {
    (void)png;
    hone_free(block);
}

static void read_bytes(png_structp png, png_bytep to, size_t size) {
    reading *r = png_get_io_ptr(png);
    if (size > r->size - r->at) png_error(png, "the file ends too early");
    memcpy(to, r->data + r->at, size);
    r->at += size;
}

/* Whatever there is becomes red, green and blue of 8 bits. */
static void choose_transforms(reading *r) {
    png_set_expand(r->png);
    png_set_scale_16(r->png);
    png_set_gray_to_rgb(r->png);
    png_set_strip_alpha(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
}

/* libpng leaves by longjmp: what is needed afterwards is in `r`, and nothing else is held here. */
static hone_status decode(reading *r, hone_image *out, hone_error *err) {
    if (setjmp(png_jmpbuf(r->png))) return hone_fail(err, HONE_CORRUPT, "PNG: %s", r->message);
    png_set_read_fn(r->png, r, read_bytes);
    png_set_chunk_malloc_max(r->png, 8 << 20); /* texts and profiles, which nobody reads */
    png_read_info(r->png, r->info);
    png_uint_32 height = png_get_image_height(r->png, r->info), width = png_get_image_width(r->png, r->info);
    if (png_get_rowbytes(r->png, r->info) > r->size * DEFLATE_RATIO / height)
        return hone_fail(err, HONE_CORRUPT, "PNG: more pixels than the file can hold");
    choose_transforms(r);
    HONE_TRY(hone_image_make(height, width, out, err));
    if (png_get_rowbytes(r->png, r->info) != (size_t)width * 3)
        return hone_fail(err, HONE_INTERNAL, "PNG: rows of another size");
    r->rows = hone_alloc(height * sizeof *r->rows);
    if (!r->rows) return hone_fail_memory(err);
    for (png_uint_32 y = 0; y < height; y++) r->rows[y] = out->pixels + (size_t)y * width * 3;
    png_read_image(r->png, r->rows);
    png_read_end(r->png, NULL);
    return HONE_OK;
}

hone_status hone_png_read(const uint8_t *data, size_t size, hone_image *out, hone_error *err) {
    reading r = {.data = data, .size = size};
    r.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, fail, warn, NULL, take, give_back);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    hone_status status = r.info ? decode(&r, out, err) : hone_fail_memory(err);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    hone_free(r.rows);
    return status;
}
