/* Errors, as the APIs over HTTP tell them. */
#ifndef HONE_SERVE_API_STATUS_H
#define HONE_SERVE_API_STATUS_H

#include <hone/error.h>

/* The HTTP status for an error of that kind, as TensorFlow Serving gives it. */
int hone_http_status_of(hone_status status);

#endif
