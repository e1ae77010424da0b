/* Ensembles of trees: whatever nodes ask, rows reach the leaves that the plain reading of ONNX leads them
 * to, alone and together, by one thread and by several. */
#include "graph/tensor.h"
#include "kernels/trees.h"
#include "ops/ml/trees.h"
#include "support/graphs.h"

/* --- a forest, and the plain reading of it --- */

enum { MOST = 100000 };

typedef struct forest {
    int64_t feature[MOST], yes[MOST], no[MOST], yes_leaf[MOST], no_leaf[MOST], missing[MOST], target[MOST],
        root[512];
    double split[MOST], weight[MOST], member[MOST];
    uint8_t mode[MOST];
    int64_t inner, leaves, trees, members, features, targets;
    int first_member[MOST];
} forest;

static const double odd[] = {0, -0.0, 1, -1, 0.5, 0.1, 1e30, -1e300, INFINITY, -INFINITY, 3, 5};

static double odd_number(hone_rng *r) {
    return odd[hone_rng_below(r, COUNT(odd))];
}

static int64_t add_leaf(forest *f, hone_rng *r) {
    f->target[f->leaves] = (int64_t)hone_rng_below(r, (uint32_t)f->targets);
    f->weight[f->leaves] = (double)hone_rng_below(r, 200) / 8 - 12;
    return f->leaves++;
}

/* A subtree; where its root is, among inner nodes or leaves. */
static int64_t grow(forest *f, hone_rng *r, int depth, int modes, int64_t *is_leaf) {
    *is_leaf = depth == 0 || hone_rng_below(r, 8) == 0;
    if (*is_leaf) return add_leaf(f, r);
    int64_t at = f->inner++;
    f->feature[at] = (int64_t)hone_rng_below(r, (uint32_t)f->features);
    f->mode[at] = (uint8_t)hone_rng_below(r, (uint32_t)modes);
    f->split[at] = hone_rng_below(r, 30) == 0 ? NAN : odd_number(r);
    f->missing[at] = hone_rng_below(r, 2);
    f->yes[at] = grow(f, r, depth - 1, modes, &f->yes_leaf[at]);
    f->no[at] = grow(f, r, depth - 1, modes, &f->no_leaf[at]);
    return at;
}

/* Sets of members follow in the order of the nodes. */
static void add_members(forest *f, hone_rng *r) {
    for (int64_t i = 0; i < f->inner; i++) {
        if (f->mode[i] != HONE_TREE_MEMBER) continue;
        f->first_member[i] = (int)f->members;
        for (uint32_t k = hone_rng_below(r, 6); k > 0; k--) f->member[f->members++] = odd_number(r);
        f->member[f->members++] = NAN;
    }
}

static forest *forest_make(int64_t trees, int depth, int64_t features, int64_t targets, int modes) {
    forest *f = calloc(1, sizeof *f);
    hone_rng r = hone_rng_make(11, (uint64_t)(trees + modes));
    f->features = features;
    f->targets = targets;
    for (f->trees = 0; f->trees < trees;) {
        int64_t leaf, at = grow(f, &r, depth, modes, &leaf);
        if (!leaf) f->root[f->trees++] = at;
    }
    add_members(f, &r);
    return f;
}

static bool says_yes(const forest *f, int64_t i, double x) {
    const double v = f->split[i];
    bool yes = false;
    switch (f->mode[i]) {
    case HONE_TREE_LEQ: yes = x <= v; break;
    case HONE_TREE_LT: yes = x < v; break;
    case HONE_TREE_GTE: yes = x >= v; break;
    case HONE_TREE_GT: yes = x > v; break;
    case HONE_TREE_EQ: yes = x == v; break;
    case HONE_TREE_NEQ: yes = x == x && x != v; break;
    default:
        for (const double *m = f->member + f->first_member[i]; *m == *m; m++) yes |= x == *m;
    }
    return yes || (x != x && f->missing[i]);
}

static void plain(const forest *f, const hone_tensor *x, int64_t row, double *scores) {
    for (int64_t k = 0; k < f->targets; k++) scores[k] = 0;
    for (int64_t t = 0; t < f->trees; t++) {
        int64_t at = f->root[t], leaf = 0;
        while (!leaf) {
            bool yes = says_yes(f, at, tensor_at(x, row * f->features + f->feature[at]));
            leaf = yes ? f->yes_leaf[at] : f->no_leaf[at];
            at = yes ? f->yes[at] : f->no[at];
        }
        scores[f->target[at]] += f->weight[at];
    }
}

/* --- the same as a graph --- */

static void set_numbers(hone_graph *g, hone_node *n, const char *name, hone_dtype dtype, const double *x,
                        int64_t count) {
    hone_tensor *t = tensor_make(dtype, SHAPE(count));
    for (int64_t i = 0; i < count; i++) tensor_set(t, i, x[i]);
    hone_node_set_tensor(g, n, name, t);
    hone_tensor_free(t);
}

static hone_graph *graph_of(const forest *f, hone_dtype dtype) {
    hone_graph *g = hone_graph_new("forest");
    hone_value *x = graph_input(g, "x", dtype, SHAPE(HONE_DIM_ANY, f->features));
    hone_node *n = hone_graph_add_node(g, hone_op_find("ai.onnx.ml", "TreeEnsemble"), "node", 1, &x, 1);
    const size_t inner = (size_t)f->inner;
    hone_tensor *modes = tensor_make(HONE_UINT8, SHAPE(f->inner));
    for (int64_t i = 0; i < f->inner; i++) tensor_set(modes, i, f->mode[i]);
    hone_node_set_tensor(g, n, "nodes_modes", modes);
    hone_tensor_free(modes);
    hone_node_set_ints(g, n, "nodes_featureids", f->feature, inner);
    hone_node_set_ints(g, n, "nodes_truenodeids", f->yes, inner);
    hone_node_set_ints(g, n, "nodes_falsenodeids", f->no, inner);
    hone_node_set_ints(g, n, "nodes_trueleafs", f->yes_leaf, inner);
    hone_node_set_ints(g, n, "nodes_falseleafs", f->no_leaf, inner);
    hone_node_set_ints(g, n, "nodes_missing_value_tracks_true", f->missing, inner);
    hone_node_set_ints(g, n, "leaf_targetids", f->target, (size_t)f->leaves);
    hone_node_set_ints(g, n, "tree_roots", f->root, (size_t)f->trees);
    hone_node_set_int(g, n, "n_targets", f->targets);
    set_numbers(g, n, "nodes_splits", dtype, f->split, f->inner);
    set_numbers(g, n, "leaf_weights", dtype, f->weight, f->leaves);
    if (f->members) set_numbers(g, n, "membership_values", dtype, f->member, f->members);
    hone_graph_add_output(g, n->outputs[0]);
    return g;
}

/* Numbers as a file of that dtype has them. */
static void round_numbers(forest *f, hone_dtype dtype) {
    if (dtype != HONE_FLOAT32) return;
    for (int64_t i = 0; i < f->inner; i++) f->split[i] = (double)(float)f->split[i];
    for (int64_t i = 0; i < f->members; i++) f->member[i] = (double)(float)f->member[i];
}

static hone_tensor *rows_of(const forest *f, hone_dtype dtype, int64_t rows, bool holes) {
    hone_rng r = hone_rng_make(5, (uint64_t)rows);
    hone_tensor *x = tensor_make(dtype, SHAPE(rows, f->features));
    for (int64_t i = 0; i < x->count; i++)
        tensor_set(x, i, holes && hone_rng_below(&r, 6) == 0 ? NAN : odd_number(&r));
    return x;
}

static void check_rows(forest *f, hone_dtype dtype, int64_t rows, bool holes) {
    hone_graph *g = graph_of(f, dtype);
    hone_tensor *x = rows_of(f, dtype, rows, holes);
    double *want = calloc((size_t)(rows * f->targets) + 1, sizeof *want);
    for (int64_t i = 0; i < rows; i++) plain(f, x, i, want + i * f->targets);
    for (int threads = 1; threads <= 3; threads += 2) {
        runner r = runner_make(g, NULL, threads);
        const hone_tensor *out;
        runner_run(&r, &x, &out);
        assert_int_equal(out->count, rows * f->targets);
        for (int64_t i = 0; i < out->count; i++)
            if (tensor_at(out, i) != want[i])
                fail_msg("%s, %lld rows, %d threads: [%lld] is %g, not %g", hone_dtype_name(dtype),
                         (long long)rows, threads, (long long)i, tensor_at(out, i), want[i]);
        runner_free(&r);
    }
    free(want);
    hone_tensor_free(x);
    hone_graph_free(g);
}

static void check_forest(forest *f) {
    static const hone_dtype dtypes[] = {HONE_FLOAT32, HONE_FLOAT64};
    for (int d = COUNT(dtypes) - 1; d >= 0; d--) {
        round_numbers(f, dtypes[d]);
        for (int holes = 0; holes < 2; holes++)
            for (int i = 0; i < 4; i++) check_rows(f, dtypes[d], (int64_t[]){1, 9, 70, 0}[i], holes);
    }
    free(f);
}

static void test_questions(void **state) {
    (void)state;
    check_forest(forest_make(21, 6, 5, 1, HONE_TREE_MEMBER + 1));
    check_forest(forest_make(13, 5, 3, 4, HONE_TREE_MEMBER + 1));
    check_forest(forest_make(60, 7, 4, 1, HONE_TREE_LT));
    check_forest(forest_make(1, 9, 2, 1, HONE_TREE_EQ + 1));
}

/* Each tree's leaves vote for one target, as booster's do. */
static void test_targets(void **state) {
    (void)state;
    forest *f = forest_make(30, 5, 6, 3, HONE_TREE_LT);
    memset(f->target, 0, sizeof f->target);
    for (int64_t t = 0; t < f->trees; t++) {
        int64_t end = t + 1 < f->trees ? f->root[t + 1] : f->inner;
        for (int64_t i = f->root[t]; i < end; i++) {
            if (f->yes_leaf[i]) f->target[f->yes[i]] = t % 3;
            if (f->no_leaf[i]) f->target[f->no[i]] = t % 3;
        }
    }
    check_forest(f);
}

/* What does not fit into nodes of 8 bytes: deep trees, many features, weights of float64. */
static void test_large(void **state) {
    (void)state;
    forest *f = calloc(1, sizeof *f);
    hone_rng r = hone_rng_make(1, 1);
    f->features = 2;
    f->targets = f->trees = 1;
    f->inner = 40000;
    for (int64_t i = 0; i < f->inner; i++) {
        f->split[i] = (double)i / (double)f->inner - 0.5;
        f->feature[i] = i & 1;
        f->yes[i] = add_leaf(f, &r);
        f->no[i] = i + 1;
        f->yes_leaf[i] = 1;
    }
    f->no_leaf[f->inner - 1] = 1;
    f->no[f->inner - 1] = add_leaf(f, &r);
    check_forest(f);
    check_forest(forest_make(5, 5, 9000, 1, HONE_TREE_GTE));
    check_forest(forest_make(5, 4, 1, 1, HONE_TREE_GTE));
}

/* Trees with nodes in common, also whole ones. */
static void test_shared(void **state) {
    (void)state;
    for (int targets = 1; targets < 3; targets++) {
        forest *f = forest_make(9, 5, 4, targets, HONE_TREE_EQ + 1);
        f->root[f->trees++] = f->root[0];
        f->root[f->trees++] = f->root[0] + 1;
        for (int64_t i = f->root[1]; i < f->root[2]; i++)
            if (!f->yes_leaf[i]) f->yes[i] = f->root[3];
        check_forest(f);
    }
}

/* A batch changes no bit of a row, also where sums round. */
static void test_sums(void **state) {
    (void)state;
    forest *f = forest_make(100, 5, 6, 1, HONE_TREE_LT);
    for (int64_t i = 0; i < f->leaves; i++) f->weight[i] = (double)(float)(sin((double)i) * 1e-3);
    hone_graph *g = graph_of(f, HONE_FLOAT32);
    hone_tensor *x = rows_of(f, HONE_FLOAT32, 83, true);
    runner all = runner_make(g, NULL, 1), one = runner_make(g, NULL, 1);
    const hone_tensor *out, *single;
    runner_run(&all, &x, &out);
    for (int64_t i = 0; i < 83; i++) {
        hone_tensor *row = tensor_make(HONE_FLOAT32, SHAPE(1, 6));
        memcpy(row->data, (float *)x->data + i * 6, 6 * sizeof(float));
        runner_run(&one, &row, &single);
        assert_memory_equal(single->data, (float *)out->data + i, sizeof(float));
        hone_tensor_free(row);
    }
    runner_free(&all);
    runner_free(&one);
    hone_tensor_free(x);
    hone_graph_free(g);
    free(f);
}

static void test_keys(void **state) {
    (void)state;
    static const double x[] = {-INFINITY, -1e300, -1, -1e-310, 0, 1e-310, 1, 1e300, INFINITY, NAN};
    for (int i = 1; i < COUNT(x); i++) {
        assert_true(hone_tree_key64(x[i - 1]) < hone_tree_key64(x[i]));
        assert_true(hone_tree_key32((float)x[i - 1]) <= hone_tree_key32((float)x[i]));
    }
    assert_true(hone_tree_key64(-0.0) == hone_tree_key64(0));
    assert_true(hone_tree_key32(-0.0f) == hone_tree_key32(0));
    assert_true(hone_tree_key32(-NAN) == UINT32_MAX && hone_tree_key64(-(double)NAN) == UINT64_MAX);
    assert_true(hone_tree_key32(INFINITY) < UINT32_MAX && hone_tree_key32(-INFINITY) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),  cmocka_unit_test(test_questions), cmocka_unit_test(test_targets),
        cmocka_unit_test(test_large), cmocka_unit_test(test_shared),    cmocka_unit_test(test_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
