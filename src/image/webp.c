#include "image/formats.h"

#include <webp/decode.h>

hone_status hone_webp_read(const uint8_t *data, size_t size, hone_image *out, hone_error *err) {
    WebPBitstreamFeatures f;
    VP8StatusCode code = WebPGetFeatures(data, size, &f);
    if (code != VP8_STATUS_OK)
        return hone_fail(err, HONE_CORRUPT, "WebP: no picture begins here (%d)", (int)code);
    if (f.has_animation) return hone_fail(err, HONE_UNSUPPORTED, "WebP: a moving picture");
    HONE_TRY(hone_image_make(f.height, f.width, out, err));
    size_t row = (size_t)out->width * 3;
    if (!WebPDecodeRGBInto(data, size, out->pixels, row * (size_t)out->height, (int)row))
        return hone_fail(err, HONE_CORRUPT, "WebP: the picture is broken or ends too early");
    return HONE_OK;
}
