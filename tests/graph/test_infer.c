#include "graph/infer.h"

#include "support/control.h"

#define ANY HONE_DIM_ANY
#define N (-2) /* the first symbol */
#define M (-3)

static hone_status broadcast(hone_type a, hone_type b, hone_type *out, hone_error *err) {
    static const hone_op op = {.name = "Test"};
    static const hone_node node = {.name = "node", .op = &op};
    hone_infer ctx = {.node = &node};
    *out = (hone_type){.kind = HONE_KIND_TENSOR};
    return hone_infer_broadcast(&ctx, &a, &b, out, err);
}

#define FLOAT(...) hone_type_make(HONE_FLOAT32, SHAPE(__VA_ARGS__))

static void test_broadcasting(void **state) {
    (void)state;
    const struct {
        hone_type a, b, sum;
    } cases[] = {
        {FLOAT(2, 3), FLOAT(2, 3), FLOAT(2, 3)},
        {FLOAT(2, 3), FLOAT(3), FLOAT(2, 3)},
        {FLOAT(2, 1), FLOAT(1, 3), FLOAT(2, 3)},
        {FLOAT(4, 1, 5), FLOAT(3, 1), FLOAT(4, 3, 5)},
        {FLOAT(1), FLOAT(0), FLOAT(0)},
        {FLOAT(0, 3), FLOAT(1, 3), FLOAT(0, 3)},
        {hone_type_make(HONE_FLOAT32, 0, NULL), FLOAT(7), FLOAT(7)},
        {FLOAT(N, 3), FLOAT(N, 3), FLOAT(N, 3)},
        {FLOAT(N, 3), FLOAT(3), FLOAT(N, 3)},
        {FLOAT(N), FLOAT(1), FLOAT(N)},
        {FLOAT(N), FLOAT(5), FLOAT(5)}, /* N is 1 or 5 */
        {FLOAT(N), FLOAT(M), FLOAT(ANY)},
        {FLOAT(ANY), FLOAT(5), FLOAT(5)},
        {FLOAT(ANY), FLOAT(1), FLOAT(ANY)},
        {FLOAT(ANY), FLOAT(N), FLOAT(ANY)},
    };
    hone_error err;
    for (int i = 0; i < COUNT(cases); i++) {
        for (int turned = 0; turned < 2; turned++) {
            hone_type out;
            check_ok(
                broadcast(turned ? cases[i].b : cases[i].a, turned ? cases[i].a : cases[i].b, &out, &err));
            assert_int_equal(out.rank, cases[i].sum.rank);
            for (int d = 0; d < out.rank; d++)
                if (out.dims[d] != cases[i].sum.dims[d]) fail_msg("case %d, dimension %d", i, d);
        }
    }
    hone_type out, unknown = {.kind = HONE_KIND_TENSOR, .dtype = HONE_FLOAT32, .rank = HONE_RANK_ANY};
    check_ok(broadcast(unknown, FLOAT(2), &out, &err));
    assert_int_equal(out.rank, HONE_RANK_ANY);
    assert_int_equal(broadcast(FLOAT(2, 3), FLOAT(2), &out, &err), HONE_INVALID_ARGUMENT);
    assert_string_equal(err.node, "node");
    assert_non_null(strstr(err.message, "[2, 3]"));
    assert_int_equal(broadcast(FLOAT(0), FLOAT(2), &out, &err), HONE_INVALID_ARGUMENT);
}

/* In place: `out` may be an operand. */
static void test_broadcast_into_an_operand(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("chain");
    hone_value *a = graph_input(g, "a", HONE_FLOAT32, SHAPE(3)),
               *b = graph_input(g, "b", HONE_FLOAT32, SHAPE(2, 1)),
               *c = graph_input(g, "c", HONE_FLOAT32, SHAPE(5, 1, 1));
    hone_value *in[] = {a, b, c};
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Max"), "m", 3, in, 1);
    check_ok(hone_graph_infer(g, &err));
    char text[64];
    assert_string_equal(hone_type_format(g, &n->outputs[0]->type, text, sizeof text), "float32[5, 2, 3]");
    hone_graph_free(g);
}

static void test_dims_and_axes(void **state) {
    (void)state;
    static const hone_op op = {.name = "Test"};
    static const hone_node node = {.name = "node", .op = &op};
    hone_infer ctx = {.node = &node};
    hone_error err;
    int64_t d;
    int axis;
    check_ok(hone_infer_same_dim(&ctx, 3, N, &d, &err));
    assert_int_equal(d, 3);
    check_ok(hone_infer_same_dim(&ctx, N, 3, &d, &err));
    assert_int_equal(d, 3);
    check_ok(hone_infer_same_dim(&ctx, ANY, N, &d, &err));
    assert_int_equal(d, N);
    check_ok(hone_infer_same_dim(&ctx, M, N, &d, &err));
    assert_int_equal(d, M);
    assert_int_equal(hone_infer_same_dim(&ctx, 3, 4, &d, &err), HONE_INVALID_ARGUMENT);
    check_ok(hone_infer_axis(&ctx, -1, 3, false, &axis, &err));
    assert_int_equal(axis, 2);
    check_ok(hone_infer_axis(&ctx, 3, 3, true, &axis, &err));
    assert_int_equal(axis, 3);
    assert_int_equal(hone_infer_axis(&ctx, 3, 3, false, &axis, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_infer_axis(&ctx, -4, 3, true, &axis, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_infer_axis(&ctx, INT64_MIN, 3, true, &axis, &err), HONE_INVALID_ARGUMENT);
}

static void test_formats(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("formats");
    char text[64], small[10];
    hone_type t = FLOAT(hone_graph_symbol(g, "batch"), 3, ANY), unknown = {.rank = HONE_RANK_ANY};
    assert_string_equal(hone_type_format(g, &t, text, sizeof text), "float32[batch, 3, ?]");
    assert_string_equal(hone_type_format(NULL, &t, text, sizeof text), "float32[?, 3, ?]");
    assert_string_equal(hone_type_format(g, &unknown, text, sizeof text), "undefined[…]");
    hone_type_format(g, &t, small, sizeof small);
    assert_string_equal(small, "float32[b");
    assert_false(hone_type_is_concrete(&t));
    assert_false(hone_type_is_concrete(&unknown));
    t = FLOAT(2, 0, 5);
    assert_int_equal(hone_type_count(&t), 0);
    hone_graph_free(g);
}

static hone_status infer_node(const char *op, int count, hone_value *const *in, hone_graph *g,
                              hone_error *err) {
    hone_graph_add_node(g, hone_op_find("", op), "n", count, in, 1);
    return hone_graph_infer(g, err);
}

/* What a node may have: number, kind and dtypes of inputs. */
static void test_inputs_are_checked(void **state) {
    (void)state;
    hone_error err;
    for (int c = 0; c < 8; c++) {
        hone_graph *g = hone_graph_new("inputs");
        hone_value *f = graph_input(g, "f", HONE_FLOAT32, SHAPE(2)),
                   *i = graph_input(g, "i", HONE_INT64, SHAPE(2)),
                   *s = graph_input(g, "s", HONE_STRING, SHAPE(2)),
                   *q = graph_input(g, "q", HONE_FLOAT32, SHAPE(2));
        q->type.kind = HONE_KIND_SEQUENCE;
        hone_value *two[] = {f, i}, *one[] = {f}, *gap[] = {NULL, f}, *three[] = {f, f, f};
        hone_status status = c == 0   ? infer_node("Add", 2, two, g, &err)
                             : c == 1 ? infer_node("Add", 1, one, g, &err)
                             : c == 2 ? infer_node("Add", 2, gap, g, &err)
                             : c == 3 ? infer_node("Add", 3, three, g, &err)
                             : c == 4 ? infer_node("Add", 2, (hone_value *[]){s, s}, g, &err)
                             : c == 5 ? infer_node("Elu", 1, &i, g, &err)
                             : c == 6 ? infer_node("Relu", 1, &q, g, &err)
                                      : infer_node("Max", 0, NULL, g, &err);
        hone_status want = c == 4 || c == 5 ? HONE_UNSUPPORTED : HONE_INVALID_ARGUMENT;
        if (status != want) fail_msg("case %d: status %d", c, (int)status);
        assert_string_equal(err.node, "n");
        hone_graph_free(g);
    }
}

static void test_declared_types(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("declared");
    int64_t batch = hone_graph_symbol(g, "batch");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(ANY, 3)), *y = graph_op(g, "Relu", x);
    y->type = FLOAT(batch, 3); /* says more */
    check_ok(hone_graph_infer(g, &err));
    assert_int_equal(y->type.dims[0], batch);
    check_ok(hone_graph_infer(g, &err)); /* again gives the same */
    assert_int_equal(y->type.dims[0], batch);
    y->type = FLOAT(batch, 4);
    assert_int_equal(hone_graph_infer(g, &err), HONE_INVALID_ARGUMENT);
    assert_string_equal(err.node, y->name);
    y->type = hone_type_make(HONE_FLOAT64, SHAPE(batch, 3));
    assert_int_equal(hone_graph_infer(g, &err), HONE_INVALID_ARGUMENT);
    y->type = FLOAT(3);
    assert_int_equal(hone_graph_infer(g, &err), HONE_INVALID_ARGUMENT);
    y->type.rank = HONE_RANK_ANY;
    check_ok(hone_graph_infer(g, &err));
    hone_graph_free(g);
}

/* Dimensions from a file are no bounds: what no memory could hold is refused before anyone multiplies. */
static void test_huge_dims(void **state) {
    (void)state;
    hone_error err;
    const int64_t huge = INT64_MAX / 2;
    static const char *const ops[] = {"Relu", "Flatten", "ReduceSum", "Softmax", "Transpose", "Neg"};
    for (int i = 0; i < 2 * COUNT(ops); i++) {
        hone_graph *g = hone_graph_new("huge");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(huge, i % 2 ? 0 : ANY, huge));
        hone_graph_stats stats;
        hone_graph_add_output(g, graph_op(g, ops[i / 2], x));
        assert_int_equal(hone_graph_infer(g, &err), HONE_INVALID_ARGUMENT);
        assert_int_equal(hone_graph_get_stats(g, &stats, &err), HONE_INVALID_ARGUMENT);
        hone_graph_free(g);
    }
    const int64_t side = INT64_C(1) << 30; /* each possible, the products of both not countable */
    hone_graph *g = hone_graph_new("huge");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(side, side));
    hone_graph_add_output(g, graph_op(g, "MatMul", x, x));
    hone_graph_add_output(g, graph_op(g, "Gemm", x, x));
    hone_graph_stats stats;
    check_ok(hone_graph_infer(g, &err));
    check_ok(hone_graph_get_stats(g, &stats, &err));
    assert_true(stats.multiply_adds >= 0);
    hone_graph_free(g);
}

/* [n, 3] → [m, 7]: n is a multiple of 7, so that it can't be taken as 1. */
static void test_stats_where_no_symbol_is_one(void **state) {
    (void)state;
    hone_error err;
    hone_graph_stats stats;
    hone_graph *g = hone_graph_new("multiples");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(hone_graph_symbol(g, "n"), 3));
    hone_value *w = graph_constant(g, "w", tensor_random(HONE_FLOAT32, SHAPE(7, 2), 1));
    hone_value *u = graph_constant(g, "u", tensor_random(HONE_FLOAT32, SHAPE(2, 4), 2));
    hone_value *y = graph_op(g, "Reshape", x, hone_graph_ints(g, (int64_t[]){-1, 7}, 2));
    hone_graph_add_output(g, graph_op(g, "MatMul", y, w));
    hone_graph_add_output(g, graph_op(g, "MatMul", graph_op(g, "Relu", w), u));
    check_ok(hone_graph_infer(g, &err));
    check_ok(hone_graph_get_stats(g, &stats, &err));
    assert_int_equal(stats.parameters, 7 * 2 + 2 * 4);
    assert_int_equal(stats.multiply_adds, 7 * 2 * 4);
    hone_graph_free(g);
}

/* What is inside of control nodes counts, too. */
static void count_named(void *user, const char *domain, const char *op, int64_t count) {
    (void)domain;
    if (strcmp(op, "Mul") == 0 || strcmp(op, "Scan") == 0) *(int64_t *)user += count;
}

static void test_stats_inside(void **state) {
    (void)state;
    hone_error err;
    hone_graph_stats stats;
    hone_graph *g = control_nested();
    int64_t count = 0;
    check_ok(hone_graph_infer(g, &err));
    check_ok(hone_graph_get_stats(g, &stats, &err));
    assert_int_equal(stats.nodes, 6); /* Loop, If, Scan, Add, Relu, Mul */
    assert_int_equal(stats.parameters, 3);
    check_ok(hone_graph_count_ops(g, count_named, &count, &err));
    assert_int_equal(count, 2);
    hone_graph_free(g);
}

/* Nothing but the operator's own tables says how many slots and attributes there may be. */
#define TEN(X, a) X(a##0) X(a##1) X(a##2) X(a##3) X(a##4) X(a##5) X(a##6) X(a##7) X(a##8) X(a##9)
#define SLOT(n) {"slot" #n, 'T', HONE_TYPE(HONE_FLOAT32), 0},
#define ATTR(n) {"attr" #n, HONE_ATTR_INT, .i = 1##n},

static hone_status infer_wide(hone_infer *ctx, hone_error *err) {
    (void)err;
    int64_t sum = 0;
    for (int i = 0; i < ctx->input_count; i++) sum += ctx->in[i]->dims[0];
    for (int o = 0; o < ctx->output_count; o++) {
        ctx->out[o].rank = 1;
        ctx->out[o].dims[0] = sum + o;
    }
    return HONE_OK;
}

static const hone_op wide = {
    .name = "Wide",
    .inputs = (const hone_slot[]){TEN(SLOT, 0) TEN(SLOT, 1) TEN(SLOT, 2) TEN(SLOT, 3){0}},
    .outputs = (const hone_slot[]){TEN(SLOT, 0) TEN(SLOT, 1) TEN(SLOT, 2) TEN(SLOT, 3){0}},
    .attrs = (const hone_attr_def[]){TEN(ATTR, 0) TEN(ATTR, 1) TEN(ATTR, 2){0}},
    .infer = infer_wide,
};

static void test_wide_operators(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("wide");
    hone_value *in[41];
    for (int i = 0; i < 41; i++) in[i] = graph_input(g, NULL, HONE_FLOAT32, SHAPE(i + 1));
    hone_node *n = hone_graph_add_node(g, &wide, NULL, 40, in, 40);
    hone_node_set_int(g, n, "attr25", 7);
    check_ok(hone_graph_infer(g, &err));
    for (int o = 0; o < 40; o++) assert_int_equal(n->outputs[o]->type.dims[0], 40 * 41 / 2 + o);
    assert_int_equal(hone_node_int(n, "attr25"), 7);
    assert_int_equal(hone_node_int(n, "attr29"), 129);
    hone_graph_add_node(g, &wide, NULL, 41, in, 1);
    assert_int_equal(hone_graph_infer(g, &err), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "has 41 inputs, more than the operator takes"));
    hone_graph_free(g);
}

/* A variadic node may have any number of operands. */
static void test_many_operands(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("many");
    hone_value *in[100];
    for (int i = 0; i < 100; i++) in[i] = graph_input(g, NULL, HONE_FLOAT32, SHAPE(2));
    assert_int_equal(infer_node("Max", 100, in, g, &err), HONE_OK);
    hone_graph_free(g);
}

static void test_known_contents(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("known");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(6)),
               *shape = graph_input(g, "shape", HONE_INT64, SHAPE(2));
    hone_value *y = graph_op(g, "Reshape", x, shape),
               *z = graph_op(g, "Reshape", x, hone_graph_ints(g, (const int64_t[]){3, -1}, 2));
    check_ok(hone_graph_infer(g, &err));
    assert_false(hone_type_is_concrete(&y->type));
    assert_int_equal(z->type.dims[1], 2);
    hone_type types[8] = {0};
    const hone_tensor *known[8] = {NULL};
    hone_tensor *content = tensor_make(HONE_INT64, SHAPE(2));
    tensor_set(content, 0, 2);
    tensor_set(content, 1, 3);
    types[x->id] = x->type;
    types[shape->id] = shape->type;
    known[shape->id] = content;
    check_ok(hone_graph_infer_types(g, types, known, &err));
    assert_int_equal(types[y->id].rank, 2);
    assert_int_equal(types[y->id].dims[1], 3);
    hone_tensor_free(content);
    hone_graph_free(g);
}

static void test_type_bytes(void **state) {
    (void)state;
    hone_type t = hone_type_make(HONE_FLOAT32, SHAPE(2, 3, 5));
    assert_int_equal(hone_type_bytes(&t), 120);
    t = hone_type_make(HONE_INT4, SHAPE(3, 3));
    assert_int_equal(hone_type_bytes(&t), 5);
    t = hone_type_make(HONE_STRING, SHAPE(3));
    assert_int_equal(hone_type_bytes(&t), 3 * sizeof(hone_string));
    t = hone_type_make(HONE_FLOAT32, 0, NULL);
    assert_int_equal(hone_type_bytes(&t), 4);
    t = hone_type_make(HONE_FLOAT32, SHAPE(INT64_MAX));
    assert_true(hone_type_bytes(&t) == SIZE_MAX);
    t = hone_type_make(HONE_COMPLEX64, SHAPE(2));
    assert_true(hone_type_bytes(&t) == SIZE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_type_bytes),
        cmocka_unit_test(test_broadcasting),
        cmocka_unit_test(test_broadcast_into_an_operand),
        cmocka_unit_test(test_dims_and_axes),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_inputs_are_checked),
        cmocka_unit_test(test_declared_types),
        cmocka_unit_test(test_huge_dims),
        cmocka_unit_test(test_stats_where_no_symbol_is_one),
        cmocka_unit_test(test_stats_inside),
        cmocka_unit_test(test_wide_operators),
        cmocka_unit_test(test_many_operands),
        cmocka_unit_test(test_known_contents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
