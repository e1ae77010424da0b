/* Raw data of initializers are tried in each form that fits, and the smallest is taken. */
#include "onnx/packed.h"

#include "base/bits.h"
#include "base/memory.h"

#include <string.h>

#ifndef HONE_PARTS_INFERENCE

#include <zstd.h>

#define FEWEST_BYTES 64      /* of data that are worth a piece */
#define MANY_BYTES (4 << 20) /* of a stream that is packed less hard */
#define HARD_LEVEL 19
#define FAST_LEVEL 7
#define MOST_ENTRIES 256

/* Bytes that grow; what fails is remembered. */
typedef struct output {
    uint8_t *data;
    size_t size, capacity;
    bool failed;
} output;

static uint8_t *add(output *o, size_t size) {
    if (o->failed || !hone_reserve(&o->data, &o->capacity, o->size + size + 1, 1)) {
        o->failed = true;
        return NULL;
    }
    o->size += size;
    return o->data + o->size - size;
}

static void add_bytes(output *o, const void *data, size_t size) {
    uint8_t *to = add(o, size);
    if (to && size) memcpy(to, data, size);
}

static void add_byte(output *o, unsigned byte) {
    add_bytes(o, &(uint8_t){(uint8_t)byte}, 1);
}

static void add_number(output *o, uint64_t x) {
    for (; x >= 0x80; x >>= 7) add_byte(o, (unsigned)(x & 0x7f) | 0x80);
    add_byte(o, (unsigned)x);
}

static void add_frame(output *o, const output *content) {
    ZSTD_CCtx *c = ZSTD_createCCtx();
    const size_t most = ZSTD_compressBound(content->size);
    uint8_t *to = c && !content->failed ? add(o, most) : NULL;
    size_t size = 0;
    if (to) {
        ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel,
                               content->size < MANY_BYTES ? HARD_LEVEL : FAST_LEVEL);
        ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
        size =
            ZSTD_compress2(c, to, most, content->data ? content->data : (const uint8_t *)"", content->size);
        o->failed |= ZSTD_isError(size) != 0;
        if (!o->failed) o->size -= most - size;
    } else {
        o->failed = true;
    }
    ZSTD_freeCCtx(c);
}

/* --- a tensor's data in one form --- */

typedef struct elements {
    const uint8_t *data;
    uint64_t count;
    unsigned bits;
    uint64_t table[MOST_ENTRIES]; /* the kinds of element, zero not among them where that is left out */
    unsigned entries;             /* MOST_ENTRIES + 1: too many */
    uint64_t zeros;
} elements;

static uint64_t element(const elements *e, uint64_t i) {
    uint64_t x = 0;
    if (e->bits < 8) return hone_bits_get(e->data, (int64_t)i, (int)e->bits);
    memcpy(&x, e->data + i * (e->bits / 8), e->bits / 8); /* little endian */
    return x;
}

static unsigned entry_of(const elements *e, uint64_t x) {
    unsigned low = 0, high = e->entries; /* sorted */
    while (low < high) {
        const unsigned middle = (low + high) / 2;
        if (e->table[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The kinds of element, but zero: sorted. */
static void find_table(elements *e) {
    e->entries = 0;
    e->zeros = 0;
    for (uint64_t i = 0; i < e->count; i++) {
        const uint64_t x = element(e, i);
        if (x == 0) {
            e->zeros++;
            continue;
        }
        if (e->entries > MOST_ENTRIES) continue;
        const unsigned at = entry_of(e, x);
        if (at < e->entries && e->table[at] == x) continue;
        if (e->entries++ == MOST_ENTRIES) continue;
        memmove(e->table + at + 1, e->table + at, (e->entries - 1 - at) * sizeof *e->table);
        e->table[at] = x;
    }
}

/* In the table, too, where zeros are not left out. */
static bool with_zero(const elements *e, elements *out) {
    *out = *e;
    if (e->entries >= MOST_ENTRIES) return e->entries == MOST_ENTRIES && !e->zeros;
    if (!e->zeros) return true;
    memmove(out->table + 1, out->table, out->entries++ * sizeof *out->table);
    out->table[0] = 0;
    return true;
}

static void add_planes(output *o, const uint64_t *x, uint64_t count, unsigned width) {
    for (unsigned b = 0; b < width; b++)
        for (uint64_t i = 0; i < count; i++) add_byte(o, (unsigned)(x[i] >> 8 * b) & 0xff);
}

/* What is there, in order, and the gaps. */
static void sort_out(const elements *e, bool sparse, uint64_t *there, uint64_t *count, output *gaps) {
    unsigned gap = 0;
    *count = 0;
    for (uint64_t i = 0; i < e->count; i++) {
        const uint64_t x = element(e, i);
        if (sparse && x == 0) {
            if (++gap < 255) continue;
            add_byte(gaps, 255);
            gap = 0;
            continue;
        }
        if (sparse) add_byte(gaps, gap);
        gap = 0;
        there[(*count)++] = x;
    }
    while (sparse && gaps->size && gaps->data[gaps->size - 1] == 255)
        gaps->size--; /* zeros at the end are not told */
}

/* The piece in that form: what the body says of it, and its frames. */
static void write_form(const elements *e, unsigned kind, output *body, output *frames) {
    output gaps = {0}, symbols = {0};
    uint64_t *there = hone_alloc((size_t)(e->count + 1) * sizeof *there), count = 0;
    elements with = *e;
    body->failed |=
        !there || (!(kind & HONE_PACKED_SPARSE) && (kind & HONE_PACKED_TABLE) && !with_zero(e, &with));
    if (!body->failed) {
        sort_out(e, kind & HONE_PACKED_SPARSE, there, &count, &gaps);
        add_number(body, kind);
        add_number(body, e->bits);
        add_number(body, e->count);
        if (kind & HONE_PACKED_TABLE) {
            add_number(body, with.entries);
            add_planes(body, with.table, with.entries, e->bits / 8);
            for (uint64_t i = 0; i < count; i++) add_byte(&symbols, entry_of(&with, there[i]));
        } else {
            add_planes(&symbols, there, count, e->bits > 8 ? e->bits / 8 : 1);
        }
        if (kind & HONE_PACKED_SPARSE) add_frame(frames, &gaps);
        add_frame(frames, &symbols);
    }
    body->failed |= gaps.failed || symbols.failed || frames->failed;
    hone_free(there);
    hone_free(gaps.data);
    hone_free(symbols.data);
}

static bool may_be(const elements *e, unsigned kind) {
    elements with;
    if ((kind & HONE_PACKED_SPARSE) && e->zeros * 8 < e->count) return false;
    if (!(kind & HONE_PACKED_TABLE)) return true;
    return e->bits > 8 && e->entries && e->entries <= MOST_ENTRIES &&
           (kind & HONE_PACKED_SPARSE || with_zero(e, &with));
}

/* The smallest form, if any is smaller than the bytes as they are. */
static bool write_smallest(elements *e, output *body, output *frames) {
    output best_body = {0}, best_frames = {0};
    size_t least = (size_t)(e->count * e->bits / 8);
    bool found = false;
    find_table(e);
    for (unsigned kind = 0; kind < 4; kind++) {
        output b = {0}, f = {0};
        if (!may_be(e, kind)) continue;
        write_form(e, kind, &b, &f);
        const bool better = !b.failed && b.size + f.size < least;
        body->failed |= b.failed;
        if (better) {
            least = b.size + f.size;
            found = true;
            hone_free(best_body.data);
            hone_free(best_frames.data);
            best_body = b;
            best_frames = f;
        } else {
            hone_free(b.data);
            hone_free(f.data);
        }
    }
    if (found) {
        add_bytes(body, best_body.data, best_body.size);
        add_bytes(frames, best_frames.data, best_frames.size);
    }
    hone_free(best_body.data);
    hone_free(best_frames.data);
    return found;
}

/* --- the model's message --- */

typedef struct field {
    unsigned number;
    const uint8_t *p, *end; /* of its bytes; of a number: after it */
    uint64_t value;
} field;

static bool read_number(const uint8_t **p, const uint8_t *end, uint64_t *out) {
    *out = 0;
    for (int shift = 0; shift < 64 && *p < end; shift += 7) {
        const uint8_t byte = *(*p)++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

/* The field at *p, which goes on behind it. */
static bool next_field(const uint8_t **p, const uint8_t *end, field *f) {
    uint64_t key;
    if (*p >= end || !read_number(p, end, &key)) return false;
    *f = (field){.number = (unsigned)(key >> 3)};
    uint64_t size = (key & 7) == 1 ? 8 : (key & 7) == 5 ? 4 : 0;
    if ((key & 7) == 0) return read_number(p, end, &f->value);
    if ((key & 7) == 2 && !read_number(p, end, &size)) return false;
    if (((key & 7) != 2 && !size) || size > (uint64_t)(end - *p)) return false;
    f->p = *p;
    f->end = *p += size;
    return true;
}

/* Bits of an element of an ONNX dtype; 0: none that is packed. */
static unsigned bits_of(uint64_t dtype) {
    static const uint8_t bits[] = {
        [1] = 32,  [2] = 8,   [3] = 8,   [4] = 16,  [5] = 16,  [6] = 32, [7] = 64, [9] = 8,
        [10] = 16, [11] = 64, [12] = 32, [13] = 64, [16] = 16, [17] = 8, [18] = 8, [19] = 8,
        [20] = 8,  [21] = 4,  [22] = 4,  [23] = 4,  [25] = 2,  [26] = 2};
    return dtype < sizeof bits ? bits[dtype] : 0;
}

typedef struct packing {
    output body, frames, rest;
    const uint8_t *done; /* of the model: all before it is a piece, or in the rest */
    uint64_t pieces;
    uint64_t skipped; /* bytes of the rest in front of the last piece */
} packing;

static void pack_tensor(packing *k, const field *tensor) {
    enum { DATA_TYPE = 2, RAW_DATA = 9 };
    const uint8_t *p = tensor->p;
    field f, raw = {0};
    uint64_t dtype = 0;
    while (next_field(&p, tensor->end, &f)) {
        if (f.number == DATA_TYPE) dtype = f.value;
        if (f.number == RAW_DATA && f.p) raw = f;
    }
    const size_t size = (size_t)(raw.end - raw.p);
    elements e = {.data = raw.p, .bits = bits_of(dtype)};
    if (!raw.p || size < FEWEST_BYTES || !e.bits || size * 8 % e.bits) return;
    e.count = size * 8 / e.bits;
    output told = {0}, frames = {0};
    if (write_smallest(&e, &told, &frames)) {
        add_bytes(&k->rest, k->done, (size_t)(raw.p - k->done));
        add_number(&k->body, k->rest.size - k->skipped);
        add_bytes(&k->body, told.data, told.size);
        add_bytes(&k->frames, frames.data, frames.size);
        k->skipped = k->rest.size;
        k->done = raw.end;
        k->pieces++;
    }
    k->body.failed |= told.failed || frames.failed;
    hone_free(told.data);
    hone_free(frames.data);
}

static void pack_initializers(packing *k, const uint8_t *model, size_t size) {
    enum { GRAPH = 7, INITIALIZER = 5 };
    const uint8_t *p = model;
    field graph, f;
    while (next_field(&p, model + size, &graph)) {
        if (graph.number != GRAPH || !graph.p) continue;
        for (const uint8_t *q = graph.p; next_field(&q, graph.end, &f);)
            if (f.number == INITIALIZER && f.p) pack_tensor(k, &f);
    }
}

static void put_together(packing *k, const uint8_t *model, size_t size, output *all) {
    output body = {0};
    add_number(&body, 1);
    add_number(&body, size);
    add_number(&body, k->pieces);
    add_bytes(&body, k->body.data, k->body.size);
    add_bytes(&body, k->rest.data, k->rest.size);
    add_bytes(&body, k->done, (size_t)(model + size - k->done));
    add_bytes(all, HONE_PACKED_MAGIC, HONE_PACKED_MAGIC_SIZE);
    add_frame(all, &body);
    add_bytes(all, k->frames.data, k->frames.size);
    all->failed |= body.failed || k->body.failed || k->rest.failed || k->frames.failed;
    hone_free(body.data);
}

/* What was packed is unpacked once, before anybody relies on it. */
static hone_status prove(const output *all, const void *model, size_t size, hone_error *err) {
    hone_blob back;
    HONE_TRY(hone_packed_read(all->data, all->size, &back, err));
    const bool same = back.size == size && memcmp(back.data, model, size) == 0;
    hone_blob_free(&back);
    return same ? HONE_OK : hone_fail(err, HONE_INTERNAL, "the packed model is not the same");
}

hone_status hone_packed_write(const void *model, size_t size, hone_blob *out, hone_error *err) {
    packing k = {.done = model};
    output all = {0};
    pack_initializers(&k, model, size);
    put_together(&k, model, size, &all);
    hone_free(k.body.data);
    hone_free(k.frames.data);
    hone_free(k.rest.data);
    hone_status status = all.failed ? hone_fail_memory(err) : prove(&all, model, size, err);
    if (status == HONE_OK)
        *out = (hone_blob){all.data, all.size};
    else
        hone_free(all.data);
    return status;
}

#else

hone_status hone_packed_write(const void *model, size_t size, hone_blob *out, hone_error *err) {
    (void)model;
    (void)size;
    (void)out;
    return hone_fail(err, HONE_UNSUPPORTED, "this build packs no models");
}

#endif
