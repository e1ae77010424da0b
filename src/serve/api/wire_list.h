/* Tensors as repeated fields of protocol buffers: how TensorProto's *_val and InferTensorContents hold them.
 * Packed or not, floats as fixed numbers, everything else as varints, strings as bytes. */
#ifndef HONE_SERVE_API_WIRE_LIST_H
#define HONE_SERVE_API_WIRE_LIST_H

#include "serve/api/tensors.h"
#include "serve/format/wire.h"

/* Takes the elements of the repeated field `number` of a message into an input whose shape is set; more than
 * it holds are HONE_INVALID_ARGUMENT. *count: how many there were; the rest is not set. One packed run of all
 * floats stays where it is. Strings stay too, moved by one byte, over their lengths: the message can't be
 * read again. */
hone_status hone_feed_list(hone_feed *feed, const hone_wire_field *message, uint32_t number, size_t *count,
                           hone_error *err);

/* Bytes of the next function's fields: the whole tensor as a repeated field, packed but for strings. */
size_t hone_list_size(uint32_t number, const hone_tensor *t);
void hone_list_put(hone_buffer *out, uint32_t number, const hone_tensor *t);

#endif
