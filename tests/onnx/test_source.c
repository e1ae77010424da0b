/* Where weights come from: large ones are cut out of the message and read or mapped on their own, and nobody can tell
 * the difference by what is read, or by what is said of a broken file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "graph/graph.h"
#include "onnx/model.h"
#include "onnx/onnx.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bytes tensor, attrs, graph, model;
static char dir[64] = "/tmp/hone-source-XXXXXX";
static hone_error err;

static const char *in_dir(const char *name) {
    static char path[256];
    assert_true(hone_path_join(path, sizeof path, dir, name));
    return path;
}

static void write_file(const char *name, const void *data, size_t size) {
    assert_int_equal(hone_file_replace(in_dir(name), data, size, &err), HONE_OK);
}

static const uint8_t *noise(size_t size, uint64_t seed) {
    static uint8_t data[1 << 16];
    hone_rng r = hone_rng_make(seed, 1);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)hone_rng_below(&r, 64); /* no NaN, which is not equal */
    return data;
}

static void put_weight(const char *name, int dtype, int64_t count, size_t size) {
    put_initializer(&graph, name, dtype, 1, &count, noise(size, (uint64_t)count), size);
}

/* Large and small tensors, in initializers and in a node, after names of `pad` letters more. */
static void make_model(size_t pad) {
    char name[16] = "";
    memset(name, 'n', pad);
    graph.size = attrs.size = 0;
    put_text(&graph, 2, name);
    put_weight("small", HONE_INT64, 1, 8);
    put_weight("a", HONE_FLOAT32, 1500, 6000);
    put_weight("double", HONE_FLOAT64, 600, 4800);
    put_weight("limit", HONE_UINT8, 4096, 4096);
    put_weight("below", HONE_UINT8, 4095, 4095);
    put_weight("bool", HONE_BOOL, 5000, 5000);
    tensor_begin(&tensor, "", HONE_FLOAT32, 1, (int64_t[]){1500});
    put_block(&tensor, 9, noise(6000, 5), 6000);
    attr_tensor(&attrs, "value", &tensor);
    put_node(&graph, "Constant", "c", "", "c", &attrs);
    put_node(&graph, "Add", "n", "x,a", "z", NULL);
    put_node(&graph, "Add", "m", "z,c", "y", NULL);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "1500");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "1500");
    model_of(&model, &graph, 14);
}

enum { MEMORY, FROM_FILE, MAPPED, SOURCES };

static hone_status load(int source, const bytes *b, hone_graph **g) {
    *g = NULL;
    err = (hone_error){0};
    if (source == MEMORY) return hone_onnx_read(b->data, b->size, "m.onnx", NULL, g, &err);
    int fd = memfd_create("m.onnx", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, b->data, b->size), b->size);
    hone_onnx_file file = {.fd = fd, .size = b->size, .name = "m.onnx", .map = source == MAPPED};
    hone_status status = hone_onnx_read_file(&file, g, &err);
    close(fd);
    return status;
}

/* What a source makes of the bytes: the file that the graph is written to, or the error. */
static size_t outcome(int source, const bytes *b, char *text, size_t size) {
    hone_graph *g;
    hone_blob blob = {0};
    hone_status status = load(source, b, &g);
    if (status != HONE_OK)
        return (size_t)snprintf(text, size, "%s: %s %s %s", hone_status_name(status), err.file, err.node,
                                err.message);
    assert_int_equal(hone_onnx_write(g, &blob, &err), HONE_OK);
    assert_true(blob.size < size);
    memcpy(text, blob.data, blob.size);
    size_t used = blob.size;
    hone_blob_free(&blob);
    hone_graph_free(g);
    return used;
}

static bool all_agree(const bytes *b) {
    static char texts[SOURCES][1 << 17];
    size_t sizes[SOURCES];
    for (int i = 0; i < SOURCES; i++) sizes[i] = outcome(i, b, texts[i], sizeof texts[i]);
    for (int i = 1; i < SOURCES; i++)
        if (sizes[i] != sizes[0] || memcmp(texts[i], texts[0], sizes[0]) != 0) return false;
    return true;
}

static void test_content(void **state) {
    (void)state;
    for (size_t pad = 0; pad < 8; pad++) {
        make_model(pad);
        assert_true(all_agree(&model));
        for (int i = 0; i < SOURCES; i++) {
            hone_graph *g;
            assert_int_equal(load(i, &model, &g), HONE_OK);
            const hone_tensor *t = hone_graph_initializer(g, "a");
            assert_memory_equal(t->data, noise(6000, 1500), 6000);
            assert_int_equal((uintptr_t)t->data % sizeof(float), 0);
            assert_memory_equal(hone_graph_initializer(g, "double")->data, noise(4800, 600), 4800);
            assert_memory_equal(hone_graph_initializer(g, "limit")->data, noise(4096, 4096), 4096);
            assert_memory_equal(hone_graph_initializer(g, "c")->data, noise(6000, 5), 6000);
            const uint8_t *flags = hone_graph_initializer(g, "bool")->data;
            for (int k = 0; k < 5000; k++) assert_true(flags[k] <= 1);
            hone_graph_free(g);
        }
    }
}

/* The byte that an error names is one of the file, however much was cut out before it. */
static void test_positions(void **state) {
    (void)state;
    char want[64];
    make_model(0);
    put_number(&model, 7); /* field 0, wire type 7 */
    snprintf(want, sizeof want, "at byte %zu", model.size);
    for (int i = 0; i < SOURCES; i++) {
        hone_graph *g;
        assert_int_equal(load(i, &model, &g), HONE_CORRUPT);
        if (!strstr(err.message, want)) fail_msg("%s, not %s", err.message, want);
    }
    make_model(0);
    model.size -= 3; /* in the last field of the graph */
    for (int i = 0; i < SOURCES; i++) {
        hone_graph *g;
        assert_int_equal(load(i, &model, &g), HONE_CORRUPT);
        assert_non_null(strstr(err.message, "a field is cut off at byte"));
    }
}

/* Whatever is broken, it is broken in the same way from everywhere. */
static void test_broken(void **state) {
    (void)state;
    static bytes b;
    hone_rng r = hone_rng_make(7, 7);
    for (int round = 0; round < 3000; round++) {
        if (round % 8 == 0) make_model((size_t)(round / 8 % 8));
        b = model;
        for (uint32_t i = hone_rng_below(&r, 4); i > 0; i--)
            b.data[hone_rng_below(&r, (uint32_t)(i == 1 ? 200 : b.size))] = (uint8_t)hone_rng_u32(&r);
        if (round % 3 == 0) b.size = hone_rng_below(&r, (uint32_t)b.size);
        if (!all_agree(&b)) fail_msg("round %d", round);
    }
}

/* Our marks in a file are nobody else's to set. */
static void test_forged_marks(void **state) {
    (void)state;
    static const uint8_t mark[] = {0xf9, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0};
    for (int where = 0; where < 4; where++) {
        make_model(0);
        tensor_begin(&tensor, "forged", HONE_FLOAT32, 1, (int64_t[]){1500});
        if (where == 2) put_block(&tensor, 9, noise(6000, 1), 6000); /* beside a true one */
        put_raw(&tensor, mark, sizeof mark);
        if (where == 3) put_block(&tensor, 9, noise(6000, 1), 6000);
        if (where == 0) graph.size = 0; /* where nothing else is cut out */
        put_message(&graph, 5, &tensor);
        model_of(&model, &graph, 14);
        for (int i = 0; i < SOURCES; i++) {
            hone_graph *g;
            assert_int_equal(load(i, &model, &g), HONE_CORRUPT);
            assert_non_null(strstr(err.message, "a number that no file has"));
        }
    }
}

/* Of a field that is there twice the last one counts, but not when one is small and the other is not. */
static void test_raw_data_twice(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{6000, 6000}, {8, 6000}, {6000, 8}, {5000, 6000}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        graph.size = 0;
        tensor_begin(&tensor, "a", HONE_FLOAT32, 1, (int64_t[]){1500});
        put_block(&tensor, 9, noise(sizes[i][0], 1), sizes[i][0]);
        put_block(&tensor, 9, noise(sizes[i][1], 2), sizes[i][1]);
        put_message(&graph, 5, &tensor);
        put_node(&graph, "Add", "n", "x,a", "y", NULL);
        put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "1500");
        put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "1500");
        model_of(&model, &graph, 14);
        assert_true(all_agree(&model));
        hone_graph *g;
        bool taken = sizes[i][0] != 8 && sizes[i][1] != 8;
        assert_int_equal(load(MEMORY, &model, &g), taken ? HONE_OK : HONE_CORRUPT);
        if (taken) assert_memory_equal(hone_graph_initializer(g, "a")->data, noise(6000, 2), 6000);
        hone_graph_free(g);
    }
}

/* --- mapping --- */

enum { WIDE = 1 << 16 }; /* floats */

static void put_external(const char *name, int dtype, int64_t count, const char *offset) {
    tensor_begin(&tensor, name, dtype, 1, &count);
    put_entry(&tensor, 13, "location", "w.bin");
    put_entry(&tensor, 13, "offset", offset);
    put_int(&tensor, 14, 1);
    put_message(&graph, 5, &tensor);
}

static void make_external(void) {
    static float w[2 * WIDE];
    for (int i = 0; i < 2 * WIDE; i++) w[i] = (float)(i + 1);
    write_file("w.bin", w, sizeof w);
    graph.size = 0;
    put_external("aligned", HONE_FLOAT32, WIDE, "4");
    put_external("odd", HONE_FLOAT32, WIDE, "5");
    put_external("flags", HONE_BOOL, WIDE, "0");
    put_external("little", HONE_FLOAT32, 16, "8");
    put_node(&graph, "Add", "n", "x,aligned", "y", NULL);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "65536");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "65536");
    model_of(&model, &graph, 14);
    write_file("m.onnx", model.data, model.size);
}

static void test_mapped(void **state) {
    (void)state;
    hone_graph *g[2];
    make_external();
    assert_int_equal(hone_graph_load(in_dir("m.onnx"), &g[0], &err), HONE_OK);
    assert_int_equal(hone_graph_load_mapped(in_dir("m.onnx"), &g[1], &err), HONE_OK);
    static const char *const names[] = {"aligned", "odd", "flags", "little"};
    for (int i = 0; i < 4; i++) {
        const hone_tensor *read = hone_graph_initializer(g[0], names[i]),
                          *mapped = hone_graph_initializer(g[1], names[i]);
        assert_false(read->mapped);
        assert_int_equal(mapped->mapped, i == 0);
        assert_memory_equal(read->data, mapped->data, read->bytes);
    }
    assert_true(*(float *)hone_graph_initializer(g[1], "aligned")->data == 2);
    hone_graph *copy; /* the mapping lives as long as somebody has the tensor */
    assert_int_equal(hone_graph_copy(g[1], &copy, &err), HONE_OK);
    hone_graph_free(g[1]);
    assert_int_equal(unlink(in_dir("w.bin")), 0);
    assert_true(((float *)hone_graph_initializer(copy, "aligned")->data)[WIDE - 1] == WIDE + 1);
    hone_graph_free(copy);
    hone_graph_free(g[0]);
}

/* A file's own weights, as far as they are aligned. */
static void test_mapped_inside(void **state) {
    (void)state;
    enum { BYTES = 4 * WIDE };
    uint8_t *data = malloc(BYTES + 4096);
    int aligned = 0;
    for (size_t pad = 0; pad < 4; pad++) {
        static bytes head;
        char text[8] = "";
        memset(text, 'd', pad);
        head.size = tensor.size = 0;
        tensor_begin(&tensor, "w", HONE_FLOAT32, 1, (int64_t[]){WIDE});
        put_text(&tensor, 12, text);
        size_t before = tensor.size, inner = before + 1 + 3 + BYTES;
        static bytes sizes;
        sizes.size = 0;
        put_number(&sizes, inner);
        put_int(&head, 1, 8);
        put_opset(&head, "", 14);
        put_number(&head, 7 << 3 | 2);
        put_number(&head, 1 + sizes.size + inner);
        put_number(&head, 5 << 3 | 2);
        put_raw(&head, sizes.data, sizes.size);
        put_raw(&head, tensor.data, before);
        put_number(&head, 9 << 3 | 2);
        put_number(&head, BYTES);
        memcpy(data, head.data, head.size);
        for (int i = 0; i < WIDE; i++) memcpy(data + head.size + 4 * i, &(float){(float)i}, 4);
        write_file("m.onnx", data, head.size + BYTES);
        hone_graph *g;
        if (hone_graph_load_mapped(in_dir("m.onnx"), &g, &err) != HONE_OK) fail_msg("%s", err.message);
        const hone_tensor *t = hone_graph_initializer(g, "w");
        assert_int_equal(t->mapped, head.size % 4 == 0);
        aligned += t->mapped;
        for (int i = 0; i < WIDE; i++) assert_true(((const float *)t->data)[i] == (float)i);
        hone_graph_free(g);
    }
    assert_int_equal(aligned, 1);
    free(data);
}

/* --- which files were read --- */

static hone_status read_listed(hone_file_list *files, hone_graph **g) {
    uint64_t size;
    int fd;
    assert_int_equal(hone_file_open(in_dir("m.onnx"), &fd, &size, &err), HONE_OK);
    hone_onnx_file file = {.fd = fd, .size = size, .name = "m.onnx", .dir = dir, .external = files};
    hone_status status = hone_onnx_read_file(&file, g, &err);
    close(fd);
    return status;
}

static void put_external_of(const char *name, const char *location) {
    tensor_begin(&tensor, name, HONE_FLOAT32, 1, (int64_t[]){1000});
    put_entry(&tensor, 13, "location", location);
    put_int(&tensor, 14, 1);
    put_message(&graph, 5, &tensor);
}

static void put_floats(const char *name, float x) {
    static float w[1000];
    for (int i = 0; i < 1000; i++) w[i] = x;
    write_file(name, w, sizeof w);
}

/* y = x + a + b + c, where a and c lie in one file. */
static void make_three(void) {
    graph.size = 0;
    put_external_of("a", "w.bin");
    put_external_of("b", "b.bin");
    put_external_of("c", "w.bin");
    put_node(&graph, "Sum", "n", "x,a,b,c", "y", NULL);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "1000");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "1000");
    model_of(&model, &graph, 14);
    write_file("m.onnx", model.data, model.size);
    put_floats("w.bin", 1);
    put_floats("b.bin", 2);
}

static void test_tells_files(void **state) {
    (void)state;
    hone_graph *g = NULL;
    hone_file_list files;
    struct stat info;
    make_three();
    assert_int_equal(read_listed(&files, &g), HONE_OK);
    hone_graph_free(g);
    assert_int_equal(files.count, 2);
    assert_string_equal(files.items[0].path, "b.bin");
    assert_string_equal(files.items[1].path, "w.bin");
    assert_int_equal(stat(in_dir("w.bin"), &info), 0);
    hone_fingerprint is = hone_fingerprint_of(&info);
    assert_true(hone_fingerprint_equal(&files.items[1].is, &is));
    hone_file_list_free(&files);
    /* what is missing, and what is too short, is told, too: it is what one waits for */
    assert_int_equal(truncate(in_dir("b.bin"), 10), 0);
    assert_int_equal(read_listed(&files, &g), HONE_CORRUPT);
    assert_int_equal(files.count, 2);
    assert_int_equal(files.items[0].is.size, 10);
    hone_file_list_free(&files);
    assert_int_equal(unlink(in_dir("b.bin")), 0);
    assert_int_equal(read_listed(&files, &g), HONE_NOT_FOUND);
    assert_int_equal(files.count, 2);
    assert_int_equal(files.items[0].is.inode, 0);
    hone_file_list_free(&files);
    make_model(0);
    write_file("m.onnx", model.data, model.size);
    assert_int_equal(read_listed(&files, &g), HONE_OK);
    assert_int_equal(files.count, 0);
    hone_graph_free(g);
}

static void *swap_files(void *stop) {
    static float w[1000];
    char path[256];
    hone_path_join(path, sizeof path, dir, "w.bin");
    for (int i = 0; !atomic_load((atomic_bool *)stop); i++) {
        for (int k = 0; k < 1000; k++) w[k] = (float)(i % 2 + 1);
        if (hone_file_replace(path, w, sizeof w, NULL) != HONE_OK) abort();
    }
    return NULL;
}

/* Tensors of one file are of one content of it, however often another one takes its place. */
static void test_mixes_nothing(void **state) {
    (void)state;
    pthread_t thread;
    atomic_bool stop = false;
    hone_error own;
    int whole = 0, caught = 0;
    make_three();
    assert_int_equal(pthread_create(&thread, NULL, swap_files, &stop), 0);
    for (int i = 0; i < 200 || (i < 20000 && !(whole && caught)); i++) {
        hone_graph *g = NULL;
        hone_status status = hone_graph_load(in_dir("m.onnx"), &g, &own);
        if (status == HONE_OK) {
            const float *a = hone_graph_initializer(g, "a")->data, *c = hone_graph_initializer(g, "c")->data;
            assert_true(a[0] == c[0] && a[999] == c[999]);
            whole++;
        } else {
            assert_int_equal(status, HONE_UNAVAILABLE);
            assert_non_null(strstr(own.message, "'w.bin' was written to while it was read"));
            caught++;
        }
        hone_graph_free(g);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_true(whole > 0);
}

/* --- failures --- */

static void test_cut_short(void **state) {
    (void)state;
    make_model(0);
    write_file("m.onnx", model.data, model.size);
    int fd = open(in_dir("m.onnx"), O_RDONLY);
    hone_graph *g;
    hone_onnx_file file = {.fd = fd, .size = model.size + 5000, .name = "m.onnx"};
    assert_int_equal(hone_onnx_read_file(&file, &g, &err), HONE_IO);
    assert_string_equal(err.file, "m.onnx");
    file = (hone_onnx_file){.fd = -1, .size = 10, .name = "m.onnx"};
    assert_int_equal(hone_onnx_read_file(&file, &g, &err), HONE_IO);
    close(fd);
}

static void test_without_memory(void **state) {
    (void)state;
    for (int mapped = 0; mapped < 2; mapped++) {
        if (mapped)
            make_external();
        else {
            make_model(0);
            write_file("m.onnx", model.data, model.size);
        }
        hone_status status = HONE_OUT_OF_MEMORY;
        for (uint64_t n = 1; status != HONE_OK; n++) {
            hone_graph *g = NULL;
            hone_alloc_fail_at(n, true);
            status = mapped ? hone_graph_load_mapped(in_dir("m.onnx"), &g, &err)
                            : hone_graph_load(in_dir("m.onnx"), &g, &err);
            hone_alloc_fail_at(0, false);
            if (status != HONE_OK) assert_int_equal(status, HONE_OUT_OF_MEMORY);
            hone_graph_free(g);
        }
    }
}

static int make_dir(void **state) {
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state) {
    (void)state;
    return hone_dir_remove(dir, NULL) == HONE_OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content),        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_broken),         cmocka_unit_test(test_forged_marks),
        cmocka_unit_test(test_raw_data_twice), cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_mapped_inside),  cmocka_unit_test(test_tells_files),
        cmocka_unit_test(test_mixes_nothing),  cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
