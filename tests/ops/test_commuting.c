/* Operators that say that they commute do. Matching patterns relies on it. */
#include "ops/op_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static hone_tensor *run_case(const built_case *b) {
    runner r;
    hone_error err;
    const hone_tensor *out[CASE_MAX_OUTPUTS];
    hone_tensor *y = NULL;
    if (runner_open(b->g, "all", 1, &r, &err) != HONE_OK) fail_msg("%s", err.message);
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)b->data, out, &err), HONE_OK);
    assert_int_equal(hone_tensor_copy_of(out[0]->dtype, out[0]->rank, out[0]->dims, out[0]->data, &y, &err),
                     HONE_OK);
    runner_close(&r);
    return y;
}

static void check_commuting(const op_case *c) {
    built_case b;
    assert_true(case_build(c, HONE_FLOAT32, &b));
    assert_int_equal(b.node->input_count, 2);
    hone_tensor *plain = run_case(&b);
    hone_value *first = b.node->inputs[0], *second = b.node->inputs[1];
    hone_node_set_input(b.g, b.node, 0, second);
    hone_node_set_input(b.g, b.node, 1, first);
    hone_tensor *swapped = run_case(&b);
    assert_int_equal(plain->bytes, swapped->bytes);
    assert_memory_equal(plain->data, swapped->data, plain->bytes);
    hone_tensor_free(plain);
    hone_tensor_free(swapped);
    case_free(&b);
}

/* … and each of them has a case. */
static void test_commuting(void **state) {
    (void)state;
    int tested = 0, rows = 0;
    for (int i = 0; hone_op_at(i); i++) {
        if (!hone_op_at(i)->commutes) continue;
        int cases = 0;
        for (int k = 0; k < OP_CASE_COUNT; k++) {
            if (case_op(&op_cases[k]) != hone_op_at(i)) continue;
            check_commuting(&op_cases[k]);
            cases++;
        }
        if (!cases) fail_msg("%s has no case", hone_op_at(i)->name);
        rows++;
        tested += cases;
    }
    assert_true(rows >= 2 && tested > rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_commuting)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
