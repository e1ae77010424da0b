#include "serve/api/status.h"

int hone_http_status_of(hone_status status) {
    switch (status) {
    case HONE_OK: return 200;
    case HONE_INVALID_ARGUMENT:
    case HONE_FAILED_PRECONDITION:
    case HONE_OUT_OF_RANGE: return 400;
    case HONE_NOT_FOUND: return 404;
    case HONE_ALREADY_EXISTS: return 409;
    case HONE_RESOURCE_EXHAUSTED: return 429;
    case HONE_OUT_OF_MEMORY:
    case HONE_UNAVAILABLE: return 503;
    case HONE_DEADLINE_EXCEEDED: return 504;
    case HONE_UNSUPPORTED: return 501;
    case HONE_CANCELLED: return 499;
    default: return 500;
    }
}
