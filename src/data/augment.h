/* What is done to the images of a batch, so that no epoch sees the same ones: mirrored, moved, partly erased.
 *
 * What becomes of an image depends on the seed, the epoch and the number of the sample alone. */
#ifndef HONE_DATA_AUGMENT_H
#define HONE_DATA_AUGMENT_H

#include <hone/tensor.h>

typedef struct hone_augment {
    bool flip;
    int crop;     /* pixels each way */
    double erase; /* share of the images */
} hone_augment;

/* "flip,crop:1,erase:0.1"; HONE_INVALID_ARGUMENT says what of it is wrong. */
hone_status hone_augment_parse(const char *text, hone_augment *out, hone_error *err);
/* One image in place, float32 [channels, height, width]. `sample`: what number it is. */
void hone_augment_image(const hone_augment *a, uint64_t seed, uint64_t epoch, uint64_t sample, float *image,
                        int64_t channels, int64_t height, int64_t width);

#endif
