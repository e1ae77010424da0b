#include "serve/server_options.h"

#include "base/error.h"

#include <limits.h>

enum { MOST_THREADS = 1024, MOST = 1000000, MOST_PORT = 65535, MOST_CONTEXT = 1 << 24 };

#define RANGE(option, least, most)                                                                           \
    { #option, offsetof(hone_server_options, option), least, most }

static const struct {
    const char *name;
    size_t offset;
    int least, most;
} ranges[] = {RANGE(port, 0, MOST_PORT),
              RANGE(rest_port, -1, MOST_PORT),
              RANGE(admin_port, -1, MOST_PORT),
              RANGE(threads, 0, MOST_THREADS),
              RANGE(model_threads, 0, MOST_THREADS),
              RANGE(compute_threads, 0, MOST_THREADS),
              RANGE(max_connections, 0, INT_MAX),
              RANGE(max_requests, 0, INT_MAX),
              RANGE(max_streams, 1, MOST),
              RANGE(max_queue, 1, MOST),
              RANGE(reset_rate, 1, MOST),
              RANGE(control_rate, 1, MOST),
              RANGE(idle_timeout_ms, 0, INT_MAX),
              RANGE(header_timeout_ms, 0, INT_MAX),
              RANGE(request_timeout_ms, 0, INT_MAX),
              RANGE(drain_delay_ms, 0, INT_MAX),
              RANGE(drain_timeout_ms, 0, INT_MAX),
              RANGE(keep_alive_ms, 0, INT_MAX),
              RANGE(lm_queue, 0, MOST),
              RANGE(lm_running, 0, MOST),
              RANGE(lm_step_ms, 0, MOST),
              RANGE(model_config_poll_ms, 0, INT_MAX),
              RANGE(file_poll_ms, 0, INT_MAX),
              RANGE(access_log_every, 0, INT_MAX)};

hone_status hone_server_options_check(const hone_server_options *o, hone_error *err) {
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        int value = *(const int *)(const void *)((const char *)o + ranges[i].offset);
        if (value < ranges[i].least || value > ranges[i].most)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "%s must be from %d to %d, not %d", ranges[i].name,
                             ranges[i].least, ranges[i].most, value);
    }
    if (o->lm_context < 0 || o->lm_context > MOST_CONTEXT)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "lm_context must be from 0 to %d, not %lld",
                         MOST_CONTEXT, (long long)o->lm_context);
    if (o->max_header_bytes < 64)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "max_header_bytes must be 64 or more, not %zu",
                         o->max_header_bytes);
    if (o->model_count > 0 && o->model_config_file)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "models beside model_config_file: the file names the whole set");
    if (o->unix_socket && (o->unix_socket_mode < 0 || o->unix_socket_mode > 0777))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "unix_socket_mode must be from 0 to 0777, not %#o",
                         (unsigned)o->unix_socket_mode);
    if (!o->tls_cert_file != !o->tls_key_file || (o->tls_client_ca_file && !o->tls_cert_file))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "tls_cert_file and tls_key_file go together");
    return HONE_OK;
}
