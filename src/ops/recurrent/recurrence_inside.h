/* What running a recurrence forward shares between its files: recurrence.c, and recurrence_quantized.c for R in bytes. */
#ifndef HONE_OPS_RECURRENT_RECURRENCE_INSIDE_H
#define HONE_OPS_RECURRENT_RECURRENCE_INSIDE_H

#include "ops/common/cut.h"
#include "ops/engine/product_b.h"
#include "ops/recurrent/recurrence.h"
#include "ops/recurrent/steps.h"

typedef struct hone_recurrence_params {
    hone_cell cell;
    hone_steps steps;  /* but for the order */
    int stages, slots; /* buffers of gates */
    int kept;          /* matrices [batch, hidden] of each direction: gates, H and H', C or r H */
    bool is_quantized;
    hone_product_b b;
    const void *packed;
    size_t matrix_bytes; /* from one matrix of R to the next */
    hone_gemm gemm;      /* but for addresses */
    hone_steps_map maps[2][2];
    size_t at_order, at_kept, at_packed, at_quantized; /* in scratch */
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
    const char *weights, *gates, *peepholes, *rb;
    char *y, *y_h, *y_c, *before, *c;
    int parts; /* of each direction's units */
} hone_recurrence_job;

/* --- R in bytes --- H is quantized as DynamicQuantizeLinear would, the rows of a direction together */

size_t hone_recurrence_quantized_room(const hone_recurrence_params *p);
/* Starts a run: what is the same at all steps. */
void hone_recurrence_quantized_begin(const hone_recurrence_job *j);
/* Quantizes the first `rows` rows of H. */
void hone_recurrence_quantize(const hone_recurrence_job *j, int direction, const void *h, int64_t rows);
/* Completes the product of a gate. */
void hone_recurrence_quantized_gemm(const hone_recurrence_job *j, int direction, int gate, hone_gemm *gemm);

#endif
