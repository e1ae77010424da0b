/* Maps as kernel programs: random maps against direct evaluation, wherever results may lie. */
#include "ops/engine/program.h"

#include "kernels/kernels.h"
#include "support/graphs.h"

enum { MAX_CODE = 120, TILE = 37 };

static hone_arena *arena;

static int setup(void **state) {
    (void)state;
    arena = hone_arena_new();
    return arena ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    hone_arena_free(arena);
    return 0;
}

static hone_reg emit(hone_map *m, int op, hone_reg a, hone_reg b, hone_reg c) {
    switch ((hone_vop)op) {
    case HONE_VOP_ADD: return hone_map_add(m, a, b);
    case HONE_VOP_SUB: return hone_map_sub(m, a, b);
    case HONE_VOP_MUL: return hone_map_mul(m, a, b);
    case HONE_VOP_DIV: return hone_map_div(m, a, b);
    case HONE_VOP_MAX: return hone_map_max(m, a, b);
    case HONE_VOP_MIN: return hone_map_min(m, a, b);
    case HONE_VOP_FMA: return hone_map_fma(m, a, b, c);
    case HONE_VOP_NEG: return hone_map_neg(m, a);
    case HONE_VOP_ABS: return hone_map_abs(m, a);
    case HONE_VOP_SQRT: return hone_map_sqrt(m, hone_map_abs(m, a));
    case HONE_VOP_TANH: return hone_map_tanh(m, a);
    case HONE_VOP_SIGMOID: return hone_map_sigmoid(m, a);
    case HONE_VOP_ERF: return hone_map_erf(m, a);
    case HONE_VOP_FLOOR: return hone_map_floor(m, a);
    case HONE_VOP_CEIL: return hone_map_ceil(m, a);
    case HONE_VOP_ROUND: return hone_map_round(m, a);
    case HONE_VOP_GT: return hone_map_gt(m, a, b);
    case HONE_VOP_GE: return hone_map_ge(m, a, b);
    case HONE_VOP_EQ: return hone_map_eq(m, a, b);
    case HONE_VOP_SELECT: return hone_map_select(m, a, b, c);
    default: return hone_map_exp(m, hone_map_min(m, a, hone_map_const(m, 3)));
    }
}

/* Up to 5 inputs, 4 outputs (an input or a constant among them at times) and `length` operations. */
static hone_map *random_map(hone_rng *r, int length) {
    hone_map *m = hone_map_new(arena);
    hone_reg v[MAX_CODE];
    int inputs = 1 + (int)hone_rng_below(r, 5), outputs = 1 + (int)hone_rng_below(r, 4), count = 0;
    for (int i = 0; i < inputs; i++) v[count++] = hone_map_input(m, i, HONE_FLOAT64);
    if (hone_rng_below(r, 2)) v[count++] = hone_map_cast(m, hone_map_const(m, 0.75), HONE_FLOAT64);
    for (int i = 0; i < length; i++) {
        hone_reg a = v[hone_rng_below(r, (uint32_t)count)], b = v[hone_rng_below(r, (uint32_t)count)],
                 c = v[hone_rng_below(r, (uint32_t)count)];
        v[count++] = emit(m, (int)hone_rng_below(r, HONE_VOP_COUNT), a, b, c);
    }
    for (int o = 0; o < outputs; o++) {
        bool any = hone_rng_below(r, 4) == 0; /* mostly late results */
        hone_map_add_output(m, any ? v[hone_rng_below(r, (uint32_t)count)] : v[count - 1 - o % count]);
    }
    assert_true(hone_map_ok(m));
    return m;
}

static double evaluate(const hone_map *m, hone_reg r, const double *inputs, double *done, bool *known) {
    const hone_map_code *code = &m->code[r];
    double x[3] = {0};
    if (known[r]) return done[r];
    for (int k = 0; code->op < HONE_VOP_COUNT && k < hone_vop_operands((hone_vop)code->op); k++)
        x[k] = evaluate(m, k == 0 ? code->a : k == 1 ? code->b : code->c, inputs, done, known);
    double a = x[0], b = x[1], y = 0;
    switch (code->op) {
    case HONE_MAP_INPUT: y = inputs[code->input]; break;
    case HONE_MAP_CONST: y = code->constant; break;
    case HONE_VOP_ADD: y = a + b; break;
    case HONE_VOP_SUB: y = a - b; break;
    case HONE_VOP_MUL: y = a * b; break;
    case HONE_VOP_DIV: y = a / b; break;
    case HONE_VOP_MAX: y = a != a || b != b ? NAN : a > b ? a : b; break;
    case HONE_VOP_MIN: y = a != a || b != b ? NAN : a < b ? a : b; break;
    case HONE_VOP_FMA: y = fma(a, b, x[2]); break;
    case HONE_VOP_NEG: y = -a; break;
    case HONE_VOP_ABS: y = fabs(a); break;
    case HONE_VOP_SQRT: y = sqrt(a); break;
    case HONE_VOP_EXP: y = exp(a); break;
    case HONE_VOP_TANH: y = tanh(a); break;
    case HONE_VOP_SIGMOID: y = 1 / (1 + exp(-a)); break;
    case HONE_VOP_ERF: y = erf(a); break;
    case HONE_VOP_FLOOR: y = floor(a); break;
    case HONE_VOP_CEIL: y = ceil(a); break;
    case HONE_VOP_ROUND: y = nearbyint(a); break;
    case HONE_VOP_GT: y = a > b; break;
    case HONE_VOP_GE: y = a >= b; break;
    case HONE_VOP_EQ: y = a == b; break;
    case HONE_VOP_SELECT: y = a != 0 ? b : x[2]; break;
    default: fail_msg("no such operation");
    }
    known[r] = true;
    return done[r] = y;
}

/* Runs `p` with output o in the memory of input alias[o] (< 0: its own). */
static void run(const hone_program *p, const double (*inputs)[TILE], const int *alias,
                double (*outputs)[TILE]) {
    static double memory[HONE_PROGRAM_MAX_REGISTERS][TILE];
    void *at[HONE_PROGRAM_MAX_REGISTERS];
    for (int r = 0; r < p->registers; r++) {
        at[r] = memory[r];
        for (int i = 0; i < TILE; i++) {
            bool input = r < p->inputs, constant = !input && r < p->inputs + p->constants;
            memory[r][i] = input ? inputs[r][i] : constant ? p->constant[r - p->inputs] : NAN;
        }
    }
    for (int o = 0; o < p->outputs; o++)
        if (alias[o] >= 0) at[p->output[o]] = memory[alias[o]];
    hone_kernels_get()->program(p, at, TILE);
    for (int o = 0; o < p->outputs; o++) memcpy(outputs[o], at[p->output[o]], sizeof outputs[o]);
}

static void check(const hone_map *m, const hone_program *p, const double (*inputs)[TILE], const int *alias) {
    static double got[HONE_MAP_MAX_OUTPUTS][TILE];
    run(p, inputs, alias, got);
    for (int i = 0; i < TILE; i++) {
        double x[HONE_PROGRAM_MAX_REGISTERS], done[1000];
        bool known[1000] = {false};
        for (int k = 0; k < m->inputs; k++) x[k] = inputs[k][i];
        for (int o = 0; o < m->outputs; o++) {
            double want = evaluate(m, m->output[o], x, done, known), y = got[o][i];
            bool same = (y != y && want != want) || y == want || fabs(y - want) <= 1e-11 * (1 + fabs(want));
            if (!same) fail_msg("output %d (in the place of %d): %.17g, not %.17g", o, alias[o], y, want);
        }
    }
}

static void check_everywhere(const hone_map *m, const hone_program *p, uint64_t seed) {
    static double inputs[8][TILE];
    hone_rng r = hone_rng_make(seed, 4);
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < TILE; i++) inputs[k][i] = 4.0 * hone_rng_uniform(&r) - 2;
    int alias[HONE_MAP_MAX_OUTPUTS];
    for (int o = 0; o < COUNT(alias); o++) alias[o] = -1;
    check(m, p, inputs, alias);
    for (int i = 0; m->outputs == 1 && i < m->inputs; i++) {
        alias[0] = i;
        check(m, p, inputs, alias);
    }
    for (uint32_t set = 1; m->outputs > 1 && set < 1u << m->outputs; set++) {
        for (int o = 0; o < m->outputs; o++) alias[o] = (set >> o & 1) && o < m->inputs ? o : -1;
        check(m, p, inputs, alias);
    }
}

static void test_random_maps(void **state) {
    (void)state;
    int made = 0;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        hone_error err;
        hone_program p;
        hone_rng r = hone_rng_make(seed, 1);
        const hone_map *m = random_map(&r, (int)hone_rng_below(&r, seed % 3 ? 12 : 60));
        hone_status status = hone_program_make(m, &p, &err);
        assert_true(status == HONE_OK || status == HONE_UNSUPPORTED);
        if (status != HONE_OK) continue;
        made++;
        assert_int_equal(p.inputs, m->inputs);
        assert_in_range(p.registers, 1, HONE_PROGRAM_MAX_REGISTERS);
        for (int o = 0; o < p.outputs; o++) {
            assert_in_range(p.output[o], p.inputs + p.constants, p.registers - 1);
            for (int k = 0; k < o; k++) assert_int_not_equal(p.output[o], p.output[k]);
        }
        check_everywhere(m, &p, seed);
    }
    assert_true(made > 2500);
}

/* Results that are operands, changing places; and results that an earlier one would overwrite. */
static void test_results_that_are_operands(void **state) {
    (void)state;
    hone_error err;
    hone_program p;
    hone_map *m = hone_map_new(arena);
    hone_reg a = hone_map_input(m, 0, HONE_FLOAT64), b = hone_map_input(m, 1, HONE_FLOAT64),
             c = hone_map_input(m, 2, HONE_FLOAT64);
    hone_map_add_output(m, b);
    hone_map_add_output(m, c);
    hone_map_add_output(m, a);
    check_ok(hone_program_make(m, &p, &err));
    check_everywhere(m, &p, 1);

    m = hone_map_new(arena);
    a = hone_map_input(m, 0, HONE_FLOAT64), b = hone_map_input(m, 1, HONE_FLOAT64);
    hone_reg sum = hone_map_add(m, a, b);
    hone_map_add_output(m, sum);
    hone_map_add_output(m, a);
    hone_map_add_output(m, sum);
    hone_map_add_output(m, hone_map_cast(m, hone_map_const(m, 2), HONE_FLOAT64));
    hone_map_add_output(m, hone_map_mul(m, sum, a));
    check_ok(hone_program_make(m, &p, &err));
    check_everywhere(m, &p, 2);
}

/* What nobody needs costs nothing. */
static void test_dead_code(void **state) {
    (void)state;
    hone_error err;
    hone_program p;
    hone_map *m = hone_map_new(arena);
    hone_reg a = hone_map_input(m, 0, HONE_FLOAT64);
    for (int i = 0; i < 50; i++) hone_map_add(m, a, hone_map_const(m, i));
    hone_map_add_output(m, hone_map_neg(m, a));
    check_ok(hone_program_make(m, &p, &err));
    assert_int_equal(p.count, 1);
    assert_int_equal(p.constants, 0);
    assert_int_equal(p.registers, 2);
}

static void test_limits(void **state) {
    (void)state;
    hone_error err;
    hone_program p;
    for (int length = HONE_PROGRAM_MAX_CODE - 2; length <= HONE_PROGRAM_MAX_CODE + 1; length++) {
        hone_map *m = hone_map_new(arena);
        hone_reg r = hone_map_input(m, 0, HONE_FLOAT64);
        for (int i = 0; i < length; i++) r = i % 2 ? hone_map_neg(m, r) : hone_map_tanh(m, r);
        hone_map_add_output(m, r);
        hone_status status = hone_program_make(m, &p, &err);
        assert_int_equal(status, length <= HONE_PROGRAM_MAX_CODE ? HONE_OK : HONE_UNSUPPORTED);
        if (status == HONE_OK) check_everywhere(m, &p, 3);
    }
    for (int constants = HONE_PROGRAM_MAX_CONSTANTS; constants <= HONE_PROGRAM_MAX_CONSTANTS + 1;
         constants++) {
        hone_map *m = hone_map_new(arena);
        hone_reg r = hone_map_input(m, 0, HONE_FLOAT64);
        for (int i = 0; i < constants; i++) r = hone_map_add(m, r, hone_map_const(m, i));
        hone_map_add_output(m, r);
        assert_int_equal(hone_program_make(m, &p, &err),
                         constants <= HONE_PROGRAM_MAX_CONSTANTS ? HONE_OK : HONE_UNSUPPORTED);
    }
    for (int inputs = HONE_PROGRAM_MAX_REGISTERS - 1; inputs <= HONE_PROGRAM_MAX_REGISTERS + 1; inputs++) {
        hone_map *m = hone_map_new(arena);
        hone_reg r = hone_map_input(m, 0, HONE_FLOAT64);
        for (int i = 1; i < inputs; i++) r = hone_map_add(m, r, hone_map_input(m, i, HONE_FLOAT64));
        hone_map_add_output(m, r);
        hone_status status = hone_program_make(m, &p, &err);
        assert_true(inputs < HONE_PROGRAM_MAX_REGISTERS - 1 || status == HONE_OK ||
                    status == HONE_UNSUPPORTED);
        assert_true(status != HONE_OK || p.registers <= HONE_PROGRAM_MAX_REGISTERS);
    }
    hone_map *m = hone_map_new(arena); /* far beyond: nothing is written past the end */
    hone_reg r = hone_map_input(m, 5000, HONE_FLOAT64);
    for (int i = 0; i < 1000; i++) r = hone_map_add(m, r, hone_map_input(m, i, HONE_FLOAT64));
    hone_map_add_output(m, r);
    assert_int_equal(hone_program_make(m, &p, &err), HONE_UNSUPPORTED);
    m = hone_map_new(arena);
    m->failed = true;
    assert_int_equal(hone_program_make(m, &p, &err), HONE_OUT_OF_MEMORY);
}

/* x sigmoid(y) or Gelu of x, the share as the first or the second operand; `shown`: the share is an output, too. */
static void make_share(bool gelu, bool first, bool shown, hone_program *p) {
    hone_map *m = hone_map_new(arena);
    hone_reg x = hone_map_input(m, 0, HONE_FLOAT32), y = hone_map_input(m, 1, HONE_FLOAT32);
    hone_reg half = hone_map_number(m, 0.5, HONE_FLOAT32),
             root = hone_map_number(m, 0.70710678, HONE_FLOAT32);
    hone_reg share = gelu ? hone_map_fma(m, hone_map_erf(m, hone_map_mul(m, x, root)), half, half)
                          : hone_map_sigmoid(m, y);
    hone_map_add_output(m, first ? hone_map_mul(m, share, x) : hone_map_mul(m, x, share));
    if (shown) hone_map_add_output(m, share);
    assert_int_equal(hone_program_make(m, p, NULL), HONE_OK);
}

static void run_share(const hone_program *p, float *x, float *y, float *z) {
    static float memory[HONE_PROGRAM_MAX_REGISTERS][TILE];
    void *registers[HONE_PROGRAM_MAX_REGISTERS] = {x, y};
    for (int i = p->inputs; i < p->registers; i++) registers[i] = memory[i];
    for (int i = 0; i < p->constants; i++)
        for (int k = 0; k < TILE; k++) memory[p->inputs + i][k] = (float)p->constant[i];
    registers[p->output[0]] = z;
    hone_kernels_get()->program(p, registers, TILE);
}

/* One instruction stands for several, with the same result, unless somebody else reads what is between. */
static void test_shares(void **state) {
    (void)state;
    float x[TILE], y[TILE], one[TILE], several[TILE];
    for (int i = 0; i < TILE; i++) x[i] = -5.0f + 0.3f * (float)i, y[i] = 88.0f - 5.0f * (float)i;
    x[7] = y[8] = NAN;
    x[9] = y[10] = INFINITY;
    for (int kind = 0; kind < 4; kind++) {
        hone_program p;
        make_share(kind & 1, kind & 2, false, &p);
        assert_int_equal(p.count, 1);
        assert_int_equal(p.code[0].op, kind & 1 ? HONE_VOP_GELU : HONE_VOP_GATE);
        run_share(&p, x, y, one);
        make_share(kind & 1, kind & 2, true, &p);
        assert_true(p.count > 1);
        run_share(&p, x, y, several);
        for (int i = 0; i < TILE; i++)
            assert_true(one[i] == several[i] || (one[i] != one[i] && several[i] != several[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random_maps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_results_that_are_operands, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dead_code, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shares, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
