#include "base/mersenne.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What C++ says of std::mt19937 ([rand.predef]): the 10,000th number of seed 5489. */
static void test_known_answer(void **state) {
    (void)state;
    hone_mersenne m;
    uint32_t x = 0;
    hone_mersenne_seed(&m, 5489);
    assert_int_equal(hone_mersenne_u32(&m), 3499211612u);
    for (int i = 1; i < 10000; i++) x = hone_mersenne_u32(&m);
    assert_int_equal(x, 4123659995u);
}

/* numpy.random.RandomState(seed).uniform(0, 1, 3) */
static void test_numpys_numbers(void **state) {
    (void)state;
    static const struct {
        uint32_t seed;
        double x[3];
    } cases[] = {
        {0, {0x1.18fe1565f12a8p-1, 0x1.6e2d4cf608733p-1, 0x1.349d66b6e894bp-1}},
        {1, {0x1.ab07d0ffa3c06p-2, 0x1.70ce5f3baf051p-1, 0x1.dfb906661c000p-14}},
        {UINT32_MAX, {0x1.8fe69a3924820p-4, 0x1.d323d824032b1p-1, 0x1.93fc6f61af3f9p-1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_mersenne m;
        hone_mersenne_seed(&m, cases[i].seed);
        for (int k = 0; k < 3; k++) assert_true(hone_mersenne_uniform(&m) == cases[i].x[k]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_answer),
                                       cmocka_unit_test(test_numpys_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
