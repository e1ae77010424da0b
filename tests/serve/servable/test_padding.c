/* Rows filled up and cut back, element by element. */
#include "serve/servable/padding.h"

#include "base/half.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 3 };

/* The element at `at` of a row-major array. */
static size_t index_of(const int64_t *dims, int rank, const int64_t *at) {
    size_t i = 0;
    for (int d = 0; d < rank; d++) i = i * (size_t)dims[d] + (size_t)at[d];
    return i;
}

static void check_pads_and_cuts(const int64_t *small, const int64_t *large, int rank) {
    size_t less = 1, more = 1;
    for (int d = 0; d < rank; d++) less *= (size_t)small[d], more *= (size_t)large[d];
    int16_t *from = calloc(less + 1, 2), *to = calloc(more + 1, 2), *back = calloc(less + 1, 2);
    const int16_t value = -7;
    for (size_t i = 0; i < less; i++) from[i] = (int16_t)(i + 1);
    to[more] = back[less] = 99; /* what is behind stays */
    hone_pad_rows(to, large, from, small, rank, small[0], 2, &value);
    int64_t at[HONE_MAX_RANK] = {0};
    for (size_t i = 0; i < more; i++) {
        size_t rest = i;
        bool inside = true;
        for (int d = rank - 1; d >= 0; d--) {
            at[d] = (int64_t)(rest % (size_t)large[d]);
            rest /= (size_t)large[d];
            inside = inside && at[d] < small[d];
        }
        assert_int_equal(to[i], inside ? from[index_of(small, rank, at)] : value);
    }
    hone_cut_rows(back, small, to, large, rank, small[0], 2);
    if (less) assert_memory_equal(back, from, less * 2);
    assert_int_equal(to[more], 99);
    assert_int_equal(back[less], 99);
    free(from);
    free(to);
    free(back);
}

static void pads_and_cuts(void **state) {
    (void)state;
    static const struct {
        int rank;
        int64_t small[4], large[4];
    } cases[] = {{1, {ROWS}, {ROWS}},
                 {2, {ROWS, 4}, {ROWS, 4}},
                 {2, {ROWS, 4}, {ROWS, 9}},
                 {2, {1, 1}, {1, 2}},
                 {2, {ROWS, 0}, {ROWS, 3}},
                 {3, {ROWS, 2, 5}, {ROWS, 4, 5}},
                 {3, {ROWS, 2, 5}, {ROWS, 2, 7}},
                 {3, {ROWS, 2, 3}, {ROWS, 3, 2 + 2}},
                 {4, {ROWS, 2, 3, 2}, {ROWS, 2, 5, 2}},
                 {4, {ROWS, 2, 3, 2}, {ROWS, 4, 3, 5}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_pads_and_cuts(cases[i].small, cases[i].large, cases[i].rank);
}

static bool holds(hone_dtype dtype, bool is_real, int64_t whole, double real, void *out) {
    const hone_tensor_setting t = {.is_real = is_real, .whole = whole, .real = real};
    return hone_pad_element(dtype, &t, out);
}

static void knows_values(void **state) {
    (void)state;
    char element[HONE_PAD_ELEMENT];
    static const char zeros[HONE_PAD_ELEMENT];
    int64_t x = -5;
    float f = -0.5f;
    double d = 0.1;
    uint16_t half = hone_half_of_float(1.5f), bfloat = hone_bfloat_of_float(1.5f);
    assert_true(hone_pad_element(HONE_INT64, NULL, element));
    assert_memory_equal(element, zeros, sizeof zeros);
    assert_true(hone_pad_element(HONE_FLOAT8E4M3FN, NULL, element));
    assert_true(holds(HONE_INT64, false, -5, 0, element) && memcmp(element, &x, 8) == 0);
    assert_true(holds(HONE_INT8, false, -5, 0, element) && (signed char)element[0] == -5);
    assert_true(holds(HONE_INT32, true, 0, 7.0, element) &&
                element[0] == 7); /* a whole number, written as 7.0 */
    assert_true(holds(HONE_BOOL, false, 1, 0, element) && element[0] == 1);
    assert_true(holds(HONE_FLOAT32, true, 0, -0.5, element) && memcmp(element, &f, 4) == 0);
    assert_true(holds(HONE_FLOAT32, false, 3, 0, element));
    assert_true(holds(HONE_FLOAT64, true, 0, 0.1, element) && memcmp(element, &d, 8) == 0);
    assert_true(holds(HONE_FLOAT16, true, 0, 1.5, element) && memcmp(element, &half, 2) == 0);
    assert_true(holds(HONE_BFLOAT16, true, 0, 1.5, element) && memcmp(element, &bfloat, 2) == 0);
    assert_true(holds(HONE_UINT64, false, INT64_MAX, 0, element));
    /* what it would have to change is none */
    assert_false(holds(HONE_UINT8, false, 300, 0, element));
    assert_false(holds(HONE_UINT8, false, -1, 0, element));
    assert_false(holds(HONE_UINT64, false, -1, 0, element));
    assert_false(holds(HONE_BOOL, false, 2, 0, element));
    assert_false(holds(HONE_INT32, false, (int64_t)1 << 40, 0, element));
    assert_false(holds(HONE_INT64, true, 0, 0.5, element));
    assert_false(holds(HONE_INT64, true, 0, 1e300, element));
    assert_false(holds(HONE_FLOAT32, true, 0, 1e300, element));
    assert_false(holds(HONE_FLOAT16, false, 70000, 0, element));
    assert_false(holds(HONE_FLOAT8E4M3FN, false, 1, 0, element));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pads_and_cuts), cmocka_unit_test(knows_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
