#include "ops/engine/conv_weights.h"

#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"
#include "ops/engine/patches.h"
#include "ops/engine/product_b.h"

#include <math.h>
#include <string.h>

#define COLUMNS 192    /* of dW in a block, about */
#define POSITIONS 256  /* whose patches are made at once, at most, ... */
#define ROOM 65536     /* ... if their elements are no more than so many */
#define TASKS 24       /* from so many on images are not cut */
#define PATCH_BYTE 0.1 /* nanoseconds to make one, and to turn it */

typedef struct params {
    hone_conv_weights c;
    hone_gemm_kind kind;
    const hone_gemm_family *family;
    size_t size;
    int64_t positions, taps, k;
    int64_t channels, blocks; /* of a block of columns; how many in a group */
    int64_t rows, row_blocks; /* of dY */
    int64_t images,
        parts;        /* images of a part; each part has a sum of its own, in scratch, if there are several */
    int64_t step;     /* positions at once */
    size_t at_packed; /* in worker scratch, behind patches */
    hone_cut cut, sum;
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const char *dy, *x;
    char *dw; /* of the first part */
} job;

/* Patches of `n` positions from `first` on, for some channels, as the B of the product. */
static const void *turned(const params *p, const char *x, int64_t channels, int64_t first, int64_t n,
                          char *memory) {
    hone_windows w = p->c.w;
    const int64_t columns = channels * p->taps;
    w.channels = channels;
    if (p->kind == HONE_GEMM_F64) {
        hone_patches_f64(&w, (const void *)x, first, first + n, (void *)memory, n);
        return memory;
    }
    hone_kernels_get()->patches_f32(&w, (const void *)x, first, first + n, (void *)memory, n);
    hone_gemm_b b = {
        .k = n, .n = columns, .b = memory, .b_row = 1, .b_col = n, .packed = memory + p->at_packed};
    p->family->pack(&b, 0, n, 0, columns);
    return b.packed;
}

/* Adds one image's part to rows [m0, m1) of the block of channels from `channel` on; `begin`: sets it. */
static void add_image(const job *j, int64_t image, int64_t group, int64_t channel, int64_t m0, int64_t m1,
                      char *dw, bool begin, char *memory) {
    const params *p = j->p;
    const hone_windows *w = &p->c.w;
    const int64_t channels = hone_min_i64(p->channels, w->channels - channel), columns = channels * p->taps;
    const char *dy = j->dy + (size_t)((image * p->c.groups + group) * p->c.outputs * p->positions) * p->size,
               *x = j->x +
                    (size_t)(((image * p->c.groups + group) * w->channels + channel) * w->plane) * p->size;
    char *c = dw + (size_t)(group * p->c.outputs * p->k + channel * p->taps) * p->size;
    for (int64_t at = 0, n; at < p->positions; at += n, begin = false) {
        n = hone_min_i64(p->step, p->positions - at);
        const bool wide = p->kind == HONE_GEMM_F64;
        hone_gemm g = {.m = p->c.outputs,
                       .n = columns,
                       .k = n,
                       .a = dy + (size_t)at * p->size,
                       .a_row = p->positions,
                       .a_col = 1,
                       .b = turned(p, x, channels, at, n, memory),
                       .b_row = wide ? 1 : 0,
                       .b_col = wide ? n : 1,
                       .c = c,
                       .c_row = p->k,
                       .epilogue = {.store = wide ? HONE_STORE_F64 : HONE_STORE_F32,
                                    .alpha = 1,
                                    .residual = begin ? NULL : c,
                                    .residual_row = p->k,
                                    .lo = -INFINITY,
                                    .hi = INFINITY}};
        p->family->run(&g, m0, m1, 0, columns);
    }
}

/* Items: part, group, block of channels, block of rows. */
static void run_items(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    char *memory = hone_step_worker_scratch(j->step, j->frame, worker);
    for (int64_t i = begin; i < end; i++) {
        int64_t row = i % p->row_blocks * p->rows, rest = i / p->row_blocks;
        int64_t channel = rest % p->blocks * p->channels, group = rest / p->blocks % p->c.groups,
                part = rest / p->blocks / p->c.groups, first = part * p->images;
        char *dw = j->dw + (size_t)(part * p->c.groups * p->c.outputs * p->k) * p->size;
        for (int64_t image = first; image < hone_min_i64(first + p->images, p->c.batch); image++)
            add_image(j, image, group, channel, row, hone_min_i64(row + p->rows, p->c.outputs), dw,
                      image == first, memory);
    }
}

static void sum_parts(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const bool wide = p->kind == HONE_GEMM_F64;
    const hone_folding *sum =
        wide ? hone_folding_of(HONE_FLOAT64, HONE_FOLD_SUM) : &hone_kernels_get()->fold_f32[HONE_FOLD_SUM];
    char *y = (char *)hone_step_out(j->step, j->frame, 0) + (size_t)begin * p->size;
    sum->rows(j->dw + (size_t)begin * p->size, p->parts, end - begin, p->sum.count, y, false);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p,
             step,
             frame,
             hone_step_in(step, frame, p->c.dy),
             hone_step_in(step, frame, p->c.x),
             hone_step_out(step, frame, 0)};
    if (p->cut.count == 0) {
        memset(j.dw, 0, (size_t)p->sum.count * p->size);
        return HONE_OK;
    }
    if (p->parts > 1) j.dw = hone_step_scratch(step, frame);
    hone_cut_run(&p->cut, frame, run_items, &j);
    if (p->parts > 1) hone_cut_run(&p->sum, frame, sum_parts, &j);
    return HONE_OK;
}

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

/* Blocks of columns and rows; images are cut, too, where that makes few tasks. */
static void cut(params *q) {
    const hone_conv_weights *c = &q->c;
    int64_t m = c->outputs, tile = q->family->rows;
    double work = (double)(c->groups * c->batch * q->k) * (double)q->positions *
                  ((double)m * q->family->nanoseconds + PATCH_BYTE * (double)q->size);
    q->channels = clamp(COLUMNS / q->taps, 1, c->w.channels);
    q->blocks = hone_tasks(c->w.channels, q->channels);
    q->rows = hone_tasks(clamp(m, 1, 256), tile) * tile;
    q->row_blocks = hone_tasks(m, q->rows);
    int64_t tasks = c->groups * q->blocks * q->row_blocks, parts = clamp(TASKS / tasks, 1, c->batch);
    if (work < HONE_PARALLEL_NANOSECONDS) parts = 1;
    q->images = hone_tasks(c->batch, parts);
    q->parts = hone_tasks(c->batch, q->images);
    q->cut = hone_cut_make(tasks * q->parts, work / (double)(tasks * q->parts), 1);
}

hone_status hone_conv_weights_prepare(hone_prepare *p, const hone_conv_weights *c, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    q->c = *c;
    q->kind = p->out[0].dtype == HONE_FLOAT64 ? HONE_GEMM_F64 : HONE_GEMM_F32;
    q->family = hone_kernels_get()->gemm[q->kind];
    q->size = hone_dtype_size(p->out[0].dtype);
    q->positions = hone_windows_positions(&c->w);
    q->taps = hone_windows_taps(&c->w);
    q->k = c->w.channels * q->taps;
    p->params = q;
    p->run = run;
    p->kernel = "products of patches";
    const int64_t weights = c->groups * c->outputs * q->k;
    q->sum = hone_cut_make(weights, 1, 64);
    if (weights == 0 || q->positions == 0 || c->batch == 0) return HONE_OK;
    cut(q);
    const int64_t columns = q->channels * q->taps;
    q->step = clamp(ROOM / columns, 16, POSITIONS);
    q->at_packed = hone_align_64((size_t)(columns * q->step) * q->size);
    p->worker_scratch = q->at_packed;
    if (q->kind == HONE_GEMM_F32) p->worker_scratch += q->family->packed_size(q->step, columns);
    if (q->parts > 1) p->scratch = (size_t)(weights * q->parts) * q->size;
    return HONE_OK;
}
