/* The body of the integer GEMM over vectors, for one ISA level. Sums are exact, so all forms give equal bits.
 * Before including, define
 *
 *   GEMM_GROUP       values of k in one 32-bit word of A: 4 bytes, or 2 widened to 16 bits
 *   GEMM_VECTORS     vectors of columns in a panel
 *   GEMM_ROWS        rows of a register tile
 *   GEMM_NANOSECONDS of a multiplication and addition
 *   load_b(p)        GEMM_GROUP bytes of VEC_F32 columns as words
 *   dot(sum, a, b)   adds the products of words
 *   GEMM_FLIP        0x80808080 where `dot` takes signed bytes on both sides: a - 128 is what it sees of A, and
 *                    128 times the sums of B's columns are added
 *
 * A word of A, of GEMM_GROUP values of k, meets all columns of a panel at once: the tile holds
 * GEMM_ROWS x GEMM_VECTORS vectors of sums in registers. */
#define GEMM_DEPTH GEMM_GROUP
#define GEMM_COLUMNS VEC_F32
#define GEMM_PANEL (GEMM_VECTORS * VEC_F32)
#include "kernels/gemm_u8s8_common.inc.h"

#ifndef GEMM_FLIP
#define GEMM_FLIP 0
#endif

#define WORDS 256 /* words of A that are staged at once */

VEC_FN vec_i32 spread(const uint8_t *a) {
    uint32_t word;
    memcpy(&word, a, 4);
    return vec_set1_i32((int32_t)(word ^ GEMM_FLIP));
}

/* sums[rows][GEMM_PANEL] = or, if `more`, += `words` words of each row of A times as many groups of B. Few rows
 * have too few sums to hide the latency of `dot`: they take several groups in turn, each into sums of its
 * own. */
VEC_FN void tile(const int rows, const int vectors, const uint8_t *a, int64_t a_row, int64_t words,
                 const int8_t *b, int32_t *sums, bool more) {
    enum { CHAINS_MOST = 4 };
    const int chains = rows == 1 ? CHAINS_MOST : rows == 2 ? 2 : 1, step = vectors * VEC_F32 * GEMM_GROUP;
    vec_i32 sum[CHAINS_MOST > GEMM_ROWS ? CHAINS_MOST : GEMM_ROWS][GEMM_VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < chains * rows; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[i][v] =
                more && i < rows ? vec_load_i32(sums + i * GEMM_PANEL + v * VEC_F32) : vec_set1_i32(0);
    if (GEMM_FLIP) {
        vec_i32 less[GEMM_VECTORS] = {0}; /* -128 times B's columns */
        for (int64_t w = 0; w < words; w++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                less[v] = dot(less[v], vec_set1_i32((int32_t)GEMM_FLIP),
                              load_b(b + w * step + v * VEC_F32 * GEMM_GROUP));
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sum[i][v] = vec_sub_i32(sum[i][v], less[v]);
    }

    int64_t w = 0;
    for (; w + chains <= words; w += chains) {
#pragma GCC unroll 4
        for (int c = 0; c < chains; c++, b += step, a += 4) {
            vec_i32 column[GEMM_VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) column[v] = load_b(b + v * VEC_F32 * GEMM_GROUP);
#pragma GCC unroll 8
            for (int i = 0; i < rows; i++) {
                const vec_i32 word = spread(a + i * a_row);
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++)
                    sum[c * rows + i][v] = dot(sum[c * rows + i][v], word, column[v]);
            }
        }
    }
    for (; chains > 1 && w < words; w++, b += step, a += 4)
#pragma GCC unroll 2
        for (int i = 0; i < rows; i++) {
            const vec_i32 word = spread(a + i * a_row);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                sum[i][v] = dot(sum[i][v], word, load_b(b + v * VEC_F32 * GEMM_GROUP));
        }

#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            vec_i32 total = sum[i][v];
#pragma GCC unroll 4
            for (int c = 1; c < chains; c++) total = vec_add_i32(total, sum[c * rows + i][v]);
            vec_store_i32(sums + i * GEMM_PANEL + v * VEC_F32, total);
        }
}

typedef void tile_fn(const uint8_t *a, int64_t a_row, int64_t words, const int8_t *b, int32_t *sums,
                     bool more);

#define TILE(rows, vectors)                                                                                  \
    static void tile_##rows##x##vectors(const uint8_t *a, int64_t a_row, int64_t words, const int8_t *b,     \
                                        int32_t *sums, bool more) {                                          \
        tile(rows, vectors, a, a_row, words, b, sums, more);                                                 \
    }
#define TILE_NAME(rows, vectors) tile_##rows##x##vectors,
#if GEMM_VECTORS == 4
#define TILE_VECTORS(X, rows) X(rows, 1) X(rows, 2) X(rows, 3) X(rows, 4)
#else
#define TILE_VECTORS(X, rows) X(rows, 1) X(rows, 2)
#endif
#define TILES(X)                                                                                             \
    TILE_VECTORS(X, 1)                                                                                       \
    TILE_VECTORS(X, 2)                                                                                       \
    TILE_VECTORS(X, 3)                                                                                       \
    TILE_VECTORS(X, 4)                                                                                       \
    TILE_VECTORS(X, 5)                                                                                       \
    TILE_VECTORS(X, 6)
_Static_assert(GEMM_ROWS == 6 && (GEMM_VECTORS == 4 || GEMM_VECTORS == 2), "the list of tiles");
TILES(TILE)
static tile_fn *const tiles[GEMM_ROWS * GEMM_VECTORS] = {TILES(TILE_NAME)};

/* Sums of whole products, k from 0 to the end. A's words are read in place where they are bytes; where they
 * are widened, and at a row's end, which must not be read past, they are staged. */
static void sum_products(const hone_gemm *g, int64_t i, int rows, int vectors, const int8_t *b,
                         int32_t *sums) {
    tile_fn *const run = tiles[(rows - 1) * GEMM_VECTORS + vectors - 1];
    const int64_t step = vectors * VEC_F32 * GEMM_GROUP;
    const uint8_t *a = (const uint8_t *)g->a + i * g->a_row;
#if GEMM_GROUP == 4
    const int64_t whole = g->k / 4;
    run(a, g->a_row, whole, b, sums, false);
    if (whole * 4 == g->k) return;
    uint8_t last[GEMM_ROWS][4] = {{0}};
    for (int r = 0; r < rows; r++) memcpy(last[r], a + r * g->a_row + whole * 4, (size_t)(g->k - whole * 4));
    run(last[0], 4, 1, b + whole * step, sums, true);
#else
    int16_t wide[GEMM_ROWS][2 * WORDS];
    int64_t done = 0;
    do {
        const int64_t count = g->k - done < 2 * WORDS ? g->k - done : 2 * WORDS;
        for (int r = 0; r < rows; r++) {
            const uint8_t *row = a + r * g->a_row + done;
            for (int64_t l = 0; l < count; l++) wide[r][l] = row[l];
            if (count % 2) wide[r][count] = 0;
        }
        run((const uint8_t *)wide, sizeof wide[0], (count + 1) / 2, b + done / 2 * step, sums, done > 0);
        done += count;
    } while (done < g->k);
#endif
}

/* Rows left are shared evenly by the last two tiles, so that none is thin. */
static int next_rows(int64_t left) {
    return (int)(left >= 2 * GEMM_ROWS ? GEMM_ROWS : left > GEMM_ROWS ? (left + 1) / 2 : left);
}

static void run(const hone_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
    int32_t sums[GEMM_ROWS * GEMM_PANEL] __attribute__((aligned(64)));
    const int64_t depth = round_up(g->k, GEMM_DEPTH);
    for (int64_t j = n0; j < n1; j += GEMM_PANEL) {
        const int64_t columns = n1 - j < GEMM_PANEL ? n1 - j : GEMM_PANEL;
        /* The width of the panel in memory, which is that of n, not of the cut. */
        const int vectors = (int)(panel_width(g->n, j) / VEC_F32);
        for (int64_t i = m0, rows; i < m1; i += rows) {
            rows = next_rows(m1 - i);
            sum_products(g, i, (int)rows, vectors, (const int8_t *)g->b + j * depth, sums);
            store(g, i, (int)rows, j, columns, sums);
        }
    }
}

const hone_gemm_family HONE_ISA_NAME(gemm_u8s8) = {.name = "gemm_u8s8",
                                                   .panel = GEMM_PANEL,
                                                   .rows = GEMM_ROWS,
                                                   .columns = VEC_F32,
                                                   .group = GEMM_GROUP,
                                                   .nanoseconds = GEMM_NANOSECONDS,
                                                   .packed_size = packed_size,
                                                   .pack = pack,
                                                   .run = run};
