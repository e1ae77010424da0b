/* TensorFlow Serving's gRPC API: PredictionService (Predict, GetModelMetadata) and ModelService
 * (GetModelStatus, HandleReloadConfigRequest). The other methods, which need signatures that ONNX models do
 * not have, answer UNIMPLEMENTED. The messages are in src/serve/grpc/proto/. */
#ifndef HONE_SERVE_TFS_TFS_GRPC_H
#define HONE_SERVE_TFS_TFS_GRPC_H

#include "serve/api/front.h"
#include "serve/grpc/grpc.h"

/* Registers both services. `fronts`: one for each worker; borrowed. */
hone_status hone_tfs_grpc_register(hone_grpc_table *table, hone_front **fronts, hone_error *err);

#endif
