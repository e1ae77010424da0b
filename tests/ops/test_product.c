/* The product driver: how it cuts work, and that neither cut nor threads nor fusion change an answer. */
#include "ops/engine/product_inside.h"
#include "support/graphs.h"

#include "kernels/levels.h"

/* --- the cut --- */

static void check_cut(const hone_gemm_family *f, int64_t m, int64_t n, int64_t k, int64_t batch,
                      size_t b_size) {
    hone_product s = {.m = m, .n = n, .k = k, .batch = batch};
    hone_product_blocks c = hone_product_cut(f, &s, b_size, false);
    assert_true(c.rows >= 1 && c.columns >= 1);
    assert_int_equal(c.row_blocks, (m + c.rows - 1) / c.rows);
    assert_int_equal(c.column_blocks, (n + c.columns - 1) / c.columns);
    assert_true(c.row_blocks == 1 || c.rows % f->rows == 0);
    assert_true(c.column_blocks == 1 || c.columns % f->panel == 0);
    assert_int_equal(c.cut.count, batch * c.row_blocks * c.column_blocks);
    double work = c.cut.nanoseconds, tasks = (double)hone_cut_tasks(&c.cut), task = work / tasks;
    if (work < HONE_PARALLEL_NANOSECONDS) {
        assert_int_equal(c.row_blocks * c.column_blocks, 1);
        return;
    }
    /* no task is long, unless a tile of one panel is */
    double least =
        (double)(f->rows * f->panel * (m <= 3 ? 4 : 1) * k) * (f->nanoseconds + 0.005 * (double)b_size);
    if (task > 90000 && task > 1.01 * least)
        fail_msg("%s %dx%dx%d: tasks of %g us", f->name, (int)m, (int)n, (int)k, task / 1000);
    /* nor short, if the work is enough for many */
    if (work > 640000 && task < 15000)
        fail_msg("%s %dx%dx%d: tasks of %g us", f->name, (int)m, (int)n, (int)k, task / 1000);
}

static void test_cut(void **state) {
    (void)state;
    static const int64_t sizes[] = {1, 2, 3, 4, 7, 8, 17, 64, 100, 128, 784, 1000, 4096, 60000};
    const hone_kernels *kernels = hone_kernels_get();
    const hone_gemm_family *families[] = {kernels->gemm[HONE_GEMM_F32], kernels->gemm[HONE_GEMM_F64],
                                          kernels->gemm[HONE_GEMM_U8S8], &hone_gemm_u8s8_tiles,
                                          &hone_gemm_f32_generic};
    static const size_t b_sizes[] = {4, 8, 1, 1, 4};
    for (int f = 0; f < COUNT(families); f++)
        for (int i = 0; i < COUNT(sizes); i++)
            for (int j = 0; j < COUNT(sizes); j++)
                for (int l = 0; l < COUNT(sizes); l++)
                    for (int64_t batch = 1; batch <= 96; batch *= 96)
                        check_cut(families[f], sizes[i], sizes[j], sizes[l], batch, b_sizes[f]);
}

/* A large product is work for any number of threads that a machine may have. */
static void test_many_tasks(void **state) {
    (void)state;
    const hone_kernels *kernels = hone_kernels_get();
    hone_product s = {.m = 4096, .n = 4096, .k = 4096, .batch = 1};
    hone_product_blocks c = hone_product_cut(kernels->gemm[HONE_GEMM_F32], &s, 4, false);
    assert_true(hone_cut_tasks(&c.cut) > 2000);
    c = hone_product_cut(kernels->gemm[HONE_GEMM_U8S8], &s, 1, false);
    assert_true(hone_cut_tasks(&c.cut) > 1000);
    s = (hone_product){.m = 512, .n = 1024, .k = 1024, .batch = 1};
    c = hone_product_cut(kernels->gemm[HONE_GEMM_F32], &s, 4, false);
    assert_true(hone_cut_tasks(&c.cut) >= 64);
}

/* --- answers --- */

typedef enum b_kind { B_CONSTANT, B_INPUT, B_KINDS } b_kind;

typedef enum behind {
    NOTHING,
    ROW_RELU,    /* fits into registers */
    MATRIX,      /* + a matrix, at least 0: so does this */
    RESIDUAL,    /* a row, a matrix, and bounded: this, too, but behind integers */
    GELU,        /* over strips */
    RESIDUAL_ROW /* a matrix and then a row: in this order over strips */
} behind;

typedef struct product_case {
    int rank_a, rank_b;
    int64_t a[4], b[4];
    bool gemm, trans_a, trans_b;
    float beta; /* of a C of the result's shape; 0: none */
    behind behind;
} product_case;

static const product_case cases[] = {
    {2, 2, {300, 200}, {200, 500}},
    {2, 2, {300, 200}, {200, 500}, .behind = GELU},
    {2, 2, {61, 300}, {300, 1210}, .behind = GELU},
    {2, 2, {300, 200}, {200, 500}, .behind = ROW_RELU},
    {2, 2, {300, 200}, {200, 500}, .behind = RESIDUAL},
    {2, 2, {300, 200}, {200, 500}, .behind = RESIDUAL_ROW},
    {2, 2, {9000, 40}, {40, 30}, .behind = GELU},
    {2, 2, {1, 1500}, {1500, 1500}, .behind = GELU},
    {2, 2, {3, 1000}, {1000, 1111}, .behind = RESIDUAL},
    {2, 2, {97, 400}, {400, 301}, .behind = MATRIX},
    {2, 2, {40, 2000}, {2000, 100}, .behind = ROW_RELU},
    {2, 2, {200, 300}, {500, 200}, .gemm = true, .trans_a = true, .trans_b = true, .behind = GELU},
    {2, 2, {300, 200}, {200, 500}, .gemm = true, .beta = 1, .behind = GELU},
    {2, 2, {300, 200}, {200, 500}, .gemm = true, .beta = 0.5f, .behind = ROW_RELU},
    {2, 2, {300, 200}, {500, 200}, .gemm = true, .trans_b = true, .beta = -2, .behind = RESIDUAL},
    {3, 3, {50, 100, 20}, {50, 20, 90}, .behind = GELU}, /* small matrices: a task packs its own */
    {3, 3, {2, 300, 200}, {2, 200, 500}, .behind = RESIDUAL},
    {4, 4, {2, 5, 120, 60}, {1, 5, 60, 120}},
    {3, 3, {40, 7, 64}, {40, 64, 50}},
};

static hone_value *emit_behind(hone_graph *g, hone_value *y, behind what) {
    hone_type t = y->type;
    int64_t n = t.dims[t.rank - 1];
    hone_value *row = graph_input(g, "row", t.dtype, SHAPE(n)),
               *z = graph_input(g, "z", t.dtype, t.rank, t.dims);
    switch (what) {
    case ROW_RELU: return graph_op(g, "Relu", graph_op(g, "Add", row, y));
    case MATRIX: return graph_op(g, "Relu", graph_op(g, "Add", y, z));
    case RESIDUAL:
        y = graph_op(g, "Add", graph_op(g, "Add", y, row), z);
        return graph_op(g, "Clip", y, hone_graph_scalar(g, t.dtype, -0.5), hone_graph_scalar(g, t.dtype, 2));
    case RESIDUAL_ROW: return graph_op(g, "Add", graph_op(g, "Add", z, y), row);
    case GELU: return graph_op(g, "Gelu", graph_op(g, "Add", y, row));
    default: return y;
    }
}

/* Inputs a, b, C, row, z. */
static hone_graph *build(const product_case *c, hone_dtype dtype, b_kind kind, hone_tensor **in) {
    hone_graph *g = hone_graph_new("product");
    hone_error err;
    in[0] = tensor_random(dtype, c->rank_a, c->a, 1);
    in[1] = tensor_random(dtype, c->rank_b, c->b, 2);
    hone_value *a = graph_input(g, "a", dtype, c->rank_a, c->a),
               *b = graph_input(g, "b", dtype, c->rank_b, c->b);
    int64_t shape[] = {c->a[c->trans_a], c->b[!c->trans_b]};
    in[2] = tensor_random(dtype, 2, shape, 3);
    hone_value *addend = graph_input(g, "c", dtype, 2, shape), *y;
    if (kind == B_CONSTANT) b = hone_graph_add_constant(g, "w", in[1]);
    if (c->gemm) {
        y = graph_op(g, "Gemm", a, b, c->beta != 0 ? addend : NULL);
        hone_node_set_int(g, y->producer, "transA", c->trans_a);
        hone_node_set_int(g, y->producer, "transB", c->trans_b);
        hone_node_set_float(g, y->producer, "beta", c->beta);
        hone_node_set_float(g, y->producer, "alpha", 0.125f);
    } else {
        y = graph_op(g, "MatMul", a, b);
    }
    check_ok(hone_graph_infer(g, &err));
    in[3] = tensor_random(dtype, SHAPE(y->type.dims[y->type.rank - 1]), 4);
    in[4] = tensor_random(dtype, y->type.rank, y->type.dims, 5);
    hone_graph_add_output(g, emit_behind(g, y, c->behind));
    check_ok(hone_graph_check(g, &err));
    return g;
}

/* The name of the last step's kernel. */
static const char *last_kernel;

static hone_tensor *run_with(const hone_graph *g, const char *disable, int threads, hone_tensor *const *in,
                             int *steps) {
    const hone_tensor *y;
    hone_step_info info;
    runner r = runner_make(g, disable, threads);
    runner_run(&r, in, &y);
    assert_true(hone_context_step(r.context, hone_context_step_count(r.context) - 1, &info));
    last_kernel = info.kernel; /* a literal */
    hone_tensor *copy = tensor_copy(y);
    *steps = hone_context_step_count(r.context);
    runner_free(&r);
    return copy;
}

/* Does what stands behind the product have no place in the kernel's epilogue? */
static bool over_strips(const product_case *c) {
    if (c->behind == GELU || c->behind == RESIDUAL_ROW) return true;
    return c->beta != 0 && (c->beta != 1 || c->behind != NOTHING);
}

/* The same bits, whatever runs it, and whether it is one step or several. */
static void test_same_bits(void **state) {
    (void)state;
    static const int threads[] = {2, 7, 32};
    for (int i = 0; i < COUNT(cases); i++)
        for (int kind = 0; kind < B_KINDS; kind++) {
            hone_tensor *in[5];
            int fused, steps;
            hone_graph *g = build(&cases[i], HONE_FLOAT32, (b_kind)kind, in);
            hone_tensor *y = run_with(g, NULL, 1, in, &fused);
            assert_int_equal(fused, 1);
            assert_true((strstr(last_kernel, "strips") != NULL) == over_strips(&cases[i]));
            for (int t = 0; t < COUNT(threads); t++) {
                hone_tensor *other = run_with(g, NULL, threads[t], in, &steps);
                assert_same_bits(other, y);
                hone_tensor_free(other);
            }
            hone_tensor *apart = run_with(g, "fuse-elementwise,fuse-epilogue", 1, in, &steps);
            assert_true(steps > fused || cases[i].behind == NOTHING);
            assert_same_bits(apart, y);
            hone_tensor_free(apart);
            hone_tensor_free(y);
            for (int k = 0; k < 5; k++) hone_tensor_free(in[k]);
            hone_graph_free(g);
        }
}

/* Against the same graph in double. */
static void test_against_double(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(cases); i++) {
        hone_tensor *in[5], *in_double[5];
        int steps;
        hone_graph *g = build(&cases[i], HONE_FLOAT32, B_CONSTANT, in);
        hone_graph *wide = build(&cases[i], HONE_FLOAT64, B_CONSTANT, in_double);
        hone_tensor *y = run_with(g, NULL, 2, in, &steps), *want = run_with(wide, NULL, 2, in_double, &steps);
        assert_int_equal(y->count, want->count);
        for (int64_t k = 0; k < y->count; k++)
            if (!(fabs(tensor_at(y, k) - tensor_at(want, k)) <= 3e-4))
                fail_msg("case %d [%d]: %g, not %g", i, (int)k, tensor_at(y, k), tensor_at(want, k));
        hone_tensor_free(y);
        hone_tensor_free(want);
        for (int k = 0; k < 5; k++) {
            hone_tensor_free(in[k]);
            hone_tensor_free(in_double[k]);
        }
        hone_graph_free(g);
        hone_graph_free(wide);
    }
}

/* Products of integers that become real numbers have maps behind them, too. */
static void test_integers(void **state) {
    (void)state;
    enum { M = 150, N = 200, K = 300 };
    static const behind what[] = {NOTHING, ROW_RELU, MATRIX, RESIDUAL, GELU, RESIDUAL_ROW};
    for (int i = 0; i < COUNT(what) * 4; i++) {
        bool relu = i & 1, bias = i & 2;
        hone_graph *g = hone_graph_new("integers");
        hone_error err;
        hone_tensor *in[] = {tensor_make(HONE_UINT8, SHAPE(M, K)), tensor_random(HONE_FLOAT32, SHAPE(N), 2),
                             tensor_random(HONE_FLOAT32, SHAPE(M, N), 3)},
                    *w = tensor_make(HONE_INT8, SHAPE(K, N));
        for (int64_t k = 0; k < M * K; k++) ((uint8_t *)in[0]->data)[k] = (uint8_t)(k * 7 + k / 300);
        for (int64_t k = 0; k < K * N; k++) ((int8_t *)w->data)[k] = (int8_t)(k * 11 + k / 77);
        hone_value *a = graph_input(g, "a", HONE_UINT8, SHAPE(M, K));
        hone_value *y =
            graph_op(g, "IntegerGemm", a, hone_graph_scalar(g, HONE_FLOAT32, 0.01),
                     hone_graph_scalar(g, HONE_UINT8, 100), graph_constant(g, "w", w),
                     hone_graph_scalar(g, HONE_FLOAT32, 0.002), NULL,
                     bias ? graph_constant(g, "bias", tensor_random(HONE_FLOAT32, SHAPE(N), 4)) : NULL);
        hone_node_set_int(g, y->producer, "relu", relu);
        check_ok(hone_graph_infer(g, &err));
        hone_graph_add_output(g, emit_behind(g, y, what[i / 4]));
        int fused, steps;
        hone_tensor *one = run_with(g, NULL, 1, in, &fused);
        assert_int_equal(fused, 1);
        assert_int_equal(strstr(last_kernel, "strips") == NULL,
                         what[i / 4] == NOTHING || (what[i / 4] == MATRIX && !relu));
        hone_tensor *more = run_with(g, NULL, 7, in, &steps),
                    *apart = run_with(g, "fuse-elementwise,fuse-epilogue", 2, in, &steps);
        assert_true(steps > 1 || what[i / 4] == NOTHING);
        assert_same_bits(more, one);
        assert_same_bits(apart, one);
        hone_tensor_free(one);
        hone_tensor_free(more);
        hone_tensor_free(apart);
        for (int k = 0; k < 3; k++) hone_tensor_free(in[k]);
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),       cmocka_unit_test(test_many_tasks),
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_against_double),
        cmocka_unit_test(test_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
