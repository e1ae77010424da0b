/* Convolution as a product: A holds the weights of a group, a row for each of its channels; B is made of patches of the
 * image, some columns at a time, in worker scratch:
 *
 *               columns of a block          all rows of A meet it while it is in the cache
 *              ┌─────┐
 *   image ───► │  B  │ k                    Y[image, channel, position] are rows of C
 *              └─────┘
 *       A ───► C  m
 */
#include "ops/common/walk.h"
#include "ops/engine/patches.h"
#include "ops/engine/product_inside.h"

#include <math.h>
#include <string.h>

#define BLOCK_BYTES (192 * 1024)  /* of packed B, which then stays in the second-level cache */
#define WEIGHT_BYTES (256 * 1024) /* of A, likewise, while all of the block's columns meet it */
#define STRIP 4096                /* elements of C that stay in the cache behind the kernel */
#define PATCH_BYTE 0.03           /* nanoseconds to make a byte of B */
#define DIRECT_ROWS 96            /* of A: fewer don't pay for a copy of what lies well */
#define LEAST_ROWS 96             /* of a block of C, where there is work for many tasks */

/* --- the cut --- */

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

static int64_t even(int64_t size, int64_t unit, int64_t wanted) {
    int64_t units = hone_tasks(size, unit), blocks = hone_tasks(units, clamp(wanted / unit, 1, units));
    return hone_tasks(units, blocks) * unit;
}

/* Few columns and all rows, so that each part of B is made once; rows are cut where that leaves too few tasks. */
static hone_product_blocks cut(const hone_product_params *q) {
    const hone_product *s = &q->s;
    const hone_gemm_family *f = q->family;
    hone_product_blocks c = {.rows = s->m, .columns = s->n};
    if (s->batch * s->m * s->n == 0) return c;
    double size = (double)q->b.size, depth = (double)(s->k + 1), width = (double)f->panel;
    double column = depth * ((double)s->m * f->nanoseconds + PATCH_BYTE * size);
    double all = column * (double)(s->n * s->batch), task = hone_task_nanoseconds(all);
    c.columns =
        even(s->n, f->panel, (int64_t)fmin(fmax(BLOCK_BYTES / (depth * size), 2 * width), task / column));
    if (column * fmin((double)c.columns, (double)s->n) > 2 * task && s->m > LEAST_ROWS) {
        int64_t rows = (int64_t)(task / (column * width) * (double)s->m);
        c.rows = even(s->m, f->rows, rows > LEAST_ROWS ? rows : LEAST_ROWS);
    }
    c.row_blocks = hone_tasks(s->m, c.rows);
    c.column_blocks = hone_tasks(s->n, c.columns);
    int64_t count = s->batch * c.row_blocks * c.column_blocks;
    c.cut = hone_cut_make(count, all / (double)count, 1);
    return c;
}

/* --- running --- */

static const void *image_of(const hone_product_job *j, int64_t batch) {
    const hone_product_params *p = j->p;
    return (const char *)hone_step_in(j->step, j->frame, p->s.b) +
           (size_t)(batch * p->patches.channels * p->patches.plane) * p->b.size;
}

void hone_patches_pack(hone_gemm_kind kind, const hone_windows *w, const void *x, int64_t n0, int64_t n1,
                       void *packed) {
    if (kind == HONE_GEMM_F64) {
        hone_patches_f64(w, x, n0, n1, packed, n1 - n0);
        return;
    }
    const hone_kernels *kernels = hone_kernels_get();
    const int64_t panel = kernels->gemm[kind]->panel, unit = kernels->gemm[kind]->columns;
    const int64_t k = w->channels * hone_windows_taps(w);
    for (int64_t at = n0; at < n1; at += panel) {
        int64_t end = hone_min_i64(at + panel, n1), width = hone_tasks(end - at, unit) * unit;
        kernels->patches_f32(w, x, at, end, (float *)packed + (at - n0) * k, width);
    }
}

size_t hone_patches_bytes(hone_gemm_kind kind, const hone_windows *w, int64_t columns) {
    const int64_t unit = hone_kernels_get()->gemm[kind]->columns;
    const size_t size = kind == HONE_GEMM_F64 ? sizeof(double) : sizeof(float);
    return (size_t)(w->channels * hone_windows_taps(w) * hone_tasks(columns, unit) * unit) * size;
}

#define CHANNELS 64 /* whose patches of bytes are packed at once: multiples of HONE_GEMM_PACK_ROWS rows */

/* Bytes of packed columns with their sums, and of the patches that are to be packed. */
static size_t bytes_of_columns(const hone_product_params *p, int64_t columns, size_t *at_sums,
                               size_t *at_rows) {
    int64_t rows = hone_min_i64(CHANNELS, p->patches.channels) * hone_windows_taps(&p->patches);
    *at_sums = hone_align_64(p->family->packed_size(p->s.k, columns));
    *at_rows = *at_sums + hone_align_64((size_t)columns * sizeof(int32_t));
    return *at_rows + (size_t)(rows * columns);
}

static void pack_bytes(const hone_product_job *j, const uint8_t *x, int64_t n0, int64_t n1, char *memory) {
    const hone_product_params *p = j->p;
    const hone_windows *w = &p->patches;
    const int64_t n = n1 - n0, taps = hone_windows_taps(w);
    size_t at_sums, at_rows;
    bytes_of_columns(p, n, &at_sums, &at_rows);
    uint8_t *rows = (uint8_t *)memory + at_rows;
    hone_gemm_b b = {.k = p->s.k,
                     .n = n,
                     .b_row = n,
                     .b_col = 1,
                     .flip = p->integer.b_dtype == HONE_UINT8 ? 0x80 : 0,
                     .packed = memory,
                     .column_sum = (int32_t *)(void *)(memory + at_sums)};
    memset(b.column_sum, 0, (size_t)n * sizeof(int32_t));
    for (int64_t c = 0; c < w->channels; c += CHANNELS) {
        int64_t end = hone_min_i64(c + CHANNELS, w->channels);
        hone_kernels_get()->patches_8(w, x, c, end, n0, n1, rows, n, (uint8_t)j->x_zero);
        b.b = rows - c * taps * n;
        p->family->pack(&b, c * taps, end * taps, 0, n);
    }
}

/* Columns [n0, n1) of matrix `batch` of B as the kernel wants them. */
static const void *make_columns(const hone_product_job *j, int64_t batch, int64_t n0, int64_t n1,
                                int worker) {
    const hone_product_params *p = j->p;
    const void *x = image_of(j, batch);
    if (p->form == HONE_B_DIRECT) return (const char *)x + (size_t)n0 * p->b.size;
    char *packed = (char *)hone_step_worker_scratch(j->step, j->frame, worker) + p->at_b;
    if (p->b.sums)
        pack_bytes(j, x, n0, n1, packed);
    else
        hone_patches_pack(p->s.kind, &p->patches, x, n0, n1, packed);
    return packed;
}

/* Rows [m0, m1) of columns [n0, n1) of matrix `batch` of Y, in strips where something runs over them. */
static void run_rectangle(const hone_product_job *j, int64_t batch, const void *b, int64_t m0, int64_t m1,
                          int64_t n0, int64_t n1, int worker) {
    const hone_product_params *p = j->p;
    const hone_product *s = &p->s;
    const hone_product_epilogue *e = &p->epilogue;
    int64_t group = batch % s->groups, first = batch * s->m, rows = m1 - m0, tile = p->family->rows;
    size_t y = (size_t)(first * s->n + n0) * p->y_size;
    hone_gemm g = p->gemm;
    g.n = n1 - n0;
    g.a = j->a + (size_t)(group * s->m * s->k) * p->a_size;
    g.b = b;
    if (s->kind == HONE_GEMM_F64 && p->form == HONE_B_PATCHES) g.b_row = g.n;
    g.c = j->y + y;
    if (p->b.sums) {
        size_t at_sums, at_rows;
        bytes_of_columns(p, g.n, &at_sums, &at_rows);
        hone_product_rows_epilogue(j, group * s->m, (const void *)((const char *)b + at_sums), &g.epilogue);
    } else if (j->bias)
        g.epilogue.row_bias = (const char *)j->bias + (size_t)(group * s->m) * p->y_size;
    if (j->residual) g.epilogue.residual = j->residual + y;
    rows = clamp(WEIGHT_BYTES / (s->k * (int64_t)p->a_size + 1) / tile, 1, hone_tasks(rows, tile)) * tile;
    if (e->addend || e->map) rows = clamp(STRIP / g.n / tile, 1, rows / tile) * tile;
    for (int64_t i = m0, end; i < m1; i = end) {
        end = hone_min_i64(i + rows, m1);
        if (e->addend) hone_product_addend_run(j, first + i, first + end, n0, n1, worker);
        p->family->run(&g, i, end, 0, g.n);
        if (e->map) hone_product_map_run(j, first + i, first + end, n0, n1, worker);
    }
}

/* Blocks [begin, end), image by image, column by column: those of the same columns share their B. */
void hone_product_patches_run(void *arg, int64_t begin, int64_t end, int worker) {
    const hone_product_job *j = arg;
    const hone_product_params *p = j->p;
    const hone_product_blocks *b = &p->blocks;
    for (int64_t at = begin, count; at < end; at += count) {
        int64_t row = at % b->row_blocks, column = at / b->row_blocks % b->column_blocks;
        int64_t batch = at / b->row_blocks / b->column_blocks;
        count = hone_min_i64(b->row_blocks - row, end - at);
        int64_t n0 = column * b->columns, n1 = hone_min_i64(n0 + b->columns, p->s.n);
        run_rectangle(j, batch, make_columns(j, batch, n0, n1, worker), row * b->rows,
                      hone_min_i64((row + count) * b->rows, p->s.m), n0, n1, worker);
    }
}

/* --- preparing --- */

/* Are the patches the image as it lies? */
static bool is_image(const hone_windows *p) {
    bool same = hone_windows_taps(p) == 1;
    for (int i = 0; i < 3; i++) same &= p->stride[i] == 1 && p->pad[i] == 0 && p->in[i] == p->out[i];
    return same;
}

void hone_product_patches_choose(hone_product_params *q) {
    const hone_product *s = &q->s;
    q->patches = *s->patches;
    q->s.patches = &q->patches;
    q->b = (hone_product_b){.kind = s->kind,
                            .family = hone_kernels_get()->gemm[s->kind],
                            .k = s->k,
                            .n = s->n,
                            .size = s->kind == HONE_GEMM_F64    ? sizeof(double)
                                    : s->kind == HONE_GEMM_U8S8 ? 1
                                                                : sizeof(float),
                            .sums = s->kind == HONE_GEMM_U8S8};
    q->family = q->b.family;
    if (!is_image(&q->patches) && hone_product_direct_pays(s) && !hone_direct_is_wide(&q->patches)) {
        hone_product_direct_choose(q);
        return;
    }
    q->form =
        q->family->direct && is_image(&q->patches) && s->m < DIRECT_ROWS ? HONE_B_DIRECT : HONE_B_PATCHES;
    q->blocks = cut(q);
    size_t at_sums, at_rows;
    q->b.packed = q->b.sums ? bytes_of_columns(q, q->blocks.columns, &at_sums, &at_rows)
                            : hone_patches_bytes(s->kind, &q->patches, q->blocks.columns);
}
