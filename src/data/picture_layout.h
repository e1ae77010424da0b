/* Where the pixels of a batch of images lie. */
#ifndef HONE_DATA_PICTURE_LAYOUT_H
#define HONE_DATA_PICTURE_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

/* Of a sample: planes of rows of pixels, each of so many values. */
typedef struct hone_picture_layout {
    int64_t planes, height, width, pixel;
} hone_picture_layout;

static inline bool hone_is_channels(int64_t n) {
    return n == 1 || n == 3 || n == 4;
}

/* [batch, channels, height, width], or [batch, height, width, channels] where that is what the axes look like. */
static inline hone_picture_layout hone_picture_layout_of(const int64_t *dims) {
    if (hone_is_channels(dims[3]) && !hone_is_channels(dims[1]))
        return (hone_picture_layout){1, dims[1], dims[2], dims[3]};
    return (hone_picture_layout){dims[1], dims[2], dims[3], 1};
}

#endif
