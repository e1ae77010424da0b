#include "support/files.h"

#include "base/error.h"
#include "data/augment.h"

#include <hone/data.h>
#include <string.h>

static hone_error err;

enum { H = 4, W = 5 };

static void numbered(float *image) {
    for (int i = 0; i < 2 * H * W; i++) image[i] = (float)(i + 1);
}

static void test_words(void **state) {
    (void)state;
    hone_augment a;
    assert_int_equal(hone_augment_parse("flip,crop:2,erase:0.25", &a, &err), HONE_OK);
    assert_true(a.flip && a.crop == 2 && a.erase == 0.25);
    assert_int_equal(hone_augment_parse("", &a, &err), HONE_OK);
    assert_true(!a.flip && !a.crop && a.erase == 0);
    static const char *const bad[] = {
        "flop",     "crop",      "crop:",        "crop:-1",
        "crop:1.5", "crop:1000", "erase:2",      "erase:x",
        "flip:1",   ",",         "flip,,crop:1", "a-word-that-is-longer-than-any-word-it-knows"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(hone_augment_check(bad[i], &err), HONE_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "there are flip"));
    }
}

/* Half of the images are mirrored, the others stay; the same ones each time. */
static void test_flip(void **state) {
    (void)state;
    hone_augment a = {.flip = true};
    int flipped = 0;
    for (uint64_t s = 0; s < 400; s++) {
        float image[2 * H * W], plain[2 * H * W], again[2 * H * W];
        numbered(image), numbered(plain), numbered(again);
        hone_augment_image(&a, 1, 2, s, image, 2, H, W);
        hone_augment_image(&a, 1, 2, s, again, 2, H, W);
        assert_memory_equal(image, again, sizeof image);
        bool is = memcmp(image, plain, sizeof image) != 0;
        flipped += is;
        for (int i = 0; is && i < 2 * H; i++)
            for (int k = 0; k < W; k++) assert_true(image[i * W + k] == plain[i * W + W - 1 - k]);
    }
    assert_in_range(flipped, 150, 250);
}

/* Where a pixel went is where its neighbours went, in both channels, and the rest is 0. */
static void test_crop(void **state) {
    (void)state;
    hone_augment a = {.crop = 7}; /* beyond the image, too */
    bool seen[15][15] = {{false}};
    for (uint64_t s = 0; s < 4000; s++) {
        float image[2 * H * W], plain[2 * H * W];
        numbered(image), numbered(plain);
        hone_augment_image(&a, 1, 0, s, image, 2, H, W);
        int fits = 0;
        for (int dy = -7; dy <= 7; dy++)
            for (int dx = -7; dx <= 7; dx++) {
                bool same = true;
                for (int i = 0; i < 2 * H && same; i++)
                    for (int k = 0; k < W && same; k++) {
                        int y = i % H - dy, x = k - dx;
                        float wanted =
                            y < 0 || y >= H || x < 0 || x >= W ? 0 : plain[(i / H * H + y) * W + x];
                        same = image[i * W + k] == wanted;
                    }
                fits += same;
                if (same) seen[dy + 7][dx + 7] = true;
            }
        assert_true(fits > 0);
    }
    for (int dy = -3; dy <= 3; dy++)
        for (int dx = -4; dx <= 4; dx++) assert_true(seen[dy + 7][dx + 7]);
}

static void test_erase(void **state) {
    (void)state;
    hone_augment a = {.erase = 0.3};
    int erased = 0;
    for (uint64_t s = 0; s < 1000; s++) {
        enum { SIDE = 20 };
        float image[SIDE * SIDE];
        int changed = 0;
        for (int i = 0; i < SIDE * SIDE; i++) image[i] = 7;
        hone_augment_image(&a, 1, 0, s, image, 1, SIDE, SIDE);
        for (int i = 0; i < SIDE * SIDE; i++) changed += image[i] != 7;
        erased += changed > 0;
        assert_true(changed <= SIDE * SIDE * 26 / 100);
    }
    assert_in_range(erased, 240, 360);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_flip),
                                       cmocka_unit_test(test_crop), cmocka_unit_test(test_erase)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
