/* The IDX reader: any bytes give a tensor of the size that the header says, or an error with a message. */
#include "data/idx.h"
#include "graph/tensor.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hone_tensor *t = NULL;
    hone_error err = {0};
    hone_status status = hone_idx_parse(data, size, &t, &err);
    if (status == HONE_OK ? t == NULL || t->rank < 1 : t != NULL || err.code != status || !err.message[0])
        abort();
    hone_tensor_free(t);
    return 0;
}
