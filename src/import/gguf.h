/* GGUF files, versions 2 and 3: keys with values, then tensors, many of them in blocks of few bits (blocks.h).
 * Nothing in a file is trusted: counts, lengths and ranges are checked before anything is read by them, and what is wrong
 * is named by its key or tensor. Values and data are borrowed from the file's bytes, which are mapped. */
#ifndef HONE_IMPORT_GGUF_H
#define HONE_IMPORT_GGUF_H

#include "base/error.h"
#include "import/stored.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hone_gguf hone_gguf;

typedef enum hone_gguf_type {
    HONE_GGUF_U8,
    HONE_GGUF_I8,
    HONE_GGUF_U16,
    HONE_GGUF_I16,
    HONE_GGUF_U32,
    HONE_GGUF_I32,
    HONE_GGUF_F32,
    HONE_GGUF_BOOL,
    HONE_GGUF_STRING,
    HONE_GGUF_ARRAY,
    HONE_GGUF_U64,
    HONE_GGUF_I64,
    HONE_GGUF_F64
} hone_gguf_type;

/* Maps a file. On success `*out` belongs to the caller: hone_gguf_free(). HONE_CORRUPT names the key or tensor that is
 * wrong, HONE_UNSUPPORTED what Hone cannot read. */
hone_status hone_gguf_open(const char *path, hone_gguf **out, hone_error *err);
/* The same from memory, which must outlive it. `name` stands for the file in errors. */
hone_status hone_gguf_parse(const void *data, size_t size, const char *name, hone_gguf **out,
                            hone_error *err);
void hone_gguf_free(hone_gguf *g); /* NULL is fine */
const char *hone_gguf_path(const hone_gguf *g);
bool hone_gguf_is_mapped(const hone_gguf *g); /* its bytes are a file's */

const hone_stored *hone_gguf_tensors(const hone_gguf *g, size_t *count); /* by name */

/* The value of a key: false, and `*out` as it was, where it is not there or of another kind. Integers and floats may be
 * of any width. */
bool hone_gguf_int(const hone_gguf *g, const char *key, int64_t *out);
bool hone_gguf_float(const hone_gguf *g, const char *key, double *out); /* integers, too */
bool hone_gguf_bool(const hone_gguf *g, const char *key, bool *out);
/* `*text` is not terminated. */
bool hone_gguf_string(const hone_gguf *g, const char *key, const char **text, size_t *size);

/* A flat array, read from its start to its end. */
typedef struct hone_gguf_array {
    hone_gguf_type type; /* of the elements */
    uint64_t count;
    const uint8_t *at; /* the next one */
} hone_gguf_array;
bool hone_gguf_array_of(const hone_gguf *g, const char *key, hone_gguf_array *out);
/* The next element, as an integer, a float or a string; false at the end, or where the elements are of another kind. */
bool hone_gguf_next_int(hone_gguf_array *a, int64_t *out);
bool hone_gguf_next_float(hone_gguf_array *a, double *out);
bool hone_gguf_next_string(hone_gguf_array *a, const char **text, size_t *size);

#endif
