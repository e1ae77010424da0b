/* Kernels that move and combine elements by tables of positions: gathering, scattering, padding. In portable C, the same
 * at every level. The rules of kernels/kernels.h hold: pure, no allocation. Positions and counts are in elements. */
#ifndef HONE_KERNELS_POSITIONS_H
#define HONE_KERNELS_POSITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an element is to a move: `size` bytes (1, 2, 4, 8 or 16), or, that being 0, `bits`, several a byte. */
typedef struct hone_element {
    size_t size;
    int bits;
} hone_element;

/* Indices along an axis of `size` as positions: at[i] = base + index[i] * stride + i * step, where a negative index
 * counts from the end. Gives the first i whose index is out of range (what is behind it is not written), or -1. */
int64_t hone_positions(const void *index, bool wide, int64_t n, int64_t size, int64_t base, int64_t stride,
                       int64_t step, int64_t *at);
/* Tuples of `width` int64 indices along leading axes: at[i] = base + the sum of index[i * width + d] * strides[d]. Gives
 * the first index (of all n * width) that is out of range, or -1. */
int64_t hone_tuple_positions(const int64_t *index, int64_t n, int width, const int64_t *dims,
                             const int64_t *strides, int64_t base, int64_t *at);

/* y[to + i] = x[at[i]], or *fill where at[i] is negative (`fill` NULL: no position is). */
void hone_take(hone_element e, const void *x, const int64_t *at, int64_t n, const void *fill, void *y,
               int64_t to);
/* y[to + i] = x[from + i]: other memory. */
void hone_move(hone_element e, const void *x, int64_t from, void *y, int64_t to, int64_t n);
/* y[r * y_row + i] = x[r * x_row + i * x_step] for r < rows, i < run; elements of `size` bytes. */
void hone_move_rows(size_t size, const void *x, int64_t x_row, int64_t x_step, void *y, int64_t y_row,
                    int64_t rows, int64_t run);
/* y[to + i] = *value */
void hone_repeat(hone_element e, const void *value, void *y, int64_t to, int64_t n);
/* y[at[i]] = x[i] for i ascending: the last of several counts. */
void hone_put(hone_element e, const void *x, const int64_t *at, int64_t n, void *y);
/* y[to + i] = condition[i * c] ? a[from_a + i * step_a] : b[from_b + i * step_b]; y may be a or b, element by element. */
void hone_select(hone_element e, const bool *condition, int64_t c, const void *a, int64_t from_a,
                 int64_t step_a, const void *b, int64_t from_b, int64_t step_b, void *y, int64_t to,
                 int64_t n);

/* What an element of y becomes when u meets it. Integers wrap; halves are computed in float and rounded at each step;
 * NaN is larger and smaller than everything. */
typedef enum hone_combining {
    HONE_COMBINE_ADD,
    HONE_COMBINE_MUL,
    HONE_COMBINE_MAX,
    HONE_COMBINE_MIN
} hone_combining;
/* y[at[i]] = y[at[i]] op u[i] for i ascending; `at` NULL: y[i]. `dtype`: a number of hone_dtype of whole bytes, bool and
 * halves among them, no float8. */
void hone_combine(int dtype, hone_combining op, const void *u, const int64_t *at, int64_t n, void *y);

/* y[i] = sum over t in [start[i], start[i+1]) of weight[t] * x[from[t]]; where there is no t, `fill`. */
void hone_weigh_f32(const float *x, const int64_t *start, const int64_t *from, const float *weight, int64_t n,
                    float fill, float *y);
void hone_weigh_f64(const double *x, const int64_t *start, const int64_t *from, const double *weight,
                    int64_t n, double fill, double *y);
/* y[i] = weight[2i] * x[from[2i]] + weight[2i + 1] * x[from[2i + 1]] */
void hone_weigh_pairs_f32(const float *x, const int32_t *from, const float *weight, int64_t n, float *y);
/* As weigh_rows_f32 of the dispatch table. */
void hone_weigh_rows_f64(const double *x, int64_t row, const int64_t *from, const double *weight, int count,
                         int64_t n, double *y);
/* x[i] rounded to the nearest integer, ties to even. */
void hone_round_even_f32(float *x, int64_t n);
void hone_round_even_f64(double *x, int64_t n);

#endif
