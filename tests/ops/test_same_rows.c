/* A row of a product is the same bits whatever rows come with it, and for any number of threads: what a language model says
 * next must not depend on what its text was cut into. */
#include "support/graphs.h"

enum { MOST = 70 };

typedef enum weight_kind { PLAIN, TURNED, NIBBLES, BYTES, KINDS } weight_kind;

/* A weight in blocks of 32, [n, k]. */
static hone_value *in_blocks(hone_graph *g, hone_dtype dtype, int64_t n, int64_t k) {
    hone_tensor *codes = tensor_make(dtype, SHAPE(n, k)),
                *scales = tensor_random(HONE_FLOAT32, SHAPE(n, k / 32), 3);
    for (size_t i = 0; i < codes->bytes; i++) ((uint8_t *)codes->data)[i] = (uint8_t)(i * 37 + i / 5);
    hone_value *w = HONE_EMIT(g, "", "DequantizeLinear", hone_graph_add_constant(g, "codes", codes),
                              hone_graph_add_constant(g, "scales", scales));
    hone_node_set_int(g, w->producer, "axis", 1);
    hone_node_set_int(g, w->producer, "block_size", 32);
    hone_tensor_free(codes);
    hone_tensor_free(scales);
    return w;
}

/* Rows [0, m) of x times a weight [k, n] that is constant, in some way. */
static hone_tensor *product(const hone_tensor *x, int64_t m, int64_t k, int64_t n, weight_kind kind,
                            int threads) {
    hone_graph *g = hone_graph_new("rows");
    hone_tensor *w = kind == PLAIN ? tensor_random(HONE_FLOAT32, SHAPE(k, n), 2)
                                   : tensor_random(HONE_FLOAT32, SHAPE(n, k), 2),
                *in, *y;
    const hone_tensor *out;
    hone_error err;
    check_ok(hone_tensor_wrap(HONE_FLOAT32, 3, (int64_t[]){1, m, k}, x->data, &in, &err));
    hone_value *a = graph_input(g, "x", HONE_FLOAT32, SHAPE(1, m, k));
    hone_value *v = kind == NIBBLES ? in_blocks(g, HONE_INT4, n, k)
                    : kind == BYTES ? in_blocks(g, HONE_UINT8, n, k)
                                    : hone_graph_add_constant(g, "w", w);
    if (kind != PLAIN) v = HONE_EMIT(g, "", "Transpose", v);
    hone_graph_add_output(g, HONE_EMIT(g, "", "MatMul", a, v));
    runner r = runner_make(g, NULL, threads);
    runner_run(&r, &in, &out);
    check_ok(hone_tensor_copy_of(HONE_FLOAT32, 3, out->dims, out->data, &y, &err));
    runner_free(&r);
    hone_tensor_free(in);
    hone_tensor_free(w);
    hone_graph_free(g);
    return y;
}

static void test_products(void **state) {
    (void)state;
    static const int64_t rows[] = {1, 2, 3, 4, 5, 7, 8, 13, 16, 32, 64},
                         shapes[][2] = {{64, 64}, {96, 33}, {576, 192}, {608, 1000}, {1536, 50}};
    for (int s = 0; s < COUNT(shapes); s++) {
        const int64_t k = shapes[s][0], n = shapes[s][1];
        hone_tensor *x = tensor_random(HONE_FLOAT32, SHAPE(MOST, k), 1);
        for (weight_kind kind = PLAIN; kind < KINDS; kind++) {
            hone_tensor *all = product(x, MOST, k, n, kind, 1);
            for (int i = 0; i < COUNT(rows); i++)
                for (int threads = 1; threads <= 4; threads += 3) {
                    hone_tensor *some = product(x, rows[i], k, n, kind, threads);
                    if (memcmp(some->data, all->data, some->bytes) != 0)
                        fail_msg("%lld rows of %lld times %lld, kind %d: other bits than among %d",
                                 (long long)rows[i], (long long)k, (long long)n, (int)kind, MOST);
                    hone_tensor_free(some);
                }
            hone_tensor_free(all);
        }
        hone_tensor_free(x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_products)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
