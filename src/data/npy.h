/* NumPy's .npy format, inside this room: from any source. */
#ifndef HONE_DATA_NPY_H
#define HONE_DATA_NPY_H

#include "base/file.h"
#include "data/source.h"

#include <hone/tensor.h>

/* What a header says, checked. */
typedef struct hone_npy_header {
    hone_dtype dtype;
    bool swapped; /* in the other byte order than this machine's */
    bool fortran; /* first index fastest */
    int rank;
    int64_t dims[HONE_MAX_RANK];
    size_t width;    /* of strings: bytes, or characters, of an element */
    bool characters; /* 'U': each of 4 bytes */
} hone_npy_header;

/* Parses the text of a header (a Python literal; it need not end in a zero). */
hone_status hone_npy_parse_header(const char *text, size_t size, hone_npy_header *out, hone_error *err);
/* Reads one array, which must fill the source to its end. */
hone_status hone_npy_read(hone_source *s, hone_tensor **out, hone_error *err);
/* hone_npy_load from memory. */
hone_status hone_npy_parse(const void *data, size_t size, hone_tensor **out, hone_error *err);

/* The bytes of a file: the header, and behind it the elements if they are strings; else what follows are `t`'s data.
 * HONE_UNSUPPORTED as for hone_npy_save(). hone_blob_free() when done. */
hone_status hone_npy_front(const hone_tensor *t, hone_blob *out, hone_error *err);

#endif
