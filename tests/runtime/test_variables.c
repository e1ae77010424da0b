#include "runtime/variables.h"

#include "support/graphs.h"

static void test_add_and_get(void **state) {
    (void)state;
    hone_error err;
    hone_variables *s = hone_variables_new();
    hone_tensor *content = tensor_random(HONE_FLOAT32, SHAPE(3), 1), *w = NULL, *again = NULL, *at = NULL;
    char name[] = "w";
    assert_null(hone_variables_get(s, "w"));
    check_ok(hone_variables_add(s, name, content, &w, &err));
    name[0] = 'x'; /* the store has its own copy of the name and of the content */
    assert_ptr_equal(hone_variables_get(s, "w"), w);
    assert_null(hone_variables_get(s, "x"));
    assert_ptr_not_equal(w, content);
    assert_same_bits(w, content);
    tensor_set(w, 0, 42);
    check_ok(hone_variables_add(s, "w", content, &again, &err));
    assert_ptr_equal(again, w);
    assert_true(tensor_at(w, 0) == 42); /* what is there counts */
    check_ok(hone_variables_add(s, "v", content, NULL, &err));
    assert_int_equal(hone_variables_count(s), 2);
    assert_string_equal(hone_variables_at(s, 0, &at), "w");
    assert_ptr_equal(at, w);
    assert_string_equal(hone_variables_at(s, 1, NULL), "v");
    hone_tensor_free(content);
    hone_variables_free(s);
    hone_variables_free(NULL);
}

static void test_other_types_are_refused(void **state) {
    (void)state;
    hone_error err;
    hone_variables *s = hone_variables_new();
    hone_tensor *a = tensor_make(HONE_FLOAT32, SHAPE(3)), *out = NULL;
    hone_tensor *others[] = {tensor_make(HONE_FLOAT64, SHAPE(3)), tensor_make(HONE_FLOAT32, SHAPE(4)),
                             tensor_make(HONE_FLOAT32, SHAPE(3, 1)), tensor_make(HONE_FLOAT32, 0, NULL)};
    check_ok(hone_variables_add(s, "w", a, NULL, &err));
    for (int i = 0; i < COUNT(others); i++) {
        assert_int_equal(hone_variables_add(s, "w", others[i], &out, &err), HONE_INVALID_ARGUMENT);
        assert_string_equal(err.node, "w");
        assert_null(out);
        hone_tensor_free(others[i]);
    }
    assert_int_equal(hone_variables_count(s), 1);
    hone_tensor_free(a);
    hone_variables_free(s);
}

/* Addresses stay while the store grows. */
static void test_addresses_stay(void **state) {
    (void)state;
    hone_error err;
    hone_variables *s = hone_variables_new();
    hone_tensor *content = tensor_random(HONE_FLOAT32, SHAPE(3), 1), *made[300];
    char name[16];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "w%d", i);
        check_ok(hone_variables_add(s, name, content, &made[i], &err));
    }
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "w%d", i);
        assert_ptr_equal(hone_variables_get(s, name), made[i]);
    }
    hone_tensor_free(content);
    hone_variables_free(s);
}

/* y = w + x, and w becomes y: what one model writes another reads. */
static hone_graph *adder(bool writes) {
    hone_graph *g = hone_graph_new("adder");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2)),
               *w = graph_variable(g, "w", tensor_make(HONE_FLOAT32, SHAPE(2)));
    hone_value *y = graph_op(g, "Add", w, x);
    hone_graph_add_output(g, y);
    if (writes) hone_graph_bind(g, y, w);
    return g;
}

static void test_models_share_a_store(void **state) {
    (void)state;
    hone_error err;
    hone_variables *s = hone_variables_new();
    hone_graph *writing = adder(true), *reading = adder(false);
    hone_model *models[2] = {NULL};
    check_ok(hone_model_compile_shared(writing, NULL, s, &models[0], &err));
    check_ok(hone_model_compile_shared(reading, NULL, s, &models[1], &err));
    hone_tensor *x = tensor_of(SHAPE(2), (const float[]){1, 10}), *w = hone_variables_get(s, "w");
    hone_variables_free(s); /* the models hold it */
    runner writer = runner_of(models[0], 1), reader = runner_of(models[1], 1);
    const hone_tensor *out;
    for (int i = 1; i <= 3; i++) {
        runner_run(&writer, &x, &out);
        assert_true(tensor_at(out, 1) == 10 * i);
        assert_true(tensor_at(w, 1) == 10 * i);
        runner_run(&reader, &x, &out);
        assert_true(tensor_at(out, 0) == i + 1);
        assert_true(tensor_at(w, 0) == i);
    }
    hone_graph_free(writing);
    hone_graph_free(reading);
    runner_free(&writer);
    runner_free(&reader);
    hone_tensor_free(x);
}

static void test_a_graph_that_does_not_fit_the_store(void **state) {
    (void)state;
    hone_error err;
    hone_variables *s = hone_variables_new();
    hone_tensor *other = tensor_make(HONE_FLOAT32, SHAPE(3));
    hone_graph *g = adder(true);
    hone_model *m = NULL;
    check_ok(hone_variables_add(s, "w", other, NULL, &err));
    assert_int_equal(hone_model_compile_shared(g, NULL, s, &m, &err), HONE_INVALID_ARGUMENT);
    assert_string_equal(err.node, "w");
    assert_null(m);
    hone_tensor_free(other);
    hone_graph_free(g);
    hone_variables_free(s);
}

static void test_every_allocation_fails(void **state) {
    (void)state;
    hone_error err;
    hone_tensor *content = tensor_random(HONE_FLOAT32, SHAPE(3), 1);
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        hone_status status = HONE_OK;
        char name[16];
        hone_alloc_fail_at(n, true);
        hone_variables *s = hone_variables_new();
        int added = 0;
        while (s && added < 40 && status == HONE_OK) {
            snprintf(name, sizeof name, "w%d", added);
            status = hone_variables_add(s, name, content, NULL, &err);
            if (status == HONE_OK) added++;
        }
        hone_alloc_fail_at(0, false);
        done = added == 40;
        if (s) assert_int_equal(hone_variables_count(s), added);
        for (int i = 0; i < added; i++) {
            snprintf(name, sizeof name, "w%d", i);
            assert_non_null(hone_variables_get(s, name));
        }
        assert_true(done || !s || status == HONE_OUT_OF_MEMORY);
        hone_variables_free(s);
    }
    hone_tensor_free(content);
}

static void test_take(void **state) {
    (void)state;
    hone_error err;
    hone_variables *s = hone_variables_new();
    hone_tensor *own = tensor_random(HONE_FLOAT32, SHAPE(3), 1),
                *shared = tensor_random(HONE_FLOAT32, SHAPE(3), 2), *other = hone_tensor_retain(shared),
                *out = NULL;
    check_ok(hone_variables_take(s, "own", own, &out, &err));
    assert_ptr_equal(out, own);
    check_ok(hone_variables_take(s, "shared", shared, &out, &err));
    assert_ptr_not_equal(out, shared);
    assert_same_bits(out, shared);
    check_ok(hone_variables_take(s, "own", shared, &out, &err));
    assert_ptr_equal(out, own); /* what is there counts */
    hone_tensor_free(own);
    hone_tensor_free(shared);
    hone_tensor_free(other);
    assert_true(tensor_at(hone_variables_get(s, "own"), 0) == tensor_at(out, 0));
    hone_variables_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_get),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_other_types_are_refused),
        cmocka_unit_test(test_addresses_stay),
        cmocka_unit_test(test_models_share_a_store),
        cmocka_unit_test(test_a_graph_that_does_not_fit_the_store),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
