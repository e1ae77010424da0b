#include <sys/mman.h>

#include "base/bits.h"
#include "support/graphs.h"

static void test_sizes(void **state) {
    (void)state;
    hone_error err;
    int64_t count;
    size_t bytes;
    assert_int_equal(hone_shape_size(HONE_FLOAT32, SHAPE(2, 3, 4), &count, &bytes, &err), HONE_OK);
    assert_int_equal(count, 24);
    assert_int_equal(bytes, 96);
    assert_int_equal(hone_shape_size(HONE_INT64, 0, NULL, &count, &bytes, &err), HONE_OK);
    assert_int_equal(count, 1);
    assert_int_equal(bytes, 8);
    assert_int_equal(hone_shape_size(HONE_BOOL, SHAPE(5, 0, 7), &count, &bytes, &err), HONE_OK);
    assert_int_equal(count, 0);
    assert_int_equal(bytes, 0);
}

static void test_impossible_shapes(void **state) {
    (void)state;
    hone_error err;
    hone_tensor *t = NULL;
    const int64_t big = INT64_C(1) << 40;
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, SHAPE(big, big), &t, &err), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "dimension 1"));
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, SHAPE(0, big, big), &t, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, SHAPE(INT64_MAX), &t, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_tensor_new(HONE_UINT8, SHAPE(INT64_MAX), &t, &err), HONE_OUT_OF_MEMORY);
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, SHAPE(3, -1), &t, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, SHAPE(1, 1, 1, 1, 1, 1, 1, 1, 1), &t, &err),
                     HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, -1, NULL, &t, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_tensor_new((hone_dtype)99, 0, NULL, &t, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_tensor_new(HONE_UNDEFINED, 0, NULL, &t, &err), HONE_INVALID_ARGUMENT);
    assert_null(t);
}

static void test_wrap_borrows(void **state) {
    (void)state;
    hone_error err;
    float x[6] = {1, 2, 3, 4, 5, 6};
    hone_tensor *t = NULL;
    check_ok(hone_tensor_wrap(HONE_FLOAT32, SHAPE(2, 3), x, &t, &err));
    assert_ptr_equal(hone_tensor_data(t), x);
    assert_int_equal(hone_tensor_bytes(t), sizeof x);
    assert_ptr_equal(hone_tensor_retain(t), t);
    hone_tensor_free(t);
    assert_int_equal(hone_tensor_dims(t)[1], 3); /* the second reference holds it */
    hone_tensor_free(t);
    assert_true(x[5] == 6);
    char *texts[1] = {NULL};
    assert_int_equal(hone_tensor_wrap(HONE_STRING, SHAPE(1), texts, &t, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_tensor_wrap(HONE_FLOAT32, SHAPE(1), NULL, &t, &err), HONE_INVALID_ARGUMENT);
}

static void count_release(void *owner) {
    ++*(int *)owner;
}

static void test_borrowed_data_have_an_owner(void **state) {
    (void)state;
    hone_error err;
    float x[6] = {1, 2, 3, 4, 5, 6};
    int released = 0;
    hone_tensor *t = NULL;
    assert_int_equal(hone_tensor_borrow(HONE_FLOAT32, SHAPE(2, -3), x, count_release, &released, &t, &err),
                     HONE_INVALID_ARGUMENT);
    hone_alloc_fail_at(1, false);
    assert_int_equal(hone_tensor_borrow(HONE_FLOAT32, SHAPE(2, 3), x, count_release, &released, &t, &err),
                     HONE_OUT_OF_MEMORY);
    hone_alloc_fail_at(0, false);
    assert_int_equal(released, 0); /* still the caller's */
    check_ok(hone_tensor_borrow(HONE_FLOAT32, SHAPE(2, 3), x, count_release, &released, &t, &err));
    assert_ptr_equal(hone_tensor_data(t), x);
    hone_tensor_free(hone_tensor_retain(t));
    assert_int_equal(released, 0);
    hone_tensor_free(t);
    assert_int_equal(released, 1);
}

/* What a tensor alone has goes; what somebody else sees stays. */
static void test_discarding(void **state) {
    (void)state;
    const int64_t n = 1 << 18;
    hone_tensor *t = tensor_make(HONE_FLOAT32, SHAPE(n));
    for (int64_t i = 0; i < n; i++) tensor_set(t, i, 1);
    hone_tensor_retain(t);
    hone_tensor_discard(t, 0, t->bytes);
    for (int64_t i = 0; i < n; i++) assert_true(tensor_at(t, i) == 1);
    hone_tensor_free(t);
    hone_tensor_discard(t, t->bytes / 2, SIZE_MAX);
    hone_tensor_discard(t, t->bytes, 1);
    for (int64_t i = 0; i < n / 2; i++) assert_true(tensor_at(t, i) == 1);
    assert_true(tensor_at(t, n - n / 8) == 0);
    hone_tensor_free(t);
    float *x = calloc((size_t)n, sizeof *x);
    hone_error err;
    x[n / 2] = 1;
    check_ok(hone_tensor_wrap(HONE_FLOAT32, SHAPE(n), x, &t, &err));
    hone_tensor_discard(t, 0, t->bytes);
    assert_true(x[n / 2] == 1);
    hone_tensor_free(t);
    free(x);
}

/* A tensor's data go to one of another shape; what is held twice or borrowed is nobody's own. */
static void test_take(void **state) {
    (void)state;
    hone_error err;
    hone_tensor *a = tensor_random(HONE_FLOAT32, SHAPE(4, 6), 1), *want = tensor_copy(a), *b = NULL, *wrapped;
    hone_tensor_retain(a);
    assert_false(hone_tensor_is_own(a));
    hone_tensor_free(a);
    assert_true(hone_tensor_is_own(a));
    check_ok(hone_tensor_take(a, 3, (int64_t[]){2, 6, 2}, &b, &err));
    assert_null(a->data);
    assert_int_equal(a->bytes, 0);
    assert_false(hone_tensor_is_own(a));
    hone_tensor_free(a);
    assert_true(hone_tensor_is_own(b));
    assert_int_equal(b->rank, 3);
    assert_memory_equal(b->data, want->data, want->bytes);
    check_ok(hone_tensor_wrap(HONE_FLOAT32, SHAPE(24), b->data, &wrapped, &err));
    assert_false(hone_tensor_is_own(wrapped));
    hone_tensor_free(wrapped);
    hone_tensor_free(b);
    hone_tensor_free(want);
}

static void test_copies_are_apart(void **state) {
    (void)state;
    hone_tensor *a = tensor_random(HONE_FLOAT32, SHAPE(5), 1), *b = tensor_copy(a);
    assert_same_bits(a, b);
    tensor_set(b, 0, 42);
    assert_true(tensor_at(a, 0) != 42);
    hone_tensor_free(a);
    hone_tensor_free(b);
}

/* Two tensors must not own the same strings. */
static void test_string_copies_own_their_texts(void **state) {
    (void)state;
    hone_error err;
    hone_tensor *a = tensor_make(HONE_STRING, SHAPE(2)), *b = NULL;
    check_ok(hone_tensor_set_string(a, 0, "o\0e", 3, &err));
    check_ok(hone_tensor_copy_of(HONE_STRING, 1, a->dims, a->data, &b, &err));
    size_t size;
    assert_memory_equal(hone_tensor_string(b, 0, &size), "o\0e", 4);
    assert_int_equal(size, 3);
    assert_ptr_not_equal(hone_tensor_string(b, 0, NULL), hone_tensor_string(a, 0, NULL));
    assert_null(((const hone_string *)b->data)[1].data);
    assert_string_equal(hone_tensor_string(b, 1, &size), "");
    assert_int_equal(size, 0);
    hone_tensor_free(b);
    assert_memory_equal(hone_tensor_string(a, 0, NULL), "o\0e", 4);
    for (int n = 1; n <= 3; n++) {
        hone_alloc_fail_at((uint64_t)n, false);
        assert_int_equal(hone_tensor_copy_of(HONE_STRING, 1, a->dims, a->data, &b, &err), HONE_OUT_OF_MEMORY);
        hone_alloc_fail_at(0, false);
    }
    hone_tensor_free(a);
}

static void test_setting_strings(void **state) {
    (void)state;
    hone_error err;
    hone_tensor *t = tensor_make(HONE_STRING, SHAPE(2)), *numbers = tensor_make(HONE_INT64, SHAPE(2));
    assert_int_equal(hone_tensor_bytes(t), 2 * sizeof(hone_string));
    assert_int_equal(hone_tensor_set_string(t, 2, "a", 1, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_tensor_set_string(t, -1, "a", 1, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_tensor_set_string(numbers, 0, "a", 1, &err), HONE_INVALID_ARGUMENT);
    check_ok(hone_tensor_set_string(t, 1, "before", 6, &err));
    check_ok(hone_tensor_set_string(t, 1, "after", 5, &err));
    assert_string_equal(hone_tensor_string(t, 1, NULL), "after");
    hone_alloc_fail_at(1, false);
    assert_int_equal(hone_tensor_set_string(t, 1, "never", 5, &err), HONE_OUT_OF_MEMORY);
    hone_alloc_fail_at(0, false);
    assert_string_equal(hone_tensor_string(t, 1, NULL), "after");
    check_ok(hone_tensor_set_string(t, 1, NULL, 0, &err));
    assert_string_equal(hone_tensor_string(t, 1, NULL), "");
    hone_tensor_free(t);
    hone_tensor_free(numbers);
}

static void test_integers(void **state) {
    (void)state;
    static const struct {
        hone_dtype dtype;
        uint8_t bytes[8];
        int64_t value;
    } cases[] = {{HONE_BOOL, {1}, 1},
                 {HONE_UINT8, {255}, 255},
                 {HONE_INT8, {255}, -1},
                 {HONE_UINT16, {255, 255}, 65535},
                 {HONE_INT16, {255, 255}, -1},
                 {HONE_INT32, {254, 255, 255, 255}, -2},
                 {HONE_UINT32, {255, 255, 255, 255}, 4294967295},
                 {HONE_INT64, {255, 255, 255, 255, 255, 255, 255, 255}, -1},
                 {HONE_UINT64, {0, 0, 0, 0, 1}, INT64_C(1) << 32},
                 {HONE_UINT4, {0xf9}, 9},
                 {HONE_INT4, {0x79}, -7},
                 {HONE_UINT2, {0x3e}, 2},
                 {HONE_INT2, {0x3e}, -2}};
    for (int i = 0; i < COUNT(cases); i++) {
        hone_tensor *t = tensor_make(cases[i].dtype, 0, NULL);
        memcpy(t->data, cases[i].bytes, t->bytes);
        assert_int_equal(hone_tensor_int(t, 0), cases[i].value);
        assert_true(hone_tensor_number(t, 0) == (double)cases[i].value);
        assert_true(hone_dtype_is_int(t->dtype));
        assert_false(hone_dtype_is_float(t->dtype));
        hone_tensor_free(t);
    }
    assert_true(hone_dtype_is_float(HONE_BFLOAT16));
    assert_false(hone_dtype_is_int(HONE_STRING));
}

/* The third of some elements that share bytes, where they do. */
static void test_numbers(void **state) {
    (void)state;
    static const struct {
        hone_dtype dtype;
        uint8_t bytes[24];
        double value;
    } cases[] = {{HONE_FLOAT32, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0x3f}, 1.5},
                 {HONE_FLOAT64, {[22] = 0xf8, 0x3f}, 1.5},
                 {HONE_FLOAT16, {0, 0, 0, 0, 0, 0xbe}, -1.5},
                 {HONE_BFLOAT16, {0, 0, 0, 0, 0xc0, 0x3f}, 1.5},
                 {HONE_FLOAT8E4M3FN, {0, 0, 0x3c}, 1.5},
                 {HONE_FLOAT8E4M3FNUZ, {0, 0, 0x44}, 1.5},
                 {HONE_FLOAT8E5M2, {0, 0, 0x3e}, 1.5},
                 {HONE_FLOAT8E5M2FNUZ, {0, 0, 0x42}, 1.5},
                 {HONE_FLOAT8E8M0, {0, 0, 130}, 8},
                 {HONE_FLOAT4E2M1, {0, 0xfb}, -1.5},
                 {HONE_UINT64, {[16] = 0, 0, 0, 0, 0, 0, 0, 0x80}, 0x1p63},
                 {HONE_INT4, {0, 0xfb}, -5},
                 {HONE_UINT2, {0x10}, 1}};
    for (int i = 0; i < COUNT(cases); i++) {
        hone_tensor *t = tensor_make(cases[i].dtype, SHAPE(3));
        memcpy(t->data, cases[i].bytes, t->bytes);
        if (hone_tensor_number(t, 2) != cases[i].value)
            fail_msg("%s: %g", hone_dtype_name(t->dtype), hone_tensor_number(t, 2));
        hone_tensor_free(t);
    }
    hone_tensor *t = tensor_make(HONE_STRING, SHAPE(3));
    assert_true(isnan(hone_tensor_number(t, 2)));
    hone_tensor_free(t);
}

/* Ranges of any axis, of elements that share bytes, fill bytes, and own what they point to. */
static void test_ranges(void **state) {
    (void)state;
    hone_error err;
    static const hone_dtype dtypes[] = {HONE_INT2, HONE_INT4, HONE_INT8, HONE_INT64, HONE_STRING};
    const int64_t dims[] = {3, 5, 2};
    for (int d = 0; d < COUNT(dtypes); d++)
        for (int axis = 0; axis < 3; axis++) {
            hone_tensor *t = tensor_make(dtypes[d], 3, dims), *out = NULL;
            int bits = hone_dtype_bits(t->dtype);
            for (int64_t i = 0; i < t->count; i++) {
                char text[8];
                if (t->dtype == HONE_STRING)
                    check_ok(hone_tensor_set_string(t, i, text, (size_t)sprintf(text, "%d", (int)i), &err));
                else if (bits <= 8)
                    hone_bits_set(t->data, i, bits, (unsigned)i * 7 + 1);
                else
                    ((int64_t *)t->data)[i] = i;
            }
            int64_t to[3] = {dims[0], dims[1], dims[2]}, from = dims[axis] > 2, n = dims[axis] - from;
            to[axis] = n + 1; /* room for one before them */
            out = tensor_make(t->dtype, 3, to);
            check_ok(hone_tensor_copy_range(t, axis, from, n, out, 1, &err));
            for (int64_t i = 0; i < out->count; i++) {
                int64_t at[3] = {i / (to[1] * to[2]), i / to[2] % to[1], i % to[2]};
                bool copied = at[axis] >= 1;
                at[axis] += from - 1;
                int64_t k = copied ? (at[0] * dims[1] + at[1]) * dims[2] + at[2] : -1;
                if (t->dtype == HONE_STRING) {
                    assert_string_equal(hone_tensor_string(out, i, NULL),
                                        copied ? hone_tensor_string(t, k, NULL) : "");
                    if (copied)
                        assert_ptr_not_equal(hone_tensor_string(out, i, NULL),
                                             hone_tensor_string(t, k, NULL));
                } else {
                    assert_int_equal(hone_tensor_int(out, i), copied ? hone_tensor_int(t, k) : 0);
                }
            }
            hone_tensor_free(t);
            hone_tensor_free(out);
        }
}

static void test_texts(void **state) {
    (void)state;
    char text[64], small[6];
    assert_string_equal(hone_shape_format(SHAPE(64, 10), text, sizeof text), "[64, 10]");
    assert_string_equal(hone_shape_format(0, NULL, text, sizeof text), "[]");
    hone_shape_format(SHAPE(123456, 10), small, sizeof small);
    assert_string_equal(small, "[1234");
    for (int d = -1; d <= HONE_DTYPE_COUNT; d++) {
        bool named = strcmp(hone_dtype_name((hone_dtype)d), "undefined") != 0;
        bool complex = d == HONE_COMPLEX64 || d == HONE_COMPLEX128;
        assert_int_equal(named, d > HONE_UNDEFINED && d < HONE_DTYPE_COUNT);
        assert_int_equal(hone_dtype_bits((hone_dtype)d) > 0, named && !complex);
    }
}

/* Elements of less than a byte lie together; what asks for whole bytes gets 0. */
static void test_small_elements(void **state) {
    (void)state;
    static const struct {
        hone_dtype dtype;
        int bits;
        size_t bytes_of_five;
    } cases[] = {{HONE_INT4, 4, 3}, {HONE_UINT4, 4, 3}, {HONE_FLOAT4E2M1, 4, 3},
                 {HONE_INT2, 2, 2}, {HONE_UINT2, 2, 2}, {HONE_FLOAT8E5M2, 8, 5}};
    for (int i = 0; i < COUNT(cases); i++) {
        hone_tensor *t = tensor_make(cases[i].dtype, SHAPE(5));
        assert_int_equal(hone_dtype_bits(cases[i].dtype), cases[i].bits);
        assert_int_equal(hone_dtype_size(cases[i].dtype), cases[i].bits / 8);
        assert_int_equal(t->count, 5);
        assert_int_equal(t->bytes, cases[i].bytes_of_five);
        hone_tensor_free(t);
    }
}

/* A copy of many zeros takes no memory for them. */
static void test_copy_of_zeros(void **state) {
    (void)state;
    enum { PAGE = 4096, PAGES = 256, TOUCHED = 100 };
    const int64_t count = PAGE / 4 * PAGES;
    hone_tensor *from = NULL, *copy = NULL;
    hone_error err;
    unsigned char there[PAGES + 1] = {0};
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 1, &count, &from, &err), HONE_OK);
    ((float *)from->data)[PAGE / 4 * TOUCHED + 7] = 5;
    assert_int_equal(hone_tensor_copy_of(HONE_FLOAT32, 1, &count, from->data, &copy, &err), HONE_OK);
    assert_memory_equal(copy->data, from->data, from->bytes);
    hone_tensor_free(copy);
    assert_int_equal(hone_tensor_copy_of(HONE_FLOAT32, 1, &count, from->data, &copy, &err), HONE_OK);
    char *page = (char *)((uintptr_t)copy->data & ~(uintptr_t)(PAGE - 1));
    assert_int_equal(mincore(page, (size_t)PAGE * PAGES, there), 0);
    int resident = 0;
    (void)resident;
    for (int i = 0; i < PAGES; i++) resident += there[i] & 1;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* their allocators touch what they give */
    assert_in_range(resident, 1, 4);
#endif
    hone_tensor_free(from);
    hone_tensor_free(copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_of_zeros),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_impossible_shapes),
        cmocka_unit_test(test_wrap_borrows),
        cmocka_unit_test(test_borrowed_data_have_an_owner),
        cmocka_unit_test(test_discarding),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_copies_are_apart),
        cmocka_unit_test(test_string_copies_own_their_texts),
        cmocka_unit_test(test_setting_strings),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_small_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
