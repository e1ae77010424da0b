/* Small graphs of what images go through, put together at random: the same results with their channels last as without. */
#include "support/graphs.h"

#define GRAPHS 600
#define STEPS 8
#define MOST 64       /* values, inputs */
#define LARGEST 40000 /* elements of a value */
#define OFF "channels-last"

typedef struct maker {
    hone_graph *g;
    hone_rng r;
    int rank;
    hone_value *images[MOST]; /* float32, of that rank */
    int count;
    hone_tensor *in[MOST];
    int inputs;
} maker;

static int64_t below(maker *m, int64_t n) {
    return hone_rng_below(&m->r, (uint32_t)n);
}
static bool once_in(maker *m, int64_t n) {
    return below(m, n) == 0;
}

/* The last image mostly, so that chains are long. */
static hone_value *pick(maker *m) {
    return m->images[once_in(m, 2) ? below(m, m->count) : m->count - 1];
}

static hone_tensor *numbers(maker *m, int rank, const int64_t *dims, double size) {
    hone_tensor *t = tensor_random(HONE_FLOAT32, rank, dims, hone_rng_u32(&m->r));
    for (int64_t i = 0; i < t->count; i++) tensor_set(t, i, size * tensor_at(t, i));
    return t;
}

static hone_value *constant(maker *m, int rank, const int64_t *dims, double size) {
    return graph_constant(m->g, "k", numbers(m, rank, dims, size));
}

static hone_value *input(maker *m, int rank, const int64_t *dims, double size) {
    assert_true(m->inputs < MOST);
    m->in[m->inputs++] = numbers(m, rank, dims, size);
    return graph_input(m->g, "in", HONE_FLOAT32, rank, dims);
}

static hone_value *either(maker *m, int rank, const int64_t *dims, double size) {
    return once_in(m, 3) ? input(m, rank, dims, size) : constant(m, rank, dims, size);
}

/* Infers a node; its outputs that are images go on. */
static void done(maker *m, hone_value *v) {
    hone_error err;
    check_ok(hone_graph_check(m->g, &err));
    check_ok(hone_graph_infer_node(m->g, v->producer, &err));
    for (int i = 0; i < v->producer->output_count; i++) {
        hone_value *y = v->producer->outputs[i];
        const int64_t count = hone_type_count(&y->type);
        if (y->type.rank == m->rank && y->type.dtype == HONE_FLOAT32 && count <= LARGEST && m->count < MOST)
            m->images[m->count++] = y;
    }
}

/* --- steps --- */

static void conv(maker *m, hone_value *x) {
    const int64_t *d = x->type.dims;
    const int spatial = m->rank - 2;
    if (d[1] == 0) return;
    const int kind = (int)below(m, 8); /* 0: depthwise, 1: groups, 2: weights that change */
    const int64_t group = kind == 0 ? d[1] : kind == 1 && d[1] % 2 == 0 ? 2 : 1;
    int64_t w[4] = {kind == 0 ? d[1] : 2 * (1 + below(m, 9)), d[1] / group}, fan = w[1];
    int64_t stride[2], dilation[2], pads[4];
    for (int i = 0; i < spatial; i++) {
        w[2 + i] = 1 + below(m, 3);
        stride[i] = 1 + once_in(m, 3);
        dilation[i] = 1 + once_in(m, 3);
        pads[i] = below(m, 3);
        pads[spatial + i] = below(m, 3);
        if ((w[2 + i] - 1) * dilation[i] + 1 > d[2 + i]) w[2 + i] = 1;
        fan *= w[2 + i];
    }
    const double size = sqrt(3.0 / (double)fan);
    hone_value *weights = kind == 2 ? input(m, m->rank, w, size) : constant(m, m->rank, w, size);
    hone_value *y = graph_op(m->g, "Conv", x, weights, once_in(m, 2) ? either(m, 1, w, 1) : NULL);
    hone_node *n = y->producer;
    hone_node_set_int(m->g, n, "group", group);
    hone_node_set_ints(m->g, n, "strides", stride, (size_t)spatial);
    hone_node_set_ints(m->g, n, "dilations", dilation, (size_t)spatial);
    static const char *const automatic[] = {"SAME_UPPER", "SAME_LOWER", "VALID"};
    if (once_in(m, 4))
        hone_node_set_string(m->g, n, "auto_pad", automatic[below(m, 3)]);
    else
        hone_node_set_ints(m->g, n, "pads", pads, 2 * (size_t)spatial);
    done(m, y);
}

static void unary(maker *m, hone_value *x) {
    static const char *const ops[] = {"Relu", "Sigmoid", "Neg",      "HardSwish", "Gelu",
                                      "Tanh", "Abs",     "Softplus", "Identity"};
    done(m, graph_op(m->g, ops[below(m, COUNT(ops))], x));
}

/* With an operand of fewer axes, or of extent 1 on some. */
static void binary(maker *m, hone_value *x) {
    static const char *const ops[] = {"Add", "Mul", "Sub", "Max", "PRelu"};
    const int op = (int)below(m, COUNT(ops)), rank = (int)below(m, m->rank + 1);
    int64_t dims[4];
    const bool channels = once_in(m, 3);
    for (int i = 0; i < rank; i++) {
        const int axis = m->rank - rank + i;
        dims[i] = (channels ? axis == 1 : once_in(m, 2)) ? x->type.dims[axis] : 1;
    }
    hone_value *k = either(m, rank, dims, 1);
    done(m, op < 4 && once_in(m, 2) ? graph_op(m->g, ops[op], k, x) : graph_op(m->g, ops[op], x, k));
}

static bool broadcasts(const hone_type *a, const hone_type *b) {
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i] && a->dims[i] != 1 && b->dims[i] != 1) return false;
    return true;
}

static void join(maker *m, hone_value *x) {
    hone_value *y = m->images[below(m, m->count)];
    if (!broadcasts(&x->type, &y->type)) return;
    static const char *const ops[] = {"Add", "Mul", "Sub", "Max"};
    if (once_in(m, 5)) {
        hone_value *c = graph_op(m->g, "Greater", x, graph_op(m->g, "Abs", y));
        hone_error err;
        check_ok(hone_graph_infer(m->g, &err));
        done(m, graph_op(m->g, "Where", c, graph_op(m->g, "Sub", x, graph_op(m->g, "Abs", y)),
                         hone_graph_scalar(m->g, HONE_FLOAT32, 0)));
        return;
    }
    done(m, graph_op(m->g, ops[below(m, COUNT(ops))], x, y));
}

static int64_t some_axis(maker *m) {
    return below(m, 2 * m->rank) - m->rank;
}

static void concat(maker *m, hone_value *x) {
    const int64_t axis = some_axis(m), at = axis < 0 ? axis + m->rank : axis;
    hone_value *y = m->images[below(m, m->count)];
    for (int i = 0; i < m->rank; i++)
        if (i != at && x->type.dims[i] != y->type.dims[i]) return;
    y = once_in(m, 3) ? graph_op(m->g, "Concat", y, x, y) : graph_op(m->g, "Concat", x, y);
    hone_node_set_int(m->g, y->producer, "axis", axis);
    done(m, y);
}

static void split(maker *m, hone_value *x) {
    const int64_t axis = some_axis(m), length = x->type.dims[axis < 0 ? axis + m->rank : axis];
    if (length < 2) return;
    const int64_t lengths[2] = {1 + below(m, length - 1), 0}, both[2] = {lengths[0], length - lengths[0]};
    hone_value *in[2] = {x, once_in(m, 2) ? hone_graph_ints(m->g, both, 2) : NULL};
    hone_node *n = hone_graph_add_node(m->g, hone_op_find("", "Split"), "split", 2, in, 2);
    hone_node_set_int(m->g, n, "axis", axis);
    if (!in[1]) hone_node_set_int(m->g, n, "num_outputs", 2);
    done(m, n->outputs[0]);
}

/* Some axes, in any order; how many. */
static int some_axes(maker *m, int64_t *axes) {
    int count = 0;
    for (int i = 0; i < m->rank; i++)
        if (once_in(m, 2)) {
            const int at = (int)below(m, count + 1);
            axes[count++] = axes[at];
            axes[at] = once_in(m, 2) ? i : i - m->rank;
        }
    return count;
}

static void pad(maker *m, hone_value *x) {
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    const char *mode = modes[below(m, COUNT(modes))];
    int64_t axes[4], pads[8];
    const bool given = once_in(m, 2);
    const int count = given ? some_axes(m, axes) : m->rank;
    for (int i = 0; i < count; i++) {
        const int64_t axis = given ? axes[i] : i, length = x->type.dims[axis < 0 ? axis + m->rank : axis];
        for (int end = 0; end < 2; end++)
            pads[i + end * count] = length < 2 ? 0 : below(m, length < 4 ? length : 4);
    }
    hone_value *y = graph_op(m->g, "Pad", x, hone_graph_ints(m->g, pads, 2 * count),
                             once_in(m, 2) ? hone_graph_scalar(m->g, HONE_FLOAT32, 0.5) : NULL,
                             given ? hone_graph_ints(m->g, axes, count) : NULL);
    hone_node_set_string(m->g, y->producer, "mode", mode);
    done(m, y);
}

static void slice(maker *m, hone_value *x) {
    int64_t axes[4], starts[4], ends[4], steps[4];
    const int count = some_axes(m, axes);
    for (int i = 0; i < count; i++) {
        const int64_t length = x->type.dims[axes[i] < 0 ? axes[i] + m->rank : axes[i]];
        const bool back = once_in(m, 4);
        starts[i] = back ? -1 : below(m, length / 2 + 1);
        ends[i] = back ? INT64_MIN : length - below(m, length / 2 + 1);
        steps[i] = (back ? -1 : 1) * (1 + below(m, 2));
    }
    const bool given = count < 1 || axes[0] != 0 || count > 1; /* the first axis by itself may be left out */
    done(m,
         graph_op(m->g, "Slice", x, hone_graph_ints(m->g, starts, count), hone_graph_ints(m->g, ends, count),
                  given ? hone_graph_ints(m->g, axes, count) : NULL, hone_graph_ints(m->g, steps, count)));
}

static void gather(maker *m, hone_value *x) {
    const int64_t axis = some_axis(m), length = x->type.dims[axis < 0 ? axis + m->rank : axis];
    int64_t index[5];
    const int count = 1 + (int)below(m, 5);
    if (length == 0) return;
    for (int i = 0; i < count; i++) index[i] = below(m, 2 * length) - length;
    hone_value *y = graph_op(m->g, "Gather", x, hone_graph_ints(m->g, index, count));
    hone_node_set_int(m->g, y->producer, "axis", axis);
    done(m, y);
}

static void resize(maker *m, hone_value *x) {
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const float scale[] = {0.5f, 1, 1, 1.5f, 2};
    int64_t axes[4], sizes[4];
    float scales[4];
    const bool given = once_in(m, 2), by_size = once_in(m, 2);
    const int count = given ? some_axes(m, axes) : m->rank, mode = (int)below(m, COUNT(modes));
    if (count == 0 || hone_type_count(&x->type) == 0) return;
    for (int i = 0; i < count; i++) {
        const int64_t axis = given ? axes[i] : i, length = x->type.dims[axis < 0 ? axis + m->rank : axis];
        scales[i] = length < 2 ? 1 : scale[below(m, COUNT(scale))];
        sizes[i] = (int64_t)(scales[i] * (float)length);
    }
    hone_value *y = graph_op(m->g, "Resize", x, NULL, by_size ? NULL : hone_graph_floats(m->g, scales, count),
                             by_size ? hone_graph_ints(m->g, sizes, count) : NULL);
    hone_node_set_string(m->g, y->producer, "mode", modes[mode]);
    if (given) hone_node_set_ints(m->g, y->producer, "axes", axes, (size_t)count);
    done(m, y);
}

static void softmax(maker *m, hone_value *x) {
    hone_value *y = graph_op(m->g, once_in(m, 2) ? "Softmax" : "LogSoftmax", x);
    hone_node_set_int(m->g, y->producer, "axis", some_axis(m));
    done(m, y);
}

static void reduce(maker *m, hone_value *x) {
    static const char *const ops[] = {"ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceLogSumExp"};
    int64_t axes[4];
    int count = once_in(m, 2) ? some_axes(m, axes) : 0;
    if (count == 0 && once_in(m, 2))
        for (; count < m->rank - 2; count++) axes[count] = 2 + count;
    hone_value *y =
        graph_op(m->g, ops[below(m, COUNT(ops))], x, count ? hone_graph_ints(m->g, axes, count) : NULL);
    hone_node_set_int(m->g, y->producer, "keepdims", !once_in(m, 4));
    done(m, y);
}

static void pool(maker *m, hone_value *x) {
    const bool mean = once_in(m, 2);
    const int spatial = m->rank - 2;
    int64_t kernel[2], stride[2], pads[4];
    for (int i = 0; i < spatial; i++) {
        kernel[i] = 1 + below(m, 3);
        if (kernel[i] > x->type.dims[2 + i]) kernel[i] = 1;
        stride[i] = 1 + below(m, 2);
        pads[i] = below(m, kernel[i]);
        pads[spatial + i] = below(m, kernel[i]);
    }
    hone_value *y = graph_op(m->g, mean ? "AveragePool" : "MaxPool", x);
    hone_node *n = y->producer;
    hone_node_set_ints(m->g, n, "kernel_shape", kernel, (size_t)spatial);
    hone_node_set_ints(m->g, n, "strides", stride, (size_t)spatial);
    hone_node_set_ints(m->g, n, "pads", pads, 2 * (size_t)spatial);
    hone_node_set_int(m->g, n, "ceil_mode", once_in(m, 2));
    if (mean) hone_node_set_int(m->g, n, "count_include_pad", once_in(m, 2));
    done(m, y);
}

static void global(maker *m, hone_value *x) {
    static const char *const ops[] = {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"};
    done(m, graph_op(m->g, ops[below(m, COUNT(ops))], x));
}

static void transpose(maker *m, hone_value *x) {
    uint32_t order[4];
    int64_t perm[4];
    const int kind = (int)below(m, 3);
    hone_rng_permutation(hone_rng_u32(&m->r), 1, order, (uint32_t)m->rank);
    for (int i = 0; i < m->rank; i++) {
        perm[i] = order[i];
        if (kind == 0) perm[i] = i == 0 ? 0 : i == m->rank - 1 ? 1 : i + 1;
        if (kind == 1) perm[i] = i == 0 ? 0 : i == 1 ? m->rank - 1 : i - 1;
    }
    hone_value *y = graph_op(m->g, "Transpose", x);
    if (!once_in(m, 6)) hone_node_set_ints(m->g, y->producer, "perm", perm, (size_t)m->rank);
    done(m, y);
}

typedef void step_fn(maker *m, hone_value *x);
static step_fn *const steps[] = {conv,    conv,   conv,   conv,  unary,  unary,    binary, binary,
                                 join,    join,   concat, split, pad,    slice,    gather, resize,
                                 softmax, reduce, pool,   pool,  global, transpose};

static void make(maker *m, uint64_t seed) {
    *m = (maker){.g = hone_graph_new("random"), .r = hone_rng_make(seed, 3)};
    m->rank = once_in(m, 4) ? 3 : 4;
    int64_t dims[4] = {once_in(m, 30) ? 0 : 1 + below(m, 2), 1 + below(m, 12)};
    for (int i = 2; i < m->rank; i++) dims[i] = once_in(m, 10) ? 1 : 4 + below(m, 9);
    for (int i = 0; i < 1 + (int)once_in(m, 3); i++) m->images[m->count++] = input(m, m->rank, dims, 1);
    conv(m, m->images[0]);
    for (int i = 0; i < STEPS; i++) steps[below(m, COUNT(steps))](m, pick(m));
    int outputs = 0;
    for (const hone_node *n = m->g->first; n; n = n->next) /* all that nobody reads, and some others */
        for (int i = 0; i < n->output_count; i++)
            if (outputs < MOST && (n->outputs[i]->use_count == 0 || once_in(m, 8))) {
                hone_graph_add_output(m->g, n->outputs[i]);
                outputs++;
            }
}

/* The dimensions of images but channels become symbols (1) or unknown (2). */
static void hide(maker *m, int how) {
    static const char *const names[] = {"n", "c", "h", "w"};
    for (size_t i = 0; i < m->g->input_count && how; i++) {
        hone_type *t = &m->g->inputs[i]->type;
        for (int d = 0; d < t->rank; d++)
            if (i == 0 && d != 1) t->dims[d] = how == 2 ? HONE_DIM_ANY : hone_graph_symbol(m->g, names[d]);
    }
    for (const hone_node *n = m->g->first; n && how; n = n->next)
        for (int i = 0; i < n->output_count; i++) n->outputs[i]->type.rank = HONE_RANK_ANY;
}

static void print(const maker *m) {
    for (const hone_node *n = m->g->first; n; n = n->next) {
        for (int i = 0; i < n->output_count; i++) print_error("%s ", n->outputs[i]->name);
        print_error("= %s(", n->op->name);
        for (int i = 0; i < n->input_count; i++) print_error("%s ", n->inputs[i] ? n->inputs[i]->name : "-");
        print_error(")");
        static const char *const lists[] = {"strides", "pads", "dilations", "kernel_shape", "axes", "perm"};
        for (int k = 0; k < COUNT(lists); k++) {
            size_t count = 0;
            const int64_t *list =
                hone_attr_find(n->op->attrs, lists[k]) ? hone_node_ints(n, lists[k], &count) : NULL;
            if (list) print_error(" %s", lists[k]);
            for (size_t i = 0; i < count; i++) print_error(" %d", (int)list[i]);
        }
        for (int i = 0; i < n->input_count; i++) {
            print_error(" [");
            for (int d = 0; n->inputs[i] && d < n->inputs[i]->type.rank; d++)
                print_error("%d ", (int)n->inputs[i]->type.dims[d]);
            print_error("]");
        }
        print_error("\n");
    }
}

static bool close_to(const hone_tensor *a, const hone_tensor *b, double bound) {
    double most = 1;
    if (!same_shape(a, b)) return false;
    for (int64_t i = 0; i < b->count; i++)
        if (isfinite(tensor_at(b, i))) most = fmax(most, fabs(tensor_at(b, i)));
    for (int64_t i = 0; i < b->count; i++) {
        const double x = tensor_at(a, i), y = tensor_at(b, i);
        if (x == y || (x != x && y != y) || fabs(x - y) <= bound * most) continue;
        print_error("[%lld]: %.9g, not %.9g\n", (long long)i, x, y);
        return false;
    }
    return true;
}

static hone_tensor **run(const maker *m, const char *disable, int threads, int *last) {
    const hone_tensor *views[MOST];
    hone_tensor **out = calloc(MOST, sizeof *out);
    runner r = runner_make(m->g, disable, threads);
    runner_run(&r, m->in, views);
    for (size_t i = 0; i < m->g->output_count; i++) out[i] = tensor_copy(views[i]);
    *last = 0;
    for (const hone_node *n = r.model->bodies[0].graph->first; n; n = n->next)
        *last += strstr(n->op->name, "Last") != NULL;
    runner_free(&r);
    return out;
}

static void outputs_free(hone_tensor **out) {
    for (int i = 0; i < MOST; i++) hone_tensor_free(out[i]);
    free(out);
}

static void test_random(void **state) {
    (void)state;
    int64_t all = 0;
    for (int seed = 0; seed < GRAPHS; seed++) {
        maker m;
        int last, none;
        make(&m, (uint64_t)seed);
        hide(&m, seed % 3);
        hone_tensor **want = run(&m, OFF, 1, &none), **got = run(&m, NULL, 1, &last),
                    **other = run(&m, NULL, 3, &last);
        for (size_t i = 0; i < m.g->output_count; i++) {
            const bool near = close_to(got[i], want[i], 1e-4);
            if (near && same_shape(got[i], other[i]) &&
                (!got[i]->bytes || memcmp(got[i]->data, other[i]->data, got[i]->bytes) == 0))
                continue;
            print(&m);
            fail_msg("graph %d, output %s: %s", seed, m.g->outputs[i]->name,
                     near ? "not the same by threads" : "differs");
        }
        assert_int_equal(none, 0);
        all += last;
        outputs_free(want);
        outputs_free(got);
        outputs_free(other);
        for (int i = 0; i < m.inputs; i++) hone_tensor_free(m.in[i]);
        hone_graph_free(m.g);
    }
    assert_true(all > GRAPHS); /* the form that is tested was there */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
