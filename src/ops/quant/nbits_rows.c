/* Rows of weights of few bits, by index, as numbers:
 *
 *   BitsRows(B [N, bytes], scales [N, blocks], zeros?, indices [...]) → Y [..., K]
 *
 * with the first three as BitsProduct has them (nbits.c), so that a table which is the last layer, too, is packed once. */
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"
#include "ops/quant/nbits.h"

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define UINT8 HONE_TYPE(HONE_UINT8)
#define NUMBERS (FLOAT | HONE_TYPE(HONE_FLOAT16))

enum { B, SCALES, ZEROS, INDICES };

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *indices = ctx->in[INDICES];
    hone_type *y = &ctx->out[0];
    HONE_TRY(hone_bits_check(ctx, err));
    HONE_TRY(hone_bits_check_rows(ctx, B, -1, err));
    y->dtype = HONE_FLOAT32;
    if (ctx->in[B]->rank >= 0 && ctx->in[B]->rank != 2)
        return hone_infer_fail(ctx, err, "codes must have rank 2");
    if (indices->rank < 0) return HONE_OK;
    if (indices->rank == HONE_MAX_RANK)
        return hone_infer_fail(ctx, err, "indices of %d dimensions", indices->rank);
    y->rank = indices->rank + 1;
    for (int i = 0; i < indices->rank; i++) y->dims[i] = indices->dims[i];
    y->dims[indices->rank] = hone_node_int(ctx->node, "K");
    return HONE_OK;
}

typedef struct params {
    hone_bits_panels b;
    bool wide; /* indices are int64 */
    int64_t count;
    hone_cut rows;
} params;

typedef struct job {
    const hone_step *step;
    const hone_frame *frame;
    const uint8_t *b;
    const void *scales, *zeros, *indices;
    float *y;
} job;

static int64_t index_at(const params *p, const void *indices, int64_t i) {
    return p->wide ? ((const int64_t *)indices)[i] : ((const int32_t *)indices)[i];
}

static void unpack_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->step->params;
    const hone_bits_weights *w = &p->b.w;
    float *room = hone_step_worker_scratch(j->step, j->frame, worker);
    for (int64_t i = begin; i < end; i++) {
        int64_t row = index_at(p, j->indices, i);
        float *y = j->y + i * w->k;
        if (row < 0) row += w->n;
        if (p->b.first.codes) {
            const hone_bits_panel b =
                hone_bits_panel_at(&p->b, row / HONE_BITS_PANEL, NULL, NULL, NULL, NULL);
            hone_bits_unpack(&p->b.form, &b, (int)(row % HONE_BITS_PANEL), w->k, y);
        } else {
            hone_nbits_unpack(&w->shape, j->b + row * w->row, hone_bits_scales_of(w, j->scales, row, room),
                              hone_bits_zeros_of(w, j->zeros, row, room + w->shape.blocks), 0, w->k, y);
        }
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    job j = {.step = step,
             .frame = frame,
             .b = hone_step_in(step, frame, B),
             .scales = hone_step_in(step, frame, SCALES),
             .zeros = hone_step_in(step, frame, ZEROS),
             .indices = hone_step_in(step, frame, INDICES),
             .y = hone_step_out(step, frame, 0)};
    for (int64_t i = 0; i < p->count; i++) {
        const int64_t row = index_at(p, j.indices, i);
        if (row < -p->b.w.n || row >= p->b.w.n)
            return hone_step_fail(step, err, "index %lld at position %lld is outside of an axis of %lld",
                                  (long long)row, (long long)i, (long long)p->b.w.n);
    }
    hone_cut_run(&p->rows, frame, unpack_rows, &j);
    return HONE_OK;
}

static hone_status pack(hone_packer *p, const hone_node *node, hone_error *err) {
    return hone_bits_pack(p, node, B, err);
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    q->b = hone_bits_panels_of(p, B, 2);
    q->wide = p->in[INDICES]->dtype == HONE_INT64;
    q->count = hone_type_count(p->in[INDICES]);
    q->rows = hone_cut_make(q->count, 2 * (double)q->b.w.k, 1);
    p->worker_scratch = 2 * (size_t)q->b.w.shape.blocks * sizeof(float) + 64;
    p->params = q;
    p->run = run;
    p->kernel = "rows of bits";
    return HONE_OK;
}

const hone_op hone_op_bits_rows = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "BitsRows",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"B", 0, UINT8 | HONE_TYPE(HONE_INT8), 0}, {"scales", 0, NUMBERS, 0},
                         {"zeros", 0, NUMBERS | UINT8, HONE_SLOT_OPTIONAL},
                         {"indices", 0, HONE_TYPE(HONE_INT32) | HONE_TYPE(HONE_INT64), 0}),
    .outputs = HONE_SLOTS({"Y", 0, FLOAT, 0}),
    .attrs = HONE_ATTRS({"bits", HONE_ATTR_INT, .i = 4}, {"block_size", HONE_ATTR_INT, .required = true},
                        {"K", HONE_ATTR_INT, .required = true}, {"offsets", HONE_ATTR_INT}),
    .infer = infer,
    .pack = pack,
    .prepare = prepare,
    .doc = "rows of weights of few bits, in blocks, as numbers"};
