/* Sound as a data set: folders of WAV files, one rate and length, sources; sound at other rates. */
#include "files.h"

#include "data/augment.h"
#include "data/dataset.h"
#include "data/resample.h"
#include "graph/tensor.h"

#include <math.h>
#include <sys/stat.h>

static hone_error err;

static float tone(double hertz, int rate, int64_t i) {
    return (float)(0.5 * sin(2 * M_PI * hertz * (double)i / rate));
}

static void put(uint8_t **at, uint32_t x, int bytes) {
    for (int i = 0; i < bytes; i++) *(*at)++ = (uint8_t)(x >> (8 * i));
}

/* A tone as a file of 16 bits. */
static void write_tone(const char *path, double hertz, int rate, int64_t count) {
    uint8_t *data = malloc((size_t)(44 + 2 * count)), *at = data;
    memcpy(at, "RIFF", 4), at += 4;
    put(&at, (uint32_t)(36 + 2 * count), 4);
    memcpy(at, "WAVEfmt ", 8), at += 8;
    put(&at, 16, 4), put(&at, 1, 2), put(&at, 1, 2), put(&at, (uint32_t)rate, 4),
        put(&at, (uint32_t)(2 * rate), 4);
    put(&at, 2, 2), put(&at, 16, 2);
    memcpy(at, "data", 4), at += 4;
    put(&at, (uint32_t)(2 * count), 4);
    for (int64_t i = 0; i < count; i++)
        put(&at, (uint16_t)(int16_t)lrint(32767 * (double)tone(hertz, rate, i)), 2);
    write_file(path, data, (size_t)(44 + 2 * count));
    free(data);
}

/* Tones below the new rate's half stay what they are, others go. */
static void rates(int from, int to, double hertz, bool kept) {
    enum { COUNT = 4000 };
    hone_resampler *r = NULL;
    static float x[COUNT], y[COUNT * 4];
    assert_int_equal(hone_resampler_new(from, to, &r, &err), HONE_OK);
    for (int64_t i = 0; i < COUNT; i++) x[i] = tone(hertz, from, i);
    int64_t n = hone_resampler_count(r, COUNT);
    assert_true(n >= (int64_t)COUNT * to / from && n <= COUNT * 4);
    hone_resample(r, x, COUNT, y);
    for (int64_t i = n / 4; i < n * 3 / 4; i++) {
        float wanted = kept ? tone(hertz, to, i) : 0;
        if (!(fabsf(y[i] - wanted) < 2e-3f))
            fail_msg("%d to %d, %g Hz, sample %d: %g, not %g", from, to, hertz, (int)i, (double)y[i],
                     (double)wanted);
    }
    hone_resampler_free(r);
}

static void test_rates(void **state) {
    (void)state;
    hone_resampler *r = NULL;
    rates(16000, 8000, 440, true);
    rates(16000, 8000, 3000, true);
    rates(16000, 8000, 5000, false);
    rates(22050, 8000, 1000, true);
    rates(22050, 8000, 6000, false);
    rates(8000, 16000, 1000, true);
    rates(44100, 16000, 440, true);
    rates(11025, 44100, 440, true);
    rates(8000, 8000, 440, true);
    assert_int_equal(hone_resampler_new(0, 8000, &r, &err), HONE_UNSUPPORTED);
    assert_null(r);
}

static void make_folders(const char *root) {
    static const char *const words[] = {"high", "low"};
    char path[600];
    mkdir(root, 0777);
    for (int w = 0; w < 2; w++) {
        snprintf(path, sizeof path, "%s/%s", root, words[w]);
        mkdir(path, 0777);
        for (int s = 0; s < 3; s++) {
            snprintf(path, sizeof path, "%s/%s/voice%d__%s.wav", root, words[w], s, words[w]);
            write_tone(path, w ? 300 : 1500, s ? 8000 : 16000, s ? 800 : 1600);
        }
    }
}

static hone_status open(const char *name, const hone_data_options *o, hone_dataset **d) {
    char spec[600];
    snprintf(spec, sizeof spec, "audio:%s", test_path(name));
    return hone_dataset_open_with(spec, HONE_SPLIT_TRAIN, o, d, &err);
}

static void test_folders(void **state) {
    (void)state;
    hone_data_options o = HONE_DATA_OPTIONS_INIT;
    hone_dataset *d = NULL, *drawn = NULL, *rest = NULL;
    hone_column c;
    static float x[2000];
    o.rate = 8000;
    make_folders(test_path("words"));
    write_file(test_path("words/low/voice1__bad.wav"), "RIFF", 4);
    if (open("words", &o, &d) != HONE_OK) fail_msg("%s", err.message);
    assert_int_equal(hone_dataset_count(d), 6);
    assert_int_equal(hone_dataset_rate(d), 8000);
    assert_string_equal(hone_dataset_class_name(d, 0), "high");
    assert_true(hone_dataset_column(d, hone_dataset_find(d, "audio"), &c));
    assert_int_equal(c.dims[0], 800); /* a tenth of a second, also of the file of 16,000 samples a second */
    assert_non_null(strstr(hone_dataset_note(d, 0), "1 file is left out"));
    hone_reading r = {hone_dataset_find(d, "audio"), HONE_FLOAT32, false};
    for (int64_t i = 0; i < 2; i++) {
        assert_int_equal(hone_dataset_read(d, &r, NULL, i, 1, x, &err), HONE_OK);
        for (int k = 200; k < 600; k++) assert_true(fabsf(x[k] - tone(1500, 8000, k)) < 3e-3f);
    }
    /* voices stay together */
    hone_draw_options draw = HONE_DRAW_OPTIONS_INIT;
    draw.share = 0.34;
    assert_int_equal(hone_dataset_draw(d, &draw, &drawn, &rest, &err), HONE_OK);
    assert_int_equal(hone_dataset_count(drawn), 2);
    int64_t voices[2], others[4];
    hone_reading s = {hone_dataset_find(d, "source"), HONE_INT64, false};
    assert_int_equal(hone_dataset_read(drawn, &s, NULL, 0, 2, voices, &err), HONE_OK);
    assert_int_equal(hone_dataset_read(rest, &s, NULL, 0, 4, others, &err), HONE_OK);
    assert_int_equal(voices[0], voices[1]);
    for (int i = 0; i < 4; i++) assert_int_not_equal(others[i], voices[0]);
    hone_dataset_free(drawn);
    hone_dataset_free(rest);
    hone_dataset_free(d);
    /* a clip that is longer than asked for loses its ends, a shorter one has silence around it */
    o.clip = 1000;
    assert_int_equal(open("words", &o, &d), HONE_OK);
    assert_int_equal(hone_dataset_read(d, &r, NULL, 1, 1, x, &err), HONE_OK);
    assert_true(x[99] == 0 && x[901] == 0 && fabsf(x[100 + 8] - tone(1500, 8000, 8)) < 1e-3f);
    hone_dataset_free(d);
}

/* A table of files and what is said in them, or what they are. */
static void test_tables(void **state) {
    (void)state;
    static const char texts[] =
        "path\ttext\tspeaker\tsplit\na.wav\tlo lo\tann\ttrain\nsub/b.wav\tol\tbob\ttrain\n"
        "gone.wav\tl\tbob\ttrain\na.wav\to\tbob\ttest\n",
                      labels[] = "file,label\na.wav,high\nsub/b.wav,low\n";
    hone_dataset *d = NULL;
    hone_column c;
    hone_data_options o = HONE_DATA_OPTIONS_INIT;
    int64_t y[10];
    mkdir(test_path("tables"), 0777);
    mkdir(test_path("tables/sub"), 0777);
    write_tone(test_path("tables/a.wav"), 300, 16000, 1600);
    write_tone(test_path("tables/sub/b.wav"), 300, 16000, 4800);
    write_file(test_path("tables/texts.tsv"), texts, sizeof texts - 1);
    write_file(test_path("tables/labels.csv"), labels, sizeof labels - 1);
    if (open("tables/texts.tsv", NULL, &d) != HONE_OK) fail_msg("%s", err.message);
    assert_int_equal(hone_dataset_count(d), 2);
    assert_true(hone_dataset_is_split(d));
    assert_non_null(strstr(hone_dataset_note(d, 0), "1 file is left out"));
    assert_string_equal(hone_dataset_class_name(d, 0), "<blank>");
    assert_string_equal(hone_dataset_class_name(d, 1), " ");
    assert_string_equal(hone_dataset_class_name(d, 3), "o");
    assert_true(hone_dataset_column(d, hone_dataset_find(d, "audio"), &c) &&
                c.dims[0] == 4800); /* all of it */
    hone_reading r = {hone_dataset_find(d, "y"), HONE_INT64, false};
    assert_int_equal(hone_dataset_read(d, &r, NULL, 0, 2, y, &err), HONE_OK);
    static const int64_t wanted[] = {2, 3, 1, 2, 3, 3, 2, -1, -1, -1};
    assert_memory_equal(y, wanted, sizeof wanted);
    assert_true(hone_dataset_find(d, "source") >= 0);
    hone_dataset_free(d);
    o.classes = "<blank>\nl\no";
    assert_int_equal(open("tables/texts.tsv", &o, &d), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "' ' in 'lo lo' is none of the model's characters"));
    if (open("tables/labels.csv", NULL, &d) != HONE_OK) fail_msg("%s", err.message);
    assert_string_equal(hone_dataset_class_name(d, 1), "low");
    assert_int_equal(hone_dataset_classes(d, hone_dataset_find(d, "y")), 2);
    hone_dataset_free(d);
    write_file(test_path("tables/none.csv"), "a,b\n1,2\n", 8);
    assert_int_equal(open("tables/none.csv", NULL, &d), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "a line of names with 'path'"));
}

static void test_no_sources(void **state) {
    (void)state;
    hone_dataset *d = NULL;
    mkdir(test_path("plain"), 0777);
    mkdir(test_path("plain/a"), 0777);
    write_tone(test_path("plain/a/1.wav"), 300, 16000, 800);
    write_tone(test_path("plain/a/2.wav"), 300, 16000, 800);
    assert_int_equal(open("plain", NULL, &d), HONE_OK);
    assert_non_null(strstr(hone_dataset_note(d, 1), "warning: files that are not named SOURCE__NAME.wav"));
    assert_int_equal(hone_dataset_find(d, "source"), -1);
    hone_dataset_free(d);
    mkdir(test_path("silent"), 0777);
    assert_int_equal(open("silent", NULL, &d), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "no sound here"));
    assert_int_not_equal(open("nowhere", NULL, &d), HONE_OK);
}

static void test_augmenting(void **state) {
    (void)state;
    enum { N = 1000 };
    hone_augment a;
    float x[N], y[N], scratch[N];
    assert_int_equal(hone_augment_parse("speed:0.25,shift:0.1,gain:10,noise:0.3,tilt:0.5,echo:1", &a, &err),
                     HONE_OK);
    for (int i = 0; i < N; i++) x[i] = y[i] = tone(300, 8000, i);
    hone_augment_sound(&a, 1, 2, 3, x, N, scratch);
    hone_augment_sound(&a, 1, 2, 3, y, N, scratch);
    assert_memory_equal(x, y, sizeof x); /* the same for the same sample of the same epoch */
    for (int i = 0; i < N; i++) assert_true(isfinite(x[i]) && fabsf(x[i]) < 20);
    hone_augment_sound(&a, 1, 3, 3, y, N, scratch);
    assert_memory_not_equal(x, y, sizeof x);
    assert_int_equal(hone_augment_parse("gain:6", &a, &err), HONE_OK);
    for (int i = 0; i < N; i++) x[i] = tone(300, 8000, i);
    hone_augment_sound(&a, 1, 2, 3, x, N, scratch);
    for (int i = 1; i < N; i++)
        assert_true(fabsf(x[i] * tone(300, 8000, 1) - x[1] * tone(300, 8000, i)) < 1e-5f);
    assert_int_equal(hone_augment_parse("speed:2", &a, &err), HONE_INVALID_ARGUMENT);
}

/* The loudness of one frequency among the middle samples. */
static double loudness_at(const float *x, int n, double hertz) {
    double a = 0, b = 0;
    for (int i = n / 4; i < n * 3 / 4; i++) {
        double window = 1 - cos(2 * M_PI * (i - n / 4) / (n / 2));
        a += window * (double)x[i] * cos(2 * M_PI * hertz * i / 8000);
        b += window * (double)x[i] * sin(2 * M_PI * hertz * i / 8000);
    }
    return hypot(a, b);
}

static int loudest(const float *x, int n) {
    int best = 100;
    for (int hertz = 100; hertz < 3900; hertz += 10)
        if (loudness_at(x, n, hertz) > loudness_at(x, n, best)) best = hertz;
    return best;
}

/* A tone of another height, as long and about as loud; in other samples it is higher, or lower. */
static void test_throats(void **state) {
    (void)state;
    enum { N = 4000 };
    static float x[N], scratch[N];
    hone_augment a;
    int higher = 0, lower = 0;
    assert_int_equal(hone_augment_parse("throat:0.2", &a, &err), HONE_OK);
    a.rate = 8000;
    for (uint64_t s = 0; s < 12; s++) {
        double loud = 0;
        for (int i = 0; i < N; i++) x[i] = tone(1000, 8000, i);
        hone_augment_sound(&a, 1, 2, s, x, N, scratch);
        int peak = loudest(x, N);
        assert_in_range(peak, 800, 1230);
        higher += peak > 1030;
        lower += peak < 970;
        for (int i = N / 4; i < N * 3 / 4; i++) loud += (double)x[i] * (double)x[i];
        assert_true(loud / (N / 2) > 0.02 && loud / (N / 2) < 0.2); /* of the tone: 0.125 */
    }
    assert_true(higher > 0 && lower > 0);
}

/* Stretches of silence, and frequencies that are missing. */
static void test_holes(void **state) {
    (void)state;
    enum { N = 4000, SAMPLES = 60 };
    static float x[N], scratch[N];
    hone_augment a;
    int silent = 0, missing = 0;
    assert_int_equal(hone_augment_parse("holes:1", &a, &err), HONE_OK);
    a.rate = 8000;
    for (uint64_t s = 0; s < SAMPLES; s++) {
        int still = 0, most = 0;
        for (int i = 0; i < N; i++) x[i] = tone(700, 8000, i) + tone(2500, 8000, i);
        hone_augment_sound(&a, 1, 2, s, x, N, scratch);
        for (int i = 0; i < N; i++) {
            assert_true(isfinite(x[i]) && fabsf(x[i]) < 2);
            still = fabsf(x[i]) < 0.01f ? still + 1 : 0;
            most = still > most ? still : most;
        }
        silent += most > 50;
        double low = loudness_at(x, N, 700), high = loudness_at(x, N, 2500);
        missing += low < high / 3 || high < low / 3;
    }
    assert_in_range(silent, SAMPLES / 2, SAMPLES);
    assert_in_range(missing, 3, SAMPLES * 3 / 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rates),      cmocka_unit_test(test_folders),
                                       cmocka_unit_test(test_no_sources), cmocka_unit_test(test_tables),
                                       cmocka_unit_test(test_augmenting), cmocka_unit_test(test_throats),
                                       cmocka_unit_test(test_holes)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
