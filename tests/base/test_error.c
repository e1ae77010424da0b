#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_fail_sets_code_and_message_and_clears_the_place(void **state) {
    (void)state;
    hone_error err;
    assert_int_equal(hone_fail_file(&err, HONE_CORRUPT, "a.onnx", "bad %d", 7), HONE_CORRUPT);
    assert_int_equal(err.code, HONE_CORRUPT);
    assert_string_equal(err.message, "bad 7");
    assert_string_equal(err.file, "a.onnx");
    assert_int_equal(hone_fail_node(&err, HONE_UNSUPPORTED, "fc1", "Gemm", "no"), HONE_UNSUPPORTED);
    assert_string_equal(err.node, "fc1");
    assert_string_equal(err.op, "Gemm");
    assert_string_equal(err.file, "");
    assert_int_equal(hone_fail_node(&err, HONE_UNSUPPORTED, NULL, NULL, "no"), HONE_UNSUPPORTED);
    assert_string_equal(err.node, "");
    assert_string_equal(err.op, "");
    assert_int_equal(hone_fail(&err, HONE_INTERNAL, "x"), HONE_INTERNAL);
    assert_string_equal(err.message, "x");
}

static void test_options_have_their_size(void **state) {
    (void)state;
    hone_error err = {0};
    assert_int_equal(hone_check_options_size(24, 24, &err), HONE_OK);
    assert_int_equal(hone_check_options_size(16, 24, &err), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "size 16, not 24"));
}

static void test_null_error_still_gives_the_code(void **state) {
    (void)state;
    assert_int_equal(hone_fail(NULL, HONE_IO, "x"), HONE_IO);
    assert_int_equal(hone_fail_file(NULL, HONE_IO, "f", "x"), HONE_IO);
    assert_int_equal(hone_fail_node(NULL, HONE_IO, "n", "o", "x"), HONE_IO);
    assert_int_equal(hone_fail_errno(NULL, ENOENT, "f", "x"), HONE_NOT_FOUND);
    assert_int_equal(hone_error_in_file(NULL, HONE_IO, "f"), HONE_IO);
    assert_int_equal(hone_fail_memory(NULL), HONE_OUT_OF_MEMORY);
}

static void test_errno(void **state) {
    (void)state;
    hone_error err;
    assert_int_equal(hone_fail_errno(&err, ENOENT, "m.onnx", "cannot open"), HONE_NOT_FOUND);
    assert_string_equal(err.message, "cannot open: No such file or directory");
    assert_string_equal(err.file, "m.onnx");
    assert_int_equal(hone_fail_errno(&err, ENOSPC, "m.onnx", "cannot write"), HONE_IO);
    assert_int_equal(err.code, HONE_IO);
}

static void test_file_is_named_once(void **state) {
    (void)state;
    hone_error err;
    hone_fail_node(&err, HONE_CORRUPT, "fc1", NULL, "bad");
    assert_int_equal(hone_error_in_file(&err, HONE_CORRUPT, "inner"), HONE_CORRUPT);
    assert_string_equal(err.file, "inner");
    assert_string_equal(err.node, "fc1");
    hone_error_in_file(&err, HONE_CORRUPT, "outer");
    assert_string_equal(err.file, "inner");
    memset(&err, 0, sizeof err);
    assert_int_equal(hone_error_in_file(&err, HONE_OK, "f"), HONE_OK);
    assert_string_equal(err.file, "");
}

static void test_long_texts_are_cut_between_characters(void **state) {
    (void)state;
    hone_error err;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    hone_fail_file(&err, HONE_IO, text, "%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(strlen(err.file), sizeof err.file - 1);

    /* three bytes a character, at every offset to the cut */
    for (size_t lead = 0; lead < 3; lead++) {
        memset(text, 0, sizeof text);
        memset(text, 'x', lead);
        for (size_t i = lead; i + 3 < sizeof text; i += 3) memcpy(text + i, "\xE2\x82\xAC", 3);
        hone_fail_node(&err, HONE_IO, text, text, "%s", text);
        assert_int_equal((strlen(err.message) - lead) % 3, 0);
        assert_int_equal((strlen(err.node) - lead) % 3, 0);
        assert_int_equal((strlen(err.op) - lead) % 3, 0);
        assert_true(strlen(err.message) > sizeof err.message - 4);
    }
}

static void test_message_is_one_line(void **state) {
    (void)state;
    hone_error err;
    hone_fail_file(&err, HONE_IO, "a\nb", "c\r\nd\033[2J");
    assert_string_equal(err.message, "c  d [2J");
    assert_string_equal(err.file, "a b");
}

static void test_arguments_may_be_the_error_itself(void **state) {
    (void)state;
    hone_error err;
    hone_fail_node(&err, HONE_CORRUPT, "fc1", "Gemm", "inner");
    hone_fail_node(&err, HONE_CORRUPT, err.node, err.op, "outer: %s", err.message);
    assert_string_equal(err.message, "outer: inner");
    assert_string_equal(err.node, "fc1");
    assert_string_equal(err.op, "Gemm");
}

static void test_format_has_the_parts_that_are_there(void **state) {
    (void)state;
    static const struct {
        hone_error err;
        const char *text;
    } cases[] = {
        {{.message = "m"}, "m"},
        {{.message = "m", .file = "f"}, "f: m"},
        {{.message = "m", .node = "n"}, "node n: m"},
        {{.message = "m", .node = "n", .op = "o"}, "node n (o): m"},
        {{.message = "m", .op = "o"}, "o: m"},
        {{.message = "m", .file = "f", .node = "n", .op = "o"}, "f: node n (o): m"},
    };
    char text[1024];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ptr_equal(hone_error_format(&cases[i].err, text, sizeof text), text);
        assert_string_equal(text, cases[i].text);
    }
    assert_string_equal(hone_error_format(&cases[5].err, text, 5), "f: n");
    assert_string_equal(hone_error_format(&cases[5].err, text, 1), "");
    text[0] = 'z';
    assert_ptr_equal(hone_error_format(&cases[5].err, text, 0), text);
    assert_int_equal(text[0], 'z');
}

static void test_status_names_differ(void **state) {
    (void)state;
    assert_string_equal(hone_status_name(HONE_OK), "ok");
    assert_string_equal(hone_status_name(HONE_INVALID_ARGUMENT), "invalid_argument");
    for (int a = HONE_OK; a <= HONE_INTERNAL; a++) {
        assert_string_not_equal(hone_status_name((hone_status)a), "unknown");
        for (int b = HONE_OK; b < a; b++)
            assert_string_not_equal(hone_status_name((hone_status)a), hone_status_name((hone_status)b));
    }
    assert_string_equal(hone_status_name((hone_status)(HONE_INTERNAL + 1)), "unknown");
}

static hone_status try_twice(hone_status first, int *reached) {
    HONE_TRY(first);
    *reached = 1;
    return HONE_OK;
}

static void test_try(void **state) {
    (void)state;
    int reached = 0;
    assert_int_equal(try_twice(HONE_IO, &reached), HONE_IO);
    assert_int_equal(reached, 0);
    assert_int_equal(try_twice(HONE_OK, &reached), HONE_OK);
    assert_int_equal(reached, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_sets_code_and_message_and_clears_the_place),
        cmocka_unit_test(test_options_have_their_size),
        cmocka_unit_test(test_null_error_still_gives_the_code),
        cmocka_unit_test(test_errno),
        cmocka_unit_test(test_file_is_named_once),
        cmocka_unit_test(test_long_texts_are_cut_between_characters),
        cmocka_unit_test(test_message_is_one_line),
        cmocka_unit_test(test_arguments_may_be_the_error_itself),
        cmocka_unit_test(test_format_has_the_parts_that_are_there),
        cmocka_unit_test(test_status_names_differ),
        cmocka_unit_test(test_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
