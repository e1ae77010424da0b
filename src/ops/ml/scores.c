/* What scores become where ONNX has no operator of its own: SoftmaxZero leaves scores of 0 out, Probit is the inverse of the
 * normal distribution. In double. */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

#define FLOATS HONE_TYPES_FLOAT

typedef void transform_fn(const double *x, double *y, int64_t n);

typedef struct params {
    transform_fn *transform;
    hone_dtype dtype;
    int64_t n; /* of a row */
    hone_cut rows;
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const char *x;
    char *y;
} job;

static void run_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    double *row = hone_step_worker_scratch(j->step, j->frame, worker);
    size_t bytes = (size_t)p->n * hone_dtype_size(p->dtype);
    for (int64_t i = begin; i < end; i++) {
        hone_cast(p->dtype, HONE_FLOAT64, j->x + (size_t)i * bytes, row, p->n);
        p->transform(row, row + p->n, p->n);
        hone_cast(HONE_FLOAT64, p->dtype, row + p->n, j->y + (size_t)i * bytes, p->n);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, step, frame, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->rows, frame, run_rows, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, transform_fn *transform, hone_error *err) {
    const hone_type *x = p->in[0];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    int64_t n = x->rank ? x->dims[x->rank - 1] : 1;
    *q = (params){transform, x->dtype, n,
                  hone_cut_make(hone_dims_product(x, 0, x->rank - 1), 60 * (double)n, 1)};
    p->worker_scratch = (size_t)(2 * n) * sizeof(double);
    p->params = q;
    p->run = run;
    p->kernel = "scores";
    return HONE_OK;
}

static hone_status prepare_softmax_zero(hone_prepare *p, hone_error *err) {
    return prepare(p, hone_softmax_zero, err);
}
static hone_status prepare_probit(hone_prepare *p, hone_error *err) {
    return prepare(p, hone_probit, err);
}

#define SCORES                                                                                               \
    .domain = HONE_PRIVATE_DOMAIN, .since = 1, .oldest = 1, .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}),     \
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}), .infer = hone_infer_same

const hone_op hone_op_softmax_zero = {.name = "SoftmaxZero",
                                      SCORES,
                                      .prepare = prepare_softmax_zero,
                                      .doc = "softmax of the last axis in which zeros stay"};

const hone_op hone_op_probit = {
    .name = "Probit", SCORES, .prepare = prepare_probit, .doc = "the inverse of the normal distribution"};
