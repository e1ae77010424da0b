/* Coupled groups: what is cut together, what blocks, and that the rest computes as if the cut units' weights
 * were zero. */
#include "train/small.h"

#include "compress/groups.h"

#include <math.h>

SHARED_BLOBS(40, 6, 4)

static hone_group find(hone_graph *g, const char *name, int axis) {
    hone_group group;
    hone_value *v = hone_graph_find(g, name);
    assert_non_null(v);
    ok(hone_group_find(g, v, axis, &group, &err));
    return group;
}

static bool has(hone_graph *g, const hone_group *group, const char *name, int axis) {
    const hone_value *v = hone_graph_find(g, name);
    for (int i = 0; i < group->count; i++)
        if (group->members[i].value == v && group->members[i].axis == axis) return true;
    return false;
}

static const hone_group_member *member(hone_graph *g, const hone_group *group, const char *name) {
    const hone_value *v = hone_graph_find(g, name);
    for (int i = 0; i < group->count; i++)
        if (group->members[i].value == v) return &group->members[i];
    fail_msg("%s is not in the group", name);
    return NULL;
}

static int constants(const hone_group *group) {
    int count = 0;
    for (int i = 0; i < group->count; i++) count += group->members[i].value->data != NULL;
    return count;
}

/* The group's weights of `g` with the positions that are not kept set to zero. */
static void zero(hone_graph *g, const hone_group *group, const bool *keep) {
    for (int k = 0; k < group->count; k++) {
        const hone_group_member *m = &group->members[k];
        hone_tensor *t = m->value->data ? hone_graph_find(g, m->value->name)->data : NULL, *own = NULL;
        if (!t) continue;
        ok(hone_tensor_copy_of(t->dtype, t->rank, t->dims, t->data, &own, &err));
        int64_t row = 1;
        for (int i = m->axis + 1; i < t->rank; i++) row *= t->dims[i];
        for (int64_t i = 0; i < t->count; i++)
            if (!keep[i / row % t->dims[m->axis] / m->inner % group->size]) ((float *)own->data)[i] = 0;
        hone_tensor_free(t);
        hone_graph_find(g, m->value->name)->data = own;
    }
}

/* Cuts the group of an axis, every position whose bit is set; the outputs are those of the zeroed original. */
static void cut_is_exact(hone_graph *g, const char *name, int axis, uint32_t gone) {
    hone_graph *zeroed = copy_of(g);
    hone_group group = find(g, name, axis);
    bool keep[64];
    int64_t kept = 0, before = hone_graph_find(g, name)->type.dims[axis];
    assert_false(group.blocked);
    assert_true(group.size <= 64);
    for (int64_t p = 0; p < group.size; p++) kept += keep[p] = !(gone >> p & 1);
    zero(zeroed, &group, keep);
    ok(hone_group_cut(g, &group, keep, &err));
    ok(hone_graph_infer(g, &err));
    assert_int_equal(hone_graph_find(g, name)->data->dims[axis], before / group.size * kept);
    assert_int_equal(hone_graph_find(g, name)->type.dims[axis], before / group.size * kept);
    hone_tensor *a = predict(g, data, 40), *b = predict(zeroed, data, 40);
    assert_int_equal(a->count, b->count);
    double most = 0;
    for (int64_t i = 0; i < a->count; i++) {
        double x = ((const float *)a->data)[i], y = ((const float *)b->data)[i];
        assert_true(fabs(x - y) < 1e-5 * fmax(1, fabs(y)));
        most = fmax(most, fabs(y));
    }
    assert_true(most > 0.01); /* not all was cut */
    hone_tensor_free(a);
    hone_tensor_free(b);
    hone_group_free(&group);
    hone_graph_free(zeroed);
}

static void blocked_by(hone_graph *g, const char *name, int axis, const char *op) {
    hone_group group = find(g, name, axis);
    assert_true(group.blocked);
    if (op && (!group.blocker || strcmp(group.blocker->op->name, op) != 0))
        fail_msg("%s axis %d is blocked by %s", name, axis,
                 group.blocker ? group.blocker->op->name : "the edge");
    hone_group_free(&group);
}

static hone_value *gemm(hone_graph *g, hone_value *x, const char *w, const char *b, int64_t in, int64_t out) {
    return HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, w, 1, in, out), b ? WEIGHT(g, b, 1, out) : NULL);
}

/* --- */

static void test_layers(void **state) {
    (void)state;
    hone_graph *g = mlp("6-8-7-4", data, 1);
    hone_group group = find(g, "layer1.weight", 1);
    assert_false(group.blocked);
    assert_int_equal(group.size, 8);
    assert_int_equal(group.count, 5); /* W1, b1, product, activation, W2 */
    assert_int_equal(constants(&group), 3);
    assert_true(has(g, &group, "layer1.bias", 0) && has(g, &group, "layer2.weight", 0));
    assert_false(has(g, &group, "layer2.weight", 1) || has(g, &group, "layer1.weight", 0));
    hone_group same = find(g, "layer2.weight", 0); /* the same group from its other end */
    assert_int_equal(same.count, 5);
    hone_group_free(&group);
    hone_group_free(&same);
    blocked_by(g, "layer1.weight", 0, NULL); /* the input */
    blocked_by(g, "layer3.weight", 1, NULL); /* the output */
    cut_is_exact(g, "layer1.weight", 1, 0x5a);
    cut_is_exact(g, "layer3.weight", 0, 0x3);
    hone_graph_free(g);
}

static void test_activations_that_are_not_zero_at_zero(void **state) {
    (void)state;
    static const char *const ops[] = {"Sigmoid", "Tanh", "Gelu"};
    for (int i = 0; i < 3; i++) {
        hone_graph *g = hone_graph_new("activation");
        hone_value *h = HONE_EMIT(g, "", ops[i], gemm(g, INPUT(g, 6), "w1", "b1", 6, 8));
        finished(g, gemm(g, h, "w2", "b2", 8, 4));
        cut_is_exact(g, "w1", 1, 0x81);
        hone_graph_free(g);
    }
}

/* x → Gemm ─┬─ Relu → Gemm ─┬─ Add → Gemm: the branch around couples the axes. */
static void test_residual(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("residual");
    hone_value *x = gemm(g, INPUT(g, 6), "w0", "b0", 6, 8);
    hone_value *h = HONE_EMIT(g, "", "Relu", gemm(g, x, "w1", "b1", 8, 5));
    hone_value *sum = HONE_EMIT(g, "", "Add", gemm(g, h, "w2", "b2", 5, 8), x);
    finished(g, gemm(g, sum, "w3", "b3", 8, 4));
    hone_group group = find(g, "w0", 1);
    assert_false(group.blocked);
    assert_int_equal(constants(&group), 6);
    assert_true(has(g, &group, "w0", 1) && has(g, &group, "b0", 0) && has(g, &group, "w1", 0) &&
                has(g, &group, "w2", 1) && has(g, &group, "b2", 0) && has(g, &group, "w3", 0));
    hone_group_free(&group);
    cut_is_exact(g, "w2", 1, 0xc1);
    cut_is_exact(g, "w1", 1, 0x4);
    hone_graph_free(g);

    /* around by the input itself: only the inner units can go */
    g = hone_graph_new("from the input");
    x = INPUT(g, 6);
    h = HONE_EMIT(g, "", "Relu", gemm(g, x, "w1", "b1", 6, 5));
    finished(g, gemm(g, HONE_EMIT(g, "", "Add", gemm(g, h, "w2", "b2", 5, 6), x), "w3", "b3", 6, 4));
    blocked_by(g, "w2", 1, NULL);
    blocked_by(g, "w3", 0, NULL);
    cut_is_exact(g, "w1", 1, 0x12);
    hone_graph_free(g);
}

/* Weights stored as [out, in]. */
static void test_transposed_weights(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("transpose");
    hone_value *w1 = HONE_EMIT(g, "", "Transpose", WEIGHT(g, "w1", 1, 8, 6));
    hone_value *h = HONE_EMIT(g, "", "MatMul", INPUT(g, 6), w1);
    h = HONE_EMIT(g, "", "Relu", HONE_EMIT(g, "", "Add", h, WEIGHT(g, "b1", 1, 8)));
    finished(g, HONE_EMIT(g, "", "MatMul", h, HONE_EMIT(g, "", "Transpose", WEIGHT(g, "w2", 1, 4, 8))));
    hone_group group = find(g, "w1", 0);
    assert_true(!group.blocked && has(g, &group, "w2", 1) && has(g, &group, "b1", 0));
    hone_group_free(&group);
    cut_is_exact(g, "w1", 0, 0x23);
    hone_graph_free(g);

    g = hone_graph_new("transB");
    hone_value *in[] = {INPUT(g, 6), WEIGHT(g, "w1", 1, 8, 6), WEIGHT(g, "b1", 1, 8)};
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Gemm"), "first", 3, in, 1);
    hone_node_set_int(g, n, "transB", 1);
    hone_value *in2[] = {HONE_EMIT(g, "", "Relu", n->outputs[0]), WEIGHT(g, "w2", 1, 4, 8)};
    n = hone_graph_add_node(g, hone_op_find("", "Gemm"), "second", 2, in2, 1);
    hone_node_set_int(g, n, "transB", 1);
    finished(g, n->outputs[0]);
    cut_is_exact(g, "w2", 1, 0xc4);
    hone_graph_free(g);
}

/* One channel is 9 columns after flattening:
 * x [b, 1, 2, 3] ⊙ scale [4, 1, 1] → [b, 4, 2, 3] → Flatten → Gemm */
static void test_flatten_of_channels(void **state) {
    (void)state;
    int64_t dims[] = {40, 1, 6, 6};
    hone_tensor *x = NULL, *y = NULL;
    hone_dataset *images, *flat = data;
    ok(hone_tensor_new(HONE_FLOAT32, 4, dims, &x, &err));
    ok(hone_tensor_new(HONE_INT64, 1, dims, &y, &err));
    for (int64_t i = 0; i < x->count; i++) ((float *)x->data)[i] = (float)(i * 7 % 13) * 0.1f - 0.5f;
    data = images = dataset_of("images", x, y);

    hone_graph *g = hone_graph_new("channels");
    hone_value *c =
        HONE_EMIT(g, "", "Relu", HONE_EMIT(g, "", "Mul", INPUT(g, 1, 6, 6), WEIGHT(g, "scale", 1, 4, 1, 1)));
    hone_value *f = HONE_EMIT(g, "", "Flatten", c);
    finished(g, gemm(g, f, "w", "b", 144, 4));
    hone_group group = find(g, "scale", 0);
    assert_false(group.blocked);
    assert_int_equal(group.size, 4);
    assert_int_equal(member(g, &group, "w")->inner, 36);
    assert_int_equal(member(g, &group, "w")->axis, 0);
    hone_group_free(&group);
    blocked_by(g, "w", 0, "Flatten"); /* one column of a channel cannot go */
    cut_is_exact(g, "scale", 0, 0x5);
    assert_int_equal(weight_of(g, "w")->dims[0], 72);
    hone_graph_free(g);

    /* and the same through a Reshape that names its dimensions */
    g = hone_graph_new("reshape");
    c = HONE_EMIT(g, "", "Mul", INPUT(g, 1, 6, 6), WEIGHT(g, "scale", 1, 4, 1, 1));
    f = HONE_EMIT(g, "", "Reshape", c, hone_graph_ints(g, (int64_t[]){-1, 144}, 2));
    finished(g, gemm(g, f, "w", "b", 144, 4));
    cut_is_exact(g, "scale", 0, 0x6);
    hone_graph_free(g);
    hone_dataset_free(images);
    data = flat;
}

/* Channels that each go by themselves are cut with what gives and what reads them, and their number of groups follows. */
static void test_depthwise(void **state) {
    (void)state;
    int64_t dims[] = {40, 3, 6, 6};
    hone_tensor *x = NULL, *y = NULL;
    hone_dataset *flat = data;
    ok(hone_tensor_new(HONE_FLOAT32, 4, dims, &x, &err));
    ok(hone_tensor_new(HONE_INT64, 1, dims, &y, &err));
    for (int64_t i = 0; i < x->count; i++) ((float *)x->data)[i] = (float)(i * 7 % 13) * 0.1f - 0.5f;
    data = dataset_of("images", x, y);
    hone_graph *g = hone_graph_new("depthwise");
    hone_value *h =
        HONE_EMIT(g, "", "Conv", INPUT(g, 3, 6, 6), WEIGHT(g, "w1", 1, 8, 3, 1, 1), WEIGHT(g, "b1", 1, 8));
    h = HONE_EMIT(g, "", "Conv", HONE_EMIT(g, "", "Relu", h), WEIGHT(g, "w2", 1, 8, 1, 3, 3),
                  WEIGHT(g, "b2", 1, 8));
    hone_node *alone = h->producer;
    hone_node_set_int(g, alone, "group", 8);
    h = HONE_EMIT(g, "", "Conv", HONE_EMIT(g, "", "Relu", h), WEIGHT(g, "w3", 1, 4, 8, 1, 1));
    finished(g, HONE_EMIT(g, "", "Flatten", HONE_EMIT(g, "", "GlobalAveragePool", h)));
    cut_is_exact(g, "w2", 0, 0x52);
    assert_int_equal(hone_node_int(alone, "group"), 5);
    assert_int_equal(weight_of(g, "w1")->dims[0], 5);
    hone_graph_free(g);
    hone_dataset_free(data);
    data = flat;
}

/* Channels of no columns: flattened, nothing is left to cut. */
static void test_flatten_of_nothing(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("nothing");
    hone_type type = hone_type_make(HONE_FLOAT32, 4, (int64_t[]){2, 1, 0, 3});
    hone_value *x = hone_graph_add_input(g, "input", &type);
    hone_value *f = HONE_EMIT(g, "", "Flatten", HONE_EMIT(g, "", "Mul", x, WEIGHT(g, "scale", 1, 4, 1, 1)));
    finished(g, gemm(g, f, "w", "b", 0, 4));
    blocked_by(g, "scale", 0, "Flatten");
    blocked_by(g, "w", 0, "Flatten");
    hone_graph_free(g);
}

/* Shapes written into the graph follow the cut; two nodes that share one keep their own. */
static void test_reshapes_that_name_the_axis(void **state) {
    (void)state;
    static const int64_t shapes[][3] = {{-1, 1, 8}, {0, 1, 8}, {-1, 1, 8}, {0, 1, -1}, {0, -1, 8}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        hone_graph *g = hone_graph_new("reshape");
        hone_value *h = gemm(g, INPUT(g, 6), "w1", "b1", 6, 8), *shape = hone_graph_ints(g, shapes[i], 3);
        hone_value *a = HONE_EMIT(g, "", "Reshape", h, shape);
        hone_value *u = HONE_EMIT(g, "", "Reshape", gemm(g, g->inputs[0], "u1", NULL, 6, 8), shape);
        a = HONE_EMIT(g, "", "MatMul", a, WEIGHT(g, "w2", 1, 8, 4));
        u = HONE_EMIT(g, "", "MatMul", u, WEIGHT(g, "u2", 1, 8, 4));
        finished(g, HONE_EMIT(g, "", "Flatten", HONE_EMIT(g, "", "Add", a, u)));
        cut_is_exact(g, "w1", 1, 0x0f);
        cut_is_exact(g, "u1", 1, 0x81);
        hone_graph_free(g);
    }
}

/* A number that only looks like the axis: the axes of a reduction. */
static void test_reductions(void **state) {
    (void)state;
    for (int mean = 0; mean < 2; mean++) {
        hone_graph *g = hone_graph_new("reduce");
        hone_value *h = gemm(g, INPUT(g, 6), "w1", "b1", 6, 8);
        h = HONE_EMIT(g, "", mean ? "ReduceMean" : "ReduceSum", h, hone_graph_ints(g, (int64_t[]){1}, 1));
        finished(g, gemm(g, h, "w2", NULL, 1, 4));
        if (mean) /* a mean over fewer units is another mean */
            blocked_by(g, "w1", 1, "ReduceMean");
        else
            blocked_by(g, "w1", 1, "ReduceSum"); /* nothing tells it from a mean */
        hone_graph_free(g);
    }
    hone_graph *g = hone_graph_new("pool"); /* [b, 8, 2, 2] → [b, 8]; the axes are 2 and 8's neighbour 3 */
    hone_value *h = gemm(g, INPUT(g, 6), "w1", "b1", 6, 3);
    h = HONE_EMIT(g, "", "Reshape", h, hone_graph_ints(g, (int64_t[]){-1, 3, 1, 1}, 4));
    h = HONE_EMIT(g, "", "ReduceMean", h, hone_graph_ints(g, (int64_t[]){2, 3}, 2));
    hone_node_set_int(g, h->producer, "keepdims", 0);
    finished(g, gemm(g, h, "w2", NULL, 3, 4));
    cut_is_exact(g, "w1", 1, 0x2);
    hone_graph_free(g);
}

static void test_what_blocks_is_named(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("softmax");
    finished(g,
             gemm(g, HONE_EMIT(g, "", "Softmax", gemm(g, INPUT(g, 6), "w1", "b1", 6, 8)), "w2", "b2", 8, 4));
    blocked_by(g, "w1", 1, "Softmax");
    blocked_by(g, "w2", 0, "Softmax");
    hone_graph_free(g);

    g = hone_graph_new("seen outside");
    hone_value *h = gemm(g, INPUT(g, 6), "w1", "b1", 6, 8);
    finished(g, gemm(g, HONE_EMIT(g, "", "Relu", h), "w2", "b2", 8, 4));
    hone_graph_add_output(g, h);
    blocked_by(g, "w1", 1, NULL);
    hone_graph_free(g);
}

/* One bias for two layers: their units go together. */
static void test_shared_weights(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("shared");
    hone_value *x = INPUT(g, 6), *b = WEIGHT(g, "b", 1, 8);
    hone_value *a = HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, "w1", 1, 6, 8), b);
    hone_value *c = HONE_EMIT(g, "", "Tanh", HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, "u1", 1, 6, 8), b));
    a = HONE_EMIT(g, "", "MatMul", a, WEIGHT(g, "w2", 1, 8, 4));
    c = HONE_EMIT(g, "", "MatMul", c, WEIGHT(g, "u2", 1, 8, 4));
    finished(g, HONE_EMIT(g, "", "Add", a, c));
    hone_group group = find(g, "w1", 1);
    assert_int_equal(constants(&group), 5);
    hone_group_free(&group);
    cut_is_exact(g, "w1", 1, 0x55);
    hone_graph_free(g);
}

/* x (W V) with one weight read twice along different axes: both axes of it go. */
static void test_both_axes_of_one_weight(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("square");
    hone_value *x = gemm(g, INPUT(g, 6), "w0", NULL, 6, 8), *w = WEIGHT(g, "w", 1, 8, 8);
    x = HONE_EMIT(g, "", "MatMul", HONE_EMIT(g, "", "MatMul", x, w), w);
    finished(g, gemm(g, x, "w3", NULL, 8, 4));
    hone_group group = find(g, "w0", 1);
    assert_true(has(g, &group, "w", 0) && has(g, &group, "w", 1));
    hone_group_free(&group);
    cut_is_exact(g, "w0", 1, 0x19);
    hone_graph_free(g);
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_graph *g = mlp("6-8-7-4", data, 1);
    hone_group group;
    bool keep[8] = {true, false, true, true, false, true, true, false};
    FAIL_EACH_ALLOCATION(hone_group_find(g, hone_graph_find(g, "layer1.weight"), 1, &group, &err), (void)0);
    assert_int_equal(group.count, 5);
    for (int n = 1;; n++) { /* a failed cut leaves a graph that can be freed */
        hone_graph *copy = copy_of(g);
        hone_group own;
        ok(hone_group_find(copy, hone_graph_find(copy, "layer1.weight"), 1, &own, &err));
        hone_alloc_fail_at((uint64_t)n, false);
        hone_status status = hone_group_cut(copy, &own, keep, &err);
        hone_alloc_fail_at(0, false);
        hone_group_free(&own);
        hone_graph_free(copy);
        if (status == HONE_OK) break;
        assert_int_equal(status, HONE_OUT_OF_MEMORY);
    }
    hone_group_free(&group);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_activations_that_are_not_zero_at_zero),
        cmocka_unit_test(test_residual),
        cmocka_unit_test(test_transposed_weights),
        cmocka_unit_test(test_flatten_of_channels),
        cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_flatten_of_nothing),
        cmocka_unit_test(test_reshapes_that_name_the_axis),
        cmocka_unit_test(test_reductions),
        cmocka_unit_test(test_what_blocks_is_named),
        cmocka_unit_test(test_shared_weights),
        cmocka_unit_test(test_both_axes_of_one_weight),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_data, free_data);
}
