/* The row "fold-affine": arithmetic with constants in front of a layer goes into its weights. With y = a x + b, a and b
 * numbers or one for each column of x,
 *
 *   y W + c = x (a W) + (b W + c)          a W: the rows of W scaled
 *
 * so that normalizing inputs inside the model costs nothing at run time. The patterns find the last such node in front of
 * a layer; the chain that ends in it is walked here. */
#include "ops/rewrites/rewrites.h"

#include <math.h>

extern const hone_op hone_op_add, hone_op_sub, hone_op_mul, hone_op_div, hone_op_gemm;

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
        if (v->storage != HONE_STORAGE_CONSTANT || v->type.dtype != HONE_FLOAT32 ||
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

/* --- the layer --- */

/* Element (k, n) of the product's right side. */
static float *at(const hone_tensor *w, bool transposed, int64_t k, int64_t n) {
    return (float *)w->data + (transposed ? n * w->dims[1] + k : k * w->dims[1] + n);
}

/* a W, and row = alpha b W + beta c. */
static hone_status fold(const hone_tensor *w, bool transposed, const affine *f, double alpha,
                        const hone_tensor *c, double beta, hone_tensor **w_out, hone_tensor **row_out) {
    int64_t n = w->dims[transposed ? 0 : 1];
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 2, w->dims, w_out, NULL));
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 1, &n, row_out, NULL));
    for (int64_t j = 0; j < n; j++) {
        double sum = 0;
        for (int64_t k = 0; k < f->columns; k++) {
            double x = *at(w, transposed, k, j);
            sum += f->b[k] * x;
            *at(*w_out, transposed, k, j) = (float)(f->a[k] * x);
        }
        double addend = c ? ((const float *)c->data)[c->count == 1 ? 0 : j] : 0;
        ((float *)(*row_out)->data)[j] = (float)(alpha * sum + beta * addend);
    }
    return HONE_OK;
}

static bool is_row(const hone_value *c, int64_t n) {
    return c->type.dtype == HONE_FLOAT32 &&
           (c->data->count == 1 || (c->data->count == n && c->type.dims[c->type.rank - 1] == n));
}

static bool has_columns(const hone_match *m) {
    return m->root->op == &hone_op_gemm && hone_node_int(m->root, "transB") != 0;
}

bool hone_check_affine_input(const hone_match *m) {
    const hone_value *w = hone_match_value(m, "w"), *c = hone_match_value(m, "c");
    if (w->type.dtype != HONE_FLOAT32 || w->type.rank != 2) return false;
    return !c || is_row(c, w->type.dims[has_columns(m) ? 0 : 1]);
}

/* The layer with other weights, over x. */
static hone_value *emit(const hone_match *m, hone_value *x, hone_tensor *w, hone_tensor *row) {
    hone_graph *g = m->graph;
    bool gemm = m->root->op == &hone_op_gemm;
    hone_value *new_w = hone_graph_add_constant(g, hone_match_value(m, "w")->name, w),
               *new_row = hone_graph_add_constant(g, "row", row);
    hone_value *in[] = {x, new_w, gemm ? new_row : NULL};
    hone_node *n = hone_graph_add_node(g, m->root->op, m->root->name, 3, in, 1);
    if (!n) return NULL;
    hone_node_copy_attrs(g, n, m->root);
    n->outputs[0]->type = m->root->outputs[0]->type;
    if (!gemm) return HONE_EMIT(g, "", "Add", n->outputs[0], new_row);
    hone_node_set_float(g, n, "beta", 1);
    return n->outputs[0];
}

hone_value *hone_build_affine_input(hone_match *m) {
    hone_graph *g = m->graph;
    const hone_node *n = m->root;
    bool gemm = n->op == &hone_op_gemm, transposed = has_columns(m);
    const hone_value *c = hone_match_value(m, "c");
    const hone_tensor *w = hone_match_value(m, "w")->data;
    int64_t columns = w->dims[transposed ? 1 : 0];
    double *ab = hone_alloc(2 * (size_t)columns * sizeof *ab), alpha = gemm ? hone_node_float(n, "alpha") : 1,
           beta = gemm ? hone_node_float(n, "beta") : 1;
    affine f = {
        .a = ab, .b = ab + columns, .columns = columns, .by_column = !gemm || !hone_node_int(n, "transA")};
    hone_tensor *scaled = NULL, *row = NULL;
    hone_value *v = NULL;
    for (int64_t k = 0; ab && k < columns; k++) f.a[k] = 1, f.b[k] = 0;
    if (ab) walk_back(g, n->inputs[0], &f);
    if (ab && !f.steps)
        v = NULL;
    else if (ab && fold(w, transposed, &f, alpha, c ? c->data : NULL, beta, &scaled, &row) == HONE_OK)
        v = emit(m, repeat_views(g, n->inputs[0], f.x), scaled, row);
    else
        hone_graph_out_of_memory(g);
    hone_free(ab);
    hone_tensor_free(scaled);
    hone_tensor_free(row);
    return v;
}
