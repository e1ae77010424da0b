/* A server whose models come and go under traffic. Counts and times are printed. */
#include "serve/http2_client.h"
#include "serve/messages.h"
#include "serve/process.h"
#include "serve/repo.h"
#include "serve/servers.h"

#include <stdatomic.h>

/* --- versions that come and go --- */

typedef struct visitor {
    pthread_t thread;
    int port, index;
    atomic_bool *stop;
    atomic_long good, bad;
} visitor;

#define PLUS "/v1/models/a:predict"
#define PREDICT "/tensorflow.serving.PredictionService/Predict"

/* REST by HTTP/1.1, or gRPC: asks for the newest version until told to stop. */
static void *visit(void *arg) {
    visitor *v = arg;
    hone_buffer message = {0};
    http2_client h = {.c = {.fd = -1}};
    client c = {.fd = -1};
    if (v->index % 2) {
        http2_open(&h, v->port);
        put_predict(&message, "a", (float[]){0, 0, 0}, 1, 3);
    } else {
        c = client_open(v->port);
    }
    while (!atomic_load(v->stop)) {
        bool good;
        if (v->index % 2) {
            good = http2_call(&h, PREDICT, message.data, message.size) && h.code == 0;
        } else {
            reply r = client_ask(&c, "POST", PLUS, "{\"instances\": [[0, 0, 0]]}");
            good = r.status == 200;
            if (!good) print_error("%d %s\n", r.status, r.body ? r.body : "");
            free(r.body);
        }
        atomic_fetch_add(good ? &v->good : &v->bad, 1);
        usleep(200);
    }
    client_close(&c);
    if (h.session) http2_close(&h);
    hone_buffer_free(&message);
    return NULL;
}

static hone_server_options repository_options(void) {
    hone_server_options o = small_options();
    o.repository = repo_root;
    o.threads = 2;
    return o;
}

/* The first number that model "a" answers, which is its version. */
static int version_of(client *c) {
    reply r = client_ask(c, "POST", PLUS, "{\"instances\": [[0, 0, 0]]}");
    const char *at = r.body ? strstr(r.body, "[[") : NULL;
    int version = at ? atoi(at + 2) : -1;
    free(r.body);
    return version;
}

static void changes_versions_under_traffic(void **state) {
    enum { VISITORS = 4 };
    int changes = getenv("HONE_LONG") ? 100 : 20, every_ms = getenv("HONE_LONG") ? 600 : 0;
    atomic_bool done = false;
    visitor v[VISITORS];
    fixture f;
    (void)state;
    repo_make();
    repo_put_plus("a", 1);
    hone_server_options o = repository_options();
    start(&f, &o);
    for (int i = 0; i < VISITORS; i++) {
        v[i] = (visitor){.port = f.port, .index = i, .stop = &done};
        assert_int_equal(pthread_create(&v[i].thread, NULL, visit, &v[i]), 0);
    }
    client c = client_open(f.port);
    for (int version = 2; version < 2 + changes; version++) {
        repo_put_plus("a", version);
        for (int i = 0; i < CLIENT_WAIT_MS / 2 && version_of(&c) != version; i++) usleep(2000);
        assert_int_equal(version_of(&c), version);
        if (version > 3) repo_drop("a", version - 2);
        if (every_ms) usleep((useconds_t)every_ms * 1000);
    }
    atomic_store(&done, true);
    long good = 0, bad = 0;
    for (int i = 0; i < VISITORS; i++) {
        pthread_join(v[i].thread, NULL);
        good += v[i].good;
        bad += v[i].bad;
    }
    print_message("%d version changes under REST and gRPC: %ld answered, %ld failed\n", changes, good, bad);
    assert_int_equal(bad, 0);
    client_close(&c);
    stop(&f);
    repo_remove();
}

/* --- a large model that comes and goes --- */

enum { SAMPLES = 1 << 20 };

/* Times to an answer, in seconds. */
typedef struct samples {
    float *times;
    size_t count;
    double seconds; /* how long they were taken */
} samples;

static int by_time(const void *a, const void *b) {
    const float *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double percentile(samples *s, double part) {
    qsort(s->times, s->count, sizeof *s->times, by_time);
    return s->count ? (double)s->times[(size_t)((double)(s->count - 1) * part)] : 0;
}

/* Asks on one connection, over and over, until something comes on the other one; or for some seconds, if
 * there is no other. */
static void sample(client *c, samples *s, client *other, double seconds) {
    uint64_t begin = hone_now(), end = begin + (uint64_t)(seconds * 1e9);
    while (other ? client_more(other, 0) < 0 : hone_now() < end) {
        uint64_t asked = hone_now();
        reply r = client_ask(c, "POST", PLUS, "{\"instances\": [[0, 0, 0]]}");
        assert_int_equal(r.status, 200);
        free(r.body);
        if (s->count < SAMPLES) s->times[s->count++] = (float)(hone_now() - asked) * 1e-9f;
        usleep(100);
    }
    s->seconds += (double)(hone_now() - begin) * 1e-9;
}

static void report(const char *what, samples *s) {
    print_message("%s: %zu answers in %.1f s, p50 %.0f us, p99 %.0f us, p99.9 %.0f us\n", what, s->count,
                  s->seconds, percentile(s, 0.5) * 1e6, percentile(s, 0.99) * 1e6,
                  percentile(s, 0.999) * 1e6);
}

static void change_beside(client *c, client *admin, samples *s, const char *path) {
    assert_true(send_post(admin, path, "{}"));
    sample(c, s, admin, 0);
    reply r = client_reply(admin, false);
    if (r.status != 200) fail_msg("%s: %d %s", path, r.status, r.body ? r.body : "");
    free(r.body);
}

/* A model of 256 MB (16 where it must go fast) comes and goes while another one answers. Times with it and
 * without it take turns, so that whatever else the machine does meets both. */
static void loads_beside_traffic(void **state) {
    bool large = getenv("HONE_LONG") != NULL;
    int rounds = large ? 20 : 3;
    samples quiet = {0}, loading = {0}, unloading = {0}, *all[] = {&quiet, &loading, &unloading};
    fixture f;
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_non_null(all[i]->times = malloc(SAMPLES * sizeof(float)));
        memset(all[i]->times, 1, SAMPLES * sizeof(float)); /* the pages are there before they are counted */
    }
    repo_make();
    repo_put_plus("a", 1);
    repo_put("big", 1, repo_graph(1, 256, (int64_t)(large ? 256 : 16) << 18, "x"));
    hone_server_options o = repository_options();
    start(&f, &o);
    client c = client_open(f.port), admin = client_open(f.port);
    change_beside(&c, &admin, &unloading, "/v2/repository/models/big/unload");
    sample(&c, &quiet, NULL, 0.2);
    size_t before = resident();
    for (int i = 0; i < 3; i++) all[i]->count = 0;
    for (int i = 0; i < rounds; i++) {
        sample(&c, &quiet, NULL, large ? 1 : 0.1);
        change_beside(&c, &admin, &loading, "/v2/repository/models/big/load");
        sample(&c, &quiet, NULL, large ? 1 : 0.1);
        change_beside(&c, &admin, &unloading, "/v2/repository/models/big/unload");
    }
    WAIT_FOR(resident() <= before + before / 20 + (1 << 20) || is_sanitized());
    report("alone", &quiet);
    report("beside loads", &loading);
    report("beside unloads", &unloading);
    print_message("p99 beside loads is %.2f times that alone; %zu KB before, %zu KB after %d loads\n",
                  percentile(&loading, 0.99) / percentile(&quiet, 0.99), before >> 10, resident() >> 10,
                  rounds);
    client_close(&c);
    client_close(&admin);
    stop(&f);
    repo_remove();
    for (int i = 0; i < 3; i++) free(all[i]->times);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_versions_under_traffic),
        cmocka_unit_test(loads_beside_traffic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
