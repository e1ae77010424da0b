/* Tensors of files: the typed lists, raw bytes and external data, and how what is wrong with them is refused. */
#include "base/file.h"
#include "graph/tensor.h"
#include "onnx/model.h"
#include "onnx/onnx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static bytes graph, model, tensor;
static hone_error err;

static hone_tensor *read_tensor(void) {
    hone_tensor *t = NULL;
    if (hone_onnx_tensor(tensor.data, tensor.size, "t.pb", &t, &err) != HONE_OK) fail_msg("%s", err.message);
    return t;
}

static void refuses_tensor(hone_status status, const char *message) {
    hone_tensor *t = NULL;
    err = (hone_error){0};
    hone_status got = hone_onnx_tensor(tensor.data, tensor.size, "t.pb", &t, &err);
    if (got != status || !strstr(err.message, message))
        fail_msg("got %s: %s", hone_status_name(got), err.message);
    assert_string_equal(err.file, "t.pb");
}

/* One packed list of varints in `field`. */
static void typed(int dtype, int field, int count, const int64_t *x) {
    static bytes list;
    list.size = 0;
    tensor_begin(&tensor, "t", dtype, 1, (int64_t[]){count});
    for (int i = 0; i < count; i++) put_number(&list, (uint64_t)x[i]);
    put_message(&tensor, field, &list);
}

/* 2^32 + 1 rows are one row where lengths have 32 bits. */
static void test_many_rows(void **state) {
    (void)state;
    tensor_begin(&tensor, "t", HONE_FLOAT32, 2, (int64_t[]){(1LL << 32) + 1, 4});
    put_block(&tensor, 9, "0123456789abcdef", 16);
    hone_tensor *t = NULL;
    assert_int_not_equal(hone_onnx_tensor(tensor.data, tensor.size, "t.pb", &t, &err), HONE_OK);
    assert_null(t);
}

static void test_typed_data(void **state) {
    (void)state;
    enum { INT32_DATA = 5, INT64_DATA = 7, UINT64_DATA = 11 };
    static const struct {
        int dtype, field;
        int64_t x[2];
        const char *raw;
    } cases[] = {
        {HONE_INT32, INT32_DATA, {-2, 3}, "\xfe\xff\xff\xff\x03\0\0\0"},
        {HONE_INT8, INT32_DATA, {-128, 127}, "\x80\x7f"},
        {HONE_UINT8, INT32_DATA, {0, 255}, "\0\xff"},
        {HONE_INT16, INT32_DATA, {-32768, 1}, "\0\x80\x01\0"},
        {HONE_UINT16, INT32_DATA, {65535, 1}, "\xff\xff\x01\0"},
        {HONE_FLOAT16, INT32_DATA, {0x3c00, 0xc000}, "\0\x3c\0\xc0"},
        {HONE_BFLOAT16, INT32_DATA, {0x3f80, 0xc000}, "\x80\x3f\0\xc0"},
        {HONE_BOOL, INT32_DATA, {0, 7}, "\0\x01"},
        {HONE_FLOAT8E4M3FN, INT32_DATA, {0x7e, 0xff}, "\x7e\xff"},
        {HONE_FLOAT8E4M3FNUZ, INT32_DATA, {0x80, 1}, "\x80\x01"},
        {HONE_FLOAT8E5M2, INT32_DATA, {0x3c, 0xfc}, "\x3c\xfc"},
        {HONE_FLOAT8E5M2FNUZ, INT32_DATA, {0x40, 0xc0}, "\x40\xc0"},
        {HONE_FLOAT8E8M0, INT32_DATA, {127, 255}, "\x7f\xff"},
        {HONE_INT64, INT64_DATA, {-1, 1}, "\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0\0\0\0\0"},
        {HONE_UINT64, UINT64_DATA, {-1, 1}, "\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0\0\0\0\0"},
        {HONE_UINT32, UINT64_DATA, {0xffffffff, 1}, "\xff\xff\xff\xff\x01\0\0\0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        typed(cases[i].dtype, cases[i].field, 2, cases[i].x);
        hone_tensor *t = read_tensor();
        assert_int_equal(t->dtype, cases[i].dtype);
        assert_int_equal(t->bytes, 2 * hone_dtype_size((hone_dtype)cases[i].dtype));
        assert_memory_equal(t->data, cases[i].raw, t->bytes);
        hone_tensor_free(t);
    }
    static const struct {
        int dtype, count;
        int64_t x[2];
    } packed[] = {{HONE_INT4, 3, {0x87, 0x0f}},
                  {HONE_UINT4, 4, {0xf0, 0x12}},
                  {HONE_FLOAT4E2M1, 3, {0x21, 0x07}},
                  {HONE_INT2, 5, {0xe4, 0x02}},
                  {HONE_UINT2, 8, {0xe4, 0x1b}}};
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++) { /* an entry for each byte */
        static bytes list;
        list.size = 0;
        tensor_begin(&tensor, "t", packed[i].dtype, 1, (int64_t[]){packed[i].count});
        for (int k = 0; k < 2; k++) put_number(&list, (uint64_t)packed[i].x[k]);
        put_message(&tensor, INT32_DATA, &list);
        hone_tensor *t = read_tensor();
        assert_int_equal(t->count, packed[i].count);
        assert_int_equal(t->bytes, 2);
        for (int k = 0; k < 2; k++) assert_int_equal(((uint8_t *)t->data)[k], packed[i].x[k]);
        hone_tensor_free(t);
    }
    tensor_begin(&tensor, "t", HONE_INT4, 2,
                 (int64_t[]){3, 3}); /* nine, in five bytes: the last bits are nobody's */
    put_block(&tensor, 9, "\x21\x43\x65\x87\xf9", 5);
    hone_tensor *nine = read_tensor();
    assert_memory_equal(nine->data, "\x21\x43\x65\x87\x09", 5);
    hone_tensor_free(nine);
    tensor_begin(&tensor, "t", HONE_FLOAT64, 1, (int64_t[]){1}); /* unpacked is right, too */
    put_number(&tensor, 10 << 3 | 1);
    put_raw(&tensor, &(double){0.25}, 8);
    hone_tensor *t = read_tensor();
    assert_true(*(double *)t->data == 0.25);
    hone_tensor_free(t);
    tensor_begin(&tensor, "t", HONE_FLOAT32, 0, NULL);
    put_float(&tensor, 4, 2.5f);
    t = read_tensor();
    assert_int_equal(t->rank, 0);
    assert_true(*(float *)t->data == 2.5f);
    hone_tensor_free(t);
    tensor_begin(&tensor, "t", HONE_STRING, 1, (int64_t[]){3});
    put_list(&tensor, 6, "a,,ccc");
    t = read_tensor();
    assert_string_equal(hone_tensor_string(t, 1, NULL), "");
    assert_string_equal(hone_tensor_string(t, 2, NULL), "ccc");
    hone_tensor_free(t);
    tensor_begin(&tensor, "t", HONE_STRING, 1, (int64_t[]){1});
    put_block(&tensor, 6, "a\0b\0", 4);
    t = read_tensor();
    size_t size;
    assert_memory_equal(hone_tensor_string(t, 0, &size), "a\0b\0", 5);
    assert_int_equal(size, 4);
    hone_tensor_free(t);
    tensor_begin(&tensor, "t", HONE_BOOL, 1, (int64_t[]){2});
    put_block(&tensor, 9, "\x02\0", 2);
    t = read_tensor();
    assert_memory_equal(t->data, "\x01\0", 2);
    hone_tensor_free(t);
    tensor_begin(&tensor, "t", HONE_FLOAT32, 2, (int64_t[]){3, 0});
    t = read_tensor();
    assert_int_equal(t->count, 0);
    hone_tensor_free(t);
}

static void test_wrong_tensors(void **state) {
    (void)state;
    typed(HONE_INT8, 5, 1, (int64_t[]){128});
    refuses_tensor(HONE_CORRUPT, "does not fit");
    typed(HONE_FLOAT16, 5, 1, (int64_t[]){-1});
    refuses_tensor(HONE_CORRUPT, "does not fit");
    typed(HONE_UINT32, 11, 1, (int64_t[]){1LL << 32});
    refuses_tensor(HONE_CORRUPT, "does not fit");
    typed(HONE_INT64, 5, 1, (int64_t[]){1});
    refuses_tensor(HONE_CORRUPT, "not for int64");
    typed(HONE_INT32, 5, 2, (int64_t[]){1, 2});
    put_int(&tensor, 1, 2);
    refuses_tensor(HONE_CORRUPT, "needs 4 elements and has 2");
    typed(HONE_INT32, 5, 1, (int64_t[]){1});
    put_block(&tensor, 9, "abcd", 4);
    refuses_tensor(HONE_CORRUPT, "twice");
    tensor_begin(&tensor, "t", HONE_INT16, 1, (int64_t[]){2});
    put_block(&tensor, 9, "abc", 3);
    refuses_tensor(HONE_CORRUPT, "needs 4 bytes and has 3");
    assert_string_equal(err.node, "t");
    tensor_begin(&tensor, "t", HONE_FLOAT32, 2, (int64_t[]){1LL << 40, 1LL << 40});
    refuses_tensor(HONE_CORRUPT, "impossible");
    tensor_begin(&tensor, "t", HONE_FLOAT32, 1, (int64_t[]){1LL << 50}); /* possible, but not there */
    refuses_tensor(HONE_CORRUPT, "elements and has 0");
    tensor_begin(&tensor, "t", HONE_FLOAT32, 1, (int64_t[]){-1});
    refuses_tensor(HONE_CORRUPT, "negative");
    typed(HONE_INT4, 5, 1, (int64_t[]){256});
    refuses_tensor(HONE_CORRUPT, "does not fit");
    typed(HONE_FLOAT8E5M2, 5, 1, (int64_t[]){-1});
    refuses_tensor(HONE_CORRUPT, "does not fit");
    typed(HONE_INT2, 5, 5, (int64_t[]){1, 2, 3, 0, 1});
    refuses_tensor(HONE_CORRUPT, "needs 2 elements and has 5");
    tensor_begin(&tensor, "t", HONE_UINT4, 1, (int64_t[]){3});
    put_block(&tensor, 9, "abc", 3);
    refuses_tensor(HONE_CORRUPT, "needs 2 bytes and has 3");
    tensor_begin(&tensor, "t", 14, 1, (int64_t[]){1});
    refuses_tensor(HONE_UNSUPPORTED, "complex64");
    tensor_begin(&tensor, "t", 28, 1, (int64_t[]){1});
    refuses_tensor(HONE_UNSUPPORTED, "float6e3m2");
    tensor_begin(&tensor, "t", HONE_UNDEFINED, 0, NULL);
    refuses_tensor(HONE_CORRUPT, "no element type");
    tensor_begin(&tensor, "t", HONE_FLOAT32, 9, (int64_t[9]){1, 1, 1, 1, 1, 1, 1, 1, 1});
    refuses_tensor(HONE_UNSUPPORTED, "9 dimensions");
    tensor_begin(&tensor, "t", HONE_STRING, 1, (int64_t[]){1});
    put_block(&tensor, 9, "abcdefgh", 8);
    refuses_tensor(HONE_CORRUPT, "strings can't be raw");
}

/* --- external data --- */

static char dir[64];

static void write_file(const char *name, const void *data, size_t size) {
    char path[256];
    assert_true(hone_path_join(path, sizeof path, dir, name));
    assert_int_equal(hone_file_replace(path, data, size, &err), HONE_OK);
}

static void external_model(const char *location, const char *offset, const char *length) {
    graph.size = 0;
    tensor_begin(&tensor, "w", HONE_FLOAT32, 1, (int64_t[]){2});
    put_entry(&tensor, 13, "location", location);
    if (offset) put_entry(&tensor, 13, "offset", offset);
    if (length) put_entry(&tensor, 13, "length", length);
    put_int(&tensor, 14, 1);
    put_message(&graph, 5, &tensor);
    put_node(&graph, "Add", "n", "x,w", "y", NULL);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "2");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "2");
    model_of(&model, &graph, 14);
    write_file("m.onnx", model.data, model.size);
}

static hone_status load_external(hone_graph **g) {
    char path[256];
    assert_true(hone_path_join(path, sizeof path, dir, "m.onnx"));
    *g = NULL;
    err = (hone_error){0};
    return hone_graph_load(path, g, &err);
}

static void refuses_external(hone_status status, const char *message) {
    hone_graph *g;
    hone_status got = load_external(&g);
    if (got != status || !strstr(err.message, message))
        fail_msg("wanted %s \"%s\", got %s: %s", hone_status_name(status), message, hone_status_name(got),
                 err.message);
    assert_true(err.file[0]);
}

static void test_external(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/hone-onnx-XXXXXX");
    assert_non_null(mkdtemp(dir));
    float w[4] = {9, 1.5f, -2, 9};
    write_file("w.bin", w, sizeof w);
    char link[256], sub[256];
    assert_true(hone_path_join(sub, sizeof sub, dir, "sub"));
    assert_int_equal(mkdir(sub, 0777), 0);
    write_file("sub/w.bin", w, sizeof w);
    hone_graph *g;
    static const char *const right[][3] = {
        {"w.bin", "4", "8"}, {"w.bin", "4", NULL}, {"sub/w.bin", "4", "8"}, {"./sub/../w.bin", NULL, NULL}};
    for (int i = 0; i < 3; i++) {
        external_model(right[i][0], right[i][1], right[i][2]);
        if (load_external(&g) != HONE_OK) fail_msg("%s", err.message);
        assert_memory_equal(hone_tensor_data(hone_graph_initializer(g, "w")), w + 1, 8);
        hone_graph_free(g);
    }
    external_model("/etc/hostname", NULL, "8");
    refuses_external(HONE_CORRUPT, "leads out of");
    external_model("../w.bin", NULL, "8");
    refuses_external(HONE_CORRUPT, "leads out of");
    external_model(right[3][0], NULL, NULL);
    refuses_external(HONE_CORRUPT, "leads out of");
    external_model("sub/..", NULL, "8");
    refuses_external(HONE_CORRUPT, "leads out of");
    external_model("", NULL, "8");
    refuses_external(HONE_CORRUPT, "leads out of");
    assert_true(hone_path_join(link, sizeof link, dir, "link"));
    assert_int_equal(symlink("/etc/passwd", link), 0);
    external_model("link", NULL, "8");
    refuses_external(HONE_CORRUPT, "leads out of");
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink("sub/w.bin", link), 0); /* a link that stays inside is fine */
    external_model("link", "4", "8");
    assert_int_equal(load_external(&g), HONE_OK);
    hone_graph_free(g);
    external_model("missing.bin", NULL, "8");
    refuses_external(HONE_NOT_FOUND, "cannot open the external data 'missing.bin': No such file");
    external_model("sub", NULL, "8");
    refuses_external(HONE_CORRUPT, "not a regular file");
    external_model("w.bin", "12", "8");
    refuses_external(HONE_CORRUPT, "has 16 bytes; 8 are needed from byte 12 on");
    external_model("w.bin", "18446744073709551615", "8");
    refuses_external(HONE_CORRUPT, "offset");
    external_model("w.bin", "18446744073709551608", "8");
    refuses_external(HONE_CORRUPT, "");
    external_model("w.bin", "4", "12");
    refuses_external(HONE_CORRUPT, "needs 8 bytes");
    external_model("w.bin", "-4", "8");
    refuses_external(HONE_CORRUPT, "not a number");
    external_model("w.bin", "4", "8x");
    refuses_external(HONE_CORRUPT, "not a number");
    assert_int_equal(hone_graph_load_memory(model.data, model.size, "m", &g, &err), HONE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "not read from a file"));
    assert_int_equal(hone_dir_remove(dir, &err), HONE_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_typed_data),
        cmocka_unit_test(test_wrong_tensors),
        cmocka_unit_test(test_external),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
