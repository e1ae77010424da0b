/* The JSON bodies of TensorFlow Serving's predict method, to tensors and back. Private to that front end.
 *
 *      {"instances": [row, …]}   row: the only input's value, or {"name": value, …}     answer:
 * {"predictions": [row, …]}
 *      {"inputs": value}         the only input's value, or {"name": value, …}          answer: {"outputs":
 * value} */
#ifndef HONE_SERVE_TFS_JSON_H
#define HONE_SERVE_TFS_JSON_H

#include "graph/tensor.h"
#include "serve/buffer.h"
#include "serve/core.h"

/* One input while it is decoded. */
typedef struct hone_tfs_input {
    hone_json_tensor values;
    hone_tensor tensor; /* over the values; of the shape that was found */
    int64_t rows;       /* values scanned so far: one a row, or the whole input */
} hone_tfs_input;

typedef struct hone_tfs_body {
    hone_tfs_input *inputs; /* as many as the model has; kept from request to request */
    const hone_tensor **tensors, **outputs;
    size_t input_capacity, tensor_capacity, output_capacity;
    bool rows; /* "instances" were given */
} hone_tfs_body;

/* Fills body->tensors, one for each input of the model, in order. `text` is followed by HONE_JSON_PAD zero
 * bytes, and is consumed. */
hone_status hone_tfs_decode(hone_tfs_body *body, const hone_servable *s, char *text, size_t size,
                            hone_error *err);
/* Appends the answer for body->outputs, in the form that was asked in. */
hone_status hone_tfs_encode(const hone_tfs_body *body, const hone_servable *s, hone_buffer *out,
                            hone_error *err);
void hone_tfs_body_free(hone_tfs_body *body);

#endif
