/* A convolutional network goes through training: convolutions, BatchNormalization whose statistics are the
 * batch's meanwhile, pooling by windows and of all positions, a Gemm. */
#include "train/small.h"

#include <math.h>

#define SAMPLES 96
#define SIZE 12
#define CLASSES 3

/* Images of noise over stripes: across, down, or both. */
static hone_dataset *stripes(void) {
    hone_tensor *x = NULL, *y = NULL;
    ok(hone_tensor_new(HONE_FLOAT32, 4, (int64_t[]){SAMPLES, 1, SIZE, SIZE}, &x, &err));
    ok(hone_tensor_new(HONE_INT64, 1, (int64_t[]){SAMPLES}, &y, &err));
    hone_rng rng = hone_rng_make(5, 1);
    for (int i = 0; i < SAMPLES; i++) {
        int label = (int)hone_rng_below(&rng, CLASSES), shift = (int)hone_rng_below(&rng, 4);
        ((int64_t *)y->data)[i] = label;
        for (int at = 0; at < SIZE * SIZE; at++) {
            bool across = (at / SIZE + shift) / 2 % 2, down = (at % SIZE + shift) / 2 % 2;
            bool lit = label == 0 ? across : label == 1 ? down : across != down;
            ((float *)x->data)[i * SIZE * SIZE + at] = (float)lit + 0.5f * hone_rng_uniform(&rng);
        }
    }
    return dataset_of("stripes", x, y);
}

static void set_all(hone_value *v, float x) {
    for (int64_t i = 0; i < v->data->count; i++) ((float *)v->data->data)[i] = x;
}

/* relu(norm(conv(x))), as a file for inference has it. */
static hone_value *block(hone_graph *g, const char *name, hone_value *x, int64_t in, int64_t out,
                         int64_t size, int64_t stride) {
    char label[4][32];
    static const char *const parts[] = {"scale", "shift", "mean", "var"};
    hone_value *input[5];
    for (int i = 0; i < 4; i++) snprintf(label[i], sizeof label[i], "%s.%s", name, parts[i]);
    hone_value *y = HONE_EMIT(g, "", "Conv", x, WEIGHT(g, name, 3, out, in, size, size));
    hone_node_set_string(g, y->producer, "auto_pad", "SAME_UPPER");
    hone_node_set_ints(g, y->producer, "strides", (int64_t[]){stride, stride}, 2);
    input[0] = y;
    for (int i = 0; i < 4; i++) set_all(input[1 + i] = WEIGHT(g, label[i], 1, out), i % 3 ? 0 : 1);
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "BatchNormalization"), name, 5, input, 1);
    return HONE_EMIT(g, "", "Relu", n->outputs[0]);
}

/* Two blocks, maxima of windows, another block, means of channels, classes. */
static hone_graph *network(const char *pool) {
    hone_graph *g = hone_graph_new("cnn");
    hone_value *x = block(g, "stem", INPUT(g, 1, SIZE, SIZE), 1, 6, 5, 1);
    x = HONE_EMIT(g, "", pool, block(g, "c2", x, 6, 8, 3, 1));
    hone_node_set_ints(g, x->producer, "kernel_shape", (int64_t[]){2, 2}, 2);
    hone_node_set_ints(g, x->producer, "strides", (int64_t[]){2, 2}, 2);
    x = HONE_EMIT(g, "", "GlobalAveragePool", block(g, "c3", x, 8, 8, 3, 2));
    x = HONE_EMIT(g, "", "Flatten", x);
    return finished(g,
                    HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, "w", 1, 8, CLASSES), WEIGHT(g, "b", 1, CLASSES)));
}

static hone_graph *trained(const char *pool, const hone_dataset *data, int threads, hone_train_report *r) {
    hone_graph *g = network(pool);
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    o.epochs = 10;
    o.batch = 16;
    o.learning_rate = 0.1;
    o.threads = threads;
    ok(hone_train(g, data, &o, r, &err));
    return g;
}

static void test_it_learns(void **state) {
    (void)state;
    static const char *const pools[] = {"MaxPool", "AveragePool", "LpPool"};
    hone_dataset *data = stripes();
    for (int i = 0; i < 3; i++) {
        hone_eval_report before, after;
        hone_train_report r;
        hone_graph *untrained = network(pools[i]), *g = trained(pools[i], data, 1, &r);
        ok(hone_evaluate(untrained, data, NULL, 1, &before, &err));
        ok(hone_evaluate(g, data, NULL, 1, &after, &err));
        if (!(r.loss < before.loss / 4 && after.loss < before.loss / 4 && after.metrics[0].value > 0.95))
            fail_msg("%s: the loss went from %g to %g, evaluated %g", pools[i], before.loss, r.loss,
                     after.loss);
        assert_false(same_tensor(weight_of(g, "c2.mean"), weight_of(untrained, "c2.mean")));
        assert_false(same_tensor(weight_of(g, "c2.var"), weight_of(untrained, "c2.var")));
        hone_graph_free(untrained);
        hone_graph_free(g);
    }
    hone_dataset_free(data);
}

static void test_threads_change_no_bit(void **state) {
    (void)state;
    hone_dataset *data = stripes();
    hone_graph *one = trained("MaxPool", data, 1, NULL), *three = trained("MaxPool", data, 3, NULL);
    assert_true(same_weights(one, three));
    hone_graph_free(one);
    hone_graph_free(three);
    hone_dataset_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_it_learns),
                                       cmocka_unit_test(test_threads_change_no_bit)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
