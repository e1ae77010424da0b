#include "kernel_test.h"

/* An image that ends at its block's end, so that a sanitizer sees a read beyond it; no bit of B is anything but x's, or 0. */
#define CHANNELS 3

static const hone_windows cases[] = {
    {.in = {1, 5, 6}, .out = {1, 5, 6}, .kernel = {1, 3, 3}, .stride = {1, 1, 1}, .pad = {0, 1, 1}},
    {.in = {1, 20, 33}, .out = {1, 18, 31}, .kernel = {1, 3, 3}, .stride = {1, 1, 1}},
    {.in = {1, 9, 40}, .out = {1, 5, 20}, .kernel = {1, 3, 3}, .stride = {1, 2, 2}, .pad = {0, 1, 1}},
    {.in = {1, 9, 40}, .out = {1, 3, 14}, .kernel = {1, 2, 5}, .stride = {1, 3, 3}, .pad = {0, 0, 3}},
    {.in = {4, 5, 6}, .out = {4, 6, 7}, .kernel = {3, 2, 2}, .stride = {1, 1, 1}, .pad = {1, 1, 1}},
    {.in = {1, 1, 900}, .out = {1, 1, 620}, .kernel = {1, 1, 300}, .stride = {1, 1, 1}, .pad = {0, 0, 9}},
    {.in = {1, 2, 2}, .out = {1, 5, 5}, .kernel = {1, 2, 2}, .stride = {1, 2, 2}, .pad = {0, 4, 4}},
    {.in = {1, 1, 130}, .out = {1, 1, 130}, .kernel = {1, 1, 1}, .stride = {1, 1, 1}},
};

static int64_t tap_at(const hone_windows *w, int64_t tap, int64_t j) {
    int64_t at = 0, o[3] = {j / w->out[2] / w->out[1], j / w->out[2] % w->out[1], j % w->out[2]};
    int64_t t[3] = {tap / w->kernel[2] / w->kernel[1], tap / w->kernel[2] % w->kernel[1], tap % w->kernel[2]};
    for (int i = 0; i < 3; i++) {
        int64_t x = o[i] * w->stride[i] - w->pad[i] + t[i] * w->dilation[i];
        if (x < 0 || x >= w->in[i]) return -1;
        at = at * w->in[i] + x;
    }
    return at;
}

static void check_block(const hone_kernels *k, const char *level, const hone_windows *w, int64_t j0,
                        int64_t j1, int64_t y_row) {
    const int64_t taps = hone_windows_taps(w), count = w->channels * taps * y_row;
    float *x = malloc((size_t)(w->channels * w->plane) * sizeof *x), *y = malloc((size_t)count * sizeof *y);
    double *wide = malloc((size_t)(w->channels * w->plane) * sizeof *wide),
           *wide_y = malloc((size_t)count * sizeof *wide_y);
    uint8_t *bytes = malloc((size_t)(w->channels * w->plane)), *bytes_y = malloc((size_t)count);
    for (int64_t i = 0; i < w->channels * w->plane; i++) wide[i] = x[i] = (float)(i + 1);
    for (int64_t i = 0; i < w->channels * w->plane; i++) bytes[i] = (uint8_t)(i * 7 % 251);
    for (int64_t i = 0; i < count; i++) wide_y[i] = y[i] = -1;
    memset(bytes_y, 255, (size_t)count);
    k->patches_f32(w, x, j0, j1, y, y_row);
    hone_patches_f64(w, wide, j0, j1, wide_y, y_row);
    k->patches_8(w, bytes, 0, 1, j0, j1, bytes_y, y_row, 252);
    k->patches_8(w, bytes, 1, w->channels, j0, j1, bytes_y + taps * y_row, y_row, 252);
    for (int64_t l = 0; l < w->channels * taps; l++)
        for (int64_t j = j0; j < j1; j++) {
            const int64_t at = tap_at(w, l % taps, j), to = l * y_row + j - j0;
            const float want = at < 0 ? 0 : (float)(l / taps * w->plane + at + 1);
            const uint8_t byte = at < 0 ? 252 : (uint8_t)((l / taps * w->plane + at) * 7 % 251);
            if (bytes_y[to] != byte)
                fail_msg("%s: B[%d][%d] is byte %d, not %d", level, (int)l, (int)j, bytes_y[to], byte);
            if (y[to] != want || wide_y[to] != want)
                fail_msg("%s: B[%d][%d] is %g (double: %g), not %g", level, (int)l, (int)j, y[to], wide_y[to],
                         want);
        }
    free(x);
    free(y);
    free(wide);
    free(wide_y);
    free(bytes);
    free(bytes_y);
}

/* The same of an image whose channels are last: tap by tap, the channels of a position. */
static void check_windows(const hone_kernels *k, const char *level, const hone_windows *w, int64_t j0,
                          int64_t j1, int64_t more) {
    const int64_t line = hone_windows_taps(w) * w->channels, row = line + more;
    uint8_t *x = malloc((size_t)(w->channels * w->plane)), *y = malloc((size_t)((j1 - j0) * row));
    for (int64_t i = 0; i < w->channels * w->plane; i++) x[i] = (uint8_t)(i * 7 % 251);
    memset(y, 255, (size_t)((j1 - j0) * row));
    k->windows_8(w, x, j0, j1, y, row, 252);
    for (int64_t i = 0; i < (j1 - j0) * row; i++) {
        const int64_t l = i % row, at = l < line ? tap_at(w, l / w->channels, j0 + i / row) : 0;
        const uint8_t want = l >= line ? 0 : at < 0 ? 252 : x[at * w->channels + l % w->channels];
        if (y[i] != want)
            fail_msg("%s: row %d [%d] is %d, not %d", level, (int)(i / row), (int)l, y[i], want);
    }
    free(x);
    free(y);
}

static void check_all_windows(const hone_kernels *k, const char *level) {
    static const int64_t channels[] = {1, 3, 5, 7, 16, 40, 70, 129};
    for (int c = 0; c < COUNT(cases); c++)
        for (int i = 0; i < COUNT(channels); i++) {
            hone_windows w = cases[c];
            if (w.in[0] > 1 || w.kernel[2] > 5) continue;
            w.channels = channels[i];
            w.plane = w.in[1] * w.in[2];
            for (int a = 0; a < 3; a++) w.dilation[a] = 1 + i % 2;
            const int64_t n = hone_windows_positions(&w);
            check_windows(k, level, &w, 0, n, 0);
            check_windows(k, level, &w, n / 3, n / 2, 3);
        }
}

static void check(const hone_kernels *k, const char *level) {
    for (int c = 0; c < COUNT(cases); c++)
        for (int64_t dilation = 1; dilation < 3; dilation++) {
            hone_windows w = cases[c];
            w.channels = CHANNELS;
            w.plane = w.in[0] * w.in[1] * w.in[2];
            for (int i = 0; i < 3; i++) w.dilation[i] = dilation;
            const int64_t n = hone_windows_positions(&w);
            check_block(k, level, &w, 0, n, n);
            check_block(k, level, &w, n / 3, n, n + 5);
            check_block(k, level, &w, n / 4, n / 2, (n / 2 - n / 4 + 15) / 16 * 16);
        }
}

static void test_patches(void **state) {
    (void)state;
    each_level(check);
}

static void test_channels_last(void **state) {
    (void)state;
    each_level(check_all_windows);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_patches), cmocka_unit_test(test_channels_last)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
