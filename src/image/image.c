#include "image/formats.h"

#include <string.h>

hone_status hone_image_make(int64_t height, int64_t width, hone_image *out, hone_error *err) {
    if (height < 1 || width < 1 || height > INT32_MAX || width > INT32_MAX)
        return hone_fail(err, HONE_CORRUPT, "an image of %lld x %lld pixels", (long long)width,
                         (long long)height);
    if (width > HONE_IMAGE_MAX_PIXELS / height)
        return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "%lld x %lld pixels; Hone reads images of up to %lld",
                         (long long)width, (long long)height, (long long)HONE_IMAGE_MAX_PIXELS);
    out->pixels = hone_alloc((size_t)height * (size_t)width * 3);
    if (!out->pixels) return hone_fail_memory(err);
    out->height = (int)height;
    out->width = (int)width;
    return HONE_OK;
}

void hone_image_free(hone_image *image) {
    hone_free(image->pixels);
    *image = (hone_image){0};
}

/* What a format's files begin with; '?' is any byte. */
static const struct format {
    const char *name, *magic;
    size_t size;
    hone_status (*read)(const uint8_t *data, size_t size, hone_image *out, hone_error *err);
} formats[] = {
    {"PNG", "\x89PNG\r\n\x1a\n", 8, hone_png_read},
    {"JPEG", "\xff\xd8\xff", 3, hone_jpeg_read},
    {"WebP", "RIFF????WEBP", 12, hone_webp_read},
    {"BMP", "BM", 2, hone_bmp_read},
    {"PBM", "P1", 2, hone_pnm_read},
    {"PGM", "P2", 2, hone_pnm_read},
    {"PPM", "P3", 2, hone_pnm_read},
    {"PBM", "P4", 2, hone_pnm_read},
    {"PGM", "P5", 2, hone_pnm_read},
    {"PPM", "P6", 2, hone_pnm_read},
    {"TIFF", "II*\0", 4, hone_tiff_read},
    {"TIFF", "MM\0*", 4, hone_tiff_read},
    {"JPEG 2000", "\0\0\0\x0cjP  ", 8, hone_jpeg2000_read},
    {"JPEG 2000", "\xff\x4f\xff\x51", 4, hone_jpeg2000_read},
    {"GIF", "GIF8", 4, NULL},
};

static bool begins(const uint8_t *data, size_t size, const struct format *f) {
    for (size_t i = 0; i < f->size; i++)
        if (i >= size || (f->magic[i] != '?' && data[i] != (uint8_t)f->magic[i])) return false;
    return true;
}

hone_status hone_image_read(const void *data, size_t size, hone_image *out, hone_error *err) {
    hone_image image = {0};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const struct format *f = &formats[i];
        if (!begins(data, size, f)) continue;
        if (!f->read) return hone_fail(err, HONE_UNSUPPORTED, "an image in the format %s", f->name);
        hone_status status = f->read(data, size, &image, err);
        if (status == HONE_OK)
            *out = image;
        else
            hone_image_free(&image);
        return status;
    }
    return hone_fail(err, HONE_UNSUPPORTED, "no image of a format that Hone knows");
}
