/* Epochs that have as many samples of each value of a column. */
#include "support/files.h"

#include "data/even.h"
#include "data/loader.h"
#include "graph/tensor.h"

#include <string.h>

static hone_error err;

enum { N = 100 };

/* Column y: 70 samples of 5, 20 of -3, 10 of 8, mixed; x is the sample's number; names likewise as texts. */
static hone_dataset *uneven(void) {
    hone_tensor *x = NULL, *y = NULL;
    hone_dataset *d = NULL;
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){N, 1}, &x, &err), HONE_OK);
    assert_int_equal(hone_tensor_new(HONE_INT64, 1, (int64_t[]){N}, &y, &err), HONE_OK);
    for (int i = 0; i < N; i++) {
        ((float *)x->data)[i] = (float)i;
        ((int64_t *)y->data)[i] = i % 10 == 4 ? 8 : i % 5 == 1 ? -3 : 5;
    }
    assert_int_equal(hone_dataset_make((hone_named_tensor[]){{"x", x}, {"y", y}}, 2, "uneven", &d, &err),
                     HONE_OK);
    hone_tensor_free(x);
    hone_tensor_free(y);
    return d;
}

static void test_orders(void **state) {
    (void)state;
    hone_dataset *d = uneven();
    hone_even e = {0};
    uint32_t order[N], again[N], other[N];
    int seen[N] = {0};
    assert_int_equal(hone_even_make(d, "y", &e, &err), HONE_OK);
    assert_int_equal(e.groups, 3);
    for (uint64_t epoch = 0; epoch < 30; epoch++) {
        int counts[3] = {0}, most[3] = {0}, times[N] = {0};
        hone_even_order(&e, 7, epoch, order);
        hone_even_order(&e, 7, epoch, again);
        hone_even_order(&e, 8, epoch, other);
        assert_memory_equal(order, again, sizeof order);
        assert_memory_not_equal(order, other, sizeof order);
        for (int i = 0; i < N; i++) {
            uint32_t s = order[i];
            int group = s % 10 == 4 ? 2 : s % 5 == 1 ? 1 : 0;
            counts[group]++;
            seen[s]++;
            if (++times[s] > most[group]) most[group] = times[s];
        }
        for (int g = 0; g < 3; g++) assert_in_range(counts[g], 33, 34);
        assert_true(most[0] == 1 && most[1] == 2 && most[2] == 4); /* 33 of 70, of 20, of 10 */
    }
    for (int i = 0; i < N; i++) assert_true(seen[i] > 0);
    hone_even_free(&e);
    hone_dataset_free(d);
}

static void test_loader(void **state) {
    (void)state;
    hone_dataset *d = uneven();
    hone_feed feed = hone_feed_of(d, 0, HONE_FLOAT32, true);
    hone_loader_options o = HONE_LOADER_OPTIONS_INIT;
    hone_loader *l = NULL;
    hone_batch b;
    int rare = 0;
    o.batch = 16;
    o.even = "y";
    assert_int_equal(hone_loader_new(d, &feed, 1, &o, &l, &err), HONE_OK);
    do {
        assert_int_equal(hone_loader_next(l, &b, &err), HONE_OK);
        for (int64_t i = 0; i < b.n; i++) {
            int s = (int)((float *)b.tensors[0]->data)[i];
            assert_int_equal(s, b.indices[i]);
            rare += s % 10 == 4;
        }
    } while (!b.last);
    assert_in_range(rare, 33, 34);
    hone_loader_free(l);
    o.even = "z";
    assert_int_equal(hone_loader_new(d, &feed, 1, &o, &l, &err), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "no column 'z' to draw evenly by"));
    hone_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_orders), cmocka_unit_test(test_loader)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
