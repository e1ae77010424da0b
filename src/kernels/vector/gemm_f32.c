/* fp32 GEMM. A tile of C (up to TILE_ROWS rows, some panels of B) is summed in registers over a block of k.
 * When k is cut into blocks, unfinished sums wait in `partial` and go on from there, so every element is one
 * chain of sums in the order of k, whatever tile it falls into. */
#include "kernels/levels.h"
#include "kernels/vec.h"

#if VEC_F32 == 16
#define PANEL_VECS 3
#define TILE_ROWS 8
#define BLOCK_K 256
#define BLOCK_ROWS 128
#define PREFETCH 16 /* rows of B ahead */
#elif VEC_F32 == 8
#define PANEL_VECS 2
#define TILE_ROWS 6
#define BLOCK_K 384
#define BLOCK_ROWS 144
#define PREFETCH 16
#else
#define PANEL_VECS 2
#define TILE_ROWS 4
#define BLOCK_K 512
#define BLOCK_ROWS 128
#define PREFETCH 16
#endif
#define PANEL (PANEL_VECS * VEC_F32)
#define LINE 16 /* floats a cache line */
#define MAX_PANELS 4
#define MAX_ACC 28

const int HONE_ISA_NAME(gemm_f32_panel) = PANEL;
const int HONE_ISA_NAME(gemm_f32_rows) = TILE_ROWS;

/* One tile's work. B is `panels` full panels and then, if the tile has one, a last panel of fewer vectors. */
typedef struct tile_work {
    int64_t k;
    const float *a;
    int64_t a_row, a_col;
    const float *b;
    int64_t b_step, b_panel; /* from row to row of B, from panel to panel */
    const float *b_last;
    int64_t b_last_step;
    int lanes; /* columns in the last vector of the last panel */
    bool resume, finish;
    float *partial; /* rows of PANEL */
    float *c;
    int64_t c_row;
    const float *bias;
    const hone_gemm_f32 *g;
    bool plain; /* alpha 1, no bias, no clamp, not accumulated */
} tile_work;

typedef void tile_fn(const tile_work *t);

VEC_FN vec_f32 epilogue(const hone_gemm_f32 *g, vec_f32 sum, bool has_bias, vec_f32 bias) {
    sum = sum * g->alpha;
    if (has_bias) sum = sum + bias;
    return vec_min(vec_set1(g->hi), vec_max(vec_set1(g->lo), sum));
}

VEC_FN void tile(const tile_work *t, const int rows, const int panels, const int last) {
    const int full = panels * PANEL_VECS, vecs = full + last;
    vec_f32 acc[MAX_ACC];
    if (t->resume) {
        VEC_UNROLL
        for (int i = 0; i < rows; i++) {
            VEC_UNROLL
            for (int v = 0; v < vecs; v++) acc[i * vecs + v] = vec_load(t->partial + i * PANEL + v * VEC_F32);
        }
    } else {
        VEC_UNROLL
        for (int i = 0; i < rows * vecs; i++) acc[i] = vec_zero();
    }

    const int64_t b_step = t->b_step, b_panel = t->b_panel, b_last_step = t->b_last_step;
    const int64_t a_row = t->a_row, a_col = t->a_col;
    /* Two bases, so that the strides of eight rows take few registers. */
    const float *a = t->a, *a_4 = rows > 4 ? a + 4 * a_row : a;
    const float *b = t->b, *b_last = t->b_last;
    const int lanes = t->lanes;
    for (int64_t l = t->k; l > 0; l--) {
        vec_f32 x[MAX_ACC];
        VEC_UNROLL
        for (int v = 0; v < full; v++)
            x[v] = vec_load(b + v / PANEL_VECS * b_panel + v % PANEL_VECS * VEC_F32);
        VEC_UNROLL
        for (int v = 0; v < last; v++)
            x[full + v] =
                v + 1 < last ? vec_load(b_last + v * VEC_F32) : vec_load_n(b_last + v * VEC_F32, lanes);
        VEC_UNROLL
        for (int p = 0; p < panels; p++) {
            VEC_UNROLL
            for (int j = 0; j < PANEL; j += LINE) vec_prefetch(b + p * b_panel + PREFETCH * b_step + j);
        }
        VEC_UNROLL
        for (int j = 0; j < last * VEC_F32; j += LINE) vec_prefetch(b_last + PREFETCH * b_last_step + j);
        VEC_UNROLL
        for (int i = 0; i < rows; i++) {
            vec_f32 s = vec_set1(i < 4 ? a[i * a_row] : a_4[(i - 4) * a_row]);
            VEC_UNROLL
            for (int v = 0; v < vecs; v++) acc[i * vecs + v] = vec_fma(s, x[v], acc[i * vecs + v]);
        }
        a += a_col;
        a_4 += a_col;
        b += b_step;
        b_last += b_last_step;
    }

    if (!t->finish) {
        VEC_UNROLL
        for (int i = 0; i < rows; i++) {
            VEC_UNROLL
            for (int v = 0; v < vecs; v++) vec_store(t->partial + i * PANEL + v * VEC_F32, acc[i * vecs + v]);
        }
        return;
    }
    const hone_gemm_f32 *g = t->g;
    if (!t->plain) {
        VEC_UNROLL
        for (int v = 0; v < vecs; v++) {
            const int count = last > 0 && v == vecs - 1 ? lanes : VEC_F32;
            vec_f32 bias = vec_zero();
            if (t->bias) bias = vec_load_n(t->bias + v * VEC_F32, count);
            VEC_UNROLL
            for (int i = 0; i < rows; i++) {
                vec_f32 y = epilogue(g, acc[i * vecs + v], t->bias != NULL, bias);
                if (g->accumulate) y = y + vec_load_n(t->c + i * t->c_row + v * VEC_F32, count);
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

/* X(rows, panels, last): the tiles there are. Few rows take several panels, so that enough sums are in flight
 * to hide the latency of an addition. */
#if PANEL_VECS == 3
#define WIDE_1 4
#define WIDE_2 3
#define WIDE_3 2
#define SINGLE(X, rows) X(rows, 0, 1) X(rows, 0, 2) X(rows, 1, 0)
#define TILES(X)                                                                                             \
    SINGLE(X, 1)                                                                                             \
    X(1, 1, 1)                                                                                               \
    X(1, 1, 2)                                                                                               \
    X(1, 2, 0)                                                                                               \
    X(1, 2, 1)                                                                                               \
    X(1, 2, 2) X(1, 3, 0) X(1, 3, 1) X(1, 3, 2) X(1, 4, 0) X(1, 4, 1) X(1, 4, 2) SINGLE(X, 2) X(2, 1, 1)     \
        X(2, 1, 2) X(2, 2, 0) X(2, 2, 1) X(2, 2, 2) X(2, 3, 0) X(2, 3, 1) X(2, 3, 2) SINGLE(X, 3) X(3, 1, 1) \
            X(3, 1, 2) X(3, 2, 0) X(3, 2, 1) X(3, 2, 2) SINGLE(X, 4) SINGLE(X, 5) SINGLE(X, 6) SINGLE(X, 7)  \
                SINGLE(X, 8)
#else
#define WIDE_1 4
#define WIDE_2 2
#define WIDE_3 1
#define SINGLE(X, rows) X(rows, 0, 1) X(rows, 1, 0)
#define TILES_4(X)                                                                                           \
    SINGLE(X, 1)                                                                                             \
    X(1, 1, 1)                                                                                               \
    X(1, 2, 0)                                                                                               \
    X(1, 2, 1)                                                                                               \
    X(1, 3, 0)                                                                                               \
    X(1, 3, 1) X(1, 4, 0) X(1, 4, 1) SINGLE(X, 2) X(2, 1, 1) X(2, 2, 0) X(2, 2, 1) SINGLE(X, 3) X(3, 1, 1)   \
        SINGLE(X, 4)
#if TILE_ROWS == 6
#define TILES(X) TILES_4(X) SINGLE(X, 5) SINGLE(X, 6)
#else
#define TILES(X) TILES_4(X)
#endif
#endif

#define DEFINE(rows, panels, last)                                                                           \
    static void tile_##rows##_##panels##_##last(const tile_work *t) {                                        \
        tile(t, rows, panels, last);                                                                         \
    }
TILES(DEFINE)
#define ENTER(rows, panels, last) [rows][panels][last] = tile_##rows##_##panels##_##last,
static tile_fn *const tiles[TILE_ROWS + 1][MAX_PANELS + 1][PANEL_VECS] = {TILES(ENTER)};

static int64_t min_i64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The rows [0, rows) of `t`, which stand at its a, c and partial, in tiles of as equal a height as can be. */
static void run_rows(tile_work t, int64_t rows, int64_t panels, int last) {
    int64_t count = (rows + TILE_ROWS - 1) / TILE_ROWS;
    for (int64_t i = 0, row = 0; i < count; i++) {
        int64_t height = rows * (i + 1) / count - row;
        tiles[height][panels][last](&t);
        row += height;
        t.a += height * t.a_row;
        t.c += height * t.c_row;
        t.partial += height * PANEL;
    }
}

/* All of k for some rows and one group of panels. */
static void run_group(tile_work t, int64_t rows, int64_t panels, int last) {
    const hone_gemm_f32 *g = t.g;
    float partial[BLOCK_ROWS * PANEL] __attribute__((aligned(64)));
    t.partial = partial;
    const int64_t step = rows <= TILE_ROWS || g->k <= BLOCK_K ? g->k : BLOCK_K;
    int64_t done = 0;
    do {
        t.k = min_i64(step, g->k - done);
        t.resume = done > 0;
        done += t.k;
        t.finish = done == g->k;
        run_rows(t, rows, panels, last);
        t.a += t.k * t.a_col;
        t.b += t.k * t.b_step;
        t.b_last += t.k * t.b_last_step;
    } while (done < g->k);
}

void HONE_ISA_NAME(gemm_f32)(const hone_gemm_f32 *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
    const bool packed = g->b_row == 0;
    const int64_t full = (n1 - n0) / PANEL, rest = (n1 - n0) % PANEL; /* panels, columns */
    const int last = (int)((rest + VEC_F32 - 1) / VEC_F32);
    tile_work t = {.a_row = g->a_row, .a_col = g->a_col, .c_row = g->c_row, .g = g};
    t.b_step = packed ? PANEL : g->b_row;
    t.b_panel = packed ? g->k * PANEL : PANEL;
    t.lanes = (int)(rest - (last - 1) * VEC_F32);
    t.plain = g->alpha == 1.0f && !g->bias && g->lo == -__builtin_inff() && g->hi == __builtin_inff() &&
              !g->accumulate;
    for (int64_t row = m0; row < m1; row += BLOCK_ROWS) {
        const int64_t rows = min_i64(BLOCK_ROWS, m1 - row);
        const int64_t wide = rows == 1 ? WIDE_1 : rows == 2 ? WIDE_2 : rows == 3 ? WIDE_3 : 1;
        const bool joined = rows <= 3; /* the last panel goes with full ones */
        int64_t groups = (full + wide - 1) / wide + (last > 0 && (!joined || full == 0));
        for (int64_t i = 0, panel = 0; i < groups; i++) {
            const bool end = i + 1 == groups;
            int64_t panels = joined ? full * (i + 1) / groups - panel : panel < full;
            int64_t column = n0 + panel * PANEL;
            t.a = g->a + row * g->a_row;
            t.c = g->c + row * g->c_row + column;
            t.b = packed ? g->b + n0 * g->k + panel * t.b_panel : g->b + column;
            t.b_last = t.b + panels * t.b_panel;
            t.b_last_step = packed && end && last > 0 ? last * VEC_F32 : t.b_step;
            t.bias = g->bias ? g->bias + column : NULL;
            run_group(t, rows, panels, end ? last : 0);
            panel += panels;
        }
    }
}

size_t HONE_ISA_NAME(gemm_f32_packed_size)(int64_t k, int64_t n) {
    int64_t columns = (n + VEC_F32 - 1) / VEC_F32 * VEC_F32;
    return ((size_t)k * (size_t)columns * sizeof(float) + 63) / 64 * 64;
}

/* Copies k rows of `width` columns into a panel whose rows are `padded` long. */
static void pack_rows(int64_t k, int64_t width, int64_t padded, const float *b, int64_t b_row, float *out) {
    for (int64_t l = 0; l < k; l++, b += b_row, out += padded) {
        int64_t j = 0;
        for (; j + VEC_F32 <= width; j += VEC_F32) vec_store(out + j, vec_load(b + j));
        if (j < padded) vec_store(out + j, vec_load_n(b + j, (int)(width - j)));
    }
}

typedef float four __attribute__((vector_size(16)));
typedef float four_memory __attribute__((vector_size(16), aligned(4), may_alias));

/* The same from columns that are contiguous (b_row = 1): transposes 4 x 4 blocks. */
static void pack_columns(int64_t k, int64_t width, int64_t padded, const float *b, int64_t b_col,
                         float *out) {
    const int64_t k4 = k / 4 * 4, width4 = width / 4 * 4;
    for (int64_t j = 0; j < width4; j += 4) {
        const float *x = b + j * b_col;
        for (int64_t l = 0; l < k4; l += 4) {
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
        for (int64_t l = k4; l < k; l++)
            for (int64_t q = 0; q < 4; q++) out[l * padded + j + q] = x[q * b_col + l];
    }
    for (int64_t l = 0; l < k; l++)
        for (int64_t j = width4; j < padded; j++) out[l * padded + j] = j < width ? b[j * b_col + l] : 0;
}

static void pack_any(int64_t k, int64_t width, int64_t padded, const float *b, int64_t b_row, int64_t b_col,
                     float *out) {
    for (int64_t l = 0; l < k; l++)
        for (int64_t j = 0; j < padded; j++) out[l * padded + j] = j < width ? b[l * b_row + j * b_col] : 0;
}

void HONE_ISA_NAME(gemm_f32_pack_part)(int64_t k, int64_t n, const float *b, int64_t b_row, int64_t b_col,
                                       int64_t n0, int64_t n1, float *packed) {
    n1 = min_i64(n, n1);
    for (int64_t j = n0; j < n1; j += PANEL) {
        const int64_t width = min_i64(PANEL, n - j), padded = (width + VEC_F32 - 1) / VEC_F32 * VEC_F32;
        const float *from = b + j * b_col;
        float *out = packed + j * k;
        if (b_col == 1)
            pack_rows(k, width, padded, from, b_row, out);
        else if (b_row == 1)
            pack_columns(k, width, padded, from, b_col, out);
        else
            pack_any(k, width, padded, from, b_row, b_col, out);
    }
}

void HONE_ISA_NAME(gemm_f32_pack)(int64_t k, int64_t n, const float *b, int64_t b_row, int64_t b_col,
                                  float *packed) {
    HONE_ISA_NAME(gemm_f32_pack_part)(k, n, b, b_row, b_col, 0, n, packed);
}
