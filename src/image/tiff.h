/* Blocks of TIFF files. Private to this room. */
#ifndef HONE_IMAGE_TIFF_H
#define HONE_IMAGE_TIFF_H

#include "image/formats.h"

enum {
    HONE_TIFF_PLAIN = 1,
    HONE_TIFF_LZW = 5,
    HONE_TIFF_DEFLATE = 8,
    HONE_TIFF_OLD_DEFLATE = 32946,
    HONE_TIFF_PACK_BITS = 32773
};

/* How many bytes a byte can become, at most; 0: Hone can't unpack it. */
size_t hone_tiff_ratio(int compression);
/* Unpacks `n` bytes to the `room` bytes that they must make; more are not looked at. */
hone_status hone_tiff_unpack(int compression, const uint8_t *x, size_t n, uint8_t *y, size_t room,
                             hone_error *err);

#endif
