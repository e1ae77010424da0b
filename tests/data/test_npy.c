#include "files.h"

#include "data/npy.h"
#include "graph/tensor.h"

#include <hone/data.h>

static const char *corpus(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/fuzz/corpus/npy/%s", HONE_SOURCE_DIR, name);
    return path;
}

static hone_tensor *load(const char *name) {
    hone_tensor *t = NULL;
    hone_error err = {0};
    if (hone_npy_load(corpus(name), &t, &err) != HONE_OK) fail_msg("%s: %s", name, err.message);
    return t;
}

/* Files written by NumPy. */
static void test_types(void **state) {
    (void)state;
    hone_tensor *t = load("f4_3x4.npy");
    assert_int_equal(t->dtype, HONE_FLOAT32);
    assert_true(t->rank == 2 && t->dims[0] == 3 && t->dims[1] == 4);
    for (int i = 0; i < 12; i++) assert_true(((float *)t->data)[i] == (float)i / 2);
    hone_tensor_free(t);
    t = load("f8_scalar.npy");
    assert_true(t->rank == 0 && t->count == 1 && *(double *)t->data == 3.25);
    hone_tensor_free(t);
    t = load("u1_empty.npy");
    assert_true(t->rank == 2 && t->dims[0] == 0 && t->dims[1] == 3 && t->count == 0);
    hone_tensor_free(t);
    t = load("b1_2x2.npy");
    assert_int_equal(t->dtype, HONE_BOOL);
    assert_memory_equal(t->data, ((uint8_t[]){1, 0, 0, 1}), 4);
    hone_tensor_free(t);
    t = load("f2_4.npy");
    assert_int_equal(t->dtype, HONE_FLOAT16);
    assert_int_equal(((uint16_t *)t->data)[3], 0x7bff);
    hone_tensor_free(t);
    t = load("i8_vector.npy");
    assert_true(t->dtype == HONE_INT64 && ((int64_t *)t->data)[0] == -2);
    hone_tensor_free(t);
    t = load("f4_3x4_gzipped.npy");
    assert_int_equal(t->count, 12);
    hone_tensor_free(t);
}

static void test_orders(void **state) {
    (void)state;
    hone_tensor *t = load("fortran_i4_2x3x4.npy");
    assert_true(t->rank == 3 && t->dims[0] == 2 && t->dims[1] == 3 && t->dims[2] == 4);
    for (int i = 0; i < 24; i++) assert_int_equal(((int32_t *)t->data)[i], i);
    hone_tensor_free(t);
    t = load("big_f8_3.npy");
    assert_true(((double *)t->data)[0] == 1.5 && ((double *)t->data)[2] == 1e300);
    hone_tensor_free(t);
    t = load("big_i2_4.npy");
    assert_memory_equal(t->data, ((int16_t[]){1, -1, 256, -32768}), 8);
    hone_tensor_free(t);
}

static void test_versions(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        hone_tensor *t = load(i ? "version3_i2_4.npy" : "version2_i2_4.npy");
        assert_memory_equal(t->data, ((int16_t[]){0, 1, 2, 3}), 8);
        hone_tensor_free(t);
    }
}

/* What Hone writes is to the byte what NumPy wrote. */
static void test_save(void **state) {
    (void)state;
    static const char *const names[] = {"f4_3x4.npy", "f8_scalar.npy", "u1_empty.npy", "i8_vector.npy",
                                        "b1_2x2.npy", "u4_2x1x3.npy",  "f2_4.npy"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        hone_tensor *t = load(names[i]);
        assert_int_equal(hone_npy_save(test_path("out.npy"), t, NULL), HONE_OK);
        hone_blob theirs, ours;
        assert_int_equal(hone_file_read(corpus(names[i]), 0, &theirs, NULL), HONE_OK);
        assert_int_equal(hone_file_read(test_path("out.npy"), 0, &ours, NULL), HONE_OK);
        assert_int_equal(ours.size, theirs.size);
        assert_memory_equal(ours.data, theirs.data, ours.size);
        hone_blob_free(&ours);
        hone_blob_free(&theirs);
        hone_tensor_free(t);
    }
    int64_t dims[8] = {1, 2, 1, 2, 1, 2, 1, 2};
    hone_tensor *t = NULL, *back = NULL;
    assert_int_equal(hone_tensor_new(HONE_UINT16, 8, dims, &t, NULL), HONE_OK);
    ((uint16_t *)t->data)[15] = 77;
    assert_int_equal(hone_npy_save(test_path("out.npy"), t, NULL), HONE_OK);
    assert_int_equal(hone_npy_load(test_path("out.npy"), &back, NULL), HONE_OK);
    assert_true(back->rank == 8 && back->dims[7] == 2 && ((uint16_t *)back->data)[15] == 77);
    hone_tensor_free(back);
    hone_tensor_free(t);
    assert_int_equal(hone_tensor_new(HONE_BFLOAT16, 1, dims, &t, NULL), HONE_OK);
    assert_int_equal(hone_npy_save(test_path("b.npy"), t, NULL), HONE_UNSUPPORTED);
    assert_int_equal(hone_npy_save(test_path("none/b.npy"), t, NULL), HONE_UNSUPPORTED);
    assert_false(hone_file_exists(test_path("b.npy")));
    hone_tensor_free(t);
}

static hone_status parse_header(const char *text) {
    hone_npy_header h;
    return hone_npy_parse_header(text, strlen(text), &h, NULL);
}

static void test_headers(void **state) {
    (void)state;
    hone_npy_header h;
    const char *odd = "  {\"shape\":( 3L ,4L ) ,'fortran_order':True,\t'descr':'>u2'}  \n";
    assert_int_equal(hone_npy_parse_header(odd, strlen(odd), &h, NULL), HONE_OK);
    assert_true(h.rank == 2 && h.dims[0] == 3 && h.dims[1] == 4 && h.fortran && h.dtype == HONE_UINT16 &&
                h.swapped);
    static const struct {
        hone_status status;
        const char *text;
    } bad[] = {
        {HONE_CORRUPT, ""},
        {HONE_CORRUPT, "{"},
        {HONE_CORRUPT, "{}"},
        {HONE_CORRUPT, "{'descr': '<f4', 'fortran_order': False}"},
        {HONE_CORRUPT, "{'descr': '<f4', 'fortran_order': False, 'shape': (3)}"},
        {HONE_CORRUPT, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,,)}"},
        {HONE_CORRUPT, "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}"},
        {HONE_CORRUPT, "{'descr': '<f4', 'fortran_order': False, 'shape': (3 4)}"},
        {HONE_CORRUPT, "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}"},
        {HONE_CORRUPT, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,"},
        {HONE_CORRUPT, "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (3,)}"},
        {HONE_CORRUPT, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} x"},
        {HONE_CORRUPT, "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}"},
        {HONE_CORRUPT, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': 1}"},
        {HONE_CORRUPT, "{'descr': '<f4' 'fortran_order': False, 'shape': (3,)}"},
        {HONE_UNSUPPORTED, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}"},
        {HONE_UNSUPPORTED, "{'descr': '', 'fortran_order': False, 'shape': (3,)}"},
        {HONE_UNSUPPORTED, "{'descr': '<U8', 'fortran_order': False, 'shape': (3,)}"},
        {HONE_UNSUPPORTED, "{'descr': '<f16', 'fortran_order': False, 'shape': (3,)}"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (parse_header(bad[i].text) != bad[i].status) fail_msg("%s", bad[i].text);
}

static void test_refused(void **state) {
    (void)state;
    hone_tensor *t = NULL;
    hone_error err;
    assert_int_equal(hone_npy_load(corpus("objects.npy"), &t, &err), HONE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "Python objects"));
    assert_non_null(strstr(err.file, "objects.npy"));
    assert_int_equal(hone_npy_load(corpus("records.npy"), &t, &err), HONE_UNSUPPORTED);
    assert_int_equal(hone_npy_load(corpus("complex.npy"), &t, &err), HONE_UNSUPPORTED);
    assert_int_equal(hone_npy_load(corpus("bad_header.npy"), &t, &err), HONE_CORRUPT);
    assert_int_equal(hone_npy_load(test_path("nothing.npy"), &t, &err), HONE_NOT_FOUND);
    hone_blob b;
    assert_int_equal(hone_file_read(corpus("fortran_i4_2x3x4.npy"), 0, &b, NULL), HONE_OK);
    for (size_t cut = 0; cut < b.size; cut++)
        assert_int_equal(hone_npy_parse(b.data, cut, &t, NULL), HONE_CORRUPT);
    uint8_t longer[512];
    assert_true(b.size < sizeof longer);
    memcpy(longer, b.data, b.size);
    assert_int_equal(hone_npy_parse(longer, b.size + 1, &t, NULL), HONE_CORRUPT);
    longer[6] = 4;
    assert_int_equal(hone_npy_parse(longer, b.size, &t, NULL), HONE_UNSUPPORTED);
    assert_null(t);
    hone_blob_free(&b);
}

static hone_status load_and_free(const char *name) {
    hone_tensor *t = NULL;
    hone_status status = hone_npy_load(corpus(name), &t, NULL);
    assert_true((status == HONE_OK) == (t != NULL));
    hone_tensor_free(t);
    return status;
}

static void test_out_of_memory(void **state) {
    (void)state;
    FAIL_EACH_ALLOCATION(load_and_free("fortran_i4_2x3x4.npy"), (void)0);
    FAIL_EACH_ALLOCATION(load_and_free("f4_3x4_gzipped.npy"), (void)0);
    hone_tensor *t = load("f4_3x4.npy");
    FAIL_EACH_ALLOCATION(hone_npy_save(test_path("memory.npy"), t, NULL), (void)0);
    hone_tensor_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_types),        cmocka_unit_test(test_orders),
                                       cmocka_unit_test(test_versions),     cmocka_unit_test(test_save),
                                       cmocka_unit_test(test_headers),      cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
