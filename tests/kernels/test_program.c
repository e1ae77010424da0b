#include "kernel_test.h"
#include "kernels/portable.h"

#include <hone/tensor.h>

#define TILE HONE_PROGRAM_TILE

static const char *const op_name[] = {"COPY", "CAST", "QUANTIZE",
#define X(NAME, name, operands) #NAME,
                                      HONE_VOPS(X)
#undef X
};
enum { FIRST = HONE_VOP_QUANTIZE + 1, LAST = HONE_VOP_SELECT }; /* those that floats have */

static hone_program one_op(int op, hone_dtype dtype) {
    hone_program p = {.inputs = 3, .registers = 4, .outputs = 1, .count = 1, .output = {3}};
    p.code[0] = (hone_instr){.op = (uint8_t)op, .dtype = (uint8_t)dtype, .dst = 3, .a = 0, .b = 1, .c = 2};
    return p;
}

static const float special[] = {
    0.0f,      -0.0f,  1.0f,    -1.0f,   0.5f,       -0.5f,           1.5f,       2.5f,     -2.5f,  INFINITY,
    -INFINITY, NAN,    1e-45f,  -1e-45f, 1e-39f,     1.17549435e-38f, 3.4e38f,    -3.4e38f, 88.72f, 88.73f,
    -87.3f,    -88.0f, -103.9f, -104.1f, 8388607.5f, 8388609.0f,      0.70710677f};

static bool is_transcendental(int op) {
    return op >= HONE_VOP_EXP && op <= HONE_VOP_ATANH;
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
        for (int op = FIRST; op <= LAST; op++) {
            if (is_transcendental(op) || op == HONE_VOP_FMA) continue;
            hone_program p = one_op(op, HONE_FLOAT32);
            void *registers[] = {in[0], in[1], in[2], got};
            got[n] = 1234.5f;
            k->program(&p, registers, n);
            registers[3] = want;
            hone_instr_f32_reference(p.code, registers, n);
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
    hone_program p = one_op(HONE_VOP_FMA, HONE_FLOAT32);
    k->program(&p, (void *[]){a, b, c, d}, 33);
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
    {HONE_VOP_ERF, erf, 2e-7, 3e-45},   {HONE_VOP_SIN, sin, 1.3e-7, 3e-8},
    {HONE_VOP_COS, cos, 1.3e-7, 3e-8},  {HONE_VOP_TAN, tan, 4e-7, 3e-8},
    {HONE_VOP_ASIN, asin, 3e-7, 0},     {HONE_VOP_ACOS, acos, 3e-7, 0},
    {HONE_VOP_ATAN, atan, 2e-7, 0},     {HONE_VOP_SINH, sinh, 3e-7, 0},
    {HONE_VOP_COSH, cosh, 3e-7, 0},     {HONE_VOP_ASINH, asinh, 4e-7, 0},
    {HONE_VOP_ACOSH, acosh, 4e-7, 0},   {HONE_VOP_ATANH, atanh, 4e-7, 0},
};

#define SAMPLES (1 << 19)
static float sample[SAMPLES];
static double exact[SAMPLES];
static int current; /* index into function[] */

static void check_function(const hone_kernels *k, const char *level) {
    const int op = function[current].op;
    hone_program p = one_op(op, HONE_FLOAT32);
    float got[TILE];
    for (int64_t at = 0; at < SAMPLES; at += TILE) {
        float *in = sample + at;
        k->program(&p, (void *[]){in, in, in, got}, TILE);
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

/* Every 8191st float, so all signs and exponents, and as many samples where the functions bend. */
static void test_functions(void **state) {
    (void)state;
    for (int i = 0; i < SAMPLES; i++) {
        uint32_t bits = (uint32_t)i / 2 * 16381u;
        if (i % 4 == 1)
            sample[i] = -1.2f + 2.4f * (float)i / SAMPLES;
        else if (i % 2)
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
    for (int op = FIRST; op <= LAST; op++) {
        hone_program p = one_op(op, HONE_FLOAT32);
        k->program(&p, (void *[]){in[0], in[1], in[2], whole}, TILE);
        int64_t step = 1;
        for (int64_t at = 0; at < TILE; at += step, step = step % 37 + 1) {
            int64_t n = TILE - at < step ? TILE - at : step;
            k->program(&p, (void *[]){in[0] + at, in[1] + at, in[2] + at, cut + at}, n);
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
    p.code[0] = (hone_instr){HONE_VOP_FMA, HONE_FLOAT32, V, MU, V, G};
    p.code[1] = (hone_instr){HONE_VOP_MUL, HONE_FLOAT32, T, LR, V, 0};
    p.code[2] = (hone_instr){HONE_VOP_SUB, HONE_FLOAT32, W, W, T, 0};
    static float r[REGISTERS][TILE];
    static double d[REGISTERS][TILE];
    void *rf[REGISTERS], *rd[REGISTERS];
    for (int i = 0; i < REGISTERS; i++) {
        rf[i] = r[i];
        rd[i] = d[i];
        if (i < p.inputs)
            test_fill_f32(r[i], TILE, -1, 1, (uint64_t)i);
        else
            for (int j = 0; i < T && j < TILE; j++) r[i][j] = (float)p.constant[i - p.inputs];
        for (int j = 0; j < TILE; j++) d[i][j] = r[i][j];
    }
    k->program(&p, rf, 333);
    for (int i = 0; i < p.count; i++) p.code[i].dtype = HONE_FLOAT64;
    k->program(&p, rd, 333);
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
    void *registers[] = {a, b, c, d};
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
        {HONE_VOP_NE, {1, 1, 1, 1}},
        {HONE_VOP_REM, {0.3, -0.0, NAN, NAN}},
        {HONE_VOP_POW, {0.09, NAN, NAN, NAN}},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        hone_program p = one_op(cases[i].op, HONE_FLOAT64);
        hone_kernels_get()->program(&p, registers, 4);
        for (int j = 0; j < 4; j++)
            if (!near(d[j], cases[i].want[j], 1e-15, 1e-15))
                fail_msg("%s at %d: %g, not %g", op_name[cases[i].op], j, d[j], cases[i].want[j]);
    }
}

#define LEAST INT64_MIN
#define MOST INT64_MAX
#define HALF (MOST - 1)

/* `x` of the table below, whose ends stand for those of the type. */
#define CHECK_INTEGERS(type, dtype, low, high, column)                                                       \
    do {                                                                                                     \
        type a[COLUMNS], b[COLUMNS], c[COLUMNS], d[COLUMNS];                                                 \
        for (int j = 0; j < COLUMNS; j++) {                                                                  \
            a[j] = END(type, low, high, column##_a[j]);                                                      \
            b[j] = END(type, low, high, column##_b[j]);                                                      \
            c[j] = 3;                                                                                        \
        }                                                                                                    \
        hone_program p = one_op(cases[i].op, dtype);                                                         \
        k->program(&p, (void *[]){a, b, c, d}, COLUMNS);                                                     \
        for (int j = 0; j < COLUMNS; j++) {                                                                  \
            type want = END(type, low, high, cases[i].column[j]);                                            \
            if (d[j] != want)                                                                                \
                fail_msg("%s %s " #type " at %d: %lld, not %lld", level, op_name[cases[i].op], j,            \
                         (long long)d[j], (long long)want);                                                  \
        }                                                                                                    \
    } while (0)
#define END(type, low, high, x)                                                                              \
    (type)((x) == LEAST       ? (low)                                                                        \
           : (x) == LEAST + 1 ? (low) + 1                                                                    \
           : (x) == MOST      ? (high)                                                                       \
           : (x) == HALF      ? (high) / 2                                                                   \
                              : (type)(x))

enum { COLUMNS = 6 };
static const int64_t of_signed_a[] = {7, -7, LEAST, LEAST, 5, -1}, of_signed_b[] = {2, 2, 0, -1, 0, -1};
static const int64_t of_unsigned_a[] = {7, MOST, 0, MOST, 5, 1}, of_unsigned_b[] = {2, 1, 1, MOST, 0, 3};

static void check_integers(const hone_kernels *k, const char *level) {
    static const struct {
        int op;
        int64_t of_signed[COLUMNS], of_unsigned[COLUMNS];
    } cases[] = {
        {HONE_VOP_COPY, {7, -7, LEAST, LEAST, 5, -1}, {7, MOST, 0, MOST, 5, 1}},
        {HONE_VOP_ADD, {9, -5, LEAST, MOST, 5, -2}, {9, 0, 1, -2, 5, 4}},
        {HONE_VOP_SUB, {5, -9, LEAST, LEAST + 1, 5, 0}, {5, -2, MOST, 0, 5, -2}},
        {HONE_VOP_MUL, {14, -14, 0, LEAST, 0, 1}, {14, MOST, 0, 1, 0, 3}},
        {HONE_VOP_DIV, {3, -3, 0, LEAST, 0, 1}, {3, MOST, 0, 1, 0, 0}},
        {HONE_VOP_REM, {1, -1, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 1}},
        {HONE_VOP_POW, {49, 49, 1, 0, 1, -1}, {49, MOST, 0, MOST, 1, 1}},
        {HONE_VOP_MAX, {7, 2, 0, -1, 5, -1}, {7, MOST, 1, MOST, 5, 3}},
        {HONE_VOP_MIN, {2, -7, LEAST, LEAST, 0, -1}, {2, 1, 0, MOST, 0, 1}},
        {HONE_VOP_NEG, {-7, 7, LEAST, LEAST, -5, 1}, {-7, 1, 0, 1, -5, -1}},
        {HONE_VOP_ABS, {7, 7, LEAST, LEAST, 5, 1}, {7, MOST, 0, MOST, 5, 1}},
        {HONE_VOP_GT, {1, 0, 0, 0, 1, 0}, {1, 1, 0, 0, 1, 0}},
        {HONE_VOP_GE, {1, 0, 0, 0, 1, 1}, {1, 1, 0, 1, 1, 0}},
        {HONE_VOP_EQ, {0, 0, 0, 0, 0, 1}, {0, 0, 0, 1, 0, 0}},
        {HONE_VOP_NE, {1, 1, 1, 1, 1, 0}, {1, 1, 1, 0, 1, 1}},
        {HONE_VOP_AND, {2, 0, 0, LEAST, 0, -1}, {2, 1, 0, MOST, 0, 1}},
        {HONE_VOP_OR, {7, -5, LEAST, -1, 5, -1}, {7, MOST, 1, MOST, 5, 3}},
        {HONE_VOP_XOR, {5, -5, LEAST, MOST, 5, 0}, {5, -2, 1, 0, 5, 2}},
        {HONE_VOP_SHL, {28, -28, LEAST, 0, 5, 0}, {28, -2, 0, 0, 5, 8}},
        {HONE_VOP_SHR, {1, -2, LEAST, 0, 5, 0}, {1, HALF, 0, 0, 5, 0}},
        {HONE_VOP_SELECT, {2, 2, 0, -1, 0, -1}, {2, 1, 3, MOST, 0, 3}},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        CHECK_INTEGERS(int32_t, HONE_INT32, INT32_MIN, INT32_MAX, of_signed);
        CHECK_INTEGERS(int64_t, HONE_INT64, INT64_MIN, INT64_MAX, of_signed);
        CHECK_INTEGERS(uint32_t, HONE_UINT32, 0, UINT32_MAX, of_unsigned);
        CHECK_INTEGERS(uint64_t, HONE_UINT64, 0, UINT64_MAX, of_unsigned);
    }
}

static void test_integers(void **state) {
    (void)state;
    each_level(check_integers);
}

/* Bits of every dtype are copied. */
static void check_copy(const hone_kernels *k, const char *level) {
    static const hone_dtype dtypes[] = {HONE_BOOL, HONE_INT16, HONE_BFLOAT16, HONE_UINT32, HONE_FLOAT64};
    for (int d = 0; d < COUNT(dtypes); d++) {
        size_t size = hone_dtype_size((hone_dtype)dtypes[d]);
        uint8_t from[8 * TILE], to[8 * TILE] = {0};
        for (int i = 0; i < COUNT(from); i++) from[i] = (uint8_t)(i * 7 + i / 256);
        hone_program p = one_op(HONE_VOP_COPY, dtypes[d]);
        k->program(&p, (void *[]){from, from, from, to}, 77);
        k->program(&p, (void *[]){from, from, from, from}, 77);
        if (memcmp(from, to, 77 * size) != 0 || to[77 * size] != 0)
            fail_msg("%s: dtype %d", level, dtypes[d]);
    }
}

static void test_copy(void **state) {
    (void)state;
    each_level(check_copy);
}

/* The same codes as quantize_u8 and quantize_s8 give, save that a value is divided by its scale before. */
static void check_quantize(const hone_kernels *k, const char *level) {
    static float x[TILE], zero[TILE];
    static uint8_t got[TILE + 1], want[TILE];
    for (int kind = 0; kind < 8; kind++) {
        const bool is_signed = kind % 2;
        const int at = (int[]){0, 128, -128, 9}[kind / 2] + (is_signed ? 0 : kind / 2 == 2 ? 255 : 0);
        test_fill_f32(x, TILE, -300, 300, (uint64_t)kind);
        for (int i = 0; i < COUNT(special); i++) x[3 * i] = special[i];
        for (int i = 0; i < 100; i++) x[200 + i] = (float)i - 49.5f; /* ties */
        for (int i = 0; i < TILE; i++) zero[i] = (float)at;
        hone_program p = one_op(HONE_VOP_QUANTIZE, is_signed ? HONE_INT8 : HONE_UINT8);
        for (int64_t n = 1; n <= TILE; n += n < 40 ? 1 : 59) {
            got[n] = 99;
            k->program(&p, (void *[]){x, zero, x, got}, n);
            if (is_signed)
                k->quantize_s8(x, (int8_t *)want, n, 1, at);
            else
                k->quantize_u8(x, want, n, 1, at);
            if (memcmp(got, want, (size_t)n) != 0 || got[n] != 99) fail_msg("%s: %d", level, kind);
        }
    }
}

/* Codes of x / scale, where quotients lie at or beside what is rounded both ways, and real numbers of codes. */
static void check_codes(const hone_kernels *k, const char *level) {
    static float x[TILE], zero[TILE], scale[TILE], real[TILE];
    static uint8_t got[TILE], again[TILE];
    const float scales[] = {1,           0.0231f,  0.0078125f, 3.1e-9f,    17.3f,
                            0.33333334f, 0x1p-60f, 1.0000001f, 0.99999994f};
    for (int s = 0; s < COUNT(scales); s++) {
        for (int i = 0; i < TILE; i++) {
            x[i] = ((float)(i / 2 - 128) + 0.5f) * scales[s];
            if (i % 2) x[i] = nextafterf(x[i], i % 4 == 1 ? -INFINITY : INFINITY);
            zero[i] = 120;
            scale[i] = scales[s];
        }
        for (int i = 0; i < COUNT(special); i++) x[3 * i] = special[i];
        hone_program p = one_op(HONE_VOP_CODE, HONE_UINT8);
        p.code[0].b = 1;
        p.code[0].c = 2;
        k->program(&p, (void *[]){x, zero, scale, got}, TILE);
        k->quantize_u8(x, again, TILE, scales[s], 120);
        for (int i = 0; i < TILE; i++) {
            const float q = nearbyintf(x[i] / scales[s]) + 120;
            const uint8_t want = (uint8_t)(q > 255 ? 255 : q > 0 ? q : 0);
            if (got[i] != want || again[i] != want)
                fail_msg("%s: %.9g / %.9g is %d and %d, not %d", level, x[i], scales[s], got[i], again[i],
                         want);
        }
        for (int is_signed = 0; is_signed < 2; is_signed++) {
            p = one_op(is_signed ? HONE_VOP_REAL_S8 : HONE_VOP_REAL_U8, HONE_FLOAT32);
            k->program(&p, (void *[]){got, zero, scale, real}, TILE);
            for (int i = 0; i < TILE; i++)
                assert_true(real[i] == (float)((is_signed ? (int8_t)got[i] : got[i]) - 120) * scales[s]);
        }
    }
}

static void test_quantize(void **state) {
    (void)state;
    each_level(check_quantize);
    each_level(check_codes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),    cmocka_unit_test(test_fma),      cmocka_unit_test(test_functions),
        cmocka_unit_test(test_cuts),     cmocka_unit_test(test_momentum), cmocka_unit_test(test_f64),
        cmocka_unit_test(test_integers), cmocka_unit_test(test_copy),     cmocka_unit_test(test_quantize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
