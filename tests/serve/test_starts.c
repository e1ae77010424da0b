/* A server that has not loaded its models yet: what it answers, and what ends it. */
#include "serve/caller.h"
#include "serve/http2_client.h"
#include "serve/messages.h"
#include "serve/process.h"
#include "serve/repo.h"
#include "serve/servers.h"

#include <hone/log.h>

#include <stdatomic.h>

#define HEALTH "/grpc.health.v1.Health/Check"
#define PREDICT "/tensorflow.serving.PredictionService/Predict"

/* --- holding the loader: it waits where it tells that a model is served --- */

static sem_t held, go_on;
static atomic_int served; /* models, as the log tells */

static void hold(void *user, hone_log_level level, const char *message) {
    (void)user, (void)level;
    if (!strstr(message, "is served, loaded")) return;
    atomic_fetch_add(&served, 1);
    sem_post(&held);
    while (sem_wait(&go_on) != 0) {
    }
}

static void wait_until_held(void) {
    while (sem_wait(&held) != 0) {
    }
}

static int setup(void **state) {
    (void)state;
    repo_make();
    sem_init(&held, 0, 0);
    sem_init(&go_on, 0, 0);
    atomic_store(&served, 0);
    hone_log_set(hold, NULL, HONE_LOG_INFO);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    hone_log_set(NULL, NULL, HONE_LOG_INFO);
    sem_destroy(&held);
    sem_destroy(&go_on);
    repo_remove();
    return 0;
}

static hone_server_options repository_options(void) {
    hone_server_options o = small_options();
    o.repository = repo_root;
    o.file_poll_ms = 0;
    return o;
}

static void expect_code(http2_client *h, const char *path, const hone_buffer *message, int code) {
    if (!http2_call(h, path, message->data, message->size) || h->code != code)
        fail_msg("%s: code %d, not %d", path, h->code, code);
}

static bool is_serving(http2_client *h) {
    assert_true(http2_call(h, HEALTH, "", 0) && h->code == 0 && h->size == 7);
    return h->body[6] == 1;
}

static void answers_while_it_loads(void **state) {
    fixture f;
    http2_client h;
    hone_buffer known = {0}, unknown = {0}, memory = {0};
    (void)state;
    for (int i = 0; i < 3; i++) repo_put_plus((const char *[]){"a", "b", "c"}[i], 1);
    put_predict(&known, "a", (float[]){0, 0, 0}, 1, 3);
    put_predict(&unknown, "nobody", (float[]){0, 0, 0}, 1, 3);
    put_predict(&memory, "matrix", (float[]){0, 0, 0}, 1, 3);
    hone_server_options o = repository_options();
    start_loading(&f, &o);
    wait_until_held(); /* the last one by name is loaded first */
    client c = client_open(f.port);
    check(client_ask(&c, "GET", "/healthz", NULL), 200, "ok\n");
    check(client_ask(&c, "GET", "/readyz", NULL), 503, "not ready\n");
    reply live = client_ask(&c, "GET", "/v2/health/live", NULL);
    reply ready = client_ask(&c, "GET", "/v2/health/ready", NULL);
    assert_int_equal(live.status, 200);
    assert_in_range(ready.status, 400, 599);
    free(live.body);
    free(ready.body);
    check_has(client_ask(&c, "POST", "/v1/models/a:predict", "{\"instances\": [[0, 0, 0]]}"), 503,
              "is not loaded yet");
    check_has(client_ask(&c, "POST", "/v1/models/a/versions/1:predict", "{}"), 503, "is not loaded yet");
    check_has(client_ask(&c, "POST", "/v1/models/a/labels/x:predict", "{}"), 503, "is not loaded yet");
    check_has(client_ask(&c, "GET", "/v1/models/nobody", NULL), 503, "is not loaded yet");
    check_has(client_ask(&c, "GET", "/v1/models/a/metadata", NULL), 503, "is not loaded yet");
    check_has(client_ask(&c, "POST", "/v2/models/a/infer", "{}"), 503, "is not loaded yet");
    check_has(client_ask(&c, "GET", "/v2/models/a", NULL), 503, "is not loaded yet");
    check_has(client_ask(&c, "POST", "/v2/models/nobody/infer", "{}"), 503, "is not loaded yet");
    check(client_ask(&c, "POST", MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
    check_has(client_ask(&c, "POST", "/v1/models/c:predict", "{\"instances\": [[0, 0, 0]]}"), 200, "1.0");
    assert_true(metric(f.port, "hone_ready") == 0);
    http2_open(&h, f.port);
    assert_false(is_serving(&h));
    expect_code(&h, PREDICT, &known, 14);
    expect_code(&h, PREDICT, &unknown, 14);
    expect_code(&h, PREDICT, &memory, 0);
    for (int i = 0; i < 3; i++) sem_post(&go_on);
    while (sem_wait(&f.started) != 0) {
    }
    check(client_ask(&c, "GET", "/readyz", NULL), 200, "ready\n");
    check(client_ask(&c, "GET", "/v2/health/ready", NULL), 200, NULL);
    check_has(client_ask(&c, "POST", "/v1/models/a:predict", "{\"instances\": [[0, 0, 0]]}"), 200, "1.0");
    check_has(client_ask(&c, "POST", "/v1/models/nobody:predict", "{}"), 404, "error");
    assert_true(is_serving(&h));
    expect_code(&h, PREDICT, &known, 0);
    expect_code(&h, PREDICT, &unknown, 5);
    http2_close(&h);
    client_close(&c);
    stop(&f);
    hone_buffer_free(&known);
    hone_buffer_free(&unknown);
    hone_buffer_free(&memory);
}

static answer *watch(caller *c, const char *message, size_t size) {
    const char *const fields[] = {"content-type", "application/grpc", "te", "trailers", NULL};
    return peer_ask(&c->p, "POST", "/grpc.health.v1.Health/Watch", message, size, fields);
}

/* Reads until the watcher was told so many states; the last of them. */
static int told(caller *c, const answer *a, size_t count) {
    while (a->size < 7 * count) {
        assert_true(caller_send(c) && !a->closed);
        assert_true(client_more(&c->c, CLIENT_WAIT_MS) > 0);
        ssize_t n = nghttp2_session_mem_recv(c->p.client, (const uint8_t *)c->c.data, c->c.size);
        assert_true(n >= 0);
        client_drop(&c->c, (size_t)n);
    }
    return a->body[7 * count - 1];
}

/* Health is told as it changes: when models are there, and when the server stops, which waits for nobody who watches. */
static void tells_who_watches(void **state) {
    fixture f;
    caller c;
    (void)state;
    repo_put_plus("a", 1);
    hone_server_options o = repository_options();
    o.drain_timeout_ms = 1 << 30;
    o.request_timeout_ms = 500; /* of others */
    start_loading(&f, &o);
    wait_until_held();
    caller_open(&c, f.port);
    answer *all = watch(&c, "\0\0\0\0\0", 5), *one = watch(&c, "\0\0\0\0\3\12\1a", 8),
           *none = watch(&c, "\0\0\0\0\6\12\4none", 11);
    assert_int_equal(told(&c, all, 1), 2);
    assert_int_equal(told(&c, one, 1), 2);
    assert_int_equal(told(&c, none, 1), 2); /* nobody knows yet */
    usleep(600000);
    sem_post(&go_on);
    assert_int_equal(told(&c, all, 2), 1);
    assert_int_equal(told(&c, one, 2), 1);
    assert_int_equal(told(&c, none, 2), 3);
    add_model(f.server, "none", matrix_model());
    assert_int_equal(told(&c, none, 3), 1);
    hone_server_stop(f.server);
    answer *const watchers[] = {all, one, none};
    for (int i = 0; i < 3; i++) {
        assert_true(caller_wait(&c, watchers[i], true));
        assert_int_equal(watchers[i]->body[watchers[i]->size - 1], 2);
        assert_non_null(strstr(watchers[i]->trailers, "grpc-status: 14\n"));
    }
    join(&f);
    caller_close(&c);
}

/* Who asks for what is only now being loaded beside the others is told to come again. */
static void answers_for_a_model_that_comes_later(void **state) {
    fixture f;
    (void)state;
    hone_server_options o = repository_options();
    start(&f, &o);
    repo_put("late", 1, endless_of(ENDLESS_ROWS));
    hone_server_reload(f.server);
    client c = client_open(f.port);
    reply r = {0};
    WAIT_FOR((free(r.body), r = client_ask(&c, "POST", "/v1/models/late:predict", "{}")).status == 503);
    check_has(r, 503, "is not loaded yet");
    check(client_ask(&c, "GET", "/readyz", NULL), 200, "ready\n");
    client_close(&c);
    stop(&f); /* it would take minutes to load it */
    assert_int_equal(atomic_load(&served), 0);
}

static void remembers_a_reload(void **state) {
    fixture f;
    (void)state;
    repo_put_plus("a", 1);
    hone_server_options o = repository_options();
    start_loading(&f, &o);
    wait_until_held();
    repo_put_plus("b", 1); /* when the repository has been looked at */
    hone_server_reload(f.server);
    for (int i = 0; i < 2; i++) sem_post(&go_on);
    client c = client_open(f.port);
    reply r = {0};
    WAIT_FOR((free(r.body), r = client_ask(&c, "GET", "/v2/models/b/ready", NULL)).status == 200);
    free(r.body);
    client_close(&c);
    stop(&f);
}

/* Of what would take minutes to load, nobody waits for the end; and who has asked for more is told. */
static void stops_while_it_loads(void **state) {
    fixture f;
    (void)state;
    repo_put("late", 1, endless_of(ENDLESS_ROWS));
    hone_server_options o = repository_options();
    o.drain_delay_ms = 1 << 30; /* for load balancers, none of which sends traffic yet */
    start_loading(&f, &o);
    client c = client_open(f.port);
    reply r = {0};
    WAIT_FOR((free(r.body), r = client_ask(&c, "GET", "/v1/models/late", NULL)).status == 200 &&
             strstr(r.body, "LOADING"));
    free(r.body);
    assert_true(client_text(
        &c, "POST /v2/repository/models/late/load HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"));
    wait_for(f.port, "hone_requests_in_flight", 2);
    stop(&f);
    check_has(client_reply(&c, false), 503, "The server is stopping");
    client_close(&c);
    assert_int_equal(atomic_load(&served), 0);
}

static void stops_before_it_runs(void **state) {
    fixture f = {0};
    hone_error err;
    (void)state;
    repo_put("late", 1, endless_of(ENDLESS_ROWS));
    hone_server_options o = repository_options();
    assert_int_equal(hone_server_create(&o, &f.server, &err), HONE_OK);
    hone_server_stop(f.server);
    assert_int_equal(hone_server_run(f.server, &err), HONE_OK);
    hone_server_free(f.server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_while_it_loads, setup, teardown),
        cmocka_unit_test_setup_teardown(tells_who_watches, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_for_a_model_that_comes_later, setup, teardown),
        cmocka_unit_test_setup_teardown(remembers_a_reload, setup, teardown),
        cmocka_unit_test_setup_teardown(stops_while_it_loads, setup, teardown),
        cmocka_unit_test_setup_teardown(stops_before_it_runs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
