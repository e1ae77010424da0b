/* How a request is told that it failed if it is a gRPC call: what protocols and admission have to say before
 * any service is asked. */
#ifndef HONE_SERVE_REQUEST_GRPC_STATUS_H
#define HONE_SERVE_REQUEST_GRPC_STATUS_H

#include "serve/format/grpc_code.h"
#include "serve/request/request.h"

#define HONE_GRPC_CONTENT_TYPE "application/grpc"
#define HONE_GRPC_ENCODINGS "identity,gzip" /* that are understood */

/* Is this request a gRPC call? */
bool hone_grpc_takes(const hone_request *r);
/* Trailers only. `message` is percent-encoded as gRPC wants it. */
void hone_grpc_fail(hone_request *r, hone_grpc_code code, const char *message);
/* hone_grpc_fail with the code and text of an error. */
void hone_grpc_fail_error(hone_request *r, const hone_error *err);

/* Says that the deadline has passed, unless the answer is there already or nobody waits for it, and abandons the
 * request. */
void hone_request_expire(hone_request *r);

/* Answers with an HTTP status and {"error": MESSAGE}, or tells a gRPC call so with the code that stands for the
 * status. */
void hone_request_refuse(hone_request *r, int status, const char *message);

#endif
