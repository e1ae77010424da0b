/* Fourier transforms and windows: lengths that only the run knows, what is refused, ends of ranges. */
#include "support/graphs.h"

static hone_error err;

/* DFT of x [1, 6, 1] where length and axis come with the run: against the definition. */
static void test_lengths_of_the_run(void **state) {
    (void)state;
    for (int64_t length = 1; length < 9; length++) {
        hone_graph *g = hone_graph_new("dft");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(1, 6, 1)),
                   *n = graph_input(g, "n", HONE_INT64, 0, NULL),
                   *a = graph_input(g, "a", HONE_INT64, 0, NULL);
        hone_graph_add_output(g, graph_op(g, "DFT", x, n, a));
        hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(1, 6, 1), 3), tensor_make(HONE_INT64, 0, NULL),
                             tensor_make(HONE_INT64, 0, NULL)},
                    *y;
        tensor_set(in[1], 0, (double)length);
        tensor_set(in[2], 0, 1);
        graph_run(g, NULL, in, &y, 1);
        assert_int_equal(y->rank, 3);
        assert_int_equal(y->dims[1], length);
        for (int64_t k = 0; k < length; k++) {
            double re = 0, im = 0;
            for (int64_t j = 0; j < length && j < 6; j++) {
                double angle = -2 * M_PI * (double)(j * k) / (double)length;
                re += tensor_at(in[0], j) * cos(angle);
                im += tensor_at(in[0], j) * sin(angle);
            }
            assert_true(fabs(tensor_at(y, 2 * k) - re) < 1e-5 && fabs(tensor_at(y, 2 * k + 1) - im) < 1e-5);
        }
        for (int i = 0; i < 3; i++) hone_tensor_free(in[i]);
        hone_tensor_free(y);
        hone_graph_free(g);
    }
}

static void test_refused_transforms(void **state) {
    (void)state;
    static const struct {
        int64_t dims[3], length, axis, onesided, inverse; /* length 0: left out; axis 9: likewise */
        hone_status status;
    } cases[] = {{{2, 8, 1}, 0, 9, 0, 0, HONE_OK},
                 {{2, 8, 3}, 0, 9, 0, 0, HONE_INVALID_ARGUMENT},
                 {{2, 8, 1}, 0, 2, 0, 0, HONE_INVALID_ARGUMENT},
                 {{2, 8, 1}, 0, -1, 0, 0, HONE_INVALID_ARGUMENT},
                 {{2, 8, 1}, 0, 3, 0, 0, HONE_INVALID_ARGUMENT},
                 {{2, 8, 1}, 0, -3, 0, 0, HONE_OK},
                 {{2, 8, 1}, -4, 9, 0, 0, HONE_INVALID_ARGUMENT},
                 {{2, 0, 1}, 0, 9, 0, 0, HONE_INVALID_ARGUMENT},
                 {{2, 0, 1}, 4, 9, 0, 0, HONE_OK},
                 {{2, 8, 2}, 0, 9, 1, 0, HONE_INVALID_ARGUMENT},
                 {{2, 8, 1}, 0, 9, 1, 1, HONE_INVALID_ARGUMENT},
                 {{2, 1, 2}, 0, 9, 1, 1, HONE_INVALID_ARGUMENT},
                 {{2, 8, 2}, 0, 9, 1, 1, HONE_OK}};
    for (int c = 0; c < COUNT(cases); c++) {
        hone_graph *g = hone_graph_new("dft");
        hone_value *in[] = {
            graph_input(g, "x", HONE_FLOAT32, 3, cases[c].dims),
            cases[c].length ? hone_graph_scalar(g, HONE_INT64, (double)cases[c].length) : NULL,
            cases[c].axis != 9 ? hone_graph_scalar(g, HONE_INT64, (double)cases[c].axis) : NULL};
        hone_node *n = hone_graph_add_node(g, hone_op_find("", "DFT"), "dft", 3, in, 1);
        hone_node_set_int(g, n, "onesided", cases[c].onesided);
        hone_node_set_int(g, n, "inverse", cases[c].inverse);
        hone_graph_add_output(g, n->outputs[0]);
        hone_status status = hone_graph_infer(g, &err);
        if (status != cases[c].status) fail_msg("case %d: %d", c, (int)status);
        hone_graph_free(g);
    }
}

static void test_windows(void **state) {
    (void)state;
    static const struct {
        const char *op;
        double edge, middle; /* at 0, and half-way */
    } cases[] = {{"HannWindow", 0, 1}, {"HammingWindow", 4.0 / 46, 1}, {"BlackmanWindow", 0, 1}};
    for (int c = 0; c < COUNT(cases); c++)
        for (int64_t size = 0; size < 10; size++)
            for (int periodic = 0; periodic < 2; periodic++) {
                hone_graph *g = hone_graph_new("window");
                hone_value *n = graph_input(g, "n", HONE_INT32, 0, NULL), *y = graph_op(g, cases[c].op, n);
                hone_node_set_int(g, y->producer, "periodic", periodic);
                hone_node_set_int(g, y->producer, "output_datatype", HONE_FLOAT64);
                hone_graph_add_output(g, y);
                hone_tensor *in = tensor_make(HONE_INT32, 0, NULL), *out;
                tensor_set(in, 0, (double)size);
                graph_run(g, NULL, &in, &out, 1);
                assert_int_equal(out->count, size);
                int64_t whole = periodic ? size : size - 1;
                if (size > 0) assert_true(fabs(tensor_at(out, 0) - cases[c].edge) < 1e-12);
                if (whole > 0 && whole % 2 == 0)
                    assert_true(fabs(tensor_at(out, whole / 2) - cases[c].middle) < 1e-12);
                for (int64_t i = 1; i < size; i++)
                    assert_true(fabs(tensor_at(out, i) - tensor_at(out, whole - i >= 0 ? whole - i : i)) <
                                1e-12);
                hone_tensor_free(in);
                hone_tensor_free(out);
                hone_graph_free(g);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lengths_of_the_run),
                                       cmocka_unit_test(test_refused_transforms),
                                       cmocka_unit_test(test_windows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
