#include "kernels/image.h"

#define PATCH_TYPE double
#define PATCH_LANES 8

static inline __attribute__((always_inline)) void copy_run(const double *x, double *y, const int64_t step,
                                                           int lo, int hi, int lanes, double fill) {
    for (int i = 0; i < lo; i++) y[i] = fill;
    for (int i = lo; i < hi; i++) y[i] = x[i * step];
    for (int i = hi; i < lanes; i++) y[i] = fill;
}

#include "kernels/patches.inc.h"

void hone_patches_f64(const hone_windows *w, const double *x, int64_t j0, int64_t j1, double *y,
                      int64_t y_row) {
    copy_patches(w, x, 0, w->channels, j0, j1, y, y_row, 0);
}
