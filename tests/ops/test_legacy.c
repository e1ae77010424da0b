/* What the first operator sets had and no longer is there: broadcasting by attributes, limits and types as attributes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "graph/infer.h"
#include "ops/op_cases.h"

/* Lifts `n` as a file of operator set `opset` would have it. */
static hone_status lift(hone_graph *g, hone_node *n, int opset, hone_error *err) {
    for (const hone_op_version *v = n->op->older; v && v->since; v++)
        if (v->since <= opset) return v->lift ? v->lift(g, n, err) : HONE_OK;
    fail_msg("%s has no form of opset %d", n->op->name, opset);
    return HONE_INTERNAL;
}

static hone_graph *open_graph(hone_value **x, int rank, const int64_t *dims, int symbols) {
    hone_graph *g = hone_graph_new("older");
    hone_type type = {.kind = HONE_KIND_TENSOR, .dtype = HONE_FLOAT32, .rank = rank};
    memcpy(type.dims, dims, (size_t)rank * sizeof *dims);
    if (symbols > 0) type.dims[0] = hone_graph_symbol(g, "batch");
    if (symbols > 1) type.dims[1] = hone_graph_symbol(g, "length");
    *x = HONE_EMIT(g, "", "Relu", hone_graph_add_input(g, "x", &type)); /* so that a rank must be inferred */
    return g;
}

/* Runs g over 0, 1, 2, … divided by 10. */
static hone_tensor *run(hone_graph *g, int rank, const int64_t *dims) {
    hone_error err;
    runner r;
    const hone_tensor *out;
    hone_tensor *x = NULL, *y = NULL;
    if (hone_graph_infer(g, &err) != HONE_OK) fail_msg("%s", err.message);
    if (runner_open(g, NULL, 1, &r, &err) != HONE_OK) fail_msg("%s", err.message);
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, rank, dims, &x, &err), HONE_OK);
    for (int64_t i = 0; i < x->count; i++) ((float *)x->data)[i] = (float)i / 10;
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)&x, &out, &err), HONE_OK);
    assert_int_equal(hone_tensor_copy_of(out->dtype, out->rank, out->dims, out->data, &y, &err), HONE_OK);
    hone_tensor_free(x);
    runner_close(&r);
    return y;
}

/* B's axes were A's from `axis` on. */
static void test_broadcast_attribute(void **state) {
    (void)state;
    static const struct {
        const char *op;
        int64_t axis;
        double want; /* of 1.1 and 0.1, element 11 and the second row's operand */
    } cases[] = {
        {"Add", 0, 1.2}, {"Sub", -2, 1.0}, {"Mul", 0, 0.11}, {"Pow", 0, 1.0095765}, {"Greater", 0, 1}};
    for (int c = 0; c < 5; c++) {
        hone_error err;
        hone_value *x;
        hone_graph *g = open_graph(&x, 2, (int64_t[]){2, 6}, 1);
        hone_tensor *row = NULL;
        assert_int_equal(hone_tensor_copy_of(HONE_FLOAT32, 1, (int64_t[]){2}, (float[]){7, 0.1f}, &row, &err),
                         HONE_OK);
        hone_value *y = HONE_EMIT(g, "", cases[c].op, x, hone_graph_add_constant(g, "row", row));
        hone_tensor_free(row);
        hone_node_set_int(g, y->producer, "broadcast", 1);
        hone_node_set_int(g, y->producer, "axis", cases[c].axis);
        hone_graph_add_output(g, y);
        assert_int_equal(lift(g, y->producer, 6, &err), HONE_OK);
        assert_null(hone_node_attr(g->outputs[0]->producer, "axis"));
        hone_tensor *t = run(g, 2, (int64_t[]){2, 6});
        assert_true(fabs(tensor_at(t, 11) - cases[c].want) < 1e-6);
        hone_tensor_free(t);
        hone_graph_free(g);
    }
}

/* With axes that do not fit, and of a tensor whose rank nobody knows. */
static void test_broadcast_refused(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        hone_error err;
        hone_value *x;
        hone_graph *g = open_graph(&x, 2, (int64_t[]){2, 6}, 0);
        if (kind) g->inputs[0]->type.rank = HONE_RANK_ANY;
        hone_value *y = HONE_EMIT(g, "", "Add", x, hone_graph_ints(g, (int64_t[]){1, 2}, 2));
        hone_node_set_int(g, y->producer, "broadcast", 1);
        hone_node_set_int(g, y->producer, "axis", 2);
        hone_graph_add_output(g, y);
        assert_int_equal(lift(g, y->producer, 6, &err), kind ? HONE_UNSUPPORTED : HONE_CORRUPT);
        hone_graph_free(g);
    }
}

static void test_clip_attributes(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) { /* bits: there is a minimum, a maximum */
        hone_error err;
        hone_value *x;
        hone_graph *g = open_graph(&x, 1, (int64_t[]){12}, 1);
        hone_value *y = HONE_EMIT(g, "", "Clip", x);
        if (kind & 1) hone_node_set_float(g, y->producer, "min", 0.25f);
        if (kind & 2) hone_node_set_float(g, y->producer, "max", 0.75f);
        hone_node_set_ints(g, y->producer, "consumed_inputs", (int64_t[]){0}, 1);
        hone_graph_add_output(g, y);
        assert_int_equal(lift(g, y->producer, 1, &err), HONE_OK);
        hone_tensor *t = run(g, 1, (int64_t[]){12});
        assert_true(fabs(tensor_at(t, 0) - (kind & 1 ? 0.25 : 0)) < 1e-6);
        assert_true(fabs(tensor_at(t, 5) - 0.5) < 1e-6);
        assert_true(fabs(tensor_at(t, 11) - (kind & 2 ? 0.75 : 1.1)) < 1e-6);
        hone_tensor_free(t);
        hone_graph_free(g);
    }
}

static void test_cast_to_a_name(void **state) {
    (void)state;
    static const struct {
        const char *name;
        hone_dtype dtype;
    } types[] = {
        {"INT64", HONE_INT64}, {"BOOL", HONE_BOOL}, {"FLOAT16", HONE_FLOAT16}, {"COMPLEX64", HONE_UNDEFINED}};
    for (int k = 0; k < 4; k++) {
        hone_error err;
        hone_value *x;
        hone_graph *g = open_graph(&x, 1, (int64_t[]){12}, 1);
        hone_value *y = HONE_EMIT(g, "", "Cast", x);
        hone_node_set_string(g, y->producer, "to", types[k].name);
        hone_graph_add_output(g, y);
        hone_status status = lift(g, y->producer, 1, &err);
        assert_int_equal(status, types[k].dtype ? HONE_OK : HONE_UNSUPPORTED);
        if (status == HONE_OK) {
            hone_tensor *t = run(g, 1, (int64_t[]){12});
            assert_int_equal(t->dtype, types[k].dtype);
            hone_tensor_free(t);
        }
        hone_graph_free(g);
    }
}

/* What said nothing about the result goes, the rest stays. */
static void test_consumed_inputs(void **state) {
    (void)state;
    hone_error err;
    hone_value *x;
    hone_graph *g = open_graph(&x, 1, (int64_t[]){12}, 1);
    hone_value *y = HONE_EMIT(g, "", "LeakyRelu", HONE_EMIT(g, "", "Neg", x));
    hone_node_set_float(g, y->producer, "alpha", 0.5f);
    hone_node_set_ints(g, y->producer, "consumed_inputs", (int64_t[]){0}, 1);
    hone_graph_add_output(g, y);
    assert_int_equal(lift(g, y->producer, 1, &err), HONE_OK);
    assert_null(hone_node_attr(g->outputs[0]->producer, "consumed_inputs"));
    hone_tensor *t = run(g, 1, (int64_t[]){12});
    assert_true(fabs(tensor_at(t, 10) + 0.5) < 1e-6);
    hone_tensor_free(t);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broadcast_attribute), cmocka_unit_test(test_broadcast_refused),
        cmocka_unit_test(test_clip_attributes),     cmocka_unit_test(test_cast_to_a_name),
        cmocka_unit_test(test_consumed_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
