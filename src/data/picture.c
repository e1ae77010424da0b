/* A picture's file to the tensor that a model reads. */
#include "base/error.h"
#include "base/file.h"
#include "graph/tensor.h"
#include "image/image.h"

#include <hone/data.h>

#include <string.h>

#define LIMIT ((size_t)1 << 28) /* bytes of a file */

static hone_status check(const hone_image_options *o, hone_error *err) {
    HONE_TRY(hone_check_options_size(o->size, sizeof *o, err));
    if ((o->channels != 1 && o->channels != 3) || o->rank < 2 || o->rank > 4 ||
        (o->rank == 2 && o->channels != 1))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "no picture has rank %d and %d channels", o->rank,
                         o->channels);
    bool sized = o->height > 0 && o->width > 0;
    if ((!sized && (o->height || o->width)) || o->shorter_side < 0 || !(o->scale > 0))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a size or scale that makes no picture");
    for (int c = 0; c < o->channels; c++)
        if (!(o->deviation[c] > 0))
            return hone_fail(err, HONE_INVALID_ARGUMENT, "a deviation that is not above 0");
    return HONE_OK;
}

/* The shorter side becomes `side`, the other one keeps the ratio. */
static hone_status shorten(hone_image *image, int side, hone_error *err) {
    int64_t h = image->height, w = image->width, least = h < w ? h : w;
    hone_image made;
    HONE_TRY(hone_image_resize(image, (int)(h * side / least), (int)(w * side / least), &made, err));
    hone_image_free(image);
    *image = made;
    return HONE_OK;
}

/* The middle of it, in place. */
static hone_status cut_out(hone_image *image, int height, int width, hone_error *err) {
    if (image->height < height || image->width < width)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "no %d x %d pixels can be cut out of %d x %d", width,
                         height, image->width, image->height);
    size_t from = 3 * (size_t)image->width, to = 3 * (size_t)width;
    int top = (image->height - height) / 2, left = (image->width - width) / 2;
    for (int y = 0; y < height; y++)
        memmove(image->pixels + (size_t)y * to, image->pixels + (size_t)(top + y) * from + 3 * (size_t)left,
                to);
    image->height = height;
    image->width = width;
    return HONE_OK;
}

static hone_status fit(hone_image *image, const hone_image_options *o, hone_error *err) {
    if (o->shorter_side) {
        HONE_TRY(shorten(image, o->shorter_side, err));
        return o->height ? cut_out(image, o->height, o->width, err) : HONE_OK;
    }
    if (!o->height || (o->height == image->height && o->width == image->width)) return HONE_OK;
    hone_image made;
    HONE_TRY(hone_image_resize(image, o->height, o->width, &made, err));
    hone_image_free(image);
    *image = made;
    return HONE_OK;
}

/* Element by element: what lies where, and what becomes of 256 values. */
static hone_status make_tensor(const hone_image *image, const hone_image_options *o, hone_tensor **out,
                               hone_error *err) {
    int64_t h = image->height, w = image->width, channels = o->channels, pixels = h * w;
    int64_t first[4] = {1, channels, h, w}, last[4] = {1, h, w, channels}, flat[2] = {h, w};
    const int64_t *dims = o->rank == 2 ? flat : (o->channels_last ? last : first) + (4 - o->rank);
    hone_dtype dtype = o->bytes ? HONE_UINT8 : HONE_FLOAT32;
    int64_t step = o->channels_last ? channels : 1, plane = o->channels_last ? 1 : pixels;
    hone_tensor *t = NULL;
    HONE_TRY(hone_tensor_new(dtype, o->rank, dims, &t, err));
    for (int64_t c = 0; c < channels; c++) {
        float values[256];
        for (int x = 0; x < 256; x++) values[x] = (float)((x / o->scale - o->mean[c]) / o->deviation[c]);
        for (int64_t i = 0; i < pixels; i++) {
            const uint8_t *pixel = image->pixels + 3 * i;
            uint8_t x = channels == 1 ? hone_image_gray(pixel) : pixel[c];
            int64_t at = i * step + c * plane;
            if (o->bytes)
                ((uint8_t *)t->data)[at] = x;
            else
                ((float *)t->data)[at] = values[x];
        }
    }
    *out = t;
    return HONE_OK;
}

hone_status hone_image_load(const char *path, const hone_image_options *options, hone_tensor **out,
                            hone_error *err) {
    hone_image_options preset = HONE_IMAGE_OPTIONS_INIT;
    const hone_image_options *o = options ? options : &preset;
    hone_blob blob;
    hone_image image = {0};
    HONE_TRY(check(o, err));
    HONE_TRY(hone_file_read(path, LIMIT, &blob, err));
    hone_status status = hone_image_read_upright(blob.data, blob.size, &image, err);
    hone_blob_free(&blob);
    if (status == HONE_OK) status = fit(&image, o, err);
    if (status == HONE_OK) status = make_tensor(&image, o, out, err);
    hone_image_free(&image);
    return hone_error_in_file(err, status, path);
}
