#include "support/files.h"

#include "image/image.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

#include <string.h>

static hone_image image;
static hone_error err;

static hone_status read_file(const char *name) {
    char path[512];
    hone_blob b;
    snprintf(path, sizeof path, "%s/fuzz/corpus/image/%s", HONE_SOURCE_DIR, name);
    if (hone_file_read(path, 0, &b, &err) != HONE_OK) fail_msg("%s: %s", path, err.message);
    hone_status status = hone_image_read(b.data, b.size, &image, &err);
    hone_blob_free(&b);
    return status;
}

/* The pixels are these bytes. */
#define GIVES(name, h, w, ...)                                                                               \
    do {                                                                                                     \
        const uint8_t wanted[] = {__VA_ARGS__};                                                              \
        assert_int_equal(sizeof wanted, 3 * (h) * (w));                                                      \
        if (read_file(name) != HONE_OK) fail_msg("%s: %s", name, err.message);                               \
        assert_true(image.height == (h) && image.width == (w));                                              \
        assert_memory_equal(image.pixels, wanted, sizeof wanted);                                            \
        hone_image_free(&image);                                                                             \
    } while (0)

static void refuses(const char *name, hone_status status, const char *message) {
    assert_int_equal(read_file(name), status);
    assert_null(image.pixels);
    if (!strstr(err.message, message)) fail_msg("%s: %s", name, err.message);
}

#define FOUR 255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255

static void test_png(void **state) {
    (void)state;
    GIVES("rgb.png", 2, 2, FOUR);
    GIVES("rgba16.png", 1, 2, 255, 0, 1, 0, 255, 128);
    GIVES("palette.png", 1, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    GIVES("gray_alpha.png", 1, 2, 10, 10, 10, 200, 200, 200);
    assert_int_equal(read_file("gray1.png"), HONE_OK);
    for (int x = 0; x < 9; x++) assert_int_equal(image.pixels[3 * x + 1], x % 2 ? 0 : 255);
    hone_image_free(&image);
    refuses("huge.png", HONE_CORRUPT, "more pixels than the file can hold");
}

static void test_bmp(void **state) {
    (void)state;
    GIVES("rgb.bmp", 2, 2, FOUR);
    GIVES("upright.bmp", 2, 2, FOUR);
    GIVES("palette4.bmp", 1, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    GIVES("masks16.bmp", 1, 2, 255, 0, 0, 0, 255, 255);
    refuses("beyond.bmp", HONE_CORRUPT, "beyond the palette");
    refuses("rle.bmp", HONE_UNSUPPORTED, "compression 1");
    refuses("large.bmp", HONE_CORRUPT, "too early");
}

static void test_pnm(void **state) {
    (void)state;
    GIVES("p1.pbm", 2, 3, 0, 0, 0, 255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0, 255, 255, 255);
    GIVES("p2.pgm", 1, 2, 0, 0, 0, 255, 255, 255);
    GIVES("p3.ppm", 1, 2, 255, 0, 0, 0, 0, 255);
    GIVES("p5.pgm", 1, 2, 255, 255, 255, 0, 0, 0);
    GIVES("p6.ppm", 2, 2, FOUR);
    assert_int_equal(read_file("p4.pbm"), HONE_OK);
    for (int i = 0; i < 18; i++) assert_int_equal(image.pixels[3 * i], i % 2 ? 255 : 0);
    hone_image_free(&image);
    refuses("short.ppm", HONE_CORRUPT, "too early");
    refuses("large.pgm", HONE_CORRUPT, "too early");
}

/* The same as photo.png. */
static void gives_photo(const char *name) {
    hone_image exact;
    assert_int_equal(read_file("photo.png"), HONE_OK);
    exact = image;
    image = (hone_image){0};
    if (read_file(name) != HONE_OK) fail_msg("%s: %s", name, err.message);
    assert_true(image.height == exact.height && image.width == exact.width);
    assert_memory_equal(image.pixels, exact.pixels, 3 * (size_t)exact.height * (size_t)exact.width);
    hone_image_free(&image);
    hone_image_free(&exact);
}

static void test_tiff(void **state) {
    (void)state;
    gives_photo("lzw.tif");
    gives_photo("packbits.tif");
    gives_photo("tiles.tif"); /* of deflated planes */
    GIVES("rgba16.tif", 2, 2, FOUR);
    GIVES("palette4.tif", 1, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    GIVES("cmyk.tif", 1, 2, 255, 0, 0, 0, 127, 0);
    assert_int_equal(read_file("white1.tif"), HONE_OK);
    for (int x = 0; x < 9; x++) assert_int_equal(image.pixels[3 * x + 1], x % 2 ? 0 : 255);
    hone_image_free(&image);
    refuses("short.tif", HONE_CORRUPT, "too early");
    refuses("large.tif", HONE_CORRUPT, "more pixels than the file can hold");
    refuses("codes.tif", HONE_CORRUPT, "a code that stands for nothing");
    refuses("blocks.tif", HONE_RESOURCE_EXHAUSTED, "blocks of 536870912 bytes in a picture of 1 x 1");
    refuses("fax.tif", HONE_UNSUPPORTED, "compression 4");
}

static void test_jpeg2000(void **state) {
    (void)state;
    gives_photo("photo.jp2");
    gives_photo("photo.j2k");
    GIVES("gray16.jp2", 1, 3, 0, 0, 0, 255, 255, 255, 128, 128, 128);
    assert_int_equal(read_file("palette.jp2"), HONE_OK);
    assert_memory_equal(image.pixels, ((uint8_t[]){0, 1, 2, 7, 8, 9}), 6);
    hone_image_free(&image);
    assert_int_equal(read_file("tiles.jp2"), HONE_OK); /* and its alpha is dropped */
    assert_true(image.height == 20 && image.width == 20);
    hone_image_free(&image);
    refuses("parts.jp2", HONE_CORRUPT, "JPEG 2000"); /* a part of a tile that ends where its data begins */
    refuses("large.j2k", HONE_CORRUPT, "more pixels than the file can hold");
    refuses("huge.j2k", HONE_RESOURCE_EXHAUSTED, "30000 x 30000 pixels");
    refuses("specks.j2k", HONE_UNSUPPORTED, "more than 4096 tiles");
    refuses("blocks.j2k", HONE_RESOURCE_EXHAUSTED, "111 MB, too much for a file of 2934"); /* of 4 x 4 */
    refuses("columns.jp2", HONE_UNSUPPORTED, "a palette of 255 columns");
}

/* One picture in formats that lose a little. */
static void test_lossy(void **state) {
    (void)state;
    static const char *const names[] = {"photo.jpg", "photo.webp", "progressive.jpg", "cmyk.jpg",
                                        "lossy.jp2"};
    hone_image exact;
    assert_int_equal(read_file("photo.png"), HONE_OK);
    exact = image;
    image = (hone_image){0};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        if (read_file(names[k]) != HONE_OK) fail_msg("%s: %s", names[k], err.message);
        assert_true(image.height == exact.height && image.width == exact.width);
        int64_t apart = 0, count = 3LL * exact.height * exact.width;
        for (int64_t i = 0; i < count; i++) {
            int d = image.pixels[i] - exact.pixels[i];
            apart += d < 0 ? -d : d;
        }
        if (apart > 12 * count) fail_msg("%s: %.1f apart", names[k], (double)apart / (double)count);
        hone_image_free(&image);
    }
    hone_image_free(&exact);
}

static void test_others(void **state) {
    (void)state;
    refuses("moving.gif", HONE_UNSUPPORTED, "GIF");
    refuses("none", HONE_UNSUPPORTED, "no image");
    refuses("text", HONE_UNSUPPORTED, "no image");
}

/* Cut anywhere, a file gives no picture (but for the marks at its end), and nothing leaks. */
static void test_cut(void **state) {
    (void)state;
    static const char *const names[] = {"photo.jpg", "progressive.jpg", "photo.webp", "photo.png",
                                        "rgb.bmp",   "p6.ppm",          "lzw.tif",    "tiles.tif",
                                        "photo.jp2", "photo.j2k"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char path[512];
        hone_blob b;
        snprintf(path, sizeof path, "%s/fuzz/corpus/image/%s", HONE_SOURCE_DIR, names[k]);
        assert_int_equal(hone_file_read(path, 0, &b, &err), HONE_OK);
        for (size_t cut = 0; cut + 16 < b.size; cut += 1 + cut / 16) {
            hone_status status = hone_image_read(b.data, cut, &image, &err);
            if (status != HONE_CORRUPT && status != HONE_UNSUPPORTED)
                fail_msg("%s cut at %zu", names[k], cut);
        }
        hone_blob_free(&b);
    }
}

static void test_resize(void **state) {
    (void)state;
    uint8_t x[] = {0, 0, 0, 100, 100, 100, 200, 200, 200, 40, 40, 40};
    hone_image in = {1, 4, x};
    assert_int_equal(hone_image_resize(&in, 1, 2, &image, &err), HONE_OK); /* Pillow's answer */
    assert_int_equal(image.pixels[0], 71);
    hone_image_free(&image);
    assert_int_equal(hone_image_resize(&in, 2, 8, &image, &err), HONE_OK);
    const uint8_t wanted[] = {0, 25, 75, 125, 175, 160, 80, 40};
    for (int i = 0; i < 16; i++) assert_int_equal(image.pixels[3 * i + i % 3], wanted[i % 8]);
    hone_image_free(&image);
    assert_int_equal(hone_image_resize(&in, 0, 8, &image, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_image_resize(&in, 1 << 14, 1 << 14, &image, &err), HONE_RESOURCE_EXHAUSTED);
}

/* photo.jpg with a note of how it lies, of one byte order or the other, behind its first segment. */
static size_t with_orientation(uint8_t *out, const uint8_t *jpeg, size_t size, int orientation, bool little) {
    uint8_t note[] = {
        0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, /* directory at 8 */
        0,    1,    1, 18, 0,   3,   0,   0,   0, 1, 0,   0,   0, 0,  0, 0, 0, 0};
    note[29] = (uint8_t)orientation;
    if (little) {
        static const uint8_t turned[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 18, 1, 3,
                                         0,   1,   0,  0, 0, 0, 0, 0, 0, 0, 0,  0, 0};
        memcpy(note + 10, turned, sizeof turned);
        note[28] = (uint8_t)orientation;
    }
    memcpy(out, jpeg, 2);
    memcpy(out + 2, note, sizeof note);
    memcpy(out + 2 + sizeof note, jpeg + 2, size - 2);
    return size + sizeof note;
}

/* Where the stored pixel (row, column) is seen, by the words of EXIF 2.32: where row 0 and column 0 lie. */
static void seen_at(int orientation, int h, int w, int row, int column, int *y, int *x) {
    switch (orientation) {
    case 2: *y = row, *x = w - 1 - column; break;         /* top, right */
    case 3: *y = h - 1 - row, *x = w - 1 - column; break; /* bottom, right */
    case 4: *y = h - 1 - row, *x = column; break;         /* bottom, left */
    case 5: *y = column, *x = row; break;                 /* left, top */
    case 6: *y = column, *x = h - 1 - row; break;         /* right, top */
    case 7: *y = w - 1 - column, *x = h - 1 - row; break; /* right, bottom */
    case 8: *y = w - 1 - column, *x = row; break;         /* left, bottom */
    default: *y = row, *x = column;
    }
}

static void test_upright(void **state) {
    (void)state;
    static uint8_t jpeg[1 << 16], data[1 << 17];
    char path[512];
    hone_image plain;
    snprintf(path, sizeof path, "%s/fuzz/corpus/image/photo.jpg", HONE_SOURCE_DIR);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t size = fread(jpeg, 1, sizeof jpeg, f);
    fclose(f);
    assert_int_equal(hone_image_read(jpeg, size, &plain, &err), HONE_OK);
    assert_int_not_equal(plain.height, plain.width);
    for (int k = 0; k < 20; k++) { /* 0 and 9 mean nothing */
        int orientation = k / 2, y, x;
        size_t n = with_orientation(data, jpeg, size, orientation, k & 1);
        assert_int_equal(hone_image_read(data, n, &image, &err), HONE_OK); /* as it lies */
        assert_true(image.height == plain.height && image.width == plain.width);
        hone_image_free(&image);
        assert_int_equal(hone_image_read_upright(data, n, &image, &err), HONE_OK);
        bool lies = orientation >= 5 && orientation <= 8;
        assert_int_equal(image.height, lies ? plain.width : plain.height);
        for (int row = 0; row < plain.height; row++)
            for (int column = 0; column < plain.width; column++) {
                seen_at(orientation, plain.height, plain.width, row, column, &y, &x);
                assert_memory_equal(image.pixels + 3 * ((size_t)y * (size_t)image.width + (size_t)x),
                                    plain.pixels + 3 * ((size_t)row * (size_t)plain.width + (size_t)column),
                                    3);
            }
        hone_image_free(&image);
    }
    /* a note that is cut off, or points nowhere, is none */
    size_t n = with_orientation(data, jpeg, size, 6, false);
    data[2 + 17] = 255;
    assert_int_equal(hone_image_read_upright(data, n, &image, &err), HONE_OK);
    assert_int_equal(image.height, plain.height);
    hone_image_free(&image);
    hone_image_free(&plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_png),      cmocka_unit_test(test_bmp),
                                       cmocka_unit_test(test_pnm),      cmocka_unit_test(test_tiff),
                                       cmocka_unit_test(test_jpeg2000), cmocka_unit_test(test_lossy),
                                       cmocka_unit_test(test_others),   cmocka_unit_test(test_cut),
                                       cmocka_unit_test(test_resize),   cmocka_unit_test(test_upright)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
