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

/* What a tile of A reads beyond the last whole step: a row goes on into the next one, where B is zero, but the last row of A
 * must not be read past. Those are staged. */
VEC_FN const uint8_t *tile_end(const hone_gemm *g, int64_t i, int rows, uint8_t (*staged)[GEMM_DEPTH],
                               int64_t *a_row) {
    const int64_t whole = g->k / GEMM_DEPTH * GEMM_DEPTH;
    const uint8_t *a = (const uint8_t *)g->a + i * g->a_row + whole;
    *a_row = g->a_row;
    if ((i + rows - 1) * g->a_row + whole + GEMM_DEPTH <= (g->m - 1) * g->a_row + g->k) return a;
    memset(staged, 0, (size_t)rows * GEMM_DEPTH);
    for (int r = 0; r < rows; r++) memcpy(staged[r], a + r * g->a_row, (size_t)(g->k - whole));
    *a_row = GEMM_DEPTH;
    return staged[0];
}

/* Whole sums of a tile's rows from row i on, and of another one's from row i1 on. */
VEC_FN void sum_products(tiles *t, const bool two_rows, const bool two_columns, const hone_gemm *g, int64_t i,
                         int64_t i1, int rows, const int8_t *b, int32_t *sums) {
    const uint8_t *a = (const uint8_t *)g->a + i * g->a_row, *a1 = (const uint8_t *)g->a + i1 * g->a_row;
    const int64_t whole = g->k / GEMM_DEPTH, width = two_columns ? 32 : 16;
    tile_zero(t, SUM(0, 0));
    if (two_columns) tile_zero(t, SUM(0, 1));
    if (two_rows) tile_zero(t, SUM(1, 0));
    if (two_rows && two_columns) tile_zero(t, SUM(1, 1));
    for (int64_t l = 0; l < whole; l++, b += GEMM_DEPTH * width, a += GEMM_DEPTH, a1 += GEMM_DEPTH)
        step(t, two_rows, two_columns, a, g->a_row, a1, g->a_row, b);
    if (g->k % GEMM_DEPTH > 0) {
        uint8_t staged[2][TILE_ROWS][GEMM_DEPTH];
        int64_t a_row, a1_row = 0;
        a = tile_end(g, i, rows, staged[0], &a_row);
        if (two_rows) a1 = tile_end(g, i1, rows, staged[1], &a1_row);
        step(t, two_rows, two_columns, a, a_row, a1, a1_row, b);
    }
    const int64_t bytes = GEMM_PANEL * sizeof *sums;
    tile_store(t, SUM(0, 0), sums, bytes);
    if (two_columns) tile_store(t, SUM(0, 1), sums + GEMM_COLUMNS, bytes);
    sums += (i1 - i) * GEMM_PANEL; /* rows of both come to lie where they are stored already */
    if (two_rows) tile_store(t, SUM(1, 0), sums, bytes);
    if (two_rows && two_columns) tile_store(t, SUM(1, 1), sums + GEMM_COLUMNS, bytes);
}

typedef void sum_fn(tiles *t, const hone_gemm *g, int64_t i, int64_t i1, int rows, const int8_t *b,
                    int32_t *sums);

#define DEFINE(rows, columns)                                                                                \
    static void sum_##rows##x##columns(tiles *t, const hone_gemm *g, int64_t i, int64_t i1, int height,      \
                                       const int8_t *b, int32_t *sums) {                                     \
        sum_products(t, (rows) == 2, (columns) == 2, g, i, i1, height, b, sums);                             \
    }
DEFINE(1, 1)
DEFINE(1, 2)
DEFINE(2, 1)
DEFINE(2, 2)
static sum_fn *const sum[2][2] = {{sum_1x1, sum_1x2}, {sum_2x1, sum_2x2}};

/* Rows [begin, end), of those from m0 to m1, by tiles of `rows` rows each. The last one begins earlier where there are fewer
 * left: what it has in common with the one before is stored once. */
static void run_rows(tiles *t, const hone_gemm *g, int64_t begin, int64_t end, int64_t m1, int rows,
                     int64_t n0, int64_t n1) {
    int32_t sums[2 * TILE_ROWS * GEMM_PANEL] __attribute__((aligned(64)));
    const int64_t depth = round_up(g->k, GEMM_DEPTH), last = m1 - rows;
    for (int64_t j = n0; j < n1; j += GEMM_PANEL) {
        const int8_t *b = (const int8_t *)g->b + j * depth;
        const int64_t columns = n1 - j < GEMM_PANEL ? n1 - j : GEMM_PANEL;
        for (int64_t i = begin; i < end; i += 2 * rows) {
            const int64_t first = i < last ? i : last, second = i + rows < last ? i + rows : last;
            const bool two = i + rows < m1;
            const int64_t count = (end < i + 2 * rows ? end : i + 2 * rows) - i;
            sum[two][panel_width(g->n, j) > GEMM_COLUMNS](t, g, first, second, rows, b, sums);
            store(g, i, (int)count, j, columns, sums + (i - first) * GEMM_PANEL);
        }
    }
}

#define A_BYTES                                                                                              \
    (512 *                                                                                                   \
     1024) /* of rows that meet a panel of B before the next one does: they stay in the second-level cache */

static void run(const hone_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
    if (m0 >= m1) return;
    const int64_t count = (m1 - m0 + TILE_ROWS - 1) / TILE_ROWS, rows = (m1 - m0 + count - 1) / count;
    const int64_t pairs = A_BYTES / (2 * rows * (g->a_row > 0 ? g->a_row : 1)) + 1, part = pairs * 2 * rows;
    tiles t;
    tile_configure(&t, (int)rows, (int)rows);
    for (int64_t i = m0; i < m1; i += part)
        run_rows(&t, g, i, i + part < m1 ? i + part : m1, m1, (int)rows, n0, n1);
    tile_release(&t);
}

const hone_gemm_family HONE_ISA_NAME(gemm_u8s8) = {.name = "gemm_u8s8 tiles",
                                                   .panel = GEMM_PANEL,
                                                   .rows = 2 * TILE_ROWS,
                                                   .columns = GEMM_COLUMNS,
                                                   .group = GEMM_GROUP,
                                                   .nanoseconds = 0.001f,
                                                   .packed_size = packed_size,
                                                   .pack = pack,
                                                   .run = run};
