/* Requests for the gRPC services, with one input "x" of floats [rows, width]. */
#ifndef HONE_TESTS_SERVE_MESSAGES_H
#define HONE_TESTS_SERVE_MESSAGES_H

#include "serve/format/wire.h"
#include "serve/tfs/tensor_proto.h"

/* tensorflow.serving.PredictRequest */
static inline void put_predict(hone_buffer *b, const char *model, const float *x, int64_t rows,
                               int64_t width) {
    size_t spec = hone_wire_begin(b, 1);
    hone_wire_put_text(b, 1, model);
    hone_wire_end(b, spec);
    size_t entry = hone_wire_begin(b, 2);
    hone_wire_put_text(b, 1, "x");
    size_t tensor = hone_wire_begin(b, 2);
    hone_wire_put_number(b, 1, 1);
    hone_shape_proto_put(b, 2, 2, (int64_t[]){rows, width}, NULL);
    hone_wire_put_bytes(b, 4, x, (size_t)(rows * width) * sizeof *x);
    hone_wire_end(b, tensor);
    hone_wire_end(b, entry);
}

/* inference.ModelInferRequest */
static inline void put_infer(hone_buffer *b, const char *model, const float *x, int64_t rows, int64_t width) {
    hone_wire_put_text(b, 1, model);
    size_t input = hone_wire_begin(b, 5);
    hone_wire_put_text(b, 1, "x");
    hone_wire_put_text(b, 2, "FP32");
    hone_wire_put_number(b, 3, (uint64_t)rows);
    hone_wire_put_number(b, 3, (uint64_t)width);
    hone_wire_end(b, input);
    hone_wire_put_bytes(b, 7, x, (size_t)(rows * width) * sizeof *x);
}

#endif
