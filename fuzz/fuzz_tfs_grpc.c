/* Messages of TensorFlow Serving's gRPC API, sent to every method with small models behind it: every one
 * gets one answer, which is well-formed. */
#include "front_target.h"
#include "serve/format/wire.h"
#include "serve/tfs/tfs_grpc.h"

static const char *const methods[] = {"/tensorflow.serving.PredictionService/Predict",
                                      "/tensorflow.serving.PredictionService/GetModelMetadata",
                                      "/tensorflow.serving.ModelService/GetModelStatus",
                                      "/tensorflow.serving.ModelService/HandleReloadConfigRequest"};

static bool add_services(hone_grpc_table *table, hone_front **fronts) {
    return hone_tfs_grpc_register(table, fronts, NULL) == HONE_OK;
}

#include "grpc_target.h"
