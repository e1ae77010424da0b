/* The float GEMMs at every level this machine has, against sums in double. */
#include "base/cpu.h"
#include "base/memory.h"
#include "base/random.h"
#include "kernels/levels.h"
#include "support/levels.h"

#if defined(__x86_64__)
#include "amx.h"
#endif

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Every level's own, and those of many rows: packed by the level's. */
static const hone_gemm_family *levels[HONE_CPU_NEON + 3], *packers[HONE_CPU_NEON + 3];
static const char *names[HONE_CPU_NEON + 3];
static int level_count;
static hone_rng rng;

/* An operand that ends right at the end of its block, so that a sanitizer sees a read beyond it. */
typedef struct matrix {
    float *data;
    int64_t rows, columns, row, column; /* extents and strides */
    size_t count;
} matrix;

static matrix matrix_new(int64_t rows, int64_t columns, bool transposed, int64_t padding) {
    matrix x = {.rows = rows, .columns = columns};
    x.row = transposed ? 1 : columns + padding;
    x.column = transposed ? rows + padding : 1;
    x.count = rows && columns ? (size_t)((rows - 1) * x.row + (columns - 1) * x.column + 1) : 0;
    x.data = hone_alloc(x.count * sizeof(float));
    assert_non_null(x.data);
    for (size_t i = 0; i < x.count; i++) x.data[i] = hone_rng_uniform(&rng) * 2 - 1;
    return x;
}

static matrix matrix_copy(const matrix *x) {
    matrix y = *x;
    y.data = hone_alloc(x->count * sizeof(float));
    assert_non_null(y.data);
    if (x->count) memcpy(y.data, x->data, x->count * sizeof(float));
    return y;
}

/* hone_alloc's packed buffer of exactly the size asked for. */
static float *pack(const hone_gemm_family *family, const matrix *b) {
    float *packed = hone_alloc(family->packed_size(b->rows, b->columns));
    assert_non_null(packed);
    hone_gemm_b source = {b->rows, b->columns, b->data, b->row, b->column, 0, packed, NULL};
    family->pack(&source, 0, b->rows, 0, b->columns);
    return packed;
}

static void *room_for(const hone_gemm_family *family, int64_t m, int64_t n, int64_t k) {
    void *room = hone_alloc(family->room ? family->room(m, n, k, false) : 0);
    assert_non_null(room);
    return room;
}

/* `before`: what C was; `residual`: what was added. */
static void check(const char *level, const hone_gemm *g, const matrix *b, const matrix *before,
                  const matrix *residual) {
    const hone_epilogue *e = &g->epilogue;
    const float *a = g->a, *c = g->c, *bias = e->bias, *row_bias = e->row_bias;
    for (int64_t i = 0; i < g->m; i++) {
        for (int64_t j = 0; j < g->n; j++) {
            double sum = 0, size = 0;
            for (int64_t l = 0; l < g->k; l++) {
                double p = (double)a[i * g->a_row + l * g->a_col] * b->data[l * b->row + j * b->column];
                sum += p;
                size += fabs(p);
            }
            double old = e->residual ? residual->data[i * residual->row + j] : 0;
            double shift = bias ? (double)bias[j] : 0, row_shift = row_bias ? (double)row_bias[i] : 0;
            sum = sum * e->alpha + shift + row_shift;
            double added = 2 * (fabs(sum) + fabs(shift) + fabs(row_shift) + fabs(old));
            double bound = (size * fabs(e->alpha) * (double)(g->k + 2) + added) * FLT_EPSILON;
            double want = fmin(fmax(sum + old, e->lo), e->hi), got = c[i * g->c_row + j];
            if (!(fabs(got - want) <= bound + 1e-30))
                fail_msg("%s %dx%dx%d c[%d][%d] is %.9g, not %.9g (bound %.2g)", level, (int)g->m, (int)g->n,
                         (int)g->k, (int)i, (int)j, got, want, bound);
        }
        /* what lies between the rows of C is not ours */
        for (int64_t j = g->n; j < g->c_row && i + 1 < g->m; j++)
            assert_true(c[i * g->c_row + j] == before->data[i * before->row + j]);
    }
}

typedef struct options {
    bool a_transposed, b_transposed, epilogue, residual, accumulate; /* accumulate: C is its own residual */
    int64_t padding;
} options;

/* One product at every level, packed and (where B's rows are contiguous) direct. Both must be equal in bits. */
static void product(int64_t m, int64_t n, int64_t k, options o) {
    matrix a = matrix_new(m, k, o.a_transposed, o.padding), b = matrix_new(k, n, o.b_transposed, o.padding);
    matrix before = matrix_new(m, n, false, o.padding), bias = matrix_new(1, n, false, 0);
    matrix row_bias = matrix_new(m, 1, false, 0);
    matrix residual = matrix_new(m, n, false, 5);
    for (int level = 0; level < level_count; level++) {
        const hone_gemm_family *family = levels[level];
        float *packed = pack(packers[level], &b);
        void *room = room_for(family, m, n, k);
        matrix c = matrix_copy(&before), direct = matrix_copy(&before);
        hone_gemm g = {.m = m,
                       .n = n,
                       .k = k,
                       .a = a.data,
                       .a_row = a.row,
                       .a_col = a.column,
                       .b = packed,
                       .c = c.data,
                       .c_row = c.row,
                       .room = room,
                       .epilogue = {.alpha = o.epilogue || o.accumulate ? 0.75f : 1,
                                    .bias = o.epilogue ? bias.data : NULL,
                                    .row_bias = o.epilogue && !o.accumulate ? row_bias.data : NULL,
                                    .residual = o.accumulate ? c.data
                                                : o.residual ? residual.data
                                                             : NULL,
                                    .residual_row = o.accumulate ? c.row : residual.row,
                                    .lo = o.epilogue ? -0.5 : -INFINITY,
                                    .hi = o.epilogue ? 0.8 : INFINITY}};
        family->run(&g, 0, m, 0, n);
        check(names[level], &g, &b, &before, o.accumulate ? &before : &residual);
        if (!o.b_transposed) {
            g.b = b.data;
            g.b_row = b.row;
            g.b_col = 1;
            g.c = direct.data;
            if (o.accumulate) g.epilogue.residual = direct.data;
            family->run(&g, 0, m, 0, n);
            assert_memory_equal(c.data, direct.data, c.count * sizeof(float));
        }
        hone_free(packed);
        hone_free(room);
        hone_free(c.data);
        hone_free(direct.data);
    }
    hone_free(a.data);
    hone_free(b.data);
    hone_free(before.data);
    hone_free(residual.data);
    hone_free(bias.data);
    hone_free(row_bias.data);
}

static void test_shapes(void **state) {
    (void)state;
    static const int64_t rows[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 17, 24, 33};
    static const int64_t columns[] = {1,  3,  4,  7,  8,  10, 15, 16, 17,  24, 31,
                                      33, 47, 48, 49, 63, 64, 79, 95, 130, 209};
    static const int64_t depths[] = {1, 2, 5, 19, 66};
    int turn = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof columns / sizeof *columns; j++) {
            int64_t k = depths[turn % 5];
            product(rows[i], columns[j], k,
                    (options){.a_transposed = turn & 1,
                              .b_transposed = turn % 3 == 0,
                              .epilogue = turn % 4 == 1,
                              .residual = turn % 8 < 2,
                              .accumulate = turn % 4 == 2,
                              .padding = turn % 7});
            turn++;
        }
}

/* Depths at which sums are parked between blocks of k, with rows beyond a block. */
static void test_blocks(void **state) {
    (void)state;
    product(149, 61, 1100, (options){.epilogue = true});
    product(135, 61, 600, (options){.epilogue = true, .residual = true});
    product(131, 50, 700, (options){.a_transposed = true, .accumulate = true, .padding = 3});
    product(3, 97, 1500, (options){.b_transposed = true});
    /* rows so far apart that operands are copied */
    product(140, 200, 300,
            (options){.a_transposed = true, .epilogue = true, .residual = true, .padding = 259});
    product(17, 130, 257, (options){.a_transposed = true, .accumulate = true, .padding = 301});
    product(150, 77, 140, (options){.padding = 256});
    product(10, 17, 1025, (options){.accumulate = true});
}

/* k = 0 leaves the bias and the clamp; no rows or columns touch nothing. */
static void test_empty(void **state) {
    (void)state;
    for (int m = 0; m <= 9; m += 3)
        for (int n = 0; n <= 21; n += 7) {
            product(m, n, 0, (options){.epilogue = true});
            product(m, n, 0, (options){.accumulate = true});
            product(m, n, 0, (options){0});
            product(m, n, n * 3, (options){.epilogue = true});
        }
}

/* Any cut into blocks, and any number of rows, gives the same bits as the whole. */
static void test_cuts(void **state) {
    (void)state;
    const int64_t m = 45, n = 230, k = 900;
    matrix a = matrix_new(m, k, false, 0), b = matrix_new(k, n, false, 40), bias = matrix_new(1, n, false, 0);
    for (int level = 0; level < level_count; level++) {
        const hone_gemm_family *family = levels[level];
        const int64_t panel = family->panel;
        float *packed = pack(packers[level], &b);
        void *room = room_for(family, m, n, k);
        matrix whole = matrix_new(m, n, false, 0), cut = matrix_copy(&whole);
        for (int mode = 0; mode < 4; mode++) {
            const bool direct = mode & 1, accumulate = mode & 2;
            hone_gemm g = {.m = m,
                           .n = n,
                           .k = k,
                           .a = a.data,
                           .a_row = a.row,
                           .a_col = a.column,
                           .b = direct ? b.data : packed,
                           .b_row = direct ? b.row : 0,
                           .b_col = 1,
                           .c = whole.data,
                           .c_row = n,
                           .room = room,
                           .epilogue = {.alpha = 1,
                                        .bias = accumulate ? NULL : bias.data,
                                        .residual = accumulate ? whole.data : NULL,
                                        .residual_row = n,
                                        .lo = accumulate ? -INFINITY : 0,
                                        .hi = INFINITY}};
            memcpy(cut.data, whole.data, whole.count * sizeof(float));
            family->run(&g, 0, m, 0, n);
            g.c = cut.data;
            if (accumulate) g.epilogue.residual = cut.data;
            int64_t height = 1;
            for (int64_t row = 0; row < m; height++) {
                int64_t m1 = row + height < m ? row + height : m, width = 1;
                for (int64_t column = 0; column < n; width = width % 5 + 1) {
                    int64_t n1 = column + width * panel < n ? column + width * panel : n;
                    family->run(&g, row, m1, column, n1);
                    column = n1;
                }
                row = m1;
            }
            assert_memory_equal(whole.data, cut.data, whole.count * sizeof(float));
        }
        hone_free(packed);
        hone_free(room);
        hone_free(whole.data);
        hone_free(cut.data);
    }
    hone_free(a.data);
    hone_free(b.data);
    hone_free(bias.data);
}

/* The layout, element by element, with padding of zeros; parts packed alone give the same. */
static void check_pack(const hone_gemm_family *family, const matrix *b) {
    const int64_t k = b->rows, n = b->columns, panel = family->panel;
    /* 16 rows of floats fill whole cache lines, so this is n rounded up to the vector. */
    const int64_t columns = (int64_t)(family->packed_size(16, n) / 64);
    const size_t size = family->packed_size(k, n);
    assert_true(columns >= n && columns < n + panel);
    assert_true(size % 64 == 0 && size >= sizeof(float) * (size_t)(k * columns));
    float *packed = pack(family, b), *parts = hone_alloc(size);
    assert_non_null(parts);
    memset(parts, 0xff, size);
    hone_gemm_b source = {k, n, b->data, b->row, b->column, 0, parts, NULL};
    for (int64_t j0 = 0; j0 < n; j0 += panel) {
        const int64_t width = columns - j0 < panel ? columns - j0 : panel;
        const float *x = packed + j0 * k;
        for (int64_t l = 0; l < k; l++)
            for (int64_t j = 0; j < width; j++)
                assert_true(x[l * width + j] ==
                            (j0 + j < n ? b->data[l * b->row + (j0 + j) * b->column] : 0));
        for (int64_t l0 = 0; l0 < k; l0 += HONE_GEMM_PACK_ROWS)
            family->pack(&source, l0, l0 + HONE_GEMM_PACK_ROWS < k ? l0 + HONE_GEMM_PACK_ROWS : k, j0,
                         j0 + panel < n ? j0 + panel : n);
    }
    if (k && n) assert_memory_equal(packed, parts, sizeof(float) * (size_t)(k * columns));
    hone_free(packed);
    hone_free(parts);
}

static void test_pack(void **state) {
    (void)state;
    static const int64_t shapes[][2] = {{1, 1},   {5, 3},    {9, 48}, {7, 61}, {30, 100},
                                        {64, 50}, {197, 53}, {0, 8},  {8, 0}};
    for (int level = 0; level < level_count; level++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes && levels[level] == packers[level]; s++) {
            const int64_t k = shapes[s][0], n = shapes[s][1];
            matrix rows = matrix_new(k, n, false, 2), columns = matrix_new(k, n, true, 1);
            matrix every_second = matrix_new(k, 2 * n, false, 0);
            every_second.columns = n;
            every_second.column = 2;
            check_pack(levels[level], &rows);
            check_pack(levels[level], &columns);
            check_pack(levels[level], &every_second);
            hone_free(rows.data);
            hone_free(columns.data);
            hone_free(every_second.data);
        }
}

/* NaN and infinity go through the sum and the clamp. */
static void test_special(void **state) {
    (void)state;
    const float a[] = {1, 1}, b[] = {NAN, INFINITY, -INFINITY, INFINITY, 1, 1, 1, -INFINITY};
    for (int level = 0; level < level_count; level++) {
        float c[4];
        void *room = room_for(levels[level], 1, 4, 2);
        hone_gemm g = {.m = 1,
                       .n = 4,
                       .k = 2,
                       .a = a,
                       .a_row = 2,
                       .a_col = 1,
                       .b = b,
                       .b_row = 4,
                       .b_col = 1,
                       .c = c,
                       .c_row = 4,
                       .room = room,
                       .epilogue = {.alpha = 1, .lo = 0, .hi = 6}};
        levels[level]->run(&g, 0, 1, 0, 4);
        hone_free(room);
        assert_true(isnan(c[0]) && c[1] == 6 && c[2] == 0 && isnan(c[3]));
    }
}

/* A number without parts in one row and in one column: they alone are not finite, and as of floats. */
static void test_infinite(void **state) {
    (void)state;
    enum { M = 37, N = 101, K = 70 };
    static float a[M * K], b[K * N], c[M * N];
    for (int i = 0; i < M * K; i++) a[i] = hone_rng_uniform(&rng) + 0.5f;
    for (int i = 0; i < K * N; i++) b[i] = i % 3 ? 1 : hone_rng_uniform(&rng) + 0.5f;
    a[5 * K + 9] = -INFINITY;
    b[11 * N + 60] = INFINITY;
    for (int level = 0; level < level_count; level++) {
        void *room = room_for(levels[level], M, N, K);
        hone_gemm g = {.m = M,
                       .n = N,
                       .k = K,
                       .a = a,
                       .a_row = K,
                       .a_col = 1,
                       .b = b,
                       .b_row = N,
                       .b_col = 1,
                       .c = c,
                       .c_row = N,
                       .room = room,
                       .epilogue = {.alpha = 1, .lo = -INFINITY, .hi = INFINITY}};
        levels[level]->run(&g, 0, M, 0, N);
        hone_free(room);
        for (int i = 0; i < M; i++)
            for (int j = 0; j < N; j++) {
                const float y = c[i * N + j];
                const bool right = i == 5 && j == 60 ? isnan(y)
                                   : i == 5          ? y == -INFINITY
                                   : j == 60         ? y == INFINITY
                                                     : isfinite(y);
                if (!right) fail_msg("%s: c[%d][%d] is %g", names[level], i, j, y);
            }
    }
}

/* Three parts give what floats do: the errors' root mean square is no more than twice the plain kernel's, mostly less. */
static void test_errors(void **state) {
    (void)state;
    static const int64_t depths[] = {128, 300, 1100};
    for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
        const int64_t m = 40, n = 100, k = depths[d];
        matrix a = matrix_new(m, k, false, 0), b = matrix_new(k, n, false, 0);
        double plain = 0;
        for (int level = 0; level < level_count; level++) {
            matrix c = matrix_new(m, n, false, 0);
            void *room = room_for(levels[level], m, n, k);
            hone_gemm g = {.m = m,
                           .n = n,
                           .k = k,
                           .a = a.data,
                           .a_row = k,
                           .a_col = 1,
                           .b = b.data,
                           .b_row = n,
                           .b_col = 1,
                           .c = c.data,
                           .c_row = n,
                           .room = room,
                           .epilogue = {.alpha = 1, .lo = -INFINITY, .hi = INFINITY}};
            levels[level]->run(&g, 0, m, 0, n);
            double squares = 0;
            for (int64_t i = 0; i < m * n; i++) {
                double sum = 0;
                for (int64_t l = 0; l < k; l++) sum += (double)a.data[i / n * k + l] * b.data[l * n + i % n];
                squares += (sum - c.data[i]) * (sum - c.data[i]);
            }
            if (level == 0) plain = squares;
            if (squares > 4 * plain)
                fail_msg("%s: of %d, the error is %.2f times the plain one", names[level], (int)k,
                         sqrt(squares / plain));
            hone_free(c.data);
            hone_free(room);
        }
        hone_free(a.data);
        hone_free(b.data);
    }
}

static float to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void bf16(const char *name, const hone_gemm_family *family, int64_t m, int64_t n, int64_t k,
                 bool a_transposed, bool b_transposed) {
    matrix a = matrix_new(m, k, a_transposed, 3), b = matrix_new(k, n, b_transposed, 2),
           c = matrix_new(m, n, false, 5);
    matrix before = matrix_copy(&c), bias = matrix_new(1, n, false, 0);
    float *packed = pack(family, &b);
    hone_gemm g = {.m = m,
                   .n = n,
                   .k = k,
                   .a = a.data,
                   .a_row = a.row,
                   .a_col = a.column,
                   .b = packed,
                   .c = c.data,
                   .c_row = c.row,
                   .room = room_for(family, m, n, k),
                   .epilogue = {.alpha = 1, .bias = bias.data, .lo = -1, .hi = INFINITY}};
    const int64_t half = n / 2 / family->panel * family->panel;
    family->run(&g, 0, m / 2, 0, n);
    family->run(&g, m / 2, m, 0, half);
    family->run(&g, m / 2, m, half, n);
    if (!b_transposed) { /* as it lies */
        matrix direct = matrix_copy(&before);
        g.c = direct.data;
        g.b = b.data;
        g.b_row = b.row;
        g.b_col = 1;
        family->run(&g, 0, m, 0, n);
        assert_memory_equal(c.data, direct.data, c.count * sizeof(float));
        hone_free(direct.data);
        g.c = c.data;
    }
    for (size_t i = 0; i < a.count; i++) a.data[i] = to_bf16(a.data[i]);
    for (size_t i = 0; i < b.count; i++) b.data[i] = to_bf16(b.data[i]);
    check(name, &g, &b, &before, NULL);
    hone_free(g.room);
    hone_free(packed);
    hone_free(a.data);
    hone_free(b.data);
    hone_free(c.data);
    hone_free(before.data);
    hone_free(bias.data);
}

/* Exact products of rounded operands. */
static void test_bf16(void **state) {
    (void)state;
    static const int64_t shapes[][3] = {{1, 1, 1},     {3, 16, 33},     {17, 49, 64}, {50, 130, 95},
                                        {300, 30, 40}, {33, 100, 1700}, {5, 7, 0}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int form = 0; form < 4; form++) {
            const int64_t *x = shapes[s];
            bf16("tiles in memory", &hone_gemm_bf16_tiles, x[0], x[1], x[2], form & 1, form & 2);
#if defined(__x86_64__)
            if (hone_cpu_get()->level == HONE_CPU_V4 && hone_cpu_get()->avx512_bf16)
                bf16("AMX", &hone_gemm_bf16_v4_amx, x[0], x[1], x[2], form & 1, form & 2);
#endif
        }
}

static void test_f64(void **state) {
    (void)state;
    static const int64_t shapes[][3] = {{1, 1, 1}, {4, 4, 8}, {5, 7, 3}, {9, 13, 40}, {3, 6, 0}, {0, 3, 3}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int form = 0; form < 16; form++) {
            const int64_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2];
            double a[9 * 40], b[40 * 13], c[9 * 14], residual[9 * 13], bias[13];
            for (int i = 0; i < 9 * 40; i++) a[i] = (double)hone_rng_uniform(&rng) - 0.5;
            for (int i = 0; i < 40 * 13; i++) b[i] = (double)hone_rng_uniform(&rng) - 0.5;
            for (int i = 0; i < 9 * 13; i++) residual[i] = (double)hone_rng_uniform(&rng) - 0.5;
            for (int i = 0; i < 13; i++) bias[i] = i * 0.25;
            for (int i = 0; i < 9 * 14; i++) c[i] = -99;
            hone_gemm g = {.m = m,
                           .n = n,
                           .k = k,
                           .a = a,
                           .a_row = form & 1 ? 1 : k,
                           .a_col = form & 1 ? m : 1,
                           .b = b,
                           .b_row = form & 2 ? 1 : n,
                           .b_col = form & 2 ? k : 1,
                           .c = c,
                           .c_row = 14,
                           .epilogue = {.store = HONE_STORE_F64,
                                        .alpha = form & 4 ? -2.5 : 1,
                                        .bias = form & 4 ? bias : NULL,
                                        .residual = form & 8 ? residual : NULL,
                                        .residual_row = 13,
                                        .lo = form & 8 ? -0.25 : -INFINITY,
                                        .hi = form & 8 ? 1.5 : INFINITY}};
            hone_gemm_f64.run(&g, 0, m / 2, 0, n);
            hone_gemm_f64.run(&g, m / 2, m, 0, n / 2);
            hone_gemm_f64.run(&g, m / 2, m, n / 2, n);
            for (int64_t i = 0; i < 9; i++)
                for (int64_t j = 0; j < 14; j++) {
                    long double sum = 0;
                    for (int64_t l = 0; l < k; l++)
                        if (i < m && j < n)
                            sum += (long double)a[i * g.a_row + l * g.a_col] * b[l * g.b_row + j * g.b_col];
                    sum = sum * g.epilogue.alpha + (form & 4 && j < n ? bias[j] : 0);
                    if (form & 8 && i < m && j < n) {
                        sum += residual[i * 13 + j];
                        sum = sum < -0.25 ? -0.25 : sum > 1.5 ? 1.5 : sum;
                    }
                    assert_true(i < m && j < n ? fabsl(c[i * 14 + j] - sum) < 1e-14L : c[i * 14 + j] == -99);
                }
        }
}

#if defined(__x86_64__)
static bool emulate; /* tiles, which this CPU lacks */
#endif

/* The test runner takes traps itself from the beginning of each test to its end: ours has to come after it. */
static void run_emulated(void **state) {
    void (*test)(void **) = (void (*)(void **)) * state;
#if defined(__x86_64__)
    if (emulate) amx_begin();
#endif
    test(state);
#if defined(__x86_64__)
    if (emulate) amx_end();
#endif
}
#define TEST(f)                                                                                              \
    { .name = #f, .test_func = run_emulated, .initial_state = (void *)(f) }

static void add_level(const char *name, const hone_gemm_family *family, const hone_gemm_family *packer) {
    names[level_count] = name;
    levels[level_count] = family;
    packers[level_count++] = packer;
}

int main(void) {
    const hone_cpu *cpu = hone_cpu_get();
    for (int level = HONE_CPU_GENERIC; level <= (int)cpu->level; level++) {
        if (!test_has_level(cpu, level)) continue;
        hone_cpu one = {.level = (hone_cpu_level)level};
        hone_kernels kernels;
        hone_kernels_for(&one, &kernels);
        add_level(kernels.name, kernels.gemm[HONE_GEMM_F32], kernels.gemm[HONE_GEMM_F32]);
    }
    add_level("tiles in memory", &hone_gemm_f32_tiles, &hone_gemm_f32_tiles);
#if defined(__x86_64__)
    if (cpu->level == HONE_CPU_V4) add_level("AMX", &hone_gemm_f32_v4_amx, &hone_gemm_f32_v4);
    emulate = cpu->level == HONE_CPU_V4 && !cpu->amx_bf16;
#endif
    rng = hone_rng_make(7, 1);
    const struct CMUnitTest tests[] = {
        TEST(test_shapes),  TEST(test_blocks), TEST(test_empty),    TEST(test_cuts),   TEST(test_pack),
        TEST(test_special), TEST(test_f64),    TEST(test_infinite), TEST(test_errors), TEST(test_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
