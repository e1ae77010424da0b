#include "support/files.h"

#include "base/error.h"
#include "data/augment.h"

#include <hone/data.h>
#include <math.h>
#include <string.h>

static hone_error err;

enum { H = 4, W = 5 };
static const hone_picture_layout planes = {2, H, W, 1};
static float scratch[3 * 20 * 20];

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
    static const char *const bad[] = {"flop",         "crop",
                                      "crop:",        "crop:-1",
                                      "color:1.1",    "trivial:1",
                                      "crop:1.5",     "crop:1000",
                                      "erase:2",      "erase:x",
                                      "flip:1",       ",",
                                      "flip,,crop:1", "a-word-that-is-longer-than-any-word-it-knows"};
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
        hone_augment_image(&a, 1, 2, s, image, &planes, scratch);
        hone_augment_image(&a, 1, 2, s, again, &planes, scratch);
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
        hone_augment_image(&a, 1, 0, s, image, &planes, scratch);
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
        hone_augment_image(&a, 1, 0, s, image, &(hone_picture_layout){1, SIDE, SIDE, 1}, scratch);
        for (int i = 0; i < SIDE * SIDE; i++) changed += image[i] != 7;
        erased += changed > 0;
        assert_true(changed <= SIDE * SIDE * 26 / 100);
    }
    assert_in_range(erased, 240, 360);
}

/* Three channels as planes become pixels. */
static void interleave(const float *image, float *out, int pixels) {
    for (int i = 0; i < pixels; i++)
        for (int c = 0; c < 3; c++) out[3 * i + c] = image[c * pixels + i];
}

/* Images with their channels last come to the same. */
static void test_channels_last(void **state) {
    (void)state;
    enum { HIGH = 6 };
    static const char *const words[] = {"flip", "crop:2", "color:0.5", "trivial",
                                        "flip,crop:1,trivial,color:0.3"};
    const int64_t dims[2][4] = {{1, 3, HIGH, W}, {1, HIGH, W, 3}};
    const hone_picture_layout first = hone_picture_layout_of(dims[0]), last = hone_picture_layout_of(dims[1]);
    assert_true(first.planes == 3 && first.pixel == 1 && last.planes == 1 && last.pixel == 3);
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        hone_augment a;
        assert_int_equal(hone_augment_parse(words[k], &a, &err), HONE_OK);
        int changed = 0;
        for (uint64_t s = 0; s < 300; s++) {
            float plain[3 * HIGH * W], image[3 * HIGH * W], wanted[3 * HIGH * W], pixels[3 * HIGH * W];
            for (int i = 0; i < 3 * HIGH * W; i++) plain[i] = image[i] = (float)((i * 37) % 60) / 60;
            interleave(image, pixels, HIGH * W);
            hone_augment_image(&a, 1, 2, s, image, &first, scratch);
            hone_augment_image(&a, 1, 2, s, pixels, &last, scratch);
            interleave(image, wanted, HIGH * W);
            changed += memcmp(plain, image, sizeof plain) != 0;
            for (int i = 0; i < 3 * HIGH * W; i++) {
                assert_true(wanted[i] >= 0 && wanted[i] <= 1);
                assert_true(fabsf(wanted[i] - pixels[i]) < 1e-6f);
            }
        }
        assert_in_range(changed, 100, 300);
    }
}

/* Gray stays gray, and is what it was on average. */
static void test_color(void **state) {
    (void)state;
    hone_augment a = {.color = 0.3};
    double sum = 0;
    for (uint64_t s = 0; s < 500; s++) {
        float image[3 * H * W];
        for (int i = 0; i < 3 * H * W; i++) image[i] = 0.3f + 0.02f * (float)(i % (H * W) % 5);
        hone_augment_image(&a, 1, 2, s, image, &(hone_picture_layout){3, H, W, 1}, scratch);
        for (int i = 0; i < H * W; i++) assert_true(fabsf(image[i] - image[2 * H * W + i]) < 1e-6f);
        sum += (double)image[2];
    }
    assert_true(fabs(sum / 500 - 0.34) < 0.02);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words),         cmocka_unit_test(test_flip),
                                       cmocka_unit_test(test_crop),          cmocka_unit_test(test_erase),
                                       cmocka_unit_test(test_channels_last), cmocka_unit_test(test_color)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
