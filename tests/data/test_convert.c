#include "files.h"

#include "graph/tensor.h"

#include <hone/data.h>

#include <math.h>

/* The numbers of `from` as `to` are `wanted`, or the status is. */
static void becomes(hone_dtype from, const void *data, int64_t count, hone_dtype to, hone_status status,
                    const double *wanted) {
    hone_tensor *t = NULL, *out = NULL;
    hone_error err = {0};
    assert_int_equal(hone_tensor_copy_of(from, 1, &count, data, &t, NULL), HONE_OK);
    assert_int_equal(hone_tensor_convert(t, to, &out, &err), status);
    for (int64_t i = 0; i < count && status == HONE_OK; i++) {
        assert_int_equal(out->dtype, to);
        assert_true(hone_tensor_number(out, i) == wanted[i]);
    }
    if (status != HONE_OK) assert_null(out);
    hone_tensor_free(t);
    hone_tensor_free(out);
}

static void test_floats(void **state) {
    (void)state;
    const double x[] = {0.5, -3, INFINITY}, large[] = {1e300, 70000};
    becomes(HONE_FLOAT64, x, 3, HONE_FLOAT32, HONE_OK, x);
    becomes(HONE_FLOAT64, x, 3, HONE_FLOAT16, HONE_OK, x);
    becomes(HONE_FLOAT64, x, 3, HONE_BFLOAT16, HONE_OK, x);
    becomes(HONE_FLOAT64, large, 1, HONE_FLOAT32, HONE_OUT_OF_RANGE, NULL);
    becomes(HONE_FLOAT64, large + 1, 1, HONE_FLOAT16, HONE_OUT_OF_RANGE, NULL);
    becomes(HONE_FLOAT64, x, 3, HONE_INT64, HONE_INVALID_ARGUMENT, NULL);
    becomes(HONE_FLOAT64, x, 3, HONE_FLOAT8E5M2, HONE_INVALID_ARGUMENT, NULL);
    becomes(HONE_FLOAT64, x, 3, HONE_STRING, HONE_INVALID_ARGUMENT, NULL);
}

static void test_integers(void **state) {
    (void)state;
    const int64_t x[] = {1, -128, 127}, y[] = {128}, z[] = {0, 1};
    const uint64_t most[] = {UINT64_MAX};
    const bool flags[] = {true, false};
    becomes(HONE_INT64, x, 3, HONE_INT8, HONE_OK, (double[]){1, -128, 127});
    becomes(HONE_INT64, x, 3, HONE_UINT64, HONE_OUT_OF_RANGE, NULL);
    becomes(HONE_INT64, x, 3, HONE_FLOAT16, HONE_OK, (double[]){1, -128, 127});
    becomes(HONE_INT64, y, 1, HONE_INT8, HONE_OUT_OF_RANGE, NULL);
    becomes(HONE_INT64, z, 2, HONE_BOOL, HONE_OK, (double[]){0, 1});
    becomes(HONE_INT64, x, 3, HONE_BOOL, HONE_OUT_OF_RANGE, NULL);
    becomes(HONE_UINT64, most, 1, HONE_INT64, HONE_OUT_OF_RANGE, NULL);
    becomes(HONE_UINT64, most, 1, HONE_UINT64, HONE_OK, (double[]){0x1p64});
    becomes(HONE_BOOL, flags, 2, HONE_INT32, HONE_OK, (double[]){1, 0});
    becomes(HONE_BOOL, flags, 2, HONE_FLOAT32, HONE_OK, (double[]){1, 0});
    becomes(HONE_INT64, x, 0, HONE_INT8, HONE_OK, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_floats), cmocka_unit_test(test_integers)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
