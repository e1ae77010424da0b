/* Patches of an image (kernels/image.h) as the B of a product. */
#ifndef HONE_OPS_ENGINE_PATCHES_H
#define HONE_OPS_ENGINE_PATCHES_H

#include "kernels/kernels.h"

/* Columns [n0, n1), of any alignment, as a matrix of their own: packed for the family of float sums; of double ones rows of
 * n1 - n0. */
void hone_patches_pack(hone_gemm_kind kind, const hone_windows *w, const void *x, int64_t n0, int64_t n1,
                       void *packed);
/* Bytes of so many columns. */
size_t hone_patches_bytes(hone_gemm_kind kind, const hone_windows *w, int64_t columns);

#endif
