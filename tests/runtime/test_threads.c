/* Several threads on one session, several sessions on one model, and any number of threads for one run. */
#include "runtime/training.h"

#include <pthread.h>

/* --- the same bits --- */

/* Losses, logits and weights of some training steps. */
static void train(int threads, hone_tensor *weights[4], hone_tensor **logits) {
    static const char *const names[] = {"w1", "b1", "w2", "b2"};
    hone_graph *g = training_graph();
    runner r = runner_make(g, NULL, threads);
    const hone_tensor *out[2];
    for (int step = 0; step < 8; step++) {
        hone_tensor *batch[2];
        training_batch(step % 3 ? 400 : 37, (uint64_t)step, batch);
        runner_run(&r, batch, out);
        hone_tensor_free(batch[0]);
        hone_tensor_free(batch[1]);
    }
    *logits = tensor_copy(out[1]);
    for (int i = 0; i < 4; i++) weights[i] = tensor_copy(hone_variables_get(r.model->variables, names[i]));
    runner_free(&r);
    hone_graph_free(g);
}

static void test_training_gives_the_same_bits(void **state) {
    (void)state;
    hone_tensor *want[5], *got[5];
    train(1, want, &want[4]);
    for (int threads = 2; threads <= 4; threads += 2) {
        train(threads, got, &got[4]);
        for (int i = 0; i < 5; i++) {
            assert_same_bits(got[i], want[i]);
            hone_tensor_free(got[i]);
        }
    }
    for (int i = 0; i < 5; i++) hone_tensor_free(want[i]);
}

static hone_graph *products(hone_dtype dtype) {
    hone_graph *g = hone_graph_new("products");
    hone_value *a = graph_input(g, "a", dtype, SHAPE(HONE_DIM_ANY, 130)),
               *b = graph_input(g, "b", dtype, SHAPE(130, 150));
    hone_value *c = graph_constant(g, "c", tensor_random(dtype, SHAPE(150, 130), 5));
    hone_value *ab = graph_op(g, "MatMul", a, b), *abc = graph_op(g, "Gemm", graph_op(g, "Tanh", ab), c);
    hone_graph_add_output(g, graph_op(g, "Mul", graph_op(g, "Sigmoid", abc), abc));
    hone_graph_add_output(g, graph_op(g, "Softmax", ab));
    return g;
}

static void test_products_give_the_same_bits(void **state) {
    (void)state;
    for (int c = 0; c < 4; c++) {
        hone_dtype dtype = c % 2 ? HONE_FLOAT64 : HONE_FLOAT32;
        hone_graph *g = products(dtype);
        hone_tensor *in[] = {tensor_random(dtype, SHAPE(c < 2 ? 333 : 3, 130), 1),
                             tensor_random(dtype, SHAPE(130, 150), 2)};
        hone_tensor *want[2] = {NULL};
        for (int threads = 1; threads <= 4; threads *= 2) {
            const hone_tensor *out[2];
            runner r = runner_make(g, NULL, threads);
            runner_run(&r, in, out);
            for (int i = 0; i < 2; i++) {
                if (threads == 1)
                    want[i] = tensor_copy(out[i]);
                else
                    assert_same_bits(out[i], want[i]);
            }
            runner_free(&r);
        }
        for (int i = 0; i < 2; i++) {
            hone_tensor_free(in[i]);
            hone_tensor_free(want[i]);
        }
        hone_graph_free(g);
    }
}

/* A row's result does not depend on the rows beside it. */
static void test_batching_changes_no_row(void **state) {
    (void)state;
    hone_graph *g = products(HONE_FLOAT32);
    runner r = runner_make(g, NULL, 2);
    hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(200, 130), 1),
                         tensor_random(HONE_FLOAT32, SHAPE(130, 150), 2)};
    const hone_tensor *out[2];
    runner_run(&r, in, out);
    hone_tensor *whole = tensor_copy(out[0]);
    static const int64_t counts[] = {1, 2, 5, 16, 95, 96, 97};
    for (int i = 0; i < COUNT(counts); i++) {
        int64_t first = 200 - counts[i];
        hone_tensor *part = NULL, *some[2] = {NULL, in[1]};
        hone_error err;
        check_ok(hone_tensor_wrap(HONE_FLOAT32, SHAPE(counts[i], 130), (float *)in[0]->data + first * 130,
                                  &part, &err));
        some[0] = part;
        runner_run(&r, some, out);
        assert_memory_equal(out[0]->data, (float *)whole->data + first * 130, out[0]->bytes);
        hone_tensor_free(part);
    }
    hone_tensor_free(whole);
    hone_tensor_free(in[0]);
    hone_tensor_free(in[1]);
    runner_free(&r);
    hone_graph_free(g);
}

/* --- at the same time --- */

typedef struct client {
    hone_model *model;
    hone_session *session; /* NULL: one of its own */
    uint64_t seed;
    hone_status status;
    int64_t wrong;
} client;

static hone_status run_client(client *c, hone_context *context, hone_error *err) {
    for (int i = 0; i < 40; i++) {
        int64_t batch = 1 + (int64_t)(c->seed + (uint64_t)i) % 5 * 30;
        hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(batch, 130), c->seed),
                             tensor_random(HONE_FLOAT32, SHAPE(130, 150), 2)};
        const hone_tensor *out[2];
        hone_status status = hone_context_run(context, (const hone_tensor *const *)in, out, err);
        for (int64_t k = 0; status == HONE_OK && k < out[1]->dims[0]; k++) { /* softmax: rows sum to 1 */
            double sum = 0;
            for (int64_t j = 0; j < 150; j++) sum += tensor_at(out[1], k * 150 + j);
            c->wrong += fabs(sum - 1) > 1e-4;
        }
        hone_tensor_free(in[0]);
        hone_tensor_free(in[1]);
        HONE_TRY(status);
    }
    return HONE_OK;
}

static void *client_main(void *arg) {
    client *c = arg;
    hone_error err;
    hone_session *own = NULL;
    hone_context *context = NULL;
    hone_session_options options = HONE_SESSION_OPTIONS_INIT;
    options.threads = 2;
    c->status = c->session ? HONE_OK : hone_session_create(c->model, &options, &own, &err);
    if (c->status == HONE_OK) c->status = hone_context_create(c->session ? c->session : own, &context, &err);
    if (c->status == HONE_OK) c->status = run_client(c, context, &err);
    hone_context_free(context);
    hone_session_free(own);
    return NULL;
}

static void run_clients(hone_model *model, hone_session *session) {
    enum { CLIENTS = 3 };
    client clients[CLIENTS];
    pthread_t threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (client){.model = model, .session = session, .seed = (uint64_t)i};
        assert_int_equal(pthread_create(&threads[i], NULL, client_main, &clients[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(clients[i].status, HONE_OK);
        assert_int_equal(clients[i].wrong, 0);
    }
}

static void test_contexts_of_one_session(void **state) {
    (void)state;
    hone_graph *g = products(HONE_FLOAT32);
    runner r = runner_make(g, NULL, 2);
    run_clients(r.model, r.session);
    runner_free(&r);
    hone_session_options options = HONE_SESSION_OPTIONS_INIT; /* plans come and go meanwhile */
    hone_session *s = NULL;
    hone_error err;
    r = runner_make(g, NULL, 1);
    options.threads = 2;
    options.max_plans = 1;
    check_ok(hone_session_create(r.model, &options, &s, &err));
    run_clients(r.model, s);
    hone_session_free(s);
    runner_free(&r);
    hone_graph_free(g);
}

static void test_sessions_of_one_model(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = products(HONE_FLOAT32);
    hone_model *m = NULL;
    check_ok(hone_model_compile(g, NULL, &m, &err));
    hone_graph_free(g);
    run_clients(m, NULL);
    hone_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_gives_the_same_bits),
        cmocka_unit_test(test_products_give_the_same_bits),
        cmocka_unit_test(test_batching_changes_no_row),
        cmocka_unit_test(test_contexts_of_one_session),
        cmocka_unit_test(test_sessions_of_one_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
