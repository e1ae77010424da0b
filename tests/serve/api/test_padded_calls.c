/* Requests of different lengths, in all protocols, that are part of one run: each gets what it gets alone. */
#include "serve/fronts.h"
#include "serve/messages.h"
#include "serve/oip/oip_grpc.h"
#include "serve/oip/oip_rest.h"
#include "serve/tfs/tfs_grpc.h"
#include "serve/tfs/tfs_rest.h"

#define SETTINGS "{\"pad\": true, \"dims\": {\"length\": [4, 8]}, \"batching\": {\"max_batch_size\": 8}}"
#define PREDICT "/tensorflow.serving.PredictionService/Predict"
#define INFER "/inference.GRPCInferenceService/ModelInfer"

static void handle_rest(fixture *f, hone_request *r) {
    if (hone_oip_takes(r->head.path))
        hone_oip_handle(f->front, r);
    else
        hone_tfs_handle(f->front, r);
}

/* --- requests --- x is 1, 2, 3 … */

static const float numbers[] = {1, 2, 3, 4, 5, 6, 7, 8};

static void put_rows(hone_buffer *b) {
    hone_buffer_text(b, "{\"instances\": [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1]]}");
}
static void put_column(hone_buffer *b) {
    hone_buffer_text(b, "{\"inputs\": [[1, 2, 3, 4, 5, 6]]}");
}
static void put_predict_5(hone_buffer *b) {
    put_predict(b, "lengths", numbers, 1, 5);
}
static void put_oip_json(hone_buffer *b) {
    hone_buffer_text(
        b, "{\"id\": \"j\", \"inputs\": [{\"name\": \"x\", \"datatype\": \"FP32\", \"shape\": [1, 7], "
           "\"data\": [1, 2, 3, 4, 5, 6, 7]}]}");
}

#define BINARY_HEAD                                                                                          \
    "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,8],\"parameters\":{\"binary_data_"      \
    "size\":32}}],\"parameters\":{\"binary_data_output\":true}}"
static void put_oip_binary(hone_buffer *b) {
    hone_buffer_text(b, BINARY_HEAD);
    hone_buffer_put(b, numbers, sizeof numbers);
}
static void put_infer_6(hone_buffer *b) {
    put_infer(b, "lengths", numbers, 1, 6);
}

static const struct {
    const char *path;
    void (*put)(hone_buffer *b);
    bool grpc;
    size_t json; /* bytes before binary tensors; 0: there are none */
} forms[] = {{"/v1/models/lengths:predict", put_rows, false, 0},
             {"/v1/models/lengths:predict", put_column, false, 0},
             {PREDICT, put_predict_5, true, 0},
             {"/v2/models/lengths/infer", put_oip_json, false, 0},
             {"/v2/models/lengths/infer", put_oip_binary, false, sizeof BINARY_HEAD - 1},
             {INFER, put_infer_6, true, 0}};
enum { FORMS = sizeof forms / sizeof *forms, ROWS = FORMS + 1, ELEMENTS = 2 * 5 + 6 + 5 + 7 + 8 + 6 };

/* Sends a form; its answer comes at a later turn. */
static hone_request *begin(fixture *f, int form, answer *a) {
    hone_request *r = hone_request_new(&f->pool);
    hone_head head = {.method = slice("POST"), .query = slice(""), .content_length = -1};
    hone_buffer body = {0};
    char json[24];
    forms[form].put(&body);
    head.path = slice(forms[form].path);
    head.fields[0] =
        (hone_field){slice("content-type"), slice(forms[form].grpc ? "application/grpc" : "text/plain")};
    snprintf(json, sizeof json, "%zu", forms[form].json);
    head.fields[1] = (hone_field){slice("inference-header-content-length"), slice(json)};
    head.field_count = forms[form].json ? 2 : 1;
    assert_int_equal(hone_request_set_head(r, &head), HONE_OK);
    if (forms[form].grpc) hone_buffer_put(&r->body, (const char[]){0, 0, 0, 0, (char)body.size}, 5);
    hone_buffer_put(&r->body, body.data, body.size);
    assert_int_equal(hone_request_end_body(r), HONE_OK);
    hone_buffer_free(&body);
    *a = (answer){0};
    r->sink = &answer_sink;
    r->stream = a;
    r->started = r->received = 1;
    if (forms[form].grpc)
        handle_grpc(f, r);
    else
        handle_rest(f, r);
    return r;
}

/* --- the core --- */

static void defer(void *user) {
    (void)user; /* the test turns when it likes */
}

static void was_set(hone_model_task *t, hone_status status, const hone_error *err) {
    if (status != HONE_OK) print_error("%s\n", err->message);
    *(int *)t->user = 0;
}

static void open(fixture *f) {
    fixture_open(f);
    fixture_add(f, "lengths", 1, lengths_model("ReduceSum"));
    assert_int_equal(hone_tfs_grpc_register(&f->grpc, &f->front, NULL), HONE_OK);
    assert_int_equal(hone_oip_grpc_register(&f->grpc, &f->front, NULL), HONE_OK);
    fixture_start(f);
    hone_core_attach(f->core, 0, &(hone_port){.wake = fixture_wake, .defer = defer});
    int left = 1;
    hone_model_task t = {.worker = 0, .done = was_set, .user = &left};
    hone_core_load_model(f->core, &t, slice("lengths"), slice(SETTINGS));
    for (; left; usleep(100)) hone_core_turn(f->core, 0);
    assert_int_equal(t.status, HONE_OK);
    /* costs that make it worth to run all together, and at once */
    hone_servable *s = hone_core_find(f->core, slice("lengths"), HONE_LATEST);
    assert_true(s->padded);
    for (int n = 0; n < s->bucket_count; n++)
        for (int i = 0; i < s->buckets[n].size_count; i++) s->buckets[n].cost[i] = 1e-6;
    hone_servable_release(s);
}

static bool metrics_have(fixture *f, const char *format, int number) {
    char *text, line[120];
    snprintf(line, sizeof line, format, number);
    assert_int_equal(hone_metrics_write(hone_stats_metrics(f->stats), &text, NULL, NULL), HONE_OK);
    bool has = strstr(text, line) != NULL;
    if (!has) print_error("%s: not there\n", line);
    hone_metrics_free_text(text);
    return has;
}

static void answers_each_as_alone(void **state) {
    (void)state;
    fixture f;
    answer alone[FORMS], together[FORMS];
    hone_request *r[FORMS];
    open(&f);
    for (int i = 0; i < FORMS; i++) {
        r[i] = begin(&f, i, &alone[i]);
        hone_core_turn(f.core, 0);
        assert_int_equal(alone[i].ends, 1);
        assert_int_equal(alone[i].status, 200);
        if (forms[i].grpc) assert_int_equal(answer_code(&alone[i]), 0);
        hone_request_release(r[i]);
    }
    assert_true(metrics_have(&f, "hone_batch_rows_count{model=\"lengths\"} %d\n", FORMS));
    for (int i = 0; i < FORMS; i++) r[i] = begin(&f, i, &together[i]);
    hone_core_turn(f.core, 0);
    for (int i = 0; i < FORMS; i++) {
        assert_int_equal(together[i].ends, 1);
        assert_int_equal(together[i].body.size, alone[i].body.size);
        assert_memory_equal(together[i].body.data, alone[i].body.data, alone[i].body.size);
        assert_int_equal(r[i]->rows, 8); /* seven, filled up */
        hone_request_release(r[i]);
        answer_free(&together[i]);
        answer_free(&alone[i]);
    }
    /* in one run, of eight elements a row */
    assert_true(metrics_have(&f, "hone_batch_rows_count{model=\"lengths\"} %d\n", FORMS + 1));
    assert_true(
        metrics_have(&f, "hone_padded_elements_total{model=\"lengths\",kind=\"own\"} %d\n", 2 * ELEMENTS));
    assert_true(metrics_have(&f, "hone_padded_elements_total{model=\"lengths\",kind=\"padding\"} %d\n",
                             8 * ROWS - ELEMENTS));
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers_each_as_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
