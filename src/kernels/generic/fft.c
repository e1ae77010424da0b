#include "kernels/fft.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { LARGEST = 31 }; /* factor that a pass takes */

#define PI 3.14159265358979323846

/* Factors in the order of the passes: 4 as long as it goes; false if one is too large. */
static bool factorize(int64_t n, int *factor, int *count) {
    *count = 0;
    for (int p = 4; n > 1; p = p == 4 ? 2 : p == 2 ? 3 : p + 2) {
        if (p > LARGEST) return false;
        for (; n % p == 0; n /= p) factor[(*count)++] = p;
    }
    return true;
}

static int64_t convolution_length(int64_t n) {
    int64_t length = 1;
    while (length < 2 * n - 1) length *= 2;
    return length;
}

/* Sets all but the tables; returns how many numbers those of the passes have. */
static int64_t plan(hone_fft *f, int64_t n, bool *convolves) {
    *f = (hone_fft){.n = n, .length = n};
    *convolves = !factorize(n, f->factor, &f->factors);
    if (*convolves) {
        f->length = convolution_length(n);
        factorize(f->length, f->factor, &f->factors);
    }
    int64_t count = 0, m = f->length;
    for (int i = 0; i < f->factors; i++) {
        m /= f->factor[i];
        count += 2 * m * (f->factor[i] - 1);
        if (f->factor[i] > 5) count += 2 * f->factor[i];
    }
    return count;
}

int64_t hone_fft_table(int64_t n) {
    hone_fft f;
    bool convolves;
    int64_t count = plan(&f, n, &convolves);
    return count + (convolves ? 2 * n + 2 * f.length : 0);
}

int64_t hone_fft_scratch(int64_t n, int64_t lanes) {
    hone_fft f;
    bool convolves;
    plan(&f, n, &convolves);
    return (convolves ? 4 : 2) * f.length * lanes;
}

#define REAL float
#define NAME(x) x##_f32
#include "kernels/generic/fft.inc.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(x) x##_f64
#include "kernels/generic/fft.inc.h"
