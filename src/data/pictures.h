/* Pictures in files as samples: read, cut to one size and kept as bytes while there is room for them. */
#ifndef HONE_DATA_PICTURES_H
#define HONE_DATA_PICTURES_H

#include "data/dataset.h"

typedef struct hone_pictures_options {
    int height, width;  /* 0: the size of all of them, if it is one, else HONE_PICTURES_SIDE each way */
    int channels;       /* 3, 1; 0: 1 if no picture has a colour, else 3 */
    bool channels_last; /* samples are [height, width, channels] */
    int threads;        /* to look at them; 0: all CPUs */
} hone_pictures_options;

#define HONE_PICTURES_SIDE 64
/* Bytes of pixels that are kept at most; what is more is read from its file each time. */
#define HONE_PICTURES_ROOM ((size_t)256 << 20)

/* What was found. */
typedef struct hone_pictures_report {
    int64_t bad;       /* files that are no pictures, or damaged */
    int64_t first_bad; /* its number; its error: */
    hone_error error;
    int least[2], most[2];       /* height and width of the others */
    int height, width, channels; /* of a sample */
} hone_pictures_report;

/* A source of samples uint8 [channels, height, width], or with channels last, one for each of `count` paths, which are copied. Each file is read
 * once; good[i] becomes whether it is a picture. On success `*out` is a reference of the caller's. */
hone_status hone_pictures_new(const char *const *paths, int64_t count, const hone_pictures_options *options,
                              bool *good, hone_pictures_report *report, hone_sample_source **out,
                              hone_error *err);

#endif
