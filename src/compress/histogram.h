/* Histograms of values, and the ranges that they make sensible. */
#ifndef HONE_COMPRESS_HISTOGRAM_H
#define HONE_COMPRESS_HISTOGRAM_H

#include "compress/calibrate.h"

#define HONE_HISTOGRAM_BINS 2048

typedef struct hone_histogram {
    hone_range range;                    /* of all that is counted */
    uint64_t count[HONE_HISTOGRAM_BINS]; /* of equal width over the range; not of exact zeros */
    uint64_t zeros, total;               /* zeros are exact on every grid; all, zeros included */
} hone_histogram;

void hone_histogram_add(hone_histogram *h, const float *x, int64_t n);
/* What a grid of 256 codes should hold: within h's range, with 0 in it. */
hone_range hone_histogram_range(const hone_histogram *h, const hone_calibration *how);

#endif
