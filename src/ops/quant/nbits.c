/* The product with weights of 2, 4 or 8 bits, in blocks that have a scale and a zero point each, as com.microsoft packs them:
 *
 *   BitsProduct(A [..., K], B [N, bytes], scales [N, blocks], zeros?, bias [N]?) → Y [..., N]
 *
 * scales are float32, or float16. zeros is like them, or uint8 packed like B, each row from a byte of its own; left out: 2^(bits - 1). With offsets = 1
 * it is what is added to code times scale instead, never packed; left out: 0. B may be int8 of 8 bits, whose zero point is 0 if left out.
 *
 * A is rounded to 24 bits in runs of 32 along K, which is as good as float32, to 16 where less will do (bfloat16), or, where
 * integers = 1, to 8: products are sums of integers then, exact within a run. A row's result depends on nothing else, so a
 * token's is the same whatever is computed beside it. */
#include "ops/quant/nbits.h"
#include "base/bits.h"
#include "base/half.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/emit.h"
#include "ops/common/walk.h"

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define UINT8 HONE_TYPE(HONE_UINT8)
#define NUMBERS (FLOAT | HONE_TYPE(HONE_FLOAT16))
#define CODES (UINT8 | HONE_TYPE(HONE_INT8))
#define OPTIONAL HONE_SLOT_OPTIONAL
#define LONGEST ((int64_t)1 << 56) /* of rows: their bits can be counted */

/* --- what is known of weights --- */

hone_status hone_bits_check(const hone_infer *ctx, hone_error *err) {
    const int64_t bits = hone_node_int(ctx->node, "bits"), block = hone_node_int(ctx->node, "block_size"),
                  k = hone_node_int(ctx->node, "K");
    if (bits != 2 && bits != 4 && bits != 8)
        return hone_infer_fail(ctx, err, "weights of %lld bits", (long long)bits);
    if (block < 16 || block > 1 << 20 || block % 16)
        return hone_infer_fail(ctx, err, "blocks of %lld elements", (long long)block);
    if (k < 0 || k > LONGEST) return hone_infer_fail(ctx, err, "rows of %lld elements", (long long)k);
    return HONE_OK;
}

hone_status hone_bits_check_rows(const hone_infer *ctx, int at, int64_t rows, hone_error *err) {
    const int64_t bits = hone_node_int(ctx->node, "bits"), block = hone_node_int(ctx->node, "block_size"),
                  blocks = hone_tasks(hone_node_int(ctx->node, "K"), block);
    const hone_type *b = ctx->in[at], *scales = ctx->in[at + 1],
                    *zeros = at + 2 < ctx->input_count ? ctx->in[at + 2] : NULL;
    const int64_t wanted[] = {blocks * block * bits / 8, blocks,
                              zeros && zeros->dtype == HONE_UINT8 ? hone_tasks(blocks * bits, 8) : blocks};
    const hone_type *types[] = {b, scales, zeros};
    for (int i = 0; i < 3; i++) {
        if (!types[i] || types[i]->rank < 0) continue;
        int64_t d;
        if (types[i]->rank < 1) return hone_infer_fail(ctx, err, "input %d must have rows", at + i);
        HONE_TRY(hone_infer_same_dim(ctx, types[i]->dims[types[i]->rank - 1], wanted[i], &d, err));
        if (rows >= 0) HONE_TRY(hone_infer_same_dim(ctx, types[i]->dims[0], rows, &d, err));
    }
    return HONE_OK;
}

hone_bits_weights hone_bits_weights_of(const hone_node *node, const hone_type *codes, const hone_type *scales,
                                       const hone_type *zeros) {
    hone_bits_weights w = {.shape = {.block = (int)hone_node_int(node, "block_size"),
                                     .bits = (int)hone_node_int(node, "bits"),
                                     .is_signed = codes->dtype == HONE_INT8,
                                     .offsets = hone_node_int(node, "offsets") != 0},
                           .n = hone_dims_product(codes, 0, codes->rank - 1),
                           .k = hone_node_int(node, "K"),
                           .has_zeros = zeros != NULL,
                           .packed_zeros = zeros && zeros->dtype == HONE_UINT8,
                           .half_scales = scales->dtype == HONE_FLOAT16,
                           .half_zeros = zeros && zeros->dtype == HONE_FLOAT16};
    w.shape.blocks = hone_tasks(w.k, w.shape.block);
    w.row = w.shape.blocks * w.shape.block * w.shape.bits / 8;
    w.zero_row = hone_tasks(w.shape.blocks * w.shape.bits, 8);
    return w;
}

/* Row `row` of [N, blocks], halves made wide in `room`. */
static const float *floats_of(const hone_bits_weights *w, const void *x, bool half, int64_t row,
                              float *room) {
    const int64_t blocks = w->shape.blocks;
    if (!half) return (const float *)x + row * blocks;
    for (int64_t i = 0; i < blocks; i++)
        room[i] = hone_float_of_half(((const uint16_t *)x)[row * blocks + i]);
    return room;
}

const float *hone_bits_scales_of(const hone_bits_weights *w, const void *scales, int64_t row, float *room) {
    return floats_of(w, scales, w->half_scales, row, room);
}

const float *hone_bits_zeros_of(const hone_bits_weights *w, const void *zeros, int64_t row, float *room) {
    if (w->has_zeros && !w->packed_zeros) return floats_of(w, zeros, w->half_zeros, row, room);
    const int64_t blocks = w->shape.blocks;
    const int bits = w->shape.bits;
    if (w->has_zeros)
        for (int64_t i = 0; i < blocks; i++)
            room[i] = (float)hone_bits_get((const uint8_t *)zeros + row * w->zero_row, i, bits);
    else
        for (int64_t i = 0; i < blocks; i++)
            room[i] = w->shape.is_signed || w->shape.offsets ? 0 : (float)(1 << (bits - 1));
    return room;
}

/* --- BitsProduct --- */

enum { A = HONE_BITS_A, B, SCALES, ZEROS, BIAS };

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *a = ctx->in[A], *bias = ctx->input_count > BIAS ? ctx->in[BIAS] : NULL;
    int64_t d, n = hone_node_int(ctx->node, "N");
    HONE_TRY(hone_bits_check(ctx, err));
    HONE_TRY(hone_bits_check_rows(ctx, B, n, err));
    if (bias && bias->rank >= 0 && (bias->rank != 1 || (bias->dims[0] >= 0 && bias->dims[0] != n)))
        return hone_infer_fail(ctx, err, "the bias must have %lld elements", (long long)n);
    HONE_TRY(hone_infer_same(ctx, err));
    if (a->rank < 0) return HONE_OK;
    if (a->rank == 0) return hone_infer_fail(ctx, err, "A must have rows");
    HONE_TRY(hone_infer_same_dim(ctx, a->dims[a->rank - 1], hone_node_int(ctx->node, "K"), &d, err));
    ctx->out[0].dims[a->rank - 1] = n;
    return HONE_OK;
}

static int64_t multiply_adds(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)in;
    return hone_type_count(out) * hone_node_int(n, "K");
}

/* Rows of A that pass a panel before the next one: what fits in a second-level cache beside it. */
#define CHUNK_BYTES ((size_t)1 << 20)
#define LEAST_CHUNK 32

typedef struct params {
    hone_bits_panels b;
    const hone_kernels *kernels;
    int64_t m, n, chunk;
    hone_cut rows, panels; /* of A, in tiles; of B */
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const float *a, *bias;
    const uint8_t *b;
    const void *scales, *zeros;
    float *y;
    char *rounded;
} job;

static void round_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const int64_t first = begin * HONE_BITS_ROWS, last = hone_min_i64(end * HONE_BITS_ROWS, j->p->m),
                  k = j->p->b.w.k;
    j->p->kernels->bits_round(&j->p->b.form, j->a + first * k, k, last - first,
                              j->rounded + (size_t)first * hone_bits_row_size(&j->p->b.form));
}

static void multiply_panels(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    void *room = hone_step_worker_scratch(j->step, j->frame, worker);
    for (int64_t row = 0; row < p->m; row += p->chunk)
        for (int64_t i = begin; i < end; i++) {
            const hone_bits_panel b = hone_bits_panel_at(&p->b, i, j->b, j->scales, j->zeros, room);
            const int64_t at = i * HONE_BITS_PANEL;
            p->kernels->bits_multiply(&p->b.form, &b,
                                      j->rounded + (size_t)row * hone_bits_row_size(&p->b.form),
                                      hone_min_i64(p->chunk, p->m - row), j->bias ? j->bias + at : NULL,
                                      hone_min_i64(p->n - at, HONE_BITS_PANEL), j->y + row * p->n + at, p->n);
        }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.p = p,
             .step = step,
             .frame = frame,
             .a = hone_step_in(step, frame, A),
             .b = hone_step_in(step, frame, B),
             .scales = hone_step_in(step, frame, SCALES),
             .zeros = hone_step_in(step, frame, ZEROS),
             .bias = hone_step_in(step, frame, BIAS),
             .y = hone_step_out(step, frame, 0),
             .rounded = hone_step_scratch(step, frame)};
    hone_cut_run(&p->rows, frame, round_rows, &j);
    hone_cut_run(&p->panels, frame, multiply_panels, &j);
    return HONE_OK;
}

static hone_status pack(hone_packer *p, const hone_node *node, hone_error *err) {
    return hone_bits_pack(p, node, B, err);
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const hone_type *a = p->in[A];
    const bool integers = hone_node_int(p->node, "integers") != 0;
    *q = (params){.b = hone_bits_panels_of(p, B,
                                           integers                                  ? 1
                                           : p->precision == HONE_PRECISION_BFLOAT16 ? 2
                                                                                     : 3),
                  .kernels = hone_kernels_get(),
                  .m = hone_dims_product(a, 0, a->rank - 1),
                  .n = hone_node_int(p->node, "N")};
    const size_t row = hone_bits_row_size(&q->b.form);
    q->chunk = (int64_t)(CHUNK_BYTES / (row ? row : 1)) / HONE_BITS_ROWS * HONE_BITS_ROWS;
    if (q->chunk < LEAST_CHUNK) q->chunk = LEAST_CHUNK;
    p->scratch = (size_t)q->m * row;
    p->worker_scratch = hone_bits_panel_room(&q->b);
    const double k = (double)q->b.w.k, each = q->b.form.parts == 1 ? 0.008 : 0.015; /* of a panel's element */
    q->rows = hone_cut_make(hone_tasks(q->m, HONE_BITS_ROWS), 0.3 * HONE_BITS_ROWS * k, 1);
    q->panels = hone_cut_make(q->m ? hone_tasks(q->n, HONE_BITS_PANEL) : 0,
                              HONE_BITS_PANEL * k * (0.04 + each * (double)q->m), 1);
    p->params = q;
    p->run = run;
    p->kernel = integers ? "bits, 8 times 8" : "bits, 8 times 16";
    return HONE_OK;
}

/* For training: weights become numbers, through which nothing flows. */
static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    static const int64_t perm[] = {1, 0};
    hone_value *in[] = {n->inputs[B], n->inputs[SCALES], hone_input(n, ZEROS)};
    hone_value *w = hone_graph_emit(g, HONE_PRIVATE_DOMAIN, "UnpackBits", in, 3);
    if (w)
        for (int i = 0; i < 4; i++) {
            const char *const names[] = {"bits", "block_size", "K", "offsets"};
            hone_node_set_int(g, w->producer, names[i], hone_node_int(n, names[i]));
        }
    hone_value *y = HONE_EMIT(g, "", "MatMul", n->inputs[A], hone_emit_turned(g, w, perm, 2));
    if (hone_input(n, BIAS)) y = HONE_EMIT(g, "", "Add", y, n->inputs[BIAS]);
    hone_graph_replace(g, n->outputs[0], y);
    return HONE_OK;
}

const hone_op hone_op_bits_product = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "BitsProduct",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"A", 0, FLOAT, 0}, {"B", 0, CODES, 0}, {"scales", 0, NUMBERS, 0},
                         {"zeros", 0, NUMBERS | UINT8, OPTIONAL}, {"bias", 0, FLOAT, OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 0, FLOAT, 0}),
    .attrs = HONE_ATTRS({"bits", HONE_ATTR_INT, .i = 4}, {"block_size", HONE_ATTR_INT, .required = true},
                        {"K", HONE_ATTR_INT, .required = true}, {"offsets", HONE_ATTR_INT},
                        {"N", HONE_ATTR_INT, .required = true}, {"integers", HONE_ATTR_INT}),
    .infer = infer,
    .multiply_adds = multiply_adds,
    .pack = pack,
    .prepare = prepare,
    .expand = expand,
    .doc = "the product with weights of few bits, in blocks"};
