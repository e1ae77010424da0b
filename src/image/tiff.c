/* TIFF 6.0: the first picture of a file, in strips or tiles, of 1 to 16 bits a sample. */
#include "image/tiff.h"

#include <string.h>

enum {
    WIDTH = 256,
    HEIGHT = 257,
    BITS = 258,
    COMPRESSION = 259,
    PHOTOMETRIC = 262,
    FILL_ORDER = 266,
    STRIP_OFFSETS = 273,
    SAMPLES = 277,
    ROWS_PER_STRIP = 278,
    STRIP_COUNTS = 279,
    PLANAR = 284,
    PREDICTOR = 317,
    COLOR_MAP = 320,
    TILE_WIDTH = 322,
    TILE_LENGTH = 323,
    TILE_OFFSETS = 324,
    TILE_COUNTS = 325,
    SAMPLE_FORMAT = 339
};
enum { WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, INKS = 5 };
enum { MOST_SAMPLES = 16, MOST_WASTE = 1 << 24 };
/* Bytes of a block, which is unpacked as a whole: for each pixel of the picture what four wide samples take,
 * and some more. */
enum { MOST_PIXEL = 8, MOST_BLOCK = 1 << 24 };

/* The numbers of a tag; none: count 0. */
typedef struct field {
    const uint8_t *at;
    size_t count;
    int size; /* bytes of each */
} field;

typedef struct tiff {
    const uint8_t *data;
    size_t size;
    bool big; /* the highest byte first */
    const uint8_t *entries;
    size_t entry_count;
    int64_t width, height;
    int bits, samples, compression, photometric, predictor;
    bool planes, tiled;                /* each sample has blocks of its own */
    int64_t block_width, block_height; /* of a strip, or a tile */
    int64_t across, down;              /* blocks */
    size_t row;                        /* bytes of a block's row */
    field offsets, counts, palette;
    uint8_t *block;
} tiff;

static hone_status corrupt(hone_error *err, const char *what) {
    return hone_fail(err, HONE_CORRUPT, "TIFF: %s", what);
}

static uint32_t number(const tiff *t, const uint8_t *p, int bytes) {
    uint32_t n = 0;
    for (int i = 0; i < bytes; i++) n = n << 8 | p[t->big ? i : bytes - 1 - i];
    return n;
}

static uint32_t field_at(const tiff *t, const field *f, size_t i) {
    return number(t, f->at + i * (size_t)f->size, f->size);
}

/* --- the directory --- entries of 12 bytes: tag, type, count, and the values or where they are */

static hone_status find(const tiff *t, int tag, field *f, hone_error *err) {
    *f = (field){0};
    for (size_t i = 0; i < t->entry_count; i++) {
        const uint8_t *e = t->entries + 12 * i;
        if ((int)number(t, e, 2) != tag) continue;
        uint32_t type = number(t, e + 2, 2), count = number(t, e + 4, 4);
        f->size = type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : 0;
        if (!f->size) return hone_fail(err, HONE_CORRUPT, "TIFF: tag %d is of type %u", tag, type);
        size_t bytes = (size_t)count * (size_t)f->size, at = number(t, e + 8, 4);
        f->count = count;
        f->at = e + 8;
        if (bytes <= 4) return HONE_OK;
        if (at > t->size || bytes > t->size - at) return corrupt(err, "the file ends too early");
        f->at = t->data + at;
        return HONE_OK;
    }
    return HONE_OK;
}

/* The tag's only number, or `standard` where there is none. */
static hone_status find_number(const tiff *t, int tag, uint32_t standard, int64_t *out, hone_error *err) {
    field f;
    HONE_TRY(find(t, tag, &f, err));
    *out = f.count ? field_at(t, &f, 0) : standard;
    return HONE_OK;
}

/* The number that a tag has for each sample, which must be the same of all. */
static hone_status find_common(const tiff *t, int tag, uint32_t standard, int64_t *out, hone_error *err) {
    field f;
    HONE_TRY(find(t, tag, &f, err));
    *out = f.count ? field_at(t, &f, 0) : standard;
    for (size_t i = 1; i < f.count && i < (size_t)t->samples; i++)
        if (field_at(t, &f, i) != *out)
            return hone_fail(err, HONE_UNSUPPORTED, "TIFF: samples that differ (tag %d)", tag);
    return HONE_OK;
}

static hone_status read_directory(tiff *t, hone_error *err) {
    if (t->size < 8) return corrupt(err, "the file ends too early");
    t->big = t->data[0] == 'M';
    size_t at = number(t, t->data + 4, 4);
    if (at > t->size || t->size - at < 2) return corrupt(err, "the file ends too early");
    t->entry_count = number(t, t->data + at, 2);
    t->entries = t->data + at + 2;
    if (t->entry_count * 12 > t->size - at - 2) return corrupt(err, "the file ends too early");
    return HONE_OK;
}

static hone_status read_samples(tiff *t, hone_error *err) {
    int64_t samples, bits, format, compression, photometric, planar, predictor, order;
    HONE_TRY(find_number(t, SAMPLES, 1, &samples, err));
    if (samples < 1 || samples > MOST_SAMPLES)
        return hone_fail(err, HONE_UNSUPPORTED, "TIFF: pixels of %lld samples", (long long)samples);
    t->samples = (int)samples;
    HONE_TRY(find_common(t, BITS, 1, &bits, err));
    HONE_TRY(find_common(t, SAMPLE_FORMAT, 1, &format, err));
    HONE_TRY(find_number(t, COMPRESSION, HONE_TIFF_PLAIN, &compression, err));
    HONE_TRY(find_number(t, PHOTOMETRIC, UINT32_MAX, &photometric, err));
    HONE_TRY(find_number(t, PLANAR, 1, &planar, err));
    HONE_TRY(find_number(t, PREDICTOR, 1, &predictor, err));
    HONE_TRY(find_number(t, FILL_ORDER, 1, &order, err));
    bool known = bits == 1 || bits == 2 || bits == 4 || bits == 8 || bits == 16;
    if (!known || format != 1)
        return hone_fail(err, HONE_UNSUPPORTED, "TIFF: samples of %lld bits and format %lld", (long long)bits,
                         (long long)format);
    if (compression > UINT16_MAX || !hone_tiff_ratio((int)compression))
        return hone_fail(err, HONE_UNSUPPORTED, "TIFF: compression %lld", (long long)compression);
    if (predictor < 1 || predictor > 2 || (predictor == 2 && bits < 8) || order != 1 || planar < 1 ||
        planar > 2)
        return hone_fail(err, HONE_UNSUPPORTED, "TIFF: predictor %lld, planes %lld, order %lld of bits",
                         (long long)predictor, (long long)planar, (long long)order);
    bool color = photometric == RGB || photometric == PALETTE || photometric == INKS;
    if (photometric > BLACK_IS_ZERO && !color)
        return hone_fail(err, HONE_UNSUPPORTED, "TIFF: colors of kind %lld", (long long)photometric);
    t->bits = (int)bits;
    t->compression = (int)compression;
    t->photometric = (int)photometric;
    t->predictor = (int)predictor;
    t->planes = planar == 2 && samples > 1;
    if (t->samples < (photometric == RGB ? 3 : photometric == INKS ? 4 : 1))
        return corrupt(err, "too few samples for its colors");
    HONE_TRY(find(t, COLOR_MAP, &t->palette, err));
    if (photometric == PALETTE && (bits > 8 || t->palette.count < (size_t)3 << bits))
        return corrupt(err, "a palette that is none");
    return HONE_OK;
}

/* Offsets and sizes of the blocks, and how large they are when unpacked; none is larger than the file can
 * hold. */
static hone_status read_blocks(tiff *t, hone_error *err) {
    int64_t rows, width;
    HONE_TRY(find(t, TILE_OFFSETS, &t->offsets, err));
    t->tiled = t->offsets.count > 0;
    if (!t->tiled) HONE_TRY(find(t, STRIP_OFFSETS, &t->offsets, err));
    HONE_TRY(find(t, t->tiled ? TILE_COUNTS : STRIP_COUNTS, &t->counts, err));
    HONE_TRY(find_number(t, t->tiled ? TILE_LENGTH : ROWS_PER_STRIP, t->tiled ? 0 : UINT32_MAX, &rows, err));
    HONE_TRY(find_number(t, TILE_WIDTH, 0, &width, err));
    t->block_width = t->tiled ? width : t->width;
    t->block_height = t->tiled || rows < t->height ? rows : t->height;
    if (t->block_width < 1 || t->block_height < 1) return corrupt(err, "blocks without pixels");
    if (t->block_height > HONE_IMAGE_MAX_PIXELS / t->block_width)
        return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "TIFF: blocks of %lld x %lld pixels",
                         (long long)t->block_width, (long long)t->block_height);
    t->across = (t->width + t->block_width - 1) / t->block_width;
    t->down = (t->height + t->block_height - 1) / t->block_height;
    t->row = ((size_t)t->block_width * (size_t)(t->planes ? 1 : t->samples) * (size_t)t->bits + 7) / 8;
    size_t bytes = t->row * (size_t)t->block_height;
    if (bytes > MOST_BLOCK + MOST_PIXEL * (size_t)(t->width * t->height))
        return hone_fail(err, HONE_RESOURCE_EXHAUSTED,
                         "TIFF: blocks of %zu bytes in a picture of %lld x %lld pixels", bytes,
                         (long long)t->width, (long long)t->height);
    size_t blocks = (size_t)(t->across * t->down) * (t->planes ? (size_t)t->samples : 1);
    if (t->offsets.count < blocks || (t->counts.count && t->counts.count < blocks))
        return corrupt(err, "it does not say where all blocks are");
    /* a tile may be larger than what it shows, but not much, where there are many of them */
    if (t->across * t->down * t->block_width * t->block_height > 4 * t->width * t->height + MOST_WASTE)
        return hone_fail(err, HONE_UNSUPPORTED, "TIFF: blocks far larger than the picture");
    return HONE_OK;
}

/* Rows of the picture in block row `y`; a tile has all of them. */
static int64_t rows_of(const tiff *t, int64_t y) {
    int64_t rest = t->height - y * t->block_height;
    return !t->tiled && rest < t->block_height ? rest : t->block_height;
}

/* Where block `i`, of so many rows, lies in the file. */
static hone_status find_block(const tiff *t, size_t i, int64_t rows, const uint8_t **at, size_t *n,
                              hone_error *err) {
    size_t offset = field_at(t, &t->offsets, i);
    if (offset > t->size) return corrupt(err, "the file ends too early");
    *n = t->counts.count ? field_at(t, &t->counts, i) : t->size - offset;
    if (*n > t->size - offset) return corrupt(err, "the file ends too early");
    if (t->row * (size_t)rows > *n * hone_tiff_ratio(t->compression))
        return corrupt(err, "more pixels than the file can hold");
    *at = t->data + offset;
    return HONE_OK;
}

static hone_status check_blocks(const tiff *t, hone_error *err) {
    const uint8_t *at;
    size_t n, each = (size_t)(t->across * t->down);
    for (size_t i = 0; i < each * (t->planes ? (size_t)t->samples : 1); i++)
        HONE_TRY(find_block(t, i, rows_of(t, (int64_t)(i % each) / t->across), &at, &n, err));
    return HONE_OK;
}

/* --- pixels --- */

/* Each sample of a row is what it has more than the one before. */
static void add_up(const tiff *t, uint8_t *row) {
    int step = t->planes ? 1 : t->samples;
    int64_t count = t->block_width * step;
    for (int64_t i = step; i < count; i++) {
        if (t->bits == 8) {
            row[i] = (uint8_t)(row[i] + row[i - step]);
            continue;
        }
        uint32_t sum = number(t, row + 2 * i, 2) + number(t, row + 2 * (i - step), 2);
        row[2 * i + !t->big] = (uint8_t)(sum >> 8);
        row[2 * i + t->big] = (uint8_t)sum;
    }
}

/* Sample `i` of a row, as it is stored. */
static uint32_t sample(const tiff *t, const uint8_t *row, int64_t i) {
    if (t->bits == 8) return row[i];
    if (t->bits == 16) return number(t, row + 2 * i, 2);
    int64_t bit = i * t->bits;
    return row[bit / 8] >> (8 - t->bits - bit % 8) & ((1u << t->bits) - 1);
}

static uint8_t as_byte(const tiff *t, uint32_t x) {
    uint32_t most = (1u << t->bits) - 1;
    return (uint8_t)((x * 255 + most / 2) / most);
}

/* Sample `c` of a pixel, `x` as stored, goes into the pixel's red, green and blue. */
static void put_sample(const tiff *t, int c, uint32_t x, uint8_t *pixel) {
    switch (t->photometric) {
    case PALETTE:
        for (size_t k = 0; k < 3 && c == 0; k++)
            pixel[k] = (uint8_t)(field_at(t, &t->palette, (k << t->bits) + x) >> 8);
        break;
    case RGB:
        if (c < 3) pixel[c] = as_byte(t, x);
        break;
    case INKS: /* the last ink comes last */
        for (int k = 0; k < 3 && c == 3; k++)
            pixel[k] = (uint8_t)((pixel[k] * (255 - as_byte(t, x)) + 127) / 255);
        if (c < 3) pixel[c] = (uint8_t)(255 - as_byte(t, x));
        break;
    default:
        if (c == 0) memset(pixel, t->photometric == WHITE_IS_ZERO ? 255 - as_byte(t, x) : as_byte(t, x), 3);
    }
}

static void put_row(const tiff *t, const uint8_t *row, int plane, int64_t width, uint8_t *to) {
    int samples = t->planes ? 1 : t->samples;
    for (int64_t x = 0; x < width; x++)
        for (int s = 0; s < samples; s++)
            put_sample(t, t->planes ? plane : s, sample(t, row, x * samples + s), to + 3 * x);
}

static hone_status read_block(const tiff *t, int plane, int64_t y, int64_t x, hone_image *out,
                              hone_error *err) {
    const uint8_t *from;
    size_t n, i = (size_t)((plane * t->down + y) * t->across + x);
    int64_t rows = rows_of(t, y), first = y * t->block_height, left = x * t->block_width;
    int64_t width = t->width - left < t->block_width ? t->width - left : t->block_width;
    HONE_TRY(find_block(t, i, rows, &from, &n, err));
    HONE_TRY(hone_tiff_unpack(t->compression, from, n, t->block, t->row * (size_t)rows, err));
    for (int64_t r = 0; r < rows && first + r < t->height; r++) {
        uint8_t *row = t->block + (size_t)r * t->row;
        if (t->predictor == 2) add_up(t, row);
        put_row(t, row, plane, width, out->pixels + (size_t)((first + r) * t->width + left) * 3);
    }
    return HONE_OK;
}

static hone_status decode(tiff *t, hone_image *out, hone_error *err) {
    HONE_TRY(hone_image_make(t->height, t->width, out, err));
    t->block = hone_alloc(t->row * (size_t)t->block_height);
    if (!t->block) return hone_fail_memory(err);
    for (int plane = 0; plane < (t->planes ? t->samples : 1); plane++)
        for (int64_t y = 0; y < t->down; y++)
            for (int64_t x = 0; x < t->across; x++) HONE_TRY(read_block(t, plane, y, x, out, err));
    return HONE_OK;
}

hone_status hone_tiff_read(const uint8_t *data, size_t size, hone_image *out, hone_error *err) {
    tiff t = {.data = data, .size = size};
    HONE_TRY(read_directory(&t, err));
    HONE_TRY(find_number(&t, WIDTH, 0, &t.width, err));
    HONE_TRY(find_number(&t, HEIGHT, 0, &t.height, err));
    if (t.width < 1 || t.height < 1) return corrupt(err, "no pixels");
    if (t.width > HONE_IMAGE_MAX_PIXELS / t.height)
        return hone_image_make(t.height, t.width, out, err); /* says so */
    HONE_TRY(read_samples(&t, err));
    HONE_TRY(read_blocks(&t, err));
    HONE_TRY(check_blocks(&t, err));
    hone_status status = decode(&t, out, err);
    hone_free(t.block);
    return status;
}
