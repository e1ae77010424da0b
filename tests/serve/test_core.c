#include "base/memory.h"
#include "serve/clock.h"
#include "serve/registry.h"
#include "serve/repo.h"

#include <hone/log.h>

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

enum { WAIT_MS = 20000 };

typedef struct fixture {
    hone_stats *stats;
    hone_core *core;
} fixture;

static fixture f;

static hone_slice slice(const char *text) {
    return (hone_slice){text, strlen(text)};
}

static hone_core_options options(void) {
    hone_core_options o = HONE_CORE_OPTIONS_INIT;
    o.repository = repo_root;
    o.file_poll_ms = 20;
    o.compute_threads = 1;
    o.retry_least = 20 * HONE_MILLISECOND;
    o.retry_most = 100 * HONE_MILLISECOND;
    return o;
}

static void make_core(const hone_core_options *o) {
    hone_error err = {0};
    assert_int_equal(hone_stats_new(&f.stats, NULL), HONE_OK);
    assert_int_equal(hone_core_new(3, 1, f.stats, &f.core, NULL), HONE_OK);
    if (hone_core_configure(f.core, o, &err) != HONE_OK) fail_msg("%s", err.message);
}

static void start_with(const hone_core_options *o) {
    hone_error err = {0};
    make_core(o);
    if (hone_core_start(f.core, &err) != HONE_OK) fail_msg("%s", err.message);
}

static void start(void) {
    hone_core_options o = options();
    start_with(&o);
}

static void stop(void) {
    hone_core_free(f.core);
    hone_stats_free(f.stats);
    f = (fixture){0};
}

static int setup(void **state) {
    (void)state;
    repo_make();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    if (f.core) stop();
    repo_remove();
    return 0;
}

/* --- looking --- */

typedef struct look {
    int64_t version; /* to look at */
    hone_version_state state;
    hone_status code;
    char message[512];
    int count;
} look;

static void see(void *user, const hone_version_status *v) {
    look *l = user;
    l->count++;
    if (v->version != l->version) return;
    l->state = v->state;
    l->code = v->code;
    snprintf(l->message, sizeof l->message, "%s", v->message);
}

static look look_at(const char *name, int64_t version) {
    look l = {.version = version};
    hone_core_states(f.core, slice(name), see, &l);
    return l;
}

#define WAIT_FOR(condition)                                                                                  \
    do {                                                                                                     \
        int left_ = WAIT_MS / 2;                                                                             \
        while (!(condition) && left_-- > 0) usleep(2000);                                                    \
        if (left_ < 0) fail_msg("not in time: %s", #condition);                                              \
    } while (0)

static void expect_state(const char *name, int64_t version, hone_version_state state, const char *message) {
    look l = {0};
    for (int i = 0; i < WAIT_MS / 2; i++, usleep(2000)) {
        l = look_at(name, version);
        if (l.state == state && (*message ? strstr(l.message, message) != NULL : !l.message[0])) return;
    }
    fail_msg("%s version %lld is %s, \"%s\"; expected %s, \"%s\"", name, (long long)version,
             hone_version_state_name(l.state), l.message, hone_version_state_name(state), message);
}

/* What the version that is found adds to its input; -1: there is none. */
static float ask(const char *name, int64_t version) {
    hone_servable *s = hone_core_find(f.core, slice(name), version);
    if (!s) return -1;
    int64_t dims[] = {1, hone_servable_input(s, 0)->dims[1]};
    hone_tensor *x = NULL;
    const hone_tensor *out = NULL;
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 2, dims, &x, NULL), HONE_OK);
    const hone_tensor *inputs[] = {x};
    float y = -2;
    if (hone_servable_run(s, 2, inputs, &out, NULL, NULL, NULL) == HONE_OK) y = ((float *)out->data)[0];
    hone_tensor_free(x);
    hone_servable_release(s);
    return y;
}

static void expect_answer(const char *name, int64_t version, float y) {
    float is = 0;
    for (int i = 0; i < WAIT_MS / 2; i++, usleep(2000))
        if ((is = ask(name, version)) == y) return;
    fail_msg("%s answers %g, not %g", name, (double)is, (double)y);
}

/* --- asking the loader --- */

typedef struct errand {
    hone_core_task task;
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool done;
} errand;

static void was_done(hone_core_task *t, hone_status status, const hone_error *err) {
    errand *e = t->user;
    (void)status, (void)err;
    pthread_mutex_lock(&e->lock);
    e->done = true;
    pthread_cond_signal(&e->news);
    pthread_mutex_unlock(&e->lock);
}

static void begin(errand *e) {
    *e = (errand){.task = {.worker = -1, .done = was_done, .user = e},
                  .lock = PTHREAD_MUTEX_INITIALIZER,
                  .news = PTHREAD_COND_INITIALIZER};
}

static hone_status finish(errand *e) {
    pthread_mutex_lock(&e->lock);
    while (!e->done) pthread_cond_wait(&e->news, &e->lock);
    pthread_mutex_unlock(&e->lock);
    return e->task.status;
}

static hone_status load(errand *e, const char *name, const char *settings) {
    begin(e);
    hone_core_load_model(f.core, &e->task, slice(name), settings ? slice(settings) : (hone_slice){0});
    return finish(e);
}

static hone_status unload(errand *e, const char *name) {
    begin(e);
    hone_core_unload_model(f.core, &e->task, slice(name));
    return finish(e);
}

static hone_status set_settings(errand *e, const char *name, const char *settings) {
    begin(e);
    hone_core_set_settings(f.core, &e->task, slice(name), slice(settings));
    return finish(e);
}

static hone_status reload(errand *e, const char *config) {
    hone_model_set set;
    hone_error err = {0};
    if (hone_model_set_parse(config, strlen(config), &set, &err) != HONE_OK) fail_msg("%s", err.message);
    begin(e);
    hone_core_reload(f.core, &e->task, &set);
    return finish(e);
}

static hone_status refresh(errand *e) {
    begin(e);
    hone_core_refresh(f.core, &e->task);
    return finish(e);
}

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
    assert_int_equal(hone_servable_settings(s)->max_queue, 5);
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

static hone_model_settings settings_of(const char *name) {
    hone_servable *s = hone_core_find(f.core, slice(name), HONE_LATEST);
    assert_non_null(s);
    hone_model_settings is = *hone_servable_settings(s); /* the numbers in it */
    hone_servable_release(s);
    return is;
}

static void changes_settings_live(void **state) {
    (void)state;
    repo_put_plus("a", 1);
    start();
    hone_servable *old = hone_core_find(f.core, slice("a"), 1);
    assert_true(hone_servable_settings(old)->batching);
    repo_text(repo_path("a/config.json"), "{\"batching\": {\"enabled\": false}, \"threads\": 2}");
    WAIT_FOR(!settings_of("a").batching);
    assert_int_equal(settings_of("a").threads, 2);
    assert_true(ask("a", 1) == 1);
    assert_true(hone_servable_settings(old)->batching); /* who has it goes on with it */
    hone_servable_release(old);
    /* what is wrong is told, and changes nothing */
    repo_text(repo_path("a/config.json"), "{\"batch\": 3}");
    expect_state("a", 1, HONE_VERSION_AVAILABLE, "no field \"batch\"");
    assert_false(settings_of("a").batching);
}

/* Settings of the API hold until the file changes, or until the model is loaded without any; a restart forgets them. */
static void follows_the_last_word_on_settings(void **state) {
    (void)state;
    errand e;
    repo_put_plus("a", 1);
    repo_text(repo_path("a/config.json"), "{\"limits\": {\"rows\": 1}}");
    start();
    assert_int_equal(settings_of("a").max_rows, 1);
    assert_int_equal(set_settings(&e, "a", "{\"limits\": {\"queue\": 8}}"), HONE_OK);
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

/* --- what goes wrong --- */

static void goes_on_when_files_go_wrong(void **state) {
    (void)state;
    repo_put_plus("a", 1);
    start();
    /* garbage over the file */
    repo_write(repo_path("a/1/model.onnx"), "garbage garbage garbage", 23);
    expect_state("a", 1, HONE_VERSION_AVAILABLE, "is not taken over; what was loaded goes on");
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
    repo_mkdir(repo_path("a"));
    repo_mkdir(repo_path("a/1"));
    repo_text(repo_path("a/1/model.onnx"), "garbage");
    start();
    expect_tries("a", 4);
    assert_int_equal(atomic_load(&complaints), 1);
    stop();
    hone_log_set(NULL, NULL, HONE_LOG_INFO);
}

static bool metrics_have(const char *part) {
    char *text;
    assert_int_equal(hone_metrics_write(hone_stats_metrics(f.stats), &text, NULL, NULL), HONE_OK);
    bool has = strstr(text, part) != NULL;
    hone_metrics_free_text(text);
    return has;
}

static void repo_put_garbage(const char *name, int version) {
    repo_mkdir(repo_path("%s", name));
    repo_mkdir(repo_path("%s/%d", name, version));
    repo_text(repo_path("%s/%d/model.onnx", name, version), "garbage");
}

static void copy_model(const char *from, const char *to) {
    hone_blob blob;
    assert_int_equal(hone_file_read(from, 0, &blob, NULL), HONE_OK);
    repo_write(to, blob.data, blob.size);
    hone_blob_free(&blob);
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
    if (hone_core_start(f.core, &err) != HONE_OK) fail_msg("%s", err.message);
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
    copy_model(repo_path("a/2/model.onnx"), repo_path("a/4/model.onnx"));
    assert_int_equal(refresh(&e), HONE_OK);
    assert_true(ask("a", HONE_LATEST) == 2);
    assert_true(ask("a", 4) ==
                (policy == HONE_RELOAD_REPLACE ? 2 : -1)); /* there it is asked who is the newest */
    /* the wanted one takes over when it can be loaded */
    repo_put_plus("good", 6);
    copy_model(repo_path("good/6/model.onnx"), repo_path("a/5/model.onnx"));
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
    assert_int_equal(hone_core_start(f.core, &err), HONE_OK);
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
        assert_int_equal(hone_core_start(f.core, &err), HONE_NOT_FOUND);
        assert_non_null(strstr(err.message, "model b"));
        stop();
    }
    repo_mkdir(repo_path("c/1"));
    repo_text(repo_path("c/1/model.onnx"), "x");
    make_core(&o);
    assert_int_equal(hone_core_add_path(f.core, "c", repo_path("c"), NULL), HONE_OK);
    assert_int_equal(hone_core_start(f.core, &err), HONE_CORRUPT);
}

/* --- memory --- */

static size_t resident(void) {
    long pages = 0, size = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &size, &pages), 2);
    fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static bool is_sanitized(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}

static void gives_memory_back(void **state) {
    (void)state;
    bool large = getenv("HONE_LONG") != NULL;
    int64_t floats = (int64_t)(large ? 256 : 64) << 18;
    int rounds = large ? 20 : 3;
    hone_core_options o = options();
    o.compute_threads = 2;
    repo_put("big", 1, repo_graph(1, 256, floats, "x"));
    start_with(&o);
    errand e;
    expect_answer("big", 1, 1);
    size_t loaded = resident();
    assert_int_equal(unload(&e, "big"), HONE_OK);
    expect_state("big", 1, HONE_VERSION_END, "");
    size_t before = resident(), after = 0;
    for (int i = 0; i < rounds; i++) {
        assert_int_equal(load(&e, "big", NULL), HONE_OK);
        assert_true(ask("big", 1) == 1);
        assert_int_equal(unload(&e, "big"), HONE_OK);
        expect_state("big", 1, HONE_VERSION_END, "");
        after = resident();
    }
    print_message("loaded %zu MB, unloaded %zu MB, after %d more loads %zu MB\n", loaded >> 20, before >> 20,
                  rounds, after >> 20);
    if (is_sanitized()) return;
    assert_true(loaded > (size_t)floats * 4);
    assert_true(before < (size_t)floats * 4 / 2);
    assert_true((double)after <= (double)before * 1.05 + (1 << 20));
}

static void keeps_the_memory_limit(void **state) {
    (void)state;
    hone_core_options o = options();
    o.memory_limit = (size_t)24 << 20;
    repo_put("a", 1, repo_graph(1, 256, 1 << 20, "x")); /* 4 MB, in memory 8 and more */
    start_with(&o);
    expect_answer("a", 1, 1);
    repo_put("b", 1, repo_graph(1, 256, 4 << 20, "x"));
    expect_state("b", 1, HONE_VERSION_END, "of memory");
    assert_int_equal(look_at("b", 1).code, HONE_RESOURCE_EXHAUSTED);
    assert_true(ask("a", 1) == 1);
    errand e;
    assert_int_equal(load(&e, "b", NULL), HONE_RESOURCE_EXHAUSTED);
    repo_put_plus("c", 1); /* there is room for small ones */
    expect_answer("c", 1, 1);
    assert_int_equal(hone_dir_remove(repo_path("b"), NULL), HONE_OK);
    repo_put("b", 1, repo_graph(2, 256, 1 << 16, "x"));
    expect_answer("b", 1, 2);
    stop();
    assert_null(f.core);
}

static void replaces_before_loading(void **state) {
    (void)state;
    hone_core_options o = options();
    o.reload = HONE_RELOAD_REPLACE;
    o.memory_limit = (size_t)24 << 20;
    repo_put("a", 1, repo_graph(1, 256, 1 << 20, "x"));
    start_with(&o);
    expect_answer("a", 1, 1);
    for (int v = 2; v < 5; v++) { /* two at once would be too much */
        repo_put("a", v, repo_graph((float)v, 256, 1 << 20, "x"));
        expect_answer("a", v, (float)v);
        expect_state("a", v - 1, HONE_VERSION_END, "");
    }
}

static void survives_lack_of_memory(void **state) {
    (void)state;
    hone_graph *g = repo_graph(1, 3, 0, "x");
    assert_int_equal(hone_stats_new(&f.stats, NULL), HONE_OK);
    assert_int_equal(hone_core_new(3, 1, f.stats, &f.core, NULL), HONE_OK);
    int n = 0;
    for (hone_status status = HONE_OUT_OF_MEMORY; status != HONE_OK;) {
        hone_alloc_fail_at((uint64_t)++n, false);
        status = hone_core_add(f.core, "a", 1, g, NULL);
        hone_alloc_fail_at(0, false);
        assert_true(status == HONE_OK || status == HONE_OUT_OF_MEMORY);
        assert_true(n < 5000);
    }
    hone_graph_free(g);
    assert_true(n > 20);
    assert_true(ask("a", 1) == 1);
    stop();
    /* the loader's thread, too, only ever reports */
    repo_put_plus("a", 1);
    start();
    errand e;
    for (uint64_t k = 1; k < 400; k += 3) {
        repo_text(repo_path("a/config.json"), "{\"threads\": 1}");
        hone_alloc_fail_at(k, true);
        begin(&e);
        hone_core_load_model(f.core, &e.task, slice("a"), (hone_slice){0});
        finish(&e);
        hone_alloc_fail_at(0, false);
    }
    assert_int_equal(load(&e, "a", NULL), HONE_OK);
    assert_true(ask("a", 1) == 1);
}

/* --- traffic --- */

typedef struct client {
    pthread_t thread;
    int index;
    atomic_bool *stop;
    atomic_llong *greatest; /* version that was put there */
    long asked, failed;
    float last;
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool woken, deferred;
} client;

static void wake_client(void *user) {
    client *c = user;
    pthread_mutex_lock(&c->lock);
    c->woken = true;
    pthread_cond_signal(&c->news);
    pthread_mutex_unlock(&c->lock);
}
static void defer_client(void *user) {
    ((client *)user)->deferred = true;
}

typedef struct question {
    hone_prediction p;
    client *c;
    bool done;
} question;

static void answered(hone_prediction *p, hone_status status, const hone_tensor *const *outputs,
                     const hone_error *err) {
    question *q = p->user;
    q->done = true;
    q->c->asked++;
    float y = status == HONE_OK ? ((const float *)outputs[0]->data)[0] : -1;
    /* the version that is newest or was a moment ago, and never an older one than before */
    if (status != HONE_OK || y < q->c->last || y > (float)atomic_load(q->c->greatest)) {
        print_error("answer %g after %g: %s\n", (double)y, (double)q->c->last, err->message);
        q->c->failed++;
    }
    if (y > q->c->last) q->c->last = y;
}

static void *ask_on(void *arg) {
    client *c = arg;
    float zeros[8 * 3] = {0};
    hone_tensor *x[3];
    for (int i = 0; i < 3; i++)
        hone_tensor_wrap(HONE_FLOAT32, 2, (int64_t[]){i * 2 + 1, 3}, zeros, &x[i], NULL);
    const hone_tensor *inputs[3][1] = {{x[0]}, {x[1]}, {x[2]}};
    while (!atomic_load(c->stop)) {
        question q[3];
        for (int i = 0; i < 3; i++) {
            hone_servable *s = hone_core_find(f.core, slice("a"), HONE_LATEST);
            q[i] = (question){.c = c};
            q[i].p = (hone_prediction){
                .servable = s, .inputs = inputs[i], .worker = c->index, .done = answered, .user = &q[i]};
            if (!s) {
                c->failed++;
                q[i].done = true;
                continue;
            }
            hone_core_submit(f.core, &q[i].p);
            hone_servable_release(s);
        }
        while (!q[0].done || !q[1].done || !q[2].done) {
            pthread_mutex_lock(&c->lock);
            while (!c->woken && !c->deferred) pthread_cond_wait(&c->news, &c->lock);
            c->woken = c->deferred = false;
            pthread_mutex_unlock(&c->lock);
            hone_core_turn(f.core, c->index);
        }
        usleep(200);
    }
    for (int i = 0; i < 3; i++) hone_tensor_free(x[i]);
    return NULL;
}

static int by_time(const void *a, const void *b) {
    const float *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Asks one model for a while, or until `loads` loads and unloads of "big" are done; gives the 99th percentile of the
 * time to an answer in seconds. */
static double slowest(client *c, int milliseconds, int loads) {
    enum { MOST = 1 << 20 };
    static float times[MOST];
    int count = 0, left = loads;
    bool loading = false, busy = false;
    errand e;
    float zeros[3] = {0};
    hone_tensor *x = NULL;
    uint64_t end = hone_now() + (uint64_t)milliseconds * HONE_MILLISECOND;
    hone_tensor_wrap(HONE_FLOAT32, 2, (int64_t[]){1, 3}, zeros, &x, NULL);
    const hone_tensor *inputs[] = {x};
    while (loads ? left > 0 || busy : hone_now() < end) {
        if (busy) {
            pthread_mutex_lock(&e.lock);
            busy = !e.done;
            pthread_mutex_unlock(&e.lock);
            if (!busy) assert_int_equal(e.task.status, HONE_OK);
        }
        if (loads && !busy && left > 0) {
            busy = true;
            loading = !loading;
            if (!loading) left--;
            begin(&e);
            if (loading)
                hone_core_load_model(f.core, &e.task, slice("big"), (hone_slice){0});
            else
                hone_core_unload_model(f.core, &e.task, slice("big"));
        }
        question q = {.c = c};
        q.p = (hone_prediction){.servable = hone_core_find(f.core, slice("a"), 1),
                                .inputs = inputs,
                                .worker = c->index,
                                .done = answered,
                                .user = &q};
        uint64_t start = hone_now();
        hone_core_submit(f.core, &q.p);
        hone_servable_release(q.p.servable);
        while (!q.done) {
            pthread_mutex_lock(&c->lock);
            while (!c->woken && !c->deferred) pthread_cond_wait(&c->news, &c->lock);
            c->woken = c->deferred = false;
            pthread_mutex_unlock(&c->lock);
            hone_core_turn(f.core, c->index);
        }
        if (count < MOST) times[count++] = (float)(hone_now() - start) * 1e-9f;
        usleep(100);
    }
    hone_tensor_free(x);
    qsort(times, (size_t)count, sizeof *times, by_time);
    return (double)times[(size_t)count * 99 / 100];
}

/* A model of 256 MB (64 where it must go fast) comes and goes while another one is asked. */
static void loads_beside_traffic(void **state) {
    (void)state;
    bool large = getenv("HONE_LONG") != NULL;
    atomic_llong greatest = 1;
    client c = {.greatest = &greatest};
    pthread_mutex_init(&c.lock, NULL);
    pthread_cond_init(&c.news, NULL);
    repo_put_plus("a", 1);
    repo_put("big", 1, repo_graph(1, 256, (int64_t)(large ? 256 : 16) << 18, "x"));
    start();
    hone_core_attach(f.core, 0, &(hone_core_port){wake_client, defer_client, &c});
    errand e;
    assert_int_equal(unload(&e, "big"), HONE_OK);
    expect_state("big", 1, HONE_VERSION_END, "");
    double alone = slowest(&c, large ? 5000 : 300, 0);
    size_t before = resident();
    double beside = slowest(&c, 0, large ? 20 : 3);
    expect_state("big", 1, HONE_VERSION_END, "");
    size_t after = resident();
    print_message("p99 %.0f us alone, %.0f us while a model is loaded; %zu MB before, %zu MB after\n",
                  alone * 1e6, beside * 1e6, before >> 20, after >> 20);
    assert_int_equal(c.failed, 0);
    if (large && !is_sanitized()) {
        assert_true((double)after <= (double)before * 1.05 + (1 << 20));
        assert_true(beside <= 3 * alone || beside < 1e-3);
    }
    stop();
    pthread_mutex_destroy(&c.lock);
    pthread_cond_destroy(&c.news);
}

static void loses_nothing(double inline_cost, int changes) {
    hone_core_options o = options();
    o.inline_cost = inline_cost;
    atomic_bool done = false;
    atomic_llong greatest = 1;
    client *c = calloc(2, sizeof *c);
    assert_non_null(c);
    repo_put_plus("a", 1);
    start_with(&o);
    for (int i = 0; i < 2; i++) {
        c[i] = (client){.index = i, .stop = &done, .greatest = &greatest};
        pthread_mutex_init(&c[i].lock, NULL);
        pthread_cond_init(&c[i].news, NULL);
        hone_core_attach(f.core, i, &(hone_core_port){wake_client, defer_client, &c[i]});
    }
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&c[i].thread, NULL, ask_on, &c[i]), 0);
    errand e;
    for (int v = 2; v < 2 + changes; v++) {
        atomic_store(&greatest, v);
        repo_put_plus("a", v);
        assert_int_equal(load(&e, "a", NULL), HONE_OK);
        if (v % 10 == 0)
            assert_int_equal(set_settings(&e, "a", v % 20 ? "{}" : "{\"batching\": {\"max_batch_size\": 4}}"),
                             HONE_OK);
        if (v > 3) repo_drop("a", v - 2);
    }
    expect_answer("a", HONE_LATEST, (float)(1 + changes));
    atomic_store(&done, true);
    long asked = 0, failed = 0;
    for (int i = 0; i < 2; i++) {
        pthread_join(c[i].thread, NULL);
        asked += c[i].asked;
        failed += c[i].failed;
        assert_true(c[i].last >= (float)changes);
    }
    print_message("%d version changes under %ld predictions: %ld failed\n", changes, asked, failed);
    assert_int_equal(failed, 0);
    assert_true(asked > 3 * changes);
    stop();
    for (int i = 0; i < 2; i++) {
        pthread_mutex_destroy(&c[i].lock);
        pthread_cond_destroy(&c[i].news);
    }
    free(c);
}

static void changes_versions_under_traffic(void **state) {
    (void)state;
    loses_nothing(100e-6, 100);
}
static void changes_versions_under_queued_traffic(void **state) {
    (void)state;
    loses_nothing(-1, 50);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(serves_the_latest),
        TEST(follows_new_versions_by_inotify),
        TEST(follows_new_versions_by_polling),
        TEST(obeys_policies_and_labels),
        TEST(looks_when_told),
        TEST(replaces_the_whole_set),
        TEST(keeps_reloads_inside),
        TEST(loads_and_unloads),
        TEST(changes_settings_live),
        TEST(follows_the_last_word_on_settings),
        TEST(goes_on_when_files_go_wrong),
        TEST(tries_again),
        TEST(complains_once),
        TEST(falls_back_to_older_versions),
        TEST(falls_back_when_it_replaces),
        TEST(serves_no_version_that_was_not_named),
        TEST(proves_versions),
        TEST(needs_what_was_named),
        TEST(gives_memory_back),
        TEST(keeps_the_memory_limit),
        TEST(replaces_before_loading),
        TEST(survives_lack_of_memory),
        TEST(changes_versions_under_traffic),
        TEST(changes_versions_under_queued_traffic),
        TEST(loads_beside_traffic),
        TEST(counts_and_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
