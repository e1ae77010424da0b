/* The GGUF reader: values and tensors where they are, and whatever is wrong by name. */
#include "import/gguf_file.h"

static bytes file;
static hone_error err;

static hone_gguf *parse(void) {
    hone_gguf *g = NULL;
    check_ok(hone_gguf_parse(file.data, file.size, "f.gguf", &g, &err));
    return g;
}

static void refused(hone_status status, const char *message) {
    hone_gguf *g = NULL;
    err = (hone_error){0};
    assert_int_equal(hone_gguf_parse(file.data, file.size, "f.gguf", &g, &err), status);
    assert_string_equal(err.file, "f.gguf");
    if (!strstr(err.message, message)) fail_msg("\"%s\", not \"%s\"", err.message, message);
}

static void put_example(void) {
    put_head(&file, 2, 6);
    put_key_text(&file, "name", "tiny");
    put_key_u32(&file, "count", 7);
    put_text(&file, "flag");
    put_u32(&file, HONE_GGUF_BOOL);
    put(&file, "\1", 1);
    put_text(&file, "rate");
    put_u32(&file, HONE_GGUF_F32);
    put(&file, &(float){0.5f}, 4);
    put_text(&file, "words");
    put_u32(&file, HONE_GGUF_ARRAY);
    put_u32(&file, HONE_GGUF_STRING);
    put_u64(&file, 2);
    put_text(&file, "a");
    put_text(&file, "bc");
    put_text(&file, "ints");
    put_u32(&file, HONE_GGUF_ARRAY);
    put_u32(&file, HONE_GGUF_I16);
    put_u64(&file, 3);
    put(&file, (int16_t[]){1, -2, 3}, 6);
    put_tensor(&file, "b", 2, 32, 8, 32);
    put_tensor(&file, "a", 0, 3, 0, 0);
    put_padding(&file);
    put(&file, (float[]){1, 2, 3}, 12);
    put_padding(&file);
    for (int i = 0; i < 68; i++) put(&file, &(uint8_t){(uint8_t)i}, 1);
}

static void test_values(void **state) {
    (void)state;
    put_example();
    hone_gguf *g = parse();
    const char *text;
    size_t size, count;
    int64_t i = -1;
    double x = -1;
    bool flag = false;
    hone_gguf_array a;
    assert_true(hone_gguf_string(g, "name", &text, &size));
    assert_true(size == 4 && memcmp(text, "tiny", 4) == 0);
    assert_true(hone_gguf_int(g, "count", &i) && i == 7);
    assert_true(hone_gguf_float(g, "count", &x) && x == 7);
    assert_true(hone_gguf_float(g, "rate", &x) && x == 0.5);
    assert_false(hone_gguf_int(g, "rate", &i) || hone_gguf_int(g, "none", &i) ||
                 hone_gguf_int(g, "name", &i));
    assert_true(hone_gguf_bool(g, "flag", &flag) && flag);
    assert_true(hone_gguf_array_of(g, "words", &a) && a.count == 2);
    assert_true(hone_gguf_next_string(&a, &text, &size) && size == 1 && *text == 'a');
    assert_true(hone_gguf_next_string(&a, &text, &size) && size == 2 && memcmp(text, "bc", 2) == 0);
    assert_false(hone_gguf_next_string(&a, &text, &size));
    assert_true(hone_gguf_array_of(g, "ints", &a));
    const int64_t wanted[] = {1, -2, 3};
    for (int k = 0; k < 3; k++) assert_true(hone_gguf_next_int(&a, &i) && i == wanted[k]);
    assert_false(hone_gguf_next_int(&a, &i));
    const hone_stored *t = hone_gguf_tensors(g, &count);
    assert_int_equal(count, 2);
    assert_string_equal(t[0].name, "a");
    assert_true(t[0].rank == 1 && t[0].dims[0] == 3 && t[0].bytes == 12);
    assert_true(((const float *)(const void *)t[0].data)[2] == 3);
    assert_true(t[1].rank == 2 && t[1].dims[0] == 2 && t[1].dims[1] == 32 && t[1].bytes == 68);
    assert_string_equal(t[1].format->name, "Q8_0");
    assert_true(t[1].data[67] == 67);
    hone_gguf_free(g);
}

/* Wherever a file ends, it is refused or whole. */
static void test_cut(void **state) {
    (void)state;
    put_example();
    const size_t whole = file.size;
    for (file.size = 0; file.size < whole; file.size++) {
        hone_gguf *g = NULL;
        uint8_t *copy =
            malloc(file.size + 1); /* its own block, so that a sanitizer sees what is read behind it */
        memcpy(copy, file.data, file.size);
        err = (hone_error){0};
        assert_int_equal(hone_gguf_parse(copy, file.size, "f.gguf", &g, &err), HONE_CORRUPT);
        assert_true(err.message[0]);
        free(copy);
    }
}

static void test_heads(void **state) {
    (void)state;
    put_head(&file, 0, 0);
    hone_gguf_free(parse());
    file.data[0] = 'H';
    refused(HONE_CORRUPT, "is no GGUF file");
    put_head(&file, 0, 0);
    file.data[4] = 1;
    refused(HONE_UNSUPPORTED, "version 1 of GGUF");
    memcpy(file.data + 4, "\0\0\0\3", 4);
    refused(HONE_UNSUPPORTED, "big-endian");
    put_head(&file, 0, UINT64_MAX);
    refused(HONE_CORRUPT, "cut short in its keys");
    put_head(&file, UINT64_MAX, 0);
    refused(HONE_CORRUPT, "cut short in its list of tensors");
}

static void test_keys(void **state) {
    (void)state;
    put_head(&file, 0, 2);
    put_key_u32(&file, "k", 1);
    put_key_u32(&file, "k", 1);
    refused(HONE_CORRUPT, "the key k is there twice");
    put_head(&file, 0, 1);
    put_text(&file, "k");
    put_u32(&file, 13);
    put_u64(&file, 0);
    refused(HONE_CORRUPT, "the key k has an unknown type");
    put_head(&file, 0, 1);
    put_text(&file, "k");
    put_u32(&file, HONE_GGUF_BOOL);
    put(&file, "\2", 1);
    put_u64(&file, 0);
    refused(HONE_CORRUPT, "the key k is a bool of neither 0 nor 1");
    put_head(&file, 0, 1);
    put_text(&file, "k");
    put_u32(&file, HONE_GGUF_ARRAY);
    put_u32(&file, HONE_GGUF_STRING);
    put_u64(&file, (uint64_t)1 << 61);
    refused(HONE_CORRUPT, "cut short in k");
    put_head(&file, 0, 1);
    put_text(&file, "k");
    put_u32(&file, HONE_GGUF_ARRAY);
    for (int i = 0; i < 100; i++) {
        put_u32(&file, HONE_GGUF_ARRAY);
        put_u64(&file, 1);
    }
    refused(HONE_CORRUPT, "the key k is nested too deep");
    put_head(&file, 0, 1);
    put_u64(&file, 3);
    put(&file, "a\0b", 3);
    put_u32(&file, HONE_GGUF_U8);
    put_u64(&file, 0);
    refused(HONE_CORRUPT, "a key is no name");
    put_head(&file, 0, 1);
    put_key_u32(&file, "general.alignment", 24);
    refused(HONE_CORRUPT, "general.alignment is no power of two");
}

static void one_tensor(int64_t rows, int64_t columns, uint32_t type, uint64_t offset, size_t data) {
    put_head(&file, 1, 0);
    put_tensor(&file, "w", rows, columns, type, offset);
    put_padding(&file);
    for (size_t i = 0; i < data; i++) put(&file, "", 1);
}

static void test_tensors(void **state) {
    (void)state;
    one_tensor(2, 32, 2, 0, 36);
    hone_gguf_free(parse());
    one_tensor(2, 32, 2, 0, 35);
    refused(HONE_CORRUPT, "the tensor w is cut short");
    one_tensor(2, 33, 2, 0, 360);
    refused(HONE_CORRUPT, "the tensor w has rows of no whole blocks");
    one_tensor(2, 32, 2, 8, 360);
    refused(HONE_CORRUPT, "the tensor w is not aligned");
    one_tensor(2, 32, 2, 1 << 20, 360);
    refused(HONE_CORRUPT, "the tensor w lies behind the file's end");
    one_tensor((int64_t)1 << 40, (int64_t)1 << 40, 2, 0, 360);
    refused(HONE_CORRUPT, "the tensor w has too many elements");
    one_tensor(2, 32, 999, 0, 360); /* nobody may need it */
    hone_gguf *g = parse();
    size_t count;
    assert_null(hone_gguf_tensors(g, &count)->format);
    hone_gguf_free(g);
    put_head(&file, 2, 0);
    put_tensor(&file, "v", 0, 16, 0, 0);
    put_tensor(&file, "w", 0, 16, 0, 32);
    put_padding(&file);
    for (int i = 0; i < 256; i++) put(&file, "", 1);
    refused(HONE_CORRUPT, "the tensor w lies where another one does");
    put_head(&file, 2, 0);
    put_tensor(&file, "w", 0, 8, 0, 0);
    put_tensor(&file, "w", 0, 8, 0, 32);
    put_padding(&file);
    for (int i = 0; i < 256; i++) put(&file, "", 1);
    refused(HONE_CORRUPT, "the tensor w is there twice");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_cut),
                                       cmocka_unit_test(test_heads), cmocka_unit_test(test_keys),
                                       cmocka_unit_test(test_tensors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
