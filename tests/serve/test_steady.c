/* All of the way from requests to answers, by every API, in mixed batches and on all threads: after warm-up
 * and the first requests, nothing is allocated and no plan is made. */
#include "serve/fronts.h"
#include "serve/messages.h"
#include "serve/models/core_inside.h"
#include "serve/oip/oip_grpc.h"
#include "serve/oip/oip_rest.h"
#include "serve/tfs/tfs_grpc.h"
#include "serve/tfs/tfs_rest.h"
#include "serve/workers.h"

enum { WORKERS = 2, MODELS = 3, SIZES = 7, BURST = 16 /* so many bodies are kept for the next requests */ };

typedef enum kind { TFS_REST, OIP_JSON, OIP_BINARY, TFS_GRPC, OIP_GRPC, KINDS } kind;

/* A request that is sent again and again. */
typedef struct text {
    kind kind;
    char path[100], fields[160];
    hone_buffer body;
} text;

enum { TEXTS = KINDS * MODELS * SIZES };
static const char *const models[MODELS] = {"matrix", "slow", "slower"};
static const int64_t widths[MODELS] = {3, 96, 96}, rows[SIZES] = {1, 2, 3, 5, 8, 17, 40};
static text texts[TEXTS];

static float number(int64_t i) {
    return (float)(i % 10) + 0.5f;
}

static void put_tfs_json(hone_buffer *b, int64_t n, int64_t width) {
    hone_buffer_text(b, "{\"instances\":[[");
    for (int64_t i = 0; i < n * width; i++) {
        if (i) hone_buffer_text(b, i % width ? "," : "],[");
        hone_buffer_printf(b, "%g", (double)number(i));
    }
    hone_buffer_text(b, "]]}");
}

static void put_oip_json(hone_buffer *b, int64_t n, int64_t width, bool binary) {
    hone_buffer_printf(b, "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[%d,%d],", (int)n,
                       (int)width);
    if (binary) {
        hone_buffer_printf(b, "\"parameters\":{\"binary_data_size\":%d}}],", (int)(n * width * 4));
        hone_buffer_text(b, "\"parameters\":{\"binary_data_output\":true}}");
        return;
    }
    hone_buffer_text(b, "\"data\":[");
    for (int64_t i = 0; i < n * width; i++) hone_buffer_printf(b, i ? ",%g" : "%g", (double)number(i));
    hone_buffer_text(b, "]}]}");
}

static void end_grpc(text *t) {
    size_t size = t->body.size - 5;
    for (int i = 0; i < 4; i++) t->body.data[1 + i] = (char)(size >> (24 - 8 * i));
    snprintf(t->fields, sizeof t->fields, "content-type: application/grpc\nte: trailers\n");
}

static void make_text(text *t, kind k, const char *model, int64_t n, int64_t width) {
    hone_buffer *b = &t->body;
    float x[40 * 96];
    for (int64_t i = 0; i < n * width; i++) x[i] = number(i);
    *t = (text){.kind = k};
    switch (k) {
    case TFS_REST:
        snprintf(t->path, sizeof t->path, "/v1/models/%s:predict", model);
        put_tfs_json(b, n, width);
        break;
    case OIP_JSON:
        snprintf(t->path, sizeof t->path, "/v2/models/%s/infer", model);
        put_oip_json(b, n, width, false);
        break;
    case OIP_BINARY:
        snprintf(t->path, sizeof t->path, "/v2/models/%s/infer", model);
        put_oip_json(b, n, width, true);
        snprintf(t->fields, sizeof t->fields, "Inference-Header-Content-Length: %zu\n", b->size);
        hone_buffer_put(b, x, (size_t)(n * width) * sizeof *x);
        break;
    case TFS_GRPC:
        snprintf(t->path, sizeof t->path, "/tensorflow.serving.PredictionService/Predict");
        hone_grpc_begin_message(b);
        put_predict(b, model, x, n, width);
        end_grpc(t);
        break;
    default:
        snprintf(t->path, sizeof t->path, "/inference.GRPCInferenceService/ModelInfer");
        hone_grpc_begin_message(b);
        put_infer(b, model, x, n, width);
        end_grpc(t);
    }
    assert_false(b->failed);
}

/* A worker's thread with its front end. */
typedef struct station {
    worker w;
    fixture *f;
    hone_front *front;
    hone_request *pool;
    pthread_t thread;
    int left, good, bad;
    unsigned random;
} station;

static void count_begin(hone_request *r, int status, const char *content_type, int64_t length) {
    (void)r, (void)status, (void)content_type, (void)length;
}
static bool count_part(hone_request *r, const void *data, size_t size) {
    (void)r, (void)data, (void)size;
    return true;
}
static void count_end(hone_request *r) {
    station *s = r->stream;
    *(r->status == 200 ? &s->good : &s->bad) += 1;
    s->left--;
}
static const hone_sink count_sink = {count_begin, count_part, count_end, answer_gone};

static void send_text(station *s, const text *t) {
    hone_request *r = hone_request_new(&s->pool);
    hone_head head = {
        .method = slice("POST"), .path = slice(t->path), .query = slice(""), .content_length = -1};
    for (const char *p = t->fields; *p;) {
        size_t name = strcspn(p, ":"), line = strcspn(p, "\n");
        head.fields[head.field_count++] = (hone_field){{p, name}, {p + name + 2, line - name - 2}};
        p += line + 1;
    }
    hone_request_set_head(r, &head);
    hone_buffer_put(&r->body, t->body.data, t->body.size);
    hone_request_end_body(r);
    r->sink = &count_sink;
    r->stream = s;
    r->started = r->received = 1;
    s->left++;
    if (t->kind == TFS_REST)
        hone_tfs_handle(s->front, r);
    else if (t->kind == OIP_JSON || t->kind == OIP_BINARY)
        hone_oip_handle(s->front, r);
    else
        hone_grpc_dispatch(&s->f->grpc, s->w.index, &s->front->packer, r);
    hone_request_release(r);
}

static unsigned draw(station *s, unsigned most) {
    s->random = s->random * 1664525u + 1013904223u;
    return (s->random >> 16) % most;
}

/* Bursts of whatever comes. */
static void *load(void *arg) {
    station *s = arg;
    for (int round = 0; round < 60; round++) {
        for (unsigned i = draw(s, BURST) + 1; i > 0; i--) send_text(s, &texts[draw(s, TEXTS)]);
        turn_until(&s->w, &s->left, 0);
    }
    return NULL;
}

/* Each request as often at once as there are ever requests at once. */
static void *load_first(void *arg) {
    station *s = arg;
    for (int i = 0; i < TEXTS; i++) {
        for (int k = 0; k < BURST; k++) send_text(s, &texts[i]);
        turn_until(&s->w, &s->left, 0);
    }
    return NULL;
}

static void run_all(station *s, void *(*fn)(void *)) {
    for (int k = 0; k < WORKERS; k++) assert_int_equal(pthread_create(&s[k].thread, NULL, fn, &s[k]), 0);
    for (int k = 0; k < WORKERS; k++) pthread_join(s[k].thread, NULL);
}

static uint64_t plans_of(fixture *f) {
    uint64_t plans = 0;
    for (int i = 0; i < MODELS; i++) {
        hone_servable *s = hone_core_find(f->core, slice(models[i]), HONE_LATEST);
        plans += hone_session_plans_compiled(s->session);
        hone_servable_release(s);
    }
    return plans;
}

static void open_core(fixture *f) {
    hone_core_options o = HONE_CORE_OPTIONS_INIT;
    o.compute_threads = 2;
    assert_int_equal(hone_stats_new(&f->stats, NULL), HONE_OK);
    assert_int_equal(hone_core_new(WORKERS, 1, f->stats, &f->core, NULL), HONE_OK);
    assert_int_equal(hone_core_configure(f->core, &o, NULL), HONE_OK);
    assert_int_equal(start_core(f->core, NULL), HONE_OK);
    fixture_add(f, "matrix", 1, matrix_model());
    fixture_add(f, "slow", 1, slow_model(30, 96));
    fixture_add(f, "slower", 1, slow_model(300, 96));
}

static void mixed_load_allocates_nothing(void **state) {
    static station s[WORKERS];
    static hone_front *fronts[WORKERS];
    fixture f = {0};
    (void)state;
    open_core(&f);
    for (int k = 0; k < WORKERS; k++) {
        hone_front_options o = {.core = f.core, .stats = f.stats, .worker = k, .body_limit = 1 << 20};
        assert_int_equal(hone_front_new(&o, &fronts[k], NULL), HONE_OK);
        s[k] = (station){.f = &f, .front = fronts[k], .random = (unsigned)k + 1};
        attach(&s[k].w, f.core, k);
    }
    assert_int_equal(hone_tfs_grpc_register(&f.grpc, fronts, NULL), HONE_OK);
    assert_int_equal(hone_oip_grpc_register(&f.grpc, fronts, NULL), HONE_OK);
    for (int i = 0; i < TEXTS; i++)
        make_text(&texts[i], (kind)(i % KINDS), models[i / KINDS % MODELS], rows[i / KINDS / MODELS],
                  widths[i / KINDS % MODELS]);
    uint64_t plans = plans_of(&f); /* made by warm-up */
    run_all(s, load_first);
    uint64_t before = hone_alloc_count();
    for (int i = 0; i < 5; i++) run_all(s, load);
    uint64_t after = hone_alloc_count();
    print_message("%d requests by %d APIs for %d models, of 1 to 40 rows: %d allocations, %d plans\n",
                  s[0].good + s[1].good, KINDS, MODELS, (int)(after - before), (int)(plans_of(&f) - plans));
    assert_int_equal(s[0].bad + s[1].bad, 0);
    assert_int_equal(after, before);
    assert_int_equal(plans_of(&f), plans);
    hone_core_stop(f.core);
    for (int i = 0; i < TEXTS; i++) hone_buffer_free(&texts[i].body);
    for (int k = 0; k < WORKERS; k++) {
        hone_front_free(fronts[k]);
        hone_request_free_pool(&s[k].pool);
        detach(&s[k].w);
    }
    hone_core_free(f.core);
    hone_stats_free(f.stats);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(mixed_load_allocates_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
