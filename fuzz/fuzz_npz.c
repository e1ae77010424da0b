/* The .npz reader: every array of any archive is read, or refused with a message. */
#include "data/npz.h"
#include "graph/tensor.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hone_npz *z = NULL;
    hone_error err = {0};
    hone_status status = hone_npz_open_memory(data, size, &z, &err);
    if (status != HONE_OK) {
        if (z || err.code != status || !err.message[0]) abort();
        return 0;
    }
    const char *name;
    for (int64_t i = 0; i < 16 && (name = hone_npz_name(z, i)); i++) {
        hone_tensor *t = NULL;
        status = hone_npz_read(z, name, &t, &err);
        if (status == HONE_OK ? t == NULL : t != NULL || err.code != status || !err.message[0]) abort();
        hone_tensor_free(t);
    }
    hone_npz_close(z);
    return 0;
}
