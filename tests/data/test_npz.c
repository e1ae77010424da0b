#include "files.h"

#include "data/npz.h"
#include "graph/tensor.h"

#include <hone/data.h>

static const char *corpus(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/fuzz/corpus/npz/%s", HONE_SOURCE_DIR, name);
    return path;
}

static void test_load(void **state) {
    (void)state;
    hone_tensor *t = NULL;
    assert_int_equal(hone_npz_load(corpus("plain.npz"), "x", &t, NULL), HONE_OK);
    assert_true(t->dtype == HONE_UINT8 && t->rank == 3 && t->dims[0] == 3 && t->dims[2] == 2);
    for (int i = 0; i < 12; i++) assert_int_equal(((uint8_t *)t->data)[i], i);
    hone_tensor_free(t);
    assert_int_equal(hone_npz_load(corpus("splits.npz"), "y_train", &t, NULL), HONE_OK);
    assert_memory_equal(t->data, ((int16_t[]){0, 2, 1}), 6);
    hone_tensor_free(t);
    assert_int_equal(hone_npz_load(corpus("splits.npz"), "y_train.npy", &t, NULL), HONE_OK);
    hone_tensor_free(t);
}

static void test_names(void **state) {
    (void)state;
    hone_npz *z = NULL;
    assert_int_equal(hone_npz_open(corpus("splits.npz"), &z, NULL), HONE_OK);
    assert_true(hone_npz_has(z, "x_test"));
    assert_false(hone_npz_has(z, "x"));
    assert_string_equal(hone_npz_name(z, 0), "x_train.npy");
    assert_non_null(hone_npz_name(z, 3));
    assert_null(hone_npz_name(z, 4));
    assert_null(hone_npz_name(z, -1));
    hone_npz_close(z);
    hone_npz_close(NULL);
}

static void test_missing(void **state) {
    (void)state;
    hone_tensor *t = NULL;
    hone_error err;
    assert_int_equal(hone_npz_load(corpus("plain.npz"), "z", &t, &err), HONE_NOT_FOUND);
    assert_string_equal(err.message, "no array 'z'; there is: x, y");
    assert_non_null(strstr(err.file, "plain.npz"));
    assert_int_equal(hone_npz_load(test_path("none.npz"), "x", &t, &err), HONE_NOT_FOUND);
    assert_non_null(strstr(err.file, "none.npz"));
    assert_int_equal(hone_npz_load(test_dir, "x", &t, &err), HONE_IO);
    assert_int_equal(hone_npz_load(made_file("text.npz", "not a zip file at all", 21), "x", &t, &err),
                     HONE_CORRUPT);
}

/* Any one byte of an archive changed: an error or the same array, never another one. */
static void test_damaged(void **state) {
    (void)state;
    hone_blob b;
    assert_int_equal(hone_file_read(corpus("plain.npz"), 0, &b, NULL), HONE_OK);
    int refused = 0;
    for (size_t i = 0; i < b.size; i++) {
        b.data[i] ^= 0x10;
        hone_npz *z = NULL;
        hone_tensor *t = NULL;
        hone_error err = {0};
        hone_status status = hone_npz_open_memory(b.data, b.size, &z, &err);
        if (status == HONE_OK) status = hone_npz_read(z, "x", &t, &err);
        if (status == HONE_OK) {
            assert_int_equal(t->count, 12);
            for (int j = 0; j < 12; j++) assert_int_equal(((uint8_t *)t->data)[j], j);
        } else {
            assert_int_not_equal(err.message[0], 0);
            refused++;
        }
        hone_tensor_free(t);
        hone_npz_close(z);
        b.data[i] ^= 0x10;
    }
    assert_true(refused > 150); /* at least the bytes of the array itself */
    hone_npz *z = NULL;
    for (size_t cut = 0; cut < b.size; cut++) {
        if (hone_npz_open_memory(b.data, cut, &z, NULL) != HONE_OK) continue;
        assert_false(hone_npz_has(z, "x"));
        hone_npz_close(z);
    }
    hone_blob_free(&b);
}

/* arr_0 … arr_11 of one float each, and back, in the order of the numbers; the same bytes each time. */
static hone_status save_and_load(void) {
    hone_named_tensor arrays[12];
    char names[12][16];
    float numbers[12];
    hone_tensor *t[12] = {NULL}, *s = NULL;
    hone_status status = HONE_OK;
    for (int i = 0; i < 12 && status == HONE_OK; i++) {
        numbers[i] = (float)i;
        snprintf(names[i], sizeof names[i], "arr_%d", i);
        status = hone_tensor_wrap(HONE_FLOAT32, 0, NULL, &numbers[i], &t[i], NULL);
        arrays[i] = (hone_named_tensor){names[i], t[i]};
    }
    if (status == HONE_OK) status = hone_npz_save(test_path("s.npz"), arrays, 12, NULL);
    if (status == HONE_OK) status = hone_npz_load_sequence(test_path("s.npz"), HONE_FLOAT64, &s, NULL);
    if (status == HONE_OK) {
        assert_int_equal(hone_tensor_count(s), 12);
        for (int i = 0; i < 12; i++) assert_true(hone_tensor_number(hone_tensor_item(s, i), 0) == i);
    }
    hone_tensor_free(s);
    for (int i = 0; i < 12; i++) hone_tensor_free(t[i]);
    return status;
}

static void test_sequences(void **state) {
    (void)state;
    hone_blob a, b;
    hone_tensor *s = NULL;
    hone_error err;
    assert_int_equal(save_and_load(), HONE_OK);
    assert_int_equal(hone_file_read(test_path("s.npz"), 0, &a, NULL), HONE_OK);
    assert_int_equal(save_and_load(), HONE_OK);
    assert_int_equal(hone_file_read(test_path("s.npz"), 0, &b, NULL), HONE_OK);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    hone_blob_free(&a);
    hone_blob_free(&b);
    assert_int_equal(hone_npz_save(test_path("none.npz"), NULL, 0, NULL), HONE_OK);
    assert_int_equal(hone_npz_load_sequence(test_path("none.npz"), HONE_INT8, &s, NULL), HONE_OK);
    assert_int_equal(hone_tensor_count(s), 0);
    hone_tensor_free(s);
    assert_int_equal(hone_npz_load_sequence(corpus("plain.npz"), HONE_BOOL, &s, &err), HONE_OUT_OF_RANGE);
    assert_non_null(strstr(err.message, "array 'x': bool can't hold"));
    hone_tensor *narrow = NULL;
    assert_int_equal(hone_tensor_new(HONE_BFLOAT16, 0, NULL, &narrow, NULL), HONE_OK);
    assert_int_equal(hone_npz_save(test_path("b.npz"), &(hone_named_tensor){"b", narrow}, 1, &err),
                     HONE_UNSUPPORTED);
    hone_tensor_free(narrow);
    FAIL_EACH_ALLOCATION(save_and_load(), (void)0);
}

static hone_status load_and_free(const char *name) {
    hone_tensor *t = NULL;
    hone_status status = hone_npz_load(corpus(name), "x", &t, NULL);
    assert_true((status == HONE_OK) == (t != NULL));
    hone_tensor_free(t);
    return status;
}

static void test_out_of_memory(void **state) {
    (void)state;
    FAIL_EACH_ALLOCATION(load_and_free("plain.npz"), (void)0);
    FAIL_EACH_ALLOCATION(load_and_free("features.npz"), (void)0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_load),    cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_missing), cmocka_unit_test(test_sequences),
                                       cmocka_unit_test(test_damaged), cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
