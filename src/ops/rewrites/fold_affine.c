/* Standardization folded into the layer behind it: with y = a x + b by constant scalars,
 *
 *   y W + c = x (a W) + (b 1W + c)          1W: the column sums of W
 *
 * so that normalizing inputs inside the model costs nothing at run time. */
#include "graph/infer.h"
#include "ops/rewrites/rewrites.h"

#include <math.h>
#include <string.h>

extern const hone_op hone_op_add, hone_op_sub, hone_op_mul, hone_op_div, hone_op_gemm, hone_op_matmul;

/* a x and b cancel when the shift is large against the results, which layers like to have around 1: beyond
 * this the digits lost would show. */
#define MAX_SHIFT 64

typedef struct affine {
    double a, b;      /* y = a x + b */
    hone_value *x;    /* where the chain starts */
    hone_node *first; /* the node that reads x */
    int steps;
} affine;

static bool is_scalar(const hone_value *v) {
    return v && v->storage == HONE_STORAGE_CONSTANT && v->type.dtype == HONE_FLOAT32 && v->data->count == 1 &&
           v->type.rank == 0;
}

/* Composes the node that made `v`, if it is arithmetic with a constant scalar; its other operand comes back
 * in *x. */
static bool compose(const hone_node *n, affine *f, hone_value **x) {
    if (n->input_count != 2) return false;
    int constant = is_scalar(n->inputs[1]) ? 1 : is_scalar(n->inputs[0]) ? 0 : -1;
    if (constant < 0) return false;
    double c = *(const float *)n->inputs[constant]->data->data, a = 1, b = 0;
    if (n->op == &hone_op_add)
        b = c;
    else if (n->op == &hone_op_mul)
        a = c;
    else if (n->op == &hone_op_sub && constant == 1)
        b = -c;
    else if (n->op == &hone_op_div && constant == 1)
        a = 1 / c;
    else
        return false;
    b = f->b + f->a * b; /* f(a x + b) */
    a *= f->a;
    if (!isfinite((float)a) || !(fabs(b) <= MAX_SHIFT)) return false;
    f->a = a;
    f->b = b;
    *x = n->inputs[1 - constant];
    return true;
}

/* Walks back from `v` through views and scalar arithmetic that nobody else reads. */
static affine walk_back(const hone_graph *g, hone_value *v) {
    affine f = {.a = 1, .x = v};
    for (hone_value *at = v; at->producer && at->use_count == 1 && !hone_graph_is_output(g, at);) {
        hone_node *n = at->producer;
        hone_value *x = NULL;
        if (n->op->view == hone_view_whole) {
            at = n->inputs[0];
            continue;
        }
        if (!compose(n, &f, &x)) break;
        f.steps++;
        f.first = n;
        f.x = at = x;
    }
    return f;
}

/* The weight's layout: element (k, n) of the product's right side. */
static float *at(const hone_tensor *w, bool transposed, int64_t k, int64_t n) {
    return (float *)w->data + (transposed ? n * w->dims[1] + k : k * w->dims[1] + n);
}

/* a W, and row = alpha b 1W + beta c. */
static hone_status fold(const hone_tensor *w, bool transposed, const affine *f, double alpha,
                        const hone_tensor *c, double beta, hone_tensor **w_out, hone_tensor **row_out,
                        hone_error *err) {
    int64_t k = w->dims[transposed ? 1 : 0], n = w->dims[transposed ? 0 : 1];
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 2, w->dims, w_out, err));
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 1, &n, row_out, err));
    for (int64_t j = 0; j < n; j++) {
        double sum = 0;
        for (int64_t i = 0; i < k; i++) {
            double x = *at(w, transposed, i, j);
            sum += x;
            *at(*w_out, transposed, i, j) = (float)(f->a * x);
        }
        double addend = c ? ((const float *)c->data)[c->count == 1 ? 0 : j] : 0;
        ((float *)(*row_out)->data)[j] = (float)(alpha * f->b * sum + beta * addend);
    }
    return HONE_OK;
}

static bool is_row(const hone_value *c, int64_t n) {
    return c->storage == HONE_STORAGE_CONSTANT && c->type.dtype == HONE_FLOAT32 &&
           (c->data->count == 1 || (c->data->count == n && c->type.dims[c->type.rank - 1] == n));
}

/* The arithmetic node hands its operand through. */
static void bypass(hone_graph *g, const affine *f, hone_value *end) {
    hone_value *at = end;
    while (at != f->x) {
        hone_node *n = at->producer;
        if (n->op->view == hone_view_whole) {
            at = n->inputs[0];
            continue;
        }
        hone_value *x = is_scalar(n->inputs[1]) ? n->inputs[0] : n->inputs[1];
        hone_graph_replace(g, n->outputs[0], x);
        at = x;
    }
}

static hone_status fold_into(hone_graph *g, hone_node *n, int *changes, hone_error *err) {
    bool gemm = n->op == &hone_op_gemm;
    hone_value *w = n->inputs[1];
    bool transposed = gemm && hone_node_int(n, "transB");
    if (w->storage != HONE_STORAGE_CONSTANT || w->type.dtype != HONE_FLOAT32 || w->type.rank != 2)
        return HONE_OK;
    hone_value *c = gemm && n->input_count > 2 ? n->inputs[2] : NULL;
    int64_t columns = w->type.dims[transposed ? 0 : 1];
    if (c && !is_row(c, columns)) return HONE_OK;
    affine f = walk_back(g, n->inputs[0]);
    if (!f.steps) return HONE_OK;
    double alpha = gemm ? hone_node_float(n, "alpha") : 1, beta = gemm ? hone_node_float(n, "beta") : 1;
    hone_tensor *scaled = NULL, *row = NULL;
    hone_status status = fold(w->data, transposed, &f, alpha, c ? c->data : NULL, beta, &scaled, &row, err);
    if (status == HONE_OK) {
        hone_value *new_w = hone_graph_add_constant(g, w->name, scaled),
                   *new_row = hone_graph_add_constant(g, "row", row);
        bypass(g, &f, n->inputs[0]);
        hone_node_set_input(g, n, 1, new_w);
        if (gemm) {
            hone_node_set_input(g, n, 2, new_row);
            hone_node_set_float(g, n, "beta", 1);
        } else {
            g->insert_before = n->next;
            hone_value *y = n->outputs[0], *sum = HONE_EMIT(g, "", "Add", y, new_row);
            g->insert_before = NULL;
            if (sum) {
                sum->type = y->type;
                hone_graph_replace(g, y, sum);
                hone_node_set_input(g, sum->producer, 0, y);
            }
        }
        ++*changes;
    }
    hone_tensor_free(scaled);
    hone_tensor_free(row);
    return status == HONE_OK ? hone_graph_check(g, err) : status;
}

hone_status hone_rewrite_fold_affine(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first; n; n = n->next)
        if (n->op == &hone_op_gemm || n->op == &hone_op_matmul) HONE_TRY(fold_into(g, n, changes, err));
    return HONE_OK;
}
