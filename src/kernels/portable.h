/* Kernels in portable C that are the same at every level and so stand outside of the dispatch table: moving,
 * converting and summing elements of dtypes that no level has vector code for, and the loops of the losses.
 * The rules of kernels/kernels.h hold: pure, no allocation, strides in elements. */
#ifndef HONE_KERNELS_PORTABLE_H
#define HONE_KERNELS_PORTABLE_H

#include "base/narrow.h"
#include "base/random.h"
#include "kernels/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* y[j*y_row + i] = x[i*x_row + j] for i < rows, j < columns; elements of 1, 2, 4, 8, 16 bytes. */
typedef void hone_transpose_fn(const void *x, int64_t rows, int64_t columns, int64_t x_row, void *y,
                               int64_t y_row);
/* The one for elements of `size` bytes; 4 is the dispatch table's transpose_32. NULL for other sizes. */
hone_transpose_fn *hone_transpose_for(size_t size);
/* y[0 … n-1] = *x, elements of 1, 2, 4, 8 or 16 bytes. */
void hone_fill(const void *x, size_t size, void *y, int64_t n);

/* y[i] = table[x[i]], 256 elements of 1, 2, 4 or 8 bytes; y may be x where they have one. */
void hone_lookup(const void *table, size_t size, const uint8_t *x, void *y, int64_t n);

/* Converts n elements. `from` and `to` are numbers of hone_dtype (all but strings and complex numbers). To integers:
 * toward zero, held at the ends of the range, NaN becomes 0; integers to narrower ones wrap; to bool: x != 0.
 * float16, bfloat16, float8 and float4 are rounded half to even. False (and nothing done) if a dtype is none of these. */
bool hone_cast(int from, int to, const void *x, void *y, int64_t n);
/* Is it a float8, a float4, or an integer of less than a byte? */
bool hone_cast_is_small(int dtype);
/* hone_cast where one of them is small. To an integer of less than a byte: toward zero, then its low bits. Elements that
 * share bytes begin with the first of x or y; the bits behind y's last one become 0. */
bool hone_cast_small(int from, int to, const void *x, void *y, int64_t n, hone_small_rounding rounding);

/* Folds of float64, int32, int64, uint32 and uint64; of int8, uint8 and bool: the largest and the smallest alone. NULL of
 * other dtypes. */
const struct hone_folding *hone_folding_of(int dtype, int fold);

/* y[j] = the index i of the largest of x[i*row + j], i < n, n > 0, or of the least; the first, or the last, of equal ones. A
 * NaN counts as larger, or less, than all. float32, float64 and integers of 32 and 64 bits, a number of hone_dtype. */
void hone_arg_rows(int dtype, const void *x, int64_t n, int64_t columns, int64_t row, bool least, bool last,
                   int64_t *y);

/* y[i] = a[i a_step] and b[i b_step] are the same bytes. */
void hone_equal_strings(const hone_string *a, int64_t a_step, const hone_string *b, int64_t b_step, bool *y,
                        int64_t n);

/* y, [n, n]: the inverse of a, which is overwritten: elimination with partial pivoting. False: a is singular, or NaN. */
bool hone_invert(double *a, int64_t n, double *y);
/* The determinant of a, [n, n], which is overwritten: elimination with partial pivoting. */
double hone_det(double *a, int64_t n);
/* y, [n, n]: the derivatives of the determinant, which are the cofactors; also where a is singular. a is overwritten, scratch
 * has 4 n elements. */
void hone_det_grad(double *a, int64_t n, double *y, double *scratch);
/* The first n elements of column `column` of a panel, as hone_nbits_unpack gives them of a row. */
void hone_bits_unpack(const hone_bits *p, const hone_bits_panel *b, int column, int64_t n, float *y);
/* Elements [begin, end) of a row of weights: (code - zero) * scale. */
void hone_nbits_unpack(const hone_nbits *p, const uint8_t *b, const float *scale, const float *zero,
                       int64_t begin, int64_t end, float *y);

/* x = cap tanh(x / cap), and x += y. */
void hone_softcap_f64(double *x, int64_t n, double cap);
void hone_add_f64(double *x, const double *y, int64_t n);
/* Rotates n pairs of numbers by angles that are given by cosine and sine: pairs stand side by side, else their halves n apart.
 * y may be x. */
void hone_rotate_f32(const float *x, const float *cos, const float *sin, float *y, int64_t n, bool pairs);
void hone_rotate_f64(const double *x, const double *cos, const double *sin, double *y, int64_t n, bool pairs);

/* Elements [first, first + n) of what follows from `r`: uniform in [low, high), and normal (by Box and Muller). An element is
 * the same whatever range it is asked in. */
void hone_random_uniform_f32(hone_random r, int64_t first, int64_t n, float low, float high, float *y);
void hone_random_uniform_f64(hone_random r, int64_t first, int64_t n, double low, double high, double *y);
void hone_random_normal_f32(hone_random r, int64_t first, int64_t n, float mean, float scale, float *y);
void hone_random_normal_f64(hone_random r, int64_t first, int64_t n, double mean, double scale, double *y);
/* Draws `samples` of n classes, whose logarithms of probabilities, up to a constant, are `scores`. `sums` has room for n
 * numbers. y[i], of element first + i of what follows from r, is a class. */
void hone_random_classes(hone_random r, int64_t first, int64_t samples, const double *scores, int64_t n,
                         double *sums, int64_t *y);

/* Rows of scores of ai.onnx.ml. Softmax that leaves zeros where they are, or 0.5 where all is 0; the inverse of the normal
 * distribution. y is not x. */
void hone_softmax_zero(const double *x, double *y, int64_t n);
void hone_probit(const double *x, double *y, int64_t n);

/* Quantization along the last axis: element j has scale[j] and zero[j] (zero NULL: 0). The same numbers as
 * the dispatch table's kernels give with one scale. */
void hone_quantize_rows_u8(const float *x, uint8_t *y, int64_t n, const float *scale, const uint8_t *zero);
void hone_quantize_rows_s8(const float *x, int8_t *y, int64_t n, const float *scale, const int8_t *zero);
void hone_dequantize_rows_u8(const uint8_t *x, float *y, int64_t n, const float *scale, const uint8_t *zero);
void hone_dequantize_rows_s8(const int8_t *x, float *y, int64_t n, const float *scale, const int8_t *zero);
void hone_dequantize_rows_i32(const int32_t *x, float *y, int64_t n, const float *scale, const int32_t *zero);
/* y = (x - zero) * scale */
void hone_dequantize_i32(const int32_t *x, float *y, int64_t n, float scale, int32_t zero);
/* dx = dy where round_half_even(x / scale) lies in [low, high], else 0; dx may be dy or x. The rows have a
 * scale and a zero point for each element, and the range of their type. */
void hone_quantize_grad(const float *dy, const float *x, float *dx, int64_t n, float scale, int32_t low,
                        int32_t high);
void hone_quantize_grad_rows_u8(const float *dy, const float *x, float *dx, int64_t n, const float *scale,
                                const uint8_t *zero);
void hone_quantize_grad_rows_s8(const float *dy, const float *x, float *dx, int64_t n, const float *scale,
                                const int8_t *zero);

/* Quantization with a scale and a zero point for each element, in steps: q = x / scale, both rounded to `precision`
 * (HONE_FLOAT32, FLOAT16, BFLOAT16) before and after; codes = round_half_even(q) + zero, held in [low, high] of at most 16
 * bits, NaN giving the lowest; y = (x - zero) * scale; dx = dy where codes would lie in [low, high], else 0. */
void hone_divide_scales(const float *x, const float *scale, float *q, int64_t n, int precision);
void hone_round_codes(const float *q, const float *zero, int32_t *codes, int64_t n, int32_t low,
                      int32_t high);
void hone_apply_scales(const float *x, const float *scale, const float *zero, float *y, int64_t n);
void hone_quantize_grad_any(const float *dy, const float *x, const float *scale, const float *zero, float *dx,
                            int64_t n, float low, float high);

/* A row of integer sums with a zero point and a scale of its own: t = s[j] - zero * correction[j], then t
 * itself, or saturate(round_half_even((float)t * scale[j]) + y_zero). */
void hone_correct_row_i32(const int32_t *s, int64_t n, int32_t zero, const int32_t *correction, int32_t *y);
void hone_requantize_row(const int32_t *s, int64_t n, int32_t zero, const int32_t *correction, float a_scale,
                         const float *b_scale, float y_scale, int32_t y_zero, bool is_signed, void *y);

/* dx[i] = y[i] * (dy[i] - sum over l of dy[l]*y[l]), and dx[i] = dy[i] - exp(y[i]) * sum over l of dy[l],
 * where exp_y holds exp(y). Rows of n elements; dx may be dy. */
void hone_softmax_grad_f32(const float *dy, const float *y, float *dx, int64_t n);
void hone_softmax_grad_f64(const double *dy, const double *y, double *dx, int64_t n);
void hone_log_softmax_grad_f32(const float *dy, const float *exp_y, float *dx, int64_t n);
void hone_log_softmax_grad_f64(const double *dy, const double *exp_y, double *dx, int64_t n);

/* Cross entropy. Scores are [samples, classes, inner]; a label picks one of the classes for each sample and
 * inner position. The functions give the first position whose label is out of [0, classes) and not ignored (what
 * they have written is then nothing), or -1. */
typedef enum hone_reduction { HONE_REDUCE_NONE, HONE_REDUCE_SUM, HONE_REDUCE_MEAN } hone_reduction;
typedef struct hone_cross_entropy {
    int64_t samples, classes, inner;
    const void *labels;  /* [samples, inner] */
    bool wide_labels;    /* int64, else int32 */
    const void *weights; /* [classes] of the scores' dtype, or NULL: 1 */
    bool ignores;
    int64_t ignore_index; /* labels that count for nothing, if `ignores` */
    hone_reduction reduction;
} hone_cross_entropy;
/* The label of position i. */
static inline int64_t hone_cross_entropy_label(const hone_cross_entropy *c, int64_t i) {
    return c->wide_labels ? ((const int64_t *)c->labels)[i] : ((const int32_t *)c->labels)[i];
}
/* loss [samples, inner], or one element. */
int64_t hone_cross_entropy_f32(const hone_cross_entropy *c, const float *log_prob, float *loss);
int64_t hone_cross_entropy_f64(const hone_cross_entropy *c, const double *log_prob, double *loss);
/* dscores holds exp(log_prob) and becomes the gradient; dloss has the loss's shape. */
int64_t hone_cross_entropy_grad_f32(const hone_cross_entropy *c, const float *dloss, float *dscores);
int64_t hone_cross_entropy_grad_f64(const hone_cross_entropy *c, const double *dloss, double *dscores);

/* C [m, n] = A [m, k] B [k, n], rows one after the other, as integers that wrap. */
void hone_matmul_u32(const uint32_t *a, const uint32_t *b, uint32_t *c, int64_t m, int64_t k, int64_t n);
void hone_matmul_u64(const uint64_t *a, const uint64_t *b, uint64_t *c, int64_t m, int64_t k, int64_t n);

/* --- moments --- hone_kernels.moments_f32 and comoments_f32 in double, and of n > 0 neighbours that are one column */
void hone_moments_f64(const double *x, int64_t rows, int64_t channels, double *mean, double *m2);
void hone_comoments_f64(const double *dy, const double *x, const double *mean, int64_t rows, int64_t channels,
                        double *sum, double *product);
void hone_moments_run_f32(const float *x, int64_t n, float *mean, float *m2);
void hone_moments_run_f64(const double *x, int64_t n, double *mean, double *m2);
void hone_comoments_run_f32(const float *dy, const float *x, float mean, int64_t n, float *sum,
                            float *product);
void hone_comoments_run_f64(const double *dy, const double *x, double mean, int64_t n, double *sum,
                            double *product);

#endif
