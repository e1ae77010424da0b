/* Training with rounded weights: what comes out are codes times scales, in the forms that quantization without it has, and it
 * does better. */
#include "train/small.h"

#include "compress/codes.h"

#include <math.h>

SHARED_BLOBS(240, 12, 4)

/* Codes times any scale are found again, whatever the bits. */
static void test_grids_are_found_again(void **state) {
    (void)state;
    hone_rng rng = hone_rng_make(5, 5);
    for (int bits = 2; bits <= 8; bits += bits < 4 ? 1 : 4)
        for (int64_t block = 0; block <= 16; block += 16) {
            const hone_code_format f = {bits, block, false, HONE_ROUND_SEARCH, true};
            const int low = hone_code_lowest(&f), high = hone_code_highest(&f);
            float x[5 * 40];
            for (int c = 0; c < 5; c++) {
                float scale = 0;
                for (int i = 0; i < 40; i++) {
                    if (i == 0 || (block && i % block == 0)) scale = expf(4 * hone_rng_uniform(&rng) - 6);
                    const int code = low + (int)hone_rng_below(&rng, (uint32_t)(high - low + 1));
                    x[c * 40 + i] = (c == 4 ? 0 : scale) * (float)code; /* a channel of zeros, too */
                }
            }
            hone_tensor *w = NULL, *real = NULL;
            hone_codes c;
            ok(hone_tensor_copy_of(HONE_FLOAT32, 2, (int64_t[]){5, 40}, x, &w, &err));
            ok(hone_codes_of_weight(w, 0, &f, NULL, &c, &err));
            ok(hone_codes_real(&c, 0, block, &real, &err));
            for (int i = 0; i < 5 * 40; i++)
                assert_true(fabsf(((float *)real->data)[i] - x[i]) <= 3e-7f * fabsf(x[i]));
            hone_codes_free(&c);
            hone_tensor_free(real);
            hone_tensor_free(w);
        }
}

static double loss_of(const hone_graph *g) {
    hone_eval_report r;
    ok(hone_evaluate(g, data, NULL, 1, &r, &err));
    return r.loss;
}

static hone_graph *trained(void) {
    hone_graph *g = mlp("12-16-4", data, 1);
    hone_train_options t = HONE_TRAIN_OPTIONS_INIT;
    t.learning_rate = 0.05;
    t.threads = 1;
    ok(hone_train(g, data, &t, NULL, &err));
    return g;
}

static void test_training_does_better(void **state) {
    (void)state;
    hone_graph *g = trained(), *before = copy_of(g);
    hone_train_options t = HONE_FINETUNE_OPTIONS_INIT(20);
    t.threads = 1;
    t.batch = 16;
    t.learning_rate = 0.01;
    for (int m = 0; m < 2; m++)
        for (int64_t block = 0; block <= 16; block += 16) {
            hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
            hone_graph *plain = NULL, *better = NULL;
            o.mode = m ? HONE_QUANTIZE_WEIGHTS : HONE_QUANTIZE_STATIC;
            o.bits = o.edge_bits = 2;
            o.block = block;
            o.threads = 1;
            o.distill = true;
            ok(hone_quantize(g, data, &o, &plain, NULL, &err));
            o.finetune = &t;
            ok(hone_quantize(g, data, &o, &better, NULL, &err));
            assert_int_equal(plain->node_count, better->node_count);
            assert_true(loss_of(better) < 0.7 * loss_of(plain));
            for (const hone_node *n = better->first; n; n = n->next) /* nothing of the training stays */
                assert_true(strcmp(n->op->name, "Clip") != 0 && strcmp(n->op->name, "Exp") != 0);
            hone_graph_free(plain);
            hone_graph_free(better);
        }
    assert_true(same_weights(g, before));
    hone_graph_free(before);
    hone_graph_free(g);
}

static void test_what_is_refused(void **state) {
    (void)state;
    hone_graph *g = mlp("12-8-4", data, 1), *q = NULL;
    hone_train_options t = HONE_FINETUNE_OPTIONS_INIT(1);
    hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
    o.finetune = &t;
    o.mode = HONE_QUANTIZE_WEIGHTS;
    refused(hone_quantize(g, NULL, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "training need data");
    o.asymmetric = true;
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "without zero points");
    o.asymmetric = false;
    o.mode = HONE_QUANTIZE_DYNAMIC;
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "rounded weights");
    assert_null(q);
    hone_graph_free(g);
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_graph *g = mlp("12-6-4", data, 1), *q = NULL;
    hone_train_options t = HONE_FINETUNE_OPTIONS_INIT(1);
    hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
    t.batch = 240;
    t.threads = o.threads = 1;
    o.finetune = &t;
    o.bits = 4;
    FAIL_EACH_ALLOCATION(hone_quantize(g, data, &o, &q, NULL, &err), assert_null(q));
    hone_graph_free(q);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grids_are_found_again), cmocka_unit_test(test_training_does_better),
        cmocka_unit_test(test_what_is_refused), cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, make_data, free_data);
}
