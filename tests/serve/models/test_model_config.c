#include "base/memory.h"
#include "serve/format/text_format.h"
#include "serve/models/model_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* As in TensorFlow Serving's documentation, with comments and all spellings of the text format. */
static const char text[] =
    "# two models\n"
    "model_config_list: {\n"
    "  config: {\n"
    "    name: \"first\" base_path: '/tmp/models/' \"first\"\n"
    "    model_platform: 'tensorflow',\n"
    "    model_version_policy { specific { versions: 42 versions: [ 43, 0044 ] } };\n"
    "    version_labels { key: 'stable' value: 43 }\n"
    "    version_labels < key: \"can\\141ry\" value: 44 >\n"
    "  }\n"
    "  config [ { name: 'second' base_path: '/b\\x41' model_version_policy: { all: {} } },\n"
    "           { name: 'third' base_path: 'c' model_version_policy "
    "{ latest { num_versions: 2 } } } ]\n"
    "}\n";
static const char json[] =
    "{\"modelConfigList\": {\"config\": [\n"
    " {\"name\": \"first\", \"basePath\": \"/tmp/models/first\", \"modelPlatform\": \"tensorflow\",\n"
    "  \"modelVersionPolicy\": {\"specific\": {\"versions\": [\"42\", 43, \"44\"]}},\n"
    "  \"versionLabels\": {\"stable\": \"43\", \"canary\": 44}},\n"
    " {\"name\": \"second\", \"base_path\": \"/bA\", \"model_version_policy\": {\"all\": {}}},\n"
    " {\"name\": \"third\", \"basePath\": \"c\", \"modelVersionPolicy\": {\"latest\": {\"numVersions\": "
    "2}}}\n"
    "]}}";

static void check_set(const char *from) {
    hone_model_set set;
    hone_error err = {0};
    if (hone_model_set_parse(from, strlen(from), &set, &err) != HONE_OK) fail_msg("%s", err.message);
    assert_int_equal(set.count, 3);
    const hone_model_source *e = set.entries;
    assert_string_equal(e[0].name, "first");
    assert_string_equal(e[0].base_path, "/tmp/models/first");
    assert_int_equal(e[0].policy.kind, HONE_POLICY_SPECIFIC);
    assert_int_equal(e[0].policy.version_count, 3);
    for (int i = 0; i < 3; i++) assert_int_equal(e[0].policy.versions[i], 42 + i);
    assert_int_equal(e[0].label_count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(e[0].labels[i].version, strcmp(e[0].labels[i].name, "stable") == 0 ? 43 : 44);
    assert_string_equal(e[1].base_path, "/bA");
    assert_int_equal(e[1].policy.kind, HONE_POLICY_ALL);
    assert_int_equal(e[2].policy.kind, HONE_POLICY_LATEST);
    assert_int_equal(e[2].policy.latest, 2);
    hone_model_set_free(&set);
    assert_null(set.entries);
}

static void reads_both_forms(void **state) {
    (void)state;
    check_set(text);
    check_set(json);
    hone_model_set set;
    const char *const empty[] = {"", "  # nothing\n", "model_config_list {}", "{}",
                                 "{\"model_config_list\": {}}"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        assert_int_equal(hone_model_set_parse(empty[i], strlen(empty[i]), &set, NULL), HONE_OK);
        assert_int_equal(set.count, 0);
        hone_model_set_free(&set);
    }
}

#define ONE(fields) "model_config_list { config { " fields " } }"

static void refuses(void **state) {
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"model_config_list {", "does not end"},
        {"model_config_list { config { name: 'a' ", "does not end"},
        {"model_config_list }", "':' is missing"},
        {"}", "name of a field"},
        {"model_config_list { ] }", "name of a field"},
        {"models {}", "no field \"models\""},
        {ONE("name: 'a' base_path: 'b' colour: 3"), "no field \"colour\""},
        {ONE("name: 'a'"), "no base_path"},
        {ONE("base_path: 'a'"), "no name"},
        {ONE("name: 'a' name: 'b' base_path: 'c'"), "one value"},
        {ONE("name: { a: 1 } base_path: 'c'"), "no text"},
        {ONE("name: '../x' base_path: 'c'"), "'/'"},
        {ONE("name: '..' base_path: 'c'"), "no name for a model"},
        {ONE("name: 'a\\n' base_path: 'c'"), "control character"},
        {ONE("name: 'a' base_path: 'b' } config { name: 'a' base_path: 'c'"), "there twice"},
        {ONE("name: 'a' base_path: 'b' model_version_policy { all {} latest {} }"), "more than one"},
        {ONE("name: 'a' base_path: 'b' model_version_policy { specific { versions: -1 } }"), "whole number"},
        {ONE("name: 'a' base_path: 'b' model_version_policy { specific { versions: 99999999999999999999 } }"),
         "whole number"},
        {ONE("name: 'a' base_path: 'b' model_version_policy { specific { versions: 1.5 } }"), "whole number"},
        {ONE("name: 'a' base_path: 'b' version_labels { key: '' value: 1 }"), "no label"},
        {ONE("name: 'a' base_path: 'b' version_labels { key: 'x' value: 1 } version_labels { key: 'x' value: "
             "2 }"),
         "there twice"},
        {"name 'x'", "':' is missing"},
        {"name: 'x", "does not end"},
        {"name: 'x\n'", "on its line"},
        {"name: 'x\\q'", "unknown escape"},
        {"name: 'x\\", "does not end"},
        {"name: 'a\\000b'", "zero byte"},
        {"name: '\xff\xfe'", "UTF-8"},
        {"name:", "value is missing"},
        {"name: [1, 2", "']' is missing"},
        {"name: [1 2]", "']' is missing"},
        {"[x {}", "']' is missing"},
        {"1name: 2", "name of a field"},
        {"{\"modelConfigList\": {\"config\": [{\"name\": \"a\"", "line 1"},
        {"{\"modelConfigList\": 3}", "no message"},
        {"{\"modelConfigList\": {\"config\": [3]}}", "no message"},
        {"{\"a\": 1, \"a\": 2}", "duplicate"},
        {"[]", "':' is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_model_set set;
        hone_error err = {0};
        hone_status status = hone_model_set_parse(cases[i].text, strlen(cases[i].text), &set, &err);
        if ((status != HONE_INVALID_ARGUMENT && status != HONE_ALREADY_EXISTS) ||
            !strstr(err.message, cases[i].why))
            fail_msg("%s: %d \"%s\", expected \"%s\"", cases[i].text, status, err.message, cases[i].why);
        assert_null(set.entries);
    }
}

static void names_the_place(void **state) {
    (void)state;
    hone_model_set set;
    hone_error err = {0};
    const char *broken = "model_config_list {\n  config {\n    name ! 'x'\n  }\n}";
    assert_int_equal(hone_model_set_parse(broken, strlen(broken), &set, &err), HONE_INVALID_ARGUMENT);
    assert_string_equal(err.message, "line 3, column 10: ':' is missing");
}

/* Depth, length and counts are bounded before anything is done with them. */
static void bounds_everything(void **state) {
    (void)state;
    hone_model_set set;
    hone_error err = {0};
    size_t size = HONE_CONFIG_MAX_BYTES + 1;
    char *large = malloc(size);
    assert_non_null(large);
    memset(large, ' ', size);
    assert_int_equal(hone_model_set_parse(large, size, &set, &err), HONE_INVALID_ARGUMENT);
    for (size_t i = 0; i + 2 < size - 1; i += 2) memcpy(large + i, "a{", 2);
    assert_int_equal(hone_model_set_parse(large, size - 1, &set, &err), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "too deep"));
    for (size_t i = 0; i < size; i++) large[i] = '[';
    assert_int_equal(hone_model_set_parse(large, size - 1, &set, &err), HONE_INVALID_ARGUMENT);
    size_t n = 0;
    n += (size_t)sprintf(large, "model_config_list {");
    for (int i = 0; i <= HONE_CONFIG_MAX_MODELS; i++)
        n += (size_t)sprintf(large + n, "config{name:'%d' base_path:'x'}", i);
    n += (size_t)sprintf(large + n, "}");
    assert_int_equal(hone_model_set_parse(large, n, &set, &err), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "more than 10000 models"));
    n = (size_t)sprintf(
        large, "model_config_list{config{name:'a' base_path:'b' model_version_policy{specific{versions:[");
    for (int i = 0; i <= HONE_CONFIG_MAX_VERSIONS; i++) n += (size_t)sprintf(large + n, "%d,", i);
    n += (size_t)sprintf(large + n - 1, "]}}}}") - 1;
    assert_int_equal(hone_model_set_parse(large, n, &set, &err), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "more than 10000 versions"));
    free(large);
}

/* Every prefix and every changed byte of a good text is read or refused, and nothing leaks. */
static void survives_broken_texts(void **state) {
    (void)state;
    const char *const good[] = {text, json};
    for (int g = 0; g < 2; g++) {
        size_t size = strlen(good[g]);
        char *copy = malloc(size);
        assert_non_null(copy);
        for (size_t n = 0; n < size; n++) {
            hone_model_set set;
            memcpy(copy, good[g], size);
            if (hone_model_set_parse(copy, n, &set, NULL) == HONE_OK) hone_model_set_free(&set);
            copy[n] = (char)(copy[n] ^ 0x5f);
            if (hone_model_set_parse(copy, size, &set, NULL) == HONE_OK) hone_model_set_free(&set);
        }
        free(copy);
    }
}

static void survives_lack_of_memory(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        hone_model_set set;
        hone_error err = {0};
        hone_alloc_fail_at(n, false);
        hone_status status = hone_model_set_parse(text, strlen(text), &set, &err);
        hone_alloc_fail_at(0, false);
        if (status == HONE_OK) {
            hone_model_set_free(&set);
            assert_true(n > 5);
            return;
        }
        if (status != HONE_OUT_OF_MEMORY) fail_msg("allocation %llu: %s", (unsigned long long)n, err.message);
    }
}

static void reads_settings(void **state) {
    (void)state;
    static const char all[] =
        "{\"threads\": 2, \"batching\": {\"enabled\": true, \"max_delay_us\": 500, "
        "\"preferred_batch_sizes\": [4, 16]}, \"limits\": {\"queue\": 7, \"rows\": "
        "100, \"timeout_ms\": 250}, \"dims\": {\"seq\": 128, \"h\": 7}, "
        "\"version_policy\": {\"latest\": 2}, \"labels\": {\"stable\": 1}, \"precision\": \"bfloat16\"}";
    hone_model_settings s, copy, plain = HONE_MODEL_SETTINGS_INIT;
    hone_error err = {0};
    if (hone_model_settings_parse(all, strlen(all), NULL, &s, &err) != HONE_OK) fail_msg("%s", err.message);
    assert_int_equal(s.run.threads, 2);
    assert_true(s.run.batching);
    assert_int_equal(s.run.max_batch, 16);
    assert_int_equal(s.run.max_delay_us, 500);
    assert_int_equal(s.run.preferred_count, 2);
    assert_int_equal(s.run.max_queue, 7);
    assert_int_equal(s.run.max_rows, 100);
    assert_int_equal(s.run.timeout_ms, 250);
    assert_int_equal(s.run.precision, HONE_PRECISION_BFLOAT16);
    assert_int_equal(s.run.dim_count, 2);
    assert_string_equal(s.run.dims[0].name, "seq");
    assert_int_equal(s.run.dims[0].sizes[0], 128);
    assert_int_equal(s.run.dims[1].sizes[0], 7);
    assert_true(s.has_policy && s.policy.latest == 2);
    assert_true(s.has_labels && s.label_count == 1);
    assert_true(hone_model_settings_copy(&copy, &s));
    assert_true(hone_servable_settings_equal(&copy.run, &s.run));
    assert_false(hone_servable_settings_equal(&copy.run, &plain.run));
    copy.run.preferred[1] = 32;
    assert_false(hone_servable_settings_equal(&copy.run, &s.run));
    assert_string_equal(copy.labels[0].name, "stable");
    hone_model_settings_free(&copy);
    hone_model_settings_free(&s);
    static const char *const good[] = {
        "{}", "{\"version_policy\": \"all\"}", "{\"version_policy\": {\"all\": {}}}",
        "{\"version_policy\": {\"specific\": [1, 2]}}", "{\"batching\": {\"enabled\": false}}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (hone_model_settings_parse(good[i], strlen(good[i]), NULL, &s, &err) != HONE_OK)
            fail_msg("%s: %s", good[i], err.message);
        hone_model_settings_free(&s);
    }
    static const char *const bad[] = {
        "",
        "3",
        "[]",
        "{\"thread\": 2}",
        "{\"threads\": -1}",
        "{\"precision\": \"half\"}",
        "{\"precision\": 16}",
        "{\"threads\": 1.5}",
        "{\"threads\": 99999}",
        "{\"batching\": 3}",
        "{\"batching\": {\"enabled\": 1}}",
        "{\"batching\": {\"max_batch\": 3}}",
        "{\"batching\": {\"preferred_batch_sizes\": [4, 2]}}",
        "{\"batching\": {\"preferred_batch_sizes\": [0]}}",
        "{\"batching\": {\"max_batch_size\": 2, \"preferred_batch_sizes\": [4]}}",
        "{\"batching\": {\"max_batch_size\": 5000}}",
        "{\"dims\": [1, 2]}",
        "{\"dims\": {\"seq\": 0}}",
        "{\"dims\": {\"seq\": \"long\"}}",
        "{\"limits\": {\"queue\": 0}}",
        "{\"limits\": []}",
        "{\"version_policy\": \"some\"}",
        "{\"version_policy\": {\"specific\": [\"x\"]}}",
        "{\"labels\": [1]}",
        "{\"labels\": {\"a\": \"b\"}}",
        "{\"threads\": 1, \"threads\": 2}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (hone_model_settings_parse(bad[i], strlen(bad[i]), NULL, &s, &err) != HONE_INVALID_ARGUMENT)
            fail_msg("%s is taken", bad[i]);
}

/* TensorFlow Serving's file for all models. */
static void reads_batching_parameters(void **state) {
    static const struct {
        const char *text;
        int max_batch, max_queue, threads, sizes;
        int64_t delay;
    } good[] = {{"", 0, 0, 0, 0, 0},
                {"# as in its guide\n max_batch_size { value: 128 }\nbatch_timeout_micros { value: 500 }\n"
                 "max_enqueued_batches { value: 100 } num_batch_threads { value: 8 }\n"
                 "pad_variable_length_inputs: true",
                 128, 12800, 8, 0, 500},
                {"max_batch_size { value: 8 } allowed_batch_sizes: 2 allowed_batch_sizes: 8", 8, 0, 0, 2, 0},
                {"allowed_batch_sizes: [1, 4, 16] thread_pool_name { value: 'x' }", 16, 0, 0, 3, 0},
                {"max_batch_size { value: 1000 } max_execution_batch_size { value: 16 } "
                 "enable_large_batch_splitting { value: true } max_enqueued_batches { value: 3 }",
                 16, 48, 0, 0, 0},
                {"max_enqueued_batches { value: 1000000 } max_batch_size { value: 1000000 }",
                 HONE_MAX_BATCH_ROWS, HONE_MAX_QUEUE, 0, 0, 0},
                {"max_batch_size: 4 batch_timeout_micros {}", 4, 0, 0, 0, 0}};
    static const char *const bad[] = {"max_batch_size { value: -1 }",
                                      "max_batch_size { value: many }",
                                      "max_batch_size { value: 1 } max_batch_size { value: 2 }",
                                      "max_batch_sizes { value: 1 }",
                                      "max_batch_size { number: 1 }",
                                      "batch_timeout_micros { value: 99999999999 }",
                                      "allowed_batch_sizes: 8 allowed_batch_sizes: 4",
                                      "max_batch_size { value: 16 } allowed_batch_sizes: 8",
                                      "max_batch_size {"};
    hone_model_settings s, over;
    hone_error err = {0};
    int threads;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const char *given = good[i].text;
        if (hone_batching_parameters_parse(given, strlen(given), &s, &threads, &err) != HONE_OK)
            fail_msg("%s: %s", given, err.message);
        assert_true(s.run.batching);
        assert_int_equal(s.run.max_batch, good[i].max_batch);
        assert_int_equal(s.run.max_delay_us, good[i].delay);
        assert_int_equal(s.run.max_queue, good[i].max_queue);
        assert_int_equal(s.run.preferred_count, good[i].sizes);
        assert_int_equal(threads, good[i].threads);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (hone_batching_parameters_parse(bad[i], strlen(bad[i]), &s, &threads, &err) !=
            HONE_INVALID_ARGUMENT)
            fail_msg("%s", bad[i]);
    /* a model's own settings go before them */
    const char *sizes = "max_batch_size { value: 8 } allowed_batch_sizes: 2 allowed_batch_sizes: 8 "
                        "batch_timeout_micros { value: 5 }";
    assert_int_equal(hone_batching_parameters_parse(sizes, strlen(sizes), &s, &threads, &err), HONE_OK);
    const char *own = "{\"batching\": {\"max_batch_size\": 4}, \"threads\": 2}";
    assert_int_equal(hone_model_settings_parse(own, strlen(own), &s, &over, &err), HONE_OK);
    assert_int_equal(over.run.max_batch, 4);
    assert_int_equal(over.run.preferred_count, 0);
    assert_int_equal(over.run.max_delay_us, 5);
    assert_int_equal(over.run.threads, 2);
    hone_model_settings_free(&over);
    assert_int_equal(hone_model_settings_parse("{}", 2, &s, &over, &err), HONE_OK);
    assert_true(hone_servable_settings_equal(&s.run, &over.run));
    hone_model_settings_free(&over);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_both_forms),      cmocka_unit_test(refuses),
        cmocka_unit_test(names_the_place),       cmocka_unit_test(bounds_everything),
        cmocka_unit_test(survives_broken_texts), cmocka_unit_test(survives_lack_of_memory),
        cmocka_unit_test(reads_settings),        cmocka_unit_test(reads_batching_parameters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
