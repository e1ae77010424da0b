/* Packed models: the same bytes again, fewer of them meanwhile; whatever is damaged in one is found out. */
#include "base/bits.h"
#include "base/memory.h"
#include "base/random.h"
#include "graph/graph.h"
#include "onnx/onnx.h"
#include "onnx/packed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static hone_error err;

#ifdef HONE_PARTS_INFERENCE

/* The part that has no libzstd says so. */
static void test_left_out(void **state) {
    (void)state;
    hone_blob out = {NULL, 0};
    assert_int_equal(hone_packed_read(HONE_PACKED_MAGIC, HONE_PACKED_MAGIC_SIZE, &out, &err),
                     HONE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "hone unpack makes a plain one"));
    assert_int_equal(hone_packed_write("model", 5, &out, &err), HONE_UNSUPPORTED);
    assert_null(out.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_left_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

#include <zstd.h>

static char dir[64];

static const char *path_of(const char *name) {
    static char path[2][128];
    static int turn;
    char *p = path[turn++ % 2];
    assert_true(hone_path_join(p, sizeof path[0], dir, name));
    return p;
}

static void ok(hone_status status) {
    char text[1024];
    if (status != HONE_OK) fail_msg("%s", hone_error_format(&err, text, sizeof text));
}

/* Numbers of a weight: a share of them is there, of so many kinds (0: all differ). */
static hone_value *weight(hone_graph *g, const char *name, hone_dtype dtype, int64_t count, double share,
                          int kinds) {
    hone_tensor *t = NULL;
    hone_rng rng = hone_rng_make(7, hone_hash(name, strlen(name)));
    ok(hone_tensor_new(dtype, 1, &count, &t, &err));
    const int bits = hone_dtype_bits(dtype);
    for (int64_t i = 0; i < count; i++) {
        const bool there = hone_rng_uniform(&rng) < share;
        uint64_t x = kinds ? 1 + hone_rng_below(&rng, (uint32_t)kinds) : hone_rng_below(&rng, 1u << 30);
        if (bits >= 32) x *= 0x9e3779b97f4a7c15u; /* no byte of it is 0 */
        if (!there) continue;
        if (bits < 8)
            hone_bits_set(t->data, i, bits, (unsigned)x & ((1u << bits) - 1));
        else
            memcpy((char *)t->data + i * bits / 8, &x, (size_t)bits / 8);
    }
    hone_value *v = hone_graph_add_constant(g, name, t);
    hone_tensor_free(t);
    return v;
}

static hone_graph *graph_of(hone_dtype dtype, int64_t count, double share, int kinds) {
    hone_graph *g = hone_graph_new("packed");
    hone_value *w = weight(g, "w", dtype, count, share, kinds);
    hone_graph_add_output(g, w);
    ok(hone_graph_check(g, &err));
    return g;
}

static void packed_of(const hone_graph *g, hone_blob *model, hone_blob *packed) {
    ok(hone_onnx_write(g, model, &err));
    ok(hone_packed_write(model->data, model->size, packed, &err));
}

/* Bytes of the packed form as a share of the model's; unpacked it is the same. */
static double share_of(hone_dtype dtype, int64_t count, double share, int kinds) {
    hone_graph *g = graph_of(dtype, count, share, kinds);
    hone_blob model, packed, back;
    packed_of(g, &model, &packed);
    assert_true(hone_is_packed(packed.data, packed.size) && !hone_is_packed(model.data, model.size));
    ok(hone_packed_read(packed.data, packed.size, &back, &err));
    assert_int_equal(back.size, model.size);
    assert_memory_equal(back.data, model.data, model.size);
    const double part = (double)packed.size / (double)model.size;
    hone_blob_free(&back);
    hone_blob_free(&packed);
    hone_blob_free(&model);
    hone_graph_free(g);
    return part;
}

static void test_sizes(void **state) {
    (void)state;
    const int64_t n = 40000;
    static const struct {
        hone_dtype dtype;
        double share;
        int kinds;
        double
            most; /* the entropy, and a tenth more for its coding, as a share of the bits that there were */
    } cases[] = {
        {HONE_FLOAT32, 0.05, 8, 1.15 * (0.286 + 0.05 * 3) / 32},
        {HONE_FLOAT32, 1, 16, 1.1 * 4 / 32},
        {HONE_FLOAT32, 0.5, 4, 1.2 * (1 + 0.5 * 2) / 32},
        {HONE_FLOAT32, 0.1, 0, 1.1 * (0.469 + 0.1 * 32) / 32},
        {HONE_FLOAT16, 0.1, 16, 1.1 * (0.469 + 0.1 * 4) / 16},
        {HONE_INT8, 0.1, 100, 1.1 * (0.469 + 0.1 * 6.7) / 8},
        {HONE_INT4, 0.5, 3, 1.2 * (1 + 0.5 * 1.6) / 4},
        {HONE_INT64, 1, 2, 1.1 * 1.0 / 64},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double part = share_of(cases[i].dtype, n, cases[i].share, cases[i].kinds);
        if (part > cases[i].most) fail_msg("case %d: %g of the bytes, not %g", (int)i, part, cases[i].most);
    }
}

/* Whatever there is: nothing, zeros alone, gaps of 255 and more, as many kinds as a table has, and one more. */
static void test_forms(void **state) {
    (void)state;
    static const int64_t counts[] = {1, 15, 16, 17, 255, 256, 1000};
    static const double shares[] = {0, 0.002, 0.3, 1};
    static const int kinds[] = {0, 1, 255, 256, 257};
    static const hone_dtype dtypes[] = {HONE_FLOAT32, HONE_UINT16, HONE_BOOL,
                                        HONE_INT2,    HONE_UINT4,  HONE_FLOAT64};
    for (int d = 0; d < 6; d++)
        for (int c = 0; c < 7; c++)
            for (int s = 0; s < 4; s++)
                for (int k = 0; k < 5; k++)
                    if (counts[c] * hone_dtype_bits(dtypes[d]) % 8 == 0)
                        assert_true(share_of(dtypes[d], counts[c], shares[s], kinds[k]) < 2);
}

/* A file is read as any other model is. */
static void test_files(void **state) {
    (void)state;
    hone_graph *g = graph_of(HONE_FLOAT32, 5000, 0.1, 8), *back = NULL;
    const char *packed = path_of("m.hone"), *plain = path_of("m.onnx");
    int64_t bytes;
    ok(hone_graph_save_packed(g, packed, &err));
    ok(hone_graph_load(packed, &back, &err));
    const hone_tensor *a = hone_graph_initializer(g, "w"), *b = hone_graph_initializer(back, "w");
    assert_memory_equal(a->data, b->data, a->bytes);
    hone_graph_free(back);
    ok(hone_graph_load_mapped(packed, &back, &err));
    hone_graph_free(back);
    ok(hone_graph_file_bytes(packed, &bytes, &err));
    assert_true(bytes < 2000);
    ok(hone_unpack(packed, plain, &err));
    ok(hone_graph_save(g, path_of("direct.onnx"), &err));
    hone_blob x, y;
    ok(hone_file_read(plain, 0, &x, &err));
    ok(hone_file_read(path_of("direct.onnx"), 0, &y, &err));
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    hone_blob_free(&x);
    hone_blob_free(&y);
    assert_int_equal(hone_unpack(plain, path_of("no.onnx"), &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_unpack(path_of("none"), path_of("no.onnx"), &err), HONE_NOT_FOUND);
    assert_false(hone_file_exists(path_of("no.onnx")));
    hone_graph_free(g);
}

static void refused(const uint8_t *data, size_t size) {
    hone_blob back = {NULL, 0};
    const hone_status status = hone_packed_read(data, size, &back, &err);
    if (status != HONE_CORRUPT && status != HONE_UNSUPPORTED)
        fail_msg("status %d of %d bytes", (int)status, (int)size);
    assert_null(back.data);
}

/* Cut anywhere, any bit turned, something behind it. */
static void test_damaged(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("damaged");
    hone_graph_add_output(g, weight(g, "a", HONE_FLOAT32, 600, 0.1, 8));
    hone_graph_add_output(g, weight(g, "b", HONE_INT4, 300, 1, 3));
    hone_graph_add_output(g, weight(g, "c", HONE_FLOAT32, 200, 0.2, 0));
    hone_blob model, packed;
    packed_of(g, &model, &packed);
    uint8_t *copy = malloc(packed.size + 1); /* of just that size: a sanitizer sees who reads on */
    for (size_t i = HONE_PACKED_MAGIC_SIZE; i < packed.size; i++) {
        uint8_t *part = malloc(i);
        memcpy(part, packed.data, i);
        refused(part, i);
        free(part);
        for (int bit = 0; bit < 8; bit++) {
            memcpy(copy, packed.data, packed.size);
            copy[i] ^= (uint8_t)(1 << bit);
            hone_blob back = {NULL, 0};
            hone_status status = hone_packed_read(copy, packed.size, &back, &err);
            if (status == HONE_OK) { /* a bit that zstd does not look at */
                assert_int_equal(back.size, model.size);
                assert_memory_equal(back.data, model.data, model.size);
            }
            hone_blob_free(&back);
        }
    }
    memcpy(copy, packed.data, packed.size);
    copy[packed.size] = 0;
    refused(copy, packed.size + 1);
    free(copy);
    hone_blob_free(&model);
    hone_blob_free(&packed);
    hone_graph_free(g);
}

/* Right frames with wrong things in them. */
typedef struct file_of {
    uint8_t data[4096];
    size_t size;
} file_of;

static void add_frame(file_of *f, const void *content, size_t size) {
    const size_t got = ZSTD_compress(f->data + f->size, sizeof f->data - f->size, content, size, 1);
    assert_false(ZSTD_isError(got));
    f->size += got;
}

static void test_wrong_content(void **state) {
    (void)state;
    /* version, size, pieces; skip, kind, bits, count, (entries, table) */
    static const uint8_t right[] = {1, 8, 1, 0, 2, 16, 4, 2, 7, 9, 0, 0}, width[] = {1, 9, 1, 0, 0, 24, 3},
                         kind[] = {1, 8, 1, 0, 4, 16, 4}, entries[] = {1, 8, 1, 0, 2, 16, 4, 0},
                         table[] = {1, 8, 1, 0, 2, 16, 4, 9, 1, 2}, count[] = {1, 8, 1, 0, 0, 16, 5},
                         skip[] = {1, 8, 1, 1, 0, 16, 4}, none[] = {1, 8, 1, 0, 0, 16, 0},
                         newer[] = {2, 0, 0};
    static const struct {
        const uint8_t *body;
        size_t size;
        uint8_t symbols[8];
        int symbol_count;
        hone_status wanted;
    } cases[] = {
        {right, sizeof right, {0, 1, 1, 0}, 4, HONE_OK},
        {right, sizeof right, {0, 1, 2, 0}, 4, HONE_CORRUPT},
        {right, sizeof right, {0, 1, 1}, 3, HONE_CORRUPT},
        {width, sizeof width, {0}, 3, HONE_CORRUPT},
        {kind, sizeof kind, {0}, 8, HONE_CORRUPT},
        {entries, sizeof entries, {0}, 4, HONE_CORRUPT},
        {table, sizeof table, {0}, 4, HONE_CORRUPT},
        {count, sizeof count, {0}, 8, HONE_CORRUPT},
        {skip, sizeof skip, {0}, 8, HONE_CORRUPT},
        {none, sizeof none, {0}, 0, HONE_CORRUPT},
        {newer, sizeof newer, {0}, 0, HONE_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file_of f = {.size = HONE_PACKED_MAGIC_SIZE};
        hone_blob back = {NULL, 0};
        memcpy(f.data, HONE_PACKED_MAGIC, HONE_PACKED_MAGIC_SIZE);
        add_frame(&f, cases[i].body, cases[i].size);
        add_frame(&f, cases[i].symbols, (size_t)cases[i].symbol_count);
        const hone_status status = hone_packed_read(f.data, f.size, &back, &err);
        if (status != cases[i].wanted) fail_msg("case %d: status %d", (int)i, (int)status);
        if (status == HONE_OK) assert_memory_equal(back.data, ((uint8_t[]){7, 0, 9, 0, 9, 0, 7, 0}), 8);
        hone_blob_free(&back);
    }
}

static void test_every_allocation_fails(void **state) {
    (void)state;
    hone_graph *g = graph_of(HONE_FLOAT32, 700, 0.1, 8);
    hone_blob model, packed = {NULL, 0}, back;
    ok(hone_onnx_write(g, &model, &err));
    hone_status status = HONE_OUT_OF_MEMORY;
    uint64_t n = 1;
    for (; status != HONE_OK && n < 10000; n++) {
        hone_alloc_fail_at(n, false);
        status = hone_packed_write(model.data, model.size, &packed, &err);
        hone_alloc_fail_at(0, false);
        if (status != HONE_OK) assert_int_equal(status, HONE_OUT_OF_MEMORY);
    }
    assert_true(n > 20);
    for (n = 1, status = HONE_OUT_OF_MEMORY; status != HONE_OK && n < 100; n++) {
        hone_alloc_fail_at(n, false);
        status = hone_packed_read(packed.data, packed.size, &back, &err);
        hone_alloc_fail_at(0, false);
        if (status != HONE_OK) assert_int_equal(status, HONE_OUT_OF_MEMORY);
    }
    assert_true(n > 4);
    hone_blob_free(&back);
    hone_blob_free(&packed);
    hone_blob_free(&model);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),         cmocka_unit_test(test_forms),
        cmocka_unit_test(test_files),         cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_wrong_content), cmocka_unit_test(test_every_allocation_fails)};
    snprintf(dir, sizeof dir, "/tmp/hone-packed-XXXXXX");
    if (!mkdtemp(dir)) return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    hone_dir_remove(dir, NULL);
    return failed;
}

#endif
