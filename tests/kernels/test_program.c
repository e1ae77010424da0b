#include "kernel_test.h"

#define TILE HONE_PROGRAM_TILE

static const char *const op_name[] = {
#define X(name, operands) #name,
    HONE_VOPS(X)
#undef X
};
static const int op_operands[] = {
#define X(name, operands) operands,
    HONE_VOPS(X)
#undef X
};

static hone_program one_op(int op) {
    hone_program p = {.inputs = 3, .registers = 4, .outputs = 1, .count = 1, .output = {3}};
    p.code[0] = (hone_instr){.op = (uint8_t)op, .dst = 3, .a = 0, .b = 1, .c = 2};
    return p;
}

static const float special[] = {
    0.0f,      -0.0f,  1.0f,    -1.0f,   0.5f,       -0.5f,           1.5f,       2.5f,     -2.5f,  INFINITY,
    -INFINITY, NAN,    1e-45f,  -1e-45f, 1e-39f,     1.17549435e-38f, 3.4e38f,    -3.4e38f, 88.72f, 88.73f,
    -87.3f,    -88.0f, -103.9f, -104.1f, 8388607.5f, 8388609.0f,      0.70710677f};

static bool is_transcendental(int op) {
    return op == HONE_VOP_EXP || op == HONE_VOP_LOG || op == HONE_VOP_TANH || op == HONE_VOP_SIGMOID ||
           op == HONE_VOP_ERF;
}

/* What is exact gives the reference's bits: all pairs of special values and random ones, at every length. */
static void check_exact(const hone_kernels *k, const char *level) {
    static float in[3][TILE], got[TILE + 1], want[TILE];
    for (int i = 0; i < TILE; i++) {
        in[0][i] = special[i % COUNT(special)];
        in[1][i] = special[i / COUNT(special) % COUNT(special)];
        in[2][i] = (float)(i % 7) - 3;
    }
    for (int round = 0; round < 40; round++) {
        for (int r = 0; round > 0 && r < 3; r++)
            test_fill_f32(in[r], TILE, round % 2 ? -4.0f : -1e6f, round % 2 ? 4.0f : 1e6f,
                          (uint64_t)(round * 3 + r));
        const int64_t n = round < 2 ? TILE : round < 36 ? round - 1 : TILE - (round - 35);
        for (int op = 0; op < HONE_VOP_COUNT; op++) {
            if (is_transcendental(op) || op == HONE_VOP_FMA) continue;
            hone_program p = one_op(op);
            float *registers[] = {in[0], in[1], in[2], got};
            got[n] = 1234.5f;
            k->program_f32(&p, registers, n);
            registers[3] = want;
            hone_program_f32_reference(&p, registers, n);
            if (got[n] != 1234.5f) fail_msg("%s %s writes beyond %d elements", level, op_name[op], (int)n);
            for (int64_t i = 0; i < n; i++)
                if (!same_f32(got[i], want[i]))
                    fail_msg("%s %s(%g, %g, %g) = %g, not %g", level, op_name[op], in[0][i], in[1][i],
                             in[2][i], got[i], want[i]);
        }
    }
}

static void test_exact(void **state) {
    (void)state;
    each_level(check_exact);
}

static void check_fma(const hone_kernels *k, const char *level) {
    float a[33], b[33], c[33], d[33];
    test_fill_f32(a, 33, -2, 2, 1);
    test_fill_f32(b, 33, -2, 2, 2);
    test_fill_f32(c, 33, -2, 2, 3);
    hone_program p = one_op(HONE_VOP_FMA);
    k->program_f32(&p, (float *[]){a, b, c, d}, 33);
    for (int i = 0; i < 33; i++)
        if (!same_f32(d[i], fmaf(a[i], b[i], c[i])) && !same_f32(d[i], a[i] * b[i] + c[i]))
            fail_msg("%s FMA(%g, %g, %g) = %g", level, a[i], b[i], c[i], d[i]);
}

static void test_fma(void **state) {
    (void)state;
    each_level(check_fma);
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static const struct {
    int op;
    double (*exact)(double);
    double relative, absolute; /* within what base/vop.h promises; 3e-45: two units below the normal floats */
} function[] = {
    {HONE_VOP_EXP, exp, 1.2e-7, 3e-45}, {HONE_VOP_LOG, log, 1.2e-7, 0},
    {HONE_VOP_TANH, tanh, 2e-7, 3e-45}, {HONE_VOP_SIGMOID, sigmoid, 2.5e-7, 1.2e-38},
    {HONE_VOP_ERF, erf, 2e-7, 3e-45},
};

#define SAMPLES (1 << 19)
static float sample[SAMPLES];
static double exact[SAMPLES];
static int current; /* index into function[] */

static void check_function(const hone_kernels *k, const char *level) {
    const int op = function[current].op;
    hone_program p = one_op(op);
    float got[TILE];
    for (int64_t at = 0; at < SAMPLES; at += TILE) {
        float *in = sample + at;
        k->program_f32(&p, (float *[]){in, in, in, got}, TILE);
        for (int i = 0; i < TILE; i++) {
            /* Beyond float, the exact value is inf or 0 as a float. */
            double want = fabs(exact[at + i]) > 3.4028235e38 ? (double)(float)exact[at + i] : exact[at + i];
            const bool bounded = op == HONE_VOP_TANH || op == HONE_VOP_ERF || op == HONE_VOP_SIGMOID;
            if (!near(got[i], want, function[current].relative, function[current].absolute) ||
                (bounded && fabsf(got[i]) > 1))
                fail_msg("%s %s(%.9g) = %.9g, not %.9g", level, op_name[op], in[i], got[i], want);
        }
    }
}

/* Every 8191st float, so all signs and exponents, and half of the samples where the functions bend. */
static void test_functions(void **state) {
    (void)state;
    for (int i = 0; i < SAMPLES; i++) {
        uint32_t bits = (uint32_t)i / 2 * 16381u;
        if (i % 2)
            sample[i] = -20.0f + 40.0f * (float)i / SAMPLES;
        else
            memcpy(&sample[i], &bits, 4);
        if (i < COUNT(special)) sample[i] = special[i];
    }
    for (current = 0; current < COUNT(function); current++) {
        for (int i = 0; i < SAMPLES; i++) exact[i] = function[current].exact(sample[i]);
        each_level(check_function);
    }
}

/* Lanes and tails compute alike, so a cut changes nothing. */
static void check_cuts(const hone_kernels *k, const char *level) {
    static float in[3][TILE], whole[TILE], cut[TILE];
    for (int r = 0; r < 3; r++) test_fill_f32(in[r], TILE, 0.1f, 5.0f, (uint64_t)r);
    for (int op = 0; op < HONE_VOP_COUNT; op++) {
        hone_program p = one_op(op);
        k->program_f32(&p, (float *[]){in[0], in[1], in[2], whole}, TILE);
        int64_t step = 1;
        for (int64_t at = 0; at < TILE; at += step, step = step % 37 + 1) {
            int64_t n = TILE - at < step ? TILE - at : step;
            k->program_f32(&p, (float *[]){in[0] + at, in[1] + at, in[2] + at, cut + at}, n);
        }
        if (memcmp(whole, cut, sizeof whole) != 0) fail_msg("%s %s depends on the cut", level, op_name[op]);
    }
}

static void test_cuts(void **state) {
    (void)state;
    each_level(check_cuts);
}

/* v = mu*v + g; w = w - lr*v: several instructions, an output that is an input, constants. */
static void check_momentum(const hone_kernels *k, const char *level) {
    enum { V, G, W, MU, LR, T, REGISTERS };
    hone_program p = {
        .inputs = 3, .constants = 2, .registers = REGISTERS, .count = 3, .constant = {0.9, 0.1}};
    p.code[0] = (hone_instr){HONE_VOP_FMA, V, MU, V, G};
    p.code[1] = (hone_instr){HONE_VOP_MUL, T, LR, V, 0};
    p.code[2] = (hone_instr){HONE_VOP_SUB, W, W, T, 0};
    static float r[REGISTERS][TILE];
    static double d[REGISTERS][TILE];
    float *rf[REGISTERS];
    double *rd[REGISTERS];
    for (int i = 0; i < REGISTERS; i++) {
        rf[i] = r[i];
        rd[i] = d[i];
        if (i < p.inputs)
            test_fill_f32(r[i], TILE, -1, 1, (uint64_t)i);
        else
            for (int j = 0; i < T && j < TILE; j++) r[i][j] = (float)p.constant[i - p.inputs];
        for (int j = 0; j < TILE; j++) d[i][j] = r[i][j];
    }
    k->program_f32(&p, rf, 333);
    k->program_f64(&p, rd, 333);
    for (int j = 0; j < 333; j++)
        if (!near(r[W][j], d[W][j], 0, 3e-7) || !near(r[V][j], d[V][j], 0, 3e-7))
            fail_msg("%s momentum step at %d: %g, not %g", level, j, r[W][j], d[W][j]);
}

static void test_momentum(void **state) {
    (void)state;
    each_level(check_momentum);
}

static void test_f64(void **state) {
    (void)state;
    double a[] = {0.3, -2.5, NAN, 700}, b[] = {2, 0.5, 1, NAN}, c[] = {1, 2, 3, 4}, d[4];
    double *registers[] = {a, b, c, d};
    const struct {
        int op;
        double want[4];
    } cases[] = {
        {HONE_VOP_ADD, {2.3, -2.0, NAN, NAN}},
        {HONE_VOP_MAX, {2, 0.5, NAN, NAN}},
        {HONE_VOP_MIN, {0.3, -2.5, NAN, NAN}},
        {HONE_VOP_ROUND, {0, -2, NAN, 700}},
        {HONE_VOP_CEIL, {1, -2, NAN, 700}},
        {HONE_VOP_FMA, {1.6, 0.75, NAN, NAN}},
        {HONE_VOP_EXP, {exp(0.3), exp(-2.5), NAN, exp(700)}},
        {HONE_VOP_SIGMOID, {sigmoid(0.3), sigmoid(-2.5), NAN, 1}},
        {HONE_VOP_ERF, {erf(0.3), erf(-2.5), NAN, 1}},
        {HONE_VOP_GT, {0, 0, 0, 0}},
        {HONE_VOP_SELECT, {2, 0.5, 1, NAN}},
        {HONE_VOP_DIV, {0.15, -5, NAN, NAN}},
        {HONE_VOP_NEG, {-0.3, 2.5, NAN, -700}},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        hone_program p = one_op(cases[i].op);
        hone_program_f64(&p, registers, 4);
        for (int j = 0; j < 4; j++)
            if (!near(d[j], cases[i].want[j], 1e-15, 1e-15))
                fail_msg("%s at %d: %g, not %g", op_name[cases[i].op], j, d[j], cases[i].want[j]);
    }
}

static void test_integers(void **state) {
    (void)state;
    const struct {
        int op;
        int64_t want[6]; /* for i64, LEAST standing for the least integer */
    } cases[] = {
#define LEAST INT64_MIN
        {HONE_VOP_COPY, {7, -7, LEAST, LEAST, 5, -1}},
        {HONE_VOP_ADD, {9, -5, LEAST + 0, INT64_MAX, 5, -2}},
        {HONE_VOP_SUB, {5, -9, LEAST, LEAST + 1, 5, 0}},
        {HONE_VOP_MUL, {14, -14, 0, LEAST, 0, 1}},
        {HONE_VOP_DIV, {3, -3, 0, LEAST, 0, 1}},
        {HONE_VOP_MAX, {7, 2, 0, -1, 5, -1}},
        {HONE_VOP_MIN, {2, -7, LEAST, LEAST, 0, -1}},
        {HONE_VOP_NEG, {-7, 7, LEAST, LEAST, -5, 1}},
        {HONE_VOP_ABS, {7, 7, LEAST, LEAST, 5, 1}},
        {HONE_VOP_GT, {1, 0, 0, 0, 1, 0}},
        {HONE_VOP_GE, {1, 0, 0, 0, 1, 1}},
        {HONE_VOP_EQ, {0, 0, 0, 0, 0, 1}},
        {HONE_VOP_SELECT, {2, 2, 0, -1, 0, -1}},
    };
    int64_t a[] = {7, -7, LEAST, LEAST, 5, -1}, b[] = {2, 2, 0, -1, 0, -1}, c[6] = {3, 3, 3, 3, 3, 3}, d[6];
    int32_t a32[] = {7, -7, INT32_MIN, INT32_MIN, 5, -1}, b32[] = {2, 2, 0, -1, 0, -1}, c32[6] = {0}, d32[6];
    for (int i = 0; i < COUNT(cases); i++) {
        assert_true(op_operands[cases[i].op] >= 1);
        hone_program p = one_op(cases[i].op);
        hone_program_i64(&p, (int64_t *[]){a, b, c, d}, 6);
        hone_program_i32(&p, (int32_t *[]){a32, b32, c32, d32}, 6);
        for (int j = 0; j < 6; j++) {
            int64_t want = cases[i].want[j];
            /* the same near the ends of 32 bits */
            int32_t want32 = want == LEAST       ? INT32_MIN
                             : want == LEAST + 1 ? INT32_MIN + 1
                             : want == INT64_MAX ? INT32_MAX
                                                 : (int32_t)want;
            if (d[j] != want || d32[j] != want32)
                fail_msg("%s at %d: %lld and %d, not %lld", op_name[cases[i].op], j, (long long)d[j], d32[j],
                         (long long)want);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),    cmocka_unit_test(test_fma),      cmocka_unit_test(test_functions),
        cmocka_unit_test(test_cuts),     cmocka_unit_test(test_momentum), cmocka_unit_test(test_f64),
        cmocka_unit_test(test_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
