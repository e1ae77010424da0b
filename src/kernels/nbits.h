/* Weights of few bits, in blocks along K that have a scale each: rows of them as files store them, and panels of
 * columns as products take them, with A in integers. */
#ifndef HONE_KERNELS_NBITS_H
#define HONE_KERNELS_NBITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows of weights of 2, 4 or 8 bits, the first element in the lowest bits: blocks of `block` elements (even), each with a scale
 * and a zero point, (code - zero) * scale, or with an offset, code * scale + offset. */
typedef struct hone_nbits {
    int64_t blocks;
    int block, bits;
    bool is_signed; /* codes of 8 bits are int8 */
    bool offsets;
} hone_nbits;

/* Products in integers. [N, K] is cut into panels of HONE_BITS_PANEL rows, which become columns:
 *
 *   codes          word along K | column | 4 bytes: with 8 bits elements 0 … 3; with 4 bits 0 … 3 in their low halves and
 *                  4 … 7 in the high ones; with 2 bits 0 … 3 in the lowest two bits, and so on up to 12 … 15
 *   scales, more   block | column, float16 or float32
 *
 * Codes are unsigned. Columns beyond the end have scales of 0. A number of A is one part of 8 bits, or two that make 16, or three
 * that make 24, as many as a float32 has. */
#define HONE_BITS_PANEL 16
#define HONE_BITS_ROWS 8 /* tasks over rows of A begin at multiples of this */

typedef enum hone_bits_more { HONE_BITS_ALONE, HONE_BITS_ZEROS, HONE_BITS_OFFSETS } hone_bits_more;

typedef struct hone_bits {
    int64_t blocks;
    int block; /* elements: a multiple of 16 */
    int bits, parts;
    int middle; /* what all codes are too large by: 0 … 255 */
    hone_bits_more
        more; /* of each block: what its codes are too large by, or what is added to code * scale */
    bool half_scales, half_more;
} hone_bits;

typedef struct hone_bits_panel {
    const uint8_t *codes;
    const void *scales, *more;
} hone_bits_panel;

/* Elements of A that are rounded together: a block of weights has one or more of such runs. */
static inline int hone_bits_run(const hone_bits *p) {
    return p->block % 32 ? 16 : 32;
}
/* Bytes of a row of A as integers, with the scale and two sums of each run. How they lie is the level's affair. */
static inline size_t hone_bits_row_size(const hone_bits *p) {
    const int run = hone_bits_run(p);
    const int bytes = p->parts == 3 ? 4 * run + 16 : 2 * run + 12;
    return (size_t)(p->blocks * (p->block / run)) * (size_t)bytes;
}
/* Bytes of a panel's codes, and of its scales or of what it has more. */
static inline size_t hone_bits_codes_size(const hone_bits *p) {
    return (size_t)(p->blocks * p->block * p->bits / 8) * HONE_BITS_PANEL;
}
static inline size_t hone_bits_numbers_size(const hone_bits *p, bool half) {
    return (size_t)p->blocks * HONE_BITS_PANEL * (half ? 2 : 4);
}

#endif
