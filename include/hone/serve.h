/* Serving: models over HTTP/1.1 and HTTP/2, by TensorFlow Serving's API and the Open Inference Protocol, each
 * as REST and as gRPC, language models by OpenAI's API, with metrics for Prometheus and health checks.
 *
 *   POST /v1/models/NAME[/versions/N|/labels/L]:predict
 *   GET /v1/models/NAME[/versions/N|/labels/L][/metadata]
 *   POST /v2/models/NAME[/versions/N]/infer      GET /v2/models/NAME[/versions/N], /v2/health/ready, …
 *   POST /v1/chat/completions, /v1/completions, /v1/embeddings      GET /v1/models
 *   tensorflow.serving.PredictionService, tensorflow.serving.ModelService, inference.GRPCInferenceService
 *   grpc.health.v1.Health, grpc.reflection.v1.ServerReflection
 *   GET /metrics      GET /monitoring/prometheus/metrics (by TensorFlow Serving's names)
 *   GET /healthz (the process lives)      GET /readyz (it takes traffic)
 *
 * What each of them takes and answers, what a repository of models looks like, and what its settings are:
 * docs/serving.md.
 *
 * A server is made (it then listens), run by one thread, which loads its models and serves them until it is told to
 * stop, and freed:
 *
 *   hone_server_options o = HONE_SERVER_OPTIONS_INIT;
 *   o.models = (const char *const[]){"mnist=/models/mnist.onnx"};
 *   o.model_count = 1;
 *   if (hone_server_create(&o, &server, &err) == HONE_OK && hone_server_run(server, &err) == HONE_OK) … */
#ifndef HONE_SERVE_H
#define HONE_SERVE_H

#include <hone/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hone_server hone_server;

typedef struct hone_server_options {
    size_t size;
    const char *host;  /* name or address to listen at; NULL: all of them */
    int port;          /* 0 picks a free one: hone_server_port() */
    int threads;       /* event loops, each of which also runs models; 0: one for each available CPU */
    int model_threads; /* threads that one run of a model may use; 0: one for each available CPU */
    /* "NAME=PATH" of an ONNX file (version 1) or of a directory with versions (PATH/1/model.onnx); of a language model, also a
     * GGUF file, or a directory of those that <hone/import.h> takes, as version 1. The texts are read during hone_server_create. Not
     * beside model_config_file, which is the whole set. */
    const char *const *models;
    size_t model_count;
    /* Limits. */
    size_t max_body_bytes;   /* of a request; more: 413. Health and readiness: 64 KB at most */
    size_t max_header_bytes; /* of a request; more: 431 */
    /* Of all bodies that are being received or worked on, what they are decoded to, and answers, but for the first
     * 64 KB of each; 0: no limit. When it is spent, bodies wait to be read; one always goes on. Below four times
     * max_body_bytes a request may find no room though it is alone: then a warning is logged. */
    size_t body_budget_bytes;
    int max_connections; /* further ones get 503; 0: no limit but the system's */
    int max_streams;     /* requests at the same time on one connection of HTTP/2 */
    int max_requests;    /* under way over all connections; further ones get 429; 0: no limit */
    int max_queue;       /* that wait for one model whose settings don't say; further ones get 429 */
    /* A second on one connection of HTTP/2, in the long run; at first five times as many. A client that does
     * more is disconnected. */
    int reset_rate;   /* streams that it gives up, or makes the server give up */
    int control_rate; /* frames that carry nothing: PING, SETTINGS, PRIORITY, empty DATA, CONTINUATION */
    /* Milliseconds; 0: no limit. */
    int idle_timeout_ms;    /* of a connection between two requests */
    int header_timeout_ms;  /* for a request's head, and for any pause in its body or in taking the answer */
    int request_timeout_ms; /* for a request to come whole, not counting waits for the budget: then 408; and
                             * for answering it: then 504 */
    int keep_alive_ms; /* of silence in a stream of texts; then it gets a comment, so that nobody in between
                             * takes it for dead */
    /* After hone_server_stop: first not ready but still accepting, then no more accepting but finishing. */
    int drain_delay_ms;
    int drain_timeout_ms; /* for finishing; then connections are closed as they are; 0: at once */
    /* Models. */
    const char *repository; /* DIR/NAME/VERSION/model.onnx: every NAME is a model, watched; NULL: none */
    const char *model_config_file; /* TensorFlow Serving's ModelServerConfig, text or JSON; NULL: none */
    int model_config_poll_ms; /* how often to look whether it has changed; 0: at hone_server_reload only */
    int file_poll_ms; /* likewise for files of models, where their directories don't tell; 0: no watching at all */
    bool replace_models; /* unload the old version before the new one is loaded: needs less memory, and
                             requests fail meanwhile */
    bool map_weights;    /* of models that are read from files: as for hone_graph_load_mapped */
    /* TensorFlow Serving's BatchingParameters, as text: how requests are put together where a model's
     * config.json doesn't say; NULL: as measuring tells. Its num_batch_threads count where compute_threads is
     * 0. */
    const char *batching_parameters_file;
    size_t memory_limit; /* bytes of all loaded models; a load that would pass it fails; 0: none */
    int compute_threads; /* that run models which cost more than a loop should spend; 0: as many as loops */
    size_t gzip_from;    /* bytes from which answers are packed, for clients that accept it; 0: never */
    /* Language models, unless their config.json says; 0: as is usual. */
    int64_t
        lm_context; /* tokens of a text with its answer; 0: as many as the model has positions for, at most 4096 */
    size_t lm_kv_bytes; /* of keys and values of all texts of a model; 0: half of the memory that is left */
    int lm_queue;       /* texts that wait to begin; further ones get 429; 0: 256 */
    int lm_running;     /* texts that are worked on at a time; 0: 64 */
    int lm_step_ms;     /* that a step may take when prompts share it with answers; 0: 100 */
    /* Further places to listen at. */
    int rest_port;           /* a second port on `host`, for clients that expect two; 0 picks one; -1: none */
    const char *unix_socket; /* path of a Unix domain socket, always in cleartext; NULL: none */
    int unix_socket_mode;    /* of that file */
    /* What changes the server, lists its repository or tells what it counts is then answered at this port
     * only; health is told everywhere. 0 picks one; -1: none. */
    int admin_port;
    const char *admin_host; /* NULL: all addresses */
    /* Watching it. */
    const char *access_log; /* FILE that gets a line of JSON for each request, or "-" for standard output;
                                hone_server_reload opens it anew; NULL: none */
    int access_log_every;   /* of requests that went well, only one of so many */
    /* Secrets of clients and what they are good for: then others get 401 or 403. NULL: everybody may do
     * everything. Read again when it changes (looked at as file_poll_ms says) and at hone_server_reload. See
     * docs/serving.md. */
    const char *auth_file;
    const char *monitoring_config_file; /* TensorFlow Serving's: where its own metrics are; NULL: at
                                           /monitoring/prometheus/metrics */
    /* TLS at all ports: PEM files, NULL: cleartext. They are read again when they change (looked at as
     * file_poll_ms says) and at hone_server_reload; connections that are there go on with what they have. */
    const char *tls_cert_file;      /* the certificate, and its chain */
    const char *tls_key_file;       /* not encrypted */
    const char *tls_client_ca_file; /* clients then need a certificate signed by one of these */
    /* Called by hone_server_run on its thread, once, when all models have been tried and it takes traffic; NULL:
     * nobody is told. */
    void (*started)(void *user);
    void *user;
} hone_server_options;
#define HONE_SERVER_OPTIONS_INIT                                                                             \
    {                                                                                                        \
        .size = sizeof(hone_server_options), .host = "127.0.0.1", .port = 8501, .model_threads = 1,          \
        .max_body_bytes = (size_t)64 << 20, .max_header_bytes = 16 << 10,                                    \
        .body_budget_bytes = (size_t)512 << 20, .max_connections = 10000, .max_streams = 128,                \
        .max_requests = 4096, .max_queue = 1024, .reset_rate = 100, .control_rate = 200,                     \
        .idle_timeout_ms = 300000, .header_timeout_ms = 10000, .request_timeout_ms = 30000,                  \
        .keep_alive_ms = 15000, .drain_timeout_ms = 30000, .file_poll_ms = 1000, .gzip_from = 1024,          \
        .access_log_every = 1, .rest_port = -1, .unix_socket_mode = 0600, .admin_port = -1,                  \
        .admin_host = "127.0.0.1"                                                                            \
    }

/* Binds and listens; connections wait until hone_server_run. Where the system starts fewer threads than were asked
 * for, it goes on with those, and logs a warning. On success `*out` belongs to the caller: hone_server_free(). */
HONE_API hone_status hone_server_create(const hone_server_options *options, hone_server **out,
                                        hone_error *err);

/* Adds a model that is in memory; the graph may be freed. Before or while the server runs; then it waits for models that
 * are being loaded. HONE_ALREADY_EXISTS if that version of that name is there, HONE_UNAVAILABLE when it stops. */
HONE_API hone_status hone_server_add_model(hone_server *s, const char *name, int64_t version,
                                           const hone_graph *graph, hone_error *err);

/* The port that it listens at. */
HONE_API int hone_server_port(const hone_server *s);
/* Likewise; -1 if there is none. */
HONE_API int hone_server_rest_port(const hone_server *s);
HONE_API int hone_server_admin_port(const hone_server *s);

/* Accepts connections on the calling thread, for the event loops on theirs, and has the models loaded beside that. Until
 * they are, it is alive but not ready: predictions of a model that is not loaded yet get 503 (UNAVAILABLE). Fails if one
 * that was named has no version that can be loaded (where only the newest can't be, an older one is served).
 * At hone_server_stop it gives up what is being loaded, drains and returns HONE_OK. Once a server. */
HONE_API hone_status hone_server_run(hone_server *s, hone_error *err);

/* Asks the server to drain: it stops accepting, answers what is being read or computed with "Connection:
 * close", and hone_server_run returns. May be called from any thread and from a signal handler, more than
 * once. */
HONE_API void hone_server_stop(hone_server *s);

/* Looks at the configuration, all directories of models, the certificates and the secrets now, or as soon as models that
 * are being loaded are; tries again what failed. May be called from any thread and from a signal handler. */
HONE_API void hone_server_reload(hone_server *s);

/* Waits for a model that is being loaded to come to a point where that can be given up: a process that ends may leave it
 * out. NULL is fine. Not while it runs. */
HONE_API void hone_server_free(hone_server *s);

#ifdef __cplusplus
}
#endif
#endif
