/* What the parts of the product driver know of each other:
 *
 *   product.c            prepares and runs
 *   product_b.c          B's packed form (product_b.h)
 *   product_patches.c    B made of patches of images
 *   product_byte_sum.c   quantized numbers that are added behind a product
 *   product_direct.c     windows of weights in place of a product
 *   product_epilogue.c   what is added and the node's map: in registers, or over strips
 *   product_integer.c    scales and zero points as vectors of the kernel's epilogue
 *   product_tiles.c      which products go by tile registers
 *   product_rows.c       those of A's rows, where B is made of patches
 *   product_winograd.c   Winograd's convolution
 *   product_windows.c    A as windows over images with their channels last */
#ifndef HONE_OPS_ENGINE_PRODUCT_INSIDE_H
#define HONE_OPS_ENGINE_PRODUCT_INSIDE_H

#include "ops/common/cut.h"
#include "ops/engine/elementwise.h"
#include "ops/engine/product.h"
#include "ops/engine/product_b.h"

/* --- the cut --- */

/* Blocks of C, of whole tiles, that make a task or a part of one. */
typedef struct hone_product_blocks {
    int64_t rows, columns; /* of a block */
    int64_t row_blocks, column_blocks;
    bool whole;   /* a block is a matrix, by its cost or by choice */
    hone_cut cut; /* of the blocks of all matrices, column by column, row by row */
} hone_product_blocks;

/* `b_size`: bytes of an element of B; `small`: matrices of little cost are not to be cut. */
hone_product_blocks hone_product_cut(const hone_gemm_family *f, const hone_product *s, size_t b_size,
                                     bool small);

/* --- the epilogue --- */

typedef struct hone_product_params hone_product_params;
typedef struct hone_product_job hone_product_job;

typedef struct hone_product_epilogue {
    int bias, residual, other; /* input indices, -1: none */
    double lo, hi;
    bool ramp; /* see hone_epilogue */
    float slope, offset;
    hone_byte_sum plus;             /* of `other` */
    const hone_elementwise *addend; /* Y = beta C, before the products are added; NULL: none */
    const hone_elementwise *map;    /* NULL: none, or all of it is said above */
    int map_input, map_inputs;
} hone_product_epilogue;

/* Sets p->worker_scratch for what runs over strips. */
hone_status hone_product_epilogue_prepare(hone_prepare *p, const hone_product *s, hone_product_epilogue *e,
                                          hone_error *err);

/* Is the node's map a sum of codes? Then `other` and `plus` are set. */
bool hone_product_byte_sum_find(const hone_prepare *p, const hone_product *s, hone_product_epilogue *e);

/* Run one of those over rows [m0, m1), counted over all matrices of Y, of columns [n0, n1). */
void hone_product_addend_run(const hone_product_job *j, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                             int worker);
void hone_product_map_run(const hone_product_job *j, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                          int worker);

/* --- integers --- */

/* Scales, zero points and bias as vectors of [n], for one matrix of B. */
typedef struct hone_product_vectors {
    float *multiplier, *offset;
    int32_t *bias, *b_zero, *correction; /* correction[j]: column sum - k * zero, times A's zero point */
} hone_product_vectors;

/* Contents of the small inputs; NULL: there is none. */
typedef struct hone_product_operands {
    const void *a_scale, *a_zero, *b_scale, *b_zero, *y_scale, *bias;
} hone_product_operands;

/* What belongs to the rows of A, of all groups, where B is made of patches: [groups * m]. */
typedef struct hone_product_rows {
    float *scale, *offset;
    int32_t *bias, *zero;
} hone_product_rows;

typedef struct hone_product_integer {
    hone_dtype a_dtype, b_dtype, y_dtype, bias_dtype;
    int64_t a_matrices, b_matrices;
    bool row_wise;      /* A has scales or zero points for its rows: they are finished one by one */
    bool flips, sums_a; /* A is flipped into scratch; rows of A are summed */
    bool has_b_zero;
    int64_t row; /* elements of a row of A as it lies: a position's channels, where A is windows */
    int64_t a_scales, a_zeros, b_scales, b_zeros; /* elements of each */
    hone_cut rows;                                /* of A, to flip and to sum */
    size_t at_a, at_sums, at_rows;                /* in scratch */
    const hone_product_vectors *fixed;            /* [b_matrices]; NULL: made at each run */
    const hone_product_rows *rows_fixed;          /* likewise, with patches */
} hone_product_integer;

/* Checks the operands, and takes scratch for A and for unfinished rows. With B packed, makes the vectors if all that
 * they are made of is constant. */
hone_status hone_product_integer_prepare(hone_prepare *p, hone_product_params *params, hone_error *err);
size_t hone_product_vectors_size(int64_t n);
hone_product_vectors hone_product_vectors_at(int64_t n, void *memory);
/* The vectors for matrix `matrix` of B, whose columns have those sums. */
void hone_product_vectors_make(const hone_product_params *p, const hone_product_operands *o,
                               const int32_t *sums, int64_t matrix, hone_product_vectors *v);
/* The same where channels go each by itself: sums are made of the weights w. */
void hone_product_depthwise_vectors(const hone_product_params *p, const hone_product_operands *o,
                                    const int8_t *w, hone_product_vectors *v);
/* The same for patches: p->form is chosen. */
hone_status hone_product_rows_prepare(hone_prepare *p, hone_product_params *params, hone_error *err);
void hone_product_rows_begin(hone_product_job *j);
/* Completes an epilogue for rows from `row` on, counted over all groups. `column_sums`: of B's columns; NULL: sums are of
 * numbers less their zero points. */
void hone_product_rows_epilogue(const hone_product_job *j, int64_t row, const int32_t *column_sums,
                                hone_epilogue *e);
/* Has B zero points that are not 0 for the kernel? */
bool hone_product_needs_b_zero(const hone_prepare *p, const hone_product *s);
/* What the kernel is to store. */
hone_store hone_product_integer_store(const hone_product_integer *q);
/* Starts a run: A, and what of the epilogue is the same for all matrices. */
void hone_product_integer_begin(hone_product_job *j);
/* Completes g for a matrix of A and the vectors of one of B. */
void hone_product_integer_gemm(const hone_product_job *j, int64_t batch, int64_t a_matrix,
                               const hone_product_vectors *v, hone_gemm *g);
/* Where rows have scales of their own: finishes rows [m0, m1) of columns [n0, n1) behind the kernel. */
void hone_product_integer_finish(const hone_product_job *j, int64_t batch, int64_t a_matrix,
                                 const hone_product_vectors *v, int64_t m0, int64_t m1, int64_t n0,
                                 int64_t n1);

/* --- running --- */

/* How B is read. */
typedef enum hone_product_form {
    HONE_B_PACKED,   /* a constant that is packed */
    HONE_B_DIRECT,   /* as it lies */
    HONE_B_PACK,     /* packed matrix by matrix into scratch, by all threads */
    HONE_B_TASK,     /* small matrices: each packed by the task that uses it, into worker scratch */
    HONE_B_PATCHES,  /* patches of images, packed likewise, some columns at a time */
    HONE_B_WINDOWS,  /* images, over which windows of weights go */
    HONE_B_CHANNELS, /* weights of channels, each by itself, as they lie */
    HONE_B_WINOGRAD  /* (size + 2)^2 matrices of weights */
} hone_product_form;

/* A as windows over images with their channels last. Bytes become rows of A, in worker scratch. */
typedef struct hone_product_windows {
    hone_windows w;
    bool in_place;             /* bytes, which are read as windows, too */
    bool copies;               /* pads: lines of the image are copied, with zeros (zero points) around them */
    int64_t pitch;             /* elements of a line of the copy, or of a row */
    int64_t line_step;         /* elements from what a line of positions sees to what the next one does */
    int64_t part;              /* images of one line: positions at once; 0: whole lines */
    int64_t lines;             /* of positions at once */
    int64_t rows;              /* of bytes at once; 0: lines are counted */
    int64_t a_part, line_rows; /* of what the kernel has laid out (hone_gemm); 0: floats are copied */
    size_t at, bytes;          /* the copy, in worker scratch */
    size_t at_sums;            /* of rows, from there on; or the kernel's room */
    const hone_gemm_run *runs;
    hone_depthwise depthwise;
    hone_winograd winograd;
} hone_product_windows;

struct hone_product_params {
    hone_product s;
    const hone_gemm_family *family;
    hone_product_form form;
    hone_product_b b;
    const void *packed;
    size_t a_size, y_size; /* of elements */
    hone_product_blocks blocks;
    hone_cut panels; /* of B, to pack */
    hone_product_epilogue epilogue;
    hone_product_integer integer;
    hone_gemm gemm;               /* but for addresses */
    size_t at_b, at_vectors;      /* in scratch, from HONE_B_TASK on in the worker's */
    size_t at_room;               /* the kernel's, in worker scratch */
    hone_windows patches;         /* where s.patches says so */
    hone_direct direct;           /* HONE_B_WINDOWS */
    hone_product_windows windows; /* where s.a_windows says so */
};

/* One run. */
struct hone_product_job {
    const hone_product_params *p;
    const hone_step *step;
    const hone_frame *frame;
    const char *a, *residual, *other; /* of the first matrices */
    const void *bias;
    char *y;
    int64_t batch; /* HONE_B_PACK: the one at hand */
    int parts;     /* HONE_B_WINOGRAD: of a block that threads share */
    /* integers, set by hone_product_integer_begin */
    hone_product_operands o; /* unless the vectors are fixed */
    uint8_t *a_flipped;
    int32_t *a_sums, *rows, y_zero;
    int32_t x_zero; /* of images: patches', or windows' as the kernels see them */
    hone_product_rows channels;
};

static inline const void *hone_product_input(const hone_product_job *j, int i) {
    return i >= 0 ? hone_step_in(j->step, j->frame, i) : NULL;
}
/* Which matrices belong to matrix `batch` of Y. */
static inline int64_t hone_product_a_of(const hone_product *s, int64_t batch) {
    return s->a_matrix ? s->a_matrix[batch] : 0;
}
static inline int64_t hone_product_b_of(const hone_product *s, int64_t batch) {
    return s->b_matrix ? s->b_matrix[batch] : 0;
}

/* The kernel's room, where it wants one. */
static inline void *hone_product_room(const hone_product_job *j, int worker) {
    char *scratch = hone_step_worker_scratch(j->step, j->frame, worker);
    return j->p->family->room ? scratch + j->p->at_room : NULL;
}

/* --- tiles --- */

/* Makes the product one of bfloat16 where B is packed so. */
void hone_product_choose_bf16(const hone_prepare *p, hone_product *s);

/* For `prepare`, before windows are merged: the family for A as `q` says, whose B is of q->b's packed form. */
const hone_gemm_family *hone_product_family(const hone_prepare *p, const hone_product *s,
                                            const hone_gemm_family *packed);

/* --- patches --- */

/* For `prepare`: form, family and blocks of a product of patches, and B, a block of which is packed at a time. */
void hone_product_patches_choose(hone_product_params *p);
/* Runs blocks [begin, end) of `arg`, a job. */
void hone_product_patches_run(void *arg, int64_t begin, int64_t end, int worker);

/* Is it faster without a product? */
bool hone_product_direct_pays(const hone_product *s);
/* The same for windows of weights, of which lines are run. */
void hone_product_direct_choose(hone_product_params *p);
void hone_product_direct_run(void *arg, int64_t begin, int64_t end, int worker);

/* --- windows --- */

/* For `prepare`: what A is then, and, when the blocks are cut, blocks of whole lines. */
hone_status hone_product_windows_choose(hone_prepare *p, hone_product_params *q, hone_error *err);
void hone_product_windows_cut(hone_product_params *q);
/* Makes g->a (and g->epilogue.a_sum, where sums are asked for) what rows [begin, end) of matrix `batch` of Y need, with as
 * many rows up to `last` as fit the room: returns end. */
int64_t hone_product_windows_next(const hone_product_job *j, int64_t batch, int64_t begin, int64_t last,
                                  int worker, hone_gemm *g);
/* Winograd: is B packed for it? Then k is that of its matrices. */
bool hone_product_winograd_find(const hone_prepare *p, hone_product_params *q);
/* Chooses tiles and blocks, and runs them all. */
void hone_product_winograd_choose(hone_product_params *q);
void hone_product_winograd_run(hone_product_job *j);
/* Runs lines [begin, end) of all images, or parts of them, where channels go each by itself. */
void hone_product_depthwise_run(void *arg, int64_t begin, int64_t end, int worker);

#endif
