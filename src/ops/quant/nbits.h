/* What the two ways of BitsProduct share: by numbers (nbits.c) and by integers (nbits_integer.c). */
#ifndef HONE_OPS_QUANT_NBITS_H
#define HONE_OPS_QUANT_NBITS_H

#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"

enum { HONE_BITS_A, HONE_BITS_B, HONE_BITS_SCALES, HONE_BITS_ZEROS, HONE_BITS_BIAS };

typedef struct hone_bits_weights {
    hone_nbits shape;
    int64_t k, row;   /* elements and bytes of a row */
    int64_t zero_row; /* bytes of a row of packed zero points */
    bool has_zeros, packed_zeros;
} hone_bits_weights;

/* Are the node's attributes bits, block_size and K of weights that there are? */
hone_status hone_bits_check(const hone_infer *ctx, hone_error *err);
/* Packs codes, scales and zero points where they are constants of 4 bits. */
hone_status hone_bits_integer_pack(hone_packer *p, const hone_node *node, hone_error *err);
/* All of them are there packed. */
bool hone_bits_integer_prepared(const hone_prepare *p);
hone_status hone_bits_integer_prepare(hone_prepare *p, const hone_bits_weights *w, hone_error *err);

#endif
