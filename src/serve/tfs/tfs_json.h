/* The JSON bodies of TensorFlow Serving's predict method, to tensors and back. Private to that front end.
 *
 *      {"instances": [row, …]}   row: the only input's value, or {"name": value, …}     answer:
 * {"predictions": [row, …]}
 *      {"inputs": value}         the only input's value, or {"name": value, …}          answer: {"outputs":
 * value} */
#ifndef HONE_SERVE_TFS_TFS_JSON_H
#define HONE_SERVE_TFS_TFS_JSON_H

#include "serve/api/tensors.h"

/* Fills the slots of `t`, which is ready for the model. `text` is followed by HONE_JSON_PAD zero bytes, and
 * is consumed; strings stay in it. *rows: "instances" were given. */
hone_status hone_tfs_decode(hone_tensors *t, char *text, size_t size, bool *rows, hone_error *err);
/* Appends the answer. Strings of outputs whose name ends in "_bytes" are written as {"b64": "…"}. */
hone_status hone_tfs_encode(const hone_servable *s, const hone_tensor *const *outputs, bool rows,
                            hone_buffer *out, hone_error *err);

#endif
