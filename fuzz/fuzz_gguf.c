/* The GGUF reader: any bytes give a file whose values and tensors can all be read, or an error that names it. */
#include "import/gguf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t touch(const uint8_t *data, size_t size) {
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++) sum += data[i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hone_gguf *g = NULL;
    hone_error err = {0};
    hone_status status = hone_gguf_parse(data, size, "file", &g, &err);
    if (status != HONE_OK) {
        if (g || err.code != status || !err.message[0] || !err.file[0]) abort();
        return 0;
    }
    static volatile uint64_t sum;
    size_t count;
    const hone_stored *t = hone_gguf_tensors(g, &count);
    for (size_t i = 0; i < count; i++) {
        if (!t[i].format) continue;
        sum += touch(t[i].data, t[i].bytes);
        float out[HONE_BLOCK_MOST];
        if (t[i].bytes >= t[i].format->bytes)
            hone_blocks_to_floats(t[i].format, t[i].data, t[i].format->weights, out);
    }
    static const char *const keys[] = {"tokenizer.ggml.tokens", "a", "general.name"};
    for (int i = 0; i < 3; i++) {
        hone_gguf_array a;
        const char *text;
        size_t n;
        int64_t number;
        if (hone_gguf_string(g, keys[i], &text, &n)) sum += touch((const uint8_t *)text, n);
        if (!hone_gguf_array_of(g, keys[i], &a)) continue;
        while (hone_gguf_next_string(&a, &text, &n)) sum += touch((const uint8_t *)text, n);
        while (hone_gguf_next_int(&a, &number)) sum += (uint64_t)number;
    }
    hone_gguf_free(g);
    return 0;
}
