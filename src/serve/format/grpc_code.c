#include "serve/format/grpc_code.h"

#include <stddef.h>

hone_grpc_code hone_grpc_code_of(hone_status status) {
    switch (status) {
    case HONE_OK: return HONE_GRPC_OK;
    case HONE_INVALID_ARGUMENT:
    case HONE_CORRUPT: return HONE_GRPC_INVALID_ARGUMENT;
    case HONE_NOT_FOUND: return HONE_GRPC_NOT_FOUND;
    case HONE_ALREADY_EXISTS: return HONE_GRPC_ALREADY_EXISTS;
    case HONE_FAILED_PRECONDITION: return HONE_GRPC_FAILED_PRECONDITION;
    case HONE_OUT_OF_RANGE: return HONE_GRPC_OUT_OF_RANGE;
    case HONE_UNSUPPORTED: return HONE_GRPC_UNIMPLEMENTED;
    case HONE_OUT_OF_MEMORY:
    case HONE_RESOURCE_EXHAUSTED: return HONE_GRPC_RESOURCE_EXHAUSTED;
    case HONE_UNAVAILABLE: return HONE_GRPC_UNAVAILABLE;
    case HONE_DEADLINE_EXCEEDED: return HONE_GRPC_DEADLINE_EXCEEDED;
    case HONE_CANCELLED: return HONE_GRPC_CANCELLED;
    default: return HONE_GRPC_INTERNAL;
    }
}

const char *hone_grpc_code_name(hone_grpc_code code) {
    static const char *const names[] = {
        "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
        "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
        "DATA_LOSS", "UNAUTHENTICATED"};
    return (size_t)code < sizeof names / sizeof *names ? names[code] : "UNKNOWN";
}

int hone_grpc_http_status(hone_grpc_code code) {
    switch (code) {
    case HONE_GRPC_OK: return 200;
    case HONE_GRPC_CANCELLED: return 499;
    case HONE_GRPC_INVALID_ARGUMENT:
    case HONE_GRPC_FAILED_PRECONDITION:
    case HONE_GRPC_OUT_OF_RANGE: return 400;
    case HONE_GRPC_DEADLINE_EXCEEDED: return 504;
    case HONE_GRPC_NOT_FOUND: return 404;
    case HONE_GRPC_ALREADY_EXISTS:
    case HONE_GRPC_ABORTED: return 409;
    case HONE_GRPC_PERMISSION_DENIED: return 403;
    case HONE_GRPC_UNAUTHENTICATED: return 401;
    case HONE_GRPC_RESOURCE_EXHAUSTED: return 429;
    case HONE_GRPC_UNIMPLEMENTED: return 501;
    case HONE_GRPC_UNAVAILABLE: return 503;
    default: return 500;
    }
}

hone_grpc_code hone_grpc_code_of_http(int status) {
    switch (status) {
    case 200: return HONE_GRPC_OK;
    case 400: return HONE_GRPC_INVALID_ARGUMENT;
    case 401: return HONE_GRPC_UNAUTHENTICATED;
    case 403: return HONE_GRPC_PERMISSION_DENIED;
    case 404: return HONE_GRPC_NOT_FOUND;
    case 408:
    case 504: return HONE_GRPC_DEADLINE_EXCEEDED;
    case 409: return HONE_GRPC_ABORTED;
    case 413:
    case 429:
    case 431: return HONE_GRPC_RESOURCE_EXHAUSTED;
    case 499: return HONE_GRPC_CANCELLED;
    case 501: return HONE_GRPC_UNIMPLEMENTED;
    case 503: return HONE_GRPC_UNAVAILABLE;
    default: return status < 500 ? HONE_GRPC_UNKNOWN : HONE_GRPC_INTERNAL;
    }
}
