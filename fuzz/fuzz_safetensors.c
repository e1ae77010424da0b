/* The safetensors reader: any bytes give tensors that can be read, or an error that names the file. */
#include "import/safetensors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hone_error err = {0};
    hone_arena *arena = hone_arena_new();
    hone_stored *tensors = NULL;
    size_t count = 0, capacity = 0;
    static volatile uint64_t sum;
    if (!arena) return 0;
    hone_status status = hone_safetensors_parse(data, size, "file", arena, &tensors, &count, &capacity, &err);
    if (status != HONE_OK && (err.code != status || !err.message[0] || !err.file[0])) abort();
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < tensors[i].bytes; k++) sum += tensors[i].data[k];
    hone_free(tensors);
    hone_arena_free(arena);
    return 0;
}
