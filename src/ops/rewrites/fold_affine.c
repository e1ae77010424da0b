/* The rows that fold arithmetic with constants into the weights of a layer before or behind it, so that normalizing inside
 * the model costs nothing at run time. Weights that others read, too, are left alone: they would be there twice. */
#include "ops/ops.h"
#include "ops/rewrites/rewrites.h"

#include <math.h>

static bool is_float(const hone_value *v) {
    return v->type.dtype == HONE_FLOAT32;
}

static bool is_own(const hone_match *m, const char *name) {
    const hone_value *v = hone_match_value(m, name);
    return is_float(v) && v->use_count == 1 && !hone_graph_is_output(m->graph, v);
}

/* A bias: one number, or one for each of n columns. */
static bool is_row(const hone_value *c, int64_t n) {
    return is_float(c) &&
           (c->data->count == 1 || (c->data->count == n && c->type.dims[c->type.rank - 1] == n));
}

static bool has_columns(const hone_node *n) {
    return n->op == &hone_op_gemm && hone_node_int(n, "transB") != 0;
}

static float at_row(const hone_tensor *c, int64_t j) {
    return ((const float *)c->data)[c->count == 1 ? 0 : j];
}

/* It takes over the name of what it stands for. */
static hone_value *constant(hone_graph *g, const char *name, int rank, const int64_t *dims, float **data) {
    hone_tensor *t = NULL;
    if (hone_tensor_new(HONE_FLOAT32, rank, dims, &t, NULL) != HONE_OK) {
        g->failed = true;
        return NULL;
    }
    hone_value *v = hone_graph_add_constant(g, name, t);
    if (v) hone_graph_rename(g, v, name);
    *data = t->data;
    hone_tensor_free(t);
    return v;
}

/* --- fold-affine --- in front of a layer. With y = a x + b, a and b numbers or one for each column of x,
 *
 *   y W + c = x (a W) + (b W + c)          a W: the rows of W scaled
 *
 * The patterns find the last such node in front of a layer; the chain that ends in it is walked here. */

/* a x and b cancel when the shift is large against the results, which layers like to have around 1: beyond
 * this the digits lost would show. */
#define MAX_SHIFT 64

/* y = a x + b, by columns of the layer's input. */
typedef struct affine {
    double *a, *b;
    int64_t columns; /* of the layer's input */
    bool by_column;  /* rows of constants run along them: no view lies between */
    hone_value *x;   /* where the chain starts */
    int steps;
} affine;

/* The constant operand of n, a number or a row of numbers for all columns; -1: none. */
static int constant_operand(const hone_node *n, const affine *f) {
    for (int i = 1; i >= 0 && n->input_count == 2; i--) {
        const hone_value *v = n->inputs[i], *x = n->inputs[1 - i];
        if (!v || !x || v->storage != HONE_STORAGE_CONSTANT || v->type.dtype != HONE_FLOAT32 ||
            v->type.rank > x->type.rank)
            continue;
        int64_t count = v->data->count;
        if (count == 1 || (f->by_column && count == f->columns && v->type.dims[v->type.rank - 1] == count &&
                           x->type.dims[x->type.rank - 1] == count))
            return i;
    }
    return -1;
}

/* n gives a x + b with element k of its constant. False: it is no such arithmetic. */
static bool coefficients(const hone_node *n, int constant, int64_t k, double *a, double *b) {
    const hone_tensor *t = n->inputs[constant]->data;
    double c = ((const float *)t->data)[t->count > 1 ? k : 0];
    *a = 1;
    *b = 0;
    if (n->op == &hone_op_add)
        *b = c;
    else if (n->op == &hone_op_mul)
        *a = c;
    else if (n->op == &hone_op_sub && constant == 1)
        *b = -c;
    else if (n->op == &hone_op_sub)
        *a = -1, *b = c;
    else if (n->op == &hone_op_div && constant == 1)
        *a = 1 / c;
    else
        return false;
    return true;
}

/* f becomes f(a x + b) of what n computes. False, and nothing done: n is no such arithmetic, or digits would be lost. */
static bool compose(const hone_node *n, affine *f) {
    int constant = constant_operand(n, f);
    double a, b;
    if (constant < 0) return false;
    for (int64_t k = 0; k < f->columns; k++)
        if (!coefficients(n, constant, k, &a, &b) || !isfinite((float)(f->a[k] * a)) ||
            !(fabs(f->b[k] + f->a[k] * b) <= MAX_SHIFT))
            return false;
    for (int64_t k = 0; k < f->columns; k++) {
        coefficients(n, constant, k, &a, &b);
        f->b[k] += f->a[k] * b;
        f->a[k] *= a;
    }
    return true;
}

static hone_value *other_operand(const hone_node *n) {
    return n->inputs[n->inputs[1]->storage == HONE_STORAGE_CONSTANT ? 0 : 1];
}

/* Walks back from `v` through views and arithmetic that nobody else reads. */
static void walk_back(const hone_graph *g, hone_value *v, affine *f) {
    f->x = v;
    for (hone_value *at = v; at->producer && at->use_count == 1 && !hone_graph_is_output(g, at);) {
        const hone_node *n = at->producer;
        if (n->op->view == hone_view_whole) {
            at = n->inputs[0];
            f->by_column = false;
            continue;
        }
        if (!compose(n, f)) break;
        f->x = at = other_operand(n);
        f->steps++;
    }
}

/* The views between x and v once more, over x alone. */
static hone_value *repeat_views(hone_graph *g, const hone_value *v, hone_value *x) {
    const hone_node *n = v->producer;
    if (v == x) return x;
    if (n->op->view != hone_view_whole) return repeat_views(g, other_operand(n), x);
    hone_value *inner = repeat_views(g, n->inputs[0], x);
    hone_node *copy = inner ? hone_graph_add_node(g, n->op, n->name, n->input_count, n->inputs, 1) : NULL;
    if (!copy) return NULL;
    hone_node_set_input(g, copy, 0, inner);
    hone_node_copy_attrs(g, copy, n);
    copy->outputs[0]->type = n->outputs[0]->type;
    return copy->outputs[0];
}

/* Element (k, n) of the product's right side. */
static int64_t at(const hone_tensor *w, bool transposed, int64_t k, int64_t n) {
    return transposed ? n * w->dims[1] + k : k * w->dims[1] + n;
}

bool hone_check_affine_input(const hone_match *m) {
    const hone_value *w = hone_match_value(m, "w"), *c = hone_match_value(m, "c");
    if (!is_own(m, "w") || w->type.rank != 2) return false;
    return !c || is_row(c, w->type.dims[has_columns(m->root) ? 0 : 1]);
}

/* a W, and row = alpha b W + beta c. */
static void fold(const hone_match *m, const affine *f, float *scaled, float *row) {
    const hone_node *n = m->root;
    const hone_value *c = hone_match_value(m, "c");
    const hone_tensor *w = hone_match_value(m, "w")->data;
    const float *from = w->data;
    bool transposed = has_columns(n), gemm = n->op == &hone_op_gemm;
    double alpha = gemm ? hone_node_float(n, "alpha") : 1, beta = gemm ? hone_node_float(n, "beta") : 1;
    for (int64_t j = 0; j < w->dims[transposed ? 0 : 1]; j++) {
        double sum = 0;
        for (int64_t k = 0; k < f->columns; k++) {
            int64_t i = at(w, transposed, k, j);
            sum += f->b[k] * from[i];
            scaled[i] = (float)(f->a[k] * from[i]);
        }
        row[j] = (float)(alpha * sum + beta * (c ? at_row(c->data, j) : 0));
    }
}

/* The layer with other weights, over x. */
static hone_value *emit(const hone_match *m, const affine *f) {
    hone_graph *g = m->graph;
    const hone_node *n = m->root;
    const hone_value *w = hone_match_value(m, "w");
    bool gemm = n->op == &hone_op_gemm;
    float *scaled = NULL, *shift = NULL;
    hone_value *new_w = constant(g, w->name, 2, w->type.dims, &scaled),
               *row = constant(g, "row", 1, &w->type.dims[has_columns(n) ? 0 : 1], &shift);
    if (!new_w || !row) return NULL;
    fold(m, f, scaled, shift);
    hone_value *in[] = {repeat_views(g, n->inputs[0], f->x), new_w, gemm ? row : NULL};
    hone_node *layer = hone_graph_add_node(g, n->op, n->name, 3, in, 1);
    if (!layer) return NULL;
    hone_node_copy_attrs(g, layer, n);
    layer->outputs[0]->type = n->outputs[0]->type;
    if (!gemm) return HONE_EMIT(g, "", "Add", layer->outputs[0], row);
    hone_node_set_float(g, layer, "beta", 1);
    return layer->outputs[0];
}

hone_value *hone_build_affine_input(hone_match *m) {
    const hone_node *n = m->root;
    int64_t columns = hone_match_value(m, "w")->type.dims[has_columns(n) ? 1 : 0];
    double *ab = hone_alloc(2 * (size_t)columns * sizeof *ab);
    if (!ab) {
        hone_graph_out_of_memory(m->graph);
        return NULL;
    }
    affine f = {.a = ab,
                .b = ab + columns,
                .columns = columns,
                .by_column = n->op != &hone_op_gemm || !hone_node_int(n, "transA")};
    for (int64_t k = 0; k < columns; k++) f.a[k] = 1, f.b[k] = 0;
    walk_back(m->graph, n->inputs[0], &f);
    hone_value *v = f.steps ? emit(m, &f) : NULL;
    hone_free(ab);
    return v;
}

/* --- fold-scale --- behind a layer: what scales an axis of the result scales the weights along it. Which axis of which
 * weight that is, the layer's axis links tell. */

/* The axis of `y` along which k has its numbers; -1: it is one number, -2: no one axis. */
static int scaled_axis(const hone_value *k, const hone_type *y) {
    int axis = -1;
    if (!is_float(k) || k->type.rank > y->rank) return -2;
    for (int i = 0; i < k->type.rank; i++) {
        int to = i + y->rank - k->type.rank;
        if (k->type.dims[i] == 1) continue;
        if (axis != -1 || k->type.dims[i] != y->dims[to]) return -2;
        axis = to;
    }
    return axis;
}

/* The axis of input `input` that runs along axis `axis` of the result; -1: none. */
static int axis_along(const hone_axes *links, int input, int axis) {
    for (int i = 0; i < links->count; i++) {
        const hone_axis_link *l = &links->links[i];
        if (l->kind == HONE_AXIS_SAME && l->input == input && l->output == 0 && l->output_axis == axis)
            return l->axis;
    }
    return -1;
}

static bool is_weight(const hone_node *n, int input) {
    return n->inputs[input] && (hone_op_input(n->op, input)->flags & HONE_SLOT_WEIGHT) != 0;
}

static double factor(const hone_match *m, int64_t i) {
    const hone_tensor *k = hone_match_value(m, "k")->data;
    double x = ((const float *)k->data)[k->count == 1 ? 0 : i];
    return m->root->op == &hone_op_div ? 1 / x : x;
}

bool hone_check_scaled_output(const hone_match *m) {
    const hone_node *n = hone_match_maker(m, "product");
    const hone_value *k = hone_match_value(m, "k"), *c = hone_match_value(m, "c");
    int axis = scaled_axis(k, &n->outputs[0]->type);
    HONE_AXES(links);
    if (axis == -2 || !is_own(m, "w") || (c && !is_float(c))) return false;
    n->op->axes(n, &links);
    if (links.failed) return false;
    for (int i = 0; i < n->input_count && axis >= 0; i++)
        if (is_weight(n, i) && axis_along(&links, i, axis) < 0) return false;
    for (int64_t i = 0; i < k->data->count; i++)
        if (!isfinite((float)factor(m, i))) return false;
    return true;
}

/* w with its numbers along `axis` scaled; all by one factor if that is -1. */
static hone_value *scale(const hone_match *m, const hone_value *w, int axis) {
    float *y = NULL;
    hone_value *v = constant(m->graph, w->name, w->type.rank, w->type.dims, &y);
    int64_t inner = 1, count = axis < 0 ? 1 : w->type.dims[axis];
    for (int i = axis + 1; axis >= 0 && i < w->type.rank; i++) inner *= w->type.dims[i];
    for (int64_t i = 0; v && i < w->data->count; i++)
        y[i] = (float)(((const float *)w->data->data)[i] * factor(m, i / inner % count));
    return v;
}

hone_value *hone_build_scaled_output(hone_match *m) {
    hone_graph *g = m->graph;
    const hone_node *n = hone_match_maker(m, "product");
    int axis = scaled_axis(hone_match_value(m, "k"), &n->outputs[0]->type);
    HONE_AXES(links);
    n->op->axes(n, &links);
    hone_node *layer = hone_graph_add_node(g, n->op, n->name, n->input_count, n->inputs, 1);
    if (!layer) return NULL;
    for (int i = 0; i < n->input_count; i++)
        if (is_weight(n, i))
            hone_node_set_input(g, layer, i,
                                scale(m, n->inputs[i], axis < 0 ? -1 : axis_along(&links, i, axis)));
    hone_node_copy_attrs(g, layer, n);
    return layer->outputs[0];
}

/* --- fold-bias --- alpha A B + beta c + k: one row is added, not two */

bool hone_check_shifted_output(const hone_match *m) {
    const hone_value *w = hone_match_value(m, "w"), *c = hone_match_value(m, "c"),
                     *k = hone_match_value(m, "k");
    const hone_node *n = hone_match_maker(m, "product");
    int64_t columns = w->type.rank == 2 ? w->type.dims[has_columns(n) ? 0 : 1] : -1;
    return columns >= 0 && is_float(w) && k->type.rank <= 2 && is_row(k, columns) &&
           (!c || is_row(c, columns));
}

hone_value *hone_build_shifted_output(hone_match *m) {
    hone_graph *g = m->graph;
    const hone_node *n = hone_match_maker(m, "product");
    const hone_value *c = hone_match_value(m, "c"), *k = hone_match_value(m, "k");
    int64_t columns = hone_match_value(m, "w")->type.dims[has_columns(n) ? 0 : 1];
    double beta = hone_node_float(n, "beta");
    float *y = NULL;
    hone_value *row = constant(g, k->name, 1, &columns, &y);
    for (int64_t j = 0; row && j < columns; j++)
        y[j] = (float)(at_row(k->data, j) + (c ? beta * at_row(c->data, j) : 0));
    hone_value *in[] = {n->inputs[0], n->inputs[1], row};
    hone_node *layer = hone_graph_add_node(g, n->op, n->name, 3, in, 1);
    if (!layer) return NULL;
    hone_node_copy_attrs(g, layer, n);
    hone_node_set_float(g, layer, "beta", 1);
    return layer->outputs[0];
}

/* --- lower-batch-norm --- x a + (b - mean a), a = scale / sqrt(var + epsilon) */

bool hone_check_batch_norm(const hone_match *m) {
    static const char *const vectors[] = {"scale", "shift", "mean", "var"};
    const hone_type *y = &m->root->outputs[0]->type;
    for (int i = 0; i < 4; i++)
        if (hone_match_value(m, vectors[i])->data->count != hone_match_value(m, "scale")->data->count)
            return false;
    return m->root->output_count == 1 && is_float(m->root->outputs[0]) && y->rank >= 2;
}

hone_value *hone_build_batch_norm(hone_match *m) {
    hone_graph *g = m->graph;
    const float *scales = hone_match_value(m, "scale")->data->data,
                *shifts = hone_match_value(m, "shift")->data->data,
                *mean = hone_match_value(m, "mean")->data->data,
                *var = hone_match_value(m, "var")->data->data;
    int64_t channels = hone_match_value(m, "scale")->data->count, dims[HONE_MAX_RANK] = {channels};
    int rank = m->root->outputs[0]->type.rank - 1; /* [C, 1, …] stands against axis 1 */
    double epsilon = hone_node_float(m->root, "epsilon");
    float *a = NULL, *b = NULL;
    for (int i = 1; i < rank; i++) dims[i] = 1;
    hone_value *by = constant(g, "scale", rank, dims, &a), *and = constant(g, "shift", rank, dims, &b);
    if (!by || !and) return NULL;
    for (int64_t i = 0; i < channels; i++) {
        double x = scales[i] / sqrt(var[i] + epsilon);
        a[i] = (float)x;
        b[i] = (float)(shifts[i] - mean[i] * x);
    }
    hone_value *scaled = HONE_EMIT(g, "", "Mul", hone_match_value(m, "x"), by);
    if (scaled) scaled->type = m->root->outputs[0]->type;
    return HONE_EMIT(g, "", "Add", scaled, and);
}
