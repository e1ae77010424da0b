/* NumPy's files of one array, those of several (.npz) are in hone/data.h; conversions of numbers. */
#ifndef HONE_ARRAYS_H
#define HONE_ARRAYS_H

#include <hone/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads a NumPy .npy file (versions 1–3, C or Fortran order, little or big endian; booleans, integers,
 * floats, and strings: 'S' as bytes, 'U' as UTF-8). */
HONE_API hone_status hone_npy_load(const char *path, hone_tensor **out, hone_error *err);
/* Writes one; it appears whole or not at all. Strings become 'S'. HONE_UNSUPPORTED: NumPy has no such dtype (bfloat16,
 * float8, float4, integers of less than a byte), or a string ends in a zero, which NumPy takes for padding. */
HONE_API hone_status hone_npy_save(const char *path, const hone_tensor *t, hone_error *err);

/* A tensor of the same numbers in another dtype, where they stay what they are in kind: floats to floats, rounded to
 * nearest even; integers and bool to floats; integers and bool to integers that hold each of them. Of the same dtype: another
 * reference to `t`. HONE_INVALID_ARGUMENT: no such conversion; HONE_OUT_OF_RANGE names a number that the dtype can't
 * hold. On success `*out` belongs to the caller: hone_tensor_free(). */
HONE_API hone_status hone_tensor_convert(const hone_tensor *t, hone_dtype dtype, hone_tensor **out,
                                         hone_error *err);

#ifdef __cplusplus
}
#endif

#endif
