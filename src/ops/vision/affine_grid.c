/* AffineGrid: the coordinates of a grid of points, x from -1 to 1 in each axis, transformed: y = theta [x; 1] for each
 * sample, theta [rank, rank + 1]. The first coordinate is the one along the last axis. */
#include "graph/infer.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/gradient.h"
#include "ops/common/walk.h"

enum { MOST = 3 }; /* axes */

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *theta = ctx->in[0], *size = ctx->in[1];
    hone_type *y = &ctx->out[0];
    hone_content c;
    int64_t same;
    if (size->rank >= 0 && size->rank != 1)
        return hone_infer_fail(ctx, err, "the size has %d dimensions where 1 is needed", size->rank);
    bool known = hone_infer_items(ctx, 1, &c);
    int64_t count = known ? c.count : size->rank == 1 ? size->dims[0] : HONE_DIM_ANY;
    if (count < 0) return HONE_OK;
    if (count != 4 && count != 5)
        return hone_infer_fail(ctx, err, "the size has %lld numbers, not 4 or 5", (long long)count);
    int rank = (int)count - 2;
    y->rank = rank + 2;
    for (int d = 0; d < y->rank; d++) {
        y->dims[d] = known ? hone_dim_of_item(c.item[d == 0 ? 0 : d + 1]) : HONE_DIM_ANY;
        if (known && d <= rank && c.item[d == 0 ? 0 : d + 1].kind == HONE_ITEM_NUMBER && y->dims[d] < 0)
            return hone_infer_fail(ctx, err, "a size is negative");
    }
    y->dims[rank + 1] = rank;
    if (theta->rank < 0) return HONE_OK;
    if (theta->rank != 3)
        return hone_infer_fail(ctx, err, "theta has %d dimensions where 3 are needed", theta->rank);
    HONE_TRY(hone_infer_same_dim(ctx, y->dims[0], theta->dims[0], &y->dims[0], err));
    HONE_TRY(hone_infer_same_dim(ctx, theta->dims[1], rank, &same, err));
    return hone_infer_same_dim(ctx, theta->dims[2], rank + 1, &same, err);
}

/* Grid [n, points, rank] */
typedef struct params {
    hone_dtype dtype;
    bool align_corners;
    int rank;
    int64_t n, points, dims[MOST];
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    const char *x;
    char *y;
} job;

/* The point's place, [x; 1]. */
static void place(const params *p, int64_t point, double *x) {
    for (int d = p->rank - 1; d >= 0; d--) {
        const double n = (double)p->dims[d], i = (double)(point % p->dims[d]);
        point /= p->dims[d];
        x[p->rank - 1 - d] = !p->align_corners ? (2 * i + 1) / n - 1 : n > 1 ? 2 * i / (n - 1) - 1 : -1;
    }
    x[p->rank] = 1;
}

/* Elements [first, first + n) as double, and back. */
static void load(const params *p, const char *x, int64_t first, int64_t n, double *out) {
    hone_cast(p->dtype, HONE_FLOAT64, x + (size_t)first * hone_dtype_size(p->dtype), out, n);
}
static void store(const params *p, const double *x, int64_t n, char *y, int64_t first) {
    hone_cast(HONE_FLOAT64, p->dtype, x, y + (size_t)first * hone_dtype_size(p->dtype), n);
}

/* Items are points of all samples. */
static void transform(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const int row = p->rank + 1, numbers = p->rank * row;
    double theta[MOST * (MOST + 1)], x[MOST + 1], y[MOST];
    for (int64_t i = begin; i < end; i++) {
        int64_t point = i % p->points;
        if (i == begin || point == 0) load(p, j->x, i / p->points * numbers, numbers, theta);
        place(p, point, x);
        for (int a = 0; a < p->rank; a++) {
            y[a] = 0;
            for (int b = 0; b < row; b++) y[a] += theta[a * row + b] * x[b];
        }
        store(p, y, p->rank, j->y, i * p->rank);
    }
}

static void fill_params(const hone_prepare *p, params *q, const hone_type *grid) {
    *q = (params){.dtype = grid->dtype,
                  .align_corners = hone_node_int(p->node, "align_corners") != 0,
                  .rank = grid->rank - 2,
                  .n = grid->dims[0],
                  .points = hone_dims_product(grid, 1, grid->rank - 1)};
    for (int d = 0; d < q->rank; d++) q->dims[d] = grid->dims[d + 1];
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, transform, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    fill_params(p, q, &p->out[0]);
    q->cut = hone_cut_make(q->n * q->points, 40, 1);
    p->params = q;
    p->run = run;
    p->kernel = "affine grid";
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    (void)n;
    hone_axes_same(out, 0, 0, 0);
}

static void gradient(hone_gradient *ctx) {
    if (!ctx->wanted[0]) return;
    ctx->din[0] =
        HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "AffineGridGrad", ctx->dout[0], ctx->node->inputs[0]);
    if (ctx->din[0]) hone_node_copy_attrs(ctx->graph, ctx->din[0]->producer, ctx->node);
}

#define CORNERS .attrs = HONE_ATTRS({"align_corners", HONE_ATTR_INT})
#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

const hone_op hone_op_affine_grid = {
    .name = "AffineGrid",
    .since = 20,
    .oldest = 20,
    .inputs = HONE_SLOTS({"theta", 'T', FLOATS, 0}, {"size", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_SHAPE}),
    .outputs = HONE_SLOTS({"grid", 'T', FLOATS, 0}),
    CORNERS,
    .infer = infer,
    .axes = axes,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "a grid of points, transformed for each sample: where GridSample reads"};

/* --- AffineGridGrad --- dtheta = the sum over points of dy [x; 1]' */

/* Items are samples. */
static void sum_points(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const int row = p->rank + 1, numbers = p->rank * row;
    for (int64_t n = begin; n < end; n++) {
        double theta[MOST * (MOST + 1)] = {0}, x[MOST + 1], dy[MOST];
        for (int64_t point = 0; point < p->points; point++) {
            load(p, j->x, (n * p->points + point) * p->rank, p->rank, dy);
            place(p, point, x);
            for (int a = 0; a < p->rank; a++)
                for (int b = 0; b < row; b++) theta[a * row + b] += dy[a] * x[b];
        }
        store(p, theta, numbers, j->y, n * numbers);
    }
}

static hone_status run_gradient(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, sum_points, &j);
    return HONE_OK;
}

static hone_status prepare_gradient(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    fill_params(p, q, p->in[0]);
    q->cut = hone_cut_make(q->n, 40 * (double)q->points + 1, 1);
    p->params = q;
    p->run = run_gradient;
    p->kernel = "affine grid's gradient";
    return HONE_OK;
}

static hone_status infer_gradient(hone_infer *ctx, hone_error *err) {
    (void)err;
    const hone_type *theta = ctx->in[1];
    ctx->out[0].rank = theta->rank;
    for (int d = 0; d < theta->rank; d++) ctx->out[0].dims[d] = theta->dims[d];
    return HONE_OK;
}

const hone_op hone_op_affine_grid_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "AffineGridGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dgrid", 'T', HONE_TYPES_FLOAT, 0}, {"theta", 'T', HONE_TYPES_FLOAT, 0}),
    .outputs = HONE_SLOTS({"dtheta", 'T', HONE_TYPES_FLOAT, 0}),
    CORNERS,
    .infer = infer_gradient,
    .prepare = prepare_gradient,
    .doc = "the gradient of AffineGrid"};
