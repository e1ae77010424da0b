#include "data/flac.h"

#include "base/memory.h"
#include "graph/tensor.h"

#include <math.h>
#include <string.h>

enum { CHANNELS = 8, MAX_BLOCK = 65535, MAX_ORDER = 32 };
#define MOST ((size_t)1 << 26) /* samples */

/* --- bits --- from the highest of a byte on; behind the end they are zeros, and `over` is set */

typedef struct bits {
    const uint8_t *data;
    size_t size, at; /* in bits */
    bool over;
} bits;

static uint32_t take(bits *b, int n) {
    uint64_t x = 0;
    if (b->at + (size_t)n > 8 * b->size) {
        b->over = true;
        b->at = 8 * b->size;
        return 0;
    }
    for (int left = n; left > 0;) {
        int here = 8 - (int)(b->at & 7), some = here < left ? here : left;
        x = x << some | ((b->data[b->at >> 3] >> (here - some)) & ((1u << some) - 1));
        b->at += (size_t)some;
        left -= some;
    }
    return (uint32_t)x;
}

static int64_t take_signed(bits *b, int n) {
    if (n == 0) return 0;
    int64_t high = n > 32 ? (int64_t)take(b, n - 32) << 32 : 0, x = high | take(b, n > 32 ? 32 : n);
    return x & ((int64_t)1 << (n - 1)) ? x - ((int64_t)1 << n) : x;
}

/* Zeros before a one. */
static uint32_t take_unary(bits *b) {
    uint32_t n = 0;
    while (!b->over && take(b, 1) == 0) n++;
    return n;
}

/* --- checksums --- */

static uint8_t crc8(const uint8_t *data, size_t size) {
    unsigned crc = 0;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int k = 0; k < 8; k++) crc = crc & 0x80 ? crc << 1 ^ 0x07 : crc << 1;
        crc &= 0xff;
    }
    return (uint8_t)crc;
}

static uint16_t crc16(const uint8_t *data, size_t size) {
    unsigned crc = 0;
    for (size_t i = 0; i < size; i++) {
        crc ^= (unsigned)data[i] << 8;
        for (int k = 0; k < 8; k++) crc = crc & 0x8000 ? crc << 1 ^ 0x8005 : crc << 1;
        crc &= 0xffff;
    }
    return (uint16_t)crc;
}

/* --- frames --- */

typedef struct decoder {
    bits b;
    int rate, channels, depth; /* of the stream */
    int64_t total;             /* samples that it says it has; 0: not known */
    float *x;
    size_t count, capacity;
    int64_t *samples[CHANNELS]; /* [MAX_BLOCK], of a frame */
} decoder;

typedef struct frame {
    int size, assignment, depth;
} frame;

static hone_status broken(const decoder *d, const char *what, hone_error *err) {
    return hone_fail(err, HONE_CORRUPT, "FLAC, byte %zu: %s", d->b.at / 8, what);
}

/* A number as UTF-8 writes characters, of up to 36 bits; nobody needs it. */
static bool skip_number(bits *b) {
    uint32_t first = take(b, 8);
    int more = 0;
    for (uint32_t mask = 0x80; mask && (first & mask); mask >>= 1) more++;
    if (more == 1 || more == 8) return false;
    for (int i = 1; i < more; i++)
        if (take(b, 8) >> 6 != 2) return false;
    return true;
}

static hone_status read_head(decoder *d, frame *f, hone_error *err) {
    static const int depths[] = {0, 8, 12, -1, 16, 20, 24, 32};
    bits *b = &d->b;
    size_t start = b->at / 8;
    if (take(b, 15) != 0x7ffc) return broken(d, "no frame begins here", err);
    take(b, 1); /* whether blocks are of one size */
    int size = (int)take(b, 4), rate = (int)take(b, 4);
    f->assignment = (int)take(b, 4);
    int depth = depths[take(b, 3)];
    bool good = take(b, 1) == 0 && skip_number(b);
    if (size == 1) f->size = 192;
    if (size >= 2 && size <= 5) f->size = 576 << (size - 2);
    if (size == 6) f->size = (int)take(b, 8) + 1;
    if (size == 7) f->size = (int)take(b, 16) + 1;
    if (size >= 8) f->size = 256 << (size - 8);
    if (rate == 12) take(b, 8);
    if (rate == 13 || rate == 14) take(b, 16);
    f->depth = depth ? depth : d->depth;
    if (!good || size == 0 || rate == 15 || depth < 0 || f->assignment > 10 || f->size > MAX_BLOCK)
        return broken(d, "the head of a frame has a value that is reserved", err);
    if (f->depth != d->depth || (f->assignment < 8 ? f->assignment + 1 : 2) != d->channels)
        return broken(d, "a frame is of another form than the stream", err);
    size_t end = b->at / 8;
    if (take(b, 8) != crc8(b->data + start, end - start) || b->over)
        return broken(d, "the head of a frame does not match its checksum", err);
    return HONE_OK;
}

/* Behind `order` samples that are there, residuals in parts of Rice codes. */
static hone_status read_residuals(decoder *d, int64_t *x, int size, int order, hone_error *err) {
    bits *b = &d->b;
    uint32_t method = take(b, 2);
    int parts = 1 << take(b, 4), wide = method == 1 ? 5 : 4, at = order;
    if (method > 1 || size % parts || size / parts < order)
        return broken(d, "a residual's form is reserved", err);
    for (int p = 0; p < parts; p++) {
        int end = (p + 1) * (size / parts);
        uint32_t k = take(b, wide);
        if (k == (1u << wide) - 1) { /* not coded */
            int plain = (int)take(b, 5);
            for (; at < end; at++) x[at] = take_signed(b, plain);
            continue;
        }
        for (; at < end; at++) {
            if (b->over) return broken(d, "it ends too early", err);
            uint64_t folded = (uint64_t)take_unary(b) << k | (k ? take(b, (int)k) : 0);
            x[at] = (int64_t)(folded >> 1) ^ -(int64_t)(folded & 1);
        }
    }
    return HONE_OK;
}

/* Wraps where a damaged file does: no sum of a good one does. */
static int64_t plus(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a + (uint64_t)b);
}
static int64_t times(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

static hone_status read_predicted(decoder *d, int64_t *x, int size, int depth, int order, bool fixed,
                                  hone_error *err) {
    static const int fixed_factors[5][4] = {{0}, {1}, {2, -1}, {3, -3, 1}, {4, -6, 4, -1}};
    bits *b = &d->b;
    int64_t factors[MAX_ORDER] = {0};
    int shift = 0;
    if (order > size) return broken(d, "a predictor of more samples than a block has", err);
    for (int i = 0; i < order; i++) x[i] = take_signed(b, depth);
    for (int i = 0; i < order && fixed; i++) factors[i] = fixed_factors[order][i];
    if (!fixed) {
        int precision = (int)take(b, 4) + 1;
        shift = (int)take_signed(b, 5);
        if (precision == 16 || shift < 0) return broken(d, "a predictor's form is reserved", err);
        for (int i = 0; i < order; i++) factors[i] = take_signed(b, precision);
    }
    HONE_TRY(read_residuals(d, x, size, order, err));
    for (int t = order; t < size; t++) {
        int64_t sum = 0;
        for (int i = 0; i < order; i++) sum = plus(sum, times(factors[i], x[t - 1 - i]));
        x[t] = plus(x[t], sum >> shift);
    }
    return HONE_OK;
}

static hone_status read_subframe(decoder *d, int64_t *x, int size, int depth, hone_error *err) {
    bits *b = &d->b;
    if (take(b, 1)) return broken(d, "a subframe does not begin with 0", err);
    int kind = (int)take(b, 6), wasted = take(b, 1) ? (int)take_unary(b) + 1 : 0;
    if (wasted >= depth) return broken(d, "a subframe of no bits", err);
    depth -= wasted;
    if (kind == 0) {
        int64_t all = take_signed(b, depth);
        for (int i = 0; i < size; i++) x[i] = all;
    } else if (kind == 1) {
        for (int i = 0; i < size; i++) x[i] = take_signed(b, depth);
    } else if (kind >= 8 && kind <= 12) {
        HONE_TRY(read_predicted(d, x, size, depth, kind - 8, true, err));
    } else if (kind >= 32) {
        HONE_TRY(read_predicted(d, x, size, depth, kind - 31, false, err));
    } else {
        return broken(d, "a subframe of a kind that is reserved", err);
    }
    for (int i = 0; i < size && wasted; i++) x[i] = times(x[i], (int64_t)1 << wasted);
    return b->over ? broken(d, "it ends too early", err) : HONE_OK;
}

/* Left and right of one and a difference: 8 left, 9 right, 10 the mean. */
static void part_sides(decoder *d, const frame *f) {
    int64_t *a = d->samples[0], *b = d->samples[1];
    for (int i = 0; i < f->size; i++) {
        int64_t p = a[i], q = b[i];
        if (f->assignment == 8) b[i] = plus(p, -q);
        if (f->assignment == 9) a[i] = plus(p, q);
        if (f->assignment != 10) continue;
        p = plus(times(p, 2), q & 1);
        a[i] = plus(p, q) >> 1;
        b[i] = plus(p, -q) >> 1;
    }
}

/* Several channels become their mean. */
static hone_status keep(decoder *d, const frame *f, hone_error *err) {
    if (d->count + (size_t)f->size > MOST)
        return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "FLAC: more than %zu samples", MOST);
    if (!hone_reserve(&d->x, &d->capacity, d->count + (size_t)f->size, sizeof *d->x))
        return hone_fail_memory(err);
    const double scale = ldexp(1.0 / d->channels, 1 - d->depth);
    for (int i = 0; i < f->size; i++) {
        double sum = 0;
        for (int c = 0; c < d->channels; c++) sum += (double)d->samples[c][i];
        d->x[d->count++] = (float)(sum * scale);
    }
    return HONE_OK;
}

static hone_status read_frame(decoder *d, hone_error *err) {
    bits *b = &d->b;
    frame f = {0};
    size_t start = b->at / 8;
    HONE_TRY(read_head(d, &f, err));
    for (int c = 0; c < d->channels; c++) {
        /* a difference has one bit more */
        bool side = (f.assignment == 9 && c == 0) || ((f.assignment == 8 || f.assignment == 10) && c == 1);
        HONE_TRY(read_subframe(d, d->samples[c], f.size, f.depth + side, err));
    }
    b->at = (b->at + 7) / 8 * 8;
    size_t end = b->at / 8;
    if (take(b, 16) != crc16(b->data + start, end - start) || b->over)
        return broken(d, "a frame does not match its checksum", err);
    if (f.assignment >= 8) part_sides(d, &f);
    return keep(d, &f, err);
}

/* --- the stream --- */

bool hone_flac_begins(const void *data, size_t size) {
    return size >= 4 && memcmp(data, "fLaC", 4) == 0;
}

/* Its first block tells of the sound; others (tags, pictures) are passed over. */
static hone_status read_blocks(decoder *d, hone_error *err) {
    bits *b = &d->b;
    b->at = 32;
    for (bool last = false, first = true; !last; first = false) {
        last = take(b, 1);
        uint32_t kind = take(b, 7), size = take(b, 24);
        size_t end = b->at + 8 * (size_t)size;
        if (b->over || end > 8 * b->size || first != (kind == 0) || (first && size < 34))
            return broken(d, "no description of the sound begins it", err);
        if (first) {
            take(b, 32), take(b, 32), take(b, 16); /* sizes of blocks and frames */
            d->rate = (int)take(b, 20);
            d->channels = (int)take(b, 3) + 1;
            d->depth = (int)take(b, 5) + 1;
            d->total = (int64_t)take(b, 4) << 32 | take(b, 32);
        }
        b->at = end;
    }
    return d->rate > 0 && d->depth >= 4 ? HONE_OK : broken(d, "a rate or a depth of no sound", err);
}

static hone_status decode(decoder *d, hone_error *err) {
    HONE_TRY(read_blocks(d, err));
    for (int c = 0; c < d->channels; c++)
        if (!(d->samples[c] = hone_alloc(MAX_BLOCK * sizeof *d->samples[c]))) return hone_fail_memory(err);
    while (d->b.at < 8 * d->b.size && (d->total == 0 || (int64_t)d->count < d->total))
        HONE_TRY(read_frame(d, err));
    if (d->total && (int64_t)d->count != d->total)
        return hone_fail(err, HONE_CORRUPT, "FLAC: %zu samples where the file says %lld", d->count,
                         (long long)d->total);
    return HONE_OK;
}

hone_status hone_flac_parse(const void *data, size_t size, hone_tensor **out, int *rate, hone_error *err) {
    decoder d = {.b = {data, size, 0, false}};
    if (!hone_flac_begins(data, size)) return hone_fail(err, HONE_CORRUPT, "it does not begin as FLAC does");
    hone_status status = decode(&d, err);
    if (status == HONE_OK)
        status = hone_tensor_copy_of(HONE_FLOAT32, 1, (int64_t[]){(int64_t)d.count}, d.x, out, err);
    *rate = d.rate;
    for (int c = 0; c < CHANNELS; c++) hone_free(d.samples[c]);
    hone_free(d.x);
    return status;
}
