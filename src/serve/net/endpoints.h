/* The endpoints of a server, from its options: the main port, a second one, a Unix domain socket, and a port
 * for administration. */
#ifndef HONE_SERVE_NET_ENDPOINTS_H
#define HONE_SERVE_NET_ENDPOINTS_H

#include "serve/net/listener.h"

#include <hone/serve.h>

typedef struct hone_endpoints {
    hone_endpoint main, local, admin;
    int port, rest_port, admin_port; /* bound; -1: none */
    hone_tls *tls;                   /* of main and admin; NULL: cleartext */
} hone_endpoints;

/* Listens at all of them. They must stay where they are while the listener runs. hone_endpoints_close() when
 * no connection is left, also after a failure. */
hone_status hone_endpoints_open(hone_endpoints *e, const hone_server_options *options, hone_stats *stats,
                                hone_listener *listener, hone_error *err);
void hone_endpoints_close(hone_endpoints *e);

#endif
