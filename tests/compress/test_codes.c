/* Codes of weights, biases and activations: within half a step, zero exact, whatever the size of the numbers. */
#include "train/small.h"

#include "compress/codes.h"

#include <math.h>

static hone_tensor *tensor(int rank, const int64_t *dims, const float *x) {
    hone_tensor *t = NULL;
    ok(hone_tensor_copy_of(HONE_FLOAT32, rank, dims, x, &t, &err));
    return t;
}

static float scale_of(const hone_codes *c, int64_t i) {
    return ((const float *)c->scale->data)[i];
}

/* A scale for each position of the axis, wherever that lies. */
static void test_weights_by_axis(void **state) {
    (void)state;
    enum { A = 3, B = 4, C = 5 };
    const int64_t dims[] = {A, B, C};
    float x[A * B * C];
    for (int i = 0; i < A * B * C; i++) x[i] = (float)((i * 37) % 61 - 30) * (i % C + 1);
    hone_tensor *w = tensor(3, dims, x);
    for (int axis = 0; axis < 3; axis++) {
        hone_codes c = {.q = NULL};
        ok(hone_codes_of_weight(w, axis, &(hone_code_format){.bits = 8}, NULL, &c, &err));
        assert_int_equal(c.scale->count, dims[axis]);
        float most[C] = {0};
        for (int i = 0; i < A * B * C; i++) {
            int at[] = {i / (B * C), i / C % B, i % C}, k = at[axis];
            int code = ((const int8_t *)c.q->data)[i];
            assert_true(code >= -127 &&
                        fabsf((float)code * scale_of(&c, k) - x[i]) <= 0.5001f * scale_of(&c, k));
            most[k] = fmaxf(most[k], fabsf((float)code));
        }
        for (int64_t k = 0; k < dims[axis]; k++) assert_true(most[k] == 127);
        hone_codes_free(&c);
    }
    hone_tensor_free(w);
}

typedef struct channel {
    float weights[2], bias;
} channel;

/* The bias is right to a millionth of itself and half a step of the products, and the weights to what the larger scale
 * allows. */
static void check_bias(float x_scale, const channel *channels, int64_t n) {
    float weights[32], biases[16];
    for (int64_t i = 0; i < n; i++) {
        memcpy(&weights[2 * i], channels[i].weights, sizeof channels[i].weights);
        biases[i] = channels[i].bias;
    }
    hone_tensor *w = tensor(2, (int64_t[]){n, 2}, weights), *b = tensor(1, &n, biases);
    hone_codes c = {.q = NULL}, out = {.q = NULL};
    bool fits = false;
    ok(hone_codes_of_weight(w, 0, &(hone_code_format){.bits = 8}, NULL, &c, &err));
    ok(hone_codes_of_bias(b, w, 0, x_scale, &c, &out, &fits, &err));
    assert_true(fits);
    for (int64_t i = 0; i < n; i++) {
        float step = scale_of(&out, i);
        int32_t code = ((const int32_t *)out.q->data)[i];
        assert_true(step == x_scale * scale_of(&c, i) && step >= 1e-38f);
        assert_true(abs(code) <= (1 << 30) + 128);
        double off = fabs((double)code * step - biases[i]);
        if (!(off <= 0.51 * step)) fail_msg("channel %d: bias off by %g of %g", (int)i, off, step);
        for (int k = 0; k < 2; k++) {
            float back = (float)((const int8_t *)c.q->data)[2 * i + k] * scale_of(&c, i);
            assert_true(fabsf(back - weights[2 * i + k]) <= 0.5001f * scale_of(&c, i));
        }
        double wide = fmax(fabs(weights[2 * i]), fabs(weights[2 * i + 1])) / 127;
        if (scale_of(&c, i) > 1.01 * wide && wide > 0) /* no larger than the bias asks for */
            assert_true(fabs(biases[i]) / step > (1 << 29) || step < 1e-37);
    }
    hone_codes_free(&c);
    hone_codes_free(&out);
    hone_tensor_free(w);
    hone_tensor_free(b);
}

static void test_biases_fit(void **state) {
    (void)state;
    static const channel channels[] = {{{1, -1}, 0.3f},    {{1e-6f, 1e-7f}, 50},  {{-1e-20f, 0}, -3},
                                       {{0, 0}, 0.25f},    {{0, 0}, 0},           {{0, 0}, -1e6f},
                                       {{1, 2}, 1e9f},     {{1e-30f, 1e-30f}, 0}, {{1e-30f, 0}, 1e-30f},
                                       {{100, 1}, -1e-12f}};
    static const float scales[] = {1.0f / 255, 1e-10f, 1e-30f, 1000};
    for (int i = 0; i < 4; i++) check_bias(scales[i], channels, sizeof channels / sizeof *channels);
}

/* A bias of a channel without weights is as good as floats are, nearly. */
static void test_bias_alone(void **state) {
    (void)state;
    const int64_t one = 1;
    hone_tensor *w = tensor(2, (int64_t[]){1, 2}, (float[]){0, 0}),
                *b = tensor(1, &one, (float[]){0.123456f});
    hone_codes c = {.q = NULL}, out = {.q = NULL};
    bool fits;
    ok(hone_codes_of_weight(w, 0, &(hone_code_format){.bits = 8}, NULL, &c, &err));
    ok(hone_codes_of_bias(b, w, 0, 0.02f, &c, &out, &fits, &err));
    assert_true(fabsf((float)((const int32_t *)out.q->data)[0] * scale_of(&out, 0) - 0.123456f) < 1e-7f);
    hone_codes_free(&c);
    hone_codes_free(&out);
    hone_tensor_free(w);
    hone_tensor_free(b);
}

/* Where a scale would be infinite, and where the bias is no vector of the channels, nothing is made. */
static void test_bias_that_does_not_fit(void **state) {
    (void)state;
    const int64_t one = 1, two = 2;
    hone_tensor *w = tensor(2, (int64_t[]){1, 2}, (float[]){1e-38f, 0}),
                *huge = tensor(1, &one, (float[]){3e38f}), *long_one = tensor(1, &two, (float[]){1, 2});
    hone_codes c = {.q = NULL}, out = {.q = NULL};
    bool fits = true;
    ok(hone_codes_of_weight(w, 0, &(hone_code_format){.bits = 8}, NULL, &c, &err));
    ok(hone_codes_of_bias(huge, w, 0, 1e-38f, &c, &out, &fits, &err));
    assert_false(fits);
    ok(hone_codes_of_bias(long_one, w, 0, 1, &c, &out, &fits, &err));
    assert_false(fits);
    assert_null(out.q);
    hone_codes_free(&c);
    hone_tensor_free(w);
    hone_tensor_free(huge);
    hone_tensor_free(long_one);
}

static void test_grids(void **state) {
    (void)state;
    static const hone_range ranges[] = {{0, 6},      {-1, 3}, {2, 5}, {-5, -1}, {0, 0}, {INFINITY, -INFINITY},
                                        {-1e-40f, 0}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        hone_grid g = hone_grid_of(ranges[i]);
        assert_true(g.scale > 0 && g.zero >= 0 && g.zero <= 255);
        assert_int_equal(hone_grid_code(g, 0), g.zero);
        assert_int_equal(hone_grid_code(g, INFINITY), 255);
        assert_int_equal(hone_grid_code(g, -INFINITY), 0);
        for (int k = 0; k <= 10 && ranges[i].max > ranges[i].min; k++) {
            double x = ranges[i].min + (double)k / 10 * (ranges[i].max - ranges[i].min);
            assert_true(fabs((hone_grid_code(g, x) - g.zero) * (double)g.scale - x) <= 0.5001 * g.scale);
        }
    }
    assert_int_equal(hone_grid_code(hone_grid_of((hone_range){0, 6}), 6), 255);
}

static void test_out_of_memory(void **state) {
    (void)state;
    const int64_t n = 2;
    hone_tensor *w = tensor(2, (int64_t[]){2, 2}, (float[]){1, 2, 3, 4}), *b = tensor(1, &n, (float[]){1, 2});
    hone_codes c = {.q = NULL}, out = {.q = NULL};
    bool fits;
    FAIL_EACH_ALLOCATION(hone_codes_of_weight(w, 0, &(hone_code_format){.bits = 8}, NULL, &c, &err),
                         assert_null(c.q));
    FAIL_EACH_ALLOCATION(hone_codes_of_bias(b, w, 0, 1, &c, &out, &fits, &err), assert_null(out.q));
    hone_codes_free(&c);
    hone_codes_free(&out);
    hone_tensor_free(w);
    hone_tensor_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_by_axis), cmocka_unit_test(test_biases_fit),
        cmocka_unit_test(test_bias_alone),      cmocka_unit_test(test_bias_that_does_not_fit),
        cmocka_unit_test(test_grids),           cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
