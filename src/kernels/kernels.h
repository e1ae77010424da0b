/* Kernels: functions over raw pointers, sizes and strides. They know no graph, start no threads, allocate nothing and
 * are pure. The caller cuts the work; cutting never changes a result: an output element is computed in the same order
 * of operations whatever block it is asked in.
 *
 * One dispatch table per ISA level. Integer kernels give equal bits at every level; float kernels agree within the
 * rounding of their operations. Strides are in elements. */
#ifndef HONE_KERNELS_KERNELS_H
#define HONE_KERNELS_KERNELS_H

#include "base/cpu.h"
#include "kernels/image.h"
#include "kernels/linear_attention.h"
#include "kernels/nbits.h"
#include "kernels/program.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- products of matrices: kernels in families --- */

/* Neighbours in A: `from` is counted from where a row begins. */
typedef struct hone_gemm_run {
    int64_t from, count;
} hone_gemm_run;
#define HONE_GEMM_RUN 256 /* count, at most */

/* C[m, n] = epilogue(A[m, k] B[k, n]), rows of C contiguous. A sum starts at 0 and adds a[i][0]*b[0][j],
 * a[i][1]*b[1][j], … in that order (fma where the ISA has it), or is exact. */
typedef struct hone_gemm {
    int64_t m, n, k;
    const void *a;
    int64_t a_row, a_col; /* a[i*a_row + l*a_col]; a_col is 1 for integers */
    /* Or rows of A are windows of an image, a_line of them side by side, and k is runs of neighbours: row i has those at
     * a[i / a_line * a_line_step + i % a_line * a_row + run.from], run after run. NULL: as above. */
    const hone_gemm_run *runs;
    int64_t a_line, a_line_step;
    /* Or such windows, laid out by the family's `lay` in parts, a_part elements of 2 bytes apart, in which a_row, `from` and
     * `count` count such elements; a_line_rows rows lie evenly from line to line, of which a_line are rows of A. 0: not so. */
    int64_t a_part, a_line_rows;
    const void *b;
    int64_t b_row,
        b_col; /* b[l*b_row + j*b_col]; b_row 0: packed by the family, of float32 by vectors also of b_col > k rows */
    void *c;
    int64_t c_row;
    void *room; /* the family's, aligned to 64, no one else's while it runs; NULL: it wants none */
    hone_epilogue epilogue;
} hone_gemm;

/* B to be packed. */
typedef struct hone_gemm_b {
    int64_t k, n;
    const void *b;
    int64_t b_row, b_col;
    uint8_t flip;        /* integers: 0x80 makes int8 of uint8, whose zero point is less by 128; else 0 */
    void *packed;        /* aligned to 64 */
    int32_t *column_sum; /* integers: [n], to which the columns' sums are added (atomically); or NULL */
} hone_gemm_b;

/* Rows of B in whose multiples callers may cut k for packing: a multiple of all families' own units. */
#define HONE_GEMM_PACK_ROWS 64
#define HONE_GEMM_LAY 32
#define HONE_GEMM_LAID_ROWS 16

/* One kind of product. Packed B: panels of `panel` columns, of which the last is as wide as its vectors make it;
 * in a panel groups of `group` values of k, in a group column by column. What is beyond n and k is zero. */
typedef struct hone_gemm_family {
    const char *name; /* of the kernel and of its packed form */
    int panel;        /* the unit in which callers cut n */
    int rows;         /* of a tile: cut m in multiples of this */
    int columns;      /* the last panel's width is a multiple of this */
    int group;
    bool windows;      /* takes A as windows */
    bool direct;       /* reads B also as it lies, if b_col is 1 */
    float nanoseconds; /* of a multiplication and addition, roughly, on a slow machine: to cut work by */
    size_t (*packed_size)(int64_t k, int64_t n); /* bytes */
    /* Packs rows [l0, l1), l0 a multiple of HONE_GEMM_PACK_ROWS, of columns [n0, n1), n0 a multiple of the panel and n1
     * too or n. NULL, as packed_size: B is
     * only read as it lies, with any strides. */
    void (*pack)(const hone_gemm_b *b, int64_t l0, int64_t l1, int64_t n0, int64_t n1);
    size_t (*room)(int64_t m, int64_t n, int64_t k, bool laid); /* bytes; NULL: none. `laid`: A is */
    /* n values, a multiple of HONE_GEMM_LAY, as n elements of 2 bytes of each of `parts`; NULL: A is read as it lies. Behind
     * the last row that is computed others may be read, as many as HONE_GEMM_LAID_ROWS. */
    void (*lay)(const float *x, int64_t n, void *out, int64_t part);
    int parts;
    /* Rows [m0, m1) of columns [n0, n1) of C; n0 and n1 as above. */
    void (*run)(const hone_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1);
} hone_gemm_family;

/* A is of the sums' kind: float, double or uint8; B of the kind that is packed. */
typedef enum hone_gemm_kind {
    HONE_GEMM_F32,
    HONE_GEMM_F64,
    HONE_GEMM_U8S8,
    HONE_GEMM_BF16, /* float operands, rounded to bfloat16, sums in float; not on all CPUs */
    HONE_GEMM_KINDS
} hone_gemm_kind;

/* Rows of n elements, normalized: y = (x - mean) * inv * scale + bias, inv = 1 / sqrt(mean of (x - mean)^2 + epsilon).
 * Not centered: the mean counts as 0. */
typedef struct hone_normalize {
    int64_t n;
    double epsilon;
    bool centered;
    int64_t run; /* so many neighbours, of which n is a multiple, share a scale and a bias; 0 counts as 1 */
    const void *scale, *bias; /* [n / run] of the row's dtype, or NULL: 1, 0; a bias only with a scale */
} hone_normalize;

/* What many numbers become: their sum or product, which wraps of integers, the largest or the smallest of them. A NaN
 * among them makes it NaN. */
typedef enum hone_fold {
    HONE_FOLD_SUM,
    HONE_FOLD_PRODUCT,
    HONE_FOLD_MAX,
    HONE_FOLD_MIN,
    HONE_FOLDS
} hone_fold;

/* Of no numbers: 0, 1, the least and the greatest that the dtype has (infinite ones of floats). `accumulate`: what is in y
 * is one of them, the first, so rows may be cut. */
typedef struct hone_folding {
    /* y[0] becomes x[0 … n-1], in an order fixed by n alone. */
    void (*run)(const void *x, int64_t n, void *y, bool accumulate);
    /* y[j] becomes x[i*row + j] for i from 0 to rows-1, in that order: a leading axis is folded. */
    void (*rows)(const void *x, int64_t rows, int64_t columns, int64_t row, void *y, bool accumulate);
} hone_folding;

/* Keys, or values, of a page of a language model's memory. */
#define HONE_PAGE 32

typedef struct hone_kernels {
    const char *name; /* "v3", "v4+vnni": shown by hone version */

    const hone_gemm_family *gemm[HONE_GEMM_KINDS]; /* HONE_GEMM_BF16 may be NULL */
    /* The same for products of many rows, of gemm[HONE_GEMM_F32]'s packed form; NULL: there is nothing better. */
    const hone_gemm_family *gemm_f32_tiles;
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

    /* y[i] = scale times the sum over l < n of x[l] * rows[i*row + l], i < count; each in an order fixed by n alone. */
    void (*dot_rows_f32)(const float *x, const float *rows, int64_t count, int64_t row, int64_t n,
                         float scale, float *y);
    /* Rows of n numbers as integers, in runs: x / scale to the nearest even. The scale is the largest |x| / 127 with one part,
     * a power of two with more; it is NaN where x is NaN or infinite. y: hone_bits_row_size bytes a row. */
    void (*bits_round)(const hone_bits *p, const float *x, int64_t n, int64_t rows, void *y);
    /* y[i*y_row + j] = bias[j] (NULL: 0) + the product of such rows with column j < columns: exact within runs, float32 in
     * order of K over them. A row's result does not depend on the others, and with two parts or more not on the level. */
    void (*bits_multiply)(const hone_bits *p, const hone_bits_panel *b, const void *a, int64_t rows,
                          const float *bias, int64_t columns, float *y, int64_t y_row);
    /* Pages of HONE_PAGE keys and values (ops/attention/paged.h): s[i*s_row + t] = the sum over l < d of
     * q[i*q_row + l] * k[l*HONE_PAGE + t], l ascending, for all t of the page. */
    void (*page_scores_f32)(const float *q, int64_t q_row, int64_t rows, int64_t d, const float *k, float *s,
                            int64_t s_row);
    /* y[i*y_row + j] += p[i*p_row + t] * v[t*n + j], t < keys ascending, j < n. Both: a row is the same whatever comes with it. */
    void (*page_values_f32)(const float *p, int64_t p_row, int64_t rows, int64_t keys, const float *v,
                            int64_t n, float *y, int64_t y_row);
    /* x = cap tanh(x / cap), and x += y. */
    void (*softcap_f32)(float *x, int64_t n, float cap);
    void (*linear_attention_f32)(const hone_linear_attention *a);
    void (*add_f32)(float *x, const float *y, int64_t n);

    /* One row; mean and inv (may be NULL) get what it was normalized by. y may be x, dx may be dy or x. */
    void (*normalize_f32)(const hone_normalize *p, const float *x, float *y, float *mean, float *inv);
    void (*normalize_f64)(const hone_normalize *p, const double *x, double *y, double *mean, double *inv);
    /* The gradient to x of a row that was normalized by mean and inv. Of a row with runs, dscale and dbias, [n / run], get
     * their share of those gradients; else they are NULL. */
    void (*normalize_grad_f32)(const hone_normalize *p, const float *dy, const float *x, float mean,
                               float inv, float *dx, float *dscale, float *dbias);
    void (*normalize_grad_f64)(const hone_normalize *p, const double *dy, const double *x, double mean,
                               double inv, double *dx, double *dscale, double *dbias);

    /* Of each column of [rows, channels], rows > 0: the mean, and the sum of squared differences from it. */
    void (*moments_f32)(const float *x, int64_t rows, int64_t channels, float *mean, float *m2);
    /* The sums of dy, and of dy (x - mean). */
    void (*comoments_f32)(const float *dy, const float *x, const float *mean, int64_t rows, int64_t channels,
                          float *sum, float *product);

    const hone_folding *fold_f32; /* [HONE_FOLDS]; of other dtypes: hone_folding_of of kernels/portable.h */
    void (*min_max_f32)(const float *x, int64_t n, float *min, float *max); /* n > 0; NaN if any is NaN */
    /* Index of the first largest of n > 0 (NaN counts as largest). */
    int64_t (*argmax_f32)(const float *x, int64_t n);

    /* Patches (kernels/image.h): y[l*y_row + j - j0] = B[l][j] for all rows l and j0 <= j < j1, y_row >= j1 - j0. What is
     * between the rows of y is overwritten. */
    void (*patches_f32)(const hone_windows *w, const float *x, int64_t j0, int64_t j1, float *y,
                        int64_t y_row);
    /* The same of bytes, `fill` being what lies outside; rows of channels [c0, c1) alone, from y on. */
    void (*patches_8)(const hone_windows *w, const uint8_t *x, int64_t c0, int64_t c1, int64_t j0, int64_t j1,
                      uint8_t *y, int64_t y_row, uint8_t fill);
    /* Rows of bytes, as A has them: y[(j - j0)*y_row] is what the window at position j, j0 <= j < j1, sees of an image whose
     * channels are last, tap by tap, `fill` outside; behind it zeros. */
    void (*windows_8)(const hone_windows *w, const uint8_t *x, int64_t j0, int64_t j1, uint8_t *y,
                      int64_t y_row, uint8_t fill);
    /* Windows of weights: lines [line0, line1) of y; `room`: hone_direct_room elements. */
    void (*direct_f32)(const hone_direct *d, const float *x, float *y, int64_t line0, int64_t line1,
                       float *room);
    void (*direct_8)(const hone_direct *d, const uint8_t *x, void *y, int64_t line0, int64_t line1,
                     float *room);
    /* Channels each by itself: `lines` lines. */
    void (*depthwise_f32)(const hone_depthwise *d, const float *x, int64_t lines, float *y);
    /* The way back to the weights: dw[tap][c] += dy times x, over all positions of `lines` lines, in order; dy lies as y. */
    void (*depthwise_grad_f32)(const hone_depthwise *d, const float *x, const float *dy, int64_t lines,
                               float *dw);
    /* The same of bytes. `room`: HONE_DEPTHWISE_GROUP bytes, aligned to 64, for every four taps. */
    void (*depthwise_8)(const hone_depthwise *d, const uint8_t *x, int64_t lines, void *y, void *room);
    /* Winograd's convolution: tiles [tile0, tile1) of an image, counted line by line, to and from matrices whose first row
     * is tile0's; `zeros`: as many as channels. */
    void (*winograd_input_f32)(const hone_winograd *p, const float *x, const float *zeros, int64_t tile0,
                               int64_t tile1, float *v);
    void (*winograd_output_f32)(const hone_winograd *p, const float *m, int64_t tile0, int64_t tile1,
                                float *y);
    /* Its weights of many channels for one output, tap t of them at w + t*tap (tap may be negative), which become channels
     * of (size + 2)^2 matrices. */
    void (*winograd_weights_f32)(int size, const float *w, int64_t tap, int64_t channels, float *u,
                                 int64_t matrix);
    /* The same of weights that stay, of which line `line` of those matrices: rounded once, the same bits on every level. */
    void (*winograd_line_f32)(int size, int line, const float *w, int64_t tap, int64_t channels, float *u,
                              int64_t matrix);
    /* y[i] = x[i % parts][i / parts] for i < n, where part k begins at x + k*part. */
    void (*weave_f32)(const float *x, int64_t part, int64_t parts, int64_t n, float *y);
    /* Pooling: lines [line0, line1) of y; `room`: hone_pool_room elements. */
    void (*pool_f32)(const hone_pool *p, const float *x, float *y, int64_t line0, int64_t line1, float *room);
    /* Maxima or means of images whose channels are last, [N, out ..., channels] from [N, in ..., channels]. A line is out[2]
     * positions, all of their channels; counted over all images. */
    void (*pool_last_f32)(const hone_pool *p, const float *x, float *y, int64_t line0, int64_t line1);
    /* The way back from maxima: dx of images [image0, image1) is dy where the first largest element of a window is, else 0. */
    void (*max_spread_last_f32)(const hone_pool *p, const float *x, const float *dy, float *dx,
                                int64_t image0, int64_t image1);
    /* Maxima of bytes. */
    void (*pool_last_8)(const hone_pool *p, bool is_signed, const uint8_t *x, uint8_t *y, int64_t line0,
                        int64_t line1);
    /* Of n elements, of which all count. */
    float (*pool_all_f32)(hone_pool_kind kind, double power, const float *x, int64_t n);

    /* y[j*y_row + i] = x[i*x_row + j] for elements of 4 bytes. */
    void (*transpose_32)(const uint32_t *x, int64_t rows, int64_t columns, int64_t x_row, uint32_t *y,
                         int64_t y_row);
    /* y[i] = sum over t < count of weight[t] * x[from[t]*row + i], t ascending: a row as others together, weighed. */
    void (*weigh_rows_f32)(const float *x, int64_t row, const int64_t *from, const float *weight, int count,
                           int64_t n, float *y);
} hone_kernels;

/* The table for this machine and HONE_CPU; made once. Never NULL. */
const hone_kernels *hone_kernels_get(void);
/* The table for any CPU description (which the machine must have): for tests of every level. `out` is the caller's. */
void hone_kernels_for(const hone_cpu *cpu, hone_kernels *out);

#endif
