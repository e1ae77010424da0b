/* The Open Inference Protocol over REST, with Triton's extensions for binary tensors, repositories,
 * configurations and statistics.
 *
 *   GET  v2   v2/health/live|ready   v2/models/stats   v2/models/M[/versions/V][/ready|/config|/stats]
 *   POST v2/models/M[/versions/V]/infer   v2/repository/index   v2/repository/models/M/load|unload */
#ifndef HONE_SERVE_OIP_OIP_REST_H
#define HONE_SERVE_OIP_OIP_REST_H

#include "serve/api/front.h"

/* Is the path one of this API ("/v2", "/v2/…")? */
bool hone_oip_takes(hone_slice path);
/* Answers, now or later. */
void hone_oip_handle(hone_front *f, hone_request *r);

#endif
