/* gRPC over a request: framing and status. A call is a request whose content type is application/grpc; its path is
 * "/package.Service/Method", its body the message behind a 5-byte prefix (compressed flag, u32 big-endian length).
 *
 *   answer   begin(200, application/grpc) · prefix + message · end with trailers grpc-status, grpc-message
 *   failure  trailers only                                                                                     */
#ifndef HONE_SERVE_GRPC_H
#define HONE_SERVE_GRPC_H

#include "serve/request.h"

/* gRPC's status codes. */
typedef enum hone_grpc_code {
    HONE_GRPC_OK = 0,
    HONE_GRPC_CANCELLED = 1,
    HONE_GRPC_UNKNOWN = 2,
    HONE_GRPC_INVALID_ARGUMENT = 3,
    HONE_GRPC_DEADLINE_EXCEEDED = 4,
    HONE_GRPC_NOT_FOUND = 5,
    HONE_GRPC_ALREADY_EXISTS = 6,
    HONE_GRPC_PERMISSION_DENIED = 7,
    HONE_GRPC_RESOURCE_EXHAUSTED = 8,
    HONE_GRPC_FAILED_PRECONDITION = 9,
    HONE_GRPC_ABORTED = 10,
    HONE_GRPC_OUT_OF_RANGE = 11,
    HONE_GRPC_UNIMPLEMENTED = 12,
    HONE_GRPC_INTERNAL = 13,
    HONE_GRPC_UNAVAILABLE = 14,
    HONE_GRPC_DATA_LOSS = 15,
    HONE_GRPC_UNAUTHENTICATED = 16
} hone_grpc_code;

hone_grpc_code hone_grpc_code_of(hone_status status);

/* Is this request a gRPC call? */
bool hone_grpc_takes(const hone_request *r);
/* "grpc-timeout: 100m" in nanoseconds; 0 if there is none, and *bad set if it is malformed. */
uint64_t hone_grpc_timeout(hone_slice text, bool *bad);
/* The one message of a unary call, inside r->body. HONE_INVALID_ARGUMENT: not exactly one whole message;
 * HONE_UNSUPPORTED: compressed. */
hone_status hone_grpc_message(const hone_request *r, const uint8_t **message, size_t *size, hone_error *err);
/* Room for the prefix at the start of an answer, in an empty buffer; the message is appended behind it. */
void hone_grpc_begin_message(hone_buffer *out);
/* Fills the prefix in and answers with the message and status OK. */
void hone_grpc_reply(hone_request *r, hone_buffer *out);
/* Trailers only. `message` is percent-encoded as gRPC wants it. */
void hone_grpc_fail(hone_request *r, hone_grpc_code code, const char *message);
/* hone_grpc_fail with the code and text of an error. */
void hone_grpc_fail_error(hone_request *r, const hone_error *err);

#endif
