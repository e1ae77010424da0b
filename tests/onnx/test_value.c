/* Values in files of their own: sequences, maps and optional values, and what is wrong with some. */
#include "graph/infer.h"
#include "onnx/model.h"
#include "onnx/onnx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bytes tensor, list, value;
static hone_error err;

static hone_tensor *read_as(hone_value_kind kind, hone_dtype dtype, hone_status wanted) {
    hone_type type = {.kind = kind, .dtype = dtype, .rank = HONE_RANK_ANY, .element = hone_type_any(dtype)};
    hone_tensor *t = NULL;
    err = (hone_error){0};
    hone_status got = hone_onnx_value(value.data, value.size, &type, "v.pb", &t, &err);
    if (got != wanted) fail_msg("got %s: %s", hone_status_name(got), err.message);
    if (got != HONE_OK) assert_string_equal(err.file, "v.pb");
    return t;
}

static void put_floats(bytes *to, int field, int64_t count) {
    static const float x[] = {1, 2, 3, 4};
    tensor_begin(&tensor, "t", HONE_FLOAT32, 1, &count);
    put_block(&tensor, 9, x, (size_t)count * sizeof *x);
    put_message(to, field, &tensor);
}

static void test_sequences(void **state) {
    (void)state;
    for (int64_t count = 0; count < 4; count++) {
        value.size = 0;
        put_int(&value, 2, 1);
        for (int64_t i = 0; i < count; i++) put_floats(&value, 3, i + 1);
        hone_tensor *t = read_as(HONE_KIND_SEQUENCE, HONE_FLOAT32, HONE_OK);
        assert_int_equal(t->count, count);
        assert_int_equal(t->dtype, HONE_FLOAT32);
        for (int64_t i = 0; i < count; i++) assert_int_equal(hone_tensor_item(t, i)->count, i + 1);
        hone_tensor_free(t);
    }
    value.size = list.size = 0;
    put_floats(&value, 3, 2); /* float and integers in one */
    tensor_begin(&tensor, "t", HONE_INT8, 1, (int64_t[]){1});
    put_block(&tensor, 9, "x", 1);
    put_message(&value, 3, &tensor);
    read_as(HONE_KIND_SEQUENCE, HONE_FLOAT32, HONE_INVALID_ARGUMENT);
    value.size = 0;
    put_message(&value, 5, &list); /* a sequence of sequences */
    read_as(HONE_KIND_SEQUENCE, HONE_FLOAT32, HONE_UNSUPPORTED);
}

static void test_maps(void **state) {
    (void)state;
    for (int strings = 0; strings < 2; strings++)
        for (int missing = 0; missing < 2; missing++) {
            value.size = list.size = 0;
            for (int i = 0; i < 3 - missing; i++) put_floats(&list, 3, 1);
            put_int(&value, 2, strings ? HONE_STRING : HONE_INT64);
            for (int i = 0; i < 3; i++)
                if (strings)
                    put_block(&value, 4, "k\0y", 3);
                else
                    put_int(&value, 3, 10 * i);
            put_message(&value, 5, &list);
            hone_tensor *t = read_as(HONE_KIND_MAP, strings ? HONE_STRING : HONE_INT64,
                                     missing ? HONE_INVALID_ARGUMENT : HONE_OK);
            if (!t) continue;
            const hone_tensor *keys = hone_tensor_item(t, 0), *values = hone_tensor_item(t, 1);
            assert_int_equal(keys->count, 3);
            assert_int_equal(values->rank, 1);
            size_t size = 0;
            if (strings)
                assert_memory_equal(hone_tensor_string(keys, 2, &size), "k\0y", 3);
            else
                assert_int_equal(hone_tensor_int(keys, 2), 20);
            hone_tensor_free(t);
        }
    value.size = 0;
    put_int(&value, 2, HONE_INT64);
    read_as(HONE_KIND_MAP, HONE_INT64, HONE_CORRUPT); /* no values */
    value.size = list.size = 0;
    put_int(&value, 2, HONE_FLOAT32);
    put_message(&value, 5, &list);
    read_as(HONE_KIND_MAP, HONE_FLOAT32, HONE_UNSUPPORTED);
}

static void test_optional_values(void **state) {
    (void)state;
    value.size = list.size = 0;
    hone_tensor *t = read_as(HONE_KIND_OPTIONAL, HONE_FLOAT32, HONE_OK);
    assert_int_equal(t->count, 0);
    hone_tensor_free(t);
    put_floats(&value, 3, 2);
    t = read_as(HONE_KIND_OPTIONAL, HONE_FLOAT32, HONE_OK);
    assert_int_equal(hone_tensor_item(t, 0)->count, 2);
    hone_tensor_free(t);
    value.size = 0;
    put_message(&value, 5, &list);
    t = read_as(HONE_KIND_OPTIONAL, HONE_INT8, HONE_OK);
    assert_int_equal(hone_tensor_kind(hone_tensor_item(t, 0)), HONE_KIND_SEQUENCE);
    hone_tensor_free(t);
    value.size = 0;
    put_message(&value, 7, &list);
    read_as(HONE_KIND_OPTIONAL, HONE_INT8, HONE_UNSUPPORTED);
}

/* Cut anywhere, or with any byte changed, it is read or refused. */
static void test_broken_bytes(void **state) {
    (void)state;
    static bytes whole;
    static const hone_value_kind kinds[] = {HONE_KIND_TENSOR, HONE_KIND_SEQUENCE, HONE_KIND_MAP,
                                            HONE_KIND_OPTIONAL};
    value.size = list.size = 0;
    put_floats(&list, 3, 1);
    put_int(&value, 2, HONE_INT64);
    put_int(&value, 3, 7);
    put_message(&value, 5, &list);
    whole = value;
    for (int k = 0; k < 4; k++)
        for (size_t i = 0; i < whole.size; i++)
            for (int change = 0; change < 257; change++) {
                hone_type type = {.kind = kinds[k], .dtype = HONE_INT64, .rank = HONE_RANK_ANY};
                hone_tensor *t = NULL;
                value = whole;
                if (change == 256)
                    value.size = i;
                else
                    value.data[i] = (uint8_t)change;
                if (hone_onnx_value(value.data, value.size, &type, "v.pb", &t, &err) == HONE_OK)
                    hone_tensor_free(t);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_optional_values),
        cmocka_unit_test(test_broken_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
