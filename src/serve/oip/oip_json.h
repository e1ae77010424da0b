/* The bodies of the Open Inference Protocol's REST form: inference requests and answers, JSON with or without
 * raw tensors behind it. Private to that front end. */
#ifndef HONE_SERVE_OIP_OIP_JSON_H
#define HONE_SERVE_OIP_OIP_JSON_H

#include "serve/oip/oip.h"

/* The hone_api functions of ModelInfer over REST. */
hone_status hone_oip_decode(hone_call *c, hone_error *err);
/* Adds the field "inference-header-content-length" if there are bytes behind the JSON. */
hone_status hone_oip_encode(hone_call *c, hone_buffer *out, hone_error *err);
/* Does the answer have bytes behind its JSON? */
bool hone_oip_has_raw(const hone_call *c);

#endif
