/* What is inside of packed models: any body, gaps and symbols, with the sums that zstd wants, give a model or an error with a message.
 *
 *     size (two bytes, the low one first), so many bytes, …    each part becomes a frame; a size beyond the end: what is left */
#include "onnx/packed.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const size_t room = HONE_PACKED_MAGIC_SIZE + 8 * size + 4096;
    uint8_t *file = malloc(room);
    size_t at = HONE_PACKED_MAGIC_SIZE;
    hone_blob model = {NULL, 0};
    hone_error err = {0};
    if (!file) return 0;
    memcpy(file, HONE_PACKED_MAGIC, HONE_PACKED_MAGIC_SIZE);
    while (size >= 2) {
        size_t part = data[0] | (size_t)data[1] << 8;
        data += 2;
        size -= 2;
        if (part > size) part = size;
        const size_t frame = ZSTD_compress(file + at, room - at, data, part, 1);
        if (ZSTD_isError(frame)) break; /* many empty frames: no room */
        at += frame;
        data += part;
        size -= part;
    }
    const hone_status status = hone_packed_read(file, at, &model, &err);
    if (status == HONE_OK ? model.data == NULL : model.data != NULL || err.code != status || !err.message[0])
        abort();
    hone_blob_free(&model);
    free(file);
    return 0;
}
