#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/thread.h"
#include "base/wake.h"
#include "serve/access/admission.h"
#include "serve/grpc/grpc_health.h"
#include "serve/loop_port.h"
#include "serve/models/core.h"
#include "serve/net/endpoints.h"
#include "serve/observe/tfs_stats.h"
#include "serve/oip/oip_grpc.h"
#include "serve/oip/oip_rest.h"
#include "serve/openai/openai.h"
#include "serve/page/page.h"
#include "serve/request/access_log.h"
#include "serve/request/verb.h"
#include "serve/server_options.h"
#include "serve/tfs/tfs_grpc.h"
#include "serve/tfs/tfs_rest.h"

enum { BURST = 5 /* seconds of a rate */ };
#define DRAIN_GRACE (200 * HONE_MILLISECOND)

struct hone_server {
    hone_loop_config config;
    int drain_delay_ms, drain_timeout_ms, keep_alive_ms;
    size_t gzip_from;
    hone_stats *stats;
    char *tfs_metrics; /* the path; NULL: nowhere */
    hone_core *core;
    hone_loop **loops;
    hone_front **fronts;    /* one for each loop */
    hone_loop_port **ports; /* likewise */
    hone_grpc_table grpc;
    hone_grpc_health *health;
    hone_admission admission;
    hone_budget budget;
    int loop_count;
    pthread_t *threads; /* of the loops */
    pthread_mutex_t lock;
    pthread_cond_t left; /* a loop's thread is done */
    int running;         /* those that are not; guarded by the lock */
    bool joined;         /* they are all done */
    hone_endpoints endpoints;
    hone_listener *listener;
    int wake_fd; /* readable when there is something to do for who runs the listener */
    int look_ms; /* how often to look for new certificates and secrets; -1: when asked to */
    atomic_bool stopping, reloading;
    atomic_bool ready;
    void (*started)(void *user); /* for whom it runs */
    void *user;
};

/* --- the operator's pages --- */

static void answer_metrics(hone_server *s, hone_request *r) {
    bool tfs = s->tfs_metrics && hone_slice_equal(r->head.path, s->tfs_metrics);
    char *text;
    size_t size;
    hone_error err = {0};
    r->method = HONE_METHOD_METRICS;
    if (hone_metrics_write(tfs ? hone_stats_tfs_metrics(s->stats) : hone_stats_metrics(s->stats), &text,
                           &size, &err) != HONE_OK) {
        hone_request_fail(r, 500, err.message);
        return;
    }
    hone_request_answer(r, 200, HONE_METRICS_CONTENT_TYPE, text, size);
    hone_metrics_free_text(text);
}

static void answer_health(hone_request *r, bool good, const char *text) {
    r->method = HONE_METHOD_HEALTH;
    hone_request_answer(r, good ? 200 : 503, "text/plain; charset=utf-8", text, strlen(text));
}

static void answer_live(hone_server *s, hone_request *r) {
    (void)s;
    answer_health(r, true, "ok\n");
}

static void answer_ready(hone_server *s, hone_request *r) {
    bool ready = atomic_load(&s->ready);
    answer_health(r, ready, ready ? "ready\n" : "not ready\n");
}

/* The page for browsers; clients of KServe's first protocol ask there whether the server lives. */
static void answer_root(hone_server *s, hone_request *r) {
    static const char text[] = "{\"status\":\"alive\"}";
    (void)s;
    if (hone_page_is_wanted(r) && hone_page_answer(r)) return;
    r->method = HONE_METHOD_HEALTH;
    hone_request_answer(r, 200, "application/json", text, sizeof text - 1);
}

static void answer_file(hone_server *s, hone_request *r) {
    (void)s;
    hone_page_answer(r);
}

static void answer_page(hone_server *s, hone_request *r) {
    const struct {
        const char *path; /* NULL: nowhere */
        void (*answer)(hone_server *s, hone_request *r);
    } pages[] = {{"/", answer_root},
                 {"/page.css", answer_file},
                 {"/page.js", answer_file},
                 {"/healthz", answer_live},
                 {"/readyz", answer_ready},
                 {"/metrics", answer_metrics},
                 {s->tfs_metrics, answer_metrics}};
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (!pages[i].path || !hone_slice_equal(r->head.path, pages[i].path)) continue;
        if (hone_request_takes(r, HONE_VERB_GET)) pages[i].answer(s, r);
        return;
    }
    hone_request_refuse_path(r, 404);
}

/* --- requests --- */

/* The paths are matched as they were sent: what a proxy in front allows or forbids is what it saw. */
static void handle(void *user, hone_loop *loop, hone_request *r) {
    hone_server *s = user;
    if (!hone_admission_enter(&s->admission, r) || hone_request_answer_verb(r)) return;
    if (hone_grpc_takes(r))
        hone_grpc_dispatch(&s->grpc, loop->index, &s->fronts[loop->index]->packer, r);
    else if (!hone_request_take_timeout(r))
        hone_request_fail(r, 400, "X-Request-Timeout-Ms must be a number from 1 to 999999999");
    else if (hone_oip_takes(r->head.path))
        hone_oip_handle(s->fronts[loop->index], r);
    else if (hone_openai_takes(r->head.path))
        hone_openai_handle(s->fronts[loop->index], r);
    else if (hone_tfs_takes(r->head.path))
        hone_tfs_handle(s->fronts[loop->index], r);
    else
        answer_page(s, r);
}

static void offload(void *user, int worker, hone_request *r, void (*run)(void *arg), void (*done)(void *arg),
                    void *arg) {
    hone_front_offload(((hone_server *)user)->fronts[worker], r, run, done, arg);
}

static bool streams(void *user, const hone_request *r) {
    return hone_grpc_is_stream(&((const hone_server *)user)->grpc, r);
}

static void woken(void *user, hone_loop *loop) {
    hone_grpc_health_tell(((hone_server *)user)->health, loop->index, loop->draining);
}

static bool admit(void *user, hone_request *r) {
    if (hone_openai_takes(r->head.path)) hone_openai_begin(r);
    return hone_admission_begin(&((const hone_server *)user)->admission, r);
}

/* --- stopping --- */

void hone_server_stop(hone_server *s) {
    atomic_store(&s->stopping, true);
    hone_wake(s->wake_fd);
}

void hone_server_reload(hone_server *s) {
    hone_core_poke(s->core);
    hone_access_log_reopen(s->config.access_log);
    atomic_store(&s->reloading, true);
    hone_wake(s->wake_fd);
}

/* --- making --- */

static hone_status name_model(hone_server *s, const char *entry, hone_error *err) {
    char name[256];
    const char *equals = strchr(entry, '=');
    size_t n = equals ? (size_t)(equals - entry) : 0;
    if (n == 0 || n >= sizeof name || equals[1] == 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "\"%s\" is no model: NAME=PATH is expected", entry);
    memcpy(name, entry, n);
    name[n] = 0;
    return hone_core_add_path(s->core, name, equals + 1, err);
}

static void *run_loop(void *arg) {
    hone_loop *loop = arg;
    hone_server *s = loop->config->user;
    (void)hone_thread_be_prompt();
    hone_loop_run(loop);
    pthread_mutex_lock(&s->lock);
    s->running--;
    pthread_cond_signal(&s->left);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static hone_status make_loop(hone_server *s, int i, hone_error *err) {
    const hone_front_options f = {.core = s->core,
                                  .stats = s->stats,
                                  .ready = &s->ready,
                                  .worker = i,
                                  .body_limit = s->config.limits.body_bytes,
                                  .budget = &s->budget,
                                  .gzip_from = s->gzip_from};
    HONE_TRY(hone_front_new(&f, &s->fronts[i], err));
    HONE_TRY(hone_loop_new(&s->config, i, &s->loops[i], err));
    return hone_loop_port_new(s->core, s->loops[i], s->keep_alive_ms, &s->ports[i], err);
}

static void free_loop(hone_server *s, int i) {
    hone_loop_port_free(s->ports[i]);
    hone_loop_free(s->loops[i]);
    hone_front_free(s->fronts[i]);
    s->ports[i] = NULL;
    s->loops[i] = NULL;
    s->fronts[i] = NULL;
}

/* Up to `count` loops, each with its thread. There must be one; without the others it goes on. */
static hone_status start_loops(hone_server *s, int count, hone_error *err) {
    for (; s->loop_count < count; s->loop_count++) {
        int i = s->loop_count;
        hone_status status = make_loop(s, i, err);
        if (status != HONE_OK) {
            free_loop(s, i);
            return status;
        }
        pthread_mutex_lock(&s->lock);
        int code = hone_thread_start(&s->threads[i], run_loop, s->loops[i], "hone-loop");
        if (!code) s->running++;
        pthread_mutex_unlock(&s->lock);
        if (!code) continue;
        free_loop(s, i);
        if (i == 0) return hone_fail_errno(err, code, "event loop", "no thread can be started");
        hone_log(HONE_LOG_WARNING, "cannot start %d event loops, going on with %d: %s", count, i,
                 strerror(code));
        return HONE_OK;
    }
    return HONE_OK;
}

/* Health is told to those who watch it. */
static void tell_health(void *server) {
    const hone_server *s = server;
    for (int i = 0; i < s->loop_count; i++) hone_loop_wake(s->loops[i]);
}

static hone_grpc_health_state model_state(void *user, hone_slice name) {
    hone_core *core = ((const hone_server *)user)->core;
    hone_servable *s = hone_core_find(core, name, HONE_LATEST);
    hone_servable_release(s);
    if (s) return HONE_GRPC_SERVING;
    bool known = hone_core_knows(core, name) || hone_core_is_coming(core, name, HONE_LATEST);
    return known ? HONE_GRPC_NOT_SERVING : HONE_GRPC_SERVICE_UNKNOWN;
}

static hone_status prepare_loops(hone_server *s, int count, hone_error *err) {
    s->loops = hone_calloc((size_t)count, sizeof(hone_loop *));
    s->fronts = hone_calloc((size_t)count, sizeof(hone_front *));
    s->ports = hone_calloc((size_t)count, sizeof(hone_loop_port *));
    s->threads = hone_calloc((size_t)count, sizeof *s->threads);
    if (!s->loops || !s->fronts || !s->ports || !s->threads) return hone_fail_memory(err);
    s->grpc.offload = offload;
    s->grpc.user = s;
    HONE_TRY(hone_tfs_grpc_register(&s->grpc, s->fronts, err));
    HONE_TRY(hone_oip_grpc_register(&s->grpc, s->fronts, err));
    const hone_grpc_health_options o = {
        .workers = count, .ready = &s->ready, .model = model_state, .user = s};
    HONE_TRY(hone_grpc_health_new(&o, &s->grpc, &s->health, err));
    return hone_grpc_register_reflection(&s->grpc, err);
}

static hone_status read_batching(const char *path, hone_model_settings *out, int *threads, hone_error *err) {
    hone_blob blob;
    HONE_TRY(hone_file_read(path, HONE_CONFIG_MAX_BYTES, &blob, err));
    hone_status status =
        hone_batching_parameters_parse((const char *)blob.data, blob.size, out, threads, err);
    hone_blob_free(&blob);
    return status == HONE_OK ? HONE_OK : hone_error_in_file(err, status, path);
}

/* Which models there are to be. */
static hone_status name_models(hone_server *s, const hone_server_options *o, hone_error *err) {
    hone_core_options c = HONE_CORE_OPTIONS_INIT;
    hone_model_settings batching;
    c.repository = o->repository;
    c.config_file = o->model_config_file;
    c.config_poll_ms = o->model_config_poll_ms;
    c.file_poll_ms = o->file_poll_ms;
    c.reload = o->replace_models ? HONE_RELOAD_REPLACE : HONE_RELOAD_OVERLAP;
    c.memory_limit = o->memory_limit;
    c.map_weights = o->map_weights;
    c.max_queue = o->max_queue;
    c.budget = &s->budget;
    c.language = (hone_language_settings){.context = o->lm_context,
                                          .kv_bytes = (int64_t)o->lm_kv_bytes,
                                          .queue = o->lm_queue,
                                          .running = o->lm_running,
                                          .step_ms = o->lm_step_ms};
    if (o->batching_parameters_file) {
        HONE_TRY(read_batching(o->batching_parameters_file, &batching, &c.compute_threads, err));
        c.defaults = &batching;
    }
    if (o->compute_threads > 0) c.compute_threads = o->compute_threads;
    HONE_TRY(hone_core_configure(s->core, &c, err));
    for (size_t i = 0; i < o->model_count; i++) HONE_TRY(name_model(s, o->models[i], err));
    return HONE_OK;
}

static uint64_t nanoseconds(int ms) {
    return (uint64_t)ms * HONE_MILLISECOND;
}

/* What is told about it. */
static hone_status watch(hone_server *s, const hone_server_options *o, int loops, hone_error *err) {
    if (o->monitoring_config_file)
        HONE_TRY(hone_tfs_monitoring_read(o->monitoring_config_file, &s->tfs_metrics, err));
    else if (!(s->tfs_metrics = hone_strdup(HONE_TFS_METRICS_PATH)))
        return hone_fail_memory(err);
    hone_access_log_options l = {
        .path = o->access_log, .every = (uint64_t)o->access_log_every, .loops = loops, .stats = s->stats};
    return l.path ? hone_access_log_open(&l, &s->config.access_log, err) : HONE_OK;
}

static hone_http2_rate rate(int per_second) {
    return (hone_http2_rate){.burst = BURST * (uint32_t)per_second, .per_second = (uint32_t)per_second};
}

static void configure(hone_server *s, const hone_server_options *o) {
    s->config =
        (hone_loop_config){.limits = {.head_bytes = o->max_header_bytes, .body_bytes = o->max_body_bytes},
                           .http2 = {.streams = (uint32_t)o->max_streams,
                                     .resets = rate(o->reset_rate),
                                     .control = rate(o->control_rate)},
                           .idle_timeout = nanoseconds(o->idle_timeout_ms),
                           .header_timeout = nanoseconds(o->header_timeout_ms),
                           .request_timeout = nanoseconds(o->request_timeout_ms),
                           .drain_grace = DRAIN_GRACE,
                           .handler = handle,
                           .admit = admit,
                           .budget = &s->budget,
                           .streams = streams,
                           .woken = woken,
                           .user = s};
    s->budget.limit = o->body_budget_bytes;
    s->admission.max_requests = o->max_requests;
    s->drain_delay_ms = o->drain_delay_ms;
    s->keep_alive_ms = o->keep_alive_ms;
    s->drain_timeout_ms = o->drain_timeout_ms;
    s->gzip_from = o->gzip_from;
    s->started = o->started;
    s->user = o->user;
}

/* Where the system gives few threads, what can't be done without is started first. */
static hone_status start(hone_server *s, const hone_server_options *o, int loops, hone_error *err) {
    HONE_TRY(prepare_loops(s, loops, err));
    HONE_TRY(start_loops(s, 1, err));
    HONE_TRY(name_models(s, o, err));
    hone_core_watch(s->core, tell_health, s);
    HONE_TRY(hone_core_start(s->core, err));
    return start_loops(s, loops, err);
}

static hone_status listen_at_all(hone_server *s, const hone_server_options *o, hone_error *err) {
    hone_listener_options l = {.max_connections = o->max_connections,
                               .loops = s->loops,
                               .loop_count = s->loop_count,
                               .stats = s->stats};
    s->wake_fd = hone_wake_new();
    if (s->wake_fd < 0) return hone_fail_errno(err, errno, "eventfd", "can't be made");
    HONE_TRY(hone_listener_new(&l, &s->listener, err));
    return hone_endpoints_open(&s->endpoints, o, s->stats, s->listener, err);
}

/* A body, what it is decoded to, what a run makes of it, and the answer. */
enum { FORMS = 4 };

static void warn_of_small_budget(const hone_server_options *o) {
    size_t budget = o->body_budget_bytes;
    if (budget && budget / FORMS < o->max_body_bytes)
        hone_log(HONE_LOG_WARNING,
                 "the budget of %zu bytes (--body-budget) is less than %d times the largest body, of %zu "
                 "(--max-body): a request as large as that may get 429 though it is alone",
                 budget, FORMS, o->max_body_bytes);
}

static void look_at_texts(void *user, const char *name, const hone_servable *latest) {
    (void)user, (void)name;
    if (latest && hone_servable_language(latest)) hone_servable_look_at_texts(latest);
}

/* What engines know is asked for when somebody reads the metrics. */
static void before_metrics(void *server) {
    hone_core_models(((const hone_server *)server)->core, look_at_texts, NULL);
}

static hone_status set_up(hone_server *s, const hone_server_options *o, hone_error *err) {
    int loops = o->threads > 0 ? o->threads : hone_cpu_count();
    HONE_TRY(hone_server_options_check(o, err));
    warn_of_small_budget(o);
    configure(s, o);
    HONE_TRY(hone_stats_new(&s->stats, err));
    s->config.stats = s->stats;
    hone_stats_memory_limit(s->stats, (double)o->memory_limit);
    HONE_TRY(watch(s, o, loops, err));
    s->admission.metrics_path = s->tfs_metrics;
    HONE_TRY(hone_core_new(loops, o->model_threads, s->stats, &s->core, err));
    HONE_TRY(hone_metrics_on_write(hone_stats_metrics(s->stats), before_metrics, s, err));
    HONE_TRY(start(s, o, loops, err));
    HONE_TRY(listen_at_all(s, o, err));
    if (o->auth_file) HONE_TRY(hone_auth_open(o->auth_file, &s->admission.auth, err));
    bool look = s->endpoints.tls || s->admission.auth;
    s->look_ms = look && o->file_poll_ms > 0 ? o->file_poll_ms : -1;
    return HONE_OK;
}

hone_status hone_server_create(const hone_server_options *options, hone_server **out, hone_error *err) {
    hone_server_options defaults = HONE_SERVER_OPTIONS_INIT;
    if (options) HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    hone_server *s = hone_calloc(1, sizeof *s);
    if (!s) return hone_fail_memory(err);
    s->wake_fd = -1;
    hone_cond_init(&s->left);
    pthread_mutex_init(&s->lock, NULL);
    hone_status status = set_up(s, options ? options : &defaults, err);
    if (status != HONE_OK) {
        hone_server_free(s);
        return status;
    }
    *out = s;
    return HONE_OK;
}

hone_status hone_server_add_model(hone_server *s, const char *name, int64_t version, const hone_graph *graph,
                                  hone_error *err) {
    if (!*name || strpbrk(name, "/:") || version < 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "\"%s\" version %lld can't be served: names have no '/' or ':'", name,
                         (long long)version);
    return hone_core_add(s->core, name, version, graph, err);
}

int hone_server_port(const hone_server *s) {
    return s->endpoints.port;
}

int hone_server_rest_port(const hone_server *s) {
    return s->endpoints.rest_port;
}

int hone_server_admin_port(const hone_server *s) {
    return s->endpoints.admin_port;
}

/* --- running --- */

static void join_loops(hone_server *s) {
    for (int i = 0; i < s->loop_count; i++) pthread_join(s->threads[i], NULL);
    s->joined = true;
}

static void stop_loops(hone_server *s) {
    for (int i = 0; i < s->loop_count; i++) hone_loop_stop(s->loops[i]);
}

/* Waits for the loops to leave, up to the drain timeout; then closes what is left. */
static void drain(hone_server *s) {
    uint64_t end = hone_now() + nanoseconds(s->drain_timeout_ms);
    for (int i = 0; i < s->loop_count; i++) hone_loop_drain(s->loops[i]);
    pthread_mutex_lock(&s->lock);
    while (s->running > 0 && hone_cond_wait_until(&s->left, &s->lock, end)) {
    }
    bool late = s->running > 0;
    pthread_mutex_unlock(&s->lock);
    if (late) {
        int left = 0;
        for (int i = 0; i < s->loop_count; i++) left += atomic_load(&s->loops[i]->connections);
        hone_log(HONE_LOG_WARNING, "closing %d connections that did not finish in time", left);
        stop_loops(s);
    }
    join_loops(s);
}

static void set_ready(hone_server *s, bool ready) {
    atomic_store(&s->ready, ready);
    tell_health(s);
    hone_stats_ready(s->stats, ready);
}

static void tell_loaded(void *server) {
    hone_wake(((const hone_server *)server)->wake_fd);
}

/* Takes traffic as soon as all models have been tried. */
static hone_status start_when_loaded(hone_server *s, hone_error *err) {
    if (atomic_load(&s->ready) || hone_core_is_loading(s->core)) return HONE_OK;
    HONE_TRY(hone_core_wait(s->core, err));
    set_ready(s, true);
    if (s->started) s->started(s->user);
    return HONE_OK;
}

static hone_status accept_until_stopped(hone_server *s, hone_error *err) {
    while (!atomic_load(&s->stopping)) {
        hone_listener_run(s->listener, s->wake_fd, s->look_ms);
        hone_wake_take(s->wake_fd);
        if (atomic_load(&s->stopping)) break;
        HONE_TRY(start_when_loaded(s, err));
        bool asked = atomic_exchange(&s->reloading, false);
        if (s->endpoints.tls) hone_tls_refresh(s->endpoints.tls, asked);
        if (s->admission.auth) hone_auth_refresh(s->admission.auth, asked);
    }
    return HONE_OK;
}

hone_status hone_server_run(hone_server *s, hone_error *err) {
    hone_core_load(s->core, tell_loaded, s);
    hone_status status = accept_until_stopped(s, err);
    bool was_ready = atomic_load(&s->ready); /* else nobody has sent traffic here */
    set_ready(s, false);
    hone_core_halt(s->core);
    if (status == HONE_OK) {
        hone_log(HONE_LOG_INFO, "stopping: finishing what is under way");
        hone_listener_run(s->listener, -1, was_ready ? s->drain_delay_ms : 0);
    }
    hone_listener_close(s->listener);
    if (status != HONE_OK) stop_loops(s);
    drain(s);
    hone_access_log_finish(s->config.access_log);
    return status;
}

void hone_server_free(hone_server *s) {
    if (!s) return;
    hone_listener_free(s->listener);
    if (!s->joined) {
        stop_loops(s);
        join_loops(s);
    }
    if (s->core) hone_core_stop(s->core);
    for (int i = 0; i < s->loop_count; i++) free_loop(s, i);
    if (s->wake_fd >= 0) close(s->wake_fd);
    hone_grpc_health_free(s->health);
    hone_endpoints_close(&s->endpoints);
    hone_auth_close(s->admission.auth);
    hone_core_free(s->core);
    hone_access_log_close(s->config.access_log);
    hone_free(s->tfs_metrics);
    hone_stats_free(s->stats);
    hone_free(s->loops);
    hone_free(s->fronts);
    hone_free(s->ports);
    hone_free(s->threads);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->left);
    hone_free(s);
}
