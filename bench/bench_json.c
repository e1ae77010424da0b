/* Megabytes of JSON text a second: floats scanned into a tensor, and written from one. One thread, best of
 * several. */
#include "base/clock.h"
#include "base/memory.h"
#include "serve/format/json_scan.h"
#include "serve/format/json_write.h"

#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 200000, ROUNDS = 15 };

static float random_unit(void) {
    static unsigned long long x = 88172645463325252ull;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return (float)(x >> 40) * 0x1p-24f;
}

static void scan(const char *format, const char *separator) {
    char *text = calloc(COUNT, 32);
    if (!text) return;
    size_t size = 0;
    text[size++] = '[';
    for (int i = 0; i < COUNT; i++) {
        if (i) size += (size_t)sprintf(text + size, "%s", separator);
        size += (size_t)sprintf(text + size, format, (double)random_unit());
    }
    text[size++] = ']';
    double best = 1e9;
    hone_json_tensor t = {.dtype = HONE_FLOAT32};
    for (int r = 0; r < ROUNDS; r++) {
        hone_json j;
        hone_error err;
        hone_json_tensor_reset(&t, HONE_FLOAT32, SIZE_MAX);
        hone_json_init(&j, text, size);
        double start = hone_seconds_now();
        if (hone_json_scan_tensor(&j, &t, &err) != HONE_OK || t.count != COUNT) {
            printf("scan failed: %s\n", err.message);
            break;
        }
        double took = hone_seconds_now() - start;
        if (took < best) best = took;
    }
    printf("scan  %-6s separator \"%s\"  %7.0f MB/s  %5.1f ns a number\n", format, separator,
           (double)size / best * 1e-6, best / COUNT * 1e9);
    hone_json_tensor_free(&t);
    free(text);
}

static void write_all(const char *what, float scale) {
    float *x = malloc(COUNT * sizeof *x);
    if (!x) return;
    for (int i = 0; i < COUNT; i++)
        x[i] = scale != 0 ? random_unit() * scale : (float)(int)(random_unit() * 256);
    hone_buffer b = {0};
    double best = 1e9;
    for (int r = 0; r < ROUNDS; r++) {
        hone_buffer_clear(&b, SIZE_MAX);
        double start = hone_seconds_now();
        for (int i = 0; i < COUNT; i++) {
            hone_json_write_float(&b, x[i]);
            hone_buffer_byte(&b, ',');
        }
        double took = hone_seconds_now() - start;
        if (took < best) best = took;
    }
    printf("write %-28s %7.0f MB/s  %5.1f ns a number\n", what, (double)b.size / best * 1e-6,
           best / COUNT * 1e9);
    hone_buffer_free(&b);
    free(x);
}

int main(void) {
    scan("%.4f", ",");
    scan("%.9g", ",");
    scan("%.17g", ", ");
    scan("%.0f.0", ",");
    write_all("random floats in [0, 1)", 1);
    write_all("whole numbers", 0);
    return 0;
}
