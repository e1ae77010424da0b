/* MatMul and Gemm against sums in double: all shapes, transposes, kinds of B, epilogues. */
#include "support/graphs.h"

typedef enum b_kind { B_INPUT, B_CONSTANT, B_VARIABLE, B_COMPUTED, B_KINDS } b_kind;

static hone_value *operand_b(hone_graph *g, b_kind kind, const hone_tensor *b) {
    hone_value *input = graph_input(g, "b", b->dtype, b->rank, b->dims);
    switch (kind) {
    case B_CONSTANT: return hone_graph_add_constant(g, "w", (hone_tensor *)b);
    case B_VARIABLE: return hone_graph_add_variable(g, "w", (hone_tensor *)b);
    case B_COMPUTED: return graph_op(g, "Neg", graph_op(g, "Neg", input));
    default: return input;
    }
}

static double bound_of(hone_dtype dtype, int64_t k) {
    if (dtype == HONE_FLOAT16) return 5e-4; /* computed in float32, rounded once */
    if (dtype == HONE_BFLOAT16) return 4e-3;
    return (dtype == HONE_FLOAT32 ? 2e-7 : dtype == HONE_FLOAT64 ? 1e-15 : 0) * (double)(k + 4);
}

/* Sums behind each other may cancel: the bound is on the size of what is summed, which is at most k or so. */
static void assert_near(double got, double want, double bound, const char *what, int64_t i) {
    if (!(fabs(got - want) <= bound * (1 + fabs(want))))
        fail_msg("%s [%lld]: %.9g, not %.9g", what, (long long)i, got, want);
}

/* --- MatMul --- */

/* Offset of the matrix of `t`, which is `rank` ≥ 2, for batch `index` of the batch shape. */
static int64_t batch_offset(int rank, const int64_t *dims, int batch_rank, const int64_t *batch,
                            int64_t index) {
    int64_t offset = 0, stride = dims[rank - 2] * dims[rank - 1];
    for (int d = batch_rank - 1, e = rank - 3; d >= 0; d--, e--) {
        int64_t at = index % batch[d];
        index /= batch[d];
        if (e < 0) continue;
        if (dims[e] != 1) offset += at * stride;
        stride *= dims[e];
    }
    return offset;
}

static void check_matmul(hone_dtype dtype, b_kind kind, int rank_a, const int64_t *a, int rank_b,
                         const int64_t *b) {
    hone_tensor *in[] = {tensor_random(dtype, rank_a, a, 1), tensor_random(dtype, rank_b, b, 2)};
    hone_graph *g = hone_graph_new("matmul");
    hone_value *x = graph_input(g, "a", dtype, rank_a, a);
    hone_graph_add_output(g, graph_op(g, "MatMul", x, operand_b(g, kind, in[1])));
    const hone_tensor *y;
    runner r = runner_make(g, NULL, 2);
    runner_run(&r, in, &y);
    int64_t da[8] = {1, 1}, db[8] = {1, 1}, batch[8]; /* vectors are rows and columns */
    int ra = rank_a == 1 ? 2 : rank_a, rb = rank_b == 1 ? 2 : rank_b;
    memcpy(rank_a == 1 ? da + 1 : da, a, (size_t)rank_a * sizeof *a);
    memcpy(db, b, (size_t)rank_b * sizeof *b);
    int batch_rank = (ra > rb ? ra : rb) - 2;
    int64_t m = da[ra - 2], k = da[ra - 1], n = db[rb - 1], count = 1;
    for (int d = 0; d < batch_rank; d++) {
        int ea = d - (batch_rank - (ra - 2)), eb = d - (batch_rank - (rb - 2));
        int64_t p = ea < 0 ? 1 : da[ea], q = eb < 0 ? 1 : db[eb];
        batch[d] = p == 1 ? q : p;
        count *= batch[d];
    }
    assert_int_equal(y->rank, batch_rank + (rank_a > 1) + (rank_b > 1));
    assert_int_equal(y->count, count * m * n);
    for (int64_t i = 0; i < y->count; i++) {
        int64_t at = i / (m * n), row = i / n % m, column = i % n;
        int64_t oa = batch_offset(ra, da, batch_rank, batch, at),
                ob = batch_offset(rb, db, batch_rank, batch, at);
        double sum = 0;
        for (int64_t l = 0; l < k; l++)
            sum += tensor_at(in[0], oa + row * k + l) * tensor_at(in[1], ob + l * n + column);
        assert_near(tensor_at(y, i), sum, bound_of(dtype, k), "MatMul", i);
    }
    runner_free(&r);
    hone_tensor_free(in[0]);
    hone_tensor_free(in[1]);
    hone_graph_free(g);
}

static void test_matmul_shapes(void **state) {
    (void)state;
    static const struct {
        int ra, rb;
        int64_t a[4], b[4];
    } cases[] = {
        {1, 1, {7}, {7}},
        {1, 2, {7}, {7, 5}},
        {2, 1, {3, 7}, {7}},
        {2, 2, {3, 7}, {7, 5}},
        {2, 2, {1, 1}, {1, 1}},
        {2, 2, {130, 33}, {33, 65}},
        {2, 2, {97, 64}, {64, 1}},
        {2, 2, {1, 300}, {300, 129}},
        {3, 2, {4, 3, 7}, {7, 5}},
        {3, 2, {40, 3, 7}, {7, 18}},
        {3, 1, {4, 3, 7}, {7}},
        {1, 3, {7}, {4, 7, 5}},
        {2, 3, {3, 7}, {4, 7, 5}},
        {3, 3, {4, 3, 7}, {4, 7, 5}},
        {3, 3, {1, 3, 7}, {4, 7, 5}},
        {3, 3, {4, 3, 7}, {1, 7, 5}},
        {3, 3, {2, 100, 9}, {2, 9, 17}},
        {4, 4, {2, 3, 4, 5}, {2, 3, 5, 6}},
        {4, 4, {2, 1, 4, 5}, {1, 3, 5, 6}},
        {4, 3, {2, 3, 4, 5}, {3, 5, 6}},
        {4, 3, {2, 3, 4, 5}, {1, 5, 6}},
        {3, 4, {3, 4, 5}, {2, 1, 5, 6}},
        {4, 2, {2, 3, 4, 5}, {5, 6}},
        {4, 1, {2, 3, 4, 5}, {5}},
        {1, 4, {5}, {2, 3, 5, 6}},
        /* empty in each way */
        {2, 2, {0, 7}, {7, 5}},
        {2, 2, {3, 0}, {0, 5}},
        {2, 2, {100, 0}, {0, 5}},
        {2, 2, {3, 7}, {7, 0}},
        {2, 2, {100, 7}, {7, 0}},
        {1, 1, {0}, {0}},
        {3, 3, {0, 3, 7}, {1, 7, 5}},
        {3, 3, {4, 3, 0}, {4, 0, 5}},
        {3, 2, {0, 3, 7}, {7, 5}},
    };
    static const hone_dtype dtypes[] = {HONE_FLOAT32, HONE_FLOAT64, HONE_INT32,
                                        HONE_INT64,   HONE_FLOAT16, HONE_BFLOAT16};
    for (int c = 0; c < COUNT(cases); c++)
        for (int kind = 0; kind < B_KINDS; kind++)
            for (int d = 0; d < COUNT(dtypes); d++)
                check_matmul(dtypes[d], (b_kind)kind, cases[c].ra, cases[c].a, cases[c].rb, cases[c].b);
}

static void test_wrong_shapes(void **state) {
    (void)state;
    static const struct {
        int ra, rb;
        int64_t a[3], b[3];
    } cases[] = {{2, 2, {3, 7}, {6, 5}}, {0, 2, {0}, {6, 5}}, {1, 1, {3}, {4}}, {3, 3, {2, 3, 7}, {3, 7, 5}}};
    for (int c = 0; c < COUNT(cases); c++) {
        hone_error err;
        hone_graph *g = hone_graph_new("wrong");
        hone_value *a = graph_input(g, "a", HONE_FLOAT32, cases[c].ra, cases[c].a),
                   *b = graph_input(g, "b", HONE_FLOAT32, cases[c].rb, cases[c].b);
        graph_op(g, "MatMul", a, b);
        assert_int_equal(hone_graph_infer(g, &err), HONE_INVALID_ARGUMENT);
        assert_string_equal(err.op, "MatMul");
        hone_graph_free(g);
    }
}

/* --- Gemm --- */

typedef struct gemm_case {
    hone_dtype dtype;
    b_kind kind;
    int trans_a, trans_b;
    float alpha, beta;
    int64_t m, n, k;
    int c_rank; /* < 0: no C */
    int64_t c[2];
    bool row, relu, twice; /* behind it: + row, Relu, and times 2 */
} gemm_case;

static double c_at(const hone_tensor *c, int64_t i, int64_t j) {
    if (c->rank == 0) return tensor_at(c, 0);
    int64_t columns = c->dims[c->rank - 1], column = columns == 1 ? 0 : j;
    int64_t row = c->rank == 1 || c->dims[0] == 1 ? 0 : i;
    return tensor_at(c, row * columns + column);
}

static void check_gemm(const gemm_case *t) {
    int64_t a[] = {t->trans_a ? t->k : t->m, t->trans_a ? t->m : t->k},
            b[] = {t->trans_b ? t->n : t->k, t->trans_b ? t->k : t->n};
    hone_tensor *in[] = {tensor_random(t->dtype, 2, a, 1), tensor_random(t->dtype, 2, b, 2),
                         tensor_random(t->dtype, t->c_rank < 0 ? 0 : t->c_rank, t->c, 3),
                         tensor_random(t->dtype, SHAPE(t->n), 4)};
    hone_graph *g = hone_graph_new("gemm");
    hone_value *x = graph_input(g, "a", t->dtype, 2, a), *w = operand_b(g, t->kind, in[1]),
               *c = graph_input(g, "c", t->dtype, in[2]->rank, in[2]->dims),
               *row = graph_input(g, "row", t->dtype, SHAPE(t->n));
    hone_value *y = graph_op(g, "Gemm", x, w, t->c_rank < 0 ? NULL : c);
    hone_node_set_int(g, y->producer, "transA", t->trans_a);
    hone_node_set_int(g, y->producer, "transB", t->trans_b);
    hone_node_set_float(g, y->producer, "alpha", t->alpha);
    hone_node_set_float(g, y->producer, "beta", t->beta);
    if (t->row) y = t->relu ? graph_op(g, "Add", row, y) : graph_op(g, "Add", y, row);
    if (t->relu) y = graph_op(g, "Relu", y);
    if (t->twice) y = graph_op(g, "Add", y, y);
    hone_graph_add_output(g, y);
    const hone_tensor *out;
    runner r = runner_make(g, NULL, 2);
    runner_run(&r, in, &out);
    assert_int_equal(hone_context_step_count(r.context), t->kind == B_COMPUTED ? 2 : 1);
    for (int64_t i = 0; i < t->m; i++)
        for (int64_t j = 0; j < t->n; j++) {
            double sum = 0;
            for (int64_t l = 0; l < t->k; l++)
                sum += tensor_at(in[0], t->trans_a ? l * t->m + i : i * t->k + l) *
                       tensor_at(in[1], t->trans_b ? j * t->k + l : l * t->n + j);
            double want = t->alpha * sum + (t->c_rank < 0 ? 0 : t->beta * c_at(in[2], i, j));
            if (t->row) want += tensor_at(in[3], j);
            if (t->relu && want < 0) want = 0;
            if (t->twice) want *= 2;
            assert_near(tensor_at(out, i * t->n + j), want, 2 * bound_of(t->dtype, t->k), "Gemm",
                        i * t->n + j);
        }
    runner_free(&r);
    for (int i = 0; i < 4; i++) hone_tensor_free(in[i]);
    hone_graph_free(g);
}

static void test_gemm_forms(void **state) {
    (void)state;
    static const float alphas[] = {1, 0.5f, 0}, betas[] = {1, -2, 0};
    static const int64_t sizes[][3] = {{5, 7, 3}, {100, 33, 20}, {1, 17, 40}, {9, 1, 4}, {3, 3, 3}};
    int n = 0;
    for (int form = 0; form < 4 * 3 * 3 * 8; form++) {
        int c = form / 36;
        gemm_case t = {.trans_a = form & 1,
                       .trans_b = form >> 1 & 1,
                       .alpha = alphas[form / 4 % 3],
                       .beta = betas[form / 12 % 3]};
        for (int s = 0; s < COUNT(sizes); s++, n++) {
            t.m = sizes[s][0], t.n = sizes[s][1], t.k = sizes[s][2];
            const int64_t shapes[8][2] = {{0}, {0}, {1}, {t.n}, {1, t.n}, {t.m, 1}, {t.m, t.n}, {1, 1}};
            static const int ranks[] = {-1, 0, 1, 1, 2, 2, 2, 2};
            t.c_rank = ranks[c];
            memcpy(t.c, shapes[c], sizeof t.c);
            t.dtype = n % 3 ? HONE_FLOAT32 : HONE_FLOAT64;
            t.kind = (b_kind)(n % B_KINDS);
            uint32_t behind = (uint32_t)n / 5 % 8;
            t.row = behind & 1, t.relu = behind & 2, t.twice = behind & 4;
            check_gemm(&t);
        }
    }
}

static void test_empty_gemm(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {{0, 4, 3}, {4, 0, 3}, {4, 5, 0}, {100, 5, 0}, {100, 0, 3}, {0, 0, 0}};
    for (int s = 0; s < COUNT(sizes); s++)
        for (int form = 0; form < 64; form++) {
            gemm_case t = {.trans_a = form & 1,
                           .trans_b = form >> 1 & 1,
                           .alpha = 1,
                           .beta = form & 4 ? 1 : 0.5f,
                           .relu = form & 8};
            t.dtype = form & 16 ? HONE_FLOAT64 : HONE_FLOAT32;
            t.row = form & 32;
            t.kind = (b_kind)(s % B_KINDS);
            t.m = sizes[s][0], t.n = sizes[s][1], t.k = sizes[s][2];
            t.c_rank = 1;
            t.c[0] = t.n;
            check_gemm(&t);
        }
}

/* One constant read both ways: its packed forms are two, even when it is a single row or column. */
static void test_one_constant_both_ways(void **state) {
    (void)state;
    static const int64_t shapes[][2] = {{20, 1}, {1, 20}, {20, 20}, {3, 50}};
    for (int c = 0; c < COUNT(shapes); c++) {
        int64_t rows = shapes[c][0], columns = shapes[c][1];
        hone_graph *g = hone_graph_new("both");
        hone_tensor *w = tensor_random(HONE_FLOAT32, 2, shapes[c], 1);
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(4, rows)),
                   *z = graph_input(g, "z", HONE_FLOAT32, SHAPE(4, columns)),
                   *v = hone_graph_add_constant(g, "w", w), *in_order = graph_op(g, "Gemm", x, v),
                   *turned = graph_op(g, "Gemm", z, v);
        hone_node_set_int(g, turned->producer, "transB", 1);
        hone_graph_add_output(g, in_order);
        hone_graph_add_output(g, turned);
        hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(4, rows), 2),
                             tensor_random(HONE_FLOAT32, SHAPE(4, columns), 3)},
                    *out[2];
        graph_run(g, NULL, in, out, 2);
        for (int64_t i = 0; i < 4; i++) {
            for (int64_t j = 0; j < columns; j++) {
                double sum = 0;
                for (int64_t l = 0; l < rows; l++)
                    sum += tensor_at(in[0], i * rows + l) * tensor_at(w, l * columns + j);
                assert_near(tensor_at(out[0], i * columns + j), sum, 1e-5, "in order", j);
            }
            for (int64_t j = 0; j < rows; j++) {
                double sum = 0;
                for (int64_t l = 0; l < columns; l++)
                    sum += tensor_at(in[1], i * columns + l) * tensor_at(w, j * columns + l);
                assert_near(tensor_at(out[1], i * rows + j), sum, 1e-5, "turned", j);
            }
        }
        for (int i = 0; i < 2; i++) {
            hone_tensor_free(in[i]);
            hone_tensor_free(out[i]);
        }
        hone_tensor_free(w);
        hone_graph_free(g);
    }
}

/* Integers wrap, and take nothing that follows into their kernel; halves are what float32 gives, rounded. */
static void test_gemm_of_other_types(void **state) {
    (void)state;
    static const hone_dtype dtypes[] = {HONE_INT32,  HONE_INT64,   HONE_UINT32,
                                        HONE_UINT64, HONE_FLOAT16, HONE_BFLOAT16};
    for (int d = 0; d < COUNT(dtypes); d++)
        for (int flags = 0; flags < 8; flags++) {
            bool ta = flags & 1, tb = flags & 2, c = flags & 4;
            hone_tensor *in[] = {tensor_random(dtypes[d], SHAPE(ta ? 6 : 5, ta ? 5 : 6), 1),
                                 tensor_random(dtypes[d], SHAPE(tb ? 7 : 6, tb ? 6 : 7), 2),
                                 tensor_random(dtypes[d], SHAPE(7), 3)};
            hone_graph *g = hone_graph_new("gemm");
            hone_value *v[3];
            for (int i = 0; i < 3; i++) v[i] = graph_input(g, "v", dtypes[d], in[i]->rank, in[i]->dims);
            hone_value *y = graph_op(g, "Gemm", v[0], v[1], c ? v[2] : NULL);
            hone_node_set_int(g, y->producer, "transA", ta);
            hone_node_set_int(g, y->producer, "transB", tb);
            hone_node_set_float(g, y->producer, "alpha", 2);
            hone_node_set_float(g, y->producer, "beta", 3);
            hone_graph_add_output(g, graph_op(g, "Mul", graph_op(g, "Add", y, v[2]), v[2]));
            const hone_tensor *out;
            runner r = runner_make(g, NULL, 1);
            runner_run(&r, in, &out);
            hone_tensor *wrapped = tensor_make(dtypes[d], 0, NULL);
            for (int64_t i = 0; i < 5; i++)
                for (int64_t j = 0; j < 7; j++) {
                    double sum = 0, b = tensor_at(in[2], j);
                    for (int64_t l = 0; l < 6; l++)
                        sum += tensor_at(in[0], ta ? l * 5 + i : i * 6 + l) *
                               tensor_at(in[1], tb ? j * 6 + l : l * 7 + j);
                    double want = (2 * sum + (c ? 3 * b : 0) + b) * b;
                    if (hone_dtype_is_int(dtypes[d])) { /* negative numbers in unsigned types, as they wrap */
                        uint64_t whole = 0, x = (uint64_t)hone_tensor_int(in[2], j);
                        for (int64_t l = 0; l < 6; l++)
                            whole += (uint64_t)hone_tensor_int(in[0], ta ? l * 5 + i : i * 6 + l) *
                                     (uint64_t)hone_tensor_int(in[1], tb ? j * 6 + l : l * 7 + j);
                        uint64_t all = (2 * whole + (c ? 3 * x : 0) + x) * x;
                        memcpy(wrapped->data, &all, wrapped->bytes);
                        assert_int_equal(hone_tensor_int(out, i * 7 + j), hone_tensor_int(wrapped, 0));
                    } else {
                        assert_near(tensor_at(out, i * 7 + j), want, 0.1, "Gemm", i * 7 + j);
                    }
                }
            hone_tensor_free(wrapped);
            runner_free(&r);
            for (int i = 0; i < 3; i++) hone_tensor_free(in[i]);
            hone_graph_free(g);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul_shapes),       cmocka_unit_test(test_wrong_shapes),
        cmocka_unit_test(test_gemm_forms),          cmocka_unit_test(test_empty_gemm),
        cmocka_unit_test(test_gemm_of_other_types), cmocka_unit_test(test_one_constant_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
