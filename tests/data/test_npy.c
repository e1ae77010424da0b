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

/* An array of NumPy's strings from its header and its elements. */
static hone_status parse_strings(const char *descr, const char *more, const void *data, size_t size,
                                 hone_tensor **out, hone_error *err) {
    char file[512];
    int n = snprintf(file + 10, sizeof file - 10, "{'descr': '%s', %s}\n", descr, more);
    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = (char)n;
    file[9] = (char)(n >> 8);
    memcpy(file + 10 + n, data, size);
    return hone_npy_parse(file, (size_t)(10 + n) + size, out, err);
}

static void check_string(const hone_tensor *t, int64_t i, const char *want, size_t size) {
    size_t got;
    const char *s = hone_tensor_string(t, i, &got);
    assert_int_equal(got, size);
    assert_memory_equal(s, want, size + 1);
}

/* Bytes, and characters of four bytes in either order; zeros at the end are padding. */
static void test_strings(void **state) {
    (void)state;
    static const char more[] = "'fortran_order': False, 'shape': (3,)";
    hone_tensor *t = NULL;
    hone_error err;
    assert_int_equal(parse_strings("|S3", more, "a\0bcc\0\0\0\0", 9, &t, &err), HONE_OK);
    assert_true(t->dtype == HONE_STRING && t->count == 3);
    check_string(t, 0, "a\0b", 3);
    check_string(t, 1, "cc", 2);
    check_string(t, 2, "", 0);
    assert_int_equal(hone_npy_save(test_path("s.npy"), t, &err), HONE_OK);
    hone_tensor_free(t);
    assert_int_equal(hone_npy_load(test_path("s.npy"), &t, &err), HONE_OK);
    check_string(t, 0, "a\0b", 3);
    check_string(t, 1, "cc", 2);
    hone_tensor_free(t);
    assert_int_equal(
        parse_strings("<U2", more, "a\0\0\0\xe9\0\0\0\xac\x20\0\0\0\xf6\1\0\0\0\0\0\0\0\0\0", 24, &t, &err),
        HONE_OK);
    check_string(t, 0, "a\xc3\xa9", 3);
    check_string(t, 1, "\xe2\x82\xac\xf0\x9f\x98\x80", 7);
    check_string(t, 2, "", 0);
    hone_tensor_free(t);
    assert_int_equal(parse_strings(">U1", more, "\0\0\0a\0\0\x20\xac\0\0\0\0", 12, &t, &err), HONE_OK);
    check_string(t, 1, "\xe2\x82\xac", 3);
    hone_tensor_free(t);
    /* first index fastest */
    assert_int_equal(parse_strings("|S1", "'fortran_order': True, 'shape': (2, 3)", "adbecf", 6, &t, &err),
                     HONE_OK);
    for (int i = 0; i < 6; i++) check_string(t, i, (const char[]){(char)('a' + i), 0}, 1);
    hone_tensor_free(t);
    t = NULL;
    assert_int_equal(parse_strings("<U1", more, "a\0\0\0\0\xd8\0\0a\0\0\0", 12, &t, &err), HONE_CORRUPT);
    assert_non_null(strstr(err.message, "element 1 is no text"));
    assert_int_equal(parse_strings("|S4", more, "abcd", 4, &t, &err), HONE_CORRUPT);
    assert_int_equal(
        parse_strings("|S1", "'fortran_order': False, 'shape': (9223372036854775807,)", "a", 1, &t, &err),
        HONE_CORRUPT);
    assert_null(t);
}

/* What NumPy would read otherwise than it was written. */
static void test_strings_that_numpy_loses(void **state) {
    (void)state;
    hone_tensor *t = NULL;
    hone_error err;
    assert_int_equal(hone_tensor_new(HONE_STRING, 1, (int64_t[]){2}, &t, &err), HONE_OK);
    assert_int_equal(hone_tensor_set_string(t, 1, "a\0", 2, &err), HONE_OK);
    assert_int_equal(hone_npy_save(test_path("z.npy"), t, &err), HONE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "element 1 ends in a zero"));
    assert_false(hone_file_exists(test_path("z.npy")));
    hone_tensor_free(t);
    static const hone_dtype dtypes[] = {HONE_INT4, HONE_UINT2, HONE_FLOAT8E5M2, HONE_FLOAT4E2M1};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        assert_int_equal(hone_tensor_new(dtypes[i], 1, (int64_t[]){2}, &t, &err), HONE_OK);
        assert_int_equal(hone_npy_save(test_path("z.npy"), t, &err), HONE_UNSUPPORTED);
        assert_non_null(strstr(err.message, hone_dtype_name(dtypes[i])));
        hone_tensor_free(t);
    }
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
        {HONE_UNSUPPORTED, "{'descr': '|S0', 'fortran_order': False, 'shape': (3,)}"},
        {HONE_UNSUPPORTED, "{'descr': '<U', 'fortran_order': False, 'shape': (3,)}"},
        {HONE_UNSUPPORTED, "{'descr': '<U-3', 'fortran_order': False, 'shape': (3,)}"},
        {HONE_UNSUPPORTED, "{'descr': '|S99999999999', 'fortran_order': False, 'shape': (3,)}"},
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_versions),     cmocka_unit_test(test_save),
        cmocka_unit_test(test_headers),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_strings),      cmocka_unit_test(test_strings_that_numpy_loses),
        cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
