#include "kernels/portable.h"

#include <math.h>
#include <string.h>

static void swap(double *a, double *b) {
    double t = *a;
    *a = *b;
    *b = t;
}

double hone_det(double *a, int64_t n) {
    double det = 1;
    for (int64_t k = 0; k < n; k++) {
        int64_t best = k;
        for (int64_t i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[best * n + k])) best = i;
        for (int64_t j = 0; j < n && best != k; j++) swap(&a[k * n + j], &a[best * n + j]);
        if (best != k) det = -det;
        double pivot = a[k * n + k];
        det *= pivot;
        if (pivot == 0) return 0;
        for (int64_t i = k + 1; i < n; i++) {
            double f = a[i * n + k] / pivot;
            for (int64_t j = k + 1; j < n; j++) a[i * n + j] -= f * a[k * n + j];
        }
    }
    return det;
}

/* P A Q = L U, L with ones on its diagonal, in place; row[i] and column[j] say where row i and column j of it were. Returns
 * the rank, and in *sign whether P Q turns the determinant's sign. */
static int64_t decompose(double *a, int64_t n, int64_t *row, int64_t *column, double *sign) {
    *sign = 1;
    for (int64_t i = 0; i < n; i++) row[i] = column[i] = i;
    for (int64_t k = 0; k < n; k++) {
        int64_t best = k * n + k;
        for (int64_t i = k; i < n; i++)
            for (int64_t j = k; j < n; j++)
                if (fabs(a[i * n + j]) > fabs(a[best])) best = i * n + j;
        if (a[best] == 0) return k;
        int64_t r = best / n, c = best % n, t;
        for (int64_t j = 0; j < n && r != k; j++) swap(&a[k * n + j], &a[r * n + j]);
        for (int64_t i = 0; i < n && c != k; i++) swap(&a[i * n + k], &a[i * n + c]);
        if ((r != k) != (c != k)) *sign = -*sign;
        t = row[k], row[k] = row[r], row[r] = t;
        t = column[k], column[k] = column[c], column[c] = t;
        for (int64_t i = k + 1; i < n; i++) {
            double f = a[i * n + k] /= a[k * n + k];
            for (int64_t j = k + 1; j < n; j++) a[i * n + j] -= f * a[k * n + j];
        }
    }
    return n;
}

/* Of full rank: det times the transposed inverse, column by column. Of rank n - 1 the last pivot u is 0, and
 *   d det = (the product of the others) du,  du = w dA z,  w L = (0, …, 0, 1),  U z = 0, z[n-1] = 1 */
void hone_det_grad(double *a, int64_t n, double *y, double *scratch) {
    int64_t *row = (int64_t *)(scratch + 2 * n), *column = row + n;
    double sign, product, *w = scratch, *z = scratch + n;
    int64_t rank = decompose(a, n, row, column, &sign);
    product = sign;
    for (int64_t k = 0; k < rank; k++) product *= a[k * n + k];
    memset(y, 0, (size_t)(n * n) * sizeof *y);
    if (rank < n - 1) return;
    for (int64_t r = rank < n ? n - 1 : 0; r < n; r++) {
        /* w = row r of L^-1; z = U^-1 e_r, but where the last pivot is 0, the vector that U makes 0 */
        for (int64_t i = n - 1; i >= 0; i--) {
            w[i] = i == r;
            for (int64_t k = i + 1; k <= r; k++) w[i] -= w[k] * a[k * n + i];
        }
        for (int64_t i = n - 1; i >= 0; i--) {
            z[i] = i == r;
            for (int64_t k = i + 1; k <= r; k++) z[i] -= a[i * n + k] * z[k];
            if (i < rank) z[i] /= a[i * n + i];
        }
        for (int64_t i = 0; i <= r; i++)
            for (int64_t j = 0; j <= r; j++) y[row[i] * n + column[j]] += product * w[i] * z[j];
    }
}
