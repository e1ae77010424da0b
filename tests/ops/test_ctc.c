/* CtcLoss against numbers of torch.nn.functional.ctc_loss (PyTorch 2.15, float64, blank 0, reduction "mean"), and against the
 * sum over all ways written out. */
#include "graph/autodiff.h"
#include "support/graphs.h"

enum { N = 3, T = 6, C = 4, S = 3 };

static const double scores[N * T * C] = {
    -2.31, -0.37, -1.06, 1.0,   -0.88, -1.28, -0.62, -0.87, -1.3,  1.52,  0.32,  2.02,  1.14,  -1.23, 0.07,
    0.34,  0.15,  -0.63, -1.26, -0.73, -0.02, 0.21,  0.18,  -0.83, 1.01,  -0.24, -0.77, -1.6,  -0.69, 1.49,
    -0.45, -0.89, -0.09, 0.56,  -0.01, -1.22, -1.27, -1.12, 1.17,  0.93,  0.65,  0.15,  -1.15, 1.87,  -0.31,
    0.24,  -1.35, 0.24,  -3.15, -0.11, 1.7,   -0.67, -0.59, 2.83,  0.9,   0.95,  0.13,  -1.36, -0.11, 0.32,
    -0.52, -0.59, -0.89, -0.45, 1.01,  0.85,  0.11,  0.7,   0.38,  -0.07, -0.76, 0.37};
/* An l that is doubled; filling at the ends. */
static const int64_t symbols[N * S] = {1, 1, 3, 2, 3, -1, 3, -100, 7};
static const double torch_loss = 3.856864228870761;
static const double torch_gradient[N * T * C] = {
    0.00017242372, -0.088512235,   0.0099864473, 0.078353364,  -0.07412278,  0.0096742544,   0.036231446,
    0.028217079,   0.00041343122,  -0.072404039, 0.011120048,  0.060870559,  -0.0073221962,  -0.0013190889,
    0.020209826,   -0.011568541,   0.0027061843, 0.011975661,  0.012811892,  -0.027493738,   -0.029570992,
    0.035630421,   0.034577383,    -0.040636813, -0.039039616, 0.031236673,  -0.00021428661, 0.0080172289,
    -0.054664367,  0.1235212,      -0.079557443, 0.010700611,  -0.012515938, 0.073870213,    -0.064621681,
    0.0032674057,  -0.00091904049, 0.0085454543, 0.003344211,  -0.010970625, 0.010910763,    0.019594515,
    0.0032327255,  -0.033738004,   -0.025462367, 0.059933165,  0.012221907,  -0.046692706,   -0.031209426,
    0.043124873,   0.26351227,     -0.27542772,  -0.012367333, 0.25054166,   0.03636567,     -0.27453999,
    0.029208684,   0.023321448,    0.081399853,  -0.13392999,  -0.052754264, 0.084098627,    0.062301795,
    -0.093646157,  -0.10755183,    0.094930716,  0.045292766,  -0.03267165,  -0.16238925,    0.072109562,
    0.03616843,    0.054111255};

typedef struct problem {
    hone_graph *g;
    hone_tensor *in[2];
} problem;

/* Outputs: the loss, and its gradient to the scores. */
static problem make(hone_dtype dtype, hone_dtype label, int64_t n, int64_t places, int64_t classes,
                    int64_t most, int64_t blank) {
    problem p = {.g = hone_graph_new("ctc")};
    int64_t dims[] = {n, places, classes}, label_dims[] = {n, most};
    hone_value *x = graph_input(p.g, "scores", dtype, 3, dims),
               *y = graph_input(p.g, "symbols", label, 2, label_dims);
    hone_node *node = hone_graph_add_node(p.g, hone_op_find(HONE_PRIVATE_DOMAIN, "CtcLoss"), "ctc", 2,
                                          (hone_value *[]){x, y}, 1);
    hone_node_set_int(p.g, node, "blank", blank);
    hone_value *loss = node->outputs[0], *d = NULL, *one = hone_graph_scalar(p.g, dtype, 1);
    hone_error err;
    check_ok(hone_graph_infer(p.g, &err));
    check_ok(hone_graph_differentiate(p.g, 1, &loss, &one, 1, &x, &d, &err));
    hone_graph_add_output(p.g, loss);
    hone_graph_add_output(p.g, d);
    p.in[0] = tensor_make(dtype, 3, dims);
    p.in[1] = tensor_make(label, 2, label_dims);
    return p;
}

static void free_problem(problem *p) {
    hone_graph_free(p->g);
    hone_tensor_free(p->in[0]);
    hone_tensor_free(p->in[1]);
}

static void test_torch(void **state) {
    (void)state;
    for (int k = 0; k < 4; k++) {
        bool is_double = k & 1;
        problem p =
            make(is_double ? HONE_FLOAT64 : HONE_FLOAT32, k & 2 ? HONE_INT32 : HONE_INT64, N, T, C, S, 0);
        for (int i = 0; i < N * T * C; i++) tensor_set(p.in[0], i, scores[i]);
        for (int i = 0; i < N * S; i++) tensor_set(p.in[1], i, (double)symbols[i]);
        for (int threads = 1; threads <= 2; threads++) {
            const hone_tensor *out[2];
            runner r = runner_make(p.g, NULL, threads);
            runner_run(&r, p.in, out);
            assert_true(fabs(tensor_at(out[0], 0) - torch_loss) < (is_double ? 1e-12 : 1e-5));
            for (int i = 0; i < N * T * C; i++)
                assert_true(fabs(tensor_at(out[1], i) - torch_gradient[i]) < (is_double ? 1e-8 : 1e-6));
            runner_free(&r);
        }
        free_problem(&p);
    }
}

/* The probability of all paths whose symbols, without repetitions and blanks, are those of the sample. */
static double by_all_paths(const hone_tensor *x, const int64_t *y, int count, int places, int classes,
                           int blank) {
    double sum = 0;
    int paths = 1;
    for (int t = 0; t < places; t++) paths *= classes;
    for (int path = 0; path < paths; path++) {
        double p = 1;
        int at = 0, before = -1, rest = path;
        bool fits = true;
        for (int t = 0; t < places; t++, rest /= classes) {
            int c = rest % classes;
            double all = 0;
            for (int k = 0; k < classes; k++) all += exp(tensor_at(x, t * classes + k));
            p *= exp(tensor_at(x, t * classes + c)) / all;
            if (c != blank && c != before) {
                fits = fits && at < count && y[at] == c;
                at++;
            }
            before = c;
        }
        if (fits && at == count) sum += p;
    }
    return -log(sum) / (count ? count : 1);
}

static void test_all_paths(void **state) {
    (void)state;
    static const int64_t texts[][4] = {{0, 1, 0}, {1, 1}, {0}, {-1}, {0, 0, 1}};
    static const int counts[] = {3, 2, 1, 0, 3};
    for (int k = 0; k < COUNT(counts); k++) {
        problem p = make(HONE_FLOAT64, HONE_INT64, 1, 5, 3, 4, 2);
        for (int i = 0; i < 15; i++) tensor_set(p.in[0], i, sin(1.7 * i + k) * 2);
        for (int i = 0; i < 4; i++) tensor_set(p.in[1], i, i < counts[k] ? (double)texts[k][i] : -1);
        const hone_tensor *out[2];
        runner r = runner_make(p.g, NULL, 1);
        runner_run(&r, p.in, out);
        assert_true(fabs(tensor_at(out[0], 0) - by_all_paths(p.in[0], texts[k], counts[k], 5, 3, 2)) < 1e-12);
        runner_free(&r);
        free_problem(&p);
    }
}

static void fails(int64_t places, const int64_t *text, int64_t blank, const char *wanted) {
    problem p = make(HONE_FLOAT32, HONE_INT64, 2, places, 3, 3, blank);
    for (int i = 0; i < 6; i++) tensor_set(p.in[1], i, i < 3 ? -1 : (double)text[i - 3]);
    const hone_tensor *out[2];
    hone_error err = {0};
    runner r = runner_make(p.g, NULL, 1);
    if (hone_context_run(r.context, (const hone_tensor *const *)p.in, out, &err) == HONE_OK ||
        !strstr(err.message, wanted))
        fail_msg("\"%s\", not \"%s\"", err.message, wanted);
    runner_free(&r);
    free_problem(&p);
}

static void test_refusals(void **state) {
    (void)state;
    fails(4, (int64_t[]){1, 3, 1}, 0, "a symbol of sample 1 is none of the 3 classes");
    fails(4, (int64_t[]){1, 0, 1}, 0, "or the blank (0)");
    fails(4, (int64_t[]){1, 1, 1}, 0, "the symbols of sample 1 find no room in 4 places");
    fails(2, (int64_t[]){1, 2, 1}, 0, "find no room");
    fails(2, (int64_t[]){1, 2, -1}, 3, "the blank, 3, is none of the 3 classes");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_torch), cmocka_unit_test(test_all_paths),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
