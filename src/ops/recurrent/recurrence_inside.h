/* What running a recurrence forward shares between its files: recurrence.c, recurrence_weights.c for how R lies, and
 * recurrence_quantized.c for R in bytes. */
#ifndef HONE_OPS_RECURRENT_RECURRENCE_INSIDE_H
#define HONE_OPS_RECURRENT_RECURRENCE_INSIDE_H

#include "base/team.h"
#include "ops/common/cut.h"
#include "ops/engine/product_b.h"
#include "ops/recurrent/recurrence.h"
#include "ops/recurrent/steps.h"

/* Nanoseconds of a part of a step: what a team gains by it is more than it takes to meet. */
#define HONE_RECURRENCE_PART_NANOSECONDS 1500

/* How kernels see R [D G, H, H]. Few units: as [D, G H, H], the gates side by side, so that a step is one product. Many: as
 * [D G blocks, H / blocks, H], blocks being what the threads of a team share out. */
typedef struct hone_recurrence_weights {
    hone_product_b b;
    bool is_joined, is_direct; /* direct: as it lies */
    int64_t blocks;
    size_t matrix_bytes; /* from one matrix to the next */
} hone_recurrence_weights;

typedef struct hone_recurrence_params {
    hone_cell cell;
    hone_steps steps;  /* but for the order */
    int stages, slots; /* buffers of gates */
    /* matrices [batch, hidden] of each direction: gates, H and H', C or r H; and where they begin */
    size_t kept[HONE_CELL_GATES + 3], kept_bytes;
    bool is_quantized;
    hone_recurrence_weights weights;
    const void *packed;
    hone_gemm gemm; /* but for addresses */
    hone_steps_map maps[2][2];
    size_t at_order, at_kept, at_rows, at_packed, at_quantized; /* in scratch */
    int64_t row_block, row_blocks;
    int64_t most_parts; /* of the units of a direction, where a team cuts them */
    hone_cut rows, packing;
} hone_recurrence_params;

/* One run. */
typedef struct hone_recurrence_job {
    const hone_recurrence_params *p;
    const hone_step *step;
    hone_frame *frame;
    hone_steps steps;
    char *kept;
    char *
        rows; /* [D, batch, G H] gates side by side, where a product gives them so and they are not kept so */
    const char *weights, *gates, *peepholes, *rb;
    char *y, *y_h, *y_c, *before, *c;
    int parts; /* of each direction's units */
} hone_recurrence_job;

/* --- how R lies --- */

double hone_recurrence_row_cost(const hone_cell *c, const hone_product_b *b, int64_t hidden);
hone_recurrence_weights hone_recurrence_weights_make(const hone_cell *c, const hone_type *r);
/* The `pack` of the operator, and what it has packed; NULL: nothing. */
hone_status hone_recurrence_pack(hone_packer *p, const hone_node *node, hone_error *err);
const void *hone_recurrence_packed(const hone_prepare *p, const hone_recurrence_weights *w);
/* R for this run: packed once, packed now, or as it lies. */
const char *hone_recurrence_weights_now(hone_recurrence_job *j);

/* --- R in bytes --- H is quantized as DynamicQuantizeLinear would, the rows of a direction together */

size_t hone_recurrence_quantized_room(const hone_recurrence_params *p);
/* Starts a run: what is the same at all steps. */
void hone_recurrence_quantized_begin(const hone_recurrence_job *j);
/* Quantizes the first `rows` rows of H. */
void hone_recurrence_quantize(const hone_recurrence_job *j, int direction, const void *h, int64_t rows);
/* Completes the product of columns of a direction's gates, from that one on. */
void hone_recurrence_quantized_gemm(const hone_recurrence_job *j, int direction, int64_t column,
                                    hone_gemm *gemm);

#endif
