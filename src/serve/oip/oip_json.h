/* The bodies of the Open Inference Protocol's REST form: inference requests and answers, JSON with or without
 * raw tensors behind it. Private to that front end. */
#ifndef HONE_SERVE_OIP_OIP_JSON_H
#define HONE_SERVE_OIP_OIP_JSON_H

#include "serve/oip/oip.h"

/* The hone_api functions of ModelInfer over REST. */
hone_status hone_oip_decode(hone_call *c, hone_error *err);
/* Where bytes follow the JSON, c->json_size tells where they start: what HONE_OIP_LENGTH_FIELD is to say. */
hone_status hone_oip_encode(hone_call *c, hone_buffer *out, hone_error *err);
/* Does the answer have bytes behind its JSON? */
bool hone_oip_has_raw(const hone_call *c);

#endif
