/* NumPy's arrays of strings: elements of one width, padded with zeros. 'S' has bytes, 'U' characters of 4 bytes, which
 * become UTF-8. Zeros at the end are padding, so no string ends in one. */
#ifndef HONE_DATA_NPY_STRINGS_H
#define HONE_DATA_NPY_STRINGS_H

#include "data/npy.h"

/* Bytes of an element in the file. */
size_t hone_npy_string_bytes(const hone_npy_header *h);
/* The tensor of `count` elements that lie in `data`, rows first, in this machine's byte order. HONE_CORRUPT names an
 * element that is no text. */
hone_status hone_npy_strings(const hone_npy_header *h, const uint8_t *data, int64_t count, hone_tensor **out,
                             hone_error *err);
/* The width that the strings of a tensor need as 'S': at least 1. HONE_UNSUPPORTED if one ends in a zero. */
hone_status hone_npy_string_width(const hone_tensor *t, size_t *width, hone_error *err);

#endif
