/* Patterns: each case builds a graph from one text and matches it with another. */
#include "graph/pattern.h"

#include "support/graphs.h"

static hone_patterns *parse(hone_arena *arena, const char *form, const char *replace) {
    hone_patterns *p = NULL;
    hone_error err;
    check_ok(hone_patterns_parse(arena, &form, 1, replace, &p, &err));
    return p;
}

/* A graph made of a pattern: x, y, z are inputs, w and v matrices that are constants, k, l, m constant scalars. */
typedef struct made {
    hone_graph *g;
    hone_match m; /* its nodes */
    hone_value *end;
} made;

static made make(hone_arena *arena, const char *text, uint32_t choices) {
    made b = {.g = hone_graph_new("made")};
    hone_error err;
    uint32_t seen;
    b.m = (hone_match){.graph = b.g, .patterns = parse(arena, text, NULL)};
    for (const char *name = "xyz"; *name; name++)
        hone_match_set(&b.m, (char[]){*name, 0}, graph_input(b.g, "in", HONE_FLOAT32, SHAPE(4, 4)));
    for (const char *name = "wv"; *name; name++)
        hone_match_set(&b.m, (char[]){*name, 0},
                       graph_constant(b.g, "w", tensor_random(HONE_FLOAT32, SHAPE(4, 4), (uint64_t)*name)));
    for (const char *name = "klm"; *name; name++)
        hone_match_set(&b.m, (char[]){*name, 0},
                       hone_graph_scalar(b.g, HONE_FLOAT32, *name == 'm' ? 0.25 : 0.5));
    b.end = hone_pattern_emit(&b.m, 0, HONE_FLOAT32, choices, false, &seen);
    hone_graph_add_output(b.g, b.end);
    check_ok(hone_graph_check(b.g, &err));
    check_ok(hone_graph_infer(b.g, &err));
    return b;
}

static bool matches(hone_arena *arena, made *b, const char *pattern, hone_match *m) {
    return hone_pattern_match(parse(arena, pattern, NULL), 0, b->g, b->end->producer, NULL, m);
}

static void test_matching(void **state) {
    (void)state;
    static const struct {
        const char *graph, *pattern;
        bool matches;
    } cases[] = {
        /* names */
        {"Sub(x, y)", "Sub(a, b)", true},
        {"Sub(x, y)", "Sub(a, a)", false},
        {"Sub(x, x)", "Sub(a, b)", true},
        {"Sub(x, y)", "Add(a, b)", false},
        {"Sub(Exp(x), y)", "Sub(Exp(a), b)", true},
        {"Sub(y, Exp(x))", "Sub(Exp(a), b)", false},
        {"Sub(Exp(x), Exp(y))", "Sub(Exp(a), Exp(a))", false},
        {"Mul(Exp(x), Neg(x))", "Mul(Exp(a), Neg(a))", true},
        {"Mul(Exp(x), Neg(y))", "Mul(Exp(a), Neg(a))", false},
        /* operands that commute, all the way down */
        {"Add(x, Exp(y))", "Add(Exp(a), b)", true},
        {"Add(Mul(x, Exp(y)), x)", "Add(b, Mul(Exp(a), b))", true},
        {"Add(Mul(x, Exp(y)), z)", "Add(b, Mul(Exp(a), b))", false},
        {"Add(Exp(x), Exp(Neg(y)))", "Add(Exp(Neg(a)), b)", true},
        {"Mul(Add(x, y), Add(y, x))", "Mul(Add(a, b), Add(a, b))", true},
        {"Mul(Sub(x, y), Sub(y, x))", "Mul(Sub(a, b), Sub(a, b))", false},
        /* a choice made early is undone when what comes later does not fit */
        {"Mul(Add(x, y), Sub(y, z))", "Mul(Add(a, b), Sub(a, c))", true},
        {"Mul(Add(Exp(x), Exp(y)), Neg(y))", "Mul(Add(Exp(a), b), Neg(a))", true},
        /* numbers */
        {"Mul(x, 0.5)", "Mul(a, 0.5)", true},
        {"Mul(0.5, x)", "Mul(a, 0.5)", true},
        {"Mul(x, 0.5)", "Mul(a, 0.25)", false},
        {"Mul(x, 0.70710677)", "Mul(a, 0.7071067811865476)", true},
        {"Mul(x, 0.7071)", "Mul(a, 0.7071067811865476)", false},
        {"Mul(x, -3)", "Mul(a, -3)", true},
        {"Add(x, 0)", "Add(a, 0)", true},
        {"Add(x, 0.0000001)", "Add(a, 0)", false},
        {"Mul(x, y)", "Mul(a, 0.5)", false},
        {"Mul(x, w)", "Mul(a, 0.5)", false},
        /* constants */
        {"Mul(x, w)", "Mul(a, const b)", true},
        {"Mul(w, x)", "Mul(a, const b)", true},
        {"Mul(x, y)", "Mul(a, const b)", false},
        {"Sub(Mul(x, k), l)", "Sub(Mul(a, b), b)", true},  /* two constants of equal content */
        {"Sub(Mul(x, k), m)", "Sub(Mul(a, b), b)", false}, /* of another */
        {"Sub(Mul(x, w), v)", "Sub(Mul(a, b), b)", false},
        /* lists and attributes */
        {"ReduceMean(x, [-1])", "ReduceMean(a, [-1])", true},
        {"ReduceMean(x, [-1])", "ReduceMean(a, [0])", false},
        {"ReduceMean(x, [0, 1])", "ReduceMean(a, [0])", false},
        {"ReduceMean(x, [-1])", "ReduceMean(a, axes)", true},
        {"ReduceMean(x, [-1])", "ReduceMean(a)", false},
        {"ReduceMean(x)", "ReduceMean(a, axes)", false},
        {"ReduceMean(x, [-1]; keepdims=0)", "ReduceMean(a, [-1])", false},
        {"ReduceMean(x, [-1]; keepdims=0)", "ReduceMean(a, [-1]; keepdims=0)", true},
        {"ReduceMean(x, [-1]; keepdims=1)", "ReduceMean(a, [-1])", true}, /* that is the default */
        {"ReduceMean(x, [-1]; keepdims=0)", "ReduceMean(a, [-1]; ...)", true},
        {"Gemm(x, y; transB=1, alpha=0.5)", "Gemm(a, b; transB=1)", false},
        {"Gemm(x, y; transB=1, alpha=0.5)", "Gemm(a, b; transB=1, ...)", true},
        {"Gemm(x, y; transB=1, alpha=0.5)", "Gemm(a, b; alpha=0.5, transB=1)", true},
        {"Gemm(x, y; transB=1)", "Gemm(a, b; transA=1, ...)", false},
        {"Gelu(x; approximate='tanh')", "Gelu(a)", false},
        {"Gelu(x; approximate='tanh')", "Gelu(a; approximate='tanh')", true},
        {"Gelu(x)", "Gelu(a; approximate='none')", true},
        {"Transpose(x; perm=[1, 0])", "Transpose(a)", false},
        {"Transpose(x; perm=[1, 0])", "Transpose(a; perm=[1, 0])", true},
        {"Transpose(x; perm=[1, 0])", "Transpose(a; perm=[0, 1])", false},
        {"Transpose(x; perm=[0, 1])", "Transpose(a; perm=[0])", false},
        /* inputs that may be left out */
        {"Gemm(x, y)", "Gemm(a, b, c?)", true},
        {"Gemm(x, y, z)", "Gemm(a, b, c?)", true},
        {"Gemm(x, y, z)", "Gemm(a, b)", false},
        {"Gemm(x, y)", "Gemm(a, b, c)", false},
        {"Gemm(x, y, Exp(z))", "Gemm(a, b, Exp(c))", true},
        {"Gemm(x, y)", "Gemm(a, b, Exp(c))", false},
        {"Add(Gemm(x, y), z)", "Add(Gemm(a, b, c?), c)", false}, /* not there is not z */
        /* alternatives */
        {"Exp(x)", "Exp(a) | Neg(a)", true},
        {"Neg(x)", "Exp(a) | Neg(a)", true},
        {"Tanh(x)", "Exp(a) | Neg(a)", false},
        {"Exp(Neg(x))", "Exp(Neg(a) | a)", true},
        {"Exp(Tanh(x))", "Exp(Neg(a) | a)", true},
        {"Mul(Neg(x), x)", "Mul((Exp(a) | Neg(a)), a)", true},
        {"Mul(Neg(x), x)", "Mul(n, a) where n = Exp(a) | Neg(a)", true},
        {"Mul(Exp(x), Exp(x))", "Mul(n, n) where n = Exp(a)", false}, /* two nodes are not one */
        {"Mul(n, n) where n = Exp(x)", "Mul(n, n) where n = Exp(a)", true},
        {"Mul(n, n) where n = Exp(x)", "Mul(Exp(a), Exp(a))", true},
        {"Relu(Add(Exp(x), y))", "r where r = Relu(s) | s, s = Add(n, b) | n, n = Exp(a)", true},
        {"Relu(Exp(x))", "r where r = Relu(s) | s, s = Add(n, b) | n, n = Exp(a)", true},
        {"Exp(x)", "r where r = Relu(s) | s, s = Add(n, b) | n, n = Exp(a)", true},
        {"Relu(Relu(Exp(x)))", "r where r = Relu(s) | s, s = Add(n, b) | n, n = Exp(a)", false},
        /* classes */
        {"Exp(Flatten(x))", "Exp(<view>(a))", true},
        {"Exp(Reshape(x, [2, -1]))", "Exp(<view>(a))", true},
        {"Exp(Transpose(x; perm=[1, 0]))", "Exp(<view>(a))", false},
        {"Exp(Transpose(x; perm=[1, 0]))", "Exp(<move>(a))", true},
        {"Exp(Neg(x))", "Exp(<move>(a))", false},
        {"Flatten(Exp(x))", "<view>(Exp(a))", true},
        /* domains */
        {"hone.ReluGrad(x, y)", "hone.ReluGrad(a, b)", true},
        {"hone.ReluGrad(x, y)", "hone.GeluGrad(a, b)", false},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        hone_arena *arena = hone_arena_new();
        hone_match m;
        made b = make(arena, cases[i].graph, 0);
        if (matches(arena, &b, cases[i].pattern, &m) != cases[i].matches)
            fail_msg("%s %s %s", cases[i].graph, cases[i].matches ? "does not match" : "matches",
                     cases[i].pattern);
        hone_graph_free(b.g);
        hone_arena_free(arena);
    }
}

/* A scalar with axes of its own would make the result larger. */
static void test_scalars_with_axes(void **state) {
    (void)state;
    for (int rank = 0; rank <= 3; rank++) {
        hone_arena *arena = hone_arena_new();
        hone_graph *g = hone_graph_new("scalar");
        hone_tensor *t = tensor_make(HONE_FLOAT32, rank, (int64_t[]){1, 1, 1});
        tensor_set(t, 0, 2);
        hone_value *v =
            graph_op(g, "Mul", graph_input(g, "x", HONE_FLOAT32, SHAPE(4, 4)), graph_constant(g, "c", t));
        hone_error err;
        hone_graph_add_output(g, v);
        check_ok(hone_graph_infer(g, &err));
        hone_match m;
        const hone_patterns *p = parse(arena, "Mul(a, 2)", NULL);
        assert_int_equal(hone_pattern_match(p, 0, g, v->producer, NULL, &m), rank <= 2);
        hone_graph_free(g);
        hone_arena_free(arena);
    }
}

static void test_integer_constants(void **state) {
    (void)state;
    hone_arena *arena = hone_arena_new();
    hone_graph *g = hone_graph_new("integers");
    hone_value *x = graph_input(g, "x", HONE_INT64, SHAPE(4)),
               *v = graph_op(g, "Mul", x, hone_graph_scalar(g, HONE_INT64, 3));
    hone_match m;
    assert_true(hone_pattern_match(parse(arena, "Mul(a, 3)", NULL), 0, g, v->producer, NULL, &m));
    assert_false(hone_pattern_match(parse(arena, "Mul(a, 2)", NULL), 0, g, v->producer, NULL, &m));
    hone_graph_free(g);
    hone_arena_free(arena);
}

/* Halves are as near to a number as they can be. */
static void test_half_constants(void **state) {
    (void)state;
    static const struct {
        hone_dtype dtype;
        uint16_t bits;
        bool matches;                            /* 0.7071067811865476 */
    } cases[] = {{HONE_FLOAT16, 0x39a8, true},   /* 0.70703 */
                 {HONE_FLOAT16, 0x39b0, false},  /* 0.71094 */
                 {HONE_BFLOAT16, 0x3f35, true},  /* 0.70703 */
                 {HONE_BFLOAT16, 0x3f37, false}, /* 0.71484 */
                 {HONE_BFLOAT16, 0x3f00, false}};
    for (int i = 0; i < COUNT(cases); i++) {
        hone_arena *arena = hone_arena_new();
        hone_graph *g = hone_graph_new("halves");
        hone_tensor *t = tensor_make(cases[i].dtype, 0, NULL);
        *(uint16_t *)t->data = cases[i].bits;
        hone_value *x = graph_input(g, "x", cases[i].dtype, SHAPE(4)),
                   *v = graph_op(g, "Mul", x, graph_constant(g, "c", t));
        hone_match m;
        const hone_patterns *p = parse(arena, "Mul(a, 0.7071067811865476)", NULL);
        assert_int_equal(hone_pattern_match(p, 0, g, v->producer, NULL, &m), cases[i].matches);
        hone_graph_free(g);
        hone_arena_free(arena);
    }
}

/* --- privacy --- */

static void test_other_readers(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        bool shared; /* matches although others read the inner value */
    } cases[] = {{"Mul(Exp(a), b)", false},
                 {"Mul(~Exp(a), b)", true},
                 {"Mul(n, b) where n = Exp(a)", false},
                 {"Mul(n, b) where n = ~Exp(a)", true}};
    for (int i = 0; i < COUNT(cases) * 3; i++) {
        hone_arena *arena = hone_arena_new();
        hone_match m;
        made b = make(arena, "Mul(Exp(x), y)", 0);
        hone_value *inner = b.m.node[0]->outputs[0];
        if (i % 3 == 1) hone_graph_add_output(b.g, inner);
        if (i % 3 == 2) hone_graph_add_output(b.g, graph_op(b.g, "Neg", inner));
        bool wanted = i % 3 == 0 || cases[i / 3].shared;
        if (matches(arena, &b, cases[i / 3].pattern, &m) != wanted)
            fail_msg("%s, kind %d", cases[i / 3].pattern, i % 3);
        hone_graph_free(b.g);
        hone_arena_free(arena);
    }
}

/* Other outputs of the last node must not be in use. */
static void test_other_outputs(void **state) {
    (void)state;
    for (int used = 0; used < 3; used++) {
        hone_arena *arena = hone_arena_new();
        hone_graph *g = hone_graph_new("outputs");
        hone_value *in[] = {graph_input(g, "x", HONE_FLOAT32, SHAPE(4, 4))};
        hone_node *n = hone_graph_add_node(g, hone_op_find("", "DynamicQuantizeLinear"), NULL, 1, in, 3);
        if (used) hone_graph_add_output(g, n->outputs[used]);
        hone_match m;
        const hone_patterns *p = parse(arena, "DynamicQuantizeLinear(x)", NULL);
        assert_int_equal(hone_pattern_match(p, 0, g, n, NULL, &m), !used);
        hone_graph_free(g);
        hone_arena_free(arena);
    }
}

/* --- checks, names and what is made --- */

static hone_value *wanted_value;

static bool is_wanted(const hone_match *m) {
    return hone_match_value(m, "a") == wanted_value;
}

/* A check that says no has the other order tried. */
static void test_checks(void **state) {
    (void)state;
    hone_arena *arena = hone_arena_new();
    made b = make(arena, "Add(x, y)", 0);
    const hone_patterns *p = parse(arena, "Add(a, b)", NULL);
    hone_match m;
    for (int i = 0; i < 2; i++) {
        wanted_value = b.end->producer->inputs[i];
        assert_true(hone_pattern_match(p, 0, b.g, b.end->producer, is_wanted, &m));
        assert_ptr_equal(hone_match_value(&m, "b"), b.end->producer->inputs[1 - i]);
    }
    wanted_value = b.end;
    assert_false(hone_pattern_match(p, 0, b.g, b.end->producer, is_wanted, &m));
    hone_graph_free(b.g);
    hone_arena_free(arena);
}

static void test_names(void **state) {
    (void)state;
    hone_arena *arena = hone_arena_new();
    made b = make(arena, "Relu(Mul(Gemm(x, y), k))", 0);
    hone_match m;
    assert_true(matches(arena, &b, "Relu(n) | Exp(other) where n = Mul(p, s), p = Gemm(a, b, c?)", &m));
    assert_ptr_equal(hone_match_value(&m, "n"), b.end->producer->inputs[0]);
    assert_ptr_equal(hone_match_maker(&m, "p"), b.m.node[0]);
    assert_null(hone_match_value(&m, "c"));
    assert_null(hone_match_value(&m, "other"));
    assert_null(hone_match_value(&m, "nothing"));
    assert_null(hone_match_maker(&m, "a"));
    assert_true(hone_match_number(&m, "s") == 0.5);
    assert_true(isnan(hone_match_number(&m, "a")));
    assert_int_equal(m.node_count, 3);
    assert_ptr_equal(m.node[0], b.end->producer);
    hone_graph_free(b.g);
    hone_arena_free(arena);
}

/* What replaces a match is itself looked at with a pattern. */
static void test_replacing(void **state) {
    (void)state;
    static const struct {
        const char *graph, *pattern, *replace, *result;
    } cases[] = {
        {"Mul(Exp(x), y)", "Mul(Exp(a), b)", "Exp(Add(a, b))", "Exp(Add(a, b))"},
        {"Mul(Exp(x), y)", "Mul(Exp(a), b)", "Sub(b, a)", "Sub(b, a)"},
        {"Mul(x, k)", "Mul(a, s)", "LeakyRelu(a; alpha=s)", "LeakyRelu(a; alpha=0.5)"},
        {"Mul(x, k)", "Mul(a, s)", "Gemm(a, a; transB=1, alpha=s)", "Gemm(a, a; transB=1, alpha=0.5)"},
        {"Neg(x)", "Neg(a)", "Gelu(a; approximate='tanh')", "Gelu(a; approximate='tanh')"},
        {"Neg(x)", "Neg(a)", "Transpose(a; perm=[1, 0])", "Transpose(a; perm=[1, 0])"},
        {"Neg(x)", "Neg(a)", "ReduceMean(Mul(a, 2), [0, -1])", "ReduceMean(Mul(a, 2), [0, -1])"},
        {"Neg(x)", "Neg(a)", "Mul(n, n) where n = Exp(a)", "Mul(n, n) where n = Exp(a)"},
        {"Add(Gemm(x, y), z)", "Add(Gemm(a, b), c) | Add(a, b)", "Gemm(a, b, c?)", "Gemm(a, b, c)"},
        {"Add(x, y)", "Add(Gemm(a, b), c) | Add(a, b)", "Gemm(a, b, c?)", "Gemm(a, b)"},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        hone_arena *arena = hone_arena_new();
        made b = make(arena, cases[i].graph, 0);
        hone_match m;
        const hone_patterns *p = parse(arena, cases[i].pattern, cases[i].replace);
        assert_true(hone_pattern_match(p, 0, b.g, b.end->producer, NULL, &m));
        hone_value *x = hone_match_value(&m, "a"), *y = hone_match_value(&m, "b"),
                   *v = hone_pattern_replace(&m);
        hone_error err;
        check_ok(hone_graph_check(b.g, &err));
        const hone_patterns *result = parse(arena, cases[i].result, NULL);
        if (!hone_pattern_match(result, 0, b.g, v->producer, NULL, &m))
            fail_msg("%s did not become %s", cases[i].graph, cases[i].result);
        assert_ptr_equal(hone_match_value(&m, "a"), x);
        if (hone_match_value(&m, "b")) assert_ptr_equal(hone_match_value(&m, "b"), y);
        hone_graph_free(b.g);
        hone_arena_free(arena);
    }
}

/* --- texts that say nothing --- */

static void test_wrong_texts(void **state) {
    (void)state;
    static const struct {
        const char *form, *replace;
        int column; /* 0: not told */
    } cases[] = {
        {"", NULL, 1},
        {"Add(a", NULL, 6},
        {"Add(a, b) c", NULL, 11},
        {"Add(a b)", NULL, 7},
        {"Add(a,, b)", NULL, 7},
        {"Nothing(a)", NULL, 8},
        {"nothing.Add(a)", NULL, 12},
        {"a", NULL, 2},
        {"0.5", NULL, 4},
        {"Exp(a) | b", NULL, 11},
        {"n where n = n", NULL, 14},
        {"Exp(n) where n = Neg(m), m = Exp(n)", NULL, 36},
        {"Exp(n) where n = Neg(a), n = Exp(a)", NULL, 29},
        {"Exp(n) where n", NULL, 15},
        {"Exp(n) where = Neg(a)", NULL, 14},
        {"Gemm(a, b; transC=1)", NULL, 18},
        {"Gemm(a, b; transB)", NULL, 18},
        {"Gemm(a, b; transB=x)", NULL, 19},
        {"Gemm(a, b; transB=[1])", NULL, 19},
        {"Gelu(a; approximate='tanh)", NULL, 27},
        {"Transpose(a; perm=[1, 0)", NULL, 24},
        {"ReduceMean(a, [x])", NULL, 16},
        {"<views>(a)", NULL, 2},
        {"<view>(a, b)", NULL, 12},
        {"<view>(a; axis=1)", NULL, 15},
        {"~a", NULL, 0},
        {"Exp(a)", "Exp(b)", 0},
        {"Exp(a) | Neg(b)", "Exp(a)", 0},
        {"Gemm(a, b, c?)", "Add(a, c)", 0},
        {"Exp(a)", "Exp(a) | Neg(a)", 9},
        {"Exp(a)", "<view>(a)", 6},
        {"Exp(a)", "Gemm(a, a; ...)", 15},
        {"Exp(a)", "LeakyRelu(a; alpha=s)", 0},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        hone_arena *arena = hone_arena_new();
        hone_patterns *p = NULL;
        hone_error err;
        char wanted[40];
        if (hone_patterns_parse(arena, &cases[i].form, 1, cases[i].replace, &p, &err) != HONE_INTERNAL)
            fail_msg("\"%s\", \"%s\" is accepted", cases[i].form, cases[i].replace ? cases[i].replace : "");
        snprintf(wanted, sizeof wanted, "column %d:", cases[i].column);
        if (cases[i].column && !strstr(err.message, wanted)) fail_msg("%s, not %s", err.message, wanted);
        assert_null(p);
        hone_arena_free(arena);
    }
}

/* Beyond the limits texts are refused, too. */
static void test_limits(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        char text[4000] = "";
        size_t used = 0;
        for (int i = 0; i < 40; i++) { /* names, operators, inputs, alternatives */
            static const char *const parts[] = {"Add(a%d, ", "Exp(", "a, ", "Exp(a) | "};
            if (kind == 2 && i == 0) used += (size_t)snprintf(text, sizeof text, "Add(");
            used += (size_t)snprintf(text + used, sizeof text - used, parts[kind], i);
        }
        if (kind != 2) used += (size_t)snprintf(text + used, sizeof text - used, "Exp(a)");
        for (int i = 0; i < 40; i++) used += (size_t)snprintf(text + used, sizeof text - used, ")");
        const char *form = text;
        hone_arena *arena = hone_arena_new();
        hone_patterns *p = NULL;
        hone_error err;
        assert_int_equal(hone_patterns_parse(arena, &form, 1, NULL, &p, &err), HONE_INTERNAL);
        assert_non_null(strstr(err.message, "too many"));
        hone_arena_free(arena);
    }
}

static void test_every_allocation_fails(void **state) {
    (void)state;
    const char *form = "Add(Mul(n, g), Gemm(a, w, b?; transB=1)) where n = Div(a, Sqrt(ReduceMean(a, [-1])))";
    for (uint64_t n = 1;; n++) {
        hone_arena *arena = hone_arena_new();
        hone_patterns *p = NULL;
        hone_error err;
        hone_alloc_fail_at(n, true);
        hone_status status = hone_patterns_parse(arena, &form, 1, "Gemm(a, w, b?; alpha=g)", &p, &err);
        hone_alloc_fail_at(0, false);
        hone_arena_free(arena);
        if (status == HONE_OK) break;
        assert_int_equal(status, HONE_OUT_OF_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matching),
        cmocka_unit_test(test_scalars_with_axes),
        cmocka_unit_test(test_integer_constants),
        cmocka_unit_test(test_half_constants),
        cmocka_unit_test(test_other_readers),
        cmocka_unit_test(test_other_outputs),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_replacing),
        cmocka_unit_test(test_wrong_texts),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
