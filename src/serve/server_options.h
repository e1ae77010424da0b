/* What the options of a server may be. */
#ifndef HONE_SERVE_SERVER_OPTIONS_H
#define HONE_SERVE_SERVER_OPTIONS_H

#include <hone/serve.h>

/* HONE_INVALID_ARGUMENT names the first option that is out of its range, or that does not go with another
 * one. */
hone_status hone_server_options_check(const hone_server_options *o, hone_error *err);

#endif
