#include "files.h"

#include "data/wav.h"
#include "graph/tensor.h"

#include <hone/data.h>

static const char *corpus(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/fuzz/corpus/wav/%s", HONE_SOURCE_DIR, name);
    return path;
}

static void gives(const char *name, int rate, int64_t count, const float *wanted) {
    hone_tensor *t = NULL;
    hone_error err;
    int got;
    if (hone_wav_load(corpus(name), &t, &got, &err) != HONE_OK) fail_msg("%s: %s", name, err.message);
    assert_int_equal(got, rate);
    assert_true(t->dtype == HONE_FLOAT32 && t->rank == 1 && t->count == count);
    for (int64_t i = 0; i < count; i++) assert_true(((float *)t->data)[i] == wanted[i]);
    hone_tensor_free(t);
}

static void refuses(const char *name, hone_status status, const char *message) {
    hone_tensor *t = NULL;
    hone_error err;
    int rate;
    assert_int_equal(hone_wav_load(corpus(name), &t, &rate, &err), status);
    assert_non_null(strstr(err.message, message));
    assert_non_null(strstr(err.file, name));
}

static void test_codings(void **state) {
    (void)state;
    gives("pcm16.wav", 16000, 4, (float[]){0, 0.5f, -1, 32767 / 32768.0f});
    gives("stereo8.wav", 8000, 2, (float[]){-0.5f, 0});
    gives("pcm24.wav", 48000, 2, (float[]){-1, 8388607 / 8388608.0f});
    gives("pcm32.wav", 44100, 2, (float[]){0.5f, -1});
    gives("float.wav", 44100, 2, (float[]){0.5f, -2});
    gives("double.wav", 44100, 2, (float[]){0.5f, -2});
}

static void test_refusals(void **state) {
    (void)state;
    refuses("adpcm.wav", HONE_UNSUPPORTED, "coding 2");
    refuses("none.wav", HONE_CORRUPT, "0 channels");
    refuses("cut.wav", HONE_CORRUPT, "ends before");
    refuses("text.wav", HONE_CORRUPT, "ends before");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_codings), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
