/* What operators over weights of few bits share: how such weights are stored, and how products want them. */
#ifndef HONE_OPS_QUANT_NBITS_H
#define HONE_OPS_QUANT_NBITS_H

#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"

/* Of BitsProduct. Rows of codes, of scales and of zero points follow each other in the others, too. */
enum { HONE_BITS_A, HONE_BITS_B, HONE_BITS_SCALES, HONE_BITS_MORE, HONE_BITS_BIAS };

typedef struct hone_bits_weights {
    hone_nbits shape;
    int64_t n, k, row; /* rows; elements and bytes of one */
    int64_t zero_row;  /* bytes of a row of packed zero points */
    bool has_zeros, packed_zeros;
    bool half_scales, half_zeros; /* stored as float16 */
} hone_bits_weights;

/* Are the node's attributes bits, block_size and K of weights that there are? */
hone_status hone_bits_check(const hone_infer *ctx, hone_error *err);
/* Do rows of weights from input `at` on, of scales and of zero points belong together? `rows` of each; -1: any. */
hone_status hone_bits_check_rows(const hone_infer *ctx, int at, int64_t rows, hone_error *err);
/* The node's weights from input `at` on, whose types are inferred (NULL: left out). */
hone_bits_weights hone_bits_weights_of(const hone_node *node, const hone_type *codes, const hone_type *scales,
                                       const hone_type *zeros);
/* The scales of a row, and its zero points (offsets), as float32: in place, or in `room` for as many as there are blocks. */
const float *hone_bits_scales_of(const hone_bits_weights *w, const void *scales, int64_t row, float *room);
const float *hone_bits_zeros_of(const hone_bits_weights *w, const void *zeros, int64_t row, float *room);

/* --- panels (nbits_panels.c) --- */

/* Packs codes, scales and zero points, inputs from `at` on, where they are constants. */
hone_status hone_bits_pack(hone_packer *p, const hone_node *node, int at, hone_error *err);

/* Panels that are packed, or that each run packs one by one. */
typedef struct hone_bits_panels {
    hone_bits_weights w;
    hone_bits form;
    hone_bits_panel first;      /* codes NULL: not packed */
    size_t codes, scales, more; /* bytes of a panel */
} hone_bits_panels;

hone_bits_panels hone_bits_panels_of(const hone_prepare *p, int at, int parts);
/* Worker scratch for hone_bits_panel_at: 0 where they are packed. */
size_t hone_bits_panel_room(const hone_bits_panels *p);
/* Panel i, made in `room` of these inputs where it isn't packed. */
hone_bits_panel hone_bits_panel_at(const hone_bits_panels *p, int64_t i, const uint8_t *b,
                                   const void *scales, const void *more, void *room);

#endif
