#include <math.h>

#define POOL_TYPE double
#define POOL_LEAST ((double)-INFINITY)
#include "kernels/pool_plain.inc.h"

void hone_pool_f64(const hone_pool *p, const double *x, double *y, int64_t line0, int64_t line1,
                   double *room) {
    switch (p->kind) {
    case HONE_POOL_MAX: pool_lines(p, HONE_POOL_MAX, x, y, line0, line1, room); break;
    case HONE_POOL_MEAN: pool_lines(p, HONE_POOL_MEAN, x, y, line0, line1, room); break;
    case HONE_POOL_NORM_1: pool_lines(p, HONE_POOL_NORM_1, x, y, line0, line1, room); break;
    case HONE_POOL_NORM_2: pool_lines(p, HONE_POOL_NORM_2, x, y, line0, line1, room); break;
    case HONE_POOL_NORM: pool_lines(p, HONE_POOL_NORM, x, y, line0, line1, room);
    }
}

double hone_pool_all_f64(hone_pool_kind kind, double power, const double *x, int64_t n) {
    double sum = POOL_NOTHING(kind), count = (double)n;
    for (int64_t i = 0; i < n; i++) sum = both(kind, sum, term(kind, power, x[i]));
    finish_row(kind, power, &sum, 1, 1, &count);
    return sum;
}
