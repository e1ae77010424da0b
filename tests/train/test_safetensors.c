/* Tensors in a file. */
#include "train/small.h"

#include "train/safetensors.h"

#include <jansson.h>

static hone_tensor *numbers(hone_dtype dtype, int rank, const int64_t *dims, int first) {
    hone_tensor *t = NULL;
    ok(hone_tensor_new(dtype, rank, dims, &t, &err));
    for (size_t i = 0; i < t->bytes; i++) ((uint8_t *)t->data)[i] = (uint8_t)(first + (int)i * 3);
    return t;
}

static void add(hone_variables *s, const char *name, hone_dtype dtype, int rank, const int64_t *dims,
                int first) {
    hone_tensor *t = numbers(dtype, rank, dims, first);
    ok(hone_variables_add(s, name, t, NULL, &err));
    hone_tensor_free(t);
}

/* first < 0: all zero. */
static hone_variables *store(int first) {
    hone_variables *s = hone_variables_new();
    add(s, "w", HONE_FLOAT32, 2, (int64_t[]){3, 2}, first);
    add(s, "w.momentum", HONE_FLOAT32, 2, (int64_t[]){3, 2}, first + 1);
    add(s, "steps \"of\" ümläut\n", HONE_INT64, 0, NULL, first + 2);
    add(s, "bytes", HONE_UINT8, 1, (int64_t[]){5}, first + 3);
    add(s, "empty", HONE_FLOAT64, 2, (int64_t[]){0, 4}, first);
    return s;
}

static bool same_stores(const hone_variables *a, const hone_variables *b) {
    for (size_t i = 0; i < hone_variables_count(a); i++) {
        hone_tensor *x, *y = hone_variables_get(b, hone_variables_at(a, i, &x));
        if (!y || !same_tensor(x, y)) return false;
    }
    return hone_variables_count(a) == hone_variables_count(b);
}

static void test_round_trip(void **state) {
    (void)state;
    const char *path = test_path("a.safetensors");
    hone_variables *s = store(1), *t = store(100);
    ok(hone_safetensors_save(path, s, &err));
    assert_false(same_stores(s, t));
    ok(hone_safetensors_load(path, t, &err));
    assert_true(same_stores(s, t));
    hone_variables_free(s);
    hone_variables_free(t);
}

/* What the format has a name for; texts and elements that share bytes are refused. */
static void test_every_dtype(void **state) {
    (void)state;
    const char *path = test_path("d.safetensors");
    for (int d = HONE_FLOAT32; d < HONE_DTYPE_COUNT; d++) {
        int bits = hone_dtype_bits((hone_dtype)d);
        bool named = bits >= 8 && d != HONE_STRING && d != HONE_FLOAT8E4M3FNUZ && d != HONE_FLOAT8E5M2FNUZ &&
                     d != HONE_FLOAT8E8M0;
        if (bits == 0) continue;
        hone_variables *s = hone_variables_new(), *t = hone_variables_new();
        if (d == HONE_STRING) {
            hone_tensor *text = NULL;
            ok(hone_tensor_new(HONE_STRING, 1, (int64_t[]){2}, &text, &err));
            ok(hone_variables_add(s, "w", text, NULL, &err));
            hone_tensor_free(text);
        } else {
            add(s, "w", (hone_dtype)d, 1, (int64_t[]){3}, 1);
            add(t, "w", (hone_dtype)d, 1, (int64_t[]){3}, 100);
        }
        hone_status status = hone_safetensors_save(path, s, &err);
        assert_int_equal(status, named ? HONE_OK : HONE_UNSUPPORTED);
        if (named) ok(hone_safetensors_load(path, t, &err));
        if (named) assert_true(same_stores(s, t));
        hone_variables_free(s);
        hone_variables_free(t);
    }
}

/* As the format has it, read with another reader. */
static void test_format(void **state) {
    (void)state;
    const char *path = test_path("a.safetensors");
    hone_variables *s = store(1);
    hone_blob blob;
    ok(hone_safetensors_save(path, s, &err));
    ok(hone_file_read(path, 0, &blob, &err));
    uint64_t length = 0;
    for (int i = 0; i < 8; i++) length |= (uint64_t)blob.data[i] << 8 * i;
    assert_int_equal(length % 8, 0);
    assert_int_equal(blob.data[8], '{');
    json_t *root = json_loadb((const char *)blob.data + 8, length, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_object_size(root), 5);
    size_t end = 0;
    for (size_t i = 0; i < hone_variables_count(s); i++) {
        hone_tensor *t;
        const json_t *entry = json_object_get(root, hone_variables_at(s, i, &t));
        const json_t *offsets = json_object_get(entry, "data_offsets"),
                     *shape = json_object_get(entry, "shape");
        json_int_t from = json_integer_value(json_array_get(offsets, 0)),
                   to = json_integer_value(json_array_get(offsets, 1));
        assert_int_equal(from, end);
        assert_int_equal(to - from, t->bytes);
        assert_int_equal(json_array_size(shape), t->rank);
        if (t->bytes) assert_memory_equal(blob.data + 8 + length + from, t->data, t->bytes);
        end = (size_t)to;
    }
    assert_string_equal(json_string_value(json_object_get(json_object_get(root, "w"), "dtype")), "F32");
    assert_string_equal(json_string_value(json_object_get(json_object_get(root, "bytes"), "dtype")), "U8");
    assert_int_equal(blob.size, 8 + length + end);
    json_decref(root);
    hone_blob_free(&blob);
    hone_variables_free(s);
}

static void test_cut_short_anywhere(void **state) {
    (void)state;
    const char *path = test_path("a.safetensors"), *cut = test_path("cut.safetensors");
    hone_variables *s = store(1), *t = store(100);
    hone_blob blob;
    ok(hone_safetensors_save(path, s, &err));
    ok(hone_file_read(path, 0, &blob, &err));
    for (size_t size = 0; size < blob.size; size++) {
        write_file(cut, blob.data, size);
        refused(hone_safetensors_load(cut, t, &err), HONE_CORRUPT, "cut.safetensors");
    }
    hone_blob_free(&blob);
    hone_variables_free(s);
    hone_variables_free(t);
}

static void test_other_headers(void **state) {
    (void)state;
    static const struct {
        const char *header, *error;
    } cases[] = {
        {"", "its header is not JSON"},
        {"[]", "its header is not JSON"},
        {"{\"w\":", "its header is not JSON"},
        {"{}", "lacks the tensor w"},
        {"{\"v\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "lacks the tensor w"},
        {"{\"w\":7}", "tensor w"},
        {"{\"w\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,8]}}", "tensor w"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}", "tensor w"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}", "tensor w"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", "tensor w"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "tensor w"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", "tensor w"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", "tensor w"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[9,17]}}", "tensor w"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[9223372036854775800,9223372036854775807]}"
         "}",
         "tensor w"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,99999999999999999999]}}", "not JSON"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2]}}", "tensor w"},
    };
    hone_variables *s = hone_variables_new();
    add(s, "w", HONE_FLOAT32, 1, (int64_t[]){2}, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t file[512];
        uint64_t length = strlen(cases[i].header);
        memcpy(file, &length, 8);
        memcpy(file + 8, cases[i].header, length);
        memset(file + 8 + length, 7, 16);
        write_file(test_path("h.safetensors"), file, 8 + length + 16);
        hone_status status = hone_safetensors_load(test_path("h.safetensors"), s, &err);
        if (status != HONE_CORRUPT || !strstr(error_text(), cases[i].error))
            fail_msg("%s: %s", cases[i].header, status ? error_text() : "ok");
    }
    /* a header longer than the file, up to the largest number */
    for (int bit = 4; bit < 64; bit++) {
        uint64_t length = UINT64_C(1) << bit;
        write_file(test_path("h.safetensors"), &length, 8);
        refused(hone_safetensors_load(test_path("h.safetensors"), s, &err), HONE_CORRUPT, "is cut short");
    }
    write_file(test_path("h.safetensors"), "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    refused(hone_safetensors_load(test_path("h.safetensors"), s, &err), HONE_CORRUPT, "is cut short");
    refused(hone_safetensors_load(test_path("none"), s, &err), HONE_NOT_FOUND, "none");
    hone_variables_free(s);
}

/* Any byte of the header changed: an error or the same tensors, never a crash. */
static void test_damaged_anywhere(void **state) {
    (void)state;
    const char *path = test_path("a.safetensors"), *bad = test_path("bad.safetensors");
    hone_variables *s = store(1), *t = store(100);
    hone_blob blob;
    ok(hone_safetensors_save(path, s, &err));
    ok(hone_file_read(path, 0, &blob, &err));
    uint64_t length;
    memcpy(&length, blob.data, 8);
    for (size_t i = 0; i < 8 + length; i++)
        for (int change = 1; change < 256; change <<= 1) {
            blob.data[i] ^= (uint8_t)change;
            write_file(bad, blob.data, blob.size);
            hone_status status = hone_safetensors_load(bad, t, &err);
            if (status != HONE_OK) refused(status, HONE_CORRUPT, "bad.safetensors");
            blob.data[i] ^= (uint8_t)change;
        }
    hone_blob_free(&blob);
    hone_variables_free(s);
    hone_variables_free(t);
}

static void test_a_name_that_json_cannot_say(void **state) {
    (void)state;
    hone_variables *s = hone_variables_new();
    add(s, "caf\xe9", HONE_FLOAT32, 1, (int64_t[]){2}, 1);
    refused(hone_safetensors_save(test_path("n.safetensors"), s, &err), HONE_UNSUPPORTED,
            "cannot be written");
    assert_false(hone_file_exists(test_path("n.safetensors")));
    hone_variables_free(s);
}

static void test_out_of_memory(void **state) {
    (void)state;
    const char *path = test_path("m.safetensors");
    hone_variables *s = store(1), *t = store(100);
    FAIL_EACH_ALLOCATION(hone_safetensors_save(path, s, &err), assert_false(hone_file_exists(path)));
    FAIL_EACH_ALLOCATION(hone_safetensors_load(path, t, &err), (void)0);
    assert_true(same_stores(s, t));
    hone_variables_free(s);
    hone_variables_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_dtype),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_cut_short_anywhere),
        cmocka_unit_test(test_other_headers),
        cmocka_unit_test(test_damaged_anywhere),
        cmocka_unit_test(test_a_name_that_json_cannot_say),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
