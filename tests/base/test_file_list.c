#include "base/file_list.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static hone_fingerprint look(uint64_t inode, int64_t modified, int64_t changed) {
    return (hone_fingerprint){
        .device = 1, .inode = inode, .size = 5, .modified = modified, .changed = changed};
}

static bool add(hone_file_list *l, const char *path, hone_fingerprint is) {
    return hone_file_list_add(l, path, &is);
}

static void unites_looks(void **state) {
    (void)state;
    hone_file_list l = {0};
    assert_true(add(&l, "b", look(2, 20, 20)) && add(&l, "a", look(1, 10, 10)));
    assert_true(add(&l, "b", look(2, 20, 20)) && add(&l, "b", look(2, 20, 20)));
    assert_int_equal(l.count, 3);
    assert_null(hone_file_list_unite(&l));
    assert_int_equal(l.count, 2);
    assert_string_equal(l.items[0].path, "a");
    assert_int_equal(l.items[1].is.inode, 2);
    assert_true(add(&l, "a", look(1, 10, 11))); /* another name or other permissions are no other content */
    assert_null(hone_file_list_unite(&l));
    assert_true(add(&l, "a", look(1, 11, 11)));
    assert_string_equal(hone_file_list_unite(&l), "a");
    assert_int_equal(l.count, 2);
    hone_file_list_free(&l);
    assert_null(hone_file_list_unite(&l));
}

static void copies(void **state) {
    (void)state;
    hone_file_list l = {0}, copy;
    assert_true(add(&l, "a", look(1, 10, 10)) && add(&l, "b", look(2, 20, 20)));
    hone_print p = hone_file_list_print(&l);
    for (uint64_t n = 1;; n++) {
        hone_alloc_fail_at(n, false);
        bool fine = hone_file_list_copy(&copy, &l);
        hone_alloc_fail_at(0, false);
        if (fine) break;
        assert_int_equal(copy.count, 0);
    }
    hone_print q = hone_file_list_print(&copy);
    assert_true(hone_print_equal(&p, &q));
    hone_file_list_free(&copy);
    hone_file_list_free(&l);
}

static hone_print print_of(const char *path, hone_fingerprint is) {
    hone_print p = {0};
    hone_print_add(&p, "first", &(hone_fingerprint){.inode = 9, .modified = 15});
    hone_print_add(&p, path, &is);
    return p;
}

static void tells_contents_apart(void **state) {
    (void)state;
    const hone_print p = print_of("a", look(1, 10, 10)), same = print_of("a", look(1, 10, 10));
    assert_true(hone_print_equal(&p, &same));
    assert_int_equal(p.newest, 15);
    const hone_print other[] = {print_of("b", look(1, 10, 10)),
                                print_of("a", look(2, 10, 10)),
                                print_of("a", look(1, 11, 10)),
                                print_of("a", (hone_fingerprint){0}),
                                {0}};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) assert_true(p.content != other[i].content);
    const hone_print renamed = print_of("a", look(1, 10, 99));
    assert_true(renamed.content == p.content && !hone_print_equal(&renamed, &p));
    assert_int_equal(print_of("a", look(1, 30, 30)).newest, 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unites_looks),
        cmocka_unit_test(copies),
        cmocka_unit_test(tells_contents_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
