/* The reader of packed sound: any bytes give samples, or an error with a message. */
#include "data/sound_file.h"
#include "graph/tensor.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hone_tensor *t = NULL;
    hone_error err = {0};
    int rate = 0;
    hone_status status = hone_sound_parse(data, size, &t, &rate, &err);
    if (status == HONE_OK ? !t || rate < 1 : t != NULL || err.code != status || !err.message[0]) abort();
    for (int64_t i = 0; t && i < t->count; i++)
        if (!isfinite(((const float *)t->data)[i])) abort();
    hone_tensor_free(t);
    return 0;
}
