#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];
static const char *program;

static int make_root(void **state) {
    (void)state;
    strcpy(root, "/tmp/hone-test-file-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state) {
    (void)state;
    return hone_dir_remove(root, NULL) == HONE_OK ? 0 : -1;
}

/* A path below the root; four at a time. */
static const char *in_root(const char *name) {
    static char paths[4][PATH_MAX];
    static int turn;
    char *path = paths[turn++ % 4];
    assert_true(hone_path_join(path, PATH_MAX, root, name));
    return path;
}

static int entries_in(const char *path) {
    DIR *dir = opendir(path);
    assert_non_null(dir);
    int count = 0;
    for (struct dirent *e; (e = readdir(dir));)
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static void assert_content(const char *path, const void *data, size_t size) {
    hone_blob blob;
    assert_int_equal(hone_file_read(path, 0, &blob, NULL), HONE_OK);
    assert_int_equal(blob.size, size);
    assert_memory_equal(blob.data, data, size);
    hone_blob_free(&blob);
}

static mode_t mode_of(const char *path) {
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 07777;
}

static void test_write_then_read(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 1000, 32767, 32768, 32769, 1000000};
    uint8_t *data = malloc(1000000);
    for (size_t i = 0; i < 1000000; i++) data[i] = (uint8_t)(i * 131 >> 3);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(hone_file_replace(in_root("f"), data, sizes[i], NULL), HONE_OK);
        assert_content(in_root("f"), data, sizes[i]);
        assert_int_equal(entries_in(root), 1);
    }
    hone_writer *w; /* in pieces, which cross the buffer's end at odd places */
    assert_int_equal(hone_writer_open(in_root("f"), &w, NULL), HONE_OK);
    size_t done = 0;
    for (size_t step = 1; done < 1000000; step = step * 3 + 1) {
        size_t size = done + step > 1000000 ? 1000000 - done : step;
        assert_int_equal(hone_writer_write(w, data + done, size, NULL), HONE_OK);
        assert_int_equal(hone_writer_write(w, NULL, 0, NULL), HONE_OK);
        done += size;
    }
    assert_int_equal(hone_writer_commit(w, NULL), HONE_OK);
    assert_content(in_root("f"), data, 1000000);
    free(data);
}

static void test_read_errors_name_the_path(void **state) {
    (void)state;
    hone_error err;
    hone_blob blob;
    assert_int_equal(hone_file_read(in_root("missing"), 0, &blob, &err), HONE_NOT_FOUND);
    assert_string_equal(err.file, in_root("missing"));
    assert_int_equal(hone_file_read(root, 0, &blob, &err), HONE_INVALID_ARGUMENT);
    assert_string_equal(err.file, root);
    assert_string_equal(err.message, "is a directory");
    assert_int_equal(mkfifo(in_root("pipe"), 0600), 0); /* must not wait for a writer */
    assert_int_equal(hone_file_read(in_root("pipe"), 0, &blob, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_file_read("/dev/zero", 0, &blob, &err), HONE_INVALID_ARGUMENT);

    assert_int_equal(hone_file_replace(in_root("f"), "12345", 5, NULL), HONE_OK);
    assert_int_equal(hone_file_read(in_root("f"), 4, &blob, &err), HONE_RESOURCE_EXHAUSTED);
    assert_string_equal(err.file, in_root("f"));
    assert_int_equal(hone_file_read(in_root("f"), 5, &blob, &err), HONE_OK);
    hone_blob_free(&blob);
    assert_null(blob.data);
    hone_blob_free(&blob);
}

static void test_parts_of_a_file(void **state) {
    (void)state;
    hone_error err;
    uint64_t size = 0;
    int fd = -1;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), all = 3 * page + 7;
    uint8_t *data = malloc(all), *part = malloc(all);
    for (size_t i = 0; i < all; i++) data[i] = (uint8_t)(i * 131 >> 3);
    assert_int_equal(hone_file_replace(in_root("f"), data, all, NULL), HONE_OK);
    assert_int_equal(hone_file_open(in_root("missing"), &fd, &size, &err), HONE_NOT_FOUND);
    assert_int_equal(hone_file_open(in_root("f"), &fd, &size, &err), HONE_OK);
    assert_int_equal(size, all);
    const size_t parts[][2] = {{0, all}, {5, 100},    {page, page}, {page + 1, 2 * page},
                               {all, 0}, {all - 1, 1}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        assert_int_equal(hone_file_read_at(fd, "f", parts[i][0], part, parts[i][1], &err), HONE_OK);
        assert_memory_equal(part, data + parts[i][0], parts[i][1]);
    }
    assert_int_equal(hone_file_read_at(fd, "f", 1, part, all, &err), HONE_IO);
    assert_string_equal(err.file, "f");
    assert_string_equal(err.message, "became shorter while it was read");
    close(fd);
    assert_int_equal(hone_file_read_at(fd, "f", 0, part, 1, &err), HONE_IO);
    free(data);
    free(part);
}

static void test_abort_leaves_nothing(void **state) {
    (void)state;
    hone_writer *w;
    assert_int_equal(hone_file_replace(in_root("f"), "old", 3, NULL), HONE_OK);
    assert_int_equal(hone_writer_open(in_root("f"), &w, NULL), HONE_OK);
    assert_int_equal(entries_in(root), 2);
    assert_int_equal(hone_writer_write(w, "new", 3, NULL), HONE_OK);
    hone_writer_abort(w);
    hone_writer_abort(NULL);
    assert_int_equal(entries_in(root), 1);
    assert_content(in_root("f"), "old", 3);
}

static void test_old_content_stands_until_commit(void **state) {
    (void)state;
    hone_writer *one, *two;
    assert_int_equal(hone_file_replace(in_root("f"), "old", 3, NULL), HONE_OK);
    assert_int_equal(hone_writer_open(in_root("f"), &one, NULL), HONE_OK);
    assert_int_equal(hone_writer_open(in_root("f"), &two, NULL), HONE_OK);
    assert_int_equal(hone_writer_write(one, "first", 5, NULL), HONE_OK);
    assert_int_equal(hone_writer_write(two, "second", 6, NULL), HONE_OK);
    assert_content(in_root("f"), "old", 3);
    assert_int_equal(hone_writer_commit(one, NULL), HONE_OK);
    assert_content(in_root("f"), "first", 5);
    assert_int_equal(hone_writer_commit(two, NULL), HONE_OK);
    assert_content(in_root("f"), "second", 6);
    assert_int_equal(entries_in(root), 1);
}

static void test_permissions(void **state) {
    (void)state;
    mode_t old = umask(027);
    assert_int_equal(hone_file_replace(in_root("fresh"), "x", 1, NULL), HONE_OK);
    assert_int_equal(mode_of(in_root("fresh")), 0640);
    assert_int_equal(chmod(in_root("fresh"), 0604), 0);
    assert_int_equal(hone_file_replace(in_root("fresh"), "y", 1, NULL), HONE_OK);
    assert_int_equal(mode_of(in_root("fresh")), 0604);
    umask(old);
}

static void test_links_are_written_through(void **state) {
    (void)state;
    hone_error err;
    assert_int_equal(hone_dir_make(in_root("store"), NULL), HONE_OK);
    assert_int_equal(hone_file_replace(in_root("store/real"), "old", 3, NULL), HONE_OK);
    assert_int_equal(symlink("store/real", in_root("link")), 0);
    assert_int_equal(hone_file_replace(in_root("link"), "new", 3, NULL), HONE_OK);
    assert_content(in_root("store/real"), "new", 3);
    struct stat info;
    assert_int_equal(lstat(in_root("link"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(symlink("nowhere", in_root("dangling")), 0);
    assert_int_equal(hone_file_replace(in_root("dangling"), "new", 3, &err), HONE_NOT_FOUND);
    assert_string_equal(err.file, in_root("dangling"));
}

static void test_impossible_targets(void **state) {
    (void)state;
    hone_error err;
    assert_int_equal(hone_file_replace(in_root("missing/f"), "x", 1, &err), HONE_NOT_FOUND);
    assert_string_equal(err.file, in_root("missing/f"));
    assert_int_equal(hone_file_replace(root, "x", 1, &err), HONE_INVALID_ARGUMENT);
    assert_string_equal(err.message, "is a directory");
    assert_int_equal(symlink(".", in_root("here")), 0);
    assert_int_equal(hone_file_replace(in_root("here"), "x", 1, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_file_replace("/dev/null", "x", 1, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_file_replace("", "x", 1, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_file_replace(in_root("f/"), "x", 1, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_file_replace(in_root("f"), "x", 1, NULL), HONE_OK);
    assert_int_equal(hone_file_replace(in_root("f/g"), "x", 1, &err), HONE_IO);
    assert_string_equal(err.file, in_root("f/g"));
    char *name = calloc(PATH_MAX + 10, 1);
    memset(name, 'n', PATH_MAX + 9);
    assert_int_equal(hone_file_replace(name, "x", 1, &err), HONE_IO);
    name[255] = 0; /* as long as a name can be: the temporary's must not be longer */
    assert_int_equal(hone_file_replace(in_root(name), "x", 1, &err), HONE_OK);
    assert_content(in_root(name), "x", 1);
    free(name);
    assert_int_equal(chmod(root, 0555), 0);
    if (access(root, W_OK) != 0) assert_int_equal(hone_file_replace(in_root("g"), "x", 1, &err), HONE_IO);
    assert_int_equal(chmod(root, 0755), 0);
    assert_int_equal(entries_in(root), 3);
}

/* In a child process, since limits and mounts are the process's. True when `check` returned 1, false for 0; a
 * child that can't set the stage returns 2 and the test is skipped. */
static bool child_says(int (*check)(void)) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(check());
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 2) skip();
    return WEXITSTATUS(status) == 1;
}

/* Writes more than there is room for. */
static bool full_disk_is_reported(const char *path, const char *dir, const char *reason) {
    static uint8_t data[1 << 20];
    hone_error err = {0}, again = {0};
    hone_writer *w;
    int before = entries_in(dir);
    bool good = hone_writer_open(path, &w, NULL) == HONE_OK;
    good = good && hone_writer_write(w, data, sizeof data, &err) == HONE_IO;
    good = good && strcmp(err.file, path) == 0 && strstr(err.message, reason);
    good = good && entries_in(dir) == before;
    good = good && hone_writer_write(w, "x", 1, &again) == HONE_IO && strcmp(again.message, err.message) == 0;
    memset(&again, 0, sizeof again);
    good = good && hone_writer_commit(w, &again) == HONE_IO && strcmp(again.message, err.message) == 0;
    good = good && entries_in(dir) == before;
    /* what waits in the buffer fails at commit */
    good = good && hone_file_replace(path, data, sizeof data, &err) == HONE_IO && entries_in(dir) == before;
    return good;
}

static int at_file_size_limit(void) {
    struct rlimit limit = {.rlim_cur = 5000, .rlim_max = 5000};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    if (!full_disk_is_reported(in_root("f"), root, "File too large")) return 0;
    static char data[6000];
    hone_error err;
    return hone_file_replace(in_root("f"), data, sizeof data, &err) == HONE_IO && entries_in(root) == 1;
}

static void test_write_error_keeps_the_old_file(void **state) {
    (void)state;
    assert_int_equal(hone_file_replace(in_root("f"), "old", 3, NULL), HONE_OK);
    assert_true(child_says(at_file_size_limit));
    assert_content(in_root("f"), "old", 3);
}

static int on_small_disk(void) {
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return 2;
    (void)mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (mount("tmpfs", in_root("disk"), "tmpfs", 0, "size=64k") != 0) return 2;
    return full_disk_is_reported(in_root("disk/f"), in_root("disk"), "No space left on device");
}

static void test_full_disk(void **state) {
    (void)state;
    assert_int_equal(hone_dir_make(in_root("disk"), NULL), HONE_OK);
    assert_true(child_says(on_small_disk));
}

static void test_failing_allocations(void **state) {
    (void)state;
    hone_error err;
    hone_blob blob;
    assert_int_equal(hone_file_replace(in_root("f"), "old", 3, NULL), HONE_OK);
    hone_alloc_fail_at(1, true);
    assert_int_equal(hone_file_replace(in_root("f"), "new", 3, &err), HONE_OUT_OF_MEMORY);
    assert_string_equal(err.file, in_root("f"));
    assert_int_equal(hone_file_read(in_root("f"), 0, &blob, &err), HONE_OUT_OF_MEMORY);
    assert_string_equal(err.file, in_root("f"));
    hone_alloc_fail_at(0, false);
    assert_content(in_root("f"), "old", 3);
    assert_int_equal(entries_in(root), 1);
}

/* A crash before the first fsync, the rename, the directory's fsync: the file is the old or the new one. */
static void test_crash_at_every_step(void **state) {
    (void)state;
    if (getenv("HONE_EMULATOR")) skip(); /* it starts itself */
    int stops = 0;
    for (int n = 1;; n++) {
        char step[16];
        snprintf(step, sizeof step, "%d", n);
        assert_int_equal(hone_file_replace(in_root("f"), "the old content", 15, NULL), HONE_OK);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            setenv("HONE_TEST_STOP_AT", step, 1);
            execl(program, program, "--replace", in_root("f"), (char *)NULL);
            _exit(127);
        }
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            assert_content(in_root("f"), "new", 3);
            break;
        }
        assert_int_equal(WTERMSIG(status), SIGKILL);
        if (n <= 2)
            assert_content(in_root("f"), "the old content", 15);
        else
            assert_content(in_root("f"), "new", 3);
        stops++;
    }
    assert_int_equal(stops, 3);
}

static void test_dir_make(void **state) {
    (void)state;
    hone_error err;
    assert_int_equal(hone_dir_make(in_root("a/b//c/"), &err), HONE_OK);
    assert_true(hone_file_exists(in_root("a/b/c")));
    assert_int_equal(hone_dir_make(in_root("a/b/c"), &err), HONE_OK);
    assert_int_equal(hone_dir_make("/", &err), HONE_OK);
    assert_int_equal(hone_file_replace(in_root("a/f"), "", 0, &err), HONE_OK);
    assert_int_equal(hone_dir_make(in_root("a/f"), &err), HONE_IO);
    assert_string_equal(err.file, in_root("a/f"));
    assert_int_equal(hone_dir_make(in_root("a/f/g"), &err), HONE_IO);
    assert_int_equal(hone_dir_make("", &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(symlink("a", in_root("link")), 0);
    assert_int_equal(hone_dir_make(in_root("link/d"), &err), HONE_OK);
    assert_true(hone_file_exists(in_root("a/d")));
    assert_int_equal(hone_dir_sync(in_root("a"), &err), HONE_OK);
    assert_int_equal(hone_dir_sync(in_root("missing"), &err), HONE_NOT_FOUND);
    assert_string_equal(err.file, in_root("missing"));
    assert_int_equal(hone_dir_sync(in_root("a/f"), &err), HONE_IO);
}

static void test_dir_remove_follows_no_links(void **state) {
    (void)state;
    hone_error err;
    assert_int_equal(hone_dir_make(in_root("outside"), NULL), HONE_OK);
    assert_int_equal(hone_file_replace(in_root("outside/f"), "kept", 4, NULL), HONE_OK);
    assert_int_equal(hone_dir_make(in_root("tree/a/b"), NULL), HONE_OK);
    assert_int_equal(hone_file_replace(in_root("tree/a/f"), "x", 1, NULL), HONE_OK);
    assert_int_equal(hone_file_replace(in_root("tree/.hidden"), "x", 1, NULL), HONE_OK);
    assert_int_equal(symlink("../../outside", in_root("tree/a/link")), 0);
    assert_int_equal(mkfifo(in_root("tree/pipe"), 0600), 0);
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "tree/many-%d", i);
        assert_int_equal(mkdir(in_root(name), 0700), 0);
    }
    assert_int_equal(hone_dir_remove(in_root("tree"), &err), HONE_OK);
    assert_false(hone_file_exists(in_root("tree")));
    assert_content(in_root("outside/f"), "kept", 4);
    assert_int_equal(hone_dir_remove(in_root("tree"), &err), HONE_OK);

    assert_int_equal(symlink("outside", in_root("link")), 0);
    assert_int_equal(hone_dir_remove(in_root("link"), &err), HONE_IO);
    assert_string_equal(err.file, in_root("link"));
    assert_int_equal(hone_dir_remove(in_root("link/"), &err), HONE_IO);
    assert_int_equal(hone_dir_remove(in_root("outside/f"), &err), HONE_IO);
    assert_int_equal(hone_dir_remove("", &err), HONE_INVALID_ARGUMENT);
    assert_content(in_root("outside/f"), "kept", 4);
    assert_int_equal(hone_dir_remove(in_root("outside/"), &err), HONE_OK);
    assert_int_equal(entries_in(root), 1);
}

static void test_dir_hold(void **state) {
    (void)state;
    hone_error err;
    int hold = -1, other = -1;
    assert_int_equal(hone_dir_make(in_root("held"), NULL), HONE_OK);
    assert_int_equal(hone_dir_hold(in_root("held"), &hold, &err), HONE_OK);
    assert_int_equal(hone_dir_hold(in_root("held"), &other, &err), HONE_UNAVAILABLE);
    assert_string_equal(err.file, in_root("held"));
    assert_int_equal(other, -1);
    hone_dir_release(hold);
    assert_int_equal(hone_dir_hold(in_root("held"), &other, &err), HONE_OK);
    hone_dir_release(other);
    hone_dir_release(-1);
    assert_int_equal(hone_dir_hold(in_root("missing"), &hold, &err), HONE_NOT_FOUND);
    assert_int_equal(hone_dir_remove(in_root("held"), &err), HONE_OK);
}

static void test_path_join(void **state) {
    (void)state;
    char out[8];
    assert_true(hone_path_join(out, sizeof out, "a", "b"));
    assert_string_equal(out, "a/b");
    assert_true(hone_path_join(out, sizeof out, "a/", "b"));
    assert_string_equal(out, "a/b");
    assert_true(hone_path_join(out, sizeof out, "", "b"));
    assert_string_equal(out, "b");
    assert_true(hone_path_join(out, sizeof out, "/", "b"));
    assert_string_equal(out, "/b");
    assert_true(hone_path_join(out, sizeof out, "abc", "def"));
    assert_string_equal(out, "abc/def");
    assert_false(hone_path_join(out, sizeof out, "abc", "defg"));
    assert_true(strlen(out) < sizeof out);
    assert_false(hone_path_join(out, 0, "abc", "def"));
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--replace") == 0) return hone_file_replace(argv[2], "new", 3, NULL);
    program = argv[0];
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        TEST(test_write_then_read),
        TEST(test_read_errors_name_the_path),
        TEST(test_parts_of_a_file),
        TEST(test_abort_leaves_nothing),
        TEST(test_old_content_stands_until_commit),
        TEST(test_permissions),
        TEST(test_links_are_written_through),
        TEST(test_impossible_targets),
        TEST(test_write_error_keeps_the_old_file),
        TEST(test_full_disk),
        TEST(test_failing_allocations),
        TEST(test_crash_at_every_step),
        TEST(test_dir_make),
        TEST(test_dir_remove_follows_no_links),
        cmocka_unit_test(test_dir_hold),
        cmocka_unit_test(test_path_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
