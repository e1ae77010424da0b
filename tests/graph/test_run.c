/* What steps get of the frame. */
#include "graph/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What a step does not have is nowhere, not before the first address. */
static void test_what_is_left_out(void **state) {
    (void)state;
    char before, there[128];
    void *slots[] = {&before, there};
    hone_frame f = {.address = slots + 1};
    const int none = -1;
    hone_step s = {
        .in = &none, .out = &none, .in_count = 1, .out_count = 1, .scratch = -1, .worker_scratch = -1};
    for (int i = 0; i < 2; i++) {
        assert_null(hone_step_in(&s, &f, i));
        assert_null(hone_step_out(&s, &f, i));
        assert_null(hone_step_worker_scratch(&s, &f, i));
    }
    assert_null(hone_step_scratch(&s, &f));
    s.scratch = s.worker_scratch = 0;
    s.worker_scratch_size = 64;
    assert_ptr_equal(hone_step_scratch(&s, &f), there);
    assert_ptr_equal(hone_step_worker_scratch(&s, &f, 1), there + 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_is_left_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
