/* The .npy reader: any bytes give a tensor, or an error with a message. */
#include "data/npy.h"
#include "graph/tensor.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hone_tensor *t = NULL;
    hone_error err = {0};
    hone_status status = hone_npy_parse(data, size, &t, &err);
    if (status == HONE_OK ? t == NULL : t != NULL || err.code != status || !err.message[0]) abort();
    if (t && t->dtype == HONE_BOOL)
        for (int64_t i = 0; i < t->count; i++)
            if (((const uint8_t *)t->data)[i] > 1) abort();
    hone_tensor_free(t);
    return 0;
}
