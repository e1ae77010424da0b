/* tensorflow.TensorProto: to a tensor and back. */
#ifndef HONE_SERVE_TFS_TENSOR_PROTO_H
#define HONE_SERVE_TFS_TENSOR_PROTO_H

#include "serve/api/tensors.h"
#include "serve/format/wire.h"

/* Decodes a message into an input of `t`. Elements come as tensor_content or in the list of their type, where
 * missing ones repeat the last that is there: hone_tensors_fill sets them. The message may be changed: strings stay in
 * it, moved by one byte. */
hone_status hone_tensor_proto_decode(hone_tensors *t, hone_feed *feed, const hone_wire_field *message,
                                     hone_error *err);

/* Bytes of the message that the next function appends, with elements in the list of their type, which is
 * where clients look. The dtype must be one of TensorFlow's. */
size_t hone_tensor_proto_size(const hone_tensor *t);
void hone_tensor_proto_put(hone_buffer *out, const hone_tensor *t);

/* Appends a TensorShapeProto as field `number`; symbolic dimensions have their name. */
void hone_shape_proto_put(hone_buffer *out, uint32_t number, int rank, const int64_t *dims,
                          const hone_graph *g);

#endif
