/* Kernels that go by positions: for elements of all sizes and of bits, every combination of numbers, weighed sums. */
#include "kernel_test.h"

#include "base/bits.h"
#include "base/half.h"
#include "kernels/positions.h"

#include <hone/tensor.h>

static const hone_element elements[] = {{1, 8}, {2, 16}, {4, 32}, {8, 64}, {16, 128}, {0, 4}, {0, 2}};
#define MOST 64

/* Element i of x is made of a number; the same number gives the same bytes. */
static void put_number(hone_element e, void *x, int64_t i, unsigned number) {
    if (e.size)
        memset((char *)x + (size_t)i * e.size, (int)number, e.size);
    else
        hone_bits_set(x, i, e.bits, number);
}

static bool has_number(hone_element e, const void *x, int64_t i, unsigned number) {
    char want[16];
    if (!e.size) return hone_bits_get(x, i, e.bits) == (number & ((1u << e.bits) - 1));
    memset(want, (int)number, e.size);
    return memcmp((const char *)x + (size_t)i * e.size, want, e.size) == 0;
}

static void test_moves(void **state) {
    (void)state;
    for (int k = 0; k < COUNT(elements); k++) {
        hone_element e = elements[k];
        char x[MOST * 16] = {0}, y[MOST * 16], fill[16] = {0};
        int64_t at[MOST];
        memset(y, 0, sizeof y);
        for (int i = 0; i < MOST; i++) put_number(e, x, i, (unsigned)i * 7);
        put_number(e, fill, 0, 201);
        for (int i = 0; i < 20; i++) at[i] = i % 5 == 4 ? -1 : (i * 11) % MOST;
        hone_take(e, x, at, 20, fill, y, 3);
        for (int i = 0; i < 20; i++)
            assert_true(has_number(e, y, 3 + i, at[i] < 0 ? 201 : (unsigned)at[i] * 7));
        assert_true(has_number(e, y, 2, 0) && has_number(e, y, 23, 0));
        for (int i = 0; i < 20; i++) at[i] = (i * 13 + 1) % MOST;
        hone_take(e, x, at, 20, NULL, y, 0);
        for (int i = 0; i < 20; i++) assert_true(has_number(e, y, i, (unsigned)at[i] * 7));
        memset(y, 0, sizeof y);
        hone_put(e, x, at, 20, y);
        for (int i = 0; i < 20; i++) assert_true(has_number(e, y, at[i], (unsigned)i * 7));
        hone_move(e, x, 5, y, 2, 30);
        for (int i = 0; i < 30; i++) assert_true(has_number(e, y, 2 + i, (unsigned)(5 + i) * 7));
        hone_repeat(e, fill, y, 7, 9);
        for (int i = 0; i < 9; i++) assert_true(has_number(e, y, 7 + i, 201));
        assert_true(has_number(e, y, 6, (unsigned)(5 + 4) * 7));
        assert_true(has_number(e, y, 16, (unsigned)(5 + 14) * 7));
    }
}

static void test_rows(void **state) {
    (void)state;
    for (int k = 0; k < 5; k++) /* those of whole bytes */
        for (int rows = 1; rows < 6; rows++)
            for (int run = 1; run < 6; run++)
                for (int64_t step = -1; step < 3; step++) {
                    hone_element e = elements[k];
                    char x[MOST * 16] = {0}, y[MOST * 16] = {0};
                    for (int i = 0; i < MOST; i++) put_number(e, x, i, (unsigned)i * 3);
                    hone_move_rows(e.size, x + 20 * e.size, 7, step, y, 9, rows, run);
                    for (int r = 0; r < rows; r++)
                        for (int i = 0; i < run; i++)
                            assert_true(
                                has_number(e, y, r * 9 + i, (unsigned)(20 + r * 7 + i * (int)step) * 3));
                    assert_true(has_number(e, y, run, 0));
                }
}

static void test_selection(void **state) {
    (void)state;
    const bool condition[] = {true, false, false, true, true};
    for (int k = 0; k < COUNT(elements); k++) {
        hone_element e = elements[k];
        char x[MOST * 16] = {0}, y[MOST * 16] = {0};
        for (int i = 0; i < MOST; i++) put_number(e, x, i, (unsigned)i * 7);
        hone_select(e, condition, 1, x, 10, 1, x, 3, 0, y, 2, 5);
        for (int i = 0; i < 5; i++)
            assert_true(has_number(e, y, 2 + i, (unsigned)(condition[i] ? 10 + i : 3) * 7));
        hone_select(e, condition + 1, 0, x, 0, 1, x, 20, 1, y, 0, 5);
        for (int i = 0; i < 5; i++) assert_true(has_number(e, y, i, (unsigned)(20 + i) * 7));
    }
}

static void test_indices(void **state) {
    (void)state;
    const int64_t wide[] = {2, -1, 0, 3};
    const int32_t narrow[] = {2, -1, 0, -4};
    int64_t at[4];
    assert_int_equal(hone_positions(wide, true, 3, 3, 100, 10, 1, at), -1);
    assert_true(at[0] == 120 && at[1] == 121 && at[2] == 102);
    assert_int_equal(hone_positions(wide, true, 4, 3, 0, 1, 0, at), 3);
    assert_int_equal(hone_positions(narrow, false, 4, 3, 0, 1, 0, at), 3);
    assert_int_equal(hone_positions(narrow, false, 4, 4, 0, 1, 0, at), -1);
    assert_int_equal(at[3], 0);
    const int64_t tuples[] = {1, 2, -1, -3, 0, 3}, dims[] = {2, 3}, strides[] = {30, 10};
    assert_int_equal(hone_tuple_positions(tuples, 2, 2, dims, strides, 5, at), -1);
    assert_true(at[0] == 5 + 30 + 20 && at[1] == 5 + 30);
    assert_int_equal(hone_tuple_positions(tuples, 3, 2, dims, strides, 5, at), 5);
}

#define CHECK_COMBINE(dtype, type, a, b, add, mul, max, min)                                                 \
    do {                                                                                                     \
        const type want[] = {add, mul, max, min};                                                            \
        for (int op = HONE_COMBINE_ADD; op <= HONE_COMBINE_MIN; op++) {                                      \
            type y[3] = {0, a, 0}, u = b;                                                                    \
            hone_combine(dtype, (hone_combining)op, &u, (int64_t[]){1}, 1, y);                               \
            assert_true(y[1] == want[op] && y[0] == 0 && y[2] == 0);                                         \
            y[0] = a;                                                                                        \
            hone_combine(dtype, (hone_combining)op, &u, NULL, 1, y);                                         \
            assert_true(y[0] == want[op]);                                                                   \
        }                                                                                                    \
    } while (0)

static void test_combinations(void **state) {
    (void)state;
    CHECK_COMBINE(HONE_FLOAT32, float, 1.5f, -2, -0.5f, -3, 1.5f, -2);
    CHECK_COMBINE(HONE_FLOAT64, double, 1.5, -2, -0.5, -3, 1.5, -2);
    CHECK_COMBINE(HONE_FLOAT16, uint16_t, hone_half_of_float(1.5f), hone_half_of_float(-2),
                  hone_half_of_float(-0.5f), hone_half_of_float(-3), hone_half_of_float(1.5f),
                  hone_half_of_float(-2));
    CHECK_COMBINE(HONE_BFLOAT16, uint16_t, hone_bfloat_of_float(1.5f), hone_bfloat_of_float(-2),
                  hone_bfloat_of_float(-0.5f), hone_bfloat_of_float(-3), hone_bfloat_of_float(1.5f),
                  hone_bfloat_of_float(-2));
    CHECK_COMBINE(HONE_INT8, int8_t, 100, -100, 0, (int8_t)-10000, 100, -100);
    CHECK_COMBINE(HONE_UINT8, uint8_t, 200, 100, 44, (uint8_t)20000, 200, 100);
    CHECK_COMBINE(HONE_INT16, int16_t, -32768, -1, 32767, (int16_t)32768, -1, -32768);
    CHECK_COMBINE(HONE_UINT16, uint16_t, 65535, 2, 1, 65534, 65535, 2);
    CHECK_COMBINE(HONE_INT32, int32_t, INT32_MIN, -1, INT32_MAX, INT32_MIN, -1, INT32_MIN);
    CHECK_COMBINE(HONE_UINT32, uint32_t, 4000000000u, 500000000u, 205032704u, (uint32_t)2000000000000000000u,
                  4000000000u, 500000000u);
    CHECK_COMBINE(HONE_INT64, int64_t, INT64_MIN, -1, INT64_MAX, INT64_MIN, -1, INT64_MIN);
    CHECK_COMBINE(HONE_UINT64, uint64_t, UINT64_MAX, 2, 1, UINT64_MAX - 1, UINT64_MAX, 2);
    CHECK_COMBINE(HONE_BOOL, uint8_t, 1, 0, 1, 0, 1, 0);
    float y[] = {1, NAN}, u[] = {NAN, 1};
    hone_combine(HONE_FLOAT32, HONE_COMBINE_MAX, u, NULL, 2, y);
    assert_true(y[0] != y[0] && y[1] != y[1]);
    int64_t at[] = {0, 0, 0};
    float sum = 1, terms[] = {2, 3, 4};
    hone_combine(HONE_FLOAT32, HONE_COMBINE_ADD, terms, at, 3, &sum);
    assert_true(sum == 10);
}

#define COLUMNS 70
static float rows[9 * COLUMNS];

static void check_weighing(const hone_kernels *k, const char *level) {
    const int64_t from[] = {7, 2, 2, 8};
    const float weight[] = {0.5f, -1.25f, 3, 0.1f};
    const double wide_weight[] = {0.5, -1.25, 3, 0.1f};
    static double wide[9 * COLUMNS];
    test_fill_f32(rows, 9 * COLUMNS, -1, 2, 5);
    for (int i = 0; i < 9 * COLUMNS; i++) wide[i] = rows[i];
    for (int n = 0; n <= COLUMNS; n++)
        for (int count = 0; count <= 4; count++) {
            float y[COLUMNS + 1];
            double z[COLUMNS];
            y[n] = 77;
            k->weigh_rows_f32(rows, COLUMNS, from, weight, count, n, y);
            hone_weigh_rows_f64(wide, COLUMNS, from, wide_weight, count, n, z);
            assert_true(y[n] == 77);
            for (int i = 0; i < n; i++)
                if (!near(y[i], z[i], 1e-6, 1e-6))
                    fail_msg("%s: %g, not %g, of %d rows of %d", level, y[i], z[i], count, n);
        }
}

static void test_weighing(void **state) {
    (void)state;
    each_level(check_weighing);
    const float x[] = {1, 2, 4, 8}, weight[] = {0.5f, 0.25f, 3};
    const int64_t start[] = {0, 2, 2, 3}, from[] = {3, 1, 2};
    float y[3];
    hone_weigh_f32(x, start, from, weight, 3, -7, y);
    assert_true(y[0] == 4.5f && y[1] == -7 && y[2] == 12);
    hone_weigh_pairs_f32(x, (const int32_t[]){3, 0, 2, 2}, (const float[]){0.5f, -1, 0.5f, 0.5f}, 2, y);
    assert_true(y[0] == 3 && y[1] == 4);
    float odd[] = {0.5f, 1.5f, -2.5f, 2.6f};
    hone_round_even_f32(odd, 4);
    assert_true(odd[0] == 0 && odd[1] == 2 && odd[2] == -2 && odd[3] == 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_moves),        cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_selection),    cmocka_unit_test(test_indices),
                                       cmocka_unit_test(test_combinations), cmocka_unit_test(test_weighing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
