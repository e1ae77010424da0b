/* Det: determinants of square matrices, computed in double. */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

#define FLOATS HONE_TYPES_FLOAT

static hone_status check_square(const hone_infer *ctx, const hone_type *x, hone_error *err) {
    int64_t d;
    if (x->rank < 0) return HONE_OK;
    if (x->rank < 2) return hone_infer_fail(ctx, err, "X must have two axes or more");
    return hone_infer_same_dim(ctx, x->dims[x->rank - 2], x->dims[x->rank - 1], &d, err);
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    HONE_TRY(check_square(ctx, ctx->in[0], err));
    HONE_TRY(hone_infer_same(ctx, err));
    if (ctx->out[0].rank >= 0) ctx->out[0].rank -= 2;
    return HONE_OK;
}

static hone_status infer_grad(hone_infer *ctx, hone_error *err) {
    HONE_TRY(check_square(ctx, ctx->in[1], err));
    ctx->out[0].rank = ctx->in[1]->rank;
    for (int i = 0; i < ctx->in[1]->rank; i++) ctx->out[0].dims[i] = ctx->in[1]->dims[i];
    return HONE_OK;
}

/* Matrices are alone. */
static void axes(const hone_node *n, hone_axes *out) {
    int batch = n->inputs[n->input_count - 1]->type.rank - 2;
    for (int i = 0; i < n->input_count; i++)
        for (int a = 0; a < batch; a++) hone_axes_same(out, i, a, a);
}

typedef struct params {
    int64_t n; /* rows of a matrix */
    hone_dtype dtype;
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const char *x, *dy; /* dy NULL: forward */
    char *y;
} job;

static void run_range(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const int64_t count = p->n * p->n;
    const size_t size = hone_dtype_size(p->dtype), bytes = (size_t)count * size;
    double *matrix = hone_step_worker_scratch(j->step, j->frame, worker), *grad = matrix + count, dy;
    for (int64_t i = begin; i < end; i++) {
        hone_cast(p->dtype, HONE_FLOAT64, j->x + (size_t)i * bytes, matrix, count);
        if (!j->dy) {
            double det = hone_det(matrix, p->n);
            hone_cast(HONE_FLOAT64, p->dtype, &det, j->y + (size_t)i * size, 1);
            continue;
        }
        hone_det_grad(matrix, p->n, grad, grad + count);
        hone_cast(p->dtype, HONE_FLOAT64, j->dy + (size_t)i * size, &dy, 1);
        for (int64_t k = 0; k < count; k++) grad[k] *= dy;
        hone_cast(HONE_FLOAT64, p->dtype, grad, j->y + (size_t)i * bytes, count);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.p = p,
             .step = step,
             .frame = frame,
             .x = hone_step_in(step, frame, step->in_count - 1),
             .dy = step->in_count > 1 ? hone_step_in(step, frame, 0) : NULL,
             .y = hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, run_range, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[p->in_count - 1];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    int64_t n = x->dims[x->rank - 1];
    bool grad = p->in_count > 1;
    double cost = (double)n * (double)n * (double)n * (grad ? 3 : 0.5) + 20;
    *q = (params){n, x->dtype, hone_cut_make(hone_dims_product(x, 0, x->rank - 2), cost, 1)};
    p->worker_scratch = (size_t)(n * n + (grad ? n * n + 4 * n : 0)) * sizeof(double);
    p->params = q;
    p->run = run;
    p->kernel = grad ? "det_grad" : "det";
    return HONE_OK;
}

static void gradient(hone_gradient *ctx) {
    ctx->din[0] = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "DetGrad", ctx->dout[0], ctx->node->inputs[0]);
}

const hone_op hone_op_det = {.name = "Det",
                             .since = 22,
                             .oldest = 11,
                             .widened = HONE_TYPES_HALF,
                             .inputs = HONE_SLOTS({"X", 'T', FLOATS | HONE_TYPES_HALF, 0}),
                             .outputs = HONE_SLOTS({"Y", 'T', FLOATS | HONE_TYPES_HALF, 0}),
                             .infer = infer,
                             .axes = axes,
                             .prepare = prepare,
                             .gradient_kind = HONE_GRADIENT_EXACT,
                             .gradient = gradient,
                             .doc = "determinants of square matrices"};

const hone_op hone_op_det_grad = {.domain = HONE_PRIVATE_DOMAIN,
                                  .name = "DetGrad",
                                  .since = 1,
                                  .oldest = 1,
                                  .inputs = HONE_SLOTS({"dY", 'T', FLOATS, 0}, {"X", 'T', FLOATS, 0}),
                                  .outputs = HONE_SLOTS({"dX", 'T', FLOATS, 0}),
                                  .infer = infer_grad,
                                  .axes = axes,
                                  .prepare = prepare,
                                  .doc = "dY times the cofactors of X"};
