/* State belongs to the context, the workspace to the thread, the pool to the process. */
#include "support/graphs.h"

#include <dirent.h>
#include <pthread.h>

/* total ← total + x; gives the new total. */
static hone_graph *counter(void) {
    hone_graph *g = hone_graph_new("counter");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(3));
    hone_value *total = graph_variable(g, "total", tensor_make(HONE_FLOAT32, SHAPE(3)));
    hone_value *y = graph_op(g, "Add", total, x);
    hone_graph_bind(g, y, total);
    hone_graph_add_output(g, y);
    return g;
}

typedef struct user {
    hone_session *session;
    float step;
    pthread_t thread;
    float got;
} user;

static void *count(void *arg) {
    user *u = arg;
    hone_error err;
    hone_context *c = NULL;
    hone_variables *own = NULL;
    hone_tensor *x = tensor_of(SHAPE(3), (const float[]){u->step, u->step, u->step});
    check_ok(hone_context_create(u->session, &c, &err));
    check_ok(hone_variables_copy_of(hone_session_model(u->session), &own, &err));
    check_ok(hone_context_set_variables(c, own, &err));
    for (int i = 0; i < 2000; i++) {
        const hone_tensor *out;
        check_ok(hone_context_run(c, (const hone_tensor *const *)&x, &out, &err));
    }
    u->got = ((const float *)hone_variables_get(own, "total")->data)[0];
    hone_context_free(c);
    hone_variables_free(own);
    hone_tensor_free(x);
    return NULL;
}

/* Contexts of one model run at once, each with a state of its own; the model's is left alone. */
static void test_states_of_their_own(void **state) {
    (void)state;
    hone_graph *g = counter();
    runner r = runner_make(g, NULL, 1);
    user u[4];
    for (int i = 0; i < 4; i++) {
        u[i] = (user){.session = r.session, .step = (float)(i + 1)};
        pthread_create(&u[i].thread, NULL, count, &u[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(u[i].thread, NULL);
        assert_true(u[i].got == 2000.0f * (float)(i + 1));
    }
    assert_true(tensor_at(hone_variables_get(r.model->variables, "total"), 0) == 0);
    runner_free(&r);
    hone_graph_free(g);
}

/* A region's view of a variable that a later one overwrites is what it was. */
static void test_a_view_behind_an_update(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("view");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(HONE_DIM_ANY)),
               *total = graph_variable(g, "total", tensor_make(HONE_FLOAT32, SHAPE(4)));
    hone_value *view = graph_op(g, "Reshape", total, hone_graph_ints(g, (int64_t[]){2, 2}, 2));
    hone_value *found = graph_op(g, "Cast", graph_op(g, "NonZero", x)); /* ends the region */
    hone_node_set_int(g, found->producer, "to", HONE_FLOAT32);
    hone_value *count = graph_op(g, "ReduceSum", graph_op(g, "Softmax", graph_op(g, "Transpose", found)),
                                 hone_graph_ints(g, (int64_t[]){0, 1}, 2));
    hone_node_set_int(g, count->producer, "keepdims", 0);
    hone_value *next = graph_op(g, "Add", total, count);
    hone_graph_bind(g, next, total);
    hone_value *y =
        graph_op(g, "Add", view, graph_op(g, "Mul", count, hone_graph_scalar(g, HONE_FLOAT32, 0)));
    hone_graph_add_output(g, next);
    hone_graph_add_output(g, y);
    runner r = runner_make(g, "all", 1);
    hone_tensor *given = tensor_of(SHAPE(3), (const float[]){1, 0, 1});
    for (int round = 0; round < 3; round++) {
        const hone_tensor *out[2];
        runner_run(&r, &given, out);
        for (int i = 0; i < 4; i++) {
            assert_true(tensor_at(out[0], i) == 2 * (round + 1));
            assert_true(tensor_at(out[1], i) == 2 * round);
        }
    }
    hone_tensor_free(given);
    runner_free(&r);
    hone_graph_free(g);
}

/* From one state to another and back to the model's. */
static void test_changing_states(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = counter();
    runner r = runner_make(g, NULL, 1);
    hone_variables *a = NULL, *b = hone_variables_new();
    hone_tensor *x = tensor_of(SHAPE(3), (const float[]){1, 1, 1});
    const hone_tensor *out;
    check_ok(hone_variables_copy_of(r.model, &a, &err));
    static const struct {
        bool own;
        double want;
    } runs[] = {{false, 1}, {true, 1}, {true, 2}, {false, 2}, {true, 3}};
    for (int i = 0; i < COUNT(runs); i++) {
        check_ok(hone_context_set_variables(r.context, runs[i].own ? a : NULL, &err));
        runner_run(&r, &x, &out);
        assert_true(tensor_at(out, 0) == runs[i].want);
    }
    assert_int_equal(hone_context_set_variables(r.context, b, &err), HONE_INVALID_ARGUMENT);
    assert_string_equal(err.node, "total");
    hone_tensor *wide = tensor_make(HONE_FLOAT32, SHAPE(4));
    check_ok(hone_variables_add(b, "total", wide, NULL, &err));
    assert_int_equal(hone_context_set_variables(r.context, b, &err), HONE_INVALID_ARGUMENT);
    runner_run(&r, &x, &out); /* goes on with what it had */
    assert_true(tensor_at(out, 0) == 4);
    hone_tensor_free(wide);
    hone_tensor_free(x);
    hone_variables_free(a);
    hone_variables_free(b);
    runner_free(&r);
    hone_graph_free(g);
}

/* Two models on one thread share a workspace, as large as the larger one needs. */
static void test_a_shared_workspace(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g[2];
    runner r[2];
    hone_tensor *in[2], *want[2];
    size_t alone = 0;
    hone_workspace *w = NULL;
    check_ok(hone_workspace_create(&w, &err));
    for (int i = 0; i < 2; i++) {
        int64_t rows = i ? 300 : 100;
        g[i] = hone_graph_new("model");
        hone_value *x = graph_input(g[i], "x", HONE_FLOAT32, SHAPE(rows, 10));
        hone_graph_add_output(g[i], graph_op(g[i], "Softmax", graph_op(g[i], "Exp", x)));
        in[i] = tensor_random(HONE_FLOAT32, SHAPE(rows, 10), 1);
        graph_run(g[i], NULL, &in[i], &want[i], 1);
        r[i] = runner_make(g[i], NULL, 1);
        const hone_tensor *out;
        runner_run(&r[i], &in[i], &out);
        if (hone_context_workspace(r[i].context) > alone) alone = hone_context_workspace(r[i].context);
        hone_context_set_workspace(r[i].context, w);
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 2; i++) {
            const hone_tensor *out;
            runner_run(&r[i], &in[i], &out);
            assert_same_bits(out, want[i]);
        }
    assert_int_equal(hone_context_workspace(r[0].context), alone);
    hone_workspace_free(w);
    for (int i = 0; i < 2; i++) {
        hone_tensor_free(in[i]);
        hone_tensor_free(want[i]);
        runner_free(&r[i]);
        hone_graph_free(g[i]);
    }
}

static int threads_now(void) {
    DIR *d = opendir("/proc/self/task");
    int count = -2; /* . and .. */
    while (readdir(d)) count++;
    closedir(d);
    return count;
}

/* Twenty sessions have no more workers than one. */
static void test_one_pool(void **state) {
    (void)state;
    enum { MODELS = 20 };
    hone_graph *g = counter();
    runner r[MODELS];
    int before = threads_now();
    for (int i = 0; i < MODELS; i++) r[i] = runner_make(g, NULL, 3);
    assert_true(threads_now() <= before + 2);
    for (int i = 0; i < MODELS; i++) runner_free(&r[i]);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states_of_their_own),
        cmocka_unit_test(test_changing_states),
        cmocka_unit_test(test_a_view_behind_an_update),
        cmocka_unit_test(test_a_shared_workspace),
        cmocka_unit_test(test_one_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
