/* What a request wants of a resource, by its method (RFC 9110, section 9.3). Methods are case-sensitive. */
#ifndef HONE_SERVE_REQUEST_VERB_H
#define HONE_SERVE_REQUEST_VERB_H

#include "serve/request/request.h"

typedef enum hone_verb {
    HONE_VERB_UNKNOWN, /* of nobody, or of proxies: CONNECT */
    HONE_VERB_GET,     /* HEAD, too, whose answer the protocols leave the body out of */
    HONE_VERB_POST,
    HONE_VERB_OPTIONS,
    HONE_VERB_OTHER /* known, but nothing here takes it: PUT, DELETE, PATCH, TRACE */
} hone_verb;

hone_verb hone_verb_of(hone_slice method);

/* Does a resource that takes GET (and HEAD), or POST, take the request? False: it has been answered, with 405 and what is
 * allowed, or with that alone if it asked for it by OPTIONS. */
bool hone_request_takes(hone_request *r, hone_verb verb);
/* Answers a request of an unknown method with 501, and OPTIONS about the whole server ("*"); false if it is neither. */
bool hone_request_answer_verb(hone_request *r);

#endif
