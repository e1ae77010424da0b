/* How much memory a file may take: files made to take far more than their size are refused before anything is
 * unpacked, whatever they repeat; long lists and graphs of many small nodes are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "graph/op.h"
#include "onnx/model.h"
#include "onnx/onnx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MB = 1 << 20 };

typedef struct file {
    uint8_t *data;
    size_t size;
} file;

static void add(file *f, const void *data, size_t size) {
    memcpy(f->data + f->size, data, size);
    f->size += size;
}

static void add_head(file *f, int field, size_t size) {
    static bytes head;
    head.size = 0;
    put_number(&head, (uint64_t)field << 3 | 2);
    put_number(&head, size);
    add(f, head.data, head.size);
}

/* A model whose field 7, the graph, is the fields of `path` (0-terminated), each in the one before, and in the
 * last one `unit` repeated up to `size` bytes. */
static file repeated(const int *path, const void *unit, size_t unit_size, size_t size) {
    size_t count = size / unit_size, whole = count * unit_size, depth = 0;
    file f = {malloc(whole + 256), 0};
    bytes *head = calloc(1, sizeof *head);
    assert_non_null(f.data);
    assert_non_null(head);
    put_int(head, 1, 8);
    put_opset(head, "", 17);
    add(&f, head->data, head->size);
    free(head);
    while (path[depth]) depth++;
    size_t sizes[8];
    for (size_t i = depth; i-- > 0; whole += 1 + (path[i] > 15) + 5) sizes[i] = whole;
    for (size_t i = 0; i < depth; i++) { /* lengths of five bytes, so that sizes are known from within */
        uint8_t length[5];
        static bytes tag;
        tag.size = 0;
        put_number(&tag, (uint64_t)path[i] << 3 | 2);
        add(&f, tag.data, tag.size);
        for (int k = 0; k < 5; k++) length[k] = (uint8_t)((sizes[i] >> (7 * k) & 0x7f) | (k < 4 ? 0x80 : 0));
        add(&f, length, 5);
    }
    for (size_t i = 0; i < count; i++) add(&f, unit, unit_size);
    return f;
}

static hone_status read_file(const file *f, hone_error *err) {
    hone_graph *g = NULL;
    hone_status status = hone_graph_load_memory(f->data, f->size, "m.onnx", &g, err);
    hone_graph_free(g);
    return status;
}

static void test_hostile(void **state) {
    (void)state;
    static const struct {
        const char *what;
        int path[8];
        const char *unit;
        size_t size;
    } cases[] = {
        {"empty nodes", {7}, "\x0a\x00", 2},
        {"empty initializers", {7}, "\x2a\x00", 2},
        {"empty inputs", {7}, "\x5a\x00", 2},
        {"empty entries of metadata", {0}, "\x72\x00", 2},
        {"empty attributes", {7, 1}, "\x2a\x00", 2},
        {"nodes with an empty attribute", {7}, "\x0a\x02\x2a\x00", 4},
        {"empty tensors of an attribute", {7, 1, 5}, "\x52\x00", 2},
        {"empty graphs of an attribute", {7, 1, 5}, "\x5a\x00", 2},
        {"graphs in graphs", {7, 1, 5}, "\x5a\x06\x0a\x04\x2a\x02\x5a\x00", 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error err = {0};
        file f = repeated(cases[i].path, cases[i].unit, cases[i].size, 4 * MB);
        hone_status status = read_file(&f, &err);
        if (status != HONE_UNSUPPORTED || !strstr(err.message, "MB of memory") ||
            strcmp(err.file, "m.onnx") != 0)
            fail_msg("%s: %s: %s", cases[i].what, hone_status_name(status), err.message);
        free(f.data);
    }
}

/* Little of it is refused for what it is, and not for its size. */
static void test_small(void **state) {
    (void)state;
    hone_error err = {0};
    file f = repeated((int[]){7, 0}, "\x0a\x00", 2, 2000);
    assert_int_equal(read_file(&f, &err), HONE_CORRUPT);
    assert_non_null(strstr(err.message, "the node has no operator"));
    free(f.data);
}

/* Hardly any of these is a model, but none is refused for the length of a list. */
static void test_long_lists(void **state) {
    (void)state;
    static const struct {
        int path[8];
        const char *unit;
        size_t size;
    } cases[] = {
        {{7, 1, 5}, "\x40\x01", 2},         /* AttributeProto.ints */
        {{7, 1, 5}, "\x3d\0\0\0\0", 5},     /* floats */
        {{7, 5, 7}, "\x01", 1},             /* TensorProto.int64_data */
        {{7, 5, 5}, "\x01", 1},             /* int32_data */
        {{7, 5}, "\x32\x01\x41", 3},        /* string_data */
        {{7, 13}, "\x1a\x00", 2},           /* a value's doc_string, again and again */
        {{7, 5, 9}, "\0\0\0\0\0\0\0\0", 8}, /* raw_data */
        {{7}, "\xf8\x07\x00", 3},           /* fields of the future */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error err = {0};
        file f = repeated(cases[i].path, cases[i].unit, cases[i].size, 3 * MB);
        read_file(&f, &err);
        if (strstr(err.message, "memory")) fail_msg("case %zu: %s", i, err.message);
        free(f.data);
    }
}

/* Nodes with the shortest names there are. */
static void test_many_nodes(void **state) {
    (void)state;
    enum { NODES = 40000 };
    file f = {malloc(NODES * 32 + 1024), 0}, g = {malloc(NODES * 32), 0};
    static bytes part, head;
    char from[16] = "x", to[16];
    for (int i = 0; i < NODES; i++) {
        snprintf(to, sizeof to, "%x", (unsigned)i);
        part.size = 0;
        put_text(&part, 1, from);
        put_text(&part, 2, to);
        put_text(&part, 4, "Relu");
        add_head(&g, 1, part.size);
        add(&g, part.data, part.size);
        strcpy(from, to);
    }
    part.size = 0;
    put_value(&part, PART_INPUT, "x", HONE_FLOAT32, "1");
    put_value(&part, PART_OUTPUT, from, HONE_FLOAT32, "1");
    add(&g, part.data, part.size);
    put_int(&head, 1, 8);
    put_opset(&head, "", 17);
    add(&f, head.data, head.size);
    add_head(&f, 7, g.size);
    add(&f, g.data, g.size);
    hone_error err = {0};
    hone_graph *made = NULL;
    if (hone_graph_load_memory(f.data, f.size, "m.onnx", &made, &err) != HONE_OK) fail_msg("%s", err.message);
    assert_int_equal(made->node_count, NODES);
    hone_graph_free(made);
    free(f.data);
    free(g.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_long_lists),
        cmocka_unit_test(test_many_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
