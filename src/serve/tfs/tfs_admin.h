/* tensorflow.serving.ModelService.HandleReloadConfigRequest: replaces the set of models. Private to the gRPC
 * front end of TensorFlow Serving. */
#ifndef HONE_SERVE_TFS_TFS_ADMIN_H
#define HONE_SERVE_TFS_TFS_ADMIN_H

#include "serve/api/front.h"

/* Answers when all models are loaded, as TensorFlow Serving does: what went wrong stands in the answer. */
void hone_tfs_reload(hone_front *f, hone_request *r);

/* Appends a StatusProto as field `number`. */
void hone_tfs_put_status(hone_buffer *out, uint32_t number, hone_status status, const char *message);

/* Fills `out` from a ModelServerConfig message; hone_model_set_free() when done, also after an error. */
hone_status hone_tfs_read_config(const uint8_t *data, size_t size, hone_model_set *out, hone_error *err);

#endif
