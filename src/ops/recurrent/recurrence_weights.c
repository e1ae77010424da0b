#include "graph/infer.h"
#include "ops/common/walk.h"
#include "ops/recurrent/recurrence_inside.h"

#define LEAST_BLOCK 96 /* units: two panels of the widest, or six of the narrowest */
#define BLOCK_UNIT 16  /* what all families' last panels are a multiple of */

/* One sequence's step, in nanoseconds: what few units need is all for one thread. */
double hone_recurrence_row_cost(const hone_cell *c, const hone_product_b *b, int64_t hidden) {
    return (double)(c->gates * hidden) * ((double)hidden * b->family->nanoseconds + 2);
}

/* As many blocks of units as there may be, all alike. */
static int64_t blocks_of(int64_t hidden) {
    int64_t most = hone_min_i64(hidden / LEAST_BLOCK, HONE_TEAM_PARTS);
    while (most > 1 && hidden % (most * BLOCK_UNIT) != 0) most--;
    return most > 1 ? most : 1;
}

hone_recurrence_weights hone_recurrence_weights_make(const hone_cell *c, const hone_type *r) {
    const int64_t hidden = r->dims[2];
    const hone_gemm_kind kind = r->dtype == HONE_FLOAT64   ? HONE_GEMM_F64
                                : r->dtype == HONE_FLOAT32 ? HONE_GEMM_F32
                                                           : HONE_GEMM_U8S8;
    hone_recurrence_weights w = {.b = hone_product_b_make(kind, r, true), .blocks = 1};
    w.is_joined = hone_cell_stages(c) == 1 &&
                  hone_recurrence_row_cost(c, &w.b, hidden) < 2 * HONE_RECURRENCE_PART_NANOSECONDS;
    if (!w.is_joined) w.blocks = blocks_of(hidden);
    const int64_t dims[] = {w.is_joined ? c->directions : c->directions * c->gates * w.blocks,
                            w.is_joined ? c->gates * hidden : hidden / w.blocks, hidden};
    const hone_type seen = hone_type_make(r->dtype, 3, dims);
    w.b = hone_product_b_make(kind, &seen, true);
    w.is_direct = !w.b.family->pack;
    w.matrix_bytes = w.is_direct ? (size_t)(w.b.k * w.b.n) * w.b.size : w.b.packed;
    return w;
}

/* --- packing --- */

static void pack_matrix(const hone_product_b *b, const char *raw, int64_t i, char *packed) {
    int32_t *sums = hone_product_b_sums(b, packed, b->matrices);
    hone_product_b_pack(b, raw + (size_t)(i * b->k * b->n) * b->size, 0, b->n, packed + (size_t)i * b->packed,
                        sums ? sums + i * b->n : NULL);
}

static void pack_part(const void *source, const void *arg, int64_t part, void *out) {
    pack_matrix(arg, source, part, out);
}

static const char *format_of(const hone_recurrence_weights *w) {
    return w->is_joined ? "recurrence, gates side by side" : "recurrence";
}

hone_status hone_recurrence_pack(hone_packer *p, const hone_node *node, hone_error *err) {
    const hone_type *r = &node->inputs[HONE_RECURRENCE_R]->type;
    hone_cell c;
    HONE_TRY(hone_recurrence_cell(node, &c, err));
    if (!hone_type_is_concrete(r)) return HONE_OK;
    hone_recurrence_weights w = hone_recurrence_weights_make(&c, r);
    const size_t bytes = hone_product_b_bytes(&w.b, w.b.matrices);
    if (w.is_direct || bytes == 0) return HONE_OK;
    const hone_packing form = {.format = format_of(&w),
                               .bytes = bytes,
                               .part_bytes = (size_t)(w.b.k * w.b.n) * w.b.size,
                               .pack = pack_part,
                               .arg = &w.b,
                               .arg_size = sizeof w.b};
    return hone_pack_constant(p, HONE_RECURRENCE_R, &form, err);
}

const void *hone_recurrence_packed(const hone_prepare *p, const hone_recurrence_weights *w) {
    return w->is_direct ? NULL : hone_prepare_packed(p, HONE_RECURRENCE_R, format_of(w));
}

static void pack_now(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const hone_recurrence_job *j = arg;
    const char *raw = hone_step_in(j->step, j->frame, HONE_RECURRENCE_R);
    char *packed = (char *)hone_step_scratch(j->step, j->frame) + j->p->at_packed;
    for (int64_t i = begin; i < end; i++) pack_matrix(&j->p->weights.b, raw, i, packed);
}

const char *hone_recurrence_weights_now(hone_recurrence_job *j) {
    const hone_recurrence_params *p = j->p;
    const hone_product_b *b = &p->weights.b;
    if (p->packed) return p->packed;
    if (p->weights.is_direct) return hone_step_in(j->step, j->frame, HONE_RECURRENCE_R);
    char *packed = (char *)hone_step_scratch(j->step, j->frame) + p->at_packed;
    int32_t *sums = hone_product_b_sums(b, packed, b->matrices);
    if (sums) memset(sums, 0, (size_t)(b->matrices * b->n) * sizeof *sums);
    hone_cut_run(&p->packing, j->frame, pack_now, j);
    return packed;
}
