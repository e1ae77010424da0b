#!/bin/sh
# grpcurl, which knows nothing of the services but what reflection tells it, lists them and calls them.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_GRPCURL:-}" ] || exit 77
small_model m.onnx
start_server --model a=m.onnx
address=${url#http://}
call() { "$HONE_GRPCURL" -plaintext -max-time 60 "$@" >answer 2>&1; }
holds "the services are listed" call "$address" list
for service in grpc.health.v1.Health inference.GRPCInferenceService tensorflow.serving.ModelService \
    tensorflow.serving.PredictionService; do
    holds "$service is among them" grep -q -x -F $service answer
done
holds "a method is described" call "$address" describe tensorflow.serving.PredictionService.Predict
holds "with its request" grep -q -F .tensorflow.serving.PredictRequest answer
call "$address" grpc.health.v1.Health/Check
holds "health" grep -q '"SERVING"' answer
call -d '{"model_spec": {"name": "a"}}' "$address" tensorflow.serving.ModelService/GetModelStatus
holds "the model's status" grep -q '"AVAILABLE"' answer
call -d '{"name": "a"}' "$address" inference.GRPCInferenceService/ModelReady
holds "the model is ready" grep -q '"ready": true' answer
call -d '{"name": "b"}' "$address" inference.GRPCInferenceService/ModelMetadata
holds "a model that is not there" grep -q 'Code: NotFound' answer
finish
