/* Texts as sequences of characters. */
#include "support/files.h"

#include "data/symbols.h"
#include "graph/tensor.h"

#include "base/memory.h"

#include <string.h>

static hone_error err;

static void test_characters(void **state) {
    (void)state;
    static const char *const texts[] = {"ba b", "",
                                        "\xc3\xa4"
                                        "a"};
    static const int32_t wanted[3][4] = {{3, 2, 1, 3}, {-1, -1, -1, -1}, {4, 2, -1, -1}};
    hone_tensor *y = NULL, *again = NULL;
    char *names = NULL, *same = NULL;
    assert_int_equal(hone_symbols_make(texts, 3, NULL, &y, &names, &err), HONE_OK);
    assert_string_equal(names, "<blank>\n \na\nb\n\xc3\xa4");
    assert_true(y->dtype == HONE_INT32 && y->rank == 2 && y->dims[0] == 3 && y->dims[1] == 4);
    assert_memory_equal(y->data, wanted, sizeof wanted);
    /* with the classes of a model: the same numbers, whatever is there */
    assert_int_equal(hone_symbols_make(texts + 2, 1, names, &again, &same, &err), HONE_OK);
    assert_string_equal(same, names);
    assert_true(again->dims[1] == 2 && ((int32_t *)again->data)[0] == 4 && ((int32_t *)again->data)[1] == 2);
    hone_tensor_free(y);
    hone_tensor_free(again);
    hone_free(names);
    hone_free(same);
}

static void refused(const char *text, const char *classes, const char *wanted) {
    hone_tensor *y = NULL;
    char *names = NULL;
    assert_int_equal(hone_symbols_make(&text, 1, classes, &y, &names, &err), HONE_INVALID_ARGUMENT);
    if (!strstr(err.message, wanted)) fail_msg("%s", err.message);
    assert_null(names);
}

static void test_refusals(void **state) {
    (void)state;
    refused("abc", "<blank>\na\nb", "'c' in 'abc' is none of the model's characters");
    refused("a", "a\nb", "none of the model's"); /* the first class is the blank, whatever it is called */
    refused("a\nb", NULL, "line end");
    refused("a\xff", NULL, "no UTF-8");
    refused("\xe2\x82", NULL, "no UTF-8");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_characters), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
