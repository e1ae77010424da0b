/* Winograd's convolution (kernels/image.h), some tiles at a time, so that all three steps find in the
 * second-level cache what the one before has left:
 *
 *   image ──► V [matrix][tile, C] ──► products with U [matrix][C, M] ──► P [matrix][tile, M] ──► Y */
#include "base/team.h"
#include "ops/common/walk.h"
#include "ops/engine/product_inside.h"

#include <string.h>

#define ROOM_BYTES (768 * 1024) /* of V and P, about */
#define LEAST_TILES 16          /* over which a matrix of U is spread, at least */
#define MOST_TILES 96
#define MOST_PANEL 64 /* columns, of any family */
#define LINE 16       /* floats: matrices are no power of two apart, or they would collide in the cache */

static int64_t matrix_of(int64_t tiles, int64_t channels) {
    return (tiles * channels + LINE - 1) / LINE * LINE + LINE;
}

/* Some tiles, counted over all images, and where V and P are. */
typedef struct block {
    int64_t tiles; /* of an image */
    int64_t first, end;
    hone_winograd in, out;
    float *zeros, *v, *m;
} block;

static block block_of(const hone_product_job *j, int64_t i, int worker) {
    const hone_product_params *p = j->p;
    const hone_product_windows *q = &p->windows;
    const hone_product *s = &p->s;
    const hone_product_blocks *b = &p->blocks;
    const int64_t tiles = q->winograd.across * hone_tasks(q->winograd.out[0], q->winograd.size);
    block t = {.tiles = tiles,
               .first = i * b->rows,
               .in = q->winograd,
               .out = q->winograd,
               .zeros =
                   (float *)(void *)((char *)hone_step_worker_scratch(j->step, j->frame, worker) + q->at)};
    t.end = hone_min_i64(t.first + b->rows, tiles * s->batch);
    t.in.channels = s->k;
    t.in.matrix = matrix_of(t.end - t.first, s->k);
    t.out.channels = s->n;
    t.out.matrix = matrix_of(t.end - t.first, s->n);
    t.v = t.zeros + matrix_of(1, s->k);
    t.m = t.v + hone_winograd_matrices(s->winograd) * t.in.matrix;
    return t;
}

/* Tiles [first, end) of the block: to V. */
static void make_tiles(const hone_product_job *j, const block *t, int64_t first, int64_t end) {
    const hone_product *s = &j->p->s;
    for (int64_t at = first, stop; at < end; at = stop) {
        const int64_t image = at / t->tiles, begin = image * t->tiles;
        stop = hone_min_i64(begin + t->tiles, end);
        hone_kernels_get()->winograd_input_f32(
            &t->in, (const float *)(const void *)j->a + image * s->k * j->p->windows.w.plane, t->zeros,
            at - begin, stop - begin, t->v + (at - t->first) * s->k);
    }
}

/* The weights: packed once a model, or for this run. */
static const char *packed_of(const hone_product_job *j) {
    return j->p->packed ? j->p->packed : (const char *)hone_step_scratch(j->step, j->frame) + j->p->at_b;
}

/* Matrices [first, end) of V, of all tiles: to P. */
static void multiply(const hone_product_job *j, const block *t, int64_t first, int64_t end, int worker) {
    const hone_product_params *p = j->p;
    const hone_product *s = &p->s;
    hone_gemm g = {
        .m = t->end - t->first,
        .n = s->n,
        .k = s->k,
        .a_row = s->k,
        .a_col = 1,
        .b_row = 0,
        .b_col = 1,
        .c_row = s->n,
        .room = hone_product_room(j, worker),
        .epilogue = {.store = HONE_STORE_F32, .alpha = 1, .lo = -__builtin_inf(), .hi = __builtin_inf()}};
    for (int64_t i = first; i < end; i++) {
        g.a = t->v + i * t->in.matrix;
        g.b = packed_of(j) + (size_t)i * p->b.packed;
        g.c = t->m + i * t->out.matrix;
        p->family->run(&g, 0, g.m, 0, g.n);
    }
}

/* What stands behind the sums, over the positions of those tiles: of whole lines of tiles, or of a part of
 * one. */
static void run_map(const hone_product_job *j, int64_t batch, int64_t first, int64_t end, int worker) {
    const hone_product_params *p = j->p;
    const hone_winograd *w = &p->windows.winograd;
    const int64_t size = w->size, begin = batch * p->s.m;
    for (int64_t at = first; at < end;) {
        const int64_t line = at / w->across, stop = hone_min_i64(end, (line + 1) * w->across);
        const int64_t left = at % w->across * size,
                      right = hone_min_i64((stop - line * w->across) * size, w->out[1]);
        for (int64_t h = line * size; h < hone_min_i64((line + 1) * size, w->out[0]); h++) {
            const int64_t row = begin + h * w->out[1];
            hone_product_map_run(j, row + left, row + right, 0, p->s.n, worker);
        }
        at = stop;
    }
}

/* P's tiles [first, end) of the block: to Y. */
static void give_tiles(const hone_product_job *j, const block *t, int64_t first, int64_t end, int worker) {
    const hone_product_params *p = j->p;
    hone_winograd out = t->out;
    out.epilogue = p->gemm.epilogue;
    out.epilogue.bias = j->bias;
    for (int64_t at = first, stop; at < end; at = stop) {
        const int64_t image = at / t->tiles, begin = image * t->tiles, y = image * p->s.m * p->s.n;
        stop = hone_min_i64(begin + t->tiles, end);
        if (j->residual) out.epilogue.residual = (const float *)(const void *)j->residual + y;
        hone_kernels_get()->winograd_output_f32(&out, t->m + (at - t->first) * p->s.n, at - begin,
                                                stop - begin, (float *)(void *)j->y + y);
        if (p->epilogue.map) run_map(j, image, at - begin, stop - begin, worker);
    }
}

static void run_blocks(void *arg, int64_t begin, int64_t end, int worker) {
    const hone_product_job *j = arg;
    for (int64_t i = begin; i < end; i++) {
        const block t = block_of(j, i, worker);
        memset(t.zeros, 0, (size_t)j->p->s.k * sizeof *t.zeros);
        make_tiles(j, &t, t.first, t.end);
        multiply(j, &t, 0, hone_winograd_matrices(j->p->s.winograd), worker);
        give_tiles(j, &t, t.first, t.end, worker);
    }
}

/* Few blocks for the threads there are: these share each one, and each reads the weights of its own matrices only. */
static void run_part(void *arg, int64_t step, int part, int worker) {
    const hone_product_job *j = arg;
    const int64_t parts = j->parts, matrices = hone_winograd_matrices(j->p->s.winograd);
    const block t = block_of(j, step / 3, 0);
    const int64_t tiles = t.end - t.first, first = t.first + tiles * part / parts,
                  end = t.first + tiles * (part + 1) / parts;
    switch (step % 3) {
    case 0: make_tiles(j, &t, first, end); break;
    case 1: multiply(j, &t, matrices * part / parts, matrices * (part + 1) / parts, worker); break;
    default: give_tiles(j, &t, first, end, worker);
    }
}

/* --- weights --- */

typedef struct packing {
    hone_product_b b; /* of one matrix */
    int size;
    int64_t step; /* columns of a part */
} packing;

static void pack_part(const void *source, const void *arg, int64_t part, void *out) {
    const packing *a = arg;
    const hone_product_b *b = &a->b;
    const int n = a->size + 2;
    const int64_t rows = HONE_GEMM_PACK_ROWS;
    float w[9 * HONE_GEMM_PACK_ROWS * MOST_PANEL];       /* [9][rows, columns] */
    float u[(4 + 2) * HONE_GEMM_PACK_ROWS * MOST_PANEL]; /* of a line of matrices, likewise */
    const int64_t first = part * a->step, end = hone_min_i64(first + a->step, b->n), panel = b->family->panel;
    for (int64_t at = first, columns; at < end; at += columns) {
        columns = hone_min_i64(panel, end - at);
        for (int64_t l = 0, count; l < b->k; l += count) {
            count = hone_min_i64(rows, b->k - l);
            const float *from = (const float *)source + at * 9 * b->k + l;
            for (int t = 0; t < 9; t++)
                hone_kernels_get()->transpose_32((const void *)(from + t * b->k), columns, count, 9 * b->k,
                                                 (void *)(w + t * count * columns), columns);
            for (int i = 0; i < n * n; i++) {
                if (i % n == 0)
                    hone_kernels_get()->winograd_line_f32(a->size, i / n, w, count * columns, count * columns,
                                                          u, count * columns);
                const float *made = u + i % n * count * columns;
                hone_gemm_b matrix = {
                    .k = b->k,
                    .n = b->n,
                    .b = (const void *)((uintptr_t)made - (uintptr_t)(l * columns + at) * sizeof *u),
                    .b_row = columns,
                    .b_col = 1,
                    .packed = (char *)out + (size_t)i * b->packed};
                b->family->pack(&matrix, l, l + count, at, at + columns);
            }
        }
    }
}

/* The same at each run, panels [begin, end): of weights [n, 9, k], or [k, 9, n] turned. */
static void pack_now(void *arg, int64_t begin, int64_t end, int worker) {
    const hone_product_job *j = arg;
    const hone_product_params *p = j->p;
    const hone_product_b *b = &p->b;
    const int size = p->s.winograd, matrices = hone_winograd_matrices(size);
    const int64_t panel = p->family->panel, rows = HONE_GEMM_PACK_ROWS, matrix = rows * panel;
    const float *w = hone_step_in(j->step, j->frame, p->s.b);
    float *u = (float *)(void *)((char *)hone_step_worker_scratch(j->step, j->frame, worker) + p->windows.at);
    char *out = (char *)hone_step_scratch(j->step, j->frame) + p->at_b;
    for (int64_t at = begin * panel, columns; at < hone_min_i64(end * panel, b->n); at += columns) {
        columns = hone_min_i64(panel, b->n - at);
        for (int64_t l = 0, count; l < b->k; l += count) {
            count = hone_min_i64(rows, b->k - l);
            for (int64_t i = 0; i < (p->s.turned ? count : columns); i++)
                if (p->s.turned)
                    hone_kernels_get()->winograd_weights_f32(size, w + ((l + i) * 9 + 8) * b->n + at, -b->n,
                                                             columns, u + i * columns, matrix);
                else
                    hone_kernels_get()->winograd_weights_f32(size, w + (at + i) * 9 * b->k + l, b->k, count,
                                                             u + i * rows, matrix);
            for (int i = 0; i < matrices; i++) {
                hone_gemm_b source = {.k = b->k,
                                      .n = b->n,
                                      .b_row = p->s.turned ? columns : 1,
                                      .b_col = p->s.turned ? 1 : rows,
                                      .packed = out + (size_t)i * b->packed};
                const int64_t before = l * source.b_row + at * source.b_col;
                source.b = (const void *)((uintptr_t)(u + i * matrix) - (uintptr_t)before * sizeof *u);
                b->family->pack(&source, l, l + count, at, at + columns);
            }
        }
    }
}

static packing packing_of(const hone_type *w, int size) {
    const hone_type matrix = {
        .kind = HONE_KIND_TENSOR, .dtype = HONE_FLOAT32, .rank = 2, .dims = {w->dims[1] / 9, w->dims[0]}};
    return (packing){.b = hone_product_b_make(HONE_GEMM_F32, &matrix, false), .size = size};
}

static const char *format_of(int size) {
    return size == 2 ? "winograd 2" : "winograd 4";
}

hone_status hone_product_pack_winograd(hone_packer *p, const hone_node *node, int input, int size,
                                       hone_error *err) {
    const hone_type *w = &node->inputs[input]->type;
    packing a = packing_of(w, size);
    const size_t row = (size_t)w->dims[1] * sizeof(float);
    if (a.b.family->panel > MOST_PANEL) return HONE_OK;
    a.step = hone_pack_rows(row, a.b.family->panel);
    hone_packing form = {.format = format_of(size),
                         .bytes = a.b.packed * (size_t)hone_winograd_matrices(size),
                         .part_bytes = row * (size_t)a.step,
                         .pack = pack_part,
                         .arg = &a,
                         .arg_size = sizeof a};
    return hone_pack_constant(p, input, &form, err);
}

bool hone_product_winograd_find(const hone_prepare *p, hone_product_params *q) {
    hone_product *s = &q->s;
    hone_type w = *p->in[s->b];
    q->packed = s->turned ? NULL : hone_prepare_packed(p, s->b, format_of(s->winograd));
    if (!q->packed && p->constant[s->b] && !s->turned) return false;
    if (s->turned) { /* [k, 9 n] */
        w.dims[0] = p->in[s->b]->dims[1] / 9;
        w.dims[1] = p->in[s->b]->dims[0] * 9;
    }
    q->b = packing_of(&w, s->winograd).b;
    s->k = q->b.k;
    return true;
}

void hone_product_winograd_run(hone_product_job *j) {
    const hone_cut *cut = &j->p->blocks.cut;
    if (!j->p->packed) hone_cut_run(&j->p->panels, j->frame, pack_now, j);
    hone_pool *pool = hone_frame_pool(j->frame, cut->nanoseconds);
    const int threads = hone_pool_threads(pool);
    if (threads == 1 || hone_cut_tasks(cut) >= 2 * threads) {
        hone_cut_run(cut, j->frame, run_blocks, j);
        return;
    }
    memset(block_of(j, 0, 0).zeros, 0, (size_t)j->p->s.k * sizeof(float));
    j->parts = threads < HONE_TEAM_PARTS ? threads : HONE_TEAM_PARTS;
    hone_team_run(pool, 3 * cut->count, j->parts, run_part, j);
}

/* --- preparing --- */

/* Blocks are some tiles, of one image or several: as many as the cache takes, fewer where that leaves too few tasks. */
void hone_product_winograd_choose(hone_product_params *q) {
    const hone_product *s = &q->s;
    const hone_windows *x = &q->windows.w;
    const int size = s->winograd, matrices = hone_winograd_matrices(size);
    hone_winograd *w = &q->windows.winograd;
    *w = (hone_winograd){.size = size,
                         .in = {x->in[1], x->in[2]},
                         .out = {x->out[1], x->out[2]},
                         .pad = {x->pad[1], x->pad[2]},
                         .across = hone_tasks(x->out[2], size)};
    const int64_t tiles = w->across * hone_tasks(x->out[1], size);
    /* nanoseconds, what tiles become and come from being taken for 0.3 of the products */
    const double tile = (double)(matrices * (s->k + 1) * (s->n + 1)) * (double)q->family->nanoseconds * 1.3,
                 all = tile * (double)(tiles * s->batch);
    int64_t most = ROOM_BYTES / (matrices * (s->k + s->n + 1) * (int64_t)sizeof(float));
    most = most < LEAST_TILES ? LEAST_TILES : hone_min_i64(most, MOST_TILES);
    const int64_t task = (int64_t)(hone_task_nanoseconds(all) / tile);
    if (all >= HONE_PARALLEL_NANOSECONDS) most = hone_min_i64(most, task < LEAST_TILES ? LEAST_TILES : task);
    hone_product_blocks *b = &q->blocks;
    const int64_t every = hone_max_i64(tiles * s->batch, 1);
    *b = (hone_product_blocks){.rows = hone_tasks(every, hone_tasks(every, most))};
    b->row_blocks = hone_tasks(tiles * s->batch, b->rows);
    b->cut = hone_cut_make(b->row_blocks, tile * (double)b->rows, 1);
    q->windows.bytes =
        (size_t)(matrix_of(1, s->k) + matrices * (matrix_of(b->rows, s->k) + matrix_of(b->rows, s->n))) *
        sizeof(float);
    if (q->packed) return;
    const int64_t panel = q->family->panel;
    const size_t room = (size_t)(matrices * HONE_GEMM_PACK_ROWS * panel) * sizeof(float);
    if (q->windows.bytes < room) q->windows.bytes = room;
    q->panels = hone_cut_make(hone_tasks(s->n, panel), (double)(s->k * panel * matrices) * 0.15, 1);
}
