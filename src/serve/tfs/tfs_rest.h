/* TensorFlow Serving's REST API, version 1: predict, status, metadata. A thin translation over the core;
 * classify and regress, which need signatures that ONNX models do not have, answer 501. */
#ifndef HONE_SERVE_TFS_TFS_REST_H
#define HONE_SERVE_TFS_TFS_REST_H

#include "serve/api/front.h"

/* Is the path one of this API ("/v1/…")? */
bool hone_tfs_takes(hone_slice path);
/* Answers, now or later. */
void hone_tfs_handle(hone_front *f, hone_request *r);

/* A model by its version, its label, or (NULL and an empty one) the latest. */
hone_status hone_tfs_find(hone_front *f, hone_slice name, hone_slice label, const int64_t *version,
                          hone_servable **out, hone_error *err);

#endif
