/* How long a client wants to wait, as it says in the head of its request. */
#ifndef HONE_SERVE_REQUEST_TIMEOUT_H
#define HONE_SERVE_REQUEST_TIMEOUT_H

#include "serve/request/request.h"

/* "grpc-timeout: 100m" in nanoseconds; 0 if there is none, and *bad set if it is malformed. */
uint64_t hone_grpc_timeout(hone_slice text, bool *bad);
/* Brings the deadline forward as the head says: "grpc-timeout" of a gRPC call, else "x-request-timeout-ms", a whole
 * number from 1 to 999999999. Looks once, however often it is called. False: what it says is malformed. */
bool hone_request_take_timeout(hone_request *r);
/* Leaves of its deadline only what the head says: it lasts as long as the client wants. */
void hone_request_lift_timeout(hone_request *r);

#endif
