/* Writing JSON text. All functions append to a buffer and leave it to the caller to ask whether it failed. */
#ifndef HONE_SERVE_FORMAT_JSON_WRITE_H
#define HONE_SERVE_FORMAT_JSON_WRITE_H

#include "serve/format/buffer.h"

#include <hone/tensor.h>

/* The fewest digits that read back as the same float. Whole numbers end in ".0"; very small and large ones
 * are written as 1.5e-07, the way TensorFlow Serving does; NaN, Infinity, -Infinity. */
void hone_json_write_float(hone_buffer *b, float x);
void hone_json_write_double(hone_buffer *b, double x);
void hone_json_write_integer(hone_buffer *b, int64_t x);
/* With quotation marks. Bytes that are no UTF-8 become U+FFFD. */
void hone_json_write_string(hone_buffer *b, const char *text, size_t size);

/* As base64, with quotation marks. */
void hone_json_write_bytes(hone_buffer *b, const void *data, size_t size);

/* `count` elements from element `first` on, separated by ", ". False if the dtype can't be written. */
bool hone_json_write_elements(hone_buffer *b, const hone_tensor *t, int64_t first, int64_t count);
/* Nested lists over the dimensions from `axis` on, of the elements from `first` on: axis 0 and first 0 are
 * the whole tensor, axis 1 and first row*stride one row. A value without dimensions is written bare. */
bool hone_json_write_tensor(hone_buffer *b, const hone_tensor *t, int axis, int64_t first);
/* As hone_json_write_tensor, where a row, along the last axis, is an object of the row's elements with these keys, integers or
 * strings, for names. False also if there are not as many keys, or no such axis. */
bool hone_json_write_maps(hone_buffer *b, const hone_tensor *t, const hone_tensor *keys, int axis,
                          int64_t first);
/* As hone_json_write_tensor, with each string as {"b64": "…"}. False if the tensor holds no strings. */
bool hone_json_write_base64(hone_buffer *b, const hone_tensor *t, int axis, int64_t first);

#endif
