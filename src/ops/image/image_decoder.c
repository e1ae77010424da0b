/* ImageDecoder: how large a picture is, only its file knows. Decoders take memory while they run. */
#include "graph/infer.h"
#include "graph/run.h"
#include "image/image.h"

#include <string.h>

typedef enum pixel_format { RGB, BGR, GRAYSCALE, FORMATS } pixel_format;
static const char *const names[FORMATS] = {"RGB", "BGR", "Grayscale"};

static pixel_format format_of(const hone_node *n) {
    const char *name = hone_node_string(n, "pixel_format");
    int i = 0;
    while (i < FORMATS && strcmp(names[i], name) != 0) i++;
    return (pixel_format)i;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    pixel_format format = format_of(ctx->node);
    if (format == FORMATS)
        return hone_infer_fail(ctx, err, "pixel_format is one of RGB, BGR and Grayscale, not %.32s",
                               hone_node_string(ctx->node, "pixel_format"));
    if (ctx->in[0]->rank >= 0 && ctx->in[0]->rank != 1)
        return hone_infer_fail(ctx, err, "the input is the bytes of a file: of rank 1, not %d",
                               ctx->in[0]->rank);
    ctx->out[0].rank = 3;
    ctx->out[0].dims[0] = ctx->out[0].dims[1] = HONE_DIM_ANY;
    ctx->out[0].dims[2] = format == GRAYSCALE ? 1 : 3;
    return HONE_OK;
}

#ifndef HONE_PARTS_INFERENCE
typedef struct params {
    pixel_format format;
    size_t size; /* bytes of the file */
} params;

static void write_pixels(const hone_image *image, pixel_format format, uint8_t *y) {
    const uint8_t *x = image->pixels;
    size_t count = (size_t)image->height * (size_t)image->width;
    if (format == RGB) memcpy(y, x, 3 * count);
    for (size_t i = 0; i < count && format == GRAYSCALE; i++) y[i] = hone_image_gray(x + 3 * i);
    for (size_t i = 0; i < 3 * count && format == BGR; i += 3) {
        y[i] = x[i + 2];
        y[i + 1] = x[i + 1];
        y[i + 2] = x[i];
    }
}

/* A file that breaks its format has no pixels, as ONNX wants it; one of a format that Hone lacks is an error. */
static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    hone_image image = {0};
    void *y;
    hone_status status = hone_image_read(hone_step_in(step, frame, 0), p->size, &image, err);
    if (status == HONE_CORRUPT) status = HONE_OK;
    if (status == HONE_OK)
        status =
            frame->output(frame, step, 0, 3,
                          (int64_t[]){image.height, image.width, p->format == GRAYSCALE ? 1 : 3}, &y, err);
    if (status == HONE_OK && y) write_pixels(&image, p->format, y);
    hone_image_free(&image);
    return status;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){format_of(p->node), (size_t)hone_type_count(p->in[0])};
    p->params = q;
    p->run = run;
    p->kernel = "image";
    return HONE_OK;
}

#endif

const hone_op hone_op_image_decoder = {
    .name = "ImageDecoder",
    .since = 20,
    .oldest = 20,
    .inputs = HONE_SLOTS({"encoded_stream", 0, HONE_TYPE(HONE_UINT8), 0}),
    .outputs = HONE_SLOTS({"image", 0, HONE_TYPE(HONE_UINT8), 0}),
    .attrs = HONE_ATTRS({"pixel_format", HONE_ATTR_STRING, .s = "RGB"}),
    .infer = infer,
    .run_shapes = 1,
#ifdef HONE_PARTS_INFERENCE
    .left_out = true,
#else
    .prepare = prepare,
#endif
    .gradient_kind = HONE_GRADIENT_ZERO,
    .doc = "the pixels [height, width, channels] of a PNG, JPEG, WebP, TIFF, JPEG 2000, BMP or PNM file"};
