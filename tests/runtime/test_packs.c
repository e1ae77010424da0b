/* Packed constants: the same answers as unpacked ones whatever parts they are packed in, and nothing kept twice. */
#include "base/mapping.h"
#include "ops/each_level.h"
#include "support/graphs.h"

#include <sys/mman.h>
#include <unistd.h>

static const char *program;

static hone_tensor *bytes_random(hone_dtype dtype, int rank, const int64_t *dims, uint64_t seed) {
    if (dtype == HONE_FLOAT32) return tensor_random(dtype, rank, dims, seed);
    hone_tensor *t = tensor_make(dtype, rank, dims);
    hone_rng r = hone_rng_make(seed, 3);
    for (size_t i = 0; i < t->bytes; i++) ((uint8_t *)t->data)[i] = (uint8_t)hone_rng_u32(&r);
    return t;
}

/* B is larger than a part, and no multiple of panels, groups or parts. */
typedef struct product {
    const char *op;
    hone_dtype a, b;
    int rank;
    int64_t dims[3]; /* of B */
    bool columns;    /* B is stored [n, k] */
} product;

static const product products[] = {
    {"MatMul", HONE_FLOAT32, HONE_FLOAT32, 2, {1037, 517}},
    {"MatMul", HONE_FLOAT32, HONE_FLOAT32, 3, {3, 401, 519}},
    {"MatMul", HONE_FLOAT32, HONE_FLOAT32, 2, {300007, 1}},
    {"MatMul", HONE_FLOAT32, HONE_FLOAT32, 1, {300007}},
    {"Gemm", HONE_FLOAT32, HONE_FLOAT32, 2, {1037, 517}},
    {"Gemm", HONE_FLOAT32, HONE_FLOAT32, 2, {1037, 517}, true},
    {"Gemm", HONE_FLOAT32, HONE_FLOAT32, 2, {3, 200003}, true},
    {"MatMulInteger", HONE_UINT8, HONE_INT8, 2, {2051, 1027}},
    {"MatMulInteger", HONE_INT8, HONE_UINT8, 2, {2051, 1027}},
    {"MatMulInteger", HONE_UINT8, HONE_UINT8, 3, {2, 1031, 515}},
    {"IntegerGemm", HONE_UINT8, HONE_INT8, 2, {2051, 1027}, true},
    {"IntegerGemm", HONE_UINT8, HONE_UINT8, 2, {1027, 2051}, true},
};

/* A's last dimension. */
static int64_t sums_of(const product *p) {
    return p->dims[p->columns ? 1 : p->rank > 1 ? p->rank - 2 : 0];
}

static hone_graph *graph_of(const product *p, hone_tensor *b) {
    hone_graph *g = hone_graph_new("product");
    hone_value *x = graph_input(g, "a", p->a, SHAPE(hone_graph_symbol(g, "rows"), sums_of(p)));
    hone_value *w = graph_input(g, "b", p->b, p->rank, p->dims), *y;
    if (b) w = hone_graph_add_constant(g, "w", b);
    if (strcmp(p->op, "IntegerGemm") == 0) {
        hone_value *scale = hone_graph_scalar(g, HONE_FLOAT32, 0.5);
        y = graph_op(g, p->op, x, scale, NULL, w, scale);
    } else
        y = graph_op(g, p->op, x, w);
    if (p->columns) hone_node_set_int(g, y->producer, "transB", 1);
    hone_graph_add_output(g, y);
    return g;
}

/* Compiled by `threads`. */
static void check_product(const product *p, int64_t rows, int threads) {
    hone_tensor *in[] = {bytes_random(p->a, SHAPE(rows, sums_of(p)), 1),
                         bytes_random(p->b, p->rank, p->dims, 2)};
    hone_graph *packed = graph_of(p, in[1]), *plain = graph_of(p, NULL);
    hone_model_options options = HONE_MODEL_OPTIONS_INIT;
    hone_model *m = NULL;
    hone_error err;
    const hone_tensor *got;
    hone_tensor *want;
    graph_run(plain, NULL, in, &want, 1);
    options.threads = threads;
    check_ok(hone_model_compile(packed, &options, &m, &err));
    assert_null(hone_graph_find(m->bodies[0].graph, "w")->data->data);
    runner r = runner_of(m, 2);
    runner_run(&r, in, &got);
    assert_same_bits(got, want);
    hone_tensor_free(want);
    runner_free(&r);
    hone_graph_free(packed);
    hone_graph_free(plain);
    for (int i = 0; i < 2; i++) hone_tensor_free(in[i]);
}

static void test_products(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(products); i++)
        for (int threads = 1; threads <= 3; threads += 2) check_product(&products[i], 3, threads);
}

static void test_at_every_level(void **state) {
    (void)state;
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char text[4096];
        if (!run_at_level(program, "--one", level_masks[i], text, sizeof text))
            fail_msg("%s: %s", level_masks[i], text);
    }
}

/* Enough for several threads, whose parts share column sums. */
static void test_threads(void **state) {
    (void)state;
    static const product large = {"MatMulInteger", HONE_UINT8, HONE_UINT8, 2, {6001, 6003}};
    check_product(&large, 1, 4);
}

/* --- mapped constants --- */

/* A copy of `t` in a file's mapping. */
static hone_tensor *mapped(const hone_tensor *t) {
    hone_error err;
    hone_mapping *m = NULL;
    hone_tensor *copy = NULL;
    void *data = NULL;
    int fd = memfd_create("weights", MFD_CLOEXEC);
    assert_int_equal(write(fd, t->data, t->bytes), t->bytes);
    check_ok(hone_file_map(fd, "weights", 0, t->bytes, &m, &data, &err));
    close(fd);
    check_ok(hone_tensor_borrow(t->dtype, t->rank, t->dims, data, hone_mapping_free, m, &copy, &err));
    copy->mapped = true;
    return copy;
}

/* Nothing is packed while compiling; then what cannot be read as it lies, or all without memory for that. */
static void test_mapped(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(products); i++) {
        const product *p = &products[i];
        bool direct = p->b == HONE_FLOAT32 && !p->columns;
        hone_tensor *in[] = {bytes_random(p->a, SHAPE(3, sums_of(p)), 1),
                             bytes_random(p->b, p->rank, p->dims, 2)};
        hone_tensor *b = mapped(in[1]), *want;
        hone_graph *g = graph_of(p, b), *plain = graph_of(p, NULL);
        const hone_tensor *got;
        hone_error err;
        graph_run(plain, NULL, in, &want, 1);
        for (int starved = 0; starved < 2; starved++) {
            hone_model *m = NULL;
            check_ok(hone_model_compile(g, NULL, &m, &err));
            assert_ptr_equal(hone_graph_find(m->bodies[0].graph, "w")->data, b);
            assert_true(hone_model_bytes(m) < 1000);
            runner r = runner_of(m, 2);
            for (uint64_t n = 1; starved; n++) {
                hone_alloc_fail_at(n, false);
                hone_status status = hone_context_run(r.context, (const hone_tensor *const *)in, &got, &err);
                hone_alloc_fail_at(0, false);
                if (status == HONE_OK) break;
                assert_int_equal(status, HONE_OUT_OF_MEMORY);
            }
            runner_run(&r, in, &got);
            assert_same_bits(got, want);
            if (!starved) assert_int_equal(hone_model_bytes(m) >= b->bytes, !direct);
            runner_free(&r);
        }
        hone_tensor_free(want);
        hone_tensor_free(b);
        hone_graph_free(g);
        hone_graph_free(plain);
        for (int k = 0; k < 2; k++) hone_tensor_free(in[k]);
    }
}

/* --- what is kept --- */

static hone_model *compile(const hone_graph *g) {
    hone_model *m = NULL;
    hone_error err;
    check_ok(hone_model_compile(g, NULL, &m, &err));
    return m;
}

static const hone_tensor *constant_of(const hone_model *m, const char *name) {
    return hone_graph_find(m->bodies[0].graph, name)->data;
}

static void test_dropped(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("dropped");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(4, 64));
    hone_value *w = graph_constant(g, "w", tensor_random(HONE_FLOAT32, SHAPE(64, 64), 1));
    hone_graph_add_output(g, graph_op(g, "MatMul", graph_op(g, "MatMul", x, w), w));
    hone_model *m = compile(g);
    const hone_tensor *t = constant_of(m, "w");
    assert_null(t->data);
    assert_int_equal(t->rank, 2);
    assert_int_equal(t->count, 64 * 64);
    assert_int_equal(hone_tensor_bytes(t), 0);
    assert_true(hone_model_bytes(m) >= 64 * 64 * 4 && hone_model_bytes(m) < 2 * 64 * 64 * 4);
    assert_non_null(w->data->data); /* the caller's graph is whole */
    assert_null(hone_graph_find(hone_model_signature(m), "w"));
    hone_model_free(m);
    hone_graph_free(g);
}

static void count_release(void *owner) {
    ++*(int *)owner;
}

/* A graph that is taken is gone, and what is packed with it. */
static void test_taken(void **state) {
    (void)state;
    for (int wrong = 0; wrong < 2; wrong++) {
        hone_graph *g = hone_graph_new("taken");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(4, 64));
        float *data = calloc(64 * 64, sizeof *data);
        int released = 0;
        hone_tensor *w = NULL, *in = tensor_random(HONE_FLOAT32, SHAPE(4, 64), 1);
        hone_error err;
        data[64 * 7 + 5] = 3;
        check_ok(hone_tensor_borrow(HONE_FLOAT32, SHAPE(64, 64), data, count_release, &released, &w, &err));
        hone_graph_add_output(g, graph_op(g, "MatMul", x, graph_constant(g, "w", w)));
        hone_model_options options = HONE_MODEL_OPTIONS_INIT;
        if (wrong) options.disable_rewrites = "no-such-rewrite";
        hone_model *m = NULL;
        hone_status status = hone_model_take(g, &options, &m, &err);
        assert_int_equal(status, wrong ? HONE_INVALID_ARGUMENT : HONE_OK);
        assert_int_equal(released, 1);
        memset(data, 0, 64 * 64 * sizeof *data);
        free(data);
        if (!wrong) {
            const hone_tensor *y;
            runner r = runner_of(m, 1);
            runner_run(&r, &in, &y);
            assert_true(tensor_at(y, 5) == (float)(3 * tensor_at(in, 7)));
            runner_free(&r);
        }
        hone_tensor_free(in);
    }
}

/* Readers that want it as it is, and those who see the results, keep a constant. */
static void test_kept(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("kept");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(8, 8));
    hone_value *read = graph_constant(g, "read", tensor_random(HONE_FLOAT32, SHAPE(8, 8), 1)),
               *shown = graph_constant(g, "shown", tensor_random(HONE_FLOAT32, SHAPE(8, 8), 2)),
               *left = graph_constant(g, "left", tensor_random(HONE_FLOAT32, SHAPE(8, 8), 3)),
               *twice = graph_constant(g, "twice", tensor_random(HONE_FLOAT32, SHAPE(8, 8), 4));
    hone_value *y = graph_op(g, "Softmax", graph_op(g, "Add", graph_op(g, "MatMul", x, read), read));
    y = graph_op(g, "Softmax", graph_op(g, "MatMul", y, shown));
    y = graph_op(g, "MatMul", left, graph_op(g, "MatMul", y, left));
    hone_value *turned = graph_op(g, "Gemm", graph_op(g, "Softmax", y), twice);
    hone_node_set_int(g, turned->producer, "transB", 1);
    hone_graph_add_output(g, graph_op(g, "MatMul", graph_op(g, "Softmax", turned), twice));
    hone_graph_add_output(g, shown);
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(8, 8), 5), *want[2];
    const hone_tensor *got[2];
    graph_run(g, "all", &in, want, 2);
    hone_model *m = compile(g);
    assert_non_null(constant_of(m, "read")->data);
    assert_non_null(constant_of(m, "shown")->data);
    assert_non_null(constant_of(m, "left")->data);
    assert_null(constant_of(m, "twice")->data); /* packed both ways */
    hone_graph_free(g);
    runner r = runner_of(m, 1);
    runner_run(&r, &in, got);
    assert_close(got[0], want[0], 1e-6);
    assert_same_bits(got[1], want[1]);
    runner_free(&r);
    for (int i = 0; i < 2; i++) hone_tensor_free(want[i]);
    hone_tensor_free(in);
}

static void test_failing(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("failing");
    hone_value *y = graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 1100));
    for (int i = 0; i < 2; i++)
        y = graph_op(g, "MatMul", y,
                     graph_constant(g, "w", tensor_random(HONE_FLOAT32, SHAPE(1100, 1100), 1)));
    hone_graph_add_output(g, y);
    hone_status status = HONE_OUT_OF_MEMORY;
    for (uint64_t n = 1; status != HONE_OK; n++) {
        hone_model_options options = HONE_MODEL_OPTIONS_INIT;
        hone_model *m = NULL;
        hone_error err;
        options.threads = 3;
        hone_alloc_fail_at(n, true);
        status = hone_model_compile(g, &options, &m, &err);
        hone_alloc_fail_at(0, false);
        if (status != HONE_OK) assert_int_equal(status, HONE_OUT_OF_MEMORY);
        hone_model_free(m);
    }
    hone_graph_free(g);
}

int main(int argc, char **argv) {
    program = argv[0];
    const struct CMUnitTest of_a_level[] = {cmocka_unit_test(test_products)};
    if (argc > 1) return cmocka_run_group_tests(of_a_level, NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_every_level), cmocka_unit_test(test_threads), cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_dropped),        cmocka_unit_test(test_taken),   cmocka_unit_test(test_kept),
        cmocka_unit_test(test_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
