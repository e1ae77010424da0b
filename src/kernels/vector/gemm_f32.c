/* fp32 GEMM. A tile of C (up to TILE_ROWS rows, some panels of B) is summed in registers over a block of k.
 * When k is cut into blocks, unfinished sums wait in `partial` and go on from there, so every element is one
 * chain of sums in the order of k, whatever tile it falls into. */
#include "base/cpu.h"
#include "kernels/levels.h"
#include "kernels/vec.h"

/* Measured on Zen 5. PANEL_VECS x TILE_ROWS sums, a row of B and one element of A fit the registers. */
#if VEC_F32 == 16
#define PANEL_VECS 3
#define TILE_ROWS 8
#define BLOCK_ROWS 128
#elif VEC_F32 == 8
#define PANEL_VECS 2
#define TILE_ROWS 6
#define BLOCK_ROWS 144
#elif defined(HONE_ISA_neon) /* 32 registers */
#define PANEL_VECS 3
#define TILE_ROWS 8
#define BLOCK_ROWS 128
#else
#define PANEL_VECS 2
#define TILE_ROWS 4
#define BLOCK_ROWS 128
#endif
#define PANEL (PANEL_VECS * VEC_F32)
#define LINE 16 /* floats a cache line */
#define MAX_PANELS 4
#define MAX_ACC 24

/* A block of k is so deep that half of the second-level cache has room for the rows of A that meet it, the block of B
 * at hand and the next one, but neither less nor more than so. */
#define BLOCK_K_LEAST 512
#define BLOCK_K_MOST 1024
/* The depth of B as it lies, and how many rows of B are fetched ahead, for B packed and for B as it lies: there
 * rows that are far apart share few sets of the cache. */
#define AHEAD 16
#define DIRECT_BLOCK_K 128
#define DIRECT_AHEAD 4
#define FEW_ROWS 3   /* up to so many take several panels at once */
#define WIDE_AHEAD 8 /* then */
/* From these on a block is copied before it is used: rows of the tile's block of C; floats between the rows
 * of a transposed A or of B. B is only copied for narrow panels, which take a cache line or less of each of
 * its rows. */
#define COPY_ROWS 16
#define COPY_STRIDE 256
#define COPY_K 64 /* a transposed A of fewer rows stays in the cache, unless they are a power of two apart */
#define COPY_POWER 128
#define COPY_B (PANEL < 48)
#define COPY_PANELS (PANEL < 48 ? 8 : 4) /* that share the copy of A */
#define COPY_A_ROW (BLOCK_ROWS + LINE)

/* A panel and a vector of another one meet fewer rows at once; a vector alone would wait for elements of A. */
#define JOINED_ROWS (PANEL_VECS == 3 ? 6 : 0)
#define PARTIAL_ROW (PANEL + VEC_F32)

_Static_assert(BLOCK_ROWS % TILE_ROWS == 0, "blocks are whole tiles");

/* One tile's work. B is some full panels and then, if the tile has it, the last panel of fewer columns. */
typedef struct tile_work {
    int64_t k;
    const float *a;
    int64_t a_row, a_col;
    const hone_gemm_run *runs; /* what k consists of: `count` of them, the next block's behind them */
    int64_t count;
    int64_t line, line_step,
        row; /* windows: rows a line, from line to line, and the row that a tile begins at */
    const float *b;
    int64_t b_step, b_panel; /* from row to row of B, from panel to panel */
    const float *b_last;
    int64_t b_last_step;
    int64_t ahead, ahead_last; /* from the row in use to the one to fetch */
    bool dense;                /* B is packed, one panel at a time, and A's rows are lines */
    const float *next; /* dense: the next block of B, which comes to the second-level cache meanwhile */
    int64_t next_step; /* so much of it with each row of B */
    int lanes;         /* columns in the last vector of the last panel */
    bool resume, finish;
    float *partial; /* rows of PARTIAL_ROW */
    float *c;
    int64_t c_row;
    const float *bias, *row_bias, *residual;
    int64_t residual_row;
    float alpha, lo, hi, slope, offset;
    bool ramp;
    bool plain; /* alpha 1, no bias, no residual, no clamp */
} tile_work;

typedef void tile_fn(const tile_work *t);

/* One element of each row of A meets a row of B. */
VEC_FN void step(vec_f32 *acc, const int rows, const int panels, const int last, const float *a,
                 const float *a_4, int64_t a_row, const float *b, int64_t b_panel, const float *b_last,
                 int lanes, int64_t ahead, int64_t ahead_last) {
    const int full = panels * PANEL_VECS, vecs = full + last;
    vec_f32 x[MAX_ACC];
    VEC_UNROLL
    for (int v = 0; v < full; v++) x[v] = vec_load(b + v / PANEL_VECS * b_panel + v % PANEL_VECS * VEC_F32);
    VEC_UNROLL
    for (int v = 0; v < last; v++)
        x[full + v] = v + 1 < last ? vec_load(b_last + v * VEC_F32) : vec_load_n(b_last + v * VEC_F32, lanes);
    VEC_UNROLL
    for (int i = 0; i < rows; i++) {
        vec_f32 s = vec_set1(i < 4 ? a[i * a_row] : a_4[(i - 4) * a_row]);
        VEC_UNROLL
        for (int v = 0; v < vecs; v++) acc[i * vecs + v] = vec_fma(s, x[v], acc[i * vecs + v]);
        /* One row uses each line once and at once: there the hardware fetches ahead better by itself. */
        if (rows > 1 && i == 0) {
            VEC_UNROLL
            for (int p = 0; p < panels; p++) {
                VEC_UNROLL
                for (int j = 0; j < PANEL; j += LINE) vec_prefetch(b + p * b_panel + ahead + j);
            }
            VEC_UNROLL
            for (int j = 0; j < last * VEC_F32; j += LINE) vec_prefetch(b_last + ahead_last + j);
        }
    }
}

VEC_FN void tile(const tile_work *t, const int rows, const int panels, const int last) {
    const int full = panels * PANEL_VECS, vecs = full + last;
    vec_f32 acc[MAX_ACC];
    if (t->resume) {
        VEC_UNROLL
        for (int i = 0; i < rows; i++) {
            VEC_UNROLL
            for (int v = 0; v < vecs; v++)
                acc[i * vecs + v] = vec_load(t->partial + i * PARTIAL_ROW + v * VEC_F32);
        }
    } else {
        VEC_UNROLL
        for (int i = 0; i < rows * vecs; i++) acc[i] = vec_zero();
    }

    const int64_t b_step = t->b_step, b_panel = t->b_panel, b_last_step = t->b_last_step;
    const int64_t a_row = t->a_row, a_col = t->a_col;
    const float *b = t->b, *b_last = t->b_last;
    const int64_t ahead = t->ahead, ahead_last = t->ahead_last;
    const int lanes = t->lanes;
    const float *next = t->next;
    const int64_t next_step = t->next_step;
    for (const hone_gemm_run *run = t->runs, *end = run + t->count; run < end; run++) {
        /* Two bases, so that the strides of eight rows take few registers. */
        const float *a = t->a + run->from, *a_4 = rows > 4 ? a + 4 * a_row : a;
        if (rows > FEW_ROWS && t->dense) {
            for (int64_t l = run->count; l > 0; l--) {
                step(acc, rows, panels, last, a++, a_4++, a_row, b, 0, b_last, lanes, AHEAD * PANEL,
                     AHEAD * last * VEC_F32);
                vec_prefetch_far(next);
                next += next_step;
                b += PANEL;
                b_last += last * VEC_F32;
            }
            continue;
        }
        for (int64_t l = run->count; l > 0; l--) {
            step(acc, rows, panels, last, a, a_4, a_row, b, b_panel, b_last, lanes, ahead, ahead_last);
            a += a_col;
            a_4 += a_col;
            b += b_step;
            b_last += b_last_step;
        }
    }

    if (!t->finish) {
        VEC_UNROLL
        for (int i = 0; i < rows; i++) {
            VEC_UNROLL
            for (int v = 0; v < vecs; v++)
                vec_store(t->partial + i * PARTIAL_ROW + v * VEC_F32, acc[i * vecs + v]);
        }
        return;
    }
    if (!t->plain) {
        const vec_f32 lo = vec_set1(t->lo), hi = vec_set1(t->hi);
        VEC_UNROLL
        for (int v = 0; v < vecs; v++) {
            const int count = last > 0 && v == vecs - 1 ? lanes : VEC_F32;
            vec_f32 bias = vec_zero();
            if (t->bias) bias = vec_load_n(t->bias + v * VEC_F32, count);
            VEC_UNROLL
            for (int i = 0; i < rows; i++) {
                vec_f32 y = acc[i * vecs + v] * t->alpha;
                if (t->bias) y = y + bias;
                if (t->row_bias) y = y + t->row_bias[i];
                if (t->residual) y = y + vec_load_n(t->residual + i * t->residual_row + v * VEC_F32, count);
                y = vec_min(hi, vec_max(lo, y));
                if (t->ramp) y = vec_ramp(y, t->slope, t->offset);
                acc[i * vecs + v] = y;
            }
        }
    }
    VEC_UNROLL
    for (int i = 0; i < rows; i++) {
        float *c = t->c + i * t->c_row;
        VEC_UNROLL
        for (int v = 0; v < full; v++) vec_store(c + v * VEC_F32, acc[i * vecs + v]);
        VEC_UNROLL
        for (int v = full; v < vecs; v++) {
            if (v + 1 < vecs)
                vec_store(c + v * VEC_F32, acc[i * vecs + v]);
            else
                vec_store_n(c + v * VEC_F32, acc[i * vecs + v], lanes);
        }
    }
}

/* X(rows, panels, last): the tiles there are. Few rows take several panels at once, the last one counted, so
 * that enough sums are in flight to hide the latency of an addition. */
/* clang-format off */
#define ALONE(X, rows) LAST(X, rows, 0) X(rows, 1, 0)
#if PANEL_VECS == 3
#define WIDE_1 4
#define WIDE_2 3
#define WIDE_3 2
#define LAST(X, rows, panels) X(rows, panels, 1) X(rows, panels, 2) X(rows, panels, 3)
#define TILES(X)                                                                                             \
    ALONE(X, 1) LAST(X, 1, 1) X(1, 2, 0) LAST(X, 1, 2) X(1, 3, 0) LAST(X, 1, 3) X(1, 4, 0)                   \
    ALONE(X, 2) LAST(X, 2, 1) X(2, 2, 0) LAST(X, 2, 2) X(2, 3, 0)                                            \
    ALONE(X, 3) LAST(X, 3, 1) X(3, 2, 0)                                                                     \
    ALONE(X, 4) ALONE(X, 5) ALONE(X, 6) ALONE(X, 7) ALONE(X, 8) X(4, 1, 1) X(5, 1, 1) X(6, 1, 1)
#else
#define WIDE_1 4
#define WIDE_2 2
#define WIDE_3 1
#define LAST(X, rows, panels) X(rows, panels, 1) X(rows, panels, 2)
#define TILES_4(X)                                                                                           \
    ALONE(X, 1) LAST(X, 1, 1) X(1, 2, 0) LAST(X, 1, 2) X(1, 3, 0) LAST(X, 1, 3) X(1, 4, 0)                   \
    ALONE(X, 2) LAST(X, 2, 1) X(2, 2, 0)                                                                     \
    ALONE(X, 3) ALONE(X, 4)
#if TILE_ROWS == 6
#define TILES(X) TILES_4(X) ALONE(X, 5) ALONE(X, 6)
#else
#define TILES(X) TILES_4(X)
#endif
#endif
/* clang-format on */

#define DEFINE(rows, panels, last)                                                                           \
    static void tile_##rows##_##panels##_##last(const tile_work *t) {                                        \
        tile(t, rows, panels, last);                                                                         \
    }
TILES(DEFINE)
#define ENTER(rows, panels, last) [rows][panels][last] = tile_##rows##_##panels##_##last,
static tile_fn *const tiles[TILE_ROWS + 1][MAX_PANELS + 1][PANEL_VECS + 1] = {TILES(ENTER)};

static int64_t min_i64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The rows [0, rows) of `t`, which stand at its a, c and partial, in tiles of as equal a height as can be. */
static void run_line(tile_work *t, int64_t rows, int64_t panels, int last) {
    const int64_t most = rows > FEW_ROWS && panels > 0 && last > 0 ? JOINED_ROWS : TILE_ROWS,
                  count = (rows + most - 1) / most;
    for (int64_t i = 0, row = 0; i < count; i++) {
        int64_t height = rows * (i + 1) / count - row;
        tiles[height][panels][last](t);
        row += height;
        t->a += height * t->a_row;
        t->c += height * t->c_row;
        if (t->row_bias) t->row_bias += height;
        if (t->residual) t->residual += height * t->residual_row;
        t->partial += height * PARTIAL_ROW;
        t->next += t->k * t->next_step;
    }
}

/* The same, of windows line by line: their a stands at row 0. */
static void run_rows(tile_work t, int64_t rows, int64_t panels, int last) {
    if (t.line == 0) {
        run_line(&t, rows, panels, last);
        return;
    }
    const float *a = t.a;
    for (int64_t done = 0, some; done < rows; done += some) {
        const int64_t line = (t.row + done) / t.line, column = (t.row + done) % t.line;
        some = min_i64(t.line - column, rows - done);
        t.a = a + line * t.line_step + column * t.a_row;
        run_line(&t, some, panels, last);
    }
}

/* What a block of k consists of: some of the windows' runs, or one run, `own`, of what lies evenly. */
static void next_runs(tile_work *t, int64_t k, int64_t step, int64_t done, hone_gemm_run *own) {
    if (t->line == 0) {
        t->k = min_i64(step, k - done);
        *own = (hone_gemm_run){done * t->a_col, t->k};
        t->runs = own;
        t->count = 1;
        return;
    }
    t->runs += t->count;
    t->k = t->count = 0;
    while (done + t->k < k && (t->count == 0 || t->k + t->runs[t->count].count <= step))
        t->k += t->runs[t->count++].count;
}

/* The next block of k for `t`, which has none yet or has done one: at most `step` deep. False at the end. */
static bool next_block(tile_work *t, int64_t k, int64_t step, int64_t *done, hone_gemm_run *own) {
    if (t->finish) return false;
    t->b += t->k * t->b_step;
    t->b_last += t->k * t->b_last_step;
    next_runs(t, k, step, *done, own);
    t->resume = *done > 0;
    *done += t->k;
    t->finish = *done == k;
    return true;
}

/* Depth of a block of k for B packed. Windows' blocks are whole runs, others as equal as can be. */
static int64_t block_k(const hone_gemm *g) {
    if (g->k <= BLOCK_K_LEAST) return BLOCK_K_LEAST;
    const int64_t row = (BLOCK_ROWS + 2 * PANEL) * (int64_t)sizeof(float),
                  half = (int64_t)hone_cpu_cache() / 2,
                  most = min_i64(BLOCK_K_MOST, half / row / BLOCK_K_LEAST * BLOCK_K_LEAST),
                  step = most > BLOCK_K_LEAST ? most : BLOCK_K_LEAST, blocks = (g->k + step - 1) / step;
    return g->runs ? step : (g->k + blocks - 1) / blocks;
}

/* All of k for some rows and one group of panels, in blocks of k when B is used by several tiles. */
static void run_group(tile_work t, const hone_gemm *g, int64_t rows, int64_t panels, int last) {
    float partial[BLOCK_ROWS * PARTIAL_ROW] __attribute__((aligned(64)));
    hone_gemm_run own;
    t.partial = partial;
    const bool packed = g->b_row == 0;
    const int64_t tiles_of_all = (rows + TILE_ROWS - 1) / TILE_ROWS, depth = rows <= TILE_ROWS ? g->k
                                                                             : packed          ? block_k(g)
                                                                                      : DIRECT_BLOCK_K;
    t.dense = packed && t.a_col == 1;
    t.next_step = tiles_of_all > 1 ? (PANEL + tiles_of_all - 1) / tiles_of_all : 0;
    for (int64_t done = 0; next_block(&t, g->k, depth, &done, &own);) {
        t.next = t.b + t.k * t.b_step;
        run_rows(t, rows, panels, last);
    }
}

/* Copies `columns` columns of some rows into panels of k rows. */
static void pack_rows(int64_t k, int64_t rows, int64_t columns, const float *b, int64_t b_row, float *out) {
    const int64_t full = columns / PANEL, rest = columns % PANEL;
    const int64_t padded = (rest + VEC_F32 - 1) / VEC_F32 * VEC_F32;
    for (int64_t l = 0; l < rows; l++, b += b_row) {
        float *to = out + l * PANEL;
        for (int64_t p = 0; p < full; p++, to += k * PANEL) {
            VEC_UNROLL
            for (int v = 0; v < PANEL_VECS; v++)
                vec_store(to + v * VEC_F32, vec_load(b + p * PANEL + v * VEC_F32));
        }
        to = out + full * k * PANEL + l * padded;
        for (int64_t j = 0; j < rest; j += VEC_F32)
            vec_store(to + j, vec_load_n(b + full * PANEL + j, (int)min_i64(rest - j, VEC_F32)));
    }
}

static void copy_columns(int64_t k, int64_t rows, const float *a, int64_t a_col, float *out) {
    for (int64_t l = 0; l < k; l++, a += a_col, out += COPY_A_ROW) {
        vec_prefetch(a + DIRECT_AHEAD * a_col);
        for (int64_t i = 0; i < rows; i += VEC_F32)
            vec_store(out + i, vec_load_n(a + i, (int)min_i64(rows - i, VEC_F32)));
    }
}

/* The same as run_group for many rows and operands that do not lie well: rows of B or of a transposed A that
 * are far apart collide in the cache, so their blocks are copied here first. */
static __attribute__((noinline)) void run_copying(tile_work t, int64_t k, int64_t rows, int64_t panels,
                                                  int last, bool copy_a, bool copy_b) {
    float partial[COPY_PANELS * BLOCK_ROWS * PARTIAL_ROW] __attribute__((aligned(64)));
    float a[DIRECT_BLOCK_K * COPY_A_ROW] __attribute__((aligned(64)));
    float b[COPY_B ? DIRECT_BLOCK_K * COPY_PANELS * PANEL : 1] __attribute__((aligned(64)));
    hone_gemm_run own;
    const int64_t columns = panels * PANEL + (last > 0 ? (last - 1) * VEC_F32 + t.lanes : 0);
    for (int64_t done = 0; next_block(&t, k, DIRECT_BLOCK_K, &done, &own);) {
        tile_work one = t;
        one.partial = partial;
        if (copy_a) {
            copy_columns(t.k, rows, t.a + own.from, t.a_col, a);
            own.from = 0;
            one.a = a;
            one.a_col = COPY_A_ROW;
        }
        if (copy_b) {
            pack_rows(t.k, t.k, columns, t.b, t.b_step, b);
            one.b = b;
            one.b_step = PANEL;
            one.b_panel = t.k * PANEL;
            one.b_last = b + panels * one.b_panel;
            one.b_last_step = last * VEC_F32;
            one.ahead = AHEAD * one.b_step;
            one.ahead_last = AHEAD * one.b_last_step;
        }
        for (int64_t p = 0; p < panels + (last > 0); p++) {
            run_rows(one, rows, p < panels, p < panels ? 0 : last);
            one.b += one.b_panel;
            one.c += PANEL;
            one.partial += BLOCK_ROWS * PARTIAL_ROW;
            if (one.bias) one.bias += PANEL;
            if (one.residual) one.residual += PANEL;
        }
    }
}

static void run(const hone_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
    const hone_epilogue *e = &g->epilogue;
    const float *g_a = g->a, *g_b = g->b, *g_bias = e->bias, *g_row_bias = e->row_bias,
                *g_residual = e->residual;
    float *g_c = g->c;
    const bool packed = g->b_row == 0;
    const int64_t full = (n1 - n0) / PANEL, rest = (n1 - n0) % PANEL; /* panels, columns */
    const int last = (int)((rest + VEC_F32 - 1) / VEC_F32);
    const int64_t units = full + (last > 0);
    tile_work t = {.a_row = g->a_row, .a_col = g->a_col, .c_row = g->c_row};
    t.runs = g->runs;
    t.line = g->runs ? g->a_line : 0;
    t.line_step = g->a_line_step;
    t.residual_row = e->residual_row;
    t.alpha = (float)e->alpha;
    t.lo = (float)e->lo;
    t.hi = (float)e->hi;
    t.ramp = e->ramp;
    t.slope = e->slope;
    t.offset = e->offset;
    const int64_t b_rows = g->b_col > g->k ? g->b_col : g->k; /* of B packed */
    t.b_step = packed ? PANEL : g->b_row;
    t.b_panel = packed ? b_rows * PANEL : PANEL;
    t.lanes = (int)(rest - (last - 1) * VEC_F32);
    t.plain = t.alpha == 1.0f && !e->bias && !e->row_bias && !e->residual && t.lo == -__builtin_inff() &&
              t.hi == __builtin_inff() && !t.ramp;
    const int64_t blocks = (m1 - m0 + BLOCK_ROWS - 1) / BLOCK_ROWS;
    for (int64_t block = 0, row = m0, rows; block < blocks; block++, row += rows) {
        rows = (m1 - row + blocks - block - 1) / (blocks - block);
        if (rows < m1 - row) rows = (rows + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
        const bool many = rows >= COPY_ROWS;
        const bool copy_a = many && units > 1 && g->a_row == 1 && g->a_col >= COPY_STRIDE &&
                            (g->k > COPY_K || g->a_col % COPY_POWER == 0);
        const bool copy_b = COPY_B && many && g->b_row >= COPY_STRIDE;
        const int64_t wide = copy_a || copy_b ? COPY_PANELS
                             : rows == 1      ? WIDE_1
                             : rows == 2      ? WIDE_2
                             : rows == 3      ? WIDE_3
                                              : 1;
        const int64_t ahead = rows <= FEW_ROWS ? WIDE_AHEAD : packed ? AHEAD : DIRECT_AHEAD;
        const bool joins = JOINED_ROWS > 0 && rows > FEW_ROWS && wide == 1 && full > 0 && last == 1;
        const int64_t groups = (units - joins + wide - 1) / wide;
        for (int64_t i = 0, panel = 0; i < groups; i++) {
            const bool end = i + 1 == groups && last > 0;
            const int64_t panels = units * (i + 1) / groups - panel - end;
            int64_t column = n0 + panel * PANEL;
            t.a = g->runs ? g_a : g_a + row * g->a_row;
            t.row = row;
            t.c = g_c + row * g->c_row + column;
            t.b = packed ? g_b + n0 * b_rows + panel * t.b_panel : g_b + column;
            t.b_last = t.b + panels * t.b_panel;
            t.b_last_step = packed && end ? last * VEC_F32 : t.b_step;
            t.ahead = ahead * t.b_step;
            t.ahead_last = ahead * t.b_last_step;
            t.bias = g_bias ? g_bias + column : NULL;
            t.row_bias = g_row_bias ? g_row_bias + row : NULL;
            t.residual = g_residual ? g_residual + row * t.residual_row + column : NULL;
            if (copy_a || copy_b)
                run_copying(t, g->k, rows, panels, end ? last : 0, copy_a, copy_b);
            else
                run_group(t, g, rows, panels, end ? last : 0);
            panel += panels;
        }
    }
}

static size_t packed_size(int64_t k, int64_t n) {
    int64_t columns = (n + VEC_F32 - 1) / VEC_F32 * VEC_F32;
    return ((size_t)k * (size_t)columns * sizeof(float) + 63) / 64 * 64;
}

typedef float four __attribute__((vector_size(16)));
typedef float four_memory __attribute__((vector_size(16), aligned(4), may_alias));

/* The same from columns that are contiguous (b_row = 1): transposes 4 x 4 blocks. */
static void pack_columns(int64_t rows, int64_t width, int64_t padded, const float *b, int64_t b_col,
                         float *out) {
    const int64_t rows4 = rows / 4 * 4, width4 = width / 4 * 4;
    for (int64_t j = 0; j < width4; j += 4) {
        const float *x = b + j * b_col;
        for (int64_t l = 0; l < rows4; l += 4) {
            four r0 = *(const four_memory *)(x + l), r1 = *(const four_memory *)(x + b_col + l);
            four r2 = *(const four_memory *)(x + 2 * b_col + l),
                 r3 = *(const four_memory *)(x + 3 * b_col + l);
            four p0 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5),
                 p1 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
            four p2 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5),
                 p3 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
            float *y = out + l * padded + j;
            *(four_memory *)y = __builtin_shufflevector(p0, p2, 0, 1, 4, 5);
            *(four_memory *)(y + padded) = __builtin_shufflevector(p0, p2, 2, 3, 6, 7);
            *(four_memory *)(y + 2 * padded) = __builtin_shufflevector(p1, p3, 0, 1, 4, 5);
            *(four_memory *)(y + 3 * padded) = __builtin_shufflevector(p1, p3, 2, 3, 6, 7);
        }
        for (int64_t l = rows4; l < rows; l++)
            for (int64_t q = 0; q < 4; q++) out[l * padded + j + q] = x[q * b_col + l];
    }
    for (int64_t l = 0; l < rows; l++)
        for (int64_t j = width4; j < padded; j++) out[l * padded + j] = j < width ? b[j * b_col + l] : 0;
}

static void pack_any(int64_t rows, int64_t width, int64_t padded, const float *b, int64_t b_row,
                     int64_t b_col, float *out) {
    for (int64_t l = 0; l < rows; l++)
        for (int64_t j = 0; j < padded; j++) out[l * padded + j] = j < width ? b[l * b_row + j * b_col] : 0;
}

static void pack(const hone_gemm_b *b, int64_t l0, int64_t l1, int64_t n0, int64_t n1) {
    for (int64_t j = n0; j < n1; j += PANEL) {
        const int64_t width = min_i64(PANEL, n1 - j), padded = (width + VEC_F32 - 1) / VEC_F32 * VEC_F32;
        const float *from = (const float *)b->b + l0 * b->b_row + j * b->b_col;
        float *out = (float *)b->packed + j * b->k + l0 * padded;
        if (b->b_col == 1)
            pack_rows(b->k, l1 - l0, width, from, b->b_row, out);
        else if (b->b_row == 1)
            pack_columns(l1 - l0, width, padded, from, b->b_col, out);
        else
            pack_any(l1 - l0, width, padded, from, b->b_row, b->b_col, out);
    }
}

const hone_gemm_family HONE_ISA_NAME(gemm_f32) = {.name = "gemm_f32",
                                                  .panel = PANEL,
                                                  .rows = TILE_ROWS,
                                                  .columns = VEC_F32,
                                                  .group = 1,
                                                  .windows = true,
                                                  .direct = true,
                                                  .nanoseconds = VEC_F32 == 16  ? 0.0125f
                                                                 : VEC_F32 == 8 ? 0.025f
                                                                                : 0.06f,
                                                  .packed_size = packed_size,
                                                  .pack = pack,
                                                  .run = run};
