/* Which bucket a request falls into, and what it is padded to. */
#include "base/memory.h"
#include "serve/models.h"
#include "serve/models/model_config.h"
#include "serve/servable/shapes.h"
#include "serve/servables.h"

#include <stdlib.h>
#include <string.h>

static void open(fixture *f, hone_graph *g, const char *text) {
    hone_model_settings s;
    hone_error err = {0};
    if (hone_model_settings_parse(text, strlen(text), NULL, &s, &err) != HONE_OK) fail_msg("%s", err.message);
    warm(f, g, &s.run, NULL);
    hone_model_settings_free(&s);
}

static hone_tensor *floats(int64_t rows, int64_t length) {
    hone_tensor *t = NULL;
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){rows, length}, &t, NULL), HONE_OK);
    for (int64_t i = 0; i < t->count; i++) ((float *)t->data)[i] = (float)(i % 7) - 2;
    return t;
}

/* y = a, z = b of [batch, height, width]. */
static hone_graph *two_pictures(void) {
    hone_graph *g = hone_graph_new("pictures");
    hone_type type = {
        HONE_KIND_TENSOR,
        HONE_FLOAT32,
        3,
        {hone_graph_symbol(g, "batch"), hone_graph_symbol(g, "height"), hone_graph_symbol(g, "width")}};
    for (int i = 0; i < 2; i++) {
        hone_value *x = hone_graph_add_input(g, i ? "b" : "a", &type);
        hone_value *y = HONE_EMIT(g, "", "Relu", x);
        hone_graph_rename(g, y, i ? "z" : "y");
        hone_graph_add_output(g, y);
    }
    assert_int_equal(hone_graph_infer(g, NULL), HONE_OK);
    return g;
}

static void makes_a_bucket_of_each_combination(void **state) {
    (void)state;
    fixture f;
    open(&f, two_pictures(),
         "{\"dims\": {\"height\": [2, 8], \"width\": [3, 5], \"batch\": [1, 2, 3], \"depth\": [1, 2]}}");
    assert_int_equal(f.s->bucket_count, 4); /* rows are no matter of these, nor is what no input has */
    const double volumes[] = {6, 10, 24, 40};
    for (int n = 0; n < 4; n++) {
        const hone_bucket *b = &f.s->buckets[n];
        assert_float_equal((double)b->dims[0] * (double)b->dims[1], volumes[n], 0);
        assert_float_equal((double)b->warm_bytes, 2 * 4 * volumes[n], 0);
        assert_true(b->size_count > 1);
    }
    static const struct {
        int64_t height, width;
        int bucket;
    } cases[] = {{1, 1, 0}, {2, 3, 0}, {2, 4, 1}, {3, 3, 2}, {8, 4, 3}, {9, 1, 3}, {1, 9, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_tensor *t = NULL;
        int64_t dims[] = {1, cases[i].height, cases[i].width};
        assert_int_equal(hone_tensor_new(HONE_FLOAT32, 3, dims, &t, NULL), HONE_OK);
        const hone_tensor *inputs[] = {t, t};
        hone_part p = hone_part_of(f.s, inputs);
        assert_int_equal(p.bucket - f.s->buckets, cases[i].bucket);
        assert_false(p.pads);
        assert_true(hone_part_estimate(f.s, &p) > 0);
        hone_tensor_free(t);
    }
    cool(&f);
}

/* Requests that padding would not make alike run as they are. */
static void leaves_uneven_requests_alone(void **state) {
    (void)state;
    fixture f;
    open(&f, two_pictures(),
         "{\"pad\": {\"dims\": [\"width\"]}, \"dims\": {\"width\": [4, 8]}, "
         "\"batching\": {\"max_batch_size\": 4}}");
    assert_true(f.s->padded);
    static const struct {
        int64_t a, b;
        bool pads;
        int64_t target;
    } cases[] = {{3, 3, true, 4},  {4, 4, true, 4},  {5, 5, true, 8},
                 {9, 9, false, 9}, {3, 4, false, 4}, {0, 3, false, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_tensor *a = NULL, *b = NULL;
        assert_int_equal(hone_tensor_new(HONE_FLOAT32, 3, (int64_t[]){3, 2, cases[i].a}, &a, NULL), HONE_OK);
        assert_int_equal(hone_tensor_new(HONE_FLOAT32, 3, (int64_t[]){3, 2, cases[i].b}, &b, NULL), HONE_OK);
        const hone_tensor *inputs[] = {a, b}, *const *outputs = NULL;
        for (int64_t k = 0; k < a->count; k++) ((float *)a->data)[k] = (float)k + 1;
        for (int64_t k = 0; k < b->count; k++) ((float *)b->data)[k] = (float)k + 100;
        hone_part p = hone_part_of(f.s, inputs);
        assert_int_equal(p.pads, cases[i].pads);
        assert_int_equal(p.target[hone_settings_find_dim(&f.s->settings, "width")], cases[i].target);
        /* three rows are filled up to four, and the rest stays as it is */
        hone_run run = {.first = &p};
        assert_int_equal(hone_instance_run(f.s, &f.s->instances[0], &run, NULL), HONE_OK);
        assert_int_equal(run.size, 4);
        assert_int_equal(hone_instance_view(f.s, &f.s->instances[0], &p, NULL, &outputs, NULL), HONE_OK);
        for (int k = 0; k < 2; k++) {
            assert_memory_equal(outputs[k]->dims, inputs[k]->dims, 3 * sizeof(int64_t));
            assert_int_equal(outputs[k]->bytes, inputs[k]->bytes);
            if (inputs[k]->bytes) assert_memory_equal(outputs[k]->data, inputs[k]->data, inputs[k]->bytes);
        }
        hone_tensor_free(a);
        hone_tensor_free(b);
    }
    cool(&f);
}

/* Along two dimensions at once, of which one is listed; each gets its own corner back. */
static void pads_several_dimensions(void **state) {
    (void)state;
    fixture f;
    open(&f, two_pictures(),
         "{\"pad\": {\"values\": {\"b\": 7}}, \"dims\": {\"width\": [4, 8]}, \"batching\": "
         "{\"max_batch_size\": 4}}");
    assert_string_equal(f.s->unpadded, "");
    static const int64_t dims[3][3] = {{1, 2, 3}, {2, 3, 1}, {1, 1, 4}};
    hone_tensor *t[3];
    hone_part p[3];
    const hone_tensor *inputs[3][2], *const *outputs = NULL;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(hone_tensor_new(HONE_FLOAT32, 3, dims[i], &t[i], NULL), HONE_OK);
        for (int64_t k = 0; k < t[i]->count; k++) ((float *)t[i]->data)[k] = (float)(100 * i + k + 1);
        inputs[i][0] = inputs[i][1] = t[i];
        p[i] = hone_part_of(f.s, inputs[i]);
        assert_true(hone_part_joins(f.s, &p[0], &p[i]));
        if (i) p[i - 1].next = &p[i];
    }
    hone_instance *instance = &f.s->instances[1];
    hone_run run = {.first = p};
    assert_int_equal(hone_instance_run(f.s, instance, &run, NULL), HONE_OK);
    assert_memory_equal(instance->in[0].dims, ((int64_t[]){4, 3, 4}), 3 * sizeof(int64_t));
    assert_float_equal(((const float *)instance->in[0].data)[3], 0, 0);
    assert_float_equal(((const float *)instance->in[1].data)[3], 7, 0);
    assert_float_equal(run.own, 2 * (6 + 6 + 4), 0);
    assert_float_equal(run.padding, 2 * (4 * 12 - 16), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(hone_instance_view(f.s, instance, &p[i], NULL, &outputs, NULL), HONE_OK);
        for (int k = 0; k < 2; k++) {
            assert_memory_equal(outputs[k]->dims, dims[i], sizeof dims[i]);
            assert_memory_equal(outputs[k]->data, t[i]->data, t[i]->bytes);
        }
        hone_tensor_free(t[i]);
    }
    cool(&f);
}

static bool refuse(hone_room *room, size_t more) {
    (void)room, (void)more;
    return false;
}

/* Results are cut in memory that warm-up has left, or that somebody allows. */
static void asks_before_it_cuts(void **state) {
    (void)state;
    fixture f;
    hone_error err = {0};
    hone_room none = {refuse};
    open(&f, lengths_model("ReduceSum"),
         "{\"pad\": true, \"dims\": {\"length\": 8}, \"batching\": {\"max_batch_size\": 4}}");
    hone_instance *instance = &f.s->instances[0];
    for (int64_t rows = 4; rows <= 4000; rows *= 1000) {
        hone_tensor *x = floats(rows, 7);
        const hone_tensor *inputs[] = {x}, *const *outputs = NULL;
        hone_part p = hone_part_of(f.s, inputs);
        hone_run run = {.first = &p, .pad = true};
        assert_int_equal(hone_instance_run(f.s, instance, &run, &err), HONE_OK);
        hone_status status = hone_instance_view(f.s, instance, &p, &none, &outputs, &err);
        assert_int_equal(status, rows > 4 ? HONE_RESOURCE_EXHAUSTED : HONE_OK);
        assert_int_equal(hone_instance_view(f.s, instance, &p, NULL, &outputs, &err), HONE_OK);
        assert_int_equal(outputs[0]->dims[0], rows);
        assert_int_equal(outputs[0]->dims[1], 7);
        assert_int_equal(outputs[0]->bytes, rows * 7 * 4);
        assert_int_equal(outputs[1]->dims[1], 1);
        const float *y = outputs[0]->data, *in = x->data;
        for (int64_t r = 0; r < rows; r++) {
            float sum = 0;
            for (int i = 0; i < 7; i++) sum += in[r * 7 + i];
            for (int i = 0; i < 7; i++) assert_true(y[r * 7 + i] == in[r * 7 + i] * sum);
            assert_true(((const float *)outputs[1]->data)[r] == sum);
        }
        hone_tensor_free(x);
    }
    hone_instance_shrink(instance);
    cool(&f);
}

/* Whatever is listed is planned before traffic comes, on every instance. */
static void prepares_every_bucket(void **state) {
    (void)state;
    fixture f;
    open(&f, lengths_model("ReduceSum"),
         "{\"pad\": true, \"dims\": {\"length\": [2, 8, 16]}, \"batching\": {\"max_batch_size\": 4}}");
    assert_int_equal(f.s->bucket_count, 3);
    static const int64_t lengths[] = {2, 8, 16};
    hone_tensor *t[2][3];
    for (int n = 0; n < 3; n++) {
        t[0][n] = floats(2, lengths[n]);
        t[1][n] = floats(1, lengths[n] - 1);
    }
    uint64_t plans = hone_session_plans_compiled(f.s->session), before = hone_alloc_count();
    for (int k = 0; k < f.s->instance_count; k++) {
        for (int n = 0; n < 3; n++) {
            const hone_tensor *inputs[2][1] = {{t[0][n]}, {t[1][n]}}, *const *outputs = NULL;
            hone_part p[2] = {hone_part_of(f.s, inputs[0]), hone_part_of(f.s, inputs[1])};
            hone_run run = {.first = p};
            p[0].next = &p[1];
            assert_true(hone_part_joins(f.s, &p[0], &p[1]));
            assert_int_equal(hone_instance_run(f.s, &f.s->instances[k], &run, NULL), HONE_OK);
            assert_int_equal(run.size, 4);
            for (int i = 0; i < 2; i++) {
                assert_int_equal(hone_instance_view(f.s, &f.s->instances[k], &p[i], NULL, &outputs, NULL),
                                 HONE_OK);
                assert_int_equal(outputs[0]->dims[0], 2 - i);
                assert_int_equal(outputs[0]->dims[1], lengths[n] - i);
            }
        }
    }
    assert_int_equal(hone_session_plans_compiled(f.s->session), plans);
    assert_int_equal(hone_alloc_count(), before);
    for (int n = 0; n < 3; n++) hone_tensor_free(t[0][n]), hone_tensor_free(t[1][n]);
    cool(&f);
}

/* What was measured, lines in between, and the last one beyond; never less than a part of the first. */
static void tells_costs(void **state) {
    (void)state;
    const hone_bucket b = {.size_count = 3, .sizes = {1, 2, 8}, .cost = {4, 6, 9}};
    static const double cases[][2] = {{1, 4}, {2, 6},   {8, 9},   {1.5, 5},
                                      {6, 8}, {10, 10}, {0.5, 3}, {0.125, 2.25}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_float_equal(hone_bucket_cost(&b, cases[i][0]), cases[i][1], 1e-12);
    const hone_bucket steep = {.size_count = 2, .sizes = {1, 2}, .cost = {4, 9}};
    assert_float_equal(hone_bucket_cost(&steep, 0.5), 2, 1e-12);
    const hone_bucket falls = {.size_count = 2, .sizes = {1, 2}, .cost = {4, 3}};
    assert_float_equal(hone_bucket_cost(&falls, 3), 3, 1e-12);
    const hone_bucket one = {.size_count = 1, .sizes = {1}, .cost = {4}};
    assert_float_equal(hone_bucket_cost(&one, 2.5), 10, 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tells_costs),
                                       cmocka_unit_test(makes_a_bucket_of_each_combination),
                                       cmocka_unit_test(leaves_uneven_requests_alone),
                                       cmocka_unit_test(pads_several_dimensions),
                                       cmocka_unit_test(asks_before_it_cuts),
                                       cmocka_unit_test(prepares_every_bucket)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
