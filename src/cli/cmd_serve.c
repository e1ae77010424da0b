#include "json.h"
#include "options.h"
#include "signals.h"

#include <hone/serve.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static struct {
    cli_list models;
    const char *model;                        /* one more, named after its file */
    int64_t kv_memory;                        /* MB */
    const char *model_name, *model_base_path; /* one more */
    double config_poll, file_poll;            /* seconds */
    int64_t memory_limit;                     /* MB */
    int reload_policy;
    int64_t gzip_from;             /* bytes */
    int64_t max_body, body_budget; /* MB */
    int64_t max_header;            /* KB */
    const char *socket_mode;
    bool json;
    hone_server_options server;
} args = {.file_poll = 1,
          .gzip_from = 1024,
          .max_body = 64,
          .body_budget = 512,
          .max_header = 16,
          .socket_mode = "0600",
          .server = HONE_SERVER_OPTIONS_INIT};

static const cli_option options[] = {
    {.type = CLI_POSITIONAL,
     .name = "MODEL",
     .value = "MODEL",
     .to = &args.model,
     .help = "file or directory to serve, as of --model, by the name that it has"},
    OPT_LIST(
        "model", "NAME=PATH", args.models,
        "ONNX file to serve, or directory with versions of it (PATH/1/model.onnx), and its name; a language "
        "model also as a GGUF file, or as a directory that `hone import` wrote or of Hugging Face"),
    OPT_TEXT("repository", "DIR", args.server.repository,
             "serve every model in it: DIR/NAME/VERSION/model.onnx"),
    OPT_TEXT("model_name", "NAME", args.model_name, "with --model_base_path: as --model NAME=PATH"),
    OPT_TEXT("model_base_path", "PATH", args.model_base_path, "directory with versions of that model"),
    OPT_TEXT("model_config_file", "FILE", args.server.model_config_file,
             "models to serve: TensorFlow Serving's ModelServerConfig, as text or JSON"),
    OPT_NUMBER("model_config_file_poll_wait_seconds", "S", args.config_poll, 0, 86400,
               "how often to check whether it has changed, in seconds", .zero = "on SIGHUP only"),
    OPT_NUMBER("file_system_poll_wait_seconds", "S", args.file_poll, 0, 86400,
               "how often to check whether models' files have changed where inotify does not report it, in "
               "seconds",
               .zero = "no new versions"),
    OPT_CHOICE("reload-policy", "overlap|replace", args.reload_policy,
               "replace unloads the old version before the new one is loaded: less memory, a gap"),
    OPT_MMAP(args.server.map_weights),
    OPT_INT64("memory-limit", "MB", args.memory_limit, 0, 1e9,
              "memory of all loaded models together; a load that would pass it fails", .zero = "no limit"),
    OPT_INT64("context", "N", args.server.lm_context, 0, 1 << 24,
              "language models: tokens that a text can have with its answer",
              .zero = "as many as the model has positions for, at most 4096"),
    OPT_INT64("kv-memory", "MB", args.kv_memory, 0, 1e9,
              "language models: memory for keys and values of all texts of one",
              .zero = "half of what is left"),
    OPT_INT("lm-queue", "N", args.server.lm_queue, 0, 1000000,
            "language models: texts that wait to begin; more get 429", .zero = "256"),
    OPT_INT("lm-running", "N", args.server.lm_running, 0, 1000000,
            "language models: texts that are worked on at a time", .zero = "64"),
    OPT_INT("step-budget", "MS", args.server.lm_step_ms, 0, 60000,
            "language models: what a step may take when prompts share it with answers", .zero = "100"),
    OPT_INT("keep-alive", "MS", args.server.keep_alive_ms, 0, 1 << 30,
            "silence in a stream of texts after which a comment is sent, in milliseconds", .zero = "no comments"),
    OPT_INT("port", "N", args.server.port, 0, 65535, "port to listen at", .zero = "a free one"),
    OPT_TEXT("host", "HOST", args.server.host, "address to listen at"),
    OPT_INT("rest_api_port", "N", args.server.rest_port, 0, 65535,
            "a second port for the same, as TensorFlow Serving has one", .zero = "none"),
    OPT_TEXT("unix-socket", "PATH", args.server.unix_socket, "Unix domain socket to listen at as well"),
    OPT_TEXT("grpc_socket_path", "PATH", args.server.unix_socket, "as --unix-socket"),
    OPT_TEXT("unix-socket-mode", "MODE", args.socket_mode, "octal mode of its file"),
    OPT_INT("admin_port", "N", args.server.admin_port, 0, 65535,
            "serve administration and metrics on this port only", .zero = "none"),
    OPT_TEXT("admin-host", "HOST", args.server.admin_host, "address of that port"),
    OPT_TEXT("auth-file", "FILE", args.server.auth_file,
             "clients need a secret of this file; a line is NAME SCOPES SECRET (predict,admin,metrics)"),
    OPT_INT64("max-body", "MB", args.max_body, 1, 1e6, "largest body of a request; more gets 413"),
    OPT_INT64("max-header", "KB", args.max_header, 1, 1024, "largest head of a request; more gets 431"),
    OPT_INT64(
        "body-budget", "MB", args.body_budget, 0, 1e9,
        "memory of all bodies, what they are decoded to, and answers that wait for their clients, together "
        "(but for 64 KB of each body); when it is spent bodies wait, and what asks for more gets 429",
        .zero = "no limit"),
    OPT_TEXT("tls-cert", "FILE", args.server.tls_cert_file,
             "speak TLS at all ports with this certificate and its chain (PEM); read again when it changes"),
    OPT_TEXT("tls-key", "FILE", args.server.tls_key_file, "its private key (PEM)"),
    OPT_TEXT("tls-client-ca", "FILE", args.server.tls_client_ca_file,
             "clients need a certificate that one of these (PEM) has signed"),
    OPT_INT("max-connections", "N", args.server.max_connections, 0, 1000000,
            "connections at a time; more get 503", .zero = "no limit"),
    OPT_INT("max-streams", "N", args.server.max_streams, 1, 1000000,
            "requests at the same time on one connection of HTTP/2"),
    OPT_INT("max-requests", "N", args.server.max_requests, 0, 1000000,
            "requests under way over all connections; more get 429", .zero = "no limit"),
    OPT_INT("max-queue", "N", args.server.max_queue, 1, 1000000,
            "requests that wait for one model, unless its config.json says; more get 429"),
    OPT_INT("reset-rate", "N", args.server.reset_rate, 1, 1000000,
            "streams a second that a connection of HTTP/2 may give up; more ends it"),
    OPT_INT("control-rate", "N", args.server.control_rate, 1, 1000000,
            "frames a second that carry nothing (PING, SETTINGS, empty DATA); more ends the connection"),
    OPT_INT("idle-timeout", "MS", args.server.idle_timeout_ms, 0, 1 << 30,
            "for a connection to wait for its next request; then it is closed", .zero = "no limit"),
    OPT_INT("header-timeout", "MS", args.server.header_timeout_ms, 0, 1 << 30,
            "for a request's head, and for a pause in its body; then 408", .zero = "no limit"),
    OPT_INT("request-timeout", "MS", args.server.request_timeout_ms, 0, 1 << 30,
            "for a request to come whole, then 408; to answer it, then 504. A request can ask for less by "
            "X-Request-Timeout-Ms",
            .zero = "no limit"),
    OPT_INT("rest_api_timeout_in_ms", "MS", args.server.request_timeout_ms, 0, 1 << 30,
            "as --request-timeout", .zero = "no limit"),
    OPT_INT("drain-delay", "MS", args.server.drain_delay_ms, 0, 1 << 30,
            "after SIGTERM: still accept, but tell /readyz no", .zero = "none"),
    OPT_INT("drain-timeout", "MS", args.server.drain_timeout_ms, 0, 1 << 30,
            "after that: to finish running requests", .zero = "none"),
    OPT_THREADS(args.server.threads),
    OPT_INT("compute-threads", "N", args.server.compute_threads, 0, 1024,
            "threads for models that take long, beside those of --threads", .zero = "as many"),
    OPT_TEXT("batching_parameters_file", "FILE", args.server.batching_parameters_file,
             "TensorFlow Serving's BatchingParameters, for models whose config.json doesn't say"),
    OPT_INT64("gzip-from", "BYTES", args.gzip_from, 0, 1e9,
              "compress answers of that size or more for clients that accept gzip", .zero = "never"),
    OPT_TEXT("access-log", "FILE", args.server.access_log,
             "a line of JSON for each request; - for standard output; opened anew on SIGHUP"),
    OPT_INT("access-log-sample", "N", args.server.access_log_every, 1, 1 << 30,
            "log one in N requests that went well, and all that did not"),
    OPT_TEXT("monitoring_config_file", "FILE", args.server.monitoring_config_file,
             "TensorFlow Serving's MonitoringConfig: the path of metrics by its names"),
    OPT_JSON(args.json),
    OPT_END,
};

/* What signals are about; those that come before it is there are made up for. */
static _Atomic(hone_server *) running;
static volatile sig_atomic_t reload_asked;

static void stop(void) {
    hone_server *s = atomic_load(&running);
    if (s) hone_server_stop(s);
}

static void reload(void) {
    hone_server *s = atomic_load(&running);
    reload_asked = true;
    if (s) hone_server_reload(s);
}

static const char *address(const char *host, int port) {
    return cli_text(strchr(host, ':') ? "%s://[%s]:%d" : "%s://%s:%d",
                    args.server.tls_cert_file ? "https" : "http", host, port);
}

/* --- descriptors: a connection takes one --- */

/* The usual soft limit of 1024 is for programs that use select. */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void warn_of_descriptors(void) {
    enum { OWN = 100 }; /* what the server has open itself */
    struct rlimit limit;
    long long needed = (long long)args.server.max_connections + OWN;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= (rlim_t)needed) return;
    cli_note("warning: --max-connections %d needs %lld file descriptors, and %llu are allowed: further "
             "connections will "
             "wait (ulimit -n, LimitNOFILE)",
             args.server.max_connections, needed, (unsigned long long)limit.rlim_cur);
}

/* --- what is told --- */

/* Where else it listens: for people, or into `out`. */
static void announce_others(const hone_server *s, json_t *out) {
    int rest = hone_server_rest_port(s), admin = hone_server_admin_port(s);
    const char *path = args.server.unix_socket;
    if (!args.json && rest >= 0) printf("and at %s\n", address(args.server.host, rest));
    if (!args.json && path) printf("and at the socket %s\n", path);
    if (!args.json && admin >= 0) printf("administration at %s\n", address(args.server.admin_host, admin));
    if (rest >= 0) json_object_set_new(out, "rest_port", json_integer(rest));
    if (path) json_object_set_new(out, "unix_socket", cli_json_text(path));
    if (admin >= 0) json_object_set_new(out, "admin_port", json_integer(admin));
}

/* What is where. */
static void announce_services(const hone_server *s, const char *base, json_t *out) {
    int admin = hone_server_admin_port(s);
    const char *operating = admin >= 0 ? address(args.server.admin_host, admin) : base, *tls = "";
    const char *target = strstr(base, "://") + 3, *metrics = cli_text("%s/metrics", operating),
               *live = cli_text("%s/healthz", base), *ready = cli_text("%s/readyz", base);
    if (args.server.tls_cert_file) tls = " (TLS)";
    if (!args.json)
        printf("  REST     %s/v1/models/NAME:predict, %s/v2/models/NAME/infer\n  gRPC     %s%s\n"
               "  OpenAI   %s/v1\n  metrics  %s\n  health   %s, %s\n",
               base, base, target, tls, base, metrics, live, ready);
    json_object_set_new(out, "grpc", json_string(target));
    json_object_set_new(out, "metrics", json_string(metrics));
    json_object_set_new(out, "live", json_string(live));
    json_object_set_new(out, "ready", json_string(ready));
}

static void announce(void *user) {
    const hone_server *s = atomic_load(&running);
    (void)user;
    const char *base = address(args.server.host, hone_server_port(s));
    json_t *models = json_object(), *all = json_object();
    if (!args.json) printf("listening at %s\n", base);
    announce_others(s, all);
    announce_services(s, base, all);
    for (int i = 0; i < args.models.count; i++) {
        const char *item = args.models.items[i], *sign = strchr(item, '=');
        const char *name = cli_text("%.*s", (int)(sign - item), item);
        json_object_set_new(models, name, json_string(sign + 1));
        if (!args.json) printf("  model    %s: %s\n", name, sign + 1);
    }
    if (!args.json && args.server.repository)
        printf("  models   %s/NAME/VERSION/model.onnx\n", args.server.repository);
    if (!args.json && args.server.model_config_file)
        printf("  models   those that %s lists\n", args.server.model_config_file);
    json_object_set_new(all, "address", json_string(base));
    json_object_set_new(all, "port", json_integer(hone_server_port(s)));
    json_object_set_new(all, "models", models);
    if (args.json)
        cli_print_json(all);
    else
        json_decref(all);
    fflush(stdout);
    warn_of_descriptors();
    cli_notify("READY=1");
    cli_log_all();
}

static int add_model(const char *name, int length, const char *path) {
    if (args.models.count == (int)(sizeof args.models.items / sizeof *args.models.items))
        return cli_usage_error("too many models");
    size_t size = (size_t)length + strlen(path) + 2;
    char *item = cli_alloc(size);
    snprintf(item, size, "%.*s=%s", length, name, path);
    args.models.items[args.models.count++] = item;
    return CLI_OK;
}

/* "models/smollm.gguf" is served as "smollm". */
static int add_file(void) {
    if (!args.model) return CLI_OK;
    size_t end = strlen(args.model);
    while (end > 1 && args.model[end - 1] == '/') end--;
    const char *name = args.model + end;
    while (name > args.model && name[-1] != '/') name--;
    int length = (int)(args.model + end - name);
    for (int i = length; i-- > 1;)
        if (name[i] == '.' && (strcmp(name + i, ".gguf") == 0 || strcmp(name + i, ".onnx") == 0)) length = i;
    return add_model(name, length, args.model);
}

/* As TensorFlow Serving names them. */
static int add_base_path(void) {
    if (!args.model_name && !args.model_base_path) return CLI_OK;
    if (args.server.model_config_file) {
        cli_note("--%s is left out: --model_config_file lists all models",
                 args.model_name ? "model_name" : "model_base_path");
        return CLI_OK;
    }
    if (!args.model_base_path) return cli_usage_error("--model_name needs --model_base_path");
    const char *name = args.model_name ? args.model_name : "default";
    return add_model(name, (int)strlen(name), args.model_base_path);
}

static int check_models(void) {
    int status = add_file();
    if (status != CLI_OK) return status;
    if (args.models.count > 0 && args.server.model_config_file)
        return cli_usage_error("--model can't be given with --model_config_file, which lists all models");
    status = add_base_path();
    if (status != CLI_OK) return status;
    if (args.models.count == 0 && !args.server.repository && !args.server.model_config_file)
        return cli_usage_error("needs MODEL, --model, --repository or --model_config_file");
    for (int i = 0; i < args.models.count; i++) {
        const char *sign = strchr(args.models.items[i], '=');
        if (!sign || sign == args.models.items[i] || !sign[1])
            return cli_usage_error("--model needs NAME=PATH, not '%s'", args.models.items[i]);
    }
    return CLI_OK;
}

static int read_socket_mode(void) {
    char *end;
    long mode = strtol(args.socket_mode, &end, 8);
    if (end == args.socket_mode || *end || mode < 0 || mode > 0777)
        return cli_usage_error("--unix-socket-mode needs an octal mode from 0 to 0777, not '%s'",
                               args.socket_mode);
    args.server.unix_socket_mode = (int)mode;
    return CLI_OK;
}

static int check_tls(void) {
    const hone_server_options *o = &args.server;
    if (o->tls_cert_file && !o->tls_key_file) return cli_usage_error("--tls-cert needs --tls-key");
    if (o->tls_key_file && !o->tls_cert_file) return cli_usage_error("--tls-key needs --tls-cert");
    if (o->tls_client_ca_file && !o->tls_cert_file)
        return cli_usage_error("--tls-client-ca needs --tls-cert");
    return CLI_OK;
}

static int run(void) {
    hone_error err = {0};
    cli_signals_serve(stop, reload);
    int checked = check_models();
    if (checked == CLI_OK) checked = check_tls();
    if (checked == CLI_OK) checked = read_socket_mode();
    if (checked != CLI_OK) return checked;
    args.server.models = args.models.items;
    args.server.model_count = (size_t)args.models.count;
    args.server.model_config_poll_ms = (int)(args.config_poll * 1000);
    args.server.file_poll_ms = (int)(args.file_poll * 1000);
    args.server.replace_models = args.reload_policy == 1;
    args.server.gzip_from = (size_t)args.gzip_from;
    args.server.max_body_bytes = (size_t)args.max_body << 20;
    args.server.max_header_bytes = (size_t)args.max_header << 10;
    args.server.body_budget_bytes = (size_t)args.body_budget << 20;
    args.server.lm_kv_bytes = (size_t)args.kv_memory << 20;
    args.server.memory_limit = (size_t)args.memory_limit << 20;
    args.server.started = announce;
    raise_descriptor_limit();
    hone_server *server = NULL;
    CLI_TRY(hone_server_create(&args.server, &server, &err));
    atomic_store(&running, server);
    if (cli_signal()) stop();
    if (reload_asked) reload();
    hone_status status = hone_server_run(server, &err);
    /* The server is not freed: nobody should wait for a model that is just being loaded, and signals may still come. */
    return status == HONE_OK ? CLI_OK : cli_fail(&err);
}

const cli_command cli_cmd_serve = {
    "serve",
    "serve models over HTTP and gRPC",
    "Answers on one port, over HTTP/1.1 and HTTP/2:\n"
    "  TensorFlow Serving's API   POST /v1/models/NAME:predict; gRPC: tensorflow.serving.PredictionService\n"
    "  Open Inference Protocol    POST /v2/models/NAME/infer; gRPC: inference.GRPCInferenceService\n"
    "  OpenAI's, of texts         POST /v1/chat/completions, /v1/completions, /v1/embeddings; GET /v1/models\n"
    "  for the operator           GET /metrics (Prometheus), /healthz, /readyz; gRPC: health, reflection\n"
    "SIGTERM or SIGINT (Ctrl-C): running requests finish, then it ends; a second one kills.\n"
    "SIGHUP: looks for new versions, at the configuration, the certificates and the secrets now.\n"
    "Flags of TensorFlow Serving that have no meaning here are ignored, with a note.\n\n"
    "  hone serve --model fashion=m.onnx --port 8501\n"
    "  curl -d '{\"instances\": [...]}' http://127.0.0.1:8501/v1/models/fashion:predict\n"
    "  hone serve smollm.gguf             # http://127.0.0.1:8501/v1 is the base URL of OpenAI's clients\n"
    "  hone serve --repository models     # models/NAME/VERSION/model.onnx, new versions while it runs\n\n"
    "docs/serving.md explains all of it.",
    options,
    run,
    cli_tensorflow_serving};
