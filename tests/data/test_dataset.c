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
    hone_named_tensor columns[] = {{"x", x}, {"y", y}};
    assert_int_equal(hone_dataset_make(columns, 2, "made", &d, NULL), HONE_OK);
    hone_tensor_free(x);
    hone_tensor_free(y);
    return d;
}

static hone_status read_as(const hone_dataset *d, const char *name, hone_dtype dtype, const uint32_t *indices,
                           int64_t first, int64_t n, void *out, hone_error *err) {
    hone_reading r = {hone_dataset_find(d, name), dtype, true};
    return hone_dataset_read(d, &r, indices, first, n, out, err);
}

/* x as a model sees it, y as int64. */
static hone_status read_xy(const hone_dataset *d, const uint32_t *indices, int64_t first, int64_t n, float *x,
                           int64_t *y, hone_error *err) {
    hone_status status = x ? read_as(d, "x", HONE_FLOAT32, indices, first, n, x, err) : HONE_OK;
    return status == HONE_OK && y ? read_as(d, "y", HONE_INT64, indices, first, n, y, err) : status;
}

static hone_column column(const hone_dataset *d, const char *name) {
    hone_column c = {.name = NULL};
    assert_true(hone_dataset_column(d, hone_dataset_find(d, name), &c));
    return c;
}

static int classes(const hone_dataset *d) {
    return hone_dataset_classes(d, hone_dataset_find(d, "y"));
}

static void moments(const hone_dataset *d, int64_t samples, double *mean, double *deviation) {
    hone_dataset_moments(d, hone_dataset_find(d, "x"), samples, mean, deviation);
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
    hone_column x_column = column(d, "x");
    assert_true(x_column.rank == 3 && x_column.dtype == HONE_UINT8 && hone_dataset_column_count(d) == 2);
    assert_memory_equal(x_column.dims, ((int64_t[]){1, 28, 28}), 3 * sizeof(int64_t));
    assert_int_equal(column(d, "y").rank, 0);
    assert_int_equal(hone_dataset_count(d), 10000);
    assert_int_equal(classes(d), 10);
    assert_string_equal(hone_dataset_class_name(d, 0), "T-shirt/top");
    assert_string_equal(hone_dataset_class_name(d, 9), "Ankle boot");
    assert_null(hone_dataset_class_name(d, 10));
    assert_null(hone_dataset_class_name(d, -1));
    assert_string_equal(hone_dataset_describe(d), "fashion-mnist (test, 10000 samples)");
    static float x[784];
    int64_t y[8], counts[10] = {0};
    assert_int_equal(read_xy(d, NULL, 0, 1, x, y, NULL), HONE_OK);
    assert_int_equal(y[0], 9); /* the first test image is an ankle boot */
    for (int i = 0; i < 784; i++) assert_true(x[i] >= 0 && x[i] <= 1);
    for (int64_t i = 0; i < 10000; i++) {
        assert_int_equal(read_xy(d, NULL, i, 1, NULL, y, NULL), HONE_OK);
        counts[y[0]]++;
    }
    for (int i = 0; i < 10; i++) assert_int_equal(counts[i], 1000);
    hone_dataset_free(d);

    assert_int_equal(hone_dataset_open("fashion-mnist", HONE_SPLIT_TRAIN, &d, NULL), HONE_OK);
    double mean, deviation;
    moments(d, 0, &mean, &deviation);
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
    assert_int_equal(classes(d), 5);
    assert_null(hone_dataset_class_name(d, 0));
    float x[24];
    int64_t y[2];
    assert_int_equal(read_xy(d, (uint32_t[]){4, 0}, 0, 2, x, y, NULL), HONE_OK);
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
    assert_string_equal(err.message, "column 'y' has 3 samples, but column 'x' has 2");
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
    for (int split = 0; split < 2; split++) { /* x and y serve both */
        assert_int_equal(open_npz("plain.npz", (hone_split)split, &d, NULL), HONE_OK);
        assert_int_equal(hone_dataset_count(d), 3);
        assert_false(hone_dataset_is_split(d));
        assert_non_null(strstr(hone_dataset_describe(d), "plain.npz (all, 3 samples)"));
        hone_column c = column(d, "x");
        assert_true(c.rank == 3 && c.dims[0] == 1 && c.dims[1] == 2 && c.dims[2] == 2);
        assert_int_equal(read_xy(d, NULL, 0, 3, x, y, NULL), HONE_OK);
        assert_true(x[11] == 11 / 255.0f && y[1] == 2);
        hone_dataset_free(d);
    }
    assert_int_equal(open_npz("splits.npz", HONE_SPLIT_TRAIN, &d, NULL), HONE_OK);
    assert_int_equal(hone_dataset_count(d), 3);
    assert_int_equal(read_xy(d, NULL, 0, 3, x, NULL, NULL), HONE_OK);
    assert_true(x[11] == 11); /* floats are taken as they are */
    hone_dataset_free(d);
    assert_int_equal(open_npz("splits.npz", HONE_SPLIT_TEST, &d, NULL), HONE_OK);
    assert_true(hone_dataset_is_split(d));
    assert_int_equal(hone_dataset_count(d), 2);
    hone_dataset_free(d);
    assert_int_equal(open_npz("features.npz", HONE_SPLIT_TRAIN, &d, NULL), HONE_OK);
    hone_column c = column(d, "x");
    assert_true(c.rank == 1 && c.dims[0] == 2);
    assert_int_equal(read_xy(d, NULL, 3, 1, x, y, NULL), HONE_OK);
    assert_true(x[1] == 1 && y[0] == 2 && classes(d) == 4);
    hone_dataset_free(d);
    FAIL_EACH_ALLOCATION(open_npz_and_free("splits.npz"), (void)0);
    FAIL_EACH_ALLOCATION(open_npz_and_free("features.npz"), (void)0);
}

/* An archive of arrays of bytes: "x_train 5,3" has that name and shape; "@note" is some text. */
static const char *make_npz(const char *name, const char *const *arrays, int count) {
    static char spec[600];
    int code;
    snprintf(spec, sizeof spec, "npz:%s", test_path(name));
    unlink(spec + strlen("npz:"));
    zip_t *z = zip_open(spec + strlen("npz:"), ZIP_CREATE, &code);
    assert_non_null(z);
    for (int i = 0; i < count; i++) {
        char array[64], file[96];
        int64_t dims[HONE_MAX_RANK];
        int rank = 0;
        if (arrays[i][0] == '@') {
            assert_true(zip_file_add(z, arrays[i] + 1, zip_source_buffer(z, "some text", 9, 0), 0) >= 0);
            continue;
        }
        sscanf(arrays[i], "%63s", array);
        for (const char *at = strchr(arrays[i], ' '); at && at[1]; at = strchr(at + 1, ','))
            dims[rank++] = atoll(at + 1);
        hone_tensor *t = tensor(HONE_UINT8, rank, dims);
        snprintf(file, sizeof file, "%s.npy", array);
        assert_int_equal(hone_npy_save(test_path(file), t, NULL), HONE_OK);
        assert_true(zip_file_add(z, file, zip_source_file(z, test_path(file), 0, -1), 0) >= 0);
        hone_tensor_free(t);
    }
    assert_int_equal(zip_close(z), 0);
    return spec;
}
#define NPZ(name, ...)                                                                                       \
    make_npz(name, (const char *const[]){__VA_ARGS__},                                                       \
             (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

static void test_npz_columns(void **state) {
    (void)state;
    hone_dataset *d = NULL;
    const char *spec =
        NPZ("columns.npz", "a_train 5,3", "b_train 5", "pictures_train 5,4,6", "a_test 2,3", "other 7");
    assert_int_equal(hone_dataset_open(spec, HONE_SPLIT_TRAIN, &d, NULL), HONE_OK);
    assert_int_equal(hone_dataset_column_count(d), 3);
    assert_int_equal(hone_dataset_find(d, "a"), 0);
    assert_int_equal(hone_dataset_find(d, "b_train"), -1);
    assert_int_equal(column(d, "b").rank, 0);
    assert_memory_equal(column(d, "pictures").dims, ((int64_t[]){1, 4, 6}), 3 * sizeof(int64_t));
    hone_column none;
    assert_false(hone_dataset_column(d, 3, &none) || hone_dataset_column(d, -1, &none));
    assert_true(hone_dataset_is_split(d));
    hone_dataset_free(d);
    assert_int_equal(hone_dataset_open(spec, HONE_SPLIT_TEST, &d, NULL), HONE_OK);
    assert_true(hone_dataset_column_count(d) == 1 && hone_dataset_count(d) == 2);
    hone_dataset_free(d);
    /* arrays of no split are the other one */
    spec = NPZ("rest.npz", "a 5,3", "a_test 2,3");
    assert_int_equal(hone_dataset_open(spec, HONE_SPLIT_TRAIN, &d, NULL), HONE_OK);
    assert_true(hone_dataset_count(d) == 5 && hone_dataset_is_split(d));
    hone_dataset_free(d);
}

/* What an archive has besides its columns does no harm, and is told where a column is missed. */
static void test_npz_left_out(void **state) {
    (void)state;
    hone_dataset *d = NULL;
    hone_error err;
    const char *spec = NPZ("more.npz", "seed", "names 10", "x 5,3", "y 5", "@README", "empty 0,3");
    assert_int_equal(hone_dataset_open(spec, HONE_SPLIT_TRAIN, &d, NULL), HONE_OK);
    assert_int_equal(hone_dataset_column_count(d), 2);
    assert_non_null(strstr(d->left_out, "'seed': one value"));
    assert_non_null(strstr(d->left_out, "'names': 10 samples, not 5"));
    assert_non_null(strstr(d->left_out, "'README': "));
    assert_non_null(strstr(d->left_out, "'empty': empty"));
    hone_dataset_free(d);
    d = NULL;
    spec = NPZ("nothing.npz", "seed", "@README");
    assert_int_equal(hone_dataset_open(spec, HONE_SPLIT_TRAIN, &d, &err), HONE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "no array is a column of data: 'seed': one value"));
    assert_null(d);
}

static void test_npz_missing(void **state) {
    (void)state;
    hone_dataset *d = NULL;
    hone_error err;
    const char *spec = NPZ("half.npz", "x_train 2,2");
    assert_int_equal(hone_dataset_open(spec, HONE_SPLIT_TEST, &d, &err), HONE_NOT_FOUND);
    assert_string_equal(err.message, "no array '*_test'; there is: x_train");
    assert_null(d);
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

static hone_status make_of(const hone_named_tensor *columns, int count, const char *text) {
    hone_dataset *d = NULL;
    hone_error err = {0};
    hone_status status = hone_dataset_make(columns, count, "t", &d, &err);
    assert_true((status == HONE_OK) == (d != NULL));
    if (!d && !strstr(err.message, text)) fail_msg("%s", err.message);
    hone_dataset_free(d);
    return status;
}

static void test_what_fits_together(void **state) {
    (void)state;
    hone_tensor *x = tensor(HONE_UINT8, 4, (int64_t[]){3, 2, 2, 2}),
                *y = tensor(HONE_INT64, 1, (int64_t[]){3}), *two = tensor(HONE_INT64, 1, (int64_t[]){2}),
                *none = tensor(HONE_UINT8, 2, (int64_t[]){0, 2}), *one = tensor(HONE_FLOAT32, 0, NULL),
                *text = tensor(HONE_STRING, 1, (int64_t[]){3});
    assert_int_equal(make_of((hone_named_tensor[]){{"x", x}, {"y", y}}, 2, ""), HONE_OK);
    assert_int_equal(make_of((hone_named_tensor[]){{"x", x}}, 1, ""), HONE_OK);
    assert_int_equal(make_of(NULL, 0, "without columns"), HONE_INVALID_ARGUMENT);
    assert_int_equal(make_of((hone_named_tensor[]){{"x", x}, {"y", two}}, 2,
                             "column 'y' has 2 samples, but column 'x' has 3"),
                     HONE_INVALID_ARGUMENT);
    assert_int_equal(make_of((hone_named_tensor[]){{"x", x}, {"x", y}}, 2, "two columns 'x'"),
                     HONE_INVALID_ARGUMENT);
    assert_int_equal(make_of((hone_named_tensor[]){{"x", none}}, 1, "'x' has the shape [0, 2]"),
                     HONE_INVALID_ARGUMENT);
    assert_int_equal(make_of((hone_named_tensor[]){{"x", one}}, 1, "'x' has the shape []"),
                     HONE_INVALID_ARGUMENT);
    assert_int_equal(make_of((hone_named_tensor[]){{"x", text}}, 1, ""), HONE_OK);
    FAIL_EACH_ALLOCATION(make_of((hone_named_tensor[]){{"x", x}, {"y", y}}, 2, ""), (void)0);
    hone_tensor *const all[] = {x, y, two, none, one, text};
    for (int i = 0; i < 6; i++) hone_tensor_free(all[i]);
}

/* Classes are what integers may be that nobody has to order. */
static void test_classes(void **state) {
    (void)state;
    static const struct {
        int64_t largest, least;
        int classes;
    } cases[] = {{4, 0, 5}, {65536, 0, 65537}, {4, -1, 0}, {INT64_MAX, 0, 0}, {0, 0, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_tensor *y = tensor(HONE_INT64, 1, (int64_t[]){3});
        ((int64_t *)y->data)[1] = cases[i].largest;
        ((int64_t *)y->data)[2] = cases[i].least;
        hone_dataset *d = NULL;
        assert_int_equal(hone_dataset_make(&(hone_named_tensor){"y", y}, 1, "t", &d, NULL), HONE_OK);
        assert_int_equal(hone_dataset_classes(d, 0), cases[i].classes);
        assert_int_equal(hone_dataset_classes(d, 1), 0);
        hone_dataset_free(d);
        hone_tensor_free(y);
    }
}

/* Labels as NumPy's users have them: floats, rows with a single 1, [n, 1]. */
static void test_labels_of_other_forms(void **state) {
    (void)state;
    hone_tensor *floats = tensor(HONE_FLOAT64, 1, (int64_t[]){4}),
                *rows = tensor(HONE_UINT8, 2, (int64_t[]){4, 3}),
                *prices = tensor(HONE_FLOAT32, 1, (int64_t[]){4});
    static const int64_t labels[] = {2, 0, 1, 2};
    for (int i = 0; i < 4; i++) {
        ((double *)floats->data)[i] = (double)labels[i];
        ((uint8_t *)rows->data)[3 * i + labels[i]] = 1;
        ((float *)prices->data)[i] = 1e5f + (float)i;
    }
    hone_dataset *d = NULL;
    assert_int_equal(
        hone_dataset_make((hone_named_tensor[]){{"f", floats}, {"r", rows}, {"p", prices}}, 3, "t", &d, NULL),
        HONE_OK);
    assert_true(hone_dataset_classes(d, 0) == 3 && hone_dataset_classes(d, 1) == 3 &&
                hone_dataset_classes(d, 2) == 0);
    for (int c = 0; c < 2; c++) {
        int64_t read[4], counts[3];
        assert_int_equal(hone_dataset_read_labels(d, c, NULL, 0, 4, read, NULL), HONE_OK);
        assert_memory_equal(read, labels, sizeof read);
        assert_int_equal(hone_dataset_class_counts(d, c, counts, NULL), HONE_OK);
        assert_memory_equal(counts, ((int64_t[]){1, 1, 2}), sizeof counts);
    }
    assert_true(hone_dataset_is_whole(d, 0) && hone_dataset_is_whole(d, 2));
    hone_dataset_free(d);
    ((uint8_t *)rows->data)[0] = 1; /* two of a row */
    assert_int_equal(hone_dataset_make(&(hone_named_tensor){"r", rows}, 1, "t", &d, NULL), HONE_OK);
    assert_int_equal(hone_dataset_classes(d, 0), 0);
    hone_dataset_free(d);
    hone_tensor_free(floats);
    hone_tensor_free(rows);
    hone_tensor_free(prices);
}

/* --- reading --- */

static void test_read(void **state) {
    (void)state;
    hone_dataset *d = make(HONE_UINT8, 2, (int64_t[]){20, 37}); /* a size with a rest after blocks of 16 */
    float x[20 * 37];
    int64_t y[20];
    hone_error err;
    uint64_t before = hone_alloc_count();
    assert_int_equal(read_xy(d, NULL, 0, 20, x, y, NULL), HONE_OK);
    for (int i = 0; i < 20 * 37; i++) assert_true(x[i] == (float)(uint8_t)(i * 7) / 255.0f);
    assert_int_equal(read_xy(d, NULL, 20, 0, x, y, NULL), HONE_OK);
    assert_int_equal(read_xy(d, NULL, 19, 2, x, y, &err), HONE_OUT_OF_RANGE);
    assert_int_equal(read_xy(d, NULL, -1, 2, x, y, &err), HONE_OUT_OF_RANGE);
    assert_int_equal(read_xy(d, NULL, 1, INT64_MAX, x, y, &err), HONE_OUT_OF_RANGE);
    assert_int_equal(read_xy(d, NULL, 1, -1, x, y, &err), HONE_OUT_OF_RANGE);
    assert_int_equal(read_xy(d, (uint32_t[]){3, 20}, 0, 2, x, y, &err), HONE_OUT_OF_RANGE);
    assert_string_equal(err.message, "sample 20 of 20");
    assert_int_equal(read_xy(d, (uint32_t[]){3, 19}, 0, 2, NULL, NULL, NULL), HONE_OK);
    assert_int_equal(hone_alloc_count(), before);
    hone_dataset_free(d);
    hone_dataset_free(NULL);
}

/* Of one column of two samples with two values each. */
static hone_status read_one(hone_dtype from, const void *data, hone_dtype to, bool unit, void *out,
                            const char *text) {
    hone_tensor *t = NULL;
    hone_dataset *d = NULL;
    hone_error err = {0};
    assert_int_equal(hone_tensor_copy_of(from, 2, (int64_t[]){2, 2}, data, &t, NULL), HONE_OK);
    assert_int_equal(hone_dataset_make(&(hone_named_tensor){"c", t}, 1, "t", &d, NULL), HONE_OK);
    hone_status status =
        hone_dataset_read(d, &(hone_reading){0, to, unit}, (uint32_t[]){1, 0}, 0, 2, out, &err);
    if (status != HONE_OK && !strstr(err.message, text)) fail_msg("%s", err.message);
    hone_dataset_free(d);
    hone_tensor_free(t);
    return status;
}

static void test_conversions(void **state) {
    (void)state;
    const uint8_t bytes[] = {0, 255, 3, 51};
    const int64_t wide[] = {1, -2, 3000000000, 4}, small[] = {1, -2, 3, 4};
    const uint64_t huge[] = {1, 2, UINT64_MAX, 4};
    const double reals[] = {0.1, -2.5, 1e300, 4};
    const bool flags[] = {true, false, true, true};
    float f[4];
    double w[4];
    int32_t i[4];
    int64_t l[4];
    uint8_t b[4];
    uint16_t h[4];
    assert_int_equal(read_one(HONE_UINT8, bytes, HONE_FLOAT32, true, f, ""), HONE_OK);
    assert_true(f[0] == 3 / 255.0f && f[1] == 0.2f && f[2] == 0 && f[3] == 1);
    assert_int_equal(read_one(HONE_UINT8, bytes, HONE_FLOAT64, true, w, ""), HONE_OK);
    assert_true(w[3] == 1 && fabs(w[0] - 3 / 255.0) < 1e-8);
    assert_int_equal(read_one(HONE_UINT8, bytes, HONE_FLOAT16, true, h, ""), HONE_OK);
    assert_true(h[3] == 0x3c00 && h[2] == 0);
    assert_int_equal(read_one(HONE_UINT8, bytes, HONE_FLOAT32, false, f, ""), HONE_OK);
    assert_true(f[0] == 3 && f[3] == 255);
    assert_int_equal(read_one(HONE_UINT8, bytes, HONE_INT64, true, l, ""), HONE_OK);
    assert_true(l[0] == 3 && l[3] == 255);
    assert_int_equal(read_one(HONE_FLOAT64, reals, HONE_FLOAT32, true, f, ""), HONE_OK);
    assert_true(f[0] == INFINITY && f[2] == 0.1f && f[3] == -2.5f);
    assert_int_equal(read_one(HONE_FLOAT64, reals, HONE_FLOAT64, false, w, ""), HONE_OK);
    assert_true(w[2] == 0.1);
    assert_int_equal(read_one(HONE_BOOL, flags, HONE_FLOAT32, true, f, ""), HONE_OK);
    assert_true(f[2] == 1 && f[3] == 0);
    assert_int_equal(read_one(HONE_INT64, small, HONE_INT32, false, i, ""), HONE_OK);
    assert_true(i[0] == 3 && i[3] == -2);
    assert_int_equal(read_one(HONE_INT64, small, HONE_UINT8, false, b,
                              "column 'c' has -2 in sample 0, which uint8 can't hold"),
                     HONE_OUT_OF_RANGE);
    assert_int_equal(read_one(HONE_INT64, wide, HONE_INT32, false, i,
                              "column 'c' has 3000000000 in sample 1, which int32 can't hold"),
                     HONE_OUT_OF_RANGE);
    assert_int_equal(read_one(HONE_UINT64, huge, HONE_INT64, false, l, "which int64 can't hold"),
                     HONE_OUT_OF_RANGE);
    assert_int_equal(read_one(HONE_INT64, small, HONE_BOOL, false, b, "which bool can't hold"),
                     HONE_OUT_OF_RANGE);
    assert_int_equal(read_one(HONE_FLOAT64, reals, HONE_INT64, false, l, "which int64 can't hold"),
                     HONE_OUT_OF_RANGE);
    static const double fractions[] = {1, 2.5, NAN, 3};
    assert_int_equal(
        read_one(HONE_FLOAT64, fractions, HONE_INT64, false, l, "where a whole number is needed"),
        HONE_INVALID_ARGUMENT);
    assert_int_equal(read_one(HONE_FLOAT64, reals, HONE_STRING, false, l, "can't be read as string"),
                     HONE_INVALID_ARGUMENT);
}

/* A column that was computed from the data: of the samples of a subset. */
static void test_one_more_column(void **state) {
    (void)state;
    hone_dataset *d = make(HONE_UINT8, 2, (int64_t[]){10, 2}), *s = NULL, *more = NULL, *part = NULL;
    hone_tensor *t = tensor(HONE_FLOAT32, 1, (int64_t[]){3});
    hone_error err;
    for (int i = 0; i < 3; i++) ((float *)t->data)[i] = (float)i;
    assert_int_equal(hone_dataset_subset(d, (uint32_t[]){7, 5, 1}, 3, &s, NULL), HONE_OK);
    assert_int_equal(hone_dataset_with_column(s, "y", t, &more, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_dataset_with_column(d, "more", t, &more, &err), HONE_INVALID_ARGUMENT);
    FAIL_EACH_ALLOCATION(hone_dataset_with_column(s, "more", t, &more, &err), assert_null(more));
    hone_dataset_free(s); /* it is not needed any more */
    hone_tensor_free(t);
    FAIL_EACH_ALLOCATION(hone_dataset_subset(more, (uint32_t[]){2, 0}, 2, &part, &err), assert_null(part));
    hone_dataset_free(more);
    hone_dataset_free(d);
    float x[2], y[4];
    assert_int_equal(read_as(part, "more", HONE_FLOAT32, NULL, 0, 2, x, NULL), HONE_OK);
    assert_true(x[0] == 2 && x[1] == 0);
    assert_int_equal(read_as(part, "x", HONE_FLOAT32, NULL, 0, 2, y, NULL), HONE_OK);
    assert_true(y[0] == 14 / 255.0f && y[2] == 98 / 255.0f);
    assert_string_equal(hone_dataset_describe(part), "made (2 of 3 samples)");
    hone_dataset_free(part);
}

static void test_subset(void **state) {
    (void)state;
    hone_dataset *d = make(HONE_FLOAT32, 2, (int64_t[]){10, 2}), *s = NULL, *s2 = NULL;
    uint32_t indices[] = {9, 3, 3, 0};
    assert_int_equal(hone_dataset_subset(d, indices, 4, &s, NULL), HONE_OK);
    indices[0] = 5; /* they were copied */
    assert_int_equal(hone_dataset_count(s), 4);
    assert_string_equal(hone_dataset_describe(s), "made (4 of 10 samples)");
    float x[8];
    int64_t y[4];
    assert_int_equal(read_xy(s, NULL, 0, 4, x, y, NULL), HONE_OK);
    assert_true(x[0] == 18.0f / 3 && x[2] == 2 && x[4] == 2 && x[6] == 0);
    assert_true(y[0] == 0 && y[1] == 0 && y[3] == 0);
    assert_int_equal(hone_dataset_subset(s, (uint32_t[]){3, 0}, 2, &s2, NULL), HONE_OK); /* of a subset */
    assert_int_equal(read_xy(s2, (uint32_t[]){1}, 0, 1, x, NULL, NULL), HONE_OK);
    assert_true(x[0] == 6);
    double mean, deviation;
    moments(s2, 0, &mean, &deviation); /* 0, 1/3, 6, 19/3 */
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
    moments(d, 0, &mean, &deviation);
    assert_true(mean == 0.5); /* exactly */
    assert_true(fabs(deviation - sqrt((256.0 * 256 - 1) / 12) / 255) < 1e-16);
    moments(d, 2, &mean2, &deviation2);
    assert_true(mean2 != mean);
    moments(d, 1000, &mean2, &deviation2);
    assert_true(mean2 == mean && deviation2 == deviation);
    hone_dataset_free(d);
    d = make(HONE_FLOAT64, 2, (int64_t[]){3, 3}); /* 0, 1/3, … 8/3 */
    moments(d, 0, &mean, &deviation);
    assert_true(fabs(mean - 4.0 / 3) < 1e-7 && fabs(deviation - sqrt(60.0 / 81)) < 1e-7);
    hone_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fashion),
                                       cmocka_unit_test(test_fashion_missing),
                                       cmocka_unit_test(test_idx),
                                       cmocka_unit_test(test_npz),
                                       cmocka_unit_test(test_npz_missing),
                                       cmocka_unit_test(test_specs),
                                       cmocka_unit_test(test_npz_columns),
                                       cmocka_unit_test(test_npz_left_out),
                                       cmocka_unit_test(test_what_fits_together),
                                       cmocka_unit_test(test_classes),
                                       cmocka_unit_test(test_labels_of_other_forms),
                                       cmocka_unit_test(test_read),
                                       cmocka_unit_test(test_conversions),
                                       cmocka_unit_test(test_one_more_column),
                                       cmocka_unit_test(test_subset),
                                       cmocka_unit_test(test_moments)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
