/* Which products go by tile registers. An element must not depend on how many others are computed with it, for `hone serve` gives a
 * request the same answer in any batch: so what counts is how many rows of A come from one item of a batch. */
#include "ops/common/walk.h"
#include "ops/engine/product_inside.h"

#define LEAST_ROWS 16    /* a tile of sums */
#define LEAST_COLUMNS 96 /* that share what splitting A takes */
#define LEAST_DEPTH 128  /* over which storing sums is spread */
#define OPEN_ROWS 64     /* where a dimension's size is not known before a run */

/* Is it the dimension along which requests are put together? */
static bool is_batch(const hone_graph *g, int64_t dim) {
    for (size_t i = 0; g && i < g->input_count; i++) {
        const hone_type *t = &g->inputs[i]->type;
        if (t->rank > 0 && t->dims[0] == dim) return true;
    }
    return false;
}

static int64_t rows_of_item(const hone_prepare *p, const hone_product *s) {
    if (s->a_windows) return s->m;
    const hone_type *t = &p->node->inputs[s->a]->type;
    int64_t rows = 1;
    for (int d = 0; d + 1 < t->rank; d++)
        if (t->dims[d] >= 0)
            rows *= t->dims[d];
        else if (d > 0 || !is_batch(p->main, t->dims[d]))
            rows *= OPEN_ROWS;
    return rows;
}

const hone_gemm_family *hone_product_family(const hone_prepare *p, const hone_product *s,
                                            const hone_gemm_family *packed) {
    const hone_gemm_family *tiles = hone_kernels_get()->gemm_f32_tiles;
    if (s->kind == HONE_GEMM_BF16) return hone_kernels_get()->gemm[HONE_GEMM_BF16];
    if (!tiles || s->kind != HONE_GEMM_F32 || s->patches || s->depthwise || s->winograd) return packed;
    if (!s->a_windows && s->a_col != 1) return packed;
    if (s->k < LEAST_DEPTH || s->n < LEAST_COLUMNS || rows_of_item(p, s) < LEAST_ROWS) return packed;
    return tiles;
}

void hone_product_choose_bf16(const hone_prepare *p, hone_product *s) {
    if (s->kind != HONE_GEMM_F32 || !hone_kernels_get()->gemm[HONE_GEMM_BF16]) return;
    const hone_product_b b = hone_product_b_make(HONE_GEMM_BF16, p->in[s->b], s->b_columns);
    if (hone_product_b_find(p, &b, s->b)) s->kind = HONE_GEMM_BF16;
}
