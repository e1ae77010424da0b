#include "kernels/portable.h"

#include <math.h>
#include <string.h>

static void swap_rows(double *a, int64_t n, int64_t i, int64_t j) {
    for (int64_t l = 0; l < n && i != j; l++) {
        double t = a[i * n + l];
        a[i * n + l] = a[j * n + l];
        a[j * n + l] = t;
    }
}

bool hone_invert(double *a, int64_t n, double *y) {
    memset(y, 0, (size_t)(n * n) * sizeof *y);
    for (int64_t i = 0; i < n; i++) y[i * n + i] = 1;
    for (int64_t c = 0; c < n; c++) {
        int64_t pivot = c;
        for (int64_t i = c + 1; i < n; i++)
            if (fabs(a[i * n + c]) > fabs(a[pivot * n + c])) pivot = i;
        if (!(fabs(a[pivot * n + c]) > 0)) return false;
        swap_rows(a, n, c, pivot);
        swap_rows(y, n, c, pivot);
        const double one = 1 / a[c * n + c];
        for (int64_t l = 0; l < n; l++) {
            a[c * n + l] *= one;
            y[c * n + l] *= one;
        }
        for (int64_t i = 0; i < n; i++) {
            const double s = a[i * n + c];
            if (i == c || s == 0) continue;
            for (int64_t l = 0; l < n; l++) {
                a[i * n + l] -= s * a[c * n + l];
                y[i * n + l] -= s * y[c * n + l];
            }
        }
    }
    return true;
}
