/* The inside of hone_tensor, for rooms that move data. */
#ifndef HONE_GRAPH_TENSOR_H
#define HONE_GRAPH_TENSOR_H

#include <hone/tensor.h>

#include <stdatomic.h>
#include <stdbool.h>

struct hone_tensor {
    atomic_int references;
    hone_value_kind kind; /* 0: HONE_KIND_TENSOR; of others `data` are `count` references to tensors */
    bool owns_data;
    bool mapped;  /* the data are a file's (`owner`, a hone_mapping): read-only, in memory only once read */
    bool in_bulk; /* the data are a part of a bulk (`owner`, a hone_bulk_part) that is this tensor's alone */
    hone_release_fn *release; /* of borrowed data, with `owner`; NULL: nobody need be told */
    void *owner;
    hone_dtype dtype;
    int rank;
    int64_t dims[HONE_MAX_RANK];
    int64_t count; /* product of dims */
    size_t bytes;
    void *data;
};

/* Number of elements and bytes of a shape; HONE_INVALID_ARGUMENT if a dimension is negative or a product
 * overflows. */
hone_status hone_shape_size(hone_dtype dtype, int rank, const int64_t *dims, int64_t *count, size_t *bytes,
                            hone_error *err);
/* A tensor with a copy of `data` (of the shape's size); of hone_string, with copies of their bytes. */
hone_status hone_tensor_copy_of(hone_dtype dtype, int rank, const int64_t *dims, const void *data,
                                hone_tensor **out, hone_error *err);
/* A tensor over strings that others have, as hone_tensor_borrow() is one over numbers; `release` may be NULL. */
hone_status hone_tensor_borrow_strings(int rank, const int64_t *dims, hone_string *data,
                                       hone_release_fn *release, void *owner, hone_tensor **out,
                                       hone_error *err);
/* A tensor of that type that has lost its data (NULL, of 0 bytes): what stands for a constant that is packed. */
hone_status hone_tensor_shell(hone_dtype dtype, int rank, const int64_t *dims, hone_tensor **out,
                              hone_error *err);
/* May the content be changed, since it is in memory and nobody else holds the tensor? */
bool hone_tensor_is_own(const hone_tensor *t);
/* A tensor of that shape, which must have as many elements, that takes over the data of `t`, which must be its own and
 * of numbers, and becomes a shell (hone_tensor_shell). */
hone_status hone_tensor_take(hone_tensor *t, int rank, const int64_t *dims, hone_tensor **out,
                             hone_error *err);
/* Gives whole pages inside of `bytes` bytes from `offset` on back to the system, if nobody else holds the tensor:
 * their content is lost. Those of a file come again. */
void hone_tensor_discard(hone_tensor *t, size_t offset, size_t bytes);
/* Text of a concrete shape: "[64, 10]". Returns `text`. */
const char *hone_shape_format(int rank, const int64_t *dims, char *text, size_t size);

/* Copies positions [from, from + n) of `axis` to those from `to` on of `out`, a tensor of the same dtype and, but for
 * that axis, the same dimensions. Elements of any size; of strings `out` gets copies. HONE_OUT_OF_MEMORY. */
hone_status hone_tensor_copy_range(const hone_tensor *t, int axis, int64_t from, int64_t n, hone_tensor *out,
                                   int64_t to, hone_error *err);

/* The same, but strings stay where they are: `out` borrows them. */
void hone_tensor_move_range(const hone_tensor *t, int axis, int64_t from, int64_t n, hone_tensor *out,
                            int64_t to);

/* Element i of an integer or bool tensor as int64 (the dtype must be one). */
int64_t hone_tensor_int(const hone_tensor *t, int64_t i);
bool hone_dtype_is_float(hone_dtype dtype); /* float16, bfloat16, float32, float64 */
bool hone_dtype_is_int(hone_dtype dtype);   /* signed and unsigned integers of any size, and bool */

#endif
