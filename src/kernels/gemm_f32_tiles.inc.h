/* The body of float products over tile registers, eight of them, of 16 rows of 64 bytes, whose products are of bfloat16
 * with sums in float. Before including, define HONE_ISA and PARTS, include kernels/vec.h, and define as functions that are
 * inlined
 *
 *   tiles                        a struct: the registers, where they lie in memory
 *   tile_configure(t)            all have 16 rows of 64 bytes
 *   tile_zero(t, r)
 *   tile_load(t, r, p, step)     the register's rows, `step` bytes apart
 *   tile_store(t, r, p, step)
 *   tile_dot_bf16(t, r)          r += A B: words of two values
 *   tile_release(t)              ends what tile_configure began
 *
 * where r is a constant. PARTS 1: values are rounded to bfloat16. PARTS 3: a float is the sum of three of them,
 *
 *   x = x0 + x1 + x2     the upper, middle and lower 8 of its 24 bits, exact
 *   x y = x0 y0 + (x0 y1 + x1 y0) + (x0 y2 + x1 y1 + x2 y0) + what is less than 2^-21 of it
 *
 * so six products give what one of floats would. (Henry, Tang, Heinecke: Leveraging the bfloat16 Artificial Intelligence
 * Datatype For Higher-Precision Computations, 2019.) Infinite numbers have no such parts, they come out as NaN: rows with
 * a NaN among a panel's sums are computed by PLAIN, hone_gemm_family's run, anew.
 *
 * A block of k of some rows of A is laid out as tiles in the caller's room. Those of B, which are not packed so, are made there
 * while the first rows meet them, a step of k ahead: tiles have units of their own, which leaves vectors some time.
 *
 *   A  row tile | step of k | part | 16 rows of 32 values of k
 *   B  step of k | part | column tile | 16 pairs of k, of 16 columns
 *
 * A pair, neighbours in A's rows, is values l and 16 + l of a step (FIRST, SECOND), which takes the fewest instructions; of
 * one part, which an instruction rounds, 2 l and 2 l + 1. Then B is packed as its tiles are, panel after panel.
 */
#define STEP 32    /* values of k a tile */
#define COLUMNS 16 /* and rows, of a tile of sums */
#define TILE 512   /* elements of a tile of A or B */
#define PANEL 48
#define LANES (COLUMNS / VEC_F32)
#if PARTS == 1
#define FIRST(l) (2 * (l))
#define SECOND(l) (2 * (l) + 1)
#else
#define FIRST(l) (l)
#define SECOND(l) (COLUMNS + (l))
#endif
#define BLOCK_STEPS 24
#define BLOCK_K (BLOCK_STEPS * STEP)
#define BLOCK_ROWS 256
#define BLOCK_PANELS 16                       /* whose sums wait for the next block of k */
#define SUMS 6                                /* registers; A and B have one each */
#define MOST_ROWS(columns) (SUMS / (columns)) /* tiles at once */
#define A 6
#define B 7

/* One panel's block of k. */
typedef struct panel_work {
    uint16_t *b; /* its tiles, or room for them */
    const float *from;
    int64_t from_row; /* of B as it lies */
    int64_t k, steps; /* values of k, and tiles of them */
    int columns;      /* with the last tile's, which may be few */
    /* A's tiles: elements from part to part and from one to the next below, bytes from row to row; and where each step is */
    int64_t a_part, a_tile, a_row;
    const int64_t *a_step;
} panel_work;

static int64_t min_i64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t tasks(int64_t n, int64_t each) {
    return (n + each - 1) / each;
}

#include "kernels/gemm_f32_parts.inc.h"

/* --- A --- */

/* Where a block of k begins in the windows' runs. */
typedef struct place {
    const hone_gemm_run *run;
    int64_t skip;
} place;

static place place_after(const hone_gemm *g, place p, int64_t n) {
    if (!g->runs) return p;
    for (p.skip += n; p.skip > 0 && p.skip >= p.run->count; p.run++) p.skip -= p.run->count;
    return p;
}

/* n values of A's rows, `count` of them at k0, p in the runs, gathered in rows of STEP with zeros behind. */
static void gather(const hone_gemm *g, const float *const *base, int count, int64_t k0, place p, int64_t n,
                   float (*out)[STEP]) {
    memset(out, 0, (size_t)count * sizeof *out);
    if (!g->runs) {
        for (int r = 0; r < count; r++)
            for (int64_t l = 0; l < n; l++) out[r][l] = base[r][(k0 + l) * g->a_col];
        return;
    }
    for (int64_t l = 0, some; l < n; l += some, p = (place){p.run + 1, 0}) {
        some = min_i64(p.run->count - p.skip, n - l);
        for (int r = 0; r < count; r++)
            memcpy(out[r] + l, base[r] + p.run->from + p.skip, (size_t)some * sizeof(float));
    }
}

static const float *row_of(const hone_gemm *g, int64_t i) {
    const float *a = g->a;
    return g->runs ? a + i / g->a_line * g->a_line_step + i % g->a_line * g->a_row : a + i * g->a_row;
}

/* A block of k of up to 16 rows from row i on as tiles: [k0, k0 + n), p in the runs. Rows beyond are zero. */
static void split_rows(const hone_gemm *g, int64_t i, int rows, int64_t k0, int64_t n, place p,
                       uint16_t *out) {
    const float *base[COLUMNS];
    float some[COLUMNS][STEP];
    for (int r = 0; r < rows; r++) base[r] = row_of(g, i + r);
    if (rows < COLUMNS) memset(out, 0, (size_t)(tasks(n, STEP) * PARTS * TILE) * sizeof *out);
    for (int64_t l = 0, step; l < n; l += step, out += PARTS * TILE, p = place_after(g, p, step)) {
        step = min_i64(n - l, STEP);
        const bool lies = step == STEP && (g->runs ? p.run->count - p.skip >= STEP : g->a_col == 1);
        const int64_t at = g->runs ? p.run->from + p.skip : k0 + l;
        if (!lies) gather(g, base, rows, k0 + l, p, step, some);
        for (int r = 0; r < rows; r++) split_row(lies ? base[r] + at : some[r], out + r * STEP, TILE);
    }
}

/* --- sums --- */

/* Which parts meet, the smallest products first. */
#if PARTS == 3
#define PAIRS 6
static const int a_part[PAIRS] = {2, 1, 0, 1, 0, 0}, b_part[PAIRS] = {0, 1, 2, 0, 1, 0};
#else
#define PAIRS 1
static const int a_part[PAIRS] = {0}, b_part[PAIRS] = {0};
#endif

/* One tile of each row tile and each column tile: forth and back, so that a tile of B stays for the next row tile. */
VEC_FN void meet(tiles *t, const int rows, const int columns, const panel_work *w, const uint16_t *a,
                 const uint16_t *b) {
    const int64_t a_tile = w->a_tile, a_row = w->a_row;
    VEC_UNROLL
    for (int i = 0; i < rows; i++) {
        tile_load(t, A, a + i * a_tile, a_row);
        VEC_UNROLL
        for (int n = 0; n < columns; n++) {
            const int j = i % 2 ? columns - 1 - n : n;
            if (i == 0 || n > 0) tile_load(t, B, b + j * TILE, COLUMNS * 4);
            tile_dot_bf16(t, i * columns + j);
        }
    }
}

/* The products of one step of k. `splits`: the next step's tiles of B are made among them, which are whole. */
VEC_FN void sum_step(tiles *t, const int rows, const int columns, const bool splits, const panel_work *w,
                     int64_t step, const uint16_t *a, const uint16_t *b, uint16_t *next) {
    const int vectors = COLUMNS * columns * LANES;
    a += w->a_step[step];
    VEC_UNROLL
    for (int i = 0; i < PAIRS; i++) {
        meet(t, rows, columns, w, a + a_part[i] * w->a_part, b + b_part[i] * columns * TILE);
        if (splits)
            split_pairs(w, columns, true, step + 1, vectors * i / PAIRS, vectors * (i + 1) / PAIRS, next);
    }
}

/* A block of k for some row tiles. `splits`: they are the first to meet it, and B's tiles are made here. Sums are
 * rows of PANEL. */
VEC_FN void sum_products(tiles *t, const int rows, const int columns, const bool splits, const panel_work *w,
                         const uint16_t *a, bool resume, float *sums) {
    const int size = PARTS * columns * TILE;
    VEC_UNROLL
    for (int r = 0; r < rows * columns; r++) {
        if (resume)
            tile_load(t, r, sums + (r / columns * PANEL + r % columns) * COLUMNS, PANEL * 4);
        else
            tile_zero(t, r);
    }
    const int64_t whole = !splits ? 0 : w->columns == columns * COLUMNS ? w->k / STEP - 1 : 0;
    uint16_t *b = w->b;
    int64_t s = 0;
    if (splits && w->steps > 0) split_step(w, columns, 0, b);
    for (; s < whole; s++, b += size) sum_step(t, rows, columns, true, w, s, a, b, b + size);
    for (; s < w->steps; s++, b += size) {
        sum_step(t, rows, columns, false, w, s, a, b, NULL);
        if (splits && s + 1 < w->steps) split_step(w, columns, s + 1, b + size);
    }
    VEC_UNROLL
    for (int r = 0; r < rows * columns; r++)
        tile_store(t, r, sums + (r / columns * PANEL + r % columns) * COLUMNS, PANEL * 4);
}

typedef void sum_fn(tiles *t, const panel_work *w, const uint16_t *a, bool resume, float *sums);

#define DEFINE(rows, columns, splits)                                                                        \
    static void sum_##rows##x##columns##_##splits(tiles *t, const panel_work *w, const uint16_t *a,          \
                                                  bool resume, float *sums) {                                \
        sum_products(t, rows, columns, splits, w, a, resume, sums);                                          \
    }
/* clang-format off */
#define EACH_SUM(X)                                                                                          \
    X(1, 3, 0) X(2, 3, 0) X(1, 2, 0) X(2, 2, 0) X(3, 2, 0)                                                   \
    X(1, 1, 0) X(2, 1, 0) X(3, 1, 0) X(4, 1, 0) X(5, 1, 0) X(6, 1, 0)                                        \
    X(1, 3, 1) X(2, 3, 1) X(1, 2, 1) X(2, 2, 1) X(3, 2, 1)                                                   \
    X(1, 1, 1) X(2, 1, 1) X(3, 1, 1) X(4, 1, 1) X(5, 1, 1) X(6, 1, 1)
/* clang-format on */
EACH_SUM(DEFINE)
#define ENTER(rows, columns, splits) [splits][rows][columns] = sum_##rows##x##columns##_##splits,
static sum_fn *const sum[2][SUMS + 1][4] = {EACH_SUM(ENTER)};

/* --- what becomes of sums --- */

#if PARTS == 3
VEC_FN bool has_nan(const float *sums, int64_t columns) {
    vec_mask nan = vec_is_nan(vec_load_n(sums, (int)min_i64(columns, VEC_F32)));
    for (int64_t v = VEC_F32; v < columns; v += VEC_F32)
        nan = vec_mask_or(nan, vec_is_nan(vec_load_n(sums + v, (int)min_i64(columns - v, VEC_F32))));
    return vec_mask_any(nan);
}
#endif

/* Rows [i, i + rows) of columns [j, j + columns), at most a panel: one vector of columns after the other. */
VEC_FN void finish_vectors(const hone_gemm *g, int64_t i, int64_t rows, int64_t j, int64_t columns,
                           const float *sums, const bool residual, const bool more) {
    const hone_epilogue *e = &g->epilogue;
    const float *row_bias = e->row_bias;
    const vec_f32 lo = vec_set1((float)e->lo), hi = vec_set1((float)e->hi), alpha = vec_set1((float)e->alpha);
    for (int64_t v = 0; v < columns; v += VEC_F32) {
        const int n = (int)min_i64(columns - v, VEC_F32);
        const vec_f32 bias = vec_load_n(e->bias ? (const float *)e->bias + j + v : sums, e->bias ? n : 0);
        const float *from = sums + v;
        const float *added = residual ? (const float *)e->residual + i * e->residual_row + j + v : NULL;
        float *c = (float *)g->c + i * g->c_row + j + v;
        for (int64_t r = 0; r < rows; r++, from += PANEL, c += g->c_row) {
            vec_f32 y = vec_load(from) * alpha + bias;
            if (more && row_bias) y = y + row_bias[i + r];
            if (residual) {
                y = y + vec_load_n(added, n);
                added += e->residual_row;
            }
            y = vec_min(hi, vec_max(lo, y));
            if (more && e->ramp) y = vec_ramp(y, e->slope, e->offset);
            vec_store_n(c, y, n);
        }
    }
}

static void finish_rows(const hone_gemm *g, int64_t i, int64_t rows, int64_t j, int64_t columns,
                        const float *sums) {
    const hone_epilogue *e = &g->epilogue;
    if (e->row_bias || e->ramp)
        finish_vectors(g, i, rows, j, columns, sums, e->residual != NULL, true);
    else if (e->residual)
        finish_vectors(g, i, rows, j, columns, sums, true, false);
    else
        finish_vectors(g, i, rows, j, columns, sums, false, false);
}

#if PARTS == 3
/* Row i computed anew, of floats, for a number that has no parts. */
static void finish_plain(const hone_gemm *g, int64_t i, int64_t v, int64_t j, int64_t columns) {
    hone_gemm one = *g;
    float *line = g->room;
    if (g->a_part) {
        const uint16_t *a = (const uint16_t *)g->a + v * g->a_row;
        int64_t l = 0;
        for (place p = {g->runs, 0}; l < g->k; l += STEP, p = place_after(g, p, STEP))
            join_row(a + p.run->from + p.skip, g->a_part, line + l);
        one.a = line;
        one.runs = NULL;
        one.a_row = 0;
        one.a_col = 1;
    }
    PLAIN(&one, i, i + 1, j, j + columns);
}
#endif

/* The same, with rows that have a NaN computed anew. v: row i as A counts them. */
static void finish_line(const hone_gemm *g, int64_t i, int64_t v, int64_t rows, int64_t j, int64_t columns,
                        const float *sums) {
#if PARTS == 3
    for (int64_t r = 0; r < rows; r++)
        if (has_nan(sums + r * PANEL, columns)) {
            finish_rows(g, i, r, j, columns, sums);
            finish_plain(g, i + r, v + r, j, columns);
            finish_line(g, i + r + 1, v + r + 1, rows - r - 1, j, columns, sums + (r + 1) * PANEL);
            return;
        }
#endif
    (void)v;
    finish_rows(g, i, rows, j, columns, sums);
}

/* Rows from v on, as A counts them: those between lines are left out. */
static void finish(const hone_gemm *g, int64_t v, int64_t rows, int64_t j, int64_t columns,
                   const float *sums) {
    if (!g->a_part) {
        finish_line(g, v, v, rows, j, columns, sums);
        return;
    }
    for (int64_t line = v / g->a_line_rows, at = v % g->a_line_rows, some; rows > 0;
         rows -= some, at = 0, line++) {
        some = min_i64(g->a_line_rows - at, rows);
        const int64_t count = min_i64(g->a_line - at, some);
        if (count > 0)
            finish_line(g, line * g->a_line + at, line * g->a_line_rows + at, count, j, columns, sums);
        sums += some * PANEL;
    }
}

/* --- the room --- */

/* In bytes, multiples of a tile's. */
typedef struct layout {
    int64_t rows, panels; /* at once */
    size_t b, sums, size; /* where they begin; A is first, or a row of floats where A has been laid out */
} layout;

static layout layout_of(int64_t m, int64_t n, int64_t k, bool laid) {
    layout l = {.rows = min_i64(tasks(m, COLUMNS) * COLUMNS, BLOCK_ROWS), .panels = 1};
    const int64_t steps = min_i64(tasks(k, STEP), BLOCK_STEPS);
    if (k > BLOCK_K) l.panels = min_i64(tasks(n, PANEL), BLOCK_PANELS);
    l.b = laid ? (size_t)(tasks(k, TILE) * TILE) * sizeof(float)
               : (size_t)(l.rows * steps * STEP * PARTS) * sizeof(uint16_t);
    l.sums = l.b + (size_t)(steps * STEP * PARTS * PANEL) * sizeof(uint16_t);
    l.size = l.sums + (size_t)(l.panels * l.rows * PANEL) * sizeof(float);
    return l;
}

static size_t room(int64_t m, int64_t n, int64_t k, bool laid) {
    return layout_of(m, n, k, laid).size;
}

/* --- running --- */

/* Rows [v, v + rows) of one panel, its columns from j on, for a block of k, which is the first for them or the last. */
static void run_panel(tiles *t, const hone_gemm *g, const panel_work *w, bool splits, int64_t v, int64_t rows,
                      int64_t j, const uint16_t *a, bool first, bool last, float *sums) {
    const int64_t columns = min_i64(g->n - j, PANEL);
    const int across = (int)tasks(columns, COLUMNS), most = MOST_ROWS(across) * COLUMNS;
    for (int64_t r = 0; r < rows; r += most) {
        const int64_t height = min_i64(rows - r, most);
        sum[splits && r == 0][tasks(height, COLUMNS)][across](t, w, a + r / COLUMNS * w->a_tile, !first,
                                                              sums + r * PANEL);
        if (last) finish(g, v + r, height, j, columns, sums + r * PANEL);
    }
}

/* B's panel from column j on, [k0, k0 + n). */
static void set_panel(const hone_gemm *g, int64_t j, int64_t k0, int64_t n, uint16_t *room_for_b,
                      panel_work *w) {
    w->k = n;
    w->steps = tasks(n, STEP);
    w->b = room_for_b;
    w->columns = (int)min_i64(g->n - j, PANEL);
    if (g->b_row != 0) {
        w->from = (const float *)g->b + k0 * g->b_row + j;
        w->from_row = g->b_row;
        return;
    }
    const int64_t width = tasks(w->columns, COLUMNS) * COLUMNS;
    if (PARTS == 1) {
        w->b = (uint16_t *)(uintptr_t)g->b + tasks(g->k, STEP) * STEP * j + k0 * width;
        return;
    }
    w->columns = (int)width;
    w->from = (const float *)g->b + j * g->k + k0 * width;
    w->from_row = width;
}

/* Where A's tiles are for a block of k, and A, if they have to be made. */
static const uint16_t *prepare_rows(const hone_gemm *g, int64_t v, int64_t rows, int64_t k0, int64_t n,
                                    place p, panel_work *w, int64_t *step) {
    const int64_t steps = tasks(n, STEP);
    w->a_step = step;
    if (g->a_part) {
        w->a_part = g->a_part;
        w->a_tile = COLUMNS * g->a_row;
        w->a_row = g->a_row * (int64_t)sizeof(uint16_t);
        for (int64_t s = 0; s < steps; s++, p = place_after(g, p, STEP)) step[s] = p.run->from + p.skip;
        return (const uint16_t *)g->a + v * g->a_row;
    }
    uint16_t *a = g->room;
    w->a_part = TILE;
    w->a_tile = steps * PARTS * TILE;
    w->a_row = STEP * sizeof(uint16_t);
    for (int64_t s = 0; s < steps; s++) step[s] = s * PARTS * TILE;
    for (int64_t r = 0; r < rows; r += COLUMNS)
        split_rows(g, v + r, (int)min_i64(rows - r, COLUMNS), k0, n, p, a + r / COLUMNS * w->a_tile);
    return a;
}

/* Rows [v, v + rows), at most BLOCK_ROWS. */
static void run_rows(tiles *t, const hone_gemm *g, const layout *l, int64_t v, int64_t rows, int64_t n0,
                     int64_t n1) {
    uint16_t *b = (uint16_t *)(void *)((char *)g->room + l->b);
    float *sums = (float *)(void *)((char *)g->room + l->sums);
    const bool once = g->k <= BLOCK_K, splits = PARTS == 3 || g->b_row != 0;
    const int64_t group = once ? n1 - n0 : BLOCK_PANELS * PANEL;
    int64_t step[BLOCK_STEPS];
    for (int64_t from = n0; from < n1; from += group) {
        place p = {g->runs, 0};
        int64_t k0 = 0;
        do {
            const int64_t n = min_i64(g->k - k0, BLOCK_K);
            panel_work w = {0};
            const uint16_t *a = prepare_rows(g, v, rows, k0, n, p, &w, step);
            for (int64_t j = from; j < min_i64(from + group, n1); j += PANEL) {
                set_panel(g, j, k0, n, b, &w);
                run_panel(t, g, &w, splits, v, rows, j, a, k0 == 0, k0 + n == g->k,
                          sums + (once ? 0 : (j - from) * l->rows));
            }
            k0 += n;
            p = place_after(g, p, n);
        } while (k0 < g->k);
    }
}

/* Row i as A counts them. */
static int64_t counted(const hone_gemm *g, int64_t i) {
    return g->a_part ? i / g->a_line * g->a_line_rows + i % g->a_line : i;
}

static void run(const hone_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
    if (m0 >= m1 || n0 >= n1) return;
    const layout l = layout_of(g->m, g->n, g->k, g->a_part != 0);
    const int64_t v0 = counted(g, m0), v1 = counted(g, m1 - 1) + 1, blocks = tasks(v1 - v0, l.rows);
    tiles t;
    tile_configure(&t);
    for (int64_t block = 0, v = v0, rows; block < blocks; block++, v += rows) {
        rows = min_i64(tasks(tasks(v1 - v, blocks - block), 2 * COLUMNS) * 2 * COLUMNS, v1 - v);
        rows = min_i64(rows, l.rows);
        run_rows(&t, g, &l, v, rows, n0, n1);
    }
    tile_release(&t);
}

/* What all these families have. */
#define TILES_FAMILY                                                                                         \
    .panel = PANEL, .rows = 2 * COLUMNS, .columns = COLUMNS, .windows = true, .room = room, .lay = lay,      \
    .parts = PARTS, .run = run
