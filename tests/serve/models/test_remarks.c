/* What is said of models that are not served, to whom it may concern. */
#include "serve/cores.h"

#include <hone/log.h>

/* --- what is heard --- */

typedef struct line {
    char text[400];
} line;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static line lines[100];
static int line_count;

static void hear(void *user, hone_log_level level, const char *message) {
    (void)user, (void)level;
    pthread_mutex_lock(&lock);
    if (line_count < 100) snprintf(lines[line_count++].text, sizeof lines->text, "%s", message);
    pthread_mutex_unlock(&lock);
}

/* How many lines have this in them? */
static int heard(const char *text) {
    int count = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < line_count; i++) count += strstr(lines[i].text, text) != NULL;
    pthread_mutex_unlock(&lock);
    return count;
}

static int listen(void **state) {
    line_count = 0;
    hone_log_set(hear, NULL, HONE_LOG_WARNING);
    return setup(state);
}

static int hush(void **state) {
    int status = teardown(state);
    hone_log_set(NULL, NULL, HONE_LOG_INFO);
    return status;
}

typedef struct sought {
    const char *name, *text;
    int count;
} sought;

static void seek(void *user, const char *name, const char *text) {
    sought *s = user;
    s->count += strcmp(name, s->name) == 0 && strstr(text, s->text);
}

static int listed(const char *name, const char *text) {
    sought s = {name, text, 0};
    hone_core_remarks(f.core, seek, &s);
    return s.count;
}

/* --- what is said --- */

static void says_what_is_wrong(void **state) {
    (void)state;
    errand e;
    repo_put_plus("good", 1);
    repo_put_plus("flat", 1);
    assert_int_equal(rename(repo_path("flat/1/model.onnx"), repo_path("flat/model.onnx")), 0);
    assert_int_equal(rmdir(repo_path("flat/1")), 0);
    repo_put_plus("named", 2);
    assert_int_equal(rename(repo_path("named/2"), repo_path("named/v2")), 0);
    repo_put_plus("twice", 7);
    repo_mkdir(repo_path("twice/07"));
    repo_copy(repo_path("twice/7/model.onnx"), repo_path("twice/07/model.onnx"));
    repo_put_plus("other", 1);
    assert_int_equal(rename(repo_path("other/1/model.onnx"), repo_path("other/1/net.onnx")), 0);
    repo_mkdir(repo_path("pipe/1"));
    assert_int_equal(mkfifo(repo_path("pipe/1/model.onnx"), 0600), 0);
    repo_mkdir(repo_path("empty"));
    repo_put_plus("co:lon", 1);
    assert_int_equal(symlink("/etc", repo_path("out")), 0);
    start();
    static const char *const said[][2] = {
        {"flat", "model.onnx lies beside the versions"},
        {"named", "v2 is no version"},
        {"twice", "07 is the same version as 7"},
        {"other", "version 1 has no model.onnx: rename net.onnx"},
        {"empty", "it has no version"},
        {"co:lon", "is not served: the model name"},
        {"out", "leads out of the repository"},
    };
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
            assert_int_equal(listed(said[i][0], said[i][1]), 1);
            assert_int_equal(heard(said[i][1]), 1);
        }
        assert_int_equal(heard("model pipe version 1: "), 1);
        assert_int_equal(look_at("pipe", 1).code, HONE_FAILED_PRECONDITION);
        assert_int_equal(listed("good", ""), 0);
        /* once, however often it is looked at */
        for (int k = 0; k < 5; k++) assert_int_equal(refresh(&e), HONE_OK);
    }
    assert_true(ask("twice", 7) == 7);
    /* what is put right is no more said */
    repo_mkdir(repo_path("flat/1"));
    assert_int_equal(rename(repo_path("flat/model.onnx"), repo_path("flat/1/model.onnx")), 0);
    expect_answer("flat", 1, 1);
    WAIT_FOR(listed("flat", "") == 0);
    assert_int_equal(unlink(repo_path("out")), 0);
    WAIT_FOR(listed("out", "") == 0);
}

/* What comes later is told when it has held for a moment: it may be in the making. */
static void says_what_comes(void **state) {
    (void)state;
    repo_put_plus("a", 1);
    start();
    repo_mkdir(repo_path("a/2"));
    WAIT_FOR(listed("a", "version 2 has no model.onnx") == 1);
    assert_int_equal(heard("version 2"), 0);
    WAIT_FOR(heard("model a: version 2 has no model.onnx") == 1);
    repo_put_plus("b:c", 1);
    WAIT_FOR(listed("b:c", "is not served") == 1);
    WAIT_FOR(heard("repository entry b:c: is not served") == 1);
    repo_put_plus("x", 2);
    repo_copy(repo_path("x/2/model.onnx"), repo_path("a/2/model.onnx"));
    expect_answer("a", 2, 2);
    WAIT_FOR(listed("a", "") == 0);
}

/* Settings and labels that name versions which are not there. */
static void says_what_settings_miss(void **state) {
    (void)state;
    for (int v = 1; v <= 3; v++) repo_put_plus("a", v);
    repo_text(
        repo_path("a/config.json"),
        "{\"version_policy\": {\"specific\": [2, 8]}, \"labels\": {\"here\": 2, \"old\": 1, \"gone\": 9}}");
    start();
    assert_int_equal(listed("a", ""), 3);
    assert_int_equal(listed("a", "its version policy names version 8, which is not there"), 1);
    assert_int_equal(
        listed("a", "the label old is to stand for version 1, which the version policy does not want"), 1);
    assert_int_equal(listed("a", "the label gone is to stand for version 9, which is not there"), 1);
    assert_int_equal(heard("model a: the label gone"), 1);
    repo_put_plus("a", 8);
    expect_answer("a", 8, 8);
    WAIT_FOR(listed("a", "") == 2);
    repo_text(repo_path("a/config.json"), "{\"labels\": {\"here\": 8}}");
    WAIT_FOR(listed("a", "") == 0);
    /* settings that are none, where no version could tell */
    repo_mkdir(repo_path("b"));
    repo_text(repo_path("b/config.json"), "{\"threads\": []}");
    WAIT_FOR(listed("b", "config.json") == 1);
    repo_mkdir(repo_path("c/config.json"));
    WAIT_FOR(listed("c", "is no regular file, but a directory") == 1);
}

/* The start that fails for want of it says why. */
static void says_it_to_who_starts(void **state) {
    (void)state;
    hone_core_options o = options();
    hone_error err = {0};
    o.repository = NULL;
    repo_put_plus("a", 1);
    make_core(&o);
    assert_int_equal(hone_core_add_path(f.core, "b", repo_path("a/1"), NULL), HONE_OK);
    assert_int_equal(start_core(f.core, &err), HONE_NOT_FOUND);
    assert_string_equal(err.message,
                        "model b: model.onnx lies beside the versions: move it into one, as 1/model.onnx");
}

static void says_what_it_may_not_read(void **state) {
    (void)state;
    bool root = geteuid() == 0;
    for (const char *name = "abcd"; *name; name++) repo_put_plus((char[]){*name, 0}, 1);
    repo_put_plus("d", 2);
    repo_text(repo_path("c/config.json"), "{}");
    assert_int_equal(chmod(repo_root, 0755), 0);
    assert_int_equal(chmod(repo_path("a"), 0), 0);
    assert_int_equal(chmod(repo_path("b/1"), 0), 0);
    assert_int_equal(chmod(repo_path("c/config.json"), 0), 0);
    assert_int_equal(chmod(repo_path("d/2/model.onnx"), 0), 0);
    if (root) assert_int_equal(seteuid(65534), 0);
    start();
    assert_int_equal(listed("a", "Permission denied"), 1);
    assert_int_equal(heard("model a: "), 1);
    expect_state("b", 1, HONE_VERSION_END, "Permission denied");
    assert_int_equal(heard("model b version 1: "), 1);
    assert_non_null(strstr(look_at("c", 1).message, "Permission denied"));
    assert_int_equal(heard("model c: "), 1);
    expect_state("d", 2, HONE_VERSION_END, "Permission denied");
    assert_true(ask("d", HONE_LATEST) == 1);
    if (root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(repo_path("a"), 0755), 0);
    assert_int_equal(chmod(repo_path("b/1"), 0755), 0);
    assert_int_equal(chmod(repo_path("c/config.json"), 0644), 0);
    assert_int_equal(chmod(repo_path("d/2/model.onnx"), 0644), 0);
    expect_answer("a", 1, 1);
    expect_answer("b", 1, 1);
    expect_state("c", 1, HONE_VERSION_AVAILABLE, "");
    expect_answer("d", 2, 2);
    WAIT_FOR(listed("a", "") == 0);
}

#define HEARING(name) cmocka_unit_test_setup_teardown(name, listen, hush)

int main(void) {
    const struct CMUnitTest tests[] = {
        HEARING(says_what_is_wrong),    HEARING(says_what_comes),           HEARING(says_what_settings_miss),
        HEARING(says_it_to_who_starts), HEARING(says_what_it_may_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
