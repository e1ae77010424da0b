/* The decoders of pictures: any bytes give pixels, or an error with a message. */
#include "image/image.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hone_image image = {0};
    hone_error err = {0};
    hone_status status = hone_image_read(data, size, &image, &err);
    if (status == HONE_OK ? image.pixels == NULL
                          : image.pixels != NULL || err.code != status || !err.message[0])
        abort();
    volatile unsigned sum = 0; /* all pixels are read */
    for (size_t i = 0; status == HONE_OK && i < (size_t)image.height * (size_t)image.width * 3; i++)
        sum += image.pixels[i];
    hone_image_free(&image);
    return 0;
}
