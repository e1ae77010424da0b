#include "onnx/packed.h"

#include "base/memory.h"

#include <string.h>

bool hone_is_packed(const void *data, size_t size) {
    return size >= HONE_PACKED_MAGIC_SIZE && memcmp(data, HONE_PACKED_MAGIC, HONE_PACKED_MAGIC_SIZE) == 0;
}

#ifdef HONE_PARTS_INFERENCE

hone_status hone_packed_read(const void *data, size_t size, hone_blob *out, hone_error *err) {
    (void)data;
    (void)size;
    (void)out;
    return hone_fail(err, HONE_UNSUPPORTED,
                     "is a packed model, and this build reads none: hone unpack makes a plain one");
}

#else

#include "base/bits.h"

#include <zstd.h>

/* Bytes to be read one after the other. */
typedef struct input {
    const uint8_t *p, *end;
} input;

typedef struct piece {
    uint64_t skip, count, entries;
    unsigned kind, bits;
    const uint8_t *table;
} piece;

static hone_status corrupt(hone_error *err, const char *why) {
    return hone_fail(err, HONE_CORRUPT, "is a damaged packed model: %s", why);
}

static bool number(input *in, uint64_t *out) {
    *out = 0;
    for (int shift = 0; shift < 63 && in->p < in->end; shift += 7) {
        const uint8_t byte = *in->p++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

/* The next frame's content, of at most `most` bytes. */
static hone_status frame(input *in, uint64_t most, hone_blob *out, hone_error *err) {
    const size_t left = (size_t)(in->end - in->p), size = ZSTD_findFrameCompressedSize(in->p, left);
    *out = (hone_blob){NULL, 0};
    if (ZSTD_isError(size)) return corrupt(err, "a frame is cut off");
    const unsigned long long content = ZSTD_getFrameContentSize(in->p, left);
    if (content > most)
        return corrupt(err, "a frame says that it is too large"); /* also if it says nothing */
    uint8_t *data = hone_alloc((size_t)content + 1);
    if (!data) return hone_fail_memory(err);
    const size_t got = ZSTD_decompress(data, (size_t)content, in->p, size);
    if (ZSTD_isError(got) || got != content) {
        hone_free(data);
        return corrupt(err, ZSTD_isError(got) ? ZSTD_getErrorName(got) : "a frame is too short");
    }
    in->p += size;
    *out = (hone_blob){data, got};
    return HONE_OK;
}

/* Bytes of the piece in the model; 0: it makes no sense. */
static uint64_t bytes_of(const piece *p, uint64_t most) {
    const bool width =
        p->bits == 2 || p->bits == 4 || p->bits == 8 || p->bits == 16 || p->bits == 32 || p->bits == 64;
    if (!width || p->kind > 3 || p->count == 0 || p->count > most * 8 / p->bits || p->count * p->bits % 8)
        return 0;
    if ((p->kind & HONE_PACKED_TABLE) && (p->bits < 8 || p->entries < 1 || p->entries > 256)) return 0;
    return p->count * p->bits / 8;
}

static hone_status read_piece(input *in, uint64_t most, piece *p, hone_error *err) {
    uint64_t kind, bits;
    *p = (piece){0};
    if (!number(in, &p->skip) || !number(in, &kind) || !number(in, &bits) || !number(in, &p->count) ||
        kind > 3 || bits > 64)
        return corrupt(err, "a piece is not told whole");
    p->kind = (unsigned)kind;
    p->bits = (unsigned)bits;
    if ((kind & HONE_PACKED_TABLE) && !number(in, &p->entries))
        return corrupt(err, "a table is not told whole");
    if (!bytes_of(p, most)) return corrupt(err, "a piece of a form that there is not");
    p->table = in->p;
    const uint64_t table = p->entries * (p->bits / 8);
    if (table > (uint64_t)(in->end - in->p)) return corrupt(err, "a table is cut off");
    in->p += table;
    return HONE_OK;
}

/* Element `at` of the piece is symbol `i` of those that are there. */
static bool put(const piece *p, const hone_blob *symbols, uint64_t present, uint64_t i, uint64_t at,
                uint8_t *to) {
    const unsigned width = p->bits / 8;
    const uint8_t *s = symbols->data;
    if (p->bits < 8) {
        if (s[i] >> p->bits) return false;
        hone_bits_set(to, (int64_t)at, (int)p->bits, s[i]);
    } else if (p->kind & HONE_PACKED_TABLE) {
        if (s[i] >= p->entries) return false;
        for (unsigned b = 0; b < width; b++) to[at * width + b] = p->table[b * p->entries + s[i]];
    } else {
        for (unsigned b = 0; b < width; b++) to[at * width + b] = s[b * present + i];
    }
    return true;
}

/* Elements that are there, by the gaps. */
static uint64_t present_in(const piece *p, const hone_blob *gaps) {
    uint64_t n = 0;
    if (!(p->kind & HONE_PACKED_SPARSE)) return p->count;
    for (size_t i = 0; i < gaps->size; i++) n += gaps->data[i] != 255;
    return n;
}

static hone_status place(const piece *p, const hone_blob *gaps, const hone_blob *symbols, uint8_t *to,
                         hone_error *err) {
    const uint64_t present = present_in(p, gaps);
    const bool bytes = p->bits <= 8 || p->kind & HONE_PACKED_TABLE;
    uint64_t at = 0, g = 0;
    if (symbols->size != present * (bytes ? 1 : p->bits / 8)) return corrupt(err, "symbols that do not fit");
    for (uint64_t i = 0; i < present; i++, at++) {
        for (bool more = p->kind & HONE_PACKED_SPARSE; more;
             g++) { /* there is one that is not 255 for each */
            at += gaps->data[g];
            more = gaps->data[g] == 255;
        }
        if (at >= p->count || !put(p, symbols, present, i, at, to))
            return corrupt(err, "an element that does not fit");
    }
    return HONE_OK;
}

static hone_status fill(input *frames, const piece *p, uint8_t *to, hone_error *err) {
    hone_blob gaps = {NULL, 0}, symbols = {NULL, 0};
    const uint64_t most = p->count * (p->bits < 8 ? 1 : p->bits / 8);
    hone_status status = HONE_OK;
    if (p->kind & HONE_PACKED_SPARSE) status = frame(frames, 2 * p->count, &gaps, err);
    if (status == HONE_OK) status = frame(frames, most, &symbols, err);
    if (status == HONE_OK) status = place(p, &gaps, &symbols, to, err);
    hone_blob_free(&gaps);
    hone_blob_free(&symbols);
    return status;
}

static hone_status unpack(input *body, input *frames, const piece *pieces, uint64_t count, uint8_t *to,
                          hone_error *err) {
    for (uint64_t i = 0; i < count; i++) {
        const piece *p = &pieces[i];
        memcpy(to, body->p, (size_t)p->skip);
        body->p += p->skip;
        to += p->skip;
        HONE_TRY(fill(frames, p, to, err));
        to += p->count * p->bits / 8;
    }
    memcpy(to, body->p, (size_t)(body->end - body->p));
    return HONE_OK;
}

/* What the pieces say of themselves; what is behind them has to be what they leave. */
static hone_status read_pieces(input *body, uint64_t size, uint64_t count, piece *pieces, hone_error *err) {
    uint64_t in_pieces = 0, skipped = 0;
    for (uint64_t i = 0; i < count; i++) {
        HONE_TRY(read_piece(body, size - in_pieces, &pieces[i], err));
        in_pieces += bytes_of(&pieces[i], size);
        if (in_pieces > size || pieces[i].skip > size - skipped)
            return corrupt(err, "pieces that do not fit");
        skipped += pieces[i].skip;
    }
    const uint64_t rest = (uint64_t)(body->end - body->p);
    return rest == size - in_pieces && skipped <= rest ? HONE_OK : corrupt(err, "pieces that do not fit");
}

static hone_status read_body(input *body, input *frames, uint64_t most, hone_blob *out, hone_error *err) {
    uint64_t version, size, count;
    if (!number(body, &version)) return corrupt(err, "it has no version");
    if (version != 1)
        return hone_fail(err, HONE_UNSUPPORTED, "is a packed model of version %u", (unsigned)version);
    if (!number(body, &size) || !number(body, &count) || size > most ||
        count > (uint64_t)(body->end - body->p))
        return corrupt(err, "sizes that cannot be");
    piece *pieces = hone_calloc((size_t)count + 1, sizeof *pieces);
    uint8_t *data = NULL;
    hone_status status = pieces ? read_pieces(body, size, count, pieces, err) : hone_fail_memory(err);
    if (status == HONE_OK && !(data = hone_calloc((size_t)size + 1, 1))) status = hone_fail_memory(err);
    if (status == HONE_OK) status = unpack(body, frames, pieces, count, data, err);
    if (status == HONE_OK && frames->p != frames->end) status = corrupt(err, "there is more behind it");
    hone_free(pieces);
    if (status == HONE_OK)
        *out = (hone_blob){data, (size_t)size};
    else
        hone_free(data);
    return status;
}

hone_status hone_packed_read(const void *data, size_t size, hone_blob *out, hone_error *err) {
    input frames = {(const uint8_t *)data + HONE_PACKED_MAGIC_SIZE, (const uint8_t *)data + size}, body;
    uint64_t most =
        size < UINT64_MAX / HONE_PACKED_MOST_RATIO ? (uint64_t)size * HONE_PACKED_MOST_RATIO : UINT64_MAX;
    hone_blob content;
    if (most < HONE_PACKED_ALWAYS) most = HONE_PACKED_ALWAYS;
    if (most > INT32_MAX) most = INT32_MAX; /* a message has no more */
    HONE_TRY(frame(&frames, most, &content, err));
    body = (input){content.data, content.data + content.size};
    hone_status status = read_body(&body, &frames, most, out, err);
    hone_blob_free(&content);
    return status;
}

#endif
