#include "files.h"

#include "data/idx.h"
#include "graph/tensor.h"

static const char *corpus(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/fuzz/corpus/idx/%s", HONE_SOURCE_DIR, name);
    return path;
}

static void test_types(void **state) {
    (void)state;
    hone_tensor *t = NULL;
    assert_int_equal(hone_idx_load(corpus("u8_2x2x3"), &t, NULL), HONE_OK);
    assert_int_equal(t->dtype, HONE_UINT8);
    assert_int_equal(t->rank, 3);
    assert_int_equal(t->dims[0], 2);
    assert_int_equal(t->dims[1], 2);
    assert_int_equal(t->dims[2], 3);
    for (int i = 0; i < 12; i++) assert_int_equal(((uint8_t *)t->data)[i], i);
    hone_tensor_free(t);

    assert_int_equal(hone_idx_load(corpus("f4_2"), &t, NULL), HONE_OK);
    assert_int_equal(t->dtype, HONE_FLOAT32);
    assert_true(((float *)t->data)[0] == 1.5f && ((float *)t->data)[1] == -2);
    hone_tensor_free(t);

    assert_int_equal(hone_idx_load(corpus("i2_3"), &t, NULL), HONE_OK);
    assert_int_equal(((int16_t *)t->data)[1], -1);
    assert_int_equal(((int16_t *)t->data)[2], 300);
    hone_tensor_free(t);

    assert_int_equal(hone_idx_load(corpus("f8_1x1"), &t, NULL), HONE_OK);
    assert_true(((double *)t->data)[0] == 1e300);
    hone_tensor_free(t);
}

static void test_gzip_by_content(void **state) {
    (void)state;
    hone_tensor *t = NULL;
    assert_int_equal(hone_idx_load(corpus("u8_labels.gz"), &t, NULL), HONE_OK);
    assert_int_equal(t->count, 10);
    hone_tensor_free(t);
    /* The name says nothing: gzipped without .gz, plain with it. Two members count as one stream. */
    uint8_t plain[64], packed[256];
    size_t size = idx_header(plain, 8, 1, (uint32_t[]){20});
    for (int i = 0; i < 20; i++) plain[size++] = (uint8_t)(i * 3);
    size_t n = gzip_bytes(plain, 10, packed, sizeof packed);
    n += gzip_bytes(plain + 10, size - 10, packed + n, sizeof packed - n);
    const char *paths[] = {made_file("labels", packed, n), made_file("labels.gz", plain, size)};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hone_idx_load(paths[i], &t, NULL), HONE_OK);
        assert_int_equal(t->count, 20);
        assert_int_equal(((uint8_t *)t->data)[19], 57);
        hone_tensor_free(t);
    }
}

/* Every shorter file and every damaged checksum is refused. */
static void test_truncated(void **state) {
    (void)state;
    uint8_t plain[64], packed[256];
    hone_tensor *t = NULL;
    size_t size = idx_header(plain, 8, 2, (uint32_t[]){4, 5});
    for (int i = 0; i < 20; i++) plain[size++] = (uint8_t)i;
    size_t n = gzip_bytes(plain, size, packed, sizeof packed);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(hone_idx_parse(plain, cut, &t, NULL), HONE_CORRUPT);
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(hone_idx_parse(packed, cut, &t, NULL), HONE_CORRUPT);
    packed[n - 6] ^= 1; /* the CRC */
    assert_int_equal(hone_idx_parse(packed, n, &t, NULL), HONE_CORRUPT);
    packed[n - 6] ^= 1;
    packed[n] = 'x'; /* garbage after the member */
    assert_int_equal(hone_idx_parse(packed, n + 1, &t, NULL), HONE_CORRUPT);
    assert_int_equal(hone_idx_parse(packed, n, &t, NULL), HONE_OK);
    hone_tensor_free(t);
}

static void test_refused(void **state) {
    (void)state;
    hone_tensor *t = NULL;
    hone_error err;
    assert_int_equal(hone_idx_load(corpus("too_long"), &t, &err), HONE_CORRUPT);
    assert_non_null(strstr(err.file, "too_long"));
    assert_int_equal(hone_idx_load(corpus("promises_too_much"), &t, &err), HONE_CORRUPT);
    assert_int_equal(hone_idx_load(test_path("nothing"), &t, &err), HONE_NOT_FOUND);
    assert_int_equal(hone_idx_load(test_dir, &t, &err), HONE_IO);
    uint8_t bytes[64];
    size_t n = idx_header(bytes, 7, 1, (uint32_t[]){0});
    assert_int_equal(hone_idx_parse(bytes, n, &t, &err), HONE_CORRUPT);
    n = idx_header(bytes, 8, 9, (uint32_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1});
    bytes[n] = 0;
    assert_int_equal(hone_idx_parse(bytes, n + 1, &t, &err), HONE_UNSUPPORTED);
    n = idx_header(bytes, 8, 0, NULL);
    assert_int_equal(hone_idx_parse(bytes, n, &t, &err), HONE_UNSUPPORTED);
    bytes[0] = 1;
    assert_int_equal(hone_idx_parse(bytes, n, &t, &err), HONE_CORRUPT);
    assert_null(t);
}

/* A small file that promises gigabytes, or holds more than it promises, costs no memory. */
static void test_bombs(void **state) {
    (void)state;
    hone_tensor *t = NULL;
    uint8_t bytes[64], packed[256];
    size_t n = idx_header(bytes, 8, 3, (uint32_t[]){60000, 280, 280});
    uint64_t before = hone_alloc_count();
    assert_int_equal(hone_idx_parse(bytes, n, &t, NULL), HONE_CORRUPT);
    assert_int_equal(hone_alloc_count(), before + 1); /* the source, no tensor */
    size_t m = gzip_bytes(bytes, n, packed, sizeof packed);
    assert_int_equal(hone_idx_parse(packed, m, &t, NULL), HONE_CORRUPT);

    size_t large = (size_t)8 << 20;
    uint8_t *zeros = calloc(large, 1), *bomb = malloc(large);
    assert_true(zeros && bomb);
    idx_header(zeros, 8, 1, (uint32_t[]){16});
    m = gzip_bytes(zeros, large, bomb, large);
    assert_int_equal(hone_idx_parse(bomb, m, &t, NULL), HONE_CORRUPT);
    /* Zeros are the densest there is: an honest file just reaches the limit and must be read. */
    idx_header(zeros, 8, 1, (uint32_t[]){(uint32_t)(large - 8)});
    m = gzip_bytes(zeros, large, bomb, large);
    assert_true(large / m > 1000);
    assert_int_equal(hone_idx_parse(bomb, m, &t, NULL), HONE_OK);
    assert_int_equal(t->count, large - 8);
    hone_tensor_free(t);
    free(zeros);
    free(bomb);
}

static hone_status load_and_free(const char *path) {
    hone_tensor *t = NULL;
    hone_status status = hone_idx_load(path, &t, NULL);
    assert_true((status == HONE_OK) == (t != NULL));
    hone_tensor_free(t);
    return status;
}

static void test_out_of_memory(void **state) {
    (void)state;
    FAIL_EACH_ALLOCATION(load_and_free(corpus("u8_2x2x3")), (void)0);
    FAIL_EACH_ALLOCATION(load_and_free(corpus("u8_labels.gz")), (void)0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),     cmocka_unit_test(test_gzip_by_content),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bombs),     cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
