#include "serve/openai/vectors.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>

hone_status hone_vector_take(const hone_tensor *t, float **out, int64_t *width, hone_error *err) {
    const int rank = hone_tensor_rank(t);
    const int64_t *dims = hone_tensor_dims(t);
    if (hone_tensor_dtype(t) != HONE_FLOAT32 || rank < 2 || rank > 3 || dims[0] != 1 ||
        (rank == 3 && dims[1] < 1))
        return hone_fail(err, HONE_UNSUPPORTED,
                         "the model's first output is no vector, nor one for each token");
    const int64_t tokens = rank == 3 ? dims[1] : 1, n = dims[rank - 1];
    const float *x = hone_tensor_data(t);
    double square = 0;
    float *v = hone_calloc((size_t)n + 1, sizeof *v);
    if (!v) return hone_fail_memory(err);
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t k = 0; k < tokens; k++) sum += (double)x[k * n + i];
        v[i] = (float)(sum / (double)tokens);
        square += (double)v[i] * (double)v[i];
    }
    const double scale = square > 0 ? 1 / sqrt(square) : 1;
    for (int64_t i = 0; i < n; i++) v[i] = (float)((double)v[i] * scale);
    hone_free(*out);
    *out = v;
    *width = n;
    return HONE_OK;
}

void hone_vector_write(hone_buffer *out, const float *vector, int64_t width, bool base64) {
    if (base64) {
        hone_json_write_bytes(out, vector, (size_t)width * sizeof *vector); /* this machine's order is that */
        return;
    }
    hone_buffer_byte(out, '[');
    for (int64_t i = 0; i < width; i++) {
        if (i) hone_buffer_put(out, ", ", 2);
        hone_json_write_float(out, vector[i]);
    }
    hone_buffer_byte(out, ']');
}
