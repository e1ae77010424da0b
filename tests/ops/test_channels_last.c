/* Images with their channels last: the same results as without, and no more transposing than what cannot be saved. */
#include "onnx/onnx.h"

#include "ops/each_level.h"
#include "support/graphs.h"

#define MOST 8 /* inputs, and outputs */
#define OFF "channels-last"

static const char *program;

/* A graph as text. Inputs w... are constants; all are filled at random. */
typedef struct row {
    const char *inputs, *outputs, *body;
    int last;       /* nodes that are for images with their channels last only */
    int transposes; /* of the compiled graph */
} row;

#define X9 "float[2,5,9,8] x, float[12,5,3,3] w"
#define X9_TWO X9 ", float[9,12,3,3] w2"
#define CONV "a = Conv<pads=[1,1,1,1]>(x, w) "
#define CONV_2 "y = Conv<pads=[1,1,1,1]>(b, w2)"
#define Y "float[] y"

static const row rows[] = {
    /* convolutions: what takes part, and what stays */
    {X9, Y, "y = Conv(x, w)", 1, 2},
    {X9 ", float[12] wb", Y, "y = Conv<pads=[1,0,2,1], strides=[2,1]>(x, w, wb)", 1, 2},
    {X9 ", float[12] b", Y, "y = Conv<dilations=[2,3], pads=[2,0,3,4]>(x, w, b)", 1, 2},
    {X9, Y, "y = Conv<auto_pad=\"SAME_UPPER\", strides=[2,3]>(x, w)", 1, 2},
    {"float[2,5,9,8] x, float[12,5,2,4] w", Y, "y = Conv<auto_pad=\"SAME_LOWER\", strides=[2,3]>(x, w)", 1,
     2},
    {X9, Y, "y = Conv<auto_pad=\"VALID\", strides=[2,3]>(x, w)", 1, 2},
    {"float[3,7,20] x, float[9,7,4] w", Y, "y = Conv<pads=[2,3]>(x, w)", 1, 2},
    {"float[3,7,20] x, float[9,7,3] w", Y, "y = Conv<strides=[3], dilations=[4]>(x, w)", 1, 2},
    {"float[3,7,20] x, float[9,7,1] w", Y, "y = Conv(x, w)", 1, 2},
    {"float[2,16,9,8] x, float[20,16,1,1] w", Y, "y = Conv<strides=[2,2]>(x, w)", 1, 2},
    {"float[3,5,2,4] x, float[12,5,1,1] w", Y, "y = Conv<strides=[2,1]>(x, w)", 1,
     2}, /* one line of several */
    {"float[2,3,1,1] x, float[20,3,1,1] w", Y, "y = Conv(x, w)", 1, 2},
    {"float[2,1,7,6] x, float[33,1,3,3] w", Y, "y = Conv<pads=[1,1,1,1]>(x, w)", 1, 2},
    {"float[1,8,40,70] x, float[37,8,3,3] w", Y, "y = Conv<pads=[1,1,1,1]>(x, w)", 1, 2},
    {"float[2,19,9,8] x, float[19,1,3,3] w", Y, "y = Conv<group=19, pads=[1,1,1,1]>(x, w)", 1, 2},
    {"float[2,19,30] x, float[19,1,5] w, float[19] wb", Y,
     "y = Conv<group=19, strides=[2], pads=[4,1], dilations=[2]>(x, w, wb)", 1, 2},
    {"float[2,4,9,8] x, float[16,1,3,3] w", Y, "y = Conv<group=4, pads=[1,1,1,1]>(x, w)", 0, 0},
    {"float[2,8,9,8] x, float[16,4,3,3] w", Y, "y = Conv<group=2, pads=[1,1,1,1]>(x, w)", 0, 0},
    {"float[2,5,9,8] x, float[12,5,3,3] v", Y, "y = Conv(x, v)", 2, 2},
    {"float[2,5,9,8] x, float[3,5,3,3] w", Y, "y = Conv(x, w)", 0, 0},
    {"float[1,3,4,5,6] x, float[12,3,2,2,2] w", Y, "y = Conv(x, w)", 0, 0},
    {"double[2,5,9,8] x, double[12,5,3,3] w", "double[] y", "y = Conv(x, w)", 0, 0},
    {"float[2,5,9,8] x, float[8,5,3,3] w, float[3,8,3,3] w2", Y, "a = Conv(x, w) y = Conv(a, w2)", 2, 2},
    {"float[1,2,3,3] x, float[9,2,2,2] w", Y, "y = Conv<strides=[3,3], pads=[4,4,4,4]>(x, w)", 1, 2},
    /* no memory holds what lies between such taps, or in such pads */
    {"float[1,1,3,3] x, float[9,1,2,2] w", Y,
     "y = Conv<dilations=[1073741824,1], pads=[1073741824,0,0,0]>(x, w)", 0, 0},
    {"float[1,1,3,3] x, float[9,1,2,2] w", Y,
     "y = Conv<dilations=[1,1073741824], pads=[0,1073741824,0,0]>(x, w)", 0, 0},
    {"float[1,1,3,3] x, float[9,1,2,2] w", Y,
     "y = Conv<strides=[1,1073741824], pads=[0,1073741824,0,0]>(x, w)", 0, 0},
    {"float[1,9,3,3] x, float[9,1,2,2] w", Y,
     "y = Conv<group=9, strides=[1073741824,1], pads=[1073741824,0,0,0]>(x, w)", 0, 0},
    /* empty images */
    {"float[0,5,9,8] x, float[12,5,3,3] w", Y, "a = Conv(x, w) y = Relu(a)", 1, 2},
    {"float[2,5,0,8] x, float[12,5,3,3] w, float[9,12,1,1] w2", Y, "a = Conv(x, w) y = Conv(a, w2)", 2, 2},
    {"float[2,5,9,0] x, float[12,5,3,3] w", Y, "a = Conv(x, w) y = Sigmoid(a)", 1, 2},
    {"float[2,9,0,8] x, float[9,1,3,3] w", Y, "y = Conv<group=9>(x, w)", 1, 2},
    {"float[0,9,4,8] x, float[9,1,3,3] w", Y, "y = Conv<group=9>(x, w)", 1, 2},
    {"float[2,5,0,8] x, float[12,5,3,3] w", Y, "a = Conv(x, w) y = MaxPool<kernel_shape=[2,2]>(a)", 2, 2},

    /* elementwise: one step with the convolution where its operands lie so that they can be read there */
    {X9_TWO, Y, CONV "b = Relu(a) " CONV_2, 2, 2},
    {X9_TWO ", float[12,1,1] wk", Y, CONV "c = Gelu(a) b = Mul(c, wk) " CONV_2, 2, 2},
    {X9_TWO ", float[1,12,1,1] wk", Y, CONV "c = Gelu(a) b = Sub(wk, c) " CONV_2, 2, 2},
    {X9_TWO ", float wk, float[1] wl, float[1,1] wm, float[1,1,1,1] wn", Y,
     CONV "c = Gelu(a) d = Mul(c, wk) e = Add(wl, d) f = Max(e, wm) b = Mul(f, wn) " CONV_2, 2, 2},
    {X9_TWO ", float[2,12,9,8] xk", Y, CONV "c = Gelu(a) b = Mul(c, xk) " CONV_2, 2, 3},
    {X9_TWO ", float[2,12,9,8] wk", Y, CONV "c = Gelu(a) b = Mul(c, wk) " CONV_2, 2, 2},
    {X9_TWO ", float[2,12,1,1] k", Y, CONV "c = Gelu(a) b = Mul(c, k) " CONV_2, 2, 3},
    {X9_TWO ", float[12,1,1] k", Y, CONV "c = Gelu(a) b = Mul(c, k) " CONV_2, 2, 2},
    {X9_TWO ", float[9,8] wk", Y, CONV "c = Gelu(a) b = Mul(c, wk) " CONV_2, 2, 2},
    {X9_TWO ", float[8] wk", Y, CONV "c = Gelu(a) b = Mul(c, wk) " CONV_2, 2, 2},
    {X9_TWO ", float[9,8] k, float[8] l", Y, CONV "c = Gelu(a) d = Mul(c, k) b = Add(l, d) " CONV_2, 2, 4},
    {X9_TWO ", float[9,1] k", Y, CONV "c = Gelu(a) b = Mul(c, k) " CONV_2, 2, 3},
    {X9_TWO ", float k, float[1] l", Y, CONV "c = Gelu(a) d = Mul(c, k) b = Mul(d, l) " CONV_2, 2, 2},
    {X9 ", float[12,1,1] wk", Y, CONV "y = PRelu(a, wk)", 1, 2},
    {X9_TWO ", float[1] k", Y, /* an operator that asks for a scale of one axis */
     CONV "s = Abs(k) c = QuantizeLinear(a, s) b = DequantizeLinear(c, s) " CONV_2, 2, 2},
    {X9, Y, CONV "c = Greater(a, z) z = Constant<value = float {0}>() d = Sin(a) y = Where(c, d, a)", 1, 2},
    {"float[2,8,8,8] x, float[8,8,3,3] w, float[8] wk, float[8,8] wl, float[8,8,8] wm", Y,
     CONV "b = Gelu(a) c = Mul(b, wk) d = Add(c, wl) y = Mul(d, wm)", 1, 2}, /* all axes of one length */
    {"float[8,8,8,8] x, float[8,8,3,3] w, float[8,1,1,1] wk, float[1,1,8,1] wl", Y,
     CONV "b = Gelu(a) c = Mul(b, wk) y = Add(c, wl)", 1, 2},
    {"float[1,12,9,8] x, float[12,12,3,3] w, float[3,1,12,9,8] k", Y, CONV "y = Add(a, k)", 1, 2},
    /* residuals */
    {"float[2,12,9,8] x, float[12,12,3,3] w", Y, CONV "y = Add(a, x)", 1, 2},
    {"float[2,12,9,8] x, float[12,12,3,3] w, float[12,12,1,1] w2", Y,
     CONV "b = Add(x, a) c = Relu(b) d = Conv(c, w2) e = Add(d, c) y = Relu(e)", 2, 2},

    /* what moves */
    {X9 ", float[9,5,3,3] w2, float[11,21,1,1] w3", Y,
     CONV "b = Conv<pads=[1,1,1,1]>(x, w2) c = Concat<axis=1>(a, b) y = Conv(c, w3)", 3, 2},
    {X9_TWO, Y, CONV "b = Concat<axis=-1>(a, a, a) " CONV_2, 2, 2},
    {X9_TWO, Y, CONV "b = Concat<axis=0>(a, a) " CONV_2, 2, 2},
    {X9_TWO ", float[2,12,9,8] xk", Y, CONV "b = Concat<axis=3>(xk, a) " CONV_2, 2, 3},
    {X9 ", float[9,6,3,3] w2", Y, CONV "p, q = Split<axis=1, num_outputs=2>(a) b = Mul(p, q) " CONV_2, 2, 2},
    {X9_TWO, "float[] y, float[] q",
     CONV "s = Constant<value_ints=[3,6]>() b, q = Split<axis=-2>(a, s) " CONV_2, 2, 3},
    {X9_TWO, Y,
     CONV "p = Constant<value_ints=[0,0,1,2,0,0,3,0]>() v = Constant<value = float {0.5}>() b = Pad(a, p, "
          "v) " CONV_2,
     2, 2},
    {X9_TWO, Y,
     CONV "p = Constant<value_ints=[1,2,3,0]>() e = Constant<value_ints=[-1,2]>() b = "
          "Pad<mode=\"reflect\">(a, p, \"\", e)" CONV_2,
     2, 2},
    {X9 ", float[9,15,3,3] w2", Y,
     CONV "p = Constant<value_ints=[1,2]>() e = Constant<value_ints=[1]>() b = Pad<mode=\"edge\">(a, p, "
          "\"\", e)" CONV_2,
     2, 2},
    {X9_TWO, Y,
     CONV "s = Constant<value_floats=[1.0,1.0,2.0,2.0]>() b = Resize<mode=\"nearest\">(a, \"\", s) " CONV_2,
     2, 2},
    {X9_TWO, Y,
     CONV "s = Constant<value_floats=[1.0,1.0,1.5,0.5]>() b = Resize<mode=\"linear\">(a, \"\", s) " CONV_2, 2,
     2},
    {X9_TWO, Y,
     CONV
     "s = Constant<value_ints=[5,13]>() b = Resize<mode=\"cubic\", axes=[-1,2]>(a, \"\", \"\", s) " CONV_2,
     2, 2},
    {X9_TWO, Y,
     CONV "s = Constant<value_ints=[2,12,4,4]>() b = Resize<mode=\"linear\">(a, \"\", \"\", s) " CONV_2, 2,
     2},
    {X9 ", float[9,3,3,3] w2", Y, CONV "b = DepthToSpace<blocksize=2, mode=\"CRD\">(a) y = Conv(b, w2)", 2,
     4},

    {X9_TWO, Y,
     CONV
     "s = Constant<value_ints=[1,8]>() t = Constant<value_ints=[9,0]>() e = Constant<value_ints=[2,-1]>() "
     "d = Constant<value_ints=[2,-1]>() b = Slice(a, s, t, e, d) " CONV_2,
     2, 2},
    {X9 ", float[9,6,3,3] w2", Y,
     CONV "s = Constant<value_ints=[0,3]>() t = Constant<value_ints=[2,9]>() b = Slice(a, s, t) " CONV_2, 2,
     2},
    {X9_TWO, Y, CONV "s = Constant<value_ints=[7,0,-1]>() b = Gather<axis=3>(a, s) " CONV_2, 2, 2},
    {X9 ", float[9,3,3,3] w2", Y, CONV "s = Constant<value_ints=[7,0,-1]>() b = Gather<axis=1>(a, s) " CONV_2,
     2, 2},
    {X9, Y, CONV "s = Constant<value = int64 {2}>() y = Gather<axis=1>(a, s)", 1, 2},

    /* folds */
    {X9, Y, CONV "y = Softmax<axis=1>(a)", 1, 2},
    {X9, Y, CONV "y = Softmax<axis=-1>(a)", 1, 2},
    {X9, Y, CONV "y = LogSoftmax<axis=-2>(a)", 1, 2},
    {X9_TWO, Y, CONV "e = Constant<value_ints=[2,3]>() c = ReduceMean<keepdims=1>(a, e) b = Mul(a, c)" CONV_2,
     2, 2},
    {X9_TWO, Y, CONV "e = Constant<value_ints=[1]>() c = ReduceMax<keepdims=1>(a, e) b = Mul(a, c)" CONV_2, 2,
     2},
    {X9_TWO, Y,
     CONV "e = Constant<value_ints=[-1,-3]>() c = ReduceSum<keepdims=1>(a, e) b = Mul(c, a)" CONV_2, 2, 2},
    {X9, Y, CONV "e = Constant<value_ints=[2,3]>() y = ReduceMean<keepdims=0>(a, e)", 1, 1},
    {X9, Y, CONV "e = Constant<value_ints=[-1,-2]>() y = ReduceMax<keepdims=0>(a, e)", 1, 1},
    {X9, Y, CONV "e = Constant<value_ints=[1]>() y = ReduceMean<keepdims=0>(a, e)", 1, 1},
    {X9, Y, CONV "e = Constant<value_ints=[0,3]>() y = ReduceMin<keepdims=0>(a, e)", 1, 2},
    {X9, Y, CONV "y = ReduceL2<keepdims=0>(a)", 1, 2},
    {X9_TWO, Y, CONV "b = MaxPool<kernel_shape=[3,2], strides=[2,1], pads=[1,0,1,1]>(a) " CONV_2, 3, 2},
    {X9_TWO, Y,
     CONV "b = MaxPool<kernel_shape=[2,2], strides=[2,3], ceil_mode=1, dilations=[2,1]>(a) " CONV_2, 3, 2},
    {X9_TWO, Y,
     CONV "b = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], ceil_mode=1>(a) " CONV_2, 3, 2},
    {X9_TWO, Y,
     CONV "b = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,0,1,1], ceil_mode=1, "
          "count_include_pad=1>(a) " CONV_2,
     3, 2},
    {X9_TWO, Y, CONV "b = AveragePool<kernel_shape=[2,3], auto_pad=\"SAME_LOWER\", strides=[1,2]>(a) " CONV_2,
     3, 2},
    {X9, "float[] y, int64[] i", CONV "y, i = MaxPool<kernel_shape=[2,2]>(a)", 1, 2},
    {"float[2,5,30] x, float[12,5,3] w", Y, "a = Conv(x, w) y = MaxPool<kernel_shape=[3], strides=[2]>(a)", 2,
     2},
    {X9_TWO, Y, CONV "c = GlobalAveragePool(a) b = Mul(a, c) " CONV_2, 2, 2},
    {X9 ", float[12,7] w2", Y, CONV "b = GlobalAveragePool(a) c = Flatten(b) y = MatMul(c, w2)", 1, 2},
    {X9 ", float[8,12,1,1] w2, float[12,8,1,1] w3", Y, /* squeeze and excite */
     CONV "b = GlobalAveragePool(a) c = Conv(b, w2) d = Relu(c) e = Conv(d, w3) f = Sigmoid(e) y = Mul(a, f)",
     3, 2},

    {X9, Y, CONV "e = Constant<value_ints=[1,-1]>() y = ReduceMin<keepdims=0>(a, e)", 1, 1},
    {X9, Y, CONV "e = Constant<value_ints=[0,2,3]>() y = ReduceMean<keepdims=0>(a, e)", 1, 1},
    {X9, "int64[] y", CONV "y = ArgMax<axis=1, keepdims=0>(a)", 1, 1},
    {X9 ", float[3,12,1,1] w2", "int64[] y", CONV "b = Conv(a, w2) y = ArgMax<axis=1, keepdims=0>(b)", 2, 2},
    {X9, "int64[] y", CONV "y = ArgMin<axis=-3, keepdims=1, select_last_index=1>(a)", 1, 2},
    {X9, "int64[] y", CONV "y = ArgMax<axis=-1, keepdims=1>(a)", 1, 2},
    {X9, "int64[] y", CONV "y = ArgMax<axis=2, keepdims=0>(a)", 1, 2},
    /* of known extents only */
    {"float[2,5,9,8] p, float[12,5,3,3] w, float[9,12,1,1] w2", Y,
     "a = Conv(p, w) b = GlobalMaxPool(a) y = Conv(b, w2)", 3, 2},

    /* several outputs, and readers of both kinds */
    {X9_TWO, "float[] b, float[] y", CONV "b = Relu(a) " CONV_2, 2, 3},
    {X9_TWO, "float[] a, float[] y", CONV "b = Relu(a) " CONV_2, 2, 3},
    {X9_TWO, "float[] y, float[] z", CONV "b = Sigmoid(a) c = Flatten<axis=1>(b) z = Sin(c) " CONV_2, 2, 3},
    {X9 ", float[9,5,3,3] w2", "float[] y, float[] z, float[] u",
     CONV "y = Relu(a) b = Conv(x, w2) z = Tanh(b) u = Sin(x)", 2, 3},
    {X9, "float[] a, float[] b", CONV "b = Identity(a)", 1, 2},

    /* Transposes of the model's own */
    {"float[2,9,8,5] i, float[12,5,3,3] w", Y,
     "x = Transpose<perm=[0,3,1,2]>(i) " CONV "b = Relu(a) y = Transpose<perm=[0,2,3,1]>(b)", 1, 0},
    {"float[2,9,8,5] i, float[12,5,3,3] w", Y,
     "x = Transpose<perm=[0,3,1,2]>(i) " CONV "b = Relu(a) y = Transpose<perm=[0,3,2,1]>(b)", 1, 1},
    {"float[9,2,8,5] i, float[12,5,3,3] w", Y, "x = Transpose<perm=[1,3,0,2]>(i) " CONV "y = Relu(a)", 1, 2},
    {X9_TWO, Y,
     CONV "c = Transpose<perm=[0,2,3,1]>(a) d = Softmax<axis=-1>(c) b = Transpose<perm=[0,3,1,2]>(d) " CONV_2,
     2, 2},
    {X9, "float[] y, float[] t", CONV "t = Transpose<perm=[0,2,3,1]>(a) y = Relu(a)", 1, 2},
    {X9, Y, CONV "y = Transpose(a)", 1, 2},
};

/* --- graphs of rows --- */

/* How the dimensions of image inputs are given to whoever compiles. */
typedef enum dims { KNOWN, SYMBOLS, UNKNOWN, DIMS } dims;

typedef struct made {
    hone_graph *g;
    hone_tensor *in[MOST];
    int count, outputs;
} made;

/* Weights are small, so that sums are of the size of what goes in. */
static hone_tensor *fill(const hone_value *v, uint64_t seed) {
    const hone_type *t = &v->type;
    hone_tensor *x = tensor_random(t->dtype, t->rank, t->dims, seed);
    double by =
        t->rank > 2 && v->name[0] == 'w' && t->dims[0] > 0 ? sqrt((double)t->dims[0] / (double)x->count) : 1;
    for (int64_t i = 0; i < x->count; i++) tensor_set(x, i, by * tensor_at(x, i));
    return x;
}

static void hide(hone_graph *g, hone_value *v, dims how) {
    static const char *const names[] = {"n", "c", "h", "w", "d"};
    for (int d = 0; d < v->type.rank; d++) {
        if (d == 1 || how == KNOWN) continue;
        v->type.dims[d] = how == UNKNOWN ? HONE_DIM_ANY : hone_graph_symbol(g, names[d]);
    }
}

static made make(const row *r, dims how) {
    char text[3000];
    hone_error err;
    made m = {NULL};
    snprintf(text, sizeof text, "<ir_version: 10, opset_import: [\"\" : 21]> g (%s) => (%s) { %s }",
             r->inputs, r->outputs, r->body);
    hone_status status = hone_onnx_read(text, strlen(text), "row", NULL, &m.g, &err);
    if (status != HONE_OK) fail_msg("%s:\n%s", text, err.message);
    m.count = (int)m.g->input_count;
    m.outputs = (int)m.g->output_count;
    assert_true(m.count <= MOST && m.outputs <= MOST);
    for (int i = 0; i < m.count; i++) {
        hone_value *v = m.g->inputs[i];
        m.in[i] = fill(v, (uint64_t)i + 1);
        if (v->name[0] == 'w')
            hone_graph_replace(m.g, v, hone_graph_add_constant(m.g, "constant", m.in[i]));
        else if (v->type.rank >= 3 && (v->name[0] == 'x' || v->name[0] == 'i'))
            hide(m.g, v, how);
    }
    for (const hone_node *n = m.g->first; n; n = n->next)
        for (int i = 0; i < n->output_count; i++)
            if (n->outputs[i]) n->outputs[i]->type.rank = HONE_RANK_ANY;
    check_ok(hone_graph_check(m.g, &err));
    return m;
}

static void made_free(made *m) {
    for (int i = 0; i < m->count; i++) hone_tensor_free(m->in[i]);
    hone_graph_free(m->g);
}

static void run(const made *m, const char *disable, int threads, hone_tensor **out) {
    const hone_tensor *views[MOST];
    runner r = runner_make(m->g, disable, threads);
    runner_run(&r, m->in, views);
    for (int i = 0; i < m->outputs; i++) out[i] = tensor_copy(views[i]);
    runner_free(&r);
}

static void free_outputs(const made *m, hone_tensor **out) {
    for (int i = 0; i < m->outputs; i++) hone_tensor_free(out[i]);
}

/* Names the row before a comparison that may fail. */
static bool close_to(const hone_tensor *a, const hone_tensor *b, double bound) {
    if (!same_shape(a, b)) return false;
    double most = 1;
    for (int64_t i = 0; i < b->count; i++)
        if (isfinite(tensor_at(b, i))) most = fmax(most, fabs(tensor_at(b, i)));
    for (int64_t i = 0; i < b->count; i++) {
        const double x = tensor_at(a, i), y = tensor_at(b, i);
        if (!(x == y || (x != x && y != y) || fabs(x - y) <= bound * most)) return false;
    }
    return true;
}

static bool same_bits(const hone_tensor *a, const hone_tensor *b) {
    return same_shape(a, b) && (!a->bytes || memcmp(a->data, b->data, a->bytes) == 0);
}

/* --- tests --- */

static void compare(const row *r, dims how) {
    hone_tensor *want[MOST], *got[MOST], *other[MOST];
    made m = make(r, how);
    run(&m, OFF, 1, want);
    run(&m, NULL, 1, got);
    run(&m, NULL, 5, other);
    for (int i = 0; i < m.outputs; i++) {
        if (!close_to(got[i], want[i], 2e-5))
            fail_msg("%s\n%s: output %d differs (%d)", r->inputs, r->body, i, how);
        if (!same_bits(got[i], other[i]))
            fail_msg("%s\n%s: output %d differs by threads", r->inputs, r->body, i);
    }
    free_outputs(&m, want);
    free_outputs(&m, got);
    free_outputs(&m, other);
    made_free(&m);
}

static void test_results(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(rows); i++)
        for (int how = 0; how < DIMS; how++) compare(&rows[i], (dims)how);
}

static void test_results_at_every_level(void **state) {
    (void)state;
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char output[4000];
        if (!run_at_level(program, "--results", level_masks[i], output, sizeof output))
            fail_msg("HONE_CPU=%s:\n%s", level_masks[i], output);
    }
}

/* Nodes of a compiled graph, by the end of their names; "": all. */
static int nodes(const hone_model *m, const char *end) {
    int count = 0;
    for (const hone_node *n = m->bodies[0].graph->first; n; n = n->next) {
        const size_t have = strlen(n->op->name), size = strlen(end);
        count += have >= size && strcmp(n->op->name + have - size, end) == 0;
    }
    return count;
}

static void test_transposes(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(rows); i++)
        for (int how = 0; how < DIMS; how++) {
            made m = make(&rows[i], (dims)how);
            runner r = runner_make(m.g, NULL, 1);
            const int last = nodes(r.model, "Last"), transposes = nodes(r.model, "Transpose");
            if (last != rows[i].last || transposes != rows[i].transposes)
                fail_msg("%s\n%s (%d): %d nodes for channels last, not %d; %d Transposes, not %d",
                         rows[i].inputs, rows[i].body, how, last, rows[i].last, transposes,
                         rows[i].transposes);
            runner_free(&r);
            made_free(&m);
        }
}

int main(int argc, char **argv) {
    program = argv[0];
    const struct CMUnitTest results[] = {cmocka_unit_test(test_results)};
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_transposes),
                                       cmocka_unit_test(test_results_at_every_level)};
    if (argc > 1 && strcmp(argv[1], "--results") == 0) return cmocka_run_group_tests(results, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
