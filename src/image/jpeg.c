#include "image/formats.h"

#include <stdio.h>

#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>

/* Each scan of a progressive file goes over all pixels: no camera writes more than a dozen. */
enum { MAX_SCANS = 500 };

typedef struct reading {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf leave;
    const char *reason; /* ours, on failure; NULL: libjpeg's */
    uint8_t *row;       /* of four colors */
} reading;

static void fail(j_common_ptr jpeg) {
    reading *r = jpeg->client_data;
    longjmp(r->leave, 1);
}

/* Warnings are about bytes between markers and the like; a picture that ends too early is no picture. */
static void warn(j_common_ptr jpeg, int level) {
    reading *r = jpeg->client_data;
    int code = jpeg->err->msg_code;
    if (level >= 0) return;
    if (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE) longjmp(r->leave, 1);
}

static void say_nothing(j_common_ptr jpeg) {
    (void)jpeg;
}

static void count_scans(j_common_ptr jpeg) {
    reading *r = jpeg->client_data;
    if (r->jpeg.input_scan_number <= MAX_SCANS) return;
    r->reason = "too many scans";
    longjmp(r->leave, 1);
}

/* Inks to light; Adobe's files hold them inverted, as all do that are about. */
static void from_inks(const reading *r, uint8_t *to) {
    for (JDIMENSION x = 0; x < r->jpeg.output_width; x++)
        for (unsigned c = 0; c < 3; c++)
            to[3 * x + c] = (uint8_t)((r->row[4 * x + c] * r->row[4 * x + 3] + 127) / 255);
}

static hone_status read_rows(reading *r, hone_image *out, hone_error *err) {
    bool inks = r->jpeg.out_color_space == JCS_CMYK;
    HONE_TRY(hone_image_make(r->jpeg.output_height, r->jpeg.output_width, out, err));
    if (inks && !(r->row = hone_alloc((size_t)out->width * 4))) return hone_fail_memory(err);
    while (r->jpeg.output_scanline < r->jpeg.output_height) {
        uint8_t *to = out->pixels + (size_t)r->jpeg.output_scanline * (size_t)out->width * 3;
        JSAMPROW row = inks ? r->row : to;
        jpeg_read_scanlines(&r->jpeg, &row, 1);
        if (inks) from_inks(r, to);
    }
    jpeg_finish_decompress(&r->jpeg);
    return HONE_OK;
}

/* libjpeg leaves by longjmp: what is needed afterwards is in `r`. */
static hone_status decode(reading *r, const uint8_t *data, size_t size, hone_image *out, hone_error *err) {
    char message[JMSG_LENGTH_MAX];
    if (setjmp(r->leave)) {
        r->errors.format_message((j_common_ptr)&r->jpeg, message);
        bool memory = r->errors.msg_code == JERR_OUT_OF_MEMORY;
        return memory ? hone_fail_memory(err)
                      : hone_fail(err, HONE_CORRUPT, "JPEG: %s", r->reason ? r->reason : message);
    }
    jpeg_create_decompress(&r->jpeg);
    r->jpeg.client_data = r;
    r->jpeg.progress = &r->progress;
    r->progress.progress_monitor = count_scans;
    jpeg_mem_src(&r->jpeg, data, (unsigned long)size);
    jpeg_read_header(&r->jpeg, TRUE);
    if (r->jpeg.image_width > HONE_IMAGE_MAX_PIXELS / r->jpeg.image_height)
        return hone_image_make(r->jpeg.image_height, r->jpeg.image_width, out, err); /* says so */
    bool inks = r->jpeg.jpeg_color_space == JCS_CMYK || r->jpeg.jpeg_color_space == JCS_YCCK;
    r->jpeg.out_color_space = inks ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&r->jpeg);
    return read_rows(r, out, err);
}

hone_status hone_jpeg_read(const uint8_t *data, size_t size, hone_image *out, hone_error *err) {
    reading *r = hone_calloc(1, sizeof *r);
    if (!r) return hone_fail_memory(err);
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->jpeg.client_data = r; /* errors come before it is created, too */
    r->errors.error_exit = fail;
    r->errors.emit_message = warn;
    r->errors.output_message = say_nothing;
    hone_status status = decode(r, data, size, out, err);
    jpeg_destroy_decompress(&r->jpeg);
    hone_free(r->row);
    hone_free(r);
    return status;
}
