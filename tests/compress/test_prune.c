/* Pruning: exactly the asked share of zeros, which stay; units that really go, and outputs as if they had
 * been zero. */
#include "train/small.h"

#include <hone/compress.h>
#include <math.h>

SHARED_BLOBS(120, 12, 4)

static hone_prune_options sparse(double share) {
    hone_prune_options o = HONE_PRUNE_OPTIONS_INIT;
    o.sparsity = share;
    o.finetune.epochs = 0;
    o.finetune.threads = 1;
    return o;
}

static hone_prune_options structured(double share) {
    hone_prune_options o = sparse(0);
    o.structured = share;
    return o;
}

static hone_graph *pruned(const hone_graph *g, const hone_prune_options *o, hone_prune_report *r) {
    hone_graph *out = NULL, *before = copy_of(g);
    ok(hone_prune(g, data, o, &out, r, &err));
    assert_true(same_weights(g, before));
    hone_graph_free(before);
    return out;
}

static int64_t zeros_in(const hone_tensor *t) {
    int64_t zeros = 0;
    for (int64_t i = 0; i < t->count; i++) zeros += ((const float *)t->data)[i] == 0;
    return zeros;
}

static int64_t zeros_of(const hone_graph *g) {
    return zeros_in(weight_of(g, "layer1.weight")) + zeros_in(weight_of(g, "layer2.weight"));
}

/* --- sparsity --- */

static void test_the_share_of_zeros_is_exact(void **state) {
    (void)state;
    static const double shares[] = {0.001, 0.1, 0.5, 0.9, 0.95, 0.999};
    hone_graph *g = mlp("12-9-4", data, 1);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        hone_prune_options o = sparse(shares[i]);
        hone_prune_report r;
        hone_graph *p = pruned(g, &o, &r);
        int64_t total = 12 * 9 + 9 * 4;
        assert_int_equal(zeros_of(p), llround(shares[i] * (double)total));
        assert_int_equal(r.zeros, zeros_of(p));
        assert_int_equal(r.weights, total);
        assert_int_equal(r.parameters_before, total + 13 + 24); /* mean and scale of 12 features */
        assert_int_equal(r.parameters_after, total + 13 + 24);  /* mean and scale of 12 features */
        assert_int_equal(r.multiply_adds_before, total);
        assert_int_equal(r.multiply_adds_after, total);
        assert_string_equal(r.blocked, "");
        hone_graph_free(p);
    }
    hone_graph_free(g);
}

/* The smallest go, over the whole model; what stays is as it was. */
static void test_the_smallest_go(void **state) {
    (void)state;
    hone_graph *g = mlp("12-9-4", data, 1);
    hone_prune_options o = sparse(0.6);
    hone_graph *p = pruned(g, &o, NULL);
    float largest_gone = 0, smallest_kept = INFINITY;
    static const char *const names[] = {"layer1.weight", "layer2.weight"};
    for (int k = 0; k < 2; k++) {
        const hone_tensor *a = weight_of(g, names[k]), *b = weight_of(p, names[k]);
        for (int64_t i = 0; i < a->count; i++) {
            float x = ((const float *)a->data)[i], y = ((const float *)b->data)[i];
            assert_true(y == 0 || x == y);
            if (y == 0)
                largest_gone = fmaxf(largest_gone, fabsf(x));
            else
                smallest_kept = fminf(smallest_kept, fabsf(x));
        }
    }
    assert_true(largest_gone <= smallest_kept);
    assert_true(same_tensor(weight_of(g, "layer1.bias"), weight_of(p, "layer1.bias")));
    hone_graph_free(g);
    hone_graph_free(p);
}

/* Many weights of one magnitude: no more of them go than asked for. */
static void test_equal_magnitudes(void **state) {
    (void)state;
    hone_graph *g = mlp("12-9-4", data, 1);
    for (int k = 0; k < 2; k++) {
        const hone_tensor *w = weight_of(g, k ? "layer2.weight" : "layer1.weight");
        for (int64_t i = 0; i < w->count; i++) ((float *)w->data)[i] = i % 2 ? 0.5f : -0.5f;
    }
    for (int i = 1; i < 10; i++) {
        hone_prune_options o = sparse(0.1 * i);
        hone_prune_report r;
        hone_graph *p = pruned(g, &o, &r);
        assert_int_equal(zeros_of(p), llround(0.1 * i * 144));
        assert_int_equal(r.zeros, zeros_of(p));
        hone_graph_free(p);
    }
    hone_graph_free(g);
}

/* Zeros that are there count; biases that are zero do not. */
static void test_zeros_that_are_there(void **state) {
    (void)state;
    hone_graph *g = mlp("12-9-4", data, 1);
    const hone_tensor *w = weight_of(g, "layer1.weight");
    for (int i = 0; i < 50; i++) ((float *)w->data)[i * 2] = i % 2 ? 0.0f : -0.0f;
    memset(weight_of(g, "layer1.bias")->data, 0, 9 * sizeof(float));
    hone_prune_options o = sparse(0.5);
    hone_prune_report r;
    hone_graph *p = pruned(g, &o, &r);
    assert_int_equal(zeros_of(p), 72);
    assert_int_equal(r.zeros, 72);
    hone_graph_free(p);
    o.sparsity = 0.1; /* there are more already: nothing becomes another number */
    p = pruned(g, &o, &r);
    assert_int_equal(r.zeros, 50);
    assert_int_equal(zeros_of(p), 50);
    hone_graph_free(p);
    hone_graph_free(g);
}

static void test_fine_tuning_keeps_the_zeros(void **state) {
    (void)state;
    hone_graph *g = mlp("12-9-4", data, 1);
    hone_train_options t = HONE_TRAIN_OPTIONS_INIT;
    t.learning_rate = 0.05;
    ok(hone_train(g, data, &t, NULL, &err));
    hone_prune_options o = sparse(0.7);
    hone_graph *cut = pruned(g, &o, NULL);
    o.finetune.epochs = 1; /* sparsity does not grow then */
    o.finetune.batch = 4;
    o.finetune.learning_rate = 0.01;
    o.finetune.weight_decay = 0.001;
    hone_prune_report r;
    hone_graph *p = pruned(g, &o, &r), *two = NULL;
    assert_int_equal(r.zeros, 101);
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "layer2.weight" : "layer1.weight";
        const float *a = weight_of(cut, name)->data, *b = weight_of(p, name)->data;
        for (int64_t i = 0; i < weight_of(p, name)->count; i++) assert_int_equal(a[i] == 0, b[i] == 0);
        assert_false(same_tensor(weight_of(cut, name), weight_of(p, name)));
    }
    hone_eval_report before, after;
    ok(hone_evaluate(cut, data, NULL, 1, &before, &err));
    ok(hone_evaluate(p, data, NULL, 1, &after, &err));
    if (!(after.loss < before.loss)) fail_msg("%g, not below %g", after.loss, before.loss);
    o.finetune.threads = 2;
    two = pruned(g, &o, NULL);
    assert_true(same_weights(p, two));
    hone_graph_free(two);
    hone_graph_free(p);
    hone_graph_free(cut);
    hone_graph_free(g);
}

/* Of each four channels that a convolution sums side by side two stay, the largest; also after training. The first and the
 * last weight stay whole. */
static void check_groups(const hone_tensor *w, const hone_tensor *before, int64_t channels, int64_t window) {
    const float *x = w->data, *was = before->data;
    for (int64_t at = 0; at < w->count; at += channels * window)
        for (int64_t c = 0; c < channels; c += 4)
            for (int64_t k = 0; k < window; k++) {
                int kept = 0;
                float least = INFINITY, most = 0;
                for (int64_t i = 0; i < 4; i++) {
                    const int64_t e = at + (c + i) * window + k;
                    kept += x[e] != 0;
                    if (x[e] != 0)
                        least = fminf(least, fabsf(was[e]));
                    else
                        most = fmaxf(most, fabsf(was[e]));
                }
                assert_int_equal(kept, 2);
                assert_true(least >= most);
            }
}

static void test_groups(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("conv");
    hone_value *x = INPUT(g, 12), *shape = hone_graph_ints(g, (int64_t[]){-1, 12, 1, 1}, 4);
    x = HONE_EMIT(g, "", "Conv", HONE_EMIT(g, "", "Reshape", x, shape), WEIGHT(g, "first", 1, 8, 12, 1, 1));
    x = HONE_EMIT(g, "", "Conv", HONE_EMIT(g, "", "Relu", x), WEIGHT(g, "middle", 1, 8, 8, 1, 1));
    x = HONE_EMIT(g, "", "Reshape", x, hone_graph_ints(g, (int64_t[]){-1, 8}, 2));
    x = HONE_EMIT(g, "", "MatMul", HONE_EMIT(g, "", "Relu", x), WEIGHT(g, "matrix", 1, 8, 16));
    finished(g, HONE_EMIT(g, "", "MatMul", HONE_EMIT(g, "", "Relu", x), WEIGHT(g, "last", 1, 16, 4)));
    for (int epochs = 0; epochs < 3; epochs += 2) {
        hone_prune_options o = sparse(0);
        hone_prune_report r;
        o.kept = 2;
        o.group = 4;
        o.distill = true;
        o.finetune.epochs = epochs;
        hone_graph *p = pruned(g, &o, &r);
        assert_int_equal(r.zeros, (8 * 8 + 8 * 16) / 2);
        check_groups(weight_of(p, "middle"), weight_of(g, "middle"), 8, 1);
        check_groups(weight_of(p, "matrix"), weight_of(g, "matrix"), 8, 16);
        assert_int_equal(zeros_in(weight_of(p, "first")) + zeros_in(weight_of(p, "last")), 0);
        assert_int_equal(same_tensor(weight_of(p, "middle"), weight_of(g, "middle")), false);
        hone_graph_free(p);
    }
    hone_graph_free(g);
}

typedef struct seen {
    int64_t calls, steps;
    int epochs, done;
    int64_t end; /* after which step; 0: never */
} seen;

static bool look(void *user, const hone_train_progress *p) {
    seen *s = user;
    s->calls++;
    assert_int_equal(p->step, s->calls);
    assert_int_equal(p->epochs, s->epochs);
    s->steps = p->steps;
    s->done += p->epoch_done;
    return p->step != s->end;
}

/* Rounds of growing sparsity and what follows look like one training, which can be ended in any of them. */
static void test_growing_is_one_training(void **state) {
    (void)state;
    hone_graph *g = mlp("12-9-4", data, 1);
    for (int epochs = 1; epochs <= 3; epochs++) {
        hone_prune_options o = sparse(0.7);
        seen s = {.epochs = epochs};
        o.finetune.epochs = epochs;
        o.finetune.batch = 16;
        o.finetune.progress = look;
        o.finetune.user = &s;
        hone_graph *p = pruned(g, &o, NULL);
        assert_int_equal(zeros_of(p), llround(0.7 * 144));
        assert_int_equal(s.calls, s.steps);
        assert_int_equal(s.done, epochs);
        hone_graph_free(p);
        s = (seen){.epochs = epochs, .end = 5};
        p = pruned(g, &o, NULL);
        assert_int_equal(s.calls, 5);
        hone_graph_free(p);
    }
    hone_graph_free(g);
}

/* --- structured --- */

/* Which columns of `before` [rows, n] (or rows, if `transposed`) are still there? */
static int64_t find_kept(const hone_tensor *before, const hone_tensor *after, bool transposed, bool *keep) {
    int64_t rows = before->dims[transposed], n = before->dims[!transposed], m = after->dims[!transposed],
            at = 0;
    const float *a = before->data, *b = after->data;
    for (int64_t j = 0; j < n; j++) {
        keep[j] = at < m;
        for (int64_t i = 0; i < rows && keep[j]; i++)
            keep[j] = transposed ? a[j * rows + i] == b[at * rows + i] : a[i * n + j] == b[i * m + at];
        at += keep[j];
    }
    assert_int_equal(at, m);
    return at;
}

static void zero_position(hone_tensor *t, int axis, int64_t position) {
    int64_t row = 1;
    for (int i = axis + 1; i < t->rank; i++) row *= t->dims[i];
    for (int64_t i = 0; i < t->count; i++)
        if (i / row % t->dims[axis] == position) ((float *)t->data)[i] = 0;
}

/* `weights` (name, axis), ended by a NULL, of a copy of g set to zero where units went; the outputs agree. */
typedef struct part {
    const char *name;
    int axis;
} part;

static void exact(const hone_graph *g, const hone_graph *p, const part *parts, const bool *keep) {
    hone_graph *zeroed = copy_of(g);
    for (; parts->name; parts++) {
        hone_value *v = hone_graph_find(zeroed, parts->name);
        hone_tensor *own = NULL;
        ok(hone_tensor_copy_of(HONE_FLOAT32, v->data->rank, v->data->dims, v->data->data, &own, &err));
        for (int64_t i = 0; i < own->dims[parts->axis]; i++)
            if (!keep[i]) zero_position(own, parts->axis, i);
        hone_tensor_free(v->data);
        v->data = own;
    }
    hone_tensor *a = predict(zeroed, data, 120), *b = predict(p, data, 120);
    for (int64_t i = 0; i < a->count; i++)
        assert_true(fabsf(((const float *)a->data)[i] - ((const float *)b->data)[i]) < 1e-5f);
    hone_tensor_free(a);
    hone_tensor_free(b);
    hone_graph_free(zeroed);
}

static void test_units_go(void **state) {
    (void)state;
    hone_graph *g = mlp("12-10-4", data, 1);
    for (int i = 1; i < 8; i++) { /* a share of ten units and the biases behind them, rounded up */
        hone_prune_options o = structured(0.1 * i);
        int left = 10 - (11 * i + 9) / 10;
        hone_prune_report r;
        bool keep[10];
        hone_graph *p = pruned(g, &o, &r);
        assert_int_equal(find_kept(weight_of(g, "layer1.weight"), weight_of(p, "layer1.weight"), false, keep),
                         left);
        assert_int_equal(weight_of(p, "layer1.bias")->dims[0], left);
        assert_int_equal(weight_of(p, "layer2.weight")->dims[0], left);
        exact(g, p, (part[]){{"layer1.weight", 1}, {"layer1.bias", 0}, {"layer2.weight", 0}, {NULL, 0}},
              keep);
        assert_int_equal(r.multiply_adds_before, 12 * 10 + 10 * 4);
        assert_int_equal(r.multiply_adds_after, (12 + 4) * left);
        assert_int_equal(r.parameters_before, 12 * 10 + 10 + 10 * 4 + 4 + 24);
        assert_int_equal(r.parameters_after, (12 + 1 + 4) * left + 4 + 24);
        assert_int_equal(r.weights, (12 + 4) * left);
        assert_int_equal(r.zeros, 0);
        assert_true((double)(r.parameters_after - 24) <= (1 - 0.1 * i) * (double)(r.parameters_before - 24));
        assert_true((double)r.multiply_adds_after <= (1 - 0.1 * i) * (double)r.multiply_adds_before);
        hone_graph_free(p);
    }
    hone_graph_free(g);
}

/* The units of the least norm, in and out, are the ones. */
static void test_the_weakest_units_go(void **state) {
    (void)state;
    hone_graph *g = mlp("12-10-4", data, 1);
    float *w1 = weight_of(g, "layer1.weight")->data, *w2 = weight_of(g, "layer2.weight")->data;
    for (int k = 0; k < 12; k++) w1[k * 10 + 7] *= 0.01f;
    for (int k = 0; k < 4; k++) w2[2 * 4 + k] *= 0.01f;
    memset(weight_of(g, "layer1.bias")->data, 0, 10 * sizeof(float)); /* biases have no say */
    bool keep[10];
    hone_prune_options o = structured(0.18);
    hone_graph *p = pruned(g, &o, NULL);
    find_kept(weight_of(g, "layer1.weight"), weight_of(p, "layer1.weight"), false, keep);
    for (int i = 0; i < 10; i++) assert_int_equal(keep[i], i != 2 && i != 7);
    hone_graph_free(p);
    hone_graph_free(g);
}

/* A bias of shape [1, n] is a bias. */
static void test_biases_of_rank_two_have_no_say(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("biases");
    hone_value *h =
        HONE_EMIT(g, "", "Gemm", INPUT(g, 12), WEIGHT(g, "w1", 1, 12, 10), WEIGHT(g, "b1", 1, 1, 10));
    finished(g, HONE_EMIT(g, "", "Gemm", HONE_EMIT(g, "", "Relu", h), WEIGHT(g, "w2", 1, 10, 4)));
    float *w1 = weight_of(g, "w1")->data;
    memset(weight_of(g, "b1")->data, 0, 10 * sizeof(float)); /* would make all units alike */
    for (int k = 0; k < 12; k++) w1[k * 10 + 7] *= 0.01f;
    bool keep[10];
    hone_prune_options o = structured(0.09);
    hone_graph *p = pruned(g, &o, NULL);
    find_kept(weight_of(g, "w1"), weight_of(p, "w1"), false, keep);
    assert_false(keep[7]);
    assert_int_equal(weight_of(p, "b1")->dims[1], 9);
    hone_graph_free(p);
    hone_graph_free(g);
}

static void test_residual(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("residual");
    hone_value *x = HONE_EMIT(g, "", "Gemm", INPUT(g, 12), WEIGHT(g, "w0", 1, 12, 8), WEIGHT(g, "b0", 1, 8));
    hone_value *h = HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, "w1", 1, 8, 6), WEIGHT(g, "b1", 1, 6));
    h = HONE_EMIT(g, "", "Gemm", HONE_EMIT(g, "", "Relu", h), WEIGHT(g, "w2", 1, 6, 8),
                  WEIGHT(g, "b2", 1, 8));
    finished(g, HONE_EMIT(g, "", "Gemm", HONE_EMIT(g, "", "Add", h, x), WEIGHT(g, "w3", 1, 8, 4)));
    hone_prune_options o = structured(0.42);
    hone_prune_report r;
    hone_graph *p = pruned(g, &o, &r), *half = copy_of(g);
    bool outer[8], inner[6];
    assert_memory_equal(weight_of(p, "w1")->dims, ((int64_t[]){4, 3}), 2 * sizeof(int64_t));
    assert_int_equal(weight_of(p, "b2")->dims[0], 4);
    /* w0 has only the outer units cut; those of w1's columns are found in b1, which has only the inner ones */
    find_kept(weight_of(g, "w0"), weight_of(p, "w0"), false, outer);
    for (int i = 0, at = 0; i < 6; i++) {
        inner[i] = at < 3 && ((const float *)weight_of(g, "b1")->data)[i] ==
                                 ((const float *)weight_of(p, "b1")->data)[at];
        at += inner[i];
    }
    for (int i = 0; i < 6; i++) {
        if (inner[i]) continue;
        static const part inner_parts[] = {{"w1", 1}, {"b1", 0}, {"w2", 0}};
        for (int k = 0; k < 3; k++) {
            hone_value *v = hone_graph_find(half, inner_parts[k].name);
            hone_tensor *own = NULL;
            ok(hone_tensor_copy_of(HONE_FLOAT32, v->data->rank, v->data->dims, v->data->data, &own, &err));
            zero_position(own, inner_parts[k].axis, i);
            hone_tensor_free(v->data);
            v->data = own;
        }
    }
    exact(half, p, (part[]){{"w0", 1}, {"b0", 0}, {"w1", 0}, {"w2", 1}, {"b2", 0}, {"w3", 0}, {NULL, 0}},
          outer);
    assert_int_equal(r.multiply_adds_after, 12 * 4 + 4 * 3 + 3 * 4 + 4 * 4);
    hone_graph_free(p);
    hone_graph_free(half);
    hone_graph_free(g);
}

static void test_transposed_weights(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("transpose");
    hone_value *h =
        HONE_EMIT(g, "", "MatMul", INPUT(g, 12), HONE_EMIT(g, "", "Transpose", WEIGHT(g, "w1", 1, 8, 12)));
    h = HONE_EMIT(g, "", "Relu", HONE_EMIT(g, "", "Add", h, WEIGHT(g, "b1", 1, 8)));
    finished(g, HONE_EMIT(g, "", "MatMul", h, HONE_EMIT(g, "", "Transpose", WEIGHT(g, "w2", 1, 4, 8))));
    hone_prune_options o = structured(0.22);
    hone_prune_report r;
    bool keep[8];
    hone_graph *p = pruned(g, &o, &r);
    assert_int_equal(find_kept(weight_of(g, "w1"), weight_of(p, "w1"), true, keep), 6);
    exact(g, p, (part[]){{"w1", 0}, {"b1", 0}, {"w2", 1}, {NULL, 0}}, keep);
    assert_int_equal(r.weights, 6 * 12 + 4 * 6);
    hone_graph_free(p);
    o = sparse(0.5); /* and the same weights with a mask */
    o.finetune.epochs = 2;
    p = pruned(g, &o, &r);
    assert_int_equal(r.weights, 8 * 12 + 4 * 8);
    assert_int_equal(r.zeros, 64);
    assert_int_equal(zeros_in(weight_of(p, "w1")) + zeros_in(weight_of(p, "w2")), 64);
    hone_graph_free(p);
    hone_graph_free(g);
}

static void test_both_at_once_with_fine_tuning(void **state) {
    (void)state;
    hone_graph *g = mlp("12-20-10-4", data, 1);
    hone_train_options t = HONE_TRAIN_OPTIONS_INIT;
    hone_prune_options o = structured(0.45);
    hone_prune_report r;
    t.epochs = 60;
    t.threads = 1;
    ok(hone_train(g, data, &t, NULL, &err));
    o.sparsity = 0.5;
    o.finetune.epochs = 60;
    o.finetune.learning_rate = 0.02;
    hone_graph *p = pruned(g, &o, &r);
    assert_int_equal(r.weights, 12 * 10 + 10 * 5 + 5 * 4);
    assert_int_equal(r.zeros, 95);
    hone_eval_report e;
    ok(hone_evaluate(p, data, NULL, 1, &e, &err));
    assert_true(e.metrics[0].value > 0.8);
    hone_graph_free(p);
    hone_graph_free(g);
}

static void test_what_blocks_is_told(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("softmax"), *p = NULL;
    hone_value *h = HONE_EMIT(g, "", "MatMul", INPUT(g, 12), WEIGHT(g, "w1", 1, 12, 8));
    hone_value *in[] = {h};
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Softmax"), "attention", 1, in, 1);
    finished(g, HONE_EMIT(g, "", "MatMul", n->outputs[0], WEIGHT(g, "w2", 1, 8, 4)));
    hone_prune_options o = structured(0.5);
    hone_prune_report r;
    refused(hone_prune(g, data, &o, &p, &r, &err), HONE_UNSUPPORTED,
            "no hidden units can be removed: w1: blocked by attention (Softmax)");
    assert_null(p);
    hone_graph_free(g);

    /* one group can go, the other is told */
    g = hone_graph_new("half");
    h = HONE_EMIT(g, "", "MatMul", INPUT(g, 12), WEIGHT(g, "w1", 1, 12, 8));
    n = hone_graph_add_node(g, hone_op_find("", "Softmax"), "attention", 1, &h, 1);
    h = HONE_EMIT(g, "", "MatMul", n->outputs[0], WEIGHT(g, "w2", 1, 8, 6));
    finished(g, HONE_EMIT(g, "", "MatMul", HONE_EMIT(g, "", "Relu", h), WEIGHT(g, "w3", 1, 6, 4)));
    p = pruned(g, &o, &r);
    assert_string_equal(r.blocked, "w1: blocked by attention (Softmax)");
    assert_int_equal(weight_of(p, "w2")->dims[1], 2);
    assert_int_equal(weight_of(p, "w1")->dims[1], 8);
    hone_graph_free(p);
    hone_graph_free(g);

    /* more than the report has room for */
    g = hone_graph_new("many");
    h = INPUT(g, 12);
    for (int i = 0; i < 40; i++) {
        char name[40];
        snprintf(name, sizeof name, "weight.with.a.long.name.%d", i);
        h = HONE_EMIT(g, "", "Softmax", HONE_EMIT(g, "", "MatMul", h, WEIGHT(g, name, 1, 12, 12)));
    }
    finished(g, h);
    refused(hone_prune(g, data, &o, &p, &r, &err), HONE_UNSUPPORTED, "no hidden units can be removed");
    assert_true(strlen(r.blocked) < sizeof r.blocked);
    hone_graph_free(g);
}

/* The pixels of an image, which Flatten mixes, are no units that anyone wants to lose. */
static void test_features_of_the_input_are_no_news(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("image");
    hone_value *x = HONE_EMIT(g, "", "Flatten", INPUT(g, 1, 3, 4));
    x = HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, "w1", 1, 12, 8), WEIGHT(g, "b1", 1, 8));
    finished(g, HONE_EMIT(g, "", "Gemm", HONE_EMIT(g, "", "Relu", x), WEIGHT(g, "w2", 1, 8, 4)));
    hone_prune_options o = structured(0.5);
    hone_prune_report r;
    hone_graph *p = pruned(g, &o, &r);
    assert_string_equal(r.blocked, "");
    assert_int_equal(weight_of(p, "b1")->dims[0], 3);
    hone_graph_free(p);
    hone_graph_free(g);
}

static void test_one_goes_and_one_stays(void **state) {
    (void)state;
    hone_graph *g = mlp("12-5-4", data, 1);
    hone_prune_options o = structured(0.01);
    hone_graph *p = pruned(g, &o, NULL);
    assert_int_equal(weight_of(p, "layer1.bias")->dims[0], 4);
    hone_graph_free(p);
    o.structured = 0.99;
    p = pruned(g, &o, NULL);
    assert_int_equal(weight_of(p, "layer1.bias")->dims[0], 1);
    hone_graph_free(p);
    hone_graph_free(g);
}

/* Thousands of units: choosing is no square of them. */
static void test_many_units(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("wide");
    hone_value *h = HONE_EMIT(g, "", "MatMul", INPUT(g, 12), WEIGHT(g, "w1", 1, 12, 200000));
    finished(g, HONE_EMIT(g, "", "MatMul", h, WEIGHT(g, "w2", 1, 200000, 1)));
    hone_prune_options o = structured(0.5);
    hone_graph *p = pruned(g, &o, NULL);
    assert_int_equal(weight_of(p, "w2")->dims[0], 99999);
    hone_graph_free(p);
    hone_graph_free(g);
}

/* --- what is refused --- */

static void test_options_out_of_range(void **state) {
    (void)state;
    static const double bad[] = {-0.1, 1, 1.5, NAN, INFINITY};
    hone_graph *g = mlp("12-9-4", data, 1), *p = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hone_prune_options o = sparse(bad[i]);
        refused(hone_prune(g, data, &o, &p, NULL, &err), HONE_INVALID_ARGUMENT,
                "must be at least 0 and below 1");
        o = structured(bad[i]);
        refused(hone_prune(g, data, &o, &p, NULL, &err), HONE_INVALID_ARGUMENT,
                "must be at least 0 and below 1");
    }
    hone_prune_options o = sparse(0);
    refused(hone_prune(g, data, &o, &p, NULL, &err), HONE_INVALID_ARGUMENT, "needs a sparsity");
    refused(hone_prune(g, data, NULL, &p, NULL, &err), HONE_INVALID_ARGUMENT, "needs a sparsity");
    o = sparse(0.5);
    o.finetune.epochs = 1;
    refused(hone_prune(g, NULL, &o, &p, NULL, &err), HONE_INVALID_ARGUMENT, "fine-tuning needs data");
    o.finetune.epochs = -1;
    refused(hone_prune(g, data, &o, &p, NULL, &err), HONE_INVALID_ARGUMENT, "epochs -1");
    o.finetune.epochs = 1;
    o.finetune.learning_rate = -1;
    refused(hone_prune(g, data, &o, &p, NULL, &err), HONE_INVALID_ARGUMENT, "learning rate -1");
    assert_null(p);
    hone_graph_free(g);
}

static void test_weights_that_are_not_numbers(void **state) {
    (void)state;
    const float bad[] = {NAN, INFINITY};
    for (int i = 0; i < 2; i++) {
        hone_graph *g = mlp("12-9-4", data, 1), *p = NULL;
        hone_prune_options o = i ? structured(0.5) : sparse(0.5);
        ((float *)weight_of(g, "layer2.weight")->data)[5] = bad[i];
        refused(hone_prune(g, data, &o, &p, NULL, &err), HONE_OUT_OF_RANGE, "node layer2.weight: ");
        assert_null(p);
        hone_graph_free(g);
    }
}

static void test_nothing_to_prune(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("nothing"), *p = NULL;
    finished(g, HONE_EMIT(g, "", "Relu", INPUT(g, 12)));
    hone_prune_options o = sparse(0.5);
    refused(hone_prune(g, data, &o, &p, NULL, &err), HONE_INVALID_ARGUMENT, "has no weights to prune");
    o = structured(0.5);
    refused(hone_prune(g, data, &o, &p, NULL, &err), HONE_UNSUPPORTED, "no hidden units can be removed");
    hone_graph_free(g);
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_graph *g = mlp("12-9-4", data, 1), *before = copy_of(g), *p = NULL;
    hone_prune_options o = sparse(0.5);
    hone_prune_report r;
    o.structured = 0.5;
    o.finetune.epochs = 1;
    o.finetune.batch = 64;
    FAIL_EACH_ALLOCATION(hone_prune(g, data, &o, &p, &r, &err), {
        assert_null(p);
        assert_true(same_weights(g, before));
    });
    assert_int_equal(r.weights, 12 * 4 + 4 * 4);
    assert_int_equal(r.zeros, 32);
    hone_graph_free(p);
    hone_graph_free(before);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_share_of_zeros_is_exact),
        cmocka_unit_test(test_the_smallest_go),
        cmocka_unit_test(test_equal_magnitudes),
        cmocka_unit_test(test_zeros_that_are_there),
        cmocka_unit_test(test_fine_tuning_keeps_the_zeros),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_growing_is_one_training),
        cmocka_unit_test(test_units_go),
        cmocka_unit_test(test_the_weakest_units_go),
        cmocka_unit_test(test_biases_of_rank_two_have_no_say),
        cmocka_unit_test(test_residual),
        cmocka_unit_test(test_transposed_weights),
        cmocka_unit_test(test_both_at_once_with_fine_tuning),
        cmocka_unit_test(test_what_blocks_is_told),
        cmocka_unit_test(test_features_of_the_input_are_no_news),
        cmocka_unit_test(test_one_goes_and_one_stays),
        cmocka_unit_test(test_many_units),
        cmocka_unit_test(test_options_out_of_range),
        cmocka_unit_test(test_weights_that_are_not_numbers),
        cmocka_unit_test(test_nothing_to_prune),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_data, free_data);
}
