#include "ops/math/compare_strings.h"

#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

/* Rows of y, along its last axis, and where those of the operands begin. */
typedef struct params {
    hone_walk rows[2];
    int64_t step[2]; /* along a row: 1, or 0 where an operand has one element there */
    int64_t columns;
    hone_cut cut; /* of rows */
} params;

typedef struct job {
    const params *p;
    const hone_string *in[2];
    bool *y;
} job;

static void run_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    for (int64_t i = begin; i < end; i++)
        hone_equal_strings(j->in[0] + hone_walk_offset(&p->rows[0], i), p->step[0],
                           j->in[1] + hone_walk_offset(&p->rows[1], i), p->step[1], j->y + i * p->columns,
                           p->columns);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, {hone_step_in(step, frame, 0), hone_step_in(step, frame, 1)}, hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, run_rows, &j);
    return HONE_OK;
}

/* Strides of an operand over y's axes, 0 where it is broadcast; every axis but the last is walked. */
static void place(const hone_type *t, const hone_type *y, hone_walk *rows, int64_t *step) {
    int64_t strides[HONE_MAX_RANK] = {0}, stride = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        strides[y->rank - t->rank + i] = t->dims[i] == 1 ? 0 : stride;
        stride *= t->dims[i];
    }
    *rows = (hone_walk){.count = 1};
    for (int i = 0; i + 1 < y->rank; i++) { /* a dimension of 1 would change what is counted */
        rows->dims[rows->rank] = y->dims[i];
        rows->strides[rows->rank++] = strides[i];
    }
    *step = y->rank ? strides[y->rank - 1] : 0;
}

hone_status hone_prepare_equal_strings(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const hone_type *y = &p->out[0];
    for (int k = 0; k < 2; k++) place(p->in[k], y, &q->rows[k], &q->step[k]);
    q->columns = y->rank ? y->dims[y->rank - 1] : 1;
    q->cut = hone_cut_make(q->columns ? hone_dims_product(y, 0, y->rank ? y->rank - 1 : 0) : 0,
                           5 * (double)q->columns, 1);
    p->params = q;
    p->run = run;
    p->kernel = "equal strings";
    return HONE_OK;
}
