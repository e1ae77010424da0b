/* What a model's settings say of shapes. */
#include "serve/models/model_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static hone_status parse(const char *text, hone_model_settings *s, hone_error *err) {
    *err = (hone_error){0};
    return hone_model_settings_parse(text, strlen(text), NULL, s, err);
}

static void read_good(const char *text, hone_model_settings *s) {
    hone_error err;
    if (parse(text, s, &err) != HONE_OK) fail_msg("%s: %s", text, err.message);
}

static void reads_sizes(void **state) {
    (void)state;
    hone_model_settings s;
    read_good("{\"dims\": {\"sequence\": [16, 64, 128], \"height\": 224}}", &s);
    assert_int_equal(s.run.dim_count, 2);
    assert_string_equal(s.run.dims[0].name, "sequence");
    assert_int_equal(s.run.dims[0].size_count, 3);
    assert_int_equal(s.run.dims[0].sizes[2], 128);
    assert_int_equal(s.run.dims[1].size_count, 1);
    assert_int_equal(s.run.dims[1].sizes[0], 224);
    assert_false(s.run.dims[0].pad || s.run.pad_all);
    assert_int_equal(hone_settings_buckets(&s.run), 3);
    hone_model_settings_free(&s);
}

static void reads_shapes(void **state) {
    (void)state;
    hone_model_settings s;
    read_good("{\"dims\": {\"sequence\": 8}, \"shapes\": {\"ids\": [\"batch\", \"sequence\"], "
              "\"image\": [null, 3, 224], \"scalar\": []}}",
              &s);
    const hone_tensor_setting *ids = hone_settings_find_tensor(&s.run, "ids");
    const hone_tensor_setting *image = hone_settings_find_tensor(&s.run, "image");
    assert_non_null(ids);
    assert_int_equal(ids->rank, 2);
    assert_string_equal(s.run.dims[-2 - ids->dims[0]].name, "batch");
    assert_string_equal(s.run.dims[-2 - ids->dims[1]].name, "sequence");
    assert_non_null(image);
    assert_int_equal(image->rank, 3);
    assert_int_equal(image->dims[0], -1);
    assert_int_equal(image->dims[2], 224);
    assert_int_equal(hone_settings_find_tensor(&s.run, "scalar")->rank, 0);
    assert_null(hone_settings_find_tensor(&s.run, "other"));
    hone_model_settings_free(&s);
}

static void reads_padding(void **state) {
    (void)state;
    hone_model_settings s, other;
    read_good("{\"pad\": {\"dims\": [\"sequence\"], \"values\": {\"ids\": 1, \"x\": -0.5}, \"tolerance\": "
              "0.001}, \"dims\": {\"sequence\": [8, 16]}}",
              &s);
    assert_int_equal(s.run.dim_count, 1);
    assert_true(s.run.dims[0].pad && !s.run.pad_all);
    assert_true(s.run.pad_tolerance == 0.001);
    const hone_tensor_setting *ids = hone_settings_find_tensor(&s.run, "ids");
    const hone_tensor_setting *x = hone_settings_find_tensor(&s.run, "x");
    assert_true(!ids->is_real && ids->whole == 1 && ids->rank < 0);
    assert_true(x->is_real && x->real == -0.5);
    /* each of it makes settings other ones */
    static const char *const others[] = {
        "{\"pad\": {\"dims\": [\"sequence\"], \"values\": {\"ids\": 1, \"x\": -0.5}}, \"dims\": "
        "{\"sequence\": [8, 16]}}",
        "{\"pad\": {\"dims\": [\"sequence\"], \"values\": {\"ids\": 2, \"x\": -0.5}, \"tolerance\": 0.001}, "
        "\"dims\": {\"sequence\": [8, 16]}}",
        "{\"pad\": {\"dims\": [\"sequence\"], \"values\": {\"ids\": 1, \"x\": -0.5}, \"tolerance\": 0.001}, "
        "\"dims\": {\"sequence\": [8, 15]}}",
        "{\"pad\": {\"dims\": [], \"values\": {\"ids\": 1, \"x\": -0.5}, \"tolerance\": 0.001}, "
        "\"dims\": {\"sequence\": [8, 16]}}"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        read_good(others[i], &other);
        assert_false(hone_servable_settings_equal(&s.run, &other.run));
        hone_model_settings_free(&other);
    }
    assert_true(hone_model_settings_copy(&other, &s));
    assert_true(hone_servable_settings_equal(&s.run, &other.run));
    hone_model_settings_free(&other);
    hone_model_settings_free(&s);
    static const struct {
        const char *text;
        bool all;
    } forms[] = {{"{}", false},
                 {"{\"pad\": true}", true},
                 {"{\"pad\": false}", false},
                 {"{\"pad\": {}}", true},
                 {"{\"pad\": {\"values\": {\"ids\": 1}}}", true},
                 {"{\"pad\": {\"dims\": []}}", false}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        read_good(forms[i].text, &s);
        assert_int_equal(s.run.pad_all, forms[i].all);
        assert_true(s.run.pad_tolerance == HONE_PAD_TOLERANCE);
        hone_model_settings_free(&s);
    }
}

/* TensorFlow Serving's switch is a default that a model's own settings go before. */
static void takes_the_switch_of_batching_parameters(void **state) {
    (void)state;
    hone_model_settings defaults, s;
    hone_error err = {0};
    int threads;
    const char *on = "pad_variable_length_inputs: true", *off = "{\"pad\": false}";
    assert_int_equal(hone_batching_parameters_parse(on, strlen(on), &defaults, &threads, &err), HONE_OK);
    assert_true(defaults.run.pad_all);
    assert_int_equal(hone_model_settings_parse(off, strlen(off), &defaults, &s, &err), HONE_OK);
    assert_false(s.run.pad_all);
    hone_model_settings_free(&s);
    on = "pad_variable_length_inputs: false";
    assert_int_equal(hone_batching_parameters_parse(on, strlen(on), &defaults, &threads, &err), HONE_OK);
    assert_false(defaults.run.pad_all);
}

static void names_what_is_wrong(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"{\"dims\": [1, 2]}", "\"dims\" is no object"},
        {"{\"dims\": {\"seq\": 0}}", "\"dims.seq\" is no whole number from 1 to 2147483647"},
        {"{\"dims\": {\"seq\": [4, \"x\"]}}", "\"dims.seq\" is no whole number from 1 to 2147483647"},
        {"{\"dims\": {\"seq\": []}}", "\"dims.seq\" has not 1 to 16 sizes"},
        {"{\"dims\": {\"seq\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}}",
         "\"dims.seq\" has not 1 to 16 sizes"},
        {"{\"dims\": {\"seq\": [8, 8]}}", "the sizes in \"dims.seq\" do not ascend"},
        {"{\"dims\": {\"a\": [1,2,3,4,5,6,7,8,9], \"b\": [1,2,3,4,5,6,7,8]}}",
         "the sizes in \"dims\" make more than 64 shapes"},
        {"{\"shapes\": 3}", "\"shapes\" is no object"},
        {"{\"shapes\": {\"x\": 3}}", "\"shapes.x\" is no list of dimensions"},
        {"{\"shapes\": {\"x\": [1,1,1,1,1,1,1,1,1]}}", "\"shapes.x\" is no list of dimensions"},
        {"{\"shapes\": {\"x\": [1, true]}}",
         "\"shapes.x\" has something that is no name, no size and not null"},
        {"{\"shapes\": {\"x\": [-1]}}", "\"shapes.x\" has something that is no name, no size and not null"},
        {"{\"pad\": 3}", "\"pad\" is neither true, false nor an object"},
        {"{\"pad\": {\"dim\": [\"x\"]}}", "\"pad\" has no field \"dim\""},
        {"{\"pad\": {\"dims\": [3]}}", "\"pad.dims\" is no list of names"},
        {"{\"pad\": {\"values\": [3]}}", "\"pad.values\" is no object"},
        {"{\"pad\": {\"values\": {\"ids\": \"1\"}}}", "\"pad.values.ids\" is no number"},
        {"{\"pad\": {\"tolerance\": 2}}", "\"pad.tolerance\" is no number from 0 to 1"},
        {"{\"pad\": {\"tolerance\": \"0\"}}", "\"pad.tolerance\" is no number from 0 to 1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hone_model_settings s;
        hone_error err;
        if (parse(bad[i].text, &s, &err) != HONE_INVALID_ARGUMENT) fail_msg("%s is taken", bad[i].text);
        assert_string_equal(err.message, bad[i].message);
    }
}

static void bounds_names(void **state) {
    (void)state;
    char text[4000], name[200];
    hone_model_settings s;
    hone_error err;
    memset(name, 'n', sizeof name);
    for (int size = HONE_MAX_SETTING_NAME; size <= HONE_MAX_SETTING_NAME + 1; size++) {
        hone_status wanted = size > HONE_MAX_SETTING_NAME ? HONE_INVALID_ARGUMENT : HONE_OK;
        snprintf(text, sizeof text, "{\"dims\": {\"%.*s\": 1}}", size, name);
        assert_int_equal(parse(text, &s, &err), wanted);
        snprintf(text, sizeof text, "{\"shapes\": {\"%.*s\": [1]}}", size, name);
        assert_int_equal(parse(text, &s, &err), wanted);
    }
    for (int count = HONE_MAX_DIM_SETTINGS; count <= HONE_MAX_DIM_SETTINGS + 1; count++) {
        size_t n = (size_t)snprintf(text, sizeof text, "{\"pad\": {\"dims\": [");
        for (int i = 0; i < count; i++)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s\"d%d\"", i ? "," : "", i);
        snprintf(text + n, sizeof text - n, "]}}");
        hone_status status = parse(text, &s, &err);
        assert_int_equal(status, count > HONE_MAX_DIM_SETTINGS ? HONE_INVALID_ARGUMENT : HONE_OK);
    }
    for (int count = HONE_MAX_TENSOR_SETTINGS; count <= HONE_MAX_TENSOR_SETTINGS + 1; count++) {
        size_t n = (size_t)snprintf(text, sizeof text, "{\"pad\": {\"values\": {");
        for (int i = 0; i < count; i++)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s\"d%d\": 1", i ? "," : "", i);
        snprintf(text + n, sizeof text - n, "}}}");
        hone_status status = parse(text, &s, &err);
        assert_int_equal(status, count > HONE_MAX_TENSOR_SETTINGS ? HONE_INVALID_ARGUMENT : HONE_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_sizes),         cmocka_unit_test(reads_shapes),
        cmocka_unit_test(reads_padding),       cmocka_unit_test(takes_the_switch_of_batching_parameters),
        cmocka_unit_test(names_what_is_wrong), cmocka_unit_test(bounds_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
