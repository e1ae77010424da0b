/* Rows that are filled up to larger ones, and cut back: the elements alone. */
#ifndef HONE_SERVE_SERVABLE_PADDING_H
#define HONE_SERVE_SERVABLE_PADDING_H

#include "serve/servable/settings.h"

#include <hone/tensor.h>

#define HONE_PAD_ELEMENT 16 /* bytes of the largest element */

/* The element that an input is padded with, of HONE_PAD_ELEMENT bytes at most. `t` NULL: 0. False: the dtype
 * does not hold the value. */
bool hone_pad_element(hone_dtype dtype, const hone_tensor_setting *t, void *out);

/* `rows` rows of `from`, of dims [_, from_dims[1], …], into rows of `to`, which are at least as large in each
 * dimension; what they have beyond is `value`. `element`: bytes of one. */
void hone_pad_rows(void *to, const int64_t *to_dims, const void *from, const int64_t *from_dims, int rank,
                   int64_t rows, size_t element, const void *value);
/* The reverse: `to` is at most as large in each dimension, and gets the beginnings. */
void hone_cut_rows(void *to, const int64_t *to_dims, const void *from, const int64_t *from_dims, int rank,
                   int64_t rows, size_t element);

#endif
