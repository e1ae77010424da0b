#include "serve/net/endpoints.h"

#include "base/error.h"

static hone_status open_tls(hone_endpoints *e, const hone_server_options *o, hone_stats *stats,
                            hone_error *err) {
    const hone_tls_files files = {o->tls_cert_file, o->tls_key_file, o->tls_client_ca_file};
    if (!files.certificate) return HONE_OK;
    HONE_TRY(hone_tls_new(&files, stats, &e->tls, err));
    e->main.tls = e->admin.tls = e->tls;
    return HONE_OK;
}

hone_status hone_endpoints_open(hone_endpoints *e, const hone_server_options *o, hone_stats *stats,
                                hone_listener *l, hone_error *err) {
    e->rest_port = e->admin_port = -1;
    e->admin.scopes = HONE_SCOPES_ALL;
    e->main.scopes = e->local.scopes = o->admin_port >= 0 ? HONE_SCOPES_PUBLIC : HONE_SCOPES_ALL;
    HONE_TRY(open_tls(e, o, stats, err));
    HONE_TRY(hone_listener_add_port(l, &e->main, o->host, o->port, &e->port, err));
    if (o->rest_port >= 0)
        HONE_TRY(hone_listener_add_port(l, &e->main, o->host, o->rest_port, &e->rest_port, err));
    if (o->admin_port >= 0)
        HONE_TRY(hone_listener_add_port(l, &e->admin, o->admin_host, o->admin_port, &e->admin_port, err));
    if (!o->unix_socket) return HONE_OK;
    return hone_listener_add_file(l, &e->local, o->unix_socket, (mode_t)o->unix_socket_mode, err);
}

void hone_endpoints_close(hone_endpoints *e) {
    hone_tls_free(e->tls);
    e->tls = NULL;
}
