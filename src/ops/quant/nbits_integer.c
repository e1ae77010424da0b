/* BitsProduct by integers: A is rounded to 8 bits in the blocks that the weights have, and each block's
 * sum of codes times integers is exact; float32 holds the sum over blocks, in their order. So a row's
 * result depends on no other row. Constants are laid out in panels of 16 rows of B (kernels.h). */
#include "base/bits.h"
#include "ops/common/cut.h"
#include "ops/common/emit.h"
#include "ops/common/walk.h"
#include "ops/engine/product_b.h"
#include "ops/quant/nbits.h"

#include <string.h>

#define PANEL HONE_BITS_PANEL
#define GROUP 8 /* elements of K in a word of codes */

/* --- constants --- */

#define CODES "panels of codes"
#define NUMBERS "panels of numbers"
#define ZEROS "panels of zero points"

/* `row` bytes of the constant belong to one of `rows`; `blocks` numbers or `words` of 4 bytes of codes are
 * made of them. */
typedef struct packing {
    int64_t rows, row, step, blocks, words;
} packing;

static int64_t begin_of(const packing *a, int64_t part) {
    return part * a->step;
}
static int64_t end_of(const packing *a, int64_t part) {
    return hone_min_i64((part + 1) * a->step, a->rows);
}

/* Where what belongs to row i begins, of `count` words of 4 bytes a row; the next word is PANEL further. */
static int64_t word_of(int64_t i, int64_t count) {
    return i / PANEL * count * PANEL + i % PANEL;
}

/* Nothing was written behind the last row: its panel is filled with zeros. */
static void fill(const packing *a, int64_t end, int64_t count, uint32_t *out) {
    if (end < a->rows) return;
    for (int64_t i = end; i % PANEL; i++)
        for (int64_t l = 0; l < count; l++) out[word_of(i, count) + l * PANEL] = 0;
}

/* Bytes of two neighbours become words whose low halves are elements 0 … 3 and whose high halves
 * are 4 … 7. */
static void pack_codes(const void *source, const void *arg, int64_t part, void *out) {
    const packing *a = arg;
    uint32_t *y = out;
    for (int64_t i = begin_of(a, part); i < end_of(a, part); i++) {
        const uint8_t *b = (const uint8_t *)source + i * a->row;
        for (int64_t l = 0; l < a->words; l++, b += 4) {
            uint32_t word = 0;
            for (int t = 0; t < 4; t++) {
                const uint32_t low = b[t / 2] >> t % 2 * 4 & 15, high = b[2 + t / 2] >> t % 2 * 4 & 15;
                word |= (low | high << 4) << 8 * t;
            }
            y[word_of(i, a->words) + l * PANEL] = word;
        }
    }
    fill(a, end_of(a, part), a->words, y);
}

static void pack_numbers(const void *source, const void *arg, int64_t part, void *out) {
    const packing *a = arg;
    uint32_t *y = out;
    for (int64_t i = begin_of(a, part); i < end_of(a, part); i++)
        for (int64_t l = 0; l < a->blocks; l++)
            y[word_of(i, a->blocks) + l * PANEL] = ((const uint32_t *)source)[i * a->blocks + l];
    fill(a, end_of(a, part), a->blocks, y);
}

static void pack_zeros(const void *source, const void *arg, int64_t part, void *out) {
    const packing *a = arg;
    float *y = out;
    for (int64_t i = begin_of(a, part); i < end_of(a, part); i++)
        for (int64_t l = 0; l < a->blocks; l++)
            y[word_of(i, a->blocks) + l * PANEL] =
                (float)hone_bits_get((const uint8_t *)source + i * a->row, l, 4);
    fill(a, end_of(a, part), a->blocks, out);
}

static hone_status pack_rows(hone_packer *p, const hone_node *node, int input, const char *format,
                             hone_pack_fn *pack, int64_t words, hone_error *err) {
    const hone_type *t = &node->inputs[input]->type;
    packing a = {.rows = t->dims[0], .blocks = words, .words = words};
    a.row = t->dims[1] * (int64_t)hone_dtype_size(t->dtype);
    a.step = hone_pack_rows((size_t)a.row, PANEL);
    hone_packing form = {.format = format,
                         .bytes = (size_t)(hone_tasks(a.rows, PANEL) * PANEL * words) * 4,
                         .part_bytes = (size_t)(a.step * a.row),
                         .pack = pack,
                         .arg = &a,
                         .arg_size = sizeof a};
    return form.bytes ? hone_pack_constant(p, input, &form, err) : HONE_OK;
}

hone_status hone_bits_integer_pack(hone_packer *p, const hone_node *node, hone_error *err) {
    const int64_t block = hone_node_int(node, "block_size"),
                  blocks = hone_tasks(hone_node_int(node, "K"), block);
    const hone_value *zeros = hone_input(node, HONE_BITS_ZEROS);
    const hone_value *all[] = {node->inputs[HONE_BITS_B], node->inputs[HONE_BITS_SCALES], zeros};
    if (hone_node_int(node, "bits") != 4 || hone_node_int(node, "offsets")) return HONE_OK;
    for (int i = 0; i < 3; i++)
        if (all[i] && (!hone_value_constant(all[i]) || all[i]->type.rank != 2)) return HONE_OK;
    HONE_TRY(pack_rows(p, node, HONE_BITS_B, CODES, pack_codes, blocks * block / GROUP, err));
    HONE_TRY(pack_rows(p, node, HONE_BITS_SCALES, NUMBERS, pack_numbers, blocks, err));
    if (!zeros) return HONE_OK;
    return zeros->type.dtype == HONE_UINT8
               ? pack_rows(p, node, HONE_BITS_ZEROS, ZEROS, pack_zeros, blocks, err)
               : pack_rows(p, node, HONE_BITS_ZEROS, NUMBERS, pack_numbers, blocks, err);
}

static const void *packed_zeros(const hone_prepare *p) {
    return hone_prepare_packed(p, HONE_BITS_ZEROS,
                               p->in[HONE_BITS_ZEROS]->dtype == HONE_UINT8 ? ZEROS : NUMBERS);
}

bool hone_bits_integer_prepared(const hone_prepare *p) {
    const bool has_zeros = p->in_count > HONE_BITS_ZEROS && p->in[HONE_BITS_ZEROS];
    return hone_node_int(p->node, "bits") == 4 && !hone_node_int(p->node, "offsets") &&
           hone_prepare_packed(p, HONE_BITS_B, CODES) && hone_prepare_packed(p, HONE_BITS_SCALES, NUMBERS) &&
           (!has_zeros || packed_zeros(p));
}

/* --- the plan --- */

typedef struct params {
    hone_bits_panel b; /* the first one */
    const hone_kernels *kernels;
    int64_t m, n, k;
    size_t at_scales, at_sums; /* in scratch, behind the integers of A */
    hone_cut rows, panels;
} params;

typedef struct job {
    const params *p;
    const float *a, *bias;
    float *y;
    hone_bits_rows rows;
} job;

static void round_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const hone_bits_panel *b = &j->p->b;
    for (int64_t i = begin; i < end; i++) {
        const hone_bits_rows row = {j->rows.values + i * b->blocks * b->block, j->rows.scales + i * b->blocks,
                                    j->rows.sums + i * b->blocks};
        j->p->kernels->bits_rows_s8(j->a + i * j->p->k, j->p->k, b->blocks, b->block, &row);
    }
}

static void multiply_panels(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const int64_t numbers = p->b.blocks * PANEL;
    for (int64_t i = begin; i < end; i++) {
        hone_bits_panel b = p->b;
        b.codes += i * numbers * b.block / 2;
        b.scales += i * numbers;
        if (b.zeros) b.zeros += i * numbers;
        p->kernels->bits4_s8(&b, &j->rows, p->m, j->bias ? j->bias + i * PANEL : NULL,
                             hone_min_i64(p->n - i * PANEL, PANEL), j->y + i * PANEL, p->n);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    char *scratch = hone_step_scratch(step, frame);
    job j = {.p = p,
             .a = hone_step_in(step, frame, HONE_BITS_A),
             .bias = hone_step_in(step, frame, HONE_BITS_BIAS),
             .y = hone_step_out(step, frame, 0),
             .rows = {(int8_t *)scratch, (float *)(void *)(scratch + p->at_scales),
                      (float *)(void *)(scratch + p->at_sums)}};
    hone_cut_run(&p->rows, frame, round_rows, &j);
    hone_cut_run(&p->panels, frame, multiply_panels, &j);
    return HONE_OK;
}

hone_status hone_bits_integer_prepare(hone_prepare *p, const hone_bits_weights *w, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const hone_type *a = p->in[HONE_BITS_A];
    *q = (params){.b = {.blocks = w->shape.blocks,
                        .block = w->shape.block,
                        .codes = hone_prepare_packed(p, HONE_BITS_B, CODES),
                        .scales = hone_prepare_packed(p, HONE_BITS_SCALES, NUMBERS),
                        .zeros = w->has_zeros ? packed_zeros(p) : NULL},
                  .kernels = hone_kernels_get(),
                  .m = hone_dims_product(a, 0, a->rank - 1),
                  .n = hone_node_int(p->node, "N"),
                  .k = w->k};
    const size_t numbers = hone_align_64((size_t)(q->m * q->b.blocks) * sizeof(float));
    q->at_scales = hone_align_64((size_t)(q->m * q->b.blocks * q->b.block));
    q->at_sums = q->at_scales + numbers;
    p->scratch = q->at_sums + numbers;
    q->rows = hone_cut_make(q->m, 0.2 * (double)q->k, 1);
    q->panels = hone_cut_make(q->m ? hone_tasks(q->n, PANEL) : 0,
                              PANEL * (double)q->k * (0.03 + 0.015 * (double)q->m), 1);
    p->params = q;
    p->run = run;
    p->kernel = "bits, integers";
    return HONE_OK;
}
