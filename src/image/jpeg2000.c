/* JPEG 2000: codestreams alone and in JP2 files, by OpenJPEG. What a codestream says of its size is looked
 * at first. */
#include "image/formats.h"

#include <openjpeg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_TILES = 4096, MOST_COMPONENTS = 4 };
enum { MOST_RATIO = 2048 }; /* pixels of a byte: no picture with anything in it has more */
/* Memory that decoding may take: some, and for each byte of the file so much. Each block of coefficients
 * takes BLOCK_BYTES. */
enum { MOST_MEMORY = 64 << 20, MOST_GROWTH = 512, BLOCK_BYTES = 512 };

typedef struct reading {
    const uint8_t *data;
    size_t size, at;
    char message[160]; /* OpenJPEG's, on failure */
    opj_codec_t *codec;
    opj_stream_t *stream;
    opj_image_t *image;
} reading;

static uint32_t number(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* --- before decoding --- */

/* The codestream of a JP2 file: the content of the first box "jp2c". */
static hone_status find_codestream(const uint8_t *data, size_t size, const uint8_t **out, size_t *n,
                                   hone_error *err) {
    *out = data;
    *n = size;
    if (size >= 4 && number(data) == 0xff4fff51) return HONE_OK;
    for (size_t at = 0; size - at >= 8;) {
        uint64_t length = number(data + at), head = 8;
        if (length == 1) {
            if (size - at < 16) break;
            length = (uint64_t)number(data + at + 8) << 32 | number(data + at + 12);
            head = 16;
        }
        if (memcmp(data + at + 4, "jp2c", 4) == 0) {
            *out = data + at + head;
            *n = size - at - head;
            return HONE_OK;
        }
        if (length < head || length > size - at) break;
        at += length;
    }
    return hone_fail(err, HONE_CORRUPT, "JPEG 2000: the file ends too early");
}

/* The palettes of a JP2 file, in boxes "pclr": each column becomes a component, as large as the picture. Its content begins with
 * the number of colors, in two bytes, and that of columns. */
static hone_status check_palettes(const uint8_t *data, size_t size, hone_error *err) {
    const uint8_t *end = data + size, *p;
    while ((p = memmem(data, (size_t)(end - data), "pclr", 4)) && end - p > 6) {
        if (p[6] > MOST_COMPONENTS)
            return hone_fail(err, HONE_UNSUPPORTED, "JPEG 2000: a palette of %d columns", p[6]);
        data = p + 4;
    }
    return HONE_OK;
}

/* The area of the smallest block of coefficients, that `style` declares: levels, the block's exponents less
 * 2, two bytes, and where `own` is set the exponents of a precinct for each resolution, which cut blocks. */
static void note_blocks(const uint8_t *style, const uint8_t *end, bool own, uint64_t *area) {
    if (end - style < 5) return;
    for (int r = 0; r <= style[0] && r <= 32; r++) {
        int x = (style[1] & 15) + 2, y = (style[2] & 15) + 2;
        if (own && style + 5 + r < end) {
            int cut = r > 0, px = style[5 + r] & 15, py = style[5 + r] >> 4;
            if (px - cut < x) x = px > cut ? px - cut : 0;
            if (py - cut < y) y = py > cut ? py - cut : 0;
        }
        if (*area > (uint64_t)1 << (x + y)) *area = (uint64_t)1 << (x + y);
    }
}

static uint32_t half(const uint8_t *p) {
    return (uint32_t)p[0] << 8 | p[1];
}

/* The smallest area of a block that a codestream declares, in its header or those of its tiles: segments of a
 * marker, the length behind it, and content. */
static hone_status find_blocks(const uint8_t *s, size_t n, uint64_t *area, hone_error *err) {
    enum { COD = 0xff52, COC, SOT = 0xff90, SOD = 0xff93, EOC = 0xffd9 };
    size_t tile = 0, at = 2;
    *area = 1 << 12; /* 64 x 64: no block is larger */
    while (n - at >= 4 && at < n) {
        const uint8_t *p = s + at;
        uint32_t marker = half(p), length = half(p + 2);
        if (marker == EOC) break;
        if (marker == SOD) { /* on to the next part of a tile */
            uint32_t part = number(s + tile + 6);
            if (!tile || part <= at - tile || part > n - tile) break; /* always further on */
            at = tile + part;
            continue;
        }
        if (marker < 0xff50 || (marker > 0xff7f && marker != SOT) || length < 2)
            return hone_fail(err, HONE_CORRUPT, "JPEG 2000: no marker where one should be");
        if (length > n - at - 2) break;
        const uint8_t *end = p + 2 + length;
        if (marker == SOT && length >= 10) tile = at;
        if (marker == COD && length > 10) note_blocks(p + 9, end, p[4] & 1, area);
        if (marker == COC && length > 7) note_blocks(p + 6, end, p[5] & 1, area);
        at += 2 + length;
    }
    return HONE_OK;
}

/* What OpenJPEG takes: numbers of 4 bytes, and what it notes of blocks. */
static hone_status check_memory(const uint8_t *s, size_t n, uint64_t pixels, uint64_t components,
                                hone_error *err) {
    uint64_t area;
    HONE_TRY(find_blocks(s, n, &area, err));
    uint64_t bytes = pixels * 3 + pixels * components * (4 + BLOCK_BYTES / area);
    if (bytes <= MOST_MEMORY + (uint64_t)n * MOST_GROWTH) return HONE_OK;
    return hone_fail(err, HONE_RESOURCE_EXHAUSTED,
                     "JPEG 2000: decoding would take %llu MB, too much for a file of %zu bytes",
                     (unsigned long long)(bytes >> 20), n);
}

/* The marker SIZ: Rsiz, the grid's size and origin, a tile's size and origin, components; at bytes 6, 8 …
 * 24 … 40. */
static hone_status check_size(const uint8_t *data, size_t size, hone_error *err) {
    const uint8_t *s;
    size_t n;
    HONE_TRY(find_codestream(data, size, &s, &n, err));
    HONE_TRY(check_palettes(data, (size_t)(s - data), err));
    if (n < 42) return hone_fail(err, HONE_CORRUPT, "JPEG 2000: the file ends too early");
    if (number(s) != 0xff4fff51) return hone_fail(err, HONE_CORRUPT, "JPEG 2000: no codestream");
    uint64_t width = number(s + 8), height = number(s + 12), left = number(s + 16), top = number(s + 20),
             tile_width = number(s + 24), tile_height = number(s + 28), components = s[40] * 256u + s[41];
    if (width <= left || height <= top || !tile_width || !tile_height)
        return hone_fail(err, HONE_CORRUPT, "JPEG 2000: no pixels");
    uint64_t pixels = (width - left) * (height - top);
    if (pixels > (uint64_t)HONE_IMAGE_MAX_PIXELS)
        return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "%llu x %llu pixels; Hone reads images of up to %lld",
                         (unsigned long long)(width - left), (unsigned long long)(height - top),
                         (long long)HONE_IMAGE_MAX_PIXELS);
    if (components < 1 || components > MOST_COMPONENTS)
        return hone_fail(err, HONE_UNSUPPORTED, "JPEG 2000: %llu components", (unsigned long long)components);
    if (pixels / MOST_RATIO > n)
        return hone_fail(err, HONE_CORRUPT, "JPEG 2000: more pixels than the file can hold");
    if ((width / tile_width + 1) * (height / tile_height + 1) > MOST_TILES)
        return hone_fail(err, HONE_UNSUPPORTED, "JPEG 2000: more than %d tiles", MOST_TILES);
    bool palette = memmem(data, (size_t)(s - data), "pclr", 4) != NULL;
    return check_memory(s, n, pixels, palette ? MOST_COMPONENTS : components, err);
}

/* --- OpenJPEG --- */

static void keep_message(const char *message, void *arg) {
    reading *r = arg;
    if (!r->message[0]) snprintf(r->message, sizeof r->message, "%.*s", (int)strcspn(message, "\n"), message);
}

static void say_nothing(const char *message, void *arg) {
    (void)message;
    (void)arg;
}

static OPJ_SIZE_T read_bytes(void *to, OPJ_SIZE_T size, void *arg) {
    reading *r = arg;
    if (r->at >= r->size) return (OPJ_SIZE_T)-1;
    if (size > r->size - r->at) size = r->size - r->at;
    memcpy(to, r->data + r->at, size);
    r->at += size;
    return size;
}

static OPJ_OFF_T skip_bytes(OPJ_OFF_T count, void *arg) {
    reading *r = arg;
    if (count < 0 || (uint64_t)count > r->size - r->at) return -1;
    r->at += (size_t)count;
    return count;
}

static OPJ_BOOL seek_byte(OPJ_OFF_T at, void *arg) {
    reading *r = arg;
    if (at < 0 || (uint64_t)at > r->size) return OPJ_FALSE;
    r->at = (size_t)at;
    return OPJ_TRUE;
}

static hone_status fail(const reading *r, hone_error *err) {
    return hone_fail(err, HONE_CORRUPT, "JPEG 2000: %s",
                     r->message[0] ? r->message : "the picture is broken");
}

static hone_status open_codec(reading *r, hone_error *err) {
    opj_dparameters_t options;
    bool bare = r->data[0] == 0xff;
    opj_set_default_decoder_parameters(&options);
    r->codec = opj_create_decompress(bare ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
    r->stream = opj_stream_create(OPJ_J2K_STREAM_CHUNK_SIZE, OPJ_TRUE);
    if (!r->codec || !r->stream) return hone_fail_memory(err);
    opj_set_error_handler(r->codec, keep_message, r);
    opj_set_warning_handler(r->codec, say_nothing, r);
    opj_set_info_handler(r->codec, say_nothing, r);
    opj_stream_set_read_function(r->stream, read_bytes);
    opj_stream_set_skip_function(r->stream, skip_bytes);
    opj_stream_set_seek_function(r->stream, seek_byte);
    opj_stream_set_user_data(r->stream, r, NULL);
    opj_stream_set_user_data_length(r->stream, r->size);
    return opj_setup_decoder(r->codec, &options) ? HONE_OK : fail(r, err);
}

/* --- pixels --- */

/* Component `c` at a pixel, as a byte. */
static int byte_at(const opj_image_t *image, unsigned c, int64_t y, int64_t x) {
    const opj_image_comp_t *p = &image->comps[c];
    int64_t row = y / p->dy, column = x / p->dx, most = ((int64_t)1 << p->prec) - 1;
    if (row >= p->h) row = p->h - 1;
    if (column >= p->w) column = p->w - 1;
    int64_t v = p->data[row * p->w + column] + (p->sgnd ? (int64_t)1 << (p->prec - 1) : 0);
    v = v < 0 ? 0 : v > most ? most : v;
    return (int)((v * 255 + most / 2) / most);
}

static uint8_t held(double x) {
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x + 0.5);
}

/* Brightness and two differences to red, green and blue, as in JPEG. */
static void from_ycc(uint8_t *pixel) {
    double y = pixel[0], b = pixel[1] - 128.0, r = pixel[2] - 128.0;
    pixel[0] = held(y + 1.402 * r);
    pixel[1] = held(y - 0.344136 * b - 0.714136 * r);
    pixel[2] = held(y + 1.772 * b);
}

static hone_status check_components(const opj_image_t *image, hone_error *err) {
    if (image->color_space == OPJ_CLRSPC_CMYK || image->color_space == OPJ_CLRSPC_EYCC)
        return hone_fail(err, HONE_UNSUPPORTED, "JPEG 2000: colors of kind %d", (int)image->color_space);
    if (image->numcomps < 1 || image->numcomps > MOST_COMPONENTS)
        return hone_fail(err, HONE_UNSUPPORTED, "JPEG 2000: %u components", image->numcomps);
    for (unsigned c = 0; c < image->numcomps; c++) {
        const opj_image_comp_t *p = &image->comps[c];
        if (!p->data || !p->w || !p->h || !p->dx || !p->dy || p->prec < 1 || p->prec > 31)
            return hone_fail(err, HONE_CORRUPT, "JPEG 2000: a component without pixels");
    }
    return HONE_OK;
}

/* Two components are a brightness and its alpha, four are colors and theirs. */
static hone_status write_pixels(const opj_image_t *image, hone_image *out, hone_error *err) {
    HONE_TRY(check_components(image, err));
    HONE_TRY(hone_image_make((int64_t)image->y1 - image->y0, (int64_t)image->x1 - image->x0, out, err));
    uint8_t *to = out->pixels;
    for (int64_t y = 0; y < out->height; y++)
        for (int64_t x = 0; x < out->width; x++, to += 3) {
            for (unsigned c = 0; c < 3; c++)
                to[c] = (uint8_t)byte_at(image, image->numcomps < 3 ? 0 : c, y, x);
            if (image->color_space == OPJ_CLRSPC_SYCC && image->numcomps >= 3) from_ycc(to);
        }
    return HONE_OK;
}

static hone_status decode(reading *r, hone_image *out, hone_error *err) {
    HONE_TRY(open_codec(r, err));
    if (!opj_read_header(r->stream, r->codec, &r->image) || !opj_decode(r->codec, r->stream, r->image) ||
        !opj_end_decompress(r->codec, r->stream))
        return fail(r, err);
    return write_pixels(r->image, out, err);
}

hone_status hone_jpeg2000_read(const uint8_t *data, size_t size, hone_image *out, hone_error *err) {
    reading r = {.data = data, .size = size};
    HONE_TRY(check_size(data, size, err));
    hone_status status = decode(&r, out, err);
    opj_image_destroy(r.image);
    if (r.stream) opj_stream_destroy(r.stream);
    if (r.codec) opj_destroy_codec(r.codec);
    return status;
}
