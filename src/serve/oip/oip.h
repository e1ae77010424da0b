/* The Open Inference Protocol, version 2 (KServe, Triton): what its REST and its gRPC form share. */
#ifndef HONE_SERVE_OIP_OIP_H
#define HONE_SERVE_OIP_OIP_H

#include "serve/api/front.h"

#define HONE_OIP_PLATFORM "onnx"
/* Of requests and answers with raw tensors behind their JSON: its bytes. */
#define HONE_OIP_LENGTH_FIELD "inference-header-content-length"
/* "model_repository", …; ends with NULL. */
extern const char *const hone_oip_extensions[];

/* "FP32"; "" if the protocol lacks it. */
const char *hone_oip_datatype(hone_dtype dtype);
/* In a model's configuration: "TYPE_FP32" is this with a prefix, and 11. Strings are "STRING", and 13. */
const char *hone_oip_config_type(hone_dtype dtype);
int hone_oip_config_number(hone_dtype dtype);

/* Finds the input for a tensor of the request and sets its shape. HONE_INVALID_ARGUMENT: there is none, it is
 * there already, or of another datatype. */
hone_status hone_oip_input(hone_call *c, hone_slice name, hone_slice datatype, int rank, const int64_t *dims,
                           hone_feed **out, hone_error *err);
/* The bytes of an input; they may be changed. */
hone_status hone_oip_raw(hone_feed *feed, char *data, size_t size, hone_error *err);

/* The parameter "timeout" of a request, in microseconds; 0: none. */
hone_status hone_oip_timeout(hone_call *c, int64_t microseconds, hone_error *err);

/* What a version's state is in the repository's index: "READY", "LOADING", "UNLOADING", "UNAVAILABLE". */
const char *hone_oip_state(hone_version_state state);

/* Loads a model (with `settings` as its config.json, data NULL if there are none), or unloads it, then calls
 * `done` on the worker's thread. */
typedef void hone_oip_done_fn(hone_front *f, hone_request *r, hone_status status, const hone_error *err);
void hone_oip_change(hone_front *f, hone_request *r, bool load, hone_slice name, hone_slice settings,
                     hone_oip_done_fn *done);

#endif
