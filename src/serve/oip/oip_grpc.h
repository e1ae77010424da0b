/* The Open Inference Protocol over gRPC: inference.GRPCInferenceService, all unary methods but those for
 * shared memory, traces and logs. The messages are in src/serve/grpc/proto/. */
#ifndef HONE_SERVE_OIP_OIP_GRPC_H
#define HONE_SERVE_OIP_OIP_GRPC_H

#include "serve/api/front.h"
#include "serve/grpc/grpc.h"

/* Registers the service. `fronts`: one for each worker; borrowed. */
hone_status hone_oip_grpc_register(hone_grpc_table *table, hone_front **fronts, hone_error *err);

#endif
