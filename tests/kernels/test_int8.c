#include "kernel_test.h"
#if defined(__x86_64__)
#include "amx.h"
#endif

#include <sys/mman.h>
#include <unistd.h>

#define MOST_M 70
#define MOST_N 200
#define MOST_K 1100
#define C_ROW (MOST_N + 7)

typedef struct test_case {
    int64_t m, n, k, a_row;
    uint8_t *a; /* ends where its page ends: a read beyond it traps */
    void *map;
    size_t map_size;
    int8_t b[MOST_K * MOST_N];
    int32_t bias[MOST_N], b_zero[MOST_N], a_sum[MOST_M];
    int32_t row_bias[MOST_M];
    float row_scale[MOST_M], row_offset[MOST_M];
    float scale[MOST_N], offset[MOST_N], residual[MOST_M * MOST_N];
    uint8_t codes[MOST_M * MOST_N];
    int32_t sum[MOST_M * MOST_N]; /* of a case with its bias and zero points, by the definition */
} test_case;

static test_case t;

static const hone_store stores[] = {HONE_STORE_I32, HONE_STORE_F32, HONE_STORE_U8, HONE_STORE_S8};
static size_t element_size(hone_store store) {
    return store == HONE_STORE_I32 || store == HONE_STORE_F32 ? 4 : 1;
}

static void make_case(int64_t m, int64_t n, int64_t k, int extreme, uint64_t seed) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    t.m = m;
    t.n = n;
    t.k = k;
    t.a_row = k + (int64_t)(seed % 3);
    const size_t bytes = (size_t)((m - 1) * t.a_row + k);
    t.map_size = (bytes + page - 1) / page * page + page;
    t.map = mmap(NULL, t.map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(t.map != MAP_FAILED);
    assert_int_equal(mprotect((char *)t.map + t.map_size - page, page, PROT_NONE), 0);
    t.a = (uint8_t *)t.map + t.map_size - page - bytes;
    test_fill_bytes(t.a, (int64_t)bytes, seed);
    test_fill_bytes(t.b, k * n, seed + 1);
    if (extreme) {
        memset(t.a, 255, bytes);
        memset(t.b, extreme == 1 ? -128 : 127, (size_t)(k * n));
    }
    test_fill_bytes(t.bias, n * 4, seed + 2); /* any int32: sums wrap */
    for (int64_t j = 0; j < n; j++) {
        if (seed % 4) t.bias[j] %= 100000;
        t.b_zero[j] = (int32_t)(j * 37 % 256) - 128;
    }
    test_fill_bytes(t.row_bias, m * 4, seed + 6);
    test_fill_f32(t.row_scale, m, 1e-5f, 2e-3f, seed + 7);
    test_fill_f32(t.row_offset, m, -20, 20, seed + 8);
    test_fill_f32(t.scale, n, 1e-5f, 2e-3f, seed + 3);
    test_fill_f32(t.offset, n, -20, 20, seed + 4);
    test_fill_f32(t.residual, m * n, -20, 20, seed + 5);
    test_fill_bytes(t.codes, m * n, seed + 9);
    if (seed % 5 == 0) /* ties */
        for (int64_t j = 0; j < n; j++) t.scale[j] = t.offset[j] = 0.5f;
}

static void sums(bool bias, bool zeros, bool rows) {
    for (int64_t i = 0; i < t.m; i++) {
        uint32_t a_sum = 0;
        for (int64_t l = 0; l < t.k; l++) a_sum += t.a[i * t.a_row + l];
        t.a_sum[i] = (int32_t)a_sum;
        for (int64_t j = 0; j < t.n; j++) {
            int64_t s = 0;
            for (int64_t l = 0; l < t.k; l++) s += (int64_t)t.a[i * t.a_row + l] * t.b[l * t.n + j];
            if (bias) s += t.bias[j];
            if (rows) s += t.row_bias[i];
            if (zeros) s -= (int64_t)t.b_zero[j] * t.a_sum[i];
            t.sum[i * t.n + j] = (int32_t)(uint32_t)(uint64_t)s;
        }
    }
}

/* c[at] by the definition in kernels.h, in plain scalar C. */
static void store_reference(const hone_epilogue *e, int32_t s, int64_t i, int64_t j, void *c) {
    const int64_t at = i * C_ROW + j;
    if (e->store == HONE_STORE_I32) {
        ((int32_t *)c)[at] = s;
        return;
    }
    float v = (float)s * (e->row_scale ? e->row_scale[i] : e->scale[j]);
    if (e->bias) v = v + ((const float *)e->bias)[j];
    if (e->row_bias) v = v + ((const float *)e->row_bias)[i];
    if (e->residual) v = v + ((const float *)e->residual)[i * e->residual_row + j];
    v = v > (float)e->lo ? v : (float)e->lo;
    v = v < (float)e->hi ? v : (float)e->hi;
    if (e->store == HONE_STORE_F32) {
        ((float *)c)[at] = v;
        return;
    }
    double q = nearbyint(v) + e->zero;
    if (e->plus.step != 0) {
        const hone_byte_sum *p = &e->plus;
        const double least = e->store == HONE_STORE_U8 ? 0 : -128;
        const int64_t from = i * p->other_row + j;
        const int other = !p->other                   ? p->other_zero
                          : e->store == HONE_STORE_U8 ? ((const uint8_t *)p->other)[from]
                                                      : ((const int8_t *)p->other)[from];
        q = q < least ? least : q > least + 255 ? least + 255 : q;
        const float code = (float)(q - e->zero) * p->scale,
                    more = (float)(other - p->other_zero) * p->other_scale;
        v = code + more;
        v = v > p->lo ? v : p->lo;
        v = v < p->hi ? v : p->hi;
        q = nearbyintf(v / p->step) + p->zero;
    }
    if (e->store == HONE_STORE_U8)
        ((uint8_t *)c)[at] = (uint8_t)(q < 0 ? 0 : q > 255 ? 255 : q);
    else
        ((int8_t *)c)[at] = (int8_t)(q < -128 ? -128 : q > 127 ? 127 : q);
}

static uint8_t want[MOST_M * C_ROW * 4], got[MOST_M * C_ROW * 4];
static hone_gemm g;

/* Packed in one go, from the other side, as uint8 that is flipped, and in parts: always the same. */
static int8_t *pack(const hone_gemm_family *f, const char *level) {
    static int32_t column_sum[MOST_N];
    static int8_t transposed[MOST_K * MOST_N], flipped[MOST_K * MOST_N];
    size_t size = f->packed_size(t.k, t.n);
    int8_t *packed = aligned_alloc(64, (size + 63) / 64 * 64 + 64), *again = malloc(size);
    assert_non_null(packed);
    assert_non_null(again);
    packed[size] = 55;
    memset(column_sum, 0, sizeof column_sum);
    hone_gemm_b b = {t.k, t.n, t.b, t.n, 1, 0, packed, column_sum};
    f->pack(&b, 0, t.k, 0, t.n);
    assert_int_equal(packed[size], 55);
    for (int64_t j = 0; j < t.n; j++) {
        int32_t sum = 0;
        for (int64_t l = 0; l < t.k; l++) {
            sum += t.b[l * t.n + j];
            transposed[j * t.k + l] = t.b[l * t.n + j];
            flipped[l * t.n + j] = (int8_t)(t.b[l * t.n + j] ^ 0x80);
        }
        if (column_sum[j] != sum) fail_msg("%s column sum %d", level, (int)j);
    }
    b = (hone_gemm_b){t.k, t.n, transposed, 1, t.k, 0, again, NULL};
    f->pack(&b, 0, t.k, 0, t.n);
    assert_memory_equal(packed, again, size);
    memset(again, 55, size);
    b = (hone_gemm_b){t.k, t.n, flipped, t.n, 1, 0x80, again, column_sum};
    for (int64_t j = (t.n - 1) / f->panel * f->panel; j >= 0; j -= f->panel)
        for (int64_t l = 0; l < t.k; l += HONE_GEMM_PACK_ROWS)
            f->pack(&b, l, l + HONE_GEMM_PACK_ROWS < t.k ? l + HONE_GEMM_PACK_ROWS : t.k, j,
                    j + f->panel < t.n ? j + f->panel : t.n);
    assert_memory_equal(packed, again, size);
    for (int64_t j = 0; j < t.n; j++) { /* added once more */
        int32_t sum = 0;
        for (int64_t l = 0; l < t.k; l++) sum += 2 * t.b[l * t.n + j];
        if (column_sum[j] != sum) fail_msg("%s column sum %d of parts", level, (int)j);
    }
    free(again);
    return packed;
}

/* The layout as kernels.h has it. */
static void check_layout(const hone_gemm_family *f, const int8_t *packed) {
    const int64_t columns = t.n % f->panel, stored = (int64_t)f->packed_size(64, t.n) / 64;
    const int64_t depth = (int64_t)f->packed_size(t.k, t.n) / stored;
    assert_true(stored >= t.n && stored < t.n + f->panel && depth >= t.k && depth % f->group == 0);
    assert_true(columns || stored == t.n);
    for (int64_t p = 0; p < stored; p += f->panel) {
        const int64_t width = stored - p < f->panel ? stored - p : f->panel;
        for (int64_t l = 0; l < depth; l++)
            for (int64_t j = 0; j < width; j++) {
                int8_t value = l < t.k && p + j < t.n ? t.b[l * t.n + p + j] : 0;
                assert_int_equal(packed[p * depth + (l / f->group * width + j) * f->group + l % f->group],
                                 value);
            }
    }
}

static void compare(const char *level, const char *how) {
    for (int64_t i = 0; i < t.m; i++)
        for (int64_t j = 0; j < C_ROW; j++) {
            size_t size = element_size(g.epilogue.store), at = (size_t)(i * C_ROW + j) * size;
            if (memcmp(want + at, got + at, size) != 0)
                fail_msg("%s %s, store %d, %dx%dx%d, c[%d][%d], zero %d: %d, not %d", level, how,
                         g.epilogue.store, (int)t.m, (int)t.n, (int)t.k, (int)i, (int)j, g.epilogue.zero,
                         size == 1 ? got[at] : *(int32_t *)(got + at),
                         size == 1 ? want[at] : *(int32_t *)(want + at));
        }
}

static void check_family(const hone_gemm_family *f, const char *level) {
    int8_t *packed = pack(f, level);
    check_layout(f, packed);
    g.b = packed;
    memset(got, 0xA5, sizeof got);
    f->run(&g, 0, t.m, 0, t.n);
    compare(level, "whole");

    /* In blocks, from the last to the first. */
    memset(got, 0xA5, sizeof got);
    const int64_t panels = (t.n + f->panel - 1) / f->panel, rows = t.m > 4 ? t.m / 3 : 1;
    for (int64_t p = panels - 1; p >= 0; p--)
        for (int64_t i = (t.m - 1) / rows * rows; i >= 0; i -= rows) {
            int64_t n0 = p * f->panel, n1 = n0 + f->panel;
            f->run(&g, i, i + rows < t.m ? i + rows : t.m, n0, n1 < t.n ? n1 : t.n);
        }
    compare(level, "cut");
    free(packed);
}

static void check(const hone_kernels *k, const char *level) {
    check_family(k->gemm[HONE_GEMM_U8S8], level);
}

/* The real instructions over tile registers, on a CPU that has none as well; the rest of that kernel needs AVX-512. */
static void check_amx(void) {
#if defined(__x86_64__)
    if (hone_cpu_get()->level < HONE_CPU_V4) return;
    long before = amx.count;
    if (!hone_cpu_get()->amx_int8) amx_begin();
    check_family(&hone_gemm_u8s8_v4_amx, "AMX");
    if (hone_cpu_get()->amx_int8) return;
    amx_end();
    assert_true(amx.count > before);
    assert_false(amx.configured); /* the tiles are released */
#endif
}

/* One case with every store, with and without bias, zero points, offset and clamp. */
static void run_case(int64_t m, int64_t n, int64_t k, int extreme, uint64_t seed) {
    make_case(m, n, k, extreme, seed);
    for (int variant = 0; variant < 8; variant++) {
        const bool bias = variant & 1, zeros = variant & 2, rows = variant & 4;
        sums(bias, zeros, rows);
        for (int at = 0; at < COUNT(stores); at++) {
            g = (hone_gemm){
                .m = m, .n = n, .k = k, .a = t.a, .a_row = t.a_row, .a_col = 1, .c = got, .c_row = C_ROW};
            hone_epilogue *e = &g.epilogue;
            *e = (hone_epilogue){.store = stores[at], .scale = t.scale, .lo = -INFINITY, .hi = INFINITY};
            if (bias) e->sum_bias = t.bias;
            if (zeros) {
                e->b_zero = t.b_zero;
                e->a_sum = t.a_sum;
            }
            if (rows) {
                e->row_sum_bias = t.row_bias;
                e->row_scale = t.row_scale;
                e->row_bias = t.row_offset;
            }
            if (variant != 1) e->bias = t.offset;
            if (zeros) {
                e->residual = t.residual;
                e->residual_row = n;
            }
            if (variant % 4 == 3) {
                e->lo = 0;
                e->hi = 6.25;
            }
            e->zero = stores[at] == HONE_STORE_U8   ? variant % 4 * 85
                      : stores[at] == HONE_STORE_S8 ? variant % 4 * 60 - 100
                                                    : 0;
            memset(want, 0xA5, sizeof want);
            for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j < n; j++) store_reference(e, t.sum[i * n + j], i, j, want);
            each_level(check);
            check_family(&hone_gemm_u8s8_tiles, "tiles in memory");
            if (variant == 3) check_amx();
        }
    }
    munmap(t.map, t.map_size);
}

/* Bytes that are added to other ones. */
static void run_sum_case(int64_t m, int64_t n, int64_t k, uint64_t seed) {
    make_case(m, n, k, 0, seed);
    sums(true, false, false);
    for (int variant = 0; variant < 32; variant++) {
        const bool is_signed = variant & 1, products = variant & 2;
        g = (hone_gemm){
            .m = m, .n = n, .k = k, .a = t.a, .a_row = t.a_row, .a_col = 1, .c = got, .c_row = C_ROW};
        hone_epilogue *e = &g.epilogue;
        *e = (hone_epilogue){.store = is_signed ? HONE_STORE_S8 : HONE_STORE_U8,
                             .scale = t.scale,
                             .bias = variant & 4 ? t.offset : NULL,
                             .sum_bias = t.bias,
                             .zero = is_signed ? -11 : 120,
                             .lo = -INFINITY,
                             .hi = INFINITY};
        e->plus = (hone_byte_sum){.other = variant & 16 ? NULL : t.codes,
                                  .other_row = n,
                                  .other_zero = is_signed ? 5 : 133,
                                  .zero = is_signed ? -128 : 3,
                                  .scale = 0.037f,
                                  .other_scale = 0.0213f,
                                  .step = 0.0457f,
                                  .lo = variant & 8 ? 0 : -INFINITY,
                                  .hi = variant & 8 ? 3 : INFINITY};
        if (products) {
            e->plus.inverse = 1 / e->plus.step;
            e->plus.inverse_rest = (float)(1 / (double)e->plus.step - (double)e->plus.inverse);
        }
        memset(want, 0xA5, sizeof want);
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) store_reference(e, t.sum[i * n + j], i, j, want);
        each_level(check);
        check_family(&hone_gemm_u8s8_tiles, "tiles in memory");
        if (variant < 4) check_amx();
    }
    munmap(t.map, t.map_size);
}

static void test_sums_of_bytes(void **state) {
    (void)state;
    run_sum_case(5, 130, 64, 31);
    run_sum_case(19, 64, 30, 32);
    run_sum_case(70, 71, 100, 33);
    run_sum_case(33, 10, 9, 34);
}

static void test_shapes(void **state) {
    (void)state;
    static const int64_t shape[][3] = {
        {1, 1, 1},     {1, 10, 3},    {2, 16, 4},   {3, 17, 5},    {4, 64, 64},   {5, 63, 27},
        {6, 65, 7},    {7, 130, 9},   {8, 48, 255}, {11, 33, 256}, {12, 1, 100},  {13, 200, 33},
        {1, 200, 513}, {2, 31, 1027}, {40, 70, 12}, {1, 64, 784},  {9, 97, 1100}, {25, 15, 512},
        {6, 128, 2},   {17, 40, 6},   {1, 7, 31},   {70, 33, 130}, {34, 96, 200},
    };
    for (int i = 0; i < COUNT(shape); i++)
        run_case(shape[i][0], shape[i][1], shape[i][2], 0, (uint64_t)i + 1);
}

static void test_extremes(void **state) {
    (void)state;
    run_case(7, 70, 1030, 1, 7); /* 255 times -128 */
    run_case(7, 70, 1030, 2, 8); /* 255 times 127 */
    run_case(1, 20, 1029, 1, 9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_sums_of_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
