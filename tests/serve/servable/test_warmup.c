/* What warm-up makes up, finds out, and leaves ready. */
#include "base/memory.h"
#include "serve/models.h"
#include "serve/servables.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 6 };

/* y [batch, 2] = x [batch, n] · W [6, 2]: runs for n = 6 only, though its signature does not say so. */
static hone_graph *free_width(void) {
    hone_graph *g = hone_graph_new("free_width");
    hone_type type = {
        HONE_KIND_TENSOR, HONE_FLOAT32, 2, {hone_graph_symbol(g, "batch"), hone_graph_symbol(g, "n")}};
    hone_tensor *t = NULL;
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){WIDTH, 2}, &t, NULL), HONE_OK);
    for (int i = 0; i < WIDTH * 2; i++) ((float *)t->data)[i] = (float)i / 8;
    hone_value *x = hone_graph_add_input(g, "x", &type);
    hone_value *y = HONE_EMIT(g, "", "MatMul", x, hone_graph_add_constant(g, "W", t));
    hone_tensor_free(t);
    hone_graph_rename(g, y, "y");
    hone_graph_add_output(g, y);
    assert_int_equal(hone_graph_check(g, NULL), HONE_OK);
    return g;
}

/* Maps for rows are rows like others. */
static void batches_maps(void **state) {
    (void)state;
    for (int texts = 0; texts < 2; texts++) {
        fixture f;
        warm(&f, maps_model(texts), NULL, NULL);
        assert_true(f.s->batchable);
        assert_null(hone_servable_output_keys(f.s, 0));
        const hone_tensor *keys = hone_servable_output_keys(f.s, 1);
        assert_int_equal(keys->count, 2);
        assert_int_equal(keys->dtype, texts ? HONE_STRING : HONE_INT64);
        assert_int_equal(f.s->outputs[1].dims[0], f.s->inputs[0].dims[0]);
        cool(&f);
    }
}

/* Maps that come together in another way, or are read by a node, are not served. */
static void refuses_other_lists(void **state) {
    (void)state;
    hone_error err = {0};
    hone_graph *g = maps_model(false);
    hone_value *copy = HONE_EMIT(g, "", "Identity", g->outputs[1]);
    hone_graph_rename(g, copy, "copy");
    hone_graph_add_output(g, copy);
    hone_servable_options o = {.name = "m", .version = 1, .workers = 1, .model_threads = 1, .max_queue = 8};
    hone_servable *s = NULL;
    assert_int_equal(hone_servable_new(&o, g, &s, &err), HONE_UNSUPPORTED);
    assert_string_equal(err.message,
                        "\"scores\" is neither a tensor nor maps for rows; nothing else is served");
    hone_graph_free(g);
}

static void needs_to_be_told_of_dimensions(void **state) {
    (void)state;
    fixture f;
    warm(&f, free_width(), NULL, NULL);
    assert_false(f.s->batchable);
    assert_string_equal(f.s->unbatched, "it can't be run with made-up inputs");
    cool(&f);
}

static void takes_dimensions_from_settings(void **state) {
    (void)state;
    fixture f;
    hone_servable_settings settings = HONE_SERVABLE_SETTINGS_INIT;
    settings.max_batch = 8;
    settings.dims[settings.dim_count++] = (hone_dim_setting){"other", {3}, 1, false};
    settings.dims[settings.dim_count++] = (hone_dim_setting){"n", {WIDTH}, 1, false};
    warm(&f, free_width(), &settings, NULL);
    assert_string_equal(f.s->unbatched, "");
    assert_true(f.s->batchable);
    assert_int_equal(hone_bucket_most(f.s->buckets), 8);
    assert_int_equal(f.s->buckets->warm_bytes, WIDTH * 4);
    cool(&f);
}

static void takes_dimensions_from_recorded_requests(void **state) {
    (void)state;
    fixture f;
    hone_tensor *list[1];
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){3, WIDTH}, &list[0], NULL), HONE_OK);
    memset(list[0]->data, 0, list[0]->bytes);
    hone_recorded recorded = {.tensors = list, .count = 1};
    warm(&f, free_width(), NULL, &recorded);
    assert_string_equal(f.s->unbatched, "");
    assert_true(f.s->batchable);
    cool(&f);
    hone_tensor_free(list[0]);
}

/* No instance makes a plan or asks for memory when traffic comes, though only one of them has run. */
static void leaves_every_instance_ready(void **state) {
    (void)state;
    fixture f;
    hone_servable_settings settings = HONE_SERVABLE_SETTINGS_INIT;
    settings.max_batch = 16;
    warm(&f, matrix_model(), &settings, NULL);
    assert_int_equal(f.s->buckets->size_count, 5);
    hone_tensor *x = NULL;
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){16, 3}, &x, NULL), HONE_OK);
    memset(x->data, 0, x->bytes);
    const hone_tensor *inputs[] = {x};
    uint64_t plans = hone_session_plans_compiled(f.s->session), before = hone_alloc_count();
    for (int k = 0; k < f.s->instance_count; k++) {
        for (int i = 0; i < f.s->buckets->size_count; i++) {
            x->dims[0] = f.s->buckets->sizes[i];
            x->count = x->dims[0] * 3;
            x->bytes = (size_t)x->count * 4;
            hone_part part = hone_part_of(f.s, inputs);
            hone_run run = {.first = &part};
            hone_instance *instance = &f.s->instances[k];
            assert_int_equal(hone_instance_run(f.s, instance, &run, NULL), HONE_OK);
        }
    }
    assert_int_equal(hone_session_plans_compiled(f.s->session), plans);
    assert_int_equal(hone_alloc_count(), before);
    hone_tensor_free(x);
    cool(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_maps),
        cmocka_unit_test(refuses_other_lists),
        cmocka_unit_test(needs_to_be_told_of_dimensions),
        cmocka_unit_test(takes_dimensions_from_settings),
        cmocka_unit_test(takes_dimensions_from_recorded_requests),
        cmocka_unit_test(leaves_every_instance_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
