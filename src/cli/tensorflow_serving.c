#include "options.h"

#define BATCHING "requests are put together by themselves, and a model's config.json sets how"
#define THREADS                                                                                              \
    "--threads and --compute-threads are for the whole server, \"threads\" of config.json for a model"
#define LOADING "models are loaded one after the other beside the requests, and again when that failed"
#define SESSION "an ONNX model has no TensorFlow session"
#define LITE "models are ONNX files"

const cli_foreign cli_tensorflow_serving[] = {
    {"allow_version_labels_for_unavailable_models", false, "labels are given when all versions are loaded"},
    {"enable_batching", false, BATCHING},
    {"enable_grpc_healthcheck_service", false, "it is always there"},
    {"enable_model_warmup", false, "models are always warmed up"},
    {"enable_per_model_batching_parameters", false, BATCHING},
    {"enable_profiler", false, "see `hone bench --profile`"},
    {"enable_serialization_as_tensor_content", false, "outputs are lists of values, which all clients read"},
    {"enable_signature_method_name_check", false, "ONNX models have one signature, for predict"},
    {"flush_filesystem_caches", false, "the system's cache of files is left to the system"},
    {"grpc_channel_arguments", false, "HTTP/2 has limits of Hone's own"},
    {"grpc_max_threads", false, THREADS},
    {"load_retry_interval_micros", false, LOADING},
    {"max_num_load_retries", false, LOADING},
    {"mixed_precision", false, "`hone quantize` makes a model compute in integers"},
    {"num_load_threads", false, LOADING},
    {"num_request_iterations_for_warmup", false, "models are always warmed up"},
    {"num_tflite_interpreters_per_pool", false, LITE},
    {"num_tflite_pools", false, LITE},
    {"num_unload_threads", false, LOADING},
    {"per_process_gpu_memory_fraction", false, "models run on the CPU"},
    {"platform_config_file", false, SESSION},
    {"prefer_tflite_model", false, LITE},
    {"remove_unused_fields_from_bundle_metagraph", false, LITE},
    {"rest_api_enable_cors_support", true, "let the proxy in front of it add these headers"},
    {"rest_api_num_threads", false, THREADS},
    {"saved_model_tags", false, LITE},
    {"skip_initialize_tpu", false, "models run on the CPU"},
    {"ssl_config_file", true, "give --tls-cert, --tls-key and --tls-client-ca"},
    {"tensorflow_inter_op_parallelism", false, THREADS},
    {"tensorflow_intra_op_parallelism", false, THREADS},
    {"tensorflow_session_config_file", false, SESSION},
    {"tensorflow_session_parallelism", false, THREADS},
    {"thread_pool_factory_config_file", false, THREADS},
    {"use_alts_credentials", true, "let the proxy in front of it do that"},
    {"version", true, "see `hone version`"},
    {"xla_cpu_compilation_enabled", false, SESSION},
    {"xla_gpu_compilation_enabled", false, SESSION},
    {NULL, false, NULL},
};
