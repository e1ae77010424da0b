/* The right operand of a product as kernels want it: for the product driver, and for operators that multiply by one B
 * step by step. */
#ifndef HONE_OPS_ENGINE_PRODUCT_B_H
#define HONE_OPS_ENGINE_PRODUCT_B_H

#include "graph/run.h"
#include "kernels/kernels.h"

static inline size_t hone_align_64(size_t n) {
    return (n + 63) & ~(size_t)63;
}

/* Packed B: matrices, each aligned, and for integers the sums of their columns, [matrices][n]. */
typedef struct hone_product_b {
    hone_gemm_kind kind;
    const hone_gemm_family *family;
    int64_t k, n, matrices;
    size_t size;   /* of an element */
    size_t packed; /* bytes of a packed matrix */
    bool columns, sums;
    uint8_t flip; /* of the kernel: 0x80 for uint8 */
} hone_product_b;

hone_product_b hone_product_b_make(hone_gemm_kind kind, const hone_type *b, bool columns);
/* Bytes of `matrices` of them with their sums. */
size_t hone_product_b_bytes(const hone_product_b *b, int64_t matrices);
/* The sums behind `matrices` packed ones; NULL: there are none. */
static inline int32_t *hone_product_b_sums(const hone_product_b *b, const void *packed, int64_t matrices) {
    return b->sums ? (int32_t *)((char *)packed + b->packed * (size_t)matrices) : NULL;
}
/* Columns [n0, n1) of one matrix; its sums (NULL: none) are added to. */
void hone_product_b_pack(const hone_product_b *b, const void *matrix, int64_t n0, int64_t n1, void *packed,
                         int32_t *sums);
/* What hone_product_pack has packed; NULL: nothing. */
const void *hone_product_b_find(const hone_prepare *p, const hone_product_b *b, int input);

#endif
