/* Weights in blocks of few bits, as GGUF files have them. Whatever the packing, a weight is
 *
 *      code · scale + offset        scale = d, or d · step;  offset = m, or m · low, or nothing
 *
 * with d and m a block's, step and low integers of a group of its weights, all exact in float32; the product and the sum are
 * rounded once each. So opening a block (hone_block_format.open) is all that differs from format to format. */
#ifndef HONE_IMPORT_BLOCKS_H
#define HONE_IMPORT_BLOCKS_H

#include <hone/tensor.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HONE_BLOCK_MOST 256 /* weights of a block */
#define HONE_BLOCK_GROUPS 16

typedef struct hone_block {
    uint8_t codes[HONE_BLOCK_MOST]; /* of signed codes their bytes */
    int8_t steps[HONE_BLOCK_GROUPS];
    uint8_t lows[HONE_BLOCK_GROUPS];
    uint16_t d, m; /* bits of format->scale */
} hone_block;

typedef struct hone_block_format {
    const char *name; /* "Q4_K" */
    uint32_t number;
    size_t weights, bytes; /* of a block; plain numbers are blocks of one */
    hone_dtype plain;      /* numbers as they are; else HONE_UNDEFINED, and: */
    hone_dtype codes;      /* the narrowest dtype that holds the codes */
    size_t group;          /* weights of one scale */
    hone_dtype scale;      /* of d and m: HONE_FLOAT16 or HONE_BFLOAT16 */
    hone_dtype steps;      /* HONE_UINT8 or HONE_INT8; HONE_UNDEFINED: the scale is d */
    bool offset;           /* there is m; with `steps`, times low */
    void (*open)(const uint8_t *block, hone_block *out);
    size_t nibbles; /* where 16 bytes of codes lie behind d and m, low halves first; 0: otherwise */
} hone_block_format;

/* The format of that number; NULL: Hone does not know it. */
const hone_block_format *hone_block_format_of(uint32_t number);
/* In order, until NULL. */
const hone_block_format *hone_block_format_at(size_t index);

/* d or m as a number. */
float hone_block_number(const hone_block_format *f, uint16_t bits);
/* `count` weights, whole blocks, as numbers. */
void hone_blocks_to_floats(const hone_block_format *f, const void *blocks, size_t count, float *out);

#endif
