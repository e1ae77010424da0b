#include "base/file.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "base/thread.h"

#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

static size_t page(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* A file in memory, of bytes that are no zeros. */
static int make_file(size_t size) {
    int fd = memfd_create("f", MFD_CLOEXEC);
    uint8_t *data = malloc(size);
    for (size_t i = 0; i < size; i++) data[i] = (uint8_t)(i * 131 >> 3 | 1);
    assert_int_equal(write(fd, data, size), size);
    free(data);
    return fd;
}

static hone_mapping *map(int fd, size_t offset, size_t size, uint8_t **data) {
    hone_mapping *m = NULL;
    void *at = NULL;
    assert_int_equal(hone_file_map(fd, "f", offset, size, &m, &at, NULL), HONE_OK);
    *data = at;
    return m;
}

static void test_maps_parts_of_a_file(void **state) {
    (void)state;
    const size_t all = 3 * page() + 7;
    const size_t parts[][2] = {{0, all}, {5, 100}, {page(), page()}, {page() + 1, 2 * page()}, {all - 1, 1}};
    int fd = make_file(all);
    uint8_t *part = malloc(all), *data, *other;
    hone_error err;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        hone_mapping *m = map(fd, parts[i][0], parts[i][1], &data);
        assert_int_equal(hone_file_read_at(fd, "f", parts[i][0], part, parts[i][1], NULL), HONE_OK);
        assert_memory_equal(data, part, parts[i][1]);
        assert_int_equal((uintptr_t)data % page(), parts[i][0] % page());
        hone_mapping_free(m);
    }
    hone_mapping *m = map(fd, 0, all, &data), *n;
    void *at;
    hone_alloc_fail_at(1, false);
    assert_int_equal(hone_file_map(fd, "f", 0, 1, &n, &at, &err), HONE_OUT_OF_MEMORY);
    hone_alloc_fail_at(0, false);
    n = map(fd, 0, all, &other);
    assert_ptr_not_equal(data, other);
    hone_mapping_free(m);
    hone_mapping_free(n);
    close(fd);
    assert_int_equal(hone_file_map(fd, "f", 0, 1, &m, &at, &err), HONE_IO);
    free(part);
}

static void test_reads_zeros_of_what_was_cut(void **state) {
    (void)state;
    int fd = make_file(8 * page()), other = make_file(page());
    uint8_t *data, *late, *fine;
    hone_mapping *m = map(fd, 5, 8 * page() - 5, &data), *n = map(fd, 6 * page(), page(), &late),
                 *o = map(other, 0, page(), &fine);
    unsigned before = hone_mapping_cuts();
    hone_mapping_guard();
    hone_mapping_guard();
    assert_int_equal(ftruncate(fd, (off_t)(2 * page())), 0);
    assert_int_not_equal(data[0], 0);
    assert_int_equal(hone_mapping_cuts(), before);
    assert_false(hone_mapping_is_cut(m));
    for (size_t i = 3 * page(); i < 8 * page(); i++) assert_int_equal(data[i - 5], 0);
    assert_int_equal(hone_mapping_cuts(), before + 1);
    assert_true(hone_mapping_is_cut(m));
    assert_false(hone_mapping_is_cut(n)); /* nobody has read it */
    assert_int_equal(late[page() - 1], 0);
    assert_true(hone_mapping_is_cut(n));
    assert_false(hone_mapping_is_cut(o));
    assert_int_equal(fine[0], 1);
    /* its place is used again */
    hone_mapping_free(n);
    n = map(other, 0, page(), &late);
    assert_false(hone_mapping_is_cut(n));
    hone_mapping_free(m);
    hone_mapping_free(n);
    hone_mapping_free(o);
    close(fd);
    close(other);
}

static void *read_last(void *data) {
    return (void *)(uintptr_t)((uint8_t *)data)[page() - 1];
}

static void test_other_threads_read_zeros_too(void **state) {
    (void)state;
    int fd = make_file(page());
    uint8_t *data;
    hone_mapping *m = map(fd, 0, page(), &data);
    pthread_t thread;
    void *last = data;
    hone_mapping_guard();
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(hone_thread_start(&thread, read_last, data, "hone-test"), 0);
    pthread_join(thread, &last);
    assert_null(last);
    assert_true(hone_mapping_is_cut(m));
    hone_mapping_free(m);
    close(fd);
}

static void touch_nothing_of_ours(void) {
    int fd = make_file(page());
    const volatile uint8_t *data = mmap(NULL, page(), PROT_READ, MAP_SHARED, fd, 0);
    if (ftruncate(fd, 0) != 0) _exit(1);
    _exit(*data);
}

static void get_signal(void) {
    raise(SIGBUS);
    _exit(0);
}

static void throw_away(int number) {
    (void)number;
    _exit(77);
}

static int outcome(void (*what)(void), bool handled) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGBUS, handled ? throw_away : SIG_DFL);
        hone_mapping_guard();
        what();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* Other errors are nothing that may go on. */
static void test_leaves_others_alone(void **state) {
    (void)state;
    int status = outcome(touch_nothing_of_ours, false);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    status = outcome(get_signal, false);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    status = outcome(touch_nothing_of_ours, true);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 77);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves_others_alone),
        cmocka_unit_test(test_maps_parts_of_a_file),
        cmocka_unit_test(test_reads_zeros_of_what_was_cut),
        cmocka_unit_test(test_other_threads_read_zeros_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
