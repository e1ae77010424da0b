/* PBM, PGM and PPM, as text (P1 to P3) and as bytes (P4 to P6). */
#include "image/formats.h"

typedef struct reading {
    const uint8_t *data;
    size_t size, at;
    int kind; /* 1 bits, 2 gray, 3 colors */
    bool text;
    uint32_t most; /* white */
} reading;

static hone_status cut_short(hone_error *err) {
    return hone_fail(err, HONE_CORRUPT, "PNM: the file ends too early");
}

static bool is_blank(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Blanks, and comments to the end of their line. */
static void skip(reading *r) {
    for (bool comment = false; r->at < r->size; r->at++) {
        uint8_t c = r->data[r->at];
        if (c == '#') comment = true;
        if (c == '\n') comment = false;
        if (!comment && !is_blank(c)) return;
    }
}

static hone_status read_number(reading *r, uint32_t *out, hone_error *err) {
    skip(r);
    if (r->at == r->size) return cut_short(err);
    uint64_t n = 0;
    size_t first = r->at;
    for (; r->at < r->size && r->data[r->at] >= '0' && r->data[r->at] <= '9'; r->at++) {
        n = 10 * n + (uint64_t)(r->data[r->at] - '0');
        if (n > INT32_MAX) return hone_fail(err, HONE_CORRUPT, "PNM: a number that is too large");
    }
    if (r->at == first) return hone_fail(err, HONE_CORRUPT, "PNM: no number where one is due");
    *out = (uint32_t)n;
    return HONE_OK;
}

static uint8_t scaled(const reading *r, uint32_t x) {
    return (uint8_t)(((x < r->most ? x : r->most) * 255u + r->most / 2) / r->most);
}

/* The next sample of a picture of bits: 1 is black, and digits need nothing between them. */
static hone_status read_bit(reading *r, int64_t x, uint8_t *out, hone_error *err) {
    if (r->text) skip(r);
    if (r->at == r->size) return cut_short(err);
    uint8_t c = r->data[r->at];
    if (r->text && c != '0' && c != '1') return hone_fail(err, HONE_CORRUPT, "PNM: neither 0 nor 1");
    *out = (r->text ? c == '1' : c >> (7 - x % 8) & 1) ? 0 : 255;
    if (r->text || x % 8 == 7) r->at++;
    return HONE_OK;
}

static hone_status read_sample(reading *r, uint8_t *out, hone_error *err) {
    uint32_t x;
    size_t wide = r->most > 255 ? 2 : 1;
    if (r->text) {
        HONE_TRY(read_number(r, &x, err));
    } else {
        if (wide > r->size - r->at) return cut_short(err);
        x = r->data[r->at];
        if (wide == 2) x = x << 8 | r->data[r->at + 1];
        r->at += wide;
    }
    *out = scaled(r, x);
    return HONE_OK;
}

static hone_status read_pixels(reading *r, hone_image *out, hone_error *err) {
    uint8_t *to = out->pixels;
    for (int y = 0; y < out->height; y++) {
        for (int x = 0; x < out->width; x++, to += 3) {
            if (r->kind == 1)
                HONE_TRY(read_bit(r, x, to, err));
            else
                HONE_TRY(read_sample(r, to, err));
            if (r->kind == 3) {
                HONE_TRY(read_sample(r, to + 1, err));
                HONE_TRY(read_sample(r, to + 2, err));
            } else {
                to[1] = to[2] = to[0];
            }
        }
        if (r->kind == 1 && !r->text && out->width % 8) r->at++; /* rows are whole bytes */
    }
    return HONE_OK;
}

hone_status hone_pnm_read(const uint8_t *data, size_t size, hone_image *out, hone_error *err) {
    reading r = {.data = data, .size = size, .at = 2, .most = 1};
    uint32_t width, height;
    r.text = data[1] < '4';
    r.kind = (data[1] - '1') % 3 + 1;
    HONE_TRY(read_number(&r, &width, err));
    HONE_TRY(read_number(&r, &height, err));
    if (r.kind > 1) HONE_TRY(read_number(&r, &r.most, err));
    if (r.most < 1 || r.most > 65535) return hone_fail(err, HONE_CORRUPT, "PNM: white is %u", r.most);
    if (!r.text) r.at++; /* the one blank behind the header */
    if (r.at > size) return cut_short(err);
    /* at least a bit for each pixel, or a byte */
    if (height && width > (size - r.at) * (r.kind == 1 && !r.text ? 8 : 1) / height) return cut_short(err);
    HONE_TRY(hone_image_make(height, width, out, err));
    return read_pixels(&r, out, err);
}
