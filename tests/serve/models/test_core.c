#include "serve/cores.h"
#include "serve/models.h"
#include "serve/models/discovery.h"

#include <hone/log.h>

#include <dirent.h>
#include <sys/resource.h>

/* --- which versions --- */

static void serves_the_latest(void **state) {
    (void)state;
    repo_put_plus("a", 1);
    repo_put_plus("a", 3);
    repo_put_plus("b", 7);
    start();
    assert_true(ask("a", HONE_LATEST) == 3);
    assert_true(ask("a", 3) == 3);
    assert_true(ask("a", 1) == -1);
    assert_true(ask("b", HONE_LATEST) == 7);
    assert_true(ask("c", HONE_LATEST) == -1);
    assert_int_equal(look_at("a", 3).state, HONE_VERSION_AVAILABLE);
    assert_int_equal(look_at("a", 1).count, 1);
}

static void follows_new_versions(bool polling) {
    hone_core_options o = options();
    o.polling = polling;
    repo_put_plus("a", 1);
    start_with(&o);
    for (int v = 2; v < 8; v++) {
        repo_put_plus("a", v);
        expect_answer("a", HONE_LATEST, (float)v);
        expect_state("a", v - 1, HONE_VERSION_END, "");
        assert_true(ask("a", v - 1) == -1);
    }
    repo_drop("a", 7); /* back to the one before */
    expect_answer("a", HONE_LATEST, 6);
    expect_state("a", 7, HONE_VERSION_END, "");
    repo_put_plus("new", 1); /* a model that was not there */
    expect_answer("new", HONE_LATEST, 1);
    /* a version that is written where it is to lie, slowly */
    repo_put_plus("hidden", 9);
    hone_blob blob;
    assert_int_equal(hone_file_read(repo_path("hidden/9/model.onnx"), 0, &blob, NULL), HONE_OK);
    repo_mkdir(repo_path("a/9"));
    usleep(30000);
    FILE *out = fopen(repo_path("a/9/model.onnx"), "wb");
    assert_non_null(out);
    for (size_t i = 0; i < blob.size; i++) {
        fputc(blob.data[i], out);
        fflush(out);
        if (i % 16 == 0) usleep(1000);
    }
    fclose(out);
    hone_blob_free(&blob);
    expect_answer("a", HONE_LATEST, 9);
    expect_state("a", 9, HONE_VERSION_AVAILABLE, "");
    /* at most the last few that ended are remembered */
    assert_true(look_at("a", 9).count <= 10);
}

static void follows_new_versions_by_inotify(void **state) {
    (void)state;
    follows_new_versions(false);
}
static void follows_new_versions_by_polling(void **state) {
    (void)state;
    follows_new_versions(true);
}

static void obeys_policies_and_labels(void **state) {
    (void)state;
    for (int v = 1; v < 5; v++) repo_put_plus("a", v);
    repo_text(repo_path("a/config.json"), "{\"version_policy\": {\"latest\": 2}}");
    start();
    hone_servable *s = NULL;
    hone_error err = {0};
    assert_true(ask("a", 4) == 4 && ask("a", 3) == 3 && ask("a", 2) == -1);
    assert_int_equal(hone_core_find_label(f.core, slice("a"), slice("stable"), &s, &err),
                     HONE_INVALID_ARGUMENT);
    assert_string_equal(err.message, "Unrecognized servable version label: stable");
    assert_int_equal(hone_core_find_label(f.core, slice("x"), slice("stable"), &s, &err), HONE_NOT_FOUND);

    char text[300];
    snprintf(text, sizeof text,
             "model_config_list { config { name: 'a' base_path: '%s/a' model_version_policy { specific { "
             "versions: 1 "
             "versions: 4 } } version_labels { key: 'stable' value: 1 } version_labels { key: 'canary' "
             "value: 4 } } }",
             repo_root);
    unlink(repo_path("a/config.json"));
    errand e;
    if (reload(&e, text) != HONE_OK) fail_msg("%s", e.task.err.message);
    assert_true(ask("a", 1) == 1 && ask("a", 4) == 4 && ask("a", 3) == -1);
    assert_int_equal(hone_core_find_label(f.core, slice("a"), slice("stable"), &s, NULL), HONE_OK);
    assert_int_equal(hone_servable_version(s), 1);
    hone_servable_release(s);

    /* a label of a version that is not loaded is refused, and stays where it was */
    snprintf(text, sizeof text,
             "model_config_list { config { name: 'a' base_path: '%s/a' model_version_policy { specific { "
             "versions: 1 "
             "versions: 4 } } version_labels { key: 'stable' value: 2 } } }",
             repo_root);
    assert_int_equal(reload(&e, text), HONE_FAILED_PRECONDITION);
    assert_non_null(strstr(e.task.err.message, "the label stable can't be given to version 2"));
    assert_int_equal(hone_core_find_label(f.core, slice("a"), slice("stable"), &s, NULL), HONE_OK);
    assert_int_equal(hone_servable_version(s), 1);
    hone_servable_release(s);
    assert_int_equal(hone_core_find_label(f.core, slice("a"), slice("canary"), &s, NULL),
                     HONE_INVALID_ARGUMENT);

    snprintf(text, sizeof text,
             "{\"modelConfigList\": {\"config\": [{\"name\": \"a\", \"basePath\": \"%s/a\", "
             "\"modelVersionPolicy\": "
             "{\"all\": {}}, \"versionLabels\": {\"stable\": 2}}]}}",
             repo_root);
    if (reload(&e, text) != HONE_OK) fail_msg("%s", e.task.err.message);
    for (int v = 1; v < 5; v++) assert_true(ask("a", v) == (float)v);
    assert_int_equal(hone_core_find_label(f.core, slice("a"), slice("stable"), &s, NULL), HONE_OK);
    assert_int_equal(hone_servable_version(s), 2);
    hone_servable_release(s);
}

/* Without watching, what is new is found when somebody says so. */
static void looks_when_told(void **state) {
    (void)state;
    hone_core_options o = options();
    o.file_poll_ms = 0;
    repo_put_plus("a", 1);
    start_with(&o);
    repo_put_plus("a", 2);
    repo_put_plus("b", 1);
    usleep(50000);
    assert_true(ask("a", HONE_LATEST) == 1 && ask("b", HONE_LATEST) == -1);
    hone_core_poke(f.core);
    expect_answer("a", HONE_LATEST, 2);
    expect_answer("b", HONE_LATEST, 1);
    errand e;
    repo_put_plus("a", 3);
    assert_int_equal(refresh(&e), HONE_OK);
    assert_true(ask("a", HONE_LATEST) == 3);
}

static int model_count;
static void count_model(void *user, const char *name, const hone_servable *latest) {
    (void)name;
    model_count++;
    *(int *)user += latest != NULL;
}

static void replaces_the_whole_set(void **state) {
    (void)state;
    char text[400], config[100];
    snprintf(config, sizeof config, "%s", repo_path(".models.config"));
    hone_core_options o = options();
    errand e;
    for (int v = 1; v < 3; v++)
        for (const char *name = "abc"; *name; name++) repo_put_plus((char[]){*name, 0}, v);
    o.repository = NULL;
    o.config_file = config;
    o.config_poll_ms = 20;
#define ENTRY "config { name: '%c' base_path: '%s/%c' } "
    snprintf(text, sizeof text, "model_config_list { " ENTRY ENTRY "}", 'a', repo_root, 'a', 'b', repo_root,
             'b');
    repo_text(config, text);
    start_with(&o);
    assert_true(ask("a", HONE_LATEST) == 2 && ask("b", HONE_LATEST) == 2 && ask("c", HONE_LATEST) == -1);
    snprintf(text, sizeof text, "model_config_list { " ENTRY ENTRY "}", 'b', repo_root, 'b', 'c', repo_root,
             'c');
    repo_text(config, text);
    WAIT_FOR(ask("a", HONE_LATEST) == -1);
    expect_answer("c", HONE_LATEST, 2);
    assert_true(ask("b", HONE_LATEST) == 2);
    /* a broken file changes nothing */
    repo_text(config, "model_config_list { config { name:");
    assert_int_equal(refresh(&e), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(e.task.err.file, ".models.config"));
    assert_true(ask("b", HONE_LATEST) == 2 && ask("c", HONE_LATEST) == 2);
    /* a set with something missing: the rest is served, and the missing is told */
    snprintf(text, sizeof text, "model_config_list { " ENTRY ENTRY "}", 'a', repo_root, 'a', 'x', repo_root,
             'x');
    assert_int_equal(reload(&e, text), HONE_NOT_FOUND);
    assert_non_null(strstr(e.task.err.message, "model x"));
    assert_true(ask("a", HONE_LATEST) == 2 && ask("b", HONE_LATEST) == -1 && ask("c", HONE_LATEST) == -1);
    model_count = 0;
    int loaded = 0;
    WAIT_FOR((model_count = loaded = 0, hone_core_models(f.core, count_model, &loaded) == 2));
    assert_int_equal(loaded, 1);
    assert_int_equal(reload(&e, ""), HONE_OK);
    assert_true(ask("a", HONE_LATEST) == -1);
}

static int64_t served(const hone_registry *g, const char *name) {
    const hone_record *r = hone_registry_find(g, name, strlen(name));
    for (size_t i = 0; r && i < r->count; i++)
        if (r->versions[i]->servable) return r->versions[i]->number;
    return -1;
}

/* A configuration that is being written is left alone until it looks the same twice. */
static void waits_for_a_whole_configuration(void **state) {
    (void)state;
    char text[300], config[100];
    hone_core_options o = options();
    hone_registry g;
    hone_stats *stats;
    hone_discovery d = {.registry = &g};
    snprintf(config, sizeof config, "%s", repo_path(".models.config"));
    o.repository = NULL;
    o.config_file = config;
    repo_put_plus("a", 1);
    repo_put_plus("b", 2);
    assert_int_equal(hone_stats_new(&stats, NULL), HONE_OK);
    hone_registry_init(&g, 1, 1, stats);
    assert_int_equal(hone_registry_configure(&g, &o, NULL), HONE_OK);
    assert_int_equal(hone_watch_new(true, &d.watch, NULL), HONE_OK);
    snprintf(text, sizeof text, "model_config_list { " ENTRY "}", 'a', repo_root, 'a');
    repo_text(config, text);
    assert_int_equal(hone_discovery_read_config(&d, true, NULL), HONE_OK);
    assert_true(served(&g, "a") == 1);
    repo_text(config, ""); /* as after fopen(…, "w"): it would be a set of no models */
    assert_int_equal(hone_discovery_read_config(&d, false, NULL), HONE_OK);
    assert_true(served(&g, "a") == 1);
    snprintf(text, sizeof text, "model_config_list { " ENTRY "}", 'b', repo_root, 'b');
    repo_text(config, text);
    assert_int_equal(hone_discovery_read_config(&d, false, NULL), HONE_OK);
    assert_true(served(&g, "a") == 1 && served(&g, "b") == -1);
    assert_int_equal(hone_discovery_read_config(&d, false, NULL), HONE_OK);
    assert_true(served(&g, "a") == -1 && served(&g, "b") == 2);
    repo_text(config, ""); /* who says so need not wait */
    assert_int_equal(hone_discovery_read_config(&d, true, NULL), HONE_OK);
    assert_true(served(&g, "b") == -1);
    hone_registry_free(&g);
    hone_discovery_free(&d);
    hone_stats_free(stats);
}

/* What a request over the network may name lies in the repository, if there is one. */
static void keeps_reloads_inside(void **state) {
    (void)state;
    repo_put_plus("a", 1);
    start();
    errand e;
    char text[200];
    assert_int_equal(reload(&e, "model_config_list { config { name: 'e' base_path: '/etc' } }"),
                     HONE_INVALID_ARGUMENT);
    snprintf(text, sizeof text, "model_config_list { config { name: 'e' base_path: '%s/../../etc' } }",
             repo_root);
    assert_int_not_equal(reload(&e, text), HONE_OK);
    snprintf(text, sizeof text, "model_config_list { config { name: 'e' base_path: '%s/a' } }", repo_root);
    assert_int_equal(reload(&e, text), HONE_OK);
    assert_true(ask("e", HONE_LATEST) == 1 && ask("a", HONE_LATEST) == 1);
}

static void loads_and_unloads(void **state) {
    (void)state;
    repo_put_plus("a", 1);
    repo_put_plus("b", 1);
    start();
    errand e;
    assert_int_equal(unload(&e, "a"), HONE_OK);
    assert_true(ask("a", HONE_LATEST) == -1);
    expect_state("a", 1, HONE_VERSION_END, "");
    repo_put_plus("a", 2); /* stays unloaded */
    repo_put_plus("b", 2);
    expect_answer("b", HONE_LATEST, 2);
    usleep(100000);
    assert_true(ask("a", HONE_LATEST) == -1);
    int loaded = 0;
    assert_int_equal(hone_core_models(f.core, count_model, &loaded), 2);
    assert_int_equal(loaded, 1);
    assert_int_equal(load(&e, "a", NULL), HONE_OK);
    assert_true(ask("a", HONE_LATEST) == 2);
    assert_int_equal(load(&e, "nothing", NULL), HONE_NOT_FOUND);
    assert_int_equal(unload(&e, "nothing"), HONE_NOT_FOUND);
    assert_int_equal(load(&e, "a", "{\"limits\": {\"queue\": 5}}"), HONE_OK);
    hone_servable *s = hone_core_find(f.core, slice("a"), 2);
    assert_int_equal(s->settings.max_queue, 5);
    assert_int_equal(s->max_queue, 5);
    hone_servable_release(s);
    assert_int_equal(load(&e, "a", "{\"limit\": 5}"), HONE_INVALID_ARGUMENT);
    /* one in memory */
    hone_graph *g = repo_graph(9, 3, 0, "x");
    assert_int_equal(hone_core_add(f.core, "memory", 4, g, NULL), HONE_OK);
    assert_int_equal(hone_core_add(f.core, "memory", 4, g, NULL), HONE_ALREADY_EXISTS);
    assert_int_equal(hone_core_add(f.core, "a", 4, g, NULL), HONE_ALREADY_EXISTS);
    assert_true(ask("memory", 4) == 9);
    assert_int_equal(unload(&e, "memory"), HONE_OK);
    assert_true(ask("memory", 4) == -1);
    WAIT_FOR(look_at("memory", 4).count == 0);
    assert_int_equal(hone_core_add(f.core, "memory", 4, g, NULL), HONE_OK);
    hone_graph_free(g);
}

static hone_servable_settings settings_of(const char *name) {
    hone_servable *s = hone_core_find(f.core, slice(name), HONE_LATEST);
    assert_non_null(s);
    hone_servable_settings is = s->settings;
    hone_servable_release(s);
    return is;
}

static void changes_settings_live(void **state) {
    (void)state;
    repo_put_plus("a", 1);
    start();
    hone_servable *old = hone_core_find(f.core, slice("a"), 1);
    assert_true(old->settings.batching);
    repo_text(repo_path("a/config.json"),
              "{\"batching\": {\"enabled\": false}, \"threads\": 2, \"dims\": {\"n\": 3}}");
    WAIT_FOR(!settings_of("a").batching);
    assert_int_equal(settings_of("a").threads, 2);
    assert_int_equal(settings_of("a").dim_count, 1);
    assert_true(ask("a", 1) == 1);
    assert_true(old->settings.batching); /* who has it goes on with it */
    hone_servable_release(old);
    /* what is wrong is told, and changes nothing */
    repo_text(repo_path("a/config.json"), "{\"batch\": 3}");
    expect_state("a", 1, HONE_VERSION_AVAILABLE, "no field \"batch\"");
    assert_false(settings_of("a").batching);
}

/* It stays in the version's state as long as it holds, whatever is looked at meanwhile. */
static void says_why_nothing_is_padded(void **state) {
    (void)state;
    errand e;
    repo_put("a", 1, lengths_model("ReduceMean"));
    repo_text(repo_path("a/config.json"), "{\"pad\": true}");
    start();
    expect_state("a", 1, HONE_VERSION_AVAILABLE, "requests are not padded: \"y\" changes by ");
    assert_int_equal(refresh(&e), HONE_OK);
    expect_state("a", 1, HONE_VERSION_AVAILABLE, "requests are not padded: \"y\" changes by ");
    repo_text(repo_path("a/config.json"), "{\"pad\": 3}");
    expect_state("a", 1, HONE_VERSION_AVAILABLE, "\"pad\" is neither true, false nor an object");
    repo_text(repo_path("a/config.json"), "{}");
    expect_state("a", 1, HONE_VERSION_AVAILABLE, "");
}

/* Settings of the API hold until the file changes, or until the model is loaded without any; a restart
 * forgets them. */
static void follows_the_last_word_on_settings(void **state) {
    (void)state;
    errand e;
    repo_put_plus("a", 1);
    repo_text(repo_path("a/config.json"), "{\"limits\": {\"rows\": 1}}");
    start();
    assert_int_equal(settings_of("a").max_rows, 1);
    assert_int_equal(load(&e, "a", "{\"limits\": {\"queue\": 8}}"), HONE_OK);
    assert_int_equal(settings_of("a").max_queue, 8);
    assert_int_equal(settings_of("a").max_rows, 0); /* the whole of them, not some on top of the file's */
    /* looking again, and new versions, change nothing */
    assert_int_equal(refresh(&e), HONE_OK);
    repo_put_plus("a", 2);
    expect_answer("a", HONE_LATEST, 2);
    assert_int_equal(settings_of("a").max_queue, 8);
    unlink(repo_path("a/config.json"));
    assert_int_equal(refresh(&e), HONE_OK);
    assert_int_equal(settings_of("a").max_queue, 8);
    /* the file does, when it is there anew */
    repo_text(repo_path("a/config.json"), "{\"limits\": {\"rows\": 3}}");
    WAIT_FOR(settings_of("a").max_rows == 3);
    assert_int_equal(settings_of("a").max_queue, 0);
    /* loading with settings, then without */
    assert_int_equal(load(&e, "a", "{\"limits\": {\"rows\": 4}}"), HONE_OK);
    assert_int_equal(settings_of("a").max_rows, 4);
    assert_int_equal(load(&e, "a", "{\"limits\": {\"rows\": -4}}"), HONE_INVALID_ARGUMENT);
    assert_int_equal(settings_of("a").max_rows, 4);
    assert_int_equal(load(&e, "a", NULL), HONE_OK);
    assert_int_equal(settings_of("a").max_rows, 3);
    unlink(repo_path("a/config.json"));
    assert_int_equal(load(&e, "a", NULL), HONE_OK);
    assert_int_equal(settings_of("a").max_rows, 0);
    assert_int_equal(load(&e, "a", "{\"limits\": {\"rows\": 5}}"), HONE_OK);
    stop();
    start();
    assert_int_equal(settings_of("a").max_rows, 0);
}

/* What a model's own settings don't say is as the core was told, wherever the model comes from. */
static void has_defaults_for_settings(void **state) {
    (void)state;
    errand e;
    hone_model_settings defaults = HONE_MODEL_SETTINGS_INIT;
    hone_core_options o = options();
    defaults.run.max_batch = 8;
    defaults.run.max_delay_us = 100;
    o.defaults = &defaults;
    repo_put_plus("a", 1);
    repo_put_plus("b", 1);
    repo_text(repo_path("b/config.json"), "{\"batching\": {\"max_batch_size\": 2}}");
    start_with(&o);
    hone_graph *g = repo_graph(9, 3, 0, "x");
    assert_int_equal(hone_core_add(f.core, "memory", 1, g, NULL), HONE_OK);
    hone_graph_free(g);
    assert_true(settings_of("a").max_batch == 8 && settings_of("a").max_delay_us == 100);
    assert_true(settings_of("b").max_batch == 2 && settings_of("b").max_delay_us == 100);
    assert_true(settings_of("memory").max_batch == 8);
    assert_int_equal(load(&e, "a", "{\"batching\": {\"max_delay_us\": 0}}"), HONE_OK);
    assert_true(settings_of("a").max_batch == 8 && settings_of("a").max_delay_us == 0);
}

/* --- what goes wrong --- */

static void goes_on_when_files_go_wrong(void **state) {
    (void)state;
    repo_put_plus("a", 1);
    start();
    /* garbage over the file */
    repo_write(repo_path("a/1/model.onnx"), "garbage garbage garbage", 23);
    expect_state("a", 1, HONE_VERSION_AVAILABLE, "are not taken over; what was loaded goes on");
    assert_true(ask("a", 1) == 1);
    /* another model over the file */
    hone_graph *g = repo_graph(5, 4, 0, "x");
    assert_int_equal(hone_graph_save(g, repo_path("a/1/model.onnx"), NULL), HONE_OK);
    expect_state("a", 1, HONE_VERSION_AVAILABLE, "another one: its input \"x\"");
    assert_true(ask("a", 1) == 1);
    /* as a version of its own it is fine */
    repo_put("a", 2, g);
    expect_answer("a", 2, 5);
    expect_state("a", 1, HONE_VERSION_END, "");
    /* a better one of the same kind is taken over */
    g = repo_graph(6, 4, 0, "x");
    assert_int_equal(hone_graph_save(g, repo_path("a/2/model.onnx"), NULL), HONE_OK);
    hone_graph_free(g);
    expect_answer("a", 2, 6);
    expect_state("a", 2, HONE_VERSION_AVAILABLE, "");
    /* no file, then no directory, then no model */
    unlink(repo_path("a/2/model.onnx"));
    repo_drop("a", 1);
    expect_state("a", 2, HONE_VERSION_AVAILABLE, "its files are gone");
    assert_true(ask("a", 2) == 6);
    assert_int_equal(hone_dir_remove(repo_path("a"), NULL), HONE_OK);
    usleep(60000);
    expect_state("a", 2, HONE_VERSION_AVAILABLE, "its files are gone");
    assert_true(ask("a", 2) == 6);
    /* and back */
    repo_put_plus("a", 3);
    expect_answer("a", HONE_LATEST, 3);
    expect_state("a", 2, HONE_VERSION_END, "");
}

/* Several times, ever less often: it stands in the metrics. */
static void expect_tries(const char *name, int count) {
    char *metrics, series[100];
    snprintf(series, sizeof series, "hone_model_loads_total{model=\"%s\",result=\"failed\"} ", name);
    for (int i = 0; i < WAIT_MS / 10; i++, usleep(10000)) {
        assert_int_equal(hone_metrics_write(hone_stats_metrics(f.stats), &metrics, NULL, NULL), HONE_OK);
        const char *failed = strstr(metrics, series);
        assert_non_null(failed);
        double tries = atof(failed + strlen(series));
        hone_metrics_free_text(metrics);
        if (tries >= count) return;
    }
    fail_msg("%s is not tried again", name);
}

static void tries_again(void **state) {
    (void)state;
    repo_put_plus("a", 1);
    repo_put_plus("good", 9);
    start();
    repo_mkdir(repo_path("a/2"));
    repo_text(repo_path("a/2/model.onnx"), "no model");
    expect_state("a", 2, HONE_VERSION_END, "model.onnx");
    assert_int_equal(look_at("a", 2).code, HONE_CORRUPT);
    assert_true(ask("a", HONE_LATEST) == 1);
    assert_int_equal(look_at("a", 1).state, HONE_VERSION_AVAILABLE);
    expect_tries("a", 3);
    hone_blob blob;
    assert_int_equal(hone_file_read(repo_path("good/9/model.onnx"), 0, &blob, NULL), HONE_OK);
    repo_write(repo_path("a/2/model.onnx"), blob.data, blob.size);
    hone_blob_free(&blob);
    expect_answer("a", 2, 9);
    expect_state("a", 2, HONE_VERSION_AVAILABLE, "");
}

static atomic_int complaints;
static void count_complaints(void *user, hone_log_level level, const char *message) {
    (void)user;
    if (level == HONE_LOG_ERROR && strstr(message, "model a version 1: ")) atomic_fetch_add(&complaints, 1);
}

/* However often it is tried, what is wrong is said once. */
static void complains_once(void **state) {
    (void)state;
    hone_log_set(count_complaints, NULL, HONE_LOG_ERROR);
    atomic_store(&complaints, 0);
    repo_put_garbage("a", 1);
    start();
    expect_tries("a", 4);
    assert_int_equal(atomic_load(&complaints), 1);
    stop();
    hone_log_set(NULL, NULL, HONE_LOG_INFO);
}

/* The last warning that was logged. */
static char warning[1024];
static void keep_warning(void *user, hone_log_level level, const char *message) {
    (void)user;
    if (level == HONE_LOG_WARNING) snprintf(warning, sizeof warning, "%s", message);
}

/* A restart makes no outage of a version that can't be loaded. */
static void falls_back(hone_reload_policy policy) {
    for (int v = 1; v <= 2; v++) repo_put_plus("a", v);
    for (int v = 3; v <= 5; v++) repo_put_garbage("a", v);
    hone_core_options o = options();
    hone_error err = {0};
    o.reload = policy;
    o.repository = NULL; /* it is named: without any version it would be an error */
    hone_log_set(keep_warning, NULL, HONE_LOG_WARNING);
    make_core(&o);
    assert_int_equal(hone_core_add_path(f.core, "a", repo_path("a"), NULL), HONE_OK);
    if (start_core(f.core, &err) != HONE_OK) fail_msg("%s", err.message);
    assert_true(ask("a", HONE_LATEST) == 2);
    assert_non_null(strstr(warning, "model a: version 5 can't be loaded ("));
    assert_non_null(strstr(warning, "; version 2 is served instead"));
    for (int v = 3; v <= 5; v++) {
        assert_int_equal(look_at("a", v).state, HONE_VERSION_END);
        assert_int_equal(look_at("a", v).code, HONE_CORRUPT);
    }
    assert_int_equal(look_at("a", 1).state, 0); /* nobody needed it */
    assert_int_equal(look_at("a", 2).state, HONE_VERSION_AVAILABLE);
    assert_true(metrics_have("hone_model_fallback{model=\"a\",version=\"2\"} 1"));
    errand e;
    assert_int_equal(load(&e, "a", NULL), HONE_CORRUPT); /* who asks for it is told */
    assert_true(ask("a", HONE_LATEST) == 2);
    /* what goes wrong with it later does not take it away */
    repo_drop("a", 1);
    assert_int_equal(refresh(&e), HONE_OK);
    assert_true(ask("a", HONE_LATEST) == 2);
    /* an older one is as little wanted as this one */
    repo_copy(repo_path("a/2/model.onnx"), repo_path("a/4/model.onnx"));
    assert_int_equal(refresh(&e), HONE_OK);
    assert_true(ask("a", HONE_LATEST) == 2);
    assert_true(ask("a", 4) ==
                (policy == HONE_RELOAD_REPLACE ? 2 : -1)); /* there it is asked who is the newest */
    /* the wanted one takes over when it can be loaded */
    repo_put_plus("good", 6);
    repo_copy(repo_path("good/6/model.onnx"), repo_path("a/5/model.onnx"));
    expect_answer("a", 5, 6);
    expect_state("a", 2, HONE_VERSION_END, "");
    WAIT_FOR(!metrics_have("hone_model_fallback{"));
    /* and when the next one can't, it stays */
    repo_put_garbage("a", 7);
    expect_state("a", 7, HONE_VERSION_END, "model.onnx");
    WAIT_FOR(metrics_have("hone_model_fallback{model=\"a\",version=\"5\"} 1"));
    assert_true(ask("a", HONE_LATEST) == 6);
    assert_int_equal(unload(&e, "a"), HONE_OK); /* what is unloaded has none */
    assert_true(ask("a", HONE_LATEST) == -1);
    stop();
    hone_log_set(NULL, NULL, HONE_LOG_INFO);
}

static void falls_back_to_older_versions(void **state) {
    (void)state;
    falls_back(HONE_RELOAD_OVERLAP);
}
static void falls_back_when_it_replaces(void **state) {
    (void)state;
    falls_back(HONE_RELOAD_REPLACE);
}

/* Versions that were named one by one have no others in their place. */
static void serves_no_version_that_was_not_named(void **state) {
    (void)state;
    repo_put_plus("a", 1);
    repo_put_garbage("a", 2);
    repo_text(repo_path("a/config.json"), "{\"version_policy\": {\"specific\": [2]}}");
    start();
    assert_int_equal(look_at("a", 2).code, HONE_CORRUPT);
    assert_true(ask("a", HONE_LATEST) == -1);
}

/* A recorded request that fails stands in the way of its version. */
static void proves_versions(void **state) {
    (void)state;
    repo_put_plus("a", 1);
    start();
    repo_put_plus(".b", 2);
    repo_mkdir(repo_path(".b/2/warmup/r0"));
    const uint8_t two[] = {0x08, 1, 0x08, 2, 0x10, 1, 0x4a, 8, 0, 0, 0, 0, 0, 0, 0, 0};
    repo_write(repo_path(".b/2/warmup/r0/input_0.pb"), two, sizeof two);
    assert_int_equal(rename(repo_path(".b/2"), repo_path("a/2")), 0);
    expect_state("a", 2, HONE_VERSION_END, "recorded request 0 fails: input \"x\" has the shape [1, 2]");
    assert_true(ask("a", HONE_LATEST) == 1);
}

static void needs_what_was_named(void **state) {
    (void)state;
    hone_core_options o = options();
    hone_error err = {0};
    repo_put_plus("a", 1);
    o.repository = NULL;
    make_core(&o);
    assert_int_equal(hone_core_add_path(f.core, "a", repo_path("a"), NULL), HONE_OK);
    assert_int_equal(hone_core_add_path(f.core, "a", repo_path("a"), NULL), HONE_ALREADY_EXISTS);
    assert_int_equal(hone_core_add_path(f.core, "a/b", repo_path("a"), NULL), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_core_add_path(f.core, "f", repo_path("a/1/model.onnx"), NULL), HONE_OK);
    assert_int_equal(start_core(f.core, &err), HONE_OK);
    assert_true(ask("a", 1) == 1 && ask("f", 1) == 1);
    /* the file itself is watched, too */
    hone_graph *g = repo_graph(4, 3, 0, "x");
    assert_int_equal(hone_graph_save(g, repo_path("a/1/model.onnx"), NULL), HONE_OK);
    hone_graph_free(g);
    expect_answer("f", 1, 4);
    expect_answer("a", 1, 4);
    stop();
    const char *const bad[] = {"none", "a/1"};
    for (int i = 0; i < 2; i++) {
        make_core(&o);
        assert_int_equal(hone_core_add_path(f.core, "a", repo_path("a"), NULL), HONE_OK);
        assert_int_equal(hone_core_add_path(f.core, "b", repo_path("%s", bad[i]), NULL), HONE_OK);
        assert_int_equal(start_core(f.core, &err), HONE_NOT_FOUND);
        assert_non_null(strstr(err.message, "model b"));
        stop();
    }
    repo_mkdir(repo_path("c/1"));
    repo_text(repo_path("c/1/model.onnx"), "x");
    make_core(&o);
    assert_int_equal(hone_core_add_path(f.core, "c", repo_path("c"), NULL), HONE_OK);
    assert_int_equal(start_core(f.core, &err), HONE_CORRUPT);
}

/* --- priority --- */

/* The threads of that name in this process, and the lowest priority (highest nice value) among them. */
static int threads_named(const char *name, int *lowest) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (const struct dirent *e; (e = readdir(tasks));) {
        char path[300], line[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        bool same = fgets(line, sizeof line, file) && strncmp(line, name, strlen(name)) == 0;
        fclose(file);
        if (!same) continue;
        int level = getpriority(PRIO_PROCESS, (id_t)atoi(e->d_name));
        if (count++ == 0 || level > *lowest) *lowest = level;
    }
    closedir(tasks);
    return count;
}

/* What is loaded beside requests is made at a lower priority, and runs at that of all. */
static void keeps_priority(void **state) {
    (void)state;
    int lowest = 0, mine = getpriority(PRIO_PROCESS, 0);
    repo_put_plus("a", 1);
    start();
    assert_int_equal(threads_named("hone-worker", &lowest), 0);
    repo_put("b", 1, repo_graph(1, 1024, 4 << 20, "x")); /* much to pack: by several threads */
    repo_text(repo_path("b/config.json"), "{\"threads\": 2}");
    expect_answer("b", 1, 1);
    WAIT_FOR(threads_named("hone-worker", &lowest) == 1);
    assert_int_equal(lowest, mine);
}

/* --- metrics --- */

static void counts_and_forgets(void **state) {
    (void)state;
    repo_put_plus("a", 1);
    start();
    assert_true(metrics_have("hone_model_state{model=\"a\",version=\"1\",state=\"AVAILABLE\"} 1"));
    assert_true(metrics_have("hone_model_bytes{model=\"a\",version=\"1\"} "));
    assert_true(metrics_have("hone_model_loads_total{model=\"a\",result=\"ok\"} 1"));
    assert_true(metrics_have("hone_queue_depth{model=\"a\"} 0"));
    repo_put_plus("a", 2);
    expect_state("a", 1, HONE_VERSION_END, "");
    assert_true(metrics_have("hone_model_state{model=\"a\",version=\"2\",state=\"AVAILABLE\"} 1"));
    assert_false(metrics_have("version=\"1\",state=\"AVAILABLE\""));
    assert_false(metrics_have("hone_model_bytes{model=\"a\",version=\"1\"}"));
    /* a model that is gone leaves nothing */
    errand e;
    assert_int_equal(unload(&e, "a"), HONE_OK);
    expect_state("a", 2, HONE_VERSION_END, "");
    assert_false(metrics_have("hone_model_bytes{"));
    assert_int_equal(hone_dir_remove(repo_path("a"), NULL), HONE_OK);
    WAIT_FOR(look_at("a", 1).count == 0);
    WAIT_FOR(!metrics_have("model=\"a\""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(serves_the_latest),
        TEST(follows_new_versions_by_inotify),
        TEST(follows_new_versions_by_polling),
        TEST(obeys_policies_and_labels),
        TEST(looks_when_told),
        TEST(replaces_the_whole_set),
        TEST(waits_for_a_whole_configuration),
        TEST(keeps_reloads_inside),
        TEST(loads_and_unloads),
        TEST(changes_settings_live),
        TEST(says_why_nothing_is_padded),
        TEST(follows_the_last_word_on_settings),
        TEST(has_defaults_for_settings),
        TEST(goes_on_when_files_go_wrong),
        TEST(tries_again),
        TEST(complains_once),
        TEST(falls_back_to_older_versions),
        TEST(falls_back_when_it_replaces),
        TEST(serves_no_version_that_was_not_named),
        TEST(proves_versions),
        TEST(needs_what_was_named),
        TEST(keeps_priority),
        TEST(counts_and_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
