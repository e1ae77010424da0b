/* Calls of TensorFlow Serving's gRPC services, and what is in their answers. */
#ifndef HONE_TESTS_SERVE_TFS_CALLS_H
#define HONE_TESTS_SERVE_TFS_CALLS_H

#include "serve/format/wire.h"
#include "serve/fronts.h"

#define SERVICE "/tensorflow.serving.PredictionService/"
#define MODELS "/tensorflow.serving.ModelService/"

static inline answer call(fixture *f, const char *method, hone_buffer *b) {
    assert_false(b->failed);
    answer a = fixture_call(f, method, b->data, b->size);
    hone_buffer_free(b);
    return a;
}

/* The first field of that number. */
static inline hone_wire_field field(hone_wire w, uint32_t number) {
    hone_wire_field f;
    while (hone_wire_next(&w, &f))
        if (f.number == number) return f;
    return (hone_wire_field){0};
}

#endif
