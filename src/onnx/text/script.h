/* Inside of the readers of text: what they read from and write to. */
#ifndef HONE_ONNX_TEXT_SCRIPT_H
#define HONE_ONNX_TEXT_SCRIPT_H

#include "onnx/message.h"
#include "onnx/text/text.h"

#include <locale.h>

/* --- wire.c --- bytes of a message that is written from its beginning on; running out of memory is remembered */

typedef struct hone_script_wire {
    uint8_t *data;
    size_t size, capacity;
    bool failed;
} hone_script_wire;

void hone_script_put_varint(hone_script_wire *w, uint64_t x);
void hone_script_put_raw(hone_script_wire *w, const void *data, size_t size);
/* A field. */
void hone_script_put_int(hone_script_wire *w, unsigned id, int64_t x);
void hone_script_put_float(hone_script_wire *w, unsigned id, float x);
void hone_script_put_bytes(hone_script_wire *w, unsigned id, const void *data, size_t size);
/* A field of bytes that follow, a message or packed numbers: what begin gives is for end. */
size_t hone_script_put_begin(hone_script_wire *w, unsigned id);
void hone_script_put_end(hone_script_wire *w, size_t start);

/* --- lexer.c --- */

typedef struct hone_script {
    const char *begin, *at, *end;
    hone_script_wire wire;
    char *string; /* the last one that was read: `size` bytes, any; a zero behind them */
    size_t size, capacity;
    int depth;
    locale_t locale; /* of numbers: C */
    hone_error *err;
} hone_script;

/* HONE_CORRUPT at a place of the text. */
hone_status hone_script_fail(const hone_script *t, const char *at, const char *format, ...) HONE_PRINTF(3, 4);
/* Blanks, and comments from # on where there are such. */
void hone_script_skip(hone_script *t, bool comments);
/* Adds to t->string. */
hone_status hone_script_add(hone_script *t, const char *bytes, size_t size);
hone_status hone_script_add_character(hone_script *t, const char *at, unsigned code);
/* A nesting deeper than any message may have is refused. */
hone_status hone_script_enter(hone_script *t);
void hone_script_leave(hone_script *t);

/* The characters of a word or number: a span of the text. */
typedef struct hone_span {
    const char *at;
    size_t size;
} hone_span;
bool hone_span_is(hone_span s, const char *word);
bool hone_script_is_letter(char c); /* a letter or _ */
bool hone_script_is_digit(char c);
hone_span hone_script_word(hone_script *t); /* letters, digits and _; may be empty */
hone_span
hone_script_number(hone_script *t); /* a number or a word for one (inf, nan), with its sign; may be empty */
hone_status hone_span_int(const hone_script *t, hone_span s, int base, int64_t *out);
/* As one of 64 bits without a sign where it is that large. */
hone_status hone_span_float(const hone_script *t, hone_span s, double *out);

/* --- field.c --- */

typedef struct hone_scalar {
    hone_span span; /* where it stands, and what it is but for strings */
    bool is_string; /* the content is in t->string */
    int base;       /* of integers; 0: as C has them */
    bool base64;    /* bytes are */
} hone_scalar;
/* `loosely`: as JSON spells names, opType for op_type. NULL: none that a file may have. */
const ProtobufCFieldDescriptor *hone_field_find(const ProtobufCMessageDescriptor *d, const char *name,
                                                size_t size, bool loosely);
bool hone_field_is_packed(const ProtobufCFieldDescriptor *f);
/* One value of a field that is no message; `packed`: without its tag. */
hone_status hone_field_put(hone_script *t, const ProtobufCFieldDescriptor *f, const hone_scalar *x,
                           bool packed);

/* --- json.c, proto.c, onnx.c --- a ModelProto into t->wire */

hone_status hone_script_json(hone_script *t);
hone_status hone_script_proto(hone_script *t);
hone_status hone_script_onnx(hone_script *t);

#endif
