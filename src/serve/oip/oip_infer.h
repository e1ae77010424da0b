/* ModelInferRequest and ModelInferResponse. Private to the gRPC front end of the Open Inference Protocol. */
#ifndef HONE_SERVE_OIP_OIP_INFER_H
#define HONE_SERVE_OIP_OIP_INFER_H

#include "serve/oip/oip.h"

/* The hone_api functions of ModelInfer over gRPC. A request with raw contents, or of types that have no
 * others, gets raw contents back. */
hone_status hone_oip_infer_decode(hone_call *c, hone_error *err);
hone_status hone_oip_infer_encode(hone_call *c, hone_buffer *out, hone_error *err);

#endif
