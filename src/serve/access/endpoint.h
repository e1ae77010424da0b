/* A place where the server listens, as those see it who answer what comes there. Constant while the server
 * runs; every connection has a pointer to its own, and so has every request. */
#ifndef HONE_SERVE_ACCESS_ENDPOINT_H
#define HONE_SERVE_ACCESS_ENDPOINT_H

#include "serve/access/scope.h"
#include "serve/tls/tls.h"

typedef struct hone_endpoint {
    hone_tls *tls;   /* NULL: cleartext */
    unsigned scopes; /* that are answered here: 1 << hone_scope, one bit for each */
} hone_endpoint;

enum {
    HONE_SCOPES_ALL =
        1 << HONE_SCOPE_OPEN | 1 << HONE_SCOPE_PREDICT | 1 << HONE_SCOPE_ADMIN | 1 << HONE_SCOPE_METRICS,
    HONE_SCOPES_PUBLIC = 1 << HONE_SCOPE_OPEN | 1 << HONE_SCOPE_PREDICT
};

static inline bool hone_endpoint_offers(const hone_endpoint *e, hone_scope scope) {
    return !e || e->scopes >> scope & 1;
}

#endif
