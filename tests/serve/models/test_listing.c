#include "serve/models/listing.h"

#include "base/log.h"
#include "serve/repo.h"

#include <setjmp.h>

#include <cmocka.h>

static int setup(void **state) {
    (void)state;
    repo_make();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    repo_remove();
    return 0;
}

static void touch(const char *path) {
    repo_write(path, "x", 1);
}

static hone_listing list(const char *name) {
    hone_listing l;
    hone_error err = {0};
    hone_place place = {repo_root, name, false};
    if (hone_repository_list(&place, name, &l, &err) != HONE_OK) fail_msg("%s", err.message);
    return l;
}

static void lists_versions(void **state) {
    (void)state;
    repo_put_plus("m", 2);
    repo_put_plus("m", 10);
    repo_put_plus("m", 1);
    repo_mkdir(repo_path("m/3")); /* nothing in it yet */
    repo_mkdir(repo_path("m/x")); /* no version */
    repo_mkdir(repo_path("m/-4"));
    repo_mkdir(repo_path("m/99999999999999999999"));
    repo_mkdir(repo_path("m/010")); /* 10 is there */
    touch(repo_path("m/010/model.onnx"));
    repo_mkdir(repo_path("m/5/model.onnx")); /* no file, of which its loading tells */
    touch(repo_path("m/7"));                 /* no directory */
    hone_listing l = list("m");
    assert_int_equal(l.count, 4);
    static const int numbers[] = {1, 2, 5, 10};
    for (int i = 0; i < 4; i++) assert_int_equal(l.versions[i].number, numbers[i]);
    assert_string_equal(l.versions[3].name, "10");
    assert_int_equal(l.pending_count, 1);
    assert_int_equal(l.pending[0].number, 3);
    assert_int_equal(l.settings.content, 0);
    assert_true(l.directory.inode && !l.elsewhere);
    hone_listing_free(&l);
    repo_write(repo_path("m/config.json"), "{}", 2);
    l = list("m");
    assert_true(l.settings.content != 0);
    hone_listing_free(&l);
    hone_error err = {0};
    hone_place none = {repo_root, "none", false};
    assert_int_equal(hone_repository_list(&none, "none", &l, &err), HONE_NOT_FOUND);
    assert_non_null(strstr(err.file, "/none"));
}

/* --- what is not served --- */

typedef struct fault {
    const char *what; /* "mkdir PATH", "file PATH", "fifo PATH", "link PATH TO" */
    const char *text; /* a part of what is said; NULL: nothing is */
} fault;

static void make(const char *what) {
    char kind[10], path[100], to[100] = "";
    if (sscanf(what, "%9s %99s %99s", kind, path, to) < 2) abort();
    char *full = repo_path("m/%s", path), *slash = strrchr(full, '/');
    *slash = 0;
    repo_mkdir(full);
    *slash = '/';
    if (strcmp(kind, "mkdir") == 0) repo_mkdir(full);
    if (strcmp(kind, "file") == 0) touch(full);
    if (strcmp(kind, "fifo") == 0 && mkfifo(full, 0600) != 0) abort();
    if (strcmp(kind, "link") == 0 && symlink(to, full) != 0) abort();
}

static bool says(const hone_remarks *l, const char *text) {
    for (size_t i = 0; i < l->count; i++)
        if (strstr(l->items[i].text, text)) return true;
    return false;
}

/* Beside a version that is fine, each of them is remarked on, and only where something is wrong. */
static void remarks_on_what_is_not_served(void **state) {
    (void)state;
    static const fault faults[] = {
        {"file model.onnx", "model.onnx lies beside the versions: move it into one, as 1/model.onnx"},
        {"file net.onnx", "net.onnx lies beside the versions: move it into one, as 1/model.onnx"},
        {"file Model.ONNX", "Model.ONNX lies beside the versions: move it into one, as 1/model.onnx"},
        {"fifo model.onnx", "model.onnx lies beside the versions"},
        {"file saved_model.pb", "saved_model.pb is no ONNX model: convert it, and put it to 1/model.onnx"},
        {"file v2/model.onnx", "v2 is no version, since its name is no whole number: rename it, as to 2"},
        {"mkdir v2", "v2 is no version, since its name is no whole number: rename it, as to 2"},
        {"file 1.0/model.onnx", "1.0 is no version, since its name is no whole number: rename it, as to 1"},
        {"file latest/model.onnx",
         "latest is no version, since its name is no whole number: rename it, as to 1"},
        {"mkdir -4", "-4 is no version, since its name is no whole number: rename it, as to 4"},
        {"mkdir 9223372036854775808", "9223372036854775808 is no version, since the largest number is "
                                      "9223372036854775807"},
        {"mkdir 99999999999999999999999999", "since the largest number is"},
        {"file 02/model.onnx", "02 is the same version as 2, which counts: remove or rename it"},
        {"file 3",
         "3 is no version, since it is no directory: move the model to model.onnx in a directory of "
         "that name"},
        {"link 3 nowhere", "version 3 is a link to a directory that is not there"},
        {"mkdir 3", "version 3 has no model.onnx"},
        {"file 3/net.onnx", "version 3 has no model.onnx: rename net.onnx, which it has, to that"},
        {"file 3/model.ONNX", "version 3 has no model.onnx: rename model.ONNX, which it has, to that"},
        {"file 3/saved_model.pb",
         "version 3 has no model.onnx: convert saved_model.pb, which it has, to ONNX"},
        {"link 3/model.onnx nowhere", "version 3: its model.onnx is a link to a file that is not there"},
        {"file Config.json", "Config.json is not read: rename it to config.json"},
        /* these are versions, and what is wrong with them is told when they are loaded */
        {"fifo 3/model.onnx", NULL},
        {"mkdir 3/model.onnx", NULL},
        {"link 3/model.onnx /etc/passwd", NULL},
        {"link 3 /etc", NULL},
        /* and these are nobody's */
        {"file README.md", NULL},
        {"file labels.txt", NULL},
        {"mkdir assets", NULL},
        {"file assets/x.txt", NULL},
        {"file .v2/model.onnx", NULL},
        {"file .model.onnx", NULL},
        {"mkdir .4", NULL},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        repo_put_plus("m", 2);
        make(faults[i].what);
        hone_listing l = list("m");
        if (l.remarks.count != (faults[i].text != NULL))
            fail_msg("%s: %zu remarks: %s", faults[i].what, l.remarks.count,
                     l.remarks.count ? l.remarks.items[0].text : "");
        if (faults[i].text && !says(&l.remarks, faults[i].text))
            fail_msg("%s: %s", faults[i].what, l.remarks.items[0].text);
        if (l.count) assert_string_equal(l.versions[0].name, "2");
        hone_listing_free(&l);
        assert_int_equal(hone_dir_remove(repo_path("m"), NULL), HONE_OK);
    }
    repo_mkdir(repo_path("m"));
    hone_listing l = list("m");
    assert_true(says(&l.remarks, "it has no version: put the model to 1/model.onnx in its directory"));
    hone_listing_free(&l);
}

/* What may become a version without that its directory tells. */
static void tells_what_lies_elsewhere(void **state) {
    (void)state;
    static const char *const far[] = {"link 3 nowhere", "link 3/model.onnx nowhere", "link 3 .empty"};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        repo_put_plus("m", 2);
        repo_mkdir(repo_path("m/.empty"));
        make(far[i]);
        hone_listing l = list("m");
        assert_true(l.elsewhere);
        hone_listing_free(&l);
        assert_int_equal(hone_dir_remove(repo_path("m"), NULL), HONE_OK);
    }
}

static void ignore(void *user, const char *name) {
    (void)name;
    ++*(int *)user;
}

static void remarks_on_the_repository(void **state) {
    (void)state;
    int models = 0;
    bool elsewhere;
    hone_remarks l = {0};
    repo_put_plus("good", 1);
    repo_put_plus("colon:name", 1);
    repo_put_plus("new\nline", 1);
    touch(repo_path("model.onnx"));
    touch(repo_path("notes.txt"));
    touch(repo_path(".hidden"));
    assert_int_equal(symlink("/etc", repo_path("out")), 0);
    assert_int_equal(symlink("nowhere", repo_path("dangling")), 0);
    assert_int_equal(symlink("good", repo_path("alias")), 0);
    assert_int_equal(symlink("circle", repo_path("circle")), 0);
    assert_int_equal(mkfifo(repo_path("pipe"), 0600), 0);
    assert_int_equal(hone_repository_models(repo_root, ignore, &models, &l, &elsewhere, NULL), HONE_OK);
    assert_int_equal(models, 2); /* good, alias */
    assert_true(elsewhere);
    static const char *const texts[][2] = {
        {"circle", "leads out of the repository"},
        {"colon:name", "is not served: the model name \"colon:name\" has"},
        {"dangling", "is a link to a directory that is not there"},
        {"model.onnx", "lies in the repository itself: move it to NAME/1/model.onnx"},
        {"new\nline", "is not served: the model name \"new line\" has"},
        {"out", "is a link that leads out of the repository, and is not followed"},
    };
    hone_remarks_follow(&l, &(hone_remarks){0}, 1);
    assert_int_equal(l.count, 6);
    for (int i = 0; i < 6; i++) {
        assert_string_equal(l.items[i].name, texts[i][0]);
        if (!strstr(l.items[i].text, texts[i][1])) fail_msg("%s: %s", l.items[i].name, l.items[i].text);
    }
    hone_remarks_free(&l);
}

/* --- telling --- */

static int lines;
static char last[300];
static void count_line(void *user, hone_log_level level, const char *message) {
    (void)user;
    if (level != HONE_LOG_WARNING) return;
    lines++;
    snprintf(last, sizeof last, "%s", message);
}

static uint64_t turn(hone_remarks *l, bool b, bool at_once, uint64_t now) {
    hone_remarks next = {0};
    hone_remarks_add(&next, "m", "%s is wrong", "a");
    if (b) hone_remarks_add(&next, "m", "b is wrong");
    hone_remarks_follow(&next, l, now);
    uint64_t due = hone_remarks_tell(&next, "model", at_once, now);
    hone_remarks_free(l);
    *l = next;
    return due;
}

static void tells_once(void **state) {
    (void)state;
    const uint64_t second = 1000000000;
    hone_remarks l = {0};
    hone_log_set(count_line, NULL, HONE_LOG_WARNING);
    lines = 0;
    assert_int_equal(turn(&l, false, true, second), 0);
    assert_int_equal(lines, 1);
    assert_string_equal(last, "model m: a is wrong");
    for (uint64_t t = 2; t < 5; t++) assert_int_equal(turn(&l, false, t % 2 == 0, t * second), 0);
    assert_int_equal(lines, 1);
    uint64_t due = turn(&l, true, false, 5 * second); /* it may be in the making */
    assert_true(due > 5 * second);
    assert_int_equal(turn(&l, true, false, due - 1), due);
    assert_int_equal(lines, 1);
    assert_int_equal(turn(&l, true, false, due), 0);
    assert_int_equal(lines, 2);
    assert_string_equal(last, "model m: b is wrong");
    assert_int_equal(turn(&l, false, false, due), 0); /* it is right, then wrong again */
    due = turn(&l, true, false, due + second);
    assert_int_equal(turn(&l, true, false, due), 0);
    assert_int_equal(lines, 3);
    hone_remarks_free(&l);
    hone_log_set(NULL, NULL, HONE_LOG_INFO);
}

static void tells_so_much(void **state) {
    (void)state;
    hone_remarks l = {0};
    for (int i = 0; i < HONE_REMARKS_MOST + 10; i++) hone_remarks_add(&l, "m", "%d is wrong", i);
    assert_int_equal(l.count, HONE_REMARKS_MOST);
    assert_string_equal(l.items[l.count - 1].text, "and more is not served");
    hone_remarks_free(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lists_versions, setup, teardown),
        cmocka_unit_test_setup_teardown(remarks_on_what_is_not_served, setup, teardown),
        cmocka_unit_test_setup_teardown(tells_what_lies_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(remarks_on_the_repository, setup, teardown),
        cmocka_unit_test(tells_once),
        cmocka_unit_test(tells_so_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
