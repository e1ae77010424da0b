/* The safetensors reader. */
#include "import/safetensors.h"
#include "support/graphs.h"

static hone_error err;
static hone_arena *arena;
static hone_stored *tensors;
static size_t count, capacity;

static hone_status parse(const char *header, size_t data) {
    static uint8_t file[4096];
    const uint64_t n = strlen(header);
    memcpy(file, &n, 8);
    memcpy(file + 8, header, n);
    for (size_t i = 0; i < data; i++) file[8 + n + i] = (uint8_t)i;
    count = 0;
    err = (hone_error){0};
    return hone_safetensors_parse(file, 8 + n + data, "f", arena, &tensors, &count, &capacity, &err);
}

static void test_tensors(void **state) {
    (void)state;
    check_ok(parse(
        "{\"__metadata__\": {\"format\": \"pt\"}, \"w\": {\"dtype\": \"F32\", \"shape\": [2, 1], "
        "\"data_offsets\": [4, 12]}, \"i\": {\"dtype\": \"I64\", \"shape\": [], \"data_offsets\": [0, 4]}}",
        12));
    assert_int_equal(count, 2);
    assert_string_equal(tensors[0].name, "w");
    assert_true(tensors[0].rank == 2 && tensors[0].dims[0] == 2 && tensors[0].dims[1] == 1);
    assert_true(tensors[0].format->plain == HONE_FLOAT32 && tensors[0].bytes == 8 && tensors[0].data[0] == 4);
    assert_null(tensors[1].format);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *header, *message;
    } cases[] = {
        {"[]", "its header is not JSON"},
        {"{", "its header is not JSON"},
        {"{\"w\": 1}", "the tensor w is not described"},
        {"{\"w\": {\"dtype\": \"F32\", \"shape\": 2, \"data_offsets\": [0, 8]}}",
         "the tensor w has no shape"},
        {"{\"w\": {\"dtype\": \"F32\", \"shape\": [-2], \"data_offsets\": [0, 8]}}",
         "the tensor w has a shape"},
        {"{\"w\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 80]}}",
         "the tensor w lies behind"},
        {"{\"w\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [8, 0]}}",
         "the tensor w lies behind"},
        {"{\"w\": {\"dtype\": \"F32\", \"shape\": [3], \"data_offsets\": [0, 8]}}",
         "the tensor w has more or fewer"},
        {"{\"w\": {\"dtype\": \"F32\", \"shape\": [4611686018427387904, 4], \"data_offsets\": [0, 8]}}",
         "the tensor w has"},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        assert_int_equal(parse(cases[i].header, 8), HONE_CORRUPT);
        assert_string_equal(err.file, "f");
        if (!strstr(err.message, cases[i].message))
            fail_msg("\"%s\", not \"%s\"", err.message, cases[i].message);
    }
    assert_int_equal(hone_safetensors_parse("\377\377\377\377\377\377\377\377{}", 10, "f", arena, &tensors,
                                            &count, &capacity, &err),
                     HONE_CORRUPT);
    assert_int_equal(hone_safetensors_parse("abc", 3, "f", arena, &tensors, &count, &capacity, &err),
                     HONE_CORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tensors), cmocka_unit_test(test_refused)};
    arena = hone_arena_new();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    hone_free(tensors);
    hone_arena_free(arena);
    return failed;
}
