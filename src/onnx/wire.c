#include "onnx/message.h"

#include <string.h>

/* protobuf-c recurses without a limit and says nothing about why it refuses, so the bytes are walked first. */
typedef struct walk {
    const uint8_t *start, *p;
    const char *why;
} walk;

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
    if (depth > HONE_MESSAGE_MAX_DEPTH) return broken(w, "messages are nested too deeply");
    while (w->p < end) {
        uint64_t tag = 0, skipped = 0;
        if (!varint(w, end, &tag)) return false;
        if (tag > UINT32_MAX || tag >> 3 == 0) return broken(w, "a field has no valid number");
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
        ProtobufCWireType wire = (ProtobufCWireType)(tag & 7);
        bool packed = f && is_packable(f) && wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
        if (f && !packed && wire != wire_type(f->type)) return broken(w, "a field has the wrong wire type");
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
            break;
        }
        default: return broken(w, "a field has an unknown wire type");
        }
    }
    return true;
}

hone_status hone_message_check(const ProtobufCMessageDescriptor *type, const void *data, size_t size,
                               hone_error *err) {
    walk w = {data, data, NULL};
    if (size == 0 || walk_message(&w, type, w.start + size, 0)) return HONE_OK;
    return hone_fail(err, HONE_CORRUPT, "is not a %s: %s at byte %zu", type->short_name, w.why,
                     (size_t)(w.p - w.start));
}

static void *allocate(void *failed, size_t size) {
    void *block = hone_alloc(size);
    if (!block) *(bool *)failed = true;
    return block;
}

static void give_back(void *unused, void *block) {
    (void)unused;
    hone_free(block);
}

hone_status hone_message_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t size,
                                void *out, hone_error *err) {
    HONE_TRY(hone_message_check(type, data, size, err));
    bool failed = false;
    ProtobufCAllocator allocator = {allocate, give_back, &failed};
    ProtobufCMessage *m = protobuf_c_message_unpack(type, &allocator, size, data);
    if (!m && failed) return hone_fail_memory(err);
    if (!m) return hone_fail(err, HONE_CORRUPT, "is not a %s", type->short_name);
    *(ProtobufCMessage **)out = m;
    return HONE_OK;
}

void hone_message_free(void *message) {
    ProtobufCAllocator allocator = {allocate, give_back, NULL};
    if (message) protobuf_c_message_free_unpacked(message, &allocator);
}
