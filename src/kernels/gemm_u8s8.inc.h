/* The body of the integer GEMM, for one ISA level. Sums are exact, so all forms give equal bits. Before
 * including, define
 *
 *   GEMM_GROUP       values of k in one 32-bit word of A: 4 bytes, or 2 widened to 16 bits
 *   GEMM_VECTORS     vectors of columns in a panel
 *   GEMM_ROWS        rows of a register tile
 *   load_b(p)        GEMM_GROUP bytes of VEC_F32 columns as words
 *   dot(sum, a, b)   adds the products of words
 *
 * Packed B:  panel | group of k | column of the panel | k within the group. The last panel is as wide as
 * whole vectors make it; k and columns beyond the end are zero. A word of A, of GEMM_GROUP values of k, meets
 * all columns of a panel at once: the tile holds GEMM_ROWS x GEMM_VECTORS vectors of sums in registers. */
#include "kernels/levels.h"
#include "kernels/vec.h"

#define PANEL (GEMM_VECTORS * VEC_F32)
#define WORDS 256 /* words of A that are staged at once */

const int HONE_ISA_NAME(gemm_u8s8_panel) = PANEL;
const int HONE_ISA_NAME(gemm_u8s8_rows) = GEMM_ROWS;

static int64_t groups_of(int64_t k) {
    return (k + GEMM_GROUP - 1) / GEMM_GROUP;
}

/* n up to whole vectors: the columns that are stored. */
static int64_t stored_columns(int64_t n) {
    return (n + VEC_F32 - 1) / VEC_F32 * VEC_F32;
}

size_t HONE_ISA_NAME(gemm_u8s8_packed_size)(int64_t k, int64_t n) {
    return (size_t)groups_of(k) * GEMM_GROUP * (size_t)stored_columns(n);
}

void HONE_ISA_NAME(gemm_u8s8_pack)(int64_t k, int64_t n, const int8_t *b, int64_t b_row, int64_t b_col,
                                   int8_t *packed, int32_t *column_sum) {
    for (int64_t j = 0; column_sum && j < n; j++) column_sum[j] = 0;
    for (int64_t p = 0; p < n; p += PANEL) {
        const int64_t width = stored_columns(n - p < PANEL ? n - p : PANEL);
        for (int64_t l = 0; l < k; l += GEMM_GROUP)
            for (int64_t j = p; j < p + width; j++)
                for (int64_t t = l; t < l + GEMM_GROUP; t++) {
                    int8_t value = t < k && j < n ? b[t * b_row + j * b_col] : 0;
                    if (column_sum && j < n) column_sum[j] += value;
                    *packed++ = value;
                }
    }
}

/* sums[rows][PANEL] = or, if `more`, += `words` words of each row of A times as many groups of B. Few rows
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
            sum[i][v] = more && i < rows ? vec_load_i32(sums + i * PANEL + v * VEC_F32) : vec_set1_i32(0);

    int64_t w = 0;
    for (; w + chains <= words; w += chains) {
#pragma GCC unroll 4
        for (int c = 0; c < chains; c++, b += step, a += 4) {
            vec_i32 column[GEMM_VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) column[v] = load_b(b + v * VEC_F32 * GEMM_GROUP);
#pragma GCC unroll 8
            for (int i = 0; i < rows; i++) {
                int32_t word;
                memcpy(&word, a + i * a_row, 4);
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++)
                    sum[c * rows + i][v] = dot(sum[c * rows + i][v], vec_set1_i32(word), column[v]);
            }
        }
    }
    for (; chains > 1 && w < words; w++, b += step, a += 4)
#pragma GCC unroll 2
        for (int i = 0; i < rows; i++) {
            int32_t word;
            memcpy(&word, a + i * a_row, 4);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                sum[i][v] = dot(sum[i][v], vec_set1_i32(word), load_b(b + v * VEC_F32 * GEMM_GROUP));
        }

#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            vec_i32 total = sum[i][v];
#pragma GCC unroll 4
            for (int c = 1; c < chains; c++) total = vec_add_i32(total, sum[c * rows + i][v]);
            vec_store_i32(sums + i * PANEL + v * VEC_F32, total);
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
static void sum_products(const hone_gemm_u8s8 *g, int64_t i, int rows, int vectors, const int8_t *b,
                         int32_t *sums) {
    tile_fn *const run = tiles[(rows - 1) * GEMM_VECTORS + vectors - 1];
    const int64_t step = vectors * VEC_F32 * GEMM_GROUP;
    const uint8_t *a = g->a + i * g->a_row;
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
        run((const uint8_t *)wide, sizeof wide[0], groups_of(count), b + done / 2 * step, sums, done > 0);
        done += count;
    } while (done < g->k);
#endif
}

VEC_FN vec_f32 load_columns(const float *p, int n) {
    return n == VEC_F32 ? vec_load(p) : vec_load_n(p, n);
}
VEC_FN vec_i32 load_columns_i32(const int32_t *p, int n) {
    return n == VEC_F32 ? vec_load_i32(p) : vec_load_i32_n(p, n);
}

/* What becomes of n <= VEC_F32 sums of row i from column j on. lo and hi are those of the value before
 * rounding. */
VEC_FN void store_vector(const hone_gemm_u8s8 *g, int64_t i, int64_t j, int n, vec_i32 s, float lo,
                         float hi) {
    const int64_t at = i * g->c_row + j;
    if (g->bias) s = vec_add_i32(s, load_columns_i32(g->bias + j, n));
    if (g->b_zero)
        s = vec_sub_i32(s, vec_mul_i32(load_columns_i32(g->b_zero + j, n), vec_set1_i32(g->a_sum[i])));
    if (g->store == HONE_STORE_I32) {
        vec_store_i32_n((int32_t *)g->c + at, s, n);
        return;
    }
    vec_f32 v = vec_from_i32(s) * load_columns(g->scale + j, n);
    if (g->offset) v = v + load_columns(g->offset + j, n);
    const vec_f32 least = vec_set1(lo),
                  most = vec_set1(hi); /* vec_max and vec_min give b where either is NaN */
    if (g->store == HONE_STORE_F32) {
        vec_store_n((float *)g->c + at, vec_min(most, vec_max(least, v)), n);
        return;
    }
    v = vec_min(vec_max(v, least), most);
    s = vec_add_i32(vec_to_i32(v), vec_set1_i32(g->c_zero));
    if (g->store == HONE_STORE_U8) {
        if (n == VEC_F32)
            vec_store_u8((uint8_t *)g->c + at, s);
        else
            vec_store_u8_n((uint8_t *)g->c + at, s, n);
    } else {
        if (n == VEC_F32)
            vec_store_s8((int8_t *)g->c + at, s);
        else
            vec_store_s8_n((int8_t *)g->c + at, s, n);
    }
}

static float clamp(float x, float lo, float hi) {
    return x < lo ? lo : x > hi ? hi : x;
}

static void store(const hone_gemm_u8s8 *g, int64_t i, int rows, int64_t j, int64_t columns,
                  const int32_t *sums) {
    float lo = g->lo, hi = g->hi;
    if (g->store == HONE_STORE_U8 || g->store == HONE_STORE_S8) {
        /* Saturation is one more clamp, and clamping to whole numbers may come before rounding. */
        const float least = g->store == HONE_STORE_U8 ? 0.0f : -128.0f, zero = (float)g->c_zero;
        lo = clamp(lo, least - zero, least + 255.0f - zero);
        hi = clamp(hi, least - zero, least + 255.0f - zero);
    }
    for (int r = 0; r < rows; r++, sums += PANEL) {
        int64_t v = 0;
        for (; v + VEC_F32 <= columns; v += VEC_F32)
            store_vector(g, i + r, j + v, VEC_F32, vec_load_i32(sums + v), lo, hi);
        if (v < columns) store_vector(g, i + r, j + v, (int)(columns - v), vec_load_i32(sums + v), lo, hi);
    }
}

/* Rows left are shared evenly by the last two tiles, so that none is thin. */
static int next_rows(int64_t left) {
    return (int)(left >= 2 * GEMM_ROWS ? GEMM_ROWS : left > GEMM_ROWS ? (left + 1) / 2 : left);
}

void HONE_ISA_NAME(gemm_u8s8)(const hone_gemm_u8s8 *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
    int32_t sums[GEMM_ROWS * PANEL] __attribute__((aligned(64)));
    const int64_t depth = groups_of(g->k) * GEMM_GROUP;
    for (int64_t j = n0; j < n1; j += PANEL) {
        const int64_t columns = n1 - j < PANEL ? n1 - j : PANEL;
        /* The width of the panel in memory, which is that of n, not of the cut. */
        const int vectors = (int)(stored_columns(g->n - j < PANEL ? g->n - j : PANEL) / VEC_F32);
        for (int64_t i = m0, rows; i < m1; i += rows) {
            rows = next_rows(m1 - i);
            sum_products(g, i, (int)rows, vectors, g->b + j * depth, sums);
            store(g, i, (int)rows, j, columns, sums);
        }
    }
}
