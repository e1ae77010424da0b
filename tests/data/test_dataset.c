#include "files.h"

#include "data/dataset.h"
#include "graph/tensor.h"

#include <math.h>
#include <zip.h>

static hone_tensor *tensor(hone_dtype dtype, int rank, const int64_t *dims) {
    hone_tensor *t = NULL;
    assert_int_equal(hone_tensor_new(dtype, rank, dims, &t, NULL), HONE_OK);
    return t;
}

static hone_dataset *make(hone_dtype x_type, int rank, const int64_t *dims) {
    hone_tensor *x = tensor(x_type, rank, dims), *y = tensor(HONE_UINT8, 1, dims);
    for (int64_t i = 0; i < x->count; i++) {
        if (x_type == HONE_UINT8)
            ((uint8_t *)x->data)[i] = (uint8_t)(i * 7);
        else if (x_type == HONE_FLOAT32)
            ((float *)x->data)[i] = (float)i / 3;
        else
            ((double *)x->data)[i] = (double)i / 3;
    }
    for (int64_t i = 0; i < y->count; i++) ((uint8_t *)y->data)[i] = (uint8_t)(i % 3);
    hone_dataset *d = NULL;
    assert_int_equal(hone_dataset_make(x, y, "made", HONE_SPLIT_TEST, &d, NULL), HONE_OK);
    hone_tensor_free(x);
    hone_tensor_free(y);
    return d;
}

/* --- the real set --- */

static void test_fashion(void **state) {
    (void)state;
    hone_dataset *d = NULL;
    hone_error err = {0};
    hone_status status = hone_dataset_open("fashion-mnist", HONE_SPLIT_TEST, &d, &err);
    if (status == HONE_NOT_FOUND)
        skip(); /* the package is not there, and the message says so: test_fashion_missing */
    assert_int_equal(status, HONE_OK);
    int rank;
    const int64_t *shape = hone_dataset_sample_shape(d, &rank);
    assert_true(rank == 3 && shape[0] == 1 && shape[1] == 28 && shape[2] == 28);
    assert_int_equal(hone_dataset_count(d), 10000);
    assert_int_equal(hone_dataset_classes(d), 10);
    assert_string_equal(hone_dataset_class_name(d, 0), "T-shirt/top");
    assert_string_equal(hone_dataset_class_name(d, 9), "Ankle boot");
    assert_null(hone_dataset_class_name(d, 10));
    assert_null(hone_dataset_class_name(d, -1));
    assert_string_equal(hone_dataset_describe(d), "fashion-mnist (test, 10000 samples)");
    static float x[784];
    int64_t y[8], counts[10] = {0};
    assert_int_equal(hone_dataset_read(d, NULL, 0, 1, x, y, NULL), HONE_OK);
    assert_int_equal(y[0], 9); /* the first test image is an ankle boot */
    for (int i = 0; i < 784; i++) assert_true(x[i] >= 0 && x[i] <= 1);
    for (int64_t i = 0; i < 10000; i++) {
        assert_int_equal(hone_dataset_read(d, NULL, i, 1, NULL, y, NULL), HONE_OK);
        counts[y[0]]++;
    }
    for (int i = 0; i < 10; i++) assert_int_equal(counts[i], 1000);
    hone_dataset_free(d);

    assert_int_equal(hone_dataset_open("fashion-mnist", HONE_SPLIT_TRAIN, &d, NULL), HONE_OK);
    double mean, deviation;
    hone_dataset_moments(d, 0, &mean, &deviation);
    assert_true(fabs(mean - 0.2860405969887955) < 1e-15);
    assert_true(fabs(deviation - 0.35302424451492257) < 1e-15);
    hone_dataset_free(d);
}

static void test_fashion_missing(void **state) {
    (void)state;
    hone_dataset *d = NULL;
    hone_error err;
    assert_int_equal(hone_dataset_open_fashion(test_path("empty"), HONE_SPLIT_TRAIN, &d, &err),
                     HONE_NOT_FOUND);
    assert_non_null(strstr(err.message, "apt-get install dataset-fashion-mnist"));
    assert_null(d);
}

/* --- idx:DIR --- */

static void write_idx(const char *name, int rank, const uint32_t *dims, const uint8_t *data, bool gzip) {
    uint8_t bytes[512], packed[1024];
    size_t n = idx_header(bytes, 8, rank, dims), count = 1;
    for (int i = 0; i < rank; i++) count *= dims[i];
    memcpy(bytes + n, data, count);
    n += count;
    if (!gzip)
        made_file(name, bytes, n);
    else
        made_file(name, packed, gzip_bytes(bytes, n, packed, sizeof packed));
}

static hone_status open_idx_dir(hone_split split, hone_dataset **out, hone_error *err) {
    char spec[300];
    snprintf(spec, sizeof spec, "idx:%s", test_dir);
    return hone_dataset_open(spec, split, out, err);
}

static hone_status open_and_free(hone_split split) {
    hone_dataset *d = NULL;
    hone_status status = open_idx_dir(split, &d, NULL);
    assert_true((status == HONE_OK) == (d != NULL));
    hone_dataset_free(d);
    return status;
}

static void test_idx(void **state) {
    (void)state;
    uint8_t pixels[60], labels[5] = {4, 0, 1, 2, 3};
    for (int i = 0; i < 60; i++) pixels[i] = (uint8_t)(255 - i);
    hone_dataset *d = NULL;
    hone_error err;
    assert_int_equal(open_idx_dir(HONE_SPLIT_TRAIN, &d, &err), HONE_NOT_FOUND);
    assert_non_null(strstr(err.message, "train-images-idx3-ubyte"));
    write_idx("train-images-idx3-ubyte", 3, (uint32_t[]){5, 3, 4}, pixels, false);
    write_idx("train-labels-idx1-ubyte.gz", 1, (uint32_t[]){5}, labels, true);
    write_idx("t10k-images.idx3-ubyte", 3, (uint32_t[]){2, 3, 4}, pixels, false);
    write_idx("t10k-labels.idx1-ubyte.gz", 1, (uint32_t[]){2}, labels, true);
    assert_int_equal(open_idx_dir(HONE_SPLIT_TRAIN, &d, NULL), HONE_OK);
    assert_int_equal(hone_dataset_count(d), 5);
    assert_int_equal(hone_dataset_classes(d), 5);
    assert_null(hone_dataset_class_name(d, 0));
    float x[24];
    int64_t y[2];
    assert_int_equal(hone_dataset_read(d, (uint32_t[]){4, 0}, 0, 2, x, y, NULL), HONE_OK);
    assert_true(y[0] == 3 && y[1] == 4);
    for (int i = 0; i < 12; i++) {
        assert_true(x[i] == (float)pixels[48 + i] / 255.0f);
        assert_true(x[12 + i] == (float)pixels[i] / 255.0f);
    }
    hone_dataset_free(d);
    FAIL_EACH_ALLOCATION(open_and_free(HONE_SPLIT_TRAIN), (void)0);
    FAIL_EACH_ALLOCATION(open_and_free(HONE_SPLIT_TEST), (void)0);
    write_idx("t10k-labels.idx1-ubyte.gz", 1, (uint32_t[]){3}, labels, true);
    assert_int_equal(open_idx_dir(HONE_SPLIT_TEST, &d, &err), HONE_INVALID_ARGUMENT);
    assert_string_equal(err.message, "2 samples but 3 labels");
}

/* --- npz:FILE --- */

static hone_status open_npz(const char *name, hone_split split, hone_dataset **out, hone_error *err) {
    char spec[600];
    snprintf(spec, sizeof spec, "npz:%s/fuzz/corpus/npz/%s", HONE_SOURCE_DIR, name);
    return hone_dataset_open(spec, split, out, err);
}

static hone_status open_npz_and_free(const char *name) {
    hone_dataset *d = NULL;
    hone_status status = open_npz(name, HONE_SPLIT_TRAIN, &d, NULL);
    hone_dataset_free(d);
    return status;
}

static void test_npz(void **state) {
    (void)state;
    hone_dataset *d = NULL;
    float x[12];
    int64_t y[4];
    int rank;
    for (int split = 0; split < 2; split++) { /* x and y serve both */
        assert_int_equal(open_npz("plain.npz", (hone_split)split, &d, NULL), HONE_OK);
        assert_int_equal(hone_dataset_count(d), 3);
        assert_false(hone_dataset_is_split(d));
        assert_non_null(strstr(hone_dataset_describe(d), "plain.npz (all, 3 samples)"));
        const int64_t *shape = hone_dataset_sample_shape(d, &rank);
        assert_true(rank == 3 && shape[0] == 1 && shape[1] == 2 && shape[2] == 2);
        assert_int_equal(hone_dataset_read(d, NULL, 0, 3, x, y, NULL), HONE_OK);
        assert_true(x[11] == 11 / 255.0f && y[1] == 2);
        hone_dataset_free(d);
    }
    assert_int_equal(open_npz("splits.npz", HONE_SPLIT_TRAIN, &d, NULL), HONE_OK);
    assert_int_equal(hone_dataset_count(d), 3);
    assert_int_equal(hone_dataset_read(d, NULL, 0, 3, x, NULL, NULL), HONE_OK);
    assert_true(x[11] == 11); /* floats are taken as they are */
    hone_dataset_free(d);
    assert_int_equal(open_npz("splits.npz", HONE_SPLIT_TEST, &d, NULL), HONE_OK);
    assert_true(hone_dataset_is_split(d));
    assert_int_equal(hone_dataset_count(d), 2);
    hone_dataset_free(d);
    assert_int_equal(open_npz("features.npz", HONE_SPLIT_TRAIN, &d, NULL), HONE_OK);
    const int64_t *shape = hone_dataset_sample_shape(d, &rank);
    assert_true(rank == 1 && shape[0] == 2);
    assert_int_equal(hone_dataset_read(d, NULL, 3, 1, x, y, NULL), HONE_OK);
    assert_true(x[1] == 1 && y[0] == 2 && hone_dataset_classes(d) == 4);
    hone_dataset_free(d);
    FAIL_EACH_ALLOCATION(open_npz_and_free("splits.npz"), (void)0);
    FAIL_EACH_ALLOCATION(open_npz_and_free("features.npz"), (void)0);
}

static void test_npz_missing(void **state) {
    (void)state;
    hone_tensor *t = tensor(HONE_UINT8, 2, (int64_t[]){2, 2});
    assert_int_equal(hone_npy_save(test_path("x_train.npy"), t, NULL), HONE_OK);
    hone_tensor_free(t);
    int code;
    const char *path = test_path("half.npz");
    zip_t *z = zip_open(path, ZIP_CREATE, &code);
    assert_non_null(z);
    assert_true(zip_file_add(z, "x_train.npy", zip_source_file(z, test_path("x_train.npy"), 0, -1), 0) >= 0);
    assert_int_equal(zip_close(z), 0);
    char spec[600];
    snprintf(spec, sizeof spec, "npz:%s", path);
    hone_dataset *d = NULL;
    hone_error err;
    assert_int_equal(hone_dataset_open(spec, HONE_SPLIT_TRAIN, &d, &err), HONE_NOT_FOUND);
    assert_string_equal(err.message, "no array 'y_train'; there is: x_train");
    assert_int_equal(hone_dataset_open(spec, HONE_SPLIT_TEST, &d, &err), HONE_NOT_FOUND);
}

static void test_specs(void **state) {
    (void)state;
    static const char *const bad[] = {"", "mnist", "idx:", "npz:", "npz"};
    hone_dataset *d = NULL;
    hone_error err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(hone_dataset_open(bad[i], HONE_SPLIT_TRAIN, &d, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_dataset_open("fashion-mnist", (hone_split)7, &d, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_dataset_open("npz:/nowhere/x.npz", HONE_SPLIT_TRAIN, &d, &err), HONE_NOT_FOUND);
    assert_null(d);
}

/* --- what fits together --- */

static hone_status fit(hone_dtype x_type, int rank, const int64_t *dims, hone_dtype y_type, int64_t n,
                       int64_t label) {
    hone_tensor *x = tensor(x_type, rank, dims), *y = tensor(y_type, 1, &n);
    if (y_type == HONE_INT64 && n) ((int64_t *)y->data)[n - 1] = label;
    hone_dataset *d = NULL;
    hone_error err = {0};
    hone_status status = hone_dataset_make(x, y, "t", HONE_SPLIT_TRAIN, &d, &err);
    assert_true((status == HONE_OK) == (d != NULL));
    if (d)
        assert_int_equal(hone_dataset_classes(d), label + 1);
    else
        assert_int_not_equal(err.message[0], 0);
    hone_dataset_free(d);
    hone_tensor_free(x);
    hone_tensor_free(y);
    return status;
}

static void test_fit(void **state) {
    (void)state;
    const int64_t s[] = {3, 2, 2, 2};
    assert_int_equal(fit(HONE_UINT8, 4, s, HONE_INT64, 3, 65535), HONE_OK);
    assert_int_equal(fit(HONE_UINT8, 4, s, HONE_INT64, 3, 65536), HONE_OUT_OF_RANGE);
    assert_int_equal(fit(HONE_UINT8, 4, s, HONE_INT64, 3, -1), HONE_OUT_OF_RANGE);
    assert_int_equal(fit(HONE_UINT8, 4, s, HONE_INT64, 2, 0), HONE_INVALID_ARGUMENT);
    assert_int_equal(fit(HONE_UINT8, 1, s, HONE_INT64, 3, 0), HONE_INVALID_ARGUMENT);
    assert_int_equal(fit(HONE_UINT8, 2, (int64_t[]){0, 2}, HONE_INT64, 0, 0), HONE_INVALID_ARGUMENT);
    assert_int_equal(fit(HONE_INT32, 2, s, HONE_INT64, 3, 0), HONE_UNSUPPORTED);
    assert_int_equal(fit(HONE_FLOAT32, 2, s, HONE_FLOAT32, 3, 0), HONE_UNSUPPORTED);
    assert_int_equal(fit(HONE_FLOAT32, 2, s, HONE_UINT16, 3, 0), HONE_OK);
}

/* --- reading --- */

static void test_read(void **state) {
    (void)state;
    hone_dataset *d = make(HONE_UINT8, 2, (int64_t[]){20, 37}); /* a size with a rest after blocks of 16 */
    float x[20 * 37];
    int64_t y[20];
    hone_error err;
    uint64_t before = hone_alloc_count();
    assert_int_equal(hone_dataset_read(d, NULL, 0, 20, x, y, NULL), HONE_OK);
    for (int i = 0; i < 20 * 37; i++) assert_true(x[i] == (float)(uint8_t)(i * 7) / 255.0f);
    assert_int_equal(hone_dataset_read(d, NULL, 20, 0, x, y, NULL), HONE_OK);
    assert_int_equal(hone_dataset_read(d, NULL, 19, 2, x, y, &err), HONE_OUT_OF_RANGE);
    assert_int_equal(hone_dataset_read(d, NULL, -1, 2, x, y, &err), HONE_OUT_OF_RANGE);
    assert_int_equal(hone_dataset_read(d, NULL, 1, INT64_MAX, x, y, &err), HONE_OUT_OF_RANGE);
    assert_int_equal(hone_dataset_read(d, NULL, 1, -1, x, y, &err), HONE_OUT_OF_RANGE);
    assert_int_equal(hone_dataset_read(d, (uint32_t[]){3, 20}, 0, 2, x, y, &err), HONE_OUT_OF_RANGE);
    assert_string_equal(err.message, "sample 20 of 20");
    assert_int_equal(hone_dataset_read(d, (uint32_t[]){3, 19}, 0, 2, NULL, NULL, NULL), HONE_OK);
    assert_int_equal(hone_alloc_count(), before);
    hone_dataset_free(d);
    hone_dataset_free(NULL);
}

static void test_subset(void **state) {
    (void)state;
    hone_dataset *d = make(HONE_FLOAT32, 2, (int64_t[]){10, 2}), *s = NULL, *s2 = NULL;
    uint32_t indices[] = {9, 3, 3, 0};
    assert_int_equal(hone_dataset_subset(d, indices, 4, &s, NULL), HONE_OK);
    indices[0] = 5; /* they were copied */
    assert_int_equal(hone_dataset_count(s), 4);
    assert_string_equal(hone_dataset_describe(s), "made (test, 4 of 10 samples)");
    float x[8];
    int64_t y[4];
    assert_int_equal(hone_dataset_read(s, NULL, 0, 4, x, y, NULL), HONE_OK);
    assert_true(x[0] == 18.0f / 3 && x[2] == 2 && x[4] == 2 && x[6] == 0);
    assert_true(y[0] == 0 && y[1] == 0 && y[3] == 0);
    assert_int_equal(hone_dataset_subset(s, (uint32_t[]){3, 0}, 2, &s2, NULL), HONE_OK); /* of a subset */
    assert_int_equal(hone_dataset_read(s2, (uint32_t[]){1}, 0, 1, x, NULL, NULL), HONE_OK);
    assert_true(x[0] == 6);
    double mean, deviation;
    hone_dataset_moments(s2, 0, &mean, &deviation); /* 0, 1/3, 6, 19/3 */
    assert_true(fabs(mean - 38.0 / 12) < 1e-6);
    hone_dataset_free(s2);
    hone_error err;
    s2 = NULL;
    assert_int_equal(hone_dataset_subset(s, (uint32_t[]){4}, 1, &s2, &err), HONE_OUT_OF_RANGE);
    assert_int_equal(hone_dataset_subset(s, indices, 0, &s2, &err), HONE_INVALID_ARGUMENT);
    for (int n = 1; n <= 2; n++) {
        hone_alloc_fail_at((uint64_t)n, false);
        assert_int_equal(hone_dataset_subset(s, (uint32_t[]){1}, 1, &s2, &err), HONE_OUT_OF_MEMORY);
    }
    hone_alloc_fail_at(0, false);
    assert_null(s2);
    hone_dataset_free(s);
    hone_dataset_free(d);
}

static void test_moments(void **state) {
    (void)state;
    hone_dataset *d = make(HONE_UINT8, 2, (int64_t[]){8, 32}); /* each byte once */
    double mean, deviation, mean2, deviation2;
    hone_dataset_moments(d, 0, &mean, &deviation);
    assert_true(mean == 0.5); /* exactly */
    assert_true(fabs(deviation - sqrt((256.0 * 256 - 1) / 12) / 255) < 1e-16);
    hone_dataset_moments(d, 2, &mean2, &deviation2);
    assert_true(mean2 != mean);
    hone_dataset_moments(d, 1000, &mean2, &deviation2);
    assert_true(mean2 == mean && deviation2 == deviation);
    hone_dataset_free(d);
    d = make(HONE_FLOAT64, 2, (int64_t[]){3, 3}); /* 0, 1/3, … 8/3 */
    hone_dataset_moments(d, 0, &mean, &deviation);
    assert_true(fabs(mean - 4.0 / 3) < 1e-7 && fabs(deviation - sqrt(60.0 / 81)) < 1e-7);
    hone_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fashion),     cmocka_unit_test(test_fashion_missing),
        cmocka_unit_test(test_idx),         cmocka_unit_test(test_npz),
        cmocka_unit_test(test_npz_missing), cmocka_unit_test(test_specs),
        cmocka_unit_test(test_fit),         cmocka_unit_test(test_read),
        cmocka_unit_test(test_subset),      cmocka_unit_test(test_moments)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
