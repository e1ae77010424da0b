/* Weights of 2, 4 or 8 bits in blocks that have a scale and a zero point each, as com.microsoft packs them into uint8: the
 * product with their rows, and the rows as numbers.
 *
 *   BitsProduct(A [..., K], B [N, bytes], scales [N, blocks], zeros?, bias [N]?) → Y [..., N]
 *   UnpackBits(B [..., bytes], scales [..., blocks], zeros?) → Y [..., K]
 *
 * zeros is float32 like scales, or uint8 packed like B, each row from a byte of its own; left out: 2^(bits - 1). With offsets = 1
 * it is what is added to code times scale instead, float32; left out: 0. B may be int8 of 8 bits, whose zero point is 0 if left out.
 * integers = 1: A may be rounded to 8 bits in the same blocks (nbits_integer.c). */
#include "ops/quant/nbits.h"
#include "base/bits.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/emit.h"
#include "ops/common/walk.h"

#include <math.h>
#include <string.h>

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define UINT8 HONE_TYPE(HONE_UINT8)
#define CODES (UINT8 | HONE_TYPE(HONE_INT8))
#define OPTIONAL HONE_SLOT_OPTIONAL
#define LONGEST ((int64_t)1 << 56) /* of rows: their bits can be counted */

/* --- what both know of the weights --- */

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

/* Rows of weights, of scales and of zero points belong together: how many there are of each. */
static hone_status check_rows(const hone_infer *ctx, int at, int64_t rows, hone_error *err) {
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

static hone_bits_weights weights_of(const hone_prepare *p, int at) {
    const hone_type *zeros = at + 2 < p->in_count ? p->in[at + 2] : NULL;
    hone_bits_weights w = {.shape = {.block = (int)hone_node_int(p->node, "block_size"),
                                     .bits = (int)hone_node_int(p->node, "bits"),
                                     .is_signed = p->in[at]->dtype == HONE_INT8,
                                     .offsets = hone_node_int(p->node, "offsets") != 0},
                           .k = hone_node_int(p->node, "K"),
                           .has_zeros = zeros != NULL,
                           .packed_zeros = zeros && zeros->dtype == HONE_UINT8};
    w.shape.blocks = hone_tasks(w.k, w.shape.block);
    w.row = w.shape.blocks * w.shape.block * w.shape.bits / 8;
    w.zero_row = hone_tasks(w.shape.blocks * w.shape.bits, 8);
    return w;
}

/* The zero points of a row. */
static const float *zeros_of(const hone_bits_weights *w, const void *zeros, int64_t row, float *room) {
    if (w->has_zeros && !w->packed_zeros) return (const float *)zeros + row * w->shape.blocks;
    const uint8_t *packed = (const uint8_t *)zeros + row * w->zero_row;
    const int64_t blocks = w->shape.blocks;
    const int bits = w->shape.bits;
    if (!w->has_zeros)
        for (int64_t i = 0; i < blocks; i++)
            room[i] = w->shape.is_signed || w->shape.offsets ? 0 : (float)(1 << (bits - 1));
    else if (bits == 8)
        for (int64_t i = 0; i < blocks; i++) room[i] = packed[i];
    else if (bits == 4)
        for (int64_t i = 0; i < blocks; i += 2) {
            room[i] = (float)(packed[i / 2] & 15);
            if (i + 1 < blocks) room[i + 1] = (float)(packed[i / 2] >> 4);
        }
    else
        for (int64_t i = 0; i < blocks; i++) room[i] = (float)hone_bits_get(packed, i, bits);
    return room;
}

/* --- BitsProduct --- */

enum { A = HONE_BITS_A, B, SCALES, ZEROS, BIAS };

static hone_status infer_product(hone_infer *ctx, hone_error *err) {
    const hone_type *a = ctx->in[A], *bias = ctx->input_count > BIAS ? ctx->in[BIAS] : NULL;
    int64_t d, n = hone_node_int(ctx->node, "N");
    HONE_TRY(hone_bits_check(ctx, err));
    HONE_TRY(check_rows(ctx, B, n, err));
    if (bias && bias->rank >= 0 && (bias->rank != 1 || (bias->dims[0] >= 0 && bias->dims[0] != n)))
        return hone_infer_fail(ctx, err, "the bias must have %lld elements", (long long)n);
    HONE_TRY(hone_infer_same(ctx, err));
    if (a->rank < 0) return HONE_OK;
    if (a->rank == 0) return hone_infer_fail(ctx, err, "A must have rows");
    HONE_TRY(hone_infer_same_dim(ctx, a->dims[a->rank - 1], hone_node_int(ctx->node, "K"), &d, err));
    ctx->out[0].dims[a->rank - 1] = n;
    return HONE_OK;
}

static int64_t multiply_adds_product(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)in;
    return hone_type_count(out) * hone_node_int(n, "K");
}

#define FEW_ROWS 12 /* up to which weights of 4 and 8 bits are multiplied as they lie */
#define CHUNK 256   /* elements of K that are unpacked at a time */

typedef struct params {
    hone_bits_weights w;
    const hone_kernels *kernels;
    const hone_gemm_family *family;
    int64_t m, n;
    bool few;
    size_t at_raw, at_zeros; /* in worker scratch, behind a packed panel */
    hone_cut tasks, rows;    /* of columns or panels; of A to lay out */
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const float *a, *scales, *bias;
    const uint8_t *b;
    const void *zeros;
    float *y, *split; /* A as the kernel takes it */
} job;

static void split_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const hone_bits_weights *w = &j->p->w;
    const int64_t width = w->shape.blocks * w->shape.block;
    for (int64_t i = begin; i < end; i++) {
        float *to = j->split + i * width;
        if (w->shape.bits == 4) {
            hone_nbits_split(&w->shape, j->a + i * w->k, w->k, to);
        } else {
            memcpy(to, j->a + i * w->k, (size_t)w->k * sizeof *to);
            memset(to + w->k, 0, (size_t)(width - w->k) * sizeof *to);
        }
    }
}

static void multiply_columns(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const hone_bits_weights *w = &p->w;
    const int64_t blocks = w->shape.blocks;
    float *room = hone_step_worker_scratch(j->step, j->frame, worker), *offset = room + blocks;
    void (*multiply)(const hone_nbits *, const uint8_t *, const float *, const float *, const float *,
                     int64_t, float *, int64_t) =
        w->shape.bits == 4 ? p->kernels->bits4_rows_f32 : p->kernels->bits8_rows_f32;
    for (int64_t c = begin; c < end; c++) {
        const float *scale = j->scales + c * blocks, *zero = zeros_of(w, j->zeros, c, room);
        for (int64_t i = 0; i < blocks && !w->shape.offsets; i++) offset[i] = -scale[i] * zero[i];
        multiply(&w->shape, j->b + c * w->row, scale, w->shape.offsets ? zero : offset, j->split, p->m,
                 j->y + c, p->n);
        for (int64_t i = 0; i < p->m && j->bias; i++) j->y[i * p->n + c] += j->bias[c];
    }
}

/* Columns [n0, n1) of the weights as a packed panel. */
static void pack_panel(const job *j, int64_t n0, int64_t n1, char *memory) {
    const params *p = j->p;
    const hone_bits_weights *w = &p->w;
    float *raw = (float *)(void *)(memory + p->at_raw), *room = (float *)(void *)(memory + p->at_zeros);
    for (int64_t l = 0; l < w->k; l += CHUNK) {
        const int64_t end = hone_min_i64(l + CHUNK, w->k);
        for (int64_t c = n0; c < n1; c++)
            hone_nbits_unpack(&w->shape, j->b + c * w->row, j->scales + c * w->shape.blocks,
                              zeros_of(w, j->zeros, c, room), l, end, raw + (c - n0) * CHUNK);
        const hone_gemm_b b = {
            .k = w->k, .n = n1 - n0, .b = raw - l, .b_row = 1, .b_col = CHUNK, .packed = memory};
        p->family->pack(&b, l, end, 0, n1 - n0);
    }
}

static void multiply_panels(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    char *memory = hone_step_worker_scratch(j->step, j->frame, worker);
    for (int64_t i = begin; i < end; i++) {
        const int64_t n0 = i * p->family->panel, n1 = hone_min_i64(n0 + p->family->panel, p->n);
        pack_panel(j, n0, n1, memory);
        const hone_gemm g = {.m = p->m,
                             .n = n1 - n0,
                             .k = p->w.k,
                             .a = j->a,
                             .a_row = p->w.k,
                             .a_col = 1,
                             .b = memory,
                             .b_col = 1,
                             .c = j->y + n0,
                             .c_row = p->n,
                             .epilogue = {.store = HONE_STORE_F32,
                                          .alpha = 1,
                                          .bias = j->bias ? j->bias + n0 : NULL,
                                          .lo = -INFINITY,
                                          .hi = INFINITY}};
        p->family->run(&g, 0, p->m, 0, n1 - n0);
    }
}

static hone_status run_product(const hone_step *step, hone_frame *frame, hone_error *err) {
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
             .y = hone_step_out(step, frame, 0)};
    if (p->few) {
        j.split = hone_step_scratch(step, frame);
        hone_cut_run(&p->rows, frame, split_rows, &j);
    }
    hone_cut_run(&p->tasks, frame, p->few ? multiply_columns : multiply_panels, &j);
    return HONE_OK;
}

/* Integers only where the file asks for them and all that they need is packed. */
static hone_status pack_product(hone_packer *p, const hone_node *node, hone_error *err) {
    return hone_node_int(node, "integers") ? hone_bits_integer_pack(p, node, err) : HONE_OK;
}

static hone_status prepare_product(hone_prepare *p, hone_error *err) {
    if (hone_node_int(p->node, "integers") && hone_bits_integer_prepared(p)) {
        const hone_bits_weights w = weights_of(p, B);
        return hone_bits_integer_prepare(p, &w, err);
    }
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const hone_type *a = p->in[A];
    *q = (params){.w = weights_of(p, B), .kernels = hone_kernels_get(), .n = hone_node_int(p->node, "N")};
    q->family = q->kernels->gemm[HONE_GEMM_F32];
    q->m = hone_dims_product(a, 0, a->rank - 1);
    q->few = q->w.shape.bits != 2 && q->m <= FEW_ROWS;
    const size_t line = (size_t)q->w.shape.blocks * sizeof(float), panel = (size_t)q->family->panel;
    if (q->few) {
        p->scratch = (size_t)(q->m * q->w.shape.blocks * q->w.shape.block) * sizeof(float);
        p->worker_scratch = 2 * line + 64;
        q->rows = hone_cut_make(q->m, (double)q->w.k, 1);
        q->tasks = hone_cut_make(q->m ? q->n : 0, 0.1 * (double)(q->w.k * q->m), 1);
    } else {
        q->at_raw = (q->family->packed_size(q->w.k, q->family->panel) + 63) & ~(size_t)63;
        q->at_zeros = q->at_raw + panel * CHUNK * sizeof(float);
        p->worker_scratch = q->at_zeros + line + 64;
        double column = (double)q->w.k * (2 + q->family->nanoseconds * (double)q->m);
        q->tasks = hone_cut_make(q->m ? hone_tasks(q->n, q->family->panel) : 0, column * (double)panel, 1);
    }
    p->params = q;
    p->run = run_product;
    p->kernel = q->few ? "bits, few rows" : "bits";
    return HONE_OK;
}

/* For training: weights become numbers, through which nothing flows. */
static hone_status expand_product(hone_graph *g, hone_node *n, hone_error *err) {
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

#define BLOCKS                                                                                               \
    {"bits", HONE_ATTR_INT, .i = 4}, {"block_size", HONE_ATTR_INT, .required = true},                        \
        {"K", HONE_ATTR_INT, .required = true}, {                                                            \
        "offsets", HONE_ATTR_INT                                                                             \
    }

const hone_op hone_op_bits_product = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "BitsProduct",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"A", 0, FLOAT, 0}, {"B", 0, CODES, 0}, {"scales", 0, FLOAT, 0},
                         {"zeros", 0, FLOAT | UINT8, OPTIONAL}, {"bias", 0, FLOAT, OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 0, FLOAT, 0}),
    .attrs = HONE_ATTRS(BLOCKS, {"N", HONE_ATTR_INT, .required = true}, {"integers", HONE_ATTR_INT}),
    .infer = infer_product,
    .multiply_adds = multiply_adds_product,
    .pack = pack_product,
    .prepare = prepare_product,
    .expand = expand_product,
    .doc = "the product with weights of few bits, in blocks"};

/* --- UnpackBits --- */

/* A row of scales, and of zero points if there are any, for each row of codes. */
static hone_status infer_unpack(hone_infer *ctx, hone_error *err) {
    const hone_type *b = ctx->in[0];
    hone_type *y = &ctx->out[0];
    HONE_TRY(hone_bits_check(ctx, err));
    HONE_TRY(check_rows(ctx, 0, -1, err));
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

typedef struct unpack_params {
    hone_bits_weights w;
    hone_cut rows;
} unpack_params;

static void unpack_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const hone_bits_weights *w = &((const unpack_params *)j->step->params)->w;
    float *room = hone_step_worker_scratch(j->step, j->frame, worker);
    for (int64_t i = begin; i < end; i++)
        hone_nbits_unpack(&w->shape, j->b + i * w->row, j->scales + i * w->shape.blocks,
                          zeros_of(w, j->zeros, i, room), 0, w->k, j->y + i * w->k);
}

static hone_status run_unpack(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const unpack_params *p = step->params;
    job j = {.step = step,
             .frame = frame,
             .b = hone_step_in(step, frame, 0),
             .scales = hone_step_in(step, frame, 1),
             .zeros = hone_step_in(step, frame, 2),
             .y = hone_step_out(step, frame, 0)};
    hone_cut_run(&p->rows, frame, unpack_rows, &j);
    return HONE_OK;
}

static hone_status prepare_unpack(hone_prepare *p, hone_error *err) {
    unpack_params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    q->w = weights_of(p, 0);
    q->rows = hone_cut_make(hone_dims_product(p->in[0], 0, p->in[0]->rank - 1), 1.5 * (double)q->w.k, 1);
    p->worker_scratch = (size_t)q->w.shape.blocks * sizeof(float) + 64;
    p->params = q;
    p->run = run_unpack;
    p->kernel = "unpack bits";
    return HONE_OK;
}

const hone_op hone_op_unpack_bits = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "UnpackBits",
    .since = 1,
    .oldest = 1,
    .role = HONE_ROLE_DEQUANTIZE, /* folding must not make it large */
    .inputs = HONE_SLOTS({"B", 0, CODES, 0}, {"scales", 0, FLOAT, 0}, {"zeros", 0, FLOAT | UINT8, OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 0, FLOAT, 0}),
    .attrs = HONE_ATTRS(BLOCKS),
    .infer = infer_unpack,
    .prepare = prepare_unpack,
    .doc = "weights of few bits, in blocks, as numbers"};
