#include "kernels/image.h"

/* G: what a line of three weights becomes. */
static void expand(int size, const double *w, double *u) {
    if (size == 2) {
        u[0] = w[0];
        u[1] = (w[0] + w[1] + w[2]) / 2;
        u[2] = (w[0] - w[1] + w[2]) / 2;
        u[3] = w[2];
        return;
    }
    const double b = 1.4142135623730951, a = b / 2;
    u[0] = w[0];
    u[1] = -(w[0] + a * w[1] + w[2] / 2) / 1.5;
    u[2] = -(w[0] - a * w[1] + w[2] / 2) / 1.5;
    u[3] = (w[0] + b * w[1] + 2 * w[2]) / 6;
    u[4] = (w[0] - b * w[1] + 2 * w[2]) / 6;
    u[5] = w[2];
}

void hone_winograd_weights(int size, int line, const float *w, float *u, int64_t step) {
    double half[6], all[6], row[3];
    for (int j = 0; j < 3; j++) {
        const double column[3] = {(double)w[j], (double)w[3 + j], (double)w[6 + j]};
        expand(size, column, half);
        row[j] = half[line];
    }
    expand(size, row, all);
    for (int j = 0; j < size + 2; j++) u[j * step] = (float)all[j];
}
