/* Messages of the Open Inference Protocol, sent to every method with small models behind it: every one gets
 * one answer, which is well-formed. */
#include "front_target.h"
#include "serve/format/wire.h"
#include "serve/oip/oip_grpc.h"

#define SERVICE "/inference.GRPCInferenceService/"
static const char *const methods[] = {SERVICE "ModelInfer",           SERVICE "ModelReady",
                                      SERVICE "ModelMetadata",        SERVICE "ModelConfig",
                                      SERVICE "ModelStatistics",      SERVICE "RepositoryIndex",
                                      SERVICE "RepositoryModelUnload"};

static bool add_services(hone_grpc_table *table, hone_front **fronts) {
    return hone_oip_grpc_register(table, fronts, NULL) == HONE_OK;
}

#include "grpc_target.h"
