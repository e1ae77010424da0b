/* BitsProduct: weights of few bits by their definition, for few rows and for many. */
#include "base/bits.h"

#include "support/graphs.h"

typedef struct setting {
    int64_t m, k, n, block, bits;
    int zeros; /* 0: none, 1: packed, 2: numbers */
    bool bias, offsets, is_signed;
} setting;

static const setting settings[] = {
    {1, 64, 5, 32, 4, 0, false},
    {3, 70, 50, 32, 4, 1, true},
    {12, 300, 9, 16, 4, 2, true},
    {13, 300, 100, 128, 4, 1, true},
    {40, 513, 17, 64, 4, 2, false},
    {1, 70, 50, 32, 8, 1, true},
    {9, 600, 51, 32, 2, 1, false},
    {5, 33, 1, 16, 8, 0, true},
    {1, 96, 40, 32, 4, 2, true, true},
    {3, 70, 9, 48, 8, 2, false, true, true},
    {7, 256, 33, 16, 8, 0, true, false, true},
    {20, 256, 33, 32, 4, 2, true, true},
    {30, 256, 33, 32, 8, 2, true, true, false},
    {2, 100, 33, 32, 2, 2, true, true},
    {4, 64, 17, 32, 8, 0, false, true, false},
};

/* A is off by half a step of its run, which is the largest of it / 127 with 8 bits, and up to twice / 32637 with 16. */
static void check(const setting *s, int threads, bool integers) {
    const int64_t blocks = (s->k + s->block - 1) / s->block, row = blocks * s->block * s->bits / 8,
                  zero_row = (blocks * s->bits + 7) / 8;
    hone_graph *g = hone_graph_new("bits");
    hone_tensor *a = tensor_random(HONE_FLOAT32, SHAPE(s->m, s->k), 1),
                *b = tensor_make(s->is_signed ? HONE_INT8 : HONE_UINT8, SHAPE(s->n, row)),
                *scale = tensor_random(HONE_FLOAT32, SHAPE(s->n, blocks), 2), *zero = NULL,
                *bias = tensor_random(HONE_FLOAT32, SHAPE(s->n), 3);
    for (int64_t i = 0; i < b->count; i++) ((uint8_t *)b->data)[i] = (uint8_t)(i * 37 + i / 5);
    if (s->zeros == 1) zero = tensor_make(HONE_UINT8, SHAPE(s->n, zero_row));
    for (int64_t i = 0; zero && i < zero->count; i++) ((uint8_t *)zero->data)[i] = (uint8_t)(i * 29 + 3);
    if (s->zeros == 2) zero = tensor_random(HONE_FLOAT32, SHAPE(s->n, blocks), 4);
    hone_value *in[] = {graph_input(g, "a", HONE_FLOAT32, SHAPE(s->m, s->k)),
                        hone_graph_add_constant(g, "b", b), hone_graph_add_constant(g, "s", scale),
                        zero ? hone_graph_add_constant(g, "z", zero) : NULL,
                        s->bias ? hone_graph_add_constant(g, "bias", bias) : NULL};
    hone_value *y = hone_graph_emit(g, HONE_PRIVATE_DOMAIN, "BitsProduct", in, 5);
    hone_node_set_int(g, y->producer, "K", s->k);
    hone_node_set_int(g, y->producer, "N", s->n);
    hone_node_set_int(g, y->producer, "block_size", s->block);
    hone_node_set_int(g, y->producer, "bits", s->bits);
    hone_node_set_int(g, y->producer, "integers", integers);
    hone_node_set_int(g, y->producer, "offsets", s->offsets);
    hone_graph_add_output(g, y);
    const hone_tensor *out;
    runner r = runner_make(g, NULL, threads);
    runner_run(&r, &a, &out);
    bool is_rounded = false;
    const int64_t run = s->block % 32 ? 16 : 32;
    for (int64_t i = 0; i < s->m; i++)
        for (int64_t j = 0; j < s->n; j++) {
            double want = s->bias ? tensor_at(bias, j) : 0, size = 1, off = 0, most = 0;
            for (int64_t l = 0; l < s->k; l++) {
                int64_t block = l / s->block;
                if (l % run == 0) most = 0;
                for (int64_t t = l; l % run == 0 && t < s->k && t < l + run; t++)
                    most = fmax(most, fabs(tensor_at(a, i * s->k + t)));
                double z = !zero ? s->is_signed || s->offsets ? 0 : 1 << (s->bits - 1)
                           : zero->dtype == HONE_UINT8
                               ? hone_bits_get((uint8_t *)zero->data + j * zero_row, block, (int)s->bits)
                               : tensor_at(zero, j * blocks + block);
                const unsigned bits = hone_bits_get((uint8_t *)b->data + j * row, l, (int)s->bits);
                const double code = s->is_signed ? (double)(int8_t)bits : (double)bits;
                double w = (code - (s->offsets ? 0 : z)) * tensor_at(scale, j * blocks + block);
                if (s->offsets) w += z;
                want += w * tensor_at(a, i * s->k + l);
                size += fabs(w * tensor_at(a, i * s->k + l));
                off += fabs(w) * most / (integers ? 253.9 : 32600);
            }
            const double error = fabs(tensor_at(out, i * s->n + j) - want);
            is_rounded |= error > 2e-4 * size;
            if (error > 3e-6 * size + off)
                fail_msg("%lld rows of %lld, %lld bits: %g, not %g", (long long)s->m, (long long)s->k,
                         (long long)s->bits, tensor_at(out, i * s->n + j), want);
        }
    assert_true(is_rounded == integers);
    runner_free(&r);
    hone_tensor *all[] = {a, b, scale, zero, bias};
    for (int i = 0; i < COUNT(all); i++) hone_tensor_free(all[i]);
    hone_graph_free(g);
}

static void test_products(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(settings); i++)
        for (int integers = 0; integers < 2; integers++) {
            check(&settings[i], 1, integers);
            check(&settings[i], 3, integers);
        }
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *attr;
        int64_t value;
    } cases[] = {{"bits", 3}, {"block_size", 8}, {"block_size", 0}, {"K", -1}, {"K", 100}, {"N", 6}};
    for (int i = 0; i < COUNT(cases); i++) {
        hone_graph *g = hone_graph_new("bits");
        hone_error err;
        hone_value *y = graph_op(g, "BitsProduct", graph_input(g, "a", HONE_FLOAT32, SHAPE(2, 64)),
                                 graph_input(g, "b", HONE_UINT8, SHAPE(5, 32)),
                                 graph_input(g, "s", HONE_FLOAT32, SHAPE(5, 2)));
        hone_node_set_int(g, y->producer, "K", 64);
        hone_node_set_int(g, y->producer, "N", 5);
        hone_node_set_int(g, y->producer, "block_size", 32);
        hone_node_set_int(g, y->producer, cases[i].attr, cases[i].value);
        hone_graph_add_output(g, y);
        assert_int_equal(hone_graph_infer(g, &err), HONE_INVALID_ARGUMENT);
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_products), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
