/* Protocol buffers on the wire: a cursor over fields, and functions that append them. No message is built and
 * nothing is allocated; what a field holds is borrowed from the input.
 *
 *      hone_wire w = hone_wire_of(data, size);
 *      hone_wire_field f;
 *      while (hone_wire_next(&w, &f))
 *          if (hone_wire_is(&f, 3, HONE_WIRE_BYTES)) …          a field of another type is an unknown one
 *      if (w.why) …                                             the input is broken
 *
 * Every read is checked against the end. Groups, which no message here has, are skipped. */
#ifndef HONE_SERVE_FORMAT_WIRE_H
#define HONE_SERVE_FORMAT_WIRE_H

#include "serve/format/buffer.h"
#include "serve/format/slice.h"

#include <hone/error.h>

/* How deep groups may nest. */
#define HONE_WIRE_MAX_GROUPS 16

typedef enum hone_wire_type {
    HONE_WIRE_VARINT = 0,
    HONE_WIRE_FIXED64 = 1,
    HONE_WIRE_BYTES = 2,
    HONE_WIRE_GROUP = 3,
    HONE_WIRE_END_GROUP = 4,
    HONE_WIRE_FIXED32 = 5
} hone_wire_type;

typedef struct hone_wire {
    const uint8_t *at, *end;
    const char *why; /* the input is broken: a sentence; NULL so far */
} hone_wire;

typedef struct hone_wire_field {
    uint32_t number;
    hone_wire_type type;
    uint64_t value;      /* of varints and fixed numbers */
    const uint8_t *data; /* of bytes, strings, messages and packed numbers; never NULL */
    size_t size;
} hone_wire_field;

static inline hone_wire hone_wire_of(const void *data, size_t size) {
    return (hone_wire){(const uint8_t *)data, (const uint8_t *)data + size, NULL};
}

/* The next field; false at the end, or when `why` is set. */
bool hone_wire_next(hone_wire *w, hone_wire_field *f);
/* One number of a packed run; false at the end, or when `why` is set. */
bool hone_wire_varint(hone_wire *w, uint64_t *out);
/* HONE_INVALID_ARGUMENT "the request is no MESSAGE: WHY" if it is broken, else HONE_OK. */
hone_status hone_wire_check(const hone_wire *w, const char *message, hone_error *err);

static inline bool hone_wire_is(const hone_wire_field *f, uint32_t number, hone_wire_type type) {
    return f->number == number && f->type == type;
}
/* A cursor over a field's content: a message, or packed numbers. */
static inline hone_wire hone_wire_into(const hone_wire_field *f) {
    return hone_wire_of(f->data, f->size);
}
static inline hone_slice hone_wire_text(const hone_wire_field *f) {
    return (hone_slice){(const char *)f->data, f->size};
}

/* --- writing --- a buffer that could not grow remembers it, so these return nothing */

/* Bytes of a varint, of a tag, and of a field of `size` bytes with its tag and length. */
static inline size_t hone_wire_varint_size(uint64_t x) {
    return (size_t)(64 - __builtin_clzll(x | 1) + 6) / 7;
}
static inline size_t hone_wire_tag_size(uint32_t number) {
    return hone_wire_varint_size((uint64_t)number << 3);
}
static inline size_t hone_wire_bytes_size(uint32_t number, size_t size) {
    return hone_wire_tag_size(number) + hone_wire_varint_size(size) + size;
}

void hone_wire_put_varint(hone_buffer *b, uint64_t x);
void hone_wire_put_tag(hone_buffer *b, uint32_t number, hone_wire_type type);
/* Fields. A number that is 0 and text that is empty are written as well: leave them out yourself. */
/* Ints (int32 sign-extended) and bools. */
void hone_wire_put_number(hone_buffer *b, uint32_t number, uint64_t x);
void hone_wire_put_bytes(hone_buffer *b, uint32_t number, const void *data, size_t size);
/* Bytes that are no UTF-8, which readers would refuse, become U+FFFD. */
void hone_wire_put_text(hone_buffer *b, uint32_t number, const char *text);
/* A message (or packed numbers) of a size that is not known yet: what is appended between begin and end.
 * `end` gets what `begin` returned. They nest, and suit small messages: long ones are moved by a few
 * bytes. */
size_t hone_wire_begin(hone_buffer *b, uint32_t number);
void hone_wire_end(hone_buffer *b, size_t begun);

#endif
