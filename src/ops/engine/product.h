/* Products of matrices as steps: one driver for all families of kernels (kernels/kernels.h).
 *
 *   A ──[int8 becomes uint8]───────────────────────────────────┐
 *                                                              ├─► kernel ─► epilogue ─► [map over strips] ─► Y
 *   B ──[packed: once a model, or at each run]─────────────────┤
 *   images ──[patches, packed block by block]──────────────────┘
 *
 * It chooses how B is read, cuts the work by its cost, and turns what is added, scales and zero points into the
 * kernel's epilogue: as much of the node's map as fits, the rest runs over strips that are still in the cache. */
#ifndef HONE_OPS_ENGINE_PRODUCT_H
#define HONE_OPS_ENGINE_PRODUCT_H

#include "graph/run.h"
#include "kernels/kernels.h"

/* Y[i] = alpha A[i] B[i] + bias + beta addend, i in [0, batch); matrices of A and of B lie one after the other. What
 * the kinds of integers add to that:
 *
 *   Y = (A - a_zero) (B - b_zero)                                           Y is int32
 *   Y = relu(a_scale b_scale (A - a_zero) (B - b_zero) + bias)              Y is float32
 *   Y = saturate(round(that / y_scale) + y_zero)                            Y is uint8 or int8
 *
 * A scale or zero point has one element, or one for each row of A (not with a bias), or for each column of B; for
 * each matrix of them or for all. An int32 bias counts in steps of a_scale b_scale. */
typedef struct hone_product {
    hone_gemm_kind kind;
    int64_t m, n, k, batch;
    const int64_t *a_matrix, *b_matrix; /* [batch]: which matrix of A (of B); NULL: all 0 */
    int64_t a_row, a_col;               /* strides within A's matrices */
    bool b_columns;                     /* B's matrices are stored [n, k] */
    float alpha, beta;
    /* indices of inputs, -1: there is none */
    int a, b, bias, addend; /* bias [n]; what is added, times beta, is broadcast to Y */
    int a_scale, a_zero, b_scale, b_zero, y_scale, y_zero;
    float y_scale_value;  /* where y_scale is none; 0: 1 */
    int32_t y_zero_value; /* where y_zero is none */
    bool relu;
    /* B's matrices are patches of images (batch images of patches->channels channels lie one after the other), and matrix
     * i of Y is made with matrix i % groups of A, to whose rows bias, a_scale and a_zero belong: [groups * m] of them, or one.
     * NULL: B is as above */
    const hone_windows *patches;
    int64_t groups;
    /* Or A's matrices are windows over such images with their channels last, a row for each position, of which k elements
     * are the channels of one tap after the other. NULL: A is as above. `depthwise`: each channel by itself, B [k, n], of
     * which a row is one tap's. */
    const hone_windows *a_windows;
    bool depthwise;
    int winograd; /* not 0: windows of 3 x 3 in tiles of this size (kernels/image.h), where B is packed for it or no constant */
    bool turned; /* then: B [k, 9, n] in place of [n, 9, k], the last tap first */
} hone_product;

/* A product of inputs 0 and 1, with nothing beside them. */
#define HONE_PRODUCT_INIT                                                                                    \
    {                                                                                                        \
        .batch = 1, .alpha = 1, .beta = 1, .a = 0, .b = 1, .bias = -1, .addend = -1, .a_scale = -1,          \
        .a_zero = -1, .b_scale = -1, .b_zero = -1, .y_scale = -1, .y_zero = -1                               \
    }

/* For `pack`: packs input `input` of the node, [..., k, n] or (`b_columns`) [..., n, k], where kernels have a packed form
 * for its type and it is a constant. */
hone_status hone_product_pack(hone_packer *p, const hone_node *node, int input, bool b_columns,
                              hone_error *err);
/* The same for an A of integers, [groups * m, k …], that meets patches. */
hone_status hone_product_pack_channels(hone_packer *p, const hone_node *node, int input, int64_t groups,
                                       hone_error *err);
/* The same for weights [M, 9 C] of windows of 3 x 3, as Winograd's in tiles of that size. */
hone_status hone_product_pack_winograd(hone_packer *p, const hone_node *node, int input, int size,
                                       hone_error *err);
/* For `pack`: are weights to be rounded to bfloat16? */
bool hone_product_by_bf16(const hone_packer *p);
/* For `prepare`: sets p up to run `s`, with the node's map. */
hone_status hone_product_prepare(hone_prepare *p, const hone_product *s, hone_error *err);

#endif
