/* Layers become two of a lower rank: exactly where outputs have no more directions, and by what the data show. */
#include "train/small.h"

#include <hone/compress.h>
#include <math.h>

enum { FEATURES = 12, SAMPLES = 80, SIDE = 6 };

/* Samples of `directions` directions. */
static hone_dataset *samples(int rank, const int64_t *sample, int64_t directions) {
    hone_tensor *x = NULL, *y = NULL;
    int64_t dims[5] = {SAMPLES}, count = 1;
    for (int i = 0; i < rank; i++) count *= dims[i + 1] = sample[i];
    ok(hone_tensor_new(HONE_FLOAT32, rank + 1, dims, &x, &err));
    ok(hone_tensor_new(HONE_INT64, 1, dims, &y, &err));
    hone_rng rng = hone_rng_make(5, 1);
    for (int64_t s = 0; s < SAMPLES; s++)
        for (int64_t d = 0; d < directions; d++) {
            hone_rng base = hone_rng_make(9, (uint64_t)d);
            const float f = hone_rng_uniform(&rng) - 0.5f;
            for (int64_t i = 0; i < count; i++)
                ((float *)x->data)[s * count + i] += f * (hone_rng_uniform(&base) - 0.5f);
        }
    return dataset_of("samples", x, y);
}

static hone_dataset *rows(int64_t directions) {
    return samples(1, (int64_t[]){FEATURES}, directions);
}

static double difference(const hone_graph *a, const hone_graph *b, const hone_dataset *data) {
    hone_tensor *x = predict(a, data, SAMPLES), *y = predict(b, data, SAMPLES);
    double off = 0, size = 0;
    for (int64_t i = 0; i < x->count; i++) {
        const double p = ((float *)x->data)[i], q = ((float *)y->data)[i];
        off += (p - q) * (p - q);
        size += p * p;
    }
    hone_tensor_free(x);
    hone_tensor_free(y);
    return sqrt(off / size);
}

static hone_prune_options share(double x) {
    hone_prune_options o = HONE_PRUNE_OPTIONS_INIT;
    o.low_rank = x;
    o.finetune.epochs = 0;
    o.finetune.threads = 1;
    return o;
}

/* w [a, b] = p q, q [r, b] */
static void make_rank(hone_graph *g, const char *name, int64_t a, int64_t b, int64_t r) {
    float *w = hone_graph_find(g, name)->data->data;
    hone_rng rng = hone_rng_make(3, (uint64_t)r);
    memset(w, 0, (size_t)(a * b) * sizeof *w);
    for (int64_t k = 0; k < r; k++) {
        float p[256], q[256];
        for (int64_t i = 0; i < a; i++) p[i] = hone_rng_uniform(&rng) - 0.5f;
        for (int64_t i = 0; i < b; i++) q[i] = hone_rng_uniform(&rng) - 0.5f;
        for (int64_t i = 0; i < a * b; i++) w[i] += p[i / b] * q[i % b];
    }
}

static int64_t multiply_adds(const hone_graph *g) {
    hone_graph_stats s;
    ok(hone_graph_get_stats(g, &s, &err));
    return s.multiply_adds;
}

static hone_graph *pruned(const hone_graph *g, const hone_dataset *data, double x, int64_t split) {
    const hone_prune_options o = share(x);
    hone_prune_report r;
    hone_graph *p = NULL;
    ok(hone_prune(g, data, &o, &p, &r, &err));
    if (r.split != split) fail_msg("%d layers were split, not %d", (int)r.split, (int)split);
    assert_true((double)multiply_adds(p) <= (1 - x) * (double)multiply_adds(g));
    return p;
}

static void test_products(void **state) {
    (void)state;
    hone_dataset *data = rows(FEATURES);
    for (int kind = 0; kind < 3; kind++) {
        hone_graph *g = hone_graph_new("products");
        hone_value *x = HONE_EMIT(
            g, "", "Relu", HONE_EMIT(g, "", "MatMul", INPUT(g, FEATURES), WEIGHT(g, "a", 1, FEATURES, 30)));
        hone_value *w = kind == 1 ? WEIGHT(g, "w", 1, 20, 30) : WEIGHT(g, "w", 1, 30, 20);
        if (kind < 2) make_rank(g, "w", w->type.dims[0], w->type.dims[1], 3);
        hone_value *y = kind == 2 ? HONE_EMIT(g, "", "MatMul", x, w)
                                  : HONE_EMIT(g, "", "Gemm", x, w, WEIGHT(g, "b", 1, 20));
        if (kind == 1) hone_node_set_int(g, y->producer, "transB", 1);
        if (kind == 2) make_rank(g, "w", 30, 20, 3);
        finished(g, HONE_EMIT(g, "", "MatMul", HONE_EMIT(g, "", "Relu", y), WEIGHT(g, "c", 1, 20, 4)));
        hone_graph *p = pruned(g, data, 0.4, 1), *alone = pruned(g, NULL, 0.4, 1);
        if (!(difference(g, p, data) < 1e-5)) fail_msg("kind %d: off by %g", kind, difference(g, p, data));
        assert_true(difference(g, alone, data) < 1e-5); /* W's rank is W's, whatever meets it */
        hone_graph_free(alone);
        hone_graph_free(p);
        hone_graph_free(g);
    }
    hone_dataset_free(data);
}

/* Windows of several channels become such of few, and what mixes these; those of a channel alone stay. */
static void test_windows(void **state) {
    (void)state;
    hone_dataset *data = samples(3, (int64_t[]){3, SIDE, SIDE}, 40);
    hone_graph *g = hone_graph_new("windows");
    hone_value *x = HONE_EMIT(g, "", "Conv", INPUT(g, 3, SIDE, SIDE), WEIGHT(g, "a", 1, 8, 3, 1, 1));
    x = HONE_EMIT(g, "", "Conv", HONE_EMIT(g, "", "Relu", x), WEIGHT(g, "alone", 1, 8, 1, 3, 3));
    hone_node_set_int(g, x->producer, "group", 8);
    x = HONE_EMIT(g, "", "Conv", HONE_EMIT(g, "", "Relu", x), WEIGHT(g, "w", 1, 16, 8, 3, 3),
                  WEIGHT(g, "b", 1, 16));
    hone_node_set_ints(g, x->producer, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    hone_node_set_ints(g, x->producer, "strides", (int64_t[]){2, 2}, 2);
    make_rank(g, "w", 16, 72, 4);
    finished(g, HONE_EMIT(g, "", "Flatten", HONE_EMIT(g, "", "Relu", x)));
    hone_graph *p = pruned(g, data, 0.3, 1);
    assert_true(difference(g, p, data) < 1e-5);
    assert_int_equal(weight_of(p, "w.in")->dims[0], weight_of(p, "w.out")->dims[1]);
    assert_true(weight_of(p, "w.in")->dims[0] >= 4 && weight_of(p, "w.out")->dims[0] == 16);
    hone_graph_free(p);
    hone_graph_free(g);
    hone_dataset_free(data);
}

/* What meets the weight has three directions: so have the outputs, whatever the weight. */
static void test_data(void **state) {
    (void)state;
    hone_dataset *data = rows(3);
    hone_graph *g = hone_graph_new("data");
    finished(g, HONE_EMIT(g, "", "MatMul", INPUT(g, FEATURES), WEIGHT(g, "w", 1, FEATURES, 20)));
    hone_graph *p = pruned(g, data, 0.55, 1), *alone = pruned(g, NULL, 0.55, 1);
    assert_int_equal(weight_of(p, "w.in")->dims[1], 3);
    const double off = difference(g, p, data), without = difference(g, alone, data);
    if (!(off < 1e-5 && without > 0.1)) fail_msg("off by %g, without data by %g", off, without);
    hone_graph_free(p);
    hone_graph_free(alone);
    hone_graph_free(g);
    hone_dataset_free(data);
}

/* The more goes, the more is lost; of two layers the one that has fewer directions pays. */
static void test_shares(void **state) {
    (void)state;
    hone_dataset *data = rows(FEATURES);
    hone_graph *g = mlp("12-40-40-4", data, 1);
    make_rank(g, "layer2.weight", 40, 40, 9);
    double last = -1;
    for (int i = 1; i < 5; i++) {
        hone_graph *p = pruned(g, data, 0.15 * i, i < 3 ? 1 : i < 4 ? 1 : 2);
        const double off = difference(g, p, data);
        assert_true(off >= last);
        assert_non_null(hone_graph_initializer(p, "layer2.weight.in"));
        last = off;
        hone_graph_free(p);
    }
    const hone_prune_options most = share(0.99);
    hone_graph *p = NULL;
    refused(hone_prune(g, data, &most, &p, NULL, &err), HONE_UNSUPPORTED, "are left if all layers are of rank 1");
    hone_graph_free(g);
    g = hone_graph_new("none");
    finished(g, HONE_EMIT(g, "", "Relu", INPUT(g, FEATURES)));
    refused(hone_prune(g, data, &most, &p, NULL, &err), HONE_UNSUPPORTED, "no layer can be split");
    hone_graph_free(g);
    hone_dataset_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_products), cmocka_unit_test(test_windows),
                                       cmocka_unit_test(test_data), cmocka_unit_test(test_shares)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
