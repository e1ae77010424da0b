/* What weights cost: they are in memory once, from loading to serving, wherever they come from; those that are mapped
 * are there when they are used. Each case runs in a process of its own. HONE_LONG: 256 MB within a tenth. With a FILE
 * as its only argument, a model of that size is written there. */
#include "onnx/model.h"
#include "onnx/onnx.h"
#include "support/graphs.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum { MB = 1 << 20, SIDE = 1024, EACH = SIDE * SIDE };

static char dir[64] = "/tmp/hone-weights-XXXXXX";
static const char *program;

static const char *in_dir(const char *name) {
    static char path[256];
    assert_true(hone_path_join(path, sizeof path, dir, name));
    return path;
}

static int megabytes(void) {
    return getenv("HONE_LONG") ? 256 : 32;
}

static double most(void) {
    return getenv("HONE_LONG") ? 1.1 : 1.4;
}

/* --- the child --- */

/* A line of /proc/self/status, in bytes. */
static size_t status_of(const char *name) {
    char line[256];
    unsigned long kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0) sscanf(line + strlen(name), ": %lu", &kilobytes);
    if (file) fclose(file);
    return kilobytes << 10;
}

static int complain(const hone_error *err) {
    fprintf(stderr, "%s: %s %s: %s\n", err->file, err->node, err->op, err->message);
    return 1;
}

/* Loads a model, by `how`: "read" or "mapped", runs it with 1 and 7 rows if `rows` says so, and prints how much memory
 * that took at most, and what the model says of itself. */
static int measure(const char *path, const char *how, const char *rows) {
    hone_error err = {0};
    hone_graph *g = NULL;
    hone_model *m = NULL;
    hone_session_options options = HONE_SESSION_OPTIONS_INIT;
    options.threads = 2;
    size_t before = status_of("VmRSS");
    hone_status status =
        strcmp(how, "mapped") == 0 ? hone_graph_load_mapped(path, &g, &err) : hone_graph_load(path, &g, &err);
    if (status == HONE_OK) status = hone_model_take(g, NULL, &m, &err);
    if (status != HONE_OK) return complain(&err);
    hone_session *s = NULL;
    hone_context *c = NULL;
    if (hone_session_create(m, &options, &s, &err) != HONE_OK || hone_context_create(s, &c, &err) != HONE_OK)
        return complain(&err);
    const hone_value *v = hone_model_signature(m)->inputs[0];
    for (int64_t n = 1; *rows && n < 10; n += 6) {
        hone_tensor *x = NULL;
        status = hone_tensor_new(v->type.dtype, 2, (int64_t[]){n, v->type.dims[1]}, &x, &err);
        if (status == HONE_OK) status = hone_context_run(c, (const hone_tensor *const *)&x, NULL, &err);
        if (status != HONE_OK) return complain(&err);
        hone_tensor_free(x);
    }
    printf("%zu %zu\n", status_of("VmHWM") - before, hone_model_bytes(m));
    hone_context_free(c);
    hone_session_free(s);
    hone_model_free(m);
    return 0;
}

/* --- the parent --- */

typedef struct cost {
    size_t memory, model;
} cost;

static cost cost_of(const char *path, const char *how, const char *rows) {
    char command[512];
    cost c = {0, 0};
    snprintf(command, sizeof command, "'%s' '%s' %s '%s'", program, path, how, rows);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    bool read = fscanf(pipe, "%zu %zu", &c.memory, &c.model) == 2;
    assert_int_equal(pclose(pipe), 0);
    assert_true(read);
    return c;
}

static hone_tensor *weight(hone_dtype dtype, int rank, const int64_t *dims) {
    hone_tensor *t = tensor_make(dtype, rank, dims);
    uint32_t x = 1;
    for (size_t i = 0; i < t->bytes / 4; i++) {
        x = x * 1664525 + 1013904223;
        if (dtype == HONE_FLOAT32)
            ((float *)t->data)[i] = (float)(x >> 8) * 0x1p-30f;
        else
            ((uint32_t *)t->data)[i] = x;
    }
    return t;
}

typedef enum shape { LAYERS, TRANSPOSED, SINGLE, INTEGERS, FOLDED, SHAPES } shape;
static const char *const shape_names[] = {"layers", "transposed", "single", "integers", "folded"};

/* A model of so many MB of weights. */
static hone_graph *model_of_shape(shape s) {
    hone_graph *g = hone_graph_new("weights");
    int64_t rows = hone_graph_symbol(g, "rows"), count = megabytes() / 4;
    if (s == SINGLE) {
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(rows, SIDE));
        hone_value *w = graph_constant(g, "w", weight(HONE_FLOAT32, SHAPE(SIDE, SIDE * count)));
        hone_graph_add_output(g, graph_op(g, "MatMul", x, w));
    } else if (s == INTEGERS) {
        hone_value *x = graph_input(g, "x", HONE_UINT8, SHAPE(rows, 4 * SIDE));
        for (int64_t i = 0; i < count; i++) {
            hone_value *w = graph_constant(g, "w", weight(HONE_INT8, SHAPE(4 * SIDE, SIDE)));
            hone_graph_add_output(g, graph_op(g, "MatMulInteger", x, w));
        }
    } else {
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(rows, SIDE));
        for (int64_t i = 0; i < count; i++) {
            hone_value *w = graph_constant(g, "w", weight(HONE_FLOAT32, SHAPE(SIDE, SIDE)));
            if (s == FOLDED) w = graph_op(g, "Transpose", w);
            x = graph_op(g, s == LAYERS || s == FOLDED ? "MatMul" : "Gemm", x, w);
            if (s == TRANSPOSED) hone_node_set_int(g, x->producer, "transB", 1);
        }
        hone_graph_add_output(g, x);
    }
    return g;
}

static void check_cost(const char *what, cost c, double memory, double model) {
    double all = (double)megabytes() * MB;
    if (!SANITIZED && (double)c.memory > memory * all)
        fail_msg("%s: %zu MB where %d are weights", what, c.memory / MB, megabytes());
    if ((double)c.model > model * all)
        fail_msg("%s: the model says %zu MB where %d are weights", what, c.model / MB, megabytes());
    if (getenv("HONE_LONG")) print_message("%s: %zu MB\n", what, c.memory / MB);
}

static void test_once(void **state) {
    (void)state;
    for (shape s = 0; s < SHAPES; s++) {
        hone_error err;
        hone_graph *g = model_of_shape(s);
        check_ok(hone_onnx_save(g, in_dir("inline.onnx"), HONE_ONNX_INLINE_LIMIT, &err));
        check_ok(hone_onnx_save(g, in_dir("external.onnx"), 1000, &err));
        hone_graph_free(g);
        for (int external = 0; external < 2; external++) {
            const char *path = in_dir(external ? "external.onnx" : "inline.onnx");
            char what[64];
            snprintf(what, sizeof what, "%s %s", external ? "external" : "inline", shape_names[s]);
            check_cost(what, cost_of(path, "read", ""), most(), 1.02);
            check_cost(what, cost_of(path, "read", "rows"), most(), 1.02);
        }
        /* what is read as it lies is the file's; what is folded is made at once, the rest packed when it is needed */
        bool direct = s == LAYERS || s == SINGLE;
        bool folded = s == FOLDED;
        check_cost("mapped", cost_of(in_dir("external.onnx"), "mapped", ""), folded ? most() : 0.2,
                   folded ? 1.02 : 0.01);
        check_cost("mapped and run", cost_of(in_dir("external.onnx"), "mapped", "rows"), most(),
                   direct ? 0.01 : 1.02);
    }
}

/* 3 GB of weights, in a file with nothing in it, are there in no time and in no memory. */
static void test_huge(void **state) {
    (void)state;
    static bytes tensor, graph, model;
    const int64_t side = 8192, layers = 12, size = 4 * side * side;
    char name[16], input[32] = "x", offset[32];
    int fd = open(in_dir("huge.bin"), O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    if (ftruncate(fd, layers * size) != 0) skip();
    close(fd);
    for (int i = 0; i < layers; i++) {
        snprintf(name, sizeof name, "w%d", i);
        snprintf(offset, sizeof offset, "%lld", (long long)(i * size));
        tensor_begin(&tensor, name, HONE_FLOAT32, 2, (int64_t[]){side, side});
        put_entry(&tensor, 13, "location", "huge.bin");
        put_entry(&tensor, 13, "offset", offset);
        put_int(&tensor, 14, 1);
        put_message(&graph, 5, &tensor);
        snprintf(input + strlen(input), sizeof input - strlen(input), ",%s", name);
        snprintf(name, sizeof name, "y%d", i);
        put_node(&graph, "MatMul", name, input, name, NULL);
        snprintf(input, sizeof input, "%s", name);
    }
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "rows,8192");
    put_value(&graph, PART_OUTPUT, "y11", HONE_FLOAT32, "rows,8192");
    model_of(&model, &graph, 14);
    hone_error err;
    check_ok(hone_file_replace(in_dir("huge.onnx"), model.data, model.size, &err));
    cost c = cost_of(in_dir("huge.onnx"), "mapped", "");
    if (c.memory > (SANITIZED ? 400 : 100) * (size_t)MB) fail_msg("%zu MB", c.memory / MB);
    assert_true(c.model < MB);
}

static int make_dir(void **state) {
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state) {
    (void)state;
    return hone_dir_remove(dir, NULL) == HONE_OK ? 0 : -1;
}

/* For tests of the command. */
static int make_model(const char *path) {
    hone_error err;
    hone_graph *g = model_of_shape(LAYERS);
    hone_status status = hone_graph_save(g, path, &err);
    hone_graph_free(g);
    return status == HONE_OK ? 0 : complain(&err);
}

int main(int argc, char **argv) {
    program = argv[0];
    if (getenv("HONE_EMULATOR")) return 77; /* whose memory would be measured */
    if (argc == 2) return make_model(argv[1]);
    if (argc == 4) return measure(argv[1], argv[2], argv[3]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_huge),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
