/* What all APIs do alike with what a request expands to. */
#include "serve/fronts.h"
#include "serve/messages.h"
#include "serve/oip/oip_grpc.h"
#include "serve/oip/oip_rest.h"
#include "serve/tfs/tfs_grpc.h"
#include "serve/tfs/tfs_rest.h"

enum { MB = 1 << 20, COUNT = 200000 /* more than calls keep room for */ };

static void handle_rest(fixture *f, hone_request *r) {
    if (hone_oip_takes(r->head.path))
        hone_oip_handle(f->front, r);
    else
        hone_tfs_handle(f->front, r);
}

/* --- requests that expand --- */

typedef struct form {
    const char *name, *path, *fields;
    bool grpc;
    void (*put)(hone_buffer *b);
} form;

static void put_list(hone_buffer *b, const char *start, const char *item, const char *end) {
    hone_buffer_text(b, start);
    for (int i = 0; i < COUNT; i++) {
        if (i) hone_buffer_byte(b, ',');
        hone_buffer_text(b, item);
    }
    hone_buffer_text(b, end);
}

static void put_rows(hone_buffer *b) {
    put_list(b, "{\"instances\":[", "1", "]}");
}
static void put_row_objects(hone_buffer *b) {
    put_list(b, "{\"instances\":[", "{\"x\":1}", "]}");
}
static void put_column(hone_buffer *b) {
    put_list(b, "{\"inputs\":[", "\"\"", "]}");
}
static void put_oip_json(hone_buffer *b) {
    put_list(b, "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT64\",\"shape\":[200000],\"data\":[", "1",
             "]}]}");
}

static void put_oip_raw(hone_buffer *b) {
    hone_buffer_printf(
        b, "%-200s",
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"BYTES\",\"shape\":[200000],\"parameters\":"
        "{\"binary_data_size\":800000}}]}");
    for (int i = 0; i < COUNT; i++) hone_buffer_put(b, "\0\0\0\0", 4);
}

static size_t open_predict(hone_buffer *b, const char *model, int dtype, size_t *entry) {
    size_t spec = hone_wire_begin(b, 1);
    hone_wire_put_text(b, 1, model);
    hone_wire_end(b, spec);
    *entry = hone_wire_begin(b, 2);
    hone_wire_put_text(b, 1, "x");
    size_t tensor = hone_wire_begin(b, 2);
    hone_wire_put_number(b, 1, (uint64_t)dtype);
    hone_shape_proto_put(b, 2, 1, (int64_t[]){COUNT}, NULL);
    return tensor;
}

static void put_filled(hone_buffer *b) {
    size_t entry, tensor = open_predict(b, "floats", 1, &entry);
    hone_wire_put_bytes(b, 5, "\0\0\x80\x3f", 4);
    hone_wire_end(b, tensor);
    hone_wire_end(b, entry);
}

static void put_varints(hone_buffer *b) {
    static const char ones[COUNT] = {1};
    size_t entry, tensor = open_predict(b, "numbers", 9, &entry);
    hone_wire_put_bytes(b, 10, ones, COUNT);
    hone_wire_end(b, tensor);
    hone_wire_end(b, entry);
}

static void put_contents(hone_buffer *b) {
    static const char ones[COUNT] = {1};
    hone_wire_put_text(b, 1, "numbers");
    size_t input = hone_wire_begin(b, 5);
    hone_wire_put_text(b, 1, "x");
    hone_wire_put_text(b, 2, "INT64");
    hone_wire_put_number(b, 3, COUNT);
    size_t contents = hone_wire_begin(b, 5);
    hone_wire_put_bytes(b, 3, ones, COUNT);
    hone_wire_end(b, contents);
    hone_wire_end(b, input);
}

static void put_raw_contents(hone_buffer *b) {
    static const char empty[4 * COUNT];
    hone_wire_put_text(b, 1, "texts");
    size_t input = hone_wire_begin(b, 5);
    hone_wire_put_text(b, 1, "x");
    hone_wire_put_text(b, 2, "BYTES");
    hone_wire_put_number(b, 3, COUNT);
    hone_wire_end(b, input);
    hone_wire_put_bytes(b, 7, empty, sizeof empty);
}

#define PREDICT "/tensorflow.serving.PredictionService/Predict"
#define INFER "/inference.GRPCInferenceService/ModelInfer"

static const form forms[] = {
    {"TFS rows", "/v1/models/numbers:predict", "", false, put_rows},
    {"TFS rows of objects", "/v1/models/numbers:predict", "", false, put_row_objects},
    {"TFS column of strings", "/v1/models/texts:predict", "", false, put_column},
    {"OIP JSON", "/v2/models/numbers/infer", "", false, put_oip_json},
    {"OIP bytes", "/v2/models/texts/infer", "inference-header-content-length: 200\n", false, put_oip_raw},
    {"TFS one value for all", PREDICT, NULL, true, put_filled},
    {"TFS list of numbers", PREDICT, NULL, true, put_varints},
    {"OIP contents", INFER, NULL, true, put_contents},
    {"OIP raw contents", INFER, NULL, true, put_raw_contents},
};
enum { FORMS = sizeof forms / sizeof *forms };

static void open_fronts(fixture *f) {
    fixture_open(f);
    fixture_add(f, "floats", 1, echo_model(HONE_FLOAT32, 1, "y"));
    fixture_add(f, "numbers", 1, echo_model(HONE_INT64, 1, "y"));
    fixture_add(f, "texts", 1, echo_model(HONE_STRING, 1, "y"));
    assert_int_equal(hone_tfs_grpc_register(&f->grpc, &f->front, NULL), HONE_OK);
    assert_int_equal(hone_oip_grpc_register(&f->grpc, &f->front, NULL), HONE_OK);
}

static answer send_form(fixture *f, const form *k) {
    hone_buffer b = {0};
    answer a;
    k->put(&b);
    if (k->grpc)
        a = fixture_call(f, k->path, b.data, b.size);
    else
        a = fixture_send(f, handle_rest, "POST", k->path, k->fields, b.data, b.size);
    hone_buffer_free(&b);
    return a;
}

/* There is no room for what they are decoded to: they are told so, and which input it is; and when there is, they are
 * answered. At once or by a compute thread. */
static void refuses_inputs_without_room(void **state) {
    (void)state;
    for (int later = 0; later < 2; later++) {
        fixture f;
        hone_budget budget = {.limit = 16 * MB};
        open_fronts(&f);
        f.front->packer.budget = &budget;
        f.front->o.body_limit = 16 * MB;
        if (later) fixture_start(&f);
        for (int i = 0; i < 2 * FORMS; i++) {
            const form *k = &forms[i / 2];
            bool room = i % 2;
            hone_budget_share other = {0};
            if (!room) assert_true(hone_budget_take(&budget, &other, 16 * MB));
            answer a = send_form(&f, k);
            const char *text = k->grpc ? answer_message(&a) : a.body.data;
            int code = k->grpc ? answer_code(&a) : a.status, good = k->grpc ? 0 : 200,
                bad = k->grpc ? HONE_GRPC_RESOURCE_EXHAUSTED : 429;
            if (code != (room ? good : bad)) fail_msg("%s, room %d: %d %.200s", k->name, room, code, text);
            if (!room && (!strstr(text, "\"x") || !strstr(text, "--body-budget")))
                if (!strstr(text, "\\\"x") || !strstr(text, "--body-budget"))
                    fail_msg("%s: %s", k->name, text);
            answer_free(&a);
            hone_budget_release(&other);
            assert_int_equal(atomic_load(&budget.used), 0);
        }
        fixture_close(&f);
    }
}

/* --- answers that expand --- */

enum { ROWS = 10000, WIDE = 256 };

/* y [batch, 256] of x [batch, 1]. */
static hone_graph *wide_model(void) {
    hone_graph *g = hone_graph_new("wide");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 2, {hone_graph_symbol(g, "batch"), 1}};
    float w[WIDE];
    hone_tensor *t = NULL;
    for (int i = 0; i < WIDE; i++) w[i] = 1 + 1e-3f * (float)i;
    assert_int_equal(hone_tensor_copy_of(HONE_FLOAT32, 2, (int64_t[]){1, WIDE}, w, &t, NULL), HONE_OK);
    hone_value *x = hone_graph_add_input(g, "x", &type);
    hone_value *y = HONE_EMIT(g, "", "MatMul", x, hone_graph_add_constant(g, "W", t));
    hone_tensor_free(t);
    hone_graph_rename(g, y, "y");
    hone_graph_add_output(g, y);
    assert_int_equal(hone_graph_infer(g, NULL), HONE_OK);
    return g;
}

static void put_items(hone_buffer *b, const char *start, const char *item, const char *end) {
    hone_buffer_text(b, start);
    for (int i = 0; i < ROWS; i++) hone_buffer_text(b, i ? item : item + 1);
    hone_buffer_text(b, end);
}

static void put_wide_rows(hone_buffer *b) {
    put_items(b, "{\"instances\":[", ",[1]", "]}");
}
static void put_wide_column(hone_buffer *b) {
    put_items(b, "{\"inputs\":[", ",[1]", "]}");
}
#define WIDE_INPUT "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[10000,1],\"data\":["
static void put_wide_oip(hone_buffer *b) {
    put_items(b, WIDE_INPUT, ",1", "]}]}");
}
static void put_wide_oip_binary(hone_buffer *b) {
    put_items(b, WIDE_INPUT, ",1", "]}],\"parameters\":{\"binary_data_output\":true}}");
}

static void put_wide_predict(hone_buffer *b) {
    static float x[ROWS];
    put_predict(b, "wide", x, ROWS, 1);
}
static void put_wide_infer(hone_buffer *b) {
    static float x[ROWS];
    put_infer(b, "wide", x, ROWS, 1);
}

static const form wide_forms[] = {
    {"TFS rows", "/v1/models/wide:predict", "", false, put_wide_rows},
    {"TFS column", "/v1/models/wide:predict", "", false, put_wide_column},
    {"OIP JSON", "/v2/models/wide/infer", "", false, put_wide_oip},
    {"OIP bytes", "/v2/models/wide/infer", "", false, put_wide_oip_binary},
    {"TFS gRPC", PREDICT, NULL, true, put_wide_predict},
    {"OIP gRPC", INFER, NULL, true, put_wide_infer},
};
enum { WIDE_FORMS = sizeof wide_forms / sizeof *wide_forms };

/* 10 MB of results, and at least as much of an answer. */
static void refuses_answers_without_room(void **state) {
    (void)state;
    for (int later = 0; later < 2; later++) {
        fixture f;
        hone_budget budget = {.limit = 256 * MB};
        fixture_open_with(&f, &budget);
        fixture_add(&f, "wide", 1, wide_model());
        assert_int_equal(hone_tfs_grpc_register(&f.grpc, &f.front, NULL), HONE_OK);
        assert_int_equal(hone_oip_grpc_register(&f.grpc, &f.front, NULL), HONE_OK);
        if (later) fixture_start(&f);
        for (int i = 0; i < 3 * WIDE_FORMS; i++) {
            const form *k = &wide_forms[i / 3];
            size_t room = i % 3 == 0 ? 5 * MB : i % 3 == 1 ? (later ? 15 : 9) * MB : 256 * MB;
            hone_budget_share other = {0};
            assert_true(hone_budget_take(&budget, &other, HONE_BUDGET_FREE + 256 * MB - room));
            answer a = send_form(&f, k);
            const char *text = k->grpc ? answer_message(&a) : a.body.data;
            int code = k->grpc ? answer_code(&a) : a.status, good = k->grpc ? 0 : 200,
                bad = k->grpc ? HONE_GRPC_RESOURCE_EXHAUSTED : 429;
            if (code != (room == 256 * MB ? good : bad))
                fail_msg("%s, %zu MB, later %d: %d %.200s", k->name, room / MB, later, code, text);
            if (code == bad &&
                !strstr(text, room < 10 * MB && later ? "a run of the model wide" : "no room for"))
                fail_msg("%s: %s", k->name, text);
            if (code == bad) assert_non_null(strstr(text, "(--body-budget)"));
            if (code == good) assert_true(a.body.size > 9 * MB);
            answer_free(&a);
            hone_budget_release(&other);
            assert_int_equal(atomic_load(&budget.used), 0);
        }
        fixture_close(&f);
    }
}

/* --- what takes long --- */

typedef struct blocker {
    hone_work w;
    atomic_bool runs, let_go;
    int left;
} blocker;

static void block(hone_work *w) {
    blocker *b = w->user;
    atomic_store(&b->runs, true);
    while (!atomic_load(&b->let_go)) usleep(1000);
}

static void was_let_go(hone_work *w) {
    ((blocker *)w->user)->left--;
}

static void offload(void *front, int worker, hone_request *r, void (*run)(void *), void (*done)(void *),
                    void *arg) {
    (void)worker;
    hone_front_offload(front, r, run, done, arg);
}

/* While no compute thread is free: what is large, or says that it will be, is not touched, and what is small is answered.
 * When it is given up then, nobody works on it. */
static void leaves_large_bodies_to_compute_threads(void **state) {
    enum { LARGE, PROMISING, SMALL, KINDS };
    (void)state;
    for (int i = 0; i < 2 * 2 * KINDS; i++) {
        int kind = i % KINDS;
        bool grpc = i / KINDS % 2, given_up = i / KINDS / 2;
        fixture f;
        blocker b = {.left = 1};
        answer a = {0};
        hone_buffer garbage = {0};
        open_fronts(&f);
        fixture_start(&f);
        f.grpc.offload = offload;
        f.grpc.user = f.front;
        b.w = (hone_work){.run = block, .done = was_let_go, .user = &b};
        hone_core_offload(f.core, &b.w);
        while (!atomic_load(&b.runs)) usleep(1000);
        /* packed wrongly: whoever unpacks it says so */
        size_t size = kind == LARGE ? 100 << 10 : 1 << 10;
        for (size_t n = 0; n < size; n++) hone_buffer_byte(&garbage, 1);
        memcpy(garbage.data + size - 4, kind == PROMISING ? "\0\0\4" : "\0\4\0",
               4); /* its length when unpacked */
        hone_request *r = hone_request_new(&f.pool);
        hone_head head = {.method = slice("POST"), .query = slice(""), .content_length = -1};
        head.path = slice(grpc ? PREDICT : "/v1/models/numbers:predict");
        head.fields[0] = (hone_field){slice("content-type"), slice(grpc ? "application/grpc" : "text/plain")};
        head.fields[1] = (hone_field){slice(grpc ? "grpc-encoding" : "content-encoding"), slice("gzip")};
        head.field_count = 2;
        assert_int_equal(hone_request_set_head(r, &head), HONE_OK);
        if (grpc)
            hone_buffer_put(&r->body, (const char[]){1, 0, (char)(size >> 16), (char)(size >> 8), 0}, 5);
        hone_buffer_put(&r->body, garbage.data, size);
        assert_int_equal(hone_request_end_body(r), HONE_OK);
        r->sink = &answer_sink;
        r->stream = &a;
        r->started = r->received = 1;
        if (grpc)
            handle_grpc(&f, r);
        else
            handle_rest(&f, r);
        for (int n = 0; n < 20; n++) hone_core_turn(f.core, 0);
        assert_int_equal(a.ends, kind == SMALL);
        if (given_up && kind != SMALL) {
            r->stream = NULL;
            hone_request_abandon(r);
            assert_int_equal(atomic_load(&r->references), 1); /* nobody has it any more */
        }
        atomic_store(&b.let_go, true);
        while (b.left > 0 || (a.ends == 0 && r->stream)) {
            hone_core_turn(f.core, 0);
            usleep(100);
        }
        if (r->stream && grpc) assert_int_equal(answer_code(&a), 3);
        if (r->stream && !grpc) assert_int_equal(a.status, 400);
        hone_request_release(r);
        hone_buffer_free(&garbage);
        answer_free(&a);
        fixture_close(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(refuses_inputs_without_room),
                                       cmocka_unit_test(refuses_answers_without_room),
                                       cmocka_unit_test(leaves_large_bodies_to_compute_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
