#include "serve/format/wire.h"

#include "base/error.h"

static bool broken(hone_wire *w, const char *why) {
    if (!w->why) w->why = why;
    w->at = w->end;
    return false;
}

bool hone_wire_varint(hone_wire *w, uint64_t *out) {
    uint64_t x = 0;
    if (w->at == w->end) return false;
    for (int shift = 0; shift < 70; shift += 7) {
        if (w->at == w->end) return broken(w, "a number is cut off");
        uint8_t byte = *w->at++;
        x |= (uint64_t)(byte & 0x7f) << (shift & 63);
        if (byte < 0x80) {
            if (shift == 63 && byte > 1) break;
            *out = x;
            return true;
        }
    }
    return broken(w, "a number is too long");
}

static uint64_t little(const uint8_t *p, int bytes) {
    uint64_t x = 0;
    for (int i = 0; i < bytes; i++) x |= (uint64_t)p[i] << (8 * i);
    return x;
}

static bool fixed(hone_wire *w, hone_wire_field *f, int bytes) {
    if (w->end - w->at < bytes) return broken(w, "a number is cut off");
    f->value = little(w->at, bytes);
    w->at += bytes;
    return true;
}

static bool bytes(hone_wire *w, hone_wire_field *f) {
    uint64_t size;
    if (!hone_wire_varint(w, &size)) return broken(w, "a length is cut off");
    if (size > (uint64_t)(w->end - w->at)) return broken(w, "a length passes the end");
    f->data = w->at;
    f->size = (size_t)size;
    w->at += size;
    return true;
}

/* One field, whatever it is. */
static bool any(hone_wire *w, hone_wire_field *f) {
    uint64_t tag;
    if (!hone_wire_varint(w, &tag)) return false;
    *f = (hone_wire_field){.number = (uint32_t)(tag >> 3), .type = (hone_wire_type)(tag & 7), .data = w->at};
    if (tag >> 32 || f->number == 0) return broken(w, "a field has no valid number");
    switch (f->type) {
    case HONE_WIRE_VARINT: return hone_wire_varint(w, &f->value) ? true : broken(w, "a number is cut off");
    case HONE_WIRE_FIXED64: return fixed(w, f, 8);
    case HONE_WIRE_BYTES: return bytes(w, f);
    case HONE_WIRE_FIXED32: return fixed(w, f, 4);
    case HONE_WIRE_GROUP:
    case HONE_WIRE_END_GROUP: return true;
    default: return broken(w, "a field has no valid type");
    }
}

static bool skip_group(hone_wire *w, uint32_t number) {
    uint32_t open[HONE_WIRE_MAX_GROUPS] = {number};
    int depth = 1;
    hone_wire_field f;
    while (depth > 0) {
        if (!any(w, &f)) return broken(w, "a group does not end");
        if (f.type == HONE_WIRE_GROUP) {
            if (depth == HONE_WIRE_MAX_GROUPS) return broken(w, "groups are nested too deeply");
            open[depth++] = f.number;
        } else if (f.type == HONE_WIRE_END_GROUP && open[--depth] != f.number) {
            return broken(w, "a group ends as another one");
        }
    }
    return true;
}

bool hone_wire_next(hone_wire *w, hone_wire_field *f) {
    while (any(w, f)) {
        if (f->type == HONE_WIRE_END_GROUP) return broken(w, "a group ends that did not begin");
        if (f->type != HONE_WIRE_GROUP) return true;
        if (!skip_group(w, f->number)) return false;
    }
    return false;
}

hone_status hone_wire_check(const hone_wire *w, const char *message, hone_error *err) {
    if (!w->why) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT, "the request is no %s: %s", message, w->why);
}

/* --- writing --- */

void hone_wire_put_varint(hone_buffer *b, uint64_t x) {
    if (!hone_buffer_reserve(b, 10)) return;
    uint8_t *p = (uint8_t *)b->data + b->size;
    for (; x >= 0x80; x >>= 7) *p++ = (uint8_t)(x | 0x80);
    *p++ = (uint8_t)x;
    b->size = (size_t)((char *)p - b->data);
}

void hone_wire_put_tag(hone_buffer *b, uint32_t number, hone_wire_type type) {
    hone_wire_put_varint(b, (uint64_t)number << 3 | type);
}

void hone_wire_put_number(hone_buffer *b, uint32_t number, uint64_t x) {
    hone_wire_put_tag(b, number, HONE_WIRE_VARINT);
    hone_wire_put_varint(b, x);
}

void hone_wire_put_bytes(hone_buffer *b, uint32_t number, const void *data, size_t size) {
    hone_wire_put_tag(b, number, HONE_WIRE_BYTES);
    hone_wire_put_varint(b, size);
    hone_buffer_put(b, data, size);
}

static void put_clean(hone_buffer *b, const char *text, size_t size) {
    for (size_t i = 0, n; i < size; i += n ? n : 1) {
        n = hone_utf8_length(text + i, size - i);
        hone_buffer_put(b, n ? text + i : HONE_UTF8_REPLACEMENT, n ? n : 3);
    }
}

void hone_wire_put_text(hone_buffer *b, uint32_t number, const char *text) {
    size_t size = strlen(text);
    if (hone_utf8_is_valid(text, size)) {
        hone_wire_put_bytes(b, number, text, size);
        return;
    }
    size_t start = hone_wire_begin(b, number);
    put_clean(b, text, size);
    hone_wire_end(b, start);
}

size_t hone_wire_begin(hone_buffer *b, uint32_t number) {
    hone_wire_put_tag(b, number, HONE_WIRE_BYTES);
    hone_buffer_byte(b, 0);
    return b->size;
}

void hone_wire_end(hone_buffer *b, size_t begun) {
    if (b->failed) return;
    size_t size = b->size - begun, more = hone_wire_varint_size(size) - 1;
    if (more > 0 && !hone_buffer_reserve(b, more)) return;
    if (more > 0) memmove(b->data + begun + more, b->data + begun, size);
    b->size = begun - 1;
    hone_wire_put_varint(b, size);
    b->size += size;
}
