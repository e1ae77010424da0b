/* TensorFlow Serving's REST API, version 1: predict, status, metadata. A thin translation over the core;
 * classify and regress, which need signatures that ONNX models do not have, answer 501. */
#ifndef HONE_SERVE_TFS_REST_H
#define HONE_SERVE_TFS_REST_H

#include "serve/core.h"
#include "serve/request.h"

/* A worker's front end: the buffers that its requests are decoded into and answered from. */
typedef struct hone_tfs hone_tfs;

hone_status hone_tfs_new(hone_core *core, hone_stats *stats, int worker, hone_tfs **out, hone_error *err);
void hone_tfs_free(hone_tfs *t); /* NULL is fine */

/* Is the path one of this API ("/v1/…")? */
bool hone_tfs_takes(hone_slice path);
/* Answers before it returns. */
void hone_tfs_handle(hone_tfs *t, hone_request *r);

/* The HTTP status that TensorFlow Serving gives an error of that kind. */
int hone_tfs_http_status(hone_status status);

#endif
