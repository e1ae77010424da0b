/* Kernels: functions over raw pointers, sizes and strides. They know no graph, start no threads, allocate nothing and
 * are pure. The caller cuts the work; cutting never changes a result: an output element is computed in the same order
 * of operations whatever block it is asked in.
 *
 * One dispatch table per ISA level. Integer kernels give equal bits at every level; float kernels agree within the
 * rounding of their operations. Strides are in elements. */
#ifndef HONE_KERNELS_KERNELS_H
#define HONE_KERNELS_KERNELS_H

#include "base/cpu.h"
#include "kernels/program.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* C[m, n] = clamp(A[m, k] B[k, n] + bias, lo, hi), rows of C contiguous. Each c[i][j] starts at 0 and adds
 * a[i][0]*b[0][j], a[i][1]*b[1][j], … in that order (fma where the ISA has it), then alpha, bias and the clamp. */
typedef struct hone_gemm_f32 {
    int64_t m, n, k;
    const float *a;
    int64_t a_row, a_col; /* a[i*a_row + l*a_col]: any strides, so a transposed A needs no copy */
    const float *b;
    int64_t b_row; /* b[l*b_row + j]; 0: `b` is packed by gemm_f32_pack */
    float *c;
    int64_t c_row;
    float alpha;       /* multiplies the sum; 1 costs nothing */
    const float *bias; /* [n] or NULL */
    float lo, hi;      /* -INFINITY, INFINITY: no clamp */
    bool accumulate;   /* C += the above instead of C = (bias NULL, no clamp then) */
} hone_gemm_f32;

/* The same in double, unpacked B only (b_row >= n, or b_row and b_col free). For gradient checks and float64 models. */
typedef struct hone_gemm_f64 {
    int64_t m, n, k;
    const double *a;
    int64_t a_row, a_col;
    const double *b;
    int64_t b_row, b_col;
    double *c;
    int64_t c_row;
    double alpha;
    const double *bias;
    bool accumulate; /* as above */
} hone_gemm_f64;

/* What an integer GEMM's sums become. */
typedef enum hone_gemm_store { HONE_STORE_I32, HONE_STORE_F32, HONE_STORE_U8, HONE_STORE_S8 } hone_gemm_store;

/* With s[i][j] = sum over l of a[i][l]*b[l][j] + bias[j] - b_zero[j]*a_sum[i], exact in int32 (wrapping):
 *   I32: c = s          F32: c = clamp((float)s * scale[j] + offset[j], lo, hi)   (two roundings, no fma)
 *   U8, S8: c = saturate(round_half_even(clamp((float)s * scale[j] + offset[j], lo, hi)) + c_zero)
 * where lo and hi bound the value before rounding. */
typedef struct hone_gemm_u8s8 {
    int64_t m, n, k;
    const uint8_t *a; /* rows contiguous: a[i*a_row + l] */
    int64_t a_row;
    const int8_t *b;               /* packed by gemm_u8s8_pack */
    const int32_t *bias;           /* [n] or NULL: 0; callers put -a_zero * column sums of B in here */
    const int32_t *b_zero, *a_sum; /* [n] and [m], both or neither (NULL) */
    hone_gemm_store store;
    const float *scale;  /* [n]; unused for I32 */
    const float *offset; /* [n] or NULL: 0 */
    float lo, hi;
    int32_t c_zero;
    void *c;
    int64_t c_row;
} hone_gemm_u8s8;

typedef struct hone_kernels {
    const char *name; /* "v3", "v4+vnni": shown by hone version */

    /* fp32 GEMM. Packed B: panels of `gemm_f32_panel` columns; panel p holds k rows of its width, the last panel's
     * width rounded up to the vector and filled with zeros. Aligned to 64 bytes. */
    int gemm_f32_panel; /* also the unit in which callers should cut n */
    int gemm_f32_rows;  /* rows of a register tile: cut m in multiples of this */
    size_t (*gemm_f32_packed_size)(int64_t k, int64_t n); /* bytes */
    void (*gemm_f32_pack)(int64_t k, int64_t n, const float *b, int64_t b_row, int64_t b_col, float *packed);
    /* Columns [n0, n1) of packed B only, n0 a multiple of the panel: so that packing can be cut, too. */
    void (*gemm_f32_pack_part)(int64_t k, int64_t n, const float *b, int64_t b_row, int64_t b_col, int64_t n0,
                               int64_t n1, float *packed);
    /* Computes rows [m0, m1) of columns [n0, n1) of C; n0 a multiple of the panel, n1 too or n. */
    void (*gemm_f32)(const hone_gemm_f32 *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1);
    void (*gemm_f64)(const hone_gemm_f64 *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1);

    /* int8 GEMM, u8 times s8. */
    int gemm_u8s8_panel, gemm_u8s8_rows;
    size_t (*gemm_u8s8_packed_size)(int64_t k, int64_t n);
    /* b[l*b_row + j*b_col]; column_sum [n] (may be NULL) becomes the sum of each column. */
    void (*gemm_u8s8_pack)(int64_t k, int64_t n, const int8_t *b, int64_t b_row, int64_t b_col,
                           int8_t *packed, int32_t *column_sum);
    void (*gemm_u8s8)(const hone_gemm_u8s8 *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1);
    /* Sum of n bytes, for a_sum. */
    int32_t (*sum_u8)(const uint8_t *x, int64_t n);
    /* y = x ^ 0x80: int8 with zero point z is uint8 with zero point z + 128. */
    void (*flip_sign)(const uint8_t *x, uint8_t *y, int64_t n);

    hone_program_fn *program;
    /* hone_cast of kernels/portable.h, of dtypes that it takes. */
    void (*cast)(int from, int to, const void *x, void *y, int64_t n);

    /* saturate(round_half_even(x / scale) + zero); NaN gives the lowest value. */
    void (*quantize_u8)(const float *x, uint8_t *y, int64_t n, float scale, int32_t zero);
    void (*quantize_s8)(const float *x, int8_t *y, int64_t n, float scale, int32_t zero);
    /* (x - zero) * scale */
    void (*dequantize_u8)(const uint8_t *x, float *y, int64_t n, float scale, int32_t zero);
    void (*dequantize_s8)(const int8_t *x, float *y, int64_t n, float scale, int32_t zero);

    /* Rows of n contiguous elements. softmax: exp(x - max) / sum; log_softmax: x - max - log(sum). */
    void (*softmax_f32)(const float *x, float *y, int64_t n);
    void (*log_softmax_f32)(const float *x, float *y, int64_t n);
    void (*softmax_f64)(const double *x, double *y, int64_t n);
    void (*log_softmax_f64)(const double *x, double *y, int64_t n);

    float (*sum_f32)(const float *x, int64_t n); /* order fixed by n alone */
    double (*sum_f64)(const double *x, int64_t n);
    void (*min_max_f32)(const float *x, int64_t n, float *min, float *max); /* n > 0; NaN if any is NaN */
    /* y[j] (+)= sum over i of x[i*row + j], i ascending: sums over a leading axis. With `accumulate` the sum goes on
     * from y[j], so rows may be cut, too. */
    void (*sum_rows_f32)(const float *x, int64_t rows, int64_t columns, int64_t row, float *y,
                         bool accumulate);
    void (*sum_rows_f64)(const double *x, int64_t rows, int64_t columns, int64_t row, double *y,
                         bool accumulate);
    /* Index of the first largest of n > 0 (NaN counts as largest). */
    int64_t (*argmax_f32)(const float *x, int64_t n);

    /* y[j*y_row + i] = x[i*x_row + j] for elements of 4 bytes. */
    void (*transpose_32)(const uint32_t *x, int64_t rows, int64_t columns, int64_t x_row, uint32_t *y,
                         int64_t y_row);
} hone_kernels;

/* The table for this machine and HONE_CPU; made once. Never NULL. */
const hone_kernels *hone_kernels_get(void);
/* The table for any CPU description (which the machine must have): for tests of every level. `out` is the caller's. */
void hone_kernels_for(const hone_cpu *cpu, hone_kernels *out);

#endif
