/* Weights of 2, 4 or 8 bits in blocks as numbers:
 *
 *   UnpackBits(B [..., bytes], scales [..., blocks], zeros?) → Y [..., K]
 *
 * with the inputs of BitsProduct (nbits.c). */
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/quant/nbits.h"

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define UINT8 HONE_TYPE(HONE_UINT8)
#define NUMBERS (FLOAT | HONE_TYPE(HONE_FLOAT16))

/* A row of scales, and of zero points if there are any, for each row of codes. */
static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *b = ctx->in[0];
    hone_type *y = &ctx->out[0];
    HONE_TRY(hone_bits_check(ctx, err));
    HONE_TRY(hone_bits_check_rows(ctx, 0, -1, err));
    HONE_TRY(hone_infer_same(ctx, err));
    if (b->rank > 0) y->dims[b->rank - 1] = hone_node_int(ctx->node, "K");
    for (int i = 1; i < ctx->input_count; i++) {
        const hone_type *t = ctx->in[i];
        if (!t || t->rank < 0 || b->rank < 0) continue;
        if (t->rank != b->rank)
            return hone_infer_fail(ctx, err, "input %d has %d dimensions, the codes have %d", i, t->rank,
                                   b->rank);
        for (int d = 0; d + 1 < b->rank; d++)
            HONE_TRY(hone_infer_same_dim(ctx, y->dims[d], t->dims[d], &y->dims[d], err));
    }
    return HONE_OK;
}

typedef struct params {
    hone_bits_weights w;
    hone_cut rows;
} params;

typedef struct job {
    const hone_step *step;
    const hone_frame *frame;
    const uint8_t *b;
    const void *scales, *zeros;
    float *y;
} job;

static void unpack_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const hone_bits_weights *w = &((const params *)j->step->params)->w;
    float *room = hone_step_worker_scratch(j->step, j->frame, worker);
    for (int64_t i = begin; i < end; i++)
        hone_nbits_unpack(&w->shape, j->b + i * w->row, hone_bits_scales_of(w, j->scales, i, room),
                          hone_bits_zeros_of(w, j->zeros, i, room + w->shape.blocks), 0, w->k,
                          j->y + i * w->k);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.step = step,
             .frame = frame,
             .b = hone_step_in(step, frame, 0),
             .scales = hone_step_in(step, frame, 1),
             .zeros = hone_step_in(step, frame, 2),
             .y = hone_step_out(step, frame, 0)};
    hone_cut_run(&p->rows, frame, unpack_rows, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    q->w = hone_bits_weights_of(p->node, p->in[0], p->in[1], p->in_count > 2 ? p->in[2] : NULL);
    q->rows = hone_cut_make(q->w.n, 1.5 * (double)q->w.k, 1);
    p->worker_scratch = 2 * (size_t)q->w.shape.blocks * sizeof(float) + 64;
    p->params = q;
    p->run = run;
    p->kernel = "unpack bits";
    return HONE_OK;
}

const hone_op hone_op_unpack_bits = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "UnpackBits",
    .since = 1,
    .oldest = 1,
    .role = HONE_ROLE_DEQUANTIZE, /* folding must not make it large */
    .inputs = HONE_SLOTS({"B", 0, UINT8 | HONE_TYPE(HONE_INT8), 0}, {"scales", 0, NUMBERS, 0},
                         {"zeros", 0, NUMBERS | UINT8, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 0, FLOAT, 0}),
    .attrs = HONE_ATTRS({"bits", HONE_ATTR_INT, .i = 4}, {"block_size", HONE_ATTR_INT, .required = true},
                        {"K", HONE_ATTR_INT, .required = true}, {"offsets", HONE_ATTR_INT}),
    .infer = infer,
    .prepare = prepare,
    .doc = "weights of few bits, in blocks, as numbers"};
