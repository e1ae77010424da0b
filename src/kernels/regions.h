/* Kernels over regions of images, in portable C. An image is [channels, height, width]. */
#ifndef HONE_KERNELS_REGIONS_H
#define HONE_KERNELS_REGIONS_H

#include <stdbool.h>
#include <stdint.h>

/* A region is cut into bins of equal size, and a bin into a grid of samples, which lie between elements:
 * each has up to four around it, whose weights are bilinear. Samples that are an element or more outside
 * are zeros. */
typedef struct hone_align {
    int64_t height, width;
    int64_t out_height, out_width; /* bins */
    int64_t grid;                  /* samples of a bin along each axis; 0: one an element, or a little more */
    double scale, shift;           /* from a region's coordinates to elements */
    bool whole;                    /* a region has at least the size of an element */
    bool largest;                  /* of the elements that samples weigh; else the mean of the samples */
} hone_align;

/* y [channels, bins] of x, for the region [x0, y0, x1, y1], all of them finite. */
void hone_align_f32(const hone_align *a, const double *region, const float *x, int64_t channels, float *y);
void hone_align_f64(const hone_align *a, const double *region, const double *x, int64_t channels, double *y);
/* dx, as x, becomes larger by what goes to it from dy [channels, bins]. */
void hone_align_grad_f32(const hone_align *a, const double *region, const float *x, const float *dy,
                         int64_t channels, float *dx);
void hone_align_grad_f64(const hone_align *a, const double *region, const double *x, const double *dy,
                         int64_t channels, double *dx);

/* The largest element of each bin, of [y0, y1) x [x0, x1), or 0 where that is empty; y [channels, bins].
 * `bins`: [out_height * out_width][y0, y1, x0, x1]. */
void hone_bins_max_f32(const float *x, int64_t height, int64_t width, const int64_t (*bins)[4], int64_t count,
                       int64_t channels, float *y);
void hone_bins_max_f64(const double *x, int64_t height, int64_t width, const int64_t (*bins)[4],
                       int64_t count, int64_t channels, double *y);
/* dx, as x, becomes larger by dy [channels, bins] where the first of the largest is. */
void hone_bins_max_grad_f32(const float *x, int64_t height, int64_t width, const int64_t (*bins)[4],
                            int64_t count, int64_t channels, const float *dy, float *dx);
void hone_bins_max_grad_f64(const double *x, int64_t height, int64_t width, const int64_t (*bins)[4],
                            int64_t count, int64_t channels, const double *dy, double *dx);

#endif
