/* Kernels that sample a grid of elements between its points, in portable C. */
#ifndef HONE_KERNELS_SAMPLING_H
#define HONE_KERNELS_SAMPLING_H

#include <stdbool.h>
#include <stdint.h>

typedef enum hone_sampling_mode {
    HONE_SAMPLE_LINEAR,
    HONE_SAMPLE_NEAREST,
    HONE_SAMPLE_CUBIC
} hone_sampling_mode;
typedef enum hone_sampling_padding {
    HONE_SAMPLE_ZEROS,
    HONE_SAMPLE_BORDER,
    HONE_SAMPLE_REFLECTION
} hone_sampling_padding;
#define HONE_SAMPLE_AXES 6
#define HONE_SAMPLE_TAPS 4 /* at most, along an axis */

/* How coordinates from -1 to 1 lie over a space of `rank` axes: they are the centers of the outermost
 * elements (align_corners), or their outer edges. Or they count elements as they are (`plain`, of zeros as
 * padding). */
typedef struct hone_sampling {
    hone_sampling_mode mode;
    hone_sampling_padding padding;
    bool align_corners, plain;
    int rank;
    int64_t dims[HONE_SAMPLE_AXES], strides[HONE_SAMPLE_AXES];
} hone_sampling;

/* The most taps that a sample has. */
int hone_sampling_taps(const hone_sampling *s);
/* The taps of samples [0, n), as hone_weigh_f32 takes them: start [n + 1], from and weight [n * taps].
 * coordinates: [n, rank], the first one along the last axis. `along` >= 0: the weights' derivatives to the
 * coordinate of that axis. */
void hone_sampling_find(const hone_sampling *s, const double *coordinates, int64_t n, int along,
                        int64_t *start, int64_t *from, double *weight);
/* from[i]: the element nearest to sample i, or -1 (zeros). */
void hone_sampling_nearest(const hone_sampling *s, const double *coordinates, int64_t n, int64_t *from);

#endif
