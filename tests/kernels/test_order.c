/* Keys order as elements do; the best of many; sorting; running sums and products. */
#include "kernel_test.h"

#include "base/half.h"
#include "kernels/order.h"

#include <hone/tensor.h>

#define CHECK_KEYS(dtype, type, ...)                                                                         \
    do {                                                                                                     \
        const type ascending[] = {__VA_ARGS__};                                                              \
        uint64_t keys[COUNT(ascending)];                                                                     \
        hone_order_keys(dtype, ascending, 1, COUNT(ascending), keys);                                        \
        for (int i = 1; i < COUNT(ascending); i++) assert_true(keys[i - 1] < keys[i]);                       \
    } while (0)

static void test_keys(void **state) {
    (void)state;
    CHECK_KEYS(HONE_FLOAT32, float, -INFINITY, -3, -1e-40f, 0, 1e-40f, 2, INFINITY, NAN);
    CHECK_KEYS(HONE_FLOAT64, double, -INFINITY, -3, -1e-310, 0, 1e-310, 2, INFINITY, NAN);
    CHECK_KEYS(HONE_FLOAT16, uint16_t, 0xfc00, 0xc000, 0x8001, 0, 1, 0x3c00, 0x7c00, 0x7e00);
    CHECK_KEYS(HONE_BFLOAT16, uint16_t, 0xff80, 0xc000, 0x8001, 0, 1, 0x3f80, 0x7f80, 0x7fc0);
    CHECK_KEYS(HONE_INT8, int8_t, -128, -1, 0, 127);
    CHECK_KEYS(HONE_INT16, int16_t, -32768, -1, 0, 32767);
    CHECK_KEYS(HONE_INT32, int32_t, INT32_MIN, -1, 0, INT32_MAX);
    CHECK_KEYS(HONE_INT64, int64_t, INT64_MIN, -1, 0, INT64_MAX);
    CHECK_KEYS(HONE_UINT8, uint8_t, 0, 1, 255);
    CHECK_KEYS(HONE_BOOL, uint8_t, 0, 1);
    CHECK_KEYS(HONE_UINT16, uint16_t, 0, 1, 65535);
    CHECK_KEYS(HONE_UINT32, uint32_t, 0, 1, UINT32_MAX);
    CHECK_KEYS(HONE_UINT64, uint64_t, 0, 1, UINT64_MAX);
    const float same[] = {0, 9, -0.0f, 9, NAN, 9, -NAN};
    uint64_t keys[4];
    hone_order_keys(HONE_FLOAT32, same, 2, 4, keys);
    assert_true(keys[0] == keys[1] && keys[2] == keys[3] && keys[2] == UINT64_MAX);
}

static uint64_t key_at(int i, int different) {
    return (uint64_t)i * 2654435761u % 4294967296u % (uint64_t)different;
}

/* Other ways to the same: many at a time, and one after the other out of a heap. */
static void check_others(int n, int most, int different, const hone_ranked *want) {
    uint64_t keys[60];
    hone_ranked some[60], all[60];
    for (int i = 0; i < n; i++) {
        keys[i] = key_at(i, different);
        all[i] = (hone_ranked){keys[i], i};
    }
    int64_t count = hone_best_of(some, 0, most, keys, 0, n / 3);
    count = hone_best_of(some, count, most, keys + n / 3, n / 3, n - n / 3);
    hone_best_sort(some, count);
    hone_heap_make(all, n);
    for (int k = 0; k < most; k++) {
        assert_true(some[k].index == want[k].index);
        assert_true(hone_heap_take(all, n - k).index == want[k].index);
    }
}

static void test_best(void **state) {
    (void)state;
    for (int n = 0; n < 60; n++)
        for (int most = 0; most <= n; most++)
            for (int different = 3; different < 100; different += 90) {
                hone_ranked heap[60];
                int64_t count = 0;
                for (int i = 0; i < n; i++)
                    count = hone_best_add(heap, count, most, (hone_ranked){key_at(i, different), i});
                hone_best_sort(heap, count);
                assert_int_equal(count, most);
                check_others(n, most, different, heap);
                for (int k = 0; k < most; k++) { /* as many are before it as its place says */
                    int before = 0;
                    for (int i = 0; i < n; i++) {
                        uint64_t key = key_at(i, different);
                        before += key > heap[k].key || (key == heap[k].key && i < heap[k].index);
                    }
                    assert_int_equal(before, k);
                    assert_true(heap[k].key == key_at((int)heap[k].index, different));
                }
            }
}

static int compare(const void *arg, int64_t a, int64_t b) {
    const uint64_t *keys = arg;
    return keys[a] < keys[b] ? -1 : keys[a] > keys[b];
}

static void test_sorting(void **state) {
    (void)state;
    for (int n = 0; n < 70; n++) {
        uint64_t keys[70];
        int64_t index[70], room[70];
        for (int i = 0; i < n; i++) {
            keys[i] = key_at(i, 9);
            index[i] = i;
        }
        hone_sort_indices(index, n, room, compare, keys);
        for (int i = 1; i < n; i++) {
            int order = compare(keys, index[i - 1], index[i]);
            assert_true(order < 0 || (order == 0 && index[i - 1] < index[i]));
        }
    }
}

#define ROWS 5
#define COLUMNS 70

static void test_scans(void **state) {
    (void)state;
    static int32_t x[ROWS * COLUMNS], y[ROWS * COLUMNS];
    for (int i = 0; i < ROWS * COLUMNS; i++) x[i] = i % 7 - 3;
    for (int kind = 0; kind < 8; kind++) {
        hone_scan s = {HONE_INT32, kind & 1, kind & 2, kind & 4, ROWS, COLUMNS};
        memset(y, 0x55, sizeof y);
        hone_scan_rows(&s, x, COLUMNS - 1, y);
        for (int c = 0; c < COLUMNS; c++) {
            int64_t sum = s.product ? 1 : 0;
            for (int k = 0; k < ROWS; k++) {
                int at = (s.reverse ? ROWS - 1 - k : k) * COLUMNS + c;
                int64_t then = s.product ? sum * x[at] : sum + x[at];
                assert_int_equal(y[at], c == COLUMNS - 1 ? 0x55555555 : s.exclusive ? sum : then);
                sum = then;
            }
        }
    }
    /* halves add up in float: 2048 + 1 + 1 is 2050, which adding in halves would never reach */
    uint16_t half[] = {hone_half_of_float(2048), hone_half_of_float(1), hone_half_of_float(1)};
    hone_scan s = {HONE_FLOAT16, false, false, false, 3, 1};
    hone_scan_rows(&s, half, 1, half);
    assert_true(hone_float_of_half(half[2]) == 2050);
    uint8_t bytes[] = {200, 100};
    s = (hone_scan){HONE_UINT8, false, false, false, 2, 1};
    hone_scan_rows(&s, bytes, 1, bytes);
    assert_true(bytes[0] == 200 && bytes[1] == 44);
}

/* Zeros are no matter for the gradient of products. */
static void test_product_gradient(void **state) {
    (void)state;
    const double x[] = {2, 0, 3, 5}, dy[] = {1, 10, 100, 1000};
    for (int kind = 0; kind < 4; kind++) {
        hone_scan s = {HONE_FLOAT64, true, kind & 1, kind & 2, 4, 1};
        double dx[4];
        hone_scan_product_gradient(&s, dy, x, 1, dx);
        for (int i = 0; i < 4; i++) {
            double above[4], below[4], p[4], want = 0;
            memcpy(p, x, sizeof p);
            p[i] = x[i] + 0.5;
            hone_scan_rows(&s, p, 1, above);
            p[i] = x[i] - 0.5;
            hone_scan_rows(&s, p, 1, below);
            for (int k = 0; k < 4; k++) want += dy[k] * (above[k] - below[k]);
            assert_true(fabs(dx[i] - want) < 1e-9);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys), cmocka_unit_test(test_best),
                                       cmocka_unit_test(test_sorting), cmocka_unit_test(test_scans),
                                       cmocka_unit_test(test_product_gradient)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
