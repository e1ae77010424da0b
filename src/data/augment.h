/* What is done to the images and sounds of a batch, so that no epoch sees the same ones: mirrored, moved, partly erased;
 * faster, louder, in other rooms.
 *
 * What becomes of a sample depends on the seed, the epoch and the number of the sample alone. */
#ifndef HONE_DATA_AUGMENT_H
#define HONE_DATA_AUGMENT_H

#include "data/picture_layout.h"

#include <hone/tensor.h>

typedef struct hone_augment {
    bool flip;
    int crop;                                     /* pixels each way */
    double erase;                                 /* share of the images */
    double color;                                 /* how far brightness, contrast and saturation go from 1 */
    bool trivial;                                 /* one change of many */
    double speed, throat, shift, gain, noise, tilt, echo, holes; /* of sound: include/hone/data.h */
    int rate;                                                    /* of sound; whoever augments sets it */
} hone_augment;

/* "flip,crop:1,erase:0.1"; HONE_INVALID_ARGUMENT says what of it is wrong. */
hone_status hone_augment_parse(const char *text, hone_augment *out, hone_error *err);
/* One image in place, float32, values in [0, 1]; `scratch` has room for as much. `sample`: what number it is. */
void hone_augment_image(const hone_augment *a, uint64_t seed, uint64_t epoch, uint64_t sample, float *image,
                        const hone_picture_layout *l, float *scratch);

/* One clip in place, x [n]; `scratch` has room for as much. */
void hone_augment_sound(const hone_augment *a, uint64_t seed, uint64_t epoch, uint64_t sample, float *x,
                        int64_t n, float *scratch);

#endif
