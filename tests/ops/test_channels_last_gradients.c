/* Convolutions that are trained, put together at random with what stands around them: the same gradients with their channels
 * last as without, and for any number of threads. */
#include "support/graphs.h"

#include "graph/autodiff.h"
#include "graph/expand.h"

#define GRAPHS 300
#define MOST 32 /* inputs, outputs */
#define OFF "channels-last"

typedef struct maker {
    hone_graph *g;
    hone_rng r;
    int rank;
    hone_tensor *in[MOST];
    hone_value *wanted[MOST];
    int inputs;
} maker;

static hone_error err;

static int64_t below(maker *m, int64_t n) {
    return hone_rng_below(&m->r, (uint32_t)n);
}
static bool once_in(maker *m, int64_t n) {
    return below(m, n) == 0;
}

static hone_value *input(maker *m, int rank, const int64_t *dims, double size) {
    assert_true(m->inputs < MOST);
    hone_tensor *t = tensor_random(HONE_FLOAT32, rank, dims, hone_rng_u32(&m->r));
    for (int64_t i = 0; i < t->count; i++) tensor_set(t, i, size * tensor_at(t, i));
    m->in[m->inputs] = t;
    return m->wanted[m->inputs++] = graph_input(m->g, "in", HONE_FLOAT32, rank, dims);
}

static hone_value *inferred(maker *m, hone_value *y) {
    check_ok(hone_graph_check(m->g, &err));
    check_ok(hone_graph_infer_node(m->g, y->producer, &err));
    return y;
}

static hone_value *conv(maker *m, hone_value *x) {
    const int64_t *d = x->type.dims;
    const int spatial = m->rank - 2, kind = (int)below(m, 4);
    const int64_t group = kind == 0 ? d[1] : kind == 1 && d[1] % 2 == 0 ? 2 : 1;
    int64_t w[4] = {kind == 0 ? d[1] : 2 * (1 + below(m, 20)), d[1] / group}, stride[2], dilation[2], pads[4];
    double fan = (double)w[1];
    for (int i = 0; i < spatial; i++) {
        w[2 + i] = 1 + below(m, 4);
        stride[i] = 1 + (once_in(m, 2) ? below(m, 3) : 0);
        dilation[i] = stride[i] == 1 ? 1 + once_in(m, 4) : 1;
        pads[i] = below(m, 4);
        pads[spatial + i] = below(m, 3);
        if ((w[2 + i] - 1) * dilation[i] + 1 > d[2 + i]) w[2 + i] = 1;
        fan *= (double)w[2 + i];
    }
    hone_value *y = graph_op(m->g, "Conv", x, input(m, m->rank, w, sqrt(3 / fan)),
                             once_in(m, 2) ? input(m, 1, w, 1) : NULL);
    hone_node *n = y->producer;
    hone_node_set_int(m->g, n, "group", group);
    hone_node_set_ints(m->g, n, "strides", stride, (size_t)spatial);
    hone_node_set_ints(m->g, n, "dilations", dilation, (size_t)spatial);
    if (once_in(m, 4))
        hone_node_set_string(m->g, n, "auto_pad", once_in(m, 2) ? "SAME_UPPER" : "SAME_LOWER");
    else
        hone_node_set_ints(m->g, n, "pads", pads, 2 * (size_t)spatial);
    return inferred(m, y);
}

/* By the batch's statistics. */
static hone_value *normalize(maker *m, hone_value *x) {
    const int64_t c = x->type.dims[1];
    hone_value *in[5] = {x};
    for (int i = 1; i < 5; i++)
        in[i] = i < 3 ? input(m, 1, &c, 1)
                      : graph_constant(m->g, "k", tensor_random(HONE_FLOAT32, 1, &c, hone_rng_u32(&m->r)));
    hone_node *n = hone_graph_add_node(m->g, hone_op_find("", "BatchNormalization"), "norm", 5, in, 1);
    hone_node_set_int(m->g, n, "training_mode", 1);
    hone_node_set_float(m->g, n, "epsilon", 0.1f);
    return inferred(m, n->outputs[0]);
}

/* Of what is not computed, so that no rounding chooses another element. */
static hone_value *pool(maker *m, hone_value *x) {
    const int spatial = m->rank - 2;
    int64_t kernel[2], stride[2], pads[4];
    for (int i = 0; i < spatial; i++) {
        kernel[i] = x->type.dims[2 + i] < 4 ? 1 : 1 + below(m, 3);
        stride[i] = once_in(m, 2) ? kernel[i] : 1 + below(m, 2);
        pads[i] = once_in(m, 2) ? 0 : below(m, kernel[i]);
        pads[spatial + i] = once_in(m, 2) ? 0 : below(m, kernel[i]);
    }
    hone_value *y = graph_op(m->g, "MaxPool", x);
    hone_node_set_ints(m->g, y->producer, "kernel_shape", kernel, (size_t)spatial);
    hone_node_set_ints(m->g, y->producer, "strides", stride, (size_t)spatial);
    hone_node_set_ints(m->g, y->producer, "pads", pads, 2 * (size_t)spatial);
    hone_node_set_int(m->g, y->producer, "ceil_mode", once_in(m, 2));
    return inferred(m, y);
}

static hone_value *layer(maker *m, hone_value *x) {
    hone_value *y = conv(m, x);
    if (once_in(m, 2)) y = normalize(m, y);
    if (!once_in(m, 3)) y = inferred(m, graph_op(m->g, once_in(m, 2) ? "Tanh" : "Sigmoid", y));
    if (once_in(m, 2) && x->type.dims[1] == y->type.dims[1] && x->type.dims[2] == y->type.dims[2] &&
        x->type.dims[m->rank - 1] == y->type.dims[m->rank - 1])
        y = inferred(m, graph_op(m->g, "Add", x, y));
    return y;
}

/* Outputs: what the network gives, and its gradients to all inputs before the cotangent. */
static void make(maker *m, uint64_t seed) {
    *m = (maker){.g = hone_graph_new("random"), .r = hone_rng_make(seed, 4)};
    m->rank = once_in(m, 4) ? 3 : 4;
    int64_t dims[4] = {1 + below(m, 3), 1 + below(m, 20)};
    for (int i = 2; i < m->rank; i++) dims[i] = once_in(m, 10) ? 1 : 4 + below(m, 12);
    hone_value *y = input(m, m->rank, dims, 1), *found[MOST];
    if (once_in(m, 2)) y = pool(m, y);
    for (int i = 0; i < 1 + (int)below(m, 3); i++) y = layer(m, y);
    if (once_in(m, 3)) y = inferred(m, graph_op(m->g, "GlobalAveragePool", y));
    hone_graph_add_output(m->g, y);
    check_ok(hone_graph_infer(m->g, &err));
    check_ok(hone_graph_expand(m->g, true, &err));
    y = m->g->outputs[0];
    const int count = m->inputs;
    hone_value *cotangent = input(m, y->type.rank, y->type.dims, 1);
    check_ok(hone_graph_differentiate(m->g, 1, &y, &cotangent, count, m->wanted, found, &err));
    for (int i = 0; i < count; i++)
        if (found[i]) hone_graph_add_output(m->g, found[i]);
}

static bool close_to(const hone_tensor *a, const hone_tensor *b) {
    double most = 1;
    if (!same_shape(a, b)) return false;
    for (int64_t i = 0; i < b->count; i++) most = fmax(most, fabs(tensor_at(b, i)));
    for (int64_t i = 0; i < b->count; i++)
        if (!(fabs(tensor_at(a, i) - tensor_at(b, i)) <= 1e-4 * most)) {
            print_error("[%lld]: %.9g, not %.9g\n", (long long)i, tensor_at(a, i), tensor_at(b, i));
            return false;
        }
    return true;
}

/* How many nodes of each of the forms that are tested there are. */
static const char *const forms[] = {"ConvLast",           "ConvLastGradX",      "ConvLastGradW",
                                    "DepthwiseLastGradX", "DepthwiseLastGradW", "MaxPoolLastGrad",
                                    "BatchStatistics",    "BatchSums"};

static void run(const maker *m, const char *disable, int threads, hone_tensor **out, int *seen) {
    const hone_tensor *views[MOST];
    runner r = runner_make(m->g, disable, threads);
    runner_run(&r, m->in, views);
    for (size_t i = 0; i < m->g->output_count; i++) out[i] = tensor_copy(views[i]);
    for (const hone_node *n = r.model->bodies[0].graph->first; n && seen; n = n->next)
        for (int f = 0; f < COUNT(forms); f++) seen[f] += strcmp(n->op->name, forms[f]) == 0;
    runner_free(&r);
}

static void test_random(void **state) {
    (void)state;
    int seen[COUNT(forms)] = {0};
    for (int seed = 0; seed < GRAPHS; seed++) {
        maker m;
        hone_tensor *want[MOST], *got[MOST], *other[MOST];
        make(&m, (uint64_t)seed);
        run(&m, OFF, 1, want, NULL);
        run(&m, NULL, 1, got, seen);
        run(&m, NULL, 3, other, NULL);
        for (size_t i = 0; i < m.g->output_count; i++) {
            if (!close_to(got[i], want[i])) fail_msg("graph %d, output %d differs", seed, (int)i);
            if (memcmp(got[i]->data, other[i]->data, got[i]->bytes) != 0)
                fail_msg("graph %d, output %d: not the same by threads", seed, (int)i);
            hone_tensor_free(want[i]), hone_tensor_free(got[i]), hone_tensor_free(other[i]);
        }
        for (int i = 0; i < m.inputs; i++) hone_tensor_free(m.in[i]);
        hone_graph_free(m.g);
    }
    for (int f = 0; f < COUNT(forms); f++)
        if (seen[f] < GRAPHS / 20) fail_msg("only %d of %s", seen[f], forms[f]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
