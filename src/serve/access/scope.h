/* What a request is allowed to see or to change, by its path alone: the one place that says which paths are
 * for whom. Tokens and the port for administration go by it. */
#ifndef HONE_SERVE_ACCESS_SCOPE_H
#define HONE_SERVE_ACCESS_SCOPE_H

#include "serve/request/request.h"

typedef enum hone_scope {
    HONE_SCOPE_OPEN,    /* health and readiness: for everybody */
    HONE_SCOPE_PREDICT, /* models, their metadata, and every path that is not listed */
    HONE_SCOPE_ADMIN,   /* what changes the server, or lists what is in its repository */
    HONE_SCOPE_METRICS  /* what it counts */
} hone_scope;

/* Needs the head only. */
hone_scope hone_scope_of(const hone_request *r);
/* "admin". */
const char *hone_scope_name(hone_scope scope);

#endif
