/* Who may ask for what: requests show a secret of a file of them (tokens.h), as "Authorization: Bearer
 * SECRET" or "X-API-Key: SECRET", in HTTP's fields or gRPC's metadata. The file is read again when it
 * changes; while it is broken, what it said before stays. */
#ifndef HONE_SERVE_ACCESS_AUTH_H
#define HONE_SERVE_ACCESS_AUTH_H

#include "serve/access/scope.h"

typedef struct hone_auth hone_auth;

/* Reads the file; warns if others than its owner and group can read it. On success hone_auth_close() when
 * done. */
hone_status hone_auth_open(const char *file, hone_auth **out, hone_error *err);
void hone_auth_close(hone_auth *a); /* NULL is fine */
/* Reads the file again if it has changed and rests (it is the same as at the last look), or, if `asked`, if
 * it is not as it was read last. Logs what is wrong with it. One thread. */
void hone_auth_refresh(hone_auth *a, bool asked);

typedef enum hone_auth_verdict {
    HONE_AUTH_FINE,
    HONE_AUTH_NO_SECRET,
    HONE_AUTH_UNKNOWN,  /* nobody's secret */
    HONE_AUTH_NO_SCOPE, /* somebody's, but not good for this */
} hone_auth_verdict;
/* Any thread. */
hone_auth_verdict hone_auth_check(hone_auth *a, const hone_head *head, hone_scope scope);

#endif
