/* Tensors: a dtype, a shape and a row-major buffer. Reference-counted; the count is atomic, the content is
 * not guarded. A tensor's element type may be string; its buffer then holds hone_string. */
#ifndef HONE_TENSOR_H
#define HONE_TENSOR_H

#include <hone/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The most dimensions a tensor can have. */
#define HONE_MAX_RANK 8

/* Element types, numbered as ONNX's TensorProto.DataType. */
typedef enum hone_dtype {
    HONE_UNDEFINED = 0,
    HONE_FLOAT32 = 1,
    HONE_UINT8 = 2,
    HONE_INT8 = 3,
    HONE_UINT16 = 4,
    HONE_INT16 = 5,
    HONE_INT32 = 6,
    HONE_INT64 = 7,
    HONE_STRING = 8,
    HONE_BOOL = 9,
    HONE_FLOAT16 = 10,
    HONE_FLOAT64 = 11,
    HONE_UINT32 = 12,
    HONE_UINT64 = 13,
    HONE_COMPLEX64 = 14, /* known by name only, as HONE_COMPLEX128 is */
    HONE_COMPLEX128 = 15,
    HONE_BFLOAT16 = 16,
    HONE_FLOAT8E4M3FN = 17, /* the float8 formats of ONNX: one byte */
    HONE_FLOAT8E4M3FNUZ = 18,
    HONE_FLOAT8E5M2 = 19,
    HONE_FLOAT8E5M2FNUZ = 20,
    HONE_UINT4 = 21, /* two elements a byte, the first in the low bits */
    HONE_INT4 = 22,
    HONE_FLOAT4E2M1 = 23,
    HONE_FLOAT8E8M0 = 24, /* a power of two: scales of blocks */
    HONE_UINT2 = 25,      /* four a byte, the first in the lowest bits */
    HONE_INT2 = 26
} hone_dtype;
#define HONE_DTYPE_COUNT 27 /* one more than the largest */

/* What a value of a graph can be (ONNX TypeProto). */
typedef enum hone_value_kind {
    HONE_KIND_TENSOR = 1,
    HONE_KIND_SEQUENCE = 4,
    HONE_KIND_MAP = 5,
    HONE_KIND_OPTIONAL = 9
} hone_value_kind;

typedef struct hone_tensor hone_tensor;

/* One element of a string tensor: any bytes, zeros too. Behind the last one stands a zero, not counted in `size`, so
 * that text can be read as a C string; all zero is the empty string. A tensor from hone_tensor_new() or a
 * reader has its strings; those in the outputs of a run are borrowed (hone_context_run). */
typedef struct hone_string {
    char *data;
    size_t size;
} hone_string;

/* Bits of one element: 32 for float32, 4 for int4, 0 if unknown. */
HONE_API int hone_dtype_bits(hone_dtype dtype);
/* Bytes of one element: 4 for float32, sizeof(hone_string) for string; 0 if unknown or less than a byte. */
HONE_API size_t hone_dtype_size(hone_dtype dtype);
/* "float32", "int8", … as in NumPy. Never NULL. */
HONE_API const char *hone_dtype_name(hone_dtype dtype);

/* A zero-filled tensor. Fails with HONE_INVALID_ARGUMENT (rank, negative or overflowing dimension) or
 * HONE_OUT_OF_MEMORY. On success `*out` belongs to the caller: hone_tensor_free(). */
HONE_API hone_status hone_tensor_new(hone_dtype dtype, int rank, const int64_t *dims, hone_tensor **out,
                                     hone_error *err);

/* A tensor over the caller's buffer of exactly the right size, which must outlive it. Not for strings. */
HONE_API hone_status hone_tensor_wrap(hone_dtype dtype, int rank, const int64_t *dims, void *data,
                                      hone_tensor **out, hone_error *err);

/* The same, over a buffer that has an owner: release(owner) is called when the last reference is given back, by
 * whoever gives it. On failure it is not. */
typedef void hone_release_fn(void *owner);
HONE_API hone_status hone_tensor_borrow(hone_dtype dtype, int rank, const int64_t *dims, void *data,
                                        hone_release_fn *release, void *owner, hone_tensor **out,
                                        hone_error *err);

/* What else a value of a graph can be holds tensors, or more of its kind, as items:
 *
 *   HONE_KIND_SEQUENCE    any number of tensors, or of maps
 *   HONE_KIND_OPTIONAL    one tensor or sequence, or none
 *   HONE_KIND_MAP         two: the keys, a tensor [n] of integers or strings, and the values, a tensor [n, …] or a
 *                         sequence of n
 *
 * They are passed as tensors are, with hone_tensor_count items and no dims or data of their own. `dtype` says what is in
 * them, also where there are no items; of a map it is the keys'. Takes references to the items of its own.
 * HONE_INVALID_ARGUMENT: items that don't go together. */
HONE_API hone_status hone_tensor_of_items(hone_value_kind kind, hone_dtype dtype, hone_tensor *const *items,
                                          int64_t count, hone_tensor **out, hone_error *err);
HONE_API hone_value_kind hone_tensor_kind(const hone_tensor *t);
/* Item i of what holds items; borrowed. */
HONE_API const hone_tensor *hone_tensor_item(const hone_tensor *t, int64_t i);

/* Takes another reference and returns `t`. */
HONE_API hone_tensor *hone_tensor_retain(hone_tensor *t);
/* Gives a reference back; the last one frees. NULL is fine. */
HONE_API void hone_tensor_free(hone_tensor *t);

HONE_API hone_dtype hone_tensor_dtype(const hone_tensor *t);
HONE_API int hone_tensor_rank(const hone_tensor *t);
/* `hone_tensor_rank` dimensions, borrowed. */
HONE_API const int64_t *hone_tensor_dims(const hone_tensor *t);
/* Number of elements: 1 for a scalar. */
HONE_API int64_t hone_tensor_count(const hone_tensor *t);
/* Bytes of the buffer. */
HONE_API size_t hone_tensor_bytes(const hone_tensor *t);
/* The buffer, borrowed, aligned to 64 bytes unless wrapped or borrowed. */
HONE_API void *hone_tensor_data(const hone_tensor *t);

/* Element `i` as a double, whatever number it is; NaN for a string. */
HONE_API double hone_tensor_number(const hone_tensor *t, int64_t i);

/* Copies `size` bytes into element `i` of a string tensor that has its strings. Fails with HONE_INVALID_ARGUMENT (no
 * string tensor, no such element, strings that are borrowed) or HONE_OUT_OF_MEMORY; the element is then as before. */
HONE_API hone_status hone_tensor_set_string(hone_tensor *t, int64_t i, const void *bytes, size_t size,
                                            hone_error *err);
/* Element `i` of a string tensor, borrowed: never NULL, a zero behind it. `*size` (may be NULL): its bytes. */
HONE_API const char *hone_tensor_string(const hone_tensor *t, int64_t i, size_t *size);

#ifdef __cplusplus
}
#endif
#endif
