#include "base/memory.h"
#include "onnx/onnx.h"
#include "serve/models/listing.h"
#include "serve/models/repository.h"
#include "serve/models/watch.h"
#include "serve/repo.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <string.h>

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

static hone_status load(const hone_place *place, const char *version, hone_graph **g, hone_error *err) {
    hone_file_list files = {0};
    hone_loaded loaded;
    hone_status status = hone_repository_load(place, version, false, 0, &loaded, &files, err);
    *g = loaded.graph;
    assert_true(files.count > 0);
    hone_file_list_free(&files);
    return status;
}

static hone_status recorded(const hone_place *place, int inputs, hone_recorded *r, hone_error *err) {
    hone_file_list files = {0};
    hone_status status = hone_repository_recorded(place, "1", inputs, r, &files, err);
    hone_file_list_free(&files);
    return status;
}

static void count_name(void *user, const char *name) {
    (void)name;
    ++*(int *)user;
}

/* What leads out of the repository is not there; what leads elsewhere in it is. */
static void never_leaves(void **state) {
    (void)state;
    char outside[80], path[128];
    hone_graph *g = NULL;
    snprintf(outside, sizeof outside, "%s-outside", repo_root);
    repo_mkdir(outside);
    repo_put_plus("secret", 1);
    snprintf(path, sizeof path, "%s/1", outside);
    assert_int_equal(rename(repo_path("secret/1"), path), 0);
    repo_put_plus("inner", 1);

    /* a version, a file, a model, each leading out */
    repo_mkdir(repo_path("m"));
    assert_int_equal(symlink(path, repo_path("m/1")), 0);
    repo_mkdir(repo_path("m/2"));
    snprintf(path, sizeof path, "%s/1/model.onnx", outside);
    assert_int_equal(symlink(path, repo_path("m/2/model.onnx")), 0);
    assert_int_equal(symlink(outside, repo_path("out")), 0);
    assert_int_equal(symlink("../inner/1", repo_path("m/3")), 0);
    assert_int_equal(symlink("../../../../../etc", repo_path("m/4")), 0);
    assert_int_equal(symlink("/proc/self/root", repo_path("m/5")), 0);

    hone_place place = {repo_root, "m", false};
    const char *const refused[] = {"1", "2", "4", "5"};
    for (int i = 0; i < 4; i++) {
        hone_error err = {0};
        assert_int_equal(load(&place, refused[i], &g, &err), HONE_FAILED_PRECONDITION);
        assert_non_null(strstr(err.message, "leads out"));
    }
    assert_int_equal(load(&place, "3", &g, NULL), HONE_OK);
    hone_graph_free(g);
    const char *const places[] = {"out", "../..", "/etc", "m/../..", ".."};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        hone_place p = {repo_root, places[i], false};
        hone_listing l;
        assert_int_not_equal(hone_repository_list(&p, "m", &l, NULL), HONE_OK);
    }
    int count = 0;
    hone_remarks remarks = {0};
    bool elsewhere;
    assert_int_equal(hone_repository_models(repo_root, count_name, &count, &remarks, &elsewhere, NULL),
                     HONE_OK);
    assert_int_equal(count, 3); /* m, inner, and secret, which is empty; not "out" */
    assert_true(elsewhere);
    hone_remarks_free(&remarks);

    /* the same where the system lacks openat2, which follows no link at all */
    int root = open(repo_root, O_PATH | O_DIRECTORY);
    const struct {
        const char *path;
        int code;
    } walks[] = {{"inner/1/model.onnx", 0},
                 {"inner//1/./model.onnx", 0},
                 {".", 0},
                 {"m/3/model.onnx", ENOTDIR},
                 {"m/1", ELOOP},
                 {"../x", EXDEV},
                 {"m/../inner", EXDEV},
                 {"none/1", ENOENT},
                 {"/inner/1", 0}};
    for (size_t i = 0; i < sizeof walks / sizeof *walks; i++) {
        int fd = hone_open_walking(root, walks[i].path, O_RDONLY), code = errno;
        if ((fd >= 0) != (walks[i].code == 0) || (fd < 0 && code != walks[i].code))
            fail_msg("%s: %d (%s)", walks[i].path, fd, strerror(code));
        if (fd >= 0) close(fd);
    }
    close(root);
    assert_int_equal(hone_dir_remove(outside, NULL), HONE_OK);
}

static void reads_only_files(void **state) {
    (void)state;
    hone_place place = {repo_root, "m", false};
    hone_graph *g;
    hone_blob blob;
    repo_mkdir(repo_path("m/1"));
    assert_int_equal(mkfifo(repo_path("m/1/model.onnx"), 0600), 0); /* must not block */
    assert_int_equal(load(&place, "1", &g, NULL), HONE_FAILED_PRECONDITION);
    repo_mkdir(repo_path("m/config.json"));
    assert_int_not_equal(hone_repository_settings(&place, &blob, NULL), HONE_OK);
    rmdir(repo_path("m/config.json"));
    assert_int_equal(hone_repository_settings(&place, &blob, NULL), HONE_OK);
    assert_null(blob.data);
    repo_write(repo_path("m/config.json"), "{\"threads\": 2}", 14);
    assert_int_equal(hone_repository_settings(&place, &blob, NULL), HONE_OK);
    assert_int_equal(blob.size, 14);
    hone_blob_free(&blob);
    hone_place none = {"/nonexistent", ".", false};
    assert_int_equal(load(&none, "1", &g, NULL), HONE_NOT_FOUND);
}

/* TensorProto: dims (1), data_type (2), raw_data (9). */
static void write_tensor(const char *path, const float *x, uint8_t n) {
    uint8_t bytes[64] = {0x08, 1, 0x08, n, 0x10, 1, 0x4a, (uint8_t)(n * 4)};
    memcpy(bytes + 8, x, n * sizeof *x);
    repo_write(path, bytes, 8 + n * sizeof *x);
}

static void reads_recorded_requests(void **state) {
    (void)state;
    hone_place place = {repo_root, "m", false};
    hone_recorded r;
    hone_error err = {0};
    repo_put_plus("m", 1);
    assert_int_equal(recorded(&place, 1, &r, NULL), HONE_OK);
    assert_int_equal(r.count, 0);
    hone_recorded_free(&r, 1);
    for (int i = 0; i < 3; i++) {
        repo_mkdir(repo_path("m/1/warmup/r%d", i));
        write_tensor(repo_path("m/1/warmup/r%d/input_0.pb", i), (float[]){(float)i, 2, 3}, 3);
    }
    repo_mkdir(repo_path("m/1/test_data_set_0"));
    write_tensor(repo_path("m/1/test_data_set_0/input_0.pb"), (float[]){9, 9, 9}, 3);
    if (recorded(&place, 1, &r, &err) != HONE_OK) fail_msg("%s", err.message);
    assert_int_equal(r.count, 4);
    for (int i = 0; i < 3; i++) assert_true(((float *)hone_tensor_data(r.tensors[i]))[0] == (float)i);
    hone_recorded_free(&r, 1);
    assert_int_equal(recorded(&place, 2, &r, &err), HONE_NOT_FOUND);
    repo_write(repo_path("m/1/warmup/r1/input_0.pb"), "garbage", 7);
    assert_int_not_equal(recorded(&place, 1, &r, &err), HONE_OK);
    for (uint64_t n = 1;; n++) {
        write_tensor(repo_path("m/1/warmup/r1/input_0.pb"), (float[]){1, 2, 3}, 3);
        hone_alloc_fail_at(n, false);
        hone_status status = recorded(&place, 1, &r, NULL);
        hone_alloc_fail_at(0, false);
        if (status == HONE_OK) break;
        assert_int_equal(status, HONE_OUT_OF_MEMORY);
        assert_null(r.tensors);
    }
    hone_recorded_free(&r, 1);
}

/* --- watching --- */

typedef struct seen {
    int a, b, all, written;
} seen;

static void note(void *user, const char *owner, bool written) {
    seen *s = user;
    s->written += written;
    s->all += owner == NULL;
    s->a += owner && strcmp(owner, "a") == 0;
    s->b += owner && strcmp(owner, "b") == 0;
}

static seen changes(hone_watch *w) {
    seen s = {0};
    struct pollfd p = {.fd = hone_watch_fd(w), .events = POLLIN};
    poll(&p, 1, 20);
    hone_watch_read(w, note, &s);
    return s;
}

static void watches_directories(void **state) {
    (void)state;
    hone_watch *w;
    repo_mkdir(repo_path("a/1"));
    repo_mkdir(repo_path("b"));
    assert_int_equal(hone_watch_new(false, &w, NULL), HONE_OK);
    if (hone_watch_fd(w) < 0) {
        hone_watch_free(w);
        skip(); /* the system gives no inotify */
    }
    hone_watch_begin(w, "a");
    assert_true(hone_watch_add(w, repo_path("a")));
    assert_true(hone_watch_add(w, repo_path("a/1")));
    assert_false(hone_watch_add(w, repo_path("a"))); /* again */
    assert_true(hone_watch_end(w));
    hone_watch_begin(w, "b");
    assert_true(hone_watch_add(w, repo_path("b")));
    assert_true(hone_watch_add(w, repo_path("a/1"))); /* theirs, too */
    assert_false(hone_watch_add(w, repo_path("none")));
    assert_false(hone_watch_end(w)); /* incomplete: to be polled */
    seen s = changes(w);
    assert_int_equal(s.a + s.b + s.all, 0);
    touch(repo_path("a/x"));
    s = changes(w);
    assert_true(s.a > 0 && s.b == 0 && s.written > 0);
    assert_int_equal(chmod(repo_path("a/x"), 0600), 0);
    assert_int_equal(link(repo_path("a/x"), repo_path("a/y")), 0);
    s = changes(w);
    assert_true(s.a > 0 && s.written == 0);
    touch(repo_path("a/1/x"));
    s = changes(w);
    assert_true(s.a > 0 && s.b > 0);
    hone_watch_forget(w, "b");
    touch(repo_path("b/x"));
    touch(repo_path("a/1/y"));
    s = changes(w);
    assert_true(s.a > 0 && s.b == 0);
    /* gone and made anew: watched again when it is listed again */
    assert_int_equal(hone_dir_remove(repo_path("a/1"), NULL), HONE_OK);
    assert_true(changes(w).a > 0);
    repo_mkdir(repo_path("a/1"));
    changes(w);
    hone_watch_begin(w, "a");
    hone_watch_add(w, repo_path("a"));
    assert_true(hone_watch_add(w, repo_path("a/1")));
    assert_true(hone_watch_end(w));
    touch(repo_path("a/1/z"));
    assert_true(changes(w).a > 0);
    hone_watch_free(w);
}

static void polls_when_told(void **state) {
    (void)state;
    hone_watch *w;
    assert_int_equal(hone_watch_new(true, &w, NULL), HONE_OK);
    assert_int_equal(hone_watch_fd(w), -1);
    hone_watch_begin(w, "a");
    assert_false(hone_watch_add(w, repo_root));
    assert_false(hone_watch_end(w));
    hone_watch_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(never_leaves, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_only_files, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_recorded_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(watches_directories, setup, teardown),
        cmocka_unit_test_setup_teardown(polls_when_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
