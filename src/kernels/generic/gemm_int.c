#include "kernels/portable.h"

/* Rows of C one after the other, so that rows of B are read as they lie. */
#define PRODUCT(name, type)                                                                                  \
    void name(const type *a, const type *b, type *c, int64_t m, int64_t k, int64_t n) {                      \
        for (int64_t i = 0; i < m; i++) {                                                                    \
            for (int64_t j = 0; j < n; j++) c[i * n + j] = 0;                                                \
            for (int64_t l = 0; l < k; l++) {                                                                \
                type x = a[i * k + l];                                                                       \
                for (int64_t j = 0; j < n; j++) c[i * n + j] += x * b[l * n + j];                            \
            }                                                                                                \
        }                                                                                                    \
    }

PRODUCT(hone_matmul_u32, uint32_t)
PRODUCT(hone_matmul_u64, uint64_t)
