/* Pictures in folders and lists. */
#include "files.h"

#include "base/file.h"
#include "data/dataset.h"
#include "data/pictures.h"

#include <sys/stat.h>
#include <unistd.h>

static hone_error err;

static void folder(const char *name) {
    assert_int_equal(hone_dir_make(test_path(name), &err), HONE_OK);
}

/* A picture of one colour. */
static void picture(const char *name, int width, int height, int red, int green, int blue) {
    uint8_t bytes[4096];
    int n = snprintf((char *)bytes, 64, "P6\n%d %d\n255\n", width, height);
    for (int i = 0; i < width * height; i++) {
        bytes[n++] = (uint8_t)red;
        bytes[n++] = (uint8_t)green;
        bytes[n++] = (uint8_t)blue;
    }
    made_file(name, bytes, (size_t)n);
}

static hone_status open_split(const char *name, hone_split split, const hone_data_options *o,
                              hone_dataset **out) {
    char spec[400];
    snprintf(spec, sizeof spec, "images:%s", test_path(name));
    err = (hone_error){0};
    *out = NULL;
    return hone_dataset_open_with(spec, split, o, out, &err);
}

static hone_dataset *opened(const char *name, hone_split split, const hone_data_options *o) {
    hone_dataset *d = NULL;
    if (open_split(name, split, o, &d) != HONE_OK) fail_msg("%s: %s", err.file, err.message);
    return d;
}

static bool noted(const hone_dataset *d, const char *part) {
    const char *note;
    for (int i = 0; (note = hone_dataset_note(d, i)); i++)
        if (strstr(note, part)) return true;
    return false;
}

static int64_t label(const hone_dataset *d, int64_t i) {
    int64_t y;
    hone_reading r = {.column = hone_dataset_find(d, "y"), .dtype = HONE_INT64};
    assert_int_equal(hone_dataset_read(d, &r, NULL, i, 1, &y, &err), HONE_OK);
    return y;
}

static void pixels(const hone_dataset *d, int64_t i, uint8_t *out) {
    hone_reading r = {.column = hone_dataset_find(d, "x"), .dtype = HONE_UINT8};
    if (hone_dataset_read(d, &r, NULL, i, 1, out, &err) != HONE_OK) fail_msg("%s", err.message);
}

static void shape(const hone_dataset *d, int64_t channels, int64_t height, int64_t width) {
    hone_column c;
    assert_true(hone_dataset_column(d, hone_dataset_find(d, "x"), &c));
    assert_true(c.dtype == HONE_UINT8 && c.rank == 3);
    assert_memory_equal(c.dims, ((int64_t[]){channels, height, width}), 3 * sizeof(int64_t));
}

static void test_folders(void **state) {
    (void)state;
    folder("zoo");
    folder("zoo/dog");
    folder("zoo/cat");
    picture("zoo/dog/b.ppm", 4, 3, 1, 2, 3);
    picture("zoo/dog/a.ppm", 4, 3, 10, 20, 30);
    picture("zoo/cat/x.ppm", 4, 3, 100, 100, 100);
    made_file("zoo/dog/notes.txt", "woof", 4);
    hone_dataset *d = opened("zoo", HONE_SPLIT_TRAIN, NULL);
    assert_true(hone_dataset_count(d) == 3 && !hone_dataset_is_split(d));
    shape(d, 3, 3, 4);
    assert_string_equal(hone_dataset_class_name(d, 0), "cat");
    assert_string_equal(hone_dataset_class_name(d, 1), "dog");
    assert_true(label(d, 0) == 0 && label(d, 1) == 1 && label(d, 2) == 1);
    for (int again = 0; again < 2; again++) { /* from the file, and then from memory */
        uint8_t x[36];
        pixels(d, 1, x);
        assert_true(x[0] == 10 && x[11] == 10 && x[12] == 20 && x[24] == 30 && x[35] == 30);
    }
    assert_true(noted(d, "1 files that are no pictures are left out"));
    float unit[36];
    hone_reading r = {.column = 0, .dtype = HONE_FLOAT32, .unit = true};
    assert_int_equal(hone_dataset_read(d, &r, (uint32_t[]){0}, 0, 1, unit, &err), HONE_OK);
    assert_true(unit[0] == 100 / 255.0f);
    hone_dataset_free(d);
    assert_int_equal(open_split("zoo", HONE_SPLIT_VALIDATION, NULL, &d), HONE_NOT_FOUND);
}

static void test_sizes(void **state) {
    (void)state;
    hone_data_options o = HONE_DATA_OPTIONS_INIT;
    picture("zoo/dog/wide.ppm", 8, 2, 10, 20, 30);
    hone_dataset *d = opened("zoo", HONE_SPLIT_TRAIN, NULL);
    shape(d, 3, HONE_PICTURES_SIDE, HONE_PICTURES_SIDE);
    assert_true(
        noted(d, "the pictures are of 4 x 2 to 8 x 3 pixels (width and height): each becomes 64 x 64"));
    hone_dataset_free(d);
    o.height = 5;
    o.width = 6;
    o.channels = 1;
    d = opened("zoo", HONE_SPLIT_TRAIN, &o);
    shape(d, 1, 5, 6);
    uint8_t x[30];
    for (int i = 0; i < 4; i++) {
        pixels(d, i, x);
        for (int k = 0; k < 30; k++) assert_int_equal(x[k], label(d, i) == 0 ? 100 : i == 2 ? 2 : 18);
    }
    hone_dataset_free(d);
    assert_int_equal(unlink(test_path("zoo/dog/wide.ppm")), 0);
}

static void test_gray(void **state) {
    (void)state;
    folder("gray");
    folder("gray/a");
    picture("gray/a/1.ppm", 2, 2, 7, 7, 7);
    hone_dataset *d = opened("gray", HONE_SPLIT_TRAIN, NULL);
    shape(d, 1, 2, 2);
    hone_dataset_free(d);
}

static void test_damaged_files(void **state) {
    (void)state;
    made_file("zoo/dog/c.ppm", "P6\n4 3\n255\nshort", 15);
    made_file("zoo/cat/a.png", "no picture", 10);
    hone_dataset *d = opened("zoo", HONE_SPLIT_TRAIN, NULL);
    assert_int_equal(hone_dataset_count(d), 3);
    assert_true(noted(d, "2 of 5 pictures are left out, damaged: ") && noted(d, "zoo/cat/a.png"));
    assert_true(label(d, 0) == 0 && label(d, 2) == 1);
    uint8_t x[36];
    pixels(d, 2, x);
    assert_int_equal(x[0], 1);
    hone_dataset_free(d);
    assert_int_equal(unlink(test_path("zoo/dog/c.ppm")), 0);
    assert_int_equal(unlink(test_path("zoo/cat/a.png")), 0);
    folder("bad");
    folder("bad/a");
    made_file("bad/a/1.png", "no picture", 10);
    assert_int_not_equal(open_split("bad", HONE_SPLIT_TRAIN, NULL, &d), HONE_OK);
    assert_non_null(strstr(err.file, "bad/a/1.png"));
}

static void test_splits(void **state) {
    (void)state;
    static const char *const folders[] = {"parts",       "parts/train",   "parts/train/a", "parts/train/b",
                                          "parts/valid", "parts/valid/b", "parts/other"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) folder(folders[i]);
    picture("parts/train/a/1.ppm", 2, 2, 1, 1, 9);
    picture("parts/train/b/1.ppm", 2, 2, 2, 2, 9);
    picture("parts/valid/b/1.ppm", 2, 2, 3, 3, 9);
    hone_dataset *d = opened("parts", HONE_SPLIT_TRAIN, NULL);
    assert_true(hone_dataset_count(d) == 2 && hone_dataset_is_split(d));
    hone_dataset_free(d);
    d = opened("parts", HONE_SPLIT_VALIDATION, NULL);
    assert_true(hone_dataset_count(d) == 1 && label(d, 0) == 1);
    hone_dataset_free(d);
    assert_int_equal(open_split("parts", HONE_SPLIT_TEST, NULL, &d), HONE_NOT_FOUND);
    assert_non_null(strstr(err.message, "no folder test here"));
}

static void test_a_models_classes(void **state) {
    (void)state;
    hone_data_options o = HONE_DATA_OPTIONS_INIT;
    o.classes = "ant\nbee\ncat\ndog";
    hone_dataset *d = opened("zoo", HONE_SPLIT_TEST, &o);
    assert_true(label(d, 0) == 2 && label(d, 1) == 3);
    assert_string_equal(hone_dataset_class_name(d, 3), "dog");
    hone_dataset_free(d);
    o.classes = "ant\ncat";
    assert_int_equal(open_split("zoo", HONE_SPLIT_TEST, &o, &d), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "'dog' is none of the 2 classes that are known ('ant', …)"));
}

static void test_lists(void **state) {
    (void)state;
    static const char rows[] =
        "path,label,split\nzoo/dog/a.ppm,dog,train\nzoo/cat/x.ppm,cat,test\nzoo/gone.ppm,cat,train\n",
                      ages[] = "zoo/dog/a.ppm,1.5\nzoo/cat/x.ppm,2\n";
    made_file("list.csv", rows, sizeof rows - 1);
    hone_dataset *d = opened("list.csv", HONE_SPLIT_TRAIN, NULL);
    assert_true(hone_dataset_count(d) == 1 && label(d, 0) == 1 && hone_dataset_is_split(d));
    assert_true(noted(d, "1 of 2 pictures are left out") && noted(d, "zoo/gone.ppm"));
    hone_dataset_free(d);
    d = opened("list.csv", HONE_SPLIT_TEST, NULL);
    assert_true(hone_dataset_count(d) == 1 && label(d, 0) == 0);
    hone_dataset_free(d);
    made_file("ages.csv", ages, sizeof ages - 1);
    hone_data_options o = HONE_DATA_OPTIONS_INIT;
    o.kind = HONE_TARGET_NUMBERS;
    d = opened("ages.csv", HONE_SPLIT_TRAIN, &o);
    double y[2];
    hone_reading r = {.column = 1, .dtype = HONE_FLOAT64};
    assert_int_equal(hone_dataset_read(d, &r, NULL, 0, 2, y, &err), HONE_OK);
    assert_true(y[0] == 1.5 && y[1] == 2);
    hone_dataset_free(d);
}

static void test_what_is_refused(void **state) {
    (void)state;
    hone_dataset *d = NULL;
    folder("empty");
    assert_int_equal(open_split("empty", HONE_SPLIT_TRAIN, NULL, &d), HONE_NOT_FOUND);
    assert_non_null(strstr(err.message, "no folders of pictures"));
    folder("empty/a");
    assert_int_equal(open_split("empty", HONE_SPLIT_TRAIN, NULL, &d), HONE_NOT_FOUND);
    assert_non_null(strstr(err.message, "no pictures here"));
    assert_int_equal(open_split("nowhere", HONE_SPLIT_TRAIN, NULL, &d), HONE_NOT_FOUND);
    made_file("one.csv", "a\nb\n", 4);
    assert_int_equal(open_split("one.csv", HONE_SPLIT_TRAIN, NULL, &d), HONE_INVALID_ARGUMENT);
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_dataset *d = NULL;
    FAIL_EACH_ALLOCATION(open_split("zoo", HONE_SPLIT_TRAIN, NULL, &d), assert_null(d));
    hone_dataset_free(d);
    FAIL_EACH_ALLOCATION(open_split("list.csv", HONE_SPLIT_TRAIN, NULL, &d), assert_null(d));
    hone_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders),       cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_gray),          cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_splits),        cmocka_unit_test(test_a_models_classes),
        cmocka_unit_test(test_lists),         cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
