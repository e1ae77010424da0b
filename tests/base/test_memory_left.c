/* How much memory is left, by the files of the system and of its control groups. */
#include "base/memory_left.h"
#include "support/files.h"

#include <string.h>

static void put(const char *root, const char *name, const char *text) {
    char path[512];
    assert_true(hone_path_join(path, sizeof path, root, name));
    char *slash = strrchr(path, '/');
    *slash = 0;
    assert_int_equal(hone_dir_make(path, NULL), HONE_OK);
    *slash = '/';
    assert_int_equal(hone_file_replace(path, text, strlen(text), NULL), HONE_OK);
}

#define MEMINFO "MemTotal:       24684032 kB\nMemFree:         1 kB\nMemAvailable:    1000 kB\n"

static void test_files(void **state) {
    (void)state;
    static const struct {
        const char *meminfo, *membership, *files[5][2];
        size_t left;
    } cases[] = {
        {MEMINFO, "0::/a\n", {{NULL}}, 1024000},
        {"MemTotal: 5 kB\n", "0::/a\n", {{NULL}}, 0},
        {MEMINFO, "0::/a\n", {{"a/memory.max", "max\n"}, {"a/memory.current", "5\n"}}, 1024000},
        {MEMINFO, "0::/a\n", {{"a/memory.max", "9000\n"}, {"a/memory.current", "5000\n"}}, 4000},
        {MEMINFO,
         "0::/a/b\n",
         {{"a/memory.max", "9000\n"},
          {"a/memory.current", "5000\n"},
          {"a/memory.stat", "anon 7\ninactive_file 3000\nactive_file 1\n"},
          {"a/b/memory.max", "8000\n"},
          {"a/b/memory.current", "500\n"}},
         7000},
        {MEMINFO, "0::/a\n", {{"a/memory.max", "9000\n"}, {"a/memory.current", "9500\n"}}, 1},
        {"", "0::/a\n", {{"a/memory.max", "9000\n"}}, 9000},
        {MEMINFO,
         "4:memory:/x\n0::/\n",
         {{"memory/x/memory.limit_in_bytes", "6000\n"},
          {"memory/x/memory.usage_in_bytes", "4000\n"},
          {"memory/x/memory.stat", "inactive_file 1\ntotal_inactive_file 1000\n"}},
         3000},
        {MEMINFO, "4:cpu:/x\n", {{"memory/x/memory.limit_in_bytes", "6000\n"}}, 1024000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[64], meminfo[128], membership[128], mount[128];
        snprintf(root, sizeof root, "/tmp/hone-test-memory-XXXXXX");
        assert_non_null(mkdtemp(root));
        put(root, "meminfo", cases[i].meminfo);
        put(root, "membership", cases[i].membership);
        assert_true(hone_path_join(meminfo, sizeof meminfo, root, "meminfo"));
        assert_true(hone_path_join(membership, sizeof membership, root, "membership"));
        assert_true(hone_path_join(mount, sizeof mount, root, "mount"));
        for (int f = 0; f < 5 && cases[i].files[f][0]; f++)
            put(mount, cases[i].files[f][0], cases[i].files[f][1]);
        assert_int_equal(hone_memory_left_by(meminfo, membership, mount), cases[i].left);
        assert_int_equal(hone_dir_remove(root, NULL), HONE_OK);
    }
    assert_int_equal(hone_memory_left_by("/nonexistent", "/nonexistent", "/nonexistent"), 0);
    assert_true(hone_memory_left() > 1 << 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
