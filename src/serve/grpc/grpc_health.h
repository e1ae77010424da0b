/* grpc.health.v1.Health: is the server ready, as a whole ("") or for one of its services or models? Check says it once,
 * Watch says it and goes on to say what changes. */
#ifndef HONE_SERVE_GRPC_GRPC_HEALTH_H
#define HONE_SERVE_GRPC_GRPC_HEALTH_H

#include "serve/grpc/grpc.h"

/* HealthCheckResponse.ServingStatus */
typedef enum hone_grpc_health_state {
    HONE_GRPC_SERVING = 1,
    HONE_GRPC_NOT_SERVING = 2,
    HONE_GRPC_SERVICE_UNKNOWN = 3
} hone_grpc_health_state;

typedef struct hone_grpc_health_options {
    int workers;
    const atomic_bool *ready; /* does the server take traffic? Borrowed */
    /* The state of a model, by its name, if the server is ready. Any worker's thread. */
    hone_grpc_health_state (*model)(void *user, hone_slice name);
    void *user;
} hone_grpc_health_options;

typedef struct hone_grpc_health hone_grpc_health;

/* Registers it in the table, which is borrowed: its services are those that can be asked for. */
hone_status hone_grpc_health_new(const hone_grpc_health_options *options, hone_grpc_table *table,
                                 hone_grpc_health **out, hone_error *err);
/* When no connection is left. NULL is fine. */
void hone_grpc_health_free(hone_grpc_health *h);

/* On the worker's thread: tells those who watch what has changed. `ends`: the worker takes no more calls, and those that
 * watch end with UNAVAILABLE. */
void hone_grpc_health_tell(hone_grpc_health *h, int worker, bool ends);

#endif
