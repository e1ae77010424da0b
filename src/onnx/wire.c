#include "onnx/message.h"

#include <string.h>

/* protobuf-c recurses without a limit and says nothing about why it refuses, so the bytes are walked first. The
 * walk also adds up what the messages will take in memory: an empty node is two bytes in a file. */
typedef struct walk {
    const hone_onnx_source *source;
    const uint8_t *start, *p;
    const char *why;
    uint64_t unpacked; /* grows by less than 2^10 a byte walked: no overflow */
} walk;

/* Long lists of integers take up to 40 times their bytes, nodes with short names 20 times, weights about as much
 * as in the file. */
enum { UNPACKED_RATIO = 40, PIECE = 536870911 };
static const uint64_t unpacked_always = (uint64_t)64 << 20, unpacked_at_most = (uint64_t)4 << 30;

static bool broken(walk *w, const char *why) {
    if (!w->why) w->why = why;
    return false;
}

static bool varint(walk *w, const uint8_t *end, uint64_t *out) {
    uint64_t x = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (w->p == end) return broken(w, "a number is cut off");
        uint8_t byte = *w->p++;
        x |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = x;
            return true;
        }
    }
    return broken(w, "a number is too long");
}

/* Well-formed UTF-8 without NUL: names go into JSON and into C strings. */
static bool is_text(const uint8_t *p, const uint8_t *end) {
    while (p < end) {
        uint32_t c = *p++;
        if (c == 0) return false;
        if (c < 0x80) continue;
        int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        if (c < 0xc2 || c > 0xf4 || end - p < more) return false;
        uint32_t code = c & (0x3fu >> more);
        for (int i = 0; i < more; i++, p++) {
            if ((*p & 0xc0) != 0x80) return false;
            code = code << 6 | (*p & 0x3fu);
        }
        if ((more == 2 && code < 0x800) || (more == 3 && code < 0x10000) || code > 0x10ffff ||
            (code >= 0xd800 && code < 0xe000))
            return false;
    }
    return true;
}

static bool is_packable(const ProtobufCFieldDescriptor *f) {
    return f->label == PROTOBUF_C_LABEL_REPEATED && f->type != PROTOBUF_C_TYPE_STRING &&
           f->type != PROTOBUF_C_TYPE_BYTES && f->type != PROTOBUF_C_TYPE_MESSAGE;
}

static ProtobufCWireType wire_type(ProtobufCType type) {
    switch (type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32: return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64: return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    default: return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

/* --- what protobuf-c allocates --- */

enum { SCANNED_ON_STACK = 16, SCANNED = 32, UNKNOWN = sizeof(ProtobufCMessageUnknownField) };

/* A block of the store below, or of hone_alloc. */
static size_t taken(size_t size) {
    return (size + 7) / 8 * 9;
}

/* An element of a repeated field's array. */
static size_t element_size(ProtobufCType type) {
    switch (type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_BOOL: return 4;
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    default: return 8;
    }
}

/* The notes on a message's fields while it is unpacked: those beyond the first few are in slabs that double. */
static size_t scanned(size_t fields) {
    size_t slabs = 0;
    for (size_t slab = SCANNED_ON_STACK; slabs + SCANNED_ON_STACK < fields; slabs += slab) slab *= 2;
    return slabs * SCANNED;
}

/* What a field takes that has `length` bytes behind its tag, those of a message apart. */
static size_t field_takes(const ProtobufCFieldDescriptor *f, bool packed, size_t length) {
    if (!f) return UNKNOWN + taken(length);
    if (packed) {
        size_t each = wire_type(f->type) == PROTOBUF_C_WIRE_TYPE_VARINT ? 1 : element_size(f->type);
        return taken(length / each * element_size(f->type));
    }
    size_t list = f->label == PROTOBUF_C_LABEL_REPEATED ? element_size(f->type) : 0;
    bool block = f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_BYTES;
    return list + (block ? taken(length + 1) : 0);
}

/* --- the walk --- */

/* Is the fixed64 just passed a mark that was set when the source was skimmed? */
static bool is_mark(const walk *w) {
    uint64_t index;
    memcpy(&index, w->p - sizeof index, sizeof index);
    return hone_onnx_source_is_mark(w->source, index, (size_t)(w->p - w->start));
}

static bool walk_message(walk *w, const ProtobufCMessageDescriptor *type, const uint8_t *end, int depth);

static bool walk_block(walk *w, const ProtobufCFieldDescriptor *f, const uint8_t *end, int depth,
                       uint64_t *seen, size_t index) {
    uint64_t length = 0;
    if (!varint(w, end, &length)) return false;
    if (length > (uint64_t)(end - w->p)) return broken(w, "a field is cut off");
    const uint8_t *stop = w->p + length;
    if (f && f->type == PROTOBUF_C_TYPE_MESSAGE) {
        if (f->label != PROTOBUF_C_LABEL_REPEATED && index < 64) {
            if (*seen >> index & 1) return broken(w, "a message is there twice");
            *seen |= (uint64_t)1 << index;
        }
        return walk_message(w, f->descriptor, stop, depth + 1);
    }
    if (f && f->type == PROTOBUF_C_TYPE_STRING && !is_text(w->p, stop))
        return broken(w, "a text is not UTF-8");
    w->p = stop;
    return true;
}

static bool walk_message(walk *w, const ProtobufCMessageDescriptor *type, const uint8_t *end, int depth) {
    uint64_t seen = 0;
    size_t fields = 0;
    if (depth > HONE_MESSAGE_MAX_DEPTH) return broken(w, "messages are nested too deeply");
    w->unpacked += taken(type->sizeof_message);
    for (; w->p < end; fields++) {
        uint64_t tag = 0, skipped = 0;
        if (!varint(w, end, &tag)) return false;
        if (tag > UINT32_MAX || tag >> 3 == 0) return broken(w, "a field has no valid number");
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
        ProtobufCWireType wire = (ProtobufCWireType)(tag & 7);
        bool packed = f && is_packable(f) && wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
        if (f && !packed && wire != wire_type(f->type)) return broken(w, "a field has the wrong wire type");
        const uint8_t *field = w->p;
        switch (wire) {
        case PROTOBUF_C_WIRE_TYPE_VARINT:
            if (!varint(w, end, &skipped)) return false;
            break;
        case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
            if (!walk_block(w, f, end, depth, &seen, f ? (size_t)(f - type->fields) : 0)) return false;
            break;
        case PROTOBUF_C_WIRE_TYPE_64BIT:
        case PROTOBUF_C_WIRE_TYPE_32BIT: {
            ptrdiff_t size = wire == PROTOBUF_C_WIRE_TYPE_64BIT ? 8 : 4;
            if (end - w->p < size) return broken(w, "a field is cut off");
            w->p += size;
            if (f && f->id == PIECE && !is_mark(w)) return broken(w, "a field has a number that no file has");
            break;
        }
        default: return broken(w, "a field has an unknown wire type");
        }
        w->unpacked += field_takes(f, packed, (size_t)(w->p - field));
    }
    w->unpacked += scanned(fields);
    return true;
}

static uint64_t unpacked_limit(uint64_t size) {
    if (size > unpacked_at_most) return size + unpacked_at_most;
    const uint64_t limit = size * UNPACKED_RATIO;
    return limit > size + unpacked_at_most ? size + unpacked_at_most : limit + unpacked_always;
}

static hone_status check(const ProtobufCMessageDescriptor *type, const hone_onnx_source *source,
                         const hone_skeleton *s, hone_error *err) {
    walk w = {.source = source, .start = s->data, .p = s->data};
    if (s->size > 0 && !walk_message(&w, type, w.start + s->size, 0))
        return hone_fail(err, HONE_CORRUPT, "is not a %s: %s at byte %llu", type->short_name, w.why,
                         (unsigned long long)hone_onnx_source_position(source, (size_t)(w.p - w.start)));
    if (w.unpacked <= unpacked_limit(s->size)) return HONE_OK;
    return hone_fail(err, HONE_UNSUPPORTED,
                     "its %zu bytes would take %llu MB of memory, as those of no model do", s->size,
                     (unsigned long long)(w.unpacked >> 20));
}

/* --- unpacking --- */

/* Small blocks lie side by side in an arena, never at multiples of 64, which tells them from those of
 * hone_alloc. */
enum { SLAB = 32 << 10, LARGE_ALIGNMENT = 64 };
#ifdef HONE_HEAP_WATCHED
enum { LARGE_FROM = 0 };
#else
enum { LARGE_FROM = 4096 };
#endif

typedef struct store {
    hone_arena *small;
    char *cursor;
    size_t left;
    bool failed;
} store;

static void *allocate_small(store *s, size_t size) {
    size = (size + 7) & ~(size_t)7;
    if (size + 8 > s->left) {
        s->cursor = hone_arena_alloc(s->small, SLAB);
        s->left = s->cursor ? SLAB : 0;
        if (!s->cursor) return NULL;
    }
    size_t gap = (uintptr_t)s->cursor % LARGE_ALIGNMENT == 0 ? 8 : 0;
    void *block = s->cursor + gap;
    s->cursor += gap + size;
    s->left -= gap + size;
    return block;
}

static void *allocate(void *data, size_t size) {
    store *s = data;
    void *block = size < (size_t)LARGE_FROM ? allocate_small(s, size) : hone_alloc(size);
    if (!block) s->failed = true;
    return block;
}

static void give_back(void *unused, void *block) {
    (void)unused;
    if ((uintptr_t)block % LARGE_ALIGNMENT == 0) hone_free(block);
}

static hone_status unpack(const ProtobufCMessageDescriptor *type, const hone_skeleton *skeleton,
                          hone_unpacked *out, hone_error *err) {
    store s = {.small = hone_arena_new()};
    if (!s.small) return hone_fail_memory(err);
    ProtobufCAllocator allocator = {allocate, give_back, &s};
    *out =
        (hone_unpacked){protobuf_c_message_unpack(type, &allocator, skeleton->size, skeleton->data), s.small};
    if (out->message) return HONE_OK;
    hone_message_free(out);
    if (s.failed) return hone_fail_memory(err);
    return hone_fail(err, HONE_CORRUPT, "is not a %s", type->short_name);
}

hone_status hone_message_unpack(const ProtobufCMessageDescriptor *type, hone_onnx_source *source,
                                hone_unpacked *out, hone_error *err) {
    hone_skeleton skeleton;
    HONE_TRY(hone_onnx_source_skim(source, type, &skeleton, err));
    hone_status status = check(type, source, &skeleton, err);
    if (status == HONE_OK) status = unpack(type, &skeleton, out, err);
    hone_free(skeleton.own);
    return status;
}

void hone_message_free(hone_unpacked *m) {
    ProtobufCAllocator allocator = {allocate, give_back, NULL};
    if (m->message) protobuf_c_message_free_unpacked(m->message, &allocator);
    hone_arena_free(m->small);
    *m = (hone_unpacked){0};
}
