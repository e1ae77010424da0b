/* The body of the integer GEMM over tile registers: eight of them, of up to 16 rows of 64 bytes. Sums are exact, so
 * it gives the same bits as the others. Before including, define HONE_ISA, and as functions that are inlined
 *
 *   tiles                           a struct: the registers, where they lie in memory
 *   tile_configure(t, rows, more)   all are zero; sums and A have `rows` rows, 1 … 16, the second ones `more`, 0 … 16
 *   tile_zero(t, r)
 *   tile_load(t, r, p, step)        the register's rows, `step` bytes apart
 *   tile_dot_u8s8(t, i, j)          SUM(i, j) += A(i) times B(j): words of four bytes, u8 times s8
 *   tile_store(t, r, p, step)
 *   tile_release(t)                 ends what tile_configure began
 *
 * where r is a constant. Two tiles of A, 16 rows of 64 values of k each, meet two of B, 16 groups of four values of k
 * for 16 columns each. */
#define GEMM_GROUP 4
#define GEMM_DEPTH 64
#define GEMM_COLUMNS 16
#define GEMM_PANEL 32
#include "kernels/gemm_u8s8_common.inc.h"

#define TILE_ROWS 16
#define SUM(i, j) (2 * (i) + (j))
#define A(i) (4 + (i))
#define B(j) (6 + (j))

/* GEMM_DEPTH more values of k for the tiles there are. */
VEC_FN void step(tiles *t, const bool two_rows, const bool two_columns, const uint8_t *a, int64_t a_row,
                 const uint8_t *a1, int64_t a1_row, const int8_t *b) {
    const int64_t b_row = (two_columns ? 2 : 1) * GEMM_COLUMNS * GEMM_GROUP;
    tile_load(t, A(0), a, a_row);
    tile_load(t, B(0), b, b_row);
    tile_dot_u8s8(t, 0, 0);
    if (two_columns) {
        tile_load(t, B(1), b + GEMM_COLUMNS * GEMM_GROUP, b_row);
        tile_dot_u8s8(t, 0, 1);
    }
    if (!two_rows) return;
    tile_load(t, A(1), a1, a1_row);
    tile_dot_u8s8(t, 1, 0);
    if (two_columns) tile_dot_u8s8(t, 1, 1);
}

/* Rows of A as tiles of `rows` rows each, line by line; a line of rows lies evenly in memory. The last tile of a line begins
 * earlier where there are fewer rows left: what it has in common with the one before is stored once. */
typedef struct layout {
    int64_t m0, width;   /* the first row; of a line */
    const uint8_t *a;    /* the first line */
    int64_t line;        /* from one to the next */
    int64_t rows, tiles; /* of a tile; in a line */
} layout;

/* A tile: its first row, where that lies, and the first row that no tile before has. */
typedef struct place {
    int64_t row, fresh;
    const uint8_t *a;
} place;

static place place_of(const hone_gemm *g, const layout *l, int64_t line, int64_t tile) {
    const int64_t at = tile * l->rows, from = at < l->width - l->rows ? at : l->width - l->rows;
    const int64_t before = l->m0 + line * l->width;
    return (place){before + from, before + at, l->a + line * l->line + from * g->a_row};
}

/* What a tile of A reads beyond the last whole step: a row goes on into the next one, where B is zero, but the last row of A
 * must not be read past. Those are staged. */
VEC_FN const uint8_t *tile_end(const hone_gemm *g, const place *p, int rows, uint8_t (*staged)[GEMM_DEPTH],
                               int64_t *a_row) {
    const int64_t whole = g->k / GEMM_DEPTH * GEMM_DEPTH;
    *a_row = g->a_row;
    if ((p->row + rows - 1) * g->a_row + whole + GEMM_DEPTH <= (g->m - 1) * g->a_row + g->k)
        return p->a + whole;
    memset(staged, 0, (size_t)rows * GEMM_DEPTH);
    for (int r = 0; r < rows; r++) memcpy(staged[r], p->a + r * g->a_row + whole, (size_t)(g->k - whole));
    *a_row = GEMM_DEPTH;
    return staged[0];
}

/* Whole sums of a tile's rows, and of another one's. */
VEC_FN void sum_products(tiles *t, const bool two_rows, const bool two_columns, const hone_gemm *g,
                         const place *first, const place *second, int rows, const int8_t *b, int32_t *sums) {
    const hone_gemm_run all = {0, g->k}, *run = g->runs ? g->runs : &all;
    const int64_t width = two_columns ? 32 : 16, row = g->a_row;
    tile_zero(t, SUM(0, 0));
    if (two_columns) tile_zero(t, SUM(0, 1));
    if (two_rows) tile_zero(t, SUM(1, 0));
    if (two_rows && two_columns) tile_zero(t, SUM(1, 1));
    for (int64_t left = g->k / GEMM_DEPTH; left > 0; run++) {
        const uint8_t *a = first->a + run->from, *a1 = second->a + run->from;
        const int64_t steps = run->count / GEMM_DEPTH;
        for (int64_t l = 0; l < steps; l++, b += GEMM_DEPTH * width)
            step(t, two_rows, two_columns, a + l * GEMM_DEPTH, row, a1 + l * GEMM_DEPTH, row, b);
        left -= steps;
    }
    if (g->k % GEMM_DEPTH > 0) {
        uint8_t staged[2][TILE_ROWS][GEMM_DEPTH];
        int64_t a_row, a1_row = 0;
        const uint8_t *a = tile_end(g, first, rows, staged[0], &a_row), *a1 = a;
        if (two_rows) a1 = tile_end(g, second, rows, staged[1], &a1_row);
        step(t, two_rows, two_columns, a, a_row, a1, a1_row, b);
    }
    const int64_t bytes = GEMM_PANEL * sizeof *sums;
    tile_store(t, SUM(0, 0), sums, bytes);
    if (two_columns) tile_store(t, SUM(0, 1), sums + GEMM_COLUMNS, bytes);
    if (!two_rows) return;
    sums +=
        (second->row - first->row) * GEMM_PANEL; /* rows of both come to lie where they are stored already */
    tile_store(t, SUM(1, 0), sums, bytes);
    if (two_columns) tile_store(t, SUM(1, 1), sums + GEMM_COLUMNS, bytes);
}

typedef void sum_fn(tiles *t, const hone_gemm *g, const place *first, const place *second, int rows,
                    const int8_t *b, int32_t *sums);

#define DEFINE(rows, columns)                                                                                \
    static void sum_##rows##x##columns(tiles *t, const hone_gemm *g, const place *first,                     \
                                       const place *second, int height, const int8_t *b, int32_t *sums) {    \
        sum_products(t, (rows) == 2, (columns) == 2, g, first, second, height, b, sums);                     \
    }
DEFINE(1, 1)
DEFINE(1, 2)
DEFINE(2, 1)
DEFINE(2, 2)
static sum_fn *const sum[2][2] = {{sum_1x1, sum_1x2}, {sum_2x1, sum_2x2}};

/* Tiles [begin, end), counted over all lines. */
static void run_tiles(tiles *t, const hone_gemm *g, const layout *l, int64_t begin, int64_t end, int64_t n0,
                      int64_t n1) {
    int32_t sums[2 * TILE_ROWS * GEMM_PANEL] __attribute__((aligned(64)));
    const int64_t depth = round_up(g->k, GEMM_DEPTH);
    const int rows = (int)l->rows;
    for (int64_t j = n0; j < n1; j += GEMM_PANEL) {
        const int8_t *b = (const int8_t *)g->b + j * depth;
        const int64_t columns = n1 - j < GEMM_PANEL ? n1 - j : GEMM_PANEL;
        int64_t line = begin / l->tiles, tile = begin % l->tiles;
        for (int64_t at = begin; at < end; at += 2) {
            place p[2] = {{0}};
            const bool two = at + 1 < end;
            for (int i = 0; i < 1 + two; i++) {
                p[i] = place_of(g, l, line, tile);
                if (++tile == l->tiles) line++, tile = 0;
            }
            sum[two][panel_width(g->n, j) > GEMM_COLUMNS](t, g, &p[0], &p[1], rows, b, sums);
            store(g, p[0].fresh, (int)(p[two].row + rows - p[0].fresh), j, columns,
                  sums + (p[0].fresh - p[0].row) * GEMM_PANEL);
        }
    }
}

/* Of rows that meet a panel of B before the next one does: they stay in the second-level cache. */
#define A_BYTES (512 * 1024)

/* `lines` lines of `width` rows from m0 on, which lie evenly if it is only one. */
static void run_lines(const hone_gemm *g, int64_t m0, int64_t lines, int64_t width, int64_t n0, int64_t n1) {
    const int64_t count = (width + TILE_ROWS - 1) / TILE_ROWS, rows = (width + count - 1) / count;
    const int64_t first =
        g->runs ? m0 / g->a_line * g->a_line_step + m0 % g->a_line * g->a_row : m0 * g->a_row;
    const layout l = {m0, width, (const uint8_t *)g->a + first, g->a_line_step, rows, count};
    const int64_t all = lines * count, part = (A_BYTES / (2 * rows * (g->a_row > 0 ? g->a_row : 1)) + 1) * 2;
    tiles t;
    tile_configure(&t, (int)rows, (int)rows);
    for (int64_t i = 0; i < all; i += part) run_tiles(&t, g, &l, i, i + part < all ? i + part : all, n0, n1);
    tile_release(&t);
}

/* Whole lines together, parts of lines before and behind them. */
static void run(const hone_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
    for (int64_t i = m0, end; i < m1; i = end) {
        const int64_t width = g->runs ? g->a_line : m1, left = m1 - i, at = g->runs ? i % width : 0;
        const int64_t lines = at == 0 && g->runs ? left / width : 0;
        end = i + (lines ? lines * width : left < width - at ? left : width - at);
        run_lines(g, i, lines ? lines : 1, lines ? width : end - i, n0, n1);
    }
}

const hone_gemm_family HONE_ISA_NAME(gemm_u8s8) = {.name = "gemm_u8s8 tiles",
                                                   .panel = GEMM_PANEL,
                                                   .rows = 2 * TILE_ROWS,
                                                   .columns = GEMM_COLUMNS,
                                                   .group = GEMM_GROUP,
                                                   .windows = true,
                                                   .nanoseconds = 0.001f,
                                                   .packed_size = packed_size,
                                                   .pack = pack,
                                                   .run = run};
