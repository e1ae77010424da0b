#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/ranks.h"

#include <hone/ranks.h>

/* One process is alone, and knows what it has. */
static void alone(void **state) {
    (void)state;
    float x[] = {1, 2};
    double y = 3;
    assert_int_equal(hone_ranks_begin(NULL), HONE_OK);
    assert_int_equal(hone_rank(), 0);
    assert_int_equal(hone_rank_count(), 1);
    assert_int_equal(hone_ranks_sum(x, 2, HONE_RANKS_F32, NULL), HONE_OK);
    assert_int_equal(hone_ranks_sum(&y, 1, HONE_RANKS_F64, NULL), HONE_OK);
    assert_int_equal(hone_ranks_share(x, sizeof x, NULL), HONE_OK);
    assert_true(x[0] == 1 && x[1] == 2 && y == 3);
    hone_ranks_end(true); /* nobody waits */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
