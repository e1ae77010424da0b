#include "files.h"

#include "graph/tensor.h"

#include <hone/data.h>

static const char *corpus(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/fuzz/corpus/image/%s", HONE_SOURCE_DIR, name);
    return path;
}

static hone_tensor *load(const char *name, const hone_image_options *o) {
    hone_tensor *t = NULL;
    hone_error err;
    if (hone_image_load(corpus(name), o, &t, &err) != HONE_OK) fail_msg("%s: %s", name, err.message);
    return t;
}

static void test_layouts(void **state) {
    (void)state;
    hone_image_options o = HONE_IMAGE_OPTIONS_INIT;
    hone_tensor *t = load("p6.ppm", NULL);
    assert_true(t->rank == 4 && t->dims[0] == 1 && t->dims[1] == 3 && t->dims[2] == 2 && t->dims[3] == 2);
    const float red[] = {1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1};
    assert_memory_equal(t->data, red, sizeof red);
    hone_tensor_free(t);
    o.rank = 3;
    o.channels_last = o.bytes = true;
    t = load("p6.ppm", &o);
    const uint8_t bytes[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255};
    assert_true(t->rank == 3 && t->dims[2] == 3 && t->dtype == HONE_UINT8);
    assert_memory_equal(t->data, bytes, sizeof bytes);
    hone_tensor_free(t);
    o.rank = 2;
    o.channels = 1;
    t = load("p6.ppm", &o);
    assert_memory_equal(t->data, ((uint8_t[]){76, 150, 29, 255}), 4);
    hone_tensor_free(t);
}

static void test_numbers(void **state) {
    (void)state;
    hone_image_options o = HONE_IMAGE_OPTIONS_INIT;
    o.scale = 127.5;
    o.mean[0] = 1;
    o.deviation[2] = 0.5;
    hone_tensor *t = load("p6.ppm", &o);
    const float wanted[] = {1, -1, -1, 1, 0, 2, 0, 2, 0, 0, 4, 4};
    assert_memory_equal(t->data, wanted, sizeof wanted);
    hone_tensor_free(t);
}

static void test_sizes(void **state) {
    (void)state;
    hone_image_options o = HONE_IMAGE_OPTIONS_INIT;
    o.height = 30;
    o.width = 20;
    hone_tensor *t = load("photo.png", &o);
    assert_true(t->dims[2] == 30 && t->dims[3] == 20);
    hone_tensor_free(t);
    o.shorter_side = 32; /* of 48 x 40: 38 x 32 */
    t = load("photo.png", &o);
    assert_true(t->dims[2] == 30 && t->dims[3] == 20);
    hone_tensor_free(t);
    o.height = o.width = 0;
    t = load("photo.png", &o);
    assert_true(t->dims[2] == 32 && t->dims[3] == 38);
    hone_tensor_free(t);
}

static void test_refusals(void **state) {
    (void)state;
    hone_image_options o = HONE_IMAGE_OPTIONS_INIT;
    hone_tensor *t = NULL;
    hone_error err;
    assert_int_equal(hone_image_load(corpus("fax.tif"), NULL, &t, &err), HONE_UNSUPPORTED);
    assert_non_null(strstr(err.file, "fax.tif"));
    assert_int_equal(hone_image_load(corpus("nowhere.png"), NULL, &t, &err), HONE_NOT_FOUND);
    o.shorter_side = 10;
    o.height = o.width = 20;
    assert_int_equal(hone_image_load(corpus("photo.png"), &o, &t, &err), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "cut out"));
    o.channels = 2;
    assert_int_equal(hone_image_load(corpus("photo.png"), &o, &t, &err), HONE_INVALID_ARGUMENT);
    o.size = 1;
    assert_int_equal(hone_image_load(corpus("photo.png"), &o, &t, &err), HONE_INVALID_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layouts), cmocka_unit_test(test_numbers),
                                       cmocka_unit_test(test_sizes), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
