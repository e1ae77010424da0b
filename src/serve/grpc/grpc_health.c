/* gRPC's health checks: is this server ready, for one of its services or as a whole? */
#include "base/error.h"
#include "serve/format/wire.h"
#include "serve/grpc/grpc.h"

enum { SERVING = 1, NOT_SERVING = 2 };

static bool is_known(const hone_grpc_table *table, hone_slice name) {
    if (name.size == 0) return true;
    for (int i = 0; i < table->count; i++)
        if (hone_slice_equal(name, table->services[i].name)) return true;
    return false;
}

static hone_status service_of(const hone_request *r, hone_slice *service, hone_error *err) {
    const uint8_t *message;
    size_t size;
    *service = (hone_slice){"", 0};
    HONE_TRY(hone_grpc_message(r, &message, &size, err));
    hone_wire w = hone_wire_of(message, size);
    hone_wire_field f;
    while (hone_wire_next(&w, &f))
        if (hone_wire_is(&f, 1, HONE_WIRE_BYTES)) *service = hone_wire_text(&f);
    return hone_wire_check(&w, "HealthCheckRequest", err);
}

static void handle(void *user, int worker, hone_request *r, hone_slice method) {
    const hone_grpc_table *table = user;
    hone_slice service;
    hone_error err = {0};
    (void)worker;
    r->method = HONE_METHOD_HEALTH;
    if (hone_slice_equal(method, "Watch")) {
        hone_grpc_fail(r, HONE_GRPC_UNIMPLEMENTED, "Health is not watched here: call Check now and then");
    } else if (!hone_slice_equal(method, "Check")) {
        hone_grpc_unknown(r);
    } else if (service_of(r, &service, &err) != HONE_OK) {
        hone_grpc_fail_error(r, &err);
    } else if (!is_known(table, service)) {
        hone_grpc_fail(r, HONE_GRPC_NOT_FOUND, "There is no such service here");
    } else {
        hone_buffer out = {0};
        hone_grpc_begin_message(&out);
        hone_wire_put_number(&out, 1, !table->ready || atomic_load(table->ready) ? SERVING : NOT_SERVING);
        hone_grpc_reply(r, &out);
        hone_buffer_free(&out);
    }
}

hone_status hone_grpc_register_health(hone_grpc_table *table, hone_error *err) {
    return hone_grpc_register(
        table, &(hone_grpc_service){.name = "grpc.health.v1.Health", .handle = handle, .user = table}, err);
}
