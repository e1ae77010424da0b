/* gRPC's status codes. */
#ifndef HONE_SERVE_FORMAT_GRPC_CODE_H
#define HONE_SERVE_FORMAT_GRPC_CODE_H

#include <hone/error.h>

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

/* "NOT_FOUND". */
const char *hone_grpc_code_name(hone_grpc_code code);

/* The HTTP status that stands for a code in counters and logs, and the code that stands for an HTTP
 * status. */
int hone_grpc_http_status(hone_grpc_code code);
hone_grpc_code hone_grpc_code_of_http(int status);

#endif
