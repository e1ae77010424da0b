/* Every gradient rule against central differences in double, with a random cotangent; then float against
 * double, at every ISA level. An operator that has a rule and no case fails. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "graph/autodiff.h"
#include "graph/expand.h"
#include "graph/infer.h"
#include "graph/tensor.h"
#include "ops/each_level.h"
#include "ops/op_cases.h"

#define STEP 1e-5
#define TOLERANCE 1e-6
#define FLOAT_TOLERANCE 2e-4

static const char *program;

/* Where only data tell the shape of output o: it from a run. */
static hone_type type_of_output(const op_case *c, hone_dtype real, const hone_value *y, int o) {
    hone_error err;
    built_case forward;
    runner r;
    const hone_tensor *out[CASE_MAX_OUTPUTS];
    hone_type type = y->type;
    if (hone_type_is_concrete(&type)) return type;
    assert_true(case_build(c, real, &forward));
    assert_int_equal(runner_open(forward.g, NULL, 1, &r, &err), HONE_OK);
    if (hone_context_run(r.context, (const hone_tensor *const *)forward.data, out, &err) != HONE_OK)
        fail_msg("%s %s: %s", c->op, c->inputs, err.message);
    type.rank = out[o]->rank;
    memcpy(type.dims, out[o]->dims, sizeof type.dims);
    runner_close(&r);
    case_free(&forward);
    return type;
}

/* Appends cotangent inputs for all real outputs and the gradients as outputs. Functions are differentiated by what they
 * stand for. */
static void add_gradients(const op_case *c, hone_dtype real, built_case *b, int wanted_count,
                          hone_value *const *wanted, hone_value **gradients) {
    hone_error err;
    hone_value *outputs[CASE_MAX_OUTPUTS], *cotangents[CASE_MAX_OUTPUTS];
    int count = 0, results = (int)b->g->output_count;
    assert_int_equal(hone_graph_infer(b->g, &err), HONE_OK);
    assert_int_equal(hone_graph_expand(b->g, true, &err), HONE_OK);
    b->g->output_count = 0;
    for (int o = 0; o < results; o++) {
        hone_value *y = b->g->outputs[o];
        if (y->type.dtype != HONE_FLOAT32 && y->type.dtype != HONE_FLOAT64) continue;
        int i = b->inputs++;
        hone_rng rng = hone_rng_make(11, (uint64_t)o);
        hone_type type = type_of_output(c, real, y, o);
        assert_int_equal(hone_tensor_new(type.dtype, type.rank, type.dims, &b->data[i], &err), HONE_OK);
        for (int64_t k = 0; k < b->data[i]->count; k++) {
            float x = hone_rng_uniform(&rng) - 0.5f;
            if (y->type.dtype == HONE_FLOAT64)
                ((double *)b->data[i]->data)[k] = x;
            else
                ((float *)b->data[i]->data)[k] = x;
        }
        outputs[count] = y;
        cotangents[count++] = hone_graph_add_input(b->g, "cotangent", &y->type);
    }
    if (hone_graph_differentiate(b->g, count, outputs, cotangents, wanted_count, wanted, gradients, &err) !=
        HONE_OK)
        fail_msg("%s: %s", b->node->op->name, err.message);
}

/* <outputs, cotangents> of a run of the forward graph. */
static double objective(runner *r, const built_case *b, int outputs, int forward_inputs) {
    hone_error err;
    const hone_tensor *out[CASE_MAX_OUTPUTS];
    if (hone_context_run(r->context, (const hone_tensor *const *)b->data, out, &err) != HONE_OK)
        fail_msg("%s: %s", b->node->op->name, err.message);
    double sum = 0;
    for (int o = 0, c = forward_inputs; o < outputs; o++) {
        if (out[o]->dtype != HONE_FLOAT32 && out[o]->dtype != HONE_FLOAT64) continue;
        for (int64_t k = 0; k < out[o]->count; k++) sum += tensor_at(out[o], k) * tensor_at(b->data[c], k);
        c++;
    }
    return sum;
}

typedef struct gradients {
    int count, which[CASE_MAX_INPUTS]; /* inputs of the graph */
    double *value[CASE_MAX_INPUTS];    /* NULL: zero */
} gradients;

/* Runs the emitted gradient of a case in `real`. */
static void run_gradient(const op_case *c, hone_dtype real, built_case *b, gradients *out) {
    hone_error err;
    hone_value *wanted[CASE_MAX_INPUTS], *found[CASE_MAX_INPUTS];
    runner r;
    *out = (gradients){0};
    if (!case_build(c, real, b)) fail_msg("case %s %s cannot be built", c->op, c->inputs);
    for (int i = 0; i < b->inputs; i++) {
        if (!b->real[i]) continue;
        wanted[out->count] = b->g->inputs[i];
        out->which[out->count++] = i;
    }
    add_gradients(c, real, b, out->count, wanted, found);
    for (int i = 0; i < out->count; i++)
        if (found[i]) hone_graph_add_output(b->g, found[i]);
    if (b->g->output_count == 0) return;
    if (runner_open(b->g, NULL, 1, &r, &err) != HONE_OK)
        fail_msg("%s %s %s: %s", c->op, c->inputs, c->attrs, err.message);
    const hone_tensor *result[CASE_MAX_INPUTS];
    if (hone_context_run(r.context, (const hone_tensor *const *)b->data, result, &err) != HONE_OK)
        fail_msg("%s %s %s: %s", c->op, c->inputs, c->attrs, err.message);
    for (int i = 0, at = 0; i < out->count; i++) {
        if (!found[i]) continue;
        const hone_tensor *t = result[at++], *x = b->data[out->which[i]];
        if (t->count != x->count || t->rank != x->rank || t->dtype != real)
            fail_msg("%s %s %s: gradient %d has another type than its input", c->op, c->inputs, c->attrs, i);
        out->value[i] = calloc((size_t)t->count + 1, sizeof(double));
        for (int64_t k = 0; k < t->count; k++) out->value[i][k] = tensor_at(t, k);
    }
    runner_close(&r);
}

static void free_gradients(gradients *g) {
    for (int i = 0; i < g->count; i++) free(g->value[i]);
}

static bool check_differences(const op_case *c) {
    hone_error err;
    built_case b, forward;
    gradients g;
    runner r;
    run_gradient(c, HONE_FLOAT64, &b, &g);
    case_build(c, HONE_FLOAT64, &forward);
    int forward_inputs = forward.inputs;
    if (runner_open(forward.g, NULL, 1, &r, &err) != HONE_OK) fail_msg("%s: %s", c->op, err.message);
    bool ok = true;
    for (int i = 0; i < g.count; i++) {
        hone_tensor *x = b.data[g.which[i]];
        for (int64_t k = 0; k < x->count; k++) {
            double *element = (double *)x->data + k, at = *element;
            *element = at + STEP;
            double above = objective(&r, &b, c->outputs, forward_inputs);
            *element = at - STEP;
            double below = objective(&r, &b, c->outputs, forward_inputs);
            *element = at;
            double numeric = (above - below) / (2 * STEP), exact = g.value[i] ? g.value[i][k] : 0;
            if (fabs(numeric - exact) <= TOLERANCE * fmax(1, fabs(exact))) continue;
            if (ok)
                print_message("%s %s %s: d input %d [%lld] is %.9g, not %.9g\n", c->op, c->inputs, c->attrs,
                              g.which[i], (long long)k, exact, numeric);
            ok = false;
        }
    }
    runner_close(&r);
    free_gradients(&g);
    case_free(&forward);
    case_free(&b);
    return ok;
}

static bool check_float(const op_case *c) {
    built_case wide, narrow;
    gradients gw, gn;
    bool ok = true;
    run_gradient(c, HONE_FLOAT64, &wide, &gw);
    run_gradient(c, HONE_FLOAT32, &narrow, &gn);
    for (int i = 0; i < gw.count; i++)
        for (int64_t k = 0; gw.value[i] && k < wide.data[gw.which[i]]->count; k++) {
            double d = fabs(gw.value[i][k] - gn.value[i][k]);
            if (d <= FLOAT_TOLERANCE * fmax(1, fabs(gw.value[i][k]))) continue;
            if (ok)
                print_message("%s %s %s: %g in float, %g in double\n", c->op, c->inputs, c->attrs,
                              gn.value[i][k], gw.value[i][k]);
            ok = false;
        }
    free_gradients(&gw);
    free_gradients(&gn);
    case_free(&wide);
    case_free(&narrow);
    return ok;
}

static bool has_exact_gradient(const op_case *c) {
    const hone_op *op = case_op(c);
    if (!op) fail_msg("case of %s: there is no such operator", c->op);
    return (op->gradient && op->gradient_kind == HONE_GRADIENT_EXACT) || hone_op_expands(op, true);
}

static void test_central_differences(void **state) {
    (void)state;
    int failures = 0, cases = 0;
    for (int i = 0; i < OP_CASE_COUNT; i++) {
        if (!has_exact_gradient(&op_cases[i])) continue;
        cases++;
        failures += !check_differences(&op_cases[i]);
    }
    print_message("%d cases\n", cases);
    assert_int_equal(failures, 0);
}

static void test_every_rule_has_a_case(void **state) {
    (void)state;
    int missing = 0;
    for (int k = 0; hone_op_at(k); k++) {
        const hone_op *op = hone_op_at(k);
        bool found = op->gradient_kind != HONE_GRADIENT_EXACT && !hone_op_expands(op, true);
        for (int i = 0; i < OP_CASE_COUNT; i++) found |= case_op(&op_cases[i]) == op;
        found |= op == hone_op_find("", "Optional"); /* test_optional */
        if (!found) print_message("%s has a gradient and no case\n", op->name);
        missing += !found;
        if ((op->gradient != NULL) !=
            (op->gradient_kind == HONE_GRADIENT_EXACT || op->gradient_kind == HONE_GRADIENT_STRAIGHT_THROUGH))
            fail_msg("%s: gradient and gradient_kind contradict each other", op->name);
    }
    assert_int_equal(missing, 0);
}

static void test_float(void **state) {
    (void)state;
    int failures = 0;
    for (int i = 0; i < OP_CASE_COUNT; i++)
        if (has_exact_gradient(&op_cases[i])) failures += !check_float(&op_cases[i]);
    assert_int_equal(failures, 0);
}

static void test_float_at_every_level(void **state) {
    (void)state;
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char output[4000];
        if (!run_at_level(program, "--float", level_masks[i], output, sizeof output))
            fail_msg("HONE_CPU=%s:\n%s", level_masks[i], output);
    }
}

/* --- parts of a tensor --- */

static hone_tensor *counted(const int64_t *dims) {
    hone_tensor *t = NULL;
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 2, dims, &t, NULL), HONE_OK);
    for (int64_t i = 0; i < t->count; i++) ((float *)t->data)[i] = (float)i;
    return t;
}

/* Lengths that only a run tells: what of the cotangent belongs to which operand. */
static void test_concat_of_unknown_lengths(void **state) {
    (void)state;
    hone_error err;
    runner r;
    hone_graph *g = hone_graph_new("parts");
    int64_t dims[3][2] = {{2, 3}, {4, 3}, {6, 3}};
    hone_value *in[3], *dx[2];
    for (int i = 0; i < 3; i++) {
        hone_type type = hone_type_make(HONE_FLOAT32, 2, dims[i]);
        type.dims[0] = hone_graph_symbol(g, i == 0 ? "n" : i == 1 ? "m" : "both");
        in[i] = hone_graph_add_input(g, "x", &type);
    }
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Concat"), "concat", 2, in, 1);
    hone_node_set_int(g, n, "axis", -2);
    assert_int_equal(hone_graph_infer(g, &err), HONE_OK);
    assert_int_equal(hone_graph_differentiate(g, 1, n->outputs, &in[2], 2, in, dx, &err), HONE_OK);
    for (int i = 0; i < 2; i++) hone_graph_add_output(g, dx[i]);
    assert_int_equal(runner_open(g, NULL, 1, &r, &err), HONE_OK);
    hone_tensor *data[3];
    const hone_tensor *out[2];
    for (int i = 0; i < 3; i++) data[i] = counted(dims[i]);
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)data, out, &err), HONE_OK);
    assert_int_equal(out[0]->count, 6);
    assert_int_equal(out[1]->count, 12);
    for (int i = 0; i < 12; i++) assert_true(tensor_at(out[1], i) == i + 6);
    for (int i = 0; i < 6; i++) assert_true(tensor_at(out[0], i) == i);
    for (int i = 0; i < 3; i++) hone_tensor_free(data[i]);
    runner_close(&r);
    hone_graph_free(g);
}

/* A part that nobody reads has no cotangent: zeros stand in its place. */
static void test_split_of_which_one_is_read(void **state) {
    (void)state;
    hone_error err;
    runner r;
    hone_graph *g = hone_graph_new("parts");
    int64_t dims[2][2] = {{6, 2}, {1, 2}};
    hone_type type = hone_type_make(HONE_FLOAT32, 2, dims[0]),
              part = hone_type_make(HONE_FLOAT32, 2, dims[1]);
    hone_value *x = hone_graph_add_input(g, "x", &type), *dy = hone_graph_add_input(g, "dy", &part), *dx;
    hone_value *in[] = {x, hone_graph_ints(g, (int64_t[]){2, 1, 3}, 3)};
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Split"), "split", 2, in, 3);
    assert_int_equal(hone_graph_infer(g, &err), HONE_OK);
    assert_int_equal(hone_graph_differentiate(g, 1, &n->outputs[1], &dy, 1, &x, &dx, &err), HONE_OK);
    hone_graph_add_output(g, dx);
    assert_int_equal(runner_open(g, NULL, 1, &r, &err), HONE_OK);
    hone_tensor *data[] = {counted(dims[0]), counted(dims[1])};
    const hone_tensor *out;
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)data, &out, &err), HONE_OK);
    assert_int_equal(out->count, 12);
    for (int i = 0; i < 12; i++) assert_true(tensor_at(out, i) == (i == 5 ? 1 : 0));
    for (int i = 0; i < 2; i++) hone_tensor_free(data[i]);
    runner_close(&r);
    hone_graph_free(g);
}

/* What goes into an optional value and comes out of it again is the same. */
static void test_optional(void **state) {
    (void)state;
    hone_error err;
    runner r;
    hone_graph *g = hone_graph_new("optional");
    int64_t dims[2] = {2, 3};
    hone_type type = hone_type_make(HONE_FLOAT32, 2, dims);
    hone_value *x = hone_graph_add_input(g, "x", &type), *dx;
    hone_value *y = HONE_EMIT(g, "", "OptionalGetElement", HONE_EMIT(g, "", "Optional", x));
    y = HONE_EMIT(g, "", "Mul", y, y);
    assert_int_equal(hone_graph_infer(g, &err), HONE_OK);
    hone_value *dy = hone_graph_scalar(g, HONE_FLOAT32, 1);
    assert_int_equal(hone_graph_differentiate(g, 1, &y, &dy, 1, &x, &dx, &err), HONE_OK);
    hone_graph_add_output(g, dx);
    assert_int_equal(runner_open(g, NULL, 1, &r, &err), HONE_OK);
    hone_tensor *data = counted(dims);
    const hone_tensor *out;
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)&data, &out, &err), HONE_OK);
    for (int i = 0; i < 6; i++) assert_true(tensor_at(out, i) == 2 * i);
    hone_tensor_free(data);
    runner_close(&r);
    hone_graph_free(g);
}

int main(int argc, char **argv) {
    program = argv[0];
    const struct CMUnitTest only_float[] = {cmocka_unit_test(test_float)};
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_rule_has_a_case),
                                       cmocka_unit_test(test_central_differences),
                                       cmocka_unit_test(test_float),
                                       cmocka_unit_test(test_float_at_every_level),
                                       cmocka_unit_test(test_concat_of_unknown_lengths),
                                       cmocka_unit_test(test_split_of_which_one_is_read),
                                       cmocka_unit_test(test_optional)};
    if (argc > 1 && strcmp(argv[1], "--float") == 0) return cmocka_run_group_tests(only_float, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
