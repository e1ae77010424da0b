#include "kernels/portable.h"

#define SUMS(type, wrapping, sum, sum_rows)                                                                  \
    type sum(const type *x, int64_t n) {                                                                     \
        wrapping s = 0;                                                                                      \
        for (int64_t i = 0; i < n; i++) s += (wrapping)x[i];                                                 \
        return (type)s;                                                                                      \
    }                                                                                                        \
    void sum_rows(const type *x, int64_t rows, int64_t columns, int64_t row, type *y, bool accumulate) {     \
        for (int64_t j = 0; j < columns && !accumulate; j++) y[j] = 0;                                       \
        for (int64_t i = 0; i < rows; i++)                                                                   \
            for (int64_t j = 0; j < columns; j++) y[j] = (type)((wrapping)y[j] + (wrapping)x[i * row + j]);  \
    }
SUMS(int32_t, uint32_t, hone_sum_i32, hone_sum_rows_i32)
SUMS(int64_t, uint64_t, hone_sum_i64, hone_sum_rows_i64)
