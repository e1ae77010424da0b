/* Packed sound: files that encoders have made of numbers by formula (fuzz/corpus/sound), FLAC sample by sample. */
#include "files.h"

#include "data/sound_file.h"
#include "graph/tensor.h"

#include <hone/data.h>
#include <math.h>

static hone_error err;

static const char *corpus(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/fuzz/corpus/sound/%s", HONE_SOURCE_DIR, name);
    return path;
}

static int64_t saw(int64_t i, int64_t c, int depth) {
    int64_t x = ((i * 37 + 500 * c) % 2001 - 1000) * 8 + (i * i * 7919 + c) % 61;
    return depth == 8 ? x >> 8 : depth == 16 ? x : x * 256 + i % 251;
}
static int64_t silence(int64_t i, int64_t c, int depth) {
    (void)i, (void)c, (void)depth;
    return 0;
}
static int64_t noise(int64_t i, int64_t c, int depth) {
    (void)c, (void)depth;
    return (i * 2654435761 >> 7) % 65536 - 32768;
}
static int64_t even(int64_t i, int64_t c, int depth) {
    (void)c, (void)depth;
    return ((i * 37) % 201 - 100) * 64;
}

static void gives(const char *name, int channels, int depth, int64_t count, int rate,
                  int64_t (*value)(int64_t, int64_t, int)) {
    hone_tensor *t = NULL;
    int got = 0;
    if (hone_wav_load(corpus(name), &t, &got, &err) != HONE_OK) fail_msg("%s: %s", name, err.message);
    assert_int_equal(got, rate);
    assert_true(t->dtype == HONE_FLOAT32 && t->rank == 1);
    assert_int_equal(t->count, count);
    for (int64_t i = 0; i < count; i++) {
        double sum = 0;
        for (int c = 0; c < channels; c++) sum += (double)value(i, c, depth);
        float wanted = (float)(sum / channels / ldexp(1, depth - 1));
        if (((float *)t->data)[i] != wanted)
            fail_msg("%s: sample %d is %g, not %g", name, (int)i, (double)((float *)t->data)[i],
                     (double)wanted);
    }
    hone_tensor_free(t);
}

static void test_samples(void **state) {
    (void)state;
    gives("mono16.flac", 1, 16, 1000, 8000, saw);   /* linear prediction */
    gives("fixed.flac", 1, 16, 500, 8000, saw);     /* fixed predictors, small blocks */
    gives("stereo16.flac", 2, 16, 700, 16000, saw); /* a side is a difference */
    gives("stereo24.flac", 2, 24, 300, 44100, saw);
    gives("mono8.flac", 1, 8, 600, 11025, saw);
    gives("silence.flac", 1, 16, 5000, 8000, silence); /* constant blocks */
    gives("noise.flac", 1, 16, 100, 8000, noise);      /* as they are */
    gives("wasted.flac", 1, 16, 300, 8000, even);      /* the lowest bits are left out */
}

/* Vorbis loses a little: half a second of 440 Hz is still that. */
static void test_vorbis(void **state) {
    (void)state;
    hone_tensor *t = NULL;
    int rate;
    double sum = 0, error = 0;
    if (hone_wav_load(corpus("tone.ogg"), &t, &rate, &err) != HONE_OK) fail_msg("%s", err.message);
    assert_int_equal(rate, 8000);
    assert_int_equal(t->count, 4000);
    for (int64_t i = 200; i < 3800; i++) {
        const double wanted = 0.5 * sin(2 * M_PI * 440 * (double)i / 8000), x = ((float *)t->data)[i];
        sum += wanted * wanted;
        error += (x - wanted) * (x - wanted);
    }
    assert_true(error < 0.01 * sum);
    hone_tensor_free(t);
}

static void refused(const uint8_t *data, size_t size, const char *wanted) {
    hone_tensor *t = NULL;
    int rate;
    assert_int_equal(hone_sound_parse(data, size, &t, &rate, &err), HONE_CORRUPT);
    if (!strstr(err.message, wanted)) fail_msg("\"%s\", not \"%s\"", err.message, wanted);
    assert_null(t);
}

/* A file that ends anywhere, or has another bit, is told from a whole one. */
static void test_damage(void **state) {
    (void)state;
    uint8_t data[4096];
    FILE *f = fopen(corpus("mono16.flac"), "rb");
    size_t size = fread(data, 1, sizeof data, f);
    fclose(f);
    for (size_t n = 4; n < size; n++) refused(data, n, "damaged sound");
    refused(data, 3, "it begins neither");
    uint32_t blocks = (uint32_t)data[5] << 16 | (uint32_t)data[6] << 8 | data[7];
    for (size_t i = 8 + blocks + 8; i < size;
         i++) { /* behind the description and the head of the next block */
        hone_tensor *t = NULL;
        int rate;
        data[i] ^= 0x10;
        hone_status status = hone_sound_parse(data, size, &t, &rate, &err);
        data[i] ^= 0x10;
        /* tags have no checksum */
        if (status == HONE_OK && i > size - 1400) fail_msg("a wrong bit in byte %zu was not noticed", i);
        hone_tensor_free(t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_samples), cmocka_unit_test(test_vorbis),
                                       cmocka_unit_test(test_damage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
