/* Fields of messages by their descriptors. */
#include "onnx/text/script.h"

#include <string.h>

/* The same but for _ and the letters' case. */
static bool spells(const char *field, const char *name, size_t size) {
    size_t i = 0;
    for (; *field; field++) {
        if (*field == '_') continue;
        while (i < size && name[i] == '_') i++;
        if (i == size || (name[i] | 32) != (*field | 32)) return false;
        i++;
    }
    return i == size;
}

const ProtobufCFieldDescriptor *hone_field_find(const ProtobufCMessageDescriptor *d, const char *name,
                                                size_t size, bool loosely) {
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        if (f->type == PROTOBUF_C_TYPE_FIXED64) continue; /* Hone's own mark */
        if (strlen(f->name) == size && memcmp(f->name, name, size) == 0) return f;
        if (loosely && spells(f->name, name, size)) return f;
    }
    return NULL;
}

bool hone_field_is_packed(const ProtobufCFieldDescriptor *f) {
    return (f->flags & PROTOBUF_C_FIELD_FLAG_PACKED) != 0;
}

/* In place: what comes out is shorter. */
static hone_status decode_base64(hone_script *t, const hone_scalar *x) {
    size_t size = t->size, to = 0;
    uint32_t bits = 0;
    int held = 0;
    while (size > 0 && t->string[size - 1] == '=') size--;
    for (size_t i = 0; i < size; i++) {
        char c = t->string[i];
        int digit = c >= 'A' && c <= 'Z'   ? c - 'A'
                    : c >= 'a' && c <= 'z' ? c - 'a' + 26
                    : c >= '0' && c <= '9' ? c - '0' + 52
                    : c == '+' || c == '-' ? 62
                    : c == '/' || c == '_' ? 63
                                           : -1;
        if (digit < 0) return hone_script_fail(t, x->span.at, "bytes that are not in base64");
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        t->string[to++] = (char)(bits >> held);
    }
    t->size = to;
    return HONE_OK;
}

static hone_span content(const hone_script *t, const hone_scalar *x) {
    return x->is_string ? (hone_span){t->string, t->size} : x->span;
}

static hone_status read_enum(const hone_script *t, const ProtobufCFieldDescriptor *f, const hone_scalar *x,
                             int64_t *out) {
    hone_span s = content(t, x);
    char name[64];
    if (s.size && s.size < sizeof name && hone_script_is_letter(*s.at)) {
        memcpy(name, s.at, s.size);
        name[s.size] = 0;
        const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value_by_name(f->descriptor, name);
        if (!v) return hone_script_fail(t, x->span.at, "%s has no value %s", f->name, name);
        *out = v->value;
        return HONE_OK;
    }
    return hone_span_int(t, s, x->base, out);
}

static hone_status read_int(const hone_script *t, const ProtobufCFieldDescriptor *f, const hone_scalar *x,
                            int64_t *out) {
    hone_span s = content(t, x);
    if (f->type == PROTOBUF_C_TYPE_ENUM) return read_enum(t, f, x, out);
    *out = hone_span_is(s, "true");
    if (*out || hone_span_is(s, "false")) return HONE_OK;
    if (hone_span_int(t, s, x->base, out) != HONE_OK)
        return hone_script_fail(t, x->span.at, "%s needs a whole number", f->name);
    if (f->type == PROTOBUF_C_TYPE_INT32 && *out != (int32_t)*out)
        return hone_script_fail(t, x->span.at, "%s needs a number of 32 bits", f->name);
    return HONE_OK;
}

static hone_status put_float(hone_script *t, const ProtobufCFieldDescriptor *f, const hone_scalar *x,
                             bool packed) {
    double number = 0;
    if (hone_span_float(t, content(t, x), &number) != HONE_OK)
        return hone_script_fail(t, x->span.at, "%s needs a number", f->name);
    float narrow = (float)number;
    bool wide = f->type == PROTOBUF_C_TYPE_DOUBLE;
    if (!packed) hone_script_put_varint(&t->wire, (uint64_t)f->id << 3 | (wide ? 1 : 5));
    hone_script_put_raw(&t->wire, wide ? (void *)&number : &narrow, wide ? sizeof number : sizeof narrow);
    return HONE_OK;
}

hone_status hone_field_put(hone_script *t, const ProtobufCFieldDescriptor *f, const hone_scalar *x,
                           bool packed) {
    int64_t number = 0;
    switch (f->type) {
    case PROTOBUF_C_TYPE_MESSAGE: return hone_script_fail(t, x->span.at, "%s needs a message", f->name);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
        if (!x->is_string) return hone_script_fail(t, x->span.at, "%s needs a string", f->name);
        if (f->type == PROTOBUF_C_TYPE_BYTES && x->base64) HONE_TRY(decode_base64(t, x));
        hone_script_put_bytes(&t->wire, f->id, t->string, t->size);
        return HONE_OK;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE: return put_float(t, f, x, packed);
    default: break;
    }
    HONE_TRY(read_int(t, f, x, &number));
    if (packed)
        hone_script_put_varint(&t->wire, (uint64_t)number);
    else
        hone_script_put_int(&t->wire, f->id, number);
    return HONE_OK;
}
