/* Parts of the reader of ONNX's own syntax. */
#ifndef HONE_ONNX_TEXT_SYNTAX_H
#define HONE_ONNX_TEXT_SYNTAX_H

#include "onnx/text/script.h"

/* --- syntax.c --- */

/* The next character behind blanks and comments; 0 at the end. */
char hone_syntax_next(hone_script *t);
bool hone_syntax_take(hone_script *t, char c);
hone_status hone_syntax_expect(hone_script *t, char c);
hone_status hone_syntax_string(hone_script *t); /* into t->string, as a name is */
hone_status hone_syntax_name(hone_script *t);
/* ["a": 1, …] or ["a": "b", …] as messages of two fields. */
hone_status hone_syntax_pairs(hone_script *t, unsigned id, bool version);
/* The fields of a GraphProto whose name is in t->string. */
hone_status hone_syntax_graph_behind_name(hone_script *t);

/* --- syntax_type.c --- */

/* A type as bytes of a TypeProto. Of a tensor also what it says, for its content. */
typedef struct hone_syntax_type {
    hone_dtype dtype;
    int rank; /* HONE_RANK_ANY: none was given */
    int64_t dims[64];
    size_t size; /* of the bytes */
    uint8_t bytes[1024];
} hone_syntax_type;

/* Does a word begin a type? */
bool hone_syntax_is_type(hone_span word);
hone_status hone_syntax_read_type(hone_script *t, hone_syntax_type *out);
void hone_syntax_put_type(hone_script *t, unsigned id, const hone_syntax_type *type);
/* The fields of a TensorProto: {1, 2, …}, or ["location": "file", …]. */
hone_status hone_syntax_content(hone_script *t, const hone_syntax_type *type, const void *name, size_t size);

/* --- syntax_attr.c --- */

/* <name: type = value, …> as AttributeProtos of field `id`; `names`: the field of those without a value, 0: none. */
hone_status hone_syntax_attributes(hone_script *t, unsigned id, unsigned names);

#endif
