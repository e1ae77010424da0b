#include "graph/names.h"

#include "support/graphs.h"

enum { MANY = 500 };

static void test_get_and_put(void **state) {
    (void)state;
    hone_names *t = hone_names_new();
    int a, b;
    assert_null(hone_names_get(t, "x"));
    assert_true(hone_names_put(t, "x", &a));
    assert_true(hone_names_put(t, "", &b));
    assert_ptr_equal(hone_names_get(t, "x"), &a);
    assert_ptr_equal(hone_names_get(t, ""), &b);
    assert_true(hone_names_put(t, "x", &b));
    assert_ptr_equal(hone_names_get(t, "x"), &b);
    assert_true(hone_names_put(t, "x", NULL));
    assert_null(hone_names_get(t, "x"));
    assert_true(hone_names_put(t, "never", NULL));
    assert_null(hone_names_get(t, "never"));
    hone_names_free(t);
    hone_names_free(NULL);
}

/* Against a plain array; keys are taken away and put back while the table grows. */
static void test_as_a_model(void **state) {
    (void)state;
    static char keys[MANY][16];
    void *model[MANY] = {NULL};
    hone_names *t = hone_names_new();
    hone_rng r = hone_rng_make(3, 1);
    for (int i = 0; i < MANY; i++) snprintf(keys[i], sizeof keys[i], "value_%d", i);
    for (int step = 0; step < 20000; step++) {
        uint32_t i = hone_rng_below(&r, MANY);
        model[i] = hone_rng_below(&r, 3) ? keys[hone_rng_below(&r, MANY)] : NULL;
        assert_true(hone_names_put(t, keys[i], model[i]));
        uint32_t k = hone_rng_below(&r, MANY);
        assert_ptr_equal(hone_names_get(t, keys[k]), model[k]);
    }
    for (int i = 0; i < MANY; i++) assert_ptr_equal(hone_names_get(t, keys[i]), model[i]);
    hone_names_free(t);
}

/* One name that comes and goes, each time under another address, must not fill the table. */
static void test_keys_that_come_and_go(void **state) {
    (void)state;
    hone_names *t = hone_names_new();
    static char keys[2000][12];
    for (int i = 0; i < 2000; i++) {
        snprintf(keys[i], sizeof keys[i], "k%d", i);
        assert_true(hone_names_put(t, keys[i], keys));
        assert_true(hone_names_put(t, keys[i], NULL));
    }
    for (int i = 0; i < 2000; i++) assert_null(hone_names_get(t, keys[i]));
    hone_names_free(t);
}

static void test_out_of_memory(void **state) {
    (void)state;
    static char keys[40][8];
    for (uint64_t n = 1; n <= 2; n++) {
        hone_alloc_fail_at(n, false);
        assert_null(hone_names_new());
    }
    hone_alloc_fail_at(0, false);
    hone_names *t = hone_names_new();
    int i = 0;
    hone_alloc_fail_at(1, true);
    for (; i < 40; i++) {
        snprintf(keys[i], sizeof keys[i], "%d", i);
        if (!hone_names_put(t, keys[i], keys[i])) break;
    }
    hone_alloc_fail_at(0, false);
    assert_in_range(i, 1, 39); /* it had to grow, and could not */
    for (int k = 0; k < i; k++) assert_ptr_equal(hone_names_get(t, keys[k]), keys[k]);
    assert_null(hone_names_get(t, keys[i]));
    assert_true(hone_names_put(t, keys[i], keys[i]));
    hone_names_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_and_put),
        cmocka_unit_test(test_as_a_model),
        cmocka_unit_test(test_keys_that_come_and_go),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
